"""Damage: what each kind does, that it can be repeated, and that what measures it is never learnt."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch

from mien.training.damage import KINDS, NAMED_BEFOREHAND, Damage, compressed, damaged, smeared, soft
from mien.training.recipe import Damages


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def faces() -> torch.Tensor:
    """Twelve soft pictures (12, 1, 48, 48) with all grey values, none like another."""
    rough = torch.rand(12, 1, 7, 7, generator=generator(7))
    return torch.nn.functional.interpolate(rough, (48, 48), mode="bicubic").clamp(0, 1)


def test_each_kind_is_learnt_or_named_beforehand() -> None:
    learnt = {field.name for field in dataclasses.fields(Damages)}
    assert learnt | set(NAMED_BEFOREHAND) == set(KINDS)
    assert not learnt & set(NAMED_BEFOREHAND)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_kind_spoils_each_face_and_can_be_repeated(faces: torch.Tensor, kind: str, channels: int) -> None:
    batch = faces.expand(-1, channels, -1, -1)
    found = damaged(batch, kind, generator())
    assert found.shape == batch.shape
    assert found.dtype == torch.float32
    assert 0 <= float(found.min()) <= float(found.max()) <= 1
    assert float((found - batch).abs().mean(dim=(1, 2, 3)).min()) > 1e-3
    assert torch.equal(found, damaged(batch, kind, generator()))
    assert not torch.equal(found, damaged(batch, kind, generator(1)))


def test_so_many_faces_are_damaged_as_the_shares_say() -> None:
    batch = torch.full((4000, 1, 8, 8), 0.5)
    found = Damage(Damages(haze=0.3, exposure=0.2))(batch, generator())
    touched = (found != batch).flatten(1).any(dim=1)
    assert 0.47 < float(touched.float().mean()) < 0.53
    assert torch.equal(found[~touched], batch[~touched])


def test_without_shares_the_batch_is_as_it_was(faces: torch.Tensor) -> None:
    assert torch.equal(Damage(Damages())(faces, generator()), faces)


def test_shares_of_more_than_all_faces_are_refused() -> None:
    with pytest.raises(ValueError, match=r"at most 1 together, but are 1\.2"):
        Damages(defocus=0.7, dark=0.5)
    with pytest.raises(ValueError, match="haze must be at least 0"):
        Damages(haze=-0.1)


@pytest.mark.parametrize("sigma", [1.0, 2.5])
def test_out_of_focus_is_a_gaussian_as_opencv_has_it(faces: torch.Tensor, sigma: float) -> None:
    found = soft(faces, torch.full((12, 1, 1, 1), sigma / 48))
    half = int(np.ceil(3 * sigma))
    for one, face in zip(found[:, 0].numpy(), faces[:, 0].numpy(), strict=True):
        wanted = cv2.GaussianBlur(face, (2 * half + 1,) * 2, sigma, borderType=cv2.BORDER_REPLICATE)
        np.testing.assert_allclose(one, wanted, atol=1e-4)


def test_motion_smears_along_its_direction_alone() -> None:
    point = torch.zeros(2, 1, 31, 31)
    point[:, 0, 15, 15] = 1
    found = smeared(point, torch.full((2, 1, 1, 1), 9 / 31), torch.tensor([0.0, torch.pi / 2]).reshape(2, 1, 1, 1))
    across, down = found[0, 0], found[1, 0]
    assert torch.allclose(across, down.T, atol=1e-5)
    assert torch.allclose(across[15, 11:20], torch.full((9,), 1 / 9), atol=1e-3)
    assert float(across.sum()) == pytest.approx(1, abs=1e-4)
    assert float(across[15].sum()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("quality", [5, 20, 60, 90])
def test_compression_is_jpeg_as_opencv_has_it(faces: torch.Tensor, quality: int) -> None:
    grey = (faces[:, 0] * 255).round().to(torch.uint8)
    found = compressed(grey[:, None].float() / 255, torch.full((12, 1, 1, 1), float(quality)))
    for one, face in zip(found[:, 0].numpy(), grey.numpy(), strict=True):
        _, file = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, quality])
        wanted = cv2.imdecode(file, cv2.IMREAD_GRAYSCALE).astype(np.float32)
        assert np.abs(np.clip(one * 255, 0, 255) - wanted).mean() < 1  # grey level: their cosines are whole numbers


def test_compression_takes_sides_that_blocks_do_not_fill() -> None:
    flat = torch.full((1, 1, 50, 50), 0.4)
    assert torch.allclose(compressed(flat, torch.full((1, 1, 1, 1), 50.0)), flat, atol=0.01)
