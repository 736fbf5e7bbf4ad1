"""Pictures made into clips: each one a little moved, turned, zoomed and lit through a few frames, and divided in two ways.

P2 cuts films into frames and divides the frames: in its test pictures stand the people of its training pictures, a moment later.
Its films are not to be had. Clips made of single pictures have the shape of its data (1,260 films, about eleven frames of each,
six classes), and show what that way of dividing does to a figure:

    OUT/by-frame/    each frame by itself into Training, PublicTest or PrivateTest, as P2 does
    OUT/by-clip/     the very same frames, all of a clip into one of them

Both are folders as `mien data prepare` writes them. Needs no torch.
"""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.labels import EKMAN
from mien.training.layouts import SEED, SHARES, Row, check_shares, read_layout, split_stratified
from mien.training.prepare import write_folder
from mien.whole_file import new_folder

CLIPS = 1260
"""As many as eNTERFACE'05 has films: 42 people, six emotions, five sentences."""

FRAMES = 11

FRAME_S = 0.2

TURN_DEG, ZOOM, SHIFT, CONTRAST, BRIGHTNESS = 5.0, 0.05, 0.04, 0.12, 0.06
"""How far a clip moves either way from its picture: degrees, shares of the side, and of the light."""


def make_clips(
    source: Path,
    out: Path,
    *,
    clips: int = CLIPS,
    frames: int = FRAMES,
    layout: str = "auto",
    shares: tuple[float, float, float] = SHARES,
    seed: int = SEED,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, dict[str, dict[str, int]]]:
    """Makes OUT of the Training pictures in `source`, as many clips of each of the six classes; gives back counts by way and split.

    No picture is taken twice, nor a copy of one. The same arguments give the same files. Raises `DataError` where there are too few
    pictures of a class or OUT holds something; `ValueError` for wrong numbers.
    """
    check_shares(shares)
    if clips < len(EKMAN) or clips % len(EKMAN) or frames < 1:
        raise ValueError(f"wanted a multiple of {len(EKMAN)} clips of at least one frame, but got {clips} and {frames}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: is there already; remove it or give another folder")
    chosen = _chosen(source, layout, clips // len(EKMAN), seed)
    names = [f"clip{number:04}" for number in range(len(chosen))]
    of_clip = dict(zip(names, split_stratified([row.label for row in chosen], shares, seed), strict=True))
    pictures: list[tuple[str, Row]] = []
    for number, (name, row) in enumerate(zip(names, chosen, strict=True)):
        for i, frame in enumerate(clip_frames(row.read(), frames, np.random.default_rng([seed, number]))):
            read = functools.partial(_as_it_is, frame)
            file = f"pictures/{name}/{i:02}.png"
            pictures.append((file, Row(read, row.label, "Training", "", file, (), None, name, FRAME_S * i)))
        if progress is not None:
            progress(number + 1, len(chosen))
    of_frame = split_stratified([row.label for _, row in pictures], shares, seed)
    counts = {}
    with new_folder(out) as whole:
        for way in ("by-frame", "by-clip"):
            listed = [
                (file, replace(row, split=split) if way == "by-frame" else replace(row, split=of_clip[row.video], person=row.video))
                for (file, row), split in zip(pictures, of_frame, strict=True)
            ]
            note = f"clips made of single pictures, divided {way.replace('-', ' ')}"
            settings = {"clips": clips, "frames": frames, "shares": list(shares), "seed": seed}
            facts = write_folder(whole / way, "clips", listed, [note], settings)
            counts[way] = facts["counts"]
    return counts


def _as_it_is(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return picture


def _chosen(source: Path, layout: str, each: int, seed: int) -> list[Row]:
    """So many Training pictures of each class, drawn by the seed, no two of them alike."""
    listing = read_layout(source, layout)
    found: list[Row] = []
    seen: set[bytes] = set()
    for number, label in enumerate(EKMAN):
        rows = [row for row in listing.rows if row.split == "Training" and row.label == label]
        own: list[Row] = []
        for i in np.random.default_rng([seed, number]).permutation(len(rows)):
            if len(own) == each:
                break
            content = rows[i].read().tobytes()
            if content not in seen:
                seen.add(content)
                own.append(rows[i])
        if len(own) < each:
            raise DataError(f"{source}: wanted {each} different Training pictures of {label}, but it has {len(own)}")
        found += own
    return found


def clip_frames(picture: NDArray[np.uint8], frames: int, rng: np.random.Generator) -> list[NDArray[np.uint8]]:
    """A picture, grey (H, W) or RGB (H, W, 3), as `frames` frames of a clip: a slow sway of place, angle, size and light.

    Each frame is near the one before; none is further from the picture than the constants of this file say.
    """
    height, width = picture.shape[:2]
    phase, speed = rng.uniform(0, 2 * np.pi, 6), rng.uniform(0.2, 0.6, 6)
    found = []
    for i in range(frames):
        turn, zoom, right, down, contrast, brightness = np.sin(phase + speed * i)
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), TURN_DEG * turn, 1 + ZOOM * zoom)
        matrix[:, 2] += SHIFT * right * width, SHIFT * down * height
        moved = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        light = moved.astype(np.float32)
        light = (light - light.mean()) * (1 + CONTRAST * contrast) + light.mean() + 255 * BRIGHTNESS * brightness
        found.append(np.clip(np.rint(light), 0, 255).astype(np.uint8))
    return found
