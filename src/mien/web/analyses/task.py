"""One analysis as the runner does it: what its process is asked, how far it is, and what its job is told."""

import shutil
import time
from collections.abc import Callable
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from mien.errors import MediaError
from mien.web.analyses.schema import JobOptions
from mien.web.database import Job, Store, Task
from mien.web.folders import held
from mien.web.settings import Settings
from mien.web.tasks.engine import Description, python
from mien.web.tasks.runner import CANCELLED, DONE, FAILED, RUNNING, WAITING, Kind
from mien.web.uploads import Upload

MEASURED_LOOKS = 20
"""Analyses of fewer looks are mostly loading and say nothing about the pace."""

WRITING_S = 2.0
"""What tables, plots and the report take after the last look; belongs to the time left."""

JOB_STATES = {WAITING: "queued", RUNNING: "running", DONE: "done", FAILED: "failed", CANCELLED: "cancelled"}
"""A task's state → its job's."""


class Pages(Protocol):
    """Whoever shows analyses."""

    def changed(self, id: str) -> None:
        """Tells how a job is now."""
        ...

    def removed(self, id: str) -> None:
        """Tells that a job is gone."""
        ...

    def queue_moved(self) -> None:
        """Tells the places of those that wait."""
        ...


class Analysis(Kind):
    """Analyses of files, as a kind of task; the subject is the job's id."""

    kind = "analysis"

    def __init__(self, settings: Settings, store: Store, pages: Pages) -> None:
        self.settings, self.store, self.pages = settings, store, pages
        self.at_once = settings.jobs_at_once
        self.command = python("mien.web.analyses.worker")

    def describe(self, subject: str, detail: dict[str, Any]) -> Description:
        """What the process reads. Raises `MediaError` where the file is gone, or its job."""
        job, folder, settings = self.store.job(subject), self.settings.jobs_dir / subject, self.settings
        if job is None or not (folder / Upload.NAME).is_file():
            raise MediaError(f"{job.name if job else 'the file'}: its file is not there any more; send it once more")
        for left in folder.iterdir():  # of a process that was killed
            if left.name != Upload.NAME:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        asked = JobOptions(**job.options)
        return Description(
            command=tuple(self.command),
            task={
                "source": str(folder / Upload.NAME),
                "folder": str(folder),
                "name": job.name,
                "memory_max_mib": settings.job_memory_max_mib,
                "options": {
                    "every": asked.every_s,
                    "model": asked.model or settings.model,
                    "labels": asked.labels,
                    "prior": asked.prior,
                    "detector": asked.detector,
                    "find_face_px": settings.find_face_px if asked.detector == "yunet" else None,
                    "smoothing_s": asked.smoothing_s,
                    "baseline_s": asked.baseline_s,
                    "annotated": asked.keep_film,
                    "pictures": asked.keep_stills,
                    "max_pixels": settings.picture_max_megapixels * 1_000_000,
                    "max_film_s": settings.film_max_minutes * 60.0,
                },
            },
            most_s=settings.job_max_minutes * 60,
            too_long=f"{job.name}: took longer than the {settings.job_max_minutes} minutes that one file may take",
            crashed=f"{job.name}: the process that analysed it ended unexpectedly ({{why}}); try it again, or export the file anew",
            folder=str(folder),
        )

    def progress(self, subject: str) -> Callable[[Any], Any]:
        return Pace().advance

    def follow(self, rows: Session, task: Task, done: Any) -> None:
        job = rows.scalar(select(Job).where(Job.id == task.subject).with_for_update())
        if job is None:
            return
        job.state, job.started_at, job.ended_at, job.error = JOB_STATES[task.state], task.started_at, task.ended_at, task.error
        job.progress = None
        if task.state == WAITING:
            job.queued_at, job.note = task.queued_at, None
        elif task.state == DONE:
            frames, pace = done.pop("frames"), done.pop("looks_per_s")
            job.looks_per_s = pace if frames >= MEASURED_LOOKS else None
            folder = self.settings.jobs_dir / task.subject
            job.size_bytes = held(folder)[1] - (folder / Upload.NAME).stat().st_size
            for name, value in done.items():
                setattr(job, name, value)

    def changed(self, subject: str, state: str | None) -> None:
        if state == DONE:
            (self.settings.jobs_dir / subject / Upload.NAME).unlink(missing_ok=True)
        self.pages.changed(subject)
        if state is not None:
            self.pages.queue_moved()

    def heard(self, subject: str) -> None:
        if self.store.job(subject) is None:
            self.pages.removed(subject)
        self.pages.changed(subject)
        self.pages.queue_moved()


class Pace:
    """How far an analysis is, how fast, and how long it will still take."""

    def __init__(self) -> None:
        self._first: tuple[float, int, float] | None = None  # moment, looks and seconds of film of the first progress

    def advance(self, told: dict[str, Any]) -> dict[str, Any]:
        """What the process tells, with share, pace and time left."""
        moment = time.monotonic()
        frames, done_s, total_s = told["frames"], told["done_s"], told["total_s"]
        if self._first is None and frames:
            self._first = (moment, frames, done_s)
        share = min(done_s / total_s, 0.99) if total_s else None  # it is not whole before the report is written
        pace = left = None
        if self._first is not None and moment - self._first[0] > 0.2:
            took = moment - self._first[0]
            pace = (frames - self._first[1]) / took
            speed = (done_s - self._first[2]) / took
            left = max(0.0, (total_s - done_s) / speed) + WRITING_S if total_s and speed > 0 else None
        return {
            "frames": frames,
            "done_s": done_s,
            "total_s": total_s,
            "share": None if share is None else round(share, 4),
            "frames_per_s": None if pace is None else round(pace, 1),
            "left_s": None if left is None else round(left, 1),
        }
