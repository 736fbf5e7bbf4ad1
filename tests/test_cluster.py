import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fakes import FakeDetector, FakeExpressions, FakeMedia, FakeOptions, Square, frames, scene, write_film
from media_files import film, sound_only
from mien import cluster, report
from mien.analyze import Analyzer
from mien.cluster import (
    RESULT_FILES,
    AnalysisOptions,
    Outcome,
    analyze_file,
    analyze_files,
    expand,
    is_result,
    known_by,
    record,
    result_folders,
    whole_folder,
    write_index,
    write_results,
)
from mien.errors import MediaError, ModelError
from mien.labels import FER2013, FERPLUS
from mien.media import VideoWriter, open_media, write_picture
from mien.types import Timeline

FACE: Square = (40, 30, 50, "happiness")
ANALYZER = Analyzer(FakeExpressions(), detector=FakeDetector())


def portrait(path: Path, expression: str = "happiness") -> Path:
    write_picture(path, scene([(40, 30, 50, expression)]))
    return path


def short_film(path: Path, n: int = 8) -> Path:
    return write_film(path, [(i / 10, [FACE]) for i in range(n)])


def listing(folder: Path) -> list[str]:
    """What lies in a folder, without the table that comes where pyarrow is installed."""
    return sorted(p.name for p in folder.iterdir() if p.suffix != ".parquet")


def index(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return {Path(row["file"]).name: row for row in csv.DictReader(file)}


def make_result(folder: Path, text: str = "old") -> Path:
    folder.mkdir(parents=True)
    for name in RESULT_FILES:
        (folder / name).write_text(text)
    return folder


# --- whole_folder


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "talk.mien"
    with whole_folder(target) as scratch:
        (scratch / "a.txt").write_text("a")
        assert not target.exists()
    assert (target / "a.txt").read_text() == "a"
    assert listing(target.parent) == ["talk.mien"]


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt(), MediaError("damaged")])
@pytest.mark.parametrize("older", [False, True])
def test_after_an_exception_stands_what_stood_before(tmp_path: Path, error: BaseException, older: bool) -> None:
    target = tmp_path / "talk.mien"
    if older:
        make_result(target)
    with pytest.raises(type(error)), whole_folder(target) as scratch:
        (scratch / "a.txt").write_text("a")
        raise error
    assert listing(tmp_path) == (["talk.mien"] if older else [])
    assert not older or (target / "faces.csv").read_text() == "old"


def test_an_older_result_is_replaced_whole(tmp_path: Path) -> None:
    target = make_result(tmp_path / "talk.mien")
    (target / "annotated.mp4").write_text("of the older run")
    with whole_folder(target) as scratch:
        (scratch / "a.txt").write_text("a")
    assert listing(target) == ["a.txt"]
    assert listing(tmp_path) == ["talk.mien"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with whole_folder(tmp_path / "out") as scratch:
        (scratch / "a.txt").write_text("a")
    assert listing(tmp_path / "out") == ["a.txt"]


def test_notes_beside_a_result_outlive_the_next_run(tmp_path: Path) -> None:
    target = make_result(tmp_path / "talk.mien")
    (target / "plots").mkdir()
    (target / "plots" / "mine.R").write_text("mine")
    (target / "notes.txt").write_text("mine")
    (target / "tracks.png").write_text("of the old run")
    with whole_folder(target) as scratch:
        (scratch / "faces.csv").write_text("new")
    assert listing(target) == ["faces.csv", "notes.txt", "plots"]
    assert (target / "plots" / "mine.R").read_text() == (target / "notes.txt").read_text() == "mine"
    assert listing(tmp_path) == ["talk.mien"]


def _foreign_file(path: Path) -> None:
    path.write_text("mine")


def _foreign_folder(path: Path) -> None:
    path.mkdir()
    (path / "thesis.doc").write_text("mine")


def _half_a_result(path: Path) -> None:
    path.mkdir()
    (path / "faces.csv").write_text("mine")


@pytest.mark.parametrize("make", [_foreign_file, _foreign_folder, _half_a_result])
def test_nobodys_files_are_replaced(tmp_path: Path, make: Callable[[Path], None]) -> None:
    target = tmp_path / "talk.mien"
    make(target)
    before = {p: p.read_text() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(MediaError, match=r"is not a result of mien; give another folder with --out"), whole_folder(target):
        pass
    assert {p: p.read_text() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(MediaError, match="cannot be written"), whole_folder(tmp_path / "file" / "talk.mien"):
        pass
    assert listing(tmp_path) == ["file"]


def test_the_old_result_comes_back_when_the_new_one_cannot_take_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = make_result(tmp_path / "talk.mien")
    real = Path.rename

    def rename(self: Path, to: Path) -> Path:
        if to == target and self.name != "old":
            raise OSError(5, "Input/output error")
        return real(self, to)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(MediaError, match="Input/output error"), whole_folder(target) as scratch:
        (scratch / "faces.csv").write_text("new")
    assert (target / "faces.csv").read_text() == "old"
    assert listing(tmp_path) == ["talk.mien"]


def test_a_relative_target_survives_a_change_of_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with whole_folder(Path("talk.mien")) as scratch:
        (scratch / "a.txt").write_text("a")
        os.chdir("elsewhere")
    assert listing(tmp_path) == ["elsewhere", "talk.mien"]


KILLED = """
import sys
from pathlib import Path
from fakes import FakeOptions
from mien.cluster import analyze_file
print("begun", flush=True)
analyze_file(sys.argv[1], Path(sys.argv[2]), FakeOptions(told=True))
"""


@pytest.mark.process
@pytest.mark.parametrize("older", [False, True])
def test_a_killed_run_leaves_nothing_under_the_final_name(tmp_path: Path, older: bool) -> None:
    source, target = short_film(tmp_path / "talk.mp4", n=300), tmp_path / "talk.mien"
    if older:
        make_result(target)
    with subprocess.Popen([sys.executable, "-c", KILLED, source, target], cwd=Path(__file__).parent, stdin=subprocess.PIPE) as run:
        assert run.stdin is not None
        run.stdin.write(bytes(250))
        run.stdin.flush()
        deadline = time.monotonic() + 120
        while not any(p.stat().st_size for p in tmp_path.glob(".talk.mien-*/.*")):  # until the film in the temporary folder grows
            assert run.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline, "it wrote nothing"
            time.sleep(0.02)
        run.kill()
        assert run.wait() == -signal.SIGKILL
    assert target.exists() is older
    assert not older or (target / "faces.csv").read_text() == "old"
    # What is left is hidden, is not taken for media, and does not stand in the way of the next run.
    assert len([p for p in tmp_path.iterdir() if p.name.startswith(".talk.mien-")]) == 1
    assert expand([tmp_path]) == [str(source)]
    analyze_file(source, target, AnalysisOptions(every=1.0, annotated=False), analyzer=ANALYZER)
    assert is_result(target)


# --- which files, and where to


def test_of_folders_the_media_files_are_taken(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.mp4", "notes.txt", "sub/c.webm", "x.mien/annotated.mp4", ".cache/d.png", ".e.mp4", "sub/.f-1/g.mov"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("")
    assert expand([tmp_path]) == [str(tmp_path / n) for n in ("a.mp4", "b.JPG", "sub/c.webm")]
    assert expand([tmp_path / "notes.txt", tmp_path / "sub"]) == [str(tmp_path / "notes.txt"), str(tmp_path / "sub" / "c.webm")]


def test_each_file_that_is_left_out_says_why(tmp_path: Path) -> None:
    portrait(tmp_path / "no suffix.png").rename(tmp_path / "no suffix")
    short_film(tmp_path / "tape.mp4", 2).rename(tmp_path / "tape.xyz")
    for name, text in (("notes.txt", "words"), ("empty", ""), (".DS_Store", "x"), ("a.mien/faces.csv", ""), (".cache/d.png", "")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    sound_only(tmp_path / "tone.m4a")
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere")
    (tmp_path / "back").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    for name in ("a.avif", "b.VOB", "c.m2ts", "d.heic", "e.MXF"):
        (tmp_path / name).write_text("x")
    left: list[Outcome] = []
    found = expand([tmp_path], left)
    taken = ["a.avif", "b.VOB", "c.m2ts", "d.heic", "e.MXF", "no suffix", "tape.xyz"]
    assert [Path(path).name for path in found] == taken
    why = {Path(o.source).name: o.error for o in left}
    assert why == {
        ".DS_Store": "is hidden: its name begins with a dot",
        ".cache": "is hidden: its name begins with a dot",
        "a.mien": "is a result of mien",
        "back": "is a link to a folder, which may lead back; give that folder itself",
        "empty": "is empty (0 bytes), but wanted a picture or film; copy or record it again",
        "gone.mp4": "is a link that leads nowhere",
        "notes.txt": why["notes.txt"],
        "pipe": "is neither a file nor a folder",
        "tone.m4a": why["tone.m4a"],
    }
    assert why["notes.txt"].startswith("is not a picture or film that can be read")  # type: ignore[union-attr]
    assert why["tone.m4a"].startswith("holds sound (aac) but no film")  # type: ignore[union-attr]
    assert all(o.skipped and o.folder is None for o in left)
    write_index(left, tmp_path / "files.csv")
    assert {row["status"] for row in index(tmp_path / "files.csv").values()} == {"skipped"}


def test_all_faces_of_a_folder_in_one_table(tmp_path: Path) -> None:
    sources = [str(portrait(tmp_path / "=cmd.png")), str(short_film(tmp_path / "b.mp4", 3)), str(tmp_path / "none.png")]
    folders = [tmp_path / f"{n}.mien" for n in range(3)]
    outcomes = list(analyze_files(sources, folders, FakeOptions(annotated=False)))
    write_index(outcomes, tmp_path / "files.csv")
    with (tmp_path / "faces.csv").open(newline="", encoding="utf-8") as file:
        joint = list(csv.DictReader(file))
    assert [Path(row["file"]).name for row in joint] == ["=cmd.png", "b.mp4", "b.mp4", "b.mp4"]
    with (folders[1] / "faces.csv").open(newline="", encoding="utf-8") as file:
        own = list(csv.DictReader(file))
    assert [{k: v for k, v in row.items() if k != "file"} for row in joint[1:]] == own
    assert next(iter(joint[0])) == "file"


def test_a_file_whose_name_is_not_utf8_is_analysed(tmp_path: Path) -> None:
    source = os.fsdecode(os.fsencode(tmp_path) + b"/n\xff.mp4")
    short_film(tmp_path / "a.mp4", 3).rename(source)
    folders = result_folders([source], tmp_path / "out")
    (outcome,) = analyze_files([source], folders, FakeOptions())
    assert (outcome.error, Path(outcome.folder or "").name) == (None, "n�.mien")
    write_index([outcome], tmp_path / "out" / "files.csv")
    assert list(index(tmp_path / "out" / "files.csv")) == ["n�.mp4"]
    assert (tmp_path / "out" / "n�.mien" / "annotated.mp4").stat().st_size > 500


def test_names_that_a_spreadsheet_would_run(tmp_path: Path) -> None:
    outcomes = [Outcome(name, None, None, "=1+1") for name in ("=cmd.mp4", "@a.mp4", "+b.mp4", "-c.mp4", "\td.mp4", "plain.mp4")]
    write_index(outcomes, tmp_path / "files.csv")
    rows = index(tmp_path / "files.csv")
    assert set(rows) == {"'=cmd.mp4", "'@a.mp4", "'+b.mp4", "'-c.mp4", "'\td.mp4", "plain.mp4"}
    assert {row["error"] for row in rows.values()} == {"'=1+1"}


def test_a_table_of_someone_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "faces.csv").write_text("name,age\n")
    with pytest.raises(MediaError, match=r"faces\.csv: is there already and is not a table of mien; give another folder"):
        write_index([], tmp_path / "files.csv")


def test_parquet_where_pyarrow_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = "frame,time_s,happiness,expression,valence\n0,0.5,0.25,happiness,\n1,0.75,0.5,happiness,0.5\n"
    (tmp_path / "a.mien").mkdir()
    (tmp_path / "a.mien" / "faces.csv").write_text(table)
    done = Outcome("a.mp4", str(tmp_path / "a.mien"), None, "")
    assert cluster.write_joined([done], tmp_path) == [tmp_path / "faces.csv", tmp_path / "faces.parquet"]
    first = {"file": "a.mp4", "frame": 0, "time_s": 0.5, "happiness": 0.25, "expression": "happiness", "valence": None}
    second = {"file": "a.mp4", "frame": 1, "time_s": 0.75, "happiness": 0.5, "expression": "happiness", "valence": 0.5}
    assert parquet.read_table(tmp_path / "faces.parquet").to_pylist() == [first, second]
    (tmp_path / "a.mien" / "faces.csv").write_text("frame,wall_clock\n0,noon\n")  # a column that this version does not know
    cluster.write_joined([done], tmp_path)
    assert parquet.read_table(tmp_path / "faces.parquet").to_pylist() == [{"file": "a.mp4", "frame": "0", "wall_clock": "noon"}]
    assert cluster.write_joined([], tmp_path) == []  # of an earlier run, and no longer true
    assert listing(tmp_path) == ["a.mien"]
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert cluster.write_joined([done], tmp_path) == [tmp_path / "faces.csv"]


def test_audience_takes_the_results_of_the_command_line(tmp_path: Path) -> None:
    from mien import audience

    folders = []
    for name in ("a", "b"):
        analyze_file(short_film(tmp_path / f"{name}.mp4"), tmp_path / f"{name}.mien", FakeOptions(annotated=False))
        folders.append(tmp_path / f"{name}.mien")
    loaded = [Timeline.load(folder / "timeline.npz") for folder in folders]
    one, other = audience.align(folders, step_s=0.2), audience.align(loaded, step_s=0.2)
    np.testing.assert_array_equal(one.emotions, other.emotions)
    assert audience.align([folders[0] / "timeline.npz", loaded[1]]).emotions.shape[0] == 2
    with pytest.raises(ValueError, match=r"offsets_s must be a list with one value for each of the 2 Timelines, but got 0\.5"):
        audience.align(loaded, offsets_s=0.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="timelines must be a list, one for each viewer"):
        audience.align(loaded[0])  # type: ignore[arg-type]


def test_a_folder_that_is_named_is_looked_into_whatever_its_name(tmp_path: Path) -> None:
    folder = tmp_path / ".films" / "best.mien"
    folder.mkdir(parents=True)
    (folder / "a.mp4").write_text("")
    assert expand([folder]) == [str(folder / "a.mp4")]


def test_a_folder_without_media(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(MediaError, match="is a folder without pictures or films; wanted files such as"):
        expand([tmp_path])


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        (["talk.mp4"], ["talk.mien"]),
        (["a/talk.mp4", "b/other.mp4"], ["talk.mien", "other.mien"]),
        (["talk.mp4", "talk.jpg"], ["talk.mp4.mien", "talk.jpg.mien"]),
        (["a/talk.mp4", "b/talk.mp4"], ["talk.mp4.mien", "talk.mp4-2.mien"]),
        (["a/t.mp4", "b/t.mp4", "c/t.mp4-2.avi"], ["t.mp4.mien", "t.mp4-2.mien", "t.mp4-2-2.mien"]),
        (["http://host/cam.m3u8"], ["cam.mien"]),
        (["http://me:secret@host/a?key=b.c"], ["a.mien"]),
        ([".hidden"], [".hidden.mien"]),
        (["/"], ["media.mien"]),
    ],
)
def test_no_two_files_share_a_result_folder(sources: list[str], names: list[str]) -> None:
    assert result_folders(sources, None) == [Path(n) for n in names]
    assert result_folders(sources, Path("out")) == [Path("out") / n for n in names]


# --- one file


def test_a_film_becomes_all_its_files(tmp_path: Path) -> None:
    outcome = analyze_file(short_film(tmp_path / "talk.mp4"), tmp_path / "talk.mien", analyzer=ANALYZER)
    assert outcome.error is None
    assert listing(tmp_path / "talk.mien") == sorted([*RESULT_FILES, "annotated.mp4", "emotions.png"])
    assert is_result(tmp_path / "talk.mien")
    written = json.loads((tmp_path / "talk.mien" / "summary.json").read_text())
    assert outcome.summary is not None
    assert written["faces"] == outcome.summary["faces"] == written["sampled_frames"] == 8
    assert set(written["speed"]) == {"seconds", "cpu_seconds", "frames_per_second", "frames_per_cpu_second"}
    with open_media(tmp_path / "talk.mien" / "annotated.mp4") as media:
        assert len(list(media.frames())) == 8
        assert (media.info.width, media.info.height) == (160, 120)


def test_a_picture_becomes_a_picture(tmp_path: Path) -> None:
    analyze_file(portrait(tmp_path / "p.png"), tmp_path / "out", analyzer=ANALYZER)
    assert listing(tmp_path / "out") == sorted([*RESULT_FILES, "annotated.png", "emotions.png"])


def test_without_the_annotated_film_nothing_is_drawn(tmp_path: Path) -> None:
    film_, options = short_film(tmp_path / "talk.mp4"), AnalysisOptions(annotated=False)
    analyze_file(film_, tmp_path / "out", options, analyzer=ANALYZER)
    assert "annotated.mp4" not in listing(tmp_path / "out")


def test_scores_only_keeps_no_picture(tmp_path: Path) -> None:
    source = short_film(tmp_path / "talk.mp4")
    pages = {}
    for pictures in (True, False):
        folder = tmp_path / f"{pictures}.mien"
        analyze_file(source, folder, AnalysisOptions(annotated=False, pictures=pictures), analyzer=ANALYZER)
        pages[pictures] = (folder / "report.html").read_text(encoding="utf-8")
        assert not [name for name in listing(folder) if name.endswith((".jpg", ".mp4"))]
    assert "data:image/jpeg" in pages[True]
    assert "data:image/jpeg" not in pages[False]


def test_the_label_set_is_chosen_by_its_name() -> None:
    assert AnalysisOptions().analyzer().labels == FERPLUS
    assert AnalysisOptions(labels="fer2013").analyzer().labels == FER2013
    with pytest.raises(ModelError, match="no label set 'plutchik'; it has: ferplus, fer2013"):
        AnalysisOptions(labels="plutchik").analyzer()


def test_what_a_detector_does_not_know_is_said() -> None:
    assert AnalysisOptions(threshold=0.8, min_face_px=20, max_side_px=320).analyzer().detector.facts["max_side_px"] == 320
    assert AnalysisOptions(find_face_px=25).analyzer().detector.facts["find_face_px"] == 25
    with pytest.raises(ValueError, match="the detector haar has no threshold and no max_side"):
        AnalysisOptions(detector="haar", threshold=0.5, max_side_px=640).analyzer()


def test_progress_is_told_in_frames_and_seconds(tmp_path: Path) -> None:
    told: list[Any] = []
    source, options = short_film(tmp_path / "talk.mp4"), AnalysisOptions(annotated=False)
    analyze_file(source, tmp_path / "out", options, analyzer=ANALYZER, progress=lambda *a: told.append(a))
    assert [t[0] for t in told] == list(range(1, 9))
    assert [t[1] for t in told] == pytest.approx([i / 10 for i in range(8)], abs=1e-3)
    assert told[0][2] == pytest.approx(0.8, abs=0.05)


def test_a_watcher_ends_the_recording_and_keeps_it(tmp_path: Path) -> None:
    media = FakeMedia(frames([(i / 10, [FACE]) for i in range(50)]), kind="camera")
    options = AnalysisOptions(annotated=False)
    outcome = record(media, tmp_path / "out", options, ANALYZER, watch=lambda r: r.time_s < 0.3, snapshot=True)
    assert outcome.summary is not None
    assert outcome.summary["sampled_frames"] >= 1
    assert is_result(tmp_path / "out")
    assert "snapshot.png" in listing(tmp_path / "out")
    assert media.closed == 1


def test_ctrl_c_keeps_what_a_watched_recording_has(tmp_path: Path) -> None:
    def stop(result: Any) -> bool:
        if result.frame.index == 3:
            raise KeyboardInterrupt
        return True

    media = FakeMedia(frames([(i / 10, [FACE]) for i in range(50)]))
    outcome = record(media, tmp_path / "out", AnalysisOptions(annotated=False), ANALYZER, watch=stop)
    assert outcome.summary is not None
    assert outcome.summary["sampled_frames"] == 4
    assert outcome.error is None


def test_ctrl_c_in_the_midst_of_a_frame_keeps_the_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = VideoWriter.write
    times: list[float] = []

    def write(self: VideoWriter, rgb: Any, time_s: float) -> None:
        times.append(time_s)
        if len(times) == 4:
            signal.raise_signal(signal.SIGINT)
        real(self, rgb, time_s)

    monkeypatch.setattr(VideoWriter, "write", write)
    media = FakeMedia(frames([(i / 10, [FACE]) for i in range(50)]))
    outcome = record(media, tmp_path / "out", AnalysisOptions(), ANALYZER, watch=lambda r: True)
    assert outcome.summary is not None
    assert outcome.summary["sampled_frames"] == 4
    with open_media(tmp_path / "out" / "annotated.mp4") as film:
        assert len(list(film.frames())) == 4


def test_wherever_ctrl_c_falls_each_frame_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before each call that a recording makes between its first frame and its last, in turn."""
    monkeypatch.setattr(cluster, "write_results", lambda timeline, *_, **__: {"times": timeline.times.tolist()})
    calls = falls_at = 0

    def note(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        if event in ("call", "c_call"):
            calls += 1
            if calls == falls_at:
                signal.raise_signal(signal.SIGINT)

    def watch(result: Any) -> bool:
        sys.setprofile(note if result.time_s < 0.2 else None)
        return True

    def recorded(at: int) -> list[float]:
        nonlocal calls, falls_at
        calls, falls_at = 0, at
        media = FakeMedia(frames([(i / 10, [FACE]) for i in range(3)]))
        try:
            outcome = record(media, tmp_path / "out", AnalysisOptions(annotated=False), ANALYZER, watch=watch)
        finally:
            sys.setprofile(None)
        assert outcome.summary is not None
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        times: list[float] = outcome.summary["times"]
        return times

    assert recorded(0) == [0.0, 0.1, 0.2]
    most = calls
    assert most > 100
    found = {tuple(recorded(at)) for at in range(1, most, 7)}
    assert found == {(0.0,), (0.0, 0.1), (0.0, 0.1, 0.2)}


def test_a_second_ctrl_c_is_not_held_back(tmp_path: Path) -> None:
    asked: list[float] = []

    def watch(result: Any) -> bool:
        asked.append(result.time_s)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        asked.append(-1.0)
        return True

    media = FakeMedia(frames([(i / 10, [FACE]) for i in range(5)]))
    outcome = record(media, tmp_path / "out", AnalysisOptions(annotated=False), ANALYZER, watch=watch)
    assert asked == [0.0]
    assert outcome.summary is not None
    assert outcome.summary["sampled_frames"] == 1


def test_ctrl_c_in_the_midst_of_a_frame_leaves_nothing_of_an_analysis(tmp_path: Path) -> None:
    """Of one that nobody watches."""
    media = FakeMedia(frames([(i / 10, [FACE]) for i in range(5)]))
    told: list[int] = []

    def progress(frames: int, *_: Any) -> None:
        told.append(frames)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        record(media, tmp_path / "out", AnalysisOptions(), ANALYZER, progress=progress)
    assert told == [1]
    assert list(tmp_path.iterdir()) == []


def test_the_password_of_an_address_is_not_told(tmp_path: Path) -> None:
    address = "http://me:secret@127.0.0.1:9/talk.mp4?key=secret"
    (outcome,) = analyze_files([address], [tmp_path / "out"], FakeOptions())
    assert outcome.source == "http://127.0.0.1:9/talk.mp4"
    assert "secret" not in str(outcome)


def test_ctrl_c_without_a_watcher_leaves_nothing(tmp_path: Path) -> None:
    def stop(*told: Any) -> None:
        raise KeyboardInterrupt

    media = FakeMedia(frames([(i / 10, [FACE]) for i in range(5)]))
    with pytest.raises(KeyboardInterrupt):
        record(media, tmp_path / "out", AnalysisOptions(), ANALYZER, progress=stop)
    assert listing(tmp_path) == []


def grainy(number: int) -> NDArray[np.uint8]:
    """A fake face above a strip of noise: each frame has its share of the film's bytes."""
    rgb = scene([FACE])
    rgb[100:] = np.random.default_rng(number).integers(100, 156, (20, 160, 1))
    return rgb


def cut_film(path: Path) -> Path:
    """A film of four seconds whose second half is lost. Matroska keeps no index at its end: what is there can be read."""
    whole = film(path, times=[i / 10 for i in range(40)], pictures=grainy, size=(160, 120), rate=10)
    content = whole.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def test_a_damaged_film_is_analysed_up_to_the_damage(tmp_path: Path) -> None:
    outcome = analyze_file(cut_film(tmp_path / "cut.mkv"), tmp_path / "out", analyzer=ANALYZER)
    assert outcome.error is not None
    assert "cut.mkv: cannot decode after" in outcome.error
    assert outcome.summary is not None
    assert 5 < outcome.summary["sampled_frames"] < 35
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["settings"]["damage"] == outcome.error
    assert is_result(tmp_path / "out")
    with open_media(tmp_path / "out" / "annotated.mp4") as media:
        assert len(list(media.frames())) == outcome.summary["sampled_frames"]


def test_damage_before_the_first_frame_is_an_error(tmp_path: Path) -> None:
    media = FakeMedia([], error=MediaError("fake.mp4: cannot decode after 0.00 s"))
    with pytest.raises(MediaError, match="cannot decode"):
        record(media, tmp_path / "out", AnalysisOptions(annotated=False), ANALYZER)
    assert listing(tmp_path) == []


FULL = """
import resource, sys
from pathlib import Path
from fakes import FakeOptions
from mien.cluster import analyze_file
from mien.errors import MediaError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    analyze_file(sys.argv[1], Path(sys.argv[2]), FakeOptions())
except MediaError as error:
    print(error)
else:
    print("no error")
"""


@pytest.mark.parametrize("limit", [600, 40_000])  # bytes: too small for the tables' first lines, or for the page and the plot
@pytest.mark.parametrize("older", [False, True])
def test_a_disk_that_is_full_leaves_nothing_half_written(tmp_path: Path, limit: int, older: bool) -> None:
    source, target = short_film(tmp_path / "talk.mp4"), tmp_path / "talk.mien"
    if older:
        make_result(target)
    done = subprocess.run(
        [sys.executable, "-c", FULL, source, target, str(limit)],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.stderr == ""
    assert "file too large" in done.stdout.lower()
    assert ".talk.mien-" not in done.stdout  # nobody knows the temporary folder
    assert "cannot be written" in done.stdout
    assert done.stdout.count("\n") == 1
    assert listing(tmp_path) == (["talk.mien", "talk.mp4"] if older else ["talk.mp4"])
    assert not older or (target / "faces.csv").read_text() == "old"


# --- many files


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Result folders without plot and page, which take most of the time of a small file."""

    def write(timeline: Any, folder: Path, *rest: Any, **more: Any) -> dict[str, Any]:
        for name in RESULT_FILES:
            (folder / name).write_text("new")
        summary = {"sampled_frames": len(timeline), "faces": len(timeline.tracks), "shares": timeline.shares()}
        summary |= {"tracks": timeline.track_ids, "settings": dict(timeline.settings), "headline": "one face"}
        (folder / "summary.json").write_text(json.dumps(summary))
        return summary

    monkeypatch.setattr(cluster, "write_results", write)


def run(sources: list[Path], out: Path, options: AnalysisOptions | None = None, **more: Any) -> list[Outcome]:
    names = [str(s) for s in sources]
    return list(analyze_files(names, result_folders(names, out), options or FakeOptions(annotated=False), **more))


@pytest.mark.usefixtures("fast")
def test_one_broken_file_is_one_failed_row(tmp_path: Path) -> None:
    (tmp_path / "b.mp4").write_bytes(b"no film")
    sources = [
        portrait(tmp_path / "a.png"),
        tmp_path / "b.mp4",
        short_film(tmp_path / "c.mp4"),
        tmp_path / "d.jpg",
        cut_film(tmp_path / "e.mkv"),
    ]
    outcomes = run(sources, tmp_path / "out")
    write_index(outcomes, tmp_path / "out" / "files.csv")
    rows = index(tmp_path / "out" / "files.csv")
    assert {name: row["status"] for name, row in rows.items()} == {
        "a.png": "done",
        "b.mp4": "failed",
        "c.mp4": "done",
        "d.jpg": "failed",
        "e.mkv": "damaged",
    }
    assert (rows["c.mp4"]["frames"], rows["c.mp4"]["faces"], rows["c.mp4"]["tracks"]) == ("8", "8", "1")
    assert rows["a.png"]["expression"] == "happiness"
    assert rows["b.mp4"]["folder"] == ""
    assert "b.mp4: is not a picture or film" in rows["b.mp4"]["error"]
    assert "d.jpg" in rows["d.jpg"]["error"]
    assert "cannot decode after" in rows["e.mkv"]["error"]
    assert listing(tmp_path / "out") == ["a.mien", "c.mien", "e.mien", "faces.csv", "files.csv"]


@pytest.mark.usefixtures("fast")
def test_what_nobody_has_thought_of_is_a_failed_row_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = cluster.analyze_file

    def analyze(source: Any, *rest: Any, **more: Any) -> Outcome:
        if "a.png" in str(source):
            raise ZeroDivisionError("division by zero")
        return real(source, *rest, **more)

    monkeypatch.setattr(cluster, "analyze_file", analyze)
    sources = [portrait(tmp_path / "a.png"), portrait(tmp_path / "b.png")]
    first, second = run(sources, tmp_path / "out")
    assert first.folder is None
    assert first.error is not None
    assert "a.png: failed unexpectedly (ZeroDivisionError: division by zero)" in first.error
    assert second.error is None
    with pytest.raises(ZeroDivisionError):
        run(sources, tmp_path / "other", debug=True)


@pytest.mark.usefixtures("fast")
def test_resume_leaves_out_what_is_whole(tmp_path: Path) -> None:
    sources = [portrait(tmp_path / f"{n}.png") for n in "abc"]
    run(sources, tmp_path / "out")
    (tmp_path / "out" / "b.mien" / "report.html").unlink()  # not whole
    for file in (tmp_path / "out" / "b.mien").iterdir():
        file.unlink()
    (tmp_path / "out" / "a.mien" / "faces.csv").write_text("kept")
    outcomes = {Path(o.source).name: o for o in run(sources, tmp_path / "out", resume=True)}
    assert [outcomes[n].summary is None for n in ("a.png", "b.png", "c.png")] == [True, False, True]
    assert (tmp_path / "out" / "a.mien" / "faces.csv").read_text() == "kept"
    write_index(list(outcomes.values()), tmp_path / "out" / "files.csv")
    # The index tells of all files, also of those that an earlier run has done.
    assert [row["faces"] for row in index(tmp_path / "out" / "files.csv").values()] == ["1", "1", "1"]


@pytest.mark.usefixtures("fast")
def test_resume_does_not_take_another_films_result_or_other_settings(tmp_path: Path) -> None:
    (tmp_path / "p1").mkdir()
    (tmp_path / "p2").mkdir()
    first, second = portrait(tmp_path / "p1" / "v.png"), portrait(tmp_path / "p2" / "v.png", "anger")
    out = tmp_path / "out"
    run([first], out)
    assert [o.summary is None for o in run([first], out, resume=True)] == [True]
    assert [o.summary is None for o in run([first], out, resume=True, options=FakeOptions(annotated=False, every=0.5))] == [False]
    assert [o.summary is None for o in run([second], out, resume=True)] == [False]
    portrait(second, "sadness")  # the same name, another content
    assert [o.summary is None for o in run([second], out, resume=True)] == [False]


@pytest.mark.usefixtures("fast")
def test_a_result_is_never_replaced_by_that_of_another_film(tmp_path: Path) -> None:
    for name in ("p1", "p2", "p3"):
        (tmp_path / name).mkdir()
    first, second = portrait(tmp_path / "p1" / "v.png"), portrait(tmp_path / "p2" / "v.png", "anger")
    out = tmp_path / "out"
    run([first], out)
    was = (out / "v.mien" / "faces.csv").read_bytes()
    assert [Path(str(o.folder)).name for o in run([second], out)] == ["v-2.mien"]
    assert (out / "v.mien" / "faces.csv").read_bytes() == was
    # Each keeps its folder: analysed once more, in another order, changed, or moved.
    assert result_folders([str(second)], out) == [out / "v-2.mien"]
    assert result_folders([str(first)], out) == [out / "v.mien"]
    portrait(second, "sadness")
    assert result_folders([str(second)], out) == [out / "v-2.mien"]
    run([second], out)
    assert result_folders([str(Path(second).rename(tmp_path / "p3" / "v.png"))], out) == [out / "v-2.mien"]
    told = json.loads((out / "v.mien" / "summary.json").read_text())["settings"]["known_by"]
    assert all(re.fullmatch("[0-9a-f]{16}", mark) for mark in told), "no path is given away"
    assert told[0] not in (out / "v.mien" / "report.html").read_text()


@pytest.mark.usefixtures("fast")
def test_more_films_of_one_name_do_not_move_the_results_of_the_others(tmp_path: Path) -> None:
    """A folder that comes first in the alphabet would else take the first number, and its result the place of another's."""
    for name in "abc":
        (tmp_path / "in" / name).mkdir(parents=True)
    portrait(tmp_path / "in" / "b" / "v.png")
    portrait(tmp_path / "in" / "c" / "v.png")
    out = tmp_path / "out"

    def folders() -> dict[str, str]:
        sources = expand([tmp_path / "in"])
        run(sources, out)
        return {Path(s).parent.name: f.name for s, f in zip(sources, result_folders(sources, out), strict=True)}

    assert folders() == {"b": "v.png.mien", "c": "v.png-2.mien"}
    portrait(tmp_path / "in" / "a" / "v.png")
    assert folders() == {"a": "v.png-3.mien", "b": "v.png.mien", "c": "v.png-2.mien"}


@pytest.mark.usefixtures("fast")
def test_a_result_that_does_not_say_of_what_it_is_may_be_replaced(tmp_path: Path) -> None:
    """As older versions wrote them."""
    source = portrait(tmp_path / "v.png")
    run([source], tmp_path)
    path = tmp_path / "v.mien" / "summary.json"
    summary = json.loads(path.read_text())
    for marks, name in ((["0" * 16], "v-2.mien"), (None, "v.mien"), ("damaged", "v.mien"), ([["x"]], "v-2.mien")):
        summary["settings"]["known_by"] = marks
        path.write_text(json.dumps(summary))
        assert result_folders([str(source)], tmp_path) == [tmp_path / name]
    path.write_text("[]")
    assert result_folders([str(source)], tmp_path) == [tmp_path / "v.mien"]


def test_an_address_is_known_by_its_query_and_not_by_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = known_by("http://host/p.php?id=1"), known_by("http://host/p.php?id=2")
    assert set(one).isdisjoint(other)
    assert known_by("http://me:secret@host/p.php?id=1") == one
    before = known_by("http://host/v.mp4")
    monkeypatch.chdir(tmp_path)
    assert known_by("http://host/v.mp4") == before


def test_files_of_one_name_size_and_time_are_told_apart(tmp_path: Path) -> None:
    """As uncompressed pictures out of one archive are."""
    marks = []
    for i, folder in enumerate("ab"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "happy.bmp"
        path.write_bytes(bytes([i]) * 100)
        os.utime(path, ns=(10**18, 10**18))
        marks.append(set(known_by(path)))
    assert marks[0].isdisjoint(marks[1])


def test_what_cannot_be_looked_at_is_nobody_elses(tmp_path: Path) -> None:
    """A name too long for a folder fails in its own row, and a damaged summary stops nobody."""
    assert result_folders(["x" * 251 + ".mp4", "b.mp4"], tmp_path)[1] == tmp_path / "b.mien"
    assert [f.name for f in result_folders(["Talk.mp4", "talk.mov"], None)] == ["Talk.mp4.mien", "talk.mov.mien"]


@pytest.mark.usefixtures("fast")
def test_damage_is_still_told_after_a_resume(tmp_path: Path) -> None:
    sources = [cut_film(tmp_path / "cut.mkv")]
    run(sources, tmp_path / "out")
    write_index(run(sources, tmp_path / "out", resume=True), tmp_path / "out" / "files.csv")
    row = index(tmp_path / "out" / "files.csv")["cut.mkv"]
    assert row["status"] == "damaged"
    assert "cannot decode after" in row["error"]


def test_models_that_are_not_there_fail_at_once(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model 'emotion-x'"):
        run([portrait(tmp_path / "a.png")], tmp_path / "out", AnalysisOptions(model="emotion-x"))
    assert listing(tmp_path) == ["a.png"]


@pytest.mark.process
def test_two_processes_do_what_one_does(tmp_path: Path) -> None:
    sources = [portrait(tmp_path / "a.png"), short_film(tmp_path / "b.mp4", n=3), portrait(tmp_path / "c.png", "sadness")]
    (tmp_path / "d.mp4").write_bytes(b"no film")
    sources.append(tmp_path / "d.mp4")
    outcomes = {Path(o.source).name: o for o in run(sources, tmp_path / "two", jobs=2)}
    for source in sources[:3]:
        alone = analyze_file(source, tmp_path / "one" / f"{source.stem}.mien", FakeOptions(annotated=False))
        both = outcomes[source.name]
        assert both.summary is not None
        assert alone.summary is not None
        assert {k: v for k, v in both.summary.items() if k != "speed"} == {k: v for k, v in alone.summary.items() if k != "speed"}
        for name in ("faces.csv", "timeline.csv", "episodes.csv"):
            one, two = (tmp_path / place / f"{source.stem}.mien" / name for place in ("one", "two"))
            assert one.read_text() == two.read_text()
    assert outcomes["d.mp4"].folder is None
    assert "d.mp4: is not a picture or film" in str(outcomes["d.mp4"].error)
    assert listing(tmp_path / "two") == ["a.mien", "b.mien", "c.mien"]


@pytest.mark.process
def test_a_process_that_dies_is_one_failed_row(tmp_path: Path) -> None:
    sources = [portrait(tmp_path / f"{i}.png", "anger" if i == 1 else "happiness") for i in range(5)]
    outcomes = {Path(o.source).name: o for o in run(sources, tmp_path / "out", FakeOptions(annotated=False, deadly=True), jobs=2)}
    assert sorted(outcomes) == [f"{i}.png" for i in range(5)]
    assert "1.png: the process that analysed it died" in str(outcomes["1.png"].error)
    assert [n for n, o in outcomes.items() if o.error] == ["1.png"]
    assert [n for n in listing(tmp_path / "out") if not n.startswith(".")] == ["0.mien", "2.mien", "3.mien", "4.mien"]


@pytest.mark.process
def test_who_stops_early_does_not_wait_for_the_rest(tmp_path: Path) -> None:
    sources = [str(portrait(tmp_path / f"{i}.png")) for i in range(8)]
    outcomes: Iterator[Outcome] = analyze_files(
        sources, result_folders(sources, tmp_path / "out"), FakeOptions(annotated=False), jobs=2
    )
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]
    assert len(listing(tmp_path / "out")) <= 4


@pytest.mark.process
def test_ranges_that_nobody_waits_for_end_with_the_reading() -> None:
    with cluster.processes_for_ranges(1) as pool:
        left = pool.submit(time.sleep, 100)
    assert isinstance(left.exception(), BrokenProcessPool)


# --- the index


def test_nobodys_index_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "files.csv"
    path.write_text("name,size\nthesis.doc,12\n")
    with pytest.raises(MediaError, match=r"files\.csv: is there already and is not an index of mien"):
        write_index([Outcome("a", None, None, "no")], path)
    assert path.read_text().startswith("name,size")
    path.unlink()
    write_index([Outcome("b", None, None, "no")], path)
    write_index([Outcome("a", None, None, 'says "no", twice')], path)
    assert index(path)["a"]["error"] == 'says "no", twice'
    assert listing(tmp_path) == ["files.csv"]


def test_an_index_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"files\.csv: cannot be written"):
        write_index([], tmp_path / "nowhere" / "files.csv")


# --- what the files can be made from again, names, limits


def test_what_is_kept_beside_a_result_is_what_it_was_made_of(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    source = short_film(tmp_path / "upload.bin.mp4")
    analyze_file(source, tmp_path / "a.mien", analyzer=ANALYZER, name="Ferien <1>.mp4", keep=kept)
    assert listing(kept) == ["stills", "timeline.npz"]
    assert listing(kept / "stills") == ["1.jpg", "poster.jpg", "stills.json"]
    timeline = Timeline.load(kept / "timeline.npz")
    assert timeline.info.name == "Ferien <1>.mp4"
    again = tmp_path / "again"
    again.mkdir()
    summary = json.loads((tmp_path / "a.mien" / "summary.json").read_text())
    assert summary["media"]["name"] == "Ferien <1>.mp4"
    assert "upload" not in (tmp_path / "a.mien" / "report.html").read_text()
    write_results(timeline, again, report.Stills.load(kept / "stills"), speed=summary["speed"])
    for name in ("faces.csv", "timeline.csv", "episodes.csv", "summary.json", "emotions.png"):
        assert (again / name).read_bytes() == (tmp_path / "a.mien" / name).read_bytes(), name


def test_without_pictures_no_still_is_kept(tmp_path: Path) -> None:
    analyze_file(
        portrait(tmp_path / "a.png"),
        tmp_path / "a.mien",
        AnalysisOptions(annotated=False, pictures=False),
        analyzer=ANALYZER,
        keep=tmp_path,
    )
    assert listing(tmp_path) == ["a.mien", "a.png", "timeline.npz"]


def test_results_bear_the_names_of_people(tmp_path: Path) -> None:
    timeline = ANALYZER.video(short_film(tmp_path / "a.mp4"))
    summary = write_results(timeline, tmp_path, None, names={1: "Anna"})
    assert summary["tracks"][0]["name"] == "Anna"
    assert "One face (Anna)" in (tmp_path / "report.html").read_text()


def test_a_file_is_called_as_it_is_asked_to_in_errors_too(tmp_path: Path) -> None:
    (tmp_path / "upload.bin").write_bytes(b"no film")
    for content in (b"no film", b"", b"\x89PNG\r\n\x1a\n and then nothing", b"\xff\xd8\xff and then nothing"):
        (tmp_path / "upload.bin").write_bytes(content)
        with pytest.raises(MediaError, match=r"^talk\.mp4: ") as caught:
            analyze_file(tmp_path / "upload.bin", tmp_path / "a.mien", analyzer=ANALYZER, name="talk.mp4")
        assert "upload" not in str(caught.value)


@pytest.mark.parametrize("make", [portrait, short_film])
def test_more_pixels_than_are_wanted_are_refused_before_any_is_decoded(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    source = make(tmp_path / ("a.png" if make is portrait else "a.mp4"))
    with pytest.raises(MediaError, match=r"160 × 120 pixels, but at most 0\.019 megapixels are read; make it smaller"):
        analyze_file(source, tmp_path / "a.mien", AnalysisOptions(max_pixels=19_000), analyzer=ANALYZER)
    analyze_file(source, tmp_path / "a.mien", AnalysisOptions(max_pixels=160 * 120), analyzer=ANALYZER)


def test_a_film_longer_than_is_wanted_is_refused(tmp_path: Path) -> None:
    source = write_film(tmp_path / "a.mp4", [(i / 2, [FACE]) for i in range(8)])
    asked = AnalysisOptions(max_film_s=1.5)
    looked = FakeDetector()
    with pytest.raises(MediaError, match=r"a\.mp4: is longer than 0\.025 minutes, which is as much as is read; cut it into parts"):
        analyze_file(source, tmp_path / "a.mien", asked, analyzer=Analyzer(FakeExpressions(), detector=looked))
    assert looked.calls == 0


def test_a_film_that_hides_its_length_is_refused_when_it_shows(tmp_path: Path) -> None:
    media = FakeMedia(frames([(i / 2, [FACE]) for i in range(8)]))
    assert media.info.duration_s is None
    with pytest.raises(MediaError, match=r"is longer than 0\.025 minutes"):
        record(media, tmp_path / "a.mien", AnalysisOptions(max_film_s=1.5), ANALYZER)
    assert listing(tmp_path) == []
