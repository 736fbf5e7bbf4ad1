import dataclasses
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from mien.errors import DataError
from mien.training.experiment import Cell, Experiment, Result
from mien.training.recipe import Recipe
from mien.training.run_folder import RunFolder, read_run
from mien.training.run_page import chart, comparison_page, html_table, run_page, write_run_page
from mien.training.scoring import score_run

VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Checks that tags close in order; keeps texts, and addresses that would be loaded."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.loads: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.loads += [str(value) for name, value in attributes if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.loads += [str(value) for name, value in attributes if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def checked(text: str) -> str:
    """All the text that a page shows; the page loads nothing and has no unfilled place."""
    page = Page(text)
    assert page.loads == ["data:,"]
    assert "{{" not in text
    assert not re.search(r"@import|url\(|<script", text)
    return " ".join(page.texts)


def test_a_run_folder_gets_its_page_and_its_curves(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shapes"
    shutil.copytree(run, folder, ignore=shutil.ignore_patterns("public.json", "report.html", "curves.png"))
    assert write_run_page(folder) == folder / "report.html"
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    text = checked((folder / "report.html").read_text(encoding="utf-8"))
    found = read_run(folder)
    for part in ("shapes", "a test network", "tiny", "Epochs", "augment.erase", "0.2", found.facts["versions"]["torch"]):
        assert part in text, part
    for row in found.epochs:
        assert f"{100 * row['score']:.1f} %" in text
        assert f"{row['train_loss']:.4f}" in text
    assert "Not worked out yet" in text
    assert not list(folder.glob(".*.part"))


def test_with_scores_of_publictest_it_shows_the_confusion(run: Path, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shapes"
    shutil.copytree(run, folder)
    scores = score_run(folder, data, "PublicTest")
    page = write_run_page(folder).read_text(encoding="utf-8")
    assert "Not worked out yet" not in checked(page)
    assert page.count('<figure class="matrix">') == 2  # two heads
    rows = re.findall(r'<tr><th scope="row">(\w+)</th>(.*?)</tr>', page)
    shown = [[int(n) for n in re.findall(r">(\d+)<", cells)] for _, cells in rows]
    assert shown == [row for head in ("ferplus", "fer2013") for row in scores["heads"][head]["confusion"]]


def test_a_run_without_an_epoch_has_no_page(run: Path, tmp_path: Path) -> None:
    shutil.copy(run / "recipe.json", tmp_path)
    with pytest.raises(DataError, match="has no finished epoch yet"):
        write_run_page(tmp_path)
    with pytest.raises(DataError, match=r"recipe\.json: cannot be read"):
        write_run_page(tmp_path / "nowhere")


def test_texts_from_outside_are_escaped(run: Path) -> None:
    found = read_run(run)
    recipe = dataclasses.replace(found.recipe, name="<b>x</b>", description="<script>alert(1)</script>")
    page = run_page(dataclasses.replace(found, recipe=recipe))
    checked(page)
    assert "&lt;script&gt;alert(1)" in page
    assert "<b>x</b>" not in page


def small_run(**changes: Any) -> RunFolder:
    recipe = Recipe(name="a-seed1", heads={"fer2013": 1.0}, epochs=1)
    row = {
        "epoch": 1.0,
        "score": 0.5,
        "fer2013_accuracy": 0.5,
        "fer2013_loss": 1.5,
        "train_loss": 1.6,
        "train_fer2013_accuracy": 0.4,
    }
    timing = {"epoch": 1.0, "seconds": 3.0, "cpu_seconds": 2.0, "gpu_seconds": None, "device": "cpu"}
    found = RunFolder(Path("a"), recipe, {"faces": 10}, (row,), (timing,), None, None, None)
    return dataclasses.replace(found, **changes)


def test_one_epoch_is_enough_for_a_page() -> None:
    text = checked(run_page(small_run()))
    assert "50.0 %" in text
    assert "3.0 s" in text


def test_an_experiment_in_the_middle_of_its_work_has_a_page() -> None:
    done, recipe = small_run(), Recipe(name="b-seed1", heads={"fer2013": 1.0})
    experiment = Experiment("x", "Title & more", "A paper", "What is open.", "One epoch of ten.", ())
    results = [
        Result(Cell("a", "a-seed1", done.recipe, {"accuracy": 0.889}), done),
        Result(Cell("b", "b-seed1", recipe, {}), None, "no <network>"),
        Result(Cell("c", "c-seed1", recipe, {})),
    ]
    text = checked(comparison_page(experiment, results))
    for part in (
        "Title & more",
        "A paper",
        "What is open.",
        "One epoch of ten.",
        "1 of 3 finished",
        "no <network>",
        "waiting",
        "0.889",
    ):
        assert part in text, part
    assert "Curves" in text
    assert "Curves" not in checked(comparison_page(experiment, results[1:]))


def test_curves_stay_within_their_frame() -> None:
    line = [(1.0, 2.1), (2.0, 1.4), (3.0, 1.35)]
    svg = chart("Loss", [("a", 0, False, line), ("b", 1, True, [(1.0, 0.02)])], share=False)
    width, height = 520, 300
    for places in re.findall(r'points="([^"]+)"', svg):
        for place in places.split():
            x, y = map(float, place.split(","))
            assert 0 <= x <= width
            assert 0 <= y <= height
    drawn = [float(place.split(",")[1]) for place in re.findall(r'points="([^"]+)"', svg)[0].split()]
    assert drawn == sorted(drawn)  # a falling loss goes down the page
    ticks = re.findall(r'text-anchor="end">([\d.]+)<', svg)
    assert float(ticks[0]) <= 0.02
    assert float(ticks[-1]) >= 2.1
    assert svg.count("stroke-dasharray") == 2
    assert chart("Loss", [], share=False) == ""


def test_a_flat_curve_has_a_scale_too() -> None:
    assert "50 %" in chart("Accuracy", [("a", 0, False, [(1.0, 0.5), (2.0, 0.5)])], share=True)


def test_columns_of_figures_stand_to_the_right() -> None:
    table = html_table(["", "n", "text"], [["a", "1", "x<y"], ["b", "–", "2"]])
    assert "<th></th>" in table
    assert '<th class="num">n</th>' in table
    assert "<th>text</th>" in table
    assert "<td>x&lt;y</td>" in table
