import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fakes import LABELS, FakeSession, tiny_bundle
from mien.crop import crop_faces
from mien.detect import YuNet
from mien.emotion import Expressions, Smoothing, network_input
from mien.errors import ModelError
from mien.labels import FERPLUS
from mien.media import read_picture
from mien.models import Bundle, load_model


def bundle_of(folder: Path, answer: Any) -> tuple[Bundle, FakeSession]:
    session = FakeSession(answer)
    return dataclasses.replace(load_model(tiny_bundle(folder)), session=session), session


def left_minus_right(batch: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Logits that a mirror turns around: how much brighter the left half is, and its negative."""
    difference = batch[..., :4].mean(axis=(1, 2, 3)) - batch[..., 4:].mean(axis=(1, 2, 3))
    return {"faces": np.stack([difference, -difference, 0.5 + 0 * difference], axis=1)}


def test_crops_become_probabilities_in_order_and_in_batches(tmp_path: Path) -> None:
    bundle, session = bundle_of(tmp_path / "tiny", left_minus_right)
    crops = np.zeros((7, 8, 8), np.uint8)
    for i in range(7):
        crops[i, :, :4] = 30 * i
    model = Expressions(bundle, batch_size=3)
    found = model(crops)
    assert session.shapes == [(3, 1, 8, 8), (3, 1, 8, 8), (1, 1, 8, 8)]
    assert found.shape == (7, 3)
    assert found.dtype == np.float32
    assert np.allclose(found.sum(axis=1), 1, atol=1e-6)
    assert (np.diff(found[:, 0]) > 0).all()
    assert np.array_equal(found, Expressions(bundle, batch_size=64)(crops))


def test_the_network_is_given_what_the_bundle_says(tmp_path: Path) -> None:
    given: list[NDArray[Any]] = []

    def answer(batch: NDArray[Any]) -> dict[str, NDArray[Any]]:
        given.append(batch)
        return {"faces": np.zeros((len(batch), 3), np.float32)}

    bundle, _ = bundle_of(tmp_path / "tiny", answer)  # mean 0.5, std 0.25
    Expressions(bundle)(np.full((1, 8, 8), 255, np.uint8))
    assert given[0].dtype == np.float32
    assert (given[0] == 2.0).all()


def test_flip_averaging_takes_both_sides(tmp_path: Path) -> None:
    bundle, session = bundle_of(tmp_path / "tiny", left_minus_right)
    crops = np.zeros((1, 8, 8), np.uint8)
    crops[:, :, :4] = 255
    plain, both = Expressions(bundle)(crops), Expressions(bundle, flip=True)(crops)
    assert plain[0, 0] > 0.9
    assert both[0, 0] == pytest.approx(both[0, 1])
    assert len(session.shapes) == 3
    assert np.allclose(both, Expressions(bundle, flip=True)(crops[:, :, ::-1]))


def test_nobody_is_zero_rows(tmp_path: Path) -> None:
    bundle, session = bundle_of(tmp_path / "tiny", left_minus_right)
    assert Expressions(bundle)(np.zeros((0, 8, 8), np.uint8)).shape == (0, 3)
    assert session.shapes == []


@pytest.mark.parametrize("shape", [(2, 9, 9), (2, 8, 8, 3), (8, 8)])
def test_crops_of_another_shape_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"shape \(_, 8, 8\), but got"):
        Expressions(tiny_bundle(tmp_path / "tiny"))(np.zeros(shape, np.uint8))


def test_heads_are_chosen_by_name(tmp_path: Path) -> None:
    folder = tiny_bundle(
        tmp_path / "two",
        outputs={"faces": 3, "moods": 2},
        heads=[
            {"name": "faces", "labels": list(LABELS), "temperature": 1.0},
            {"name": "moods", "labels": ["calm", "wild"], "temperature": 1.0},
        ],
    )
    assert Expressions(folder).labels == LABELS
    assert Expressions(folder, head="moods").labels == ("calm", "wild")
    assert Expressions(folder, head="moods")(np.zeros((2, 8, 8), np.uint8)).shape == (2, 2)
    with pytest.raises(ModelError, match="no label set 'other'; it has: faces, moods"):
        Expressions(folder, head="other")


def test_network_input_lays_colours_out_first() -> None:
    crops = np.zeros((2, 4, 5, 3), np.uint8)
    crops[..., 2] = 255
    batch = network_input(crops, 0.0, 1.0)
    assert batch.shape == (2, 3, 4, 5)
    assert batch[:, 2].min() == 1
    assert batch[:, :2].max() == 0
    assert network_input(crops[..., 0], 0.0, 1.0).shape == (2, 1, 4, 5)


# --- the bundled model


def test_the_bundled_model_tells_the_portraits_apart(hopper: Path, astronaut: Path) -> None:
    model = Expressions()
    assert model.labels == FERPLUS
    found = []
    for path in (hopper, astronaut):
        rgb = read_picture(path).rgb
        found.append(model(crop_faces(rgb, YuNet()(rgb), model.crop))[0])
    happiness = FERPLUS.index("happiness")
    assert found[1].argmax() == happiness, "Eileen Collins smiles at the camera"
    assert found[1][happiness] > found[0][happiness] + 0.1, "Grace Hopper hardly does"


def test_the_bundled_model_is_not_moved_by_company(hopper: Path, astronaut: Path) -> None:
    model = Expressions()
    crops = []
    for path in (hopper, astronaut):
        rgb = read_picture(path).rgb
        crops.append(crop_faces(rgb, YuNet()(rgb), model.crop)[0])
    together = model(np.stack(crops * 3))
    assert np.allclose(together[0], model(crops[0][None])[0], atol=1e-5)
    assert np.allclose(together[5], model(crops[1][None])[0], atol=1e-5)


def test_facts_say_what_a_result_hangs_on() -> None:
    facts = Expressions(flip=True).facts
    spec = load_model().spec
    assert (facts["name"], facts["sha256"], facts["flip_average"]) == (spec.name, spec.sha256, True)
    assert facts["labels"] == "ferplus"


# --- smoothing


def rows(*values: float) -> NDArray[np.float32]:
    """A row per value: that much of the first label, the rest of the second."""
    return np.array([[v, 1 - v] for v in values], np.float32)


IDS = np.array([1], np.int64)


@pytest.mark.parametrize("fps", [5, 25, 100])
def test_a_step_has_come_through_to_63_percent_after_the_time_constant_at_any_rate(fps: int) -> None:
    smoothing = Smoothing(0.4)
    smoothing.update(IDS, 0.0, rows(0))
    for i in range(1, round(0.4 * fps) + 1):
        out = smoothing.update(IDS, i / fps, rows(1))
    assert out[0, 0] == pytest.approx(1 - np.exp(-1), abs=1e-3)


def test_the_first_look_and_tracks_do_not_mix() -> None:
    smoothing = Smoothing(1.0)
    assert np.array_equal(smoothing.update(np.array([1, 2]), 0.0, rows(0.2, 0.9)), rows(0.2, 0.9))
    out = smoothing.update(np.array([2, 1]), 0.1, rows(0.9, 0.2))  # in another order, unchanged
    assert np.allclose(out, rows(0.9, 0.2))
    assert np.array_equal(smoothing.update(np.array([3]), 0.2, rows(0.5)), rows(0.5))


def test_zero_switches_smoothing_off() -> None:
    smoothing = Smoothing(0)
    smoothing.update(IDS, 0.0, rows(0))
    assert np.array_equal(smoothing.update(IDS, 0.04, rows(1)), rows(1))


@given(st.lists(st.tuples(st.floats(0.001, 5), st.floats(0, 1)), min_size=1, max_size=30))
def test_smoothed_rows_stay_probabilities_between_what_was_seen(looks: list[tuple[float, float]]) -> None:
    smoothing, time_s, seen = Smoothing(0.5), 0.0, []
    for step, value in looks:
        time_s += step
        seen.append(value)
        out = smoothing.update(IDS, time_s, rows(value))
        assert out.sum() == pytest.approx(1, abs=1e-5)
        assert min(seen) - 1e-5 <= out[0, 0] <= max(seen) + 1e-5


def test_smoothing_forgets_those_who_left_long_ago() -> None:
    smoothing = Smoothing(0.2)
    for i in range(1000):
        smoothing.update(np.array([i + 1]), i * 1.0, rows(0.5))
    assert len(smoothing) < 200


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf")])
def test_wrong_time_constants(wrong: float) -> None:
    with pytest.raises(ValueError, match="smoothing"):
        Smoothing(wrong)
