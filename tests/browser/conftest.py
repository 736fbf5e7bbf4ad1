"""A real browser before a real server. Where there is no Chromium these tests are skipped, loudly.

Every page that a test opens is watched: an error on its console, an exception, a broken content security policy, a dialog or a
request to anywhere but its own server fails the test, whatever else it looked at.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from browser import films
from browser.chromium import find_chromium, launch_options
from browser.gallery import PASSWORD, Gallery, fill
from browser.line import Line
from mien.demo import demo_film
from serving import Server

PATIENCE_MS = 60_000
"""Two cores are shared with the analysis, at times with much else; what takes longer hangs. What is there is not waited for."""

LOCAL = ("blob:", "data:", "about:")

Open = Callable[..., Any]
"""open_page(path="/", *, server=…, scheme="light", width=1280, …) -> a page of Playwright that is watched."""


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
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="package")
def launch(playwright: Any, chromium: str) -> Iterator[Callable[..., Any]]:
    """launch("--switch", …) -> a browser with these switches, closed at the end. See `chromium.launch_options`."""
    browsers: dict[tuple[str, ...], Any] = {}

    def launched(*more: str) -> Any:
        if more not in browsers:
            browsers[more] = playwright.chromium.launch(**launch_options(chromium, *more))
        return browsers[more]

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


@pytest.fixture
def line(server: Server) -> Iterator[Line]:
    """A line to the server. A test asks for it before its pages: they are closed first, and none is cut off in an answer."""
    made = Line(server)
    yield made
    made.frozen = False
    if made.up:
        made.cut()


@pytest.fixture(scope="package")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("serve") / "data") as started:
        yield started


@pytest.fixture(scope="module")
def server(one_server: Server) -> Server:
    """The one server, on this machine only, without a password; what the tests of other files left there is erased."""
    with one_server.client() as client:
        client.request("DELETE", "/api/storage", json={"confirm": "erase"}).raise_for_status()
    return one_server


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """serve(**settings) -> a started server of this test alone, with nothing in it."""
    with contextlib.ExitStack() as servers:

        def served(**settings: Any) -> Server:
            server = Server(tmp_path / f"data{len(started)}", **settings)
            started.append(server)
            return servers.enter_context(server)

        started: list[Server] = []
        yield served


@pytest.fixture
def open_page(browser: Any, request: pytest.FixtureRequest, watch: Watch, serve: Callable[..., Server]) -> Iterator[Open]:
    """Opens pages; each in a context of its own, with empty cookies, unless `context` is given. They close before their servers."""
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
        for page in context.pages:
            with contextlib.suppress(Exception):  # Chromium may never close a page that is on its way to another
                page.wait_for_load_state("domcontentloaded", timeout=PATIENCE_MS)
        context.close()


@pytest.fixture
def page(open_page: Open) -> Any:
    """The first page of `server`, light, 1280 pixels wide."""
    return open_page("/")


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo film, about 19 s: one portrait, the other, both, a man who talks; nobody in between."""
    return demo_film(tmp_path_factory.mktemp("demo") / "demo.mp4")


@pytest.fixture(scope="session")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return films.both_film(tmp_path_factory.mktemp("short") / "short.mp4")


@pytest.fixture(scope="session")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long enough to be cancelled, or for its server to be killed, while it is analysed."""
    return films.still_film(tmp_path_factory.mktemp("long") / "long.mp4", seconds=60)


@pytest.fixture(scope="session")
def group(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return films.both_picture(tmp_path_factory.mktemp("group") / "group.jpg")


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that calls itself a film and is none."""
    path = tmp_path_factory.mktemp("broken") / "broken.mp4"
    path.write_bytes(b"this is not a film\n" * 200)
    return path


@pytest.fixture(scope="session")
def camera_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For `launch("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={camera_file}")`."""
    return films.camera(tmp_path_factory.mktemp("camera") / "camera.mjpeg")


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
