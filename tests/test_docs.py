"""The documentation says what the program does: its snippets run, its tables name the real columns, its links lead somewhere."""

import contextlib
import csv
import importlib.util
import io
import itertools
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mien
from docs_scripts import DOCS, script
from mien import demo
from mien.cli import build_parser, main

ROOT = Path(__file__).parent.parent
PAGES = sorted([*(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")), *DOCS.glob("*.md")])
CONCEPTS = (DOCS / "concepts.md").read_text(encoding="utf-8")


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of a page in one of the languages, also those within lists."""
    found = re.findall(r"^( *)```(\w*)\n(.*?)^\1```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [re.sub(f"(?m)^{indent}", "", text) for indent, language, text in found if language in languages]


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with talk.mp4 (three seconds of a smile, then nobody), group.jpg and the results of the first."""
    folder = tmp_path_factory.mktemp("docs")
    files = [path for package, name in demo.PORTRAITS if (path := demo.installed_file(package, name))]
    shutil.copy(files[0], folder / "group.jpg")
    scenes = demo.scenes([mien.read_picture(file).rgb for file in reversed(files)], None)
    with mien.VideoWriter(folder / "talk.mp4", demo.WIDTH, demo.HEIGHT, fps_hint=demo.FPS) as film:
        for number, rgb in enumerate(itertools.islice(scenes, 95)):
            film.write(rgb, number / demo.FPS)
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        assert main(["analyze", "talk.mp4", "--every", "0.25", "--baseline", "1"]) == 0
        assert main(["analyze", "talk.mp4", "group.jpg", "--every", "1", "--no-video", "--out", "several"]) == 0
    return folder


def test_cli_page_is_fresh() -> None:
    assert script("make_cli").is_fresh(), "run: python docs/make_cli.py"


def test_a_changed_option_makes_the_cli_page_stale(tmp_path: Path) -> None:
    make = script("make_cli")
    make.PAGE = tmp_path / "cli.md"
    assert not make.is_fresh()
    make.PAGE.write_text(make.render().replace("--every S", "--each S"), encoding="utf-8")
    assert not make.is_fresh()
    make.PAGE.write_text(make.render(), encoding="utf-8")
    assert make.is_fresh()


def test_every_option_is_in_the_cli_page() -> None:
    make = script("make_cli")
    page = make.PAGE.read_text(encoding="utf-8")
    for parser in make.commands(build_parser()):
        section = page.split(f"\n## {parser.prog}\n")[1].split("\n## ")[0]
        for action in parser._actions:
            for option in action.option_strings:
                if action.help != "==SUPPRESS==":
                    assert option in section, (parser.prog, option)


@pytest.mark.parametrize("page", ["README.md", "docs/models.md"])
def test_figures_are_those_of_the_bundled_model(page: str) -> None:
    make = script("make_figures")
    text = (ROOT / page).read_text(encoding="utf-8")
    assert make.render(page) == text, "run: python docs/make_figures.py"
    accuracy = mien.load_model().spec.evaluation["ferplus-strict"]["PrivateTest"]["accuracy"]
    assert f"{100 * accuracy:.1f} %" in text


def test_figures_follow_the_model() -> None:
    make = script("make_figures")
    spec = json.loads((make.BUNDLE / "model.json").read_text(encoding="utf-8"))
    private = spec["evaluation"]["ferplus-strict"]["PrivateTest"]
    private["accuracy"], private["interval"]["accuracy"], private["human_line"] = 0.87654, [0.86, 0.89], 0.77
    for block in (make.readme_block(spec), make.models_block(spec)):
        assert "87.7 %" in block
        assert "is above that line" in block
    private["human_line"] = 0.88
    assert "is level with that line" in make.readme_block(spec)


def test_figures_go_between_the_marks_only() -> None:
    make = script("make_figures")
    assert make.filled(f"a {make.BEGIN} old {make.END} b", "new") == f"a {make.BEGIN}\nnew\n{make.END} b"
    with pytest.raises(ValueError, match="once each"):
        make.filled("no marks", "new")


@pytest.mark.process
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name)
def test_python_snippets_run(page: Path, material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(material, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for number, text in enumerate(blocks(page, "python")):
        if "pandas" in text and importlib.util.find_spec("pandas") is None:
            continue
        if "sys.argv" in text:  # a program with arguments, which a test of its own runs: tests/web/test_live.py
            continue
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(text, f"{page.name}, snippet {number + 1}", "exec"), {"__name__": "snippet"})
        assert "print(" not in text or output.getvalue().strip(), text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_shell_snippets_are_commands_of_mien(page: Path) -> None:
    lines = [line.strip() for text in blocks(page, "sh") for line in text.splitlines()]
    for line in lines:
        words = shlex.split(line, comments=True)
        if words[:1] == ["mien"]:
            build_parser().parse_args(words[1:])  # ends the program where it does not fit
        elif words[:1] == ["make"]:
            assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text(encoding="utf-8"), line
        elif words[:1] == ["python"]:
            assert (ROOT / words[1]).is_file(), line
        else:
            assert words[:1] in ([], ["pip"], ["python3"], ["."], ["curl"]), line


def test_readme_film_gives_the_files_that_it_names(material: Path) -> None:
    named = set(re.findall(r"^\| `(\w+\.\w+)`", CONCEPTS.split("### The others")[1], flags=re.MULTILINE))
    named |= {"faces.csv", "timeline.csv", "episodes.csv", "summary.json"}
    written = {path.name for path in (material / "talk.mien").iterdir()}
    assert written <= named
    assert named - written == {"tracks.png", "annotated.png", "snapshot.png"}  # one face, a film, and no live view


def named_in(heading: str) -> list[str]:
    """The names in the first column of the tables of a section of concepts.md, in their order."""
    section = CONCEPTS.split(f"### {heading}\n")[1].split("\n### ")[0].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", section, flags=re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


@pytest.mark.parametrize("name", ["faces.csv", "timeline.csv", "episodes.csv", "files.csv"])
def test_columns_are_those_of_the_files(name: str, material: Path) -> None:
    path = material / ("several" if name == "files.csv" else "talk.mien") / name
    with path.open(newline="", encoding="utf-8") as file:
        assert next(csv.reader(file)) == named_in(name)


def test_summary_keys_are_those_of_the_file(material: Path) -> None:
    summary = json.loads((material / "talk.mien" / "summary.json").read_text(encoding="utf-8"))
    assert sorted(summary) == sorted(named_in("summary.json"))
    for key in ("every_s", "smoothing_s", "baseline_s"):
        assert key in summary["settings"]


def test_recipe_keys_are_those_of_a_recipe() -> None:
    from mien.training.recipe import Recipe

    text = (DOCS / "training.md").read_text(encoding="utf-8").split("## The recipe")[1].split("## From another tool")[0]
    plain, augment, damage = re.split("The table `(?:augment|damage)`", text)
    defaults = Recipe(name="any").to_json()
    for part, wanted in ((plain, defaults), (augment, defaults["augment"]), (damage, defaults["damage"])):
        rows = re.findall(r"^\| (`[^|]*) \|([^|]*)\|", part, flags=re.MULTILINE)
        names = [name for row, _ in rows for name in re.findall(r"`([^`]+)`", row)]
        assert sorted(names) == sorted(wanted)
        given = [value for _, row in rows for value in re.findall(r"`([^`]+)`", row)]
        simple = [value for value in wanted.values() if not isinstance(value, dict | list)]
        simple = simple[1:] if part is plain else simple  # the name has no default
        assert sorted(v.strip('"') for v in given if "=" not in v) == sorted(str(v).lower() for v in simple)


def test_model_keys_are_those_of_the_bundle() -> None:
    spec = mien.load_model().spec.to_json()
    page = (DOCS / "models.md").read_text(encoding="utf-8").split("## model.json")[1].split("## A bundle")[0]
    tables = re.split(r"^`(?:crop|heads)`[^\n]*:\n", page, flags=re.MULTILINE)
    for text, wanted in zip(tables, (spec, spec["crop"], spec["heads"][0]), strict=True):
        rows = re.findall(r"^\| (`[^|]*) \|", text, flags=re.MULTILINE)
        assert [name for row in rows for name in re.findall(r"`([^`]+)`", row)] == list(wanted)


def anchors(text: str) -> set[str]:
    """Where a link into a page may lead, as code hosts name headings."""
    text = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


def test_the_changelog_knows_this_version() -> None:
    assert f"## [{mien.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for name in ("pyproject.toml", "CITATION.cff"):  # the version stands in mien/__init__.py alone
        assert not re.search(r"^version\b", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_pictures_are_small() -> None:
    pictures = sorted((DOCS / "images").glob("*"))
    web = [f"web-{name}.png" for name in ("compare", "home", "live", "result", "study-invitations", "study-report", "study")]
    assert [path.name for path in pictures] == ["annotated.png", "report.png", *web]
    for path in pictures:
        assert path.stat().st_size < 400_000


EACH_SAYS_HOW_IT_IS_CALLED = """
import contextlib, io, pathlib, runpy, sys

benches = sys.argv[1:]
sys.path.insert(0, str(pathlib.Path(benches[0]).parent))
for bench in benches:
    sys.argv, said, ended = [bench, "--help"], io.StringIO(), None
    try:
        with contextlib.redirect_stdout(said):
            runpy.run_path(bench, run_name="__main__")
    except SystemExit as end:
        ended = end.code
    print(ended, said.getvalue().splitlines()[0])
"""


@pytest.mark.process
def test_benchmarks_begin() -> None:
    """In one process, which imports only once what they share."""
    benches = sorted((ROOT / "benchmarks").glob("bench_*.py"))
    done = subprocess.run([sys.executable, "-c", EACH_SAYS_HOW_IT_IS_CALLED, *benches], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(benches) > 10
    for bench, line in zip(benches, lines, strict=True):
        assert line.startswith(f"0 usage: {bench.name}")


def test_what_make_images_needs_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    make = script("make_images")
    monkeypatch.setattr(sys, "argv", ["make_images.py"])
    monkeypatch.setattr(make.shutil, "which", lambda name: None)
    assert make.main() == 1
    assert "needs chromium" in capsys.readouterr().err
