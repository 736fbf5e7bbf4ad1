"""How long the review of a large study takes, and how much memory: python benchmarks/bench_review.py [--viewers 200] [--minutes 90]

Simulated viewers, two looks a second, two variables of two and three groups, 100 answers each. Prints one table: the review from
viewers in memory; then, where the web application is installed, the same through the server: every participant's log on disk, the
first build in its process, and the page from the cache.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # as the server's own process has it; to be said before numpy comes
    os.environ.setdefault(_name, "1")

from mien.labels import FERPLUS
from mien.review import results, tables
from mien.review.sample import DEFINITION, STIMULUS, Scene, simulate
from mien.review.viewers import Viewer
from mien.study import Study


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=90.0)
    parser.add_argument("--film", type=Path, help="a film for the stills; default none")
    options = parser.parse_args()
    study, people = large(options.viewers, options.minutes * 60)
    print(
        f"{options.viewers} viewers × {options.minutes:g} min at 2 looks/s, {sum(len(v.timelines[STIMULUS]) for v in people):,} looks"
    )
    print(f"{'':34}{'seconds':>9}{'peak MiB':>10}{'MB':>8}")
    row("viewers in memory", 0.0)
    start = time.perf_counter()
    films = {STIMULUS: options.film} if options.film else {}
    review = results.build(study, people, films=films)
    taken = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "review.json"
        path.write_text(json.dumps(review, separators=(",", ":")), encoding="utf-8")
        row("review", taken, path)
        for name in tables.NAMES:
            start = time.perf_counter()
            tables.write_one(Path(folder) / name, name, review, study, people)
            row(name, time.perf_counter() - start, Path(folder) / name)


def large(count: int, duration_s: float) -> tuple[Study, list[Viewer]]:
    """A study of one film with a reaction every three minutes, and its viewers in 2 × 3 groups."""
    labels = [label for label in FERPLUS if label != "neutral"]
    scenes = [Scene(labels[k % len(labels)], at, at + 8, 3.5, 0.8) for k, at in enumerate(range(60, int(duration_s) - 20, 180))]
    groups = [{"cinema": ("often", "rarely")[n % 2], "age": ("young", "middle", "old")[n % 3]} for n in range(count)]
    people = simulate({STIMULUS: duration_s}, {STIMULUS: scenes}, groups, every_s=0.5, seed=1)
    ages = {"id": "age", "title": "Age", "by": "link", "values": [{"id": v, "title": v} for v in ("young", "middle", "old")]}
    markers = [{"id": f"m{k}", "stimulus": STIMULUS, "time_s": 60.0 + 180 * k, "label": f"Scene {k}"} for k in range(10)]
    film = DEFINITION["stimuli"][0] | {"duration_s": duration_s}
    more = {
        "variables": [*DEFINITION["variables"], ages],
        "stimuli": [film],
        "markers": markers,
        "smallest_group": 5,
        "smoothing_s": 2,
    }
    return Study.read(DEFINITION | more), people


def row(what: str, seconds: float, file: Path | None = None) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = f"{file.stat().st_size / 1e6:8.2f}" if file else ""
    print(f"{what:34}{seconds:9.2f}{peak:10.0f}{size}", flush=True)


if __name__ == "__main__":
    main()
