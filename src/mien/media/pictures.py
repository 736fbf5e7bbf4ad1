"""Still pictures, in files and in memory, as (H, W, 3) uint8 RGB."""

import importlib
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import MediaError
from mien.media.hdr import HLG, PQ, as_on_a_screen
from mien.media.shown import UPRIGHT, Orientation, Rgb, composed, on_white, quarter, turned
from mien.media.words import STILLS, reason, said_of_turn
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


_AVIF, _HEIF = {b"avif"}, {b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2"}

# What is a picture, and not read: named, for else ffmpeg would give a part of it, or say that it is no picture.
_OTHERS = (
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"8BPS", "Photoshop"),
    (b"II\x1a\0\0\0HEAPCCDR", "raw camera"),
    (b"FUJIFILMCCD-RAW", "raw camera"),
    (b"IIRO", "raw camera"),
    (b"IIU\0", "raw camera"),
    (b"v/1\x01", "OpenEXR"),
    (b"\0\0\x01\0", "icon"),
    (b"icns", "icon"),
    (b"DDS ", "DirectDraw"),
)
_PAGES = ((b"%PDF", "PDF"), (b"%!PS", "PostScript"))
_SAVED_AS = "save it as JPEG or PNG"


def picture_reader(head: bytes, name: str) -> Any:
    """Pillow's reader for what the first bytes of a file say, or None where they are not those of a picture.

    The readers are called by name because `Image.open` warns of large pictures on its own terms, before `MAX_PICTURE_PIXELS` can
    be asked. Raises `MediaError` for a picture of a kind that is not read.
    """
    pages = next((kind for start, kind in _PAGES if head.startswith(start)), None)
    if pages is not None:
        raise MediaError(f"{name}: is a {pages} file, which is not read; save the pictures in it as JPEG or PNG")
    kind = next((kind for start, kind in _OTHERS if head.startswith(start)), None)
    if kind is not None or (head[8:11] == b"CR\x02" and head.startswith(b"II*\0")) or head[4:11] == b"ftypcrx":
        raise MediaError(f"{name}: is a picture of the kind {kind or 'raw camera'}, which is not read; {_SAVED_AS}")
    if head.startswith(b"\xff\xd8\xff"):
        plugin = "Jpeg"
    elif head.startswith(b"\x89PNG\r\n\x1a\n"):
        plugin = "Png"
    elif head.startswith((b"GIF87a", b"GIF89a")):
        plugin = "Gif"
    elif head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        plugin = "WebP"
    elif head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        plugin = "Tiff"
    elif head.startswith(b"BM"):
        plugin = "Bmp"
    elif head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():  # PGM and PPM, as older sets of faces have it
        plugin = "Ppm"
    elif head[4:8] == b"ftyp":
        # Its own kind and those that it can be read as; a moving one (avis, hevc, msf1) is a film.
        size = min(int.from_bytes(head[:4], "big"), len(head))
        own, all_ = head[8:12], {head[8:12], *(head[i : i + 4] for i in range(16, size - 3, 4))}
        if own not in _AVIF | _HEIF:
            return None
        if not all_ & _AVIF:
            return _heif(name)
        plugin = "Avif"
    else:
        return None
    module = importlib.import_module(f"PIL.{plugin}ImagePlugin")
    return getattr(module, f"{plugin}ImageFile")


def _heif(name: str) -> Any:
    try:
        return importlib.import_module("pi_heif.as_plugin").HeifImageFile
    except ImportError as error:
        raise MediaError(f"{name}: is a HEIC picture, which needs pi-heif; run: pip install pi-heif; or {_SAVED_AS}") from error


def head_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(256)


@contextmanager
def opened_picture(source: Path | bytes, plugin: Any, name: str, max_pixels: int | None) -> Iterator[Any]:
    """Pillow's picture, nothing decoded yet; its warnings are kept in. Raises `MediaError` for a damaged or too large one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            picture = plugin(io.BytesIO(source) if isinstance(source, bytes) else source)
        except Exception as error:  # readers of damaged files raise whatever their parsing met: SyntaxError, struct.error, KeyError
            raise MediaError(f"{name}: cannot be read as a picture: {reason(error)}; export it again") from error
        with picture:
            width, height = picture.size
            _check_size(width, height, name, max_pixels)
            yield picture


def _check_size(width: int, height: int, name: str, max_pixels: int | None) -> None:
    most = MAX_PICTURE_PIXELS if max_pixels is None else max_pixels
    if width * height > most:
        limit = f"{most / 1e6:g}"
        raise MediaError(f"{name}: is {width} × {height} pixels, but at most {limit} megapixels are read; make it smaller")


def moves(path: Path, plugin: Any, name: str, max_pixels: int | None) -> bool:
    """Whether a picture file is a film: a GIF, a PNG or a WebP of more than one frame."""
    if plugin.format not in ("GIF", "PNG", "WEBP"):
        return False
    with opened_picture(path, plugin, name, max_pixels) as picture:
        try:
            return bool(picture.is_animated)
        except Exception:  # damaged behind the first frame: a picture, which its reading will judge
            return False


def picture_of(source: Path | bytes, plugin: Any, name: str, max_pixels: int | None, rotate: int = 0) -> tuple[MediaInfo, Frame]:
    """A still picture as it is shown, and `rotate` degrees clockwise beyond that."""
    with opened_picture(source, plugin, name, max_pixels) as picture:
        _check_whole(picture, name)
        aspect = _aspect(source, picture)
        # Pillow turns a TIFF as it loads it: then its stored columns are rows.
        lying = picture.format == "TIFF" and exif_orientation(picture)[0]
        width, height = picture.size
        if not lying:
            _check_size(round(width * aspect), height, name, max_pixels)
        try:
            picture.load()
            transfer = _transfer(source, picture)
            if transfer is not None:
                picture.info.pop("gamma", None)  # of those who cannot show HDR
            rgb = _square_pixels(picture_rgb(picture), aspect, lying=lying)
            if transfer is not None:
                rgb = as_on_a_screen(rgb, transfer)
        except Exception as error:
            raise MediaError(f"{name}: cannot be decoded: {reason(error)}; export it again") from error
        # Asked after load(), which for TIFF turns the picture itself and forgets the tag.
        orientation = exif_orientation(picture)
    rgb = turned(rgb, composed(orientation, quarter(rotate)))
    height, width = rgb.shape[:2]
    codec = str(plugin.format).lower()
    notes = said_of_turn(rotate)
    if aspect != 1:
        notes += (f"its pixels are {aspect:.3g} times as wide as they are high, by what it says of its resolution: made square",)
    info = MediaInfo(name, "picture", width, height, None, None, 1, False, codec, rotate, notes=notes)
    return info, Frame(0, 0.0, rgb)


def exif_orientation(picture: Any) -> Orientation:
    with suppress(Exception):  # a picture whose EXIF block is damaged is shown as it lies
        return _EXIF.get(picture.getexif().get(0x0112, 1), UPRIGHT)
    return UPRIGHT


def _aspect(source: Path | bytes, picture: Any) -> float:
    """Width of a stored pixel by its height, by what a picture says of its resolution; 1 where it says nothing or what cannot be.

    A frame that was taken out of a broadcast film is stored as squeezed as the film, and says so here alone. Two numbers with no
    unit are width to height, as ffmpeg writes them; in dots per inch the denser side has the narrower pixels.
    """
    with suppress(Exception):  # whatever a strange file holds in these places: text, fractions of 0
        x, y = (float(value) for value in _aspect_told(source, picture))
        if x > 0 and y > 0 and 1 / _MOST_ASPECT <= x / y <= _MOST_ASPECT and abs(x / y - 1) > _ROUNDING:
            return x / y
    return 1.0


def _aspect_told(source: Path | bytes, picture: Any) -> tuple[Any, Any]:
    """Two numbers in proportion to a pixel's width and height."""
    info = picture.info
    if picture.format == "GIF":
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
            told = file.read(13)[12]
        return ((told + 15) / 64, 1) if told else (1, 1)
    if info.get("jfif_unit") == 0:
        return tuple(info["jfif_density"])
    if "aspect" in info:
        return tuple(info["aspect"])
    if picture.format == "TIFF":
        dense = picture.tag_v2.get(_X_RESOLUTION, 1), picture.tag_v2.get(_Y_RESOLUTION, 1)
    elif picture.format in ("JPEG", "MPO", "PNG", "BMP"):
        dense = info.get("jfif_density") or info.get("dpi", (1, 1))
    else:
        dense = 1, 1
    return dense[1], dense[0]


_X_RESOLUTION, _Y_RESOLUTION = 282, 283
_MOST_ASPECT, _ROUNDING = 4.0, 0.01


def _square_pixels(rgb: Rgb, aspect: float, *, lying: bool) -> Rgb:
    """The picture in square pixels, its stored height as it is; `lying`: its stored columns are rows."""
    if aspect == 1:
        return rgb
    import cv2

    height, width = rgb.shape[:2]
    size = (width, max(1, round(height * aspect))) if lying else (max(1, round(width * aspect)), height)
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if aspect < 1 else cv2.INTER_LINEAR), np.uint8)


def _check_whole(picture: Any, name: str) -> None:
    """A raw picture of a camera (DNG, NEF, ARW) is a TIFF whose first page is a thumbnail."""
    if picture.format == "TIFF":
        tags = getattr(picture, "tag_v2", {})
        if _DNG_VERSION in tags or int(tags.get(_SUBFILE, 0) or 0) & 1:
            raise MediaError(f"{name}: is a picture of the kind raw camera, which is not read; {_SAVED_AS}")


_DNG_VERSION, _SUBFILE = 50706, 254


def _transfer(source: Path | bytes, picture: Any) -> int | None:
    """`PQ` or `HLG` where the picture is HDR, by H.273's numbers in its container."""
    found = None
    if picture.format in ("AVIF", "PNG"):
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
            head = file.read(_HEAD)
        mark, skip = (b"colrnclx", 10) if picture.format == "AVIF" else (b"cICP", 5)
        at = head.find(mark)
        if 0 <= at <= len(head) - skip - 2:
            found = int.from_bytes(head[at + 10 : at + 12], "big") if picture.format == "AVIF" else head[at + 5]
    elif "nclx_profile" in picture.info:
        found = int(picture.info["nclx_profile"].get("transfer_characteristics", 0))
    return found if found in (PQ, HLG) else None


_HEAD = 65_536  # what describes a picture stands before its pixels


_LIVE_PICTURES = ((b"\xff\xd8\xff", "Jpeg"), (b"\x89PNG\r\n\x1a\n", "Png"), (b"RIFF", "WebP"))


def decode_picture(data: bytes, *, max_pixels: int = MAX_PICTURE_PIXELS) -> Rgb:
    """A JPEG, PNG or WebP that is in memory, such as a frame of a live view, as (H, W, 3) uint8 RGB.

    Its size is judged by what its header declares, before a pixel is decoded. Raises `MediaError` for one that is larger, damaged,
    cut off, or something else.
    """
    name = next((name for start, name in _LIVE_PICTURES if data.startswith(start)), None)
    if name is None:
        raise MediaError("the picture is none that is read here: wanted a JPEG, PNG or WebP")
    plugin = getattr(importlib.import_module(f"PIL.{name}ImagePlugin"), f"{name}ImageFile")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            picture = plugin(io.BytesIO(data))
            width, height = picture.size
            if 0 < width * height <= max_pixels:
                picture.load()
                return picture_rgb(picture)
        except Exception as error:  # as in opened_picture
            raise MediaError(f"the picture cannot be decoded: {reason(error)}; send it again") from error
    raise MediaError(
        f"the picture is {width} × {height} pixels, but at most {max_pixels / 1e6:g} megapixels are read; make it smaller"
    )


def held_picture(source: Any, *, max_pixels: int | None = None) -> Frame:
    """A picture that is in memory: bytes of a file, an open file, a picture of Pillow. Upright, as `read_picture` has it.

    Raises `MediaError` for one that is damaged, too large, or a film, and `TypeError` for something else.
    """
    name = "the picture"
    if hasattr(source, "getexif") and hasattr(source, "convert"):
        most = MAX_PICTURE_PIXELS if max_pixels is None else max_pixels
        width, height = source.size
        if not 0 < width * height <= most:
            raise MediaError(f"{name} is {width} × {height} pixels, but 1 to {most / 1e6:g} million are read")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                rgb = turned(picture_rgb(source), exif_orientation(source))
            except Exception as error:
                raise MediaError(f"{name} cannot be decoded: {reason(error)}") from error
        return Frame(0, 0.0, rgb)
    if hasattr(source, "read"):
        name = Path(str(getattr(source, "name", name))).name
        source = source.read()
    if not isinstance(source, bytes | bytearray | memoryview):
        raise TypeError(f"wanted a path, an array, a picture of Pillow, bytes or a binary file, but got {type(source).__name__}")
    data = bytes(source)
    plugin = picture_reader(data[:256], name)
    if plugin is None:
        raise MediaError(f"{name}: is no still picture that is read; give {STILLS}")
    return picture_of(data, plugin, name, max_pixels)[1]


def picture_rgb(picture: Any) -> Rgb:
    """Any of Pillow's modes as (H, W, 3) uint8 sRGB: its colour profile is applied, alpha lies on white."""
    curve = _gamma_curve(picture.info)
    if picture.mode.startswith("I;16"):
        grey = np.asarray(picture) >> 8
        return _grey(np.array(curve, np.uint8)[grey] if curve else grey)
    if picture.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(picture, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        # Neither mode says what white is: the smallest customary one that holds all the values.
        peak = float(values.max())
        # But for PGM, which says it: Pillow has stretched it to 16 bits.
        customary = (1.0, 255.0, 65535.0)[0 if picture.mode == "F" else 2 if picture.format == "PPM" else 1 :]
        white = next((w for w in customary if peak <= w), peak)
        return _grey(np.clip(np.rint(values * (255.0 / white)), 0, 255))
    see_through = picture.has_transparency_data
    profile = picture.info.get("icc_profile")
    if curve and not profile:
        # A palette and alpha are left to come: the curve is one of colours.
        picture = picture.convert("RGBA" if see_through else "RGB")
        picture = picture.point(curve * 3 + list(range(256)) * see_through)
    if profile:
        picture = _in_srgb(picture.convert("RGBA") if see_through else picture, profile)
    if see_through:
        return on_white(np.asarray(picture.convert("RGBA")))
    return np.array(picture.convert("RGB"))


_SRGB_GAMMA, _SAME_GAMMA = 1 / 2.2, 0.02


def _gamma_curve(info: dict[str, Any]) -> list[int] | None:
    """What becomes of 0 … 255 in a PNG that says another gamma than a screen's, as browsers show it; None where nothing does.

    Its primaries (cHRM) are left alone: a picture that means them carries a profile, and what they move is a tint.
    """
    gamma = info.get("gamma")
    if not gamma or "srgb" in info or abs(gamma - _SRGB_GAMMA) <= _SAME_GAMMA or not _LEAST_GAMMA <= gamma <= 1 / _LEAST_GAMMA:
        return None
    return [round(255 * float((v / 255) ** (_SRGB_GAMMA / gamma))) for v in range(256)]


_LEAST_GAMMA = 0.1


def _in_srgb(picture: Any, profile: bytes) -> Any:
    """What a screen shows of the colours that an ICC profile describes; as it lies where the profile is damaged."""
    from PIL import ImageCms

    with suppress(Exception):
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(own).lower():
            return picture
        if picture.mode in ("P", "1"):
            picture = picture.convert("RGB")
        mode = "RGBA" if picture.mode == "RGBA" else "RGB"
        return ImageCms.profileToProfile(picture, own, ImageCms.createProfile("sRGB"), outputMode=mode)
    return picture


def _grey(values: NDArray[Any]) -> Rgb:
    return np.repeat(values.astype(np.uint8)[..., None], 3, axis=2)
