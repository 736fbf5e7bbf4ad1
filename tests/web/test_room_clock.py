"""Which second of the film a room's looks saw, and who counts: on Timelines whose truth is known."""

import math
from typing import Any

import numpy as np
import pytest

from fakes import LABELS
from mien.types import MediaInfo, Timeline
from mien.web.studies import room_clock
from mien.web.studies.room_clock import Span, at_rest, check_clock, counted, on_film, reseated, spans

HAPPINESS = LABELS.index("happiness")


def seen(times: np.ndarray, people: dict[int, tuple[float, float]], box: Any = None) -> Timeline:
    """Looks at `times`; each person is there from one second to another, its happiness the recording's second over 1000."""
    rows, tracks, boxes, emotions = [], [], [], []
    for row, time_s in enumerate(times.tolist()):
        for track, (from_s, to_s) in people.items():
            if from_s <= time_s < to_s:
                rows.append(row)
                tracks.append(track)
                x = 100.0 * track if box is None else box(track)
                boxes.append([x, 10, x + 40, 50])
                scores = np.full(len(LABELS), (1 - time_s / 1000) / (len(LABELS) - 1))
                scores[HAPPINESS] = time_s / 1000
                emotions.append(scores)
    values = np.asarray(emotions, np.float32).reshape(-1, len(LABELS))
    return Timeline(
        info=MediaInfo("room", "camera", 640, 360, float(times[-1]), None, None, False, "live"),
        labels=LABELS,
        frames=np.arange(len(times)),
        times=times,
        frame_rows=np.asarray(rows, np.int64),
        tracks=np.asarray(tracks, np.int64),
        boxes=np.asarray(boxes, np.float32).reshape(-1, 4),
        face_scores=np.full(len(rows), 0.9, np.float32),
        emotions=values,
        smoothed=values,
        settings={"pauses_s": [3.0], "every_s": 0.5},
    )


def recorded_s(film: Timeline) -> np.ndarray:
    """The recording's second of each face, as its happiness says it."""
    return np.round(film.emotions[:, HAPPINESS] * 1000, 2)


LOOKS = np.arange(0, 60, 0.5)


def test_an_offset_shifts_the_clock_and_cuts_what_is_not_of_the_film() -> None:
    film = on_film(seen(LOOKS, {1: (0, 60)}), spans(-10.0, None), 20.0)
    assert film.times[0] == 0
    assert film.times[-1] == 20
    np.testing.assert_allclose(recorded_s(film), film.face_times + 10)
    assert "pauses_s" not in film.settings


def test_a_film_that_began_before_the_recording() -> None:
    film = on_film(seen(LOOKS, {1: (0, 60)}), spans(100.0, None), None)
    assert (film.times[0], film.times[-1]) == (100.0, 159.5)


def test_one_pair_is_a_start_mark() -> None:
    assert spans(0.0, [[12.25, 0.0]]) == [Span(12.25, math.inf, 0.0)]
    film = on_film(seen(LOOKS, {1: (0, 60)}), spans(0.5, [[12.25, 0.0]]), None)
    np.testing.assert_allclose(film.times[:2], [0.75, 1.25])
    np.testing.assert_allclose(recorded_s(film), film.face_times + 11.75)


def test_without_a_mark_nothing_is_of_the_film() -> None:
    film = on_film(seen(LOOKS, {1: (0, 60)}), spans(0.0, []), None)
    assert len(film) == len(film.frame_rows) == 0
    assert counted(film) == room_clock.Counted((), (), 0)


def test_pauses_are_left_out_and_the_film_goes_on_where_it_stood() -> None:
    clock = [[5, 0], [15, 10], [25, 10], [45, 30]]  # ten seconds, a pause of ten, twenty more
    film = on_film(seen(LOOKS, {1: (0, 60)}), spans(0.0, clock), None)
    recording = np.interp(film.face_times, [0, 9.999, 10, 30], [5, 14.999, 25, 45])
    np.testing.assert_allclose(recorded_s(film), recording, atol=0.01)
    assert (film.times[0], film.times[-1], len(film)) == (0.0, 30.0, 61)
    assert (np.diff(film.times) > 0).all()


def test_of_a_part_that_ran_twice_the_first_time_counts_and_a_seek_ahead_leaves_a_hole() -> None:
    # Film 0–10 at 0–10 s; back to 5 and on to 15 at 10–20 s; ahead to 40 and on to 45 at 20–25 s.
    clock = [[0, 0], [10, 10], [10, 5], [20, 15], [20, 40], [25, 45]]
    film = on_film(seen(LOOKS, {1: (0, 60)}), spans(0.0, clock), None)
    at = dict(zip(film.face_times.tolist(), recorded_s(film).tolist(), strict=True))
    assert at[7.0] == 7.0  # the first time, not second 12
    assert at[12.0] == 17.0
    assert at[42.0] == 22.0
    assert not [s for s in at if 15 < s < 40]
    assert (np.diff(film.times) > 0).all()


def test_a_clock_that_runs_off_a_little_is_followed() -> None:
    """A projector that is 1 % slow: sixty seconds of recording are 59.4 of film."""
    film = on_film(seen(LOOKS, {1: (0, 60)}), spans(0.0, [[0, 0], [60, 59.4]]), None)
    np.testing.assert_allclose(film.times, LOOKS * 0.99)


def test_who_is_seen_in_less_than_a_tenth_of_the_film_is_a_fragment() -> None:
    whole = seen(np.arange(0, 100, 0.5), {1: (0, 100), 2: (20, 30), 3: (50, 54), 4: (0, 9)})
    film = on_film(whole, spans(-10.0, None), 80.0)  # seconds 10 to 90 of the recording: 161 looks
    assert counted(film) == room_clock.Counted((1, 2), (3,), 2)
    assert room_clock.alone(film, 2).face_times.tolist() == np.arange(10, 20, 0.5).tolist()
    assert len(room_clock.alone(film, 2)) == len(film)


def test_the_face_at_rest_is_that_before_the_film() -> None:
    whole = seen(LOOKS, {1: (0, 60), 2: (9, 60)})
    rest = at_rest(whole, spans(-10.0, None), 5.0)
    assert set(rest) == {1}  # the other came a second before the film
    assert rest[1][HAPPINESS] == pytest.approx(np.arange(5, 10, 0.5).mean() / 1000, abs=1e-6)
    assert at_rest(whole, spans(0.0, [[10.0, 0.0]]), 5.0).keys() == {1}
    assert at_rest(whole, spans(-2.5, None), 5.0) == {}
    assert at_rest(whole, spans(30.0, None), 5.0) == {}
    assert at_rest(whole, [], 5.0) == {}


def test_who_is_found_again_in_the_same_seat_is_the_same_viewer() -> None:
    seats = {1: 100, 2: 200, 3: 101, 4: 300, 5: 202, 6: 103}.__getitem__
    #           seat 1 in two pieces, and a third after too long; seat 2 in two; 4 alone, seen with 1
    whole = seen(np.arange(0, 120, 0.5), {1: (0, 10), 3: (22, 40), 6: (90, 120), 2: (0, 30), 5: (31, 60), 4: (0, 60)}, seats)
    joined = reseated(whole)
    assert sorted(joined.track_ids) == [1, 2, 4, 6]
    assert joined.track(1).times.tolist() == [*np.arange(0, 10, 0.5), *np.arange(22, 40, 0.5)]
    assert len(joined.frame_rows) == len(whole.frame_rows)


def test_two_who_are_seen_at_once_are_never_joined() -> None:
    whole = seen(LOOKS, {1: (0, 30), 2: (29, 60)}, lambda track: 100)
    assert sorted(reseated(whole).track_ids) == [1, 2]


@pytest.mark.parametrize(
    ("clock", "words"),
    [
        ("0,0", "wanted pairs"),
        ([[1]], "wanted two numbers"),
        ([[1, "x"]], "wanted two numbers"),
        ([[1, math.nan]], "wanted two numbers"),
        ([[1, -1]], "wanted two numbers"),
        ([[5, 0], [4, 1]], "must not go back"),
    ],
)
def test_a_clock_that_cannot_be(clock: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_clock(clock)
