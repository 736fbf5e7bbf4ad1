"""Many Timelines on one clock → an audience: its mean curve with an interval, its synchrony, the moments that stand out.

    from mien import audience

    seen = audience.align([mien.Timeline.load(path) for path in paths], step_s=0.5)
    curve = audience.mean_curve(seen, "happiness")       # curve.mean, curve.low, curve.high, curve.n
    audience.synchrony(seen).isc, audience.moments(seen)

Shapes: V viewers, T times a fixed step apart, K labels. A signal is a label or "valence". Nobody seen is a False in a mask and a 0
in the numbers, never NaN. All that is drawn by chance comes from `seed`, so that the same input gives the same numbers.

What is computed, and whose idea it is, stands in each function; docs/audience.md says how well it does on audiences whose truth is
known. Viewers are what is sampled: every interval and every test here is about other viewers of the same film.
"""

import math
import os
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, special

from mien.labels import valence
from mien.types import Timeline

VALENCE = "valence"

_TICK_S = 1e-6
"""Times are compared to within a microsecond, as in episodes: 0.7 − 0.4 must count as 0.3."""

_MOST_TIMES = 1_000_000
"""A grid longer than this is a wrong unit or a broken timestamp, not a film."""

_CACHE_BYTES = 4_000_000
"""How large an array that is worked through several times may become, so that it stays in a processor's cache."""

_BLOCK = 32
"""So many viewers are worked through at a time where all of them would not fit into it."""

_STILL = 1e-4
"""A signal with a smaller standard deviation does not move: float32 scores near 1 are exact to 6e-8, printed ones to 1e-4."""

_DAMPED = 1 / 3
"""A bootstrap draw's standard error counts as at least this share of the audience's."""

_POOLED = 10_000
"""So many windows of shifted viewers make the band of windowed synchrony, of ten shifts at least."""

_LEFT_DRAWS = 200
"""So many deals tell how much noise smoothing leaves at each time."""

_SHARE_SEEN = 0.25
"""A moment needs at least this share of the most viewers that are seen at a time: the mean of the last two is no audience."""


def _fixed(value: ArrayLike, name: str, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """`value` as a read-only array of this dtype and shape, without NaN; else a ValueError with wanted and given."""
    array = np.asarray(value, dtype=dtype)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, but got {array.shape}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, but holds NaN or infinity")
    view = array.view()
    view.flags.writeable = False
    return view


def _freeze(one: Any, **arrays: tuple[ArrayLike, tuple[int, ...], Any]) -> None:
    for name, (value, shape, dtype) in arrays.items():
        object.__setattr__(one, name, _fixed(value, name, shape, dtype))


@dataclass(frozen=True, slots=True, eq=False)
class Audience:
    """V viewers on one grid of T times, K labels.

    times      (T,) float64, seconds of the film: the middles of cells that are `step_s` long
    step_s     seconds from one time to the next
    labels     the K names of the columns        names  the V names of the viewers, all different
    emotions   (V, T, K) float32, a cell's mean probabilities; 0 where the viewer was not seen
    seen       (V, T) bool, a face was found (or a short gap was filled)
    looked     (V, T) bool, somebody looked for a face. What was never looked at says nothing about attention
    baselines  (V, K) float32, the probabilities of each viewer's face at rest; a row of zeros where none was taken; None without
    relative   True where `emotions` are differences from the baselines: see `corrected`

    Raises `ValueError` for arrays that do not fit each other, NaN, faces seen where nobody looked, and names that are not unique.
    """

    times: NDArray[np.float64]
    step_s: float
    labels: tuple[str, ...]
    names: tuple[str, ...]
    emotions: NDArray[np.float32]
    seen: NDArray[np.bool_]
    looked: NDArray[np.bool_]
    baselines: NDArray[np.float32] | None = None
    relative: bool = False

    def __post_init__(self) -> None:
        v, t, k = len(self.names), len(self.times), len(self.labels)
        _freeze(
            self,
            times=(self.times, (t,), np.float64),
            emotions=(self.emotions, (v, t, k), np.float32),
            seen=(self.seen, (v, t), np.bool_),
            looked=(self.looked, (v, t), np.bool_),
        )
        if self.baselines is not None:
            _freeze(self, baselines=(self.baselines, (v, k), np.float32))
        elif self.relative:
            raise ValueError("differences from a baseline need the baselines; give baselines=")
        if not 0 < self.step_s < math.inf:
            raise ValueError(f"step_s must be more than 0 s, but got {self.step_s}")
        if (np.diff(self.times) <= 0).any():
            raise ValueError("times must rise")
        if len(set(self.names)) != v:
            raise ValueError("names of viewers must all be different; give names=")
        if not k or len(set(self.labels)) != k or VALENCE in self.labels:
            raise ValueError(f"labels must be one or more different names, none of them {VALENCE!r}, but got {self.labels}")
        if (self.seen & ~self.looked).any():
            raise ValueError("a viewer cannot be seen where nobody looked; set looked wherever seen is set")
        if self.emotions[~self.seen].any():
            raise ValueError("emotions must be 0 wherever a viewer is not seen")

    def __len__(self) -> int:
        """The number of viewers."""
        return len(self.names)

    def __repr__(self) -> str:
        span = f"{self.times[0]:g}–{self.times[-1]:g} s" if len(self.times) else "no times"
        return f"Audience({len(self)} viewers, {span} each {self.step_s:g} s{', against baselines' if self.relative else ''})"

    @property
    def signals(self) -> tuple[str, ...]:
        """The labels and "valence"."""
        return (*self.labels, VALENCE)

    @property
    def valence(self) -> NDArray[np.float32]:
        """(V, T) `mien.labels.valence` of each cell, 0 where not seen; minus that of the baseline where these are differences."""
        if not self.relative:
            return valence(self.emotions, self.labels)
        assert self.baselines is not None
        rest = self.baselines[:, None]
        change = valence(self.emotions + rest, self.labels) - valence(rest, self.labels)
        return np.asarray(np.where(self.seen, change, 0), np.float32)

    @property
    def attention(self) -> NDArray[np.float64]:
        """(T,) the share of those looked at in whom a face was seen; 0 where nobody was looked at."""
        looked = self.looked.sum(axis=0)
        return np.asarray(self.seen.sum(axis=0) / np.maximum(looked, 1), np.float64)

    def signal(self, name: str) -> NDArray[np.float32]:
        """(V, T) a label's column, or the valence. Raises `ValueError` for another name."""
        if name == VALENCE:
            return self.valence
        self.limits(name)
        return self.emotions[:, :, self.labels.index(name)]

    def limits(self, name: str) -> tuple[float, float]:
        """The lowest and the highest value that a signal can have. Raises `ValueError` for another name."""
        if name not in self.signals:
            raise ValueError(f"no signal {name!r}; known: {', '.join(self.signals)}")
        if name == VALENCE:
            return (-2.0, 2.0) if self.relative else (-1.0, 1.0)
        return (-1.0, 1.0) if self.relative else (0.0, 1.0)

    def corrected(self) -> "Audience":
        """The same as change against each viewer's own face at rest: emotions minus baseline, in [-1, 1]; valence minus its
        valence, in [-2, 2].

        Viewers without a baseline are left out. Raises `ValueError` where nobody has one, and for what is corrected already.
        """
        if self.relative:
            raise ValueError("this audience is corrected already")
        if self.baselines is None or not self.baselines.any():
            raise ValueError("no viewer has a baseline; give baselines= to align")
        with_one = self.only(self.baselines.any(axis=1))
        assert with_one.baselines is not None
        change = np.where(with_one.seen[:, :, None], with_one.emotions - with_one.baselines[:, None], np.float32(0))
        return replace(with_one, emotions=change, relative=True)

    def smoothed(self, sigma_s: float) -> "Audience":
        """Each viewer's scores through a Gaussian in time whose standard deviation is `sigma_s` seconds; 0 changes nothing.

        Only cells in which the viewer was seen count, and only they get a value: the mask stays as it is. The Gaussian ends
        at four standard deviations. Raises `ValueError` for less than 0.
        """
        if not 0 <= sigma_s < math.inf:
            raise ValueError(f"smoothing must be 0 s or more, but got {sigma_s}")
        if sigma_s == 0 or not self.emotions.size:
            return self
        sd = min(sigma_s / self.step_s, len(self.times))  # longer than the film is the film's mean in any case
        weight = ndimage.gaussian_filter1d(self.seen.astype(np.float32), sd, axis=1, mode="constant")
        smooth = ndimage.gaussian_filter1d(self.emotions, sd, axis=1, mode="constant")
        # A cell that is seen weighs itself at least; elsewhere the weight may be 0.
        smooth /= np.where(self.seen, weight, 1)[:, :, None]
        smooth[~self.seen] = 0
        return replace(self, emotions=smooth)

    def only(self, viewers: ArrayLike | Sequence[str]) -> "Audience":
        """Some of the viewers: by a (V,) mask, or by names, in that order. Raises `ValueError` for a name that nobody has."""
        given = np.asarray(viewers)
        if given.dtype == np.bool_:
            rows = np.flatnonzero(_fixed(given, "viewers", (len(self),), np.bool_))
        else:
            place = {name: i for i, name in enumerate(self.names)}
            wanted = [str(name) for name in given.reshape(-1)]
            unknown = [name for name in wanted if name not in place]
            if unknown:
                raise ValueError(f"no viewer {unknown[0]!r}; known: {', '.join(self.names) or 'none'}")
            rows = np.array([place[name] for name in wanted], np.int64)
        return replace(
            self,
            names=tuple(self.names[i] for i in rows),
            emotions=self.emotions[rows],
            seen=self.seen[rows],
            looked=self.looked[rows],
            baselines=None if self.baselines is None else self.baselines[rows],
        )


# --- smoothing


def smooth(values: ArrayLike, known: ArrayLike, sd: float, cuts: Sequence[int] = ()) -> NDArray[np.float64]:
    """Curves (…, T) as they are drawn: through a Gaussian with a standard deviation of `sd` cells.

    known  (T,) bool, where there is a value; values elsewhere are neither read nor changed
    cuts   cells at which something else begins, as when many have left: nothing is smoothed over them

    The Gaussian ends at four standard deviations, and at the nearer end of its stretch, on both sides alike: what comes after a
    film's beginning is not told at its beginning, and the first and the last value of a stretch are as measured. That is for the
    eye; for tests `Audience.smoothed` leaves as much noise at an end as elsewhere, or nearly. It is worked out from the curves
    alone, so that who has those learns nothing more from it. Raises `ValueError` for arrays that do not fit each other, and for
    less than 0.
    """
    given = np.asarray(values, np.float64)
    length = given.shape[-1]
    there = _fixed(known, "known", (length,), np.bool_)
    if not 0 <= sd < math.inf:
        raise ValueError(f"sd must be 0 cells or more, but got {sd}")
    cells = np.arange(length)
    begins = np.isin(cells, [0, *cuts]) | ~there | ~np.concatenate([[False], there[:-1]])
    first = np.maximum.accumulate(np.where(begins, cells, 0))
    after = np.minimum.accumulate(np.concatenate([np.where(begins, cells, length)[1:], [length]])[::-1])[::-1] if length else cells
    room = np.where(there, np.minimum(cells - first, after - 1 - cells), 0)
    there_only = np.where(there, given, 0)
    total, weight = there_only.copy(), np.ones(length)
    for far in range(1, min(math.floor(4 * sd), int(room.max(initial=0))) + 1):
        inner = slice(far, length - far)
        share = np.where(room[inner] >= far, math.exp(-0.5 * (far / sd) ** 2), 0)
        total[..., inner] += share * (there_only[..., : -2 * far] + there_only[..., 2 * far :])
        weight[inner] += 2 * share
    return np.asarray(np.where(there, total / weight, given), np.float64)


# --- onto one clock


def _timeline(given: Timeline | str | os.PathLike[str]) -> Timeline:
    if isinstance(given, Timeline):
        return given
    path = Path(given)
    return Timeline.load(path / "timeline.npz" if path.is_dir() else path)


def align(
    timelines: Sequence[Timeline | str | os.PathLike[str]],
    *,
    step_s: float = 0.5,
    start_s: float = 0.0,
    end_s: float | None = None,
    offsets_s: Sequence[float] | None = None,
    tracks: Sequence[int | None] | None = None,
    max_gap_s: float | None = None,
    names: Sequence[str] | None = None,
    baselines: Sequence[ArrayLike | None] | NDArray[Any] | None = None,
) -> Audience:
    """V Timelines, one for each viewer, on one grid of times; also as folders of results (talk.mien) or their timeline.npz.

    step_s     seconds from one time to the next. The cell at t is the mean of the samples in [t − step_s/2, t + step_s/2)
    start_s    the first time        end_s  the last one at most; None: the cell of the last look at anybody
    offsets_s  for each viewer, what to add to the Timeline's time to get the film's
    tracks     for each viewer, the track that is meant. None: the largest face of each frame. So a room is one Timeline V times
    max_gap_s  cells without a sample are filled linearly where the samples around them are at most so far apart. None: twice the
               median interval of that Timeline's looks, or one step where that is longer. Nothing is added before the first and
               after the last sample
    names      of the viewers; None: "1", "2", …
    baselines  for each viewer the K probabilities of the face at rest, in the order of the first Timeline's labels; None without

    A cell counts as looked at where a look falls into it, or where the looks around it are at most `max_gap_s` apart. The scores
    are the raw `emotions`, not the smoothed ones. Raises `ValueError` for no Timelines, for other labels than the first one's, for
    a track that does not occur, and for arguments that do not fit.
    """
    if isinstance(timelines, Timeline | str | os.PathLike):
        raise ValueError(f"timelines must be a list, one for each viewer, but got {timelines!r}")
    read = [_timeline(given) for given in timelines]
    count = len(read)
    if not count:
        raise ValueError("wanted at least one Timeline, but got none")
    if not 0 < step_s < math.inf:
        raise ValueError(f"step_s must be more than 0 s, but got {step_s}")
    if max_gap_s is not None and not 0 <= max_gap_s < math.inf:
        raise ValueError(f"max_gap_s must be 0 s or more, but got {max_gap_s}")
    if not math.isfinite(start_s):
        raise ValueError(f"start_s must be finite, but got {start_s}")
    for name, given in (("offsets_s", offsets_s), ("tracks", tracks), ("names", names), ("baselines", baselines)):
        if given is not None and (isinstance(given, str) or not hasattr(given, "__len__")):
            raise ValueError(f"{name} must be a list with one value for each of the {count} Timelines, but got {given!r}")
        if given is not None and len(given) != count:
            raise ValueError(f"{name} must have one value for each of the {count} Timelines, but has {len(given)}")
    labels = read[0].labels
    for i, timeline in enumerate(read):
        if set(timeline.labels) != set(labels):
            raise ValueError(
                f"Timeline {i + 1} ({timeline.info.name}) has the labels {', '.join(timeline.labels)}, "
                f"the first one {', '.join(labels)}; "
                "mien.labels.convert turns one set into another"
            )
    offsets = [0.0] * count if offsets_s is None else [float(o) for o in offsets_s]
    looks = []
    for i, (timeline, offset) in enumerate(zip(read, offsets, strict=True)):
        at = timeline.times + offset
        if not (np.isfinite(at).all() and np.isfinite(timeline.emotions).all()):
            raise ValueError(f"times, offset and scores of Timeline {i + 1} ({timeline.info.name}) must be finite")
        looks.append(at)
    if end_s is None:
        last = max((float(at.max()) for at in looks if len(at)), default=start_s)
        whole = math.floor((last - start_s + _TICK_S) / step_s + 0.5)
    else:
        if not start_s <= end_s < math.inf:
            raise ValueError(f"end_s must be start_s ({start_s:g} s) or later, but got {end_s}")
        whole = math.floor((end_s - start_s + _TICK_S) / step_s)
    if whole >= _MOST_TIMES:
        raise ValueError(f"{whole + 1:,} times are too many, at most {_MOST_TIMES:,} go; give a longer step_s or an end_s")
    times = np.asarray(start_s + step_s * np.arange(max(whole, 0) + 1), np.float64)

    emotions = np.zeros((count, len(times), len(labels)), np.float32)
    seen = np.zeros((count, len(times)), np.bool_)
    looked = np.zeros_like(seen)
    for i, timeline in enumerate(read):
        at = np.sort(looks[i])
        interval_s = float(np.median(np.diff(at))) if len(at) > 1 else 0.0
        gap_s = max(2 * interval_s, step_s) if max_gap_s is None else max_gap_s
        looked[i] = _counts(at, times, step_s) > 0
        looked[i] |= _between(at, times, gap_s)[0]
        columns = [timeline.labels.index(name) for name in labels]
        rows = _one_face(timeline, None if tracks is None else tracks[i])
        rows = rows[timeline.relied_on[rows]]  # what cannot be read is nobody's reaction
        face_at = looks[i][timeline.frame_rows[rows]]
        order = np.argsort(face_at, kind="stable")
        face_at, scores = face_at[order], timeline.emotions[rows[order]][:, columns]
        held = _counts(face_at, times, step_s)
        for k in range(len(labels)):
            emotions[i, :, k] = _counts(face_at, times, step_s, scores[:, k]) / np.maximum(held, 1)
        fill, before = _between(face_at, times, gap_s)
        fill &= held == 0
        where, before = np.flatnonzero(fill), before[fill]
        if len(where):
            span = face_at[before + 1] - face_at[before]
            part = ((times[where] - face_at[before]) / span)[:, None]
            emotions[i, where] = (1 - part) * scores[before] + part * scores[before + 1]
        seen[i] = fill | (held > 0)
    looked |= seen
    rest = None
    if baselines is not None:
        rest = np.zeros((count, len(labels)), np.float32)
        for i, row in enumerate(baselines):
            if row is not None:
                rest[i] = _fixed(row, f"the baseline of viewer {i + 1}", (len(labels),), np.float32)
    named = tuple(str(i + 1) for i in range(count)) if names is None else tuple(map(str, names))
    return Audience(times, float(step_s), labels, named, emotions, seen, looked, rest)


def _one_face(timeline: Timeline, track: int | None) -> NDArray[np.int64]:
    """The face rows of one person: of the track, or the largest face of each frame."""
    if track is not None:
        return timeline.track(track).rows
    rows = timeline.frame_rows
    area = (timeline.boxes[:, 2] - timeline.boxes[:, 0]) * (timeline.boxes[:, 3] - timeline.boxes[:, 1])
    order = np.lexsort((area, rows))
    last = np.append(rows[order][1:] != rows[order][:-1], True)[: len(rows)]
    return np.asarray(order[last], np.int64)


def _counts(
    at: NDArray[np.float64], times: NDArray[np.float64], step_s: float, weights: NDArray[np.float32] | None = None
) -> NDArray[Any]:
    """(T,) how many of the moments `at` fall into each cell, or the sum of their weights."""
    cell = np.floor((at - times[0] + _TICK_S) / step_s + 0.5)
    inside = (cell >= 0) & (cell < len(times))
    chosen = None if weights is None else weights[inside]
    return np.bincount(cell[inside].astype(np.int64), chosen, minlength=len(times))


def _between(at: NDArray[np.float64], times: NDArray[np.float64], gap_s: float) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """(T,) which times lie between two moments that are at most `gap_s` apart, and the position of the one before."""
    if len(at) < 2:
        return np.zeros(len(times), np.bool_), np.zeros(len(times), np.int64)
    before = np.searchsorted(at, times, side="right") - 1
    inside = (before >= 0) & (before < len(at) - 1)
    before = np.clip(before, 0, len(at) - 2)
    return inside & (at[before + 1] - at[before] <= gap_s + _TICK_S), before


# --- the mean and its interval


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A signal's mean over viewers through time, with its interval.

    times  (T,) seconds        mean, low, high  (T,) float64, low <= mean <= high; all 0 where nobody was seen
    n      (T,) int64, how many viewers were seen: the mask
    level  of the interval, at each time by itself
    """

    signal: str
    times: NDArray[np.float64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n: NDArray[np.int64]
    level: float

    def __post_init__(self) -> None:
        t = (len(self.times),)
        floats = {name: (getattr(self, name), t, np.float64) for name in ("times", "mean", "low", "high")}
        _freeze(self, n=(self.n, t, np.int64), **floats)


def mean_curve(audience: Audience, signal: str, *, level: float = 0.95, draws: int = 1000, seed: int = 0) -> Curve:
    """A signal's mean over the viewers seen at each time, with a bootstrap interval over viewers. See `mean_curves`."""
    audience.limits(signal)
    return _curves(audience, (signal,), level, draws, seed)[signal]


def mean_curves(audience: Audience, *, level: float = 0.95, draws: int = 1000, seed: int = 0) -> dict[str, Curve]:
    """Of every label and the valence: the mean over the viewers seen at each time, with its interval. All share their draws.

    Whole viewers are drawn with replacement, `draws` times. The interval is the bootstrap-t (Efron & Tibshirani 1993, chapter 12),
    which covers skewed scores of few viewers better than percentiles do. A draw's own standard error counts as at least a third of
    the whole audience's: draws of one viewer several times would have none, and make the interval endless. Each end lies at least
    as far out as that of Student's interval, which is the better one for very few viewers and for symmetric scores with outliers.
    No end leaves the range of the signal. One viewer says nothing about others: its interval is all of that range. Viewers who are
    all alike give an interval of no width.

    Raises `ValueError` unless 0 < level < 1 and draws >= 1.
    """
    return _curves(audience, audience.signals, level, draws, seed)


def _curves(audience: Audience, signals: Sequence[str], level: float, draws: int, seed: int) -> dict[str, Curve]:
    _check(level=level, draws=draws)
    weights = _drawn(len(audience), draws, seed)
    n = audience.seen.sum(axis=0)
    values, limits = [audience.signal(name) for name in signals], [audience.limits(name) for name in signals]
    found = _intervals(values, audience.seen, weights, level, limits)
    return {
        name: Curve(name, audience.times, mean, low, high, n, level) for name, (mean, low, high) in zip(signals, found, strict=True)
    }


def _check(*, level: float = 0.95, draws: int = 1, shifts: int = 1) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, but got {level}")
    if draws < 1 or shifts < 1:
        raise ValueError(f"draws and shifts must be at least 1, but got {min(draws, shifts)}")


def _drawn(count: int, draws: int, seed: int) -> NDArray[np.float32]:
    """(draws, V) how often each of `count` viewers is in each bootstrap sample."""
    if not count:
        return np.zeros((draws, 0), np.float32)
    picked = np.random.default_rng(seed).integers(0, count, size=(draws, count)) + count * np.arange(draws)[:, None]
    return np.bincount(picked.ravel(), minlength=draws * count).reshape(draws, count).astype(np.float32)


def _intervals(
    signals: Sequence[NDArray[np.floating]],
    seen: NDArray[np.bool_],
    weights: NDArray[np.float32],
    level: float,
    limits: Sequence[tuple[float, float]],
) -> list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]:
    """Of each signal the mean, low and high (T,) of values (V, T) over the viewers seen; values are 0 where not seen."""
    n = seen.sum(axis=0)
    counted = np.maximum(n, 1)
    means = [values.sum(axis=0, dtype=np.float64) / counted for values in signals]
    # About the mean: float32 then has all its digits for the differences.
    spreads = [np.where(seen, values - mean, 0).astype(np.float32) for values, mean in zip(signals, means, strict=True)]
    errors = [np.sqrt((one.astype(np.float64) ** 2).sum(axis=0) / np.maximum(n - 1, 1) / counted) for one in spreads]
    tail = (1 - level) / 2
    ends = np.zeros((len(signals), 2, len(n)))
    chunk = max(1, _CACHE_BYTES // (8 * len(weights)))
    for start in range(0, len(n), chunk):
        part = slice(start, start + chunk)
        drawn = np.maximum(seen[:, part].T.astype(np.float32) @ weights.T, 1)
        freedom = np.maximum(drawn - 1, 1)
        for spread, error, end in zip(spreads, errors, ends, strict=True):
            rows = spread[:, part].T
            moved = rows @ weights.T
            moved /= drawn
            own = (rows * rows) @ weights.T
            own /= drawn
            own -= moved * moved
            own /= freedom
            least = np.float32(_DAMPED) * error[part, None].astype(np.float32)
            # Where all are alike nothing moves, whatever it is divided by; so small an error has no square in float32.
            moved /= np.where(least > 1e-18, np.sqrt(np.maximum(own, least * least, out=own), out=own), 1)
            moved.sort(axis=1)
            end[:, part] = _quantiles_of_sorted(moved, (1 - tail, tail))
    found = []
    for mean, error, end, (lowest, highest) in zip(means, errors, ends, limits, strict=True):
        low, high = mean - end * error
        student = special.stdtrit(np.maximum(n - 1, 1), 1 - tail) * error
        low, high = np.minimum(low, mean - student), np.maximum(high, mean + student)
        low, high = np.where(n == 1, lowest, low), np.where(n == 1, highest, high)
        low, high = np.clip(np.minimum(low, mean), lowest, highest), np.clip(np.maximum(high, mean), lowest, highest)
        found.append((mean, np.where(n, low, 0), np.where(n, high, 0)))
    return found


def _quantiles_of_sorted(rows: NDArray[np.float32], shares: Sequence[float]) -> list[NDArray[np.float64]]:
    """The same as `np.quantile(rows, shares, axis=1)`, which would sort once more."""
    found = []
    for share in shares:
        place = share * (rows.shape[1] - 1)
        below = min(int(place), max(rows.shape[1] - 2, 0))
        low, high = rows[:, below].astype(np.float64), rows[:, min(below + 1, rows.shape[1] - 1)]
        found.append(low + (high - low) * (place - below))
    return found


# --- viewers shifted against each other: what chance alone would give


def _centred(values: NDArray[np.float32], seen: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Each viewer's values minus the own mean, 0 where not seen; and who moves at all (V,)."""
    n = np.maximum(seen.sum(axis=1), 1)
    mean = values.sum(axis=1, dtype=np.float64) / n
    centred = np.where(seen, values - mean[:, None], 0).astype(np.float32)
    moves = np.sqrt((centred.astype(np.float64) ** 2).sum(axis=1) / n) > _STILL
    return centred, moves


def shifted_viewers(values: NDArray[np.float32], shifts: int, seed: int) -> Iterator[list[NDArray[np.float32]]]:
    """So many times, values (V, S, T) with each viewer moved round in time by a distance of its own: V views (S, T).

    Every distance is as likely as every other, none at all included. To leave out the small ones looks prudent and is wrong: what
    was found is itself a distance of 0, and its neighbours, which a slow signal makes alike, are what it must be compared with.
    """
    count, _, length = values.shape
    rng = np.random.default_rng(seed)
    twice = np.concatenate([values, values], axis=2)
    for _ in range(shifts):
        places = np.asarray(rng.integers(0, length, size=count), np.int64)
        yield [rows[:, place : place + length] for rows, place in zip(twice, places, strict=True)]


def _added(rows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The sum of arrays of one shape."""
    total = rows[0].copy()
    for row in rows[1:]:
        total += row
    return total


@dataclass(frozen=True, slots=True, eq=False)
class Synchrony:
    """How much viewers move together: inter-subject correlation (ISC), each against the mean of the others.

    isc                 mean over the viewers counted, in [-1, 1]; 0 where nobody counts
    viewers             (V,) each one's own; 0 where not counted
    counted             (V,) bool: seen together with others at three times or more, and moved
    null_low, null_high where the mean lies, at `level`, when the same viewers are shifted in time against each other
    p                   share of the shifted that have at least this isc, (1 + k) / (1 + shifts): never 0, one-sided
    times, values       (W,) middles of windows, and the mean ISC within each; 0 where nobody counts
    low, high           (W,) the band of the shifted, for each window by itself
    n                   (W,) int64, how many viewers count in the window: the mask
    window_s, hop_s     as used: whole cells
    """

    signal: str
    isc: float
    viewers: NDArray[np.float64]
    counted: NDArray[np.bool_]
    null_low: float
    null_high: float
    p: float
    times: NDArray[np.float64]
    values: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n: NDArray[np.int64]
    window_s: float
    hop_s: float
    shifts: int
    level: float

    def __post_init__(self) -> None:
        v, w = (len(self.viewers),), (len(self.times),)
        floats = {name: (getattr(self, name), w, np.float64) for name in ("times", "values", "low", "high")}
        _freeze(
            self,
            viewers=(self.viewers, v, np.float64),
            counted=(self.counted, v, np.bool_),
            n=(self.n, w, np.int64),
            **floats,
        )


def synchrony(
    audience: Audience,
    signal: str = VALENCE,
    *,
    window_s: float | None = 30.0,
    hop_s: float = 5.0,
    shifts: int = 200,
    seed: int = 0,
    level: float = 0.95,
) -> Synchrony:
    """Inter-subject correlation of the whole film and in windows, and what chance alone would give.

    window_s  seconds of a window; None leaves windows out        hop_s  seconds from one window to the next
    shifts    how often viewers are shifted

    Each viewer is correlated (Pearson) with the mean of the others over the times at which both are there (Hasson et al. 2004;
    leave-one-out as in Nastase et al. 2019). Each viewer's own mean is taken off first, so that somebody's coming and going does
    not count as movement; without gaps that changes nothing.

    The null: every viewer is moved round the film by a distance of its own, gaps and all. So each keeps its own pace
    (autocorrelation), and only being together is lost; all distances are equally likely, see `shifted_viewers`. In windows the null
    is the same at every time, but for the number of viewers, so its windows are pooled: 10,000 of them or `shifts` films, each
    scaled by the root of its number of viewers.

    Raises `ValueError` for an unknown signal, a level outside (0, 1), and windows of no length.
    """
    audience.limits(signal)
    return synchronies(audience, (signal,), window_s=window_s, hop_s=hop_s, shifts=shifts, seed=seed, level=level)[signal]


def synchronies(
    audience: Audience,
    signals: Sequence[str] | None = None,
    *,
    window_s: float | None = 30.0,
    hop_s: float = 5.0,
    shifts: int = 200,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Synchrony]:
    """`synchrony` of several signals, of all where none are named: the same in less time, for they share their shifts."""
    _check(level=level, shifts=shifts)
    if not hop_s > 0 or (window_s is not None and not window_s > 0):
        raise ValueError(f"window_s and hop_s must be more than 0 s, but got {window_s} and {hop_s}")
    names = audience.signals if signals is None else tuple(dict.fromkeys(signals))
    seen = audience.seen
    count, t = seen.shape
    centred = [_centred(audience.signal(name), seen) for name in names]
    # Who does not move counts for nothing as a viewer, but still for what the others saw.
    moves = np.array([moving for _, moving in centred], np.bool_).reshape(len(names), count)
    rows = np.stack([*(values for values, _ in centred), seen.astype(np.float32)], axis=1)
    del centred
    isc, counted = _against_others(list(rows), moves)
    step = audience.step_s
    hop = min(max(1, round(hop_s / step)), max(t, 1))
    window = min(max(3, round((window_s or 0) / step)), t)
    starts = np.arange(0, t - window + 1, hop) if window_s is not None and t else np.zeros(0, np.int64)
    null = np.zeros((shifts, len(names)))
    pooled: list[list[NDArray[np.float64]]] = [[] for _ in names]
    enough = min(shifts, max(10, math.ceil(_POOLED / len(starts)))) if len(starts) else 0
    for i, views in enumerate(shifted_viewers(rows, shifts, seed) if counted.any() else ()):
        null[i] = _mean_of(*_against_others(views, moves))
        if i < enough:
            *shifted, there = np.stack(views, axis=1)
            for values, some in zip(shifted, pooled, strict=True):
                local, n = _in_windows(values, there > 0, starts, window)
                some.append((local * np.sqrt(n))[n > 0])
    none = np.zeros(len(starts))
    middles = (audience.times[starts] + audience.times[starts + window - 1]) / 2 if len(starts) else none
    tail = (1 - level) / 2
    found = {}
    for k, (name, mean) in enumerate(zip(names, _mean_of(isc, counted).tolist(), strict=True)):
        null_low, null_high, p, low, high = 0.0, 0.0, 1.0, none, none
        local, n = _in_windows(rows[:, k], seen, starts, window)
        if counted[k].any():
            # Weibull's quantiles: one more audience of strangers lies between them as often as `level` says, also for few shifts.
            null_low, null_high = (float(q) for q in np.quantile(null[:, k], (tail, 1 - tail), method="weibull"))
            p = _p(null[:, k], mean)
            chance = np.concatenate([none[:0], *pooled[k]])
            if len(chance):
                root = np.sqrt(np.maximum(n, 1))
                low, high = (np.where(n, np.clip(q / root, -1, 1), 0) for q in np.quantile(chance, (tail, 1 - tail)))
        found[name] = Synchrony(
            name,
            mean,
            isc[k],
            counted[k],
            null_low,
            null_high,
            p,
            middles,
            local,
            low,
            high,
            n,
            window * step,
            hop * step,
            shifts,
            level,
        )
    return found


def _mean_of(isc: NDArray[np.float64], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(S,) means over those who count of (S, V); 0 where nobody does."""
    return np.asarray(isc.sum(axis=1) / np.maximum(counted.sum(axis=1), 1), np.float64)


def _p(null: NDArray[np.float64], found: float) -> float:
    """The share of the null at or above what was found, which counts as one of them (Phipson & Smyth 2010)."""
    return float((1 + np.count_nonzero(null >= found - 1e-9)) / (1 + len(null)))


def _against_others(rows: Sequence[NDArray[np.float32]], moves: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(S, V) the correlation of each viewer with the mean of the others, signal by signal, and who counts.

    rows   for each viewer (S + 1, T): of each signal the centred values, 0 where not seen, and where seen as 0 and 1
    moves  (S, V), who moves at all

    The mean of the others at t is (total − x) / (n − 1). Multiplied out, every sum over time is a product of the viewers' rows with
    vectors that all share, which is a matrix product and needs no (V, T) of others. Parts of the film stay in the cache.
    """
    signals, count = moves.shape
    if not count:
        return np.zeros(moves.shape), moves
    length = rows[0].shape[1]
    chunk = max(1, min(length, _CACHE_BYTES // (4 * (signals + 1) * count)))
    held = np.empty((signals + 1, count, chunk), np.float32)
    of_seen, of_x, of_xx = np.zeros((count, 1 + 2 * signals)), np.zeros((signals, count, 4)), np.zeros((signals, count, 3))
    for start in range(0, length, chunk):
        part = held[:, :, : length - start]
        for i, row in enumerate(rows):
            part[:, i] = row[:, start : start + chunk]
        *_, n = total = part.sum(axis=1)
        shared = (n > 1).astype(np.float32)
        r = shared / np.maximum(n - 1, 1)
        rs = r * total[:-1]
        x, seen = part[:-1], part[-1]
        of_seen += seen @ np.concatenate([shared[None], rs, rs * rs]).T
        of_x += x @ np.stack(np.broadcast_arrays(shared, rs, r, r * rs), axis=2)
        of_xx += (x * x) @ np.stack([shared, r, r * r], axis=1)
    y_all, yy_all = of_seen[:, 1:].T.reshape(2, signals, count)
    sum_x, xy_all, x_r, x_r_rs = np.moveaxis(of_x, 2, 0)
    xx, xx_r, xx_r2 = np.moveaxis(of_xx, 2, 0)
    return _correlation(of_seen[:, 0], sum_x, y_all - x_r, xx, yy_all - 2 * x_r_rs + xx_r2, xy_all - xx_r, moves)


def _correlation(
    count: Any, x: Any, y: Any, xx: Any, yy: Any, xy: Any, moves: Any = True
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Pearson's of sums, 0 where it is not defined, and where it is: three cells or more, and both sides move."""
    n = np.maximum(count, 1)
    vx, vy, cov = xx - x * x / n, yy - y * y / n, xy - x * y / n
    fine = (count > 2.5) & (vx > n * _STILL**2) & (vy > n * _STILL**2) & moves
    r = np.where(fine, cov / np.sqrt(np.where(fine, vx * vy, 1)), 0)
    return np.clip(r, -1, 1), fine


def _in_windows(
    values: NDArray[np.float32], seen: NDArray[np.bool_], starts: NDArray[np.int64], window: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(W,) the mean correlation with the others within windows of cells, and (W,) how many viewers that is the mean of."""
    if not len(starts) or not len(values):
        return np.zeros(len(starts)), np.zeros(len(starts), np.int64)
    n = seen.sum(axis=0)
    total = values.sum(axis=0, dtype=np.float64)
    result, counts = np.zeros(len(starts)), np.zeros(len(starts), np.int64)
    for k in range(0, len(values), _BLOCK):
        own = values[k : k + _BLOCK].astype(np.float64)
        both = seen[k : k + _BLOCK] & (n > 1)
        x, y = np.where(both, own, 0), np.where(both, (total - own) / np.maximum(n - 1, 1), 0)
        sums = np.zeros((6, len(own), values.shape[1] + 1))
        for i, part in enumerate((both, x, y, x * x, y * y, x * y)):
            np.cumsum(part, axis=1, out=sums[i, :, 1:])
        r, fine = _correlation(*(sums[:, :, starts + window] - sums[:, :, starts]))
        result += r.sum(axis=0)
        counts += fine.sum(axis=0)
    return result / np.maximum(counts, 1), counts


# --- moments


@dataclass(frozen=True, slots=True)
class Moment:
    """A time at which the audience's mean stands out from what the same viewers give when they are shifted in time.

    direction       "peak" or "dip"        time_s  of the highest (lowest) mean
    start_s, end_s  around it, where the mean is at least half as far from the film's mean
    value, rise     the mean at time_s, and that minus the film's mean (negative in a dip)
    low, high       the interval, over viewers, of how far they rose above their own means of the film, at `level`
    threshold       what the value had to exceed
    p               of a shifted audience having anything as far out, at any time, in any of the signals asked for: never 0, and in
                    need of no other correction
    rose            names of the viewers in whom it rose (fell, in a dip); share  their share of those seen meanwhile
    """

    signal: str
    direction: str
    time_s: float
    start_s: float
    end_s: float
    value: float
    threshold: float
    rise: float
    low: float
    high: float
    p: float
    rose: tuple[str, ...]
    share: float


def moments(
    audience: Audience,
    *,
    signals: Sequence[str] | None = None,
    shifts: int = 200,
    level: float = 0.95,
    most: int = 12,
    min_apart_s: float = 5.0,
    highest: bool = False,
    draws: int = 1000,
    seed: int = 0,
) -> list[Moment]:
    """The moments that stand out, those furthest out first kept, in order of time.

    signals      which ones to look through; None: every label but "neutral", and the valence, of which also dips are looked for
    level        in audiences whose viewers have nothing in common, this share has no moment at all, in any of the signals
    most         how many at most        min_apart_s  between two moments of one signal and direction
    highest      of each signal and direction also the highest point beside its moments, with a p above 1 − level and within its
                 threshold. So it can be told why a point of 30 % is no moment where one of 28 % is: its signal moves more by itself
    draws        of the bootstrap for the interval

    Viewers are shifted as in `synchrony`. At each time the distance of the mean from the film's is multiplied by the root of the
    number of viewers seen, so that a mean of few does not stand out for that alone. The largest of each shifted audience makes the
    null (maximum statistic, Nichols & Holmes 2002), signal by signal; signals are brought onto one scale by the median and the
    quartiles of their largest, and the threshold is taken from the largest of all. Times at which fewer than a quarter of the most
    viewers are seen are left out, and so are audiences of one.

    A signal rose in a viewer whose own mean meanwhile lies above the own mean of the film by at least half of the audience's rise,
    and by half of the own standard deviation. Raises `ValueError` for unknown signals and a level outside (0, 1).
    """
    _check(level=level, draws=draws, shifts=shifts)
    if most < 0 or not min_apart_s >= 0:
        raise ValueError(f"most and min_apart_s must be 0 or more, but got {most} and {min_apart_s}")
    names = [s for s in audience.signals if s != "neutral"] if signals is None else list(dict.fromkeys(signals))
    for name in names:
        audience.limits(name)
    seen = audience.seen
    n = seen.sum(axis=0)
    fewest = max(2, math.ceil(_SHARE_SEEN * n.max(initial=0)))
    if n.max(initial=0) < fewest or not names:
        return []
    values = [audience.signal(name) for name in names]
    overall = [float(one.sum(dtype=np.float64) / seen.sum()) for one in values]
    root = np.sqrt(np.maximum(n, 1))
    # One signal after the other, as all at once would take much memory; the same seed shifts them alike.
    there = np.array([_added(views)[0] for views in shifted_viewers(seen[:, None].astype(np.float32), shifts, seed)], np.float64)
    moved_root = np.sqrt(np.maximum(there, 1))
    means, families, far, nulls = [], [], [], []
    for i, name in enumerate(names):
        centred = np.where(seen, values[i] - np.float32(overall[i]), np.float32(0))
        means.append(centred.sum(axis=0, dtype=np.float64) / np.maximum(n, 1))  # against the film's
        moved = np.array([_added(views)[0] for views in shifted_viewers(centred[:, None], shifts, seed)], np.float64) / moved_root
        for sign in (1, -1) if name == VALENCE else (1,):
            families.append((i, sign))
            far.append(np.where(n >= fewest, sign * centred.sum(axis=0).astype(np.float64) / root, -np.inf))
            nulls.append(np.max(sign * moved, axis=1, where=there >= fewest, initial=-np.inf))
    null = np.stack(nulls, axis=1)
    null = np.where(np.isfinite(null), null, 0)  # shifted so that nowhere enough are seen
    centre = np.median(null, axis=0)
    scale = np.subtract(*np.quantile(null, (0.75, 0.25), axis=0))
    alive = scale > _STILL / 10
    scale = np.where(alive, scale, 1)
    largest = np.where(alive, (null - centre) / scale, -np.inf).max(axis=1)
    if not alive.any():
        return []
    limit = float(np.quantile(largest, level, method="higher"))

    out: list[tuple[float, Moment]] = []
    within: list[Moment] = []
    weights = _drawn(len(audience), draws, seed)
    apart_cells = max(1, round(min_apart_s / audience.step_s))
    for f in np.flatnonzero(alive):
        i, sign = families[f]
        height = (far[f] - centre[f]) / scale[f]
        mean = means[i]
        own, _ = _centred(values[i], seen)
        standing = _peaks(height, sign * mean, limit, apart_cells, n > 0)
        rest = height.copy()
        for _, start, end in standing:
            rest[max(0, start - apart_cells) : end + apart_cells + 1] = -np.inf
        tallest = int(rest.argmax())
        beside = [(tallest, tallest, tallest)] if highest and -np.inf < rest[tallest] <= limit else []
        for peak, start, end in standing + beside:
            rise = float(mean[peak])
            at = slice(peak, peak + 1)
            reach = 2 * (audience.limits(names[i])[1] - audience.limits(names[i])[0])
            ((_, low, high),) = _intervals([own[:, at]], seen[:, at], weights, level, [(-reach, reach)])
            bound = sign * (centre[f] + limit * scale[f]) / math.sqrt(n[peak])
            rose, met = _rose(values[i], seen, slice(start, end + 1), rise)
            times = audience.times
            moment = Moment(
                names[i],
                "peak" if sign > 0 else "dip",
                float(times[peak]),
                float(times[start]),
                float(times[end]),
                float(overall[i] + rise),
                float(overall[i] + bound),
                rise,
                float(low[0]),
                float(high[0]),
                _p(largest, float(height[peak])),
                tuple(audience.names[v] for v in np.flatnonzero(rose)),
                float(rose.sum() / max(met.sum(), 1)),
            )
            if height[peak] > limit:
                out.append((float(height[peak]), moment))
            else:
                within.append(moment)
    out.sort(key=lambda pair: -pair[0])
    return sorted([*(moment for _, moment in out[:most]), *within], key=lambda m: (m.time_s, m.signal))


def _peaks(
    height: NDArray[np.float64], mean: NDArray[np.float64], limit: float, apart: int, there: NDArray[np.bool_]
) -> list[tuple[int, int, int]]:
    """(peak, start, end) cells of what stands above `limit`, highest first; start and end at half height; none overlap."""
    found: list[tuple[int, int, int]] = []
    for peak in np.argsort(-height, kind="stable").tolist():
        if not height[peak] > limit:
            break
        if any(start <= peak <= end or abs(peak - other) < apart for other, start, end in found):
            continue
        above = there & (mean >= mean[peak] / 2)
        start = end = peak
        while start > 0 and above[start - 1]:
            start -= 1
        while end < len(mean) - 1 and above[end + 1]:
            end += 1
        # On the slope of a higher one, or within half of its height: the same moment.
        if not any(first <= end and start <= last for _, first, last in found):
            found.append((peak, start, end))
    return found


def _rose(
    values: NDArray[np.float32], seen: NDArray[np.bool_], span: slice, rise: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(V,) in whom a signal rose within a span of cells (fell, where rise is negative), and who was seen there at all."""
    centred, _ = _centred(values, seen)
    sd = np.sqrt((centred.astype(np.float64) ** 2).sum(axis=1) / np.maximum(seen.sum(axis=1), 1))
    count = seen[:, span].sum(axis=1)
    own = math.copysign(1, rise) * centred[:, span].sum(axis=1, dtype=np.float64) / np.maximum(count, 1)
    there = count > 0
    return there & (own >= abs(rise) / 2) & (own >= sd / 2) & (sd > _STILL), there


# --- markers, groups, answers


@dataclass(frozen=True, slots=True)
class Effect:
    """A signal before and after a marker, over the n viewers seen on both sides; all 0 and p 1 where there are none.

    before, after  means over these viewers of their own means      difference  after minus before, in [low, high] at `level`
    p              two-sided, of a difference at least as large where each viewer's change might as well have been the other way
    """

    signal: str
    time_s: float
    before: float
    after: float
    difference: float
    low: float
    high: float
    p: float
    n: int
    level: float


def marker_effect(
    audience: Audience,
    signal: str,
    time_s: float,
    *,
    before_s: float = 5.0,
    after_s: float = 5.0,
    end_s: float | None = None,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> Effect:
    """What changed at a moment that somebody has marked beforehand ("the joke").

    Before is [time_s − before_s, time_s), after is [time_s, time_s + after_s), or [time_s, end_s) where the marker has an end; each
    is at least one cell long. The interval is that of `mean_curves`, of each viewer's own difference. p is by sign flips: all of
    them up to 12 viewers, else 10,000 (Fisher's randomisation for pairs; Good 2005). It is honest for a marker that was set before
    the curves were seen, and says nothing of why. Raises `ValueError` for an unknown signal and spans that do not last.
    """
    audience.limits(signal)
    return _effects(audience, (signal,), time_s, before_s, after_s, end_s, level, draws, seed)[signal]


def marker_effects(
    audience: Audience,
    time_s: float,
    *,
    before_s: float = 5.0,
    after_s: float = 5.0,
    end_s: float | None = None,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, Effect]:
    """`marker_effect` of every label and the valence, which share their draws and flips."""
    return _effects(audience, audience.signals, time_s, before_s, after_s, end_s, level, draws, seed)


def _effects(
    audience: Audience,
    signals: Sequence[str],
    time_s: float,
    before_s: float,
    after_s: float,
    end_s: float | None,
    level: float,
    draws: int,
    seed: int,
) -> dict[str, Effect]:
    _check(level=level, draws=draws)
    if not (before_s > 0 and after_s > 0 and math.isfinite(time_s)):
        raise ValueError(
            f"before_s and after_s must be more than 0 s and time_s finite, but got {before_s}, {after_s} and {time_s}"
        )
    if end_s is not None and not end_s >= time_s:
        raise ValueError(f"end_s must be time_s ({time_s:g} s) or later, but got {end_s}")
    step = audience.step_s
    until = max(time_s + after_s if end_s is None else end_s, time_s + step)
    near = (audience.times > time_s - max(before_s, step) - step) & (audience.times < until)
    audience = _at(audience, near)
    times = audience.times + _TICK_S
    spans = ((times >= time_s - max(before_s, step)) & (times < time_s), (times >= time_s) & (times < until))
    counts = [audience.seen[:, span].sum(axis=1) for span in spans]
    both = (counts[0] > 0) & (counts[1] > 0)
    n = int(both.sum())
    if not n:
        return {name: Effect(name, float(time_s), 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0, level) for name in signals}
    values = [audience.signal(name)[both] for name in signals]
    before, after = (
        np.array([one[:, span].sum(axis=1, dtype=np.float64) / counted[both] for one in values])
        for span, counted in zip(spans, counts, strict=True)
    )
    change = after - before
    widest = [highest - lowest for lowest, highest in map(audience.limits, signals)]
    everybody = np.ones((n, 1), np.bool_)
    ends = _intervals(list(change[:, :, None]), everybody, _drawn(n, draws, seed), level, [(-most, most) for most in widest])
    return {
        name: Effect(
            name, float(time_s), float(b.mean()), float(a.mean()), float(mean[0]), float(low[0]), float(high[0]), p, n, level
        )
        for name, b, a, (mean, low, high), p in zip(signals, before, after, ends, _flipped(change, seed), strict=True)
    }


def _at(audience: Audience, times: NDArray[np.bool_]) -> Audience:
    """The same viewers at some of the times, (T,)."""
    parts = {name: getattr(audience, name)[:, times] for name in ("emotions", "seen", "looked")}
    return replace(audience, times=audience.times[times], **parts)


def _flipped(changes: NDArray[np.float64], seed: int) -> list[float]:
    """Two-sided p of the mean of differences (S, n) whose signs might as well have been the other way, of each row."""
    n = changes.shape[1]
    found = np.abs(changes.sum(axis=1)) - 1e-9
    if n <= 12:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return [float(share) for share in np.mean(np.abs(signs @ changes.T) >= found, axis=0)]  # what was found is one of them
    signs = 1 - 2 * np.random.default_rng(seed).integers(0, 2, size=(10_000, n), dtype=np.int8)
    return [_p(null, least) for null, least in zip(np.abs(signs @ changes.T).T, found.tolist(), strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """Two groups' curves, first minus second.

    groups       the two values            n  (2, T) int64, how many of each were seen
    difference   (T,) float64, 0 where one of the groups was not seen
    low, high    (T,) the band in which all of it stays, at `level`, where the group does not matter; 0 where not tested
    tested       (T,) bool, at least two viewers of each were seen
    p            of a difference that stands out as much anywhere in the film, never 0
    """

    signal: str
    groups: tuple[Any, Any]
    times: NDArray[np.float64]
    n: NDArray[np.int64]
    difference: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    tested: NDArray[np.bool_]
    p: float
    level: float

    def __post_init__(self) -> None:
        t = (len(self.times),)
        floats = {name: (getattr(self, name), t, np.float64) for name in ("times", "difference", "low", "high")}
        _freeze(self, n=(self.n, (2, *t), np.int64), tested=(self.tested, t, np.bool_), **floats)

    @property
    def outside(self) -> NDArray[np.bool_]:
        """(T,) where the groups differ by more than the band."""
        return self.tested & ((self.difference > self.high) | (self.difference < self.low))


def _pairs(groups: NDArray[Any], people: NDArray[Any] | None) -> NDArray[np.intp]:
    """(P, 2) the places of each of P people who stand in both groups. Raises `ValueError` for who stands in one twice."""
    found: dict[Hashable, list[int]] = {}
    for place, person in enumerate(() if people is None else people):
        found.setdefault(person, []).append(place)
    for person, places in found.items():
        if len({groups[place] for place in places}) < len(places):
            raise ValueError(f"people: wanted each once in a group, but {person!r} stands in one twice")
    return np.array([places for places in found.values() if len(places) == 2], np.intp).reshape(-1, 2)


def compare(
    audience: Audience,
    groups: Sequence[Hashable],
    signal: str,
    *,
    people: Sequence[Hashable] | None = None,
    smoothing_cells: float = 0.0,
    cuts: Sequence[int] = (),
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> Difference:
    """Where two groups of viewers differ.

    groups           for each viewer the value of its group; None for those of neither. Two values must occur; the first is first
    people           for each viewer who it is, where somebody stands in both groups, as who saw two cuts of a film: once in each
    smoothing_cells  the difference is smoothed, and so are those it is compared with; see `smooth`, which the cuts go to as well

    Viewers are dealt to the groups anew, `draws` times; who stands in both changes sides with herself or not. The largest
    difference anywhere, measured in its standard error, makes the band, so that a film in which the groups are alike is inside of
    it from beginning to end in `level` of all cases (maximum statistic, Nichols & Holmes 2002). The spread of viewers at a time,
    with the film's mean spread added so that a moment in which nobody moves does not count as certainty, gives the standard error.
    Raises `ValueError` for groups and people that do not fit, and for an unknown signal.
    """
    _check(level=level, draws=draws)
    audience.limits(signal)
    if len(groups) != len(audience):
        raise ValueError(f"groups must have one value for each of the {len(audience)} viewers, but has {len(groups)}")
    kinds = [kind for kind in dict.fromkeys(groups) if kind is not None]
    if len(kinds) != 2:
        raise ValueError(
            f"two groups can be compared, but got {len(kinds)}: {', '.join(map(str, kinds)) or 'none'}; give None for others"
        )
    member = np.array([kind is not None for kind in groups], np.bool_)
    first = np.array([kind == kinds[0] for kind in groups], np.bool_)[member]
    values, seen = audience.signal(signal)[member], audience.seen[member]
    there = seen.sum(axis=0)
    mean = values.sum(axis=0, dtype=np.float64) / np.maximum(there, 1)
    spread = np.where(seen, values - mean, 0).astype(np.float32)
    sd = np.sqrt((spread.astype(np.float64) ** 2).sum(axis=0) / np.maximum(there - 1, 1))
    sd += sd[there > 1].mean() if (there > 1).any() else 0.0
    mask = seen.astype(np.float32)
    both = (first[:, None] & seen).any(axis=0) & (~first[:, None] & seen).any(axis=0)

    def parted(rows: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
        """(D, T) differences, their standard errors, and how many are in the first and in the second group."""
        one = rows.astype(np.float32)
        n1 = np.rint(one @ mask).astype(np.int64)
        n2 = there - n1
        sum1 = (one @ spread).astype(np.float64)
        sum2 = spread.sum(axis=0, dtype=np.float64) - sum1
        gap = np.where((n1 > 0) & (n2 > 0), sum1 / np.maximum(n1, 1) - sum2 / np.maximum(n2, 1), 0)
        gap = smooth(gap, both, smoothing_cells, cuts)
        return gap, sd * np.sqrt(1 / np.maximum(n1, 1) + 1 / np.maximum(n2, 1)), n1, n2

    def against_error(rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        gap, error, n1, n2 = parted(rows)
        fine = (n1 > 1) & (n2 > 1) & (error > _STILL)
        return np.asarray(np.where(fine, np.abs(gap) / np.where(fine, error, 1), 0), np.float64)

    rng = np.random.default_rng(seed)
    pairs = _pairs(np.array(groups, object)[member], None if people is None else np.array(people, object)[member])
    lone = np.setdiff1d(np.arange(len(first)), pairs)
    dealt = np.tile(first, (draws, 1))
    for row in dealt:
        row[lone] = rng.permutation(first[lone])
        row[pairs] ^= (rng.random((len(pairs), 1)) < 0.5) if len(pairs) else False
    # Smoothing leaves more noise at ends and cuts than elsewhere: what comes out there by chance must not be the bound for all.
    left = np.ones(len(there))
    if smoothing_cells:
        left = np.sqrt(np.mean(against_error(dealt[:_LEFT_DRAWS]) ** 2, axis=0))
        left = np.maximum(left, left.max(initial=0) / 100)
        left[left == 0] = 1

    def largest(rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.asarray((against_error(rows) / left).max(axis=1, initial=0), np.float64)

    chunk = max(1, _CACHE_BYTES // (32 * max(len(there), 1)))
    null = np.concatenate([largest(dealt[k : k + chunk]) for k in range(0, draws, chunk)])
    gap, error, n1, n2 = (row[0] for row in parted(first[None]))
    tested = (n1 > 1) & (n2 > 1)
    limit = float(np.quantile(null, level, method="higher"))
    band = np.where(tested, limit * error * left + 1e-9, 0)
    p = _p(null, float(largest(first[None])[0]))
    return Difference(signal, (kinds[0], kinds[1]), audience.times, np.stack([n1, n2]), gap, -band, band, tested, p, level)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How what people report goes with what their faces showed; None where it is not defined.

    n          pairs of which both sides are known          rho  Spearman's rank correlation, in [low, high] at `level`
    ccc        Lin's concordance: 1 only where both are the same numbers; means something only where both have the same scale
    reported_mean, expressed_mean
    """

    n: int
    rho: float | None
    low: float | None
    high: float | None
    ccc: float | None
    reported_mean: float | None
    expressed_mean: float | None
    level: float


def agreement(
    reported: Sequence[float | None],
    expressed: Sequence[float | None],
    *,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> Agreement:
    """Spearman's correlation of answers with expressions, one pair per viewer, and Lin's concordance (Lin 1989).

    Pairs with None or NaN on a side are left out. For the concordance bring both onto one scale first: an answer from 0 to 4
    divided by 4 beside a mean probability. The interval is the percentile bootstrap over pairs; draws in which one side is all the
    same say nothing and are left out. It needs four pairs, the correlation three that are not all the same on one side. Raises
    `ValueError` for two lengths.
    """
    _check(level=level, draws=draws)
    if len(reported) != len(expressed):
        raise ValueError(f"reported and expressed must be equally long, but got {len(reported)} and {len(expressed)}")
    pairs = np.array([[math.nan if x is None else x for x in side] for side in (reported, expressed)], np.float64)
    pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
    n = pairs.shape[1]
    if not n:
        return Agreement(0, None, None, None, None, None, None, level)
    a, b = pairs
    apart = a.var() + b.var() + (a.mean() - b.mean()) ** 2
    ccc = float(2 * np.mean((a - a.mean()) * (b - b.mean())) / apart) if apart > 0 else None
    rho = low = high = None
    whole = _rank_correlation(pairs[:, None])
    if n >= 3 and len(whole):
        rho = float(whole[0])
        if n >= 4:
            rows = np.random.default_rng(seed).integers(0, n, size=(draws, n))
            drawn = _rank_correlation(pairs[:, rows])
            if len(drawn):
                low, high = (float(q) for q in np.quantile(drawn, ((1 - level) / 2, (1 + level) / 2)))
                low, high = min(low, rho), max(high, rho)
    return Agreement(n, rho, low, high, ccc, float(a.mean()), float(b.mean()), level)


def _rank_correlation(pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spearman's of samples (2, D, n), of those in which neither side is all the same."""
    ranks = average_ranks(pairs)
    ranks -= ranks.mean(axis=2, keepdims=True)
    scale = np.sqrt((ranks**2).sum(axis=2).prod(axis=0))
    fine = scale > 0
    return np.asarray(np.clip(ranks.prod(axis=0).sum(axis=1)[fine] / scale[fine], -1, 1), np.float64)


def average_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1 along the last axis, the mean one for equal values: `scipy.stats.rankdata`, whose import takes half a second."""
    n = values.shape[-1]
    order = np.argsort(values, axis=-1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=-1)
    new = np.ones((*values.shape[:-1], n + 1), np.bool_)  # begins another value here; one more behind the last
    new[..., 1:-1] = ordered[..., 1:] != ordered[..., :-1]
    place = np.arange(n)
    first = np.maximum.accumulate(np.where(new[..., :-1], place, 0), axis=-1)
    last = np.minimum.accumulate(np.where(new[..., 1:], place, n)[..., ::-1], axis=-1)[..., ::-1]
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, (first + last) / 2 + 1, axis=-1)
    return ranks
