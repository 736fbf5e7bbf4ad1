"""First weights of a network: the run it goes on from, or a bundle, whose normalisation was folded away when it was exported."""

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from mien.errors import ModelError
from mien.models import load_model


def start_from_bundle(network: nn.Module, model: str, batch: torch.Tensor) -> list[str]:
    """Give `network` the weights of the bundle `model`; gives back the names of the layers that the bundle does not have.

    An exported network has its batch normalisation folded into the convolutions before it: W' = W·γ/σ, b' = β − μγ/σ. Here each
    normalisation gets back a γ and a β, measured with `batch` (N, C, S, S, as the network takes it) so that the network computes
    what the bundle computes, and is ready to be trained on: its running mean and variance are those of its inputs. Heads that the
    bundle does not have keep their first weights. Raises `ModelError` where the bundle is of another network.
    """
    bundle = load_model(model)
    graph = onnx.load(str(bundle.folder / "model.onnx")).graph
    held = {
        i.name.removeprefix("network."): torch.from_numpy(np.array(numpy_helper.to_array(i), dtype=np.float32))
        for i in graph.initializer
    }
    missing: list[str] = []
    folded: dict[nn.Module, torch.Tensor] = {}
    for name, layer in network.named_modules():
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        weight = held.get(f"{name}.weight")
        if weight is None or weight.shape != layer.weight.shape:
            if not name.startswith("heads."):
                given = "none" if weight is None else " × ".join(map(str, weight.shape))
                raise ModelError(f"{model}: is no {type(network).__name__}: wanted weights for {name}, but got {given}")
            missing.append(name)
            continue
        bias = held.get(f"{name}.bias", held.get(f"{name}.weight_bias"))
        with torch.no_grad():
            layer.weight.copy_(weight)
            if layer.bias is not None and bias is not None:
                layer.bias.copy_(bias)
            elif bias is not None:
                folded[layer] = bias
    _restore_normalisation(network, folded, batch)
    return missing


def _restore_normalisation(network: nn.Module, folded: dict[nn.Module, torch.Tensor], batch: torch.Tensor) -> None:
    """One pass in which every normalisation is set so that it adds the folded bias of the convolution before it, and no more."""
    last: list[nn.Module] = []

    def after_convolution(layer: nn.Module, inputs: object, output: object) -> None:
        last[:] = [layer]

    def before_normalisation(layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        assert isinstance(layer, nn.BatchNorm2d)
        assert layer.running_mean is not None
        assert layer.running_var is not None
        mean, variance = inputs[0].mean(dim=(0, 2, 3)), inputs[0].var(dim=(0, 2, 3))
        layer.running_mean.copy_(mean)
        layer.running_var.copy_(variance)
        bias = folded.get(last[0]) if last else None
        layer.weight.copy_((variance + layer.eps).sqrt())
        layer.bias.copy_(mean if bias is None else mean + bias)

    hooks = []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            hooks.append(layer.register_forward_hook(after_convolution))
        elif isinstance(layer, nn.BatchNorm2d):
            hooks.append(layer.register_forward_pre_hook(before_normalisation))
    was_training = network.training
    with torch.no_grad():
        network.eval()(batch)
    network.train(was_training)
    for hook in hooks:
        hook.remove()


def is_run(start: str) -> bool:
    """Whether `start` of a recipe means a run folder; else it is a bundle's name or folder."""
    return (Path(start) / "recipe.json").is_file()
