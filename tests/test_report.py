import csv
import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mien import page_file, report
from mien.episodes import find_episodes
from mien.errors import MediaError
from mien.labels import EKMAN, FER2013, FERPLUS, valence
from mien.types import Episode, Faces, Frame, FrameResult, MediaInfo, Timeline


def timeline(
    *,
    seconds: float = 8.0,
    fps: float = 10.0,
    spans: tuple[tuple[float, float], ...] = ((0.0, 3.0), (4.0, 8.0)),
    tracks: int = 1,
    labels: tuple[str, ...] = FERPLUS,
    name: str = "talk.mp4",
    settings: dict[str, Any] | None = None,
) -> Timeline:
    """Each track is seen in `spans`; sad in the first half, happy in the second; the model's scores a little less sure."""
    f = round(seconds * fps)
    times = np.arange(f) / fps
    seen = np.zeros(f, bool)
    for a, b in spans:
        seen |= (times >= a - 1e-9) & (times < b - 1e-9)
    at = np.flatnonzero(seen)
    rows = np.repeat(at, tracks)
    ids = np.tile(np.arange(1, tracks + 1), len(at))
    k = len(labels)
    smoothed = np.full((len(rows), k), 0.1 / (k - 1), np.float32)
    lead = np.where(times[rows] < seconds / 2, labels.index("sadness"), labels.index("happiness"))
    smoothed[np.arange(len(rows)), lead] = 0.9
    emotions = (0.8 * smoothed + 0.2 / k).astype(np.float32)
    boxes = np.stack([ids * 50.0, ids * 0 + 20.0, ids * 50.0 + 40.0, ids * 0 + 70.0], axis=1)
    info = MediaInfo(name, "video", 640, 360, seconds, fps, f, True, "h264")
    scores = np.full(len(rows), 0.9)
    return Timeline(info, labels, np.arange(f) * 3, times, rows, ids, boxes, scores, emotions, smoothed, settings or {})


def picture(n: int = 2, name: str = "group.jpg") -> Timeline:
    scores = np.full((n, 8), 0.2 / 7, np.float32)
    for i in range(n):
        scores[i, (i + 1) % 8] = 0.8
    info = MediaInfo(name, "picture", 320, 240, None, None, 1, False, "mjpeg")
    boxes = np.array([[10 + 60 * i, 10, 60 + 60 * i, 70] for i in range(n)], np.float32).reshape(-1, 4)
    return Timeline(info, FERPLUS, [0], [0.0], [0] * n, np.arange(1, n + 1), boxes, np.full(n, 0.9), scores, scores)


def results(t: Timeline) -> list[FrameResult]:
    rgb = np.random.default_rng(0).integers(0, 255, (120, 240, 3)).astype(np.uint8)
    out = []
    for i, time_s in enumerate(t.times):
        keep = t.frame_rows == i
        n = int(keep.sum())
        faces = Faces(t.boxes[keep], t.face_scores[keep], np.zeros((n, 5, 2)))
        out.append(FrameResult(Frame(i, float(time_s), rgb), faces, t.tracks[keep], t.labels, t.emotions[keep], t.smoothed[keep]))
    return out


def collected(t: Timeline, **options: Any) -> report.Stills:
    stills = report.Stills(**options)
    for r in results(t):
        stills.add(r)
    return stills


def read(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def page(t: Timeline, tmp_path: Path, **options: Any) -> str:
    path = tmp_path / "report.html"
    report.html(t, path, **options)
    return path.read_text(encoding="utf-8")


def data_of(text: str) -> dict[str, Any]:
    match = re.search(r'id="curves">(.*?)</script>', text, re.S)
    assert match
    found: dict[str, Any] = json.loads(match[1])
    return found


# --- tables


@pytest.mark.parametrize("labels", [EKMAN, FER2013, FERPLUS])
def test_faces_csv(tmp_path: Path, labels: tuple[str, ...]) -> None:
    t = timeline(labels=labels, tracks=2)
    report.faces_csv(t, tmp_path / "faces.csv")
    rows = read(tmp_path / "faces.csv")
    head = ["frame", "time_s", "track", "x1", "y1", "x2", "y2", "face_score", *labels, "expression", "valence"]
    assert list(rows[0]) == [*head, "reliability", "flags"]
    assert {(r["reliability"], r["flags"]) for r in rows} == {("", "")}  # of a model that does not say
    assert len(rows) == len(t.frame_rows) == 140
    assert [int(r["frame"]) for r in rows] == t.frames[t.frame_rows].tolist()
    assert [float(r["time_s"]) for r in rows] == pytest.approx(t.face_times.tolist(), abs=1e-6)
    assert [int(r["track"]) for r in rows] == t.tracks.tolist()
    assert [[float(r[c]) for c in ("x1", "y1", "x2", "y2")] for r in rows] == t.boxes.tolist()
    scores = np.array([[float(r[name]) for name in labels] for r in rows])
    assert np.abs(scores - t.emotions).max() < 1e-5  # as the model gave them, not smoothed
    assert np.abs(scores.sum(axis=1) - 1).max() < 1e-3
    assert [r["expression"] for r in rows] == [labels[i] for i in t.emotions.argmax(axis=1)]
    assert [float(r["valence"]) for r in rows] == pytest.approx(t.valence.tolist(), abs=1e-5)
    content = (tmp_path / "faces.csv").read_bytes()
    assert b"\r" not in content
    assert content.endswith(b"\n")
    assert b"-0.00000" not in content


def judged(t: Timeline, reliability: list[float], flags: list[int], **settings: Any) -> Timeline:
    """The same with these values over and over again."""
    n = len(t.frame_rows)
    return replace(
        t,
        reliability=np.resize(np.array(reliability, np.float32), n),
        flags=np.resize(np.array(flags, np.uint8), n),
        settings=dict(t.settings) | settings,
    )


def test_what_cannot_be_relied_on_keeps_its_row_and_counts_nowhere(tmp_path: Path) -> None:
    t = judged(timeline(tracks=2), [0.9, 0.9, 0.4, 0.9], [0, 0b100, 0, 0b10000])  # sure; dark; unsure; turned, which is only told
    report.faces_csv(t, tmp_path / "f.csv")
    rows = read(tmp_path / "f.csv")
    assert [(r["reliability"], r["flags"]) for r in rows[:4]] == [
        ("0.9000", ""),
        ("0.9000", "dark"),
        ("0.4000", ""),
        ("0.9000", "turned"),
    ]
    assert [r["expression"] != "" for r in rows[:4]] == [True, False, False, True]
    assert all(r["neutral"] for r in rows)  # the probabilities stay
    report.timeline_csv(t, tmp_path / "t.csv")
    counted = sum(int(r[f"{name}_count"]) for r in read(tmp_path / "t.csv") for name in FERPLUS)
    assert counted == len(rows) // 2 == t.relied_on.sum()
    assert {int(r["faces"]) for r in read(tmp_path / "t.csv")} == set(t.faces_per_frame.tolist())
    facts = report.summary(t, [])
    assert facts["coverage"] == 0.5
    assert facts["not_relied_on"] == {"dark": 35, "unsure": 35}
    assert sum(facts["shares"].values()) == pytest.approx(1, abs=1e-4)
    assert facts["headline"].endswith("Read in 50% of it; too unsure and too dark for the rest.")


@pytest.mark.parametrize("tracks", [1, 2])
def test_a_few_lucky_frames_name_no_expression(tracks: int, tmp_path: Path) -> None:
    t = judged(timeline(tracks=tracks), [0.9] + [0.9] * 9, [0] + [0b10] * 9)
    told = report.headline(t, [])
    assert told.endswith(". Only 10% of it can be read, too little to name an expression: too blurred.")
    assert "appear" not in told
    report.html(t, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Leads most often" not in page
    assert "Share of the time" not in page


def test_lines_break_where_a_face_cannot_be_read(tmp_path: Path) -> None:
    t = judged(timeline(), [0.9, 0.1], [0])
    line = report.line(t, 1, points=1000)
    seen = np.isnan(line.values[:, 0])
    assert seen[:4].tolist() == [False, True, False, True]
    assert report.read_in(judged(timeline(), [0.1], [0])) == "No reading can be relied on: too unsure."
    report.html(judged(timeline(), [0.1], [0b1]), tmp_path / "page.html")
    assert "too small" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_how_much_is_asked_of_a_reading_can_be_said() -> None:
    t = timeline()
    assert judged(t, [0.6], [0]).coverage == 1
    assert judged(t, [0.6], [0], min_reliability=0.7).coverage == 0
    assert judged(t, [0.0], [0], min_reliability=0.0).coverage == 1
    assert judged(t, [0.0], [0b1], min_reliability=0.0).coverage == 0
    assert judged(t, [np.nan], [0], min_reliability=1.0).coverage == 1  # the model does not say


def test_faces_csv_keeps_microseconds(tmp_path: Path) -> None:
    t = timeline()
    times = t.times + 1234.567891
    shifted = Timeline(t.info, t.labels, t.frames, times, t.frame_rows, t.tracks, t.boxes, t.face_scores, t.emotions, t.smoothed)
    report.faces_csv(shifted, tmp_path / "f.csv")
    assert read(tmp_path / "f.csv")[0]["time_s"] == "1234.567891"


def test_faces_csv_with_baseline(tmp_path: Path) -> None:
    t = timeline(settings={"baseline_s": 1.0}, tracks=2)
    report.faces_csv(t, tmp_path / "f.csv")
    rows = read(tmp_path / "f.csv")
    names = [f"{name}_change" for name in FERPLUS]
    assert list(rows[0])[-9:] == ["flags", *names]
    change = np.array([[float(r[name]) for name in names] for r in rows])
    assert np.abs(change - t.baseline(1.0)).max() < 1e-5
    assert change[-1, FERPLUS.index("happiness")] > 0.5


def test_faces_csv_over_several_chunks(tmp_path: Path) -> None:
    t = timeline(seconds=1000, spans=((0, 1000),))
    report.faces_csv(t, tmp_path / "f.csv")
    assert [int(r["frame"]) for r in read(tmp_path / "f.csv")] == t.frames.tolist()
    report.timeline_csv(t, tmp_path / "t.csv")
    assert len(read(tmp_path / "t.csv")) == 10_000


def test_labels_are_quoted_as_csv_asks(tmp_path: Path) -> None:
    t = timeline(labels=("sadness", "happiness", 'so, "so"'))
    odd = Timeline(
        t.info, t.labels, t.frames, t.times, t.frame_rows, t.tracks, t.boxes, t.face_scores, t.emotions[:, ::-1], t.smoothed
    )
    report.faces_csv(odd, tmp_path / "f.csv")
    report.timeline_csv(odd, tmp_path / "t.csv")
    assert 'so, "so"' in read(tmp_path / "f.csv")[0]["expression"]
    assert 'so, "so"_count' in read(tmp_path / "t.csv")[0]


def test_timeline_csv_has_a_row_per_frame_also_where_nobody_is(tmp_path: Path) -> None:
    t = timeline(tracks=3)
    report.timeline_csv(t, tmp_path / "t.csv")
    rows = read(tmp_path / "t.csv")
    assert list(rows[0]) == ["time_s", "faces", *(f"{n}_count" for n in FERPLUS), *FERPLUS]
    assert len(rows) == len(t) == 80
    assert [int(r["faces"]) for r in rows] == t.faces_per_frame.tolist()
    empty = rows[35]
    assert empty["faces"] == "0"
    assert all(empty[n] == "" and empty[f"{n}_count"] == "0" for n in FERPLUS)
    assert rows[10]["sadness_count"] == "3"
    assert rows[60]["happiness_count"] == "3"
    assert sum(float(rows[10][n]) for n in FERPLUS) == pytest.approx(1, abs=1e-3)
    assert float(rows[10]["sadness"]) == pytest.approx(float(t.emotions[30, FERPLUS.index("sadness")]), abs=1e-5)
    for r in rows:
        assert sum(int(r[f"{n}_count"]) for n in FERPLUS) == int(r["faces"])


def test_tables_of_nobody(tmp_path: Path) -> None:
    t = timeline(spans=())
    report.faces_csv(t, tmp_path / "f.csv")
    report.timeline_csv(t, tmp_path / "t.csv")
    report.episodes_csv([], tmp_path / "e.csv")
    assert (tmp_path / "f.csv").read_text().count("\n") == 1
    assert len(read(tmp_path / "t.csv")) == 80
    assert (tmp_path / "e.csv").read_text() == "track,expression,start_s,end_s,peak,peak_time_s\n"


def test_episodes_csv(tmp_path: Path) -> None:
    episodes = [Episode(3, "happiness", 12.4, 15.0000014, 0.93456, 13.1)]
    report.episodes_csv(episodes, tmp_path / "e.csv")
    assert read(tmp_path / "e.csv") == [
        {
            "track": "3",
            "expression": "happiness",
            "start_s": "12.400000",
            "end_s": "15.000001",
            "peak": "0.93456",
            "peak_time_s": "13.100000",
        }
    ]


class Full:
    """A disk with no room, as open() shows it."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __enter__(self) -> "Full":
        return self

    def __exit__(self, *_: object) -> None: ...

    def write(self, _: Any) -> None:
        raise OSError(28, "No space left on device")

    writelines = write


WRITERS: dict[str, Callable[[Timeline, Path], None]] = {
    "faces.csv": report.faces_csv,
    "timeline.csv": report.timeline_csv,
    "episodes.csv": lambda t, path: report.episodes_csv(find_episodes(t), path),
    "summary.json": lambda t, path: report.summary_json(t, find_episodes(t), path),
    "plot.png": report.png,
    "tracks.png": report.png_tracks,
    "report.html": report.html,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_cannot_be_written_is_a_media_error(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    t = timeline()
    with pytest.raises(MediaError, match=f"^{re.escape(name)}: cannot be written: No such file"):
        WRITERS[name](t, tmp_path / "missing" / name)
    monkeypatch.setattr(report, "open", Full, raising=False)
    with pytest.raises(MediaError, match=f"^{re.escape(name)}: cannot be written: No space left on device$"):
        WRITERS[name](t, tmp_path / name)


# --- summary and headline


def test_summary(tmp_path: Path) -> None:
    models = {
        "detector": {"name": "yunet", "sha256": "ab"},
        "expression": {"name": "m", "version": "1", "sha256": "cd", "card": "# Long"},
    }
    t = timeline(tracks=2, settings={"every_s": None, "models": models})
    episodes = find_episodes(t)
    report.summary_json(t, episodes, tmp_path / "s.json", speed={"seconds": 2.0})
    found = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert found == json.loads(json.dumps(report.summary(t, episodes, speed={"seconds": 2.0})))
    assert found["format_version"] == 1
    assert found["mien_version"]
    assert "does not say what a person feels" in found["caveat"]
    assert found["media"]["name"] == "talk.mp4"
    assert found["models"] == [
        {"role": "detector", "name": "yunet", "sha256": "ab"},
        {"role": "expression", "name": "m", "version": "1", "sha256": "cd"},
    ]
    assert found["settings"] == {"every_s": None}
    assert found["shares"]["sadness"] == pytest.approx(30 / 70, abs=1e-4)
    assert found["shares"]["happiness"] == pytest.approx(40 / 70, abs=1e-4)
    assert (found["seen_s"], found["looked_at_s"]) == (pytest.approx(7), pytest.approx(8))
    assert found["most_faces_at_once"] == 2
    first = found["tracks"][0]
    assert (first["id"], first["start_s"], first["end_s"], first["rows"], first["expression"]) == (1, 0, 7.9, 70, "happiness")
    assert first["shares"]["sadness"] == pytest.approx(30 / 70, abs=1e-4)
    assert found["speed"] == {"seconds": 2.0}


def test_headline_of_one_face() -> None:
    t = timeline()
    assert (
        report.headline(t, find_episodes(t)) == "One face for 7.0 of 8.0 s; it appears sad at first (0.0–2.9 s), happy from 4.0 s."
    )
    assert report.headline(t, []) == "One face for 7.0 of 8.0 s; it appears mostly happy (57% of the time)."


@pytest.mark.parametrize(
    ("spans", "wanted"),
    [
        ([("happiness", 0.0, 0.4)], "mostly sad (51% of the time)"),
        ([("happiness", 0.0, 0.4), ("sadness", 3.0, 5.0)], "sad at 3.0–5.0 s"),
        ([("happiness", 0.0, 7.9)], "happy for most of the time (0.0–7.9 s)"),  # it leads in half of the looks
        ([("sadness", 0.0, 0.4), ("happiness", 0.5, 7.9)], "happy for most of the time (0.5–7.9 s)"),
        ([("sadness", 0.0, 3.9), ("happiness", 4.0, 7.9)], "sad at first (0.0–3.9 s), happy from 4.0 s"),
        ([("sadness", 0.0, 7.0), ("happiness", 7.1, 7.9)], "sad at first (0.0–7.0 s)"),
    ],
)
def test_a_headline_rests_on_what_lasted(spans: list[tuple[str, float, float]], wanted: str) -> None:
    t = timeline(spans=((0.0, 8.0),))
    episodes = [Episode(1, name, start, end, 0.9, start) for name, start, end in spans]
    said = report.headline(t, episodes)
    assert said.partition("it appears ")[2].rstrip(".") == wanted or wanted.startswith("mostly")
    assert "throughout" not in said


def test_throughout_is_said_where_nothing_else_was() -> None:
    t = timeline(spans=((4.0, 8.0),))
    assert report.headline(t, [Episode(1, "happiness", 4.0, 7.9, 0.9, 5.0)]).endswith("it appears happy throughout.")
    both = [Episode(1, "neutral", 4.0, 4.3, 0.9, 4.0), Episode(1, "happiness", 4.3, 7.9, 0.9, 5.0)]
    assert "throughout" not in report.headline(t, both)


def test_tables_that_a_spreadsheet_would_run(tmp_path: Path) -> None:
    labels = ("=cmd", "happiness", "sadness")
    report.faces_csv(timeline(labels=labels), tmp_path / "faces.csv")
    report.episodes_csv([Episode(1, "=cmd", 0.0, 1.0, 0.9, 0.0)], tmp_path / "episodes.csv")
    for name in ("faces.csv", "episodes.csv"):
        cells = {cell for row in csv.reader((tmp_path / name).read_text(encoding="utf-8").splitlines()) for cell in row}
        assert "'=cmd" in cells or name == "faces.csv"
        assert not [cell for cell in cells if cell.startswith("=")]


def test_headline_of_several_nobody_and_pictures() -> None:
    t = timeline(tracks=3)
    assert report.headline(t, []) == "Three faces for 7.0 of 8.0 s; they appear happy 57% of the time and sad 43%."
    assert report.headline(timeline(spans=()), []) == "No face was found in 8.0 s."
    assert report.headline(picture(0), []) == "No face was found."
    assert report.headline(picture(1), []) == "One face; it appears happy (80%)."
    assert report.headline(picture(2), []) == "Two faces; one appears happy and one surprised."


def test_headline_of_a_long_film_uses_minutes() -> None:
    t = timeline(seconds=1200, fps=1, spans=((0, 900),))
    assert (
        report.headline(t, find_episodes(t)) == "One face for 15 of 20 min; it appears sad at first (0:00–10:00), happy from 10:00."
    )


# --- curves


def test_decimation_keeps_peaks_and_gaps() -> None:
    m = 100_000
    times = np.arange(m) / 25
    values = np.full((m, 2), 0.2)
    values[44_444, 0] = 0.97  # one frame
    values[70_001, 1] = 0.01
    values[30_000:30_400] = np.nan
    values[50_003] = np.nan  # one frame
    values[:7] = np.nan
    values[-9:] = np.nan
    t, y = report.decimate(times, values, 3000)
    assert len(t) == len(y) <= 3000
    assert len(t) > 1400
    assert (np.diff(t) >= 0).all()
    assert np.nanmax(y[:, 0]) == 0.97
    assert np.nanmin(y[:, 1]) == 0.01
    assert t[np.nanargmax(y[:, 0])] == pytest.approx(times[44_444], abs=6)
    gaps = t[np.isnan(y[:, 0])]
    for wanted in (0.0, times[30_200], times[50_003], times[-1]):
        assert np.abs(gaps - wanted).min() < 8
    assert not ((gaps > 10) & (gaps < 1190)).any()  # and no gap where there is none
    assert np.isnan(y[0]).all()
    assert np.isnan(y[-1]).all()


def test_short_curves_are_not_decimated() -> None:
    times, values = np.arange(10.0), np.ones((10, 3))
    assert report.decimate(times, values, 10) == (times, values)


# --- plots


def size_of_png(path: Path) -> tuple[int, int]:
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(content[16:20]), int.from_bytes(content[20:24])


@pytest.mark.parametrize("t", [timeline(), timeline(spans=()), picture(3), picture(0), timeline(seconds=300, fps=2)], ids=repr)
def test_png(t: Timeline, tmp_path: Path) -> None:
    report.png(t, tmp_path / "p.png")
    assert size_of_png(tmp_path / "p.png")[0] == 2000


def test_png_draws_gaps_and_each_emotion() -> None:
    figure = report.figure(timeline())
    lines = [line for line in figure.axes[0].lines if not str(line.get_label()).startswith("_")]
    assert [line.get_label() for line in lines] == list(FERPLUS)
    values = np.asarray(lines[FERPLUS.index("sadness")].get_ydata())
    assert len(values) == 80
    assert np.isnan(values[30:40]).all()
    assert values[:30] == pytest.approx(0.9)


def test_png_of_names_that_matplotlib_would_trip_over(tmp_path: Path) -> None:
    report.png(timeline(name="a$b^{$ 映画 🎬 \n.mp4"), tmp_path / "p.png")
    assert size_of_png(tmp_path / "p.png")[0] == 2000


def test_png_tracks_has_a_row_per_track_and_a_limit(tmp_path: Path) -> None:
    report.png_tracks(timeline(tracks=3), tmp_path / "3.png")
    report.png_tracks(timeline(tracks=30), tmp_path / "30.png")
    three, thirty = size_of_png(tmp_path / "3.png"), size_of_png(tmp_path / "30.png")
    assert three[1] == round((1.2 + 1.7 * 3) * 200)
    assert thirty[1] == round((1.2 + 1.7 * 12) * 200)


@pytest.mark.process
def test_importing_report_is_light() -> None:
    code = "import sys, mien.report; print([m for m in ('matplotlib', 'cv2', 'plotly', 'onnxruntime', 'av') if m in sys.modules])"
    env = {k: v for k, v in os.environ.items() if not k.startswith("COV")}
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout.strip() == "[]"


# --- stills


def test_stills_of_episodes_and_tracks() -> None:
    t = timeline(tracks=2)
    stills = collected(t)
    episodes = find_episodes(t)
    assert len(episodes) == 4
    for e in episodes:
        still = stills.of_episode(e)
        assert still is not None
        assert e.start_s <= still.time_s <= e.end_s
        assert still.score >= e.peak - 0.05
        assert still.jpeg[:2] == b"\xff\xd8"
        assert still.height == 112
    assert stills.of_track(1) is not None
    assert stills.of_track(9) is None
    assert stills.of_episode(Episode(1, "anger", 0, 8, 0.9, 4)) is None
    poster = stills.poster
    assert poster is not None
    assert len(poster) == 2


def test_a_still_follows_a_rising_score() -> None:
    t = timeline(spans=((0, 8),))
    scores: NDArray[np.float32] = np.zeros_like(t.smoothed)
    happy = FERPLUS.index("happiness")
    scores[:, happy] = np.clip(0.5 + 0.4 * np.sin(np.arange(80) / 80 * np.pi), 0, 1)
    scores[:, 0] = 1 - scores[:, happy]
    t = Timeline(t.info, t.labels, t.frames, t.times, t.frame_rows, t.tracks, t.boxes, t.face_scores, scores, scores)
    (episode,) = (e for e in find_episodes(t) if e.expression == "happiness")
    still = collected(t).of_episode(episode)
    assert still is not None
    assert episode.peak - still.score < 0.05
    assert abs(still.time_s - episode.peak_time_s) < 1.5


def test_stills_are_bounded_and_cutting_is_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    stills = report.Stills(limit=20)
    cuts, held = 0, {}
    encode = cv2.imencode

    def counted(*arguments: Any) -> Any:
        nonlocal cuts
        cuts += 1
        return encode(*arguments)

    monkeypatch.setattr(cv2, "imencode", counted)
    rgb = np.zeros((60, 80, 3), np.uint8)
    rows = 0
    for i in range(1500):  # four faces, each jumping to another expression in every frame: the worst case
        scores = np.full((4, 8), 0.01, np.float32)
        scores[np.arange(4), rng.integers(0, 8, 4)] = 0.93
        faces = Faces(rng.uniform(0, 40, (4, 4)) + np.array([0, 0, 30, 30]), np.full(4, 0.9), np.zeros((4, 5, 2)))
        stills.add(FrameResult(Frame(i, i / 25, rgb), faces, np.arange(4) + 1 + i // 100 * 4, FERPLUS, scores, scores))
        rows += 4
        assert len(stills) <= 20 + 10
        held[i] = len(pickle.dumps(stills))
    assert len(stills) == 30
    assert 100 < cuts <= rows / 3 + 40 + 60
    assert held[1499] < held[750] + 3000  # those who have left are forgotten


def test_stills_of_faces_beyond_the_picture() -> None:
    stills = report.Stills()
    scores = np.eye(8, dtype=np.float32)[[1, 1, 1]]
    boxes = np.array([[-80, -80, -20, -20], [500, 500, 600, 600], [-20, -20, 30, 30]], np.float32)
    rgb = np.zeros((120, 160, 3), np.uint8)
    stills.add(FrameResult(Frame(0, 0.0, rgb), Faces(boxes, [0.9] * 3, np.zeros((3, 5, 2))), [1, 2, 3], FERPLUS, scores, scores))
    assert stills.of_track(1) is None
    assert stills.of_track(3) is not None


def test_stills_without_faces_keep_a_frame_that_is_not_black() -> None:
    stills = report.Stills()
    assert stills.poster is None
    bright = np.random.default_rng(0).integers(0, 255, (90, 160, 3)).astype(np.uint8)
    for i, rgb in enumerate([np.zeros((90, 160, 3), np.uint8), bright, np.zeros((90, 160, 3), np.uint8)]):
        stills.add(FrameResult(Frame(i, float(i), rgb), Faces.none(), [], FERPLUS, np.zeros((0, 8)), np.zeros((0, 8))))
    poster = stills.poster
    assert poster is not None
    assert poster.frame.index == 1


def test_stills_wants_sensible_sizes() -> None:
    with pytest.raises(ValueError, match="limit >= 2"):
        report.Stills(limit=0)


# --- the page


class Loads(HTMLParser):
    """Collects what a browser would fetch, and all text outside scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for key, value in attrs:
            if key in ("src", "srcset", "poster", "data", "action") or (key == "href" and tag != "a"):
                self.fetched.append(value or "")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] not in ("script", "style"):
            self.text += data


def parsed(text: str) -> Loads:
    parser = Loads()
    parser.feed(text)
    return parser


CARD = "# Card\n\nSome **bold** text, [a link](https://example.org/x).\n\n| a | b |\n|---|---|\n| <i>1</i> | 2 |\n\n- one\n- two"
FIGURES = {
    "ferplus-strict": {
        "PublicTest": {"accuracy": 0.99, "n": 3199},
        "PrivateTest": {
            "accuracy": 0.75,
            "n": 3153,
            "interval": {"accuracy": [0.73, 0.77]},
            "end_to_end": {"accuracy": 0.74, "n": 3153},
        },
    }
}
SETTINGS = {
    "every_s": None,
    "smoothing_s": 0.2,
    "models": {"expression": {"name": "m", "version": "1", "sha256": "0123456789abcdef", "card": CARD, "evaluation": FIGURES}},
}


def test_page_loads_nothing_from_outside(tmp_path: Path) -> None:
    t = timeline(tracks=2, settings=SETTINGS)
    text = page(t, tmp_path, stills=collected(t), annotated=tmp_path / "annotated.mp4")
    found = parsed(text)
    assert len(found.fetched) > 5
    assert all(address.startswith("data:") for address in found.fetched)
    style = re.search(r"<style>(.*?)</style>", text, re.S)
    assert style
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    assert 'href="./annotated.mp4"' in text
    assert 'href="https://example.org/x"' in text  # a link to follow, not to load
    assert "{{" not in text.replace(page_file.packed_plotly(), "")


def test_page_says_what_was_seen_and_how(tmp_path: Path) -> None:
    t = timeline(settings=SETTINGS)
    words = (
        parsed(page(t, tmp_path, stills=collected(t), summary={"speed": {"seconds": 2.5}}))
        .text.replace("\u00a0", " ")
        .replace("\u2060", "")
    )
    for wanted in (
        "One face for 7.0 of 8.0 s",
        "what a face appears to show",
        "AI Act",
        "workplace",
        "from 4.0 s to 7.9 s",
        "every frame",
        "0123456789ab",
        "75.0%",
        "73.0% to 77.0%",
        "3153",
        "FER+ strict, PrivateTest, from whole pictures",
        "2.5 seconds",
        "57%",
    ):
        assert wanted in words, wanted
    assert "99.0%" not in words  # the split that the model was chosen on


def test_page_escapes_everything(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>\"'&.mp4"
    labels = ("sadness", "happiness", "</script><img src=x>")
    models = [
        {"name": evil, "version": evil, "sha256": evil, "card": f"{evil}\n\n# {evil}\n\n- {evil}", "licence": evil, evil: evil}
    ]
    t = timeline(name=evil, labels=labels, tracks=2, settings={evil: evil, "models": models, "damage": evil})
    episodes = [Episode(1, labels[2], 1, 2, 0.9, 1.5), *find_episodes(t)]
    text = page(t, tmp_path, episodes=episodes, stills=collected(t), annotated=evil)
    clean = parsed(page(timeline(tracks=2), tmp_path, stills=collected(timeline(tracks=2))))
    found = parsed(text)
    assert "alert(1)" in found.text
    assert found.tags.count("script") == clean.tags.count("script") == 3
    assert "x" not in found.fetched
    assert text.count("<script>alert") == 0
    assert data_of(text)["labels"] == list(labels)


def test_page_of_nobody(tmp_path: Path) -> None:
    t = timeline(spans=())
    text = page(t, tmp_path, stills=collected(t))
    assert "No face was found in" in text
    assert len(text) < 200_000  # no plot, no script
    assert parsed(text).tags.count("script") == 0
    empty = Timeline(t.info, FERPLUS, [], [], [], [], np.zeros((0, 4)), [], np.zeros((0, 8)), np.zeros((0, 8)))
    assert "Nothing was looked at" in page(empty, tmp_path)


def test_page_of_a_picture_has_bars_for_each_face(tmp_path: Path) -> None:
    t = picture(3)
    text = page(t, tmp_path, stills=collected(t), annotated=np.zeros((240, 320, 3), np.uint8))
    found = parsed(text)
    assert found.tags.count("script") == 0
    assert text.count('class="shares"') == 3
    assert sum(address.startswith("data:image/jpeg") for address in found.fetched) == 4
    assert "80%" in found.text
    assert "Through time" not in found.text


def test_page_curves_have_gaps_and_tracks(tmp_path: Path) -> None:
    data = data_of(page(timeline(tracks=2), tmp_path))
    assert data["labels"] == list(FERPLUS)
    assert list(data["curves"]) == ["all", "1", "2"]
    for curve in data["curves"].values():
        sad = curve["y"][FERPLUS.index("sadness")]
        assert len(sad) == len(curve["t"]) == 80
        assert sad[:30] == [900] * 30
        assert sad[30:40] == [None] * 10
    assert data["curves"]["all"]["t"][-1] == 7900


def test_page_of_a_long_film_is_thinned_and_says_so(tmp_path: Path) -> None:
    t = timeline(seconds=2000, spans=((0, 900), (1000, 2000)), tracks=2)
    text = page(t, tmp_path)
    data = data_of(text)
    assert data["clock"]
    assert all(len(curve["t"]) <= 3000 for curve in data["curves"].values())
    assert None in data["curves"]["all"]["y"][0]
    assert "thinned out" in text
    assert len(text) < 4_000_000
    assert "thinned out" not in page(timeline(), tmp_path)


def test_page_of_many_tracks_is_bounded_and_says_so(tmp_path: Path) -> None:
    text = page(timeline(tracks=45), tmp_path)
    assert text.count('class="ribbon"') == 30
    assert "15 shorter appearances" in text
    assert len(data_of(text)["curves"]) == 31


def test_ribbon_covers_what_was_seen_and_no_more() -> None:
    t = timeline()
    assert report.ribbon(t, t.track(1)) == [
        (0.0, pytest.approx(3.0), FERPLUS.index("sadness")),
        (4.0, pytest.approx(7.9), FERPLUS.index("happiness")),
    ]
    long = timeline(seconds=4000, spans=((0, 1000), (3000, 4000)))
    flicker = np.array(long.smoothed)
    flicker[::2] = flicker[::2, ::-1]
    long = Timeline(
        long.info, FERPLUS, long.frames, long.times, long.frame_rows, long.tracks, long.boxes, long.face_scores, flicker, flicker
    )
    stretches = report.ribbon(long, long.track(1))
    assert 0 < len(stretches) <= 600
    assert not any(1010 < a < 2990 for a, _, _ in stretches)
    assert sum(b - a for a, b, _ in stretches) == pytest.approx(2000, rel=0.02)


def test_page_needs_no_more_than_a_timeline_and_works_for_each_label_set(tmp_path: Path) -> None:
    for labels in (EKMAN, FER2013, FERPLUS):
        text = page(timeline(labels=labels), tmp_path)
        assert text.count('class="chip e') == len(labels)
        assert text.count("<h2>") == 6


# --- names


def test_names_stand_wherever_a_face_is_called_something(tmp_path: Path) -> None:
    t = timeline(tracks=3)
    found = find_episodes(t)
    names = {1: "Anna <b>", 3: "Ben & Co"}
    text = page(t, tmp_path, stills=collected(t), names=names)
    assert "Anna <b>" not in text
    shown = re.sub(r"<[^>]+>", " ", text)
    assert "Three faces (Anna &lt;b&gt; and Ben &amp; Co) for" in shown
    assert "Face 2" in shown
    assert not re.search(r"[Ff]ace [13]\b", text)
    assert text.count("Anna &lt;b&gt;") >= 6
    facts = report.summary(t, found, names=names)
    assert [track.get("name") for track in facts["tracks"]] == ["Anna <b>", None, "Ben & Co"]
    assert facts["headline"].startswith("Three faces (Anna <b> and Ben & Co) for ")
    assert report.headline(t, found) == report.headline(t, found, names={})
    assert "name" not in report.summary(t, found)["tracks"][0]


def test_names_in_headlines_of_one_face_of_a_picture_and_of_a_crowd() -> None:
    t = timeline()
    assert report.headline(t, find_episodes(t), names={1: "Anna"}).startswith("One face (Anna) for 7.0 of 8.0 s; it appears ")
    assert report.headline(picture(1), [], names={1: "Anna"}).startswith("One face (Anna); it appears ")
    assert report.headline(picture(2), [], names={2: "Ben"}).startswith("Two faces (Ben); ")
    crowd = timeline(tracks=9)
    assert "(" not in report.headline(crowd, [], names={i: f"P{i}" for i in range(1, 10)}).split(";")[0]


def test_plots_bear_names(tmp_path: Path) -> None:
    t = timeline(tracks=2)
    figure = report.figure(t, tracks=12, names={2: "Zoë $x$\u4e2d"})
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["Face 1", "Zoë $x$?"]
    report.png_tracks(t, tmp_path / "tracks.png", names={2: "$\\broken{"})
    report.png(picture(2), tmp_path / "bars.png", names={1: "$\\broken{"})


# --- the lines of other plots


def test_a_line_is_the_mean_or_one_face_with_valence() -> None:
    t = timeline(tracks=2)
    mean, own = report.line(t), report.line(t, 2)
    assert (len(mean.times), mean.values.shape, mean.thinned) == (80, (80, 8), False)
    np.testing.assert_array_equal(np.isnan(mean.values[:, 0]), (t.times >= 3) & (t.times < 4))
    np.testing.assert_allclose(own.values[:30], t.track(2).smoothed[:30])
    np.testing.assert_allclose(own.valence[:30], valence(t.track(2).smoothed[:30], t.labels), atol=1e-6)
    np.testing.assert_array_equal(np.isnan(own.valence), np.isnan(own.values[:, 0]))
    with pytest.raises(ValueError, match="no track 9"):
        report.line(t, 9)
    with pytest.raises(ValueError, match="points must be 4 or more, but got 3"):
        report.line(t, points=3)


def test_a_long_line_is_thinned_to_so_many_points_with_its_extremes_and_gaps() -> None:
    t = timeline(seconds=600, spans=((0, 200), (250, 600)))
    got = report.line(t, 1, points=200)
    assert got.thinned
    assert 90 < len(got.times) <= 200
    assert (np.diff(got.times) >= 0).all()
    assert np.nanmax(got.values) == pytest.approx(0.9)
    assert np.nanmin(got.valence) == pytest.approx(valence(t.smoothed, t.labels).min(), abs=1e-6)
    inside = (got.times > 201) & (got.times < 249)
    assert inside.any()
    assert np.isnan(got.values[inside]).all()


def test_lines_of_nobody() -> None:
    got = report.line(timeline(spans=()))
    assert np.isnan(got.values).all()
    assert len(got.times) == 80


# --- stills kept in a folder


def test_stills_are_kept_and_had_again(tmp_path: Path) -> None:
    t = timeline(tracks=2)
    stills = collected(t)
    stills.save(tmp_path / "stills")
    assert sorted(p.name for p in (tmp_path / "stills").iterdir()) == ["1.jpg", "2.jpg", "poster.jpg", "stills.json"]
    again = report.Stills.load(tmp_path / "stills")
    assert len(again) == len(stills)
    for track in (1, 2):
        assert again.of_track(track) == stills.of_track(track)
    for episode in find_episodes(t):
        assert again.of_episode(episode) == stills.of_episode(episode) is not None
    assert again.poster is not None and stills.poster is not None  # noqa: PT018
    assert again.poster.time_s == stills.poster.time_s
    np.testing.assert_array_equal(again.poster.faces.boxes, stills.poster.faces.boxes)
    np.testing.assert_array_equal(again.poster.smoothed, stills.poster.smoothed)
    assert again.poster.frame.rgb.shape == stills.poster.frame.rgb.shape
    report.Stills().save(tmp_path / "none")
    assert len(report.Stills.load(tmp_path / "none")) == 0


def test_stills_after_edits() -> None:
    t = timeline(tracks=3)
    stills = collected(t)
    after = stills.edited({3: 1}, without=[2])
    assert after.of_track(2) is None
    assert after.of_track(3) is None
    assert after.of_track(1) in (stills.of_track(1), stills.of_track(3))
    assert stills.of_track(3) is not None
    for episode in find_episodes(t):
        found = after.of_episode(replace(episode, track=1))
        assert (found is not None) and after.of_episode(replace(episode, track=2)) is None  # noqa: PT018
    assert after.poster is not None
    assert after.poster.tracks.tolist() == [1, 1]
    assert report.Stills().edited({}).poster is None


def test_a_poster_says_of_the_same_faces_that_they_are_unclear_after_edits_and_out_of_a_folder(tmp_path: Path) -> None:
    [seen] = results(picture(3))
    stills = report.Stills()
    marks = np.array([0, 0, 1], np.uint8)
    stills.add(replace(seen, reliability=np.array([0.7, 0.95, 0.99], np.float32), flags=marks, min_reliability=0.8))
    stills.save(tmp_path)
    for kept in (stills.edited({}), report.Stills.load(tmp_path), report.Stills.load(tmp_path).edited({3: 2}, without=[9])):
        assert kept.poster is not None
        assert kept.poster.expressions == ("", "surprise", "")
        assert kept.poster.min_reliability == 0.8
        np.testing.assert_array_equal(kept.poster.reliability, np.array([0.7, 0.95, 0.99], np.float32))
        assert kept.poster.flags.tolist() == [0, 0, 1]


def test_a_poster_kept_before_readings_were_judged_is_read(tmp_path: Path) -> None:
    [seen] = results(picture(2))
    stills = report.Stills()
    stills.add(seen)
    stills.save(tmp_path)
    facts = json.loads((tmp_path / "stills.json").read_text())
    for name in ("reliability", "flags", "min_reliability"):
        del facts["poster"][name]
    (tmp_path / "stills.json").write_text(json.dumps(facts))
    poster = report.Stills.load(tmp_path).poster
    assert poster is not None
    assert np.isnan(poster.reliability).all()
    assert poster.expressions == seen.expressions


@pytest.mark.parametrize("damage", ["stills.json", "1.jpg", "poster.jpg"])
def test_stills_that_are_damaged_or_gone(tmp_path: Path, damage: str) -> None:
    collected(timeline()).save(tmp_path)
    (tmp_path / damage).unlink()
    with pytest.raises(MediaError, match="cannot be read: No such file"):
        report.Stills.load(tmp_path)
    (tmp_path / damage).write_bytes(b"{}")
    if damage != "1.jpg":  # a portrait is handed on as it is
        with pytest.raises(MediaError, match="does not hold stills as mien keeps them"):
            report.Stills.load(tmp_path)
