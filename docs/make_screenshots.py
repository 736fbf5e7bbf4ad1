"""The pictures of docs/web.md and docs/studies.md: docs/images/web-*.png.

    python docs/make_screenshots.py        needs the test extra and chromium; on Debian: apt-get install chromium

They are taken from a real server in a real browser on the portraits of the demo film: photographs of Rear Admiral Grace Hopper
(US Navy) and of Eileen Collins (NASA), both in the public domain. The same two sit before the camera of the live page.
"""

import argparse
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from make_images import portraits_film  # noqa: E402

import watched  # noqa: E402
from browser import films, studies  # noqa: E402
from browser.chromium import find_chromium, launch_options  # noqa: E402
from mien.study_report.sample_film import film as sample_film  # noqa: E402
from serving import Server  # noqa: E402

OUT = Path(__file__).parent / "images"
MOST_BYTES = 400_000
WIDTH = 1200
BITS = 7


def save(page: Any, name: str, height: int) -> None:
    """What the page shows in a window so high, as a PNG that is checked to stay small. Expressions keep their colours."""
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.wait_for_timeout(1000)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    path = OUT / f"web-{name}.png"
    ImageOps.posterize(picture, BITS).save(path, optimize=True)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise RuntimeError(f"{path.name} has {size:,} bytes; wanted at most {MOST_BYTES:,}")
    print(f"{path}: {size:,} bytes")


def home(page: Any, server: Server, film: Path, picture: Path) -> None:
    """The first page, with one analysis done and files chosen for the next."""
    page.goto("/")
    page.locator("#files").set_input_files([film, picture])
    page.locator("#total").get_by_text("Takes").wait_for()
    save(page, "home", 1180)


def result(page: Any, job: str) -> None:
    """The result of a film, at a moment when both faces are in view."""
    page.goto(f"/analyses/{job}")
    page.locator(".js-plotly-plot").first.wait_for()
    page.locator("video").evaluate("film => new Promise(seen => { film.onseeked = seen; film.currentTime = 10.4; })")
    save(page, "result", 1480)


def compare(page: Any, one: str, other: str) -> None:
    page.goto(f"/compare?a={one}&b={other}")
    page.locator(".js-plotly-plot").first.wait_for()
    save(page, "compare", 1120)


def live(page: Any) -> None:
    """The live page after some seconds of the fake camera, a recording under way."""
    page.goto("/live")
    page.get_by_role("button", name="Start the camera").click()
    page.wait_for_timeout(8_000)
    page.get_by_role("button", name="Start recording").click()
    page.wait_for_timeout(12_000)
    save(page, "live", 1120)


def study(page: Any, server: Server, film: Path) -> None:
    """A study's questions, one of them being written, and its invitations."""
    id = studies.made(server, film=film)
    studies.opened(server, id, limit=40, groups={"place": "odeon"})
    page.goto(f"/studies/{id}#questions")
    page.get_by_role("button", name="Edit: How old are you?").click()
    page.evaluate("scrollTo(0, 0)")
    save(page, "study", 1180)
    page.goto(f"/studies/{id}#invitations")
    page.locator(".invitation").wait_for()
    save(page, "study-invitations", 940)


def report(page: Any, server: Server, film: Path) -> None:
    """The report of the sample study, at what stands out most."""
    id = watched.screened(server, film)
    page.goto(f"/studies/{id}/review")
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    page.locator(".moment-go").first.click()
    page.wait_for_timeout(1000)
    page.evaluate("scrollTo(0, 0)")
    save(page, "study-report", 1330)


def main() -> int:
    argparse.ArgumentParser(description="Make the pictures of docs/web.md and docs/studies.md.").parse_args()
    chromium = find_chromium()
    if chromium is None:
        print("make_screenshots.py needs chromium, which is not here; on Debian: apt-get install chromium", file=sys.stderr)
        return 1
    from playwright.sync_api import sync_playwright

    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        folder = Path(scratch)
        film, picture = portraits_film(folder / "portraits.mp4"), films.both_picture(folder / "group.jpg")
        fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
        played = f"--use-file-for-fake-video-capture={films.camera(folder / 'camera.mjpeg')}"
        browser = playwright.chromium.launch(**launch_options(chromium, *fake, played))
        with Server(folder / "data") as server:
            page = browser.new_page(base_url=server.url, color_scheme="light")
            done = server.analyse(film, "Two portraits.mp4", every_s=0)["id"]
            other = server.analyse(films.both_film(folder / "both.mp4"), "Both again.mp4", every_s=0)["id"]
            home(page, server, film, picture)
            result(page, done)
            compare(page, done, other)
            live(page)
            study(page, server, film)
            report(page, server, sample_film(folder / "balloon.mp4"))
            page.close()
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
