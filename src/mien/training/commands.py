"""The laboratory's commands: data, evaluate, train, compare, export. Needs no torch until one of them does."""

import argparse
import contextlib
import dataclasses
import importlib.util
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mien.errors import DataError, ModelError
from mien.terminal import amount, command, count, counting


def _takes_layout(parser: argparse.ArgumentParser, folder: str = "DIR", names: str = "mien data describe --help") -> None:
    told = f"how {folder} is laid out (names: {names}); default auto: found out"
    parser.add_argument("--layout", default="auto", metavar="NAME", help=told)


def _takes_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", type=count, default=1, metavar="N", help="CPU threads; default 1, often the fastest")
    told = "what to train on, as Lightning names it: auto, cpu, gpu; default auto"
    parser.add_argument("--accelerator", default="auto", metavar="NAME", help=told)
    told = "of a step, as Lightning names it: bf16-mixed on newer GPUs and CPUs; scores stay 32-true"
    parser.add_argument("--precision", default="32-true", metavar="NAME", help=told)


def _evaluate(commands: Any) -> None:
    parser = command(
        commands,
        "evaluate",
        evaluate,
        "measure models on labelled faces: accuracy, calibration, confusions, other data, bad pictures",
        "The protocol fer2013 takes the single labels of FER2013, ferplus-strict the majority of FER+'s raters, labels every\n"
        "picture whose single label the model knows, for any other data. Several models or several DIRs give one table.\n"
        "Choose on PublicTest; PrivateTest is for once. Robustness is measured on PublicTest.",
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="names or folders of models; 'default' names the one that ships")
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, metavar="DIR", help="folders with labelled faces, as fer2013.csv"
    )
    _takes_layout(parser)
    parser.add_argument("--protocol", choices=("fer2013", "ferplus-strict", "labels"), required=True, help="which labels count")
    parser.add_argument(
        "--split",
        choices=("Training", "PublicTest", "PrivateTest", "all"),
        help="default PrivateTest; with --robustness PublicTest",
    )
    parser.add_argument("--labels", metavar="SET", help="label set of the model; default the one that fits the protocol and data")
    parser.add_argument("--prior", metavar="NAME", help="how decisions lean: natural or balanced; default as the model was tuned")
    parser.add_argument("--robustness", action="store_true", help="what blur, noise, low light … leave of it, and non-faces")
    parser.add_argument("--limit", type=count, default=600, metavar="N", help="pictures drawn for --robustness; default 600")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="which pictures --robustness draws; default 0")
    parser.add_argument(
        "--groups",
        type=Path,
        metavar="FILE",
        help="also of groups of people: a CSV file whose column source names pictures as answers.csv\n"
        "does, and whose other columns each put them into groups",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write figures, tables and pictures there")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")


def evaluate(options: argparse.Namespace) -> int:
    several = len(options.models) > 1 or len(options.data) > 1
    if several and (options.robustness or options.labels or options.prior or options.groups):
        raise ValueError("--robustness, --labels, --prior and --groups are for one MODEL and one --data DIR")
    if options.robustness and options.groups:
        raise ValueError("--groups is for pictures as they are; leave out --robustness")
    with contextlib.ExitStack() as stack:
        out = None
        if options.out is not None:
            from mien.training.evaluate import results_folder

            out = stack.enter_context(results_folder(options.out))
        if several:
            _evaluate_several(options, out)
        elif options.robustness:
            _evaluate_robustness(options, out)
        else:
            _evaluate_one(options, out)
    if out is not None and not options.json:
        print(f"\nresults: {options.out}")
    return 0


def _evaluate_one(options: argparse.Namespace, out: Path | None) -> None:
    from mien.models import load_model
    from mien.training.evaluate import group_rows, measure, read_groups, write_evaluation

    groups = read_groups(options.groups) if options.groups is not None else None
    with counting("aligning faces") as progress:
        found, answers = measure(
            load_model(options.models[0]),
            options.data[0],
            options.protocol,
            split=options.split or "PrivateTest",
            layout=options.layout,
            head=options.labels,
            prior=options.prior,
            progress=progress,
        )
    if groups is not None:
        found["groups"] = group_rows(answers, groups)
    if out is not None:
        write_evaluation(found, answers, out)
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        _print_figures(found)


def _percent(value: float) -> str:
    return f"{100 * value:5.1f} %"


def _print_figures(found: dict[str, Any]) -> None:
    def interval(name: str) -> str:
        low, high = found["interval"][name]
        return f"{100 * low:5.1f} to {100 * high:5.1f}"

    def line(text: str, value: str, more: str = "") -> None:
        print(f"  {text:<34}{value}{f'   {more}' if more else ''}")

    print(f"{found['model']} on {found['split']} by the protocol {found['protocol']}, N = {found['n']:,}\n")
    for name, text in (("accuracy", "accuracy"), ("macro_f1", "macro-F1"), ("balanced_accuracy", "balanced accuracy")):
        line(text, _percent(found[name]), f"95 % interval {interval(name)}")
    if "macro_f1_without_contempt" in found:
        line("macro-F1 without contempt", _percent(found["macro_f1_without_contempt"]))
    line("calibration error (ECE, 15 bins)", _percent(found["ece"]))
    line("Brier score, NLL", f"{found['brier']:5.3f}, {found['nll']:.3f}")
    line("one-vs-rest accuracy (P0)", _percent(found["one_vs_rest_accuracy"]))
    line("accuracy with flip averaging", _percent(found["flip_average"]["accuracy"]))
    if "without_duplicates" in found:
        unseen = found["without_duplicates"]
        line("without copies of Training's", f"{_percent(unseen['accuracy'])}   N = {unseen['n']:,}")
    end = found["end_to_end"]
    line("whole pipeline", _percent(end["accuracy"]), f"face found in {end['detected']:,} of {end['n']:,}")
    if "false_neutral" in found:
        line("false neutrals", _percent(found["false_neutral"]["rate"]), f"of {found['false_neutral']['n']:,} that are not neutral")
    if found.get("near_neutral", {}).get("n"):
        near = found["near_neutral"]
        line("accuracy near neutral", _percent(near["accuracy"]), f"{near['n']:,} with 3 or more of 10 votes for neutral")
    if "cross_entropy_to_votes" in found:
        line("cross-entropy to the votes", f"{found['cross_entropy_to_votes']:5.3f}", f"  floor {found['cross_entropy_floor']:.3f}")
    if found.get("left_out"):
        line("left out", f"{found['left_out']:5,}", f"whose label is none of the set {found['head']}")
    beside = {"one rater against the other nine": found["human_line"]} if "human_line" in found else {}
    beside |= found.get("peers", {})
    if beside:
        print("\n  beside it")
        for name, value in beside.items():
            line(name, _percent(value))
    if "reliability" in found:
        _print_trust(found["reliability"])
    labels = found["labels"]
    print(f"\n  {'':<11}{'N':>5}  precision  recall     F1   said " + " ".join(f"{name[:5]:>5}" for name in labels))
    for name, row in zip(labels, found["confusion"], strict=True):
        figures = f"{_percent(found['precision'][name])}  {_percent(found['recall'][name])}  {found['f1'][name]:5.3f}"
        print(f"  {name:<11}{sum(row):>5}    {figures}        " + " ".join(f"{count:>5}" for count in row))

    if "groups" in found:
        _print_groups(found["groups"])


def _print_trust(found: dict[str, Any]) -> None:
    sides = f"AUROC {found['auroc']:.3f}, of the largest probability {found['auroc_of_largest']:.3f}"
    print(f"\n  reliability {found['mean']:.3f} in the mean; {sides}")
    print("  most reliable first   reliability from   right")
    for row in found["risk_coverage"]["curve"]:
        print(f"  {_percent(row['coverage']):>19}   {row['least']:16.3f}   {_percent(row['accuracy'])}")
    area, other = found["risk_coverage"]["area"], found["area_of_largest"]
    print(f"  area under wrong against coverage {area:.4f}, by the largest probability {other:.4f}")


def _print_groups(rows: list[dict[str, Any]]) -> None:
    def cell(row: dict[str, Any], name: str) -> str:
        if row.get(name) is None:
            return f"{'–':>22}"
        low, high = row[f"{name}_interval"]
        return f"{100 * row[name]:6.1f} % {f'({100 * low:.1f}–{100 * high:.1f})':>13}"

    width = max(len(f"{row['column']} {row['group']}") for row in rows)
    print(f"\n  {'':<{width}}{'N':>7}{'accuracy':>22}{'ECE':>22}{'can be relied on':>22}")
    for row in rows:
        name = f"{row['column']} {row['group']}"
        print(f"  {name:<{width}}{row['n']:>7}" + "".join(cell(row, figure) for figure in ("accuracy", "ece", "coverage")))


def _evaluate_several(options: argparse.Namespace, out: Path | None) -> None:
    from mien.models import load_model
    from mien.training.evaluate import cross_data, measure, write_cross_data, write_evaluation

    bundles = [load_model(name) for name in options.models]
    with counting("aligning faces") as progress:
        rows = cross_data(
            bundles,
            options.data,
            options.protocol,
            split=options.split or "PrivateTest",
            layout=options.layout,
            progress=progress,
        )
    if out is not None:
        write_cross_data(rows, out / "cross_data.csv")
        split, layout = options.split or "PrivateTest", options.layout
        for place, bundle in enumerate(bundles, start=1):
            name = f"{place}-{bundle.spec.name}"
            for number, data in enumerate(options.data, start=1):
                try:
                    found = measure(bundle, data, options.protocol, split=split, layout=layout)
                except DataError as error:  # it stands in the table with the emotions that all share, and has no head for the rest
                    print(f"{bundle.spec.name}: no files of its own: {error}", file=sys.stderr)
                    continue
                folder = out / (name if len(options.data) == 1 else f"{name}-data{number}")
                folder.mkdir()
                write_evaluation(*found, folder)
    if options.json:
        print(json.dumps(rows, ensure_ascii=False))
    else:
        _print_cross_data(rows, options.models)


def _print_cross_data(rows: list[dict[str, Any]], models: list[str]) -> None:
    """A line for each model, in the order given, a column for each data set; rows come data set by data set."""
    columns = [rows[i : i + len(models)] for i in range(0, len(rows), len(models))]
    print(f"accuracy and macro-F1 by the protocol {rows[0]['protocol']}, {rows[0]['split']}\n")
    width = max(len(name) for name in models)
    print(f"  {'':<{width}}" + "".join(f"{f'data {i}':>20}" for i in range(1, len(columns) + 1)))
    marks = {"trained on": "*", "chosen on": "+"}
    for at, name in enumerate(models):
        cells = [f"{_percent(c[at]['accuracy'])}  {c[at]['macro_f1']:.3f} {marks.get(c[at]['seen'], ' ')}" for c in columns]
        print(f"  {name:<{width}}" + "".join(f"{cell:>20}" for cell in cells))
    print()
    for i, column in enumerate(columns, start=1):
        print(f"  data {i}: {column[0]['data']}, N = {column[0]['n']:,}; told apart: {', '.join(column[0]['emotions'])}")
    seen = {row["seen"] for row in rows}
    for what, mark in marks.items():
        if what in seen:
            how = "trained on" if what == "trained on" else "tuned (epoch, temperature, prior) on"
            print(f"  {mark} {how} these very pictures: no measure of how the model does on others")


def _evaluate_robustness(options: argparse.Namespace, out: Path | None) -> None:
    from mien.models import load_model
    from mien.training.robustness import measure_robustness, write_robustness

    with counting("harming pictures") as progress:
        found = measure_robustness(
            load_model(options.models[0]),
            options.data[0],
            options.protocol,
            split=options.split or "PublicTest",
            layout=options.layout,
            head=options.labels,
            prior=options.prior,
            limit=options.limit,
            seed=options.seed,
            progress=progress,
        )
    if out is not None:
        write_robustness(found, out)
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        _print_robustness(found)


def _print_robustness(found: dict[str, Any]) -> None:
    drawn = f"{found['n']:,} of {found['of']:,} pictures of {found['split']}, seed {found['seed']}"
    print(f"{found['model']} by the protocol {found['protocol']}, whole pipeline, {drawn}\n")
    told = ["right", "95 % interval", "face found", "false neutrals", "right, given the place"]
    told += ["reliability", "relied on", "right of it"]
    print(f"  {'':<39}  {'   '.join(told)}")
    before = ""

    def shown(share: float | None) -> str:
        return "      –" if share is None else _percent(share)

    for row in found["harms"]:
        title = row["title"] if row["title"] != before else ""
        before = row["title"]
        strength = f"{row['strength']:g}" if row["harm"] != "none" else ""
        neutral = shown(row["false_neutral"])
        interval = f"{100 * row['low']:5.1f} to {100 * row['high']:5.1f}"
        print(
            f"  {title:<35}{strength:>4}{_percent(row['accuracy'])}  {interval}      {_percent(row['found'])}"
            f"          {neutral}                  {_percent(row['placed_accuracy'])}"
            f"       {shown(row['reliability'])}     {shown(row['relied_on'])}       {shown(row['accuracy_relied_on'])}"
        )
    told = ["face found", "mean confidence", "above 80 %", "relied on", "mostly called, if made to"]
    print(f"\n  {'pictures without a face':<24}{'N':>5}   {'   '.join(told)}")
    for row in found["not_faces"]:
        most = sorted(row["said"].items(), key=lambda item: -item[1])[:2]
        called = ", ".join(f"{name} {100 * share:.0f} %" for name, share in most if share)
        print(
            f"  {row['kind']:<24}{row['n']:>5}      {_percent(row['let_through'])}           {_percent(row['confidence'])}"
            f"      {_percent(row['sure'])}     {_percent(row['relied_on'])}   {called}"
        )
    print(f"\n  {found['seconds']:.0f} s")


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
        "RECIPE is a TOML file (see recipes/ in the repository). DIR holds labelled pictures (see: mien data --help). The run\n"
        "folder gets recipe.json, metrics.csv, timing.csv, last.ckpt, best.ckpt, curves.png and report.html.\n"
        "Needs: pip install 'mien[train]'",
    )
    parser.add_argument("recipe", type=Path, metavar="RECIPE")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with the labelled pictures")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="changes",
        metavar="KEY=VALUE",
        help="another value than the recipe's, as often as you like:\nnetwork=p0-arch1, lr=0.01, augment.flip=0",
    )
    parser.add_argument("--run", type=Path, dest="run_folder", metavar="DIR", help="run folder; default runs/NAME")
    parser.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    _takes_device(parser)
    parser.add_argument("--devices", type=count, default=1, metavar="N", help="GPUs (or processes) of each machine; default 1")
    parser.add_argument("--nodes", type=count, default=1, metavar="N", help="machines that train together; default 1")
    parser.add_argument("--strategy", default="auto", metavar="NAME", help="how several share the work, as Lightning names it: ddp")
    parser.add_argument("--seeds", type=int, nargs="+", metavar="N", help="train once for each of these seeds, into RUN-seedN")
    _takes_layout(parser)


def train(options: argparse.Namespace) -> int:
    from mien.training.recipe import read_recipe

    recipe = read_recipe(options.recipe, options.changes)
    _needs_training("train")
    from mien.training.train import is_first
    from mien.training.train import train as run_training

    run = options.run_folder or Path("runs") / recipe.name
    given = {name: getattr(options, name) for name in ("resume", "threads", "accelerator", "devices", "nodes", "strategy")}
    given |= {name: getattr(options, name) for name in ("precision", "layout")}
    terminal = sys.stderr.isatty()
    given["epoch_told"] = _silent if terminal else _to_log(recipe.name)
    given["warned"] = lambda line: print(f"mien: warning: {line}", file=sys.stderr)
    if not options.seeds:
        run_training(recipe, options.data, run, progress=terminal, **given)
        if is_first():
            _finish(run, options)
            print(f"next: mien export {run} --data {options.data} --out {recipe.name}")
        return 0
    best = []
    for seed in options.seeds:
        folder = run.with_name(f"{run.name}-seed{seed}")
        run_training(dataclasses.replace(recipe, seed=seed), options.data, folder, progress=terminal, **given)
        if is_first():
            best.append(_finish(folder, options))
    for name in best[0] if best else ():
        values = [row[name] for row in best]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        print(f"{name}: {statistics.mean(values):.4f} ± {spread:.4f} over {len(values)} seeds")
    return 0


def _silent(line: str) -> None:
    """Where a bar shows how far it is."""


def _to_log(name: str) -> Callable[[str], None]:
    """Prints a line per epoch, for a log that is looked at while a run lasts."""
    return lambda line: print(f"{name}: {line}", flush=True)


def _finish(run: Path, options: argparse.Namespace) -> dict[str, float]:
    """Scores the best epoch on PublicTest, writes the run's page, and tells its figures."""
    from mien.training.run_page import write_run_page
    from mien.training.scoring import measure_network, score_run

    measure_network(run)
    score_run(run, options.data, "PublicTest", layout=options.layout)
    page = write_run_page(run)
    figures = _tell_run(run)
    print(f"report: {page}")
    return figures


def _tell_run(run: Path) -> dict[str, float]:
    """Prints and gives back the figures of a run's best epoch."""
    from mien.training.run_folder import read_run

    found = read_run(run)
    if found.recipe.labels:
        print(f"learnt: the data's own words {', '.join(found.recipe.labels)}")
    best = found.best
    figures = {name: value for name, value in best.items() if name.endswith(("_accuracy", "_macro_f1", "_loss"))}
    shown = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
    print(f"run: {run}\nbest epoch: {best['epoch']:.0f} ({shown})")
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
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the labelled pictures of that run")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the model folder to make")
    parser.add_argument("--name", help="name of the model; default that of the recipe")
    parser.add_argument(
        "--svm",
        type=float,
        nargs="*",
        metavar="C",
        help="put a linear one-vs-all SVM on the features instead of the last layer, with the best of these C on PublicTest",
    )
    parser.add_argument("--half", action="store_true", help="store the weights in half precision: half the size, as fast")
    _takes_layout(parser)


def export(options: argparse.Namespace) -> int:
    _needs_training("export")
    from mien.training.export import export as make_bundle

    given = {name: getattr(options, name) for name in ("name", "svm", "half", "layout")}
    folder = make_bundle(options.run_folder, options.data, options.out, **given)
    print(f"model: {folder}\ncard: {folder / 'CARD.md'}")
    return 0


def _calibrate(commands: Any) -> None:
    parser = command(
        commands,
        "calibrate",
        calibrate,
        "find anew how a model's heads decide together, and how far its readings can be believed",
        "The network stays as it is. Its priors, the decision by both heads and the reliability of each decision are found on\n"
        "PublicTest, as it is and damaged, and on faces from elsewhere, by the rule in docs/results/default-model.md.\n"
        "Needs: pip install 'mien[train]'",
    )
    parser.add_argument("model", metavar="MODEL", help="name or folder of a model; 'default' names the one that ships")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with labelled faces, as fer2013.csv")
    parser.add_argument(
        "--elsewhere", type=Path, metavar="DIR", help="labelled faces of another origin, of which nothing is learnt"
    )
    parser.add_argument(
        "--before", metavar="MODEL", help="the default before it, of which the rule's bars are; unless given the model itself"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the model to write")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the damage; default 0")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")
    _takes_layout(parser)


def calibrate(options: argparse.Namespace) -> int:
    _needs_training("calibrate")
    from mien.models import load_model
    from mien.training.calibrate import calibrate as found_anew
    from mien.training.card import DECISIONS

    with counting("asking the network") as progress:
        found = found_anew(
            load_model(options.model),
            options.data,
            options.out,
            elsewhere=options.elsewhere,
            before=None if options.before is None else load_model(options.before),
            layout=options.layout,
            seed=options.seed,
            progress=progress,
        )
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
        return 0
    decision = found.get("decision")
    if decision:
        print(f"default decision: {decision['default']}; allowed {decision['allowed']} of {decision['tried']}")
        ways = [name for name in DECISIONS if name in decision]
        print(f"  {'':<22}" + "".join(f"{name:>9}" for name in ways))
        for name in decision["natural"]:
            if name != "misses":
                print(f"  {name:<22}" + "".join(f"{_percent(decision[way][name]):>9}" for way in ways))
        print("".join(f"  {way} does not reach: {', '.join(decision[way]['misses']) or 'nothing left'}\n" for way in ways))
    _print_reliability(found["reliability"]["kinds"])
    print(f"\nmodel: {options.out}")
    return 0


def _print_reliability(rows: list[dict[str, Any]]) -> None:
    print(f"  {'':<18}{'N':>7}    right   largest p   reliability   AUROC (of largest p)")
    for row in rows:
        mark = "" if row["learnt"] else "  not learnt"
        print(
            f"  {row['kind']:<18}{row['n']:>7,}  {_percent(row['right'])}     {_percent(row['says'])}       "
            f"{_percent(row['reliability'])}   {row['auroc']:.3f} ({row['auroc_of_largest']:.3f}){mark}"
        )


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
    clips = command(
        verbs,
        "clips",
        data_clips,
        "make clips of single pictures, divided by frame and by clip: what dividing frames does to a figure",
        "SOURCE is a folder with labelled pictures; of its Training pictures as many clips of each of six classes are made. DIR\n"
        "gets by-frame/ and by-clip/, the same frames divided in two ways (see experiments/p2-splits.toml).",
    )
    clips.add_argument("source", type=Path, metavar="SOURCE", help="folder with labelled pictures, as fer2013.csv")
    clips.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to make")
    clips.add_argument("--clips", type=count, default=1260, metavar="N", help="how many, a multiple of 6; default 1260")
    clips.add_argument("--frames", type=count, default=11, metavar="N", help="frames of each; default 11")
    sheet = command(
        verbs,
        "augment",
        data_augment,
        "show what a recipe's augmentation does to faces: each change alone at its strength, then all together",
        "Needs: pip install 'mien[train]'",
    )
    sheet.add_argument("recipe", type=Path, metavar="RECIPE")
    sheet.add_argument("--data", type=Path, required=True, metavar="DIR", help="labelled pictures; those of Training are shown")
    sheet.add_argument("--out", type=Path, required=True, metavar="FILE", help="the picture to write, a PNG")
    _takes_layout(sheet)
    steps = command(
        verbs,
        "steps",
        data_steps,
        "show what becomes of a picture on its way to a network: detected, de-noised, rotated, normalised, cropped",
        "The steps of P1, as the keys of a recipe's crop switch them on (denoise, rotate, contrast, size).",
    )
    steps.add_argument("picture", type=Path, metavar="PICTURE")
    steps.add_argument("--out", type=Path, required=True, metavar="FILE", help="the picture to write, a PNG")
    for parser in (show, make, clips):
        _takes_layout(
            parser, "DIR" if parser is show else "SOURCE", names="mien data describe --help" if parser is clips else "below"
        )
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
    print("mien data wants a command: describe, prepare, clips, augment or steps (see: mien data --help)", file=sys.stderr)
    return 2


def data_augment(options: argparse.Namespace) -> int:
    from mien.training.recipe import read_recipe

    recipe = read_recipe(options.recipe)
    _needs_training("data augment")
    from mien.training.data import load_faces
    from mien.training.pictures import augmentation_sheet

    with counting("aligning faces") as progress:
        faces = load_faces(
            options.data, recipe.crop, align=recipe.align, splits=("Training",), layout=options.layout, progress=progress
        )
    if not len(faces):
        raise DataError(f"{options.data}: has no picture in the split Training; wanted some to show")
    some = faces.crops[:: max(1, len(faces) // 10)][:10]
    print(f"sheet: {augmentation_sheet(some, recipe.augment, options.out, seed=recipe.seed)}")
    return 0


def data_steps(options: argparse.Namespace) -> int:
    from mien.training.preprocessing import preprocessing_sheet

    print(f"sheet: {preprocessing_sheet(options.picture, options.out)}")
    return 0


def data_clips(options: argparse.Namespace) -> int:
    from mien.training.clips import make_clips

    with counting("making clips") as progress:
        counts = make_clips(
            options.source,
            options.out,
            clips=options.clips,
            frames=options.frames,
            layout=options.layout,
            shares=tuple(options.shares),
            seed=options.seed,
            progress=progress,
        )
    for way, splits in counts.items():
        print(f"{way}: " + ", ".join(f"{split} {sum(of.values()):,}" for split, of in splits.items()))
    print(f"data: {options.out}")
    return 0


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


def _compare(commands: Any) -> None:
    parser = command(
        commands,
        "compare",
        compare,
        "train or read the runs of an experiment, and put them into one table",
        "EXPERIMENT is a TOML file (see experiments/ in the repository). OUT gets a run folder per row and seed, table.csv,\n"
        "table.md and index.html. Run it again to go on where it stopped; finished runs are read, and PrivateTest is scored\n"
        "once for each.\n"
        "Needs: pip install 'mien[train]'; with --read-only neither that nor data.",
    )
    parser.add_argument("experiment", type=Path, metavar="EXPERIMENT")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder with labelled faces, as fer2013.csv")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the run folders and the table")
    parser.add_argument("--scaled", action="store_true", help="as the experiment's table [scaled] makes it smaller")
    parser.add_argument("--limit-epochs", type=count, metavar="N", help="no run longer than this, for a first look")
    parser.add_argument("--read-only", action="store_true", help="train and score nothing; the tables of what is there")
    parser.add_argument("--only", nargs="+", default=(), metavar="ROW", help="train these rows alone; the tables have all")
    _takes_device(parser)
    _takes_layout(parser)


def compare(options: argparse.Namespace) -> int:
    if not options.read_only:
        if options.data is None:
            raise ValueError("mien compare needs --data DIR, or --read-only for what is there")
        _needs_training("compare")
    from mien.training.compare import compare as run_experiment
    from mien.training.experiment import Result, markdown_table, read_experiment, stuck_text, table_rows
    from mien.training.paper_tables import paper_tables

    def tell(result: Result) -> None:
        print(f"{result.cell.folder}: {result.status}" + (f": {result.failure}" if result.failure else ""), flush=True)

    found = run_experiment(
        read_experiment(options.experiment, scaled=options.scaled, limit_epochs=options.limit_epochs),
        None if options.read_only else options.data,
        options.out,
        read_only=options.read_only,
        only=options.only,
        threads=options.threads,
        accelerator=options.accelerator,
        precision=options.precision,
        layout=options.layout,
        progress=sys.stderr.isatty(),
        told=tell,
        epoch_told=None if sys.stderr.isatty() else _to_log,
    )
    table = table_rows(found)
    for own in paper_tables(table):
        print("\n".join(["", own.title, "", *markdown_table(*own.table), "", own.note]))
    if stuck := stuck_text(table):
        print(f"\n{stuck}")
    print(f"\ntable: {options.out / 'table.csv'}\npage: {options.out / 'index.html'}")
    return 1 if any(result.status == "failed" for result in found) else 0


COMMANDS = (_data, _evaluate, _train, _compare, _export, _calibrate)
"""Each adds its command to the parser, in the order of the help."""
