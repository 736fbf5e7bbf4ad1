"""The script that changes a place of a file to see whether a test notices: each change is what it says and one place alone."""

import ast

import pytest

import mutations
from mutations import ROOT, TESTS, changes, drawn

TEXT = '''"""Not 1 thing < another."""

LIMIT = 3


def f(a, b=1):
    if not (a < b and a is not None) or "1 < 2":
        raise ValueError("1" + "2")
    return (a +
            2), True
'''


def test_operators_not_and_constants_within_functions_are_changed_one_at_a_time() -> None:
    found = {change.made(TEXT) for change in changes("any", TEXT)}
    assert found == {
        TEXT.replace("a < b", "a <= b"),
        TEXT.replace("is not None", "is None"),
        TEXT.replace("b and a", "b or a"),
        TEXT.replace(') or "', ') and "'),
        TEXT.replace("if not (", "if  ("),
        TEXT.replace("(a +", "(a -"),
        TEXT.replace("            2)", "            3)"),
        TEXT.replace("True", "False"),
    }


@pytest.mark.parametrize("module", TESTS)
def test_what_is_changed_can_still_be_read(module: str) -> None:
    text = (ROOT / "src" / "mien" / f"{module}.py").read_text(encoding="utf-8")
    made = list(changes(module, text))[::7]
    assert made
    for change in made:
        ast.parse(change.made(text))
    assert all((ROOT / file).is_file() for file in TESTS[module])


def test_a_seed_draws_the_same_again_and_from_each_module() -> None:
    modules = ["shard", "flags"]
    assert drawn(4, 1, modules) == drawn(4, 1, modules) != drawn(4, 2, modules)
    assert [change.module for change in drawn(4, 1, modules)] == ["shard", "flags", "shard", "flags"]


def test_what_survives_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["mutations.py", "--count", "2", "--of", "shard"])
    monkeypatch.setattr(mutations, "copied", lambda folder: ROOT)
    answers = iter(["test_shard.py::test_a", ""])
    monkeypatch.setattr(mutations, "caught", lambda tree, change: next(answers))
    assert mutations.main() == 1
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split(" | ")[-1] for row in rows] == ["test_shard.py::test_a |", "**nothing** |"]
