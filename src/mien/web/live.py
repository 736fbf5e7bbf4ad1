"""Live views: frames from open pages in, faces out at once; and recordings of what was seen.

The event loop only moves messages. One thread reads the frames of all views, those that wait at the same time together; each view
keeps its own stream of people. A frame that nobody has begun with gives way to a newer one of the same page, and is counted; a late
one, captured while the socket was down, never does. A view whose page is gone waits for it, for a while, with all it knows.
"""

import asyncio
import json
import logging
import math
import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import APIRouter, WebSocket
from numpy.typing import NDArray
from starlette.websockets import WebSocketDisconnect

from mien.errors import MediaError, MienError
from mien.types import Episode, Faces, Frame, FrameResult
from mien.web import wire
from mien.web.settings import Settings
from mien.web.store import Job, Store, new_id, now
from mien.web.wire import WireError

if TYPE_CHECKING:
    from mien.analyze import Analyzer, StreamState
    from mien.episodes import EpisodeFinder
    from mien.web.recording import Logged, Writer

TOGETHER = 4
"""Frames that are read in one go at most: enough to share the network's start, few enough that nobody waits long for the others."""

WAITING_MAX = 8
"""Late frames of one view that wait here; the rest waits in the socket."""

UNSENT_MAX = 500
"""Messages that a page may leave unread before it is taken for gone."""

BREACHES_MAX = 20
"""Messages in a row that make no sense, after which the socket is closed."""

DARK_LUMA = 40.0
"""Mean luma, of 255, under which a picture counts as too dark."""

HELLO_WITHIN_S = 10.0
SETTLE_WITHIN_S = 10.0
SYNC_EVERY_S = 1.0
TELL_EVERY_S = 2.0
FREE_MIN_BYTES = 200 * 2**20
KNOWN_CLOSED = 200

log = logging.getLogger(__name__)
router = APIRouter()


@router.websocket("/api/live")
async def live_view(socket: WebSocket) -> None:
    """See docs/api.md."""
    live: Live = socket.app.state.live
    await live.serve(socket)


# --- what a view knows


class Course:
    """One stream of frames: who is where, which expressions last, and its clock, which starts at 0 and leaves pauses out."""

    def __init__(self, state: "StreamState", finder: "EpisodeFinder") -> None:
        self.state, self.finder = state, finder
        self.time_s: float | None = None
        self.step_s = 0.2
        self.part: int | None = None
        self.origin_s = 0.0

    def at(self, captured_s: float, part: int) -> float:
        """The clock's time of a frame; strictly rising. A new part goes on one step after the last frame of the part before."""
        if part != self.part:
            begin_s = 0.0 if self.time_s is None else self.time_s + self.step_s
            self.origin_s, self.part = captured_s - begin_s, part
        time_s = captured_s - self.origin_s
        if self.time_s is not None:
            time_s = max(time_s, math.nextafter(self.time_s, math.inf))
        return time_s

    def take(
        self, faces: Faces, emotions: NDArray[np.float32], time_s: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], list[Episode]]:
        """Track ids and smoothed probabilities of the next frame's faces, and the episodes that are over now."""
        if self.time_s is not None:
            self.step_s = min(max(time_s - self.time_s, 0.01), 5.0)
        self.time_s = time_s
        ids, smoothed = self.state.update(faces, time_s, emotions)
        ended: list[Episode] = []
        for track, scores in zip(ids.tolist(), smoothed.tolist(), strict=True):
            ended += self.finder.update(track, time_s, scores)
        return ids, smoothed, ended + self.finder.expire(time_s)

    def copy(self) -> "Course":
        """One that goes on from here on its own."""
        import copy

        return copy.deepcopy(self)

    @classmethod
    def replayed(cls, course: "Course", logged: "Logged") -> "Course":
        """`course`, taken through all that a log holds: it goes on as the one that wrote the log would have."""
        for row in logged.rows():
            course.take(row.result.faces, row.result.emotions, row.time_s)
            course.part, course.origin_s = row.part, row.captured_s - row.time_s
        return course


class Recording:
    """A recording under way. `course` and `writer` belong to the thread that reads frames."""

    def __init__(self, job: str, folder: Path, writer: "Writer | None", course: "Course | None") -> None:
        self.job, self.folder, self.writer, self.course = job, folder, writer, course
        self.state = "recording"  # paused, saving; then done, failed, erased
        self.rows = self.left_out = self.waiting = 0
        self.duration_s = 0.0
        self.over = ""  # why it has to end, where it has to
        self.told_rows = -1
        self.note: str | None = None
        self.error: str | None = None
        self.saving: asyncio.subprocess.Process | None = None

    def said(self) -> wire.RecordingState:
        return wire.RecordingState(
            state="failed" if self.state == "erased" else self.state,  # type: ignore[arg-type]
            job=self.job,
            rows=self.rows,
            duration_s=round(self.duration_s, 3),
            left_out=self.left_out,
            note=self.note,
            error=self.error,
        )


class Waiting:
    """A frame that nobody has begun with."""

    __slots__ = ("came_s", "head", "part", "picture", "recording", "view")

    def __init__(self, view: "View", head: wire.FrameHead, picture: bytes, recording: Recording | None) -> None:
        self.view, self.head, self.picture, self.recording = view, head, picture, recording
        self.part, self.came_s = view.part, time.perf_counter()


class View:
    """One open page, also for a while after its socket is gone.

    accepted, received  sequence of the last frame that came, and of the last that was dealt with
    part                rises with each pause, and where the page's clock starts again
    """

    def __init__(self, id: str, source: str, name: str, smoothing_s: float, course: Course) -> None:
        self.id, self.source, self.name, self.smoothing_s = id, source, name, smoothing_s
        self.course, self.latest, self.stale = course, course, False
        self.queue: deque[Waiting] = deque()
        self.busy = self.dropped = self.part = 0
        self.accepted = self.received = -1
        self.captured_s: float | None = None
        self.fresh = False  # a socket came back: its page's clock may have started again
        self.recording: Recording | None = None
        self.saving: Recording | None = None
        self.untold: list[str] = []
        self.page: Page | None = None
        self.moved = asyncio.Event()
        self.leaving: asyncio.TimerHandle | None = None

    def tell(self, text: str) -> None:
        if self.page is not None:
            self.page.tell(text)


class Page:
    """The socket of a view and what is still to be sent over it."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket, self.unsent = socket, asyncio.Queue[str]()
        self.breaches = 0
        self.gone = False

    def tell(self, text: str) -> None:
        if self.unsent.qsize() > UNSENT_MAX and not self.gone:
            self.gone = True  # it does not read: better it comes back than that its answers fill the memory
            _spawn(self.close(wire.CLOSE_BREACH))
        if not self.gone:
            self.unsent.put_nowait(text)

    async def send_for_ever(self) -> None:
        with suppress(WebSocketDisconnect, RuntimeError, OSError):
            while True:
                await self.socket.send_text(await self.unsent.get())

    async def close(self, code: int) -> None:
        self.gone = True
        with suppress(WebSocketDisconnect, RuntimeError, OSError):
            await self.socket.close(code)


_running: set[asyncio.Task[Any]] = set()


def _spawn(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """A task that is not forgotten by the collector, and whose failure is not silent."""

    def ended(task: asyncio.Task[Any]) -> None:
        _running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a live view stumbled", exc_info=task.exception())

    task = asyncio.get_running_loop().create_task(work)
    _running.add(task)
    task.add_done_callback(ended)
    return task


# --- all of them


class Live:
    """All live views, the thread that reads their frames, and their recordings.

    changed  is called, from any thread, with the id of a recording's job when something about it is new
    """

    def __init__(self, settings: Settings, store: Store, analyzer: "Analyzer | None" = None) -> None:
        self.settings, self.store = settings, store
        self.changed: Callable[[str], None] = lambda id: None
        self._analyzer, self._preparing, self._ready = analyzer, threading.Lock(), False
        self._views: dict[str, View] = {}
        self._closed: deque[str] = deque(maxlen=KNOWN_CLOSED)
        self._sockets, self._run = 0, new_id()
        self._saves: asyncio.Semaphore | None = None
        self._recordings: dict[str, Recording] = {}
        self._lock = threading.Condition()  # over the queues of all views
        self._turns: deque[View] = deque()  # views with waiting frames, the next one first
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._ticking: asyncio.Task[Any] | None = None
        self._finding: asyncio.Task[Any] | None = None

    # --- with the server

    async def start(self) -> None:
        """Begins to read frames, and finds the recordings that an earlier server left."""
        self._loop = asyncio.get_running_loop()
        self._stopping, self._saves = False, asyncio.Semaphore(1)
        self._thread = threading.Thread(target=self._read_for_ever, name="mien-live", daemon=True)
        self._thread.start()
        self._ticking = _spawn(self._tick_for_ever())
        self._finding = _spawn(self._find())

    async def stop(self) -> None:
        """Ends. Recordings stay as they are: the next server goes on with them."""
        with self._lock:
            self._stopping = True
            self._lock.notify_all()
        for task in (self._ticking, self._finding):
            if task is not None:
                task.cancel()
        for view in list(self._views.values()):
            if view.leaving is not None:
                view.leaving.cancel()
            if view.page is not None:
                await view.page.close(1012)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, SETTLE_WITHIN_S)
        for recording in list(self._recordings.values()):
            if recording.saving is not None:
                with suppress(ProcessLookupError):
                    recording.saving.kill()
            if recording.writer is not None:
                with suppress(OSError):
                    await asyncio.to_thread(recording.writer.close)

    def prepare(self) -> "Analyzer":
        """The analyzer; loaded, and warm, after the first call. Raises `ModelError`."""
        with self._preparing:
            if self._analyzer is None:
                from mien.analyze import Analyzer

                self._analyzer = Analyzer(self.settings.model)
            if not self._ready:
                import mien.episodes
                import mien.media
                import mien.web.recording  # noqa: F401  what is first needed in the middle of a recording is loaded now

                size = self._analyzer.emotion.crop.size
                shape = (1, size, size) if self._analyzer.emotion.crop.colour == "gray" else (1, size, size, 3)
                self._analyzer.faces(np.zeros((360, 640, 3), np.uint8))
                self._analyzer.emotion(np.zeros(shape, np.uint8))
                self._ready = True
            return self._analyzer

    def _course(self, analyzer: "Analyzer", smoothing_s: float) -> Course:
        from mien.episodes import EpisodeFinder

        return Course(analyzer.begin(smoothing_s), EpisodeFinder(analyzer.labels))

    # --- one socket

    async def serve(self, socket: WebSocket) -> None:
        """A page's socket from its opening to its end."""
        await socket.accept()
        page = Page(socket)
        if self._sockets >= self.settings.live_sockets_max:
            await page.close(wire.CLOSE_TOO_MANY)
            return
        self._sockets += 1
        sending = _spawn(page.send_for_ever())
        view: View | None = None
        code = 1006
        try:
            view = await self._greet(page)
            if view is not None:
                code = await self._listen(view, page)
        except WebSocketDisconnect as gone:
            code = gone.code
        except MienError as error:
            await self._refuse(page, WireError("cannot_read", str(error)), 1011)
        finally:
            self._sockets -= 1
            sending.cancel()
            if view is not None and view.page is page:
                view.page = None
                self._left(view, for_good=code == 1000)

    async def _refuse(self, page: Page, error: WireError, code: int) -> None:
        with suppress(WebSocketDisconnect, RuntimeError, OSError):
            await page.socket.send_text(wire.Failure.of(error).text())
        await page.close(code)

    async def _greet(self, page: Page) -> View | None:
        """The view that a page's first message asks for; None where it was refused."""
        try:
            async with asyncio.timeout(HELLO_WITHIN_S):
                message = await page.socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1006))
            hello = wire.read_message(message.get("text") or "")
            if not isinstance(hello, wire.Hello):
                raise WireError("bad_message", "The first message must be a hello.")
        except TimeoutError:
            await self._refuse(page, WireError("bad_message", f"No hello came within {HELLO_WITHIN_S:g} s."), wire.CLOSE_BREACH)
            return None
        except WireError as error:
            await self._refuse(page, error, wire.CLOSE_BREACH)
            return None
        analyzer = await asyncio.to_thread(self.prepare)
        if hello.resume and self._finding is not None:
            await asyncio.wait([self._finding])
        view = self._views.get(hello.resume or "")
        resumed, notice = view is not None, None
        if view is None:
            if hello.resume:
                kept = " What it had recorded is in the list of analyses." if hello.resume in self._closed else ""
                notice = f"That live view is not there any more: it waited {self.settings.live_return_s:g} s for its page.{kept}"
            smoothing_s = analyzer.smoothing_s if hello.smoothing_s is None else hello.smoothing_s
            view = View(new_id(), hello.source, hello.name, smoothing_s, self._course(analyzer, smoothing_s))
            self._views[view.id] = view
        else:
            old, view.page = view.page, None
            if old is not None:  # the server has not noticed yet that the old socket is dead
                await old.close(wire.CLOSE_TAKEN_OVER)
            if view.leaving is not None:
                view.leaving.cancel()
                view.leaving = None
            # What is under work is done first, so that `received` says what the page need not send again.
            await self._until(view, lambda: not view.queue and not view.busy)
            view.fresh = True
        view.page = page
        running = view.recording or view.saving
        ready = wire.Ready(
            live=view.id,
            run=self._run,
            labels=list(analyzer.labels),
            received=view.received,
            resumed=resumed,
            recording=running.said() if running else None,
            limits=wire.Limits(
                frame_max_kib=self.settings.live_frame_max_kib,
                frame_max_megapixels=self.settings.live_frame_max_megapixels,
                return_s=self.settings.live_return_s,
                recording_max_minutes=self.settings.recording_max_minutes,
            ),
            notice=notice,
        )
        page.tell(ready.text())
        while view.untold:
            page.tell(view.untold.pop(0))
        return view

    async def _listen(self, view: View, page: Page) -> int:
        """Takes a page's messages until it is gone; the code of the closing."""
        while True:
            message = await page.socket.receive()
            if message["type"] == "websocket.disconnect":
                return int(message.get("code") or 1006)
            try:
                if message.get("bytes") is not None:
                    await self._frame(view, message["bytes"])
                else:
                    said = wire.read_message(message.get("text") or "")
                    if isinstance(said, wire.Hello):
                        raise WireError("bad_message", "This live view has begun already; open another socket for another one.")
                    await self._record(view, said)
                page.breaches = 0
            except WireError as error:
                page.tell(wire.Failure.of(error).text())
                page.breaches += 1
                if page.breaches >= BREACHES_MAX:
                    await page.close(wire.CLOSE_BREACH)
                    return wire.CLOSE_BREACH

    async def _until(self, view: View, true: Callable[[], bool], timeout_s: float | None = SETTLE_WITHIN_S) -> bool:
        """Waits while frames of a view are dealt with; whether it came true in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not true():
                    view.moved.clear()
                    await view.moved.wait()
        return true()

    def _left(self, view: View, *, for_good: bool) -> None:
        """A page is gone: closed by its own wish, or cut off."""
        if self._stopping:
            return
        if for_good:
            _spawn(self._close(view, None))
            return
        note = f"The page was gone for longer than {self.settings.live_return_s:g} s, which ended the recording; all of it is kept."
        view.leaving = self._loop.call_later(self.settings.live_return_s, lambda: _spawn(self._close(view, note)))

    async def _close(self, view: View, note: str | None) -> None:
        if view.page is not None or self._views.pop(view.id, None) is None:
            return
        self._closed.append(view.id)
        if view.recording is not None:
            await self._finish(view, view.recording, note)

    # --- frames

    async def _frame(self, view: View, message: bytes) -> None:
        try:
            head, picture = wire.read_frame(message, max_bytes=self.settings.live_frame_max_kib * 1024)
            if head.sequence <= view.accepted:
                raise WireError(
                    "old_frame", f"Frames are numbered rising: {head.sequence} came after {view.accepted}.", head.sequence
                )
            if view.captured_s is not None and head.captured_s <= view.captured_s:
                if not view.fresh:
                    raise WireError(
                        "old_frame",
                        f"The times of frames must rise: {head.captured_s:g} s came after {view.captured_s:g} s.",
                        head.sequence,
                    )
                view.part += 1
        except WireError as error:
            if error.sequence is not None:
                view.dropped += 1
            raise
        view.fresh = False
        view.accepted, view.captured_s = head.sequence, head.captured_s
        recording = view.recording if head.of_recording else None
        if recording is not None and recording.state != "recording":
            recording = None
        waiting = Waiting(view, head, picture, recording)
        if head.late:
            await self._until(view, lambda: len(view.queue) < WAITING_MAX, None)
        self._put(waiting)

    def _put(self, waiting: Waiting) -> None:
        view, left_out = waiting.view, None
        with self._lock:
            if waiting.recording is not None:
                waiting.recording.waiting += 1
            if view.queue and not waiting.head.late and not view.queue[-1].head.late:
                left_out, view.queue[-1] = view.queue[-1], waiting
            else:
                view.queue.append(waiting)
                if view not in self._turns:
                    self._turns.append(view)
                    self._lock.notify()
        if left_out is not None:
            view.dropped += 1
            if left_out.recording is not None:
                left_out.recording.left_out += 1
                left_out.recording.waiting -= 1
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
                    self._count_out(waiting)
            with suppress(RuntimeError):  # the loop has ended, and the pages with it
                self._loop.call_soon_threadsafe(self._deliver, taken, answers)

    def _count_out(self, waiting: Waiting) -> None:
        waiting.view.dropped += 1
        if waiting.recording is not None:
            waiting.recording.left_out += 1

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
                self._count_out(waiting)
                text = str(error)
                answers[i] = [
                    wire.Failure.of(WireError("bad_frame", f"{text[0].upper()}{text[1:]}.", waiting.head.sequence)).text()
                ]
        for i, (faces, emotions) in zip(pictures, analyzer.faces_of(list(pictures.values())), strict=True):
            answers[i] = self._answer(taken[i], pictures[i], faces, emotions, analyzer.labels, begun_s)
        return answers

    def _answer(
        self,
        waiting: Waiting,
        rgb: NDArray[np.uint8],
        faces: Faces,
        emotions: NDArray[np.float32],
        labels: tuple[str, ...],
        begun_s: float,
    ) -> list[str]:
        view, head, recording = waiting.view, waiting.head, waiting.recording
        if recording is not None and recording.course is not None:
            course = view.latest = recording.course
            view.stale = True
        else:
            # Between the looks of a recording, and in its pauses, a copy follows the people: the recording itself must be what a
            # film of its frames alone would give.
            if view.stale:
                view.course, view.stale = view.latest.copy(), False
            course = view.course
        time_s = course.at(head.captured_s, waiting.part)
        ids, smoothed, ended = course.take(faces, emotions, time_s)
        index = recording.rows if recording is not None else 0
        result = FrameResult(Frame(index, time_s, rgb), faces, ids, labels, emotions, smoothed)
        recorded = recording is not None and self._keep(recording, waiting, result)
        light = float((rgb[::4, ::4].mean(axis=(0, 1)) * (0.299, 0.587, 0.114)).sum())
        answer = wire.FacesSeen(
            sequence=head.sequence,
            captured_s=head.captured_s,
            width=rgb.shape[1],
            height=rgb.shape[0],
            faces=[
                wire.Face(
                    track=int(ids[n]),
                    box=wire.rounded(faces.boxes[n], 2),
                    score=round(float(faces.scores[n]), 4),
                    expression=result.expressions[n],
                    emotions=wire.rounded(emotions[n]),
                    smoothed=wire.rounded(smoothed[n]),
                    valence=round(float(result.valence[n]), 5),
                )
                for n in range(len(faces))
            ],
            light=round(light, 1),
            dark=light < DARK_LUMA,
            dropped=view.dropped,
            recorded=recorded,
            time_s=time_s if recorded else None,
            queue_ms=round(1000 * (begun_s - waiting.came_s), 1),
            work_ms=round(1000 * (time.perf_counter() - begun_s), 1),
        )
        shift_s = 0.0 if recorded else course.origin_s
        return [answer.text(), *(_episode(e, shift_s, recorded).text() for e in ended)]

    def _keep(self, recording: Recording, waiting: Waiting, result: FrameResult) -> bool:
        """Writes an answer into its recording; whether that was done."""
        from mien.web.recording import Row

        writer = recording.writer
        if writer is None or recording.state == "erased" or recording.over.startswith("The disk"):
            return False
        height, width = result.frame.rgb.shape[:2]
        head = waiting.head
        row = Row(head.sequence, head.captured_s, width, height, waiting.part & 0xFFFF, recording.left_out, result)
        try:
            writer.add(row, waiting.picture)
        except ValueError:  # closed: the recording was erased in this moment
            return False
        except OSError as error:
            log.warning("a recording cannot be written: %s", error)
            recording.over = f"The disk did not take more ({error.strerror or error}); all until then is kept."
            return False
        recording.rows += 1
        recording.duration_s = result.time_s
        if result.time_s >= 60 * self.settings.recording_max_minutes:
            recording.over = f"Ended after {self.settings.recording_max_minutes:g} min, the longest that a recording may be."
        return True

    def _deliver(self, taken: list[Waiting], answers: list[list[str]]) -> None:
        """Back in the event loop: what was read goes out."""
        for waiting, texts in zip(taken, answers, strict=True):
            view, recording = waiting.view, waiting.recording
            view.busy -= 1
            view.received = max(view.received, waiting.head.sequence)
            for text in texts:
                view.tell(text)
            view.moved.set()
            if recording is not None:
                recording.waiting -= 1
                if recording.over and recording.state in ("recording", "paused"):
                    _spawn(self._finish(view, recording, recording.over))

    # --- recordings

    async def _record(self, view: View, asked: wire.Record) -> None:
        recording = view.recording
        if asked.action == "start":
            if recording is not None:
                raise WireError("recording_runs", "A recording is running already; stop it before another is started.")
            recording = await self._begin(view, asked)
        elif recording is None:
            raise WireError("no_recording", f"There is no recording to {asked.action}; start one first.")
        elif asked.action == "stop":
            _spawn(self._finish(view, recording, None))
            return
        else:
            wanted = "paused" if asked.action == "pause" else "recording"
            if recording.state in ("recording", "paused") and recording.state != wanted:
                if wanted == "recording":
                    view.part += 1
                recording.state = wanted
                await self._put_down(recording, state=wanted)
        view.tell(recording.said().text())

    async def _begin(self, view: View, asked: wire.Record) -> Recording:
        analyzer = self.prepare()
        source = "Camera" if view.source == "camera" else "Screen"
        name = "".join(c for c in asked.name or view.name if c.isprintable()).strip() or f"{source} recording"
        every_s = asked.every_s or None
        settings = analyzer.settings(every_s) | {"smoothing_s": view.smoothing_s, "baseline_s": None}
        options = {
            "every_s": every_s,
            "smoothing_s": view.smoothing_s,
            "baseline_s": 0.0,
            "keep_film": asked.keep_film,
            "keep_stills": asked.keep_film,
        }

        def begin() -> Recording:
            from mien.web.recording import Facts, Writer

            self.settings.data_dir.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(self.settings.data_dir).free < FREE_MIN_BYTES:
                raise WireError("storage_full", "The disk is nearly full; erase some analyses before recording.")
            id = new_id()
            folder = self._folder(id)
            try:
                folder.mkdir(parents=True)
                facts = Facts(view.id, name, view.source, tuple(analyzer.labels), settings, asked.keep_film)
                writer = Writer(folder, facts)
            except OSError as error:
                raise WireError("storage_full", f"The recording cannot be written: {error.strerror or error}.") from error
            self.store.create_job(
                id=id,
                kind="live",
                state="recording",
                name=name,
                media=view.source,
                started_at=now(),
                options=options,
                live={"view": view.id},
                progress=_progress(0, 0.0),
            )
            self.changed(id)
            return Recording(id, folder, writer, self._course(analyzer, view.smoothing_s))

        recording = await asyncio.to_thread(begin)
        self._recordings[recording.job] = recording
        view.recording = recording
        return recording

    async def _put_down(self, recording: Recording, **values: Any) -> Job | None:
        """Changes the row of a recording's job, and says so; None where it was erased."""

        def put_down() -> Job | None:
            job = self.store.update_job(recording.job, **values)
            if job is not None:
                self.changed(recording.job)
            return job

        return await asyncio.to_thread(put_down)

    async def _finish(self, view: View, recording: Recording, note: str | None) -> None:
        """Ends a recording: nothing more is taken, what waits is answered, the result is made."""
        if recording.state not in ("recording", "paused"):
            return
        recording.state, recording.note = "saving", note
        view.tell(recording.said().text())
        await self._until(view, lambda: recording.waiting <= 0)
        if view.recording is recording:
            view.recording, view.saving = None, recording
        if recording.writer is not None:
            with suppress(OSError):
                await asyncio.to_thread(recording.writer.close)
        if recording.left_out:
            left = "1 picture was" if recording.left_out == 1 else f"{recording.left_out} pictures were"
            why = f"{left} left out of {recording.rows + recording.left_out}: the machine was too slow, or the picture was damaged."
            recording.note = " ".join(filter(None, [note, why]))
        if recording.state == "saving":
            await self._put_down(recording, state="saving", note=recording.note, progress=None, duration_s=recording.duration_s)
            await self._save(recording)
        if view.saving is recording:
            view.saving = None
        if recording.state != "erased":
            view.untold.append(recording.said().text())
            while view.page is not None and view.untold:
                view.tell(view.untold.pop(0))

    async def _save(self, recording: Recording) -> None:
        """Has the result made, one at a time, in a process that gives way to whoever is live."""
        assert self._saves is not None
        async with self._saves:
            if recording.state == "erased" or self._stopping:
                return
            recording.saving = process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "mien.web.recording", str(recording.folder)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            assert process.stdout is not None
            assert process.stderr is not None
            # Not communicate(): that would close the input, which tells the process that the server is gone.
            said, complaints = await asyncio.gather(process.stdout.read(), process.stderr.read())
            code = await process.wait()
            recording.saving = None
        if self._stopping or recording.state == "erased":
            return
        try:
            answer = json.loads(said)
        except ValueError:
            log.error("the process that saves a recording ended with %s: %s", code, complaints.decode(errors="replace")[-4000:])
            answer = {
                "failed": f"The result could not be made: its process ended with {code}. What was recorded is kept; try it again."
            }
        recording.error = answer.get("failed")
        recording.state = "failed" if recording.error else "done"
        size = await asyncio.to_thread(_bytes, recording.folder)
        ended = {"ended_at": now(), "progress": None, "size_bytes": size, "error": recording.error, "note": recording.note}
        await self._put_down(recording, state=recording.state, **ended, **answer.get("done", {}))
        self._recordings.pop(recording.job, None)

    def forget(self, id: str) -> None:
        """Ends the recording of a job that is about to be erased: nothing is written any more. From any thread."""
        recording = self._recordings.pop(id, None)
        if recording is None:
            return
        recording.state = "erased"
        if recording.writer is not None:
            with suppress(OSError):
                recording.writer.close()
        if recording.saving is not None:
            with suppress(ProcessLookupError):
                recording.saving.kill()
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._part_with, recording)

    def _part_with(self, recording: Recording) -> None:
        for view in self._views.values():
            if view.recording is recording:
                view.recording = None
                recording.error = "This recording was erased."
                view.tell(recording.said().text())

    def retry(self, id: str) -> bool:
        """Makes the result of a recording whose saving failed once more; False where its log is gone. From any thread."""
        if not (self._folder(id) / "rows.log").is_file():
            return False
        if self.store.update_job(id, only_in=("failed",), state="saving", error=None, ended_at=None) is not None:
            self.changed(id)
            self._loop.call_soon_threadsafe(lambda: _spawn(self._save_left(id)))
        return True

    async def _save_left(self, id: str) -> None:
        """Saves a recording that no view holds any more."""
        recording = Recording(id, self._folder(id), None, None)
        recording.state = "saving"
        self._recordings[id] = recording
        job = await self._put_down(recording, state="saving")
        if job is not None:
            recording.note = job.note
            await self._save(recording)

    def _folder(self, id: str) -> Path:
        return self.settings.data_dir / "jobs" / id

    # --- what an earlier server left

    async def _find(self) -> None:
        """Recordings that were under way wait for their pages again; those that were being saved are saved."""
        for job in await asyncio.to_thread(self.store.unfinished, "live"):
            try:
                if job.state == "saving" or not await self._found(job):
                    note = job.note or "The server stopped during this recording; all until then is kept."
                    await self._put_down(Recording(job.id, self._folder(job.id), None, None), note=note)
                    _spawn(self._save_left(job.id))
            except Exception as error:
                if not isinstance(error, MienError):
                    log.exception("a recording could not be taken up again")
                lost = Recording(job.id, self._folder(job.id), None, None)
                await self._put_down(lost, state="failed", ended_at=now(), progress=None, error=f"{job.name}: {error}")

    async def _found(self, job: Job) -> bool:
        """Whether a recording can go on: then its view is there again and waits for its page."""
        from mien.web.recording import Logged, Writer

        folder = self._folder(job.id)
        logged = await asyncio.to_thread(Logged, folder)
        facts, last = logged.facts, logged.last
        analyzer = await asyncio.to_thread(self.prepare)
        if tuple(analyzer.labels) != facts.labels or analyzer.settings()["models"] != facts.settings["models"]:
            return False  # another model now: what came would not fit what is there
        smoothing_s = float(facts.settings["smoothing_s"])
        course = await asyncio.to_thread(Course.replayed, self._course(analyzer, smoothing_s), logged)
        recording = Recording(job.id, folder, await asyncio.to_thread(Writer.reopen, folder, logged), course)
        recording.state = job.state
        view = View(facts.live, facts.source, facts.name, smoothing_s, course)
        if last is not None:
            recording.rows, recording.duration_s, recording.left_out = logged.count, last.time_s, last.left_out
            view.accepted = view.received = last.sequence
            view.captured_s, view.part = last.captured_s, last.part
        view.latest, view.stale, view.recording = course, True, recording
        self._recordings[job.id], self._views[view.id] = recording, view
        note = (
            f"The server stopped during this recording, and its page did not come back within {self.settings.live_return_s:g} s; "
            "all until then is kept."
        )
        view.leaving = self._loop.call_later(self.settings.live_return_s, lambda: _spawn(self._close(view, note)))
        return True

    # --- from time to time

    async def _tick_for_ever(self) -> None:
        """Once a second what was written goes to the disk; every other second the lists learn how long recordings are."""
        told_s = time.monotonic()
        while True:
            await asyncio.sleep(SYNC_EVERY_S)
            tell = time.monotonic() - told_s >= TELL_EVERY_S
            told_s = time.monotonic() if tell else told_s
            for recording in list(self._recordings.values()):
                if recording.writer is None or recording.state not in ("recording", "paused"):
                    continue
                try:
                    await asyncio.to_thread(recording.writer.sync)
                    if tell and recording.rows != recording.told_rows:
                        recording.told_rows = recording.rows
                        size = await asyncio.to_thread(_bytes, recording.folder)
                        progress = _progress(recording.rows, recording.duration_s)
                        await self._put_down(recording, progress=progress, size_bytes=size)
                except (OSError, ValueError) as error:
                    log.warning("a recording cannot be brought to the disk: %s", error)
                except Exception:
                    log.exception("the list of analyses could not be told of a recording")


def _progress(rows: int, duration_s: float) -> dict[str, Any]:
    return {
        "frames": rows,
        "done_s": round(duration_s, 3),
        "total_s": None,
        "share": None,
        "frames_per_s": round((rows - 1) / duration_s, 1) if duration_s > 0 else None,
        "left_s": None,
    }


def _bytes(folder: Path) -> int:
    from mien.web.jobs import folder_bytes

    return folder_bytes(folder)


def _episode(episode: Episode, shift_s: float, recorded: bool) -> wire.EpisodeSeen:
    return wire.EpisodeSeen(
        track=episode.track,
        expression=episode.expression,
        start_s=episode.start_s + shift_s,
        end_s=episode.end_s + shift_s,
        peak=round(episode.peak, 4),
        peak_time_s=episode.peak_time_s + shift_s,
        recorded=recorded,
    )
