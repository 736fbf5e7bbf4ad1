"""A run folder, read: what `mien train` and `mien.training.scoring` left there. Needs no torch and no data."""

import csv
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.errors import DataError
from mien.training.recipe import Recipe, recipe_from
from mien.whole_file import whole_file

Scores = Mapping[str, Any]

LEARNT = 0.05
"""How far above the share of the most frequent class the accuracy of a network stands that has learnt anything."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """What is known of a run.

    facts      recipe.json: the recipe, versions, commit, how many faces it learnt from, the precision of its arithmetic,
               start_sha256 of published first weights
    epochs     metrics.csv, a row per finished epoch
    timing     timing.csv, likewise; seconds on the clock, of the CPU and of the GPU (None where there was none), device
    public     public.json, scores of the best epoch on PublicTest by head; None where they were not worked out
    private    private.json, likewise on PrivateTest
    network    network.json, parameters and seconds per picture; None where they were not measured
    training   training.json, as public, of the Training faces that it learnt from; with nothing dropped out or changed
    svm        svm.json, scores of an SVM on the features of its best network; None where that was not asked for
    kept       epochs.json, scores on all splits after the epochs that the recipe keeps; None where there are none
    """

    path: Path
    recipe: Recipe
    facts: Mapping[str, Any]
    epochs: tuple[Mapping[str, float], ...]
    timing: tuple[Mapping[str, Any], ...]
    public: Scores | None
    private: Scores | None
    network: Mapping[str, Any] | None
    training: Scores | None = None
    kept: Mapping[str, Any] | None = None
    svm: Mapping[str, Any] | None = None

    @property
    def head(self) -> str:
        """The head that tables show: the first of the recipe."""
        return next(iter(self.recipe.heads))

    @property
    def planned(self) -> int:
        """How many epochs the recipe asks for."""
        return sum(stage.epochs for stage in self.recipe.parts)

    @property
    def best(self) -> Mapping[str, float]:
        """The row of the epoch with the best score on PublicTest: of several, the first. Raises `DataError` before there is one."""
        if not self.epochs:
            raise DataError(f"{self.path}: has no finished epoch yet")
        return max(self.epochs, key=lambda row: row["score"])

    @property
    def stage_ends(self) -> list[int]:
        """The epoch at which each stage ended that is at its end: after all its epochs, or by its early stop."""
        return ended_stages(self.recipe, [row["score"] for row in self.epochs])

    @property
    def stage_bests(self) -> list[Mapping[str, float]]:
        """The row of the epoch with the best score of each stage that is at its end: of several, the first."""
        ends = self.stage_ends
        return [max(self.epochs[begun:end], key=lambda row: row["score"]) for begun, end in zip([0, *ends], ends, strict=False)]

    @property
    def finished(self) -> bool:
        """Whether the run is at its end: all its stages, each as long as its early stop let it."""
        return len(self.stage_ends) == len(self.recipe.parts)

    @property
    def stuck(self) -> str:
        """What it says most often, where it has learnt nothing: where its accuracy is less than 5 points above the share of the
        most frequent class. Empty where it has learnt, and where it was not scored.
        """
        if (scores := self.public or self.private) is None:
            return ""
        own = scores["heads"][self.head]
        of_class = [sum(row) for row in own["confusion"]]
        frequent = max(of_class) / sum(of_class)
        if own["accuracy"] >= frequent + LEARNT:
            return ""
        said = [sum(column) for column in zip(*own["confusion"], strict=True)]
        return str(own["labels"][said.index(max(said))])

    def epoch_seconds(self, name: str) -> float | None:
        """The median of a column of timing.csv ("seconds", "cpu_seconds", "gpu_seconds"); None where it was not taken."""
        values = [row[name] for row in self.timing if row.get(name) is not None]
        return statistics.median(values) if values else None


def ended_stages(recipe: Recipe, scores: Sequence[float]) -> list[int]:
    """The epoch at which each stage ended, of those that did, by the scores of the run's epochs so far.

    A stage ends after its epochs, or after `recipe.stop_after` of them in a row without a better score than the best of its own.
    """
    ends: list[int] = []
    begun = best = 0  # numbers of epochs; the score of epoch n is scores[n - 1]
    for epoch in range(1, len(scores) + 1):
        if len(ends) == len(recipe.parts):
            break
        if best == begun or scores[epoch - 1] > scores[best - 1]:
            best = epoch
        if epoch - begun == recipe.parts[len(ends)].epochs or (recipe.stop_after and epoch - best >= recipe.stop_after):
            ends.append(epoch)
            begun = best = epoch
    return ends


def kept_epoch(run: Path, epoch: int) -> Path:
    """The file of the weights that a run kept after an epoch, see the recipe's `keep`."""
    return run / f"epoch-{epoch}.ckpt"


def read_run(path: Path) -> RunFolder:
    """A run folder with at least its recipe.json. Raises `DataError` that names the file and the row."""
    facts = read_json(path / "recipe.json")
    if not isinstance(facts.get("recipe"), dict):
        raise DataError(f"{path / 'recipe.json'}: wanted the key recipe with the recipe of the run")
    numbers: list[dict[str, float]] = []
    for number, row in enumerate(read_rows(path / "metrics.csv"), start=2):
        numbers.append({name: _number(value, path / "metrics.csv", number, name) for name, value in row.items()})
        if not {"epoch", "score"} <= set(row):
            raise DataError(f"{path / 'metrics.csv'}: wanted the columns epoch and score, but got {', '.join(row)}")
    times: list[dict[str, Any]] = []
    for number, row in enumerate(read_rows(path / "timing.csv"), start=2):
        seconds = {k: _number(v, path / "timing.csv", number, k) if v else None for k, v in row.items() if k != "device"}
        times.append(seconds | {"device": row.get("device", "")})
    kept = {name: read_json(path / file) if (path / file).is_file() else None for name, file in _KEPT.items()}
    return RunFolder(path, recipe_from(facts["recipe"], str(path / "recipe.json")), facts, tuple(numbers), tuple(times), **kept)


_KEPT = {
    **{"training": "training.json", "public": "public.json", "private": "private.json"},
    **{"network": "network.json", "kept": "epochs.json", "svm": "svm.json"},
}
"""What is known of a run besides its recipe and its epochs: field of `RunFolder` → file in the folder."""


def read_rows(path: Path) -> list[dict[str, str]]:
    """metrics.csv or timing.csv as it is written, a row per epoch; none where there is no such file. Raises `DataError`."""
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise DataError(f"{path}, row {number}: wanted as many cells as the header has")
    return rows


def _number(text: str, path: Path, row: int, column: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise DataError(f"{path}, row {row}: wanted a number in {column}, but got {text!r}") from error


def read_json(path: Path) -> dict[str, Any]:
    """An object out of a file of a run folder. Raises `DataError`."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise DataError(f"{path}: wanted an object, but got {type(found).__name__}")
    return found


def write_json(path: Path, found: Mapping[str, Any]) -> None:
    """Whole or not at all, so that a kill leaves no half of it."""
    with whole_file(path) as part:
        part.write_text(json.dumps(found) + "\n", encoding="utf-8")
