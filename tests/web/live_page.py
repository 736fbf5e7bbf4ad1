"""A live page as tests play it: pictures up, messages down."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient, WebSocketTestSession

from fakes import Square, scene
from media_files import encoded
from mien.web.capture.wire import FrameHead, pack_frame

Message = dict[str, Any]

SOCKET = "ws://127.0.0.1:8700/api/live"


def jpeg(rgb: NDArray[np.uint8]) -> bytes:
    return encoded(Image.fromarray(rgb), "JPEG", quality=92)


def picture(*squares: Square, **size: int) -> bytes:
    """A JPEG of fake faces."""
    return jpeg(scene(squares, **size))


class LivePage:
    """One page on a socket. Frames are numbered and timed by themselves, 0.1 s apart, unless a test says otherwise."""

    def __init__(self, socket: WebSocketTestSession, **hello: Any) -> None:
        self.socket = socket
        self.sequence, self.clock_s = -1, 1000.0
        self.say(type="hello", **hello)
        self.ready = self.hear("ready")
        self.sequence = self.ready["received"]

    def say(self, **message: Any) -> None:
        self.socket.send_text(json.dumps(message))

    def next(self) -> Message:
        message: Message = json.loads(self.socket.receive_text())
        return message

    def hear(self, kind: str, true: Callable[[Message], bool] = lambda message: True) -> Message:
        """The next message of a kind; what comes before it is passed over, but for errors."""
        while True:
            message = self.next()
            if message["type"] == kind and true(message):
                return message
            assert message["type"] != "error", message

    def send(
        self,
        data: bytes,
        *,
        captured_s: float | None = None,
        sequence: int | None = None,
        late: bool = False,
        of_recording: bool = False,
    ) -> int:
        """Sends a frame and does not wait for its answer; gives its sequence."""
        self.sequence = self.sequence + 1 if sequence is None else sequence
        self.clock_s = self.clock_s + 0.1 if captured_s is None else captured_s
        head = FrameHead(self.sequence, self.clock_s, late, of_recording)
        self.socket.send_bytes(pack_frame(head, data))
        return self.sequence

    def look(self, data: bytes, **how: Any) -> Message:
        """Sends a frame and gives its answer."""
        sequence = self.send(data, **how)
        return self.hear("faces", lambda message: message["sequence"] == sequence)

    def record(self, action: str, **how: Any) -> Message:
        """Says it and gives what the server says of the recording."""
        self.say(type="record", action=action, **how)
        return self.hear("recording")

    def stop(self) -> Message:
        """Ends the recording and waits until it is saved."""
        assert self.record("stop")["state"] == "saving"
        return self.hear("recording", lambda message: message["state"] in ("done", "failed"))


@contextmanager
def live_page(client: TestClient, **hello: Any) -> Iterator[LivePage]:
    """A page that is left at the end as by going elsewhere: its view waits for it. Closed with 1000 a view ends for good."""
    with client.websocket_connect(SOCKET) as socket:
        yield LivePage(socket, **hello)
        socket.close(1001)
