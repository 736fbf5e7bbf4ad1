"""Studies for tests of the operator's pages, made as a program makes them."""

import time
from pathlib import Path
from typing import Any

import httpx

from serving import Server

READY_S = 180.0

QUESTIONS: dict[str, list[dict[str, Any]]] = {
    "before": [
        {
            "id": "age",
            "kind": "single",
            "title": {"en": "How old are you?", "fr": "Quel âge avez-vous ?"},
            "required": True,
            "options": [
                {"id": "young", "title": {"en": "under 40", "fr": "moins de 40 ans"}},
                {"id": "old", "title": {"en": "40 or more", "fr": "40 ans ou plus"}},
            ],
        }
    ],
    "after": [
        {
            "id": "liked",
            "kind": "liking",
            "title": {"en": "How much did you like it?", "fr": "Cela vous a-t-il plu ?"},
            "required": True,
        },
        {"id": "felt", "kind": "emotions", "title": {"en": "What did you feel?"}},
    ],
}
WHOLE: dict[str, Any] = {
    "title": "Night train, second cut",
    "about": {
        "en": "You watch a short film and answer three questions.",
        "fr": "Vous regardez un court film et répondez à trois questions.",
    },
    "purpose": "film_test",
    "contact": "Ada Example, ada@example.org",
    "languages": ["en", "fr"],
    "variables": [
        {
            "id": "age",
            "title": "Age",
            "by": "question",
            "question": "age",
            "values": [{"id": "young", "title": "under 40"}, {"id": "old", "title": "40 or more"}],
        },
        {
            "id": "place",
            "title": "Cinema",
            "by": "link",
            "values": [{"id": "odeon", "title": "Odeon"}, {"id": "rex", "title": "Rex"}],
        },
    ],
} | QUESTIONS
"""A definition that lacks nothing but its film. One text lacks in French."""


def made(server: Server, definition: dict[str, Any] = WHOLE, film: Path | None = None) -> str:
    """A draft, with its film if one is given, ready to be played; its id."""
    with server.client() as client:
        id = str(client.post("/api/studies", json=definition).raise_for_status().json()["id"])
        if film is not None:
            with film.open("rb") as content:
                client.post(f"/api/studies/{id}/films", files={"file": (film.name, content)}).raise_for_status()
            ready(client, id)
    return id


def ready(client: httpx.Client, id: str) -> None:
    """Waits until every film of a study can be played."""
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        films = client.get(f"/api/studies/{id}").raise_for_status().json()["films"]
        if films and all(film["state"] == "ready" for film in films):
            return
        time.sleep(0.1)
    raise AssertionError(f"not ready after {READY_S:g} s: {films}")


def told(server: Server, id: str) -> dict[str, Any]:
    """The study as the server has it."""
    with server.client() as client:
        found: dict[str, Any] = client.get(f"/api/studies/{id}").raise_for_status().json()
    return found


def opened(server: Server, id: str, **invitation: Any) -> str:
    """Opens a study; gives the id of a new invitation to it."""
    with server.client() as client:
        client.post(f"/api/studies/{id}/state", json={"state": "open"}).raise_for_status()
        found = client.post(f"/api/studies/{id}/invitations", json={"label": "Friends of the cinema"} | invitation)
    return str(found.raise_for_status().json()["id"])


def joined(server: Server, invitation: str) -> str:
    """Somebody agrees to take part; their code."""
    with server.client() as client:
        version = client.get(f"/api/take-part/{invitation}").raise_for_status().json()["study"]["consent"]["version"]
        agreed = {"language": "en", "version": version, "pictures": False}
        return str(client.post(f"/api/take-part/{invitation}/consent", json=agreed).raise_for_status().json()["code"])
