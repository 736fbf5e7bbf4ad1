"""Reviews through the server: made in a process when something has changed, kept, exported, and gone with whoever withdraws."""

import io
import json
import sys
import time
import zipfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from sqlalchemy import select
from starlette.testclient import TestClient

import watched
from mien.media import VideoWriter
from mien.study_report.sample import DEFINITION, STIMULUS, Scene, simulate
from mien.study_report.viewers import Viewer
from mien.web.app import create_app
from mien.web.database import Invitation, Participant, StudyRow, Task, now
from mien.web.reports.worker import FILES, viewers_of
from mien.web.settings import Settings
from web.conftest import HERE, as_browser
from web.test_jobs import Kept
from web.test_live import eventually

pytestmark = pytest.mark.process

WITHIN_S, LENGTH_S = 240.0, 24.0


def put(app: FastAPI, study: str, viewer: Viewer) -> Participant:
    """A simulated viewer who answered, as a participant of the study."""
    answers = {"before": {"mood": 4}, "after": {"word": f"secret {viewer.name}"}}
    return watched.put(app, study, replace(viewer, baseline=None), answers)


@pytest.fixture
def study(app: FastAPI, client: TestClient) -> str:
    """An open study that six viewers have finished."""
    row: StudyRow = app.state.studies.create(DEFINITION | {"smallest_group": 5})
    groups = [{"cinema": ("often", "rarely")[n % 2]} for n in range(6)]
    for viewer in simulate({STIMULUS: LENGTH_S}, {STIMULUS: [Scene("happiness", 8, 14, 4.0)]}, groups, seed=4):
        put(app, row.id, viewer)
    return row.id


def made(client: TestClient, address: str) -> Any:
    """The answer once it is there and of the newest data."""
    end = time.monotonic() + WITHIN_S
    while time.monotonic() < end:
        answer = client.get(address)
        assert answer.status_code in (200, 202), answer.text
        if answer.status_code == 200 and not answer.json().get("stale"):
            return answer
        time.sleep(0.1)
    raise AssertionError("the review was not made in time")


def making(app: FastAPI) -> list[Task]:
    """The reports that wait or are being made."""
    with app.state.store.reading() as rows:
        return list(rows.scalars(select(Task).where(Task.kind == "report", Task.ended_at.is_(None))))


def rested(app: FastAPI) -> None:
    """Waits until nothing is being made."""
    eventually(lambda: not making(app))


def test_the_first_is_made_in_the_background_and_then_told_by_its_tag(app: FastAPI, client: TestClient, study: str) -> None:
    first = client.get(f"/api/studies/{study}/review")
    assert (first.status_code, first.json()) == (202, {"state": "building"})
    answer = made(client, f"/api/studies/{study}/review")
    review = answer.json()
    assert (review["format"], review["counts"]["measured"], review["hidden"]) == ("mien-review 1", 6, None)
    assert review["simulated"] is None
    assert review["stimuli"][0]["curves"]["raw"]["happiness"]["mean"]
    rested(app)
    app.state.reviews.command = (sys.executable, "-c", "raise SystemExit('it is made already')")
    again = client.get(f"/api/studies/{study}/review", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content, again.headers["X-Review-Stale"]) == (304, b"", "0")
    assert not making(app)


def test_a_change_gives_the_old_one_as_stale_and_then_the_new_one(app: FastAPI, client: TestClient, study: str) -> None:
    tag = made(client, f"/api/studies/{study}/review").headers["ETag"]
    rested(app)
    (more,) = simulate({STIMULUS: LENGTH_S}, {}, [{"cinema": "often"}], seed=9)
    put(app, study, Viewer("7", more.timelines))
    app.state.reviews.pace = 1.0
    old = client.get(f"/api/studies/{study}/review")
    assert (old.json()["stale"], old.json()["counts"]["measured"], old.headers["X-Review-Stale"]) == (True, 6, "1")
    same = client.get(f"/api/studies/{study}/review", headers={"If-None-Match": tag})
    assert (same.status_code, same.headers["X-Review-Stale"]) in ((304, "1"), (200, "0"))
    new = made(client, f"/api/studies/{study}/review")
    assert new.json()["counts"]["measured"] == 7
    assert new.headers["ETag"] != tag


def test_a_running_study_is_not_made_again_and_again(app: FastAPI, client: TestClient, study: str) -> None:
    made(client, f"/api/studies/{study}/review")
    rested(app)
    app.state.reviews.pace = 1e6
    app.state.studies.touch(study)
    for _ in range(3):
        assert client.get(f"/api/studies/{study}/review").json()["stale"] is True
        assert not making(app)


def test_all_files_can_be_had_and_each_is_in_the_log(app: FastAPI, client: TestClient, study: str) -> None:
    starts = {
        "review.html?download=1": b"<!doctype html>",
        "review.pdf?paper=a4": b"%PDF",
        "review.pdf?paper=letter": b"%PDF",
        "director.html?download=1": b"<!doctype html>",
        "director.pdf": b"%PDF",
        "director.pptx": b"PK",
        "review.json": b'{"format":"mien-review 1"',
        "long.csv": b"viewer,room,cinema,stimulus,time_s",
        "wide.csv": b"stimulus,time_s,viewers_seen",
        "answers.csv": b"viewer,group_cinema,cinema,mood",
        "viewers.csv": b"viewer,room,started_at",
        "moments.csv": b"stimulus,signal,direction",
        "funnel.csv": b"stage,n,reason,reason_n",
    }
    for name, start in starts.items():
        answer = client.get(f"/api/studies/{study}/{name}")
        assert answer.status_code == 200, answer.text
        assert answer.content[:40].lower().startswith(start.lower()), name
        assert answer.headers["Content-Disposition"].startswith("attachment")
    packed = zipfile.ZipFile(io.BytesIO(client.get(f"/api/studies/{study}/review.zip").content))
    assert set(packed.namelist()) == set(FILES)
    assert packed.read("answers.csv").count(b"secret") == 6
    log = [entry.detail["file"] for entry in app.state.studies.log(study) if entry.action == "exported"]
    assert sorted(log) == sorted([*FILES, "review.zip"])


def test_the_page_runs_nothing_of_the_server(client: TestClient, study: str) -> None:
    answer = client.get(f"/api/studies/{study}/review.html")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Disposition"].startswith("inline")


def test_few_viewers_are_told_of_as_few(app: FastAPI, client: TestClient) -> None:
    row = app.state.studies.create(DEFINITION | {"smallest_group": 5})
    for viewer in simulate({STIMULUS: LENGTH_S}, {}, [{}, {}], seed=4):
        put(app, row.id, viewer)
    review = made(client, f"/api/studies/{row.id}/review").json()
    assert review["hidden"] == "2 viewers so far; results are shown from 5."
    for name in ("review.json", "review.html"):
        assert b"secret" not in client.get(f"/api/studies/{row.id}/{name}").content


@pytest.mark.more
def test_a_kept_report_stays_and_forgets_who_withdraws(app: FastAPI, client: TestClient, study: str) -> None:
    own = as_browser(client)
    kept = client.post(f"/api/studies/{study}/frozen", json={"name": "First night"}, headers=own)
    assert kept.status_code == 201
    (more,) = simulate({STIMULUS: LENGTH_S}, {}, [{"cinema": "often"}], seed=9)
    put(app, study, Viewer("7", more.timelines))
    assert client.get(f"/api/studies/{study}/frozen").json()["items"] == [kept.json()]
    old = made(client, f"/api/studies/{study}/review?frozen={kept.json()['id']}").json()
    assert (old["counts"]["measured"], old["live"]) == (6, False)
    assert old["until"] == kept.json()["at"][:19] + "Z"
    assert made(client, f"/api/studies/{study}/review").json()["counts"]["measured"] == 7
    gone = app.state.studies.participant(study, "3")
    app.state.participants.erase(gone)
    assert not (app.state.studies.folder(study) / "reviews").exists()
    assert client.get(f"/api/studies/{study}/review?frozen={kept.json()['id']}").status_code == 202
    old = made(client, f"/api/studies/{study}/review?frozen={kept.json()['id']}").json()
    assert [row["name"] for row in old["viewers"] if row["looks"]] == ["1", "2", "4", "5", "6"]
    assert (old["viewers"][-1]["name"], old["viewers"][-1]["looks"]) == ("7", 0)  # had agreed by then, and not begun
    assert b"secret 3" not in client.get(f"/api/studies/{study}/answers.csv").content
    assert client.delete(f"/api/studies/{study}/frozen/{kept.json()['id']}", headers=own).status_code == 204
    assert client.get(f"/api/studies/{study}/review?frozen={kept.json()['id']}").status_code == 404


def test_erasing_ends_what_is_being_made(app: FastAPI, client: TestClient, study: str, tmp_path: Path) -> None:
    slow = tmp_path / "slow.py"
    slow.write_text("import pathlib, sys, time\nsys.stdin.readline()\npathlib.Path(sys.argv[1]).touch()\ntime.sleep(600)\n")
    real, begun = app.state.reviews.command, tmp_path / "begun"
    app.state.reviews.command = (sys.executable, str(slow), str(begun))
    engine = app.state.tasks.engine = Kept()
    assert client.get(f"/api/studies/{study}/review").status_code == 202
    eventually(begun.exists)
    app.state.participants.erase(app.state.studies.participant(study, "6"))
    assert [process.returncode for process in engine.begun] == [-9]
    assert not making(app)
    assert not (app.state.studies.folder(study) / "reviews").exists()
    app.state.reviews.command = real
    app.state.reviews.pace = 1.0
    assert made(client, f"/api/studies/{study}/review").json()["counts"]["measured"] == 5


@pytest.mark.more
def test_what_was_being_made_when_a_server_ended_is_made_by_the_next(
    app: FastAPI, client: TestClient, study: str, settings: Settings, tmp_path: Path
) -> None:
    slow, begun = tmp_path / "slow.py", tmp_path / "begun"
    slow.write_text("import pathlib, sys, time\nsys.stdin.readline()\npathlib.Path(sys.argv[1]).touch()\ntime.sleep(600)\n")
    app.state.reviews.command = (sys.executable, str(slow), str(begun))
    assert client.get(f"/api/studies/{study}/review").status_code == 202
    eventually(begun.exists)
    app.state.tasks.stop()
    following = create_app(settings)
    with TestClient(following, base_url=HERE):
        eventually(lambda: not making(following))
    made = (app.state.studies.folder(study) / "reviews" / "now").rglob("*.json")
    assert [path.name for path in made] == ["review.json"]


def test_what_cannot_be_made_is_told_in_a_sentence(app: FastAPI, client: TestClient, study: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("import sys\nsys.stdin.readline()\nsys.exit('a traceback that nobody should see')\n")
    app.state.reviews.command = (sys.executable, str(broken))
    answer = client.get(f"/api/studies/{study}/long.csv")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "not_made")
    assert "traceback" not in answer.text
    assert client.get(f"/api/studies/{study}/review").status_code == 500


@pytest.mark.parametrize("address", ["review", "review.html", "long.csv", "frozen", "review?frozen=nothing"])
def test_what_is_not_there_is_404(client: TestClient, address: str) -> None:
    assert client.get(f"/api/studies/nothing/{address}").status_code == 404


def test_the_film_and_the_links_are_in_it(app: FastAPI, client: TestClient, study: str) -> None:
    target = app.state.studies.film(study, STIMULUS)
    target.parent.mkdir(parents=True)
    with VideoWriter(target, 160, 90, fps_hint=5) as film:
        for k in range(5 * 72):
            film.write(np.full((90, 160, 3), k % 250, np.uint8), k / 5)
    with app.state.store.session() as rows:
        rows.add(Invitation(study_id=study, limit=30))
        rows.add(Invitation(study_id=study, one_time=True))
    app.state.studies.touch(study)
    review = made(client, f"/api/studies/{study}/review").json()
    assert len(review["stimuli"][0]["strip"]) > 20
    assert review["stimuli"][0]["strip"][0]["image"].startswith("data:image/jpeg;base64,")
    assert review["counts"]["invited"] == 31


def test_viewers_are_what_was_put_down(app: FastAPI, settings: Settings, study: str) -> None:
    row = app.state.studies.get(study)
    viewers = viewers_of(settings, app.state.store, row)
    assert [viewer.name for viewer in viewers] == ["1", "2", "3", "4", "5", "6"]
    assert viewers[0].answers["word"] == "secret 1"
    assert len(viewers[0].timelines[STIMULUS]) == 48
    assert viewers_of(settings, app.state.store, row, now() - timedelta(hours=1)) == []
    assert json.dumps(dict(viewers[0].quality))
