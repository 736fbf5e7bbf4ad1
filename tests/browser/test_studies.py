"""The operator's pages of studies: from the idea to an open study; nothing that was typed is lost on the way."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from browser import studies
from browser.axe import serious
from browser.conftest import Open, Watch
from serving import Server

SAVED = "Saved"


def saved(page: Any) -> None:
    """Waits until the server has everything. A change is told before it is sent, once the page has come to it."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    expect(page.locator("#saved")).to_have_text(SAVED)


def tab(page: Any, name: str) -> None:
    page.get_by_role("navigation", name="Parts of the study").get_by_role("link", name=name).click()


@pytest.fixture
def editor(open_page: Open, server: Server) -> Any:
    """editor(definition, hash, film) -> (page, id) of a new study."""

    def opened(
        definition: dict[str, Any] = studies.WHOLE, part: str = "study", film: Path | None = None, **more: Any
    ) -> tuple[Any, str]:
        id = studies.made(server, definition, film)
        page = open_page(f"/studies/{id}#{part}", server=server, **more)
        expect(page.locator("#saved")).to_have_text(SAVED)
        return page, id

    return opened


# --- the list


def test_a_study_is_made_and_what_is_forbidden_is_refused_with_the_reason(open_page: Open, server: Server) -> None:
    page = open_page("/studies", server=server)
    page.get_by_role("button", name="New study").first.click()
    dialog = page.get_by_role("dialog", name="New study")
    dialog.get_by_label("Title").fill("Night train")
    dialog.get_by_label("What it is for").select_option("education")
    expect(dialog.get_by_role("alert").first).to_contain_text("Article 5(1)(f)")
    make = dialog.get_by_role("button", name="Make the study")
    expect(make).to_be_disabled()
    dialog.get_by_label("What it is for").select_option("film_test")
    make.click()
    page.wait_for_url("**/studies/*")
    expect(page.get_by_role("heading", level=1)).to_have_text("Night train")
    expect(page.get_by_role("region", name="Before it can open")).to_contain_text("a film or a live event")


@pytest.mark.more
def test_studies_are_duplicated_archived_exported_and_brought_in_again(
    open_page: Open, server: Server, short: Path, tmp_path: Path
) -> None:
    title = "To be copied"
    id = studies.made(server, studies.WHOLE | {"title": title}, short)
    page = open_page("/studies", server=server)
    row = page.locator(f"[data-study='{id}']")

    row.get_by_label(f"What can be done with {title}").click()
    with page.expect_download() as download:
        row.get_by_role("link", name="Export as a file").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert json.loads(file.read_text(encoding="utf-8"))["title"] == title

    row.get_by_label(f"What can be done with {title}").click()
    row.get_by_role("button", name="Duplicate").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{title} (copy)")
    expect(page).to_have_url(re.compile(r"/studies/[^/]+$"))
    tab(page, "Films")
    expect(page.locator(".film").get_by_label("Title")).to_have_value("short")

    page.goto("/studies")
    page.locator("#file").set_input_files(file)
    page.wait_for_url("**/studies/*")
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page).not_to_have_url(re.compile(f"/{id}$"))

    page.goto("/studies")
    page.locator("#file").set_input_files({"name": "no.json", "mimeType": "application/json", "buffer": b"no study"})
    expect(page.get_by_role("alert").first).to_contain_text("not a JSON file")

    row.get_by_label(f"What can be done with {title}").click()
    row.get_by_role("button", name="Archive").click()
    expect(row).to_have_count(0)
    page.get_by_label("Show").select_option("archived")
    row.get_by_label(f"What can be done with {title}").click()
    row.get_by_role("button", name="Erase").click()
    page.get_by_role("dialog").get_by_role("button", name="Erase the study").click()
    expect(page.get_by_text("nothing is left")).to_be_visible()
    with server.client() as client:
        assert client.get(f"/api/studies/{id}").status_code == 404


# --- saving


def test_what_is_typed_is_saved_by_itself(editor: Any, server: Server) -> None:
    page, id = editor()
    page.get_by_label("Title").fill("Another title")
    expect(page.get_by_role("heading", level=1)).to_have_text("Another title")
    page.get_by_label("Keep it for").fill("30")
    saved(page)
    found = studies.told(server, id)["definition"]
    assert (found["title"], found["retention_days"]) == ("Another title", 30)
    page.reload()
    expect(page.get_by_label("Title")).to_have_value("Another title")


@pytest.mark.more
def test_what_is_no_number_is_said_and_not_sent(editor: Any, server: Server) -> None:
    page, id = editor()
    page.get_by_label("Keep it for").fill("0")
    expect(page.get_by_text("A whole number from 1 to 3650, please.")).to_be_visible()
    page.get_by_label("Keep it for").fill("7")
    saved(page)
    assert studies.told(server, id)["definition"]["retention_days"] == 7


@pytest.mark.more
def test_without_the_server_nothing_is_lost_even_when_the_page_is_closed(editor: Any, server: Server, watch: Watch) -> None:
    watch.expect("Failed to load resource|ERR_")
    page, id = editor()
    page.route(f"**/api/studies/{id}", lambda route: route.abort())
    page.get_by_label("Title").fill("Typed in a tunnel")
    expect(page.locator("#saved")).to_contain_text("kept in this browser")
    tab(page, "Questions")
    page.get_by_role("button", name="Edit: How old are you?").click()
    page.get_by_label("Question English").fill("Your age?")
    expect(page.locator(".question.open .question-preview")).to_contain_text("Your age?")
    context = page.context
    page.close()
    assert studies.told(server, id)["definition"]["title"] == studies.WHOLE["title"]

    again = context.new_page()
    again.goto(f"/studies/{id}")
    expect(again.get_by_label("Title")).to_have_value("Typed in a tunnel")
    saved(again)
    found = studies.told(server, id)["definition"]
    assert found["title"] == "Typed in a tunnel"
    assert found["before"][0]["title"]["en"] == "Your age?"


@pytest.mark.more
def test_it_saves_by_itself_when_the_server_is_back(editor: Any, server: Server, watch: Watch) -> None:
    watch.expect("Failed to load resource|ERR_")
    page, id = editor()
    page.route(f"**/api/studies/{id}", lambda route: route.fulfill(status=503, body="nobody here"))
    page.get_by_label("Title").fill("Later")
    expect(page.locator("#saved")).to_contain_text("cannot be reached")
    page.unroute(f"**/api/studies/{id}")
    saved(page)
    assert studies.told(server, id)["definition"]["title"] == "Later"


@pytest.mark.more
def test_what_is_typed_while_the_same_words_are_saved_elsewhere_is_saved_too(editor: Any, server: Server) -> None:
    page, id = editor()
    held: list[Any] = []

    def hold(route: Any) -> None:
        if route.request.method == "PATCH" and not held:
            held.append(route)
        else:
            route.continue_()

    page.route(f"**/api/studies/{id}", hold)
    page.get_by_label("Title").fill("The same words")
    expect(page.locator("#saved")).to_have_text("Saving…")
    end = time.monotonic() + studies.READY_S
    while not held:
        assert time.monotonic() < end, "the title is not sent"
        page.wait_for_timeout(20)
    page.get_by_label("Who runs it").fill("The same words")
    page.wait_for_timeout(1000)  # its own time to be sent comes while the other is on its way
    held[0].continue_()
    saved(page)
    found = studies.told(server, id)["definition"]
    assert (found["title"], found["contact"]) == ("The same words", "The same words")


@pytest.mark.more
def test_two_windows_that_change_the_same_lose_nothing(editor: Any, server: Server) -> None:
    page, id = editor()
    with server.client() as client:
        client.patch(f"/api/studies/{id}", json={"title": "Theirs", "contact": "Bo Example, bo@example.org"}).raise_for_status()
    page.get_by_label("Title").fill("Mine")
    expect(page.get_by_text("In another window somebody changed the title too.")).to_be_visible()
    expect(page.get_by_label("Title")).to_have_value("Mine")
    expect(page.get_by_label("Who runs it")).to_have_value("Bo Example, bo@example.org")  # that was changed there alone
    assert studies.told(server, id)["definition"]["title"] == "Theirs"
    page.get_by_role("button", name="Keep what is written here").click()
    saved(page)
    assert studies.told(server, id)["definition"]["title"] == "Mine"

    with server.client() as client:
        client.patch(f"/api/studies/{id}", json={"title": "Theirs again"}).raise_for_status()
    page.get_by_label("Title").fill("Mine again")
    page.get_by_role("button", name="Take what is there").click()
    saved(page)
    expect(page.get_by_label("Title")).to_have_value("Theirs again")


@pytest.mark.more
def test_two_windows_that_change_different_questions_are_put_together(editor: Any, server: Server) -> None:
    page, id = editor(part="questions")
    after = studies.told(server, id)["definition"]["after"]
    after[0]["title"]["en"] = "Did you like it?"
    more = {"id": "more", "kind": "short", "title": {"en": "Anything else?"}}
    with server.client() as client:
        client.patch(f"/api/studies/{id}", json={"after": [*after, more]}).raise_for_status()
    page.get_by_role("button", name="Edit: What did you feel?").click()
    page.get_by_label("Question English").fill("What was felt?")
    saved(page)
    found = [question["title"]["en"] for question in studies.told(server, id)["definition"]["after"]]
    assert found == ["Did you like it?", "What was felt?", "Anything else?"]
    expect(page.get_by_role("button", name="Edit: Anything else?")).to_be_visible()
    expect(page.get_by_label("Question English")).to_be_focused()


@pytest.mark.more
def test_what_the_server_refuses_stays_until_it_is_given_up(editor: Any, server: Server, watch: Watch, short: Path) -> None:
    watch.expect("status of 409")
    page, id = editor(film=short)
    studies.opened(server, id)
    page.reload()
    page.get_by_label("Who runs it").fill("")
    page.get_by_label("Smooth the curves").select_option("4")
    expect(page.get_by_text("Not saved: who runs it.")).to_be_visible()
    expect(page.locator("#troubles")).to_contain_text("Close it first")
    # One that is refused does not hold up the others.
    end = time.monotonic() + studies.READY_S
    while studies.told(server, id)["definition"]["curve_sigma_s"] != 4:
        assert time.monotonic() < end
        page.wait_for_timeout(50)
    page.get_by_role("button", name="Give up this change").click()
    expect(page.get_by_label("Who runs it")).to_have_value(studies.WHOLE["contact"])
    saved(page)


# --- films


@pytest.mark.more
def test_films_are_taken_in_named_and_put_in_order(editor: Any, server: Server, short: Path, demo: Path) -> None:
    page, id = editor(part="films")
    page.locator("#panel-films input[type=file]").set_input_files([short, demo])
    expect(page.locator(".films:not(.sending) .film")).to_have_count(2)
    expect(page.get_by_text("Being made ready")).to_have_count(0, timeout=120_000)
    page.locator(".film").first.get_by_label("Title").fill("The short one")
    page.get_by_role("button", name="Move down: short").click()
    expect(page.get_by_role("button", name="Move up: The short one")).to_be_focused()
    saved(page)
    assert [film["title"] for film in studies.told(server, id)["definition"]["stimuli"]] == ["demo", "The short one"]

    handles = page.locator(".films:not(.sending) .handle")
    box, other = handles.nth(1).bounding_box(), handles.nth(0).bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(other["x"] + 5, other["y"], steps=8)
    page.mouse.up()
    saved(page)
    assert [film["title"] for film in studies.told(server, id)["definition"]["stimuli"]] == ["The short one", "demo"]

    page.get_by_role("radio", name="Another for each person").check()
    page.get_by_role("button", name="Watch: The short one").click()
    expect(page.locator(".film-seen")).not_to_have_js_property("readyState", 0)
    page.get_by_role("button", name="Remove: demo").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.locator(".films:not(.sending) .film")).to_have_count(1)
    page.get_by_role("button", name="Add a live event").click()
    page.keyboard.type("Concert")
    saved(page)
    found = studies.told(server, id)["definition"]
    assert [(film["title"], film["kind"]) for film in found["stimuli"]] == [("The short one", "film"), ("Concert", "event")]
    assert found["order"] == "random"


@pytest.mark.more
def test_a_file_that_is_no_film_says_so_and_another_takes_its_place(editor: Any, broken: Path, short: Path) -> None:
    page, _ = editor(part="films")
    page.locator("#panel-films input[type=file]").set_input_files(broken)
    expect(page.locator(".film .problem").or_(page.locator(".sending .problem")).first).to_be_visible(timeout=120_000)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Give a file for: broken").click()
    chooser.value.set_files(short)
    expect(page.get_by_role("button", name="Watch: broken")).to_be_visible(timeout=120_000)


# --- the consent text


@pytest.mark.more
def test_the_consent_text_follows_the_study_and_gets_a_version_once_it_is_read(editor: Any, server: Server, short: Path) -> None:
    page, id = editor(film=short)
    page.get_by_label("Who runs it").fill("Cy Example, cy@example.org")
    saved(page)
    tab(page, "Consent")
    area = page.get_by_label("Text that everybody agrees to")
    default = re.compile("cy@example.org")
    expect(area).to_have_value(default)
    page.get_by_role("group", name="Language of the texts below").get_by_role("button", name="French").click()
    expect(area).to_have_attribute("lang", "fr")
    page.get_by_role("group", name="Language of the texts below").get_by_role("button", name="English").click()
    area.fill("My own words.")
    expect(page.get_by_text("It does not name who runs the study")).to_be_visible()
    saved(page)
    page.get_by_role("button", name="Use the default text").click()
    expect(area).to_have_value(default)
    page.get_by_role("button", name="Put my text back").click()
    expect(area).to_have_value("My own words.")
    saved(page)
    assert studies.told(server, id)["definition"]["consent"]["version"] == 1  # nobody could read the others

    invitation = studies.opened(server, id)
    studies.joined(server, invitation)
    page.reload()
    expect(page.get_by_role("heading", name="Version 1")).to_be_visible()
    expect(page.get_by_text("1 person agreed to it")).to_be_visible()
    area.fill("My own words, better.")
    expect(page.get_by_text("Changed, but not shown to anybody yet.")).to_be_visible()
    page.reload()
    expect(area).to_have_value("My own words, better.")
    assert studies.told(server, id)["definition"]["consent"]["text"]["en"] == "My own words."
    page.get_by_role("button", name="Make this version 2").click()
    expect(page.get_by_role("heading", name="Version 2, since today")).to_be_visible()
    page.get_by_text("Version 1, from today").click()
    expect(page.get_by_text("My own words.", exact=True)).to_be_visible()


# --- questions


@pytest.mark.more
def test_questions_of_all_nine_kinds_are_written_and_seen_as_participants_see_them(editor: Any, server: Server) -> None:
    page, id = editor(studies.WHOLE | {"before": [], "after": [], "variables": [], "languages": ["en"]}, "questions")
    add = page.get_by_role("group", name="Add a question after the film")
    kinds = [
        "One choice",
        "Several choices",
        "Scale of 5",
        "Scale of 7",
        "Number",
        "Short text",
        "Long text",
        "Eight emotions",
        "Liking",
    ]
    for kind in kinds:
        add.get_by_role("button", name=kind, exact=True).click()
        expect(page.get_by_label("Question", exact=True)).to_be_focused()
        page.keyboard.type(f"About {kind}?")
        seen = page.locator(".question.open .question-preview")
        expect(seen).to_contain_text(f"About {kind}?")
        if kind in ("One choice", "Several choices"):
            page.get_by_role("textbox", name="Answer 1").fill("yes")
            page.get_by_role("textbox", name="Answer 2").fill("no")
            page.get_by_role("textbox", name="Answer 2").press("Enter")
            page.keyboard.type("perhaps")
            expect(seen.get_by_role("radio" if kind == "One choice" else "checkbox")).to_have_count(3)
        elif kind == "Scale of 5":
            page.get_by_label("Words at the low end").fill("never")
            expect(seen).to_contain_text("never")
            expect(seen.get_by_role("radio")).to_have_count(5)
        elif kind == "Number":
            page.get_by_label("Largest").fill("120")
        elif kind == "Eight emotions":
            expect(seen.get_by_role("radio")).to_have_count(40)
    page.get_by_role("checkbox", name="Must be answered").check()
    saved(page)
    found = studies.told(server, id)
    assert [question["kind"] for question in found["definition"]["after"]] == [
        "single", "multiple", "scale5", "scale7", "number", "short", "long", "emotions", "liking",
    ]  # fmt: skip
    assert [option["title"]["en"] for option in found["definition"]["after"][1]["options"]] == ["yes", "no", "perhaps"]
    assert found["definition"]["after"][4]["max"] == 120
    assert found["definition"]["after"][8]["required"]


@pytest.mark.more
def test_questions_are_moved_duplicated_deleted_and_brought_back(editor: Any, server: Server) -> None:
    page, id = editor(part="questions")

    def after() -> list[str]:
        saved(page)
        return [question["title"]["en"] for question in studies.told(server, id)["definition"]["after"]]

    page.get_by_role("button", name="Move down: How much did you like it?").press("Enter")
    expect(page.get_by_role("button", name="Move up: How much did you like it?")).to_be_focused()
    assert after() == ["What did you feel?", "How much did you like it?"]

    handles = page.locator("section[aria-labelledby=questions-after] .handle")
    low, high = handles.nth(1).bounding_box(), handles.nth(0).bounding_box()
    page.mouse.move(low["x"] + 5, low["y"] + 5)
    page.mouse.down()
    page.mouse.move(high["x"] + 5, high["y"] - 10, steps=6)
    page.keyboard.press("Escape")
    page.mouse.up()
    assert after() == ["What did you feel?", "How much did you like it?"]
    page.mouse.move(low["x"] + 5, low["y"] + 5)
    page.mouse.down()
    page.mouse.move(high["x"] + 5, high["y"] - 10, steps=6)
    page.mouse.up()
    assert after() == ["How much did you like it?", "What did you feel?"]

    menu = page.get_by_label("More for: What did you feel?")
    menu.click()
    page.get_by_role("button", name="Duplicate").and_(page.locator(":visible")).click()
    assert after() == ["How much did you like it?", "What did you feel?", "What did you feel?"]
    menu.first.click()
    page.locator(".menu[open]").get_by_role("button", name="Delete").click()
    assert after() == ["How much did you like it?", "What did you feel?"]
    page.get_by_role("button", name="Undo").click()
    assert after() == ["How much did you like it?", "What did you feel?", "What did you feel?"]
    page.get_by_label("More for: How much did you like it?").click()
    page.locator(".menu[open]").get_by_role("button", name="Ask it before the film").click()
    assert after() == ["What did you feel?", "What did you feel?"]


@pytest.mark.more
def test_what_is_missing_in_a_language_is_marked(editor: Any) -> None:
    page, _ = editor(part="questions")
    french = page.get_by_role("group", name="Language of the texts below").get_by_role("button", name="French")
    expect(french).to_contain_text("1 missing")
    expect(page.locator("[data-question=felt]")).to_contain_text("Missing in French")
    french.click()
    page.locator("[data-question=felt] [aria-expanded]").click()
    expect(page.get_by_text("Missing in French. English is shown: “What did you feel?”")).to_be_visible()
    page.get_by_label("Question French").fill("Qu’avez-vous ressenti ?")
    expect(page.locator(".question.open .question-preview")).to_contain_text("Qu’avez-vous ressenti ?")
    expect(french).not_to_contain_text("missing")
    saved(page)


# --- groups, invitations, people


@pytest.mark.more
def test_groups_follow_the_answers_of_their_question(editor: Any, server: Server) -> None:
    page, id = editor(part="questions")
    page.get_by_role("button", name="Edit: How old are you?").click()
    page.get_by_role("textbox", name="Answer 1").fill("young")
    page.get_by_role("button", name="Add an answer").click()
    page.keyboard.type("would rather not say")
    saved(page)
    values = studies.told(server, id)["definition"]["variables"][0]["values"]
    assert [value["title"] for value in values] == ["young", "40 or more", "would rather not say"]
    page.get_by_label("More for: How old are you?").click()
    page.locator(".menu[open]").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("are made by this question")).to_be_visible()
    tab(page, "Groups")
    expect(page.locator("[data-variable=age]")).to_contain_text("would rather not say")
    page.get_by_role("button", name="Add groups").click()
    page.keyboard.type("Cell")
    page.locator("[data-variable=v1]").get_by_role("button", name="Add a group").click()
    page.keyboard.type("A")
    page.keyboard.press("Enter")
    page.keyboard.type("B")
    saved(page)
    cell = studies.told(server, id)["definition"]["variables"][2]
    assert (cell["title"], cell["by"], [value["title"] for value in cell["values"]]) == ("Cell", "link", ["A", "B"])


@pytest.mark.more
def test_an_invitation_is_made_copied_shown_as_a_code_and_printed(editor: Any, server: Server, short: Path) -> None:
    page, id = editor(part="invitations", film=short, permissions=["clipboard-read", "clipboard-write"])
    page.get_by_label("For whom").fill("Friends of the cinema")
    page.get_by_label("At most").fill("30")
    page.get_by_label("Ends").fill("2099-12-24T18:00")
    page.get_by_label("Cinema").select_option("rex")
    page.get_by_role("button", name="Make the invitation").click()
    card = page.locator(".invitation")
    expect(card).to_contain_text("at most 30 people · nobody yet")
    expect(card).to_contain_text("Cinema: Rex")
    with server.client() as client:
        [made] = client.get(f"/api/studies/{id}/invitations").json()["items"]
    assert (made["limit"], made["groups"], made["ends_at"][:10]) == (30, {"place": "rex"}, "2099-12-24")
    expect(page.locator(".qr")).to_have_count(0)  # nobody else reaches this server: test_sharing.py has one that others reach
    assert card.get_by_role("link", name="Let phones and other computers in").get_attribute("href") == "/phones"
    assert card.get_by_role("link", name="Open here").get_attribute("href") == f"/take-part/{made['id']}"
    card.get_by_role("button", name="Close: Friends of the cinema").click()
    expect(card.get_by_text("Closed", exact=True)).to_be_visible()
    card.get_by_role("button", name="Open again").click()
    expect(card.get_by_text("Open", exact=True)).to_be_visible()

    page.goto(f"/studies/{id}/poster/{made['id']}")
    expect(page.get_by_role("link", name="Let phones and other computers in")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text(studies.WHOLE["title"])
    expect(page.get_by_text("Article 50")).to_be_visible()
    expect(page.get_by_text("erased after 90 days")).to_be_visible()
    page.get_by_role("link", name="Français").click()
    expect(page.get_by_text("article 50")).to_be_visible()
    assert len(page.pdf(format="A4")) > 10_000
    assert serious(page) == []
    page.set_viewport_size({"width": 360, "height": 740})
    end = time.monotonic() + 10
    while (wide := page.evaluate("document.documentElement.scrollWidth")) > 360 and time.monotonic() < end:
        page.wait_for_timeout(50)
    assert wide <= 360


@pytest.mark.more
def test_people_are_listed_exported_and_erased_with_proof(editor: Any, server: Server, short: Path) -> None:
    page, id = editor(part="people", film=short)
    expect(page.get_by_text("Nobody has taken part yet")).to_be_visible()
    invitation = studies.opened(server, id, groups={"place": "odeon"})
    studies.joined(server, invitation)
    studies.joined(server, invitation)
    row = page.locator("[data-viewer='1']")
    expect(row).to_contain_text("has agreed")
    expect(row).to_contain_text("Odeon")
    with page.expect_download() as download:
        row.get_by_role("link", name="Export what is kept of viewer 1").click()
    assert download.value.failure() is None
    row.get_by_role("button", name="Erase viewer 1").click()
    page.get_by_role("dialog").get_by_role("button", name="Erase").click()
    expect(page.get_by_text("Searched again: nothing is left.")).to_be_visible()
    expect(row).to_have_count(0)
    expect(page.locator("[data-viewer='2']")).to_be_visible()
    tab(page, "Log")
    expect(page.get_by_role("region", name="Lines of the log")).to_contain_text("Exported one person")
    expect(page.get_by_role("region", name="Lines of the log")).to_contain_text("rased")


# --- opening


def test_what_is_missing_leads_to_its_place_until_the_study_can_open(editor: Any, server: Server, short: Path) -> None:
    page, id = editor(studies.WHOLE | {"contact": "", "after": [{"id": "q9", "kind": "short"}]}, "log")
    missing = page.get_by_role("region", name="Before it can open")
    missing.get_by_role("link", name="who runs it").click()
    page.get_by_label("Who runs it").fill("Ada Example")
    missing.get_by_role("link", name="the words of question 1 after the film").click()
    page.get_by_role("button", name="Edit: Question without words").click()
    page.get_by_label("Question English").fill("Well?")
    missing.get_by_role("link", name="a film or a live event").click()
    page.locator("#panel-films input[type=file]").set_input_files(short)
    expect(missing).to_be_hidden(timeout=120_000)
    page.get_by_role("button", name="Open the study").click()
    expect(page.locator("#state")).to_have_text("Open")
    page.get_by_role("button", name="Close the study").click()
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(page.locator("#state")).to_have_text("Closed")
    expect(page.get_by_role("button", name="Open again")).to_be_focused()
    page.get_by_label("More that can be done with this study").click()
    page.get_by_role("button", name="Archive").click()
    page.get_by_role("dialog").get_by_role("button", name="Archive").click()
    expect(page.locator("#state")).to_have_text("Archived")
    assert studies.told(server, id)["state"] == "archived"


@pytest.mark.more
def test_opening_too_early_says_what_is_missing(editor: Any, watch: Watch) -> None:
    watch.expect("status of 409")
    page, _ = editor()
    page.get_by_role("button", name="Open the study").click()
    expect(page.locator("#refused")).to_contain_text("it lacks a film or a live event")


@pytest.mark.more
def test_the_preview_goes_through_the_pages_and_keeps_nothing(editor: Any, open_page: Open, server: Server, short: Path) -> None:
    _, id = editor(studies.WHOLE | {"languages": ["en"]}, film=short)
    page = open_page(f"/studies/{id}/preview?lang=en", server=server)
    expect(page.get_by_text("This is a preview.")).to_be_visible()
    expect(page.get_by_text(studies.WHOLE["about"]["en"])).to_be_visible()
    assert studies.told(server, id)["counts"]["agreed"] == 0
    page.get_by_role("link", name="Back to the study").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(studies.WHOLE["title"])


@pytest.mark.more
def test_the_preview_shows_what_was_just_written(editor: Any) -> None:
    page, _ = editor(studies.WHOLE | {"languages": ["en"]})
    page.get_by_label("Title").fill("A title of this moment")
    page.get_by_role("link", name="Preview").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("A title of this moment")


@pytest.mark.more
def test_what_cannot_change_any_more_is_said_before_somebody_types(editor: Any, server: Server, short: Path) -> None:
    page, id = editor(studies.WHOLE, "films", short)
    words = page.locator("#fixed")
    expect(words).to_be_hidden()
    invitation = studies.opened(server, id)
    page.reload()
    expect(words).to_contain_text("close it before you add films")
    tab(page, "Questions")
    expect(words).to_be_hidden()
    studies.joined(server, invitation)
    page.reload()
    expect(words).to_contain_text("Somebody has taken part")
    tab(page, "Invitations")
    expect(words).to_be_hidden()
    tab(page, "Groups")
    words.get_by_role("button", name="Duplicate").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{studies.WHOLE['title']} (copy)")


@pytest.mark.more
def test_groups_that_are_called_like_a_film_lead_to_the_groups(editor: Any) -> None:
    page, _ = editor(studies.WHOLE | {"variables": [{"id": "v1", "title": "Film club, any question", "by": "link", "values": []}]})
    page.get_by_role("link", name="the groups of “Film club, any question”").click()
    expect(page.locator("#panel-groups")).to_be_visible()


@pytest.mark.more
def test_a_study_that_is_not_there_is_a_page_that_says_so(open_page: Open, server: Server, watch: Watch) -> None:
    watch.expect("status of 404")
    page = open_page("/studies/nosuchstudy", server=server)
    expect(page.get_by_text("There is no study nosuchstudy")).to_be_visible()


# --- two cuts


@pytest.mark.more
def test_two_cuts_are_chosen_and_who_watches_them(editor: Any, server: Server) -> None:
    films = [{"id": id, "title": f"Cut {id.upper()}", "kind": "film"} for id in "ab"]
    page, id = editor(studies.WHOLE | {"stimuli": films}, "films")
    first, second = page.get_by_label("First version"), page.get_by_label("Second version")
    first.select_option("Cut A")
    expect(page.get_by_text("Choose the other version, too.")).to_be_visible()
    second.select_option("Cut A")
    expect(page.get_by_text("Choose two different films.")).to_be_visible()
    second.select_option("Cut B")
    page.get_by_label("Each person watches one").check()
    saved(page)
    found = studies.told(server, id)["definition"]
    assert (found["cuts"], found["cuts_shown"]) == (["a", "b"], "one")
    page.reload()
    expect(page.get_by_label("Each person watches one")).to_be_checked()
    first.select_option("No film")
    second.select_option("No film")
    saved(page)
    assert studies.told(server, id)["definition"]["cuts"] == []


# --- ready to begin with, and left out of the report


@pytest.mark.more
def test_a_ready_study_is_made_in_one_press(open_page: Open, server: Server) -> None:
    page = open_page("/studies", server=server)
    page.get_by_role("button", name="Begin: An ad test").click()
    page.wait_for_url("**/studies/*")
    expect(page.get_by_role("heading", level=1)).to_have_text("Ad test")
    expect(page.get_by_role("region", name="Before it can open")).to_contain_text("a film or a live event")
    tab(page, "Questions")
    expect(page.get_by_text("Do you buy such things yourself?").first).to_be_visible()
    assert serious(page) == []


@pytest.mark.more
def test_somebody_is_left_out_of_the_report_by_a_tick_with_a_reason(editor: Any, server: Server) -> None:
    event = [{"id": "e", "title": "A concert", "kind": "event", "duration_s": 60}]
    page, id = editor(studies.WHOLE | {"stimuli": event}, "people")
    studies.joined(server, studies.opened(server, id))
    page.reload()
    counts = page.get_by_label("Viewer 1 counts in the report")
    counts.uncheck()
    page.get_by_role("button", name="Cancel").click()
    expect(counts).to_be_checked()
    counts.uncheck()
    page.get_by_label("Why").fill("Somebody else sat there.")
    page.get_by_role("button", name="Leave out").click()
    expect(page.get_by_text("Left out: Somebody else sat there.")).to_be_visible()
    page.reload()
    expect(counts).not_to_be_checked()
    assert serious(page) == []
    counts.check()
    expect(page.get_by_text("Left out:")).to_have_count(0)
