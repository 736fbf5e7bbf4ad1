import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from websockets.sync.client import connect

from fakes import LABELS, FakeDetector, FakeExpressions
from full import full
from media_files import png_header
from mien.analyze import Analyzer
from mien.demo import demo_film
from mien.media import decode_picture, open_media
from mien.types import Faces, Frame, Timeline
from mien.unfinished import this_process
from mien.web.app import create_app
from mien.web.capture.recording import ROWS, Logged, Writer
from mien.web.capture.views import Line, Read, Waiting
from mien.web.capture.wire import HEADER, FrameHead, pack_frame
from mien.web.database import ServerRow
from mien.web.settings import Settings
from serving import Server
from web.conftest import HERE
from web.live_page import SOCKET, LivePage, jpeg, live_page, picture
from web.test_recording import pictures

HAPPY, SAD, ANGRY = "happiness", "sadness", "anger"
FACE = picture((20, 30, 40, HAPPY))
WITHIN_S = 240.0
"""That anything may take on a busy machine."""


class Gate(FakeDetector):
    """A detector that waits while it is shut, so that a test knows what waits. `looks` counts those begun, `seen` has the
    sizes of the pictures since it was shut."""

    def __init__(self) -> None:
        self.open, self.begun, self.looks = threading.Event(), threading.Semaphore(0), 0
        self.seen: list[tuple[int, int]] = []
        self.open.set()
        super().__init__(look=self._look)

    def _look(self, rgb: Any) -> None:
        self.looks += 1
        self.seen.append(rgb.shape[:2])
        self.begun.release()
        assert self.open.wait(WITHIN_S)

    def shut(self) -> None:
        while self.begun.acquire(blocking=False):
            pass
        self.seen.clear()
        self.open.clear()

    def busy(self) -> None:
        """Waits until a look has begun since the gate was shut."""
        assert self.begun.acquire(timeout=WITHIN_S)


class Counting(FakeExpressions):
    runs = 0

    def __call__(self, crops: Any) -> Any:
        self.runs += 1
        return super().__call__(crops)


class Looks:
    """Counts how often a server has looked for recordings that others left."""

    def __init__(self, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ended, find = threading.Semaphore(0), app.state.live.find

        async def counted() -> None:
            await find()
            self.ended.release()

        monkeypatch.setattr(app.state.live, "find", counted)

    def wait(self, looks: int) -> None:
        for _ in range(looks):
            assert self.ended.acquire(timeout=WITHIN_S)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def start(settings: Settings, gate: Gate) -> Iterator[Callable[..., TestClient]]:
    """Starts an application on the test's data folder, with settings as given; ends the one before."""
    running: list[TestClient] = []

    def stop() -> None:
        while running:
            running.pop().__exit__(None, None, None)

    def begin(**more: Any) -> TestClient:
        stop()
        values = {"data_dir": settings.data_dir, "live_return_s": 600} | more  # a page of a test may be slow to come back
        client = TestClient(create_app(Settings(**values), Analyzer(Counting(), detector=gate)), base_url=HERE)
        running.append(client.__enter__())
        return client

    yield begin
    gate.open.set()
    stop()


@pytest.fixture
def client(start: Callable[..., TestClient]) -> TestClient:
    return start()


def app_of(client: TestClient) -> FastAPI:
    app = client.app
    assert isinstance(app, FastAPI)
    return app


def job(client: TestClient, id: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/api/jobs/{id}").json()
    return found


def eventually(true: Callable[[], Any], within_s: float = WITHIN_S) -> Any:
    deadline = time.monotonic() + within_s
    while not (found := true()):
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)
    return found


def folder(client: TestClient, id: str) -> Path:
    return app_of(client).state.jobs.folder(id)  # type: ignore[no-any-return]


# --- frames and answers


@pytest.mark.parametrize("size", [(361, 643), (1, 1), (4, 5)])
def test_light_is_the_mean_luma_of_every_fourth_pixel(size: tuple[int, int]) -> None:
    rgb = np.random.default_rng(3).integers(0, 256, (*size, 3), np.uint8)
    waiting = Waiting(Line(), FrameHead(0, 0.0), b"")
    read = Read(waiting, rgb, Faces.none(), np.zeros((0, len(LABELS)), np.float32), LABELS, 0.0)
    assert read.light == pytest.approx(float(rgb[::4, ::4].reshape(-1, 3).mean(axis=0) @ (0.299, 0.587, 0.114)), rel=1e-12)


def test_a_frame_is_answered_with_its_faces(start: Callable[..., TestClient]) -> None:
    with live_page(start(live_return_s=30), source="camera", name="Kitchen") as page:
        assert page.ready["labels"] == list(LABELS)
        assert (page.ready["received"], page.ready["resumed"], page.ready["recording"]) == (-1, False, None)
        assert page.ready["limits"] == {
            "in_flight": 2, "frame_max_kib": 2048, "frame_max_megapixels": 4, "return_s": 30, "recording_max_minutes": 240,
        }  # fmt: skip
        answer = page.look(picture((20, 30, 40, HAPPY), (100, 20, 30, SAD)), sequence=7, captured_s=12.5)
        assert (answer["sequence"], answer["captured_s"], answer["width"], answer["height"]) == (7, 12.5, 160, 120)
        assert [(f["track"], f["expression"]) for f in answer["faces"]] == [(1, HAPPY), (2, SAD)]
        first = answer["faces"][0]
        assert np.abs(np.array(first["box"]) - [20, 30, 60, 70]).max() <= 2
        assert sum(first["emotions"]) == pytest.approx(1, abs=1e-3)
        assert first["valence"] > 0.5
        assert (answer["dark"], answer["dropped"], answer["recorded"], answer["time_s"]) == (False, 0, False, None)
        assert 100 < answer["light"] < 160
        assert page.look(picture((20, 30, 40, HAPPY)))["faces"][0]["track"] == 1


def test_nobody_and_darkness(client: TestClient) -> None:
    with live_page(client) as page:
        answer = page.look(jpeg(np.full((48, 64, 3), 12, np.uint8)))
        assert (answer["faces"], answer["dark"]) == ([], True)
        assert answer["light"] == pytest.approx(12, abs=2)
        assert page.look(jpeg(np.full((48, 64, 3), 60, np.uint8)))["dark"] is False


def test_an_episode_is_told_when_it_is_over(client: TestClient) -> None:
    with live_page(client, smoothing_s=0) as page:
        episode = None
        for i in range(14):
            page.send(picture((20, 30, 40, HAPPY if i < 8 else SAD)), captured_s=100 + i / 10)
            page.hear("faces")
            if i == 11:  # 0.3 s after the change it is certain
                episode = page.hear("episode")
        assert episode is not None
        assert (episode["track"], episode["expression"], episode["recorded"]) == (1, HAPPY, False)
        assert (episode["start_s"], episode["end_s"]) == pytest.approx((100.0, 100.8), abs=1e-6)


def test_smoothing_is_as_the_page_asks(client: TestClient) -> None:
    with live_page(client, smoothing_s=0) as page:
        for face in (HAPPY, SAD):
            seen = page.look(picture((20, 30, 40, face)))["faces"][0]
            assert seen["emotions"] == seen["smoothed"]
    with live_page(client, smoothing_s=5) as page:
        page.look(picture((20, 30, 40, HAPPY)))
        seen = page.look(picture((20, 30, 40, SAD)))["faces"][0]
        assert seen["expression"] == SAD
        assert LABELS[int(np.argmax(seen["smoothed"]))] == HAPPY


# --- what comes in damaged


@pytest.mark.parametrize(
    ("frame", "code", "says"),
    [
        (b"", "bad_frame", "begins with 16 bytes"),
        (HEADER.pack(9, 0, 0, 3, 1.0) + FACE, "bad_frame", "version 9"),
        (HEADER.pack(1, 0, 0, 3, float("nan")) + FACE, "bad_frame", "finite"),
        (HEADER.pack(1, 0, 0, 3, 1000.15) + b"no picture", "bad_frame", "wanted a JPEG, PNG or WebP"),
        (HEADER.pack(1, 0, 0, 3, 1000.15) + FACE[:200], "bad_frame", "cannot be decoded"),
        (HEADER.pack(1, 0, 0, 3, 1000.15) + FACE[:-40], "bad_frame", "cannot be decoded"),
        (HEADER.pack(1, 0, 0, 3, 1000.15) + png_header(60_000, 60_000), "bad_frame", "at most 4 megapixels"),
        (HEADER.pack(1, 0, 0, 3, 1000.15) + b"\xff" * (2048 * 1024 + 1), "frame_too_large", "may have 2048 KiB"),
        (HEADER.pack(1, 0, 0, 0, 1000.15) + FACE, "old_frame", "0 came after 0"),
        (HEADER.pack(1, 0, 0, 3, 3.0) + FACE, "old_frame", "3 s came after"),
    ],
)
def test_a_damaged_frame_is_an_error_and_the_view_goes_on(client: TestClient, frame: bytes, code: str, says: str) -> None:
    with live_page(client) as page:
        page.look(FACE)
        page.socket.send_bytes(frame)
        told = page.next()
        assert (told["type"], told["error"]["code"]) == ("error", code)
        assert says in told["error"]["message"]
        assert told["sequence"] == (None if code == "bad_frame" and frame[:4] != b"\x01\x00\x00\x00" else frame[4])
        assert page.look(FACE, sequence=10)["faces"][0]["track"] == 1


def test_a_message_that_makes_no_sense_is_an_error_and_the_view_goes_on(client: TestClient) -> None:
    with live_page(client) as page:
        for text in ("", "{", '{"type":"dance"}', '{"type":"hello"}', '{"type":"record","action":"pause"}'):
            page.socket.send_text(text)
            told = page.next()
            assert told["type"] == "error"
            assert told["error"]["code"] in ("bad_message", "no_recording")
            assert told["error"]["message"].endswith(".")
        assert len(page.look(FACE)["faces"]) == 1


def closed(socket: Any) -> int:
    """The code that a socket is closed with, what is said before left aside."""
    with pytest.raises(WebSocketDisconnect) as gone:
        while True:
            socket.receive_text()
    return gone.value.code


@pytest.mark.parametrize("first", ['{"type":"record","action":"stop"}', "hello", "", "[]"])
def test_what_does_not_begin_with_a_hello_is_closed(client: TestClient, first: str) -> None:
    with client.websocket_connect(SOCKET) as socket:
        socket.send_text(first)
        assert json.loads(socket.receive_text())["error"]["code"] == "bad_message"
        assert closed(socket) == 4400


def test_a_frame_before_the_hello_is_closed(client: TestClient) -> None:
    with client.websocket_connect(SOCKET) as socket:
        socket.send_bytes(HEADER.pack(1, 0, 0, 0, 1.0) + FACE)
        assert closed(socket) == 4400


def test_nonsense_without_end_is_closed(client: TestClient) -> None:
    with live_page(client) as page:
        for _ in range(20):
            page.socket.send_text("{")
        assert closed(page.socket) == 4400


def test_too_many_pages(start: Callable[..., TestClient]) -> None:
    client = start(live_sockets_max=2)
    with live_page(client), live_page(client), client.websocket_connect(SOCKET) as third:
        assert closed(third) == 4429
    with live_page(client) as page:
        assert len(page.look(FACE)["faces"]) == 1


def test_pages_of_other_sites_are_refused(client: TestClient) -> None:
    with (
        pytest.raises(WebSocketDisconnect) as gone,
        client.websocket_connect(SOCKET, headers={"Origin": "http://evil.example"}),
    ):
        pass
    assert gone.value.code == 4403


def test_a_model_that_cannot_be_had_is_said(settings: Settings) -> None:
    client = TestClient(create_app(Settings(data_dir=settings.data_dir, model="emotion-x")), base_url=HERE)
    with client, client.websocket_connect(SOCKET) as socket:
        socket.send_text('{"type":"hello"}')
        told = json.loads(socket.receive_text())
        assert "no model 'emotion-x'" in told["error"]["message"]
        assert closed(socket) == 1011


# --- too many frames at once


def test_the_newest_wins_and_what_gave_way_is_counted(client: TestClient, gate: Gate) -> None:
    with live_page(client) as page:
        gate.shut()
        first = page.send(FACE)
        gate.busy()
        others = [page.send(FACE) for _ in range(5)]
        gone = [page.hear("dropped") for _ in range(4)]
        gate.open.set()
        answered = [page.hear("faces") for _ in range(2)]
        assert [a["sequence"] for a in answered] == [first, others[-1]]
        assert [g["sequence"] for g in gone] == others[:-1]
        assert [g["dropped"] for g in gone] == [1, 2, 3, 4]
        assert answered[-1]["dropped"] == 4
        assert page.look(FACE)["dropped"] == 4


def test_late_frames_never_give_way(client: TestClient, gate: Gate) -> None:
    with live_page(client) as page:
        gate.shut()
        sent = [page.send(FACE, late=True) for _ in range(30)]
        gate.busy()
        gate.open.set()
        assert [page.hear("faces")["sequence"] for _ in range(30)] == sent


def test_frames_of_several_pages_that_wait_go_through_the_network_together(client: TestClient, gate: Gate) -> None:
    with live_page(client) as a, live_page(client) as b, live_page(client) as c, live_page(client) as d:
        live = app_of(client).state.live
        gate.shut()
        a.send(FACE)
        gate.busy()
        for n, page in enumerate((b, c, d), 1):
            page.send(picture(*[(10 + 50 * k, 30, 30, SAD) for k in range(n)]))
        eventually(lambda: live.reader.waiting == 3)
        model = live.reader.prepare().emotion
        before = model.runs
        gate.open.set()
        assert len(a.hear("faces")["faces"]) == 1
        assert [len(page.hear("faces")["faces"]) for page in (b, c, d)] == [1, 2, 3]
        assert model.runs - before <= 2


def test_one_page_with_a_backlog_does_not_keep_the_others_waiting(client: TestClient, gate: Gate) -> None:
    """Eight late frames of one page are before the frame of another: it is its turn after one batch at most, not after eight."""
    with live_page(client) as slow, live_page(client) as quick:
        reader = app_of(client).state.live.reader
        gate.shut()
        slow.send(FACE, late=True)
        gate.busy()
        for _ in range(7):
            slow.send(FACE, late=True)
        eventually(lambda: reader.waiting == 7)
        quick.send(picture((20, 30, 40, HAPPY), width=200, height=100))
        eventually(lambda: reader.waiting == 8)
        gate.open.set()
        quick.hear("faces")
        for _ in range(8):
            slow.hear("faces")
        assert len(gate.seen) == 9
        assert gate.seen.index((100, 200)) <= 2


def test_the_server_answers_while_frames_are_read(client: TestClient, gate: Gate) -> None:
    with live_page(client) as page:
        gate.shut()
        page.send(FACE)
        gate.busy()
        assert client.get("/api/jobs").json()["items"] == []  # the look is still under way
        gate.open.set()
        page.hear("faces")


def test_a_detector_that_fails_costs_its_frames_only(client: TestClient, gate: Gate) -> None:
    with live_page(client) as page:
        look, gate.look = gate.look, lambda rgb: 1 / 0
        sequence = page.send(FACE)
        told = page.next()
        assert (told["type"], told["error"]["code"], told["sequence"]) == ("error", "failed", sequence)
        gate.look = look
        assert page.look(FACE)["dropped"] == 1


# --- recordings


def walk(n: int, expression: str = HAPPY) -> list[bytes]:
    return [picture((10 + 2 * i, 30, 40, expression if i < n / 2 else SAD), *([(110, 60, 30, ANGRY)] if i % 4 == 1 else []))
            for i in range(n)]  # fmt: skip


def as_a_film(looks: list[bytes], times: list[float], smoothing_s: float = 0.2) -> Any:
    """What an analysis of a film of the same pictures gives."""
    analyzer = Analyzer(FakeExpressions(), detector=FakeDetector(), smoothing_s=smoothing_s)
    return list(analyzer.stream([Frame(i, t, decode_picture(data)) for i, (data, t) in enumerate(zip(looks, times, strict=True))]))


def check(timeline: Timeline, looks: list[bytes], times: list[float]) -> None:
    """A recording is to the last bit what the same code makes of a film."""
    wanted = as_a_film(looks, timeline.times.tolist())
    assert timeline.times.tolist() == pytest.approx(times, abs=1e-6)
    assert timeline.tracks.tolist() == [i for r in wanted for i in r.tracks.tolist()]
    assert np.array_equal(timeline.boxes, np.concatenate([r.faces.boxes for r in wanted]))
    assert np.array_equal(timeline.emotions, np.concatenate([r.emotions for r in wanted]))
    assert np.array_equal(timeline.smoothed, np.concatenate([r.smoothed for r in wanted]))


@pytest.mark.process
def test_a_recording_is_what_a_film_of_its_frames_gives(client: TestClient) -> None:
    looks = walk(20)
    with live_page(client, source="screen", name="Call") as page:
        for data in walk(3, ANGRY):
            page.look(data)  # before the recording: not in it
        begun = page.record("start", keep_film=False, name=None, every_s=0.1)
        assert (begun["state"], begun["rows"], begun["duration_s"]) == ("recording", 0, 0)
        answers = [page.look(data, of_recording=True) for data in looks]
        assert [a["recorded"] for a in answers] == [True] * 20
        assert [a["time_s"] for a in answers] == pytest.approx([i / 10 for i in range(20)], abs=1e-6)
        under_way = job(client, begun["job"])
        assert (under_way["kind"], under_way["state"], under_way["media"], under_way["name"]) == (
            "live",
            "recording",
            "screen",
            "Call",
        )
        assert under_way["options"] == {
            "every_s": 0.1, "smoothing_s": 0.2, "baseline_s": 0, "keep_film": False, "keep_stills": False,
        }  # fmt: skip
        done = page.stop()
        assert (done["state"], done["rows"], done["left_out"], done["note"]) == ("done", 20, 0, None)
        assert page.look(FACE)["recorded"] is False
    timeline = Timeline.load(folder(client, begun["job"]) / "timeline.npz")
    check(timeline, looks, [i / 10 for i in range(20)])
    assert timeline.settings["models"]["expression"]["name"] == "fake expressions"
    ended = job(client, begun["job"])
    assert (ended["state"], ended["people"], ended["error"]) == ("done", len(timeline.track_ids), None)
    assert ended["duration_s"] == pytest.approx(1.9, abs=0.2)
    assert ended["shares"][HAPPY] > 0.3
    assert ended["headline"]
    assert ended["size_bytes"] > 10_000
    assert ended["ended_at"]


@pytest.mark.process
def test_a_pause_is_left_out_and_people_keep_their_numbers(client: TestClient) -> None:
    looks = walk(12)
    with live_page(client) as page:
        id = page.record("start")["job"]
        for data in looks[:6]:
            page.look(data, of_recording=True)
        assert page.record("pause")["state"] == "paused"
        assert job(client, id)["state"] == "paused"
        for data in walk(5, ANGRY):
            seen = page.look(data, of_recording=True)  # a page that has not heard yet
            assert (seen["recorded"], seen["time_s"]) == (False, None)
        page.clock_s += 60
        assert page.record("resume")["state"] == "recording"
        for data in looks[6:]:
            page.look(data, of_recording=True)
        assert page.stop()["rows"] == 12
    timeline = Timeline.load(folder(client, id) / "timeline.npz")
    check(timeline, looks, [i / 10 for i in range(12)])
    assert timeline.settings["pauses_s"] == pytest.approx([0.6])


@pytest.mark.process
def test_looks_between_those_of_a_recording_change_nothing_of_it(client: TestClient) -> None:
    looks = walk(10)
    with live_page(client) as page:
        id = page.record("start", every_s=0.2)["job"]
        for i, data in enumerate(looks):
            page.look(data, of_recording=True)
            seen = page.look(picture((11 + 2 * i, 30, 40, ANGRY), (130, 5, 20, SAD)))
            assert seen["recorded"] is False
            assert seen["faces"][0]["track"] == 1
        page.stop()
    check(Timeline.load(folder(client, id) / "timeline.npz"), looks, [i / 5 for i in range(10)])


@pytest.mark.process
def test_without_the_film_no_picture_is_written_while_recording_or_after(client: TestClient, settings: Settings) -> None:
    with live_page(client) as page:
        page.record("start")
        for data in walk(8):
            page.look(data, of_recording=True)
        assert pictures(settings.data_dir / "jobs") == []
        assert page.stop()["state"] == "done"
    assert pictures(settings.data_dir) == []


@pytest.mark.process
def test_with_the_film_there_is_one(client: TestClient) -> None:
    with live_page(client) as page:
        id = page.record("start", keep_film=True)["job"]
        for data in walk(8):
            page.look(data, of_recording=True)
        assert (folder(client, id) / "pictures.log").stat().st_size > 1000
        assert page.stop()["state"] == "done"
    assert not (folder(client, id) / "pictures.log").exists()
    assert {"result/annotated.mp4", "stills/1.jpg"} <= set(pictures(folder(client, id)))


@pytest.mark.process
def test_a_recording_of_nothing(client: TestClient) -> None:
    with live_page(client) as page:
        id = page.record("start", name="Empty")["job"]
        done = page.stop()
        assert done["state"] == "failed"
        assert "Empty: nothing was recorded" in done["error"]
        assert job(client, id)["state"] == "failed"
        assert page.record("start")["state"] == "recording"


@pytest.mark.process
def test_a_recording_whose_saving_failed_can_be_saved_again(client: TestClient) -> None:
    looks = walk(5)
    with live_page(client) as page:
        id = page.record("start", keep_film=True)["job"]
        for data in looks:
            page.look(data, of_recording=True)
        frames = folder(client, id) / "pictures.log"
        (folder(client, id) / "result").write_text("in the way")
        failed = page.stop()
        assert failed["state"] == "failed"
        assert "is there already and is not a result of mien" in failed["error"]
        assert frames.is_file()
    (folder(client, id) / "result").unlink()
    assert client.post(f"/api/jobs/{id}/retry").json()["state"] == "saving"
    done = eventually(lambda: (found := job(client, id))["state"] == "done" and found)
    assert done["error"] is None
    assert not frames.exists()
    assert len(Timeline.load(folder(client, id) / "timeline.npz")) == 5
    assert client.post(f"/api/jobs/{id}/retry").status_code == 409


def test_one_recording_at_a_time(client: TestClient) -> None:
    with live_page(client) as page:
        page.record("start")
        page.say(type="record", action="start")
        assert page.next()["error"]["code"] == "recording_runs"


@pytest.mark.process
def test_frames_that_cannot_be_read_are_counted_in_the_note(client: TestClient) -> None:
    with live_page(client) as page:
        page.record("start")
        page.look(FACE, of_recording=True)
        page.send(FACE[:-40], of_recording=True)
        assert page.next()["type"] == "error"
        page.look(FACE, of_recording=True)
        done = page.stop()
        assert (done["rows"], done["left_out"]) == (2, 1)
        assert "1 picture was left out of 3" in done["note"]


@pytest.mark.process
def test_the_longest_recording_ends_by_itself_and_is_kept(start: Callable[..., TestClient]) -> None:
    client = start(recording_max_minutes=1)
    with live_page(client) as page:
        id = page.record("start")["job"]
        page.look(FACE, of_recording=True, captured_s=5.0)
        page.look(FACE, of_recording=True, captured_s=66.0)
        done = page.hear("recording", lambda m: m["state"] == "done")
        assert "Ended after 1 min" in done["note"]
        assert page.look(FACE, of_recording=True)["recorded"] is False
    assert job(client, id)["note"] == done["note"]


@pytest.mark.process
def test_a_disk_that_takes_no_more_ends_the_recording_and_keeps_it(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with live_page(client) as page:
        id = page.record("start")["job"]
        for data in walk(4):
            page.look(data, of_recording=True)

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Writer, "add", full)
        assert page.look(FACE, of_recording=True)["recorded"] is False
        done = page.hear("recording", lambda m: m["state"] == "done")
        assert done["rows"] == 4
        assert "No space left on device" in done["note"]
    assert len(Timeline.load(folder(client, id) / "timeline.npz")) == 4


@pytest.mark.process
def test_a_disk_that_takes_neither_the_recording_nor_its_end_has_it_once_there_is_room(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    app: Any = client.app
    monkeypatch.setattr("mien.web.capture.views.AGAIN_S", 0.01)
    monkeypatch.setattr("mien.web.capture.recorder.TELL_EVERY_S", 3600.0)  # which would meet some of the refusals
    with live_page(client) as page:
        id = page.record("start")["job"]
        for data in walk(3):
            page.look(data, of_recording=True)

        def no_room(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Writer, "add", no_room)
        refusals = full(monkeypatch, app.state.store, 5)
        assert page.look(FACE, of_recording=True)["recorded"] is False
        done = page.hear("recording", lambda m: m["state"] == "done")
        assert (done["rows"], refusals.met) == (3, True)
    found = job(client, id)
    assert (found["state"], "No space left on device" in found["note"]) == ("done", True)
    assert len(Timeline.load(folder(client, id) / "timeline.npz")) == 3


def test_a_recording_that_the_database_cannot_take_is_not_begun(
    client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    app: Any = client.app
    with live_page(client) as page:
        full(monkeypatch, app.state.store, 1)
        page.say(type="record", action="start")
        assert page.hear("error")["error"]["code"] == "storage_full"
        assert list((settings.data_dir / "jobs").iterdir()) == []
        assert page.record("start")["state"] == "recording"


def test_a_recording_that_is_erased_while_it_runs_leaves_nothing(client: TestClient, settings: Settings) -> None:
    with live_page(client) as page:
        id = page.record("start", keep_film=True)["job"]
        page.look(FACE, of_recording=True)
        assert client.delete(f"/api/jobs/{id}").status_code == 204
        assert page.hear("recording")["state"] == "failed"
        assert page.look(FACE, of_recording=True)["recorded"] is False
        assert list((settings.data_dir / "jobs").iterdir()) == []
        assert page.record("start")["state"] == "recording"


def test_a_recording_that_another_process_erases_takes_nothing_more(client: TestClient, settings: Settings) -> None:
    beside = create_app(settings)  # shares nothing with the first but the data folder
    with live_page(client) as page:
        id = page.record("start", keep_film=True)["job"]
        page.look(FACE, of_recording=True)
        assert beside.state.jobs.erase(id)
        page.send(FACE, of_recording=True)
        told = {message["type"]: message for message in (page.next(), page.next())}  # in either order
        assert (told["faces"]["recorded"], told["recording"]["state"]) == (False, "failed")
        assert list((settings.data_dir / "jobs").iterdir()) == []
        assert page.record("start")["state"] == "recording"


# --- pages that come and go


@pytest.mark.process
def test_a_page_that_comes_back_goes_on(client: TestClient) -> None:
    looks = walk(16)
    with live_page(client) as page:
        id = page.record("start")["job"]
        for data in looks[:6]:
            page.look(data, of_recording=True)
    live = page.ready["live"]
    with live_page(client, resume=live) as back:
        assert (back.ready["live"], back.ready["resumed"], back.ready["received"]) == (live, True, 5)
        found = back.ready["recording"]
        assert (found["state"], found["job"], found["rows"], found["left_out"]) == ("recording", id, 6, 0)
        back.clock_s = page.clock_s
        for data in looks[6:12]:
            back.send(data, late=True, of_recording=True)
        for _ in range(6):
            assert back.hear("faces")["recorded"] is True
        for data in looks[12:]:
            back.look(data, of_recording=True)
        assert back.stop()["rows"] == 16
    check(Timeline.load(folder(client, id) / "timeline.npz"), looks, [i / 10 for i in range(16)])


def test_what_was_under_work_when_the_socket_dropped_is_not_asked_for_again(client: TestClient, gate: Gate) -> None:
    with live_page(client) as page:
        page.record("start")
        page.look(FACE, of_recording=True)
        gate.shut()
        page.send(FACE, of_recording=True)
        gate.busy()
        page.send(FACE, of_recording=True)
    threading.Timer(0.3, gate.open.set).start()
    with live_page(client, resume=page.ready["live"]) as back:
        assert back.ready["received"] == 2
        assert back.ready["recording"]["rows"] == 3


@pytest.mark.process
def test_a_page_that_was_loaded_again_starts_its_clock_again(client: TestClient) -> None:
    with live_page(client) as page:
        id = page.record("start")["job"]
        for data in walk(4):
            page.look(data, of_recording=True)
    with live_page(client, resume=page.ready["live"]) as back:
        back.clock_s = 0.0
        for data in walk(4):
            back.look(data, of_recording=True)
        assert back.stop()["rows"] == 8
    times = Timeline.load(folder(client, id) / "timeline.npz").times
    assert times.tolist() == pytest.approx([i / 10 for i in range(8)], abs=1e-6)


def test_a_second_socket_takes_a_view_over(client: TestClient) -> None:
    with live_page(client) as page:
        page.look(FACE)
        with live_page(client, resume=page.ready["live"]) as other:
            assert closed(page.socket) == 4409
            other.clock_s = page.clock_s
            assert other.look(FACE)["faces"][0]["track"] == 1


@pytest.mark.process
def test_a_page_that_stays_away_leaves_a_finished_recording(start: Callable[..., TestClient]) -> None:
    client = start(live_return_s=0.2)
    with live_page(client) as page:
        id = page.record("start")["job"]
        for data in walk(5):
            page.look(data, of_recording=True)
    done = eventually(lambda: (found := job(client, id))["state"] == "done" and found)
    assert "The page was gone for longer than 0.2 s" in done["note"]
    with live_page(client, resume=page.ready["live"]) as new:
        assert new.ready["resumed"] is False
        assert new.ready["live"] != page.ready["live"]
        assert "is in the list of analyses" in new.ready["notice"]
    with live_page(client, resume="unknown") as other:
        assert other.ready["resumed"] is False
        assert "is not there any more" in other.ready["notice"]


@pytest.mark.process
def test_a_page_that_is_closed_for_good_ends_its_recording_at_once(client: TestClient) -> None:
    with client.websocket_connect(SOCKET) as socket:
        page = LivePage(socket)
        id = page.record("start")["job"]
        for data in walk(3):
            page.look(data, of_recording=True)
        socket.close(1000)
    assert eventually(lambda: (found := job(client, id))["state"] == "done" and found)["note"] is None
    with live_page(client, resume=page.ready["live"]) as new:
        assert new.ready["resumed"] is False
        assert "is in the list of analyses" in new.ready["notice"]


# --- a server that ends and starts again


@pytest.mark.process
def test_a_recording_goes_on_with_the_next_server(start: Callable[..., TestClient]) -> None:
    looks = walk(18)
    client = start()
    with live_page(client) as page:
        id = page.record("start", keep_film=True)["job"]
        for data in looks[:8]:
            page.look(data, of_recording=True)
        page.record("pause")
        page.record("resume")
        for data in looks[8:11]:
            page.look(data, of_recording=True)
    client = start()
    assert job(client, id)["state"] == "recording"
    with live_page(client, resume=page.ready["live"]) as back:
        assert (back.ready["resumed"], back.ready["received"], back.ready["recording"]["rows"]) == (True, 10, 11)
        back.clock_s = page.clock_s
        for data in looks[11:]:
            back.look(data, of_recording=True)
        assert back.stop()["state"] == "done"
    check(Timeline.load(folder(client, id) / "timeline.npz"), looks, [i / 10 for i in range(18)])


@pytest.mark.more
def test_a_recording_is_taken_up_by_another_server_once_its_own_is_gone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.web.capture.live.FIND_EVERY_S", 0.05)
    apps: list[Any] = [create_app(settings, Analyzer(Counting(), detector=FakeDetector())) for _ in range(2)]
    for app in apps:
        app.state.store.is_shared = True  # as PostgreSQL is
    first, second = (TestClient(app, base_url=HERE) for app in apps)
    ids = [app.state.tasks.id for app in apps]
    with first:
        page_of_first = live_page(first)
        page = page_of_first.__enter__()
        id = page.record("start")["job"]
        page.look(FACE, of_recording=True)
        with second:
            looks = Looks(apps[1], monkeypatch)
            looks.wait(3)
            assert apps[1].state.store.job(id).owner == ids[0]
            with apps[1].state.store.session() as rows:  # as where it was killed: there is no such process
                rows.merge(ServerRow(id=ids[0], process=this_process() | {"pid": 2**22 + 1}, beats=0, shown={}))
            while apps[1].state.store.job(id).owner != ids[1]:
                looks.wait(1)
            with live_page(second, resume=page.ready["live"]) as back:
                assert (back.ready["resumed"], back.ready["recording"]["rows"]) == (True, 1)
                assert page.hear("recording")["error"] == "Another server has taken this recording over; all until then is kept."
                back.look(FACE, of_recording=True)
                assert back.stop()["state"] == "done"
        page_of_first.__exit__(None, None, None)
        assert len(Timeline.load(folder(first, id) / "timeline.npz")) == 2


@pytest.mark.process
def test_a_paused_recording_is_paused_with_the_next_server(start: Callable[..., TestClient]) -> None:
    client = start()
    with live_page(client) as page:
        id = page.record("start")["job"]
        page.look(FACE, of_recording=True)
        page.record("pause")
    client = start()
    with live_page(client, resume=page.ready["live"]) as back:
        assert back.ready["recording"]["state"] == "paused"
        back.clock_s = page.clock_s + 50
        assert back.look(FACE, of_recording=True)["recorded"] is False
        back.record("resume")
        assert back.look(FACE, of_recording=True)["time_s"] == pytest.approx(0.2)
        assert back.stop()["rows"] == 2
    assert job(client, id)["state"] == "done"


@pytest.mark.process
def test_a_recording_whose_page_does_not_come_back_to_the_next_server_is_kept(start: Callable[..., TestClient]) -> None:
    client = start()
    with live_page(client) as page:
        id = page.record("start")["job"]
        for data in walk(5):
            page.look(data, of_recording=True)
    client = start(live_return_s=0.1)
    done = eventually(lambda: (found := job(client, id))["state"] == "done" and found)
    assert "The server stopped during this recording" in done["note"]
    assert len(Timeline.load(folder(client, id) / "timeline.npz")) == 5


@pytest.mark.process
def test_a_recording_that_was_being_saved_is_saved_by_the_next_server(start: Callable[..., TestClient]) -> None:
    client = start()
    with live_page(client) as page:
        id = page.record("start")["job"]
        for data in walk(5):
            page.look(data, of_recording=True)
    app_of(client).state.store.update_job(id, state="saving", note="It was long.")
    client = start()
    done = eventually(lambda: (found := job(client, id))["state"] == "done" and found)
    assert done["note"] == "It was long."
    assert len(Timeline.load(folder(client, id) / "timeline.npz")) == 5


@pytest.mark.parametrize("damage", ["gone", "empty", "nonsense"])
def test_a_recording_that_cannot_be_read_again_fails_and_says_why(start: Callable[..., TestClient], damage: str) -> None:
    client = start()
    with live_page(client) as page:
        id = page.record("start", name="Lost")["job"]
        page.look(FACE, of_recording=True)
    log = folder(client, id) / ROWS
    log.unlink() if damage == "gone" else log.write_bytes(b"" if damage == "empty" else b"x" * 500)
    client = start()
    failed = eventually(lambda: (found := job(client, id))["state"] == "failed" and found)
    assert "Lost: the recording cannot be read" in failed["error"]


def test_kill_9_during_a_recording_loses_nothing_that_was_answered(served: Callable[..., Server], tmp_path: Path) -> None:
    """A real server and the real model; only what was not answered may be missing after a crash."""
    with open_media(demo_film(tmp_path / "demo.mp4")) as media:
        looks = [jpeg(frame.rgb) for frame in media.frames(0.1)][:20]
    server = served(live_return_s=600)
    address = server.url.replace("http", "ws") + "/api/live"

    def look(socket: Any, k: int) -> dict[str, Any]:
        socket.send(pack_frame(FrameHead(k, k / 10, of_recording=True), looks[k]))
        while (message := json.loads(socket.recv(timeout=WITHIN_S)))["type"] != "faces":
            pass
        return message  # type: ignore[no-any-return]

    with connect(address, open_timeout=WITHIN_S, ping_timeout=None) as socket:
        socket.send('{"type":"hello"}')
        ready = json.loads(socket.recv(timeout=WITHIN_S))
        socket.send('{"type":"record","action":"start"}')
        id = json.loads(socket.recv(timeout=WITHIN_S))["job"]
        answers = [look(socket, k) for k in range(10)]
        server.kill()
    assert len(Logged(server.data / "jobs" / id).rows) == 10
    server.start()
    with connect(address, open_timeout=WITHIN_S, ping_timeout=None) as socket:
        socket.send(json.dumps({"type": "hello", "resume": ready["live"]}))
        again = json.loads(socket.recv(timeout=WITHIN_S))
        assert (again["resumed"], again["received"], again["recording"]["rows"]) == (True, 9, 10)
        answers += [look(socket, k) for k in range(10, 20)]
        socket.send('{"type":"record","action":"stop"}')
        while (message := json.loads(socket.recv(timeout=WITHIN_S))).get("state") != "done":
            pass
    timeline = Timeline.load(server.data / "jobs" / id / "timeline.npz")
    assert len(timeline) == message["rows"] == 20
    assert timeline.tracks.tolist() == [face["track"] for answer in answers for face in answer["faces"]] == [1] * 20


@pytest.mark.process
def test_the_program_of_the_documentation(served: Callable[..., Server], tmp_path: Path) -> None:
    """docs/api.md's client, as it stands there, with a film before a real server."""
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", page, re.S)
    assert len(program.splitlines()) <= 22
    (tmp_path / "client.py").write_text(program, encoding="utf-8")
    film = demo_film(tmp_path / "demo.mp4")
    server = served()
    command = [sys.executable, str(tmp_path / "client.py"), str(film), server.url.replace("http", "ws") + "/api/live"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S)
    assert (done.returncode, done.stderr) == (0, "")
    first, *rest = done.stdout.splitlines()
    assert "happiness" in first.removeprefix("labels: ").split()
    assert len(rest) > 50
    assert all(re.fullmatch(r" *\d+\.\d\d s  face \d+: [a-z]+ \d+%", line) for line in rest)
    assert any("happiness" in line for line in rest)
