"""/api/studies: making, changing, opening, sharing, inviting; consent versions; what cannot change any more; the log."""

import json
import re
import xml.etree.ElementTree as xml
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from starlette.testclient import TestClient

from mien.study.definition import Study, default_consent
from mien.web.database import Participant, now
from web.conftest import TOKEN, Opened
from web.studies import EVENT, as_participant, joined, made, opened
from web.studies import opened as opened_study

ELSEWHERE = "http://faces.example.org"


def error(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()["error"]
    return found


def test_a_new_study_is_a_draft_with_a_consent_text(client: TestClient) -> None:
    study = client.post("/api/studies", json={"title": "Night train", "languages": ["en", "tr"]}).json()
    assert (study["state"], study["version"], study["title"], study["link"], study["simulated"]) == (
        "draft", 1, "Night train", None, False,
    )  # fmt: skip
    definition = Study.read(study["definition"])
    assert dict(definition.consent.text) == {language: default_consent(language, definition) for language in ("en", "tr")}
    assert study["missing"] == [
        {"field": "purpose", "what": "what it is for"},
        {"field": "contact", "what": "who runs it, and how to reach them"},
        {"field": "stimuli", "what": "a film or a live event"},
    ]
    assert study["counts"] == {"agreed": 0, "finished": 0, "left": 0, "withdrawn": 0, "rooms": 0}
    assert [one["id"] for one in client.get("/api/studies").json()["items"]] == [study["id"]]


@pytest.mark.parametrize("purpose", ["workplace", "education", "recruiting", "policing", "health"])
def test_what_no_study_may_be_for_is_refused_with_the_reason(client: TestClient, purpose: str) -> None:
    id = made(client)["id"]
    for answer in (
        client.post("/api/studies", json={"title": "x", "purpose": purpose}),
        client.patch(f"/api/studies/{id}", json={"purpose": purpose}),
        client.post("/api/studies/import", json={"title": "x", "purpose": purpose}),
    ):
        found = error(answer, 422)
        assert found["code"] == "refused_purpose"
        assert "no study can be for this" in found["message"]
        if purpose in ("workplace", "education"):
            assert "Article 5(1)(f)" in found["message"]
    assert client.get(f"/api/studies/{id}").json()["definition"]["purpose"] == "film_test"
    assert len(client.get("/api/studies").json()["items"]) == 1


def test_the_former_name_of_the_curves_smoothing_is_taken(client: TestClient) -> None:
    id = made(client)["id"]
    assert client.patch(f"/api/studies/{id}", json={"smoothing_s": 4}).json()["definition"]["curve_sigma_s"] == 4
    definition = made(client)["definition"]
    definition["smoothing_s"] = definition.pop("curve_sigma_s") + 1
    assert client.post("/api/studies/import", json=definition).json()["definition"]["curve_sigma_s"] == definition["smoothing_s"]


def test_a_part_changes_and_the_rest_stays(client: TestClient) -> None:
    study = made(client)
    changed = client.patch(f"/api/studies/{study['id']}", json={"curve_sigma_s": 3, "title": "Day train"}).json()
    assert changed["definition"] | {"consent": 0} == study["definition"] | {
        "curve_sigma_s": 3.0,
        "title": "Day train",
        "consent": 0,
    }
    assert (changed["title"], changed["version"]) == ("Day train", study["version"] + 1)
    again = client.patch(f"/api/studies/{study['id']}", json={"title": "Day train"}).json()
    assert again["version"] == changed["version"]  # nothing is different
    assert error(client.patch(f"/api/studies/{study['id']}", json={"every_s": 99}), 422)["message"].startswith("every_s: wanted")
    assert error(client.patch("/api/studies/none", json={}), 404)["code"] == "not_found"


def test_nobody_sets_what_the_server_knows_of_a_film(client: TestClient) -> None:
    study = made(client)
    lie = {"id": "s2", "title": "Film", "kind": "film", "file": "x.mp4", "sha256": "0" * 64, "duration_s": 9}
    changed = client.patch(f"/api/studies/{study['id']}", json={"stimuli": [EVENT, lie]}).json()
    assert changed["definition"]["stimuli"][1] == lie | {"file": None, "sha256": None, "duration_s": None}
    assert changed["missing"] == [{"field": "stimuli", "what": "the film of “Film”"}]


def test_markers_go_with_their_film(client: TestClient) -> None:
    id = made(client, stimuli=[EVENT, EVENT | {"id": "s2"}])["id"]
    markers = [{"id": f"m{k}", "stimulus": f"s{k}", "time_s": k, "end_s": None, "label": "joke"} for k in (1, 2)]
    assert client.put(f"/api/studies/{id}/markers", json={"markers": markers}).json() == {"markers": markers}
    changed = client.patch(f"/api/studies/{id}", json={"stimuli": [EVENT]}).json()
    assert changed["definition"]["markers"] == markers[:1]
    wrong = client.put(f"/api/studies/{id}/markers", json={"markers": markers})
    assert error(wrong, 422)["message"].startswith("markers[1].stimulus: wanted the id of a film, but got 's2'")


def test_what_another_marked_meanwhile_stays(client: TestClient) -> None:
    id = made(client)["id"]

    def put(was: list[dict[str, Any]], *markers: dict[str, Any]) -> list[dict[str, Any]]:
        answer = client.put(f"/api/studies/{id}/markers", json={"markers": markers, "was": was})
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["markers"]
        return found

    joke, logo, cut, end = ({"id": f"m{k}", "stimulus": "s1", "time_s": k, "end_s": None, "label": f"{k}"} for k in range(4))
    assert put([], joke) == [joke]
    assert put([], logo) == [joke, logo]  # of a page that did not know of the first
    moved = joke | {"time_s": 5.0}
    assert put([joke], moved, cut) == [moved, logo, cut]
    assert put([joke, logo], joke) == [moved, cut]  # only the second was taken away
    assert put([moved, cut], cut) == [cut]
    assert client.put(f"/api/studies/{id}/markers", json={"markers": [end]}).json()["markers"] == [end]  # these and no others


# --- consent


def test_each_other_consent_text_is_another_version_and_the_old_ones_stay(client: TestClient) -> None:
    id, invitation = opened(client)
    first = client.get(f"/api/studies/{id}").json()["definition"]["consent"]
    joined(client, invitation)
    changed = client.patch(f"/api/studies/{id}", json={"consent": {"text": {"en": "Do you agree?"}}})
    assert changed.json()["definition"]["consent"] == {"version": first["version"] + 1, "text": {"en": "Do you agree?"}}
    client.patch(f"/api/studies/{id}", json={"consent": {"version": 99, "text": {"en": "Do you agree?"}}})
    joined(client, invitation)
    joined(client, invitation)
    found = client.get(f"/api/studies/{id}/consents").json()["items"]
    assert [(one["version"], one["text"]["en"], one["agreed"]) for one in found] == [
        (first["version"] + 1, "Do you agree?", 2),
        (first["version"], first["text"]["en"], 1),
    ]
    assert all(one["at"].startswith("20") for one in found)


def test_a_text_that_nobody_could_read_is_no_version(client: TestClient) -> None:
    def write(text: str) -> int:
        answer = client.patch(f"/api/studies/{id}", json={"consent": {"text": {"en": text}}})
        version: int = answer.json()["definition"]["consent"]["version"]
        return version

    id = made(client)["id"]
    assert [write(text) for text in ("D", "Do", "Do you agree?")] == [1, 1, 1]  # as it is typed
    client.post(f"/api/studies/{id}/state", json={"state": "open"})
    assert write("Do you really agree?") == 2
    client.post(f"/api/studies/{id}/state", json={"state": "closed"})
    assert [write("So"), write("So, do you agree?")] == [3, 3]
    client.post(f"/api/studies/{id}/state", json={"state": "open"})
    client.post(f"/api/studies/{id}/state", json={"state": "closed"})
    assert write("Do you?") == 4
    found = client.get(f"/api/studies/{id}/consents").json()["items"]
    assert [one["text"]["en"] for one in found] == ["Do you?", "So, do you agree?", "Do you really agree?", "Do you agree?"]


def test_a_text_that_nobody_wrote_keeps_saying_what_is_so_and_an_own_one_stays(client: TestClient) -> None:
    id = made(client, languages=["en", "de"])["id"]
    client.patch(f"/api/studies/{id}", json={"consent": {"text": {"en": "Mine."}}})
    study = client.patch(f"/api/studies/{id}", json={"retention_days": 12, "keep": "pictures"}).json()
    text = study["definition"]["consent"]["text"]
    assert text == {"en": "Mine.", "de": default_consent("de", Study.read(study["definition"]))}
    assert "12 Tage" in text["de"]
    without = client.patch(f"/api/studies/{id}", json={"languages": ["de"]}).json()
    assert set(without["definition"]["consent"]["text"]) == {"de"}


# --- opening, and what cannot change then


def test_an_unfinished_study_is_not_opened_and_says_what_is_missing(client: TestClient) -> None:
    id = made(client, contact="", stimuli=[{"id": "s1", "title": "Cut"}])["id"]
    found = error(client.post(f"/api/studies/{id}/state", json={"state": "open"}), 409)
    assert found["detail"] == ["who runs it, and how to reach them", "the film of “Cut”"]
    assert found["message"].endswith("lacks who runs it, and how to reach them and the film of “Cut”.")
    assert client.get(f"/api/studies/{id}").json()["state"] == "draft"


def test_a_study_opens_closes_and_goes_to_the_archive(client: TestClient) -> None:
    id = made(client)["id"]
    for state in ("open", "closed", "open", "archived", "closed"):
        assert client.post(f"/api/studies/{id}/state", json={"state": state}).json()["state"] == state
    assert error(client.post(f"/api/studies/{id}/state", json={"state": "draft"}), 422)
    client.post(f"/api/studies/{id}/state", json={"state": "archived"})
    assert client.get("/api/studies?archived=false").json()["items"] == []
    log = [entry["action"] for entry in client.get(f"/api/studies/{id}/audit").json()["items"]]
    assert log == ["archived", "closed", "archived", "opened", "closed", "opened", "created"]


def test_an_open_study_cannot_lose_what_it_needs(client: TestClient) -> None:
    id, _ = opened(client)
    found = error(client.patch(f"/api/studies/{id}", json={"contact": " "}), 409)
    assert found["code"] == "open"
    assert found["detail"] == ["who runs it, and how to reach them"]
    assert error(client.patch(f"/api/studies/{id}", json={"stimuli": [EVENT, EVENT | {"id": "s2"}]}), 409)["code"] == "open"
    assert client.patch(f"/api/studies/{id}", json={"about": {"en": "More."}}).status_code == 200


def test_what_people_answered_under_does_not_change_and_the_remedy_is_told(client: TestClient) -> None:
    id, invitation = opened(client)
    assert client.patch(f"/api/studies/{id}", json={"after": []}).status_code == 200  # nobody has taken part yet
    code = joined(client, invitation)
    for closed in (False, True):
        if closed:
            client.post(f"/api/studies/{id}/state", json={"state": "closed"})
        found = error(client.patch(f"/api/studies/{id}", json={"before": [], "retention_days": 91, "title": "x"}), 409)
        assert found["code"] == "taken_part"
        assert found["detail"] == ["before", "retention_days"]
        assert "the questions before and how long it is kept" in found["message"]
        assert "Duplicate the study" in found["message"]
    film = client.post(f"/api/studies/{id}/films", files={"file": ("a.mp4", b"x")})
    assert error(film, 409)["code"] == "taken_part"
    assert error(client.delete(f"/api/studies/{id}/films/s1"), 409)["code"] == "taken_part"
    assert client.get(f"/api/studies/{id}").json()["title"] == "Night train"
    assert client.patch(f"/api/studies/{id}", json={"retention_days": 30, "title": "Other"}).status_code == 200
    assert client.delete("/api/participant", headers=as_participant(code)).status_code == 200
    assert client.patch(f"/api/studies/{id}", json={"before": []}).status_code == 200  # nobody is there any more


# --- duplicate, export, import


def test_a_duplicate_has_the_definition_and_nobody(client: TestClient) -> None:
    by_link = {"id": "cell", "title": "Cell", "by": "link", "values": [{"id": "a", "title": "A"}]}
    id, invitation = opened(client, variables=[by_link])
    joined(client, invitation)
    first = client.get(f"/api/studies/{id}").json()
    copy = client.post(f"/api/studies/{id}/duplicate").json()
    assert (copy["state"], copy["title"], copy["counts"]["agreed"], copy["link"]) == ("draft", "Night train (copy)", 0, None)
    same = {"title": 0, "consent": 0}
    assert copy["definition"] | same == first["definition"] | same
    assert copy["definition"]["consent"]["version"] == 1
    assert "Night train (copy)" in copy["definition"]["consent"]["text"]["en"]
    assert client.get(f"/api/studies/{copy['id']}/invitations").json()["items"] == []


def test_an_export_is_a_file_that_makes_the_same_study(client: TestClient) -> None:
    study = made(client, title='Zug "nachts" é', languages=["de", "fr"])
    answer = client.get(f"/api/studies/{study['id']}/export")
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="Zug -nachts')
    assert json.loads(answer.text) == study["definition"]
    again = client.post("/api/studies/import", json=answer.json())
    assert again.status_code == 201
    assert again.json()["definition"] == study["definition"]
    assert again.json()["id"] != study["id"]
    assert error(client.post("/api/studies/import", json={"format": "mien-study 9"}), 422)["message"].startswith("format: wanted")


# --- invitations


def test_invitations_are_links_with_limits_and_an_end(client: TestClient) -> None:
    variables = [{"id": "cell", "title": "Cell", "by": "link", "values": [{"id": "a", "title": "A"}]}]
    id, _ = opened(client, variables=variables)
    path = f"/api/studies/{id}/invitations"
    one = client.post(path, json={"label": "Bob", "one_time": True, "groups": {"cell": "a"}}).json()
    assert one["link"] is None, "nobody else reaches this machine by its own address"
    assert (one["state"], one["used"], one["groups"]) == ("open", 0, {"cell": "a"})
    joined(client, one["id"])
    assert client.get(f"/api/studies/{id}/viewers").json()["items"][0]["groups"] == {"cell": "a"}
    few = client.post(path, json={"limit": 1}).json()
    joined(client, few["id"])
    late = client.post(path, json={"ends_at": (now() - timedelta(seconds=1)).isoformat()}).json()
    shut = client.post(path, json={}).json()
    assert client.patch(f"{path}/{shut['id']}", json={"closed": True, "label": "shut"}).json()["label"] == "shut"
    states = {found["id"]: found["state"] for found in client.get(path).json()["items"]}
    assert [states[found["id"]] for found in (one, few, late, shut)] == ["used", "full", "ended", "closed"]
    for found in (one, few, late, shut):
        assert client.get(f"/api/take-part/{found['id']}").json()["state"] == states[found["id"]]
    assert client.patch(f"{path}/{few['id']}", json={"limit": None}).json()["state"] == "open"
    assert client.delete(f"{path}/{few['id']}").status_code == 204
    assert client.get(f"/api/take-part/{few['id']}").status_code == 404
    assert [viewer["invitation"] for viewer in client.get(f"/api/studies/{id}/viewers").json()["items"]] == [one["id"], None]
    assert "wanted one of a, but got 'z'" in error(client.post(path, json={"groups": {"cell": "z"}}), 422)["message"]
    assert "wanted one of cell" in error(client.post(path, json={"groups": {"age": "a"}}), 422)["message"]
    assert error(client.patch(f"{path}/{one['id']}", json={"closed": None}), 422)
    other = made(client)["id"]
    assert error(client.patch(f"/api/studies/{other}/invitations/{one['id']}", json={"closed": True}), 404)


def test_the_link_of_a_study_is_one_that_many_may_use(opened: Opened) -> None:
    client = opened(base=ELSEWHERE, allowed_hosts=("faces.example.org",))
    id = made(client)["id"]
    client.post(f"/api/studies/{id}/invitations", json={"one_time": True})
    assert client.get(f"/api/studies/{id}").json()["link"] is None
    many = client.post(f"/api/studies/{id}/invitations", json={}).json()
    assert many["link"] == f"{ELSEWHERE}/take-part/{many['id']}"
    assert client.get(f"/api/studies/{id}").json()["link"] == many["link"]


@pytest.mark.parametrize("base", ["http://127.0.0.1:8700", "http://localhost:8700", "http://[::1]:8700"])
def test_no_link_code_or_poster_leads_to_this_machine_alone(opened: Opened, base: str) -> None:
    client = opened(base=base)
    id, invitation = opened_study(client)
    assert client.get(f"/api/studies/{id}/invitations").json()["items"][0]["link"] is None
    assert client.get(f"/api/studies/{id}").json()["link"] is None
    assert error(client.get(f"/api/studies/{id}/invitations/{invitation}/qr.svg"), 409)["code"] == "only_here"
    poster = client.get(f"/studies/{id}/poster/{invitation}").text
    assert '<a href="/phones">' in poster
    assert "qr.svg" not in poster
    assert base not in poster
    assert "only this computer reaches this server" in client.get("/phones").text


def test_links_carry_the_public_address_wherever_the_operator_sits(opened: Opened) -> None:
    client = opened(public_url="https://faces.example.org/", token=TOKEN)
    client.headers["Authorization"] = f"Bearer {TOKEN}"
    id, invitation = opened_study(client)
    link = f"https://faces.example.org/take-part/{invitation}"
    assert client.get(f"/api/studies/{id}/invitations").json()["items"][0]["link"] == link
    assert link in client.get(f"/studies/{id}/poster/{invitation}").text.replace("<wbr>", "")
    assert "https://faces.example.org" in client.get("/phones").text


def test_the_qr_code_is_read_as_the_link(opened: Opened) -> None:
    """Drawn from the SVG's own path, and read by a reader that is not the writer."""
    import cv2
    import numpy as np

    client = opened(base=ELSEWHERE, allowed_hosts=("faces.example.org",))
    id, invitation = opened_study(client)
    answer = client.get(f"/api/studies/{id}/invitations/{invitation}/qr.svg")
    assert answer.headers["Content-Type"].startswith("image/svg+xml")
    root = xml.fromstring(answer.text)
    side = int(root.attrib["width"])
    modules = np.full((side // 8, side // 8), 255, np.uint8)
    path = next(part for part in root.iter() if part.tag.endswith("path") and "stroke" in part.attrib).attrib["d"]
    x = y = 0.0
    for kind, numbers in re.findall("([Mmh])([^Mmh]*)", path):
        values = [float(number) for number in numbers.split()]
        if kind == "M":
            x, y = values
        elif kind == "m":
            x, y = x + values[0], y + values[1]
        else:
            modules[int(y), int(x) : int(x + values[0])] = 0
            x += values[0]
    text, _, _ = cv2.QRCodeDetector().detectAndDecode(cv2.resize(modules, None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST))
    assert text == f"{ELSEWHERE}/take-part/{invitation}"


# --- the log


def test_the_log_says_who_saw_exported_and_erased_and_never_what(client: TestClient) -> None:
    id, invitation = opened(client)
    code = joined(client, invitation)
    secret = "MARIANNE-EXAMPLE"
    client.post("/api/participant/step", json={"step": "before"}, headers=as_participant(code))
    told = client.put(
        "/api/participant/answers", json={"part": "before", "answers": {"age": "young"}}, headers=as_participant(code)
    )
    assert told.status_code == 200, told.text
    client.patch(f"/api/studies/{id}", json={"about": {"en": secret}})
    for _ in range(3):
        client.get(f"/api/studies/{id}/viewers")
    client.get(f"/api/studies/{id}/viewers/1/export")
    client.get(f"/api/studies/{id}/export")
    client.delete(f"/api/studies/{id}/viewers/1")
    answer = client.get(f"/api/studies/{id}/audit")
    items = answer.json()["items"]
    numbers = [entry["number"] for entry in items]
    assert numbers == sorted(numbers, reverse=True)
    said = [(entry["who"], entry["action"]) for entry in items if entry["who"] == "operator"]
    assert said == [
        ("operator", "erased"),
        ("operator", "exported"),
        ("operator", "exported one person"),
        ("operator", "saw the list of viewers"),  # once, though asked three times
        ("operator", "changed"),
        ("operator", "invited"),
        ("operator", "opened"),
        ("operator", "created"),
    ]
    assert ("participant", "agreed") in [(entry["who"], entry["action"]) for entry in items]
    for content in (secret, "young", code):
        assert content not in answer.text
    assert len(client.get(f"/api/studies/{id}/audit?limit=2").json()["items"]) == 2


def test_names_are_never_given_twice(client: TestClient, app: FastAPI) -> None:
    id, invitation = opened(client)
    joined(client, invitation)
    last = joined(client, invitation)
    client.delete("/api/participant", headers=as_participant(last))
    joined(client, invitation)
    assert [viewer["name"] for viewer in client.get(f"/api/studies/{id}/viewers").json()["items"]] == ["1", "3"]
    assert client.get(f"/api/studies/{id}").json()["counts"] == {"agreed": 3, "finished": 0, "left": 0, "withdrawn": 1, "rooms": 0}


@pytest.mark.parametrize(
    ("step", "minutes", "stopped"),
    [
        ("agreed", 29, False),
        ("agreed", 31, True),
        ("film:0", 31, False),
        ("film:0", 361, True),
        ("done", 999, False),
        ("left", 999, False),
    ],
)
def test_who_went_away_has_stopped_and_is_not_about_to_begin_for_ever(
    client: TestClient, app: FastAPI, step: str, minutes: int, stopped: bool
) -> None:
    id, invitation = opened(client)
    code = joined(client, invitation)
    with app.state.store.session() as rows:
        row = rows.scalar(select(Participant).where(Participant.study_id == id))
        row.step, row.seen_at = step, now() - timedelta(minutes=minutes)
    [viewer] = client.get(f"/api/studies/{id}/viewers").json()["items"]
    assert (viewer["step"], viewer["stopped"]) == (step, stopped)
    if stopped and step == "agreed":  # whoever comes back has not
        assert client.get("/api/participant", headers=as_participant(code)).status_code == 200
        assert client.put(
            "/api/participant/answers", json={"part": "before", "answers": {}}, headers=as_participant(code)
        ).is_success
        assert client.get(f"/api/studies/{id}/viewers").json()["items"][0]["stopped"] is False
