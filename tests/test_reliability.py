import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from fakes import tiny_bundle
from mien.analyze import Analyzer
from mien.emotion import Expressions
from mien.errors import ModelError
from mien.models import Fusion, Head, Prior, load_model
from mien.reliability import Reliability, evidence, evidence_size

ONE, OTHER = ("neutral", "happiness", "contempt"), ("happiness", "neutral")
RNG = np.random.default_rng(0)


def test_a_reading_is_as_reliable_as_its_evidence_says() -> None:
    found = Reliability((1.0, -2.0), 0.5)(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1e9, 0.0]]))
    assert found == pytest.approx([1 / (1 + np.exp(-z)) for z in (0.5, 1.5, -1.5, 30)], rel=1e-5)
    assert found.dtype == np.float32


def test_evidence_has_a_fixed_size_and_no_infinity() -> None:
    logits = np.array([[0.0, 0, 0], [90, -90, 0], [-1, 2, 5]])
    decided = np.array([[1 / 3] * 3, [1, 0, 0], [0, 0.1, 0.9]])
    other = {OTHER: np.array([[0.0, 0], [-90, 90], [3, 1]])}
    found = evidence(decided, ONE, logits, other)
    assert found.shape == (3, evidence_size(ONE, [OTHER]))
    assert np.isfinite(found).all()
    apart = evidence(decided[1:2], ONE, logits[1:2], {OTHER: np.array([[90.0, -90]])})
    assert not np.allclose(apart, found[1:2])  # that the other head says something else is evidence


def test_evidence_is_what_each_head_says_and_how_far_they_disagree() -> None:
    """Worked out by hand, each in its place: the weights of a bundle know nothing but the places."""
    decided = np.array([[0.7, 0.2, 0.1]])
    (found,) = evidence(decided, ONE, np.array([[2.0, 1.0, -1.0]]), {OTHER: np.array([[0.5, 1.5]])})
    one, other = np.exp([2.0, 1.0, -1.0]), np.exp([0.5, 1.5])
    p, q = one / one.sum(), other / other.sum()  # of neutral, happiness, contempt; of happiness, neutral
    strength, entropy = np.log(one.sum()), -(p * np.log(p)).sum()
    own = [np.log(0.7 / 0.3), 2.0, 1.0, 2.0, strength, entropy, np.std([2.0, 1.0, -1.0]), np.log(p[0]), 1, 0, 0, *p]
    apart = sum((a - b) * np.log(a / b) for a, b in ((p[0], q[1]), (p[1], q[0])))
    theirs = [np.log(q[1]), np.log(q[1]), 1.0, np.log(other.sum()), -(q * np.log(q)).sum(), 0.5, apart, *q]
    assert found == pytest.approx([*own, *theirs])


def heads(weight: float) -> tuple[Head, Head]:
    return Head("one", ONE, 1.0, (), (), Fusion("other", weight, (0.0, 0.0), 1.0)), Head("other", OTHER)


def test_a_fusion_weighs_both_heads_and_leaves_what_one_lacks_to_the_other() -> None:
    outputs = {"one": np.array([[2.0, 0.0, 1.0]]), "other": np.array([[3.0, 0.0]])}
    alone = Head("one", ONE).probabilities(outputs["one"])[0]
    for weight, leads in ((0.0, "neutral"), (0.3, "neutral"), (0.6, "happiness"), (1.0, "happiness")):
        both = heads(weight)
        found = both[0].decide(outputs, both)[0]
        assert found.sum() == pytest.approx(1)
        assert ONE[int(found[:2].argmax())] == leads
        assert found[2] == pytest.approx(alone[2], abs=1e-6)
    assert heads(0.0)[0].decide(outputs, heads(0.0))[0] == pytest.approx(alone, abs=1e-6)


def test_another_prior_brings_its_own_fusion_and_reliability() -> None:
    prior = Prior("natural", 2.0, (), None, Reliability((1.0,), 0.0))
    head = dataclasses.replace(heads(0.5)[0], priors=(prior,), reliability=Reliability((2.0,), 0.0))
    natural = head.with_prior("natural")
    assert (natural.fusion, natural.reliability, natural.temperature) == (None, prior.reliability, 2.0)


def with_reliability(folder: Path, weights: int, **more: object) -> Path:
    path = folder / "model.json"
    content = json.loads(path.read_text())
    content["heads"][0] |= {"reliability": {"weights": [0.0] * weights, "offset": 1.0}} | more
    path.write_text(json.dumps(content))
    return folder


def test_a_bundle_without_reliability_reads_as_before_and_says_none(tmp_path: Path) -> None:
    model = Expressions(tiny_bundle(tmp_path / "old"))
    size = model.crop.size
    crops = RNG.integers(0, 256, (3, size, size) if model.crop.colour == "gray" else (3, size, size, 3), dtype=np.uint8)
    probabilities, reliability = model.read(crops)
    assert np.array_equal(probabilities, model(crops))
    assert np.isnan(reliability).all()


def test_a_bundle_with_reliability_says_it_and_survives_its_json(tmp_path: Path) -> None:
    folder = tiny_bundle(tmp_path / "new")
    spec = load_model(folder).spec
    size = evidence_size(spec.heads[0].labels, [head.labels for head in spec.heads[1:]])
    model = Expressions(with_reliability(folder, size))
    shape = (2, model.crop.size, model.crop.size) if model.crop.colour == "gray" else (2, model.crop.size, model.crop.size, 3)
    _, reliability = model.read(np.zeros(shape, np.uint8))
    assert reliability == pytest.approx(1 / (1 + np.exp(-1)))
    again = load_model(folder).spec
    assert type(again).from_json(again.to_json(), "here") == again
    with pytest.raises(ModelError, match=f"wants {size} weights of its reliability, but got 2"):
        load_model(with_reliability(folder, 2))


def test_a_fusion_with_nobody_is_refused(tmp_path: Path) -> None:
    fusion = {"head": "nobody", "weight": 0.5, "bias": [], "scale": 1.0}
    folder = tiny_bundle(tmp_path / "bad")
    content = json.loads((folder / "model.json").read_text())
    content["heads"][0]["fusion"] = fusion
    (folder / "model.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match="wants a fusion with another head"):
        load_model(folder)


def test_the_bundled_models_say_how_far_each_of_their_decisions_can_be_believed(astronaut: Path) -> None:
    for name in ("mien-lite0", "mien-small"):
        spec = load_model(name).spec
        for head in spec.heads:
            assert head.reliability is not None
            assert all(prior.reliability is not None for prior in head.priors)
        assert [prior.name for prior in spec.heads[0].priors] == ["natural", "balanced", "fused"]
        contempt = spec.heads[0].labels.index("contempt")
        assert spec.heads[0].with_prior("balanced").bias[contempt] == 0
    result = Analyzer().picture(astronaut)
    assert result.expressions == ("happiness",)
    assert 0.9 < result.reliability[0] <= 1
    assert result.flags.tolist() == [0]
