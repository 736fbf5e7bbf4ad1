"""An SVM on the features of a run: the same decisions as scikit-learn's own, and one bundle."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC

from mien.cli import main
from mien.emotion import network_input
from mien.errors import DataError, ModelError
from mien.labels import FER2013
from mien.models import load_model
from mien.training.data import FaceSet, load_faces
from mien.training.experiment import Cell, Result, table_rows
from mien.training.networks import build
from mien.training.paper_tables import paper_tables
from mien.training.recipe import read_recipe
from mien.training.run_folder import read_run
from mien.training.scoring import score_run, score_svm
from mien.training.svm import C_VALUES, fit_svm
from mien.training.train import averaged_network, train


@pytest.fixture(scope="module")
def with_features(data: Path, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of P0's second network on shapes."""
    folder = tmp_path_factory.mktemp("svm")
    text = (
        recipe.read_text(encoding="utf-8").replace('network = "tiny"', 'network = "p0-arch2"').replace("epochs = 3", "epochs = 2")
    )
    changed = folder / "features.toml"
    changed.write_text(text, encoding="utf-8")
    return train(read_recipe(changed), data, folder / "run", accelerator="cpu", progress=False)


@pytest.fixture(scope="module")
def faces(data: Path, recipe: Path) -> FaceSet:
    spec = read_recipe(recipe)
    return load_faces(data, spec.crop, align=spec.align)


def test_it_is_scored_beside_the_softmax_of_the_same_network(with_features: Path, data: Path, faces: FaceSet) -> None:
    weights = (with_features / "best.ckpt").read_bytes()
    found = score_svm(with_features, data)
    network, head = averaged_network(with_features), "ferplus"  # the first of the recipe
    fit = fit_svm(network, faces.of("Training"), faces.of("PublicTest"), head, mean=0.5, std=0.25)
    assert found["fit"] == fit.to_json()
    assert found["PublicTest"]["accuracy"] == pytest.approx(fit.accuracy[f"{fit.c:g}"], abs=1e-4)
    for split in ("Training", "PublicTest", "PrivateTest"):
        some = faces.of(split)
        truth = some.truth(head)
        with torch.no_grad():
            said = network(torch.from_numpy(network_input(some.crops, 0.5, 0.25)))[head].argmax(dim=1).numpy()
        assert found[split]["accuracy"] == pytest.approx((said == truth)[truth >= 0].mean())
        score_run(with_features, data, split)
    assert (with_features / "best.ckpt").read_bytes() == weights
    run = read_run(with_features)
    row = table_rows([Result(Cell("a", "a", run.recipe, {}, svm=True), run)])[0]
    (own,) = paper_tables([row])
    assert [cells[0] for cells in own.table[1]] == ["Training, with dropout", "Training", "PublicTest", "PrivateTest"]
    assert own.table[1][3][2] == f"{100 * found['PrivateTest']['accuracy']:.1f} %"
    assert run.training is not None
    assert own.table[1][1][1] == f"{100 * run.training['heads'][head]['accuracy']:.1f} %"


def test_the_head_decides_as_the_svm_does(with_features: Path, faces: FaceSet) -> None:
    network = averaged_network(with_features)
    before = {name: value.clone() for name, value in network.state_dict().items() if not name.startswith("heads.fer2013")}
    fit = fit_svm(network, faces.of("Training"), faces.of("PublicTest"), "fer2013", mean=0.5, std=0.25)
    assert sorted(map(float, fit.accuracy)) == list(C_VALUES)
    assert fit.accuracy[f"{fit.c:g}"] == max(fit.accuracy.values())
    assert fit.c == min(float(c) for c, share in fit.accuracy.items() if share == max(fit.accuracy.values()))
    assert (fit.faces, fit.missing) == (84, ())
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())

    def features(split: str) -> np.ndarray:
        with torch.no_grad():
            batch = torch.from_numpy(network_input(faces.of(split).crops, 0.5, 0.25))
            return network.features(batch).numpy().astype(np.float64)  # type: ignore[operator, no-any-return]

    known = features("Training")
    own = LinearSVC(C=fit.c, dual=False, max_iter=2000).fit(
        (known - known.mean(axis=0)) / np.where(known.std(axis=0) > 0, known.std(axis=0), 1), faces.of("Training").fer2013
    )
    unseen = features("PrivateTest")
    wanted = own.decision_function((unseen - known.mean(axis=0)) / np.where(known.std(axis=0) > 0, known.std(axis=0), 1))
    with torch.no_grad():
        given = network(torch.from_numpy(network_input(faces.of("PrivateTest").crops, 0.5, 0.25)))["fer2013"].numpy()
    assert np.allclose(given, wanted, atol=1e-4)
    assert (given.argmax(axis=1) == faces.of("PrivateTest").fer2013).mean() > 0.9


def test_network_and_svm_are_one_bundle(
    with_features: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, svm = tmp_path / "plain", tmp_path / "svm"
    assert main(["export", str(with_features), "--data", str(data), "--out", str(plain)]) == 0
    assert main(["export", str(with_features), "--data", str(data), "--out", str(svm), "--svm", "0.01", "0.1"]) == 0
    one, other = load_model(plain), load_model(svm)
    facts = other.spec.recipe["svm"]
    assert set(facts) == {"ferplus", "fer2013"}
    assert set(facts["fer2013"]["accuracy"]) == {"0.01", "0.1"}
    assert facts["fer2013"]["c"] in (0.01, 0.1)
    assert facts["ferplus"]["missing"] == ["contempt"]
    assert "svm" not in one.spec.recipe
    assert "one-vs-all SVMs" in other.card
    assert "SVM" not in one.card
    assert other.spec.evaluation["fer2013"]["PublicTest"]["accuracy"] == pytest.approx(
        max(facts["fer2013"]["accuracy"].values()), abs=0.1
    )
    batch = np.random.default_rng(0).normal(size=(3, 1, 16, 16)).astype(np.float32)
    assert not np.allclose(one.session(batch)["fer2013"], other.session(batch)["fer2013"])
    assert json.loads((svm / "model.json").read_text())["recipe"]["network"] == "p0-arch2"
    assert main(["models", "show", str(svm), "--layers"]) == 0
    assert "p0-arch2: 16 × 16 × 1, grey copied to 3 channels" in capsys.readouterr().out


@pytest.mark.parametrize("present", [(1, 4), (0, 2, 5)])
def test_a_class_without_faces_is_told_and_never_said(faces: FaceSet, present: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = build("p0-arch2", {"fer2013": 7}, 16).eval()
    some = faces[np.isin(faces.fer2013, present)]
    fit = fit_svm(network, some.of("Training"), some.of("PublicTest"), "fer2013", mean=0.5, std=0.25)
    assert fit.missing == tuple(name for i, name in enumerate(FER2013) if i not in present)
    with torch.no_grad():
        values = network(torch.from_numpy(network_input(some.of("PrivateTest").crops, 0.5, 0.25)))["fer2013"].numpy()
    assert (values[:, [i for i in range(7) if i not in present]] == -1).all()
    assert (values.argmax(axis=1) == some.of("PrivateTest").fer2013).mean() > 0.9


def test_what_an_svm_cannot_be_fitted_on(faces: FaceSet) -> None:
    train_faces, select = faces.of("Training"), faces.of("PublicTest")
    network = build("p0-arch2", {"fer2013": 7}, 16)
    with pytest.raises(ModelError, match="wanted features and a head 'ferplus' to put an SVM on, but its heads are: fer2013"):
        fit_svm(network, train_faces, select, "ferplus", mean=0.5, std=0.25)
    with pytest.raises(ModelError, match="Tiny: wanted features"):
        fit_svm(build("tiny", {"fer2013": 7}, 16), train_faces, select, "fer2013", mean=0.5, std=0.25)
    with pytest.raises(DataError, match="wants Training faces of at least two classes, but got: fear"):
        fit_svm(network, train_faces[train_faces.fer2013 == 2], select, "fer2013", mean=0.5, std=0.25)
    with pytest.raises(DataError, match="chosen on PublicTest, but none of its faces has a label"):
        fit_svm(network, train_faces, select[select.fer2013 < 0], "fer2013", mean=0.5, std=0.25)
    with pytest.raises(ValueError, match="wanted values of C above 0, but got 0, 1"):
        fit_svm(network, train_faces, select, "fer2013", mean=0.5, std=0.25, c_values=(0, 1))
