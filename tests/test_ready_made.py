"""Studies that are ready to begin with: whole but for their film, in every language."""

import re
from typing import Any

import pytest

from mien.study.definition import LANGUAGES, Study
from mien.study.ready_made import READY_MADE, ready_made


def words(part: Any) -> list[dict[str, str]]:
    """All texts by language that are in it, at any depth."""
    if isinstance(part, dict):
        if "en" in part:
            return [part]
        return [one for value in part.values() for one in words(value)]
    return [one for value in part for one in words(value)] if isinstance(part, list) else []


@pytest.mark.parametrize("name", READY_MADE)
def test_it_lacks_a_film_and_who_runs_it_and_nothing_in_any_language(name: str) -> None:
    given = ready_made(name)
    study = Study.read(given | {"languages": list(LANGUAGES)}).with_default_consent()
    lacks = [lack.field for lack in study.lacks()]
    assert set(lacks) == {"contact", "stimuli"}
    texts = words(given)
    assert len(texts) > 10
    for text in texts:
        assert list(text) == list(LANGUAGES), text
        assert all(one.strip() == one and one for one in text.values()), text
        assert not re.search(r"[^\s\u202f\u00a0][;!?]", text["fr"]), text
    columns = [question.column for question in (*study.before, *study.after)]
    assert None not in columns


def test_two_cuts_are_dealt_and_an_ad_looks_often_and_screens_out() -> None:
    cuts, ad = (Study.read(ready_made(name)) for name in ("cuts", "ad"))
    assert cuts.one_of_cuts == {"a", "b"}
    assert (ad.every_s, [one.screen_out for one in ad.before]) == (0.2, [(), ("no",)])
    with pytest.raises(KeyError):
        ready_made("../consent/en")
