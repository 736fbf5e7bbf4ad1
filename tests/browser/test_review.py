"""The report of a study in a real browser: as a file without a network, and on its page."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pypdfium2
import pytest

from browser.conftest import PATIENCE_MS, Open, Watch
from browser.test_accessibility import serious
from mien.review import page as review_page
from review.reviews import HOSTILE, KINDS, review, stimulus
from serving import Server

WIDTHS = (360, 768, 1920)

Offline = Callable[..., Any]


@pytest.fixture
def offline(browser: Any, tmp_path: Path, watch: Watch) -> Iterator[Offline]:
    """offline(review, width=…, scheme=…) -> the page of a review opened as a file, without a network; all it asks for is noted."""
    contexts = []

    def opened(made: dict[str, Any], *, width: int = 1280, scheme: str = "light", **options: Any) -> Any:
        path = tmp_path / f"review{len(contexts)}.html"
        review_page.html(made, path)
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce", offline=True, **options
        )
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        watch.page(page)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("#review-methods h2")
        if any(film["curves"] for film in made["stimuli"]):
            page.wait_for_selector(".plot .main-svg")
        assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [path.as_uri()]
        return page

    yield opened
    for context in contexts:
        context.close()


def overflow(page: Any) -> list[str]:
    """What reaches beyond the window, where the page can be scrolled sideways."""
    found: list[str] = page.evaluate(
        """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
            .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && e.checkVisibility())
            .map(e => `${e.tagName}.${e.className} to ${e.getBoundingClientRect().right}`)"""
    )
    return found


def cursor(page: Any) -> str:
    return str(page.locator(".cursor").get_attribute("aria-valuetext"))


def until(page: Any, expression: str) -> None:
    """Waits until it is true. Playwright's own waiting evaluates strings, which the pages' policy forbids."""
    end = time.monotonic() + PATIENCE_MS / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(50)


# --- the file


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_opens_without_a_network_and_is_accessible(offline: Offline, kind: str) -> None:
    page = offline(KINDS[kind]())
    assert page.locator("h1").count() == 1
    assert serious(page) == []
    assert overflow(page) == []
    assert page.locator("#review-methods").inner_text().count("People show the same feeling") == 1


@pytest.mark.parametrize("kind", ["usual", "few", "hostile"])
def test_dark_is_accessible(offline: Offline, kind: str) -> None:
    assert serious(offline(KINDS[kind](), scheme="dark")) == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", ["usual", "long_titles", "two_films", "hostile", "crowd"])
def test_nothing_is_cut_off(offline: Offline, kind: str, width: int) -> None:
    page = offline(KINDS[kind](), width=width)
    assert overflow(page) == []
    page.add_style_tag(content="html { font-size: 200% !important }")
    if width >= 768:
        assert overflow(page) == []


def test_what_happened_stands_at_the_top(offline: Offline) -> None:
    page = offline(review())
    assert page.locator("h1").inner_text() == (
        "Happiness peaks at 0:34, 4 s after “Joke”: it rose in 8 of 10 viewers. Three more moments stand out."
    )
    assert page.locator("h1").bounding_box()["y"] < 120


def test_hostile_texts_run_nothing(offline: Offline) -> None:
    page = offline(KINDS["hostile"]())
    assert page.locator("#review-head").get_by_text(HOSTILE, exact=True).count() == 1
    assert page.locator("main img[src='x']").count() == 0
    assert page.locator("main b", has_text="bold").count() == 0


def test_the_cursor_moves_the_still_and_tells_the_values(offline: Offline) -> None:
    page = offline(review())
    still = page.locator(".big-still")
    assert cursor(page).startswith("0:34: happiness 68%")  # it begins where most happens
    before = still.get_attribute("src")
    page.locator(".cursor").focus()
    page.keyboard.press("Home")
    assert cursor(page).startswith("0:00: ")
    assert still.get_attribute("src") != before
    assert page.locator(".reading-time b").inner_text() == "0:00"
    page.keyboard.press("End")
    assert cursor(page).startswith("2:30: ")
    page.keyboard.press("ArrowLeft")
    assert cursor(page).startswith("2:30: ") or cursor(page).startswith("2:29: ")


def test_a_press_on_the_plot_moves_the_cursor(offline: Offline) -> None:
    page = offline(review())
    page.locator(".plot").scroll_into_view_if_needed()
    box = page.locator(".plot .nsewdrag").first.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert cursor(page).startswith("1:15: ")


def test_a_still_of_the_strip_moves_the_cursor(offline: Offline) -> None:
    page = offline(review())
    stills = page.locator(".strip img")
    assert stills.count() >= 4
    stills.first.click()
    assert int(cursor(page)[2:4]) < 20


def test_a_gap_is_told_as_one(offline: Offline) -> None:
    page = offline(review())
    page.locator(".cursor").focus()
    page.evaluate("document.querySelector('.cursor').dispatchEvent(new KeyboardEvent('keydown', { key: 'Home' }))")
    for _ in range(7):
        page.keyboard.press("PageUp")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert cursor(page).startswith("1:48: happiness –")  # nobody is seen from 1:46 to 1:49


def test_a_moment_leads_to_its_time_and_signal(offline: Offline) -> None:
    page = offline(review())
    page.get_by_role("button", name="1:08 · valence").click()
    assert cursor(page).startswith("1:08: valence ")
    assert page.get_by_role("radio", name="Valence").is_checked()
    assert page.get_by_text("happiness minus the strongest unpleasant expression").is_visible()
    page.get_by_role("button", name="1:34 · surprise").click()
    assert "surprise 49%" in cursor(page)
    assert page.get_by_role("radio", name="Expressions").is_checked()


def test_expressions_are_chosen_and_the_baseline_is_named(offline: Offline) -> None:
    page = offline(review())
    assert page.get_by_text("Raw: how strongly faces appear").is_visible()
    page.get_by_role("button", name="sadness", exact=True).click()
    assert "sadness" in cursor(page)
    page.get_by_role("button", name="happiness", exact=True).click()
    assert "happiness" not in cursor(page)
    page.get_by_role("radio", name="Baseline-corrected").check()
    assert page.get_by_text("Baseline-corrected: how far each face is from its own calm look in the 5 s").is_visible()
    assert " point" in cursor(page)


def test_groups_have_their_own_lines(offline: Offline) -> None:
    page = offline(review())
    page.get_by_role("combobox", name="Viewers").select_option("cell")
    names = page.locator(".reading li .reading-name").all_inner_texts()
    assert names == ["Short cut (5)", "Long cut (5)"]
    apart = page.get_by_role("status").filter(has_text="differ in")
    assert apart.inner_text().startswith(
        "“Short cut” and “Long cut” differ in happiness by more than chance would have it (p = .004)"
    )
    assert "most at 0:33, where it is higher by 30 points for “Short cut” than for “Long cut”." in apart.inner_text()
    assert page.locator(".plot").get_by_text("Short cut minus Long cut; in the grey band it could be by chance").count() == 1
    page.get_by_role("button", name="surprise", exact=True).click()
    assert page.locator(".chip[aria-pressed=true]").all_inner_texts() == ["surprise"]  # one at a time
    page.get_by_role("button", name="anger", exact=True).click()
    assert (
        "do not differ in anger by more than chance would have it (p = .60, could be chance)"
        in page.locator(".plot-side").inner_text()
    )
    page.get_by_role("button", name="surprise", exact=True).click()
    page.get_by_role("combobox", name="Viewers").select_option("")
    assert page.locator(".reading li .reading-name").all_inner_texts() == ["surprise"]
    assert page.get_by_text("by more than chance would have it (p").is_hidden()


def test_the_marked_moments_tell_before_and_after(offline: Offline) -> None:
    page = offline(review())
    joke = page.locator(".review-markers > li", has_text="Joke")
    assert "10% → 53%" in joke.inner_text()
    assert "+43 points" in joke.inner_text()
    assert "+34 to +52 points with 95% certainty; p = .002" in joke.inner_text()
    assert page.get_by_role("button", name="Mark this moment").count() == 0  # a file cannot be changed
    joke.get_by_text("All expressions").click()
    assert joke.locator("details .effects > li").count() == 9


def test_viewers_are_sorted_by_keyboard(offline: Offline) -> None:
    page = offline(KINDS["crowd"]())
    rows = page.locator(".viewers tbody tr")
    assert rows.count() == 200
    assert rows.first.locator("th").inner_text() == "1"
    assert page.locator(".viewers tbody th").all_inner_texts()[8:11] == [
        "R1-1 (in the room)",
        "R1-2 (in the room)",
        "R1-3 (in the room)",
    ]
    head = page.get_by_role("button", name="Face found")
    head.focus()
    page.keyboard.press("Enter")
    shares = [float(text.strip("%")) for text in page.locator(".viewers tbody td:nth-child(3)").all_inner_texts()]
    assert shares == sorted(shares, reverse=True)
    assert page.locator(".viewers th[aria-sort=descending]").inner_text().startswith("Face found")
    page.keyboard.press("Enter")
    shares = [float(text.strip("%")) for text in page.locator(".viewers tbody td:nth-child(3)").all_inner_texts()]
    assert shares == sorted(shares)
    assert rows.first.locator(".why").inner_text().startswith("No face was found in")


def test_two_films_are_switched(offline: Offline) -> None:
    page = offline(KINDS["two_films"]())
    assert page.locator("#view-title").inner_text() == KINDS["two_films"]()["stimuli"][0]["title"]
    page.locator("#review-films label").nth(1).click()
    assert page.locator("#view-title").inner_text() == KINDS["two_films"]()["stimuli"][1]["title"]
    page.wait_for_selector(".plot .main-svg")
    page.locator(".cursor").focus()
    page.keyboard.press("End")
    assert cursor(page).startswith("1:30:00: ")
    assert page.get_by_role("combobox", name="Viewers").count() == 0  # that film has no groups


def test_hidden_results_show_no_curves(offline: Offline) -> None:
    page = offline(KINDS["few"]())
    assert page.locator("h1").inner_text() == "2 viewers so far; results are shown from 5."
    assert page.locator(".plot").count() == 0
    assert page.locator("#review-moments").is_hidden()
    assert page.get_by_text("people could tell who is who, so they are not shown yet.").is_visible()


def test_answers_are_charts(offline: Offline) -> None:
    page = offline(review())
    liked = page.locator(".question", has_text="How did you like the film?")
    assert liked.locator(".column").count() == 7
    heights = liked.locator(".column-bar:not(.thin)").evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().height)")
    assert heights[4] == heights[5] == max(heights) > 60
    assert len(heights) == 7
    assert "Short cut: mean 5.8" in liked.inner_text()
    thin = liked.locator(".column").nth(4).locator(".column-bar.thin")
    assert thin.count() == 2
    page.get_by_role("combobox", name="Answers").select_option("")
    assert liked.locator(".column-bar.thin").count() == 0
    assert "Short cut" not in liked.inner_text()
    page.get_by_role("combobox", name="Answers").select_option(label="by group: Cut")
    felt = page.locator(".question", has_text="What did you feel")
    assert felt.locator("dt").first.inner_text() == "happiness"
    word = page.locator(".question", has_text="In one word?")
    assert word.get_by_text("2 more answers").is_visible()


def test_what_is_not_clear_is_not_called_a_link(offline: Offline) -> None:
    page = offline(review())
    row = page.locator(".agreement tr", has_text="happiness")
    assert "strong link" in row.inner_text()
    assert "not clear from 10 viewers" in page.locator(".agreement tr", has_text="sadness").inner_text()
    assert page.locator("#review-agreement").get_by_text("Expression is not feeling.").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_prints_dark_on_light(offline: Offline, tmp_path: Path, scheme: str) -> None:
    page = offline(KINDS["simulated"](), scheme=scheme)
    path = tmp_path / "print.pdf"
    page.pdf(path=str(path), format="A4")
    document = pypdfium2.PdfDocument(path)
    text = " ".join(" ".join(one.get_textpage().get_text_range() for one in document).split())
    for words in ("Happiness peaks at 0:34", "Simulated.", "Moments that stand out", "R1-2 (in the room)", "How it was made"):
        assert words in text
    for one in document:
        picture = one.render(scale=0.5).to_pil().convert("L")
        assert np.median(np.asarray(picture)) > 245  # most of a page is white
    assert "on-paper" not in (page.locator("html").get_attribute("class") or "")


# --- its page


@pytest.fixture(scope="module")
def made(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A study with a film of two minutes and a half on the server; its id."""
    from browser.films import still_film

    film = still_film(tmp_path_factory.mktemp("film") / "film.mp4", seconds=40)
    with httpx.Client(base_url=server.url, timeout=60) as client:
        id = client.post("/api/studies", json={"title": "Reaction screening"}).json()["id"]
        with film.open("rb") as file:
            assert (
                client.post(f"/api/studies/{id}/films", files={"file": ("film.mp4", file)}, data={"title": "Film"}).status_code
                == 201
            )
        for _ in range(200):
            if client.get(f"/api/studies/{id}").json()["films"][0]["state"] == "ready":
                return str(id)
            time.sleep(0.1)
    raise AssertionError("the film was not made ready")


class Answers:
    """What the page is answered when it asks for the review."""

    def __init__(self, review: dict[str, Any]) -> None:
        self.review, self.version, self.building, self.gone, self.asked = review, 1, False, False, 0

    def __call__(self, route: Any) -> None:
        self.asked += 1
        tag = f'"{self.version}"'
        if self.gone:
            route.abort()
        elif self.building:
            route.fulfill(status=202, json={"state": "building"})
        elif route.request.headers.get("if-none-match") == tag:
            route.fulfill(status=304, headers={"ETag": tag, "X-Review-Stale": "0"})
        else:
            route.fulfill(body=json.dumps(self.review), headers={"ETag": tag, "Content-Type": "application/json"})


def shown(open_page: Open, made: str, answers: Answers, **options: Any) -> Any:
    page = open_page("/stored", **options)
    page.route("**/review", lambda route: answers(route) if "/api/" in route.request.url else route.continue_())
    page.goto(f"/studies/{made}/review")
    return page


@pytest.fixture
def answers() -> Answers:
    film = stimulus("s1", "Film", seconds=40.0)
    return Answers(review(stimuli=[film], headline="Happiness peaks at 8.9 s.", live=True))


def test_the_film_and_the_curves_move_together(open_page: Open, made: str, answers: Answers) -> None:
    page = shown(open_page, made, answers)
    page.wait_for_selector(".plot .main-svg")
    until(page, "document.querySelector('video').readyState > 0")
    page.evaluate("document.querySelector('video').currentTime = 20")
    until(page, "document.querySelector('.cursor').getAttribute('aria-valuetext').startsWith('20.0 s: ')")
    page.locator(".cursor").focus()
    page.keyboard.press("Home")
    until(page, "document.querySelector('video').currentTime === 0")
    page.get_by_role("button", name="8.9 s · happiness").click()
    until(page, "Math.abs(document.querySelector('video').currentTime - 8.9) < 0.1")
    page.evaluate("document.querySelector('video').play()")
    until(page, "parseFloat(document.querySelector('.cursor').getAttribute('aria-valuetext')) > 9.2")


def test_markers_are_added_changed_and_deleted(open_page: Open, made: str, answers: Answers, server: Server) -> None:
    answers.review["stimuli"][0]["markers"] = []

    def kept() -> list[dict[str, Any]]:
        found = httpx.get(f"{server.url}/api/studies/{made}").json()["definition"]["markers"]
        answers.review["stimuli"][0]["markers"] = [one | {"effects": {}} for one in found]
        answers.version += 1
        return list(found)

    page = shown(open_page, made, answers)
    page.wait_for_selector(".plot .main-svg")
    assert page.get_by_text("Nothing is marked yet").is_visible()
    page.locator(".cursor").focus()
    page.keyboard.press("PageUp")
    page.get_by_role("button", name="Mark this moment").click()
    page.get_by_label("What happens here").fill(HOSTILE[:60])
    assert page.get_by_label("At", exact=True).input_value() == "4.0"
    page.get_by_label("Until (may stay empty)").fill("2")
    page.get_by_role("button", name="Save").click()
    assert page.get_by_label("Until (may stay empty)").evaluate("e => e.validationMessage") == "The end comes after the beginning."
    page.get_by_label("Until (may stay empty)").fill("0:06.5")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("status").get_by_text("is marked").wait_for()
    marker = kept()[0]
    assert (marker["time_s"], marker["end_s"], marker["label"]) == (4.0, 6.5, HOSTILE[:60])
    page.reload()
    page.get_by_role("button", name=f"Change {HOSTILE[:60]}").click()
    page.get_by_label("What happens here").fill("Joke")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("status").get_by_text("“Joke” is changed.").wait_for()
    assert kept()[0]["label"] == "Joke"
    page.reload()
    page.get_by_role("button", name="Delete Joke").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_role("status").get_by_text("“Joke” is deleted.").wait_for()
    assert kept() == []


def test_it_follows_the_study_and_keeps_what_was_chosen(open_page: Open, made: str, answers: Answers) -> None:
    answers.building = True
    page = shown(open_page, made, answers)
    page.get_by_text("The report is being made.").wait_for()
    answers.building = False
    page.wait_for_selector(".plot .main-svg")
    assert page.get_by_text("The report is being made.").is_hidden()
    page.get_by_role("button", name="sadness", exact=True).click()
    page.locator(".cursor").focus()
    page.keyboard.press("PageUp")
    page.evaluate("document.querySelector('video').kept = true")
    answers.review = answers.review | {"headline": "Another sentence.", "stimuli": [answers.review["stimuli"][0] | {"viewers": 11}]}
    answers.version += 1
    page.get_by_role("heading", name="Another sentence.").wait_for()
    assert page.locator(".reading-time").inner_text().endswith("of 11")
    assert cursor(page).startswith("4.0 s: ")
    assert "sadness" in cursor(page)
    assert page.evaluate("document.querySelector('video').kept") is True
    assert page.evaluate("document.activeElement.className") == "cursor"


def test_a_server_that_is_gone_is_told_and_comes_back(open_page: Open, made: str, answers: Answers, watch: Watch) -> None:
    watch.expect("net::ERR_FAILED")
    page = shown(open_page, made, answers)
    page.wait_for_selector(".plot .main-svg")
    answers.gone = True
    page.get_by_text("The server cannot be reached.").wait_for()
    assert page.locator(".plot").is_visible()
    answers.gone = False
    page.get_by_text("The server cannot be reached.").wait_for(state="hidden")


def test_a_report_is_kept_and_deleted(open_page: Open, made: str, answers: Answers) -> None:
    page = shown(open_page, made, answers)
    page.wait_for_selector(".plot .main-svg")
    page.get_by_role("button", name="Keep as it is now").click()
    page.get_by_label("Name").fill("First night")
    page.get_by_role("button", name="Keep", exact=True).click()
    page.get_by_role("status").get_by_text("Kept as “First night”.").wait_for()
    # A kept one is what the server really makes: nobody took part.
    page.get_by_role("combobox", name="Report").select_option(label="First night")
    page.get_by_role("button", name="Delete this one").wait_for()
    assert "frozen=" in page.url
    assert page.get_by_role("button", name="Mark this moment").count() == 0
    page.get_by_role("heading", level=1, name="No viewers so far; results are shown from 5.").wait_for()
    page.get_by_role("button", name="Delete this one").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Keep as it is now").wait_for()
    assert "frozen=" not in page.url
    assert page.get_by_role("combobox", name="Report").locator("option").all_inner_texts() == ["as it stands"]


def test_downloads_are_in_a_menu_that_keys_close(open_page: Open, made: str, answers: Answers) -> None:
    page = shown(open_page, made, answers)
    menu = page.locator("summary", has_text="Download")
    menu.focus()
    page.keyboard.press("Enter")
    links = page.locator(".downloads a")
    assert links.first.is_visible()
    assert links.evaluate_all("all => all.map(a => a.pathname.split('/').pop())") == [
        *("review.html", "review.pdf", "review.pdf", "long.csv", "wide.csv", "answers.csv", "viewers.csv", "moments.csv"),
        *("review.json", "review.zip"),
    ]
    page.keyboard.press("Escape")
    assert links.first.is_hidden()
    assert page.evaluate("document.activeElement.textContent") == "Download"


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(open_page: Open, made: str, answers: Answers, width: int, scheme: str) -> None:
    page = shown(open_page, made, answers, width=width, scheme=scheme)
    page.wait_for_selector(".plot .main-svg")
    page.locator("summary", has_text="Download").click()
    assert serious(page) == []
    assert overflow(page) == []
    box = page.locator(".downloads").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width


def test_a_study_that_is_not_there(open_page: Open, watch: Watch, server: Server) -> None:
    watch.expect("status of 404")
    page = open_page("/studies/0000000000000000/review", server=server)
    assert page.locator("h1").inner_text() == "Not found"


def test_the_servers_own_file_opens(open_page: Open, made: str, server: Server) -> None:
    """The offline page as the server hands it out, within its sandbox."""
    page = open_page(f"/api/studies/{made}/review.html", server=server)
    page.wait_for_selector("#review-methods h2")
    assert page.locator("h1").inner_text() == "No viewers so far; results are shown from 5."
