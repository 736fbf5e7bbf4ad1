"""From a panel's address through the questions and back, and how an operator sets that up."""

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from browser import studies
from browser.axe import serious
from browser.conftest import Open
from serving import Server

pytestmark = pytest.mark.more

YES_NO = [{"id": "yes", "title": {"en": "yes", "de": "ja"}}, {"id": "no", "title": {"en": "no", "de": "nein"}}]
NO_YES_MUCH = [{"id": id, "title": {"en": words}} for id, words in (("a", "not at all"), ("b", "so so"), ("c", "a lot"))]
QUESTIONS: list[dict[str, Any]] = [
    {"id": "cinema", "kind": "single", "title": {"en": "Do you go to the cinema?"}, "options": YES_NO}
    | {"required": True, "screen_out": ["no"]},
    {"id": "seen", "kind": "single", "title": {"en": "Have you seen Night train?"}, "options": YES_NO},
    {"id": "where", "kind": "short", "title": {"en": "Where?"}, "required": True}
    | {"shown_if": {"question": "seen", "options": ["yes"]}},
    {"id": "films", "kind": "matrix", "title": {"en": "How do you like these?"}, "options": NO_YES_MUCH}
    | {"rows": [{"id": "comedy", "title": {"en": "comedies"}}, {"id": "drama", "title": {"en": "dramas"}}]}
    | {"required": True, "new_page": True},
]
PANEL: dict[str, Any] = studies.WHOLE | {
    "languages": ["en"],
    "stimuli": [{"id": "e", "title": "A concert", "kind": "event", "duration_s": 60}],
    "variables": [],
    "before": QUESTIONS,
    "after": [],
    "recruiting": {
        "identifiers": ["PROLIFIC_PID"],
        "finished": {"code": "DONE1", "address": "https://panel.example/complete?cc={code}"},
        "screened_out": {"code": "OUT2", "address": "https://panel.example/out?pid={PROLIFIC_PID}"},
        "withdrawn": {"address": "https://panel.example/back?pid={PROLIFIC_PID}"},
    },
}


def agree(page: Any) -> None:
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("PROLIFIC_PID")).to_be_visible()
    page.get_by_label("I have read this and agree").check()
    page.get_by_role("button", name="Agree and continue").click()
    page.get_by_role("button", name=re.compile("noted|Continue", re.I)).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("A few questions first")


def back(page: Any) -> Any:
    return page.get_by_role("link", name="Back to where you came from")


@pytest.mark.parametrize("width", [390, 1280])
def test_from_a_panel_through_the_questions_and_back(open_page: Open, server: Server, width: int) -> None:
    id = studies.made(server, PANEL)
    path = f"/take-part/{studies.opened(server, id)}?PROLIFIC_PID=p%201&utm=x"
    page = open_page(path, server=server, width=width)
    # Who says no is led back, with what the address says.
    page.get_by_role("button", name="I would rather not").click()
    expect(back(page)).to_have_attribute("href", "https://panel.example/back?pid=p%201")
    page.get_by_role("button", name="Back to the information").click()

    agree(page)
    expect(page.get_by_label("Where?")).to_be_hidden()
    page.get_by_role("group", name="Have you seen").get_by_label("yes").check()
    expect(page.get_by_label("Where?")).to_be_visible()
    page.get_by_role("group", name="Do you go").get_by_label("yes").check()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("Something is still missing")).to_be_visible()
    page.get_by_role("group", name="Have you seen").get_by_label("no").check()
    page.get_by_role("button", name="Continue").click()

    page.get_by_role("radiogroup", name="comedies").get_by_label("a lot").check()
    page.get_by_role("button", name="Back", exact=True).click()
    expect(page.get_by_role("group", name="Do you go").get_by_label("yes")).to_be_checked()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("radiogroup", name="comedies").get_by_label("a lot")).to_be_checked()
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("Please choose one answer in each line.")).to_be_visible()
    page.get_by_role("radiogroup", name="dramas").get_by_label("so so").check()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).not_to_have_text("A few questions first")

    code = page.evaluate("mienTakePart.state.code")
    with server.client() as client:
        client.headers["X-Participant-Code"] = code
        kept = client.get("/api/participant/export").json()
        assert kept["answers"]["before"] == {"cinema": "yes", "seen": "no", "films": {"comedy": "c", "drama": "b"}}
        assert kept["identifiers"] == {"PROLIFIC_PID": "p 1"}
        for step in ("film:0", "after", "done"):
            client.post("/api/participant/step", json={"step": step}).raise_for_status()
    page.reload()
    expect(page.get_by_text("DONE1")).to_be_visible()
    expect(back(page)).to_have_attribute("href", "https://panel.example/complete?cc=DONE1")


def test_who_is_not_looked_for_is_thanked_and_led_back(open_page: Open, server: Server) -> None:
    id = studies.made(server, PANEL)
    page = open_page(f"/take-part/{studies.opened(server, id)}?PROLIFIC_PID=p2", server=server)
    agree(page)
    page.get_by_role("group", name="Do you go").get_by_label("no").check()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you for your interest!")
    expect(back(page)).to_have_attribute("href", "https://panel.example/out?pid=p2")
    expect(page.get_by_text("OUT2")).to_be_visible()
    assert serious(page) == []
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you for your interest!")


def test_an_operator_sets_up_where_people_come_from_and_go_back_to(open_page: Open, server: Server) -> None:
    id = studies.made(server, studies.WHOLE)
    page = open_page(f"/studies/{id}#recruiting", server=server)
    page.get_by_role("button", name="Prolific").click()
    expect(page.get_by_label("Parameters of the address")).to_have_value("PROLIFIC_PID, STUDY_ID, SESSION_ID")
    expect(page.get_by_text("?PROLIFIC_PID={{%PROLIFIC_PID%}}")).to_be_visible()
    done = page.get_by_role("group", name="Who came to the end")
    done.get_by_label("Code", exact=True).fill("C1")
    address = done.get_by_label("Address to go back to")
    address.fill("https://app.prolific.com/submissions/complete?cc={code}&x={PID}")
    expect(page.get_by_text("Not kept, so it cannot be filled in: PID")).to_be_visible()
    address.fill("https://app.prolific.com/submissions/complete?cc={code}")
    expect(page.locator("#saved")).to_have_text("Saved")
    page.reload()
    expect(page.get_by_role("group", name="Who came to the end").get_by_label("Code", exact=True)).to_have_value("C1")
    found = studies.told(server, id)["definition"]
    assert found["recruiting"]["finished"] == {"code": "C1", "address": "https://app.prolific.com/submissions/complete?cc={code}"}
    assert "SESSION_ID" in found["consent"]["text"]["fr"]
    assert serious(page) == []


def test_an_operator_says_who_is_asked_what(open_page: Open, server: Server) -> None:
    plain = [
        {name: value for name, value in one.items() if name not in ("screen_out", "shown_if", "new_page")} for one in QUESTIONS
    ]
    id = studies.made(server, PANEL | {"before": plain})
    page = open_page(f"/studies/{id}#questions", server=server)
    page.get_by_role("button", name="Edit: Where?").click()
    card = page.locator("[data-question=where]")
    card.get_by_text("Page, who is asked").click()
    card.get_by_label("Who is asked").select_option("Who answered: Have you seen Night train?")
    card.get_by_role("group", name="with any of").get_by_label("no").check()
    card.get_by_role("group", name="with any of").get_by_label("yes").uncheck()
    card.get_by_label("Begins another page").check()
    card.get_by_label("Name of its column").fill("seen")
    expect(card.get_by_text("Another question has this name.")).to_be_visible()
    card.get_by_label("Name of its column").fill("place")
    # What it hangs on stays before it.
    page.get_by_role("button", name="Move down: Have you seen Night train?").click()
    expect(page.get_by_text("which has to come before it")).to_be_visible()
    page.get_by_role("button", name="Edit: Do you go to the cinema?").click()
    first = page.locator("[data-question=cinema]")
    first.get_by_text("Page, who is asked").click()
    first.get_by_role("group", name="Who answers this is thanked").get_by_label("no").check()
    expect(page.locator("#saved")).to_have_text("Saved")
    before = {one["id"]: one for one in studies.told(server, id)["definition"]["before"]}
    assert list(before) == ["cinema", "seen", "where", "films"]
    where = before["where"]
    assert (where["shown_if"], where["new_page"], where["column"]) == ({"question": "seen", "options": ["no"]}, True, "place")
    assert before["cinema"]["screen_out"] == ["no"]
    page.get_by_role("button", name="Edit: How do you like these?").click()
    matrix = page.locator("[data-question=films]")
    matrix.get_by_role("button", name="Add a line").click()
    matrix.get_by_role("textbox", name="Line 3").fill("westerns")
    expect(page.locator("#saved")).to_have_text("Saved")
    films = studies.told(server, id)["definition"]["before"][3]
    assert [row["title"].get("en") for row in films["rows"]] == ["comedies", "dramas", "westerns"]
