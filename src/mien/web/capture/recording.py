"""A live recording on the disk: logs that only grow, and the result that is made of them.

    rows.log     what was read in each frame: a record of facts, then a record per answer
    frames.log   the pictures as they came, only where the film is to be kept; gone when the film is made

The result is made in a process of its own, `python -m mien.web.capture.recording FOLDER`, so that open live views do not wait for
it.
"""

import json
import math
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mien.analyze import Recorder
from mien.errors import MediaError, MienError
from mien.types import Faces, Frame, FrameResult, MediaInfo, Timeline
from mien.web.capture.log_file import Log, records
from mien.web.tasks.child import answers, end_with_the_server, give_way, listed

ROWS, FRAMES, RESULT = "rows.log", "frames.log", "result"
_FORMAT = "mien-rows 1"
_ROW = struct.Struct("<IddIIHH")

_TIME = struct.Struct("<d")
_TICK_S = 1e-3
"""Frames of a film lie at least so far apart."""

_NICENESS = 10
"""Whoever is live goes before results."""

_UNSEEN = np.zeros((1, 1, 3), np.uint8)
"""Stands where a picture was: the log of a recording holds none."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known when a recording begins.

    live      the id of its live view, by which its page finds it again
    name      of the recording       source    "camera" or "screen"
    labels    the K names of the probabilities
    settings  see `Timeline.settings`; its `smoothing_s` is needed to go on
    film      whether the pictures are kept until the film is made of them
    """

    live: str
    name: str
    source: str
    labels: tuple[str, ...]
    settings: dict[str, Any]
    film: bool


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """The answer to one frame of a recording.

    sequence, captured_s  as the page numbered and timed the frame
    width, height         pixels of the frame
    part                  rises by one with each pause
    left_out              frames of the recording that could not be read or were replaced by newer ones, so far
    result                without the picture; its time is the recording's
    """

    sequence: int
    captured_s: float
    width: int
    height: int
    part: int
    left_out: int
    result: FrameResult

    @property
    def time_s(self) -> float:
        return self.result.time_s


def _packed(row: Row) -> bytes:
    result = row.result
    head = _ROW.pack(row.sequence, row.captured_s, row.time_s, row.left_out, row.part << 16 | len(result), row.width, row.height)
    columns = (
        result.tracks.astype("<i8"),
        result.faces.boxes.astype("<f4"),
        result.faces.scores.astype("<f4"),
        result.emotions.astype("<f4"),
        result.smoothed.astype("<f4"),
    )
    return head + b"".join(column.tobytes() for column in columns)


def _unpacked(record: bytes, index: int, labels: tuple[str, ...]) -> Row:
    sequence, captured_s, time_s, left_out, part_and_count, width, height = _ROW.unpack_from(record)
    part, n = part_and_count >> 16, part_and_count & 0xFFFF
    place, k = _ROW.size, len(labels)

    def column(dtype: str, *shape: int) -> NDArray[Any]:
        nonlocal place
        count = math.prod(shape)
        found = np.frombuffer(record, dtype, count, place).reshape(shape)
        place += found.nbytes
        return found

    tracks = column("<i8", n)
    boxes, scores = column("<f4", n, 4), column("<f4", n)
    emotions, smoothed = column("<f4", n, k), column("<f4", n, k)
    if place != len(record):
        raise ValueError(f"a row has {len(record)} bytes instead of {place}")
    faces = Faces(boxes, scores, np.full((n, 5, 2), np.nan, np.float32))
    result = FrameResult(Frame(index, time_s, _UNSEEN), faces, tracks, labels, emotions, smoothed)
    return Row(sequence, captured_s, width, height, part, left_out, result)


class Writer:
    """Takes the rows of a recording, and its pictures where a film is wanted, into a folder that is there.

    Raises `OSError` where the disk does not take them.
    """

    def __init__(self, folder: Path, facts: Facts) -> None:
        self.folder, self.facts = folder, facts
        self._rows = Log(folder / ROWS)
        self._rows.append(json.dumps({"format": _FORMAT} | asdict(facts)).encode())
        self._frames = Log(folder / FRAMES) if facts.film else None

    @classmethod
    def reopen(cls, folder: Path, found: "Logged") -> Self:
        """Goes on where the log in the folder ends; what was torn is cut off."""
        writer = cls.__new__(cls)
        writer.folder, writer.facts = folder, found.facts
        writer._rows = Log(folder / ROWS, keep_bytes=found.bytes)
        writer._frames = None
        if found.facts.film:
            end = 0
            with suppress(FileNotFoundError):
                end = max((place for place, _ in records(folder / FRAMES)), default=0)
            writer._frames = Log(folder / FRAMES, keep_bytes=end)
        return writer

    def add(self, row: Row, picture: bytes) -> None:
        """The picture goes first: one without a row is passed over later, a row without a picture would be a hole in the film."""
        if self._frames is not None:
            self._frames.append(_TIME.pack(row.time_s) + picture)
        self._rows.append(_packed(row))

    def sync(self) -> None:
        """Brings to the disk what is not yet there."""
        for log in (self._frames, self._rows):
            if log is not None:
                log.sync()
                log.check()

    def close(self) -> None:
        for log in (self._frames, self._rows):
            if log is not None:
                log.close()


class Logged:
    """What the rows.log in a folder holds, up to its first record that is not whole. Raises `MediaError` where that is nothing.

    first, last  row, None where there is none        count  of rows        bytes  of the log that are whole
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / ROWS
        self.first: Row | None = None
        self.last: Row | None = None
        self.count = self.bytes = 0
        try:
            record = next(records(self._path), None)
            if record is None:
                raise MediaError("the recording cannot be read: its log is empty")
            held = json.loads(record[1])
            if held.pop("format") != _FORMAT:
                raise ValueError("it is of another version")
            self.facts = Facts(**held | {"labels": tuple(held["labels"])})
            self.bytes = record[0]
            for end, row in self._rows():
                self.first = self.first or row
                self.last, self.count, self.bytes = row, self.count + 1, end
        except OSError as error:
            raise MediaError(f"the recording cannot be read: {(error.strerror or str(error)).lower()}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise MediaError(f"the recording cannot be read: its log is damaged ({error})") from error

    def _rows(self) -> Iterator[tuple[int, Row]]:
        every = records(self._path)
        next(every)
        for index, (end, record) in enumerate(every):
            try:
                yield end, _unpacked(record, index, self.facts.labels)
            except (ValueError, struct.error):
                return

    def rows(self) -> Iterator[Row]:
        """One after the other, as they were written; not held, as those of an hour are many."""
        return (row for _, row in self._rows())

    def info(self) -> MediaInfo:
        """The media that the recording stands for: a film without its pauses."""
        width, height = (self.first.width, self.first.height) if self.first else (0, 0)
        duration_s = self.last.time_s if self.last else 0.0
        return MediaInfo(self.facts.name, "camera", width, height, duration_s or None, None, None, False, "live")

    def timeline(self) -> Timeline:
        """Exactly what a `Recorder` that was given these results would have made."""
        recorder = Recorder(self.info(), self.facts.labels, self.facts.settings)
        part, pauses = 0, []
        for row in self.rows():
            recorder.add(row.result)
            if row.part != part:
                part = row.part
                pauses.append(row.time_s)
        if pauses:
            recorder.settings["pauses_s"] = pauses
        return recorder.timeline()


# --- the result ----------------------------------------------------------------------------------------------------------------


def make_result(folder: Path) -> dict[str, Any]:
    """Makes result/, timeline.npz and, where pictures were kept, the film and stills/ of the logs in `folder`; removes the logs.

    Gives back what summary.json holds. Killed half-way it can be called again: the logs go last. Raises `MediaError`.
    """
    from mien.cluster import is_result, kept_summary, whole_folder, write_results

    if not (folder / ROWS).exists() and is_result(folder / RESULT):
        return kept_summary(str(folder / RESULT))
    found = Logged(folder)
    if not found.count:
        raise MediaError(f"{found.facts.name}: nothing was recorded: no picture came between start and stop")
    timeline = found.timeline()
    with whole_folder(folder / RESULT) as scratch:
        stills = _film(folder / FRAMES, found, scratch / "annotated.mp4") if found.facts.film else None
        shown = stills is not None
        summary = write_results(timeline, scratch, stills, annotated=shown, pictures=shown, keep=folder)
    for name in (FRAMES, ROWS):
        (folder / name).unlink(missing_ok=True)
    return summary


def _film(frames: Path, found: Logged, target: Path) -> Any:
    """The annotated film on the recording's own clock; gives back the stills that were met. None where no picture is there."""
    import cv2

    from mien.draw import annotate
    from mien.media import VideoWriter, decode_picture
    from mien.report import Stills

    if not frames.is_file() or found.first is None:
        return None
    cv2.setNumThreads(1)
    size = (found.first.width, found.first.height)
    every_s = found.facts.settings.get("every_s")
    stills, rows, written_s = Stills(), found.rows(), -1.0
    row = next(rows, None)
    with VideoWriter(target, *size, fps_hint=1 / every_s if every_s else None) as film:
        for _, record in records(frames):
            (time_s,) = _TIME.unpack_from(record)
            while row is not None and row.time_s < time_s:
                row = next(rows, None)
            if row is None:
                break
            # A picture whose answer was never written has no row; sent again after a restart, it is here twice.
            if row.time_s != time_s or time_s - written_s < _TICK_S:
                continue
            seen = row.result
            frame = Frame(seen.frame.index, time_s, decode_picture(record[_TIME.size :]))
            result = FrameResult(frame, seen.faces, seen.tracks, seen.labels, seen.emotions, seen.smoothed)
            stills.add(result)
            film.write(_fitted(annotate(result), size), time_s)
            written_s = time_s
    return stills


def _fitted(rgb: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture in the middle of one of `size` (width, height): what is recorded may change its shape, a film may not."""
    import cv2

    height, width = rgb.shape[:2]
    if (width, height) == size:
        return rgb
    scale = min(size[0] / width, size[1] / height)
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    left, top = (size[0] - small[0]) // 2, (size[1] - small[1]) // 2
    out = np.zeros((size[1], size[0], 3), np.uint8)
    out[top : top + small[1], left : left + small[0]] = cv2.resize(rgb, small, interpolation=cv2.INTER_AREA)
    return out


def main() -> int:
    """Makes the result of the folder that is named; one line of JSON: {"done": what the list shows} or {"failed": why}."""
    end_with_the_server()
    out = answers()
    give_way(_NICENESS)
    try:
        answer: dict[str, Any] = {"done": listed(make_result(Path(sys.argv[1])))}
    except (MienError, OSError) as error:
        answer = {"failed": str(error)}
    with out:
        out.write(json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
