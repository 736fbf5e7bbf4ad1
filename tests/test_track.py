"""Track ids: properties for any input, known scenes at many sampling intervals, and the real clips."""

import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mien.detect import YuNet
from mien.media import open_media
from mien.track import Tracker
from mien.types import Faces

S = 80.0
"""Size of a made face in pixels."""

Person = Callable[[float], tuple[float, float] | None]
"""Where the centre of a face is at a time; None where it cannot be seen."""


def faces(centres: Sequence[tuple[float, float]], *, score: float = 0.9, size: float = S) -> Faces:
    c = np.array(centres, np.float32).reshape(-1, 2)
    n = len(c)
    return Faces(np.hstack([c - size / 2, c + size / 2]), np.full(n, score, np.float32), np.full((n, 5, 2), np.nan, np.float32))


def follow(people: Sequence[Person], every: float, end_s: float = 4.0, tracker: Tracker | None = None) -> list[list[int]]:
    """The ids that each person got. The detector's noise is 3 % of the face, and the order of its faces is shuffled."""
    tracker = tracker or Tracker()
    rng = np.random.default_rng(7)
    ids: list[list[int]] = [[] for _ in people]
    for k in range(round(end_s / every) + 1):
        time_s = k * every
        seen = [(i, place) for i, p in enumerate(people) if (place := p(time_s)) is not None]
        seen = [seen[j] for j in rng.permutation(len(seen))]
        noisy = [(x + rng.normal(0, 0.03 * S), y + rng.normal(0, 0.03 * S)) for _, (x, y) in seen]
        for (i, _), got in zip(seen, tracker.update(faces(noisy), time_s).tolist(), strict=True):
            ids[i].append(got)
    return ids


def each_kept_one(ids: list[list[int]]) -> bool:
    return all(len(set(i)) == 1 for i in ids) and len({i[0] for i in ids}) == len(ids)


# ---- properties

box = st.tuples(st.floats(0, 600, width=32), st.floats(0, 400, width=32), st.floats(-5, 300, width=32), st.floats(0, 300, width=32))
shots = st.lists(st.tuples(st.floats(0, 6), st.lists(st.tuples(box, st.floats(0, 1, width=32)), max_size=5)), max_size=12)


def run(film: list[tuple[float, list[tuple[tuple[float, float, float, float], float]]]]) -> list[list[int]]:
    tracker, time_s, out = Tracker(), 0.0, []
    for step, found in film:
        time_s += step
        boxes = np.array([(x, y, x + w, y + h) for (x, y, w, h), _ in found], np.float32).reshape(-1, 4)
        scores = np.array([s for _, s in found], np.float32)
        ids = tracker.update(Faces(boxes, scores, np.full((len(found), 5, 2), np.nan, np.float32)), time_s)
        assert ids.dtype == np.int64
        assert ids.shape == (len(found),)
        out.append(ids.tolist())
    return out


@settings(max_examples=60, deadline=None)
@given(shots)
def test_ids_are_unique_in_a_frame_and_count_up_from_1(film) -> None:
    highest = 0
    for ids in run(film):
        assert len(set(ids)) == len(ids)
        new = sorted(i for i in ids if i > highest)
        assert new == list(range(highest + 1, highest + 1 + len(new)))
        highest += len(new)


@settings(max_examples=60, deadline=None)
@given(shots)
def test_an_id_unseen_for_longer_than_the_limit_is_never_used_again(film) -> None:
    now, last = 0.0, dict[int, float]()
    for (step, _), ids in zip(film, run(film), strict=True):
        now += step
        for i in ids:
            # No sampling interval in `shots` is longer than 6 s, so no limit is longer than 9 s.
            assert now - last.get(i, now) <= 9.0 + 1e-6
            last[i] = now


@settings(max_examples=20, deadline=None)
@given(shots)
def test_two_trackers_do_not_share_state(film) -> None:
    assert run(film) == run(film)


# ---- known scenes

DENSE_TO_SPARSE = [0.02, 0.04, 0.1, 0.25, 0.5]


@pytest.mark.parametrize("every", [*DENSE_TO_SPARSE, 1.0, 2.0, 5.0])
def test_three_people_who_stay_keep_their_ids(every: float) -> None:
    people: list[Person] = [lambda t, k=k: (200 + 2 * S * k + 20 * math.sin(3 * t + k), 200) for k in range(3)]
    assert each_kept_one(follow(people, every, end_s=max(4.0, 12 * every)))


@pytest.mark.parametrize("every", DENSE_TO_SPARSE)
@pytest.mark.parametrize("speed", [1.0, 2.0, 3.0])
def test_a_walker_whose_boxes_do_not_overlap_keeps_the_id(every: float, speed: float) -> None:
    assert each_kept_one(follow([lambda t: (100 + speed * S * t, 200)], every))


@pytest.mark.parametrize("every", [0.02, 0.04, 0.1, 0.25])
@pytest.mark.parametrize(("sway", "hertz"), [(0.5, 1.0), (1.0, 0.5)])
def test_heads_that_sway_keep_their_ids(every: float, sway: float, hertz: float) -> None:
    people: list[Person] = [lambda t, k=k: (200 + 3 * S * k + sway * S * math.sin(2 * math.pi * hertz * t), 200) for k in range(2)]
    assert each_kept_one(follow(people, every))


@pytest.mark.parametrize("every", [0.02, 0.04, 0.1, 0.25])
@pytest.mark.parametrize("drift", [0.0, 0.5, 1.0])
def test_a_hand_before_the_face_for_nearly_a_second_does_not_end_the_track(every: float, drift: float) -> None:
    def person(t: float) -> tuple[float, float] | None:
        return None if 2.0 < t < 2.85 else (300 + (drift * S if t > 2.4 else 0), 300)

    assert each_kept_one(follow([person], every))


@pytest.mark.parametrize(("gap_s", "same"), [(0.9, True), (1.4, False)])
def test_max_gap_s_ends_a_track(gap_s: float, same: bool) -> None:
    ids = follow([lambda t: None if 1.001 < t < 0.999 + gap_s else (300, 300)], 0.05)[0]
    assert (len(set(ids)) == 1) == same
    longer = follow([lambda t: None if 1.001 < t < 0.999 + gap_s else (300, 300)], 0.05, tracker=Tracker(max_gap_s=2.0))[0]
    assert len(set(longer)) == 1


@pytest.mark.parametrize("every", [0.02, 0.04, 0.1, 0.25])
@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0])
def test_two_people_who_cross_keep_their_ids(every: float, speed: float) -> None:
    left: Person = lambda t: (100 + speed * S * t, 200)  # noqa: E731
    right: Person = lambda t: (100 + speed * S * (4 - t), 200 + 0.3 * S)  # noqa: E731
    assert each_kept_one(follow([left, right], every))


@pytest.mark.parametrize("every", [0.02, 0.04, 0.1])
@pytest.mark.parametrize("speed", [1.0, 2.0])
def test_two_people_keep_their_ids_while_one_hides_the_other(every: float, speed: float) -> None:
    def front(t: float) -> tuple[float, float]:
        return 100 + speed * S * t, 200

    def behind(t: float) -> tuple[float, float] | None:
        x = 100 + speed * S * (4 - t)
        return None if abs(x - front(t)[0]) < 0.7 * S else (x, 200)

    assert each_kept_one(follow([front, behind], every))


@pytest.mark.parametrize("towards", [(1, 0), (-1, 0), (0, 1), (0, -1)])
@pytest.mark.parametrize(("min_iou", "same"), [(0.3, True), (0.36, False)])
def test_who_sat_still_and_moves_by_half_a_face_at_once_is_known_by_the_overlap(
    towards: tuple[int, int], min_iou: float, same: bool
) -> None:
    tracker = Tracker(min_iou=min_iou)
    for k in range(50):
        tracker.update(faces([(300, 200)]), k * 0.04)
    moved = faces([(300 + towards[0] * S / 2, 200 + towards[1] * S / 2)])  # half a box of one and a half: 1/3
    assert tracker.update(moved, 50 * 0.04).tolist() == [1 if same else 2]


@pytest.mark.parametrize("every", DENSE_TO_SPARSE)
def test_somebody_far_away_is_somebody_else(every: float) -> None:
    people: list[Person] = [lambda t: (300, 300) if t < 2 else None, lambda t: (300 + 3 * S, 300) if t > 2.2 else None]
    assert each_kept_one(follow(people, every))


@pytest.mark.parametrize("every", [0.02, 0.04, 0.1])
def test_a_cut_gives_new_ids(every: float) -> None:
    before: list[Person] = [lambda t, k=k: (200 + 3 * S * k, 200) if t < 2 else None for k in range(2)]
    after: list[Person] = [lambda t, k=k: (200 + S + 3 * S * k, 230) if t >= 2 else None for k in range(2)]
    assert each_kept_one(follow([*before, *after], every))


def test_another_size_is_another_person() -> None:
    tracker = Tracker()
    assert tracker.update(faces([(300, 300)], size=60), 0.0).tolist() == [1]
    assert tracker.update(faces([(300, 300)], size=180), 0.04).tolist() == [2]


@pytest.mark.parametrize("every", DENSE_TO_SPARSE)
def test_ids_are_not_handed_on_along_a_row_of_seats(every: float) -> None:
    people: list[Person] = [lambda t, k=k: (100 + 1.2 * S * k, 200) if k or t < 2 else None for k in range(5)]
    people.append(lambda t: (100 + 1.2 * S * 5, 200) if t >= 2 else None)
    assert each_kept_one(follow(people, every))


def test_a_lost_face_is_not_flung_across_the_picture() -> None:
    # A face moves at 4 sizes per second and vanishes. Undamped it would after 0.9 s be sought 3.6 sizes further on.
    tracker = Tracker()
    for k in range(25):
        tracker.update(faces([(100 + 4 * S * k * 0.04, 300)]), k * 0.04)
    last = 100 + 4 * S * 24 * 0.04
    for k in range(25, 47):
        assert len(tracker.update(Faces.none(), k * 0.04)) == 0
    assert tracker.update(faces([(last + 4.2 * S, 300), (last + S, 300)]), 47 * 0.04).tolist() == [2, 1]


def test_a_lost_face_is_sought_where_it_was_going() -> None:
    tracker = Tracker()
    for k in range(25):
        tracker.update(faces([(100 + 3 * S * k * 0.04, 300)]), k * 0.04)
    last = 100 + 3 * S * 24 * 0.04
    for k in range(25, 37):
        tracker.update(Faces.none(), k * 0.04)
    # Half a second later one face stands where it was last seen and one where the walk leads.
    assert tracker.update(faces([(last, 300), (last + 1.4 * S, 300)]), 37 * 0.04).tolist() == [2, 1]


def test_a_single_spurious_face_changes_nothing_for_the_others() -> None:
    tracker = Tracker()
    for k in range(50):
        real = [(200.0, 200.0), (500.0, 200.0)]
        found = [real[0], (240.0, 290.0), real[1]] if k == 20 else real
        ids = tracker.update(faces(found), k * 0.04).tolist()
        assert ids == ([1, 3, 2] if k == 20 else [1, 2])


def test_confident_faces_choose_before_weak_ones() -> None:
    tracker = Tracker()
    tracker.update(faces([(300, 300)]), 0.0)
    here = faces([(300, 300), (310, 300)])
    ids = tracker.update(Faces(here.boxes, np.array([0.35, 0.9], np.float32), here.landmarks), 0.04)
    assert ids.tolist() == [2, 1]


def test_a_weak_face_keeps_its_track_alive() -> None:
    tracker = Tracker()
    for k in range(60):
        assert tracker.update(faces([(300, 300)], score=0.2 if k % 40 else 0.9), k * 0.04).tolist() == [1]


def test_a_camera_that_hangs_once_does_not_stretch_the_limit() -> None:
    tracker = Tracker()
    for k in range(20):
        tracker.update(faces([(300, 300)]), k * 0.04)
    assert tracker.update(faces([(300, 300)]), 10.0).tolist() == [2]


def test_two_looks_at_the_same_time_agree() -> None:
    tracker = Tracker()
    assert tracker.update(faces([(300, 300)]), 1.0).tolist() == tracker.update(faces([(300, 300)]), 1.0).tolist() == [1]


# ---- the door


@pytest.mark.parametrize(
    "wrong",
    [{"max_gap_s": 0}, {"max_gap_s": math.nan}, {"min_iou": 0}, {"min_iou": 1.1}, {"max_reach": -1}, {"confident": 1.5}],
    ids=str,
)
def test_options_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Tracker(**wrong)


@pytest.mark.parametrize("time_s", [0.9, -1.0, math.nan, math.inf])
def test_time_must_be_finite_and_not_run_backwards(time_s: float) -> None:
    tracker = Tracker()
    tracker.update(Faces.none(), 1.0)
    with pytest.raises(ValueError, match="time_s"):
        tracker.update(Faces.none(), time_s)
    assert tracker.update(faces([(1, 1)]), 1.1).tolist() == [1]  # the refused call left nothing behind


def test_boxes_must_be_finite() -> None:
    with pytest.raises(ValueError, match="finite"):
        Tracker().update(faces([(math.nan, 3.0)]), 0.0)


# ---- real clips


@pytest.fixture(scope="module")
def clip(clips: Path) -> Callable[..., list[tuple[float, Faces]]]:
    """Faces of a clip, each found once."""
    found: dict[tuple[str, float | None], list[tuple[float, Faces]]] = {}
    small, large = YuNet(), YuNet(max_side=256)  # large faces are found in small pictures, in less time

    def load(name: str, every: float | None = None) -> list[tuple[float, Faces]]:
        if (name, every) not in found:
            detect = small if name.endswith(".gif") else large
            with open_media(clips / name) as media:
                found[name, every] = [(f.time_s, detect(f.rgb)) for f in media.frames(every)]
        return found[name, every]

    return load


def tracks_of(looks: list[tuple[float, Faces]]) -> dict[int, NDArray[np.float32]]:
    """The centres of each track."""
    tracker, found = Tracker(), dict[int, list[NDArray[np.float32]]]()
    for time_s, seen in looks:
        for i, b in zip(tracker.update(seen, time_s).tolist(), seen.boxes, strict=True):
            found.setdefault(i, []).append((b[:2] + b[2:]) / 2)
    return {i: np.stack(c) for i, c in found.items()}


@pytest.mark.parametrize(
    ("name", "people"), [("three_people_walking.gif", 3), ("two_people_head_pose.gif", 2), ("classroom.gif", 4)], ids=str
)
@pytest.mark.parametrize("thin", [1, 3, 6, 12])
def test_groups_keep_their_ids(clip, name: str, people: int, thin: int) -> None:
    looks = clip(name)[::thin]
    assert all(len(seen) == people for _, seen in looks)
    tracks = tracks_of(looks)
    assert sorted(tracks) == list(range(1, people + 1))
    # In these clips nobody passes anybody: an id that was switched would show as two tracks whose ranges of x meet.
    spans = sorted((c[:, 0].min(), c[:, 0].max()) for c in tracks.values())
    assert all(a[1] < b[0] for a, b in itertools.pairwise(spans))


@pytest.mark.parametrize("thin", [1, 12, 48, 120])
def test_a_hand_before_the_face_in_a_real_clip(clip, thin: int) -> None:
    looks = clip("sad_to_happy.mp4")[::thin]
    assert len(looks) == math.ceil(472 / thin)
    assert len(tracks_of(looks)) == 1


@pytest.mark.parametrize("name", ["face_noface.mov", "noface_face.mov", "single_face.mp4"])
@pytest.mark.parametrize("thin", [1, 5])
def test_one_man_has_one_id(clip, name: str, thin: int) -> None:
    assert list(tracks_of(clip(name, 0.1)[::thin])) == [1]
