import math
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mien.crop import TEMPLATE, TEMPLATE_BOX, CropSpec, alignment, crop_face, crop_faces, stretch_contrast
from mien.types import Faces

TARGET = np.array(TEMPLATE)
NO_LANDMARKS = np.full((5, 2), np.nan, np.float32)
PLAIN = CropSpec(size=64, detail=0)


def placed(scale: float, angle: float, x: float, y: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A similarity from shares of the crop to pixels (2, 3), and the template's landmarks under it."""
    turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = np.column_stack([turn, [x, y]])
    return matrix, TARGET @ turn.T + [x, y]


def texture(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
    """A smooth grey picture over the plane of the crop, the same nowhere within it."""
    return 128 + 60 * np.sin(4 * u + 1) + 50 * np.cos(5 * v - 2 * u)


def painted(matrix: NDArray[np.float64], width: int, height: int) -> NDArray[np.uint8]:
    """The picture in which `texture` lies under `matrix`."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    back = np.linalg.inv(matrix[:, :2])
    u, v = np.einsum("ij,jhw->ihw", back, np.stack([x - matrix[0, 2], y - matrix[1, 2]]))
    return texture(u, v).round().astype(np.uint8)


def wanted(size: int) -> NDArray[np.float64]:
    at = (np.arange(size) + 0.5) / size
    return texture(*np.meshgrid(at, at))


# --- alignment


@given(
    scale=st.floats(5, 3000),
    angle=st.floats(-math.pi, math.pi),
    x=st.floats(-4000, 4000),
    y=st.floats(-4000, 4000),
)
def test_any_similarity_of_the_template_is_undone(scale: float, angle: float, x: float, y: float) -> None:
    matrix, points = placed(scale, angle, x, y)
    found = alignment(np.zeros(4), points)
    assert np.allclose(points @ found[:, :2].T + found[:, 2], TARGET, atol=1e-6)
    assert np.allclose(found[:, :2] @ matrix[:, :2], np.eye(2), atol=1e-6)


@given(scale=st.floats(20, 500), angle=st.floats(-1, 1))
def test_without_rotation_a_tilted_face_stays_tilted(scale: float, angle: float) -> None:
    _, points = placed(scale, angle, 100, 50)
    found = alignment(np.zeros(4), points, rotate=False)
    assert found[0, 1] == found[1, 0] == 0
    assert found[0, 0] == found[1, 1] > 0
    assert np.allclose(points.mean(axis=0) @ found[:, :2].T + found[:, 2], TARGET.mean(axis=0))


def test_noise_in_the_landmarks_is_averaged_not_followed() -> None:
    """Least squares: one landmark that is wrong by 10 % of the face moves the crop by much less."""
    _, points = placed(100, 0.0, 0, 0)
    points[2] += [10, 0]  # the nose
    found = alignment(np.zeros(4), points)
    moved = TARGET @ (100 * found[:, :2]).T + found[:, 2] - TARGET
    assert 0.005 < np.abs(moved).max() < 0.04


@pytest.mark.parametrize(
    "landmarks",
    [NO_LANDMARKS, np.where(np.arange(10).reshape(5, 2) == 7, np.nan, 50.0), np.full((5, 2), 80.0), np.zeros((5, 2))],
    ids=["none", "one missing", "all in one place", "all zero"],
)
def test_the_box_stands_in_for_landmarks(landmarks: NDArray[Any]) -> None:
    box = np.array([100, 40, 184, 138], np.float32)  # as wide to high as TEMPLATE_BOX
    found = alignment(box, landmarks)
    corners = box.reshape(2, 2).astype(float) @ found[:, :2].T + found[:, 2]
    assert np.allclose(corners.ravel(), TEMPLATE_BOX, atol=1e-6)


@pytest.mark.parametrize("box", [(10, 10, 110, 60), (10, 10, 60, 110), (5, 5, 5, 5), (0, 0, 1, 1)])
def test_a_box_of_any_shape_fits_into_the_template_box(box: tuple[float, ...]) -> None:
    found = alignment(np.array(box, np.float32), NO_LANDMARKS)
    left, top, right, bottom = (np.array(box).reshape(2, 2) @ found[:, :2].T + found[:, 2]).ravel()
    x1, y1, x2, y2 = TEMPLATE_BOX
    assert left >= x1 - 1e-9
    assert top >= y1 - 1e-9
    assert right <= x2 + 1e-9
    assert bottom <= y2 + 1e-9
    assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx(((x1 + x2) / 2, (y1 + y2) / 2))
    assert found[0, 0] == found[1, 1] > 0


# --- pixels


@settings(max_examples=40, deadline=None)
@given(
    scale=st.floats(24, 420),
    angle=st.floats(-math.pi, math.pi),
    x=st.floats(-20, 20),
    y=st.floats(-20, 20),
    size=st.sampled_from([24, 48, 64]),
)
def test_an_aligned_crop_shows_the_face_as_the_template_has_it(scale: float, angle: float, x: float, y: float, size: int) -> None:
    matrix, _ = placed(scale, angle, 0, 0)
    matrix[:, 2] = np.array([320 + x, 320 + y]) - matrix[:, :2] @ [0.5, 0.5]
    points = TARGET @ matrix[:, :2].T + matrix[:, 2]
    picture = painted(matrix, 640, 640)
    crop = crop_face(picture, alignment(np.zeros(4), points), CropSpec(size=size, detail=0))
    # What is left is interpolation and rounding; a shift by half a pixel of the picture would be seen.
    assert np.abs(crop.astype(float) - wanted(size)).max() < 2 + 60 / scale + 60 / size


def test_crop_has_no_shift() -> None:
    """Over many places the mean error is far below what half a pixel of the crop would make."""
    errors = []
    for scale in (40, 64, 100, 128, 200, 333, 500):
        matrix, _ = placed(scale, 0.0, 20.25, 30.75)
        picture = painted(matrix, 600, 600)
        crop = crop_face(picture, np.column_stack([np.eye(2) / scale, [-20.25 / scale, -30.75 / scale]]), PLAIN)
        errors.append(np.abs(crop.astype(float) - wanted(64))[2:-2, 2:-2].mean())
    assert max(errors) < 0.6  # half a pixel of the crop is 1.7 grey values on average


def test_a_crop_does_not_depend_on_where_in_the_picture_the_face_is() -> None:
    face = np.random.default_rng(1).integers(0, 256, (50, 40, 3)).astype(np.uint8)
    crops = []
    for left, top in ((100, 100), (131, 117)):
        rgb = np.full((300, 300, 3), 90, np.uint8)
        rgb[top : top + 50, left : left + 40] = face
        crops.append(crop_face(rgb, alignment(np.array([left, top, left + 40, top + 50]), NO_LANDMARKS), PLAIN))
    assert np.array_equal(crops[0], crops[1])


def test_large_faces_are_averaged_not_subsampled() -> None:
    """Noise of ±1 in a face of 1,280 pixels averages out over the 20×20 pixels behind each pixel of the crop."""
    noise = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (1280, 1280))
    crop = crop_face(noise, np.column_stack([np.eye(2) / 1280, [0, 0]]), PLAIN)
    assert crop.std() < 12  # 2×2 pixels read of each would give 64, every one averaged 6.4
    assert crop.mean() == pytest.approx(127.5, abs=2)


def test_detail_brings_a_sharp_face_down_to_what_was_learned() -> None:
    sharp = np.random.default_rng(2).integers(0, 256, (400, 400)).astype(np.uint8)
    matrix = np.column_stack([np.eye(2) / 400, [0, 0]])
    coarse = crop_face(sharp, matrix, CropSpec(size=48, detail=0))
    found = crop_face(sharp, matrix, CropSpec(size=64, detail=48))
    assert np.array_equal(found, cv2.resize(coarse, (64, 64), interpolation=cv2.INTER_CUBIC))
    assert not np.array_equal(found, crop_face(sharp, matrix, PLAIN))


def test_detail_leaves_a_small_face_alone() -> None:
    small = np.random.default_rng(3).integers(0, 256, (60, 60)).astype(np.uint8)
    matrix = np.column_stack([np.eye(2) / 40, [-0.2, -0.2]])  # 40 pixels: less than the 48 that were learned
    assert np.array_equal(crop_face(small, matrix, CropSpec(size=64, detail=48)), crop_face(small, matrix, PLAIN))


def test_denoise_takes_single_pixels_out() -> None:
    grey = np.full((64, 64), 100, np.uint8)
    grey[10::9, 10::9] = 255
    matrix = np.column_stack([np.eye(2) / 64, [0, 0]])
    assert crop_face(grey, matrix, PLAIN).max() > 200
    assert (crop_face(grey, matrix, CropSpec(size=64, detail=0, denoise=True)) == 100).all()


def test_contrast_is_stretched_to_the_full_range() -> None:
    dim = (90 + 40 * np.random.default_rng(4).random((64, 64))).astype(np.uint8)
    matrix = np.column_stack([np.eye(2) / 64, [0, 0]])
    plain, stretched = crop_face(dim, matrix, PLAIN), crop_face(dim, matrix, CropSpec(size=64, detail=0, contrast=True))
    assert plain.max() - plain.min() <= 60
    assert (stretched.min(), stretched.max()) == (0, 255)
    order = np.argsort(plain.ravel(), kind="stable")
    assert (np.diff(stretched.ravel()[order].astype(int)) >= 0).all()


@pytest.mark.parametrize("value", [0, 77, 255])
def test_contrast_leaves_a_flat_crop_as_it_is(value: int) -> None:
    flat = np.full((8, 8), value, np.uint8)
    assert np.array_equal(stretch_contrast(flat), flat)


@pytest.mark.parametrize(
    ("colour", "shape", "grey", "result"),
    [
        ("gray", (64, 64), False, 76),  # ITU-R BT.601: .299 of 255
        ("gray", (64, 64), True, 60),
        ("rgb", (64, 64, 3), False, (255, 0, 0)),
        ("rgb", (64, 64, 3), True, (60, 60, 60)),
    ],
)
def test_colour(colour: Any, shape: tuple[int, ...], grey: bool, result: Any) -> None:
    picture = np.full((50, 50), 60, np.uint8) if grey else np.full((50, 50, 3), (255, 0, 0), np.uint8)
    crop = crop_face(picture, np.column_stack([np.eye(2) / 50, [0, 0]]), CropSpec(size=64, colour=colour))
    assert crop.shape == shape
    assert crop.dtype == np.uint8
    assert (crop == result).all()


@pytest.mark.parametrize(
    "box", [(-30, -30, 20, 20), (90, 40, 150, 110), (-200, -200, 300, 300), (99, 79, 100, 80), (500, 500, 540, 540)]
)
def test_a_face_at_or_beyond_the_edge_repeats_the_edge(box: tuple[int, ...]) -> None:
    rgb = np.zeros((80, 100, 3), np.uint8)
    rgb[:, :50], rgb[:, 50:] = 40, 200
    crop = crop_face(rgb, alignment(np.array(box), NO_LANDMARKS), PLAIN)
    # No black beyond the border, and nothing but what interpolation makes of 40 and 200.
    assert crop.min() >= 20
    assert crop.max() <= 220
    if box[0] >= 90:
        assert (crop == 200).all()


@pytest.mark.parametrize("landmarks", [NO_LANDMARKS, TARGET.astype(np.float32) * 40])
def test_a_picture_of_one_pixel(landmarks: NDArray[np.float32]) -> None:
    crop = crop_face(np.full((1, 1, 3), 99, np.uint8), alignment(np.array([0, 0, 1, 1]), landmarks), CropSpec())
    assert crop.shape == (64, 64)
    assert (crop == 99).all()


@pytest.mark.parametrize(("colour", "tail"), [("gray", ()), ("rgb", (3,))])
def test_all_faces_of_a_picture(colour: Any, tail: tuple[int, ...]) -> None:
    spec = CropSpec(size=32, colour=colour)
    rgb = np.random.default_rng(5).integers(0, 256, (90, 90, 3)).astype(np.uint8)
    boxes = np.array([[5, 5, 40, 45], [30, 30, 80, 85]])
    faces = Faces(boxes, [0.9, 0.8], np.stack([NO_LANDMARKS, 30 + 50 * TARGET]))
    crops = crop_faces(rgb, faces, spec)
    assert crops.shape == (2, 32, 32, *tail)
    for i in range(2):
        assert np.array_equal(crops[i], crop_face(rgb, alignment(faces.boxes[i], faces.landmarks[i]), spec))
    assert not np.array_equal(crops[0], crops[1])
    assert crop_faces(rgb, Faces.none(), spec).shape == (0, 32, 32, *tail)


@pytest.mark.parametrize(
    ("wrong", "says"), [({"size": 0}, "at least 1"), ({"detail": -1}, "at least 0"), ({"colour": "bgr"}, "'gray' or 'rgb'")]
)
def test_a_wrong_spec_is_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        CropSpec(**wrong)


def test_a_spec_survives_json() -> None:
    spec = CropSpec(size=48, colour="rgb", detail=0, rotate=False, denoise=True, contrast=True)
    assert CropSpec(**spec.to_json()) == spec
