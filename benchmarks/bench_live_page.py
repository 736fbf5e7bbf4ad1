"""The live page in Chromium before a fake camera: looks due and answered, from the taking of a picture to its drawn box, drops.

python benchmarks/bench_live_page.py [--film FILE] [--seconds N] [--every S] [--pages N]

Server and browser share the machine with whatever else runs on it. Needs chromium and playwright.
"""

import argparse
import csv
import io
import itertools
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import measure
import mien
from mien.demo import demo_film

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from browser.chromium import find_chromium, launch_options
from browser.films import motion_jpeg
from serving import Server

WARM_S = 3.0


def camera(path: Path, source: Path) -> Path:
    """The first 20 s of a film as the motion JPEG that Chromium's fake camera plays."""
    with mien.open_media(source) as media:
        frames = [np.ascontiguousarray(frame.rgb) for frame in itertools.takewhile(lambda f: f.time_s < 20, media.frames())]
        rate = round(media.info.fps or 25)
    return motion_jpeg(path, frames, rate)


def measured(server: Server, browser: Any, pages: int, every: str, seconds: float) -> list[list[str]]:
    """A row for each page: they begin, record for so long, and save."""
    opened = []
    for _ in range(pages):
        page = browser.new_context(base_url=server.url, viewport={"width": 1280, "height": 900}).new_page()
        page.goto("/live")
        page.locator("#every").select_option(every)
        page.locator("#start-camera").click()
        opened.append(page)
    for page in opened:
        page.locator("#record:enabled").wait_for()
    opened[0].wait_for_timeout(WARM_S * 1000)
    before = [page.evaluate("mienLive.stats()") for page in opened]
    for page in opened:
        page.locator("#record").click()
    opened[0].wait_for_timeout(seconds * 1000)
    after = [page.evaluate("mienLive.stats()") for page in opened]
    jobs = []
    for page in opened:
        jobs.append(page.evaluate("mienLive.state")["recording"]["job"])
        page.locator("#stop").click()
    rows = []
    for number, (job, one, two) in enumerate(zip(jobs, before, after, strict=True), 1):
        due, answered, here, there = (two[key] - one[key] for key in ("captured", "answered", "droppedHere", "droppedThere"))
        delays = np.array(two["delays_ms"][one["drawn"] :])
        server.ended(job, limit_s=300)
        with server.client() as client:
            table = list(csv.DictReader(io.StringIO(client.get(f"/api/jobs/{job}/files/timeline.csv").raise_for_status().text)))
        rising = bool((np.diff([float(row["time_s"]) for row in table]) > 0).all())
        rows.append(
            [
                str(number),
                f"{due}",
                f"{answered / due:.1%}",
                f"{np.median(delays):.0f}",
                f"{np.quantile(delays, 0.95):.0f}",
                f"{delays.max():.0f}",
                f"{here} + {there}",
                f"{len(table)} of {two['recorded'] - one['recorded']}",
                "yes" if rising else "NO",
            ]
        )
    for page in opened:
        page.context.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="The live page in Chromium before a fake camera.")
    parser.add_argument("--film", type=Path, help="what the camera plays, its first 20 s over and over; default: the demo film")
    parser.add_argument("--seconds", type=float, default=60, help="how long is measured; default 60")
    parser.add_argument("--every", default="0.2", help="seconds between looks, as the page offers them; default 0.2")
    parser.add_argument("--pages", type=int, default=1, help="pages at a time; default 1")
    args = parser.parse_args()
    executable = find_chromium()
    if executable is None:
        sys.exit("no chromium; run: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        played = camera(folder / "camera.mjpeg", args.film or demo_film(folder / "demo.mp4"))
        switches = (
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-video-capture={played}",
        )
        with Server(folder / "data") as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(**launch_options(executable, *switches))
            begun_s = time.monotonic()
            rows = measured(server, browser, args.pages, args.every, args.seconds)
            browser.close()
    measure.table(
        f"The live page: {args.pages} at a time, a look each {args.every} s, for {args.seconds:g} s",
        ["page", "due", "answered", "median ms", "p95 ms", "most ms", "left out here + there", "rows recorded", "time rises"],
        rows,
        f"ms: from the taking of a picture in the page to its drawn box. Rows of timeline.csv, of answers counted in that time. "
        f"{time.monotonic() - begun_s:.0f} s with starting and saving.",
    )


if __name__ == "__main__":
    main()
