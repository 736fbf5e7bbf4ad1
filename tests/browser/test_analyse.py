"""A new user's path: give files, follow them, read the result, change it, take it along; and what may go wrong on the way."""

import re
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

RESULT_MS = 90_000
"""A film of nineteen seconds on two busy cores."""

HOSTILE = "<img src=x onerror=alert(1)>.mp4"


def drop(page: Any, *files: Path) -> None:
    """Drag files, or folders, from the desktop onto the page."""
    box = page.locator("#drop").bounding_box()
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
    desktop = page.context.new_cdp_session(page)
    for step in ("dragEnter", "dragOver", "drop"):
        desktop.send("Input.dispatchDragEvent", {"type": step, **at, "data": data})
    desktop.detach()


def analyse(page: Any, *files: Path) -> None:
    """Drop files and start."""
    drop(page, *files)
    page.get_by_role("button", name=re.compile("^Analyse")).click()


def row(page: Any, name: str) -> Any:
    """The row of an analysis on the first page."""
    return page.locator("li.job", has=page.get_by_text(name, exact=True))


def test_an_empty_page_says_what_to_do(page: Any) -> None:
    expect(page.get_by_text("No analysis yet")).to_be_visible()
    expect(page.get_by_role("button", name="Choose files first")).to_be_disabled()
    expect(page.get_by_text("Drop films, pictures or a folder here")).to_be_visible()


def test_from_drop_to_result(page: Any, demo: Path) -> None:
    drop(page, demo)
    expect(page.get_by_role("heading", name="1 film")).to_be_visible()
    expect(page.locator("#given-list")).to_contain_text("18.8 s")
    expect(page.locator("#total")).to_contain_text("Takes")
    page.get_by_role("button", name="Analyse", exact=True).click()
    progress = page.get_by_role("progressbar", name="demo.mp4")
    expect(progress).to_be_visible()
    page.wait_for_function(
        "() => Number(document.querySelector('#under-way [role=progressbar]')?.getAttribute('aria-valuenow')) > 0"
    )
    expect(page.locator("#under-way li.job")).to_contain_text(re.compile(r"\d+ frames · .* a second"))
    expect(page.locator("#latest").get_by_text("demo.mp4")).to_be_visible(timeout=RESULT_MS)
    page.locator("#latest").get_by_text("demo.mp4").click()
    page.wait_for_url("**/analyses/*")
    expect(page.get_by_role("heading", level=1)).to_contain_text("demo.mp4")
