from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.cli import main
from mien.training.one_film import across_splits, small

SPLITS = ["Training", "PublicTest", "Training", "Training"]


def said(*names: str, splits: list[str] | None = None, labels: tuple[str, ...] = ("happiness",)) -> list[str]:
    return across_splits(names, splits or SPLITS[: len(names)], labels)


@pytest.mark.parametrize(
    "names",
    [
        ("happy/clip_0001.png", "happy/clip_0002.png", "happy/clip_0003.png"),
        ("happy/clip-12.jpg", "sad/clip-7.jpg", "sad/clip-900.jpg"),  # of one film, whatever they show
        ("a/Anna 03 (1).png", "a/Anna 03 (2).png", "a/Anna 03 (3).png"),
        ("a/talk.10.png", "a/talk.20.png", "a/talk.30.png"),
        ("a/IMG_4711_frame12.png", "a/IMG_4711_frame40.png", "a/IMG_4711_frame41.png"),
    ],
)
def test_frames_of_one_film_by_name(names: tuple[str, ...]) -> None:
    (line,) = said(*names)
    for told in (f"{names[0]} in Training", f"{names[1]} in PublicTest", "3 pictures of 1 in all"):
        assert told in line
    assert said(*names, splits=["Training"] * 3) == []


@pytest.mark.parametrize(
    "names",
    [
        ("a/im0.png", "a/im1.png", "a/im2.png"),
        ("a/0001.png", "a/0002.png", "a/0003.png"),
        ("happy/Training_3908.jpg", "happy/Training_3912.jpg", "happy/Training_7.jpg"),
        ("happy/happiness-1.png", "happy/happiness-2.png", "happy/happiness-3.png"),
        ("a/ffhq_13.png", "a/ffhq_977.png", "a/ffhq_42.png", "a/ffhq_5000.png"),
        ("fer2013.csv, row 2", "fer2013.csv, row 3", "fer2013.csv, row 4"),
        ("a/talk_1.png", "a/talk_2.png"),
        ("a/ann.png", "a/bob.png", "a/eve.png"),
    ],
)
def test_names_that_say_nothing_of_a_film(names: tuple[str, ...]) -> None:
    assert said(*names) == []


def test_frames_that_look_alike_and_follow_each_other() -> None:
    rng = np.random.default_rng(0)
    scenes = [rng.integers(0, 256, (64, 64)).astype(np.uint8) for _ in range(3)]
    near = [np.clip(scenes[i // 4].astype(int) + rng.normal(0, 6, (64, 64)), 0, 255).astype(np.uint8) for i in range(12)]
    looks = np.stack([small(picture) for picture in near])
    names = [f"a/{i:03}.png" for i in range(12)]
    whole = ["Training"] * 8 + ["PublicTest"] * 4
    assert across_splits(names, whole, ("a",), looks) == []
    torn = ["Training"] * 6 + ["PublicTest"] * 6
    (line,) = across_splits(names, torn, ("a",), looks)
    assert "that follow each other and look alike" in line
    assert "a/004.png in Training and a/006.png in PublicTest, 4 pictures of 1 in all" in line
    assert across_splits([f"{name}/{name}.png" for name in "abcdefghijkl"], torn, ("a",), looks) == []  # nothing follows


def test_a_plain_picture_is_like_no_other() -> None:
    plain = np.full((20, 30, 3), 128, np.uint8)
    assert small(plain).shape == (256,)
    assert small(plain) @ small(plain) == 0


def test_preparing_and_describing_warn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    for name in ("amused", "bored"):
        (tmp_path / "in" / name).mkdir(parents=True)
        for k in range(20):
            cv2.imwrite(str(tmp_path / "in" / name / f"clip_{k:04}.png"), rng.integers(0, 256, (48, 48)).astype(np.uint8))
    assert main(["data", "describe", str(tmp_path / "in")]) == 0
    assert "named as frames of one film stand in two splits" in capsys.readouterr().out
    assert main(["data", "prepare", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 0
    assert "40 pictures of 1 in all; a score on them is too good" in capsys.readouterr().out
