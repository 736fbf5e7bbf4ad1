"""A linear one-vs-all SVM in place of a network's last layer, as P1 has it: fitted on the features, then a layer like any other.

What the head then gives are decision values (signed distances to each class's hyperplane), not log-probabilities. The softmax and
the temperature that `mien export` fits on PublicTest make probabilities of them.
"""

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC
from torch import nn

from mien.emotion import network_input
from mien.errors import DataError, ModelError
from mien.training.data import FaceSet

C_VALUES = (1e-4, 1e-3, 1e-2, 1e-1)
"""What is tried where nothing else is asked for: how much an error on a training face costs, for standardised features."""


@dataclass(frozen=True, slots=True)
class SvmFit:
    """How the SVM of a head was chosen.

    c           of `C_VALUES` or those asked for, the one with the best accuracy on PublicTest; of equals the smallest
    accuracy    on PublicTest, a share, by each C that was tried and whose fit came to an end
    faces       Training faces that it was fitted on
    missing     classes of which there was none: they get the value -1 of a face on the margin of "not this", always
    """

    c: float
    accuracy: dict[str, float]
    faces: int
    missing: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def fit_svm(
    network: nn.Module,
    train: FaceSet,
    select: FaceSet,
    head: str,
    *,
    mean: float,
    std: float,
    c_values: Sequence[float] = C_VALUES,
) -> SvmFit:
    """Put a linear SVM in the place of the last layer of `head`; everything before it stays as it is.

    scikit-learn's `LinearSVC` (a classifier for each class against the rest, squared hinge loss) is fitted on the features of the
    `train` faces, standardised by their mean and deviation, with each C; the best on the `select` faces is kept. Weights and
    standardisation become one dense layer (F → K) that gives the decision values, so that the network is exported as before.
    `mean` and `std` are the recipe's. Raises `ModelError` for a network without features or without this head, `DataError` where
    there are no two classes to tell apart, `ValueError` for a C that is not above 0.
    """
    if not c_values or not all(0 < c < np.inf for c in c_values):
        raise ValueError(f"wanted values of C above 0, but got {', '.join(map(str, c_values)) or 'none'}")
    heads = getattr(network, "heads", None)
    if not hasattr(network, "features") or not isinstance(heads, nn.ModuleDict) or head not in heads:
        given = ", ".join(heads) if isinstance(heads, nn.ModuleDict) else "none"
        raise ModelError(
            f"{type(network).__name__}: wanted features and a head {head!r} to put an SVM on, but its heads are: {given}"
        )
    names = train.label_set(head)
    features, truth = _features(network, train, head, mean, std)
    chosen, right = _features(network, select, head, mean, std)
    present = np.unique(truth)
    if len(present) < 2:
        given = ", ".join(names[i] for i in present) or "none"
        raise DataError(f"an SVM for {head} wants Training faces of at least two classes, but got: {given}")
    if not len(right):
        raise DataError(f"C is chosen on PublicTest, but none of its faces has a label of {head}")
    middle, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)  # a feature that never moves says nothing: its weight stays 0
    features, chosen = (features - middle) / spread, (chosen - middle) / spread
    found: dict[float, tuple[float, LinearSVC]] = {}
    for c in sorted(set(c_values)):
        machine = LinearSVC(C=c, dual=False, max_iter=2000)
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            try:
                machine.fit(features, truth)
            except ConvergenceWarning:
                continue
        found[c] = float((machine.predict(chosen) == right).mean()), machine
    if not found:
        raise ModelError(f"no SVM for {head} came to an end with C {', '.join(map(str, c_values))}; give smaller values")
    c = max(found, key=lambda c: (found[c][0], -c))
    weights, biases = found[c][1].coef_, found[c][1].intercept_
    if len(present) == 2:  # scikit-learn then has one hyperplane, the second class's
        weights, biases = np.concatenate([-weights, weights]), np.concatenate([-biases, biases])
    weights = weights / spread
    layer = nn.Linear(features.shape[1], len(names))
    with torch.no_grad():
        layer.weight.zero_()[present] = torch.tensor(weights, dtype=torch.float32)
        layer.bias.fill_(-1.0)[present] = torch.tensor(biases - weights @ middle, dtype=torch.float32)
    heads[head] = layer
    missing = tuple(name for i, name in enumerate(names) if i not in present)
    return SvmFit(c, {f"{tried:g}": round(accuracy, 4) for tried, (accuracy, _) in found.items()}, len(truth), missing)


def _features(
    network: nn.Module, faces: FaceSet, head: str, mean: float, std: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Features (N, F) and classes (N,) of the faces that have one of `head`."""
    truth = faces.truth(head)
    counts = truth >= 0
    crops = faces.crops[counts]
    was_training, device = network.training, next(network.parameters()).device
    network.eval()
    parts = []
    with torch.no_grad():
        for i in range(0, len(crops), 256):
            batch = torch.from_numpy(network_input(crops[i : i + 256], mean, std)).to(device)
            parts.append(network.features(batch).cpu().numpy())  # type: ignore[operator]
    network.train(was_training)
    return np.concatenate(parts).astype(np.float64) if parts else np.empty((0, 0)), truth[counts]
