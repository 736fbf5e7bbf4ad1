"""The paper: rendered, read back, and measured."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pypdfium2
import pytest
from numpy.typing import NDArray

from mien.errors import MediaError
from mien.study_report import paper
from mien.study_report.headline import headline
from review.reviews import CAVEAT, FRENCH, KINDS, LAW, TURKISH, agreement, review, stimulus

POINTS = {"a4": (595.3, 841.9), "letter": (612.0, 792.0)}
MARGIN = 50.0
"""Points beside the text; 18 mm are 51."""


class Read:
    """A PDF as a reader has it: texts, and pages as pictures."""

    def __init__(self, made: dict[str, Any], folder: Path, size: str = "a4") -> None:
        path = folder / "review.pdf"
        paper.pdf(made, path, paper=size)
        self.document = pypdfium2.PdfDocument(path)
        self.pages = [page.get_textpage().get_text_range() for page in self.document]
        self.text = "\n".join(self.pages)
        self.flat = " ".join(self.text.split())

    def lines(self, page: int) -> list[tuple[float, float, float, float]]:
        """The boxes of texts that stand in one piece: left, bottom, right, top."""
        text = self.document[page].get_textpage()
        return [text.get_rect(k) for k in range(text.count_rects())]

    def picture(self, page: int, scale: float = 1.0) -> NDArray[np.uint8]:
        """(H, W, 3)"""
        return np.asarray(self.document[page].render(scale=scale).to_pil().convert("RGB"))


Paper = Callable[..., Read]


@pytest.fixture(scope="module")
def paper_of(tmp_path_factory: pytest.TempPathFactory) -> Paper:
    """paper_of(kind, size="a4") -> the paper of a kind of review, made once for all who only read it."""
    return cache(lambda kind, size="a4": Read(KINDS[kind](), tmp_path_factory.mktemp("paper"), size))


@pytest.fixture
def usual(paper_of: Paper) -> Read:
    return paper_of("usual")


def test_a_model_that_knows_no_neutral_has_a_paper_too(tmp_path: Path) -> None:
    made = review()
    made["labels"].remove("neutral")
    for film in made["stimuli"]:
        for curves in filter(None, film["curves"].values()):
            del curves["neutral"]
    read = Read(made, tmp_path)
    assert "Every expression" in read.flat
    assert "neutral (own scale)" not in read.flat


@pytest.mark.parametrize("size", POINTS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_page_keeps_its_margins_and_says_what_it_is(paper_of: Paper, kind: str, size: str) -> None:
    made = KINDS[kind]()
    read = paper_of(kind, size)
    width, height = POINTS[size]
    total = len(read.pages)
    for number, text in enumerate(read.pages, 1):
        page = read.document[number - 1]
        assert page.get_size() == pytest.approx((width, height), abs=0.5)
        assert f"Page {number} of {total}" in text
        assert " ".join(made["title"].split())[:20] in " ".join(text.split())
        assert CAVEAT[:60] in " ".join(text.split())
        assert "Made 21 Nov 2026, 14:20 UTC" in text
        assert ("Simulated. " in text) == bool(made["simulated"])
        for line in read.lines(number - 1):
            left, bottom, right, top = line
            assert left >= MARGIN - 1, (line, number)
            assert right <= width - MARGIN + 1, (line, number)
            assert bottom >= 24, (line, number)
            assert top <= height - 24, (line, number)
        # Nothing is drawn in the margins, either.
        picture = read.picture(number - 1)
        edge = int(MARGIN - 6)
        for part in (picture[:, :edge], picture[:, -edge:], picture[:24], picture[-24:]):
            assert part.min() == 255


@pytest.mark.parametrize("kind", ["usual", "crowd", "long_titles", "hostile", "two_films"])
def test_no_texts_overlap(paper_of: Paper, kind: str) -> None:
    read = paper_of(kind)
    for number in range(len(read.pages)):
        boxes = read.lines(number)
        for k, (left, bottom, right, top) in enumerate(boxes):
            for other in boxes[k + 1 :]:
                across = min(right, other[2]) - max(left, other[0])
                along = min(top, other[3]) - max(bottom, other[1])
                # Boxes hold the room of accents and tails; texts that meet share far more than that.
                if across > 1:
                    assert along < 0.45 * min(top - bottom, other[3] - other[1]), (number + 1, boxes[k], other)


def test_what_happened_comes_first(usual: Read) -> None:
    first = " ".join(usual.pages[0].split())
    assert headline(review()) in first
    assert "Viewers in the report" in first
    assert "The film and its audience" in first
    assert "Moments that stand out" in usual.text


def test_all_parts_are_there(usual: Read) -> None:
    order = [
        "The film and its audience",
        "Moments that stand out",
        "Marked moments",
        "Every expression",
        "Against each viewer's own calm face",
        "By group: Cut",
        "How alike the viewers reacted",
        "What viewers answered",
        "What viewers said and what their faces showed",
        "Viewers",
        "How to read this",
        "How it was made",
    ]
    places = [re.search(rf"^{re.escape(name)}\s*$", usual.text, re.M) for name in order]
    assert all(places), [name for name, place in zip(order, places, strict=True) if not place]
    found = [place.start() for place in places if place]
    assert found == sorted(found)
    assert LAW[:50] in usual.flat
    assert "bootstrap" in usual.flat


def test_the_numbers_are_the_reviews(usual: Read) -> None:
    assert "68% at its peak, +52 points from the film's mean" in usual.flat
    assert "+43 points (+34 to +52)" in usual.flat
    assert "10% → 53%" in usual.flat
    assert "Mean 5.1, median 5" in usual.flat
    assert "0.62 (0.22 to 0.92)" in usual.flat
    assert "not clear from 10 viewers" in usual.flat  # disgust: its interval holds 0
    assert usual.flat.count("strong link") == 2  # happiness, and liking


def test_texts_of_all_alphabets_are_letters_not_boxes(tmp_path: Path) -> None:
    read = Read(review(title=f"{TURKISH} Ωραία Привет"), tmp_path)
    assert "ığıŞşİ"[0] in read.flat
    assert TURKISH in read.flat
    assert "Ωραία Привет" in read.flat
    assert FRENCH.replace(" ", " ")[:20] in read.flat.replace(" ", " ")


def test_markup_in_texts_is_printed(paper_of: Paper) -> None:
    read = paper_of("hostile")
    assert '<img src=x onerror="alert(1)">' in read.flat


def test_two_hundred_viewers_go_over_pages_under_the_same_head(paper_of: Paper) -> None:
    read = paper_of("crowd")
    heads = [text for text in read.pages if re.search(r"Viewer\s+Quality", text)]
    assert len(heads) >= 4
    assert "R1-192" in heads[-1]
    # 200 rows, each once.
    names = re.findall(r"^(?:R1-)?\d+\s+(?:good|fair|poor)\s", read.text, re.M)
    assert len(names) == 200


def test_the_curves_are_drawn_in_their_colours(usual: Read) -> None:
    picture = usual.picture(0, 2).reshape(-1, 3).astype(int)
    for colour in ((230, 167, 0), (211, 95, 183)):
        near = (np.abs(picture - colour).max(axis=1) < 24).sum()
        assert near > 300, colour


def test_charts_are_vectors_and_only_stills_are_pictures(usual: Read) -> None:
    pictures = [o for page in usual.document for o in page.get_objects() if o.type == pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]
    film = review()["stimuli"][0]
    assert len(pictures) == paper.STILLS + len(film["moments"])


def test_hidden_results_are_one_page_without_a_chart(paper_of: Paper) -> None:
    read = paper_of("few")
    assert "2 viewers so far; results are shown from 5." in read.flat
    assert "Measured so far" in read.flat
    assert "Moments that stand out" not in read.text
    assert len(read.pages) == 1


def test_who_never_watched_is_no_viewer_of_poor_quality(tmp_path: Path) -> None:
    made = review()
    made["counts"]["started"] = 9
    made["viewers"][0] |= {"quality": "none", "why": "Never watched.", "looks": 0, "face_share": None}
    read = Read(made, tmp_path)
    assert "Began to watch" in read.flat
    assert "Never watched" not in read.flat
    assert len(re.findall(r"^(?:R1-)?\d+\s+(?:good|fair|poor)\s", read.text, re.M)) == 9
    assert "Before the film: 10 people answered" in read.flat


def test_a_long_answer_flows_over_pages(tmp_path: Path) -> None:
    made = review()
    made["questions"] = [
        {"id": "q", "part": "after", "kind": "long", "title": "Why?" * 200, "n": 60, "texts": ["word " * 800] * 60, "by_group": {}}
    ]
    read = Read(made, tmp_path)
    assert "30 more in the table of answers." in read.flat


def test_nothing_of_a_missing_piece_breaks_it(tmp_path: Path) -> None:
    film = stimulus()
    film |= {"strip": [], "moments": [], "markers": [], "groups": {}, "synchrony": None}
    film["curves"]["corrected"] = None
    made = review(stimuli=[film], agreement=agreement() | {"rows": [], "liking": None}, questions=[], viewers=[], variables=[])
    read = Read(made, tmp_path)
    assert "No moment stands out" in read.flat
    film["markers"] = [{"id": "m", "label": "New", "time_s": 1.0, "end_s": None, "effects": {}}]
    assert "too few viewers, or new" in Read(made, tmp_path).flat


def test_only_a_curve_of_nulls(tmp_path: Path) -> None:
    film = stimulus()
    for curve in film["curves"]["raw"].values():
        for name in curve:
            curve[name] = [None] * len(film["times"])
    assert len(Read(review(stimuli=[film]), tmp_path).pages) > 2


def test_another_paper_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="paper is 'a4' or 'letter', not 'a3'"):
        paper.pdf(review(), tmp_path / "review.pdf", paper="a3")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"review\.pdf: cannot be written: "):
        paper.pdf(review(), tmp_path / "no folder" / "review.pdf")


def test_a_kept_review_with_the_former_name_of_the_smoothing_is_told_as_before(tmp_path: Path) -> None:
    made = review()
    for film in made["stimuli"]:
        del film["sigma_s"], film["steps"]
    made["methods"]["smoothing_s"] = made["methods"].pop("curve_sigma_s")
    assert "smoothed over 2 s" in Read(made, tmp_path).flat
