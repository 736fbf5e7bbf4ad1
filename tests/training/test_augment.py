import dataclasses

import numpy as np
import pytest
import torch

from mien.training.augment import Augment, examples
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
    assert torch.equal(only()(faces, generator()), faces)


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
    strength = {"rotation_deg": 20.0, "flip": 0.5, "blur": 0.5, "monochrome": 0.5, "erase": 0.5}.get(name, 0.2)
    faces = batch(16)
    if name == "blur":
        faces = torch.rand(faces.shape, generator=generator(5))
    if name == "monochrome":
        faces = torch.rand(16, 3, 32, 32, generator=generator(5))
    out = only(**{name: strength})(faces, generator())
    change = (out - faces).abs().amax(dim=(1, 2, 3))
    assert change.max() > 0.02
    assert change.std() > 0.005  # not all alike
    if name in ("flip", "blur", "monochrome", "erase"):
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


# --- each change on a picture that shows it


SIDE = 64


def dots(n: int, *at: tuple[int, int], channels: int = 1) -> torch.Tensor:
    """Black faces with bright 3×3 dots at (x, y), measured from the middle."""
    faces = torch.zeros(n, channels, SIDE + 1, SIDE + 1)
    for x, y in at:
        faces[:, :, SIDE // 2 + y - 1 : SIDE // 2 + y + 2, SIDE // 2 + x - 1 : SIDE // 2 + x + 2] = 1
    return faces


def centre(faces: torch.Tensor) -> torch.Tensor:
    """(N, 2) where the light lies, x and y from the middle."""
    at = torch.arange(SIDE + 1.0) - SIDE // 2
    light = faces.sum(dim=1)
    total = light.sum(dim=(1, 2))
    return torch.stack([(light.sum(dim=1) * at).sum(dim=1) / total, (light.sum(dim=2) * at).sum(dim=1) / total], dim=1)


def test_rotation_turns_by_up_to_its_angle_either_way() -> None:
    x, y = centre(only(rotation_deg=30.0)(dots(300, (20, 0)), generator())).T
    angle = torch.rad2deg(torch.atan2(y, x))
    assert torch.allclose(torch.hypot(x, y), torch.tensor(20.0), atol=0.3)
    assert 27 < angle.max() < 30.5
    assert -30.5 < angle.min() < -27


def test_zoom_moves_a_dot_out_or_in_by_up_to_its_share() -> None:
    x, y = centre(only(zoom=0.25)(dots(300, (20, -10)), generator())).T
    assert torch.allclose(x / y, torch.tensor(-2.0), atol=0.05)
    assert 1.2 < (x / 20).max() < 1.26
    assert 0.74 < (x / 20).min() < 0.8


def test_shear_slants_and_leaves_the_height_of_things() -> None:
    x, y = centre(only(shear=0.2)(dots(300, (0, 20)), generator())).T
    assert torch.allclose(y, torch.tensor(20.0), atol=0.1)
    assert 3.6 < x.max() < 4.1
    assert -4.1 < x.min() < -3.6
    assert torch.allclose(centre(only(shear=0.2)(dots(9, (20, 0)), generator())), torch.tensor([20.0, 0.0]), atol=0.1)


def test_stretch_changes_one_axis_only_either_of_them() -> None:
    x, y = centre(only(stretch=0.2)(dots(300, (20, 20)), generator())).T
    wide, tall = (x - 20).abs() > 0.3, (y - 20).abs() > 0.3
    assert not (wide & tall).any()
    assert 90 < wide.sum() < 190
    assert 90 < tall.sum() < 190
    for moved in (x[wide], y[tall]):
        assert 23.5 < moved.max() < 24.2
        assert 15.8 < moved.min() < 16.5


def test_shift_moves_each_axis_by_itself() -> None:
    x, y = centre(only(shift=0.1)(dots(300, (0, 0)), generator())).T
    assert abs(float(torch.corrcoef(torch.stack([x, y]))[0, 1])) < 0.2
    for moved in (x, y):
        assert 5.8 < moved.max() < 6.55
        assert -6.55 < moved.min() < -5.8


def test_brightness_adds_the_same_everywhere_and_contrast_keeps_the_mean() -> None:
    faces = batch(200)
    lighter = only(brightness=0.1)(faces, generator()) - faces
    assert lighter.std(dim=(1, 2, 3)).max() < 1e-6
    assert 0.095 < lighter.max() <= 0.1 + 1e-6
    assert -0.1 - 1e-6 <= lighter.min() < -0.095
    harder = only(contrast=0.3)(faces, generator())
    assert torch.allclose(harder.mean(dim=(1, 2, 3)), faces.mean(dim=(1, 2, 3)), atol=1e-5)
    ratio = harder.std(dim=(1, 2, 3)) / faces.std(dim=(1, 2, 3))
    assert 1.28 < ratio.max() < 1.301
    assert 0.699 < ratio.min() < 0.72


def test_contrast_of_a_plain_colour_is_the_distance_of_its_channels() -> None:
    faces = torch.tensor([0.7, 0.5, 0.3])[None, :, None, None].expand(50, 3, 8, 8).clone()
    red, green, blue = only(contrast=0.3)(faces, generator())[:, :, 0, 0].T
    assert torch.allclose(green, torch.tensor(0.5), atol=1e-5)
    assert (red - blue).max() > 0.5
    assert (red - blue).min() < 0.3


def test_gamma_leaves_black_and_white() -> None:
    faces = torch.tensor([0.0, 0.5, 1.0]).reshape(1, 1, 1, 3).expand(200, 1, 3, 3).clone()
    out = only(gamma=0.5)(faces, generator())
    assert torch.allclose(out[:, :, :, 0], torch.tensor(0.0), atol=1e-3)
    assert torch.allclose(out[:, :, :, 2], torch.tensor(1.0), atol=1e-5)
    power = torch.log(out[:, 0, 0, 1]) / np.log(0.5)
    assert 1.55 < power.max() < np.exp(0.5) + 0.01
    assert np.exp(-0.5) - 0.01 < power.min() < 0.64


def test_noise_has_a_deviation_of_its_own_for_each_face() -> None:
    faces = torch.full((300, 1, 32, 32), 0.5)
    deviation = only(noise=0.1)(faces, generator()).std(dim=(1, 2, 3))
    assert 0.09 < deviation.max() < 0.11
    assert deviation.min() < 0.01


def test_blur_is_the_mean_of_nine() -> None:
    out = only(blur=1.0)(dots(1, (0, 0)), generator())[0, 0, SIDE // 2 - 2 : SIDE // 2 + 3, SIDE // 2]
    assert torch.allclose(out, torch.tensor([3, 6, 9, 6, 3]) / 9, atol=1e-5)


def test_noise_leaves_a_face_grey_that_was_made_grey() -> None:
    colours = torch.rand(8, 3, 24, 24, generator=generator())
    for own in ({"noise": 0.2}, {"erase": 1.0}, {"noise": 0.2, "erase": 1.0}):
        out = only(monochrome=1.0, **own)(colours, generator())
        assert torch.allclose(out, out[:, :1].expand_as(out), atol=1e-6), own
        assert not torch.allclose(out, only(monochrome=1.0)(colours, generator()), atol=1e-3)
        loud = only(**own)(colours, generator())  # and each channel of a colour face has grain of its own
        assert not torch.allclose(loud - loud[:, :1], colours - colours[:, :1], atol=1e-3)


def test_monochrome_turns_a_share_of_colour_faces_grey_and_leaves_grey_ones() -> None:
    colours = torch.rand(400, 3, 8, 8, generator=generator(3))
    out = only(monochrome=0.3)(colours, generator())
    grey = (out.std(dim=1) < 1e-6).all(dim=(1, 2))
    assert 0.2 < grey.float().mean() < 0.4
    red, green, blue = colours[grey].unbind(1)
    assert torch.allclose(out[grey][:, 0], 0.299 * red + 0.587 * green + 0.114 * blue, atol=1e-5)
    assert torch.equal(out[~grey], colours[~grey])
    assert torch.equal(only(monochrome=1.0)(batch(), generator()), batch())


def test_an_erased_hole_holds_even_noise() -> None:
    faces = torch.full((200, 3, 64, 64), 0.5)
    out = only(erase=1.0)(faces, generator())
    hole = out[out != 0.5]
    assert torch.allclose(hole.mean(), torch.tensor(0.5), atol=0.01)
    assert torch.allclose(hole.std(), torch.tensor(12**-0.5), atol=0.01)
    assert ((out != 0.5).any(dim=1) == (out != 0.5).all(dim=1)).float().mean() > 0.999  # the same place in all channels


# --- together


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_colour(channels: int) -> None:
    faces = batch(16).repeat(1, channels, 1, 1)
    out = Augment(Augmentation(noise=0.0, erase=0.0, monochrome=0.5))(faces, generator())
    assert out.shape == faces.shape
    if channels == 3:
        grey = Augment(Augmentation(noise=0.0, erase=0.0))(batch(16), generator())
        assert torch.allclose(out, grey.repeat(1, 3, 1, 1), atol=1e-4)  # what has no colour is treated as grey


@pytest.mark.parametrize("name", ["rotation_deg", "flip", "brightness", "noise", "erase"])
def test_what_is_drawn_for_one_change_does_not_hang_on_the_others(name: str) -> None:
    """Beside another change of the same kind, a face gets what it gets alone: seen where the other one changes nothing."""
    strength = {"rotation_deg": 40.0, "flip": 0.5, "erase": 0.5}.get(name, 0.2)
    if name in ("rotation_deg", "flip"):
        faces = dots(64, (20, 0))
        alone = centre(only(**{name: strength})(faces, generator()))
        beside = centre(only(**{name: strength}, gamma=0.1, noise=1e-6, blur=0.5)(faces, generator()))
        assert torch.allclose(alone, beside, atol=0.05)
        return
    faces = torch.full((64, 1, 32, 32), 0.5)
    alone = only(**{name: strength})(faces, generator())
    beside = only(**{name: strength}, rotation_deg=30.0, zoom=0.2, contrast=0.5, flip=0.5)(faces, generator())
    assert torch.allclose(alone, beside, atol=1e-5)


def test_examples_show_what_is_on_and_all_of_it() -> None:
    strengths = dataclasses.replace(OFF, rotation_deg=15.0, flip=0.5, noise=0.1)
    faces = (batch(4)[:, 0] * 255).to(torch.uint8).numpy()
    found = examples(faces, strengths, seed=1)
    assert list(found) == ["rotation_deg 15", "flip, 0.5 of faces", "noise 0.1", "all"]
    assert np.abs(found["flip, 0.5 of faces"].astype(int) - faces[:, :, ::-1]).max() <= 1  # on every face
    for made in found.values():
        assert made.dtype == np.uint8
        assert made.shape == faces.shape
    assert examples(np.repeat(faces[..., None], 3, axis=3), strengths)["all"].shape == (4, 32, 32, 3)
    with pytest.raises(ValueError, match="faces must be uint8"):
        examples(faces / 255, strengths)
