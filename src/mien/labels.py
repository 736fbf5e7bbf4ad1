"""Label sets of the field, the maps between them, and valence."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

EKMAN: tuple[str, ...] = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
"""Ekman's six basic emotions, as eNTERFACE'05 and P2 have them."""

FER2013: tuple[str, ...] = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""FER2013's seven in the order of its integer labels 0–6 (Goodfellow et al. 2013)."""

FERPLUS: tuple[str, ...] = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
"""FER+'s eight in the order of the columns of `fer2013new.csv` (Barsoum et al. 2016)."""

FERPLUS_COLUMNS: tuple[str, ...] = (*FERPLUS, "unknown", "NF")
"""All ten columns that the raters of FER+ could vote for; NF is "not a face"."""

LABEL_SETS: dict[str, tuple[str, ...]] = {"ekman": EKMAN, "fer2013": FER2013, "ferplus": FERPLUS}

NEGATIVE: tuple[str, ...] = ("anger", "sadness", "fear", "disgust", "contempt")

_ALIASES = {
    "angry": "anger",
    "disgusted": "disgust",
    "fearful": "fear",
    "happy": "happiness",
    "joy": "happiness",
    "sad": "sadness",
    "surprised": "surprise",
    "calm": "neutral",
}

COLOURS: dict[str, str] = {
    "neutral": "#8a8f98",
    "happiness": "#e6a700",
    "surprise": "#d35fb7",
    "sadness": "#2b6cb0",
    "anger": "#c43a31",
    "disgust": "#4c8c2b",
    "fear": "#6a4fb3",
    "contempt": "#00897b",
}
"""One fixed colour per emotion for plots, boxes and pages; lightness differs so that they stay apart with colour blindness."""


def canonical(name: str) -> str:
    """The name mien uses for an emotion that others spell "Happy", "joy" or "HAPPINESS".

    Raises `ValueError` for a word that is no known emotion.
    """
    word = name.strip().lower()
    word = _ALIASES.get(word, word)
    if word not in FERPLUS:
        raise ValueError(f"no emotion {name!r}; known: {', '.join(FERPLUS)}")
    return word


def valence(scores: NDArray[np.floating], labels: Sequence[str]) -> NDArray[np.float32]:
    """P(happiness) minus the largest P among anger, sadness, fear, disgust and contempt.

    `scores` is (..., K) with the columns `labels`; the result has the leading shape and lies in [-1, 1]. This is the definition
    of Noldus FaceReader. A label set without happiness or without any negative emotion counts the missing side as 0.
    """
    scores = np.asarray(scores, dtype=np.float32)
    zero = np.zeros(scores.shape[:-1], dtype=np.float32)
    pleasant = scores[..., labels.index("happiness")] if "happiness" in labels else zero
    negative = [i for i, name in enumerate(labels) if name in NEGATIVE]
    unpleasant = scores[..., negative].max(axis=-1) if negative else zero
    return np.asarray(pleasant - unpleasant, dtype=np.float32)


def convert(scores: NDArray[np.floating], source: Sequence[str], target: Sequence[str]) -> NDArray[np.float32]:
    """Scores over `source` (..., K) as scores over `target` (..., L): columns matched by name, rows made to sum to 1 again.

    What `target` does not have (contempt, in FER2013) is left out and its share divided among the rest in proportion; what
    `source` does not have is 0. A row whose whole weight is left out becomes uniform over the shared labels.
    """
    scores = np.asarray(scores, dtype=np.float32)
    shared = [name for name in target if name in source]
    if not shared:
        raise ValueError(f"no label of {', '.join(source)} is among {', '.join(target)}")
    out = np.zeros((*scores.shape[:-1], len(target)), dtype=np.float32)
    for name in shared:
        out[..., list(target).index(name)] = scores[..., list(source).index(name)]
    total = out.sum(axis=-1, keepdims=True)
    uniform = np.array([name in shared for name in target], dtype=np.float32) / len(shared)
    return np.where(total > 0, out / np.where(total > 0, total, 1), uniform).astype(np.float32)
