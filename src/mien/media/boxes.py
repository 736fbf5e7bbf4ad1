"""What containers say of a film that ffmpeg's reader does not hand on: the part of a frame that is meant to be seen."""

import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

Cut = tuple[int, int, int, int]
"""Left, top, right, bottom in stored pixels; right and bottom exclusive."""

_MOST = 10_000  # boxes that are looked at in one file


def visible(path: Path, form: str, width: int, height: int) -> Cut | None:
    """The clean aperture of an MP4 or QuickTime file, the pixel crop of a Matroska one; None where all of the frame is meant.

    form           ffmpeg's name of the container
    width, height  of the stored frame; what does not fit them is not believed
    """
    with suppress(OSError, struct.error, ValueError, OverflowError), path.open("rb") as file:
        cut = (
            _clean_aperture(file, width, height)
            if "mp4" in form
            else _pixel_crop(file, width, height)
            if "matroska" in form
            else None
        )
        if cut is not None and 0 <= cut[0] < cut[2] <= width and 0 <= cut[1] < cut[3] <= height and cut != (0, 0, width, height):
            return cut
    return None


# --- ISO 14496-12 -----------------------------------------------------------------------------------------------------------------


def boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start and end of what it holds) of each box between two places of a file."""
    for _ in range(_MOST):
        if start + 8 > end:
            return
        file.seek(start)
        head = file.read(16)
        size, kind, inside = int.from_bytes(head[:4], "big"), head[4:8], start + 8
        if size == 1:
            size, inside = int.from_bytes(head[8:16], "big"), start + 16
        stop = end if size == 0 else min(end, start + size)
        if len(head) < 8 or stop < inside:
            return
        yield kind, inside, stop
        start = stop


def _within(file: BinaryIO, start: int, end: int, *path: bytes) -> Iterator[tuple[int, int]]:
    for kind, inside, stop in boxes(file, start, end):
        if kind == path[0]:
            if len(path) == 1:
                yield inside, stop
            else:
                yield from _within(file, inside, stop, *path[1:])


def _clean_aperture(file: BinaryIO, width: int, height: int) -> Cut | None:
    size = file.seek(0, 2)
    for start, end in _within(file, 0, size, b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"):
        for _, inside, stop in boxes(file, start + 8, end):  # the first entry is that of the first frame
            file.seek(inside + 24)
            if struct.unpack(">HH", file.read(4)) != (width, height):
                break
            for at, _ in _within(file, inside + 78, stop, b"clap"):
                file.seek(at)
                w, wd, h, hd, x, xd, y, yd = struct.unpack(">IIIIiIiI", file.read(32))
                if not (wd and hd and xd and yd):
                    return None
                wide, high = round(w / wd), round(h / hd)
                left, top = round((width - w / wd) / 2 + x / xd), round((height - h / hd) / 2 + y / yd)
                return left, top, left + wide, top + high
            break
    return None


# --- Matroska ----------------------------------------------------------------------------------------------------------------

_SEGMENT, _TRACKS, _ENTRY, _VIDEO, _CLUSTER = 0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0x1F43B675
_STORED_WIDTH, _STORED_HEIGHT, _BOTTOM, _TOP, _LEFT, _RIGHT = 0xB0, 0xBA, 0x54AA, 0x54BB, 0x54CC, 0x54DD


def _number(file: BinaryIO, *, marked: bool) -> int:
    """A number of variable length; `marked` keeps the mark of its length, as names have it. -1 for a size that is not known."""
    first = file.read(1)
    if not first or not first[0]:
        raise ValueError("no number")
    length = 9 - first[0].bit_length()
    rest = file.read(length - 1)
    if marked:
        return int.from_bytes(first + rest, "big")
    value = int.from_bytes(bytes([first[0] & ((1 << (8 - length)) - 1)]) + rest, "big")
    return -1 if value == (1 << (7 * length)) - 1 else value


def _elements(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    for _ in range(_MOST):
        if start >= end:
            return
        file.seek(start)
        name, size, inside = _number(file, marked=True), _number(file, marked=False), file.tell()
        stop = end if size < 0 else min(end, inside + size)
        yield name, inside, stop
        if name == _CLUSTER:
            return
        start = stop


def _pixel_crop(file: BinaryIO, width: int, height: int) -> Cut | None:
    def those(name: int, start: int, end: int) -> Iterator[tuple[int, int]]:
        return ((inside, stop) for found, inside, stop in _elements(file, start, end) if found == name)

    whole = file.seek(0, 2)
    for segment in those(_SEGMENT, 0, whole):
        for tracks in those(_TRACKS, *segment):
            for entry in those(_ENTRY, *tracks):
                for video in those(_VIDEO, *entry):
                    says = {}
                    for name, inside, stop in _elements(file, *video):
                        file.seek(inside)
                        says[name] = int.from_bytes(file.read(min(8, stop - inside)), "big")
                    if (says.get(_STORED_WIDTH), says.get(_STORED_HEIGHT)) == (width, height):
                        return says.get(_LEFT, 0), says.get(_TOP, 0), width - says.get(_RIGHT, 0), height - says.get(_BOTTOM, 0)
    return None
