import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mien.flags import flags, sharpness, turn
from mien.types import FLAGS, Faces, flag_names

FRONTAL = np.array([[30, 38], [69, 38], [49, 60], [35, 76], [65, 76]], np.float32)


def face(width: float = 100, landmarks: NDArray[np.float32] = FRONTAL) -> Faces:
    return Faces(np.array([[0, 0, width, 120]], np.float32), np.ones(1, np.float32), landmarks[None])


def crop() -> NDArray[np.uint8]:
    """As much fine and coarse detail as a face has, everywhere."""
    rng = np.random.default_rng(0)
    coarse = cv2.resize(rng.integers(60, 200, (8, 8), dtype=np.uint8), (96, 96), interpolation=cv2.INTER_CUBIC).astype(float)
    fine = cv2.resize(rng.normal(0, 40, (48, 48)), (96, 96), interpolation=cv2.INTER_NEAREST)
    return np.clip(coarse + fine, 0, 255).astype(np.uint8)


def told(faces: Faces, one: NDArray[np.uint8]) -> tuple[str, ...]:
    return flag_names(int(flags(faces, one[None])[0]))


def test_a_good_face_has_no_flag() -> None:
    assert told(face(), crop()) == ()
    assert told(face(), np.repeat(crop()[:, :, None], 3, axis=2)) == ()
    assert flags(Faces.none(), np.zeros((0, 96, 96), np.uint8)).shape == (0,)


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("blurred", lambda c: cv2.GaussianBlur(c, (0, 0), 6)),
        ("dark", lambda c: (c * 0.08).astype(np.uint8)),
        ("flat", lambda c: (c * 0.05 + 180).astype(np.uint8)),
    ],
)
def test_what_a_picture_lacks_is_named(name: str, harm: object) -> None:
    assert name in told(face(), harm(crop()))  # type: ignore[operator]


def test_a_covered_mouth_is_named() -> None:
    masked = crop()
    masked[58:] = 205
    assert told(face(), masked) == ("covered",)


def test_crops_too_small_to_show_what_a_picture_is_like_say_nothing_of_it() -> None:
    black = np.zeros((96, 96), np.uint8)
    assert told(face(), black) == ("dark", "flat")
    assert told(face(), black[:48, :48]) == ("dark", "flat")
    assert told(face(), black[:47, :47]) == ()
    assert told(face(width=12), black[:47, :47]) == ("small",)


def test_a_small_face_is_named_by_its_box() -> None:
    assert told(face(width=12), crop()) == ("small",)
    assert told(face(width=13), crop()) == ()


def test_a_turned_face_has_its_nose_before_an_eye_however_the_head_is_tilted() -> None:
    side = FRONTAL.copy()
    side[2, 0] = 70
    assert told(face(landmarks=side), crop()) == ("turned",)
    c, s = np.cos(0.7), np.sin(0.7)
    tilt = np.array([[c, s], [-s, c]], np.float32)
    assert turn(np.stack([FRONTAL @ tilt, side @ tilt])) == pytest.approx(turn(np.stack([FRONTAL, side])), abs=1e-5)
    assert turn(np.full((1, 5, 2), np.nan, np.float32)) == [0]


def test_sharpness_falls_with_blur_and_not_with_contrast() -> None:
    small = cv2.resize(crop(), (48, 48), interpolation=cv2.INTER_AREA)
    paler = (small * 0.4 + 90).astype(np.uint8)
    assert sharpness(paler) == pytest.approx(sharpness(small), rel=0.1)
    assert sharpness(cv2.GaussianBlur(small, (0, 0), 1.5)) < 0.5 * sharpness(small)


def test_flags_are_bits_in_their_order() -> None:
    assert flag_names(0b111111) == FLAGS
    assert flag_names(0b000101) == ("small", "dark")
