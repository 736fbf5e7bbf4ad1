"""Whether a server grows while callers come and go: memory, threads, open files, files in its folders, processes. Linux.

python benchmarks/bench_churn.py [--minutes M] [--every S]

In each round a picture is analysed, looked at and erased, a film is uploaded and cancelled in the middle, a live page comes and
goes, somebody takes part, is measured, answers and withdraws, and callers leave in the middle of what they say. After the first
samples, in which everything was once, nothing may grow: exits 1 where it does.
"""

import argparse
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError

import cv2
import httpx
import numpy as np
from websockets.sync.client import connect

import measure
from bench_study_live import ask, begin, study
from mien.web.capture.wire import FrameHead, pack_frame

SETTLED_SAMPLES = 2
"""From this sample on nothing may grow."""

GROWTH_MIB, GROWTH_FILES = 24.0, 2
"""What memory (its allocator keeps some) and open files may differ by, from the least of the first half to that of the second: a
single sample meets connections that are just closing."""


def picture() -> bytes:
    return cv2.imencode(".jpg", np.random.default_rng(1).integers(0, 255, (240, 320, 3), np.uint8))[1].tobytes()


def ended(client: httpx.Client, job: str) -> None:
    while client.get(f"/api/jobs/{job}").raise_for_status().json()["state"] not in ("done", "failed", "cancelled"):
        time.sleep(0.1)


def analysed(client: httpx.Client, content: bytes, name: str, *, cancelled: bool) -> None:
    job = client.post("/api/jobs", files={"file": (name, content)}, data={"keep_film": "false"}).raise_for_status().json()["id"]
    if cancelled:
        time.sleep(0.5)
        client.post(f"/api/jobs/{job}/cancel")
    ended(client, job)
    for page in ("result", "series"):
        client.get(f"/api/jobs/{job}/{page}")
    client.delete(f"/api/jobs/{job}").raise_for_status()


def live(server: str, frame: bytes) -> None:
    with connect(f"{server.replace('http', 'ws', 1)}/api/live", compression=None) as page:
        page.send(json.dumps({"type": "hello"}))
        page.recv()
        for number in range(3):
            page.send(pack_frame(FrameHead(number, 1000.0 + number), frame))
            page.recv()


def taking_part(server: str, invitation: str, frame: bytes) -> None:
    code = begin(server, invitation)
    with connect(f"{server.replace('http', 'ws', 1)}/api/participant/live", compression=None) as page:
        page.send(json.dumps({"type": "hello", "code": code, "stimulus": "s1"}))
        page.recv()
        for number in range(3):
            page.send(pack_frame(FrameHead(number, 1000.0 + number, film_s=number / 2), frame))
            page.recv()
    ask(server, "GET", "/api/participant/export", code=code)
    ask(server, "DELETE", "/api/participant", code=code)
    with suppress(HTTPError):  # nobody is there any more
        ask(server, "GET", "/api/participant", code=code)


def leaving(server: str) -> None:
    host, port = server.rpartition("/")[2].split(":")
    half = b"POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999\r\n\r\nx"
    for said in (b"", b"GET / HTTP/1.1\r\nX: ", half, b"\x16\x03"):
        with socket.create_connection((host, int(port))) as caller:
            caller.sendall(said)


def sample(pid: int, data: Path, temporary: Path) -> tuple[float, int, int, int, int, int]:
    """Memory in MiB, threads, open files, files in the data folder and among temporary ones, processes that it began."""
    words = Path(f"/proc/{pid}/status").read_text().split()
    memory, threads = int(words[words.index("VmRSS:") + 1]) / 1024, int(words[words.index("Threads:") + 1])
    inside = sum(path.is_file() and not path.name.startswith("mien.sqlite3") for path in data.rglob("*"))
    children = sum(len(Path(f"/proc/{pid}/task/{task}/children").read_text().split()) for task in os.listdir(f"/proc/{pid}/task"))
    return memory, threads, len(os.listdir(f"/proc/{pid}/fd")), inside, sum(1 for _ in temporary.rglob("*")), children


def main() -> int:
    parser = argparse.ArgumentParser(description="Whether a server grows while callers come and go.")
    parser.add_argument("--minutes", type=float, default=10, help="default 10")
    parser.add_argument("--every", type=float, default=60, help="seconds from one sample to the next; default 60")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data, temporary = Path(scratch) / "data", Path(scratch) / "tmp"
        temporary.mkdir()
        os.environ["TMPDIR"] = str(temporary)
        os.environ["MIEN_CONSENTS_PER_MINUTE"] = "100000"
        film, frame = measure.film(None, Path(scratch)).read_bytes(), picture()
        with measure.serving(data) as (server, pid), httpx.Client(base_url=server, timeout=300) as client:
            ask(server, "GET", "/api/info")
            invitation = study(server)
            kinds: tuple[Callable[[], None], ...] = (
                lambda: analysed(client, frame, "a.jpg", cancelled=False),
                lambda: analysed(client, film, "a.mp4", cancelled=True),
                lambda: live(server, frame),
                lambda: taking_part(server, invitation, frame),
                lambda: leaving(server),
            )
            began = due = time.monotonic()
            rounds, samples = 0, []
            while time.monotonic() - began < options.minutes * 60 or len(samples) <= SETTLED_SAMPLES:
                for kind in kinds:
                    kind()
                rounds += 1
                if time.monotonic() >= due:
                    due += options.every
                    samples.append((time.monotonic() - began, rounds, *sample(pid, data, temporary)))
                    print(*(f"{value:.0f}" for value in samples[-1]), file=sys.stderr, flush=True)
    head = ["after, s", "rounds", "memory, MiB", "threads", "open files", "files", "temporary", "processes"]
    measure.table("A server while callers come and go", head, [[f"{value:.0f}" for value in one] for one in samples])
    settled = [one[2:] for one in samples[SETTLED_SAMPLES:]]
    early, late = (
        [min(values) for values in zip(*half, strict=True)]
        for half in (settled[: (len(settled) + 1) // 2], settled[len(settled) // 2 :])
    )
    may = (GROWTH_MIB, 1, GROWTH_FILES, 0, 0, 0)
    grown = [name for name, most, was, now in zip(head[2:], may, early, late, strict=True) if now - was > most]
    print(f"Grown: {', '.join(grown) or 'nothing'}.")
    return int(bool(grown))


if __name__ == "__main__":
    sys.exit(main())
