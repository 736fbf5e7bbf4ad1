"""What runs the server, not who uses it, asks: whether it lives, whether it is ready, and what it counts."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from mien import __version__
from mien.web.operations import metrics

router = APIRouter(include_in_schema=False)
NOT_KEPT = {"Cache-Control": "no-store"}
OK = "ok"


@router.get("/healthz")
async def alive() -> Response:
    """Answered by the event loop itself: a server that does not answer hangs, and is to be started again."""
    return JSONResponse({"status": OK}, headers=NOT_KEPT)


@router.get("/readyz")
def ready(request: Request) -> Response:
    """200 where work may be sent here, else 503; with the reasons, which tell nothing of anybody's data."""
    found = checks(request.app.state)
    good = is_ready(found)
    return JSONResponse({"ready": good, "checks": found}, 200 if good else 503, headers=NOT_KEPT)


def checks(state: Any) -> dict[str, str]:
    """Each part of the server: "ok", or what is the matter with it."""
    draining = "draining" if state.draining else "stopping" if state.stopping.is_set() else OK
    writable = os.access(state.settings.data_dir, os.W_OK) and shutil.disk_usage(state.settings.data_dir).free > 0
    return {
        "server": draining,
        "database": OK if state.store.answers() else "does not answer",
        "folder": OK if writable else "cannot be written",
        "model": OK if state.live.reader.is_ready else "is not read yet",
    }


def is_ready(found: dict[str, str]) -> bool:
    """Whether all is well."""
    return set(found.values()) == {OK}


@router.get("/metrics")
def measured(request: Request) -> Response:
    """For Prometheus, with the token as its bearer: how much is done here is nobody else's business."""
    state = request.app.state
    reader, requests = state.live.reader, state.requests
    found = checks(state)
    tasks = state.tasks.counts() if found["database"] == OK else {}
    families: list[tuple[str, str, str, Any]] = [
        ("mien_info", "gauge", "1, with what is installed", metrics.one(1, version=__version__, model=state.settings.model)),
        ("mien_ready", "gauge", "1 where /readyz answers 200", metrics.one(is_ready(found))),
        (
            "mien_tasks",
            "gauge",
            "tasks in the database, by kind and state",
            [({"kind": kind, "state": name}, count) for (kind, name), count in sorted(tasks.items())],
        ),
        ("mien_tasks_here", "gauge", "tasks that run in this server", metrics.one(state.tasks.running)),
        ("mien_live_views", "gauge", "live views that are open, or wait for their page", metrics.one(state.live.open)),
        ("mien_participants_measured", "gauge", "participants who are being measured", metrics.one(state.watching.open)),
        ("mien_live_frames_waiting", "gauge", "live frames that nobody has begun with", metrics.one(reader.waiting)),
        ("mien_live_frames_total", "counter", "live frames that were read", metrics.one(reader.frames)),
        ("mien_live_frames_left_out_total", "counter", "live frames that gave way to newer ones", metrics.one(reader.left_out)),
        ("mien_live_reading_seconds_total", "counter", "seconds spent on reading live frames", metrics.one(reader.seconds)),
        (
            "mien_requests_total",
            "counter",
            "requests answered, by the first digit of their status",
            [({"status": f"{hundred}xx"}, count) for hundred, count in sorted(requests.count.items())],
        ),
        ("mien_request_seconds_total", "counter", "seconds until answers began", metrics.one(requests.seconds)),
        (
            "mien_disk_free_bytes",
            "gauge",
            "room on the disk of the data folder",
            metrics.one(shutil.disk_usage(state.settings.data_dir).free),
        ),
        ("process_cpu_seconds_total", "counter", "CPU seconds of the server itself", metrics.one(time.process_time())),
        ("process_start_time_seconds", "gauge", "when it started, in seconds since 1970", metrics.one(state.started_s)),
    ]
    if (memory := _memory()) is not None:
        families.append(("process_resident_memory_bytes", "gauge", "memory of the server itself", metrics.one(memory)))
    return PlainTextResponse(metrics.text(families), media_type=metrics.TYPE, headers=NOT_KEPT)


def _memory() -> int | None:
    """Bytes of this process that are in memory; None where the system is not Linux."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
