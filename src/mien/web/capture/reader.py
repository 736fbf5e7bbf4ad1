"""The thread that reads the frames of all live views and of all participants, those that wait at the same time together.

A frame that nobody has begun with gives way to a newer one of the same page, and is counted; a late one, captured while the socket
was down, never does. Views take turns, so that none waits for the backlog of another.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from mien.errors import MediaError
from mien.web.capture import wire
from mien.web.capture.views import SETTLE_WITHIN_S, Line, Read, Waiting
from mien.web.capture.wire import WireError
from mien.web.settings import Settings

if TYPE_CHECKING:
    from mien.analyze import Analyzer
    from mien.detect import Watch

TOGETHER = 4
"""Frames that are read in one go at most: enough to share the network's start, few enough that nobody waits long for the others."""

log = logging.getLogger(__name__)


class Reader:
    """Takes frames from the event loop, and answers their pages there; their streams make the answers, and write what is kept."""

    def __init__(self, settings: Settings, analyzer: "Analyzer | None" = None) -> None:
        self.settings = settings
        self._analyzer, self._preparing, self._ready = analyzer, threading.Lock(), False
        self._lock = threading.Condition()  # over the queues of all views
        self._watches: WeakKeyDictionary[Line, Watch] = WeakKeyDictionary()  # of the thread alone
        self._turns: deque[Line] = deque()  # views with waiting frames, the next one first
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.frames, self.left_out, self.seconds = 0, 0, 0.0
        """Frames that were read, frames that gave way to newer ones, and the seconds that reading took."""

    def start(self) -> None:
        """Begins to read, and answers in the event loop that runs now."""
        self._loop = asyncio.get_running_loop()
        self._stopping = False
        self._thread = threading.Thread(target=self._read_for_ever, name="mien-live", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Nothing more is begun with."""
        with self._lock:
            self._stopping = True
            self._lock.notify_all()

    async def join(self) -> None:
        """Waits until the last frame that was begun with is read."""
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, SETTLE_WITHIN_S)

    def prepare(self) -> "Analyzer":
        """The analyzer; loaded, and warm, after the first call. Raises `ModelError`."""
        with self._preparing:
            if self._analyzer is None:
                from mien.cluster import AnalysisOptions

                self._analyzer = AnalysisOptions(model=self.settings.model, find_face_px=self.settings.find_face_px).analyzer()
            if not self._ready:
                import mien.episodes
                import mien.media
                import mien.web.capture.recording  # noqa: F401  what is first needed in the middle of a recording is loaded now

                size = self._analyzer.emotion.crop.size
                shape = (1, size, size) if self._analyzer.emotion.crop.colour == "gray" else (1, size, size, 3)
                self._analyzer.faces(np.zeros((360, 640, 3), np.uint8))
                self._analyzer.emotion(np.zeros(shape, np.uint8))
                self._ready = True
            return self._analyzer

    @property
    def is_ready(self) -> bool:
        """Whether `prepare` has been through, so that a frame is read at once."""
        return self._ready

    @property
    def waiting(self) -> int:
        """How many frames nobody has begun with."""
        with self._lock:
            return sum(len(view.queue) for view in self._turns)

    def put(self, waiting: Waiting) -> None:
        """Takes a frame, from the event loop; the last of its view that waits gives way to it, unless one of both is to be kept."""
        view, left_out = waiting.view, None
        with self._lock:
            if view.queue and not waiting.keep and not view.queue[-1].keep:
                left_out, view.queue[-1] = view.queue[-1], waiting
            else:
                view.queue.append(waiting)
                if view not in self._turns:
                    self._turns.append(view)
                    self._lock.notify()
        if left_out is not None:
            self.left_out += 1
            view.left_out(left_out)
            view.dealt_with(left_out)
            view.tell(wire.Dropped(sequence=left_out.head.sequence, dropped=view.dropped).text())

    def _take(self) -> list[Waiting]:
        """Frames to be read together, one of each view in turn; empty at the end."""
        with self._lock:
            while not self._turns and not self._stopping:
                self._lock.wait()
            taken: list[Waiting] = []
            while self._turns and len(taken) < TOGETHER:
                view = self._turns.popleft()
                taken.append(view.queue.popleft())
                view.busy += 1
                if view.queue:
                    self._turns.append(view)
            return taken

    def _read_for_ever(self) -> None:
        """The thread. Whatever a frame does to it, the next one is read."""
        while taken := self._take():
            begun_s = time.perf_counter()
            try:
                answers = self._read(taken, begun_s)
            except Exception:
                log.exception("live frames could not be read")
                unread = "This picture could not be read; the server's output says why."
                answers = [[wire.Failure.of(WireError("failed", unread, w.head.sequence)).text()] for w in taken]
                for waiting in taken:
                    waiting.view.left_out(waiting)
            self.frames, self.seconds = self.frames + len(taken), self.seconds + time.perf_counter() - begun_s
            with suppress(RuntimeError):  # the loop has ended, and the pages with it
                self._loop.call_soon_threadsafe(self._deliver, taken, answers)

    def _read(self, taken: list[Waiting], begun_s: float) -> list[list[str]]:
        """The messages that answer each of the frames."""
        from mien.media import decode_picture

        analyzer = self.prepare()
        pictures: dict[int, NDArray[np.uint8]] = {}
        answers: list[list[str]] = [[] for _ in taken]
        for i, waiting in enumerate(taken):
            try:
                pictures[i] = decode_picture(waiting.picture, max_pixels=round(self.settings.live_frame_max_megapixels * 1_000_000))
            except MediaError as error:
                waiting.view.left_out(waiting)
                text = str(error)
                answers[i] = [
                    wire.Failure.of(WireError("bad_frame", f"{text[0].upper()}{text[1:]}.", waiting.head.sequence)).text()
                ]
        found = [self._watch(taken[i], analyzer).look(rgb, taken[i].head.captured_s) for i, rgb in pictures.items()]
        for i, of in zip(pictures, analyzer.read(list(pictures.values()), found), strict=True):
            judged = (of.reliability, of.flags, analyzer.min_reliability)
            read = Read(taken[i], pictures[i], of.faces, of.emotions, analyzer.labels, begun_s, *judged)
            answers[i] = taken[i].view.answers(read)
        return answers

    def _watch(self, waiting: Waiting, analyzer: "Analyzer") -> "Watch":
        """What finds the faces of a view's frames; it goes with the view."""
        if waiting.view not in self._watches:
            self._watches[waiting.view] = analyzer.watch()
        return self._watches[waiting.view]

    def _deliver(self, taken: list[Waiting], answers: list[list[str]]) -> None:
        """Back in the event loop: what was read goes out."""
        for waiting, texts in zip(taken, answers, strict=True):
            view = waiting.view
            view.busy -= 1
            view.received = max(view.received, waiting.head.sequence)
            for text in texts:
                view.tell(text)
            view.moved.set()
            view.dealt_with(waiting)
