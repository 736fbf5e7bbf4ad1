"""Logs of frames as they were written before recordings and participants had one format: read, and never written."""

import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.web.capture.log_file import RECORD_BYTES, bodies

FRAMES = "frames.log"
"""Pictures of a recording, each behind its time."""

_TIME = struct.Struct("<d")
_ROW = np.dtype(
    [
        *(("sequence", "<u4"), ("captured_s", "<f8"), ("time_s", "<f8"), ("left_out", "<u4")),
        *(("faces", "<u2"), ("part", "<u2"), ("width", "<u2"), ("height", "<u2")),
    ]
)
Read = Callable[[bytes, int, np.dtype[Any], np.dtype[Any]], tuple[NDArray[Any], NDArray[Any], int]]


def picture(record: bytes) -> tuple[float, bytes]:
    """Time and picture of a record of `FRAMES`."""
    return _TIME.unpack_from(record)[0], record[_TIME.size :]


def _recording(held: bytes, begin: int, head: np.dtype[Any], face: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[Any], int]:
    """`mien-rows 1`: of each frame its head, then its faces column by column, smoothed probabilities always among them."""
    k = face["emotions"].shape[0]
    columns = [
        ("track", "<i8", ()),
        ("box", "<f4", (4,)),
        ("score", "<f4", ()),
        ("emotions", "<f4", (k,)),
        ("smoothed", "<f4", (k,)),
    ]
    each = sum(np.dtype((kind, shape)).itemsize for _, kind, shape in columns)
    rows, faces = [np.zeros(0, head)], [np.zeros(0, face)]
    for body in bodies(held, begin):
        row = np.frombuffer(body, _ROW, 1) if len(body) >= _ROW.itemsize else None
        if row is None or len(body) != _ROW.itemsize + int(row["faces"][0]) * each:
            break
        begin, place, n = begin + RECORD_BYTES + len(body), _ROW.itemsize, int(row["faces"][0])
        rows.append(fitted(row, head))
        rows[-1]["in_view"] = n
        found = _blank(n, face)
        for name, kind, shape in columns:
            column = np.frombuffer(body, np.dtype((kind, shape)), n, place)
            place += column.nbytes
            if name in (face.names or ()):
                found[name] = column
        faces.append(found)
    return np.concatenate(rows), np.concatenate(faces), begin


def _participant(held: bytes, begin: int, head: np.dtype[Any], face: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[Any], int]:
    """`mien-looks 1`: of each frame the numbers of its largest face, zeros where there was none."""
    k = face["emotions"].shape[0]
    row = np.dtype(
        [
            *(("at_s", "<f8"), ("sequence", "<u4"), ("part", "<u2"), ("late", "u1"), ("in_view", "u1"), ("captured_s", "<f8")),
            *(("time_s", "<f8"), ("width", "<u2"), ("height", "<u2"), ("light", "<f4"), ("box", "<f4", (4,)), ("score", "<f4")),
            ("emotions", "<f4", (k,)),
        ]
    )
    kind = np.dtype([("length", "<u4"), ("check", "<u4"), ("row", f"V{row.itemsize}")])
    found = np.frombuffer(held, kind, (len(held) - begin) // kind.itemsize, begin)
    checks = np.fromiter(map(zlib.crc32, found["row"].tolist()), np.uint32, len(found))
    whole = (checks == found["check"]) & (found["length"] == row.itemsize)
    count = len(found) if whole.all() else int(whole.argmin())
    looks = found["row"][:count].view(row)
    rows = fitted(looks, head)
    rows["faces"] = looks["in_view"] > 0
    faces = fitted(looks[looks["in_view"] > 0], face)
    faces["track"] = 1
    return rows, faces, begin + count * kind.itemsize


def _blank(n: int, kind: np.dtype[Any]) -> NDArray[Any]:
    """Zeros, and no reliability: none was known."""
    made = np.zeros(n, kind)
    if "reliability" in (kind.names or ()):
        made["reliability"] = np.nan
    return made


def fitted(found: NDArray[Any], kind: np.dtype[Any]) -> NDArray[Any]:
    """A copy with the columns of `kind`, 0 in those that `found` has not; a reliability is NaN there."""
    made = _blank(len(found), kind)
    for name in set(kind.names or ()) & set(found.dtype.names or ()):
        made[name] = found[name]
    return made


READ: Mapping[str, Read] = {"mien-rows 1": _recording, "mien-looks 1": _participant}
