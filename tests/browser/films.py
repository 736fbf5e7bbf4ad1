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


def portraits_film(path: Path) -> Path:
    """The demo film without the man who talks: 14 s; one face, the other, both."""
    return written(path, part(0, None))


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
