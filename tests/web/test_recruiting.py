"""People who come from a panel or a survey: what is kept of where they came from, who is looked for, and the way back."""

import csv
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from contents import holding
from mien.errors import DataError
from mien.study.definition import LANGUAGES, Recruiting, Study, asked, default_consent
from web.participant_page import STUDY, Open, Person

NAMES = ["PROLIFIC_PID", "STUDY_ID", "SESSION_ID"]
CAME = {"PROLIFIC_PID": "5f3e8c1d", "STUDY_ID": "st1", "SESSION_ID": "se 1&2", "utm_source": "news"}
RECRUITING: dict[str, Any] = {
    "identifiers": NAMES,
    "finished": {"code": "DONE1", "address": "https://panel.example/submit?cc={code}&pid={PROLIFIC_PID}&s={SESSION_ID}"},
    "screened_out": {"code": "OUT2", "address": "https://panel.example/out?cc={code}"},
    "withdrawn": {"code": "BACK3", "address": "https://panel.example/back?pid={PROLIFIC_PID}"},
}
SAID = {"version": 1, "text": {"en": "We keep PROLIFIC_PID, STUDY_ID and SESSION_ID apart.", "fr": "J'accepte."}}

SMOKES: dict[str, Any] = {
    "id": "smokes", "kind": "single", "title": {"en": "Do you smoke?"}, "required": True, "screen_out": ["no"],
    "options": [{"id": "yes", "title": {"en": "yes"}}, {"id": "no", "title": {"en": "no"}}],
}  # fmt: skip
BRAND: dict[str, Any] = {
    "id": "brand", "kind": "short", "title": {"en": "Which?"}, "required": True,
    "shown_if": {"question": "smokes", "options": ["yes"]}, "new_page": True,
}  # fmt: skip
SHORT: dict[str, Any] = {"before": [SMOKES, BRAND], "after": [], "variables": []}


def study(app: FastAPI, **more: Any) -> Open:
    return Open(app, **({"recruiting": RECRUITING, "consent": SAID} | more))


def came(client: TestClient, held: Open, language: str = "en", invitation: str = "", **how: Any) -> Person:
    body = {"language": language, "version": 1, "identifiers": CAME} | how
    answer = client.post(f"/api/take-part/{invitation or held.invitation}/consent", json=body)
    assert answer.status_code == 201, answer.text
    return Person(client, answer.json()["code"])


def through(person: Person, **answers: Any) -> str:
    """Answers the questions before the film, and goes on; the step then."""
    person.go("before")
    person.ask("PUT", "/answers", part="before", answers=answers)
    return str(person.ask("POST", "/step", step="camera")["step"])


# --- identifiers


def test_identifiers_are_kept_where_the_text_that_was_agreed_to_names_them(app: FastAPI, client: TestClient) -> None:
    held = study(app)
    came(client, held)
    came(client, held, language="fr")  # whose text says nothing of them
    assert held.row(1).identifiers == {name: CAME[name] for name in NAMES}
    assert held.row(2).identifiers == {}
    with pytest.raises(AssertionError):
        came(client, held, identifiers={"a" * 50: "x"})


def test_the_ready_made_text_names_them_and_another_has_to() -> None:
    whole = STUDY | {"recruiting": RECRUITING, "stimuli": [{"id": "e", "title": "E", "kind": "event"}]}
    for language in LANGUAGES:
        assert ", ".join(NAMES) in default_consent(language, Study.read(whole))
    lacks = [lack.what for lack in Study.read(whole | {"consent": SAID}).lacks()]
    assert lacks == ["a consent text in Français that says that PROLIFIC_PID, STUDY_ID, SESSION_ID is kept"]


def test_a_parameter_is_named_by_a_word_of_its_own(app: FastAPI, client: TestClient) -> None:
    recruiting = {"identifiers": ["id", "s"]}
    held = study(app, recruiting=recruiting, consent={"version": 1, "text": {"en": "You did agree; s, too.", "fr": "id. s"}})
    came(client, held, identifiers={"id": "x", "s": "y"})
    assert held.row(1).identifiers == {"s": "y"}
    lacks = [lack.what for lack in Study.read(held.app.state.studies.known(held.study).definition).lacks()]
    assert lacks == ["a consent text in English that says that id is kept"]


def test_they_stand_in_one_table_apart_from_the_rest(app: FastAPI, client: TestClient) -> None:
    held = study(app, **SHORT)
    through(came(client, held, identifiers={"PROLIFIC_PID": "=zzz"}), smokes="no")
    came(client, held, identifiers={"PROLIFIC_PID": "aaa"}).ask("POST", "/leave")
    came(client, held, identifiers={})
    text = client.get(f"/api/studies/{held.study}/identifiers.csv").text
    rows = list(csv.DictReader(text.splitlines()))
    assert [(row["PROLIFIC_PID"], row["outcome"]) for row in rows] == [("'=zzz", "screened_out"), ("aaa", "left")]
    assert set(rows[0]) == {*NAMES, "outcome", "agreed_on"}  # no number under which somebody is in the report
    assert ("operator", "exported identifiers") in held.audit()
    for address in ("viewers", "review", "audit", "viewers/2/export"):
        assert "aaa" not in client.get(f"/api/studies/{held.study}/{address}").text


def test_they_are_handed_over_and_erased_with_the_person(app: FastAPI, client: TestClient) -> None:
    held = study(app)
    person = came(client, held)
    assert person.ask("GET", "/export")["identifiers"]["PROLIFIC_PID"] == CAME["PROLIFIC_PID"]
    proof = person.ask("DELETE")
    assert proof["left"] == {"rows": 0, "files": 0}
    assert proof["ending"] == {"code": "BACK3", "address": "https://panel.example/back?pid=5f3e8c1d"}
    assert CAME["PROLIFIC_PID"] not in client.get(f"/api/studies/{held.study}/identifiers.csv").text


# --- the ends


def test_each_end_has_its_code_and_its_address_and_nobody_gets_them_before(app: FastAPI, client: TestClient) -> None:
    held = study(app, before=[], after=[], variables=[])
    person = came(client, held)
    assert person.told()["ending"] is None
    person.go("before", "camera", "film:0", "film:1", "after")
    assert "DONE1" not in str(person.told())
    person.go("done")
    end = person.told()["ending"]
    assert end == {"code": "DONE1", "address": "https://panel.example/submit?cc=DONE1&pid=5f3e8c1d&s=se%201%262"}
    other = came(client, held)
    other.ask("POST", "/leave")
    assert other.told()["ending"]["code"] == "BACK3"
    invited = client.get(f"/api/take-part/{held.invitation}").json()
    assert invited["declined"] == RECRUITING["withdrawn"]  # filled in by the page: nothing is kept of who says no
    assert "DONE1" not in str(invited)


def test_a_study_without_ends_has_none(app: FastAPI, client: TestClient) -> None:
    held = Open(app)
    person = came(client, held)
    person.ask("POST", "/leave")
    assert person.told()["ending"] is None
    assert client.get(f"/api/take-part/{held.invitation}").json()["declined"] is None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"identifiers": ["code"]}, "names of parameters"),
        ({"identifiers": ["a b"]}, "names of parameters"),
        ({"identifiers": ["A", "A"]}, "each once"),
        ({"finished": {"address": "javascript:alert(1)"}}, "https://"),
        ({"finished": {"address": "https://"}}, "https://"),
        ({"finished": {"address": 'https://a.example/"x'}}, "https://"),
        ({"finished": {"address": "https://a.example/{PID}"}}, "cannot be filled in"),
        # Whoever comes would say where to.
        ({"identifiers": ["PID"], "finished": {"address": "https://{PID}/"}}, "a server's name"),
        ({"identifiers": ["PID"], "finished": {"address": "https://a.example{PID}?x"}}, "a server's name"),
        ({"identifiers": ["PID"], "finished": {"address": "https://a.example:{PID}"}}, "a server's name"),
        ({"identifiers": ["PID"], "finished": {"address": "https://{PID}@a.example/"}}, "a server's name"),
        ({"finished": {"address": "\x01https://a.example/"}}, "https://"),
    ],
)
def test_what_cannot_lead_back(given: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        Study.read({"recruiting": given})


def test_what_somebody_puts_into_the_address_leads_nowhere_else() -> None:
    recruiting = Study.read({"recruiting": RECRUITING}).recruiting
    assert isinstance(recruiting, Recruiting)
    address = recruiting.end("withdrawn", {"PROLIFIC_PID": "x&to=//evil.example/#"}).address
    assert address == "https://panel.example/back?pid=x%26to%3D%2F%2Fevil.example%2F%23"


# --- who is looked for


def test_who_is_not_looked_for_is_thanked_and_nothing_is_kept_of_the_answers(app: FastAPI, client: TestClient) -> None:
    held = study(app, **SHORT)
    person = came(client, held)
    person.go("before")
    # While somebody chooses nothing happens, and the page does not know what screens out.
    kept = person.ask("PUT", "/answers", part="before", answers={"smokes": "no"})
    assert (kept["step"], person.told()["study"]["before"][0]["screen_out"]) == ("before", [])
    kept = person.ask("PUT", "/answers", part="before", answers={"smokes": "no"}, through=True)
    assert kept == {"answers": {}, "step": "screened"}
    told = person.told()
    assert (told["step"], told["answers"], told["ending"]["code"]) == ("screened", {}, "OUT2")
    assert person.refused("POST", "/step", step="camera") == (409, "over")
    assert person.refused("PUT", "/answers", part="before", answers={"smokes": "yes"}) == (409, "over")
    assert through(came(client, held), smokes="no") == "screened"  # a page that never says that it went on
    assert through(came(client, held), smokes="yes", brand="none") == "camera"
    lost = app.state.studies.funnel(held.study)["lost"]["camera"]
    assert lost == {"screened_out": 2, "under_way": 1}


def test_a_question_that_hangs_on_another_is_asked_of_some(app: FastAPI, client: TestClient) -> None:
    asked_of_all = SMOKES | {"screen_out": []}
    held = study(app, **SHORT | {"before": [asked_of_all, BRAND]})
    person = came(client, held)
    person.go("before")
    person.ask("PUT", "/answers", part="before", answers={"smokes": "yes"})
    assert person.refused("POST", "/step", step="camera") == (409, "answers_missing")
    person.ask("PUT", "/answers", part="before", answers={"brand": "any"})
    person.ask("PUT", "/answers", part="before", answers={"smokes": "no"})  # thinks better of it
    person.go("camera")
    assert held.row().answers["before"] == {"smokes": "no"}  # to what is not asked there is no answer


def test_who_answers_anew_at_the_camera_is_looked_at_once_more(app: FastAPI, client: TestClient) -> None:
    held = study(app, **SHORT)
    person = came(client, held)
    assert through(person, smokes="yes", brand="any") == "camera"
    kept = person.ask("PUT", "/answers", part="before", answers={"smokes": "no"})
    assert (kept, held.row(1).answers) == ({"answers": {}, "step": "screened"}, {})
    other = came(client, held)
    assert through(other, smokes="yes", brand="any") == "camera"
    other.ask("PUT", "/answers", part="before", answers={"smokes": None, "brand": None})
    assert other.refused("POST", "/step", step="film:0") == (409, "answers_missing")
    other.ask("PUT", "/answers", part="before", answers={"smokes": "yes", "brand": "any"})
    other.go("film:0")


def test_answers_of_who_is_screened_out_are_in_no_byte_after_the_next_sweep(app: FastAPI, client: TestClient) -> None:
    word = "zweifelsohne"
    brand = BRAND | {"shown_if": None, "new_page": False}
    held = study(app, **SHORT | {"before": [brand, SMOKES]})
    assert through(came(client, held), brand=word, smokes="no") == "screened"
    app.state.storage.sweep()
    assert holding(app.state.settings.data_dir, word) == []
    assert holding(app.state.settings.data_dir, CAME["PROLIFIC_PID"])  # who looks finds


def test_conditions_hang_on_what_is_asked() -> None:
    second = SMOKES | {"id": "second", "screen_out": [], "shown_if": {"question": "smokes", "options": ["yes"]}}
    third = BRAND | {"id": "third", "shown_if": {"question": "second", "options": ["yes"]}}
    questions = Study.read({"before": [SMOKES, second, third]}).before
    answers = {"smokes": "no", "second": "yes"}
    assert [one.id for one in asked(questions, answers)] == ["smokes"]
    assert [one.id for one in asked(questions, answers | {"smokes": "yes"})] == ["smokes", "second", "third"]


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ([BRAND, SMOKES], [], "earlier question"),
        ([SMOKES, BRAND | {"shown_if": {"question": "smokes", "options": ["maybe"]}}], [], "one or more of yes, no"),
        ([SMOKES, BRAND | {"shown_if": {"question": "smokes", "options": []}}], [], "one or more of yes, no"),
        ([SMOKES, BRAND | {"shown_if": {"question": "brand", "options": ["x"]}}], [], "earlier question"),
        ([], [SMOKES], "after the film nobody can be screened out"),
        ([SMOKES | {"screen_out": ["maybe"]}], [], "some of yes, no"),
        ([SMOKES | {"column": "1st"}], [], "begins with a letter"),
        ([SMOKES, BRAND | {"column": "smokes"}], [], "two questions have the column"),
    ],
)
def test_questions_that_cannot_be(before: list[Any], after: list[Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        Study.read({"before": before, "after": after})


AGE = [{"id": "young", "title": "<40", "most": 2}, {"id": "old", "title": "40+"}]
BY_AGE: dict[str, Any] = {"variables": [{"id": "age", "title": "Age", "by": "question", "question": "age", "values": AGE}]}


def test_of_a_group_no_more_are_measured_than_are_wanted_also_at_once(app: FastAPI, client: TestClient) -> None:
    held = study(app, **BY_AGE)
    people = [came(client, held) for _ in range(5)]
    with ThreadPoolExecutor(5) as crowd:
        steps = list(crowd.map(lambda person: through(person, age="young"), people))
    assert Counter(steps) == {"camera": 2, "screened": 3}
    assert through(came(client, held), age="old") == "camera"
    inside = people[steps.index("camera")]
    changed = came(client, held)  # says to be of another group, and is of the full one once that was let on
    assert through(changed, age="old") == "camera"
    assert changed.ask("PUT", "/answers", part="before", answers={"age": "young"})["step"] == "screened"
    inside.ask("PUT", "/answers", part="before", answers={"age": "young"})  # holds one of the two places
    inside.ask("POST", "/leave")  # whose place is free
    assert through(came(client, held), age="young") == "camera"
    assert app.state.studies.funnel(held.study)["lost"]["camera"] == {"quota": 4, "under_way": 3, "left": 1}


def test_a_link_of_a_group_that_is_full_says_so(app: FastAPI, client: TestClient) -> None:
    cells = [{"id": "a", "title": "A", "most": 1}, {"id": "b", "title": "B"}]
    held = study(app, before=[], variables=[{"id": "cell", "title": "Cell", "by": "link", "values": cells}])
    a, b = (held.invite(groups={"cell": cell}) for cell in "ab")
    first = came(client, held, invitation=a)
    assert client.get(f"/api/take-part/{a}").json()["state"] == "full"
    answer = client.post(f"/api/take-part/{a}/consent", json={"language": "en", "version": 1})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "invitation_full")
    came(client, held, invitation=b)
    first.ask("DELETE")
    assert client.get(f"/api/take-part/{a}").json()["state"] == "open"
