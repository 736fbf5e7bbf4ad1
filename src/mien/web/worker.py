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

PROGRESS_EVERY_S = 0.1
NICENESS = 10


def main() -> int:
    """Reads the task from standard input and does it. 0 also where the file could not be analysed: that is an answer."""
    task = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is no answer
    _limit(task["memory_max_mib"])
    told = threading.Lock()

    def tell(**answer: Any) -> None:
        with told:
            answers.write(json.dumps(answer) + "\n")
            answers.flush()

    too_little = f"{task['name']}: needs more than the {task['memory_max_mib']} MiB of memory that one file may take"
    try:
        tell(done=analyse(task, tell))
    except MemoryError:
        tell(failed=f"{too_little}; make it smaller, or raise MIEN_JOB_MEMORY_MAX_MIB")
    except Exception as error:
        from mien.errors import MienError

        if isinstance(error, MienError):
            tell(failed=str(error))
        elif "bad_alloc" in str(error) or "Insufficient memory" in str(error) or "Failed to allocate" in str(error):
            tell(failed=f"{too_little}; make it smaller, or raise MIEN_JOB_MEMORY_MAX_MIB")
        else:
            raise
    return 0


def analyse(task: dict[str, Any], tell: Callable[..., None]) -> dict[str, Any]:
    """Does the task and gives back what the list of analyses shows of it. Raises `MediaError`, `ModelError`."""
    import cv2

    from mien.cluster import AnalysisOptions, analyze_file

    cv2.setNumThreads(1)
    options = AnalysisOptions(**task["options"])
    analyzer = options.analyzer()
    tell(progress={"frames": 0, "done_s": 0.0, "total_s": None})
    started = last = time.monotonic()
    frames = 0

    def progress(count: int, done_s: float, total_s: float | None) -> None:
        nonlocal last, frames
        frames = count
        moment = time.monotonic()
        if count == 1 or moment - last >= PROGRESS_EVERY_S:
            last = moment
            tell(progress={"frames": count, "done_s": round(done_s, 3), "total_s": total_s})

    folder = Path(task["folder"])
    outcome = analyze_file(
        task["source"], folder / "result", options, analyzer=analyzer, progress=progress, name=task["name"], keep=folder
    )
    seconds = time.monotonic() - started
    summary = outcome.summary or {}
    return {
        "media": summary["media"]["kind"],
        "note": outcome.error,
        "headline": summary["headline"],
        "duration_s": summary["looked_at_s"] or None,
        "people": len(summary["tracks"]),
        "shares": summary["shares"] if summary["faces"] else None,
        "frames": frames,
        "looks_per_s": frames / seconds,
    }


def _limit(memory_max_mib: int) -> None:
    """As little of the machine as one file may take: memory, one thread, what others leave of the processor, and no core dump."""
    with contextlib.suppress(OSError, AttributeError):
        os.nice(NICENESS)
    try:
        import resource
    except ModuleNotFoundError:  # Windows has no such limits
        return
    most = memory_max_mib * 1024 * 1024
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it would hold faces


def _end_with_the_server() -> None:
    sys.stdin.buffer.read()
    os._exit(3)


if __name__ == "__main__":
    sys.exit(main())
