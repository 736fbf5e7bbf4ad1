"""A line between a browser and its server that a test can cut."""

import select
import socket
import threading
import time
from typing import Any

from serving import KeptPort, Server


class Line:
    """A line to a server that can be cut (both ends hear it), and mended; `frozen`: nothing passes, and nobody hears of it."""

    def __init__(self, server: Server) -> None:
        self.server, self.up, self.frozen = server, True, False
        self._kept = KeptPort()  # nobody else gets it while the line is cut
        self.port = self._kept.number
        self.url = f"http://127.0.0.1:{self.port}"
        self._ends: list[socket.socket] = []
        self._listening: socket.socket | None = None
        self._threads: list[threading.Thread] = []
        self.mend()

    def mend(self) -> None:
        self.up = True
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self._threads.append(threading.Thread(target=self._accept, args=(self._listening,), daemon=True))
        self._threads[-1].start()

    def cut(self) -> None:
        self.up = False
        assert self._listening is not None
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(10)
        for end in self._ends:
            end.close()
        self._ends, self._threads = [], []

    def _accept(self, listening: socket.socket) -> None:
        while self.up:
            try:
                near, _ = listening.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.server.port))
            except OSError:
                near.close()
                continue
            self._ends += [near, far]
            self._threads.append(threading.Thread(target=self._carry, args=(near, far), daemon=True))
            self._threads[-1].start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        other = {near: far, far: near}
        while self.up:
            if self.frozen:
                time.sleep(0.02)
                continue
            for end in select.select([near, far], [], [], 0.1)[0]:
                try:
                    data = end.recv(1 << 16)
                    if data:
                        other[end].sendall(data)
                except OSError:
                    data = b""
                if not data:
                    for one in other:
                        one.close()
                    return


def over(line: Line) -> Any:
    """What `open_page` takes as a server: the same, at the end of the line."""

    class Far:
        url, port = line.url, line.port

    return Far()
