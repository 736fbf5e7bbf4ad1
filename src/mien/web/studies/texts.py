"""The words of participants' pages in all languages: one catalogue, texts.json, {key: {"en": …, "fr": …, "de": …, "tr": …}}."""

import json
from functools import cache
from pathlib import Path

from mien.study.definition import LANGUAGES

CATALOGUE = Path(__file__).with_name("texts.json")


@cache
def texts() -> dict[str, dict[str, str]]:
    """The whole catalogue. `{name}` in a text is filled by the page."""
    found: dict[str, dict[str, str]] = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    return found


def said(key: str, language: str) -> str:
    """One text. Raises `KeyError` for a key that is not in the catalogue."""
    return texts()[key][language]


def best_language(accepted: str, asked: str | None = None) -> str:
    """The language of a page: what is `asked` for, else what the browser likes best (its `Accept-Language`), else English."""
    if asked in LANGUAGES:
        return str(asked)
    liked: list[tuple[float, int, str]] = []
    for position, part in enumerate(accepted.split(",")):
        tag, _, weight = part.strip().partition(";q=")
        try:
            liked.append((-float(weight or 1), position, tag.split("-")[0].lower()))
        except ValueError:
            continue
    return next((tag for weight, _, tag in sorted(liked) if weight < 0 and tag in LANGUAGES), "en")
