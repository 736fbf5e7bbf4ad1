"""Where readings fail by what can be seen of a picture: python experiments/flags/measure_flags.py --data DIR [--model NAME]

Spoils the faces of PublicTest (FER+ strict) step by step and prints, for each step, how many readings are right and the measures on
which the thresholds of `mien.flags` lie, with the share of faces that each flag marks. Whole pictures tell of `turned`: the nose's
place by the detector's landmarks, and how many readings are right there.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from mien import flags
from mien.crop import crop_faces
from mien.detect import YuNet
from mien.emotion import Expressions
from mien.training.damage import FULL_WELL, READ_NOISE, soft
from mien.training.data import largest, load_faces
from mien.training.evaluate import whole_pictures
from mien.types import FLAGS, Faces

TURNS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 9.0)


def steps(faces: torch.Tensor) -> dict[str, torch.Tensor]:
    """Name → the faces spoilt, (N, 1, S, S) from 0 to 1."""
    one, side = torch.ones(len(faces), 1, 1, 1), faces.shape[-1]
    generator = torch.Generator().manual_seed(0)
    found = {"as they are": faces}
    found |= {f"blurred by {s} of the side": soft(faces, one * s) for s in (0.02, 0.03, 0.04, 0.05)}
    for pixels in (10, 12, 14, 16, 20):
        small = F.interpolate(faces, (pixels, pixels), mode="area")
        found[f"{pixels} pixels wide"] = F.interpolate(small, (side, side), mode="bicubic")
    for by in (32, 64, 96, 128):
        electrons = FULL_WELL / by * faces**2.2
        electrons = electrons + (electrons + READ_NOISE**2).sqrt() * torch.randn(faces.shape, generator=generator)
        found[f"light divided by {by}"] = (electrons / FULL_WELL).clamp(min=0) ** (1 / 2.2)
    found |= {f"haze of {s}": faces * (1 - s) + s * 0.75 for s in (0.5, 0.75, 0.85, 0.9)}
    at = (torch.arange(side) + 0.5) / side
    x, y = at[None, None, None, :], at[None, None, :, None]
    for edge in (0.75, 0.65, 0.6, 0.55):
        found[f"masked from {edge} down"] = torch.where((y > edge) & ((x - 0.5).abs() < 0.45), torch.tensor(0.8), faces)
    return found


def row(name: str, crops: NDArray[np.uint8], right: NDArray[np.bool_]) -> str:
    grey = [flags.brought_down(crop) for crop in crops]
    measures = {
        "light": [float(g.mean()) for g in grey],
        "contrast": [float(g.std()) for g in grey],
        "sharpness": [flags.sharpness(g) for g in grey],
        "texture": [flags.texture_ratio(g) for g in grey],
    }
    n = len(crops)
    boxes = np.tile(np.array([[0, 0, 100, 100]], np.float32), (n, 1))
    marks = flags.flags(Faces(boxes, np.ones(n, np.float32), np.full((n, 5, 2), np.nan, np.float32)), crops)
    flagged = [f"{flag} {np.mean(marks >> i & 1):.2f}" for i, flag in enumerate(FLAGS) if (marks >> i & 1).any()]
    shown = "".join(f"{np.median(values):10.3f}" for values in measures.values())
    return f"{name:<28}{right.mean():7.3f}{shown}   {', '.join(flagged)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="default")
    parser.add_argument("--limit", type=int, default=800)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = Expressions(options.model)
    faces = load_faces(options.data, model.crop, splits=("PublicTest",))
    truth = faces.truth("ferplus")
    keep = np.flatnonzero(truth >= 0)
    faces, truth = faces[keep], truth[keep]
    some = torch.from_numpy(faces.crops[: options.limit].astype(np.float32) / 255)[:, None]
    print(f"{'':<28}{'right':>7}{'light':>10}{'contrast':>10}{'sharpness':>10}{'texture':>10}   medians; share flagged")
    for name, spoilt in steps(some).items():
        crops = (spoilt.clamp(0, 1)[:, 0] * 255).round().to(torch.uint8).numpy()
        print(row(name, crops, model(crops).argmax(axis=1) == truth[: len(crops)]))
    detector, turns, right = YuNet(), [], []
    for rgb, label in zip(whole_pictures(options.data, "auto", faces), truth.tolist(), strict=True):
        found = detector(rgb)
        if len(found):
            found = found[[largest(found)]]
            turns.append(float(flags.turn(found.landmarks)[0]))
            right.append(model(crop_faces(rgb, found, model.crop)).argmax() == label)
    turned, good = np.array(turns), np.array(right)
    for low, high in itertools.pairwise(TURNS):
        here = (turned >= low) & (turned < high)
        print(f"nose {low} to {high} of the eyes' distance beside their middle: N {here.sum():5d}, right {good[here].mean():.3f}")


if __name__ == "__main__":
    main()
