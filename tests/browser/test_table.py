"""A table of an analysis in the browser: the rows of its CSV, filtered, sorted, and each leading to its moment."""

import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from browser.conftest import Open
from mien import report
from mien.types import Timeline
from rows import more
from serving import Server

LOOKS = 90_000
"""An hour at 25 looks a second."""

FIRST_ROWS = """addEventListener("DOMContentLoaded", () => {
    const told = new MutationObserver(() => {
        if (window.firstTold || !document.querySelector("#body th a")) return;
        window.firstTold = document.getElementById("count").textContent;
    });
    told.observe(document.body, { subtree: true, childList: true, characterData: true });
})"""
"""Notes what the page said of how far it was when its first row stood there."""

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def film(server: Server, demo: Path) -> str:
    """The demo film, looked at five times a second."""
    return str(server.analyse(demo, "portraits.mp4", every_s=0.2)["id"])


def table_of(server: Server, job: str, name: str) -> list[dict[str, str]]:
    with server.client() as client:
        return list(csv.DictReader(io.StringIO(client.get(f"/api/jobs/{job}/files/{name}").raise_for_status().text)))


def opened(page: Any, job: str, name: str, query: str = "") -> Any:
    page.goto(f"/analyses/{job}/tables/{name}{query}")
    expect(page.locator("#count")).to_contain_text(re.compile(r"\d rows?$|of \d"))
    expect(page.locator("#box")).not_to_have_attribute("aria-busy", "true")
    return page


def rows_shown(page: Any) -> list[dict[str, str]]:
    """Every row, by the names that the file has for columns: scrolled through, since only those in sight stand in the page."""
    found: list[dict[str, str]] = page.evaluate(
        """async () => {
            const box = document.getElementById("box");
            const names = [...document.querySelectorAll("#head th")].map(th => th.dataset.column);
            const rows = new Map();
            box.scrollTop = 0;
            for (let before = -1; box.scrollTop > before;) {
                before = box.scrollTop;
                for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
                for (const row of document.querySelectorAll("#body tr[aria-rowindex]")) {
                    const cells = [...row.children].map((cell, k) => [names[k], cell.textContent]);
                    rows.set(Number(row.getAttribute("aria-rowindex")), Object.fromEntries(cells));
                }
                box.scrollTop += 200;
            }
            box.scrollTop = 0;
            return [...rows.keys()].sort((a, b) => a - b).map(i => rows.get(i));
        }"""
    )
    return found


def as_shown(row: dict[str, str]) -> dict[str, str]:
    """A row of a CSV of a film under two minutes, in the words of the page."""
    whole = {"frame", "faces"}

    def words(name: str, text: str) -> str:
        if name in ("expression", "flags"):
            return text.replace(";", ", ")
        if text == "":
            return "–"
        if name == "track":
            return f"Face {text}"
        if name in whole or name.endswith("_count"):
            return text
        value = float(text)
        if name.endswith("_s"):
            return f"{value:.2f} s"
        if name == "valence":
            return f"{'+' if value > 0 else '−' if value < 0 else ''}{abs(value):.2f}"
        return f"{value:.0f}" if name in ("x1", "y1", "x2", "y2") else f"{value * 100:.1f}%"

    return {name: words(name, text) for name, text in row.items()}


def number(text: str) -> float | None:
    """What a cell says as a number; None for words."""
    match = re.match(r"[+−]?\d+(\.\d+)?", text)
    return float(match[0].replace("−", "-")) if match else None


def same(shown: str, wanted: str) -> bool:
    """The same words; of numbers the last digit may differ by one, where a half was rounded up here and down there."""
    one, other = number(shown), number(wanted)
    if shown == wanted or one is None or other is None:
        return shown == wanted
    last = 10.0 ** -len(re.match(r"[^.]*\.?(\d*)", wanted)[1])  # type: ignore[index]
    return bool(abs(one - other) < 1.01 * last)


@pytest.mark.parametrize("name", ["faces.csv", *more("timeline.csv", "episodes.csv")])
def test_the_rows_are_those_of_the_file(page: Any, server: Server, film: str, name: str) -> None:
    wanted = table_of(server, film, name)
    opened(page, film, name)
    expect(page.locator("#count")).to_have_text(f"{len(wanted)} rows")
    shown = rows_shown(page)
    assert len(shown) == len(wanted) > 5
    assert shown[0].keys() == wanted[0].keys()
    for seen, row in zip(shown, map(as_shown, wanted), strict=True):
        assert [(key, seen[key], row[key]) for key in row if not same(seen[key], row[key])] == []
    if name == "timeline.csv":
        assert any(row["happiness"] == "–" for row in shown), "nobody in between"


@pytest.mark.more
def test_it_is_found_from_the_result_and_can_be_downloaded(page: Any, film: str) -> None:
    page.goto(f"/analyses/{film}")
    page.get_by_role("link", name="View faces.csv").click()
    page.wait_for_url(f"**/analyses/{film}/tables/faces.csv")
    with page.expect_download() as started:
        page.get_by_role("link", name="Download faces.csv").click()
    assert started.value.suggested_filename == "portraits.faces.csv"
    page.get_by_role("navigation", name="Tables of this analysis").get_by_role("link", name="Moments").click()
    expect(page.get_by_role("heading", name="Moments")).to_be_visible()
    page.get_by_role("link", name="‹ portraits.mp4").click()
    page.wait_for_url(f"**/analyses/{film}")


@pytest.mark.more
def test_sorting_by_a_press_and_by_the_keyboard(page: Any, server: Server, film: str) -> None:
    wanted = sorted((float(row["happiness"]) for row in table_of(server, film, "faces.csv")), reverse=True)
    opened(page, film, "faces.csv")
    head = page.get_by_role("columnheader", name=re.compile("^Happiness"))
    expect(page.get_by_role("columnheader", name=re.compile("^Time"))).to_have_attribute("aria-sort", "ascending")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    assert page.locator("#head [aria-sort]").count() == 1
    shown = [float(row["happiness"].rstrip("%")) for row in rows_shown(page)]
    assert shown == pytest.approx([100 * value for value in wanted], abs=0.051)
    head.get_by_role("button").press("Enter")
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert [float(row["happiness"].rstrip("%")) for row in rows_shown(page)] == shown[::-1]
    expect(page.locator("#sorted")).to_have_text("Sorted by Happiness, lowest first")


@pytest.mark.more
def test_filters(page: Any, server: Server, film: str) -> None:
    rows = table_of(server, film, "faces.csv")
    opened(page, film, "faces.csv")
    page.get_by_label("From", exact=True).fill("5")
    page.get_by_label("To", exact=True).fill("0:12")
    wanted = [row for row in rows if 5 <= float(row["time_s"]) <= 12]
    assert 0 < len(wanted) < len(rows)
    expect(page.locator("#count")).to_have_text(f"{len(wanted)} rows of {len(rows)}")
    track = wanted[-1]["track"]
    page.get_by_label("Face", exact=True).select_option(track)
    wanted = [row for row in wanted if row["track"] == track]
    assert [row["time_s"] for row in rows_shown(page)] == [f"{float(row['time_s']):.2f} s" for row in wanted]
    expression = wanted[-1]["expression"]
    page.get_by_label("Expression", exact=True).select_option(expression)
    wanted = [row for row in wanted if row["expression"] == expression]
    assert [row["expression"] for row in rows_shown(page)] == [expression] * len(wanted)

    page.reload()  # the address remembers them
    expect(page.locator("#count")).to_contain_text(f" of {len(rows)}")
    assert len(rows_shown(page)) == len(wanted)
    page.get_by_label("From", exact=True).fill("later")
    expect(page.get_by_role("alert")).to_have_text("Give seconds, as 12.5, or a time, as 4:05.")
    page.get_by_label("From", exact=True).fill("13")
    expect(page.get_by_role("alert")).to_have_text("The end comes before the beginning.")
    expect(page.get_by_text("No row fits")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    expect(page.locator("#count")).to_have_text(f"{len(rows)} rows")
    expect(page).to_have_url(re.compile(r"^[^?]*$"))


@pytest.mark.more
def test_a_look_at_everybody_is_found_by_what_somebody_shows(page: Any, server: Server, film: str) -> None:
    rows = table_of(server, film, "timeline.csv")
    happy = [row for row in rows if int(row["happiness_count"])]
    opened(page, film, "timeline.csv")
    page.get_by_label("Shown by somebody").select_option("happiness")
    expect(page.locator("#count")).to_have_text(re.compile(rf"^{len(happy)} rows? of {len(rows)}$"))


@pytest.mark.parametrize("keys", [True, *more(False)], ids=["keyboard", "mouse"])
def test_a_row_leads_to_its_moment(page: Any, server: Server, film: str, keys: bool) -> None:
    row = table_of(server, film, "faces.csv")[40]
    opened(page, film, "faces.csv", "" if keys else "?from=10")
    if keys:
        page.locator("#body th a").first.focus()
        for _ in range(40):
            page.keyboard.press("ArrowDown")
        expect(page.locator("#body tr[aria-rowindex='42'] a:focus")).to_be_in_viewport()
        page.keyboard.press("Enter")
    else:
        page.get_by_role("link", name=f"{float(row['time_s']):.2f} s", exact=True).first.click()
    page.wait_for_url("**#t=*")
    cursor = page.get_by_role("slider", name="Moment in the film")
    expect(cursor).to_have_attribute("aria-valuenow", re.compile(rf"^{float(row['time_s']):.1f}"))
    page.wait_for_function(
        """wanted => {
            const film = document.querySelector("video");
            return film.readyState >= 1 && !film.seeking && Math.abs(film.currentTime - wanted) <= 0.06;
        }""",
        arg=float(row["time_s"]),
    )
    expect(page.locator("#whose")).to_have_value(row["track"])
    page.go_back()
    expect(page.locator("#count")).to_contain_text("rows")
    link = page.get_by_role("link", name=f"{float(row['time_s']):.2f} s", exact=True)
    expect(link.first).to_be_attached()  # scrolled and filtered as it was left


@pytest.mark.more
def test_names_are_shown_and_merged_faces_are_one(page: Any, server: Server, short: Path) -> None:
    """What a person changed holds here as in the file; a name that is markup is shown as it is."""
    job = str(server.analyse(short, "short.mp4", every_s=0.5)["id"])
    with server.client() as client:
        client.patch(f"/api/jobs/{job}/tracks/1", json={"name": "<i>Anna</i>"}).raise_for_status()
        client.patch(f"/api/jobs/{job}/tracks/2", json={"hidden": True}).raise_for_status()
    opened(page, job, "faces.csv")
    assert {row["track"] for row in rows_shown(page)} == {"<i>Anna</i>"}
    expect(page.get_by_label("Face", exact=True)).to_be_hidden()


@pytest.mark.more
def test_an_empty_table_says_so(page: Any, server: Server, group: Path) -> None:
    job = server.analyse(group)["id"]
    opened(page, job, "episodes.csv")
    expect(page.get_by_text("This table is empty")).to_be_visible()
    expect(page.locator("#filters")).to_be_hidden()
    expect(page.locator("#box")).to_be_hidden()


@pytest.mark.more
def test_a_table_that_cannot_be_read_says_why(open_page: Open, server: Server, broken: Path, watch: Any) -> None:
    watch.expect("status of 409")
    job = server.analyse(broken)["id"]
    page = open_page(f"/analyses/{job}/tables/faces.csv")
    expect(page.get_by_role("alert").filter(has_text=re.compile("."))).to_be_visible()


@pytest.mark.more
def test_an_hour_of_every_frame_is_fast(page: Any, server: Server, demo: Path) -> None:
    """The first rows stand there while the rest is still being read; only what is in sight does, and both ends are reached."""
    job = server.analyse(demo, "an hour.mp4", every_s=2, keep_film=False)["id"]
    folder = server.data / "jobs" / job
    seen = Timeline.load(folder / "timeline.npz")
    spread = np.arange(LOOKS) % len(seen.frame_rows)
    long = Timeline(
        info=seen.info,
        labels=seen.labels,
        frames=np.arange(LOOKS),
        times=np.arange(LOOKS) / 25,
        frame_rows=np.arange(LOOKS),
        **{name: getattr(seen, name)[spread] for name in ("tracks", "boxes", "face_scores", "emotions", "smoothed")},
    )
    report.faces_csv(long, folder / "result" / "faces.csv")
    page.context.add_init_script(FIRST_ROWS)
    page.goto(f"/analyses/{job}/tables/faces.csv")
    page.locator("#body th a").first.wait_for()
    told = re.fullmatch(r"Reading: ([\d\u202f]+) rows so far", page.wait_for_function("() => window.firstTold").json_value())
    assert told is not None
    assert 0 < int(told[1].replace("\u202f", "")) < LOOKS / 4
    expect(page.locator("#count")).to_have_text("90\u202f000 rows", timeout=240_000)
    expect(page.get_by_role("table")).to_have_attribute("aria-rowcount", str(LOOKS + 1))
    page.locator("#body th a").first.focus()
    page.keyboard.press("End")
    last = page.locator("#body tr[aria-rowindex]").last
    expect(last).to_have_attribute("aria-rowindex", str(LOOKS + 1))
    expect(last.locator("a")).to_be_focused()
    expect(last.locator("a")).to_have_attribute("href", re.compile(r"#t=3599\.96&face=\d+$"))
    assert page.locator("#body tr").count() < 80
    page.keyboard.press("Home")
    expect(page.locator("#body tr[aria-rowindex='2'] a")).to_be_focused()
    page.get_by_label("From", exact=True).fill("59:00")
    expect(page.locator("#count")).to_have_text("1\u202f500 rows of 90\u202f000")
