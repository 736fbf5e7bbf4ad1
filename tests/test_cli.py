import csv
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any

import cv2
import numpy as np
import pytest

from docs_scripts import DOCS, script
from fakes import LABELS, Square, frames, scene, tiny_bundle, write_film
from media_files import film, png_header, sound_only
from mien import __version__, cli, terminal
from mien.cli import main
from mien.cluster import RESULT_FILES
from mien.errors import MienError, ModelError
from mien.media import read_picture, write_picture
from mien.models import DEFAULT_MODEL, load_model, sha256_of
from test_cluster import ANALYZER, cut_film, short_film

HERE = Path(__file__).parent
FACE: Square = (40, 30, 50, "happiness")


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    """`main` takes SIGTERM for itself; a program that is made of it may."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def _fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights: fake faces in fake colours."""
    monkeypatch.setattr("mien.cluster.AnalysisOptions.analyzer", lambda self: ANALYZER)


def call(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command."""
    capsys.readouterr()
    try:
        code = main([str(a) for a in arguments])
    except SystemExit as end:
        code = int(end.code or 0)
    out = capsys.readouterr()
    return code, out.out, out.err


def listing(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def results(folder: Path) -> list[str]:
    """What a run over several files leaves, without the table that comes where pyarrow is installed."""
    return sorted(p.name for p in folder.iterdir() if p.suffix != ".parquet")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# --- bad input: one line, the right exit code, nothing left behind


def _missing(place: Path) -> list[str]:
    return ["analyze", "nowhere.mp4"]


def _empty(place: Path) -> list[str]:
    (place / "empty.mp4").write_bytes(b"")
    return ["analyze", "empty.mp4"]


def _cut_picture(place: Path) -> list[str]:
    write_picture(place / "whole.png", np.random.default_rng(0).integers(0, 255, (200, 200, 3)).astype(np.uint8))
    (place / "cut.png").write_bytes((place / "whole.png").read_bytes()[:40_000])
    return ["analyze", "cut.png"]


def _cut_film(place: Path) -> list[str]:
    whole = short_film(place / "whole.mp4").read_bytes()
    (place / "cut.mp4").write_bytes(whole[: len(whole) // 3])
    return ["analyze", "cut.mp4"]


def _text_named_mp4(place: Path) -> list[str]:
    (place / "story.mp4").write_text("Once upon a time\n" * 200)
    return ["analyze", "story.mp4"]


def _playlist_named_mp4(place: Path) -> list[str]:
    (place / "list.mp4").write_text("#EXTM3U\n#EXTINF:10,\n/etc/passwd\n#EXT-X-ENDLIST\n")
    return ["analyze", "list.mp4"]


def _audio_only(place: Path) -> list[str]:
    sound_only(place / "sound.mp4")
    return ["analyze", "sound.mp4"]


def _zero_frames(place: Path) -> list[str]:
    path = film(place / "none.avi", codec="mpeg4")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"movi") + 4])
    return ["analyze", "none.avi"]


def _enormous(place: Path) -> list[str]:
    (place / "huge.png").write_bytes(png_header(60_000, 60_000))
    return ["analyze", "huge.png"]


def _folder_without_media(place: Path) -> list[str]:
    (place / "papers").mkdir()
    (place / "papers" / "notes.txt").write_text("x")
    return ["analyze", "papers"]


def _no_such_camera(place: Path) -> list[str]:
    return ["live", "--source", "97"]


def _no_such_device(place: Path) -> list[str]:
    return ["live", "--source", "/dev/video97"]


def _no_such_address(place: Path) -> list[str]:
    return ["live", "--source", "rtsp://127.0.0.1:9/none"]


def _with_model(place: Path, **changes: Any) -> list[str]:
    tiny_bundle(place / "model", **changes)
    write_picture(place / "p.png", scene([FACE]))
    return ["analyze", "p.png", "--model", "model"]


def _wrong_hash(place: Path) -> list[str]:
    return _with_model(place, sha256="0" * 64)


def _wrong_label_count(place: Path) -> list[str]:
    return _with_model(place, outputs={"faces": 5})


def _broken_json(place: Path) -> list[str]:
    command = _with_model(place)
    (place / "model" / "model.json").write_text("{")
    return command


def _no_such_model(place: Path) -> list[str]:
    return [*_with_model(place)[:2], "--model", "emotion-x"]


def _not_a_model(place: Path) -> list[str]:
    (place / "empty").mkdir()
    return [*_with_model(place)[:2], "--model", "empty"]


def _foreign_out(place: Path) -> list[str]:
    command = _with_model(place)
    (place / "p.mien").write_text("mine")
    return command


def _foreign_index(place: Path) -> list[str]:
    command = _with_model(place)
    (place / "files.csv").write_text("mine")
    return ["analyze", "whole.png", *command[1:]]


def _no_recipe(place: Path) -> list[str]:
    return ["train", "nowhere.toml", "--data", "."]


def _unknown_key(place: Path) -> list[str]:
    (place / "r.toml").write_text('name = "r"\nepoch = 3\n')
    return ["train", "r.toml", "--data", "."]


def _no_data(place: Path) -> list[str]:
    return ["evaluate", "default", "--data", ".", "--protocol", "fer2013"]


def _binary_data(place: Path) -> list[str]:
    for name in ("fer2013.csv", "fer2013new.csv"):
        (place / name).write_bytes(bytes(range(256)) * 10)
    return ["evaluate", "default", "--data", ".", "--protocol", "fer2013"]


def _no_run(place: Path) -> list[str]:
    return ["export", "nowhere", "--data", ".", "--out", "made"]


def _not_a_run(place: Path) -> list[str]:
    (place / "run").mkdir()
    (place / "run" / "recipe.json").write_text("[]")
    return ["export", "run", "--data", ".", "--out", "made"]


def _wrong_download(place: Path) -> list[str]:
    (place / "m.zip").write_bytes(b"x")
    return ["models", "pull", "m", "--url", (place / "m.zip").as_uri(), "--sha256", "0" * 64]


BAD: list[tuple[Callable[[Path], list[str]], str]] = [
    (_missing, r"nowhere\.mp4"),
    (_empty, r"empty\.mp4: .*empty"),
    (_cut_picture, r"cut\.png: "),
    (_cut_film, r"cut\.mp4: .*cut off"),
    (_text_named_mp4, r"story\.mp4: is not a picture or film"),
    (_playlist_named_mp4, r"list\.mp4: is not a picture or film"),
    (_audio_only, r"sound\.mp4: holds sound \(aac\) but no film"),
    (_zero_frames, r"none\.avi: holds no frame that can be decoded"),
    (_enormous, r"huge\.png: .*60,?000"),
    (_folder_without_media, r"papers: is a folder without pictures or films"),
    (_no_such_camera, r"97"),
    (_no_such_device, r"video97"),
    (_no_such_address, r"127\.0\.0\.1"),
    (_wrong_hash, r"model: model\.onnx is damaged or was exchanged"),
    (_wrong_label_count, r"model: head 'faces' gives 5 values for 3 labels"),
    (_broken_json, r"model: model\.json cannot be read"),
    (_no_such_model, rf"no model 'emotion-x'; known: {DEFAULT_MODEL}"),
    (_not_a_model, r"empty: wanted a model folder"),
    (_foreign_out, r"p\.mien: is there already and is not a result of mien"),
    (_foreign_index, r"files\.csv: is there already and is not an index of mien"),
    (_no_recipe, r"nowhere\.toml: cannot be read"),
    (_unknown_key, r"r\.toml: unknown key 'epoch'; known: name, network"),
    (_no_data, r"wanted fer2013\.csv and fer2013new\.csv"),
    (_binary_data, r"fer2013\.csv"),
    (_no_run, r"nowhere: wanted a run folder with recipe\.json"),
    (_not_a_run, r"run: wanted a run folder with recipe\.json"),
    (_wrong_download, r"m: wanted sha256 000000000000…"),
]


def bad_id(row: Any) -> str:
    return str(row.__name__).strip("_") if callable(row) else ""


@pytest.mark.extras
@pytest.mark.parametrize(("make", "says"), BAD, ids=bad_id)
def test_bad_input(here: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], list[str]], says: str) -> None:
    command = make(here)
    before = {p: p.read_bytes() for p in here.rglob("*") if p.is_file()}
    folders = listing(here)
    code, out, err = call(capsys, *command)
    assert code == 1
    assert err.startswith("mien: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert "Traceback" not in err
    assert re.search(says, err), err
    assert out == ""
    assert listing(here) == folders
    assert {p: p.read_bytes() for p in here.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("make", [_missing, _wrong_hash, _unknown_key], ids=bad_id)
@pytest.mark.parametrize("first", [True, False])
def test_debug_raises(here: Path, make: Callable[[Path], list[str]], first: bool) -> None:
    command = make(here)
    with pytest.raises(MienError):
        main(["--debug", *command] if first else [*command, "--debug"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["analyze"],
        ["analyze", "a.mp4", "--every", "-1"],
        ["analyze", "a.mp4", "--every", "nan"],
        ["analyze", "a.mp4", "--every", "often"],
        ["analyze", "a.mp4", "--jobs", "0"],
        ["analyze", "a.mp4", "--jobs", "1.5"],
        ["analyze", "a.mp4", "--detector", "dlib"],
        ["analyze", "a.mp4", "--detector", "haar", "--threshold", "0.5"],
        ["analyze", "a.mp4", "--threshold", "7"],
        ["analyze", "a.mp4", "--max-side", "4"],
        ["analyze", "a.mp4", "--find-face", "0"],
        ["analyze", "a.mp4", "--detector", "haar", "--find-face", "20"],
        ["analyse", "a.mp4"],
        ["evaluate", "default", "--data", ".", "--protocol", "imagenet"],
        ["models", "pull", "x"],
        [],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2(here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    code, out, err = call(capsys, *arguments)
    assert code == 2
    assert "Traceback" not in err
    assert err if arguments else "usage: mien" in out
    assert listing(here) == []


def test_a_picture_without_faces_is_a_result(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_picture(here / "wall.png", scene([]))
    code, out, err = call(capsys, "analyze", "wall.png")
    assert (code, err) == (0, "")
    assert rows(here / "wall.mien" / "faces.csv") == []
    (frame,) = rows(here / "wall.mien" / "timeline.csv")
    assert frame["faces"] == "0"
    assert "wall.png: " in out


def test_a_picture_of_one_pixel_is_a_result(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_picture(here / "dot.png", np.zeros((1, 1, 3), np.uint8))
    code, _, err = call(capsys, "analyze", "dot.png")
    assert (code, err) == (0, "")
    assert rows(here / "dot.mien" / "faces.csv") == []


def test_a_picture_by_another_name_is_a_picture(here: Path, capsys: pytest.CaptureFixture[str], astronaut: Path) -> None:
    shutil.copy(astronaut, here / "portrait.mp4")
    code, _, _ = call(capsys, "analyze", "portrait.mp4", "--no-video")
    assert code == 0
    assert len(rows(here / "portrait.mien" / "faces.csv")) == 1


@pytest.mark.usefixtures("_fakes")
def test_a_damaged_film_is_a_result_and_an_error(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut_film(here / "cut.mkv")
    code, out, err = call(capsys, "analyze", "cut.mkv", "--no-video")
    assert code == 1
    assert re.fullmatch(r"mien: cut\.mkv: cannot decode after .*; what comes before is good\n", err)
    assert len(rows(here / "cut.mien" / "faces.csv")) > 5
    assert str(Path("cut.mien", "report.html")) in out


@pytest.mark.usefixtures("_fakes")
def test_one_broken_file_of_several_does_not_stop_the_others(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "in").mkdir()
    for name in ("a", "c"):
        write_picture(here / "in" / f"{name}.png", scene([FACE]))
    (here / "in" / "b.mp4").write_bytes(b"no film")
    (here / "in" / "notes.txt").write_text("left alone")
    code, out, err = call(capsys, "analyze", "in", "--out", "results", "--no-video")
    assert code == 1
    assert err.count("\n") == 1
    assert "b.mp4: is not a picture or film" in err
    assert "2 of 3 files done; index: results/files.csv" in out
    assert "1 skipped\nall faces: results/faces.csv\n" in out
    assert results(Path("results")) == [".manifest", "a.mien", "c.mien", "faces.csv", "files.csv"]
    assert [r["status"] for r in rows(here / "results" / "files.csv")] == ["done", "failed", "done", "skipped"]
    assert [r["file"] for r in rows(here / "results" / "faces.csv")] == ["in/a.png", "in/c.png"]


# --- analyze


def test_analyze_writes_every_file_of_the_design(here: Path, capsys: pytest.CaptureFixture[str], astronaut: Path) -> None:
    shutil.copy(astronaut, here / "talk.png")
    code, out, err = call(capsys, "analyze", "talk.png")
    assert (code, err) == (0, "")
    assert set(os.listdir("talk.mien")) == {*RESULT_FILES, "annotated.png", "emotions.png"}
    (row,) = rows(here / "talk.mien" / "faces.csv")
    assert row["expression"] == "happiness"
    labels = load_model().spec.head().labels
    assert sum(float(row[name]) for name in labels) == pytest.approx(1, abs=1e-3)
    assert out == f"talk.png: {json.loads(Path('talk.mien/summary.json').read_text())['headline']}\nreport: talk.mien/report.html\n"


@pytest.mark.usefixtures("_fakes")
@pytest.mark.parametrize(("every", "times"), [("0", 12), ("0.5", 3), ("0.25", 5)])
def test_every(here: Path, capsys: pytest.CaptureFixture[str], every: str, times: int) -> None:
    short_film(here / "talk.mp4", n=12)  # frames at 0, .1, …, 1.1 s
    assert call(capsys, "analyze", "talk.mp4", "--every", every, "--no-video")[0] == 0
    assert len(rows(here / "talk.mien" / "timeline.csv")) == times
    assert json.loads(Path("talk.mien/summary.json").read_text())["settings"]["every_s"] == (float(every) or None)


@pytest.mark.usefixtures("_fakes")
def test_json_is_a_line_per_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "ab":
        write_picture(here / f"{name}.png", scene([FACE]))
    code, out, err = call(capsys, "analyze", "a.png", "missing.png", "b.png", "--json", "--no-video")
    assert code == 1
    assert "missing.png" in err
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["folder"] for line in lines] == ["a.mien", "b.mien"]
    assert [line["faces"] for line in lines] == [1, 1]
    assert lines[0]["labels"] == list(LABELS)


@pytest.mark.usefixtures("_fakes")
def test_json_tells_of_files_that_were_done_before_too(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "ab":
        write_picture(here / f"{name}.png", scene([FACE]))
    _, first, _ = call(capsys, "analyze", "a.png", "b.png", "--json", "--no-video")
    _, second, _ = call(capsys, "analyze", "a.png", "b.png", "--json", "--no-video", "--resume")
    assert [json.loads(line) for line in second.splitlines()] == [json.loads(line) for line in first.splitlines()]


def test_what_nobody_thought_of_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> None:
        raise RuntimeError("the wheel\ncame off")

    monkeypatch.setattr("mien.models.known_models", broken)
    code, out, err = call(capsys, "models", "list")
    assert (code, out) == (1, "")
    assert err == "mien: failed unexpectedly (RuntimeError: the wheel came off); --debug shows where\n"
    with pytest.raises(RuntimeError, match="the wheel"):
        main(["--debug", "models", "list"])


@pytest.mark.usefixtures("_fakes")
def test_out_is_the_folder_of_a_single_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_picture(here / "a.png", scene([FACE]))
    for _ in range(2):  # the second time an older result is there
        assert call(capsys, "analyze", "a.png", "--out", "new/place", "--no-video")[0] == 0
        assert sorted(os.listdir("new/place")) == sorted([*RESULT_FILES, "emotions.png"])
    (here / "mine").mkdir()
    (here / "mine" / "thesis.doc").write_text("mine")
    assert call(capsys, "analyze", "a.png", "--out", "mine", "--no-video")[0] == 0
    assert sorted(os.listdir("mine")) == ["a.mien", "thesis.doc"]


def test_the_results_of_another_file_are_not_replaced(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, astronaut: Path, hopper: Path
) -> None:
    """Not even where the folder is named: a loop over files with one --out would keep the last one's only."""
    monkeypatch.chdir(tmp_path)
    assert call(capsys, "analyze", astronaut, "--out", "out", "--no-video")[0] == 0
    was = Path("out/faces.csv").read_bytes()
    code, _, err = call(capsys, "analyze", hopper, "--out", "out", "--no-video")
    assert (code, err.count("\n")) == (1, 1)
    assert "out: holds the results of another file, which would be lost; give another folder with --out" in err
    assert Path("out/faces.csv").read_bytes() == was


@pytest.mark.usefixtures("_fakes")
def test_resume(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "ab":
        write_picture(here / f"{name}.png", scene([FACE]))
    assert call(capsys, "analyze", "a.png", "--no-video")[0] == 0
    stamp = (here / "a.mien" / "faces.csv").stat().st_mtime_ns
    code, out, _ = call(capsys, "analyze", "a.png", "b.png", "--resume", "--no-video")
    assert code == 0
    assert "a.png: done before: a.mien" in out
    assert (here / "a.mien" / "faces.csv").stat().st_mtime_ns == stamp
    assert [r["faces"] for r in rows(here / "files.csv")] == ["1", "1"]


@pytest.mark.usefixtures("_fakes")
def test_several_files_go_on_by_themselves(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "ab":
        write_picture(here / f"{name}.png", scene([FACE]))
    (here / "c.mp4").write_bytes(b"no film")
    first = call(capsys, "analyze", "a.png", "b.png", "c.mp4", "--out", "out", "--no-video")
    assert (first[0], "2 of 3 files done" in first[1]) == (1, True)
    stamp = (here / "out" / "a.mien" / "faces.csv").stat().st_mtime_ns
    code, out, err = call(capsys, "analyze", "a.png", "b.png", "c.mp4", "--out", "out", "--no-video")
    assert (code, out.count("done before"), "--retry-failed tries it again" in err) == (1, 2, True)
    assert (here / "out" / "a.mien" / "faces.csv").stat().st_mtime_ns == stamp
    code, out, err = call(capsys, "analyze", "a.png", "b.png", "c.mp4", "--out", "out", "--no-video", "--retry-failed")
    assert "--retry-failed" not in err
    assert "done before" not in call(capsys, "analyze", "a.png", "b.png", "--out", "out", "--no-video", "--again")[1]
    assert (here / "out" / "a.mien" / "faces.csv").stat().st_mtime_ns != stamp


@pytest.mark.usefixtures("_fakes")
def test_shards_of_a_list_are_gathered(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        write_picture(here / f"{name}.png", scene([FACE]))
    (here / "list.txt").write_text("# of today\na.png\n\nb.png\nc.png\n")
    code, out, _ = call(capsys, "analyze", "list.txt", "--shard", "2/2", "--out", "out", "--no-video")
    assert (code, results(Path("out"))) == (0, [".manifest", "b.mien"])
    assert "shard 2/2: 1 of 1 files done; when all have ended: mien gather out" in out
    code, out, _ = call(capsys, "gather", "out")
    assert (code, out.splitlines()[0]) == (0, "3 files: 1 done, 2 waiting")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
    assert call(capsys, "analyze", "list.txt", "--shard", "auto", "--out", "out", "--no-video")[0] == 0
    code, out, _ = call(capsys, "gather", "out")
    assert (code, out.splitlines()[0]) == (0, "3 files: 3 done")
    assert results(Path("out")) == [".manifest", "a.mien", "b.mien", "c.mien", "faces.csv", "files.csv", "index.html"]
    assert [r["file"] for r in rows(here / "out" / "faces.csv")] == ["a.png", "b.png", "c.png"]
    for wrong in (("--shard", "1/2"), ("--shard", "3/2", "--out", "out"), ("--again", "--resume")):
        assert call(capsys, "analyze", "list.txt", *wrong)[0] == 2


@pytest.mark.usefixtures("_fakes")
def test_baseline_and_smoothing_reach_the_results(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short_film(here / "talk.mp4")
    assert call(capsys, "analyze", "talk.mp4", "--no-video")[0] == 0
    plain = list(rows(here / "talk.mien" / "faces.csv")[0])
    assert plain[:8] == ["frame", "time_s", "track", "x1", "y1", "x2", "y2", "face_score"]
    assert plain[8:] == [*LABELS, "expression", "valence", "reliability", "flags"]


def test_options_reach_the_analyzer(here: Path, capsys: pytest.CaptureFixture[str], astronaut: Path) -> None:
    folder = tiny_bundle(here / "model")
    options = ["--model", folder, "--smoothing", "0.7", "--baseline", "2", "--min-face", "20", "--max-side", "300"]
    code, _, _ = call(capsys, "analyze", astronaut, "--out", "out", "--no-video", "--threshold", "0.4", "--flip", *options)
    assert code == 0
    summary = json.loads(Path("out/summary.json").read_text())
    assert (summary["settings"]["smoothing_s"], summary["settings"]["baseline_s"]) == (0.7, 2.0)
    detector, expression = summary["models"]
    assert (detector["threshold"], detector["min_face_px"], detector["max_side_px"]) == (0.4, 20, 300)
    assert (expression["name"], expression["flip_average"]) == ("model", True)
    assert expression["sha256"] == sha256_of(folder / "model.onnx")
    assert any(name.endswith("_change") or "baseline" in name for name in rows(here / "out" / "faces.csv")[0])


def test_small_faces_of_a_large_picture_are_found_or_what_was_out_of_sight_is_said(
    here: Path, capsys: pytest.CaptureFixture[str], astronaut: Path
) -> None:
    folder = tiny_bundle(here / "model")
    large = np.full((2160, 3840, 3), 90, np.uint8)
    face = cv2.resize(read_picture(astronaut).rgb, (224, 224), interpolation=cv2.INTER_AREA)  # about 45 pixels wide in it
    large[1000:1224, 2000:2224] = face
    write_picture(here / "hall.png", large)

    def told(*options: str) -> tuple[str, dict[str, Any]]:
        code, out, _ = call(capsys, "analyze", "hall.png", "--out", "out", "--no-video", "--model", folder, *options)
        assert code == 0
        return out.splitlines()[0], json.loads(Path("out/summary.json").read_text())

    said, summary = told()
    assert (summary["faces"], summary["settings"]["smallest_face_px"]) == (1, 40)
    assert said.startswith("hall.png: One face;")
    said, summary = told("--max-side", "480")
    assert (summary["faces"], summary["settings"]["smallest_face_px"]) == (0, 224)
    assert said == "hall.png: No face was found; of faces narrower than 224 pixels few can be seen at this --max-side."
    _, summary = told("--find-face", "200")
    assert (summary["faces"], summary["settings"]["smallest_face_px"]) == (0, 200)
    assert summary["headline"] == "No face was found."


def test_haar_is_selectable(here: Path, capsys: pytest.CaptureFixture[str], astronaut: Path) -> None:
    assert call(capsys, "analyze", astronaut, "--out", "out", "--no-video", "--detector", "haar")[0] == 0
    assert json.loads(Path("out/summary.json").read_text())["models"][0]["name"] == "haar"
    assert len(rows(here / "out" / "faces.csv")) >= 1


# --- progress


def test_bars_are_quiet_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    bar = terminal.bar(total=10, desc="files")
    bar.start_t = -100
    bar.update(5)
    bar.close()
    assert capsys.readouterr().err == ""


def test_bars_show_rate_and_time_left_after_two_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    now_s = 1000.0
    monkeypatch.setattr("tqdm.std.time", lambda: now_s)
    with cli.Bars(["talk.mp4"], files=False, jobs=1) as bars:
        advance = bars.progress(0)
        advance(10, 1.0, 60.0)
        assert capsys.readouterr().err == ""  # short work shows nothing
        now_s += 3
        advance(200, 20.0, 60.0)
        shown = capsys.readouterr().err
    assert "talk.mp4  33%" in shown
    assert "20/60 s" in shown
    assert re.search(r"\d+ frames/s", shown)


# --- live


@pytest.mark.usefixtures("_fakes")
def test_live_writes_the_same_results_as_analyze(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_film(here / "talk.mp4", [(i / 10, [FACE] if i % 4 else []) for i in range(12)])
    assert call(capsys, "analyze", "talk.mp4", "--out", "one", "--no-video")[0] == 0
    code, out, err = call(capsys, "live", "--source", "talk.mp4", "--out", "two", "--snapshot")
    assert (code, err) == (0, "")
    assert sorted(os.listdir("two")) == sorted([*os.listdir("one"), "snapshot.png"])
    for name in ("faces.csv", "timeline.csv", "episodes.csv"):
        assert (here / "one" / name).read_bytes() == (here / "two" / name).read_bytes()
    lines = out.splitlines()
    assert re.fullmatch(r" +0\.00 s  nobody", lines[0])
    assert re.fullmatch(r" +0\.10 s  #1 happiness \d+ %", lines[1])
    assert len(lines) == 12 + 2


@pytest.mark.usefixtures("_fakes")
def test_live_keeps_a_film_only_if_asked(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short_film(here / "talk.mp4")
    assert call(capsys, "live", "--source", "talk.mp4", "--out", "two", "--video", "--seconds", "0.3")[0] == 0
    assert "annotated.mp4" in os.listdir("two")
    assert len(rows(here / "two" / "timeline.csv")) == 4


@pytest.mark.usefixtures("_fakes")
def test_live_keeps_the_results_when_nobody_reads_on(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise BrokenPipeError

    short_film(here / "talk.mp4")
    monkeypatch.setattr("builtins.print", gone)
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # main puts another one in its place
    assert main(["live", "--source", "talk.mp4", "--out", "two"]) == 1
    sys.stdout.close()
    assert len(rows(here / "two" / "timeline.csv")) == 1


@pytest.mark.parametrize("asked", ["--video", "--snapshot"])
def test_pictures_are_not_both_asked_for_and_forbidden(capsys: pytest.CaptureFixture[str], asked: str) -> None:
    code, out, err = call(capsys, "live", "--source", "talk.mp4", "--no-pictures", asked)
    assert (code, out) == (2, "")
    assert "--no-pictures keeps no picture" in err


@pytest.mark.usefixtures("_fakes")
def test_live_names_its_folder_by_the_clock(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short_film(here / "talk.mp4", n=2)
    assert call(capsys, "live", "--source", "talk.mp4")[0] == 0
    assert [n for n in os.listdir() if re.fullmatch(r"live-\d{8}-\d{6}\.mien", n)]


def test_the_terminal_view_draws_bars_in_place(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(shutil, "get_terminal_size", lambda *_, **__: os.terminal_size((80, 30)))
    results = list(ANALYZER.stream(frames([(0.0, []), (0.1, [FACE])])))
    with cli.LiveView("talk.mp4", 0.0) as view:
        view.terminal, view.INTERVAL_S = True, 0.0  # type: ignore[misc]
        assert view.show(results[0])
        assert "nobody in the picture" in capsys.readouterr().out
        assert view.show(results[1])
        shown = capsys.readouterr().out
    assert shown.startswith("\x1b[3A\r")  # back over the three lines of before
    assert "face 1: happiness" in shown
    bars = {line.split()[0]: line.count("█") for line in shown.splitlines() if "%" in line}
    assert list(bars) == list(LABELS)
    assert bars["happiness"] > 20 > bars["anger"]


TOLD = """
import signal, sys
from mien import cluster
from fakes import FakeOptions
from mien.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may have it ignored
cluster.AnalysisOptions = lambda **given: FakeOptions(every=given["every"], annotated=given["annotated"], told=True)
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.process
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_live_and_keeps_the_results(here: Path, stop: signal.Signals) -> None:
    short_film(here / "talk.mp4", n=300)
    command = [sys.executable, "-c", TOLD, "live", "--source", here / "talk.mp4", "--out", here / "out", "--video"]
    with subprocess.Popen(command, cwd=HERE, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True) as run:
        assert run.stdin is not None
        run.stdin.write("." * 40)  # so many frames are looked at, several at a time; then it waits
        run.stdin.flush()
        assert run.stdout is not None
        seen = [run.stdout.readline() for _ in range(5)]
        assert "#1 happiness" in seen[0]
        run.send_signal(stop)
        out, err = run.communicate(timeout=240)
    assert (run.returncode, err) == (0, "")
    assert "report: " in out
    assert 5 <= len(rows(here / "out" / "timeline.csv")) <= 40  # it was in the midst of the film
    assert set(os.listdir("out")) == {*RESULT_FILES, "emotions.png", "annotated.mp4"}
    assert sorted(os.listdir()) == ["out", "talk.mp4"]


@pytest.mark.process
def test_ctrl_c_ends_analyze_and_leaves_nothing_half_written(here: Path) -> None:
    write_picture(here / "a.png", scene([FACE]))
    short_film(here / "b.mp4", n=300)
    command = [sys.executable, "-c", TOLD, "analyze", here / "a.png", here / "b.mp4", "--out", here / "out"]
    with subprocess.Popen(command, cwd=HERE, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True) as run:
        assert run.stdin is not None
        run.stdin.write("...")  # the picture, and two frames of the film
        run.stdin.flush()
        assert run.stdout is not None
        assert "a.png" in run.stdout.readline()
        run.stdout.readline()
        while not list((here / "out").glob(".b.mien-*")):
            assert run.poll() is None
            time.sleep(0.02)
        run.send_signal(signal.SIGINT)
        _, err = run.communicate(timeout=240)
    assert run.returncode == 130
    assert err == "mien: interrupted; what was finished before is kept, nothing else was written\n"
    assert results(Path("out")) == [".manifest", "a.mien", "faces.csv", "files.csv"]
    assert [r["status"] for r in rows(here / "out" / "files.csv")] == ["done"]


@pytest.mark.process
def test_a_reader_that_goes_away_is_no_error(here: Path) -> None:
    write_picture(here / "a.png", scene([FACE]))
    command = [sys.executable, "-c", TOLD, "analyze", here / "a.png", "--json", "--no-video", "--out", here / "out"]
    with subprocess.Popen(command, cwd=HERE, stdin=subprocess.DEVNULL, stdout=PIPE, stderr=PIPE, text=True) as run:
        assert run.stdout is not None
        run.stdout.close()
        assert run.stderr is not None
        err = run.stderr.read()
        run.wait(240)
    assert err == ""
    assert run.returncode == 1
    assert set(RESULT_FILES) <= set(os.listdir("out"))


# --- models, evaluate, train, export, doctor


def test_models_list_and_show(here: Path, capsys: pytest.CaptureFixture[str], user_home: Path) -> None:
    tiny_bundle(user_home / "home" / "models" / "mine")
    code, out, _ = call(capsys, "models", "list")
    assert code == 0
    assert re.search(rf"^{DEFAULT_MODEL} \(default\) +\d+\.\d MB .*ferplus", out, re.M)
    assert re.search(r"^mine +0\.0 MB +1 +faces +a test network$", out, re.M)
    assert call(capsys, "models")[1] == out
    assert call(capsys, "models", "show", "mine")[1] == "# mine\n"
    assert call(capsys, "models", "show", "default")[1].startswith(f"# {DEFAULT_MODEL}\n")
    assert json.loads(call(capsys, "models", "show", "default", "--json")[1]) == load_model().spec.to_json()


def test_models_pull(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny_bundle(here / "model")
    with zipfile.ZipFile(here / "m.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    url, digest = (here / "m.zip").as_uri(), sha256_of(here / "m.zip")
    code, out, _ = call(capsys, "models", "pull", "mine", "--url", url, "--sha256", digest)
    assert code == 0
    assert out.startswith("model: ")
    write_picture(here / "p.png", scene([]))
    assert call(capsys, "analyze", "p.png", "--model", "mine")[0] == 0


@pytest.mark.extras
@pytest.mark.parametrize("command", ["train", "export"])
def test_what_needs_torch_says_so(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "torch" else real(name, *more))
    (here / "r.toml").write_text('name = "r"\n')
    arguments = ["r.toml", "--data", "."] if command == "train" else ["run", "--data", ".", "--out", "made"]
    code, _, err = call(capsys, command, *arguments)
    assert code == 1
    assert err == f"mien: mien {command} needs the train extra (torch missing); run: pip install 'mien[train]'\n"


@pytest.mark.extras
def test_doctor(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "doctor")
    assert (code, err) == (0, "")
    assert f"mien {__version__}" in out
    assert out.count("  ok    ") == 8
    assert "yunet finds the face" in out
    assert listing(here) == []


@pytest.mark.extras
def test_doctor_names_what_is_broken(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: Any) -> None:
        raise ModelError("mien-lite0: model.onnx is damaged")

    monkeypatch.setattr("mien.models.load_model", broken)
    code, out, _ = call(capsys, "doctor")
    assert code == 1
    assert "  FAIL  model: mien-lite0: model.onnx is damaged" in out
    assert out.count("  ok    ") == 7  # packages, detector, devices, film writing, cameras, training, disk


# --- help


COMMANDS = [
    "analyze",
    "gather",
    "live",
    "serve",
    "study",
    "db",
    "demo",
    "data",
    "evaluate",
    "train",
    "compare",
    "export",
    "models",
    "doctor",
]


@pytest.mark.parametrize(
    "command",
    [
        *COMMANDS,
        *("data describe", "data prepare", "models list", "models show", "models pull"),
        *("study new", "study list", "study report", "study export", "study erase"),
    ],
)
def test_every_command_helps(capsys: pytest.CaptureFixture[str], command: str) -> None:
    code, out, err = call(capsys, *command.split(), "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: mien {command}")
    assert max(map(len, out.splitlines())) <= 120  # descriptions are wrapped by hand


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capsys, "--help")
    assert re.findall(r"^    (\w+) ", out, re.M) == COMMANDS
    assert call(capsys, "--version")[1] == f"mien {__version__}\n"


def test_the_page_about_the_command_line_is_the_help() -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert page.split() == script("make_cli").render().split(), "run: python docs/make_cli.py"
    for command in COMMANDS:
        assert f"mien {command}" in page


# --- the program itself


OFFLINE = """
import runpy, socket, sys
def refuse(*given, **more):
    raise AssertionError("the network was asked for")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = refuse
sys.argv[0] = "mien"
runpy.run_module("mien.cli", run_name="__main__", alter_sys=True)
"""


@pytest.mark.process
def test_the_program_runs_offline_and_is_quiet(here: Path, astronaut: Path) -> None:
    """In an empty home: all that an analysis needs is installed with it."""
    home = here / "home"
    home.mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MIEN_", "XDG_", "MPL"))} | {"HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, "analyze", astronaut, "--out", "out"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert "report: out/report.html" in done.stdout
    assert len(rows(here / "out" / "faces.csv")) == 1
    # Nothing is kept in the home, no identifier either; but matplotlib may keep its list of fonts.
    assert not [p for p in home.rglob("*") if p.is_file() and "matplotlib" not in str(p)]


@pytest.mark.process
def test_python_m(here: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "mien.cli", "analyze", "nowhere.mp4"], capture_output=True, text=True, timeout=240)
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(r"mien: nowhere\.mp4: .*\n", done.stderr)


@pytest.mark.process
def test_the_installed_command(here: Path) -> None:
    command = Path(sys.executable).with_name("mien")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=240)
    assert done.stdout == f"mien {__version__}\n"
