"""How long the review of a large study takes, and how much memory: python benchmarks/bench_review.py [--viewers 200] [--minutes 90]

Simulated viewers, two looks a second, two variables of two and three groups, ten markers. Prints one table: the review from viewers
in memory and its tables; with --server also the same through the server: every participant's log on the disk, the first build in
its process, and the page from the cache. "cpu" is processor time, which others at work on the machine do not change.
"""

import argparse
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from mien.labels import FERPLUS
from mien.review import results, tables
from mien.review.sample import DEFINITION, STIMULUS, Scene, simulate
from mien.review.viewers import Viewer
from mien.study import Study
from mien.types import Faces


def main() -> None:
    if "OMP_NUM_THREADS" not in os.environ:  # one thread, as the server's own process has it; to be said before numpy comes
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=90.0)
    parser.add_argument("--film", type=Path, help="a film for the stills; default none")
    parser.add_argument("--server", action="store_true", help="also through the server: logs on the disk, the build in its process")
    options = parser.parse_args()
    study, people = large(options.viewers, options.minutes * 60)
    looks = sum(len(viewer.timelines[STIMULUS]) for viewer in people)
    print(f"{options.viewers} viewers × {options.minutes:g} min at 2 looks/s, {looks:,} looks")
    print(f"{'':34}{'seconds':>9}{'cpu':>9}{'peak MiB':>10}{'MB':>8}")
    clock = Clock()
    clock.row("viewers in memory")
    films = {STIMULUS: options.film} if options.film else {}
    review = results.build(study, people, films=films)
    taken = clock.taken()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "review.json"
        path.write_text(json.dumps(review, separators=(",", ":")), encoding="utf-8")
        clock.row("review", path.stat().st_size, taken)
        for name in tables.NAMES:
            clock.start()
            tables.write_one(Path(folder) / name, name, review, study, people)
            clock.row(name, (Path(folder) / name).stat().st_size)
    if options.server:
        through_the_server(study, people, options.film)


def through_the_server(study: Study, people: list[Viewer], film: Path | None) -> None:
    """The same people as participants whose logs lie on the disk; the children's peak memory is the build's."""
    from starlette.testclient import TestClient

    from mien.web.app import create_app
    from mien.web.settings import Settings

    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Settings(data_dir=Path(folder) / "data"))
        row_of = app.state.studies.create(study.json())
        for viewer in people:
            put_down(app, row_of.id, viewer)
        if film:
            target = app.state.studies.film(row_of.id, STIMULUS)
            target.parent.mkdir(parents=True)
            shutil.copyfile(film, target)
        with TestClient(app, base_url="http://127.0.0.1:8700") as client:
            address, clock = f"/api/studies/{row_of.id}/review", Clock(resource.RUSAGE_CHILDREN)
            while (answer := client.get(address)).status_code == 202 or app.state.reviews._making:
                time.sleep(0.05)
            clock.row("first build, in its process", len(answer.content))
            clock = Clock()
            again = client.get(address)
            clock.row("page from the cache", len(again.content))
            clock.start()
            same = client.get(address, headers={"If-None-Match": again.headers["ETag"]})
            clock.row(f"page that is known ({same.status_code})", 0)


def put_down(app: Any, study: str, viewer: Viewer) -> None:
    """One viewer as a row and a log."""
    from mien.web.participant_log import LookWriter
    from mien.web.store import Participant, now
    from mien.web.wire import FilmHead

    person = Participant(
        study_id=study,
        name=int(viewer.name),
        code_hash=viewer.name.rjust(64, "0"),
        consent_version=1,
        finished_at=now(),
        step="done",
        groups=dict(viewer.groups),
    )
    with app.state.store.session() as rows:
        rows.add(person)
    timeline = viewer.timelines[STIMULUS]
    one, nobody = np.zeros((1, 4), np.float32), Faces.none()
    face = Faces(one, np.ones(1, np.float32), np.zeros((1, 5, 2), np.float32))
    place = {frame: number for number, frame in enumerate(timeline.frame_rows.tolist())}
    writer = LookWriter(app.state.studies.participant_folder(study, person.id), STIMULUS, FERPLUS, {}, pictures=False)
    for k, at in enumerate(timeline.times.tolist()):
        seen = place.get(k)
        scores = timeline.emotions[seen : seen + 1] if seen is not None else timeline.emotions[:0]
        found, largest = (face, 0) if seen is not None else (nobody, None)
        writer.add(FilmHead(k, at, at), 0, (640, 480), 0.5, found, largest, scores, b"")
    writer.close()


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


class Clock:
    """Time since its start, of this process or of those it has started, as rows of the table."""

    def __init__(self, who: int = resource.RUSAGE_SELF) -> None:
        self.who = who
        self.start()

    def start(self) -> None:
        self._from = self._now()

    def _now(self) -> tuple[float, float]:
        used = resource.getrusage(self.who)
        return time.perf_counter(), used.ru_utime + used.ru_stime

    def taken(self) -> tuple[float, float]:
        now = self._now()
        return now[0] - self._from[0], now[1] - self._from[1]

    def row(self, what: str, size: int = 0, taken: tuple[float, float] | None = None) -> None:
        seconds, cpu = taken or self.taken()
        peak = resource.getrusage(self.who).ru_maxrss / 1024
        print(f"{what:34}{seconds:9.2f}{cpu:9.2f}{peak:10.0f}{size / 1e6:8.2f}", flush=True)


if __name__ == "__main__":
    main()
