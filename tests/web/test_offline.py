"""`mien study …`: on a data folder, without the server and beside one that runs."""

import csv
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.sync.client import connect

from browser import films
from media_files import film
from mien.cli import main
from mien.web.capture.wire import FrameHead, pack_frame
from serving import PATIENCE_S, Server
from web.studies import EVENT, QUESTIONS
from web.test_participant_live import frame_of_a_portrait

pytestmark = pytest.mark.process

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """run("list", …) -> (exit code, what was printed, what was complained)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main(["study", *map(str, arguments), "--data", str(tmp_path / "data")])
        said = capsys.readouterr()
        return code, said.out.strip(), said.err.strip()

    return call


def test_a_study_is_made_listed_exported_and_erased(run: Run, tmp_path: Path) -> None:
    assert run("list") == (0, "", "no studies yet; make one with: mien study new --title TEXT")
    source = film(tmp_path / "Night train.mkv", sound="aac")
    code, id, said = run(
        "new", "--title", "Night train", "--purpose", "film_test", "--contact", "ada@example.org", "--film", source
    )
    assert (code, said, len(id)) == (0, "", 16)
    code, listed, _ = run("list")
    assert listed.split() == [id, "draft", listed.split()[2], "0", "agreed,", "0", "finished", "Night", "train"]
    code, text, _ = run("export", id[:6])
    assert json.loads(text)["stimuli"][0]["file"] == "Night train.mkv"
    assert run("export", id, "--out", tmp_path / "study.json")[0] == 0
    code, copy, said = run("new", tmp_path / "study.json", "--title", "Again")
    assert (code, said) == (0, "")  # its film is here already
    facts = [json.loads(line) for line in run("list", "--json")[1].splitlines()]
    assert [(fact["id"], fact["title"]) for fact in facts] == [(copy, "Again"), (id, "Night train")]
    code, said, complaint = run("erase", id)
    assert (code, said) == (2, "")
    assert complaint.endswith("cannot be undone, and nobody can be asked here; say --yes")
    code, said, _ = run("erase", id, "--yes")
    assert (code, said.splitlines()[1]) == (0, "left: 0 rows, 0 files")
    assert [path.name for path in (tmp_path / "data" / "studies").iterdir()] == [copy]
    assert run("erase", id, "--yes")[0] == 1
    assert (tmp_path / "data").stat().st_mode & 0o77 == 0


def test_a_report_is_written_for_a4_and_letter(run: Run, tmp_path: Path) -> None:
    import pypdfium2

    (tmp_path / "study.json").write_text(
        json.dumps({"title": "Night train", "purpose": "film_test", "stimuli": [EVENT]} | QUESTIONS)
    )
    _, id, said = run("new", tmp_path / "study.json")
    assert said == "still needed before it can be opened: who runs it, and how to reach them"
    for paper, size in (("a4", (595, 842)), ("letter", (612, 792))):
        out = tmp_path / paper
        code, said, complaint = run("report", id, "--out", out, "--paper", paper)
        assert (code, complaint) == (0, "")
        assert said.startswith("Night train: No viewers so far")
        assert sorted(path.name for path in out.iterdir()) == [
            "answers.csv", "director.html", "director.pdf", "director.pptx", "funnel.csv", "long.csv", "moments.csv", "review.html",
            "review.json", "review.pdf", "viewers.csv", "wide.csv",
        ]  # fmt: skip
        with pypdfium2.PdfDocument(out / "review.pdf") as paper_file:
            assert [round(side) for side in paper_file[0].get_size()] == list(size)
        assert json.loads((out / "review.json").read_text())["title"] == "Night train"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("new", "--purpose", "workplace"), "Article 5(1)(f)"),
        (("new", "--purpose", "fun"), "purpose: wanted one of film_test"),
        (("new", "--film", "nothing.mp4"), "nothing.mp4: there is no such file"),
        (("new", "nothing.json"), "nothing.json: No such file or directory"),
        (("export", "none"), "'none': wanted the id of a study, but no study of"),
        (("report", "none"), "'none': wanted the id of a study"),
        (("erase", "none", "--yes"), "'none': wanted the id of a study"),
    ],
)
def test_what_cannot_be_is_one_line(run: Run, arguments: tuple[str, ...], words: str) -> None:
    code, said, complaint = run(*arguments)
    assert (code, said) == (1, "")
    assert words in complaint
    assert complaint.startswith("mien: ")
    assert "\n" not in complaint


def test_a_film_that_cannot_be_read_makes_no_study(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no film" * 100)
    code, _, complaint = run("new", "--title", "x", "--film", tmp_path / "a.mp4")
    assert code == 1
    assert "a.mp4: is not a picture or film that can be read" in complaint
    assert run("list")[1] == ""
    assert list((tmp_path / "data" / "studies").iterdir()) == []
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{")
    assert "is no JSON, but wanted a study" in run("new", wrong)[2]
    wrong.write_text("[]")
    assert "but got a list" in run("new", wrong)[2]


def test_it_works_beside_a_server_that_runs(run: Run, tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server, server.client() as client:
        _, id, _ = run("new", "--title", "Night train", "--purpose", "film_test", "--contact", "ada@example.org")
        client.patch(f"/api/studies/{id}", json={"stimuli": [EVENT]}).raise_for_status()
        client.post(f"/api/studies/{id}/state", json={"state": "open"}).raise_for_status()
        invitation = client.post(f"/api/studies/{id}/invitations", json={}).raise_for_status().json()["id"]
        version = client.get(f"/api/take-part/{invitation}").json()["study"]["consent"]["version"]
        agreed = {"language": "en", "version": version, "pictures": False}
        code = client.post(f"/api/take-part/{invitation}/consent", json=agreed).raise_for_status().json()["code"]
        mine = {"X-Participant-Code": code}
        assert client.get("/api/participant", headers=mine).status_code == 200
        assert "1 agreed" in run("list")[1]
        exit_code, said, _ = run("erase", id, "--viewer", "1", "--yes")
        assert (exit_code, said.splitlines()) == (0, ["erased: 1 rows, 0 files, 0 bytes", "left: 0 rows, 0 files"])
        assert client.get("/api/participant", headers=mine).status_code == 401
        assert run("erase", id, "--viewer", "1", "--yes")[0] == 1
        assert run("erase", id, "--yes")[0] == 0
        assert client.get(f"/api/studies/{id}").status_code == 404


def test_what_was_measured_is_reported_exported_and_erased(run: Run, tmp_path: Path) -> None:
    """Real faces: a participant with pictures through the socket, two viewers of a room from a film."""
    portrait = frame_of_a_portrait()
    (tmp_path / "study.json").write_text(
        json.dumps(
            {"title": "Night train", "purpose": "film_test", "contact": "ada@example.org", "keep": "pictures", "smallest_group": 2}
            | {"stimuli": [EVENT | {"duration_s": 4}]}
            | QUESTIONS
        )
    )
    _, id, said = run("new", tmp_path / "study.json")
    assert said == ""
    with Server(tmp_path / "data") as server, server.client() as client:
        client.post(f"/api/studies/{id}/state", json={"state": "open"}).raise_for_status()
        invitation = client.post(f"/api/studies/{id}/invitations", json={}).raise_for_status().json()["id"]
        agreed = {"language": "en", "version": 1, "pictures": True}
        code = client.post(f"/api/take-part/{invitation}/consent", json=agreed).raise_for_status().json()["code"]
        for step in ("before", "camera", "film:0"):
            client.post("/api/participant/step", json={"step": step}, headers={"X-Participant-Code": code}).raise_for_status()
        address = f"ws://127.0.0.1:{server.port}/api/participant/live"
        with connect(address, open_timeout=PATIENCE_S, ping_timeout=None) as socket:
            socket.send(json.dumps({"type": "hello", "code": code, "stimulus": "s1"}))
            assert json.loads(socket.recv())["type"] == "ready"
            for k in range(8):
                socket.send(pack_frame(FrameHead(k, 100 + k / 2, film_s=k / 2), portrait))
                assert json.loads(socket.recv())["kept"]
        with films.both_film(tmp_path / "audience.mp4").open("rb") as content:
            form = {"stimulus": "s1", "agreed": "true"}
            client.post(f"/api/studies/{id}/rooms", data=form, files={"file": ("audience.mp4", content)}).raise_for_status()
        end = time.monotonic() + 240
        while client.get(f"/api/studies/{id}/rooms/1").json()["state"] != "ready":
            assert time.monotonic() < end
            time.sleep(0.1)

    def measured(out: str) -> set[str]:
        assert run("report", id, "--out", tmp_path / out)[0] == 0
        with (tmp_path / out / "long.csv").open(encoding="utf-8", newline="") as file:
            return {row["viewer"] for row in csv.DictReader(file) if row["seen"] == "1"}

    assert measured("all") == {"1", "R1-1", "R1-2"}
    review = json.loads((tmp_path / "all" / "review.json").read_text(encoding="utf-8"))
    assert (review["counts"]["measured"], review["counts"]["rooms"], review["hidden"]) == (3, 1, None)
    assert None not in review["stimuli"][0]["curves"]["raw"]["happiness"]["mean"][:6]

    code, said, _ = run("export", id, "--viewer", "R1-1", "--out", tmp_path / "face.json")
    assert (code, said) == (0, f"viewer: {tmp_path / 'face.json'}")
    assert len(json.loads((tmp_path / "face.json").read_text())["looks"]) >= 4
    assert run("export", id, "--viewer", "1", "--out", tmp_path / "one.zip")[0] == 0
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert len(json.loads(archive.read("participant.json"))["measured"]["s1"]["looks"]) == 8
        assert archive.read("pictures/s1/00008-3.50s.jpg") == portrait
    assert run("export", id, "--viewer", "2")[0] == 1

    for viewer, left in (("R1-1", {"1", "R1-2"}), ("1", {"R1-2"})):
        code, said, _ = run("erase", id, "--viewer", viewer, "--yes")
        assert (code, said.splitlines()[1]) == (0, "left: 0 rows, 0 files")
        assert measured(f"without {viewer}") == left
    holding = [path for path in (tmp_path / "data").rglob("*") if path.is_file() and portrait[:64] in path.read_bytes()]
    assert holding == []
    review = json.loads((tmp_path / "without 1" / "review.json").read_text(encoding="utf-8"))
    assert (review["hidden"], review["stimuli"][0]["curves"]) == ("1 viewer so far; results are shown from 2.", None)
