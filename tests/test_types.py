"""The nouns: what they refuse at the door, that nobody can change them, and what they know about themselves."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import MediaError
from mien.types import Episode, Faces, Frame, FrameResult, MediaInfo, Timeline, Track

LABELS = ("neutral", "happiness", "sadness")
INFO = MediaInfo("made.mp4", "video", 640, 360, 1.0, 4.0, 4, False, "h264")
RGB = np.zeros((4, 6, 3), np.uint8)


def some_faces(n: int = 2) -> Faces:
    return Faces(np.arange(4.0 * n).reshape(n, 4), np.linspace(0.5, 1, n), np.arange(10.0 * n).reshape(n, 5, 2))


def result(**other: Any) -> FrameResult:
    rows = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
    fields = {
        "frame": Frame(3, 1.5, RGB),
        "faces": some_faces(),
        "tracks": [4, 2],
        "labels": LABELS,
        "emotions": rows,
        "smoothed": rows,
    }
    return FrameResult(**(fields | other))


def timeline(**other: Any) -> Timeline:
    """Four looks: nobody; tracks 7 and 3; track 3; nobody."""
    emotions = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1]])
    fields = {
        "info": INFO,
        "labels": LABELS,
        "frames": [0, 5, 10, 15],
        "times": [0.0, 0.25, 0.5, 0.75],
        "frame_rows": [1, 1, 2],
        "tracks": [7, 3, 3],
        "boxes": np.zeros((3, 4)),
        "face_scores": [0.9, 0.8, 0.7],
        "emotions": emotions,
        "smoothed": emotions[::-1],
    }
    return Timeline(**(fields | other))


def empty() -> Timeline:
    none = np.zeros(0)
    table = np.zeros((0, 3))
    return timeline(
        frames=none,
        times=none,
        frame_rows=none,
        tracks=none,
        boxes=np.zeros((0, 4)),
        face_scores=none,
        emotions=table,
        smoothed=table,
    )


# ---- the door


@pytest.mark.parametrize(
    "rgb", [np.zeros((4, 6), np.uint8), np.zeros((4, 6, 4), np.uint8), np.zeros((1, 4, 6, 3), np.uint8)], ids=np.shape
)
def test_a_frame_is_height_width_3(rgb: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"rgb must have shape \(_, _, 3\), but got"):
        Frame(0, 0.0, rgb)


@pytest.mark.parametrize(
    ("boxes", "scores", "landmarks", "word"),
    [
        ((2, 5), (2,), (2, 5, 2), "boxes"),
        ((4,), (4,), (4, 5, 2), "boxes"),
        ((2, 4), (3,), (2, 5, 2), "scores"),
        ((2, 4), (2, 1), (2, 5, 2), "scores"),
        ((2, 4), (2,), (2, 10), "landmarks"),
        ((2, 4), (2,), (1, 5, 2), "landmarks"),
    ],
)
def test_faces_of_wrong_shape_are_refused(boxes: Any, scores: Any, landmarks: Any, word: str) -> None:
    with pytest.raises(ValueError, match=f"{word} must have shape"):
        Faces(np.zeros(boxes), np.zeros(scores), np.zeros(landmarks))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tracks", [1]),
        ("emotions", np.zeros((2, 4))),
        ("emotions", np.zeros((1, 3))),
        ("smoothed", np.zeros(3)),
        ("labels", ("a", "b")),
    ],
)
def test_frame_results_of_wrong_shape_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match="must have shape"):
        result(**{field: value})


@pytest.mark.parametrize(
    ("field", "shape"),
    [
        ("frames", (4, 1)),
        ("times", (3,)),
        ("tracks", (2,)),
        ("boxes", (3, 5)),
        ("face_scores", (4,)),
        ("emotions", (3, 2)),
        ("smoothed", (2, 3)),
    ],
)
def test_timelines_of_wrong_shape_are_refused(field: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"{field} must have shape"):
        timeline(**{field: np.zeros(shape)})


def arrays(thing: Any) -> dict[str, np.ndarray]:
    return {f.name: v for f in dataclasses.fields(thing) if isinstance(v := getattr(thing, f.name), np.ndarray)}


@pytest.mark.parametrize("rgb", [RGB / 255, RGB.astype(np.int64), RGB[:0]])
def test_a_picture_of_another_type_is_refused_and_not_made_black(rgb: Any) -> None:
    with pytest.raises(ValueError, match="rgb must be uint8 from 0 to 255 with at least one pixel"):
        Frame(0, 0.0, rgb)


@pytest.mark.parametrize("make", [lambda: Frame(0, 0.0, RGB), some_faces, Faces.none, result, timeline, empty], ids=range(6))
def test_values_are_frozen_and_their_arrays_read_only(make: Any) -> None:
    thing = make()
    held = arrays(thing)
    assert held
    for name, array in held.items():
        assert not array.flags.writeable, name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(thing, name, array)


def test_the_giver_may_still_write_to_their_own_array() -> None:
    rgb = np.zeros((4, 6, 3), np.uint8)
    frame = Frame(0, 0.0, rgb)
    rgb[0, 0, 0] = 9  # not copied: a picture is large
    assert frame.rgb[0, 0, 0] == 9


@pytest.mark.parametrize(
    ("thing", "dtypes"),
    [
        (some_faces(), {"boxes": np.float32, "scores": np.float32, "landmarks": np.float32}),
        (
            result(),
            {
                "tracks": np.int64,
                "emotions": np.float32,
                "smoothed": np.float32,
                "reliability": np.float32,
                "flags": np.uint8,
            },
        ),
        (
            timeline(),
            {
                "frames": np.int64,
                "times": np.float64,
                "frame_rows": np.int64,
                "tracks": np.int64,
                "boxes": np.float32,
                "face_scores": np.float32,
                "emotions": np.float32,
                "smoothed": np.float32,
                "reliability": np.float32,
                "flags": np.uint8,
            },
        ),
    ],
    ids=["Faces", "FrameResult", "Timeline"],
)
def test_dtypes(thing: Any, dtypes: dict[str, Any]) -> None:
    assert {name: a.dtype.type for name, a in arrays(thing).items()} == dtypes


# ---- one picture


def test_nobody_is_zero_rows() -> None:
    none = Faces.none()
    assert len(none) == 0
    assert (none.boxes.shape, none.scores.shape, none.landmarks.shape) == ((0, 4), (0,), (0, 5, 2))
    seen = result(faces=none, tracks=[], emotions=np.zeros((0, 3)), smoothed=np.zeros((0, 3)))
    assert (len(seen), seen.expressions, seen.valence.shape) == (0, (), (0,))


@pytest.mark.parametrize(
    ("keep", "rows"),
    [(slice(1, None), [1, 2]), ([2, 0], [2, 0]), (np.array([True, False, True]), [0, 2]), (np.zeros(3, bool), []), ([], [])],
    ids=["slice", "index", "mask", "no one", "empty list"],
)
def test_faces_are_picked_as_numpy_does(keep: Any, rows: list[int]) -> None:
    faces = some_faces(3)
    picked = faces[keep if not isinstance(keep, list) else np.array(keep, int)]
    for name, array in arrays(faces).items():
        np.testing.assert_array_equal(getattr(picked, name), array[np.array(rows, int)])


def test_a_frame_result_knows_its_expressions_valence_and_time() -> None:
    seen = result()
    assert (len(seen), seen.time_s, seen.expressions) == (2, 1.5, ("neutral", "sadness"))
    np.testing.assert_allclose(seen.valence, [0.3 - 0.2, 0.2 - 0.7], atol=1e-6)


def test_an_episode_knows_how_long_it_lasts() -> None:
    assert Episode(1, "happiness", 12.25, 15.0, 0.9, 13.0).duration_s == 2.75


# ---- a timeline


def test_a_timeline_knows_who_was_there_and_when() -> None:
    seen = timeline()
    assert len(seen) == 4
    assert seen.faces_per_frame.tolist() == [0, 2, 1, 0]
    assert seen.face_times.tolist() == [0.25, 0.25, 0.5]
    assert seen.track_ids == [7, 3]  # as they appear
    assert seen.shares() == pytest.approx({"neutral": 1 / 3, "happiness": 2 / 3, "sadness": 0.0})
    np.testing.assert_allclose(seen.valence, [0.2, 0.6, 0.7], atol=1e-6)
    assert repr(seen) == "Timeline(made.mp4: 0.00–0.75 s, 4 frames, 3 faces, 2 tracks)"


def test_a_timeline_is_put_together_of_frames_and_their_faces() -> None:
    t = timeline()
    names = ("tracks", "boxes", "face_scores", "emotions")
    faces = {name: getattr(t, name) for name in names}
    made = Timeline.of_frames(INFO, LABELS, t.times, np.array([0, 2, 1, 0], np.uint16), faces, {"every": 0.25})
    assert made.frames.tolist() == [0, 1, 2, 3]
    assert made.frame_rows.tolist() == t.frame_rows.tolist()
    assert made.smoothed.tolist() == made.emotions.tolist() == t.emotions.tolist()
    assert made.settings == {"every": 0.25}
    judged = {"smoothed": t.smoothed, "reliability": np.array([0.9, 0.8, 0.1]), "flags": np.array([0, 0, 2])}
    made = Timeline.of_frames(INFO, LABELS, t.times, [False, True, True, True], faces | judged, {}, t.frames)
    assert made.frames.tolist() == t.frames.tolist()
    assert made.frame_rows.tolist() == [1, 2, 3]
    assert made.smoothed.tolist() == t.smoothed.tolist()
    assert made.flags.tolist() == [0, 0, 2]


def test_a_track_is_the_rows_of_one_person() -> None:
    track = timeline().track(3)
    assert (track.id, len(track), track.start_s, track.end_s, track.expression) == (3, 2, 0.25, 0.5, "happiness")
    assert track.rows.tolist() == [1, 2]
    np.testing.assert_allclose(track.emotions, [[0.2, 0.7, 0.1], [0.1, 0.8, 0.1]])
    np.testing.assert_allclose(track.smoothed, [[0.2, 0.7, 0.1], [0.6, 0.3, 0.1]])
    assert [t.id for t in timeline()] == [7, 3]
    assert all(isinstance(t, Track) for t in timeline())


def test_an_unknown_track_is_refused_with_those_known() -> None:
    with pytest.raises(ValueError, match="no track 1; known: 7, 3"):
        timeline().track(1)
    with pytest.raises(ValueError, match="known: none"):
        empty().track(1)


def test_an_empty_timeline() -> None:
    seen = empty()
    assert (len(seen), seen.track_ids, list(seen), seen.faces_per_frame.tolist()) == (0, [], [], [])
    assert seen.shares() == dict.fromkeys(LABELS, 0.0)
    assert seen.baseline(1.0).shape == (0, 3)
    assert "no frames" in repr(seen)


def test_change_against_the_persons_own_first_look() -> None:
    change = timeline().baseline(0.25)  # half open: the look at 0.5 s does not belong to it
    np.testing.assert_allclose(change, [[0, 0, 0], [0, 0, 0], [-0.1, 0.1, 0]], atol=1e-6)


def test_change_against_the_mean_of_the_first_looks() -> None:
    change = timeline().baseline(0.3)
    np.testing.assert_allclose(change, [[0, 0, 0], [0.05, -0.05, 0], [-0.05, 0.05, 0]], atol=1e-6)
    np.testing.assert_allclose(timeline().emotions[2], [0.1, 0.8, 0.1])  # the timeline itself is as it was


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_a_baseline_has_a_length(seconds: float) -> None:
    with pytest.raises(ValueError, match="longer than 0 s"):
        timeline().baseline(seconds)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(1, 5), unique=True, max_size=4), max_size=15), st.integers(0, 2**31))
def test_tracks_share_out_all_rows(looks: list[list[int]], seed: int) -> None:
    tracks = [track for look in looks for track in look]
    rows = np.random.default_rng(seed).dirichlet(np.ones(3), len(tracks)).reshape(-1, 3)
    seen = timeline(
        frames=np.arange(len(looks)),
        times=np.arange(len(looks)) / 4,
        frame_rows=np.array([i for i, look in enumerate(looks) for _ in look], int),
        tracks=np.array(tracks, int),
        boxes=np.zeros((len(tracks), 4)),
        face_scores=np.ones(len(tracks)),
        emotions=rows,
        smoothed=rows,
    )
    assert seen.faces_per_frame.tolist() == [len(look) for look in looks]
    assert sorted(r for t in seen for r in t.rows.tolist()) == list(range(len(tracks)))
    assert all(np.all(np.diff(t.times) > 0) for t in seen)
    assert sum(seen.shares().values()) == pytest.approx(1.0 if tracks else 0.0)
    change = seen.baseline(1.0)
    np.testing.assert_allclose(change.sum(axis=1), 0, atol=1e-5)
    for t in seen:
        np.testing.assert_allclose(change[t.rows][t.times < t.start_s + 1].mean(axis=0), 0, atol=1e-5)


# ---- tracks merged and left out


def two_halves() -> Timeline:
    """Track 7 leaves and comes back as track 9, while track 3 is there all the time."""
    rows = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.1, 0.1, 0.8]])
    return timeline(
        frame_rows=[0, 0, 1, 2, 3],
        tracks=[7, 3, 3, 9, 3],
        boxes=np.arange(20.0).reshape(5, 4),
        face_scores=[0.9, 0.8, 0.7, 0.6, 0.5],
        emotions=rows,
        smoothed=rows[::-1],
    )


def test_two_tracks_of_one_person_are_merged_and_rows_keep_their_order() -> None:
    before = two_halves()
    after = before.merged(9, into=7)
    assert after.tracks.tolist() == [7, 3, 3, 7, 3]
    assert after.track(7).times.tolist() == [0.0, 0.5]
    assert before.tracks.tolist() == [7, 3, 3, 9, 3]
    for name, array in arrays(before).items():
        if name != "tracks":
            np.testing.assert_array_equal(getattr(after, name), array)


def test_when_two_are_seen_together() -> None:
    timeline = two_halves()
    assert timeline.seen_together(7, 3).tolist() == timeline.seen_together(3, 7).tolist() == [0.0]
    assert timeline.seen_together(7, 9).tolist() == []
    with pytest.raises(ValueError, match="no track 4"):
        timeline.seen_together(7, 4)


def test_two_people_seen_together_are_not_merged() -> None:
    with pytest.raises(ValueError, match=r"tracks 7 and 3 are both seen at 0\.00 s, so they are two people; merge only faces"):
        two_halves().merged(7, into=3)


@pytest.mark.parametrize(
    ("track", "into", "words"), [(1, 7, "no track 1"), (7, 1, "no track 1"), (7, 7, "cannot be merged into it")]
)
def test_what_cannot_be_merged(track: int, into: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        two_halves().merged(track, into=into)


def test_tracks_left_out_leave_their_frames() -> None:
    after = two_halves().without([3, 7])
    assert (after.tracks.tolist(), after.frame_rows.tolist(), len(after)) == ([9], [2], 4)
    assert after.boxes.tolist() == [[12.0, 13.0, 14.0, 15.0]]
    assert after.smoothed.tolist() == two_halves().smoothed[3:4].tolist()
    assert two_halves().without([3, 7, 9]).track_ids == []
    with pytest.raises(ValueError, match="no track 4; known: 7, 3, 9"):
        two_halves().without([3, 4])


# ---- kept in a file


@pytest.mark.parametrize("make", [timeline, two_halves, empty], ids=["people", "halves", "nobody"])
def test_what_is_loaded_is_what_was_saved_to_the_last_bit(tmp_path: Path, make: Any) -> None:
    saved = dataclasses.replace(make(), settings={"every_s": 0.1 + 0.2, "models": {"a": ["b", None]}, "note": "Zoë \ud800"})
    saved.save(tmp_path / "t.npz")
    loaded = Timeline.load(tmp_path / "t.npz")
    assert (loaded.info, loaded.labels, loaded.settings) == (saved.info, saved.labels, saved.settings)
    for name, array in arrays(saved).items():
        found = getattr(loaded, name)
        assert found.dtype == array.dtype
        assert found.tobytes() == array.tobytes(), name
        assert not found.flags.writeable
    assert [p.name for p in tmp_path.iterdir()] == ["t.npz"]


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_damage_is_told_in_plain_words(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("t") / "t.npz"
    timeline().save(path)
    whole = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        damaged = bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    else:
        for _ in range(3):
            whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
        damaged = bytes(whole)
    path.write_bytes(damaged)
    told = "t.npz: is not"
    try:
        Timeline.load(path)  # a changed byte that nobody reads is no damage
    except MediaError as error:
        told = str(error)
    assert told.startswith("t.npz: is not")
    assert "\n" not in told


def test_a_file_cut_off_is_refused(tmp_path: Path) -> None:
    timeline().save(tmp_path / "t.npz")
    content = (tmp_path / "t.npz").read_bytes()
    for end in (0, 1, 100, len(content) // 2, len(content) - 1):
        (tmp_path / "t.npz").write_bytes(content[:end])
        with pytest.raises(MediaError, match=r"t\.npz: is not a whole timeline"):
            Timeline.load(tmp_path / "t.npz")
    with pytest.raises(MediaError, match=r"none\.npz: cannot be read: no such file"):
        Timeline.load(tmp_path / "none.npz")


def test_other_files_of_numpy_are_refused_and_nothing_in_them_is_run(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3))
    np.savez(tmp_path / "b.npz", frames=np.zeros(3))
    np.savez(tmp_path / "c.npz", frames=np.array([print], dtype=object))
    for name in ("a.npy", "b.npz", "c.npz"):
        with pytest.raises(MediaError, match="is not a whole timeline"):
            Timeline.load(tmp_path / name)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"frame_rows": [1, 1, 9]}, "no frame"), ({"frame_rows": [2, 1, 1]}, "order"), ({"times": [0.0, 0.5, 0.25, 1]}, "order")],
)
def test_rows_that_do_not_fit_one_another_are_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    timeline(**change).save(tmp_path / "t.npz")
    with pytest.raises(MediaError, match=words):
        Timeline.load(tmp_path / "t.npz")


def test_a_timeline_that_cannot_be_written_leaves_the_older_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timeline().save(tmp_path / "t.npz")
    before = (tmp_path / "t.npz").read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(MediaError, match=r"t\.npz: cannot be written: No space left on device"):
        empty().save(tmp_path / "t.npz")
    assert (tmp_path / "t.npz").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["t.npz"]


# --- for notebooks


def two_people() -> Timeline:
    info = MediaInfo("<talk>.mp4", "video", 640, 360, 2.0, 25.0, 50, False, "h264")
    scores = np.array([[0.7, 0.3], [0.2, 0.8], [0.6, 0.4]], np.float32)
    boxes = np.arange(12, dtype=np.float32).reshape(3, 4)
    labels = ("happiness", "sadness")
    return Timeline(info, labels, [0, 12, 25], [0.0, 0.5, 1.0], [0, 0, 2], [1, 2, 1], boxes, [0.9, 0.8, 0.7], scores, scores)


def test_a_timeline_as_a_data_frame() -> None:
    pandas = pytest.importorskip("pandas")
    frame = two_people().to_pandas()
    assert list(frame.columns)[:8] == ["frame", "time_s", "track", "x1", "y1", "x2", "y2", "face_score"]
    assert list(frame.columns)[8:] == ["happiness", "sadness", "expression", "valence", "reliability", "flags"]
    assert frame["frame"].tolist() == [0, 0, 25]
    assert frame["time_s"].tolist() == [0.0, 0.0, 1.0]
    assert frame["expression"].tolist() == ["happiness", "sadness", "happiness"]
    assert frame.loc[1, "x1"] == 4
    assert isinstance(frame, pandas.DataFrame)
    judged = dataclasses.replace(
        two_people(), reliability=np.array([0.9, 0.4, 0.8], np.float32), flags=np.array([0, 0, 0b100100], np.uint8)
    )
    frame = judged.to_pandas()
    assert frame["expression"].tolist() == ["happiness", "", ""]
    assert frame["reliability"].tolist() == pytest.approx([0.9, 0.4, 0.8])
    assert frame["flags"].tolist() == ["", "", "dark;covered"]


def test_a_timeline_in_a_notebook() -> None:
    shown = two_people()._repr_html_()
    assert "&lt;talk&gt;.mp4" in shown
    assert "<talk>" not in shown
    assert shown.count("<tr>") == 3
    assert "<td>1</td><td>0.00</td><td>1.00</td><td>2</td><td>happiness</td>" in shown
