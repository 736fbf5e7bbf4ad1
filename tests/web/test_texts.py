"""The words of participants' pages: complete in every language, used, and none missing."""

import re
from pathlib import Path

import pytest

import mien.web
from mien.labels import FERPLUS
from mien.study.definition import LANGUAGES, how_often
from mien.web.studies.texts import best_language, said, texts

WEB = Path(mien.web.__file__).parent
SOURCES = [
    *sorted((WEB / "static" / "js" / "participant").glob("*.js")),
    *(
        WEB / "templates" / name
        for name in ("take-part-base.html", "take-part.html", "withdraw.html", "study-poster.html", "doorstep.html")
    ),
    *(WEB / "routes" / "study_pages.py", WEB / "static" / "js" / "study" / "question.js"),
]
KEY = re.compile(r'["`]([a-z]+\.[a-z0-9_]+)["`]')
FAMILY = re.compile(r"`([a-z]+\.)\$\{")
FAMILIES = {"emotion.": set(FERPLUS), "level.": {"0", "1", "2", "3", "4"}}
"""Keys that a script puts together from what it knows."""

SAME = {
    *("film.pause", "film.paused", "emotion.neutral", "emotion.surprise", "camera.number", "camera.choose", "event.start"),
    "questions.levels",
}
"""Texts that are rightly the same in two languages."""


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def used() -> set[str]:
    found: set[str] = set()
    for source in SOURCES:
        text = source.read_text(encoding="utf-8")
        found |= {key for key in KEY.findall(text) if key.split(".")[0] in {known.split(".")[0] for known in texts()}}
        for family in FAMILY.findall(text):
            assert family in FAMILIES, f"{source.name}: what stands behind {family}?"
            found |= {family + member for member in FAMILIES[family]}
    return found


def test_every_text_is_there_in_every_language() -> None:
    for key, words in texts().items():
        assert list(words) == list(LANGUAGES), key
        for language, text in words.items():
            assert text == text.strip(), (key, language)
            assert text, (key, language)
            assert placeholders(text) == placeholders(words["en"]), (key, language)
            assert "  " not in text, (key, language)
            assert re.sub(r"\{\w+\}", "", text).count("{") == 0, (key, language)


def test_no_text_was_left_in_english() -> None:
    for key, words in texts().items():
        for language in ("fr", "de", "tr"):
            if key not in SAME and len(words["en"]) > 1:
                assert words[language] != words["en"], (key, language)


def test_sentences_end_alike_in_every_language() -> None:
    """A full stop, a colon or a question mark that stands in one language stands in all; so do paragraphs."""
    for key, words in texts().items():
        ends = {re.sub(r"[\s\u202f\u00a0]", "", text)[-1] for text in words.values()}
        ends = {end if end in ".:?!…" else "" for end in ends}
        assert len(ends) == 1, (key, words)


def test_french_spaces_and_quotes() -> None:
    for key, words in texts().items():
        assert not re.search(r"[^\s\u202f\u00a0][;!?]", words["fr"]), key
        assert not any("'" in text or '"' in text for text in words.values()), key


def test_every_key_is_used_and_none_is_missing() -> None:
    assert used() - set(texts()) == set()
    assert set(texts()) - used() == set()


def test_what_a_script_fills_in_is_what_the_text_asks_for() -> None:
    """`t("key", {a, b: …})` gives each placeholder, and nothing else."""
    call = re.compile(r'\bt\("([a-z]+\.[a-z0-9_]+)"(?:, (\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}|\w+))?\)')
    seen = 0
    for source in SOURCES:
        for key, values in call.findall(source.read_text(encoding="utf-8")):
            wanted = placeholders(texts()[key]["en"])
            if values and not values.startswith("{"):
                assert wanted, (source.name, key)
                continue
            plain = re.sub(r"\([^()]*\)|\[[^\]]*\]", "", re.sub(r"\([^()]*\)", "", values[1:-1]))
            given = {part.split(":")[0].strip() for part in plain.split(",") if part.strip()}
            assert given == wanted, (source.name, key, given, wanted)
            seen += 1
    assert seen > 150


def test_said() -> None:
    assert said("done.title", "tr") == "Teşekkür ederiz!"
    with pytest.raises(KeyError):
        said("no.such_text", "en")


@pytest.mark.parametrize(
    ("accepted", "asked", "language"),
    [
        ("", None, "en"),
        ("de", None, "de"),
        ("de-AT,de;q=0.9,en;q=0.8", None, "de"),
        ("es,fr;q=0.5,en;q=0.4", None, "fr"),
        ("en;q=0.2,tr;q=0.9", None, "tr"),
        ("fr;q=0,en;q=0.1", None, "en"),
        ("x;q=much,,;q=1", None, "en"),
        ("de", "fr", "fr"),
        ("de", "xx", "de"),
    ],
)
def test_the_language_that_is_liked_best(accepted: str, asked: str | None, language: str) -> None:
    assert best_language(accepted, asked) == language


def test_pages_and_consent_texts_tell_one_rate() -> None:
    for language in LANGUAGES:
        assert said("rate.once", language) == how_often(language, 1)
        assert said("rate.times", language).replace("{n}", "2") == how_often(language, 0.5)
        assert said("rate.every", language).replace("{n}", "3") == how_often(language, 3)
