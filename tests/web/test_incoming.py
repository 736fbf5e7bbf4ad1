"""What comes in from outside, looked at before any route meets it. The whole table of it is tests/hostile/test_fields.py."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import text as sql
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from full import full
from mien.web.app import create_app
from mien.web.capture.wire import Record, WireError, read_message
from mien.web.database import Participant, Store, json_text, json_value, passes, refusal
from mien.web.errors import ApiError
from mien.web.incoming import Moment, check_address, check_json
from mien.web.reports.worker import viewers_of
from mien.web.settings import Settings
from web.conftest import HERE, swept
from web.studies import as_participant, joined, opened


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (rb'{"a": {"b": ["\ud83d"]}}', "a.b holds a NUL or half of a letter"),
        ('{"a": "\ud83d"}'.encode("utf-8", "surrogatepass"), "a holds a NUL or half of a letter"),
        (rb'"a\u0000b"', "the request holds a NUL"),
        (rb'{"\udc00": 1}', "holds a name with a NUL or half of a letter"),
        (b'{"n": 1' + b"0" * 400 + b"}", "holds a number that is too large"),
        (b"99999999999999999999", "holds a number that is too large"),
        (b"-9223372036854775809", "holds a number that is too large"),
        (b'{"n": 1e400}', "n holds a number that is too large"),
        (b'{"n": NaN}', "holds NaN, which is no number of JSON"),
        (b"[" * 200_000, "is nested too deeply"),
    ],
)
def test_what_cannot_be_kept_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(ApiError) as refused:
        check_json(body)
    assert refused.value.status_code == 422
    assert says in refused.value.message


@pytest.mark.parametrize("body", [b"", b"no JSON", b"\xff\xfe", '{"a": "🎬", "n": 9223372036854775807, "x": 1e308}'.encode()])
def test_what_can_be_kept_or_is_for_the_route_to_judge_passes(body: bytes) -> None:
    check_json(body)


def test_an_address_holds_no_nul() -> None:
    check_address(b"/api/jobs", b"q=%30")
    for path, query in ((b"/api/jobs/%00", b""), (b"/api/jobs", b"q=a%00")):
        with pytest.raises(ApiError):
            check_address(path, query)


def test_a_moment_is_one_in_utc() -> None:
    moment = TypeAdapter(Moment)
    assert moment.validate_python("2026-11-02T09:30:00+02:00") == datetime(2026, 11, 2, 7, 30, tzinfo=UTC)
    assert moment.validate_python("2026-11-02T09:30:00") == datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
    for text in ("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"):
        with pytest.raises(ValidationError):
            moment.validate_python(text)


def test_what_is_written_into_the_database_can_be_read_again() -> None:
    kept = {"said": "🎬 c:\\u0000\\ud83d", "n": 1e308}
    assert json_value(json_text(kept)) == json_value(json_text(kept).encode()) == kept
    for value in ("\ud83d", "a\0b", "\\\0", float("inf"), float("nan")):
        with pytest.raises(ValueError, match=r"surrogates|NUL|Out of range"):
            json_text([value])
    assert json_value(r'["\ud83d", "\ud83c\udfac"]') == ["?", "🎬"]  # as earlier versions kept it


def test_a_name_over_a_socket_holds_no_nul() -> None:
    for text in (r"a\u0000b", r"\ud83d"):
        with pytest.raises(WireError, match=r"not understood|at name"):
            read_message(f'{{"type": "record", "action": "start", "name": "{text}"}}', Record)


def test_a_field_of_a_form_holds_no_nul(client: TestClient) -> None:
    answer = client.post("/api/jobs", files={"file": ("a.png", b"x")}, data={"source": "a\0b"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")


BEFORE = [{"id": "n", "kind": "number", "title": {"en": "How many?"}}]
AFTER = [{"id": "said", "kind": "long", "title": {"en": "What stays?"}}]


def test_an_answer_that_cannot_be_kept_is_not(client: TestClient) -> None:
    id, invitation = opened(client, smallest_group=1, before=BEFORE, after=AFTER)
    code = as_participant(joined(client, invitation))
    for question, value in (("said", r'"\ud83d"'), ("n", "1" + "0" * 400), ("n", "1e400")):
        part = "after" if question == "said" else "before"
        sent = f'{{"part": "{part}", "answers": {{"{question}": {value}}}}}'
        assert client.put("/api/participant/answers", content=sent, headers=code).status_code == 422, value
    for path in ("/api/participant", "/api/participant/export", f"/api/studies/{id}/viewers/1/export"):
        assert client.get(path, headers=code).status_code == 200


def test_numbers_and_dates_in_addresses_that_cannot_be_are_422(client: TestClient) -> None:
    id, _ = opened(client)
    for path in (
        f"/api/studies/{id}/rooms/99999999999999999999",
        f"/api/studies/{id}/review?until=9999-12-31T23:59:59-23:59",
        f"/api/studies/{id}/rooms/1{'0' * 400}",
    ):
        assert client.get(path).status_code == 422, path


def test_a_database_that_somebody_holds_is_503_and_a_full_one_507(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mien.web.database.BUSY_TIMEOUT_S", 0)
    app = create_app(Settings(data_dir=tmp_path / "data"))
    store = app.state.store
    with TestClient(app, base_url=HERE) as client:
        swept(app)
        with closing(sqlite3.connect(store.file, isolation_level=None)) as holder:
            holder.execute("begin immediate")
            answer = client.post("/api/studies", json={"title": "SECRET-TITLE"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "busy")
            assert int(answer.headers["Retry-After"]) > 0
            assert client.get("/api/studies").json()["items"] == []  # who reads waits for nobody
        with monkeypatch.context() as disk:
            full(disk, store, 1)
            answer = client.post("/api/studies", json={"title": "SECRET-TITLE"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (507, "disk_full")
        assert client.post("/api/studies", json={"title": "SECRET-TITLE"}).status_code == 201
    assert "Traceback" not in caplog.text
    assert "SECRET-TITLE" not in caplog.text


def test_what_a_database_really_says_when_it_is_full(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'mien.sqlite3'}")
    store.migrate()
    with store.engine.connect() as connection:  # the pool has this one
        connection.exec_driver_sql("pragma max_page_count = 1")
    with pytest.raises(OperationalError) as refused:
        store.create_job(name="SECRET-NAME" * 10_000)
    found = refusal(refused.value)
    assert found is not None
    assert (found.status_code, passes(refused.value)) == (507, True)
    assert "SECRET-NAME" not in str(refused.value)
    store.close()


def test_one_bad_row_is_left_out_and_named(client: TestClient, app: FastAPI) -> None:
    id, invitation = opened(client, smallest_group=1, before=BEFORE, after=AFTER)
    for _ in range(5):
        joined(client, invitation)
    bad: dict[int, Any] = {2: "7", 4: '{"bef', 3: '{"before": {"n": "many"}, "after": {"said": "yes"}}'}
    with app.state.store.engine.begin() as rows:  # as an earlier version, or a broken disk, left it
        for name, value in bad.items():
            rows.execute(sql(f"update {Participant.__tablename__} set answers = '{value}' where name = {name}"))

    odd: list[str] = []
    people = viewers_of(app.state.settings, app.state.store, app.state.studies.known(id), odd=odd)
    assert len(people) == 3
    assert client.get(f"/api/studies/{id}/viewers").status_code == 200
    assert odd == [
        "Viewer 2 is left out: what is kept of this person cannot be read; it can be erased.",
        "Viewer 3's answer to the question n is left out: it is none that the question takes.",
        "Viewer 4 is left out: what is kept of this person cannot be read; it can be erased.",
    ]
    assert [viewer.answers.get("said") for viewer in people] == [None, "yes", None]
    for name in (2, 4):
        assert client.request("DELETE", f"/api/studies/{id}/viewers/{name}").status_code == 200
    odd.clear()
    viewers_of(app.state.settings, app.state.store, app.state.studies.known(id), odd=odd)
    assert len(odd) == 1
