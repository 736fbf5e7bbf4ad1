"""First weights of a network: the run it goes on from, a bundle, or a file of ImageNet weights as others publish them.

A bundle's normalisation was folded away when it was exported; published files name and lay out their weights each in its own way.
"""

import hashlib
import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from mien.errors import ModelError
from mien.models import load_model, sha256_of
from mien.training.papers import RESNET_BLOCKS, ResNet50


def start_from_bundle(network: nn.Module, model: str, batch: torch.Tensor) -> list[str]:
    """Give `network` the weights of the bundle `model`; gives back the names of the layers that the bundle does not have.

    An exported network has its batch normalisation folded into the convolutions before it: W' = W·γ/σ, b' = β − μγ/σ. Here each
    normalisation gets back a γ and a β, measured with `batch` (N, C, S, S, as the network takes it) so that the network computes
    what the bundle computes, and is ready to be trained on: its running mean and variance are those of its inputs. Heads that the
    bundle does not have keep their first weights. Raises `ModelError` where the bundle is of another network.
    """
    bundle = load_model(model)
    graph = onnx.load(str(bundle.folder / "model.onnx")).graph
    held = {  # those that are stored in half precision are called so
        i.name.removeprefix("network.").removesuffix(".half"): torch.tensor(numpy_helper.to_array(i), dtype=torch.float32)
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
    restore_normalisation(network, folded, batch)
    return missing


def restore_normalisation(network: nn.Module, folded: dict[nn.Module, torch.Tensor], batch: torch.Tensor) -> None:
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


class _Pictures(NamedTuple):
    """What pictures the published weights were trained on: (p - mean) / std for values p from 0 to 1 in the channels' order."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    order: tuple[int, int, int]


TORCHVISION_PICTURES = _Pictures((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), (0, 1, 2))
KERAS_PICTURES = _Pictures((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255, 1 / 255, 1 / 255), (2, 1, 0))
"""Blue first, values to 255, the mean colour taken off: as Caffe had it, where these weights come from."""

_KERAS_NAME = "resnet50_weights_tf_dim_ordering_tf_kernels"
KERAS_FILES = {  # name → the MD5s that Keras publishes for it, first that of 2017
    f"{_KERAS_NAME}_notop.h5": ("a268eb855778b3df3c7506639542a6af", "4d473c1dd8becc155b73f8504c6f6626"),
    f"{_KERAS_NAME}.h5": ("a7b3fe01876f51b976af0dea6bc144eb", "2cb95161c43110f7111970584f804107"),
}
EPS_2017 = 1e-3
"""Of the normalisations in Keras' ResNet-50 until 2018, whose files have other names inside."""


WEIGHT_FILES = (".h5", ".hdf5", ".pth", ".pt", ".pb")
"""What files of published weights end in; a recipe's `start` that ends so is never the name of a model."""


def load_imagenet(network: nn.Module, path: Path, *, mean: float, std: float, adapt: bool = True, sha256: str = "") -> str:
    """Give the ResNet-50 within `network` the ImageNet weights of a local file; gives back the file's sha256.

    Read are torchvision's state dictionaries (`resnet50-0676ba61.pth`, any of its ResNet-50 weights), Keras' HDF5 files
    (`resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5`, of 2017 or later, with or without the last layer, which is not used)
    and what Keras 3 saves of its ResNet50 as `.weights.h5`. Torchvision's and Keras' are not the same network, see `P4ResNet50`:
    each file goes with its own. The first layer is adapted to pictures that are standardised by `mean` and `std`: inside the
    picture it computes what the published one computes for its own standard (in its outermost three pixels they differ, for the
    padding is a grey of `mean` instead of ImageNet's mean colour). Without `adapt` it is left as it is published, and gets
    pictures of another standard than it knows, as in P4, which rescales by 255.

    The file is checked before it is read, against `sha256` (whole or its beginning) where it is given, and against the hash that
    its publisher gives it: torchvision in the file's name, Keras in a list. Nothing is ever downloaded. Raises `ModelError`.
    """
    inside = [module for module in network.modules() if isinstance(module, ResNet50)]
    if not inside:
        raise ModelError(f"{path}: holds weights of ResNet-50; wanted the network p4-resnet50, but got {type(network).__name__}")
    if not path.is_file():
        raise ModelError(f"{path}: there is no such file; download the weights and give its place")
    found = _checked(path, sha256)
    resnet, keras = inside[0], path.suffix in (".h5", ".hdf5")
    if resnet.keras != keras:
        name, other = ("p4-resnet50", "Keras'") if keras else ("p4-resnet50-torchvision", "torchvision's")
        raise ModelError(f"{path}: is {other} ResNet-50, which strides in another layer; give it to the network {name}")
    weights, pictures = (_keras_weights(path), KERAS_PICTURES) if keras else (_torchvision_weights(path), TORCHVISION_PICTURES)
    own = resnet.state_dict()
    for name, value in own.items():
        given = weights.get(name)
        if name.endswith("num_batches_tracked"):
            weights.setdefault(name, torch.zeros_like(value))
        elif given is None or given.shape != value.shape:
            wanted, got = (" × ".join(map(str, v.shape)) if v is not None else "none" for v in (value, given))
            raise ModelError(f"{path}: is no ResNet-50: wanted weights of {wanted} for {name}, but got {got}")
        elif not given.isfinite().all():
            raise ModelError(f"{path}: is damaged: {name} holds values that are no numbers")
    resnet.load_state_dict({name: weights[name] for name in own})
    if adapt:
        _adapt(resnet, pictures, mean, std)
    return found


def _checked(path: Path, sha256: str) -> str:
    """The file's sha256. Raises `ModelError` where it is not the one that was given, or its publisher's."""
    found = sha256_of(path)
    published = re.search(r"-([0-9a-f]{8,64})\.pth$", path.name)
    for wanted in filter(None, (sha256.lower(), published and published.group(1))):
        if not found.startswith(wanted):
            raise ModelError(f"{path}: is damaged or another file: wanted sha256 {wanted}…, but got {found}; download it again")
    if path.name in KERAS_FILES and not sha256:
        with path.open("rb") as file:
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if md5 not in KERAS_FILES[path.name]:
            wanted = " or ".join(KERAS_FILES[path.name])
            raise ModelError(
                f"{path}: is damaged or another file: wanted MD5 {wanted}, but got {md5}; download it again, or name its sha256"
            )
    return found


def _torchvision_weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, KeyError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{path}: wanted a state dictionary of torchvision, but it cannot be read: {reason}") from error
    if not isinstance(held, Mapping) or not all(isinstance(value, torch.Tensor) for value in held.values()):
        raise ModelError(f"{path}: wanted a state dictionary of torchvision, but got {type(held).__name__} with other things in it")
    return dict(held)


def _keras_weights(path: Path) -> dict[str, torch.Tensor]:
    """A Keras file by torchvision's names: kernels (H, W, in, out) → (out, in, H, W)."""
    import h5py  # 5 MB that only this function needs

    weights: dict[str, torch.Tensor] = {}
    try:
        with h5py.File(path, "r") as file:
            numbered = "layers" in file and "conv1_conv" not in file["layers"]  # Keras 3: by class and number, not by name
            layers = file["layers"] if "layers" in file else file.get("model_weights", file)
            early = "bn_conv1" in layers
            for name, now, then, number in _keras_names():
                layer = number if numbered else then if early else now
                if layer not in layers:
                    raise ModelError(f"{path}: is no ResNet-50 of Keras: wanted a layer {now}, but it has: {_some(layers)}")
                values = _arrays(layers[layer])
                parts = ("weight", "bias") if len(values) == 2 else ("weight", "bias", "running_mean", "running_var")
                if len(values) != len(parts):
                    raise ModelError(f"{path}: is damaged: wanted 2 or 4 arrays in {layer}, but got {len(values)}")
                for part, value in zip(parts, values, strict=True):
                    weights[f"{name}.{part}"] = torch.from_numpy(value.transpose(3, 2, 0, 1).copy() if value.ndim == 4 else value)
                if early and len(values) == 4:  # so that the normalisation of today gives what that of then gave
                    weights[f"{name}.running_var"] += EPS_2017 - ResNet50.KERAS_EPS
    except OSError as error:
        raise ModelError(f"{path}: wanted an HDF5 file of Keras, but it cannot be read: {error}") from error
    return weights


def _arrays(layer: Any) -> list[NDArray[np.float32]]:
    """The arrays of a layer in the order of Keras: kernel, bias; or γ, β, mean, variance."""
    if "vars" in layer:  # Keras 3
        return [np.array(layer["vars"][name], dtype=np.float32) for name in sorted(layer["vars"], key=int)]
    names = [n.decode() if isinstance(n, bytes) else str(n) for n in layer.attrs.get("weight_names", ())]
    return [np.array(layer[name], dtype=np.float32) for name in names if name in layer]


def _some(layers: Any) -> str:
    names = sorted(layers)
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "") if names else "none"


def _keras_names() -> Iterator[tuple[str, str, str, str]]:
    """Each convolution and normalisation by its names: torchvision's, Keras' since 2018, that of 2017, and Keras 3's number.

    Keras 3 counts the layers of a class in the order of the model, in which a stage's shortcut comes before its third convolution.
    """
    layers = [("conv1", "conv1_conv", "conv1"), ("bn1", "conv1_bn", "bn_conv1")]
    for stage, (_, blocks) in enumerate(RESNET_BLOCKS):
        for block in range(blocks):
            ours, now = f"layer{stage + 1}.{block}", f"conv{stage + 2}_block{block + 1}"
            then = f"{stage + 2}{'abcdef'[block]}_branch"
            for number in (1, 2, 0, 3) if block == 0 else (1, 2, 3):
                convolution, normalisation = (f"conv{number}", f"bn{number}") if number else ("downsample.0", "downsample.1")
                branch = f"2{'abc'[number - 1]}" if number else "1"
                layers.append((f"{ours}.{convolution}", f"{now}_{number}_conv", f"res{then}{branch}"))
                layers.append((f"{ours}.{normalisation}", f"{now}_{number}_bn", f"bn{then}{branch}"))
    for at, names in enumerate(layers):
        number, normalises = divmod(at, 2)
        yield (*names, ("batch_normalization" if normalises else "conv2d") + (f"_{number}" if number else ""))


def _adapt(resnet: ResNet50, pictures: _Pictures, mean: float, std: float) -> None:
    """The first layer takes RGB pictures standardised by `mean` and `std` instead of the publisher's.

    With x what comes in, the publisher's channel is a·x + b: the kernels are scaled by a, and what b adds to each map is added to
    the convolution's bias or, where it has none, taken off the mean of the normalisation after it.
    """
    a = torch.tensor([std / s for s in pictures.std])
    b = torch.tensor([(mean - m) / s for m, s in zip(pictures.mean, pictures.std, strict=True)])
    with torch.no_grad():
        kernels = resnet.conv1.weight[:, list(pictures.order)]
        added = (kernels * b[:, None, None]).sum(dim=(1, 2, 3))
        resnet.conv1.weight.copy_(kernels * a[:, None, None])
        if resnet.conv1.bias is not None:
            resnet.conv1.bias += added
        else:
            assert resnet.bn1.running_mean is not None
            resnet.bn1.running_mean -= added
