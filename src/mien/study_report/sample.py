"""The sample study: a film made on the spot and simulated viewers with planted reactions, so that a newcomer sees a full report."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import MediaError
from mien.labels import FERPLUS
from mien.study.definition import Study
from mien.study_report.results import Json, build
from mien.study_report.sample_film import BANG_S, DURATION_S, END_S, JOKE_S, RAIN_S, film
from mien.study_report.tables import NAMES
from mien.study_report.viewers import Viewer
from mien.types import MediaInfo, Timeline

SIMULATED = "Ten simulated viewers: nobody was filmed, and every number on this page is made up."
STIMULUS, FILM = "film", "film.mp4"
FILES = {
    "review.html": "report",
    "review.pdf": "report on paper",
    "review.json": "report for programs",
    **{name: "table" for name in NAMES},
    FILM: "film",
    "study.json": "study, to import",
}
"""What the sample consists of: name → in words."""

AT = datetime(2026, 3, 14, 18, 30, tzinfo=UTC)

_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scene:
    """A reaction that is planted: `label` rises by `strength` (in log odds) from start_s to end_s, in a `share` of the viewers.

    stronger  variable, value and factor: how much more those of one group show it
    """

    label: str
    start_s: float
    end_s: float
    strength: float
    share: float = 1.0
    stronger: tuple[str, str, float] | None = None


SCENES = (
    Scene("happiness", *JOKE_S, 4.2, 0.9, ("cinema", "often", 1.25)),
    Scene("sadness", *RAIN_S, 3.4, 0.8, ("cinema", "rarely", 1.3)),
    Scene("surprise", *BANG_S, 4.6, 0.9),
    Scene("happiness", *END_S, 3.6, 0.8),
)
"""What the simulated faces do: the joke, the sad scene, the surprise, and the happy end."""

DEFINITION: dict[str, Any] = {
    "format": "mien-study 1",
    "title": "The little balloon",
    "about": {"en": "A sample study: a drawn film of 72 seconds and ten simulated viewers. It shows what a report looks like."},
    "purpose": "film_test",
    "contact": "the mien sample",
    "languages": ["en"],
    "stimuli": [
        {"id": STIMULUS, "title": "The little balloon", "kind": "film", "duration_s": DURATION_S, "file": None, "sha256": None}
    ],
    "order": "fixed",
    "consent": {"version": 1, "text": {"en": "Nobody had to agree: the viewers of this sample are simulated."}},
    "before": [
        {
            "id": "cinema",
            "kind": "single",
            "title": {"en": "How often do you go to the cinema?"},
            "required": True,
            "options": [{"id": "often", "title": {"en": "Every month"}}, {"id": "rarely", "title": {"en": "Less often"}}],
        },
        {
            "id": "mood",
            "kind": "scale5",
            "title": {"en": "How are you today?"},
            "required": False,
            "low": {"en": "Not well"},
            "high": {"en": "Very well"},
        },
        {"id": "age", "kind": "number", "title": {"en": "How old are you?"}, "required": False, "min": 16, "max": 110},
    ],
    "after": [
        {"id": "liking", "kind": "liking", "title": {"en": "How did you like the film?"}, "required": True},
        {"id": "felt", "kind": "emotions", "title": {"en": "What did you feel while you watched?"}, "required": True},
        {
            "id": "best",
            "kind": "multiple",
            "title": {"en": "Which scenes will you remember?"},
            "required": False,
            "options": [
                {"id": "joke", "title": {"en": "The hat"}},
                {"id": "rain", "title": {"en": "The rain"}},
                {"id": "bang", "title": {"en": "The bang"}},
                {"id": "end", "title": {"en": "The end"}},
            ],
        },
        {"id": "word", "kind": "short", "title": {"en": "The film in one word"}, "required": False},
        {"id": "more", "kind": "long", "title": {"en": "What would you change?"}, "required": False},
    ],
    "variables": [
        {
            "id": "cinema",
            "title": "Goes to the cinema",
            "by": "question",
            "question": "cinema",
            "values": [{"id": "often", "title": "Every month"}, {"id": "rarely", "title": "Less often"}],
        }
    ],
    "every_s": 0.5,
    "baseline_s": 5,
    "keep": "scores",
    "retention_days": 90,
    "smallest_group": 3,
    "curve_sigma_s": 1,
    "markers": [
        {"id": "m1", "stimulus": STIMULUS, "time_s": JOKE_S[0], "end_s": JOKE_S[1], "label": "Joke: the hat"},
        {"id": "m2", "stimulus": STIMULUS, "time_s": RAIN_S[0], "end_s": RAIN_S[1], "label": "Rain"},
        {"id": "m3", "stimulus": STIMULUS, "time_s": BANG_S[0], "end_s": None, "label": "Bang"},
    ],
}

_WORDS = ("Sweet", "Round", "Touching", "Short", "Colourful", "Gentle", "Surprising", "Kind", "Light")
_CHANGES = {
    2: "The rain is a little long; I was waiting for something to happen.",
    4: "Nothing. I would watch it again with my daughter.",
    5: "More of the hat, please.",
    8: "The bang came from nowhere. I liked that, but my cat did not.",
}
_AWAY: dict[int, tuple[tuple[float, float], ...]] = {4: ((28.0, 33.0),), 7: ((47.0, 52.0),), 10: ((5.0, 8.0),)}
"""Viewer → spans in seconds in which no face is found."""
_LEFT_S = {9: 60.0}


def write(folder: Path) -> Json:
    """Writes the whole sample into `folder`: FILES, older ones replaced, others left. Gives back the review.

    Some seconds, most of them for the film. Raises `MediaError` where something cannot be written.
    """
    from mien.study_report import page, paper, tables

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".part-", dir=folder) as scratch:
            part = Path(scratch)
            drawn = film(part / FILM)
            study = Study.read(DEFINITION)
            people = viewers()
            review = build(study, people, films={STIMULUS: drawn}, at=AT + timedelta(hours=3), simulated=SIMULATED)
            page.html(review, part / "review.html")
            paper.pdf(review, part / "review.pdf")
            (part / "review.json").write_text(json.dumps(review, ensure_ascii=False), encoding="utf-8")
            (part / "study.json").write_text(json.dumps(study.json(), ensure_ascii=False, indent=2), encoding="utf-8")
            tables.write(part, review, study, people)
            for name in FILES:
                (part / name).replace(folder / name)
    except OSError as error:
        raise MediaError(f"{folder}: cannot be written: {error.strerror or error}; give another --out") from error
    return review


def viewers() -> list[Viewer]:
    """Ten simulated viewers in two groups of five: the planted reactions with lags, absences, one who leaves, and answers."""
    groups = [{"cinema": "often" if n % 2 else "rarely"} for n in range(1, 11)]
    made = simulate({STIMULUS: DURATION_S}, {STIMULUS: SCENES}, groups, every_s=0.5, seed=5, away=_AWAY, left_s=_LEFT_S)
    return [_answered(n, viewer) for n, viewer in enumerate(made, 1)]


def simulate(
    durations_s: dict[str, float],
    scenes: dict[str, Sequence[Scene]],
    groups: Sequence[dict[str, str]],
    *,
    every_s: float = 0.5,
    seed: int = 0,
    away: dict[int, tuple[tuple[float, float], ...]] | None = None,
    left_s: dict[int, float] | None = None,
) -> list[Viewer]:
    """A viewer per entry of `groups`, whose face drifts slowly about a calm rest face of its own and reacts to the scenes.

    durations_s  stimulus → seconds; scenes: stimulus → reactions; every_s: seconds between looks
    away         viewer, from 1 → spans in seconds of each film in which no face is found; left_s: the second at which a viewer left
    """
    random = np.random.default_rng(seed)
    found = []
    for n, group in enumerate(groups, 1):
        rest = np.full(len(FERPLUS), -3.0) + random.normal(0, 0.5, len(FERPLUS))
        rest[0] = 0.8 + random.normal(0, 0.3)
        lag_s = random.uniform(0.3, 1.6)
        timelines, looks, with_face = {}, 0, 0
        for stimulus, duration_s in durations_s.items():
            times = np.arange(0.0, min(duration_s, (left_s or {}).get(n, duration_s)), every_s)
            times = times + random.uniform(0, every_s / 4, len(times))
            scores = rest + _drift(random, len(times), every_s)
            for scene in scenes.get(stimulus, ()):
                factor = scene.strength * (random.random() < scene.share) * random.uniform(0.7, 1.2)
                if scene.stronger and group.get(scene.stronger[0]) == scene.stronger[1]:
                    factor *= scene.stronger[2]
                scores[:, FERPLUS.index(scene.label)] += factor * _bump(times - lag_s, scene.start_s, scene.end_s)
            seen = random.random(len(times)) > 0.01
            for start_s, end_s in (away or {}).get(n, ()):
                seen &= (times < start_s) | (times >= end_s)
            timelines[stimulus] = timeline_of(times, _shares(scores), seen, stimulus, every_s)
            looks, with_face = looks + len(times), with_face + int(seen.sum())
        started = AT + timedelta(minutes=7 * n)
        whole = n not in (left_s or {})
        late = int(random.integers(0, 4)) if n != 3 else 31
        found.append(
            Viewer(
                name=str(n),
                timelines=timelines,
                baseline=_shares(rest + random.normal(0, 0.1, len(FERPLUS))).astype(np.float32),
                groups=group,
                started_at=started,
                finished_at=started + timedelta(seconds=sum(durations_s.values()) + 240) if whole else None,
                quality={
                    "looks": looks,
                    "with_face": with_face,
                    "late": late,
                    "dropped": 0,
                    "pauses": int(n == 6),
                    "gone_s": 12.5 if n == 3 else 0.0,
                    "finished": whole,
                },
            )
        )
    return found


def timeline_of(times: _Floats, emotions: _Floats, seen: NDArray[np.bool_], name: str, every_s: float) -> Timeline:
    """A Timeline of one face: (F,) times, (F, K) probabilities and a mask of the looks in which the face was found."""
    rows = np.flatnonzero(seen)
    n = len(rows)
    scores = emotions[rows].astype(np.float32)
    box = np.tile(np.array([220, 100, 420, 340], np.float32), (n, 1))
    info = MediaInfo(name, "camera", 640, 480, None, None, None, False, "simulated")
    settings = {"every": every_s, "simulated": True}
    tracks, sure = np.ones(n, np.int64), np.full(n, 0.95, np.float32)
    faces: dict[str, NDArray[Any]] = {"tracks": tracks, "boxes": box, "face_scores": sure, "emotions": scores}
    return Timeline.of_frames(info, FERPLUS, times, seen, faces, settings)


def _drift(random: np.random.Generator, looks: int, every_s: float) -> _Floats:
    """(looks, K) slow wandering in log odds: noise that remembers some 3 s, with the jitter of single looks on it."""
    keep = np.exp(-every_s / 3.0)
    steps = random.normal(0, 0.55 * np.sqrt(1 - keep**2), (looks, len(FERPLUS)))
    slow = np.array(list(accumulate(steps, lambda before, step: step + keep * before)))
    return np.asarray(slow + random.normal(0, 0.2, slow.shape))


def _bump(times: _Floats, start_s: float, end_s: float) -> _Floats:
    """(F,) from 0 up to 1 within a second after start_s and down to 0 again after end_s."""
    from scipy.special import expit

    return np.asarray(expit(4 * (times - start_s - 0.6)) - expit(2.5 * (times - end_s)))


def _shares(scores: _Floats) -> _Floats:
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _answered(n: int, viewer: Viewer) -> Viewer:
    """With answers that go loosely with what the face showed, as answers do."""
    random = np.random.default_rng(100 + n)
    answers: dict[str, Any] = {
        "cinema": viewer.groups["cinema"],
        "mood": int(np.clip(round(random.normal(3.8, 0.8)), 1, 5)),
        "age": float(random.integers(19, 68)),
    }
    if viewer.finished_at is not None:
        timeline = viewer.timelines[STIMULUS]
        emotions = timeline.emotions
        mean, high = emotions.mean(axis=0), np.quantile(emotions, 0.97, axis=0)
        felt = {
            label: int(np.clip(round(4.5 * most * most + 0.4 + random.normal(0, 0.6)), 0, 4))
            for label, most in zip(FERPLUS, high, strict=True)
        }
        felt["neutral"] = int(np.clip(round(4 * mean[0] + random.normal(0, 0.7)), 0, 4))
        answers |= {
            "felt": felt,
            "liking": int(np.clip(round(4.6 + 16 * timeline.valence.mean() + random.normal(0, 0.6)), 1, 7)),
            "best": [scene for scene, p in (("joke", 0.8), ("rain", 0.5), ("bang", 0.4), ("end", 0.6)) if random.random() < p],
            "word": _WORDS[n % len(_WORDS)],
        }
        if n in _CHANGES:
            answers["more"] = _CHANGES[n]
    return replace(viewer, answers=answers)
