import csv
import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from shapes import write_tables

from mien.cli import main
from mien.crop import CropSpec
from mien.errors import DataError
from mien.labels import EKMAN
from mien.training.clips import CLIPS, FRAMES, clip_frames, make_clips
from mien.training.data import load_faces


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "faces.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def made(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("clips") / "clips"
    make_clips(data, out, clips=60, frames=5, seed=7)
    return out


def test_the_same_frames_are_divided_in_two_ways(made: Path) -> None:
    by_frame, by_clip = rows(made / "by-frame"), rows(made / "by-clip")
    assert len(by_frame) == len(by_clip) == 300
    for one, other in zip(by_frame, by_clip, strict=True):
        assert (one["file"], one["label"], one["video"]) == (other["file"], other["label"], other["video"])
        assert (made / "by-frame" / one["file"]).read_bytes() == (made / "by-clip" / one["file"]).read_bytes()
    for table in (by_frame, by_clip):
        counts = {label: sum(row["label"] == label for row in table) for label in EKMAN}
        assert counts == dict.fromkeys(EKMAN, 50)
        splits = {split: sum(row["split"] == split for row in table) for split in ("Training", "PublicTest", "PrivateTest")}
        assert splits == {"Training": 240, "PublicTest": 30, "PrivateTest": 30}


def test_a_clip_stands_in_one_split_or_in_several(made: Path) -> None:
    def splits(way: str) -> list[set[str]]:
        table = rows(made / way)
        return [{row["split"] for row in table if row["video"] == clip} for clip in sorted({row["video"] for row in table})]

    assert all(len(found) == 1 for found in splits("by-clip"))
    assert sum(len(found) > 1 for found in splits("by-frame")) > 30
    tested = [row["video"] for row in rows(made / "by-frame") if row["split"] == "PrivateTest"]
    learnt = {row["video"] for row in rows(made / "by-frame") if row["split"] == "Training"}
    assert set(tested) <= learnt  # what P2's figures are of


def test_they_are_folders_that_training_takes(made: Path) -> None:
    for way in ("by-frame", "by-clip"):
        faces = load_faces(made / way, CropSpec(size=20, colour="gray", detail=0), align=False)
        assert len(faces) == 300
        assert set(faces.names) == set(EKMAN)


def test_the_seed_alone_says_what_is_made(data: Path, made: Path, tmp_path: Path) -> None:
    def files(folder: Path) -> dict[str, bytes]:
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    make_clips(data, tmp_path / "same", clips=60, frames=5, seed=7)
    assert files(tmp_path / "same") == files(made)
    make_clips(data, tmp_path / "other", clips=60, frames=5, seed=8)
    assert files(tmp_path / "other") != files(made)


def test_frames_follow_each_other_and_stay_near_their_picture() -> None:
    picture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8), (0, 0), 4)
    picture = cv2.normalize(picture, None, 40, 215, cv2.NORM_MINMAX)
    other = picture[::-1, ::-1]

    def away(one: np.ndarray, two: np.ndarray) -> float:
        a, b = (part.astype(float) - part.mean() for part in (one, two))
        return 1 - float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))

    frames = clip_frames(picture, 11, np.random.default_rng(3))
    assert len(frames) == 11
    assert all(frame.shape == picture.shape and frame.dtype == np.uint8 for frame in frames)
    assert len({frame.tobytes() for frame in frames}) == 11  # no frame is the copy of another
    neighbours = [away(one, two) for one, two in itertools.pairwise(frames)]
    assert max(neighbours) < 0.2
    assert max(neighbours) < max(away(one, two) for one in frames for two in frames)
    assert max(away(frame, picture) for frame in frames) < 0.6 * away(other, picture)
    colour = clip_frames(np.repeat(picture[..., None], 3, axis=2), 2, np.random.default_rng(3))
    assert all(np.array_equal(frame[..., 0], grey) for frame, grey in zip(colour, frames, strict=False))


def test_too_few_pictures_and_what_is_there_already(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"wanted 20 different Training pictures of anger, but it has 12"):
        make_clips(data, tmp_path / "many", clips=120)
    assert not (tmp_path / "many").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    with pytest.raises(DataError, match="is there already"):
        make_clips(data, tmp_path / "full", clips=6)
    with pytest.raises(ValueError, match="a multiple of 6 clips"):
        make_clips(data, tmp_path / "odd", clips=7)


def test_copies_are_no_other_pictures(tmp_path: Path) -> None:
    data = write_tables(tmp_path / "data", {"Training": 84, "PublicTest": 7, "PrivateTest": 7})
    table = data / "fer2013.csv"
    lines = table.read_text().splitlines()
    pixels = next(line for line in lines if line.startswith("3,")).split(",")[1]
    alike = [f"3,{pixels},{line.rsplit(',', 1)[1]}" if line.startswith("3,") else line for line in lines]
    table.write_text("\n".join(alike) + "\n")
    with pytest.raises(DataError, match="2 different Training pictures of happiness, but it has 1"):
        make_clips(data, tmp_path / "clips", clips=12)


def test_the_command(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (CLIPS, FRAMES) == (1260, 11)  # P2's films, and about as many frames of each
    assert main(["data", "clips", str(data), "--out", str(tmp_path / "clips"), "--clips", "12", "--frames", "10"]) == 0
    out = capsys.readouterr().out
    assert "by-frame: Training 96, PublicTest 12, PrivateTest 12" in out
    assert "by-clip: Training " in out
