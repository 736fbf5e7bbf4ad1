"""How far a reading can be believed: the calibrated probability that its leading expression is what most raters would say.

A logistic regression on what the network's heads say: how sure each is, how far the two disagree, how strong its answers are.
Nothing of the picture itself enters, since what is learnt of a picture's sharpness or light does not carry over to damage of
another kind; what can be seen of the picture is named by `mien.flags` instead. The weights travel in `model.json`, where
`mien calibrate` puts them.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

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
    rows, lead = np.arange(n), decided.argmax(axis=1)
    top = np.clip(decided[rows, lead].astype(np.float64), 1e-6, 1 - 1e-6)
    own = _Said.of(logits)
    found = np.zeros((n, evidence_size(labels, list(others))))  # filled in: put together from columns it takes three times as long
    found[:, 0] = np.minimum(np.maximum(np.log(top / (1 - top)), _FLOOR), -_FLOOR)
    found[:, 1], found[:, 2] = own.ordered[:, -1], own.ordered[:, -1] - own.ordered[:, -2]
    found[:, 3] = own.ordered[:, -2] - own.ordered[:, -min(3, k)]
    found[:, 4], found[:, 5], found[:, 6] = own.strength, own.entropy, own.spread
    found[:, 7] = np.maximum(own.log[rows, lead], _FLOOR)
    found[rows, _OWN + lead] = 1
    found[:, _OWN + k : _OWN + 2 * k] = own.said
    end = _OWN + 2 * k
    for names, given in others.items():
        theirs = _Said.of(given)
        mine, yours = _shared(tuple(labels), names)
        # A label that the other head lacks is as unlikely to it as its least likely one.
        of_lead = np.repeat(theirs.log.min(axis=1)[:, None], k, axis=1)
        of_lead[:, mine] = theirs.log[:, yours]
        columns = found[:, end:]
        columns[:, 0] = np.maximum(of_lead[rows, lead], _FLOOR)
        columns[:, 1] = theirs.log.max(axis=1)
        columns[:, 2] = theirs.ordered[:, -1] - theirs.ordered[:, -2]
        columns[:, 3], columns[:, 4], columns[:, 5] = theirs.strength, theirs.entropy, theirs.spread
        columns[:, 6] = _apart(own.log[:, mine], theirs.log[:, yours]) if len(mine) else 0.0
        columns[:, _OTHER : _OTHER + len(names)] = theirs.said
        end += _OTHER + len(names)
    return found


class _Said(NamedTuple):
    """What a head's logits (N, K) say, in double precision.

    log       (N, K) logarithms of the probabilities        said     (N, K) the probabilities
    ordered   (N, K) the logits, the greatest last          strength (N,) the logarithm of the sum of their exponentials
    entropy   (N,) of the probabilities                     spread   (N,) standard deviation of the logits
    """

    log: NDArray[np.float64]
    said: NDArray[np.float64]
    ordered: NDArray[np.float64]
    strength: NDArray[np.float64]
    entropy: NDArray[np.float64]
    spread: NDArray[np.float64]

    @classmethod
    def of(cls, logits: NDArray[np.floating]) -> Self:
        z = np.sort(np.asarray(logits, dtype=np.float64), axis=1)
        most = z[:, -1]
        strength = np.log(np.exp(z - most[:, None]).sum(axis=1)) + most
        log = logits - strength[:, None]
        said = np.exp(log)
        off = z - (z.sum(axis=1) / z.shape[1])[:, None]
        spread = np.sqrt((off * off).sum(axis=1) / z.shape[1])
        return cls(log, said, z, strength, -(said * log).sum(axis=1), spread)


@functools.lru_cache(maxsize=32)
def _shared(labels: tuple[str, ...], names: tuple[str, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the labels that both have stand in each."""
    both = [name for name in labels if name in names]
    return np.array([labels.index(name) for name in both], np.int64), np.array([names.index(name) for name in both], np.int64)


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
