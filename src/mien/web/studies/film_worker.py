"""What makes an uploaded film one that every browser plays, in a process of its own as `worker` does it.

    python -m mien.web.studies.film_worker

One line of JSON comes in: {"source", "target", "name", "memory_max_mib", "max_pixels", "max_film_s"}. Lines of JSON go out:
{"progress": share or null}, at the end {"done": {"duration_s", "width", "height", "sound", "converted", "sha256", "size_bytes"}}
or {"failed": "…"}.
"""

import hashlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mien.web.tasks.child import work

PROGRESS_EVERY_S = 0.2


def make_ready(task: dict[str, Any], tell: Callable[..., None]) -> dict[str, Any]:
    """Writes the film to the target and tells what it is. Raises `MediaError`."""
    from mien.media import film_for_browsers

    source, target = Path(task["source"]), Path(task["target"])
    last = 0.0

    def progress(share: float | None) -> None:
        nonlocal last
        if time.monotonic() - last >= PROGRESS_EVERY_S:
            last = time.monotonic()
            tell(progress=None if share is None else round(min(share, 1.0), 4))

    info, converted = film_for_browsers(
        source, target, name=task["name"], max_pixels=task["max_pixels"], max_film_s=task["max_film_s"], progress=progress
    )
    with target.open("rb") as film:
        sha256 = hashlib.file_digest(film, "sha256").hexdigest()
    return {
        "duration_s": info.duration_s,
        "width": info.width,
        "height": info.height,
        "sound": info.has_audio,
        "converted": converted,
        "sha256": sha256,
        "size_bytes": target.stat().st_size,
    }


if __name__ == "__main__":
    sys.exit(work(make_ready))
