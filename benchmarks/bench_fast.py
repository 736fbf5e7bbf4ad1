"""What `--fast` gives and takes: frames per CPU second, interleaved with the exact way, and how alike the rows are.

python benchmarks/bench_fast.py FILM … [--runs N]
"""

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

import measure
import mien
from mien.types import Timeline

HEADS = [
    "film",
    "frames",
    "frames/CPU-s",
    "fast",
    "faces in both",
    "in one",
    "leading expression alike",
    "edges off by, of the width",
]


class Alike(NamedTuple):
    """Faces that both ways have, those that one has, of the first how many lead alike, and how far their edges are apart."""

    both: int
    one: int
    leading: int
    edges: list[float]


def alike(exact: Timeline, fast: Timeline) -> Alike:
    """Of each frame, faces are the same where no edge is off by more than half of the width."""
    both = one = leading = 0
    edges: list[float] = []
    for row in range(len(exact)):
        left = np.flatnonzero(fast.frame_rows == row).tolist()
        for i in np.flatnonzero(exact.frame_rows == row).tolist():
            width = exact.boxes[i, 2] - exact.boxes[i, 0]
            off = {j: float(np.abs(fast.boxes[j] - exact.boxes[i]).max() / width) for j in left}
            nearest = min(off, key=off.__getitem__, default=None)
            if nearest is None or off[nearest] > 0.5:
                one += 1
                continue
            left.remove(nearest)
            both += 1
            edges.append(off[nearest])
            leading += int(exact.emotions[i].argmax() == fast.emotions[nearest].argmax())
        one += len(left)
    return Alike(both, one, leading, edges)


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed and likeness of --fast.")
    parser.add_argument("films", nargs="+", type=Path)
    parser.add_argument("--runs", type=int, default=3, help="runs of each way, in turn; default 3")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    ways = mien.Analyzer(), mien.Analyzer(fast=True)
    rows = []
    for film in options.films:
        found: list[Timeline] = []
        took = [0.0, 0.0]
        for _ in range(options.runs):
            found = []
            for i, way in enumerate(ways):
                began = time.process_time()
                found.append(way.video(film))
                took[i] += time.process_time() - began
        like = alike(*found)
        per_s = [f"{options.runs * len(found[0]) / seconds:.0f}" for seconds in took]
        shares = [f"{100 * like.leading / max(1, like.both):.1f} %", f"{100 * float(np.mean(like.edges or [0.0])):.1f} %"]
        rows.append([film.name, str(len(found[0])), *per_s, str(like.both), str(like.one), *shares])
    measure.table("--fast", HEADS, rows)


if __name__ == "__main__":
    main()
