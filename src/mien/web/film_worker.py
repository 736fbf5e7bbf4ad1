"""What makes an uploaded film one that every browser plays, in a process of its own as `worker` does it.

    python -m mien.web.film_worker

One line of JSON comes in: {"source", "target", "name", "memory_max_mib", "max_pixels", "max_film_s"}. Lines of JSON go out:
{"progress": share or null}, at the end {"done": {"duration_s", "width", "height", "sound", "converted", "sha256", "size_bytes"}}
or {"failed": "…"}.
"""

import hashlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mien.web.child import answers, end_with_the_server
from mien.web.worker import first_line, is_about_memory, limit, too_large

PROGRESS_EVERY_S = 0.2
READ_AT_ONCE = 1 << 20


def main() -> int:
    """Reads the task from standard input and does it. 0 also where the film cannot be read: that is an answer."""
    task = json.loads(first_line())
    end_with_the_server()
    out = answers()
    limit(task["memory_max_mib"])

    def tell(**answer: Any) -> None:
        out.write(json.dumps(answer) + "\n")
        out.flush()

    try:
        tell(done=make_ready(task, tell))
    except Exception as error:
        from mien.errors import MienError

        if is_about_memory(str(error)) or isinstance(error, MemoryError):
            tell(failed=too_large(task["name"], task["memory_max_mib"]))
        elif isinstance(error, MienError):
            tell(failed=str(error))
        else:
            raise
    return 0


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
    return {
        "duration_s": info.duration_s,
        "width": info.width,
        "height": info.height,
        "sound": info.has_audio,
        "converted": converted,
        "sha256": _sha256(target),
        "size_bytes": target.stat().st_size,
    }


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(READ_AT_ONCE):
            found.update(chunk)
    return found.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
