"""Films and pictures of the public-domain portraits that the demo film is made of."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

import mien
from media_files import film
from mien.demo import FPS, HEIGHT, PORTRAITS, WIDTH, installed_file, scenes

BOTH_S = (9.2, 13.0)
"""From when to when both portraits are in view in `scenes`."""


def portraits() -> list[np.ndarray]:
    """(H, W, 3) uint8 RGB each."""
    return [mien.read_picture(found).rgb for package, name in PORTRAITS if (found := installed_file(package, name))]


def part(start_s: float, end_s: float | None) -> list[np.ndarray]:
    """Frames of the demo film without the man who talks, FPS a second."""
    end = None if end_s is None else round(end_s * FPS)
    return list(itertools.islice(scenes(portraits(), None), round(start_s * FPS), end))


def written(path: Path, frames: list[np.ndarray]) -> Path:
    with mien.VideoWriter(path, WIDTH, HEIGHT, fps_hint=FPS) as out:
        for number, rgb in enumerate(frames):
            out.write(rgb, number / FPS)
    return path


def both_film(path: Path) -> Path:
    """Four seconds: both faces, then nobody for a moment. Quick to analyse; two tracks that are seen at the same time."""
    return written(path, part(*BOTH_S))


def still_film(path: Path, seconds: float) -> Path:
    """One face that does not move, 320×180: long to analyse, quick to make."""
    frame = cv2.resize(part(0, 1 / FPS)[0], (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
    times = [number / FPS for number in range(round(seconds * FPS))]
    return film(path, times=times, pictures=lambda _: frame, size=(WIDTH // 2, HEIGHT // 2), rate=round(FPS))


def both_picture(path: Path) -> Path:
    """A JPEG of both faces."""
    Image.fromarray(part(10.5, 10.6)[0]).save(path, quality=92)
    return path


def crowd(faces: int = 30, width: int = 1280, height: int = 720) -> np.ndarray:
    """(height, width, 3) uint8 RGB: the two portraits' heads in rows of six, as an audience before one camera."""
    from mien.detect import YuNet

    heads = []
    for portrait in portraits():
        found = YuNet()(portrait)
        x1, y1, x2, y2 = found.boxes[found.scores.argmax()].tolist()
        reach = min(0.95 * max(x2 - x1, y2 - y1), x1 + x2 - (x1 + x2) / 2, y1 + y2 - (y1 + y2) / 2)
        left, top = round((x1 + x2) / 2 - reach), round((y1 + y2) / 2 - reach)
        heads.append(portrait[max(0, top) : top + round(2 * reach), max(0, left) : left + round(2 * reach)])
    rows = -(-faces // 6)
    side = min(width // 6, height // rows) - 6
    picture = np.full((height, width, 3), 200, np.uint8)
    for seat in range(faces):
        row, column = divmod(seat, 6)
        head = cv2.resize(heads[(row + column) % len(heads)], (side, side), interpolation=cv2.INTER_AREA)
        y, x = round((row + 0.5) * height / rows - side / 2), round((column + 0.5) * width / 6 - side / 2)
        picture[y : y + side, x : x + side] = head
    return picture


def camera(path: Path) -> Path:
    """What a fake camera plays over and over: both faces for three seconds, 640×360 at 25 frames/s, as motion JPEG."""
    return motion_jpeg(path, part(BOTH_S[0], BOTH_S[0] + 3), round(FPS))


def motion_jpeg(path: Path, frames: Sequence[np.ndarray], rate: int) -> Path:
    """Pictures (H, W, 3) of one size as the film that Chromium's fake camera plays."""
    height, width = frames[0].shape[:2]
    return film(
        path,
        times=[number / rate for number in range(len(frames))],
        pictures=lambda number: frames[number],
        codec="mjpeg",
        form="mjpeg",
        pix_fmt="yuvj420p",
        size=(width, height),
        rate=rate,
        codec_options={"qmin": "2", "qmax": "4"},
    )
