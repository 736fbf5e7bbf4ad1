"""A study that one can take part in, and a participant's page as tests play it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient, WebSocketTestSession

from mien.web.capture.wire import FrameHead, pack_frame
from mien.web.database import Invitation, Participant

Message = dict[str, Any]
SOCKET = "ws://127.0.0.1:8700/api/participant/live"

STUDY: dict[str, Any] = {
    "format": "mien-study 1",
    "title": "Two trailers",
    "about": {"en": "You watch two trailers.", "fr": "Vous regardez deux bandes-annonces."},
    "purpose": "film_test",
    "contact": "Ada Lovelace",
    "languages": ["en", "fr"],
    "stimuli": [
        {"id": "s1", "title": "One", "kind": "film", "duration_s": 30.0, "file": "one.mp4", "sha256": "0" * 64},
        {"id": "s2", "title": "Two", "kind": "event"},
    ],
    "consent": {"version": 1, "text": {"en": "I agree.", "fr": "J'accepte."}},
    "before": [
        {
            "id": "age",
            "kind": "single",
            "title": {"en": "How old are you?"},
            "required": True,
            "options": [{"id": "young", "title": {"en": "under 40"}}, {"id": "old", "title": {"en": "40 or more"}}],
        },
        {"id": "why", "kind": "short", "title": {"en": "Why?"}},
    ],
    "after": [{"id": "liked", "kind": "liking", "title": {"en": "Did you like it?"}, "required": True}],
    "variables": [
        {"id": "age", "title": "Age", "by": "question", "question": "age", "values": [
            {"id": "young", "title": "<40"}, {"id": "old", "title": "40+"},
        ]},
        {"id": "cell", "title": "Cell", "by": "link", "values": [{"id": "a", "title": "A"}, {"id": "b", "title": "B"}]},
    ],
    "every_s": 0.5,
    "baseline_s": 5,
}  # fmt: skip


@dataclass
class Open:
    """A study that is open, and its invitation."""

    app: FastAPI
    study: str
    invitation: str

    def __init__(self, app: FastAPI, invitation: dict[str, Any] | None = None, **changes: Any) -> None:
        from mien.web.database import StudyRow

        self.app = app
        row = app.state.studies.create(STUDY | changes)
        self.study = row.id
        with app.state.store.session() as rows:
            rows.get(StudyRow, row.number).state = "open"
        self.invitation = self.invite(**(invitation or {}))

    def invite(self, **given: Any) -> str:
        with self.app.state.store.session() as rows:
            row = Invitation(study_id=self.study, **given)
            rows.add(row)
            rows.flush()
            return row.id

    def change(self, **values: Any) -> None:
        """Changes the study's row."""
        from sqlalchemy import update

        from mien.web.database import StudyRow

        with self.app.state.store.session() as rows:
            rows.execute(update(StudyRow).where(StudyRow.id == self.study).values(**values))

    def row(self, name: int = 1) -> Participant:
        found: list[Participant] = [p for p in self.app.state.studies.participants(self.study) if p.name == name]
        return found[0]

    def audit(self) -> list[tuple[str, str]]:
        from sqlalchemy import select

        from mien.web.database import AuditEntry

        with self.app.state.store.reading() as rows:
            found = rows.scalars(select(AuditEntry).where(AuditEntry.study_id == self.study).order_by(AuditEntry.number))
            return [(entry.who, entry.action) for entry in found]


class Person:
    """Somebody who takes part, with the code."""

    def __init__(self, client: TestClient, code: str) -> None:
        self.client, self.code = client, code
        self.headers = {"X-Participant-Code": code}

    @classmethod
    def agreed(cls, client: TestClient, invitation: str, **how: Any) -> "Person":
        asked = {"language": "en", "version": 1} | how
        answer = client.post(f"/api/take-part/{invitation}/consent", json=asked)
        assert answer.status_code == 201, answer.text
        return cls(client, answer.json()["code"])

    def ask(self, method: str, path: str = "", **json_: Any) -> Any:
        """The answer's JSON; fails unless it is well."""
        answer = self.client.request(method, f"/api/participant{path}", headers=self.headers, json=json_ or None)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def refused(self, method: str, path: str = "", **json_: Any) -> tuple[int, str]:
        answer = self.client.request(method, f"/api/participant{path}", headers=self.headers, json=json_ or None)
        return answer.status_code, answer.json()["error"]["code"]

    def told(self) -> Message:
        found: Message = self.ask("GET")
        return found

    def go(self, *steps: str) -> None:
        for step in steps:
            self.ask("POST", "/step", step=step)

    def to_the_film(self) -> None:
        """With the question before answered."""
        self.ask("PUT", "/answers", part="before", answers={"age": "young"})
        self.go("before", "camera", "film:0")

    @contextmanager
    def watching(self, stimulus: str = "s1", *, resume: bool = False) -> Iterator["WatchPage"]:
        with self.client.websocket_connect(SOCKET) as socket:
            yield WatchPage(socket, self.code, stimulus, resume=resume)
            socket.close(1001)


class WatchPage:
    """One socket of a participant. Frames are numbered on from what the server has, 0.5 s apart, unless a test says otherwise."""

    def __init__(self, socket: WebSocketTestSession, code: str, stimulus: str, **hello: Any) -> None:
        self.socket = socket
        self.say(type="hello", code=code, stimulus=stimulus, **hello)
        self.ready = self.next()
        assert self.ready["type"] == "ready", self.ready
        self.sequence, self.clock_s = self.ready["received"], 1000.0
        self.film_s = -0.5

    def say(self, **message: Any) -> None:
        self.socket.send_text(json.dumps(message))

    def next(self) -> Message:
        message: Message = json.loads(self.socket.receive_text())
        return message

    def send(self, data: bytes, film_s: float | None = None, *, captured_s: float | None = None, late: bool = False) -> int:
        """Sends a frame and does not wait for its answer; gives its sequence."""
        self.sequence += 1
        self.film_s = self.film_s + 0.5 if film_s is None else film_s
        self.clock_s = self.clock_s + 0.5 if captured_s is None else captured_s
        self.socket.send_bytes(pack_frame(FrameHead(self.sequence, self.clock_s, late, film_s=self.film_s), data))
        return self.sequence

    def look(self, data: bytes, film_s: float | None = None, **how: Any) -> Message:
        """Sends a frame and gives its answer."""
        sequence = self.send(data, film_s, **how)
        answer = self.next()
        assert (answer["type"], answer["sequence"]) == ("seen", sequence), answer
        return answer
