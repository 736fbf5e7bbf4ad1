"""Everything by Tab, Enter, Space and the arrows alone; and one always sees where one is."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from browser.conftest import Open, Watch
from browser.gallery import NOT_FOUND, PLACES, Gallery, whole
from serving import Server

pytestmark = pytest.mark.timeout(900)

STOPS_MAX = 600

REMEMBER = """() => {
    const look = e => {
        if (!e) return "";
        const c = getComputedStyle(e);
        return [c.outlineStyle, c.outlineWidth, c.outlineColor, c.boxShadow, c.borderColor, c.backgroundColor].join();
    };
    window.looks = e => [e, e.parentElement, e.parentElement?.parentElement, e.nextElementSibling].map(look).join("|");
    window.wanted = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0'], video")]
        .filter(e => e.checkVisibility({visibilityProperty: true}) && !e.disabled && e.tabIndex >= 0);
    window.before = new Map(window.wanted.map(e => [e, window.looks(e)]));
    window.seen = new Set();
}"""

STOP = """async () => {
    // a style that changes is whole in the frame after the next
    for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
    const e = document.activeElement;
    if (!e || e === document.body || !document.hasFocus()) return null;
    const again = window.seen.has(e) && e.tagName !== "VIDEO" && !e.type?.startsWith("date");  // these have stops of their own
    window.seen.add(e);
    const box = e.getBoundingClientRect();
    return {
        again,
        what: `${e.tagName} ${e.id || e.getAttribute("aria-label") || e.textContent.trim().slice(0, 40)}`,
        shown: e.tagName === "VIDEO" || window.looks(e) !== window.before.get(e),
        inside: box.bottom > 0 && box.top < innerHeight && box.width > 0,
    };
}"""

MISSED = """() => {
    const groups = new Set([...window.seen].filter(e => e.type === "radio").map(e => e.name));
    return window.wanted.filter(e => e.isConnected && !window.seen.has(e) && !(e.type === "radio" && groups.has(e.name)))
        .map(e => `${e.tagName} ${e.id || e.getAttribute("aria-label") || e.textContent.trim().slice(0, 40)}`);
}"""


@pytest.mark.more
@pytest.mark.parametrize("name", PLACES)
def test_tab_reaches_everything_and_shows_where_it_is(open_page: Open, gallery: Gallery, watch: Watch, name: str) -> None:
    if name in NOT_FOUND:
        watch.expect("status of 404")
    server, path = gallery.address(name)
    page = whole(open_page(path, server=server), name)
    page.evaluate("document.activeElement.blur()")
    page.evaluate(REMEMBER)
    for _ in range(STOPS_MAX):
        page.keyboard.press("Tab")
        stop = page.evaluate(STOP)
        if stop is None:
            continue  # past the end; what stands before a field that took the focus by itself comes now
        if stop["again"]:
            break
        assert stop["shown"], f"no visible focus: {stop['what']}"
        assert stop["inside"], f"focus out of sight: {stop['what']}"
    else:
        raise AssertionError(f"no end after {STOPS_MAX} stops")
    assert page.evaluate(MISSED) == []


def tab_to(page: Any, wanted: Any, *, back: bool = False) -> None:
    """Press Tab until something has the focus."""
    expect(wanted).to_be_visible()
    for _ in range(80):
        if wanted.evaluate("e => e === document.activeElement"):
            return
        page.keyboard.press("Shift+Tab" if back else "Tab")
    raise AssertionError(f"80 times Tab do not lead to {wanted}")


def test_the_content_can_be_skipped_to(page: Any) -> None:
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#"))
    page.keyboard.press("Tab")
    expect(page.locator("main :focus")).to_be_visible()


@pytest.mark.more
def test_from_file_to_result(page: Any, short: Path) -> None:
    page.on("filechooser", lambda _: None)  # from here on, and not only from the press on, which could be faster
    tab_to(page, page.get_by_role("button", name="Choose files", exact=True))
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(short)
    start = page.get_by_role("button", name="Analyse", exact=True)
    expect(start).to_be_focused()
    tab_to(page, page.get_by_role("radio", name="5 times a second"), back=True)
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Twice a second")).to_be_checked()
    tab_to(page, start)
    page.keyboard.press("Enter")
    link = page.locator("#latest").get_by_role("link", name="short.mp4")
    expect(link).to_be_visible(timeout=300_000)
    tab_to(page, link)
    page.keyboard.press("Enter")
    page.wait_for_url("**/analyses/*")

    cursor = page.get_by_role("slider", name="Moment in the film")
    tab_to(page, cursor)
    page.wait_for_function("() => document.querySelector('video').readyState >= 1")
    for key in ("ArrowRight", "PageUp"):
        before = page.evaluate("document.querySelector('video').currentTime")
        page.keyboard.press(key)
        page.wait_for_function("before => document.querySelector('video').currentTime > before", arg=before)
    page.keyboard.press("Home")
    page.evaluate("document.querySelector('video').playbackRate = 0.1")  # so that it does not end before the second press
    page.keyboard.press("Space")
    page.wait_for_function("() => !document.querySelector('video').paused")
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelector('video').paused")

    tab_to(page, page.get_by_role("button", name="Rename Face 1"))
    page.keyboard.press("Enter")
    page.keyboard.type("Grace")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Rename Grace")).to_be_focused()
    tab_to(page, page.get_by_role("button", name="Hide Face 2"))
    page.keyboard.press("Space")
    expect(page.locator("[data-track='2'] :focus")).to_be_visible()  # the card moved, and the focus with it
    tab_to(page, page.get_by_role("button", name="Show Face 2"))
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Hide Face 2")).to_be_visible()


@pytest.mark.more
def test_two_are_chosen_and_compared(page: Any, server: Server, short: Path) -> None:
    for name in ("one.mp4", "two.mp4"):
        server.analyse(short, name, every_s=0.5, keep_film=False)
    page.goto("/analyses")
    for name in ("two.mp4", "one.mp4"):
        tab_to(page, page.get_by_role("checkbox", name=f"Choose {name} to compare"))
        page.keyboard.press("Space")
    tab_to(page, page.get_by_role("link", name="Compare", exact=True))
    page.keyboard.press("Enter")
    page.wait_for_url("**/compare?*")
    cursor = page.get_by_role("slider").first
    tab_to(page, cursor)
    page.keyboard.press("End")
    page.wait_for_function("() => Number(document.querySelector('[role=slider]').getAttribute('aria-valuenow')) > 3")


def test_a_menu_and_a_dialog(page: Any, server: Server, broken: Path) -> None:
    server.analyse(broken, "spoilt.mp4")
    page.goto("/analyses")
    tab_to(page, page.get_by_label("What can be done with spoilt.mp4"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("button", name="Rename"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_label("Name")).to_be_focused()
    page.keyboard.type("still spoilt")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="still spoilt")).to_be_visible()
    menu = page.get_by_label("What can be done with still spoilt")
    tab_to(page, menu, back=True)
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(menu).to_be_focused()


def test_erasing_is_asked_about_first(page: Any) -> None:
    page.goto("/stored")
    erase = page.get_by_role("button", name="Erase everything")
    tab_to(page, erase)
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.wait_for_function(
        "() => document.querySelector('dialog').contains(document.activeElement) || document.activeElement === document.body"
    )
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(erase).to_be_focused()
