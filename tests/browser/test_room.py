"""The page before the audience, with a fake camera that shows two portraits, and the window in which the film plays."""

import json
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from browser import films
from browser.axe import serious
from browser.conftest import Watch
from browser.films import motion_jpeg
from serving import Server

EVERY_S = 0.5
"""How often a study looks where it does not say."""
CLIPS = Path(__file__).parents[3] / "shared" / "media"
ALLOW = "--use-fake-ui-for-media-stream"
CAMERA = "--use-fake-device-for-media-stream"
NO_LINE = "WebSocket connection|ERR_CONNECTION|Failed to load resource"
SECONDS = 90.0
"""What takes longer hangs, on a busy machine, too."""

STUDY = {
    "format": "mien-study 1",
    "title": "A screening on Friday",
    "purpose": "film_test",
    "contact": "The cinema",
    "languages": ["en"],
    "baseline_s": 3,
    "smallest_group": 1,
    "stimuli": [{"id": "concert", "title": "The concert", "kind": "event"}],
}


@pytest.fixture(scope="session")
def reel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the audience watches, 8 s."""
    return films.written(tmp_path_factory.mktemp("reel") / "reel.mp4", films.part(0, 8))


@pytest.fixture(scope="module")
def original(server: Server, reel: Path) -> str:
    """A study with a film that can be played and an event."""
    with server.client() as client:
        id: str = client.post("/api/studies", json=STUDY).raise_for_status().json()["id"]
        with reel.open("rb") as content:
            form = {"title": "Two portraits"}
            client.post(f"/api/studies/{id}/films", files={"file": (reel.name, content)}, data=form).raise_for_status()
        end = time.monotonic() + SECONDS
        while (found := client.get(f"/api/studies/{id}").json()["films"])[-1]["state"] != "ready":
            assert time.monotonic() < end, found
            time.sleep(0.1)
    return id


@pytest.fixture
def study(server: Server, original: str) -> str:
    """A copy of it for one test; its film is not made ready once more."""
    with server.client() as client:
        copy = client.post(f"/api/studies/{original}/duplicate").raise_for_status().json()
    assert [film["state"] for film in copy["films"]] == ["ready"]
    return str(copy["id"])


@pytest.fixture
def camera(launch: Callable[..., Any], camera_file: Path) -> Any:
    return launch(CAMERA, ALLOW, f"--use-file-for-fake-video-capture={camera_file}")


def until(page: Any, expression: str, *, patience_s: float = SECONDS) -> None:
    end = time.monotonic() + patience_s
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"not within {patience_s:g} s: {expression}; {page.evaluate('mienRoom.state')}"
        page.wait_for_timeout(50)


def state(page: Any) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate("mienRoom.state")
    return found


def ready(server: Server, study: str, name: int = 1) -> dict[str, Any]:
    """The room once it is taken in."""
    end = time.monotonic() + SECONDS
    with server.client() as client:
        while (room := client.get(f"/api/studies/{study}/rooms/{name}").json())["state"] == "analysing":
            assert time.monotonic() < end, room
            time.sleep(0.1)
    assert room["state"] == "ready", room
    return dict(room)


def review(server: Server, study: str) -> dict[str, Any]:
    """The report as it is now."""
    end = time.monotonic() + SECONDS
    with server.client() as client:
        while True:
            answer = client.get(f"/api/studies/{study}/review")
            assert answer.status_code in (200, 202), answer.text
            found: dict[str, Any] = answer.json()
            if answer.status_code == 200 and not found.get("stale"):
                return dict(found)
            assert time.monotonic() < end, found
            time.sleep(0.3)


def no_analyses(server: Server) -> None:
    """The room keeps all that it was made of: it is not among the analyses, at most a moment longer than it is taken in."""
    end = time.monotonic() + SECONDS
    with server.client() as client:
        while items := client.get("/api/jobs").json()["items"]:
            assert time.monotonic() < end, items
            time.sleep(0.1)


def recorded(page: Any) -> list[float]:
    """The seconds of the recording of which the page hears that faces were looked for, from now on: it grows."""
    seconds: list[float] = []

    def heard(payload: str | bytes) -> None:
        message = json.loads(payload) if isinstance(payload, str) else {}
        if message.get("type") == "faces" and message.get("recorded"):
            seconds.append(message["time_s"])

    page.on("websocket", lambda socket: socket.on("framereceived", heard))
    return seconds


def farthest(seconds: list[float]) -> float:
    """How far apart looks were at most: a busy machine looks less often."""
    return max((b - a for a, b in pairwise(sorted(seconds))), default=0.0)


def shown(pairs: list[list[float]], at_s: float) -> float | None:
    """The second of the film that was seen at a second of the recording; None where it stood still."""
    for (from_s, film_s), (to_s, end_s) in pairwise(pairs):
        if from_s <= at_s <= to_s and end_s - film_s > 0.5 * (to_s - from_s):
            return film_s + (at_s - from_s) * (end_s - film_s) / (to_s - from_s)
    return None


# Somebody presses the button once the film has played for so long; a test on a busy machine might come when it is over.
PAUSED = """() => {
  const button = document.querySelector("#play");
  const timer = setInterval(() => {
    const { running, clock } = mienRoom.state;
    if (!running || clock.at(-1)[1] < 1.6 || button.textContent.trim() !== "Pause") return;
    clearInterval(timer);
    button.click();
  }, 20);
}"""

# Somebody drags the film ahead as soon as it plays: what is between was not seen.
DRAGGED = """() => document.querySelector("#film").addEventListener("timeupdate", () => {
  const bar = document.querySelector("#place");
  bar.value = 6;
  bar.dispatchEvent(new Event("change"));
}, { once: true })"""


def agree(page: Any, film: str = "Two portraits") -> None:
    page.get_by_label("Film or event").select_option(label=film)
    page.get_by_label("Everybody whom the camera sees").check()


def start(page: Any) -> None:
    page.get_by_role("button", name="Start the camera").click()
    until(page, "mienRoom.state.faces === 2")


def record(page: Any, looks: int = 1) -> None:
    page.get_by_role("button", name="Start recording").click()
    until(page, f"mienRoom.state.recording.looks >= {looks} && mienRoom.state.room !== null")


def screen_of(page: Any) -> Any:
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open the film’s window").click()
    until(page, "mienRoom.state.screen.there")
    return opened.value


def test_nothing_is_seen_before_everybody_agreed(open_page: Callable[..., Any], study: str, camera: Any) -> None:
    page = open_page(f"/studies/{study}/room", within=camera)
    button = page.get_by_role("button", name="Start the camera")
    expect(button).to_be_disabled()
    expect(page.get_by_role("button", name="Start recording")).to_be_disabled()
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    agree(page)
    expect(button).to_be_enabled()
    expect(page.locator("#empty-words")).to_have_text("Turn the camera to the audience.")


@pytest.mark.more
def test_the_film_plays_in_its_own_window_and_gives_the_clock(
    open_page: Callable[..., Any], server: Server, study: str, camera: Any
) -> None:
    page = open_page(f"/studies/{study}/room", within=camera)
    looks = recorded(page)
    agree(page)
    start(page)
    expect(page.locator("#people-now")).to_have_text("2")
    expect(page.locator("#hint")).to_have_text("Light and size are good.")
    page.get_by_label("Name of this showing").fill("Friday evening")
    record(page, looks=8)
    screen = screen_of(page)
    # Where the film is when it says that it plays: where a machine is busy, that comes late.
    screen.locator("#film").evaluate("film => film.addEventListener('playing', () => (window.began ??= []).push(film.currentTime))")
    page.evaluate(PAUSED)
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, "!mienRoom.state.running && mienRoom.state.clock.length > 0 && mienRoom.state.clock.at(-1)[1] > 1.5")
    assert serious(screen) == []
    stood_s = screen.locator("#film").evaluate("film => film.currentTime")
    assert state(page)["clock"][-1][1] == pytest.approx(stood_s, abs=0.1)
    page.wait_for_timeout(1500)
    screen.bring_to_front()
    screen.evaluate(DRAGGED)
    screen.get_by_role("button", name="Play").first.click()
    expect(screen.locator("#words")).to_have_text("The film is over.")
    until(page, "!mienRoom.state.running && Math.abs(mienRoom.state.clock.at(-1)[1] - 8) < 0.15")
    began_s, again_s, *_ = screen.evaluate("began")
    page.get_by_role("button", name="Stop and take in").click()
    expect(page.locator("[data-state=room-ready]")).to_contain_text("2 viewers", timeout=SECONDS * 1000)
    room = ready(server, study)
    assert (room["people"], room["together"], room["label"]) == (2, 2, "Friday evening")
    pairs = room["clock"]
    assert 0 <= pairs[0][1] <= began_s + 0.05
    stands = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(pairs)]
    most_s = max(0.2, again_s - stood_s + 0.05)
    assert any(took > 1.2 and moved < most_s for took, moved in stands), f"the pause is not in the clock: {pairs}"
    no_analyses(server)
    found = review(server, study)
    assert [viewer["name"] for viewer in found["viewers"]] == ["R1-1", "R1-2"]
    assert all(viewer["room"] for viewer in found["viewers"])
    film = next(one for one in found["stimuli"] if one["title"] == "Two portraits")
    happiness = film["curves"]["raw"]["happiness"]["mean"]
    seen = [t for t, value in zip(film["times"], happiness, strict=True) if value is not None]
    watched = [film_s for at_s in looks if (film_s := shown(pairs, at_s)) is not None]
    assert min(seen) == pytest.approx(min(watched), abs=EVERY_S)
    assert max(seen) == pytest.approx(max(watched), abs=EVERY_S)
    assert not [t for t in seen if stood_s + 2.0 < t < 5.0], "what was skipped has no curve"
    assert film["curves"]["corrected"] is not None, "3 s were recorded before the film"


@pytest.mark.more
def test_an_event_is_marked_by_hand(open_page: Callable[..., Any], server: Server, study: str, camera: Any) -> None:
    page = open_page(f"/studies/{study}/room", within=camera)
    agree(page, "The concert (event)")
    expect(page.get_by_role("link", name="Open the film’s window")).to_be_hidden()
    start(page)
    record(page, looks=3)
    presses = []

    def press(name: str) -> None:
        """Presses a button, between two moments."""
        before_s = time.monotonic()
        page.get_by_role("button", name=name).click()
        presses.append((before_s, time.monotonic()))

    press("The event starts now")
    page.wait_for_timeout(1200)
    press("It stands still")
    page.wait_for_timeout(800)
    press("It goes on")
    page.wait_for_timeout(1200)
    press("Stop and take in")
    begin, stand, on, stop = presses
    least_s = stand[0] - begin[1] + stop[0] - on[1]
    most_s = stand[1] - begin[0] + stop[1] - on[0]
    expect(page.locator("[data-state=room-ready]")).to_be_visible(timeout=SECONDS * 1000)
    room = ready(server, study)
    assert (room["people"], room["stimulus"]) == (2, "concert")
    assert len(room["clock"]) == 4
    assert least_s - 0.1 <= room["clock"][-1][1] <= most_s + 0.1
    # The start is put right: half a second later.
    row = page.locator(".room-item").first
    first = float(row.get_by_label("The film starts at").input_value())
    row.get_by_label("The film starts at").fill(f"{first + 0.5:.1f}")
    row.get_by_role("button", name="Put right").click()
    expect(page.locator(".toast")).to_contain_text(f"{first + 0.5:.1f} s")
    assert ready(server, study)["offset_s"] == pytest.approx(-0.5, abs=0.06)
    row.get_by_role("button", name="Erase").click()
    page.get_by_role("dialog").get_by_role("button", name="Erase").click()
    expect(page.locator("#none")).to_be_visible()
    with server.client() as client:
        assert client.get(f"/api/studies/{study}/rooms").json() == {"items": []}


@pytest.mark.more
def test_a_closed_page_loses_nothing(open_page: Callable[..., Any], serve: Callable[..., Server], reel: Path, camera: Any) -> None:
    """The page is closed while the film runs: the server waits for it, then takes in what there is, on the film's clock."""
    server = serve(live_return_s=2)
    with server.client() as client:
        study = client.post("/api/studies", json=STUDY).raise_for_status().json()["id"]
    page = open_page(f"/studies/{study}/room", server=server, within=camera)
    agree(page, "The concert (event)")
    start(page)
    record(page, looks=8)
    page.get_by_role("button", name="The event starts now").click()
    end = time.monotonic() + SECONDS
    with server.client() as client:
        while (client.get(f"/api/studies/{study}/rooms/1").json()["clock"] or [[0, 0]])[-1][
            1
        ] <= 4:  # it is saved every five seconds
            assert time.monotonic() < end
            page.wait_for_timeout(100)
    page.close()
    room = ready(server, study)
    assert room["people"] == 2
    assert room["clock"][-1][1] > 4
    assert room["clock"][0][1] == 0


@pytest.mark.more
def test_a_server_that_is_killed_goes_on_with_room_and_clock(
    open_page: Callable[..., Any], serve: Callable[..., Server], watch: Watch, camera: Any
) -> None:
    watch.expect(NO_LINE)
    server = serve()
    with server.client() as client:
        study = client.post("/api/studies", json=STUDY).raise_for_status().json()["id"]
    page = open_page(f"/studies/{study}/room", server=server, within=camera)
    seconds = recorded(page)
    agree(page, "The concert (event)")
    start(page)
    record(page, looks=4)
    server.kill()
    expect(page.locator("[data-state=gone]")).to_be_visible()
    page.get_by_role("button", name="The event starts now").click()
    expect(page.locator("[data-state=clock-late]")).to_be_visible()
    page.wait_for_timeout(500)
    server.start()
    until(page, "mienRoom.state.link === 'open'")
    looks = state(page)["recording"]["looks"]
    until(page, f"mienRoom.state.recording.looks > {looks + 3}")
    page.get_by_role("button", name="Stop and take in").click()
    room = ready(server, study)
    assert room["people"] == 2
    assert len(room["clock"]) == 2
    assert room["clock"][-1][0] == pytest.approx(state(page)["clock"][-1][0], abs=0.01)
    assert room["duration_s"] == pytest.approx(room["clock"][-1][0], abs=max(1.5, 2 * farthest(seconds)))


@pytest.mark.more
def test_a_page_that_is_loaded_again_goes_on(
    open_page: Callable[..., Any], server: Server, study: str, camera: Any, watch: Watch
) -> None:
    page = open_page(f"/studies/{study}/room", within=camera)
    seconds = recorded(page)
    agree(page, "The concert (event)")
    start(page)
    record(page, looks=3)
    page.get_by_role("button", name="The event starts now").click()
    until(page, "mienRoom.state.clock.at(-1)[1] > 0.5")
    before = state(page)
    # Whoever would close it is asked: the page's own listener stops the event.
    assert page.evaluate("dispatchEvent(new Event('beforeunload', { cancelable: true }))") is False
    page.remove_listener("dialog", watch.dialog)
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    until(page, f"mienRoom.state.room === {before['room']} && mienRoom.state.recording.looks > {before['recording']['looks'] + 3}")
    assert state(page)["clock"][0] == before["clock"][0]
    assert state(page)["running"], "it was marked by hand, and runs on"
    page.get_by_role("button", name="Stop and take in").click()
    room = ready(server, study)
    assert room["people"] == 2
    assert len(room["clock"]) == 2
    assert room["clock"][1][1] == pytest.approx(room["duration_s"] - room["clock"][0][0], abs=max(1.5, 2 * farthest(seconds)))


@pytest.mark.more
def test_a_film_of_the_audience_is_dropped_and_read(
    open_page: Callable[..., Any], server: Server, study: str, short: Path, browser: Any
) -> None:
    page = open_page(f"/studies/{study}/room")
    agree(page)
    page.locator("#file").set_input_files(str(short))
    page.get_by_label("The film they watched starts at").fill("0.5")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".room-facts dd").first).to_have_text("2", timeout=SECONDS * 1000)
    assert ready(server, study)["offset_s"] == -0.5
    no_analyses(server)


@pytest.mark.more
@pytest.mark.parametrize(("clip", "people"), [("three_people_walking.gif", 3), ("classroom.gif", 4)])
def test_real_audiences_are_counted_and_drawn(
    open_page: Callable[..., Any], server: Server, study: str, clip: str, people: int
) -> None:
    if not (CLIPS / clip).is_file():
        pytest.skip("without ../shared/media")
    with server.client() as client:  # the report opens with the first film
        films_only = [one for one in client.get(f"/api/studies/{study}").json()["definition"]["stimuli"] if one["kind"] == "film"]
        client.patch(f"/api/studies/{study}", json={"stimuli": films_only}).raise_for_status()
    page = open_page(f"/studies/{study}/room")
    agree(page)
    page.locator("#file").set_input_files(str(CLIPS / clip))
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".room-facts dd").first).to_have_text(str(people), timeout=SECONDS * 1000)
    found = review(server, study)
    assert found["counts"]["measured"] == people
    film = next(one for one in found["stimuli"] if one["title"] == "Two portraits")
    assert film["viewers"] == people
    assert any(value is not None for value in film["curves"]["raw"]["neutral"]["mean"])
    page.goto(f"/studies/{study}/review")
    expect(page.locator(".plot .js-line").first).to_be_attached()


@pytest.mark.more
def test_a_real_room_before_a_camera(open_page: Callable[..., Any], launch: Callable[..., Any], study: str, tmp_path: Path) -> None:
    """Four small faces: the page says so."""
    if not (CLIPS / "classroom.gif").is_file():
        pytest.skip("without ../shared/media")
    import mien

    with mien.open_media(CLIPS / "classroom.gif") as media:
        pictures = [frame.rgb for frame in media.frames()]
    reel = motion_jpeg(tmp_path / "classroom.mjpeg", pictures, 17)
    page = open_page(f"/studies/{study}/room", within=launch(CAMERA, ALLOW, f"--use-file-for-fake-video-capture={reel}"))
    agree(page)
    page.get_by_role("button", name="Start the camera").click()
    until(page, "mienRoom.state.faces === 4")
    expect(page.locator("#hint")).to_contain_text("small: move the camera closer")


CLOCK = """async (script) => {
  const { FilmClock } = await import("/static/js/room/clock.js");
  const clock = new FilmClock();
  for (const [what, ...given] of script) clock[what](...given);
  return clock.pairs(100);
}"""


CLOCKS: list[tuple[list[Any], list[list[float]]]] = [
    ([], []),
    ([["run", 10, 0]], [[10, 0], [100, 90]]),
    ([["run", 10, 0], ["stand", 20]], [[10, 0], [20, 10]]),
    ([["run", 10, 0], ["stand", 20, 9.5], ["run", 30]], [[10, 0], [20, 9.5], [30, 9.5], [100, 79.5]]),
    ([["run", 10, 0], ["run", 15, 40], ["stand", 20]], [[10, 0], [15, 5], [15, 40], [20, 45]]),
    ([["run", 10, 0], ["tick", 12, 2.1], ["stand", 20]], [[10, 0], [20, 10]]),
    ([["run", 10, 0], ["tick", 12, 1.5], ["stand", 20]], [[10, 0], [12, 1.5], [20, 9.5]]),
    ([["stand", 5], ["tick", 5, 5], ["run", 10, 0], ["stand", 9]], [[10, 0], [10, 0]]),
]
"""What a film does, and the pairs of both clocks that are noted of it."""


def test_the_films_clock(open_page: Callable[..., Any]) -> None:
    page = open_page("/stored")
    for script, pairs in CLOCKS:
        assert page.evaluate(CLOCK, json.loads(json.dumps(script))) == pairs, script
