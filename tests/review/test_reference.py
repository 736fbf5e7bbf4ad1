"""Every number of a report of planted truth, worked out again from the raw readings: by loops, SciPy and statsmodels.

Two cuts of a film, each watched by twelve people and by some who left early or came late; faces that are not found now and then,
stretches that cannot be relied on, and people whose looks have holes. Nothing of mien's own statistics is used here. What the
report draws by chance (bands, thresholds) is compared with what the reference allows it to be.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from mien.labels import FERPLUS
from mien.study.definition import Study
from mien.study_report import results
from mien.study_report.sample import timeline_of
from mien.study_report.viewers import Viewer

EVERY_S, LENGTH_S, WHOLE, SMALLEST = 0.5, 60.0, 12, 3
TIMES = np.arange(0, LENGTH_S + EVERY_S / 2, EVERY_S)
JOKE, TURN, MARK_S = (20.0, 25.0), (40.0, 45.0), 20.0
NEGATIVE = [FERPLUS.index(name) for name in ("anger", "sadness", "fear", "disgust", "contempt")]
HAPPY, SURPRISED = FERPLUS.index("happiness"), FERPLUS.index("surprise")

pytestmark = pytest.mark.more

Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Raw:
    """What was read of one person: scores (T, K), NaN without a reading that counts; when there was a look, (T,)."""

    name: str
    film: str
    scores: Rows
    looked: NDArray[np.bool_]
    felt: int
    liked: int
    group: str

    def filled(self) -> Rows:
        """One missing look between two is their mean; longer holes stay."""
        found = self.scores.copy()
        for t in range(1, len(TIMES) - 1):
            if np.isnan(self.scores[t, 0]) and not np.isnan(self.scores[[t - 1, t + 1], 0]).any():
                found[t] = (self.scores[t - 1] + self.scores[t + 1]) / 2
        return found


def signal(scores: Rows, name: str) -> Rows:
    """(…, T) of scores (…, T, K)."""
    if name == "valence":
        return np.asarray(scores[..., HAPPY] - scores[..., NEGATIVE].max(axis=-1))
    return scores[..., FERPLUS.index(name)]


def planted(film: str, seed: int) -> tuple[list[Raw], list[Viewer]]:
    """People before one cut; all laugh at the joke, who watches b is surprised by the turn, too."""
    random, people, viewers = np.random.default_rng(seed), [], []
    for k in range(WHOLE + 4):
        name, late = f"{film}{k}", k == WHOLE + 3
        warm = random.uniform(0.5, 1.5)
        logit = random.normal(0, 0.25, (len(TIMES), len(FERPLUS))) + np.linspace(2, 0, len(FERPLUS))
        logit[(JOKE[0] <= TIMES) & (JOKE[1] > TIMES), HAPPY] += 4 * warm
        if film == "b":
            logit[(TURN[0] <= TIMES) & (TURN[1] > TIMES), SURPRISED] += 4 * warm
        scores = (np.exp(logit) / np.exp(logit).sum(axis=1, keepdims=True)).astype(np.float32)
        looked = np.ones(len(TIMES), bool)
        if k >= WHOLE:  # three leave at another time each, one comes late
            looked &= (TIMES >= 30) if late else (10 * (k - WHOLE + 2) > TIMES)
        found = looked & (random.random(len(TIMES)) > 0.04)
        sure = np.ones(len(TIMES), np.float32)
        if k in (1, 2):
            sure[30 + 20 * k : 36 + 20 * k] = 0.01  # read, and not to be relied on
        if k == 3:
            found[80:90] = False  # looks away
        timeline = timeline_of(TIMES[looked], scores[looked].astype(float), found[looked], name, EVERY_S)
        timeline = replace(timeline, reliability=sure[looked][found[looked]])
        counted = np.where((found & (sure > 0.5))[:, None], scores, np.nan)
        felt, liked = int(np.clip(round(2 * warm + random.normal(0, 0.6)), 0, 4)), int(np.clip(round(3 * warm + 1), 1, 7))
        people.append(Raw(name, film, counted, looked, felt, liked, "often" if k % 2 else "rarely"))
        answers = {"felt": dict.fromkeys(FERPLUS, 0) | {"happiness": felt}, "liked": liked}
        viewers.append(Viewer(name, {film: timeline}, answers=answers, groups={"cinema": people[-1].group}))
    return people, viewers


STUDY = Study.read(
    {
        "title": "Reference",
        "stimuli": [{"id": id, "title": f"Cut {id}", "duration_s": LENGTH_S, "sha256": "0" * 64} for id in "ab"],
        "cuts": ["a", "b"],
        "cuts_shown": "one",
        "smallest_group": SMALLEST,
        "curve_sigma_s": 0,
        "every_s": EVERY_S,
        "markers": [{"id": "m", "stimulus": id, "time_s": MARK_S, "label": "joke"} | {"id": f"m{id}"} for id in "ab"],
        "after": [{"id": "felt", "kind": "emotions"}, {"id": "liked", "kind": "liking"}],
        "variables": [
            {"id": "cinema", "title": "Cinema", "values": [{"id": id, "title": id} for id in ("often", "rarely")]},
        ],
    }
)


@pytest.fixture(scope="module")
def made() -> tuple[dict[str, Any], dict[str, list[Raw]]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "SHIFTS", 60)
        patch.setattr(results, "DRAWS", 400)
        (a, one), (b, other) = planted("a", 1), planted("b", 2)
        return results.build(STUDY, [*one, *other]), {"a": a, "b": b}


def whole(people: Sequence[Raw]) -> list[Raw]:
    return [one for one in people if one.looked.mean() >= 0.8]


def stacked(people: Sequence[Raw]) -> Rows:
    return np.array([one.filled() for one in people])


def numbers(values: Sequence[float | None]) -> Rows:
    return np.array([math.nan if value is None else value for value in values], float)


@pytest.mark.parametrize("film", ["a", "b"])
def test_who_counts_the_curves_and_their_n(made: Any, film: str) -> None:
    review, people = made
    part = next(one for one in review["stimuli"] if one["id"] == film)
    there = whole(people[film])
    assert (part["viewers"], part["in_curves"], len(there)) == (WHOLE + 4, WHOLE, WHOLE)
    shares = {one.name: one.looked.mean() for one in people[film]}
    assert part["watched"] == pytest.approx(shares, abs=1e-4)
    assert {row["viewer"]: row["share"] for row in part["left"]} == pytest.approx(
        {name: share for name, share in shares.items() if share < 0.8}, abs=1e-4
    )
    assert part["there"] == [sum(one.looked[t] for one in people[film]) for t in range(len(TIMES))]
    scores = stacked(there)
    seen = ~np.isnan(scores[..., 0])
    assert part["n"] == seen.sum(axis=0).tolist()
    assert numbers(part["attention"]) == pytest.approx(seen.mean(axis=0), abs=1e-4)  # all of them were looked at all the time
    for name, curve in part["curves"]["raw"].items():
        values = signal(scores, name)
        assert numbers(curve["mean"]) == pytest.approx(np.nanmean(values, axis=0), abs=1e-4), name
        low, high = np.array([DescrStatsW(values[seen[:, t], t]).tconfint_mean() for t in range(len(TIMES))]).T
        width = numbers(curve["high"]) - numbers(curve["low"])
        # By bootstrap-t: as wide as Student's interval, on the whole, and about the same mean.
        assert 0.8 < float(np.median(width / (high - low))) < 1.25, name
    everybody = stacked(people[film])
    others = (~np.isnan(everybody[..., 0])).sum(axis=0) - seen.sum(axis=0)
    told = numbers(part["everybody"]["n"])
    fine = (others == 0) | (others >= SMALLEST)
    assert told[fine] == pytest.approx((seen.sum(axis=0) + others)[fine])
    assert np.isnan(told[~fine]).all()


def alike(values: Rows) -> list[float]:
    """Each viewer's correlation with the mean of the others, where both are there; every own mean taken off first."""
    own = values - np.nanmean(values, axis=1, keepdims=True)
    found = []
    for k in range(len(own)):
        others = np.delete(own, k, axis=0)
        both = ~np.isnan(own[k]) & ~np.isnan(others).all(axis=0)
        found.append(float(stats.pearsonr(own[k, both], np.nanmean(others[:, both], axis=0)).statistic))
    return found


@pytest.mark.parametrize("film", ["a", "b"])
def test_how_alike_they_were_and_of_how_many(made: Any, film: str) -> None:
    review, people = made
    found = next(one for one in review["stimuli"] if one["id"] == film)["synchrony"]
    scores = stacked(whole(people[film]))
    assert found["n"] == WHOLE
    for name, one in found["by_signal"].items():
        assert one["isc"] == pytest.approx(np.mean(alike(signal(scores, name))), abs=1e-3), name
    assert found["isc"] == found["by_signal"]["valence"]["isc"]
    random, values = np.random.default_rng(9), signal(scores, "valence")
    null = [np.mean(alike(np.array([np.roll(row, random.integers(len(TIMES))) for row in values]))) for _ in range(60)]
    assert found["isc"] > max(null)
    assert found["p"] == pytest.approx(1 / 61, abs=1e-4)  # none of so many shifted audiences was as alike
    assert abs(found["null_high"] - np.quantile(null, 0.975)) < 0.1


@pytest.mark.parametrize("film", ["a", "b"])
def test_markers_are_paired_differences_with_exact_sign_flips(made: Any, film: str) -> None:
    review, people = made
    (marker,) = next(one for one in review["stimuli"] if one["id"] == film)["markers"]
    scores = stacked(whole(people[film]))
    spans = [(TIMES >= MARK_S - 5) & (TIMES < MARK_S), (TIMES >= MARK_S) & (TIMES < MARK_S + 5)]
    for name, effect in marker["effects"].items():
        before, after = (np.nanmean(signal(scores, name)[:, span], axis=1) for span in spans)
        told = [effect[which] for which in ("before", "after", "difference", "n")]
        assert told == pytest.approx([before.mean(), after.mean(), (after - before).mean(), WHOLE], abs=1e-4), name

        def mean(x: Any, y: Any, axis: int) -> Any:
            return np.abs((y - x).mean(axis=axis))

        exact = stats.permutation_test(
            (before, after), mean, permutation_type="samples", alternative="greater", n_resamples=np.inf, vectorized=True
        )
        assert effect["p"] == pytest.approx(exact.pvalue, abs=1e-4), name
        low, high = DescrStatsW(after - before).tconfint_mean()
        assert effect["low"] < effect["difference"] < effect["high"], name
        assert 0.6 < (effect["high"] - effect["low"]) / (high - low) < 2, name  # bootstrap-t of twelve, some of whom laugh more
    rows = [effect for name, effect in marker["effects"].items() if name != "valence"]
    assert [row["p_corrected"] for row in rows] == pytest.approx(
        multipletests([row["p"] for row in rows], method="holm")[1], abs=1e-3
    )


@pytest.mark.parametrize("film", ["a", "b"])
def test_moments_are_where_the_mean_is_highest_and_of_how_many(made: Any, film: str) -> None:
    review, people = made
    part = next(one for one in review["stimuli"] if one["id"] == film)
    scores = stacked(whole(people[film]))
    planted_in = {"happiness": JOKE} | ({"surprise": TURN} if film == "b" else {})
    found = {one["signal"]: one for one in part["moments"] if one["direction"] == "up" and one["signal"] in FERPLUS}
    assert set(planted_in) == set(found) - {"neutral"}
    for name, (from_s, until_s) in planted_in.items():
        moment, mean = found[name], np.nanmean(signal(scores, name), axis=0)
        assert from_s <= moment["time_s"] < until_s
        at = round(moment["time_s"] / EVERY_S)
        assert at == int(mean.argmax())
        assert (moment["measured"], moment["value"]) == pytest.approx((mean[at], mean[at]), abs=1e-4)
        assert moment["value"] > moment["threshold"] > np.delete(mean, np.flatnonzero((from_s <= TIMES) & (until_s > TIMES))).max()


def test_two_cuts_differ_by_the_difference_of_their_means_where_it_was_planted(made: Any) -> None:
    review, people = made
    cuts, scores = review["cuts"], {film: stacked(whole(people[film])) for film in "ab"}
    assert (cuts["way"], cuts["n"], cuts["pairs"]) == ("between", [WHOLE, WHOLE], 0)
    for name, one in cuts["signals"].items():
        first, second = (np.nanmean(signal(scores[film], name), axis=0) for film in "ab")
        assert numbers(one["difference"]) == pytest.approx(second - first, abs=2e-4), name
    (span,) = cuts["signals"]["surprise"]["where"]
    assert (span[0], span[1]) == pytest.approx(TURN, abs=1)
    # Both have the joke; where one surprises, all else appears less sure there.
    assert all(TURN[0] - 1 < a < b < TURN[1] + 1 for one in cuts["signals"].values() for a, b in one["where"])
    rows = [one for name, one in cuts["signals"].items() if name != "valence"]
    assert [row["p_corrected"] for row in rows] == pytest.approx(
        multipletests([row["p"] for row in rows], method="holm")[1], abs=1e-3
    )


def test_groups_over_a_whole_film_are_welchs(made: Any) -> None:
    review, people = made
    part = review["stimuli"][0]
    own = {group: stacked([one for one in whole(people["a"]) if one.group == group]) for group in ("often", "rarely")}
    assert {group: one["n"] for group, one in part["groups"]["cinema"].items()} == {"often": 6, "rarely": 6}
    for name in FERPLUS:
        one, other = (np.nanmean(signal(own[group], name), axis=1) for group in ("often", "rarely"))
        test = stats.ttest_ind(one, other, equal_var=False)
        low, high = test.confidence_interval()
        told = part["differences"]["cinema"]["raw"][name]["overall"]
        wanted = (one.mean() - other.mean(), low, high, test.pvalue)
        assert [told[which] for which in ("difference", "low", "high", "p")] == pytest.approx(wanted, abs=1e-3), name


def test_answers_and_what_goes_with_them(made: Any) -> None:
    review, people = made
    everybody = [*people["a"], *people["b"]]
    # Of the readings themselves, those that are not to be relied on as well: gaps are not filled there.
    viewers = [viewer for seed, film in enumerate("ab", start=1) for viewer in planted(film, seed)[1]]
    shown = [float(np.concatenate([t.emotions for t in v.timelines.values()]).astype(float).mean(axis=0)[HAPPY]) for v in viewers]
    felt = [one.felt for one in everybody]
    row = next(one for one in review["agreement"]["rows"] if one["label"] == "happiness")
    test = stats.spearmanr(felt, shown)
    assert (row["n"], row["rho"]) == (len(everybody), pytest.approx(test.statistic, abs=1e-4))
    assert row["p"] == pytest.approx(test.pvalue, abs=0.02)
    assert row["low"] < row["rho"] < row["high"]
    x, y = np.array(felt) / 4, np.array(shown)
    lin = 2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert row["ccc"] == pytest.approx(lin, abs=1e-4)
    assert row["expressed_mean"] == pytest.approx(np.mean(shown), abs=1e-4)
    liked = next(one for one in review["questions"] if one["id"] == "liked")
    values = [one.liked for one in everybody]
    assert liked["n"] == len(values)
    for count in liked["counts"]:
        low, high = (int(v) for v in str(count["id"]).split("–")) if "–" in str(count["id"]) else (int(count["id"]),) * 2
        n = sum(low <= v <= high for v in values)
        assert (count["n"], count["share"]) == (n, pytest.approx(n / len(values), abs=1e-4))
    if liked.get("mean") is not None:
        assert liked["mean"] == pytest.approx(np.mean(values), abs=0.05)
    by_cut = liked["by_group"][results.BY_CUT]
    assert {film: by_cut[film]["n"] for film in "ab"} == {film: len(people[film]) for film in "ab"}
    assert review["counts"]["measured"] == len(everybody)
