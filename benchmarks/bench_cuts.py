"""Which cuts of a film are seen, and what is taken for one that is none: at every light, with grain and without.

python benchmarks/bench_cuts.py

Clips beside the repository are cut together, faded, flashed, zoomed and followed; without them, portraits from packages are.
"""

import argparse
import itertools
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

import measure
from bench_faces import Picture, clip, dim, textures
from mien.cuts import Cuts
from mien.demo import PORTRAITS, installed_file
from mien.detect import YuNet
from mien.media import read_picture

SIZE = (640, 360)
EVERY_S = 0.08
LIGHTS, GRAINS = (1.0, 0.3, 0.1), (0.0, 9.0)
FRAMES = 4


def main() -> None:
    argparse.ArgumentParser(description="Cuts seen and false alarms by light.").parse_args()
    cv2.setNumThreads(1)
    films = shots()
    boxes = [YuNet()(film[0]).boxes.astype(np.float64) for film in films]
    rows = []
    for light, grain in itertools.product(LIGHTS, GRAINS):
        hits = people = gone = wrong = 0
        pairs = [(one, (one + apart) % len(films)) for apart in (1, 3) for one in range(len(films))]
        for seed, (one, two) in enumerate(pairs):
            found = looked([*films[one], *films[two]], light, grain, seed)
            changed = found.pop(FRAMES)
            hits += changed is not None
            wrong += sum(other is not None for other in found)
            people += len(boxes[one])
            gone += int(changed(boxes[one]).sum()) if changed is not None else 0
        cells = [f"{hits} of {len(pairs)}", f"{gone} of {people}", str(wrong)]
        for make in (faded, flashed, zoomed):
            alarms = [looked(make(film), light, grain, i) for i, film in enumerate(films)]
            cells.append(str(sum(changed is not None for found in alarms for changed in found)))
        torn = 0
        for i, (film, box) in enumerate(zip(films, boxes, strict=True)):
            if len(box):
                found = looked(followed(film[0], box[0]), light, grain, i)
                torn += sum(changed is not None and bool(changed(box[:1])[0]) for changed in found)
        rows.append([f"{light:.0%}, {grain:g}", *cells, str(torn)])
    head = [
        "light, grain",
        "cuts seen",
        "people who went",
        "false: within shots",
        "fades",
        "flashes",
        "zooms",
        "followed faces lost",
    ]
    measure.table(f"Cuts between {len(films)} shots of {FRAMES} frames", head, rows)


def looked(film: list[Picture], light: float, grain: float, seed: int) -> list[Callable | None]:
    cuts = Cuts()
    return [cuts.look(dim(rgb, light, grain, 100 * seed + i), i * EVERY_S) for i, rgb in enumerate(film)]


def shots() -> list[list[Picture]]:
    """Shots of other places and people, `FRAMES` frames each."""
    names = (
        "sad_to_happy.mp4",
        "single_face.mp4",
        "no_face.mp4",
        "three_people_walking.gif",
        "two_people_head_pose.gif",
        "classroom.gif",
    )
    films = [clip(name, EVERY_S)[:FRAMES] for name in names]
    films += [[read_picture(path).rgb] * FRAMES for given in PORTRAITS if (path := installed_file(*given)) is not None]
    return [[cv2.resize(rgb, SIZE, interpolation=cv2.INTER_AREA) for rgb in film] for film in films if film]


def faded(film: list[Picture]) -> list[Picture]:
    """To black within a second, and back."""
    return [dim(film[0], abs(share), 0) for share in np.linspace(-1, 1, 13)]


def flashed(film: list[Picture]) -> list[Picture]:
    """A white frame, and one that is half white."""
    half = (film[0] // 2 + 127).astype(np.uint8)
    return [film[0], np.full_like(film[0], 255), film[0], half, film[0]]


def zoomed(film: list[Picture]) -> list[Picture]:
    """Twice as near within a second."""
    middle = (SIZE[0] / 2, SIZE[1] / 2)
    turns = [cv2.getRotationMatrix2D(middle, 0, float(scale)) for scale in np.linspace(1, 2, 9)]
    return [np.asarray(cv2.warpAffine(film[0], turn, SIZE), np.uint8) for turn in turns]


def followed(rgb: Picture, box: NDArray[np.float64]) -> list[Picture]:
    """The face stays where it is, a textured ground rushes past behind it."""
    ground = cv2.resize(textures()[3], (4 * SIZE[0], SIZE[1]))
    x1, y1, x2, y2 = box.astype(int)
    film = []
    for i in range(FRAMES):
        picture = np.ascontiguousarray(ground[:, i * 350 : i * 350 + SIZE[0]])
        picture[y1:y2, x1:x2] = rgb[y1:y2, x1:x2]
        film.append(picture)
    return film


if __name__ == "__main__":
    main()
