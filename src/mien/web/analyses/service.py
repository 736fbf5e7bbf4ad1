"""Analyses of files: an upload waits in the queue, a process of its own does it, and every page is told how far it is.

A job that is cancelled, fails or outlives the server keeps its upload, so that nothing has to be sent twice.
"""

import asyncio
import contextlib
import json
import logging
import shutil
import statistics
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from starlette.concurrency import run_in_threadpool

from mien.web.analyses.run import Run
from mien.web.analyses.schema import JobOptions, JobProgress, JobView
from mien.web.database import FINISHED, Job, Store, now
from mien.web.errors import ApiError
from mien.web.settings import Settings
from mien.web.uploads import Upload
from mien.web.writers import Writers

MEASURED_LOOKS = 20
"""Analyses of fewer looks are mostly loading and say nothing about the pace."""

USUAL_LOOKS_PER_S = 60.0
"""Until this machine has analysed a film: what one core of an ordinary machine does, the annotated film included."""

MEASURED_OF = 10
"""Of the latest this many films the median is taken."""

PING_EVERY_S = 15.0
RETRY_MS = 2000
WAIT_FOR_THE_END_S = 5.0
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
    """The queue of files, the processes that work on them, and the pages that listen. Its methods may be called from any thread."""

    def __init__(self, settings: Settings, store: Store, writers: Writers) -> None:
        self.settings, self.store, self.writers = settings, store, writers
        self._wake = threading.Condition()
        self._telling = threading.Lock()
        self._runs: dict[str, Run] = {}
        self._listeners: set[Listener] = set()
        self._threads: list[threading.Thread] = []
        self._stopping = False
        self.command = [sys.executable, "-P", "-m", "mien.web.analyses.worker"]
        self.retry_live: Callable[[str], bool] = lambda id: False
        """Saves a live recording once more whose saving failed; whether that can be tried."""

    async def start(self) -> None:
        """Goes on with what an earlier server left: what waited waits, what ran starts again."""
        await run_in_threadpool(self._take_over)
        self._stopping = False
        for number in range(self.settings.jobs_at_once):
            thread = threading.Thread(target=self._work_for_ever, name=f"jobs-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    async def stop(self) -> None:
        """Ends the processes; their jobs start again with the next server."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        for run in list(self._runs.values()):
            run.process.kill("stop")
        for thread in self._threads:
            await run_in_threadpool(thread.join, WAIT_FOR_THE_END_S)
        self._threads.clear()

    def looks_per_s(self) -> float:
        """The looks that an analysis makes in a second: the median of the latest films here, before the first what to expect."""
        wanted = select(Job.looks_per_s).where(Job.looks_per_s > 0).order_by(Job.number.desc()).limit(MEASURED_OF)
        with self.store.reading() as rows:
            found = [rate for rate in rows.scalars(wanted) if rate]
        return round(statistics.median(found), 1) if found else USUAL_LOOKS_PER_S

    def folder(self, id: str) -> Path:
        """Where the files of a job are."""
        return self.settings.jobs_dir / id

    def _take_over(self) -> None:
        for job in self.store.unfinished("file"):
            if job.state == "running":
                self.store.update_job(job.id, only_in=("running",), state="queued", started_at=None)
        folders = self.settings.jobs_dir
        for folder in folders.iterdir() if folders.is_dir() else ():
            if folder.is_dir() and [p.name for p in folder.iterdir()] == [Upload.PART]:
                shutil.rmtree(folder, ignore_errors=True)  # the server died while it came in: there is no job

    # --- what pages and programs ask for

    def view(self, job: Job, places: dict[str, int] | None = None) -> JobView:
        """The job as it is shown; `places` in the queue, where many jobs are shown."""
        run = self._runs.get(job.id)
        progress = run.progress if run is not None and job.state == "running" else job.progress
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

    def add(self, id: str, upload: Upload, options: JobOptions) -> None:
        """Queues a file that lies in its folder."""
        self.store.create_job(id=id, name=upload.name, options=options.model_dump(), size_bytes=upload.size)
        with self._wake:
            self._wake.notify_all()
        self.changed(id)

    def cancel(self, id: str) -> Job:
        """Ends a job that waits or runs, within a second; one that has ended stays as it is. Raises `ApiError` 404, 409."""
        job = self.known(id)
        if job.kind != "file":
            raise ApiError(409, "not_a_file", "A live recording is not cancelled; stop it on its own page.")
        if self.store.update_job(id, only_in=("queued", "running"), state="cancelled", ended_at=now(), progress=None):
            self._end(id)
            self.changed(id)
            self._queue_moved()
        return self.known(id)

    def retry(self, id: str) -> Job:
        """Queues a job again that failed or was cancelled. Raises `ApiError` 404, 409."""
        job = self.known(id)
        if job.kind == "live" and job.state == "failed" and self.retry_live(id):
            return self.known(id)
        if job.state not in ("failed", "cancelled") or not (self.folder(id) / Upload.NAME).is_file():
            why = "is under way" if job.state not in FINISHED else "is done" if job.state == "done" else "has no file any more"
            raise ApiError(409, "cannot_retry", f"This analysis {why}, so it cannot be tried again. Send the file once more.")
        self.check_room()
        again = {"state": "queued", "queued_at": now(), "started_at": None, "ended_at": None, "error": None, "note": None}
        self.store.update_job(id, only_in=("failed", "cancelled"), **again)
        with self._wake:
            self._wake.notify_all()
        self.changed(id)
        return self.known(id)

    def erase(self, id: str) -> bool:
        """Erases a job and all its files, ending it first where it is under way; whether there was one."""
        self.store.update_job(id, only_in=("queued", "running"), state="cancelled", ended_at=now())
        self._end(id)
        self.writers.stop(id)
        there = self.store.delete_job(id)
        folder = self.folder(id)
        doomed = folder.with_name(id + DOOMED)
        with contextlib.suppress(FileNotFoundError):
            folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
        if doomed.exists():
            log.error("%s could not be erased whole; it is tried again each hour", doomed)
        self.removed(id)
        self._queue_moved()
        return there

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

    def _queue_moved(self) -> None:
        """Those that wait are told their places."""
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

    # --- working

    def _work_for_ever(self) -> None:
        while True:
            with self._wake:
                if self._stopping:
                    return
            try:
                job = self._next()
                if job is None:
                    with self._wake:
                        if not self._stopping:
                            self._wake.wait(timeout=10)
                    continue
                self._work(job)
            except Exception:
                log.exception("the queue stumbled; it goes on")
                time.sleep(1)

    def _next(self) -> Job | None:
        """The next job, which is running from now on."""
        for waiting in self.store.unfinished("file"):
            if waiting.state == "queued":
                self._runs[waiting.id] = Run(self.settings, self.folder(waiting.id))
                job = self.store.update_job(
                    waiting.id, only_in=("queued",), state="running", started_at=now(), ended_at=None, error=None, progress=None
                )
                if job is not None:
                    return job
                del self._runs[waiting.id]  # somebody cancelled it in this moment
        return None

    def _work(self, job: Job) -> None:
        run = self._runs[job.id]
        self.changed(job.id)
        self._queue_moved()
        try:
            answer = run.work(job, self.command, lambda: self.changed(job.id))
            if run.process.ended_by == "stop":
                self.store.update_job(job.id, only_in=("running",), state="queued", started_at=None)
            elif run.process.ended_by != "cancel":
                self._finish(job, run, answer)
        except Exception as error:
            log.exception("an analysis could not be run")
            reason = f"{job.name}: could not be analysed: {error}; try it again"
            self.store.update_job(job.id, only_in=("running",), state="failed", error=reason, ended_at=now())
        finally:
            self._runs.pop(job.id, None)
            run.over.set()
            self.changed(job.id)

    def _finish(self, job: Job, run: Run, answer: dict[str, Any]) -> None:
        folder = self.folder(job.id)
        if "failed" in answer:
            self.store.update_job(
                job.id, only_in=("running",), state="failed", error=answer["failed"], ended_at=now(), progress=None
            )
            return
        done = answer["done"]
        frames, pace = done.pop("frames"), done.pop("looks_per_s")
        size = folder_bytes(folder) - (folder / Upload.NAME).stat().st_size
        measured = pace if frames >= MEASURED_LOOKS else None
        kept = self.store.update_job(
            job.id, only_in=("running",), state="done", ended_at=now(), progress=None, looks_per_s=measured, size_bytes=size, **done
        )
        if kept is not None:
            (folder / Upload.NAME).unlink(missing_ok=True)

    def _end(self, id: str) -> None:
        run = self._runs.get(id)
        if run is not None:
            run.process.kill("cancel")
            run.over.wait(WAIT_FOR_THE_END_S)


def folder_bytes(folder: Path) -> int:
    """What the files of a folder take up."""
    return sum(p.lstat().st_size for p in folder.rglob("*") if not p.is_dir())


def _event(name: str, data: str) -> str:
    return f"event: {name}\ndata: {data}\n\n"
