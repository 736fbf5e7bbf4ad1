"""CPU milliseconds a frame by the size of the frame: the film's clip shown at 360p, 720p, 1080p and 4K, and a room of small faces.

python benchmarks/bench_sizes.py [FILM] [--frames N] [--runs N]

Decoding is apart: what is told is the way from a frame in memory to its row, tracks and smoothing included, as a film of 25 frames
a second goes; and decoding to RGB of a film of that size. A still is searched in full, and so is each frame of a film that is
looked at more rarely than four times a second.
"""

import argparse
import tempfile
import time
from pathlib import Path

import cv2

import measure
import mien
from bench_faces import SIZES, Picture, portraits, room, textures
from mien.types import Frame

PACE_S = 0.04


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU milliseconds a frame by its size.")
    parser.add_argument("film", nargs="?", type=Path, help="default: a clip of 20 s, else the demo film")
    parser.add_argument("--frames", type=int, default=25, help="of each size; default 25, a second")
    parser.add_argument("--runs", type=int, default=3, help="runs of each; the least is told; default 3")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as scratch:
        bench(measure.film(options.film, Path(scratch)), options.frames, options.runs, Path(scratch))


def bench(film: Path, count: int, runs: int, scratch: Path) -> None:
    analyzer = mien.Analyzer()
    with mien.open_media(film) as media:
        shown = [frame.rgb for frame, _ in zip(media.frames(PACE_S), range(count), strict=False)]
    faces, ground = portraits()[:15], cv2.resize(textures()[3], (900, 600))
    rows, first = [], 0.0
    for size in SIZES:
        large = [cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR) for rgb in shown]
        crowd = [room(size, faces, 40, ground, 1)[0]] * count
        path = scratch / f"{size[1]}.mp4"
        with mien.media.VideoWriter(path, *size, fps_hint=25) as writer:
            for i, rgb in enumerate(large):
                writer.write(rgb, i * PACE_S)
        cells = [
            least(lambda path=path: decoded(path), runs),
            *(least(lambda f=f: streamed(analyzer, f), runs) for f in (large, crowd)),
        ]
        still = least(lambda f=crowd: analyzer.detector(f[0]), runs)
        whole = cells[0] + cells[1]
        first = first or whole
        rows.append(
            [f"{size[0]}×{size[1]}", *(f"{1000 * c / count:.1f}" for c in cells), f"{1000 * still:.1f}", f"{whole / first:.1f}"]
        )
    head = ["frame", "decode, to RGB", "one face", "15 faces of 40 px", "detector on a still", "decode + one face, of 360p"]
    measure.table(f"CPU milliseconds a frame: {film.name}, {count} frames", head, rows, f"The least of {runs} runs, one thread.")


def least(work, runs: int) -> float:
    """CPU seconds."""
    took = []
    for _ in range(runs):
        started = time.process_time()
        work()
        took.append(time.process_time() - started)
    return min(took)


def decoded(path: Path) -> int:
    with mien.open_media(path) as media:
        return sum(1 for _ in media.frames())


def streamed(analyzer: mien.Analyzer, film: list[Picture]) -> int:
    return sum(1 for _ in analyzer.stream(Frame(i, i * PACE_S, rgb) for i, rgb in enumerate(film)))


if __name__ == "__main__":
    main()
