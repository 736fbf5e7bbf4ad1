"""The charts of a review on paper, as vectors: curves over time, bars, columns, intervals.

All lengths are points (1/72 inch). Each function gives a `reportlab.graphics.shapes.Drawing`, which stands in the text as a
flowable does. Texts that are too long for their place are cut with an ellipsis.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from reportlab.graphics.shapes import Circle, Drawing, Line, Polygon, PolyLine, Rect, String
from reportlab.lib.colors import Color, HexColor
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfbase.ttfonts import TTFont

from mien.study_report.headline import clock

FONT, BOLD = "DejaVuSans", "DejaVuSans-Bold"
INK, SOFT, RULE, QUIET, ACCENT = (HexColor(code) for code in ("#1c1f24", "#5a616c", "#d9d7d2", "#efede8", "#1f5a96"))
GROUPS = ("#1f5a96", "#b4520c", "#3f7a22", "#8446a8", "#00796b", "#a8324a")
VALENCE = "#1c1f24"

# As static/emotions.js has them: with its dash each line can be told without its colour.
DASHES: dict[str, tuple[int, ...]] = {
    "neutral": (1, 2),
    "surprise": (6, 2),
    "sadness": (4, 2),
    "anger": (6, 2, 1, 2),
    "disgust": (4, 2, 1, 2, 1, 2),
    "fear": (2, 2),
    "contempt": (8, 2, 3, 2),
}
GROUP_DASHES: tuple[tuple[int, ...], ...] = ((), (5, 2), (1, 2), (6, 2, 1, 2), (8, 2), (3, 2, 1, 2))

LEFT, RIGHT = 32.0, 6.0
"""Room beside a plot for its numbers; a strip of stills keeps to it, too."""

_SMALL = 6.6
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)

Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Trace:
    """A line with its band: times in seconds, null where too few were seen."""

    name: str
    colour: str
    dash: tuple[int, ...]
    times: Sequence[float]
    mean: Values
    low: Values
    high: Values


@cache
def register_fonts() -> None:
    """Makes DejaVu Sans known to whatever is drawn or laid out."""
    folder = resources.files("matplotlib") / "mpl-data" / "fonts" / "ttf"
    for name in (FONT, BOLD):
        with resources.as_file(folder / f"{name}.ttf") as file:
            pdfmetrics.registerFont(TTFont(name, str(file)))
    pdfmetrics.registerFontFamily(FONT, normal=FONT, bold=BOLD, italic=FONT, boldItalic=BOLD)


def fit(text: str, width: float, size: float, font: str = FONT) -> str:
    """The text, or as much of it as fits into `width`, with an ellipsis."""
    text = " ".join(text.split())
    if stringWidth(text, font, size) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if stringWidth(text[:middle].rstrip() + "…", font, size) <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "…"


def faint(colour: Color, share: float) -> Color:
    return Color(colour.red, colour.green, colour.blue, alpha=share)


def curves(
    width: float,
    height: float,
    traces: Sequence[Trace],
    *,
    end_s: float,
    kind: str = "share",
    markers: Sequence[Mapping[str, Any]] = (),
    moments: Sequence[Mapping[str, Any]] = (),
    synchrony: Mapping[str, Any] | None = None,
    seen: tuple[Sequence[float], Values] | None = None,
    steps: Sequence[Mapping[str, Any]] = (),
    extent: tuple[float, float] | None = None,
    labels: bool = True,
) -> Drawing:
    """Curves with bands over a common time; below them, where given, how alike the viewers were and how many were seen.
    `steps` are moments at which many come or go.

    kind  "share" (0 to 100%), "change" (in points) or "valence" (-1 to 1): how the axis is written
    """
    drawing = Drawing(width, height)
    label_rows = 2 if markers and labels else 0
    top, bottom = height - 4 - 9 * label_rows, 14.0
    lower = (46.0 if synchrony else 0) + (26.0 if seen else 0)
    plot = _Frame(LEFT, width - RIGHT, bottom + lower + (6 if lower else 0), top, 0, end_s, *(extent or reach(traces, kind)))
    whole = _Frame(plot.left, plot.right, bottom, top, 0, end_s, 0, 1)
    _marks(drawing, whole, markers, labels)
    for step in steps:
        x = whole.x(step["time_s"])
        drawing.add(Line(x, bottom, x, top, strokeColor=HexColor("#855300"), strokeWidth=0.8, strokeDashArray=[1, 1]))
        drawing.add(_text(x + 2, top - 7, f"n {step['before']} → {step['after']}", colour=HexColor("#855300")))
    _grid(drawing, plot, kind)
    for trace in traces:
        colour = HexColor(trace.colour)
        for part in _stretches(trace.times, trace.low, trace.high):
            outline = [plot.at(t, v) for t, v, _ in part] + [plot.at(t, v) for t, _, v in reversed(part)]
            if len(part) > 1:
                drawing.add(Polygon([c for point in outline for c in point], fillColor=faint(colour, 0.18), strokeColor=None))
    for trace in traces:
        _line(drawing, plot, trace.times, trace.mean, HexColor(trace.colour), 1.2, trace.dash)
    for moment in moments:
        _triangle(drawing, *plot.at(moment["time_s"], moment["value"]), up=moment["direction"] != "down")
    if synchrony:
        floor = bottom + (26.0 if seen else 0)
        values = [v for name in ("values", "low", "high") for v in synchrony[name] if v is not None] or [0.0, 1.0]
        low, high = min(-0.1, *values), max(0.3, *values)
        alike = _Frame(plot.left, plot.right, floor + 2, floor + 29, 0, end_s, low, high)
        _alike(drawing, alike, synchrony)
    if seen:
        most = max((n for n in seen[1] if n is not None), default=0) or 1
        _seen(drawing, _Frame(plot.left, plot.right, bottom, bottom + 14, 0, end_s, 0, most), *seen)
    _times(drawing, whole)
    return drawing


def reach(traces: Sequence[Trace], kind: str) -> tuple[float, float]:
    """The ends of the axis: all that is drawn, with a little room; an axis of shares begins at 0."""
    values = [v for trace in traces for part in (trace.mean, trace.low, trace.high) for v in part if v is not None]
    if not values:
        return (0.0, 1.0)
    low, high = min(values), max(values)
    if kind == "share":
        return 0.0, min(1.0, max(high * 1.06, 0.1))
    room = max(high - low, 0.1) * 0.06
    return max(-1.0, min(low - room, 0.0)), min(1.0, max(high + room, 0.0))


@dataclass(frozen=True, slots=True)
class _Frame:
    """A plot's rectangle on the drawing, and what of time and value it spans."""

    left: float
    right: float
    bottom: float
    top: float
    start: float
    end: float
    low: float
    high: float

    def x(self, t: float) -> float:
        share = (t - self.start) / max(self.end - self.start, 1e-9)
        return self.left + (self.right - self.left) * min(max(share, 0), 1)

    def y(self, value: float) -> float:
        share = (value - self.low) / max(self.high - self.low, 1e-9)
        return self.bottom + (self.top - self.bottom) * min(max(share, 0), 1)

    def at(self, t: float, value: float) -> tuple[float, float]:
        return self.x(t), self.y(value)


def _stretches(times: Sequence[float], *columns: Values) -> list[list[Any]]:
    """The rows (time, value, …) in pieces without a gap."""
    found: list[list[Any]] = [[]]
    for row in zip(times, *columns, strict=True):
        if any(value is None for value in row):
            if found[-1]:
                found.append([])
        else:
            found[-1].append(row)
    return [part for part in found if part]


def _line(
    drawing: Drawing, frame: _Frame, times: Sequence[float], values: Values, colour: Color, width: float, dash: tuple[int, ...]
) -> None:
    for part in _stretches(times, values):
        if len(part) == 1:
            drawing.add(Circle(*frame.at(*part[0]), 0.9, fillColor=colour, strokeColor=None))
            continue
        points = [c for row in part for c in frame.at(*row)]
        drawing.add(PolyLine(points, strokeColor=colour, strokeWidth=width, strokeDashArray=list(dash) or None, strokeLineJoin=1))


def _ticks(low: float, high: float, most: int) -> list[float]:
    width = (high - low) / most
    power = 10.0 ** math.floor(math.log10(max(width, 1e-9)))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= width)
    return [round(k * step, 9) for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _grid(drawing: Drawing, plot: _Frame, kind: str) -> None:
    for value in _ticks(plot.low, plot.high, max(2, int((plot.top - plot.bottom) / 22))):
        y = plot.y(value)
        drawing.add(Line(plot.left, y, plot.right, y, strokeColor=SOFT if value == 0 else RULE, strokeWidth=0.5))
        text = f"{value:+.1f}" if kind == "valence" and value else f"{value:.1f}" if kind == "valence" else f"{value * 100:.0f}%"
        if kind == "change" and value > 0:
            text = "+" + text
        drawing.add(_text(plot.left - 4, y - 2.3, text.replace("-", "−"), anchor="end"))


def _times(drawing: Drawing, frame: _Frame) -> None:
    span = frame.end - frame.start
    step = next((s for s in _STEPS_S if span / s <= (frame.right - frame.left) / 46), _STEPS_S[-1])
    drawing.add(Line(frame.left, frame.bottom, frame.right, frame.bottom, strokeColor=RULE, strokeWidth=0.5))
    for k in range(int(span / step) + 1):
        x = frame.x(k * step)
        drawing.add(Line(x, frame.bottom, x, frame.bottom - 2.5, strokeColor=SOFT, strokeWidth=0.5))
        text = clock(k * step, span) if span >= 120 else f"{k * step} s"
        room = stringWidth(text, FONT, _SMALL) / 2
        drawing.add(_text(min(x, frame.right + RIGHT - room), frame.bottom - 10, text, anchor="middle"))


def _marks(drawing: Drawing, frame: _Frame, markers: Sequence[Mapping[str, Any]], labels: bool) -> None:
    """The marked moments: a line or a span each, and its name where there is room for it."""
    free = [-math.inf, -math.inf]
    for marker in sorted(markers, key=lambda one: float(one["time_s"])):
        x = frame.x(marker["time_s"])
        if marker["end_s"] is not None:
            end = frame.x(marker["end_s"])
            drawing.add(
                Rect(x, frame.bottom, max(end - x, 0.5), frame.top - frame.bottom, fillColor=faint(SOFT, 0.1), strokeColor=None)
            )
        drawing.add(Line(x, frame.bottom, x, frame.top, strokeColor=SOFT, strokeWidth=0.5, strokeDashArray=[2, 2]))
        if not labels:
            continue
        text = fit(marker["label"], 90, _SMALL)
        width = stringWidth(text, FONT, _SMALL)
        left = min(x, frame.right - width)
        level = next((k for k, until in enumerate(free) if until <= left), None)
        if level is not None:
            free[level] = left + width + 6
            drawing.add(_text(left, frame.top + 2.5 + 9 * level, text, colour=INK))


def _triangle(drawing: Drawing, x: float, y: float, *, up: bool) -> None:
    side = 2.6 if up else -2.6
    drawing.add(
        Polygon([x - 3, y - side, x + 3, y - side, x, y + side], fillColor=INK, strokeColor=HexColor("#ffffff"), strokeWidth=0.6)
    )


def _alike(drawing: Drawing, frame: _Frame, found: Mapping[str, Any]) -> None:
    for part in _stretches(found["times"], found["low"], found["high"]):
        outline = [frame.at(t, v) for t, v, _ in part] + [frame.at(t, v) for t, _, v in reversed(part)]
        if len(part) > 1:
            drawing.add(Polygon([c for point in outline for c in point], fillColor=faint(SOFT, 0.25), strokeColor=None))
    drawing.add(Line(frame.left, frame.y(0), frame.right, frame.y(0), strokeColor=RULE, strokeWidth=0.5))
    for value in (v for v in (0.0, 0.5, 1.0) if v <= frame.high):
        drawing.add(_text(frame.left - 4, frame.y(value) - 2.3, f"{value:.1f}", anchor="end"))
    _line(drawing, frame, found["times"], found["values"], ACCENT, 1.1, ())
    drawing.add(
        _text(frame.left + 2, frame.top + 5, "How alike the viewers’ curves were; in the grey band they could be by chance")
    )


def _seen(drawing: Drawing, frame: _Frame, times: Sequence[float], counts: Values) -> None:
    for part in _stretches(times, counts):
        step = [part[0]] + [piece for a, b in itertools.pairwise(part) for piece in ((b[0], a[1]), b)]
        outline = [frame.at(part[0][0], 0), *(frame.at(*row) for row in step), frame.at(part[-1][0], 0)]
        drawing.add(Polygon([c for point in outline for c in point], fillColor=faint(SOFT, 0.25), strokeColor=None))
    for value in (0, frame.high):
        drawing.add(_text(frame.left - 4, frame.y(value) - 2.3, f"{value:.0f}", anchor="end"))
    drawing.add(_text(frame.left + 2, frame.top + 2, "n: faces in the mean at each time"))


def _text(
    x: float, y: float, text: str, *, size: float = _SMALL, anchor: str = "start", colour: Color = SOFT, font: str = FONT
) -> String:
    return String(x, y, text, fontName=font, fontSize=size, fillColor=colour, textAnchor=anchor)


def legend(width: float, items: Sequence[tuple[str, str, tuple[int, ...]]]) -> Drawing:
    """Names beside pieces of their lines, in as many rows as they need: (name, colour, dash)."""
    placed: list[tuple[float, int, str, str, tuple[int, ...]]] = []
    x, row = LEFT, 0
    for name, colour, dash in items:
        name = fit(name, width / 2, 7.2)
        need = 26 + stringWidth(name, FONT, 7.2) + 12
        if x + need > width and x > LEFT:
            x, row = LEFT, row + 1
        placed.append((x, row, name, colour, dash))
        x += need
    height = 11.0 * (row + 1)
    drawing = Drawing(width, height)
    for x, row, name, colour, dash in placed:
        y = height - 8 - 11 * row
        drawing.add(
            Line(x, y + 2.5, x + 20, y + 2.5, strokeColor=HexColor(colour), strokeWidth=1.4, strokeDashArray=list(dash) or None)
        )
        drawing.add(_text(x + 25, y, name, size=7.2, colour=INK))
    return drawing


def bars(width: float, rows: Sequence[tuple[str, float, str, str]], *, thin: Sequence[Sequence[tuple[float, str]]] = ()) -> Drawing:
    """A row for each answer: (words, share of the width 0-1, what is written behind, colour). `thin`: more bars under each."""
    words, behind = width * 0.36, 52.0
    each = 15.0 + 4 * max((len(extra) for extra in thin), default=0)
    drawing = Drawing(width, each * len(rows))
    room = width - words - behind - 8
    for k, (name, share, text, colour) in enumerate(rows):
        y = each * (len(rows) - k) - 12
        drawing.add(_text(0, y + 1, fit(name, words - 6, 7.4), size=7.4, colour=INK))
        drawing.add(Rect(words, y, room, 8, fillColor=QUIET, strokeColor=None))
        if share > 0:
            drawing.add(Rect(words, y, max(room * min(share, 1), 0.6), 8, fillColor=HexColor(colour), strokeColor=None))
        for i, (part, shade) in enumerate(thin[k] if thin else ()):
            drawing.add(Rect(words, y - 4 * (i + 1), room, 3, fillColor=QUIET, strokeColor=None))
            if part > 0:
                drawing.add(
                    Rect(words, y - 4 * (i + 1), max(room * min(part, 1), 0.6), 3, fillColor=HexColor(shade), strokeColor=None)
                )
        drawing.add(_text(width, y + 1, text, size=7.4, anchor="end"))
    return drawing


def columns(width: float, cells: Sequence[tuple[str, int]], *, low: str = "", high: str = "") -> Drawing:
    """Columns from the lowest to the highest answer: (name, how many)."""
    height, foot = 74.0, 12.0 + (10 if low or high else 0)
    drawing = Drawing(width, height)
    most = max(1, *(n for _, n in cells))
    each = width / max(len(cells), 1)
    for k, (name, n) in enumerate(cells):
        x = k * each
        tall = (height - foot - 12) * n / most
        drawing.add(Rect(x + 2, foot, each - 4, max(tall, 0.4), fillColor=ACCENT, strokeColor=None))
        drawing.add(_text(x + each / 2, foot + tall + 3, str(n), size=7, anchor="middle"))
        drawing.add(_text(x + each / 2, foot - 8.5, fit(name, each - 2, _SMALL), anchor="middle", colour=INK))
    drawing.add(Line(0, foot, width, foot, strokeColor=SOFT, strokeWidth=0.5))
    if low or high:
        drawing.add(_text(2, 2, fit(low, width / 2 - 6, _SMALL)))
        drawing.add(_text(width - 2, 2, fit(high, width / 2 - 6, _SMALL), anchor="end"))
    return drawing


def _along(width: float, value: float, low: float, high: float) -> float:
    """Where a value lies on a line from `low` to `high`."""
    return 4 + (width - 8) * min(max((value - low) / max(high - low, 1e-9), 0), 1)


def interval(width: float, value: float | None, low: float | None, high: float | None) -> Drawing:
    """A correlation from -1 to 1 as a dot on its interval."""
    drawing = Drawing(width, 9)
    zero = _along(width, 0, -1, 1)
    drawing.add(Line(4, 4.5, width - 4, 4.5, strokeColor=RULE, strokeWidth=0.6))
    drawing.add(Line(zero, 1, zero, 8, strokeColor=SOFT, strokeWidth=0.6))
    if value is None:
        return drawing
    if low is not None and high is not None:
        left, right = _along(width, low, -1, 1), _along(width, high, -1, 1)
        drawing.add(Rect(left, 3.2, right - left, 2.6, fillColor=faint(ACCENT, 0.4), strokeColor=None))
    drawing.add(Circle(_along(width, value, -1, 1), 4.5, 2.6, fillColor=ACCENT, strokeColor=None))
    return drawing


def before_after(width: float, before: float, after: float, low: float, high: float) -> Drawing:
    """From an open dot (before) to a filled one (after), on a scale from `low` to `high`."""
    drawing = Drawing(width, 9)
    start, end = _along(width, before, low, high), _along(width, after, low, high)
    drawing.add(Line(4, 4.5, width - 4, 4.5, strokeColor=RULE, strokeWidth=0.6))
    drawing.add(Line(start, 4.5, end, 4.5, strokeColor=INK, strokeWidth=1.2))
    drawing.add(Circle(start, 4.5, 2.4, fillColor=HexColor("#ffffff"), strokeColor=INK, strokeWidth=1))
    drawing.add(Circle(end, 4.5, 2.4, fillColor=INK, strokeColor=INK, strokeWidth=1))
    return drawing
