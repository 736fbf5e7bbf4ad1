import dataclasses

import numpy as np
import pytest
import torch

from mien.training.augment import Augment
from mien.training.recipe import Augmentation

OFF = Augmentation(**{f.name: 0.0 for f in dataclasses.fields(Augmentation)})


def only(**strengths: float) -> Augment:
    return Augment(dataclasses.replace(OFF, **strengths))


def batch(n: int = 8, side: int = 32) -> torch.Tensor:
    """Smooth faces of no symmetry, in the middle of the range."""
    y, x = torch.meshgrid(torch.linspace(0, 1, side), torch.linspace(0, 1, side), indexing="ij")
    one = 0.5 + 0.15 * torch.sin(5 * x + 1) + 0.15 * torch.cos(4 * y - x)
    return one.repeat(n, 1, 1, 1)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_one_generator_state_one_result() -> None:
    augment, faces = Augment(Augmentation()), batch()
    first = augment(faces, generator(1))
    assert torch.equal(first, augment(faces, generator(1)))
    assert not torch.equal(first, augment(faces, generator(2)))


def test_all_that_is_random_comes_from_the_generator() -> None:
    augment, faces = Augment(Augmentation()), batch()
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    first = augment(faces, generator())
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    state = torch.get_rng_state()
    assert torch.equal(first, augment(faces, generator()))
    assert torch.equal(state, torch.get_rng_state())


def test_strengths_of_zero_change_nothing() -> None:
    faces = batch()
    assert torch.allclose(only()(faces, generator()), faces, atol=1e-5)


def test_the_batch_itself_is_left_alone_and_the_range_kept() -> None:
    strong = Augment(Augmentation(brightness=1.0, contrast=1.0, gamma=1.0, noise=1.0, erase=1.0, rotation_deg=180.0))
    faces = batch(64)
    before = faces.clone()
    out = strong(faces, generator())
    assert torch.equal(faces, before)
    assert out.shape == faces.shape
    assert out.dtype == torch.float32
    assert out.isfinite().all()
    assert (out >= 0).all()
    assert (out <= 1).all()


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Augmentation)])
def test_each_strength_changes_faces_each_in_its_own_way(name: str) -> None:
    strength = {"rotation_deg": 20.0, "flip": 0.5, "blur": 0.5, "erase": 0.5}.get(name, 0.2)
    faces = batch(16)
    if name == "blur":
        faces = torch.rand(faces.shape, generator=generator(5))
    out = only(**{name: strength})(faces, generator())
    change = (out - faces).abs().amax(dim=(1, 2, 3))
    assert change.max() > 0.02
    assert change.std() > 0.005  # not all alike
    if name in ("flip", "blur", "erase"):
        assert 2 <= (change < 1e-4).sum() <= 14  # a share of the faces only


def test_flip_mirrors() -> None:
    faces = batch()
    assert torch.allclose(only(flip=1.0)(faces, generator()), faces.flip(-1), atol=1e-5)


def test_shift_moves_by_no_more_than_its_share() -> None:
    faces = torch.zeros(200, 1, 32, 32)
    faces[:, :, 16, 16] = 1
    out = only(shift=0.1)(faces, generator())
    at = torch.arange(32.0)
    total = out.sum(dim=(1, 2, 3))
    moved = (out.sum(dim=(1, 2)) * at).sum(dim=1) / total - 16
    assert moved.abs().max() <= 3.2 + 1e-3
    assert moved.max() > 2
    assert moved.min() < -2


def test_erase_covers_2_to_20_percent() -> None:
    faces = torch.full((300, 1, 64, 64), 0.5)
    share = (only(erase=1.0)(faces, generator()) != 0.5).float().mean(dim=(1, 2, 3))
    assert share.min() > 0.01
    assert share.max() < 0.23
    assert share.std() > 0.02
