"""The pictures of README.md: docs/images/report.png and docs/images/annotated.png.

    python docs/make_images.py                       needs chromium; on Debian: apt-get install chromium
    python docs/make_images.py --browser /path/to/chrome

They show a report of the two public-domain portraits of the demo film: a photograph of Rear Admiral Grace Hopper (US Navy) and
one of Eileen Collins (NASA). The man of the test sequence "carphone" is left out.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

import mien
from mien import demo
from mien.cluster import AnalysisOptions, analyze_file

OUT = Path(__file__).parent / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTH, HEIGHT = 1200, 1500
MOST_BYTES = 400_000


def portraits_film(path: Path) -> Path:
    """The demo film without the man who talks. Raises `MediaError` where a portrait is not installed."""
    files = [demo.installed_file(package, name) for package, name in demo.PORTRAITS]
    if None in files:
        raise mien.MediaError("a portrait is not installed; run: pip install 'mien[demo]'")
    pictures = [mien.read_picture(file).rgb for file in files if file is not None]
    with mien.VideoWriter(path, demo.WIDTH, demo.HEIGHT, fps_hint=demo.FPS) as film:
        for number, rgb in enumerate(demo.scenes(pictures, None)):
            film.write(rgb, number / demo.FPS)
    return path


def screenshot(browser: str, page: Path, picture: Path) -> None:
    """The top of a page as it opens. Raises `RuntimeError` where the browser makes none."""
    with tempfile.TemporaryDirectory() as profile:
        command = [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"),
            *(f"--user-data-dir={profile}", "--hide-scrollbars", f"--window-size={WIDTH},{HEIGHT}"),
            *("--virtual-time-budget=8000", f"--screenshot={picture}", page.resolve().as_uri()),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode or not picture.is_file():
        raise RuntimeError(f"{browser} made no picture (exit code {done.returncode}): {done.stderr.strip()[-500:]}")


def save(picture: Image.Image, path: Path) -> None:
    """A PNG, checked to stay small."""
    picture.convert("RGB").save(path, optimize=True)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise RuntimeError(f"{path.name} has {size:,} bytes; wanted at most {MOST_BYTES:,}")
    print(f"{path}: {size:,} bytes")


def both_faces(film: Path) -> Image.Image:
    """The frame of the annotated film that has most faces, nearest the middle of that scene."""
    analyzer = mien.Analyzer()
    with mien.open_media(film) as media:
        results = [result for result in analyzer.stream(media, every=0.2) if len(result) == len(demo.PORTRAITS)]
    if not results:
        raise RuntimeError("no frame of the film has both faces")
    return Image.fromarray(mien.draw.annotate(results[len(results) // 2]))


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the pictures of README.md.")
    parser.add_argument("--browser", help="chromium or chrome; default: the first that is found")
    browser = parser.parse_args().browser or next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print("make_images.py needs chromium, which is not here; on Debian: apt-get install chromium", file=sys.stderr)
        return 1
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        film = portraits_film(Path(scratch) / "portraits.mp4")
        folder = Path(scratch) / "portraits.mien"
        analyze_file(film, folder, AnalysisOptions())
        screenshot(browser, folder / "report.html", Path(scratch) / "report.png")
        save(Image.open(Path(scratch) / "report.png"), OUT / "report.png")
        save(both_faces(film), OUT / "annotated.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
