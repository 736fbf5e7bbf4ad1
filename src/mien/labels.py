"""Label sets of the field, the maps between them, and valence."""

import difflib
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

OWN = "own"
"""Beside `LABEL_SETS`: the words that the data itself has, whatever they are."""

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


_SPARE_COLOURS = (
    *("#0f7b8a", "#b8860b", "#8b3fa0", "#5c7a1f", "#a0522d", "#1f5fbf", "#c2407a", "#3d3d3d"),
    *COLOURS.values(),
)


def colours_of(labels: Sequence[str]) -> list[str]:
    """A colour for each label, no two alike while there are enough: `COLOURS`, and spare ones for words that are not in it."""
    spare = [colour for colour in _SPARE_COLOURS if colour not in {COLOURS.get(name) for name in labels}]
    own = [name for name in labels if name not in COLOURS]
    return [COLOURS.get(name) or spare[own.index(name) % len(spare)] for name in labels]


def canonical(name: str) -> str:
    """The name mien uses for an emotion that others spell "Happy", "joy" or "HAPPINESS".

    Raises `ValueError` for a word that is no known emotion.
    """
    word = name.strip().lower()
    word = _ALIASES.get(word, word)
    if word not in FERPLUS:
        raise ValueError(f"no emotion {name!r}; known: {', '.join(FERPLUS)}")
    return word


_COLUMNS = ("file", "frame", "time_s", "track", "face_score", "faces", "expression", "valence", "reliability", "flags")
"""What tables call other things: a class of that name would be a second column of it."""

_MISSPELT = 0.85
"""A word that is so much like one that is known is that one, misspelt (`difflib`'s ratio): "hapy", "supprise"."""


def own_word(name: str) -> str:
    """The name that mien uses for a class of somebody's own data: `canonical` where it is known, else the word in small letters.

    Raises `ValueError` for what is a known word misspelt, a column of the tables, or no word.
    """
    word = " ".join(name.lower().split())
    if word in _ALIASES or word in FERPLUS:
        return canonical(word)
    if near := difflib.get_close_matches(word, (*FERPLUS, *_ALIASES), 1, _MISSPELT):
        raise ValueError(f"is {name!r} meant to be {near[0]!r}? wanted one of the known words, or one that is not so near to them")
    if word in _COLUMNS:
        raise ValueError(f"{name!r} is a column of every table; call the class something else")
    if not word.replace(" ", "").replace("-", "").replace("_", "").isalnum():
        raise ValueError(f"wanted a word of letters and digits as the name of a class, but got {name!r}")
    return word


def knows_valence(labels: Sequence[str]) -> bool:
    """Whether any of these words is pleasant or unpleasant: without one, `valence` is 0 and says nothing."""
    return "happiness" in labels or any(name in NEGATIVE for name in labels)


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
