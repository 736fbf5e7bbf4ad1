"""What participants ask over HTTP; their sockets are in test_participant_live.py."""

import contextlib
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import update
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient

from mien.labels import FERPLUS
from mien.study_report.sample import timeline_of
from mien.web.database import CLOCK, Invitation, now
from mien.web.errors import ApiError
from mien.web.routes import every_route
from mien.web.security import LOOKED_AT, is_for_participants
from mien.web.settings import Settings
from mien.web.studies.participants import CODE_LETTERS, LETTERS, code_hash, drawn, new_code
from web.conftest import HERE, PASSWORD, TOKEN, Opened, as_browser
from web.participant_page import STUDY, Open, Person


@pytest.fixture
def study(app: FastAPI, client: TestClient) -> Open:
    return Open(app)


@pytest.fixture
def person(client: TestClient, study: Open) -> Person:
    return Person.agreed(client, study.invitation)


def consent(client: TestClient, invitation: str, **how: Any) -> Any:
    return client.post(f"/api/take-part/{invitation}/consent", json={"language": "en", "version": 1} | how)


# --- the code


def test_codes_are_of_letters_that_nobody_confuses() -> None:
    codes = {new_code() for _ in range(200)}
    assert len(codes) == 200
    assert all(re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){2}", code) for code in codes)
    assert (len(LETTERS), CODE_LETTERS) == (32, 12)


@pytest.mark.parametrize("typed", ["k7pm-4qxd-91t0", " K7PM 4QXD 9ITO ", "K7PM4QXD9LTo", "K7PM–4QXD–9it0", "k7pm.4qxd_91t0"])
def test_a_code_may_be_typed_in_many_ways(typed: str) -> None:
    assert code_hash(typed) == code_hash("K7PM-4QXD-91T0")


@pytest.mark.parametrize("typed", ["", "K7PM-4QXD-91T", "K7PM-4QXD-91T00", "K7PM-4QXD-91TU", "ĸ7PM-4QXD-91T0", "K7PM-4QXD-91T\0"])
def test_what_cannot_be_a_code(typed: str) -> None:
    assert code_hash(typed) is None


def test_only_a_hash_of_the_code_is_kept(person: Person, study: Open, settings: Settings) -> None:
    assert study.row().code_hash == code_hash(person.code)
    letters = person.code.replace("-", "").encode()
    for path in settings.data_dir.rglob("*"):
        if path.is_file():
            held = path.read_bytes()
            assert letters not in held, path
            assert person.code.encode() not in held, path


def test_wrong_codes_are_slowed_down_and_right_ones_are_not(opened: Opened) -> None:
    client = opened(login_attempts_per_minute=3)
    app: Any = client.app
    study = Open(app)
    person, later = (Person.agreed(client, study.invitation) for _ in range(2))
    assert person.told()["step"] == "agreed"
    for _ in range(3):
        assert Person(client, new_code()).refused("GET") == (401, "wrong_code")
    answer = client.get("/api/participant", headers={"X-Participant-Code": new_code()})
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_many_attempts")
    assert 0 < int(answer.headers["Retry-After"]) <= 61
    assert person.told()["step"] == "agreed"  # behind the same address
    assert later.told()["step"] == "agreed"


def test_guesses_beside_somebody_who_takes_part_are_not_looked_up_without_end(opened: Opened) -> None:
    client = opened(login_attempts_per_minute=1)
    app: Any = client.app
    study = Open(app)
    person, elsewhere = (Person.agreed(client, study.invitation) for _ in range(2))
    participants = app.state.participants
    assert person.told()["step"] == "agreed"
    for _ in range(LOOKED_AT + 2):
        with contextlib.suppress(ApiError):
            participants.by_code(new_code(), "10.0.0.1")
    with pytest.raises(ApiError) as refused:
        participants.by_code(elsewhere.code, "10.0.0.1")  # even a right one, which nobody there has shown
    assert refused.value.status_code == 429
    assert participants.by_code(elsewhere.code, "10.0.0.2").name == 2  # at another address it is
    for _ in range(LOOKED_AT + 2):
        Person(client, new_code()).refused("GET")
    assert person.told()["step"] == "agreed"  # who was here before goes on
    assert Person.agreed(client, study.invitation).told()["step"] == "agreed"  # and who begins here now
    participants.guesses.times.clear()  # a minute passes
    assert participants.by_code(person.code, "10.0.0.1").name == 1


def test_an_open_link_is_not_filled_by_one_address(opened: Opened) -> None:
    client = opened(consents_per_minute=3)
    app: Any = client.app
    study = Open(app)
    people = [Person.agreed(client, study.invitation) for _ in range(3)]
    sent = {"language": "en", "version": 1, "pictures": False}
    answer = client.post(f"/api/take-part/{study.invitation}/consent", json=sent)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_many_attempts")
    assert 0 < int(answer.headers["Retry-After"]) <= 61
    assert people[0].told()["step"] == "agreed"
    app.state.participants.consents.times.clear()  # a minute passes
    Person.agreed(client, study.invitation)


def test_without_a_code_nothing_is_told(client: TestClient, study: Open) -> None:
    for code in ({}, {"X-Participant-Code": "x" * 30}):
        answer = client.get("/api/participant", headers=code)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "wrong_code")


# --- invitations and consent


def test_what_an_invitation_tells(client: TestClient, study: Open) -> None:
    told = client.get(f"/api/take-part/{study.invitation}").json()
    assert told["state"] == "open"
    assert set(told["study"]) == {
        *("title", "about", "contact", "languages", "keep", "every_s", "baseline_s", "retention_days", "stimuli"),
        *("before", "after", "consent", "identifiers"),
    }
    assert told["study"]["consent"] == STUDY["consent"]
    assert told["study"]["stimuli"] == [
        {"id": "s1", "title": "One", "kind": "film", "duration_s": 30.0},
        {"id": "s2", "title": "Two", "kind": "event", "duration_s": None},
    ]
    assert [question["id"] for question in told["study"]["before"]] == ["age", "why"]
    assert client.get("/api/take-part/nothing").status_code == 404


@pytest.mark.parametrize(
    ("invitation", "state"),
    [
        ({}, "open"),
        ({"limit": 2}, "open"),
        ({"limit": 2, "used": 2}, "full"),
        ({"one_time": True, "used": 1}, "used"),
        ({"ends_at": now() - timedelta(seconds=1)}, "ended"),
        ({"ends_at": now() + timedelta(hours=1)}, "open"),
        ({"closed": True}, "closed"),
    ],
)
def test_whether_one_can_begin(client: TestClient, study: Open, invitation: dict[str, Any], state: str) -> None:
    link = study.invite(**invitation)
    assert client.get(f"/api/take-part/{link}").json()["state"] == state
    answer = consent(client, link)
    if state == "open":
        assert answer.status_code == 201
    else:
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, f"invitation_{state}")
        assert not app_participants(study)


def app_participants(study: Open) -> list[Any]:
    return list(study.app.state.studies.participants(study.study))


@pytest.mark.parametrize("state", ["draft", "closed", "archived"])
def test_a_study_that_is_not_open_takes_nobody(client: TestClient, study: Open, state: str) -> None:
    study.change(state=state)
    assert client.get(f"/api/take-part/{study.invitation}").json()["state"] == "closed"
    assert consent(client, study.invitation).json()["error"]["code"] == "invitation_closed"


def test_consent_is_put_down(client: TestClient, study: Open) -> None:
    before = now()
    answer = consent(client, study.invitation, language="fr")
    assert answer.status_code == 201
    row = study.row()
    assert (row.language, row.consent_version, row.step, row.pictures, row.order) == ("fr", 1, "agreed", False, ["s1", "s2"])
    assert before <= row.consented_at <= now()
    assert ("participant", "agreed") in study.audit()
    assert study.app.state.studies.invitation(study.invitation).used == 1


def test_a_text_that_was_changed_meanwhile_is_read_again(client: TestClient, study: Open) -> None:
    text = {"en": "I agree to more.", "fr": "J'accepte davantage."}
    study.change(definition=study.app.state.studies.known(study.study).definition | {"consent": {"version": 2, "text": text}})
    answer = consent(client, study.invitation)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "consent_changed")
    assert answer.json()["error"]["detail"] == [{"version": 2, "text": text}]
    assert not app_participants(study)
    assert consent(client, study.invitation, version=2).status_code == 201


@pytest.mark.parametrize("how", [{"language": "de"}, {"language": "xx" * 9}, {"version": "one"}, {"more": 1}])
def test_a_consent_that_cannot_be(client: TestClient, study: Open, how: dict[str, Any]) -> None:
    assert consent(client, study.invitation, **how).status_code == 422
    assert not app_participants(study)


@pytest.mark.parametrize("invitation", [{"one_time": True}, {"limit": 1}])
def test_two_at_once_do_not_both_get_the_last_place(client: TestClient, study: Open, invitation: dict[str, Any]) -> None:
    link = study.invite(**invitation)
    together = threading.Barrier(8)

    def come(_: int) -> int:
        together.wait(120)
        return int(consent(client, link).status_code)

    with ThreadPoolExecutor(8) as crowd:
        assert sorted(crowd.map(come, range(8))) == [201] + [409] * 7
    assert len(app_participants(study)) == 1


def test_in_postgresql_it_is_the_same(opened: Opened, postgres: str) -> None:
    client = opened(database_url=postgres)
    app: Any = client.app
    study = Open(app)
    link = study.invite(limit=2)
    with ThreadPoolExecutor(6) as crowd:
        answers = list(crowd.map(lambda _: consent(client, link), range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] * 2 + [409] * 4
    people = [Person(client, answer.json()["code"]) for answer in answers if answer.status_code == 201]
    assert sorted(person.told()["name"] for person in people) == ["1", "2"]

    def go(person: Person) -> Any:
        person.to_the_film()
        for i in range(5):
            person.ask("POST", "/events", event="pause", stimulus="s1", film_s=i, at_s=i)
        return person.ask("DELETE")

    with ThreadPoolExecutor(2) as crowd:
        assert [proof["left"] for proof in crowd.map(go, people)] == [{"rows": 0, "files": 0}] * 2


def test_everybody_gets_an_own_number_also_after_some_have_gone(client: TestClient, study: Open) -> None:
    with ThreadPoolExecutor(6) as crowd:
        people = list(crowd.map(lambda _: Person.agreed(client, study.invitation), range(6)))
    assert sorted(int(person.told()["name"]) for person in people) == [1, 2, 3, 4, 5, 6]
    last = next(person for person in people if person.told()["name"] == "6")
    last.ask("DELETE")
    assert Person.agreed(client, study.invitation).told()["name"] == "7"


def test_films_in_random_order_are_in_one_order_for_each(app: FastAPI, client: TestClient) -> None:
    films = [{"id": f"s{i}", "title": f"Film {i}", "kind": "event"} for i in range(6)]
    study = Open(app, stimuli=films, order="random", variables=[])
    people = [Person.agreed(client, study.invitation) for _ in range(8)]
    orders = [person.told()["order"] for person in people]
    assert all(sorted(order) == [f"s{i}" for i in range(6)] for order in orders)
    assert len({tuple(order) for order in orders}) > 3
    assert [person.told()["order"] for person in people] == orders


# --- steps and answers


def test_going_on(person: Person, study: Open) -> None:
    assert person.refused("POST", "/step", step="camera") == (409, "answers_missing")
    person.go("before", "before")
    person.ask("PUT", "/answers", part="before", answers={"age": "young"})
    assert person.refused("POST", "/step", step="film:0") == (409, "step_left_out")
    person.go("camera")
    assert person.refused("POST", "/step", step="before") == (409, "step_back")
    for step in ("film:2", "film:-1", "left", "somewhere", ""):
        assert person.refused("POST", "/step", step=step) == (422, "invalid")
    person.go("film:0")
    assert person.refused("POST", "/step", step="after") == (409, "step_left_out")
    person.go("film:1", "after")
    assert person.refused("POST", "/step", step="done") == (409, "answers_missing")
    person.ask("PUT", "/answers", part="after", answers={"liked": 7})
    person.go("done")
    assert study.row().finished_at is not None
    assert person.told()["step"] == "done"
    assert person.refused("POST", "/step", step="done") == (409, "over")


def test_which_answers_are_missing_is_named(person: Person) -> None:
    answer = person.client.post("/api/participant/step", json={"step": "camera"}, headers=person.headers)
    assert answer.json()["error"]["detail"] == [{"question": "age"}]


def test_answers_are_kept_one_by_one(person: Person, study: Open) -> None:
    assert person.ask("PUT", "/answers", part="before", answers={"why": "Because."})["answers"] == {"why": "Because."}
    assert person.ask("PUT", "/answers", part="before", answers={"age": "old"})["answers"] == {"why": "Because.", "age": "old"}
    assert person.ask("PUT", "/answers", part="before", answers={"why": None})["answers"] == {"age": "old"}
    assert person.told()["answers"] == {"before": {"age": "old"}}
    assert study.row().groups == {"age": "old"}
    person.ask("PUT", "/answers", part="before", answers={"age": "young"})
    assert study.row().groups == {"age": "young"}


@pytest.mark.parametrize(
    ("answers", "says"),
    [({"age": "ancient"}, "ancient"), ({"age": 3}, "3"), ({"nothing": 1}, "no question"), ({"why": "x" * 201}, "200 letters")],
)
def test_an_answer_that_cannot_be_is_refused_and_the_others_stay(person: Person, answers: dict[str, Any], says: str) -> None:
    person.ask("PUT", "/answers", part="before", answers={"age": "old"})
    answer = person.client.put(
        "/api/participant/answers", json={"part": "before", "answers": {"why": "so"} | answers}, headers=person.headers
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")
    assert says in answer.json()["error"]["message"]
    assert person.told()["answers"] == {"before": {"age": "old"}}


def test_answers_before_and_after_have_their_time(person: Person) -> None:
    assert person.refused("PUT", "/answers", part="after", answers={"liked": 3}) == (409, "too_early")
    person.to_the_film()
    assert person.refused("PUT", "/answers", part="before", answers={"age": "old"}) == (409, "too_late")


def test_groups_come_from_the_link_too(client: TestClient, study: Open) -> None:
    person = Person.agreed(client, study.invite(groups={"cell": "b", "other": "x"}))
    assert study.row().groups == {"cell": "b"}
    person.ask("PUT", "/answers", part="before", answers={"age": "old"})
    assert study.row().groups == {"cell": "b", "age": "old"}


def test_leaving_keeps_what_there_is_and_ends_the_rest(person: Person, study: Open) -> None:
    person.to_the_film()
    person.ask("POST", "/leave")
    person.ask("POST", "/leave")
    assert person.told()["step"] == "left"
    assert person.told()["answers"] == {"before": {"age": "young"}}
    for method, path, given in (
        ("POST", "/step", {"step": "film:1"}),
        ("PUT", "/answers", {"part": "before", "answers": {}}),
        ("POST", "/events", {"event": "play", "stimulus": "s1", "film_s": 0, "at_s": 0}),
        ("GET", "/films", {}),
    ):
        assert person.refused(method, path, **given) == (409, "over")
    assert [action for who, action in study.audit() if who == "participant"][-1] == "left"


def test_who_has_begun_may_finish_though_nobody_else_may_begin(person: Person, study: Open) -> None:
    with study.app.state.store.session() as rows:
        rows.execute(update(Invitation).where(Invitation.study_id == study.study).values(closed=True))
    study.change(state="closed")
    person.to_the_film()
    study.change(state="archived")
    assert person.refused("POST", "/step", step="film:1") == (409, "study_over")
    assert person.told()["step"] == "film:0"
    assert person.ask("DELETE")["left"] == {"rows": 0, "files": 0}


def test_what_happens_while_a_film_runs_is_counted(person: Person, study: Open) -> None:
    person.to_the_film()
    for event, at_s in (("film-start", 1), ("pause", 2), ("play", 4), ("stall", 5), ("hidden", 10), ("shown", 13.5), ("shown", 14)):
        person.ask("POST", "/events", event=event, stimulus="s1", film_s=at_s, at_s=at_s)
    counts = study.row().quality["films"]["s1"]
    assert counts == {"starts": 1, "pauses": 1, "plays": 1, "stalls": 1, "hidden": 1, "hidden_s": 3.5}
    assert person.told()["positions"] == {"s1": 14}
    for wrong in ({"stimulus": "s9"}, {"event": "dance"}, {"film_s": -1}, {"at_s": 1e300}):
        event = {"event": "play", "stimulus": "s1", "film_s": 0, "at_s": 0} | wrong
        assert person.refused("POST", "/events", **event) == (422, "invalid")


# --- films


@pytest.fixture
def film(study: Open) -> bytes:
    path = study.app.state.studies.film(study.study, "s1")
    path.parent.mkdir(parents=True)
    held = bytes(range(256)) * 40
    path.write_bytes(held)
    return held


def test_a_film_is_asked_with_a_ticket_in_ranges(client: TestClient, person: Person, film: bytes) -> None:
    addresses = person.ask("GET", "/films")
    assert list(addresses) == ["s1"]  # the other one is an event
    assert person.code.replace("-", "") not in addresses["s1"]
    whole = client.get(addresses["s1"])
    assert (whole.status_code, whole.content, whole.headers["Content-Type"]) == (200, film, "video/mp4")
    part = client.get(addresses["s1"], headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, film[100:200])


def test_a_ticket_opens_its_film_alone_and_not_for_ever(
    app: FastAPI, client: TestClient, person: Person, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = person.ask("GET", "/films")["s1"]
    path, ticket = address.split("?ticket=")
    id, until, signature = ticket.split(".")
    other = Person.agreed(client, Open(app).invitation)
    other_id = app.state.participants.by_code(other.code, "").id
    for wrong in (
        f"{path}?ticket={id}.{int(until) + 1}.{signature}",
        f"{path}?ticket={id}.{until}.{signature[:-1]}",
        f"{path}?ticket={id}.{until}.",
        f"{path}?ticket={other_id}.{until}.{signature}",
        f"{path}?ticket={id}.x.{signature}",
        f"{path}?ticket=ö.9.ö",
        f"{path.replace('s1', 's2')}?ticket={ticket}",
    ):
        assert client.get(wrong).json()["error"]["code"] == "wrong_ticket", wrong
    assert client.get(path).status_code == 422
    assert client.get(address).status_code == 200
    with monkeypatch.context() as later:
        later.setattr(CLOCK, "unset_s", lambda: float(until) + 1)
        assert client.get(address).json()["error"]["code"] == "wrong_ticket"
    person.ask("DELETE")
    assert client.get(address).json()["error"]["code"] == "wrong_ticket"


# --- rights


def test_all_that_is_kept_is_handed_over(person: Person, study: Open) -> None:
    person.ask("PUT", "/answers", part="before", answers={"age": "old", "why": "I wanted to."})
    held = person.ask("GET", "/export")
    assert held["answers"] == {"before": {"age": "old", "why": "I wanted to."}}
    assert held["consent"]["text"]["text"] == STUDY["consent"]["text"]
    assert (held["viewer"], held["step"], held["measured"]) == (1, "agreed", {})
    assert study.row().code_hash not in str(held)
    columns = {column.name for column in study.row().__table__.columns}
    assert columns - {"id", "study_id", "name", "invitation_id", "code_hash", "consent_version", "consented_at"} <= set(held)
    assert ("participant", "exported one person") in study.audit()


def test_the_log_holds_no_content(person: Person, study: Open) -> None:
    person.ask("PUT", "/answers", part="before", answers={"age": "old", "why": "A very personal answer."})
    person.ask("GET", "/curve")
    person.ask("GET", "/export")
    person.ask("DELETE")
    from sqlalchemy import select

    from mien.web.database import AuditEntry

    with study.app.state.store.reading() as rows:
        entries = list(rows.scalars(select(AuditEntry)))
    said = str([entry.detail for entry in entries])
    assert "personal" not in said
    assert "old" not in said
    assert person.code not in said
    assert [(e.who, e.action) for e in entries][-4:] == [
        ("participant", "answered"),
        ("participant", "saw the own curve"),
        ("participant", "exported one person"),
        ("participant", "withdrawn"),
    ]


def test_who_withdraws_leaves_no_trace_in_any_file(person: Person, study: Open, settings: Settings) -> None:
    secret = "An answer that only one person gives."
    person.ask("PUT", "/answers", part="before", answers={"age": "old", "why": secret})
    reviews = settings.studies_dir / study.study / "reviews"
    reviews.mkdir(parents=True)
    (reviews / "made.json").write_text(secret)
    row, version = study.row(), study.app.state.studies.known(study.study).version
    proof = person.ask("DELETE")
    assert proof == {"erased": {"rows": 1, "files": 0, "bytes": 0}, "left": {"rows": 0, "files": 0}}
    for path in settings.data_dir.rglob("*"):
        if path.is_file():
            held = path.read_bytes()
            for word in (secret, row.code_hash, row.id):
                assert word.encode() not in held, (path, word)
    assert study.app.state.studies.known(study.study).version > version
    assert person.refused("GET") == (401, "wrong_code")
    assert person.refused("DELETE") == (401, "wrong_code")


def test_many_withdraw_at_once_while_others_answer(
    client: TestClient, study: Open, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    people = [Person.agreed(client, study.invitation) for _ in range(8)]

    def busy(place: int) -> Any:
        if place % 2:
            people[place].ask("PUT", "/answers", part="before", answers={"age": "old", "why": f"words of {place}"})
            return people[place].ask("DELETE")
        for i in range(10):
            people[place].ask("PUT", "/answers", part="before", answers={"age": "young", "why": f"{i}"})
        return None

    with ThreadPoolExecutor(8) as crowd:
        proofs = list(crowd.map(busy, range(8)))
    assert [proof["left"] for proof in proofs if proof] == [{"rows": 0, "files": 0}] * 4
    assert sorted(row.name for row in app_participants(study)) == [1, 3, 5, 7]
    assert all(row.answers == {"before": {"age": "young", "why": "9"}} for row in app_participants(study))
    assert not caplog.records
    for path in settings.data_dir.rglob("*"):
        assert not path.is_file() or b"words of" not in path.read_bytes(), path


def test_nothing_about_the_person_is_kept(client: TestClient, study: Open, settings: Settings) -> None:
    headers = {"User-Agent": "A very rare browser 7.31", "Accept-Language": "tlh", "X-Forwarded-For": "203.0.113.77"}
    answer = client.post(f"/api/take-part/{study.invitation}/consent", json={"language": "en", "version": 1}, headers=headers)
    code = {"X-Participant-Code": answer.json()["code"]}
    client.get("/api/participant", headers=headers | code)
    client.put("/api/participant/answers", json={"part": "before", "answers": {"age": "old"}}, headers=headers | code)
    for path in settings.data_dir.rglob("*"):
        if path.is_file():
            held = path.read_bytes()
            for word in ("rare browser", "tlh", "203.0.113", "testclient"):
                assert word.encode() not in held, (path, word)


# --- the guard


def test_what_is_public() -> None:
    for path in (
        *("/take-part/abc", "/withdraw", "/api/take-part/abc", "/api/take-part/abc/consent"),
        *("/api/participant", "/api/participant/step", "/api/participant/films/s1", "/api/participant/live"),
    ):
        assert is_for_participants(path), path
    for path in (
        *("/", "/take-part", "/withdraw/", "/withdrawn", "/api/participants", "/api/participant2", "/api/take-part"),
        *("/studies/abc", "/api/studies", "/api/jobs", "/api/live", "/x/take-part/abc", "//take-part/x", "/API/participant"),
    ):
        assert not is_for_participants(path), path


def paths(app: FastAPI) -> list[tuple[str, set[str]]]:
    found = []
    for route in every_route(app):
        if isinstance(route, APIRoute | Route):
            found.append((route.path, set(route.methods or ())))
        elif isinstance(route, WebSocketRoute):
            found.append((route.path, {"WEBSOCKET"}))
        else:
            assert isinstance(route, Mount)
            found.append((route.path, {"GET"}))
    return found


OPEN_TO_ALL = {"/login", "/api/login", "/static", "/static/mien", "/static/plotly.js", "/favicon.ico", "/healthz", "/readyz"}


def test_with_a_password_every_other_route_wants_a_login(opened: Opened) -> None:
    """Walks all routes: what is not listed here must answer that a login is needed, whatever it is."""
    client = opened(password=PASSWORD)
    app: Any = client.app
    routes = paths(app)
    assert len(routes) > 50
    public = set()
    for path, methods in routes:
        asked = re.sub(r"{[^}]*}", "x", path)
        for method in methods - {"HEAD", "OPTIONS"}:
            if method == "WEBSOCKET":
                refused = socket_is_refused(client, asked)
            else:
                answer = client.request(method, asked)
                to_login = answer.status_code == 303 and answer.headers["Location"].startswith("/login")
                refused = to_login or (answer.status_code == 401 and answer.json()["error"]["code"] == "login_needed")
            if not refused:
                public.add(path)
    ours = {path for path, _ in routes if path.startswith(("/take-part/", "/api/take-part/", "/api/participant"))} | {"/withdraw"}
    assert public == OPEN_TO_ALL | ours
    assert ours == {
        *("/take-part/{invitation}", "/withdraw", "/api/take-part/{invitation}", "/api/take-part/{invitation}/consent"),
        *("/api/take-part/{invitation}/opening", "/api/participant/camera"),
        *("/api/participant", "/api/participant/answers", "/api/participant/step", "/api/participant/events"),
        *("/api/participant/films", "/api/participant/films/{stimulus}", "/api/participant/curve", "/api/participant/export"),
        *("/api/participant/leave", "/api/participant/live"),
    }


def socket_is_refused(client: TestClient, path: str) -> bool:
    from starlette.websockets import WebSocketDisconnect

    try:
        with client.websocket_connect(f"ws://127.0.0.1:8700{path}") as socket:
            socket.close()
            return False
    except WebSocketDisconnect as closed:
        return closed.code == 4401


@pytest.mark.parametrize("settings", [{"password": PASSWORD}, {"token": TOKEN}, {"host": "0.0.0.0", "password": PASSWORD}])
def test_taking_part_needs_no_login(opened: Opened, settings: dict[str, Any]) -> None:
    client = opened(**settings)
    app: Any = client.app
    study = Open(app)
    origin = {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}
    client.headers.update(origin)
    person = Person.agreed(client, study.invitation)
    person.to_the_film()
    assert person.told()["step"] == "film:0"
    assert person.ask("DELETE")["left"] == {"rows": 0, "files": 0}
    assert client.get("/api/studies").status_code == 401


def test_a_phone_calls_the_server_by_another_name(opened: Opened) -> None:
    named = opened(base="http://studies.example:8700", host="0.0.0.0", password=PASSWORD, allowed_hosts=("studies.example",))
    app: Any = named.app
    study = Open(app)
    person = Person.agreed(named, study.invitation)
    assert person.told()["step"] == "agreed"
    strange = TestClient(app, base_url="http://other.example:8700")
    assert strange.get(f"/api/take-part/{study.invitation}").json()["error"]["code"] == "unknown_host"


@pytest.mark.parametrize("ask", [lambda c, s: consent(c, s.invitation), lambda c, s: c.delete("/api/participant")])
def test_another_sites_page_cannot_take_part(client: TestClient, study: Open, ask: Callable[[TestClient, Open], Any]) -> None:
    for headers in ({"Origin": "http://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}):
        client.headers.update(headers)
        answer = ask(client, study)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "cross_origin")
        for name in headers:
            del client.headers[name]
    assert not app_participants(study)


def test_an_operators_browser_can_take_part_too(client: TestClient, study: Open) -> None:
    client.headers.update(as_browser(client))
    assert Person.agreed(client, study.invitation).told()["step"] == "agreed"


def test_the_own_curve_is_smoothed_as_the_report_is() -> None:
    """One look with another face among many: the curve has what a Gaussian leaves of it, the leads count looks."""
    times, seen = np.arange(41) * 0.5 + 0.1, np.arange(41) != 30  # nobody at 15.1 s
    emotions = np.zeros((41, len(FERPLUS)))
    emotions[:, 0] = 1
    emotions[20, :2] = (0, 1)
    found = drawn(timeline_of(times, emotions, seen, "1", 0.5), 1.0)
    assert found["times"] == pytest.approx(np.arange(41) * 0.5 + 0.25)
    assert found["signals"]["happiness"][20] == 1
    assert [k for k, value in enumerate(found["curves"]["happiness"]) if value is None] == [30]
    kernel = np.exp(-0.5 * (np.arange(-8, 9) / 2) ** 2)  # two cells are one second
    assert found["curves"]["happiness"][19:22] == pytest.approx((kernel / kernel.sum())[7:10], abs=2e-4)
    assert (found["leads"]["neutral"], found["leads"]["happiness"], found["leads"]["anger"]) == (0.975, 0.025, 0)
    assert found["face_share"] == round(40 / 41, 4)
    nobody = drawn(timeline_of(times, emotions, np.zeros(41, bool), "1", 0.5), 1.0)
    assert (nobody["leads"], nobody["face_share"], set(nobody["curves"]["neutral"])) == ({}, 0, {None})
