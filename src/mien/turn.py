"""Which way is up in a picture or film that does not say: the way in which its faces are found best.

The detector finds most faces in any of the four ways, upside down too, and places eyes and mouth as if they stood upright. What
tells is how sure it is: of an upright face surer than of the same face turned, by 0.03 to 0.3 in the pictures that were tried.
One look can be wrong, so several have to agree, and of a single picture the difference has to be large.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.detect import Detector, YuNet
from mien.errors import MediaError
from mien.media import Media, open_media, rotated

_SURE = 0.93
"""A face found with this score stands upright; upside down the best had 0.90."""

_LOOKS, _FARTHEST, _EVERY_S = 5, 12, 0.5
"""So many looks with a face decide, among so many first ones, so far apart."""

_MARGIN, _MARGIN_ALONE = 0.02, 0.03
"""By how much of its own sum of scores the best way must beat the way it lies: on the mean of several looks, and of one alone."""

_AGREE = 0.75
"""Share of the looks that must agree."""


_SIDE, LARGE_SIDE = 1280, 4096
"""A larger picture is looked at in the first size first, and in the other only where nobody is seen: a look costs four searches, of
49 megapixels as much as ten seconds of a processor."""

_WHOLE = 2
"""So many of the looks at a film may be of its large pictures in the other size."""

_HELD, _HELD_BYTES = 12, 64_000_000
"""So many first frames, or fewer large ones, of what plays but once: they are kept and given on."""


def turn_of(detector: Detector, pictures: Iterable[NDArray[np.uint8]]) -> int:
    """Degrees clockwise (0, 90, 180 or 270) by which the pictures of one film, or the only one there is, have to be turned.

    0 for another detector than YuNet, whose scores these rules are made for.
    """
    if not isinstance(detector, YuNet):
        return 0
    rows: list[NDArray[np.float64]] = []
    whole = 0
    for number, rgb in enumerate(pictures):
        row = _scores(detector, _brought_down(rgb, _SIDE))
        if not row.any() and max(rgb.shape[:2]) > _SIDE and whole < _WHOLE:
            row, whole = _scores(detector, _brought_down(rgb, LARGE_SIDE)), whole + 1
        if np.isinf(row[0]):
            return 0
        if row.any():
            rows.append(row)
        if len(rows) >= _LOOKS or number + 1 >= _FARTHEST:
            break
    if not rows:
        return 0
    table = np.array(rows)
    best = int(table.mean(axis=0).argmax())
    agree = float((table.argmax(axis=1) == best).mean())
    gain = float(table[:, best].sum() - table[:, 0].sum()) / float(table[:, best].sum())
    sure = agree >= _AGREE and gain >= (_MARGIN if len(table) > 1 else _MARGIN_ALONE)
    return 90 * best if sure else 0


def _scores(detector: YuNet, rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(4,) sums of the scores of the faces that are found in each of the four ways; inf where it surely stands as it lies."""
    upright = detector(rgb).scores
    if len(upright) and float(upright.max()) >= _SURE:
        return np.array([np.inf, 0, 0, 0])
    return np.array([upright.sum(), *(detector(rotated(rgb, degrees)).scores.sum() for degrees in (90, 180, 270))], np.float64)


def _brought_down(rgb: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    scale = side / max(rgb.shape[:2])
    if scale >= 1:
        return rgb
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def _looks(media: Media) -> Iterator[NDArray[np.uint8]]:
    """Some first frames of a film. Of most the first one is enough, and the film need not be opened again for it."""
    if not media.plays_again:
        count = min(_HELD, max(1, _HELD_BYTES // (3 * media.info.width * media.info.height)))
        for frame in media.first(count)[::_APART]:
            yield frame.rgb
        return
    for frame in media.first(1):
        yield frame.rgb
    frames = media.frames(_EVERY_S)
    try:
        next(frames, None)
        for frame in frames:
            yield frame.rgb
    except MediaError:  # damage within the first seconds: its reading will say so
        return
    finally:
        frames.close()  # type: ignore[attr-defined]


_APART = 3  # frames of what plays but once: those beside each other are much the same


@contextmanager
def upright(
    source: str | os.PathLike[str] | int,
    detector: Detector,
    rotate: int | None = None,
    *,
    name: str | None = None,
    max_pixels: int | None = None,
) -> Iterator[Media]:
    """The opened media, turned so that its faces stand upright, or by `rotate` degrees clockwise where that is given.

    Of a pipe a dozen frames are looked at before they are given on. A camera, or what comes live, is taken as it is: it begins with
    whoever sets it up, near and at a slant, and a wrong turn would stay for hours. `Media.info` says by how much it was turned.
    """
    with open_media(source, name=name, max_pixels=max_pixels, rotate=rotate or 0) as media:
        degrees = 0
        if rotate is None and media.info.kind != "camera" and isinstance(detector, YuNet):
            degrees = turn_of(detector, _looks(media))
        if not media.plays_again:
            media.turn(degrees)
        if not degrees or not media.plays_again:
            yield media
            return
    with open_media(source, name=name, max_pixels=max_pixels, rotate=degrees) as media:
        yield media
