"""A review as a PDF for print, A4 or letter."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from io import BytesIO
from os import PathLike
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4, LETTER
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    CondPageBreak,
    Flowable,
    Image,
    KeepTogether,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    Table,
)

from mien import __version__
from mien.report import writing
from mien.study_report import drawn_curves
from mien.study_report.funnel import reasons_text
from mien.study_report.headline import LEAST_TESTED, clock, headline
from mien.study_report.paper_charts import (
    BOLD,
    FONT,
    GROUP_DASHES,
    GROUPS,
    INK,
    LEFT,
    RIGHT,
    RULE,
    SOFT,
    Trace,
    bars,
    before_after,
    columns,
    curves,
    fit,
    interval,
    legend,
    reach,
    register_fonts,
)

SIZES: dict[str, tuple[float, float]] = {"a4": A4, "letter": LETTER}

_MARGIN, _HEAD, _FOOT = 18 * mm, 23 * mm, 23 * mm
_PAD = 6  # points that Platypus keeps free within a frame
_EFFECTS_TOLD = 3
_TITLE_LETTERS, _KICKER_LETTERS, _LABEL_LETTERS, _ANSWER_LETTERS = 240, 160, 90, 700
_TEXTS_PRINTED, _NAMES_PRINTED, _LEFT_PRINTED = 30, 24, 40

STILLS = 10
"""Of each film, in a row."""
_SCALES = ("scale5", "scale7", "liking")
_QUALITIES = {"good": "#25713a", "fair": "#855300", "poor": "#b3261e"}

Json = Mapping[str, Any]


def _style(name: str, size: float, leading: float, **more: Any) -> ParagraphStyle:
    return ParagraphStyle(
        name, **({"fontName": FONT, "fontSize": size, "leading": leading, "textColor": INK, "splitLongWords": 1} | more)
    )


KICKER = _style("kicker", 9, 12, textColor=SOFT)
TITLE = _style("title", 18, 23, fontName=BOLD, spaceBefore=3, spaceAfter=5)
HEADING = _style("heading", 12.5, 16, fontName=BOLD, spaceBefore=14, spaceAfter=3)
SUBHEADING = _style("subheading", 9.5, 13, fontName=BOLD, spaceBefore=8, spaceAfter=2)
TEXT = _style("text", 8.6, 12.4, spaceAfter=4)
NOTE = _style("note", 7.6, 10.6, textColor=SOFT, spaceAfter=3)
CELL = _style("cell", 7.6, 10)
STRONG = _style("strong", 7.6, 10, fontName=BOLD)
NUMBER = _style("number", 7.6, 10, alignment=TA_RIGHT)
COLUMN = _style("column", 7, 9, textColor=SOFT)
COLUMN_NUMBER = _style("column-number", 7, 9, textColor=SOFT, alignment=TA_RIGHT)


def pdf(review: Json, path: str | PathLike[str], paper: str = "a4") -> None:
    """Writes the review for print.

    `review` is a review as `mien.study_report.results.build` makes it, `paper` is "a4" or "letter". Letters come from DejaVu Sans,
    which has Latin, Greek, Cyrillic and many more; what it lacks (Chinese, Japanese, Korean) becomes boxes. Raises `ValueError` for
    another paper, `MediaError` where the file cannot be written.
    """
    if paper not in SIZES:
        raise ValueError(f"paper is 'a4' or 'letter', not {paper!r}")
    content = BytesIO()
    register_fonts()
    _Document(review, content, SIZES[paper]).build()
    with writing(path, "wb") as file:
        file.write(content.getvalue())


class _Counting(Canvas):  # type: ignore[misc]
    """Knows at the foot of each page how many there are: the pages are held until the last one is there."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._held: list[dict[str, Any]] = []

    def showPage(self) -> None:
        self._held.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for page in self._held:
            self.__dict__.update(page)
            self.setFont(FONT, 7)
            self.setFillColor(SOFT)
            self.drawRightString(self._pagesize[0] - _MARGIN, 10.5 * mm, f"Page {self._pageNumber} of {len(self._held)}")
            super().showPage()
        super().save()


def _cut(text: str, letters: int = _LABEL_LETTERS) -> str:
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"


def _text(text: str, style: ParagraphStyle = TEXT) -> Paragraph:
    """A paragraph of a text from anywhere: nothing in it is markup."""
    return Paragraph(escape(text), style)


def _percent(share: float | None) -> str:
    return "–" if share is None else "under 1%" if 0 < share < 0.005 else f"{share * 100:.0f}%"


def _signed(value: float, decimals: int = 0) -> str:
    value = round(value, decimals) + 0.0
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{abs(value):.{decimals}f}"


def told(signal: str, value: float | None, *, change: bool = False) -> str:
    """A value as the page writes it: "43%", valence "+0.43", a change "+12 points"."""
    if value is None:
        return "–"
    if signal == "valence":
        return _signed(value, 2)
    return f"{_signed(value * 100)} point{'' if abs(round(value * 100)) == 1 else 's'}" if change else _percent(value)


def _exact(signal: str, value: float) -> str:
    return _signed(value, 2) if signal == "valence" else f"{value:.1%}"


def _plain(value: float | None, decimals: int = 1) -> str:
    return "–" if value is None else f"{round(value, decimals) + 0.0:g}".replace("-", "−")


def _chance(p: float | None) -> str:
    if p is None:
        return "–"
    return "under .001" if p < 0.001 else f"{p:.3f}"[1:] if p < 0.1 else f"{p:.2f}".removeprefix("0")


def _date(iso: str | None) -> str:
    if not iso:
        return "–"
    at = datetime.fromisoformat(iso)
    return f"{at.day} {at:%b %Y, %H:%M} {at.tzname() or ''}".rstrip()


def _picture(uri: str, width: float) -> Image:
    image = Image(BytesIO(base64.b64decode(uri.partition(",")[2])), lazy=0)
    image.drawHeight, image.drawWidth = width * image.imageHeight / max(image.imageWidth, 1), width
    return image


class _Document:
    """The parts of the paper, each a list of flowables."""

    def __init__(self, review: Json, file: BytesIO, size: tuple[float, float]) -> None:
        self.review, self.size = review, size
        self.labels: Sequence[str] = review["labels"]
        self.width = size[0] - 2 * _MARGIN
        self.said = review.get("headline") or headline(review)
        self.document = SimpleDocTemplate(
            file,
            pagesize=size,
            leftMargin=_MARGIN - _PAD,
            rightMargin=_MARGIN - _PAD,
            topMargin=_HEAD - _PAD,
            bottomMargin=_FOOT - _PAD,
            title=_cut(review["title"], _TITLE_LETTERS),
            author=f"mien {__version__}",
            subject=_cut(self.said, _TITLE_LETTERS),
            lang="en",
        )

    def build(self) -> None:
        story = self._top() + self._cuts()
        for film in self.review["stimuli"]:
            story += self._film(film)
        story += self._questions() + self._agreement() + self._funnel() + self._viewers() + self._methods()
        self.document.build(story, onFirstPage=self._frame, onLaterPages=self._frame, canvasmaker=_Counting)

    def _frame(self, canvas: Any, _: Any) -> None:
        """Head and foot of a page."""
        width, height = self.size
        left, right = _MARGIN, width - _MARGIN
        canvas.saveState()
        canvas.setStrokeColor(RULE)
        canvas.setLineWidth(0.6)
        canvas.line(left, height - 17 * mm, right, height - 17 * mm)
        canvas.line(left, 18 * mm, right, 18 * mm)
        canvas.setFont(FONT, 7.4)
        canvas.setFillColor(SOFT)
        name = "How the audience reacted"
        canvas.drawRightString(right, height - 14.8 * mm, name)
        canvas.drawString(left, height - 14.8 * mm, fit(self.review["title"], (right - left) * 0.68, 7.4))
        if self.review["simulated"]:
            canvas.setFillColor(HexColor("#855300"))
            canvas.setFont(BOLD, 7.4)
            canvas.drawString(left, height - 11 * mm, fit(f"Simulated. {self.review['simulated']}", right - left, 7.4, BOLD))
            canvas.setFillColor(SOFT)
        canvas.setFont(FONT, 6.6)
        canvas.drawString(left, 14.2 * mm, fit(self.review["caveat"], right - left, 6.6))
        canvas.setFont(FONT, 7)
        canvas.drawString(left, 10.5 * mm, f"Made {_date(self.review['made_at'])} by mien {__version__}")
        canvas.restoreState()

    def _table(self, rows: list[list[Any]], widths: Sequence[float], *, rules: Sequence[int] | None = None) -> Table:
        """A quiet table with a rule under each row, or under those of `rules`; its head stands again on each page."""
        style: list[Any] = [
            ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
            *(("LINEBELOW", (0, k), (-1, k), 0.4, RULE) for k in (range(len(rows)) if rules is None else rules)),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 6),
            ("TOPPADDING", (0, 0), (-1, -1), 2.6),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.6),
        ]
        return Table(rows, colWidths=list(widths), repeatRows=1, style=style, hAlign="LEFT")

    # --- the parts, in their order

    def _top(self) -> list[Flowable]:
        review, counts = self.review, self.review["counts"]
        parts: list[Flowable] = [_text(_cut(review["title"], _KICKER_LETTERS), KICKER), _text(self.said, TITLE)]
        if review["about"]:
            parts.append(_text(_cut(review["about"], 600)))
        if review["hidden"]:
            parts.append(_text(f"{review['hidden']} Fewer than that could tell who is who."))
        facts = [
            ("Measured so far", counts["measured"]) if review["hidden"] else ("Viewers in the report", counts["shown"]),
            ("Agreed to take part", counts["agreed"]),
            *([("Began to watch", counts["started"])] if "started" in counts else []),
            ("Finished", counts["finished"]),
            ("Left before the end", counts["left"]),
        ]
        facts += [(name, counts[key]) for name, key in (("Rooms", "rooms"), ("Withdrawn, erased", "withdrawn")) if counts[key]]
        cells = [
            [_text(name, COLUMN) for name, _ in facts],
            [_text(str(n), _style("fact", 12, 15, fontName=BOLD)) for _, n in facts],
        ]
        style = [
            ("BOX", (0, 0), (-1, -1), 0.6, RULE),
            ("LINEAFTER", (0, 0), (-2, -1), 0.6, RULE),
            ("TOPPADDING", (0, 0), (-1, 0), 5),
            ("TOPPADDING", (0, 1), (-1, 1), 0),
            ("BOTTOMPADDING", (0, 0), (-1, 0), 0),
            ("BOTTOMPADDING", (0, 1), (-1, 1), 5),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ]
        table = Table(cells, colWidths=[self.width / len(facts)] * len(facts), style=style, hAlign="LEFT")
        when = "The study still ran when this was made." if review["live"] else ""
        when = f"As it stood {_date(review['until'])}." if review["until"] else when
        return [
            *parts,
            Spacer(0, 3),
            table,
            *([_text(when, _style("when", 7.6, 10.6, textColor=SOFT, spaceBefore=4))] if when else []),
        ]

    def _colour(self, signal: str) -> str:
        return drawn_curves.colour(self.review, signal)

    def _smoothing(self, film: Json) -> str:
        """How the curves of a film are drawn, in words."""
        m = self.review["methods"]  # of kept reports `curve_sigma_s` may have its former name, and the numbers are smoothed
        if "sigma_s" not in film:
            return f"smoothed over {m.get('curve_sigma_s', m.get('smoothing_s')):g} s"
        sigma_s = film["sigma_s"]
        return f"smoothed by a Gaussian of {sigma_s:g} s, over no edge and no step in who is there" if sigma_s else "as measured"

    def _film(self, film: Json) -> list[Flowable]:
        several = len(self.review["stimuli"]) > 1
        title = _cut(film["title"], _TITLE_LETTERS)
        if not film["curves"]:
            why = "" if self.review["hidden"] else " Nothing can be shown of this film yet: too few viewers were measured on it."
            return [_text(title, HEADING), _text(f"{film['viewers']} viewers so far.{why}")] if several else []
        end = film["duration_s"] or film["times"][-1]
        main = drawn_curves.liveliest(self.review, film)
        traces = [drawn_curves.line(self.review, film, "raw", signal) for signal in main]
        chart = curves(
            self.width,
            262,
            traces,
            end_s=end,
            markers=film["markers"],
            moments=[m for m in film["moments"] if m["signal"] in main],
            synchrony=film["synchrony"],
            seen=(film["times"], film["n"]),
            steps=film.get("steps", ()),
        )
        words = (
            "How sure the program is that a face appears to show each expression, from 0 to 100% (raw). The line is the mean of "
            f"the viewers, {self._smoothing(film)}; the band is where the mean lies with {self.review['methods']['level']:.0%} "
            "certainty. Triangles are moments that stand out."
        )
        items = [(trace.name, trace.colour, trace.dash) for trace in traces]
        head = [_text(title if several else "The film and its audience", HEADING), legend(self.width, items), Spacer(0, 2), chart]
        parts: list[Flowable] = [KeepTogether([*head, *self._strip(film, end), _text(words, NOTE)])]
        return (
            parts
            + self._left(film, end)
            + self._moments(film, end)
            + self._markers(film, end)
            + self._every(film, end)
            + self._groups(film, end)
            + self._alike(film)
        )

    def _left(self, film: Json, end: float) -> list[Flowable]:
        """Who saw too little to be in the curves, and how many were there when."""
        left = film.get("left")
        if not left:
            return []
        least, rest = _percent(film["least_watched"]), film["viewers"] - len(left)
        if film["compared"]:
            words = f"{rest} of {film['viewers']} viewers saw at least {least} of it: the curves are theirs. Left out: "
        else:
            words = f"Only {rest} of {film['viewers']} viewers saw at least {least} of it, too few to show: the curves are of all. "
        words += "; ".join(f"{row['viewer']} {row['why']}" for row in left[:_LEFT_PRINTED])
        more = len(left) - _LEFT_PRINTED
        there = film["there"]
        most = max(there)
        gone = Trace("", "#1f5a96", (), film["times"], *([[n / most for n in there]] * 3))
        chart = curves(self.width, 62, [gone], end_s=end, labels=False, extent=(0.0, 1.05))
        note = f"How many were there, of {most}; {there[-1]} at the end."
        return [
            KeepTogether(
                [
                    _text("Who left when", HEADING),
                    _text(f"{words}{f'; and {more} more' if more > 0 else ''}."),
                    _text(note, NOTE),
                    chart,
                ]
            )
        ]

    def _strip(self, film: Json, end: float) -> list[Flowable]:
        """Stills under the time they show."""
        if not film["strip"]:
            return []
        room = self.width - LEFT - RIGHT
        each = room / STILLS
        moments = [(k + 0.5) / STILLS * end for k in range(STILLS)]
        nearest = [min(film["strip"], key=lambda still: abs(still["time_s"] - t)) for t in moments]
        row = ["", *(_picture(still["image"], each - 2) for still in nearest), ""]
        style = [("LEFTPADDING", (0, 0), (-1, -1), 1), ("RIGHTPADDING", (0, 0), (-1, -1), 1), ("TOPPADDING", (0, 0), (-1, -1), 2)]
        return [Table([row], colWidths=[LEFT, *([each] * STILLS), RIGHT], style=style, hAlign="LEFT")]

    def _moments(self, film: Json, end: float) -> list[Flowable]:
        head = _text("Moments that stand out", HEADING)
        if not film["moments"] and not film.get("tested", True):
            return [head, _text(f"Moments are named from {LEAST_TESTED} viewers on; these are the curves of {film['in_curves']}.")]
        if not film["moments"]:
            none = "No moment stands out: the curves stay within what chance alone would give. That is a result, too."
            return [head, _text(none), *self._within(film, end)]
        words = _text(
            "Where the audience's mean rises above (or valence falls below) what chance alone would give, with viewers shifted "
            f"against each other in time {self.review['methods']['shifts']} times.",
            NOTE,
        )
        half = self.width / 2
        cards = [self._moment(m, end, half - 8) for m in film["moments"]]
        rows = [cards[k : k + 2] + ([""] if k + 1 == len(cards) else []) for k in range(0, len(cards), 2)]
        style = [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 8),
            ("TOPPADDING", (0, 0), (-1, -1), 3),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 5),
        ]
        tables = [Table([row], colWidths=[half, half], style=style, hAlign="LEFT") for row in rows]
        return [KeepTogether([head, words, tables[0]]), *tables[1:], *self._within(film, end)]

    def _within(self, film: Json, end: float) -> list[Flowable]:
        """Why the highest point of the other expressions is no moment."""
        points = [
            f"{peak['signal']} {_exact(peak['signal'], peak['value'])} at {clock(peak['time_s'], end)}, where "
            f"{'less' if peak['direction'] == 'down' else 'more'} than {_exact(peak['signal'], peak['threshold'])} was needed"
            for peak in film.get("peaks") or ()
        ]
        why = "No moments, as an expression that wanders by itself, or of which fewer faces were seen, has to rise further: "
        return [_text(f"{why}{'; '.join(points)}.", NOTE)] if points else []

    def _moment(self, moment: Json, end: float, width: float) -> Table:
        signal = moment["signal"]
        peak = "lowest" if moment["direction"] == "down" else "peak"
        lines = [
            Paragraph(
                f"<b>{clock(moment['time_s'], end)}</b> · {signal} "
                f'<font color="{self._colour(signal)}">{"▼" if moment["direction"] == "down" else "▲"}</font>',
                _style("moment", 9, 12),
            ),
            _text(_cut(moment["says"], 160), CELL),
            _text(
                f"{told(signal, moment['value'])} at its {peak}, {told(signal, moment['rise'], change=True)} from the film's mean"
                f"{self._surely(moment)}; {clock(moment['start_s'], end)} to {clock(moment['end_s'], end)}",
                COLUMN,
            ),
        ]
        if moment["viewers"]:
            names = moment["viewers"]
            more = f" and {len(names) - _NAMES_PRINTED} more" if len(names) > _NAMES_PRINTED else ""
            lines.append(_text(f"Viewers {', '.join(names[:_NAMES_PRINTED])}{more}", COLUMN))
        picture = _picture(moment["still"], 74) if moment["still"] else ""
        style = [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 6),
            ("TOPPADDING", (0, 0), (-1, -1), 0),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 0),
        ]
        left = 80 if picture else 0
        cells = [[picture, lines]] if picture else [[lines]]
        return Table(cells, colWidths=[left, width - left] if picture else [width], style=style, hAlign="LEFT")

    def _surely(self, moment: Json) -> str:
        if moment.get("low") is None:
            return ""
        low, high = (told(moment["signal"], moment[side], change=True).split()[0] for side in ("low", "high"))
        return f" ({low} to {high}, {self.review['methods']['level']:.0%}; p = {_chance(moment['p'])})"

    def _markers(self, film: Json, end: float) -> list[Flowable]:
        if not film["markers"]:
            return []
        heads = [
            "At",
            "What was marked",
            "Expression",
            "",
            "Before → after",
            f"Difference ({self.review['methods']['level']:.0%})",
            "p",
        ]
        rows: list[list[Any]] = [[_text(name, COLUMN) for name in heads]]
        starts = [0]
        for marker in sorted(film["markers"], key=lambda one: float(one["time_s"])):
            effects = marker["effects"] or {}
            known = [
                s for s in (*self.labels, "valence") if s != "neutral" and (effects.get(s) or {}).get("difference") is not None
            ]
            clear = [s for s in known if effects[s]["p"] is None or effects[s].get("clear", True)]
            strongest = sorted(clear, key=lambda s: -abs(effects[s]["difference"]))[:_EFFECTS_TOLD]
            at = clock(marker["time_s"], end)
            if marker["end_s"] is not None:
                at = f"{at.removesuffix(' s')}–{clock(marker['end_s'], end)}"
            name = [_text(at, STRONG), _text(_cut(marker["label"]), STRONG)]
            if not strongest:
                rows.append([*name, _text("no clear change" if known else "too few viewers, or new", COLUMN), "", "", "", ""])
            most = max([0.1, *(effects[s][side] for s in strongest if s != "valence" for side in ("before", "after"))])
            for k, signal in enumerate(strongest):
                e = effects[signal]
                ends = [told(signal, e[side], change=True).split()[0] for side in ("low", "high")]
                sure = "" if e["low"] is None else f" ({ends[0]} to {ends[1]})"
                low, high = (-1.0, 1.0) if signal == "valence" else (0.0, most)
                rows.append(
                    [
                        *(name if k == 0 else ["", ""]),
                        _text(signal, CELL),
                        before_after(52, e["before"], e["after"], low, high),
                        _text(f"{told(signal, e['before'])} → {told(signal, e['after'])}", CELL),
                        _text(told(signal, e["difference"], change=True) + sure, CELL),
                        _text(_chance(e.get("p_corrected", e["p"])), CELL),
                    ]
                )
            starts.append(len(rows) - 1)
        shares = (0.115, 0.21, 0.11, 0.125, 0.145, 0.225, 0.07)
        table = self._table(rows, [self.width * share for share in shares], rules=starts)
        words = (
            "Moments that were marked by hand: the viewers' mean in the seconds before (open dot) and after, or within the marked "
            "span (filled dot). p is corrected for all expressions (Holm); what may be chance, or is under a point, is not listed. "
            f"Of fewer than {LEAST_TESTED} viewers there is neither interval nor p."
        )
        return [CondPageBreak(110), _text("Marked moments", HEADING), _text(words, NOTE), table]

    def _small(self, film: Json, end: float, kind: str, signals: Sequence[str]) -> list[Flowable]:
        """A small chart for each signal, three in a row; those of shares on one scale."""
        each = self.width / 3
        shared = [drawn_curves.line(self.review, film, kind, s) for s in signals if s not in ("valence", "neutral")]
        how = "change" if kind == "corrected" else "share"
        common = reach(shared, how)
        cells = []
        for signal in signals:
            trace = drawn_curves.line(self.review, film, kind, signal)
            apart = signal in ("valence", "neutral")
            own = "valence" if signal == "valence" else how
            chart = curves(
                each - 8, 78, [trace], end_s=end, kind=own, extent=None if apart else common, markers=film["markers"], labels=False
            )
            cells.append([_text(f"{signal} (own scale)" if apart else signal, STRONG), chart])
        rows = [cells[k : k + 3] + [""] * (3 - len(cells[k : k + 3])) for k in range(0, len(cells), 3)]
        style = [("LEFTPADDING", (0, 0), (-1, -1), 0), ("RIGHTPADDING", (0, 0), (-1, -1), 4), ("VALIGN", (0, 0), (-1, -1), "TOP")]
        return [Table([row], colWidths=[each] * 3, style=style, hAlign="LEFT") for row in rows]

    def _every(self, film: Json, end: float) -> list[Flowable]:
        neutral = [label for label in self.labels if label == "neutral"]
        signals = [*(label for label in self.labels if label != "neutral"), *neutral, "valence"]
        rows = self._small(film, end, "raw", signals)
        words = (
            f"Means, {self._smoothing(film)}. Apparent valence is happiness minus the largest unpleasant expression, from −1 to "
            "+1; above 0 is pleasant."
        )
        parts: list[Flowable] = [KeepTogether([_text("Every expression", HEADING), _text(words, NOTE), rows[0]]), *rows[1:]]
        if film["curves"]["corrected"]:
            changed = self._small(film, end, "corrected", [*drawn_curves.liveliest(self.review, film), "valence"][:3])
            words = (
                f"Baseline-corrected: how far each face is from its own calm look in the {self.review['methods']['baseline_s']:g} "
                "s before the film. 0 is as at rest."
            )
            parts.append(KeepTogether([_text("Against each viewer's own calm face", SUBHEADING), _text(words, NOTE), *changed]))
        return parts

    def _groups(self, film: Json, end: float) -> list[Flowable]:
        parts: list[Flowable] = []
        for variable in self.review["variables"]:
            groups = film["groups"].get(variable["id"])
            if not groups:
                continue
            shown = [(k, value, groups[value["id"]]) for k, value in enumerate(variable["values"]) if value["id"] in groups]
            names = [
                (f"{_cut(value['title'], 60)} ({g['n']} viewers)", GROUPS[k % len(GROUPS)], GROUP_DASHES[k % len(GROUP_DASHES)])
                for k, value, g in shown
            ]
            charts: list[Flowable] = []
            for signal in [*drawn_curves.liveliest(self.review, film)[:1], "valence"]:
                traces = [
                    drawn_curves.trace(film, g["raw"][signal], g["times"], name, colour, dash)
                    for (name, colour, dash), (_, _, g) in zip(names, shown, strict=True)
                ]
                kind = "valence" if signal == "valence" else "share"
                chart = curves(self.width, 112, traces, end_s=end, kind=kind, markers=film["markers"], labels=False)
                charts += [_text(signal, STRONG), chart, *self._apart(film, variable, signal, end)]
            head = _text(f"By group: {_cut(variable['title'])}", HEADING)
            parts.append(KeepTogether([head, legend(self.width, names), *charts]))
        return parts

    def _apart(self, film: Json, variable: Json, signal: str, end: float) -> list[Flowable]:
        """Where two groups are compared: one minus the other, over what comes out by chance."""
        found = film["differences"].get(variable["id"])
        if not found:
            return []
        first, second = (next(v["title"] for v in variable["values"] if v["id"] == value) for value in found["groups"])
        gap = found["raw"][signal]
        trace = Trace("", "#1f5a96", (), found["times"], gap["difference"], gap["low"], gap["high"])
        kind = "valence" if signal == "valence" else "change"
        words = f"{_cut(first, 60)} minus {_cut(second, 60)}"
        if gap["p"] is None:
            words += f"; too few viewers to say whether they differ, {LEAST_TESTED} at least"
        else:
            words += f" (p = {_chance(gap.get('p_corrected', gap['p']))}); inside of the band it could be by chance"
        return [_text(words, NOTE), curves(self.width, 62, [trace], end_s=end, kind=kind, markers=film["markers"], labels=False)]

    def _alike(self, film: Json) -> list[Flowable]:
        found = film["synchrony"]
        if not found or found["isc"] is None:
            return []
        clear = found["p"] is not None and found["p"] < 0.05
        first = (
            "The viewers' faces moved together more than chance would have it: they reacted to the same things at the same time."
            if clear
            else "The viewers' faces moved together no more than chance would have it."
        )
        n = f" (n = {found['n']})" if found.get("n") else ""
        then = (
            f"Each viewer's {found['signal']} was compared with the mean of all others (inter-subject correlation): "
            f"{_plain(found['isc'], 2)} over the whole film{n}, where 0 is nothing in common and 1 the same curve. By chance, with "
            f"viewers shifted against each other in time, it lies between {_plain(found['null_low'], 2)} and "
            f"{_plain(found['null_high'], 2)} (p = {_chance(found['p'])}). By expression: "
            + ", ".join(
                f"{signal} {_plain(one['isc'], 2)}" for signal, one in found["by_signal"].items() if signal != found["signal"]
            )
            + "."
        )
        return [
            KeepTogether(
                [_text("How alike the viewers reacted", HEADING), _text(first, _style("first", 9, 13, fontName=BOLD)), _text(then)]
            )
        ]

    # --- two cuts

    def _cuts(self) -> list[Flowable]:
        """Two cuts of one film on one axis, by the expression that differs most; reports that were kept before 0.6 have none."""
        found = self.review.get("cuts")
        if not found:
            return []
        films = [next(film for film in self.review["stimuli"] if film["id"] == found[name]) for name in ("first", "second")]

        def most(signal: str) -> tuple[bool, float]:
            one = found["signals"][signal]
            return bool(one["where"]), max((abs(v) for v in one["difference"] if v is not None), default=0.0)

        signal = max((name for name in found["signals"] if name != "neutral"), key=most)
        one, times = found["signals"][signal], found["times"]
        end = times[-1]
        lines = []
        for k, film in enumerate(films):
            curve = {part: values[: len(times)] for part, values in film["curves"]["raw"][signal].items()}
            name = f"{_cut(film['title'], 60)} ({found['n'][k]})"
            lines.append(drawn_curves.trace(film, curve, times, name, GROUPS[k], GROUP_DASHES[k]))
        gap = Trace("", "#1f5a96", (), times, one["difference"], one["low"], one["high"])
        valence = signal == "valence"
        words = f"{signal.capitalize()}: “{_cut(found['titles'][1], 60)}” minus “{_cut(found['titles'][0], 60)}”"
        words += "; inside of the band it could be by chance" if found["tested"] else ""
        return [
            KeepTogether(
                [
                    _text("Two cuts beside each other", HEADING),
                    *(_text(sentence) for sentence in found["says"]),
                    legend(self.width, [(line.name, line.colour, line.dash) for line in lines]),
                    curves(self.width, 130, lines, end_s=end, kind="valence" if valence else "share", labels=False),
                    _text(words, NOTE),
                    curves(self.width, 62, [gap], end_s=end, kind="valence" if valence else "change", labels=False),
                ]
            )
        ]

    # --- answers

    def _questions(self) -> list[Flowable]:
        parts: list[Flowable] = []
        for part, title in (("before", "Before the film"), ("after", "After the film")):
            asked = [q for q in self.review["questions"] if q["part"] == part]
            if not asked:
                continue
            head: list[Flowable] = [] if parts else [_text("What viewers answered", HEADING)]
            most = max(q["n"] for q in asked)
            head.append(_text(f"{title}: {most} {'person' if most == 1 else 'people'} answered", SUBHEADING))
            short = [q for q in asked if q.get("texts") is None and not q.get("rows")]
            half = self.width / 2
            style = [
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("RIGHTPADDING", (0, 0), (-1, -1), 12),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 8),
            ]
            cards = [self._question(q, half - 14) for q in short]
            tables = [
                Table(
                    [cards[k : k + 2] + ([""] if k + 1 == len(cards) else [])], colWidths=[half, half], style=style, hAlign="LEFT"
                )
                for k in range(0, len(cards), 2)
            ]
            parts += [KeepTogether([*head, tables[0]]), *tables[1:]] if tables else head
            for question in asked:
                if question.get("texts") is not None:
                    parts += self._texts(question)
                elif question.get("rows"):
                    lines = [{"kind": "single", "title": row["id"]} | row for row in question["rows"]]
                    head = _text(_cut(question["title"], 300), _style("asked", 8.6, 12, fontName=BOLD, spaceBefore=6))
                    parts += [CondPageBreak(60), head]
                    parts += [KeepTogether(self._question(line, half - 14)) for line in lines]
        return parts

    def _texts(self, question: Json) -> list[Flowable]:
        said = question["texts"]
        if question["kind"] == "short":
            said = [" · ".join(_cut(text, 80) for text in said)] if said else []
        letters = 6000 if question["kind"] == "short" else _ANSWER_LETTERS
        style = _style("said", 8, 11.4, leftIndent=9, spaceAfter=4, bulletIndent=0)
        printed = [Paragraph(escape(_cut(text, letters)), style, bulletText="–") for text in said[:_TEXTS_PRINTED]]
        head = [CondPageBreak(60), _text(_cut(question["title"], 300), _style("asked", 8.6, 12, fontName=BOLD, spaceBefore=6))]
        more = len(said) - _TEXTS_PRINTED
        rest = [_text(f"{more} more in the table of answers.", NOTE)] if more > 0 else []
        if withheld := question.get("withheld"):
            rest.append(_text(f"{withheld} in words that few people gave: only in the table of answers.", NOTE))
        return [KeepTogether([*head, _text(_answers(question), NOTE), *printed[:1]]), *printed[1:], *rest]

    def _question(self, question: Json, width: float) -> list[Flowable]:
        parts: list[Flowable] = [
            _text(_cut(question["title"], 300), _style("asked", 8.2, 11, fontName=BOLD)),
            _text(_answers(question), NOTE),
        ]
        groups = self._answered_by(question)
        if question.get("hidden"):
            parts.append(_text("Too few answers to show.", NOTE))
        elif question.get("emotions"):
            rows = sorted(question["emotions"].items(), key=lambda one: -one[1]["mean"])
            parts.append(
                bars(
                    width,
                    [(label, e["mean"] / 4, f"{e['mean']:.1f}", self._colour(label)) for label, e in rows],
                )
            )
            parts.append(_text("Mean of 0 (not at all) to 4 (very strongly).", NOTE))
        elif question.get("histogram"):
            parts.append(columns(width, [(f"{_plain(c['low'])}–{_plain(c['high'])}", c["n"]) for c in question["histogram"]]))
        elif question.get("counts") and question["kind"] in _SCALES:
            cells = [(c["title"] or str(c["id"]), c["n"]) for c in question["counts"]]
            parts.append(columns(width, cells, low=question.get("low") or "", high=question.get("high") or ""))
        elif question.get("counts"):
            thin = [
                [
                    (next((o["share"] for o in g["counts"] if o["id"] == c["id"]), 0.0), GROUPS[k % len(GROUPS)])
                    for k, _, g in groups
                    if g.get("counts")
                ]
                for c in question["counts"]
            ]
            main = "#8a8f98" if any(thin) else "#1f5a96"
            rows = [
                (c["title"] or str(c["id"]), 0.0, "not shown", main)
                if c["n"] is None
                else (c["title"] or str(c["id"]), c["share"], f"{c['n']} · {_percent(c['share'])}", main)
                for c in question["counts"]
            ]
            parts.append(bars(width, rows, thin=thin))
            if question.get("few"):
                parts.append(_text("What few people chose is not shown, nor what would tell it.", NOTE))
        if question.get("mean") is not None:
            spread = "" if question.get("sd") is None else f", spread (standard deviation) {_plain(question['sd'])}"
            median = "" if question.get("median") is None else f", median {_plain(question['median'])}"
            parts.append(_text(f"Mean {_plain(question['mean'])}{median}{spread}.", NOTE))
        for k, value, g in groups if not question.get("emotions") else []:
            mean = "" if g.get("mean") is None else f": mean {_plain(g['mean'])}"
            name = escape(f"{_cut(value['title'], 60)}{mean} ({g['n']})")
            parts.append(
                Paragraph(f'<font color="{GROUPS[k % len(GROUPS)]}">■</font> {name}', _style("group", 7.2, 9.6, textColor=SOFT))
            )
        return parts

    def _answered_by(self, question: Json) -> list[tuple[int, Json, Json]]:
        """The groups of the first variable by which the answers are told: (position, value, answers)."""
        for variable in self.review["variables"]:
            if found := (question.get("by_group") or {}).get(variable["id"]):
                return [(k, v, found[v["id"]]) for k, v in enumerate(variable["values"]) if v["id"] in found]
        return []

    def _agreement(self) -> list[Flowable]:
        found = self.review["agreement"]
        if not found or not (found["rows"] or found["liking"]):
            return []
        parts: list[Flowable] = [_text("What viewers said and what their faces showed", HEADING), _text(found["text"])]
        if found["rows"]:
            heads = ["Emotion", "Said (0–4)", "Shown", "Do those who said more show more?", "", "Correlation (95%)", "Viewers"]
            rows: list[list[Any]] = [[_text(name, COLUMN) for name in heads]]
            for row in found["rows"]:
                rows.append(
                    [
                        Paragraph(f'<font color="{self._colour(row["label"])}">●</font> {escape(row["label"])}', CELL),
                        _plain(row["reported_mean"]),
                        _percent(row["expressed_mean"]),
                        interval(86, row["rho"], row["low"], row["high"]),
                        _text(_together(row), CELL),
                        _text(_correlation(row), CELL),
                        str(row["n"]),
                    ]
                )
            shares = (0.15, 0.095, 0.085, 0.185, 0.205, 0.205, 0.075)
            table = self._table(rows, [self.width * share for share in shares])
            table.setStyle([("FONT", (0, 1), (-1, -1), FONT, 7.6), ("TEXTCOLOR", (0, 1), (-1, -1), INK), ("SPAN", (3, 0), (4, 0))])
            parts.append(table)
        if found["liking"]:
            liking = f"Liking and mean valence: {_together(found['liking'])}, correlation {_correlation(found['liking'])}."
            parts.append(_text(liking, _style("liking", 8, 11.4, spaceBefore=4)))
        return [KeepTogether(parts)]

    # --- the funnel, viewers and methods

    def _funnel(self) -> list[Flowable]:
        """How far people came, and why not further; reports that were kept before 0.6 have none."""
        found = self.review.get("funnel")
        if not found:
            return []
        rows: list[list[Any]] = [[_text("Stage", COLUMN), _text("People", COLUMN_NUMBER), _text("Of those who did not", COLUMN)]]
        for stage in found["stages"]:
            n, lost = stage["n"], stage["lost"]
            why = f"{lost['n']}{': ' if lost['reasons'] else ''}{reasons_text(lost)}" if lost["n"] else ""
            rows.append([_text(stage["title"], STRONG), _text("–" if n is None else str(n), NUMBER), _text(why, CELL)])
        if (withdrawn := found["withdrawn"])["n"]:
            rows.append(
                [_text("Withdrawn, all erased", STRONG), _text(str(withdrawn["n"]), NUMBER), _text(reasons_text(withdrawn), CELL)]
            )
        words = (
            "Reasons are what page and server saw: nobody is asked. None is told of fewer than "
            f"{self.review['smallest_group']} people; such are taken together."
        )
        if found["without_camera"]:
            words += f" {found['without_camera']} of those past the camera check went on without a camera."
        table = self._table(rows, [self.width * share for share in (0.26, 0.1, 0.64)])
        return [KeepTogether([_text("How far people came", HEADING), _text(words, NOTE), table])]

    def _viewers(self) -> list[Flowable]:
        viewers = [viewer for viewer in self.review["viewers"] if viewer["quality"] != "none"]
        if not viewers:
            return []
        variables = [one for one in self.review["variables"] if any(one["id"] in viewer["groups"] for viewer in viewers)][:2]
        names: list[tuple[str, float, bool]] = [("Viewer", 1.0, False), ("Quality", 0.9, False), ("Face found", 0.9, True)]
        names += [(_cut(variable["title"], 40), 1.6, False) for variable in variables]
        names += [
            ("To the end", 0.9, False),
            ("Began", 2.1, False),
            ("Minutes", 1.0, True),
            ("Looks", 0.8, True),
            ("Late", 0.7, True),
        ]
        names += [("Lost", 0.7, True), ("Pauses", 0.9, True)]
        total = sum(share for _, share, _ in names)
        rows: list[list[Any]] = [[_text(name, COLUMN_NUMBER if number else COLUMN) for name, _, number in names]]
        for viewer in viewers:
            of = [
                next((v["title"] for v in variable["values"] if v["id"] == viewer["groups"].get(variable["id"])), "–")
                for variable in variables
            ]
            quality = viewer["quality"]
            minutes = "–" if viewer["minutes"] is None else f"{viewer['minutes']:.1f}"
            numbers = [minutes, *(str(viewer[key]) for key in ("looks", "late", "dropped", "pauses"))]
            rows.append(
                [
                    _text(viewer["name"], STRONG),
                    Paragraph(f'<font color="{_QUALITIES.get(quality, "#1c1f24")}">{escape(quality)}</font>', CELL),
                    _text(_percent(viewer["face_share"]), NUMBER),
                    *(_text(_cut(title, 40), CELL) for title in of),
                    _text("yes" if viewer["finished"] else "no", CELL),
                    _text(_date(viewer["started_at"]).replace(" UTC", ""), CELL),
                    *(_text(number, NUMBER) for number in numbers),
                ]
            )
        table = self._table(rows, [self.width * share / total for _, share, _ in names])
        table.setStyle([("RIGHTPADDING", (2, 0), (2, -1), 12)])
        poor = [v for v in viewers if v["why"] and v["quality"] != "good"]
        words = "A look is one reading of the camera. Late looks came after a break of the network and are kept. Times are UTC."
        parts: list[Flowable] = [CondPageBreak(120), _text("Viewers", HEADING), _text(words, NOTE), table]
        if excluded := self.review.get("excluded"):
            lines = "; ".join(f"{one['viewer']}: {one['reason']}" for one in excluded)
            parts.append(
                _text(f"Left out by whoever runs the study: {_cut(lines, 3000)}.", _style("out", 7.6, 10.6, spaceBefore=4))
            )
        if poor:
            lines = "; ".join(f"{v['name']}: {v['why'].rstrip('.')}" for v in poor)
            parts.append(_text(f"Not good: {_cut(lines, 3000)}.", _style("poor", 7.6, 10.6, textColor=SOFT, spaceBefore=4)))
        return parts

    def _methods(self) -> list[Flowable]:
        review = self.review
        item = _style("item", 8, 11.6, leftIndent=9, bulletIndent=0, spaceAfter=2)
        facts = [
            _text(f"{_cut(film['title'], 120)}: {' '.join(film['facts'])}", NOTE) for film in review["stimuli"] if film["facts"]
        ]
        paragraph = review["methods"].get("paragraph")
        care = (
            "People show the same feeling in different ways, and a face can be posed, polite or at rest. Programs of this kind "
            "are often wrong, more so for faces turned away, badly lit or covered, and for people unlike those they learned from. "
            "A curve of many viewers evens some of this out; it does not remove what is wrong in the same way for all."
        )
        return [
            KeepTogether([_text("How to read this", HEADING), _text(review["caveat"]), _text(care)]),
            _text(review["law"]),
            KeepTogether(
                [
                    _text("How it was made", SUBHEADING),
                    *(Paragraph(escape(line), item, bulletText="•") for line in review["methods"]["text"][:2]),
                ]
            ),
            *(Paragraph(escape(line), item, bulletText="•") for line in review["methods"]["text"][2:]),
            Spacer(0, 4),
            *facts,
            *([_text("Methods, ready to paste", SUBHEADING), _text(paragraph)] if paragraph else []),
        ]


def _answers(question: Json) -> str:
    n = question["n"]
    return f"{n} answer{'' if n == 1 else 's'}{'; several could be ticked' if question['kind'] == 'multiple' else ''}"


def _together(row: Json) -> str:
    """How two things go together; reports that were kept before 0.3 have no words for it."""
    return str(row.get("says") or "–")


def _correlation(row: Json) -> str:
    if row["rho"] is None:
        return "–"
    return _plain(row["rho"], 2) + ("" if row["low"] is None else f" ({_plain(row['low'], 2)} to {_plain(row['high'], 2)})")
