"""A film between two of its times, for as many readers at a time as there are ranges."""

import hashlib
import math
import os
from collections.abc import Iterator
from typing import Any, Self

from mien.errors import MediaError
from mien.media.film import Film
from mien.media.read import Media, Plan, open_media
from mien.types import Frame

Seam = tuple[float, str]
"""A frame's time and what it shows, as a hash: by this two ranges can see that they fit."""


class TimeRange(Media):
    """The frames of a film from `start_s` up to `end_s`, and those of `lead_s` before them, to warm up with.

    They are found by jumping to a key frame, and `shown` gives what `Media.shown` gives of this time, but that `Frame.index` counts
    from the key frame. Once all were taken, `zero` is the index of the first frame at or after `start_s`, `count` how many were
    decoded from there up to `end_s`, and `at_start` and `at_end` are the first frames at or after the two; None where the
    film ends before.
    """

    start_s = 0.0
    end_s = 0.0
    lead_s = 0.0
    zero = 0
    count = 0
    at_start: Seam | None = None
    at_end: Seam | None = None
    settled = False
    """Whether the lead was long enough for frames that are held to be given as in the whole film."""

    @classmethod
    def open(
        cls,
        source: str | os.PathLike[str],
        start_s: float,
        end_s: float,
        lead_s: float,
        *,
        name: str | None = None,
        max_pixels: int | None = None,
        rotate: int = 0,
    ) -> Self:
        """Raises `MediaError` where the film cannot be opened, or not be gone through from there on."""
        whole = open_media(source, kind="video", name=name, max_pixels=max_pixels, rotate=rotate)
        film = whole._films[0]
        media = cls(whole.info, None, film, None)
        media.start_s, media.end_s, media.lead_s = start_s, end_s, min(lead_s, start_s)
        if media.lead_s < start_s:
            try:
                if not isinstance(film, Film) or not film.can_jump:
                    raise MediaError(f"{media.info.name}: cannot be gone through from {start_s:.2f} s on")
                film.jump(start_s - media.lead_s)
            except MediaError:
                media.close()
                raise
        return media

    @property
    def film_end_s(self) -> float:
        """When the film ends, once its last frame was decoded; infinity where its clock jumped, so that nobody can tell."""
        film = self._films[0]
        return math.inf if isinstance(film, Film) and film.clock_jumped else film.end_s

    def shown(self, every: float | None = None) -> Iterator[Frame]:
        plan, film = Plan(self._step(every), fill=True, held=True), self._films[0]
        from_s, counted = self.start_s - self.lead_s, False
        last: tuple[int, float, Any] | None = None
        if from_s > 0:
            last = self._decoded(film)
            assert last is not None
            plan.begin(last[1])
        while True:
            decoded = self._decoded(film)
            index, time_s = (last[0] + 1 if last else 0, film.end_s) if decoded is None else decoded[:2]
            if last is not None:
                yield from self._of_time(film, last, plan.again(last[1], time_s), from_s)
            if not counted and (decoded is None or time_s >= self.start_s):
                counted, self.zero, self.settled = True, index, plan.settled or from_s <= 0
                self.at_start = decoded and (time_s, _shows(film, decoded[2]))
            if decoded is None or time_s >= self.end_s:
                self.count = index - self.zero
                self.at_end = decoded and (time_s, _shows(film, decoded[2]))
                return
            last = decoded
            if plan.wants(time_s):
                yield from self._of_time(film, decoded, (time_s,), from_s)

    def _decoded(self, film: Any) -> tuple[int, float, Any] | None:
        with self._lock:
            self._check_open()
            found: tuple[int, float, Any] | None = next(film.decoded, None)
        return found

    def _of_time(self, film: Any, decoded: tuple[int, float, Any], times_s: Any, from_s: float) -> Iterator[Frame]:
        rgb: Any = None
        for time_s in times_s:
            if from_s <= time_s < self.end_s:
                rgb = film.rgb(decoded[2]) if rgb is None else rgb
                yield Frame(decoded[0], time_s, rgb)


def _shows(film: Any, picture: Any) -> str:
    return hashlib.blake2b(film.rgb(picture).tobytes(), digest_size=16).hexdigest()
