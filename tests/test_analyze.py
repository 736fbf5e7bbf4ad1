import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fakes import LABELS, FakeDetector, FakeExpressions, FakeMedia, Square, frames, scene, tiny_bundle, write_film
from media_files import corner_names, corners, encoded, jpeg_with_orientation
from mien.analyze import Analyzer, Recorder
from mien.detect import Haar
from mien.episodes import find_episodes
from mien.errors import MediaError, ModelError
from mien.media import open_media, read_picture
from mien.types import Faces, FrameResult, Timeline

HAPPY, SAD, ANGRY = "happiness", "sadness", "anger"


def analyzer(**options: Any) -> Analyzer:
    return Analyzer(FakeExpressions(), detector=FakeDetector(), **options)


def walk(expression: str, *, x: int = 10, y: int = 30, side: int = 40, n: int = 10) -> list[tuple[float, list[Square]]]:
    """One face that moves to the right, ten frames a second."""
    return [(i / 10, [(x + i, y, side, expression)]) for i in range(n)]


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("mien")]


# --- pictures


def test_a_picture() -> None:
    rgb = scene([(20, 30, 40, HAPPY), (90, 20, 30, SAD)])
    result = analyzer().picture(rgb)
    assert result.faces.boxes.tolist() == [[20, 30, 60, 70], [90, 20, 120, 50]]
    assert result.expressions == (HAPPY, SAD)
    assert result.tracks.tolist() == [1, 2]
    assert result.labels == LABELS
    assert np.array_equal(result.emotions, result.smoothed)
    assert result.frame.rgb is not rgb or result.frame.rgb.flags.writeable is False


def test_nobody_in_a_picture_is_zero_rows() -> None:
    a = analyzer()
    result = a.picture(scene([]))
    assert len(result) == 0
    assert result.emotions.shape == (0, 3)
    assert result.expressions == ()
    assert a.emotion.seen == 0  # type: ignore[attr-defined]


def test_haars_missing_landmarks_are_replaced_by_the_box() -> None:
    a = Analyzer(FakeExpressions(), detector=FakeDetector(landmarks=False))
    result = a.picture(scene([(20, 30, 40, HAPPY)]))
    assert np.isnan(result.faces.landmarks).all()
    assert result.expressions == (HAPPY,)
    assert np.isfinite(result.emotions).all()


HERE = scene([(20, 30, 40, HAPPY)])


@pytest.mark.parametrize(
    "given",
    [
        HERE.astype(np.int64),
        HERE.astype(">u2"),
        HERE.astype(">u2") * 257,
        (HERE / 255).astype(np.float32),
        (HERE / 255).astype(">f8"),
        np.concatenate([HERE, np.full((*HERE.shape[:2], 1), 255, np.uint8)], axis=2),
        Image.fromarray(HERE),
        encoded(Image.fromarray(HERE), "PNG"),
        io.BytesIO(encoded(Image.fromarray(HERE), "PNG")),
        bytearray(encoded(Image.fromarray(HERE), "BMP")),
        HERE[::1],
    ],
    ids=["int64", "big-endian", "16 bit", "float", "big-endian float", "alpha", "Pillow", "bytes", "file", "bytearray", "view"],
)
def test_a_picture_of_any_kind(given: Any) -> None:
    result = analyzer().picture(given)
    np.testing.assert_array_equal(result.frame.rgb, HERE)
    assert result.expressions == (HAPPY,)


def test_a_grey_picture() -> None:
    grey = np.arange(100, dtype=np.uint8).reshape(10, 10)
    for given in (grey, grey[..., None], Image.fromarray(grey), (grey / 255)):
        np.testing.assert_array_equal(analyzer().picture(given).frame.rgb, np.repeat(grey[..., None], 3, axis=2))
    np.testing.assert_array_equal(analyzer().picture(grey > 50).frame.rgb[..., 0], np.where(grey > 50, 255, 0))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (np.zeros((0, 0, 3), np.uint8), ValueError, r"must have one pixel or more, but got uint8 \(0, 0, 3\)"),
        (np.zeros(10, np.uint8), ValueError, r"must be \(H, W\), \(H, W, 3\) or \(H, W, 4\), but got uint8 \(10,\)"),
        (np.zeros((4, 4, 2), np.uint8), ValueError, r"must be \(H, W\), .* but got uint8 \(4, 4, 2\)"),
        (np.full((4, 4, 3), np.nan), ValueError, "of floats must hold 0 to 1, but got nan to nan"),
        (np.full((4, 4, 3), 200.0), ValueError, "of floats must hold 0 to 1, but got 200 to 200; give uint8 for 0 to 255"),
        (np.full((4, 4, 3), -1), ValueError, "of whole numbers must hold 0 to 255, but got -1 to -1"),
        (np.full((4, 4, 3), 1000), ValueError, "of whole numbers must hold 0 to 255, but got 1000 to 1000"),
        (np.full((4, 4, 3), 1j), ValueError, "must be of numbers, but got complex128"),
        (np.full((4, 4, 3), "a"), ValueError, "must be of numbers, but got"),
        (b"plain words", MediaError, "the picture: is no still picture that is read; give a JPEG, PNG"),
        (b"", MediaError, "the picture: is no still picture"),
        (io.StringIO("text"), TypeError, "wanted a path, an array, a picture of Pillow, bytes or a binary file, but got str"),
        (None, TypeError, "wanted a path, an array, .* but got NoneType"),
        (7, TypeError, "but got int"),
    ],
)
def test_what_is_no_picture_is_one_clear_error(given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        analyzer().picture(given)
    assert "\n" not in str(caught.value)


def test_pillows_own_picture_is_turned_as_its_file_says(tmp_path: Path) -> None:
    path = jpeg_with_orientation(tmp_path / "a.jpg", 6, corners())
    with Image.open(path) as image:
        seen = analyzer().picture(image)
    assert corner_names(seen.frame.rgb) == corner_names(analyzer().picture(path.read_bytes()).frame.rgb) == "BRWG"


# --- films


def test_a_film_has_a_row_per_face_and_a_frame_per_look(tmp_path: Path) -> None:
    scenes: list[tuple[float, list[Square]]] = [
        (0.0, [(10, 20, 40, HAPPY)]),
        (0.1, []),
        (0.25, [(12, 20, 40, HAPPY), (100, 60, 40, SAD)]),  # an uneven clock
        (0.3, [(100, 60, 40, SAD)]),
    ]
    t = analyzer().video(write_film(tmp_path / "film.mp4", scenes))
    assert t.info.name == "film.mp4"
    assert t.times.tolist() == pytest.approx([0.0, 0.1, 0.25, 0.3], abs=1e-3)
    assert t.frames.tolist() == [0, 1, 2, 3]
    assert t.faces_per_frame.tolist() == [1, 0, 2, 1]
    assert t.frame_rows.tolist() == [0, 2, 2, 3]
    assert t.tracks.tolist() == [1, 1, 2, 2]
    assert [LABELS[i] for i in t.emotions.argmax(axis=1)] == [HAPPY, HAPPY, SAD, SAD]
    assert np.abs(t.boxes[0] - [10, 20, 50, 60]).max() <= 2
    assert np.allclose(t.emotions.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("every", "wanted"),
    [(None, np.arange(20) / 10), (0, np.arange(20) / 10), (0.5, [0, 0.5, 1, 1.5]), (0.25, [0, 0.3, 0.5, 0.8, 1, 1.3, 1.5, 1.8])],
)
def test_every_is_seconds_of_the_media(tmp_path: Path, every: float | None, wanted: Any) -> None:
    film = write_film(tmp_path / "film.mp4", walk(HAPPY, n=20))
    a = analyzer()
    t = a.video(film, every=every)
    assert t.times.tolist() == pytest.approx(list(wanted), abs=1e-3)
    assert a.detector.calls == len(t)  # type: ignore[attr-defined]
    assert t.frames.tolist() == pytest.approx([round(10 * s) for s in wanted])
    assert t.settings["every_s"] == (every or None)
    assert t.track_ids == [1]


def test_a_picture_and_a_film_are_opened_alike(tmp_path: Path, hopper: Path) -> None:
    t = analyzer().video(hopper)
    assert len(t) == 1
    assert t.info.kind == "picture"


def test_two_streams_of_one_analyzer_keep_their_people_apart() -> None:
    a = analyzer()
    one = FakeMedia(frames(walk(HAPPY, n=8)))
    # The same place, another person, and one more: state that leaked would give ids 1 and 2 or smooth one with the other.
    two = FakeMedia(frames([(s, [*faces, (110, 60, 30, ANGRY)]) for s, faces in walk(SAD, n=8)]))
    first, second = a.stream(one), a.stream(two)
    for left, right in zip(first, second, strict=True):
        assert left.tracks.tolist() == [1]
        assert right.tracks.tolist() == [1, 2]
        assert left.expressions == (HAPPY,)
        assert left.smoothed[0, LABELS.index(HAPPY)] > 0.8
        assert right.smoothed[0, LABELS.index(SAD)] > 0.8


def test_ids_begin_anew_in_each_stream() -> None:
    a = analyzer()
    for _ in range(2):
        assert {int(i) for r in a.stream(frames(walk(HAPPY))) for i in r.tracks} == {1}


def test_a_person_who_leaves_and_comes_back_much_later_is_a_new_id() -> None:
    scenes = [*walk(HAPPY, n=5), *[(0.5 + i / 10, []) for i in range(30)], *[(3.5 + s, f) for s, f in walk(HAPPY, n=5)]]
    seen = [r.tracks.tolist() for r in analyzer().stream(frames(scenes))]
    assert seen[:5] == [[1]] * 5
    assert seen[5:35] == [[]] * 30
    assert seen[35:] == [[2]] * 5


def test_smoothing_is_exponential_in_seconds_and_leaves_the_raw_scores() -> None:
    """A face that turns from sad to happy at 0.5 s; with a time constant of 0.3 s the old share decays as e^(-t/0.3)."""
    scenes = [(i / 10, [(30, 30, 40, SAD if i < 5 else HAPPY)]) for i in range(12)]
    results = list(analyzer(smoothing_s=0.3).stream(frames(scenes)))
    happy = LABELS.index(HAPPY)
    sad_score, happy_score = results[0].emotions[0, happy], results[-1].emotions[0, happy]
    for i, r in enumerate(results):
        assert r.emotions[0, happy] == (sad_score if i < 5 else happy_score)
        share = 0 if i < 5 else 1 - np.exp(-(i - 4) / 10 / 0.3)
        assert r.smoothed[0, happy] == pytest.approx(sad_score + share * (happy_score - sad_score), abs=1e-5)


def test_smoothing_off_and_named_in_the_settings() -> None:
    for r in analyzer(smoothing_s=0).stream(frames(walk(HAPPY))):
        assert np.array_equal(r.emotions, r.smoothed)
    assert analyzer(smoothing_s=0.7).settings()["smoothing_s"] == 0.7


def test_baseline_is_measured_from_each_tracks_own_beginning() -> None:
    scenes = [(i / 10, [(30, 30, 40, SAD if i < 10 else HAPPY)]) for i in range(20)]
    a = analyzer(baseline_s=1.0)
    recorder = Recorder(FakeMedia([]).info, a.labels, a.settings())
    for r in a.stream(frames(scenes)):
        recorder.add(r)
    t = recorder.timeline()
    assert t.settings["baseline_s"] == 1.0
    change = t.baseline(1.0)
    happy, sad = LABELS.index(HAPPY), LABELS.index(SAD)
    assert np.abs(change[:10]).max() < 1e-5
    assert (change[10:, happy] > 0.7).all()
    assert (change[10:, sad] < -0.7).all()
    assert np.abs(change.sum(axis=1)).max() < 1e-5


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"detector": "dlib"}, "no detector 'dlib'; known: yunet, haar"),
        ({"smoothing_s": -1}, "smoothing must be 0 s or more"),
        ({"baseline_s": -1}, "baseline must be 0 s or more"),
    ],
)
def test_wrong_options(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Analyzer(FakeExpressions(), **wrong)


def test_a_model_that_is_not_there() -> None:
    with pytest.raises(ModelError, match="no model 'emotion-x'"):
        Analyzer("emotion-x")


# --- several frames at once, and the state of a stream


def test_several_pictures_at_once_are_read_as_each_alone() -> None:
    pictures = [
        scene([]),
        scene([(20, 30, 40, HAPPY), (90, 20, 30, SAD)]),
        scene([(5, 5, 50, ANGRY)], width=320, height=200),
        scene([]),
        scene([(60, 40, 32, SAD)]),
    ]
    a = analyzer()
    together = a.faces_of(pictures)
    assert a.emotion.seen == 4  # type: ignore[attr-defined]
    assert [len(found) for found, _ in together] == [0, 2, 1, 0, 1]
    for rgb, (found, emotions) in zip(pictures, together, strict=True):
        alone, scores = a.faces(rgb)
        assert np.array_equal(found.boxes, alone.boxes)
        assert np.array_equal(emotions, scores)
        assert emotions.shape == (len(found), 3)
    assert a.faces_of([]) == []


def test_the_network_runs_once_for_several_pictures() -> None:
    class Counting(FakeExpressions):
        runs = 0

        def __call__(self, crops: Any) -> Any:
            self.runs += 1
            return super().__call__(crops)

    model = Counting()
    a = Analyzer(model, detector=FakeDetector())
    a.faces_of([scene([(20, 30, 40, HAPPY)]), scene([(30, 30, 40, SAD)]), scene([])])
    assert model.runs == 1
    a.faces_of([scene([]), scene([])])
    assert model.runs == 1


def test_frames_of_a_film_are_read_eight_at_a_time_as_each_alone() -> None:
    class Counting(FakeExpressions):
        runs: tuple[int, ...] = ()

        def __call__(self, crops: Any) -> Any:
            self.runs += (len(crops),)
            return super().__call__(crops)

    model, scenes = Counting(), two_who_cross()
    a = Analyzer(model, detector=FakeDetector())
    error = MediaError("fake.mp4: cannot decode after 4 s")
    together, alone = [], list(a.stream(frames(scenes)))
    one_by_one, model.runs = model.runs, ()
    with pytest.raises(MediaError, match="after 4 s"):
        for result in a.stream(FakeMedia(frames(scenes), error=error)):
            together.append(result)
    assert len(one_by_one) == len(alone) == len(together) == 40
    assert model.runs == tuple(sum(one_by_one[i : i + 8]) for i in range(0, 40, 8))
    for one, other in zip(together, alone, strict=True):
        assert one.frame.index == other.frame.index
        assert one.tracks.tolist() == other.tracks.tolist()
        for name in ("emotions", "smoothed", "reliability", "flags"):
            assert np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True), name


def two_who_cross() -> list[tuple[float, list[Square]]]:
    """Somebody walks right, another one comes, is covered for a while, and a third appears late; an uneven clock."""
    scenes = []
    for i in range(40):
        faces: list[Square] = [(5 + 2 * i, 20, 30, HAPPY if i < 20 else SAD)]
        if i % 7 and i > 5:
            faces.append((120 - i, 70, 30, ANGRY))
        if i > 30:
            faces.append((10, 75, 24, SAD))
        scenes.append((i / 10 + (i % 3) / 100, faces))
    return scenes


@pytest.mark.parametrize("cut", [0, 1, 13, 39])
def test_a_state_made_again_from_what_was_seen_goes_on_as_the_first(cut: int) -> None:
    """What a log keeps of each frame, boxes, scores, probabilities and time, is enough: landmarks are not."""
    a = analyzer(smoothing_s=0.4)
    results = list(a.stream(frames(two_who_cross())))
    again = a.begin()
    for r in results[:cut]:
        bare = Faces(r.faces.boxes, r.faces.scores, np.full((len(r), 5, 2), np.nan, np.float32))
        again.update(bare, r.time_s, r.emotions)
    aside = again.copy()
    for r in results[cut:]:
        ids, smoothed = again.update(r.faces, r.time_s, r.emotions)
        assert ids.tolist() == r.tracks.tolist()
        assert np.array_equal(smoothed, r.smoothed)
    if cut < 39:  # a copy goes its own way: it has seen none of the rest
        ids, _ = aside.update(results[cut].faces, results[cut].time_s, results[cut].emotions)
        assert ids.tolist() == results[cut].tracks.tolist()


def test_time_that_runs_backwards_leaves_the_state_as_it_was() -> None:
    a = analyzer()
    one, two, three = frames(walk(HAPPY, n=3))
    state = a.begin(0.5)
    for frame in (one, two):
        found, emotions = a.faces(frame.rgb)
        state.update(found, frame.time_s, emotions)
    with pytest.raises(ValueError, match="time_s must be finite and not decrease"):
        state.update(*a.faces(one.rgb)[:1], one.time_s, a.faces(one.rgb)[1])
    found, emotions = a.faces(three.rgb)
    ids, _ = state.update(found, three.time_s, emotions)
    assert ids.tolist() == [1]


# --- threads


def test_files_lose_no_frame_however_slow_the_reader() -> None:
    source = FakeMedia(frames(walk(HAPPY, n=40)))
    seen = 0
    for r in analyzer().stream(source):
        assert r.frame.index == seen
        seen += 1
        if seen % 10 == 0:
            time.sleep(0.02)
    assert seen == 40
    assert source.closed == 1


def test_cameras_give_the_newest_frame() -> None:
    """While the reader was busy thirty frames came: it goes on with the last of them."""
    come = threading.Event()

    class Camera(FakeMedia):
        def frames(self, every: float | None = None) -> Iterator[Any]:
            for frame in super().frames(every):
                yield frame
                if frame.index == 0:
                    assert come.wait(60)

    source = Camera(frames(walk(HAPPY, n=31)), kind="camera")
    results = analyzer().stream(source)
    assert next(results).frame.index == 0
    come.set()
    deadline = time.monotonic() + 60
    while source.closed == 0:
        assert time.monotonic() < deadline, "the camera never came to its end"
        time.sleep(0.005)
    assert [r.frame.index for r in results] == [30]


@pytest.mark.parametrize("kind", ["video", "camera"])
def test_an_error_of_the_source_comes_out_after_the_frames_before_it(kind: str) -> None:
    source = FakeMedia(frames(walk(HAPPY, n=3)), kind=kind, error=MediaError("fake.mp4: cannot decode after 0.30 s"))
    seen = []
    with pytest.raises(MediaError, match=r"cannot decode after 0\.30 s"):
        for r in analyzer().stream(source):
            seen.append(r.frame.index)
    assert seen[-1] == 2
    if kind == "video":
        assert seen == [0, 1, 2]
    assert threads() == []


@pytest.mark.parametrize("kind", ["video", "camera"])
def test_an_error_of_a_stage_comes_out_and_ends_the_thread(kind: str) -> None:
    class Broken(FakeDetector):
        def __call__(self, rgb: Any) -> Any:
            raise RuntimeError("the detector broke")

    source = FakeMedia(frames(walk(HAPPY, n=30)), kind=kind)
    with pytest.raises(RuntimeError, match="the detector broke"):
        list(Analyzer(FakeExpressions(), detector=Broken()).stream(source))
    assert threads() == []
    assert source.closed == 1
    assert source.taken < 30 or kind == "camera"


@pytest.mark.parametrize("kind", ["video", "camera"])
def test_closing_early_ends_the_thread_and_the_source(kind: str) -> None:
    source = FakeMedia(frames(walk(HAPPY, n=200)), kind=kind)
    results: Any = analyzer().stream(source)
    next(results)
    assert len(threads()) == 1 or kind == "camera"
    results.close()
    assert threads() == []
    assert source.closed == 1
    assert source.taken < 200 or kind == "camera"


@pytest.mark.parametrize("kind", ["video", "camera", "frames"])
def test_results_end_where_no_more_are_wanted(kind: str) -> None:
    source = FakeMedia(frames(walk(HAPPY, n=200)), kind=kind)
    seen: list[Any] = []
    for result in analyzer().stream(source.frames() if kind == "frames" else source, until=lambda: bool(seen)):
        seen.append(result)
    assert len(seen) == 1
    assert threads() == []
    assert source.closed == 1


def test_closing_early_closes_frames_that_the_caller_still_holds() -> None:
    source = FakeMedia(frames(walk(HAPPY, n=5)))
    held = source.frames()
    results: Any = analyzer().stream(held)
    next(results)
    results.close()
    assert source.closed == 1
    assert list(held) == []


def test_plain_frames_are_streamed_without_a_thread() -> None:
    results = analyzer().stream(iter(frames(walk(HAPPY, n=3))))
    next(results)
    assert threads() == []


def test_every_is_not_forgotten_for_plain_frames() -> None:
    with pytest.raises(ValueError, match="every is for an opened media"):
        next(analyzer().stream(iter(frames(walk(HAPPY, n=3))), every=0.5))


# --- Recorder


def record(results: list[FrameResult]) -> Timeline:
    recorder = Recorder(FakeMedia([]).info, LABELS)
    for r in results:
        recorder.add(r)
    assert len(recorder) == len(results)
    return recorder.timeline()


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 300])
def test_the_recorder_grows_without_losing_a_row(n: int) -> None:
    # 0, 1, 2, 0, 1, 2 … faces in frames at a tenth of a second
    places: list[Square] = [(10, 20, 30, HAPPY), (100, 40, 30, SAD)]
    results = list(analyzer().stream(frames([(i / 10, places[: i % 3]) for i in range(n)])))
    t = record(results)
    assert len(t) == n
    assert t.times.tolist() == [i / 10 for i in range(n)]
    assert t.faces_per_frame.tolist() == [i % 3 for i in range(n)]
    assert t.boxes.tolist() == [b for r in results for b in r.faces.boxes.tolist()]
    assert t.emotions.tolist() == [e for r in results for e in r.emotions.tolist()]
    assert t.smoothed.tolist() == [e for r in results for e in r.smoothed.tolist()]
    assert t.tracks.tolist() == [i for r in results for i in r.tracks.tolist()]
    assert t.emotions.shape[1] == 3


def test_a_timeline_is_not_changed_by_what_is_recorded_after_it() -> None:
    results = list(analyzer().stream(frames(walk(HAPPY, n=10))))
    recorder = Recorder(FakeMedia([]).info, LABELS)
    for r in results[:5]:
        recorder.add(r)
    early = recorder.timeline()
    kept = early.boxes.copy()
    for r in results[5:]:
        recorder.add(r)
    assert len(early) == 5
    assert np.array_equal(early.boxes, kept)
    assert len(recorder.timeline()) == 10


def test_time_that_runs_backwards_is_told() -> None:
    one, two = analyzer().stream(frames([(0.5, []), (1.0, [])]))
    recorder = Recorder(FakeMedia([]).info, LABELS)
    recorder.add(two)
    with pytest.raises(MediaError, match=r"time runs backwards, from 1\.000 s to 0\.500 s"):
        recorder.add(one)


# --- settings


def test_settings_name_the_models_with_hash_and_version(tmp_path: Path) -> None:
    folder = tiny_bundle(tmp_path / "tiny")
    settings = Analyzer(folder, detector=FakeDetector()).settings(every=0.5)
    assert settings["every_s"] == 0.5
    model = settings["models"]["expression"]
    assert (model["name"], model["version"], len(model["sha256"])) == ("tiny", "1", 64)
    assert model["card"] == "# tiny\n"
    assert settings["models"]["detector"]["name"] == "fake detector"


# --- the real thing


@pytest.fixture(scope="module")
def real() -> Analyzer:
    return Analyzer()


def test_the_portraits_have_one_face_each(real: Analyzer, hopper: Path, astronaut: Path) -> None:
    for path in (hopper, astronaut):
        result = real.picture(path)
        assert len(result) == 1
        x1, y1, x2, y2 = result.faces.boxes[0]
        eyes = result.faces.landmarks[0, :2]
        assert ((eyes > [x1, y1]) & (eyes < [x2, y2])).all()
        assert result.emotions[0].sum() == pytest.approx(1, abs=1e-5)
    assert real.picture(astronaut).expressions == ("happiness",)


def test_the_portraits_side_by_side_are_two_faces_read_as_they_are_alone(real: Analyzer, hopper: Path, astronaut: Path) -> None:
    pictures = [read_picture(p).rgb[:512] for p in (hopper, astronaut)]
    both = real.picture(np.concatenate(pictures, axis=1))
    assert len(both) == 2
    order = np.argsort(both.faces.boxes[:, 0])
    for i, picture in enumerate(pictures):
        assert np.abs(both.emotions[order[i]] - real.picture(picture).emotions[0]).max() < 0.35


def test_haar_and_the_bundled_model(hopper: Path, astronaut: Path) -> None:
    a = Analyzer(detector=Haar())
    result = a.picture(astronaut)
    assert len(result) >= 1
    assert np.isfinite(result.emotions).all()
    largest = int((result.faces.boxes[:, 2] - result.faces.boxes[:, 0]).argmax())
    assert result.expressions[largest] == "happiness"


def test_a_man_talking_is_one_track(real: Analyzer, carphone: Path) -> None:
    t = real.video(carphone, every=0.2)
    assert t.track_ids == [1]
    assert (t.faces_per_frame == 1).mean() > 0.9


# --- what the clips show


def test_five_faces(real: Analyzer, clips: Path) -> None:
    assert len(real.picture(clips / "multi_face.jpg")) == 5


@pytest.mark.parametrize(
    ("name", "people"), [("three_people_walking.gif", 3), ("two_people_head_pose.gif", 2), ("classroom.gif", 4)]
)
def test_everybody_keeps_the_same_id_throughout(real: Analyzer, clips: Path, name: str, people: int) -> None:
    t = real.video(clips / name)
    assert len(t.track_ids) == people
    assert (t.faces_per_frame == people).all()
    # Nobody overtakes anybody in these films: a switched id would change who is left of whom.
    order = {tuple(t.tracks[t.frame_rows == i][np.argsort(t.boxes[t.frame_rows == i, 0])].tolist()) for i in range(len(t))}
    assert len(order) == 1 or name == "three_people_walking.gif"
    for track in t:
        steps = np.diff(t.boxes[track.rows].reshape(-1, 2, 2).mean(axis=1), axis=0)
        sides = (t.boxes[track.rows, 2] - t.boxes[track.rows, 0])[1:]
        assert (np.hypot(*steps.T) < 0.75 * sides).all()


def test_no_face_at_all(real: Analyzer, clips: Path) -> None:
    t = real.video(clips / "no_face.mp4")
    assert len(t) == 95
    assert t.faces_per_frame.max() == 0
    assert t.track_ids == []


def test_a_face_until_2_4_s(real: Analyzer, clips: Path) -> None:
    t = real.video(clips / "face_noface.mov")
    seen = t.faces_per_frame
    assert seen.max() == 1
    assert t.times[np.flatnonzero(seen)[-1]] == pytest.approx(2.4, abs=0.1)
    assert (seen[t.times <= 2.3] == 1).all()
    assert (seen[t.times >= 2.5] == 0).all()
    assert t.times[-1] > 6


def test_no_face_until_3_9_s(real: Analyzer, clips: Path) -> None:
    t = real.video(clips / "noface_face.mov")
    seen = t.faces_per_frame
    assert seen.max() == 1
    assert t.times[np.flatnonzero(seen)[0]] == pytest.approx(3.9, abs=0.1)
    assert (seen[t.times <= 3.8] == 0).all()
    assert (seen[t.times >= 4.0] == 1).mean() > 0.95


def test_neutral_then_happy(real: Analyzer, clips: Path) -> None:
    t = real.video(clips / "single_face.mp4")
    episodes = find_episodes(t)
    assert [e.expression for e in episodes] == ["neutral", "happiness"]
    assert 0.5 <= episodes[1].start_s <= 0.8


def test_sad_to_happy(real: Analyzer, clips: Path) -> None:
    t = real.video(clips / "sad_to_happy.mp4", every=0.5)
    lead = np.array(t.labels)[t.emotions.argmax(axis=1)]
    last = t.face_times >= t.info.duration_s - 6  # type: ignore[operator]
    first = t.face_times < 5
    assert len(t.track_ids) <= 2
    assert t.faces_per_frame.max() == 1
    assert last.sum() >= 10
    assert first.sum() >= 8
    assert (lead[last] == "happiness").mean() >= 0.9
    assert (lead[first] == "happiness").mean() <= 0.1


def test_one_analyzer_reads_two_films_at_a_time_as_one_after_the_other(real: Analyzer, clips: Path) -> None:
    names = ("single_face.mp4", "two_people_head_pose.gif")
    alone = [real.video(clips / n, every=0.2) for n in names]
    found: dict[str, Timeline] = {}
    workers = [threading.Thread(target=lambda n=n: found.update({n: real.video(clips / n, every=0.2)})) for n in names]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    for name, wanted in zip(names, alone, strict=True):
        assert np.array_equal(found[name].boxes, wanted.boxes)
        assert np.array_equal(found[name].tracks, wanted.tracks)
        assert np.array_equal(found[name].smoothed, wanted.smoothed)


def test_stream_gives_what_comes_before_the_damage(real: Analyzer, clips: Path, tmp_path: Path) -> None:
    whole = (clips / "two_people_head_pose.gif").read_bytes()
    cut = tmp_path / "cut.gif"
    cut.write_bytes(whole[: len(whole) // 2])
    seen = 0
    with open_media(cut) as media, pytest.raises(MediaError, match=r"cut\.gif: cannot decode after"):
        for r in real.stream(media):
            assert len(r) == 2
            seen += 1
    assert 10 < seen < 56
