"""The table of a network's layers that Keras prints, taken from a pass through the network itself."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from mien.training.layers import Add, GlobalMeanPool2d, SeparableConv2d

_KINDS: tuple[tuple[type[nn.Module], str], ...] = (
    (SeparableConv2d, "SeparableConv2D"),
    (nn.Conv2d, "Conv2D"),
    (nn.Linear, "Dense"),
    (nn.BatchNorm2d, "BatchNormalization"),
    (nn.MaxPool2d, "MaxPooling2D"),
    (nn.AvgPool2d, "AveragePooling2D"),
    (GlobalMeanPool2d, "GlobalAveragePooling2D"),
    (nn.Dropout, "Dropout"),
    (nn.Flatten, "Flatten"),
    (nn.ReLU, "Activation"),
    (nn.ReLU6, "Activation"),
    (Add, "Add"),
)
"""What Keras calls them; a layer that is not here goes by its own name."""

_PLUMBING = (nn.Identity, nn.Unflatten)


@dataclass(frozen=True, slots=True)
class LayerRow:
    """A layer as it was passed through.

    shape       of what it gives for one picture, channels last: (H, W, C) or (F,)
    parameters  all its weights and running figures, of which training moves `trainable`
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    trainable: int


def layer_table(network: nn.Module, size: int, channels: int) -> list[LayerRow]:
    """The layers of `network` in the order in which a picture of `size` pixels and `channels` passes them.

    As in Keras' summary, the ReLU of a convolution or a dense layer is part of it, a ReLU elsewhere is an Activation, a separable
    convolution is one layer, and layers are numbered by kind. The network is left as it was.
    """
    passed: list[tuple[nn.Module, torch.Size]] = []

    def note(layer: nn.Module, inputs: object, output: torch.Tensor) -> None:
        passed.append((layer, output.shape))

    hooks = [layer.register_forward_hook(note) for layer in _layers(network)]
    was_training = [(module, module.training) for module in network.modules()]
    first = next(network.parameters())
    with torch.no_grad():
        network.eval()(torch.zeros(1, channels, size, size, device=first.device, dtype=first.dtype))
    for hook in hooks:
        hook.remove()
    for module, training in was_training:
        module.training = training
    return list(_rows(passed))


def _layers(module: nn.Module) -> Iterator[nn.Module]:
    """The parts that are one layer to Keras."""
    if isinstance(module, tuple(kind for kind, _ in _KINDS)) or not list(module.children()):
        if not isinstance(module, _PLUMBING):
            yield module
        return
    seen: set[nn.Module] = set()
    for child in module.children():
        if child not in seen:
            seen.add(child)
            yield from _layers(child)


def _rows(passed: Sequence[tuple[nn.Module, torch.Size]]) -> Iterator[LayerRow]:
    numbers: dict[str, int] = {}
    counted: set[nn.Module] = set()
    before: nn.Module | None = None
    for layer, shape in passed:
        own = isinstance(layer, nn.ReLU) and isinstance(before, nn.Conv2d | nn.Linear)
        before = layer
        if own:
            continue
        kind = next((name for known, name in _KINDS if isinstance(layer, known)), type(layer).__name__)
        if isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1:
            kind = "DepthwiseConv2D"
        numbers[kind] = numbers.get(kind, 0) + 1
        parameters = trainable = 0
        if layer not in counted:  # one that is passed twice has its weights once
            counted.add(layer)
            trainable = sum(p.numel() for p in layer.parameters() if p.requires_grad)
            figures = sum(b.numel() for name, b in layer.named_buffers() if name != "num_batches_tracked")
            parameters = sum(p.numel() for p in layer.parameters()) + figures
        given = tuple(shape[1:])
        last = (*given[1:], given[0]) if len(given) == 3 else given
        yield LayerRow(f"{_snake(kind)}_{numbers[kind]}", kind, last, parameters, trainable)


def _snake(kind: str) -> str:
    """MaxPooling2D → max_pooling2d, as Keras names its layers."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).replace("Conv2D", "conv2d").lower()


def format_layers(rows: Sequence[LayerRow]) -> str:
    """The table as text, with Keras' three totals."""
    cells = [("Layer (type)", "Output Shape", "Param #")]
    for row in rows:
        shape = ", ".join(["None", *map(str, row.shape)])
        cells.append((f"{row.name} ({row.kind})", f"({shape})", str(row.parameters)))
    widths = [max(len(cell[i]) for cell in cells) for i in range(3)]
    lines = [f"{one:<{widths[0]}}  {two:<{widths[1]}}  {three:>{widths[2]}}" for one, two, three in cells]
    rule = "=" * (sum(widths) + 4)
    total, trainable = sum(row.parameters for row in rows), sum(row.trainable for row in rows)
    return "\n".join(
        [
            *(lines[0], rule, *lines[1:], rule),
            f"Total params: {total:,}",
            f"Trainable params: {trainable:,}",
            f"Non-trainable params: {total - trainable:,}",
        ]
    )
