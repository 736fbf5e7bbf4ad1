"""Counts of answers of which nothing of fewer than the smallest group can be read, nor worked out.

`small_groups` says whose means may be shown; this says which numbers of one question's answers may. A count of 0 tells of nobody
and stays; a count from 1 to below the smallest group is small.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Bin(NamedTuple):
    """How many answers lie from `first` to `last`, both included."""

    first: int
    last: int
    n: int


def small(count: int, smallest: int) -> bool:
    """Whether a count is of somebody, but of fewer than the smallest group."""
    return 0 < count < smallest


def hidden(counts: Sequence[int], smallest: int) -> list[bool]:
    """Which of the counts of answers that exclude each other must not be shown beside their sum: the small ones, and as many
    others, the smallest first, that two or more are hidden and together are not few."""
    order = sorted((k for k, count in enumerate(counts) if count), key=lambda k: counts[k])
    gone = [k for k in order if small(counts[k], smallest)]
    while gone and len(gone) < len(order) and (len(gone) < 2 or sum(counts[k] for k in gone) < smallest):
        gone.append(order[len(gone)])
    return [k in gone for k in range(len(counts))]


def merged(counts: Sequence[int], smallest: int) -> list[Bin]:
    """Neighbouring steps taken together until none is small; each by itself where none is. Nothing where all are fewer."""
    if not any(small(count, smallest) for count in counts):
        return [Bin(k, k, count) for k, count in enumerate(counts)]
    found: list[Bin] = []
    first = n = 0
    for k, count in enumerate(counts):
        n += count
        if n >= smallest:
            found.append(Bin(first, k, n))
            first, n = k + 1, 0
    if first < len(counts) and found:
        found[-1] = Bin(found[-1].first, len(counts) - 1, found[-1].n + n)
    return found


def told(bins: Sequence[Bin], total: int, smallest: int) -> bool:
    """Whether bins, together with the sum of all answers, which their mean tells, leave for some step only small counts."""
    wanted = 1 << total
    for place, one in enumerate(bins):
        if one.first == one.last:
            continue
        rest = 1
        for k, other in enumerate(bins):
            if k != place:
                rest = _sums(rest, range(other.first, other.last + 1), other.n)
        for step in range(one.first, one.last + 1):
            others = [k for k in range(one.first, one.last + 1) if k != step]
            free = (count for count in range(one.n + 1) if not small(count, smallest))
            if not any(_sums(rest, others, one.n - count) << step * count & wanted for count in free):
                return True
    return False


def _sums(reached: int, steps: Sequence[int], n: int) -> int:
    """The sums, a bit each, that n more answers among `steps` can lead to from those reached."""
    for _ in range(n):
        reached = _or(reached << step for step in steps)
    return reached


def _or(numbers: Iterable[int]) -> int:
    found = 0
    for number in numbers:
        found |= number
    return found
