import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from shapes import RECIPE, Tiny

from mien.cli import main
from mien.errors import DataError
from mien.training import networks, scoring
from mien.training import train as train_module
from mien.training.compare import compare
from mien.training.evaluate import one_vs_rest
from mien.training.experiment import Experiment, Result, read_experiment, read_results
from mien.training.run_folder import read_run

EXPERIMENT = f"""
title = "Shapes <two ways>"
paper = "A paper"
seeds = [1]

[base]
{RECIPE.replace("[crop]", "[base.crop]").replace("[augment]", "[base.augment]").replace("epochs = 3", "epochs = 2")}
[base.heads]
fer2013 = 1.0

[[runs]]
name = "small"
seeds = [1, 2]
claims = {{ accuracy = 0.77, parameters = 99, time = "3 h" }}

[[runs]]
name = "broken"
network = "tyni"

[[runs]]
name = "large"
crop.size = 24
"""


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    path = tmp_path_factory.mktemp("experiments") / "shapes.toml"
    path.write_text(EXPERIMENT, encoding="utf-8")
    return read_experiment(path)


@pytest.fixture(scope="module")
def done(experiment: Experiment, data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Result]]:
    """The folder of the experiment, run once, and what was heard of it."""
    out = tmp_path_factory.mktemp("compared") / "shapes"
    heard: list[Result] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(networks.NETWORKS, "tiny", Tiny)
        compare(experiment, data, out, accelerator="cpu", progress=False, told=heard.append)
    return out, heard


def test_some_rows_alone_are_trained_and_some_epochs_scored(
    experiment: Experiment, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "kept.toml"
    path.write_text(EXPERIMENT.replace('name = "large"', 'name = "large"\nkeep = [1, 2]\nfaces = 20'), encoding="utf-8")
    out = tmp_path / "out"
    options = [str(path), "--data", str(data), "--out", str(out), "--accelerator", "cpu", "--precision", "bf16-mixed"]
    assert main(["compare", *options, "--only", "large"]) == 0
    assert [row["status"] for row in table(out)] == ["waiting", "waiting", "waiting", "finished"]
    run = read_run(out / "large-seed1")
    assert run.facts["precision"] == "bf16-mixed"
    assert run.training is not None
    assert run.training["heads"]["fer2013"]["n"] == 20  # those that it learnt from
    assert run.kept is not None
    assert run.public is not None
    first, last = run.kept["epochs"]
    assert [row["PrivateTest"]["n"] for row in (first, last)] == [42, 42]
    assert last["epoch"] == 2
    for row, epoch in zip((first, last), run.epochs, strict=True):
        assert row["PublicTest"]["accuracy"] == pytest.approx(epoch["fer2013_accuracy"], abs=1e-5)
        assert row["PublicTest"]["loss"] == pytest.approx(epoch["fer2013_loss"], abs=1e-4)
    assert main(["compare", *options, "--only", "lrage"]) == 2
    assert "no row lrage in kept; known: small, broken, large" in capsys.readouterr().err


def table(out: Path) -> list[dict[str, str]]:
    with (out / "table.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_broken_run_is_a_row_and_stops_no_other(done: tuple[Path, list[Result]]) -> None:
    out, heard = done
    assert [(r.cell.folder, r.status) for r in heard] == [
        ("small-seed1", "finished"),
        ("small-seed2", "finished"),
        ("broken-seed1", "failed"),
        ("large-seed1", "finished"),
    ]
    assert heard[2].failure.startswith("no network 'tyni'; known: ")
    row = table(out)[2]
    assert (row["run"], row["status"], row["accuracy"]) == ("broken-seed1", "failed", "")
    assert "no network 'tyni'" in row["failure"]
    assert "broken-seed1: no network 'tyni'" in (out / "table.md").read_text(encoding="utf-8")


def test_each_finished_run_has_its_figures_and_pictures(done: tuple[Path, list[Result]]) -> None:
    out, _ = done
    for name in ("small-seed1", "small-seed2", "large-seed1"):
        files = {path.name for path in (out / name).iterdir()}
        assert files >= {"recipe.json", "metrics.csv", "timing.csv", "best.ckpt", "public.json", "private.json", "network.json"}
        assert files >= {"confusion.csv", "confusion.png", "curves.png", "report.html"}
        run = read_run(out / name)
        assert run.public is not None
        assert run.private is not None
        assert run.network is not None
        # What the folder says of PublicTest afterwards is what training said of it on the way.
        best, scores = run.best, run.public["heads"]["fer2013"]
        assert scores["accuracy"] == pytest.approx(best["fer2013_accuracy"], abs=1e-5)
        assert scores["loss"] == pytest.approx(best["fer2013_loss"], abs=1e-4)
        private = run.private["heads"]["fer2013"]
        low, high = private["interval"]["accuracy"]
        assert low <= private["accuracy"] <= high
        assert private["n"] == len(private["right"]) == sum(map(sum, private["confusion"])) == 42
        assert private["right"].count("1") == round(42 * private["accuracy"])
        assert private["one_vs_rest_accuracy"] == pytest.approx(one_vs_rest(private["accuracy"], 7))


def test_the_table_says_what_was_run_and_what_it_gave(done: tuple[Path, list[Result]]) -> None:
    out, _ = done
    one, two, _, large = table(out)
    assert [row["seed"] for row in (one, two, large)] == ["1", "2", "1"]
    assert (one["size"], large["size"], one["epochs"], one["faces"], one["batch"]) == ("16", "24", "2", "84", "16")
    for row in (one, two, large):
        assert float(row["one_vs_rest_accuracy"]) == pytest.approx(one_vs_rest(float(row["accuracy"]), 7), abs=1e-5)
        assert float(row["epoch_cpu_seconds"]) >= 0
        assert float(row["picture_seconds"]) > 0
    assert int(large["parameters"]) > int(one["parameters"])
    assert (one["paper_accuracy"], one["paper_time"], large["paper_time"]) == ("0.77", "3 h", "")
    text = (out / "table.md").read_text(encoding="utf-8")
    assert "2 of 2" in text
    assert "0 of 1" in text
    assert "±" in text or one["accuracy"] == two["accuracy"]
    assert "McNemar's exact test" in text


def test_the_page_shows_all_of_it(done: tuple[Path, list[Result]]) -> None:
    out, _ = done
    page = (out / "index.html").read_text(encoding="utf-8")
    for part in (
        "Shapes &lt;two ways&gt;",
        "A paper",
        "broken-seed1",
        "no network &#x27;tyni&#x27;",
        "3 of 4 finished",
        "0.77",
        "3 h",
    ):
        assert part in page, part
    assert page.count('<figure class="matrix">') == 3


def test_finished_runs_are_read_and_privatetest_is_not_touched_again(
    experiment: Experiment, done: tuple[Path, list[Result]], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "again"
    shutil.copytree(done[0], out)
    before = {path: path.read_bytes() for path in out.rglob("*.json")}

    def nothing(*_: Any, **__: Any) -> Any:
        raise AssertionError("a finished run needs no data")

    monkeypatch.setattr(scoring, "load_faces", nothing)
    monkeypatch.setattr(train_module, "load_faces", nothing)
    results = compare(experiment, data, out, accelerator="cpu", progress=False)
    assert [r.status for r in results] == ["finished", "finished", "failed", "finished"]
    assert "a finished run needs no data" in results[2].failure  # only the failed one was tried again
    changed = {path.name for path, content in before.items() if path.read_bytes() != content}
    assert changed == {"failures.json"}


def test_a_stopped_run_goes_on_and_ends_as_if_it_had_not_been(
    experiment: Experiment, done: tuple[Path, list[Result]], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "stopped"
    begin = train_module.ExpressionTrainer.on_train_epoch_start

    def stop(self: Any) -> None:
        if self.current_epoch == 1:
            raise RuntimeError("the power\nwent")
        begin(self)

    with monkeypatch.context() as patch:
        patch.setattr(train_module.ExpressionTrainer, "on_train_epoch_start", stop)
        first = compare(experiment, data, out, accelerator="cpu", progress=False)[0]
    assert first.status == "failed"
    assert first.failure == "RuntimeError: the power went"
    assert first.run is not None
    assert len(first.run.epochs) == 1
    assert first.run.private is None
    assert compare(experiment, data, out, accelerator="cpu", progress=False)[0].status == "finished"
    assert (out / "small-seed1/metrics.csv").read_bytes() == (done[0] / "small-seed1/metrics.csv").read_bytes()
    same = [json.loads((folder / "small-seed1/private.json").read_text()) for folder in (out, done[0])]
    assert same[0] == same[1]
    assert list(json.loads((out / "failures.json").read_text())) == ["broken-seed1"]


def test_a_run_of_another_recipe_is_not_taken_for_this_one(
    done: tuple[Path, list[Result]], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "other"
    shutil.copytree(done[0], out)
    path = tmp_path / "shapes.toml"
    path.write_text(EXPERIMENT.replace("epochs = 2", "epochs = 3"), encoding="utf-8")
    other = read_experiment(path)
    (first, *_) = compare(other, None, out, read_only=True)
    assert first.status == "failed"
    assert "small-seed1: was made with another recipe (epochs differ); remove it or give another folder" in first.failure
    (first, *_) = compare(other, data, out, accelerator="cpu", progress=False)
    assert (first.status, first.run) == ("failed", None)
    assert len(read_run(out / "small-seed1").epochs) == 2


def test_reading_only_needs_neither_data_nor_runs(experiment: Experiment, done: tuple[Path, list[Result]], tmp_path: Path) -> None:
    results = compare(experiment, None, tmp_path / "empty", read_only=True)
    assert {r.status for r in results} == {"waiting"}
    assert "0 of 4 finished" in (tmp_path / "empty/index.html").read_text(encoding="utf-8")
    out = tmp_path / "kept"
    for folder in ("small-seed1", "small-seed2", "large-seed1"):  # what a repository keeps: no weights, no pictures
        (out / folder).mkdir(parents=True)
        for name in ("recipe.json", "metrics.csv", "timing.csv", "training.json", "private.json", "network.json"):
            shutil.copy(done[0] / folder / name, out / folder)
    compare(experiment, None, out, read_only=True)
    rows, wanted = table(out), table(done[0])
    assert [rows[i] for i in (0, 1, 3)] == [wanted[i] for i in (0, 1, 3)]
    assert rows[2]["status"] == "waiting"


def test_work_needs_data(experiment: Experiment, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="data must be given"):
        compare(experiment, None, tmp_path)


def test_a_folder_that_cannot_be_made_is_named(experiment: Experiment, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file/x: cannot be written: Not a directory"):
        compare(experiment, None, tmp_path / "file/x", read_only=True)


def test_a_damaged_run_is_a_failed_row(experiment: Experiment, done: tuple[Path, list[Result]], tmp_path: Path) -> None:
    shutil.copytree(done[0] / "small-seed1", tmp_path / "small-seed1")
    metrics = tmp_path / "small-seed1/metrics.csv"
    lines = metrics.read_text().splitlines()
    metrics.write_text("\n".join([*lines[:2], lines[2].replace("0.", "zero", 1)]))
    first = read_results(experiment, tmp_path)[0]
    assert first.status == "failed"
    assert "metrics.csv, row 3: wanted a number in " in first.failure


def test_the_command(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "shapes.toml"
    path.write_text(EXPERIMENT + "\n[scaled]\nepochs = 1\nseeds = [5]\n", encoding="utf-8")
    options = [str(path), "--out", str(tmp_path / "out"), "--scaled"]
    assert main(["compare", *options, "--data", str(data), "--accelerator", "cpu"]) == 1  # a row is broken
    out = capsys.readouterr().out
    assert re.match(r"small-seed5: epoch 1 of 1: training loss [\d.]+, PublicTest [\d.]+, \d+ s\n", out)
    assert out.partition("\n")[2].startswith("small-seed5: finished\n")
    assert "broken-seed5: failed: no network 'tyni'" in out
    assert out.endswith(f"table: {tmp_path / 'out/table.csv'}\npage: {tmp_path / 'out/index.html'}\n")
    assert main(["compare", *options, "--read-only", "--limit-epochs", "1"]) == 1
    told = [line for line in out.splitlines(keepends=True) if ": epoch " not in line]  # of what is read nothing is trained
    assert capsys.readouterr().out == "".join(told)
    assert main(["compare", *options]) == 2
    assert "mien compare needs --data DIR, or --read-only" in capsys.readouterr().err
