"""Frames per CPU second: each stage alone, and the whole.

python benchmarks/bench_speed.py [FILM] [--every S] [--runs N]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2

import measure
import mien
from mien.cluster import AnalysisOptions, analyze_file
from mien.crop import crop_faces

SAMPLE = 120
"""So many frames, evenly taken, are held in memory for the stages that need no decoding."""

PEERS = (
    ("best peer, measured for this project on like material, whole", 15.7),
    ("py-feat 2, batches of 16, its authors, one CPU thread, whole", 1000 / 77.8),
    ("py-feat 2, frame by frame, its authors, one CPU thread, whole", 1000 / 110.9),
)
"""Frames per CPU second of other tools. Those of authors come from other machines; take them as orders of magnitude."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Frames per CPU second of each stage and of the whole.")
    parser.add_argument("film", nargs="?", type=Path, help="default: a clip of 20 s, else the demo film")
    parser.add_argument("--every", type=float, default=0.0, help="seconds between looks; default 0, every frame")
    parser.add_argument("--runs", type=int, default=5, help="runs of each; medians are printed; default 5")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as scratch:
        bench(measure.film(options.film, Path(scratch)), options.every or None, options.runs, Path(scratch))


def bench(film: Path, every: float | None, runs: int, scratch: Path) -> None:
    analyzer = mien.Analyzer()
    with mien.open_media(film) as media:
        info = media.info
        looks = sum(1 for _ in media.frames(every))
        step = max(1, looks // SAMPLE)
        sample = [frame.rgb for number, frame in enumerate(media.frames(every)) if number % step == 0]
    found = [analyzer.detector(rgb) for rgb in sample]

    def decode() -> int:
        with mien.open_media(film) as media:
            return sum(1 for _ in media.frames(every))

    def detect() -> int:
        return sum(1 for rgb in sample if analyzer.detector(rgb) is not None)

    def express() -> int:
        for rgb, faces in zip(sample, found, strict=True):
            if len(faces):
                analyzer.emotion(crop_faces(rgb, faces, analyzer.emotion.crop))
        return len(sample)

    def stream() -> int:
        with mien.open_media(film) as media:
            return sum(1 for _ in analyzer.stream(media, every))

    def whole(annotated: bool) -> int:
        options = AnalysisOptions(every=every, annotated=annotated)
        outcome = analyze_file(film, scratch / "result.mien", options, analyzer=analyzer)
        assert outcome.summary is not None
        return int(outcome.summary["sampled_frames"])

    stages: tuple[tuple[str, Callable[[], int]], ...] = (
        ("decode, to RGB", decode),
        ("detect", detect),
        (f"crop + expression ({sum(map(len, found)) / len(found):.1f} faces a frame)", express),
        ("stream: all of these, tracks, smoothing", stream),
        ("whole: stream, tables, plots, report", lambda: whole(False)),
        ("whole, with the annotated film", lambda: whole(True)),
    )
    command = measure.mien("analyze", film, "--every", str(every or 0), "--no-video", "--out", scratch / "command.mien")
    last = "the command mien analyze --no-video, start to finish"
    cpu: dict[str, list[float]] = {name: [] for name, _ in stages} | {last: []}
    wall: dict[str, list[float]] = {name: [] for name, _ in stages} | {last: []}
    whole(False)  # the first one loads the plots' library
    for _ in range(runs):
        # One after the other within a run, so that a busy machine slows all of them alike.
        for name, stage in stages:
            started, started_cpu = time.perf_counter(), time.process_time()
            count = stage()
            cpu[name].append((time.process_time() - started_cpu) / count)
            wall[name].append((time.perf_counter() - started) / count)
        cost = measure.run(command)
        cpu[last].append(cost.cpu_s / looks)
        wall[last].append(cost.wall_s / looks)
    base = statistics.median(cpu["whole: stream, tables, plots, report"])
    rows = []
    for name in cpu:
        seconds = statistics.median(cpu[name])
        spread = f"{1 / max(cpu[name]):.0f}–{1 / min(cpu[name]):.0f}"
        share = f"{seconds / base:.0%}"
        rows.append(
            [name, f"{1 / seconds:.1f}", spread, f"{1000 * seconds:.2f}", share, f"{1 / statistics.median(wall[name]):.1f}"]
        )
    rows += [[name, f"{rate:.1f}", "", f"{1000 / rate:.2f}", "", ""] for name, rate in PEERS]
    often = f"a look each {every:g} s" if every else "every frame"
    measure.table(
        f"Speed: {film.name}, {info.width}×{info.height}, {looks} looks ({often}), medians of {runs} runs, one thread",
        ["", "frames / CPU s", "range", "CPU ms / frame", "of the whole", "frames / s"],
        rows,
        f"The whole is {1 / base / PEERS[0][1]:.1f} times as fast as the best peer that was measured.",
        "CPU seconds are of all threads of the process. The annotated film is encoded to H.264.",
    )


if __name__ == "__main__":
    main()
