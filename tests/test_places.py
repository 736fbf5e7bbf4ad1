"""Sources and results in object stores: in memory, and in an S3 of moto's on this machine."""

import csv
import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fakes import FakeOptions
from mien.cluster import Outcome, analyze_file, analyze_files, is_result, result_folders
from mien.errors import MediaError, ModelError
from mien.gather import gather
from mien.manifest import Manifest
from mien.places import create, fetched, is_remote, place, stamp
from serving import PATIENCE_S, KeptPort
from test_cluster import portrait, short_film

OPTIONS = FakeOptions(annotated=False, pictures=False)


@pytest.mark.parametrize(
    ("given", "remote"),
    [
        ("talk.mp4", False),
        ("/films/a:b.mp4", False),
        ("https://films.example.org/a.mp4", False),
        ("rtsp://camera/1", False),
        ("file:///a.mp4", False),
        ("s3://bucket/a.mp4", True),
        ("gs://bucket/a.mp4", True),
        ("memory://a.mp4", True),
    ],
)
def test_what_lies_in_a_store(given: str, remote: bool) -> None:
    assert is_remote(given) == remote


def test_a_store_that_nothing_installed_reaches_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "upath", None)
    with pytest.raises(ModelError, match=r"s3://b/a.mp4: cannot be reached .*; run: pip install 'mien\[cloud\]'"):
        place("s3://b/a.mp4")


@pytest.fixture
def memory(request: pytest.FixtureRequest) -> Iterator[str]:
    """An address in memory that holds nothing."""
    pytest.importorskip("upath")
    root = place(f"memory://{request.node.name}")
    yield str(root)
    for path in sorted(root.rglob("*"), key=str, reverse=True):
        if path.is_file():
            path.unlink()


def put(address: str, file: Path) -> str:
    target = place(address)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(file.read_bytes())
    return address


def run(sources: list[str], out: Path) -> dict[str, Outcome]:
    folders = result_folders(sources, out)
    return {o.source: o for o in analyze_files(sources, folders, OPTIONS, manifest=Manifest(out), resume=True)}


@pytest.mark.more
def test_results_go_to_a_store_whole_and_are_not_made_twice(memory: str, tmp_path: Path) -> None:
    film = put(f"{memory}/films/a.mp4", short_film(tmp_path / "a.mp4"))
    picture = put(f"{memory}/films/b.png", portrait(tmp_path / "b.png"))
    missing, out = f"{memory}/films/c.mp4", place(f"{memory}/results")
    first = run([film, picture, missing], out)
    assert {name: o.folder and place(o.folder).name for name, o in first.items()} == {
        film: "a.mien",
        picture: "b.mien",
        missing: None,
    }
    assert first[film].summary is not None
    assert first[film].summary["media"]["name"] == film
    assert f"{missing}: cannot be fetched" in str(first[missing].error)
    analyze_file(tmp_path / "a.mp4", tmp_path / "alone", OPTIONS)
    for table in ("faces.csv", "timeline.csv", "episodes.csv"):
        assert (out / "a.mien" / table).read_text() == (tmp_path / "alone" / table).read_text()
    again = run([film, picture, missing], out)
    assert [o.summary for o in again.values()] == [None, None, None]
    assert "(in an earlier run; --retry-failed tries it again)" in str(again[missing].error)

    put(film, short_film(tmp_path / "longer.mp4", 12))
    (out / "b.mien" / "summary.json").unlink()  # as where sending broke off
    assert not is_result(out / "b.mien")
    third = run([film, picture], out)
    assert {name: o.summary["faces"] if o.summary else None for name, o in third.items()} == {film: 12, picture: 1}

    gathered = gather(out)
    assert gathered.counts == {"done": 2, "failed": 1}
    with (out / "files.csv").open(newline="", encoding="utf-8") as file:
        assert {row["file"]: row["status"] for row in csv.DictReader(file)} == {film: "done", picture: "done", missing: "failed"}
    assert 'href="a.mien/report.html"' in (out / "index.html").read_text(encoding="utf-8")
    assert len((out / "faces.csv").read_text().splitlines()) == 1 + 12 + 1


def test_a_claim_in_a_store_is_one_process_s_and_is_taken_over_once_that_is_gone(memory: str) -> None:
    manifest = Manifest(place(memory))
    with manifest.claim("a.mien") as ours:
        assert ours
        assert manifest.is_claimed("a.mien")
        with manifest.claim("a.mien") as second:
            assert not second
    assert not manifest.is_claimed("a.mien")
    with manifest.claim("b.mien"):
        claim = manifest.folder / "b.mien.claim"
        claim.write_text(claim.read_text().replace(f'"pid": {os.getpid()}', f'"pid": {2**22 + 1}'))
        with manifest.claim("b.mien") as taken_over:
            assert taken_over


def test_a_file_is_made_once_and_its_change_is_seen(memory: str, tmp_path: Path) -> None:
    file = place(f"{memory}/a.txt")
    create(file, "one")
    with pytest.raises(FileExistsError):
        create(file, "two")
    before = stamp(str(file))
    assert file.read_text() == "one"
    file.write_text("three")
    assert stamp(str(file)) != before
    with fetched(str(file)) as here:
        assert Path(here).read_text() == "three"
    assert not Path(here).exists()
    with pytest.raises(MediaError, match="cannot be fetched"), fetched(f"{memory}/none.mp4"):
        pass


@pytest.mark.more
@pytest.mark.process
@pytest.mark.extras
def test_shards_and_a_cluster_share_an_s3(hopper: Path, tmp_path: Path) -> None:
    for package in ("upath", "s3fs", "moto", "flask", "flask_cors", "distributed"):
        pytest.importorskip(package)
    port = KeptPort()
    address = f"http://127.0.0.1:{port.number}"
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
    environment = os.environ | keys | {"AWS_ENDPOINT_URL": address}
    with subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port.number)], stderr=subprocess.DEVNULL
    ) as s3:
        try:
            with httpx.Client(base_url=address, timeout=PATIENCE_S) as client:
                end = time.monotonic() + PATIENCE_S
                while True:
                    try:
                        client.put("/films").raise_for_status()
                        break
                    except httpx.TransportError:
                        assert time.monotonic() < end
                        time.sleep(0.1)
                client.put("/out").raise_for_status()
                names = [f"{k}.jpg" for k in range(3)]
                for name in names:
                    client.put(f"/films/{name}", content=hopper.read_bytes()).raise_for_status()
                films = tmp_path / "films.txt"
                films.write_text("".join(f"s3://films/{name}\n" for name in names))

                def python(*arguments: str) -> str:
                    command = [sys.executable, *arguments]
                    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S)
                    assert done.returncode == 0, done.stdout + done.stderr
                    return done.stdout

                def mien(*arguments: str) -> str:
                    return python("-m", "mien", *arguments)

                def content(name: str) -> str:
                    read = "import sys; from mien.places import place; print(place(sys.argv[1]).read_text(), end='')"
                    return python("-c", read, f"s3://out/run/{name}")

                options = ("analyze", str(films), "--out", "s3://out/run", "--no-video")
                assert "shard 1/2: 2 of 2 files done" in mien(*options, "--shard", "1/2")
                told = mien(*options, "--cluster", "local")
                assert told.count("done before: s3://out/run/") == 2
                assert "3 of 3 files done; index: s3://out/run/files.csv" in told
                assert "s3://out/run/index.html" in mien("gather", "s3://out/run")
                mien("analyze", str(hopper), "--out", str(tmp_path / "alone"), "--no-video")
                assert content("2.mien/faces.csv") == (tmp_path / "alone" / "faces.csv").read_text()
                rows = csv.DictReader(io.StringIO(content("files.csv")))
                assert {row["file"]: row["status"] for row in rows} == {f"s3://films/{name}": "done" for name in names}
        finally:
            s3.terminate()
