"""Who was there, and when: curves that compare moments are of those who saw enough of the film, and who left is a result.

A mean rises also because those with low scores have gone. So who saw less than a share of a film is left out of its curves, by name
and with a reason; how many were there at each time is a curve of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.audience import Audience
from mien.study_report.headline import clock

LEAST_WATCHED = 0.8
"""Who saw less of a film than this share of it is in no curve of it."""

LOST_S = 5.0
"""Pictures that a line or a busy device has lost for so long do not mean that somebody was not there."""

Json = dict[str, Any]
_Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Presence:
    """Who was there of an audience's V viewers at its T times.

    there  (V, T)        share  (V,) float, how much of the film each was there for
    whole  (V,) who saw enough of it        kept  (V,) who is in its curves: those, or everybody where those are too few to be shown
    """

    times: NDArray[np.float64]
    step_s: float
    there: _Mask
    share: NDArray[np.float64]
    whole: _Mask
    kept: _Mask


def presence(of: Audience, rooms: Sequence[bool], smallest: int) -> Presence:
    """A participant is there while looked at, face found or not, and where pictures were lost for no more than `LOST_S`; a face of
    a room, which has no end of its own, from first to last seen."""
    cells = np.arange(len(of.times))
    before = np.maximum.accumulate(np.where(of.looked, cells, -len(cells)), axis=1)
    after = np.minimum.accumulate(np.where(of.looked, cells, 2 * len(cells))[:, ::-1], axis=1)[:, ::-1]
    near = of.looked | ((before >= 0) & (after < len(cells)) & ((after - before) * of.step_s <= LOST_S))
    begun, not_ended = (np.logical_or.accumulate(rows, axis=1) for rows in (of.seen, of.seen[:, ::-1]))
    participant = ~np.array(rooms, np.bool_)[:, None]
    there = near & (participant | (begun & not_ended[:, ::-1]))
    share = there.mean(axis=1)
    whole = share >= LEAST_WATCHED - 1e-9
    kept = whole if whole.sum() >= smallest else np.ones(len(of), bool)
    return Presence(of.times, of.step_s, there, share, whole, kept)


def told(found: Presence, names: Sequence[str], duration_s: float) -> list[Json]:
    """Of each who saw too little: viewer, share, from_s and until_s, and the reason in words; who left first comes first."""
    rows = []
    for v in np.flatnonzero(~found.whole).tolist():
        cells = np.flatnonzero(found.there[v])
        from_s, until_s = (0.0, 0.0) if not len(cells) else (found.times[cells[0]], found.times[cells[-1]] + found.step_s / 2)
        from_s, until_s = max(0.0, float(from_s) - found.step_s / 2), min(float(until_s), duration_s)
        words = f"saw {found.share[v]:.0%} of it, from {clock(from_s, duration_s)} to {clock(until_s, duration_s)}"
        rows.append(
            {
                "viewer": names[v],
                "share": round(float(found.share[v]), 4),
                "from_s": round(from_s, 3),
                "until_s": round(until_s, 3),
                "why": words if len(cells) else "saw nothing of it",
            }
        )
    return sorted(rows, key=lambda row: (row["until_s"], row["viewer"]))


def without_few(of: Audience, kept: _Mask, smallest: int) -> Audience:
    """Everybody, but nobody at times at which so few are seen beside those kept that the two means together would tell of them."""
    others = of.seen[~kept].sum(axis=0)
    fine = (others == 0) | (others >= smallest)
    return replace(of, seen=of.seen & fine, looked=of.looked & fine, emotions=np.where(fine[:, None], of.emotions, np.float32(0)))
