"""Tasks on the workers of a Dask scheduler: each in a process of its own there, as on this machine.

Such a process ends with its worker, with a task that is cancelled, and with the server that asked for it: Dask cancels what nobody
asks for any more. Workers see the data folder under the same path, and the database by the same address.
"""

import queue
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import mien
from mien.errors import ModelError
from mien.web.database import AGAIN_S, new_id
from mien.web.tasks.engine import Description
from mien.web.tasks.process import Ended, Process

LOOK_EVERY_S = 0.1
"""How often a worker looks whether its task was cancelled."""
CONNECT_S = 10
END_WITHIN_S = 4.0
"""How long it is waited for a worker to say that a cancelled task has ended."""
OVER = object()


class Workers:
    """Runs tasks on the workers of the scheduler at `address`, such as tcp://scheduler:8786; one that is gone is waited for."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._client: Any = None
        self._connecting = threading.Lock()

    def client(self) -> Any:
        """Dask's client, connected. Raises `ModelError` where Dask is not installed, or no scheduler answers."""
        try:
            from distributed import Client
        except ImportError as error:
            raise ModelError("--cluster needs Dask; run: pip install 'mien[cluster]'") from error
        with self._connecting:
            if self._client is None or self._client.status != "running":
                self.close()
                try:
                    self._client = Client(self.address, timeout=CONNECT_S, set_as_default=False)
                except (OSError, ValueError) as error:
                    raise ModelError(f"{self.address}: no Dask scheduler answers there: {error}") from error
            return self._client

    def close(self) -> None:
        """Leaves the scheduler; what runs for this server is cancelled."""
        if self._client is not None:
            with suppress(Exception):  # it may be gone
                self._client.close(timeout=CONNECT_S)
            self._client = None

    def begin(self, description: Description) -> "OnWorker":
        return OnWorker(self, description)


class OnWorker:
    """One task on whichever worker takes it."""

    def __init__(self, workers: Workers, description: Description) -> None:
        self.ended_by = ""
        self._workers, self._description, self._key = workers, description, f"mien-{new_id()}"
        self._told: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._future: Any = None
        self._begun = False

    def kill(self, why: str) -> None:
        with self._lock:
            self.ended_by = self.ended_by or why
            if self._future is not None:
                self._future.cancel()
        self._told.put(OVER)

    def work(self, progress: Callable[[Any], None]) -> Ended | None:
        """As `Process.work`. None, so that it waits again, also where the scheduler or its connection is gone."""
        from concurrent.futures import CancelledError

        try:
            client = self._workers.client()
        except ModelError:
            time.sleep(AGAIN_S)
            return None
        client.subscribe_topic(self._key, lambda event: self._told.put(event[1]))
        try:
            if not self._submit(client):
                return None
            self._future.add_done_callback(lambda future: self._told.put(OVER))
            while (told := self._told.get()) is not OVER:
                self._begun = True
                if "progress" in told:
                    progress(told["progress"])
            if self.ended_by:
                self._wait_for_the_end()
                return None
            ended: Ended | None = self._future.result()
            return ended
        except CancelledError:
            time.sleep(AGAIN_S)
            return None
        except Exception as error:  # what Dask gives up after several workers died, and what one without mien says
            return Ended(None, 1, f"{type(error).__name__}: {error}", "")
        finally:
            with suppress(Exception):
                client.unsubscribe_topic(self._key)

    def _submit(self, client: Any) -> bool:
        """Whether it was not ended before."""
        with self._lock:
            if not self.ended_by:
                self._future = client.submit(run, self._description, self._key, mien.__version__, key=self._key, pure=False)
            return not self.ended_by

    def _wait_for_the_end(self) -> None:
        """Until the worker says that nothing is written any more."""
        end = time.monotonic() + END_WITHIN_S
        with suppress(queue.Empty):
            while self._begun and (left := end - time.monotonic()) > 0:
                told = self._told.get(timeout=left)
                if told is not OVER and "over" in told:
                    return


def run(description: Description, key: str, version: str) -> Ended | None:
    """On a worker: the task `key` in a process of its own, which ends where the task is cancelled."""
    if version != mien.__version__:
        raise ModelError(f"a worker has mien {mien.__version__}, but wanted {version}; install the same on all")
    from distributed import get_worker

    worker, over = get_worker(), threading.Event()
    here = replace(description, command=(sys.executable, *description.command[1:]))
    process = Process(here.command, here.task, here.most_s, here.folder)

    def watch() -> None:
        while not over.wait(LOOK_EVERY_S):
            task = worker.state.tasks.get(key)
            if task is None or task.state in ("cancelled", "resumed", "released", "forgotten"):
                process.kill("cancel")
                return

    threading.Thread(target=watch, name="mien-cancelled", daemon=True).start()
    worker.log_event(key, {"begun": True})
    try:
        return process.work(lambda told: worker.log_event(key, {"progress": told}))
    finally:
        over.set()
        worker.log_event(key, {"over": True})
