"""How what is stored becomes the picture that is shown: turned upright, alpha laid on white."""

import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]


Orientation = tuple[bool, bool, bool]  # swap rows and columns, then mirror left-right, then mirror top-bottom


UPRIGHT: Orientation = (False, False, False)


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


def check_rgb(rgb: Rgb, size: tuple[int, int] | None) -> None:
    fits = isinstance(rgb, np.ndarray) and rgb.dtype == np.uint8 and rgb.ndim == 3 and rgb.shape[2] == 3 and rgb.size > 0
    if not fits or (size is not None and rgb.shape[:2] != size):
        wanted = "(height, width, 3)" if size is None else f"({size[0]}, {size[1]}, 3)"
        given = f"{rgb.dtype} {rgb.shape}" if isinstance(rgb, np.ndarray) else type(rgb).__name__
        raise ValueError(f"rgb must be uint8 {wanted}, but got {given}")
