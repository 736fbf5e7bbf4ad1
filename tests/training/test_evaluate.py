import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from fakes import tiny_bundle
from mien.cli import main
from mien.errors import DataError
from mien.labels import FER2013, FERPLUS, FERPLUS_COLUMNS
from mien.models import load_model
from mien.training.data import FaceSet, read_ferplus, strict_labels
from mien.training.evaluate import (
    PEERS,
    bootstrap,
    calibration_error,
    class_scores,
    confusion_matrix,
    evaluate,
    evaluate_bundle,
    head_for,
    human_line,
)

KEYS = {"n", "accuracy", "macro_f1", "balanced_accuracy", "ece", "recall", "confusion", "interval"}


def drawn(n: int, classes: int, right: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.choice(classes, n, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    said = np.where(rng.random(n) < right, truth, rng.integers(0, classes, n))
    return truth, said


# --- scores


@pytest.mark.parametrize("seed", range(4))
def test_scores_agree_with_scikit_learn(seed: int) -> None:
    truth, said = drawn(500, 7, 0.6, seed)
    found = class_scores(truth, said, 7)
    assert found["n"] == 500
    assert np.array_equal(found["confusion"], metrics.confusion_matrix(truth, said, labels=range(7)))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, said))
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(truth, said, average="macro"))
    assert found["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(truth, said))
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(truth, said, labels=range(7), zero_division=0)
    assert np.allclose(found["precision"], precision)
    assert np.allclose(found["recall"], recall)
    assert np.allclose(found["f1"], f1)


def test_a_class_that_does_not_occur_is_not_averaged_over_and_one_never_said_has_precision_0() -> None:
    truth, said = np.array([0, 0, 1, 1]), np.array([0, 0, 0, 2])
    found = class_scores(truth, said, 4)
    assert found["accuracy"] == 0.5
    assert found["balanced_accuracy"] == 0.5  # of classes 0 and 1; 2 and 3 do not occur
    assert found["macro_f1"] == pytest.approx((2 * (2 / 3) / (2 / 3 + 1)) / 2)
    assert found["precision"].tolist() == pytest.approx([2 / 3, 0, 0, 0])


def test_one_vs_rest_accuracy_is_p0s_formula() -> None:
    truth, said = drawn(300, 8, 0.5)
    by_hand = np.mean([((truth == k) == (said == k)).mean() for k in range(8)])
    assert class_scores(truth, said, 8)["one_vs_rest_accuracy"] == pytest.approx(by_hand)


def test_rows_of_the_confusion_are_the_truth() -> None:
    assert confusion_matrix(np.array([0, 0, 1]), np.array([1, 1, 0]), 2).tolist() == [[0, 2], [1, 0]]


# --- calibration


def confident(confidence: float, right: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """n pictures, each said to be class 0 with that confidence; `right` of them are."""
    probabilities = np.tile([confidence, 1 - confidence], (n, 1)).astype(np.float32)
    return (np.arange(n) >= right).astype(int), probabilities


@pytest.mark.parametrize(("confidence", "right", "gap"), [(0.8, 60, 0.2), (0.8, 80, 0.0), (0.55, 100, 0.45), (1.0, 70, 0.3)])
def test_calibration_error_of_known_truth(confidence: float, right: int, gap: float) -> None:
    assert calibration_error(*confident(confidence, right, 100)) == pytest.approx(gap, abs=1e-6)


def test_calibration_error_weighs_bins_and_does_not_let_them_cancel() -> None:
    (t1, p1), (t2, p2) = confident(0.9, 30, 40), confident(0.6, 50, 60)  # 15 points too sure, 23.3 points too modest
    found = calibration_error(np.concatenate([t1, t2]), np.concatenate([p1, p2]))
    assert found == pytest.approx(0.4 * 0.15 + 0.6 * (50 / 60 - 0.6), abs=1e-6)


# --- intervals


def test_the_bootstrap_holds_the_estimate_and_has_the_width_of_theory() -> None:
    truth, said = drawn(1000, 7, 0.7)
    scores, intervals = class_scores(truth, said, 7), bootstrap(truth, said, 7, rounds=600)
    assert set(intervals) == {"accuracy", "macro_f1", "balanced_accuracy"}
    for name, (low, high) in intervals.items():
        assert low < scores[name] < high
    low, high = intervals["accuracy"]
    p = scores["accuracy"]
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(p * (1 - p) / 1000), rel=0.15)


def test_the_bootstrap_can_be_repeated() -> None:
    truth, said = drawn(100, 3, 0.7)
    assert bootstrap(truth, said, 3, rounds=50) == bootstrap(truth, said, 3, rounds=50)
    assert bootstrap(truth, said, 3, rounds=50) != bootstrap(truth, said, 3, rounds=50, seed=1)


# --- people


def votes(**given: int) -> np.ndarray:
    return np.array([[given.get(name, 0) for name in FERPLUS_COLUMNS]])


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"happiness": 10}, 1.0),
        ({"happiness": 6, "surprise": 4}, 0.6),
        ({"happiness": 5, "surprise": 4, "anger": 1}, 0.25),  # each of the five leaves a tie of 4 : 4, worth half
    ],
)
def test_the_human_line_of_known_truth(given: dict[str, int], wanted: float) -> None:
    assert human_line(votes(**given), np.array([0])) == pytest.approx(wanted)


def test_the_human_line_leaves_out_what_does_not_count() -> None:
    both = np.concatenate([votes(happiness=10), votes(happiness=5, anger=5)])
    assert human_line(both, np.array([1, -1])) == 1.0


def test_the_human_line_of_the_published_votes(published_votes: Path) -> None:
    found, splits = read_ferplus(published_votes)
    for split, wanted in (("PublicTest", 0.799), ("PrivateTest", 0.771)):
        part = found[splits == split]
        assert human_line(part, strict_labels(part)) == pytest.approx(wanted, abs=0.002)


# --- whole evaluations


def faces(n: int, given: dict[str, int], fer2013: int = 3) -> FaceSet:
    split, aligned, unknown = np.array(["PublicTest"] * n), np.zeros(n, bool), np.full(n, "")
    labels, voted = np.full(n, fer2013), np.repeat(votes(**given), n, axis=0)
    return FaceSet(np.zeros((n, 8, 8), np.uint8), labels, FER2013, voted, split, aligned, unknown, unknown)


def test_cross_entropy_of_an_honest_model_is_its_floor() -> None:
    probabilities = np.zeros((4, 8), np.float32)
    probabilities[:, FERPLUS.index("happiness")], probabilities[:, FERPLUS.index("surprise")] = 0.8, 0.2
    found = evaluate(probabilities, faces(4, {"happiness": 8, "surprise": 2}), "ferplus-strict", rounds=5)
    entropy = -(0.8 * np.log(0.8) + 0.2 * np.log(0.2))
    assert found["cross_entropy_floor"] == pytest.approx(entropy)
    assert found["cross_entropy_to_votes"] == pytest.approx(entropy, abs=1e-5)
    assert (found["n"], found["accuracy"]) == (4, 1.0)
    assert json.loads(json.dumps(found)) == found  # plain values


def test_nothing_that_counts_is_an_error() -> None:
    with pytest.raises(DataError, match="no picture counts under the protocol ferplus-strict"):
        evaluate(np.full((3, 8), 1 / 8, np.float32), faces(3, {"NF": 10}), "ferplus-strict")
    with pytest.raises(ValueError, match="no protocol 'imagenet'; known: fer2013, ferplus-strict"):
        evaluate(np.full((3, 8), 1 / 8, np.float32), faces(3, {}), "imagenet")


def test_a_model_without_the_labels_of_a_protocol(tmp_path: Path) -> None:
    bundle = load_model(tiny_bundle(tmp_path / "tiny"))
    with pytest.raises(DataError, match="tiny has no head with the labels of fer2013"):
        head_for(bundle, "fer2013")
    assert head_for(load_model(), "fer2013") == "fer2013"
    assert head_for(load_model(), "ferplus-strict") == "ferplus"


@pytest.mark.parametrize("protocol", ["fer2013", "ferplus-strict"])
def test_mien_evaluate_default(data: Path, capsys: pytest.CaptureFixture[str], protocol: str) -> None:
    assert main(["evaluate", "default", "--data", str(data), "--protocol", protocol, "--json"]) == 0
    out = capsys.readouterr()
    assert out.err == ""
    found: dict[str, Any] = json.loads(out.out)
    assert set(found) >= KEYS
    labels = {"fer2013": FER2013, "ferplus-strict": FERPLUS}[protocol]
    assert found["labels"] == list(labels)
    assert found["n"] == 42 if protocol == "fer2013" else 30 < found["n"] <= 42
    assert np.array(found["confusion"]).shape == (len(labels),) * 2
    assert np.array(found["confusion"]).sum() == found["n"]
    assert np.trace(found["confusion"]) / found["n"] == pytest.approx(found["accuracy"])
    assert set(found["recall"]) == set(labels)
    for name in ("accuracy", "macro_f1", "balanced_accuracy"):
        low, high = found["interval"][name]
        assert 0 <= low <= high <= 1
    assert found["model"] == load_model().spec.name
    assert found["sha256"] == load_model().spec.sha256
    assert found["split"] == "PrivateTest"
    assert found["peers"] == dict(PEERS[protocol])
    assert found["end_to_end"]["n"] == found["n"]
    assert ("human_line" in found) is (protocol == "ferplus-strict")


def test_the_printed_figures_are_those_of_the_json(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "default", "--data", str(data), "--protocol", "fer2013", "--split", "PublicTest"]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert main(command) == 0
    out = capsys.readouterr().out
    assert f"{found['model']} on PublicTest by the protocol fer2013, N = 42" in out
    assert f"{100 * found['accuracy']:5.1f} %" in out
    assert f"{100 * found['ece']:5.1f} %" in out
    low, high = found["interval"]["accuracy"]
    assert f"{100 * low:5.1f} to {100 * high:5.1f}" in out
    for name in FER2013:
        assert f"\n  {name}" in out


def test_flip_averaging_and_the_whole_pipeline_are_named(data: Path, bundle_folder: Path) -> None:
    found = evaluate_bundle(load_model(bundle_folder), data, "fer2013")
    assert set(found["flip_average"]) == {"accuracy", "macro_f1", "balanced_accuracy", "ece"}
    # Bars are no faces: the detector finds none, and a picture in which nobody is found is wrong.
    assert found["end_to_end"] == {"n": 42, "detected": 0, "accuracy": 0.0}
    assert found["accuracy"] > 0.5
    assert found["flip_average"]["accuracy"] < found["accuracy"]  # a mirrored bar stands in another place
