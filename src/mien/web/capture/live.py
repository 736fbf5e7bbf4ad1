"""Live views: frames from open pages in, faces out at once; and recordings of what was seen.

Who comes, goes and comes back, and what becomes of frames; how they come is in `sockets`, and they are read in `reader`. Each view
keeps its own stream of people; one whose page is gone waits for it, for a while, with all it knows.
"""

import asyncio
import logging
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mien.errors import MienError
from mien.web.analyses.service import Jobs
from mien.web.capture import wire
from mien.web.capture.reader import Reader
from mien.web.capture.recorder import Recordings
from mien.web.capture.sockets import Sockets
from mien.web.capture.views import Course, Keeping, Page, Recording, View, spawn
from mien.web.database import Job, Store, new_id, now, passes
from mien.web.settings import Settings
from mien.web.tasks.servers import Watch
from mien.web.writers import Writers

if TYPE_CHECKING:
    from mien.analyze import Analyzer

KNOWN_CLOSED = 200
FIND_EVERY_S = 5.0
"""How often it is looked for recordings of servers that are gone."""

log = logging.getLogger(__name__)


class Live(Sockets[wire.Hello, View]):
    """All live views, with the thread that reads their frames and with their recordings."""

    hello = wire.Hello

    def __init__(self, settings: Settings, store: Store, jobs: Jobs, writers: Writers, analyzer: "Analyzer | None" = None) -> None:
        super().__init__(settings, Reader(settings, analyzer), settings.live_sockets_max)
        self.store = store
        self.recordings = Recordings(settings, store, jobs, erased=self.forget)
        self._keeping = Keeping(self.recordings.keep, self._over)
        writers.add(self.forget)
        self._views: dict[str, View] = {}
        self._closed: deque[str] = deque(maxlen=KNOWN_CLOSED)
        self._run = new_id()
        self._stopping = False
        self._watch = Watch(store)
        self._finding: asyncio.Task[Any] | None = None
        self._looked = asyncio.Event()

    # --- with the server

    async def start(self) -> None:
        """Begins to read frames, and finds the recordings that an earlier server left."""
        self._loop = asyncio.get_running_loop()
        self._stopping = False
        self.reader.start()
        self.recordings.start()
        self._looked.clear()
        self._finding = spawn(self._find_for_ever())

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

    def forget(self, id: str, why: str = "This recording was erased.") -> None:
        """Ends the recording of a job that is about to be erased: nothing is written any more. From any thread."""
        recording = self.recordings.forget(id)
        if recording is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._part_with, recording, why)

    def _part_with(self, recording: Recording, why: str) -> None:
        for view in self._views.values():
            if view.recording is recording:
                view.recording = None
                recording.error = why
                view.tell(recording.said().text())

    @property
    def open(self) -> int:
        """How many views there are."""
        return len(self._views)

    @property
    def recording(self) -> int:
        """How many of them are being recorded."""
        return sum(view.recording is not None for view in list(self._views.values()))

    # --- one socket

    async def begin(self, hello: wire.Hello, page: Page) -> View:
        """A new view, or the one that waits for this page."""
        analyzer = await asyncio.to_thread(self.reader.prepare)
        if hello.resume:
            await self._looked.wait()
        view = self._views.get(hello.resume or "")
        resumed, notice = view is not None, None
        if view is None:
            if hello.resume:
                kept = " What it had recorded is in the list of analyses." if hello.resume in self._closed else ""
                notice = f"That live view is not there any more: it waited {self.settings.live_return_s:g} s for its page.{kept}"
            smoothing_s = analyzer.smoothing_s if hello.smoothing_s is None else hello.smoothing_s
            view = View(self._keeping, new_id(), hello.source, hello.name, smoothing_s, Course.begun(analyzer, smoothing_s))
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

    async def said(self, stream: View, text: str) -> None:
        """Begins, pauses or ends a recording."""
        await self.recordings.record(stream, wire.read_message(text, wire.Record), self.reader.prepare())

    def left(self, stream: View, *, for_good: bool) -> None:
        """A page is gone: closed by its own wish, or cut off."""
        if self._stopping:
            return
        if for_good:
            spawn(self._close(stream, None))
            return
        note = f"The page was gone for longer than {self.settings.live_return_s:g} s, which ended the recording; all of it is kept."
        stream.leaving = self._loop.call_later(self.settings.live_return_s, lambda: spawn(self._close(stream, note)))

    def _over(self, view: View, recording: Recording) -> None:
        spawn(self.recordings.finish(view, recording, recording.over))

    async def _close(self, view: View, note: str | None) -> None:
        if view.page is not None or self._views.pop(view.id, None) is None:
            return
        self._closed.append(view.id)
        if view.recording is not None:
            await self.recordings.finish(view, view.recording, note)

    # --- what an earlier server left

    async def _find_for_ever(self) -> None:
        """At once what an earlier server left; where others share the database, also what one leaves that dies meanwhile."""
        again = True
        while again:
            try:
                await self.find()
                again = self.store.is_shared
            except Exception as error:
                if not passes(error):
                    log.exception("it could not be seen which recordings other servers left; it is tried again")
            self._looked.set()
            await asyncio.sleep(FIND_EVERY_S if again else 0)

    async def find(self) -> None:
        """Recordings that were under way wait for their pages again; those that were being saved are saved."""
        mine = self.recordings.jobs.tasks.id
        left = [job for job in await asyncio.to_thread(self.store.unfinished, "live") if job.owner != mine]
        for job in left:
            if job.id in self.recordings.running:  # this server was silent for so long that it was taken for dead
                self.forget(job.id, "Another server has taken this recording over; all until then is kept.")
        if self.store.is_shared:
            gone, _ = await asyncio.to_thread(self._watch.look, {job.owner for job in left if job.owner is not None})
            left = [job for job in left if job.owner is None or job.owner in gone]
        for job in left:
            if not await asyncio.to_thread(self.recordings.take_over, job):
                continue
            try:
                if await asyncio.to_thread(self.recordings.waits, job.id):
                    continue  # its task goes on by itself
                if job.state == "saving" or not await self._found(job):
                    note = job.note or "The server stopped during this recording; all until then is kept."
                    await self.recordings.put_down(Recording(job.id, self.recordings.folder(job.id), None, None), note=note)
                    await asyncio.to_thread(self.recordings.save, job.id)
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
        view = View(self._keeping, facts.live, facts.source, facts.name, smoothing_s, course)
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
