import csv
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from fakes import tiny_bundle
from mien.cli import main
from mien.emotion import Expressions
from mien.errors import DataError
from mien.labels import FER2013, FERPLUS, FERPLUS_COLUMNS
from mien.models import load_model
from mien.training import evaluate as module
from mien.training.data import FaceSet, load_faces, read_ferplus, strict_labels
from mien.training.evaluate import (
    PEERS,
    Answers,
    auroc,
    bootstrap,
    calibration_error,
    class_scores,
    confusion_matrix,
    cross_data,
    cross_entropy,
    evaluate,
    evaluate_bundle,
    faces_of,
    false_neutral,
    group_rows,
    head_for,
    human_line,
    is_fer2013,
    occurring,
    read_groups,
    reliability,
    results_folder,
    risk_coverage,
    sketches,
    trust,
    truth_for,
    wilson,
)
from mien.training.prepare import prepare

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


def test_cross_entropy_is_that_of_the_rows_that_say_something() -> None:
    rng = np.random.default_rng(0)
    logits, truth = rng.normal(0, 3, (60, 5)).astype(np.float32), np.arange(60) % 5
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    goal = np.eye(5, dtype=np.float32)[truth]
    assert cross_entropy(logits, goal) == pytest.approx(metrics.log_loss(truth, chances), rel=1e-5)
    goal[:20] = 0
    assert cross_entropy(logits, goal) == pytest.approx(metrics.log_loss(truth[20:], chances[20:]), rel=1e-5)
    assert cross_entropy(logits, np.zeros_like(goal)) == 0
    assert cross_entropy(np.array([[1e4, 0.0]]), np.array([[0.5, 0.5]])) == 5e3  # what is out of reach of exp


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
    assert "peers" not in found  # the table is called fer2013.csv, but its pictures are others
    assert found["end_to_end"]["n"] == found["n"]
    assert ("human_line" in found) is (protocol == "ferplus-strict")


@pytest.fixture
def known(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shapes are taken for FER2013."""
    own = {split: tuple(sorted(hashes)[:12]) for split, hashes in sketches(data).items()}
    monkeypatch.setattr(module, "SKETCHES", own)


@pytest.mark.usefixtures("known")
def test_other_tools_stand_beside_figures_of_fer2013s_own_pictures(data: Path, tmp_path: Path) -> None:
    assert is_fer2013(data)
    found = evaluate_bundle(load_model(), data, "fer2013")
    assert found["peers"] == dict(PEERS["fer2013"])
    assert "peers" not in evaluate_bundle(load_model(), data, "fer2013", split="PublicTest")
    folders = tmp_path / "folders"
    prepare(data, folders)  # the same pictures under other names
    assert is_fer2013(folders)
    table = (data / "fer2013.csv").read_text().splitlines()
    other = tmp_path / "other"
    other.mkdir()
    mirrored = [f"{e},{' '.join(reversed(p.split(' ')))},{u}" for e, p, u in (line.split(",") for line in table[1:])]
    (other / "fer2013.csv").write_text("\n".join([table[0], *mirrored]) + "\n")
    assert not is_fer2013(other)


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


# --- further figures


def test_brier_score_and_nll_of_known_truth() -> None:
    probabilities = np.zeros((2, 7), np.float32)
    probabilities[:, FER2013.index("happiness")], probabilities[:, FER2013.index("anger")] = 0.75, 0.25
    found = evaluate(probabilities, faces(2, {}, fer2013=FER2013.index("anger")), "fer2013", rounds=5)
    assert found["nll"] == pytest.approx(-np.log(0.25))
    assert found["brier"] == pytest.approx(2 * 0.75**2)
    assert found["accuracy"] == 0
    assert found["support"] == {name: 2 if name == "anger" else 0 for name in FER2013}
    assert "near_neutral" not in found


def test_brier_score_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    truth, chance = rng.integers(0, 2, 200), rng.random(200)
    probabilities = np.zeros((200, 7), np.float32)
    probabilities[:, 0], probabilities[:, 1] = 1 - chance, chance
    these = faces(200, {})
    these = dataclasses.replace(these, labels=truth)
    found = evaluate(probabilities, these, "fer2013", rounds=1)
    assert found["brier"] == pytest.approx(2 * metrics.brier_score_loss(truth, chance), rel=1e-4)
    assert found["nll"] == pytest.approx(metrics.log_loss(truth, chance), rel=1e-4)


def test_false_neutrals_are_counted_among_what_is_not_neutral() -> None:
    truth, said = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 0, 0, 2, 0])
    assert false_neutral(truth, said, ("neutral", "happiness", "anger")) == (3, 4)
    assert false_neutral(truth, said, ("happiness", "neutral", "anger")) == (1, 4)
    assert false_neutral(truth, said, ("happiness", "sadness", "anger")) == (0, 0)


def several(*given: dict[str, int]) -> FaceSet:
    n = len(given)
    voted = np.concatenate([votes(**one) for one in given])
    split, none = np.array(["PublicTest"] * n), np.full(n, "")
    return FaceSet(np.zeros((n, 8, 8), np.uint8), np.full(n, 3), FER2013, voted, split, np.zeros(n, bool), none, none)


def certain(*names: str, labels: tuple[str, ...] = FERPLUS) -> np.ndarray:
    return np.array([[float(label == name) for label in labels] for name in names], np.float32)


def test_near_neutral_pictures_have_three_votes_of_ten_for_neutral() -> None:
    these = several(
        {"neutral": 3, "happiness": 7},  # near, and right below
        {"neutral": 2, "happiness": 8},  # too far
        {"neutral": 3, "sadness": 7},  # near, called neutral
        {"neutral": 8, "anger": 2},  # neutral itself, right
        {"neutral": 5, "anger": 5},  # does not count
    )
    found = evaluate(certain("happiness", "happiness", "neutral", "neutral", "neutral"), these, "ferplus-strict", rounds=5)
    assert found["n"] == 4
    assert found["near_neutral"] == {"n": 3, "accuracy": pytest.approx(2 / 3), "not_neutral": 2, "false_neutral": 0.5}
    assert found["false_neutral"] == {"n": 3, "rate": pytest.approx(1 / 3)}
    assert json.loads(json.dumps(found)) == found


def test_macro_f1_without_contempt_is_the_mean_of_the_other_seven() -> None:
    these = several({"contempt": 10}, {"contempt": 10}, {"anger": 10}, {"happiness": 10})
    found = evaluate(certain("anger", "neutral", "anger", "happiness"), these, "ferplus-strict", rounds=5)
    assert found["f1"]["anger"] == pytest.approx(2 / 3)  # contempt called anger still counts against anger
    assert found["macro_f1"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found["macro_f1_without_contempt"] == pytest.approx((2 / 3 + 1) / 2)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"), [(0, 10, 0, 0.2775), (10, 10, 0.7225, 1), (50, 100, 0.4038, 0.5962), (0, 0, 0, 1)]
)
def test_wilson_intervals(right: int, n: int, low: float, high: float) -> None:
    assert wilson(right, n) == pytest.approx((low, high), abs=1e-4)


def test_reliability_adds_up_to_the_calibration_error() -> None:
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.full(5, 0.4), 800).astype(np.float32)
    truth = rng.integers(0, 5, 800)
    table = reliability(truth, probabilities, 12)
    assert table.shape == (12, 5)
    assert table[:, 0].sum() == 800
    some = table[:, 0] > 0
    assert np.isnan(table[~some, 1:]).all()
    gap = np.abs(table[some, 1] - table[some, 2]) * table[some, 0]
    assert gap.sum() / 800 == pytest.approx(calibration_error(truth, probabilities, 12))
    assert (table[some, 3] <= table[some, 2]).all()
    assert (table[some, 4] >= table[some, 2]).all()


# --- other data


def test_the_protocol_labels_takes_single_labels_by_name() -> None:
    names = ("happiness", "contempt", "anger")
    these = dataclasses.replace(faces(4, {"sadness": 10}), labels=np.array([0, 1, 2, -1]), names=names)
    assert truth_for(these, "labels", FER2013).tolist() == [FER2013.index("happiness"), -1, FER2013.index("anger"), -1]
    found = evaluate(
        certain("happiness", "happiness", "sadness", "fear", labels=FER2013), these, "labels", labels=FER2013, rounds=5
    )
    assert (found["n"], found["accuracy"], found["labels"]) == (2, 0.5, list(FER2013))
    assert occurring(these) == names
    assert occurring(these[[0, 3]]) == ("happiness",)


def test_labels_that_do_not_fit_are_refused() -> None:
    these = faces(3, {})
    with pytest.raises(ValueError, match=r"probabilities must have shape \(3, 0\) for the labels \(none given\)"):
        evaluate(np.zeros((3, 7), np.float32), these, "labels")
    with pytest.raises(ValueError, match=r"must have shape \(3, 7\).*got \(3, 8\)"):
        evaluate(np.zeros((3, 8), np.float32), these, "fer2013")
    with pytest.raises(ValueError, match="the labels of fer2013 are anger"):
        evaluate(np.zeros((3, 8), np.float32), these, "fer2013", labels=FERPLUS)
    alone = dataclasses.replace(these, labels=np.zeros(3, np.int64), names=("contempt",))
    with pytest.raises(DataError, match="no picture counts under the protocol labels; wanted labels, but labels are contempt"):
        evaluate(np.zeros((3, 7), np.float32), alone, "labels", labels=FER2013)


def test_the_head_for_other_data_is_the_one_that_knows_most_of_it(tmp_path: Path) -> None:
    both = load_model()
    assert head_for(both, "labels", FER2013) == "fer2013"  # both know all seven; this one has no more
    assert head_for(both, "labels", FERPLUS) == "ferplus"
    assert head_for(both, "labels", ("contempt", "anger")) == "ferplus"
    with pytest.raises(DataError, match="no head with any of the labels of the data \\(contempt\\)"):
        head_for(load_model(tiny_bundle(tmp_path / "tiny")), "labels", ("contempt",))


@pytest.fixture
def portraits(tmp_path: Path, astronaut: Path, hopper: Path) -> Path:
    """Class folders with portraits in train and test."""
    folder = tmp_path / "portraits"
    for split in ("train", "test"):
        for label, path in (("happy", astronaut), ("neutral", hopper)):
            (folder / split / label).mkdir(parents=True)
            shutil.copy(path, folder / split / label)
    return folder


def test_other_data_with_its_folder_of_results(portraits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results" / "portraits"
    command = ["evaluate", "default", "--data", str(portraits), "--protocol", "labels", "--layout", "folders"]
    assert main([*command, "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "mien-lite0 on PrivateTest by the protocol labels, N = 2" in text
    assert "face found in 2 of 2" in text
    assert "beside it" not in text  # no raters, and other tools were measured on FER2013 only
    assert f"results: {out}" in text
    assert [path.name for path in tmp_path.joinpath("results").iterdir()] == ["portraits"]  # no scratch folder stays
    assert {path.name for path in out.iterdir()} == {
        *("figures.json", "answers.csv", "confusion.csv", "confusion.png", "reliability.png", "risk_coverage.png"),
        *("right.png", "wrong.png"),
    }
    assert "reliability 0." in text
    figures = json.loads((out / "figures.json").read_text(encoding="utf-8"))
    assert (figures["head"], figures["left_out"], figures["end_to_end"]["detected"]) == ("fer2013", 0, 2)
    assert "peers" not in figures
    with (out / "answers.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["source"] for row in rows] == ["test/happy/astronaut.png", "test/neutral/grace_hopper.jpg"]
    assert [row["truth"] for row in rows] == ["happiness", "neutral"]
    right = 0
    for row in rows:
        chances = {name: float(row[name]) for name in FER2013}
        assert sum(chances.values()) == pytest.approx(1, abs=1e-3)
        assert row["said"] == max(chances, key=lambda name: chances[name])
        right += row["said"] == row["truth"]
    assert right / 2 == figures["accuracy"]
    assert np.mean([float(row["reliability"]) for row in rows]) == pytest.approx(figures["reliability"]["mean"], abs=1e-4)
    with (out / "confusion.csv").open(newline="", encoding="utf-8") as file:
        assert [int(row["n"]) for row in csv.DictReader(file)] == list(figures["support"].values())
    assert main([*command, "--split", "all", "--json", "--out", str(out)]) == 0  # over what is there
    assert json.loads(capsys.readouterr().out)["n"] == 4
    assert json.loads((out / "figures.json").read_text(encoding="utf-8"))["n"] == 4


def test_another_label_set_and_another_prior(portraits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "default", "--data", str(portraits), "--protocol", "labels", "--json"]
    assert main([*command, "--labels", "ferplus"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["labels"], found["head"]) == (list(FERPLUS), "ferplus")
    assert main([*command, "--labels", "smiles"]) == 1
    assert "no label set 'smiles'" in capsys.readouterr().err
    assert main([*command, "--prior", "sunny"]) == 1
    assert "no prior 'sunny'" in capsys.readouterr().err


def test_a_split_that_is_empty_says_which_are_not(portraits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(portraits / "test")
    assert main(["evaluate", "default", "--data", str(portraits), "--protocol", "labels"]) == 1
    said = capsys.readouterr().err
    assert "no picture in the split PrivateTest; it has Training (" in said
    assert "--split all takes every one" in said


def test_results_come_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("kept")
    with pytest.raises(KeyError), results_folder(tmp_path / "out") as scratch:
        (scratch / "figures.json").write_text("{}")
        raise KeyError
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine.txt"]
    with results_folder(tmp_path / "out") as scratch:
        (scratch / "figures.json").write_text("{}")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"mine.txt", "figures.json"}
    with pytest.raises(DataError, match="is a file; wanted a folder"), results_folder(tmp_path / "out" / "mine.txt"):
        pass


def test_answers_must_fit() -> None:
    unknown = np.full(3, np.nan, np.float32)
    with pytest.raises(ValueError, match="truth, probabilities and reliability must have shape"):
        Answers(faces(3, {}), FER2013, np.zeros(2, np.int64), np.zeros((3, 7), np.float32), unknown)
    with pytest.raises(ValueError, match="truth, probabilities and reliability must have shape"):
        Answers(faces(3, {}), FER2013, np.zeros(3, np.int64), np.zeros((3, 7), np.float32), unknown[:2])


# --- how far answers can be believed


def test_auroc_is_the_share_of_pairs_in_order() -> None:
    right = np.array([True, True, False, False])
    assert auroc(np.array([0.9, 0.4, 0.6, 0.1]), right) == 0.75
    assert auroc(np.array([0.5, 0.5, 0.5, 0.5]), right) == 0.5
    assert auroc(np.array([0.9, 0.4]), np.array([True, True])) == 0.5
    rng = np.random.default_rng(0)
    score, truth = rng.integers(0, 20, 300) / 20, rng.random(300) < 0.6
    assert auroc(score, truth) == pytest.approx(metrics.roc_auc_score(truth, score))


def test_of_the_most_reliable_readings_more_are_right() -> None:
    given = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    right = given > 0.25  # the two least reliable ones are wrong
    found = risk_coverage(given, right)
    told = {row["coverage"]: (row["n"], row["least"], row["accuracy"]) for row in found["curve"]}
    assert told[1.0] == (10, 0.1, 0.8)
    assert told[0.9] == (9, 0.2, pytest.approx(8 / 9))
    assert told[0.8] == (8, 0.3, 1.0)
    assert told[0.5] == (5, 0.6, 1.0)
    assert found["area"] == pytest.approx((1 / 9 + 2 / 10) / 10)
    assert risk_coverage(-given, right)["area"] > 0.4
    assert risk_coverage(np.array([0.3]), np.array([False])) == {
        "curve": [{"coverage": c, "n": 1, "least": 0.3, "accuracy": 0.0} for c in (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)],
        "area": 1.0,
    }


def test_trust_stands_beside_that_in_the_largest_probability() -> None:
    right = np.array([True, True, False, True])
    found = trust(np.array([0.9, 0.8, 0.2, 0.5]), np.array([0.6, 0.7, 0.9, 0.8]), right)
    assert (found["auroc"], found["auroc_of_largest"]) == (1.0, 0.0)
    assert found["mean"] == pytest.approx(0.6)
    assert (found["relied_on"], found["accuracy_relied_on"]) == (0.75, 1.0)
    assert found["risk_coverage"]["area"] < found["area_of_largest"]
    assert trust(np.array([0.1]), np.array([0.9]), np.array([True]))["accuracy_relied_on"] is None


def grouped(reliable: float) -> Answers:
    """Forty faces, all called anger, of which the first thirty and five of the last ten are."""
    made = dataclasses.replace(faces(40, {}), source=np.array([f"{i}.png" for i in range(40)], dtype=object))
    truth = np.array([0] * 30 + [0, 1] * 5)
    said = np.zeros((40, 7), np.float32)
    said[:, 0], said[:, 1] = 0.9, 0.1
    return Answers(made, FER2013, truth, said, np.array([0.9] * 30 + [reliable] * 10, np.float32))


def test_groups_of_people_have_figures_of_their_own(tmp_path: Path) -> None:
    answers = grouped(0.2)
    path = tmp_path / "groups.csv"
    lines = [f"{source},{'old' if i >= 30 else 'young' if i else ''},x" for i, source in enumerate(answers.faces.source.tolist())]
    path.write_text("\n".join(["source,age,all", *lines, "nobody,old,x"]), encoding="utf-8")
    rows = {(row["column"], row["group"]): row for row in group_rows(answers, read_groups(path), rounds=200)}
    assert list(rows) == [("age", "old"), ("age", "young"), ("all", "x")]
    old, young = rows["age", "old"], rows["age", "young"]
    assert (old["n"], young["n"], rows["all", "x"]["n"]) == (10, 29, 40)
    assert (old["accuracy"], old["coverage"], old["accuracy_relied_on"]) == (0.5, 0.0, None)
    assert old["ece"] == pytest.approx(0.4, abs=1e-6)
    assert old["accuracy_interval"][0] < 0.5 < old["accuracy_interval"][1]
    assert old["accuracy_relied_on_interval"] is None
    assert (young["accuracy"], young["accuracy_interval"], young["coverage"]) == (1.0, [1.0, 1.0], 1.0)
    assert "coverage" not in group_rows(grouped(np.nan), {"age": dict.fromkeys(answers.faces.source.tolist(), "all")}, rounds=2)[0]


def test_groups_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    with pytest.raises(DataError, match="cannot be read as CSV"):
        read_groups(path)
    path.write_text("picture,age\na.png,old\n", encoding="utf-8")
    with pytest.raises(DataError, match="wanted a column source and at least one of groups"):
        read_groups(path)
    path.write_text("source,age\nother.png,old\n", encoding="utf-8")
    with pytest.raises(DataError, match="no picture that counts is in a group"):
        group_rows(grouped(0.9), read_groups(path))


def test_mien_evaluate_groups(portraits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "groups.csv", tmp_path / "out"
    path.write_text("source,who\ntest/happy/astronaut.png,she\ntest/neutral/grace_hopper.jpg,another\n", encoding="utf-8")
    command = ["evaluate", "default", "--data", str(portraits), "--protocol", "labels", "--groups", str(path)]
    assert main([*command, "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "who another" in text
    assert "who she" in text
    with (out / "groups.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["column"], row["group"], row["n"]) for row in rows] == [("who", "another", "1"), ("who", "she", "1")]
    figures = json.loads((out / "figures.json").read_text(encoding="utf-8"))
    assert [float(row["accuracy"]) for row in rows] == [row["accuracy"] for row in figures["groups"]]
    assert main([*command, "--robustness"]) == 2
    assert "leave out --robustness" in capsys.readouterr().err


# --- several models, several data sets


@pytest.mark.usefixtures("known")
def test_several_models_and_data_sets_in_one_table(
    data: Path, portraits: Path, tmp_path: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["evaluate", "default", str(bundle_folder), "--data", str(portraits), str(data), "--protocol", "labels"]
    assert main([*command, "--split", "Training", "--out", str(out), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["model"], row["data"]) for row in rows] == [
        ("mien-lite0", str(portraits)),
        ("shapes", str(portraits)),
        ("mien-lite0", str(data)),
        ("shapes", str(data)),
    ]
    assert [row["n"] for row in rows] == [2, 2, 84, 84]
    assert [row["emotions"] for row in rows[:2]] == [["happiness", "neutral"]] * 2
    assert rows[2]["emotions"] == list(FER2013)
    assert [row["seen"] for row in rows] == ["", "", "trained on", ""]  # the shapes' own card does not name FER2013
    assert rows[3]["accuracy"] > 0.6 > rows[2]["accuracy"]  # of shapes only one of them knows anything
    folders = {path.name for path in out.iterdir() if path.is_dir()}
    assert folders == {"1-mien-lite0-data1", "1-mien-lite0-data2", "2-shapes-data1", "2-shapes-data2"}
    for folder, model, n in (("1-mien-lite0-data1", "mien-lite0", 2), ("2-shapes-data2", "shapes", 84)):
        figures = json.loads((out / folder / "figures.json").read_text(encoding="utf-8"))
        assert (figures["model"], figures["n"], figures["split"]) == (model, n, "Training")
        assert len((out / folder / "answers.csv").read_text(encoding="utf-8").splitlines()) == n + 1
        assert (out / folder / "confusion.png").is_file()
    with (out / "cross_data.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [row["emotions"] for row in table][:1] == ["happiness neutral"]
    for line, row in zip(table, rows, strict=True):
        assert float(line["accuracy"]) == pytest.approx(row["accuracy"], abs=1e-4)
        low, high = row["interval"]["macro_f1"]
        assert (float(line["macro_f1_low"]), float(line["macro_f1_high"])) == pytest.approx((low, high), abs=1e-4)
    assert main([*command, "--split", "PublicTest"]) == 1  # the portraits have a Training split and a PrivateTest
    capsys.readouterr()
    assert main([*command[:3], "--data", str(data), "--protocol", "fer2013", "--split", "PublicTest"]) == 0
    text = capsys.readouterr().out
    assert "accuracy and macro-F1 by the protocol fer2013, PublicTest" in text
    assert "N = 42; told apart: anger, disgust" in text
    assert text.count("+") == 2  # one model was chosen on it, and the line that says so
    assert "*" not in text


def test_only_what_all_models_know_is_told_apart(data: Path, tmp_path: Path) -> None:
    few = load_model(tiny_bundle(tmp_path / "tiny", labels=("anger", "happiness", "contempt")))
    rows = cross_data([load_model(), few], [data], "ferplus-strict", split="PrivateTest")
    for row in rows:
        assert row["emotions"] == ["happiness", "anger", "contempt"]
        assert row["n"] == rows[0]["n"]
        assert row["seen"] == ""
    assert rows[0]["n"] < 42 * 3 / 7 + 1
    one = load_model(tiny_bundle(tmp_path / "one", labels=("anger", "joyless")))
    with pytest.raises(DataError, match="wanted at least two emotions that all models know, but got anger"):
        cross_data([load_model(), one], [data], "fer2013")


def test_in_a_table_the_answers_are_those_of_the_shared_emotions(data: Path, tmp_path: Path) -> None:
    """With one model that knows two emotions, the other is asked which of these two it is."""
    two = load_model(tiny_bundle(tmp_path / "two", labels=("anger", "happiness")))
    row = cross_data([load_model(), two], [data], "fer2013", split="PublicTest")[0]
    these = faces_of(load_model(), data, split="PublicTest")
    model = Expressions("default", head=row["head"])
    anger, happiness = (model(these.crops)[:, model.labels.index(name)] for name in ("anger", "happiness"))
    labels = these.truth("fer2013")
    counts = (labels == FER2013.index("anger")) | (labels == FER2013.index("happiness"))
    right = ((happiness > anger) == (labels == FER2013.index("happiness")))[counts]
    assert (row["n"], row["accuracy"]) == (counts.sum(), pytest.approx(right.mean()))


def test_what_goes_with_one_model_only(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more in (["--robustness"], ["--labels", "fer2013"], ["--prior", "natural"]):
        assert main(["evaluate", "default", "default", "--data", str(data), "--protocol", "fer2013", *more]) == 2
        assert "are for one MODEL" in capsys.readouterr().err


def test_copies_of_training_pictures_are_told_apart(
    bundle_folder: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (data / "fer2013.csv").open(newline="") as one, (data / "fer2013new.csv").open(newline="") as two:
        pictures, votes = list(csv.reader(one)), list(csv.reader(two))
    copied = next(i for i, row in enumerate(pictures) if row[2] == "PrivateTest")
    pictures[copied][1] = pictures[1][1]  # the first of Training, once more in PrivateTest
    for name, rows in (("fer2013.csv", pictures), ("fer2013new.csv", votes)):
        with (tmp_path / name).open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    bundle = load_model(bundle_folder)
    loaded = []

    def counted(*given: Any, **named: Any) -> FaceSet:
        loaded.append(given)
        return load_faces(*given, **named)

    monkeypatch.setattr(module, "load_faces", counted)
    found = evaluate_bundle(bundle, tmp_path, "fer2013")
    assert len(loaded) == 1  # the cache of FER2013 weighs hundreds of megabytes
    assert found["without_duplicates"]["n"] == found["n"] - 1
    assert evaluate_bundle(bundle, data, "fer2013")["without_duplicates"]["n"] == found["n"]
