import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from mien.errors import DataError
from mien.training import scoring
from mien.training.data import load_faces
from mien.training.evaluate import class_scores
from mien.training.layers import count_parameters
from mien.training.run_folder import read_run
from mien.training.scoring import logits, measure_network, score_run
from mien.training.train import averaged_network


@pytest.fixture
def folder(run: Path, tmp_path: Path) -> Path:
    """A copy of a run that was not scored yet."""
    scored = shutil.ignore_patterns("public.json", "private.json", "network.json")
    return Path(shutil.copytree(run, tmp_path / "shapes", ignore=scored))


def test_scores_of_publictest_are_those_of_the_best_epoch(folder: Path, data: Path) -> None:
    best = read_run(folder).best
    found = score_run(folder, data, "PublicTest")
    for head, scores in found["heads"].items():
        assert scores["accuracy"] == pytest.approx(best[f"{head}_accuracy"], abs=1e-5)
        assert scores["macro_f1"] == pytest.approx(best[f"{head}_macro_f1"], abs=1e-5)
        assert scores["loss"] == pytest.approx(best[f"{head}_loss"], abs=1e-4)
    assert not (folder / "confusion.csv").exists()


def test_privatetest_is_scored_once(folder: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = score_run(folder, data, "PrivateTest")
    with (folder / "confusion.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.reader(file))
    scores = found["heads"]["ferplus"]
    assert [[int(n) for n in row[1:-1]] for row in table[1:]] == scores["confusion"]
    assert (folder / "confusion.png").is_file()

    def nothing(*_: object, **__: object) -> None:
        raise AssertionError("scored again")

    monkeypatch.setattr(scoring, "load_faces", nothing)
    assert score_run(folder, data, "PrivateTest") == found
    with pytest.raises(AssertionError, match="scored again"):
        score_run(folder, data, "PublicTest")


def test_right_names_each_picture_in_its_order(folder: Path, data: Path) -> None:
    recipe = read_run(folder).recipe
    faces = load_faces(data, recipe.crop, splits=("PrivateTest",))
    said = logits(averaged_network(folder), recipe, faces, batch=10)["fer2013"].argmax(axis=1)
    scores = score_run(folder, data, "PrivateTest")["heads"]["fer2013"]
    assert scores["right"] == "".join(str(int(a == b)) for a, b in zip(said, faces.fer2013, strict=True))
    wanted = class_scores(faces.fer2013, said.astype(np.int64), 7)
    assert scores["recall"] == dict(zip(scores["labels"], wanted["recall"].tolist(), strict=True))


def test_a_folder_that_is_no_run_is_named(tmp_path: Path, data: Path) -> None:
    with pytest.raises(DataError, match="wanted a run folder"):
        score_run(tmp_path, data, "PublicTest")


def test_pictures_without_the_heads_labels_cannot_be_scored(folder: Path, data: Path, tmp_path: Path) -> None:
    """Two heads, but a table without votes: there is nothing to judge contempt and the others by."""
    bare = tmp_path / "bare"
    bare.mkdir()
    lines = (data / "fer2013.csv").read_text().splitlines()
    kept = [lines[0], *(line for line in lines if line.endswith("Training"))]
    (bare / "fer2013.csv").write_text("\n".join(kept) + "\n")
    with pytest.raises(DataError, match="wanted pictures with a label of ferplus"):
        score_run(folder, bare, "PublicTest")
    assert not (folder / "public.json").exists()


def test_the_size_and_speed_of_a_network_are_kept(folder: Path) -> None:
    found = measure_network(folder)
    assert found["parameters"] == count_parameters(averaged_network(folder))
    assert 0 < found["seconds_per_picture"] < 0.1
    assert measure_network(folder) == found
    assert read_run(folder).network == found
