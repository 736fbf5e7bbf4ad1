"""The offline page: what is in its file. How it looks and behaves in a browser is in tests/browser/test_review.py."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from mien.errors import MediaError
from mien.page_file import plotly_script
from mien.study_report import page
from mien.study_report.headline import clearest, clock, headline
from review.reviews import HOSTILE, KINDS, review, stimulus, two_films


class Parts(HTMLParser):
    """What a browser takes from the file before any script runs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.within: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style", "title", "h1"):
            found = dict(attrs)
            self.within.append(str(found.get("id") or found.get("type") or tag))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style", "title", "h1"):
            self.within.pop()

    def handle_data(self, data: str) -> None:
        if self.within:
            self.texts[self.within[-1]] = self.texts.get(self.within[-1], "") + data


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_holds_the_review_and_asks_for_nothing(tmp_path: Path, kind: str) -> None:
    made = KINDS[kind]()
    page.html(made, tmp_path / "review.html")
    text = (tmp_path / "review.html").read_text(encoding="utf-8")
    parts = Parts(text)
    assert json.loads(parts.texts["review"]) == made | {"headline": headline(made)}
    assert "{{" not in text.replace(parts.texts["plotly"], "").replace(parts.texts["module"], "").replace(parts.texts["review"], "")
    for tag, given in parts.tags:
        assert not any(name.startswith("on") for name in given), (tag, given)
        assert tag not in ("iframe", "object", "embed", "base", "form")
        for name in ("src", "href", "action"):
            assert (given.get(name) or "data:").startswith(("data:", "#")), (tag, given)
    assert "url(" not in parts.texts["style"]
    assert "@import" not in parts.texts["style"]


def test_the_policy_names_the_pages_own_scripts_and_no_others() -> None:
    text = page.render(review())
    parts = Parts(text)
    policy = next(given["content"] for tag, given in parts.tags if given.get("http-equiv") == "Content-Security-Policy") or ""
    assert "default-src 'none'" in policy
    sources = re.search(r"script-src ([^;]*);", policy)
    assert sources is not None
    hashes = {
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in (parts.texts["module"], plotly_script())
    }
    assert set(sources[1].split()) == hashes
    assert "unsafe-inline" not in sources[0]


def test_hostile_texts_stay_texts() -> None:
    text = page.render(KINDS["hostile"]())
    parts = Parts(text)
    assert parts.texts["title"].startswith(HOSTILE)
    assert HOSTILE not in text
    assert [tag for tag, _ in parts.tags].count("script") == 3
    assert not [given for tag, given in parts.tags if tag == "img"]
    assert json.loads(parts.texts["review"])["title"] == HOSTILE


def test_without_scripts_it_still_says_what_happened() -> None:
    made = KINDS["simulated"]()
    text = page.render(made)
    assert Parts(text).texts["h1"] == headline(made)
    assert f"Simulated. {made['simulated']}" in text
    assert made["caveat"] in text


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"review\.html: cannot be written: "):
        page.html(review(), tmp_path / "no folder" / "review.html")


# --- the sentence


def test_the_headline_of_a_usual_review() -> None:
    said = "Happiness appears most at 0:34, 4 s after “Joke”: it rose in 8 of 10 viewers. Three more moments stand out."
    assert headline(review()) == said


def test_the_headline_where_results_are_hidden_or_missing() -> None:
    assert headline(KINDS["few"]()) == "2 viewers so far; results are shown from 5."
    assert headline(KINDS["nobody"]()) == "Nobody has taken part yet; results are shown from 5."
    assert headline(review(stimuli=[])) == "Nobody has been measured yet."


def with_moments(*moments: dict[str, Any], **film: Any) -> dict[str, Any]:
    part = stimulus() | film
    part["moments"] = [part["moments"][0] | moment for moment in moments]
    return review(stimuli=[part])


def test_the_headline_where_nothing_stands_out() -> None:
    said = "No moment stands out from what chance alone would give, in what the faces of 10 viewers appeared to show."
    assert headline(with_moments()) == said


def test_the_headline_where_it_is_not_told_in_how_many() -> None:
    assert headline(with_moments({"share": None, "viewers": []}, markers=[])) == "Happiness appears most at 0:34."


def test_the_headline_within_a_marked_span_and_in_a_dip() -> None:
    dip = {"signal": "valence", "direction": "down", "time_s": 68.0, "rise": -0.4, "share": 0.6}
    assert headline(with_moments(dip)) == "Valence appears lowest at 1:08, during “Quiet scene”: it fell in 6 of 10 viewers."


def test_the_headline_of_two_films_names_the_film() -> None:
    assert headline(two_films()).startswith("In “Gülümseyen İstanbul’un ışıkları: şa…” happiness appears most at 0:34")


def test_an_expression_is_told_before_valence() -> None:
    valence, joy = {"signal": "valence", "rise": 0.9}, {"signal": "happiness", "rise": 0.3}
    assert clearest([valence, joy]) is joy
    assert clearest([valence]) is valence


@pytest.mark.parametrize(
    ("seconds", "scale", "text"), [(12.44, 60, "12.4 s"), (65, 150, "1:05"), (3729, 5400, "1:02:09"), (59.6, 150, "1:00")]
)
def test_clock(seconds: float, scale: float, text: str) -> None:
    assert clock(seconds, scale) == text
