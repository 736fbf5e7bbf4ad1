"""Episodes: the rules on small known sequences, and what must hold for any scores."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.episodes import EpisodeFinder, EpisodeOptions, find_episodes
from mien.types import Episode, MediaInfo, Timeline

LABELS = ("neutral", "happiness", "sadness")
ROWS = {
    "N": (0.8, 0.1, 0.1),
    "H": (0.1, 0.8, 0.1),
    "S": (0.1, 0.1, 0.8),
    "h": (0.3, 0.4, 0.3),  # leads, but under `enter`
    "w": (0.42, 0.38, 0.2),  # happiness no longer leads, but is over `leave` and nothing else is over `enter`
    "-": (0.34, 0.33, 0.33),  # nothing
}

Span = tuple[str, float, float]


def spans(looks: str, every: float = 0.1, options: EpisodeOptions | None = None) -> list[Span]:
    """Episodes of one track as (first letter, start, end); a blank in `looks` is a look at which the face was unseen."""
    finder = EpisodeFinder(LABELS, options)
    found: list[Episode] = []
    for k, look in enumerate(looks):
        if look != " ":
            found += finder.update(1, k * every, ROWS[look])
    found += finder.finish()
    return [(e.expression[0].upper(), round(e.start_s, 6), round(e.end_s, 6)) for e in found]


@pytest.mark.parametrize(
    ("looks", "wanted"),
    [
        ("", []),
        ("-----", []),
        ("hhhhh", []),
        ("HHHHH", [("H", 0, 0.4)]),
        ("--HHHH--", [("H", 0.2, 0.6)]),
        ("-HHH---", [("H", 0.1, 0.4)]),  # three looks stand for 0.3 s
        ("-HH----", []),
        ("----HHH", [("H", 0.4, 0.6)]),  # the last look stands for the usual interval
        ("------HHH---", [("H", 0.6, 0.9)]),  # in floats these three looks last a little less than 0.3 s
        ("-----HH", []),
        ("HHHHhhhh", [("H", 0, 0.7)]),  # hysteresis: holds between leave and enter
        ("HHHHwwww", [("H", 0, 0.7)]),
        ("hhhhHHHH", [("H", 0.4, 0.7)]),  # but does not begin there
        ("HHHH--HHHH", [("H", 0, 0.9)]),  # a short break belongs to it
        ("HHHHSSHHHH", [("H", 0, 0.9)]),
        ("HHHHS-HHHH", [("H", 0, 0.9)]),
        ("HHHHSHHSSSS", [("H", 0, 0.7), ("S", 0.7, 1.0)]),  # what follows a flicker begins when it begins
        ("HHHHSNSHHHH", [("H", 0, 0.4), ("H", 0.7, 1.0)]),  # a break is a break, whatever is in it
        ("HHHH---HHHH", [("H", 0, 0.4), ("H", 0.7, 1.0)]),
        ("HHHHSSSSHHHH", [("H", 0, 0.4), ("S", 0.4, 0.8), ("H", 0.8, 1.1)]),
        ("NNNNNHHHHHHHHNNN", [("N", 0, 0.5), ("H", 0.5, 1.3), ("N", 1.3, 1.5)]),
        ("NNNNNSHHHHHHHHNN", [("N", 0, 0.5), ("H", 0.6, 1.4)]),  # flicker on the way, and in the end
        ("HHHHH--", [("H", 0, 0.5)]),  # cut short while it was leaving
        ("NHNHNHNHNH", []),
    ],
)
def test_rules(looks: str, wanted: list[Span]) -> None:
    assert spans(looks) == wanted


@pytest.mark.parametrize(
    ("looks", "every", "wanted"),
    [
        ("HHHHH         HHHHH", 0.1, [("H", 0, 1.8)]),  # 1.0 s unseen
        ("HHHHH               HHHHH", 0.1, [("H", 0, 0.4), ("H", 2.0, 2.4)]),  # 1.6 s unseen: ends at the last time seen
        ("NNNNNS        NNNNN", 0.1, [("N", 0, 1.8)]),  # what is unseen does not make a flicker last
        ("NNNNNS        SSSSS", 0.1, [("N", 0, 0.5), ("S", 0.5, 1.8)]),  # unless it goes on behind it
        ("NNHNNN", 2.0, [("N", 0, 4), ("H", 4, 6), ("N", 6, 10)]),  # one sparse look counts until the next
        ("NNNNH", 5.0, [("N", 0, 20), ("H", 20, 20)]),  # the last one counts, and ends when last seen
        ("NN HH", 2.0, [("N", 0, 2), ("H", 6, 8)]),  # one look of a sparse sampling missed: 4 s unseen is an interruption
        ("NN HH", 0.5, [("N", 0, 1.5), ("H", 1.5, 2)]),
        ("H", 1.0, []),  # seen once
    ],
)
def test_gaps_and_sparse_looks(looks: str, every: float, wanted: list[Span]) -> None:
    assert spans(looks, every) == wanted


@pytest.mark.parametrize(
    ("looks", "options", "wanted"),
    [
        ("HNHH", EpisodeOptions(min_s=0), [("H", 0, 0.1), ("N", 0.1, 0.2), ("H", 0.2, 0.3)]),
        ("H", EpisodeOptions(min_s=0), [("H", 0, 0)]),
        ("HHHHHHHHNNNNNNNNN", EpisodeOptions(min_s=0.9), [("N", 0.8, 1.6)]),
        ("hhhhhNNNN", EpisodeOptions(enter=0.4), [("H", 0, 0.5), ("N", 0.5, 0.8)]),
        ("HHHHhhhh", EpisodeOptions(leave=0.5), [("H", 0, 0.4)]),
        ("HHHHH        HHHHH", EpisodeOptions(max_gap_s=0.5), [("H", 0, 0.4), ("H", 1.3, 1.7)]),
    ],
)
def test_options_are_obeyed(looks: str, options: EpisodeOptions, wanted: list[Span]) -> None:
    assert spans(looks, options=options) == wanted


@pytest.mark.parametrize("every", [0.02, 1 / 30, 0.1, 0.5, 2.0])
def test_a_smile_at_any_sampling(every: float) -> None:
    finder = EpisodeFinder(LABELS)
    times = np.arange(0, 20, every)
    found = [e for t in times for e in finder.update(1, float(t), ROWS["H" if t >= 9.5 else "N"])] + finder.finish()
    assert [e.expression for e in found] == ["neutral", "happiness"]
    assert found[0].end_s == found[1].start_s == pytest.approx(9.5, abs=every)


def test_the_peak_and_its_time() -> None:
    finder = EpisodeFinder(("a", "b"))
    for t, p in enumerate([0.6, 0.9, 0.7, 0.9, 0.4]):
        finder.update(4, t / 2, (p, 1 - p))
    # The last look stands for half a second, which is long enough to end the one and to begin the other.
    assert finder.finish() == [Episode(4, "a", 0.0, 2.0, 0.9, 0.5), Episode(4, "b", 2.0, 2.0, 0.6, 2.0)]


def test_a_peak_does_not_come_from_a_break() -> None:
    finder = EpisodeFinder(("a", "b"))
    for k, p in enumerate([0.6, 0.6, 0.6, 0.6, 0.1, 0.6]):
        finder.update(1, k / 10, (p, 1 - p))
    assert [(e.expression, e.peak, e.peak_time_s) for e in finder.finish()] == [("a", 0.6, 0.0)]


# ---- live


def test_open_episodes_and_when_they_end() -> None:
    finder = EpisodeFinder(LABELS)
    seen = []
    for k, look in enumerate("HHHHHNNNNN"):
        ended = finder.update(3, k / 10, ROWS[look])
        seen.append((len(ended), [(e.expression, round(e.end_s, 6)) for e in finder.open_episodes()]))
    assert seen[2] == (0, [])  # not yet certain
    assert seen[3] == (0, [("happiness", 0.3)])
    assert seen[7] == (0, [("happiness", 0.5)])  # leaving, not yet certain
    assert seen[8] == (1, [("neutral", 0.8)])
    assert seen[9] == (0, [("neutral", 0.9)])


def test_without_a_shortest_length_there_is_nothing_to_wait_for() -> None:
    finder = EpisodeFinder(LABELS, EpisodeOptions(min_s=0))
    assert finder.update(1, 0.0, ROWS["H"]) == []
    assert [e.expression for e in finder.open_episodes()] == ["happiness"]
    assert [(e.expression, e.end_s) for e in finder.update(1, 0.1, ROWS["S"])] == [("happiness", 0.1)]
    assert [e.expression for e in finder.open_episodes()] == ["sadness"]


def test_open_episodes_are_in_order() -> None:
    finder = EpisodeFinder(LABELS)
    for k in range(10):
        for track in (5, 2) if k > 3 else (5,):
            finder.update(track, k / 10, ROWS["H"])
    assert [(e.track, e.start_s) for e in finder.open_episodes()] == [(5, 0.0), (2, 0.4)]


def test_somebody_who_left_is_ended_by_expire_as_by_finish() -> None:
    one, two = EpisodeFinder(LABELS), EpisodeFinder(LABELS)
    for k in range(10):
        for finder in (one, two):
            assert finder.update(1, k / 10, ROWS["H"]) == []
    assert one.expire(1.5) == []
    ended = one.expire(30.0)
    assert [(e.start_s, e.end_s) for e in ended] == [(0.0, 0.9)]
    assert one.open_episodes() == one.finish() == []
    assert two.finish() == ended


def test_a_finished_finder_is_as_new() -> None:
    finder = EpisodeFinder(LABELS)
    first = [finder.update(1, k / 10, ROWS["H"]) for k in range(9)] + [finder.finish()]
    again = [finder.update(1, k / 10, ROWS["H"]) for k in range(9)] + [finder.finish()]
    assert first == again
    assert len(first[-1]) == 1


# ---- properties

# Times are multiples of 1/64 s, so that shifting them is exact.
ticks = st.lists(st.sampled_from([1, 2, 2, 2, 3, 10, 40, 64, 70, 130, 300]), min_size=1, max_size=40)
scores = st.lists(st.integers(0, 20), min_size=3, max_size=3).filter(any).map(lambda w: tuple(v / sum(w) for v in w))
option = st.builds(
    lambda a, b, c, d: EpisodeOptions(max(a, b), min(a, b), c / 64, d / 64),
    st.floats(0.1, 1),
    st.floats(0.1, 1),
    st.integers(0, 128),
    st.integers(1, 256),
)

Feed = list[tuple[int, float, tuple[float, ...]]]


@st.composite
def feeds(draw: st.DrawFn) -> Feed:
    """The looks at up to three tracks, one track after the other."""
    out: Feed = []
    for track in range(1, draw(st.integers(1, 3)) + 1):
        at = draw(st.integers(0, 100))
        for step in draw(ticks):
            at += step
            out.append((track, at / 64, draw(scores)))
    return out


def found_in(feed: Feed, options: EpisodeOptions, *, expire: bool = False) -> list[Episode]:
    finder = EpisodeFinder(LABELS, options)
    found: list[Episode] = []
    for track, time_s, row in feed:
        if expire:
            found += finder.expire(time_s)
        found += finder.update(track, time_s, row)
    return sorted(found + finder.finish(), key=lambda e: (e.start_s, e.track))


@settings(max_examples=60, deadline=None)
@given(feeds(), option)
def test_episodes_of_a_track_are_in_order_inside_it_and_apart(feed: Feed, options: EpisodeOptions) -> None:
    found = found_in(feed, options)
    for track in {t for t, _, _ in feed}:
        rows = {time_s: row for t, time_s, row in feed if t == track}
        mine = [e for e in found if e.track == track]
        assert all(a.end_s <= b.start_s for a, b in itertools.pairwise(mine))
        for e in mine:
            assert e.start_s in rows
            assert e.end_s in rows
            assert e.start_s <= e.peak_time_s <= e.end_s
            column = LABELS.index(e.expression)
            assert rows[e.start_s][column] >= options.enter
            assert rows[e.start_s][column] == max(rows[e.start_s])
            assert rows[e.peak_time_s][column] == e.peak >= options.enter
            if e.end_s < max(rows):
                usual = max(b - a for a, b in itertools.pairwise(sorted(rows)))
                assert e.duration_s >= options.min_s - usual - 1e-6


@settings(max_examples=60, deadline=None)
@given(feeds(), option)
def test_tracks_do_not_change_each_other(feed: Feed, options: EpisodeOptions) -> None:
    interleaved = sorted(feed, key=lambda look: look[1])
    assert found_in(feed, options) == found_in(interleaved, options)


@settings(max_examples=60, deadline=None)
@given(feeds(), option)
def test_live_with_expire_and_file_without_find_the_same(feed: Feed, options: EpisodeOptions) -> None:
    interleaved = sorted(feed, key=lambda look: look[1])
    assert found_in(interleaved, options) == found_in(interleaved, options, expire=True)


@settings(max_examples=60, deadline=None)
@given(feeds(), option, st.integers(-1000, 1000))
def test_shifting_time_shifts_the_episodes(feed: Feed, options: EpisodeOptions, by: int) -> None:
    shifted = found_in([(track, time_s + by, row) for track, time_s, row in feed], options)
    wanted = [
        Episode(e.track, e.expression, e.start_s + by, e.end_s + by, e.peak, e.peak_time_s + by) for e in found_in(feed, options)
    ]
    assert shifted == wanted


# ---- a timeline


def timeline(feed: Feed) -> Timeline:
    feed = sorted(feed, key=lambda look: look[1])
    times = sorted({time_s for _, time_s, _ in feed})
    n = len(feed)
    table = np.array([row for _, _, row in feed], np.float32).reshape(n, len(LABELS))
    return Timeline(
        info=MediaInfo("made", "video", 640, 360, None, None, None, False, "none"),
        labels=LABELS,
        frames=np.arange(len(times)),
        times=np.array(times, np.float64),
        frame_rows=np.searchsorted(times, [time_s for _, time_s, _ in feed]),
        tracks=np.array([track for track, _, _ in feed], np.int64),
        boxes=np.zeros((n, 4), np.float32),
        face_scores=np.ones(n, np.float32),
        emotions=np.full((n, len(LABELS)), 1 / 3, np.float32),
        smoothed=table,
    )


def test_a_timeline_is_read_from_its_smoothed_scores_in_order_of_start_then_track() -> None:
    looks: Sequence[tuple[int, str]] = [(2, "HHHHHHHHHH"), (1, "HHHHHSSSSS")]
    feed = [(track, k / 10, ROWS[look]) for track, line in looks for k, look in enumerate(line)]
    found = find_episodes(timeline(feed))
    assert [(e.track, e.expression, e.start_s, e.end_s) for e in found] == [
        (1, "happiness", 0.0, 0.5),
        (2, "happiness", 0.0, 0.9),
        (1, "sadness", 0.5, 0.9),
    ]
    assert find_episodes(timeline(feed), EpisodeOptions(min_s=5)) == []


def test_nobody_has_no_episodes() -> None:
    assert find_episodes(timeline([])) == []


@settings(max_examples=30, deadline=None)
@given(feeds(), option)
def test_find_episodes_is_the_live_finder(feed: Feed, options: EpisodeOptions) -> None:
    rounded = [(track, time_s, tuple(np.float32(row).tolist())) for track, time_s, row in feed]
    assert find_episodes(timeline(feed), options) == found_in(rounded, options)


# ---- the door


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"enter": 0.3}, "leave"),
        ({"enter": 1.2}, "enter"),
        ({"leave": 0.0}, "leave"),
        ({"leave": math.nan}, "leave"),
        ({"min_s": -0.1}, "min_s"),
        ({"min_s": math.inf}, "min_s"),
        ({"max_gap_s": 0.0}, "max_gap_s"),
    ],
    ids=str,
)
def test_options_are_checked(wrong: dict[str, float], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        EpisodeOptions(**wrong)


@pytest.mark.parametrize("labels", [(), ("a", "a")])
def test_labels_are_checked(labels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="labels"):
        EpisodeFinder(labels)


@pytest.mark.parametrize("time_s", [0.4, math.nan, math.inf])
def test_times_are_checked_for_each_track(time_s: float) -> None:
    finder = EpisodeFinder(LABELS)
    finder.update(1, 0.5, ROWS["H"])
    finder.update(2, 0.1, ROWS["H"])
    with pytest.raises(ValueError, match="times of a track"):
        finder.update(1, time_s, ROWS["H"])


@pytest.mark.parametrize("row", [(0.5, 0.5), np.full(4, 0.25, np.float32)], ids=["tuple", "array"])
def test_the_number_of_scores_is_checked(row: Sequence[float]) -> None:
    with pytest.raises(ValueError, match="3 numbers"):
        EpisodeFinder(LABELS).update(1, 0.0, row)
