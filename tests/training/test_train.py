import csv
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import mien
from mien.errors import DataError
from mien.training import train as module
from mien.training.recipe import Recipe, read_recipe
from mien.training.train import ExpressionTrainer, averaged_network, averaged_weights, run_recipe, train


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
    assert {p.name for p in run.iterdir()} == {"recipe.json", "metrics.csv", "last.ckpt", "best.ckpt"}
    facts = json.loads((run / "recipe.json").read_text())
    assert run_recipe(run) == read_recipe(recipe)
    assert facts["versions"]["mien"] == mien.__version__
    assert facts["versions"]["torch"] == torch.__version__
    assert facts["commit"]
    assert facts["faces"] == 84
    rows = metrics(run)
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert {"train_loss", "score", "ferplus_accuracy", "fer2013_accuracy", "fer2013_macro_f1", "seconds"} <= set(rows[0])


def test_it_learns(run: Path) -> None:
    rows = metrics(run)
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    assert float(rows[-1]["score"]) > 0.6  # one of seven by chance


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
    strip = [{k: v for k, v in row.items() if k != "seconds"} for row in metrics(run)]
    assert [{k: v for k, v in row.items() if k != "seconds"} for row in metrics(again)] == strip


def test_resuming_a_finished_run_changes_nothing(run: Path, recipe: Path, data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    before = metrics(copy)
    go(recipe, data, copy, resume=True)
    assert metrics(copy) == before
    wanted, found = state(run / "last.ckpt")["state_dict"], state(copy / "last.ckpt")["state_dict"]
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


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


def test_a_run_is_never_overwritten(run: Path, recipe: Path, data: Path) -> None:
    before = {p.name: p.read_bytes() for p in run.iterdir()}
    with pytest.raises(DataError, match="holds a run already; add --resume"):
        go(recipe, data, run)
    with pytest.raises(DataError, match=r"was begun with another recipe \(batch, lr differ\)"):
        go(changed(recipe, lr=0.5, batch=8), data, run, resume=True)
    assert {p.name: p.read_bytes() for p in run.iterdir()} == before


@pytest.mark.parametrize("content", [None, "[]", "{", "{}", '{"recipe": {"name": "a", "colour": "red"}}'])
def test_a_folder_that_is_no_run(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "recipe.json").write_text(content)
    with pytest.raises(DataError, match=r"wanted a run folder with recipe\.json|unknown key 'colour'"):
        run_recipe(tmp_path)


def test_a_run_without_a_finished_epoch(tmp_path: Path, recipe: Path) -> None:
    (tmp_path / "recipe.json").write_text(json.dumps({"recipe": read_recipe(recipe).to_json()}))
    with pytest.raises(DataError, match=r"best\.ckpt: there is no such checkpoint; has the run finished an epoch"):
        averaged_network(tmp_path)


def test_the_commit_is_that_of_the_checkout_or_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.commit()
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert module.commit() == "unknown"
