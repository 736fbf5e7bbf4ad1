"""The tables against those that the papers print."""

import json
from pathlib import Path

import pytest
import torch

from mien.cli import main
from mien.models import load_model
from mien.training import commands
from mien.training.layers import count_parameters
from mien.training.networks import NETWORKS, ORIGINS, build
from mien.training.summary import LayerRow, format_layers, layer_table
from mien.training.train import averaged_network

P0_ARCH1 = """
conv2d_1 (Conv2D)                       (None, 44, 44, 64)     4864
max_pooling2d_1 (MaxPooling2D)          (None, 20, 20, 64)        0
conv2d_2 (Conv2D)                       (None, 18, 18, 64)    36928
conv2d_3 (Conv2D)                       (None, 16, 16, 64)    36928
average_pooling2d_1 (AveragePooling2D)  (None, 7, 7, 64)          0
conv2d_4 (Conv2D)                       (None, 5, 5, 128)     73856
conv2d_5 (Conv2D)                       (None, 3, 3, 128)    147584
average_pooling2d_2 (AveragePooling2D)  (None, 1, 1, 128)         0
flatten_1 (Flatten)                     (None, 128)               0
dense_1 (Dense)                         (None, 1024)         132096
dropout_1 (Dropout)                     (None, 1024)              0
dense_2 (Dense)                         (None, 1024)        1049600
dropout_2 (Dropout)                     (None, 1024)              0
dense_3 (Dense)                         (None, 7)              7175
"""
"""Figure 6 of P0."""

P2_50 = """
conv2d_1 (Conv2D)               (None, 50, 50, 32)       896
max_pooling2d_1 (MaxPooling2D)  (None, 25, 25, 32)         0
conv2d_2 (Conv2D)               (None, 25, 25, 64)     18496
conv2d_3 (Conv2D)               (None, 25, 25, 128)    73856
dropout_1 (Dropout)             (None, 25, 25, 128)        0
max_pooling2d_2 (MaxPooling2D)  (None, 12, 12, 128)        0
max_pooling2d_3 (MaxPooling2D)  (None, 6, 6, 128)          0
flatten_1 (Flatten)             (None, 4608)               0
dense_1 (Dense)                 (None, 256)          1179904
dense_2 (Dense)                 (None, 6)               1542
"""
"""Figure 3.2 of P2; Keras numbered its layers from none there."""


@pytest.mark.parametrize(("name", "classes", "table"), [("p0-arch1", 7, P0_ARCH1), ("p2-cnn-50", 6, P2_50)])
def test_the_papers_tables(name: str, classes: int, table: str) -> None:
    size = ORIGINS[name].size
    text = format_layers(layer_table(build(name, {"a": classes}, size), size, 1)).splitlines()
    assert text[2:-4] == table.strip("\n").splitlines()


def test_branches_come_in_the_order_in_which_they_are_passed() -> None:
    rows = layer_table(build("mini-xception", {"a": 7}, 64), 64, 1)
    module = [(row.kind, row.shape, row.parameters) for row in rows[6:15]]
    assert module == [
        ("Conv2D", (30, 30, 16), 128),
        ("BatchNormalization", (30, 30, 16), 64),
        ("SeparableConv2D", (60, 60, 16), 200),
        ("BatchNormalization", (60, 60, 16), 64),
        ("Activation", (60, 60, 16), 0),
        ("SeparableConv2D", (60, 60, 16), 400),
        ("BatchNormalization", (60, 60, 16), 64),
        ("MaxPooling2D", (30, 30, 16), 0),
        ("Add", (30, 30, 16), 0),
    ]
    assert [(row.name, row.shape, row.parameters) for row in rows[-2:]] == [
        ("conv2d_7", (4, 4, 7), 8071),
        ("global_average_pooling2d_1", (7,), 0),
    ]


@pytest.mark.parametrize("name", sorted(ORIGINS))
def test_the_rows_hold_all_weights_and_leave_the_network_as_it_was(name: str) -> None:
    size = ORIGINS[name].size
    network = build(name, {"a": 7, "b": 8}, size, pretrained=False)
    next(iter(network.parameters())).requires_grad_(False)  # counts as not trainable, as in Keras
    network.train()
    before = {n: v.clone() for n, v in network.state_dict().items()}
    rows = layer_table(network, size, 1)
    figures = sum(v.numel() for n, v in before.items() if n.rsplit(".", 1)[-1] in ("running_mean", "running_var"))
    assert sum(row.parameters for row in rows) == sum(p.numel() for p in network.parameters()) + figures
    assert sum(row.trainable for row in rows) == sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert network.training
    assert all(module.training for module in network.modules())
    assert all(torch.equal(v, before[n]) for n, v in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())
    assert len({row.name for row in rows}) == len(rows)


def test_every_network_says_where_it_is_from() -> None:
    assert set(ORIGINS) == set(NETWORKS) - {"tiny"}


def test_totals_of_a_table() -> None:
    rows = [
        LayerRow("conv2d_1", "Conv2D", (2, 3, 4), 1500, 1500),
        LayerRow("batch_normalization_1", "BatchNormalization", (4,), 16, 8),
    ]
    lines = format_layers(rows).splitlines()
    assert lines[2] == "conv2d_1 (Conv2D)                           (None, 2, 3, 4)     1500"
    assert lines[-3:] == ["Total params: 1,516", "Trainable params: 1,508", "Non-trainable params: 8"]


# --- the command


def test_models_show_prints_the_layers_of_a_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "show", "p0-arch3", "--layers"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("p0-arch3: 48 × 48 × 1, grey copied to 3 channels → fer2013 (7)\n")
    assert "conv2d_6 (Conv2D)               (None, 5, 5, 128)    147584\n" in out
    assert out.endswith("Total params: 290,599\nTrainable params: 290,599\nNon-trainable params: 0\n")


def test_models_show_prints_the_layers_of_a_recipe_and_of_a_bundle(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    recipe = tmp_path / "small.toml"
    recipe.write_text('name = "x"\nnetwork = "p1-cnn"\n[heads]\nferplus = 1\n[crop]\nsize = 64\n')
    assert main(["models", "show", str(recipe), "--layers"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("p1-cnn: 64 × 64 × 1 → ferplus (8)\n")
    assert "(None, 62, 62, 32)" in out
    assert main(["models", "show", "default", "--layers"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("efficientnet-lite0: 96 × 96 × 1 → ferplus (8), fer2013 (7)\n")
    assert "Trainable params: 3,389,647\n" in out


@pytest.mark.parametrize("name", ["mien-lite0", "mien-small"])
def test_parameters_are_counted_one_way(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What a shipped model's card says is what its layers add up to."""
    assert main(["models", "show", name, "--layers"]) == 0
    parameters = load_model(name).spec.evaluation["parameters"]
    assert f"Total params: {parameters:,}\n" in capsys.readouterr().out


def test_the_layers_of_a_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "show", str(run), "--layers"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("tiny: 16 × 16 × 1 → ferplus (8), fer2013 (7)")
    network = averaged_network(run)
    assert f"Total params: {count_parameters(network):,}" in out
    moved = sum(p.numel() for p in network.parameters())
    assert f"Trainable params: {moved:,}" in out
    assert count_parameters(network) - moved == 32  # running means and variances of 16 maps


def test_models_show_names_models_and_networks(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["models", "show", "p9", "--layers"]) == 1
    error = capsys.readouterr().err
    assert "no model 'p9'" in error
    assert "networks: dlib-resnet, efficientnet-lite0, mien-medium, mien-small, mobilenet, p0-arch1" in error
    broken = tmp_path / "broken.toml"
    broken.write_text('name = "x"\nlayers = 3\n')
    assert main(["models", "show", str(broken), "--layers"]) == 1
    assert "unknown key 'layers'" in capsys.readouterr().err
    assert main(["models", "show", "default", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recipe"]["network"] == "efficientnet-lite0"


def test_without_torch_the_layers_need_the_train_extra(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands.importlib.util, "find_spec", lambda name: None)
    assert main(["models", "show", "p0-arch3", "--layers"]) == 1
    assert "mien models show --layers needs the train extra (torch, lightning, onnx, onnxscript missing)" in capsys.readouterr().err
