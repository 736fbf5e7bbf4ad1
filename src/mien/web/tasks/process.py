"""A process that the server starts for one task, seen from the server; `child` is the other side."""

import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

SAID_MAX = 4000


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended.

    answer  its last line, None where it gave none      said  the end of what it printed to standard error
    by      why it was killed, where it was
    """

    answer: dict[str, Any] | None
    code: int
    said: str
    by: str


class Process:
    """One process and its one task. `kill` may come from any thread, at any time: also before the process has begun.

    most_s  how long it may take; then it is killed by "time"        folder  in which it works
    """

    def __init__(self, command: Sequence[str], task: dict[str, Any], most_s: float, folder: str | None = None) -> None:
        self.ended_by = ""
        self._command, self._task, self._most_s, self._folder = command, task, most_s, folder
        self._lock = threading.Lock()
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its number. Raises `RuntimeError` before it has begun."""
        if self._popen is None:
            raise RuntimeError("the process has not begun")
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """As subprocess has it: -9 for one that was killed, before it began, too; None while it has not ended."""
        if self._popen is None:
            return -9 if self.ended_by else None
        return self._popen.returncode

    def kill(self, why: str) -> None:
        """Ends the process and all that it started, at once; also one that is only about to start."""
        with self._lock:
            if not self.ended_by:
                self.ended_by = why
            popen = self._popen
            if popen is None or popen.poll() is not None:
                return
            try:
                os.killpg(popen.pid, signal.SIGKILL)
            except (AttributeError, OSError):  # Windows; or it has just ended
                popen.kill()

    def wait(self) -> None:
        """Until it has ended; at once where it never began."""
        if self._popen is not None:
            self._popen.wait()

    def work(self, progress: Callable[[Any], None] = lambda told: None) -> Ended | None:
        """Starts it, gives it the task, listens until it ends. None where it was killed before it began.

        `progress` is called with each {"progress": …} that it tells.
        """
        environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        with tempfile.TemporaryFile() as complaints:
            with self._lock:
                if self.ended_by:
                    return None
                self._popen = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=complaints,
                    cwd=self._folder,
                    env=environment,
                    start_new_session=True,
                    umask=0o077,  # what it writes is for nobody else
                )
            clock = threading.Timer(self._most_s, self.kill, ["time"])
            clock.daemon = True
            clock.start()
            answer: dict[str, Any] | None = None
            try:
                process = self._popen
                assert process.stdin is not None
                assert process.stdout is not None
                with suppress(BrokenPipeError):  # killed before it has read
                    process.stdin.write(json.dumps(self._task).encode() + b"\n")
                    process.stdin.flush()
                for line in process.stdout:
                    told = json.loads(line)
                    if "progress" in told:
                        progress(told["progress"])
                    else:
                        answer = told
                code, ended_by = process.wait(), self.ended_by
            finally:
                self.kill("error")
                clock.cancel()
                for pipe in (self._popen.stdin, self._popen.stdout):
                    with suppress(BrokenPipeError):
                        if pipe is not None:
                            pipe.close()
                self._popen.wait()
            complaints.seek(0)
            said = complaints.read().decode("utf-8", "replace")[-SAID_MAX:].strip()
        return Ended(answer, code, said, ended_by)
