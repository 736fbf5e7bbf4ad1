"""The faces of one picture as horizontal bars, a chart below the other. Drawn without Matplotlib, whose import alone takes longer
than all else that a picture needs."""

import importlib.util
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

WIDTH = 2000
"""Pixels of every chart; its height follows from the number of faces."""

_INK, _AXIS = "#40454d", "#9aa0a8"
_LEFT, _RIGHT, _TOP = 155, 7, 55  # pixels around the charts; words that are longer make room for themselves
_TITLE, _BAR, _SCALE = 40, 34, 72  # heights of a chart's title, of a row and of the numbers below


def png(title: str, faces: Sequence[str], labels: Sequence[str], scores: NDArray[np.float32], colours: Sequence[str]) -> bytes:
    """A PNG of `WIDTH` pixels: for each of the N faces, by its name, a bar for each of K labels from 0 to 100 %.

    scores   (N, K) float32 in [0, 1]       colours  (K,) as "#rrggbb"

    Characters that the font lacks become question marks.
    """
    from PIL import Image, ImageDraw

    large, medium, small = _font(33, bold=True), _font(25), _font(24)
    left = min(WIDTH // 2, max(_LEFT, *(round(medium.getlength(label)) + 30 for label in labels)))
    full = (WIDTH - left - _RIGHT) / 1.08  # what 100 % is long
    each = _TITLE + _BAR * len(labels) + _SCALE
    picture = Image.new("RGB", (WIDTH, _TOP + each * len(faces)), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((24, 4), _drawable(title, large), "black", large)
    for n, face in enumerate(faces):
        top = _TOP + each * n
        draw.text((left, top + _TITLE / 2), _drawable(face, medium), _INK, medium, anchor="lm")
        below = top + _TITLE + _BAR * len(labels) + 6
        for k, label in enumerate(labels):
            score, y = float(scores[n, k]), top + _TITLE + _BAR * k
            draw.text((left - 20, y + _BAR / 2), _drawable(label, medium), _INK, medium, anchor="rm")
            if (length := round(score * full)) > 0:
                draw.rectangle((left, y + 5, left + length, y + _BAR - 6), colours[k])
            draw.text((left + length + 12, y + _BAR / 2), f"{score:.0%}", _INK, small, anchor="lm")
            draw.line((left - 10, y + _BAR / 2, left, y + _BAR / 2), _AXIS, 2)
        draw.line((left, top + _TITLE, left, below), _AXIS, 2)
        draw.line((left, below, WIDTH - _RIGHT, below), _AXIS, 2)
        for share, text in ((0, "0"), (0.25, "25"), (0.5, "50"), (0.75, "75"), (1, "100%")):
            x = left + round(share * full)
            draw.line((x, below, x, below + 9), _AXIS, 2)
            draw.text((x, below + 16), text, _INK, medium, anchor="mt")
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _font(size: int, *, bold: bool = False) -> "FreeTypeFont":
    """DejaVu Sans out of Matplotlib's folder, which is found without importing it."""
    from PIL import ImageFont

    found = importlib.util.find_spec("matplotlib")
    assert found is not None
    assert found.origin is not None
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / name
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def _drawable(text: str, font: "FreeTypeFont") -> str:
    if text.isascii() and text.isprintable():
        return text
    missing = bytes(font.getmask("\uffff"))
    return "".join(c if c.isprintable() and bytes(font.getmask(c)) != missing else "?" for c in text)
