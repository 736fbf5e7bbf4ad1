"""The laboratory's commands: evaluate, train, export. Needs no torch until one of them does."""

import argparse
import csv
import dataclasses
import importlib.util
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from mien.errors import ModelError
from mien.terminal import amount, command, count, counting


def _evaluate(commands: Any) -> None:
    parser = command(
        commands,
        "evaluate",
        evaluate,
        "measure a model on FER2013 or FER+, with N, intervals, the human line and other tools",
        "DIR holds fer2013.csv (Kaggle) and fer2013new.csv (microsoft/FERPlus). Choose on PublicTest; PrivateTest is for once.",
    )
    parser.add_argument("model", metavar="MODEL", help="name or folder of a model; 'default' names the one that ships")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with fer2013.csv and fer2013new.csv")
    parser.add_argument("--protocol", choices=("fer2013", "ferplus-strict"), required=True)
    parser.add_argument("--split", choices=("PublicTest", "PrivateTest"), default="PrivateTest", help="default PrivateTest")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")


def evaluate(options: argparse.Namespace) -> int:
    from mien.models import load_model
    from mien.training.evaluate import evaluate_bundle

    bundle = load_model(options.model)
    with counting("aligning faces") as progress:
        found = evaluate_bundle(bundle, options.data, options.protocol, split=options.split, progress=progress)
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        _print_figures(found)
    return 0


def _print_figures(found: dict[str, Any]) -> None:
    def interval(name: str) -> str:
        low, high = found["interval"][name]
        return f"{100 * low:5.1f} to {100 * high:5.1f}"

    def percent(value: float) -> str:
        return f"{100 * value:5.1f} %"

    print(f"{found['model']} on {found['split']} by the protocol {found['protocol']}, N = {found['n']:,}\n")
    for name, text in (("accuracy", "accuracy"), ("macro_f1", "macro-F1"), ("balanced_accuracy", "balanced accuracy")):
        print(f"  {text:<34}{percent(found[name])}   95 % interval {interval(name)}")
    print(f"  {'calibration error (ECE, 15 bins)':<34}{percent(found['ece'])}")
    print(f"  {'one-vs-rest accuracy (P0)':<34}{percent(found['one_vs_rest_accuracy'])}")
    print(f"  {'accuracy with flip averaging':<34}{percent(found['flip_average']['accuracy'])}")
    end = found["end_to_end"]
    print(f"  {'whole pipeline':<34}{percent(end['accuracy'])}   face found in {end['detected']:,} of {end['n']:,}")
    if "cross_entropy_to_votes" in found:
        floor = f"floor {found['cross_entropy_floor']:.3f}"
        print(f"  {'cross-entropy to the votes':<34}{found['cross_entropy_to_votes']:5.3f}     {floor}")
    print("\n  beside it")
    if "human_line" in found:
        print(f"  {'one rater against the other nine':<34}{percent(found['human_line'])}")
    for name, value in found.get("peers", {}).items():
        print(f"  {name:<34}{percent(value)}")
    labels = found["labels"]
    print(f"\n  {'':<11}{'N':>5}  precision  recall     F1   said " + " ".join(f"{name[:5]:>5}" for name in labels))
    for name, row in zip(labels, found["confusion"], strict=True):
        figures = f"{percent(found['precision'][name])}  {percent(found['recall'][name])}  {found['f1'][name]:5.3f}"
        print(f"  {name:<11}{sum(row):>5}    {figures}        " + " ".join(f"{count:>5}" for count in row))


def _needs_training(command: str) -> None:
    missing = [name for name in ("torch", "lightning", "onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise ModelError(f"mien {command} needs the train extra ({', '.join(missing)} missing); run: pip install 'mien[train]'")


def _train(commands: Any) -> None:
    parser = command(
        commands,
        "train",
        train,
        "train a network by a recipe",
        "RECIPE is a TOML file (see recipes/ in the repository). DIR holds fer2013.csv and fer2013new.csv. The run folder\n"
        "gets recipe.json, metrics.csv, last.ckpt and best.ckpt. Needs: pip install 'mien[train]'",
    )
    parser.add_argument("recipe", type=Path, metavar="RECIPE")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with fer2013.csv and fer2013new.csv")
    parser.add_argument("--run", type=Path, dest="run_folder", metavar="DIR", help="run folder; default runs/NAME")
    parser.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    parser.add_argument("--threads", type=count, default=1, metavar="N", help="CPU threads; default 1, often the fastest")
    parser.add_argument(
        "--accelerator", default="auto", metavar="NAME", help="as Lightning names them: auto, cpu, gpu; default auto"
    )
    parser.add_argument("--devices", type=count, default=1, metavar="N", help="GPUs (or processes) of each machine; default 1")
    parser.add_argument("--nodes", type=count, default=1, metavar="N", help="machines that train together; default 1")
    parser.add_argument("--strategy", default="auto", metavar="NAME", help="how several share the work, as Lightning names it: ddp")
    parser.add_argument("--precision", default="32-true", metavar="NAME", help="as Lightning names it: bf16-mixed on newer GPUs")
    parser.add_argument("--seeds", type=int, nargs="+", metavar="N", help="train once for each of these seeds, into RUN-seedN")
    parser.add_argument("--layout", default="auto", metavar="NAME", help="how DIR is laid out (see: mien data); default auto")


def train(options: argparse.Namespace) -> int:
    from mien.training.recipe import read_recipe

    recipe = read_recipe(options.recipe)
    _needs_training("train")
    from mien.training.train import train as run_training

    run = options.run_folder or Path("runs") / recipe.name
    given = {name: getattr(options, name) for name in ("resume", "threads", "accelerator", "devices", "nodes", "strategy")}
    given |= {name: getattr(options, name) for name in ("precision", "layout")}
    terminal = sys.stderr.isatty()
    if not options.seeds:
        run_training(recipe, options.data, run, progress=terminal, **given)
        _tell_run(run)
        print(f"next: mien export {run} --data {options.data} --out {recipe.name}")
        return 0
    best = []
    for seed in options.seeds:
        folder = run.with_name(f"{run.name}-seed{seed}")
        run_training(dataclasses.replace(recipe, seed=seed), options.data, folder, progress=terminal, **given)
        best.append(_tell_run(folder))
    for name in (key for key in best[0] if key != "epoch"):
        values = [float(row[name]) for row in best]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        print(f"{name}: {statistics.mean(values):.4f} ± {spread:.4f} over {len(values)} seeds")
    return 0


def _tell_run(run: Path) -> dict[str, str]:
    """Prints and gives back the figures of a run's best epoch."""
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
        row = max(csv.DictReader(file), key=lambda row: float(row["score"]))
    figures = {name: row[name] for name in row if name == "epoch" or name.endswith(("_accuracy", "_macro_f1", "_loss"))}
    shown = ", ".join(f"{name} {float(value):.4f}" for name, value in figures.items() if name != "epoch")
    print(f"run: {run}\nbest epoch: {row['epoch']} ({shown})")
    return figures


def _export(commands: Any) -> None:
    parser = command(
        commands,
        "export",
        export,
        "make a model folder (ONNX, model.json, CARD.md) of a finished run",
        "Temperature and prior are found on PublicTest; all figures of the card are measured. Needs: pip install 'mien[train]'",
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="run folder of mien train")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with fer2013.csv and fer2013new.csv")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the model folder to make")
    parser.add_argument("--name", help="name of the model; default that of the recipe")


def export(options: argparse.Namespace) -> int:
    _needs_training("export")
    from mien.training.export import export as make_bundle

    folder = make_bundle(options.run_folder, options.data, options.out, name=options.name)
    print(f"model: {folder}\ncard: {folder / 'CARD.md'}")
    return 0


def show_layers(name: str) -> int:
    """Prints the layers of a network by its name, by a recipe or by a bundle; for `mien models show --layers`."""
    _needs_training("models show --layers")
    from mien.training.networks import shown
    from mien.training.summary import format_layers, layer_table

    network, title, size, channels = shown(name)
    print(f"{title}\n\n{format_layers(layer_table(network, size, channels))}")
    return 0


def _data(commands: Any) -> None:
    parser = command(commands, "data", data, "describe labelled pictures, or make them of films and of any layout")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND")
    known = "fer2013, icml, ferplus-folders, folders, ckplus48, jaffe, rafdb, prepared"
    show = command(
        verbs,
        "describe",
        data_describe,
        "count classes, votes, sizes, persons and exact duplicates of labelled pictures",
        f"Layouts: {known}\n(see docs/data.md). What cannot be read is counted, the first of it named, and the exit code is 1.",
    )
    show.add_argument("folder", type=Path, metavar="DIR", help="folder with the pictures or their tables")
    show.add_argument("--out", type=Path, metavar="DIR", help="also write tables, a histogram and a sheet of samples there")
    show.add_argument("--json", action="store_true", help="print all figures as JSON")
    make = command(
        verbs,
        "prepare",
        data_prepare,
        "turn films named by their data set's rule, or pictures in any layout, into one folder divided by person",
        f"Layouts of films: enterface (s1_an_1.avi), ravdess (02-01-05-01-02-01-12.mp4), crema-d (1001_DFA_ANG_XX.flv); of\n"
        f"pictures: {known}.\nA film that fails is listed in DIR/problems.csv, the others are done all the same, and the exit "
        "code is 1.\nThe same command goes on where one was stopped.",
    )
    make.add_argument("source", type=Path, metavar="SOURCE", help="folder with the films or pictures")
    make.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to make")
    often = make.add_mutually_exclusive_group()
    often.add_argument(
        "--every", type=amount, default=0.5, metavar="S", help="seconds between looks; 0 takes each frame; default 0.5"
    )
    often.add_argument("--frames", type=count, metavar="N", help="look at so many frames from the inside of each film instead")
    make.add_argument("--skip-bad", action="store_true", help="leave out pictures that cannot be read, and list them")
    for parser in (show, make):
        parser.add_argument("--layout", default="auto", metavar="NAME", help="how the folder is laid out; default auto: found out")
        parser.add_argument(
            "--shares",
            type=amount,
            nargs=3,
            default=(0.8, 0.1, 0.1),
            metavar=("TRAIN", "PUBLIC", "PRIVATE"),
            help="how undivided data is divided, persons kept together; default 0.8 0.1 0.1",
        )
        parser.add_argument("--seed", type=int, default=0, metavar="N", help="of that division; default 0")


def data(options: argparse.Namespace) -> int:
    print("mien data wants a command: describe or prepare (see: mien data --help)", file=sys.stderr)
    return 2


def data_describe(options: argparse.Namespace) -> int:
    from mien.training.describe import describe, text

    with counting("reading pictures") as progress:
        found = describe(
            options.folder,
            options.out,
            layout=options.layout,
            shares=tuple(options.shares),
            seed=options.seed,
            progress=progress,
        )
    print(json.dumps(found, ensure_ascii=False) if options.json else text(found))
    if options.out is not None and not options.json:
        print(f"tables and pictures: {options.out}")
    return 1 if found["problems"]["count"] else 0


def data_prepare(options: argparse.Namespace) -> int:
    from mien.training.prepare import prepare

    with counting("preparing") as progress:
        facts = prepare(
            options.source,
            options.out,
            layout=options.layout,
            every_s=options.every,
            frames=options.frames,
            shares=tuple(options.shares),
            seed=options.seed,
            skip_bad=options.skip_bad,
            progress=progress,
        )
    print(f"{facts['pictures']:,} pictures from the layout {facts['layout']}")
    for split, counts in facts["counts"].items():
        persons = f", {len(facts['persons'][split])} persons" if any(facts["persons"].values()) else ""
        shown = ", ".join(f"{name} {number:,}" for name, number in counts.items())
        print(f"  {split}: {sum(counts.values()):,}{persons} ({shown})")
    for note in facts["notes"]:
        print(f"note: {note}")
    print(f"data: {options.out}")
    return 1 if facts["problems"] and not options.skip_bad else 0


COMMANDS = (_data, _evaluate, _train, _export)
"""Each adds its command to the parser, in the order of the help."""
