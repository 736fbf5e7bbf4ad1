"""What is stored: the numbers, erasing everything, the retention period."""

import os
import sqlite3
import sys
import time
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from starlette.testclient import TestClient

from contents import holding
from mien.web import database
from mien.web.database import Job, Login, new_id, now
from mien.web.retention import storage
from web.conftest import HERE, PASSWORD, TOKEN, Opened, as_browser, swept

WITHIN_S = 120.0
FILES = {
    "upload.bin": 1,
    "result/annotated.mp4": 10,
    "result/report.html": 100,
    "result/faces.csv": 1000,
    "result/summary.json": 1000,
    "timeline.npz": 1000,
    "stills/1.jpg": 100,
    "frames.log": 10_000,
    "rows.log": 1000,
}


def make(app: FastAPI, **values: Any) -> Job:
    """A job with one file of each kind."""
    id = new_id()
    for name, size in FILES.items():  # before the row: where a sweep comes between, it takes both
        path = app.state.settings.data_dir / "jobs" / id / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    job: Job = app.state.store.create_job(**{"id": id, "state": "done", "ended_at": now()} | values)
    return job


def folders(app: FastAPI) -> set[str]:
    folder = app.state.settings.data_dir / "jobs"
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def test_an_empty_server_stores_nothing(client: TestClient, app: FastAPI) -> None:
    found = client.get("/api/storage").json()
    assert (found["jobs"], found["recordings"], found["unfinished"], found["oldest_at"]) == (0, 0, 0, None)
    assert found["folder"] == str(app.state.settings.data_dir)


def test_what_there_is_is_counted_by_kind(client: TestClient, app: FastAPI) -> None:
    make(app, created_at=now() - timedelta(days=3))
    make(app, kind="live", media="camera")
    app.state.store.create_job(kind="live", state="recording")
    found = client.get("/api/storage").json()
    assert (found["jobs"], found["recordings"], found["unfinished"]) == (1, 2, 1)
    assert abs((now() - timedelta(days=3)).timestamp() - seconds(found["oldest_at"])) < 60
    sizes = {item["what"]: (item["bytes"], item["pictures"]) for item in found["items"]}
    database = sizes.pop("The list of analyses, names given, studies, answers of participants, and logins")
    assert sizes == {
        "Files that wait, are being analysed or failed": (2, True),
        "Annotated films and pictures": (20, True),
        "Reports and stills of faces": (400, True),
        "Pictures of live recordings that are not finished": (20_000, True),
        "Scores, tables and plots": (8000, False),
        "Films of studies, as participants watch them": (0, True),
        "Pictures of participants who allowed it": (0, True),
        "Scores of participants and rooms": (0, False),
        "Reports of studies, which can be made again": (0, True),
    }
    assert (found["studies"], found["participants"], found["rooms"]) == (0, 0, 0)
    assert database[0] > 0
    assert found["bytes"] == sum(size for size, _ in sizes.values()) + database[0]


def seconds(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


def test_of_folders_without_a_job_only_what_nobody_needs_goes_by_itself(app: FastAPI) -> None:
    folder: Path = app.state.settings.data_dir / "jobs"
    long_ago = time.time() - 2 * 24 * 3600
    for name, files in {
        "broken": ["upload.part"],
        "other": ["result/faces.csv"],
        "live": ["rows.log"],
        "half.erased": ["result/a"],
    }.items():
        for file in files:
            (folder / name / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / name / file).write_bytes(b"x")
        if name != "half.erased":
            os.utime(folder / name, (long_ago, long_ago))
    assert app.state.storage.sweep() == []
    assert folders(app) == {"other", "live"}
    app.state.storage.erase_all()
    assert folders(app) == set()


def test_everything_is_erased(client: TestClient, app: FastAPI) -> None:
    data: Path = app.state.settings.data_dir
    for kind in ("file", "live"):
        make(app, kind=kind, name="MARIANNE-EXAMPLE.mp4")
    make(app, state="failed")
    (data / "jobs" / "stray").mkdir()
    (data / "mien.sqlite3.schema-0001").write_bytes(b"MARIANNE-EXAMPLE")
    headers = as_browser(client)
    assert client.request("DELETE", "/api/storage", headers=headers, json={"confirm": "erase"}).status_code == 204
    assert client.get("/api/jobs").json()["items"] == []
    assert folders(app) == set()
    assert client.get("/api/storage").json()["jobs"] == 0
    assert not (data / "mien.sqlite3.schema-0001").exists()
    assert holding(data, "MARIANNE-EXAMPLE") == []


@pytest.mark.parametrize("way", ["deleted", "too old"])
def test_of_an_erased_analysis_no_name_stays_in_any_file(client: TestClient, app: FastAPI, way: str) -> None:
    edits = {"names": {"1": "MARIANNE-FACE"}}
    job = make(app, name="MARIANNE-EXAMPLE.mp4", headline="MARIANNE-HEADLINE", edits=edits)
    other = make(app, name="JACQUES-EXAMPLE.mp4", edits={"names": {"1": "JACQUES-FACE"}})
    app.state.store.update_job(job.id, name="MARIANNE-RENAMED.mp4")

    data = app.state.settings.data_dir
    assert holding(data, "MARIANNE-")
    if way == "deleted":
        assert client.delete(f"/api/jobs/{job.id}").status_code == 204
    else:
        swept(app)
        app.state.storage.settings = replace(app.state.settings, retention_days=1)
        app.state.store.update_job(job.id, ended_at=now() - timedelta(days=2))
        assert app.state.storage.sweep() == [job.id]
    assert holding(data, "MARIANNE-") == []
    assert holding(data, job.id) == []
    assert holding(data, "JACQUES-FACE")
    assert client.get(f"/api/jobs/{other.id}").status_code == 200


def test_a_log_that_somebody_reads_is_cleared_by_a_later_sweep(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0)
    app.state.storage.store = store = database.Store(app.state.settings.url)
    assert store.file is not None
    job = store.create_job(name="MARIANNE-EXAMPLE.mp4")
    log = store.file.with_name(f"{store.file.name}-wal")
    with closing(sqlite3.connect(store.file)) as reader:
        reader.execute("begin")
        reader.execute("select count(*) from jobs").fetchone()
        assert store.delete_job(job.id)
        store.forget()
        assert store.owes
        assert b"MARIANNE-EXAMPLE" in log.read_bytes()
    app.state.storage.sweep()
    assert not store.owes
    assert log.read_bytes() == b""
    store.close()


@pytest.mark.process
def test_a_job_in_the_queue_and_one_that_runs_are_ended_and_erased(client: TestClient, app: FastAPI) -> None:
    app.state.jobs.analysis.command = [sys.executable, str(Path(__file__).with_name("fake_worker.py"))]
    running, _ = (client.post("/api/jobs", files={"file": ("talk.mp4", b"wait")}).json()["id"] for _ in range(2))
    deadline = time.monotonic() + WITHIN_S
    while not client.get(f"/api/jobs/{running}").json()["progress"]:
        assert time.monotonic() < deadline, "it was not begun"
        time.sleep(0.02)
    assert client.get("/api/storage").json()["unfinished"] == 2
    assert client.request("DELETE", "/api/storage", json={"confirm": "erase"}).status_code == 204
    assert client.get("/api/jobs").json()["items"] == []
    assert folders(app) == set()
    time.sleep(0.5)
    assert folders(app) == set()  # nobody writes there any more


@pytest.mark.parametrize("body", [None, {}, {"confirm": "yes"}, {"confirm": "erase", "more": 1}, "erase"])
def test_nothing_is_erased_without_saying_so(client: TestClient, app: FastAPI, body: Any) -> None:
    make(app)
    assert client.request("DELETE", "/api/storage", json=body).status_code == 422
    assert len(folders(app)) == 1
    assert len(client.get("/api/jobs").json()["items"]) == 1


def test_all_logins_but_the_own_end(opened: Opened) -> None:
    client = opened(password=PASSWORD, token=TOKEN)
    app: Any = client.app
    other = TestClient(app, base_url=HERE)
    for one in (other, client):
        assert one.post("/api/login", json={"password": PASSWORD}).status_code == 200
    assert other.get("/api/jobs").status_code == 200
    assert client.request("DELETE", "/api/storage", headers=as_browser(client), json={"confirm": "erase"}).status_code == 204
    assert other.get("/api/jobs").status_code == 401
    assert client.get("/api/jobs").status_code == 200
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert client.request("DELETE", "/api/storage", headers=bearer, json={"confirm": "erase"}).status_code == 204
    with app.state.store.reading() as rows:
        assert list(rows.scalars(select(Login))) == []  # asked by a program, which has no login of its own


# --- the retention period


def test_what_ended_long_ago_erases_itself(opened: Opened) -> None:
    app: Any = opened(retention_days=30).app
    swept(app)
    ages = {"old": timedelta(days=30, minutes=1), "young": timedelta(days=29, hours=23)}
    jobs = {name: make(app, ended_at=now() - age) for name, age in ages.items()}
    jobs["failed long ago"] = make(app, state="failed", ended_at=now() - timedelta(days=99))
    # Made long ago, but it runs: what has not ended is not old.
    jobs["runs"] = make(app, state="recording", kind="live", ended_at=None, created_at=now() - timedelta(days=99))
    assert set(app.state.storage.sweep()) == {jobs["old"].id, jobs["failed long ago"].id}
    assert folders(app) == {jobs["young"].id, jobs["runs"].id}
    assert {job.id for job in app.state.store.jobs()[0]} == {jobs["young"].id, jobs["runs"].id}


def test_without_a_retention_period_nothing_erases_itself(client: TestClient, app: FastAPI) -> None:
    job = make(app, ended_at=now() - timedelta(days=9999))
    assert app.state.storage.sweep() == []
    assert folders(app) == {job.id}


def test_folders_without_a_job_go_after_a_day(client: TestClient, app: FastAPI) -> None:
    jobs = app.state.settings.data_dir / "jobs"
    for name, age_s in (("old", 25 * 3600), ("new", 3600)):
        (jobs / name).mkdir(parents=True)
        os.utime(jobs / name, (time.time() - age_s,) * 2)
    app.state.storage.sweep()
    assert folders(app) == {"new"}  # which may be an upload that comes in


def test_another_sweep_may_be_faster(client: TestClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hourly one runs beside "erase everything": what it took meanwhile is gone, and the rest still goes."""
    swept(app)
    jobs = app.state.settings.data_dir / "jobs"
    (jobs / "stray").mkdir(parents=True)
    monkeypatch.setattr(Path, "iterdir", lambda folder: iter([folder / "gone", folder / "stray"]))
    app.state.storage.erase_all()
    monkeypatch.undo()
    assert folders(app) == set()


def test_it_sweeps_at_the_start_and_again_and_again(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "SWEEP_EVERY_S", 0.05)
    app: Any = opened(retention_days=1).app

    def gone(id: str) -> bool:
        deadline = time.monotonic() + WITHIN_S
        while app.state.store.job(id) is not None and time.monotonic() < deadline:
            time.sleep(0.02)
        return app.state.store.job(id) is None

    for _ in range(2):
        assert gone(make(app, ended_at=now() - timedelta(days=2)).id)


def test_a_sweep_that_fails_is_tried_again(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(storage, "SWEEP_EVERY_S", 0.02)
    calls = []

    def sweep(self: storage.Storage) -> list[str]:
        calls.append(1)
        raise OSError("disk on fire")

    monkeypatch.setattr(storage.Storage, "sweep", sweep)
    opened()
    deadline = time.monotonic() + WITHIN_S
    while len(calls) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(calls) >= 3
    assert "disk on fire" in caplog.text
