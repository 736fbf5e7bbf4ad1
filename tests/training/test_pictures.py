import csv
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mien.labels import COLOURS, FERPLUS
from mien.training import pictures
from mien.training.evaluate import reliability
from mien.training.recipe import Augmentation

LABELS = ("neutral", "happiness", "anger")


def rgb(path: Path) -> NDArray[np.uint8]:
    read = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert read is not None
    return np.asarray(read[:, :, ::-1], np.uint8)


def area(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> int:
    return int((picture == colour).all(axis=2).sum())


def light(picture: NDArray[np.uint8]) -> bool:
    """Whether the ground is white: the corners, and what there is most of."""
    corners = picture[[0, 0, -1, -1], [0, -1, 0, -1]]
    return bool((corners == 255).all()) and area(picture, (255, 255, 255)) > 0.25 * picture.shape[0] * picture.shape[1]


def value(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


# --- augmentation


def faces(n: int = 2, side: int = 24) -> NDArray[np.uint8]:
    y, x = np.mgrid[:side, :side]
    one = (120 + 60 * np.sin(x / 4) + 50 * np.cos(y / 5 - x / 9)).astype(np.uint8)
    return np.stack([one, one[::-1]][:n])


@pytest.mark.parametrize("colour", [False, True])
def test_the_augmentation_sheet_has_a_row_for_each_change_and_the_faces_as_they_are_first(tmp_path: Path, colour: bool) -> None:
    off = {"shift": 0.0, "zoom": 0.0, "shear": 0.0, "gamma": 0.0, "noise": 0.0, "blur": 0.0, "erase": 0.0, "contrast": 0.0}
    strengths = Augmentation(rotation_deg=30.0, flip=1.0, brightness=0.3, **off)
    given = np.repeat(faces()[..., None], 3, axis=3) if colour else faces()
    out = pictures.augmentation_sheet(given, strengths, tmp_path / "sheet.png", draws=6, cell=48)
    sheet = rgb(out)
    assert sheet.shape == (4 + 5 * 52, 170 + 6 * 52, 3)  # as it is, three changes, all

    def cell(row: int, column: int) -> NDArray[np.int64]:
        top, left = 4 + row * 52, 170 + column * 52
        return sheet[top : top + 48, left : left + 48].astype(np.int64)

    wanted = cv2.resize(faces()[0], (48, 48), interpolation=cv2.INTER_CUBIC)
    assert np.abs(cell(0, 0) - wanted[:, :, None]).max() <= 1
    assert np.array_equal(cell(0, 0), cell(0, 2))
    assert not np.array_equal(cell(0, 0), cell(0, 3))  # the second face
    assert np.abs(cell(2, 0) - cell(0, 0)[:, ::-1]).mean() < 2  # flip
    shades = {round(float((cell(3, i) - cell(0, i)).mean())) for i in range(6)}
    assert len(shades) > 3  # brightness, drawn anew for each
    assert not np.array_equal(cell(4, 0), cell(4, 1))


def test_nothing_to_show_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one face"):
        pictures.augmentation_sheet(faces()[:0], Augmentation(), tmp_path / "sheet.png")


# --- runs


def epochs(n: int) -> list[dict[str, str]]:
    return [
        {
            "epoch": str(i),
            "train_loss": f"{2 / i}",
            "train_fer2013_accuracy": f"{1 - 1 / (i + 1)}",
            "fer2013_accuracy": f"{1 - 1 / (i + 0.5)}",
            "fer2013_loss": f"{1 + 1 / i}",
            "fer2013_macro_f1": "0.5",
            "score": "0.5",
        }
        for i in range(1, n + 1)
    ]


@pytest.mark.parametrize("n", [1, 30])
def test_curves_are_drawn_in_two_panels(tmp_path: Path, n: int) -> None:
    picture = rgb(pictures.curves_picture(epochs(n), tmp_path / "curves.png", title="a run"))
    assert light(picture)
    half = picture.shape[1] // 2
    for side in (picture[:, :half], picture[:, half:]):
        assert area(side, value(pictures.SERIES[0])) > 50  # PublicTest's line


def test_curves_of_a_run_made_here(tmp_path: Path, run: Path) -> None:
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
        picture = rgb(pictures.curves_picture(list(csv.DictReader(file)), tmp_path / "curves.png"))
    for colour in pictures.SERIES[:2]:  # its two heads
        assert area(picture, value(colour)) > 50
    with pytest.raises(ValueError, match="at least one row"):
        pictures.curves_picture([], tmp_path / "none.png")


# --- answers


def test_confusion_csv_holds_the_counts(tmp_path: Path) -> None:
    matrix = np.array([[5, 1, 0], [2, 0, 0], [0, 0, 0]])
    pictures.write_confusion_csv(matrix, LABELS, tmp_path / "confusion.csv")
    with (tmp_path / "confusion.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["truth", "said neutral", "said happiness", "said anger", "n"]
    assert rows[1:] == [["neutral", "5", "1", "0", "6"], ["happiness", "2", "0", "0", "2"], ["anger", "0", "0", "0", "0"]]


def test_the_confusion_picture_shades_each_cell_by_its_share_of_the_row(tmp_path: Path) -> None:
    matrix = np.diag([3000, 3, 1])  # each row is right throughout, however few there are
    matrix[1, 0] = 3
    picture = rgb(pictures.confusion_picture(matrix, LABELS, tmp_path / "confusion.png", "title"))
    assert light(picture)
    full, half = (tuple(round(255 * c) for c in pictures.SHADES(share)[:3]) for share in (1.0, 0.5))
    cell = picture.shape[0] * picture.shape[1] / 25
    assert 1.2 * cell < area(picture, full) < 4 * cell  # two cells of three by three
    assert 1.2 * cell < area(picture, half) < 4 * cell
    assert area(picture, full) / area(picture, half) == pytest.approx(1, abs=0.15)


def test_the_confusion_picture_of_a_class_that_does_not_occur(tmp_path: Path) -> None:
    assert light(rgb(pictures.confusion_picture(np.zeros((8, 8), np.int64), FERPLUS, tmp_path / "confusion.png")))


RIGHT, WRONG = (10, 200, 60), (200, 30, 90)


@pytest.fixture
def answered() -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.float32]]:
    """40 colour crops: the first 30 answered right and of one colour, the rest wrong and of another."""
    crops = np.empty((40, 16, 16, 3), np.uint8)
    crops[:30], crops[30:] = RIGHT, WRONG
    truth = np.zeros(40, np.int64)
    probabilities = np.tile(np.float32([0.75, 0.25, 0]), (40, 1))
    probabilities[30:] = [0.25, 0.5, 0.25]
    return crops, truth, probabilities


@pytest.mark.parametrize(("right", "shown", "other", "count"), [(True, RIGHT, WRONG, 24), (False, WRONG, RIGHT, 10)])
def test_sheets_show_right_answers_or_wrong_ones(answered, tmp_path: Path, right: bool, shown, other, count: int) -> None:  # type: ignore[no-untyped-def]
    crops, truth, probabilities = answered
    sheet = rgb(pictures.answers_sheet(crops, truth, probabilities, LABELS, tmp_path / "sheet.png", right=right, title="x"))
    assert light(sheet)
    assert area(sheet, shown) == count * 112 * 112
    assert area(sheet, other) == 0
    # The strip below each face: as wide as each label is likely; one square of the legend besides.
    for k, name in enumerate(LABELS):
        share = float(probabilities[0 if right else -1, k])
        assert area(sheet, value(COLOURS[name])) == count * 6 * round(112 * share) + 12 * 12


def test_a_sheet_is_drawn_at_random_by_its_seed(tmp_path: Path) -> None:
    crops = np.repeat(np.arange(0, 240, 2, dtype=np.uint8), 64).reshape(120, 8, 8)
    truth, probabilities = np.zeros(120, np.int64), np.tile(np.float32([1, 0, 0]), (120, 1))
    sheets = [
        rgb(pictures.answers_sheet(crops, truth, probabilities, LABELS, tmp_path / f"{i}.png", right=True, seed=seed))
        for i, seed in enumerate((1, 1, 2))
    ]
    assert np.array_equal(sheets[0], sheets[1])
    assert not np.array_equal(sheets[0], sheets[2])


def test_a_sheet_without_answers_says_so(answered, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    crops, truth, probabilities = answered
    out = pictures.answers_sheet(crops[:5], truth[:5], probabilities[:5], LABELS, tmp_path / "none.png", right=False)
    sheet = rgb(out)
    assert area(sheet, RIGHT) == 0
    assert (sheet < 200).any()


def test_the_reliability_picture_has_a_bar_for_each_bin_that_is_filled(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 2000)
    probabilities = np.column_stack([sure, 1 - sure]).astype(np.float32)
    truth = (rng.random(2000) > sure).astype(np.int64)
    found = reliability(truth, probabilities, 10)
    picture = rgb(pictures.reliability_picture(found, tmp_path / "reliability.png", title="x", ece=0.01))
    assert light(picture)
    bars = (picture == value("#6fa3d8")).all(axis=2)
    middle = picture.shape[1] * 0.14 + np.arange(10.0) * picture.shape[1] * 0.082
    heights = [int(bars[:, round(x) : round(x) + 12].sum(axis=0).max()) for x in middle]
    assert heights[:4] == [0, 0, 0, 0]
    assert heights[6] < heights[9]


# --- robustness


def test_robustness_is_a_panel_for_each_harm(tmp_path: Path) -> None:
    def row(harm: str, strength: float, accuracy: float, neutral: float | None) -> dict[str, object]:
        low, high = accuracy - 0.05, accuracy + 0.05
        base = {"harm": harm, "title": harm, "strength": strength, "accuracy": accuracy, "low": low, "high": high}
        return base | {"found": 0.9, "false_neutral": neutral, "placed_accuracy": 0.85}

    rows = [row("none", 0, 0.8, 0.1)]
    rows += [
        row(harm, i, 0.8 - 0.1 * i, None if i == 3 else 0.1 * i) for harm in ("blur", "noise", "size", "dark") for i in (1, 2, 3)
    ]
    picture = rgb(pictures.robustness_picture(rows, tmp_path / "robustness.png", title="x"))
    assert light(picture)
    lines = (picture == value("#2b6cb0")).all(axis=2)
    third, half = picture.shape[1] // 3, picture.shape[0] // 2
    panels = [lines[y * half : (y + 1) * half, x * third : (x + 1) * third].sum() for y in (0, 1) for x in (0, 1, 2)]
    assert min(panels[:4]) > 150
    assert max(panels[4:]) < 50  # two places stay empty


def test_pyplot_and_its_global_state_are_left_alone() -> None:
    code = "import sys, mien.training.pictures; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=True)
    assert done.stdout.strip() == "False"
