"""Two cuts of one film on one axis: the audience's curve of the one minus that of the other, over what comes out by chance.

The difference is that of the two means that are shown anyway, so it tells of nobody that they do not tell of. Whoever saw both
cuts is compared with herself: chance swaps the two, person by person; those who saw one are dealt to the two anew.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import audience
from mien.audience import Audience
from mien.study_report.answers import correct
from mien.study_report.headline import CLEAR, LEAST_TESTED, clock
from mien.study_report.small_cells import small

VALENCE = "valence"
Json = dict[str, Any]


def cuts(films: Sequence[Json], seen: Sequence[Audience | None], smallest: int, *, level: float, draws: int) -> Json | None:
    """How the second of two films differs from the first, as a JSON-ready dict; None where either has no curves.

    films  the two as the review has them        seen  those in their curves, on grids of the same step

    first, second        ids of the films         way  "within", "between" or "mixed": whether the same people saw both
    n                    how many are in each curve; pairs: how many saw both, None where that tells of few
    times, sigma_s       the common axis, as long as the shorter, and the smoothing
    signals              for each {"difference" second minus first, "low", "high" the band of chance, "p", "p_corrected", "where"}
    where                [[from_s, to_s], …], in which it is outside of the band; of fewer than `LEAST_TESTED` people there is no
                         band, no p and no where
    says                 sentences on it
    """
    one, other = seen
    if one is None or other is None or not films[0]["curves"] or not films[1]["curves"]:
        return None
    count = min(len(one.times), len(other.times))
    times = one.times[:count]
    means = [np.array([v is not None for v in film["curves"]["raw"][VALENCE]["mean"][:count]], bool) for film in films]
    known = means[0] & means[1]
    both = sorted(set(one.names) & set(other.names))
    people = len(set(one.names) | set(other.names))
    tested = people >= LEAST_TESTED
    together = _together(one, other, count, known)
    side = ["first"] * len(one) + ["second"] * len(other)
    of_whom = [*one.names, *other.names]
    sigma_s = min(float(film["sigma_s"]) for film in films)
    cells = sigma_s / one.step_s if 2 * sigma_s >= one.step_s else 0.0
    steps = sorted({step["time_s"] for film in films for step in film["steps"]})
    signals: dict[str, Json] = {}
    for signal in one.signals:
        found = audience.compare(
            together,
            side,
            signal,
            people=of_whom,
            smoothing_cells=cells,
            cuts=np.searchsorted(times, steps).tolist(),
            level=level,
            draws=draws,
        )
        there = known & found.tested
        signals[signal] = {
            "difference": _list(-found.difference, there),
            "low": _list(-found.high, there & tested),
            "high": _list(-found.low, there & tested),
            "p": round(float(found.p), 4) if tested else None,
        }
    expressions = [one for signal, one in signals.items() if signal != VALENCE]
    for family in (expressions, [signals[VALENCE]]):
        correct(family)
    for each in signals.values():
        each["where"] = _where(each, times, one.step_s)
    titles = [film["title"] for film in films]
    few = small(len(both), smallest) or small(people - len(both), smallest)
    return {
        "first": films[0]["id"],
        "second": films[1]["id"],
        "titles": titles,
        "way": "between" if not both else "within" if len(both) == people else "mixed",
        "n": [len(one), len(other)],
        "pairs": None if few else len(both),
        "tested": tested,
        "times": [round(float(t), 3) for t in times],
        "sigma_s": sigma_s,
        "signals": signals,
        "says": _says(signals, titles, times, tested),
    }


def _together(one: Audience, other: Audience, count: int, known: NDArray[np.bool_]) -> Audience:
    """Those of both films one under the other, at the times that both show."""

    def stacked(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(one, name)[:, :count], getattr(other, name)[:, :count]])

    names = tuple(f"{name} {k}" for k, of in enumerate((one, other), start=1) for name in of.names)
    emotions = np.where(known[:, None], stacked("emotions"), np.float32(0))
    return Audience(one.times[:count], one.step_s, one.labels, names, emotions, stacked("seen") & known, stacked("looked"))


def _where(found: Mapping[str, Any], times: NDArray[np.float64], step_s: float) -> list[list[float]]:
    """The stretches outside of the band, where the whole is more than chance."""
    if found["p_corrected"] is None or found["p_corrected"] >= CLEAR:
        return []
    rows = zip(found["difference"], found["low"], found["high"], strict=True)
    outside = np.array([False, *(v is not None and low is not None and not low <= v <= high for v, low, high in rows), False])
    edges = np.flatnonzero(np.diff(outside.astype(np.int8))).reshape(-1, 2)
    return [[round(float(times[a] - step_s / 2), 3), round(float(times[b - 1] + step_s / 2), 3)] for a, b in edges]


def _says(signals: Mapping[str, Json], titles: Sequence[str], times: NDArray[np.float64], tested: bool) -> list[str]:
    first, second = (f"“{title}”" for title in titles)
    if not tested:
        return [f"Of fewer than {LEAST_TESTED} people the two curves and their difference are shown, and no verdict."]
    end_s = float(times[-1])
    told = []
    real = [signal for signal, found in signals.items() if found["where"]]
    for signal in [one for one in real if one != "neutral"] or real:  # neutral falls wherever anything rises
        found = signals[signal]
        inside = [any(a <= t <= b for a, b in found["where"]) for t in times]
        most = max(
            (k for k, (v, within) in enumerate(zip(found["difference"], inside, strict=True)) if within and v is not None),
            key=lambda k: abs(found["difference"][k]),
        )
        by = found["difference"][most]
        size = f"{abs(by):.2f}" if signal == VALENCE else f"{abs(by) * 100:.0f} points"
        more, less = (second, first) if by > 0 else (first, second)
        spans = " and ".join(f"from {clock(a, end_s)} to {clock(b, end_s)}" for a, b in found["where"][:3])
        rest = " and elsewhere" if len(found["where"]) > 3 else ""
        told.append(
            (
                signal == VALENCE,
                -abs(by),
                f"{signal.capitalize()} differs {spans}{rest}: at {clock(float(times[most]), end_s)} it appears higher by {size} "
                f"in {more} than in {less} (p {_p(found['p_corrected'])}, corrected).",
            )
        )
    return [words for _, _, words in sorted(told)] or [
        f"No expression differs between {first} and {second} by more than chance would have it."
    ]


def _p(p: float) -> str:
    return "under .001" if p < 0.001 else f"= {p:.3f}".replace("0.", ".", 1)


def _list(values: NDArray[Any], known: NDArray[np.bool_]) -> list[float | None]:
    return [round(float(v), 4) + 0.0 if k else None for v, k in zip(values, known, strict=True)]
