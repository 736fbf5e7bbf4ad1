"""What was read in the frames of a camera, on the disk: files of records that only grow.

    <name>.log     a record of facts, then one for each frame: its numbers, and those of the faces that count
    pictures.log   the frames as they came, only where that is wanted

A live recording has one such log, a participant one for each film. Logs of before, of which each kind had a format of its own, are
read as well; whoever goes on with one writes it anew first.
"""

import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import MediaError
from mien.json_text import parsed
from mien.types import MIN_RELIABILITY, Faces, Frame, FrameResult, MediaInfo, Timeline
from mien.web.capture import old_logs
from mien.web.capture.log_file import RECORD_BYTES, Log, bodies, records
from mien.web.database import now
from mien.whole_file import whole_file

PICTURES = "pictures.log"
FORMAT = "mien-frames 1"

HEAD = np.dtype(
    [
        ("at_s", "<f8"),
        ("captured_s", "<f8"),
        ("time_s", "<f8"),
        ("sequence", "<u4"),
        ("left_out", "<u4"),
        ("light", "<f4"),
        ("part", "<u2"),
        ("width", "<u2"),
        ("height", "<u2"),
        ("in_view", "<u2"),
        ("faces", "<u2"),
        ("late", "u1"),
    ]
)
"""One frame's numbers. at_s: when it was kept, in seconds since 1970; faces: how many of those in view are kept; else see `Row`."""

_RECORD = np.dtype([("length", "<u4"), ("check", "<u4")])
_PICTURE = struct.Struct("<HIdd")
UNSEEN = np.zeros((1, 1, 3), np.uint8)
"""Stands where a picture was: a log of frames holds none."""


def face_type(k: int, *, smoothed: bool, judged: bool = False) -> np.dtype[Any]:
    """One face's numbers, K probabilities and as many smoothed ones, and how far they can be believed."""
    columns: list[Any] = [("track", "<i8"), ("box", "<f4", (4,)), ("score", "<f4"), ("emotions", "<f4", (k,))]
    columns += [("smoothed", "<f4", (k,))] if smoothed else []
    return np.dtype(columns + ([("reliability", "<f4"), ("flags", "u1")] if judged else []))


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """What was read in one frame.

    sequence, captured_s  as the page numbered and timed the frame
    width, height         pixels of the frame
    part                  rises by one with each pause, and where the page's clock began anew
    result                the faces that are kept, without the picture; its time is the recording's, or the film's
    in_view               all faces that were found
    left_out              frames that could not be read or were replaced by newer ones, so far
    light                 mean luma, 0 to 255
    late                  captured while the socket was down
    """

    sequence: int
    captured_s: float
    width: int
    height: int
    part: int
    result: FrameResult
    in_view: int
    left_out: int = 0
    light: float = 0.0
    late: bool = False

    @property
    def time_s(self) -> float:
        return self.result.time_s


class FrameLog:
    """What one log holds, up to its first record that is not whole. Raises `MediaError` where that is nothing.

    facts      what is known from the beginning: labels, settings (see `Timeline.settings`), and what its writer added
    labels     the K names of the probabilities
    rows       (F,) a structured array of `HEAD`, in the order in which the frames were taken
    faces      (N,) a structured array of `face_type`, those of the first frame first
    begin      of the rows, in bytes        bytes  of the log that are whole
    old        whether it is of a format of before
    """

    def __init__(self, path: Path) -> None:
        try:
            first = next(records(path), None)
            if first is None:
                raise ValueError("it is empty")
            self.begin, record = first
            facts = parsed(record)
            format_ = facts.pop("format")
            self.old = format_ != FORMAT
            if self.old and format_ not in old_logs.READ:
                raise ValueError(f"its format is {format_!r}")
            _check_facts(facts)
            self.facts: dict[str, Any] = facts
            self.labels: tuple[str, ...] = tuple(facts["labels"])
            held = path.read_bytes()
        except OSError as error:
            raise MediaError(f"{path.name}: cannot be read: {(error.strerror or str(error)).lower()}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MediaError(f"{path.name}: is not a whole log of frames ({error})") from error
        kind = _kind_of(facts)
        self.rows: NDArray[Any]
        self.faces: NDArray[Any]
        if self.old:
            self.rows, self.faces, self.bytes = old_logs.READ[format_](held, self.begin, HEAD, kind)
        else:
            self.rows, self.faces, self.bytes = _columns(held, self.begin, kind)
        self._ends = np.cumsum(self.rows["faces"], dtype=np.int64)

    @property
    def last(self) -> int:
        """The sequence of the last frame, -1 where there is none."""
        return int(self.rows["sequence"][-1]) if len(self.rows) else -1

    @property
    def part(self) -> int:
        """The part that the last frame belongs to."""
        return int(self.rows["part"][-1]) if len(self.rows) else 0

    def row(self, k: int) -> Row:
        """One frame."""
        head = self.rows[k]
        faces = self.faces[self._ends[k] - head["faces"] : self._ends[k]]
        found = Faces(faces["box"], faces["score"], np.full((len(faces), 5, 2), np.nan, np.float32))
        smoothed = faces["smoothed" if "smoothed" in (faces.dtype.names or ()) else "emotions"]
        frame = Frame(k, float(head["time_s"]), UNSEEN)
        result = FrameResult(frame, found, faces["track"], self.labels, faces["emotions"], smoothed, *self._judged(faces))
        names = ("sequence", "captured_s", "width", "height", "part", "in_view", "left_out", "light")
        return Row(result=result, late=bool(head["late"]), **{name: head[name].item() for name in names})

    def _judged(self, faces: NDArray[Any]) -> tuple[Any, Any, float]:
        """Reliability and flags of these faces, None of a log that has none, and from which reliability on they are relied on."""
        least = float(self.facts["settings"].get(_LEAST, MIN_RELIABILITY))
        if "reliability" not in (faces.dtype.names or ()):
            return None, None, least
        return np.ascontiguousarray(faces["reliability"]), np.ascontiguousarray(faces["flags"]), least

    def __iter__(self) -> Iterator[Row]:
        return (self.row(k) for k in range(len(self.rows)))

    def of(self, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """The faces of the frames `rows`, as rows of `faces`, in the same order."""
        count = self.rows["faces"][rows].astype(np.int64)
        return np.repeat(self._ends[rows] - np.cumsum(count), count) + np.arange(count.sum())

    def keep(self, rows: NDArray[np.integer]) -> None:
        """Leaves out all frames but these."""
        self.faces = self.faces[self.of(rows)]
        self.rows = self.rows[rows]
        self._ends = np.cumsum(self.rows["faces"], dtype=np.int64)

    def timeline_of(self, info: MediaInfo, settings: Mapping[str, Any], rows: NDArray[np.integer] | None = None) -> Timeline:
        """The frames `rows`, or all; their times must rise. Columns are copied: as views they would keep the log in memory."""
        keep = np.arange(len(self.rows)) if rows is None else rows
        faces = self.faces[self.of(keep)]
        columns = {_CALLED.get(name, name): np.ascontiguousarray(faces[name]) for name in faces.dtype.names or ()}
        return Timeline.of_frames(info, self.labels, self.rows["time_s"][keep], self.rows["faces"][keep], columns, settings)


_LEAST = "min_reliability"
_CALLED = {"track": "tracks", "box": "boxes", "score": "face_scores"}
"""What columns of a log are called in a Timeline."""
_LABELS_MAX = 1000


def _check_facts(facts: Mapping[str, Any]) -> None:
    """Raises `ValueError` where they are none of a log: a disk may have damaged them, and nothing in it can be read by such."""
    labels, settings = facts["labels"], facts["settings"]
    if not isinstance(labels, list) or not 0 < len(labels) <= _LABELS_MAX or not all(isinstance(name, str) for name in labels):
        raise ValueError("its labels are none")
    if not isinstance(settings, dict) or not isinstance(settings.get(_LEAST, 0), int | float):
        raise ValueError("its settings are none")


def _kind_of(facts: Mapping[str, Any]) -> np.dtype[Any]:
    """Logs of before say nothing of a least reliability, and hold none."""
    return face_type(len(facts["labels"]), smoothed=smooths(facts), judged=_LEAST in facts["settings"])


def smooths(facts: Mapping[str, Any]) -> bool:
    """Whether the smoothed probabilities are other than the raw ones, and so kept beside them."""
    return bool(facts["settings"].get("smoothing_s"))


def _columns(held: bytes, begin: int, kind: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[Any], int]:
    """Rows, faces, and where the last whole record ends."""
    heads: list[NDArray[Any]] = []
    faces: list[NDArray[Any]] = []
    end = begin
    # Records of one length, as one person's are, are read at once; an hour of somebody is 10,000 of them.
    length = int.from_bytes(held[begin : begin + 4], "little")
    if length >= HEAD.itemsize and (length - HEAD.itemsize) % kind.itemsize == 0:
        slots = (length - HEAD.itemsize) // kind.itemsize
        alike = np.dtype([*_RECORD.descr, ("head", HEAD), ("faces", kind, (slots,))])
        found = np.frombuffer(held, alike, (len(held) - begin) // alike.itemsize, begin)
        found = found[: _leading(found["length"] == length)]
        checked = np.frombuffer(held, np.dtype([*_RECORD.descr, ("body", f"V{length}")]), len(found), begin)["body"]
        checks = np.fromiter(map(zlib.crc32, checked.tolist()), np.uint32, len(found))
        found = found[: _leading(checks == found["check"])]
        end += len(found) * alike.itemsize
        heads.append(found["head"])
        faces.append(found["faces"][np.arange(slots) < found["head"]["faces"][:, None]])
    for body in bodies(held, end):
        if len(body) < HEAD.itemsize:
            break
        head = np.frombuffer(body, HEAD, 1)
        count = int(head["faces"][0])
        if len(body) < HEAD.itemsize + count * kind.itemsize:
            break
        heads.append(head)
        faces.append(np.frombuffer(body, kind, count, HEAD.itemsize))
        end += RECORD_BYTES + len(body)
    return np.concatenate([np.zeros(0, HEAD), *heads]), np.concatenate([np.zeros(0, kind), *faces]), end


def _leading(true: NDArray[np.bool_]) -> int:
    """How many are true before the first that is not."""
    return len(true) if true.all() else int(true.argmin())


class FrameWriter:
    """Takes the frames of a log into a folder that is there: begins it, or goes on where `found` ends; what was torn is cut off.

    facts     JSON: labels, settings, and whatever its reader is to know
    pictures  whether the frames themselves are kept as well
    slots     room for so many faces in each record, also where fewer were found: records of one length are read faster

    Raises `OSError` where the disk does not take it.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        facts: Mapping[str, Any],
        found: FrameLog | None = None,
        *,
        pictures: bool = False,
        slots: int = 0,
    ) -> None:
        path = folder / f"{name}.log"
        self.name, self._slots = name, slots
        self._kind = _kind_of(facts)
        if found is None:
            self._log = Log(path)
            self._log.append(_facts(facts))
        elif found.old or found.facts != facts:
            self._log = self._anew(path, facts, found)
        else:
            self._log = Log(path, keep_bytes=found.bytes)
        self._pictures = None
        if pictures:
            end = 0
            with suppress(FileNotFoundError):
                end = max((place for place, _ in records(folder / PICTURES)), default=0)
            self._pictures = Log(folder / PICTURES, keep_bytes=end)

    def _anew(self, path: Path, facts: Mapping[str, Any], found: FrameLog) -> Log:
        """The log with other facts or of an older format, written anew; whatever stops that leaves the old one."""
        with whole_file(path) as anew:
            log = Log(anew)
            log.append(_facts(facts))
            ends, faces = np.cumsum(found.rows["faces"]), old_logs.fitted(found.faces, self._kind)
            for head, end in zip(found.rows, ends.tolist(), strict=True):
                log.append(self._packed(head, faces[end - head["faces"] : end]))
            log.close()
        return Log(path, keep_bytes=path.stat().st_size)

    def add(self, row: Row, picture: bytes) -> None:
        """The picture goes first: one without a row is passed over later, a row without a picture would be a hole in the film."""
        result = row.result
        if self._pictures is not None:
            name = self.name.encode()
            self._pictures.append(_PICTURE.pack(len(name), row.sequence, row.captured_s, row.time_s) + name + picture)
        head, faces = np.zeros((), HEAD), np.zeros(len(result), self._kind)
        head["at_s"], head["captured_s"], head["time_s"] = now().timestamp(), row.captured_s, row.time_s
        head["sequence"], head["left_out"], head["light"] = row.sequence, row.left_out, row.light
        head["part"], head["late"] = row.part & 0xFFFF, row.late
        head["width"], head["height"] = (min(side, 0xFFFF) for side in (row.width, row.height))
        head["in_view"], head["faces"] = row.in_view, len(result)
        faces["track"], faces["box"], faces["score"] = result.tracks, result.faces.boxes, result.faces.scores
        faces["emotions"] = result.emotions
        if "smoothed" in (self._kind.names or ()):
            faces["smoothed"] = result.smoothed
        if "reliability" in (self._kind.names or ()):
            faces["reliability"], faces["flags"] = result.reliability, result.flags
        self._log.append(self._packed(head, faces))

    def _packed(self, head: Any, faces: NDArray[Any]) -> bytes:
        return bytes(head.tobytes() + faces.tobytes() + bytes(max(0, self._slots - len(faces)) * self._kind.itemsize))

    def sync(self) -> None:
        """Brings to the disk what is not yet there. Raises `Erased` where another process erased the logs."""
        for log in (self._pictures, self._log):
            if log is not None:
                log.sync()
                log.check()

    def close(self) -> None:
        for log in (self._pictures, self._log):
            if log is not None:
                log.close()


def _facts(facts: Mapping[str, Any]) -> bytes:
    return json.dumps({"format": FORMAT} | dict(facts)).encode()


def pictures(folder: Path) -> Iterator[tuple[str, int, float, bytes]]:
    """The frames that were kept, in the order in which they came: name of the log, sequence, time_s, and the picture.

    One whose numbers were never written, because the server died, may come once more.
    """
    if (folder / old_logs.FRAMES).is_file():  # of a recording that began before frames were numbered there
        for _, record in records(folder / old_logs.FRAMES):
            yield "", -1, *old_logs.picture(record)
    if (folder / PICTURES).is_file():
        for _, record in records(folder / PICTURES):
            length, sequence, _, time_s = _PICTURE.unpack_from(record)
            end = _PICTURE.size + length
            yield record[_PICTURE.size : end].decode(), sequence, time_s, record[end:]
