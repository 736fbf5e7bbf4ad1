"""One film in several processes: each reads ranges of its time, and here they are joined to what one process gives.

What takes long depends on no more than a second of film: the detector begins anew at each whole second (`mien.detect.Watch`), the
network reads each face by itself, and a cut is seen from one look to the next. So a range begins at a whole second and with a lead
to warm up with, and gives each look's faces and cuts; tracks and smoothing, which depend on all that came before and cost little,
are made here, of all looks in their order. At each seam both ranges must have seen the same frame, to the last bit, at the same
time; where they have not, or a film cannot be jumped in, it is gone through from the beginning.
"""

import functools
import itertools
import math
import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future, wait
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mien.analyze import Analyzer, StreamState
from mien.cuts import Changed, Cuts
from mien.errors import MediaError
from mien.flow import Until
from mien.media import Media, Seam, TimeRange
from mien.report import Stills
from mien.types import Faces, Frame, FrameResult

LEAST_S, MOST_S = 30.0, 300.0
"""Seconds of a range: shorter ones cost more than they save, and of longer ones the results would take memory."""

_LEAD_S = 2.0

_ASK_S = 0.1

_NO_PICTURE = np.zeros((1, 1, 3), np.uint8)
"""In the frames that come from other processes."""


class Options(Protocol):
    """How a film is analysed; it travels to other processes, and is the same there."""

    @property
    def every(self) -> float | None: ...
    @property
    def max_pixels(self) -> int | None: ...
    def analyzer(self) -> Analyzer: ...
    def __hash__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Range:
    """From `start_s` to `end_s` of a film, and how it is read."""

    source: str
    name: str
    rotate: int
    start_s: float
    end_s: float
    options: Options
    pictures: bool


@dataclass(slots=True)
class Looks:
    """What was seen in a range.

    results  without their pictures; tracks and smoothed scores are those of the range alone
    zero     what frames are counted from in `results`: the index that the range's first one has there
    cuts     what `mien.cuts` said at each look
    count    frames that were decoded, of which each may have no look, or several
    at_start, at_end, end_s  see `TimeRange`; end_s is None where the film goes on
    damage   why nothing more could be read
    """

    results: list[FrameResult] = field(default_factory=list)
    cuts: list[Changed | None] = field(default_factory=list)
    stills: Stills | None = None
    zero: int = 0
    count: int = 0
    at_start: Seam | None = None
    at_end: Seam | None = None
    end_s: float | None = None
    damage: str | None = None
    cpu_s: float = 0.0


def divided(media: Media, jobs: int) -> list[tuple[float, float]]:
    """The ranges of a film for so many processes, in whole seconds; one, to infinity, where it is not worth it or cannot be."""
    length_s = media.info.duration_s
    if jobs < 2 or length_s is None or not media.can_jump:
        return [(0.0, math.inf)]
    count = min(jobs * math.ceil(length_s / (jobs * MOST_S)), int(length_s // LEAST_S))
    seams = [0.0, *(float(round(k * length_s / count)) for k in range(1, count)), math.inf]
    return list(itertools.pairwise(seams))


class _Noting(StreamState):
    """It keeps what was said of cuts."""

    def __init__(self, smoothing_s: float) -> None:
        super().__init__(smoothing_s)
        self.cuts: list[Changed | None] = []

    def update(
        self, faces: Faces, time_s: float, emotions: NDArray[np.float32], changed: Changed | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        self.cuts.append(changed)
        return super().update(faces, time_s, emotions, changed)


def look(part: Range) -> Looks:
    """Reads one range, in whatever process. Raises `MediaError` where that cannot be done, `ModelError` for the models."""
    analyzer, began = analyzer_of(part.options), time.process_time()
    lead_s = max(_LEAD_S, 2 * math.ceil(part.options.every or 0))
    while (looks := _looked(part, analyzer, lead_s)) is None:
        lead_s *= 2
    looks.cpu_s = time.process_time() - began
    return looks


@functools.lru_cache(maxsize=1)
def analyzer_of(options: Options) -> Analyzer:
    """One a process, however many files or ranges it gets."""
    return options.analyzer()


def _looked(part: Range, analyzer: Analyzer, lead_s: float) -> Looks | None:
    """None where the lead was too short to know what the whole film's reading knows at the seam."""
    state, before = _Noting(analyzer.smoothing_s), Cuts()
    found = Looks(stills=Stills() if part.pictures else None)
    media = TimeRange.open(
        part.source,
        part.start_s,
        part.end_s,
        lead_s,
        name=part.name,
        max_pixels=part.options.max_pixels,
        rotate=part.rotate,
    )
    whole = media.lead_s == part.start_s
    with media, closing(analyzer.stream(media, part.options.every, state=state)) as results:  # type: ignore[type-var]
        try:
            for result in results:
                if result.time_s < part.start_s:
                    before.look(result.frame.rgb, result.time_s)
                    continue
                if not (found.results or whole or before.knows):
                    return None
                if found.stills is not None:
                    found.stills.add(result)
                found.results.append(replace(result, frame=Frame(result.frame.index, result.time_s, _NO_PICTURE)))
        except MediaError as error:
            found.damage = str(error)
        if not (whole or media.settled or found.damage):
            return None
        found.cuts = state.cuts[len(state.cuts) - len(found.results) :]
        found.zero, found.count, found.at_start, found.at_end = media.zero, media.count, media.at_start, media.at_end
        found.end_s = media.film_end_s if media.at_end is None else None
    return found


class Joined:
    """The results of all ranges, as `Analyzer.stream` gives them of the whole film but without their pictures.

    stills  gets what the ranges collected
    cpu_s   what the other processes have taken so far
    whole_from_s  from where on it was gone through by this process alone, since the ranges did not fit; None where they did
    """

    def __init__(
        self,
        media: Media,
        source: str | os.PathLike[str],
        options: Options,
        ranges: list[tuple[float, float]],
        stills: Stills | None,
    ) -> None:
        self.media, self.options, self.stills, self.cpu_s = media, options, stills, 0.0
        self.whole_from_s: float | None = None
        parts = ((os.fspath(source), media.info.name, media.info.rotated_deg, *span) for span in ranges)
        self.parts = [Range(*part, options, stills is not None) for part in parts]

    def results(self, analyzer: Analyzer, pool: Executor, ahead: int, until: Until | None = None) -> Iterator[FrameResult]:
        """`ahead` ranges are worked on at a time. Ends by `until`, and raises, as `Analyzer.stream` does."""
        state, seam, offset = analyzer.begin(), None, 0
        last: FrameResult | None = None
        queue, running = deque(self.parts), deque[Future[Looks]]()
        for number, part in enumerate(self.parts):
            while queue and len(running) < ahead:
                running.append(pool.submit(look, queue.popleft()))
            while until is not None and not wait([running[0]], timeout=_ASK_S).done:
                if until():
                    return
            try:
                looks = running.popleft().result()
                fits = not number or looks.at_start == seam
            except MediaError:  # a film that cannot be jumped in
                fits = False
            if not fits:
                for future in running:
                    future.cancel()
                yield from self._whole(analyzer, part.start_s, until)
                return
            self.cpu_s += looks.cpu_s
            who: dict[tuple[int, float], int] = {}
            for result, changed in zip(looks.results, looks.cuts, strict=True):
                seen = replace(result, frame=replace(result.frame, index=result.frame.index + offset - looks.zero))
                if last is not None and last.frame.index == seen.frame.index:  # held over the seam, and read before it
                    seen = replace(last, frame=seen.frame)
                ids, smoothed = state.update(seen.faces, seen.time_s, seen.emotions, changed)
                if len(ids) == len(result.tracks):
                    who |= {(track, seen.time_s): own for track, own in zip(result.tracks.tolist(), ids.tolist(), strict=True)}
                last = replace(seen, tracks=ids, smoothed=smoothed)
                yield last
            if self.stills is not None and looks.stills is not None:
                self.stills.take(looks.stills, who)
            offset, seam = offset + looks.count, looks.at_end
            if looks.damage is not None:
                raise MediaError(looks.damage)
            if looks.end_s is not None:
                self.media.check_end(offset, looks.end_s)
                return

    def _whole(self, analyzer: Analyzer, from_s: float, until: Until | None) -> Iterator[FrameResult]:
        """What is left, by going through all of it."""
        self.whole_from_s = from_s
        with closing(analyzer.stream(self.media, self.options.every, until=until)) as results:  # type: ignore[type-var]
            for result in results:
                if result.time_s >= from_s:
                    if self.stills is not None:
                        self.stills.add(result)
                    yield result
