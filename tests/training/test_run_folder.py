import json
import shutil
from pathlib import Path

import pytest

from mien.errors import DataError
from mien.training.recipe import read_recipe
from mien.training.run_folder import read_run, write_json


@pytest.fixture
def folder(run: Path, tmp_path: Path) -> Path:
    """A copy of a run's figures, to be damaged."""
    for name in ("recipe.json", "metrics.csv", "timing.csv"):
        shutil.copy(run / name, tmp_path)
    return tmp_path


def test_a_run_is_read_as_it_was_written(folder: Path, recipe: Path) -> None:
    found = read_run(folder)
    assert found.recipe == read_recipe(recipe)
    assert [row["epoch"] for row in found.epochs] == [1.0, 2.0, 3.0]
    assert (found.planned, found.finished, found.head) == (3, True, "ferplus")
    assert found.best["score"] == max(row["score"] for row in found.epochs)
    assert [row["device"] for row in found.timing] == ["cpu"] * 3
    assert sorted(row["seconds"] for row in found.timing)[1] == found.epoch_seconds("seconds")
    assert found.epoch_seconds("gpu_seconds") is None
    assert (found.public, found.private, found.network) == (None, None, None)


def test_an_unfinished_run_is_one(folder: Path) -> None:
    metrics = folder / "metrics.csv"
    metrics.write_text("".join(metrics.read_text().splitlines(keepends=True)[:3]))
    assert not read_run(folder).finished
    metrics.unlink()
    found = read_run(folder)
    assert not found.finished
    with pytest.raises(DataError, match="has no finished epoch yet"):
        _ = found.best


def test_of_equal_epochs_the_first_is_the_best(folder: Path) -> None:
    (folder / "metrics.csv").write_text("epoch,score\n1,0.25\n2,0.5\n3,0.5\n")
    assert read_run(folder).best["epoch"] == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metrics.csv", "epoch,score\n1,high\n", r"metrics\.csv, row 2: wanted a number in score, but got 'high'"),
        ("metrics.csv", "epoch,score\n1\n", r"metrics\.csv, row 2: wanted as many cells as the header has"),
        ("metrics.csv", "epoch\n1\n", r"metrics\.csv: wanted the columns epoch and score, but got epoch"),
        ("timing.csv", "epoch,seconds\n1,x\n", r"timing\.csv, row 2: wanted a number in seconds"),
        ("recipe.json", "{", r"recipe\.json: cannot be read"),
        ("recipe.json", "[]", r"recipe\.json: wanted an object, but got list"),
        ("recipe.json", "{}", r"recipe\.json: wanted the key recipe"),
        ("recipe.json", '{"recipe": {"name": "x", "epoch": 1}}', r"recipe\.json: unknown key 'epoch'"),
        ("private.json", "half", r"private\.json: cannot be read"),
    ],
)
def test_damage_is_named(folder: Path, name: str, content: str, message: str) -> None:
    (folder / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_run(folder)


def test_json_is_written_whole(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": 1})
    write_json(tmp_path / "x.json", {"a": 2})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
