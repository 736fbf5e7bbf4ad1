"""Live views: frames from open pages in, faces out at once; and recordings of what was seen.

Here are their sockets: who comes, goes and comes back, and what pages say. The event loop only moves messages; frames are read in
`reader`. Each view keeps its own stream of people; one whose page is gone waits for it, for a while, with all it knows.
"""

import asyncio
import logging
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from mien.errors import MienError
from mien.web.analyses.service import Jobs
from mien.web.capture import wire
from mien.web.capture.reader import Reader
from mien.web.capture.recorder import Recordings
from mien.web.capture.views import BREACHES_MAX, HELLO_WITHIN_S, Course, Page, Recording, View, Waiting, spawn
from mien.web.capture.wire import WireError
from mien.web.database import Job, Store, new_id, now
from mien.web.settings import Settings
from mien.web.writers import Writers

if TYPE_CHECKING:
    from mien.analyze import Analyzer

WAITING_MAX = 8
"""Late frames of one view that wait here; the rest waits in the socket."""

KNOWN_CLOSED = 200

log = logging.getLogger(__name__)
router = APIRouter()


@router.websocket("/api/live")
async def live_view(socket: WebSocket) -> None:
    """See docs/api.md."""
    live: Live = socket.app.state.live
    await live.serve(socket)


class Live:
    """All live views, with the thread that reads their frames and with their recordings."""

    def __init__(self, settings: Settings, store: Store, jobs: Jobs, writers: Writers, analyzer: "Analyzer | None" = None) -> None:
        self.settings, self.store = settings, store
        self.recordings = Recordings(settings, store, jobs, erased=self.forget)
        writers.add(self.forget)
        jobs.retry_live = self.recordings.retry
        self.reader = Reader(settings, self.recordings, analyzer)
        self._views: dict[str, View] = {}
        self._closed: deque[str] = deque(maxlen=KNOWN_CLOSED)
        self._sockets, self._run = 0, new_id()
        self._stopping = False
        self._finding: asyncio.Task[Any] | None = None

    # --- with the server

    async def start(self) -> None:
        """Begins to read frames, and finds the recordings that an earlier server left."""
        self._loop = asyncio.get_running_loop()
        self._stopping = False
        self.reader.start()
        self.recordings.start()
        self._finding = spawn(self._find())

    async def stop(self) -> None:
        """Ends. Recordings stay as they are: the next server goes on with them."""
        self._stopping = True
        self.reader.stop()
        self.recordings.stop()
        if self._finding is not None:
            self._finding.cancel()
        for view in list(self._views.values()):
            if view.leaving is not None:
                view.leaving.cancel()
            if view.page is not None:
                await view.page.close(1012)
        await self.reader.join()
        await self.recordings.close()

    def forget(self, id: str) -> None:
        """Ends the recording of a job that is about to be erased: nothing is written any more. From any thread."""
        recording = self.recordings.forget(id)
        if recording is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._part_with, recording)

    def _part_with(self, recording: Recording) -> None:
        for view in self._views.values():
            if view.recording is recording:
                view.recording = None
                recording.error = "This recording was erased."
                view.tell(recording.said().text())

    # --- one socket

    async def serve(self, socket: WebSocket) -> None:
        """A page's socket from its opening to its end."""
        await socket.accept()
        page = Page(socket)
        if self._sockets >= self.settings.live_sockets_max:
            await page.close(wire.CLOSE_TOO_MANY)
            return
        self._sockets += 1
        sending = spawn(page.send_for_ever())
        view: View | None = None
        code = 1006
        try:
            view = await self._greet(page)
            if view is not None:
                code = await self._listen(view, page)
        except WebSocketDisconnect as gone:
            code = gone.code
        except MienError as error:
            await page.refuse(WireError("cannot_read", str(error)), 1011)
        finally:
            self._sockets -= 1
            sending.cancel()
            if view is not None and view.page is page:
                view.page = None
                self._left(view, for_good=code == 1000)

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
            await page.refuse(WireError("bad_message", f"No hello came within {HELLO_WITHIN_S:g} s."), wire.CLOSE_BREACH)
            return None
        except WireError as error:
            await page.refuse(error, wire.CLOSE_BREACH)
            return None
        analyzer = await asyncio.to_thread(self.reader.prepare)
        if hello.resume and self._finding is not None:
            await asyncio.wait([self._finding])
        view = self._views.get(hello.resume or "")
        resumed, notice = view is not None, None
        if view is None:
            if hello.resume:
                kept = " What it had recorded is in the list of analyses." if hello.resume in self._closed else ""
                notice = f"That live view is not there any more: it waited {self.settings.live_return_s:g} s for its page.{kept}"
            smoothing_s = analyzer.smoothing_s if hello.smoothing_s is None else hello.smoothing_s
            view = View(new_id(), hello.source, hello.name, smoothing_s, Course.begun(analyzer, smoothing_s))
            self._views[view.id] = view
        else:
            old, view.page = view.page, None
            if old is not None:  # the server has not noticed yet that the old socket is dead
                await old.close(wire.CLOSE_TAKEN_OVER)
            if view.leaving is not None:
                view.leaving.cancel()
                view.leaving = None
            # What is under work is done first, so that `received` says what the page need not send again.
            await view.until(lambda: not view.queue and not view.busy)
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
                    await self.recordings.record(view, said, self.reader.prepare())
                page.breaches = 0
            except WireError as error:
                page.tell(wire.Failure.of(error).text())
                page.breaches += 1
                if page.breaches >= BREACHES_MAX:
                    await page.close(wire.CLOSE_BREACH)
                    return wire.CLOSE_BREACH

    def _left(self, view: View, *, for_good: bool) -> None:
        """A page is gone: closed by its own wish, or cut off."""
        if self._stopping:
            return
        if for_good:
            spawn(self._close(view, None))
            return
        note = f"The page was gone for longer than {self.settings.live_return_s:g} s, which ended the recording; all of it is kept."
        view.leaving = self._loop.call_later(self.settings.live_return_s, lambda: spawn(self._close(view, note)))

    async def _close(self, view: View, note: str | None) -> None:
        if view.page is not None or self._views.pop(view.id, None) is None:
            return
        self._closed.append(view.id)
        if view.recording is not None:
            await self.recordings.finish(view, view.recording, note)

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
            await view.until(lambda: len(view.queue) < WAITING_MAX, None)
        self.reader.put(waiting)

    # --- what an earlier server left

    async def _find(self) -> None:
        """Recordings that were under way wait for their pages again; those that were being saved are saved."""
        for job in await asyncio.to_thread(self.store.unfinished, "live"):
            try:
                if job.state == "saving" or not await self._found(job):
                    note = job.note or "The server stopped during this recording; all until then is kept."
                    await self.recordings.put_down(Recording(job.id, self.recordings.folder(job.id), None, None), note=note)
                    spawn(self.recordings.save_left(job.id))
            except Exception as error:
                if not isinstance(error, MienError):
                    log.exception("a recording could not be taken up again")
                lost = Recording(job.id, self.recordings.folder(job.id), None, None)
                await self.recordings.put_down(lost, state="failed", ended_at=now(), progress=None, error=f"{job.name}: {error}")

    async def _found(self, job: Job) -> bool:
        """Whether a recording can go on: then its view is there again and waits for its page."""
        from mien.web.capture.recording import Logged, Writer

        folder = self.recordings.folder(job.id)
        logged = await asyncio.to_thread(Logged, folder)
        facts, last = logged.about, logged.row(len(logged.rows) - 1) if len(logged.rows) else None
        analyzer = await asyncio.to_thread(self.reader.prepare)
        if tuple(analyzer.labels) != facts.labels or analyzer.settings()["models"] != facts.settings["models"]:
            return False  # another model now: what came would not fit what is there
        smoothing_s = float(facts.settings["smoothing_s"])
        course = await asyncio.to_thread(Course.replayed, Course.begun(analyzer, smoothing_s), logged)
        recording = Recording(job.id, folder, await asyncio.to_thread(Writer, folder, facts, logged), course)
        recording.state = job.state
        view = View(facts.live, facts.source, facts.name, smoothing_s, course)
        if last is not None:
            recording.rows, recording.duration_s, recording.left_out = len(logged.rows), last.time_s, last.left_out
            view.accepted = view.received = last.sequence
            view.captured_s, view.part = last.captured_s, last.part
        view.latest, view.stale, view.recording = course, True, recording
        self.recordings.running[job.id], self._views[view.id] = recording, view
        note = (
            f"The server stopped during this recording, and its page did not come back within {self.settings.live_return_s:g} s; "
            "all until then is kept."
        )
        view.leaving = self._loop.call_later(self.settings.live_return_s, lambda: spawn(self._close(view, note)))
        return True
