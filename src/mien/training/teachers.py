"""What bundles that teach say of the training faces (distillation, Hinton et al. 2015). Needs no torch."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.emotion import network_input
from mien.labels import OWN
from mien.models import load_model
from mien.training.data import load_faces


def teacher_targets(
    teachers: Sequence[str],
    data: Path,
    heads: Sequence[str],
    *,
    temperature: float = 1.0,
    split: str = "Training",
    layout: str = "auto",
    own: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Head → mean probabilities (N, K) over the teachers that have it, for the faces of one split.

    Each teacher sees the picture as it is and mirrored, in its own framing and size: not as the pupil's augmentation leaves it,
    so that its word is as good as it can be and is asked for once. `temperature` > 1 softens what it says; `layout` says how `data`
    is laid out (see `load_faces`); `own` are the words of the head "own", which only a teacher of the same words has. The prior
    that a bundle's decision was moved by is left out. A head that no teacher has is not in the result. Raises `ModelError` for a
    teacher that is not there, `DataError` for data that cannot be read.
    """
    sums: dict[str, list[NDArray[np.float32]]] = {head: [] for head in heads}
    for teacher in teachers:
        bundle = load_model(teacher)
        spec = bundle.spec
        crops = load_faces(data, spec.crop, align=bool(spec.recipe.get("align", True)), splits=(split,), layout=layout).crops
        known = {head.name: head for head in spec.heads if head.name in sums and (head.name != OWN or head.labels == tuple(own))}
        said: dict[str, list[NDArray[np.float32]]] = {name: [] for name in known}
        for begin in range(0, len(crops), 64):
            part = crops[begin : begin + 64]
            both = network_input(np.concatenate([part, part[:, :, ::-1]]), spec.mean, spec.std)
            logits = bundle.session(both)
            for name, head in known.items():
                z = logits[name] / (head.temperature * temperature)
                p = np.exp(z - z.max(axis=1, keepdims=True))
                p /= p.sum(axis=1, keepdims=True)
                said[name].append(((p[: len(part)] + p[len(part) :]) / 2).astype(np.float32))
            if progress is not None:
                progress(min(begin + 64, len(crops)), len(crops))
        for name, parts in said.items():
            sums[name].append(np.concatenate(parts))
    return {name: np.mean(found, axis=0, dtype=np.float32) for name, found in sums.items() if found}
