"""First weights: of bundles, and of files as torchvision and Keras publish them, against forwards written out here."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from mien.crop import CropSpec
from mien.errors import ModelError
from mien.models import Head, ModelSpec, load_model, sha256_of
from mien.training import papers, start
from mien.training.export import check_same, store_half, to_onnx
from mien.training.networks import build
from mien.training.papers import P4ResNet50
from mien.training.start import load_imagenet, start_from_bundle
from rows import more

# --- bundles


def bundle_of(network: torch.nn.Module, size: int, folder: Path, *, half: bool = False) -> Path:
    folder.mkdir(parents=True)
    to_onnx(network, CropSpec(size=size), ("fer2013",), folder / "model.onnx")
    if half:
        store_half(folder / "model.onnx")
    head = Head("fer2013", ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"))
    sha256 = sha256_of(folder / "model.onnx")
    spec = ModelSpec("x", "1", CropSpec(size=size), 0.5, 0.25, (head,), sha256, {}, "", {}, "", {})
    (folder / "model.json").write_text(json.dumps(spec.to_json()))
    return folder


def trained(name: str, size: int) -> torch.nn.Module:
    """A network whose normalisations are not those of the start."""
    torch.manual_seed(3)
    network = build(name, {"fer2013": 7}, size, pretrained=True)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.7, 1.3)
            torch.nn.init.normal_(layer.bias, std=0.2)
    with torch.no_grad():
        for _ in range(5):
            network.train()(torch.randn(8, 1, size, size))
    return network.eval()


@pytest.mark.parametrize("name", ["mien-small", *more("efficientnet-lite0", "mini-xception", "sequential-fcn")])
def test_a_network_started_from_a_bundle_computes_what_the_bundle_computes(name: str, tmp_path: Path) -> None:
    """At an odd side on the way, where Keras pads one end more than the other; what is exported is what was trained, too."""
    network = trained(name, 50)
    bundle = bundle_of(network, 50, tmp_path / "bundle")
    batch = torch.randn(4, 1, 50, 50)
    check_same(network, load_model(bundle).session, batch.numpy())
    other = build(name, {"fer2013": 7, "ferplus": 8}, 50, pretrained=False)
    missing = start_from_bundle(other, str(bundle), torch.randn(32, 1, 50, 50))
    assert missing
    assert all(name.startswith("heads.ferplus") for name in missing)
    with torch.no_grad():
        wanted, given = network(batch)["fer2013"], other.eval()(batch)["fer2013"]
    assert float(wanted.std()) > 1e-3
    assert torch.allclose(given, wanted, rtol=1e-3, atol=1e-3 * float(wanted.abs().max()))


def test_a_bundle_in_half_precision_is_a_start_too(tmp_path: Path) -> None:
    network = trained("mien-small", 48)
    other = build("mien-small", {"fer2013": 7}, 48)
    start_from_bundle(other, str(bundle_of(network, 48, tmp_path / "bundle", half=True)), torch.randn(64, 1, 48, 48))
    batch = torch.randn(4, 1, 48, 48)
    with torch.no_grad():
        wanted, given = network(batch)["fer2013"], other.eval()(batch)["fer2013"]
    assert torch.allclose(given, wanted, atol=0.02 * float(wanted.abs().max()))


def test_a_bundle_of_another_network_is_refused(tmp_path: Path) -> None:
    bundle = bundle_of(trained("p0-arch2", 48), 48, tmp_path / "bundle")
    with pytest.raises(ModelError, match=r"is no Stack: wanted weights for trunk\.0, but got 32 × 3 × 3 × 3"):
        start_from_bundle(build("p1-cnn", {"fer2013": 7}, 48), str(bundle), torch.randn(2, 1, 48, 48))


# --- ImageNet weights

WIDTHS = ((8, 3), (16, 4), (32, 6), (64, 3))
"""An eighth of ResNet-50's, which has all its blocks and 64 times as many weights."""


@pytest.fixture(scope="module")
def narrow() -> Iterator[None]:
    assert [(width // 8, count) for width, count in papers.RESNET_BLOCKS] == list(WIDTHS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(papers, "RESNET_BLOCKS", WIDTHS)
        yield


pytestmark = pytest.mark.usefixtures("narrow")


def keras_arrays(rng: np.random.Generator) -> dict[str, list[NDArray[np.float32]]]:
    """Layers of Keras' ResNet-50 by their names since 2018, each its arrays in Keras' order and layout."""
    layers: dict[str, list[NDArray[np.float32]]] = {}

    def add(name: str, given: int, filters: int, kernel: int) -> None:
        spread = 1.4 / np.sqrt(given * kernel * kernel)
        kernels = rng.standard_normal((kernel, kernel, given, filters), dtype=np.float32) * np.float32(spread)
        layers[f"{name}_conv"] = [kernels, rng.standard_normal(filters, dtype=np.float32) * np.float32(0.1)]
        figures = [rng.uniform(0.5, 1.5, filters), rng.normal(0, 0.1, filters), rng.normal(0, 0.1, filters)]
        layers[f"{name}_bn"] = [values.astype(np.float32) for values in (*figures, rng.uniform(0.01, 1.5, filters))]

    add("conv1", 3, 64, 7)
    given = 64
    for stage, (width, blocks) in enumerate(WIDTHS, start=2):
        for block in range(1, blocks + 1):
            name = f"conv{stage}_block{block}"
            if block == 1:
                add(f"{name}_0", given, 4 * width, 1)
            add(f"{name}_1", given, width, 1)
            add(f"{name}_2", width, width, 3)
            add(f"{name}_3", width, 4 * width, 1)
            given = 4 * width
    return layers


def keras_forward(layers: Mapping[str, list[NDArray[np.float32]]], picture: torch.Tensor, eps: float) -> torch.Tensor:
    """Keras' ResNet-50 without its top for (N, 3, S, S), as `keras.applications` lists it: the first 1×1 of a stage strides."""

    def conv(x: torch.Tensor, name: str, stride: int = 1, pad: int = 0) -> torch.Tensor:
        kernels, bias = (torch.from_numpy(v) for v in layers[f"{name}_conv"])
        x = F.conv2d(F.pad(x, (pad,) * 4), kernels.permute(3, 2, 0, 1), bias, stride=stride)
        gamma, beta, mean, variance = (torch.from_numpy(v)[:, None, None] for v in layers[f"{name}_bn"])
        return gamma * (x - mean) / (variance + eps).sqrt() + beta

    x = F.max_pool2d(F.pad(conv(picture, "conv1", 2, 3).relu(), (1,) * 4), 3, 2)
    for stage, (_, blocks) in enumerate(WIDTHS, start=2):
        for block in range(1, blocks + 1):
            name, stride = f"conv{stage}_block{block}", 2 if block == 1 and stage > 2 else 1
            beside = conv(x, f"{name}_0", stride) if block == 1 else x
            x = conv(x, f"{name}_1", stride).relu()
            x = conv(x, f"{name}_2", 1, 1).relu()
            x = (conv(x, f"{name}_3") + beside).relu()
    return x


def torchvision_forward(state: Mapping[str, torch.Tensor], picture: torch.Tensor) -> torch.Tensor:
    """torchvision's ResNet-50 without its last layer: the 3×3 strides, and convolutions have no bias."""

    def conv(x: torch.Tensor, name: str, norm: str, stride: int = 1, pad: int = 0) -> torch.Tensor:
        x = F.conv2d(x, state[f"{name}.weight"], stride=stride, padding=pad)
        parts = (state[f"{norm}.{part}"][:, None, None] for part in ("weight", "bias", "running_mean", "running_var"))
        gamma, beta, mean, variance = parts
        return gamma * (x - mean) / (variance + 1e-5).sqrt() + beta

    x = F.max_pool2d(conv(picture, "conv1", "bn1", 2, 3).relu(), 3, 2, padding=1)
    for stage, (_, blocks) in enumerate(WIDTHS, start=1):
        for block in range(blocks):
            name, stride = f"layer{stage}.{block}", 2 if block == 0 and stage > 1 else 1
            beside = conv(x, f"{name}.downsample.0", f"{name}.downsample.1", stride) if block == 0 else x
            x = conv(x, f"{name}.conv1", f"{name}.bn1").relu()
            x = conv(x, f"{name}.conv2", f"{name}.bn2", stride, 1).relu()
            x = (conv(x, f"{name}.conv3", f"{name}.bn3") + beside).relu()
    return x


def torchvision_state(rng: np.random.Generator) -> dict[str, torch.Tensor]:
    """A state dictionary with torchvision's names: no biases, a last layer, and counters of the normalisations."""
    state: dict[str, torch.Tensor] = {}

    def add(conv: str, norm: str, given: int, filters: int, kernel: int) -> None:
        weight = rng.standard_normal((filters, given, kernel, kernel), dtype=np.float32) * (1.4 / kernel / given**0.5)
        state[f"{conv}.weight"] = torch.from_numpy(weight.astype(np.float32))
        ranges = {"weight": (0.5, 1.5), "bias": (-0.1, 0.1), "running_mean": (-0.1, 0.1), "running_var": (0.01, 1.5)}
        for part, (low, high) in ranges.items():
            state[f"{norm}.{part}"] = torch.from_numpy(rng.uniform(low, high, filters).astype(np.float32))
        state[f"{norm}.num_batches_tracked"] = torch.tensor(7)

    add("conv1", "bn1", 3, 64, 7)
    given = 64
    for stage, (width, blocks) in enumerate(WIDTHS, start=1):
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            for i, (one, other, kernel) in enumerate(((given, width, 1), (width, width, 3), (width, 4 * width, 1)), start=1):
                add(f"{name}.conv{i}", f"{name}.bn{i}", one, other, kernel)
            if block == 0:
                add(f"{name}.downsample.0", f"{name}.downsample.1", given, 4 * width, 1)
            given = 4 * width
    return state | {"fc.weight": torch.zeros(1000, 4 * WIDTHS[-1][0]), "fc.bias": torch.zeros(1000)}


PARTS = {2: ("kernel:0", "bias:0"), 4: ("gamma:0", "beta:0", "moving_mean:0", "moving_variance:0")}


def write_keras(path: Path, layers: Mapping[str, list[NDArray[np.float32]]], group: str = "/") -> Path:
    """As Keras writes weights: a group for each layer, and in its attributes the order of the arrays."""
    with h5py.File(path, "w") as file:
        root = file.require_group(group)
        root.attrs["layer_names"] = [name.encode() for name in layers]
        for name, values in layers.items():
            layer = root.create_group(name)
            names = [f"{name}/{part}" for part in PARTS[len(values)]]
            layer.attrs["weight_names"] = [n.encode() for n in names]
            for part, value in zip(names, values, strict=True):
                layer[part] = value
        root.create_group("add_1").attrs["weight_names"] = []  # layers without weights stand there, too
    return path


@pytest.fixture(scope="module")
def layers() -> dict[str, list[NDArray[np.float32]]]:
    return keras_arrays(np.random.default_rng(5))


@pytest.fixture(scope="module")
def keras_file(layers: dict[str, list[NDArray[np.float32]]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_keras(tmp_path_factory.mktemp("keras") / "resnet50.h5", layers)


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return torchvision_state(np.random.default_rng(6))


@pytest.fixture(scope="module")
def torchvision_file(state: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("torchvision") / "resnet50.pth"
    torch.save(state, path)
    return path


def close(given: torch.Tensor, wanted: torch.Tensor) -> bool:
    assert float(wanted.std()) > 0.1, "the reference says too little"
    return torch.allclose(given, wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()))


def test_keras_weights_compute_what_keras_network_computes(
    layers: dict[str, list[NDArray[np.float32]]], keras_file: Path, tmp_path: Path
) -> None:
    network = P4ResNet50({"a": 7}, 64).eval()
    heads = network.heads["a"].weight.detach().clone()  # type: ignore[union-attr]
    assert load_imagenet(network, keras_file, mean=0.5, std=0.25, adapt=False) == sha256_of(keras_file)
    picture = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert close(network.trunk[0](picture), keras_forward(layers, picture, 1.001e-5))  # type: ignore[index]
    assert torch.equal(network.heads["a"].weight, heads)  # type: ignore[arg-type]


def test_keras_file_of_2017_has_other_names_and_another_epsilon(
    layers: dict[str, list[NDArray[np.float32]]], keras_file: Path, tmp_path: Path
) -> None:
    early = tmp_path / "early.h5"
    with h5py.File(early, "w") as file:
        for name in layers:
            link = h5py.ExternalLink(str(keras_file), name)
            if name.startswith("conv1_"):
                file[{"conv": "conv1", "bn": "bn_conv1"}[name[6:]]] = link
                continue
            stage, block, number, kind = name.replace("conv", "", 1).replace("block", "").split("_")
            branch = "1" if number == "0" else "2" + "abc"[int(number) - 1]
            file[f"{'res' if kind == 'conv' else 'bn'}{stage}{'abcdef'[int(block) - 1]}_branch{branch}"] = link
        assert {"res2a_branch1", "bn3d_branch2c", "res4f_branch2b", "bn5c_branch2a"} <= set(file)
    network = P4ResNet50({"a": 7}, 64).eval()
    load_imagenet(network, early, mean=0.5, std=0.25, adapt=False)
    picture = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        found = network.trunk[0](picture)  # type: ignore[index]
        assert close(found, keras_forward(layers, picture, 1e-3))
        assert not close(found, keras_forward(layers, picture, 1.001e-5))


def test_torchvision_weights_compute_what_torchvisions_network_computes(
    state: dict[str, torch.Tensor], torchvision_file: Path
) -> None:
    network = P4ResNet50({"a": 7}, 64, keras=False).eval()
    assert load_imagenet(network, torchvision_file, mean=0.5, std=0.25, adapt=False) == sha256_of(torchvision_file)
    picture = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert close(network.trunk[0](picture), torchvision_forward(state, picture))  # type: ignore[index]


@pytest.mark.parametrize("kind", ["keras", "torchvision"])
def test_the_first_layer_takes_pictures_as_the_recipe_standardises_them(
    kind: str,
    keras_file: Path,
    torchvision_file: Path,
    layers: dict[str, list[NDArray[np.float32]]],
    state: dict[str, torch.Tensor],
) -> None:
    network = P4ResNet50({"a": 7}, 64, keras=kind == "keras").eval()
    load_imagenet(network, keras_file if kind == "keras" else torchvision_file, mean=0.4, std=0.3)
    values = torch.rand(2, 3, 40, 40)
    if kind == "keras":  # preprocess_input of keras.applications, mode "caffe"
        published = values.flip(1) * 255 - torch.tensor([103.939, 116.779, 123.68])[:, None, None]
        kernels, bias = (torch.from_numpy(v) for v in layers["conv1_conv"])
        wanted = F.conv2d(published, kernels.permute(3, 2, 0, 1), bias, stride=2, padding=3)
        gamma, beta, mean, variance = (torch.from_numpy(v)[:, None, None] for v in layers["conv1_bn"])
        wanted = gamma * (wanted - mean) / (variance + 1.001e-5).sqrt() + beta
    else:
        mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        wanted = F.conv2d((values - mean) / std, state["conv1.weight"], stride=2, padding=3)
        parts = (state[f"bn1.{part}"][:, None, None] for part in ("weight", "bias", "running_mean", "running_var"))
        gamma, beta, mean, variance = parts
        wanted = gamma * (wanted - mean) / (variance + 1e-5).sqrt() + beta
    with torch.no_grad():
        given = network.trunk[0].bn1(network.trunk[0].conv1((values - 0.4) / 0.3))  # type: ignore[index, union-attr]
    assert close(given[:, :, 2:-2, 2:-2], wanted[:, :, 2:-2, 2:-2])  # without what the padding touches


def test_a_switch_leaves_the_first_layer_as_it_is_published(keras_file: Path, layers: dict[str, list[NDArray[np.float32]]]) -> None:
    network = P4ResNet50({"a": 7}, 32).eval()
    load_imagenet(network, keras_file, mean=0.0, std=1.0, adapt=False)
    values = torch.rand(1, 3, 32, 32)  # pixels / 255, as P4 has them
    kernels, bias = (torch.from_numpy(v) for v in layers["conv1_conv"])
    with torch.no_grad():
        given = network.trunk[0].conv1(values)  # type: ignore[index, union-attr]
    assert close(given, F.conv2d(values, kernels.permute(3, 2, 0, 1), bias, stride=2, padding=3))


def test_a_whole_model_of_keras_keeps_its_weights_in_a_group(keras_file: Path, tmp_path: Path) -> None:
    whole = tmp_path / "model.h5"
    with h5py.File(whole, "w") as file:
        file["model_weights"] = h5py.ExternalLink(str(keras_file), "/")
    one, other = P4ResNet50({"a": 7}, 32), P4ResNet50({"a": 7}, 32)
    load_imagenet(one, whole, mean=0.5, std=0.25)
    load_imagenet(other, keras_file, mean=0.5, std=0.25)
    assert all(torch.equal(a, b) for a, b in zip(one.trunk[0].parameters(), other.trunk[0].parameters(), strict=True))  # type: ignore[index]


def test_keras_3_counts_its_layers(layers: dict[str, list[NDArray[np.float32]]], keras_file: Path, tmp_path: Path) -> None:
    """The order is that of `keras.applications.ResNet50().layers`, in which a shortcut comes before the third convolution."""
    order = sorted(layers, key=lambda name: (name.split("_")[:-2], {"0": "2b"}.get(name.split("_")[-2], name.split("_")[-2])))
    at = order.index("conv2_block1_0_conv")
    assert (order[0], order[at - 1], order[at + 2]) == ("conv1_conv", "conv2_block1_2_bn", "conv2_block1_3_conv")
    path = tmp_path / "resnet50.weights.h5"
    with h5py.File(path, "w") as file:
        file.create_group("layers/activation/vars")
        for kind, called in (("conv", "conv2d"), ("bn", "batch_normalization")):
            for number, name in enumerate(name for name in order if name.endswith(kind)):
                for part, value in enumerate(layers[name]):
                    file[f"layers/{called}{f'_{number}' if number else ''}/vars/{part}"] = value
    one, other = P4ResNet50({"a": 7}, 32), P4ResNet50({"a": 7}, 32)
    load_imagenet(one, path, mean=0.5, std=0.25)
    load_imagenet(other, keras_file, mean=0.5, std=0.25)
    assert all(torch.equal(a, b) for a, b in zip(one.trunk[0].parameters(), other.trunk[0].parameters(), strict=True))  # type: ignore[index]


def test_each_file_goes_with_its_own_network(keras_file: Path, torchvision_file: Path) -> None:
    with pytest.raises(
        ModelError, match=r"is Keras' ResNet-50, which strides in another layer; give it to the network p4-resnet50$"
    ):
        load_imagenet(P4ResNet50({"a": 7}, 32, keras=False), keras_file, mean=0.5, std=0.25)
    with pytest.raises(ModelError, match=r"is torchvision's ResNet-50.*give it to the network p4-resnet50-torchvision$"):
        load_imagenet(P4ResNet50({"a": 7}, 32), torchvision_file, mean=0.5, std=0.25)
    with pytest.raises(ModelError, match="wanted the network p4-resnet50, but got MienSmall"):
        load_imagenet(build("mien-small", {"a": 7}, 48), keras_file, mean=0.5, std=0.25)
    with pytest.raises(ModelError, match="there is no such file"):
        load_imagenet(P4ResNet50({"a": 7}, 32), keras_file.with_name("other.h5"), mean=0.5, std=0.25)


def test_a_file_is_what_its_publisher_says_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keras_file: Path) -> None:
    network = P4ResNet50({"a": 7}, 32, keras=False)
    published = tmp_path / "resnet50-0676ba61.pth"
    torch.save({}, published)
    with pytest.raises(ModelError, match=r"wanted sha256 0676ba61…, but got [0-9a-f]{64}; download it again"):
        load_imagenet(network, published, mean=0.5, std=0.25)
    honest = tmp_path / f"resnet50-{sha256_of(published)[:8]}.pth"
    honest.write_bytes(published.read_bytes())
    with pytest.raises(ModelError, match=r"is no ResNet-50: wanted weights of 64 × 3 × 7 × 7 for conv1\.weight, but got none"):
        load_imagenet(network, honest, mean=0.5, std=0.25)  # the hash is right, so that it was read
    with pytest.raises(ModelError, match=r"wanted sha256 00ff…, but got"):
        load_imagenet(network, honest, mean=0.5, std=0.25, sha256="00FF")
    named = tmp_path / "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    named.symlink_to(keras_file)
    keras = P4ResNet50({"a": 7}, 32)
    with pytest.raises(
        ModelError, match="wanted MD5 a268eb855778b3df3c7506639542a6af or 4d473c1dd8becc155b73f8504c6f6626, but got"
    ):
        load_imagenet(keras, named, mean=0.5, std=0.25)
    load_imagenet(keras, named, mean=0.5, std=0.25, sha256=sha256_of(keras_file)[:16])
    monkeypatch.setitem(start.KERAS_FILES, named.name, (hashlib.md5(keras_file.read_bytes()).hexdigest(), "0"))
    load_imagenet(keras, named, mean=0.5, std=0.25)


def h5_of(change: Callable[[h5py.File], None], path: Path, keras_file: Path) -> Path:
    with h5py.File(keras_file) as whole, h5py.File(path, "w") as file:
        for name in whole:
            file[name] = h5py.ExternalLink(str(keras_file), name)
        change(file)
    return path


def test_damaged_files_are_refused_with_what_is_wrong(tmp_path: Path, keras_file: Path, state: dict[str, torch.Tensor]) -> None:
    keras, torchvision = P4ResNet50({"a": 7}, 32), P4ResNet50({"a": 7}, 32, keras=False)
    before = {name: value.clone() for name, value in torchvision.state_dict().items()}

    def refused(network: torch.nn.Module, path: Path, match: str) -> None:
        with pytest.raises(ModelError, match=match):
            load_imagenet(network, path, mean=0.5, std=0.25)

    (tmp_path / "text.h5").write_text("no weights")
    refused(keras, tmp_path / "text.h5", r"text\.h5: wanted an HDF5 file of Keras, but it cannot be read")
    (tmp_path / "text.pth").write_text("no weights")
    refused(torchvision, tmp_path / "text.pth", r"text\.pth: wanted a state dictionary of torchvision, but it cannot be read")
    torch.save([1, 2], tmp_path / "list.pth")
    refused(torchvision, tmp_path / "list.pth", "but got list with other things in it")

    def without(file: h5py.File) -> None:
        del file["conv3_block2_1_conv"]

    refused(keras, h5_of(without, tmp_path / "a.h5", keras_file), "wanted a layer conv3_block2_1_conv, but it has: ")

    def empty(file: h5py.File) -> None:
        del file["conv1_bn"]
        file.create_group("conv1_bn")

    refused(keras, h5_of(empty, tmp_path / "b.h5", keras_file), "wanted 2 or 4 arrays in conv1_bn, but got 0")
    wrong = state | {"layer1.0.conv2.weight": torch.zeros(8, 8, 1, 1)}
    torch.save(wrong, tmp_path / "wrong.pth")
    refused(
        torchvision,
        tmp_path / "wrong.pth",
        r"wanted weights of 8 × 8 × 3 × 3 for layer1\.0\.conv2\.weight, but got 8 × 8 × 1 × 1",
    )
    torch.save(state | {"bn1.bias": torch.full((64,), float("nan"))}, tmp_path / "nan.pth")
    refused(torchvision, tmp_path / "nan.pth", r"is damaged: bn1\.bias holds values that are no numbers")
    assert all(torch.equal(value, before[name]) for name, value in torchvision.state_dict().items())


def test_a_pickle_that_runs_code_is_not_run(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (Path(tmp_path / "harmed"),)  # type: ignore[return-value]

    torch.save({"conv1.weight": Harm()}, tmp_path / "harm.pth")
    with pytest.raises(ModelError, match="cannot be read"):
        load_imagenet(P4ResNet50({"a": 7}, 32, keras=False), tmp_path / "harm.pth", mean=0.5, std=0.25)
    assert not (tmp_path / "harmed").exists()
