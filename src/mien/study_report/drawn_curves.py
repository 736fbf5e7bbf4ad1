"""A review's curves as lines that are drawn: smoothed, in their colours; which of them say most."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mien import audience
from mien.study_report.paper_charts import DASHES, VALENCE, Trace

SIGNALS_DRAWN = 3

Json = Mapping[str, Any]


def colour(review: Json, signal: str) -> str:
    """A signal's colour on paper."""
    return VALENCE if signal == "valence" else str(review["colours"][signal]["light"])


def trace(film: Json, curve: Json, times: Sequence[float], name: str, shade: str, dash: tuple[int, ...] = ()) -> Trace:
    """A curve as it is drawn: smoothed, over no gap and no step in who is there."""
    rows = [curve[part] for part in ("mean", "low", "high")]
    step_s = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    sigma_s = film.get("sigma_s") or 0.0
    if 2 * sigma_s >= step_s:
        known = np.array([value is not None for value in rows[0]])
        values = [[0.0 if value is None else value for value in row] for row in rows]
        cuts = np.searchsorted(times, [step["time_s"] for step in film.get("steps", ())]).tolist()
        calm = audience.smooth(values, known, sigma_s / step_s, cuts)
        rows = [[float(v) if k else None for v, k in zip(row, known, strict=True)] for row in calm]
    return Trace(name, shade, dash, times, *rows)


def line(review: Json, film: Json, kind: str, signal: str) -> Trace:
    """The curve of a film and signal, `kind` "raw" or "corrected"."""
    return trace(film, film["curves"][kind][signal], film["times"], signal, colour(review, signal), DASHES.get(signal, ()))


def liveliest(review: Json, film: Json) -> list[str]:
    """The signals of the highest moments, else those that vary most."""
    risen = sorted((m for m in film["moments"] if m["signal"] != "valence"), key=lambda m: -abs(m["rise"]))
    found = list(dict.fromkeys(m["signal"] for m in risen))
    if not found:

        def span(label: str) -> float:
            values = [v for v in film["curves"]["raw"][label]["mean"] if v is not None]
            return max(values) - min(values) if values else 0.0

        found = sorted((label for label in review["labels"] if label != "neutral"), key=span, reverse=True)
    return found[:SIGNALS_DRAWN]
