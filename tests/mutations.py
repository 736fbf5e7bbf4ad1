"""Seeded mutations: one place of a file is changed, the tests that mirror it must fail, and it is put back. All of it in a copy.

    python tests/mutations.py [--count 30] [--seed 1] [--only 3,7] [--of track]

Prints a row a mutation: what was changed, and the test that caught it. Ends with 1 where one survived: a test is missing there, or
the change means the same, which a person has to judge.
"""

import argparse
import ast
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT_S = 900.0
"""What a mutation leaves running for longer was caught by hanging."""

TESTS = {
    # the core
    "track": ("tests/test_track.py",),
    "follow": ("tests/test_follow.py",),
    "episodes": ("tests/test_episodes.py",),
    "crop": ("tests/test_crop.py",),
    "flow": ("tests/test_flow.py",),
    "types": ("tests/test_types.py",),
    "flags": ("tests/test_flags.py",),
    "reliability": ("tests/test_reliability.py",),
    "manifest": ("tests/test_manifest.py",),
    "shard": ("tests/test_shard.py",),
    "audience": ("tests/test_audience.py", "tests/test_audience_statistics.py"),
    "study/definition": ("tests/test_study.py",),
    # the server's state machines
    "web/tasks/runner": ("tests/web/test_tasks.py", "tests/web/test_jobs.py"),
    "web/analyses/service": ("tests/web/test_jobs.py",),
    "web/capture/views": ("tests/web/test_live.py",),
    "web/capture/recorder": ("tests/web/test_recording.py", "tests/web/test_live.py"),
    "web/studies/participants": ("tests/web/test_participants.py",),
    "web/studies/participant_live": ("tests/web/test_participant_live.py",),
    "web/studies/room_clock": ("tests/web/test_room_clock.py",),
    "web/studies/funnel": ("tests/web/test_funnel.py", "tests/review/test_funnel.py"),
    "web/retention/erasing": ("tests/web/test_erasing.py", "tests/web/test_storage.py"),
    "web/security": ("tests/web/test_security.py",),
}
"""A module of src/mien → the tests that mirror it."""

OTHER: dict[type[ast.AST], str] = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.And: "or",
    ast.Or: "and",
}
"""What an operator becomes."""


@dataclass(frozen=True)
class Change:
    """Characters `start` to `end` of a module's text become `new`."""

    module: str
    line: int
    start: int
    end: int
    new: str

    def made(self, text: str) -> str:
        return text[: self.start] + self.new + text[self.end :]


def changes(module: str, text: str) -> Iterator[Change]:
    """All that can be changed within the functions of a module: operators, `not`, whole numbers, True and False."""
    lines = [0]
    for line in text.splitlines(keepends=True):
        lines.append(lines[-1] + len(line))
    raw = [line.encode() for line in text.splitlines(keepends=True)]

    def place(line: int, column: int) -> int:
        return lines[line - 1] + len(raw[line - 1][:column].decode())

    def start(node: ast.expr) -> int:
        return place(node.lineno, node.col_offset)

    def end(node: ast.expr) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return place(node.end_lineno, node.end_col_offset)

    def between(left: ast.expr, operator: ast.AST, right: ast.expr) -> Iterator[Change]:
        """The operator stands somewhere between its sides, perhaps beside brackets; never within a text."""
        gap = re.fullmatch(r"([\s()]*)(\S|\S\S|is\s+not|not\s+in|and|or|is|in)([\s()]*)", text[end(left) : start(right)])
        if gap is not None and type(operator) in OTHER:
            at = end(left) + gap.start(2)
            yield Change(module, left.lineno, at, end(left) + gap.end(2), OTHER[type(operator)])

    def walk(node: ast.AST, inside: bool) -> Iterator[Change]:
        if isinstance(node, ast.arguments | ast.JoinedStr | ast.Raise | ast.Assert | ast.AnnAssign):
            return  # annotations, defaults and what is said in errors
        if isinstance(node, ast.keyword) and node.arg == "strict":
            return  # of lists of one length it means nothing
        if inside and isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            for left, operator, right in zip(sides, node.ops, node.comparators, strict=False):
                yield from between(left, operator, right)
        elif inside and isinstance(node, ast.BinOp):
            yield from between(node.left, node.op, node.right)
        elif inside and isinstance(node, ast.BoolOp):
            for left, right in zip(node.values, node.values[1:], strict=False):
                yield from between(left, node.op, right)
        elif inside and isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield Change(module, node.lineno, start(node), start(node) + len("not"), "")
        elif inside and isinstance(node, ast.Constant) and isinstance(node.value, int):
            new = str(not node.value) if isinstance(node.value, bool) else str(node.value + 1)
            yield Change(module, node.lineno, start(node), end(node), new)
        inside = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inside)

    yield from walk(ast.parse(text), False)


def drawn(count: int, seed: int, modules: Sequence[str]) -> list[Change]:
    """Changes in as many modules as there are, each in its turn; the same ones for a seed as long as the files are the same."""
    dice = random.Random(seed)
    piles = {}
    for module in modules:
        piles[module] = list(changes(module, (ROOT / "src" / "mien" / f"{module}.py").read_text(encoding="utf-8")))
        dice.shuffle(piles[module])
    return [piles[modules[k % len(modules)]][k // len(modules)] for k in range(count)]


def copied(folder: Path) -> Path:
    """A copy of the tree to change, with what lies beside it."""
    tree = folder / "mien"
    skipped = shutil.ignore_patterns(".*", "__pycache__", "node_modules")
    shutil.copytree(ROOT, tree, ignore=skipped)
    if (ROOT.parent / "shared").is_dir():
        (folder / "shared").symlink_to(ROOT.parent / "shared")
    return tree


def caught(tree: Path, change: Change) -> str:
    """By which test, "by hanging", or nothing."""
    file = tree / "src" / "mien" / f"{change.module}.py"
    text = file.read_text(encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(tree / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not more", *TESTS[change.module]]
    file.write_text(change.made(text), encoding="utf-8")
    try:
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return "by hanging"
    finally:
        file.write_text(text, encoding="utf-8")
    if done.returncode == 0:
        return ""
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return found[1].removeprefix("tests/") if found else f"pytest ended with {done.returncode}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=30, metavar="N", help="how many are drawn (default 30)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="which ones (default 1)")
    parser.add_argument("--only", default="", metavar="N,N", help="make only these of them")
    parser.add_argument("--of", default="", metavar="MODULE,…", help=f"of these modules (default all): {', '.join(TESTS)}")
    asked = parser.parse_args()
    modules = asked.of.split(",") if asked.of else list(TESTS)
    only = {int(number) for number in asked.only.split(",") if number}
    survived = 0
    print("| | where | was | became | caught by |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(prefix="mien-mutations-") as scratch:
        tree = copied(Path(scratch))
        for number, change in enumerate(drawn(asked.count, asked.seed, modules), 1):
            if only and number not in only:
                continue
            text = (tree / "src" / "mien" / f"{change.module}.py").read_text(encoding="utf-8")
            was, became = (one.splitlines()[change.line - 1].strip().replace("|", "\\|") for one in (text, change.made(text)))
            by = caught(tree, change)
            survived += not by
            print(f"| {number} | {change.module}.py:{change.line} | `{was}` | `{became}` | {by or '**nothing**'} |", flush=True)
    return int(survived > 0)


if __name__ == "__main__":
    sys.exit(main())
