"""Which way is up in a picture or film that does not say: the way in which its faces are found best.

The detector finds most faces in any of the four ways, upside down too, and places eyes and mouth as if they stood upright. What
tells is how sure it is: of an upright face surer than of the same face turned, by 0.03 to 0.3 in the pictures that were tried.
One look can be wrong, so several have to agree, and of a single picture the difference has to be large.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

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


def turn_of(detector: Detector, pictures: Iterable[NDArray[np.uint8]]) -> int:
    """Degrees clockwise (0, 90, 180 or 270) by which the pictures of one film, or the only one there is, have to be turned.

    0 for another detector than YuNet, whose scores these rules are made for.
    """
    if not isinstance(detector, YuNet):
        return 0
    sums: list[list[float]] = []
    for number, rgb in enumerate(pictures):
        upright = detector(rgb).scores
        if len(upright) and float(upright.max()) >= _SURE:
            return 0
        row = [float(upright.sum()), *(float(detector(rotated(rgb, degrees)).scores.sum()) for degrees in (90, 180, 270))]
        if max(row) > 0:
            sums.append(row)
        if len(sums) >= _LOOKS or number + 1 >= _FARTHEST:
            break
    if not sums:
        return 0
    table = np.array(sums)
    best = int(table.mean(axis=0).argmax())
    agree = float((table.argmax(axis=1) == best).mean())
    gain = float(table[:, best].sum() - table[:, 0].sum()) / float(table[:, best].sum())
    sure = agree >= _AGREE and gain >= (_MARGIN if len(table) > 1 else _MARGIN_ALONE)
    return 90 * best if sure else 0


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

    What plays but once, a camera or a pipe, is not looked at first. `Media.info` says by how much it was turned.
    """
    with open_media(source, name=name, max_pixels=max_pixels, rotate=rotate or 0) as media:
        degrees = 0
        if rotate is None and media.plays_again and isinstance(detector, YuNet):
            frames = media.frames(_EVERY_S)
            try:
                degrees = turn_of(detector, (frame.rgb for frame in frames))
            except MediaError:  # damage within the first seconds: its reading will say so
                degrees = 0
            finally:
                frames.close()  # type: ignore[attr-defined]
        if not degrees:
            yield media
            return
    with open_media(source, name=name, max_pixels=max_pixels, rotate=degrees) as media:
        yield media
