import csv
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from shapes import Tiny, write_tables

import mien
from mien.cli import main
from mien.crop import CropSpec
from mien.errors import DataError
from mien.models import sha256_of
from mien.training import train as module
from mien.training.data import FaceSet, load_faces
from mien.training.recipe import Recipe, Stage, read_recipe
from mien.training.run_folder import read_run
from mien.training.train import (
    ExpressionTrainer,
    averaged_network,
    averaged_weights,
    build_network,
    epoch_order,
    learnt_rows,
    run_recipe,
    train,
)
from serving import KeptPort


def metrics(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def state(checkpoint: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=False)
    return found


def changed(path: Path, **changes: Any) -> Recipe:
    return dataclasses.replace(read_recipe(path), **changes)


def go(recipe: Path | Recipe, data: Path, run: Path, **options: Any) -> Path:
    made = read_recipe(recipe) if isinstance(recipe, Path) else recipe
    return train(made, data, run, accelerator="cpu", progress=False, **options)


def test_a_run_is_a_folder_with_all_that_is_known_of_it(run: Path, recipe: Path) -> None:
    assert {p.name for p in run.iterdir()} == {
        *("recipe.json", "metrics.csv", "timing.csv", "last.ckpt", "best.ckpt"),
        *("public.json", "network.json", "report.html", "curves.png"),
    }
    facts = json.loads((run / "recipe.json").read_text())
    assert run_recipe(run) == read_recipe(recipe)
    assert facts["versions"]["mien"] == mien.__version__
    assert facts["versions"]["torch"] == torch.__version__
    assert facts["commit"]
    assert facts["faces"] == 84
    rows = metrics(run)
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert {"train_loss", "score", "ferplus_accuracy", "fer2013_accuracy", "fer2013_macro_f1", "ferplus_loss"} <= set(rows[0])
    assert 0 < float(rows[0]["train_fer2013_accuracy"]) < 1
    with (run / "timing.csv").open(newline="", encoding="utf-8") as file:
        timing = list(csv.DictReader(file))
    assert [row["epoch"] for row in timing] == ["1", "2", "3"]
    assert all(float(row["seconds"]) >= 0 and float(row["cpu_seconds"]) >= 0 and row["device"] == "cpu" for row in timing)


def test_it_learns(run: Path) -> None:
    rows = metrics(run)
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    assert float(rows[-1]["score"]) > 0.6  # one of seven by chance


def test_the_command_tells_of_each_seed_and_of_all(
    recipe: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    options = ["--set", "epochs=1", "--seeds", "1", "2", "--accelerator", "cpu"]
    assert main(["train", str(recipe), "--data", str(data), "--run", str(run), *options]) == 0
    out = capsys.readouterr().out
    first, second = (metrics(tmp_path / f"run-seed{seed}")[0] for seed in (1, 2))
    for row in (first, second):
        assert f"best epoch: 1 (fer2013_accuracy {float(row['fer2013_accuracy']):.4f}, " in out
    middle = (float(first["fer2013_loss"]) + float(second["fer2013_loss"])) / 2
    assert re.search(rf"^fer2013_loss: {middle:.4f} ± 0\.\d{{4}} over 2 seeds$", out, re.MULTILINE)
    assert "epoch:" not in out.replace("best epoch:", "")


def test_the_best_epoch_is_kept(run: Path) -> None:
    scores = [float(row["score"]) for row in metrics(run)]
    assert state(run / "best.ckpt")["epoch"] == scores.index(max(scores))
    assert state(run / "last.ckpt")["epoch"] == 2


def test_what_is_exported_is_the_average(run: Path) -> None:
    kept = state(run / "best.ckpt")["state_dict"]
    network, average = averaged_network(run), averaged_weights(run / "best.ckpt")
    assert not network.training
    name = "trunk.0.weight"
    assert torch.equal(network.state_dict()[name], kept[f"averaged.module.{name}"])
    assert set(average) == set(network.state_dict())
    assert not torch.allclose(kept[f"averaged.module.{name}"], kept[f"network.{name}"], atol=1e-6)


def test_faces_are_not_kept_in_checkpoints(run: Path) -> None:
    assert not {"faces", "votes", "labels"} & set(state(run / "last.ckpt")["state_dict"])


class Killed(BaseException):
    """As sudden as a kill, but for the process that runs the tests."""


@pytest.mark.parametrize("step", [3, 9, 12])  # six steps an epoch: in the first epoch, in the second, at the start of the third
def test_a_run_that_was_killed_and_resumed_is_the_run_that_was_never_disturbed(
    run: Path, recipe: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    real = ExpressionTrainer.on_train_batch_start

    def killed(self: ExpressionTrainer, batch: torch.Tensor, batch_idx: int) -> None:
        if self.global_step == step:
            raise Killed
        real(self, batch, batch_idx)

    again = tmp_path / "again"
    with monkeypatch.context() as patch:
        patch.setattr(ExpressionTrainer, "on_train_batch_start", killed)
        with pytest.raises(Killed):
            go(recipe, data, again)
    assert (again / "last.ckpt").is_file() is (step > 6)
    if step == 9:  # a kill between both files leaves a row of an epoch that will come again
        with (again / "metrics.csv").open("a") as file:
            file.write(",".join(["2", *["0"] * (len(metrics(again)[0]) - 1)]) + "\n")
    torch.manual_seed(999)  # another process would be in another state
    go(recipe, data, again, resume=True)

    wanted, found = state(run / "last.ckpt"), state(again / "last.ckpt")
    assert found["global_step"] == wanted["global_step"] == 18
    assert set(found["state_dict"]) == set(wanted["state_dict"])
    for name, value in wanted["state_dict"].items():
        assert torch.allclose(found["state_dict"][name].double(), value.double(), atol=1e-6, rtol=0), name
    assert state(again / "best.ckpt")["epoch"] == state(run / "best.ckpt")["epoch"]
    assert (again / "metrics.csv").read_bytes() == (run / "metrics.csv").read_bytes()


def test_resuming_a_finished_run_changes_nothing(run: Path, recipe: Path, data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    before = metrics(copy)
    go(recipe, data, copy, resume=True)
    assert metrics(copy) == before
    wanted, found = state(run / "last.ckpt")["state_dict"], state(copy / "last.ckpt")["state_dict"]
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


def test_damage_is_named_before_a_run_goes_on(run: Path, recipe: Path, data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (copy / "metrics.csv").write_text("epoch,score\n1\n")
    with pytest.raises(DataError, match=r"metrics\.csv, row 2: wanted as many cells as the header has"):
        go(recipe, data, copy, resume=True)


def test_a_run_that_was_moved_keeps_its_best_epoch(run: Path, recipe: Path, data: Path, tmp_path: Path) -> None:
    made = go(changed(recipe, epochs=2), data, tmp_path / "here")
    kept = (made / "best.ckpt").read_bytes()
    path = made / "last.ckpt"
    checkpoint = state(path)
    (best,) = [v for k, v in checkpoint["callbacks"].items() if "score" in k]
    best["best_model_score"] = best["kth_value"] = torch.tensor(2.0)  # an epoch that no later one will reach
    best["best_k_models"] = {name: torch.tensor(2.0) for name in best["best_k_models"]}
    torch.save(checkpoint, path)
    moved = made.rename(tmp_path / "there")
    facts = json.loads((moved / "recipe.json").read_text())
    facts["recipe"]["epochs"] = 3
    (moved / "recipe.json").write_text(json.dumps(facts))
    go(recipe, data, moved, resume=True)
    assert state(moved / "last.ckpt")["epoch"] == 2
    assert (moved / "best.ckpt").read_bytes() == kept


def test_another_seed_is_another_run(run: Path, recipe: Path, data: Path, tmp_path: Path) -> None:
    other = go(changed(recipe, seed=4, epochs=1), data, tmp_path / "other")
    assert metrics(other)[0]["train_loss"] != metrics(run)[0]["train_loss"]


def test_a_run_starts_from_the_weights_of_another(run: Path, recipe: Path, data: Path, tmp_path: Path) -> None:
    further = go(changed(recipe, epochs=1, start=str(run)), data, tmp_path / "further")
    assert float(metrics(further)[0]["train_loss"]) < float(metrics(run)[0]["train_loss"])


def test_a_run_starts_from_a_bundle(run: Path, recipe: Path, bundle_folder: Path, data: Path, tmp_path: Path) -> None:
    further = go(changed(recipe, epochs=1, start=str(bundle_folder)), data, tmp_path / "further")
    assert float(metrics(further)[0]["train_loss"]) < float(metrics(run)[0]["train_loss"])


def test_the_sha256_of_published_first_weights_is_kept(
    run: Path, recipe: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = tmp_path / "weights.pth"
    published.write_bytes(b"weights")

    def load(network: torch.nn.Module, path: Path, *, mean: float, std: float, adapt: bool) -> str:
        assert adapt
        network.load_state_dict(averaged_weights(run / "best.ckpt"))
        return sha256_of(path)

    monkeypatch.setattr(module, "load_imagenet", load)
    further = go(changed(recipe, epochs=1, start=str(published)), data, tmp_path / "further")
    facts = json.loads((further / "recipe.json").read_text())
    assert facts["start_sha256"] == sha256_of(published)
    assert read_run(further).facts == facts
    assert "start_sha256" not in json.loads((run / "recipe.json").read_text())


def test_a_start_that_is_not_there_is_called_that(recipe: Path, data: Path, tmp_path: Path) -> None:
    for name in ("weights.h5", "resnet50-0676ba61.pth", "frozen.pb"):
        with pytest.raises(DataError, match=rf"{name}: there is no such file; wanted the weights that the recipe starts from"):
            go(changed(recipe, start=str(tmp_path / name)), data, tmp_path / "run", resume=True)


def test_weights_that_no_package_carries_want_a_file(recipe: Path) -> None:
    for name in ("p4-resnet50", "p4-resnet50-torchvision"):
        wanted = changed(recipe, network=name, pretrained=True, crop=CropSpec(size=32))
        with pytest.raises(
            DataError, match=rf"{name}: has no package .*; give the place of a file \(start = .* or pretrained = false"
        ):
            build_network(wanted)
        assert build_network(dataclasses.replace(wanted, pretrained=False))


def test_a_line_is_told_of_each_epoch(recipe: Path, data: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    made = go(changed(recipe, epochs=2), data, tmp_path / "told", epoch_told=lines.append)
    assert len(lines) == 2
    for line, row, number in zip(lines, metrics(made), (1, 2), strict=True):
        told = rf"epoch {number} of 2: training loss {row['train_loss']}, PublicTest {float(row['score']):.4f}, \d+ s"
        assert re.fullmatch(told, line)


def test_teachers_are_asked_once_and_learnt_from(recipe: Path, bundle_folder: Path, data: Path, tmp_path: Path) -> None:
    taught = changed(recipe, epochs=1, teachers=(str(bundle_folder), str(bundle_folder)), teach=1.0)
    made = go(taught, data, tmp_path / "taught")
    with np.load(made / "teachers.npz") as kept:
        assert set(kept.files) == {"ferplus", "fer2013"}
        assert kept["ferplus"].shape == (84, 8)
        assert np.allclose(kept["fer2013"].sum(axis=1), 1, atol=1e-5)
    assert metrics(made) != metrics(go(changed(recipe, epochs=1), data, tmp_path / "alone"))
    before = (made / "teachers.npz").stat().st_mtime_ns
    go(taught, data, made, resume=True)
    assert (made / "teachers.npz").stat().st_mtime_ns == before


def test_of_some_faces_the_teachers_word_is_learnt(
    recipe: Path, bundle_folder: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[ExpressionTrainer] = []
    real = ExpressionTrainer.__init__

    def seen(self: ExpressionTrainer, *given: Any) -> None:
        real(self, *given)
        made.append(self)

    monkeypatch.setattr(ExpressionTrainer, "__init__", seen)
    few = changed(recipe, epochs=1, teachers=(str(bundle_folder),), teach=1.0, faces=20)
    run = go(few, data, tmp_path / "few")
    every = load_faces(data, few.crop).of("Training")
    rows = learnt_rows(every, few)
    assert json.loads((run / "recipe.json").read_text())["faces"] == len(rows) == 20
    assert np.array_equal(made[0].train_set.source, every.source[rows])
    with np.load(run / "teachers.npz") as kept:  # of all, for another number of them
        assert kept["fer2013"].shape == (84, 7)
        assert np.array_equal(made[0].taught_fer2013.numpy(), kept["fer2013"][rows])


def test_the_layout_is_that_of_pupil_and_teachers(recipe: Path, bundle_folder: Path, tmp_path: Path) -> None:
    both = write_tables(tmp_path / "both")
    for name in ("data.json", "faces.csv"):  # by which a folder is found to be a prepared one
        (both / name).write_text("another's", encoding="utf-8")
    made = go(changed(recipe, epochs=1, teachers=(str(bundle_folder),)), both, tmp_path / "run", layout="fer2013")
    assert (made / "teachers.npz").is_file()


def test_a_pupil_may_have_fewer_heads_than_its_teacher(recipe: Path, bundle_folder: Path, data: Path, tmp_path: Path) -> None:
    made = go(changed(recipe, epochs=1, heads={"ekman": 1.0}, teachers=(str(bundle_folder),)), data, tmp_path / "ekman")
    assert "ekman_accuracy" in metrics(made)[0]


def test_stages_have_rates_of_their_own_and_may_freeze(recipe: Path, data: Path, tmp_path: Path) -> None:
    stages = (Stage(1, 5e-3, train_last=1), Stage(1, 1e-3))
    made = go(changed(recipe, stages=stages, average=0.0), data, tmp_path / "staged")
    assert [row["epoch"] for row in metrics(made)] == ["1", "2"]
    first = go(changed(recipe, stages=stages[:1], average=0.0), data, tmp_path / "first")
    torch.manual_seed(3)
    begun = build_network(read_recipe(recipe)).state_dict()
    frozen, trained = averaged_weights(first / "last.ckpt"), averaged_weights(made / "last.ckpt")
    for name in ("trunk.0.weight", "trunk.1.weight", "trunk.1.running_mean"):
        assert torch.equal(frozen[name], begun[name]), name
        assert not torch.equal(trained[name], begun[name]), name
    assert not torch.equal(frozen["heads.ferplus.weight"], begun["heads.ferplus.weight"])


def test_a_run_with_stages_that_was_killed_at_the_border_goes_on_as_if_nothing_was(
    recipe: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = changed(recipe, stages=(Stage(1, 5e-3, train_last=1), Stage(2, 1e-3)), schedule="constant")
    whole = go(staged, data, tmp_path / "whole")
    real = ExpressionTrainer.on_train_batch_start

    def killed(self: ExpressionTrainer, batch: torch.Tensor, batch_idx: int) -> None:
        if self.global_step == 6:
            raise Killed
        real(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(ExpressionTrainer, "on_train_batch_start", killed)
        with pytest.raises(Killed):
            go(staged, data, tmp_path / "again")
    again = go(staged, data, tmp_path / "again", resume=True)
    assert (again / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()


def test_it_stops_early(recipe: Path, data: Path, tmp_path: Path) -> None:
    made = go(changed(recipe, epochs=40, lr=1e-7, stop_after=2), data, tmp_path / "stopped")
    scores = [float(row["score"]) for row in metrics(made)]
    assert len(scores) < 40
    assert max(scores[-2:]) <= max(scores[:-2])


def test_a_stage_that_stops_early_goes_on_to_the_next(recipe: Path, data: Path, tmp_path: Path) -> None:
    stages = (Stage(40, 1e-7, train_last=1), Stage(3, 5e-3))
    staged = changed(recipe, stages=stages, stop_after=2, average=0.0, warmup_epochs=0)
    made = go(staged, data, tmp_path / "staged")
    scores, run = [float(row["score"]) for row in metrics(made)], read_run(made)
    border, end = run.stage_ends
    assert 3 <= border < 40
    assert max(scores[border - 2 : border]) <= max(scores[: border - 2])
    assert run.finished
    assert end == len(scores)
    assert max(scores[border:]) > max(scores[:border]) + 0.1  # what a rate that is worth the name gives
    assert [row["score"] for row in run.stage_bests] == [max(scores[:border]), max(scores[border:])]
    # Only the last stage moves what the first had frozen, from its first epoch on.
    torch.manual_seed(3)
    begun = build_network(read_recipe(recipe)).state_dict()
    assert not torch.equal(averaged_weights(made / "best.ckpt")["trunk.0.weight"], begun["trunk.0.weight"])
    before = (made / "last.ckpt").read_bytes()
    go(staged, data, made, resume=True)
    assert [float(row["score"]) for row in metrics(made)] == scores
    assert state(made / "last.ckpt")["epoch"] == end - 1
    assert len(before) > 0


@pytest.mark.parametrize("after", [-1, 0, 1])
def test_a_run_that_was_killed_about_an_early_stop_goes_on_as_if_nothing_was(
    recipe: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    staged = changed(recipe, stages=(Stage(40, 1e-7, train_last=1), Stage(3, 5e-3)), stop_after=2)
    whole = go(staged, data, tmp_path / "whole")
    border = read_run(whole).stage_ends[0]
    real = ExpressionTrainer.on_train_batch_start

    def killed(self: ExpressionTrainer, batch: torch.Tensor, batch_idx: int) -> None:
        if self.global_step == 6 * (border + after):
            raise Killed
        real(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(ExpressionTrainer, "on_train_batch_start", killed)
        with pytest.raises(Killed):
            go(staged, data, tmp_path / "again")
    again = go(staged, data, tmp_path / "again", resume=True)
    assert (again / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()


def test_weights_of_some_epochs_are_kept(recipe: Path, data: Path, tmp_path: Path) -> None:
    made = go(changed(recipe, epochs=3, keep=(1, 3, 9)), data, tmp_path / "kept")
    assert sorted(path.name for path in made.glob("epoch-*.ckpt")) == ["epoch-1.ckpt", "epoch-3.ckpt"]
    first, last = (averaged_weights(made / name) for name in ("epoch-1.ckpt", "epoch-3.ckpt"))
    final = averaged_weights(made / "last.ckpt")
    assert set(last) == set(final)
    assert all(torch.equal(last[name], value) for name, value in final.items())
    assert not torch.equal(first["trunk.0.weight"], final["trunk.0.weight"])


def test_half_the_precision_is_that_of_the_steps_alone(
    recipe: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds: dict[bool, set[torch.dtype]] = {True: set(), False: set()}
    real = Tiny.forward

    def seen(self: Tiny, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        found = real(self, batch)
        kinds[self.training].update(value.dtype for value in found.values())
        return found

    monkeypatch.setattr(Tiny, "forward", seen)
    made = go(changed(recipe, epochs=3), data, tmp_path / "half", precision="bf16-mixed")
    assert kinds == {True: {torch.bfloat16}, False: {torch.float32}}
    assert json.loads((made / "recipe.json").read_text())["precision"] == "bf16-mixed"
    assert all(value.dtype != torch.bfloat16 for value in averaged_weights(made / "last.ckpt").values())
    assert float(metrics(made)[-1]["score"]) > 0.6  # it learns


def test_without_an_average_the_weights_are_those_of_the_network(recipe: Path, data: Path, tmp_path: Path) -> None:
    kept = state(go(changed(recipe, epochs=1, average=0.0), data, tmp_path / "raw") / "last.ckpt")["state_dict"]
    assert torch.equal(kept["averaged.module.trunk.0.weight"], kept["network.trunk.0.weight"])


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_other_optimisers(recipe: Path, data: Path, tmp_path: Path, optimizer: Any) -> None:
    made = go(changed(recipe, epochs=2, optimizer=optimizer, schedule="constant"), data, tmp_path / optimizer)
    rows = metrics(made)
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])


def test_gradients_are_as_long_as_they_are_or_as_the_clip(
    recipe: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[float] = []

    def measured(self: ExpressionTrainer, optimizer: torch.optim.Optimizer) -> None:
        """Called when the step before is done, with the gradients that it took."""
        norms = [p.grad.norm() for p in self.network.parameters() if p.grad is not None]
        lengths.append(float(torch.stack(norms).norm()) if norms else 0.0)

    def longest(clip: float) -> float:
        lengths.clear()
        go(changed(recipe, epochs=1, clip=clip), data, tmp_path / f"clip{clip}")
        return max(lengths)

    monkeypatch.setattr(ExpressionTrainer, "on_before_zero_grad", measured)
    assert longest(0.0) > 1.5
    assert longest(1.0) == pytest.approx(1, abs=1e-4)
    assert longest(0.25) == pytest.approx(0.25, abs=1e-4)


def uneven(data: Path) -> FaceSet:
    """The training shapes with only one picture of the first class left."""
    faces = load_faces(data, CropSpec(size=16, detail=0)).of("Training")
    first = np.flatnonzero(faces.truth("fer2013") == 0)
    return faces[np.setdiff1d(np.arange(len(faces)), first[1:])]


def test_balanced_sampling_draws_each_class_as_often(data: Path) -> None:
    faces, recipe = uneven(data), Recipe("a", heads={"fer2013": 1.0}, sampling="balanced")
    drawn = np.concatenate([faces.truth("fer2013")[epoch_order(faces, recipe, epoch)] for epoch in range(30)])
    counts = np.bincount(drawn, minlength=7)
    assert counts.min() > 0.8 * counts.max()
    assert np.array_equal(epoch_order(faces, recipe, 3), epoch_order(faces, recipe, 3))
    natural = epoch_order(faces, dataclasses.replace(recipe, sampling="natural"), 0)
    assert sorted(natural) == list(range(len(faces)))


def test_class_weights_and_logit_adjustment(data: Path) -> None:
    faces, recipe = uneven(data), Recipe("a", "tiny", heads={"fer2013": 1.0}, crop=CropSpec(size=16, detail=0))
    count = np.bincount(faces.truth("fer2013"), minlength=7)
    made = ExpressionTrainer(dataclasses.replace(recipe, class_weights="balanced"), faces, faces)
    assert torch.allclose(made.weights_fer2013 * torch.from_numpy(count), torch.tensor(len(faces) / 7), rtol=1e-5)
    plain = ExpressionTrainer(recipe, faces, faces)
    assert torch.equal(plain.weights_fer2013, torch.ones(7))
    assert not plain.lean_fer2013.any()
    leaning = ExpressionTrainer(dataclasses.replace(recipe, logit_adjustment=1.0), faces, faces)
    assert torch.allclose(leaning.lean_fer2013.exp(), torch.from_numpy(count / len(faces)).float(), rtol=1e-5)


def test_no_picture_of_a_split_and_no_label_of_a_head(recipe: Path, tmp_path: Path) -> None:
    alone = write_tables(tmp_path / "alone", {"Training": 14})
    with pytest.raises(DataError, match="has no picture in the split PublicTest"):
        go(recipe, alone, tmp_path / "run")


@pytest.mark.more
def test_two_processes_train_one_network(recipe: Path, data: Path, tmp_path: Path) -> None:
    """As on two GPUs, by Lightning's own options, here on the CPU."""
    program = (
        "import sys; from mien.cli import main; from mien.training import networks\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from shapes import Tiny; networks.NETWORKS['tiny'] = Tiny\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    script = tmp_path / "train.py"
    script.write_text(program)
    options = ["--accelerator", "cpu", "--devices", "2", "--strategy", "ddp", "--run", str(tmp_path / "two")]
    port = KeptPort()  # where the two meet
    done = subprocess.run(
        [sys.executable, str(script), "train", str(recipe), "--data", str(data), *options],
        env=os.environ | {"MASTER_PORT": str(port.number)},
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stderr
    for told in ("best epoch: ", "report: ", "next: "):  # by the first process alone
        assert done.stdout.count(told) == 1
    rows = metrics(tmp_path / "two")
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert state(tmp_path / "two" / "last.ckpt")["global_step"] == 9  # 84 faces in batches of 2 × 16
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])


def test_a_run_is_never_overwritten(run: Path, recipe: Path, data: Path) -> None:
    before = {p.name: p.read_bytes() for p in run.iterdir()}
    with pytest.raises(DataError, match="holds a run already; add --resume"):
        go(recipe, data, run)
    with pytest.raises(DataError, match=r"was begun with another recipe \(lr, batch differ\)"):
        go(changed(recipe, lr=0.5, batch=8), data, run, resume=True)
    assert {p.name: p.read_bytes() for p in run.iterdir()} == before


@pytest.mark.parametrize("content", [None, "[]", "{", "{}", '{"recipe": {"name": "a", "colour": "red"}}'])
def test_a_folder_that_is_no_run(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "recipe.json").write_text(content)
    with pytest.raises(DataError, match=r"wanted a run folder with recipe\.json|unknown key 'colour'"):
        run_recipe(tmp_path)


def test_a_run_learns_from_the_faces_that_have_a_label(data: Path, recipe: Path) -> None:
    faces = load_faces(data, CropSpec(size=16), align=False).of("Training")
    ekman = changed(recipe, heads={"ekman": 1.0})
    kept = faces[learnt_rows(faces, ekman)]
    assert (kept.truth("ekman") >= 0).all()
    assert len(kept) == 84 * 6 // 7  # a seventh is neutral
    assert len(learnt_rows(faces, changed(recipe, heads={"fer2013": 1.0}))) == 84
    assert len(learnt_rows(faces, changed(recipe, heads={"ekman": 1.0}, teachers=("somebody",)))) == 84


def test_so_many_faces_are_drawn_by_the_seed(data: Path, recipe: Path) -> None:
    faces = load_faces(data, CropSpec(size=16), align=False).of("Training")

    def drawn(**changes: Any) -> list[str]:
        return list(faces.source[learnt_rows(faces, changed(recipe, heads={"fer2013": 1.0}, **changes))])

    some = drawn(faces=20)
    assert len(set(some)) == 20
    assert some == drawn(faces=20)
    assert some != drawn(faces=20, seed=99)
    assert len(drawn(faces=5000)) == 84
    assert len(drawn(faces=20, teachers=("somebody",))) == 20


def test_a_run_without_a_finished_epoch(tmp_path: Path, recipe: Path) -> None:
    (tmp_path / "recipe.json").write_text(json.dumps({"recipe": read_recipe(recipe).to_json()}))
    with pytest.raises(DataError, match=r"best\.ckpt: there is no such checkpoint; has the run finished an epoch"):
        averaged_network(tmp_path)


def test_the_commit_is_that_of_the_checkout_or_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.commit()
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert module.commit() == "unknown"
