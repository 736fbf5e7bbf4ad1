"""The live page in a real browser: camera, screen, recording, and each state that it can be in."""

import base64
import csv
import io
import itertools
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

import mien
from browser.films import motion_jpeg, part
from browser.line import Line, over
from browser.passing import note, noted
from media_files import encoded, film
from mien.demo import FPS, HEIGHT, WIDTH
from rows import more
from serving import Server

pytestmark = pytest.mark.timeout(900)

CLIPS = Path(__file__).parents[3] / "shared" / "media"

SAVED_MS = 300_000
"""Making the result of a recording, in a process that gives way to whatever else runs."""

ALLOW = "--use-fake-ui-for-media-stream"
CAMERA = "--use-fake-device-for-media-stream"
SHARE = ("--auto-accept-camera-and-microphone-capture", "--auto-accept-this-tab-capture")

NO_LINE = "WebSocket connection|ERR_CONNECTION"
"""What the console says where a test cuts the line to the server, also while the page of the result still loads."""

# A camera whose picture the test chooses: puppet.show("one"), "two", "nobody", "dark", "upside_down".
PUPPET = """
(() => {
  const pictures = PICTURES, images = {}, canvas = document.createElement("canvas");
  Object.assign(canvas, { width: 640, height: 360 });
  const pen = canvas.getContext("2d");
  let shown = "nobody";
  window.puppet = { show: (name) => (shown = name), stream: null, fail: null };
  for (const [name, source] of Object.entries(pictures)) { images[name] = new Image(); images[name].src = source; }
  setInterval(() => {
    pen.drawImage(images[shown], 0, 0);
    pen.fillStyle = `rgb(${Date.now() % 200} 0 0)`;
    pen.fillRect(0, 0, 2, 2);
  }, 40);
  navigator.mediaDevices.getUserMedia = async () => {
    if (puppet.fail) throw new DOMException("as the test wants it", puppet.fail);
    return (puppet.stream = canvas.captureStream(25));
  };
})()
"""


COLOURED = """() => {
    const canvas = document.getElementById("chart");
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let coloured = 0;
    for (let k = 0; k < data.length; k += 4) {
        const rgb = data.slice(k, k + 3);
        coloured += data[k + 3] > 200 && Math.max(...rgb) - Math.min(...rgb) > 80;
    }
    return coloured;
}"""
"""How many pixels of the chart are coloured."""


def frame(second: float) -> np.ndarray:
    """A frame of the demo film: at 0 s one portrait, at 10.5 s two."""
    return part(second, second + 1 / FPS)[0]


@pytest.fixture(scope="module")
def puppet() -> str:
    """The script of a camera that shows what the test wants; `open_page(..., init=puppet)`."""
    one = frame(0)
    pictures = {
        "one": one,
        "two": frame(10.5),
        "nobody": np.full((HEIGHT, WIDTH, 3), 200, np.uint8),
        "dark": np.full((HEIGHT, WIDTH, 3), 6, np.uint8),
        "upside_down": np.ascontiguousarray(one[::-1, ::-1]),
    }
    urls = {
        name: "data:image/jpeg;base64," + base64.b64encode(encoded(Image.fromarray(rgb), "JPEG", quality=92)).decode()
        for name, rgb in pictures.items()
    }
    return PUPPET.replace("PICTURES", json.dumps(urls))


@pytest.fixture
def live(open_page: Callable[..., Any]) -> Callable[..., Any]:
    """live(init=script, within=browser, …): the live page, with a script that runs before its own."""

    def opened(*, init: str = "", **options: Any) -> Any:
        page = open_page("/stored", **options)  # a context is made with the first page
        if init:
            page.context.add_init_script(init)
        page.goto("/live")
        return page

    return opened


@pytest.fixture
def camera(launch: Callable[..., Any], camera_file: Path) -> Any:
    """A browser with a camera that shows both portraits, and leave to use it."""
    return launch(CAMERA, ALLOW, f"--use-file-for-fake-video-capture={camera_file}")


def stats(page: Any) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate("mienLive.stats()")
    return found


def state(page: Any) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate("mienLive.state")
    return found


def until(page: Any, expression: str, *, patience_s: float = 90.0) -> None:
    """Waits until it is true in the page; Playwright's own way would need `eval` there, which the page forbids."""
    end = time.monotonic() + patience_s
    while not page.evaluate(expression):
        assert time.monotonic() < end, (
            f"not within {patience_s:g} s: {expression}; {state(page)}; {stats(page) | {'delays_ms': ''}}"
        )
        page.wait_for_timeout(50)


def shows(page: Any, name: str, text: str = "") -> None:
    """Waits until the state is told, in words and with a sign."""
    place = page.locator(f"#states [data-state='{name}']")
    expect(place).to_be_visible()
    expect(place.locator("svg, .spin").first).to_be_visible()
    if text:
        expect(place).to_contain_text(text)


def passing(page: Any, name: str) -> None:
    """From now on the page notes that a state is shown, with a sign, which is taken away again by itself; see `passed`."""
    note(page, sign(name))


def passed(page: Any, name: str, text: str) -> None:
    """Waits until the state was told since `passing`, whether or not it still is."""
    noted(page, sign(name), re.escape(text))


def sign(name: str) -> str:
    return f"#states [data-state='{name}']:has(svg, .spin)"


def gone(page: Any, name: str) -> None:
    expect(page.locator(f"#states [data-state='{name}']")).to_have_count(0)


class Heard:
    """What the server answered to a page about faces, from before it is started, in the order in which it came."""

    def __init__(self, page: Any) -> None:
        self.answers = list[dict[str, Any]]()
        page.on("websocket", lambda socket: socket.on("framereceived", self._take))

    def _take(self, payload: str | bytes) -> None:
        message = json.loads(payload)
        if message["type"] == "faces":
            self.answers.append(message)

    def stalls(self) -> int:
        """How often more than a second passed between two looks, after which the people may be numbered anew."""
        times = [answer["captured_s"] for answer in self.answers]
        return sum(b - a > 1.0 for a, b in itertools.pairwise(times))

    def begun_s(self) -> float:
        """When the recording's second 0 was, on the page's own clock; for one without a pause."""
        return next(float(answer["captured_s"] - answer["time_s"]) for answer in self.answers if answer["recorded"])


def numbers(heard: Heard, people: int) -> set[int]:
    """The numbers that so many people may have: the first ones, and so many anew after each second without a look."""
    return set(range(1, people * (1 + heard.stalls()) + 1))


KEPT = "[(performance.timeOrigin + performance.now()) / 1000, mienLive.stats().kept]"


def kept_from(page: Any) -> tuple[float, int]:
    """Now on the page's own clock, and how many looks are kept for the server; for `nothing_is_missing`."""
    now_s, kept = page.evaluate(KEPT)
    return float(now_s), int(kept)


def nothing_is_missing(times: np.ndarray, heard: Heard, begin: tuple[float, int], end: tuple[float, int]) -> None:
    """Every look that was kept between two moments, while the server was away, is in the recording, at whatever pace.

    Two that were in flight as it began, and two that were being taken, may be kept and older.
    """
    (begin_s, kept_before), (end_s, kept) = begin, end
    taken_s = times + heard.begun_s()
    assert np.diff(times).min() > 0
    assert ((taken_s > begin_s - 0.001) & (taken_s < end_s + 0.001)).sum() >= kept - kept_before - 4 > 0


def start(page: Any, *, looks: int = 3) -> None:
    page.get_by_role("button", name="Start the camera").first.click()
    answered(page, looks)


def answered(page: Any, looks: int) -> None:
    """Waits for so many answers more."""
    until(page, f"mienLive.stats().answered >= {stats(page)['answered'] + looks}")


def record(page: Any, looks: int) -> None:
    page.get_by_role("button", name="Start recording").click()
    until(page, f"mienLive.state.recording.looks >= {looks}")


def save(page: Any) -> str:
    """Stops the recording; the id of the analysis whose page opens."""
    page.get_by_role("button", name="Stop and save").click()
    page.wait_for_url("**/analyses/*", wait_until="domcontentloaded", timeout=SAVED_MS)
    return str(page.url.rsplit("/", 1)[1])


def table(server: Server, job: str, name: str) -> list[dict[str, str]]:
    with server.client() as client:
        return list(csv.DictReader(io.StringIO(client.get(f"/api/jobs/{job}/files/{name}").raise_for_status().text)))


PAINTED = """([left, top, right, bottom]) => {
    const canvas = document.getElementById("overlay"), pen = canvas.getContext("2d");
    const x = left * canvas.width - 8, y = top * canvas.height - 8;
    const data = pen.getImageData(x, y, (right - left) * canvas.width + 16, 16).data;
    let painted = 0;
    for (let k = 3; k < data.length; k += 4) painted += data[k] > 100;
    return painted;
}"""


def painted(page: Any, box: list[float], pixels: int) -> None:
    """Waits for so many pixels of the drawing in a strip about the upper edge of a box, given as shares of the picture."""
    until(page, f"({PAINTED})({json.dumps(box)}) > {pixels}")


def faces(page: Any, count: int) -> list[dict[str, Any]]:
    """Waits for an answer with so many faces; these, all of one answer."""
    found: list[dict[str, Any]] = []
    end = time.monotonic() + 90
    while len(found) != count:
        assert time.monotonic() < end, f"not {count} faces but {len(found)}; {stats(page) | {'delays_ms': ''}}"
        page.wait_for_timeout(50)
        found = state(page)["faces"]
    return found


# --- camera and screen ---------------------------------------------------------------------------------------------------------


def test_nothing_is_seen_before_the_camera_is_started(live: Callable[..., Any], camera: Any) -> None:
    page = live(within=camera)
    expect(page.get_by_text("Nothing is seen yet")).to_be_visible()
    expect(page.get_by_role("button", name="Start recording")).to_be_disabled()
    expect(page.locator("#record-hint")).to_have_text("Start the camera or share something first.")
    assert state(page)["link"] == "closed"
    assert stats(page)["captured"] == 0


def test_a_camera_is_read_and_drawn(live: Callable[..., Any], camera: Any) -> None:
    page = live(within=camera)
    start(page, looks=8)
    expect(page.locator("#people li")).to_have_count(2)
    expect(page.locator("#people li").first).to_have_text(re.compile(r"^Face \d+\w+ \d+%$"))
    shows(page, "several", "2 people")
    expect(page.locator("#pulse")).to_contain_text("looks a second · answer in")
    expect(page.locator("#legend .chip").first).to_contain_text(re.compile(r"neutral\d+%"))
    until(page, f"({COLOURED})() > 20")  # lines, not only the grey grid
    until(page, "mienLive.stats().drawn >= 5")
    page.get_by_text("How well it keeps up").click()
    expect(page.locator("#count-median")).to_have_text(re.compile(r"^\d+ ms$"))
    expect(page.locator("#count-p95")).to_have_text(re.compile(r"^\d+ ms$"))
    page.get_by_role("button", name="Turn the camera off").click()
    expect(page.get_by_text("Nothing is seen yet")).to_be_visible()
    until(page, "mienLive.stats().taking === 0")  # a picture that was being taken is dropped, too
    seen = stats(page)
    assert seen["captured"] == seen["answered"] + seen["droppedHere"] + seen["droppedThere"] + seen["waiting"]
    assert page.evaluate("mienLive.stream") is None


@pytest.mark.more
def test_the_lines_of_one_person(live: Callable[..., Any], camera: Any) -> None:
    page = live(within=camera)
    start(page, looks=8)
    who = page.get_by_label("Whose lines are drawn")
    expect(who.locator("option").nth(2)).to_be_attached()  # everybody's mean, and both; more where a slow machine numbered anew
    person = who.locator("option").nth(1).inner_text()
    who.select_option(label=person)
    until(page, f"document.getElementById('chart').getAttribute('aria-label').startsWith('{person} in the last minute')")


@pytest.mark.skipif(not CLIPS.is_dir(), reason="no ../shared/media beside the checkout")
def test_a_real_face_smiles(live: Callable[..., Any], launch: Callable[..., Any], tmp_path: Path) -> None:
    with mien.open_media(CLIPS / "single_face.mp4") as media:
        frames = [np.ascontiguousarray(frame.rgb) for frame in media.frames()]
    page = live(
        within=launch(CAMERA, ALLOW, f"--use-file-for-fake-video-capture={motion_jpeg(tmp_path / 'face.mjpeg', frames, 30)}")
    )
    start(page)
    expect(page.locator("#people li")).to_have_count(1)
    expect(page.locator("#people strong")).to_contain_text("happiness")
    gone(page, "several")


@pytest.mark.more
def test_how_often_it_looks(live: Callable[..., Any], camera: Any) -> None:
    page = live(within=camera)
    start(page)
    page.get_by_label("How often to look").select_option("1")
    looks, took_s = paced(page, 6)
    assert looks <= took_s + 3  # not more often than once a second, but for those that a busy machine was late with
    page.get_by_label("How often to look").select_option("0")
    often, often_s = paced(page, 25)
    assert often_s / often < took_s / looks / 2
    page.reload()
    expect(page.get_by_label("How often to look")).to_have_value("0")  # remembered


def paced(page: Any, looks: int) -> tuple[int, float]:
    """Waits for so many looks from the next one on; how many there were, and in how many seconds."""
    until(page, f"mienLive.stats().captured > {stats(page)['captured']}")
    read = "[mienLive.stats().captured, performance.now()]"
    before, from_ms = page.evaluate(read)
    until(page, f"mienLive.stats().captured >= {before + looks}")
    after, to_ms = page.evaluate(read)
    return after - before, (to_ms - from_ms) / 1000


@pytest.mark.more
def test_a_shared_tab_and_a_part_of_it(live: Callable[..., Any], launch: Callable[..., Any], puppet: str) -> None:
    this_tab = """
        const share = navigator.mediaDevices.getDisplayMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getDisplayMedia = (wanted) => share({ ...wanted, preferCurrentTab: true });
    """
    page = live(init=this_tab, within=launch(*SHARE))
    picture = "data:image/jpeg;base64," + base64.b64encode(encoded(Image.fromarray(frame(0)), "JPEG", quality=92)).decode()
    page.evaluate(  # a face-cam in the corner of what is shared
        """(source) => {
            const image = Object.assign(new Image(), { src: source });
            Object.assign(image.style, { position: "fixed", right: 0, bottom: 0, width: "360px", zIndex: 100 });
            document.body.append(image);
        }""",
        picture,
    )
    page.get_by_role("button", name="Share a tab, window or screen").click()
    answered(page, 3)
    assert state(page)["source"] == "screen"
    expect(page.locator("#mirror")).to_be_disabled()  # writing would be the wrong way round
    page.get_by_role("button", name="Mark a part").click()
    for label, value in (("From the left", "70"), ("From the top", "70"), ("Width", "30"), ("Height", "30")):
        page.get_by_label(label).fill(value)
        page.keyboard.press("Enter")
    until(page, "Object.values(mienLive.state.region).map((share) => share.toFixed(2)).join() === '0.70,0.70,0.30,0.30'")
    until(page, "mienLive.state.faces.length === 1")
    page.get_by_role("button", name="Whole picture").click()
    until(page, "mienLive.state.region === null")
    page.evaluate("mienLive.stream.getVideoTracks()[0].dispatchEvent(new Event('ended'))")
    shows(page, "share-ended", "Share again")


@pytest.mark.more
def test_a_part_is_marked_with_the_mouse_and_the_keys(live: Callable[..., Any], puppet: str) -> None:
    page = live(init=puppet)
    page.evaluate("puppet.show('two')")
    start(page)
    expect(page.locator("#people li")).to_have_count(2)
    page.get_by_label("As in a mirror").uncheck()
    page.get_by_role("button", name="Mark a part").click()
    stage = page.locator("#stage")
    box = stage.bounding_box()  # of its place only the size is taken: what appears above it moves it
    stage.hover(position={"x": 3, "y": 3})
    page.mouse.down()
    for share in (0.25, 0.5):
        stage.hover(position={"x": box["width"] * share, "y": box["height"] * 2 * share - 3})
    page.mouse.up()
    until(page, "Math.abs(mienLive.state.region?.width - 0.5) < 0.02")
    expect(page.locator("#people li")).to_have_count(1)
    page.locator("#region").focus()
    for _ in range(25):
        page.keyboard.press("ArrowRight")
    until(page, "Math.abs(mienLive.state.region.x - 0.5) < 0.02")  # as far as it goes
    page.keyboard.press("Shift+ArrowUp")
    until(page, "Math.abs(mienLive.state.region.height - 0.96) < 0.03")
    answered(page, 3)
    face = faces(page, 1)[0]["box"]
    # The other face now: its box is drawn where it is on the whole picture, in the right half.
    left, right = 0.5 + 0.5 * face[0] / 320, 0.5 + 0.5 * face[2] / 320
    painted(page, [left, state(page)["region"]["height"] * face[1] / 346, right, 1], 100)


@pytest.mark.more
def test_a_mirror_turns_what_is_shown_and_its_boxes(live: Callable[..., Any], puppet: str) -> None:
    page = live(init=puppet)
    page.evaluate("puppet.show('two')")
    page.get_by_label("Bars beside each face").uncheck()
    page.get_by_label("As in a mirror").uncheck()
    start(page)
    both = faces(page, 2)
    before = sorted(face["box"][0] for face in both)
    x1, y1, x2, y2 = max((face["box"] for face in both), key=lambda box: box[2] - box[0])
    plain, mirrored = [x1 / 640, y1 / 360, x2 / 640, y2 / 360], [1 - x2 / 640, y1 / 360, 1 - x1 / 640, y2 / 360]
    painted(page, plain, 300)
    page.get_by_label("As in a mirror").check()
    answered(page, 2)
    painted(page, mirrored, 300)
    assert "scaleX(-1)" in page.locator("#video").evaluate("(video) => video.style.transform")
    sent = sorted(face["box"][0] for face in faces(page, 2))  # as before
    assert np.abs(np.array(sent) - before).max() < 20


@pytest.mark.more
def test_a_camera_that_hangs_upside_down(live: Callable[..., Any], puppet: str) -> None:
    page = live(init=puppet)
    page.evaluate("puppet.show('upside_down')")
    page.get_by_label("Turn the right way up").check()
    start(page)
    x1, y1, x2, y2 = faces(page, 1)[0]["box"]
    expected = mien.Analyzer().faces(frame(0))[0].boxes[0]
    assert np.abs(np.array([x1, y1, x2, y2]) - expected).max() < 12


@pytest.mark.more
@pytest.mark.parametrize(
    "without",
    ["delete HTMLVideoElement.prototype.requestVideoFrameCallback", "delete window.OffscreenCanvas"],
    ids=["callback", "canvas"],
)
def test_browsers_that_can_less(live: Callable[..., Any], camera: Any, without: str) -> None:
    page = live(init=without, within=camera)
    start(page, looks=5)
    expect(page.locator("#people li")).to_have_count(2)


# --- states --------------------------------------------------------------------------------------------------------------------


@pytest.mark.more
def test_one_two_nobody_dark(live: Callable[..., Any], puppet: str) -> None:
    page = live(init=puppet)
    page.evaluate("puppet.show('one')")
    start(page)
    expect(page.locator("#people li")).to_have_count(1)
    page.evaluate("puppet.show('nobody')")
    shows(page, "no-face", "Come closer")
    expect(page.locator("#nobody")).to_have_text("Nobody is seen.")
    page.evaluate("puppet.show('two')")
    shows(page, "several", "2 people")
    gone(page, "no-face")
    page.evaluate("puppet.show('dark')")
    shows(page, "dark", "light before the face")
    gone(page, "no-face")  # the dark says it all
    page.evaluate("puppet.show('one')")
    gone(page, "dark")
    gone(page, "several")


@pytest.mark.more
def test_a_dark_camera(live: Callable[..., Any], launch: Callable[..., Any], tmp_path: Path) -> None:
    frames = np.full((25, HEIGHT, WIDTH, 3), 8, np.uint8)
    path = film(
        tmp_path / "dark.y4m",
        times=[k / 25 for k in range(25)],
        pictures=lambda k: frames[k],
        codec="wrapped_avframe",
        form="yuv4mpegpipe",
        pix_fmt="yuv420p",
        size=(WIDTH, HEIGHT),
    )
    page = live(within=launch(CAMERA, ALLOW, f"--use-file-for-fake-video-capture={path}"))
    start(page)
    shows(page, "dark", "It is too dark")


@pytest.mark.parametrize(
    ("failure", "name", "words"),
    [
        ("NotAllowedError", "refused", "allow the camera"),
        *more(
            ("NotFoundError", "no-camera", "Plug one in"),
            ("NotReadableError", "camera-busy", "Close the other program"),
            ("UnknownError", "camera-failed", "as the test wants it"),
        ),
    ],
)
def test_no_camera_for_a_reason(live: Callable[..., Any], puppet: str, failure: str, name: str, words: str) -> None:
    page = live(init=puppet)
    page.evaluate(f"puppet.fail = '{failure}'")
    page.get_by_role("button", name="Start the camera").click()
    shows(page, name, words)
    expect(page.get_by_text("Nothing is seen yet")).to_be_visible()
    page.evaluate("puppet.fail = null")
    page.locator(f"#states [data-state='{name}']").get_by_role("button", name="Start the camera").click()
    answered(page, 2)
    gone(page, name)


@pytest.mark.more
def test_the_browser_itself_refuses(live: Callable[..., Any], launch: Callable[..., Any]) -> None:
    page = live(within=launch(CAMERA))  # no leave is given, and nobody is there to be asked
    session = page.context.new_cdp_session(page)
    session.send(
        "Browser.setPermission", {"permission": {"name": "camera"}, "setting": "denied", "origin": page.url.rsplit("/", 1)[0]}
    )
    page.get_by_role("button", name="Start the camera").click()
    shows(page, "refused", "camera or lock sign")


@pytest.mark.more
def test_a_machine_without_camera(live: Callable[..., Any], launch: Callable[..., Any]) -> None:
    page = live(within=launch("--use-fake-device-for-media-stream=device-count=0", ALLOW))
    page.get_by_role("button", name="Start the camera").click()
    shows(page, "no-camera", "No camera was found")


@pytest.mark.more
def test_while_the_browser_asks(live: Callable[..., Any]) -> None:
    page = live(init="navigator.mediaDevices.getUserMedia = () => new Promise(() => {})")
    page.get_by_role("button", name="Start the camera").click()
    shows(page, "asking", "permission")
    expect(page.locator("#start-camera")).to_be_disabled()


@pytest.mark.more
def test_sharing_refused(live: Callable[..., Any]) -> None:
    refuse = "navigator.mediaDevices.getDisplayMedia = async () => { throw new DOMException('closed', 'NotAllowedError'); }"
    page = live(init=refuse)
    page.get_by_role("button", name="Share a tab, window or screen").click()
    shows(page, "share-refused", "You closed the choice")


@pytest.mark.more
@pytest.mark.parametrize(
    ("init", "name", "words"),
    [
        ("Object.defineProperty(window, 'isSecureContext', { value: false })", "insecure", "http://localhost"),
        ("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })", "unsupported", "current Firefox"),
    ],
)
def test_where_it_cannot_be_done(live: Callable[..., Any], init: str, name: str, words: str) -> None:
    page = live(init=init)
    shows(page, name, words)
    expect(page.locator("#start-camera")).to_be_disabled()


@pytest.mark.more
def test_a_browser_that_cannot_share(live: Callable[..., Any]) -> None:
    page = live(init="delete MediaDevices.prototype.getDisplayMedia")
    shows(page, "no-share", "The camera works")
    expect(page.locator("#start-screen")).to_be_disabled()
    expect(page.locator("#start-camera")).to_be_enabled()


@pytest.mark.more
def test_unplugged_and_plugged_in_again(live: Callable[..., Any], puppet: str) -> None:
    page = live(init=puppet)
    page.evaluate("puppet.show('one')")
    start(page)
    page.evaluate("puppet.stream.getVideoTracks()[0].dispatchEvent(new Event('ended'))")
    shows(page, "unplugged", "Plug it in again")
    assert page.evaluate("puppet.stream.getVideoTracks()[0].readyState") == "ended"
    page.locator("#states").get_by_role("button", name="Start the camera").click()
    answered(page, 2)
    gone(page, "unplugged")


@pytest.mark.more
def test_unplugged_in_a_recording(live: Callable[..., Any], puppet: str, server: Server) -> None:
    page = live(init=puppet)
    page.evaluate("puppet.show('one')")
    start(page)
    record(page, 3)
    page.evaluate("puppet.stream.getVideoTracks()[0].dispatchEvent(new Event('ended'))")
    shows(page, "unplugged", "The recording waits")
    assert state(page)["recording"]["state"] == "recording"
    page.locator("#states").get_by_role("button", name="Start the camera").click()
    looks = state(page)["recording"]["looks"]
    until(page, f"mienLive.state.recording.looks >= {looks} + 3")
    assert len(table(server, save(page), "timeline.csv")) >= 6


@pytest.mark.more
def test_a_tab_in_the_background(live: Callable[..., Any], puppet: str) -> None:
    page = live(init=puppet)
    page.evaluate("puppet.show('one')")
    start(page)
    hide = """(how) => {
        Object.defineProperty(document, "visibilityState", { value: how, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(hide, "hidden")
    shows(page, "hidden", "goes on looking")
    drawn, long_ms = page.evaluate("[mienLive.stats().drawn, performance.now() + 2500]")
    answered(page, 12)
    until(page, f"performance.now() > {long_ms}")  # under two seconds nothing is said on return
    assert stats(page)["drawn"] <= drawn + 1
    passing(page, "was-hidden")
    page.evaluate(hide, "visible")
    gone(page, "hidden")
    passed(page, "was-hidden", "mien went on looking")
    until(page, f"mienLive.stats().drawn > {drawn} + 1")


# --- recording -----------------------------------------------------------------------------------------------------------------


def test_record_pause_go_on_save(live: Callable[..., Any], camera: Any, server: Server) -> None:
    page = live(within=camera)
    heard = Heard(page)
    start(page)
    page.get_by_label("Name").fill("a <b>take</b>")
    begun_s = time.monotonic()
    record(page, 5)
    expect(page.locator("#recording-light")).to_have_text("Recording")
    expect(page.locator("#clock-looks")).to_have_text(re.compile(r"^\d+ looks$"))
    expect(page.locator("#turned")).to_be_disabled()
    page.get_by_role("button", name="Pause").click()
    shows(page, "paused", "not recorded")
    paused_s = time.monotonic()
    answered(page, 4)  # what was on its way when it was paused is counted
    looks = state(page)["recording"]["looks"]
    page.wait_for_timeout(3000)
    answered(page, 2)
    assert state(page)["recording"]["looks"] == looks
    paused_s = time.monotonic() - paused_s
    page.get_by_role("button", name="Go on").click()
    gone(page, "paused")
    until(page, f"mienLive.state.recording.looks >= {looks} + 5")
    recorded = stats(page)["recorded"]
    job = save(page)
    took_s = time.monotonic() - begun_s
    expect(page.get_by_text("a <b>take</b>").first).to_be_visible()
    times = [float(row["time_s"]) for row in table(server, job, "timeline.csv")]
    assert len(times) >= recorded >= 10
    assert all(a < b for a, b in itertools.pairwise(times))
    assert times[-1] < took_s - paused_s  # the pause is left out
    sides = {(int(row["track"]), float(row["x1"]) < WIDTH / 2) for row in table(server, job, "faces.csv")}
    tracks = {track for track, _ in sides}
    assert len(sides) == len(tracks)  # a number is one person's
    assert {left for _, left in sides} == {True, False}
    assert tracks <= numbers(heard, 2)
    with server.client() as client:
        names = {file["name"] for file in client.get(f"/api/jobs/{job}/result").json()["files"]}
        assert client.get(f"/api/jobs/{job}").json()["kind"] == "live"
    assert "annotated.mp4" not in names
    assert not list((server.data / "jobs" / job).rglob("pictures.log"))


@pytest.mark.more
def test_the_picture_is_kept_where_it_is_wanted(live: Callable[..., Any], camera: Any, server: Server, tmp_path: Path) -> None:
    page = live(within=camera)
    expect(page.get_by_label("Keep the picture too")).not_to_be_checked()
    start(page)
    page.get_by_label("Keep the picture too").check()
    record(page, 10)
    job = save(page)
    with server.client() as client:
        (tmp_path / "kept.mp4").write_bytes(client.get(f"/api/jobs/{job}/files/annotated.mp4").raise_for_status().content)
    with mien.open_media(tmp_path / "kept.mp4") as media:
        frames = list(media.frames())
    assert len(frames) == len(table(server, job, "timeline.csv"))
    assert (media.info.width, media.info.height) == (WIDTH, HEIGHT)
    assert not list((server.data / "jobs" / job).rglob("pictures.log"))


@pytest.mark.more
def test_a_recording_through_a_line_that_breaks(
    line: Line, live: Callable[..., Any], camera: Any, server: Server, watch: Any
) -> None:
    watch.expect(NO_LINE)
    page = live(within=camera, server=over(line))
    heard = Heard(page)
    start(page)
    record(page, 5)
    begin = kept_from(page)
    line.cut()
    shows(page, "gone", "The recording goes on here")
    expect(page.locator("[data-state='gone'] .left")).to_have_text(re.compile(r"^ \d+ s\.$"))
    until(page, "mienLive.stats().kept >= 14")
    end = kept_from(page)
    passing(page, "back")
    line.mend()
    passed(page, "back", "Nothing is missing")
    until(page, "mienLive.stats().kept === 0")
    answered(page, 5)
    seen = stats(page)
    on_the_way = seen["captured"] - seen["answered"] - seen["droppedHere"] - seen["droppedThere"]
    assert 0 <= on_the_way <= 5
    times = np.array([float(row["time_s"]) for row in table(server, save(page), "timeline.csv")])
    nothing_is_missing(times, heard, begin, end)


@pytest.mark.more
def test_a_line_that_falls_silent(line: Line, live: Callable[..., Any], camera: Any, server: Server, watch: Any) -> None:
    watch.expect(NO_LINE)
    page = live(within=camera, server=over(line))
    heard = Heard(page)
    start(page)
    record(page, 5)
    passing(page, "slow")
    line.frozen = True
    # For two seconds the newest of the looks wins as ever; then it counts as slow, and they are kept.
    until(page, "mienLive.stats().kept > 0")
    begin = kept_from(page)
    until(page, f"mienLive.stats().kept >= {begin[1] + 14}")
    end = kept_from(page)
    passed(page, "slow", "slow to answer")
    line.frozen = False
    until(page, "mienLive.stats().kept === 0")
    gone(page, "slow")
    times = np.array([float(row["time_s"]) for row in table(server, save(page), "timeline.csv")])
    nothing_is_missing(times, heard, begin, end)


@pytest.mark.more
def test_stopped_while_the_server_is_away(line: Line, live: Callable[..., Any], camera: Any, server: Server, watch: Any) -> None:
    watch.expect(NO_LINE)
    page = live(within=camera, server=over(line))
    start(page)
    record(page, 5)
    line.cut()
    shows(page, "gone")
    until(page, "mienLive.stats().kept >= 5")
    page.get_by_role("button", name="Stop and save").click()
    kept = stats(page)["kept"]
    line.mend()
    page.wait_for_url("**/analyses/*", wait_until="domcontentloaded", timeout=SAVED_MS)
    assert len(table(server, page.url.rsplit("/", 1)[1], "timeline.csv")) >= kept + 5


@pytest.mark.more
def test_the_server_is_killed_and_started_again(live: Callable[..., Any], camera: Any, tmp_path: Path, watch: Any) -> None:
    watch.expect(NO_LINE)
    with Server(tmp_path / "data") as server:
        page = live(within=camera, server=server)
        heard = Heard(page)
        start(page)
        record(page, 10)
        before, begin = state(page)["recording"], kept_from(page)
        server.kill()
        shows(page, "gone")
        until(page, "mienLive.stats().kept >= 10")
        end = kept_from(page)
        passing(page, "restarted")
        server.start()
        passed(page, "restarted", "goes on where it was")
        until(page, "mienLive.state.link === 'open' && mienLive.stats().kept === 0")
        assert state(page)["recording"]["job"] == before["job"]
        until(page, f"mienLive.state.recording.looks >= {before['looks']} + 10")
        rows = table(server, save(page), "timeline.csv")
        assert len(rows) >= before["looks"] + 10
        nothing_is_missing(np.array([float(row["time_s"]) for row in rows]), heard, begin, end)


@pytest.mark.more
def test_the_page_is_loaded_again_while_it_records(live: Callable[..., Any], camera: Any, server: Server, watch: Any) -> None:
    page = live(within=camera)
    start(page)
    record(page, 5)
    job, looks = state(page)["recording"]["job"], state(page)["recording"]["looks"]
    # Whoever would close it is asked: the page's own listener stops the event.
    assert page.evaluate("dispatchEvent(new Event('beforeunload', { cancelable: true }))") is False
    page.remove_listener("dialog", watch.dialog)
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    until(page, f"mienLive.state.recording.looks >= {looks} + 5")
    assert state(page)["recording"]["job"] == job
    gone(page, "returned")
    assert save(page) == job
    assert len(table(server, job, "timeline.csv")) >= looks + 5


@pytest.mark.more
def test_away_for_too_long(live: Callable[..., Any], camera: Any, tmp_path: Path, watch: Any) -> None:
    with Server(tmp_path / "data", live_return_s=1) as server:
        page = live(within=camera, server=server)
        start(page)
        record(page, 5)
        job = state(page)["recording"]["job"]
        page.remove_listener("dialog", watch.dialog)
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto("/stored")
        server.ended(job)
        page.goto("/live")
        shows(page, "interrupted", "saved")
        assert len(table(server, job, "timeline.csv")) >= 5


# --- others --------------------------------------------------------------------------------------------------------------------


@pytest.mark.more
def test_four_pages_at_once(live: Callable[..., Any], camera: Any) -> None:
    pages = [live(within=camera) for _ in range(4)]
    heard = [Heard(page) for page in pages]
    for page in pages:
        page.get_by_label("How often to look").select_option("0.5")
        page.get_by_role("button", name="Start the camera").first.click()
    for page in pages:
        answered(page, 8)
    for page, answers in zip(pages, heard, strict=True):
        seen = stats(page)
        assert seen["answered"] >= 8
        assert seen["captured"] - seen["answered"] - seen["droppedHere"] - seen["droppedThere"] in range(4)  # on their way
        assert {face["track"] for face in faces(page, 2)} <= numbers(answers, 2)  # nobody gets another's faces


@pytest.mark.more
def test_too_many_viewers(live: Callable[..., Any], camera: Any, tmp_path: Path) -> None:
    with Server(tmp_path / "data", live_sockets_max=1) as server:
        first, second = live(within=camera, server=server), live(within=camera, server=server)
        start(first)
        second.get_by_role("button", name="Start the camera").click()
        shows(second, "full", "Too many people")
        first.get_by_role("button", name="Turn the camera off").click()
        # Ten seconds after the refusal it tries by itself: on a slow machine the button may just be gone.
        second.evaluate("document.querySelector(\"#states [data-state='full'] button\")?.click()")
        answered(second, 2)
        gone(second, "full")
        for page in (first, second):
            page.close()  # before the server ends


@pytest.mark.more
def test_by_keyboard_alone(live: Callable[..., Any], camera: Any, server: Server) -> None:
    page = live(within=camera)
    page.locator("#start-camera").focus()
    page.keyboard.press("Enter")
    answered(page, 2)
    page.locator("#record").focus()
    page.keyboard.press("Enter")
    until(page, "mienLive.state.recording.looks >= 3")
    page.keyboard.press("Tab")  # the focus has not been lost with the button that was pressed
    page.keyboard.press("Enter")
    page.wait_for_url("**/analyses/*", wait_until="domcontentloaded", timeout=SAVED_MS)


@pytest.mark.more
@pytest.mark.parametrize("width", [360, 1000, 1920])
def test_it_fits(live: Callable[..., Any], camera: Any, width: int) -> None:
    page = live(within=camera, width=width)
    start(page)
    page.get_by_role("button", name="Mark a part").click()
    page.get_by_text("How well it keeps up").click()
    until(page, f"document.documentElement.scrollWidth <= {width}")
