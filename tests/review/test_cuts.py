"""Two cuts of one film: what was planted in one is found where it is, and nothing where nothing was."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from mien import audience
from mien.errors import DataError
from mien.study.definition import Study
from mien.study_report import results
from mien.study_report.sample import Scene, simulate
from mien.study_report.viewers import Viewer

A, B, LENGTH_S = "a", "b", 60.0
LAUGH = Scene("happiness", 20, 24, 3.5)
MORE = Scene("surprise", 40, 44, 4.5)


def study(smallest: int = 5, **more: Any) -> Study:
    films = [
        {"id": id, "title": f"Cut {id.upper()}", "kind": "film", "duration_s": LENGTH_S, "file": f"{id}.mp4", "sha256": "0" * 64}
        for id in (A, B)
    ]
    return Study.read({"title": "Two cuts", "stimuli": films, "cuts": [A, B], "smallest_group": smallest} | more)


def watched(way: str, scenes: Sequence[Scene], count: int = 14) -> list[Viewer]:
    """People who saw both cuts, the second with more in it, or one each."""
    groups: list[dict[str, str]] = [{} for _ in range(count)]
    first = simulate({A: LENGTH_S}, {A: [LAUGH]}, groups, seed=4)
    second = simulate({B: LENGTH_S}, {B: [LAUGH, *scenes]}, groups, seed=5)
    if way == "within":
        pairs = zip(first, second, strict=True)
        return [replace(one, timelines={**one.timelines, **other.timelines}) for one, other in pairs]
    return [*first, *(replace(other, name=str(count + k)) for k, other in enumerate(second, start=1))]


@pytest.fixture(autouse=True)
def _few_shifts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "SHIFTS", 20)
    monkeypatch.setattr(results, "DRAWS", 400)


@pytest.mark.parametrize("way", ["within", "between"])
def test_a_planted_difference_is_found_where_it_is_and_is_the_difference_of_the_curves(way: str) -> None:
    review = results.build(study(), watched(way, [MORE]))
    found = review["cuts"]
    assert (found["way"], found["pairs"], found["n"]) == (way, 14 if way == "within" else 0, [14, 14])
    surprise = found["signals"]["surprise"]
    assert surprise["p_corrected"] < 0.05
    (span,) = surprise["where"]
    assert 38 < span[0] < 42 < span[1] < 47
    assert all(a[1] < b[0] for a, b in pairwise(surprise["where"]))
    assert found["says"][0].startswith("Surprise differs from ")
    assert "in “Cut B” than in “Cut A”" in found["says"][0]
    assert not found["signals"]["happiness"]["where"]  # both cuts have that joke
    assert_of_the_means(review, "surprise")


def assert_of_the_means(review: dict[str, Any], signal: str) -> None:
    """The difference is that of the two curves that are shown, smoothed, and known where both are."""
    one, other = (np.array(film["curves"]["raw"][signal]["mean"], float) for film in review["stimuli"])
    gap, known = np.nan_to_num(other - one), ~np.isnan(other - one)
    steps = sorted({step["time_s"] for film in review["stimuli"] for step in film["steps"]})
    cuts = np.searchsorted(review["cuts"]["times"], steps).tolist()
    expected = audience.smooth(gap, known, review["cuts"]["sigma_s"] / review["methods"]["step_s"], cuts)
    found = np.array(review["cuts"]["signals"][signal]["difference"], float)
    np.testing.assert_allclose(found, np.where(known, expected, np.nan), atol=3e-4)


@pytest.mark.parametrize("way", ["within", "between"])
def test_where_nothing_was_planted_nothing_is_found(way: str) -> None:
    found = results.build(study(), watched(way, []))["cuts"]
    assert all(not one["where"] for one in found["signals"].values())
    assert found["says"] == ["No expression differs between “Cut A” and “Cut B” by more than chance would have it."]


def test_who_saw_both_is_compared_with_herself() -> None:
    """Ten people who differ much from each other, and each a little from herself: only pairs can tell."""
    own = np.linspace(0.05, 0.9, 10)[:, None] + np.zeros((1, 30))
    values = np.concatenate([own, own + 0.03])
    of = audience.Audience(
        np.arange(30) * 0.5,
        0.5,
        ("happiness",),
        tuple(f"v{k}" for k in range(20)),
        values[:, :, None].astype(np.float32),
        np.ones((20, 30), bool),
        np.ones((20, 30), bool),
    )
    side = ["first"] * 10 + ["second"] * 10
    people = [*range(10), *range(10)]
    assert audience.compare(of, side, "happiness", people=people).p < 0.01
    assert audience.compare(of, side, "happiness").p > 0.3
    with pytest.raises(ValueError, match="each once in a group"):
        audience.compare(of, side, "happiness", people=[0] * 20)


def test_of_few_people_there_is_no_verdict_and_of_too_few_nothing() -> None:
    found = results.build(study(), watched("within", [MORE], 7))["cuts"]
    assert found["says"] == ["Of fewer than 10 people the two curves and their difference are shown, and no verdict."]
    for one in found["signals"].values():
        assert (one["p"], one["p_corrected"], one["where"]) == (None, None, [])
        assert not any(value is not None for value in (*one["low"], *one["high"]))
    assert results.build(study(), watched("within", [MORE], 4))["cuts"] is None


def test_nothing_of_few_follows_where_few_saw_one_cut_alone() -> None:
    """The difference is that of the two means that are shown: who saw one cut alone cannot be worked out of the three."""
    people = watched("within", [MORE], 12)
    people[0] = replace(people[0], timelines={A: people[0].timelines[A]})
    review = results.build(study(), people)
    found = review["cuts"]
    assert (found["way"], found["pairs"]) == ("mixed", None)  # eleven pairs of twelve would tell of one
    assert_of_the_means(review, "happiness")


def test_cuts_are_two_films_of_the_study() -> None:
    for wrong in ([A], [A, A], [A, "c"], "ab"):
        with pytest.raises(DataError, match="cuts"):
            study(cuts=wrong)
    assert results.build(study(cuts=[]), watched("within", [], 5))["cuts"] is None


@pytest.mark.more
def test_where_each_person_watches_one_answers_are_told_by_the_cut() -> None:
    asked = {"id": "liked", "kind": "liking", "title": {"en": "Liked?"}}
    people = watched("between", [MORE])
    people = [replace(one, answers={"liked": 2 if A in one.timelines else 6}) for one in people]
    review = results.build(study(cuts_shown="one", after=[asked]), people)
    by_cut = review["questions"][0]["by_group"][results.BY_CUT]
    assert {id: (chart["n"], chart["mean"]) for id, chart in by_cut.items()} == {A: (14, 2), B: (14, 6)}
    (variable,) = review["variables"]
    assert [value["title"] for value in variable["values"]] == ["Cut A", "Cut B"]
    assert any("dealt one of the two cuts" in words for words in review["methods"]["text"])
    assert results.BY_CUT not in results.build(study(after=[asked]), people)["questions"][0]["by_group"]


def test_an_answer_by_cut_is_not_told_of_few() -> None:
    asked = {"id": "liked", "kind": "liking", "title": {"en": "Liked?"}}
    people = watched("between", [], 6)[:10]  # six saw the first, four the second
    people = [replace(one, answers={"liked": 2 if A in one.timelines else 6}) for one in people]
    review = results.build(study(cuts_shown="one", after=[asked]), people)
    assert review["questions"][0]["by_group"] == {}
