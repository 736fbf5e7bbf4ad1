"""How often a reading stays what it is when nothing but the detector's working size changes:

python experiments/steady/measure_steadiness.py FILM … [--every S] [--model NAME]

Each sampled frame is read at each working size, raw: no smoothing, no track. Of the faces that are found at 480 pixels and at the
other size, in one place, the share whose leading expression is the same; beside it of those alone that can be relied on at both.
"""

import argparse
from pathlib import Path

import numpy as np

import mien
from mien.analyze import Analyzer, Reading
from mien.detect import YuNet
from mien.types import relied_on

SIZES = (448, 480, 560, 640)
OWN = 480
SAME_PLACE = 0.5


def pairs(one: Reading, other: Reading) -> list[tuple[int, int]]:
    """The faces that both have, by intersection over union."""
    found = []
    for i, box in enumerate(one.faces.boxes):
        low = np.maximum(box[:2], other.faces.boxes[:, :2])
        high = np.minimum(box[2:], other.faces.boxes[:, 2:])
        common = np.prod(np.maximum(high - low, 0), axis=1)
        areas = np.prod(other.faces.boxes[:, 2:] - other.faces.boxes[:, :2], axis=1) + np.prod(box[2:] - box[:2])
        overlap = common / np.maximum(areas - common, 1e-6)
        if len(overlap) and overlap.max() >= SAME_PLACE:
            found.append((i, int(overlap.argmax())))
    return found


def measure(film: Path, every: float, analyzer: Analyzer) -> str:
    detectors = {size: YuNet(max_side=size) for size in SIZES}
    same: dict[int, list[bool]] = {size: [] for size in SIZES if size != OWN}
    good: dict[int, list[bool]] = {size: [] for size in same}
    with mien.open_media(film) as media:
        for frame in media.frames(every):
            read = {size: analyzer.read([frame.rgb], [detector(frame.rgb)])[0] for size, detector in detectors.items()}
            own = read[OWN]
            relied = relied_on(own.reliability, own.flags)
            for size in same:
                theirs = relied_on(read[size].reliability, read[size].flags)
                for i, j in pairs(own, read[size]):
                    same[size].append(bool(own.emotions[i].argmax() == read[size].emotions[j].argmax()))
                    good[size].append(bool(relied[i] and theirs[j]))
    cells = []
    for size in same:
        agree, both = np.array(same[size], bool), np.array(good[size], bool)
        cells += [_share(agree), _share(agree[both])]
    return f"| {film.name} | {max(len(v) for v in same.values())} | " + " | ".join(cells) + " |"


def _share(agree: np.ndarray) -> str:
    return f"{100 * agree.mean():.1f} %" if len(agree) else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description="How often a reading is the same at other working sizes of the detector.")
    parser.add_argument("films", nargs="+", type=Path)
    parser.add_argument("--every", type=float, default=0.2, help="seconds between the frames that are read; default 0.2")
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    analyzer = Analyzer(options.model)
    others = [size for size in SIZES if size != OWN]
    print("| film | faces | " + " | ".join(f"{size} | relied on" for size in others) + " |")
    print("| --- | ---: | " + " | ".join("---: | ---:" for _ in others) + " |")
    for film in options.films:
        print(measure(film, options.every, analyzer), flush=True)


if __name__ == "__main__":
    main()
