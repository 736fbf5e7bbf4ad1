"""One training run on shapes that many tests look at."""

from pathlib import Path
from typing import Any

import pytest
import torch
from shapes import RECIPE, Tiny, write_tables

from mien.cli import main
from mien.training import networks


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(networks.NETWORKS, "tiny", Tiny)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Weights and batches that a test draws are the same in each run, whichever tests came before."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tables(tmp_path_factory.mktemp("fer2013"))


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "shapes.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def run(data: Path, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was never disturbed, made by the command."""
    folder = tmp_path_factory.mktemp("runs") / "shapes"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(networks.NETWORKS, "tiny", Tiny)
        assert main(["train", str(recipe), "--data", str(data), "--run", str(folder), "--accelerator", "cpu"]) == 0
    return folder


@pytest.fixture(scope="session")
def bundle_folder(run: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of that run, made by the command."""
    folder: Any = tmp_path_factory.mktemp("models") / "shapes"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(networks.NETWORKS, "tiny", Tiny)
        assert main(["export", str(run), "--data", str(data), "--out", str(folder)]) == 0
    return folder
