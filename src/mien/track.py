"""Faces in time → track ids, by motion and overlap alone.

Each track is a Kalman filter over the centre and the logarithms of width and height of one face, in real seconds, so that one
code serves every frame of a film and one look each five seconds. Detections are given to tracks in two rounds, confident ones
first and weak ones after, as in ByteTrack (Zhang et al., ECCV 2022); unlike there, every face gets an id at once, and a face can
be found again where boxes no longer overlap. Nothing about a face but its box and its score is looked at: no picture, no
embedding, so nobody is recognised across media or after a long absence. Where a film was cut it is told (`mien.cuts`).
"""

import math
from collections import deque
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.types import Faces

if TYPE_CHECKING:
    from mien.cuts import Changed

_DAMPING_S = 0.8
"""Velocity dies away with this time constant, so a lost face coasts at most speed × 0.8 s beyond where it was last seen."""

_NOISE = np.array([0.08, 0.08])
"""Standard deviation of one detection: of the centre in face sizes, of the logarithm of width and height."""

_SPEED = np.array([2.5, 0.4])
"""Standard deviation of a face's velocity, per second: of the centre in face sizes, of the logarithm of width and height."""

_GATE = 3.0
"""A face further from the predicted place than this many standard deviations is somebody else, unless the boxes overlap."""

_MAX_ZOOM = math.log(2.0)
"""Faces that differ more than twofold in size are two people."""

_UNMATCHED = 2.25
"""What it costs to leave a track without a face: more than a fair match, less than two poor ones, so that people do not hand on
their ids along a row of seats when the first of them leaves."""

_LOST = 0.3
"""What it costs a track to have been unseen at the look before: while one person passes behind another, the face that goes on being
seen stays with the track that goes on being seen, however near the lost one is thought to be."""

_INTERVALS = 9
"""How many sampling intervals are remembered; their median ignores a camera that hangs once."""


class Tracker:
    """Gives each face of a stream the id of its person. One Tracker per stream, fed in order of time.

    max_gap_s   seconds that a face may be unseen (a hand before it, a turned head) and keep its id. Where the stream is looked at
                more rarely than that, the sampling interval counts instead; half an interval is granted in either case because
                looks fall beside the wanted times: a track ends after max(max_gap_s, interval) + interval / 2 unseen seconds
    min_iou     overlap of predicted and found box, in (0, 1], from which they are taken for the same face however sudden the move
    max_reach   how far a face may be from its predicted centre, in face sizes (√(width × height)), however long it was unseen
    confident   score from which detections choose their tracks first
    """

    def __init__(self, *, max_gap_s: float = 1.0, min_iou: float = 0.3, max_reach: float = 2.0, confident: float = 0.6) -> None:
        if not max_gap_s > 0:
            raise ValueError(f"max_gap_s must be more than 0 s, but got {max_gap_s}")
        if not 0 < min_iou <= 1:
            raise ValueError(f"min_iou must be in (0, 1], but got {min_iou}")
        if not max_reach > 0:
            raise ValueError(f"max_reach must be more than 0 face sizes, but got {max_reach}")
        if not 0 <= confident <= 1:
            raise ValueError(f"confident must be in [0, 1], but got {confident}")
        self.max_gap_s = max_gap_s
        self.min_iou = min_iou
        self.max_reach = max_reach
        self.confident = confident
        self._next_id = 1
        self._time_s: float | None = None
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)
        # The T tracks as columns. Place and velocity hold centre x, centre y, ln width, ln height. The gains of the filter depend
        # on times only, not on what was seen: both centre coordinates share one variance (in face sizes), both logarithms another.
        self._ids = np.zeros(0, np.int64)
        self._seen_s = np.zeros(0)
        self._place = np.zeros((0, 4))
        self._velocity = np.zeros((0, 4))
        self._var_place = np.zeros((0, 2))
        self._covariance = np.zeros((0, 2))
        self._var_velocity = np.zeros((0, 2))

    def update(self, faces: Faces, time_s: float, changed: "Changed | None" = None) -> NDArray[np.int64]:
        """The track id of each of the N faces of the picture at `time_s`: (N,) int64, from 1, no two alike, none ever used again.

        Call it for every picture that is looked at, also where nobody is: so the Tracker learns the sampling interval. `changed`
        says, at a cut, where the picture became another one (see `mien.cuts`): the tracks there end.
        Raises `ValueError` where time runs backwards or is not finite, and for boxes that are not finite.
        """
        if not math.isfinite(time_s) or (self._time_s is not None and time_s < self._time_s):
            raise ValueError(f"time_s must be finite and not decrease; after {self._time_s} came {time_s}")
        boxes = faces.boxes.astype(np.float64)
        if not np.isfinite(boxes).all():
            raise ValueError("boxes must be finite numbers of pixels, but got NaN or infinity")
        before = time_s if self._time_s is None else self._time_s
        elapsed = time_s - before
        self._time_s = time_s
        if elapsed > 0:
            self._intervals.append(elapsed)
            if len(self._ids):
                self._forget(time_s)
                self._predict(elapsed)
        if changed is not None and len(self._ids):
            self._keep(~changed(_boxes(self._place)))

        ids = np.zeros(len(boxes), np.int64)
        if not len(boxes):
            return ids
        found = _places(boxes)
        if len(self._ids):
            tracks, picked = self._assign(found, faces.scores >= self.confident, self._seen_s < before)
            ids[picked] = self._ids[tracks]
            self._correct(tracks, found[picked], time_s)
        new = ids == 0
        if new.any():
            ids[new] = self._begin(found[new], time_s)
        return ids

    @property
    def ids(self) -> NDArray[np.int64]:
        """(T,) the tracks that have not ended: those seen last time, and those that may be found again."""
        return self._ids.copy()

    def _limit_s(self) -> float:
        """How long a track may be unseen."""
        interval = median(self._intervals) if self._intervals else 0.0
        return max(self.max_gap_s, interval) + interval / 2

    def _forget(self, time_s: float) -> None:
        """Drops the tracks that were unseen for too long."""
        keep = time_s - self._seen_s <= self._limit_s()
        if not keep.all():
            self._keep(keep)

    def _keep(self, keep: NDArray[np.bool_]) -> None:
        self._ids, self._seen_s = self._ids[keep], self._seen_s[keep]
        self._place, self._velocity = self._place[keep], self._velocity[keep]
        self._var_place, self._covariance, self._var_velocity = (
            self._var_place[keep],
            self._covariance[keep],
            self._var_velocity[keep],
        )

    def _predict(self, elapsed: float) -> None:
        """Moves all tracks on by `elapsed` seconds: velocity decays as an Ornstein–Uhlenbeck process.

        The noise is integrated exactly, so two steps of 0.1 s and one of 0.2 s agree.
        """
        tau = _DAMPING_S
        decay = math.exp(-elapsed / tau)
        travel = tau * (1 - decay)
        accel = 2 * _SPEED**2 / tau  # keeps the variance of an unseen velocity at _SPEED²
        self._place = self._place + travel * self._velocity
        self._velocity = decay * self._velocity
        self._var_place = (
            self._var_place
            + 2 * travel * self._covariance
            + travel**2 * self._var_velocity
            + accel * tau**2 * (elapsed - 2 * travel + tau / 2 * (1 - decay**2))
        )
        self._covariance = decay * (self._covariance + travel * self._var_velocity) + accel / 2 * travel**2
        self._var_velocity = decay**2 * self._var_velocity + accel * tau / 2 * (1 - decay**2)

    def _assign(
        self, found: NDArray[np.float64], confident: NDArray[np.bool_], lost: NDArray[np.bool_]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Pairs of rows of tracks and rows of `found` that belong together."""
        cost = self._cost(found, lost)
        free = np.ones(len(cost), bool)
        tracks: list[NDArray[np.intp]] = []
        picked: list[NDArray[np.intp]] = []
        for columns in (np.flatnonzero(confident), np.flatnonzero(~confident)):
            rows = np.flatnonzero(free)
            if not len(rows) or not len(columns):
                continue
            part = cost[np.ix_(rows, columns)]
            i, j = _assignment(part)
            good = part[i, j] < _UNMATCHED
            tracks.append(rows[i[good]])
            picked.append(columns[j[good]])
            free[tracks[-1]] = False
        if not tracks:
            return np.zeros(0, np.intp), np.zeros(0, np.intp)
        return np.concatenate(tracks), np.concatenate(picked)

    def _cost(self, found: NDArray[np.float64], lost: NDArray[np.bool_]) -> NDArray[np.float64]:
        """(T, N): lack of overlap + distance + difference in size + being lost; `_UNMATCHED` where they cannot be one person."""
        apart = found[None, :, :2] - self._place[:, None, :2]
        shape = found[None, :, 2:] - self._place[:, None, 2:]
        zoom = np.abs(shape.mean(axis=2))
        # In sizes of the larger of both faces, so that the measure is the same from either side.
        size = np.exp(np.maximum(found[None, :, 2:].mean(axis=2), self._place[:, None, 2:].mean(axis=2)))
        distance = np.hypot(apart[..., 0], apart[..., 1]) / size
        sigma = np.sqrt(self._var_place[:, 0] + _NOISE[0] ** 2)
        reach = np.minimum(self.max_reach, _GATE * sigma)[:, None]
        overlap = _iou(self._place, found)
        # The distance counts in fixed units, not in standard deviations: a lost track is unsure of its place and would else outbid
        # a seen one for the face that the two are near.
        cost = (1 - overlap) + distance / self.max_reach + zoom / (2 * _MAX_ZOOM) + _LOST * lost[:, None]
        possible = ((overlap >= self.min_iou) | (distance <= reach)) & (zoom <= _MAX_ZOOM)
        return np.where(possible, np.minimum(cost, _UNMATCHED), _UNMATCHED)

    def _correct(self, rows: NDArray[np.intp], found: NDArray[np.float64], time_s: float) -> None:
        """Draws the tracks `rows` towards what was found."""
        variance = self._var_place[rows] + _NOISE**2
        gain_place = self._var_place[rows] / variance
        gain_velocity = self._covariance[rows] / variance
        error = found - self._place[rows]
        self._place[rows] += gain_place.repeat(2, axis=1) * error
        self._velocity[rows] += gain_velocity.repeat(2, axis=1) * error
        self._var_velocity[rows] -= gain_velocity * self._covariance[rows]
        self._var_place[rows] *= 1 - gain_place
        self._covariance[rows] *= 1 - gain_place
        self._seen_s[rows] = time_s

    def _begin(self, found: NDArray[np.float64], time_s: float) -> NDArray[np.int64]:
        """New tracks, at rest; returns their ids."""
        n = len(found)
        ids = np.arange(self._next_id, self._next_id + n, dtype=np.int64)
        self._next_id += n
        self._ids = np.concatenate([self._ids, ids])
        self._seen_s = np.concatenate([self._seen_s, np.full(n, time_s)])
        self._place = np.concatenate([self._place, found])
        self._velocity = np.concatenate([self._velocity, np.zeros((n, 4))])
        self._var_place = np.concatenate([self._var_place, np.tile(_NOISE**2, (n, 1))])
        self._covariance = np.concatenate([self._covariance, np.zeros((n, 2))])
        self._var_velocity = np.concatenate([self._var_velocity, np.tile(_SPEED**2, (n, 1))])
        return ids


def _assignment(cost: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the cheapest pairing of a (T, N) matrix."""
    if min(cost.shape) == 1:  # one face or one track, as in most films: the cheapest entry, and SciPy's 0.3 s of import are saved
        row, column = np.unravel_index(int(cost.argmin()), cost.shape)
        return np.array([row]), np.array([column])
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(cost)
    return rows, columns


def _places(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """x1, y1, x2, y2 (N, 4) as centre x, centre y, ln width, ln height; a side shorter than a pixel counts as one pixel."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, np.log(sides)], axis=1)


def _boxes(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """The reverse of `_places`."""
    sides = np.exp(places[:, 2:])
    return np.concatenate([places[:, :2] - sides / 2, places[:, :2] + sides / 2], axis=1)


def _iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, N) intersection over union of places (T, 4) with places (N, 4)."""
    sides_a, sides_b = np.exp(a[:, None, 2:]), np.exp(b[None, :, 2:])
    low = np.maximum(a[:, None, :2] - sides_a / 2, b[None, :, :2] - sides_b / 2)
    high = np.minimum(a[:, None, :2] + sides_a / 2, b[None, :, :2] + sides_b / 2)
    common = np.prod(np.maximum(high - low, 0), axis=2)
    union = np.prod(sides_a, axis=2) + np.prod(sides_b, axis=2) - common
    return np.asarray(common / union, dtype=np.float64)
