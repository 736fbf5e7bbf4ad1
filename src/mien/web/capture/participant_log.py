"""What was measured of one participant, on the disk: a log of frames for each film, see `frame_log`.

    <stimulus>.log   a record of facts, then one for each frame: the film's time and the numbers of the person's face
    baseline.log     the same of the neutral face before the films
    pictures.log     the frames as they came, only where the study says so and the person agreed

Whoever else is in the picture is counted, and nothing more. What a log is read into is a Timeline on the film's own clock.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.errors import MediaError
from mien.follow import Followed
from mien.types import Faces, Frame, FrameResult, MediaInfo, Timeline
from mien.web.capture import frame_log
from mien.web.capture.frame_log import FrameLog, FrameWriter, Row
from mien.web.capture.log_file import records
from mien.web.capture.wire import FrameHead

BASELINE, PICTURES = "baseline", frame_log.PICTURES
BASELINE_SHARE_MIN = 0.5
"""A baseline counts where at least this share of its looks found a face."""

_PACE = 1.25
_JUMP_S = 1.0
"""A film that gains more on the clock than this has jumped: it was sought, or begun anew."""


class Looks(FrameLog):
    """What one log holds. Facts: stimulus; then: [{"from": sequence, "settings": …}, …] where another model went on with the film;
    largest_until: the last frame of those of which the largest face was taken, before people were followed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        if not isinstance(self.facts.get("stimulus"), str):
            raise MediaError(f"{path.name}: is not a log of what was seen during a film")
        if self.old:
            self.facts["largest_until"] = self.last

    @property
    def position_s(self) -> float | None:
        """How far the film was measured."""
        return float(self.rows["time_s"].max()) if len(self.rows) else None

    @property
    def with_face(self) -> int:
        return int((self.rows["faces"] > 0).sum())

    @property
    def with_others(self) -> int:
        """Frames in which somebody else was in view."""
        return int((self.rows["in_view"] > self.rows["faces"]).sum())

    @property
    def gone_on(self) -> int:
        """How many times the person's track had ended and another one was gone on with."""
        return int((np.diff(self.faces["track"]) > 0).sum())

    def timeline(self, duration_s: float | None = None) -> Timeline:
        """What was seen of the person while the film ran, each moment as it was watched for the first time."""
        width, height = (int(self.rows[0]["width"]), int(self.rows[0]["height"])) if len(self.rows) else (0, 0)
        info = MediaInfo(self.facts["stimulus"], "camera", width, height, duration_s, None, None, False, "live")
        settings = self.facts["settings"] | ({"then": self.facts["then"]} if "then" in self.facts else {})
        found = self.timeline_of(info, settings, first_exposure(self.rows))
        return replace(found, tracks=np.ones(len(found.tracks), np.int64))  # one person, on however many tracks


def first_exposure(rows: NDArray[Any]) -> NDArray[np.intp]:
    """Which rows count, in order of the film's time: of a moment that was watched more than once, those of the first time.

    A run is what was watched without a jump; a pause or a stall does not end it, a seek or another page does. What a later run has
    in common with earlier ones is left out, also where no face was found the first time.
    """
    if not len(rows):
        return np.zeros(0, np.intp)
    film = rows["time_s"].copy()
    ahead = np.diff(film)
    jumped = (ahead < 0) | (ahead > _PACE * np.diff(rows["captured_s"]) + _JUMP_S) | (np.diff(rows["part"].astype(int)) != 0)
    starts = np.concatenate([[0], np.flatnonzero(jumped) + 1, [len(rows)]])
    keep = np.ones(len(rows), bool)
    keep[1:] = jumped | (ahead > 0)  # while the film stands still its first look counts
    known = _Spans()
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        for since_s, until_s in known.add(float(film[start]), float(film[end - 1])):
            keep[start:end] &= (film[start:end] < since_s) | (film[start:end] > until_s)
    kept = np.flatnonzero(keep)
    return kept[np.argsort(film[kept], kind="stable")]


class _Spans:
    """What was watched of a film, as spans that lie apart, in order: however often somebody jumps, each look costs little."""

    def __init__(self) -> None:
        self._since: list[float] = []
        self._until: list[float] = []

    def add(self, since_s: float, until_s: float) -> list[tuple[float, float]]:
        """Adds a span; gives those that were there before and have something in common with it."""
        first, last = bisect_left(self._until, since_s), bisect_right(self._since, until_s)
        met = list(zip(self._since[first:last], self._until[first:last], strict=True))
        self._since[first:last] = [min([since_s, *self._since[first:last]])]
        self._until[first:last] = [max([until_s, *self._until[first:last]])]
        return met


class Baseline:
    """The neutral face of a participant: emotions (K,) float32, the mean of the faces found, or None and why."""

    def __init__(self, looks: "Looks | None", baseline_s: float) -> None:
        self.emotions: NDArray[np.float32] | None = None
        self.looks = self.with_face = 0
        if looks is not None and len(looks.rows):
            # The last try counts: whoever was not seen well the first time begins again.
            rows = np.flatnonzero((looks.rows["part"] == looks.part) & (looks.rows["time_s"] < baseline_s))
            seen = looks.faces[looks.of(rows)]
            self.looks, self.with_face = len(rows), len(seen)
        if not self.looks:
            self.why: str | None = "It was not taken."
        elif self.with_face < BASELINE_SHARE_MIN * self.looks:
            self.why = f"A face was found in only {self.with_face} of {self.looks} looks; at least half of them need one."
        else:
            self.emotions, self.why = seen["emotions"].mean(axis=0), None


def look(
    head: FrameHead,
    part: int,
    size: tuple[int, int],
    light: float,
    faces: Faces,
    followed: Followed,
    emotions: NDArray[np.float32],
    labels: tuple[str, ...],
    reliability: NDArray[np.float32] | None = None,
    flags: NDArray[np.uint8] | None = None,
) -> Row:
    """One frame of a participant: of the faces only that of the person is kept. size: width and height in pixels."""
    assert head.film_s is not None
    of = slice(0) if followed.face is None else slice(followed.face, followed.face + 1)
    tracks = np.full(len(emotions[of]), followed.track)
    judged: Any = [None if column is None else column[of] for column in (reliability, flags)]
    frame = Frame(0, head.film_s, frame_log.UNSEEN)
    result = FrameResult(frame, faces[of], tracks, labels, emotions[of], emotions[of], *judged)
    return Row(head.sequence, head.captured_s, *size, part, result, in_view=len(faces), light=light, late=head.late)


class LookWriter(FrameWriter):
    """Takes the frames of one stimulus. Begins the log or goes on where it ends.

    Raises `OSError` where the disk does not take them, `MediaError` where the log cannot be gone on with.

    received           sequence of the last frame in the log
    part               of its last frame
    position_s         how far it goes, None where it holds nothing
    looks, with_face,  frames in it, those with the person's face, and those in which somebody else is in view
    with_others
    """

    def __init__(
        self, folder: Path, stimulus: str, labels: tuple[str, ...], settings: Mapping[str, Any], *, pictures: bool = False
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{stimulus}.log"
        self.received, self.part, self.looks, self.with_face, self.with_others = -1, 0, 0, 0, 0
        self.position_s: float | None = None
        facts: dict[str, Any] = {"stimulus": stimulus, "labels": list(labels), "settings": dict(settings)}
        found = None
        if path.is_file() and path.stat().st_size and next(records(path), None) is not None:
            found = Looks(path)
            if found.labels != labels:
                raise MediaError(f"this server's model names other expressions now ({', '.join(labels)}) than when you began")
            facts = dict(found.facts)
            then = facts.get("then", [])
            if (then[-1] if then else facts)["settings"].get("models") != settings.get("models"):
                facts["then"] = [*then, {"from": found.last + 1, "settings": dict(settings)}]
            self.received, self.part, self.position_s = found.last, found.part, found.position_s
            self.looks, self.with_face, self.with_others = len(found.rows), found.with_face, found.with_others
        super().__init__(folder, stimulus, facts, found, pictures=pictures, slots=1)

    def add(self, row: Row, picture: bytes) -> None:
        super().add(row, picture)
        self.received = row.sequence
        self.looks, self.with_face = self.looks + 1, self.with_face + (len(row.result) > 0)
        self.with_others += row.in_view > len(row.result)
        self.position_s = max(row.time_s, self.position_s or 0.0)


class LastSeen(NamedTuple):
    """Where a participant was seen last: x1, y1, x2, y2 in pixels, when by the page's clock, and on which track."""

    box: NDArray[np.float32]
    captured_s: float
    track: int


def last_seen(folder: Path, stimuli: Iterable[str]) -> LastSeen | None:
    """What the logs know of where somebody was, None where they hold no face."""
    found: list[tuple[float, LastSeen]] = []
    for log in filter(None, (looks(folder, stimulus) for stimulus in stimuli)):
        if len(log.faces):
            head, face = log.rows[log.rows["faces"] > 0][-1], log.faces[-1]
            found.append((float(head["at_s"]), LastSeen(face["box"], float(head["captured_s"]), int(face["track"]))))
    return max(found, key=lambda one: one[0])[1] if found else None


def pictures(folder: Path) -> Iterator[tuple[str, float, bytes]]:
    """The frames of a participant that were kept: stimulus, film_s and the picture as it came; each frame once."""
    told: set[tuple[str, int]] = set()
    for stimulus, sequence, film_s, picture in frame_log.pictures(folder):
        # One whose numbers were never written was sent again after a crash.
        if (stimulus, sequence) not in told:
            told.add((stimulus, sequence))
            yield stimulus, film_s, picture


def looks(folder: Path, stimulus: str, until: datetime | None = None) -> Looks | None:
    """What was measured during one film, by a moment where one is given, or None where nothing was. A log that is damaged from its
    first byte on is none."""
    path = folder / f"{stimulus}.log"
    if not path.is_file():
        return None
    try:
        found = Looks(path)
    except MediaError:
        return None
    if until is not None:
        found.keep(np.flatnonzero(found.rows["at_s"] <= until.timestamp()))
    return found
