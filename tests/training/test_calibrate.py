import json
from pathlib import Path

import numpy as np
import pytest

from mien import cli
from mien.emotion import Expressions
from mien.errors import DataError
from mien.labels import FERPLUS
from mien.models import load_model
from mien.training import calibrate as module
from mien.training.calibrate import LEARNT, ask, calibrate, choose_decision, fit_reliability, misses, nothing, spoilt
from mien.training.card import card
from mien.training.damage import KINDS, NAMED_BEFOREHAND
from mien.training.data import load_faces
from mien.training.evaluate import auroc, evaluate_bundle


def test_what_is_named_beforehand_is_not_learnt() -> None:
    assert set(LEARNT) == set(KINDS) - set(NAMED_BEFOREHAND)


def test_a_reliability_is_calibrated_and_finds_what_tells_right_from_wrong() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 3)) * [1, 100, 0] + [0, 50, 7]  # the last says nothing at all
    right = rng.random(4000) < 1 / (1 + np.exp(-(2 * x[:, 0] + 0.5)))
    fit = fit_reliability(x, right, np.ones(4000))
    given = fit(x)
    assert given.mean() == pytest.approx(right.mean(), abs=0.005)
    high = given > 0.8
    assert given[high].mean() == pytest.approx(right[high].mean(), abs=0.03)
    assert fit.weights[0] == pytest.approx(2, abs=0.25)
    assert abs(fit.weights[1]) < 0.002
    assert auroc(given, right) > 0.85
    # Rows that weigh nothing are not learnt from.
    weight = np.where(right, 1.0, 0.0)
    assert fit_reliability(x, right, weight)(x).mean() > 0.97


def test_a_decision_is_allowed_by_the_bars_of_the_rule() -> None:
    before = {"ferplus_accuracy": 0.88, "fer2013_accuracy": 0.60, "elsewhere_accuracy": 0.76}
    good = before | {"elsewhere_happiness": 0.85, "elsewhere_surprise": 0.6, "elsewhere_neutral": 0.88}
    assert misses(good, before) == []
    assert misses(good | {"ferplus_accuracy": 0.869}, before) == ["ferplus_accuracy"]
    assert misses(good | {"elsewhere_surprise": 0.59, "elsewhere_accuracy": 0.75}, before) == [
        "elsewhere_accuracy",
        "elsewhere_surprise",
    ]
    assert misses({name: good[name] for name in ("ferplus_accuracy", "fer2013_accuracy")}, before) == []


def test_spoilt_faces_are_the_same_each_time_and_nothing_is_no_face(bundle_folder: Path, data: Path) -> None:
    faces = load_faces(data, load_model(bundle_folder).spec.crop).of("PublicTest")
    for kind in ("dark", "stripes"):
        one = spoilt(faces, kind)
        assert one.shape == faces.crops.shape
        assert np.array_equal(one, spoilt(faces, kind))
        assert not np.array_equal(one, faces.crops)
    assert nothing(faces).shape == (2 * len(faces.crops[::8]), *faces.crops.shape[1:])


def test_a_calibrated_bundle_has_the_same_network_and_says_how_reliable_it_is(
    bundle_folder: Path, data: Path, tmp_path: Path
) -> None:
    bundle = load_model(bundle_folder)
    found = calibrate(bundle, data, tmp_path / "anew", elsewhere=data, before=bundle)
    anew = load_model(tmp_path / "anew")
    assert anew.spec.sha256 == bundle.spec.sha256
    assert anew.card == card(anew.spec)
    head = anew.spec.heads[0]
    assert [prior.name for prior in head.priors] == ["natural", "balanced", "fused"]
    assert all(way.reliability is not None for one in anew.spec.heads for way in (one, *one.priors))
    assert found["decision"]["default"] == ("tuned" if found["decision"]["allowed"] else "natural")
    rows = {row["kind"]: row for row in anew.spec.calibration["reliability"]["kinds"]}
    assert set(rows) == {"clean", *KINDS, "named beforehand", "nothing"}
    assert not any(rows[kind]["learnt"] for kind in NAMED_BEFOREHAND)
    assert rows["nothing"]["right"] == 0
    assert rows["nothing"]["surest"] == {"0.9": 0, "0.7": 0, "0.5": 0}
    assert "right of the surest 50 %" in anew.card
    for protocol in ("ferplus-strict", "fer2013"):
        ours, before = (one.spec.evaluation[protocol]["PrivateTest"] for one in (anew, bundle))
        asked = evaluate_bundle(anew, data, protocol, split="PrivateTest")
        assert (ours["accuracy"], ours["ece"], ours["confusion"]) == (asked["accuracy"], asked["ece"], asked["confusion"])
        assert ours["priors"]["tuned"]["accuracy"] == ours["accuracy"]
        assert {"tuned", "natural", "balanced"} <= set(ours["priors"]) >= set(before["priors"])
    crops = load_faces(data, anew.spec.crop).of("PublicTest").crops
    probabilities, reliability = Expressions(anew).read(crops)
    assert probabilities.shape == (len(crops), len(FERPLUS))
    assert ((reliability > 0) & (reliability < 1)).all()
    with pytest.raises(DataError, match="is there already"):
        calibrate(bundle, data, tmp_path / "anew")


def test_the_surest_are_those_of_the_highest_reliability() -> None:
    reliability, right = np.array([0.2, 0.9, 0.8, 0.1], np.float32), np.array([False, True, False, True])
    assert [module.right_of_surest(reliability, right, share) for share in (0.1, 0.25, 0.5, 1.0)] == [1.0, 1.0, 0.5, 0.5]


def test_the_default_changes_only_where_the_rule_allows_it(
    bundle_folder: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = load_model(bundle_folder)
    asked = ask(bundle, data)
    heads = bundle.spec.heads
    natural = heads[0].with_prior("natural")
    monkeypatch.setattr(module, "misses", lambda found, bars: ["elsewhere_surprise"])
    chosen, report = choose_decision(heads, asked)
    assert (report["default"], report["allowed"]) == ("natural", 0)
    assert "tuned" not in report
    assert (chosen[0].temperature, chosen[0].fusion) == (natural.temperature, None)
    assert chosen[0].with_prior("fused").fusion is not None
    # Surprise is missed: what the head alone says may be pushed to it, and to nothing else.
    pushed = [module.pushed_head(heads[0], ["surprise"], by).bias for by in module.PUSHES]
    place = FERPLUS.index("surprise")
    monkeypatch.setattr(
        module,
        "figures",
        lambda way, heads, asked: {"mean": way.bias[place], "is_allowed": float(way.fusion is None and way.bias in pushed[:3])},
    )
    monkeypatch.setattr(module, "misses", lambda found, bars: [] if found["is_allowed"] else ["elsewhere_surprise"])
    chosen, report = choose_decision(heads, asked)
    assert (report["default"], report["allowed"]) == ("tuned", 3)
    assert report["tuned"] == {"mean": 0.15, "is_allowed": 1.0, "misses": []}
    assert (chosen[0].bias, chosen[0].fusion) == (pushed[2], None)
    assert {name for name, by in zip(FERPLUS, chosen[0].bias, strict=True) if by} == {"surprise"}
    assert chosen[0].with_prior("natural").bias == natural.bias


def test_the_bars_are_those_of_the_default_before_it(bundle_folder: Path, data: Path) -> None:
    bundle = load_model(bundle_folder)
    asked = ask(bundle, data)
    _, report = choose_decision(bundle.spec.heads, asked)
    assert report["natural"]["misses"] == []  # of nothing from elsewhere, and against itself
    better = {"ferplus_accuracy": 1.02, "fer2013_accuracy": 0.0}
    chosen, report = choose_decision(bundle.spec.heads, asked, better)
    assert report["default"] == "natural"
    assert "ferplus_accuracy" in report["natural"]["misses"]
    assert chosen[0].bias == bundle.spec.heads[0].with_prior("natural").bias


def test_the_command_prints_a_line_for_each_kind_of_damage(
    bundle_folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["calibrate", str(bundle_folder), "--data", str(data), "--out"]
    assert cli.main([*asked, str(tmp_path / "one")]) == 0
    printed = capsys.readouterr().out
    assert "default decision:" in printed
    assert all(f"  {kind} " in printed for kind in KINDS)
    assert printed.count("not learnt") == len(NAMED_BEFOREHAND) + 1
    assert cli.main([*asked, str(tmp_path / "two"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["reliability"]["labels"] == "ferplus"
