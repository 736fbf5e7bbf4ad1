"""Stills of the film, as small pictures within the review."""

import base64
from collections.abc import Iterator, Sequence
from contextlib import suppress
from os import PathLike
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import MediaError
from mien.media import stills_at
from mien.types import Frame

STRIP_MAX = 60
STRIP_EVERY_S = 1.5
STRIP_WIDTH, STILL_WIDTH = 160, 320
QUALITY = 78
EXACT_UNDER_S = 20.0
"""Stills of a strip that lie closer together than this are taken where they are wanted, others from the nearest key frame."""


def strip(film: str | PathLike[str] | None, duration_s: float) -> list[dict[str, Any]]:
    """At most 60 stills through the film, 160 pixels wide, each with its time; none without a film that can be read."""
    count = min(STRIP_MAX, max(1, int(duration_s / STRIP_EVERY_S)))
    step_s = duration_s / count
    found: dict[float, str] = {}
    for frame in _frames(film, [(i + 0.5) * step_s for i in range(count)], exact=step_s < EXACT_UNDER_S):
        found.setdefault(round(frame.time_s, 3), data_uri(frame.rgb, STRIP_WIDTH))
    return [{"time_s": time_s, "image": image} for time_s, image in sorted(found.items())]


def still(film: str | PathLike[str] | None, time_s: float) -> str | None:
    """The picture at `time_s` as a data URI, 320 pixels wide; None without a film or where it cannot be read."""
    return next((data_uri(frame.rgb, STILL_WIDTH) for frame in _frames(film, [time_s], exact=True)), None)


def _frames(film: str | PathLike[str] | None, times_s: Sequence[float], *, exact: bool) -> Iterator[Frame]:
    with suppress(MediaError):  # a review without pictures is still a review
        if film is not None:
            yield from stills_at(film, times_s, exact=exact)


def data_uri(rgb: NDArray[np.uint8], width: int) -> str:
    """(H, W, 3) as a JPEG of `width` pixels in a data URI."""
    height = max(1, round(rgb.shape[0] * width / rgb.shape[1]))
    small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise MediaError("a still of the film cannot be encoded; run: pip install --force-reinstall opencv-python-headless")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
