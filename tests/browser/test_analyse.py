"""A new user's path: give files, follow them, read the result, change it, take it along; and what may go wrong on the way."""

import re
import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from browser.conftest import Open, Watch
from serving import Server

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
    expect(page.locator("#given-list")).to_contain_text("18.6 s")
    expect(page.locator("#total")).to_contain_text("Takes")
    page.get_by_role("button", name="Analyse", exact=True).click()
    progress = page.get_by_role("progressbar", name="demo.mp4", exact=True)
    expect(progress).to_be_visible()
    page.wait_for_function(
        "() => Number(document.querySelector('#under-way [role=progressbar]')?.getAttribute('aria-valuenow')) > 0"
    )
    expect(page.locator("#under-way li.job")).to_contain_text(re.compile(r"\d+ frames · .* a second"))
    expect(page.locator("#latest").get_by_text("demo.mp4")).to_be_visible(timeout=RESULT_MS)
    page.locator("#latest").get_by_text("demo.mp4").click()
    page.wait_for_url("**/analyses/*")
    expect(page.get_by_role("heading", level=1)).to_contain_text("demo.mp4")


def test_several_at_once_and_a_broken_one_among_them(page: Any, short: Path, group: Path, broken: Path, tmp_path: Path) -> None:
    """A folder with three files and a note: the note stays behind, the broken film fails alone."""
    folder = tmp_path / "material"
    folder.mkdir()
    for file in (short, group, broken):
        shutil.copy(file, folder)
    (folder / "note.txt").write_text("to be left out", encoding="utf-8")
    drop(page, folder)
    expect(page.get_by_role("heading", name="2 films, 1 picture")).to_be_visible()
    expect(page.get_by_text("1 file in the folder is no picture or film and left out.")).to_be_visible()
    page.get_by_role("button", name="Analyse 3 files").click()
    latest = page.locator("#latest")
    for name in ("short.mp4", "group.jpg"):
        expect(latest.locator("li.job", has_text=name)).to_contain_text("2 faces", timeout=RESULT_MS)
    failed = latest.locator("li.job", has_text="broken.mp4")
    expect(failed).to_contain_text("Failed", timeout=RESULT_MS)
    expect(failed).to_contain_text(re.compile("cannot be|is no|not a|cannot open"))
    expect(failed).not_to_contain_text("Traceback")
    expect(failed).not_to_contain_text("upload.bin")


def test_cancel_try_again_delete(page: Any, server: Server, long_film: Path) -> None:
    analyse(page, long_film)
    page.wait_for_function("() => document.querySelector('#under-way li.job')?.textContent.includes('frames ·')")
    page.get_by_role("button", name="Cancel: long.mp4").click()
    row = page.locator("#latest li.job", has_text="long.mp4")
    expect(row).to_contain_text("Cancelled")
    page.get_by_role("button", name="Try again: long.mp4").click()
    expect(page.locator("#under-way li.job", has_text="long.mp4")).to_be_visible()
    page.get_by_role("button", name="Cancel: long.mp4").click()
    expect(row).to_contain_text("Cancelled")
    with server.client() as client:
        id = next(job["id"] for job in client.get("/api/jobs").json()["items"] if job["name"] == "long.mp4")
    assert (server.data / "jobs" / id).is_dir()
    page.get_by_role("button", name="Delete: long.mp4").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Cancel").click()
    expect(row).to_be_visible()
    page.get_by_role("button", name="Delete: long.mp4").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)
    assert not (server.data / "jobs" / id).exists()


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(open_page: Open, serve: Any, tmp_path: Path) -> None:
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(2 << 20))
    page = open_page("/", server=serve(upload_max_mib=1))
    drop(page, large)
    expect(page.get_by_text("at most 1.0 MB are taken")).to_be_visible()
    expect(page.get_by_role("button", name="Choose files first")).to_be_disabled()


def test_a_job_survives_kill_9(open_page: Open, serve: Any, watch: Watch, long_film: Path) -> None:
    """The page says that the server is gone, and comes back by itself; the job is done at the end."""
    watch.expect("ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE")
    server = serve()
    page = open_page("/", server=server)
    page.get_by_text("Twice a second").click()
    analyse(page, long_film)
    page.wait_for_function("() => document.querySelector('#under-way li.job')?.textContent.includes('frames ·')")
    server.kill()
    expect(page.get_by_text("The server cannot be reached")).to_be_visible(timeout=15_000)
    server.start()
    expect(page.get_by_text("The server cannot be reached")).to_be_hidden(timeout=30_000)
    row = page.locator("#latest li.job", has_text="long.mp4")
    expect(row).to_contain_text("1 face", timeout=RESULT_MS)
    with server.client() as client:
        (job,) = client.get("/api/jobs").json()["items"]
        result = client.get(f"/api/jobs/{job['id']}/result").json()
    assert job["state"] == "done"
    assert result["frames"] == 120
