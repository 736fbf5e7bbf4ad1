"""Analyses of files: an upload waits in the queue, a process of its own does it, and every page is told how far it is.

A job that is cancelled, fails or outlives the server keeps its upload, so that nothing has to be sent twice.
"""

import asyncio
import contextlib
import json
import logging
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from mien.web.errors import ApiError, may_fail
from mien.web.settings import Settings
from mien.web.store import FINISHED, Job, Store, new_id, now
from mien.web.uploads import Upload, receive
from mien.web.worker import is_about_memory, too_large

MEASURED_LOOKS = 20
"""Analyses of fewer looks are mostly loading and say nothing about the pace."""

USUAL_LOOKS_PER_S = 60.0
"""Until this machine has analysed a film: what one core of an ordinary machine does, the annotated film included."""

MEASURED_OF = 10
"""Of the latest this many films the median is taken."""

WRITING_S = 2.0
"""What tables, plots and the report take after the last look; belongs to the time left."""

PING_EVERY_S = 15.0
RETRY_MS = 2000
WAIT_FOR_THE_END_S = 5.0
ERASED = "This analysis has been erased."
DOOMED = ".erased"
"""Ends the name of a job's folder while it is erased. One that is left by it, a file being in use, is erased later."""

log = logging.getLogger(__name__)
router = APIRouter(tags=["Analyses"])


# --- what an analysis looks like from outside

EXAMPLE_ID = "k3v9Qm0aZx81tRbW"


class JobOptions(BaseModel):
    """How a file is analysed."""

    every_s: float | None = Field(default=0.5, description="seconds between looks; null: every frame")
    smoothing_s: float = Field(default=0.2, description="time constant of the smoothed scores in seconds; 0: none")
    baseline_s: float = Field(
        default=0.0, description="where above 0: tables also hold the change against each face's first so many seconds"
    )
    keep_film: bool = Field(default=True, description="whether the annotated film or picture is made and kept")
    keep_stills: bool = Field(default=True, description="whether a still of each face is kept")


class JobProgress(BaseModel):
    """How far a running analysis is."""

    frames: int = Field(description="looks made")
    done_s: float = Field(description="seconds of the film done")
    total_s: float | None = Field(description="seconds of the film, where it says how long it is")
    share: float | None = Field(description="from 0 to 1")
    frames_per_s: float | None = Field(description="looks a second, measured")
    left_s: float | None = Field(description="seconds that it will still take, at the pace so far")


class JobView(BaseModel):
    """An analysis: one file, or one live recording."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": EXAMPLE_ID,
                    "kind": "file",
                    "state": "running",
                    "name": "talk.mp4",
                    "media": None,
                    "created_at": "2026-11-21T14:20:00Z",
                    "started_at": "2026-11-21T14:20:01Z",
                    "ended_at": None,
                    "options": {"every_s": 0.5, "smoothing_s": 0.2, "baseline_s": 0, "keep_film": True, "keep_stills": True},
                    "progress": {
                        "frames": 8, "done_s": 4.1, "total_s": 19.6, "share": 0.21, "frames_per_s": 8.0, "left_s": 3.2,
                    },
                    "error": None,
                    "note": None,
                    "headline": None,
                    "duration_s": None,
                    "people": None,
                    "shares": None,
                    "size_bytes": 1632292,
                    "waiting": None,
                }
            ]
        }
    )  # fmt: skip

    id: str
    kind: Literal["file", "live"]
    state: Literal["queued", "running", "done", "failed", "cancelled", "recording", "paused", "saving"]
    name: str = Field(description="the file's name as it was given, or the name that a person gave later")
    media: Literal["video", "picture", "camera", "screen"] | None = Field(description="known once it is read")
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    options: dict[str, Any] = Field(description="see the form of POST /api/jobs")
    progress: JobProgress | None
    error: str | None = Field(description="why it failed and what to do, fit to show")
    note: str | None = Field(description="what is to be known of a result that is there: a film that is damaged half-way")
    headline: str | None = Field(description="what was seen, in a sentence")
    duration_s: float | None
    people: int | None = Field(description="how many different faces")
    shares: dict[str, float] | None = Field(description="share of the looks in which each expression leads")
    size_bytes: int = Field(description="space on the disk")
    waiting: int | None = Field(description="place in the queue, from 1; null where it does not wait")


class JobsPage(BaseModel):
    """Some of the analyses, the newest first."""

    items: list[JobView]
    next_cursor: str | None = Field(description="where the next page begins; null at the end")


class NewName(BaseModel):
    """A name for an analysis."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Interview, second part"}]}, extra="forbid")

    name: str = Field(min_length=1, max_length=200)


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


class Run:
    """One job while its process works on it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.process: subprocess.Popen[bytes] | None = None
        self.ended_by = ""  # "cancel", "time", "stop": why it was killed, where it was
        self.over = threading.Event()
        self.progress: dict[str, Any] | None = None
        self.first: tuple[float, int, float] | None = None  # moment, looks and seconds of film of the first progress

    def kill(self, why: str) -> None:
        """Ends the process and all that it started, at once; also one that is only about to start."""
        with self.lock:
            if not self.ended_by:
                self.ended_by = why
            process = self.process
            if process is None or process.poll() is not None:
                return
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except (AttributeError, OSError):  # Windows; or it has just ended
                process.kill()

    def advance(self, told: dict[str, Any]) -> None:
        """Takes what the process tells and adds share, pace and time left."""
        moment = time.monotonic()
        frames, done_s, total_s = told["frames"], told["done_s"], told["total_s"]
        if self.first is None and frames:
            self.first = (moment, frames, done_s)
        share = min(done_s / total_s, 0.99) if total_s else None  # it is not whole before the report is written
        pace = left = None
        if self.first is not None and moment - self.first[0] > 0.2:
            took = moment - self.first[0]
            pace = (frames - self.first[1]) / took
            speed = (done_s - self.first[2]) / took
            left = max(0.0, (total_s - done_s) / speed) + WRITING_S if total_s and speed > 0 else None
        self.progress = {
            "frames": frames,
            "done_s": done_s,
            "total_s": total_s,
            "share": None if share is None else round(share, 4),
            "frames_per_s": None if pace is None else round(pace, 1),
            "left_s": None if left is None else round(left, 1),
        }


class Jobs:
    """The queue of files, the processes that work on them, and the pages that listen. Its methods may be called from any thread."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings, self.store = settings, store
        self._wake = threading.Condition()
        self._telling = threading.Lock()
        self._runs: dict[str, Run] = {}
        self._listeners: set[Listener] = set()
        self._threads: list[threading.Thread] = []
        self._stopping = False
        self.command = [sys.executable, "-P", "-m", "mien.web.worker"]
        self.before_erasing: list[Callable[[str], None]] = []
        """Called with the id of a job that is about to be erased: whoever writes into its folder stops doing so."""
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
            run.kill("stop")
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
        return self.settings.data_dir / "jobs" / id

    def _take_over(self) -> None:
        for job in self.store.unfinished("file"):
            if job.state == "running":
                self.store.update_job(job.id, only_in=("running",), state="queued", started_at=None)
        folders = self.settings.data_dir / "jobs"
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
        for stop in self.before_erasing:
            stop(id)
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
                self._runs[waiting.id] = Run()
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
            answer = self._run(job, run)
            if run.ended_by == "stop":
                self.store.update_job(job.id, only_in=("running",), state="queued", started_at=None)
            elif run.ended_by != "cancel":
                self._finish(job, run, answer)
        except Exception as error:
            log.exception("an analysis could not be run")
            reason = f"{job.name}: could not be analysed: {error}; try it again"
            self.store.update_job(job.id, only_in=("running",), state="failed", error=reason, ended_at=now())
        finally:
            self._runs.pop(job.id, None)
            run.over.set()
            self.changed(job.id)

    def _run(self, job: Job, run: Run) -> dict[str, Any]:
        """Starts the process, listens to it until it ends, and gives its last answer: {"done": …} or {"failed": …}."""
        folder = self.folder(job.id)
        if not (folder / Upload.NAME).is_file():
            return {"failed": f"{job.name}: its file is not there any more; send it once more"}
        for left in folder.iterdir():  # of a process that was killed
            if left.name != Upload.NAME:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        with tempfile.TemporaryFile() as complaints:
            with run.lock:
                if run.ended_by:
                    return {}
                run.process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=complaints,
                    cwd=folder,
                    env=environment,
                    start_new_session=True,
                )
            clock = threading.Timer(self.settings.job_max_minutes * 60, run.kill, ["time"])
            clock.daemon = True
            clock.start()
            answer: dict[str, Any] = {}
            try:
                with run.process as process:
                    assert process.stdin is not None
                    assert process.stdout is not None
                    with suppress(BrokenPipeError):
                        process.stdin.write(json.dumps(self._task(job)).encode() + b"\n")
                        process.stdin.flush()
                    for line in process.stdout:
                        told = json.loads(line)
                        if "progress" in told:
                            run.advance(told["progress"])
                            self.changed(job.id)
                        else:
                            answer = told
                    code = process.wait()
            finally:
                run.kill("error")
                clock.cancel()
            complaints.seek(0)
            said = complaints.read().decode("utf-8", "replace")[-4000:]
        return answer or self._crash(job, run, code, said)

    def _task(self, job: Job) -> dict[str, Any]:
        """What the process reads."""
        asked, settings = JobOptions(**job.options), self.settings
        return {
            "source": str(self.folder(job.id) / Upload.NAME),
            "folder": str(self.folder(job.id)),
            "name": job.name,
            "memory_max_mib": settings.job_memory_max_mib,
            "options": {
                "every": asked.every_s,
                "model": settings.model,
                "smoothing_s": asked.smoothing_s,
                "baseline_s": asked.baseline_s,
                "annotated": asked.keep_film,
                "pictures": asked.keep_stills,
                "max_pixels": settings.picture_max_megapixels * 1_000_000,
                "max_film_s": settings.film_max_minutes * 60.0,
            },
        }

    def _crash(self, job: Job, run: Run, code: int, said: str) -> dict[str, Any]:
        """What is told of a process that ended without an answer."""
        if run.ended_by == "time":
            return {"failed": f"{job.name}: took longer than the {self.settings.job_max_minutes} minutes that one file may take"}
        if not run.ended_by:
            log.warning("the process of analysis %s ended with %s: %s", job.id, code, said.strip() or "nothing said")
        if is_about_memory(said):
            return {"failed": too_large(job.name, self.settings.job_memory_max_mib)}
        why = f"signal {-code}" if code < 0 else f"code {code}"
        return {
            "failed": f"{job.name}: the process that analysed it ended unexpectedly ({why}); try it again, or export the file anew"
        }

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
            run.kill("cancel")
            run.over.wait(WAIT_FOR_THE_END_S)


def folder_bytes(folder: Path) -> int:
    """What the files of a folder take up."""
    return sum(p.lstat().st_size for p in folder.rglob("*") if not p.is_dir())


def _event(name: str, data: str) -> str:
    return f"event: {name}\ndata: {data}\n\n"


# --- routes

FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "a picture or a film; its content decides"},
                        "every_s": {
                            "type": "number",
                            "minimum": 0,
                            "maximum": 3600,
                            "default": 0.5,
                            "description": "seconds between looks; 0: every frame",
                        },
                        "smoothing_s": {
                            "type": "number",
                            "minimum": 0,
                            "maximum": 60,
                            "default": 0.2,
                            "description": "time constant of the smoothed scores in seconds; 0: none",
                        },
                        "baseline_s": {
                            "type": "number",
                            "minimum": 0,
                            "maximum": 3600,
                            "default": 0,
                            "description": "where above 0: tables also hold the change against each face's first so many seconds",
                        },
                        "keep_film": {
                            "type": "boolean",
                            "default": True,
                            "description": "whether the annotated film or picture is made and kept",
                        },
                        "keep_stills": {"type": "boolean", "default": True, "description": "whether a still of each face is kept"},
                    },
                },
                "example": {"file": "(the file's content)", "every_s": 0.5, "keep_film": True},
            }
        },
    }
}


def _jobs(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.jobs
    return jobs


def options_of(fields: dict[str, str]) -> JobOptions:
    """The options of a form. Raises `ApiError` 422 for what cannot be."""
    most = {"every_s": 3600.0, "smoothing_s": 60.0, "baseline_s": 3600.0}
    switches = {"true": True, "1": True, "on": True, "yes": True, "false": False, "0": False, "off": False, "no": False}
    given: dict[str, Any] = {}
    for name, text in fields.items():
        text = text.strip().lower()
        if name in most:
            try:
                value = float(text)
            except ValueError:
                value = math.nan
            if not 0 <= value <= most[name]:
                raise ApiError(
                    422, "invalid", f"{name}: wanted a number of seconds from 0 to {most[name]:g}, but got {text[:40]!r}"
                )
            given[name] = value
        elif name in ("keep_film", "keep_stills"):
            if text not in switches:
                raise ApiError(422, "invalid", f"{name}: wanted true or false, but got {text[:40]!r}")
            given[name] = switches[text]
    if "every_s" in given:
        given["every_s"] = given["every_s"] or None
    return JobOptions(**given)


@router.get("/api/jobs", summary="All analyses, the newest first", response_model=JobsPage, responses=may_fail(422))
def list_jobs(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=200, description="how many at most")] = 50,
    cursor: Annotated[str, Query(max_length=40, description="next_cursor of the page before")] = "",
    search: Annotated[str, Query(max_length=200, description="words of the name or of the headline")] = "",
    state: Annotated[
        str, Query(max_length=100, description="only these states, divided by commas", examples=["queued,running"])
    ] = "",
) -> JobsPage:
    jobs = _jobs(request)
    states = [part.strip() for part in state.split(",") if part.strip()]
    try:
        found, following = jobs.store.jobs(limit=limit, cursor=cursor, search=search.replace("\0", ""), states=states)
    except ValueError as error:
        raise ApiError(422, "invalid", str(error)) from None
    places = jobs.places()
    return JobsPage(items=[jobs.view(job, places) for job in found], next_cursor=following)


@router.post(
    "/api/jobs",
    status_code=201,
    summary="Analyse a picture or a film",
    response_model=JobView,
    responses=may_fail(400, 413, 415, 422, 429, 507),
    openapi_extra=FORM,
)
async def create_job(request: Request) -> JobView:
    """Takes the file as it comes, without holding it in memory. What comes back says where it waits; `GET /api/jobs/{id}` or the
    events say how it goes on."""
    jobs = _jobs(request)
    await run_in_threadpool(jobs.check_room)
    id = new_id()
    folder = jobs.folder(id)
    try:
        upload = await receive(request, folder, jobs.settings.upload_max_mib * 2**20)
        options = options_of(upload.fields)
        await run_in_threadpool(jobs.check_room)
        await run_in_threadpool(jobs.add, id, upload, options)
    except ClientDisconnect:
        await run_in_threadpool(shutil.rmtree, folder, True)
        raise ApiError(400, "gone", "The upload broke off. Send the file once more.") from None
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return await run_in_threadpool(get_job, request, id)


@router.get(
    "/api/jobs/events",
    summary="Changes of all analyses as they happen",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "`event: job` with an analysis as JSON, `event: removed` with its id; first all that are unfinished",
            "content": {"text/event-stream": {"example": f'event: removed\ndata: {{"id": "{EXAMPLE_ID}"}}\n\n'}},
        }
    },
)
async def events(request: Request) -> StreamingResponse:
    stream = _jobs(request).events(request.app.state.stopping)
    return StreamingResponse(
        stream, media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )


@router.get("/api/jobs/{id}", summary="One analysis", response_model=JobView, responses=may_fail(404))
def get_job(request: Request, id: str) -> JobView:
    jobs = _jobs(request)
    return jobs.view(jobs.known(id))


@router.patch("/api/jobs/{id}", summary="Rename an analysis", response_model=JobView, responses=may_fail(404, 422))
def rename_job(request: Request, id: str, new: NewName) -> JobView:
    jobs = _jobs(request)
    name = shown(new.name)
    if not name:
        raise ApiError(422, "invalid", "name: wanted at least one letter")
    jobs.known(id)
    jobs.store.update_job(id, name=name)
    jobs.changed(id)
    return jobs.view(jobs.known(id))


@router.delete("/api/jobs/{id}", status_code=204, summary="Erase an analysis and all its files", responses=may_fail(404))
def erase_job(request: Request, id: str) -> Response:
    """An analysis that is under way is ended first. Nothing of it stays."""
    jobs = _jobs(request)
    jobs.known(id)
    jobs.erase(id)
    return Response(status_code=204)


@router.post(
    "/api/jobs/{id}/cancel", summary="End an analysis that waits or runs", response_model=JobView, responses=may_fail(404, 409)
)
def cancel_job(request: Request, id: str) -> JobView:
    """Its file stays, so that it can be tried again. One that has ended already stays as it is."""
    jobs = _jobs(request)
    return jobs.view(jobs.cancel(id))


@router.post(
    "/api/jobs/{id}/retry",
    summary="Try an analysis again that failed or was cancelled",
    response_model=JobView,
    responses=may_fail(404, 409, 429, 507),
)
def retry_job(request: Request, id: str) -> JobView:
    jobs = _jobs(request)
    return jobs.view(jobs.retry(id))


def shown(name: str) -> str:
    """A name without what cannot be shown, at most 200 letters."""
    return "".join(c for c in name if c.isprintable()).strip()[:200]
