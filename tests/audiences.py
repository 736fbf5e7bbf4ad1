"""Made audiences whose truth is known: Timelines of given scores, viewers with nothing in common, planted reactions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import lfilter

from mien.audience import Audience
from mien.types import MediaInfo, Timeline

LABELS = ("neutral", "happiness", "sadness", "surprise")


def timeline(
    times: Sequence[float],
    scores: Sequence[ArrayLike | None],
    *,
    labels: tuple[str, ...] = ("happiness", "sadness"),
    tracks: Sequence[int] | None = None,
    boxes: ArrayLike | None = None,
    frame_rows: Sequence[int] | None = None,
) -> Timeline:
    """A look at each of `times`, one face with these scores in it, or nobody where they are None."""
    rows = [i for i, row in enumerate(scores) if row is not None] if frame_rows is None else list(frame_rows)
    values = np.array([row for row in scores if row is not None], np.float32).reshape(-1, len(labels))
    n = len(rows)
    return Timeline(
        MediaInfo("made.mp4", "video", 640, 360, None, None, None, False, "made"),
        labels,
        np.arange(len(times)),
        np.array(times, np.float64),
        np.array(rows, np.int64),
        np.ones(n, np.int64) if tracks is None else np.array(tracks),
        np.tile(np.array([0, 0, 10, 10], np.float32), (n, 1)) if boxes is None else np.asarray(boxes, np.float32),
        np.ones(n, np.float32),
        values,
        values,
    )


def of(values: NDArray[Any], seen: NDArray[np.bool_] | None = None, *, step_s: float = 0.5, label: str = "happiness") -> Audience:
    """An Audience of one label with these values (V, T)."""
    there = np.ones(values.shape, np.bool_) if seen is None else seen
    return many(np.where(there, values, 0)[:, :, None], there, (label,), step_s)


def many(values: NDArray[Any], seen: NDArray[np.bool_], labels: tuple[str, ...], step_s: float = 0.5) -> Audience:
    v, t = seen.shape
    emotions = np.where(seen[:, :, None], values, 0)
    return Audience(
        np.arange(t) * step_s, step_s, labels, tuple(f"v{i + 1}" for i in range(v)), emotions, seen, np.ones((v, t), bool)
    )


def slow(rng: np.random.Generator, shape: tuple[int, ...], memory: float = 0.9) -> NDArray[np.float64]:
    """Noise (…, T) of standard deviation 1 whose correlation from one cell to the next is `memory`."""
    noise = rng.normal(size=(*shape[:-1], shape[-1] + 100))
    return np.asarray(lfilter([np.sqrt(1 - memory**2)], [1, -memory], noise, axis=-1)[..., 100:], np.float64)


def gaps(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask (V, T): single cells, a quarter of the film, or the end of it unseen, viewer by viewer."""
    seen = rng.random(shape) > 0.05
    for row in seen:
        if rng.random() < 0.5:
            start = rng.integers(0, len(row))
            row[start : start + len(row) // 4] = False
        if rng.random() < 0.3:
            row[rng.integers(len(row) // 2, len(row)) :] = False
    return seen


def strangers(
    rng: np.random.Generator, viewers: int, times: int, *, gappy: bool = False, raised: Sequence[tuple[int, Any, slice, float]] = ()
) -> Audience:
    """Viewers with nothing in common: each label a slow noise on a level of the viewer's own, through a softmax.

    raised  (label, viewers, cells, by how much): what is planted, before the softmax
    """
    x = 1.5 * slow(rng, (viewers, len(LABELS), times)) + 0.7 * rng.normal(size=(viewers, len(LABELS), 1))
    x[:, 0] += 2
    for label, who, cells, height in raised:
        x[who, label, cells] += height
    e = np.exp(x)
    seen = gaps(rng, (viewers, times)) if gappy else np.ones((viewers, times), np.bool_)
    return many((e / e.sum(axis=1, keepdims=True)).transpose(0, 2, 1), seen, LABELS)
