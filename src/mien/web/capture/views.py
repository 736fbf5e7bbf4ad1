"""What is known of an open live view: its page, the frames that wait, who is where, and its recording."""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from fastapi import WebSocket
from numpy.typing import NDArray
from starlette.websockets import WebSocketDisconnect

from mien.types import MIN_RELIABILITY, Episode, Faces, Frame, FrameResult, flag_names, relied_on
from mien.web.capture import wire
from mien.web.capture.wire import WireError
from mien.web.database import AGAIN_S, passes

if TYPE_CHECKING:
    from mien.analyze import Analyzer, StreamState
    from mien.episodes import EpisodeFinder
    from mien.web.capture.frame_log import FrameLog, FrameWriter

BREACHES_MAX = 20
"""Messages in a row that make no sense, after which a socket is closed."""

HELLO_WITHIN_S = 10.0
UNSENT_MAX = 500
"""Messages that a page may leave unread before it is taken for gone."""

SETTLE_WITHIN_S = 10.0
"""Frames that somebody waits for are read by then, or never."""

DARK_LUMA = 40.0
"""Mean luma, of 255, under which a picture counts as too dark."""

T = TypeVar("T")

log = logging.getLogger(__name__)


class FrameClock:
    """When the frames of a page were taken, in seconds that only rise, whatever the page's own clock does.

    time_s    of the last frame that was taken up, None before the first
    origin_s  what the page's clock shows where this one is at 0
    """

    def __init__(self, time_s: float | None = None) -> None:
        self.time_s, self.origin_s = time_s, 0.0

    def begin(self, captured_s: float, time_s: float) -> None:
        """The page's clock counts anew: it showed `captured_s` at `time_s`."""
        self.origin_s = captured_s - time_s

    def at(self, captured_s: float) -> float:
        """The time of the next frame."""
        time_s = captured_s - self.origin_s
        return time_s if self.time_s is None else max(time_s, math.nextafter(self.time_s, math.inf))


class Course:
    """One stream of frames: who is where, which expressions last, and its clock, which starts at 0 and leaves pauses out."""

    def __init__(self, state: "StreamState", finder: "EpisodeFinder") -> None:
        self.state, self.finder, self.clock = state, finder, FrameClock()
        self.step_s = 0.2
        self.part: int | None = None

    @classmethod
    def begun(cls, analyzer: "Analyzer", smoothing_s: float) -> "Course":
        """One in which nothing has been seen yet."""
        from mien.episodes import EpisodeFinder

        return cls(analyzer.begin(smoothing_s), EpisodeFinder(analyzer.labels))

    def at(self, captured_s: float, part: int) -> float:
        """The clock's time of a frame; strictly rising. A new part goes on one step after the last frame of the part before."""
        if part != self.part:
            self.part = part
            self.clock.begin(captured_s, 0.0 if self.clock.time_s is None else self.clock.time_s + self.step_s)
        return self.clock.at(captured_s)

    def take(
        self, faces: Faces, emotions: NDArray[np.float32], time_s: float, relied_on: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], list[Episode]]:
        """Track ids and smoothed probabilities of the next frame's faces, and the episodes that are over now.

        relied_on  (N,) which of the faces count for these; None for all
        """
        if self.clock.time_s is not None:
            self.step_s = min(max(time_s - self.clock.time_s, 0.01), 5.0)
        self.clock.time_s = time_s
        ids, smoothed = self.state.update(faces, time_s, emotions)
        ended: list[Episode] = []
        counts = np.ones(len(ids), bool) if relied_on is None else relied_on
        for track, scores in zip(ids[counts].tolist(), smoothed[counts].tolist(), strict=True):
            ended += self.finder.update(track, time_s, scores)
        return ids, smoothed, ended + self.finder.expire(time_s)

    def copy(self) -> "Course":
        """One that goes on from here on its own."""
        import copy

        return copy.deepcopy(self)

    @classmethod
    def replayed(cls, course: "Course", logged: "FrameLog") -> "Course":
        """`course`, taken through all that a log holds: it goes on as the one that wrote the log would have."""
        for row in logged:
            course.take(row.result.faces, row.result.emotions, row.time_s, row.result.relied_on)
            course.part = row.part
            course.clock.begin(row.captured_s, row.time_s)
        return course


class Recording:
    """A recording under way. `course` and `writer` belong to the thread that reads frames."""

    def __init__(self, job: str, folder: Path, writer: "FrameWriter | None", course: "Course | None") -> None:
        self.job, self.folder, self.writer, self.course = job, folder, writer, course
        self.state = "recording"  # paused, saving; then done, failed, erased
        self.rows = self.left_out = self.waiting = 0
        self.duration_s = 0.0
        self.over = ""  # why it has to end, where it has to
        self.told_rows = -1
        self.note: str | None = None
        self.error: str | None = None
        self.saved = asyncio.Event()  # also where it failed, was erased, or is left to the next server

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
    """A frame that nobody has begun with. keep: it never gives way to a newer one."""

    __slots__ = ("came_s", "head", "keep", "part", "picture", "recording", "view")

    def __init__(self, view: "Line", head: wire.FrameHead, picture: bytes, recording: Recording | None = None) -> None:
        self.view, self.head, self.picture, self.recording = view, head, picture, recording
        self.part, self.came_s, self.keep = view.part, time.perf_counter(), head.late or view.keeps


class Line:
    """The frames of one page that wait to be read, and the page that their answers go to.

    accepted  sequence of the last frame that came
    received  of the last one that was dealt with
    part      rises where the page's clock starts again, and with each pause
    keeps     whether no frame ever gives way to a newer one
    """

    keeps = False

    def __init__(self) -> None:
        self.queue: deque[Waiting] = deque()
        self.busy = self.dropped = self.part = 0
        self.accepted = self.received = -1
        self.captured_s: float | None = None
        self.page: Page | None = None
        self.moved = asyncio.Event()

    def accept(self, head: wire.FrameHead, picture: bytes) -> Waiting:
        """Takes the next frame that came. Raises `WireError` where it is none."""
        if head.sequence <= self.accepted:
            raise WireError("old_frame", f"Frames are numbered rising: {head.sequence} came after {self.accepted}.", head.sequence)
        self.part += self.begins_anew(head)
        self.accepted, self.captured_s = head.sequence, head.captured_s
        return Waiting(self, head, picture)

    def begins_anew(self, head: wire.FrameHead) -> bool:
        """Whether the page's clock started again before this frame."""
        return self.captured_s is not None and head.captured_s < self.captured_s

    def answers(self, read: "Read") -> list[str]:
        """The messages that answer a frame, in the thread that reads."""
        raise NotImplementedError

    def left_out(self, waiting: Waiting) -> None:
        """Counts a frame that could not be read, or gave way to a newer one. From any thread."""
        self.dropped += 1

    def dealt_with(self, waiting: Waiting) -> None:
        """Called once a frame is answered or was left out."""

    def tell(self, text: str) -> None:
        if self.page is not None:
            self.page.tell(text)

    async def until(self, true: Callable[[], bool], timeout_s: float | None = SETTLE_WITHIN_S) -> bool:
        """Waits while its frames are dealt with; whether it came true in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not true():
                    self.moved.clear()
                    await self.moved.wait()
        return true()


class Read(NamedTuple):
    """A frame that was read: its picture (H, W, 3) uint8 RGB, the N faces in it and their probabilities (N, K) of `labels`.

    reliability, flags  (N,) each, and from which reliability on a reading is relied on; see `FrameResult`
    """

    waiting: Waiting
    rgb: NDArray[np.uint8]
    faces: Faces
    emotions: NDArray[np.float32]
    labels: tuple[str, ...]
    begun_s: float
    reliability: Any = None
    flags: Any = None
    min_reliability: float = MIN_RELIABILITY

    @property
    def relied_on(self) -> NDArray[np.bool_]:
        """(N,) which readings can be relied on."""
        if self.reliability is None or self.flags is None:
            return np.ones(len(self.faces), bool)
        return relied_on(self.reliability, self.flags, self.min_reliability)

    def flags_of(self, face: int) -> tuple[str, ...]:
        """What makes the reading of one face unsure."""
        return () if self.flags is None else flag_names(int(self.flags[face]))

    @property
    def light(self) -> float:
        """The mean luma of the picture, 0 to 255."""
        rows = self.rgb[::4]
        sums = rows.sum(axis=0, dtype=np.uint32)[::4].sum(axis=0)  # a mean over both axes at once takes seven times as long
        return float((sums / (len(rows) * len(rows[0, ::4])) * (0.299, 0.587, 0.114)).sum())


class Keeping(NamedTuple):
    """What becomes of a view's frames that belong to a recording.

    keep  writes an answer, and whether that was done; from the thread that reads
    over  ends a recording that has to end
    """

    keep: "Callable[[Recording, Waiting, FrameResult, float], bool]"
    over: "Callable[[View, Recording], None]"


class View(Line):
    """One open page, also for a while after its socket is gone."""

    def __init__(self, keeping: Keeping, id: str, source: str, name: str, smoothing_s: float, course: Course) -> None:
        super().__init__()
        self._keeping = keeping
        self.id, self.source, self.name, self.smoothing_s = id, source, name, smoothing_s
        self.course, self.latest, self.stale = course, course, False
        self.fresh = False  # a socket came back: its page's clock may have started again
        self.recording: Recording | None = None
        self.saving: Recording | None = None
        self.untold: list[str] = []
        self.leaving: asyncio.TimerHandle | None = None

    def accept(self, head: wire.FrameHead, picture: bytes) -> Waiting:
        waiting = super().accept(head, picture)
        self.fresh = False
        if head.of_recording and self.recording is not None and self.recording.state == "recording":
            waiting.recording = self.recording
            self.recording.waiting += 1
        return waiting

    def begins_anew(self, head: wire.FrameHead) -> bool:
        if self.captured_s is None or head.captured_s > self.captured_s:
            return False
        if not self.fresh:
            raise WireError(
                "old_frame",
                f"The times of frames must rise: {head.captured_s:g} s came after {self.captured_s:g} s.",
                head.sequence,
            )
        return True

    def left_out(self, waiting: Waiting) -> None:
        super().left_out(waiting)
        if waiting.recording is not None:
            waiting.recording.left_out += 1

    def dealt_with(self, waiting: Waiting) -> None:
        recording = waiting.recording
        if recording is not None:
            recording.waiting -= 1
            if recording.over and recording.state in ("recording", "paused"):
                self._keeping.over(self, recording)

    def answers(self, read: Read) -> list[str]:
        """The messages that answer a frame of a live view."""
        waiting, rgb, faces, emotions, labels, begun_s = read[:6]
        judged = (read.reliability, read.flags, read.min_reliability)
        head, recording = waiting.head, waiting.recording
        if recording is not None and recording.course is not None:
            course = self.latest = recording.course
            self.stale = True
        else:
            # Between the looks of a recording, and in its pauses, a copy follows the people: the recording itself must be what a
            # film of its frames alone would give.
            if self.stale:
                self.course, self.stale = self.latest.copy(), False
            course = self.course
        time_s = course.at(head.captured_s, waiting.part)
        ids, smoothed, ended = course.take(faces, emotions, time_s, read.relied_on)
        index = recording.rows if recording is not None else 0
        result = FrameResult(Frame(index, time_s, rgb), faces, ids, labels, emotions, smoothed, *judged)
        light, expressions, valence = read.light, result.expressions, result.valence
        recorded = recording is not None and self._keeping.keep(recording, waiting, result, light)
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
                    expression=expressions[n],
                    emotions=wire.rounded(emotions[n]),
                    smoothed=wire.rounded(smoothed[n]),
                    valence=round(float(valence[n]), 5),
                    reliability=wire.known(result.reliability[n]),
                    flags=list(flag_names(int(result.flags[n]))),
                )
                for n in range(len(faces))
            ],
            light=round(light, 1),
            dark=light < DARK_LUMA,
            dropped=self.dropped,
            recorded=recorded,
            time_s=time_s if recorded else None,
            queue_ms=round(1000 * (begun_s - waiting.came_s), 1),
            work_ms=round(1000 * (time.perf_counter() - begun_s), 1),
        )
        shift_s = 0.0 if recorded else course.clock.origin_s
        return [answer.text(), *(_episode(e, shift_s, recorded).text() for e in ended)]


class Page:
    """The socket of a view and what is still to be sent over it."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket, self.unsent = socket, asyncio.Queue[str]()
        self.breaches = 0
        self.gone = False

    def tell(self, text: str) -> None:
        if self.unsent.qsize() > UNSENT_MAX and not self.gone:
            self.gone = True  # it does not read: better it comes back than that its answers fill the memory
            spawn(self.close(wire.CLOSE_BREACH))
        if not self.gone:
            self.unsent.put_nowait(text)

    async def send_for_ever(self) -> None:
        with suppress(WebSocketDisconnect, RuntimeError, OSError):
            while True:
                await self.socket.send_text(await self.unsent.get())

    async def refuse(self, error: WireError, code: int) -> None:
        """Says why, past whatever waits to be sent, and closes."""
        with suppress(WebSocketDisconnect, RuntimeError, OSError):
            await self.socket.send_text(wire.Failure.of(error).text())
        await self.close(code)

    async def close(self, code: int) -> None:
        self.gone = True
        with suppress(WebSocketDisconnect, RuntimeError, OSError):
            await self.socket.close(code)


_running: set[asyncio.Task[Any]] = set()


async def surely(do: Callable[[], T], stopping: Callable[[], bool]) -> T:
    """Does in a thread what must not be lost, and again for as long as the disk is full or the database held by somebody."""
    while True:
        try:
            return await asyncio.to_thread(do)
        except Exception as error:
            if stopping() or not passes(error):
                raise
        await asyncio.sleep(AGAIN_S)


def spawn(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """A task that is not forgotten by the collector, and whose failure is not silent."""

    def ended(task: asyncio.Task[Any]) -> None:
        _running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a live view stumbled", exc_info=task.exception())

    task = asyncio.get_running_loop().create_task(work)
    _running.add(task)
    task.add_done_callback(ended)
    return task


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
