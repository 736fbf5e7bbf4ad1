"""What may be told of how far people came: stages as they are, reasons of nobody few."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pypdfium2 import PdfDocument

from mien.study_report import paper, tables
from mien.study_report.funnel import REASONS, STAGES, funnel, parted
from review.reviews import COUNTED, review


def told(part: dict[str, Any]) -> dict[str, int]:
    return {one["reason"]: one["n"] for one in part["reasons"]}


def test_stages_are_told_and_reasons_of_few_are_taken_together() -> None:
    found = funnel(COUNTED, 5)
    assert [(one["stage"], one["n"]) for one in found["stages"]] == list(COUNTED["stages"].items())
    lost = {one["stage"]: one["lost"] for one in found["stages"]}
    assert told(lost["agreed"]) == {"unanswered": 10, "declined": 6}
    assert told(lost["camera"]) == {"others": 9}  # the six alone would tell three others
    assert (lost["started"]["n"], told(lost["started"])) == (1, {})
    assert told(lost["finished"]) == {"left": 5}
    assert (found["withdrawn"]["n"], told(found["withdrawn"])) == (1, {})


def test_a_number_that_nobody_counted_is_not_known() -> None:
    found = funnel(COUNTED | {"stages": COUNTED["stages"] | {"opened": None}, "lost": {}}, 5)
    assert found["stages"][0]["n"] is None


@pytest.mark.parametrize(("without", "shown"), [(0, 0), (2, None), (5, 5), (12, None), (15, 15)])
def test_who_goes_on_without_a_camera_is_told_of_many_alone(without: int, shown: int | None) -> None:
    assert funnel(COUNTED | {"without_camera": without}, 5)["without_camera"] == shown


@pytest.mark.parametrize("smallest", [2, 3, 5])
def test_nothing_of_few_follows_from_reasons_and_their_sum(smallest: int) -> None:
    """Whatever was counted, each number that is shown, and each that their differences give, is none or enough."""
    rng = np.random.default_rng(3)
    for _ in range(400):
        counts = rng.integers(0, 2 * smallest + 2, rng.integers(1, 5)).tolist()
        part = parted(dict(zip(REASONS, counts, strict=False)), smallest)
        numbers = list(told(part).values())
        assert all(n >= smallest for n in numbers), (counts, part)
        assert sum(numbers) in (0, sum(counts))
        assert numbers or sum(counts) < smallest
        alone = [one for one in part["reasons"] if one["reason"] != "others"]
        assert all(one["n"] == counts[list(REASONS).index(one["reason"])] for one in alone)


def test_table_and_paper_say_the_same(tmp_path: Path) -> None:
    tables.how_far(tmp_path / "funnel.csv", review())
    with open(tmp_path / "funnel.csv", newline="", encoding="utf-8") as file:
        rows = [tuple(row.values()) for row in csv.DictReader(file)]
    assert rows == [
        ("opened", "40", "", ""),
        ("agreed", "24", "", ""),
        ("agreed", "24", "unanswered", "10"),
        ("agreed", "24", "declined", "6"),
        ("camera", "15", "", ""),
        ("camera", "15", "others", "9"),
        ("started", "14", "", ""),
        ("finished", "9", "", ""),
        ("finished", "9", "left", "5"),
        ("withdrawn", "1", "", ""),
    ]
    paper.pdf(review(), tmp_path / "review.pdf")
    with PdfDocument(tmp_path / "review.pdf") as file_:
        text = " ".join(" ".join(page.get_textpage().get_text_bounded() for page in file_).split())
    for words in (*STAGES.values(), "16: 10 said neither yes nor no, 6 said no", "9: 9 for other reasons", "5: 5 chose to leave"):
        assert words in text, words
    assert "did not allow" not in text


def test_a_report_that_nobody_counted_for_has_the_head_alone(tmp_path: Path) -> None:
    tables.how_far(tmp_path / "funnel.csv", review(funnel=None))
    assert (tmp_path / "funnel.csv").read_text() == "stage,n,reason,reason_n\n"
