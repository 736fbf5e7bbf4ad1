"""Participants of a study who watch at the same time: how soon their frames are answered, and whether each one is kept.

python benchmarks/bench_study_live.py [FILM] [--participants N] [--rate R] [--seconds S] [--server URL]

Each participant agrees, begins the film and sends a picture of a face at a fixed interval; as on the page, what is not answered yet
counts against a limit, and the rest waits there. When all have ended,
what the server kept of each is asked for and compared with what was sent.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
import urllib.request
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
from websockets.asyncio.client import connect

import measure
import mien
from mien.web.capture.wire import FrameHead, pack_frame

QUALITY = 80
SETTLE_S = 60.0


@dataclass
class Watcher:
    """What became of the frames of one participant; milliseconds."""

    code: str
    sent: int = 0
    delays: list[float] = field(default_factory=list)
    work: list[float] = field(default_factory=list)
    refused: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description="How soon frames of many participants are answered, and whether all are kept.")
    parser.add_argument("film", nargs="?", type=Path, help="whose frames are sent; default: a clip of 20 s, else the demo film")
    parser.add_argument("--participants", type=int, default=50, help="at once; default 50")
    parser.add_argument("--rate", type=float, default=1.0, help="frames a second of each; default 1")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long they watch; default 60")
    parser.add_argument("--server", help="address of a server that runs already, without a password; default: one is started")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        frames, size = pictures(measure.film(options.film, Path(scratch)), options.rate)
        if options.server:
            bench(options.server, None, frames, size, options)
            return
        with measure.serving(Path(scratch) / "data") as (address, process):
            bench(address, process, frames, size, options)


def bench(server: str, process: int | None, frames: list[bytes], size: str, options: argparse.Namespace) -> None:
    ask(server, "GET", "/api/info")  # waits for the model
    invitation = study(server)
    people = [Watcher(begin(server, invitation)) for _ in range(options.participants)]
    before, own_before, started = cpu_s(process), time.process_time(), time.perf_counter()
    asyncio.run(watch(server, people, frames, options.rate, options.seconds))
    took_s = time.perf_counter() - started
    cost, own_cost = cpu_s(process) - before, time.process_time() - own_before
    kept = [sequences(server, person) for person in people]
    whole = sum(found == list(range(person.sent)) for found, person in zip(kept, people, strict=True))
    delays = sorted(d for person in people for d in person.delays)
    work = sorted(w for person in people for w in person.work)
    sent, answered = sum(person.sent for person in people), len(delays)

    def at(values: list[float], share: float) -> str:
        return f"{values[int(share * (len(values) - 1))]:.0f}"

    measure.table(
        f"{len(people)} participants, {options.rate:g} frames/s each, {options.seconds:g} s: {size}, JPEG of quality {QUALITY}",
        ["", "p50", "p95", "p99", "most"],
        [
            ["from due to answered, ms, at the client", at(delays, 0.5), at(delays, 0.95), at(delays, 0.99), at(delays, 1)],
            ["reading its batch, ms, in the server", at(work, 0.5), at(work, 0.95), at(work, 0.99), at(work, 1)],
        ],
        f"Sent {sent}, answered {answered}, refused {sum(p.refused for p in people)}, kept {sum(map(len, kept))}; "
        f"{whole} of {len(people)} participants have every frame, in order, once.",
        f"CPU: server {cost / took_s:.2f} cores, this client {own_cost / took_s:.2f}; server {1000 * cost / sent:.1f} ms a frame.",
        f"Load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; client and server share them.",
        "At the client: from the moment that a picture is due to its answer, over a WebSocket on this machine; encoding is the "
        "browser's and not in it.",
    )


def pictures(film: Path, rate: float) -> tuple[list[bytes], str]:
    """The film's frames as they would be captured."""
    with mien.open_media(film) as media:
        encoded = [
            cv2.imencode(".jpg", frame.rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
            for frame in media.frames(1 / rate)
        ]
        return encoded, f"{media.info.width}×{media.info.height}"


def ask(server: str, method: str, path: str, given: Any = None, code: str = "") -> Any:
    """One call of the interface; its JSON."""
    headers = {"Content-Type": "application/json"} | ({"X-Participant-Code": code} if code else {})
    body = None if given is None else json.dumps(given).encode()
    request = urllib.request.Request(f"{server}{path}", body, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or b"null")


def study(server: str) -> str:
    """An open study of one live event, which needs no film; gives its invitation."""
    definition = {
        "title": "Benchmark",
        "purpose": "research",
        "contact": "nobody",
        "languages": ["en"],
        "stimuli": [{"id": "s1", "title": "An event", "kind": "event"}],
    }
    made = ask(server, "POST", "/api/studies", definition)["id"]
    ask(server, "POST", f"/api/studies/{made}/state", {"state": "open"})
    return str(ask(server, "POST", f"/api/studies/{made}/invitations", {"label": "all"})["id"])


def begin(server: str, invitation: str) -> str:
    """Somebody who agrees and comes as far as the film; gives the code."""
    version = ask(server, "GET", f"/api/take-part/{invitation}")["study"]["consent"]["version"]
    agreed = {"language": "en", "version": version}
    code: str = ask(server, "POST", f"/api/take-part/{invitation}/consent", agreed)["code"]
    for step in ("before", "camera", "film:0"):
        ask(server, "POST", "/api/participant/step", {"step": step}, code)
    return code


async def watch(server: str, people: list[Watcher], frames: list[bytes], rate: float, seconds: float) -> None:
    # They do not begin in the same moment: their frames are spread over the interval.
    begin_s = time.perf_counter() + 3
    await asyncio.gather(
        *(one(server, person, frames, begin_s + k / len(people) / rate, rate, seconds, k) for k, person in enumerate(people))
    )


async def one(server: str, person: Watcher, frames: list[bytes], begin_s: float, rate: float, seconds: float, place: int) -> None:
    address = server.replace("http", "ws", 1) + "/api/participant/live"
    async with connect(address, compression=None) as live:
        await live.send(json.dumps({"type": "hello", "code": person.code, "stimulus": "s1"}))
        ready = json.loads(await live.recv())
        if ready["type"] != "ready":
            raise SystemExit(ready["error"]["message"])
        in_flight = ready["limits"]["in_flight"]
        flying: dict[int, float] = {}
        waiting: deque[tuple[int, float]] = deque()

        async def send_some() -> None:
            while waiting and len(flying) < in_flight:
                sequence, due_s = waiting.popleft()
                flying[sequence] = due_s
                picture = frames[(sequence + place) % len(frames)]
                await live.send(pack_frame(FrameHead(sequence, due_s, film_s=sequence / rate), picture))

        async def listen() -> None:
            async for text in live:
                message = json.loads(text)
                due_s = flying.pop(message["sequence"])
                if message["type"] == "seen":
                    person.delays.append(1000 * (time.perf_counter() - due_s))
                    person.work.append(message["work_ms"])
                else:
                    person.refused += 1
                await send_some()

        listening = asyncio.create_task(listen())
        for sequence in range(round(seconds * rate)):
            due_s = begin_s + sequence / rate
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            person.sent += 1
            waiting.append((sequence, due_s))
            await send_some()
        end_s = time.perf_counter() + SETTLE_S
        while (flying or waiting) and time.perf_counter() < end_s:
            await asyncio.sleep(0.05)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


def sequences(server: str, person: Watcher) -> list[int]:
    """The frames that the server kept of somebody, in its order."""
    held = ask(server, "GET", "/api/participant/export", code=person.code)
    return [look["sequence"] for look in held["measured"]["s1"]["looks"]]


def cpu_s(process: int | None) -> float:
    """The processor time that a process took so far; not a number where that cannot be known."""
    if process is None or not Path("/proc/self").exists():
        return float("nan")
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
