"""What the networks are built of: layers that compute as Keras' do, and the frame that gives each network its heads."""

import itertools
import math
from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import nn

from mien.errors import ModelError

KERAS_EPS = 1e-3
KERAS_MOMENTUM = 0.01
"""Keras writes 0.99: its momentum is the share of what was, torch's the share of what is new."""


class Network(nn.Module):
    """A trunk that ends in features, and one last layer for each head, `heads`.

    The batch is (N, C, S, S), float. `channels` is what the first layer takes: a network of three channels also takes grey
    pictures (C = 1) and copies them to three. `forward` gives logits by the head's name, (N, classes) each.
    """

    channels = 1
    trunk: nn.Module
    heads: nn.ModuleDict

    def features(self, batch: torch.Tensor) -> torch.Tensor:
        """The last hidden layer, (N, F): what the heads are given."""
        return cast(torch.Tensor, self.trunk(self.seen(batch))).flatten(1)

    def forward(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.features(batch)
        return {name: cast(torch.Tensor, head(features)) for name, head in self.heads.items()}

    def seen(self, batch: torch.Tensor) -> torch.Tensor:
        """The batch with as many channels as the first layer takes. Raises `ModelError` where that cannot be."""
        given = batch.shape[1]
        if given == self.channels:
            return batch
        if given == 1:
            return batch.expand(-1, self.channels, -1, -1)
        raise ModelError(f"{type(self).__name__}: wanted pictures of {self.channels} channel(s), but got {given}")

    def penalty(self) -> torch.Tensor:
        """What the network adds to the loss for weights that its paper wants small; 0 where it wants none."""
        return torch.zeros((), device=next(self.parameters()).device)


def count_parameters(network: nn.Module) -> int:
    """How many a network has, as Keras counts them: all its weights, and the running figures of its normalisations."""
    figures = sum(b.numel() for name, b in network.named_buffers() if not name.endswith("num_batches_tracked"))
    return sum(p.numel() for p in network.parameters()) + figures


def check_channels(name: str, takes: int, fed: int) -> None:
    """Raises `ModelError` where pictures of `fed` channels cannot be given to a network whose first layer takes `takes`."""
    if fed not in (1, takes):
        raise ModelError(f"{name}: wanted pictures of {takes} channel(s), but got {fed}; give it grey ones or another network")


def check_size(name: str, least: int, size: int) -> None:
    """Raises `ModelError` where pictures of `size` pixels would vanish on the way through the network."""
    if size < least:
        raise ModelError(f"{name}: wanted pictures of at least {least} × {least} pixels, but got {size} × {size}")


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """What TensorFlow's padding 'same' adds (before, after) along one side: the odd pixel comes after."""
    missing = max(0, (math.ceil(size / stride) - 1) * stride + kernel - size)
    return missing // 2, missing - missing // 2


def pad_same(batch: torch.Tensor, kernel: int, stride: int, value: float = 0.0) -> torch.Tensor:
    """The batch (N, C, H, W) with that around it."""
    rows, columns = (same_padding(size, kernel, stride) for size in batch.shape[2:])
    return F.pad(batch, (*columns, *rows), value=value)


class SameMaxPool2d(nn.MaxPool2d):
    """MaxPooling2D(padding='same')."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        padded = pad_same(batch, cast(int, self.kernel_size), cast(int, self.stride), -math.inf)
        return cast(torch.Tensor, super().forward(padded))


class SameConv2d(nn.Conv2d):
    """Conv2D(padding='same'): where it strides, the odd pixel of the padding comes after."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return super().forward(pad_same(batch, self.kernel_size[0], self.stride[0]))


class SeparableConv2d(nn.Module):
    """SeparableConv2D(padding='same', use_bias=False): each channel for itself, then all of them in each pixel."""

    def __init__(self, given: int, filters: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(given, given, kernel, padding=kernel // 2, groups=given, bias=False)
        self.pointwise = nn.Conv2d(given, filters, 1, bias=False)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return cast(torch.Tensor, self.pointwise(self.depthwise(batch)))


class DepthwiseConv2d(nn.Conv2d):
    """Each channel for itself, padding='same', no bias: the convolution that `nn.Conv2d` is, with a faster way back on a CPU.

    oneDNN has no fast kernel for the weights' gradient of 5×5 kernels (ten times dearer than the way forward, in bfloat16 fifty),
    nor in bfloat16 for the pictures' gradient where the kernel strides.
    """

    def __init__(self, channels: int, kernel: int, stride: int, *, device: str | None = None) -> None:
        super().__init__(channels, channels, kernel, stride=stride, groups=channels, bias=False, device=device)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        padded = pad_same(batch, self.kernel_size[0], self.stride[0])
        if self.training and batch.device.type == "cpu":
            weight = self.weight.to(torch.get_autocast_dtype("cpu")) if torch.is_autocast_enabled("cpu") else self.weight
            return cast(torch.Tensor, _Depthwise.apply(padded.to(weight.dtype), weight, self.stride[0]))
        return super().forward(padded)


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution of a batch that is padded already. The gradient of a 5×5 kernel is put together from 3×3 ones."""

    @staticmethod
    def forward(ctx: Any, padded: torch.Tensor, weight: torch.Tensor, stride: int) -> torch.Tensor:
        ctx.save_for_backward(padded, weight)
        ctx.stride = stride
        return F.conv2d(padded, weight, stride=stride, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        padded, weight = ctx.saved_tensors
        stride, kernel = ctx.stride, weight.shape[-1]
        of_batch = of_weight = None
        if ctx.needs_input_grad[0]:
            exact = torch.float32 if stride > 1 else weight.dtype
            of_batch = _depthwise_gradient(gradient.to(exact), padded.to(exact), weight.to(exact), stride, of_batch=True)
            of_batch = of_batch.to(padded.dtype)
        if ctx.needs_input_grad[1] and kernel <= 3:
            of_weight = _depthwise_gradient(gradient, padded, weight, stride, of_batch=False)
        elif ctx.needs_input_grad[1]:
            of_weight = torch.empty_like(weight)
            rows, columns = (3 + (side - 1) * stride for side in gradient.shape[2:])
            starts = [*range(0, kernel - 3, 3), kernel - 3]
            for row, column in itertools.product(starts, starts):
                block = (slice(None), slice(None), slice(row, row + 3), slice(column, column + 3))
                part = padded[:, :, row : row + rows, column : column + columns]
                part = part.contiguous(memory_format=torch.channels_last)
                of_weight[block] = _depthwise_gradient(gradient, part, weight[block].contiguous(), stride, of_batch=False)
        return of_batch, of_weight, None


def _depthwise_gradient(
    gradient: torch.Tensor, padded: torch.Tensor, weight: torch.Tensor, stride: int, *, of_batch: bool
) -> torch.Tensor:
    """One of the two gradients of a depthwise convolution without padding, by torch's own kernel."""
    found = torch.ops.aten.convolution_backward(
        *(gradient, padded, weight, None, [stride, stride], [0, 0], [1, 1], False, [0, 0], len(weight)),
        [of_batch, not of_batch, False],
    )
    return cast(torch.Tensor, found[0 if of_batch else 1])


class PointwiseConv2d(nn.Conv2d):
    """A 1×1 convolution without bias. Few pixels with many channels are multiplied as a matrix while training: much faster."""

    FEW = 64
    """Pixels of a map below which that pays on a CPU."""

    def __init__(self, given: int, filters: int, *, device: str | None = None) -> None:
        super().__init__(given, filters, 1, bias=False, device=device)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        if self.training and batch.device.type == "cpu" and batch.shape[2] * batch.shape[3] <= self.FEW:
            return F.linear(batch.permute(0, 2, 3, 1), self.weight.flatten(1)).permute(0, 3, 1, 2)
        return super().forward(batch)


class GlobalMeanPool2d(nn.Module):
    """GlobalAveragePooling2D: (N, C, H, W) → (N, C)."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return batch.mean(dim=(2, 3))


class Add(nn.Module):
    """The sum of two branches; a layer of its own so that it stands in the table."""

    def forward(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return one + other


def keras_batch_norm(channels: int, *, eps: float = KERAS_EPS) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=eps, momentum=KERAS_MOMENTUM)


def he_start(network: nn.Module) -> None:
    """First weights of the convolutions of a network with ReLUs (He et al. 2015)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def keras_start(network: nn.Module) -> None:
    """Keras' first weights: Glorot's uniform ones, no bias."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def dense_heads(heads: Mapping[str, int], features: int) -> nn.ModuleDict:
    return nn.ModuleDict({name: nn.Linear(features, count) for name, count in heads.items()})


def convolution_heads(heads: Mapping[str, int], channels: int, side: int) -> nn.ModuleDict:
    """Last layers of networks without a dense one: a 3×3 convolution with a map per class, then the mean of each map.

    They take the features flat, (N, channels · side²), as dense heads do.
    """
    return nn.ModuleDict(
        {
            name: nn.Sequential(
                nn.Unflatten(1, (channels, side, side)), nn.Conv2d(channels, count, 3, padding=1), GlobalMeanPool2d()
            )
            for name, count in heads.items()
        }
    )


def weighted_layers(network: nn.Module) -> list[tuple[nn.Module, ...]]:
    """The layers that have weights, from the first to the last, as Keras counts them.

    A separable convolution is one layer. The heads stand beside each other and are the last one together.
    """
    found: list[tuple[nn.Module, ...]] = []
    for name, child in network.named_children():
        if name == "heads":
            found.append(tuple(layer for group in weighted_layers(child) for layer in group))
        elif isinstance(child, SeparableConv2d) or next(child.parameters(recurse=False), None) is not None:
            found.append((child,))
        else:
            found.extend(weighted_layers(child))
    return found


def freeze_until(network: nn.Module, last: int) -> int:
    """Freeze all but the `last` layers with weights, counted from the end; 0 trains all. Gives back how many were frozen.

    A frozen layer is no longer moved by training, and a frozen normalisation works with its running figures and leaves them as
    they are, also where the network is set to train afterwards. Raises `ValueError` where there are not so many layers.
    """
    layers = weighted_layers(network)
    if not 0 <= last <= len(layers):
        raise ValueError(f"wanted 0 to {len(layers)} layers to train, but got {last}: the network has no more with weights")
    frozen = len(layers) - last if last else 0
    for i, group in enumerate(layers):
        for layer in (module for member in group for module in member.modules()):
            for weight in layer.parameters(recurse=False):
                weight.requires_grad_(i >= frozen)
            if isinstance(layer, nn.BatchNorm2d):
                if _rest_while_frozen not in layer._forward_pre_hooks.values():
                    layer.register_forward_pre_hook(_rest_while_frozen)
                layer.training = network.training and i >= frozen
    return frozen


def _rest_while_frozen(layer: nn.Module, inputs: object) -> None:
    if not next(layer.parameters()).requires_grad:
        layer.training = False
