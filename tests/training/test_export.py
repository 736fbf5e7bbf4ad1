import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from fakes import FakeSession, tiny_network
from mien.analyze import Analyzer
from mien.crop import CropSpec
from mien.emotion import Expressions
from mien.errors import DataError, ModelError
from mien.labels import FER2013, FERPLUS
from mien.models import OnnxSession, load_model
from mien.training import export as module
from mien.training.card import card
from mien.training.data import load_faces
from mien.training.evaluate import calibration_error, class_scores
from mien.training.export import TOLERANCE, check_same, choose_prior, export, fit_temperature, store_half
from mien.training.layers import count_parameters
from mien.training.train import averaged_network

# --- the whole way: recipe → run → bundle → analysis


def test_the_exported_network_says_what_the_trained_one_says(run: Path, bundle_folder: Path) -> None:
    session = OnnxSession(bundle_folder / "model.onnx")
    assert session.outputs == ["ferplus", "fer2013"]
    for n in (1, 3, 65):  # the batch size is free
        batch = np.random.default_rng(n).normal(size=(n, 1, 16, 16)).astype(np.float32)
        assert check_same(averaged_network(run), session, batch) <= TOLERANCE


def test_a_network_names_no_folder_of_the_machine(bundle_folder: Path) -> None:
    content = (bundle_folder / "model.onnx").read_bytes()
    assert b".py" not in content
    assert str(Path(module.__file__).parent).encode() not in content


def test_the_bundle_is_whole_and_its_card_is_its_json(run: Path, bundle_folder: Path) -> None:
    assert {p.name for p in bundle_folder.iterdir()} == {"model.onnx", "model.json", "CARD.md"}
    bundle = load_model(bundle_folder)
    assert bundle.card == card(bundle.spec)
    assert (bundle.spec.name, bundle.spec.crop.size) == ("shapes", 16)
    assert [h.labels for h in bundle.spec.heads] == [FERPLUS, FER2013]
    assert bundle.spec.recipe["name"] == "shapes"
    assert bundle.spec.recipe["versions"]["torch"] == torch.__version__
    assert bundle.spec.evaluation["parameters"] == count_parameters(averaged_network(run))
    for protocol in ("ferplus-strict", "fer2013"):
        assert set(bundle.spec.evaluation[protocol]) == {"PublicTest", "PrivateTest"}


def test_the_bundle_knows_the_shapes_that_it_was_taught(bundle_folder: Path, data: Path) -> None:
    bundle = load_model(bundle_folder)
    faces = load_faces(data, bundle.spec.crop).of("PrivateTest")
    said = Expressions(bundle, head="fer2013")(faces.crops).argmax(axis=1)
    assert (said == faces.fer2013).mean() == bundle.spec.evaluation["fer2013"]["PrivateTest"]["accuracy"] > 0.6


def test_the_bundle_analyses_pictures(bundle_folder: Path, astronaut: Path) -> None:
    result = Analyzer(bundle_folder).picture(astronaut)
    assert len(result) == 1
    assert result.labels == FERPLUS


def test_a_bundle_is_never_overwritten(run: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is there already; remove it or give another folder"):
        export(run, data, tmp_path)


def test_a_network_that_came_out_different_is_refused(
    run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another(network: Any, crop: Any, heads: Any, path: Path) -> None:
        tiny_network(path, {"ferplus": 8, "fer2013": 7}, size=16)

    monkeypatch.setattr(module, "to_onnx", another)
    with pytest.raises(ModelError, match=r"the exported network differs from the trained one by .*; wanted at most 0\.0001"):
        export(run, data, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("added", "good"), [(0.0, True), (5e-5, True), (2e-4, False), (float("nan"), False)])
def test_check_same(run: Path, added: float, good: bool) -> None:
    network = averaged_network(run)

    def answer(batch: Any) -> dict[str, Any]:
        with torch.no_grad():
            out = {name: v.numpy().copy() for name, v in network(torch.from_numpy(batch)).items()}
        out["fer2013"][-1, 3] += added
        return out

    batch = np.random.default_rng(0).normal(size=(4, 1, 16, 16)).astype(np.float32)
    session: Any = FakeSession(answer)
    if good:
        assert check_same(network, session, batch) == pytest.approx(added, abs=2e-6)
    else:
        with pytest.raises(ModelError, match="differs"):
            check_same(network, session, batch)


def test_half_the_space_and_the_same_answers(run: Path, bundle_folder: Path, data: Path, tmp_path: Path) -> None:
    small = load_model(export(run, data, tmp_path / "small", half=True))
    whole = load_model(bundle_folder)
    assert small.spec.recipe["stored"] == "float16"
    assert whole.spec.recipe["stored"] == "float32"
    weights = sum(p.numel() for p in averaged_network(run).parameters() if p.numel() >= 256)
    saved = (whole.folder / "model.onnx").stat().st_size - (small.folder / "model.onnx").stat().st_size
    assert saved > 1.7 * weights  # two bytes each, but for the casts
    batch = np.random.default_rng(0).normal(size=(8, 1, 16, 16)).astype(np.float32)
    one, two = whole.session(batch), small.session(batch)
    assert 0 < max(np.abs(one[name] - two[name]).max() for name in one) < module.HALF_TOLERANCE


def test_weights_that_half_precision_cannot_hold_are_refused(tmp_path: Path) -> None:
    tiny_network(tmp_path / "model.onnx", {"a": 300}, size=16)
    model = onnx.load(tmp_path / "model.onnx")
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.size >= 256:
            weight.CopyFrom(numpy_helper.from_array(np.full_like(values, 1e6), weight.name))
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ModelError, match="that half precision cannot"):
        store_half(tmp_path / "model.onnx")


# --- temperature and prior


def test_the_balanced_prior_of_a_split_that_lacks_a_class_is_that_of_training(data: Path) -> None:
    faces = load_faces(data, CropSpec(size=16, detail=0))
    select, train = faces.of("PublicTest"), faces.of("Training")
    lacking = select[select.truth("fer2013") != 1]
    uneven = train[np.flatnonzero((train.truth("fer2013") != 3) | (np.arange(len(train)) % 2 == 0))]
    logits = np.random.default_rng(0).normal(size=(len(lacking), 7)).astype(np.float32)
    balanced = module.tuned_head("fer2013", logits, lacking, uneven).priors[1]
    count = np.bincount(uneven.truth("fer2013"), minlength=7)
    assert np.allclose(balanced.bias, -np.log(count) + np.log(count).mean(), atol=1e-3)
    assert max(map(abs, balanced.bias)) < 1  # what a missing class is leant towards no more
    nowhere = uneven[uneven.truth("fer2013") != 1]
    bias = module.tuned_head("fer2013", logits, lacking, nowhere).priors[1].bias
    assert bias[1] == pytest.approx(0, abs=1e-3)
    assert max(map(abs, bias)) < 1


def test_a_bundle_has_a_natural_and_a_balanced_prior(bundle_folder: Path, data: Path) -> None:
    bundle = load_model(bundle_folder)
    head = bundle.spec.head("ferplus")
    assert [prior.name for prior in head.priors] == ["natural", "balanced"]
    assert not any(head.priors[0].bias)
    assert head.with_prior("balanced").bias == head.priors[1].bias
    assert sum(head.priors[1].bias) == pytest.approx(0, abs=1e-2)
    effects = bundle.spec.evaluation["ferplus-strict"]["PrivateTest"]["priors"]
    assert set(effects) == {"tuned", "natural", "balanced"}
    faces = load_faces(data, bundle.spec.crop).of("PrivateTest")
    truth = faces.truth("ferplus")
    counts = truth >= 0
    for way, found in effects.items():
        said = Expressions(bundle, prior=None if way == "tuned" else way)(faces.crops)[counts]
        assert (said.argmax(axis=1) == truth[counts]).mean() == pytest.approx(found["accuracy"])
        assert calibration_error(truth[counts], said) == pytest.approx(found["ece"], abs=1e-5)
    with pytest.raises(ModelError, match="no prior 'even'; it has: natural, balanced"):
        Expressions(bundle, prior="even")


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_fit_temperature_finds_the_one_that_was_put_in(temperature: float) -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, (20_000, 5))
    shares = np.exp(honest) / np.exp(honest).sum(axis=1, keepdims=True)
    truth = (rng.random((len(shares), 1)) < shares.cumsum(axis=1)).argmax(axis=1)
    assert fit_temperature(honest * temperature, truth) == pytest.approx(temperature, rel=0.05)


def rare_class(n: int = 3000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three classes, 62, 35 and 3 % of the pictures, and a network that has learned how rare the third is."""
    rng = np.random.default_rng(1)
    prior = np.array([0.62, 0.35, 0.03])
    truth = rng.choice(3, n, p=prior)
    seen = rng.normal(0, 1, (n, 3)) + 2.2 * np.eye(3)[truth]
    return (2.2 * seen + np.log(prior)).astype(np.float32), truth, prior


def test_the_prior_is_moved_where_that_helps_the_rare_and_costs_little() -> None:
    logits, truth, prior = rare_class()
    bias = choose_prior(logits, truth, prior)
    before, after = (class_scores(truth, (logits + b).argmax(axis=1), 3) for b in (0, bias))
    assert after["macro_f1"] > before["macro_f1"]
    assert after["accuracy"] >= before["accuracy"] - module.ACCURACY_TO_GIVE
    assert bias.argmax() == 2
    tau = bias / -(np.log(prior) - np.log(prior).mean())
    assert np.allclose(tau, tau[0])
    assert 0 < tau[0] <= 1


def test_the_prior_is_left_where_moving_it_gains_nothing() -> None:
    truth = np.arange(30) % 3
    logits = (10 * np.eye(3)[truth]).astype(np.float32)
    assert choose_prior(logits, truth, np.array([0.6, 0.3, 0.1])).tolist() == [0, 0, 0]


def test_a_class_that_never_occurs_does_not_get_an_endless_bias() -> None:
    logits, truth, _ = rare_class(500)
    assert np.isfinite(choose_prior(logits, truth, np.array([0.7, 0.3, 0.0]))).all()


# --- the card


def test_a_card_says_what_the_json_says(bundle_folder: Path) -> None:
    content = json.loads((bundle_folder / "model.json").read_text(encoding="utf-8"))
    text = card(load_model(bundle_folder).spec)
    found = content["evaluation"]["fer2013"]["PrivateTest"]
    assert f"{100 * found['accuracy']:.1f} %" in text
    assert f"| FER2013 | PrivateTest | {found['n']} |" in text
    assert content["sha256"] in text
    for label in FERPLUS:
        assert label in text
    for needed in ("appears", "Not for", "does not say what a person feels", "## Licences", "## Where it fails", "One-vs-rest"):
        assert needed in text


def test_a_card_names_what_was_trained_on_and_no_other_data(bundle_folder: Path) -> None:
    spec = load_model(bundle_folder).spec
    assert spec.data.startswith(
        "84 Training pictures, labelled anger, "
    )  # the table is called fer2013.csv; its pictures are shapes
    assert spec.licences["data"].startswith("the pictures' own")
    text = card(spec)
    assert "Goodfellow" not in text
    assert "The raters of FER+" not in text
    assert "The raters of FER+ were crowd workers" in card(load_model().spec)


def test_another_figure_is_another_card(bundle_folder: Path) -> None:
    spec = load_model(bundle_folder).spec
    content = json.loads(json.dumps(spec.to_json()))
    content["evaluation"]["fer2013"]["PrivateTest"]["accuracy"] = 0.12345
    assert "12.3 %" not in card(spec)
    assert "12.3 %" in card(spec.from_json(content, "here"))


def test_a_card_of_what_was_never_measured_says_so(bundle_folder: Path) -> None:
    spec = load_model(bundle_folder).spec
    content = json.loads(json.dumps(spec.to_json())) | {"evaluation": {}, "recipe": {}}
    assert "Nothing was measured." in card(spec.from_json(content, "here"))
