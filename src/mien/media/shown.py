"""How what is stored becomes the picture that is shown: cut, of square pixels, turned upright, alpha on white."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
Orientation = tuple[bool, bool, bool]  # swap rows and columns, then mirror left-right, then mirror top-bottom

UPRIGHT: Orientation = (False, False, False)

_QUARTERS: dict[int, Orientation] = {0: UPRIGHT, 90: (True, True, False), 180: (False, True, True), 270: (True, False, True)}


@dataclass(frozen=True, slots=True)
class Geometry:
    """From stored to shown pixels, in this order: cut to the clean aperture, made square, turned.

    width, height  of what is stored
    cut            left, top, right, bottom of what is shown of it; right and bottom exclusive
    aspect         width of a stored pixel by its height
    """

    width: int
    height: int
    cut: tuple[int, int, int, int]
    aspect: float = 1.0
    orientation: Orientation = UPRIGHT

    @property
    def stretched(self) -> tuple[int, int]:
        """(width, height) of the whole stored frame in square pixels: its height stays, as players have it."""
        return max(1, round(self.width * self.aspect)), self.height

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of what is shown."""
        left, top, right, bottom = self._window()
        return (bottom - top, right - left) if self.orientation[0] else (right - left, bottom - top)

    def _window(self) -> tuple[int, int, int, int]:
        whole = self.stretched[0]
        left, top, right, bottom = self.cut
        start = min(whole - 1, round(left * self.aspect))
        return start, top, min(whole, max(start + 1, round(right * self.aspect))), bottom

    def shown(self, rgb: Rgb) -> Rgb:
        """What is shown of a whole frame in square pixels."""
        left, top, right, bottom = self._window()
        if (right - left, bottom - top) != (rgb.shape[1], rgb.shape[0]):
            rgb = np.ascontiguousarray(rgb[top:bottom, left:right])
        return turned(rgb, self.orientation)

    def rotated(self, degrees: int) -> Self:
        """The same, turned so many degrees clockwise beyond that."""
        return replace(self, orientation=composed(self.orientation, quarter(degrees)))


def quarter(degrees: int) -> Orientation:
    """A turn clockwise. Raises `ValueError` for other than 0, 90, 180 and 270 degrees."""
    if degrees not in _QUARTERS:
        raise ValueError(f"a picture is turned by 0, 90, 180 or 270 degrees clockwise, but got {degrees}")
    return _QUARTERS[degrees]


def composed(first: Orientation, then: Orientation) -> Orientation:
    swap, left_right, top_bottom = first
    if then[0]:
        left_right, top_bottom = top_bottom, left_right
    return swap ^ then[0], left_right ^ then[1], top_bottom ^ then[2]


def turned(rgb: Rgb, orientation: Orientation) -> Rgb:
    """`rgb` the right way up, contiguous."""
    swap, left_right, top_bottom = orientation
    if orientation == UPRIGHT:
        return rgb
    import cv2  # np.ascontiguousarray of a turned view takes ten times as long

    turned = cv2.transpose(rgb) if swap else rgb
    if left_right or top_bottom:
        turned = cv2.flip(turned, -1 if left_right and top_bottom else int(left_right))
    result: Rgb = turned
    return result


def on_white(rgba: Rgb) -> Rgb:
    alpha = rgba[..., 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(rgba[..., :3])
    weight = alpha.astype(np.uint16)
    blended = rgba[..., :3] * weight + 255 * (255 - weight)
    return ((blended + 127) // 255).astype(np.uint8)


def rotated(rgb: Rgb, degrees: int) -> Rgb:
    """A picture turned so many degrees clockwise: 0, 90, 180 or 270. Raises `ValueError` for others."""
    return turned(rgb, quarter(degrees))


def rgb_of(array: NDArray[Any]) -> Rgb:
    """Any customary array of a picture as (H, W, 3) uint8 RGB.

    array  (H, W) grey, (H, W, 1) grey, (H, W, 3) RGB or (H, W, 4) RGB and alpha, which is laid on white; whole numbers from 0 to
           255, or from 0 to 65535 in 16 bits; floats from 0 to 1; True and False; of either byte order

    Raises `ValueError` for what is none of these, has no pixels, or holds NaN.
    """
    given = f"{array.dtype} {array.shape}"
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise ValueError(f"a picture must be (H, W), (H, W, 3) or (H, W, 4), but got {given}")
    if not array.size:
        raise ValueError(f"a picture must have one pixel or more, but got {given}")
    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())  # NaN goes through both
        if not (low >= 0 and high <= 1):
            raise ValueError(f"a picture of floats must hold 0 to 1, but got {low:g} to {high:g}; give uint8 for 0 to 255")
        array = np.rint(array.astype(np.float32) * 255)
    elif array.dtype.kind == "b":
        array = array * np.uint8(255)
    elif array.dtype.kind in "iu" and array.dtype != np.uint8:
        low, high = int(array.min()), int(array.max())
        if low < 0 or high > 65_535 or (high > 255 and array.dtype.itemsize != 2):
            raise ValueError(f"a picture of whole numbers must hold 0 to 255, but got {low} to {high}; convert it to uint8")
        array = array >> 8 if high > 255 else array
    elif array.dtype != np.uint8:
        raise ValueError(f"a picture must be of numbers, but got {given}")
    picture: Rgb = array.astype(np.uint8, copy=False)
    if picture.shape[2] == 1:
        return np.repeat(picture, 3, axis=2)
    return on_white(picture) if picture.shape[2] == 4 else picture


def check_rgb(rgb: Rgb, size: tuple[int, int] | None) -> None:
    fits = isinstance(rgb, np.ndarray) and rgb.dtype == np.uint8 and rgb.ndim == 3 and rgb.shape[2] == 3 and rgb.size > 0
    if not fits or (size is not None and rgb.shape[:2] != size):
        wanted = "(height, width, 3)" if size is None else f"({size[0]}, {size[1]}, 3)"
        given = f"{rgb.dtype} {rgb.shape}" if isinstance(rgb, np.ndarray) else type(rgb).__name__
        raise ValueError(f"rgb must be uint8 {wanted}, but got {given}")
