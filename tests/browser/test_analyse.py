"""A new user's path: give files, follow them, read the result, change it, take it along; and what may go wrong on the way."""

import csv
import io
import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from browser.conftest import PATIENCE_MS, Open, Watch
from browser.passing import note, noted
from serving import Server

pytestmark = pytest.mark.timeout(900)

RESULT_MS = 300_000
"""A film of nineteen seconds, in a process that gives way to all others on two busy cores."""

FILES = {
    *("faces.csv", "timeline.csv", "episodes.csv", "summary.json"),
    *("report.html", "emotions.png", "tracks.png", "annotated.mp4"),
}

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


@pytest.mark.more
def test_an_empty_page_says_what_to_do(open_page: Open, serve: Any) -> None:
    page = open_page("/", server=serve())
    expect(page.get_by_text("No analysis yet")).to_be_visible()
    expect(page.get_by_role("button", name="Choose files first")).to_be_disabled()
    expect(page.get_by_text("Drop films, pictures or a folder here")).to_be_visible()


def test_from_drop_to_result(page: Any, demo: Path) -> None:
    drop(page, demo)
    expect(page.get_by_role("heading", name="1 film")).to_be_visible()
    expect(page.locator("#given-list")).to_contain_text("18.6 s")
    expect(page.locator("#total")).to_contain_text("Takes")
    row, bar = "#under-way li.job", "#under-way [role=progressbar][aria-label='demo.mp4']"
    note(page, row)
    note(page, bar, "element.getAttribute('aria-valuenow')")
    page.get_by_role("button", name="Analyse", exact=True).click()
    expect(page.locator("#latest").get_by_text("demo.mp4")).to_be_visible(timeout=RESULT_MS)
    noted(page, bar, "^[1-9]")
    noted(page, row, r"\d+ frames · .* a second")
    page.locator("#latest").get_by_text("demo.mp4").click()
    page.wait_for_url("**/analyses/*")
    expect(page.locator("#file")).to_contain_text("demo.mp4")
    expect(page.locator("#caveat")).to_contain_text("appear")

    expect(page.get_by_role("slider", name="Moment in the film")).to_be_visible()
    click_at(page, 6.0)
    seen = stands(page, near=0.06, at=6.0)
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function("from => document.querySelector('video').currentTime > from + 0.5", arg=seen)
    page.get_by_role("button", name="Pause", exact=True).click()
    assert stands(page, near=0.1) > seen + 0.5
    moment = page.locator(".moment").nth(1)
    start = re.search(r"(\d+\.\d)–", moment.inner_text())
    assert start is not None
    moment.click()
    stands(page, near=0.06, at=float(start[1]))

    with page.expect_download() as started:
        page.get_by_role("link", name="Download all (zip)").click()
    assert started.value.suggested_filename == "demo.zip"
    with zipfile.ZipFile(started.value.path()) as archive:
        assert archive.testzip() is None
        assert {Path(name).name for name in archive.namelist()} == FILES
        rows = table(archive, "faces.csv")
        assert len(rows) > 50
        assert json.loads(content(archive, "summary.json"))["media"]["name"] == "demo.mp4"
        assert content(archive, "annotated.mp4")[4:8] == b"ftyp"


def content(archive: zipfile.ZipFile, name: str) -> bytes:
    """A file of the zip, whatever folder it is in."""
    return archive.read(next(found for found in archive.namelist() if Path(found).name == name))


def table(archive: zipfile.ZipFile, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content(archive, name).decode("utf-8"))))


def stands(page: Any, *, near: float, at: float | None = None) -> float:
    """Waits until the film stands still with the cursor `near` it, at a moment where one is given; where that is, in seconds.

    What comes later than a click (a seek, the pause, what the page makes of it) is waited for; all is read at one moment, and it
    must still be so two frames later.
    """
    found: dict[str, Any] = page.evaluate(
        """async ([at, near, patience_ms]) => {
            const film = document.querySelector("video"), cursor = document.querySelector("[role=slider]");
            const read = () => ({
                film: film.currentTime, paused: film.paused, seeking: film.seeking,
                cursor: Number(cursor.getAttribute("aria-valuenow")),
            });
            const so = now => now.paused && !now.seeking && Math.abs(now.cursor - now.film) <= near
                && (at === null || Math.abs(now.film - at) <= near);
            const end = performance.now() + patience_ms;
            for (let still = 0; ; await new Promise(requestAnimationFrame)) {
                const now = read();
                still = so(now) ? still + 1 : 0;
                if (still === 3 || performance.now() > end) return { ...now, so: still === 3 };
            }
        }""",
        [at, near, PATIENCE_MS],
    )
    assert found["so"], f"wanted {at} s, found {found}"
    return float(found["film"])


def click_at(page: Any, seconds: float) -> None:
    """Click in the middle of the plot, at a moment, once the plot stands where it stays."""
    page.locator(".js-plotly-plot").wait_for()
    page.wait_for_function("() => document.querySelector('video').readyState >= 1")
    page.locator("#view").scroll_into_view_if_needed()
    at = page.evaluate(
        """async seconds => {
            const place = () => {
                const figure = document.querySelector(".js-plotly-plot"), {xaxis, yaxis} = figure._fullLayout;
                const box = figure.getBoundingClientRect();
                return [box.left + xaxis._offset + xaxis.l2p(seconds), box.top + yaxis._offset + yaxis._length / 2];
            };
            let before = place();
            for (let still = 0; still < 10; ) {
                await new Promise(requestAnimationFrame);
                const now = place();
                still = now.every((value, k) => Math.abs(value - before[k]) < 0.5) ? still + 1 : 0;
                before = now;
            }
            return before;
        }""",
        seconds,
    )
    page.mouse.click(*at)


@pytest.fixture(scope="module")
def analysed(server: Server, demo: Path) -> str:
    """The demo film, looked at five times a second, without its annotated film."""
    return str(server.analyse(demo, "portraits.mp4", every_s=0.2, keep_film=False)["id"])


@pytest.mark.more
def test_rename_merge_hide_and_undo(page: Any, server: Server, watch: Watch, analysed: str) -> None:
    """What a person changes shows on the page, and in the files that she takes along; all of it can be undone."""
    watch.expect("status of 409")
    page.goto(f"/analyses/{analysed}")
    note(page, ".toast")
    faces = page.locator("#faces li.face")
    expect(faces.first).to_be_visible()
    before = faces.count()
    assert before >= 4  # each alone, and both together

    page.get_by_role("button", name="Rename Face 1").click()
    page.keyboard.type("Grace <b>")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Rename Grace <b>")).to_be_focused()
    expect(page.locator(".ribbons").get_by_role("button", name="Grace <b>")).to_be_visible()

    page.get_by_role("button", name="Join… Face 3").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("The same as").select_option(label="Face 4")
    dialog.get_by_role("button", name="Join").click()
    noted(page, ".toast", "so they are two people")
    expect(faces).to_have_count(before)

    page.get_by_role("button", name="Join… Face 3").click()
    dialog.get_by_label("The same as").select_option(label="Grace <b>")
    dialog.get_by_role("button", name="Join").click()
    expect(page.get_by_text("Joined with 1 other face")).to_be_visible()
    page.get_by_role("button", name="Hide Face 2").click()
    expect(page.get_by_role("heading", name="Hidden: left out")).to_be_visible()

    with page.expect_download() as started:
        page.get_by_role("link", name="Download all (zip)").click()
    with zipfile.ZipFile(started.value.path()) as archive:
        tracks = {row["track"] for row in table(archive, "faces.csv")}
        assert "1" in tracks
        assert not {"2", "3"} & tracks
        assert b"Grace &lt;b&gt;" in content(archive, "report.html")
        assert b"Grace <b>" not in content(archive, "report.html")

    page.reload()
    expect(page.get_by_role("button", name="Rename Grace <b>")).to_be_visible()
    page.get_by_role("button", name="Undo all changes").click()
    expect(page.get_by_role("button", name="Rename Face 1")).to_be_visible()
    expect(faces).to_have_count(before)
    with server.client() as client:
        assert not client.get(f"/api/jobs/{analysed}/result").json()["edited"]


@pytest.mark.more
def test_without_the_film_the_cursor_stands_alone(page: Any, analysed: str) -> None:
    page.goto(f"/analyses/{analysed}")
    cursor = page.get_by_role("slider", name="Moment in the film")
    expect(cursor).to_have_attribute("aria-valuenow", re.compile(r"\d"))
    assert page.locator("video").count() == 0
    cursor.focus()
    before = float(cursor.get_attribute("aria-valuenow"))
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "before => Number(document.querySelector('[role=slider]').getAttribute('aria-valuenow')) > before", arg=before
    )
    expect(cursor).to_have_attribute("aria-valuetext", re.compile(r"\d+%|nobody"))


@pytest.mark.more
def test_a_picture(page: Any, server: Server, group: Path) -> None:
    id = server.analyse(group, "The two.jpg")["id"]
    page.goto(f"/analyses/{id}")
    picture = page.get_by_role("img", name="The picture The two.jpg with a box around each face")
    expect(picture).to_be_visible()
    expect(picture).to_have_js_property("naturalWidth", 640)
    expect(page.locator(".picture-faces tbody tr")).to_have_count(2)
    with page.expect_download() as started:
        page.get_by_role("link", name="Download the picture (PNG)").click()
    assert Path(started.value.path()).read_bytes()[:4] == b"\x89PNG"


@pytest.mark.more
def test_search_and_compare(page: Any, server: Server, analysed: str, short: Path) -> None:
    server.analyse(short, "another film.mp4", every_s=0.5, keep_film=False)
    page.goto("/analyses")
    page.get_by_label("Search by name").fill("nothing is called like this")
    expect(page.get_by_text("Nothing is called like that")).to_be_visible()
    page.get_by_role("button", name="show all").click()
    page.get_by_label("Search by name").fill("another")
    expect(page.locator("#rows tr")).to_have_count(1)
    page.get_by_role("checkbox", name="Choose another film.mp4 to compare").check()
    page.get_by_label("Search by name").fill("portraits.mp4")
    expect(page.locator("#rows tr")).to_have_count(1)
    page.get_by_role("checkbox", name="Choose portraits.mp4 to compare").check()
    page.get_by_role("link", name="Compare", exact=True).click()
    page.wait_for_url("**/compare?*")
    expect(page.locator(".js-plotly-plot")).to_have_count(2)
    expect(page.locator(".share-table tbody tr").first).to_contain_text("%")
    page.get_by_label("Shift the second by").fill("5")
    cursors = page.get_by_role("slider")
    cursors.first.focus()
    page.keyboard.press("End")
    page.wait_for_function(
        """() => {
            const [one, other] = document.querySelectorAll("[role=slider]"), at = element => element.getAttribute("aria-valuenow");
            return at(one) === one.getAttribute("aria-valuemax") && at(other) === at(one);
        }"""
    )
    page.get_by_label("Shift the second by").fill("what")
    expect(page.get_by_role("alert")).to_contain_text("Give a number of seconds")


@pytest.mark.more
def test_names_are_only_text(page: Any, server: Server, analysed: str, short: Path) -> None:
    """A name that is markup is shown as it is on every page; `watch` fails on a dialog, and on a request for its picture."""
    id = server.analyse(short, HOSTILE, every_s=0.5)["id"]
    with server.client() as client:
        client.patch(f"/api/jobs/{id}/tracks/1", json={"name": HOSTILE}).raise_for_status()
    for path in ("/", "/analyses", f"/analyses/{id}", f"/compare?a={id}&b={analysed}", "/stored"):
        page.goto(path)
        if path != "/stored":
            expect(page.get_by_text(HOSTILE).locator("visible=true").first).to_be_visible()
        assert page.locator("img[src=x]").count() == 0
    report = page.goto(f"/api/jobs/{id}/files/report.html")
    assert "sandbox" in report.headers["content-security-policy"]
    assert page.locator("img[src=x]").count() == 0


@pytest.mark.more
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


@pytest.mark.more
def test_cancel_try_again_delete(page: Any, server: Server, long_film: Path) -> None:
    page.get_by_text("Every frame").click()  # so much to look at that it lasts until Cancel is pressed
    expect(page.get_by_role("radio", name="Every frame")).to_be_checked()
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


@pytest.mark.more
def test_a_file_that_is_too_large_is_refused_before_it_is_sent(open_page: Open, serve: Any, tmp_path: Path) -> None:
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(2 << 20))
    page = open_page("/", server=serve(upload_max_mib=1))
    drop(page, large)
    expect(page.get_by_text("at most 1.0 MB are taken")).to_be_visible()
    expect(page.get_by_role("button", name="Choose files first")).to_be_disabled()


@pytest.mark.more
def test_a_job_survives_kill_9(open_page: Open, serve: Any, watch: Watch, long_film: Path) -> None:
    """The page says that the server is gone, and comes back by itself; the job is done at the end."""
    watch.expect("ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE")
    server = serve()
    page = open_page("/", server=server)
    page.get_by_text("Twice a second").click()
    expect(page.get_by_role("radio", name="Twice a second")).to_be_checked()
    analyse(page, long_film)
    page.wait_for_function("() => document.querySelector('#under-way li.job')?.textContent.includes('frames ·')")
    server.kill()
    expect(page.locator("#gone")).to_be_visible()
    expect(page.locator("#gone")).to_contain_text("The server cannot be reached")
    server.start()
    expect(page.locator("#gone")).to_be_hidden()
    row = page.locator("#latest li.job", has_text="long.mp4")
    expect(row).to_contain_text("1 face", timeout=RESULT_MS)
    with server.client() as client:
        (job,) = client.get("/api/jobs").json()["items"]
        result = client.get(f"/api/jobs/{job['id']}/result").json()
    assert job["state"] == "done"
    assert result["frames"] == 120
