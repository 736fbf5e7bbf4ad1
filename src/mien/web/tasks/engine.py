"""Where a task runs. Nothing of the server's memory crosses this seam: a description goes out as JSON, progress and an answer come
back. `Processes` runs each in a process of this machine; another engine may run it elsewhere."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from mien.web.tasks.process import Ended, Process


def python(module: str) -> tuple[str, ...]:
    """The command of a module whose `work` speaks the protocol of `child`."""
    return (sys.executable, "-P", "-m", module)


@dataclass(frozen=True, slots=True)
class Description:
    """A task as an engine takes it.

    command   what reads the task and speaks the protocol of `child`
    task      what it reads; "memory_max_mib" and "name" in it are its limit of memory, and what it is called
    most_s    how long it may take
    folder    in which it works, None: any
    too_long  what is told where it took longer
    crashed   what is told where it ended without an answer; "{why}" in it is how
    """

    command: tuple[str, ...]
    task: dict[str, Any]
    most_s: float
    too_long: str
    crashed: str
    folder: str | None = None


class Execution(Protocol):
    """One task that is about to run or runs."""

    def work(self, progress: Callable[[Any], None]) -> Ended | None:
        """Runs it to its end, and calls `progress` with all that it tells meanwhile; None where it was killed before it began."""
        ...

    def kill(self, why: str) -> None:
        """Ends it at once. From any thread, at any time."""
        ...


class Engine(Protocol):
    """What runs tasks."""

    def begin(self, description: Description) -> Execution:
        """The task, which runs once `work` is called."""
        ...


class Processes:
    """Runs each task in a process of its own on this machine."""

    def begin(self, description: Description) -> Process:
        return Process(description.command, description.task, description.most_s, description.folder)
