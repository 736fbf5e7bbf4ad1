"""Audience: many Timelines onto one clock, and what must hold for any of them."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from audiences import LABELS, gaps, many, of, strangers, timeline
from mien import audience
from mien.audience import Audience, align, smooth
from mien.labels import valence
from mien.types import Timeline

H, S = (0.9, 0.1), (0.2, 0.8)


def happiness(given: Audience) -> list[list[float | None]]:
    """The first label, None where not seen."""
    return [
        [round(float(x), 4) if s else None for x, s in zip(row, seen, strict=True)]
        for row, seen in zip(given.emotions[:, :, 0], given.seen, strict=True)
    ]


def test_a_cell_is_the_mean_of_its_samples() -> None:
    found = align([timeline([0, 0.1, 0.24, 0.25, 0.5, 0.74], [(h, 1 - h) for h in (0, 0.3, 0.6, 0.2, 0.4, 0.9)])])
    assert found.times.tolist() == [0, 0.5]
    assert happiness(found) == [[0.3, 0.5]]
    assert found.names == ("1",)
    assert found.labels == ("happiness", "sadness")
    np.testing.assert_allclose(found.emotions.sum(axis=2), 1, atol=1e-6)


def test_times_that_floats_put_a_little_before_an_edge() -> None:
    times = [k * 0.1 for k in range(100)]  # 0.30000000000000004 and the like
    found = align([timeline(times, [(k / 100, 1 - k / 100) for k in range(100)])], step_s=0.1)
    assert happiness(found) == [[round(k / 100, 4) for k in range(100)]]
    halves = align([timeline([0.15 + 0.1 * k for k in range(50)], [H] * 50)], step_s=0.1)  # each on an edge
    assert halves.seen.sum() == 50


def test_short_gaps_are_filled_linearly_and_longer_ones_are_not() -> None:
    looks = [0.5 * k for k in range(9)]
    scores = [(0.2, 0.8), None, (0.6, 0.4), None, None, (0.0, 1.0), (0.1, 0.9), None, None]
    assert happiness(align([timeline(looks, scores)])) == [[0.2, 0.4, 0.6, None, None, 0.0, 0.1, None, None]]
    assert happiness(align([timeline(looks, scores)], max_gap_s=1.5)) == [[0.2, 0.4, 0.6, 0.4, 0.2, 0.0, 0.1, None, None]]
    assert happiness(align([timeline(looks, scores)], max_gap_s=0)) == [[0.2, None, 0.6, None, None, 0.0, 0.1, None, None]]


def test_rare_looks_are_filled_at_their_own_pace() -> None:
    found = align([timeline([0, 2, 4, 12], [(0, 1), (0.8, 0.2), (0, 1), (0, 1)])])
    # Looks are usually 2 s apart: up to 4 s are filled, 8 s are not.
    assert happiness(found)[0][:9] == [0, 0.2, 0.4, 0.6, 0.8, 0.6, 0.4, 0.2, 0]
    assert not found.seen[0, 9:24].any()
    assert not found.looked[0, 9:24].any()
    assert found.seen[0, 24]


def test_attention_is_of_those_looked_at() -> None:
    looks = [0.5 * k for k in range(6)]
    away = [H, H, None, None, None, None]
    found = align([timeline(looks, away), timeline(looks, [H] * 6), timeline(looks[:2], [H, H])])
    assert found.attention.tolist() == [1, 1, 0.5, 0.5, 0.5, 0.5]
    assert found.looked[2].tolist() == [True, True, False, False, False, False]
    paused = align([timeline([0, 0.5, 1, 60, 60.5], [H] * 5)])
    assert paused.looked.sum() == paused.seen.sum() == 5
    assert paused.attention[60] == 0


def test_offsets_put_everybody_on_the_films_clock() -> None:
    looks = [0, 0.5, 1, 1.5]
    scores = [(h, 1 - h) for h in (0.1, 0.2, 0.3, 0.4)]
    found = align([timeline(looks, scores)] * 3, offsets_s=[0, -1, 0.5], names=["a", "b", "c"])
    assert happiness(found) == [[0.1, 0.2, 0.3, 0.4, None], [0.3, 0.4, None, None, None], [None, 0.1, 0.2, 0.3, 0.4]]


def test_films_of_different_length_and_given_ends() -> None:
    short, long = timeline([0, 0.5], [H, H]), timeline([0, 0.5, 1, 1.5], [S] * 4)
    assert happiness(align([short, long])) == [[0.9, 0.9, None, None], [0.2, 0.2, 0.2, 0.2]]
    assert align([short, long], end_s=1).times.tolist() == [0, 0.5, 1]
    assert align([short, long], end_s=3).times[-1] == 3
    assert align([short, long], start_s=0.5).times.tolist() == [0.5, 1, 1.5]
    assert align([short, long], start_s=9).times.tolist() == [9]


def test_the_largest_face_of_each_frame_or_the_track_that_is_meant() -> None:
    boxes = [[0, 0, 10, 10], [0, 0, 30, 30], [0, 0, 20, 20], [0, 0, 9, 9]]
    two = timeline([0, 0.5, 1], [H, S, H, S], frame_rows=[0, 0, 1, 1], tracks=[4, 7, 4, 7], boxes=boxes)
    assert happiness(align([two, two, two], tracks=[None, 4, 7])) == [[0.2, 0.9, None], [0.9, 0.9, None], [0.2, 0.2, None]]
    with pytest.raises(ValueError, match="no track 5; known: 4, 7"):
        align([two], tracks=[5])


def test_nobody_ever_seen_no_looks_and_one_sample() -> None:
    nobody, empty, once = timeline([0, 0.5], [None, None]), timeline([], []), timeline([0, 0.5, 1], [None, H, None])
    found = align([nobody, empty, once])
    assert happiness(found) == [[None] * 3, [None] * 3, [None, 0.9, None]]
    assert found.looked.tolist() == [[True, True, False], [False] * 3, [True] * 3]
    assert align([empty]).times.tolist() == [0]
    assert not align([empty]).looked.any()


def test_times_may_run_back_and_labels_stand_in_another_order() -> None:
    found = align(
        [timeline([1, 0, 0.5], [(0.3, 0.7), (0.1, 0.9), (0.2, 0.8)]), timeline([0], [H], labels=("sadness", "happiness"))]
    )
    assert happiness(found) == [[0.1, 0.2, 0.3], [0.1, None, None]]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"timelines": []}, "at least one Timeline"),
        ({"step_s": 0}, "step_s must be more than 0 s, but got 0"),
        ({"step_s": float("nan")}, "step_s must be more"),
        ({"start_s": float("inf")}, "start_s must be finite"),
        ({"end_s": -1}, "end_s must be start_s"),
        ({"end_s": float("nan")}, "end_s must be start_s"),
        ({"end_s": 1e9}, "at most 1,000,000 go"),
        ({"max_gap_s": -1}, "max_gap_s must be 0 s or more"),
        ({"offsets_s": [0, 1]}, "offsets_s must have one value for each of the 1 Timelines, but has 2"),
        ({"offsets_s": [float("nan")]}, "must be finite"),
        ({"tracks": []}, "tracks must have one value"),
        ({"names": ["a", "b"]}, "names must have one value"),
        ({"baselines": [[0.5, 0.3, 0.2]]}, r"the baseline of viewer 1 must have shape \(2,\)"),
        ({"timelines": [timeline([0], [H]), timeline([0], [(1, 0, 0)], labels=("a", "b", "c"))]}, "convert"),
        ({"timelines": [timeline([0, float("nan")], [H, H])]}, "must be finite"),
        ({"timelines": [timeline([0], [(float("nan"), 1)])]}, "must be finite"),
        ({"timelines": [timeline([0], [H])] * 2, "names": ["a", "a"]}, "all be different"),
    ],
)
def test_what_does_not_fit_is_said(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        align(**({"timelines": [timeline([0, 0.5], [H, S])]} | arguments))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"emotions": np.zeros((2, 3, 1))}, "emotions must have shape"),
        ({"emotions": np.full((2, 3, 2), np.nan)}, "NaN"),
        ({"emotions": np.ones((2, 3, 2))}, "must be 0 wherever"),
        ({"seen": np.ones((2, 3), bool)}, "nobody looked"),
        ({"names": ("a", "a")}, "different"),
        ({"labels": ("happiness", "valence")}, "none of them 'valence'"),
        ({"times": np.array([0.0, 1.0, 1.0])}, "times must rise"),
        ({"step_s": 0.0}, "step_s"),
        ({"relative": True}, "baselines"),
        ({"baselines": np.zeros((1, 2))}, "baselines must have shape"),
    ],
)
def test_an_audience_is_checked_at_the_door(change: dict[str, Any], says: str) -> None:
    empty = Audience(np.arange(3.0), 1, ("happiness", "sadness"), ("a", "b"), np.zeros((2, 3, 2)), *[np.zeros((2, 3), bool)] * 2)
    with pytest.raises(ValueError, match=says):
        replace(empty, **change)


def test_arrays_are_read_only() -> None:
    found = align([timeline([0], [H])], baselines=[S])
    for name in ("times", "emotions", "seen", "looked", "baselines"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(found, name)[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        audience.mean_curve(found, "happiness").mean[0] = 1


def test_signals_by_name() -> None:
    found = align([timeline([0, 0.5], [H, None])])
    assert found.signals == ("happiness", "sadness", "valence")
    np.testing.assert_allclose(found.signal("valence"), [[0.8, 0]], atol=1e-6)
    with pytest.raises(ValueError, match="no signal 'joy'; known: happiness, sadness, valence"):
        found.signal("joy")


def test_change_against_the_face_at_rest() -> None:
    rest = (0.1, 0.3)
    found = align([timeline([0, 0.5], [H, None])] * 2, names=["a", "b"], baselines=[rest, None])
    change = found.corrected()
    assert change.names == ("a",)  # who has no baseline is left out
    np.testing.assert_allclose(change.emotions[0], [[0.8, -0.2], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(change.valence, [[0.8 - (0.1 - 0.3), 0]], atol=1e-6)
    assert (change.limits("happiness"), change.limits("valence")) == ((-1, 1), (-2, 2))
    for wrong in (align([timeline([0], [H])]), align([timeline([0], [H])], baselines=[None])):
        with pytest.raises(ValueError, match="no viewer has a baseline"):
            wrong.corrected()
    with pytest.raises(ValueError, match="corrected already"):
        change.corrected()


def test_smoothing_is_a_gaussian_over_what_was_seen() -> None:
    rng = np.random.default_rng(1)
    rough = strangers(rng, 4, 60, gappy=True)
    smooth = rough.smoothed(1.0)  # two cells
    lags = np.arange(-8, 9)
    kernel = np.exp(-0.5 * (lags / 2) ** 2)
    for v in range(4):
        for t in range(60):
            near = [(w, t + lag) for w, lag in zip(kernel, lags, strict=True) if 0 <= t + lag < 60 and rough.seen[v, t + lag]]
            want = sum(w * rough.emotions[v, i].astype(float) for w, i in near) / sum(w for w, _ in near) if rough.seen[v, t] else 0
            np.testing.assert_allclose(smooth.emotions[v, t], want, atol=1e-5)
    assert (smooth.seen == rough.seen).all()
    assert rough.smoothed(0) is rough
    still = of(np.full((2, 30), 0.3), gaps(rng, (2, 30))).smoothed(3)
    np.testing.assert_allclose(still.emotions[still.seen], 0.3, atol=1e-6)
    np.testing.assert_allclose(rough.smoothed(1e6).emotions[0, rough.seen[0]].std(axis=0), 0, atol=1e-2)
    for wrong in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="smoothing must be 0 s or more"):
            rough.smoothed(wrong)


def test_a_drawn_curve_is_smoothed_within_its_stretches() -> None:
    rng = np.random.default_rng(1)
    curves, known = rng.random((2, 60)), rng.random(60) > 0.06
    ends = sorted({0, 41, 60, *np.flatnonzero(~known), *(np.flatnonzero(~known) + 1)})
    found = smooth(curves, known, 2.0, [41])
    for start, end in itertools.pairwise(ends):
        for t in range(start, end):
            far = min(t - start, end - 1 - t, 8)
            lags = np.arange(-far, far + 1)
            kernel = np.exp(-0.5 * (lags / 2) ** 2)
            np.testing.assert_allclose(found[:, t], curves[:, t + lags] @ kernel / kernel.sum())
    np.testing.assert_array_equal(smooth(curves, known, 0), curves)
    with pytest.raises(ValueError, match="sd must be 0 cells or more"):
        smooth(curves, known, -1)
    with pytest.raises(ValueError, match="known must have shape"):
        smooth(curves, known[1:], 1)
    assert smooth([], [], 1).shape == (0,)


def test_a_drawn_curve_reaches_over_no_edge_and_no_cut() -> None:
    values, known = np.zeros(40), np.ones(40, bool)
    values[1:5] = values[19:] = 1.0
    found = smooth(values, known, 2.0, [19])
    assert found[0] == 0  # what the film shows later is not told at its beginning
    np.testing.assert_array_equal(found[13:19], 0)
    np.testing.assert_array_equal(found[19:], 1)
    slope = np.linspace(0, 1, 40)
    np.testing.assert_allclose(smooth(slope, known, 3.0), slope)  # nor is a slope bent at its ends


def test_some_of_the_viewers() -> None:
    whole = strangers(np.random.default_rng(2), 4, 10)
    assert whole.only(["v3", "v1"]).names == ("v3", "v1")
    np.testing.assert_array_equal(whole.only(["v3"]).emotions[0], whole.emotions[2])
    assert whole.only(np.array([True, False, False, True])).names == ("v1", "v4")
    assert len(whole.only([])) == 0
    with pytest.raises(ValueError, match="no viewer 'v9'; known: v1, v2, v3, v4"):
        whole.only(["v9"])
    with pytest.raises(ValueError, match="viewers must have shape"):
        whole.only(np.array([True]))


# --- for any looks at all


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    times = draw(st.lists(st.integers(0, 80), max_size=20).map(sorted))
    scores = [draw(st.none() | st.floats(0, 1, width=32)) for _ in times]
    return timeline([t / 8 for t in times], [None if x is None else (x, 1 - x) for x in scores])


def plainly(one: Timeline, times: list[float], step_s: float, gap_s: float | None) -> list[tuple[float | None, bool]]:
    """(happiness or None, looked at) of each cell, written as one would say it."""
    looks = one.times.tolist()
    faces = list(zip(one.face_times.tolist(), one.emotions[:, 0].tolist(), strict=True))
    if gap_s is None:
        gap_s = max(2 * (float(np.median(np.diff(looks))) if len(looks) > 1 else 0), step_s)
    out: list[tuple[float | None, bool]] = []
    for t in times:
        inside = [x for at, x in faces if t - step_s / 2 <= at < t + step_s / 2]
        before, after = [f for f in faces if f[0] <= t], [f for f in faces if f[0] > t]
        value = float(np.mean(inside)) if inside else None
        if value is None and before and after and after[0][0] - before[-1][0] <= gap_s:
            (a, x), (b, y) = before[-1], after[0]
            value = x + (y - x) * (t - a) / (b - a)
        early, late = [at for at in looks if at <= t], [at for at in looks if at > t]
        looked = any(t - step_s / 2 <= at < t + step_s / 2 for at in looks)
        looked = looked or bool(early and late and late[0] - early[-1] <= gap_s)
        out.append((value, looked or value is not None))
    return out


@settings(max_examples=150, deadline=None)
@given(
    st.lists(timelines(), min_size=1, max_size=4),
    st.sampled_from([0.25, 0.5, 1.0, 3.0]),
    st.sampled_from([-1.0, 0.0, 2.0]),
    st.sampled_from([None, 0.0, 1.0, 30.0]),
)
def test_align_does_what_it_says(given_: list[Timeline], step_s: float, start_s: float, gap_s: float | None) -> None:
    found = align(given_, step_s=step_s, start_s=start_s, max_gap_s=gap_s)
    for v, one in enumerate(given_):
        plain = plainly(one, found.times.tolist(), step_s, gap_s)
        assert found.seen[v].tolist() == [x is not None for x, _ in plain]
        assert found.looked[v].tolist() == [looked for _, looked in plain]
        np.testing.assert_allclose(found.emotions[v, :, 0], [x or 0 for x, _ in plain], atol=1e-5)
    last = max((float(one.times.max()) for one in given_ if len(one)), default=start_s)
    assert found.times[-1] + step_s / 2 + 1e-6 >= min(last, found.times[-1] + step_s / 2)
    assert len(found.times) == 1 or found.times[-1] - step_s / 2 <= last + 1e-5


def bounded(low: np.ndarray, middle: np.ndarray, high: np.ndarray) -> bool:
    return bool((low <= middle).all() and (middle <= high).all())


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_nothing_is_ever_nan_for_any_masks_and_values(data: st.DataObject) -> None:
    v, t = data.draw(st.integers(0, 5)), data.draw(st.integers(1, 24))
    seen = data.draw(arrays.arrays(np.bool_, (v, t)))
    values = data.draw(
        arrays.arrays(np.float32, (v, t, 2), elements=st.sampled_from([0, 0.25, 0.5, 1.0]) | st.floats(0, 1, width=32))
    )
    given_ = many(values, seen, ("happiness", "sadness"))
    given_ = given_.smoothed(data.draw(st.sampled_from([0.0, 0.5, 50.0])))
    if v:
        given_ = replace(given_, baselines=np.full((v, 2), 0.5, np.float32))
        given_ = data.draw(st.sampled_from([given_, given_.corrected()]))
    for name, curve in audience.mean_curves(given_, draws=20).items():
        assert np.isfinite([curve.mean, curve.low, curve.high]).all()
        assert bounded(curve.low, curve.mean, curve.high)
        least, most = given_.limits(name)
        assert curve.low.min() >= least
        assert curve.high.max() <= most
        assert not curve.mean[curve.n == 0].any()
        np.testing.assert_allclose(np.where(seen, given_.signal(name), 0).sum(axis=0), curve.mean * curve.n, atol=1e-4)
    sync = audience.synchrony(given_, window_s=3, hop_s=1, shifts=5)
    assert np.isfinite([sync.isc, sync.p, sync.null_low, sync.null_high, *sync.viewers]).all()
    assert np.isfinite([sync.values, sync.low, sync.high]).all()
    assert 0 < sync.p <= 1
    assert np.abs(sync.viewers).max(initial=0) <= 1
    assert bounded(sync.low, sync.low, sync.high)
    for moment in audience.moments(given_, shifts=5):
        assert moment.start_s <= moment.time_s <= moment.end_s
        assert set(moment.rose) <= set(given_.names)
        assert 0 <= moment.share <= 1
        assert moment.value > moment.threshold if moment.direction == "peak" else moment.value < moment.threshold
    effect = audience.marker_effect(given_, "valence", data.draw(st.floats(-5, 20)), draws=20)
    assert effect.low <= effect.difference <= effect.high
    assert 0 < effect.p <= 1
    assert effect.n <= v
    if v >= 2:
        groups = ["a", "b", *data.draw(st.lists(st.sampled_from(["a", "b", None]), min_size=v - 2, max_size=v - 2))]
        gap = audience.compare(given_, groups, "happiness", draws=10)
        assert np.isfinite([gap.difference, gap.low, gap.high]).all()
        assert 0 < gap.p <= 1
        assert bounded(gap.low, np.zeros(t), gap.high)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda a: audience.mean_curve(a, "joy"), "no signal 'joy'"),
        (lambda a: audience.mean_curves(a, level=1), "level must lie between 0 and 1, but got 1"),
        (lambda a: audience.mean_curves(a, draws=0), "at least 1"),
        (lambda a: audience.synchrony(a, "joy"), "no signal 'joy'"),
        (lambda a: audience.synchrony(a, hop_s=0), "more than 0 s"),
        (lambda a: audience.synchrony(a, window_s=-1), "more than 0 s"),
        (lambda a: audience.synchrony(a, shifts=0), "at least 1"),
        (lambda a: audience.moments(a, signals=["joy"]), "no signal 'joy'"),
        (lambda a: audience.moments(a, level=0), "level must lie"),
        (lambda a: audience.moments(a, min_apart_s=-1), "min_apart_s must be 0 or more"),
        (lambda a: audience.marker_effect(a, "joy", 1), "no signal 'joy'"),
        (lambda a: audience.marker_effect(a, "happiness", float("nan")), "time_s finite"),
        (lambda a: audience.marker_effect(a, "happiness", 1, before_s=0), "more than 0 s"),
        (lambda a: audience.marker_effect(a, "happiness", 5, end_s=4), "end_s must be time_s"),
        (lambda a: audience.compare(a, ["a"], "happiness"), "one value for each of the 3 viewers, but has 1"),
        (lambda a: audience.compare(a, ["a", "a", None], "happiness"), "two groups can be compared, but got 1: a"),
        (lambda a: audience.compare(a, ["a", "b", "c"], "happiness"), "but got 3: a, b, c"),
        (lambda a: audience.compare(a, ["a", "b", "b"], "joy"), "no signal 'joy'"),
        (lambda a: audience.agreement([1, 2], [1]), "equally long, but got 2 and 1"),
    ],
)
def test_wrong_questions(call: Callable[[Audience], object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call(strangers(np.random.default_rng(0), 3, 20))


def test_valence_is_that_of_the_labels() -> None:
    given_ = strangers(np.random.default_rng(3), 2, 5)
    np.testing.assert_array_equal(given_.valence, valence(given_.emotions, LABELS))
