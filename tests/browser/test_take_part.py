"""Taking part in a study in a real browser, from the invitation to the thanks, and all that can come between."""

import itertools
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from browser import participants
from browser.axe import serious
from browser.conftest import Open, Watch
from browser.line import Line, over
from browser.participants import Invited, open_study
from mien.labels import FERPLUS
from rows import more
from serving import Server

ALLOW = "--use-fake-ui-for-media-stream"
CAMERA = "--use-fake-device-for-media-stream"
NO_LINE = "WebSocket connection|ERR_CONNECTION|ERR_INTERNET|ERR_EMPTY_RESPONSE|ERR_SOCKET"
EVERY_S = participants.STUDY["every_s"]
FILM_S = 6.0
PATIENT_S = 60.0
"""For what a busy machine may take long over: the camera, a film, a server that comes back."""
SLOW, QUICK = 1 / 16, 4
"""Rates of a film: nearly still, while a test does something in the middle of it; and where only its end is of interest."""

# A camera that the test can refuse, unplug and give back.
PUPPET = """
(() => {
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  window.puppet = { fail: null, stream: null };
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    if (puppet.fail) throw new DOMException(puppet.words ?? "as the test wants it", puppet.fail);
    return (puppet.stream = await real(wanted));
  };
})()
"""

# The tab goes to the background, and comes back.
HIDE = """(state) => {
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds, whose lightness tells the time."""
    return participants.clock_film(tmp_path_factory.mktemp("film") / "shapes.mp4", FILM_S)


@pytest.fixture(scope="module")
def one_face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return participants.one_face(tmp_path_factory.mktemp("face") / "one.mjpeg")


@pytest.fixture
def camera(launch: Callable[..., Any], one_face: Path) -> Any:
    """A browser before whose camera one person sits, with leave to use it, whose pages note what they do."""
    return participants.Noted(launch(CAMERA, ALLOW, f"--use-file-for-fake-video-capture={one_face}"))


@pytest.fixture(scope="module")
def study(server: Server, film: Path) -> Invited:
    """One film, questions of all kinds, four languages."""
    return open_study(server, [film])


@pytest.fixture(scope="module")
def short(server: Server, film: Path) -> Invited:
    """One film, no questions, one language."""
    return open_study(server, [film], before=[], after=[], languages=["en"], title="Shapes alone")


# --- what a person does ----------------------------------------------------------------------------------------------------------


def press(page: Any, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def on(page: Any, heading: str) -> None:
    expect(page.get_by_role("heading", level=1, name=heading)).to_be_visible()


def agree(page: Any, *, language: str | None = "English") -> str:
    """From the first page to the code."""
    if language:
        press(page, language)
    press(page, "Continue")
    page.get_by_label("I have read this and agree").check()
    press(page, "Agree and continue")
    on(page, "Your code")
    return str(page.locator(".code-shown").inner_text())


def answer_before(page: Any) -> None:
    on(page, "A few questions first")
    page.get_by_label("under 40").check()
    page.get_by_label("comedies").check()
    page.get_by_role("group", name="How awake are you?").get_by_role("radio", name="5, wide awake").check()
    page.get_by_label("How often were you at the cinema").fill("12,5")
    page.get_by_label("Which film did you see last?").fill("Alien")


def answer_after(page: Any) -> None:
    on(page, "A few questions to finish")
    for number, label in enumerate(FERPLUS):
        level = ("not at all", "a little", "somewhat", "strongly", "very strongly")[number % 5]
        page.get_by_role("radiogroup", name=label).get_by_role("radio", name=level, exact=True).check()
    page.get_by_role("group", name="How much did you like").get_by_role("radio", name="7, very much").check()


def check_camera(page: Any) -> None:
    press(page, "Turn on the camera")
    press(page, "Continue")


def rest(page: Any) -> None:
    on(page, "A quiet moment")
    press(page, "I am ready")


def to_the_film(page: Any, invited: Invited) -> str:
    """From the first page of a study without questions to its film; the code."""
    code = agree(page, language=None)
    press(page, "I have noted it")
    check_camera(page)
    rest(page)
    expect(page.get_by_role("button", name="Start the film")).to_be_visible()
    return code


def state(page: Any) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate("mienTakePart.state")
    return found


def until(page: Any, condition: Callable[[dict[str, Any]], bool], patience_s: float = PATIENT_S) -> dict[str, Any]:
    """Waits until it is true of the state of the page. Playwright's own way needs `eval`, which the page forbids."""
    end = time.monotonic() + patience_s
    while not condition(found := state(page)):
        assert time.monotonic() < end, f"not within {patience_s:g} s: {found}"
        page.wait_for_timeout(50)
    return found


# From this second of the film on it plays at this rate.
HOLD = """([film_s, rate]) => {
  clearInterval(window.holding);
  window.holding = setInterval(() => {
    if (!(mienTakePart.state.film_s >= film_s)) return;
    clearInterval(window.holding);
    mienTakePart.film.playbackRate = rate;
  }, 20);
}"""


def hold(page: Any, film_s: float, rate: float = SLOW) -> None:
    """Before the film is started: a test that does something in the middle of it never comes too late."""
    page.evaluate(HOLD, [film_s, rate])


def at(page: Any, film_s: float) -> dict[str, Any]:
    """The state of the page once the film is there, or over."""
    return until(page, lambda now: now.get("film_s", 0) >= film_s or now.get("over", False))


def play_at(page: Any, rate: float) -> None:
    """From now on, whatever `hold` was to do."""
    page.evaluate("rate => { clearInterval(window.holding); mienTakePart.film.playbackRate = rate; }", rate)


def loaded(page: Any) -> None:
    """Waits until the browser has the whole film: it then plays on without a server."""
    end = time.monotonic() + PATIENT_S
    whole = "(film => film?.buffered.length > 0 && film.buffered.end(0) > film.duration - 0.2)(mienTakePart.film)"
    while not page.evaluate(whole):
        assert time.monotonic() < end, "the film is not loaded to its end"
        page.wait_for_timeout(50)


def frames(invited: Invited, code: str, stimulus: str = "s1") -> list[dict[str, Any]]:
    """What is kept of one film, in the order in which it came."""
    found: list[dict[str, Any]] = invited.kept(code)["measured"][stimulus]["looks"]
    return found


def until_there(invited: Invited, code: str, film_s: float, *, looks: int = 1) -> int:
    """Waits until the server has what was seen of one person up to this second of the film, in so many looks; how many it has."""
    end = time.monotonic() + PATIENT_S
    while True:
        times = [look["film_s"] for look in frames(invited, code, film_id(invited))]
        if len(times) >= looks and max(times) >= film_s:
            return len(times)
        assert time.monotonic() < end, f"not {looks} looks up to {film_s:g} s: {times}"
        time.sleep(0.1)


def film_id(invited: Invited) -> str:
    with invited.server.client() as client:
        return str(client.get(f"/api/studies/{invited.study}").json()["definition"]["stimuli"][0]["id"])


def noted(page: Any) -> dict[str, Any]:
    """What `participants.NOTES` saw in this page."""
    found: dict[str, Any] = page.evaluate("notes")
    return found


def whole(
    kept: list[dict[str, Any]],
    notes: dict[str, Any],
    *,
    end_s: float = FILM_S,
    every_s: float = EVERY_S,
    gap_s: float | None = None,
    stops: int | None = 1,
) -> None:
    """The film was looked at from its beginning to its end, without a hole; every look is kept, once.

    Where a machine holds the page up, looks are that much farther apart, and no more. `stops`: how often the looks ended, with the
    film or before: of those that are being made then, two at most, nothing comes. None where `notes` are of a part alone.
    """
    held_s, made_s = notes["held_s"], notes["made_s"]
    times = sorted(frame["film_s"] for frame in kept)
    gap_s = (3 * every_s if gap_s is None else gap_s) + 2 * held_s + max(0.0, made_s - every_s)
    assert times[0] <= gap_s, (times, notes)
    assert times[-1] >= end_s - gap_s, (times, notes)
    assert max(b - a for a, b in itertools.pairwise(times)) <= gap_s, (times, notes)
    assert len(times) >= 0.7 * end_s / max(every_s, held_s, made_s), (times, notes)
    assert len({(look["part"], look["sequence"]) for look in kept}) == len(kept)
    if stops is not None:
        assert len(kept) <= len(notes["taken"]) <= len(kept) + 2 * stops, (times, notes)


def settled(invited: Invited, code: str, **wanted: int) -> None:
    """Waits until the server knows what happened to the film: that is sent beside the rest, and may come after it."""
    end = time.monotonic() + PATIENT_S
    while True:
        quality = invited.kept(code)["quality"]["films"][film_id(invited)]
        found = {name: quality[name] for name in wanted}
        if found == wanted or time.monotonic() > end:
            break
        time.sleep(0.1)
    assert found == wanted


def sound(page: Any, width: int) -> None:
    """Nothing that axe calls serious, one heading, and nothing that is cut off."""
    assert serious(page) == []
    assert page.locator("h1").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.title().endswith("· mien")
    assert page.locator("header a[href='/'], nav a").count() == 0, "a way into the operator's pages"


# Each picture takes long to be made, so that the last ones of the quiet seconds are under way at their end; `atSpeed` says how many
# were begun, and has pictures made at once again.
SLOWLY = """
(() => {
  const make = window.createImageBitmap;
  let begun = 0;
  window.createImageBitmap = (...given) => {
    begun += 1;
    return new Promise((done) => setTimeout(done, 700)).then(() => make(...given));
  };
  window.atSpeed = () => ((window.createImageBitmap = make), begun);
})()
"""


# --- the whole way ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), *more((1280, "dark"))])
def test_the_whole_way(open_page: Open, camera: Any, study: Invited, width: int, scheme: str) -> None:
    page = open_page(study.path, within=camera, width=width, height=740, scheme=scheme)
    on(page, "Which language would you like?")
    sound(page, width)
    press(page, "English")
    on(page, "Two shapes")
    for words in ("Ada Lovelace", "About 4 times a second", "Article 50", "after 90 days", "voluntary"):
        expect(page.locator("main")).to_contain_text(words)
    sound(page, width)
    press(page, "Continue")
    on(page, "Your consent")
    expect(page.get_by_text("may be kept as well")).to_have_count(0)  # this study keeps no pictures
    press(page, "Agree and continue")
    expect(page.get_by_text("Please tick this box")).to_be_visible()
    sound(page, width)
    page.get_by_label("I have read this and agree").check()
    press(page, "Agree and continue")
    on(page, "Your code")
    code = page.locator(".code-shown").inner_text()
    assert re.fullmatch(r"([0-9A-Z]{4}-){2}[0-9A-Z]{4}", code)
    expect(page.get_by_role("main").get_by_role("link", name="withdraw")).to_be_visible()
    sound(page, width)
    press(page, "I have noted it")
    answer_before(page)
    sound(page, width)
    press(page, "Continue")
    on(page, "Camera check")
    press(page, "Turn on the camera")
    for words in ("Your face is seen", "You are near enough", "There is light enough", "You are alone in the picture"):
        expect(page.get_by_text(words)).to_be_visible()
    expect(page.locator(".mirror-face")).to_be_visible()
    sound(page, width)
    press(page, "Continue")
    on(page, "A quiet moment")
    sound(page, width)
    page.evaluate(SLOWLY)
    press(page, "I am ready")
    on(page, "Film 1")
    assert len(frames(study, code, "baseline")) == page.evaluate("window.atSpeed()")
    sound(page, width)
    hold(page, 1.0)
    press(page, "Start the film")
    at(page, 1.0)
    expect(page.locator(".film-stage:fullscreen")).to_be_visible()
    assert page.evaluate("[mienTakePart.film.controls, mienTakePart.film.muted]") == [False, False]
    assert serious(page) == []
    play_at(page, 1)
    answer_after(page)
    expect(page.locator(":fullscreen")).to_have_count(0)
    sound(page, width)
    press(page, "Continue")
    on(page, "Thank you!")
    expect(page.locator("svg.own-curve")).to_be_visible()
    expect(page.get_by_text("most often")).to_be_visible()
    sound(page, width)
    kept = study.kept(code)
    assert kept["step"] == "done"
    assert kept["answers"]["before"] == {"age": "young", "genres": ["comedy"], "mood": 5, "cinema": 12.5, "last": "Alien"}
    felt = kept["answers"]["after"]["felt"]
    assert felt == {label: number % 5 for number, label in enumerate(FERPLUS)}
    assert kept["answers"]["after"]["liked"] == 7
    looks = frames(study, code, film_id(study))
    whole(looks, noted(page))
    assert all(look["faces"] == 1 for look in looks)


@pytest.mark.more
def test_the_films_clock_is_the_films(open_page: Open, camera: Any, short: Invited) -> None:
    """The film's lightness tells its time; what the page says the time is, when a picture is taken, is compared with it."""
    page = open_page(short.path, within=camera)
    to_the_film(page, short)
    press(page, "Start the film")
    until(page, lambda now: now["playing"])
    pairs = page.evaluate(
        """async () => {
            const canvas = new OffscreenCanvas(8, 8), pen = canvas.getContext("2d", { willReadFrequently: true }), pairs = [];
            const { film } = mienTakePart;
            let shown_ms = -Infinity;
            const note = (_, { expectedDisplayTime }) => {
                shown_ms = expectedDisplayTime;
                film.requestVideoFrameCallback(note);
            };
            film.requestVideoFrameCallback(note);
            // A busy machine leaves a picture on the screen for longer than it is of the film, which says nothing of the clock.
            const fresh = () => performance.now() - shown_ms <= 60;
            const span_s = (times) => Math.max(...times) - Math.min(...times);
            const enough = () => pairs.length >= 20 && span_s(pairs.map(([film_s]) => film_s)) > 2.5;
            for (let round = 0; round < 8 && !enough(); round += 1) {
                if (round) {
                    film.currentTime = 0.2;
                    await new Promise((done) => film.addEventListener("seeked", done, { once: true }));
                    shown_ms = -Infinity;
                }
                while (!enough() && !mienTakePart.state.over && mienTakePart.state.film_s < 4.5) {
                    await new Promise((done) => setTimeout(done, 37));
                    if (!fresh()) continue;
                    pen.drawImage(film, 4, 4, 8, 8, 0, 0, 8, 8);
                    const { film_s } = mienTakePart.state;
                    const grey = pen.getImageData(2, 2, 1, 1).data[0];
                    if (fresh()) pairs.push([film_s, grey]);
                }
            }
            return pairs;
        }"""
    )
    assert len(pairs) >= 20
    assert max(p[0] for p in pairs) - min(p[0] for p in pairs) > 2.5
    wrong = sorted(abs(film_s - (grey - 10) / 40 - 0.05) for film_s, grey in pairs)  # a tenth of a second is 4 levels of grey
    assert wrong[int(0.9 * len(wrong))] < 0.16, pairs  # where the machine was busy, a picture is late


@pytest.mark.more
def test_films_in_order_with_a_break(open_page: Open, camera: Any, server: Server, film: Path) -> None:
    invited = open_study(server, [film, film], before=[], after=[], languages=["en"], baseline_s=0)
    page = open_page(invited.path, within=camera)
    code = agree(page, language=None)
    press(page, "I have noted it")
    check_camera(page)  # without quiet seconds the film comes at once
    expect(page.get_by_text("Film 1 of 2")).to_be_visible()
    press(page, "Start the film")
    on(page, "That was film 1 of 2")
    first = noted(page)
    page.reload()  # whoever closes the page in the break goes on with the second film
    check_camera(page)
    expect(page.get_by_text("Film 2 of 2")).to_be_visible()
    press(page, "Start the film")
    on(page, "Thank you!")
    kept = invited.kept(code)
    for stimulus, notes in zip(kept["order"], (first, noted(page)), strict=True):
        whole(kept["measured"][stimulus]["looks"], notes)


@pytest.mark.more
def test_a_note_that_is_slow_arrives_before_the_end(open_page: Open, camera: Any, short: Invited) -> None:
    """Nothing is noted of who has ended, so the steps after a film wait for the note that it has ended."""
    page = open_page(short.path, within=camera)
    code = to_the_film(page, short)
    order = []

    def noted_late(route: Any) -> None:
        if route.request.post_data_json["event"] == "end":
            page.wait_for_timeout(500)
            order.append("note")
        route.continue_()

    def stepped(route: Any) -> None:
        order.append(route.request.post_data_json["step"])
        route.continue_()

    page.route("**/api/participant/events", noted_late)
    page.route("**/api/participant/step", stepped)
    press(page, "Start the film")
    on(page, "Thank you!")
    assert order == ["note", "after", "done"]
    assert short.kept(code)["step"] == "done"


# --- what comes between ----------------------------------------------------------------------------------------------------------


@pytest.mark.more
def test_pause_and_go_on(open_page: Open, camera: Any, short: Invited) -> None:
    page = open_page(short.path, within=camera)
    code = to_the_film(page, short)
    hold(page, 1.5)
    press(page, "Start the film")
    at(page, 1.5)
    page.keyboard.press("Space")
    expect(page.get_by_role("dialog", name="Paused")).to_be_visible()
    paused_s = until(page, lambda now: not now["playing"])["film_s"]
    looks = noted(page)["looks"]
    page.wait_for_timeout(1200)
    assert state(page)["film_s"] == pytest.approx(paused_s, abs=0.05)
    assert noted(page)["looks"] == looks, "it went on looking in the pause"
    assert serious(page) == []
    play_at(page, 1)
    hold(page, paused_s + 0.5)
    page.keyboard.press("Enter")  # the button that goes on has the focus
    at(page, paused_s + 0.5)
    page.evaluate(HIDE, "hidden")
    expect(page.get_by_text("in another tab or app")).to_be_visible()
    page.evaluate(HIDE, "visible")
    play_at(page, 1)
    press(page, "Go on with the film")
    on(page, "Thank you!")
    whole(frames(short, code, film_id(short)), noted(page), stops=3)
    settled(short, code, pauses=2, hidden=1)


@pytest.mark.more
def test_the_network_goes_and_comes_back(line: Line, open_page: Open, camera: Any, short: Invited, watch: Watch) -> None:
    watch.expect(NO_LINE)
    page = open_page(short.path, within=camera, server=over(line))
    code = to_the_film(page, short)
    loaded(page)
    hold(page, 1.0)
    press(page, "Start the film")
    at(page, 1.0)
    line.cut()
    expect(page.get_by_text("Offline – will be sent later")).to_be_visible()
    play_at(page, 1)
    away = at(page, 4.0)
    assert away["link"] in ("waiting", "opening")
    assert away["unanswered"] > 5
    line.mend()
    on(page, "Thank you!")
    looks = frames(short, code, film_id(short))
    whole(looks, noted(page))
    assert sum(look["late"] for look in looks) >= away["unanswered"]


@pytest.mark.more
def test_the_film_ends_without_a_network(line: Line, open_page: Open, camera: Any, short: Invited, watch: Watch) -> None:
    watch.expect(NO_LINE)
    page = open_page(short.path, within=camera, server=over(line))
    code = to_the_film(page, short)
    loaded(page)
    hold(page, 3.0)
    press(page, "Start the film")
    at(page, 3.0)
    line.cut()
    play_at(page, 1)
    on(page, "The last pictures are being sent")
    expect(page.get_by_text(re.compile(r"Still to send: [1-9]"))).to_be_visible()
    expect(page.get_by_text("No connection. It goes on by itself.")).to_be_visible()
    line.mend()
    on(page, "Thank you!")
    whole(frames(short, code, film_id(short)), noted(page))


@pytest.mark.more
def test_the_server_dies_and_comes_back(
    open_page: Open, camera: Any, serve: Callable[..., Server], film: Path, watch: Watch
) -> None:
    watch.expect(NO_LINE)
    server = serve()
    invited = open_study(server, [film], before=[], after=[], languages=["en"], baseline_s=0)
    page = open_page(invited.path, within=camera, server=server)
    code = agree(page, language=None)
    press(page, "I have noted it")
    check_camera(page)
    loaded(page)
    hold(page, 2.0)
    press(page, "Start the film")
    at(page, 2.0)
    server.kill()
    until(page, lambda now: now["link"] != "open")
    play_at(page, 1)
    server.start()
    on(page, "Thank you!")
    whole(frames(invited, code, film_id(invited)), noted(page))


@pytest.mark.more
def test_a_closed_tab_goes_on_where_it_stopped(open_page: Open, camera: Any, short: Invited) -> None:
    page = open_page(short.path, within=camera)
    code = to_the_film(page, short)
    hold(page, 2.5)
    press(page, "Start the film")
    at(page, 2.5)
    until_there(short, code, 2.0)
    context = page.context
    page.close()
    page = open_page(short.path, server=short.server, context=context)
    on(page, "Welcome back")
    expect(page.locator("main")).to_contain_text(code)
    sound(page, 1280)
    press(page, "Go on where I stopped")
    on(page, "Camera check")
    check_camera(page)
    expect(page.get_by_text(re.compile(r"It goes on at 0:0[23]"))).to_be_visible()
    press(page, "Go on with the film")
    on(page, "Thank you!")
    looks = frames(short, code, film_id(short))
    whole(looks, noted(page), gap_s=1.0, stops=None)
    assert {look["part"] for look in looks} == {0, 1}
    assert len(short.viewers()) == len({viewer["name"] for viewer in short.viewers()})


@pytest.mark.more
def test_somebody_else_before_the_same_device(open_page: Open, camera: Any, short: Invited) -> None:
    page = open_page(short.path, within=camera)
    code = agree(page, language=None)
    context = page.context
    page.close()
    page = open_page(short.path, server=short.server, context=context)
    press(page, "I am somebody else")
    assert agree(page, language=None) != code


@pytest.mark.more
def test_on_with_the_code_on_another_device(open_page: Open, camera: Any, study: Invited) -> None:
    page = open_page(study.path, within=camera)
    code = agree(page)
    press(page, "I have noted it")
    answer_before(page)
    end = time.monotonic() + PATIENT_S
    while study.kept(code)["answers"].get("before", {}).get("last") != "Alien":  # answers go to the server by themselves
        assert time.monotonic() < end, "the answers do not come"
        page.wait_for_timeout(50)
    other = open_page(study.path, within=camera, locale="de-DE")
    press(other, "Deutsch")
    press(other, "Ich habe einen Code von einem früheren Besuch")
    other.get_by_label("Ihr Code").fill("falsch")
    press(other, "Weiter")
    expect(other.get_by_text("Der Code hat zwölf Buchstaben und Ziffern.")).to_be_visible()
    other.get_by_label("Ihr Code").fill(code.lower().replace("-", " "))
    press(other, "Weiter")
    on(other, "Zuerst ein paar Fragen")  # in the language that was chosen there
    expect(other.get_by_label("Which film did you see last?")).to_have_value("Alien")
    expect(other.get_by_label("unter 40")).to_be_checked()


@pytest.mark.more
def test_answers_outlive_a_reload_and_a_change_of_language(open_page: Open, study: Invited) -> None:
    page = open_page(study.path)
    agree(page)
    press(page, "I have noted it")
    answer_before(page)
    page.get_by_label("How often were you at the cinema").fill("many")  # not right, and kept all the same
    page.reload()
    on(page, "A few questions first")
    expect(page.get_by_label("How often were you at the cinema")).to_have_value("many")
    expect(page.get_by_label("comedies")).to_be_checked()
    page.get_by_label("Language").select_option("de")
    on(page, "Zuerst ein paar Fragen")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page).to_have_title(re.compile("^Zuerst ein paar Fragen"))
    expect(page.get_by_label("Komödien")).to_be_checked()
    expect(page.get_by_label("dramas")).to_be_visible()  # not translated by the operator: the first language stands in
    press(page, "Weiter")
    expect(page.get_by_text("Bitte geben Sie eine Zahl ein.")).to_be_visible()
    field = page.get_by_label("How often were you at the cinema")
    expect(field).to_be_focused()
    field.fill("900")
    press(page, "Weiter")
    expect(page.get_by_text("Bitte geben Sie 400 oder weniger ein.")).to_be_visible()
    field.fill("9")
    expect(page.get_by_text("Es fehlt noch etwas")).to_be_hidden()
    press(page, "Weiter")
    on(page, "Kameraprüfung")


@pytest.mark.more
def test_required_answers(open_page: Open, study: Invited) -> None:
    page = open_page(study.path)
    agree(page)
    press(page, "I have noted it")
    press(page, "Continue")
    expect(page.get_by_text("Please answer this question.")).to_have_count(2)
    summary = page.locator(".questions > .notice.bad")
    expect(summary.get_by_role("link")).to_have_count(2)
    summary.get_by_role("link", name="How awake are you?").click()
    page.keyboard.press("ArrowRight")  # a scale is used with arrow keys, not by dragging
    expect(page.get_by_role("group", name="How awake are you?").get_by_role("radio", checked=True)).to_have_count(1)
    expect(summary.get_by_role("link")).to_have_count(1)
    page.get_by_label("comedies").check()
    page.get_by_label("comedies").uncheck()


@pytest.mark.more
def test_by_keyboard_alone(open_page: Open, study: Invited) -> None:
    page = open_page(study.path)

    def go(name: str) -> None:
        wanted = page.get_by_role("main").get_by_text(name, exact=True).last
        expect(wanted).to_be_visible()
        for _ in range(60):
            if page.evaluate("document.activeElement?.textContent ?? ''") == name:
                break
            page.keyboard.press("Tab")
        expect(wanted).to_be_focused()
        page.keyboard.press("Enter")

    on(page, "Which language would you like?")
    go("English")
    on(page, "Two shapes")
    go("Continue")
    on(page, "Your consent")
    for _ in range(30):
        if page.evaluate("document.activeElement?.id") == "agree":
            break
        page.keyboard.press("Tab")
    expect(page.locator("#agree")).to_be_focused()
    page.keyboard.press("Space")
    go("Agree and continue")
    on(page, "Your code")
    expect(page.locator("h1")).to_be_focused()  # a new page is read from its heading
    go("I have noted it")
    on(page, "A few questions first")


# --- the camera ------------------------------------------------------------------------------------------------------------------


def to_the_camera(open_page: Open, invited: Invited, within: Any, init: str = PUPPET) -> Any:
    page = open_page("/withdraw", within=within, server=invited.server)
    page.context.add_init_script(init)
    page.goto(invited.path)
    agree(page, language=None)
    press(page, "I have noted it")
    on(page, "Camera check")
    return page


@pytest.mark.parametrize(
    ("fault", "title"),
    [
        ("NotAllowedError", "The camera is not allowed"),
        *more(
            ("NotFoundError", "No camera was found"),
            ("NotReadableError", "Another program uses the camera"),
            ("TypeError", "The camera does not start"),
        ),
    ],
)
def test_a_camera_that_does_not_open(open_page: Open, camera: Any, short: Invited, fault: str, title: str) -> None:
    page = to_the_camera(open_page, short, camera)
    page.evaluate("fault => (puppet.fail = fault)", fault)
    press(page, "Turn on the camera")
    expect(page.get_by_text(title)).to_be_visible()
    sound(page, 1280)
    page.evaluate("puppet.fail = null")
    press(page, "Try again")
    press(page, "Continue")
    on(page, "A quiet moment")


@pytest.mark.more
def test_without_a_safe_address(open_page: Open, camera: Any, short: Invited) -> None:
    unsafe = PUPPET + "; Object.defineProperty(window, 'isSecureContext', { get: () => false });"
    page = to_the_camera(open_page, short, camera, unsafe)
    expect(page.get_by_text("The camera needs a safe address")).to_be_visible()
    expect(page.locator("main")).to_contain_text("ada@example.org")


@pytest.mark.more
def test_nobody_in_the_dark_and_on_all_the_same(
    open_page: Open, launch: Callable[..., Any], short: Invited, tmp_path: Path
) -> None:
    dark = participants.nobody(tmp_path / "dark.mjpeg")
    page = open_page(short.path, within=launch(CAMERA, ALLOW, f"--use-file-for-fake-video-capture={dark}"))
    agree(page, language=None)
    press(page, "I have noted it")
    press(page, "Turn on the camera")
    expect(page.get_by_text("No face is seen.")).to_be_visible()
    expect(page.get_by_text("It is too dark.")).to_be_visible()
    expect(page.get_by_role("button", name="Continue", exact=True)).to_be_hidden()
    sound(page, 1280)
    press(page, "Continue all the same")  # comes after a while: nobody is held up for ever
    rest(page)
    expect(page.get_by_text("Your face was not seen long enough")).to_be_visible()
    expect(page.get_by_role("button", name="Once more")).to_be_visible()


@pytest.mark.more
def test_two_people_before_one_camera(open_page: Open, launch: Callable[..., Any], short: Invited, camera_file: Path) -> None:
    page = open_page(short.path, within=launch(CAMERA, ALLOW, f"--use-file-for-fake-video-capture={camera_file}"))
    agree(page, language=None)
    press(page, "I have noted it")
    press(page, "Turn on the camera")
    expect(page.get_by_text("Several people are seen.")).to_be_visible()


@pytest.mark.more
def test_the_camera_goes_during_the_film(open_page: Open, camera: Any, short: Invited) -> None:
    page = to_the_camera(open_page, short, camera)
    code = state(page)["code"]
    check_camera(page)
    rest(page)
    hold(page, 1.5)
    press(page, "Start the film")
    at(page, 1.5)
    page.evaluate("{ const [track] = puppet.stream.getVideoTracks(); track.stop(); track.dispatchEvent(new Event('ended')); }")
    expect(page.get_by_role("dialog").get_by_text("The camera is gone")).to_be_visible()
    page.evaluate("puppet.fail = 'NotReadableError'")
    press(page, "Turn on the camera")
    expect(page.get_by_role("dialog").get_by_text("Another program uses the camera")).to_be_visible()
    page.evaluate("puppet.fail = null")
    play_at(page, 1)
    press(page, "Turn on the camera")
    on(page, "Thank you!")
    whole(frames(short, code, film_id(short)), noted(page), stops=2)
    settled(short, code, camera_lost=1)


# --- events, windows, ends -------------------------------------------------------------------------------------------------------


@pytest.mark.more
def test_a_live_event(open_page: Open, camera: Any, server: Server) -> None:
    invited = open_study(server, events=1, before=[], after=[], languages=["en"], baseline_s=0)
    page = open_page(invited.path, within=camera, width=360, height=740)
    expect(page.get_by_text("As long as the event lasts")).to_be_visible()
    code = agree(page, language=None)
    press(page, "I have noted it")
    check_camera(page)
    on(page, "Event 1")
    press(page, "Start")
    expect(page.get_by_role("timer")).to_have_text(re.compile(r"0:(0[2-9]|[1-5]\d)"))
    sound(page, 360)

    def clock() -> tuple[float, float, float]:
        """The event's clock, between two moments of this one."""
        before_s = time.monotonic()
        film_s = until(page, lambda now: "film_s" in now)["film_s"]
        return film_s, before_s, time.monotonic()

    first_s, *first_at = clock()
    notes = noted(page)
    page.reload()  # the event goes on meanwhile, and so does its clock
    check_camera(page)
    expect(page.get_by_role("timer")).to_have_text(re.compile(r"\d:\d\d"))
    then_s, *then_at = clock()
    assert then_at[0] - first_at[1] - 0.2 <= then_s - first_s <= then_at[1] - first_at[0] + 0.2
    until_there(invited, code, max(5.0, then_s))
    press(page, "Stop")
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    on(page, "Thank you!")
    times = [look["film_s"] for look in frames(invited, code, "e1")]
    assert times[0] < 1 + 2 * notes["held_s"] + notes["made_s"]
    assert times == sorted(times)
    assert max(b - a for a, b in itertools.pairwise(times)) > 1, "the reload left no hole?"


@pytest.mark.more
def test_another_window_takes_over(open_page: Open, camera: Any, short: Invited) -> None:
    page = open_page(short.path, within=camera)
    to_the_film(page, short)
    hold(page, 1.0)
    press(page, "Start the film")
    at(page, 1.0)
    other = open_page(short.path, server=short.server, context=page.context)
    press(other, "Go on where I stopped")
    press(other, "Turn on the camera")
    on(page, "It goes on in another window")
    other.close()
    press(page, "Go on here")
    on(page, "Camera check")


@pytest.mark.more
def test_another_window_takes_over_while_the_last_pictures_are_sent(open_page: Open, camera: Any, short: Invited) -> None:
    """The film is over, and nothing is answered any more: what is said then must not stand for ever."""
    sockets: list[Any] = []
    silent = False

    def socket(route: Any) -> None:
        sockets.append(route)
        if not silent:
            route.connect_to_server().on_message(lambda message: None if silent else route.send(message))

    page = open_page("/withdraw", within=camera, server=short.server)
    page.route_web_socket("**/api/participant/live", socket)
    page.goto(short.path)
    to_the_film(page, short)
    hold(page, 0.5, QUICK)
    press(page, "Start the film")
    at(page, 0.5)
    silent = True
    on(page, "The last pictures are being sent")
    sockets[-1].close(code=4409)
    on(page, "It goes on in another window")


@pytest.mark.more
def test_leaving_in_the_middle(open_page: Open, camera: Any, short: Invited) -> None:
    page = open_page(short.path, within=camera)
    code = to_the_film(page, short)
    hold(page, 1.5)
    press(page, "Start the film")
    at(page, 1.5)
    before = until_there(short, code, 1.0, looks=5)
    box = page.get_by_role("button", name="Leave", exact=True).bounding_box()
    for beside in (0, 1, 2):  # a mouse that rests on the bar keeps it
        page.mouse.move(box["x"] + box["width"] / 2 + beside, box["y"] + box["height"] / 2)
    press(page, "Leave")
    dialog = page.get_by_role("dialog", name="Leave the study?")
    expect(dialog.get_by_role("button", name="Stay")).to_be_focused()
    dialog.get_by_role("button", name="Leave").click()
    on(page, "You have left the study")
    assert short.kept(code)["step"] == "left"
    assert len(frames(short, code, film_id(short))) >= before
    page.reload()
    on(page, "You have left the study")


def test_declining_keeps_nothing(open_page: Open, study: Invited) -> None:
    before = len(study.viewers())
    page = open_page(study.path)
    press(page, "English")
    press(page, "I would rather not")
    on(page, "That is quite all right")
    press(page, "Back to the information")
    press(page, "Continue")
    press(page, "I do not agree")
    on(page, "That is quite all right")
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    assert page.context.cookies() == []
    assert len(study.viewers()) == before


def test_withdraw(open_page: Open, camera: Any, short: Invited, watch: Watch) -> None:
    watch.expect("status of 401")
    page = open_page(short.path, within=camera, width=360, height=740)
    code = to_the_film(page, short)
    hold(page, 0.5, QUICK)
    press(page, "Start the film")
    at(page, 0.5)
    on(page, "Thank you!")
    with page.expect_download() as started:
        press(page, "Download what is kept about me")
    assert started.value.suggested_filename.endswith(".json")
    page.get_by_role("contentinfo").get_by_role("link", name="Withdraw").click()
    on(page, "Withdraw from a study")
    sound(page, 360)
    page.get_by_label("Your code").fill("0000-0000-0000")
    press(page, "Show what is kept")
    expect(page.get_by_text("Nothing is kept under this code.")).to_be_visible()
    page.get_by_label("Your code").fill(f" {code.lower()} ")
    press(page, "Show what is kept")
    on(page, "What is kept under this code")
    expect(page.locator("main")).to_contain_text("Shapes alone")
    expect(page.locator("main")).to_contain_text(re.compile("Film 1, until 0:0[56]"))
    sound(page, 360)
    press(page, "Erase everything")
    dialog = page.get_by_role("dialog", name="Really erase everything?")
    expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
    sound(page, 360)
    dialog.get_by_role("button", name="Keep it").click()
    assert short.kept(code)["step"] == "done"
    press(page, "Erase everything")
    dialog.get_by_role("button", name="Erase everything").click()
    on(page, "Everything is erased")
    expect(page.locator(".proof")).to_contain_text(
        re.compile(r"entries: [1-9]\d* · files: [1-9]\d*.*entries: 0 · files: 0", re.DOTALL)
    )
    sound(page, 360)
    with short.server.client() as client:
        assert client.get("/api/participant", headers={"X-Participant-Code": code}).status_code == 401
    page.goto(short.path)
    on(page, "Shapes alone")  # nobody is remembered here


@pytest.mark.more
def test_invitations_that_lead_nowhere(open_page: Open, study: Invited, watch: Watch) -> None:
    watch.expect("status of 404")
    page = open_page("/take-part/nosuchinvitation", server=study.server, locale="tr-TR")
    on(page, "Bu bağlantı bir çalışmaya gitmiyor")
    with study.server.client() as client:
        where = f"/api/studies/{study.study}/invitations"
        made = client.post(where, json={"label": "Shut"}).json()["id"]
        client.patch(f"{where}/{made}", json={"closed": True}).raise_for_status()
    page = open_page(f"/take-part/{made}", server=study.server)
    on(page, "This study is not open at the moment")
    sound(page, 1280)


@pytest.mark.more
def test_the_consent_changes_while_it_is_read(open_page: Open, server: Server, film: Path, watch: Watch) -> None:
    watch.expect("status of 409")
    invited = open_study(server, [film], languages=["en"])
    page = open_page(invited.path)
    press(page, "Continue")
    with server.client() as client:
        client.patch(
            f"/api/studies/{invited.study}", json={"consent": {"version": 1, "text": {"en": "Another text."}}}
        ).raise_for_status()
    page.get_by_label("I have read this and agree").check()
    press(page, "Agree and continue")
    expect(page.get_by_text("This text was changed a moment ago.")).to_be_visible()
    expect(page.get_by_text("Another text.")).to_be_visible()
    page.get_by_label("I have read this and agree").check()
    press(page, "Agree and continue")
    on(page, "Your code")


@pytest.mark.more
def test_pictures_are_asked_for_separately(open_page: Open, server: Server, film: Path) -> None:
    invited = open_study(server, [film], languages=["en"], keep="pictures")
    for wanted in (False, True):
        page = open_page(invited.path)
        press(page, "Continue")
        page.get_by_label("I have read this and agree").check()
        pictures = page.get_by_label("The pictures of my face may be kept as well.")
        expect(pictures).not_to_be_checked()
        if wanted:
            pictures.check()
        press(page, "Agree and continue")
        on(page, "Your code")
        assert invited.kept(page.locator(".code-shown").inner_text())["pictures"] is wanted


@pytest.mark.more
@pytest.mark.parametrize("language", ["fr", "de", "tr"])
def test_every_language_fits_a_phone(open_page: Open, study: Invited, language: str) -> None:
    """Through the preview, whose pages are the same: every button that goes on is the first of its page."""
    page = open_page(f"/studies/{study.study}/preview", server=study.server, width=360, height=740)
    page.get_by_role("main").locator(f".language-choice[lang={language}]").click()
    seen: list[str] = []
    heading, there = page.locator("h1"), page.locator(".actions, .code-shown").first
    for _ in range(12):
        expect(there).to_be_visible()
        seen.append(heading.inner_text())
        sound(page, 360)
        if state(page)["step"] == "done":
            break
        for box in page.locator("#agree").all():
            box.check()
        for name in ("age", "mood", "liked"):
            page.locator(f"[name=q-{name}]").first.check() if page.locator(f"[name=q-{name}]").count() else None
        for label in FERPLUS:
            page.locator(f"[name=q-felt-{label}]").last.check() if page.locator(f"[name=q-felt-{label}]").count() else None
        page.locator(".actions button").first.click()
        if page.locator(".film-stage").count():
            play_at(page, QUICK)
        expect(heading).not_to_have_text(seen[-1])
    expect(page.locator(".code-shown")).to_be_visible()
    assert len(set(seen)) >= 7, seen


@pytest.mark.more
def test_a_preview_asks_for_nothing_and_keeps_nothing(open_page: Open, study: Invited) -> None:
    before = len(study.viewers())
    page = open_page(f"/studies/{study.study}/preview", server=study.server)
    expect(page.get_by_text("This is a preview.")).to_be_visible()
    agree(page)
    press(page, "I have noted it")
    answer_before(page)
    press(page, "Continue")
    press(page, "Continue")
    hold(page, 0.5, QUICK)
    press(page, "Start the film")
    at(page, 0.5)
    answer_after(page)
    press(page, "Continue")
    on(page, "Thank you!")
    assert len(study.viewers()) == before
    assert page.evaluate("localStorage.length") == 0
