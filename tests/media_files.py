"""Small pictures and films of every kind, built with PyAV and Pillow where a test needs them."""

import io
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

WIDTH, HEIGHT = 64, 48


def corners(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A picture that shows how it is turned: red top left, green top right, blue bottom left, white bottom right."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[: height // 2, : width // 2] = 255, 0, 0
    rgb[: height // 2, width // 2 :] = 0, 255, 0
    rgb[height // 2 :, : width // 2] = 0, 0, 255
    rgb[height // 2 :, width // 2 :] = 255, 255, 255
    return rgb


def corner_names(rgb: np.ndarray) -> str:
    """The colours of the corners of `corners`, as letters: top left, top right, bottom left, bottom right."""
    h, w = rgb.shape[:2]
    names = ""
    for row, column in ((h // 6, w // 6), (h // 6, w - 1 - w // 6), (h - 1 - h // 6, w // 6), (h - 1 - h // 6, w - 1 - w // 6)):
        r, g, b = (rgb[row, column] > 128).tolist()
        names += {(True, False, False): "R", (False, True, False): "G", (False, False, True): "B", (True, True, True): "W"}.get(
            (r, g, b), "?"
        )
    return names


def shade(index: int) -> int:
    """The grey of frame `index`, different enough from its neighbours to survive compression."""
    return 16 + (index * 37) % 220


def film(
    path: Path,
    *,
    times: Iterable[float] | None = None,
    pictures: Callable[[int], np.ndarray] | None = None,
    codec: str = "libx264",
    form: str | None = None,
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (WIDTH, HEIGHT),
    rate: int = 25,
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
    rotation: float | None = None,
    flip: bool = False,
    sound: str | None = None,
    sound_start_s: float = 0.0,
    sound_s: float | None = None,
    click_s: float | None = None,
    ticks: int | None = None,
    colorspace: int | None = None,
) -> Path:
    """A film whose frame i shows a plain grey `shade(i)` (or `pictures(i)`) at `times[i]` seconds; 25 frames by default.

    sound        codec of a tone beside it, from `sound_start_s` on; `click_s`: silence but for a click there instead
    ticks        time base of the stream, 1/ticks
    """
    at = list(times) if times is not None else [i / rate for i in range(25)]
    with av.open(str(path), "w", format=form, options=options or {}) as out:
        stream: Any = out.add_stream(codec, rate=rate)
        context = stream.codec_context
        context.width, context.height = size
        context.pix_fmt = pix_fmt
        context.thread_count = 1
        if ticks:
            context.time_base = stream.time_base = Fraction(1, ticks)
        context.options = codec_options or ({"preset": "ultrafast", "crf": "18"} if codec == "libx264" else {})
        if colorspace:
            context.colorspace = context.color_primaries = context.color_trc = colorspace
        if rotation is not None:
            stream.set_display_rotation(rotation, hflip=flip)
        tone: Any = out.add_stream(sound, rate=48_000) if sound else None
        if tone is not None:
            tone.codec_context.layout = "mono"
        out.start_encoding()
        if tone is not None:
            _tone(out, tone, sound_start_s, sound_s if sound_s is not None else at[-1] + 1 / rate, click_s)
        base = context.time_base
        for i, time_s in enumerate(at):
            rgb = pictures(i) if pictures else np.full((size[1], size[0], 3), shade(i), np.uint8)
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            if colorspace:
                frame = frame.reformat(format=pix_fmt, dst_colorspace=colorspace)
            frame.pts, frame.time_base = round(Fraction(time_s).limit_denominator(100_000) / base), base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def _tone(out: Any, stream: Any, start_s: float, end_s: float, click_s: float | None) -> None:
    rate = 48_000
    t = np.arange(round(start_s * rate), round(end_s * rate)) / rate
    wave = (
        0.4 * np.sin(2 * np.pi * 440 * t) if click_s is None else 0.8 * (np.abs(t - click_s) < 0.01) * np.sin(2 * np.pi * 2000 * t)
    )
    frame = av.AudioFrame.from_ndarray((wave * 32767).astype(np.int16)[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = rate, round(start_s * rate), Fraction(1, rate)
    out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def sound_only(path: Path, codec: str = "aac") -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=48_000)
        stream.codec_context.layout = "mono"
        _tone(out, stream, 0.0, 1.0, None)
    return path


def click_at(path: Path) -> float:
    """When the sound of a film is loudest, in seconds on the film's own clock of its first video frame."""
    with av.open(str(path)) as source:
        first = next(source.decode(video=0))
    with av.open(str(path)) as source:
        loudest, when = 0.0, -1.0
        for frame in source.decode(audio=0):
            wave = np.abs(frame.to_ndarray().astype(np.float64)).max(axis=0)
            if wave.max() > loudest:
                loudest = float(wave.max())
                when = float(frame.pts * frame.time_base) + float(wave.argmax()) / frame.sample_rate
    return when - float(first.pts * first.time_base)


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds one short row of it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def jpeg_with_orientation(path: Path, orientation: int, rgb: np.ndarray, form: str = "JPEG") -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(rgb).save(path, form, exif=exif, **({"quality": 95, "subsampling": 0} if form == "JPEG" else {}))
    return path


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def gif(path: Path, shades: Sequence[int], delay_ms: int = 100) -> Path:
    images = [Image.fromarray(np.full((HEIGHT, WIDTH, 3), s, np.uint8)) for s in shades]
    images[0].save(path, "GIF", save_all=True, append_images=images[1:], duration=delay_ms, loop=0)
    return path


def gamma_png(picture: Image.Image, gamma: float, *, srgb: bool = False) -> bytes:
    """A PNG that says its gamma."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    data = encoded(picture, "PNG")
    more = chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000))) + (chunk(b"sRGB", b"\0") if srgb else b"")
    return data[:33] + more + data[33:]
