"""Files analysed by the workers of a Dask scheduler: a thin layer over what one process does with one file.

Each file is a task, and each task a process of its own: a decoder that crashes, or a lack of memory, takes nothing with it, and the
worker answers its scheduler all the while. Results are on the disk, in a folder that all share, before a task ends, and are looked
for before it begins: what was done on a worker that died later is not done again.
"""

import contextlib
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import mien
from mien.cluster import Outcome, Task
from mien.errors import ModelError
from mien.media import shown_name

CONFIG = {
    "distributed.scheduler.work-stealing": False,  # a film that has begun is not to begin elsewhere
    "distributed.scheduler.allowed-failures": 100,  # a worker that dies counts against all tasks that wait on it
    "distributed.worker.memory.pause": False,  # what takes memory is the film's own process
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.terminate": False,
}
"""How Dask is set up for a local cluster; docs/scale.md asks for the same of others."""

_RETRIES, _RETRY_S = 5, 2.0
"""How often, and after how long, a file is asked for again that a process had which may have died with its worker."""


@dataclass(frozen=True, slots=True)
class Scheduler:
    """Hands tasks to the workers of `address`: "local" for `workers` of its own on this machine, else that of a Dask scheduler.

    on_start  called with Dask's client once it is there

    Raises `ModelError` where Dask is not installed, the scheduler does not answer, or a worker has another version of mien.
    """

    address: str
    workers: int = 1
    on_start: Callable[[Any], None] | None = field(default=None, repr=False)

    def __call__(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        try:
            import dask
            from distributed import Client, LocalCluster, as_completed
        except ImportError as error:
            raise ModelError("--cluster needs Dask; run: pip install 'mien[cluster]'") from error
        with contextlib.ExitStack() as stack:
            stack.enter_context(dask.config.set(CONFIG))
            try:
                if self.address == "local":
                    made = LocalCluster(n_workers=self.workers, threads_per_worker=1, dashboard_address=None, silence_logs=50)
                    client = stack.enter_context(Client(stack.enter_context(made)))
                else:
                    client = stack.enter_context(Client(self.address, timeout="30s"))
            except (OSError, ValueError) as error:
                raise ModelError(f"{self.address}: no Dask scheduler answers there: {error}") from error
            if self.on_start is not None:
                self.on_start(client)

            def submit(task: Task) -> Any:
                return client.submit(work, task, os.getcwd(), mien.__version__, pure=False, retries=_RETRIES)

            asked = {submit(task): (task, 0) for task in tasks}
            ended = as_completed(list(asked))
            for future in ended:
                task, times = asked.pop(future)
                try:
                    outcome: Outcome = future.result()
                except ModelError:
                    raise
                except Exception as error:  # what Dask gives up, and what a worker without mien says
                    name = shown_name(task.source)
                    outcome = Outcome(name, None, None, f"{name}: no worker has done it ({type(error).__name__}: {error})")
                if outcome.unfinished and times < _RETRIES:
                    time.sleep(_RETRY_S)  # the process of a worker that was killed ends with it, but not in the same instant
                    again = submit(task)
                    asked[again] = task, times + 1
                    ended.add(again)
                else:
                    yield outcome


def work(task: Task, folder: str, version: str) -> Outcome:
    """One task, whose paths are as seen from `folder`, in a process of its own, which ends when this one does."""
    if version != mien.__version__:
        raise ModelError(f"a worker has mien {mien.__version__}, but wanted {version}; install the same on all")
    began = time.monotonic()
    command = [sys.executable, "-c", "from mien.scheduler import serve_one; serve_one()"]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            with contextlib.suppress(BrokenPipeError):
                pickle.dump(task, child.stdin)
                child.stdin.flush()  # and stays open: that it closes tells the child that this process is gone
            answer = child.stdout.read()
        except BaseException:
            child.kill()
            raise
    if child.returncode or not answer:
        return task.lost(time.monotonic() - began)
    outcome: Outcome = pickle.loads(answer)
    return outcome


def serve_one() -> None:
    """Takes a task from stdin, does it, and answers on stdout."""
    import cv2

    cv2.setNumThreads(1)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else is printed is no answer
    task: Task = pickle.load(sys.stdin.buffer)

    def watch() -> None:
        sys.stdin.buffer.read()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    pickle.dump(task.run(), answers)
    answers.flush()
    os._exit(0)
