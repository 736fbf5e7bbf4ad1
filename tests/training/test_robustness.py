import csv
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from shapes import write_tables

from fakes import GROUND, LABELS, FakeDetector, FakeExpressions, scene
from mien.cli import main
from mien.crop import TEMPLATE, CropSpec
from mien.emotion import Expressions
from mien.errors import DataError
from mien.labels import FERPLUS_COLUMNS
from mien.models import load_model
from mien.training import robustness as module
from mien.training.robustness import HARMS, Place, measure_robustness, not_faces, robustness, write_robustness
from mien.types import Faces

BOX = (40, 30, 120, 110)
"""Of the fake face in a picture of 160 × 140."""


def picture(expression: str = "happiness") -> NDArray[np.uint8]:
    return scene([(BOX[0], BOX[1], BOX[2] - BOX[0], expression)], width=160, height=140)


def place() -> Place:
    box = np.array(BOX, np.float32)
    return Place(box, box[:2] + np.array(TEMPLATE, np.float32) * 80)


def harmed(name: str, strength: float, rgb: NDArray[np.uint8] | None = None, seed: int = 0) -> tuple[NDArray[np.uint8], Place]:
    return HARMS[name].apply(picture() if rgb is None else rgb, strength, place(), np.random.default_rng(seed))


# --- each harm


@pytest.mark.parametrize("name", list(HARMS))
def test_a_harm_grows_with_its_strengths_and_leaves_the_picture_itself(name: str) -> None:
    y, x = np.mgrid[:140, :160]
    waves = sum(np.sin(x / wide + i) * np.cos(y / wide) for i, wide in enumerate((2.5, 4.0, 8.0, 16.0)))
    rgb = np.repeat((128 + 25 * waves)[..., None], 3, axis=2).astype(np.uint8)
    before, found = rgb.copy(), []
    for strength in HARMS[name].strengths:
        out, there = harmed(name, strength, rgb)
        assert out.dtype == np.uint8
        assert out.ndim == 3
        # What became of the face, laid back onto where it was.
        spec = CropSpec(size=40, colour="rgb", detail=0)
        crops = [
            module.crop_face(one, module.alignment(at.box, at.landmarks), spec).astype(float)
            for one, at in ((rgb, place()), (out, there))
        ]
        found.append(float(np.abs(crops[0] - crops[1]).mean()))
        assert np.array_equal(harmed(name, strength, rgb)[0], out)  # the same generator, the same harm
    assert np.array_equal(rgb, before)
    if name != "rotation":  # a turned face laid back is the face
        assert found[-1] > 1
        assert found[-1] > 1.3 * found[0]
    if name not in ("rotation", "patch", "size"):  # where chance or resampling has its say
        assert found == sorted(found)


def test_blur_is_measured_by_the_face() -> None:
    edge = np.zeros((140, 160, 3), np.uint8)
    edge[:, 80:] = 255
    row = harmed("blur", 5, edge)[0][70, :, 0].astype(float)
    slope = np.diff(row)
    at = np.arange(len(slope)) - 79.5
    assert np.sqrt((slope * at**2).sum() / slope.sum()) == pytest.approx(0.05 * 80, abs=0.6)


def test_noise_has_the_deviation_it_says() -> None:
    plain = np.full((140, 160, 3), 128, np.uint8)
    out = harmed("noise", 20, plain)[0]
    assert out.std() == pytest.approx(20, rel=0.03)
    assert out.mean() == pytest.approx(128, abs=0.5)
    assert np.corrcoef(out[..., 0].ravel(), out[..., 1].ravel())[0, 1] < 0.05


def test_less_light_is_darker_and_grainier() -> None:
    plain = np.full((140, 160, 3), 200, np.uint8)
    out = harmed("dark", 16, plain)[0]
    assert out.mean() == pytest.approx(200 * (1 / 16) ** (1 / 2.2), rel=0.02)
    light = 4000 * (200 / 255) ** 2.2 / 16  # electrons
    grain = np.sqrt(light + 9) / light / 2.2 * out.mean()
    assert out.std() == pytest.approx(grain, rel=0.1)


def test_a_jpeg_of_low_quality_falls_into_blocks() -> None:
    ramp = np.repeat(np.repeat(np.linspace(0, 255, 160)[None, :, None], 144, axis=0), 3, axis=2).astype(np.uint8)
    steps = np.abs(np.diff(harmed("jpeg", 3, ramp)[0][..., 0].astype(int), axis=1)).mean(axis=0)
    assert steps[7::8].mean() > 3 * np.delete(steps, np.s_[7::8]).mean()


@pytest.mark.parametrize("strength", HARMS["size"].strengths)
def test_a_small_face_is_as_wide_as_said_and_where_it_is_said_to_be(strength: float) -> None:
    out, there = harmed("size", strength)
    assert out.shape[0] == out.shape[1] == module.FRAME
    found = FakeDetector()(out)
    assert len(found) == 1
    assert there.width == pytest.approx(strength, rel=0.04)
    assert found.boxes[0] == pytest.approx(there.box, abs=1.1)
    assert out[0, 0].tolist() == [GROUND] * 3


@pytest.mark.parametrize("strength", HARMS["rotation"].strengths)
def test_a_turned_face_is_where_it_is_said_to_be(strength: float) -> None:
    turns = set()
    for seed in range(6):
        rgb = np.zeros((140, 160, 3), np.uint8)
        eyes = place().landmarks[:2]
        for x, y in eyes:
            rgb[round(y - 0.5), round(x - 0.5)] = 255
        exact = np.floor(eyes - 0.5 + 0.5) + 0.5  # the middle of the pixels that were lit
        out, there = HARMS["rotation"].apply(
            rgb, strength, Place(place().box, np.concatenate([exact, exact[:1]])), np.random.default_rng(seed)
        )
        for point in there.landmarks[:2]:
            y, x = np.mgrid[: out.shape[0], : out.shape[1]] + 0.5
            near = out[..., 0] * (np.hypot(x - point[0], y - point[1]) < 4)
            assert near.sum() > 100
            assert (near * x).sum() / near.sum() == pytest.approx(point[0], abs=0.3)
            assert (near * y).sum() / near.sum() == pytest.approx(point[1], abs=0.3)
        across = there.landmarks[1] - there.landmarks[0]
        turns.add(round(float(np.degrees(np.arctan2(across[1], across[0])) - np.degrees(np.arctan2(*(exact[1] - exact[0])[::-1])))))
    assert turns == {round(-strength), round(strength)}


def test_a_mask_covers_the_face_from_the_chin_up_and_a_bar_the_eyes() -> None:
    mask = (harmed("mask", 25)[0] == 205).all(axis=2)
    rows = np.flatnonzero(mask.any(axis=1))
    assert (rows.min(), rows.max()) == pytest.approx((110 - 20, 110), abs=1)
    assert mask[rows[3]].sum() == pytest.approx(80, abs=2)
    bar = (harmed("eyes", 16)[0] == 25).all(axis=2)
    middle = place().landmarks[:2].mean(axis=0)
    assert np.flatnonzero(bar.any(axis=1)).mean() == pytest.approx(middle[1], abs=1)
    assert bar.sum() == pytest.approx(80 * 0.16 * 80, rel=0.15)
    assert all(bar[round(y), round(x)] for x, y in place().landmarks[:2])


def test_a_bar_leans_as_the_eyes_do() -> None:
    leaning = Place(place().box, np.array([[60, 60], [100, 80], [80, 85], [60, 90], [90, 105]], np.float32))
    bar = (HARMS["eyes"].apply(picture(), 10, leaning, np.random.default_rng(0))[0] == 25).all(axis=2)
    y, x = np.nonzero(bar)
    assert np.polyfit(x, y, 1)[0] == pytest.approx(0.5, abs=0.1)


def test_a_patch_covers_its_share_of_the_face_anywhere_in_it() -> None:
    places = set()
    for seed in range(20):
        covered = (harmed("patch", 20, seed=seed)[0][BOX[1] : BOX[3], BOX[0] : BOX[2]] == 128).all(axis=2)
        assert covered.mean() == pytest.approx(0.2, abs=0.02)
        places.add(int(covered.argmax()))
    assert len(places) > 15


# --- the pipeline


def fake_pictures() -> tuple[list[NDArray[np.uint8]], NDArray[np.int64]]:
    return [picture(name) for name in LABELS for _ in range(2)], np.repeat(np.arange(3), 2)


def test_rows_say_what_is_left() -> None:
    rgb, truth = fake_pictures()
    told: list[tuple[int, int]] = []
    rows = robustness(
        FakeExpressions(), rgb, truth, detector=FakeDetector(), harms=("size", "noise"), progress=lambda *at: told.append(at)
    )
    assert [(row["harm"], row["strength"]) for row in rows] == [
        ("none", 0),
        *(("size", s) for s in HARMS["size"].strengths),
        *(("noise", s) for s in HARMS["noise"].strengths),
    ]
    assert told[-1] == (len(rows) * 6, len(rows) * 6)
    first = rows[0]
    assert (first["n"], first["accuracy"], first["found"], first["accuracy_of_found"], first["placed_accuracy"]) == (6, 1, 1, 1, 1)
    assert first["low"] < 0.65
    assert first["high"] == 1
    assert (first["not_neutral"], first["false_neutral"]) == (0, None)  # these labels know no neutral
    assert 0.5 < first["confidence"] < 1
    assert (first["reliability"], first["relied_on"], first["accuracy_relied_on"]) == (None, 1, 1)  # these expressions do not say
    assert rows == robustness(FakeExpressions(), rgb, truth, detector=FakeDetector(), harms=("size", "noise"))


class Nobody:
    def __init__(self, every: int) -> None:
        self.facts: dict[str, Any] = {}
        self.every, self.calls, self.finder = every, 0, FakeDetector()

    def __call__(self, rgb: NDArray[np.uint8]) -> Faces:
        self.calls += 1
        return Faces.none() if self.calls % self.every == 0 else self.finder(rgb)


def test_who_is_not_found_counts_as_wrong() -> None:
    rgb, truth = fake_pictures()
    half = robustness(FakeExpressions(), rgb, truth, detector=Nobody(2), harms=())[0]
    assert (half["accuracy"], half["found"], half["accuracy_of_found"], half["placed_accuracy"]) == (0.5, 0.5, 1.0, 1.0)
    none = robustness(FakeExpressions(), rgb, truth, detector=Nobody(1), harms=())[0]
    assert (none["accuracy"], none["found"], none["low"]) == (0.0, 0.0, 0.0)
    assert [none[name] for name in ("accuracy_of_found", "not_neutral", "false_neutral", "confidence")] == [None] * 4


class Neutral(FakeExpressions):
    labels = ("neutral", "happiness", "sadness")  # what is red reads as neutral


def test_false_neutrals_are_counted_among_the_found_that_are_not_neutral() -> None:
    rgb = [picture("anger"), picture("anger"), picture("happiness"), picture("sadness")]
    row = robustness(Neutral(), rgb, np.array([0, 1, 1, 2]), detector=FakeDetector(), harms=())[0]
    assert (row["not_neutral"], row["false_neutral"], row["accuracy"]) == (3, pytest.approx(1 / 3), 0.75)


def test_wrong_arguments() -> None:
    rgb, truth = fake_pictures()
    with pytest.raises(ValueError, match="no harm fog; known: blur, noise"):
        robustness(FakeExpressions(), rgb, truth, harms=("fog",))
    with pytest.raises(ValueError, match="a label for each of 6 pictures"):
        robustness(FakeExpressions(), rgb, truth[:4])


def test_a_real_face_under_real_harm(astronaut: Path) -> None:
    """A portrait that smiles: found and right as it is, turned a little and in little light; not found upside down and as a dot."""
    read: Any = cv2.imread(str(astronaut))
    rgb = np.ascontiguousarray(read[:, :, ::-1])
    model = Expressions()
    truth = np.array([model.labels.index("happiness")])
    rows = {
        (row["harm"], row["strength"]): row for row in robustness(model, [rgb], truth, harms=("rotation", "dark", "size", "mask"))
    }
    for key in (("none", 0.0), ("rotation", 15), ("dark", 4), ("size", 32)):
        assert (rows[key]["accuracy"], rows[key]["false_neutral"]) == (1.0, 0.0), key
    assert rows["size", 12]["placed_accuracy"] in (0.0, 1.0)
    assert rows["mask", 55]["confidence"] is None or rows["mask", 55]["confidence"] < rows["none", 0.0]["confidence"]


# --- pictures without a face


def test_pictures_without_a_face_and_what_is_said_of_them() -> None:
    rows = {row["kind"]: row for row in not_faces(Expressions(), [np.zeros((200, 150, 3), np.uint8)])}
    assert list(rows) == ["flat grey", "noise", "smooth noise", "textures", "things", "no rater saw a face"]
    assert (rows["flat grey"]["n"], rows["no rater saw a face"]["n"]) == (16, 1)
    assert rows["textures"]["n"] == 3 * module.CUTS
    assert rows["things"]["n"] == len(module.THINGS) * module.CUTS
    for row in rows.values():
        assert sum(row["said"].values()) == pytest.approx(1)
        assert 1 / 8 <= row["confidence"] <= 1
        assert 0 <= row["sure"] <= 1
    for kind in ("flat grey", "noise", "textures"):
        assert rows[kind]["let_through"] == 0
    assert rows["flat grey"]["relied_on"] == rows["no rater saw a face"]["relied_on"] == 0  # flat: a flag stands against it
    assert all(0 < row["reliability"] < 1 for row in rows.values())


def test_what_the_detector_lets_through_is_counted() -> None:
    others = [picture(), scene([])]
    rows = {row["kind"]: row for row in not_faces(FakeExpressions(), others, detector=FakeDetector())}
    assert rows["no rater saw a face"]["let_through"] == 0.5
    assert rows["no rater saw a face"]["said"] == {"anger": 0.5, "happiness": 0.5, "sadness": 0.0}  # grey is all alike: the first


def test_without_scikit_image_its_pictures_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    kinds = [row["kind"] for row in not_faces(FakeExpressions(), detector=FakeDetector())]
    assert kinds == ["flat grey", "noise", "smooth noise"]


# --- folders and files


@pytest.fixture
def portraits(tmp_path: Path, astronaut: Path, hopper: Path) -> Path:
    """Class folders with two portraits: one in train, one in validation, one in test."""
    folder = tmp_path / "portraits"
    for split, label, path in (
        ("train", "happy", astronaut),
        ("train", "neutral", hopper),
        ("validation", "happy", astronaut),
        ("validation", "neutral", hopper),
        ("test", "happy", astronaut),
        ("test", "neutral", hopper),
    ):
        (folder / split / label).mkdir(parents=True)
        shutil.copy(path, folder / split / label)
    return folder


def few(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    for name in [name for name in HARMS if name not in names]:
        monkeypatch.delitem(HARMS, name)
    monkeypatch.setattr(module, "CUTS", 1)
    monkeypatch.setattr(module.robustness, "__kwdefaults__", module.robustness.__kwdefaults__ | {"harms": names})


def test_mien_evaluate_robustness(
    portraits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few(monkeypatch, "size", "blur")
    out = tmp_path / "out"
    command = ["evaluate", "default", "--data", str(portraits), "--protocol", "labels", "--robustness", "--limit", "5"]
    assert main([*command, "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "2 of 2 pictures of PublicTest, seed 0" in text
    assert "as they are" in text
    assert "size, face's width in pixels" in text
    assert "smooth noise" in text
    assert f"results: {out}" in text
    assert {path.name for path in out.iterdir()} == {"robustness.csv", "robustness.json", "robustness.png", "not_faces.csv"}
    with (out / "robustness.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = json.loads((out / "robustness.json").read_text(encoding="utf-8"))
    assert [(row["harm"], float(row["strength"])) for row in rows] == [(row["harm"], row["strength"]) for row in found["harms"]]
    for row, one in zip(rows, found["harms"], strict=True):
        for name in ("accuracy", "low", "high", "found", "false_neutral", "placed_accuracy", "reliability", "relied_on"):
            assert row[name] == "" if one[name] is None else float(row[name]) == pytest.approx(one[name], abs=1e-4)
    assert (found["n"], found["of"], found["head"], found["split"]) == (2, 2, "fer2013", "PublicTest")
    assert found["harms"][0]["found"] == 1.0
    assert found["seconds"] > 0
    with (out / "not_faces.csv").open(newline="", encoding="utf-8") as file:
        assert [row["kind"] for row in csv.DictReader(file)] == [row["kind"] for row in found["not_faces"]]
    assert main([*command, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["harms"] == found["harms"]


def test_private_test_is_not_touched(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for split in ("PrivateTest", "all"):
        command = ["evaluate", "default", "--data", str(data), "--protocol", "fer2013", "--robustness", "--split", split]
        assert main(command) == 2
        assert f"not measured on {split}" in capsys.readouterr().err


def test_pictures_that_no_rater_called_a_face_are_among_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch)
    folder = write_tables(tmp_path / "data", {"Training": 14, "PublicTest": 21, "PrivateTest": 14})
    table = folder / "fer2013new.csv"
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    for number in (16, 17, 2, 40):  # two of PublicTest, one of Training, one of PrivateTest
        rows[number][2:] = ["10" if name == "NF" else "0" for name in FERPLUS_COLUMNS]
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    found = measure_robustness(load_model(), folder, "ferplus-strict", limit=7, seed=3)
    assert found["n"] == 7
    assert found["of"] <= 19
    assert {row["kind"]: row["n"] for row in found["not_faces"]}["no rater saw a face"] == 2
    # Bars are no faces: nobody is found, and the sheet says so without falling over.
    assert found["harms"][0]["found"] == 0
    out = tmp_path / "out"
    out.mkdir()
    few(monkeypatch)
    write_robustness(found | {"harms": [*found["harms"], found["harms"][0] | {"harm": "blur", "strength": 1}]}, out)
    assert (out / "robustness.png").stat().st_size > 1000


def test_a_split_without_a_picture_that_counts(tmp_path: Path) -> None:
    folder = write_tables(tmp_path / "data", {"Training": 14, "PrivateTest": 14})
    with pytest.raises(DataError, match="no picture of the split PublicTest counts"):
        measure_robustness(load_model(), folder, "fer2013")
