"""The statistics of audiences against known truth: planted reactions, viewers with nothing in common, plain references.

The references are written with SciPy and statsmodels, or as loops that say what is meant. Rates are those of a fixed seed; the
bounds around them are wider than chance gives (99.9 %), and narrower than any fault would be worth.
"""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from audiences import gaps, of, slow, strangers
from mien import audience
from mien.audience import Audience

HAPPY, SAD = 1, 2


def likely(rate: float, trials: int) -> tuple[float, float]:
    """Between these a share of so many trials lies in 999 of 1000 cases."""
    low, high = stats.binom.ppf([0.0005, 0.9995], trials, rate) / trials
    return float(low), float(high)


# --- the mean and its interval


def test_the_mean_is_that_of_those_seen() -> None:
    given = strangers(np.random.default_rng(0), 9, 50, gappy=True)
    curve = audience.mean_curve(given, "happiness")
    want = np.where(given.seen, given.signal("happiness"), np.nan)
    some = given.seen.any(axis=0)
    np.testing.assert_allclose(curve.mean[some], np.nanmean(want[:, some], axis=0), atol=1e-6)
    np.testing.assert_array_equal(curve.n, given.seen.sum(axis=0))


def test_all_signals_share_what_one_alone_has() -> None:
    given = strangers(np.random.default_rng(0), 6, 40, gappy=True)
    together = audience.mean_curves(given, draws=200, seed=5)
    assert list(together) == [*given.labels, "valence"]
    for name, curve in together.items():
        alone = audience.mean_curve(given, name, draws=200, seed=5)
        for part in ("mean", "low", "high"):
            np.testing.assert_array_equal(getattr(curve, part), getattr(alone, part))
    other = audience.mean_curve(given, "happiness", draws=200, seed=6)
    assert (other.high != together["happiness"].high).any()


def test_the_interval_is_the_bootstrap_t() -> None:
    """One time, one viewer after the other: the same draws, written out."""
    rng = np.random.default_rng(3)
    x = rng.beta(1, 4, 12).astype(np.float32)
    draws = np.random.default_rng(0).integers(0, 12, size=(1000, 12))
    error = stats.sem(x)
    t = []
    for picked in draws:
        drawn = x.astype(float)[picked]
        t.append((drawn.mean() - x.mean()) / max(drawn.std() / np.sqrt(11), error / 3))
    most, least = np.quantile(t, (0.025, 0.975))
    student = stats.t.ppf(0.975, 11)
    want = [max(0, x.mean() - max(least, student) * error), x.mean() + max(-most, student) * error]
    curve = audience.mean_curve(of(x[:, None]), "happiness")
    np.testing.assert_allclose([curve.low[0], curve.high[0]], want, atol=1e-5)
    assert -most > student + 0.1  # the skew is felt: this is not Student's


def test_for_many_viewers_it_is_what_statsmodels_says() -> None:
    weightstats = pytest.importorskip("statsmodels.stats.weightstats")
    x = np.clip(np.random.default_rng(1).normal(0.5, 0.1, (300, 20)), 0, 1)
    curve = audience.mean_curve(of(x), "happiness", draws=4000, level=0.9)
    low, high = weightstats.DescrStatsW(x).tconfint_mean(alpha=0.1)
    np.testing.assert_allclose(curve.low, low, atol=0.002)
    np.testing.assert_allclose(curve.high, high, atol=0.002)


NORMAL: Callable[..., NDArray[np.float64]] = lambda rng, size: np.clip(rng.normal(0.5, 0.1, size), 0, 1)  # noqa: E731
SKEWED: Callable[..., NDArray[np.float64]] = lambda rng, size: rng.beta(1, 6, size)  # noqa: E731


@pytest.mark.parametrize(
    ("draw", "truth", "viewers", "least", "most"),
    [
        (NORMAL, 0.5, 3, 0.94, 0.97),
        (NORMAL, 0.5, 5, 0.945, 0.98),
        (NORMAL, 0.5, 10, 0.94, 0.97),
        (NORMAL, 0.5, 30, 0.94, 0.97),
        (SKEWED, 1 / 7, 5, 0.91, 0.96),
        (SKEWED, 1 / 7, 10, 0.94, 0.975),
        (SKEWED, 1 / 7, 30, 0.94, 0.975),
    ],
)
def test_the_interval_covers(
    draw: Callable[..., NDArray[np.float64]], truth: float, viewers: int, least: float, most: float
) -> None:
    """Many audiences side by side: each time of this film is another one, of viewers who have never met."""
    curve = audience.mean_curve(of(draw(np.random.default_rng(viewers), (viewers, 3000))), "happiness")
    covered = ((curve.low <= truth) & (truth <= curve.high)).mean()
    assert least <= covered <= most


def test_it_covers_where_some_are_not_seen_and_at_other_levels() -> None:
    rng = np.random.default_rng(4)
    given = of(rng.beta(2, 5, (20, 2000)), rng.random((20, 2000)) < 0.6)
    for level in (0.5, 0.8, 0.95):
        curve = audience.mean_curve(given, "happiness", level=level)
        assert abs(((curve.low <= 2 / 7) & (curve.high >= 2 / 7)).mean() - level) < 0.035


def test_one_viewer_says_nothing_of_others_and_all_alike_leave_no_doubt() -> None:
    one = audience.mean_curves(of(np.full((1, 3), 0.4)))
    assert (one["happiness"].low.tolist(), one["happiness"].high.tolist()) == ([0] * 3, [1] * 3)
    assert (one["valence"].low.tolist(), one["valence"].high.tolist()) == ([-1] * 3, [1] * 3)
    np.testing.assert_allclose(one["happiness"].mean, 0.4, atol=1e-6)
    alike = audience.mean_curve(of(np.full((6, 3), 0.3)), "happiness")
    np.testing.assert_allclose([alike.low, alike.high], 0.3, atol=1e-5)
    nobody = audience.mean_curve(of(np.zeros((3, 4)), np.zeros((3, 4), bool)), "happiness")
    assert not np.stack([nobody.mean, nobody.low, nobody.high, nobody.n]).any()


# --- synchrony


def plain_isc(values: NDArray[np.float64], seen: NDArray[np.bool_]) -> list[float | None]:
    """Each viewer against the mean of the others, as one would write it; None where it is not defined."""
    centred = [row - row[mask].mean() if mask.any() else row for row, mask in zip(values, seen, strict=True)]
    found: list[float | None] = []
    for v in range(len(values)):
        x, y = [], []
        for t in range(values.shape[1]):
            others = [centred[w][t] for w in range(len(values)) if w != v and seen[w, t]]
            if seen[v, t] and others:
                x.append(centred[v][t])
                y.append(np.mean(others))
        found.append(float(stats.pearsonr(x, y).statistic) if len(x) > 2 and np.ptp(x) > 1e-3 and np.ptp(y) > 1e-3 else None)
    return found


@pytest.mark.parametrize("gappy", [False, True])
def test_correlation_with_the_others(gappy: bool) -> None:
    given = strangers(np.random.default_rng(5), 7, 90, gappy=gappy, raised=[(HAPPY, slice(0, 5), slice(20, 40), 3)])
    found = audience.synchrony(given, "happiness", window_s=15, hop_s=5, shifts=10)
    values = given.signal("happiness").astype(float)
    want = plain_isc(values, given.seen)
    assert found.counted.tolist() == [r is not None for r in want]
    np.testing.assert_allclose(found.viewers, [r or 0 for r in want], atol=1e-4)
    assert found.isc == pytest.approx(np.mean([r for r in want if r is not None]), abs=1e-4)
    if not gappy:
        np.testing.assert_allclose(want, [np.corrcoef(values[v], np.delete(values, v, 0).mean(axis=0))[0, 1] for v in range(7)])
    assert (found.window_s, found.hop_s) == (15, 5)
    assert found.times.tolist() == [given.times[k : k + 30].mean() for k in range(0, 61, 10)]
    mean = np.array([row[mask].mean() for row, mask in zip(values, given.seen, strict=True)])
    for k, value, n in zip(range(0, 61, 10), found.values, found.n, strict=True):
        part = slice(k, k + 30)
        # Within a window the means of the whole film are taken off, as above.
        inside = within(values[:, part] - mean[:, None], given.seen[:, part])
        assert n == len(inside)
        assert value == pytest.approx(np.mean(inside) if inside else 0, abs=1e-4)


def within(centred: NDArray[np.float64], seen: NDArray[np.bool_]) -> list[float]:
    found = []
    for v in range(len(centred)):
        others = [w for w in range(len(centred)) if w != v]
        both = seen[v] & seen[others].any(axis=0)
        if both.sum() > 2:
            y = np.array([centred[others, t][seen[others, t]].mean() for t in np.flatnonzero(both)])
            x = centred[v, both]
            if x.std() > 1e-4 and y.std() > 1e-4:
                found.append(float(np.corrcoef(x, y)[0, 1]))
    return found


@pytest.mark.parametrize(("viewers", "times", "gappy"), [(2, 120, False), (5, 120, False), (10, 120, True)])
def test_strangers_are_not_in_step(viewers: int, times: int, gappy: bool) -> None:
    """The null holds its rate, in the whole film and in windows, though the signal is slow and the film is short."""
    rng = np.random.default_rng(viewers)
    trials = 120
    found = [
        audience.synchrony(strangers(rng, viewers, times, gappy=gappy), hop_s=10, window_s=20, shifts=59, seed=i)
        for i in range(trials)
    ]
    low, high = likely(0.05, trials)
    assert low <= np.mean([s.p <= 0.05 for s in found]) <= high
    assert np.mean([not s.null_low <= s.isc <= s.null_high for s in found]) <= high
    # Five windows of one film are far from five films: chance is wider here.
    assert 0.02 <= np.mean([((s.values < s.low) | (s.values > s.high))[s.n > 0].mean() for s in found]) <= 0.1


def test_several_signals_at_once_are_as_in_step_as_each_alone() -> None:
    given = strangers(np.random.default_rng(4), 7, 150, gappy=True, raised=[(HAPPY, slice(0, 5), slice(40, 70), 1.0)])
    together = audience.synchronies(given, shifts=20, window_s=15)
    assert list(together) == [*given.labels, "valence"]
    assert list(audience.synchronies(given, ("valence", "happiness"), shifts=1)) == ["valence", "happiness"]
    assert audience.synchronies(given, ()) == {}
    for name, found in together.items():
        alone = audience.synchrony(given, name, shifts=20, window_s=15)
        for part in ("isc", "viewers", "null_low", "null_high", "p", "values", "low", "high"):
            np.testing.assert_allclose(getattr(found, part), getattr(alone, part), atol=1e-6)
        np.testing.assert_array_equal(found.counted, alone.counted)
        np.testing.assert_array_equal(found.n, alone.n)


def test_leaving_out_small_shifts_would_cost_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why every distance is allowed: without the neighbours of where the viewers are, strangers look in step too often."""

    def only_far(values: NDArray[np.float32], shifts: int, seed: int) -> object:
        rng = np.random.default_rng(seed)
        for _ in range(shifts):
            yield [values[0], np.roll(values[1], rng.integers(30, 91), axis=1)]

    monkeypatch.setattr(audience, "shifted_viewers", only_far)
    rng = np.random.default_rng(2)
    found = [
        audience.synchrony(
            strangers(
                rng,
                2,
                120,
            ),
            window_s=None,
            shifts=99,
            seed=i,
        )
        for i in range(200)
    ]
    assert np.mean([s.p <= 0.05 for s in found]) > likely(0.05, 200)[1]


def followers(rng: np.random.Generator, lags: list[int], noise: float = 0.5) -> Audience:
    """Viewers who all follow one signal, each with a lag in cells."""
    film = slow(rng, (1, 700))[0]
    values = np.stack([film[50 - lag : 650 - lag] for lag in lags]) + noise * slow(rng, (len(lags), 600))
    return of(1 / (1 + np.exp(-values)))


def test_followers_are_in_step_and_lags_cost() -> None:
    rng = np.random.default_rng(8)
    found = [audience.synchrony(followers(rng, [k * lag for k in range(8)]), "happiness") for lag in (0, 2, 6)]
    isc = [s.isc for s in found]
    assert isc[0] > isc[1] > isc[2] + 0.05
    assert isc[0] > 0.8
    assert found[0].p == 1 / 201  # never 0
    assert (found[0].values > found[0].high).mean() > 0.95
    assert found[0].null_high < 0.3
    # One who watches another film is found by name.
    odd = followers(rng, [0] * 7).emotions[:, :, 0].copy()
    odd[3] = followers(rng, [0]).emotions[0, :, 0]
    s = audience.synchrony(of(odd), "happiness")
    assert int(s.viewers.argmin()) == 3


def test_only_the_part_in_step_stands_out_in_windows() -> None:
    rng = np.random.default_rng(9)
    alone, film = slow(rng, (10, 600)), slow(rng, (1, 600))
    alone[:, 300:400] = film[:, 300:400] + 0.3 * alone[:, 300:400]
    s = audience.synchrony(of(1 / (1 + np.exp(-alone))), "happiness", window_s=20, hop_s=5)
    inside = (s.times >= 162) & (s.times <= 188)
    outside = (s.times < 135) | (s.times > 215)
    assert (s.values > s.high)[inside].all()
    assert (s.values > s.high)[outside].mean() < 0.1


def test_synchrony_needs_two_who_move() -> None:
    rng = np.random.default_rng(1)
    moving = 1 / (1 + np.exp(-slow(rng, (3, 100))))
    for given in (of(moving[:1]), of(np.full((4, 100), 0.3)), of(moving, np.zeros((3, 100), bool)), of(moving[:, :2])):
        s = audience.synchrony(given, "happiness")
        assert (s.isc, s.p, s.counted.any(), s.n.any()) == (0, 1, False, False)
    still = moving.copy()
    still[2] = 0.2
    assert audience.synchrony(of(still), "happiness").counted.tolist() == [True, True, False]
    apart = np.zeros((2, 100), bool)
    apart[0, :50] = apart[1, 50:] = True
    assert not audience.synchrony(of(moving[:2], apart), "happiness").counted.any()  # never there together
    assert len(audience.synchrony(of(moving), "happiness", window_s=None).times) == 0
    assert audience.synchrony(of(moving), "happiness", window_s=1000).times.tolist() == [pytest.approx(99 * 0.25)]


# --- moments


def test_planted_moments_are_found_and_nothing_else() -> None:
    rng = np.random.default_rng(11)
    happy, sad = [0, 1, 2, 3, 4, 5, 6], [2, 3, 4, 5, 6, 7, 8, 9]
    planted = [(HAPPY, happy, slice(100, 112), 5.0), (SAD, sad, slice(300, 316), 5.5)]
    given = strangers(rng, 10, 480, gappy=True, raised=planted).smoothed(1)
    found = audience.moments(given)
    told = {(m.signal, m.direction): m for m in found}
    certain = {("happiness", "peak"), ("sadness", "peak"), ("valence", "dip")}
    assert certain <= set(told) <= certain | {("valence", "peak")}
    assert len(found) == len(told)
    assert [m.time_s for m in found] == sorted(m.time_s for m in found)
    for key, (_, who, cells, _) in zip([("happiness", "peak"), ("sadness", "peak")], planted, strict=True):
        moment = told[key]
        assert cells.start / 2 <= moment.time_s <= cells.stop / 2
        assert abs(moment.start_s - cells.start / 2) <= 2
        assert abs(moment.end_s - cells.stop / 2) <= 2
        expected = {f"v{i + 1}" for i in who if given.seen[i, cells].any()}
        assert len(expected ^ set(moment.rose)) <= 1
        assert moment.value == pytest.approx(audience.mean_curve(given, key[0]).mean[round(moment.time_s * 2)], abs=1e-5)
        assert moment.value > moment.threshold
        assert moment.rise == pytest.approx(moment.value - given.signal(key[0])[given.seen].mean(), abs=1e-5)
        assert moment.p <= 0.05
    dip = told["valence", "dip"]
    assert dip.rise < 0
    assert dip.value < dip.threshold
    assert dip.share >= 0.6


@pytest.mark.parametrize(("viewers", "gappy"), [(5, False), (12, True)])
def test_strangers_have_no_moments(viewers: int, gappy: bool) -> None:
    """The threshold is for all signals and all times together."""
    rng = np.random.default_rng(viewers)
    trials = 150
    found = [audience.moments(strangers(rng, viewers, 160, gappy=gappy), shifts=99, seed=i) for i in range(trials)]
    assert np.mean([len(m) > 0 for m in found]) <= likely(0.06, trials)[1]
    assert sum(map(len, found)) > 0  # the threshold is no wall


def test_a_moment_is_lost_when_everybody_laughs_at_another_time() -> None:
    rng = np.random.default_rng(13)
    together = strangers(rng, 10, 400, raised=[(HAPPY, slice(0, 10), slice(100, 110), 5.0)])
    assert [m for m in audience.moments(together) if m.signal == "happiness"]
    e = together.emotions.copy()
    for v in range(10):
        e[v] = np.roll(e[v], 37 * v, axis=0)
    apart = audience.Audience(together.times, 0.5, together.labels, together.names, e, together.seen, together.looked)
    assert not audience.moments(apart)


def test_which_moments_and_how_many() -> None:
    rng = np.random.default_rng(14)
    planted = [(HAPPY, slice(0, 12), slice(k, k + 8), 6.0) for k in (50, 62, 200, 330)]
    given = strangers(rng, 12, 400, raised=planted)
    every = audience.moments(given, signals=["happiness"])
    assert len(every) == 4
    assert {m.signal for m in every} == {"happiness"}
    assert all(25 <= m.time_s <= 170 for m in every)
    wide = audience.moments(given, signals=["happiness"], min_apart_s=15)
    assert len(wide) == 3
    most = audience.moments(given, signals=["happiness"], most=2)
    assert most == [m for m in every if m in most]
    assert min(m.value for m in most) >= max(m.value for m in every if m not in most) - 0.05
    assert audience.moments(given, most=0) == []
    assert audience.moments(given, signals=[]) == []
    assert all(m.signal != "neutral" for m in audience.moments(given))
    assert audience.moments(given.only(["v1"])) == []


def test_the_last_two_in_the_room_are_no_moment() -> None:
    rng = np.random.default_rng(15)
    given = strangers(rng, 12, 300, raised=[(HAPPY, slice(0, 2), slice(250, 260), 8.0)])
    seen = given.seen.copy()
    seen[2:, 200:] = False
    alone = audience.Audience(
        given.times, 0.5, given.labels, given.names, np.where(seen[:, :, None], given.emotions, 0), seen, given.looked
    )
    assert not [m for m in audience.moments(alone) if m.time_s > 100]


def test_what_shifted_viewers_give_exactly_is_no_moment() -> None:
    """Two single spikes that no shift brings together: the mean is as far out as in each shifted audience, to the last digit."""
    values, seen = np.zeros((2, 10)), np.ones((2, 10), bool)
    values[0, 0], values[1, 5], seen[0, 8] = 0.5, 0.9144408, False
    assert audience.moments(of(values, seen), shifts=5) == []


# --- markers, groups, answers


def test_a_markers_effect_is_that_of_the_pairs() -> None:
    rng = np.random.default_rng(20)
    given = strangers(rng, 8, 60, raised=[(HAPPY, slice(0, 8), slice(30, 40), 1.0)])
    effect = audience.marker_effect(given, "happiness", 15, before_s=3, after_s=4)
    x = given.signal("happiness").astype(float)
    before, after = x[:, 24:30].mean(axis=1), x[:, 30:38].mean(axis=1)
    assert (effect.before, effect.after) == pytest.approx((before.mean(), after.mean()), abs=1e-6)
    assert effect.n == 8
    exact = stats.permutation_test((after, before), lambda a, b, axis: (a - b).mean(axis=axis), permutation_type="samples")
    assert effect.p == pytest.approx(exact.pvalue)
    span = audience.marker_effect(given, "happiness", 15, before_s=3, end_s=20)
    assert span.after == pytest.approx(x[:, 30:40].mean(), abs=1e-6)
    many = strangers(rng, 40, 60, raised=[(HAPPY, slice(0, 40), slice(30, 40), 0.4)])
    y = many.signal("happiness").astype(float)
    p = stats.ttest_rel(y[:, 30:40].mean(axis=1), y[:, 20:30].mean(axis=1)).pvalue
    assert audience.marker_effect(many, "happiness", 15).p == pytest.approx(p, abs=0.02)


@pytest.mark.parametrize("viewers", [6, 20])
def test_a_marker_does_to_all_signals_what_it_does_to_each(viewers: int) -> None:
    given = strangers(np.random.default_rng(21), viewers, 60, gappy=True)
    together = audience.marker_effects(given, 12.3, before_s=4, end_s=20)
    assert list(together) == [*given.labels, "valence"]
    for name, effect in together.items():
        assert effect == audience.marker_effect(given, name, 12.3, before_s=4, end_s=20)


def test_only_those_seen_on_both_sides_count() -> None:
    values = np.array([[0.2, 0.2, 0.6, 0.6], [0.9, 0.9, 0.1, 0.1], [0.4, 0.4, 0.5, 0.5]])
    seen = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 1, 0, 1]], bool)
    effect = audience.marker_effect(of(values, seen), "happiness", 1.0)
    assert effect.n == 2
    assert (effect.before, effect.after, effect.difference) == pytest.approx((0.3, 0.55, 0.25))
    assert effect.p == 0.5  # of four ways to turn two signs, two are as far out
    none = audience.marker_effect(of(values, seen), "happiness", 50)
    assert (none.n, none.difference, none.low, none.high, none.p) == (0, 0, 0, 0, 1)
    one = audience.marker_effect(of(values[:1], seen[:1]), "happiness", 1.0)
    assert (one.n, one.low, one.high, one.p) == (1, -1, 1, 1)
    still = audience.marker_effect(of(np.full((5, 4), 0.5)), "happiness", 1.0)
    assert (still.difference, still.p) == (0, 1)


def test_markers_hold_their_rates() -> None:
    rng = np.random.default_rng(21)
    trials = 300
    found = [audience.marker_effect(strangers(rng, 15, 60), "happiness", 15, draws=300, seed=i) for i in range(trials)]
    low, high = likely(0.05, trials)
    assert low <= np.mean([e.p <= 0.05 for e in found]) <= high
    assert low / 3 <= np.mean([not e.low <= 0 <= e.high for e in found]) <= high


def test_groups_that_differ_for_a_while() -> None:
    rng = np.random.default_rng(22)
    given = strangers(rng, 31, 240, raised=[(HAPPY, slice(0, 15), slice(100, 120), 5.0)])
    groups = ["old"] * 15 + ["young"] * 15 + [None]
    found = audience.compare(given, groups, "happiness")
    x = given.signal("happiness").astype(float)
    np.testing.assert_allclose(found.difference, x[:15].mean(axis=0) - x[15:30].mean(axis=0), atol=1e-5)
    assert found.groups == ("old", "young")
    assert found.n.tolist() == [[15] * 240] * 2
    where = np.flatnonzero(found.outside)
    assert found.p == 1 / 1001
    assert len(where) >= 10
    assert where.min() >= 99
    assert where.max() <= 121
    back = audience.compare(given.only(given.names[::-1]), groups[::-1], "happiness")
    assert back.groups == ("young", "old")  # whoever comes first
    np.testing.assert_allclose(back.difference, -found.difference, atol=1e-6)


@pytest.mark.parametrize(("viewers", "gappy", "smoothing"), [(10, False, 0.0), (24, True, 0.0), (12, True, 3.0)])
def test_groups_by_lot_differ_as_often_as_they_may(viewers: int, gappy: bool, smoothing: float) -> None:
    rng = np.random.default_rng(viewers)
    trials = 150
    groups = [i % 2 for i in range(viewers)]
    found = [
        audience.compare(
            strangers(rng, viewers, 100, gappy=gappy), groups, "valence", smoothing_cells=smoothing, cuts=[50], draws=199, seed=i
        )
        for i in range(trials)
    ]
    high = likely(0.05, trials)[1]
    assert np.mean([f.p <= 0.05 for f in found]) <= high
    assert np.mean([f.outside.any() for f in found]) <= high
    assert sum(f.outside.any() for f in found) > 0


def test_smoothing_shows_a_difference_that_flicker_hides() -> None:
    rng = np.random.default_rng(25)
    values = rng.normal(0, 0.3, (20, 120))
    values[:10, 40:60] += 0.16
    raw, smoothed = (audience.compare(of(values), [0] * 10 + [1] * 10, "happiness", smoothing_cells=sd) for sd in (0.0, 3.0))
    assert raw.outside.sum() <= 2
    assert smoothed.outside.sum() >= 10
    assert smoothed.p < min(raw.p, 0.01)
    known = np.ones(120, bool)
    np.testing.assert_allclose(smoothed.difference, audience.smooth(raw.difference, known, 3.0), atol=1e-6)
    where = np.flatnonzero(smoothed.outside)
    assert 37 <= where.min() <= where.max() <= 62


def test_a_groups_p_is_scipys() -> None:
    given = strangers(np.random.default_rng(23), 12, 40, raised=[(HAPPY, slice(0, 6), slice(10, 20), 2.0)])
    x = given.signal("happiness").astype(float)
    error = x.std(axis=0, ddof=1)
    error = error + error.mean()

    def furthest(a: NDArray[np.intp], b: NDArray[np.intp]) -> float:
        return float(np.abs((x[a].mean(axis=0) - x[b].mean(axis=0)) / error).max())

    exact = stats.permutation_test((np.arange(6), np.arange(6, 12)), furthest, vectorized=False, alternative="greater").pvalue
    assert audience.compare(given, [0] * 6 + [1] * 6, "happiness", draws=4000).p == pytest.approx(exact, abs=0.03)


def test_groups_of_one_are_shown_but_not_tested() -> None:
    given = strangers(np.random.default_rng(24), 4, 20)
    found = audience.compare(given, ["a", "b", "b", "b"], "happiness")
    assert not found.tested.any()
    assert not found.outside.any()
    assert found.difference.any()
    assert found.p == 1


def test_agreement_is_scipys_and_lins() -> None:
    rng = np.random.default_rng(25)
    answers = rng.integers(0, 5, 40) / 4
    shown = np.clip(answers * 0.5 + rng.normal(0, 0.15, 40), 0, 1)
    found = audience.agreement([*answers, None, 0.5], [*shown, 0.3, float("nan")])
    assert found.n == 40
    assert found.rho == pytest.approx(stats.spearmanr(answers, shown).statistic)
    sxy = np.cov(answers, shown, bias=True)
    lin = 2 * sxy[0, 1] / (sxy[0, 0] + sxy[1, 1] + (answers.mean() - shown.mean()) ** 2)
    assert found.ccc == pytest.approx(lin)
    assert (found.reported_mean, found.expressed_mean) == pytest.approx((answers.mean(), shown.mean()))

    def rho(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        return float(stats.spearmanr(a, b).statistic)

    pairs = stats.bootstrap(
        (answers, shown), rho, paired=True, vectorized=False, n_resamples=2000, method="percentile", rng=np.random.default_rng(1)
    )
    assert (found.low, found.high) == pytest.approx(tuple(pairs.confidence_interval), abs=0.03)
    same = audience.agreement([0.1, 0.5, 0.9, 0.2], [0.1, 0.5, 0.9, 0.2])
    assert (same.rho, same.ccc) == pytest.approx((1, 1))


def test_agreement_that_is_not_defined() -> None:
    assert audience.agreement([], []).n == 0
    assert audience.agreement([None], [1.0]).rho is None
    two = audience.agreement([1, 2], [2, 1])
    assert (two.n, two.rho, two.low) == (2, None, None)
    assert two.ccc is not None
    three = audience.agreement([1, 2, 3], [1, 3, 2])
    assert three.rho == pytest.approx(0.5)
    assert three.low is None
    flat = audience.agreement([1, 1, 1, 1], [1, 2, 3, 4])
    assert (flat.rho, flat.low, flat.ccc) == (None, None, 0)
    assert audience.agreement([1, 1], [1, 1]).ccc is None


def test_ranks_are_those_of_scipy() -> None:
    rng = np.random.default_rng(30)
    for n in (1, 2, 3, 20):
        values = rng.integers(0, 5, size=(2, 50, n)) / 4
        np.testing.assert_array_equal(audience.average_ranks(values), stats.rankdata(values, axis=2))


@pytest.mark.parametrize("pairs", [10, 40])
def test_agreements_interval_covers(pairs: int) -> None:
    rng = np.random.default_rng(pairs)
    truth, trials = 6 / np.pi * np.arcsin(0.5 / 2), 200
    covered = 0
    for i in range(trials):
        a = rng.normal(size=pairs)
        found = audience.agreement(a, 0.5 * a + np.sqrt(0.75) * rng.normal(size=pairs), draws=300, seed=i)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= truth <= found.high
    assert 0.91 <= covered / trials <= 0.985


def test_the_same_seed_gives_the_same() -> None:
    given = strangers(np.random.default_rng(26), 6, 120, gappy=True, raised=[(HAPPY, slice(0, 6), slice(50, 60), 5.0)])
    assert audience.moments(given) == audience.moments(given)
    assert audience.marker_effect(given, "valence", 30) == audience.marker_effect(given, "valence", 30)
    one, two = (audience.synchrony(given) for _ in range(2))
    assert (one.p, one.null_low, one.high.tolist()) == (two.p, two.null_low, two.high.tolist())
    assert audience.synchrony(given, seed=1).null_low != one.null_low
    assert gaps(np.random.default_rng(0), (2, 9)).shape == (2, 9)
