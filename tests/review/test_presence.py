"""Curves that compare moments are of those who saw the film: who left, and what would tell of few."""

import json
from typing import Any

import numpy as np
import pytest

from mien.labels import FERPLUS
from mien.study.definition import Study
from mien.study_report import results
from mien.study_report.results import build
from mien.study_report.sample import DEFINITION, STIMULUS, timeline_of
from mien.study_report.viewers import Viewer

SECONDS = 22.0


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "DRAWS", 60)
    monkeypatch.setattr(results, "SHIFTS", 40)


def watcher(name: str, happiness: float, until_s: float = SECONDS, from_s: float = 0.0) -> Viewer:
    """Neutral but for a happiness that never changes, twice a second while they are there."""
    times = np.arange(from_s, until_s + 0.1, 0.5)
    rows = np.zeros((len(times), len(FERPLUS)))
    rows[:, 0], rows[:, 1] = 1 - happiness, happiness
    timeline = timeline_of(times, rows, np.ones(len(times), bool), STIMULUS, 0.5)
    looks = len(times)
    return Viewer(name, {STIMULUS: timeline}, room=name.startswith("R"), quality={"looks": looks, "with_face": looks})


def seen_case() -> list[Viewer]:
    """Four who saw all of 22 s, and two group sessions of which the 3 s and 6 s that were recorded are of sterner faces."""
    people = [watcher(str(k), 0.58) for k in range(1, 5)]
    return people + [watcher(f"R1-{k}", 0.05, 3.0) for k in range(1, 5)] + [watcher(f"R2-{k}", 0.05, 6.0) for k in range(1, 4)]


def film(viewers: list[Viewer], smallest: int = 3, **more: Any) -> dict[str, Any]:
    stimulus = DEFINITION["stimuli"][0] | {"duration_s": SECONDS}
    marker = {"id": "m", "stimulus": STIMULUS, "time_s": 5.0, "end_s": None, "label": "Joke"}
    study = Study.read(
        DEFINITION | {"stimuli": [stimulus], "markers": [marker], "smallest_group": smallest, "variables": []} | more
    )
    review = build(study, viewers)
    assert json.loads(json.dumps(review, allow_nan=False)) == review
    found: dict[str, Any] = review["stimuli"][0]
    return found


def known(values: list[float | None]) -> set[float]:
    return {value for value in values if value is not None}


def test_a_mean_does_not_rise_because_others_have_left() -> None:
    part = film(seen_case())
    assert (part["viewers"], part["in_curves"], part["compared"]) == (11, 4, True)
    assert set(part["n"]) == {4}
    assert known(part["curves"]["raw"]["happiness"]["mean"]) == {0.58}
    assert (part["steps"], part["moments"], part["sigma_s"]) == ([], [], 0.37)
    assert part["markers"][0]["effects"]["happiness"]["difference"] == pytest.approx(0, abs=1e-6)


def test_who_is_left_out_is_named_with_a_reason_and_who_left_when_is_told() -> None:
    part = film(seen_case())
    assert [row["viewer"] for row in part["left"]] == [*(f"R1-{k}" for k in range(1, 5)), *(f"R2-{k}" for k in range(1, 4))]
    assert part["left"][0]["why"] == "saw 16% of it, from 0.0 s to 3.2 s"  # 7 of 45 cells
    assert part["watched"]["1"] == 1
    there = dict(zip(part["times"], part["there"], strict=True))
    assert (there[0.0], there[3.0], there[3.5], there[6.0], there[6.5], there[22.0]) == (11, 11, 7, 7, 4, 4)
    assert "7 of them saw less than 80% of it and are in none of its curves." in " ".join(part["facts"])


def test_everybody_is_one_press_away_and_steps_are_marked() -> None:
    everybody = film(seen_case())["everybody"]
    happiness = everybody["curves"]["raw"]["happiness"]["mean"]
    at = {0: (4 * 0.58 + 7 * 0.05) / 11, 10: (4 * 0.58 + 3 * 0.05) / 7, 40: 0.58}
    assert {k: happiness[k] for k in at} == pytest.approx(at, abs=6e-5)  # the "rise"
    assert everybody["in_curves"] == 11
    assert [(step["before"], step["after"]) for step in everybody["steps"]] == [(11, 7), (7, 4)]
    # Before the marker all were there, after it seven, of whom three are in no other figure.
    assert everybody["markers"][0]["effects"]["happiness"]["n"] == 7


def test_nothing_of_few_who_left_follows_from_everybody() -> None:
    """Two left: the mean of all less the mean of those who stayed would be theirs."""
    viewers = [watcher(str(k), 0.5) for k in range(1, 7)] + [watcher("7", 0.9, 8.0), watcher("8", 0.1, 8.0)]
    part = film(viewers)
    everybody = part["everybody"]
    for both, kept in zip(everybody["curves"]["raw"]["happiness"]["mean"], part["curves"]["raw"]["happiness"]["mean"], strict=True):
        assert both in (None, kept)
    assert everybody["curves"]["raw"]["happiness"]["mean"][:16] == [None] * 16
    assert everybody["markers"][0]["effects"] == {}
    assert everybody["markers"][0]["effects"] != part["markers"][0]["effects"]
    assert film([*viewers, watcher("9", 0.2, 8.0)])["everybody"]["markers"][0]["effects"]["happiness"]["n"] == 9


def test_who_comes_late_is_left_out_too_and_who_looks_away_is_not() -> None:
    late, away = watcher("5", 0.2, from_s=10.0), watcher("6", 0.2)
    alone = away.timelines[STIMULUS]
    seen = alone.times < 4.0
    gone = timeline_of(alone.times, np.zeros((len(alone.times), len(FERPLUS))) + 1 / len(FERPLUS), seen, STIMULUS, 0.5)
    viewers = [*(watcher(str(k), 0.5) for k in range(1, 5)), late, Viewer("6", {STIMULUS: gone})]
    part = film(viewers)
    assert [(row["viewer"], row["from_s"]) for row in part["left"]] == [("5", 9.75)]
    # A face of a room that is not found any more has left: nobody is waited for there.
    part = film([*viewers[:5], Viewer("R1-1", {STIMULUS: gone}, room=True)])
    assert [row["viewer"] for row in part["left"]] == ["R1-1", "5"]


def test_pictures_that_were_lost_are_no_leaving() -> None:
    times = np.array([0, 4, 8, 12, 16, 20, 21.5])
    rows = np.tile(np.eye(len(FERPLUS))[0], (len(times), 1))
    lost = Viewer("5", {STIMULUS: timeline_of(times, rows, np.ones(len(times), bool), STIMULUS, 0.5)})
    part = film([*(watcher(str(k), 0.5) for k in range(1, 5)), lost])
    assert part["left"] == []
    assert part["watched"]["5"] > 0.95


def test_where_too_few_saw_enough_all_are_shown_and_it_is_said() -> None:
    part = film([watcher(str(k), 0.5, 6.0 + k) for k in range(1, 6)])
    assert (part["compared"], part["in_curves"], part["everybody"]) == (False, 5, None)
    assert len(part["left"]) == 5
    assert "too many to leave out" in " ".join(part["facts"])


def test_nobody_left_and_nothing_is_said_of_it() -> None:
    part = film([watcher(str(k), 0.5) for k in range(1, 6)])
    assert (part["left"], part["everybody"], part["compared"]) == ([], None, True)
