"""What the processes that the server starts have in common: their task, their limits, how they answer, and when they end."""

import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

NICENESS = 5


def work(do: Callable[[dict[str, Any], Callable[..., None]], Any]) -> int:
    """A whole process for one task: it is read from standard input, done within its limits, and answered.

    `do(task, tell)` gives what is told as done; `tell(progress=…)` may be called meanwhile, from any thread. Answers are lines of
    JSON: {"progress": …}, at the end {"done": …} or {"failed": "…"}. 0 also where it could not be done: that is an answer. A task
    for a file that somebody sent has its "name" and "memory_max_mib"; where there is no limit, the process only gives way.
    """
    task = json.loads(first_line())
    end_with_the_server()
    out = answers()
    most = task.get("memory_max_mib")
    if most is None:
        give_way(NICENESS)
    else:
        limit(most)
    told = threading.Lock()

    def tell(**answer: Any) -> None:
        with told:
            out.write(json.dumps(answer) + "\n")
            out.flush()

    try:
        tell(done=do(task, tell))
    except Exception as error:
        from mien.errors import MienError

        if most is not None and (is_about_memory(str(error)) or isinstance(error, MemoryError)):
            tell(failed=too_large(task["name"], most))
        elif isinstance(error, MienError):
            tell(failed=str(error))
        else:
            raise
    return 0


def is_about_memory(said: str) -> bool:
    """Whether an error, of Python or of a library, says that there was too little memory."""
    words = (
        "MemoryError",
        "bad_alloc",
        "out of memory",
        "Insufficient memory",
        "llocate memory",
        "Memory allocation",
        "failed to map",
        "alloc failed",
    )
    return any(word in said for word in words)


def too_large(name: str, memory_max_mib: int) -> str:
    """What is told of a file that asks for too much."""
    return f"{name}: needs more than the {memory_max_mib} MiB of memory that one file may take; make it smaller"


def first_line() -> bytes:
    """The task. Read without Python's buffer: its lock would be held by the thread below when the process ends."""
    line = b""
    while not line.endswith(b"\n"):
        if not (byte := os.read(0, 1)):
            break
        line += byte
    return line


def end_with_the_server() -> None:
    """From now on the process ends by itself when its input ends: then the server is gone, and the next one begins again.

    Read without sys.stdin, whose lock would be held when the process ends otherwise.
    """

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os._exit(3)

    threading.Thread(target=wait, daemon=True).start()


def answers() -> TextIO:
    """Where answers go, as lines of JSON. Whatever a library prints is no answer, and goes to standard error from now on."""
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    return out


def give_way(niceness: int) -> None:
    """Leaves the processor to others, where the system has a way to say so."""
    with suppress(OSError, AttributeError):
        os.nice(niceness)


def limit(memory_max_mib: int) -> None:
    """As little of the machine as one file may take: memory, one thread, what others leave of the processor, and no core dump."""
    give_way(NICENESS)
    try:
        import resource
    except ModuleNotFoundError:  # Windows has no such limits
        return
    most = memory_max_mib * 1024 * 1024
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it would hold faces


def listed(summary: dict[str, Any]) -> dict[str, Any]:
    """What the list of analyses shows of a result, from its summary.json."""
    return {
        "headline": summary["headline"],
        "duration_s": summary["looked_at_s"] or None,
        "people": len(summary["tracks"]),
        "shares": summary["shares"] if summary["faces"] else None,
    }
