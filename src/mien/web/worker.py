"""What analyses one file in a process of its own, so that no file can take the server's memory, time or life.

    python -m mien.web.worker

One line of JSON comes in, the task; lines of JSON go out, at most ten a second: {"progress": …}, at the end {"done": …} or
{"failed": "…"}. The process ends by itself when its input ends: then the server is gone.
"""

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mien.web.child import answers, end_with_the_server, give_way, listed

PROGRESS_EVERY_S = 0.1
NICENESS = 5


def main() -> int:
    """Reads the task from standard input and does it. 0 also where the file could not be analysed: that is an answer."""
    task = json.loads(first_line())
    end_with_the_server()
    out = answers()
    limit(task["memory_max_mib"])
    told = threading.Lock()

    def tell(**answer: Any) -> None:
        with told:
            out.write(json.dumps(answer) + "\n")
            out.flush()

    try:
        tell(done=analyse(task, tell))
    except Exception as error:
        from mien.errors import MienError

        if is_about_memory(str(error)) or isinstance(error, MemoryError):
            tell(failed=too_large(task["name"], task["memory_max_mib"]))
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


def analyse(task: dict[str, Any], tell: Callable[..., None]) -> dict[str, Any]:
    """Does the task and gives back what the list of analyses shows of it. Raises `MediaError`, `ModelError`."""
    import cv2

    from mien.cluster import AnalysisOptions, analyze_file

    cv2.setNumThreads(1)
    options = AnalysisOptions(**task["options"])
    analyzer = options.analyzer()
    tell(progress={"frames": 0, "done_s": 0.0, "total_s": None})
    started = last = newest = time.monotonic()
    frames = 0

    def progress(count: int, done_s: float, total_s: float | None) -> None:
        nonlocal last, newest, frames
        frames, newest = count, time.monotonic()
        if count == 1 or newest - last >= PROGRESS_EVERY_S:
            last = newest
            tell(progress={"frames": count, "done_s": round(done_s, 3), "total_s": total_s})

    folder = Path(task["folder"])
    outcome = analyze_file(
        task["source"], folder / "result", options, analyzer=analyzer, progress=progress, name=task["name"], keep=folder
    )
    summary = outcome.summary or {}
    return listed(summary) | {
        "media": summary["media"]["kind"],
        "note": outcome.error,
        "frames": frames,
        "looks_per_s": frames / max(newest - started, 1e-3),
    }


def limit(memory_max_mib: int) -> None:
    """As little of the machine as one file may take: memory, one thread, what others leave of the processor, and no core dump."""
    give_way(NICENESS)
    try:
        import resource
    except ModuleNotFoundError:  # Windows has no such limits
        return
    most = memory_max_mib * 1024 * 1024
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it would hold faces


def first_line() -> bytes:
    """Read without Python's buffer: its lock would be held by the thread below when the process ends."""
    line = b""
    while not line.endswith(b"\n"):
        if not (byte := os.read(0, 1)):
            break
        line += byte
    return line


if __name__ == "__main__":
    sys.exit(main())
