"""An experiment: many runs from one TOML file, in one table, beside what a paper says of them. Needs no torch.

title, paper, about     what it is, where the figures come from, what the paper leaves open
base                    a recipe: a table, or the path of a file beside the experiment
seeds                   each row is trained once for each of these
[grid]                  key = list of values; every combination is a row. Keys of inner tables are written crop.size
[[runs]]                a row: name, keys of the recipe that differ from the base, seeds, the folder of its `data` within the one
                        that is given, whether an `svm` is scored on the finished network too, and under `claims` what the paper
                        says. With a grid beside them, every row is made with every combination
[scaled]                what --scaled changes in all rows (keys of a recipe, seeds), and `about`: what that leaves of the
                        paper's work. A row's own `scaled` goes before it
"""

import csv
import itertools
import re
import statistics
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from mien.errors import DataError
from mien.labels import FERPLUS
from mien.training.evaluate import one_vs_rest
from mien.training.recipe import Recipe, Stage, recipe_from
from mien.training.run_folder import RunFolder, read_json, read_run
from mien.whole_file import whole_file

CLAIMS: dict[str, tuple[type, ...]] = {
    "accuracy": (float,),
    "loss": (float,),
    "train_accuracy": (float,),
    "train_loss": (float,),
    "parameters": (int,),
    "epoch_seconds": (int, float),
    "epoch_seconds_gpu": (int, float),
    "time": (str,),
    "note": (str,),
    "first": (dict,),
    "last": (dict,),
    "stages": (list,),
    "precision": (dict,),
    "recall": (dict,),
}
"""What a row may say of its paper, and in which kind of value. Shares, not percent. Those from `first` on make tables of their own,
see `paper_tables`: figures of the first and the last epoch, accuracy after each stage, and by class."""

_OWN_TABLES = ("first", "last", "stages", "precision", "recall")

EPOCH_FIGURES = {"train_loss": "loss", "train_accuracy": "accuracy", "loss": "validation loss", "accuracy": "validation accuracy"}
"""Of an epoch: key of claims.first and claims.last → how P3 calls it."""

FAILURES = "failures.json"
"""Beside the run folders: why a run failed, by the folder's name."""

_TOP = ("title", "paper", "about", "base", "seeds", "grid", "runs", "scaled")
_ROW = ("name", "claims", "scaled", "seeds", "data", "svm")
_WHOLE = ("heads",)
"""Keys whose table is replaced, not mixed with the base's."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A run of an experiment: a row with one of its seeds.

    folder  its name below the experiment's folder
    data    of its faces, below the folder that is given; "" for that one itself
    svm     whether an SVM on the features of the finished network is scored beside it, see `scoring.score_svm`
    """

    row: str
    folder: str
    recipe: Recipe
    claims: Mapping[str, Any]
    data: str = ""
    svm: bool = False


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment as it is to be run. `scaled` says what was made smaller than in the file; empty where nothing was."""

    name: str
    title: str
    paper: str
    about: str
    scaled: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a cell: `run` where it has begun, `failure` where it did not come to its end."""

    cell: Cell
    run: RunFolder | None = None
    failure: str = ""

    @property
    def status(self) -> str:
        if self.failure:
            return "failed"
        if self.run is None or not self.run.epochs:
            return "waiting"
        return "finished" if self.run.finished else "stopped"


# --- the file ---------------------------------------------------------------------------------------------------------------------


def read_experiment(path: Path, *, scaled: bool = False, limit_epochs: int | None = None) -> Experiment:
    """An experiment from TOML. `scaled` applies its table of that name; `limit_epochs` lets no run be longer than that.

    Raises `DataError` that names the key for an unknown one or a wrong value, and where two rows would share a folder.
    """
    content = _toml(path)
    _known(content, _TOP, str(path))
    texts = {key: _typed(content.get(key, ""), str, f"{path}: {key}") for key in ("title", "paper", "about")}
    if not texts["title"]:
        raise DataError(f"{path}: wanted a title")
    base = content.get("base", {})
    if isinstance(base, str):
        base = _toml(path.parent / base)
    _typed(base, dict, f"{path}: base")
    rows = _rows(content, path)
    smaller = _typed(content.get("scaled", {}), dict, f"{path}: scaled") if scaled else {}
    if scaled and not smaller:
        raise DataError(f"{path}: has no table [scaled]; add one, or run it as it is")
    told = [_typed(smaller.get("about", ""), str, f"{path}: scaled.about")] if scaled else []
    cells = []
    for name, row in rows:
        where = f"{path}: {name}"
        own = _typed(row.get("scaled", {}), dict, f"{where}: scaled") if scaled else {}
        recipe = _merged(base, {k: v for k, v in row.items() if k not in _ROW})
        recipe = _merged(_merged(recipe, _without(smaller, "about", "seeds")), _without(own, "seeds"))
        seeds = next(s["seeds"] for s in (own, smaller, row, content, {"seeds": [1]}) if "seeds" in s)
        claims = _claims(row.get("claims", {}), where)
        data = _typed(row.get("data", ""), str, f"{where}: data")
        if type(svm := row.get("svm", False)) is not bool:
            raise DataError(f"{where}: svm must be true or false, but got {svm!r}")
        for seed in _seeds(seeds, where):
            folder = f"{name}-seed{seed}"
            made = recipe_from(recipe | {"name": folder, "seed": seed}, where)
            cells.append(Cell(name, folder, made if limit_epochs is None else _shortened(made, limit_epochs), claims, data, svm))
    if limit_epochs is not None:
        told.append(f"No run was longer than {limit_epochs} epoch{'s' if limit_epochs > 1 else ''}.")
    folders = [cell.folder for cell in cells]
    if twice := sorted({folder for folder in folders if folders.count(folder) > 1}):
        raise DataError(f"{path}: wanted rows with names of their own, but there are several {', '.join(twice)}")
    return Experiment(path.stem, texts["title"], texts["paper"], texts["about"], " ".join(t for t in told if t), tuple(cells))


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a TOML file: {error}") from error


def _known(table: Mapping[str, Any], names: Sequence[str], where: str) -> None:
    for key in table:
        if key not in names:
            raise DataError(f"{where}: unknown key {key!r}; known: {', '.join(names)}")


def _typed(value: Any, kind: type, where: str) -> Any:
    if type(value) is not kind:
        wanted = "text" if kind is str else "a table" if kind is dict else "a list"
        raise DataError(f"{where} must be {wanted}, but got {value!r}")
    return value


def _without(table: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in names}


def _rows(content: Mapping[str, Any], path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Name and table of each row: those listed, each with every combination of the grid."""
    listed = _typed(content.get("runs", []), list, f"{path}: runs")
    grid = dict(_leaves(_typed(content.get("grid", {}), dict, f"{path}: grid")))
    if not listed and not grid:
        raise DataError(f"{path}: wanted [grid] or [[runs]], but there is neither")
    for key, values in grid.items():
        if not _typed(values, list, f"{path}: grid.{key}"):
            raise DataError(f"{path}: grid.{key} must name at least one value")
    combinations = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    rows = []
    for i, row in enumerate(listed or [{}]):
        _typed(row, dict, f"{path}: runs[{i}]")
        for combination in combinations:
            parts = [_typed(row["name"], str, f"{path}: runs[{i}].name")] if "name" in row else []
            if listed and not parts:
                raise DataError(f"{path}: runs[{i}]: wanted a name")
            parts += [_in_name(key, value, path) for key, value in combination.items()]
            name = "-".join(parts)
            if not re.fullmatch(r"[A-Za-z0-9][\w.+=-]*", name, re.ASCII):
                raise DataError(f"{path}: a row's name becomes that of a folder; wanted letters, digits and ._-, but got {name!r}")
            rows.append((name, _merged(row, combination)))
    return rows


def _in_name(key: str, value: Any, path: Path) -> str:
    """("batch", 16) as "batch16"; of a network the name is enough."""
    if not isinstance(value, bool | int | float | str):
        raise DataError(f"{path}: grid.{key}: wanted plain values, but got {value!r}; rows that differ in tables go under [[runs]]")
    return str(value) if key == "network" else f"{key.rpartition('.')[2]}{value}"


def _leaves(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """`{"crop": {"size": […]}}` and `{"crop.size": […]}` both as ("crop.size", […])."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes`: tables are mixed, all else is replaced; a key `crop.size` stands for one within `crop`."""
    found = dict(base)
    for key, value in changes.items():
        outer, _, inner = key.partition(".")
        if inner:
            value = {inner: value}
        if isinstance(value, dict) and outer not in _WHOLE:
            before = found.get(outer, {})
            found[outer] = _merged(before if isinstance(before, dict) else {}, value)
        else:
            found[outer] = value
    return found


def _seeds(values: Any, where: str) -> list[int]:
    if not isinstance(values, list) or not values or not all(type(v) is int and v >= 0 for v in values):
        raise DataError(f"{where}: seeds must be a list of whole numbers of 0 or more, but got {values!r}")
    return values


def _claims(table: Any, where: str) -> dict[str, Any]:
    _known(_typed(table, dict, f"{where}: claims"), tuple(CLAIMS), f"{where}: claims")
    for key, value in table.items():
        if type(value) not in CLAIMS[key]:
            raise DataError(f"{where}: claims.{key} must be {CLAIMS[key][0].__name__}, but got {value!r}")
        shares = value
        if isinstance(value, dict):
            _known(value, tuple(EPOCH_FIGURES) if key in ("first", "last") else FERPLUS, f"{where}: claims.{key}")
            shares = list(value.values())
        if isinstance(shares, list) and not all(type(share) is float for share in shares):
            raise DataError(f"{where}: claims.{key} must hold figures such as 0.61, but got {value!r}")
    return dict(table)


def _shortened(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe with its last epochs left out. The rate of each stage falls (or stays) over what is left of it."""
    left: list[Stage] = []
    for stage in recipe.stages:
        room = epochs - sum(s.epochs for s in left)
        if room > 0:
            left.append(replace(stage, epochs=min(stage.epochs, room)))
    return replace(recipe, epochs=min(recipe.epochs, epochs), stages=tuple(left))


# --- its folders -----------------------------------------------------------------------------------------------------------------


def of_cell(run: RunFolder, cell: Cell) -> RunFolder:
    """`run`, which must be of the cell's recipe; a description is no part of that. Raises `DataError` otherwise."""
    if replace(run.recipe, description="") != replace(cell.recipe, description=""):
        wanted, given = cell.recipe.to_json(), run.recipe.to_json()
        changed = [key for key in wanted if wanted[key] != given[key]]
        raise DataError(f"{run.path}: was made with another recipe ({', '.join(changed)} differ); remove it or give another folder")
    return run


def read_result(cell: Cell, out: Path) -> Result:
    """What became of a cell, out of its run folder."""
    path = out / FAILURES
    failure = str(read_json(path).get(cell.folder, "")) if path.is_file() else ""
    if not (out / cell.folder / "recipe.json").is_file():
        return Result(cell, None, failure)
    try:
        return Result(cell, of_cell(read_run(out / cell.folder), cell), failure)
    except DataError as error:
        return Result(cell, None, failure or str(error))


def read_results(experiment: Experiment, out: Path) -> list[Result]:
    """Of all cells, in the order of the experiment."""
    return [read_result(cell, out) for cell in experiment.cells]


# --- figures ----------------------------------------------------------------------------------------------------------------------


COLUMNS: tuple[tuple[str, str], ...] = (
    ("network", "network"),
    ("batch", "batch"),
    ("size", "pixels"),
    ("dropout", "dropout"),
    ("epochs", "epochs"),
    ("faces", "faces"),
    ("parameters", "parameters"),
    ("accuracy", "accuracy"),
    ("one_vs_rest_accuracy", "one-vs-rest"),
    ("macro_f1", "macro-F1"),
    ("loss", "loss"),
    ("train_accuracy", "train accuracy"),
    ("train_loss", "train loss"),
    ("epoch_seconds", "s per epoch"),
    ("epoch_cpu_seconds", "CPU s per epoch"),
    ("epoch_gpu_seconds", "GPU s per epoch"),
    ("picture_seconds", "ms per picture"),
    ("private_n", "N"),
    ("private_accuracy", "accuracy"),
    ("private_low", "from"),
    ("private_high", "to"),
    ("private_one_vs_rest_accuracy", "one-vs-rest"),
    ("private_macro_f1", "macro-F1"),
    ("private_loss", "loss"),
    ("training_accuracy", "accuracy on Training"),
    ("total_cpu_seconds", "CPU s in all"),
)
"""Key of a figure → how a table calls it. Figures of PublicTest are of the best epoch, those of training of the same epoch: as they
were learnt from (train_…), and with nothing dropped out or changed (training_accuracy)."""


def figures(result: Result) -> dict[str, Any]:
    """The figures of one run, by the keys of `COLUMNS`; None for what is not known (yet)."""
    recipe = result.cell.recipe
    found: dict[str, Any] = dict.fromkeys(key for key, _ in COLUMNS)
    found |= {"network": recipe.network, "batch": recipe.batch, "size": recipe.crop.size, "dropout": recipe.dropout, "epochs": 0}
    run = result.run
    if run is None or not run.epochs:
        return found
    best, head = run.best, run.head
    found |= {
        "epochs": int(run.epochs[-1]["epoch"]),
        "faces": run.facts.get("faces"),
        "accuracy": best.get(f"{head}_accuracy"),
        "macro_f1": best.get(f"{head}_macro_f1"),
        "loss": best.get(f"{head}_loss"),
        "train_accuracy": best.get(f"train_{head}_accuracy"),
        "train_loss": best.get("train_loss"),
        "epoch_seconds": run.epoch_seconds("seconds"),
        "epoch_cpu_seconds": run.epoch_seconds("cpu_seconds"),
        "epoch_gpu_seconds": run.epoch_seconds("gpu_seconds"),
        "total_cpu_seconds": sum(row["cpu_seconds"] for row in run.timing) if run.timing else None,
    }
    if run.training is not None:
        found["training_accuracy"] = run.training["heads"][head]["accuracy"]
    if found["accuracy"] is not None:
        found["one_vs_rest_accuracy"] = one_vs_rest(found["accuracy"], classes(run))
    if run.network is not None:
        found |= {"parameters": run.network["parameters"], "picture_seconds": run.network["seconds_per_picture"]}
    if run.private is not None:
        scores = run.private["heads"][head]
        low, high = scores["interval"]["accuracy"]
        names = ("n", "accuracy", "one_vs_rest_accuracy", "macro_f1", "loss")
        found |= {f"private_{name}": scores[name] for name in names} | {"private_low": low, "private_high": high}
    return found


def classes(run: RunFolder) -> int:
    return len(run.recipe.labels_of(run.head))


def plain_accuracy(one_vs_rest: float, classes: int) -> float:
    """The share of pictures labelled right that gives so much by P0's formula (3), see `evaluate.one_vs_rest`."""
    return 1 - classes * (1 - one_vs_rest) / 2


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: the runs of all its seeds together.

    mean, spread  by the keys of `COLUMNS`: means over the finished runs, and sample standard deviations where there are several.
                  Texts, and what is the same in all, stand in `mean` as they are
    """

    name: str
    results: tuple[Result, ...]
    mean: Mapping[str, Any]
    spread: Mapping[str, float]
    claims: Mapping[str, Any]

    @property
    def finished(self) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.status == "finished")

    @property
    def stuck(self) -> str:
        """What a finished run of it says of everything, where it has learnt nothing; empty where all have learnt."""
        return next((said for result in self.finished if result.run is not None and (said := result.run.stuck)), "")

    @property
    def reason(self) -> str:
        """Why it has fewer runs than seeds; empty where it has all."""
        parts = [f"{r.cell.folder}: {r.failure or r.status}" for r in self.results if r.status != "finished"]
        return "; ".join(parts)


def table_rows(results: Sequence[Result]) -> list[Row]:
    """The results of an experiment by row, in its order. The interval of a row of several runs is left out: it is of one run."""
    found = []
    for name in dict.fromkeys(result.cell.row for result in results):
        own = tuple(result for result in results if result.cell.row == name)
        finished = [figures(result) for result in own if result.status == "finished"]
        mean: dict[str, Any] = figures(replace(own[0], run=None))
        spread = {}
        for key, _ in COLUMNS if finished else ():
            values = [row[key] for row in finished]
            if all(value == values[0] for value in values):
                mean[key] = values[0]
            elif all(isinstance(value, int | float) for value in values) and key not in ("private_low", "private_high"):
                mean[key], spread[key] = statistics.mean(values), statistics.stdev(values)
        found.append(Row(name, own, mean, spread, own[0].cell.claims))
    return found


@dataclass(frozen=True, slots=True)
class McNemar:
    """The two best rows on the same PrivateTest pictures: how often one alone was right, and the exact test's p (two-sided)."""

    first: str
    second: str
    only_first: int
    only_second: int
    p: float


def mcnemar(results: Sequence[Result]) -> McNemar | None:
    """McNemar's exact test of the two rows with the best accuracy on PublicTest, each by its first finished run.

    None where there are no two that were scored on the same pictures.
    """
    firsts: dict[str, Result] = {}
    for result in results:
        if result.status == "finished" and result.run is not None and result.run.private is not None:
            firsts.setdefault(result.cell.row, result)
    best = sorted(firsts.values(), key=lambda result: -figures(result)["accuracy"])[:2]
    if len(best) < 2:
        return None
    heads = [result.run.private["heads"][result.run.head] for result in best if result.run and result.run.private]
    one, other = (head["right"] for head in heads)
    if heads[0]["labels"] != heads[1]["labels"] or len(one) != len(other):
        return None
    only_first = sum(a > b for a, b in zip(one, other, strict=True))
    only_second = sum(a < b for a, b in zip(one, other, strict=True))
    p = float(binomtest(only_first, only_first + only_second).pvalue) if only_first + only_second else 1.0
    return McNemar(best[0].cell.folder, best[1].cell.folder, only_first, only_second, p)


# --- tables -----------------------------------------------------------------------------------------------------------------------


def write_csv(results: Sequence[Result], path: Path) -> None:
    """A row per run: run, row, seed, status, the keys of `COLUMNS`, the paper's figures as paper_…, failure. Seconds and shares."""
    with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        claimed = [key for key in CLAIMS if key not in _OWN_TABLES]
        writer.writerow(["run", "row", "seed", "status", *(k for k, _ in COLUMNS), *(f"paper_{k}" for k in claimed), "failure"])
        for result in results:
            cell = result.cell
            own = figures(result)
            claims = [cell.claims.get(key, "") for key in claimed]
            values = [_cell(own[key]) for key, _ in COLUMNS]
            writer.writerow([cell.folder, cell.row, cell.recipe.seed, result.status, *values, *claims, result.failure])


def _cell(value: Any) -> Any:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else value


PUBLIC_NOTE = (
    "PublicTest, best epoch; training figures of the same epoch. One-vs-rest is P0's formula (3), which counts true negatives: "
    "1 − 2 (1 − accuracy) / K. Seconds per epoch are medians and include the look at PublicTest; ms per picture is the CPU's, one "
    "picture at a time on one thread."
)
PRIVATE_NOTE = (
    "PrivateTest, scored once per finished run. The interval is 95 %, by bootstrap over pictures; of several seeds ± is the sample "
    "standard deviation."
)

Table = tuple[list[str], list[list[str]]]


def public_table(table: Sequence[Row]) -> Table:
    """Header and cells: what was run, and what it gave on PublicTest."""
    shown = [
        (key, name)
        for key, name in COLUMNS
        if not key.startswith("private_")
        and (key not in ("dropout", "epoch_gpu_seconds") or any(row.mean[key] is not None for row in table))
    ]
    cells = [[row.name, *(figure_text(row, key) for key, _ in shown)] for row in table]
    return ["", *(name for _, name in shown)], cells


def private_table(table: Sequence[Row]) -> Table:
    """Header and cells: PrivateTest."""
    head = ["", "runs", "N", "accuracy", "95 %", "one-vs-rest", "macro-F1"]
    cells = []
    for row in table:
        low, high = row.mean["private_low"], row.mean["private_high"]
        between = f"{100 * low:.1f}–{100 * high:.1f}" if low is not None and high is not None else "–"
        names = ("private_n", "private_accuracy", "private_one_vs_rest_accuracy", "private_macro_f1")
        n, accuracy, rest, f1 = (figure_text(row, name) for name in names)
        cells.append([row.name, f"{len(row.finished)} of {len(row.results)}", n, accuracy, between, rest, f1])
    return head, cells


def claims_table(table: Sequence[Row]) -> Table:
    """Header and cells: the paper's figures, each beside what was measured on PrivateTest."""
    keys = [key for key in CLAIMS if key not in _OWN_TABLES and any(key in row.claims for row in table)]
    names = {"epoch_seconds": "s per epoch", "epoch_seconds_gpu": "s per epoch, GPU", "note": ""}
    measured = {  # claim → what is set beside it, and what it is of
        "accuracy": ("private_accuracy", "PrivateTest, plain"),
        "loss": ("private_loss", "PrivateTest"),
        "train_accuracy": ("train_accuracy", "here, best epoch"),
        "train_loss": ("train_loss", "here, best epoch"),
        "parameters": ("parameters", "here"),
        "epoch_seconds": ("epoch_cpu_seconds", "here"),
        "epoch_seconds_gpu": ("epoch_gpu_seconds", "here"),
        "time": ("total_cpu_seconds", "here, CPU s"),
    }
    head, cells = [""], [[row.name] for row in table]
    for key in keys:
        name = names.get(key, key.replace("_", " "))
        head.append(f"{name}, paper" if name else "")
        for cell, row in zip(cells, table, strict=True):
            cell.append(claim(row.claims.get(key)))
        if key in measured:
            figure, of_what = measured[key]
            head.append(of_what)
            for cell, row in zip(cells, table, strict=True):
                cell.append(tested_text(row, figure))
        if key == "accuracy":
            head.append("PrivateTest, one-vs-rest")
            for cell, row in zip(cells, table, strict=True):
                cell.append(tested_text(row, "private_one_vs_rest_accuracy"))
    return head, cells


NOT_TESTED = "not tested"
"""In place of a figure of a run that learnt nothing: it says nothing of a paper's claim."""


def tested_text(row: Row, key: str) -> str:
    """As `figure_text`, but no figure of a network that learnt nothing stands beside a paper's; its size and its time do."""
    return NOT_TESTED if row.stuck and key.endswith(("accuracy", "loss")) else figure_text(row, key)


def stuck_text(table: Sequence[Row]) -> str:
    """A sentence for each row that learnt nothing; empty where all have learnt."""
    return " ".join(
        f"{row.name} has learnt nothing: it says *{row.stuck}* of nearly everything and stands less than 5 points above the share "
        "of the most frequent class. That is no result, and what its paper claims is not tested by it."
        for row in table
        if row.stuck
    )


def claim(value: Any) -> str:
    """A paper's figure as it is written there."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.2f}" if round(value, 2) == value else str(value)
    return f"{value:,}" if isinstance(value, int) else str(value)


_SHARES = ("accuracy", "one_vs_rest_accuracy", "train_accuracy", "training_accuracy")


def figure_text(row: Row, key: str) -> str:
    """A figure of a row as it is shown: with its spread where there are several seeds, a dash where there is none."""
    value, spread = row.mean[key], row.spread.get(key)
    if value is None:
        return "–"
    if key.removeprefix("private_") in _SHARES:
        return f"{100 * value:.1f} %" if spread is None else f"{100 * value:.1f} ± {100 * spread:.1f} %"
    if key == "picture_seconds":
        return f"{1000 * value:.2f}"
    if key.endswith("_seconds"):
        return f"{value:.1f}" if spread is None else f"{value:.1f} ± {spread:.1f}"
    if isinstance(value, float) and key not in ("dropout",):
        return f"{value:.3f}" if spread is None else f"{value:.3f} ± {spread:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def told_test(tested: McNemar) -> str:
    """McNemar's test in a sentence."""
    p = f"p = {tested.p:.3f}" if tested.p >= 0.001 else "p < 0.001"
    return (
        f"{tested.first} against {tested.second}, the two best on PublicTest, on the same PrivateTest pictures: "
        f"{tested.only_first} were right by the first alone, {tested.only_second} by the second alone; McNemar's exact test, {p}."
    )


def markdown_table(head: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    """Markdown; columns of figures stand to the right."""
    right = [i > 0 and all(re.match(r"[\d–]", row[i]) for row in cells) for i in range(len(head))]
    lines = [head, ["---:" if figures else "---" for figures in right], *cells]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
