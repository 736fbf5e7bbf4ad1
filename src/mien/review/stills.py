"""Stills of the film, as small pictures within the review."""

import base64
from os import PathLike
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

STRIP_MAX = 60
STRIP_EVERY_S = 1.5
STRIP_WIDTH, STILL_WIDTH = 160, 320
QUALITY = 78


def strip(film: str | PathLike[str] | None, duration_s: float) -> list[dict[str, Any]]:
    """At most 60 stills through the film; none without a film."""
    return []


def still(film: str | PathLike[str] | None, time_s: float) -> str | None:
    """The picture at `time_s` as a data URI; None without a film."""
    return None


def data_uri(rgb: NDArray[np.uint8], width: int) -> str:
    """(H, W, 3) as a JPEG of `width` pixels in a data URI."""
    height = max(1, round(rgb.shape[0] * width / rgb.shape[1]))
    small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert done
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
