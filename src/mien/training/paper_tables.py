"""An experiment's figures in the layout of its paper, each beside the paper's own; out of the claims of its rows. Needs no torch.

claims.time               accuracy, loss and time in one table (P0's Tables 4 and 5)
claims.first, last        an epoch's figures in training and in validation (P3's Tables 3.1 and 3.2)
claims.stages             accuracy after each stage (P4, section 4.3)
claims.precision, recall  by class (P2's Tables 3 and 4)

Rows that keep epochs get a table of these.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mien.training.experiment import (
    EPOCH_FIGURES,
    NOT_TESTED,
    PRIVATE_NOTE,
    PUBLIC_NOTE,
    Experiment,
    Result,
    Row,
    Table,
    claim,
    claims_table,
    figure_text,
    markdown_table,
    mcnemar,
    private_table,
    public_table,
    stuck_text,
    table_rows,
    tested_text,
    told_test,
)
from mien.training.run_folder import RunFolder


@dataclass(frozen=True, slots=True)
class PaperTable:
    """A table as the paper prints its like; `note` says what stands in the columns of what was measured here."""

    title: str
    note: str
    table: Table


def paper_tables(table: Sequence[Row]) -> list[PaperTable]:
    """The tables that the claims of the rows ask for, and one for each row that keeps epochs."""
    found = []
    if timed := [row for row in table if "time" in row.claims]:
        found.append(PaperTable("Accuracy, loss and time", _TIMED, _timed(timed)))
    for row in table:
        if "first" in row.claims or "last" in row.claims:
            found.append(PaperTable(f"First epoch and last: {row.name}", _EPOCHS, _first_and_last(row)))
    if staged := [row for row in table if "stages" in row.claims]:
        found.append(PaperTable("Accuracy after each stage", _STAGES, _stages(staged)))
    for row in table:
        if "precision" in row.claims or "recall" in row.claims:
            found.append(PaperTable(f"Precision and recall: {row.name}", "Here: PrivateTest, the first seed.", _by_class(row)))
    for row in table:
        run = first_run(row)
        if run is not None and run.kept is not None:
            found.append(PaperTable(f"After so many epochs: {row.name}", _KEPT, _kept(run)))
    for row in table:
        run = first_run(row)
        if run is not None and run.svm is not None and not row.stuck:
            found.append(PaperTable(f"Softmax and SVM on the same network: {row.name}", _SVM, _softmax_and_svm(run, run.svm)))
    return found


_TIMED = "Here: PrivateTest; the time is the CPU's for the whole run, on one thread. One-vs-rest is P0's formula (3)."
_EPOCHS = "Here: loss and accuracy as they were learnt from, augmented and with dropout; validation is PublicTest."
_STAGES = "Here: PublicTest, the best epoch of each stage."
_KEPT = "Plain accuracy, nothing dropped out or changed. Nothing was chosen by these figures."


_SVM = (
    "Plain accuracy, the first seed. *With dropout* is the figure that Keras prints while it trains: of the best epoch, dropout "
    "on, while the weights move. All others are of the finished network, nothing dropped out. The SVM's C was chosen on PublicTest."
)


def first_run(row: Row) -> RunFolder | None:
    """The run of the first seed that is finished."""
    return row.finished[0].run if row.finished else None


def _timed(table: Sequence[Row]) -> Table:
    head = ["", "batch", "accuracy, paper", "here, plain", "here, one-vs-rest", "loss, paper", "here", "time, paper", "here"]
    cells = []
    for row in table:
        said = [claim(row.claims.get(key)) for key in ("accuracy", "loss", "time")]
        plain, rest, loss = (tested_text(row, key) for key in ("private_accuracy", "private_one_vs_rest_accuracy", "private_loss"))
        took = row.mean["total_cpu_seconds"]
        batch = figure_text(row, "batch")
        cells.append([row.name, batch, said[0], plain, rest, said[1], loss, said[2], "–" if took is None else duration(took)])
    return head, cells


def duration(seconds: float) -> str:
    """Minutes, or hours where there are two or more."""
    return f"{seconds / 3600:.1f} h" if seconds >= 7200 else f"{seconds / 60:.0f} min"


def _first_and_last(row: Row) -> Table:
    def line(name: str, values: Mapping[str, Any]) -> list[str]:
        return [name, *("–" if key not in values else f"{values[key]:.4f}" for key in EPOCH_FIGURES)]

    run, cells = first_run(row), []
    for at, which in ((0, "first"), (-1, "last")):
        cells.append(line(f"{which} epoch, paper", row.claims.get(which, {})))
        if run is None:
            cells.append(line(f"{which} epoch, here", {}))
            continue
        names = {"train_accuracy": f"train_{run.head}_accuracy", "loss": f"{run.head}_loss", "accuracy": f"{run.head}_accuracy"}
        epoch = run.epochs[at]
        here = {key: epoch[names.get(key, key)] for key in EPOCH_FIGURES if names.get(key, key) in epoch}
        cells.append(line(f"{which} epoch, here ({epoch['epoch']:.0f})", here))
    return ["", *EPOCH_FIGURES.values()], cells


def _stages(table: Sequence[Row]) -> Table:
    count = max(len(row.claims["stages"]) for row in table)
    head = [""] + [text for n in range(1, count + 1) for text in (f"stage {n}, paper", "here", "epochs")]
    cells = []
    for row in table:
        run = first_run(row)
        bests = run.stage_bests if run is not None else []
        ends = [0, *run.stage_ends] if run is not None else []
        line = [row.name]
        for n in range(count):
            said = row.claims["stages"]
            line.append(claim(said[n]) if n < len(said) else "–")
            if run is None or n >= len(bests):
                line += ["–", "–"]
            else:
                share = f"{100 * bests[n][f'{run.head}_accuracy']:.1f} %"
                line += [NOT_TESTED if row.stuck else share, str(ends[n + 1] - ends[n])]
        cells.append(line)
    return head, cells


def _by_class(row: Row) -> Table:
    run = first_run(row)
    scores = run.private["heads"][run.head] if run is not None and run.private is not None else None
    names = list(row.claims.get("precision") or row.claims["recall"])

    def here(key: str, name: str) -> str:
        return "–" if scores is None else NOT_TESTED if row.stuck else f"{scores[key][name]:.2f}"

    cells = []
    for name in names:
        line = [name]
        for key in ("precision", "recall"):
            line += [claim(row.claims.get(key, {}).get(name)), here(key, name)]
        cells.append(line)
    return ["", "precision, paper", "here", "recall, paper", "here"], cells


def _softmax_and_svm(run: RunFolder, svm: Mapping[str, Any]) -> Table:
    cells = []
    if (learnt := run.best.get(f"train_{run.head}_accuracy")) is not None:
        cells.append(["Training, with dropout", f"{100 * learnt:.1f} %", "–"])
    for split, scores in (("Training", run.training), ("PublicTest", run.public), ("PrivateTest", run.private)):
        softmax = "–" if scores is None else f"{100 * scores['heads'][run.head]['accuracy']:.1f} %"
        cells.append([split, softmax, f"{100 * svm[split]['accuracy']:.1f} %"])
    return ["", "softmax", "linear one-vs-all SVM"], cells


def _kept(run: RunFolder) -> Table:
    splits = ("Training", "PublicTest", "PrivateTest")
    head = ["epochs", *(f"{what}, {split}" for split in splits for what in ("accuracy", "loss")), "one-vs-rest, PrivateTest"]
    cells = []
    for row in (run.kept or {"epochs": []})["epochs"]:
        line = [str(row["epoch"])]
        for split in splits:
            line += [f"{100 * row[split]['accuracy']:.1f} %", f"{row[split]['loss']:.3f}"]
        cells.append([*line, f"{100 * row['PrivateTest']['one_vs_rest_accuracy']:.1f} %"])
    return head, cells


def markdown(experiment: Experiment, results: Sequence[Result]) -> str:
    """table.md: what was run, what it gave, what the paper says beside it, and its like in the paper's own layout."""
    lines = [f"# {experiment.title}", ""]
    lines += [text for part in (experiment.paper, experiment.about, experiment.scaled) if part for text in (part, "")]
    table = table_rows(results)
    lines += [*markdown_table(*public_table(table)), "", PUBLIC_NOTE, ""]
    lines += [*markdown_table(*private_table(table)), "", PRIVATE_NOTE]
    if any(row.claims for row in table):
        lines += ["", *markdown_table(*claims_table(table))]
    for own in paper_tables(table):
        lines += ["", f"## {own.title}", "", *markdown_table(*own.table), "", own.note]
    if tested := mcnemar(results):
        lines += ["", told_test(tested)]
    if stuck := stuck_text(table):
        lines += ["", stuck]
    missing = [row.reason for row in table if row.reason]
    if missing:
        lines += ["", "Not finished: " + "; ".join(missing) + "."]
    return "\n".join(lines) + "\n"
