"""Figures of a classifier, each by its name, with intervals. numpy only: an evaluation needs no torch."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def confusion_matrix(truth: NDArray[np.int64], said: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """(K, K) counts: row = what it is, column = what was said."""
    return np.bincount(truth * classes + said, minlength=classes * classes).reshape(classes, classes)


def class_scores(truth: NDArray[np.int64], said: NDArray[np.int64], classes: int) -> dict[str, Any]:
    """Accuracy, balanced accuracy, macro-F1, P0's one-vs-rest accuracy, and precision, recall, F1 per class.

    Means over classes take the classes that occur in `truth`; a class that is never said has precision 0.
    """
    counts = confusion_matrix(truth, said, classes)
    right, is_, says = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    recall = np.divide(right, is_, out=np.zeros(classes), where=is_ > 0)
    precision = np.divide(right, says, out=np.zeros(classes), where=says > 0)
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros(classes), where=both > 0)
    occurs = is_ > 0
    accuracy = float(right.sum() / max(1, counts.sum()))
    return {
        "n": int(counts.sum()),
        "accuracy": accuracy,
        "macro_f1": float(f1[occurs].mean()) if occurs.any() else 0.0,
        "balanced_accuracy": float(recall[occurs].mean()) if occurs.any() else 0.0,
        # P0's formula (3) counts true negatives of every class: with K classes it is 1 - 2 (1 - accuracy) / K.
        "one_vs_rest_accuracy": 1 - 2 * (1 - accuracy) / classes,
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "confusion": counts,
    }
