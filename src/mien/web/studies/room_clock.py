"""Which second of a film each second of a room's recording saw, and who of those seen there counts as a viewer.

A room is one camera before many people. Its recording has a clock of its own; the film has another, which stands still in a pause
and jumps where somebody seeks. Nothing here reads a file or a row: Timelines in, Timelines out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.types import PER_FACE, MediaInfo, Timeline

SEEN_LEAST = 0.1
"""Faces seen in a smaller share of the looks that fall into the film are fragments, no viewers: somebody who walked past, a picture
on the wall, a face that the camera found once."""

AWAY_S = 30.0
"""Somebody who looks down or hides behind a neighbour for no longer than this, and is found again in the same place, is one viewer.
The tracker, which has live pages and people who walk to think of, waits a second."""

SAME_PLACE = 0.4
"""Overlap of two boxes, as intersection over union, from which they are the same seat."""

REST_LEAST_S = 3.0
"""So much must have been recorded before the film for it to count as the faces at rest."""

_SLOWEST, _FASTEST = 0.5, 2.0
"""Between two pairs of a clock a film runs where its seconds pass at about the recording's pace; else it stands or was moved."""

_ENDS = 5
"""Looks at the end of one face and at the beginning of the next from which their places are taken."""

Clock = Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a recording in which the film ran: [start_s, end_s) of the recording, from film_s on, `pace` film seconds each
    second."""

    start_s: float
    end_s: float
    film_s: float
    pace: float = 1.0

    def film_at(self, recording_s: NDArray[np.float64]) -> NDArray[np.float64]:
        if math.isinf(self.start_s):
            return recording_s + self.film_s
        return self.film_s + (recording_s - self.start_s) * self.pace


def check_clock(clock: Any) -> list[list[float]]:
    """The pairs of a clock as they are kept: [[recording seconds, film seconds], …]. Raises `ValueError` with wanted and given."""
    if not isinstance(clock, list | tuple):
        raise ValueError(f"clock: wanted pairs of seconds [[recording, film], …], but got {clock!r:.60}")
    pairs: list[list[float]] = []
    for pair in clock:
        numbers = isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(s, int | float) for s in pair)
        if not numbers or not all(math.isfinite(s) and abs(s) < 1e6 for s in pair) or pair[1] < 0:
            raise ValueError(f"clock: wanted two numbers of seconds, recording and film, but got {pair!r:.60}")
        if pairs and pair[0] < pairs[-1][0]:
            raise ValueError(f"clock: the recording's seconds must not go back, but {pair[0]:g} s came after {pairs[-1][0]:g} s")
        pairs.append([round(float(pair[0]), 3), round(float(pair[1]), 3)])
    return pairs


def spans(offset_s: float, clock: Clock | None) -> list[Span]:
    """The pieces of a recording in which the film ran, in order of the recording.

    offset_s  without a clock: the film's time at the recording's 0 s; with one: what is added to its film seconds
    clock     pairs (recording seconds, film seconds), between which the film runs evenly, stands (a pause), or jumps (a seek: two
              pairs at the same moment, or a pace that no film has). One pair alone is a start mark: the film runs on from there.
              No pair at all: the film's start is not known yet, and nothing is of the film
    """
    if clock is None:
        return [Span(-math.inf, math.inf, offset_s)]
    if len(clock) == 1:
        return [Span(clock[0][0], math.inf, clock[0][1] + offset_s)]
    found = []
    for (start_s, film_s), (end_s, later_s) in pairwise(clock):
        pace = (later_s - film_s) / (end_s - start_s) if end_s > start_s else 0.0
        if _SLOWEST <= pace <= _FASTEST:
            found.append(Span(start_s, end_s, film_s + offset_s, pace))
    return found


def on_film(timeline: Timeline, played: Sequence[Span], film_s: float | None, name: str = "room") -> Timeline:
    """What was seen while the film ran, on the film's clock: times rise, pauses are left out.

    Where a part of the film ran twice, the first time counts, as for everybody who watches a film. film_s: how long it is, where
    that is known; nothing is kept of what comes after.
    """
    times = timeline.times
    looks: list[NDArray[np.int64]] = []
    at: list[NDArray[np.float64]] = []
    had: list[tuple[float, float]] = []
    for number, span in enumerate(played):
        last = number == len(played) - 1
        within = (times >= span.start_s) & ((times <= span.end_s) if last else (times < span.end_s))
        film = span.film_at(times)
        keep = within & (film >= 0) & (film <= (math.inf if film_s is None else film_s))
        for low, high in had:
            keep &= (film < low) | (film >= high)
        looks.append(np.flatnonzero(keep))
        at.append(film[keep])
        if not math.isinf(span.start_s):
            had.append((span.film_s, span.film_s + (span.end_s - span.start_s) * span.pace))
    rows = np.concatenate([np.zeros(0, np.int64), *looks])
    film = np.concatenate([np.zeros(0), *at])
    film, first = np.unique(film, return_index=True)
    rows = rows[first]
    place = np.full(len(timeline), -1)
    place[rows] = np.arange(len(rows))
    where = place[timeline.frame_rows]
    faces = np.flatnonzero(where >= 0)
    faces = faces[np.argsort(where[faces], kind="stable")]
    duration_s = float(film[-1]) if len(film) else None
    info = MediaInfo(name, "camera", timeline.info.width, timeline.info.height, duration_s, None, None, False, "room")
    settings = {key: value for key, value in timeline.settings.items() if key != "pauses_s"}
    columns = {column: getattr(timeline, column)[faces] for column in PER_FACE if column != "frame_rows"}
    return replace(
        timeline, info=info, frames=timeline.frames[rows], times=film, frame_rows=where[faces], settings=settings, **columns
    )


@dataclass(frozen=True, slots=True)
class Counted:
    """Who was seen during the film. viewers: track ids that count, rising; left_out: fragments; together: the most seen at once."""

    viewers: tuple[int, ...]
    left_out: tuple[int, ...]
    together: int


def counted(film: Timeline) -> Counted:
    """Who counts, of a Timeline on the film's clock; see `SEEN_LEAST`."""
    ids, looks = np.unique(film.tracks, return_counts=True)
    enough = looks >= SEEN_LEAST * len(film)
    together = int(film.faces_per_frame.max()) if len(film) else 0
    return Counted(tuple(ids[enough].tolist()), tuple(ids[~enough].tolist()), together)


def counts(whole: Timeline, offset_s: float, clock: Clock | None, film_s: float | None) -> dict[str, Any]:
    """What is known of a room: who of a recording is seen in the film, which lasts `film_s`, and how long the recording is."""
    who = counted(on_film(whole, spans(offset_s, clock), film_s))
    duration_s = float(whole.times[-1]) if len(whole) else 0.0
    return {"duration_s": duration_s, "people": len(who.viewers), "left_out": len(who.left_out), "together": who.together}


def alone(film: Timeline, track: int) -> Timeline:
    """The same with one person's rows only; all looks stay, so that it is known when the person was looked for and not seen."""
    return film.only(film.tracks == track)


def at_rest(timeline: Timeline, played: Sequence[Span], seconds: float) -> dict[int, NDArray[np.float32]]:
    """For each track its mean probabilities (K,) in the `seconds` just before the film first ran, where these were recorded.

    Empty where less than `REST_LEAST_S` was recorded before; a track must be seen in half of those looks.
    """
    begun_s = min((span.start_s if math.isfinite(span.start_s) else -span.film_s for span in played), default=-math.inf)
    if not len(timeline) or begun_s - max(0.0, float(timeline.times[0])) < REST_LEAST_S:
        return {}
    window = (timeline.times >= begun_s - max(seconds, REST_LEAST_S)) & (timeline.times < begun_s)
    of_window = window[timeline.frame_rows]
    means = {}
    for track in np.unique(timeline.tracks[of_window]).tolist():
        rows = of_window & (timeline.tracks == track)
        if rows.sum() * 2 >= window.sum():
            means[track] = timeline.emotions[rows].mean(axis=0)
    return means


def reseated(timeline: Timeline) -> Timeline:
    """The same with a face that is found again in the place where one was lost counted as that one: see `AWAY_S`, `SAME_PLACE`.

    People who sit are told apart by where they sit. Nothing else about a face is compared, so that nobody is recognised. Tracks
    that were seen at the same time are never joined.
    """
    tracks = np.array(timeline.tracks)
    times = timeline.face_times
    ended: list[tuple[float, NDArray[np.float64], int]] = []  # when and where each was last seen, and as whom it counts
    for track in timeline.track_ids:  # in the order in which they appear
        rows = np.flatnonzero(timeline.tracks == track)
        first, last = (np.median(timeline.boxes[part], axis=0).astype(np.float64) for part in (rows[:_ENDS], rows[-_ENDS:]))
        start_s, who = float(times[rows[0]]), track
        near = [(_overlap(box, first), k) for k, (end_s, box, _) in enumerate(ended) if start_s - AWAY_S <= end_s < start_s]
        best, k = max(near, default=(0.0, -1))
        if best >= SAME_PLACE:
            who = ended.pop(k)[2]
            tracks[rows] = who
        ended.append((float(times[rows[-1]]), last, who))
    return replace(timeline, tracks=tracks)


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    common = float(np.prod(np.maximum(sides, 0)))
    return common / max(float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - common, 1e-9)
