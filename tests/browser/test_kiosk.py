"""A tablet at the door: guests in a row, of whom nothing stays on the device."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from browser import participants
from browser.axe import serious
from browser.conftest import Open
from browser.participants import open_study
from browser.test_take_part import ALLOW, CAMERA, QUICK, agree, on, play_at, press
from serving import Server

KEPT = "JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage)])"


@pytest.mark.more
def test_two_guests_in_a_row(open_page: Open, launch: Callable[..., Any], server: Server, tmp_path: Path) -> None:
    film = participants.clock_film(tmp_path / "shapes.mp4", 2.0)
    asked = [{"id": "last", "kind": "short", "title": {"en": "Which film did you see last?"}}]
    invited = open_study(server, [film], before=asked, after=[], languages=["en"], title="Shapes at the door")
    page = open_page(f"{invited.path}?kiosk=600", within=launch(CAMERA, ALLOW), width=820, height=1100)

    # The first takes part without the camera.
    on(page, "Welcome")
    assert serious(page) == []
    press(page, "Begin")
    expect(page.get_by_text("I have a code from an earlier visit")).to_have_count(0)
    first = agree(page, language=None)
    press(page, "I have noted it")
    page.get_by_label("Which film did you see last?").fill("Alien")
    assert page.evaluate(KEPT) == "[[],[]]"
    press(page, "Continue")
    press(page, "Go on without the camera: only my answers count")
    press(page, "Start the film")
    play_at(page, QUICK)
    on(page, "Thank you!")
    expect(page.locator(".code-shown")).to_have_text(first)
    assert page.get_by_role("main").get_by_role("link").count() == 0, "a way to pages that do not clear themselves"
    kept = invited.kept(first)
    assert (kept["step"], kept["answers"], kept["measured"]) == ("done", {"before": {"last": "Alien"}}, {})
    page.clock.install()  # the second guest's time is the test's
    press(page, "Finish, for the next guest")

    # The second meets nothing of the first, agrees, and walks away.
    on(page, "Welcome")
    assert first not in page.content()
    assert page.evaluate(KEPT) == "[[],[]]"
    press(page, "Begin")
    second = agree(page, language=None)
    assert second != first
    page.clock.fast_forward(599_000)
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.clock.fast_forward(2_000)
    dialog = page.get_by_role("dialog", name="Are you still there?")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="I am still here").click()
    expect(dialog).to_have_count(0)
    on(page, "Your code")
    page.clock.fast_forward(601_000)
    expect(dialog).to_be_visible()
    page.clock.fast_forward(31_000)
    on(page, "Welcome")
    assert second not in page.content()
    assert page.evaluate(KEPT) == "[[],[]]"
    assert {viewer["name"]: viewer["step"] for viewer in invited.viewers()} == {"1": "done", "2": "left"}
