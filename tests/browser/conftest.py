"""A real browser before a real server. Where there is no Chromium these tests are skipped, loudly.

Every page that a test opens is watched: an error on its console, an exception, a broken content security policy, a dialog or a
request to anywhere but its own server fails the test, whatever else it looked at.
"""

import itertools
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

import mien
from browser.gallery import PASSWORD, Gallery, fill
from media_files import film
from mien.demo import FPS, HEIGHT, PORTRAITS, WIDTH, demo_film, installed_file, scenes
from serving import Server

BROWSERS = ("chromium", "chromium-browser", "google-chrome")

PATIENCE_MS = 30_000
"""Two cores are shared with the analysis; what takes longer hangs."""

LOCAL = ("blob:", "data:", "about:")

Open = Callable[..., Any]
"""open_page(path="/", *, server=…, scheme="light", width=1280, …) -> a page of Playwright that is watched."""


def find_chromium() -> str | None:
    """The first of $CHROMIUM, chromium, chromium-browser, google-chrome. Playwright's own download is not used."""
    return next((found for name in (os.environ.get("CHROMIUM"), *BROWSERS) if name and (found := shutil.which(name))), None)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says once more at the end what `.ci/chromium` said at the beginning, where nobody looks any more."""
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if report.nodeid.startswith("tests/browser/")]
    if skipped and find_chromium() is None:
        terminalreporter.section("NO CHROMIUM", sep="#", red=True, bold=True)
        terminalreporter.line(f"{len(skipped)} browser tests were skipped: the web pages are NOT tested.", red=True, bold=True)
        terminalreporter.line("To run them: apt-get install chromium, or CHROMIUM=/path/to/chrome make test", red=True, bold=True)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the browser; tests that need it are skipped where there is none."""
    found = find_chromium()
    if found is None:
        pytest.skip("no chromium; run: apt-get install chromium")
    return found


@pytest.fixture(scope="package")
def playwright(chromium: str) -> Iterator[Any]:
    """Ends with the last test of this folder: while it lives no other test can run an event loop of its own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="package")
def launch(playwright: Any, chromium: str) -> Iterator[Callable[..., Any]]:
    """launch("--switch", …) -> a browser with these switches, closed at the end. Nothing but loopback has an address in it."""
    browsers: dict[tuple[str, ...], Any] = {}
    always = [
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
        "--disable-background-networking",
        "--mute-audio",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ]

    def launched(*switches: str) -> Any:
        if switches not in browsers:
            browsers[switches] = playwright.chromium.launch(executable_path=chromium, args=[*always, *switches])
        return browsers[switches]

    yield launched
    for browser in browsers.values():
        browser.close()


@pytest.fixture(scope="package")
def browser(launch: Callable[..., Any]) -> Any:
    return launch()


@dataclass
class Watch:
    """What went wrong on the pages of one test."""

    own: set[str] = field(default_factory=set)
    seen: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def expect(self, pattern: str) -> None:
        """Console lines that match are what this test provokes."""
        self.expected.append(pattern)

    def page(self, page: Any) -> None:
        page.on("console", lambda message: self.note(f"console: {message.text} ({message.location.get('url', '')})", message.type))
        page.on("pageerror", lambda error: self.note(f"exception: {error}"))
        page.on("websocket", lambda socket: self.request(socket.url))
        page.on("dialog", self.dialog)

    def dialog(self, dialog: Any) -> None:
        self.note(f"dialog: {dialog.message}")
        dialog.dismiss()

    def request(self, url: str) -> None:
        self.requests.append(url)
        if not url.startswith(LOCAL) and urlsplit(url).netloc not in self.own:
            self.note(f"request to {url}")

    def note(self, what: str, kind: str = "error") -> None:
        if kind in ("error", "assert") or (kind == "warning" and "Content Security Policy" in what):
            self.seen.append(what)

    def wrong(self) -> list[str]:
        return [what for what in self.seen if not any(re.search(pattern, what) for pattern in self.expected)]


@pytest.fixture
def watch() -> Iterator[Watch]:
    watched = Watch()
    yield watched
    assert watched.wrong() == []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests of a file, on this machine only, without a password."""
    with Server(tmp_path_factory.mktemp("serve") / "data") as started:
        yield started


@pytest.fixture
def open_page(browser: Any, request: pytest.FixtureRequest, watch: Watch) -> Iterator[Open]:
    """Opens pages; each in a context of its own, with empty cookies, unless `context` is given."""
    contexts = []

    def opened(
        path: str = "/",
        *,
        server: Server | None = None,
        scheme: str = "light",
        width: int = 1280,
        height: int = 900,
        within: Any = None,
        context: Any = None,
        **options: Any,
    ) -> Any:
        place: Server = server or request.getfixturevalue("server")
        watch.own.add(urlsplit(place.url).netloc)
        if context is None:
            context = (within or browser).new_context(
                base_url=place.url,
                color_scheme=scheme,
                viewport={"width": width, "height": height},
                reduced_motion="reduce",
                accept_downloads=True,
                **options,
            )
            context.set_default_timeout(PATIENCE_MS)
            context.on("request", lambda asked: watch.request(asked.url))
            context.on("page", watch.page)
            contexts.append(context)
        page = context.new_page()
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page: Open) -> Any:
    """The first page of `server`, light, 1280 pixels wide."""
    return open_page("/")


def portraits() -> list[np.ndarray]:
    """The public-domain portraits that the demo film is made of, (H, W, 3) uint8 RGB."""
    return [mien.read_picture(found).rgb for package, name in PORTRAITS if (found := installed_file(package, name))]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo film, about 19 s: one portrait, the other, both, a man who talks; nobody in between."""
    return demo_film(tmp_path_factory.mktemp("demo") / "demo.mp4")


@pytest.fixture(scope="session")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds with both portraits, cut out of the demo film's scenes: quick to analyse, two tracks."""
    path = tmp_path_factory.mktemp("short") / "short.mp4"
    both = itertools.islice(scenes(portraits(), None), round(9.2 * FPS), round(13.2 * FPS))
    with mien.VideoWriter(path, WIDTH, HEIGHT, fps_hint=FPS) as out:
        for number, rgb in enumerate(both):
            out.write(rgb, number / FPS)
    return path


@pytest.fixture(scope="session")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A portrait for a minute: long enough to be cancelled, or for its server to be killed, while it is analysed."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    frame = next(scenes(portraits(), None))
    with mien.VideoWriter(path, WIDTH, HEIGHT, fps_hint=FPS) as out:
        for number in range(round(60 * FPS)):
            out.write(frame, number / FPS)
    return path


@pytest.fixture(scope="session")
def group(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of both portraits."""
    path = tmp_path_factory.mktemp("group") / "group.jpg"
    frame = next(itertools.islice(scenes(portraits(), None), round(10.5 * FPS), None))
    Image.fromarray(frame).save(path, quality=92)
    return path


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that calls itself a film and is none."""
    path = tmp_path_factory.mktemp("broken") / "broken.mp4"
    path.write_bytes(b"this is not a film\n" * 200)
    return path


@pytest.fixture(scope="session")
def camera_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the fake camera plays: both portraits for three seconds, 640×360 at 25 frames/s, over and over.

    For `launch("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={camera_file}")`.
    """
    frames = list(itertools.islice(scenes(portraits(), None), round(9.2 * FPS), round(12.2 * FPS)))
    return film(
        tmp_path_factory.mktemp("camera") / "camera.mjpeg",
        times=[number / FPS for number in range(len(frames))],
        pictures=lambda number: frames[number],
        codec="mjpeg",
        form="mjpeg",
        pix_fmt="yuvj420p",
        size=(WIDTH, HEIGHT),
        rate=round(FPS),
        codec_options={"qmin": "2", "qmax": "4"},
    )


@pytest.fixture(scope="package")
def gallery(
    chromium: str, tmp_path_factory: pytest.TempPathFactory, short: Path, demo: Path, group: Path, broken: Path
) -> Iterator[Gallery]:
    """Servers with something to look at, for tests that change nothing."""
    folder = tmp_path_factory.mktemp("gallery")
    with (
        Server(folder / "empty") as empty,
        Server(folder / "filled") as filled,
        Server(folder / "locked", password=PASSWORD) as locked,
    ):
        yield fill(empty, filled, locked, film=short, other=demo, picture=group, broken=broken)
