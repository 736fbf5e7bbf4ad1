"""Where a film is cut: from one look to the next the picture is another one, and who is in it may be somebody else.

Two looks are compared by their coarse patterns of light and dark, so that more or less light is no cut. It has to be another
pattern in the whole picture, in a face's box and around it before that face is taken for another one's: where the pages of a
shared screen turn, the people beside it stay who they were. Nothing else about a face is looked at.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

WITHIN_S = 0.75
"""Looks further apart than this are not compared: in that time also one shot becomes another picture."""

_FINE, _COARSE = 128, 32
"""Cells along the longer side of what is compared around a face, and of the whole picture."""

_ALIKE = 0.5
"""Patterns that correlate by less are two pictures. Measured on films of faces, a moving car among them: within a shot at least
0.74 after 0.2 s, 0.61 after 0.5 s, 0.54 after 1 s; between shots of other places 0.50 and less, of one place 0.8 (not found)."""

_ALIKE_FACE = 0.7
"""The same within a face's box: any two faces in one place are somewhat alike."""

_CHANGE = 0.65
"""By how much the cells of two pictures differ on the mean, in standard deviations of each picture, so that it means the same in
the dark; less is somebody who moves before a plain wall. Measured at every light from 100 to 10 %, with grain and without: between
shots at least 0.71, of pairs within a shot one in a hundred above 0.5."""

_TEXTURE = 1.5
"""Standard deviation, in grey levels, of a picture that has a pattern: a black or white frame says nothing. Shots in a tenth of the
light have 3.5 and more, the grain of a black frame (9 grey levels) 0.6."""

_DIM = 20.0
"""As above, of a picture in which grain counts: there a cell is the mean of more pixels."""

_LEAST_CELLS = 3
"""Along each side of what is compared around a face; of a smaller one the whole picture decides."""

Changed = Callable[[NDArray[np.float64]], NDArray[np.bool_]]
"""Boxes (N, 4) xyxy in pixels → whether what was there before the cut is gone, (N,)."""


class Cuts:
    """Compares the looks of one film, fed in order of time. Of no use for a camera, which nobody cuts."""

    def __init__(self) -> None:
        self._before: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
        """The pattern of the look before, in fine cells, and in coarse ones at the mean and contrast that all are compared at."""
        self._time_s = 0.0

    def look(self, rgb: NDArray[np.uint8], time_s: float) -> Changed | None:
        """What tells which places show something else than at the look before; None where the film goes on.

        rgb  (H, W, 3) uint8, of one size throughout the film
        """
        now = _pattern(rgb, 2)
        whole, contrast = _standard(_cells(now, _COARSE))
        if _TEXTURE / 2 <= contrast < _DIM:
            now = _pattern(rgb, 8)
            whole, contrast = _standard(_cells(now, _COARSE))
        since, self._time_s = time_s - self._time_s, time_s
        if contrast < _TEXTURE:
            return None  # a flash or a fade: the next picture is compared with the one before it
        last, self._before = self._before, (now, whole)
        if last is None or since > WITHIN_S or last[0].shape != now.shape:
            return None
        before, was = last
        if cv2.norm(whole, was, cv2.NORM_L1) / whole.size < _CHANGE or _correlation(whole, was) >= _ALIKE:
            return None
        return _Cut(before, now, now.shape[1] / rgb.shape[1])

    @property
    def knows(self) -> bool:
        """Whether there is a picture that the next look can be compared with."""
        return self._before is not None


@dataclass(frozen=True, slots=True)
class _Cut:
    """The patterns before and after, in cells, of which there are `scale` to a pixel. It can travel to another process."""

    before: NDArray[np.float32]
    now: NDArray[np.float32]
    scale: float

    def __call__(self, boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.array([_is_another(self.before, self.now, box * self.scale) for box in boxes], bool)


def _standard(cells: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """The same pattern at the mean and contrast that all are compared at, and the contrast that it had; it may have none."""
    mean, deviation = cv2.meanStdDev(cells)  # a tenth of what numpy takes for as few
    contrast = float(deviation[0, 0])
    return (cells - np.float32(mean[0, 0])) / np.float32(max(contrast, 1e-6)), contrast


def _pattern(rgb: NDArray[np.uint8], pixels: int) -> NDArray[np.float32]:
    """The green of the picture, about as light as it looks, in cells: each the mean of so many by so many pixels, or more."""
    # Leaving pixels out first costs a part of averaging all of them.
    step = max(1, max(rgb.shape[:2]) // (pixels * _FINE))
    return _cells(np.ascontiguousarray(rgb[::step, ::step, 1]), _FINE)


def _cells(plane: NDArray[np.uint8] | NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """Means of so many cells along the longer side; a smaller plane stays as it is."""
    height, width = plane.shape
    shrink = min(1.0, most / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def _is_another(before: NDArray[np.float32], now: NDArray[np.float32], box: NDArray[np.float64]) -> bool:
    """Whether the pattern is another one in the box, in cells, and with as much again around it.

    In both: a camera that follows a face has another ground behind it at each look, and the same face.
    """
    x1, y1, x2, y2 = box
    for share, alike in ((0.0, _ALIKE_FACE), (0.5, _ALIKE)):
        aside, above = share * (x2 - x1), share * (y2 - y1)
        rows = slice(max(0, int(y1 - above)), max(0, int(np.ceil(y2 + above))))
        columns = slice(max(0, int(x1 - aside)), max(0, int(np.ceil(x2 + aside))))
        one, other = before[rows, columns], now[rows, columns]
        if min(one.shape) >= _LEAST_CELLS and _correlation(one, other) >= alike:
            return False
    return True


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Pearson's r of two patterns of one shape, from -1 to 1; 0 where one of them is plain."""
    a, b = one - one.mean(), other - other.mean()
    spread = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / spread if spread > 0 else 0.0
