"""Many short films with processes that are killed: python benchmarks/bench_many.py [--films 200] [--cluster] [--shards 8]

First one process does all. Then, with --cluster, `mien analyze --cluster local` with two workers, one of which is killed once half
of the films are done; with --shards N, N shards, four at a time, two of which are killed and run again. Printed is how many films
were done, how often each was begun, by the manifest's log, and whether the tables are those of the one process.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import measure
from mien.demo import PORTRAITS, installed_file, shot
from mien.manifest import FOLDER, LOG, Manifest
from mien.media import VideoWriter, read_picture

TABLES = ("faces.csv", "timeline.csv", "episodes.csv")
FRAMES, DIFFERENT = 12, 10


def make_films(folder: Path, count: int) -> Path:
    """Some different films of half a second, each many times; the list of them."""
    folder.mkdir()
    found = next(found for package, name in PORTRAITS if (found := installed_file(package, name)))
    portrait = read_picture(found).rgb
    for k in range(min(count, DIFFERENT)):
        with VideoWriter(folder / f"{k:03}.mp4", 640, 360, fps_hint=25) as film:
            for frame in range(FRAMES):
                film.write(shot([portrait], zoom=1 + 0.1 * k + 0.005 * frame), frame / 25)
    for k in range(DIFFERENT, count):
        shutil.copy(folder / f"{k % DIFFERENT:03}.mp4", folder / f"{k:03}.mp4")
    films = folder / "films.txt"
    films.write_text("\n".join(str(path) for path in sorted(folder.glob("*.mp4"))) + "\n")
    return films


def begun(out: Path) -> Counter[str]:
    """Result folder → how many times a process began with it."""
    log = out / FOLDER / LOG
    return Counter(line.split(" ", 3)[3] for line in log.read_text().splitlines()) if log.exists() else Counter()


def done(out: Path) -> int:
    return sum(record.state == "done" for record in Manifest(out).records().values())


def in_work(out: Path) -> dict[int, str]:
    """Process → the result folder that it has a claim on."""
    return {int(line.split()[2]): line.split()[3] for line in (out / FOLDER / LOG).read_text().splitlines() if claimed(out, line)}


def claimed(out: Path, line: str) -> bool:
    return (out / FOLDER / f"{line.split()[3]}.claim").exists()


def parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return None


def until(true: Callable[[], object]) -> None:
    while not true():
        time.sleep(0.1)


def command(films: Path, out: Path, *more: str) -> list[str]:
    return measure.mien("analyze", films, "--out", out, "--no-video", *more)


def on_cluster(films: Path, out: Path, count: int) -> str:
    """With a worker killed half-way; what it had in work."""
    with subprocess.Popen(command(films, out, "--cluster", "local", "--jobs", "2"), stdout=subprocess.DEVNULL) as process:
        until(lambda: done(out) >= count // 2)
        killed = ""
        while not killed:  # a file's process, whose parent is a worker
            for pid, folder in in_work(out).items():
                worker = parent(pid)
                if worker not in (None, 1, os.getpid(), process.pid):
                    os.kill(worker, signal.SIGKILL)  # type: ignore[arg-type]
                    killed = folder
                    break
        code = process.wait()
    if code:
        raise RuntimeError(f"mien analyze --cluster ended with {code}")
    return killed


def by_shards(films: Path, out: Path, shards: int) -> list[str]:
    """With two killed in the midst of a file, and run again; what these had in work."""

    def start(k: int) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            command(films, out, "--shard", f"{k}/{shards}"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    killed, waiting, running = [], list(range(1, shards + 1)), {}
    while waiting or running:
        while waiting and len(running) < 4:
            running[k] = start(k := waiting.pop(0))
        if len(killed) < 2 and (out / FOLDER / LOG).exists():
            mine = {process.pid: k for k, process in running.items() if k in (2, 3) and process.poll() is None}
            for pid, folder in in_work(out).items():
                if pid in mine and done(out) > shards and mine[pid] not in [k for k, _ in killed]:
                    os.kill(pid, signal.SIGKILL)
                    killed.append((mine[pid], folder))
                    waiting.append(mine[pid])
        for k in [k for k, process in running.items() if process.poll() is not None]:
            del running[k]
        time.sleep(0.05)
    return [folder for _, folder in killed]


def different(out: Path, alone: Path) -> list[str]:
    """Tables that are not those of the one process, to the last byte."""
    folders = sorted(path for path in alone.glob("*.mien"))
    return [f"{path.name}/{name}" for path in folders for name in TABLES if not same(path / name, out / path.name / name)]


def same(one: Path, other: Path) -> bool:
    return other.exists() and one.read_bytes() == other.read_bytes()


def say(what: str, seconds: float, out: Path, alone: Path, killed: list[str]) -> None:
    times, count = begun(out), len(list(alone.glob("*.mien")))
    twice = sorted(folder for folder, number in times.items() if number != 1)
    print(f"{what}: {seconds:.0f} s; {done(out)} of {count} done; {sum(times.values())} starts")
    print(f"  begun more than once: {', '.join(twice) or 'none'}; in work when killed: {', '.join(sorted(killed)) or 'none'}")
    print(f"  tables other than those of one process: {len(different(out, alone))} of {count * len(TABLES)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=200)
    parser.add_argument("--cluster", action="store_true")
    parser.add_argument("--shards", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        films, alone = make_films(made / "films", options.films), made / "alone"
        began = time.monotonic()
        measure.run(command(films, alone))
        say("one process", time.monotonic() - began, alone, alone, [])
        if options.cluster:
            began = time.monotonic()
            killed = [on_cluster(films, made / "cluster", options.films)]
            say("--cluster local, two workers, one killed", time.monotonic() - began, made / "cluster", alone, killed)
        if options.shards:
            began = time.monotonic()
            killed = by_shards(films, made / "shards", options.shards)
            say(f"{options.shards} shards, two killed and run again", time.monotonic() - began, made / "shards", alone, killed)


if __name__ == "__main__":
    sys.exit(main())
