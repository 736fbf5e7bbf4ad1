"""Every field of every route meets a table of values that nobody sends by chance: refused, or kept and readable."""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import text as sql
from starlette.testclient import TestClient

from mien.web.app import create_app
from mien.web.database import Participant
from mien.web.reports.worker import make
from mien.web.settings import Settings
from web.conftest import HERE
from web.studies import as_participant, joined, opened

pytestmark = pytest.mark.more

BEYOND = "a number beyond what floats hold"
HOSTILE: dict[str, Any] = {
    "half a letter": "\ud83d",
    "the other half": "a\udc00b",
    "a name of half a letter": {"\ud800": "x"},
    "NUL": "a\0b",
    "control letters": "\x01\x1b[31m\x7f\x85",
    "writing directions": "\u202egnp.exe\u2066",
    "markup": "<script>alert(1)</script>&amp;'\"]]>",
    "a formula": "=cmd|' /C calc'!A0",
    "a path": "../../../../etc/passwd",
    "a long text": "ä" * 70_000,
    "no text": "",
    "10**400": 10**400,
    "more than 64 bits": 99999999999999999999,
    "2**63": 2**63,
    "less than -(2**63)": -(2**63) - 1,
    "1e308": 1e308,
    "1e400": BEYOND,
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "a date beyond UTC": "9999-12-31T23:59:59-23:59",
    "a date before UTC": "0001-01-01T00:00:00+23:59",
    "a date without a zone": "2026-11-02T09:30:00",
    "depth": [],
    "null": None,
    "true": True,
}
for _ in range(400):
    HOSTILE["depth"] = [HOSTILE["depth"]]

READ = (
    "/api/jobs",
    "/api/studies",
    "/api/studies/{id}",
    "/api/studies/{id}/export",
    "/api/studies/{id}/consents",
    "/api/studies/{id}/invitations",
    "/api/studies/{id}/viewers",
    "/api/studies/{id}/viewers/1/export",
    "/api/studies/{id}/audit",
    "/api/studies/{id}/frozen",
    "/api/studies/{id}/rooms",
    "/api/take-part/{invitation}",
    "/api/participant",
    "/api/participant/export",
    "/api/participant/curve",
    "/api/storage",
)
"""What must still be readable, whatever was sent."""

FEW, SAMPLED = 20, 6
"""A body of more fields meets in each field only each sixth value, another sixth than in the field before."""

NO_END = "/api/jobs/events"
QUESTIONS = {
    "before": [
        {"id": "n", "kind": "number", "title": {"en": "How many?"}},
        {"id": "s", "kind": "scale5", "title": {"en": "How much?"}},
    ],
    "after": [{"id": "said", "kind": "long", "title": {"en": "What stays?"}}],
}


def written(value: Any) -> bytes:
    """As JSON, also what JSON has no way to say."""
    return json.dumps(value).replace(json.dumps(BEYOND), "1e400").encode()


def leaves(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all fields of a body."""
    yield at
    for name in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from leaves(value[name], (*at, name))


def changed(body: Any, at: tuple[Any, ...], value: Any) -> Any:
    if not at:
        return value
    made = copy.deepcopy(body)
    inner = made
    for name in at[:-1]:
        inner = inner[name]
    inner[at[-1]] = value
    return made


def example(description: dict[str, Any], operation: dict[str, Any]) -> Any:
    """The body that the description shows."""
    media = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if media is None:
        return None
    if "examples" in media:
        return next(iter(media["examples"].values()))["value"]
    schema = media["schema"]
    while "$ref" in schema:
        schema = description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return media.get("example") or schema.get("example") or schema["examples"][0]


class Place:
    """A server with an open study and somebody in it; made again when a call has changed them."""

    def __init__(self, app: FastAPI, client: TestClient) -> None:
        self.app, self.client = app, client
        self.renew()

    def renew(self) -> None:
        self.id, self.invitation = opened(self.client, smallest_group=1, **QUESTIONS)
        self.code = joined(self.client, self.invitation)

    @property
    def names(self) -> dict[str, str]:
        return {
            "id": self.id,
            "invitation": self.invitation,
            "name": "1",
            "stimulus": "s1",
            "room": "1",
            "track": "1",
            "frozen": "x",
        }

    def whole(self) -> bool:
        """Whether it is as it was made, as far as the next call needs it."""
        there = self.client.get("/api/participant", headers=as_participant(self.code)).status_code == 200
        return there and self.client.get(f"/api/studies/{self.id}").json()["state"] == "open"

    def unreadable(self) -> list[str]:
        """Where something is that was kept and cannot be read."""
        found = []
        for path in READ:
            answer = self.client.get(path.format(**self.names), headers=as_participant(self.code))
            try:
                json.loads(answer.content.decode())
            except ValueError:
                found.append(f"{path}: no JSON")
            if answer.status_code >= 500:
                found.append(f"{path}: {answer.status_code}")
        return found


def calls(app: FastAPI) -> list[tuple[str, str]]:
    return [
        (method, path)
        for path, item in app.openapi()["paths"].items()
        for method in ("get", "post", "put", "patch", "delete")
        if method in item and path != NO_END
    ]


def every_call() -> list[tuple[str, str]]:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Settings(data_dir=Path(folder)))
        app.state.store.close()
        return calls(app)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One application for all of them: what one call left there, the next has to live with."""
    app = create_app(Settings(data_dir=tmp_path_factory.mktemp("hostile") / "data", consents_per_minute=100_000))
    with TestClient(app, base_url=HERE, follow_redirects=False) as client:
        yield Place(app, client)


@pytest.mark.parametrize(("method", "path"), every_call(), ids=lambda part: re.sub(r"\W+", "_", part).strip("_"))
def test_what_is_hostile_is_refused_or_readable(place: Place, method: str, path: str) -> None:
    description = place.app.openapi()
    operation = description["paths"][path][method]
    place.renew()
    odd: list[str] = []

    def ask(what: str, url: str, **options: Any) -> bool:
        """Whether it was done."""
        headers = {"Content-Type": "application/json"} | as_participant(place.code)
        answer = place.client.request(method.upper(), url, headers=headers, **options)
        if answer.status_code >= 500:
            odd.append(f"{what}: {answer.status_code} {answer.text[:200]}")
        return answer.is_success

    for name, value in HOSTILE.items():
        plain = str(value).encode("utf-8", "surrogatepass") if not isinstance(value, list) else b"x"
        if len(plain) > 20_000:
            continue  # no server takes such a line
        quoted = "".join(f"%{byte:02X}" for byte in plain)
        for parameter in operation.get("parameters", []):
            where = f"{parameter['in']} {parameter['name']}, {name}"
            if parameter["in"] == "path":
                ask(where, path.format(**place.names | {parameter["name"]: quoted}))
            elif parameter["in"] == "query":
                ask(where, f"{path.format(**place.names)}?{parameter['name']}={quoted}")
    body = example(description, operation)
    fields = list(leaves(body)) if body is not None else []
    every = 1 if len(fields) <= FEW else SAMPLED
    for turn, at in enumerate(fields):
        done = False
        for name, value in list(HOSTILE.items())[turn % every :: every]:
            done |= ask(f"body {at}, {name}", path.format(**place.names), content=written(changed(body, at, value)))
        if done:
            odd += [f"after body {at}: {what}" for what in place.unreadable()]
        if done and (odd or not place.whole()):
            place.renew()
    odd += place.unreadable()
    assert not odd, "\n".join(odd)


@pytest.mark.parametrize("kind", ["short", "long", "number", "single", "multiple", "scale5", "emotions"])
def test_an_answer_is_refused_or_readable(client: TestClient, kind: str) -> None:
    options = [{"id": "a", "title": {"en": "A"}}, {"id": "b", "title": {"en": "B"}}] if kind in ("single", "multiple") else []
    question = {"id": "q", "kind": kind, "title": {"en": "Well?"}, "options": options}
    id, invitation = opened(client, smallest_group=1, before=[question])
    code = joined(client, invitation)
    client.post("/api/participant/step", json={"step": "before"}, headers=as_participant(code))
    for name, value in HOSTILE.items():
        for given in (value, [value], {"happiness": value}):
            sent = written({"part": "before", "answers": {"q": given}})
            answer = client.put("/api/participant/answers", content=sent, headers=as_participant(code))
            assert answer.status_code in (200, 422), (name, answer.text)
            assert client.get("/api/participant", headers=as_participant(code)).status_code == 200, name
            assert client.get(f"/api/studies/{id}/viewers/1/export").status_code == 200, name


BAD_ROWS: dict[str, tuple[str, str, str | None]] = {
    "half a letter in an answer": ("answers", '{"before": {}, "after": {"said": "\\ud83d"}}', None),
    "a text for a number": ("answers", '{"before": {"n": "many"}, "after": {}}', "Viewer 2's answer to the question n is left out"),
    "a list for a scale": ("answers", '{"before": {"s": [1]}, "after": {}}', "Viewer 2's answer to the question s is left out"),
    "answers that are none": ("answers", "7", "Viewer 2 is left out"),
    "a number that no float holds": (
        "answers",
        '{"before": {"n": 1%s}}' % ("0" * 400),
        "Viewer 2's answer to the question n is left out",
    ),
    "counts that are none": ("quality", '{"films": {"s1": {"pauses": "often"}}}', "Viewer 2 is left out"),
    "groups that are none": ("groups", "[[1]]", "Viewer 2 is left out"),
}


@pytest.mark.parametrize("bad", BAD_ROWS)
def test_a_report_survives_any_one_bad_row_and_names_it(client: TestClient, app: FastAPI, tmp_path: Any, bad: str) -> None:
    id, invitation = opened(client, smallest_group=1, **QUESTIONS)
    for number in (1, 2, 3):
        code = joined(client, invitation)
        for step in ("before", "camera", "film:0", "after"):
            client.post("/api/participant/step", json={"step": step}, headers=as_participant(code))
        given = {"part": "after", "answers": {"said": f"word {number}"}}
        assert client.put("/api/participant/answers", json=given, headers=as_participant(code)).status_code == 200
        assert client.post("/api/participant/step", json={"step": "done"}, headers=as_participant(code)).status_code == 200
    column, value, named = BAD_ROWS[bad]
    with app.state.store.engine.begin() as rows:  # as an earlier version, or a broken disk, left it
        rows.execute(sql(f"update {Participant.__tablename__} set {column} = :value where name = 2"), {"value": value})

    names = ["review.json", "review.html", "answers.csv", "viewers.csv", "wide.csv", "long.csv"]
    made = make(
        {
            "data_dir": str(app.state.settings.data_dir),
            "database_url": "",
            "study": id,
            "until": None,
            "folder": str(tmp_path),
            "files": names,
        }
    )
    assert made == names
    review = json.loads((tmp_path / "review.json").read_text(encoding="utf-8"))
    said = (tmp_path / "answers.csv").read_text(encoding="utf-8-sig")
    assert "word 1" in said
    assert "word 3" in said
    told = [line for line in review["methods"]["text"] if line.startswith("Viewer ")]
    assert [line.startswith(named) for line in told] == [True] if named else told == []
