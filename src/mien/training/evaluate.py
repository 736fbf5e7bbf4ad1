"""Figures of a classifier, each by its name, with N and intervals. numpy only: an evaluation needs no torch."""

import contextlib
import csv
import functools
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.cells import safe
from mien.crop import CropSpec, crop_faces
from mien.detect import Detector, YuNet
from mien.emotion import Expressions
from mien.errors import DataError
from mien.labels import FER2013, FERPLUS, FERPLUS_COLUMNS, convert
from mien.models import Bundle
from mien.training.data import SIDE, SPLITS, FaceSet, largest, load_faces, strict_labels, vote_targets
from mien.training.layouts import Listing, Row, find_layout, fingerprint, read_layout
from mien.types import MIN_RELIABILITY, Faces

PROTOCOLS: dict[str, tuple[str, ...]] = {"fer2013": FER2013, "ferplus-strict": FERPLUS}
"""Protocol → its labels. `fer2013`: every picture, single labels. `ferplus-strict`: see `mien.training.data.strict_labels`."""

SINGLE_LABELS = "labels"
"""The protocol for other data: every picture whose single label is one of the head's, whatever set that is."""

PROTOCOL_NAMES = (*PROTOCOLS, SINGLE_LABELS)

ALL_SPLITS = "all"
"""Instead of a split's name: the pictures of all splits, for data that no model here has seen."""

PEERS: dict[str, tuple[tuple[str, float], ...]] = {
    "fer2013": (("fer 25.10.3", 0.659), ("@vladmandic/human 3.3.6", 0.667), ("face-api 1.7.15", 0.591)),
    "ferplus-strict": (("fer 25.10.3", 0.670), ("@vladmandic/human 3.3.6", 0.664), ("face-api 1.7.15", 0.686)),
}
"""Accuracy of other tools' classifiers on the same PrivateTest rows, given the 48×48 picture; measured for this project."""

SKETCHES = {
    "PublicTest": (
        *("0018dd99363e9602", "004c75a546d7fa14", "00508db58f2ba3ca", "0062fa3d32979b17", "009ebb2e948ca2ba", "00b0690b12cf663f"),
        *("00d0dab6913afdb4", "0114b32eccbb9139", "011e3dd96bca7787", "012793b030975b70", "0145076ffddb44c6", "01711147bd26d2d7"),
    ),
    "PrivateTest": (
        *("002354b98cf14e9e", "00326ef69e62b859", "003c4267b3e42587", "0083b87e1cbcbdc7", "008788b888570cda", "008ba879501d345d"),
        *("00b2bef05bdab41a", "00c32083a1c0864f", "00d8783b37951a74", "00fa21ac8193b012", "010a1ec2ed814834", "010b088f41f50e26"),
    ),
}
"""Of FER2013: the twelve smallest hashes (BLAKE2b, 8 bytes) of the pictures of a split."""

ALIKE = 10
"""So many of the twelve make a split FER2013's: some copies of it have a few pictures of another compression."""

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
        "one_vs_rest_accuracy": one_vs_rest(accuracy, classes),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "confusion": counts,
    }


def one_vs_rest(accuracy: float, classes: int) -> float:
    """P0's formula (3), which counts the true negatives of every class: 1 − 2 (1 − accuracy) / K."""
    return 1 - 2 * (1 - accuracy) / classes


def cross_entropy(logits: NDArray[np.floating], targets: NDArray[np.floating]) -> float:
    """Mean cross-entropy in nats of softmax(logits) to `targets`, both (N, K); rows of zeros in `targets` do not count."""
    z = logits.astype(np.float64)
    z = z - z.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return float(-(targets * log_p).sum() / max(1.0, float(targets.sum())))


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


def wilson(right: int, n: int) -> tuple[float, float]:
    """95 % interval of a share, `right` of `n` (Wilson 1927); from 0 to 1 where n is 0."""
    if not n:
        return 0.0, 1.0
    z, p = 1.959964, right / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)))
    return (middle - half if right else 0.0), (middle + half if right < n else 1.0)


def reliability(truth: NDArray[np.int64], probabilities: NDArray[np.float32], bins: int = BINS) -> NDArray[np.float64]:
    """(bins, 5): how many pictures fall into each bin of confidence, their mean confidence, their accuracy and its 95 % interval.

    NaN where a bin is empty.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == truth
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    rows = np.full((bins, 5), np.nan)
    for i in range(bins):
        here = which == i
        rows[i, 0] = here.sum()
        if here.any():
            rows[i, 1:] = confidence[here].mean(), right[here].mean(), *wilson(int(right[here].sum()), int(here.sum()))
    return rows


COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
"""Shares of the readings, the most reliable first, of which `risk_coverage` says how many are right."""


def auroc(score: NDArray[np.floating], right: NDArray[np.bool_]) -> float:
    """How often a right reading has a higher score than a wrong one, equal ones counting half; .5 where all or none are right."""
    good = int(right.sum())
    if not 0 < good < len(right):
        return 0.5
    _, place, many = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(many) - (many - 1) / 2)[place]
    return float((ranks[right].sum() - good * (good + 1) / 2) / (good * (len(right) - good)))


def risk_coverage(reliability: NDArray[np.floating], right: NDArray[np.bool_]) -> dict[str, Any]:
    """What becomes of the errors where only the most reliable of N ≥ 1 readings are taken (El-Yaniv and Wiener 2010).

    curve  for each of `COVERAGES`: coverage, n, least (the lowest reliability that is taken) and accuracy
    area   mean share wrong over all coverages from 1/N to 1, less than the share wrong of all by how well right and wrong are told
           apart
    """
    order = np.argsort(-reliability, kind="stable")
    wrong = np.cumsum(~right[order]) / np.arange(1, len(order) + 1)
    curve = []
    for coverage in COVERAGES:
        n = max(1, round(coverage * len(order)))
        least = float(reliability[order[n - 1]])
        curve.append({"coverage": coverage, "n": n, "least": least, "accuracy": float(1 - wrong[n - 1])})
    return {"curve": curve, "area": float(wrong.mean())}


def trust(reliability: NDArray[np.floating], largest: NDArray[np.floating], right: NDArray[np.bool_]) -> dict[str, Any]:
    """How far the reliability of N ≥ 1 readings says which are right, beside their largest probability.

    mean              of the reliability, to be set beside the accuracy
    auroc, auroc_of_largest
    relied_on         share with `MIN_RELIABILITY` or more        accuracy_relied_on  of these, None without any
    risk_coverage     see `risk_coverage`                          area_of_largest     the same area by the largest probability
    """
    taken = reliability >= MIN_RELIABILITY
    return {
        "mean": float(reliability.mean()),
        "auroc": auroc(reliability, right),
        "auroc_of_largest": auroc(largest, right),
        "relied_on": float(taken.mean()),
        "accuracy_relied_on": float(right[taken].mean()) if taken.any() else None,
        "risk_coverage": risk_coverage(reliability, right),
        "area_of_largest": risk_coverage(largest, right)["area"],
    }


def false_neutral(truth: NDArray[np.int64], said: NDArray[np.int64], labels: Sequence[str]) -> tuple[int, int]:
    """How many pictures that are not neutral were called neutral, and how many are not neutral. 0 of 0 without the label."""
    if "neutral" not in labels:
        return 0, 0
    neutral = list(labels).index("neutral")
    others = truth != neutral
    return int((said[others] == neutral).sum()), int(others.sum())


class Labelled(Protocol):
    """A `FaceSet`, or a `layouts.Listing` whose pictures are not read yet."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def labels(self) -> NDArray[np.int64]: ...

    @property
    def votes(self) -> NDArray[np.int64]: ...


def truth_for(faces: Labelled, protocol: str, labels: Sequence[str]) -> NDArray[np.int64]:
    """(N,) index into `labels` of what each face counts as under a protocol, -1 where it does not count.

    Raises `ValueError` for a protocol that does not exist, or labels that are not its own.
    """
    if protocol not in PROTOCOL_NAMES:
        raise ValueError(f"no protocol {protocol!r}; known: {', '.join(PROTOCOL_NAMES)}")
    if tuple(labels) != PROTOCOLS.get(protocol, tuple(labels)):
        raise ValueError(f"the labels of {protocol} are {', '.join(PROTOCOLS[protocol])}, but got {', '.join(labels)}")
    if protocol == "ferplus-strict":
        return strict_labels(faces.votes)
    place = [list(labels).index(name) if name in labels else -1 for name in faces.names]
    return np.array([*place, -1], dtype=np.int64)[faces.labels]  # label -1 takes the last, which is -1


def evaluate(
    probabilities: NDArray[np.float32],
    faces: FaceSet,
    protocol: str,
    *,
    labels: Sequence[str] | None = None,
    rounds: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """All figures of DESIGN's protocol for probabilities (N, K) over the faces of one split, as plain JSON values.

    `labels` are the columns' names; the protocol `labels` needs them, the others have their own. `ferplus-strict` adds the
    cross-entropy to the raters' votes, its floor (their own entropy), the human line, macro-F1 over the seven expressions besides
    contempt, and the near-neutral pictures: those with at least three votes of ten for neutral.

    Raises `ValueError` for a protocol that does not exist or labels that do not fit, `DataError` where no picture counts.
    """
    names = tuple(labels or PROTOCOLS.get(protocol, ()))
    truth = truth_for(faces, protocol, names)
    if probabilities.shape != (len(faces), len(names)):
        wanted = f"({len(faces)}, {len(names)}) for the labels {', '.join(names) or '(none given)'}"
        raise ValueError(f"probabilities must have shape {wanted}, but got {probabilities.shape}")
    counts = truth >= 0
    if not counts.any():
        have = (
            f"labels are {', '.join(faces.names) or 'none'}" if protocol == SINGLE_LABELS else f"all {len(truth)} rows are without"
        )
        raise DataError(f"no picture counts under the protocol {protocol}; wanted labels, but {have}")
    is_, given = truth[counts], probabilities[counts].astype(np.float64)
    said = given.argmax(axis=1)
    found = class_scores(is_, said, len(names))
    one_hot = is_[:, None] == np.arange(len(names))
    wrongly, others = false_neutral(is_, said, names)
    result: dict[str, Any] = {
        "protocol": protocol,
        "labels": list(names),
        "n": found["n"],
        "support": {name: int(n) for name, n in zip(names, found["confusion"].sum(axis=1), strict=True)},
        "accuracy": found["accuracy"],
        "macro_f1": found["macro_f1"],
        "balanced_accuracy": found["balanced_accuracy"],
        "one_vs_rest_accuracy": found["one_vs_rest_accuracy"],
        "ece": calibration_error(is_, probabilities[counts]),
        "brier": float(((given - one_hot) ** 2).sum(axis=1).mean()),
        "nll": float(-np.log(np.clip(given[one_hot], 1e-9, 1)).mean()),
        "interval": {k: list(v) for k, v in bootstrap(is_, said, len(names), rounds=rounds, seed=seed).items()},
        "precision": {name: float(v) for name, v in zip(names, found["precision"], strict=True)},
        "recall": {name: float(v) for name, v in zip(names, found["recall"], strict=True)},
        "f1": {name: float(v) for name, v in zip(names, found["f1"], strict=True)},
        "confusion": found["confusion"].tolist(),
    }
    if others and "neutral" in names:
        result["false_neutral"] = {"n": others, "rate": wrongly / others}
    if protocol == "ferplus-strict":
        result |= _against_votes(probabilities, faces.votes, truth)
        seven = [i for i, name in enumerate(names) if name in FER2013 and result["support"][name]]
        result["macro_f1_without_contempt"] = float(found["f1"][seven].mean()) if seven else 0.0
    return result


def _against_votes(probabilities: NDArray[np.float32], votes: NDArray[np.int64], truth: NDArray[np.int64]) -> dict[str, Any]:
    targets, usable = vote_targets(votes)
    counts = truth >= 0
    chosen = counts & usable
    goal, given = targets[chosen].astype(np.float64), np.clip(probabilities[chosen].astype(np.float64), 1e-9, 1)
    neutral = votes[:, FERPLUS_COLUMNS.index("neutral")]
    near = counts & (10 * neutral >= 3 * votes.sum(axis=1))
    said = probabilities[near].argmax(axis=1)
    wrongly, others = false_neutral(truth[near], said, FERPLUS)
    return {
        "cross_entropy_to_votes": float(-(goal * np.log(given)).sum(axis=1).mean()),
        "cross_entropy_floor": float(-(goal * np.log(np.where(goal > 0, goal, 1))).sum(axis=1).mean()),
        "human_line": human_line(votes, truth),
        "near_neutral": {
            "n": int(near.sum()),
            "accuracy": float((said == truth[near]).mean()) if near.any() else 0.0,
            "not_neutral": others,
            "false_neutral": wrongly / max(1, others),
        },
    }


def head_for(bundle: Bundle, protocol: str, names: Sequence[str] = ()) -> str:
    """The bundle's head that speaks the protocol's labels. Raises `DataError` where there is none.

    Under the protocol `labels`: the head that knows most of the `names` that occur in the data, of several the one with the fewest
    labels besides, of those the first.
    """
    if protocol not in PROTOCOL_NAMES:
        raise ValueError(f"no protocol {protocol!r}; known: {', '.join(PROTOCOL_NAMES)}")
    heads = bundle.spec.heads
    if protocol == SINGLE_LABELS:
        known = [len(set(head.labels) & set(names)) for head in heads]
        best = max(range(len(heads)), key=lambda i: (known[i], -len(heads[i].labels), -i))
        if names and not known[best]:
            raise DataError(f"{bundle.spec.name} has no head with any of the labels of the data ({', '.join(names)})")
        return heads[best].name
    for head in heads:
        if head.labels == PROTOCOLS[protocol]:
            return head.name
    raise DataError(f"{bundle.spec.name} has no head with the labels of {protocol} ({', '.join(PROTOCOLS[protocol])})")


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a model said of the faces of one split.

    faces          N of them
    labels         K names
    truth          (N,) int64, index into `labels`, -1 for a face that does not count under the protocol
    probabilities  (N, K) float32
    reliability    (N,) float32, see `mien.reliability`; NaN where the model does not say
    """

    faces: FaceSet
    labels: tuple[str, ...]
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    reliability: NDArray[np.float32]

    def __post_init__(self) -> None:
        n, k = len(self.faces), len(self.labels)
        given = (self.truth.shape, self.probabilities.shape, self.reliability.shape)
        if given != ((n,), (n, k), (n,)):
            raise ValueError(f"truth, probabilities and reliability must have shape ({n},), ({n}, {k}) and ({n},), but got {given}")


def evaluate_bundle(
    bundle: Bundle,
    data: Path,
    protocol: str,
    *,
    split: str = "PrivateTest",
    layout: str = "auto",
    head: str | None = None,
    prior: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """A bundle on the faces in `data`, as it is and with flip averaging: what `measure` gives, without the answers."""
    return measure(bundle, data, protocol, split=split, layout=layout, head=head, prior=prior, progress=progress)[0]


def measure(
    bundle: Bundle,
    data: Path,
    protocol: str,
    *,
    split: str = "PrivateTest",
    layout: str = "auto",
    head: str | None = None,
    prior: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, Any], Answers]:
    """Figures of a bundle on the faces of one split (or of `ALL_SPLITS`), and its answers.

    data, layout  where the faces lie and how, as `load_faces` has them
    head, prior   which of the bundle's label sets, and how its decisions lean; by default the one that fits, as it was tuned

    The crops are those of `mien.training.data`: framed by landmarks, whole where none are found. `end_to_end` is the accuracy of
    the whole pipeline instead: the picture, enlarged to 192 pixels if it is smaller, is given to the detector with its default
    settings, and a picture in which it finds nobody counts as wrong. Raises `DataError`, `ModelError`.
    """
    every = _framed_for(bundle, data, layout, progress)
    faces = _those_of(every, split, data)
    fresh = ~stand_among(faces, every.of("Training")) if split in ("PublicTest", "PrivateTest") else None
    del every  # some hundred megabytes of FER2013, of which the split is a tenth
    head = head or head_for(bundle, protocol, occurring(faces))
    model = Expressions(bundle, head=head, prior=prior)
    probabilities, reliable = model.read(faces.crops)
    result: dict[str, Any] = {"model": bundle.spec.name, "sha256": bundle.spec.sha256, "split": split}
    result |= evaluate(probabilities, faces, protocol, labels=model.labels)
    if protocol == SINGLE_LABELS:
        result |= {"head": head, "left_out": len(faces) - result["n"]}
    if prior is not None:
        result["prior"] = prior
    flipped = Expressions(bundle, head=head, prior=prior, flip=True)(faces.crops)
    with_flip = evaluate(flipped, faces, protocol, labels=model.labels, rounds=1)
    result["flip_average"] = {k: with_flip[k] for k in ("accuracy", "macro_f1", "balanced_accuracy", "ece")}
    truth = truth_for(faces, protocol, model.labels)
    counts = truth >= 0
    if not np.isnan(reliable[counts]).any():
        right = probabilities[counts].argmax(axis=1) == truth[counts]
        result["reliability"] = trust(reliable[counts], probabilities[counts].max(axis=1), right)
    if fresh is not None and (counts & fresh).any():
        unseen = evaluate(probabilities[fresh], faces[fresh], protocol, labels=model.labels, rounds=1)
        result["without_duplicates"] = {k: unseen[k] for k in ("n", "accuracy", "macro_f1")}
    result["end_to_end"] = _end_to_end(model, whole_pictures(data, layout, faces[counts]), truth[counts])
    if split == "PrivateTest" and protocol in PEERS and is_fer2013(data, layout, (split,)):
        result["peers"] = {name: accuracy for name, accuracy in PEERS[protocol]}
    return result, Answers(faces, model.labels, truth, probabilities, reliable)


def faces_of(
    bundle: Bundle, data: Path, *, split: str, layout: str = "auto", progress: Callable[[int, int], None] | None = None
) -> FaceSet:
    """The faces of one split (or of `ALL_SPLITS`), framed as the bundle wants them. Raises `DataError` where there are none."""
    return _those_of(_framed_for(bundle, data, layout, progress), split, data)


def _framed_for(bundle: Bundle, data: Path, layout: str, progress: Callable[[int, int], None] | None) -> FaceSet:
    align = bool(bundle.spec.recipe.get("align", True))
    return load_faces(data, bundle.spec.crop, align=align, layout=layout, progress=progress)


def _those_of(faces: FaceSet, split: str, data: Path) -> FaceSet:
    chosen = faces if split == ALL_SPLITS else faces.of(split)
    if not len(chosen):
        have = ", ".join(f"{name} ({n:,})" for name in SPLITS if (n := int((faces.split == name).sum())))
        raise DataError(f"{data}: has no picture in the split {split}; it has {have}; --split all takes every one")
    return chosen


def stand_among(faces: FaceSet, others: FaceSet) -> NDArray[np.bool_]:
    """(N,) which faces are, pixel for pixel, also among `others`. Of FER2013's PublicTest 280 stand in Training."""
    known = {crop.tobytes() for crop in others.crops}
    return np.array([crop.tobytes() in known for crop in faces.crops], dtype=bool)


def occurring(faces: Labelled) -> tuple[str, ...]:
    """The emotions that some face has as its single label, in the order of `names`."""
    there = set(faces.labels.tolist())
    return tuple(name for i, name in enumerate(faces.names) if i in there)


def is_fer2013(data: Path, layout: str = "auto", splits: Sequence[str] = ("PublicTest", "PrivateTest")) -> bool:
    """Whether the pictures of one of these splits are FER2013's: by the pictures themselves, not by what a table is called."""
    found = sketches(data, layout)
    return any(len(found[split] & set(SKETCHES[split])) >= ALIKE for split in splits)


def sketches(data: Path, layout: str = "auto") -> dict[str, frozenset[str]]:
    """Split → hashes of its pictures, of those splits that `SKETCHES` knows."""
    name = find_layout(data) if layout == "auto" else layout
    return _sketches(data, name, fingerprint(data, name))


@functools.lru_cache(maxsize=8)
def _sketches(data: Path, layout: str, stamp: str) -> dict[str, frozenset[str]]:
    def told(row: Row) -> str:
        try:
            picture = row.read()
        except DataError:  # whoever needs it says so
            return ""
        grey = picture if picture.ndim == 2 else picture[..., 0]
        return hashlib.blake2b(np.ascontiguousarray(grey).tobytes(), digest_size=8).hexdigest()

    rows = _listed(data, layout, stamp).rows
    return {split: frozenset(told(row) for row in rows if row.split == split) for split in SKETCHES}


# --- groups of people -------------------------------------------------------------------------------------------------------------


def read_groups(path: Path) -> dict[str, dict[str, str]]:
    """column → source → group, of a CSV file whose column `source` names pictures as answers.csv does and whose other columns each
    put them into groups. Raises `DataError`."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            columns = [name for name in table.fieldnames or () if name != "source"]
            if "source" not in (table.fieldnames or ()) or not columns:
                raise DataError(f"{path}: wanted a column source and at least one of groups, but got {table.fieldnames}")
            rows = list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV: {error}") from error
    return {name: {row["source"]: (row[name] or "").strip() for row in rows} for name in columns}


def group_rows(
    answers: Answers, groups: Mapping[str, Mapping[str, str]], *, rounds: int = 1000, seed: int = 0
) -> list[dict[str, Any]]:
    """How a model does on each group of people: a row for each column of `groups` and each group in it, in alphabetical order.

    column, group, n; accuracy, ece and, where the model says how reliable it is, coverage (share of readings with at least
    `MIN_RELIABILITY`) and accuracy_relied_on; each with its 95 % interval `<name>_interval` (bootstrap over the group's pictures).
    Pictures that are in no group of a column do not count there. Raises `DataError` where no picture is in any.
    """
    counts = np.flatnonzero(answers.truth >= 0)
    sources = [answers.faces.source[i] for i in counts.tolist()]
    rows = []
    for column, of in groups.items():
        named = np.array([of.get(source, "") for source in sources], dtype=object)
        for group in sorted(set(named.tolist()) - {""}):
            here = counts[named == group]
            rows.append({"column": column, "group": group, "n": len(here)} | _group(answers, here, rounds, seed))
    if not rows:
        raise DataError(f"no picture that counts is in a group; sources are named as {sources[0] if sources else 'none'}")
    return rows


def _group(answers: Answers, rows: NDArray[np.int64], rounds: int, seed: int) -> dict[str, Any]:
    def figures(drawn: NDArray[np.int64]) -> dict[str, float | None]:
        truth, said, reliable = answers.truth[drawn], answers.probabilities[drawn], answers.reliability[drawn]
        right = said.argmax(axis=1) == truth
        found: dict[str, float | None] = {"accuracy": float(right.mean()), "ece": calibration_error(truth, said)}
        if not np.isnan(reliable).any():
            taken = reliable >= MIN_RELIABILITY
            found |= {"coverage": float(taken.mean()), "accuracy_relied_on": float(right[taken].mean()) if taken.any() else None}
        return found

    rng = np.random.default_rng(seed)
    again = [figures(rows[rng.integers(0, len(rows), len(rows))]) for _ in range(rounds)]
    result: dict[str, Any] = {}
    for name, value in figures(rows).items():
        known = [drawn for one in again if (drawn := one[name]) is not None]
        result[name] = value
        result[f"{name}_interval"] = [float(np.percentile(known, q)) for q in (2.5, 97.5)] if known else None
    return result


# --- whole pictures ---------------------------------------------------------------------------------------------------------------


def listed(data: Path, layout: str = "auto") -> Listing:
    """The pictures of a folder, not read yet. Listing FER2013 takes ten seconds, so the last two folders are remembered."""
    name = find_layout(data) if layout == "auto" else layout
    return _listed(data, name, fingerprint(data, name))


@functools.lru_cache(maxsize=2)
def _listed(data: Path, layout: str, stamp: str) -> Listing:
    return read_layout(data, layout)


def whole_pictures(data: Path, layout: str, faces: FaceSet) -> Iterator[NDArray[np.uint8]]:
    """The whole picture of each face as (H, W, 3) RGB, enlarged so that its longer side has at least 192 pixels."""
    rows: dict[str, Row] = {row.source: row for row in listed(data, layout).rows}
    for source in faces.source.tolist():
        yield enlarged(rows[source].read())


def enlarged(picture: NDArray[np.uint8], side: int = 4 * SIDE) -> NDArray[np.uint8]:
    """A picture (H, W) grey or (H, W, 3) RGB as (H, W, 3) RGB whose longer side has at least `side` pixels."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    if scale > 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    return np.repeat(picture[:, :, None], 3, axis=2) if picture.ndim == 2 else picture


def answer(model: Expressions, detector: Detector, rgb: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """(K,) probabilities for the largest face of a picture, None where the detector finds nobody."""
    found = largest_face(model.crop, detector, rgb)
    return None if found is None else np.asarray(model(found[1])[0], dtype=np.float32)


def largest_face(crop: CropSpec, detector: Detector, rgb: NDArray[np.uint8]) -> tuple[Faces, NDArray[np.uint8]] | None:
    """The largest face of a picture (H, W, 3) RGB and its crop as a network is given it, (1, S, S) or (1, S, S, 3); None where
    nobody is found."""
    faces = detector(rgb)
    if not len(faces):
        return None
    one = faces[[largest(faces)]]
    return one, crop_faces(rgb, one, crop)


def _end_to_end(model: Expressions, pictures: Iterator[NDArray[np.uint8]], truth: NDArray[np.int64]) -> dict[str, Any]:
    """Whole pictures through detector, crop and network."""
    detector = YuNet()
    found = right = 0
    for rgb, label in zip(pictures, truth.tolist(), strict=True):
        said = answer(model, detector, rgb)
        if said is not None:
            found += 1
            right += int(said.argmax() == label)
    return {"n": len(truth), "detected": found, "accuracy": right / max(1, len(truth))}


# --- several models, several data sets --------------------------------------------------------------------------------------------

TRAINED, CHOSEN = "trained on", "chosen on"
"""How a model knows the pictures that it is measured on."""


def seen(bundle: Bundle, data: Path, layout: str, split: str) -> str:
    """`TRAINED`, `CHOSEN` or "": what the pictures were to a bundle whose `data` names FER2013, where they are FER2013's.

    By the pictures and the bundle's own word; a model that does not say what it was trained on is not found out.
    """
    if "FER2013" not in bundle.spec.data or not is_fer2013(data, layout):
        return ""
    return {"Training": TRAINED, ALL_SPLITS: TRAINED, "PublicTest": CHOSEN}.get(split, "")


def cross_data(
    bundles: Sequence[Bundle],
    folders: Sequence[Path],
    protocol: str,
    *,
    split: str = "PrivateTest",
    layout: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Each model on each data set: a row for each pair, with accuracy, macro-F1, N and the emotions that were told apart.

    The figures of one data set are of the same pictures and the same emotions for all models: those that the protocol (or, under
    `labels`, the data) has and that every model knows. A model's other labels are left out by `labels.convert`, and pictures of
    others do not count. Raises `DataError` where fewer than two emotions are shared.
    """
    rows = []
    for folder in folders:
        first = faces_of(bundles[0], folder, split=split, layout=layout, progress=progress)
        names = PROTOCOLS.get(protocol) or occurring(first)
        heads = [head_for(bundle, SINGLE_LABELS, names) for bundle in bundles]
        known = [set(bundle.spec.head(head).labels) for bundle, head in zip(bundles, heads, strict=True)]
        shared = tuple(name for name in names if all(name in labels for labels in known))
        if len(shared) < 2:
            raise DataError(f"{folder}: wanted at least two emotions that all models know, but got {', '.join(shared) or 'none'}")
        for bundle, head in zip(bundles, heads, strict=True):
            faces = faces_of(bundle, folder, split=split, layout=layout, progress=progress)
            truth = _among(truth_for(faces, protocol, names), names, shared)
            counts = truth >= 0
            if not counts.any():
                raise DataError(f"{folder}: no picture counts under the protocol {protocol}, split {split}")
            model = Expressions(bundle, head=head)
            said = convert(model(faces.crops[counts]), model.labels, shared).argmax(axis=1)
            scores = class_scores(truth[counts], said, len(shared))
            interval = bootstrap(truth[counts], said, len(shared))
            rows.append(
                {
                    "model": bundle.spec.name,
                    "sha256": bundle.spec.sha256,
                    "data": str(folder),
                    "protocol": protocol,
                    "split": split,
                    "head": head,
                    "emotions": list(shared),
                    "n": scores["n"],
                    "accuracy": scores["accuracy"],
                    "macro_f1": scores["macro_f1"],
                    "interval": {name: list(interval[name]) for name in ("accuracy", "macro_f1")},
                    "seen": seen(bundle, folder, layout, split),
                }
            )
    return rows


def _among(truth: NDArray[np.int64], names: Sequence[str], shared: Sequence[str]) -> NDArray[np.int64]:
    """Indices into `names` as indices into `shared`, -1 for what is not there."""
    place = [list(shared).index(name) if name in shared else -1 for name in names]
    return np.array([*place, -1], dtype=np.int64)[truth]


# --- files ------------------------------------------------------------------------------------------------------------------------

CROSS_COLUMNS = (
    *("model", "sha256", "data", "protocol", "split", "head", "emotions", "n"),
    *("accuracy", "accuracy_low", "accuracy_high", "macro_f1", "macro_f1_low", "macro_f1_high", "seen"),
)


def write_cross_data(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """The rows of `cross_data` as CSV, a line for each model and data set."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(CROSS_COLUMNS)
        for row in rows:
            flat = row | {"emotions": " ".join(row["emotions"])}
            for name, (low, high) in row["interval"].items():
                flat |= {name: f"{row[name]:.4f}", f"{name}_low": f"{low:.4f}", f"{name}_high": f"{high:.4f}"}
            table.writerow([flat[name] for name in CROSS_COLUMNS])


def write_answers(answers: Answers, path: Path) -> None:
    """A line for each face: source, split, truth (empty where it does not count), what was said, a probability per label, and its
    reliability (empty where the model does not say)."""
    said = answers.probabilities.argmax(axis=1)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["source", "split", "truth", "said", *answers.labels, "reliability"])
        for i in range(len(answers.faces)):
            truth = answers.labels[answers.truth[i]] if answers.truth[i] >= 0 else ""
            chances = [f"{p:.5f}" for p in answers.probabilities[i].tolist()]
            sure = "" if np.isnan(answers.reliability[i]) else f"{answers.reliability[i]:.5f}"
            table.writerow([safe(answers.faces.source[i]), answers.faces.split[i], truth, answers.labels[said[i]], *chances, sure])


@contextlib.contextmanager
def results_folder(out: Path) -> Iterator[Path]:
    """A scratch folder whose files come into `out` when all is done, or not at all; what else lies in `out` stays.

    Raises `DataError` at once where `out` is a file.
    """
    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: is a file; wanted a folder for the results, or a name that is free")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
        yield Path(scratch)
        out.mkdir(exist_ok=True)
        for path in sorted(Path(scratch).iterdir()):
            if path.is_dir():  # an older one would not give way by itself
                shutil.rmtree(out / path.name, ignore_errors=True)
            path.replace(out / path.name)


GROUP_FIGURES = ("accuracy", "ece", "coverage", "accuracy_relied_on")


def write_groups(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """The rows of `group_rows` as CSV: column, group, n, each figure, ends of its interval; empty where there is none."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["column", "group", "n", *(f"{name}{end}" for name in GROUP_FIGURES for end in ("", "_low", "_high"))])
        for row in rows:
            cells = [[row.get(name), *(row.get(f"{name}_interval") or (None, None))] for name in GROUP_FIGURES]
            values = ["" if value is None else f"{value:.4f}" for cell in cells for value in cell]
            table.writerow([safe(row["column"]), safe(row["group"]), row["n"], *values])


def write_evaluation(figures: dict[str, Any], answers: Answers, out: Path) -> None:
    """Everything that `measure` found, into the folder `out`.

    figures.json, answers.csv (see `write_answers`), confusion.csv and .png, reliability.png, right.png and wrong.png; groups.csv
    where the figures have `groups`, risk_coverage.png where they have `reliability`.
    """
    from mien.training import pictures

    (out / "figures.json").write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write_answers(answers, out / "answers.csv")
    counts = answers.truth >= 0
    crops, truth, probabilities = answers.faces.crops[counts], answers.truth[counts], answers.probabilities[counts]
    what = f"{figures['model']} on {figures['split']}, {figures['protocol']}"
    matrix = np.array(figures["confusion"])
    pictures.write_confusion_csv(matrix, answers.labels, out / "confusion.csv")
    pictures.confusion_picture(matrix, answers.labels, out / "confusion.png", title=what)
    pictures.reliability_picture(reliability(truth, probabilities), out / "reliability.png", title=what, ece=figures["ece"])
    if "groups" in figures:
        write_groups(figures["groups"], out / "groups.csv")
    if "reliability" in figures:
        right_ones = probabilities.argmax(axis=1) == truth
        by = {"by reliability": answers.reliability[counts], "by the largest probability": probabilities.max(axis=1)}
        pictures.risk_coverage_picture(by, right_ones, out / "risk_coverage.png", title=what)
    for right, name in ((True, "right.png"), (False, "wrong.png")):
        pictures.answers_sheet(crops, truth, probabilities, answers.labels, out / name, right=right, title=what)
