"""What becomes of one picture on its way to a network, step by step, as P1 lists it: detect, de-noise, rotate, normalise, crop."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.crop import CropSpec, alignment, crop_face
from mien.detect import Detector, YuNet
from mien.errors import DataError
from mien.media import read_picture
from mien.training.data import largest
from mien.training.pictures import row_of_pictures

SIDE = 192
"""Of the pictures on the sheet, in pixels."""

NETWORK_SIDE = 48
"""Of what P1's network is given."""


def preprocessing_steps(rgb: NDArray[np.uint8], detector: Detector) -> dict[str, NDArray[np.uint8]]:
    """Name of each step → the largest face of the picture (H, W, 3) after it, grey or RGB, `SIDE` pixels but for the last.

    Each step has all those before it; they are the ones that `CropSpec` switches on. Raises `DataError` where nobody is found.
    """
    faces = detector(rgb)
    if not len(faces):
        raise DataError("nobody was found in the picture; wanted a face to show the steps on")
    at = largest(faces)
    box, landmarks = faces.boxes[at], faces.landmarks[at]
    plain = CropSpec(size=SIDE, colour="gray", detail=0, rotate=False)
    level, upright = (alignment(box, landmarks, rotate=rotate) for rotate in (False, True))
    marked = rgb.copy()
    thick = max(1, round(float(box[2] - box[0]) / 60))
    x1, y1, x2, y2 = np.rint(box).astype(int).tolist()
    cv2.rectangle(marked, (x1, y1), (x2, y2), (255, 200, 0), thick)
    for point in landmarks[np.isfinite(landmarks).all(axis=1)]:
        cv2.circle(marked, tuple(np.rint(point).astype(int).tolist()), 2 * thick, (0, 200, 255), -1)
    quiet = dataclasses.replace(plain, denoise=True)
    even = dataclasses.replace(quiet, contrast=True, rotate=True)
    return {
        "picture": crop_face(rgb, level, dataclasses.replace(plain, colour="rgb")),
        "detected": crop_face(marked, level, dataclasses.replace(plain, colour="rgb")),
        "de-noised": crop_face(rgb, level, quiet),
        "rotated": crop_face(rgb, upright, quiet),
        "normalised": crop_face(rgb, upright, even),
        f"cropped, {NETWORK_SIDE} px": crop_face(rgb, upright, dataclasses.replace(even, size=NETWORK_SIDE)),
    }


def preprocessing_sheet(picture: Path, out: Path) -> Path:
    """The steps side by side as a PNG; gives back `out`. Raises `MediaError`, `DataError`."""
    try:
        steps = preprocessing_steps(read_picture(picture).rgb, YuNet())
    except DataError as error:
        raise DataError(f"{picture}: {error}") from error
    large = {
        name: cv2.resize(step, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST) if len(step) < SIDE else step
        for name, step in steps.items()
    }
    return row_of_pictures(large, out)
