"""docs/results/ says what its run folders say, and its arithmetic is right."""

import csv
import json
import math
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from docs_scripts import script
from mien.labels import LABEL_SETS
from mien.training.evaluate import class_scores, one_vs_rest
from mien.training.experiment import Cell, read_experiment
from mien.training.run_folder import read_run, write_json

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs/results"
RUNS = sorted(path.parent for path in (RESULTS / "runs").glob("*/*/recipe.json"))


@pytest.fixture
def make() -> Any:
    return script("make_results")


def test_the_pages_are_those_of_the_kept_runs(make: Any) -> None:
    pages = make.render()
    assert set(pages) == {make.FRONT, "README.md", "p0.md", "p1.md", "p2.md", "p3.md", "p4.md"}
    for name, text in pages.items():
        assert (RESULTS / name).read_text(encoding="utf-8") == text, "run: python docs/make_results.py"


def answers(head: str, accuracy: float, n: int = 700) -> dict[str, Any]:
    """Scores of a network that is right so often; where that is 0, of one that says one class of all."""
    labels = LABEL_SETS[head]
    rng = np.random.default_rng(0)
    truth = np.arange(n) % len(labels)
    says = np.where(np.arange(n) < accuracy * n, truth, rng.integers(0, len(labels), n)) if accuracy else np.full(n, 3)
    found = class_scores(truth, says, len(labels))
    shares = {name: found[name] for name in ("accuracy", "balanced_accuracy", "macro_f1", "one_vs_rest_accuracy")}
    by_class = {name: dict(zip(labels, found[name].tolist(), strict=True)) for name in ("precision", "recall", "f1")}
    right = "".join("1" if yes else "0" for yes in truth == says)
    interval = {"accuracy": [found["accuracy"] - 0.02, found["accuracy"] + 0.02]}
    scores = shares | by_class | {"n": n, "labels": list(labels), "loss": 1.25, "interval": interval, "right": right}
    return {"heads": {head: scores | {"confusion": found["confusion"].tolist()}}}


def write_run(runs: Path, experiment: str, cell: Cell, *, accuracy: float = 0.6) -> Path:
    """The folder of a finished run of a cell, as `mien compare` leaves it, but for weights: all its epochs, no early stop."""
    folder = runs / experiment / cell.folder
    folder.mkdir(parents=True)
    recipe, head = cell.recipe, next(iter(cell.recipe.heads))
    epochs = range(1, sum(stage.epochs for stage in recipe.parts) + 1)
    rows = [
        {"epoch": n, "score": n / 1000, f"{head}_accuracy": n / 1000, f"{head}_loss": 1 / n, f"{head}_macro_f1": n / 2000}
        | {f"train_{head}_accuracy": n / 900, "train_loss": 0.9 / n}
        for n in epochs
    ]
    times = [{"epoch": n, "seconds": 3.0, "cpu_seconds": 2.0, "gpu_seconds": "", "device": "cpu"} for n in epochs]
    for name, table in (("metrics.csv", rows), ("timing.csv", times)):
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(table[0]))
            writer.writeheader()
            writer.writerows(table)
    write_json(folder / "recipe.json", {"recipe": recipe.to_json(), "faces": 28709, "precision": "bf16-mixed", "commit": "abc"})
    write_json(folder / "network.json", {"parameters": 1234, "seconds_per_picture": 0.001})
    for name in ("training", "public", "private"):
        write_json(folder / f"{name}.json", answers(head, accuracy))
    if recipe.keep:
        scores = {"n": 700, "accuracy": 0.5, "one_vs_rest_accuracy": one_vs_rest(0.5, 7), "loss": 1.5}
        splits = {split: scores for split in ("Training", "PublicTest", "PrivateTest")}
        write_json(folder / "epochs.json", {"head": head, "epochs": [{"epoch": n, **splits} for n in recipe.keep]})
    (folder / "confusion.csv").write_text("is,anger\n", encoding="utf-8")
    for name in ("confusion.png", "curves.png"):
        cv2.imwrite(str(folder / name), np.full((60, 80, 3), 255, dtype=np.uint8))
    return folder


@pytest.fixture
def runs(make: Any, tmp_path: Path) -> Path:
    """Finished runs of all rows of all experiments."""
    for path in sorted((ROOT / "experiments").glob("*.toml")):
        for cell in read_experiment(path).cells:
            write_run(tmp_path / "runs", path.stem, cell)
    return tmp_path / "runs"


def test_another_figure_gives_another_page(make: Any, runs: Path) -> None:
    before = make.render(runs)
    scores = runs / "p0-tables-4-5/arch1-seed1/private.json"
    found = json.loads(scores.read_text(encoding="utf-8"))
    found["heads"]["fer2013"] |= {"accuracy": 0.62345, "one_vs_rest_accuracy": 0.89242}
    scores.write_text(json.dumps(found), encoding="utf-8")
    after = make.render(runs)
    assert {name for name in before if before[name] != after[name]} == {make.FRONT, "README.md", "p0.md"}
    assert "arch1 62.3 %" in after[make.FRONT]
    for name in ("README.md", "p0.md"):
        assert "62.3 %" in after[name]
        assert "89.2 %" in after[name]


def test_a_page_says_how_far_each_run_came(make: Any, runs: Path) -> None:
    stopped = runs / "p4-models/p4-cnn-seed1"
    lines = (stopped / "metrics.csv").read_text(encoding="utf-8").splitlines()
    (stopped / "metrics.csv").write_text("\n".join(lines[:6]) + "\n", encoding="utf-8")
    text = make.render(runs)["p4.md"]
    assert "| p4-cnn-seed1 | stopped | 5 of 50 | not yet: 10 without a better one | 28,709 | bf16 |" in text
    assert "| lite0-two-stages-seed1 | finished | 50 + 50 | its epochs | 28,709 | bf16 | 3 min |" in text
    assert "images/p4-models-lite0-two-stages-curves.png" in text
    assert "images/p4-models-p4-cnn" not in text


def test_p2_stands_beside_both_ways_of_dividing(make: Any, runs: Path) -> None:
    for size, way, accuracy in (("20", "by-frame", 0.8), ("20", "by-clip", 0.4), ("50", "by-frame", 0.9), ("50", "by-clip", 0.45)):
        path = runs / f"p2-splits/{size}px-{way}-seed1/private.json"
        found = json.loads(path.read_text(encoding="utf-8"))
        found["heads"]["ekman"] |= {"accuracy": accuracy, "interval": {"accuracy": [accuracy - 0.02, accuracy + 0.02]}}
        write_json(path, found)
    text = make.render(runs)["p2.md"]
    assert "| 20×20 | 72.39 % | 80.0 % | 78.0–82.0 | 40.0 % | 38.0–42.0 |" in text
    assert "| 50×50 | 87 % | 90.0 % | 88.0–92.0 | 45.0 % | 43.0–47.0 |" in text
    assert "adds 40.0 points at 20 pixels, 45.0 at 50" in text
    (runs / "p2-splits/50px-by-clip-seed1/private.json").unlink()
    assert "87 % | 90.0 % | 88.0–92.0 | – | – |" in make.render(runs)["p2.md"]


def test_pages_can_be_made_of_no_runs_at_all(make: Any, tmp_path: Path) -> None:
    pages = make.render(tmp_path)
    assert "Not run yet." in pages["p3.md"]
    assert "0.873 one-vs-rest" in pages["README.md"]


def test_what_is_kept_of_a_run_is_small_and_shows_nobody(
    make: Any, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in {path.parent for path in runs.glob("*/*/recipe.json")}:
        (folder / "best.ckpt").write_bytes(b"weights")
        (folder / "answers.png").write_bytes(b"faces")
    (runs / "p0-tables-4-5/arch2-batch16-seed2/private.json").unlink()  # not scored yet
    for name, folder in {"RESULTS": "out", "KEPT": "out/runs", "IMAGES": "out/images"}.items():
        monkeypatch.setattr(make, name, tmp_path / folder)
    make.keep(runs)
    make.keep(runs)  # and once more over what is there
    make.keep(tmp_path / "nothing")
    kept = {path.relative_to(tmp_path / "out/runs").as_posix() for path in (tmp_path / "out/runs").rglob("*") if path.is_file()}
    wanted = {f"{path.parent.name}/{path.name}/{name}" for path in runs.glob("*/*") for name in make.FILES}
    wanted.add("p0-tables-4-5/arch3-50-epochs-seed1/epochs.json")
    assert kept == {path for path in wanted if "arch2-batch16-seed2" not in path}
    pictures = {path.name for path in (tmp_path / "out/images").iterdir()}
    assert {"p0-tables-4-5-arch1.png", "p0-tables-4-5-arch1-curves.png", "p4-models-p4-cnn.png"} <= pictures


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run.parent.name}/{run.name}")
def test_kept_runs_are_finished_and_agree_with_themselves(make: Any, run: Path) -> None:
    assert {path.name for path in run.iterdir()} - set(make.MORE) == set(make.FILES)
    assert sum(path.stat().st_size for path in run.iterdir()) < 24_000
    for path in run.iterdir():
        assert not re.search(r"/(root|home|work|tmp|Users)/", path.read_text(encoding="utf-8"))
    found = read_run(run)
    assert found.finished
    assert found.private is not None
    scores = found.private["heads"][found.head]
    right = sum(scores["confusion"][i][i] for i in range(len(scores["labels"])))
    assert scores["n"] == sum(map(sum, scores["confusion"])) == len(scores["right"])
    assert scores["accuracy"] == pytest.approx(right / scores["n"]) == scores["right"].count("1") / scores["n"]
    assert scores["one_vs_rest_accuracy"] == pytest.approx(1 - 2 * (1 - scores["accuracy"]) / len(scores["labels"]))
    table = (run / "confusion.csv").read_text(encoding="utf-8").splitlines()
    assert [[int(n) for n in line.split(",")[1:-1]] for line in table[1:]] == scores["confusion"]


def test_the_arithmetic_of_p0(make: Any) -> None:
    right, total, plain = make.p0_shares()
    assert (right, total) == (1997, 3589)
    assert plain == pytest.approx(0.5564, abs=1e-4)
    assert make.one_vs_rest(plain, 7) == pytest.approx(0.8733, abs=1e-4)
    assert make.plain_accuracy(0.889, 7) == pytest.approx(0.6115)
    assert tuple(map(sum, make.P0_MATRIX)) == make.PUBLIC_TEST
    assert sum(make.PUBLIC_TEST) == sum(make.PRIVATE_TEST) == 3589
    # Formula (3) counted out on the matrix itself.
    matrix = np.array(make.P0_MATRIX)
    good = sum(matrix[k, k] + np.delete(np.delete(matrix, k, 0), k, 1).sum() for k in range(7))
    assert good / (7 * total) == pytest.approx(make.one_vs_rest(plain, 7))


def test_the_recalls_of_p2(make: Any) -> None:
    assert sum(make.P2_TEST.values()) == 1438
    assert make.p2_recalls()["50px"] == pytest.approx((237 * (0.98 + 0.93) + 241 * (0.81 + 0.80 + 0.93 + 0.93)) / 1438)
    assert make.p2_recalls()["20px"] == pytest.approx(0.7239, abs=0.005)  # the text and Table 4 agree
    assert abs(make.p2_recalls()["50px"] - 0.87) > 0.02  # the text and Table 3 do not


def test_what_a_loss_allows(make: Any) -> None:
    """Wrong answers at one half each, right ones at 1: nothing is cheaper."""
    assert make.least_accuracy(0.29) == pytest.approx(0.5816, abs=1e-4)
    for share in (0.2, 0.6, 1.0):
        assert make.least_accuracy((1 - share) * math.log(2)) == pytest.approx(share)
    assert make.least_accuracy(0.757) == 0.0


def test_names_and_parts_must_match(make: Any) -> None:
    with pytest.raises(ValueError, match=r"README\.md: names and parts differ: formula, never"):
        make.filled("README.md", {name: "" for name in ("verdicts", "p0_best", "p0_total", "p0_right", "p0_plain", "p0_rest")})


@pytest.mark.parametrize("page", sorted(RESULTS.glob("*.md")), ids=lambda page: page.name)
def test_links_and_pictures_are_there(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


def test_pictures_are_small() -> None:
    for path in (RESULTS / "images").glob("*"):
        assert path.suffix == ".png"
        assert path.stat().st_size < 40_000


def test_no_page_holds_a_network_that_says_one_class_of_everything(make: Any, runs: Path, tmp_path: Path) -> None:
    for run in RUNS:
        assert read_run(run).stuck == "", f"{run}: has learnt nothing; a page must not show it as a result"
    (cell,) = [cell for cell in read_experiment(ROOT / "experiments/p1-cnn.toml").cells if cell.row == "fer2013"]
    stuck = write_run(tmp_path / "stuck", "p1-cnn", cell, accuracy=0)
    assert read_run(stuck).stuck == "happiness"
    pages = make.render(tmp_path / "stuck")
    assert "fer2013 has learnt nothing: it says *happiness*" in pages["p1.md"]
    assert "| not tested | not tested |" in next(line for line in pages["README.md"].splitlines() if "62 % on training" in line)
    assert "not tested | not tested" not in make.render(runs)["README.md"]
