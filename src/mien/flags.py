"""What can be seen of a face that makes its reading unsure, by name.

Each flag has a threshold at which readings measurably fail: at most two of three are right (`experiments/flags/measure_flags.py`).
Only `turned` is told without being held against a reading: beyond its threshold three of four are right, after nine of ten before
it. A flag is coarse: it says why a reading is not to be relied on, not how far. What it cannot see (a hand before the mouth, a
beard) the reliability may; see `mien.reliability`.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.types import FLAGS, Faces

SMALL_PX = 13.0
"""Least width of a face's box, in pixels of the picture."""

SHARPNESS = 0.11
"""Least `sharpness` of a crop."""

LIGHT = 17.0
"""Least mean grey value of a crop, of 255."""

CONTRAST = 7.0
"""Least standard deviation of a crop's grey values, of 255."""

TURN = 0.5
"""Most `turn` of a face: the nose stands before an eye."""

TEXTURE = 0.25
"""Least `texture_ratio` of a crop."""

SIDE_PX = 48
"""Side of the crops that all this was measured on. A network that is shown less cannot say what the picture is like."""

_BIT = {name: 1 << i for i, name in enumerate(FLAGS)}

_EYES = (13, 24, 9, 39)
_MOUTH = (31, 43, 12, 36)
"""y1, y2, x1, x2 of 48, in which the landmarks stand as `mien.crop.TEMPLATE` has them."""


def flags(faces: Faces, crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N,) a bit for each of `FLAGS`, from the N faces of a picture and their crops (N, S, S) or (N, S, S, 3).

    Crops of less than `SIDE_PX` a side get none of those flags that are seen in a crop.
    """
    seen = crops if crops.shape[1] >= SIDE_PX else [None] * len(faces)
    widths, turns = faces.boxes[:, 2] - faces.boxes[:, 0], turn(faces.landmarks)
    found = [
        (_BIT["small"] if width < SMALL_PX else 0)
        | (_BIT["turned"] if turned > TURN else 0)
        | (0 if crop is None else _seen(brought_down(crop)))
        for width, turned, crop in zip(widths.tolist(), turns.tolist(), seen, strict=True)
    ]
    return np.array(found, dtype=np.uint8)


def _seen(grey: NDArray[np.uint8]) -> int:
    light, contrast = (float(v[0, 0]) for v in cv2.meanStdDev(grey))
    found = _BIT["dark"] if light < LIGHT else 0
    if contrast < CONTRAST:
        return found | _BIT["flat"]  # nothing in it could be sharp
    if sharpness(grey, contrast) < SHARPNESS:
        return found | _BIT["blurred"]
    return found | _BIT["covered"] if texture_ratio(grey) < TEXTURE else found


def brought_down(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A crop as 48 × 48 grey values, which the measures here are of."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) if crop.ndim == 3 else crop
    return np.asarray(cv2.resize(grey, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def sharpness(grey: NDArray[np.uint8], contrast: float | None = None) -> float:
    """How much of a face's contrast lies in what is finer than a twentieth of it: 0 to 1, from 48 × 48 grey values;
    `contrast` is their standard deviation where that is known."""
    fine = cv2.subtract(grey, cv2.GaussianBlur(grey, (0, 0), 1.5), dtype=cv2.CV_32F)
    return _spread(fine) / max(_spread(grey) if contrast is None else contrast, 1.0)


def _spread(values: NDArray[Any]) -> float:
    """The standard deviation, in a tenth of the time that numpy takes for so few."""
    return float(cv2.meanStdDev(values)[1][0, 0])


def texture_ratio(grey: NDArray[np.uint8]) -> float:
    """Fine detail about the mouth against that about the eyes, the lesser by the greater: near 0 where one of them is covered."""
    edges = cv2.Laplacian(grey, cv2.CV_32F)
    parts: list[float] = []
    for y1, y2, x1, x2 in (_EYES, _MOUTH):
        part = edges[y1:y2, x1:x2]
        parts.append(float(cv2.norm(part, cv2.NORM_L1)) / part.size)
    return min(parts) / max(*parts, 1e-6)


def turn(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N,) how far the nose stands beside the middle of the eyes, in distances of the eyes; 0 without landmarks (N, 5, 2)."""
    points = np.asarray(landmarks, dtype=np.float64)
    left, right, nose = points[:, 0], points[:, 1], points[:, 2]
    across = right - left
    far = np.maximum((across**2).sum(axis=1), 1e-6)
    beside = np.abs(((nose - (left + right) / 2) * across).sum(axis=1) / far)
    return np.asarray(np.nan_to_num(beside, nan=0.0), dtype=np.float64)
