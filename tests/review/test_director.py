"""The director's sheet: what stands on it is what the review tells, in three forms."""

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from pptx import Presentation
from pptx.util import Pt
from pypdfium2 import PdfDocument

from mien.errors import MediaError
from mien.study_report import director
from mien.study_report.headline import headline
from review.reviews import HOSTILE, hostile, review, stimulus, two_films

WRITERS = {"html": director.html, "pdf": director.pdf, "pptx": director.pptx}


def words(path: Path) -> str:
    """All that can be read in a file, in one line."""
    if path.suffix == ".pdf":
        with PdfDocument(path) as file:
            text = " ".join(page.get_textpage().get_text_bounded() for page in file)
    elif path.suffix == ".pptx":
        slides = Presentation(str(path)).slides
        text = " ".join(shape.text_frame.text for slide in slides for shape in slide.shapes if shape.has_text_frame)
    else:
        text = unescape(re.sub(r"<[^>]+>", " ", path.read_text(encoding="utf-8").partition("<main>")[2]))
    return " ".join(text.split())


def written(folder: Path, kind: str, told: dict[str, Any]) -> Path:
    path = folder / f"director.{kind}"
    WRITERS[kind](told, path)
    return path


@pytest.mark.parametrize("kind", WRITERS)
def test_all_of_a_sheet_is_there(tmp_path: Path, kind: str) -> None:
    told = review(14)
    text = words(written(tmp_path, kind, told))
    assert headline(told) in text
    film = told["stimuli"][0]
    assert f"{film['in_curves']} viewers in the curves; on average a face was found in 95% of them" in text
    assert "Their faces moved together more than chance would have it." in text
    for line in ("How did you like the film? 5.1 of 7 on average; 10 answers.", "In one word? “funny”, “odd”, “drôle”"):
        assert line in text
    for time in ("0:34 · happiness", "1:34 · surprise", "2:03 · happiness"):
        assert time in text
    assert told["caveat"] in text


def test_moments_are_the_strongest_in_the_order_of_the_film() -> None:
    film = review(14)["stimuli"][0]
    (sheet,) = director.sheets(review(14))
    rises = {(m["time_s"], m["signal"]): abs(m["rise"]) for m in film["moments"]}
    assert len(rises) == 4
    shown = [m["says"] for m in sheet.moments]
    kept = sorted((m for m in film["moments"] if m["signal"] != "valence"), key=lambda m: -abs(m["rise"]))[:3]
    assert shown == [m["says"] for m in sorted(kept, key=lambda m: m["time_s"])]


@pytest.mark.parametrize("kind", WRITERS)
def test_of_few_viewers_there_is_the_reason_and_nothing_else(tmp_path: Path, kind: str) -> None:
    told = review(3)
    text = words(written(tmp_path, kind, told))
    assert told["hidden"] in text
    for said in ("happiness", "on average", "moved together"):
        assert said not in text


def test_an_answer_of_few_is_not_on_it() -> None:
    told = review(14)
    for asked in told["questions"]:
        asked["hidden"] = True
    (sheet,) = director.sheets(told)
    assert sheet.said == ()


def test_each_film_has_a_sheet(tmp_path: Path) -> None:
    told = two_films()
    assert [sheet.title for sheet in director.sheets(told)] == [film["title"] for film in told["stimuli"]]
    with PdfDocument(written(tmp_path, "pdf", told)) as file:
        assert len(file) == 2
        assert [round(side) for side in file[0].get_size()] == [842, 595]
    assert len(Presentation(str(written(tmp_path, "pptx", told))).slides) == 2


def test_slides_have_a_title_and_nothing_stands_beyond_their_edges(tmp_path: Path) -> None:
    slides = Presentation(str(written(tmp_path, "pptx", review(14))))
    (slide,) = slides.slides
    assert slide.shapes.title.text_frame.text == headline(review(14))
    pictures = [shape for shape in slide.shapes if shape.shape_type == 13]
    assert len(pictures) == director.STILLS + director.MOMENTS
    for shape in slide.shapes:
        assert shape.top >= 0, shape.name
        assert shape.top + shape.height <= slides.slide_height, shape.name
        if not shape.has_text_frame or not shape.text_frame.text:
            assert -Pt(1) <= shape.left <= shape.left + shape.width <= slides.slide_width + Pt(1), shape.name


@pytest.mark.parametrize("kind", WRITERS)
def test_hostile_texts_stay_texts_and_simulated_is_said(tmp_path: Path, kind: str) -> None:
    told = hostile() | {"simulated": "Nobody was filmed."}
    path = written(tmp_path, kind, told)
    assert "Simulated. Nobody was filmed." in words(path)
    if kind == "html":
        text = path.read_text(encoding="utf-8")
        assert HOSTILE not in text
        assert "<script" not in text
        assert "script-src 'none'" in text


def test_a_film_without_pictures_and_a_report_of_before_have_a_sheet(tmp_path: Path) -> None:
    film = stimulus(viewers=12)
    film |= {"strip": [], "moments": [], "synchrony": None}
    for name in ("least_watched", "tested", "in_curves", "steps"):
        film.pop(name, None)
    for kind in WRITERS:
        assert "No moment stands out" in words(written(tmp_path, kind, review(12, stimuli=[film])))


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"nowhere\.pdf"):
        director.pdf(review(), tmp_path / "no" / "nowhere.pdf")
