"""Analyses of files: an upload waits in the queue, a process of its own does it, and every page is told how far it is.

A job that is cancelled, fails or outlives the server keeps its upload, so that nothing has to be sent twice.
"""

import asyncio
import contextlib
import json
import logging
import shutil
import statistics
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from sqlalchemy import delete as delete_rows
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from mien.errors import ModelError
from mien.unfinished import remove_left
from mien.web.analyses.schema import JobOptions, JobProgress, JobView
from mien.web.analyses.task import Analysis
from mien.web.database import FINISHED, JOB_TABLES, Job, Store, Task
from mien.web.errors import ApiError
from mien.web.settings import Settings
from mien.web.tasks.runner import Runner
from mien.web.uploads import Upload
from mien.web.writers import Writers

USUAL_LOOKS_PER_S = 60.0
"""Until this machine has analysed a film: what one core of an ordinary machine does, the annotated film included."""

MEASURED_OF = 10
"""Of the latest this many films the median is taken."""

PING_EVERY_S = 15.0
RETRY_MS = 2000
SOURCES = {"file": ("analysis", Upload.NAME), "live": ("recording", "rows.log")}
"""A job's kind → the kind of task that makes its result, and the file of which it is made."""

DOOMED = ".erased"
"""Ends the name of a job's folder while it is erased. One that is left by it, a file being in use, is erased later."""

log = logging.getLogger(__name__)


# --- events


class Listener:
    """One page that listens. What it has not fetched yet is kept once per analysis, the newest: slow pages miss only progress."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, str] = {}
        self._lock = threading.Lock()
        self._there = asyncio.Event()

    def give(self, id: str, event: str) -> None:
        """From any thread."""
        with self._lock:
            self._waiting.pop(id, None)
            self._waiting[id] = event
        with suppress(RuntimeError):  # the loop has ended, and the page with it
            self._loop.call_soon_threadsafe(self._there.set)

    async def take(self, timeout_s: float) -> list[str]:
        """What has come; empty where nothing came in time."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._there.wait(), timeout_s)
        self._there.clear()
        with self._lock:
            events, self._waiting = list(self._waiting.values()), {}
        return events


# --- the queue


class Jobs:
    """Files that are analysed and live recordings, and the pages that listen. Its methods may be called from any thread."""

    def __init__(self, settings: Settings, store: Store, writers: Writers, tasks: Runner) -> None:
        self.settings, self.store, self.writers, self.tasks = settings, store, writers, tasks
        self._telling = threading.Lock()
        self._listeners: set[Listener] = set()
        self.analysis = Analysis(settings, store, self)
        tasks.add_kind(self.analysis)

    def looks_per_s(self) -> float:
        """The looks that an analysis makes in a second: the median of the latest films here, before the first what to expect."""
        wanted = select(Job.looks_per_s).where(Job.looks_per_s > 0).order_by(Job.number.desc()).limit(MEASURED_OF)
        with self.store.reading() as rows:
            found = [rate for rate in rows.scalars(wanted) if rate]
        return round(statistics.median(found), 1) if found else USUAL_LOOKS_PER_S

    def folder(self, id: str) -> Path:
        """Where the files of a job are."""
        return self.settings.jobs_dir / id

    def tidy(self) -> None:
        """Removes what an earlier server left of uploads that came in, of which there is no job, and of results half made.

        An upload may be coming in at another server that shares the folder: there the sweep removes what is a day old.
        """
        folders = self.settings.jobs_dir
        for folder in folders.iterdir() if folders.is_dir() else ():
            if folder.is_dir() and [p.name for p in folder.iterdir()] == [Upload.PART] and not self.store.is_shared:
                shutil.rmtree(folder, ignore_errors=True)
            elif folder.is_dir():
                remove_left(folder)

    # --- what pages and programs ask for

    def view(self, job: Job, places: dict[str, int] | None = None) -> JobView:
        """The job as it is shown; `places` in the queue, where many jobs are shown."""
        progress = self.tasks.shown("analysis", job.id) if job.state == "running" else job.progress
        waiting = None
        if job.state == "queued":
            waiting = (self.store.place(job) if places is None else places.get(job.id)) or None
        columns = {name: getattr(job, name) for name in JobView.model_fields if name not in ("progress", "waiting")}
        return JobView(**columns, progress=JobProgress(**progress) if progress else None, waiting=waiting)

    def places(self) -> dict[str, int]:
        """The place of each waiting job in the queue, from 1."""
        waiting = [job.id for job in self.store.unfinished("file") if job.state == "queued"]
        return {id: place for place, id in enumerate(waiting, 1)}

    def known(self, id: str) -> Job:
        """The job. Raises `ApiError` 404."""
        job = self.store.job(id)
        if job is None:
            raise ApiError(404, "not_found", f"There is no analysis {id[:40]}. It may have been erased.")
        return job

    def check_room(self) -> None:
        """Raises `ApiError` 429 where the queue is full, 507 where the space for all analyses or the disk is used up."""
        with self.store.reading() as rows:
            waiting = rows.scalar(select(func.count()).select_from(Job).where(Job.state == "queued")) or 0
            used = rows.scalar(select(func.sum(Job.size_bytes))) or 0
        if waiting >= self.settings.jobs_waiting_max:
            raise ApiError(429, "queue_full", f"{waiting} files are waiting already. Send this one when some of them are done.")
        if used >= self.settings.storage_max_gib * 2**30:
            raise ApiError(
                507,
                "storage_full",
                f"The analyses take up the {self.settings.storage_max_gib} GiB that they may. "
                "Erase some, or raise MIEN_STORAGE_MAX_GIB.",
            )

    def check_model(self, options: JobOptions) -> None:
        """Raises `ApiError` 422 for a model, label set or prior that there is not. Models are named; no folder is read."""
        if options.model is None and options.labels is None and options.prior is None:
            return
        from mien.models import find_model, known_models, read_spec

        name = options.model or self.settings.model
        if options.model is not None and name not in (names := {*known_models(), "default", self.settings.model}):
            raise ApiError(422, "invalid", f"model: wanted one of {', '.join(sorted(names))}, but got {name[:40]!r}")
        try:
            head = read_spec(find_model(name)).head(options.labels)
            if options.prior is not None:
                head.with_prior(options.prior)
        except ModelError as error:
            raise ApiError(422, "invalid", str(error)) from None

    def add(self, id: str, upload: Upload, options: JobOptions) -> None:
        """Queues a file that lies in its folder."""
        with self.store.session() as rows:
            rows.add(Job(id=id, name=upload.name, options=options.model_dump(), size_bytes=upload.size))
            rows.flush()
            self.tasks.add(rows, "analysis", id)
        self.tasks.wake()
        self.changed(id)

    def cancel(self, id: str) -> Job:
        """Ends a job that waits or runs, within a second; one that has ended stays as it is. Raises `ApiError` 404, 409."""
        job = self.known(id)
        if job.kind != "file":
            raise ApiError(409, "not_a_file", "A live recording is not cancelled; stop it on its own page.")
        if self.tasks.cancel("analysis", id):
            self.changed(id)
        return self.known(id)

    def retry(self, id: str) -> Job:
        """Queues a job again that failed or was cancelled. Raises `ApiError` 404, 409."""
        job = self.known(id)
        kind, source = SOURCES[job.kind]
        if job.state not in ("failed", "cancelled") or not (self.folder(id) / source).is_file():
            why = "is under way" if job.state not in FINISHED else "is done" if job.state == "done" else "has no file any more"
            raise ApiError(409, "cannot_retry", f"This analysis {why}, so it cannot be tried again. Send the file once more.")
        self.check_room()
        with self.store.session() as rows:
            now_in = rows.scalar(select(Job.state).where(Job.id == id).with_for_update())
            if now_in in ("failed", "cancelled"):
                self.tasks.add(rows, kind, id)
        self.tasks.wake()
        self.changed(id)
        return self.known(id)

    def erase(self, id: str, *, forget: bool = True) -> bool:
        """Erases a job and all its files, ending it first where it is under way; whether there was one.

        forget  False where several are erased, and the caller lets the database `forget` them in the end
        """
        self.writers.stop(id)
        there = self.store.delete_job(id)
        self._remove(id)
        if forget:
            self.store.forget(*JOB_TABLES)
        self.tasks.wake()
        self.removed(id)
        self.queue_moved()
        return there

    def let_go(self, rows: Session, id: str) -> None:
        """Erases a job that has ended and all its files, in a transaction of the caller's, who lets the database `forget` it."""
        rows.execute(delete_rows(Job).where(Job.id == id))
        rows.execute(delete_rows(Task).where(Task.subject == id))
        self._remove(id)
        self.removed(id)

    def _remove(self, id: str) -> None:
        folder = self.folder(id)
        doomed = folder.with_name(id + DOOMED)
        with contextlib.suppress(FileNotFoundError):
            folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
        if doomed.exists():
            log.error("%s could not be erased whole; it is tried again each hour", doomed)

    # --- telling

    def changed(self, id: str) -> None:
        """Tells every page how a job is now."""
        if self._listeners:
            with self._telling:  # what was read later is told later
                job = self.store.job(id)
                if job is not None:
                    self._tell(id, _event("job", self.view(job).model_dump_json()))

    def removed(self, id: str) -> None:
        """Tells every page that a job is gone."""
        with self._telling:
            self._tell(id, _event("removed", json.dumps({"id": id})))

    def queue_moved(self) -> None:
        """Pages are told the places of those that wait."""
        if self._listeners:
            with self._telling:
                waiting = [job for job in self.store.unfinished("file") if job.state == "queued"]
                places = {job.id: place for place, job in enumerate(waiting, 1)}
                for job in waiting:
                    self._tell(job.id, _event("job", self.view(job, places).model_dump_json()))

    def _tell(self, id: str, event: str) -> None:
        for listener in list(self._listeners):
            listener.give(id, event)

    async def events(self, stopping: asyncio.Event) -> AsyncIterator[str]:
        """What a page that listens is sent: the unfinished jobs, then every change, and a comment when all is quiet."""
        listener = Listener()
        self._listeners.add(listener)
        ending = asyncio.ensure_future(stopping.wait())
        ending.add_done_callback(lambda _: listener.give("", ""))
        try:
            yield f"retry: {RETRY_MS}\n\n" + await run_in_threadpool(self._unfinished_events)
            while not stopping.is_set():
                yield "".join(await listener.take(PING_EVERY_S)) or ": ping\n\n"
        finally:
            ending.cancel()
            self._listeners.discard(listener)

    def _unfinished_events(self) -> str:
        places = self.places()
        return "".join(_event("job", self.view(job, places).model_dump_json()) for job in self.store.unfinished())


def _event(name: str, data: str) -> str:
    return f"event: {name}\ndata: {data}\n\n"
