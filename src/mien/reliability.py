"""How far a reading can be believed: the calibrated probability that its leading expression is what most raters would say.

A logistic regression on what the network's heads say: how sure each is, how far the two disagree, how strong its answers are.
Nothing of the picture itself enters, since what is learnt of a picture's sharpness or light does not carry over to damage of
another kind; what can be seen of the picture is named by `mien.flags` instead. The weights travel in `model.json`, where
`mien calibrate` puts them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLOOR = -8.0
"""Logarithms of probabilities are not followed further down."""

_OWN, _OTHER = 8, 7


@dataclass(frozen=True, slots=True)
class Reliability:
    """Weights of `evidence`, and what is added: reliability = 1 / (1 + exp(−(evidence · weights + offset)))."""

    weights: tuple[float, ...]
    offset: float

    def __call__(self, evidence: NDArray[np.float64]) -> NDArray[np.float32]:
        """(N,) in [0, 1] from evidence (N, D)."""
        z = evidence @ np.asarray(self.weights) + self.offset
        return np.asarray(1 / (1 + np.exp(-np.clip(z, -30, 30))), dtype=np.float32)


def evidence_size(labels: Sequence[str], others: Sequence[Sequence[str]]) -> int:
    """D of `evidence` for a decision among `labels` and other heads of these labels."""
    return _OWN + 2 * len(labels) + sum(_OTHER + len(names) for names in others)


def evidence(
    decided: NDArray[np.floating],
    labels: Sequence[str],
    logits: NDArray[np.floating],
    others: Mapping[tuple[str, ...], NDArray[np.floating]],
) -> NDArray[np.float64]:
    """(N, D) what there is to judge a decision by.

    decided  (N, K) probabilities of `labels`, by which the expression leads
    logits   (N, K) of the head that has these labels        others  labels → logits of the other heads
    """
    n, k = decided.shape
    p = np.asarray(decided, dtype=np.float64)
    lead = p.argmax(axis=1)
    rows = np.arange(n)
    top = np.clip(p[rows, lead], 1e-6, 1 - 1e-6)
    own, scale = _log_softmax(logits)
    ordered = np.sort(np.asarray(logits, dtype=np.float64), axis=1)
    first, second, third = ordered[:, -1], ordered[:, -2], ordered[:, -min(3, k)]
    leads = np.zeros((n, k))
    leads[rows, lead] = 1
    said = np.exp(own)
    columns = [
        np.clip(np.log(top / (1 - top)), _FLOOR, -_FLOOR),
        first,
        first - second,
        second - third,
        scale,
        -(said * own).sum(axis=1),
        np.asarray(logits, dtype=np.float64).std(axis=1),
        np.maximum(own[rows, lead], _FLOOR),
    ]
    found = [np.column_stack(columns), leads, said]
    for names, given in others.items():
        theirs, strength = _log_softmax(given)
        ordered = np.sort(np.asarray(given, dtype=np.float64), axis=1)
        shared = [name for name in labels if name in names]
        mine, yours = [list(labels).index(name) for name in shared], [names.index(name) for name in shared]
        # A label that the other head lacks is as unlikely to it as its least likely one.
        of_lead = np.repeat(theirs.min(axis=1, keepdims=True), k, axis=1)
        of_lead[:, mine] = theirs[:, yours]
        columns = [
            np.maximum(of_lead[rows, lead], _FLOOR),
            theirs.max(axis=1),
            ordered[:, -1] - ordered[:, -2],
            strength,
            -(np.exp(theirs) * theirs).sum(axis=1),
            np.asarray(given, dtype=np.float64).std(axis=1),
            _apart(own[:, mine], theirs[:, yours]) if shared else np.zeros(n),
        ]
        found += [np.column_stack(columns), np.exp(theirs)]
    return np.concatenate(found, axis=1)


def _log_softmax(logits: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N, K) logarithms of probabilities, and (N,) the logarithm of the sum that they were divided by."""
    z = np.asarray(logits, dtype=np.float64)
    most = z.max(axis=1)
    total = np.log(np.exp(z - most[:, None]).sum(axis=1)) + most
    return z - total[:, None], total


def _apart(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) how far two heads disagree on the labels that both have: Jeffreys' divergence, at most 10."""
    one, other = np.maximum(one, _FLOOR), np.maximum(other, _FLOOR)
    return np.asarray(np.minimum(((np.exp(one) - np.exp(other)) * (one - other)).sum(axis=1), 10.0), dtype=np.float64)


def to_json(reliability: Reliability) -> dict[str, Any]:
    return {"weights": list(reliability.weights), "offset": reliability.offset}


def from_json(content: Mapping[str, Any]) -> Reliability:
    """Raises `KeyError`, `TypeError` or `ValueError` for what is none."""
    found = Reliability(tuple(float(w) for w in content["weights"]), float(content["offset"]))
    if not np.isfinite([*found.weights, found.offset]).all():
        raise ValueError("the weights of a reliability must be finite")
    return found
