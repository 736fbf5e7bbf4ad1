"""Still pictures, in files and in memory, as (H, W, 3) uint8 RGB."""

import importlib
import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import MediaError
from mien.media.shown import UPRIGHT, Orientation, Rgb, on_white, turned
from mien.media.words import reason
from mien.types import Frame, MediaInfo

MAX_PICTURE_PIXELS = 100_000_000
"""A picture that declares more is refused before a pixel of it is decoded."""


# EXIF 2.32, tag 0x0112: what has to be done to the stored picture to see it upright.
_EXIF: dict[int, Orientation] = {
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}


def picture_plugin(path: Path) -> Any:
    """Pillow's reader for what the first bytes say, or None where they are not those of a picture.

    The readers are called by name because `Image.open` warns of large pictures on its own terms, before `MAX_PICTURE_PIXELS` can
    be asked.
    """
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(b"\xff\xd8\xff"):
        name = "Jpeg"
    elif head.startswith(b"\x89PNG\r\n\x1a\n"):
        name = "Png"
    elif head.startswith((b"GIF87a", b"GIF89a")):
        name = "Gif"
    elif head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        name = "WebP"
    elif head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        name = "Tiff"
    elif head.startswith(b"BM"):
        name = "Bmp"
    elif head[4:12] == b"ftypavif":
        name = "Avif"
    else:
        return None
    module = importlib.import_module(f"PIL.{name}ImagePlugin")
    return getattr(module, f"{name}ImageFile")


def _opened_picture(path: Path, plugin: Any, name: str, max_pixels: int | None) -> Any:
    try:
        picture = plugin(path)
    except Exception as error:  # readers of damaged files raise whatever their parsing met: SyntaxError, struct.error, KeyError
        raise MediaError(f"{name}: cannot be read as a picture: {reason(error)}; export it again") from error
    width, height = picture.size
    most = MAX_PICTURE_PIXELS if max_pixels is None else min(max_pixels, MAX_PICTURE_PIXELS)
    if width * height > most:
        picture.close()
        limit = f"{most / 1e6:g}"
        raise MediaError(f"{name}: is {width} × {height} pixels, but at most {limit} megapixels are read; make it smaller")
    return picture


def moves(path: Path, plugin: Any, name: str, max_pixels: int | None) -> bool:
    """Whether a picture file is a film: a GIF or a PNG of more than one frame."""
    if plugin.format not in ("GIF", "PNG"):
        return False
    with _opened_picture(path, plugin, name, max_pixels) as picture:
        try:
            return bool(picture.is_animated)
        except Exception:  # damaged behind the first frame: a picture, which its reading will judge
            return False


def picture_of(path: Path, plugin: Any, name: str, max_pixels: int | None) -> tuple[MediaInfo, Frame]:
    with _opened_picture(path, plugin, name, max_pixels) as picture:
        try:
            picture.load()
            rgb = _picture_rgb(picture)
        except Exception as error:
            raise MediaError(f"{name}: cannot be decoded: {reason(error)}; export it again") from error
        orientation = UPRIGHT
        with suppress(Exception):  # a picture whose EXIF block is damaged is shown as it lies
            # Asked after load(), which for TIFF turns the picture itself and forgets the tag.
            orientation = _EXIF.get(picture.getexif().get(0x0112, 1), UPRIGHT)
    rgb = turned(rgb, orientation)
    height, width = rgb.shape[:2]
    codec = str(plugin.format).lower()
    return MediaInfo(name, "picture", width, height, None, None, 1, False, codec), Frame(0, 0.0, rgb)


_LIVE_PICTURES = ((b"\xff\xd8\xff", "Jpeg"), (b"\x89PNG\r\n\x1a\n", "Png"), (b"RIFF", "WebP"))


def decode_picture(data: bytes, *, max_pixels: int = MAX_PICTURE_PIXELS) -> Rgb:
    """A JPEG, PNG or WebP that is in memory, such as a frame of a live view, as (H, W, 3) uint8 RGB.

    Its size is judged by what its header declares, before a pixel is decoded. Raises `MediaError` for one that is larger, damaged,
    cut off, or something else.
    """
    name = next((name for start, name in _LIVE_PICTURES if data.startswith(start)), None)
    if name is None:
        raise MediaError("the picture is none that is read here: wanted a JPEG, PNG or WebP")
    try:
        picture = getattr(importlib.import_module(f"PIL.{name}ImagePlugin"), f"{name}ImageFile")(io.BytesIO(data))
        width, height = picture.size
        if 0 < width * height <= max_pixels:
            picture.load()
            return _picture_rgb(picture)
    except Exception as error:  # as in _opened_picture
        raise MediaError(f"the picture cannot be decoded: {reason(error)}; send it again") from error
    raise MediaError(
        f"the picture is {width} × {height} pixels, but at most {max_pixels / 1e6:g} megapixels are read; make it smaller"
    )


def _picture_rgb(picture: Any) -> Rgb:
    """Any of Pillow's modes as (H, W, 3) uint8."""
    if picture.mode.startswith("I;16"):
        return _grey(np.asarray(picture) >> 8)
    if picture.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(picture, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        # Neither mode says what white is: the smallest customary one that holds all the values.
        peak = float(values.max())
        customary = (1.0, 255.0, 65535.0) if picture.mode == "F" else (255.0, 65535.0)
        white = next((w for w in customary if peak <= w), peak)
        return _grey(np.clip(np.rint(values * (255.0 / white)), 0, 255))
    if picture.has_transparency_data:
        return on_white(np.asarray(picture.convert("RGBA")))
    return np.array(picture.convert("RGB"))


def _grey(values: NDArray[Any]) -> Rgb:
    return np.repeat(values.astype(np.uint8)[..., None], 3, axis=2)
