"""Figures of a classifier, each by its name, with N and intervals. numpy only: an evaluation needs no torch."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.crop import CropSpec, crop_faces
from mien.detect import YuNet
from mien.emotion import Expressions
from mien.errors import DataError
from mien.labels import FER2013, FERPLUS
from mien.models import Bundle
from mien.training.data import SIDE, FaceSet, load_faces, read_fer2013, strict_labels, vote_targets

PROTOCOLS: dict[str, tuple[str, ...]] = {"fer2013": FER2013, "ferplus-strict": FERPLUS}
"""Protocol → its labels. `fer2013`: every picture, single labels. `ferplus-strict`: see `mien.training.data.strict_labels`."""

PEERS: dict[str, tuple[tuple[str, float], ...]] = {
    "fer2013": (("fer 25.10.3", 0.659), ("@vladmandic/human 3.3.6", 0.667), ("face-api 1.7.15", 0.591)),
    "ferplus-strict": (("fer 25.10.3", 0.670), ("@vladmandic/human 3.3.6", 0.664), ("face-api 1.7.15", 0.686)),
}
"""Accuracy of other tools' classifiers on the same PrivateTest rows, given the 48×48 picture; measured for this project."""

BINS = 15


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


def calibration_error(truth: NDArray[np.int64], probabilities: NDArray[np.float32], bins: int = BINS) -> float:
    """ECE (Naeini et al. 2015; Guo et al. 2017): mean gap between confidence and accuracy over equal bins, weighted by count."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    total = np.bincount(which, minlength=bins)
    gaps = np.abs(np.bincount(which, confidence, minlength=bins) - np.bincount(which, right, minlength=bins))
    return float(gaps[total > 0].sum() / max(1, len(truth)))


def bootstrap(
    truth: NDArray[np.int64], said: NDArray[np.int64], classes: int, *, rounds: int = 1000, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """95 % intervals of accuracy, macro_f1 and balanced_accuracy: percentiles over pictures drawn again with replacement."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[float]] = {"accuracy": [], "macro_f1": [], "balanced_accuracy": []}
    for _ in range(rounds):
        drawn = rng.integers(0, len(truth), len(truth))
        scores = class_scores(truth[drawn], said[drawn], classes)
        for name, values in found.items():
            values.append(scores[name])
    return {name: (float(np.percentile(v, 2.5)), float(np.percentile(v, 97.5))) for name, v in found.items()}


def human_line(votes: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    """How often one rater agrees with the majority of the others, over the pictures that count under the strict protocol.

    votes (N, 10), truth (N,) with -1 for pictures that do not count. Each vote in turn is taken out and compared with the
    most-voted of the rest; where that is a tie the vote is worth its share of it.
    """
    votes = votes[truth >= 0].astype(np.float64)
    agreed = np.zeros(len(votes))
    for column in range(votes.shape[1]):
        others = votes.copy()
        others[:, column] -= 1
        top = others.max(axis=1)
        agreed += votes[:, column] * (others[:, column] >= top) / (others == top[:, None]).sum(axis=1)
    return float((agreed / votes.sum(axis=1)).mean())


def evaluate(
    probabilities: NDArray[np.float32], faces: FaceSet, protocol: str, *, rounds: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """All figures of DESIGN's protocol for probabilities (N, K) over the faces of one split, as plain JSON values.

    `ferplus-strict` adds the cross-entropy to the raters' votes, its floor (their own entropy) and the human line.
    Raises `ValueError` for a protocol that does not exist.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"no protocol {protocol!r}; known: {', '.join(PROTOCOLS)}")
    labels = PROTOCOLS[protocol]
    truth = faces.fer2013 if protocol == "fer2013" else strict_labels(faces.votes)
    counts = truth >= 0
    if not counts.any():
        raise DataError(f"no picture counts under the protocol {protocol}; wanted labels, but all {len(truth)} rows are without")
    said = probabilities.argmax(axis=1)
    found = class_scores(truth[counts], said[counts], len(labels))
    result: dict[str, Any] = {
        "protocol": protocol,
        "labels": list(labels),
        "n": found["n"],
        "accuracy": found["accuracy"],
        "macro_f1": found["macro_f1"],
        "balanced_accuracy": found["balanced_accuracy"],
        "one_vs_rest_accuracy": found["one_vs_rest_accuracy"],
        "ece": calibration_error(truth[counts], probabilities[counts]),
        "interval": {k: list(v) for k, v in bootstrap(truth[counts], said[counts], len(labels), rounds=rounds, seed=seed).items()},
        "precision": {name: float(v) for name, v in zip(labels, found["precision"], strict=True)},
        "recall": {name: float(v) for name, v in zip(labels, found["recall"], strict=True)},
        "f1": {name: float(v) for name, v in zip(labels, found["f1"], strict=True)},
        "confusion": found["confusion"].tolist(),
    }
    if protocol == "ferplus-strict":
        targets, usable = vote_targets(faces.votes)
        chosen = counts & usable
        goal, given = targets[chosen].astype(np.float64), np.clip(probabilities[chosen].astype(np.float64), 1e-9, 1)
        result["cross_entropy_to_votes"] = float(-(goal * np.log(given)).sum(axis=1).mean())
        result["cross_entropy_floor"] = float(-(goal * np.log(np.where(goal > 0, goal, 1))).sum(axis=1).mean())
        result["human_line"] = human_line(faces.votes, truth)
    return result


def head_for(bundle: Bundle, protocol: str) -> str:
    """The bundle's head that speaks the protocol's labels. Raises `DataError` where there is none."""
    if protocol not in PROTOCOLS:
        raise ValueError(f"no protocol {protocol!r}; known: {', '.join(PROTOCOLS)}")
    for head in bundle.spec.heads:
        if head.labels == PROTOCOLS[protocol]:
            return head.name
    raise DataError(f"{bundle.spec.name} has no head with the labels of {protocol} ({', '.join(PROTOCOLS[protocol])})")


def evaluate_bundle(
    bundle: Bundle,
    data: Path,
    protocol: str,
    *,
    split: str = "PrivateTest",
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """A bundle on the faces in `data` (a folder with fer2013.csv and fer2013new.csv), as it is and with flip averaging.

    The crops are those of `mien.training.data`: framed by landmarks, whole where none are found. `end_to_end` is the accuracy of
    the whole pipeline instead: the picture enlarged to 192 pixels is given to the detector with its default settings, and a
    picture in which it finds nobody counts as wrong.
    """
    head = head_for(bundle, protocol)
    model = Expressions(bundle, head=head)
    align = bool(bundle.spec.recipe.get("align", True))
    faces = load_faces(data, bundle.spec.crop, align=align, progress=progress).of(split)
    result: dict[str, Any] = {"model": bundle.spec.name, "sha256": bundle.spec.sha256, "split": split}
    result |= evaluate(model(faces.crops), faces, protocol)
    flipped = evaluate(Expressions(bundle, head=head, flip=True)(faces.crops), faces, protocol, rounds=1)
    result["flip_average"] = {k: flipped[k] for k in ("accuracy", "macro_f1", "balanced_accuracy", "ece")}
    truth = faces.fer2013 if protocol == "fer2013" else strict_labels(faces.votes)
    result["end_to_end"] = _end_to_end(model, data, split, truth)
    if split == "PrivateTest":
        result["peers"] = {name: accuracy for name, accuracy in PEERS[protocol]}
    return result


@functools.lru_cache(maxsize=2)
def _pictures(path: Path, split: str) -> NDArray[np.uint8]:
    """The whole pictures of one split; reading the file takes ten seconds, and two protocols want the same."""
    pictures, _, splits = read_fer2013(path)
    return np.asarray(pictures[splits == split], dtype=np.uint8)


def _end_to_end(model: Expressions, data: Path, split: str, truth: NDArray[np.int64]) -> dict[str, Any]:
    """Whole pictures through detector, crop and network."""
    pictures = _pictures(data / "fer2013.csv", split)
    detector = YuNet()
    crop: CropSpec = model.crop
    found = right = counted = 0
    for picture, label in zip(pictures, truth, strict=True):
        if label < 0:
            continue
        counted += 1
        large = cv2.resize(picture, (4 * SIDE, 4 * SIDE), interpolation=cv2.INTER_CUBIC)
        rgb = np.repeat(large[:, :, None], 3, axis=2)
        faces = detector(rgb)
        if len(faces):
            found += 1
            best = int(((faces.boxes[:, 2:] - faces.boxes[:, :2]).prod(axis=1)).argmax())
            right += int(model(crop_faces(rgb, faces[[best]], crop)).argmax() == label)
    return {"n": counted, "detected": found, "accuracy": right / max(1, counted)}
