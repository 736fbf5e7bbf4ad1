"""What analyses one file in a process of its own, so that no file can take the server's memory, time or life.

    python -m mien.web.analyses.worker

One line of JSON comes in, the task; lines of JSON go out, at most ten a second: {"progress": …}, at the end {"done": …} or
{"failed": "…"}. The process ends by itself when its input ends: then the server is gone.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mien.web.tasks.child import listed, work

PROGRESS_EVERY_S = 0.1


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


if __name__ == "__main__":
    sys.exit(work(analyse))
