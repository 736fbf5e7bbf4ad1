"""Some 400 files that somebody means harm with, or that a broken disk leaves: cut off, damaged, too large, lying about themselves.

All of it is made by `corpus` from a seed, from a portrait and a film that packages carry. A file stands for a way to do harm;
what it is called says which.
"""

import contextlib
import csv
import hashlib
import io
import json
import os
import random
import sqlite3
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from media_files import encoded, film, png_header, sound_only
from mien.demo import PORTRAITS, TALKER, installed_file
from mien.media import open_media, read_picture
from mien.models import find_model

SEED = 18
PICTURES = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "MPO", "JPEG2000", "TGA", "ICO")
FILMS = {
    "mp4": {},
    "mov": {"form": "mov"},
    "mkv": {},
    "avi": {"codec": "mpeg4"},
    "ts": {"form": "mpegts"},
    "webm": {"codec": "libvpx", "codec_options": {"deadline": "realtime", "cpu-used": "8"}},
    "flv": {},
}


@dataclass(frozen=True, slots=True)
class Hostile:
    """One input.

    kind  "picture", "film", "other" (of what is sent as a medium), "table", "bundle", "zip", "recipe", "study", "result", "log",
          "database"
    name  what is wrong with it
    path  the file, or the folder that holds it
    """

    kind: str
    name: str
    path: Path


def corpus(folder: Path, address: str = "http://127.0.0.1:9/asked", marker: Path = Path("/etc/passwd")) -> list[Hostile]:
    """Makes all of it in `folder`, which is made.

    address  what some inputs ask to be fetched      marker  the file that some ask to be read
    """
    folder.mkdir(parents=True)
    rng = random.Random(SEED)
    made: list[Hostile] = []
    for kind, maker in MAKERS.items():
        place = folder / kind
        place.mkdir()
        for number, (name, content) in enumerate(maker(rng, address, marker)):
            suffix = name.rpartition(".")[2] if kind in ("picture", "film", "other") and "." in name else ""
            path = place / (f"{number:03}.{suffix}" if suffix else f"{number:03}{SUFFIXES.get(kind, '')}")
            if isinstance(content, bytes):
                path.write_bytes(content)
            elif isinstance(content, dict):
                path.mkdir()
                for inner, data in content.items():
                    (path / inner).parent.mkdir(parents=True, exist_ok=True)
                    if isinstance(data, Path):
                        (path / inner).symlink_to(data)
                    else:
                        (path / inner).write_bytes(data)
            else:
                content(path)
            made.append(Hostile(kind, name, path))
    return made


SUFFIXES = {"table": "", "zip": ".zip", "recipe": ".toml", "study": ".json", "log": ".log", "database": ".sqlite3"}

Content = bytes | dict[str, bytes | Path] | Callable[[Path], Any]
"""A file's bytes, a folder's files, of which a path is linked to, or what makes it at a path."""

Made = Iterator[tuple[str, Content]]


# --- what can be done to any file


def damaged(rng: random.Random, data: bytes) -> Iterator[tuple[str, bytes]]:
    """A file cut off, with zeros, turned bits and noise in it, doubled, and with something behind it."""
    n = len(data)
    yield "cut in its head", data[: rng.randrange(5, min(60, n))]
    yield "cut in the middle", data[: rng.randrange(n // 4, 3 * n // 4)]
    yield "cut before its end", data[: n - rng.randrange(1, min(40, n // 2))]
    at = rng.randrange(n // 4, 3 * n // 4)
    yield "zeros in the middle", data[:at] + bytes(min(400, n - at)) + data[at + 400 :]
    for place, (low, high) in {"head": (4, min(120, n)), "body": (min(120, n // 2), n)}.items():
        flipped = bytearray(data)
        for _ in range(24):
            flipped[rng.randrange(low, high)] ^= 1 << rng.randrange(8)
        yield f"turned bits in its {place}", bytes(flipped)
    most = bytearray(data)
    for offset in range(8, min(64, n - 4), 12):
        most[offset : offset + 4] = b"\xff\xff\xff\x7f"
    yield "lengths of two thousand million", bytes(most)
    yield "its own tail first", data[n // 2 :] + data[: n // 2]


def _portrait(side: int = 96) -> Image.Image:
    path = installed_file(*PORTRAITS[0])
    assert path is not None
    return Image.fromarray(read_picture(path).rgb).resize((side, side * 600 // 512))


def _talker(frames: int = 12) -> list[np.ndarray]:
    path = installed_file(*TALKER)
    assert path is not None
    with open_media(path) as opened:
        return [frame.rgb[:144, :192] for _, frame in zip(range(frames), opened.frames(), strict=False)]


# --- pictures


def pictures(rng: random.Random, address: str, marker: Path) -> Made:
    image = _portrait()
    for form in PICTURES:
        more = {"append_images": [image], "save_all": True} if form in ("GIF", "MPO") else {}
        sized = image.resize((64, 64)) if form == "ICO" else image
        data, suffix = encoded(sized, form, **more), {"JPEG": "jpg", "JPEG2000": "jp2"}.get(form, form.lower())
        for what, bad in damaged(rng, data):
            if form in ("JPEG", "PNG", "GIF", "WEBP", "TIFF") or what in ("cut in the middle", "turned bits in its head"):
                yield f"{form}, {what}.{suffix}", bad
    yield "a whole one, under another's name.mp4", encoded(image, "JPEG")
    yield "empty.jpg", b""
    yield "one byte.jpg", b"\xff"
    for width, height in ((2**31 - 1, 2**31 - 1), (60_000, 60_000), (0, 0), (1, 2**30), (20_000, 20_000)):
        yield f"a header that says {width} × {height}.png", png_header(width, height)
    yield "a bomb of 400 megapixels.png", encoded(Image.new("1", (20_000, 20_000)), "PNG")
    yield "a bomb of 49 megapixels.png", encoded(Image.new("L", (7000, 7000)), "PNG")
    yield "a line of 50,000 pixels.png", encoded(Image.new("L", (50_000, 1)), "PNG")
    jpeg = encoded(image, "JPEG")
    at = jpeg.index(b"\xff\xc0") + 5
    yield "a header that says 65,535 × 65,535.jpg", jpeg[:at] + b"\xff\xff\xff\xff" + jpeg[at + 4 :]
    yield "a thousand scans.jpg", _scans(encoded(image, "JPEG", progressive=True), 1000)
    yield (
        "EXIF that points beyond its end.jpg",
        _exif(jpeg, b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"),
    )
    yield "EXIF that points to itself.jpg", _exif(jpeg, b"II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0")
    yield "a profile of colours that is none.jpg", encoded(image, "JPEG", icc_profile=bytes(rng.randbytes(600)))
    yield "a profile of colours of a megabyte.png", encoded(image, "PNG", icc_profile=bytes(1 << 20))
    yield "a text of 20 megabytes, packed.png", _with_text(encoded(image, "PNG"), bytes(20 << 20))
    yield "a TIFF whose next page is itself.tif", struct.pack("<2sHIHI", b"II", 42, 8, 0, 8) + bytes(30)
    yield "a TIFF of a million tags.tif", struct.pack("<2sHIH", b"II", 42, 8, 65535) + bytes(100)
    yield (
        "frames without end.gif",
        encoded(image.quantize(4), "GIF")[:-1] + (b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0" * 5000) + b"\x3b",
    )
    yield (
        "a screen of 65,535 × 65,535.gif",
        b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b"\x2c\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;",
    )
    yield (
        "a drawing that asks for an address.svg",
        (
            f'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "file://{marker}">]><svg xmlns="http://www.w3.org/2000/svg" '
            f'xmlns:xlink="http://www.w3.org/1999/xlink"><image xlink:href="{address}"/><text>&x;</text></svg>'
        ).encode(),
    )
    yield (
        "PostScript that reads a file.eps",
        f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n({marker}) (r) file 99 string readstring\n".encode(),
    )
    yield "a program behind a picture.jpg", jpeg + b"\x7fELF" + rng.randbytes(4000)


def _scans(progressive: bytes, count: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    at = progressive.rindex(b"\xff\xda")
    return progressive[:at] + progressive[at:-2] * count + progressive[-2:]


def _exif(jpeg: bytes, tiff: bytes) -> bytes:
    block = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


def _with_text(png: bytes, text: bytes) -> bytes:
    body = b"Comment\0\0" + zlib.compress(text)
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    return png[:33] + chunk + png[33:]


# --- films


def films(rng: random.Random, address: str, marker: Path) -> Made:
    frames = _talker()
    height, width = frames[0].shape[:2]
    with tempfile.TemporaryDirectory() as scratch:

        def of(suffix: str, **how: Any) -> bytes:
            given = {"times": [i / 25 for i in range(len(frames))], "pictures": lambda i: frames[i], "size": (width, height)} | how
            return film(Path(scratch) / f"a.{suffix}", **given).read_bytes()

        whole = {suffix: of(suffix, **how) for suffix, how in FILMS.items()}
        loud = of("mp4", sound="aac")
        silent = sound_only(Path(scratch) / "a.m4a").read_bytes()
        huge = of("mp4", times=[0, 0.04], pictures=lambda i: np.zeros((4096, 4096, 3), np.uint8), size=(4096, 4096))
        long = of("mkv", times=[i / 25 for i in range(3000)], pictures=lambda i: np.zeros((16, 16, 3), np.uint8), size=(16, 16))
        future = of("mkv", times=[0, 0.04, 4e6])
    for suffix, data in whole.items():
        for what, bad in damaged(rng, data):
            if suffix in ("mp4", "mkv", "avi") or what in (
                "cut in the middle",
                "turned bits in its head",
                "turned bits in its body",
            ):
                yield f"{what}.{suffix}", bad
    mp4 = whole["mp4"]
    for box, what in ((b"stts", "frames"), (b"stsz", "sizes"), (b"stco", "places"), (b"stsc", "groups")):
        at = mp4.index(box) + (12 if box == b"stsz" else 8)
        yield f"two thousand million {what}.mp4", mp4[:at] + b"\x7f\xff\xff\xff" + mp4[at + 4 :]
    at = mp4.index(b"tkhd") + 4 + 76
    yield "a display of 65,535 pixels.mp4", mp4[:at] + b"\xff\xff\0\0\xff\xff\0\0" + mp4[at + 8 :]
    yield "a turn that is none.mp4", mp4[: at - 36] + rng.randbytes(36) + mp4[at:]
    at = mp4.index(b"mdhd") + 4 + 12
    yield "a clock of 0 ticks.mp4", mp4[:at] + bytes(4) + mp4[at + 4 :]
    yield "a clock of one tick in 136 years.mp4", mp4[:at] + b"\0\0\0\x01\xff\xff\xff\xff" + mp4[at + 8 :]
    yield "boxes in boxes, 2,000 deep.mp4", mp4[:32] + b"".join(struct.pack(">I4s", 8 * (2000 - i), b"moov") for i in range(2000))
    yield "no moov.mp4", mp4.replace(b"moov", b"free")
    yield "no frames.mp4", mp4.replace(b"mdat", b"free").replace(b"avc1", b"xxxx")
    yield "sound that is damaged.mp4", bytes(b ^ (rng.random() < 0.01) for b in loud)
    yield "sound alone.m4a", silent
    yield "sound alone, called a film.mp4", silent
    yield "frames of 16 megapixels.mp4", huge
    yield "3,000 frames.mkv", long
    yield "a frame after 46 days.mkv", future
    yield "a film twice.mp4", mp4 * 2
    for rate, size in (("1:0", "64"), ("25:1", "-5"), ("25:1", "99999999")):
        head = f"YUV4MPEG2 W{size} H{size} F{rate} Ip A1:1 C420\n".encode()
        yield f"a side of {size} and {rate} frames a second.y4m", head + b"FRAME\n" + bytes(6144)
    yield (
        "a list of parts.m3u8",
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{address}\n#EXTINF:9,\nfile://{marker}\n#EXT-X-ENDLIST\n".encode(),
    )
    yield "a list of parts, called a film.mp4", f"#EXTM3U\n#EXTINF:9,\n{address}\n#EXT-X-ENDLIST\n".encode()
    yield "a list of files.ffconcat", f"ffconcat version 1.0\nfile '{marker}'\nfile '{address}'\n".encode()
    yield "a list of files, called a film.mkv", f"ffconcat version 1.0\nfile '{marker}'\n".encode()
    yield (
        "a session that listens.sdp",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    )
    yield (
        "a manifest of addresses.mpd",
        (
            f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT9S"><Period><AdaptationSet '
            f'mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>{address}</BaseURL>'
            "</Representation></AdaptationSet></Period></MPD>"
        ).encode(),
    )
    yield "an address as a playlist.asx", f'<asx version="3.0"><entry><ref href="{address}"/></entry></asx>'.encode()
    yield "an address as a shortcut.url", f"[InternetShortcut]\nURL={address}\n".encode()


def others(rng: random.Random, address: str, marker: Path) -> Made:
    jpeg = encoded(_portrait(), "JPEG")
    for suffix in ("jpg", "mp4", "png", "mkv"):
        yield f"noise.{suffix}", rng.randbytes(20_000)
        yield f"zeros.{suffix}", bytes(100_000)
    yield "words.txt", b"hello\n" * 500
    yield "a page.html", f'<script src="{address}"></script>'.encode()
    yield (
        "a document.pdf",
        b"%PDF-1.7\n1 0 obj<</Type/Catalog/OpenAction<</S/URI/URI(" + address.encode() + b")>>>>endobj\ntrailer<</Root 1 0 R>>",
    )
    yield "a zip.jpg", _zip({"a.jpg": jpeg})
    yield "a zip in a zip.zip", _zip({"inner.zip": _zip({"big": bytes(5 << 20)})})
    yield "a gzip of zeros.gz", zlib.compress(bytes(50 << 20), 9)
    yield "a program.exe", b"MZ" + rng.randbytes(3000)
    yield (
        "frames of numbers.npy",
        b"\x93NUMPY\x01\x00v\0{'descr': '|O', 'fortran_order': False, 'shape': (9,)}".ljust(128) + b"cos\nsystem\n(S'touch x'\ntR.",
    )
    yield "a link that leads out.jpg", lambda path: path.symlink_to("/etc/passwd")
    yield "a link to itself.jpg", lambda path: path.symlink_to(path)
    yield "a link to nothing.jpg", lambda path: path.symlink_to(path.with_name("nowhere"))
    yield "a link to zeros without end.png", lambda path: path.symlink_to("/dev/zero")
    yield "a folder.jpg", lambda path: path.mkdir()
    yield "a folder of 30 folders.mp4", lambda path: path.joinpath(*"x" * 30).mkdir(parents=True)


# --- what is no medium


def _zip(members: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return held.getvalue()


def zips(rng: random.Random, address: str, marker: Path) -> Made:
    members = {"model.json": b'{"format": 1}', "CARD.md": b"# A card\n" * 200, "model.onnx": rng.randbytes(3000)}
    data = _zip(members)
    yield from damaged(rng, data)
    yield "names that lead out", _zip(members | {"../../../escaped": b"x", "/escaped": b"x", "a/../../escaped": b"x"})
    yield "a packed part that is damaged", data[:60] + rng.randbytes(40) + data[100:]
    yield "two model.json", _zip({"a/model.json": b"{}", "b/model.json": b"{}"})
    yield "model.json is a folder", _zip({"model.json/x": b"{}"})
    yield "a name of 70,000 letters", _zip({"x" * 60_000 + "/model.json": b"{}"})
    yield "a name and a folder of that name", _zip({"a": b"x", "a/model.json": b"{}"})
    yield "a bomb of 300 megabytes", _zip({"model.json": b"{}", "zeros": bytes(300 << 20)})
    yield "no member", _zip({})
    yield "a name with NUL", _zip({"model.json": b"{}"}).replace(b"model.json", b"mod\0l.json")
    lying = _zip({"model.json": b"{}" + bytes(4 << 20)})
    at = lying.rindex(b"PK\x01\x02") + 24
    yield "a size that lies", lying[:at] + struct.pack("<I", 20) + lying[at + 4 :]
    protected = bytearray(_zip(members))
    for sign, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = protected.index(sign) + place
        protected[at] |= 1
    yield "a password", bytes(protected)
    for how, what in ((zipfile.ZIP_LZMA, "LZMA"), (zipfile.ZIP_BZIP2, "bzip2")):
        packed = bytearray(_zip(members, how))
        for at in range(60, 110):
            packed[at] ^= rng.randrange(256)
        yield f"{what} that is damaged", bytes(packed)


def _json_harm(good: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """JSON that is none, or whose values are of other kinds than is wanted."""
    text = json.dumps(good)
    yield "no JSON", b"{"
    yield "not UTF-8", text.encode("utf-16")
    yield "a mark before it", b"\xef\xbb\xbf" + text.encode()
    yield "100,000 brackets", b"[" * 100_000
    yield "a list", b"[]"
    yield "a number", b"7"
    yield "null", b"null"
    yield "a number of 5,000 digits", b'{"format": ' + b"9" * 5000 + b"}"
    yield "NaN", json.dumps(good | {"every_s": float("nan"), "version": float("inf")}).encode()
    yield "half a letter", json.dumps(good | {"title": "\ud83d", "name": "\ud83d"}).encode()
    yield "twice the same name", (text[:-1] + ', "format": 1, "format": 2}').encode()
    yield "a field that nobody knows", json.dumps(good | {"__proto__": {}, "": 1}).encode()
    wrong: tuple[Any, ...] = (None, -1, 1e308, "x", [], {}, True, [[[]]], {"a": {"a": None}})
    for number, name in enumerate(good):
        yield f"{name} is of another kind", json.dumps(good | {name: wrong[number % len(wrong)]}).encode()


def bundles(rng: random.Random, address: str, marker: Path) -> Made:
    good: dict[str, bytes | Path] = {path.name: path.resolve() for path in find_model("default").iterdir()}
    spec = json.loads((find_model("default") / "model.json").read_text(encoding="utf-8"))
    for what, data in _json_harm(spec):
        yield what, good | {"model.json": data}
    yield "no network", {name: data for name, data in good.items() if name != "model.onnx"}
    yield "no card", {name: data for name, data in good.items() if name != "CARD.md"}
    yield "a card that is no text", good | {"CARD.md": rng.randbytes(500)}
    for what, network in (
        ("noise", rng.randbytes(9000)),
        ("empty", b""),
        ("cut", (find_model("default") / "model.onnx").read_bytes()[:1_000_000]),
    ):
        signed = json.dumps(spec | {"sha256": hashlib.sha256(network).hexdigest()}).encode()
        yield f"a network that is {what}, and signed", good | {"model.onnx": network, "model.json": signed}
    yield (
        "a network outside",
        good | {"model.json": json.dumps(spec | {"file": str(marker), "onnx": "../../../etc/passwd"}).encode()},
    )
    yield "a crop of a million pixels", good | {"model.json": json.dumps(spec | {"crop": spec["crop"] | {"size": 10**6}}).encode()}
    yield (
        "heads of no labels",
        good | {"model.json": json.dumps(spec | {"heads": [h | {"labels": []} for h in spec["heads"]]}).encode()},
    )


def tables(rng: random.Random, address: str, marker: Path) -> Made:
    """Folders with a table of labelled pictures as FER2013 has it."""
    head = "emotion,pixels,Usage\n"

    def row(label: int | str = 3, pixels: str = "", use: str = "Training") -> str:
        return f"{label},{pixels or ' '.join(map(str, rng.choices(range(256), k=2304)))},{use}\n"

    good = head + "".join(row(i % 7, use=("Training", "PublicTest", "PrivateTest")[i % 3]) for i in range(12))
    texts: dict[str, bytes] = {
        "empty": b"",
        "a head alone": head.encode(),
        "noise": rng.randbytes(5000),
        "NUL in it": good.replace("Training", "Train\0ing").encode(),
        "not UTF-8": good.encode("utf-16"),
        "cut in a row": good.encode()[: len(good) // 2],
        "a label of 99": (good + row(99)).encode(),
        "a label that is none": (good + row("happy")).encode(),
        "pixels that are words": (good + row(3, "a b c")).encode(),
        "a pixel of 999": (good + row(3, " ".join(["999"] * 2304))).encode(),
        "a pixel of 10**30": (good + row(3, " ".join(["1" + "0" * 30] * 2304))).encode(),
        "a pixel too few": (good + row(3, " ".join(["9"] * 2303))).encode(),
        "a use that nobody knows": (good + row(use="Ünknown")).encode(),
        "a formula": (good + row(use="=cmd|'/C calc'!A0")).encode(),
        "a quotation that never ends": (good + '3,"' + "1 " * 200_000).encode(),
        "a cell of a megabyte": (good + row(3, "7 " * 500_000)).encode(),
        "columns in another order": good.replace(head, "Usage,emotion,pixels\n").encode(),
        "twice the same column": good.replace(head, "emotion,emotion,Usage\n").encode(),
        "100,000 columns": ("a," * 100_000 + "\n").encode(),
        "a mark before it": b"\xef\xbb\xbf" + good.encode(),
        "carriage returns": good.replace("\n", "\r").encode(),
    }
    for what, data in texts.items():
        yield f"fer2013.csv: {what}", {"fer2013.csv": data}
    held = io.StringIO()
    csv.writer(held).writerows(
        [["path", "label", "split"], [str(marker), "happy", "train"], ["../../../../etc/passwd", "sad", "train"]]
    )
    yield "faces.csv whose paths lead out", {"faces.csv": held.getvalue().encode()}
    jpeg = encoded(_portrait(48), "JPEG")
    for what, data in damaged(rng, jpeg):
        yield (
            f"a class whose picture is damaged: {what}",
            {"train/angry/a.jpg": jpeg, "train/happy/a.jpg": jpeg, "train/happy/b.jpg": data},
        )
    yield "a class without a picture", {"train/angry/a.jpg": jpeg, "train/happy/readme.txt": b"x"}


def recipes(rng: random.Random, address: str, marker: Path) -> Made:
    good = (Path(__file__).parents[2] / "recipes" / "mien-small.toml").read_text(encoding="utf-8")
    yield "empty", b""
    yield "noise", rng.randbytes(3000)
    yield "not UTF-8", good.encode("utf-16")
    yield "NUL in it", good.replace("\n", "\0\n", 1).encode()
    yield "cut", good.encode()[: len(good) // 3]
    yield "brackets, 10,000 deep", b"a = " + b"[" * 10_000
    yield "names, 10,000 deep", b"a" + b".a" * 10_000 + b" = 1"
    yield "a number of 5,000 digits", b"network = " + b"9" * 5000
    yield "twice the same name", good.encode() + b"\nseed = 1\nseed = 2\n"
    yield "a key that nobody knows", good.encode() + b'\n[nobody]\nx = "y"\n'
    yield "a network outside", f'network = "{marker}"\n'.encode()
    yield "a network of an address", f'network = "{address}"\n'.encode()
    yield "seconds without end", good.encode() + b"\nseed = inf\n"
    yield "a date for a number", good.encode() + b"\nseed = 9999-12-31T23:59:59-23:59\n"
    yield "less than nothing", good.encode() + b"\nbatch = -5\n"


def studies(rng: random.Random, address: str, marker: Path) -> Made:
    from web.participant_page import STUDY

    yield from _json_harm(STUDY)
    yield "a film outside", json.dumps(STUDY | {"stimuli": [{"id": "../../x", "kind": "film", "file": str(marker)}]}).encode()
    yield "a film of an address", json.dumps(STUDY | {"stimuli": [{"id": "s1", "kind": "film", "file": address}]}).encode()
    yield "10,000 films", json.dumps(STUDY | {"stimuli": [{"id": f"s{i}", "kind": "event"} for i in range(10_000)]}).encode()
    yield "a title of 5 megabytes", json.dumps(STUDY | {"title": "x" * 5_000_000}).encode()
    yield "markup", json.dumps(STUDY | {"title": "<script>alert(1)</script>", "contact": "{{7*7}}"}).encode()
    yield "two questions of one name", json.dumps(STUDY | {"before": [*STUDY["before"], *STUDY["before"]]}).encode()
    yield (
        "a question of itself",
        json.dumps(STUDY | {"variables": [{"id": "age", "by": "question", "question": "nobody"}]}).encode(),
    )


def results(rng: random.Random, address: str, marker: Path) -> Made:
    """Folders as `mien analyze --out` leaves them, with a result whose files are harmed."""
    from mien.cli import main

    with tempfile.TemporaryDirectory() as held_in:
        scratch = Path(held_in)
        film(scratch / "a.mp4", pictures=lambda i: np.asarray(_portrait(96).crop((0, 0, 96, 96))), size=(96, 96), times=[0, 0.5, 1])
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            assert main(["analyze", str(scratch / "a.mp4"), "--no-video", "--no-pictures", "--out", str(scratch / "a.mien")]) == 0
        base = {f"a.mien/{path.name}": path.read_bytes() for path in (scratch / "a.mien").iterdir() if path.is_file()}
    base["a.mien/report.html"] = b"<!doctype html>"
    npz, summary = base["a.mien/timeline.npz"], json.loads(base["a.mien/summary.json"])
    for what, data in damaged(rng, npz):
        yield f"timeline.npz: {what}", base | {"a.mien/timeline.npz": data}
    for what, array in {
        "objects that run a program": np.array([_Runs()], dtype=object),
        "words": np.array(["x"] * 4),
        "no numbers": np.full(4, np.nan),
        "too many": np.arange(10**6),
        "a number alone": np.array(7),
    }.items():
        held = io.BytesIO()
        with np.load(io.BytesIO(npz), allow_pickle=False) as whole:
            np.savez(held, **{name: (array if name in ("times", "tracks") else whole[name]) for name in whole.files})
        yield f"timeline.npz: {what}", base | {"a.mien/timeline.npz": held.getvalue()}
    yield "timeline.npz: a bomb", base | {"a.mien/timeline.npz": _zip({"times.npy": bytes(300 << 20)})}
    for what, data in list(_json_harm(summary)):
        yield f"summary.json: {what}", base | {"a.mien/summary.json": data}
    for what, data in list(
        _json_harm({"file": "a.mp4", "folder": "a.mien", "state": "failed", "error": "x", "files": [["a", "b"]], "skipped": []})
    )[:8]:
        yield f".manifest: {what}", base | {".manifest/a.mien.json": data, ".manifest/.list-1.json": data}
    yield "faces.csv: noise", base | {"a.mien/faces.csv": rng.randbytes(3000)}
    yield "faces.csv: a quotation that never ends", base | {"a.mien/faces.csv": b'frame,time_s\n"' + b"0," * 100_000}


class _Runs:
    """What numpy would run if it believed such a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("a-program-ran",)


def logs(rng: random.Random, address: str, marker: Path) -> Made:
    """Logs of frames, as a server keeps them of a participant."""

    def record(body: bytes, length: int | None = None) -> bytes:
        return struct.pack("<II", len(body) if length is None else length, zlib.crc32(body)) + body

    facts: dict[str, Any] = {
        "format": "mien-frames 1",
        "labels": ["neutral", "happiness"],
        "settings": {"smoothing_s": 0},
        "stimulus": "s1",
    }
    for what, data in _json_harm(facts):
        yield f"facts: {what}", record(data) + record(bytes(200)) * 3
    for old in ("mien-rows 1", "mien-looks 1"):
        yield f"{old}, records of nothing", record(json.dumps(facts | {"format": old}).encode()) + record(bytes(7))
        yield f"{old}, noise", record(json.dumps(facts | {"format": old}).encode()) + rng.randbytes(999)
        yield (
            f"{old}, no labels",
            record(json.dumps({"format": old, "labels": [], "settings": {}}).encode()) + record(bytes(90)) * 2,
        )
    head = record(json.dumps(facts).encode())
    yield "a record of two thousand million bytes", head + record(bytes(50), 2**31)
    yield "faces without end", head + record(b"\xff" * 200) * 3
    yield "a record alone", record(b"")
    yield "noise", rng.randbytes(2000)
    yield from ((f"a whole one, {what}", data) for what, data in damaged(rng, head + record(bytes(120)) * 6))
    yield "a million labels", record(json.dumps(facts | {"labels": ["x"] * 1_000_000}).encode()) + record(bytes(400))


def databases(rng: random.Random, address: str, marker: Path) -> Made:
    with tempfile.TemporaryDirectory() as held_in:
        scratch = Path(held_in)
        with sqlite3.connect(scratch / "a") as other:
            other.execute("create table studies (id text)")
            other.execute("create table alembic_version (version_num text)")
            other.execute("insert into alembic_version values ('9999')")
        other.close()
        ahead = (scratch / "a").read_bytes()
    yield "noise", rng.randbytes(9000)
    yield "zeros", bytes(9000)
    yield "words", b"SQLite format 3\0 is what this begins with"
    yield "a scheme of the future", ahead
    yield from damaged(rng, ahead)
    yield "a folder", lambda path: path.mkdir()


MAKERS: dict[str, Callable[[random.Random, str, Path], Made]] = {
    "picture": pictures,
    "film": films,
    "other": others,
    "zip": zips,
    "bundle": bundles,
    "table": tables,
    "recipe": recipes,
    "study": studies,
    "result": results,
    "log": logs,
    "database": databases,
}
