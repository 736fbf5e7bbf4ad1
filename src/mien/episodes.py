"""Scores → spans ("happiness from 12.4 s to 15.0 s") by hysteresis. One code for live and file.

The rules, for each track on its own:

- A sample stands for the time until the next sample of its track. So at one look each two seconds one happy look is two seconds
  of happiness, and `min_s` does not drop it. The last sample before the track is interrupted or ends has no next one: against
  `min_s` it counts for the usual interval of its track, but the episode still ends at the last time seen, so it may have the
  length 0. A face that was seen once only shows nothing that lasts, unless `min_s` is 0.
- An expression begins where it is the most probable one with at least `enter`. It holds while it keeps at least `leave` and no
  other is the most probable one with at least `enter`.
- An episode is an expression that held for at least `min_s`; it ends at the first sample of a break of at least `min_s`. Shorter
  breaks belong to the episode, shorter beginnings are dropped: a flicker neither makes an episode nor cuts one in two.
- Time in which the face was unseen confirms nothing by itself: one odd sample before a hand covers the face stays a flicker.
- A track that nobody saw for longer than `max_gap_s` ends its episode at the last time seen. Where looks are rarer than that, the
  track's own sampling interval counts instead, with half an interval granted: max(max_gap_s, interval) + interval / 2. The first
  interval after a track appears, or appears again, is taken for its sampling interval.

So the episodes of one track never overlap (they may touch), and what one track does never changes another's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.types import Episode, Timeline

_TICK_S = 1e-6
"""Differences of timestamps are compared to within a microsecond: 0.7 − 0.4 must count as 0.3."""

_LEARNING = 0.2
"""Weight of the newest interval in a track's mean sampling interval."""

_RAREST_S = 60.0
"""A first interval longer than this is no sampling interval: the two looks have nothing to do with each other."""


_CHUNK = 1024
"""Rows turned into Python's numbers at a time: those of an hour are 30 MB."""


@dataclass(frozen=True, slots=True)
class EpisodeOptions:
    """When an episode begins and ends. Raises `ValueError` unless 0 < leave <= enter <= 1, min_s >= 0 and max_gap_s > 0.

    enter      probability in (0, 1] at which the leading expression begins
    leave      probability in (0, enter] under which it ends
    min_s      seconds; what is shorter is flicker. 0 takes every sample as it is
    max_gap_s  seconds for which a face may be unseen within one episode
    """

    enter: float = 0.5
    leave: float = 0.35
    min_s: float = 0.3
    max_gap_s: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.leave <= self.enter <= 1:
            raise ValueError(f"wanted 0 < leave <= enter <= 1, but got leave {self.leave} and enter {self.enter}")
        if not 0 <= self.min_s < math.inf:
            raise ValueError(f"min_s must be 0 s or more, but got {self.min_s}")
        if not self.max_gap_s > 0:
            raise ValueError(f"max_gap_s must be more than 0 s, but got {self.max_gap_s}")


class _Span:
    """An expression (column of the scores) that began at `start_s`, and its highest score so far."""

    __slots__ = ("column", "peak", "peak_time_s", "start_s")

    def __init__(self, column: int, start_s: float, score: float) -> None:
        self.column = column
        self.start_s = start_s
        self.peak = score
        self.peak_time_s = start_s


class _Stretch:
    """A track since it was last interrupted.

    shown     the episode under way, if one has lasted long enough
    left_s    since when `shown` does not hold
    rising    the expression that holds now but not yet long enough
    """

    __slots__ = ("interval_s", "last_s", "left_s", "rising", "shown")

    def __init__(self, time_s: float) -> None:
        self.last_s = time_s
        self.interval_s: float | None = None
        self.shown: _Span | None = None
        self.left_s: float | None = None
        self.rising: _Span | None = None


class EpisodeFinder:
    """Finds episodes while they happen. Feed it face by face, each track in order of time; tracks may come in any order.

    labels   the K names of the scores' columns
    """

    def __init__(self, labels: Sequence[str], options: EpisodeOptions | None = None) -> None:
        self.labels = tuple(labels)
        if not self.labels or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"labels must be one or more different names, but got {self.labels}")
        self.options = EpisodeOptions() if options is None else options
        self._min_s = self.options.min_s - _TICK_S
        self._stretches: dict[int, _Stretch] = {}

    def update(self, track: int, time_s: float, scores: Sequence[float] | NDArray[np.floating[Any]]) -> list[Episode]:
        """Takes the K probabilities of one face at `time_s`; returns the episodes of this track that are over now.

        An end is certain, and returned, `min_s` after it happened. Raises `ValueError` for a wrong number of scores and for a
        time that is not finite or earlier than the track's last one.
        """
        row: Sequence[float] = scores.tolist() if isinstance(scores, np.ndarray) else scores
        if len(row) != len(self.labels):
            raise ValueError(f"scores must be {len(self.labels)} numbers, one per label, but got {len(row)}")
        ended: list[Episode] = []
        stretch = self._stretches.get(track)
        if stretch is None:
            if not math.isfinite(time_s):
                raise ValueError(f"time_s must be finite, but got {time_s}")
            self._stretches[track] = stretch = _Stretch(time_s)
        else:
            elapsed = time_s - stretch.last_s
            if not 0 <= elapsed < math.inf:
                raise ValueError(f"the times of a track must be finite and not decrease; after {stretch.last_s} came {time_s}")
            if elapsed > self._limit_s(stretch):
                self._close(track, stretch, ended)
                self._stretches[track] = stretch = _Stretch(time_s)
            else:
                interval = stretch.interval_s
                if interval is None:
                    interval = elapsed
                self._settle(track, stretch, stretch.last_s + min(elapsed, 1.5 * interval), ended)
                stretch.interval_s = interval + _LEARNING * (elapsed - interval)
                stretch.last_s = time_s

        best = max(row)
        lead = row.index(best)
        strong = best >= self.options.enter
        leave = self.options.leave
        shown = stretch.shown
        if shown is not None:
            score = row[shown.column]
            if score >= leave and not (strong and score < best):
                stretch.left_s = stretch.rising = None
                if score > shown.peak:
                    shown.peak, shown.peak_time_s = score, time_s
                return ended
            if stretch.left_s is None:
                stretch.left_s = time_s
        rising = stretch.rising
        if rising is not None:
            score = row[rising.column]
            if score >= leave and not (strong and score < best):
                if score > rising.peak:
                    rising.peak, rising.peak_time_s = score, time_s
                return ended
        stretch.rising = _Span(lead, time_s, best) if strong else None
        if self._min_s < 0:  # nothing to wait for
            self._settle(track, stretch, time_s, ended)
        return ended

    def open_episodes(self) -> list[Episode]:
        """Those under way, each up to the last time that its track showed it, by start and then by track."""
        found = [
            self._episode(track, s.shown, s.last_s if s.left_s is None else s.left_s)
            for track, s in self._stretches.items()
            if s.shown is not None
        ]
        return sorted(found, key=_order)

    def expire(self, time_s: float) -> list[Episode]:
        """Ends the tracks that at `time_s` have been unseen for too long and forgets them; returns their last episodes.

        For live use, where nothing else would say that somebody has left. It only brings forward what `update` or `finish`
        would return later.
        """
        ended: list[Episode] = []
        for track, stretch in list(self._stretches.items()):
            if time_s - stretch.last_s > self._limit_s(stretch):
                self._close(track, stretch, ended)
                del self._stretches[track]
        return sorted(ended, key=_order)

    def finish(self) -> list[Episode]:
        """Ends all tracks at the last time that each was seen; returns what was under way. The finder is then as new."""
        ended: list[Episode] = []
        for track, stretch in self._stretches.items():
            self._close(track, stretch, ended)
        self._stretches.clear()
        return sorted(ended, key=_order)

    def _limit_s(self, stretch: _Stretch) -> float:
        """How long the track may be unseen."""
        interval = stretch.interval_s
        if interval is None:
            return max(self.options.max_gap_s, _RAREST_S)
        return max(self.options.max_gap_s, interval) + interval / 2

    def _settle(self, track: int, stretch: _Stretch, time_s: float, ended: list[Episode]) -> None:
        """What has lasted long enough by `time_s` becomes certain: first the end of the old episode, then the begin of the new."""
        left = stretch.left_s
        if left is not None and time_s - left >= self._min_s:
            assert stretch.shown is not None
            ended.append(self._episode(track, stretch.shown, left))
            stretch.shown = stretch.left_s = None
        rising = stretch.rising
        if rising is not None and stretch.shown is None and time_s - rising.start_s >= self._min_s:
            stretch.shown, stretch.rising = rising, None

    def _close(self, track: int, stretch: _Stretch, ended: list[Episode]) -> None:
        """Ends a stretch at the last time seen; that last sample counts for one more interval against `min_s`."""
        last = stretch.last_s
        self._settle(track, stretch, last + (stretch.interval_s or 0.0), ended)
        if stretch.shown is not None:
            ended.append(self._episode(track, stretch.shown, last if stretch.left_s is None else stretch.left_s))

    def _episode(self, track: int, span: _Span, end_s: float) -> Episode:
        return Episode(track, self.labels[span.column], span.start_s, end_s, span.peak, span.peak_time_s)


def find_episodes(timeline: Timeline, options: EpisodeOptions | None = None) -> list[Episode]:
    """All episodes of a Timeline, found in the smoothed scores of the rows that can be relied on; by start, then by track."""
    timeline = timeline.relied()
    finder = EpisodeFinder(timeline.labels, options)
    found: list[Episode] = []
    for start in range(0, len(timeline.tracks), _CHUNK):
        part = slice(start, start + _CHUNK)
        times = timeline.times[timeline.frame_rows[part]]
        rows = zip(timeline.tracks[part].tolist(), times.tolist(), timeline.smoothed[part].tolist(), strict=True)
        for track, time_s, scores in rows:
            found += finder.update(track, time_s, scores)
    found += finder.finish()
    return sorted(found, key=_order)


def _order(episode: Episode) -> tuple[float, int]:
    return episode.start_s, episode.track
