"""A small FER2013 that shows shapes instead of faces, and a network that learns them in a second."""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mien.labels import FER2013, FERPLUS, FERPLUS_COLUMNS

SIDE = 48
COUNTS = {"Training": 84, "PublicTest": 42, "PrivateTest": 42}

RECIPE = """
name = "shapes"
description = "a test network"
network = "tiny"
pretrained = false
epochs = 3
warmup_epochs = 0.5
batch = 16
lr = 5e-3
average = 0.9
dropout = 0.1
seed = 3

[crop]
size = 16
detail = 0

[augment]
flip = 0.0
erase = 0.2
"""


class Tiny(torch.nn.Module):
    """A network that learns in a second, with all that makes runs hard to repeat: dropout and running means."""

    def __init__(
        self,
        heads: Mapping[str, int],
        size: int,
        *,
        channels: int = 1,
        pretrained: bool = False,
        dropout: float = 0.1,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.trunk = torch.nn.Sequential(
            torch.nn.Conv2d(channels, 16, 4, stride=4), torch.nn.BatchNorm2d(16), torch.nn.ReLU(), torch.nn.Flatten()
        )
        self.dropout = torch.nn.Dropout(dropout)
        self.heads = torch.nn.ModuleDict({name: torch.nn.Linear(16 * (size // 4) ** 2, count) for name, count in heads.items()})

    def forward(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.dropout(self.trunk(batch))
        return {name: head(features) for name, head in self.heads.items()}


def shape(label: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture for each of FER2013's labels: a bright bar in another place."""
    picture = rng.integers(60, 100, (SIDE, SIDE))
    if label < 4:
        picture[:, 12 * label : 12 * label + 12] = 200
    else:
        picture[16 * (label - 4) : 16 * (label - 4) + 16] = 220
    return picture.astype(np.uint8)


def votes_for(label: int, rng: np.random.Generator) -> list[int]:
    """Ten votes, most of them for the label."""
    votes = [0] * len(FERPLUS_COLUMNS)
    others = int(rng.integers(0, 4))
    votes[FERPLUS.index(FER2013[label])] = 10 - others
    votes[int(rng.integers(0, len(FERPLUS_COLUMNS)))] += others
    return votes


def write_tables(folder: Path, counts: Mapping[str, int] = COUNTS, seed: int = 0) -> Path:
    """fer2013.csv and fer2013new.csv."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "fer2013.csv").open("w", newline="") as one, (folder / "fer2013new.csv").open("w", newline="") as two:
        pictures, votes = csv.writer(one), csv.writer(two)
        pictures.writerow(["emotion", "pixels", "Usage"])
        votes.writerow(["Usage", "Image name", *FERPLUS_COLUMNS])
        for split, count in counts.items():
            for i in range(count):
                label = i % len(FER2013)
                pictures.writerow([label, " ".join(map(str, shape(label, rng).ravel().tolist())), split])
                votes.writerow([split, f"fer{i:07}.png", *votes_for(label, rng)])
    return folder
