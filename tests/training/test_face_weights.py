"""First weights from published networks that recognise faces, against their forwards written out here."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mien.crop import CropSpec
from mien.errors import ModelError
from mien.models import sha256_of
from mien.training.data import FaceSet
from mien.training.export import weights_licence
from mien.training.face_weights import DLIB_MEAN_COLOUR, MEAN_COLOUR, load_faces_mobilenet, load_graph_model
from mien.training.networks import DlibResNet, MobileNet, build
from mien.training.recipe import Recipe
from mien.training.train import begin_from

MEAN, STD = 0.5, 0.25
Weights = dict[str, np.ndarray]


def published() -> Weights:
    """Random weights by the names of HSE_FaceRec_tf, in the layouts of TensorFlow: (H, W, in, out), and (H, W, channels, 1)."""
    rng = np.random.default_rng(5)
    weights: Weights = {}

    def layer(name: str, kernel: str, shape: tuple[int, ...], given: int, made: int) -> None:
        weights[f"{name}/{kernel}"] = rng.normal(0, (2 / given) ** 0.5, shape)
        weights[f"{name}_bn/batchnorm_1/sub"] = rng.normal(0.2, 0.3, made)

    layer("conv1", "convolution/merged_input", (3, 3, 3, 32), 27 * 60**2, 32)  # its pictures go to 255
    given = 32
    for i, (width, _) in enumerate(MobileNet.BLOCKS, 1):
        layer(f"conv_dw_{i}", "depthwise_kernel", (3, 3, given, 1), 9, given)
        weights[f"conv_dw_{i}_bn/batchnorm_1/mul"] = rng.uniform(0.7, 1.4, given)
        layer(f"conv_pw_{i}", "convolution/merged_input", (1, 1, given, width), given, width)
        given = width
    weights["age_pred/bias"] = rng.normal(size=100)
    return {name: values.astype(np.float16) for name, values in weights.items()}


def write(weights: Weights, folder: Path) -> Path:
    """A graph model as TensorFlow.js writes it, in half precision."""
    entries = [
        {
            "name": name,
            "shape": list(values.shape),
            "dtype": "float32",
            "quantization": {"dtype": str(values.dtype), "original_dtype": "float32"},
        }
        for name, values in weights.items()
    ]
    (folder / "faceres.bin").write_bytes(b"".join(values.tobytes() for values in weights.values()))
    path = folder / "faceres.json"
    path.write_text(json.dumps({"format": "graph-model", "weightsManifest": [{"paths": ["faceres.bin"], "weights": entries}]}))
    return path


def padded(maps: torch.Tensor, stride: int, value: float = 0.0) -> torch.Tensor:
    """TensorFlow's 'same' for a 3 × 3 kernel: the odd pixel comes after."""
    missing = 2 if stride == 1 or maps.shape[2] % 2 else 1
    before, after = missing // 2, missing - missing // 2
    return F.pad(maps, (before, after, before, after), value=value)


def features(weights: Weights, grey: torch.Tensor) -> torch.Tensor:
    """What the published network makes of grey pictures (N, 1, S, S) of 0 to 1, on a ground of MEAN; (N, 1024)."""
    held = {name: torch.tensor(values, dtype=torch.float32) for name, values in weights.items()}

    def after(maps: torch.Tensor, name: str) -> torch.Tensor:
        return (maps + held[f"{name}_bn/batchnorm_1/sub"][:, None, None]).clamp(0, 6)

    pictures = 255 * padded(grey, 2 - grey.shape[2] % 2, MEAN).expand(-1, 3, -1, -1) - torch.tensor(MEAN_COLOUR)[:, None, None]
    maps = after(F.conv2d(pictures, held["conv1/convolution/merged_input"].permute(3, 2, 0, 1), stride=2), "conv1")
    for i, (_, stride) in enumerate(MobileNet.BLOCKS, 1):
        kernel = held[f"conv_dw_{i}/depthwise_kernel"].permute(2, 3, 0, 1)
        maps = F.conv2d(padded(maps, stride), kernel, stride=stride, groups=len(kernel))
        maps = after(maps * held[f"conv_dw_{i}_bn/batchnorm_1/mul"][:, None, None], f"conv_dw_{i}")
        maps = after(F.conv2d(maps, held[f"conv_pw_{i}/convolution/merged_input"].permute(3, 2, 0, 1)), f"conv_pw_{i}")
    return maps.mean(dim=(2, 3))


@pytest.fixture(scope="module")
def weights() -> Weights:
    return published()


@pytest.fixture(scope="module")
def file(weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(weights, tmp_path_factory.mktemp("faceres"))


@pytest.fixture
def network() -> MobileNet:
    torch.manual_seed(2)
    found = build("mobilenet", {"ferplus": 8}, 48)
    assert isinstance(found, MobileNet)
    return found


@pytest.mark.parametrize("size", [48, 53])
def test_it_computes_what_the_published_network_computes(network: MobileNet, weights: Weights, file: Path, size: int) -> None:
    """Also where the sides are odd on the way; another batch than that by which the normalisations were measured."""
    torch.manual_seed(7)
    measured, grey = torch.rand(32, 1, size, size), torch.rand(4, 1, size, size)
    found = load_faces_mobilenet(network, file, (measured - MEAN) / STD, mean=MEAN, std=STD)
    assert found == sha256_of(file.with_suffix(".bin"))
    wanted = features(weights, grey)
    with torch.no_grad():
        got = network.eval().features((grey - MEAN) / STD)
    assert wanted.std() > 0.05
    torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-3)


def test_its_normalisations_are_those_of_the_faces(network: MobileNet, file: Path) -> None:
    """What is trained on then computes the same at first with the figures of a batch as with those that were kept."""
    torch.manual_seed(7)
    batch = (torch.rand(64, 1, 48, 48) - MEAN) / STD
    load_faces_mobilenet(network, file, batch, mean=MEAN, std=STD)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
    with torch.no_grad():
        kept = network.eval().features(batch)
        torch.testing.assert_close(network.train().features(batch), kept, rtol=0.02, atol=0.02)


def some_faces(size: int) -> FaceSet:
    rng = np.random.default_rng(1)
    crops = rng.integers(0, 256, (20, size, size), dtype=np.uint8)
    count = len(crops)
    return FaceSet(
        crops=crops,
        labels=np.zeros(count, np.int64),
        votes=np.zeros((count, 10), np.int64),
        split=np.full(count, "Training"),
        aligned=np.zeros(count, bool),
        names=("anger",),
        person=np.full(count, ""),
        source=np.full(count, ""),
    )


def test_a_recipe_starts_from_it_and_says_so(network: MobileNet, weights: Weights, file: Path) -> None:
    recipe = Recipe("x", network="mobilenet", pretrained=False, start=str(file), crop=CropSpec(size=48))
    assert begin_from(network, recipe, some_faces(48)) == sha256_of(file.with_suffix(".bin"))
    grey = torch.rand(2, 1, 48, 48)
    with torch.no_grad():
        torch.testing.assert_close(network.eval().features((grey - MEAN) / STD), features(weights, grey), rtol=1e-3, atol=1e-3)
    licence = weights_licence(recipe)
    assert "HSE_FaceRec_tf (Apache-2.0)" in licence
    assert "VGGFace2" in licence
    assert "VGGFace2" not in weights_licence(replace(recipe, start=""))


def test_what_is_no_such_network_is_refused(network: MobileNet, weights: Weights, file: Path, tmp_path: Path) -> None:
    batch = torch.zeros(2, 1, 48, 48)

    def refused(path: Path, match: str, sha256: str = "") -> None:
        before = {name: value.clone() for name, value in network.state_dict().items()}
        with pytest.raises(ModelError, match=match):
            load_faces_mobilenet(network, path, batch, mean=MEAN, std=STD, sha256=sha256)
        assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items()), "half loaded"

    refused(file, "wanted sha256 0123…, but got", sha256="0123")
    refused(tmp_path / "none.json", "wanted weights as TensorFlow.js has them")
    (tmp_path / "text.json").write_text("nothing")
    refused(tmp_path / "text.json", "wanted weights as TensorFlow.js has them")
    other = {name: values for name, values in weights.items() if name != "conv_pw_13/convolution/merged_input"}
    refused(write(other, tmp_path), "wanted weights called conv_pw_13/convolution/merged_input, but there are none")
    narrow = weights | {"conv_pw_2/convolution/merged_input": np.zeros((1, 1, 64, 32), np.float16)}
    refused(write(narrow, tmp_path), "wanted weights of 128 × 64 × 1 × 1 for conv_pw_2, but got 32 × 64 × 1 × 1")
    damaged = weights | {"conv1_bn/batchnorm_1/sub": np.full(32, np.nan, np.float16)}
    refused(write(damaged, tmp_path), "is damaged: conv1_bn/batchnorm_1/sub holds values that are no numbers")
    short = write(weights, tmp_path)
    short.with_suffix(".bin").write_bytes(short.with_suffix(".bin").read_bytes()[:-4000])
    refused(short, "wanted weights as TensorFlow.js has them")
    told = json.loads(file.read_text())
    for paths in ([], ["a.bin", "b.bin"], ["../faceres.bin"]):
        told["weightsManifest"][0]["paths"] = paths
        (tmp_path / "elsewhere.json").write_text(json.dumps(told))
        refused(tmp_path / "elsewhere.json", "wanted one file of weights beside it")


DLIB_NAMES = (
    *("conv32_1", "conv32_2", "conv32_3", "conv64_down", "conv64_1", "conv64_2", "conv64_3"),
    *("conv128_down", "conv128_1", "conv128_2", "conv256_down", "conv256_1", "conv256_2", "conv256_down_out"),
)


@pytest.fixture(scope="module")
def dlib(tmp_path_factory: pytest.TempPathFactory) -> tuple[Weights, Path]:
    """Random weights by the names of face-api's copy of dlib's network, in bytes but for some, and what those bytes mean."""
    rng = np.random.default_rng(3)
    meant: Weights = {}
    entries, held = [], b""

    def add(name: str, values: np.ndarray, *, whole: bool = False) -> None:
        nonlocal held
        entry = {"name": name, "shape": list(values.shape), "dtype": "float32"}
        if whole:
            meant[name] = values.astype(np.float32)
            held += meant[name].tobytes()
        else:
            least, step = float(values.min()), float(np.ptp(values)) / 255 or 1.0
            stored = ((values - least) / step).round().astype(np.uint8)
            meant[name] = (stored * step + least).astype(np.float32)
            entry["quantization"] = {"dtype": "uint8", "scale": step, "min": least}
            held += stored.tobytes()
        entries.append(entry)

    def layer(name: str, side: int, given: int, made: int) -> None:
        spread = (1 / (side * side * given)) ** 0.5
        add(f"{name}/conv/filters", rng.normal(0, spread, (side, side, given, made)), whole=made == 64)
        add(f"{name}/conv/bias", rng.normal(0, 0.1, made))
        add(f"{name}/scale/weights", rng.uniform(0.7, 1.4, made))
        add(f"{name}/scale/biases", rng.normal(0, 0.2, made))

    layer("conv32_down", 7, 3, 32)
    given = 32
    for name in DLIB_NAMES:
        width = int(name.removeprefix("conv").split("_")[0])
        layer(f"{name}/conv1", 3, given, width)
        layer(f"{name}/conv2", 3, width, width)
        given = width
    add("fc", rng.normal(size=(256, 128)))
    folder = tmp_path_factory.mktemp("dlib")
    (folder / "face_recognition_model.bin").write_bytes(held)
    path = folder / "face_recognition_model-weights_manifest.json"
    path.write_text(json.dumps([{"paths": ["face_recognition_model.bin"], "weights": entries}]))
    return meant, path


def dlib_features(weights: Weights, grey: torch.Tensor) -> torch.Tensor:
    """What the published network makes of grey pictures (N, 1, S, S) of 0 to 1: the means of its last four maps, (N, 1024)."""
    held = {name: torch.from_numpy(values) for name, values in weights.items()}

    def scaled(maps: torch.Tensor, name: str, stride: int, padding: int) -> torch.Tensor:
        kernel = held[f"{name}/conv/filters"].permute(3, 2, 0, 1)
        maps = F.conv2d(maps, kernel, held[f"{name}/conv/bias"], stride=stride, padding=padding)
        return maps * held[f"{name}/scale/weights"][:, None, None] + held[f"{name}/scale/biases"][:, None, None]

    pictures = (255 * grey.expand(-1, 3, -1, -1) - torch.tensor(DLIB_MEAN_COLOUR)[:, None, None]) / 256
    maps = F.max_pool2d(scaled(pictures, "conv32_down", 2, 0).relu(), 3, 2)
    means = []
    for name in DLIB_NAMES:
        down = "down" in name
        found = scaled(maps, f"{name}/conv1", 2 if down else 1, 0 if down else 1).relu()
        found = scaled(found, f"{name}/conv2", 1, 1)
        beside = F.avg_pool2d(maps, 2) if down else maps
        side = max(found.shape[2], beside.shape[2])
        both = torch.zeros(2, len(grey), found.shape[1], side, side)
        both[0, :, :, : found.shape[2], : found.shape[2]] = found
        both[1, :, : beside.shape[1], : beside.shape[2], : beside.shape[2]] = beside
        maps = both.sum(dim=0).relu()
        means.append(maps.mean(dim=(2, 3)))
    return torch.cat(means[-4:], dim=1)


@pytest.mark.parametrize("size", [112, 117, 150])
def test_dlibs_network_computes_what_the_published_one_computes(dlib: tuple[Weights, Path], size: int) -> None:
    """Also where one of two maps is the smaller and is filled up: 150 is the size that it was published for."""
    weights, file = dlib
    torch.manual_seed(4)
    network, grey = build("dlib-resnet", {"ferplus": 8}, size).eval(), torch.rand(3, 1, size, size)
    found = load_graph_model(network, file, torch.zeros(1, 1, size, size), mean=MEAN, std=STD)
    assert found == sha256_of(file.with_name("face_recognition_model.bin"))
    wanted = dlib_features(weights, grey)
    with torch.no_grad():
        got = network.features((grey - MEAN) / STD)
    assert wanted.std() > 0.05
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


def test_a_recipe_starts_from_dlibs_network_and_says_so(dlib: tuple[Weights, Path]) -> None:
    weights, file = dlib
    recipe = Recipe("x", network="dlib-resnet", pretrained=False, start=str(file), crop=CropSpec(size=112))
    network = build("dlib-resnet", {"ferplus": 8}, 112)
    assert begin_from(network, recipe, some_faces(112)) == sha256_of(file.with_name("face_recognition_model.bin"))
    grey = torch.rand(2, 1, 112, 112)
    with torch.no_grad():
        torch.testing.assert_close(network.eval().features((grey - MEAN) / STD), dlib_features(weights, grey), rtol=1e-3, atol=1e-3)
    assert "dlib's face_recognition_resnet_model_v1 (public domain)" in weights_licence(recipe)


def test_one_networks_file_is_refused_by_the_other(network: MobileNet, file: Path, dlib: tuple[Weights, Path]) -> None:
    deep = build("dlib-resnet", {"ferplus": 8}, 112)
    assert isinstance(deep, DlibResNet)
    batch = torch.zeros(2, 1, 48, 48)
    with pytest.raises(ModelError, match="holds another network: wanted weights called conv32_down/scale/weights"):
        load_graph_model(deep, file, batch, mean=MEAN, std=STD)
    with pytest.raises(ModelError, match="holds another network: wanted weights called conv1_bn/batchnorm_1/sub"):
        load_graph_model(network, dlib[1], batch, mean=MEAN, std=STD)
    with pytest.raises(ModelError, match="wanted the network mobilenet or dlib-resnet, but got MienSmall"):
        load_graph_model(build("mien-small", {"ferplus": 8}, 48), file, batch, mean=MEAN, std=STD)
