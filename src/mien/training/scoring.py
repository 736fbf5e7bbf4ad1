"""What a finished run says of faces that it has not learnt from, and how big and how fast its network is.

RUN/training.json    scores on the Training faces that it has learnt from, best epoch, nothing dropped out or changed
RUN/public.json      the same on PublicTest
RUN/private.json     the same on PrivateTest, with intervals; once it is there it is read, and PrivateTest is not touched again
RUN/confusion.csv    PrivateTest, first head: a row per class of what it is, a column per class of what was said
RUN/confusion.png    the same as a picture
RUN/network.json     parameters, seconds per picture on one thread
RUN/svm.json         scores of a linear SVM on the features of the best epoch's network, where that was asked for
RUN/epochs.json      scores on all three splits after each epoch that the recipe's `keep` names
"""

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mien.emotion import network_input
from mien.errors import DataError
from mien.training.data import FaceSet, load_faces
from mien.training.evaluate import bootstrap, class_scores, cross_entropy
from mien.training.layers import count_parameters
from mien.training.pictures import confusion_picture, write_confusion_csv
from mien.training.recipe import Recipe
from mien.training.run_folder import kept_epoch, read_json, write_json
from mien.training.train import averaged_network, averaged_weights, learnt_rows, run_recipe

SCORES = {"Training": "training.json", "PublicTest": "public.json", "PrivateTest": "private.json"}
"""Split → the file in the run folder that keeps its scores."""

_LOOKS = 30


def score_run(run: Path, data: Path, split: str, *, layout: str = "auto") -> dict[str, Any]:
    """The scores of a run's best epoch on one split, by head; out of the run folder where they were worked out before.

    Each head has n, labels, accuracy, balanced_accuracy, macro_f1, one_vs_rest_accuracy, loss (cross-entropy), interval (95 %,
    bootstrap over pictures), precision, recall, f1, confusion, and `right`, a digit per picture that counts: 1 where the network
    was right. Raises `DataError` for a folder that is no run, and where no picture of the split counts.
    """
    kept = run / SCORES[split]
    if kept.is_file():
        return read_json(kept)
    recipe = run_recipe(run)
    network = averaged_network(run)
    faces = _faces(recipe, data, split, layout)
    said = logits(network, recipe, faces)
    found: dict[str, Any] = {"split": split, "heads": {head: _scores(head, faces, said[head], data) for head in recipe.heads}}
    if split == "PrivateTest":
        shown = found["heads"][next(iter(recipe.heads))]
        counts = np.array(shown["confusion"], dtype=np.int64)
        write_confusion_csv(counts, shown["labels"], run / "confusion.csv")
        told = f"{recipe.name}, PrivateTest: {100 * shown['accuracy']:.1f} % of {shown['n']:,}"
        confusion_picture(counts, shown["labels"], run / "confusion.png", title=told)
    write_json(kept, found)
    return found


def score_kept(run: Path, data: Path, *, layout: str = "auto") -> list[dict[str, Any]]:
    """A row for each epoch whose weights were kept, of the first head: epoch; by split n, accuracy, one_vs_rest_accuracy, loss.

    Out of epochs.json where they were worked out before. None of it chooses anything. Raises `DataError`, as `score_run`.
    """
    kept = run / "epochs.json"
    if kept.is_file():
        return list(read_json(kept)["epochs"])
    recipe, network = run_recipe(run), averaged_network(run)
    head = next(iter(recipe.heads))
    faces = {split: _faces(recipe, data, split, layout) for split in SCORES}
    rows: list[dict[str, Any]] = []
    for epoch in (number for number in recipe.keep if kept_epoch(run, number).is_file()):
        network.load_state_dict(averaged_weights(kept_epoch(run, epoch)))
        row: dict[str, Any] = {"epoch": epoch}
        for split, some in faces.items():
            scores = _scores(head, some, logits(network, recipe, some)[head], data)
            row[split] = {name: scores[name] for name in ("n", "accuracy", "one_vs_rest_accuracy", "loss")}
        rows.append(row)
    write_json(kept, {"head": head, "epochs": rows})
    return rows


def score_svm(run: Path, data: Path, *, layout: str = "auto") -> dict[str, Any]:
    """A linear one-vs-all SVM instead of the last layer of a run's best network: how it was chosen, and by split what it gives.

    Each split has n, accuracy and one_vs_rest_accuracy of the first head. It is fitted on the Training faces of the run, its C is
    chosen on PublicTest. Out of svm.json where it was worked out before. Raises `DataError`, `ModelError`.
    """
    from mien.training.svm import fit_svm

    kept = run / "svm.json"
    if kept.is_file():
        return read_json(kept)
    recipe, network = run_recipe(run), averaged_network(run)
    head = next(iter(recipe.heads))
    faces = {split: _faces(recipe, data, split, layout) for split in SCORES}
    fit = fit_svm(network, faces["Training"], faces["PublicTest"], head, mean=recipe.mean, std=recipe.std)
    found: dict[str, Any] = {"head": head, "fit": fit.to_json()}
    for split, some in faces.items():
        scores = _scores(head, some, logits(network, recipe, some)[head], data)
        found[split] = {name: scores[name] for name in ("n", "accuracy", "one_vs_rest_accuracy")}
    write_json(kept, found)
    return found


def _faces(recipe: Recipe, data: Path, split: str, layout: str) -> FaceSet:
    """The faces of a split; of Training those that a run of the recipe learns from."""
    faces = load_faces(data, recipe.crop, align=recipe.align, splits=(split,), layout=layout)
    recipe.learning(faces.names)  # of its own words, where it has learnt such
    return faces[learnt_rows(faces, recipe)] if split == "Training" else faces


def logits(network: nn.Module, recipe: Recipe, faces: FaceSet, *, batch: int = 256) -> dict[str, NDArray[np.float64]]:
    """What the network says of the faces: (N, K) by the head's name."""
    found: dict[str, list[NDArray[np.float64]]] = {head: [] for head in recipe.heads}
    with torch.inference_mode():
        for start in range(0, len(faces), batch):
            some = torch.from_numpy(network_input(faces.crops[start : start + batch], recipe.mean, recipe.std))
            for head, values in network(some.contiguous(memory_format=torch.channels_last)).items():
                found[head].append(values.double().numpy())
    return {head: np.concatenate(parts) if parts else np.zeros((0, len(recipe.labels_of(head)))) for head, parts in found.items()}


def _scores(head: str, faces: FaceSet, said: NDArray[np.float64], data: Path) -> dict[str, Any]:
    labels = faces.label_set(head)
    truth = faces.truth(head)
    counts = truth >= 0
    if not counts.any():
        raise DataError(f"{data}: wanted pictures with a label of {head} ({', '.join(labels)}) to judge by, but there is none")
    is_, says = truth[counts], said.argmax(axis=1)[counts]
    scores = class_scores(is_, says, len(labels))
    by_class = {name: dict(zip(labels, scores[name].tolist(), strict=True)) for name in ("precision", "recall", "f1")}
    return {
        "n": scores["n"],
        "labels": list(labels),
        **{name: scores[name] for name in ("accuracy", "balanced_accuracy", "macro_f1", "one_vs_rest_accuracy")},
        "loss": cross_entropy(said, faces.targets(head)),
        "interval": {name: list(ends) for name, ends in bootstrap(is_, says, len(labels)).items()},
        **by_class,
        "confusion": scores["confusion"].tolist(),
        "right": "".join("1" if right else "0" for right in says == is_),
    }


def measure_network(run: Path) -> dict[str, Any]:
    """How many parameters a run's network has, and how long one picture takes it on one thread; kept in network.json.

    seconds_per_picture is the median of 30 looks at one picture each, in seconds of the CPU, not of the clock: another program on
    the same core does not count.
    """
    kept = run / "network.json"
    if kept.is_file():
        return read_json(kept)
    recipe, network = run_recipe(run), averaged_network(run)
    channels = 1 if recipe.crop.colour == "gray" else 3
    picture = torch.rand(1, channels, recipe.crop.size, recipe.crop.size)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            times = []
            for _ in range(_LOOKS + 5):  # the first five find their memory
                begun = time.process_time()
                network(picture)
                times.append(time.process_time() - begun)
    finally:
        torch.set_num_threads(threads)
    found = {
        "network": recipe.network,
        "parameters": count_parameters(network),
        "seconds_per_picture": round(statistics.median(times[5:]), 6),
        "threads": 1,
    }
    write_json(kept, found)
    return found
