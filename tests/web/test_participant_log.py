import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fakes import LABELS
from mien.errors import MediaError
from mien.follow import Followed
from mien.types import Faces
from mien.web.capture.frame_log import HEAD, face_type
from mien.web.capture.log_file import RECORD_BYTES, Log
from mien.web.capture.participant_log import Looks, LookWriter, first_exposure, last_seen, look, looks, pictures
from mien.web.capture.wire import FrameHead
from steps import lines_run

ONE = Faces(np.array([[1, 2, 11, 22]]), np.array([0.75]), np.zeros((1, 5, 2)))
HAPPY = np.array([[0.125, 0.75, 0.125]], np.float32)
SETTINGS = {"every_s": 0.5, "models": {"detector": {"name": "fake"}}}


def writer(folder: Path, **more: Any) -> LookWriter:
    return LookWriter(folder, "s1", LABELS, SETTINGS, **more)


def add(log: LookWriter, sequence: int, film_s: float, *, face: bool = True, late: bool = False, picture: bytes = b"jpeg") -> None:
    head = FrameHead(sequence, 100 + film_s, late, film_s=film_s)
    followed = Followed(0, 1, 0) if face else Followed(None, 0, 0)
    faces, emotions = (ONE, HAPPY) if face else (Faces.none(), HAPPY[:0])
    log.add(look(head, 2, (640, 360), 99.5, faces, followed, emotions, LABELS), picture)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    log = writer(tmp_path)
    add(log, 0, 0.0)
    add(log, 2, 0.5, face=False, late=True)
    assert (log.looks, log.with_face, log.received, log.position_s) == (2, 1, 2, 0.5)
    log.close()
    found = Looks(tmp_path / "s1.log")
    assert (found.labels, found.facts["settings"], found.last, found.part, found.position_s) == (LABELS, SETTINGS, 2, 2, 0.5)
    assert found.bytes == (tmp_path / "s1.log").stat().st_size
    first, second = found
    assert (first.sequence, first.captured_s, first.time_s, first.late, first.in_view) == (0, 100.0, 0.0, False, 1)
    assert (first.width, first.height, first.light, first.result.faces.scores) == (640, 360, 99.5, 0.75)
    assert first.result.faces.boxes.tolist() == [[1, 2, 11, 22]]
    assert first.result.emotions.tolist() == HAPPY.tolist()
    assert (second.in_view, second.late, len(second.result)) == (0, True, 0)


def test_a_log_is_gone_on_with(tmp_path: Path) -> None:
    for sequences in (range(3), range(3, 5)):
        log = writer(tmp_path)
        assert log.received == sequences[0] - 1
        for i in sequences:
            add(log, i, i / 2)
        log.close()
    assert Looks(tmp_path / "s1.log").rows["sequence"].tolist() == [0, 1, 2, 3, 4]


def test_wherever_a_log_is_cut_it_is_read_up_to_there_and_gone_on_with(tmp_path: Path) -> None:
    log = writer(tmp_path)
    for i in range(4):
        add(log, i, i / 2)
    log.close()
    path = tmp_path / "s1.log"
    whole = path.read_bytes()
    size = RECORD_BYTES + HEAD.itemsize + face_type(len(LABELS), smoothed=False).itemsize
    begin = len(whole) - 4 * size
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        log = writer(tmp_path)
        kept = max(0, (cut - begin) // size)
        assert log.received == kept - 1, cut
        add(log, 9, 9.0)
        log.close()
        assert Looks(path).rows["sequence"].tolist() == [*range(kept), 9], cut


def test_a_record_that_is_damaged_ends_the_log(tmp_path: Path) -> None:
    log = writer(tmp_path)
    for i in range(5):
        add(log, i, i / 2)
    log.close()
    path = tmp_path / "s1.log"
    whole = path.read_bytes()
    size = RECORD_BYTES + HEAD.itemsize + face_type(len(LABELS), smoothed=False).itemsize
    for place in (len(whole) - 2 * size - 1, len(whole) - 3 * size + 1, len(whole) - 3 * size + 5):  # a row, a length, a checksum
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        assert Looks(path).rows["sequence"].tolist() == [0, 1]


@pytest.mark.parametrize("held", [b"", b"{}", b"\0" * 100, b"\xff" * 100])
def test_a_log_that_is_none(tmp_path: Path, held: bytes) -> None:
    path = tmp_path / "s1.log"
    path.write_bytes(held)
    with pytest.raises(MediaError, match=r"s1\.log"):
        Looks(path)
    assert looks(tmp_path, "s1") is None
    assert looks(tmp_path, "s2") is None


def test_a_log_of_another_format_is_said(tmp_path: Path) -> None:
    log = Log(tmp_path / "s1.log")
    log.append(json.dumps({"format": "mien-looks 9"}).encode())
    log.close()
    with pytest.raises(MediaError, match="mien-looks 9"):
        Looks(tmp_path / "s1.log")


def test_another_model_that_names_other_expressions_does_not_go_on(tmp_path: Path) -> None:
    log = writer(tmp_path)
    add(log, 0, 0.0)
    log.close()
    with pytest.raises(MediaError, match="other expressions"):
        LookWriter(tmp_path, "s1", ("joy", "sorrow"), SETTINGS)


def test_pictures_are_found_once_each(tmp_path: Path) -> None:
    log = writer(tmp_path, pictures=True)
    add(log, 0, 0.0, picture=b"first")
    add(log, 1, 0.5, picture=b"second")
    log.close()
    assert list(pictures(tmp_path)) == [("s1", 0.0, b"first"), ("s1", 0.5, b"second")]
    rows = (tmp_path / "s1.log").read_bytes()
    (tmp_path / "s1.log").write_bytes(rows[:-3])  # killed between the picture and its numbers
    log = writer(tmp_path, pictures=True)
    assert log.received == 0
    add(log, 1, 0.5, picture=b"second")
    log.close()
    assert list(pictures(tmp_path)) == [("s1", 0.0, b"first"), ("s1", 0.5, b"second")]
    assert list(pictures(tmp_path / "nobody")) == []
    with (tmp_path / "pictures.log").open("ab") as file:
        file.write(bytes(4096))  # as a file may end after a power cut
    assert len(list(pictures(tmp_path))) == 2
    log = writer(tmp_path, pictures=True)
    add(log, 2, 1.0, picture=b"third")
    log.close()
    assert [picture for _, _, picture in pictures(tmp_path)] == [b"first", b"second", b"third"]


def test_another_model_is_noted_where_it_goes_on(tmp_path: Path) -> None:
    other = SETTINGS | {"models": {"detector": {"name": "another"}}}
    for number, settings in enumerate((SETTINGS, other, other, SETTINGS)):
        log = LookWriter(tmp_path, "s1", LABELS, settings)
        add(log, number, number / 2)
        log.close()
    found = Looks(tmp_path / "s1.log")
    assert found.rows["sequence"].tolist() == [0, 1, 2, 3]
    assert found.facts["settings"] == SETTINGS
    assert found.facts["then"] == [{"from": 1, "settings": other}, {"from": 3, "settings": SETTINGS}]
    assert found.timeline().settings == SETTINGS | {"then": found.facts["then"]}
    assert [path.name for path in tmp_path.iterdir()] == ["s1.log"]


def test_what_was_kept_by_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = writer(tmp_path)
    for i in range(4):
        monkeypatch.setattr("mien.web.capture.frame_log.now", lambda at=1000.0 + i: datetime.fromtimestamp(at, UTC))
        add(log, i, i / 2)
    log.close()
    found = looks(tmp_path, "s1", datetime.fromtimestamp(1001.5, UTC))
    assert found is not None
    assert (found.rows["sequence"].tolist(), found.last, found.position_s) == ([0, 1], 1, 0.5)


# --- one person among others, and logs of before


def test_whoever_else_is_in_view_is_counted_and_nothing_more(tmp_path: Path) -> None:
    log = writer(tmp_path)
    two = Faces(np.array([[1, 2, 11, 22], [30, 2, 90, 82]]), np.array([0.75, 0.5]), np.zeros((2, 5, 2)))
    emotions = np.vstack([HAPPY, HAPPY[:, ::-1]])
    of = [Followed(0, 1, 1), Followed(1, 3, 1), Followed(None, 0, 2), Followed(1, 4, 1)]
    for i, followed in enumerate(of):
        log.add(look(FrameHead(i, 100 + i, film_s=i), 0, (640, 360), 99.5, two, followed, emotions, LABELS), b"")
    assert (log.looks, log.with_face, log.with_others) == (4, 3, 4)
    log.close()
    found = Looks(tmp_path / "s1.log")
    assert (found.with_face, found.with_others, found.gone_on) == (3, 4, 2)
    assert [(row.in_view, row.result.tracks.tolist()) for row in found] == [(2, [1]), (2, [3]), (2, []), (2, [4])]
    assert found.faces["box"].tolist() == [two.boxes[k].tolist() for k in (0, 1, 1)]
    timeline = found.timeline(9.0)
    assert (timeline.frame_rows.tolist(), timeline.tracks.tolist()) == ([0, 1, 3], [1, 1, 1])
    seen = last_seen(tmp_path, ("baseline", "s1"))
    assert seen is not None
    assert (seen.box.tolist(), seen.captured_s, seen.track) == ([30, 2, 90, 82], 103.0, 4)
    assert last_seen(tmp_path, ("baseline",)) is None


def written_before(folder: Path, n: int) -> bytes:
    """A log as it was written when the largest face of each frame was the participant: no face in each third frame, else two."""
    kind = np.dtype(
        [
            *(("at_s", "<f8"), ("sequence", "<u4"), ("part", "<u2"), ("late", "u1"), ("faces", "u1"), ("captured_s", "<f8")),
            *(("film_s", "<f8"), ("width", "<u2"), ("height", "<u2"), ("light", "<f4"), ("box", "<f4", (4,)), ("score", "<f4")),
            ("emotions", "<f4", (3,)),
        ]
    )
    log = Log(folder / "s1.log")
    log.append(json.dumps({"format": "mien-looks 1", "stimulus": "s1", "labels": LABELS, "settings": SETTINGS}).encode())
    for i in range(n):
        row = np.zeros((), kind)
        row["at_s"], row["sequence"], row["part"], row["late"] = 1000 + i, i, 2, i % 2
        row["captured_s"], row["film_s"], row["width"], row["height"], row["light"] = 100 + i / 2, i / 2, 640, 360, 99.5
        if i % 3:
            row["faces"], row["box"], row["score"], row["emotions"] = 2, ONE.boxes[0], 0.75, HAPPY[0]
        log.append(row.tobytes())
    log.close()
    return (folder / "s1.log").read_bytes()


def test_a_log_of_before_is_read(tmp_path: Path) -> None:
    held = written_before(tmp_path, 7)
    found = Looks(tmp_path / "s1.log")
    assert (found.last, found.part, found.position_s, found.bytes) == (6, 2, 3.0, len(held))
    assert (found.with_face, found.with_others, found.facts["largest_until"]) == (4, 4, 6)
    timeline = found.timeline(30.0)
    assert timeline.times.tolist() == [i / 2 for i in range(7)]
    assert timeline.frame_rows.tolist() == [1, 2, 4, 5]
    assert timeline.emotions.tolist() == HAPPY.tolist() * 4
    assert timeline.boxes.tolist() == ONE.boxes.tolist() * 4
    assert [row.late for row in found] == [False, True, False, True, False, True, False]
    (tmp_path / "s1.log").write_bytes(held[:-3])
    assert Looks(tmp_path / "s1.log").last == 5
    assert looks(tmp_path, "s1", datetime.fromtimestamp(1002.5, UTC)).rows["sequence"].tolist() == [0, 1, 2]


def test_a_log_of_before_is_gone_on_with(tmp_path: Path) -> None:
    held = written_before(tmp_path, 5)
    (tmp_path / "s1.log").write_bytes(held[:-3])
    before = Looks(tmp_path / "s1.log")
    for sequences in ((4, 5), (6,)):
        log = writer(tmp_path)
        assert log.received == sequences[0] - 1
        for i in sequences:
            add(log, i, i / 2)
        log.close()
    found = Looks(tmp_path / "s1.log")
    assert not found.old
    assert found.facts == before.facts
    assert found.facts["largest_until"] == 3
    assert found.rows[:4].tolist() == before.rows.tolist()
    assert found.rows["sequence"].tolist() == list(range(7))
    assert found.rows["in_view"].tolist() == [0, 2, 2, 0, 1, 1, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["s1.log"]


# --- the first exposure


def rows(watched: list[tuple[float, float, int]]) -> NDArray[Any]:
    """(captured_s, film_s, part) of each frame."""
    made = np.zeros(len(watched), HEAD)
    for i, (captured_s, film_s, part) in enumerate(watched):
        made[i]["sequence"], made[i]["captured_s"], made[i]["time_s"], made[i]["part"] = i, captured_s, film_s, part
    return made


PIECES = st.lists(st.tuples(st.floats(0, 60), st.integers(1, 30), st.booleans()), max_size=6)


@given(PIECES)
def test_every_moment_counts_once_and_the_first_time(pieces: list[tuple[float, int, bool]]) -> None:
    """Against a plain walk through what was watched: seek to a place, watch so many looks, on this page or another one."""
    watched, clock_s, part = [], 0.0, 0
    spans: list[tuple[float, float]] = []
    wanted = []
    for start_s, count, another in pieces:
        part += another
        clock_s = 0.0 if another else clock_s + 0.01
        last_s = watched[-1][1] if watched else -100.0
        gained = start_s - last_s
        goes_on = bool(watched) and not another and 0 <= gained <= 1.25 * 0.51 + 1  # too small a step to be told from playing on
        times = [start_s + 0.5 * i for i in range(count)]
        begun = len(watched)
        for film_s in times:
            watched.append((clock_s, film_s, part))
            clock_s += 0.5
        first_s = spans.pop()[0] if goes_on else start_s
        known = spans[:]
        for i, film_s in enumerate(times):
            repeated = goes_on and i == 0 and film_s == last_s
            if not repeated and not any(a <= film_s <= b for a, b in known):
                wanted.append(begun + i)
        spans.append((first_s, times[-1]))
    made = rows(watched)
    found = first_exposure(made)
    assert sorted(found.tolist()) == wanted
    assert (np.diff(made["time_s"][found]) > 0).all()


def test_a_stall_and_a_lost_camera_do_not_end_a_run() -> None:
    film = [(0, 0.0, 0), (0.5, 0.5, 0), (30.0, 0.6, 0), (30.5, 1.1, 0), (50.5, 21.1, 0), (60, 0.8, 0), (70, 10.0, 0), (80, 25.0, 0)]
    assert rows(film)["time_s"][first_exposure(rows(film))].tolist() == [0.0, 0.5, 0.6, 1.1, 21.1, 25.0]


def test_a_page_that_jumps_all_the_time_holds_nobody_up() -> None:
    """It may send what it likes; the report of everybody else must not wait for it: each look costs what it cost before."""

    def cost(looks: int) -> int:
        film = rows([(float(i), (i * 7919) % looks + 0.5, 0) for i in range(looks)])
        assert len(first_exposure(film)) == looks
        return lines_run(lambda: first_exposure(film))

    assert cost(8000) < 2.2 * cost(4000)


def test_nothing_watched_is_nothing() -> None:
    assert len(first_exposure(rows([]))) == 0
