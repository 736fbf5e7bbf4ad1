"""The director's sheet: of each film one sheet with the strip and the audience's curve, three sentences, what people said, two or
three moments with stills, how many and how well seen. As HTML, PDF and PPTX, all from one review: nothing stands on it that the
review does not tell, so nothing of fewer than the smallest group.
"""

import base64
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any

from reportlab.graphics.shapes import Drawing, Line, Polygon, PolyLine, Rect, String
from reportlab.lib.colors import Color
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.utils import ImageReader, simpleSplit
from reportlab.pdfgen.canvas import Canvas

from mien import __version__, page_file
from mien.report import writing
from mien.study.definition import SCALES
from mien.study_report import drawn_curves
from mien.study_report.headline import LEAST_TESTED, clearest, clock, headline
from mien.study_report.paper_charts import BOLD, FONT, INK, LEFT, RIGHT, SOFT, curves, fit, legend, register_fonts

MOMENTS, SAID, STILLS = 3, 4, 10
"""At most so many moments and answers on a sheet; so many stills in its strip."""

SLIDE = (960.0, 540.0)
"""Points of a slide, 16:9."""

_TITLE, _TEXT, _SMALL = 20.0, 10.5, 7.6
_OWN = Path(__file__).parent / "static"
_EMU = 12700  # of a point

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sheet:
    """What stands on the sheet of one film.

    sentences  what stands out, who stayed, how alike they were        said  answers, a line each
    moments    {"time", "signal", "says", "still"}, still a data URI or None
    measured   how many viewers and how well they were seen
    film       the film in the review, which has no curves where they are hidden
    """

    title: str
    sentences: tuple[str, ...]
    said: tuple[str, ...]
    moments: tuple[Json, ...]
    measured: str
    film: Json

    @property
    def end_s(self) -> float:
        """Where its axis ends."""
        return float(self.film["duration_s"] or (self.film["times"] or [1.0])[-1])


def sheets(review: Json) -> list[Sheet]:
    """A sheet of each film, in their order."""
    return [_sheet(review, film) for film in review["stimuli"]]


def _sheet(review: Json, film: Json) -> Sheet:
    head = headline({**review, "stimuli": [film]})
    if not film["curves"]:
        return Sheet(film["title"], (head,), (), (), f"{film['viewers']} viewers so far", film)
    end_s = float(film["duration_s"] or film["times"][-1])
    best = [clearest(film["moments"])] if film["moments"] else []
    rest = sorted((m for m in film["moments"] if m not in best), key=lambda m: (m["signal"] == "valence", -abs(m["rise"])))
    moments = sorted([*best, *rest][:MOMENTS], key=lambda m: float(m["time_s"]))
    shares = [share for share in film["attention"] or () if share is not None]
    coverage = f"; on average a face was found in {statistics.fmean(shares):.0%} of them" if shares else ""
    n = film.get("in_curves") or film["viewers"]
    return Sheet(
        title=film["title"],
        sentences=tuple(filter(None, (head, _stayed(film), _beside(review, film) or _alike(film)))),
        said=tuple(_said(review["questions"])),
        moments=tuple(
            {"time": clock(m["time_s"], end_s), "signal": m["signal"], "says": m["says"], "still": m["still"]} for m in moments
        ),
        measured=f"{n} viewer{'' if n == 1 else 's'} in the curves{coverage}",
        film=film,
    )


def _stayed(film: Json) -> str:
    """Who stayed, in a sentence."""
    if "least_watched" not in film:  # a report that was kept before 0.5
        return ""
    least, left, viewers = f"{film['least_watched']:.0%}", len(film["left"]), film["viewers"]
    if not left:
        return f"All {viewers} viewers saw at least {least} of it."
    out = "the curves are theirs" if film["compared"] else "too few to show, so the curves are of all"
    return f"{viewers - left} of {viewers} viewers saw at least {least} of it; {out}."


def _beside(review: Json, film: Json) -> str:
    """How a cut differs from the other, in its strongest sentence."""
    found = review.get("cuts")
    return str(found["says"][0]) if found and film["id"] in (found["first"], found["second"]) else ""


def _alike(film: Json) -> str:
    """Whether the viewers moved together, in a sentence."""
    found = film["synchrony"]
    if found and found["isc"] is not None and found["p"] is not None:
        than = "more than" if found["p"] < 0.05 else "no more than"
        return f"Their faces moved together {than} chance would have it."
    if not film.get("tested", True):
        return f"Of fewer than {LEAST_TESTED} viewers no moment is named."
    return ""


def _said(questions: Sequence[Json]) -> list[str]:
    """What people answered, the questions after the film first; a line for each of those that say something."""
    ordered = sorted(questions, key=lambda asked: asked["part"] != "after")
    return [line for asked in ordered if (line := _answer(asked))][:SAID]


def _answer(asked: Json) -> str:
    title, n = _cut(asked["title"], 90), f"{asked['n']} answers"
    if asked.get("hidden"):
        return ""
    if asked.get("emotions"):
        most = sorted(asked["emotions"].items(), key=lambda one: -one[1]["mean"])[:2]
        felt = " and ".join(f"{label} ({one['mean']:.1f} of 4)" for label, one in most)
        return f"{title} Most {felt}; {n}."
    if asked.get("mean") is not None:
        scale = f" of {SCALES[asked['kind']]}" if asked["kind"] in SCALES else ""
        return f"{title} {asked['mean']:.1f}{scale} on average; {n}."
    if asked.get("texts"):
        return f"{title} {', '.join(f'“{_cut(text, 60)}”' for text in asked['texts'][:3])}"
    told = [one for one in asked.get("counts") or () if one["n"]]
    if asked["kind"] in ("single", "multiple") and told:
        top = max(told, key=lambda one: one["n"])
        return f"{title} {_cut(top['title'] or str(top['id']), 60)}: {top['share']:.0%} of {n}."
    return ""


def _cut(text: str, letters: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"


def _chart(review: Json, sheet: Sheet, width: float, height: float) -> tuple[Drawing, Drawing]:
    """The names of the lines, and the lines of a sheet."""
    film, main = sheet.film, drawn_curves.liveliest(review, sheet.film)
    lines = [drawn_curves.line(review, film, "raw", signal) for signal in main]
    drawing = curves(
        width,
        height,
        lines,
        end_s=sheet.end_s,
        markers=film["markers"],
        moments=[m for m in film["moments"] if m["signal"] in main],
        seen=(film["times"], film["n"]),
        steps=film.get("steps", ()),
    )
    return legend(width, [(one.name, one.colour, one.dash) for one in lines]), drawing


def _stills(sheet: Sheet) -> list[str]:
    """The pictures of the strip, at even times."""
    strip = sheet.film["strip"]
    times = [(k + 0.5) / STILLS * sheet.end_s for k in range(STILLS)] if strip else []
    return [min(strip, key=lambda one: abs(one["time_s"] - t))["image"] for t in times]


def _foot(review: Json) -> str:
    simulated = f"Simulated. {review['simulated']} " if review["simulated"] else ""
    return f"{simulated}{review['caveat']} Curves: how sure the program is that a face appears to show it; mean and 95% band."


# --- HTML


def html(review: Json, path: str | PathLike[str]) -> None:
    """Writes the sheets as one page that opens without a network and runs no script. Raises `MediaError` where it cannot be
    written."""
    with writing(path) as file:
        file.write(page(review))


def page(review: Json) -> str:
    """The page's markup."""
    register_fonts()
    return "".join(
        page_file.fill(
            (_OWN / "director.html").read_text(encoding="utf-8"),
            policy=page_file.policy(),
            version=__version__,
            title=escape(review["title"]),
            sheets="\n".join(_section(review, sheet) for sheet in sheets(review)),
            foot=escape(_foot(review)),
        )
    )


def _section(review: Json, sheet: Sheet) -> str:
    head, *more = (escape(sentence) for sentence in sheet.sentences)
    parts = [f'<p class="kicker">{escape(review["title"])} · {escape(sheet.title)} · {escape(sheet.measured)}</p><h1>{head}</h1>']
    if sheet.film["curves"]:
        names, drawing = _chart(review, sheet, 640, 180)
        strip = "".join(f'<img src="{escape(uri)}" alt="">' for uri in _stills(sheet))
        label = f"What the faces of the audience appeared to show through {sheet.title}"
        whole = f'<div class="strip">{strip}</div>{_svg(names)}{_svg(drawing)}'
        parts.append(f'<figure role="img" tabindex="0" aria-label="{escape(label)}">{whole}</figure>')
    cards = "".join(_card(moment) for moment in sheet.moments)
    said = "".join(f"<li>{escape(line)}</li>" for line in sheet.said)
    columns = [f"<div>{''.join(f'<p>{sentence}</p>' for sentence in more)}</div>" if more else ""]
    columns.append(f"<div><h2>What people said</h2><ul>{said}</ul></div>" if said else "")
    columns.append(f'<div><h2>Moments</h2><ol class="moments">{cards}</ol></div>' if cards else "")
    return f'<section>{"".join(parts)}<div class="columns">{"".join(columns)}</div></section>'


def _card(moment: Json) -> str:
    still = f'<img src="{escape(moment["still"])}" alt="">' if moment["still"] else ""
    name = escape(f"{moment['time']} · {moment['signal']}")
    return f"<li>{still}<div><b>{name}</b><p>{escape(moment['says'])}</p></div></li>"


def _svg(drawing: Drawing) -> str:
    """A drawing as inline SVG that scales."""
    parts = []
    for part, points, closed in _outlines(drawing):
        x, y = points[0]
        if isinstance(part, String):
            look = f'font-size="{part.fontSize:g}" text-anchor="{part.textAnchor}" fill="#{part.fillColor.hexval()[2:]}"'
            parts.append(f'<text x="{x:.1f}" y="{y:.1f}" {look}>{escape(part.text)}</text>')
            continue
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + ("Z" if closed else "")
        parts.append(f'<path d="{path}" {_look(part, closed)}/>')
    return f'<svg viewBox="0 0 {drawing.width:g} {drawing.height:g}" aria-hidden="true">{"".join(parts)}</svg>'


def _look(part: Any, closed: bool) -> str:
    fill, stroke = part.fillColor if closed else None, part.strokeColor
    found = "fill='none'" if fill is None else f'fill="#{fill.hexval()[2:8]}" fill-opacity="{fill.alpha:g}"'
    if stroke is not None:
        found += f' stroke="#{stroke.hexval()[2:8]}" stroke-width="{part.strokeWidth:g}"'
        if part.strokeDashArray:
            found += f' stroke-dasharray="{" ".join(f"{n:g}" for n in part.strokeDashArray)}"'
    return found


def _outlines(drawing: Drawing) -> Iterator[tuple[Any, list[tuple[float, float]], bool]]:
    """Each thing of a drawing with its points, from the top left, and whether they go round an area; of a text where it stands."""
    for part in drawing.contents:
        if isinstance(part, String):
            points = [(part.x, part.y)]
        elif isinstance(part, Line):
            points = [(part.x1, part.y1), (part.x2, part.y2)]
        elif isinstance(part, PolyLine | Polygon):
            points = list(zip(part.points[::2], part.points[1::2], strict=True))
        elif isinstance(part, Rect):
            right, top = part.x + part.width, part.y + part.height
            points = [(part.x, part.y), (right, part.y), (right, top), (part.x, top)]
        else:
            raise TypeError(f"a sheet's drawing has no {type(part).__name__}")
        yield part, [(x, drawing.height - y) for x, y in points], isinstance(part, Polygon | Rect)


# --- where all stands on a sheet of paper or a slide


@dataclass(frozen=True, slots=True)
class _Words:
    """A text from (x, y), the top left, in points; in lines no wider than `width`."""

    x: float
    y: float
    width: float
    text: str
    size: float = _TEXT
    bold: bool = False
    colour: Color = INK

    @property
    def lines(self) -> list[str]:
        split: list[str] = simpleSplit(self.text, BOLD if self.bold else FONT, self.size, self.width)
        return split

    @property
    def height(self) -> float:
        return len(self.lines) * self.size * 1.3


@dataclass(frozen=True, slots=True)
class _Picture:
    x: float
    y: float
    width: float
    height: float
    uri: str


@dataclass(frozen=True, slots=True)
class _Chart:
    x: float
    y: float
    drawing: Drawing


_Thing = _Words | _Picture | _Chart


def _placed(review: Json, sheet: Sheet, width: float, height: float) -> list[_Thing]:
    """All of a sheet, from top to bottom, within margins; texts that have no more room are left out."""
    margin, gap = 28.0, 10.0
    room, floor = width - 2 * margin, height - 42.0
    kicker = fit(f"{review['title']} · {sheet.title} · {sheet.measured}", room, _SMALL + 1)
    things: list[_Thing] = [_Words(margin, 20, room, kicker, _SMALL + 1, colour=SOFT)]
    head = _Words(margin, 34, room, _cut(sheet.sentences[0], 220), _TITLE, bold=True)
    things.append(head)
    y = head.y + head.height + 6
    if sheet.film["curves"]:
        stills = _stills(sheet)
        if stills:
            each = (room - LEFT - RIGHT) / len(stills)
            tall = _tall(stills[0], each - 2)
            things += [_Picture(margin + LEFT + k * each + 1, y, each - 2, tall, uri) for k, uri in enumerate(stills)]
            y += tall + 4
        names, drawing = _chart(review, sheet, room, height * 0.32)
        things += [_Chart(margin, y, names), _Chart(margin, y + names.height, drawing)]
        y += names.height + drawing.height + gap
    shown = 1 + bool(sheet.said) + bool(sheet.moments)
    each = (room - gap * (shown - 1)) / shown
    columns = [[(sentence, False) for sentence in sheet.sentences[1:]]]
    if sheet.said:
        columns.append([("What people said", True), *((line, False) for line in sheet.said)])
    for k, texts in enumerate(columns):
        at = y
        for text, bold in texts:
            words = _Words(margin + k * (each + gap), at, each, text, bold=bold)
            if at + words.height > floor:
                break
            things.append(words)
            at += words.height + 3
    if sheet.moments:
        things += _cards(sheet.moments, margin + (shown - 1) * (each + gap), y, each, floor)
    words = _Words(margin, height - 34, room, _foot(review), _SMALL, colour=SOFT)
    made = f"Made by mien {__version__}"
    return [*things, words, _Words(margin, height - 34 + words.height, room, made, _SMALL, colour=SOFT)]


def _cards(moments: Sequence[Json], x: float, y: float, width: float, floor: float) -> list[_Thing]:
    """Moments one under the other, each with its still beside."""
    things: list[_Thing] = []
    picture = min(72.0, width * 0.3)
    for moment in moments:
        tall = _tall(moment["still"], picture) if moment["still"] else 0.0
        left = x + (picture + 8 if moment["still"] else 0)
        words = [
            _Words(left, y, width - (left - x), f"{moment['time']} · {moment['signal']}", _TEXT - 1, bold=True),
            _Words(left, y + 13, width - (left - x), moment["says"], _TEXT - 1.5),
        ]
        ends = max(y + tall, words[1].y + words[1].height)
        if ends > floor:
            break
        things += [_Picture(x, y, picture, tall, moment["still"])] if moment["still"] else []
        things += words
        y = ends + 6
    return things


def _tall(uri: str, width: float) -> float:
    wide, high = ImageReader(_bytes(uri)).getSize()
    return width * float(high) / max(float(wide), 1.0)


def _bytes(uri: str) -> BytesIO:
    return BytesIO(base64.b64decode(uri.partition(",")[2]))


# --- PDF


def pdf(review: Json, path: str | PathLike[str]) -> None:
    """Writes the sheets, A4 across, one a film. Raises `MediaError` where the file cannot be written."""
    register_fonts()
    width, height = landscape(A4)
    content = BytesIO()
    canvas = Canvas(content, pagesize=(width, height), lang="en")
    canvas.setTitle(_cut(review["title"], 200))
    canvas.setAuthor(f"mien {__version__}")
    for sheet in sheets(review):
        for thing in _placed(review, sheet, width, height):
            if isinstance(thing, _Words):
                canvas.setFillColor(thing.colour)
                canvas.setFont(BOLD if thing.bold else FONT, thing.size)
                for k, text in enumerate(thing.lines):
                    canvas.drawString(thing.x, height - thing.y - thing.size * (1 + 1.3 * k), text)
            elif isinstance(thing, _Picture):
                image = ImageReader(_bytes(thing.uri))
                canvas.drawImage(image, thing.x, height - thing.y - thing.height, thing.width, thing.height)
            else:
                thing.drawing.drawOn(canvas, thing.x, height - thing.y - thing.drawing.height)
        canvas.showPage()
    canvas.save()
    with writing(path, "wb") as file:
        file.write(content.getvalue())


# --- PPTX


def pptx(review: Json, path: str | PathLike[str]) -> None:
    """Writes the sheets as slides, 16:9, one a film: texts, stills, and curves as shapes that can be changed. Raises `MediaError`
    where the file cannot be written."""
    from pptx import Presentation  # half a second
    from pptx.util import Pt

    register_fonts()
    slides = Presentation()
    slides.slide_width, slides.slide_height = (Pt(side) for side in SLIDE)
    slides.core_properties.title, slides.core_properties.author = _cut(review["title"], 200), f"mien {__version__}"
    title_only = slides.slide_layouts[5]
    for sheet in sheets(review):
        slide = slides.slides.add_slide(title_only)
        for thing in _placed(review, sheet, *SLIDE):
            if isinstance(thing, _Words):
                box = slide.shapes.title if thing.size == _TITLE else slide.shapes.add_textbox(0, 0, 0, 0)
                _write_words(box, thing)
            elif isinstance(thing, _Picture):
                box = (Pt(thing.x), Pt(thing.y), Pt(thing.width), Pt(thing.height))
                slide.shapes.add_picture(_bytes(thing.uri), *box)
            else:
                _draw(slide.shapes, thing)
    content = BytesIO()
    slides.save(content)
    with writing(path, "wb") as file:
        file.write(content.getvalue())


def _write_words(box: Any, words: _Words) -> None:
    from pptx.enum.text import MSO_ANCHOR, PP_ALIGN
    from pptx.util import Pt

    box.left, box.top, box.width, box.height = Pt(words.x), Pt(words.y), Pt(words.width), Pt(words.height)
    frame = box.text_frame
    frame.word_wrap, frame.vertical_anchor = True, MSO_ANCHOR.TOP
    frame.margin_left = frame.margin_right = frame.margin_top = frame.margin_bottom = 0
    frame.paragraphs[0].alignment = PP_ALIGN.LEFT
    _letters(frame.paragraphs[0], words.text, words.size, words.bold, words.colour)


def _letters(paragraph: Any, text: str, size: float, bold: bool, colour: Color) -> None:
    from pptx.util import Pt

    run = paragraph.add_run()
    run.text = text
    run.font.size, run.font.bold = Pt(size * 0.94), bold  # what replaces DejaVu Sans may be a little wider than it
    run.font.color.rgb = _rgb(colour)


def _rgb(colour: Color) -> Any:
    from pptx.dml.color import RGBColor

    return RGBColor(*(round(255 * part) for part in (colour.red, colour.green, colour.blue)))


def _draw(shapes: Any, chart: _Chart) -> None:
    """A drawing's lines, areas and letters as shapes."""
    for part, points, closed in _outlines(chart.drawing):
        at = [(round((chart.x + x) * _EMU), round((chart.y + y) * _EMU)) for x, y in points]
        if isinstance(part, String):
            _write_label(shapes, part, *at[0])
        elif len(at) > 1:
            builder = shapes.build_freeform(*at[0], scale=1.0)
            builder.add_line_segments(at[1:], close=closed)
            _paint(builder.convert_to_shape(), part, closed)


def _paint(shape: Any, part: Any, closed: bool) -> None:
    from pptx.enum.dml import MSO_LINE
    from pptx.util import Pt

    shape._element.remove(shape._element.find("{*}style"))  # the theme's shadows
    fill = part.fillColor if closed else None
    if fill is None:
        shape.fill.background()
    else:
        shape.fill.solid()
        shape.fill.fore_color.rgb = _rgb(fill)
        if fill.alpha < 1:
            of = shape.fill._xPr.find(".//{*}srgbClr")
            of.append(of.makeelement(of.tag.replace("srgbClr", "alpha"), {"val": str(round(fill.alpha * 100_000))}))
    if part.strokeColor is None:
        shape.line.fill.background()
        return
    shape.line.color.rgb, shape.line.width = _rgb(part.strokeColor), Pt(part.strokeWidth or 0.5)
    if part.strokeDashArray:
        shape.line.dash_style = MSO_LINE.ROUND_DOT if max(part.strokeDashArray) < 3 else MSO_LINE.DASH


def _write_label(shapes: Any, part: Any, x: int, y: int) -> None:
    from pptx.enum.text import PP_ALIGN

    wide, tall = round(200 * _EMU), round(part.fontSize * 1.3 * _EMU)
    left = {"start": x, "middle": x - wide // 2, "end": x - wide}[part.textAnchor]
    box = shapes.add_textbox(left, y - round(part.fontSize * _EMU), wide, tall)
    frame = box.text_frame
    frame.word_wrap = True
    frame.margin_left = frame.margin_right = frame.margin_top = frame.margin_bottom = 0
    paragraph = frame.paragraphs[0]
    paragraph.alignment = {"start": PP_ALIGN.LEFT, "middle": PP_ALIGN.CENTER, "end": PP_ALIGN.RIGHT}[part.textAnchor]
    _letters(paragraph, part.text, part.fontSize, False, part.fillColor)
