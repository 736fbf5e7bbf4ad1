"""One analysis under way: its process, how far it is, and what is told of it when it ends without an answer."""

import logging
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mien.web.analyses.schema import JobOptions
from mien.web.database import Job
from mien.web.settings import Settings
from mien.web.tasks.child import is_about_memory, too_large
from mien.web.tasks.process import Ended, Process
from mien.web.uploads import Upload

WRITING_S = 2.0
"""What tables, plots and the report take after the last look; belongs to the time left."""

log = logging.getLogger(__name__)


class Run:
    """One job while its process works on it, in the job's folder."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.process = Process(settings.job_max_minutes * 60)  # killed by "cancel", "time" or "stop"
        self.over = threading.Event()
        self.progress: dict[str, Any] | None = None
        self.first: tuple[float, int, float] | None = None  # moment, looks and seconds of film of the first progress

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

    def work(self, job: Job, command: list[str], advanced: Callable[[], None]) -> dict[str, Any]:
        """Starts the process, listens to it until it ends, and gives its last answer: {"done": …} or {"failed": …}.

        `advanced` is called whenever there is progress.
        """
        folder = self.folder
        if not (folder / Upload.NAME).is_file():
            return {"failed": f"{job.name}: its file is not there any more; send it once more"}
        for left in folder.iterdir():  # of a process that was killed
            if left.name != Upload.NAME:
                shutil.rmtree(left) if left.is_dir() else left.unlink()

        def told(progress: Any) -> None:
            self.advance(progress)
            advanced()

        ended = self.process.work(command, self._task(job), progress=told, folder=folder)
        if ended is None:
            return {}
        return ended.answer or self._crash(job, ended)

    def _task(self, job: Job) -> dict[str, Any]:
        """What the process reads."""
        asked, settings = JobOptions(**job.options), self.settings
        return {
            "source": str(self.folder / Upload.NAME),
            "folder": str(self.folder),
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

    def _crash(self, job: Job, ended: Ended) -> dict[str, Any]:
        """What is told of a process that ended without an answer."""
        if ended.by == "time":
            return {"failed": f"{job.name}: took longer than the {self.settings.job_max_minutes} minutes that one file may take"}
        if not ended.by:
            log.warning("the process of analysis %s ended with %s: %s", job.id, ended.code, ended.said or "nothing said")
        if is_about_memory(ended.said):
            return {"failed": too_large(job.name, self.settings.job_memory_max_mib)}
        why = f"signal {-ended.code}" if ended.code < 0 else f"code {ended.code}"
        return {
            "failed": f"{job.name}: the process that analysed it ended unexpectedly ({why}); try it again, or export the file anew"
        }
