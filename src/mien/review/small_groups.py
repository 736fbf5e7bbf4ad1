"""Which groups may be shown so that nothing of fewer than the smallest group of viewers can be read, nor worked out.

A group smaller than that is hidden. So is what would give it away by subtraction: with ten viewers and the mean of nine of them
shown, the mean of all tells the tenth's. All that is shown, everybody and any groups of one variable taken together, is compared in
pairs; where two differ by some viewers, but by fewer than the smallest group, the smallest group that takes part is hidden too.
"""

import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

ALL_UNIONS_OF = 5
"""Groups of one variable that are taken together in every way; of more, each alone, each left out, and all."""

Members = Mapping[str, Mapping[str, NDArray[np.bool_]]]
"""Variable → value → (V,) bool, who is in that group."""


def may_show(members: Members, present: NDArray[np.bool_], smallest: int, *, everybody: bool = True) -> set[tuple[str, str]]:
    """The groups, as (variable, value), that may be shown of those who are `present` (V,).

    everybody  whether the mean of all who are present is shown as well, as it is in a review
    """
    inside = {(variable, value): mask & present for variable, of in members.items() for value, mask in of.items()}
    sizes = {key: int(mask.sum()) for key, mask in inside.items()}
    shown = {key for key, size in sizes.items() if size >= smallest}
    while shown:
        unions = _unions(inside, shown, present if everybody else None)
        masks = np.array([mask for _, mask in unions], np.float32)
        apart = masks.sum(axis=1)[:, None] + masks.sum(axis=1)[None] - 2 * masks @ masks.T
        close = np.argwhere(np.triu((apart > 0.5) & (apart < smallest - 0.5), 1))
        if not len(close):
            break
        involved = {key for pair in close for place in pair for key in unions[place][0]}
        shown.discard(min(involved, key=lambda key: (sizes[key], key)))
    return shown


def _unions(
    inside: Mapping[tuple[str, str], NDArray[np.bool_]], shown: set[tuple[str, str]], present: NDArray[np.bool_] | None
) -> list[tuple[tuple[tuple[str, str], ...], NDArray[np.bool_]]]:
    """Groups and their union: what adding up shown means gives the mean of."""
    found: list[tuple[tuple[tuple[str, str], ...], NDArray[np.bool_]]] = []
    if present is not None:
        found.append(((), present))
    for variable in sorted({variable for variable, _ in shown}):
        keys = sorted(key for key in shown if key[0] == variable)
        n = len(keys)
        counts = range(1, n + 1) if n <= ALL_UNIONS_OF else sorted({1, n - 1, n})
        for count in counts:
            for some in itertools.combinations(keys, count):
                found.append((some, np.logical_or.reduce([inside[key] for key in some])))
    return found
