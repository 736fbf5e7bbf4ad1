"""Studies and people in them, for the tests: made by the interface alone, as pages do it."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from mien.web.database import Participant
from mien.web.studies.service import Studies

QUESTIONS: dict[str, Any] = {
    "before": [
        {
            "id": "age",
            "kind": "single",
            "title": {"en": "How old are you?"},
            "options": [{"id": "young", "title": {"en": "Under 35"}}, {"id": "old", "title": {"en": "35 or older"}}],
        }
    ],
    "after": [{"id": "said", "kind": "long", "title": {"en": "What stays with you?"}}],
}

EVENT = {"id": "s1", "title": "A concert", "kind": "event", "duration_s": 60}


def made(client: TestClient, **changed: Any) -> dict[str, Any]:
    """A study that can be opened: a live event, so that no film is needed, and two questions."""
    facts = {"title": "Night train", "purpose": "film_test", "contact": "ada@example.org", "stimuli": [EVENT]} | QUESTIONS | changed
    answer = client.post("/api/studies", json=facts)
    assert answer.status_code == 201, answer.text
    study: dict[str, Any] = answer.json()
    return study


def opened(client: TestClient, **changed: Any) -> tuple[str, str]:
    """The ids of an open study and of an invitation to it."""
    id = made(client, **changed)["id"]
    assert client.post(f"/api/studies/{id}/state", json={"state": "open"}).status_code == 200
    answer = client.post(f"/api/studies/{id}/invitations", json={"label": "everybody"})
    assert answer.status_code == 201, answer.text
    return id, answer.json()["id"]


def joined(client: TestClient, invitation: str, *, pictures: bool = False) -> str:
    """Somebody agrees; their code."""
    version = client.get(f"/api/take-part/{invitation}").json()["study"]["consent"]["version"]
    answer = client.post(f"/api/take-part/{invitation}/consent", json={"language": "en", "version": version, "pictures": pictures})
    assert answer.status_code == 201, answer.text
    code: str = answer.json()["code"]
    return code


def as_participant(code: str) -> dict[str, str]:
    """The header that opens what belongs to somebody."""
    return {"X-Participant-Code": code}


def person(app: FastAPI, id: str, name: int) -> Participant:
    """The row of a participant."""
    studies: Studies = app.state.studies
    return studies.participant(id, str(name))


def planted(app: FastAPI, id: str, name: int, content: bytes) -> list[Path]:
    """Files of a participant, and of a report, that hold `content`: as measuring and making the report would leave them."""
    studies: Studies = app.state.studies
    folder = studies.participant_folder(id, person(app, id, name).id)
    folder.mkdir(parents=True, exist_ok=True)
    report = studies.folder(id) / "reviews" / "now" / "7-0"
    report.mkdir(parents=True, exist_ok=True)
    files = [folder / "s1.log", folder / "pictures.log", report / "review.json"]
    for file in files:
        file.write_bytes(b"before " + content + b" after")
    return files
