"""Which groups may be shown so that nothing of fewer than the smallest group of viewers can be read, nor worked out.

A group smaller than that is hidden. So is what would give it away by subtraction: with ten viewers and the mean of nine of them
shown, the mean of all tells the tenth's. Ways to come to a set of viewers are compared: everybody, or any groups of one variable
taken together, those without a group (everybody less the groups shown) counting as one. Where two such sets differ by some
viewers, but by fewer than the smallest group, the smallest of the groups that take part is hidden as well, until no two do.

For studies of one or two variables nothing can be left that sums and differences of what is shown would tell of fewer viewers. With
three or more, that holds of each two of them.
"""

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ALL_UNIONS_OF = 7
"""So many groups of one variable are taken together in every way; of more, each alone, each left out, and all."""

_Mask = NDArray[np.bool_]
Group = tuple[str, str]
"""Variable and value."""

Members = Mapping[str, Mapping[str, _Mask]]
"""Variable → value → (V,) bool, who is in that group."""


class _Union(NamedTuple):
    """Viewers whose mean can be worked out, and the groups whose means that takes."""

    groups: frozenset[Group]
    viewers: _Mask


def may_show(members: Members, present: _Mask, smallest: int) -> set[Group]:
    """The groups that may be shown of those who are `present` (V,), beside the mean of all who are present."""
    inside = {(variable, value): mask & present for variable, of in members.items() for value, mask in of.items()}
    sizes = {group: int(mask.sum()) for group, mask in inside.items()}
    shown = {group for group, size in sizes.items() if size >= smallest}
    while shown:
        unions = _unions(inside, shown, present)
        masks = np.array([union.viewers for union in unions], np.float32)
        apart = masks.sum(axis=1)[:, None] + masks.sum(axis=1)[None] - 2 * masks @ masks.T
        close = np.argwhere((apart > 0.5) & (apart < smallest - 0.5))
        involved = {group for places in close for place in places for group in unions[place].groups}
        if not involved:
            break
        shown.discard(min(involved, key=lambda group: (sizes[group], group)))
    return shown


def _unions(inside: Mapping[Group, _Mask], shown: set[Group], present: _Mask) -> list[_Union]:
    found = [_Union(frozenset(), present)]
    for variable in sorted({variable for variable, _ in shown}):
        parts = [_Union(frozenset([group]), inside[group]) for group in sorted(shown) if group[0] == variable]
        groups = frozenset(group for group in shown if group[0] == variable)
        rest = present & ~np.logical_or.reduce([part.viewers for part in parts])
        if rest.any():
            parts.append(_Union(groups, rest))
        n = len(parts)
        for count in range(1, n) if n <= ALL_UNIONS_OF else sorted({1, n - 1}):
            for some in itertools.combinations(parts, count):
                who = np.logical_or.reduce([part.viewers for part in some])
                found.append(_Union(frozenset().union(*(part.groups for part in some)), who))
    return found
