import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient
from websockets.sync.client import connect

from fakes import LABELS, FakeDetector, FakeExpressions
from mien.analyze import Analyzer
from mien.demo import PORTRAITS, installed_file
from mien.media import read_picture
from mien.web.app import create_app
from mien.web.capture.wire import FILM_HEADER, HEADER, FrameHead, pack_frame
from mien.web.database import now
from mien.web.offline import Offline
from mien.web.settings import Settings
from mien.web.studies.participants import load_viewer
from serving import PATIENCE_S, Server
from web.conftest import HERE
from web.live_page import jpeg, live_page, picture
from web.participant_page import SOCKET, STUDY, Open, Person, WatchPage
from web.test_live import eventually

HAPPY, SAD = "happiness", "sadness"
FACE, SAD_FACE, NOBODY = picture((20, 30, 40, HAPPY)), picture((20, 30, 40, SAD)), picture()
Start = Callable[..., TestClient]


@pytest.fixture
def start(settings: Settings) -> Iterator[Start]:
    """Starts an application on the test's data folder; ends the one before."""
    running: list[TestClient] = []

    def stop() -> None:
        while running:
            running.pop().__exit__(None, None, None)

    def begin(**more: Any) -> TestClient:
        stop()
        analyzer = more.pop("analyzer", None) or Analyzer(FakeExpressions(), detector=FakeDetector())
        values = {"data_dir": settings.data_dir} | more
        client = TestClient(create_app(Settings(**values), analyzer), base_url=HERE)
        running.append(client.__enter__())
        return client

    yield begin
    stop()


@pytest.fixture
def client(start: Start) -> TestClient:
    return start()


def app_of(client: TestClient) -> FastAPI:
    app = client.app
    assert isinstance(app, FastAPI)
    return app


@pytest.fixture
def study(client: TestClient) -> Open:
    return Open(app_of(client))


@pytest.fixture
def person(client: TestClient, study: Open) -> Person:
    person = Person.agreed(client, study.invitation)
    person.to_the_film()
    return person


def viewer(study: Open, name: int = 1) -> Any:
    state = study.app.state
    return load_viewer(state.store, state.settings, state.studies.known(study.study), study.row(name))


def test_from_consent_to_the_viewer(client: TestClient, study: Open) -> None:
    person = Person.agreed(client, study.invitation)
    person.ask("PUT", "/answers", part="before", answers={"age": "old", "why": " Curious. "})
    person.go("before", "camera")
    with person.watching("check") as page:
        assert page.look(picture((20, 30, 40, HAPPY), (100, 20, 20, SAD)))["faces"] == 2
    with person.watching("baseline") as page:
        for _ in range(10):
            page.look(picture((20, 30, 40, SAD)))
    assert person.told()["baseline"] == {"looks": 10, "with_face": 10, "good": True, "why": None}
    person.go("film:0")
    with person.watching("s1") as page:
        assert page.ready["received"] == -1
        assert (page.ready["labels"], page.ready["every_s"]) == (list(LABELS), 0.5)
        answers = [page.look(FACE if i % 4 else NOBODY) for i in range(20)]
    assert [a["kept"] for a in answers] == [True] * 20
    assert [a["faces"] for a in answers[:2]] == [0, 1]
    assert answers[0]["box"] is None
    assert answers[1]["size_px"] == pytest.approx(40, abs=3)
    assert answers[1]["expression"] is None  # nobody is told the own face during the film
    person.go("film:1", "after")
    person.ask("PUT", "/answers", part="after", answers={"liked": 6})
    person.go("done")
    found = viewer(study)
    assert (found.name, found.room, found.answers) == ("1", False, {"age": "old", "why": "Curious.", "liked": 6})
    assert found.groups == {"age": "old"}
    timeline = found.timelines["s1"]
    assert timeline.times.tolist() == [i / 2 for i in range(20)]
    assert timeline.frame_rows.tolist() == [i for i in range(20) if i % 4]
    assert timeline.emotions[:, LABELS.index(HAPPY)].min() > 0.8
    assert found.baseline[LABELS.index(SAD)] > 0.8
    assert "s2" not in found.timelines
    assert found.quality["looks"] == 20
    assert (found.quality["with_face"], found.quality["dropped"], found.quality["finished"]) == (15, 0, True)
    assert found.finished_at is not None


def test_of_somebody_in_the_middle_a_kept_report_has_what_there_was(person: Person, study: Open) -> None:
    state = study.app.state

    def then() -> Any:
        return load_viewer(state.store, state.settings, state.studies.known(study.study), study.row(), at)

    with person.watching("s1") as page:
        for _ in range(6):
            page.look(FACE)
        at = now()
        middle = then()
        for _ in range(4):
            page.look(FACE)
    person.go("film:1", "after")
    person.ask("PUT", "/answers", part="after", answers={"liked": 6})
    person.go("done")
    for found in (middle, then()):
        assert found.timelines["s1"].times.tolist() == [i / 2 for i in range(6)]
        assert (found.answers, found.groups, found.finished_at) == ({"age": "young"}, {"age": "young"}, None)
        assert not found.quality["finished"]
    assert len(viewer(study).timelines["s1"]) == 10
    assert viewer(study).answers == {"age": "young", "liked": 6}


# --- nothing is lost


def test_a_page_that_lost_its_connection_goes_on_after_what_was_received(person: Person, study: Open) -> None:
    with person.watching() as page:
        for _ in range(4):
            page.look(FACE)
        clock_s = page.clock_s
    with person.watching(resume=True) as page:
        assert page.ready["received"] == 3
        assert page.ready["position_s"] == 1.5
        page.clock_s = clock_s
        for i in range(4, 30):  # more than may be on the way, all at once
            page.send(FACE, i / 2, late=True)
        answers = [page.next() for _ in range(26)]
    assert [a["sequence"] for a in answers] == list(range(4, 30))
    assert all(a["kept"] and a["dropped"] == 0 for a in answers)
    found = viewer(study)
    assert found.timelines["s1"].times.tolist() == [i / 2 for i in range(30)]
    assert (found.quality["late"], found.quality["dropped"], found.quality["looks"]) == (26, 0, 30)


def test_frames_that_were_sent_but_not_answered_are_kept_once(person: Person, study: Open) -> None:
    with person.watching() as page:
        for _ in range(8):
            page.send(FACE)
    with person.watching(resume=True) as page:
        received = page.ready["received"]
        assert 0 <= received <= 7
        page.film_s, page.clock_s = received / 2, 1000.0 + (received + 1) / 2
        for _ in range(received + 1, 10):
            page.look(FACE)
    assert viewer(study).timelines["s1"].times.tolist() == [i / 2 for i in range(10)]


def test_a_server_that_starts_again_has_all_that_was_answered(start: Start, person: Person, study: Open) -> None:
    with person.watching() as page:
        for _ in range(5):
            page.look(FACE)
    person.client = start()
    assert person.told()["positions"] == {"s1": 2.0}
    with person.watching() as page:
        assert page.ready["received"] == 4
        page.look(FACE, 2.5)


def test_a_torn_record_at_the_end_is_cut_off(start: Start, person: Person, study: Open, settings: Settings) -> None:
    with person.watching() as page:
        for _ in range(5):
            page.look(FACE)
    person.client = start()
    (path,) = settings.studies_dir.rglob("s1.log")
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])  # as by a machine that lost its power
    with person.watching() as page:
        assert page.ready["received"] == 3
        page.look(SAD_FACE, 2.0)
    assert len(path.read_bytes()) == len(whole)
    timeline = viewer(study).timelines["s1"]
    assert timeline.times.tolist() == [0, 0.5, 1, 1.5, 2]
    assert LABELS[timeline.emotions[-1].argmax()] == SAD


def test_a_second_tab_takes_over_and_the_first_is_told(person: Person, study: Open) -> None:
    with person.client.websocket_connect(SOCKET) as one:
        first = WatchPage(one, person.code, "s1")
        first.look(FACE)
        with person.watching() as second:
            assert second.ready["received"] == 0
            told = first.next()
            assert (told["type"], told["error"]["code"]) == ("error", "taken_over")
            assert one.receive()["code"] == 4409
            second.look(FACE, 0.5)
    assert viewer(study).timelines["s1"].times.tolist() == [0, 0.5]


def test_a_disk_that_is_full_closes_the_socket_and_the_page_keeps_its_frames(
    person: Person, study: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    with person.client.websocket_connect(SOCKET) as socket:
        page = WatchPage(socket, person.code, "s1")
        page.look(FACE)
        with monkeypatch.context() as full:

            def add(*_: Any) -> None:
                raise OSError(28, "No space left on device")

            full.setattr("mien.web.capture.participant_log.LookWriter.add", add)
            page.send(FACE)
            told = page.next()
            assert (told["type"], told["error"]["code"], told.get("sequence")) == ("error", "storage_full", None)
            assert socket.receive()["code"] == 1013
    with person.watching(resume=True) as page:
        assert page.ready["received"] == 0
        page.look(FACE, 0.5)
    assert len(viewer(study).timelines["s1"]) == 2


def test_how_long_the_connection_was_gone_is_counted(person: Person, study: Open) -> None:
    asked = threading.Event()
    moment_s = 100.0

    def clock() -> float:
        told_s = moment_s
        asked.set()
        return told_s

    app_of(person.client).state.watching.clock = clock
    with person.watching() as page:
        page.look(FACE)
    assert asked.wait(PATIENCE_S), "nobody saw that the page is gone"
    moment_s += 20
    with person.watching(resume=True) as page:
        page.look(FACE, 0.5)
    assert eventually(lambda: viewer(study).quality["gone_s"]) == 20


def test_what_was_measured_is_put_down_while_somebody_watches(
    start: Start, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setattr("mien.web.studies.participant_live.TELL_EVERY_S", 0.0)
    client = start()
    study = Open(app_of(client))
    person = Person.agreed(client, study.invitation)
    person.to_the_film()
    version = app_of(client).state.studies.known(study.study).version
    with person.watching() as page:
        page.look(FACE)
        page.look(NOBODY)
        eventually(lambda: study.row().quality.get("looks") == 2)
        row = study.row()
        assert (row.quality["with_face"], row.positions) == (1, {"s1": 0.5})
        assert app_of(client).state.studies.known(study.study).version > version  # the report follows


# --- the film's own clock


def test_of_what_is_watched_twice_the_first_time_counts(person: Person, study: Open) -> None:
    with person.watching() as page:
        for i in range(10):  # 0 to 4.5 s
            page.look(FACE, i / 2)
        for i in range(3):  # back to 2 s, another face, over what is known and beyond
            page.look(SAD_FACE, 2.1 + i / 2)
        page.look(SAD_FACE, 4.4)
        page.look(SAD_FACE, 4.9)
    timeline = viewer(study).timelines["s1"]
    assert timeline.times.tolist() == [*(i / 2 for i in range(10)), 4.9]
    assert [LABELS[k] for k in timeline.emotions.argmax(axis=1)] == [HAPPY] * 10 + [SAD]


def test_while_the_film_stands_still_its_first_look_counts(person: Person, study: Open) -> None:
    with person.watching() as page:
        for film_s in (0, 0.5, 0.5, 0.5, 1.0):
            page.look(FACE, film_s)
    assert viewer(study).timelines["s1"].times.tolist() == [0, 0.5, 1.0]


def test_what_was_jumped_over_can_still_be_watched(person: Person, study: Open) -> None:
    with person.watching() as page:
        for film_s in (0, 0.5, 20.0, 20.5, 10.0, 10.5, 20.2):
            page.look(FACE, film_s)
    assert viewer(study).timelines["s1"].times.tolist() == [0, 0.5, 10.0, 10.5, 20.0, 20.5]


def test_a_page_that_was_loaded_again_begins_another_run(person: Person, study: Open) -> None:
    with person.watching() as page:
        for i in range(6):
            page.look(FACE, i / 2)
    with person.watching() as page:  # it goes back a little, so that nothing is missed
        page.clock_s = 3.0
        for film_s in (1.7, 2.2, 2.7, 3.2):
            page.look(SAD_FACE, film_s)
    assert viewer(study).timelines["s1"].times.tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 2.7, 3.2]


# --- one person among others

LEANING = (75, 10, 80, SAD)
WITH_ANOTHER = picture((20, 30, 40, HAPPY), LEANING)


def checked(person: Person) -> None:
    with person.watching("check") as page:
        assert page.look(FACE)["box"] is not None


def test_without_a_check_the_largest_face_of_the_first_look_is_followed(person: Person, study: Open) -> None:
    with person.watching() as page:
        answer = page.look(picture((100, 30, 20, SAD), (20, 30, 50, HAPPY)))
    assert (answer["faces"], answer["track"], answer["others"]) == (2, 1, 1)
    timeline = viewer(study).timelines["s1"]
    assert timeline.emotions.shape == (1, len(LABELS))
    assert LABELS[timeline.emotions[0].argmax()] == HAPPY
    assert timeline.boxes[0] == pytest.approx([20, 30, 70, 80], abs=2)


def test_who_leans_in_does_not_become_the_participant(person: Person, study: Open) -> None:
    checked(person)
    with person.watching("baseline") as page:
        for _ in range(4):
            page.look(WITH_ANOTHER)
    with person.watching() as page:
        answers = [page.look(data) for data in (FACE, WITH_ANOTHER, WITH_ANOTHER, FACE)]
    assert [(a["faces"], a["track"], a["others"]) for a in answers] == [(1, 1, 0), (2, 1, 1), (2, 1, 1), (1, 1, 0)]
    assert all(a["box"] == pytest.approx([20, 30, 60, 70], abs=2) for a in answers)
    found = viewer(study)
    assert [LABELS[k] for k in found.timelines["s1"].emotions.argmax(axis=1)] == [HAPPY] * 4
    assert LABELS[found.baseline.argmax()] == HAPPY
    assert (found.quality["with_face"], found.quality["with_others"], found.quality["gone_on"]) == (4, 2, 0)
    assert eventually(lambda: study.row().quality.get("with_others")) == 2
    looks = person.ask("GET", "/export")["measured"]["s1"]["looks"]
    assert [(look["faces"], look["track"], look["others"]) for look in looks] == [(1, 1, 0), (2, 1, 1), (2, 1, 1), (1, 1, 0)]
    assert study.row().name == 1


def test_where_the_participant_is_gone_the_other_one_is_nobody(person: Person, study: Open) -> None:
    checked(person)
    other = picture(LEANING)
    with person.watching() as page:
        answers = [page.look(data) for data in (FACE, WITH_ANOTHER, *[other] * 5, WITH_ANOTHER, FACE)]
    assert [a["track"] for a in answers] == [1, 1, 0, 0, 0, 0, 0, 2, 2]
    assert [a["others"] for a in answers] == [0, 1, 1, 1, 1, 1, 1, 1, 0]
    assert [a["box"] is None for a in answers] == [False, False, *[True] * 5, False, False]
    found = viewer(study)
    assert found.timelines["s1"].frame_rows.tolist() == [0, 1, 7, 8]
    assert [LABELS[k] for k in found.timelines["s1"].emotions.argmax(axis=1)] == [HAPPY] * 4
    assert (found.quality["looks"], found.quality["with_others"], found.quality["gone_on"]) == (9, 7, 1)


def test_two_who_could_be_the_participant_are_nobody(person: Person, study: Open) -> None:
    checked(person)
    with person.watching() as page:
        page.look(FACE)
        for _ in range(4):
            page.look(NOBODY)
        answer = page.look(picture((10, 30, 40, HAPPY), (60, 35, 40, SAD)))
        assert (answer["track"], answer["others"], answer["box"]) == (0, 2, None)
        assert page.look(picture((10, 30, 40, HAPPY)))["track"] == 2
    assert viewer(study).timelines["s1"].frame_rows.tolist() == [0, 6]


def test_the_camera_check_shows_the_largest_face_and_the_next_check_anew(person: Person) -> None:
    for data, box in ((WITH_ANOTHER, (75, 10, 155, 90)), (FACE, (20, 30, 60, 70))):
        with person.watching("check") as page:
            answer = page.look(data)
            assert answer["track"] == 1
            assert answer["box"] == pytest.approx(box, abs=2)


def test_a_server_that_starts_again_knows_where_the_participant_sat(start: Start, person: Person, study: Open) -> None:
    checked(person)
    with person.watching() as page:
        page.look(WITH_ANOTHER)
        clock_s = page.clock_s
    person.client = start()
    study.app = app_of(person.client)
    with person.watching(resume=True) as page:
        page.clock_s, page.film_s = clock_s, 0.0
        assert [page.look(data)["track"] for data in (picture((135, 90, 18, SAD)), FACE)] == [0, 2]
    assert [LABELS[k] for k in viewer(study).timelines["s1"].emotions.argmax(axis=1)] == [HAPPY] * 2


# --- the neutral face


@pytest.mark.parametrize(("faces", "good"), [(10, True), (5, True), (4, False), (0, False)])
def test_a_baseline_needs_a_face_in_half_of_its_looks(person: Person, study: Open, faces: int, good: bool) -> None:
    with person.watching("baseline") as page:
        for i in range(10):
            page.look(SAD_FACE if i < faces else NOBODY)
        page.look(FACE, 5.0)  # beyond its five seconds
    told = person.told()["baseline"]
    assert (told["looks"], told["with_face"], told["good"]) == (10, faces, good)
    found = viewer(study)
    if good:
        assert LABELS[found.baseline.argmax()] == SAD
        assert found.baseline.sum() == pytest.approx(1, abs=1e-5)
    else:
        assert found.baseline is None
        assert f"only {faces} of 10 looks" in found.quality["no_baseline"]
        assert f"only {faces} of 10 looks" in told["why"]


def test_of_several_baselines_the_last_counts(person: Person, study: Open) -> None:
    for face in (NOBODY, SAD_FACE):
        with person.watching("baseline") as page:
            for i in range(4):
                page.look(face, i / 2)
    assert person.told()["baseline"] == {"looks": 4, "with_face": 4, "good": True, "why": None}


def test_without_a_baseline_it_is_said(person: Person, study: Open) -> None:
    assert person.told()["baseline"] == {"looks": 0, "with_face": 0, "good": False, "why": "It was not taken."}
    assert viewer(study).baseline is None


# --- what is kept


@pytest.mark.parametrize(
    ("keep", "agreed", "kept"), [("pictures", True, True), ("pictures", False, False), ("scores", True, False)]
)
def test_pictures_are_kept_only_where_the_study_and_the_person_say_so(
    client: TestClient, settings: Settings, keep: str, agreed: bool, kept: bool
) -> None:
    study = Open(app_of(client), keep=keep)
    person = Person.agreed(client, study.invitation, pictures=agreed)
    person.to_the_film()
    assert person.told()["pictures"] is kept
    for stimulus in ("check", "baseline", "s1"):
        with person.watching(stimulus) as page:
            page.look(FACE)
    held = b"".join(path.read_bytes() for path in settings.data_dir.rglob("*") if path.is_file())
    assert held.count(FACE[:200]) == kept  # of the film alone, once
    answer = client.get("/api/participant/export", headers=person.headers)
    assert answer.headers["Content-Type"] == ("application/zip" if kept else "application/json")
    if kept:
        assert "Content-Length" not in answer.headers  # it goes out as it is made, for it may be of hours
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.testzip() is None
            assert archive.namelist() == ["participant.json", "pictures/s1/00001-0.00s.jpg"]
            assert archive.read("pictures/s1/00001-0.00s.jpg") == FACE


def test_a_camera_check_leaves_nothing(person: Person, settings: Settings) -> None:
    with person.watching("check") as page:
        answer = page.look(FACE)
        assert (answer["kept"], answer["expression"]) == (False, HAPPY)
    assert not list(settings.studies_dir.rglob("check*"))


# --- who may not


@pytest.mark.parametrize(
    ("hello", "code", "close"),
    [
        ({"code": "AAAA-AAAA-AAAA"}, "wrong_code", 4401),
        ({"code": ""}, "wrong_code", 4401),
        ({"stimulus": "s2"}, "too_early", 4410),
        ({"stimulus": "s9"}, "not_found", 4410),
        ({"stimulus": "../s1"}, "not_found", 4410),
        ({"type": "record"}, "bad_message", 4400),
        ({"resume": "perhaps"}, "bad_message", 4400),
        ({"more": 1}, "bad_message", 4400),
    ],
)
def test_a_hello_that_is_refused(person: Person, hello: dict[str, Any], code: str, close: int) -> None:
    with person.client.websocket_connect(SOCKET) as socket:
        socket.send_text(json.dumps({"type": "hello", "code": person.code, "stimulus": "s1"} | hello))
        told = json.loads(socket.receive_text())
        assert (told["type"], told["error"]["code"]) == ("error", code)
        assert socket.receive()["code"] == close


def test_who_left_is_not_measured(person: Person) -> None:
    person.ask("POST", "/leave")
    with person.client.websocket_connect(SOCKET) as socket:
        socket.send_text(json.dumps({"type": "hello", "code": person.code, "stimulus": "s1"}))
        assert json.loads(socket.receive_text())["error"]["code"] == "over"


def test_late_frames_come_in_after_the_end(client: TestClient, person: Person, study: Open) -> None:
    with person.watching() as page:
        page.look(FACE)
    person.go("film:1", "after")
    person.ask("PUT", "/answers", part="after", answers={"liked": 1})
    person.go("done")
    with person.watching(resume=True) as page:
        assert page.look(FACE, 0.5, late=True)["kept"]
    assert len(viewer(study).timelines["s1"]) == 2


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"", "bad_frame"),
        (HEADER.pack(1, 0, 0, 3, 1.0) + FACE, "bad_frame"),
        (FILM_HEADER.pack(2, 2, 0, 3, 1.0, 1.0) + FACE, "bad_frame"),
        (FILM_HEADER.pack(2, 0, 0, 3, 1.0, -1.0) + FACE, "bad_frame"),
        (FILM_HEADER.pack(2, 0, 0, 3, 1.0, float("nan")) + FACE, "bad_frame"),
        (FILM_HEADER.pack(2, 0, 0, 3, 1.0, 1.0) + FACE[:300], "bad_frame"),
        (FILM_HEADER.pack(2, 0, 0, 0, 1.0, 1.0) + FACE, "old_frame"),
    ],
)
def test_a_damaged_frame_is_an_error_and_the_film_goes_on(person: Person, study: Open, frame: bytes, code: str) -> None:
    with person.watching() as page:
        page.look(FACE)
        page.socket.send_bytes(frame)
        assert page.next()["error"]["code"] == code
        page.sequence = 5
        page.look(FACE)
    found = viewer(study)
    assert (len(found.timelines["s1"]), found.quality["dropped"]) == (2, 5)


def test_live_views_do_not_take_a_participants_frames(client: TestClient) -> None:
    with live_page(client) as page:
        page.socket.send_bytes(FILM_HEADER.pack(2, 0, 0, 0, 1.0, 1.0) + FACE)
        assert page.next()["error"]["code"] == "bad_frame"


def test_more_sockets_than_may_be_are_asked_to_come_back(start: Start) -> None:
    client = start(participants_at_once_max=1)
    study = Open(app_of(client))
    one, other = (Person.agreed(client, study.invitation) for _ in range(2))
    one.to_the_film()
    with one.watching() as page, client.websocket_connect(SOCKET) as socket:
        page.look(FACE)
        assert json.loads(socket.receive_text())["error"]["code"] == "too_many"
        assert socket.receive()["code"] == 4429
    assert other.told()["step"] == "agreed"


# --- withdrawing while one is measured


def test_who_withdraws_while_watching_leaves_nothing(person: Person, study: Open, settings: Settings) -> None:
    with person.client.websocket_connect(SOCKET) as socket:
        page = WatchPage(socket, person.code, "s1")
        for _ in range(3):
            page.look(FACE)
        proof = person.ask("DELETE")
        assert proof["erased"]["rows"] == 1
        assert proof["erased"]["files"] == 1
        assert proof["erased"]["bytes"] > 0
        assert proof["left"] == {"rows": 0, "files": 0}
        told = page.next()
        assert told["error"]["code"] == "withdrawn"
        assert socket.receive()["code"] == 4410
    assert not [path for path in settings.studies_dir.rglob("*") if path.is_file()]
    with person.client.websocket_connect(SOCKET) as socket:
        socket.send_text(json.dumps({"type": "hello", "code": person.code, "stimulus": "s1"}))
        assert json.loads(socket.receive_text())["error"]["code"] == "wrong_code"


@pytest.mark.parametrize("viewer", ["1", None], ids=["one participant", "the study"])
def test_what_another_process_erases_is_not_written_any_more(
    person: Person, study: Open, settings: Settings, viewer: str | None
) -> None:
    """As `mien study erase` beside a server does it: nothing but the data folder connects the two."""
    with person.client.websocket_connect(SOCKET) as socket:
        page = WatchPage(socket, person.code, "s1")
        for _ in range(3):
            assert page.look(FACE)["kept"] is True
        with Offline(settings) as beside:
            proof = beside.erase(beside.found(study.study), viewer)
        assert proof.erased.files >= 1
        assert (proof.left.rows, proof.left.files) == (0, 0)
        page.send(FACE)
        told = page.next()
        assert told["type"] == "error", told
        assert told["error"]["code"] == "withdrawn"
        assert socket.receive()["code"] == 4410
    assert not [path for path in settings.studies_dir.rglob("*") if path.is_file()]
    with person.client.websocket_connect(SOCKET) as socket:
        socket.send_text(json.dumps({"type": "hello", "code": person.code, "stimulus": "s1"}))
        assert json.loads(socket.receive_text())["error"]["code"] == "wrong_code"


def test_a_page_that_sends_nothing_learns_too_that_another_process_erased_it(
    person: Person, study: Open, settings: Settings
) -> None:
    with person.client.websocket_connect(SOCKET) as socket:
        page = WatchPage(socket, person.code, "s1")
        page.look(FACE)
        with Offline(settings) as beside:
            beside.erase(beside.found(study.study), "1")
        assert page.next()["error"]["code"] == "withdrawn"
        assert socket.receive()["code"] == 4410


def test_a_socket_that_opens_while_another_process_erases_writes_nothing(person: Person, study: Open, settings: Settings) -> None:
    reader = app_of(person.client).state.watching.reader
    prepare = reader.prepare

    def late() -> Any:
        with Offline(settings) as beside:
            beside.erase(beside.found(study.study), "1")
        return prepare()

    reader.prepare = late
    with person.client.websocket_connect(SOCKET) as socket:
        socket.send_text(json.dumps({"type": "hello", "code": person.code, "stimulus": "s1"}))
        assert json.loads(socket.receive_text())["error"]["code"] == "withdrawn"
    assert not [path for path in settings.studies_dir.rglob("*") if path.is_file()]


def test_a_socket_that_opens_while_somebody_is_erased_writes_nothing(person: Person, settings: Settings) -> None:
    """The code was right when the hello came, and the person is erased before the log is opened."""
    reader = app_of(person.client).state.watching.reader
    prepare = reader.prepare

    def late() -> Any:
        person.ask("DELETE")
        return prepare()

    reader.prepare = late
    with person.client.websocket_connect(SOCKET) as socket:
        socket.send_text(json.dumps({"type": "hello", "code": person.code, "stimulus": "s1"}))
        assert json.loads(socket.receive_text())["error"]["code"] == "withdrawn"
    assert not [path for path in settings.studies_dir.rglob("*") if path.is_file()]


# --- a real server, real faces, over a real socket


def frame_of_a_portrait() -> bytes:
    """A portrait that a package carries, as a camera would send it."""
    found = next(path for package, name in PORTRAITS if (path := installed_file(package, name)))
    rgb = read_picture(found).rgb
    out = np.full((360, 640, 3), 90, np.uint8)
    scale = min(340 / rgb.shape[0], 620 / rgb.shape[1])
    image = np.asarray(Image.fromarray(rgb).resize((round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))))
    out[10 : 10 + image.shape[0], 100 : 100 + image.shape[1]] = image
    return jpeg(out)


@pytest.mark.process
def test_a_server_that_is_killed_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    portrait = frame_of_a_portrait()
    with Server(tmp_path / "served") as server, server.client() as client:

        def ask(method: str, path: str, **given: Any) -> Any:
            answer = client.request(method, path, json=given or None, headers={"X-Participant-Code": code} if code else {})
            assert answer.status_code < 300, answer.text
            return answer.json() if answer.content else None

        code = ""
        made = ask("POST", "/api/studies", **STUDY | {"stimuli": [{"id": "s1", "title": "Event", "kind": "event"}]})["id"]
        ask("POST", f"/api/studies/{made}/state", state="open")
        invitation = ask("POST", f"/api/studies/{made}/invitations", label="all")["id"]
        code = ask("POST", f"/api/take-part/{invitation}/consent", language="en", version=1)["code"]
        ask("PUT", "/api/participant/answers", part="before", answers={"age": "old"})
        for step in ("before", "camera", "film:0"):
            ask("POST", "/api/participant/step", step=step)
        address = server.url.replace("http", "ws", 1) + "/api/participant/live"
        sent = received = 0
        answered: set[int] = set()
        for killing in (True, True, False):
            with connect(address, open_timeout=PATIENCE_S, ping_timeout=None) as socket:
                socket.send(json.dumps({"type": "hello", "code": code, "stimulus": "s1", "resume": sent > 0}))
                received = json.loads(socket.recv())["received"]
                assert received >= max(answered, default=-1)
                for sequence in range(received + 1, received + 7):
                    socket.send(pack_frame(FrameHead(sequence, 10 + sequence / 2, sequence < sent, film_s=sequence / 2), portrait))
                    sent = max(sent, sequence + 1)
                for _ in range(3 if killing else 6):
                    told = json.loads(socket.recv())
                    assert (told["type"], told["kept"], told["faces"]) == ("seen", True, 1)
                    answered.add(told["sequence"])
                if killing:
                    server.kill()
            if killing:
                server.start()
        held = ask("GET", "/api/participant/export")["measured"]["s1"]
        assert [look["sequence"] for look in held["looks"]] == list(range(sent))
        assert answered <= set(range(sent))
        assert len(held["labels"]) == 8
        assert all(sum(look["emotions"]) == pytest.approx(1, abs=1e-3) for look in held["looks"])
        (curve,) = ask("GET", "/api/participant/curve")["films"]
        assert curve["face_share"] == 1
        assert len(curve["times"]) == len(curve["signals"]["valence"]) == sent
        assert ask("DELETE", "/api/participant")["left"] == {"rows": 0, "files": 0}
    assert not [path for path in (tmp_path / "served" / "studies").rglob("*") if path.is_file()]
    assert "127.0.0.1" not in server.said().replace(server.url, "")
