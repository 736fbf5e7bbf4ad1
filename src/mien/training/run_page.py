"""Pages of the laboratory: report.html of one run, index.html of an experiment. One file each, in the look of a film's report.

Everything stands in the page: no script, no font, no picture from elsewhere. Curves are drawn as SVG, so that they follow the
page's colours; curves.png beside report.html is the same for papers.
"""

import html as markup
import math
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from mien import __version__, page_file
from mien.errors import DataError
from mien.training.experiment import (
    PRIVATE_NOTE,
    PUBLIC_NOTE,
    Experiment,
    McNemar,
    Result,
    claims_table,
    figure_text,
    mcnemar,
    private_table,
    public_table,
    stuck_text,
    table_rows,
    told_test,
)
from mien.training.paper_tables import paper_tables
from mien.training.run_folder import RunFolder, read_run
from mien.whole_file import whole_file

SERIES = ("#2b6cb0", "#c43a31", "#4c8c2b", "#6a4fb3", "#e6a700", "#00897b", "#d35fb7", "#8a8f98")
"""Colours of the lines, in their order; after the last they begin again."""

STYLE = """<style>
.wide table { font-size: .875rem; }
.wide td, .wide th { white-space: nowrap; }
.charts { display: grid; gap: 24px 40px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 380px), 1fr)); margin-top: 18px; }
.charts svg { display: block; width: 100%; height: auto; overflow: visible; }
.charts text { fill: var(--muted); font-size: 12px; }
.charts .grid { stroke: var(--line); stroke-width: 1; }
.charts polyline { fill: none; stroke-width: 2; stroke: var(--s); }
.charts circle { fill: var(--s); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin-top: 14px; font-size: .875rem; padding: 0; list-style: none; }
.legend svg { width: 26px; height: 8px; vertical-align: middle; margin-right: 7px; }
.legend line { stroke: var(--s); stroke-width: 2.5; }
.matrices { display: grid; gap: 28px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); margin-top: 18px; }
.matrix { max-width: 560px; margin-top: 12px; }
.matrix table { font-size: .8125rem; table-layout: fixed; }
.matrix td { text-align: center; padding: 7px 2px; border: 0; font-variant-numeric: tabular-nums;
  background: color-mix(in srgb, var(--accent) calc(var(--p) * 62%), transparent); }
.matrix th { border: 0; padding: 4px 6px 4px 0; overflow: hidden; text-overflow: ellipsis; }
.matrix thead th { text-align: center; }
.matrix th:first-child { width: 82px; }
.matrix figcaption { margin-top: 6px; }
.failed { color: #c43a31; }
@media (prefers-color-scheme: dark) { .failed { color: #ef8078; } }
@media print {
  .wide table { font-size: 7pt; }
  .matrix, .charts > * { break-inside: avoid; }
}
</style>"""

READ_WITH_CARE = (
    "The figures are of pictures from the same source as those learnt from. On other cameras, light and people expect less. "
    "A class is what raters said that a picture shows, not what the person felt."
)


def write_run_page(run: Path) -> Path:
    """report.html and curves.png of a run folder, out of nothing but that folder; gives back the page's path.

    With scores of PublicTest in the folder (see `mien.training.scoring.score_run`) the page shows the confusion matrix, without
    them it says how to get them. Raises `DataError` where the folder is no run or has no finished epoch.
    """
    found = read_run(run)
    if not found.epochs:
        raise DataError(f"{run}: has no finished epoch yet; wanted at least one for its page")
    from mien.training.pictures import curves_picture

    try:
        curves_picture(found.epochs, run / "curves.png", title=found.recipe.name)
        with whole_file(run / "report.html") as part:
            part.write_text(run_page(found), encoding="utf-8")
    except OSError as error:
        raise DataError(f"{run}: its page cannot be written: {error.strerror}") from error
    return run / "report.html"


def run_page(run: RunFolder) -> str:
    """The page of a run that has at least one finished epoch."""
    recipe, head, best = run.recipe, run.head, run.best
    done = int(run.epochs[-1]["epoch"])
    facts = [
        ("Network", recipe.network),
        ("Epochs", f"{done}" if done == run.planned else f"{done} of {run.planned}"),
        ("Training faces", f"{run.facts['faces']:,}" if "faces" in run.facts else "unknown"),
        ("PublicTest accuracy", _percent(best.get(f"{head}_accuracy"))),
        ("at epoch", f"{best['epoch']:.0f}"),
    ]
    if (seconds := run.epoch_seconds("seconds")) is not None:
        facts.append(("Per epoch", f"{seconds:.1f} s"))
    title = markup.escape(recipe.name)
    lead = markup.escape(recipe.description) or "A training run"
    sections = [
        f'<header class="top"><div><p class="file">Training run {title}</p><h1>{lead}</h1>'
        f'<p class="caveat small">{READ_WITH_CARE}</p></div></header>',
        _facts(facts),
        *([_section("Learnt nothing", _STUCK.format(said=run.stuck), "")] if run.stuck else []),
        _section(
            "Curves",
            "Dashed: on the Training pictures, as they are learnt from, augmented and with dropout. Whole: on PublicTest.",
            _run_curves(run),
        ),
        _section("Epochs", "", _epochs(run)),
        _section("Confusion on PublicTest", _MATRIX_TEXT, _matrices(run.public, recipe.name))
        if run.public
        else _section(
            "Confusion on PublicTest",
            "Not worked out yet: mien compare does it, and mien export writes it into the model's card.",
            "",
        ),
        _section("Recipe", "", _recipe(run)),
    ]
    return _page(f"{title} · training run", sections, len(facts))


_MATRIX_TEXT = "A row for what it is, a column for what was said; counts, shaded by their share of the row."


_STUCK = (
    "This network says {said} of nearly every picture and stands less than 5 points above the share of the most frequent class. "
    "It is no result. Try larger batches, or a lower rate."
)


def _run_curves(run: RunFolder) -> str:
    charts = []
    for what, suffix in (("Loss", "loss"), ("Accuracy", "accuracy")):
        lines = []
        for i, head in enumerate(run.recipe.heads):
            lines.append((f"{head}", i, False, _points(run, f"{head}_{suffix}")))
            lines.append((f"{head}, training", i, True, _points(run, f"train_{head}_{suffix}")))
        if suffix == "loss":
            lines.append(("training", 0 if len(run.recipe.heads) == 1 else len(run.recipe.heads), True, _points(run, "train_loss")))
        charts.append(chart(what, [line for line in lines if line[3]], share=suffix == "accuracy"))
    return f'<div class="charts">{"".join(charts)}</div>' + _legend([(name, i, False) for i, name in enumerate(run.recipe.heads)])


def _points(run: RunFolder, column: str) -> list[tuple[float, float]]:
    return [(row["epoch"], row[column]) for row in run.epochs if column in row]


Line = tuple[str, int, bool, list[tuple[float, float]]]
"""Name, colour, whether dashed, points (epoch, value)."""


def chart(title: str, lines: Sequence[Line], *, share: bool) -> str:
    """Lines against epochs as SVG. `share` shows the values as per cent."""
    width, height, left, right, top, bottom = 520, 300, 44, 8, 8, 30
    points = [point for *_, line in lines for point in line]
    if not points:
        return ""
    last = max(max(x for x, _ in points), 2.0)
    low, high = min(y for _, y in points), max(y for _, y in points)
    step = _step(high - low or max(abs(high), 0.1))
    low, high = step * math.floor(low / step), step * math.ceil(high / step)
    high = high if high > low else low + step

    def x(epoch: float) -> float:
        return left + (width - left - right) * (epoch - 1) / (last - 1)

    def y(value: float) -> float:
        return top + (height - top - bottom) * (high - value) / (high - low)

    parts = []
    for k in range(round((high - low) / step) + 1):
        value = low + k * step
        said = f"{100 * value:.{0 if step >= 0.01 else 1}f} %" if share else f"{value:.{2 if step < 0.1 else 1}f}"
        parts.append(
            f'<line class="grid" x1="{left}" x2="{width - right}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
            f'<text x="{left - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{said}</text>'
        )
    every = max(1, round(last / 8))
    for epoch in sorted({1, *range(every, int(last) + 1, every)}):
        parts.append(f'<text x="{x(epoch):.1f}" y="{height - 8}" text-anchor="middle">{epoch}</text>')
    for name, colour, dashed, line in lines:
        style = f'style="--s:{SERIES[colour % len(SERIES)]}"' + (' stroke-dasharray="5 4"' if dashed else "")
        places = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in line)
        label = f"<title>{markup.escape(name)}</title>"
        parts.append(f'<polyline {style} points="{places}">{label}</polyline>')
        if len(line) <= 12:
            parts += [f'<circle {style} cx="{x(a):.1f}" cy="{y(b):.1f}" r="3">{label}</circle>' for a, b in line]
    return (
        f'<figure><h3>{title}</h3><svg viewBox="0 0 {width} {height}" role="img" aria-label="{title} against epochs">'
        f"{''.join(parts)}</svg></figure>"
    )


def _step(span: float) -> float:
    """A round step that divides `span` into about five."""
    power = 10.0 ** math.floor(math.log10(span / 5))
    return next(power * k for k in (1, 2, 5, 10) if span / (power * k) <= 6)


def _legend(entries: Sequence[tuple[str, int, bool]]) -> str:
    items = "".join(
        f'<li><svg viewBox="0 0 26 8" aria-hidden="true"><line x1="0" x2="26" y1="4" y2="4" style="--s:{SERIES[i % len(SERIES)]}"'
        f"{' stroke-dasharray=' + chr(34) + '5 4' + chr(34) if dashed else ''}/></svg>{markup.escape(name)}</li>"
        for name, i, dashed in entries
    )
    return f'<ul class="legend">{items}</ul>'


def _epochs(run: RunFolder) -> str:
    times = {row["epoch"]: row for row in run.timing}
    columns = [name for name in run.epochs[0] if name != "epoch"]
    timed = [name for name in ("seconds", "cpu_seconds", "gpu_seconds") if any(row.get(name) is not None for row in run.timing)]
    names = {"seconds": "seconds", "cpu_seconds": "CPU seconds", "gpu_seconds": "GPU seconds"}
    head = ["epoch", *(name.replace("_", " ") for name in columns), *(names[name] for name in timed)]
    best = run.best["epoch"]
    rows = []
    for row in run.epochs:
        time = times.get(row["epoch"], {})
        cells = [f"{row['epoch']:.0f}", *(_value(name, row.get(name)) for name in columns)]
        cells += ["" if time.get(name) is None else f"{time[name]:.1f}" for name in timed]
        rows.append([f"<b>{cell}</b>" for cell in cells] if row["epoch"] == best else cells)
    note = '<p class="small soft" style="margin-top:8px">Bold: the epoch whose weights are kept (best.ckpt).'
    if timed:
        note += " Times include the look at PublicTest after each epoch."
    return html_table(head, rows, escape=False) + note + "</p>"


def _value(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{100 * value:.1f} %" if name.endswith("accuracy") or name == "score" else f"{value:.4f}"


def _recipe(run: RunFolder) -> str:
    pairs = []
    for key, value in run.recipe.to_json().items():
        for name, plain in value.items() if isinstance(value, dict) and key != "heads" else [("", value)]:
            pairs.append((f"{key}.{name}" if name else key, _plain(plain)))
    made = dict(run.facts.get("versions", {})) | {"commit": run.facts.get("commit", "unknown")}
    if run.network is not None:
        made |= {
            "parameters": f"{run.network['parameters']:,}",
            "one picture, one thread": f"{1000 * run.network['seconds_per_picture']:.2f} ms",
        }

    def listed(found: Sequence[tuple[str, str]]) -> str:
        return '<dl class="pairs">' + "".join(f"<dt>{_e(k)}</dt><dd>{_e(v)}</dd>" for k, v in found) + "</dl>"

    return (
        f'<div class="two"><div><h3>Made with</h3>{listed([(k, str(v)) for k, v in made.items()])}</div>'
        f"<div><h3>All its keys</h3>{listed(pairs)}</div></div>"
    )


def _plain(value: Any) -> str:
    if value is None:
        return "the network's own"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(_plain(part) for part in value) or "none"
    return str(value) if value != "" else "none"


# --- an experiment ----------------------------------------------------------------------------------------------------------------


def comparison_page(experiment: Experiment, results: Sequence[Result]) -> str:
    """The page of an experiment, as far as it has come."""
    table = table_rows(results)
    finished = sum(result.status == "finished" for result in results)
    facts = [("Runs", f"{finished} of {len(results)} finished")]
    best = max((row for row in table if row.finished), key=lambda row: row.mean["accuracy"], default=None)
    if best is not None:
        facts += [("Best on PublicTest", best.name), ("its PrivateTest accuracy", figure_text(best, "private_accuracy"))]
        facts += [("one-vs-rest", figure_text(best, "private_one_vs_rest_accuracy"))]
    sections = [
        f'<header class="top"><div><p class="file">{_e(experiment.paper or "Comparison")}</p><h1>{_e(experiment.title)}</h1>'
        + (f'<p class="soft" style="max-width:72ch">{_e(experiment.about)}</p>' if experiment.about else "")
        + (
            f'<p class="damage small" style="max-width:72ch"><b>Scaled down:</b> {_e(experiment.scaled)}</p>'
            if experiment.scaled
            else ""
        )
        + f'<p class="caveat small" style="margin-top:14px">{READ_WITH_CARE}</p></div></header>',
        _facts(facts),
        _section("PublicTest", PUBLIC_NOTE, html_table(*public_table(table))),
        _section("PrivateTest", PRIVATE_NOTE, html_table(*private_table(table)) + _tested(mcnemar(results))),
    ]
    if any(row.claims for row in table):
        sections.append(_section("Beside the paper", _CLAIMS_TEXT, html_table(*claims_table(table))))
    sections += [_section(own.title, own.note, html_table(*own.table)) for own in paper_tables(table)]
    if stuck := stuck_text(table):
        sections.append(_section("Learnt nothing", stuck.replace("*", ""), ""))
    missing = [result for result in results if result.status != "finished"]
    if missing:
        lines = "".join(
            f'<dt class="{result.status}">{_e(result.cell.folder)}</dt><dd>{_e(result.failure or result.status)}</dd>'
            for result in missing
        )
        sections.append(_section("Not finished", "", f'<dl class="pairs">{lines}</dl>'))
    begun = [result.run for result in results if result.run is not None and result.run.epochs]
    if begun:
        sections.append(_section("Curves", "On PublicTest, and dashed in training.", _all_curves(begun)))
    matrices = "".join(_matrices(run.private, run.recipe.name) for run in begun if run.private is not None)
    if matrices:
        sections.append(_section("Confusion on PrivateTest", _MATRIX_TEXT, f'<div class="matrices">{matrices}</div>'))
    return _page(f"{_e(experiment.title)} · comparison", sections, len(facts))


_CLAIMS_TEXT = (
    "The paper's figures as it prints them. Where a paper's accuracy counts true negatives, as P0's does, it must be read against "
    "the column one-vs-rest, not against the share of pictures that are labelled right."
)


def _tested(test: McNemar | None) -> str:
    return f'<p class="small soft" style="margin-top:12px">{_e(told_test(test))}</p>' if test is not None else ""


def _all_curves(runs: Sequence[RunFolder]) -> str:
    charts = []
    for what, suffix in (("Accuracy", "accuracy"), ("Loss", "loss")):
        lines: list[Line] = []
        for i, run in enumerate(runs):
            training = f"train_{run.head}_accuracy" if suffix == "accuracy" else "train_loss"
            lines.append((run.recipe.name, i, False, _points(run, f"{run.head}_{suffix}")))
            lines.append((f"{run.recipe.name}, training", i, True, _points(run, training)))
        charts.append(chart(what, lines, share=suffix == "accuracy"))
    names = [(run.recipe.name, i, False) for i, run in enumerate(runs)]
    return f'<div class="charts">{"".join(charts)}</div>' + _legend(names)


# --- parts ------------------------------------------------------------------------------------------------------------------------


def _matrices(scores: Mapping[str, Any] | None, name: str) -> str:
    """The confusion matrix of each head, as a table with shades."""
    found = []
    for head, own in (scores or {"heads": {}})["heads"].items():
        counts = np.array(own["confusion"])
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        columns = "".join(f'<th scope="col" title="{_e(label)}">{_e(label[:5])}</th>' for label in own["labels"])
        lines = "".join(
            f'<tr><th scope="row">{_e(label)}</th>'
            + "".join(f'<td style="--p:{p:.3f}">{n:,}</td>' for n, p in zip(row, parts, strict=True))
            + "</tr>"
            for label, row, parts in zip(own["labels"], counts.tolist(), share.tolist(), strict=True)
        )
        told = f"{_e(name)} · {_e(head)}: {_percent(own['accuracy'])} of {own['n']:,}; "
        told += f"one-vs-rest {_percent(own['one_vs_rest_accuracy'])}"
        found.append(
            f'<figure class="matrix"><table><thead><tr><th></th>{columns}</tr></thead><tbody>{lines}</tbody></table>'
            f'<figcaption class="small soft">{told}</figcaption></figure>'
        )
    return "".join(found)


def html_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, escape: bool = True) -> str:
    """A table that scrolls by itself where it is too wide; columns of figures stand to the right."""
    clean = _e if escape else str
    figures = [i > 0 and all(re.match(r"(<b>)?[\d–]|$", row[i]) for row in rows) for i in range(len(head))]
    kinds = [' class="num"' if number else "" for number in figures]
    first = "".join(f"<th{kind}>{_e(name)}</th>" for kind, name in zip(kinds, head, strict=True))
    lines = "".join(
        "<tr>" + "".join(f"<td{kind}>{clean(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>" for row in rows
    )
    return f'<div class="scroll wide"><table><thead><tr>{first}</tr></thead><tbody>{lines}</tbody></table></div>'


def _facts(pairs: Sequence[tuple[str, str]]) -> str:
    return '<dl class="facts">' + "".join(f"<div><dt>{_e(k)}</dt><dd>{_e(v)}</dd></div>" for k, v in pairs) + "</dl>"


def _section(title: str, text: str, body: str) -> str:
    said = f'<p class="soft small">{_e(text)}</p>' if text else ""
    return f"<section><h2>{title}</h2>{said}{body}</section>"


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.1f} %"


def _e(text: str) -> str:
    return markup.escape(text)


def _page(title: str, sections: Sequence[str], facts: int) -> str:
    """The page in the frame and style of a film's report; `title` is escaped already."""
    template = (resources.files("mien") / "report.html").read_text(encoding="utf-8").split("<!--plot-->\n")[0]
    return "".join(
        page_file.fill(
            template,
            policy=page_file.policy(),
            version=__version__,
            title=title,
            colours_light="",
            colours_dark="",
            colour_classes="",
            body=STYLE + "\n" + "\n".join(sections),
            facts_count=str(facts),
            footer=f"Made by mien {__version__} on the machine that ran it; this page loads nothing from anywhere.",
            plot="",
        )
    )
