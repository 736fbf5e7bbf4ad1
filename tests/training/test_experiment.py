import csv
import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mien.errors import DataError
from mien.labels import LABEL_SETS
from mien.training.data import load_faces
from mien.training.evaluate import one_vs_rest
from mien.training.experiment import (
    COLUMNS,
    NOT_TESTED,
    Cell,
    Experiment,
    McNemar,
    Result,
    claims_table,
    figure_text,
    markdown_table,
    mcnemar,
    plain_accuracy,
    read_experiment,
    read_results,
    table_rows,
    told_test,
    write_csv,
)
from mien.training.layouts import SPLITS
from mien.training.networks import build
from mien.training.paper_tables import duration, markdown, paper_tables
from mien.training.recipe import Recipe, Stage
from mien.training.run_folder import RunFolder

EXPERIMENTS = sorted((Path(__file__).parents[2] / "experiments").glob("*.toml"))

SMALL = """
title = "shapes"
[base]
network = "tiny"
heads = { fer2013 = 1 }
epochs = 4
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "shapes.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_grid_is_every_combination(tmp_path: Path) -> None:
    path = written(tmp_path, SMALL + '[grid]\nnetwork = ["tiny", "p0-arch2"]\ncrop.size = [20, 50]\n"augment.flip" = [0.5]\n')
    cells = read_experiment(path).cells
    assert [cell.folder for cell in cells] == [
        "tiny-size20-flip0.5-seed1",
        "tiny-size50-flip0.5-seed1",
        "p0-arch2-size20-flip0.5-seed1",
        "p0-arch2-size50-flip0.5-seed1",
    ]
    assert [(cell.recipe.network, cell.recipe.crop.size, cell.recipe.augment.flip) for cell in cells[1:3]] == [
        ("tiny", 50, 0.5),
        ("p0-arch2", 20, 0.5),
    ]
    assert {cell.recipe.epochs for cell in cells} == {4}


def test_rows_have_names_seeds_and_every_combination_of_a_grid_beside_them(tmp_path: Path) -> None:
    text = SMALL.replace('"shapes"', '"shapes"\nseeds = [3, 4]') + '[grid]\nbatch = [8, 16]\n[[runs]]\nname = "a"\nlr = 0.1\n'
    cells = read_experiment(written(tmp_path, text)).cells
    assert [cell.folder for cell in cells] == ["a-batch8-seed3", "a-batch8-seed4", "a-batch16-seed3", "a-batch16-seed4"]
    assert [cell.row for cell in cells] == ["a-batch8", "a-batch8", "a-batch16", "a-batch16"]
    assert [(cell.recipe.seed, cell.recipe.batch, cell.recipe.lr) for cell in cells] == [
        *((3, 8, 0.1), (4, 8, 0.1)),
        *((3, 16, 0.1), (4, 16, 0.1)),
    ]
    assert all(cell.recipe.name == cell.folder for cell in cells)


def test_a_row_mixes_tables_with_the_base_but_brings_its_own_heads(tmp_path: Path) -> None:
    text = SMALL + 'crop = { size = 20, detail = 0 }\n[[runs]]\nname = "a"\nheads = { ekman = 2 }\ncrop = { size = 32 }\n'
    (cell,) = read_experiment(written(tmp_path, text)).cells
    assert cell.recipe.heads == {"ekman": 2.0}
    assert (cell.recipe.crop.size, cell.recipe.crop.detail) == (32, 0)


def test_the_base_may_be_a_file_beside_the_experiment(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text('name = "x"\nnetwork = "tiny"\nlr = 0.5\n')
    text = 'title = "shapes"\nbase = "base.toml"\n[[runs]]\nname = "a"\n'
    assert read_experiment(written(tmp_path, text)).cells[0].recipe.lr == 0.5
    with pytest.raises(DataError, match=r"other\.toml: cannot be read"):
        read_experiment(written(tmp_path, text.replace("base.toml", "other.toml")))


def test_scaled_changes_all_rows_and_a_rows_own_goes_before_it(tmp_path: Path) -> None:
    text = (
        SMALL.replace('"shapes"', '"shapes"\nseeds = [1, 2, 3]')
        + '[scaled]\nabout = "two epochs"\nepochs = 2\nseeds = [1]\n'
        + '[[runs]]\nname = "a"\nepochs = 9\n[[runs]]\nname = "b"\nscaled = { seeds = [1, 2], epochs = 3 }\n'
    )
    path = written(tmp_path, text)
    full, small = read_experiment(path), read_experiment(path, scaled=True)
    assert [cell.recipe.epochs for cell in full.cells] == [9, 9, 9, 4, 4, 4]
    assert full.scaled == ""
    assert [(cell.folder, cell.recipe.epochs) for cell in small.cells] == [("a-seed1", 2), ("b-seed1", 3), ("b-seed2", 3)]
    assert small.scaled == "two epochs"


def test_no_run_is_longer_than_the_limit(tmp_path: Path) -> None:
    stages = "stages = [{ epochs = 3, lr = 0.1, train_last = 1 }, { epochs = 5, lr = 0.01 }]"
    path = written(tmp_path, SMALL + f'[[runs]]\nname = "a"\n[[runs]]\nname = "b"\n{stages}\n')

    def parts(limit: int) -> list[tuple[Stage, ...]]:
        return [cell.recipe.parts for cell in read_experiment(path, limit_epochs=limit).cells]

    assert parts(4) == [(Stage(4, 1e-3),), (Stage(3, 0.1, 1), Stage(1, 0.01))]
    assert parts(2) == [(Stage(2, 1e-3),), (Stage(2, 0.1, 1),)]
    assert "longer than 2 epochs" in read_experiment(path, limit_epochs=2).scaled


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[runs]]\nname = "a"\n', "wanted a title"),
        (SMALL, r"wanted \[grid\] or \[\[runs\]\]"),
        (SMALL + '[[run]]\nname = "a"\n', "unknown key 'run'; known: title"),
        (SMALL + '[[runs]]\nname = "a"\nepoch = 3\n', "a: unknown key 'epoch'; known: name, network"),
        (SMALL + '[[runs]]\nname = "a"\ncrop = { side = 3 }\n', "unknown key 'crop.side'"),
        (SMALL + "[[runs]]\nepochs = 3\n", r"runs\[0\]: wanted a name"),
        (SMALL + '[[runs]]\nname = "../a"\n', "wanted letters, digits and ._-, but got '../a'"),
        (SMALL + '[[runs]]\nname = "a"\n[[runs]]\nname = "a"\n', "there are several a-seed1"),
        (SMALL + '[[runs]]\nname = "a"\nclaims = { acuracy = 0.9 }\n', "claims: unknown key 'acuracy'; known: accuracy"),
        (SMALL + '[[runs]]\nname = "a"\nclaims = { accuracy = "high" }\n', "claims.accuracy must be float, but got 'high'"),
        (
            SMALL + '[[runs]]\nname = "a"\nclaims = { first = { los = 0.9 } }\n',
            "claims.first: unknown key 'los'; known: train_loss",
        ),
        (SMALL + '[[runs]]\nname = "a"\nclaims = { recall = { joy = 0.9 } }\n', "claims.recall: unknown key 'joy'; known: neutral"),
        (SMALL + '[[runs]]\nname = "a"\nclaims = { stages = ["a"] }\n', "claims.stages must hold figures such as 0.61"),
        (SMALL + '[[runs]]\nname = "a"\nseeds = []\n', "seeds must be a list of whole numbers"),
        (SMALL + "[grid]\nbatch = []\n", "grid.batch must name at least one value"),
        (SMALL + "[grid]\nbatch = 3\n", "grid.batch must be a list, but got 3"),
        (SMALL + "[grid]\nstages = [[{ epochs = 1, lr = 1.0 }]]\n", "grid.stages: wanted plain values"),
        (SMALL + "[grid\n", "not a TOML file"),
    ],
)
def test_what_is_wrong_in_an_experiment_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(DataError, match=message) as caught:
        read_experiment(path)
    assert "shapes.toml" in str(caught.value)


def test_scaled_needs_a_table_of_that_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no table \[scaled\]"):
        read_experiment(written(tmp_path, SMALL + '[[runs]]\nname = "a"\n'), scaled=True)


def test_p0s_formula_and_back() -> None:
    assert one_vs_rest(1997 / 3589, 7) == pytest.approx(0.8733, abs=1e-4)
    assert plain_accuracy(0.889, 7) == pytest.approx(0.6115)
    assert plain_accuracy(one_vs_rest(0.3, 8), 8) == pytest.approx(0.3)


# --- the figures of runs that never were


def run(accuracy: float, right: str = "", *, private: float = 0.5, epochs: int = 2, recipe: Recipe | None = None) -> RunFolder:
    rows = [{"epoch": e, "score": accuracy, "fer2013_accuracy": accuracy, "train_loss": 1.0} for e in range(1, epochs + 1)]
    times = [
        {"epoch": e, "seconds": 3.0 * e, "cpu_seconds": 2.0, "gpu_seconds": None, "device": "cpu"} for e in range(1, epochs + 1)
    ]
    head = {"n": len(right), "labels": list(LABEL_SETS["fer2013"]), "accuracy": private, "right": right, "macro_f1": 0.25}
    head |= {"one_vs_rest_accuracy": one_vs_rest(private, 7), "interval": {"accuracy": [private - 0.1, private + 0.1]}}
    good = round(100 * private)  # of a hundred of each class; all others are called by the first
    counts = [[good * (i == j) + (100 - good) * (j == 0) for j in range(7)] for i in range(7)]
    by_class = {name: 0.125 + i / 10 for i, name in enumerate(LABEL_SETS["fer2013"])}
    head |= {"loss": 1.75, "confusion": counts, "precision": by_class, "recall": by_class}
    made = recipe or Recipe(name="x", heads={"fer2013": 1.0}, epochs=2)
    network = {"parameters": 1234, "seconds_per_picture": 0.002}
    scores: Any = {"heads": {"fer2013": head}} if right else None
    return RunFolder(Path("x"), made, {"faces": 10}, tuple(rows), tuple(times), None, scores, network)


def result(row: str, seed: int, found: RunFolder | None, failure: str = "") -> Result:
    recipe = found.recipe if found else Recipe(name="x", heads={"fer2013": 1.0}, epochs=2)
    return Result(Cell(row, f"{row}-seed{seed}", recipe, {"accuracy": 0.77, "time": "3 h", "parameters": 1234}), found, failure)


def test_rows_are_means_over_finished_seeds() -> None:
    results = [
        *(result("a", 1, run(0.5, "1100", private=0.4)), result("a", 2, run(0.7, "1110", private=0.6))),
        *(result("b", 1, run(0.6, "1111", private=0.5)), result("b", 2, None, "broken")),
        result("c", 1, None),
        result("d", 1, run(0.9, "1111", epochs=1)),
    ]
    assert [r.status for r in results] == ["finished", "finished", "finished", "failed", "waiting", "stopped"]
    a, b, c, d = table_rows(results)
    assert a.mean["accuracy"] == pytest.approx(0.6)
    assert a.spread["accuracy"] == pytest.approx(0.1 * 2**0.5)
    assert figure_text(a, "accuracy") == "60.0 ± 14.1 %"
    assert figure_text(a, "parameters") == "1,234"
    assert figure_text(a, "epoch_seconds") == "4.5"
    assert figure_text(a, "picture_seconds") == "2.00"
    assert a.mean["private_low"] is None  # an interval is of one run
    assert "private_low" not in a.spread
    assert a.reason == ""
    assert (b.mean["private_low"], b.mean["private_accuracy"], b.spread) == (0.4, 0.5, {})
    assert b.reason == "b-seed2: broken"
    assert figure_text(c, "accuracy") == figure_text(d, "accuracy") == "–"
    assert (c.reason, d.reason) == ("c-seed1: waiting", "d-seed1: stopped")
    assert c.mean["network"] == "efficientnet-lite0"


def test_an_early_stop_is_an_end() -> None:
    recipe = Recipe(name="x", heads={"fer2013": 1.0}, epochs=9, stop_after=2)
    assert run(0.5, epochs=3, recipe=recipe).finished
    assert not run(0.5, epochs=2, recipe=recipe).finished


def test_mcnemar_by_hand() -> None:
    # 10 pictures: the best is right alone in 6, the second in 1; 2 (1 + 7) / 2^7.
    best, second = "1111110000", "0000001000"
    results = [result("b", 1, run(0.6, second)), result("a", 1, run(0.9, best)), result("c", 1, run(0.1, "1" * 10))]
    found = mcnemar(results)
    assert found is not None
    assert (found.first, found.second, found.only_first, found.only_second) == ("a-seed1", "b-seed1", 6, 1)
    assert found.p == pytest.approx(2 * (1 + 7) / 2**7)
    assert "6 were right by the first alone, 1 by the second alone; McNemar's exact test, p = 0.125." in told_test(found)
    assert "p < 0.001" in told_test(McNemar("a", "b", 90, 3, 1e-9))


def test_mcnemar_needs_two_rows_on_the_same_pictures() -> None:
    assert mcnemar([result("a", 1, run(0.9, "10")), result("a", 2, run(0.8, "01"))]) is None
    assert mcnemar([result("a", 1, run(0.9, "10")), result("b", 1, run(0.8, "011"))]) is None
    same = mcnemar([result("a", 1, run(0.9, "10")), result("b", 1, run(0.8, "10"))])
    assert same is not None
    assert same.p == 1.0


def test_claims_stand_beside_both_accuracies() -> None:
    head, (cells,) = claims_table(table_rows([result("a", 1, run(0.5, "11", private=0.61))]))
    shown = dict(zip(head, cells, strict=True))
    assert shown == {
        "": "a",
        "accuracy, paper": "0.77",
        "PrivateTest, plain": "61.0 %",
        "PrivateTest, one-vs-rest": "88.9 %",
        "parameters, paper": "1,234",
        "here": "1,234",
        "time, paper": "3 h",
        "here, CPU s": "4.0",
    }


def test_no_figure_of_a_run_that_learnt_nothing_stands_beside_a_papers() -> None:
    learnt, stuck = run(0.5, "11", private=0.61), run(0.15, "11", private=0.15)
    assert (learnt.stuck, stuck.stuck, run(0.15).stuck) == ("", "anger", "")
    assert run(0.19, "11", private=0.19).stuck == "anger"  # a seventh is of each class; 5 points above that is .193
    assert run(0.2, "11", private=0.2).stuck == ""
    table = table_rows([result("a", 1, learnt), result("b", 1, learnt), result("b", 2, stuck)])
    head, (first, second) = claims_table(table)
    assert dict(zip(head, first, strict=True))["PrivateTest, plain"] == "61.0 %"
    shown = dict(zip(head, second, strict=True))
    assert shown["PrivateTest, plain"] == shown["PrivateTest, one-vs-rest"] == NOT_TESTED
    assert (shown["here"], shown["here, CPU s"]) == ("1,234", "4.0")  # size and time are what they are
    (own,) = paper_tables(table)
    assert own.table[1][1].count(NOT_TESTED) == 3
    experiment = Experiment("x", "X", "", "", "", ())
    text = "b has learnt nothing: it says *anger* of nearly everything"
    assert text in markdown(experiment, [*table[0].results, *table[1].results])
    assert "learnt nothing" not in markdown(experiment, table[0].results)


def test_the_papers_tables_have_their_own_layout() -> None:
    recipe = Recipe(name="x", heads={"fer2013": 1.0}, stages=(Stage(9, 0.1), Stage(1, 0.1)), stop_after=2)
    made = run(0.5, "11", private=0.61, epochs=4, recipe=recipe)
    epochs = [
        {"epoch": i, "score": score, "fer2013_accuracy": score, "fer2013_loss": 2.0 / i, "train_loss": 3.0 / i}
        | {"train_fer2013_accuracy": score / 2}
        for i, score in enumerate((0.25, 0.20, 0.125, 0.375), start=1)
    ]
    kept = {"epochs": [{"epoch": 2} | {s: {"accuracy": 0.5, "loss": 1.5, "one_vs_rest_accuracy": 0.75} for s in SPLITS}]}
    made = dataclasses.replace(made, epochs=tuple(epochs), kept=kept)
    assert made.finished
    claims = {
        "accuracy": 0.77,
        "loss": 0.7,
        "time": "120 h",
        "first": {"train_loss": 1.889, "accuracy": 0.3842},
        "last": {"train_loss": 0.8172, "train_accuracy": 0.6972, "loss": 1.1233, "accuracy": 0.6297},
        "stages": [0.3325, 0.6147],
        "precision": {"anger": 0.96},
        "recall": {"anger": 0.98},
    }
    timed, epochs_, staged, by_class, after = paper_tables(table_rows([Result(Cell("a", "a-seed1", recipe, claims), made)]))
    assert timed.table[1] == [["a", "64", "0.77", "61.0 %", "88.9 %", "0.70", "1.750", "120 h", "0 min"]]
    assert epochs_.table == (
        ["", "loss", "accuracy", "validation loss", "validation accuracy"],
        [
            ["first epoch, paper", "1.8890", "–", "–", "0.3842"],
            ["first epoch, here (1)", "3.0000", "0.1250", "2.0000", "0.2500"],
            ["last epoch, paper", "0.8172", "0.6972", "1.1233", "0.6297"],
            ["last epoch, here (4)", "0.7500", "0.1875", "0.5000", "0.3750"],
        ],
    )
    assert staged.table[1] == [["a", "0.3325", "25.0 %", "3", "0.6147", "37.5 %", "1"]]
    assert by_class.table[1] == [["anger", "0.96", "0.12", "0.98", "0.12"]]
    assert after.table[1] == [["2", *["50.0 %", "1.500"] * 3, "75.0 %"]]
    waiting = paper_tables(table_rows([Result(Cell("a", "a-seed1", recipe, claims))]))
    assert [own.title for own in waiting] == [own.title for own in (timed, epochs_, staged, by_class)]
    assert duration(3 * 3600) == "3.0 h"


def test_csv_has_a_row_per_run(tmp_path: Path) -> None:
    write_csv([result("a", 1, run(0.5, "11", private=0.6)), result("b", 1, None, "why, then")], tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="", encoding="utf-8") as file:
        one, two = csv.DictReader(file)
    assert set(one) >= {"run", "row", "seed", "status", "paper_accuracy", "failure"} | {key for key, _ in COLUMNS}
    assert (one["run"], one["status"], one["accuracy"], one["private_accuracy"]) == ("a-seed1", "finished", "0.5", "0.6")
    assert float(one["one_vs_rest_accuracy"]) == pytest.approx(one_vs_rest(0.5, 7), abs=1e-6)
    assert (two["status"], two["accuracy"], two["failure"]) == ("failed", "", "why, then")


def test_markdown_escapes_bars_and_sets_figures_right() -> None:
    assert markdown_table(["", "n", "what"], [["a|b", "1.5", "text"], ["c", "–", "2"]]) == [
        "|  | n | what |",
        "| --- | ---: | --- |",
        "| a\\|b | 1.5 | text |",
        "| c | – | 2 |",
    ]


# --- the papers' experiments


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_the_papers_experiments_can_be_read(path: Path) -> None:
    full, small = read_experiment(path), read_experiment(path, scaled=True)
    assert full.paper
    assert full.about
    assert small.scaled
    assert {cell.row for cell in small.cells} == {cell.row for cell in full.cells}

    def work(cells: tuple[Cell, ...]) -> int:
        return sum(stage.epochs for cell in cells for stage in cell.recipe.parts)

    assert work(small.cells) < work(full.cells) / 5
    assert read_results(full, path.parent) == [Result(cell) for cell in full.cells]


def test_pictures_of_the_papers_keep_their_detail(tmp_path: Path) -> None:
    """A picture of 100 pixels is not brought down to FER2013's 48 on its way into P2's network for 100."""
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for label in ("happy", "sad"):
            (tmp_path / split / label).mkdir(parents=True)
            for i in range(10):
                cv2.imwrite(str(tmp_path / split / label / f"{i}.png"), rng.integers(0, 256, (100, 100), dtype=np.uint8))
    path = next(path for path in EXPERIMENTS if path.stem == "p2-tables-2-4")
    (cell,) = [cell for cell in read_experiment(path).cells if cell.row == "100px"]
    found = load_faces(tmp_path, cell.recipe.crop, align=cell.recipe.align, splits=("PrivateTest",))
    own = cv2.imread(str(tmp_path / "test/happy/0.png"), cv2.IMREAD_GRAYSCALE)
    assert any(np.array_equal(crop, own) for crop in found.crops)
    assert {cell.recipe.crop.detail for path in EXPERIMENTS for cell in read_experiment(path).cells} == {0}


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_their_networks_have_the_papers_parameters(path: Path) -> None:
    for cell in {cell.row: cell for cell in read_experiment(path).cells}.values():
        if "parameters" not in cell.claims:
            continue
        classes = {head: 7 if head == "ferplus" else len(LABEL_SETS[head]) for head in cell.recipe.heads}  # P1 has seven
        network = build(cell.recipe.network, classes, cell.recipe.crop.size)
        assert sum(p.numel() for p in network.parameters()) == cell.claims["parameters"], cell.row


def test_all_papers_are_there() -> None:
    assert {path.stem.split("-")[0] for path in EXPERIMENTS} == {"p0", "p1", "p2", "p3", "p4"}
