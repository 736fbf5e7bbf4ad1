"""Live views: how many of the captured frames are answered, and how soon, over real sockets.

python benchmarks/bench_live.py [FILM] [--seconds S] [--server URL]

Each page behaves as mien's own: a picture at a fixed interval, two on their way at most, the newest waits, and what it replaces is
counted. All of it is recorded, and the recordings' tables are compared with the answers.
"""

import argparse
import asyncio
import csv
import io
import itertools
import json
import statistics
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
from websockets.asyncio.client import ClientConnection, connect

import measure
import mien
from mien.web.capture.wire import IN_FLIGHT, FrameHead, pack_frame

CASES = ((1, 5.0), (4, 2.0))
"""Pages at once, frames a second of each."""

QUALITY = 80


@dataclass
class Page:
    """What became of the frames of one page; delays in milliseconds, from the moment the picture was due to its answer."""

    captured: int = 0
    dropped_here: int = 0
    dropped_there: int = 0
    recorded: int = 0
    delays: list[float] = field(default_factory=list)
    work: list[float] = field(default_factory=list)
    rows: int = 0
    rising: bool = True


def main() -> None:
    parser = argparse.ArgumentParser(description="Share of frames that are answered live, and how soon.")
    parser.add_argument("film", nargs="?", type=Path, help="default: a clip of 20 s, else the demo film")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each case; default 60")
    parser.add_argument("--server", help="address of a server that runs already; default: one is started")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        film = measure.film(options.film, Path(scratch))
        if options.server:
            bench(options.server, film, options.seconds)
            return
        with measure.serving(Path(scratch) / "data") as (address, _):
            bench(address, film, options.seconds)


def bench(server: str, film: Path, seconds: float) -> None:
    rows = []
    size = ""
    for pages, rate in CASES:
        frames, size = pictures(film, rate)
        found = asyncio.run(case(server, frames, pages, rate, seconds))
        captured, answered = sum(p.captured for p in found), sum(len(p.delays) for p in found)
        delays = sorted(d for p in found for d in p.delays)
        rows.append(
            [
                f"{pages} page{'s' * (pages > 1)}, {rate:g} frames/s each",
                f"{captured}",
                f"{answered / captured:.1%}",
                f"{sum(p.dropped_here for p in found)}",
                f"{sum(p.dropped_there for p in found)}",
                f"{statistics.median(delays):.0f}",
                f"{delays[int(0.95 * (len(delays) - 1))]:.0f}",
                f"{delays[-1]:.0f}",
                f"{statistics.median(w for p in found for w in p.work):.0f}",
                f"{sum(p.rows for p in found)} of {sum(p.recorded for p in found)}",
                "yes" if all(p.rising for p in found) else "NO",
            ]
        )
    measure.table(
        f"Live: {film.name}, {size}, JPEG of quality {QUALITY}, {seconds:g} s each, over WebSockets on this machine",
        [
            "",
            "captured",
            "answered",
            "dropped by page",
            "by server",
            "p50 ms",
            "p95 ms",
            "most ms",
            "work ms",
            "rows",
            "time rises",
        ],
        rows,
        "Milliseconds from the moment that a picture is due to its answer; encoding it is the browser's and not in it.",
        "Rows: of the recordings' timeline.csv, of the answers that were said to be recorded.",
    )


def pictures(film: Path, rate: float) -> tuple[list[bytes], str]:
    """The film's frames as they would be captured."""
    out = []
    with mien.open_media(film) as media:
        for frame in media.frames(1 / rate):
            _, jpeg = cv2.imencode(".jpg", frame.rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
            out.append(jpeg.tobytes())
        return out, f"{media.info.width}×{media.info.height}"


async def case(server: str, frames: list[bytes], pages: int, rate: float, seconds: float) -> list[Page]:
    # Pages are not opened in the same moment: their frames are spread over the interval.
    return await asyncio.gather(*(play(server, frames, k / pages / rate, rate, seconds) for k in range(pages)))


async def play(server: str, frames: list[bytes], late_s: float, rate: float, seconds: float) -> Page:
    page = Page()
    async with connect(server.replace("http", "ws", 1) + "/api/live") as live:
        await live.send(json.dumps({"type": "hello", "name": "benchmark"}))
        await heard(live, "ready")
        await live.send(json.dumps({"type": "record", "action": "start", "every_s": 1 / rate}))
        job = (await heard(live, "recording"))["job"]
        flying: dict[int, float] = {}
        waiting: list[tuple[int, float, bytes]] = []

        async def send_some() -> None:
            while waiting and len(flying) < IN_FLIGHT:
                sequence, due_s, picture = waiting.pop()
                flying[sequence] = due_s
                await live.send(pack_frame(FrameHead(sequence, due_s, of_recording=True), picture))

        async def listen() -> None:
            async for text in live:
                message = json.loads(text)
                if message["type"] not in ("faces", "dropped", "error"):
                    continue
                due_s = flying.pop(message["sequence"])
                if message["type"] == "faces":
                    page.delays.append(1000 * (time.perf_counter() - due_s))
                    page.work.append(message["work_ms"])
                    page.recorded += message["recorded"]
                else:
                    page.dropped_there += 1
                await send_some()

        listening = asyncio.create_task(listen())
        begin_s = time.perf_counter() + 0.5 + late_s
        for sequence in range(round(seconds * rate)):
            due_s = begin_s + sequence / rate
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            page.captured += 1
            if waiting:
                waiting.clear()
                page.dropped_here += 1
            waiting.append((sequence, due_s, frames[sequence % len(frames)]))
            await send_some()
        end_s = time.perf_counter() + 10
        while (flying or waiting) and time.perf_counter() < end_s:
            await asyncio.sleep(0.02)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await live.send(json.dumps({"type": "record", "action": "stop"}))
        while (await heard(live, "recording"))["state"] not in ("done", "failed"):
            pass
    times = await asyncio.to_thread(recorded_times, server, job)
    page.rows, page.rising = len(times), all(b > a for a, b in itertools.pairwise(times))
    return page


async def heard(live: ClientConnection, kind: str) -> dict[str, Any]:
    while True:
        message: dict[str, Any] = json.loads(await live.recv())
        if message["type"] == kind:
            return message
        if message["type"] == "error":
            raise RuntimeError(message["error"]["message"])


def recorded_times(server: str, job: str) -> list[float]:
    """Of the recording's timeline.csv, which has a row for each answer, whoever was seen."""
    with urllib.request.urlopen(f"{server}/api/jobs/{job}/files/timeline.csv", timeout=60) as answer:
        return [float(row["time_s"]) for row in csv.DictReader(io.TextIOWrapper(answer, encoding="utf-8"))]


if __name__ == "__main__":
    main()
