"""Landmarks → upright square crops, contrast, de-noising. Training and inference both come here, so both frame a face alike.

The steps are P1's (Djellali & Deljanin: detect, de-noise, rotate, normalise, crop). Which of them a network wants is part of its
`model.json`, as a `CropSpec`.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.types import Faces

TEMPLATE: tuple[tuple[float, float], ...] = ((0.303, 0.378), (0.686, 0.384), (0.492, 0.599), (0.346, 0.759), (0.647, 0.760))
"""Where the five landmarks of a face come to lie, as shares of the crop's side: the median over FER2013 as YuNet finds them."""

TEMPLATE_BOX: tuple[float, float, float, float] = (0.08, 0.02, 0.92, 1.0)
"""Where the detector's box lies in such a crop (x1, y1, x2, y2): the fall-back where there are no landmarks."""

_CENTRE = (sum(x for x, _ in TEMPLATE) / 5, sum(y for _, y in TEMPLATE) / 5)
_CENTRED = tuple((x - _CENTRE[0], y - _CENTRE[1]) for x, y in TEMPLATE)


@dataclass(frozen=True, slots=True)
class CropSpec:
    """How a network wants its faces.

    size      side of the square crop in pixels
    colour    "gray" or "rgb"
    detail    side in pixels at which the training pictures were taken: sharper faces are first brought down to it, so that a
              network that has only seen 48-pixel faces is not shown what it never learned; 0 leaves them as they are
    rotate    turn the face upright by its landmarks (P1's rotation by the eye line); without it only shift and scale
    denoise   3×3 median before anything else
    contrast  stretch the grey values of the crop so that the 1st and 99th percentile become 0 and 255
    """

    size: int = 64
    colour: Literal["gray", "rgb"] = "gray"
    detail: int = 48
    rotate: bool = True
    denoise: bool = False
    contrast: bool = False

    def __post_init__(self) -> None:
        if self.size < 1 or self.detail < 0:
            raise ValueError(f"a crop's size must be at least 1 and its detail at least 0, but got {self.size} and {self.detail}")
        if self.colour not in ("gray", "rgb"):
            raise ValueError(f"a crop's colour must be 'gray' or 'rgb', but got {self.colour!r}")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def alignment(box: NDArray[np.float32], landmarks: NDArray[np.float32], *, rotate: bool = True) -> NDArray[np.float64]:
    """The (2, 3) matrix that brings pixels of the picture to shares of the crop's side (0 to 1 inside the crop).

    A similarity (one scale, a rotation unless `rotate` is off, a shift), the least-squares fit of the five `landmarks` (5, 2) to
    `TEMPLATE` (Umeyama 1991). Where landmarks are missing (NaN) or fall together, the `box` (4,) is laid onto `TEMPLATE_BOX`.
    """
    # Of five points plain numbers are worked out in a third of the time that arrays take.
    points = np.asarray(landmarks, dtype=np.float64).tolist()
    x, y = sum(p[0] for p in points) / 5, sum(p[1] for p in points) / 5
    spread = [(p[0] - x, p[1] - y) for p in points]
    size = sum(u * u + v * v for u, v in spread)
    # Landmarks within a pixel of each other say nothing about scale.
    if not math.isfinite(size) or size < 1.0:
        return _box_alignment(np.asarray(box, dtype=np.float64))
    a = sum(u * s + v * t for (u, v), (s, t) in zip(spread, _CENTRED, strict=True)) / size
    b = sum(u * t - v * s for (u, v), (s, t) in zip(spread, _CENTRED, strict=True)) / size if rotate else 0.0
    if a * a + b * b < 1e-12:
        return _box_alignment(np.asarray(box, dtype=np.float64))
    return np.array([[a, -b, _CENTRE[0] - a * x + b * y], [b, a, _CENTRE[1] - b * x - a * y]])


def _box_alignment(box: NDArray[np.float64]) -> NDArray[np.float64]:
    x1, y1, x2, y2 = TEMPLATE_BOX
    width, height = max(float(box[2] - box[0]), 1.0), max(float(box[3] - box[1]), 1.0)
    scale = min((x2 - x1) / width, (y2 - y1) / height)
    centre = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
    shift = np.array([(x1 + x2) / 2, (y1 + y2) / 2]) - scale * centre
    return np.column_stack([scale * np.eye(2), shift])


def crop_face(image: NDArray[np.uint8], matrix: NDArray[np.float64], spec: CropSpec) -> NDArray[np.uint8]:
    """One face of `image`, (H, W, 3) RGB or (H, W) grey, cut out by `alignment`'s matrix: (size, size) or (size, size, 3) uint8.

    What lies outside the picture repeats its edge. Large faces are averaged down, never subsampled.
    """
    (a, b, right_by), (c, d, down_by) = matrix.tolist()
    scale = math.hypot(a, c)  # shares of the side per pixel of the picture
    side = min(spec.size, spec.detail) if spec.detail > 0 and scale * spec.detail < 1 else spec.size

    # Work on the part of the picture that the crop covers, with a margin for interpolation.
    whole = a * d - b * c
    corners = [(u - right_by, v - down_by) for u in (0.0, 1.0) for v in (0.0, 1.0)]
    xs, ys = [(d * u - b * v) / whole for u, v in corners], [(a * v - c * u) / whole for u, v in corners]
    margin = 2.0 + 2.0 / (scale * side)
    height, width = image.shape[:2]
    left, top = (min(max(math.floor(min(at) - margin), 0), most - 1) for at, most in ((xs, width), (ys, height)))
    right, bottom = (
        min(max(math.ceil(max(at) + margin), least + 1), most) for at, least, most in ((xs, left, width), (ys, top, height))
    )
    patch = image[top:bottom, left:right]
    if spec.colour == "gray" and patch.ndim == 3:
        patch = cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY)
    elif spec.colour == "rgb" and patch.ndim == 2:
        patch = cv2.cvtColor(patch, cv2.COLOR_GRAY2RGB)
    if spec.denoise:
        patch = cv2.medianBlur(patch, 3)

    # From pixel centres of the patch to pixel centres of the crop.
    by_x, by_y = 1.0, 1.0
    if scale * side < 0.5:
        # Bilinear interpolation looks at 2×2 pixels; more than that per pixel of the crop must be averaged first.
        shrunk = (max(1, round(patch.shape[1] * scale * side)), max(1, round(patch.shape[0] * scale * side)))
        by_x, by_y = patch.shape[1] / shrunk[0], patch.shape[0] / shrunk[1]
        patch = cv2.resize(patch, shrunk, interpolation=cv2.INTER_AREA)
    x, y = left + 0.5 * by_x, top + 0.5 * by_y  # the first pixel's centre in the picture
    placed = np.array(
        [
            [a * by_x * side, b * by_y * side, (a * x + b * y + right_by) * side - 0.5],
            [c * by_x * side, d * by_y * side, (c * x + d * y + down_by) * side - 0.5],
        ]
    )
    how = cv2.INTER_CUBIC if scale * side > 1 else cv2.INTER_LINEAR
    crop = cv2.warpAffine(patch, placed, (side, side), flags=how, borderMode=cv2.BORDER_REPLICATE)
    if side != spec.size:
        crop = cv2.resize(crop, (spec.size, spec.size), interpolation=cv2.INTER_CUBIC)
    if spec.contrast:
        crop = stretch_contrast(crop)
    return np.asarray(crop, dtype=np.uint8)


def crop_faces(rgb: NDArray[np.uint8], faces: Faces, spec: CropSpec) -> NDArray[np.uint8]:
    """All N faces of a picture: (N, size, size) uint8 where the spec is grey, else (N, size, size, 3)."""
    shape = (len(faces), spec.size, spec.size) if spec.colour == "gray" else (len(faces), spec.size, spec.size, 3)
    crops = np.empty(shape, dtype=np.uint8)
    for i in range(len(faces)):
        crops[i] = crop_face(rgb, alignment(faces.boxes[i], faces.landmarks[i], rotate=spec.rotate), spec)
    return crops


def stretch_contrast(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey values stretched so that the 1st and 99th percentile become 0 and 255; a flat picture stays as it is."""
    low, high = np.percentile(crop, [1, 99])
    if high - low < 1:
        return crop
    stretched = np.clip((crop.astype(np.float32) - low) * (255 / (high - low)), 0, 255).round()
    return np.asarray(stretched, dtype=np.uint8)
