"""How long the review of a large study takes, and how much memory: python benchmarks/bench_review.py [--viewers 200] [--minutes 90]

Simulated viewers, two looks a second, two variables of two and three groups, ten markers. One table of wall time, processor time
(of all threads) and the most memory: the review from viewers in memory, its files, and the sample study. With --server also through
the server: every participant's log on the disk, the first build in its process, and the answer from the cache. With --browser the
offline page in Chromium, until its plot is drawn; needs chromium and playwright.
"""

import argparse
import json
import os
import re
import resource
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import measure
from mien.labels import FERPLUS
from mien.study.definition import Study
from mien.study_report import page, paper, results, tables
from mien.study_report.sample import DEFINITION, STIMULUS, Scene, simulate
from mien.study_report.viewers import Viewer
from mien.types import Faces

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


def main() -> None:
    if "OMP_NUM_THREADS" not in os.environ:  # one thread, as the server's own process has it; to be said before numpy comes
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=90.0)
    parser.add_argument("--film", type=Path, help="a film for the stills; default none")
    parser.add_argument("--server", action="store_true", help="also through the server: logs on the disk, the build in its process")
    parser.add_argument("--browser", action="store_true", help="also the offline page in Chromium")
    options = parser.parse_args()
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as folder:
        # Before the viewers are there: a child's peak begins at what this process holds.
        demo = measure.run(measure.mien("demo", "--study", "--out", f"{folder}/sample"))
        study, people = large(options.viewers, options.minutes * 60)
        looks = sum(len(viewer.timelines[STIMULUS]) for viewer in people)
        clock = Clock(rows)
        clock.row("viewers in memory")
        review = results.build(study, people, films={STIMULUS: options.film} if options.film else {})
        clock.row("review")
        made = Path(folder) / "review.json"
        made.write_text(json.dumps(review, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
        clock.row(made.name, made)
        made = Path(folder) / "review.html"
        page.html(review, made)
        clock.row(made.name, made)
        paper.pdf(review, Path(folder) / "review.pdf")
        clock.row("review.pdf", Path(folder) / "review.pdf")
        for name in tables.NAMES:
            tables.write_one(Path(folder) / name, name, review, study, people)
            clock.row(name, Path(folder) / name)
        if options.server:
            through_the_server(rows, study, people, options.film)
        if options.browser:
            rows.append(in_a_browser(made))
    rows.append(["mien demo --study", f"{demo.wall_s:.2f}", f"{demo.cpu_s:.2f}", f"{demo.peak_bytes / 2**20:,.0f}", ""])
    measure.table(
        f"{options.viewers} viewers × {options.minutes:g} min at 2 looks a second, {looks:,} looks",
        ["", "wall s", "CPU s", "peak MiB", "MB"],
        rows,
        "Peak: the most that the process has held up to then; of the first build, what its own process held.",
        f"Load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.",
    )


def through_the_server(rows: list[list[str]], study: Study, people: list[Viewer], film: Path | None) -> None:
    """The same people as participants whose logs lie on the disk."""
    from starlette.testclient import TestClient

    from mien.web.app import create_app
    from mien.web.settings import Settings
    from mien.web.tasks.engine import Description, Processes
    from mien.web.tasks.process import Process

    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Settings(data_dir=Path(folder) / "data"))
        row_of = app.state.studies.create(study.json())
        for viewer in people:
            put_down(app, row_of.id, viewer)
        if film:
            target = app.state.studies.film(row_of.id, STIMULUS)
            target.parent.mkdir(parents=True)
            shutil.copyfile(film, target)

        class Kept(Processes):
            """The engine, which shows the processes that it began."""

            begun: ClassVar[list[Process]] = []

            def begin(self, description: Description) -> Process:
                self.begun.append(super().begin(description))
                return self.begun[-1]

        app.state.tasks.engine = Kept()
        with TestClient(app, base_url="http://127.0.0.1:8700") as client:
            address, clock, peak = f"/api/studies/{row_of.id}/review", Clock(rows, resource.RUSAGE_CHILDREN), 0.0
            while client.get(address).status_code == 202:
                for process in Kept.begun:
                    with suppress(RuntimeError):  # it has not begun
                        peak = max(peak, peak_mib(process.pid))
                time.sleep(0.02)
            clock.row("first build, in its process", peak=peak)
            clock = Clock(rows)
            again = client.get(address)
            clock.row("answer from the cache", again.content)
            same = client.get(address, headers={"If-None-Match": again.headers["ETag"]})
            clock.row(f"answer that is known ({same.status_code})", same.content)


def peak_mib(process: int) -> float:
    """The most that another process has held so far; 0 where that cannot be known."""
    try:
        found = re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{process}/status").read_text())
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def in_a_browser(file: Path) -> list[str]:
    """A row: the page from its address to the drawn plot; CPU is that of its main thread."""
    from playwright.sync_api import sync_playwright

    from browser.chromium import find_chromium, launch_options

    with sync_playwright() as play:
        browser = play.chromium.launch(**launch_options(find_chromium()))
        costs = []
        for _ in range(3):
            opened = browser.new_page(viewport={"width": 1280, "height": 900})
            tools = opened.context.new_cdp_session(opened)
            tools.send("Performance.enable")
            began = time.perf_counter()
            opened.goto(file.as_uri())
            opened.wait_for_selector(".main-svg")
            wall_s = time.perf_counter() - began
            told = {one["name"]: one["value"] for one in tools.send("Performance.getMetrics")["metrics"]}
            costs.append(measure.Cost(told["ThreadTime"], wall_s, round(told["JSHeapUsedSize"])))
            opened.close()
        browser.close()
    cost = measure.median(costs)
    what = "review.html in Chromium, its scripts' memory"
    return [what, f"{cost.wall_s:.2f}", f"{cost.cpu_s:.2f}", f"{cost.peak_bytes / 2**20:.0f}", f"{file.stat().st_size / 1e6:.2f}"]


def put_down(app: Any, study: str, viewer: Viewer) -> None:
    """One viewer as a row and a log."""
    from mien.follow import Followed
    from mien.web.capture.participant_log import LookWriter, look
    from mien.web.capture.wire import FrameHead
    from mien.web.database import Participant, now

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
        found, followed = (face, Followed(0, 1, 0)) if seen is not None else (nobody, Followed(None, 0, 0))
        writer.add(look(FrameHead(k, at, film_s=at), 0, (640, 480), 0.5, found, followed, scores, FERPLUS), b"")
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
        "curve_sigma_s": 2,
    }
    return Study.read(DEFINITION | more), people


class Clock:
    """Rows of the table, each from the end of the one before: of this process, or of those it has started."""

    def __init__(self, rows: list[list[str]], who: int = resource.RUSAGE_SELF) -> None:
        self.rows, self.who = rows, who
        self._from = self._now()

    def _now(self) -> tuple[float, float]:
        used = resource.getrusage(self.who)
        return time.perf_counter(), used.ru_utime + used.ru_stime

    def row(self, what: str, made: Path | bytes | None = None, peak: float | None = None) -> None:
        now = self._now()
        wall_s, cpu_s = now[0] - self._from[0], now[1] - self._from[1]
        if peak is None:
            peak = resource.getrusage(self.who).ru_maxrss / 1024
        size = len(made) if isinstance(made, bytes) else made.stat().st_size if made else None
        self.rows.append([what, f"{wall_s:.2f}", f"{cpu_s:.2f}", f"{peak:,.0f}", "" if size is None else f"{size / 1e6:.2f}"])
        print(f"{what}: {wall_s:.2f} s", file=sys.stderr, flush=True)
        self._from = self._now()


if __name__ == "__main__":
    main()
