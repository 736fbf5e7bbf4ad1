"""One long film with --jobs 1 and 2: wall and CPU seconds, and whether the tables are alike, row by row.

python benchmarks/bench_jobs.py [FILM] [--minutes 20] [--every 0.5] [--jobs 1,2]

The film is a short one end to end, so that nothing is encoded. What --jobs gains depends on how many cores are free: how many are
busy before it begins stands below the table.
"""

import argparse
import csv
import os
import sys
import tempfile
from itertools import zip_longest
from pathlib import Path

import measure
from bench_memory import LOOP

TABLES = ("faces.csv", "timeline.csv", "episodes.csv")


def rows_that_differ(one: Path, other: Path) -> tuple[int, int]:
    """How many rows differ in any cell, and of how many."""
    with one.open(newline="") as a, other.open(newline="") as b:
        pairs = list(zip_longest(csv.reader(a), csv.reader(b)))
    return sum(mine != its for mine, its in pairs), len(pairs) - 1


def main() -> None:
    parser = argparse.ArgumentParser(description="One long film by several processes.")
    parser.add_argument("film", nargs="?", type=Path, help="the clip that is repeated; default: one of 20 s, else the demo film")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--every", default="0.5", help="as of mien analyze; default 0.5; 0 takes every frame and takes long")
    parser.add_argument("--jobs", default="1,2", help="numbers of processes, with commas; default 1,2")
    options = parser.parse_args()
    busy = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        film = folder / "long.mp4"
        measure.run([sys.executable, "-c", LOOP, measure.film(options.film, folder), film, str(60 * options.minutes)])
        rows, first = [], None
        for jobs in options.jobs.split(","):
            out = folder / f"by-{jobs}"
            cost = measure.run(measure.mien("analyze", film, "--out", out, "--no-video", "--every", options.every, "--jobs", jobs))
            first = first or out
            alike = [rows_that_differ(first / name, out / name) for name in TABLES]
            told = [f"{differ} of {count:,}" for differ, count in alike]
            rows.append([f"--jobs {jobs}", f"{cost.wall_s:.1f}", f"{cost.cpu_s:.1f}", *told])
    heads = ["", "wall s", "CPU s", *(f"rows of {name} that differ" for name in TABLES)]
    title = f"A film of {options.minutes:g} minutes, --every {options.every}, --no-video"
    measure.table(title, heads, rows, f"Load of the machine before it began: {busy:.1f}.")


if __name__ == "__main__":
    main()
