"""Somebody's own words as class folders, from the folders to what `mien analyze` says with them."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from shapes import RECIPE, shape

from fakes import FakeDetector
from mien.analyze import Analyzer, Recorder
from mien.cli import main
from mien.errors import DataError
from mien.labels import COLOURS, colours_of, own_word
from mien.models import load_model
from mien.report import faces_csv, headline, summary
from mien.training.data import load_faces
from mien.training.layouts import read_layout
from mien.training.recipe import Recipe
from mien.training.train import run_recipe
from mien.types import Frame, MediaInfo, Timeline

WORDS = ("amused", "bored", "very tired")


def test_what_may_be_a_class() -> None:
    assert own_word("Happy") == "happiness"
    assert own_word(" Very  Tired ") == "very tired"
    assert own_word("ärgerlich") == "ärgerlich"
    for wrong in ("hapy", "supprise", "neutrl", "expression", "=cmd", "a,b", ""):
        with pytest.raises(ValueError, match=r"meant to be|column|wanted a word"):
            own_word(wrong)


def test_every_word_has_a_colour_of_its_own() -> None:
    known = colours_of(tuple(COLOURS))
    assert known == list(COLOURS.values())
    mixed = ("neutral", "bored", "happiness", "amused", "very tired", "awake", "lost", "moved")
    assert len(set(colours_of(mixed))) == len(mixed)
    assert colours_of(mixed)[2] == COLOURS["happiness"]


def test_what_a_recipe_learns_of_data() -> None:
    recipe = Recipe("a")
    assert recipe.learning(("anger", "fear")) is recipe
    own = recipe.learning(("happiness", "bored"))
    assert (own.heads, own.labels, own.labels_of("own")) == ({"own": 1.0}, ("happiness", "bored"), ("happiness", "bored"))
    assert own.learning(("happiness", "bored")) == own
    with pytest.raises(DataError, match="a: wanted pictures of happiness, bored, but the data has bored"):
        own.learning(("bored",))
    asked = Recipe("a", heads={"own": 1.0, "fer2013": 0.5})
    assert asked.learning(("anger", "fear")).labels == ("anger", "fear")
    with pytest.raises(DataError, match="words of its data"):
        asked.labels_of("own")


def picture(number: int) -> np.ndarray:
    """One with a face for `FakeDetector`."""
    rgb = np.full((90, 120, 3), 60 + number, np.uint8)
    rgb[20:70, 30:80] = (250, 40, 40)
    return rgb


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    for label, name in enumerate(("Amused", "bored", "very tired")):
        (root / "in" / name).mkdir(parents=True)
        for k in range(40):
            assert cv2.imwrite(str(root / "in" / name / f"im{100 * label + k}.png"), shape(label, rng))
    return root


def test_class_folders_of_own_words_are_found(folders: Path) -> None:
    listing = read_layout(folders / "in")
    assert (listing.layout, listing.names, len(listing)) == ("folders", WORDS, 120)
    assert listing.notes[-1] == "classes in words of their own, which mien does not know: amused, bored, very tired"


def test_own_words_from_folders_to_an_analysis(folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe, data, run, model = folders / "r.toml", folders / "data", folders / "run", folders / "model"
    recipe.write_text(RECIPE, encoding="utf-8")
    assert main(["data", "prepare", str(folders / "in"), "--out", str(data)]) == 0
    assert json.loads((data / "data.json").read_text())["names"] == list(WORDS)
    train = ["train", str(recipe), "--data", str(data), "--run", str(run), "--accelerator", "cpu"]
    assert main(train) == 0
    assert "learnt: the data's own words amused, bored, very tired" in capsys.readouterr().out
    assert (run_recipe(run).heads, run_recipe(run).labels) == ({"own": 1.0}, WORDS)
    assert main([*train, "--resume"]) == 0  # the same recipe, which does not name the words
    # A run of other words begins where this one ended: what is before its heads is taken over.
    two = folders / "two"
    for name in ("amused", "bored"):
        (two / name).mkdir(parents=True)
        for path in (folders / "in" / ("Amused" if name == "amused" else name)).iterdir():
            (two / name / path.name).write_bytes(path.read_bytes())
    again = ["train", str(recipe), "--data", str(two), "--run", str(folders / "again"), "--accelerator", "cpu"]
    assert main([*again, "--set", f"start={run}", "--set", "network=tiny", "--set", "epochs=1"]) == 0
    assert run_recipe(folders / "again").labels == ("amused", "bored")
    capsys.readouterr()

    assert main(["export", str(run), "--data", str(data), "--out", str(model)]) == 0
    bundle = load_model(model)
    assert [(head.name, head.labels) for head in bundle.spec.heads] == [("own", WORDS)]
    assert "| single labels | PrivateTest | 12 |" in bundle.card
    assert "contempt" not in bundle.card
    capsys.readouterr()
    assert main(["evaluate", str(model), "--data", str(data), "--protocol", "labels", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["labels"], found["n"]) == (list(WORDS), 12)
    assert found["accuracy"] > 0.8
    assert main(["evaluate", str(model), "--data", str(data), "--protocol", "fer2013"]) == 1
    assert "has no head with the labels of fer2013" in capsys.readouterr().err
    with pytest.raises(DataError, match="wanted pictures of amused, bored, very tired, but the data has amused, bored"):
        run_recipe(run).learning(load_faces(two, bundle.spec.crop).names)

    analyzer = Analyzer(model, detector=FakeDetector())
    frames = [Frame(i, i / 10, picture(i)) for i in range(20)]
    recorder = Recorder(MediaInfo("a.mp4", "video", 120, 90, 2.0, 10.0, 20, False, "h264"), analyzer.labels, analyzer.settings())
    for result in analyzer.stream(frames):
        recorder.add(result)
    timeline = recorder.timeline()
    faces_csv(timeline, tmp_path / "faces.csv")
    with (tmp_path / "faces.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert set(WORDS) < set(rows[0])
    assert {row["expression"] for row in rows} <= set(WORDS)
    assert {row["valence"] for row in rows} == {""}  # no word of these is pleasant or unpleasant
    assert any(word in summary(timeline, [])["headline"] for word in WORDS)


def test_a_headline_of_several_faces_in_words_of_two() -> None:
    scores = np.eye(3, dtype=np.float32)[[2, 2, 0]]
    boxes = np.array([[10 * i, 0, 10 * i + 8, 8] for i in range(3)], np.float32)
    one = np.zeros(1), np.zeros(3, np.int64), np.arange(1, 4), boxes, np.ones(3, np.float32), scores, scores
    timeline = Timeline(MediaInfo("a.png", "picture", 40, 20, None, None, 1, False, "png"), WORDS, np.zeros(1, np.int64), *one)
    assert headline(timeline, []) == "Three faces; two appear very tired and one amused."
