"""The report of a study in a real browser: as a file without a network, and on its page."""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pypdfium2
import pytest
from playwright.sync_api import expect

from browser.axe import serious
from browser.conftest import PATIENCE_MS, Open, Watch
from mien import page_file
from mien.study_report import page as review_page
from review.reviews import HOSTILE, KINDS, review, stimulus
from rows import more
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


ENTRIES = [page_file.STATIC / "analysis_report.js", Path(review_page.__file__).parent / "static" / "start.js"]
ALONE = page_file.STATIC / "sorted_table.js"
"""A page's whole script, which imports nothing and exports nothing."""


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda path: path.stem)
def test_a_page_script_finds_what_a_browser_finds_in_its_modules(page: Any, entry: Path) -> None:
    """The names that each module exports; the browser reads the modules themselves."""
    taken = re.findall(r"return \{ (.*) \};\n\}\)\(\);", page_file.script(entry))
    files = [path for path in page_file.STATIC.rglob("*.js") if path not in (*ENTRIES, ALONE)]
    there = {
        frozenset(page.evaluate(f'import("/static/mien/{path.relative_to(page_file.STATIC).as_posix()}").then(Object.keys)'))
        for path in files
    }
    assert len(taken) > 3
    assert {frozenset(names.split(", ")) for names in taken} <= there


def overflow(page: Any) -> list[str]:
    """What reaches beyond the window, where the page can be scrolled sideways. A plot takes on its new size some frames later."""
    end = time.monotonic() + SETTLED_S
    while (found := list(page.evaluate(BEYOND))) and time.monotonic() < end:
        page.wait_for_timeout(50)
    return found


BEYOND = """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && e.checkVisibility())
    .map(e => `${e.tagName}.${e.className} to ${e.getBoundingClientRect().right}`)"""
SETTLED_S = 10.0


def stands(page: Any, words: str) -> None:
    """The cursor comes to stand where it tells what begins so."""
    expect(page.locator(".cursor")).to_have_attribute("aria-valuetext", re.compile("^" + re.escape(words)))


def until(page: Any, expression: str) -> None:
    """Waits until it is true. Playwright's own waiting evaluates strings, which the pages' policy forbids."""
    end = time.monotonic() + PATIENCE_MS / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(50)


# --- the file


@pytest.mark.parametrize("kind", ["usual", *more(*(kind for kind in KINDS if kind != "usual"))])
def test_every_kind_opens_without_a_network_and_is_accessible(offline: Offline, kind: str) -> None:
    page = offline(KINDS[kind]())
    expect(page.locator("h1")).to_have_count(1)
    assert serious(page) == []
    assert overflow(page) == []
    assert page.locator("#review-methods").inner_text().count("People show the same feeling") == 1


@pytest.mark.more
@pytest.mark.parametrize("kind", ["usual", "few", "hostile"])
def test_dark_is_accessible(offline: Offline, kind: str) -> None:
    assert serious(offline(KINDS[kind](), scheme="dark")) == []


@pytest.mark.parametrize("kind", ["usual", *more("long_titles", "two_films", "hostile", "crowd")])
def test_nothing_is_cut_off(offline: Offline, kind: str) -> None:
    """Opened on a phone, which is then turned into a screen."""
    page = offline(KINDS[kind](), width=WIDTHS[0])
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        expect(page.locator(".plot .main-svg").first).to_be_visible()
        assert overflow(page) == []
        if width >= 768:
            large = page.add_style_tag(content="html { font-size: 200% !important }")
            assert overflow(page) == []
            large.evaluate("style => style.remove()")


def test_what_happened_stands_at_the_top(offline: Offline) -> None:
    page = offline(review())
    expect(page.locator("h1")).to_have_text(
        "Happiness appears most at 0:34, 4 s after “Joke”: it rose in 8 of 10 viewers. Three more moments stand out."
    )
    assert page.locator("h1").bounding_box()["y"] < 120


def test_hostile_texts_run_nothing(offline: Offline) -> None:
    page = offline(KINDS["hostile"]())
    expect(page.locator("#review-head").get_by_text(HOSTILE, exact=True)).to_have_count(1)
    expect(page.locator("main img[src='x']")).to_have_count(0)
    expect(page.locator("main b", has_text="bold")).to_have_count(0)


def test_the_cursor_moves_the_still_and_tells_the_values(offline: Offline) -> None:
    page = offline(review())
    still = page.locator(".big-still")
    stands(page, "0:34: happiness 68%")  # it begins where most happens
    before = still.get_attribute("src")
    page.locator(".cursor").focus()
    page.keyboard.press("Home")
    stands(page, "0:00: ")
    expect(still).not_to_have_attribute("src", before)
    expect(page.locator(".reading-time b")).to_have_text("0:00")
    page.keyboard.press("End")
    stands(page, "2:30: ")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".cursor")).to_have_attribute("aria-valuetext", re.compile("^2:(30|29): "))


@pytest.mark.more
def test_a_press_on_the_plot_moves_the_cursor(offline: Offline) -> None:
    page = offline(review())
    page.locator(".plot").scroll_into_view_if_needed()
    box = page.locator(".plot .nsewdrag").first.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    stands(page, "1:15: ")


@pytest.mark.more
def test_a_still_of_the_strip_moves_the_cursor(offline: Offline) -> None:
    page = offline(review())
    stills = page.locator(".strip img")
    expect(stills.nth(3)).to_be_visible()
    stills.first.click()
    expect(page.locator(".cursor")).to_have_attribute("aria-valuetext", re.compile("^0:[01]\\d: "))


@pytest.mark.more
def test_a_gap_is_told_as_one(offline: Offline) -> None:
    page = offline(review())
    page.locator(".cursor").focus()
    page.evaluate("document.querySelector('.cursor').dispatchEvent(new KeyboardEvent('keydown', { key: 'Home' }))")
    for _ in range(7):
        page.keyboard.press("PageUp")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    stands(page, "1:48: happiness –")  # nobody is seen from 1:46 to 1:49


@pytest.mark.more
def test_a_moment_leads_to_its_time_and_signal(offline: Offline) -> None:
    page = offline(review())
    page.get_by_role("button", name="1:08 · valence").click()
    stands(page, "1:08: valence ")
    assert page.get_by_role("radio", name="Valence").is_checked()
    expect(page.get_by_text("happiness minus the largest unpleasant expression")).to_be_visible()
    page.get_by_role("button", name="1:34 · surprise").click()
    expect(page.locator(".cursor")).to_have_attribute("aria-valuetext", re.compile("surprise 49%"))
    assert page.get_by_role("radio", name="Expressions").is_checked()


@pytest.mark.more
def test_expressions_are_chosen_and_the_baseline_is_named(offline: Offline) -> None:
    page = offline(review())
    expect(page.get_by_text("Raw: how sure the program is that a face appears")).to_be_visible()
    page.get_by_role("button", name="sadness", exact=True).click()
    expect(page.locator(".cursor")).to_have_attribute("aria-valuetext", re.compile("sadness"))
    page.get_by_role("button", name="happiness", exact=True).click()
    expect(page.locator(".cursor")).not_to_have_attribute("aria-valuetext", re.compile("happiness"))
    said = "How sure the program is that a face appears to show it"
    expect(page.locator(".plot").get_by_text(f"{said}; smoothed, σ = 0.25 s")).to_have_count(1)
    page.get_by_role("radio", name="As measured").check()
    expect(page.locator(".plot").get_by_text(f"{said}; as measured")).to_have_count(1)
    expect(page.get_by_text("The line is the mean of the viewers, as measured")).to_be_visible()
    page.get_by_role("radio", name="Baseline-corrected").check()
    expect(page.get_by_text("Baseline-corrected: how far each face is from its own calm look in the 5 s")).to_be_visible()
    expect(page.locator(".cursor")).to_have_attribute("aria-valuetext", re.compile(" point"))


@pytest.mark.more
def test_everybody_is_one_press_away_and_who_left_is_named(offline: Offline) -> None:
    film = stimulus()
    film["everybody"] = {
        "n": [n + 2 for n in film["n"]],
        "in_curves": 12,
        "attention": film["attention"],
        "steps": [{"time_s": 40.0, "before": 12, "after": 10}],
        "curves": film["curves"],
        "moments": [],
        "markers": film["markers"],
        "synchrony": None,
    }
    film |= {"viewers": 12, "steps": []}
    page = offline(review(stimuli=[film]))
    left = page.get_by_role("region", name="Who left when")
    expect(left).to_contain_text("10 viewers of 12 saw at least 80% of it: the curves are theirs")
    left.get_by_text("2 viewers who saw less than 80%").click()
    expect(left.get_by_text("90 saw 27% of it, from 0.0 s to 40.0 s")).to_be_visible()
    expect(page.locator(".reading-time")).to_contain_text("found of 10")
    expect(page.get_by_text("n 12 → 10")).to_have_count(0)
    page.get_by_role("radio", name="Everybody").check()
    expect(page.locator(".reading-time")).to_contain_text("found of 12")
    expect(page.locator(".plot").get_by_text("n 12 → 10")).to_have_count(1)
    expect(page.get_by_text("No moment stands out", exact=True)).to_be_visible()
    page.get_by_role("radio", name="Saw 80% of it").check()
    expect(page.locator(".reading-time")).to_contain_text("found of 10")


@pytest.mark.more
def test_groups_have_their_own_lines(offline: Offline) -> None:
    page = offline(review())
    page.get_by_role("combobox", name="Viewers").select_option("cell")
    expect(page.locator(".reading li .reading-name")).to_have_text(["Short cut (5)", "Long cut (5)"])
    apart = page.get_by_role("status").filter(has_text="differ in")
    words = "“Short cut” and “Long cut” differ in happiness by more than chance would have it (p = .004)"
    expect(apart).to_have_text(re.compile("^" + re.escape(words)))
    expect(apart).to_contain_text("most at 0:33, where it is higher by 30 points for “Short cut” than for “Long cut”.")
    expect(page.locator(".plot").get_by_text("Short cut minus Long cut; in the grey band it could be by chance")).to_have_count(1)
    page.get_by_role("button", name="surprise", exact=True).click()
    expect(page.locator(".chip[aria-pressed=true]")).to_have_text(["surprise"])  # one at a time
    page.get_by_role("button", name="anger", exact=True).click()
    words = "do not differ in anger by more than chance would have it (p = .60, could be chance)"
    expect(page.locator(".plot-side")).to_contain_text(words)
    page.get_by_role("button", name="surprise", exact=True).click()
    page.get_by_role("combobox", name="Viewers").select_option("")
    expect(page.locator(".reading li .reading-name")).to_have_text(["surprise"])
    expect(page.get_by_text("by more than chance would have it (p")).to_be_hidden()


@pytest.mark.more
def test_the_marked_moments_tell_before_and_after(offline: Offline) -> None:
    page = offline(review())
    joke = page.locator(".review-markers > li", has_text="Joke")
    expect(joke).to_contain_text("10% → 53%")
    expect(joke).to_contain_text("+43 points")
    expect(joke).to_contain_text("+34 to +52 points with 95% certainty; p = .002")
    expect(page.get_by_role("button", name="Mark this moment")).to_have_count(0)  # a file cannot be changed
    joke.get_by_text("All expressions").click()
    expect(joke.locator("details .effects > li")).to_have_count(9)


@pytest.mark.more
def test_viewers_are_sorted_by_keyboard(offline: Offline) -> None:
    page = offline(KINDS["crowd"]())
    rows = page.locator(".viewers tbody tr")

    def shares() -> list[float]:
        return [float(text.strip("%")) for text in page.locator(".viewers tbody td:nth-child(3)").all_inner_texts()]

    expect(rows).to_have_count(200)
    expect(rows.first.locator("th")).to_have_text("1")
    assert page.locator(".viewers tbody th").all_inner_texts()[8:11] == [
        "R1-1 (in the room)",
        "R1-2 (in the room)",
        "R1-3 (in the room)",
    ]
    head = page.get_by_role("button", name="Face found")
    head.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".viewers th[aria-sort=descending]")).to_have_text(re.compile("^Face found"))
    assert shares() == sorted(shares(), reverse=True)
    page.keyboard.press("Enter")
    expect(page.locator(".viewers th[aria-sort=ascending]")).to_have_text(re.compile("^Face found"))
    assert shares() == sorted(shares())
    expect(rows.first.locator(".why")).to_have_text(re.compile("^No face was found in"))


@pytest.mark.more
def test_two_films_are_switched(offline: Offline) -> None:
    page = offline(KINDS["two_films"]())
    expect(page.locator("#view-title")).to_have_text(KINDS["two_films"]()["stimuli"][0]["title"])
    page.locator("#review-films label").nth(1).click()
    expect(page.locator("#view-title")).to_have_text(KINDS["two_films"]()["stimuli"][1]["title"])
    page.wait_for_selector(".plot .main-svg")
    page.locator(".cursor").focus()
    page.keyboard.press("End")
    stands(page, "1:30:00: ")
    expect(page.get_by_role("combobox", name="Viewers")).to_have_count(0)  # that film has no groups


def test_hidden_results_show_no_curves(offline: Offline) -> None:
    page = offline(KINDS["few"]())
    expect(page.locator("h1")).to_have_text("2 viewers so far; results are shown from 5.")
    expect(page.locator(".plot")).to_have_count(0)
    expect(page.locator("#review-moments")).to_be_hidden()
    expect(page.get_by_text("people could tell who is who, so they are not shown yet.")).to_be_visible()


@pytest.mark.more
def test_answers_are_charts(offline: Offline) -> None:
    page = offline(review())
    liked = page.locator(".question", has_text="How did you like the film?")
    expect(liked.locator(".column")).to_have_count(7)
    heights = liked.locator(".column-bar:not(.thin)").evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().height)")
    assert heights[4] == heights[5] == max(heights) > 60
    assert len(heights) == 7
    expect(liked).to_contain_text("Short cut: mean 5.8")
    thin = liked.locator(".column").nth(4).locator(".column-bar.thin")
    expect(thin).to_have_count(2)
    page.get_by_role("combobox", name="Answers").select_option("")
    expect(liked.locator(".column-bar.thin")).to_have_count(0)
    expect(liked).not_to_contain_text("Short cut")
    page.get_by_role("combobox", name="Answers").select_option(label="by group: Cut")
    felt = page.locator(".question", has_text="What did you feel")
    expect(felt.locator("dt").first).to_have_text("happiness")
    word = page.locator(".question", has_text="In one word?")
    expect(word.get_by_text("2 more answers")).to_be_visible()


@pytest.mark.more
def test_what_is_not_clear_is_not_called_a_link(offline: Offline) -> None:
    page = offline(review())
    row = page.locator(".agreement tr", has_text="happiness")
    expect(row).to_contain_text("strong link")
    expect(page.locator(".agreement tr", has_text="sadness")).to_contain_text("not clear from 10 viewers")
    expect(page.locator("#review-agreement").get_by_text("Expression is not feeling.")).to_be_visible()


@pytest.mark.more
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_prints_dark_on_light(offline: Offline, tmp_path: Path, scheme: str) -> None:
    page = offline(KINDS["simulated"](), scheme=scheme)
    path = tmp_path / "print.pdf"
    page.pdf(path=str(path), format="A4")
    document = pypdfium2.PdfDocument(path)
    text = " ".join(" ".join(one.get_textpage().get_text_range() for one in document).split())
    for words in (
        "Happiness appears most at 0:34",
        "Simulated.",
        "Moments that stand out",
        "R1-2 (in the room)",
        "How it was made",
    ):
        assert words in text
    for one in document:
        picture = one.render(scale=0.5).to_pil().convert("L")
        assert np.median(np.asarray(picture)) > 245  # most of a page is white
    expect(page.locator("html")).not_to_have_class(re.compile("on-paper"))


# --- its page


@pytest.fixture(scope="module")
def made(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A study with a film of 40 s on the server; its id."""
    from browser.films import still_film

    film = still_film(tmp_path_factory.mktemp("film") / "film.mp4", seconds=40)
    with httpx.Client(base_url=server.url, timeout=60) as client:
        id = client.post("/api/studies", json={"title": "Reaction screening"}).json()["id"]
        with film.open("rb") as file:
            assert (
                client.post(f"/api/studies/{id}/films", files={"file": ("film.mp4", file)}, data={"title": "Film"}).status_code
                == 201
            )
        for _ in range(1200):
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


@pytest.mark.more
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


@pytest.mark.more
def test_markers_are_added_changed_and_deleted(open_page: Open, made: str, answers: Answers, server: Server) -> None:
    answers.review["stimuli"][0]["markers"] = []

    def kept() -> list[dict[str, Any]]:
        found = httpx.get(f"{server.url}/api/studies/{made}").json()["definition"]["markers"]
        answers.review["stimuli"][0]["markers"] = [one | {"effects": {}} for one in found]
        answers.version += 1
        return list(found)

    page = shown(open_page, made, answers)
    page.wait_for_selector(".plot .main-svg")
    expect(page.get_by_text("Nothing is marked yet")).to_be_visible()
    page.locator(".cursor").focus()
    page.keyboard.press("PageUp")
    page.get_by_role("button", name="Mark this moment").click()
    page.get_by_label("What happens here").fill(HOSTILE[:60])
    expect(page.get_by_label("At", exact=True)).to_have_value("4.0")
    page.get_by_label("Until (may stay empty)").fill("2")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Until (may stay empty)")).to_have_js_property(
        "validationMessage", "The end comes after the beginning."
    )
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
    # While the film or the plot has the focus one key marks a moment, without a question.
    page.reload()
    page.locator(".cursor").focus()
    page.keyboard.press("PageUp")
    page.keyboard.press("m")
    page.get_by_role("status").get_by_text("“Mark 1” is marked.").wait_for()
    assert [(one["time_s"], one["label"]) for one in kept()] == [(4.0, "Mark 1")]


@pytest.mark.more
def test_it_follows_the_study_and_keeps_what_was_chosen(open_page: Open, made: str, answers: Answers) -> None:
    answers.building = True
    page = shown(open_page, made, answers)
    page.get_by_text("The report is being made.").wait_for()
    answers.building = False
    page.wait_for_selector(".plot .main-svg")
    expect(page.get_by_text("The report is being made.")).to_be_hidden()
    page.get_by_role("button", name="sadness", exact=True).click()
    page.locator(".cursor").focus()
    page.keyboard.press("PageUp")
    page.evaluate("document.querySelector('video').kept = true")
    film = answers.review["stimuli"][0] | {"viewers": 11, "in_curves": 11}
    answers.review = answers.review | {"headline": "Another sentence.", "stimuli": [film]}
    answers.version += 1
    page.get_by_role("heading", name="Another sentence.").wait_for()
    expect(page.locator(".reading-time")).to_have_text(re.compile("of 11$"))
    stands(page, "4.0 s: ")
    expect(page.locator(".cursor")).to_have_attribute("aria-valuetext", re.compile("sadness"))
    assert page.evaluate("document.querySelector('video').kept") is True
    expect(page.locator(".cursor")).to_be_focused()


@pytest.mark.more
def test_a_server_that_is_gone_is_told_and_comes_back(open_page: Open, made: str, answers: Answers, watch: Watch) -> None:
    watch.expect("net::ERR_FAILED")
    page = shown(open_page, made, answers)
    page.wait_for_selector(".plot .main-svg")
    answers.gone = True
    page.get_by_text("The server cannot be reached.").wait_for()
    expect(page.locator(".plot")).to_be_visible()
    answers.gone = False
    page.get_by_text("The server cannot be reached.").wait_for(state="hidden")


@pytest.mark.more
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
    expect(page).to_have_url(re.compile("frozen="))
    expect(page.get_by_role("button", name="Mark this moment")).to_have_count(0)
    page.get_by_role("heading", level=1, name="No viewers so far; results are shown from 5.").wait_for()
    page.get_by_role("button", name="Delete this one").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Keep as it is now").wait_for()
    expect(page).not_to_have_url(re.compile("frozen="))
    expect(page.get_by_role("combobox", name="Report").locator("option")).to_have_text(["as it stands"])


@pytest.mark.more
def test_downloads_are_in_a_menu_that_keys_close(open_page: Open, made: str, answers: Answers) -> None:
    page = shown(open_page, made, answers)
    menu = page.locator("summary", has_text="Download")
    menu.focus()
    page.keyboard.press("Enter")
    links = page.locator(".downloads a")
    expect(links.first).to_be_visible()
    assert links.evaluate_all("all => all.map(a => a.pathname.split('/').pop())") == [
        *("review.html", "review.pdf", "review.pdf", "director.html", "director.pdf", "director.pptx"),
        *("long.csv", "wide.csv", "answers.csv", "viewers.csv", "moments.csv"),
        *("funnel.csv", "review.json", "review.zip"),
    ]
    page.keyboard.press("Escape")
    expect(links.first).to_be_hidden()
    expect(menu).to_be_focused()


@pytest.mark.more
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


@pytest.mark.more
def test_a_study_that_is_not_there(open_page: Open, watch: Watch, server: Server) -> None:
    watch.expect("status of 404")
    page = open_page("/studies/0000000000000000/review", server=server)
    expect(page.locator("h1")).to_have_text("Not found")


@pytest.mark.more
def test_the_servers_own_file_opens(open_page: Open, made: str, server: Server) -> None:
    """The offline page as the server hands it out, within its sandbox."""
    page = open_page(f"/api/studies/{made}/review.html", server=server)
    page.wait_for_selector("#review-methods h2")
    expect(page.locator("h1")).to_have_text("No viewers so far; results are shown from 5.")
