"""The networks of the papers, layer by layer.

P0 Meeki et al. 2020; P1 Djellali & Deljanin; P2 Iliev & Mote 2022; P3 Şahin & Aydemir; P4 Madhavi et al. 2022; and two of
Arriaga, Valdenegro-Toro & Plöger 2017, which P0 quotes. All are Keras networks and start as Keras starts them. What a listing
leaves open is stated beside it here.
"""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple, cast

import torch
from torch import nn

from mien.errors import ModelError
from mien.training.layers import (
    Add,
    GlobalMeanPool2d,
    Network,
    SameMaxPool2d,
    SeparableConv2d,
    check_channels,
    check_size,
    convolution_heads,
    dense_heads,
    keras_batch_norm,
    keras_start,
)


class Conv(NamedTuple):
    """A convolution and its ReLU."""

    filters: int
    kernel: int
    padding: Literal["valid", "same"] = "valid"
    relu: bool = True


class MaxPool(NamedTuple):
    kernel: int
    stride: int


class MeanPool(NamedTuple):
    kernel: int
    stride: int
    padding: Literal["valid", "same"] = "valid"


class Dense(NamedTuple):
    """A dense layer and its ReLU."""

    units: int


class Dropout(NamedTuple):
    rate: float


class Flatten(NamedTuple):
    pass


class BatchNorm(NamedTuple):
    pass


class Relu(NamedTuple):
    pass


Step = Conv | MaxPool | MeanPool | Dense | Dropout | Flatten | BatchNorm | Relu


@dataclass(frozen=True, slots=True)
class Listing:
    """A network that is one layer after the other; its heads come last and are not in `steps`.

    size, classes   the paper's side of a picture and label set; another size is taken unless `fixed`, with other dense layers
    channels        of the first layer
    """

    paper: str
    size: int
    channels: int
    classes: Literal["fer2013", "ekman"]
    steps: tuple[Step, ...]
    head: Literal["dense", "convolution"] = "dense"
    fixed: bool = False

    @property
    def least(self) -> int:
        """The smallest picture (pixels) of which something is left at the end."""
        return next(size for size in itertools.count(1) if self.sides(size)[-1] > 0)

    def sides(self, size: int) -> list[int]:
        """The side of the maps before the first step and after each, from pictures of `size` pixels; flat is 1, nothing is 0."""
        found = [size]
        for step in self.steps:
            found.append(_side(step, found[-1]) if found[-1] else 0)
        return found


def _side(step: Step, side: int) -> int:
    match step:
        case Conv(_, kernel, "valid"):
            return max(0, side - kernel + 1)
        case MaxPool(kernel, stride) | MeanPool(kernel, stride, "valid"):
            return (side - kernel) // stride + 1 if side >= kernel else 0
        case MeanPool(_, stride, "same"):
            return math.ceil(side / stride)
        case Flatten() | Dense():
            return 1
        case _:
            return side


def _p1(paper: str, first: float, second: float, last: float) -> Listing:
    steps = (
        *(Conv(32, 3), Conv(64, 3), MaxPool(2, 2), Dropout(first)),
        *(Conv(128, 3), MaxPool(2, 2), Conv(128, 3), MaxPool(2, 2), Dropout(second)),
        *(Flatten(), Dense(1024), Dropout(last)),
    )
    return Listing(paper, 48, 1, "fer2013", steps)


def _p2(size: int) -> Listing:
    steps = (
        *(Conv(32, 3, "same"), MaxPool(2, 2), Conv(64, 3, "same"), Conv(128, 3, "same"), Dropout(0.1)),
        *(MaxPool(2, 2), MaxPool(2, 2), Flatten(), Dense(256)),
    )
    return Listing("P2", size, 3, "ekman", steps, fixed=True)


def _twice(filters: int, kernel: int) -> tuple[Step, ...]:
    convolution = Conv(filters, kernel, "same", relu=False)
    return convolution, BatchNorm(), convolution, BatchNorm(), Relu(), MeanPool(2, 2, "same"), Dropout(0.5)


LISTINGS: dict[str, Listing] = {
    "p0-arch1": Listing(
        "P0",
        *(48, 3, "fer2013"),
        (
            *(Conv(64, 5), MaxPool(5, 2), Conv(64, 3), Conv(64, 3), MeanPool(3, 2), Conv(128, 3), Conv(128, 3), MeanPool(3, 2)),
            *(Flatten(), Dense(1024), Dropout(0.2), Dense(1024), Dropout(0.2)),
        ),
    ),
    "p0-arch2": Listing(
        "P0",
        *(48, 3, "fer2013"),
        (Conv(32, 3), MaxPool(2, 2), Conv(32, 3), MaxPool(2, 2), Flatten(), Dense(128), Dropout(0.2)),
    ),
    "p0-arch3": Listing(
        "P0",
        *(48, 3, "fer2013"),
        (
            *(Conv(32, 3), Conv(32, 3), MaxPool(2, 2), Conv(64, 3), Conv(64, 3), MaxPool(2, 2)),
            *(Conv(128, 3), Conv(128, 3), MaxPool(2, 2), Flatten(), Dropout(0)),  # none, unless a recipe gives a rate
        ),
    ),
    "p1-cnn": _p1("P1", 0.25, 0.25, 0.5),
    "p2-cnn-100": _p2(100),
    "p2-cnn-50": _p2(50),
    "p2-cnn-20": _p2(20),
    # P3 names filters, pooling and dropout of P1's listing and no order: built is that listing with its dropout.
    "p3-cnn": _p1("P3", 0.5, 0.5, 0.5),
    # P4 gives four convolutions of 64 to 128 filters with kernels of 3 and 2, and one dense layer. Which is which, the widths of
    # the dense layer and the rates are this project's choice.
    "p4-cnn": Listing(
        "P4",
        *(48, 1, "fer2013"),
        (
            *(Conv(64, 3), Conv(64, 3), MaxPool(2, 2), Dropout(0.25)),
            *(Conv(128, 2), MaxPool(2, 2), Dropout(0.25), Conv(128, 2), MaxPool(2, 2), Dropout(0.25)),
            *(Flatten(), Dense(512), Dropout(0.5)),
        ),
    ),
    # The authors' `simple_CNN`; its last convolution has a map per class.
    "sequential-fcn": Listing(
        "Arriaga et al. 2017",
        *(48, 1, "fer2013"),
        (
            *(step for filters, kernel in ((16, 7), (32, 5), (64, 3), (128, 3)) for step in _twice(filters, kernel)),
            *(Conv(256, 3, "same", relu=False), BatchNorm()),
        ),
        head="convolution",
    ),
}


class Stack(Network):
    """A network by its listing. `dropout` None keeps the listing's rates, a number stands in for each of them."""

    def __init__(
        self,
        name: str,
        heads: Mapping[str, int],
        size: int,
        *,
        channels: int = 1,
        pretrained: bool = False,
        dropout: float | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        listing = LISTINGS[name]
        check_channels(name, listing.channels, channels)
        if listing.fixed and size != listing.size:
            others = ", ".join(sorted(n for n, other in LISTINGS.items() if other.steps == listing.steps and n != name))
            raise ModelError(
                f"{name}: wanted pictures of {listing.size} × {listing.size} pixels, but got {size} × {size}; see also {others}"
            )
        check_size(name, listing.least, size)
        self.channels = listing.channels
        layers: list[nn.Module] = []
        width, sides = listing.channels, listing.sides(size)
        for step, side in zip(listing.steps, sides, strict=False):
            made, width = _made(step, width, side, dropout)
            layers.extend(made)
        self.trunk = nn.Sequential(*layers)
        self.heads = dense_heads(heads, width) if listing.head == "dense" else convolution_heads(heads, width, sides[-1])
        keras_start(self)


def _made(step: Step, width: int, side: int, dropout: float | None) -> tuple[list[nn.Module], int]:
    """The layers of one step for `width` channels of `side` pixels (1 where they are flat), and how many channels they give."""
    match step:
        case Conv(filters, kernel, padding, relu):
            layer = nn.Conv2d(width, filters, kernel, padding=kernel // 2 if padding == "same" else 0)
            return [layer, nn.ReLU()] if relu else [layer], filters
        case MaxPool(kernel, stride):
            return [nn.MaxPool2d(kernel, stride)], width
        case MeanPool(kernel, stride, padding):
            # At an odd side TensorFlow's 'same' takes the last mean of the pixels that are there.
            return [nn.AvgPool2d(kernel, stride, ceil_mode=padding == "same")], width
        case Dense(units):
            return [nn.Linear(width, units), nn.ReLU()], units
        case Dropout(rate):
            own = rate if dropout is None else dropout
            return [nn.Dropout(own)] if own or rate else [], width
        case Flatten():
            return [nn.Flatten()], width * side**2
        case BatchNorm():
            return [keras_batch_norm(width)], width
        case Relu():
            return [nn.ReLU()], width


class _XceptionModule(nn.Module):
    """Two separable convolutions and a pooling beside a 1×1 convolution; halves the side."""

    def __init__(self, given: int, filters: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(nn.Conv2d(given, filters, 1, stride=2, bias=False), keras_batch_norm(filters))
        self.main = nn.Sequential(
            *(SeparableConv2d(given, filters, 3), keras_batch_norm(filters), nn.ReLU()),
            *(SeparableConv2d(filters, filters, 3), keras_batch_norm(filters), SameMaxPool2d(3, 2)),
        )
        self.add = Add()

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        residual = self.residual(batch)
        return cast(torch.Tensor, self.add(self.main(batch), residual))


class MiniXception(Network):
    """mini-Xception (Arriaga et al. 2017), the authors' `mini_XCEPTION`: depthwise separable, no dense layer, no dropout.

    The authors' L2 of 0.01 on the kernels of all but the 1×1 and the last convolutions is the trainer's business.
    """

    LEAST = 6

    def __init__(
        self,
        heads: Mapping[str, int],
        size: int,
        *,
        channels: int = 1,
        pretrained: bool = False,
        dropout: float | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        check_channels("mini-xception", 1, channels)
        check_size("mini-xception", self.LEAST, size)
        layers: list[nn.Module] = []
        for given in (1, 8):
            layers += [nn.Conv2d(given, 8, 3, bias=False), keras_batch_norm(8), nn.ReLU()]
        side = size - 4
        for given, filters in ((8, 16), (16, 32), (32, 64), (64, 128)):
            layers.append(_XceptionModule(given, filters))
            side = math.ceil(side / 2)
        self.trunk = nn.Sequential(*layers)
        self.heads = convolution_heads(heads, 128, side)
        keras_start(self)


RESNET_BLOCKS = ((64, 3), (128, 4), (256, 6), (512, 3))
"""Width within the blocks of each stage, and how many there are; a block's output is four times as wide."""


class _Bottleneck(nn.Module):
    """1×1, 3×3, 1×1 beside an identity or a 1×1 convolution.

    `keras` puts the stride in the first 1×1 (the paper of He et al. 2015) and gives convolutions a bias; torchvision puts it in
    the 3×3 and gives none. The names are torchvision's.
    """

    def __init__(self, given: int, width: int, stride: int, *, keras: bool) -> None:
        super().__init__()
        first, second = (stride, 1) if keras else (1, stride)
        self.conv1 = nn.Conv2d(given, width, 1, stride=first, bias=keras)
        self.bn1 = _resnet_norm(width, keras)
        self.conv2 = nn.Conv2d(width, width, 3, stride=second, padding=1, bias=keras)
        self.bn2 = _resnet_norm(width, keras)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=keras)
        self.bn3 = _resnet_norm(4 * width, keras)
        self.relu1, self.relu2, self.relu3, self.add = nn.ReLU(), nn.ReLU(), nn.ReLU(), Add()
        self.downsample = (
            nn.Sequential(nn.Conv2d(given, 4 * width, 1, stride=stride, bias=keras), _resnet_norm(4 * width, keras))
            if given != 4 * width or stride != 1
            else None
        )

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        beside = batch if self.downsample is None else self.downsample(batch)
        found = self.relu1(self.bn1(self.conv1(batch)))
        found = self.relu2(self.bn2(self.conv2(found)))
        found = self.bn3(self.conv3(found))
        return cast(torch.Tensor, self.relu3(self.add(found, beside)))


def _resnet_norm(channels: int, keras: bool) -> nn.BatchNorm2d:
    return keras_batch_norm(channels, eps=ResNet50.KERAS_EPS) if keras else nn.BatchNorm2d(channels)


class ResNet50(nn.Module):
    """ResNet-50 (He et al. 2015) without its last layer: (N, 3, S, S) → (N, 2048, ⌈S/32⌉, ⌈S/32⌉)."""

    KERAS_EPS = 1.001e-5

    def __init__(self, *, keras: bool) -> None:
        super().__init__()
        self.keras = keras
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=keras)
        self.bn1 = _resnet_norm(64, keras)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        given, stages = 64, list[nn.Module]()
        for width, count in RESNET_BLOCKS:
            blocks = []
            for i in range(count):
                blocks.append(_Bottleneck(given, width, 2 if i == 0 and stages else 1, keras=keras))
                given = 4 * width
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        found = self.maxpool(self.relu(self.bn1(self.conv1(batch))))
        return cast(torch.Tensor, self.layer4(self.layer3(self.layer2(self.layer1(found)))))


class P4ResNet50(Network):
    """P4's transfer network: ResNet-50, the mean of its maps, dense 512 with L2, dropout .2, dense 256, dropout .2, heads.

    P4 gives two dense layers, the L2 and the dropout; the widths and the mean over the maps are this project's choice. `keras`
    is the ResNet-50 of Keras, which P4 used; without it, torchvision's. They differ in where they stride, see `_Bottleneck`, and
    the weights of one are of no use to the other.
    """

    channels = 3
    LEAST = 32
    L2 = 0.01  # Keras' default

    def __init__(
        self,
        heads: Mapping[str, int],
        size: int,
        *,
        keras: bool = True,
        channels: int = 1,
        pretrained: bool = False,
        dropout: float | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        name = "p4-resnet50" if keras else "p4-resnet50-torchvision"
        check_channels(name, 3, channels)
        check_size(name, self.LEAST, size)
        rate = 0.2 if dropout is None else dropout
        self.trunk = nn.Sequential(
            *(ResNet50(keras=keras), GlobalMeanPool2d(), nn.Linear(2048, 512), nn.ReLU(), nn.Dropout(rate)),
            *(nn.Linear(512, 256), nn.ReLU(), nn.Dropout(rate)),
        )
        self.heads = dense_heads(heads, 256)
        keras_start(self)

    def penalty(self) -> torch.Tensor:
        """Keras' L2 on the kernel of the first dense layer."""
        first = next(layer for layer in self.trunk.children() if isinstance(layer, nn.Linear))
        return self.L2 * first.weight.square().sum()


PAPER_NETWORKS: dict[str, Callable[..., Network]] = {
    **{name: partial(Stack, name) for name in LISTINGS},
    "p4-resnet50": partial(P4ResNet50, keras=True),
    "p4-resnet50-torchvision": partial(P4ResNet50, keras=False),
    "mini-xception": MiniXception,
}
