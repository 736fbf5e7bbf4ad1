"""Which process makes a folder that is not whole yet, so that what a killed one leaves is known, and removed by the next run."""

import contextlib
import json
import logging
import os
import shutil
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien.json_text import parsed
from mien.places import is_remote

MARK = ".unfinished.json"
"""Lies in each such folder until it is whole."""

SILENT_S = 24 * 3600.0
"""A folder of a process on another machine is taken for left behind when nothing in it has changed for so long."""

log = logging.getLogger(__name__)


def this_process() -> dict[str, Any]:
    """What tells this process from all others: its machine, number and beginning."""
    return {"machine": _machine(), "pid": os.getpid(), "began": _began(os.getpid())}


def is_gone(process: Mapping[str, Any]) -> bool | None:
    """Whether a process that said so of itself has ended; None where that cannot be known from here."""
    if process.get("machine") != _machine() or os.name != "posix" or not isinstance(process.get("pid"), int):
        return None
    return not _lives(process["pid"], str(process.get("began", "")))


def mark(folder: Path) -> None:
    """Says in a new folder who makes it. Raises `OSError`."""
    (folder / MARK).write_text(json.dumps(this_process()), encoding="utf-8")


def unmark(folder: Path) -> None:
    """The folder is whole."""
    (folder / MARK).unlink(missing_ok=True)


def remove_left(parent: Path) -> list[Path]:
    """Removes the folders in `parent` that processes were making that are gone, and says so in the log; which they were."""
    left: list[Path] = []
    if is_remote(parent):  # there nothing comes before it is whole
        return left
    with contextlib.suppress(OSError):
        left = [path.parent for path in sorted(parent.glob(f".*/{MARK}")) if _is_left(path)]
    for folder in left:
        log.warning("%s: was left unfinished by a run that was killed, and is removed", folder)
        shutil.rmtree(folder, ignore_errors=True)
    return left


def _is_left(path: Path) -> bool:
    try:
        gone = is_gone(parsed(path.read_text(encoding="utf-8")))
        if gone is None:
            newest = max(one.lstat().st_mtime for one in (path.parent, *path.parent.rglob("*")))
            gone = time.time() - newest > SILENT_S
    except (OSError, ValueError, AttributeError):  # made whole, or removed, or just being written
        return False
    return gone


def _machine() -> str:
    """Where a process number means one process: a machine since its start, within one namespace of processes."""
    marks = [socket.gethostname()]
    with contextlib.suppress(OSError):
        marks.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with contextlib.suppress(OSError):
        marks.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(marks)


def _began(pid: int) -> str:
    """When a process began, in ticks, so that a number that is given anew is no process of old; empty where nobody says it."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "" if state in "ZX" else rest[18]


def _lives(pid: int, began: str) -> bool:
    if began:
        return _began(pid) == began
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
