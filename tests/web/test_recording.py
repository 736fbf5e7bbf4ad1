import json
import struct
import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import LABELS, FakeDetector, FakeExpressions, FakeMedia, Square, frames, scene
from mien.analyze import Analyzer, Recorder
from mien.errors import MediaError
from mien.media import open_media
from mien.types import Frame, FrameResult, Timeline
from mien.web.capture.frame_log import PICTURES, Row
from mien.web.capture.log_file import Log, records
from mien.web.capture.old_logs import FRAMES
from mien.web.capture.recording import ROWS, Facts, Logged, Writer, make_result
from mien.web.tasks.engine import python
from mien.web.tasks.process import Process
from web.live_page import jpeg

FACTS = Facts("view", "Kitchen", "camera", LABELS, {"every_s": 0.1, "smoothing_s": 0.2}, film=False)


def results(n: int = 12) -> list[FrameResult]:
    """Somebody walks, somebody else is there in between, and now and then nobody."""
    scenes: list[tuple[float, list[Square]]] = []
    for i in range(n):
        faces: list[Square] = [] if i % 5 == 3 else [(10 + 3 * i, 30, 40, "happiness" if i < 6 else "sadness")]
        if 4 < i < 9:
            faces.append((110, 10, 30, "anger"))
        scenes.append((i / 10 + i % 2 / 300, faces))
    return list(Analyzer(FakeExpressions(), detector=FakeDetector()).stream(frames(scenes)))


def row(result: FrameResult, **more: Any) -> Row:
    height, width = result.frame.rgb.shape[:2]
    given = {"part": 0, "left_out": 0} | more
    return Row(result.frame.index, 50 + result.time_s, width, height, result=result, in_view=len(result), **given)


def write(folder: Path, rows: list[Row], facts: Facts = FACTS) -> None:
    folder.mkdir(exist_ok=True)
    writer = Writer(folder, facts)
    for r in rows:
        writer.add(r, jpeg(r.result.frame.rgb))
    writer.close()


def film_facts(**more: Any) -> Facts:
    return Facts(**{f.name: getattr(FACTS, f.name) for f in fields(FACTS)} | {"film": True} | more)


def same(one: Timeline, other: Timeline) -> bool:
    columns = ("frames", "times", "frame_rows", "tracks", "boxes", "face_scores", "emotions", "smoothed")
    return one.labels == other.labels and all(
        getattr(one, c).dtype == getattr(other, c).dtype and np.array_equal(getattr(one, c), getattr(other, c)) for c in columns
    )


@pytest.mark.parametrize("n", [1, 12, 40])
def test_the_log_gives_exactly_the_timeline_of_a_recorder(tmp_path: Path, n: int) -> None:
    seen = results(n)
    write(tmp_path / "r", [row(r) for r in seen])
    logged = Logged(tmp_path / "r")
    recorder = Recorder(logged.info(), LABELS, FACTS.settings)
    for r in seen:
        recorder.add(r)
    found, wanted = logged.timeline(), recorder.timeline()
    assert same(found, wanted)
    assert found.settings == wanted.settings
    assert (found.info.name, found.info.kind, found.info.width, found.info.height) == ("Kitchen", "camera", 160, 120)
    assert found.info.duration_s == (seen[-1].time_s or None)
    assert logged.about == FACTS


def test_each_row_keeps_what_the_page_said_of_its_frame(tmp_path: Path) -> None:
    rows = [row(r, part=i // 4, left_out=i // 2) for i, r in enumerate(results())]
    write(tmp_path / "r", rows)
    logged = Logged(tmp_path / "r")
    for got, wanted in zip(logged, rows, strict=True):
        for name in ("sequence", "captured_s", "width", "height", "part", "left_out", "time_s"):
            assert getattr(got, name) == getattr(wanted, name), name
    assert logged.timeline().settings["pauses_s"] == [rows[4].time_s, rows[8].time_s]


def whole(folder: Path, length: int) -> int:
    """How many rows are whole in the first `length` bytes of the log."""
    ends = [end for end, _ in records(folder / ROWS)]
    return sum(end <= length for end in ends) - 1


def test_a_log_that_is_cut_anywhere_gives_what_is_whole(tmp_path: Path) -> None:
    write(tmp_path / "r", [row(r) for r in results(7)[3:]])
    log = tmp_path / "r" / ROWS
    content = log.read_bytes()
    counts = {length: whole(tmp_path / "r", length) for length in range(len(content) + 1)}
    for length, count in counts.items():
        log.write_bytes(content[:length])
        if count < 0:
            with pytest.raises(MediaError, match="the recording cannot be read"):
                Logged(tmp_path / "r")
        else:
            assert len(Logged(tmp_path / "r").rows) == count
    assert counts[len(content)] == 4


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_log_gives_what_comes_before_the_damage(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    seen = results(6)
    write(folder, [row(r) for r in seen])
    content = bytearray((folder / ROWS).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    count = whole(folder, place)
    content[place] ^= data.draw(st.integers(1, 255))
    (folder / ROWS).write_bytes(content)
    if count < 0:
        with pytest.raises(MediaError, match="the recording cannot be read"):
            Logged(folder)
    else:
        found = Logged(folder)
        assert len(found.rows) == count
        assert [r.time_s for r in found] == [r.time_s for r in seen[:count]]


@pytest.mark.parametrize("torn", [0, 1, 7, 30])
def test_writing_goes_on_where_the_log_is_whole(tmp_path: Path, torn: int) -> None:
    folder, seen = tmp_path / "r", results()
    write(folder, [row(r) for r in seen[:7]], film_facts())
    for name in (ROWS, PICTURES):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) - torn])
    logged = Logged(folder)
    assert len(logged.rows) == (7 if torn == 0 else 6)
    writer = Writer(folder, logged.about, logged)
    for r in seen[len(logged.rows) :]:
        writer.add(row(r), jpeg(r.frame.rgb))
    writer.sync()
    writer.close()
    assert [r.time_s for r in Logged(folder)] == [r.time_s for r in seen]
    make_result(folder)
    with open_media(folder / "result" / "annotated.mp4") as film:
        times = [f.time_s for f in film.frames()]
    assert times == pytest.approx([r.time_s for r in seen], abs=1e-3)


def test_what_is_written_is_there_at_once(tmp_path: Path) -> None:
    """Not in a buffer of the process: a server that is killed takes nothing along."""
    writer = Writer(tmp_path, FACTS)
    for i, r in enumerate(results(3)):
        writer.add(row(r), b"")
        assert len(Logged(tmp_path).rows) == i + 1
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.add(row(results(1)[0]), b"")


# --- recordings of before


def written_before(folder: Path, seen: list[FrameResult]) -> None:
    """The logs of a recording under way, with its pictures, as they were written when they had a format of their own."""
    folder.mkdir()
    rows, pictures = Log(folder / ROWS), Log(folder / FRAMES)
    rows.append(json.dumps({"format": "mien-rows 1"} | asdict(film_facts())).encode())
    for i, r in enumerate(seen):
        height, width = r.frame.rgb.shape[:2]
        head = struct.pack("<IddIIHH", i, 50 + r.time_s, r.time_s, i // 2, i // 4 << 16 | len(r), width, height)
        columns = (r.tracks.astype("<i8"), r.faces.boxes, r.faces.scores, r.emotions, r.smoothed)
        rows.append(head + b"".join(np.ascontiguousarray(column).tobytes() for column in columns))
        pictures.append(struct.pack("<d", r.time_s) + jpeg(r.frame.rgb))
    rows.close()
    pictures.close()


@pytest.mark.parametrize("torn", [0, 1, 30])
def test_a_recording_of_before_is_read_gone_on_with_and_made(tmp_path: Path, torn: int) -> None:
    folder, seen = tmp_path / "r", results()
    written_before(folder, seen[:7])
    content = (folder / ROWS).read_bytes()
    (folder / ROWS).write_bytes(content[: len(content) - torn])
    logged = Logged(folder)
    whole = 7 if torn == 0 else 6
    assert (logged.old, len(logged.rows), logged.last, logged.bytes <= len(content) - torn) == (True, whole, whole - 1, True)
    assert logged.about == film_facts()
    assert [(r.part, r.left_out, r.width, r.in_view) for r in logged] == [
        (i // 4, i // 2, 160, len(r)) for i, r in enumerate(seen[:whole])
    ]
    assert same(logged.timeline(), recorded(seen[:whole]))
    writer = Writer(folder, logged.about, logged)
    for r in seen[whole:]:
        writer.add(row(r, part=1), jpeg(r.frame.rgb))
    writer.close()
    assert not Logged(folder).old
    assert same(Logged(folder).timeline(), recorded(seen))
    make_result(folder)
    assert same(Timeline.load(folder / "timeline.npz"), recorded(seen))
    with open_media(folder / "result" / "annotated.mp4") as film:
        assert [f.time_s for f in film.frames()] == pytest.approx([r.time_s for r in seen], abs=1e-3)
    assert not [name for name in (ROWS, FRAMES, PICTURES) if (folder / name).exists()]


# --- results


def pictures(folder: Path) -> list[str]:
    """Files that show people: pictures and films, alone or within others. Plots are PNG and show none."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        marks = (b"\xff\xd8\xff", b"ftypisom", b"data:image/jpeg", b"data:image/webp")
        if any(mark in content for mark in marks) or path.suffix in (".jpg", ".jpeg", ".mp4", ".webm"):
            found.append(path.relative_to(folder).as_posix())
    return found


def test_without_the_film_no_picture_of_anybody_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    write(folder, [row(r) for r in results()])
    assert pictures(folder) == []
    summary = make_result(folder)
    assert summary["faces"] > 10
    assert pictures(folder) == []
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert files == {
        "timeline.npz",
        "result/timeline.npz",
        *(f"result/{n}" for n in ("faces.csv", "timeline.csv", "episodes.csv", "summary.json", "report.html")),
        *(f"result/{n}" for n in ("emotions.png", "tracks.png")),
    }


def test_with_the_film_it_is_made_and_the_raw_frames_go(tmp_path: Path) -> None:
    folder, seen = tmp_path / "r", results(20)
    write(folder, [row(r) for r in seen], film_facts())
    assert (folder / PICTURES).stat().st_size > 1000
    make_result(folder)
    assert not (folder / PICTURES).exists()
    assert not (folder / ROWS).exists()
    assert {"result/annotated.mp4", "result/report.html", "stills/1.jpg"} <= set(pictures(folder))
    with open_media(folder / "result" / "annotated.mp4") as film:
        assert (film.info.width, film.info.height, film.info.codec) == (160, 120, "h264")
        shown = list(film.frames())
    assert [f.time_s for f in shown] == pytest.approx([r.time_s for r in seen], abs=1e-3)
    drawn = np.abs(shown[0].rgb.astype(int) - seen[0].frame.rgb).max(axis=2) > 60
    assert drawn.sum() > 100  # the box and its label
    assert same(Timeline.load(folder / "timeline.npz"), recorded(seen))


def recorded(seen: list[FrameResult]) -> Timeline:
    recorder = Recorder(FakeMedia([]).info, LABELS)
    for r in seen:
        recorder.add(r)
    return recorder.timeline()


def test_a_picture_that_changes_its_shape_stays_in_the_films_frame(tmp_path: Path) -> None:
    a = Analyzer(FakeExpressions(), detector=FakeDetector())
    scenes = [scene([(20, 20, 40, "happiness")], width=w, height=h) for w, h in ((160, 120), (300, 100), (90, 200))]
    seen = list(a.stream([Frame(i, i / 5, rgb) for i, rgb in enumerate(scenes)]))
    write(tmp_path / "r", [row(r) for r in seen], film_facts())
    make_result(tmp_path / "r")
    with open_media(tmp_path / "r" / "result" / "annotated.mp4") as film:
        assert [f.rgb.shape for f in film.frames()] == [(120, 160, 3)] * 3


@pytest.mark.process
def test_a_result_can_be_made_again_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in any step before the logs go: they are still there, and the second run makes all of it. After them: it is there."""
    folder, seen = tmp_path / "r", results()
    write(folder, [row(r) for r in seen], film_facts())

    class Killed(BaseException):
        pass

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    for step in ("mien.cluster.write_results", "mien.types.Timeline.save", "pathlib.Path.unlink"):
        with monkeypatch.context() as patch:
            patch.setattr(step, killed)
            with pytest.raises(Killed):
                make_result(folder)
        assert (folder / ROWS).exists()
        assert (folder / PICTURES).exists()
    first = make_result(folder)
    assert make_result(folder) == json.loads(json.dumps(first))
    assert same(Timeline.load(folder / "timeline.npz"), recorded(seen))


def test_a_picture_sent_again_after_a_restart_is_in_the_film_once(tmp_path: Path) -> None:
    """The server died between a picture and its row: the page sends the frame again, and the log of pictures has it twice."""
    folder, seen = tmp_path / "r", results(6)
    write(folder, [row(r) for r in seen[:3]], film_facts())
    rows = (folder / ROWS).read_bytes()
    (folder / ROWS).write_bytes(rows[: [end for end, _ in records(folder / ROWS)][-2]])
    logged = Logged(folder)
    writer = Writer(folder, logged.about, logged)
    for r in seen[2:]:
        writer.add(row(r), jpeg(r.frame.rgb))
    writer.close()
    assert sum(1 for _ in records(folder / PICTURES)) == 7
    make_result(folder)
    with open_media(folder / "result" / "annotated.mp4") as film:
        assert [f.time_s for f in film.frames()] == pytest.approx([r.time_s for r in seen], abs=1e-3)


def test_a_recording_of_nothing_says_so(tmp_path: Path) -> None:
    write(tmp_path / "r", [])
    with pytest.raises(MediaError, match="Kitchen: nothing was recorded: no picture came between start and stop"):
        make_result(tmp_path / "r")


def save(folder: Path) -> Any:
    ended = Process(python("mien.web.capture.recording"), {"folder": str(folder)}, 240).work()
    assert ended is not None
    assert (ended.code, ended.by) == (0, "")
    return ended.answer


@pytest.mark.process
def test_the_process_answers_in_one_line(tmp_path: Path) -> None:
    write(tmp_path / "r", [row(r) for r in results()])
    done = save(tmp_path / "r")["done"]
    assert done["people"] == len(Timeline.load(tmp_path / "r" / "timeline.npz").track_ids)
    assert done["duration_s"] > 1
    assert set(done["shares"]) == set(LABELS)
    assert isinstance(done["headline"], str)
    write(tmp_path / "empty", [])
    assert "nothing was recorded" in save(tmp_path / "empty")["failed"]
    assert "cannot be read" in save(tmp_path / "nowhere")["failed"]


@pytest.mark.process
def test_the_process_ends_with_the_server(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "mien.web.capture.recording"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        process.communicate(json.dumps({"folder": str(tmp_path)}).encode() + b"\n", timeout=240)
        assert process.returncode in (0, 3)
