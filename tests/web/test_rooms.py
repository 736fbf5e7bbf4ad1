"""Rooms: made of recordings and of films of the audience, put right afterwards, erased; on fake faces, on real ones, and killed."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from browser import films
from fakes import LABELS, FakeDetector, FakeExpressions
from mien.analyze import Analyzer
from mien.study.definition import Study
from mien.types import Timeline
from mien.web.app import create_app
from mien.web.database import Room, now
from mien.web.reports.worker import viewers_of
from mien.web.settings import Settings
from mien.web.studies.rooms import load_room, room_file
from serving import Server
from web.conftest import HERE
from web.live_page import jpeg, live_page, picture

pytestmark = pytest.mark.process

CLIPS = Path(__file__).parents[3] / "shared" / "media"
SECONDS = 240

HAPPY, SAD = "happiness", "sadness"
ROW = [(10, 30, 40, HAPPY), (60, 30, 40, SAD), (110, 30, 40, HAPPY)]
STUDY: dict[str, Any] = {
    "format": "mien-study 1",
    "title": "A screening",
    "purpose": "film_test",
    "contact": "The cinema",
    "languages": ["en"],
    "stimuli": [{"id": "s1", "title": "The film", "kind": "film"}, {"id": "s2", "title": "The concert", "kind": "event"}],
}


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """An application that reads fake faces live."""
    app = create_app(settings, Analyzer(FakeExpressions(), detector=FakeDetector()))
    with TestClient(app, base_url=HERE, follow_redirects=False) as client:
        yield client


@pytest.fixture
def study(client: TestClient) -> str:
    return made(client)


def made(client: TestClient) -> str:
    """The id of a study with a film and an event."""
    id: str = client.app.state.studies.create(STUDY).id  # type: ignore[attr-defined]
    return id


def ready(client: Any, study: str, name: int = 1, state: str = "ready", seconds: float = SECONDS) -> dict[str, Any]:
    """The room once it is in this state."""
    end = time.monotonic() + seconds
    while True:
        room: dict[str, Any] = client.get(f"/api/studies/{study}/rooms/{name}").raise_for_status().json()
        if room["state"] == state:
            return room
        assert room["state"] == "analysing", room
        assert time.monotonic() < end, room
        time.sleep(0.05)


def new(client: Any, study: str, **asked: Any) -> Any:
    return client.post(f"/api/studies/{study}/rooms", json={"stimulus": "s1", "agreed": True} | asked)


def viewers(client: TestClient, study: str, name: int = 1) -> list[Any]:
    state = client.app.state  # type: ignore[attr-defined]
    return load_room(state.settings, Study.read(state.studies.known(study).definition), state.rooms.known(study, name))


def audit(client: TestClient, study: str) -> list[str]:
    from sqlalchemy import select

    from mien.web.database import AuditEntry

    with client.app.state.store.reading() as rows:  # type: ignore[attr-defined]
        return [e.action for e in rows.scalars(select(AuditEntry).where(AuditEntry.study_id == study).order_by(AuditEntry.number))]


def recorded(client: TestClient, looks: int = 40, **hello: Any) -> str:
    """A finished recording, 0.1 s a look: three faces. From look 20 on the first is sad; the third is there for 3 looks."""
    with live_page(client, **hello) as page:
        job: str = page.record("start")["job"]
        for look in range(looks):
            row = [(*ROW[0][:3], SAD if look >= 20 else HAPPY), ROW[1], *([ROW[2]] if 10 <= look < 13 else [])]
            page.look(picture(*row), of_recording=True)
        assert page.stop()["state"] == "done"
    return job


def test_a_finished_recording_becomes_a_room_and_is_erased(client: TestClient, study: str, settings: Settings) -> None:
    job = recorded(client)
    answer = new(client, study, job=job, offset_s=-1.0, label="Friday")
    assert answer.status_code == 202
    assert (answer.json()["name"], answer.json()["label"]) == (1, "Friday")
    room = ready(client, study)
    # Looks from 1.0 s to 3.9 s are of the film: 30. The third face is in 3 of them, which is a tenth.
    assert (room["people"], room["left_out"], room["together"], room["job"]) == (3, 0, 3, None)
    assert room["duration_s"] == pytest.approx(3.9)
    assert client.get(f"/api/jobs/{job}").status_code == 404
    assert list(settings.jobs_dir.iterdir()) == []
    assert [path.name for path in settings.studies_dir.rglob("*") if path.is_file()] == [room_file_name(client, study)]
    assert audit(client, study)[-2:] == ["room-begun", "room-ready"]
    one, two, three = viewers(client, study)
    assert [one.name, two.name, three.name] == ["R1-1", "R1-2", "R1-3"]
    assert all(viewer.room for viewer in (one, two, three))
    assert one.baseline is None  # a second before the film is no rest
    film = one.timelines["s1"]
    happy = film.emotions[:, LABELS.index(HAPPY)]
    assert happy[film.face_times < 0.95].min() > 0.8
    assert happy[film.face_times > 1.05].max() < 0.2, "the first face turned sad at 2 s of the recording, 1 s of the film"
    assert three.quality["with_face"] == 3
    assert three.quality["read"] == 3  # without a reliability each reading counts
    assert three.quality["looks"] == 30
    assert not three.quality["finished"]
    assert one.quality["finished"]


def room_file_name(client: TestClient, study: str, name: int = 1) -> str:
    state = client.app.state  # type: ignore[attr-defined]
    return room_file(state.settings, state.rooms.known(study, name)).name


def test_the_start_is_put_right_afterwards(client: TestClient, study: str) -> None:
    new(client, study, job=recorded(client), offset_s=-1.0)
    ready(client, study)
    version = client.app.state.studies.known(study).version  # type: ignore[attr-defined]
    room = client.patch(f"/api/studies/{study}/rooms/1", json={"offset_s": -0.9}).json()
    assert (room["offset_s"], room["people"], room["left_out"]) == (-0.9, 2, 1)  # 31 looks: three are less than a tenth
    assert client.app.state.studies.known(study).version > version  # type: ignore[attr-defined]
    assert [viewer.name for viewer in viewers(client, study)] == ["R1-1", "R1-2"]
    room = client.patch(f"/api/studies/{study}/rooms/1", json={"label": "Saturday", "stimulus": "s2"}).json()
    assert (room["label"], room["stimulus"], room["offset_s"]) == ("Saturday", "s2", -0.9)
    assert list(viewers(client, study)[0].timelines) == ["s2"]


def test_a_room_begun_while_it_records_needs_nobody_at_the_end(client: TestClient, study: str) -> None:
    """The page says at the start what the recording is for; then the film plays, pauses and plays, and the page is closed."""
    with live_page(client) as page:
        job = page.record("start")["job"]
        room = new(client, study, job=job, clock=[]).json()
        assert (room["state"], room["job"], room["clock"]) == ("analysing", job, [])
        for _ in range(60):
            page.look(picture(*ROW[:2]), of_recording=True)
        clock = [[3.5, 0.0], [4.0, 0.5], [5.0, 0.5], [5.95, 1.45]]
        changed = client.patch(f"/api/studies/{study}/rooms/1", json={"clock": clock})
        assert changed.json()["clock"] == clock
        page.say(type="record", action="stop")
        page.hear("recording")
    room = ready(client, study)
    assert (room["people"], room["clock"]) == (2, clock)
    one = viewers(client, study)[0]
    times = one.timelines["s1"].times
    assert times[-1] == pytest.approx(1.4)
    assert len(times) == 15
    assert one.quality["pauses"] == 1
    assert one.baseline is not None  # 3.5 s were recorded before the film
    assert one.baseline[LABELS.index(HAPPY)] > 0.8


def test_a_room_whose_start_was_never_marked_waits_for_it(client: TestClient, study: str) -> None:
    new(client, study, job=recorded(client), clock=[])
    room = ready(client, study)
    assert (room["people"], room["clock"]) == (0, [])
    assert viewers(client, study) == []
    room = client.patch(f"/api/studies/{study}/rooms/1", json={"offset_s": -0.5}).json()
    assert (room["people"], room["clock"], room["offset_s"]) == (2, None, -0.5)


def test_nobody_is_measured_who_did_not_agree(client: TestClient, study: str) -> None:
    job = recorded(client)
    refused = new(client, study, job=job, agreed=False)
    assert refused.status_code == 422
    assert "agree" in refused.json()["error"]["message"]
    assert client.get(f"/api/jobs/{job}").status_code == 200
    assert client.get(f"/api/studies/{study}/rooms").json() == {"items": []}
    assert "room-begun" not in audit(client, study)


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"stimulus": "s9", "job": "x"}, 422, "there are: s1, s2"),
        ({"job": "nobody"}, 404, "no analysis"),
        ({}, 422, "job: wanted"),
        ({"job": "x", "offset_s": 1e9}, 422, "offset_s"),
        ({"job": "x", "clock": [[2, 0], [1, 1]]}, 422, "must not go back"),
        ({"job": "x", "clock": [[2]]}, 422, "clock"),
        ({"job": "x", "colour": "blue"}, 422, "colour"),
        ({"job": "x", "stimulus": 3}, 422, "stimulus"),
    ],
)
def test_what_cannot_be(client: TestClient, study: str, asked: dict[str, Any], status: int, words: str) -> None:
    answer = new(client, study, **asked)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]


def test_wrong_bodies(client: TestClient, study: str) -> None:
    place = f"/api/studies/{study}/rooms"
    assert client.post(place, content=b"{", headers={"Content-Type": "application/json"}).status_code == 422
    assert client.post(place, json=[1]).status_code == 422
    assert client.post("/api/studies/none/rooms", json={"stimulus": "s1", "agreed": True, "job": "x"}).status_code == 404
    form = {"stimulus": "s1", "agreed": "true", "clock": "no"}
    assert client.post(place, data=form, files={"file": ("a.mp4", b"x")}).status_code == 422
    assert client.get("/api/jobs").json()["items"] == []
    assert client.get(f"{place}/1").status_code == 404
    assert client.delete(f"{place}/1").status_code == 404


def test_a_recording_makes_one_room(client: TestClient, study: str) -> None:
    with live_page(client) as page:
        job = page.record("start")["job"]
        assert new(client, study, job=job).status_code == 202
        assert new(client, study, job=job).status_code == 409
        page.look(picture(ROW[0]), of_recording=True)
        page.stop()
    ready(client, study)


def test_numbers_are_not_given_twice(client: TestClient, study: str) -> None:
    new(client, study, job=recorded(client))
    ready(client, study)
    assert client.delete(f"/api/studies/{study}/rooms/1").status_code == 200
    assert new(client, study, job=recorded(client)).json()["name"] == 2


def test_erasing_a_room_leaves_nothing_and_proves_it(client: TestClient, study: str, settings: Settings) -> None:
    new(client, study, job=recorded(client), label="Friday the thirteenth")
    ready(client, study)
    size = next(path for path in settings.studies_dir.rglob("*.npz")).stat().st_size
    proof = client.delete(f"/api/studies/{study}/rooms/1").json()
    assert proof == {"erased": {"rows": 1, "files": 1, "bytes": size}, "left": {"rows": 0, "files": 0}}
    assert [path for path in settings.studies_dir.rglob("*") if path.is_file()] == []
    client.app.state.store.shrink()  # type: ignore[attr-defined]
    everything = b"".join(path.read_bytes() for path in settings.data_dir.rglob("*") if path.is_file())
    assert b"Friday the thirteenth" not in everything
    assert audit(client, study)[-1] == "room-erased"


def test_erasing_a_room_that_still_records_ends_it(client: TestClient, study: str, settings: Settings) -> None:
    with live_page(client) as page:
        job = page.record("start")["job"]
        page.look(picture(ROW[0]), of_recording=True)
        new(client, study, job=job)
        proof = client.delete(f"/api/studies/{study}/rooms/1").json()
        assert proof["erased"]["rows"] == 2
        assert proof["erased"]["files"] >= 1
        assert proof["left"] == {"rows": 0, "files": 0}
        assert page.hear("recording")["state"] == "failed"
    assert list(settings.jobs_dir.iterdir()) == []


def test_one_viewer_is_taken_out_of_the_file(client: TestClient, study: str, settings: Settings) -> None:
    new(client, study, job=recorded(client))
    ready(client, study)
    rooms = client.app.state.rooms  # type: ignore[attr-defined]
    held = rooms.exported(study, "R1-1")
    assert len(held["looks"]) == 40
    assert held["looks"][0]["recording_s"] == 0
    proof = rooms.erase_viewer(study, "R1-1")
    assert (proof.erased.rows, proof.left.rows) == (40, 0)
    file = next(path for path in settings.studies_dir.rglob("*.npz"))
    assert Timeline.load(file).track_ids == [2, 3]
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert [viewer.name for viewer in viewers(client, study)] == ["R1-2"]
    assert client.get(f"/api/studies/{study}/rooms/1").json()["people"] == 1
    for nobody in ("R1-1", "R1-9", "R7-1", "1", "R1"):
        with pytest.raises(Exception, match=r"no viewer|no room"):
            rooms.erase_viewer(study, nobody)


def test_a_kept_report_has_a_room_once_that_was_over_and_without_who_was_erased(client: TestClient, study: str) -> None:
    state = client.app.state  # type: ignore[attr-defined]
    before = now()
    new(client, study, job=recorded(client))
    ready(client, study)
    time.sleep(0.05)  # a film of the audience was over when its numbers were written, not when they were written anew
    row, after = state.studies.known(study), now()
    assert viewers_of(state.settings, state.store, row, before) == []
    assert [one.name for one in viewers_of(state.settings, state.store, row, after)] == ["R1-1", "R1-2"]
    state.rooms.erase_viewer(study, "R1-1")
    assert [one.name for one in viewers_of(state.settings, state.store, row, after)] == ["R1-2"]


def test_a_damaged_room_leaves_the_rest_of_the_report(client: TestClient, study: str) -> None:
    state = client.app.state  # type: ignore[attr-defined]
    for name in (1, 2):
        new(client, study, job=recorded(client))
        ready(client, study, name)
    room_file(state.settings, state.rooms.known(study, 1)).write_bytes(b"damaged")
    found = viewers_of(state.settings, state.store, state.studies.known(study))
    assert {one.name.split("-")[0] for one in found} == {"R2"}


def test_faces_stand_among_the_studys_people_and_go_from_there(client: TestClient, study: str) -> None:
    new(client, study, job=recorded(client))
    ready(client, study)
    people = client.get(f"/api/studies/{study}/viewers").raise_for_status().json()["items"]
    assert [one["name"] for one in people] == ["R1-1", "R1-2"]
    assert all(one["room"] and one["step"] == "room" and one["seen_at"] is None for one in people)
    assert people[0]["quality"]["looks"] == 40
    assert 0 < people[0]["seat"][0] < people[1]["seat"][0] < 1
    assert people[0]["seat"][1] == pytest.approx(people[1]["seat"][1], abs=0.05)
    assert client.get(f"/api/studies/{study}/viewers/R1-1/export").json()["viewer"] == "R1-1"
    assert client.delete(f"/api/studies/{study}/viewers/R1-1").json()["left"] == {"rows": 0, "files": 0}
    people = client.get(f"/api/studies/{study}/viewers").json()["items"]
    assert [one["name"] for one in people] == ["R1-2"]


def test_only_a_film_may_be_large(client: TestClient, study: str) -> None:
    answer = client.post(f"/api/studies/{study}/rooms", json={"job": "x" * 2_000_000, "stimulus": "s1", "agreed": True})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_a_recording_that_was_erased_is_told(client: TestClient, study: str) -> None:
    with live_page(client) as page:
        job = page.record("start")["job"]
        page.look(picture(ROW[0]), of_recording=True)
        new(client, study, job=job)
        assert client.delete(f"/api/jobs/{job}").status_code == 204
    room = ready(client, study, state="failed")
    assert "erased before" in room["error"]
    assert client.post(f"/api/studies/{study}/rooms/1/retry").status_code == 409


def test_what_a_server_had_taken_in_when_it_ended_is_not_lost_with_its_recording(
    client: TestClient, study: str, settings: Settings
) -> None:
    """An earlier mien moved the numbers, erased the recording, and then said that the room is ready."""
    state = client.app.state  # type: ignore[attr-defined]
    new(client, study, job=recorded(client), offset_s=-1.0)
    was = ready(client, study)
    room = state.rooms.known(study, 1)
    with state.store.session() as rows:
        rows.execute(update(Room).where(Room.id == room.id).values(state="analysing", job="gone", people=0))
        state.tasks.add(rows, "room", f"{study}/rooms/{room.id}")
    state.tasks.wake()
    assert ready(client, study) == was


def test_who_was_merged_or_hidden_by_hand_stays_so(client: TestClient, study: str) -> None:
    job = recorded(client)
    assert client.post(f"/api/jobs/{job}/tracks/3/merge", json={"into": 1}).status_code == 409  # seen together
    assert client.patch(f"/api/jobs/{job}/tracks/1", json={"hidden": True, "name": "Ada Lovelace"}).status_code == 200
    new(client, study, job=job)
    ready(client, study)
    assert [viewer.name for viewer in viewers(client, study)] == ["R1-2"]
    assert "Ada" not in str(client.app.state.rooms.exported(study, "R1-2"))  # type: ignore[attr-defined]


# --- films of the audience, read by the real thing


def send(client: Any, study: str, film: Path, **fields: Any) -> Any:
    with film.open("rb") as content:
        form = {"stimulus": "s1", "agreed": "true"} | fields
        return client.post(f"/api/studies/{study}/rooms", data=form, files={"file": (film.name, content)})


@pytest.fixture
def real(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), base_url=HERE, follow_redirects=False) as client:
        yield client


def test_a_film_of_the_audience(real: TestClient, settings: Settings, tmp_path: Path) -> None:
    """Two portraits that ship in packages, side by side for 3 s, then nobody."""
    study = made(real)
    answer = send(real, study, films.both_film(tmp_path / "audience.mp4"), offset_s="-0.5", label="Row 1")
    assert answer.status_code == 202, answer.text
    room = ready(real, study)
    assert (room["people"], room["left_out"], room["together"]) == (2, 0, 2)
    assert list(settings.jobs_dir.iterdir()) == []
    assert [path.suffix for path in settings.studies_dir.rglob("*") if path.is_file()] == [".npz"]
    for viewer in viewers(real, study):
        times = viewer.timelines["s1"].times
        assert times[0] == pytest.approx(0.0, abs=0.05)
        assert 2.5 < times[-1] < 3.6


@pytest.mark.more
@pytest.mark.parametrize(("clip", "people"), [("three_people_walking.gif", 3), ("classroom.gif", 4)])
def test_real_rooms(real: TestClient, clip: str, people: int) -> None:
    if not (CLIPS / clip).is_file():
        pytest.skip("without ../shared/media")
    study = made(real)
    send(real, study, CLIPS / clip)
    room = ready(real, study)
    assert (room["people"], room["left_out"], room["together"]) == (people, 0, people)
    found = viewers(real, study)
    assert len(found) == people
    for viewer in found:
        timeline = viewer.timelines["s1"]
        assert len(timeline.frame_rows) >= 0.8 * len(timeline)
        np.testing.assert_allclose(timeline.emotions.sum(axis=1), 1, atol=1e-4)


@pytest.mark.more
def test_thirty_faces_before_one_camera(real: TestClient) -> None:
    """All found, followed and kept, live; and none is small enough to be lost a second time."""
    study = made(real)
    crowd = jpeg(films.crowd(30))
    with live_page(real) as page:
        job = page.record("start")["job"]
        new(real, study, job=job)
        answers = [page.look(crowd, of_recording=True) for _ in range(6)]
        assert [len(answer["faces"]) for answer in answers] == [30] * 6
        page.stop()
    room = ready(real, study)
    assert (room["people"], room["together"], room["left_out"]) == (30, 30, 0)
    assert len({viewer.name for viewer in viewers(real, study)}) == 30


def test_a_picture_and_a_broken_film_are_told(real: TestClient, tmp_path: Path) -> None:
    study = made(real)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"this is not a film\n" * 200)
    assert send(real, study, broken).status_code == 202
    room = ready(real, study, state="failed")
    assert "broken.mp4" in room["error"]
    assert room["job"] is not None
    assert real.post(f"/api/studies/{study}/rooms/1/retry").json()["state"] == "analysing"
    assert "broken.mp4" in ready(real, study, state="failed")["error"]
    assert real.delete(f"/api/studies/{study}/rooms/1").json()["erased"]["rows"] == 2
    assert real.get("/api/jobs").json()["items"] == []


@pytest.mark.more
def test_a_server_that_is_killed_loses_neither_recording_nor_film(tmp_path: Path) -> None:
    """kill -9 while a film of the audience is read; the next server reads it again and takes it in."""
    film = films.still_film(tmp_path / "audience.mp4", seconds=20)
    server = Server(tmp_path / "data")
    with server, server.client() as client:
        study = client.post("/api/studies", json=STUDY).raise_for_status().json()["id"]
        assert send(client, study, film).status_code == 202
        end = time.monotonic() + SECONDS
        while (room := client.get(f"/api/studies/{study}/rooms/1").json())["state"] == "analysing" and not room["progress"]:
            assert time.monotonic() < end, "it was not begun"
            time.sleep(0.05)
        server.kill()
        server.start()
        room = ready(client, study)
        assert (room["people"], room["together"]) == (1, 1)
