import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mien.crop import TEMPLATE, CropSpec
from mien.detect import YuNet
from mien.errors import DataError
from mien.labels import FER2013, FERPLUS, FERPLUS_COLUMNS
from mien.media import read_picture
from mien.training import data as module
from mien.training.data import FaceSet, align_pictures, load_faces, read_fer2013, read_ferplus, strict_labels, vote_targets

GOOD = " ".join(["7"] * 2304)


def table(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


PICTURES = "emotion,pixels,Usage"
VOTES = ",".join(["Usage", "Image name", *FERPLUS_COLUMNS])


# --- tables


def test_pictures_are_read_in_order(tmp_path: Path) -> None:
    ramp = " ".join(str(i % 256) for i in range(2304))
    path = table(tmp_path / "f.csv", "emotion, pixels, Usage", f"3,{ramp},Training", f"6,{GOOD},PrivateTest")  # Kaggle's blanks
    pictures, labels, splits = read_fer2013(path)
    assert pictures.shape == (2, 48, 48)
    assert pictures.dtype == np.uint8
    assert pictures[0].ravel().tolist() == [i % 256 for i in range(2304)]
    assert labels.tolist() == [3, 6]
    assert splits.tolist() == ["Training", "PrivateTest"]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "wanted the columns emotion, pixels, Usage, but got an empty file"),
        (["a,b,c"], "wanted the columns emotion, pixels, Usage, but got a, b, c"),
        ([PICTURES], "there is no row below the header"),
        ([PICTURES, f"0,{GOOD},Training", "0,1 2 3,Training"], "row 3: wanted 2304 pixels, but got 3"),
        ([PICTURES, f"x,{GOOD},Training"], "row 2: cannot be read"),
        ([PICTURES, f"7,{GOOD},Training"], "row 2: wanted an emotion from 0 to 6, but got 7"),
        ([PICTURES, f"-1,{GOOD},Training"], "row 2: wanted an emotion from 0 to 6, but got -1"),
        ([PICTURES, f"0,{GOOD} 300,Training"], "row 2: cannot be read"),
        ([PICTURES, f"0,{GOOD[:-1]}-1,Training"], "row 2: cannot be read"),
        ([PICTURES, f"0,{GOOD},Test"], "row 2: wanted a Usage among Training, PublicTest, PrivateTest, but got 'Test'"),
        ([PICTURES, f"0,{GOOD}"], "row 2: cannot be read"),
        ([PICTURES, f"0,{GOOD},Training", "", f"0,{GOOD},Training"], "row 3: cannot be read"),
    ],
)
def test_errors_of_fer2013_name_file_and_row(tmp_path: Path, rows: list[str], says: str) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    with pytest.raises(DataError, match=says) as raised:
        read_fer2013(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "but got an empty file"),
        (["Usage,Image name,neutral"], "wanted the columns Usage, Image name, neutral, happiness"),
        ([VOTES, "Training,a.png,1,2,3"], r"row 2: wanted 10 counts of votes, but got \['1', '2', '3'\]"),
        ([VOTES, "Training,a.png" + ",1" * 10, "Training,a.png" + ",1" * 9 + ",x"], "row 3: cannot be read"),
        ([VOTES, "Training,a.png" + ",1" * 9 + ",-1"], "row 2: wanted 10 counts"),
        ([VOTES, "Training,a.png" + ",1" * 11], "row 2: wanted 10 counts"),
    ],
)
def test_errors_of_ferplus_name_file_and_row(tmp_path: Path, rows: list[str], says: str) -> None:
    path = tmp_path / "fer2013new.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    with pytest.raises(DataError, match=says) as raised:
        read_ferplus(path)
    assert str(raised.value).startswith(str(path))


@pytest.mark.parametrize("read", [read_fer2013, read_ferplus])
def test_what_is_no_table(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    path = tmp_path / "x.csv"
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read(path)
    path.write_bytes(bytes(range(128, 256)) * 40)
    with pytest.raises(DataError, match=r"x\.csv, row 1: is no text"):
        read(path)
    path.write_text('"' + "7" * 200_000, encoding="utf-8")  # beyond csv's limit for a cell
    with pytest.raises(DataError, match=r"x\.csv"):
        read(path)


# --- votes


def votes(**given: int) -> np.ndarray:
    return np.array([[given.get(name, 0) for name in FERPLUS_COLUMNS]])


@pytest.mark.parametrize(
    ("given", "target", "usable"),
    [
        ({"happiness": 10}, {"happiness": 1.0}, True),
        ({"happiness": 8, "surprise": 2}, {"happiness": 0.8, "surprise": 0.2}, True),
        ({"happiness": 8, "surprise": 1, "anger": 1}, {"happiness": 1.0}, True),  # single votes are slips
        ({"fear": 1, "anger": 1, "unknown": 1}, {"fear": 0.5, "anger": 0.5}, True),  # unless there is nothing else
        ({"sadness": 4, "unknown": 6}, {"sadness": 1.0}, True),
        ({"sadness": 4, "NF": 6}, {"sadness": 1.0}, False),  # most say that it is no face
        ({"NF": 10}, {}, False),
        ({"unknown": 10}, {}, False),
        ({}, {}, False),
    ],
)
def test_vote_targets(given: dict[str, int], target: dict[str, float], usable: bool) -> None:
    found, counts = vote_targets(votes(**given))
    assert found[0].tolist() == pytest.approx([target.get(name, 0.0) for name in FERPLUS])
    assert counts.tolist() == [usable]


@pytest.mark.parametrize(
    ("given", "label"),
    [
        ({"happiness": 10}, "happiness"),
        ({"happiness": 6, "surprise": 4}, "happiness"),
        ({"happiness": 5, "surprise": 5}, None),  # not more than half
        ({"happiness": 5, "surprise": 4, "anger": 1}, "happiness"),  # the single vote is dropped: 5 of 9
        ({"happiness": 4, "surprise": 3, "anger": 3}, None),
        ({"unknown": 8, "happiness": 2}, None),
        ({"NF": 10}, None),
        ({"happiness": 1, "anger": 1}, None),
        ({}, None),
        ({"contempt": 9}, "contempt"),
    ],
)
def test_strict_labels(given: dict[str, int], label: str | None) -> None:
    assert strict_labels(votes(**given)).tolist() == [-1 if label is None else FERPLUS.index(label)]


def test_strict_counts_of_the_published_votes(published_votes: Path) -> None:
    found, splits = read_ferplus(published_votes)
    labels = strict_labels(found)
    assert len(found) == 35_887
    assert int((labels[splits == "PublicTest"] >= 0).sum()) == 3199
    assert int((labels[splits == "PrivateTest"] >= 0).sum()) == 3153


# --- faces


CROP = CropSpec(size=32, detail=0)


def test_faces_of_both_tables_belong_together(data: Path) -> None:
    faces = load_faces(data, CROP)
    assert len(faces) == 168
    assert faces.crops.shape == (168, 32, 32)
    assert [len(faces.of(s)) for s in ("Training", "PublicTest", "PrivateTest")] == [84, 42, 42]
    strict = strict_labels(faces.votes)
    assert (strict >= 0).mean() > 0.8
    named = np.array([FERPLUS.index(name) for name in FER2013])
    assert (strict == named[faces.fer2013])[strict >= 0].all()
    assert len(load_faces(data, CROP, splits=("PublicTest",))) == 42
    with pytest.raises(ValueError, match="no split 'Test'; known: Training"):
        faces.of("Test")


def test_faces_are_prepared_once(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_faces(data, CROP, align=False)

    def again(*args: Any, **options: Any) -> Any:
        raise AssertionError("read again")

    with monkeypatch.context() as patch:
        patch.setattr(module, "read_layout", again)
        assert np.array_equal(load_faces(data, CROP, align=False).crops, first.crops)
        with pytest.raises(AssertionError, match="read again"):
            load_faces(data, CropSpec(size=33, detail=0), align=False)
        with pytest.raises(AssertionError, match="read again"):
            load_faces(data, CROP, align=True)


def test_changed_tables_are_prepared_anew(tmp_path: Path, data: Path) -> None:
    for name in ("fer2013.csv", "fer2013new.csv"):
        (tmp_path / name).write_bytes((data / name).read_bytes())
    before = load_faces(tmp_path, CROP, align=False)
    with (tmp_path / "fer2013.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    rows[1][0] = str((int(rows[1][0]) + 1) % 7)
    with (tmp_path / "fer2013.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    os.utime(tmp_path / "fer2013.csv", ns=(1, 1))
    assert load_faces(tmp_path, CROP, align=False).fer2013[0] == (before.fer2013[0] + 1) % 7


def test_tables_that_do_not_belong_together(tmp_path: Path, data: Path) -> None:
    with pytest.raises(DataError, match=r"wanted fer2013\.csv and fer2013new\.csv, or .* but found none of them"):
        load_faces(tmp_path, CROP)
    (tmp_path / "fer2013.csv").write_bytes((data / "fer2013.csv").read_bytes())
    lines = (data / "fer2013new.csv").read_text().splitlines()
    table(tmp_path / "fer2013new.csv", *lines[:-1])
    with pytest.raises(DataError, match=r"fer2013\.csv has 168 rows and fer2013new\.csv 167"):
        load_faces(tmp_path, CROP)
    table(tmp_path / "fer2013new.csv", lines[0], *lines[:0:-1])
    with pytest.raises(DataError, match="or their Usage columns differ"):
        load_faces(tmp_path, CROP)


def test_a_table_without_votes(tmp_path: Path, data: Path) -> None:
    (tmp_path / "fer2013.csv").write_bytes((data / "fer2013.csv").read_bytes())
    faces, voted = load_faces(tmp_path, CROP, align=False), load_faces(data, CROP, align=False)
    assert not faces.votes.any()
    assert np.array_equal(faces.crops, voted.crops)
    assert np.array_equal(faces.fer2013, voted.fer2013)
    assert faces.source[0] == "fer2013.csv, row 2"
    named = np.array([FERPLUS.index(name) for name in FER2013])
    assert np.array_equal(faces.truth("ferplus"), named[faces.fer2013])  # by name, where nobody voted
    assert np.array_equal(voted.truth("ferplus"), strict_labels(voted.votes))


def test_kaggles_other_table(tmp_path: Path, data: Path) -> None:
    with (data / "fer2013.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    with (tmp_path / "icml_face_data.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["emotion", " Usage", " pixels"], *([label, use, pixels] for label, pixels, use in rows[1:])])
    faces, same = load_faces(tmp_path, CROP, align=False), load_faces(data, CROP, align=False)
    assert np.array_equal(faces.crops, same.crops)
    assert np.array_equal(faces.fer2013, same.fer2013)
    assert np.array_equal(faces.split, same.split)
    with pytest.raises(ValueError, match="no layout 'kaggle'; known: auto"):
        load_faces(tmp_path, CROP, layout="kaggle")
    with pytest.raises(DataError, match=r"fer2013\.csv: cannot be read: No such file"):
        load_faces(tmp_path, CROP, layout="fer2013")


def test_crops_in_colour(data: Path) -> None:
    grey, rgb = (load_faces(data, CropSpec(size=32, detail=0, colour=c), align=False) for c in ("gray", "rgb"))
    assert rgb.crops.shape == (168, 32, 32, 3)
    assert np.array_equal(rgb.crops, np.repeat(grey.crops[..., None], 3, axis=3))


def some(names: tuple[str, ...], labels: list[int], voted: np.ndarray | None = None) -> FaceSet:
    n = len(labels)
    none = np.full(n, "")
    voted = np.zeros((n, 10), np.int64) if voted is None else voted
    return FaceSet(
        np.zeros((n, 4, 4), np.uint8), np.array(labels), names, voted, np.full(n, "Training"), np.zeros(n, bool), none, none
    )


def test_labels_are_matched_by_name() -> None:
    faces = some(("happiness", "contempt"), [0, 1, -1])
    assert faces.truth("ekman").tolist() == [3, -1, -1]
    assert faces.truth("fer2013").tolist() == faces.fer2013.tolist() == [3, -1, -1]
    assert faces.truth("ferplus").tolist() == [1, 7, -1]
    assert faces.targets("fer2013").tolist() == [[0, 0, 0, 1, 0, 0, 0], [0] * 7, [0] * 7]
    assert faces.targets("ferplus").argmax(axis=1).tolist() == [1, 7, 0]
    assert faces.targets("ferplus").sum(axis=1).tolist() == [1, 1, 0]
    for read in (faces.truth, faces.targets):
        with pytest.raises(ValueError, match="no label set 'plutchik'; known: ekman, fer2013, ferplus"):
            read("plutchik")


def test_votes_outweigh_the_label() -> None:
    voted = np.concatenate([votes(sadness=7, fear=3), votes(NF=10), votes(sadness=5, anger=5), votes()])
    faces = some(FER2013, [3, 3, 3, 3], voted)
    assert faces.fer2013.tolist() == [3, 3, 3, 3]
    assert faces.truth("ferplus").tolist() == [3, -1, -1, 1]
    wanted = np.zeros((4, 8))
    wanted[0, 3], wanted[0, 6], wanted[2, 3], wanted[2, 4], wanted[3, 1] = 0.7, 0.3, 0.5, 0.5, 1
    assert faces.targets("ferplus") == pytest.approx(wanted)
    assert faces.targets("ferplus").dtype == np.float32


def test_a_set_that_does_not_fit_together() -> None:
    with pytest.raises(ValueError, match="labels must lie between -1 and 1, but got 0 to 2"):
        some(("happiness", "contempt"), [0, 2])
    with pytest.raises(ValueError, match=r"names must be as labels.own_word spells them, but got Happy"):
        some(("Happy",), [0])
    with pytest.raises(ValueError, match=r"votes must have shape \(1, 10\), but got \(2, 10\)"):
        some(FER2013, [0], np.zeros((2, 10), np.int64))


def test_what_shows_no_face_is_used_whole() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 48, 48)).astype(np.uint8)
    crops, aligned = align_pictures(noise, CropSpec(size=48))
    assert not aligned.any()
    assert np.abs(crops.astype(int) - noise).max() <= 1


def test_without_alignment_faces_are_used_whole_too(astronaut: Path) -> None:
    face = _face(astronaut)
    crops, aligned = align_pictures(face[None], CropSpec(size=48), align=False)
    assert not aligned.any()
    assert np.abs(crops[0].astype(int) - face).max() <= 1


def _face(path: Path, turn: float = 0.0) -> np.ndarray:
    """A portrait's face as FER2013 would have it: 48×48 grey, here also turned or moved."""
    rgb = read_picture(path).rgb
    x1, y1, x2, y2 = YuNet()(rgb).boxes[0]
    side, centre = 1.25 * (y2 - y1), ((x1 + x2) / 2, (y1 + y2) / 2)
    matrix = cv2.getRotationMatrix2D(centre, turn, 96 / side)
    matrix[:, 2] += 48 - np.array(centre)
    large = cv2.warpAffine(cv2.GaussianBlur(rgb, (0, 0), side / 200), matrix, (96, 96))
    return np.asarray(cv2.resize(cv2.cvtColor(large, cv2.COLOR_RGB2GRAY), (48, 48), interpolation=cv2.INTER_AREA))


@pytest.mark.parametrize("turn", [0.0, 20.0, -20.0])
def test_faces_are_brought_to_the_template(astronaut: Path, turn: float) -> None:
    told: list[tuple[int, int]] = []
    crops, aligned = align_pictures(_face(astronaut, turn)[None], CropSpec(size=64), progress=lambda *a: told.append(a))
    assert aligned.all()
    assert told[-1] == (1, 1)
    large = cv2.resize(crops[0], (192, 192), interpolation=cv2.INTER_CUBIC)
    landmarks = YuNet(threshold=0.5)(np.repeat(large[:, :, None], 3, axis=2)).landmarks
    assert len(landmarks) == 1
    assert np.abs(landmarks[0] / 192 - TEMPLATE).max() < 0.09
    assert np.abs((landmarks[0, 1] - landmarks[0, 0])[1]) / 192 < 0.05  # the eyes are level
