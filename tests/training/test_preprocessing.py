import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.cli import main
from mien.crop import CropSpec, crop_faces
from mien.detect import YuNet
from mien.errors import DataError
from mien.media import read_picture
from mien.training.preprocessing import NETWORK_SIDE, SIDE, preprocessing_steps


def test_each_step_does_what_its_name_says(astronaut: Path) -> None:
    rgb = read_picture(astronaut).rgb
    tilted = cv2.warpAffine(rgb, cv2.getRotationMatrix2D((rgb.shape[1] / 2, rgb.shape[0] / 2), -12, 1), rgb.shape[1::-1])
    noisy = tilted.copy()
    noisy[::7, ::7] = 255  # single pixels, which a median takes away
    steps = preprocessing_steps(noisy, YuNet())
    assert list(steps) == ["picture", "detected", "de-noised", "rotated", "normalised", f"cropped, {NETWORK_SIDE} px"]
    picture, detected, quiet, rotated, normalised, cropped = steps.values()
    assert picture.shape == detected.shape == (SIDE, SIDE, 3)
    assert not np.array_equal(picture, detected)  # the box and the landmarks are drawn
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    assert np.abs(np.diff(quiet.astype(int), axis=1)).mean() < 0.8 * np.abs(np.diff(grey.astype(int), axis=1)).mean()

    assert not np.array_equal(quiet, rotated)
    assert np.percentile(normalised, 99) >= 254
    assert np.percentile(normalised, 1) <= 1
    assert cropped.shape == (NETWORK_SIDE, NETWORK_SIDE)
    # They are what a recipe with these switches gives its network.
    wanted = CropSpec(size=SIDE, colour="gray", detail=0, denoise=True)
    small = CropSpec(size=NETWORK_SIDE, colour="gray", detail=0, denoise=True, contrast=True)
    for step, spec in ((rotated, wanted), (quiet, dataclasses.replace(wanted, rotate=False)), (cropped, small)):
        assert any(np.array_equal(step, crop) for crop in crop_faces(noisy, YuNet()(noisy), spec))


def test_the_command_and_a_picture_of_nobody(astronaut: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "steps.png"
    assert main(["data", "steps", str(astronaut), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"sheet: {out}\n"
    sheet = cv2.imread(str(out))
    assert sheet.shape[1] > 4 * sheet.shape[0]
    with pytest.raises(DataError, match="nobody was found in the picture"):
        preprocessing_steps(np.full((200, 200, 3), 127, np.uint8), YuNet())
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((200, 200, 3), 127, np.uint8))
    assert main(["data", "steps", str(tmp_path / "wall.png"), "--out", str(out)]) == 1
    assert "wall.png: nobody was found" in capsys.readouterr().err
