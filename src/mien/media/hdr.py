"""HDR pictures as a screen without HDR shows them: what networks and films of this package are made for."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from mien.media.shown import Rgb

PQ, HLG = 16, 18  # ITU-T H.273, transfer characteristics
_WHITE_NITS = 203.0  # ITU-R BT.2408: what a white sheet has in a HDR picture
_LEVELS = 128  # of each colour in the table of `as_on_a_screen`: nearer ones fall together by half a level of 255


def as_on_a_screen(rgb: Rgb, transfer: int) -> Rgb:
    """A HDR picture (BT.2020, `PQ` or `HLG`) as a screen without HDR shows it: sRGB, highlights rolled off."""
    half = rgb >> 1
    at = (half[..., 0].astype(np.int32) * _LEVELS + half[..., 1]) * _LEVELS + half[..., 2]
    result: Rgb = _screen_table(transfer)[at]
    return result


@cache
def _screen_table(transfer: int) -> Rgb:
    """(128³, 3) uint8."""
    level = (np.arange(_LEVELS, dtype=np.float32) * 2 + 0.5) / 255
    red, green, blue = np.meshgrid(level, level, level, indexing="ij")
    coded = np.asarray(np.stack([red, green, blue], axis=-1).reshape(-1, 3), np.float32)
    light = _pq_nits(coded) if transfer == PQ else _hlg_nits(coded)
    # BT.2087: primaries of BT.2020 to those of BT.709
    matrix = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
    linear = np.maximum(light / _WHITE_NITS @ matrix.T, 0.0)
    # By the largest of the three, so that a bright colour keeps its hue.
    peak = np.maximum(linear.max(axis=1, keepdims=True), 1e-6)
    knee = 0.8
    soft = np.where(peak <= knee, peak, knee + (1 - knee) * (1 - np.exp(-(peak - knee) / (1 - knee))))
    linear *= soft / peak
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.power(linear, 1 / 2.4) - 0.055)
    return np.asarray(np.clip(np.rint(srgb * 255), 0, 255), np.uint8)


def _pq_nits(coded: NDArray[np.float32]) -> NDArray[np.float32]:
    """SMPTE ST 2084."""
    power = np.power(coded, 1 / 78.84375)
    nits = 10_000 * np.power(np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power), 1 / 0.1593017578125)
    return np.asarray(nits, np.float32)


def _hlg_nits(coded: NDArray[np.float32]) -> NDArray[np.float32]:
    """ITU-R BT.2100 on a screen of 1,000 nits."""
    scene = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    luma = scene @ np.array([0.2627, 0.678, 0.0593], np.float32)
    return np.asarray(1000 * scene * np.power(np.maximum(luma, 1e-9), 0.2)[:, None], np.float32)
