"""A folder of everything that people send in, of some forty small files; portraits come from packages, the rest from seeds."""

import gzip
import io
import os
import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from heif_files import tiled
from media_files import encoded, film, gamma_png, gif, jpeg_with_orientation, sound_only
from mien.media import read_picture

Rgb = np.ndarray


def folder_of_everything(place: Path, portrait: Path) -> dict[str, str]:
    """Makes the files in `place`; gives back file → what becomes of it: "faces", "nobody", or else its status."""
    place.mkdir()
    face = np.asarray(Image.fromarray(read_picture(portrait).rgb).resize((256, 300)))
    return _pictures(place, face) | _films(place, face) | _others(place, face)


def _pictures(place: Path, face: Rgb) -> dict[str, str]:
    image = Image.fromarray(face)
    grey = np.asarray(image.convert("L"))
    jpeg_with_orientation(place / "phone lying.jpg", 6, np.rot90(face))
    tiled(place / "IMG_0001.HEIC", face[:256], 128)
    tiled(place / "tiles.avif", face[:256], 128, form="avif")
    (place / "scan.png").write_bytes(encoded(Image.fromarray(grey.astype(np.uint16) << 8), "PNG"))
    image.convert("CMYK").save(place / "print.jpg", quality=90)
    image.quantize(64).save(place / "palette.png", transparency=0)
    both = Image.merge("LA", (image.convert("L"), Image.new("L", image.size, 200)))
    both.save(place / "grey with alpha.png")
    (place / "linear.png").write_bytes(gamma_png(image.point(lambda v: round(255 * (v / 255) ** 2.2)), 1.0))
    image.resize((180, 300)).save(place / "out of a broadcast.jpg", dpi=(300, 427))
    image.save(place / "pages.tif", save_all=True, append_images=[Image.new("RGB", (40, 40))])
    image.save(place / "two eyes.mpo", "MPO", save_all=True, append_images=[image])
    Image.fromarray(grey.astype(np.float32) / 255).save(place / "float.tif")
    (place / "named wrong.png").write_bytes(encoded(image, "JPEG"))
    (place / "no suffix").write_bytes(encoded(image, "WEBP"))
    image.rotate(180).save(place / "upside down.jpg", quality=92)
    image.save(place / "=cmd.bmp")
    (place / "cut off.jpg").write_bytes(encoded(image, "JPEG", quality=92)[:6000])
    (place / "empty.jpg").touch()
    (place / "layers.psd").write_bytes(b"8BPS\0\1" + bytes(200))
    Image.new("RGB", (64, 64), (30, 60, 90)).save(place / "wall.gif")
    return {
        **dict.fromkeys(["phone lying.jpg", "IMG_0001.HEIC", "tiles.avif", "scan.png", "print.jpg", "palette.png"], "faces"),
        **dict.fromkeys(["grey with alpha.png", "linear.png", "out of a broadcast.jpg", "pages.tif", "two eyes.mpo"], "faces"),
        **dict.fromkeys(["float.tif", "named wrong.png", "no suffix", "upside down.jpg", "=cmd.bmp"], "faces"),
        **dict.fromkeys(["cut off.jpg", "empty.jpg"], "failed"),
        "layers.psd": "skipped",
        "wall.gif": "nobody",
    }


def _films(place: Path, face: Rgb) -> dict[str, str]:
    def still(i: int) -> Rgb:
        return np.roll(face, i, axis=1)

    shape: dict[str, Any] = {"pictures": still, "size": (256, 300), "rate": 10}
    tenths = [i / 10 for i in range(8)]
    film(place / "talk.mp4", times=tenths, sound="aac", **shape)
    film(
        place / "phone.mov",
        times=tenths,
        rotation=90,
        **(shape | {"pictures": lambda i: np.rot90(still(i), -1), "size": (300, 256)}),
    )
    film(place / "late.mkv", times=[5 + t for t in tenths], sound="aac", sound_start_s=4.2, sound_s=6.0, **shape)
    film(place / "before zero.mov", times=[t - 0.3 for t in tenths], **shape)
    film(place / "one frame.mp4", times=[0.0], **shape)
    film(place / "held.mkv", times=[0.0, 0.1, 3.1, 3.2], **shape)
    film(place / "dark.mp4", times=tenths, **(shape | {"pictures": lambda i: (still(i) * 0.25).astype(np.uint8)}))
    film(
        place / "ten bit.mkv",
        times=tenths,
        codec="libx265",
        pix_fmt="yuv420p10le",
        codec_options={"x265-params": "log-level=none"},
        **shape,
    )
    film(place / "bare.h264", times=tenths, form="h264", **shape)
    film(place / "camera.avi", times=tenths, codec="mjpeg", pix_fmt="yuvj420p", **shape)
    film(place / "no suffix either", times=tenths, codec="mpeg4", form="matroska", **shape)
    film(place / "VTS_01_1.VOB", times=tenths, codec="mpeg2video", form="vob", **(shape | {"rate": 25}))
    film(place / "00001.m2ts", times=tenths, codec="mpeg2video", form="mpegts", **(shape | {"rate": 25}))
    film(place / "raw.y4m", times=tenths, codec="rawvideo", form="yuv4mpegpipe", **shape)
    pictures = [Image.fromarray(still(3 * i)) for i in range(4)]
    more: dict[str, Any] = {"save_all": True, "append_images": pictures[1:], "duration": 300}
    for name in ("moving.gif", "moving.png", "moving.webp"):
        pictures[0].save(place / name, **more)
    _two_pictures(place / "two films.mkv", face)
    _with_cover(place / "song with cover.mp3", face)
    sound_only(place / "voice.m4a")
    data = (place / "talk.mp4").read_bytes()
    (place / "broken.mp4").write_bytes(data[: len(data) // 2])
    cut = (place / "late.mkv").read_bytes()
    (place / "stopped.mkv").write_bytes(cut[: len(cut) * 3 // 5])
    gif(place / "plain.gif", [20, 200])
    named = ["talk.mp4", "phone.mov", "late.mkv", "before zero.mov", "one frame.mp4", "held.mkv", "dark.mp4", "ten bit.mkv"]
    named += ["bare.h264", "camera.avi", "no suffix either", "VTS_01_1.VOB", "00001.m2ts", "raw.y4m", "moving.gif"]
    named += ["moving.png", "moving.webp", "two films.mkv"]
    sounds = dict.fromkeys(["song with cover.mp3", "voice.m4a"], "skipped")
    return dict.fromkeys(named, "faces") | sounds | {"broken.mp4": "failed", "stopped.mkv": "damaged", "plain.gif": "nobody"}


def _two_pictures(path: Path, face: Rgb) -> None:
    """A film with a second, smaller one beside it."""
    with av.open(str(path), "w") as out:
        streams: list[Any] = [out.add_stream("libx264", rate=10) for _ in range(2)]
        for stream, size in zip(streams, ((256, 300), (64, 48)), strict=True):
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
        for _ in range(5):
            for stream, rgb in zip(streams, (face, np.zeros((48, 64, 3), np.uint8)), strict=True):
                out.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        for stream in streams:
            out.mux(stream.encode(None))


def _with_cover(path: Path, face: Rgb) -> None:
    """A sound file that carries a portrait as its cover (an ID3v2.3 tag before the frames)."""
    cover = b"\0image/jpeg\0\3\0" + encoded(Image.fromarray(face), "JPEG")
    frame = b"APIC" + struct.pack(">IH", len(cover), 0) + cover
    size = len(frame)
    tag = b"ID3\3\0\0" + bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127]) + frame
    sound = io.BytesIO()
    with av.open(sound, "w", format="mp3") as out:
        stream: Any = out.add_stream("mp3", rate=44_100)
        stream.layout = "mono"
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 44_100), np.int16), format="s16p", layout="mono")
        tone.sample_rate = 44_100
        out.mux(stream.encode(tone))
        out.mux(stream.encode(None))
    path.write_bytes(tag + sound.getvalue())


def _others(place: Path, face: Rgb) -> dict[str, str]:
    (place / "notes.txt").write_text("Anna sat on the left.\n")
    (place / "report.pdf").write_bytes(b"%PDF-1.7\n" + bytes(100))
    (place / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>")
    (place / "pictures.zip").write_bytes(b"PK\3\4" + bytes(60))
    (place / "data.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n", mtime=0))
    (place / "page.jpg").write_text("<!doctype html><title>404 Not Found</title>")
    (place / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    os.symlink(place / "nowhere.mp4", place / "gone.mp4")
    (place / "2019").mkdir()
    Image.fromarray(face).save(place / "2019" / "talk.jpg")
    skipped = dict.fromkeys(["notes.txt", "report.pdf", "drawing.svg", "pictures.zip", "data.csv.gz"], "skipped")
    return skipped | {".DS_Store": "skipped", "gone.mp4": "skipped", "page.jpg": "failed", "2019/talk.jpg": "faces"}
