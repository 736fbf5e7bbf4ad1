"""docs/results/ out of run folders: each paper's figures beside what was measured here, and which claims stand.

The text lies in docs/results/text/, with {{names}} where figures go; a page is its text with the figures in it.

python docs/make_results.py RUNS    takes the small files of RUNS/<experiment>/<run>/ into docs/results/runs/, then writes the pages
python docs/make_results.py         writes the pages of what lies in docs/results/runs/
python docs/make_results.py --check writes nothing; exits 1 where a page is stale

RUNS is the folder below which `mien compare experiments/NAME.toml --out RUNS/NAME` was run.
"""

import argparse
import math
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from mien.training.experiment import (
    PRIVATE_NOTE,
    PUBLIC_NOTE,
    Experiment,
    Result,
    Row,
    claims_table,
    figure_text,
    markdown_table,
    mcnemar,
    one_vs_rest,
    plain_accuracy,
    private_table,
    public_table,
    read_experiment,
    read_results,
    stuck_text,
    table_rows,
    tested_text,
    told_test,
)
from mien.training.paper_tables import duration, first_run, paper_tables
from mien.training.run_folder import RunFolder, read_json, write_json

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs/results"
KEPT = RESULTS / "runs"
IMAGES = RESULTS / "images"
TEXT = RESULTS / "text"
EXPERIMENTS = ROOT / "experiments"
FILES = (
    "recipe.json",
    "metrics.csv",
    "timing.csv",
    "network.json",
    "training.json",
    "public.json",
    "private.json",
    "confusion.csv",
)
"""What is kept of a run: figures, no weights, no pictures of anybody; and of those that have them, `MORE`."""

MORE = ("epochs.json", "svm.json")

Table = tuple[Sequence[str], Sequence[Sequence[str]]]


# --- what is kept -----------------------------------------------------------------------------------------------------------------


def keep(runs: Path) -> None:
    """Take the small files of all finished runs out of `runs`; experiments that have no folder there stay as they are."""
    for path in sorted(EXPERIMENTS.glob("*.toml")):
        if not (runs / path.stem).is_dir():
            continue
        _, results = load(path.stem, runs)
        shutil.rmtree(KEPT / path.stem, ignore_errors=True)
        for old in IMAGES.glob(f"{path.stem}-*.png"):
            old.unlink()
        for result in results:
            if result.status != "finished" or result.run is None or result.run.private is None:
                continue
            folder = KEPT / path.stem / result.cell.folder
            folder.mkdir(parents=True)
            for name in (*FILES, *(name for name in MORE if (result.run.path / name).is_file())):
                shutil.copyfile(result.run.path / name, folder / name)
            for name in ("training.json", "public.json"):  # which pictures were right is asked of PrivateTest alone
                scores = read_json(folder / name)
                write_json(folder / name, scores | {"heads": {h: {**s, "right": ""} for h, s in scores["heads"].items()}})
            if result.cell.recipe.seed == 1:
                IMAGES.mkdir(parents=True, exist_ok=True)
                for name, end in (("confusion.png", ""), ("curves.png", "-curves")):
                    with Image.open(result.run.path / name) as picture:
                        small = picture.convert("RGB").quantize(48)
                        small.save(IMAGES / f"{path.stem}-{result.cell.row}{end}.png", optimize=True)


def load(name: str, runs: Path) -> tuple[Experiment, list[Result]]:
    """An experiment with its runs, in full: what [scaled] gives is no result."""
    experiment = read_experiment(EXPERIMENTS / f"{name}.toml")
    return experiment, read_results(experiment, runs / name)


# --- figures that the papers print ------------------------------------------------------------------------------------------------


P0_MATRIX = (  # Table 3: rows what it is, columns what was said; anger, disgust, fear, happiness, sad, surprise, neutral
    (161, 4, 75, 65, 76, 10, 76),
    (9, 19, 6, 5, 10, 0, 7),
    (41, 1, 187, 49, 91, 47, 80),
    (26, 0, 33, 709, 36, 16, 75),
    (46, 2, 81, 79, 274, 21, 150),
    (16, 1, 46, 37, 7, 292, 16),
    (37, 0, 43, 83, 71, 18, 355),
)
PUBLIC_TEST = (467, 56, 496, 895, 653, 415, 607)
PRIVATE_TEST = (491, 55, 528, 879, 594, 416, 626)
"""How many pictures of each class FER2013 has there, in the same order."""

P0_TABLE_5 = (  # row of the experiment, the paper's name of it, accuracy, loss, time
    ("arch1", "Architecture 01", "0.77", "0.70", "120 h"),
    ("arch2-batch16", "Architecture 02 R1 (batch 16)", "0.718", "0.757", "72 h"),
    ("arch2-batch96", "Architecture 02 R2 (batch 96)", "0.76", "0.63", "48 h"),
    ("arch3", "Architecture 03", "0.889", "0.29", "72 h"),
)
P2_TEST = {"anger": 237, "disgust": 237, "fear": 241, "happiness": 241, "sadness": 241, "surprise": 241}
P2_RECALL = {  # Tables 3 and 4, in the order of P2_TEST
    "50px": (0.98, 0.93, 0.81, 0.80, 0.93, 0.93),
    "20px": (0.83, 0.77, 0.54, 0.70, 0.79, 0.73),
}
P2_TRAIN = (1922, 1896, 1922, 1891, 1922, 1922)
P2_TABLE_2 = (  # row of the experiment, size, seconds per epoch on a CPU and a K80, accuracies of the text
    ("100px", "100×100", 430, 67, "90.75 %", "96 %"),
    ("50px", "50×50", 137, 50, "87 %", "94 %"),
    ("20px", "20×20", 66, 36, "72.39 %", "78 %"),
)
P3_FIRST = {"train loss": 1.889, "train accuracy": 0.2923, "validation loss": 1.5954, "validation accuracy": 0.3842}
P3_LAST = {"train loss": 0.8172, "train accuracy": 0.6972, "validation loss": 1.1233, "validation accuracy": 0.6297}
FIELD_BEST = 0.742
"""A single network on FER2013's PrivateTest: ResMaskingNet, by its authors. Ensembles: 0.768."""


def least_accuracy(loss: float) -> float:
    """The least share of pictures labelled right that a mean cross-entropy allows.

    A picture labelled wrong gave its own class at most one half, which costs ln 2: (1 − a) ln 2 ≤ loss.
    """
    return max(0.0, 1 - loss / math.log(2))


# --- parts of pages ---------------------------------------------------------------------------------------------------------------

Parts = dict[str, str]
Found = tuple[Experiment, Sequence[Result]]


def percent(share: float, decimals: int = 1) -> str:
    return f"{100 * share:.{decimals}f} %"


def signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def row_named(results: Sequence[Result], name: str) -> Row:
    return next(row for row in table_rows(results) if row.name == name)


def lines(table: Table) -> str:
    return "\n".join(markdown_table(*table))


def head(experiment: Experiment) -> str:
    parts = [f"# {experiment.title}", f"*{experiment.paper}.* [All papers](README.md)", experiment.about.strip()]
    return "\n\n".join(parts)


COURSE_NOTE = (
    "*Stopped by* its epochs, or by ten without a better accuracy on PublicTest, each stage by itself. *bf16*: steps were counted "
    "in bfloat16 (`--precision bf16-mixed`), weights, optimiser and all scores in single precision. What is not finished holds "
    "nothing up and has no figure on this page."
)


def course_table(results: Sequence[Result]) -> Table:
    """Each run: how far it came, what ended it, on how many pictures, and what it took."""
    cells = []
    for result in results:
        run, recipe = result.run, result.cell.recipe
        line = [result.cell.folder, result.status, "–", "–", "–", "–", "–"]
        if run is not None and run.epochs:
            patience = f"{recipe.stop_after} without a better one" if recipe.stop_after else "no early stop"
            ended = [*run.stage_ends]
            lengths = [end - begun for begun, end in zip([0, *ended], ended, strict=False)]
            early = any(n < stage.epochs for n, stage in zip(lengths, recipe.parts, strict=False))
            why = ("early stop" if early else "its epochs") if run.finished else f"not yet: {patience}"
            half = "bf16" if str(run.facts.get("precision", "")).startswith("bf16") else "single"
            took = duration(sum(row["cpu_seconds"] for row in run.timing)) if run.timing else "–"
            epochs = " + ".join(map(str, lengths)) if run.finished else f"{len(run.epochs)} of {run.planned}"
            line[2:] = [epochs, why, f"{run.facts.get('faces', 0):,}", half, took]
        cells.append(line)
    return ["", "", "epochs", "stopped by", "faces", "arithmetic", "CPU time"], cells


def measured(experiment: Experiment, results: Sequence[Result]) -> str:
    """What was run and what it gave, PrivateTest, the paper's figures beside it, the pictures of confusion."""
    table = table_rows(results)
    parts = ["## Measured here"]
    parts += [lines(course_table(results)), COURSE_NOTE]
    if not any(row.finished for row in table):
        return "\n\n".join([*parts, "Not run yet."])
    parts += [lines(public_table(table)), PUBLIC_NOTE, lines(private_table(table)), PRIVATE_NOTE]
    parts += ["Beside the paper:", lines(claims_table(table))]
    for own in paper_tables(table):
        parts += [f"### {own.title}", lines(own.table), own.note]
    if tested := mcnemar(results):
        parts.append(told_test(tested))
    if stuck := stuck_text(table):
        parts.append(stuck)
    if missing := [row.reason for row in table if row.reason]:
        parts.append("Not finished: " + "; ".join(missing) + ".")
    parts.append("One thread of a core that other programs used as well: seconds of the CPU count, seconds of the clock do not.")
    parts.append(f"To repeat: `mien compare experiments/{experiment.name}.toml --data DIR --out OUT`.")
    done = [row.name for row in table if row.finished and row.finished[0].cell.recipe.seed == 1]
    parts += ["## Curves by epoch", "PublicTest and, dashed or beside it, as it was learnt from; the first seed of each row."]
    parts += [f"{name}: ![Curves of {name}](images/{experiment.name}-{name}-curves.png)" for name in done]
    parts += ["## Confusion matrices", "PrivateTest, the first seed of each row."]
    parts += [f"![Confusion matrix of {name}](images/{experiment.name}-{name}.png)" for name in done]
    return "\n\n".join(parts)


def filled(name: str, parts: Parts) -> str:
    """The text of a page with each {{name}} replaced. Raises `ValueError` where names and parts do not match."""
    text = (TEXT / name).read_text(encoding="utf-8")
    wanted = set(re.findall(r"\{\{(\w+)\}\}", text))
    if wanted != set(parts):
        raise ValueError(f"{name}: names and parts differ: {', '.join(sorted(wanted ^ set(parts)))}")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], text).rstrip() + "\n"


# --- the pages --------------------------------------------------------------------------------------------------------------------


def p0_shares() -> tuple[int, int, float]:
    """Of Table 3: pictures labelled right, all pictures, the share."""
    right, total = sum(P0_MATRIX[i][i] for i in range(7)), sum(map(sum, P0_MATRIX))
    return right, total, right / total


def p0(experiment: Experiment, results: Sequence[Result]) -> Parts:
    cells = []
    for name, paper, accuracy, loss, time in P0_TABLE_5:
        plain, row = plain_accuracy(float(accuracy), 7), row_named(results, name)
        read = percent(plain) + (", below chance" if plain < 1 / 7 else "")
        here = [tested_text(row, key) for key in ("private_accuracy", "private_one_vs_rest_accuracy", "private_loss")]
        cells.append([paper, accuracy, read, loss, percent(least_accuracy(float(loss))), time, *here])
    columns = ["", "accuracy", "plain, if one-vs-rest", "loss", "least by the loss", "time", "here, plain", "here, one-vs-rest"]
    right, total, plain = p0_shares()
    happy = sum(P0_MATRIX[3]) / total
    return {
        "head": head(experiment),
        "table5": lines(([*columns, "here, loss"], cells)),
        "happy": percent(happy),
        "happy_rest": percent(one_vs_rest(happy, 7)),
        "chance": percent(1 / 7),
        "chance_rest": percent(one_vs_rest(1 / 7, 7)),
        "none": percent(6 / 7),
        "total": f"{total:,}",
        "right": f"{right:,}",
        "plain": f"{plain:.3f}",
        "plain_percent": percent(plain),
        "rest": f"{one_vs_rest(plain, 7):.3f}",
        "best": f"{plain_accuracy(0.889, 7):.3f}",
        "best_least": f"{least_accuracy(0.29):.3f}",
        "field": f"{FIELD_BEST:.3f}",
        "others": ", ".join(percent(plain_accuracy(accuracy, 7)) for accuracy in (0.77, 0.718))
        + f" and {percent(plain_accuracy(0.76, 7))}",
        "counts": ", ".join(str(sum(row)) for row in P0_MATRIX),
        "split": "those of PublicTest" if tuple(map(sum, P0_MATRIX)) == PUBLIC_TEST else "not those of PublicTest",
        "conclusions": "\n".join(p0_conclusions(results)),
        "measured": measured(experiment, results),
    }


def p0_conclusions(results: Sequence[Result]) -> list[str]:
    """What P0 concludes, each beside what the finished rows show of it."""
    one, small, large, three = (row_named(results, name) for name, *_ in P0_TABLE_5)
    some, half = (row_named(results, f"arch3-dropout{rate}") for rate in ("0.2", "0.5"))
    long = row_named(results, "arch3-50-epochs")

    def known(*rows: Row) -> bool:
        return all(row.mean["private_accuracy"] is not None and not row.stuck for row in rows)

    def said(row: Row, key: str = "private_accuracy") -> str:
        return figure_text(row, key)

    found = {
        name: f"- *{name}* Not tested: not all of its rows are finished."
        for name in (_BATCH, _BATCH_TIME, _DENSE, _DEPTH, _DROPOUT, _EPOCHS)
    }
    if known(small, large):
        gap = large.mean["private_accuracy"] - small.mean["private_accuracy"]
        spread = max(small.spread.get("private_accuracy", 0.0), large.spread.get("private_accuracy", 0.0))
        verdict = "not more than twice the spread of the seeds: not borne out"
        if abs(gap) > 2 * spread:
            verdict = "more than twice the spread of the seeds: it holds here" if gap > 0 else "the other way round"
        runs = min(len(small.finished), len(large.finished))
        if runs < 2:
            verdict = "of one run each, as in P0, which cannot tell"
        found[_BATCH] = (
            f"- *{_BATCH}* Batch 16 has {said(small)}, batch 96 {said(large)} over {len(small.finished)} and {len(large.finished)} "
            f"seeds: {signed(100 * gap)} points, {verdict}."
        )
        found[_BATCH_TIME] = (
            f"- *{_BATCH_TIME}* An epoch takes {said(large, 'epoch_cpu_seconds')} s of the CPU with batch 96, "
            f"{said(small, 'epoch_cpu_seconds')} s with batch 16."
        )
    if known(one, small, three):
        found[_DENSE] = (
            f"- *{_DENSE}* No. Architecture 1 has most of its weights in dense layers, architecture 2 nearly all, architecture 3 "
            f"almost none; an epoch takes them {said(one, 'epoch_cpu_seconds')}, {said(small, 'epoch_cpu_seconds')} and "
            f"{said(three, 'epoch_cpu_seconds')} s of the CPU. Time goes into convolutions. 100 epochs would take "
            + ", ".join(f"{row.name} {hours_for(row, 100):.1f} h" for row in (one, small, three))
            + "; P0 names 48 to 120 h and no number of epochs."
        )
    if known(one, large, three):
        found[_DEPTH] = (
            f"- *{_DEPTH}* Two (architecture 2, batch 96) {said(large)}, five (architecture 1) {said(one)}, six (architecture 3) "
            f"{said(three)}; of one run the 95 % interval is about 1.6 points either way. Batches and dense layers differ too."
        )
    if known(three, some, half):
        found[_DROPOUT] = (
            f"- *{_DROPOUT}* Architecture 3 with none {said(three)}, with 0.2 {said(some)}, with 0.5 {said(half)}; accuracy on the "
            f"pictures that it learnt from {said(three, 'training_accuracy')}, {said(some, 'training_accuracy')} and "
            f"{said(half, 'training_accuracy')}."
        )
    run = first_run(long)
    if known(long) and run is not None and run.kept is not None:
        best = max(run.kept["epochs"], key=lambda row: row["PublicTest"]["accuracy"])
        last = run.kept["epochs"][-1]
        found[_EPOCHS] = (
            f"- *{_EPOCHS}* Without an early stop architecture 3 has {percent(last['Training']['accuracy'])} of the Training "
            f"pictures right after {last['epoch']} epochs and {percent(last['PublicTest']['accuracy'])} of PublicTest, with a loss "
            f"of {last['PublicTest']['loss']:.2f}; of the epochs in the table below, PublicTest is best after {best['epoch']} "
            f"({percent(best['PublicTest']['accuracy'])}, loss {best['PublicTest']['loss']:.2f})."
            + (" More epochs are better on the pictures that are learnt, and not on others." if best is not last else "")
        )
    return list(found.values())


_BATCH = "The larger the batch, the better (Table 4: 0.718, then 0.76)."
_BATCH_TIME = "Batch 96 takes two thirds of the time (48 h, 72 h)."
_DENSE = "The more fully connected layers, the more time."
_DEPTH = "The more convolution layers, the more accurate."
_DROPOUT = "A good dropout makes it better."
_EPOCHS = "The more epochs, the better."


def hours_for(row: Row, epochs: int) -> float:
    """Hours of the CPU that so many epochs of all Training pictures take at the speed that was measured."""
    return float(row.mean["epoch_cpu_seconds"]) * 28_709 / float(row.mean["faces"]) * epochs / 3600


def p1(experiment: Experiment, results: Sequence[Result]) -> Parts:
    return {
        "head": head(experiment),
        "plain7": percent(plain_accuracy(0.85, 7)),
        "plain8": percent(plain_accuracy(0.85, 8)),
        "rest62": percent(one_vs_rest(0.62, 7)),
        "none": percent(6 / 7),
        "measured": measured(experiment, results),
    }


def p2_recalls() -> dict[str, float]:
    """The accuracy that the recalls of Tables 3 and 4 make with the counts of Table 1."""
    total = sum(P2_TEST.values())
    pairs = {name: zip(P2_TEST.values(), recalls, strict=True) for name, recalls in P2_RECALL.items()}
    return {name: sum(count * recall for count, recall in own) / total for name, own in pairs.items()}


def p2(experiment: Experiment, results: Sequence[Result]) -> Parts:
    table = [row_named(results, name) for name, *_ in P2_TABLE_2]
    cells = []
    for row, (_, size, cpu, gpu, test, train) in zip(table, P2_TABLE_2, strict=True):
        here = [figure_text(row, key) for key in ("epoch_cpu_seconds", "parameters", "private_accuracy")]
        cells.append([size, f"{cpu} s", f"{gpu} s", test, train, *here])
    columns = ["size", "per epoch, CPU", "per epoch, K80", "test accuracy", "training accuracy"]
    recall = p2_recalls()
    seen = "Not all rows are finished yet."
    if all(row.finished for row in table):
        big, middle, little = (row.mean["epoch_cpu_seconds"] for row in table)
        large, fair, small = (figure_text(row, "private_accuracy") for row in table)
        seen = (
            f"From 20 to 50 to 100 pixels the time of an epoch grows as 1 : {middle / little:.1f} : {big / little:.1f} here and as "
            f"1 : {137 / 66:.1f} : {430 / 66:.1f} in P2; the pixels grow as 1 : 6.2 : 25. Much of P2's epoch does not depend on "
            f"the size.\n\nOf FER2013's six classes {small} of the pictures are labelled right at 20 pixels, "
            f"{fair} at 50, {large} at 100. FER2013's pictures have 48 pixels: at 100 there is no more to see than at 50, at "
            f"{big / middle:.1f} times the cost."
        )
    return {
        "head": head(experiment),
        "table2": lines(([*columns, "here, CPU s per epoch", "parameters", "accuracy on FER2013"], cells)),
        "train": f"{sum(P2_TRAIN):,}",
        "seen": seen,
        "recall50": percent(recall["50px"]),
        "recall20": percent(recall["20px"]),
        "dense100": f"12 · 12 · 128 · 256 + 256 = {12 * 12 * 128 * 256 + 256:,}",
        "dense20": f"2 · 2 · 128 · 256 + 256 = {2 * 2 * 128 * 256 + 256:,}",
        "epochs": f"{74 * 60 / 67:.0f}, {55 * 60 / 50:.0f} and {48 * 60 / 36:.0f}",
        "measured": measured(experiment, results),
    }


def p2_splits(experiment: Experiment, results: Sequence[Result]) -> str:
    """The same frames divided by frame and by clip, beside P2's figures."""
    cells = []
    for size, paper in (("20px", "72.39 %"), ("50px", "87 %")):
        line = [size.replace("px", "×" + size.removesuffix("px")), paper]
        for way in ("by-frame", "by-clip"):
            row = row_named(results, f"{size}-{way}")
            low, high = row.mean["private_low"], row.mean["private_high"]
            line += [tested_text(row, "private_accuracy"), f"{100 * low:.1f}–{100 * high:.1f}" if low is not None else "–"]
        cells.append(line)
    head = ["size", "P2, by frame", "here, by frame", "95 %", "here, by clip", "95 %"]
    seen = "Not all four networks are trained yet."
    if all(row.mean["private_accuracy"] is not None for row in table_rows(results)):
        gaps = []
        for size in ("20px", "50px"):
            one, other = (row_named(results, f"{size}-{way}").mean["private_accuracy"] for way in ("by-frame", "by-clip"))
            gaps.append(100 * (one - other))
        seen = f"The very same frames and networks: dividing by frame adds {gaps[0]:.1f} points at 20 pixels, {gaps[1]:.1f} at 50."
    return "\n\n".join([experiment.about.strip(), lines((head, cells)), seen, lines(course_table(results))])


def p3(experiment: Experiment, results: Sequence[Result]) -> Parts:
    run = first_run(row_named(results, "p3-cnn"))
    columns = {"train loss": "train_loss", "train accuracy": "train_fer2013_accuracy"}
    columns |= {"validation loss": "fer2013_loss", "validation accuracy": "fer2013_accuracy"}

    def shown(said: str, values: Sequence[float]) -> list[str]:
        pairs = zip(columns, values, strict=True)
        return [said, *(percent(value, 2) if name.endswith("accuracy") else f"{value:.4f}" for name, value in pairs)]

    cells = [shown("first epoch, paper", list(P3_FIRST.values()))]
    seen = "Not run yet."
    if run is not None:
        first = run.epochs[0]
        cells.append(shown("first epoch, here", [first[column] for column in columns.values()]))
        gap = 100 * (first["fer2013_accuracy"] - P3_FIRST["validation accuracy"])
        seen = f"After one epoch the network here is {signed(gap)} points from P3's in validation accuracy. " + (
            "Another start explains some points either way."
            if abs(gap) < 5
            else "That is more than another start explains. P3 lists no layers: here dropout of 0.5 stands in all three "
            "places of P1's listing, which slows the start, and the strength of the stretch is a guess."
        )
    cells.append(shown("last epoch, paper (100 + 2)", list(P3_LAST.values())))
    if run is not None and len(run.epochs) > 1:
        last = run.epochs[-1]
        cells.append(shown(f"last epoch, here ({len(run.epochs)})", [last[column] for column in columns.values()]))
    return {
        "head": head(experiment),
        "tables3": lines((["", *columns], cells)),
        "seen": seen,
        "least_loss": f"{(1 - P3_LAST['validation accuracy']) * math.log(2):.2f}",
        "measured": measured(experiment, results),
    }


def p4(experiment: Experiment, results: Sequence[Result]) -> Parts:
    cells = [["CNN with four convolutions", "66.23 %", figure_text(row_named(results, "p4-cnn"), "private_accuracy")]]
    ends = {}
    for name, told, papers in (
        ("resnet50-from-scratch", "ResNet-50 (in the paper from ImageNet weights, here from scratch)", ("33.25 %", "61.47 %")),
        ("lite0-two-stages", "EfficientNet-Lite0 from ImageNet weights", ("–", "–")),
    ):
        run = first_run(row_named(results, name))
        ends[name] = stage_ends(run) if run is not None else []
        for number, paper in enumerate(papers):
            here = percent(ends[name][number]) if number < len(ends[name]) else "–"
            cells.append([f"{told}, after stage {number + 1}", paper, here])
    run = first_run(row_named(results, "lite0-two-stages"))
    seen = "Lite0's two stages have not been run yet."
    if run is not None and len(ends["lite0-two-stages"]) == 2:
        frozen, free = ends["lite0-two-stages"]
        seen = (
            f"EfficientNet-Lite0 shows the order that P4 saw in ResNet-50: {percent(frozen)} with all but the last four layers "
            f"frozen, {percent(free)} once all are trained."
            if free > frozen
            else f"EfficientNet-Lite0 did not get better in the second stage here: {percent(frozen)}, then {percent(free)}."
        )
        seen += f" That is of {run.facts['faces']:,} pictures in {run.planned} epochs."
    return {
        "head": head(experiment),
        "figures": lines((["", "paper", "here"], cells)),
        "seen": seen,
        "instead": "The two stages were run with EfficientNet-Lite0 in its place."
        if run is not None
        else "EfficientNet-Lite0 stands in its place in the experiment; that row is not finished yet.",
        "happy": percent(PRIVATE_TEST[3] / sum(PRIVATE_TEST)),
        "measured": measured(experiment, results),
    }


def stage_ends(run: RunFolder) -> list[float]:
    """The best PublicTest accuracy of each stage."""
    return [row[f"{run.head}_accuracy"] for row in run.stage_bests]


PAGES: dict[str, tuple[str, Callable[[Experiment, Sequence[Result]], Parts]]] = {
    "p0.md": ("p0-tables-4-5", p0),
    "p1.md": ("p1-cnn", p1),
    "p2.md": ("p2-tables-2-4", p2),
    "p3.md": ("p3-tables-3", p3),
    "p4.md": ("p4-models", p4),
}

VERDICTS = (  # page, row, the paper's claim, what is to be thought of it
    (
        "p0.md",
        "arch3",
        "0.889",
        "as one-vs-rest it can: a plain accuracy of {best}, and a loss of something else. As it is compared there: no",
    ),
    ("p0.md", "arch1", "0.77", "no: its own confusion matrix gives {plain} plain, {rest} one-vs-rest"),
    ("p0.md", "arch2-batch16", "0.718", "no: as one-vs-rest it is below chance; as plain it is of pictures that are not named"),
    ("p0.md", "arch2-batch96", "0.76", "no: the same"),
    ("p1.md", "fer2013", "62 % on training data", "believable as plain"),
    ("p1.md", "ferplus", "85 % on testing data", "no: not beside 62 % in training"),
    ("p2.md", "100px", "90.75 % at 100 pixels", "not for new people: frames of the same 42 in training and test"),
    ("p2.md", "50px", "87 % at 50 pixels", "not for new people; its Table 3 gives {recall}"),
    ("p2.md", "20px", "72.39 % at 20 pixels", "not for new people; agrees with its Table 4"),
    ("p3.md", "p3-cnn", "0.6297, loss 1.1233", "yes"),
    ("p4.md", "p4-cnn", "66.23 %, CNN", "plausible"),
    (
        "p4.md",
        "resnet50-from-scratch",
        "33.25 %, then 61.47 %, ResNet-50",
        "plausible; not tested here, where its weights are not to be had",
    ),
)


def readme(found: dict[str, Found]) -> Parts:
    right, total, plain = p0_shares()
    named = {"best": f"{plain_accuracy(0.889, 7):.2f}", "plain": f"{plain:.3f}", "rest": f"{one_vs_rest(plain, 7):.3f}"}
    named["recall"] = percent(p2_recalls()["50px"])
    verdicts = []
    for page, name, claim, thought in VERDICTS:
        row = row_named(found[page][1], name)
        here = [tested_text(row, key) for key in ("private_accuracy", "private_one_vs_rest_accuracy")]
        verdicts.append([f"[{page[:2].upper()}]({page})", name, claim, thought.format(**named), *here])
    shares = (
        ("never right", 0.0),
        ("guessing evenly", 1 / 7),
        ("*happiness* of everything", PUBLIC_TEST[3] / sum(PUBLIC_TEST)),
        ("P0's architecture 1, by its matrix", plain),
        ("P0's architecture 3, if 0.889 is one-vs-rest", plain_accuracy(0.889, 7)),
        ("the best single networks known", FIELD_BEST),
    )
    return {
        "verdicts": lines((["paper", "row", "claim", "does it stand?", "here, plain", "here, one-vs-rest"], verdicts)),
        "formula": lines((["", "plain", "one-vs-rest"], [[said, percent(a), percent(one_vs_rest(a, 7))] for said, a in shares])),
        "never": percent(one_vs_rest(0, 7)),
        "p0_best": named["best"],
        "p0_total": f"{total:,}",
        "p0_right": f"{right:,}",
        "p0_plain": named["plain"],
        "p0_rest": named["rest"],
    }


OF_EACH_PAPER = {  # page: what the paper says of its best, and the rows that answer it
    "p0.md": ("three networks, 0.718 to 0.889", ("arch1", "arch2-batch96", "arch3")),
    "p1.md": ("one network, 62 % in training and 85 % in test", ("fer2013", "ferplus")),
    "p2.md": ("90.75 % at 100 pixels, frames of the same people in training and test", ("20px", "50px", "100px")),
    "p3.md": ("62.97 %", ("p3-cnn",)),
    "p4.md": ("CNN 66.23 %; ResNet-50 33.25 %, fine-tuned 61.47 %", ("p4-cnn", "lite0-two-stages", "resnet50-from-scratch")),
}
FRONT = "../../README.md"
"""The project's own page, which has a line for each paper."""
BEGIN, END = "<!-- papers:begin -->\n", "<!-- papers:end -->\n"


def front(found: dict[str, Found]) -> str:
    """The project's README with a line for each paper: what it says, and what its networks reach here."""
    table = []
    for page, (says, names) in OF_EACH_PAPER.items():
        here = [f"{name} {tested_text(row_named(found[page][1], name), 'private_accuracy')}" for name in names]
        table.append([f"[{page[:2].upper()}](docs/results/{page})", says, "; ".join(here)])
    text = (RESULTS / FRONT).read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    return before + BEGIN + lines((["paper", "says", "reaches here, plain accuracy"], table)) + "\n" + END + rest.split(END)[1]


def render(runs: Path = KEPT) -> dict[str, str]:
    """Page → its text, from the run folders below `runs`."""
    found = {page: load(stem, runs) for page, (stem, _) in PAGES.items()}
    more = {"p2.md": {"splits": p2_splits(*load("p2-splits", runs))}}
    pages = {page: filled(page, make(*found[page]) | more.get(page, {})) for page, (_, make) in PAGES.items()}
    return {FRONT: front(found), "README.md": filled("README.md", readme(found))} | pages


def main() -> int:
    parser = argparse.ArgumentParser(description="Make docs/results/ from run folders.")
    parser.add_argument(
        "runs", type=Path, nargs="?", metavar="RUNS", help="folder of the experiments' folders; default: what is kept"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page is stale")
    options = parser.parse_args()
    if options.runs is not None and not options.check:
        keep(options.runs)
    pages = render()
    stale = [
        page for page in pages if not (RESULTS / page).is_file() or (RESULTS / page).read_text(encoding="utf-8") != pages[page]
    ]
    for page in stale:
        if options.check:
            print(f"results/{page}: stale; run: python docs/make_results.py", file=sys.stderr)
        else:
            (RESULTS / page).write_text(pages[page], encoding="utf-8")
            print(RESULTS / page)
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
