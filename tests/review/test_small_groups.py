"""What may be shown, against what linear algebra could work out of it."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.study_report.small_groups import Members, may_show


def members(**variables: str) -> Members:
    """One letter per viewer: members(v="aabb.") is two of a, two of b and one without a group."""
    return {
        name: {value: np.array([c == value for c in letters]) for value in sorted(set(letters) - {"."})}
        for name, letters in variables.items()
    }


def shown(smallest: int, **variables: str) -> list[str]:
    count = len(next(iter(variables.values())))
    return sorted(f"{a}{b}" for a, b in may_show(members(**variables), np.ones(count, bool), smallest))


def test_small_groups_are_hidden_and_large_ones_shown() -> None:
    assert shown(3, v="aaabbb") == ["va", "vb"]
    assert shown(3, v="aaabb") == []  # b is too small, and everybody less a is b
    assert shown(3, v="aaaabbbcc") == ["va"]  # c is too small; with b it is large enough, so only b goes
    assert shown(3, v="aaabbbcccdd") == ["vb", "vc"]


def test_those_without_a_group_count_as_one() -> None:
    assert shown(3, v="aaaabbbb.") == ["vb"]
    assert shown(3, v="aaabbb...") == ["va", "vb"]
    assert shown(1, v="ab.") == ["va", "vb"]


def test_two_variables_that_differ_by_few_are_not_both_shown() -> None:
    # x of the second is a of the first and one more: the difference would be that one.
    found = shown(3, v="aaaabbbbbb", w="xxxxxyyyyy")
    assert found
    assert not any(pair <= set(found) for pair in ({"va", "wx"}, {"vb", "wy"}, {"va", "wy"}))
    assert shown(3, v="aaaabbbb", w="xxxxyyyy") == ["va", "vb", "wx", "wy"]  # the same groups tell nothing new
    assert shown(2, v="aaaabbbb", w="xxyyxxyy") == ["va", "vb", "wx", "wy"]


def test_an_overlap_that_sums_would_tell() -> None:
    # a and x overlap in four and cover everybody: mean of a + mean of x − mean of all is that of the four.
    found = shown(5, v="a" * 12 + "." * 8, w="." * 8 + "x" * 12)
    assert len(found) == 1


def test_only_those_present_count() -> None:
    groups = members(v="aaabbb")
    assert may_show(groups, np.array([1, 1, 1, 1, 1, 0], bool), 3) == set()
    assert may_show(groups, np.zeros(6, bool), 3) == set()
    assert may_show({}, np.ones(6, bool), 3) == set()


def told(groups: Members, present: np.ndarray, shown: set[tuple[str, str]], smallest: int) -> list[int]:
    """Sizes of the sets of 1 to smallest − 1 viewers whose sum follows from the sums shown, by rank."""
    rows = np.array([present.astype(float), *(groups[a][b] & present for a, b in sorted(shown))], float)
    atoms, where = np.unique(rows[:, present], axis=1, return_inverse=True)
    sizes = np.bincount(np.ravel(where), minlength=atoms.shape[1])
    few = [i for i in range(atoms.shape[1]) if sizes[i] < smallest]
    found = []
    for count in range(1, smallest):
        for some in itertools.combinations(few, count):
            size = int(sizes[list(some)].sum())
            if size < smallest:
                target = np.isin(np.arange(atoms.shape[1]), some).astype(float)
                rest = target - atoms.T @ np.linalg.lstsq(atoms.T, target, rcond=None)[0]
                if np.abs(rest).max() < 1e-6:
                    found.append(size)
    return found


letters = st.integers(6, 24).flatmap(
    lambda n: st.tuples(st.text("abc.", min_size=n, max_size=n), st.text("xy.", min_size=n, max_size=n))
)


@settings(max_examples=300, deadline=None)
@given(letters, st.integers(2, 5))
def test_nothing_of_few_follows_from_what_is_shown(two: tuple[str, str], smallest: int) -> None:
    groups, present = members(v=two[0], w=two[1]), np.ones(len(two[0]), bool)
    assert told(groups, present, may_show(groups, present, smallest), smallest) == []


def test_the_check_itself_can_find_something() -> None:
    groups, present = members(v="aaaabbb.", w="xxxxyyyy"), np.ones(8, bool)
    everything = {("v", "a"), ("v", "b"), ("w", "x"), ("w", "y")}
    assert told(groups, present, everything, 3) == [1]


@pytest.mark.parametrize("count", [8, 12])
def test_many_groups_take_no_time(count: int) -> None:
    text = "".join(chr(ord("a") + i % count) for i in range(count * 6))
    assert len(shown(5, v=text)) == count
