"""The interface does what its own description says, whatever is sent to it; and the description has an example for each call."""

import io
import itertools
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from mien.demo import PORTRAITS, installed_file
from mien.web.app import create_app
from mien.web.settings import Settings
from serving import PATIENCE_S, Server

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]

METHODS = ("get", "post", "put", "patch", "delete")

EVENTS = "/api/jobs/events"
"""Left out: an event stream has no end, so a call of it never returns. tests/web/test_jobs.py reads it."""

EVERYWHERE = {400, 401, 403, 405, 413}
"""What any call may be answered with; documented once, as the default. All else stands with the call."""

CALLS = {
    ("get", "/api/info"),
    ("get", "/api/jobs"),
    ("post", "/api/jobs"),
    ("get", "/api/jobs/events"),
    ("get", "/api/jobs/{id}"),
    ("patch", "/api/jobs/{id}"),
    ("delete", "/api/jobs/{id}"),
    ("post", "/api/jobs/{id}/cancel"),
    ("post", "/api/jobs/{id}/retry"),
    ("get", "/api/jobs/{id}/result"),
    ("get", "/api/jobs/{id}/series"),
    ("patch", "/api/jobs/{id}/tracks/{track}"),
    ("post", "/api/jobs/{id}/tracks/{track}/merge"),
    ("delete", "/api/jobs/{id}/edits"),
    ("get", "/api/jobs/{id}/stills/{track}.jpg"),
    ("get", "/api/jobs/{id}/files/{name}"),
    ("get", "/api/jobs/{id}/archive.zip"),
    ("get", "/api/studies"),
    ("post", "/api/studies"),
    ("post", "/api/studies/ready-made/{name}"),
    ("post", "/api/studies/import"),
    ("get", "/api/studies/{id}"),
    ("patch", "/api/studies/{id}"),
    ("delete", "/api/studies/{id}"),
    ("post", "/api/studies/{id}/duplicate"),
    ("post", "/api/studies/{id}/state"),
    ("get", "/api/studies/{id}/export"),
    ("get", "/api/studies/{id}/consents"),
    ("put", "/api/studies/{id}/markers"),
    ("post", "/api/studies/{id}/films"),
    ("get", "/api/studies/{id}/films/{stimulus}"),
    ("delete", "/api/studies/{id}/films/{stimulus}"),
    ("get", "/api/studies/{id}/invitations"),
    ("post", "/api/studies/{id}/invitations"),
    ("patch", "/api/studies/{id}/invitations/{invitation}"),
    ("delete", "/api/studies/{id}/invitations/{invitation}"),
    ("get", "/api/studies/{id}/invitations/{invitation}/qr.svg"),
    ("get", "/api/studies/{id}/viewers"),
    ("delete", "/api/studies/{id}/viewers/{name}"),
    ("get", "/api/studies/{id}/viewers/{name}/export"),
    ("put", "/api/studies/{id}/viewers/{name}/left-out"),
    ("get", "/api/studies/{id}/identifiers.csv"),
    ("get", "/api/studies/{id}/audit"),
    ("get", "/api/studies/{id}/review"),
    ("get", "/api/studies/{id}/frozen"),
    ("post", "/api/studies/{id}/frozen"),
    ("delete", "/api/studies/{id}/frozen/{frozen}"),
    ("get", "/api/studies/{id}/review.html"),
    ("get", "/api/studies/{id}/review.pdf"),
    ("get", "/api/studies/{id}/review.json"),
    ("get", "/api/studies/{id}/director.html"),
    ("get", "/api/studies/{id}/director.pdf"),
    ("get", "/api/studies/{id}/director.pptx"),
    ("get", "/api/studies/{id}/review.zip"),
    ("get", "/api/studies/{id}/long.csv"),
    ("get", "/api/studies/{id}/wide.csv"),
    ("get", "/api/studies/{id}/answers.csv"),
    ("get", "/api/studies/{id}/viewers.csv"),
    ("get", "/api/studies/{id}/moments.csv"),
    ("get", "/api/studies/{id}/funnel.csv"),
    ("get", "/api/studies/{id}/rooms"),
    ("post", "/api/studies/{id}/rooms"),
    ("get", "/api/studies/{id}/rooms/{room}"),
    ("patch", "/api/studies/{id}/rooms/{room}"),
    ("delete", "/api/studies/{id}/rooms/{room}"),
    ("post", "/api/studies/{id}/rooms/{room}/retry"),
    ("get", "/api/take-part/{invitation}"),
    ("post", "/api/take-part/{invitation}/opening"),
    ("post", "/api/take-part/{invitation}/consent"),
    ("get", "/api/participant"),
    ("delete", "/api/participant"),
    ("put", "/api/participant/answers"),
    ("post", "/api/participant/step"),
    ("post", "/api/participant/camera"),
    ("post", "/api/participant/events"),
    ("get", "/api/participant/films"),
    ("get", "/api/participant/films/{stimulus}"),
    ("get", "/api/participant/curve"),
    ("get", "/api/participant/export"),
    ("post", "/api/participant/leave"),
    ("get", "/api/storage"),
    ("delete", "/api/storage"),
    ("get", "/api/session"),
    ("post", "/api/login"),
    ("post", "/api/logout"),
}
"""All that the pages do. A call that is added is added here."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One job at a time and few waiting, so that made-up uploads do not keep the machine busy."""
    folder = tmp_path_factory.mktemp("openapi") / "data"
    with Server(
        folder, jobs_waiting_max=3, upload_max_mib=1, login_attempts_per_minute=100_000, consents_per_minute=100_000
    ) as server:
        yield server


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    found: dict[str, Any] = api.raw_schema
    return found


class Job:
    """An analysis that is done, made again when a call has erased it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.id = ""

    def there(self) -> str:
        with self.server.client() as client:
            if not self.id or client.get(f"/api/jobs/{self.id}").status_code == 404:
                for made_up in client.get("/api/jobs").json()["items"]:  # which would be waited for
                    client.delete(f"/api/jobs/{made_up['id']}")
                portrait = installed_file(*PORTRAITS[0])
                assert portrait is not None
                self.id = self.server.analyse(portrait)["id"]
        return self.id


@pytest.fixture(scope="module")
def job(served: Server) -> Job:
    return Job(served)


class Study:
    """An open study with a film, an invitation and somebody who takes part, made again when a call has erased any of it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.id = self.invitation = self.code = self.name = ""

    def there(self) -> dict[str, Any]:
        """What stands for the names in addresses."""
        with self.server.client() as client:
            if not self.id or client.get(f"/api/studies/{self.id}").status_code == 404:
                facts = {"title": "Made", "purpose": "film_test", "contact": "ada@example.org", "smallest_group": 1}
                stimuli = [{"id": "s1", "title": "A concert", "kind": "event", "duration_s": 60}]
                self.id = client.post("/api/studies", json=facts | {"stimuli": stimuli}).raise_for_status().json()["id"]
            client.post(f"/api/studies/{self.id}/state", json={"state": "open"}).raise_for_status()
            invitations = client.get(f"/api/studies/{self.id}/invitations").json()["items"]
            if self.invitation not in [one["id"] for one in invitations if one["state"] == "open"]:
                made = client.post(f"/api/studies/{self.id}/invitations", json={"label": "made"}).raise_for_status()
                self.invitation = made.json()["id"]
            if client.get("/api/participant", headers={"X-Participant-Code": self.code}).status_code == 401:
                version = client.get(f"/api/take-part/{self.invitation}").json()["study"]["consent"]["version"]
                agreed = {"language": "en", "version": version, "pictures": False}
                answer = client.post(f"/api/take-part/{self.invitation}/consent", json=agreed).raise_for_status()
                self.code = answer.json()["code"]
                self.name = client.get(f"/api/studies/{self.id}/viewers").json()["items"][-1]["name"]
        return {"id": self.id, "invitation": self.invitation, "name": self.name, "stimulus": "s1", "room": 1}


@pytest.fixture(scope="module")
def study(served: Server) -> Study:
    return Study(served)


def described() -> Any:
    """The application's description as schemathesis reads it: it makes a test of each call while tests are collected."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Settings(data_dir=Path(folder)))
        app.state.store.close()
        return schemathesis.openapi.from_dict(app.openapi()).exclude(path=EVENTS)


api = described()
turns = itertools.count()


def answered_as_described(case: Any, served: Server, job: Job, study: Study) -> None:
    """Every other call about an analysis or a study is about one that exists, and every other one of a participant comes with a
    code that fits."""
    turn, given = next(turns), case.path_parameters or {}
    if case.path.startswith(("/api/studies/", "/api/take-part/", "/api/participant")):
        if turn % 2:
            given |= {name: value for name, value in study.there().items() if name in given}
            if turn % 8 != 1 and case.query:  # a report of another date is made anew, which takes seconds
                case.query.pop("until", None)
            if case.path.startswith("/api/participant"):
                case.headers = {**(case.headers or {}), "X-Participant-Code": study.code}
    elif "id" in given and turn % 2 and case.method.upper() != "DELETE":
        given["id"] = job.there()
        if turn % 4 == 1:
            given |= {name: value for name, value in {"track": 1, "name": "faces.csv"}.items() if name in given}
    answer = case.call_and_validate(base_url=served.url, checks=CHECKS, timeout=PATIENCE_S)
    explicit = {int(status) for status in case.operation.definition.raw["responses"] if status.isdigit()}
    assert answer.status_code in explicit | EVERYWHERE, answer.text


def each_call_tested() -> Iterator[tuple[str, Any]]:
    """A test function for each call, with a name of its own.

    One that schemathesis spreads over all calls has one id for all of them, of which xdist would run one.
    """

    def made(method: str, path: str) -> Any:
        @settings(max_examples=10, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
        def test(case: Any, served: Server, job: Job, study: Study) -> None:
            answered_as_described(case, served, job, study)

        return api.include(method=method, path=path).parametrize()(pytest.mark.more(test))

    for found in api.get_all_operations():
        call = found.ok()
        name = re.sub(r"\W+", "_", call.label.lower().replace("{", "the_")).strip("_")
        yield f"test_answers_are_as_described_{name}", made(call.method.upper(), call.path)


TESTS = [*each_call_tested()]
globals().update(TESTS)


def test_each_call_is_tested() -> None:
    assert len(dict(TESTS)) == len(TESTS) > 70


def operations(description: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(method, path, operation) of every call."""
    for path, item in description["paths"].items():
        for method in METHODS:
            if method in item:
                yield method, path, item[method]


def whole(description: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema that stands for itself: with the description's components beside it."""
    return {**schema, "components": description["components"]}


def examples(description: dict[str, Any], media: dict[str, Any]) -> list[Any]:
    """The examples of a body, or those that its schema carries."""
    named = [found["value"] for found in media.get("examples", {}).values()] + ([media["example"]] if "example" in media else [])
    schema = media.get("schema", {})
    while "$ref" in schema:
        schema = description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return named or schema.get("examples", []) or ([schema["example"]] if "example" in schema else [])


def test_every_call_is_described(description: dict[str, Any]) -> None:
    found = {(method, path) for method, path, _ in operations(description)}
    assert found == CALLS


def test_every_call_says_what_it_does(description: dict[str, Any]) -> None:
    for method, path, operation in operations(description):
        assert operation.get("summary"), (method, path)
        assert operation.get("tags"), (method, path)


def test_every_call_has_an_example_that_fits_its_schema(description: dict[str, Any]) -> None:
    for method, path, operation in operations(description):
        call = f"{method} {path}"
        bodies = {f"{call} asks": operation.get("requestBody", {}).get("content", {})}
        bodies |= {f"{call} {status}": answer.get("content", {}) for status, answer in operation["responses"].items()}
        shown = 0
        for where, content in bodies.items():
            for kind, media in content.items():
                for example in examples(description, media):
                    shown += 1
                    if kind == "application/json" and media.get("schema"):
                        jsonschema_rs.validator_for(whole(description, media["schema"])).validate(example)
                if kind == "application/json" and media.get("schema"):
                    assert examples(description, media), f"no example: {where}"
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "path":
                assert examples(description, parameter) or parameter.get("example"), f"no example: {call}, {parameter['name']}"
        assert shown, f"no example: {call}"


def test_every_error_is_documented_with_the_one_error_body(description: dict[str, Any]) -> None:
    for method, path, operation in operations(description):
        errors = {status: answer for status, answer in operation["responses"].items() if status.startswith(("4", "5"))}
        errors |= {"default": operation["responses"]["default"]}
        assert "401" in errors, (method, path)
        if method != "get":
            assert "403" in errors, (method, path)
        if "{" in path and not path.endswith("/opening"):  # who only counts tells nobody whether there is such a link
            assert "404" in errors, (method, path)
        for status, answer in errors.items():
            reference = answer["content"]["application/json"]["schema"].get("$ref", "")
            schema = description["components"]["schemas"][reference.rpartition("/")[2]]
            assert list(schema["properties"]) == ["error"], (method, path, status)


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/api/jobs/nosuchanalysis00", {}, 404),
        ("GET", "/api/nothing", {}, 404),
        ("PUT", "/api/jobs", {}, 405),
        ("GET", "/api/jobs?limit=0", {}, 422),
        ("POST", "/api/jobs", {}, 415),
        ("POST", "/api/jobs", {"files": {"file": ("a.mp4", io.BytesIO(b"0" * (2 << 20)))}}, 413),
        ("PATCH", "/api/jobs/nosuchanalysis00", {"content": b"{", "headers": {"Content-Type": "application/json"}}, 422),
        ("DELETE", "/api/storage", {"json": {"confirm": "yes"}}, 422),
        ("DELETE", "/api/storage", {"json": {"confirm": "erase"}, "headers": {"Origin": "http://elsewhere.example"}}, 403),
    ],
)
def test_errors_have_one_body(served: Server, method: str, path: str, options: dict[str, Any], status: int) -> None:
    with served.client() as client:
        answer = client.request(method, path, **options)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) <= {"code", "message", "detail"}
    assert error["code"].isidentifier()
    assert error["message"]
    assert answer.headers["Cache-Control"] == "no-store"
