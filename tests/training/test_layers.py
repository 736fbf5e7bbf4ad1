"""Layers against what TensorFlow says that it computes; freezing."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mien.training.layers import (
    DepthwiseConv2d,
    PointwiseConv2d,
    SameMaxPool2d,
    SeparableConv2d,
    freeze_until,
    pad_same,
    same_padding,
    weighted_layers,
)
from mien.training.networks import build


@pytest.mark.parametrize("side", [4, 5, 6, 7])
def test_padding_same_at_stride_two_puts_the_odd_pixel_after(side: int) -> None:
    """By TensorFlow's definition: ⌈n/2⌉ windows, and what is missing is added half before, the rest after."""
    picture = np.random.default_rng(side).normal(size=(side, side)).astype(np.float32)
    count = math.ceil(side / 2)
    before = max(0, (count - 1) * 2 + 3 - side) // 2
    wanted = np.empty((count, count), np.float32)
    for i in range(count):
        for j in range(count):
            rows, columns = slice(max(0, 2 * i - before), 2 * i - before + 3), slice(max(0, 2 * j - before), 2 * j - before + 3)
            wanted[i, j] = picture[rows, columns].max()
    found = SameMaxPool2d(3, 2)(torch.from_numpy(picture)[None, None])[0, 0]
    assert np.array_equal(found.numpy(), wanted)


def test_padding_same_is_tensorflows() -> None:
    assert [same_padding(n, 3, 2) for n in (4, 5)] == [(0, 1), (1, 1)]
    assert [same_padding(n, 2, 1) for n in (4, 5)] == [(0, 1), (0, 1)]
    assert same_padding(8, 1, 2) == (0, 0)


def test_a_separable_convolution_is_two_without_bias() -> None:
    layer = SeparableConv2d(2, 3, 3)
    assert sum(p.numel() for p in layer.parameters()) == 2 * 9 + 2 * 3
    batch = torch.zeros(1, 2, 5, 5)
    batch[0, 1, 2, 2] = 1  # a point in the second channel comes out as its kernel, mirrored, times each pointwise weight
    with torch.no_grad():
        found = layer(batch)[0, :, 1:4, 1:4]
        kernel = layer.depthwise.weight[1, 0].flip(0, 1)
        assert torch.allclose(found, layer.pointwise.weight[:, 1, 0, 0, None, None] * kernel)


def test_layers_are_counted_as_keras_counts_them() -> None:
    kinds = [type(group[0]).__name__ for group in weighted_layers(build("p1-cnn", {"a": 7, "b": 8}, 48))]
    assert kinds == ["Conv2d"] * 4 + ["Linear"] * 2
    assert len(weighted_layers(build("p1-cnn", {"a": 7, "b": 8}, 48))[-1]) == 2
    # mini-Xception: 2 + 4 convolutions and 8 separable ones, each with its normalisation, and the last convolution
    assert len(weighted_layers(build("mini-xception", {"a": 7}, 48))) == 2 * 14 + 1
    # ResNet-50: 53 convolutions with their normalisations, three dense layers
    assert len(weighted_layers(build("p4-resnet50", {"a": 7}, 32))) == 2 * 53 + 3


def trained(network: nn.Module) -> set[str]:
    return {name for name, weight in network.named_parameters() if weight.requires_grad}


def test_all_but_the_last_four_layers_are_frozen() -> None:
    """P4's first stage: the three dense layers and the last normalisation learn."""
    network = build("p4-resnet50", {"a": 7}, 32)
    assert freeze_until(network, 4) == 2 * 53 - 1
    assert {name.rsplit(".", 1)[0] for name in trained(network)} == {"trunk.0.layer4.2.bn3", "trunk.2", "trunk.5", "heads.a"}
    assert freeze_until(network, 0) == 0
    assert len(trained(network)) == len(list(network.parameters()))


@pytest.mark.parametrize("name", ["mini-xception", "mien-small", "efficientnet-lite0"])
def test_a_step_moves_what_is_not_frozen_and_nothing_else(name: str) -> None:
    network = build(name, {"a": 7, "b": 2}, 48, pretrained=False, dropout=0.0, drop_path=0.0)
    freeze_until(network, 3)
    network.train()  # as every trainer does before an epoch
    free = trained(network) | {f"{n.rsplit('.', 1)[0]}.running_{figure}" for n in trained(network) for figure in ("mean", "var")}
    before = copy.deepcopy(network.state_dict())
    optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    sum(out.square().sum() for out in network(torch.randn(8, 1, 48, 48)).values()).backward()  # type: ignore[union-attr]
    optimiser.step()
    moved = {n for n, v in network.state_dict().items() if not n.endswith("batches_tracked") and not torch.equal(v, before[n])}
    assert moved <= free
    assert {n for n in moved if n.startswith("heads")} == {n for n in before if n.startswith("heads")}
    assert any(n.endswith("running_mean") for n in moved), "the last normalisation is not frozen"
    freeze_until(network, 0)
    network(torch.randn(8, 1, 48, 48))
    means = [n for n in before if n.endswith("running_mean")]
    assert all(not torch.equal(network.state_dict()[n], before[n]) for n in means)


def test_more_layers_than_there_are_cannot_be_trained() -> None:
    network = build("p0-arch2", {"a": 7}, 48)
    with pytest.raises(ValueError, match="wanted 0 to 4 layers to train, but got 5"):
        freeze_until(network, 5)
    with pytest.raises(ValueError, match="but got -1"):
        freeze_until(network, -1)
    assert freeze_until(network, 4) == 0


@pytest.mark.parametrize(("kernel", "stride", "side"), [(3, 1, 8), (3, 2, 8), (5, 1, 6), (5, 2, 8), (5, 1, 2), (7, 1, 6)])
def test_depthwise_convolutions_have_the_gradients_of_torch(kernel: int, stride: int, side: int) -> None:
    torch.manual_seed(kernel)
    layer = DepthwiseConv2d(8, kernel, stride)
    batch = torch.randn(3, 8, side, side).contiguous(memory_format=torch.channels_last).requires_grad_()

    found = layer(batch)
    wanted = F.conv2d(pad_same(batch, kernel, stride), layer.weight, stride=stride, groups=8)
    torch.testing.assert_close(found, wanted)
    goal = torch.randn_like(found)
    torch.testing.assert_close(
        torch.autograd.grad(found, (batch, layer.weight), goal), torch.autograd.grad(wanted, (batch, layer.weight), goal)
    )


@pytest.mark.parametrize("side", [8, 9])  # at most 64 pixels are multiplied as a matrix, more are not
def test_pointwise_convolutions_have_the_gradients_of_torch(side: int) -> None:
    torch.manual_seed(0)
    layer = PointwiseConv2d(6, 10)
    batch = torch.randn(3, 6, side, side).contiguous(memory_format=torch.channels_last).requires_grad_()

    found, wanted = layer(batch), F.conv2d(batch, layer.weight)
    torch.testing.assert_close(found, wanted)
    goal = torch.randn_like(found)
    torch.testing.assert_close(
        torch.autograd.grad(found, (batch, layer.weight), goal), torch.autograd.grad(wanted, (batch, layer.weight), goal)
    )


def test_the_way_back_takes_bfloat16_too() -> None:
    torch.manual_seed(0)
    layer, batch = DepthwiseConv2d(8, 5, 2), torch.randn(3, 8, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        layer(batch).float().square().sum().backward()
    rough = layer.weight.grad
    layer.weight.grad = None
    layer(batch).square().sum().backward()
    assert rough is not None
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, layer.weight.grad, rtol=0.05, atol=0.5)
