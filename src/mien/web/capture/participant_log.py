"""What was measured of one participant, on the disk: logs that only grow, of the same records as those of recordings.

    <stimulus>.log   a record of facts, then one for each frame: the film's time and the numbers of the largest face
    baseline.log     the same of the neutral face before the films
    pictures.log     the frames as they came, only where the study says so and the person agreed

Whoever else is in the picture is counted, and nothing more. What a log is read into is a Timeline on the film's own clock.
"""

import json
import os
import struct
import time
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import MediaError
from mien.types import Faces, MediaInfo, Timeline
from mien.web.capture.log_file import Log, records
from mien.web.capture.wire import FilmHead

BASELINE, PICTURES = "baseline", "pictures.log"
BASELINE_SHARE_MIN = 0.5
"""A baseline counts where at least this share of its looks found a face."""

_FORMAT = "mien-looks 1"
_RECORD = np.dtype([("length", "<u4"), ("check", "<u4")])
_PICTURE = struct.Struct("<HIdd")
_PACE = 1.25
_JUMP_S = 1.0
"""A film that gains more on the clock than this has jumped: it was sought, or begun anew."""


def _row(k: int) -> np.dtype[Any]:
    """One frame's record. at_s is when it was kept, in seconds since 1970; part rises where the page's clock began anew; box and
    what follows are 0 where nobody was found."""
    return np.dtype(
        [
            ("at_s", "<f8"),
            ("sequence", "<u4"),
            ("part", "<u2"),
            ("late", "u1"),
            ("faces", "u1"),
            ("captured_s", "<f8"),
            ("film_s", "<f8"),
            ("width", "<u2"),
            ("height", "<u2"),
            ("light", "<f4"),
            ("box", "<f4", (4,)),
            ("score", "<f4"),
            ("emotions", "<f4", (k,)),
        ]
    )


class Looks:
    """What one log holds, up to its first record that is not whole. Raises `MediaError` where that is nothing.

    facts     labels, settings (see `Timeline.settings`), stimulus; then: [{"from": sequence, "settings": …}, …] where another model
              went on with the film
    rows      (F,) a structured array, in the order in which the frames were taken
    begin     of the rows, in bytes        bytes  of the log that are whole
    """

    def __init__(self, path: Path) -> None:
        try:
            first = next(records(path), None)
            if first is None:
                raise ValueError("it is empty")
            self.begin, record = first
            self.facts: dict[str, Any] = json.loads(record)
            if self.facts["format"] != _FORMAT:
                raise ValueError(f"its format is {self.facts['format']!r}")
            self.labels = tuple(self.facts["labels"])
            held = path.read_bytes()
        except OSError as error:
            raise MediaError(f"{path.name}: cannot be read: {(error.strerror or str(error)).lower()}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise MediaError(f"{path.name}: is not a whole log of a participant ({error})") from error
        row = _row(len(self.labels))
        kind = np.dtype([*_RECORD.descr, ("row", f"V{row.itemsize}")])
        found = np.frombuffer(held, kind, (len(held) - self.begin) // kind.itemsize, self.begin)
        checks = np.fromiter(map(zlib.crc32, found["row"].tolist()), np.uint32, len(found))
        whole = (checks == found["check"]) & (found["length"] == row.itemsize)
        count = len(found) if whole.all() else int(whole.argmin())
        self.rows: NDArray[Any] = found["row"][:count].view(row)
        self.bytes = self.begin + count * kind.itemsize

    @property
    def last(self) -> int:
        """The sequence of the last frame, -1 where there is none."""
        return int(self.rows["sequence"][-1]) if len(self.rows) else -1

    @property
    def part(self) -> int:
        """The part that the last frame belongs to."""
        return int(self.rows["part"][-1]) if len(self.rows) else 0

    @property
    def position_s(self) -> float | None:
        """How far the film was measured."""
        return float(self.rows["film_s"].max()) if len(self.rows) else None

    def watched(self) -> NDArray[Any]:
        """The rows of each moment's first exposure, in the order of the film, whose time rises strictly."""
        return first_exposure(self.rows)

    def timeline(self, duration_s: float | None = None) -> Timeline:
        """What was seen of the person while the film ran, each moment as it was watched for the first time."""
        rows = self.watched()
        with_face = np.flatnonzero(rows["faces"] > 0)
        # Columns of their own: as views they would keep all that the log holds in memory.
        box, score, emotions = (np.ascontiguousarray(rows[name][with_face]) for name in ("box", "score", "emotions"))
        width, height = (int(rows["width"][0]), int(rows["height"][0])) if len(rows) else (0, 0)
        return Timeline(
            info=MediaInfo(self.facts["stimulus"], "camera", width, height, duration_s, None, None, False, "live"),
            labels=self.labels,
            frames=np.arange(len(rows)),
            times=rows["film_s"].copy(),
            frame_rows=with_face,
            tracks=np.ones(len(with_face), np.int64),
            boxes=box,
            face_scores=score,
            emotions=emotions,
            smoothed=emotions,
            settings=self.facts["settings"] | ({"then": self.facts["then"]} if "then" in self.facts else {}),
        )


def first_exposure(rows: NDArray[Any]) -> NDArray[Any]:
    """The rows that count, in order of film_s: of a moment that was watched more than once, those of the first time.

    A run is what was watched without a jump; a pause or a stall does not end it, a seek or another page does. What a later run has
    in common with earlier ones is left out, also where no face was found the first time.
    """
    if not len(rows):
        return rows
    film = rows["film_s"].copy()
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
    return rows[kept[np.argsort(film[kept], kind="stable")]]


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
            rows = looks.rows[(looks.rows["part"] == looks.part) & (looks.rows["film_s"] < baseline_s)]
            seen = rows[rows["faces"] > 0]
            self.looks, self.with_face = len(rows), len(seen)
        if not self.looks:
            self.why: str | None = "It was not taken."
        elif self.with_face < BASELINE_SHARE_MIN * self.looks:
            self.why = f"A face was found in only {self.with_face} of {self.looks} looks; at least half of them need one."
        else:
            self.emotions, self.why = seen["emotions"].mean(axis=0), None


class LookWriter:
    """Takes the frames of one stimulus. Begins the log or goes on where it ends; what was torn is cut off.

    Raises `OSError` where the disk does not take them, `MediaError` where the log cannot be gone on with.

    received          sequence of the last frame in the log
    part              of its last frame
    position_s        how far it goes, None where it holds nothing
    looks, with_face  frames in it, and those with a face
    """

    def __init__(
        self, folder: Path, stimulus: str, labels: tuple[str, ...], settings: Mapping[str, Any], *, pictures: bool = False
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{stimulus}.log"
        self.received, self.part, self.looks, self.with_face = -1, 0, 0, 0
        self.position_s: float | None = None
        keep_bytes = 0
        if path.is_file() and path.stat().st_size and next(records(path), None) is not None:
            found = Looks(path)
            if found.labels != labels:
                raise MediaError(f"this server's model names other expressions now ({', '.join(labels)}) than when you began")
            if _models(found.facts) != settings.get("models"):
                found = _with_model(path, found, settings)
            keep_bytes, self.received, self.part, self.position_s = found.bytes, found.last, found.part, found.position_s
            self.looks, self.with_face = len(found.rows), int((found.rows["faces"] > 0).sum())
        self._log = Log(path, keep_bytes=keep_bytes)
        self._labels, self._stimulus = labels, stimulus
        if not keep_bytes:
            facts = {"format": _FORMAT, "stimulus": stimulus, "labels": labels, "settings": settings}
            self._log.append(json.dumps(facts).encode())
        self._pictures = None
        if pictures:
            end = 0
            if (folder / PICTURES).is_file():
                end = max((place for place, _ in records(folder / PICTURES)), default=0)
            self._pictures = Log(folder / PICTURES, keep_bytes=end)

    def add(
        self,
        head: FilmHead,
        part: int,
        size: tuple[int, int],
        light: float,
        faces: Faces,
        largest: int | None,
        emotions: NDArray[np.float32],
        picture: bytes,
    ) -> None:
        """Writes one frame. size: width and height in pixels; largest: which of the faces counts, None where nobody was found."""
        if self._pictures is not None:
            name = self._stimulus.encode()
            self._pictures.append(_PICTURE.pack(len(name), head.sequence, head.captured_s, head.film_s) + name + picture)
        row = np.zeros((), _row(len(self._labels)))
        row["at_s"] = time.time()
        row["sequence"], row["part"], row["late"], row["faces"] = head.sequence, part & 0xFFFF, head.late, min(len(faces), 255)
        row["captured_s"], row["film_s"], row["light"] = head.captured_s, head.film_s, light
        row["width"], row["height"] = (min(side, 0xFFFF) for side in size)
        if largest is not None:
            row["box"], row["score"], row["emotions"] = faces.boxes[largest], faces.scores[largest], emotions[largest]
        self._log.append(row.tobytes())
        self.received = head.sequence
        self.looks, self.with_face = self.looks + 1, self.with_face + (largest is not None)
        self.position_s = max(head.film_s, self.position_s or 0.0)

    def sync(self) -> None:
        """Brings to the disk what is not yet there."""
        for log in (self._pictures, self._log):
            if log is not None:
                log.sync()

    def close(self) -> None:
        for log in (self._pictures, self._log):
            if log is not None:
                log.close()


def _models(facts: Mapping[str, Any]) -> Any:
    """The models that the last frames of a log were read by."""
    return (facts["then"][-1] if "then" in facts else facts)["settings"].get("models")


def _with_model(path: Path, found: Looks, settings: Mapping[str, Any]) -> Looks:
    """Notes in a log that from now on another model reads, and gives it as it is then: its first record is written anew."""
    then = [*found.facts.get("then", ()), {"from": found.last + 1, "settings": dict(settings)}]
    anew = path.with_name(f"{path.name}.new")
    log = Log(anew)
    log.append(json.dumps(found.facts | {"then": then}).encode())
    log.close()
    with anew.open("ab") as file:
        file.write(path.read_bytes()[found.begin : found.bytes])
        file.flush()
        os.fsync(file.fileno())
    anew.replace(path)
    return Looks(path)


def pictures(folder: Path) -> Iterator[tuple[str, float, bytes]]:
    """The frames of a participant that were kept: stimulus, film_s and the picture as it came; each frame once."""
    if not (folder / PICTURES).is_file():
        return
    told: set[tuple[str, int]] = set()
    for _, record in records(folder / PICTURES):
        length, sequence, _, film_s = _PICTURE.unpack_from(record)
        end = _PICTURE.size + length
        stimulus = record[_PICTURE.size : end].decode()
        # One whose numbers were never written was sent again after a crash.
        if (stimulus, sequence) not in told:
            told.add((stimulus, sequence))
            yield stimulus, film_s, record[end:]


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
        found.rows = found.rows[found.rows["at_s"] <= until.timestamp()]
    return found
