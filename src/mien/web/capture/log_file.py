"""A file of records that only grows.

Each record is its length, its CRC-32 and its bytes, written at once and brought to the disk once a second. So a server that is
killed loses nothing that was answered, and a machine that loses power a second at most: reading ends at the first record that is
not whole, and writing goes on from there.
"""

import os
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

RECORD_BYTES = 8
"""What stands before a record."""

_RECORD = struct.Struct("<II")
_MAX_RECORD = 1 << 28
"""A longer record than this is none: its length is damaged."""


def records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Each whole record with the place of its end, up to the first that is torn or damaged. Raises `OSError`."""
    end = 0
    with path.open("rb") as file:
        while len(head := file.read(_RECORD.size)) == _RECORD.size:
            length, check = _RECORD.unpack(head)
            # No record is empty: after a power cut a file may end in zeros, which would pass for records of nothing.
            if not 0 < length <= _MAX_RECORD or len(record := file.read(length)) < length or zlib.crc32(record) != check:
                return
            end += _RECORD.size + length
            yield end, record


def bodies(held: bytes, begin: int) -> Iterator[bytes]:
    """As `records`, of what is in memory: each whole record from the place `begin` on."""
    while len(held) - begin >= _RECORD.size:
        length, check = _RECORD.unpack_from(held, begin)
        begin += _RECORD.size
        record = held[begin : begin + length]
        if not 0 < len(record) == length <= _MAX_RECORD or zlib.crc32(record) != check:
            return
        begin += length
        yield record


class Erased(ValueError):
    """The file was erased, by whatever process: nothing that was written into it is kept."""


class Log:
    """A file of records that grows at its end. `append` is for one thread; `sync` and `check` may come from another one.

    keep_bytes  of a log that is there already, whose whole records `records` found; 0 begins a new one
    """

    def __init__(self, path: Path, *, keep_bytes: int = 0) -> None:
        self._file = path.open("r+b" if keep_bytes else "wb", buffering=0)
        if keep_bytes:
            self._file.truncate(keep_bytes)  # what follows was torn
            self._file.seek(keep_bytes)
        self._closing = threading.Lock()
        self._synced = True

    def append(self, record: bytes) -> None:
        self._synced = False
        rest = memoryview(_RECORD.pack(len(record), zlib.crc32(record)) + record)
        while rest:  # without a buffer the system may take a part only
            rest = rest[self._file.write(rest) :]
        self._check()

    def check(self) -> None:
        """Raises `Erased` where the file is gone while it is open."""
        with self._closing:
            if not self._file.closed:
                self._check()

    def _check(self) -> None:
        if os.fstat(self._file.fileno()).st_nlink == 0:
            raise Erased("the log was erased")

    def sync(self) -> None:
        with self._closing:
            if not self._synced and not self._file.closed:
                self._synced = True
                os.fsync(self._file.fileno())

    def close(self) -> None:
        self.sync()
        with self._closing:
            self._file.close()
