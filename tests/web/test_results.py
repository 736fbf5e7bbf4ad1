"""Results: what was seen, the lines, stills and files, and what a person changes in them afterwards."""

import csv
import hashlib
import io
import json
import pickle
import shutil
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from mien import cluster, report
from mien.cluster import write_results
from mien.labels import FERPLUS
from mien.media import VideoWriter, open_media
from mien.types import Faces, Frame, FrameResult, MediaInfo, Timeline
from mien.web.analyses.edits import Edits, ResultView
from mien.web.analyses.result_schema import Result, Series
from mien.web.analyses.results import FILES, Results
from steps import lines_run

RGB = np.random.default_rng(0).integers(0, 255, (120, 240, 3)).astype(np.uint8)

SPANS = {1: (0.0, 4.0), 2: (0.0, 10.0), 3: (6.0, 10.0)}
"""Face 1 leaves at 4 s and comes back as 3; 2 is there all the time but for a look aside."""


def made(
    *,
    kind: Any = "video",
    seconds: float = 10.0,
    fps: float = 4.0,
    spans: dict[int, tuple[float, float]] = SPANS,
    name: str = "talk.mp4",
    settings: dict[str, Any] | None = None,
) -> Timeline:
    """Tracks seen in `spans`: odd ones happy, even ones sad, 2 not at 5 s."""
    times = np.arange(round(seconds * fps)) / fps if kind != "picture" else np.zeros(1)
    rows, tracks = [], []
    for i, t in enumerate(times):
        for track, (start, end) in spans.items():
            if start <= t < end and not (track == 2 and 5.0 <= t < 5.5):
                rows.append(i)
                tracks.append(track)
    n = len(rows)
    scores = np.full((n, 8), 0.1 / 7, np.float32)
    scores[np.arange(n), [1 if track % 2 else 3 for track in tracks]] = 0.9
    boxes = np.array([[30 * track, 10, 30 * track + 25, 40] for track in tracks], np.float32).reshape(-1, 4)
    length = None if kind in ("picture", "camera") else seconds
    info = MediaInfo(name, kind, 240, 120, length, fps if kind == "video" else None, None, False, "h264")
    made_how = {
        "every_s": 1 / fps,
        "smoothing_s": 0.2,
        "made_from": "secret",
        "models": {"expression": {"name": "m", "card": "long"}},
    }
    return Timeline(
        info, FERPLUS, np.arange(len(times)), times, rows, tracks, boxes, np.full(n, 0.9), scores, scores, settings or made_how
    )


def stills_of(timeline: Timeline) -> report.Stills:
    stills = report.Stills()
    for i, t in enumerate(timeline.times.tolist()):
        keep = timeline.frame_rows == i
        faces = Faces(timeline.boxes[keep], timeline.face_scores[keep], np.zeros((int(keep.sum()), 5, 2)))
        scores = timeline.emotions[keep]
        stills.add(FrameResult(Frame(i, t, RGB), faces, timeline.tracks[keep], timeline.labels, scores, scores))
    return stills


class Written:
    """The files of analyses, each written once: most tests look at the same one, and its plots and report take a second."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def copy(self, target: Path, timeline: Timeline, *, pictures: bool, film: bool) -> None:
        key = hashlib.sha256(pickle.dumps((timeline, pictures, film))).hexdigest()
        if not (self.folder / key).is_dir():
            self._write(self.folder / key, timeline, pictures=pictures, film=film)
        shutil.copytree(self.folder / key, target)

    @staticmethod
    def _write(folder: Path, timeline: Timeline, *, pictures: bool, film: bool) -> None:
        (folder / "result").mkdir(parents=True)
        if film and timeline.info.kind != "picture":
            with VideoWriter(folder / "result" / "annotated.mp4", 240, 120, fps_hint=4) as out:
                for t in timeline.times.tolist()[:8]:
                    out.write(RGB, t)
        stills = stills_of(timeline) if pictures else None
        write_results(timeline, folder / "result", stills, annotated=film, pictures=pictures, keep=folder, speed={"seconds": 3.0})


class Kept:
    """An application, and a way to give it analyses that are done without analysing anything."""

    def __init__(self, app: FastAPI, client: TestClient, written: Written) -> None:
        self.app, self.client, self.written = app, client, written
        self.results: Results = app.state.results

    def job(self, timeline: Timeline, *, pictures: bool = True, film: bool = True, **row: Any) -> str:
        store, jobs = self.app.state.store, self.app.state.jobs
        kind = "live" if timeline.info.kind == "camera" else "file"
        job = store.create_job(**{"kind": kind, "state": "done", "name": timeline.info.name, "media": timeline.info.kind} | row)
        self.written.copy(jobs.folder(job.id), timeline, pictures=pictures, film=film)
        id: str = job.id
        return id

    def get(self, id: str, what: str = "result", status: int = 200, **params: Any) -> Any:
        answer = self.client.get(f"/api/jobs/{id}/{what}", params=params)
        assert answer.status_code == status, answer.text
        return answer.json()

    def patch(self, id: str, track: int, status: int = 200, **change: Any) -> Any:
        answer = self.client.patch(f"/api/jobs/{id}/tracks/{track}", json=change)
        assert answer.status_code == status, answer.text
        return answer.json()

    def merge(self, id: str, track: int, into: int, status: int = 200) -> Any:
        answer = self.client.post(f"/api/jobs/{id}/tracks/{track}/merge", json={"into": into})
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return Written(tmp_path_factory.mktemp("written"))


@pytest.fixture
def kept(app: FastAPI, client: TestClient, written: Written) -> Kept:
    return Kept(app, client, written)


def names(result: dict[str, Any]) -> list[str]:
    return [track["name"] for track in result["tracks"]]


# --- what was seen


def test_a_result_says_what_was_seen(kept: Kept) -> None:
    id = kept.job(made(name="Zoë.mp4"))
    result = kept.get(id)
    Result.model_validate(result)
    assert result["job"]["id"] == id
    assert result["media"] == {"name": "Zoë.mp4", "kind": "video", "width": 240, "height": 120, "duration_s": 10.0, "fps": 4.0}
    assert result["labels"] == list(FERPLUS)
    assert result["colours"]["happiness"] == {"light": "#e6a700", "dark": "#eec352"}
    assert result["headline"].startswith("Up to two faces at once (three in all) for 9.5 of 10.0 s; they appear ")
    assert (result["start_s"], result["end_s"], result["frames"], result["most_faces_at_once"]) == (0.0, 9.75, 40, 2)
    assert result["shares"]["happiness"] == pytest.approx(32 / 70, abs=1e-4)
    assert result["valence_mean"] == pytest.approx((32 * (0.9 - 0.1 / 7) + 38 * (0.1 / 7 - 0.9)) / 70, abs=1e-3)
    assert names(result) == ["Face 1", "Face 2", "Face 3"]
    first = result["tracks"][0]
    assert (first["start_s"], first["end_s"], first["rows"], first["expression"]) == (0.0, 3.75, 16, "happiness")
    assert (first["named"], first["hidden"], first["merged"]) == (False, False, [])
    assert first["still"] == f"/api/jobs/{id}/stills/1.jpg"
    episode = result["episodes"][0]
    assert (episode["track"], episode["name"], episode["expression"], episode["start_s"]) == (1, "Face 1", "happiness", 0.0)
    assert (result["edited"], result["faces"]) == (False, [])
    assert "what a person feels" in result["caveat"]
    assert result["settings"]["models"][0]["name"] == "m"
    assert "secret" not in json.dumps(result)
    assert "card" not in result["settings"]["models"][0]
    assert result["film"] == f"/api/jobs/{id}/files/annotated.mp4"
    assert result["picture"] is None
    listed = {file["name"]: file for file in result["files"]}
    assert list(listed) == [name for name in FILES if name != "annotated.png"]
    for name, file in listed.items():
        answer = kept.client.get(file["url"])
        assert (answer.status_code, len(answer.content)) == (200, file["size_bytes"]), name


def test_a_picture_has_its_faces(kept: Kept) -> None:
    result = kept.get(kept.job(made(kind="picture", spans={1: (0, 1), 2: (0, 1)}, name="group.jpg")))
    Result.model_validate(result)
    assert [(face["track"], face["name"], face["expression"]) for face in result["faces"]] == [
        (1, "Face 1", "happiness"),
        (2, "Face 2", "sadness"),
    ]
    assert result["faces"][0]["box"] == [30, 10, 55, 40]
    assert sum(result["faces"][0]["emotions"].values()) == pytest.approx(1, abs=1e-3)
    assert result["picture"].endswith("annotated.png")
    assert result["film"] is None


@pytest.mark.parametrize("media", ["camera", "screen"])
def test_a_recording_without_film_and_stills(kept: Kept, media: str) -> None:
    id = kept.job(made(kind="camera", name="Interview: part 1/2"), film=False, pictures=False, media=media)
    result = kept.get(id)
    Result.model_validate(result)
    assert (result["media"]["kind"], result["film"], result["picture"]) == (media, None, None)
    assert {track["still"] for track in result["tracks"]} == {None}
    kept.get(id, "stills/1.jpg", 404)
    assert kept.get(id, "files/annotated.mp4", 404)["error"]["code"] == "no_such_file"
    kept.patch(id, 1, name="Anna")
    archive = kept.client.get(f"/api/jobs/{id}/archive.zip")
    with zipfile.ZipFile(io.BytesIO(archive.content)) as found:
        assert found.testzip() is None
        assert "Interview_ part 1_2/faces.csv" in found.namelist()
        assert "(Anna)" in json.loads(found.read("Interview_ part 1_2/summary.json"))["headline"]


def test_nobody_was_seen(kept: Kept) -> None:
    id = kept.job(made(spans={}))
    result = kept.get(id)
    Result.model_validate(result)
    assert (result["tracks"], result["episodes"], result["valence_mean"]) == ([], [], None)
    series = kept.get(id, "series")
    assert series["tracks"] == {}
    assert set(series["mean"]["happiness"]) == {None}


@pytest.mark.parametrize(
    ("state", "words"),
    [("queued", "is not done yet"), ("running", "is not done yet"), ("failed", "has failed"), ("recording", "is not done yet")],
)
def test_what_is_not_done_has_no_result(kept: Kept, state: str, words: str) -> None:
    id = kept.app.state.store.create_job(state=state).id
    for what in ("result", "series", "archive.zip", "files/faces.csv", "stills/1.jpg"):
        error = kept.get(id, what, 409)["error"]
        assert error["code"] == "not_done"
        assert words in error["message"]
    kept.patch(id, 1, 409, name="Anna")
    assert kept.get("none", "result", 404)["error"]["code"] == "not_found"


def test_a_damaged_result_is_said(kept: Kept) -> None:
    id = kept.job(made())
    (kept.app.state.jobs.folder(id) / "timeline.npz").write_bytes(b"damaged")
    error = kept.get(id, "result", 409)["error"]
    assert error["code"] == "damaged"
    assert "talk.mp4" in error["message"]


# --- the lines


def test_lines_of_everybody_and_of_each_face_with_gaps(kept: Kept) -> None:
    series = kept.get(kept.job(made()), "series")
    Series.model_validate(series)
    assert series["labels"] == list(FERPLUS)
    assert len(series["times"]) == len(series["mean"]["happiness"]) == 40
    assert series["thinned"] is False
    assert series["mean"]["happiness"][0] == pytest.approx((0.9 + 0.1 / 7) / 2, abs=1e-3)
    assert series["mean"]["sadness"][20] is None  # at 5 s nobody is there
    assert set(series["tracks"]) == {"1", "2", "3"}
    second = series["tracks"]["2"]
    assert len(second["times"]) == 40
    assert second["emotions"]["sadness"][19:23] == [0.9, None, None, 0.9]
    assert second["valence"][20] is None
    assert series["tracks"]["3"]["times"][0] == 6.0


def test_lines_of_one_face_and_of_fewer_points(kept: Kept) -> None:
    id = kept.job(made(seconds=200, spans={1: (0, 90), 2: (100, 200)}), film=False, pictures=False)
    series = kept.get(id, "series", points=100, track=2)
    assert list(series["tracks"]) == ["2"]
    assert series["thinned"] is True
    assert len(series["times"]) <= 100
    assert None in series["mean"]["happiness"]
    assert kept.get(id, "series", 404, track=7)["error"]["code"] == "no_such_face"
    for wrong in ({"points": 1}, {"points": 10**9}, {"track": -1}, {"track": 2**63}):
        kept.get(id, "series", 422, **wrong)


def test_an_hour_of_every_frame_is_answered_at_once(kept: Kept) -> None:
    """No line of Python runs for each look, so an hour costs hardly more than half an hour."""

    def film(n: int) -> Any:
        job = kept.app.state.store.create_job(state="done", name="hour.mp4", media="video")
        folder = kept.app.state.jobs.folder(job.id)
        folder.mkdir(parents=True)
        scores = np.random.default_rng(0).dirichlet(np.ones(8), n).astype(np.float32)
        info = MediaInfo("hour.mp4", "video", 640, 360, n / 25, 25.0, n, True, "h264")
        whole = Timeline(
            info, FERPLUS, np.arange(n), np.arange(n) / 25, np.arange(n), np.ones(n), np.zeros((n, 4)), np.ones(n), scores, scores
        )
        whole.save(folder / "timeline.npz")
        return job

    def cost(job: Any) -> int:
        return lines_run(lambda: kept.app.state.results.series(job, 2000, None))

    half, hour = film(45_000), film(90_000)
    cost(film(4000))  # what is imported at first
    assert cost(hour) < 1.1 * cost(half)
    series = kept.get(hour.id, "series")
    assert len(series["times"]) <= 2000
    assert series["mean"]["happiness"] == series["tracks"]["1"]["emotions"]["happiness"]


# --- stills, files, zip


def test_stills_of_faces(kept: Kept) -> None:
    id = kept.job(made())
    answer = kept.client.get(f"/api/jobs/{id}/stills/1.jpg")
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content[:2] == b"\xff\xd8"
    assert kept.get(id, "stills/9.jpg", 404)["error"]["code"] == "no_such_face"
    assert kept.client.get(f"/api/jobs/{id}/stills/poster.jpg").status_code == 422


def test_a_film_can_be_sought_in(kept: Kept) -> None:
    id = kept.job(made())
    address = f"/api/jobs/{id}/files/annotated.mp4"
    whole = kept.client.get(address)
    assert (whole.headers["accept-ranges"], whole.headers["content-type"]) == ("bytes", "video/mp4")
    part = kept.client.get(address, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole.content)}"
    assert kept.client.get(address, headers={"Range": "bytes=99999999-"}).status_code == 416


def test_only_files_of_the_result_are_handed_out(kept: Kept) -> None:
    id = kept.job(made())
    for name in ("timeline.npz", "..%2Ftimeline.npz", "%2Fetc%2Fpasswd", "upload.bin", "nothing"):
        assert kept.client.get(f"/api/jobs/{id}/files/{name}").status_code == 404


def test_the_report_is_a_page_of_nobody(kept: Kept) -> None:
    answer = kept.client.get(f"/api/jobs/{kept.job(made(name='x.mp4'))}/files/report.html")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts")
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    assert answer.headers["content-type"].startswith("text/html")


def test_all_files_as_a_zip_under_the_analysis_own_name(kept: Kept) -> None:
    id = kept.job(made(name="Ünïcode – 日本.mp4"))
    answer = kept.client.get(f"/api/jobs/{id}/archive.zip")
    assert answer.headers["content-type"] == "application/zip"
    said = answer.headers["content-disposition"]
    assert said == (
        "attachment; filename=\"_n_code _ __.zip\"; filename*=UTF-8''%C3%9Cn%C3%AFcode%20%E2%80%93%20%E6%97%A5%E6%9C%AC.zip"
    )
    with zipfile.ZipFile(io.BytesIO(answer.content)) as found:
        assert found.testzip() is None
        assert found.namelist() == [f"Ünïcode – 日本/{file['name']}" for file in kept.get(id)["files"]]
        folder = kept.app.state.jobs.folder(id) / "result"
        for entry in found.infolist():
            assert found.read(entry) == (folder / Path(entry.filename).name).read_bytes()


# --- edits


def test_a_name_stands_everywhere(kept: Kept) -> None:
    id = kept.job(made())
    before = {name: (kept.app.state.jobs.folder(id) / "result" / name).read_bytes() for name in ("report.html", "summary.json")}
    result = kept.patch(id, 2, name="  Benoît <b>\x07 ")
    assert names(result) == ["Face 1", "Benoît <b>", "Face 3"]
    assert [track["named"] for track in result["tracks"]] == [False, True, False]
    assert "(Benoît <b>)" in result["headline"]
    assert {e["name"] for e in result["episodes"] if e["track"] == 2} == {"Benoît <b>"}
    assert result["edited"] is True
    assert kept.client.get(f"/api/jobs/{id}").json()["headline"] == result["headline"]
    page = kept.client.get(f"/api/jobs/{id}/files/report.html").text
    assert "Benoît &lt;b&gt;" in page
    assert "Benoît <b>" not in page
    assert "data:image/jpeg" in page  # the stills are in it again
    assert "./annotated.mp4" in page
    summary = kept.client.get(f"/api/jobs/{id}/files/summary.json").json()
    assert summary["tracks"][1]["name"] == "Benoît <b>"
    assert summary["speed"] == {"seconds": 3.0}
    for name, content in before.items():
        assert (kept.app.state.jobs.folder(id) / "result" / name).read_bytes() == content  # what was measured stays
    assert names(kept.patch(id, 2, name=None)) == ["Face 1", "Face 2", "Face 3"]


def test_hidden_faces_are_left_out_but_can_be_shown_again(kept: Kept) -> None:
    id = kept.job(made())
    result = kept.patch(id, 2, hidden=True)
    assert [track["hidden"] for track in result["tracks"]] == [False, True, False]
    assert {e["track"] for e in result["episodes"]} == {1, 3}
    assert result["shares"]["happiness"] == 1.0
    assert result["job"]["people"] == 2
    series = kept.get(id, "series")
    assert set(series["tracks"]) == {"1", "3"}
    assert series["mean"]["sadness"][0] == pytest.approx(0.1 / 7, abs=1e-3)
    rows = list(csv.DictReader(io.StringIO(kept.client.get(f"/api/jobs/{id}/files/faces.csv").text)))
    assert {row["track"] for row in rows} == {"1", "3"}
    film = next(file for file in result["files"] if file["name"] == "annotated.mp4")
    assert film["what"].endswith("as it was analysed: without names, merged or hidden faces")
    everybody = kept.patch(id, 1, hidden=True), kept.patch(id, 3, hidden=True)
    assert everybody[1]["headline"] == "No face was found in 10.0 s."
    assert kept.client.get(f"/api/jobs/{id}/files/report.html").status_code == 200
    shown = kept.patch(id, 2, hidden=False)
    assert {e["track"] for e in shown["episodes"]} == {2}
    assert "tracks.png" not in {file["name"] for file in shown["files"]}


def test_one_person_with_two_numbers_becomes_one(kept: Kept) -> None:
    id = kept.job(made())
    kept.patch(id, 3, name="Anna", hidden=True)
    result = kept.merge(id, 3, into=1)
    assert names(result) == ["Anna", "Face 2"]
    first = result["tracks"][0]
    assert (first["id"], first["merged"], first["hidden"]) == (1, [3], False)
    assert (first["start_s"], first["end_s"], first["rows"]) == (0.0, 9.75, 32)
    line = kept.get(id, "series")["tracks"]["1"]
    assert line["times"][0] == 0.0
    assert line["emotions"]["happiness"][20] is None
    assert kept.client.get(f"/api/jobs/{id}/stills/1.jpg").status_code == 200
    assert kept.get(id, "stills/3.jpg", 404)["error"]["code"] == "no_such_face"
    kept.patch(id, 3, 404, name="B")
    rows = list(csv.DictReader(io.StringIO(kept.client.get(f"/api/jobs/{id}/files/faces.csv").text)))
    assert {row["track"] for row in rows} == {"1", "2"}
    back = kept.client.delete(f"/api/jobs/{id}/edits").json()
    assert names(back) == ["Face 1", "Face 2", "Face 3"]
    assert back["edited"] is False


def test_two_people_seen_together_stay_two(kept: Kept) -> None:
    id = kept.job(made())
    kept.patch(id, 2, name="Ben")
    error = kept.merge(id, 1, into=2, status=409)["error"]
    assert error == {
        "code": "seen_together",
        "message": "Face 1 and Ben are both seen at 0.0 s, so they are two people.",
        "detail": None,
    }
    assert kept.merge(id, 1, into=1, status=409)["error"]["code"] == "same_face"
    kept.merge(id, 3, into=1)
    assert kept.merge(id, 2, into=1, status=409)["error"]["code"] == "seen_together"
    kept.merge(id, 1, into=9, status=404)
    kept.merge(id, 9, into=1, status=404)


def test_merges_in_a_row() -> None:
    timeline = made(spans={1: (0, 2), 2: (3, 4), 3: (5.5, 6), 4: (7, 8)})
    edits = Edits().changed(3, {"name": "C"}).merged(4, 3).merged(3, 2).merged(2, 1)
    assert (edits.into, edits.names) == ({4: 1, 3: 1, 2: 1}, {1: "C"})
    assert edits.merged_into(1) == [2, 3, 4]
    assert ResultView(timeline, edits).everybody.track_ids == [1]
    assert Edits.of(json.loads(json.dumps(edits.row()))) == edits
    assert not Edits.of(None)
    assert Edits().row() == {}


def test_faces_in_pictures_are_named_and_hidden_too(kept: Kept) -> None:
    id = kept.job(made(kind="picture", spans={1: (0, 1), 2: (0, 1)}, name="group.jpg"))
    before = kept.client.get(f"/api/jobs/{id}/files/annotated.png").content
    kept.patch(id, 1, name="Anna")
    result = kept.patch(id, 2, hidden=True)
    assert [(face["track"], face["name"]) for face in result["faces"]] == [(1, "Anna")]
    assert result["headline"] == "One face (Anna); it appears happy (90%)."
    after = kept.client.get(f"/api/jobs/{id}/files/annotated.png")
    assert after.status_code == 200
    assert after.content != before  # the hidden face has no box any more
    page = kept.client.get(f"/api/jobs/{id}/files/report.html").text
    assert "Anna" in page
    assert "Face 2" not in page
    assert kept.merge(id, 1, into=2, status=409)["error"]["code"] == "seen_together"


@pytest.mark.parametrize("change", [{"name": "x" * 61}, {"hidden": "perhaps"}, {"colour": "red"}, {"name": 7}])
def test_changes_that_cannot_be(kept: Kept, change: dict[str, Any]) -> None:
    id = kept.job(made(), film=False, pictures=False)
    kept.patch(id, 1, 422, **change)
    kept.patch(id, 9, 404, name="Anna")
    assert kept.get(id)["edited"] is False


def test_files_are_made_once_for_each_change_however_many_ask(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    id = kept.job(made())
    calls: list[str] = []
    write = cluster.write_results

    def counted(*given: Any, **more: Any) -> None:
        calls.append(str(given[1]))
        write(*given, **more)

    monkeypatch.setattr(cluster, "write_results", counted)
    kept.get(id, "files/summary.json")
    assert calls == []
    kept.patch(id, 1, name="Anna")
    kept.get(id, "files/annotated.mp4".replace("annotated.mp4", "summary.json"))
    asking = [threading.Thread(target=kept.client.get, args=(f"/api/jobs/{id}/archive.zip",)) for _ in range(4)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert len(calls) == 1
    kept.patch(id, 1, name="Anne")
    assert kept.get(id, "files/summary.json")["tracks"][0]["name"] == "Anne"
    assert len(calls) == 2
    folder = kept.app.state.jobs.folder(id)
    assert (folder / "edited" / "annotated.mp4").read_bytes() == (folder / "result" / "annotated.mp4").read_bytes()
    assert kept.client.get(f"/api/jobs/{id}").json()["size_bytes"] > 0


def test_changes_at_the_same_time_are_all_kept(kept: Kept) -> None:
    id = kept.job(made(), film=False, pictures=False)
    answers: list[int] = []

    def name(track: int) -> None:
        answers.append(kept.client.patch(f"/api/jobs/{id}/tracks/{track}", json={"name": f"P{track}"}).status_code)

    threads = [threading.Thread(target=name, args=(track,)) for track in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 3
    assert names(kept.get(id)) == ["P1", "P2", "P3"]


def test_edits_outlive_the_server(kept: Kept, settings: Any) -> None:
    from mien.web.app import create_app

    id = kept.job(made(), film=False, pictures=False)
    kept.patch(id, 1, name="Anna")
    kept.client.get(f"/api/jobs/{id}/files/summary.json")
    with TestClient(create_app(settings), base_url=str(kept.client.base_url)) as other:
        assert names(other.get(f"/api/jobs/{id}/result").json())[0] == "Anna"


def test_an_erased_analysis_is_gone_and_comes_not_back(kept: Kept) -> None:
    id = kept.job(made(), film=False)
    kept.patch(id, 1, name="Anna")
    kept.get(id, "files/summary.json")
    assert id in kept.results.held
    assert kept.client.delete(f"/api/jobs/{id}").status_code == 204
    assert kept.get(id, "result", 404)["error"]["code"] == "not_found"
    assert not kept.app.state.jobs.folder(id).exists()
    assert id not in kept.results.held


def test_a_film_of_real_faces(kept: Kept, tmp_path: Path, hopper: Path) -> None:
    """The library's own result of a portrait is what the pages are given."""
    from mien.cluster import AnalysisOptions, analyze_file

    job = kept.app.state.store.create_job(state="done", name="hopper.jpg", media="picture")
    folder = kept.app.state.jobs.folder(job.id)
    folder.mkdir(parents=True)
    analyze_file(hopper, folder / "result", AnalysisOptions(), name="hopper.jpg", keep=folder)
    result = kept.get(job.id)
    with open_media(hopper) as media:
        assert (result["media"]["width"], result["media"]["height"]) == (media.info.width, media.info.height)
    assert len(result["faces"]) == 1
    assert kept.client.get(result["tracks"][0]["still"]).status_code == 200
    assert kept.patch(job.id, 1, name="Grace")["headline"].startswith("One face (Grace); it appears ")
    assert "Grace" in kept.client.get(f"/api/jobs/{job.id}/files/report.html").text
