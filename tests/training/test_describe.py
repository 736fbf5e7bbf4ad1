import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mien.cli import main
from mien.errors import DataError
from mien.labels import FER2013, FERPLUS_COLUMNS
from mien.media import read_picture
from mien.training.describe import SAMPLE_SIDE, SAMPLES, STATISTICS, column_statistics, describe, text
from mien.training.layouts import LAYOUTS
from mien.training.prepare import LAYOUTS as ALL_LAYOUTS
from mien.training.votes import read_ferplus


def write(path: Path, picture: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture if picture.ndim == 2 else picture[..., ::-1])
    return path


def noise(seed: int, shape: tuple[int, ...] = (48, 48)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two classes in train, validation and test; some pictures stand there twice."""
    root = tmp_path / "few"
    for number, (split, name, count) in enumerate(
        [("train", "happy", 12), ("train", "sad", 4), ("validation", "happy", 2), ("test", "happy", 2), ("test", "sad", 1)]
    ):
        for i in range(count):
            write(root / split / name / f"{i}.png", noise(100 * number + i))
    write(root / "train" / "sad" / "0.png", noise(0))  # happy in train, too
    write(root / "test" / "happy" / "0.png", noise(1))  # in train, too
    write(root / "test" / "sad" / "0.png", noise(0))
    write(root / "validation" / "happy" / "0.png", noise(5, (60, 90, 3)))
    return root


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_all_ten_columns_of_votes_and_a_sample_of_the_table(data: Path, tmp_path: Path) -> None:
    """P1's Figure 3 and Table 1."""
    found = describe(data, tmp_path / "out")
    votes, _ = read_ferplus(data / "fer2013new.csv")
    wanted = Counter(votes.argmax(axis=1).tolist())
    assert found["most_voted"] == {name: wanted[i] for i, name in enumerate(FERPLUS_COLUMNS)}
    assert sum(found["most_voted"].values()) == 168
    assert (tmp_path / "out/votes.png").read_bytes().startswith(b"\x89PNG")
    with (data / "fer2013.csv").open() as file:
        first = next(row for row in csv.DictReader(file) if row["emotion"] == "3")
    shown = next(row for row in found["sample"] if row["emotion"] == "happiness")
    assert shown == {"emotion": "happiness", "pixels": [int(p) for p in first["pixels"].split()[:15]], "usage": "Training"}
    assert {row["emotion"] for row in found["sample"]} == set(FER2013)
    printed = text(found)
    assert f"happiness    {' '.join(first['pixels'].split()[:15])} …" in printed
    most = next(line for line in printed.splitlines() if line.startswith("most "))
    assert [int(n) for n in most.split()[1:]] == list(found["most_voted"].values())


def test_statistics_are_those_of_pandas() -> None:
    found = column_statistics(np.array([0, 1, 1, 4, 10]))
    wanted = {"count": 5, "mean": 3.2, "std": 4.086563348340508, "min": 0, "25%": 1, "50%": 1, "75%": 4, "max": 10}
    assert found == pytest.approx(wanted)
    assert tuple(found) == STATISTICS
    assert column_statistics(np.array([1, 2]))["25%"] == 1.25
    assert column_statistics(np.array([3]))["std"] == 0.0


def test_the_votes_of_p1s_table_2(published_votes: Path) -> None:
    """Djellali and Deljanin print these for all 35,887 rows."""
    votes, _ = read_ferplus(published_votes)
    found = [column_statistics(votes[:, i]) for i in range(len(FERPLUS_COLUMNS))]
    means = [2.995096, 2.548165, 1.156129, 1.322094, 0.793268, 0.150222, 0.339231, 0.168919, 0.472706, 0.054142]
    deviations = [3.342949, 3.949983, 2.499870, 2.326627, 1.964314, 0.589273, 1.075407, 0.618953, 0.805554, 0.702497]
    assert [round(column["mean"], 6) for column in found] == means
    assert [round(column["std"], 6) for column in found] == deviations
    assert [column["75%"] for column in found] == [6, 5, 1, 2, 0, 0, 0, 0, 1, 0]
    assert [column["max"] for column in found] == [10] * 8 + [8, 10]


def test_counts_sizes_persons_and_duplicates(folders: Path) -> None:
    told: list[tuple[int, int]] = []
    found = describe(folders, progress=lambda *a: told.append(a))
    assert told[-1] == (21, 21)
    assert json.loads(json.dumps(found)) == found
    assert (found["layout"], found["pictures"], found["names"]) == ("folders", 21, ["happiness", "sadness"])
    assert found["counts"] == {
        "Training": {"happiness": 12, "sadness": 4},
        "PublicTest": {"happiness": 2, "sadness": 0},
        "PrivateTest": {"happiness": 2, "sadness": 1},
    }
    assert (found["votes"], found["ferplus_strict"], found["coloured"]) == (None, None, 1)
    assert found["sizes"] == [{"width": 48, "height": 48, "pictures": 20}, {"width": 90, "height": 60, "pictures": 1}]
    assert found["persons"] == {"known": 0, "pictures_of_unknown": 21, "Training": 0, "PublicTest": 0, "PrivateTest": 0}
    assert found["duplicates"] == {
        "groups": 2,
        "pictures": 5,
        "surplus": 3,
        "groups_across_splits": 2,
        "groups_with_different_labels": 1,
        "also_in_training": {"PublicTest": 0, "PrivateTest": 2},
    }
    assert found["problems"] == {"count": 0, "first": None}
    assert "PublicTest has no picture of sadness" in found["notes"]


def test_mean_and_deviation_of_each_channel(tmp_path: Path) -> None:
    rgb, grey = noise(1, (20, 30, 3)), noise(2, (10, 10))
    rgb[..., 2] //= 2
    write(tmp_path / "test" / "fear" / "a.png", rgb)
    write(tmp_path / "test" / "fear" / "b.png", grey)
    light = describe(tmp_path)["light"]
    pixels = np.concatenate([rgb.reshape(-1, 3), np.repeat(grey.reshape(-1, 1), 3, axis=1)])
    assert light["all"]["mean_255"] == pytest.approx(pixels.mean(axis=0).tolist())
    assert light["all"]["std_255"] == pytest.approx(pixels.std(axis=0).tolist())
    assert light["all"]["mean_1"] == pytest.approx((pixels / 255).mean(axis=0).tolist())
    assert light["all"]["std_1"] == pytest.approx((pixels / 255).std(axis=0).tolist())
    assert light["all"]["pixels"] == 700
    assert light["PrivateTest"] == light["all"]
    assert light["Training"] is None


def test_the_same_pixels_are_the_same_in_any_file(tmp_path: Path) -> None:
    picture = noise(3)
    write(tmp_path / "happy" / "a.png", picture)
    write(tmp_path / "happy" / "b.bmp", np.repeat(picture[..., None], 3, axis=2))
    write(tmp_path / "happy" / "c.png", picture.reshape(32, 72))  # the same bytes in another shape
    assert describe(tmp_path)["duplicates"]["pictures"] == 2


def test_the_files(folders: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "votes.csv").write_text("of another data set")
    found = describe(folders, out)
    names = {p.name for p in out.iterdir()}
    assert names == {"description.json", "counts.csv", "sizes.csv", "duplicates.csv", "histogram.png", "samples.png"}
    assert json.loads((out / "description.json").read_text()) == found
    assert rows_of(out / "counts.csv")[1] == ["happiness", "12", "2", "2"]
    duplicates = rows_of(out / "duplicates.csv")
    assert duplicates[0] == ["group", "picture", "split", "label", "person"]
    assert [row[1] for row in duplicates[1:]] == [
        *("train/happy/0.png", "train/sad/0.png", "test/sad/0.png"),
        *("train/happy/1.png", "test/happy/0.png"),
    ]
    sheet = read_picture(out / "samples.png").rgb
    assert sheet.shape[0] > 2 * SAMPLE_SIDE
    assert sheet.shape[1] > SAMPLES * SAMPLE_SIDE
    bars = read_picture(out / "histogram.png").rgb
    blue = (bars == [0x2B, 0x6C, 0xB0]).all(axis=2)
    tall = [blue[:, part].sum(axis=0).max() for part in np.array_split(np.flatnonzero(blue.any(axis=0)), 2)]
    assert blue.any()
    assert tall[0] > tall[1] > 0  # more of happiness than of sadness


def test_votes_and_strict_labels_of_a_table(data: Path, tmp_path: Path) -> None:
    found = describe(data, tmp_path / "out")
    assert found["names"] == list(FER2013)
    assert found["votes"]["happiness"]["count"] == 168
    rows = rows_of(tmp_path / "out" / "votes.csv")
    assert rows[0] == ["", *FERPLUS_COLUMNS]
    assert [row[0] for row in rows[1:]] == list(STATISTICS)
    assert float(rows[2][2]) == pytest.approx(found["votes"]["happiness"]["mean"], abs=1e-6)
    assert found["ferplus_strict"]["Training"]["contempt"] == 0
    assert sum(found["ferplus_strict"]["Training"].values()) > 70
    shown = text(found)
    assert "FER+ strict" in shown
    assert "75%" in shown


def test_what_cannot_be_read_is_counted(folders: Path, tmp_path: Path) -> None:
    (folders / "train" / "happy" / "3.png").write_bytes(b"no picture")
    (folders / "train" / "happy" / "note.txt").touch()
    found = describe(folders, tmp_path / "out")
    assert (found["pictures"], found["problems"]["count"]) == (21, 2)
    assert found["problems"]["first"].endswith(
        "note.txt: is no picture; wanted .bmp, .gif, .jpeg, .jpg, .pgm, .png, .ppm, .tif, .tiff, .webp"
    )
    assert [row[0] for row in rows_of(tmp_path / "out" / "problems.csv")] == ["file", "train/happy/note.txt", "train/happy/3.png"]
    for path in folders.rglob("*.png"):
        path.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"that is the first of 22 problems"):
        describe(folders)


def test_persons_are_counted(tmp_path: Path) -> None:
    for person in ("KA", "KL", "YM"):
        for i, code in enumerate(("AN", "DI", "FE", "HA", "SA", "SU", "NE")):
            write(tmp_path / f"{person}.{code}1.{i}.tiff", noise(i))
    found = describe(tmp_path)
    assert found["persons"] == {"known": 3, "pictures_of_unknown": 0, "Training": 1, "PublicTest": 1, "PrivateTest": 1}
    assert "persons: 3, Training 1, PublicTest 1, PrivateTest 1" in text(found)
    assert "7 of PublicTest stand in Training too, 7 of PrivateTest" in text(found)


# --- the command


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([*map(str, arguments)])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_mien_data_describe(folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "data", "describe", folders, "--out", tmp_path / "out")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "few: 21 pictures in the layout folders"
    assert lines[3].split() == ["happiness", "12", "2", "2", "16", "76.2", "%"]
    assert "exact duplicates: 5 pictures in 2 groups (3 too many); 2 groups across splits, 1 with different labels" in out
    assert "red, green, blue; 1 pictures have colour, 20 are grey" in out
    assert lines[-1] == f"tables and pictures: {tmp_path / 'out'}"
    code, out, err = run(capsys, "data", "describe", folders, "--json", "--shares", "0.5", "0.25", "0.25", "--seed", "3")
    found: dict[str, Any] = json.loads(out)
    assert (code, found["pictures"]) == (0, 21)
    (folders / "train" / "happy" / "3.png").write_bytes(b"no picture")
    code, out, err = run(capsys, "data", "describe", folders)
    assert (code, err) == (1, "")
    assert "problems: 1; the first: " in out
    assert "3.png" in out.splitlines()[-1]


def test_mien_data_prepare(folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "data", "prepare", folders, "--out", tmp_path / "out")
    assert (code, err) == (0, "")
    assert "21 pictures from the layout folders\n  Training: 16 (happiness 12, sadness 4)\n" in out
    assert out.splitlines()[-1] == f"data: {tmp_path / 'out'}"
    code, out, err = run(capsys, "data", "describe", tmp_path / "out", "--json")
    assert (code, json.loads(out)["layout"]) == (0, "prepared")
    (folders / "train" / "happy" / "3.png").write_bytes(b"no picture")
    code, out, err = run(capsys, "data", "prepare", folders, "--out", tmp_path / "bad")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "train/happy/3.png" in err
    code, out, err = run(capsys, "data", "prepare", folders, "--out", tmp_path / "bad", "--skip-bad")
    assert (code, err) == (0, "")
    assert "could not be read and left out: 1, see problems.csv" in out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("data",), 2, "mien data wants a command: describe, prepare, clips, augment or steps"),
        (("data", "describe", "{}"), 1, "wanted fer2013.csv and fer2013new.csv, or icml_face_data.csv"),
        (("data", "describe", "{}", "--layout", "imagenet"), 2, "no layout 'imagenet'; known: auto, fer2013"),
        (("data", "describe", "{}", "--shares", "1", "1", "1"), 2, "wanted three shares of 0 or more that sum to 1"),
        (("data", "prepare", "{}", "--out", "{}/out"), 1, "nor films named as s1_an_1.avi"),
        (("data", "prepare", "{}", "--out", "{}/out", "--layout", "x"), 2, "no layout 'x'; known: auto"),
    ],
)
def test_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, says: str) -> None:
    found, out, err = run(capsys, *(argument.format(tmp_path) for argument in arguments))
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert says in err


def test_the_help_names_every_layout(capsys: pytest.CaptureFixture[str]) -> None:
    for verb, layouts in (("describe", LAYOUTS), ("prepare", ALL_LAYOUTS)):
        with pytest.raises(SystemExit):
            main(["data", verb, "--help"])
        out = capsys.readouterr().out
        assert all(layout in out for layout in layouts)
