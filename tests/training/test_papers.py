"""The networks against their listings."""

import math

import pytest
import torch

from mien.errors import ModelError
from mien.labels import LABEL_SETS
from mien.training.networks import build
from mien.training.papers import LISTINGS, MiniXception, P4ResNet50

PARAMETERS = {  # (size, classes) → the papers' own totals, normalisation's running figures among them
    "p0-arch1": (48, 7, 1_489_031),
    "p0-arch2": (48, 7, 420_775),
    "p0-arch3": (48, 7, 290_599),
    "p1-cnn": (48, 7, 2_345_607),
    "p2-cnn-100": (100, 6, 4_813_638),
    "p2-cnn-50": (50, 6, 1_274_694),
    "p2-cnn-20": (20, 6, 226_118),
    "p3-cnn": (48, 7, 2_345_607),
    "p4-cnn": (48, 7, 1_188_807),
    "sequential-fcn": (48, 7, 642_935),
    "mini-xception": (64, 7, 58_423),
    # Keras' ResNet50 without its top has 23,587,712; and 2048 · 512 + 512, 512 · 256 + 256, 256 · 7 + 7.
    "p4-resnet50": (48, 7, 23_587_712 + 1_049_088 + 131_328 + 1_799),
    # torchvision's without its last layer has 23,508,032, and 2 · 26,560 running figures.
    "p4-resnet50-torchvision": (48, 7, 23_508_032 + 53_120 + 1_049_088 + 131_328 + 1_799),
}


def total(network: torch.nn.Module) -> int:
    counted = [t for name, t in network.state_dict().items() if not name.endswith("num_batches_tracked")]
    return sum(t.numel() for t in counted)


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_the_number_of_weights_is_the_papers(name: str) -> None:
    size, classes, wanted = PARAMETERS[name]
    with torch.device("meta"):
        network = build(name, {"a": classes}, size)
    assert total(network) == wanted
    if name in LISTINGS:
        assert (LISTINGS[name].size, len(LABEL_SETS[LISTINGS[name].classes])) == (size, classes)


@pytest.mark.parametrize("name", sorted(LISTINGS))
def test_the_least_size_is_the_least(name: str) -> None:
    listing = LISTINGS[name]
    if listing.fixed:
        with pytest.raises(ModelError, match=rf"wanted pictures of {listing.size} × {listing.size} pixels, but got 48 × 48; see"):
            build(name, {"a": 2}, 48)
        return
    network = build(name, {"a": 2}, listing.least).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 1, listing.least, listing.least))["a"].isfinite().all()
        if listing.least > 1:
            smaller = torch.rand(1, listing.channels, listing.least - 1, listing.least - 1)
            with pytest.raises(RuntimeError, match=r"too small|greater than|mat1 and mat2"):
                network.trunk(smaller)  # type: ignore[operator]
                raise AssertionError("something is left of it")
    with pytest.raises(ModelError, match=f"wanted pictures of at least {listing.least} ×"):
        build(name, {"a": 2}, listing.least - 1)


@pytest.mark.parametrize("make", [MiniXception, P4ResNet50])
def test_networks_of_branches_say_their_least_size_too(make: type[MiniXception | P4ResNet50]) -> None:
    with torch.no_grad():
        assert make({"a": 2}, make.LEAST).eval()(torch.rand(1, 1, make.LEAST, make.LEAST))["a"].isfinite().all()
    with pytest.raises(ModelError, match="wanted pictures of at least"):
        make({"a": 2}, make.LEAST - 1)


@pytest.mark.parametrize("name", ["p1-cnn", "mini-xception"])
def test_first_weights_are_keras(name: str) -> None:
    network = build(name, {"a": 7}, 48)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            weight = layer.weight.detach()
            spread = weight[0, 0].numel() if weight.ndim == 4 else 1
            limit = math.sqrt(6 / ((weight.shape[0] + weight.shape[1]) * spread))
            assert float(weight.abs().max()) <= limit
            assert float(weight.std()) == pytest.approx(limit / math.sqrt(3), rel=0.35)
            assert layer.bias is None or not layer.bias.any()
        if isinstance(layer, torch.nn.BatchNorm2d):
            assert (layer.momentum, layer.eps) == (0.01, 1e-3)


def test_the_mean_of_a_last_odd_window_is_of_what_is_there() -> None:
    """TensorFlow leaves out what it padded; layer 5 of the sequential network is its first mean."""
    layer = next(m for m in build("sequential-fcn", {"a": 2}, 48).modules() if isinstance(m, torch.nn.AvgPool2d))
    found = layer(torch.arange(9.0).reshape(1, 1, 3, 3))
    assert found.tolist() == [[[[2.0, 3.5], [6.5, 8.0]]]]


def test_the_first_dense_layer_of_p4_is_kept_small_by_the_loss() -> None:
    network = P4ResNet50({"a": 7}, 48)
    dense = [layer for layer in network.trunk.children() if isinstance(layer, torch.nn.Linear)]
    assert float(network.penalty().detach()) == pytest.approx(0.01 * float(dense[0].weight.detach().square().sum()))
    network.penalty().backward()
    assert dense[0].weight.grad is not None
    assert dense[1].weight.grad is None
    assert float(MiniXception({"a": 7}, 48).penalty().detach()) == 0
