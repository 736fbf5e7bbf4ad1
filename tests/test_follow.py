"""One person among many faces: scenes as tables, with the tracker before, as in use."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.follow import Follower
from mien.track import Tracker
from mien.types import Faces

EVERY_S = 0.5
Place = tuple[float, float, float]  # centre x, y, side
HERE, BESIDE, FAR = (300.0, 200.0, 100.0), (480.0, 200.0, 100.0), (900.0, 200.0, 100.0)
LEANING = (360.0, 220.0, 190.0)  # much larger than the person, and before them

NOBODY: list[Place] = []


def faces(places: Sequence[Place]) -> Faces:
    c = np.array(places, np.float32).reshape(-1, 3)
    half = c[:, 2:] / 2
    n = len(c)
    return Faces(np.hstack([c[:, :2] - half, c[:, :2] + half]), np.full(n, 0.9, np.float32), np.full((n, 5, 2), np.nan, np.float32))


def followed(
    scene: Sequence[Sequence[Place]], *, checked: int = 0, cut_at: int | None = None
) -> list[tuple[Place | None, int, int]]:
    """Where the person is in each frame, the track's number and how many others there are; the first frames are the check's."""
    tracker, follower, out = Tracker(), Follower(), []
    for k, places in enumerate(scene):
        time_s, seen = k * EVERY_S, faces(places)
        changed = (lambda boxes: np.ones(len(boxes), bool)) if k == cut_at else None
        ids = tracker.update(seen, time_s, changed)
        found = follower.choose(seen, ids, time_s) if k < checked else follower.follow(seen, ids, time_s, tracker.ids)
        out.append((None if found.face is None else places[found.face], found.track, found.others))
    return out


def many(n: int, *places: Place) -> list[list[Place]]:
    return [list(places) for _ in range(n)]


@pytest.mark.parametrize(
    ("scene", "wanted"),
    [
        pytest.param(
            [*many(3, HERE), *many(3, LEANING, HERE), *many(2, HERE)],
            [*[(HERE, 1, 0)] * 3, *[(HERE, 1, 1)] * 3, *[(HERE, 1, 0)] * 2],
            id="who leans in is somebody else, however large",
        ),
        pytest.param(
            [*many(3, HERE), *many(1, HERE, LEANING), *many(6, LEANING), *many(2, HERE, LEANING)],
            [*[(HERE, 1, 0)] * 3, (HERE, 1, 1), *[(None, 0, 1)] * 6, *[(HERE, 2, 1)] * 2],
            id="who leans in and hides the person is not gone on with",
        ),
        pytest.param(
            [*many(2, HERE, BESIDE), *many(4, BESIDE), *many(6, BESIDE)],
            [*[(HERE, 1, 1)] * 2, *[(None, 0, 1)] * 10],
            id="the neighbour who stays is not the person who left",
        ),
        pytest.param(
            [*many(2, HERE, BESIDE), *many(4), *many(2, BESIDE), *many(2, HERE, BESIDE)],
            [*[(HERE, 1, 1)] * 2, *[(None, 0, 0)] * 4, *[(None, 0, 1)] * 2, *[(HERE, 2, 1)] * 2],
            id="both look away, and the neighbour comes back first",
        ),
        pytest.param(
            [*many(3, HERE), *many(1), *many(2, HERE)],
            [*[(HERE, 1, 0)] * 3, (None, 0, 0), *[(HERE, 1, 0)] * 2],
            id="a hand before the face ends nothing",
        ),
        pytest.param(
            [*many(3, HERE), *many(8), *many(2, HERE)],
            [*[(HERE, 1, 0)] * 3, *[(None, 0, 0)] * 8, *[(HERE, 2, 0)] * 2],
            id="who leaves and comes back is gone on with, and marked",
        ),
        pytest.param(
            [*many(3, HERE), *many(4), *many(2, FAR), *many(2, HERE, FAR)],
            [*[(HERE, 1, 0)] * 3, *[(None, 0, 0)] * 4, *[(None, 0, 1)] * 2, *[(HERE, 2, 1)] * 2],
            id="a face far off is not the person",
        ),
        pytest.param(
            [*many(3, HERE), *many(4), *many(2, (260.0, 200.0, 100.0), (420.0, 200.0, 100.0)), *many(2, (260.0, 200.0, 100.0))],
            [*[(HERE, 1, 0)] * 3, *[(None, 0, 0)] * 4, *[(None, 0, 2)] * 2, *[((260.0, 200.0, 100.0), 2, 0)] * 2],
            id="two who could be it are nobody, until one is left",
        ),
        pytest.param(
            [*many(2, HERE), *many(4), *many(1, (300.0, 200.0, 40.0)), *many(1, HERE)],
            [*[(HERE, 1, 0)] * 2, *[(None, 0, 0)] * 4, (None, 0, 1), (HERE, 2, 0)],
            id="a small face behind the place is not the person",
        ),
        pytest.param(
            [*many(2, HERE), *many(40), *many(1, FAR), *many(80), *many(1, FAR)],
            [*[(HERE, 1, 0)] * 2, *[(None, 0, 0)] * 40, (None, 0, 1), *[(None, 0, 0)] * 80, (FAR, 2, 0)],
            id="a minute later the person may sit elsewhere",
        ),
    ],
)
def test_scenes(scene: list[list[Place]], wanted: list[tuple[Place | None, int, int]]) -> None:
    assert followed(scene, checked=1) == wanted


def test_a_swap_of_places_is_followed_by_the_tracker() -> None:
    steps = np.linspace(0, 1, 21)
    scene = [[(300 + 240 * s, 200.0, 100.0), (540 - 240 * s, 140.0, 100.0)] for s in steps]
    assert [place for place, _, _ in followed(scene, checked=1)] == [places[0] for places in scene]


@pytest.mark.parametrize(
    ("after", "wanted"),
    [([HERE], (HERE, 2, 0)), ([HERE, (340.0, 230.0, 100.0)], (None, 0, 2)), ([FAR], (None, 0, 1)), (NOBODY, (None, 0, 0))],
    ids=["one in the same place", "two", "one elsewhere", "nobody"],
)
def test_a_cut_ends_the_track(after: list[Place], wanted: tuple[Place | None, int, int]) -> None:
    assert followed([*many(3, HERE), after], checked=1, cut_at=3)[-1] == wanted


def test_the_largest_at_the_end_of_the_check_is_the_person() -> None:
    small = (620.0, 200.0, 60.0)
    scene = [*many(2, LEANING), *many(4), *many(2, small, HERE), *many(2, small)]
    assert followed(scene, checked=8) == [
        *[(LEANING, 1, 0)] * 2, *[(None, 0, 0)] * 4, *[(HERE, 1, 1)] * 2, *[(None, 0, 1)] * 2,
    ]  # fmt: skip


def test_without_a_check_the_largest_face_of_the_first_frame_with_one_is_the_person() -> None:
    assert followed([*many(2), *many(1, BESIDE, LEANING), *many(1, BESIDE)]) == [
        *[(None, 0, 0)] * 2, (LEANING, 1, 1), (None, 0, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(("place", "wanted"), [(HERE, (0, 4)), (FAR, (None, 0))])
def test_one_who_was_seen_before_is_gone_on_with_near_the_old_place(place: Place, wanted: tuple[int | None, int]) -> None:
    follower = Follower(faces([HERE]).boxes[0], 10.0, 3)
    found = follower.follow(faces([place]), np.array([1]), 12.0, np.array([1]))
    assert (found.face, found.track) == wanted


scenes = st.lists(st.lists(st.tuples(st.floats(0, 900), st.floats(0, 600), st.floats(20, 300)), max_size=4), max_size=15)


@settings(max_examples=60, deadline=None)
@given(scenes, st.integers(0, 3))
def test_whatever_is_in_view_there_is_one_person_at_most_and_the_number_never_falls(scene: list[list[Place]], checked: int) -> None:
    found = followed(scene, checked=checked)
    assert all(others == len(places) - (place is not None) for places, (place, _, others) in zip(scene, found, strict=True))
    assert all((place is None) == (track == 0) for place, track, _ in found)
    numbers = [track for _, track, _ in found if track]
    assert numbers == sorted(numbers)
    assert not numbers or numbers[0] == 1
