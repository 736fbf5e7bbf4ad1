"""The whole way of a reaction review in a real browser: from the operator's idea, through three people before their cameras, one of
whom loses the network, one of whom closes the tab and one of whom withdraws, to a report that is right at each step.

`MIEN_SCREENSHOTS=DIR` keeps pictures of every page of the way, wide and narrow.
"""

import csv
import io
import json
import os
import sqlite3
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pypdfium2
import pytest
from playwright.sync_api import expect
from websockets.sync.client import connect

from browser import films, studies
from browser.conftest import Open, Watch
from browser.line import Line, over
from browser.participants import Invited, Noted
from browser.test_room import review
from browser.test_studies import saved, tab
from browser.test_take_part import (
    ALLOW,
    CAMERA,
    NO_LINE,
    at,
    check_camera,
    hold,
    loaded,
    noted,
    on,
    play_at,
    press,
    rest,
    settled,
    until_there,
    whole,
)
from contents import holding
from mien.demo import FPS, PORTRAITS, TALKER, installed_file, scenes
from mien.labels import FERPLUS
from mien.media import read_picture
from mien.study_report import sample_film
from mien.types import FAILING, MIN_RELIABILITY
from mien.web.capture.wire import FrameHead, pack_frame
from serving import Server

FILM_S, EVERY_S = 26.0, 0.5
OFFLINE_S = (2.0, 22.0)
"""The part of the film without a network."""
FROM_S = 14.0
"""The part of the sample study's film that is shown: a hat falls on the balloon, a bird comes, it rains."""

WIDTHS = {1280: 900, 390: 844}
PATIENT_S = 60.0
LEVELS = ("not at all", "a little", "somewhat", "strongly", "very strongly")

Look = Callable[..., None]


# What the page has taken and what is still unanswered, at one moment.
STOCK = "({ taken: notes.taken.length, ...mienTakePart.state })"


@dataclass(frozen=True)
class Said:
    """What one person answers."""

    age: str
    cinema: int
    liked: int
    felt: dict[str, int]
    pace: int
    words: str


PEOPLE = (
    Said("under 40", 12, 6, {"happiness": 3, "surprise": 2}, 2, "The hat, when it fell"),
    Said("under 40", 4, 7, {"happiness": 4, "sadness": 1}, 4, "That the bird sat in the hat"),
    Said("40 or more", 31, 2, {"neutral": 4}, 5, "Nothing but ZEBULON-QUAGGA-ALONE"),
)
SECRET = "ZEBULON-QUAGGA-ALONE"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """26 s of a drawn film, for whoever takes part."""
    from mien.media import VideoWriter

    path = tmp_path_factory.mktemp("film") / "The little balloon.mp4"
    first = round(FROM_S * sample_film.FPS)
    frames = islice(sample_film.frames(), first, first + round(FILM_S * sample_film.FPS))
    with VideoWriter(path, sample_film.WIDTH, sample_film.HEIGHT, fps_hint=sample_film.FPS) as writer:
        for number, rgb in enumerate(frames):
            writer.write(rgb, number / sample_film.FPS)
    return path


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """What three fake cameras play, over and over: two portraits from near, and a man who talks."""
    folder = tmp_path_factory.mktemp("faces")
    portraits = [installed_file(package, name) for package, name in PORTRAITS]
    talker = installed_file(*TALKER)
    if talker is None or None in portraits:
        pytest.skip("needs the faces of: pip install 'mien[demo]'")
    seconds = round(3 * FPS)
    near = [read_picture(path).rgb for path in portraits if path is not None]
    near = [rgb[: round(0.6 * len(rgb)), rgb.shape[1] // 8 : -rgb.shape[1] // 8] for rgb in near]
    shots = [list(islice(scenes([rgb], None), seconds)) for rgb in near]
    shots.append(list(islice(scenes([], talker), round(5 * FPS))))
    return [films.motion_jpeg(folder / f"{k}.mjpeg", shot, round(FPS)) for k, shot in enumerate(shots)]


@pytest.fixture
def look() -> Look:
    """look(page, name, widths=…) keeps a picture of a page in each width, where pictures are wanted."""
    wanted = os.environ.get("MIEN_SCREENSHOTS")
    numbers = iter(range(1, 1000))

    def looked(page: Any, name: str, widths: tuple[int, ...] = tuple(WIDTHS)) -> None:
        if not wanted:
            return
        number, size = next(numbers), page.viewport_size
        for width in widths:
            if page.viewport_size["width"] != width:
                page.set_viewport_size({"width": width, "height": WIDTHS[width]})
                page.wait_for_timeout(600)
            page.screenshot(path=Path(wanted) / f"{number:02d}-{name}-{width}.png", full_page=True)
        if page.viewport_size != size:
            page.set_viewport_size(size)

    if wanted:
        Path(wanted).mkdir(parents=True, exist_ok=True)
    return looked


# --- what the operator does ------------------------------------------------------------------------------------------------------


def asked(page: Any, part: str, kind: str, words: str, *, must: bool = False) -> Any:
    """Adds a question; its card, open for writing."""
    page.get_by_role("group", name=f"Add a question {part} the film").get_by_role("button", name=kind, exact=True).click()
    card = page.locator(".question.open")
    card.get_by_label("Question", exact=True).fill(words)
    if must:
        card.get_by_role("checkbox", name="Must be answered").check()
    return card


def make_study(page: Any, film: Path, look: Look) -> tuple[str, str]:
    """On the pages alone: from nothing to an open study and a link; the ids of both."""
    page.goto("/studies")
    expect(page.locator("#empty")).to_be_visible()
    look(page, "studies-empty")
    page.get_by_role("button", name="New study").first.click()
    dialog = page.get_by_role("dialog", name="New study")
    dialog.get_by_label("Title").fill("The little balloon, rough cut")
    dialog.get_by_label("What it is for").select_option("film_test")
    look(page, "new-study")
    dialog.get_by_role("button", name="Make the study").click()
    page.wait_for_url("**/studies/*")
    look(page, "study-new")
    page.get_by_label("What it is about").fill("A drawn film of half a minute about a balloon and a hat, and six questions.")
    page.get_by_label("Who runs it").fill("Ada Example, ada@example.org")
    page.get_by_label("How often to look").select_option(label="Twice a second")
    page.get_by_label("Look at the face at rest first").select_option(label="3 seconds")
    page.get_by_label("Show results from").fill("2")
    saved(page)
    look(page, "study-facts")

    tab(page, "Films")
    look(page, "films-none")
    page.locator("#panel-films input[type=file]").set_input_files(film)
    expect(page.get_by_role("button", name=f"Watch: {film.stem}")).to_be_visible(timeout=PATIENT_S * 1000)
    page.get_by_role("button", name=f"Watch: {film.stem}").click()
    expect(page.locator(".film-seen")).to_be_visible()
    expect(page.locator(".film-seen")).not_to_have_js_property("readyState", 0)
    look(page, "films")
    tab(page, "Consent")
    look(page, "consent")

    tab(page, "Questions")
    look(page, "questions-none")
    card = asked(page, "before", "One choice", "How old are you?", must=True)
    card.get_by_role("textbox", name="Answer 1").fill("under 40")
    card.get_by_role("textbox", name="Answer 2").fill("40 or more")
    asked(page, "before", "Number", "How often were you at the cinema this year?")
    asked(page, "after", "Liking", "How much did you like the film?", must=True)
    asked(page, "after", "Eight emotions", "How strongly did you feel each of these?", must=True)
    card = asked(page, "after", "Scale of 5", "How was the pace?")
    card.get_by_label("Words at the low end").fill("too slow")
    card.get_by_label("Words at the high end").fill("too fast")
    look(page, "questions-scale")
    asked(page, "after", "Long text", "What will you remember?")
    saved(page)
    look(page, "questions")

    tab(page, "Groups")
    page.get_by_role("button", name="Add groups").click()
    page.keyboard.type("Age")
    page.get_by_role("radio", name="an answer").check()
    saved(page)
    look(page, "groups")
    page.get_by_role("button", name="Open the study").click()
    expect(page.locator("#state")).to_have_text("Open")

    tab(page, "Invitations")
    page.get_by_label("For whom").fill("Friends of the cinema")
    page.get_by_role("button", name="Make the invitation").click()
    card = page.locator(".invitation")
    expect(card).to_contain_text("nobody yet")
    expect(page.get_by_label("For whom")).to_have_value("")
    look(page, "invitations")
    link = str(card.get_by_role("link", name="Open here").get_attribute("href"))
    tab(page, "People")
    look(page, "people-none")
    return page.url.split("/studies/")[1].split("#")[0], link.rsplit("/", 1)[1]


def fact(page: Any, name: str) -> Any:
    """A number at the head of the report."""
    return page.locator("#review-head .facts > div", has=page.get_by_text(name, exact=True)).locator("dd")


def chart(page: Any, words: str) -> Any:
    """The card of a question in the report."""
    return page.locator("#review-answers article", has=page.get_by_role("heading", name=words))


def columns(page: Any, words: str) -> Any:
    """How many gave each answer."""
    return chart(page, words).locator(".column-n")


# --- what the participants do ----------------------------------------------------------------------------------------------------


def to_the_film(page: Any, said: Said, look: Look) -> str:
    """From the invitation to the button that starts the film; the code."""
    on(page, "The little balloon, rough cut")
    look(page, "take-part-about")
    press(page, "Continue")
    on(page, "Your consent")
    look(page, "take-part-consent")
    page.get_by_label("I have read this and agree").check()
    press(page, "Agree and continue")
    on(page, "Your code")
    look(page, "take-part-code")
    code = str(page.locator(".code-shown").inner_text())
    press(page, "I have noted it")
    on(page, "A few questions first")
    page.get_by_label(said.age).check()
    page.get_by_label("How often were you at the cinema").fill(str(said.cinema))
    look(page, "take-part-before")
    press(page, "Continue")
    on(page, "Camera check")
    look(page, "take-part-camera-off")
    press(page, "Turn on the camera")
    expect(page.get_by_text("Your face is seen")).to_be_visible()
    expect(page.get_by_text("You are alone in the picture")).to_be_visible()
    look(page, "take-part-camera")
    press(page, "Continue")
    on(page, "A quiet moment")
    look(page, "take-part-rest")
    rest(page)
    expect(page.get_by_role("button", name="Start the film")).to_be_visible()
    look(page, "take-part-film-before")
    return code


def answer(page: Any, said: Said, look: Look) -> None:
    """The questions after the film, to the thanks."""
    expect(page.get_by_role("heading", level=1, name="A few questions to finish")).to_be_visible(timeout=PATIENT_S * 1000)
    page.get_by_role("group", name="How much did you like").get_by_role("radio", name=str(said.liked)).check()
    for label in FERPLUS:
        row = page.get_by_role("radiogroup", name=label)
        row.get_by_role("radio", name=LEVELS[said.felt.get(label, 0)], exact=True).check()
    page.get_by_role("group", name="How was the pace?").get_by_role("radio", name=str(said.pace)).check()
    page.get_by_label("What will you remember?").fill(said.words)
    look(page, "take-part-after")
    press(page, "Continue")
    on(page, "Thank you!")
    expect(page.locator("svg.own-curve")).to_be_visible()
    look(page, "take-part-done")


def looks_of(invited: Invited, code: str) -> list[dict[str, Any]]:
    """All that was seen of one person while the film played."""
    measured = invited.kept(code)["measured"]
    (looks,) = [film["looks"] for stimulus, film in measured.items() if stimulus != "baseline"]
    return list(looks)


def report_of(invited: Invited, code: str, name: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What was seen of one person whose page is closed, and the report of just that: what was on its way then has come."""
    end = time.monotonic() + PATIENT_S
    while True:
        looks, found = looks_of(invited, code), review(invited.server, invited.study)
        if of(found, name)["looks"] == len(looks):
            return looks, found
        assert time.monotonic() < end, f"{of(found, name)['looks']} looks in the report, {len(looks)} are kept"


def complete(looks: list[dict[str, Any]], page: Any, *, stops: int | None = 1) -> None:
    """A look at each half second of the film from its beginning to its end, each one once."""
    photographed = bool(os.environ.get("MIEN_SCREENSHOTS"))  # which stops the page for a moment
    whole(looks, noted(page), end_s=FILM_S, every_s=EVERY_S, gap_s=(6 if photographed else 3) * EVERY_S, stops=stops)
    assert all(look["faces"] == 1 for look in looks)


def throughout(found: list[int | None], *people: list[dict[str, Any]]) -> None:
    """All of them count whenever all were looked at and could be read. A browser on a busy machine leaves out a look here and
    there."""
    cells = [
        {
            round(look["film_s"] / EVERY_S)
            for look in looks
            if abs(look["film_s"] / EVERY_S % 1 - 0.5) > 0.01
            and look["reliability"] >= MIN_RELIABILITY
            and not set(look["flags"]) & set(FAILING)
        }
        for looks in people
    ]
    together = [k for k in range(len(found)) if all(k in each for each in cells)]
    assert together
    assert [found[k] for k in together] == [len(people)] * len(together), found
    assert max(n or 0 for n in found) == len(people)


# --- what the report must say ----------------------------------------------------------------------------------------------------


def questions(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {question["title"]: question for question in found["questions"]}


def tells(found: dict[str, Any], people: tuple[Said, ...]) -> None:
    """The review's charts hold the answers of these people and nothing else."""
    by = questions(found)
    assert {title: question["n"] for title, question in by.items()} == dict.fromkeys(by, len(people))
    for option in by["How old are you?"]["counts"]:  # what fewer than two people chose is not told
        assert option["n"] in (None, sum(one.age == option["title"] for one in people))
        assert option["n"] != 1
    assert by["How often were you at the cinema this year?"]["mean"] == pytest.approx(np.mean([p.cinema for p in people]), abs=0.06)
    steps(by["How much did you like the film?"], [one.liked for one in people])
    steps(by["How was the pace?"], [one.pace for one in people])
    felt = by["How strongly did you feel each of these?"]["emotions"]
    for label in felt:
        assert felt[label] == {"mean": pytest.approx(np.mean([one.felt.get(label, 0) for one in people]), abs=0.06)}, label
    assert (by["What will you remember?"]["texts"], by["What will you remember?"]["withheld"]) == ([], len(people))


def steps(question: dict[str, Any], answers: list[int]) -> None:
    """A scale's columns are of neighbouring steps, none of one person, and hold everybody's answers."""
    for column in question["counts"]:
        ends = [int(end) for end in str(column["id"]).split("–")]
        assert column["n"] == sum(ends[0] <= one <= ends[-1] for one in answers)
        assert column["n"] != 1
    assert sum(column["n"] for column in question["counts"]) == len(answers)


def hides(found: dict[str, Any], words: str) -> None:
    """Nothing but how many there are."""
    assert found["hidden"] == found["headline"] == words
    assert found["counts"]["shown"] == 0
    (part,) = found["stimuli"]
    assert part["curves"] is part["synchrony"] is part["attention"] is None
    assert part["groups"] == {}
    assert part["moments"] == part["facts"] == part["times"] == []
    assert all(
        set(question) <= {"id", "part", "kind", "title", "low", "high", "n", "hidden", "by_group"}
        for question in found["questions"]
    )
    assert found["agreement"] is None
    assert all(viewer["groups"] == {} for viewer in found["viewers"])
    assert [value["n"] for value in found["variables"][0]["values"]] == [None, None]


def of(found: dict[str, Any], name: str) -> dict[str, Any]:
    (viewer,) = [viewer for viewer in found["viewers"] if viewer["name"] == name]
    return dict(viewer)


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def downloaded(page: Any, name: str, folder: Path) -> Path:
    """A file from the menu of the report."""
    page.locator("summary", has_text="Download").click()
    with page.expect_download() as started:
        page.locator(f".downloads a[href*='/{name}']").first.click()
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    return path


# --- the whole way ---------------------------------------------------------------------------------------------------------------


@pytest.mark.more
@pytest.mark.timeout(900)  # three films of 26 s, and what a busy machine adds
def test_from_the_idea_to_the_report(
    open_page: Open,
    launch: Callable[..., Any],
    serve: Callable[..., Server],
    film: Path,
    faces: list[Path],
    watch: Watch,
    look: Look,
    tmp_path: Path,
) -> None:
    watch.expect(f"{NO_LINE}|Failed to load resource")
    server = serve()
    line = Line(server)
    cameras = [Noted(launch(CAMERA, ALLOW, f"--use-file-for-fake-video-capture={face}")) for face in faces]
    operator = open_page("/studies", server=server)
    id, invitation = make_study(operator, film, look)
    invited = Invited(server, id, invitation)

    # Nobody yet.
    report = open_page(f"/studies/{id}/review", server=server, context=operator.context)
    expect(report.get_by_role("heading", level=1)).to_have_text("No viewers so far; results are shown from 2.")
    hides(review(server, id), "No viewers so far; results are shown from 2.")
    look(report, "report-nobody")

    # The first loses the network for twenty seconds in the middle of the film.
    page = open_page(invited.path, within=cameras[0], server=over(line))
    first = to_the_film(page, PEOPLE[0], look)
    loaded(page)
    press(page, "Start the film")
    at(page, OFFLINE_S[0])
    look(page, "take-part-film", widths=(1280,))
    line.cut()
    before = page.evaluate(STOCK)
    expect(page.get_by_text("Offline – will be sent later")).to_be_visible()
    hold(page, OFFLINE_S[1])
    at(page, 5.0)
    look(page, "take-part-film-offline", widths=(1280,))
    at(page, OFFLINE_S[1])  # the film goes on without the network
    waiting = page.evaluate(STOCK)
    assert waiting["taken"] - before["taken"] > 10
    assert waiting["unanswered"] >= waiting["taken"] - before["taken"] - 2  # two at most are being made
    assert waiting["lost"] == 0
    assert not waiting["over"]
    line.mend()
    play_at(page, 1)
    found = review(server, id)
    hides(found, "1 viewer so far; results are shown from 2.")
    assert (found["counts"]["agreed"], found["counts"]["finished"]) == (1, 0)
    answer(page, PEOPLE[0], look)
    looks = looks_of(invited, first)
    complete(looks, page)
    assert [look["sequence"] for look in looks] == list(range(len(looks)))
    late = sum(look["late"] for look in looks)
    assert late >= waiting["unanswered"]
    page.context.close()
    found = review(server, id)
    hides(found, "1 viewer so far; results are shown from 2.")
    assert (found["counts"]["agreed"], found["counts"]["finished"], found["counts"]["measured"]) == (1, 1, 1)
    one = of(found, "1")
    assert (one["looks"], one["late"], one["dropped"], one["face_share"]) == (len(looks), late, 0, 1.0)
    assert one["gone_s"] > (OFFLINE_S[1] - OFFLINE_S[0]) / 2  # the server may hear late of what is cut
    assert one["finished"]
    assert one["quality"] == "good"
    for words in (PEOPLE[0].words, first):
        assert words not in json.dumps(found)
    expect(fact(report, "Finished")).to_have_text("1", timeout=PATIENT_S * 1000)
    expect(report.get_by_role("heading", level=1)).to_have_text("1 viewer so far; results are shown from 2.")
    expect(chart(report, "How was the pace?")).to_contain_text("Too few answers to show.")
    look(report, "report-one")

    # The second closes the tab half-way and comes back by the same link.
    page = open_page(invited.path, within=cameras[1], server=server, width=390, height=844)
    second = to_the_film(page, PEOPLE[1], lambda *_, **__: None)
    hold(page, FILM_S / 2)
    press(page, "Start the film")
    at(page, FILM_S / 2)
    look(page, "take-part-film", widths=(390,))
    until_there(invited, second, FILM_S / 2 - 1)
    before = page.evaluate(STOCK)
    context = page.context
    page.close()
    half, found = report_of(invited, second, "2")
    assert len(half) >= before["taken"] - before["unanswered"] - 2
    assert (found["hidden"], found["counts"]["measured"], found["counts"]["finished"]) == (None, 2, 1)
    two = of(found, "2")
    assert not two["finished"]
    assert two["looks"] == len(half)
    assert max(look["film_s"] for look in half) < 0.75 * FILM_S
    assert two["why"] == "Did not watch to the end."
    (part,) = found["stimuli"]
    throughout(part["n"], looks, half)
    assert part["n"][-2] is None  # of one alone nothing is told
    assert part["curves"]["raw"]["happiness"]["mean"][-2] is None
    assert questions(found)["How was the pace?"]["hidden"]
    page = open_page(invited.path, server=server, context=context)
    on(page, "Welcome back")
    expect(page.locator("main")).to_contain_text(second)
    look(page, "take-part-back")
    press(page, "Go on where I stopped")
    check_camera(page)
    expect(page.get_by_text("It goes on at 0:1")).to_be_visible()
    look(page, "take-part-film-again")
    press(page, "Go on with the film")
    answer(page, PEOPLE[1], lambda *_, **__: None)
    others = looks_of(invited, second)
    complete(others, page, stops=None)
    context.close()
    found = review(server, id)
    assert [found["counts"][name] for name in ("agreed", "finished", "measured", "shown", "withdrawn")] == [2, 2, 2, 2, 0]
    tells(found, PEOPLE[:2])
    (part,) = found["stimuli"]
    throughout(part["n"], looks, others)
    assert part["curves"]["corrected"] is not None
    two = of(found, "2")
    assert two["finished"]
    assert two["looks"] == len(others)
    expect(fact(report, "Finished")).to_have_text("2", timeout=PATIENT_S * 1000)
    expect(fact(report, "Viewers in the report")).to_have_text("2")
    report.wait_for_selector(".plot .main-svg")
    look(report, "report-two")

    # The operator marks a moment.
    report.locator(".cursor").focus()
    for _ in range(3):
        report.keyboard.press("PageUp")
    report.get_by_role("button", name="Mark this moment").click()
    dialog = report.get_by_role("dialog", name="Mark this moment")
    dialog.get_by_label("What happens here").fill("The bird comes")
    dialog.get_by_label("At", exact=True).fill("9")
    look(report, "report-mark")
    dialog.get_by_role("button", name="Save").click()
    expect(report.locator("#review-markers li h3")).to_contain_text("The bird comes")

    # The third goes to the end.
    page = open_page(invited.path, within=cameras[2], server=server)
    third = to_the_film(page, PEOPLE[2], lambda *_, **__: None)
    hold(page, 4.0)
    press(page, "Start the film")
    at(page, 4.0)
    page.keyboard.press("Space")
    expect(page.get_by_role("dialog", name="Paused")).to_be_visible()
    look(page, "take-part-paused")
    play_at(page, 1)
    page.keyboard.press("Enter")
    answer(page, PEOPLE[2], lambda *_, **__: None)
    settled(invited, third, pauses=1)
    complete(looks_of(invited, third), page, stops=2)
    found = review(server, id)
    assert [found["counts"][name] for name in ("agreed", "finished", "measured", "shown", "withdrawn")] == [3, 3, 3, 3, 0]
    tells(found, PEOPLE)
    (part,) = found["stimuli"]
    throughout(part["n"], looks, others, looks_of(invited, third))
    (facts,) = invited.kept(third)["quality"]["films"].values()
    assert of(found, "3")["pauses"] == 1 + facts.get("stalls", 0)  # where the machine held the film up
    (mark,) = part["markers"]
    assert (mark["label"], mark["time_s"]) == ("The bird comes", 9.0)
    assert mark["effects"]["happiness"]["difference"] is not None
    # Of the two ages one has one viewer; the other is hidden with it, since the whole less its mean would tell that one's.
    assert part["groups"] == {}
    assert [value["shown"] for value in found["variables"][0]["values"]] == [False, False]
    assert [viewer["groups"] for viewer in found["viewers"]] == [{}, {}, {}]
    three = found
    expect(fact(report, "Viewers in the report")).to_have_text("3", timeout=PATIENT_S * 1000)
    expect(chart(report, "What will you remember?")).to_contain_text("3 answers in words that few people gave")
    expect(chart(report, "What will you remember?")).not_to_contain_text(SECRET)
    expect(columns(report, "How was the pace?")).to_have_text(["3"])
    look(report, "report-three")
    report.get_by_role("button", name="Keep as it is now").click()
    report.get_by_label("Name").fill("All three")
    look(report, "report-keep")
    report.get_by_role("button", name="Keep", exact=True).click()
    expect(report.get_by_role("status").get_by_text("Kept as “All three”.")).to_be_visible()
    operator.bring_to_front()
    expect(operator.locator("[data-viewer='3']")).to_be_visible(timeout=PATIENT_S * 1000)
    look(operator, "people")
    with server.client() as client:  # all that is made of everybody's data
        packed = client.get(f"/api/studies/{id}/review.zip").raise_for_status().content
        assert client.get(f"/api/studies/{id}/review?frozen=All three").status_code in (200, 202)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert any(SECRET in archive.read(name).decode() for name in archive.namelist() if name.endswith("answers.csv"))

    # And withdraws.
    with sqlite3.connect(f"file:{server.data / 'mien.sqlite3'}?mode=ro", uri=True) as rows:
        ((person, secret_hash),) = rows.execute("SELECT id, code_hash FROM participants WHERE name = 3").fetchall()
    rows.close()
    for content in (SECRET, person, secret_hash):
        assert holding(server.data, content), "the search does not find what is there"
    page.goto("/withdraw")
    on(page, "Withdraw from a study")
    look(page, "withdraw")
    page.get_by_label("Your code").fill(third)
    press(page, "Show what is kept")
    on(page, "What is kept under this code")
    look(page, "withdraw-kept")
    press(page, "Erase everything")
    dialog = page.get_by_role("dialog", name="Really erase everything?")
    look(page, "withdraw-sure")
    dialog.get_by_role("button", name="Erase everything").click()
    on(page, "Everything is erased")
    expect(page.locator(".proof dd").last).to_have_text("entries: 0 · files: 0")
    look(page, "withdrawn")
    assert third not in json.dumps(page.evaluate("Object.entries(localStorage)"))
    page.goto(invited.path)
    on(page, "The little balloon, rough cut")  # as somebody new
    page.context.close()
    for content in (SECRET, person, secret_hash, third, third.replace("-", "")):
        assert holding(server.data, content) == []

    found = review(server, id)
    assert [found["counts"][name] for name in ("agreed", "finished", "measured", "shown", "withdrawn")] == [3, 2, 2, 2, 1]
    tells(found, PEOPLE[:2])
    assert [viewer["name"] for viewer in found["viewers"]] == ["1", "2"]
    throughout(found["stimuli"][0]["n"], looks, others)
    curves = [one["stimuli"][0]["curves"]["raw"]["neutral"]["mean"] for one in (found, three)]
    assert curves[0] != curves[1]
    assert holding(server.data, SECRET) == []
    expect(fact(report, "Viewers in the report")).to_have_text("2", timeout=PATIENT_S * 1000)
    expect(fact(report, "Withdrawn and erased")).to_have_text("1")
    expect(chart(report, "What will you remember?")).not_to_contain_text(SECRET)
    expect(columns(report, "How was the pace?")).to_have_text(["2"])
    report.bring_to_front()
    look(report, "report-withdrawn")
    report.get_by_role("combobox", name="Report").select_option(label="All three")
    expect(report.get_by_text("As it stood")).to_be_visible(timeout=PATIENT_S * 1000)
    expect(fact(report, "Viewers in the report")).to_have_text("2", timeout=PATIENT_S * 1000)
    expect(chart(report, "What will you remember?")).not_to_contain_text(SECRET)
    look(report, "report-kept")
    report.get_by_role("combobox", name="Report").select_option(label="as it stands")
    report.get_by_role("button", name="Mark this moment").wait_for()
    expect(operator.locator("[data-viewer='3']")).to_have_count(0, timeout=PATIENT_S * 1000)
    tab(operator, "Log")
    expect(operator.get_by_role("row", name="Participant Withdrawn")).to_contain_text("viewer: 3")
    look(operator, "log")
    operator.goto("/studies")
    expect(operator.locator(f"[data-study='{id}']")).to_be_visible()
    look(operator, "studies")

    files_agree(report, found, {"1": looks, "2": others}, tmp_path)


def files_agree(report: Any, found: dict[str, Any], looks: dict[str, list[dict[str, Any]]], folder: Path) -> None:
    """What is downloaded says what the page says."""
    (part,) = found["stimuli"]
    path = downloaded(report, "review.json", folder)
    same = json.loads(path.read_text(encoding="utf-8"))
    assert {**same, "made_at": None} == {**found, "made_at": None}

    paper = pypdfium2.PdfDocument(downloaded(report, "review.pdf", folder))
    text = " ".join(" ".join(page.get_textpage().get_text_range() for page in paper).split())
    for words in (found["title"], found["headline"], "2 in words that few people gave", "The bird comes"):
        assert words in text, words
    for words in (SECRET, *(one.words for one in PEOPLE[:2])):  # each wrote something of one's own
        assert words not in text, words

    long = table(downloaded(report, "long.csv", folder).read_text(encoding="utf-8"))
    assert {name: sum(row["viewer"] == name for row in long) for name in ("1", "2")} == dict.fromkeys(
        ("1", "2"), len(part["times"])
    )
    assert len(long) == 2 * len(part["times"])
    assert {row[found["variables"][0]["id"]] for row in long} == {"o1"}  # under 40, both
    cells = {name: [row for row in long if row["viewer"] == name] for name in ("1", "2")}
    for name, rows in cells.items():
        assert [float(row["time_s"]) for row in rows] == pytest.approx(part["times"])
        throughout([int(row["seen"]) for row in rows], looks[name])
    wide = table(downloaded(report, "wide.csv", folder).read_text(encoding="utf-8"))
    for signal in (*found["labels"], "valence"):
        means = part["curves"]["raw"][signal]["mean"]
        assert [row[f"{signal}_mean"] for row in wide] == ["" if mean is None else str(mean) for mean in means]
    answers = table(downloaded(report, "answers.csv", folder).read_text(encoding="utf-8"))
    assert [row["viewer"] for row in answers] == ["1", "2"]
    assert [one.words in row.values() for one, row in zip(PEOPLE, answers, strict=False)] == [True, True]
    viewers = table(downloaded(report, "viewers.csv", folder).read_text(encoding="utf-8"))
    assert [(row["viewer"], int(row["looks"]), int(row["late"])) for row in viewers] == [
        (viewer["name"], viewer["looks"], viewer["late"]) for viewer in found["viewers"]
    ]

    offline = report.context.browser.new_context(offline=True)
    page = offline.new_page()
    page.goto(downloaded(report, "review.html", folder).as_uri())
    page.wait_for_selector(".plot .main-svg")
    expect(page.get_by_role("heading", level=1)).to_have_text(found["headline"])
    expect(fact(page, "Viewers in the report")).to_have_text("2")
    expect(columns(page, "How was the pace?")).to_have_text(["2"])
    assert SECRET not in page.content()
    offline.close()


# --- the smallest group ----------------------------------------------------------------------------------------------------------


def watched(server: Server, invitation: str, picture: bytes, age: str, words: str | None) -> None:
    """Somebody takes part as the pages do, but quicker: agrees, answers, sends a picture for each second of the film."""
    code = studies.joined(server, invitation)
    with server.client(headers={"X-Participant-Code": code}) as client:

        def step(name: str) -> None:
            client.post("/api/participant/step", json={"step": name}).raise_for_status()

        step("before")
        given: dict[str, Any] = {"part": "before", "answers": {"age": age}}
        client.put("/api/participant/answers", json=given).raise_for_status()
        step("camera")
        step("film:0")
        (stimulus,) = client.get("/api/participant").json()["order"]
        with connect(server.url.replace("http", "ws", 1) + "/api/participant/live") as live:
            live.send(json.dumps({"type": "hello", "code": code, "stimulus": stimulus}))
            assert json.loads(live.recv())["type"] == "ready"
            for second in range(4):
                live.send(pack_frame(FrameHead(second, time.time(), film_s=float(second)), picture))
                assert json.loads(live.recv())["kept"]
        step("after")
        given = {"part": "after", "answers": {"liked": 5} | ({"words": words} if words else {})}
        client.put("/api/participant/answers", json=given).raise_for_status()
        step("done")


@pytest.mark.more
def test_of_fewer_than_the_smallest_group_nothing_is_told(open_page: Open, server: Server, short: Path) -> None:
    words = {"id": "words", "kind": "long", "title": {"en": "Anything else?"}}
    asked = {"after": [studies.QUESTIONS["after"][0], words], "variables": studies.WHOLE["variables"][:1], "languages": ["en"]}
    id = studies.made(server, studies.WHOLE | asked | {"smallest_group": 3, "every_s": 1.0}, short)
    invitation = studies.opened(server, id)
    picture = cv2.imencode(".jpg", films.part(0, 0.1)[0][..., ::-1])[1].tobytes()
    page = open_page(f"/studies/{id}/review", server=server)

    def shown(headed: str) -> str:
        """The whole page once it has come so far."""
        expect(fact(page, headed.split(":")[0])).to_have_text(headed.split(":")[1], timeout=PATIENT_S * 1000)
        return str(page.locator("main").inner_text())

    for number in range(2):
        watched(server, invitation, picture, "young", f"AARDVARK-{number}")
    found = review(server, id)
    hides(found, "2 viewers so far; results are shown from 3.")
    expect(page.locator("h1")).to_have_text("2 viewers so far; results are shown from 3.", timeout=PATIENT_S * 1000)
    text = shown("Finished:2")
    assert page.locator(".plot").count() == 0
    with server.client() as client:
        html = client.get(f"/api/studies/{id}/review.html").raise_for_status().text
        paper = client.get(f"/api/studies/{id}/review.pdf").raise_for_status().content
    pages = " ".join(page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(paper))
    for told in (json.dumps(found), text, html, pages):
        assert "AARDVARK" not in told
    assert "results are shown from 3" in " ".join(pages.split())

    watched(server, invitation, picture, "young", None)
    watched(server, invitation, picture, "old", None)
    watched(server, invitation, picture, "old", None)
    found = review(server, id)
    assert (found["hidden"], found["counts"]["shown"]) == (None, 5)
    assert found["stimuli"][0]["curves"]["raw"]["happiness"]["mean"][1] is not None
    # Three are young, but with their mean, that of all would tell that of the two who are not.
    assert found["stimuli"][0]["groups"] == {}
    assert all(question["by_group"] == {} for question in found["questions"])
    few = questions(found)["Anything else?"]
    assert (few["n"], few["hidden"], few["by_group"]) == (2, True, {})
    assert "texts" not in few
    text = shown("Viewers in the report:5")
    assert "AARDVARK" not in text
    page.wait_for_selector(".plot .main-svg")
    expect(page.get_by_role("combobox", name="Viewers")).to_have_count(0)
    expect(chart(page, "Anything else?")).to_contain_text("Too few answers to show.")

    watched(server, invitation, picture, "old", "AARDVARK-2")
    found = review(server, id)
    assert {value: group["n"] for value, group in found["stimuli"][0]["groups"]["age"].items()} == {"young": 3, "old": 3}
    said = questions(found)["Anything else?"]
    assert (said["n"], said["texts"], said["withheld"]) == (3, [], 3)  # each wrote something of one's own
    assert "AARDVARK" not in json.dumps(found) + shown("Viewers in the report:6")
    page.get_by_role("combobox", name="Viewers").select_option("by group: Age")
    expect(page.locator(".reading")).to_contain_text("40 or more (3)")
    assert all(viewer["groups"] == {} for viewer in found["viewers"])  # what each one answered is told of nobody
