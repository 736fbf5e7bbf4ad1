"""One analysis under way: its process, how far it is, and what is told of it when it ends without an answer."""

import json
import logging
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mien.web.child import is_about_memory, too_large
from mien.web.job_json import JobOptions
from mien.web.settings import Settings
from mien.web.store import Job
from mien.web.uploads import Upload

WRITING_S = 2.0
"""What tables, plots and the report take after the last look; belongs to the time left."""

log = logging.getLogger(__name__)


class Run:
    """One job while its process works on it, in the job's folder."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
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
        environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        with tempfile.TemporaryFile() as complaints:
            with self.lock:
                if self.ended_by:
                    return {}
                self.process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=complaints,
                    cwd=folder,
                    env=environment,
                    start_new_session=True,
                )
            clock = threading.Timer(self.settings.job_max_minutes * 60, self.kill, ["time"])
            clock.daemon = True
            clock.start()
            answer: dict[str, Any] = {}
            try:
                with self.process as process:
                    assert process.stdin is not None
                    assert process.stdout is not None
                    with suppress(BrokenPipeError):
                        process.stdin.write(json.dumps(self._task(job)).encode() + b"\n")
                        process.stdin.flush()
                    for line in process.stdout:
                        told = json.loads(line)
                        if "progress" in told:
                            self.advance(told["progress"])
                            advanced()
                        else:
                            answer = told
                    code, ended_by = process.wait(), self.ended_by
            finally:
                self.kill("error")
                clock.cancel()
            complaints.seek(0)
            said = complaints.read().decode("utf-8", "replace")[-4000:]
        return answer or self._crash(job, code, said, ended_by)

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

    def _crash(self, job: Job, code: int, said: str, ended_by: str) -> dict[str, Any]:
        """What is told of a process that ended without an answer."""
        if ended_by == "time":
            return {"failed": f"{job.name}: took longer than the {self.settings.job_max_minutes} minutes that one file may take"}
        if not ended_by:
            log.warning("the process of analysis %s ended with %s: %s", job.id, code, said.strip() or "nothing said")
        if is_about_memory(said):
            return {"failed": too_large(job.name, self.settings.job_memory_max_mib)}
        why = f"signal {-code}" if code < 0 else f"code {code}"
        return {
            "failed": f"{job.name}: the process that analysed it ended unexpectedly ({why}); try it again, or export the file anew"
        }
