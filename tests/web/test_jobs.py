"""The queue: uploads, states, cancel, retry, erase, events, crashes, and the server that dies."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from mien.cluster import AnalysisOptions
from mien.detect import Haar
from mien.web.analyses.service import Jobs, Listener
from mien.web.analyses.task import Pace
from mien.web.app import create_app
from mien.web.settings import Settings
from mien.web.tasks.engine import Description, Processes
from mien.web.tasks.process import Process
from serving import Server
from web.conftest import HERE

pytestmark = pytest.mark.process

FAKE = Path(__file__).with_name("fake_worker.py")
SECONDS = 240  # that anything may take on a busy machine


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    """An application whose files are analysed by `fake_worker.py`."""
    app = create_app(settings)
    app.state.jobs.analysis.command = [sys.executable, str(FAKE)]
    app.state.tasks.engine = Kept()
    return app


class Kept(Processes):
    """The engine, which shows the processes that it began."""

    def __init__(self) -> None:
        self.begun: list[Process] = []

    def begin(self, description: Description) -> Process:
        self.begun.append(super().begin(description))
        return self.begun[-1]


def newest(jobs: Jobs) -> Process:
    """The process that was begun last."""
    engine = jobs.tasks.engine
    assert isinstance(engine, Kept)
    return engine.begun[-1]


@pytest.fixture
def jobs(app: FastAPI) -> Jobs:
    jobs: Jobs = app.state.jobs
    return jobs


def send(client: Any, words: str = "done", name: str = "talk.mp4", **fields: Any) -> Any:
    return client.post("/api/jobs", files={"file": (name, words.encode())}, data=fields)


def sent(client: Any, words: str = "done", name: str = "talk.mp4", **fields: Any) -> str:
    answer = send(client, words, name, **fields)
    assert answer.status_code == 201, answer.text
    id: str = answer.json()["id"]
    return id


def until(client: Any, id: str, *states: str, seconds: float = SECONDS) -> dict[str, Any]:
    """The job once it is in one of these states."""
    end = time.monotonic() + seconds
    while True:
        job: dict[str, Any] = client.get(f"/api/jobs/{id}").json()
        if job["state"] in states:
            return job
        assert time.monotonic() < end, f"still {job['state']}: {job}"
        time.sleep(0.05)


def moving(client: Any, id: str) -> dict[str, Any]:
    """The job once it runs and has told how far it is."""
    end = time.monotonic() + SECONDS
    while True:
        job: dict[str, Any] = client.get(f"/api/jobs/{id}").json()
        if job["progress"] and job["progress"]["frames"] > 3:
            return job
        assert time.monotonic() < end, job
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


# --- uploads


def test_a_file_becomes_a_job_with_its_options_and_is_done(client: TestClient, jobs: Jobs) -> None:
    answer = send(client, "done long", "Ferien & Söhne.mp4", every_s="0", smoothing_s="0.5", keep_film="false")
    job = answer.json()
    assert answer.status_code == 201
    assert (job["kind"], job["name"], job["size_bytes"]) == ("file", "Ferien & Söhne.mp4", 9)
    wanted = {"every_s": None, "smoothing_s": 0.5, "baseline_s": 0.0, "keep_film": False, "keep_stills": True}
    usual = {"model": None, "labels": None, "prior": None, "detector": "yunet"}
    assert job["options"] == wanted | usual
    done = until(client, job["id"], "done")
    assert (done["media"], done["headline"], done["duration_s"]) == ("video", "Nobody in Ferien & Söhne.mp4.", 2.5)
    assert (done["error"], done["progress"], done["waiting"], done["people"]) == (None, None, None, 0)
    assert done["created_at"] <= done["started_at"] <= done["ended_at"]
    folder = jobs.folder(job["id"])
    assert not (folder / "upload.bin").exists()
    task = json.loads((folder / "task.json").read_text())
    assert task["options"] == {
        "every": None,
        "model": "default",
        "labels": None,
        "prior": None,
        "detector": "yunet",
        "smoothing_s": 0.5,
        "baseline_s": 0.0,
        "find_face_px": 40.0,
        "annotated": False,
        "pictures": True,
        "max_pixels": 50_000_000,
        "max_film_s": 240 * 60,
    }
    assert done["size_bytes"] == 1000 + len((folder / "task.json").read_bytes())
    assert client.get("/api/info").json()["looks_per_s"] == 42.0


def test_a_film_that_is_damaged_half_way_is_done_with_a_note(client: TestClient) -> None:
    assert until(client, sent(client, "done damaged"), "done", "failed")["note"] == "damaged half-way"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ada\\talk.mp4", "talk.mp4"),
        ('a "b" <i>.mp4', 'a "b" <i>.mp4'),
        ("bell\x07 and \u202eright.mp4", "bell and right.mp4"),
        ("..", ".."),
        ("  ", "unnamed"),
        ("x" * 300 + ".mp4", "x" * 200),
    ],
)
def test_a_file_is_shown_by_its_name_and_never_stored_under_it(client: TestClient, jobs: Jobs, given: str, shown: str) -> None:
    disposition = f'form-data; name="file"; filename="{given.replace(chr(34), "%22")}"'
    body = b"--b\r\nContent-Disposition: " + disposition.encode() + b"\r\n\r\nwait\r\n--b--\r\n"
    answer = client.post("/api/jobs", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert answer.json()["name"] == shown
    inside = [p for p in jobs.settings.data_dir.rglob("*") if "jobs" in p.parts and p.is_file()]
    assert [p.name for p in inside] == ["upload.bin"]
    client.delete(f"/api/jobs/{answer.json()['id']}")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"every_s": "often"}, "every_s: wanted a number of seconds from 0 to 3600, but got 'often'"),
        ({"every_s": "nan"}, "every_s: wanted"),
        ({"every_s": "-1"}, "every_s: wanted"),
        ({"smoothing_s": "1e9"}, "smoothing_s: wanted a number of seconds from 0 to 60"),
        ({"keep_film": "perhaps"}, "keep_film: wanted true or false, but got 'perhaps'"),
        ({"detector": "eyes"}, "detector: wanted yunet or haar, but got 'eyes'"),
        ({"model": "emotion-x"}, "model: wanted one of "),
        ({"model": "/etc"}, "model: wanted one of "),
        ({"labels": "faces"}, "mien-lite0: no label set 'faces'; it has: ferplus, fer2013"),
        ({"prior": "rosy"}, "label set 'ferplus': no prior 'rosy'; it has: "),
        ({"treshold": "0.5"}, "There is no option 'treshold'; there are baseline_s, detector, every_s, "),
    ],
)
def test_options_that_cannot_be_are_refused_and_nothing_stays(
    client: TestClient, jobs: Jobs, fields: dict[str, str], words: str
) -> None:
    answer = send(client, **fields)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")
    assert answer.json()["error"]["message"].startswith(words)
    assert list((jobs.settings.data_dir / "jobs").iterdir()) == []
    assert client.get("/api/jobs").json()["items"] == []


def test_model_labels_prior_and_detector_are_those_that_were_asked_for(client: TestClient, jobs: Jobs) -> None:
    job = send(client, "done", model="mien-lite0", labels="fer2013", prior="natural", detector="haar").json()
    until(client, job["id"], "done")
    options = json.loads((jobs.folder(job["id"]) / "task.json").read_text())["options"]
    asked = {name: options[name] for name in ("model", "labels", "prior", "detector", "find_face_px")}
    assert asked == {"model": "mien-lite0", "labels": "fer2013", "prior": "natural", "detector": "haar", "find_face_px": None}
    analyzer = AnalysisOptions(**options).analyzer()
    assert isinstance(analyzer.detector, Haar)
    assert len(analyzer.labels) == 7


def test_forms_that_are_none(client: TestClient, jobs: Jobs) -> None:
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"json": {"file": "x"}}, 415, "not_a_form"),
        ({"content": b"", "headers": {"Content-Type": "multipart/form-data"}}, 415, "not_a_form"),
        ({"content": part + b"half a fi", "headers": form}, 400, "cut_off"),
        ({"content": b"nothing of the kind", "headers": form}, 400, "not_a_form"),
        ({"content": part + b"\r\n--b--\r\n", "headers": form}, 422, "empty"),
        ({"content": part + b"x\r\n" + part + b"y\r\n--b--\r\n", "headers": form}, 422, "several_files"),
        ({"data": {"every_s": "1"}, "files": {"other": b"x"}}, 422, "no_file"),
    ]
    for given, status, code in cases:
        answer = client.post("/api/jobs", **given)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), given
    assert list((jobs.settings.data_dir / "jobs").iterdir()) == []


def test_a_file_that_is_too_large_is_refused_while_it_comes(tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path / "data", upload_max_mib=1))
    with TestClient(app, base_url=HERE) as client:
        answer = send(client, "x" * (2**20 + 1))
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
        assert "1 MiB" in answer.json()["error"]["message"]
        assert list((tmp_path / "data" / "jobs").iterdir()) == []


def test_a_full_queue_and_a_full_store_are_said(tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path / "data", jobs_waiting_max=2, storage_max_gib=1))
    app.state.jobs.analysis.command = [sys.executable, str(FAKE)]
    with TestClient(app, base_url=HERE) as client:
        running = sent(client, "wait")
        until(client, running, "running")
        waiting = [sent(client), sent(client)]
        answer = send(client)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "queue_full")
        for id in (*waiting, running):
            client.delete(f"/api/jobs/{id}")
        app.state.store.create_job(state="done", size_bytes=2**30)
        answer = send(client)
        assert (answer.status_code, answer.json()["error"]["code"]) == (507, "storage_full")


# --- the queue


def test_files_wait_in_order_and_know_their_place(client: TestClient) -> None:
    ids = [sent(client, "wait"), *(sent(client, "done", f"{i}.mp4") for i in range(3))]
    moving(client, ids[0])
    places = [client.get(f"/api/jobs/{id}").json()["waiting"] for id in ids]
    assert places == [None, 1, 2, 3]
    page = client.get("/api/jobs", params={"limit": 2}).json()
    assert [job["waiting"] for job in page["items"]] == [3, 2]
    rest = client.get("/api/jobs", params={"limit": 2, "cursor": page["next_cursor"]}).json()
    assert [job["id"] for job in rest["items"]] == [ids[1], ids[0]]
    assert rest["next_cursor"] is None
    assert [job["name"] for job in client.get("/api/jobs", params={"search": "1.mp4"}).json()["items"]] == ["1.mp4"]
    assert len(client.get("/api/jobs", params={"state": "queued,done"}).json()["items"]) == 3
    assert client.get("/api/jobs", params={"cursor": "x"}).status_code == 422
    assert client.post(f"/api/jobs/{ids[2]}/cancel").json()["state"] == "cancelled"
    assert client.get(f"/api/jobs/{ids[3]}").json()["waiting"] == 2
    client.post(f"/api/jobs/{ids[0]}/cancel")
    until(client, ids[3], "done")
    assert until(client, ids[1], "done")["ended_at"] <= until(client, ids[3], "done")["started_at"]


def test_progress_has_share_pace_and_time_left(client: TestClient) -> None:
    id = sent(client, "wait")
    end = time.monotonic() + SECONDS
    while not (progress := client.get(f"/api/jobs/{id}").json()["progress"] or {}).get("left_s"):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert progress["share"] == pytest.approx(min(progress["done_s"] / 60, 0.99), abs=1e-3)
    assert progress["frames_per_s"] >= 0
    client.delete(f"/api/jobs/{id}")


def test_pace_and_time_left_are_measured_from_the_first_look_on(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four looks a second of a film of 60 s with ten a second; loading, before the first look, says nothing about the pace."""
    pace, clock = Pace(), SimpleNamespace()
    monkeypatch.setattr("mien.web.analyses.task.time", clock)
    told = []
    for moment_s, frames in ((100.0, 0), (107.0, 1), (107.1, 2), (108.0, 5), (112.0, 21)):
        clock.monotonic = lambda now_s=moment_s: now_s
        progress = pace.advance({"frames": frames, "done_s": frames / 10, "total_s": 60.0})
        told.append((progress["share"], progress["frames_per_s"], progress["left_s"]))
    assert told[:3] == [(0.0, None, None), (0.0017, None, None), (0.0033, None, None)]
    assert told[3:] == [(0.0083, 4.0, 150.8), (0.035, 4.0, 146.8)]


def test_cancel_kills_before_it_answers_and_retry_starts_again(client: TestClient, jobs: Jobs) -> None:
    id = sent(client, "wait")
    moving(client, id)
    process = newest(jobs)
    cancelled = client.post(f"/api/jobs/{id}/cancel").json()
    assert not alive(process.pid)  # at the answer; by itself it would never have ended
    assert process.returncode == -signal.SIGKILL
    assert (cancelled["state"], cancelled["progress"], cancelled["error"]) == ("cancelled", None, None)
    assert cancelled["ended_at"]
    assert client.post(f"/api/jobs/{id}/cancel").json()["state"] == "cancelled"
    time.sleep(0.2)
    assert client.get(f"/api/jobs/{id}").json()["state"] == "cancelled"  # whoever waited for the process says nothing more
    assert (jobs.folder(id) / "upload.bin").is_file()
    again = client.post(f"/api/jobs/{id}/retry").json()
    assert again["state"] in ("queued", "running")
    moving(client, id)
    (jobs.folder(id) / "upload.bin").write_text("done")
    client.post(f"/api/jobs/{id}/cancel")
    client.post(f"/api/jobs/{id}/retry")
    assert until(client, id, "done", "failed")["state"] == "done"
    answer = client.post(f"/api/jobs/{id}/retry")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "cannot_retry")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("refuse", "talk.mp4: is not a picture or film that can be read"),
        ("crash", "talk.mp4: the process that analysed it ended unexpectedly (signal 9); try it again, or export the file anew"),
        ("memory", "talk.mp4: needs more than the 4096 MiB of memory that one file may take; make it smaller"),
        ("exception", "talk.mp4: the process that analysed it ended unexpectedly (code 1); try it again, or export the file anew"),
    ],
)
def test_a_process_that_dies_is_one_failed_job_and_can_be_tried_again(
    client: TestClient, jobs: Jobs, words: str, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    id = sent(client, words)
    failed = until(client, id, "failed", "done")
    assert (failed["state"], failed["error"]) == ("failed", error)
    logged = [record.message for record in caplog.records if record.message.startswith(f"the process of analysis {id} ended with")]
    assert len(logged) == (words != "refuse")  # a file that cannot be read is no fault of the server's
    assert failed["progress"] is None
    (jobs.folder(id) / "upload.bin").write_text("done")
    client.post(f"/api/jobs/{id}/retry")
    done = until(client, id, "done", "failed")
    assert (done["state"], done["error"]) == ("done", None)


def test_a_process_killed_from_outside_is_a_failed_job(client: TestClient, jobs: Jobs) -> None:
    id = sent(client, "wait")
    moving(client, id)
    process = newest(jobs)
    os.kill(process.pid, signal.SIGKILL)
    assert "ended unexpectedly (signal 9)" in until(client, id, "failed")["error"]
    assert until(client, sent(client), "done")["state"] == "done"  # the queue goes on


def test_a_file_may_take_only_so_long(app: FastAPI, settings: Settings) -> None:
    object.__setattr__(app.state.jobs.settings, "job_max_minutes", 0.02)
    with TestClient(app, base_url=HERE) as client:
        assert until(client, sent(client, "wait"), "failed")["error"] == (
            "talk.mp4: took longer than the 0.02 minutes that one file may take"
        )


def test_a_file_that_is_gone_is_said(client: TestClient, jobs: Jobs) -> None:
    id = sent(client, "refuse")
    until(client, id, "failed")
    (jobs.folder(id) / "upload.bin").unlink()
    assert "has no file any more" in client.post(f"/api/jobs/{id}/retry").json()["error"]["message"]


def test_erasing_ends_what_runs_and_leaves_nothing(client: TestClient, jobs: Jobs) -> None:
    id = sent(client, "wait")
    moving(client, id)
    process = newest(jobs)
    stopped: list[str] = []
    jobs.writers.add(stopped.append)
    assert client.delete(f"/api/jobs/{id}").status_code == 204
    assert not alive(process.pid)
    assert stopped == [id]
    assert not jobs.folder(id).exists()
    assert client.get(f"/api/jobs/{id}").status_code == 404
    assert client.delete(f"/api/jobs/{id}").json()["error"]["code"] == "not_found"
    time.sleep(0.2)
    assert not jobs.folder(id).exists()


def test_an_analysis_can_be_renamed(client: TestClient) -> None:
    id = sent(client)
    assert client.patch(f"/api/jobs/{id}", json={"name": " Zweiter \x07Teil "}).json()["name"] == "Zweiter Teil"
    for wrong in ({"name": ""}, {"name": " \x07"}, {"name": "x" * 201}, {}, {"name": "a", "state": "done"}):
        assert client.patch(f"/api/jobs/{id}", json=wrong).status_code == 422
    assert client.patch("/api/jobs/none", json={"name": "a"}).status_code == 404
    until(client, id, "done")


def test_a_recording_is_not_cancelled_nor_tried_again(client: TestClient, app: FastAPI) -> None:
    job = app.state.store.create_job(kind="live", state="recording", media="camera")
    assert client.post(f"/api/jobs/{job.id}/cancel").status_code == 409
    assert client.post(f"/api/jobs/{job.id}/retry").status_code == 409
    assert client.get(f"/api/jobs/{job.id}").json()["state"] == "recording"


# --- events


def test_a_slow_page_misses_only_what_was_in_between() -> None:
    async def scenario() -> None:
        listener = Listener()
        for n in range(1000):
            listener.give("a", f"a{n}")
        listener.give("b", "b0")
        listener.give("a", "a last")
        assert await listener.take(1) == ["b0", "a last"]
        assert await listener.take(0.01) == []
        threading.Timer(0.05, listener.give, ["c", "c0"]).start()
        assert await listener.take(60) == ["c0"]

    asyncio.run(scenario())


def told(client: TestClient, app: FastAPI, heard: list[tuple[str, dict[str, Any]]]) -> None:
    """From now on `heard` grows by what a page hears that listens."""

    async def listen() -> None:
        async for text in app.state.jobs.events(app.state.stopping):
            for event in text.split("\n\n"):
                if event.startswith("event: "):
                    kind, data = event.removeprefix("event: ").split("\ndata: ")
                    heard.append((kind, json.loads(data)))

    assert client.portal is not None
    client.portal.start_task_soon(listen)


def test_pages_are_told_of_every_analysis_and_how_far_it_is(client: TestClient, app: FastAPI) -> None:
    heard: list[list[tuple[str, dict[str, Any]]]] = [[], []]
    for own in heard:
        told(client, app, own)

    def until_told(kind: str, id: str, **wanted: Any) -> None:
        """Waits until each page has heard it."""
        for own in heard:
            end = time.monotonic() + SECONDS
            while not any((kind, id) == (k, job["id"]) and wanted.items() <= job.items() for k, job in own):
                assert time.monotonic() < end, (wanted, own)
                time.sleep(0.02)

    running = sent(client, "wait")  # and runs until it is cancelled
    until_told("job", running, state="running")
    waiting = sent(client)
    until_told("job", waiting, state="queued", waiting=1)
    known = max((job["progress"]["frames"] for own in heard for _, job in own if job.get("progress")), default=0)
    end = time.monotonic() + SECONDS
    while not all(any(job.get("progress") and job["progress"]["frames"] > known for _, job in own) for own in heard):
        assert time.monotonic() < end, heard
        time.sleep(0.02)
    client.post(f"/api/jobs/{running}/cancel")
    until_told("job", running, state="cancelled")
    until_told("job", waiting, state="done")
    for id in (running, waiting):
        client.delete(f"/api/jobs/{id}")
        until_told("removed", id)
    for own in heard:
        states = [job.get("state") for _, job in own if job["id"] == waiting]
        assert (states[0], states[-2:]) == ("queued", ["done", None])
        assert own[-1] == ("removed", {"id": waiting})


def read_events(address: str, heard: list[tuple[str, dict[str, Any]]], ready: threading.Event) -> None:
    with contextlib.suppress(httpx.HTTPError), httpx.stream("GET", f"{address}/api/jobs/events", timeout=SECONDS) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        kind = ""
        for line in answer.iter_lines():
            ready.set()
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                heard.append((kind, json.loads(line.removeprefix("data: "))))
                if kind == "removed":
                    return


# --- a server that dies, with real files and the real process


def upload(client: Any, film: Path, **fields: Any) -> str:
    with film.open("rb") as file:
        answer = client.post("/api/jobs", files={"file": (film.name, file)}, data=fields)
    assert answer.status_code == 201, answer.text
    id: str = answer.json()["id"]
    return id


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(place.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(place.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="/proc is Linux's")
def test_after_a_power_cut_the_job_that_ran_starts_again_and_those_that_waited_wait_on(
    served: Callable[..., Server], carphone: Path, hopper: Path
) -> None:
    server = served()
    with server.client() as client:
        running, waiting = upload(client, carphone, every_s="0"), upload(client, hopper)
        job = moving(client, running)
        assert job["name"] == carphone.name
        assert server.process is not None
        workers = children(server.process.pid)
        assert workers
    server.kill()
    end = time.monotonic() + SECONDS
    while any(alive(pid) for pid in workers):
        assert time.monotonic() < end, "the process outlived its server"
        time.sleep(0.05)
    assert not (server.data / "jobs" / running / "result").exists(), "it was not ended, it had done its work"
    server.start()
    with server.client() as client:
        states = {job["id"]: job["state"] for job in client.get("/api/jobs").json()["items"]}
        assert set(states) == {running, waiting}
        assert set(states.values()) <= {"queued", "running"}
        done = until(client, running, "done", "failed", seconds=SECONDS)
        assert done["state"] == "done", done["error"]
        assert done["people"] >= 1
        later = until(client, waiting, "done", "failed", seconds=SECONDS)
        assert later["state"] == "done", later["error"]
        assert later["started_at"] >= done["ended_at"]
        result = client.get(f"/api/jobs/{running}/result").json()
        assert result["media"]["name"] == carphone.name
        assert result["film"].endswith("/files/annotated.mp4")
    folder = server.data / "jobs" / running
    assert sorted(p.name for p in folder.iterdir()) == ["result", "stills", "timeline.npz"]


def test_a_server_that_stops_in_peace_does_not_wait_for_the_pages_that_listen(
    served: Callable[..., Server], carphone: Path
) -> None:
    server = served(drain_max_s=0)
    heard: list[tuple[str, dict[str, Any]]] = []
    page = threading.Thread(target=read_events, args=(server.url, heard, ready := threading.Event()), daemon=True)
    page.start()
    assert ready.wait(SECONDS)
    with server.client() as client:
        id = upload(client, carphone, every_s="0")
        end = time.monotonic() + SECONDS
        while not any(kind == "job" and data["id"] == id for kind, data in heard):
            assert time.monotonic() < end, heard
            time.sleep(0.02)
    assert server.stop() == 0  # while the page still listens; whoever waited for it would wait for ever
    page.join(SECONDS)
    assert not page.is_alive()
    server.start()
    with server.client() as client:
        assert client.get(f"/api/jobs/{id}").json()["state"] in ("queued", "running", "done"), "it was not gone on with"
        assert client.delete(f"/api/jobs/{id}").status_code == 204
