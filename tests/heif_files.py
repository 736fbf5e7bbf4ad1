"""HEIC and AVIF files as phones write them, a grid of tiles: put together by hand, for what writes them here writes no grids."""

import io
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from mien.media.boxes import boxes


def _box(kind: bytes, *content: bytes) -> bytes:
    inside = b"".join(content)
    return struct.pack(">I", len(inside) + 8) + kind + inside


def _full(kind: bytes, *content: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *content)


def _coded(rgb: np.ndarray, codec: str, options: dict[str, str]) -> tuple[bytes, bytes]:
    """One key frame as it lies in an MP4, and its configuration box (hvcC or av1C)."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream(codec, rate=1)
        context = stream.codec_context
        context.height, context.width = rgb.shape[:2]
        context.pix_fmt, context.options, context.color_range, context.max_b_frames = "yuv420p", options, 1, 0
        if codec == "libx265":
            context.codec_tag = "hvc1"
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
        frame.pts, frame.time_base = 0, Fraction(1, 1)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    data = buffer.getvalue()
    kind = b"hvcC" if codec == "libx265" else b"av1C"
    at = data.index(kind) - 4
    config = data[at : at + int.from_bytes(data[at : at + 4], "big")]
    sample = next(data[start:end] for found, start, end in boxes(io.BytesIO(data), 0, len(data)) if found == b"mdat")
    return sample, config


def tiled(path: Path, rgb: np.ndarray, tile: int, form: str = "heic", quarter_turns: int = 0) -> Path:
    """`rgb` (H, W, 3) as a grid of square tiles; `quarter_turns` counter-clockwise that a reader has to make (irot)."""
    codec, kind = ("libx265", b"hvc1") if form == "heic" else ("libsvtav1", b"av01")
    options = (
        {"x265-params": "log-level=none:bframes=0:keyint=1:info=0", "crf": "10"}
        if form == "heic"
        else {"crf": "10", "preset": "10"}
    )
    height, width = rgb.shape[:2]
    rows, columns = -(-height // tile), -(-width // tile)
    padded = np.pad(rgb, ((0, rows * tile - height), (0, columns * tile - width), (0, 0)), mode="edge")
    cells = [padded[r * tile : (r + 1) * tile, c * tile : (c + 1) * tile] for r in range(rows) for c in range(columns)]
    coded = [_coded(np.ascontiguousarray(cell), codec, options) for cell in cells]
    n = len(coded)
    grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    items = [_full(b"infe", struct.pack(">HH", i + 1, 0), kind + b"\0", version=2, flags=1) for i in range(n)]
    items.append(_full(b"infe", struct.pack(">HH", n + 1, 0), b"grid\0", version=2))
    properties = _box(
        b"ipco",
        coded[0][1],
        _full(b"ispe", struct.pack(">II", tile, tile)),
        _full(b"ispe", struct.pack(">II", width, height)),
        _full(b"pixi", b"\3\x08\x08\x08"),
        _box(b"irot", bytes([quarter_turns])),
    )
    uses = [struct.pack(">HBBBB", i + 1, 3, 0x81, 2, 4) for i in range(n)] + [struct.pack(">HBBBB", n + 1, 3, 3, 4, 0x85)]
    refers = _box(b"dimg", struct.pack(">HH", n + 1, n), *(struct.pack(">H", i + 1) for i in range(n)))

    def meta(offsets: list[int]) -> bytes:
        places = [(i + 1, offsets[i], len(coded[i][0])) for i in range(n)] + [(n + 1, offsets[n], len(grid))]
        extents = [struct.pack(">HHHII", item, 0, 1, at, size) for item, at, size in places]
        return _full(
            b"meta",
            _full(b"hdlr", bytes(4), b"pict", bytes(13)),
            _full(b"pitm", struct.pack(">H", n + 1)),
            _full(b"iloc", b"\x44\x00", struct.pack(">H", n + 1), *extents),
            _full(b"iinf", struct.pack(">H", n + 1), *items),
            _full(b"iref", refers),
            _box(b"iprp", properties, _full(b"ipma", struct.pack(">I", n + 1), *uses)),
        )

    brand = b"heic" if form == "heic" else b"avif"
    head = _box(b"ftyp", brand, bytes(4), b"mif1", brand)
    start = len(head) + len(meta([0] * (n + 1))) + 8
    offsets = [start]
    for sample, _ in coded:
        offsets.append(offsets[-1] + len(sample))
    path.write_bytes(head + meta(offsets) + _box(b"mdat", *(sample for sample, _ in coded), grid))
    return path
