"""A named pipe that is read with patience and can be interrupted: ffmpeg's own opening of one hangs until somebody writes."""

import os
import select

from mien.media.words import TIMEOUT_S


class Pipe:
    """What `av.open` reads from. Raises `TimeoutError` where nobody writes for `TIMEOUT_S`."""

    def __init__(self, path: str) -> None:
        self.name, self._file = path, -1
        self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._begun = False

    def read(self, size: int) -> bytes:
        waited_s = 0.0
        while waited_s < TIMEOUT_S:
            ready, _, _ = select.select([self._file], [], [], _LOOK_S)
            if ready:
                try:
                    data = os.read(self._file, size)
                except BlockingIOError:
                    data = b""
                if data or self._begun:
                    self._begun = True
                    return data
                select.select([], [], [], _LOOK_S)  # no writer yet: such a pipe is always "ready", with nothing in it
            waited_s += _LOOK_S
        raise TimeoutError(None, f"nobody wrote to the pipe within {TIMEOUT_S:g} s")

    def __del__(self) -> None:  # PyAV closes what it opened itself
        self.close()

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


_LOOK_S = 0.05
