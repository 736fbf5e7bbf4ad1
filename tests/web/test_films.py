"""Films of studies: whatever is uploaded becomes what every browser plays, or says why not; nothing is lost on the way."""

import hashlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from media_files import click_at, film, gif
from mien.errors import MediaError
from mien.media import film_for_browsers, open_media
from mien.web.studies.films import Films
from serving import Server
from web.conftest import HERE, Opened
from web.studies import EVENT, made

pytestmark = pytest.mark.process

# --- media.film_for_browsers


def streams(path: Path) -> dict[str, Any]:
    with av.open(str(path)) as source:
        video = source.streams.video[0]
        sounds = [sound.codec_context.codec.canonical_name for sound in source.streams.audio]
        return {"video": video.codec_context.name, "pixels": video.codec_context.pix_fmt, "sounds": sounds}


WITHIN_S = 240.0
PLAYS = {"video": "h264", "pixels": "yuv420p"}


def test_what_plays_already_is_copied_byte_for_byte(tmp_path: Path) -> None:
    source = film(tmp_path / "in.mp4", sound="aac")
    shares: list[float | None] = []
    info, anew = film_for_browsers(source, tmp_path / "out.mp4", progress=shares.append)
    assert (anew, info.name, info.has_audio) == (False, "in.mp4", True)
    assert (tmp_path / "out.mp4").read_bytes() == source.read_bytes()
    assert shares[-1] == pytest.approx(1.0, abs=0.05)


def pictures_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as source:
        return [frame.to_ndarray(format="gray").tobytes() for frame in source.decode(video=0)]


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("in.mov", {"sound": "aac"}),
        ("in.mkv", {"sound": "aac"}),
        ("in.mkv", {"sound": "mp3"}),
        ("in.mov", {"sound": "aac", "codec_options": {"preset": "medium", "crf": "18", "bf": "2"}}),
        ("in.mkv", {"sound": "aac", "codec_options": {"preset": "medium", "crf": "18", "bf": "2"}}),
        ("in.mov", {"rotation": 90.0}),
    ],
)
def test_what_plays_but_for_its_container_gets_another_one_and_is_not_made_anew(
    tmp_path: Path, name: str, how: dict[str, Any]
) -> None:
    source = film(tmp_path / name, times=[k / 25 for k in range(50)], click_s=1.2 if "sound" in how else None, **how)
    with open_media(source) as media:
        before = media.info
    info, anew = film_for_browsers(source, tmp_path / "out.mp4")
    assert not anew
    assert (tmp_path / "out.mp4").read_bytes()[4:8] == b"ftyp"
    assert pictures_of(tmp_path / "out.mp4") == pictures_of(source), "pictures were touched"
    assert (info.width, info.height, info.name) == (before.width, before.height, name)
    assert info.duration_s == pytest.approx(2.0, abs=0.1)
    if "sound" in how:
        assert click_at(tmp_path / "out.mp4") == pytest.approx(click_at(source), abs=0.005)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, "out.mp4"]


def test_a_container_that_would_lose_something_is_not_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the film is made anew, as any other."""
    monkeypatch.setattr("mien.media.browser_film.MOVED_MAX_S", -1.0)
    _, anew = film_for_browsers(film(tmp_path / "in.mkv", sound="aac"), tmp_path / "out.mp4")
    assert anew
    assert streams(tmp_path / "out.mp4") == PLAYS | {"sounds": ["aac"]}


@pytest.mark.parametrize(
    ("name", "how", "sounds"),
    [
        ("in.mkv", {"sound": "ac3"}, ["aac"]),
        ("in.avi", {"codec": "mpeg4", "sound": "mp3"}, ["mp3"]),
        ("in.webm", {"codec": "libvpx-vp9", "sound": "libopus"}, ["opus"]),
        ("in.mp4", {"pix_fmt": "yuv444p", "sound": "aac"}, ["aac"]),
        ("in.mp4", {"sound": "ac3"}, ["aac"]),
        ("in.mp4", {"codec": "mpeg4"}, []),
    ],
)
def test_what_does_not_is_made_anew_with_its_sound_in_its_place(
    tmp_path: Path, name: str, how: dict[str, Any], sounds: list[str]
) -> None:
    source = film(tmp_path / name, times=[k / 25 for k in range(50)], click_s=1.2 if "sound" in how else None, **how)
    info, anew = film_for_browsers(source, tmp_path / "out.mp4")
    found = streams(tmp_path / "out.mp4")
    assert anew
    assert {key: found[key] for key in PLAYS} == PLAYS
    assert found["sounds"] == sounds
    assert info.duration_s == pytest.approx(2.0, abs=0.1)
    if sounds:
        assert click_at(tmp_path / "out.mp4") == pytest.approx(click_at(source), abs=0.05)


def test_a_moving_gif_is_a_film_and_a_picture_is_not(tmp_path: Path) -> None:
    info, anew = film_for_browsers(gif(tmp_path / "in.gif", [10, 200, 10]), tmp_path / "out.mp4")
    assert (anew, info.kind) == (True, "video")
    still = gif(tmp_path / "still.gif", [10])
    with pytest.raises(MediaError, match=r"still\.gif: is a picture, but wanted a film"):
        film_for_browsers(still, tmp_path / "no.mp4")
    assert not (tmp_path / "no.mp4").exists()


def test_a_large_film_is_made_no_larger_than_screens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.media.browser_film.BROWSER_SIDE_MAX_PX", 64)
    source = film(tmp_path / "in.mkv", size=(160, 90), codec="mpeg4")
    info, _ = film_for_browsers(source, tmp_path / "out.mp4")
    assert (info.width, info.height) == (64, 36)


@pytest.mark.parametrize("name", ["in.mp4", "in.mkv"])
def test_a_film_that_is_cut_off_is_refused_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    options = {"movflags": "+faststart"} if name == "in.mp4" else {}
    pictures = np.random.default_rng(1).integers(0, 255, (100, 90, 160, 3), dtype=np.uint8)
    source = film(
        tmp_path / name, times=[k / 25 for k in range(100)], pictures=lambda k: pictures[k], size=(160, 90), options=options
    )
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MediaError, match=rf"{name}: cannot decode after \d"):
        film_for_browsers(source, tmp_path / "out.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_what_is_too_long_is_refused(tmp_path: Path) -> None:
    source = film(tmp_path / "in.mp4")
    with pytest.raises(MediaError, match=r"in\.mp4: is 0 min long, but at most 0.005 min are taken; cut it"):
        film_for_browsers(source, tmp_path / "out.mp4", max_film_s=0.3)


# --- through the interface


def upload(client: TestClient, id: str, path: Path, **fields: str) -> dict[str, Any]:
    with path.open("rb") as content:
        answer = client.post(f"/api/studies/{id}/films", files={"file": (path.name, content)}, data=fields)
    assert answer.status_code == 201, answer.text
    study: dict[str, Any] = answer.json()
    return study


def settled(client: TestClient, id: str) -> dict[str, Any]:
    """The study once none of its films is being made ready."""
    end = time.monotonic() + WITHIN_S
    while time.monotonic() < end:
        study: dict[str, Any] = client.get(f"/api/studies/{id}").json()
        if all(one["state"] != "converting" for one in study["films"]):
            return study
        time.sleep(0.05)
    raise AssertionError(study)


def test_an_upload_becomes_a_film_that_plays(client: TestClient, app: FastAPI, tmp_path: Path) -> None:
    id = made(client, stimuli=[])["id"]
    upload(client, id, film(tmp_path / "Night train.mkv", sound="ac3"))
    upload(client, id, film(tmp_path / "b.mp4"), title="Second")
    study = settled(client, id)
    assert study["missing"] == []
    assert [(s["id"], s["title"], s["file"]) for s in study["definition"]["stimuli"]] == [
        ("s1", "Night train", "Night train.mkv"),
        ("s2", "Second", "b.mp4"),
    ]
    one, two = study["films"]
    assert (one["state"], one["converted"], one["sound"], two["converted"], two["sound"]) == ("ready", True, True, False, False)
    for stimulus, shown in zip(study["definition"]["stimuli"], study["films"], strict=True):
        answer = client.get(shown["url"])
        assert answer.headers["Content-Type"] == "video/mp4"
        assert hashlib.sha256(answer.content).hexdigest() == stimulus["sha256"]
        assert len(answer.content) == shown["size_bytes"]
        part = client.get(shown["url"], headers={"Range": "bytes=100-199"})
        assert (part.status_code, part.content) == (206, answer.content[100:200])
        with open_media(app.state.studies.film(id, stimulus["id"])) as media:
            assert media.info.duration_s == pytest.approx(stimulus["duration_s"])
    assert "2 films" in study["definition"]["consent"]["text"]["en"]  # the default text says what is so
    names = sorted(path.name for path in (app.state.studies.folder(id) / "films").iterdir())
    assert names == ["s1.mp4", "s2.mp4"]


def test_a_film_that_cannot_be_read_says_why_and_can_be_given_again(client: TestClient, tmp_path: Path) -> None:
    id = made(client, stimuli=[])["id"]
    (tmp_path / "a.mp4").write_bytes(b"no film" * 1000)
    upload(client, id, tmp_path / "a.mp4", title="Cut")
    study = settled(client, id)
    assert study["films"][0]["state"] == "failed"
    assert study["films"][0]["error"].startswith("a.mp4: is not a picture or film that can be read")
    assert study["missing"] == [{"field": "stimuli", "what": "the film of “Cut”"}]
    assert client.get(f"/api/studies/{id}/films/s1").status_code == 404
    upload(client, id, film(tmp_path / "b.mp4"), stimulus="s1")
    study = settled(client, id)
    assert [(one["id"], one["state"], one["name"]) for one in study["films"]] == [("s1", "ready", "b.mp4")]
    assert study["definition"]["stimuli"][0]["title"] == "Cut"


def test_what_is_no_upload_changes_nothing(client: TestClient, app: FastAPI, tmp_path: Path) -> None:
    id = made(client)["id"]
    path = f"/api/studies/{id}/films"
    assert client.post(path, files={"other": ("a.mp4", b"x")}).status_code == 422
    assert client.post(path, files={"file": ("a.mp4", b"")}).status_code == 422
    assert client.post(path, json={}).status_code == 415
    assert client.post(path, files={"file": ("a.mp4", b"x")}, data={"stimulus": "s9"}).status_code == 404
    assert client.post(path, files={"file": ("a.mp4", b"x")}, data={"stimulus": "s1"}).json()["error"]["code"] == "an_event"
    assert client.post("/api/studies/none/films", files={"file": ("a.mp4", b"x")}).status_code == 404
    assert client.get(f"/api/studies/{id}").json()["films"] == []
    assert list((app.state.studies.folder(id) / "films").iterdir()) == []
    client.post(f"/api/studies/{id}/state", json={"state": "open"})
    assert client.post(path, files={"file": ("a.mp4", b"x")}).json()["error"]["code"] == "open"


def test_a_film_is_taken_away_with_its_place_and_markers(client: TestClient, app: FastAPI, tmp_path: Path) -> None:
    id = made(client, stimuli=[EVENT | {"id": "s2"}])["id"]
    upload(client, id, film(tmp_path / "a.mp4"))
    settled(client, id)
    client.put(f"/api/studies/{id}/markers", json={"markers": [{"id": "m", "stimulus": "s1", "time_s": 0.5}]})
    study = client.delete(f"/api/studies/{id}/films/s1").json()
    assert [one["id"] for one in study["definition"]["stimuli"]] == ["s2"]
    assert (study["films"], study["definition"]["markers"]) == ([], [])
    assert list((app.state.studies.folder(id) / "films").iterdir()) == []
    assert client.delete(f"/api/studies/{id}/films/s1").status_code == 404


def test_duplicates_and_imports_have_the_film_too(client: TestClient, tmp_path: Path) -> None:
    id = made(client, stimuli=[])["id"]
    upload(client, id, film(tmp_path / "a.mp4"))
    settled(client, id)
    content = client.get(f"/api/studies/{id}/films/s1").content
    copy = client.post(f"/api/studies/{id}/duplicate").json()
    exported = client.get(f"/api/studies/{id}/export").json()
    taken = client.post("/api/studies/import", json=exported).json()
    client.delete(f"/api/studies/{id}")
    for study in (copy, taken):
        assert study["missing"] == []
        assert client.get(f"/api/studies/{study['id']}/films/s1").content == content
        client.delete(f"/api/studies/{study['id']}")
    elsewhere = client.post("/api/studies/import", json=exported).json()
    assert elsewhere["missing"] == [{"field": "stimuli", "what": "the film of “a”"}]
    assert elsewhere["definition"]["stimuli"][0]["file"] == "a.mp4"


WAITS = "import time; print('{\"progress\": 0.25}', flush=True); time.sleep(600)"
CRASHES = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


def test_a_film_that_is_worked_on_goes_with_its_study(client: TestClient, app: FastAPI, tmp_path: Path) -> None:
    films: Films = app.state.films
    films.command = [sys.executable, "-c", WAITS]
    id, other = made(client, stimuli=[])["id"], made(client, stimuli=[])["id"]
    first = upload(client, id, film(tmp_path / "Night train.mp4"))
    assert first["missing"] == [{"field": "stimuli", "what": "the film of “Night train”, which is being made ready"}]
    assert first["films"][0]["state"] == "converting"
    end = time.monotonic() + WITHIN_S
    while client.get(f"/api/studies/{id}").json()["films"][0]["share"] != 0.25:
        assert time.monotonic() < end
        time.sleep(0.05)
    upload(client, other, tmp_path / "Night train.mp4")  # waits
    assert client.delete(f"/api/studies/{id}").json()["left"] == {"rows": 0, "files": 0}  # and did not wait for the process
    assert not app.state.studies.folder(id).exists()
    assert client.delete(f"/api/studies/{other}/films/s1").status_code == 200


def test_a_process_that_dies_is_told(client: TestClient, app: FastAPI, tmp_path: Path) -> None:
    app.state.films.command = [sys.executable, "-c", CRASHES]
    id = made(client, stimuli=[])["id"]
    upload(client, id, film(tmp_path / "a.mp4"))
    assert settled(client, id)["films"][0]["error"].startswith("a.mp4: cannot be made ready; export it again")


def test_a_study_can_be_changed_while_its_film_is_sent(tmp_path: Path) -> None:
    """The editor saves by itself, and a large film takes minutes."""
    content = film(tmp_path / "a.mp4").read_bytes()
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    with Server(tmp_path / "data") as server, server.client() as client, server.client() as editor:
        id = client.post("/api/studies", json={"title": "Night train"}).raise_for_status().json()["id"]
        films = tmp_path / "data" / "studies" / id / "films"

        def body() -> Iterator[bytes]:
            yield head + content[:1000]
            end = time.monotonic() + WITHIN_S
            while not films.is_dir():
                assert time.monotonic() < end, "the upload was not begun"
                time.sleep(0.02)
            editor.patch(f"/api/studies/{id}", json={"title": "Night train, second cut"}).raise_for_status()
            yield content[1000:] + b"\r\n--x--\r\n"

        sent = client.post(
            f"/api/studies/{id}/films", content=body(), headers={"Content-Type": "multipart/form-data; boundary=x"}
        ).raise_for_status()
        assert [one["name"] for one in sent.json()["films"]] == ["a.mp4"]
        assert sent.json()["title"] == "Night train, second cut"


def test_the_next_server_goes_on_with_what_was_unfinished(opened: Opened, tmp_path: Path) -> None:
    first = opened()
    app: Any = first.app
    app.state.films.command = [sys.executable, "-c", WAITS]
    id = made(first, stimuli=[])["id"]
    upload(first, id, film(tmp_path / "a.mp4"))
    upload(first, id, tmp_path / "a.mp4", title="lost")
    first.__exit__(None, None, None)
    (app.state.studies.incoming(id, "s2") / "upload.bin").unlink()
    from mien.web.app import create_app

    with TestClient(create_app(app.state.settings), base_url=HERE) as second:
        study = settled(second, id)
        assert [one["state"] for one in study["films"]] == ["ready", "failed"]
        assert study["films"][1]["error"] == "a.mp4: its upload is not there any more; upload it again"
