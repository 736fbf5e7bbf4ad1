"""What an hour of film costs, by size and interval, and what 4,000 hours come to: docs/results/load.md.

python benchmarks/bench_load.py [FILM] [--seconds 10] [--sizes 640x360,1280x720,1920x1080,3840x2160] [--write]

Each film is the clip's first seconds at another size. The cost is CPU seconds of `mien analyze --no-video`, less that of a film of
a single frame (start, models, plots, report), which stands in a column of its own. --write puts the page into docs/results.
"""

import argparse
import contextlib
import io
import os
import platform
import sys
import tempfile
from pathlib import Path

import cv2

import measure
from mien.media import VideoWriter, open_media

PAGE = measure.ROOT / "docs" / "results" / "load.md"
EVERY = ("0", "0.5")
HOURS, CORES = 4000, 64


def resized(source: Path, target: Path, size: tuple[int, int], seconds: float) -> tuple[int, float]:
    """The film's first seconds at a size; how many frames, and seconds, these are."""
    count, last = 0, 0.0
    with VideoWriter(target, *size, fps_hint=25) as film, open_media(source) as media:
        for frame in media.frames():
            if frame.time_s > seconds:
                break
            film.write(cv2.resize(frame.rgb, size, interpolation=cv2.INTER_AREA), frame.time_s)
            count, last = count + 1, frame.time_s
    return count, last


def cost(film: Path, out: Path, every: str) -> measure.Cost:
    return measure.run(measure.mien("analyze", film, "--out", out, "--no-video", "--every", every))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", nargs="?", type=Path, help="default: a clip of 20 s, else the demo film")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--sizes", default="640x360,1280x720,1920x1080,3840x2160")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    busy, rows, hour_s = os.getloadavg()[0], [], 0.0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        clip = measure.film(options.film, folder)
        for text in options.sizes.split(","):
            width, height = map(int, text.split("x"))
            resized(clip, folder / "one.mp4", (width, height), 0.0)
            count, seconds = resized(clip, folder / "film.mp4", (width, height), options.seconds)
            start = cost(folder / "one.mp4", folder / "one", "0")
            for every in EVERY:
                found = cost(folder / "film.mp4", folder / f"{text}-{every}", every)
                per_hour = 3600 * (found.cpu_s - start.cpu_s) / seconds
                hour_s = per_hour if (text, every) == ("640x360", "0.5") else hour_s
                what = "every frame" if every == "0" else f"each {every} s"
                rows.append([f"{width} × {height}, {what}", f"{count / seconds:.0f}", f"{per_hour:,.0f}", f"{start.cpu_s:.1f}"])
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        heads = ["film", "frames a second", "CPU s an hour of film", "CPU s to start and report"]
        measure.table("One face, one process, no annotated film:", heads, rows)
        if hour_s:
            days = HOURS * hour_s / CORES / 3600
            print(f"{HOURS:,} hours of 640 × 360, looked at each 0.5 s, on {CORES} cores: {days:.1f} h, where each core is as fast")
            print("as the one here, nothing else runs on it, and the disks deliver; start and report of each film come to that.")
    page = f"""# What it costs

Made by `python benchmarks/bench_load.py --write`; the machine had other work (load {busy:.0f} on {os.cpu_count()} CPUs before it
began, {platform.machine()}): CPU seconds count, and were more than on a quiet one.

{told.getvalue().strip()}
"""
    sys.stdout.write(page)
    if options.write:
        kept = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
        _, mark, rest = kept.partition("\n## ")
        PAGE.write_text(page + mark + rest, encoding="utf-8")


if __name__ == "__main__":
    main()
