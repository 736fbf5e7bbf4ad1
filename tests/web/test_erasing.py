"""What is erased is nowhere: the database's files and all others are searched by content. Retention runs by itself."""

import os
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select, update
from starlette.testclient import TestClient

from contents import holding
from mien.web.database import AuditEntry, Participant, StudyRow, now
from web.conftest import Opened, swept
from web.studies import as_participant, joined, made, opened, person, planted

SECRET = "MARIANNE-EXAMPLE-ANSWERED-THIS"
OTHERS = "JACQUES-EXAMPLE-ANSWERED-THAT"


def answered(client: TestClient, invitation: str, text: str) -> str:
    """Somebody agrees, goes to the end of the film and writes `text`, several times over; the code."""
    code = joined(client, invitation)
    headers = as_participant(code)
    for step in ("before", "camera", "film:0", "after"):
        answer = client.post("/api/participant/step", json={"step": step}, headers=headers)
        assert answer.status_code == 200, answer.text
    for number in range(30):  # rows are written again and again, and grow over several pages
        long = f"{text} {number} " + "x" * (100 * number)
        answer = client.put("/api/participant/answers", json={"part": "after", "answers": {"said": long}}, headers=headers)
        assert answer.status_code == 200, answer.text
    return code


def data(app: FastAPI) -> Path:
    folder: Path = app.state.settings.data_dir
    return folder


@pytest.mark.parametrize("who", ["operator", "participant"])
def test_erasing_one_leaves_no_row_and_no_file_and_the_others_whole(client: TestClient, app: FastAPI, who: str) -> None:
    id, invitation = opened(client)
    code = answered(client, invitation, SECRET)
    answered(client, invitation, OTHERS)
    row = person(app, id, 1)
    files = planted(app, id, 1, SECRET.encode())
    kept = planted(app, id, 2, OTHERS.encode())[:2]
    before = holding(data(app), SECRET)
    assert len([name for name in before if name.startswith("mien.sqlite3")]) >= 1
    assert {str(path.relative_to(data(app))) for path in files[:2]} <= set(before)
    version = client.get(f"/api/studies/{id}").json()["version"]

    if who == "operator":
        answer = client.delete(f"/api/studies/{id}/viewers/1")
    else:
        answer = client.delete("/api/participant", headers=as_participant(code))
    size = sum(len(b"before " + SECRET.encode() + b" after") for _ in files[:2])
    assert answer.json() == {"erased": {"rows": 1, "files": 2, "bytes": size}, "left": {"rows": 0, "files": 0}}

    for content in (SECRET, row.code_hash, row.id):
        assert holding(data(app), content) == []
    assert not any(row.id in str(path) for path in data(app).rglob("*"))
    assert not (data(app) / "studies" / id / "reviews").exists()  # it was made from everybody's data
    assert all(path.is_file() for path in kept)
    assert holding(data(app), OTHERS)
    assert client.get("/api/participant", headers=as_participant(code)).status_code == 401
    assert client.get(f"/api/studies/{id}/viewers/1/export").status_code == 404
    assert client.delete(f"/api/studies/{id}/viewers/1").status_code == 404
    study = client.get(f"/api/studies/{id}").json()
    assert study["version"] > version
    assert (study["counts"]["agreed"], study["counts"]["withdrawn"]) == (2, 1)


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"\0\1" + SECRET.encode() + b"\2")
    assert holding(tmp_path, SECRET) == ["deep/file"]


def test_erasing_clears_the_copies_of_older_databases(client: TestClient, app: FastAPI) -> None:
    id, invitation = opened(client)
    answered(client, invitation, SECRET)
    copy = data(app) / "mien.sqlite3.schema-0001"
    copy.write_bytes(b"SQLite " + SECRET.encode())
    client.delete(f"/api/studies/{id}/viewers/1")
    assert holding(data(app), SECRET) == []
    assert not copy.exists()


def test_erasing_a_study_leaves_only_that_it_was_erased(client: TestClient, app: FastAPI) -> None:
    id, invitation = opened(client, title="SECRET-TITLE-EXAMPLE")
    other, _ = opened(client, title="OTHER-TITLE-EXAMPLE")
    code = answered(client, invitation, SECRET)
    planted(app, id, 1, SECRET.encode())
    answer = client.delete(f"/api/studies/{id}")
    proof = answer.json()
    assert proof["left"] == {"rows": 0, "files": 0}
    assert proof["erased"]["files"] == 3
    assert proof["erased"]["rows"] >= 3
    for content in (SECRET, "SECRET-TITLE-EXAMPLE", invitation):
        assert holding(data(app), content) == []
    assert not (data(app) / "studies" / id).exists()
    for path in (f"/api/studies/{id}", f"/api/studies/{id}/audit", f"/api/take-part/{invitation}"):
        assert client.get(path).status_code == 404
    assert client.get("/api/participant", headers=as_participant(code)).status_code == 401
    with app.state.store.reading() as rows:
        left = list(rows.scalars(select(AuditEntry).where(AuditEntry.study_id == id)))
    assert [(entry.who, entry.action, entry.detail) for entry in left] == [("operator", "erased", proof)]
    assert [study["id"] for study in client.get("/api/studies").json()["items"]] == [other]


def test_erase_everything_includes_studies(client: TestClient, app: FastAPI) -> None:
    id, invitation = opened(client)
    answered(client, invitation, SECRET)
    planted(app, id, 1, SECRET.encode())
    found = client.get("/api/storage").json()
    assert (found["studies"], found["participants"]) == (1, 1)
    sizes = {item["what"]: item["bytes"] for item in found["items"]}
    one = len(b"before " + SECRET.encode() + b" after")
    assert sizes["Pictures of participants who allowed it"] == one
    assert sizes["Scores of participants and rooms"] == one
    assert sizes["Reports of studies, which can be made again"] == one
    assert client.request("DELETE", "/api/storage", json={"confirm": "erase"}).status_code == 204
    assert holding(data(app), SECRET) == []
    assert client.get("/api/studies").json()["items"] == []
    assert list((data(app) / "studies").iterdir()) == []
    with app.state.store.reading() as rows:
        assert list(rows.scalars(select(AuditEntry))) == []


# --- retention


def aged(app: FastAPI, id: str, name: int, days: float) -> None:
    """Somebody agreed so many days ago."""
    with app.state.store.session() as rows:
        mine = (Participant.study_id == id) & (Participant.name == name)
        rows.execute(update(Participant).where(mine).values(consented_at=now() - timedelta(days=days)))


def test_what_is_past_its_time_erases_itself_and_the_rest_stays(client: TestClient, app: FastAPI) -> None:
    swept(app)
    id, invitation = opened(client, retention_days=10)
    answered(client, invitation, SECRET)
    answered(client, invitation, OTHERS)
    for name, content in ((1, SECRET), (2, OTHERS)):
        planted(app, id, name, content.encode())
    aged(app, id, 1, 10.01)
    aged(app, id, 2, 9.99)
    listed = client.get(f"/api/studies/{id}/viewers").json()["items"]
    assert listed[0]["erased_at"] < now().isoformat() < listed[1]["erased_at"]
    app.state.storage.sweep()
    assert holding(data(app), SECRET) == []
    assert holding(data(app), OTHERS)
    assert [viewer["name"] for viewer in client.get(f"/api/studies/{id}/viewers").json()["items"]] == ["2"]
    erased = [entry for entry in client.get(f"/api/studies/{id}/audit").json()["items"] if entry["action"] == "erased"]
    assert [(entry["who"], entry["detail"]["viewer"]) for entry in erased] == [("mien", 1)]
    assert client.get(f"/api/studies/{id}").status_code == 200  # the study itself has no end


def test_the_server_sweeps_by_itself(opened: Opened, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("mien.web.retention.storage.SWEEP_EVERY_S", 0.2)
    client = opened()
    from web import studies

    id, invitation = studies.opened(client, retention_days=1)
    joined(client, invitation)
    app: Any = client.app
    aged(app, id, 1, 2)
    end = time.monotonic() + 120
    while client.get(f"/api/studies/{id}").json()["counts"]["withdrawn"] == 0:
        assert time.monotonic() < end, "nothing was erased"
        time.sleep(0.1)


def test_a_study_that_cannot_be_read_keeps_the_others_from_nothing(client: TestClient, app: FastAPI) -> None:
    swept(app)
    broken = made(client)["id"]
    id, invitation = opened(client, retention_days=1)
    joined(client, invitation)
    aged(app, id, 1, 2)
    with app.state.store.session() as rows:
        rows.execute(update(StudyRow).where(StudyRow.id == broken).values(definition={"every_s": "often"}))
    assert app.state.eraser.sweep() == [f"{id}/1"]


def test_folders_of_nobody_go_after_a_day_and_new_ones_stay(client: TestClient, app: FastAPI) -> None:
    swept(app)
    id, invitation = opened(client)
    joined(client, invitation)
    planted(app, id, 1, b"x")
    folder = data(app) / "studies"
    strays = [folder / "nobodys", folder / id / "participants" / "nobodys"]
    doomed = [folder / "half.erased", folder / id / "participants" / "half.erased"]
    strays += [folder / id / "rooms" / "erased.npz", folder / id / "films" / "broken.upload"]
    fresh = [folder / "new", folder / id / "participants" / "new", folder / id / "films" / "coming.upload"]
    for path in (*strays, *doomed, *fresh):
        (path / "in").mkdir(parents=True)
    old = time.time() - 25 * 3600
    for path in (*strays, folder / id, folder / id / "participants" / person(app, id, 1).id):
        os.utime(path, (old, old))
    app.state.eraser.sweep()
    assert not any(path.exists() for path in (*strays, *doomed))
    assert all(path.exists() for path in fresh)
    assert (folder / id / "participants" / person(app, id, 1).id / "s1.log").is_file()


# --- in PostgreSQL


def test_erasing_in_postgresql_leaves_nothing_in_the_tables(opened: Opened, postgres: str, tmp_path: Path) -> None:
    """Its tables' files are searched, too; what it keeps in its own journal goes when that comes round."""
    from sqlalchemy import text

    from web import studies

    client = opened(database_url=postgres)
    app: Any = client.app
    swept(app)
    id, invitation = studies.opened(client)
    for content in (SECRET, OTHERS):
        mine = as_participant(answered(client, invitation, content))
        short = {"part": "after", "answers": {"said": content}}  # what is long is kept compressed, and not found by its bytes
        assert client.put("/api/participant/answers", json=short, headers=mine).status_code == 200
    joined(client, invitation)
    planted(app, id, 1, SECRET.encode())

    def found(content: str) -> list[str]:
        """Tables' files that hold it, flushed; in the folder of the database alone."""
        with app.state.store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("CHECKPOINT"))
            folder = Path(connection.scalar(text("show data_directory")) or "")
        return holding(folder / "base", content)

    job = app.state.store.create_job(name="SECRET-FILE.mp4", state="done", edits={"names": {"1": "SECRET-FACE"}})
    assert found("SECRET-FACE")
    assert client.delete(f"/api/jobs/{job.id}").status_code == 204
    assert found("SECRET-F") == []
    assert found(SECRET)
    assert client.delete(f"/api/studies/{id}/viewers/1").json()["left"] == {"rows": 0, "files": 0}
    assert found(SECRET) == []
    assert found(OTHERS)
    assert holding(data(app), SECRET) == []
    aged(app, id, 2, 91)
    assert app.state.eraser.sweep() == [f"{id}/2"]
    assert found(OTHERS) == []
    assert client.post(f"/api/studies/{id}/duplicate").status_code == 201
    assert client.patch(f"/api/studies/{id}", json={"title": "x"}).status_code == 200
    assert client.get(f"/api/studies/{id}").json()["counts"]["withdrawn"] == 2
    assert client.delete(f"/api/studies/{id}").json()["left"] == {"rows": 0, "files": 0}


def test_what_another_transaction_could_still_read_is_waited_for_and_owed(
    opened: Opened, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that ended are written along into the new table's file as long as anything older is under way in the database, be it one
    that reads other tables, as PostgreSQL's own gathering of statistics does."""
    from sqlalchemy import text

    app: Any = opened(database_url=postgres).app
    swept(app)
    engine = app.state.store.engine.execution_options(isolation_level="REPEATABLE READ")

    def found() -> list[str]:
        with app.state.store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("CHECKPOINT"))
            folder = Path(connection.scalar(text("show data_directory")) or "")
        return holding(folder / "base", "HELD-FACE")

    for table in ("logins", "jobs"):  # the second is held on to itself: it cannot even be written anew
        job = app.state.store.create_job(name="x.mp4", state="done", edits={"names": {"1": "HELD-FACE"}})
        with engine.connect() as older:
            older.execute(text(f"select count(*) from {table}"))
            ended = threading.Timer(0.5, older.rollback)
            ended.start()
            app.state.jobs.erase(job.id)
            ended.join()
        assert (found(), app.state.store.owes) == ([], False)

        monkeypatch.setattr("mien.web.database.BUSY_TIMEOUT_S", 0.3)
        job = app.state.store.create_job(name="x.mp4", state="done", edits={"names": {"1": "HELD-FACE"}})
        with engine.connect() as older:
            older.execute(text(f"select count(*) from {table}"))
            app.state.jobs.erase(job.id)
            assert app.state.store.owes
        app.state.storage.sweep()
        assert (found(), app.state.store.owes) == ([], False)
        monkeypatch.undo()
