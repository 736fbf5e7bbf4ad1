"""The recordings of live views from their beginning to their result; what lies on the disk meanwhile is in `recording`."""

import asyncio
import logging
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from mien.types import FrameResult
from mien.web.analyses.service import Jobs
from mien.web.capture import wire
from mien.web.capture.log_file import Erased
from mien.web.capture.views import Course, Recording, View, Waiting, spawn, surely
from mien.web.capture.wire import WireError
from mien.web.database import Job, Store, Task, new_id, now, passes
from mien.web.folders import held
from mien.web.settings import Settings
from mien.web.tasks.engine import Description, python
from mien.web.tasks.runner import CANCELLED, DONE, FAILED, RUNNING, WAITING, Kind

if TYPE_CHECKING:
    from mien.analyze import Analyzer

SYNC_EVERY_S = 1.0
TELL_EVERY_S = 2.0
FREE_MIN_BYTES = 200 * 2**20
SAVING_MOST_S = 24 * 3600.0
SAVED_STATES = {DONE: "done", FAILED: "failed", CANCELLED: "failed"}
"""How saving ends → the recording's state; before that it is "saving"."""

log = logging.getLogger(__name__)


class Recordings(Kind):
    """All recordings that are under way or being saved, and the kind of task that saves them; its subject is the id of the job.

    erased   is called, from any thread, with the id of a recording's job where another process has erased it
    running  by the id of the job
    """

    kind, at_once = "recording", 1

    def __init__(self, settings: Settings, store: Store, jobs: Jobs, erased: Callable[[str], None]) -> None:
        self.settings, self.store, self.jobs, self.erased = settings, store, jobs, erased
        self.running: dict[str, Recording] = {}
        self._stopping = False
        self._ticking: asyncio.Task[Any] | None = None
        self.command = python("mien.web.capture.recording")
        jobs.tasks.add_kind(self)
        jobs.tasks.holds_more = lambda: bool(self.running)

    def start(self) -> None:
        """Brings to the disk from now on what is written."""
        self._loop = asyncio.get_running_loop()
        self._stopping = False
        self._ticking = spawn(self._tick_for_ever())

    def stop(self) -> None:
        """No result is begun with any more."""
        self._stopping = True
        if self._ticking is not None:
            self._ticking.cancel()

    async def close(self) -> None:
        """Leaves all as it is: the next server goes on with it."""
        for recording in list(self.running.values()):
            recording.saved.set()
            if recording.writer is not None:
                with suppress(OSError):
                    await asyncio.to_thread(recording.writer.close)
        with suppress(DBAPIError):
            await asyncio.to_thread(self._let_go)

    def _let_go(self) -> None:
        with self.store.session() as rows:
            rows.execute(update(Job).where(Job.owner == self.jobs.tasks.id).values(owner=None))

    def take_over(self, job: Job) -> bool:
        """Makes a recording this server's, whose server is gone; whether no other was faster."""
        with self.store.session() as rows:
            change = update(Job).where(Job.id == job.id, Job.owner == job.owner).values(owner=self.jobs.tasks.id).returning(Job.id)
            return rows.scalar(change.execution_options(synchronize_session=False)) is not None

    def folder(self, id: str) -> Path:
        """Where the files of a recording's job are."""
        return self.settings.jobs_dir / id

    # --- while its page is there

    async def record(self, view: View, asked: wire.Record, analyzer: "Analyzer") -> None:
        """Does what a page asks for. Raises `WireError`."""
        recording = view.recording
        if asked.action == "start":
            if recording is not None:
                raise WireError("recording_runs", "A recording is running already; stop it before another is started.")
            recording = await self._begin(view, asked, analyzer)
        elif recording is None:
            raise WireError("no_recording", f"There is no recording to {asked.action}; start one first.")
        elif asked.action == "stop":
            spawn(self.finish(view, recording, None))
            return
        else:
            wanted = "paused" if asked.action == "pause" else "recording"
            if recording.state in ("recording", "paused") and recording.state != wanted:
                if wanted == "recording":
                    view.part += 1
                recording.state = wanted
                await self.put_down(recording, state=wanted)
        view.tell(recording.said().text())

    async def _begin(self, view: View, asked: wire.Record, analyzer: "Analyzer") -> Recording:
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
            from mien.web.capture.recording import Facts, Writer

            self.settings.data_dir.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(self.settings.data_dir).free < FREE_MIN_BYTES:
                raise WireError("storage_full", "The disk is nearly full; erase some analyses before recording.")
            id = new_id()
            folder = self.folder(id)
            try:
                folder.mkdir(parents=True)
                facts = Facts(view.id, name, view.source, tuple(analyzer.labels), settings, asked.keep_film, now().isoformat())
                writer = Writer(folder, facts)
            except OSError as error:
                raise WireError("storage_full", f"The recording cannot be written: {error.strerror or error}.") from error
            try:
                self.store.create_job(
                    id=id,
                    kind="live",
                    state="recording",
                    name=name,
                    media=view.source,
                    started_at=now(),
                    options=options,
                    live={"view": view.id},
                    owner=self.jobs.tasks.id,
                    progress=_progress(0, 0.0),
                )
            except Exception as error:
                writer.close()
                shutil.rmtree(folder, ignore_errors=True)
                if passes(error):
                    raise WireError("storage_full", "The database cannot keep a recording just now; try again.") from error
                raise
            self.jobs.changed(id)
            return Recording(id, folder, writer, Course.begun(analyzer, view.smoothing_s))

        recording = await asyncio.to_thread(begin)
        self.running[recording.job] = recording
        view.recording = recording
        return recording

    def keep(self, recording: Recording, waiting: Waiting, result: FrameResult, light: float) -> bool:
        """Writes an answer into its recording; whether that was done."""
        from mien.web.capture.frame_log import Row

        writer = recording.writer
        if writer is None or recording.state == "erased" or recording.over.startswith("The disk"):
            return False
        height, width = result.frame.rgb.shape[:2]
        head = waiting.head
        of_page = (head.sequence, head.captured_s, width, height, waiting.part)
        row = Row(*of_page, result, len(result), recording.left_out, light, head.late)
        try:
            writer.add(row, waiting.picture)
        except Erased:
            self.erased(recording.job)
            return False
        except ValueError:  # closed: the recording was erased in this moment
            return False
        except OSError as error:
            self._disk_refuses(recording, error)
            return False
        recording.rows += 1
        recording.duration_s = result.time_s
        if result.time_s >= 60 * self.settings.recording_max_minutes:
            recording.over = f"Ended after {self.settings.recording_max_minutes:g} min, the longest that a recording may be."
        return True

    def _disk_refuses(self, recording: Recording, error: OSError) -> None:
        """Nothing more is taken; with the next frame, or its page, the recording ends."""
        if not recording.over.startswith("The disk"):
            log.warning("a recording cannot be written: %s", error)
        recording.over = f"The disk did not take more ({error.strerror or error}); all until then is kept."

    async def finish(self, view: View, recording: Recording, note: str | None) -> None:
        """Ends a recording: nothing more is taken, what waits is answered, the result is made."""
        if recording.state not in ("recording", "paused"):
            return
        recording.state, recording.note = "saving", note
        view.tell(recording.said().text())
        await view.until(lambda: recording.waiting <= 0)
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
            values = {"note": recording.note, "progress": None, "duration_s": recording.duration_s}
            await surely(lambda: self._put_down(recording, values), lambda: self._stopping)
            await surely(lambda: self.save(recording.job), lambda: self._stopping)
            await recording.saved.wait()
        if view.saving is recording:
            view.saving = None
        if recording.state != "erased":
            view.untold.append(recording.said().text())
            while view.page is not None and view.untold:
                view.tell(view.untold.pop(0))

    # --- its result, and its end

    def save(self, id: str) -> None:
        """Lets the result of a recording be made, one at a time, by a process that gives way to whoever is live."""
        with self.store.session() as rows:
            if rows.scalar(select(Job.id).where(Job.id == id)) is not None:  # else it was erased in this moment
                self.jobs.tasks.add(rows, self.kind, id)
        self.jobs.tasks.wake()
        self.jobs.changed(id)

    def waits(self, id: str) -> bool:
        """Whether a recording's result is being made, or will be."""
        task = self.jobs.tasks.task(self.kind, id)
        return task is not None and task.state in (WAITING, RUNNING)

    def describe(self, subject: str, detail: dict[str, Any]) -> Description:
        return Description(
            command=tuple(self.command),
            task={"folder": str(self.folder(subject))},
            most_s=SAVING_MOST_S,
            too_long="The result took too long to make. What was recorded is kept; try it again.",
            crashed="The result could not be made: its process ended with {why}. What was recorded is kept; try it again.",
        )

    def follow(self, rows: Session, task: Task, done: Any) -> None:
        job = rows.scalar(select(Job).where(Job.id == task.subject).with_for_update())
        if job is None:
            return
        job.state = SAVED_STATES.get(task.state, "saving")
        job.error, job.ended_at, job.progress = task.error, task.ended_at, None
        if task.state in SAVED_STATES:
            job.size_bytes = held(self.folder(task.subject))[1]
        for name, value in (done or {}).items():
            setattr(job, name, value)

    def changed(self, subject: str, state: str | None) -> None:
        self.jobs.changed(subject)
        if state in SAVED_STATES:
            task = self.jobs.tasks.task(self.kind, subject)
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._ended, subject, SAVED_STATES[state], task.error if task else None)

    def heard(self, subject: str) -> None:
        task = self.jobs.tasks.task(self.kind, subject)
        self.changed(subject, task.state if task is not None else None)

    def _ended(self, id: str, state: str, error: str | None) -> None:
        recording = self.running.pop(id, None)
        if recording is not None:
            recording.state, recording.error = state, error
            recording.saved.set()

    def forget(self, id: str) -> Recording | None:
        """Ends the recording of a job that is about to be erased: nothing is written any more. From any thread."""
        recording = self.running.pop(id, None)
        if recording is None:
            return None
        recording.state = "erased"
        if recording.writer is not None:
            with suppress(OSError):
                recording.writer.close()
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(recording.saved.set)
        return recording

    # --- in the list of analyses

    async def put_down(self, recording: Recording, **values: Any) -> Job | None:
        """Changes the row of a recording's job, and says so; None where it was erased."""

        return await asyncio.to_thread(self._put_down, recording, values)

    def _put_down(self, recording: Recording, values: dict[str, Any]) -> Job | None:
        job = self.store.update_job(recording.job, **values)
        if job is not None:
            self.jobs.changed(recording.job)
        return job

    async def _tick_for_ever(self) -> None:
        """Once a second what was written goes to the disk; every other second the lists learn how long recordings are."""
        told_s = time.monotonic()
        while True:
            await asyncio.sleep(SYNC_EVERY_S)
            tell = time.monotonic() - told_s >= TELL_EVERY_S
            told_s = time.monotonic() if tell else told_s
            for recording in list(self.running.values()):
                if recording.writer is None or recording.state not in ("recording", "paused"):
                    continue
                try:
                    await asyncio.to_thread(recording.writer.sync)
                    if tell and recording.rows != recording.told_rows:
                        recording.told_rows = recording.rows
                        _, size = await asyncio.to_thread(held, recording.folder)
                        progress = _progress(recording.rows, recording.duration_s)
                        await self.put_down(recording, progress=progress, size_bytes=size)
                except Erased:
                    self.erased(recording.job)
                except OSError as error:
                    self._disk_refuses(recording, error)
                except ValueError as error:  # closed in this moment
                    log.warning("a recording cannot be brought to the disk: %s", error)
                except Exception as error:
                    if not passes(error):
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
