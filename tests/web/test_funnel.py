"""How far people come is counted on the server, and nothing about them with it."""

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import update
from starlette.testclient import TestClient

from mien.web.database import Participant, StudyRow, now
from web.conftest import Opened
from web.participant_page import Open, Person


@pytest.fixture
def study(app: FastAPI, client: TestClient) -> Open:
    return Open(app)


def tell(client: TestClient, study: Open, *what: str) -> None:
    for one in what:
        answer = client.post(f"/api/take-part/{study.invitation}/opening", json={"what": one})
        assert (answer.status_code, answer.content) == (204, b"")


def counted(study: Open) -> Any:
    return study.app.state.studies.funnel(study.study)


def camera(person: Person, state: str) -> None:
    person.ask("PUT", "/answers", part="before", answers={"age": "young"})
    person.go("before", "camera")
    person.ask("POST", "/camera", state=state)


def test_each_stage_and_each_reason_is_counted(client: TestClient, study: Open) -> None:
    tell(client, study, *["opened"] * 12, "declined", "declined", "reconsidered", "not_open")
    people = [Person.agreed(client, study.invitation) for _ in range(9)]
    for person, state in zip(people[1:4], ("refused", "no-camera", "insecure"), strict=True):
        camera(person, state)
    for person in people[4:]:
        camera(person, "refused")  # and allows it then
        person.ask("POST", "/camera", state="works")
        person.go("film:0")
    for person in people[5:]:
        person.ask("POST", "/events", event="film-start", stimulus="s1", film_s=0, at_s=1)
    people[5].ask("POST", "/leave")
    for person in people[6:8]:
        person.go("film:1", "after")
    people[7].ask("PUT", "/answers", part="after", answers={"liked": 5})
    people[7].go("done")
    with study.app.state.store.session() as rows:  # the one at the questions after it went away
        rows.execute(update(Participant).where(Participant.name == 7).values(seen_at=now() - timedelta(hours=1)))
    people[8].ask("DELETE")
    found = counted(study)
    assert found["stages"] == {"opened": 13, "agreed": 9, "camera": 4, "started": 3, "finished": 1}
    assert found["lost"] == {
        "agreed": {"declined": 1, "not_open": 1, "unanswered": 2},
        "camera": {"under_way": 1, "not_allowed": 1, "no_camera": 1, "browser": 1, "withdrawn": 1},
        "started": {"under_way": 1},
        "finished": {"left": 1, "stopped_answering": 1},
    }
    assert found["withdrawn"] == {"withdrew_started": 1}
    assert found["without_camera"] == 0


def test_of_who_is_erased_a_reason_stays_and_nothing_else(client: TestClient, study: Open) -> None:
    people = [Person.agreed(client, study.invitation) for _ in range(3)]
    people[0].ask("DELETE")
    assert client.delete(f"/api/studies/{study.study}/viewers/2").status_code == 200
    row = study.app.state.studies.known(study.study)
    assert row.funnel == {"erased": {"withdrew_agreed": 1, "erased": 1}}
    with study.app.state.store.session() as rows:  # as where one was erased before reasons were counted
        rows.execute(update(StudyRow).values(names_given=4))
    assert counted(study)["withdrawn"] == {"withdrew_agreed": 1, "erased": 1, "not_told": 1}
    assert counted(study)["stages"]["opened"] is None


def test_who_goes_on_without_a_camera_comes_past_the_check(client: TestClient, study: Open) -> None:
    person = Person.agreed(client, study.invitation)
    camera(person, "without")
    assert counted(study)["without_camera"] == 0
    person.go("film:0")
    assert (counted(study)["stages"]["camera"], counted(study)["without_camera"]) == (1, 1)


def test_how_the_camera_was_is_refused_to_nobody_who_has_ended(client: TestClient, study: Open) -> None:
    person = Person.agreed(client, study.invitation)
    person.ask("POST", "/leave")
    person.ask("POST", "/camera", state="lost")
    assert study.row().quality == {"left_at": "agreed"}
    assert person.refused("POST", "/camera", state="smashed") == (422, "invalid")


def test_what_cannot_be_counted_is_let_go(opened: Opened) -> None:
    client = opened(consents_per_minute=2)
    study = Open(client.app)
    tell(client, study, "opened", "opened", "opened")
    assert counted(study)["stages"]["opened"] == 2
    assert client.post("/api/take-part/nowhere/opening", json={"what": "opened"}).status_code == 204
    assert client.post(f"/api/take-part/{study.invitation}/opening", json={"what": "stared"}).status_code == 422


@pytest.mark.process
def test_report_and_table_have_the_funnel_and_nothing_of_few(client: TestClient, study: Open) -> None:
    tell(client, study, *["opened"] * 9, *["declined"] * 2)
    for _ in range(6):
        Person.agreed(client, study.invitation).ask("POST", "/leave")
    end = time.monotonic() + 60
    while (answer := client.get(f"/api/studies/{study.study}/review")).status_code == 202 and time.monotonic() < end:
        time.sleep(0.1)
    stages = {one["stage"]: one for one in answer.json()["funnel"]["stages"]}
    assert (stages["opened"]["n"], stages["agreed"]["n"], stages["camera"]["n"]) == (9, 6, 0)
    assert stages["agreed"]["lost"] == {"n": 3, "reasons": []}  # two said no: fewer than five
    assert stages["camera"]["lost"]["reasons"] == [{"reason": "left", "title": "chose to leave", "n": 6}]
    assert "declined" not in json.dumps(answer.json())
    table = client.get(f"/api/studies/{study.study}/funnel.csv").text.splitlines()
    assert table == [
        *("stage,n,reason,reason_n", "opened,9,,", "agreed,6,,", "camera,0,,", "camera,0,left,6", "started,0,,", "finished,0,,"),
        "withdrawn,0,,",
    ]
