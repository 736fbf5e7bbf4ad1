"""Pictures of the laboratory: what augmentation does, how training went, what a model says and how far it can be trusted.

All are PNG files on a light ground, drawn without matplotlib's global state, so that several may be drawn side by side. They show
faces of whoever made the data: look whether its licence lets them be passed on.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mien.cells import safe
from mien.labels import COLOURS
from mien.training.recipe import Augmentation

DPI = 100
INK, FAINT, LINES = "#23272e", "#5c636d", "#dfe2e6"
SPARE_COLOUR = "#5c636d"
"""Of an emotion that `labels.COLOURS` does not know."""

SERIES = ("#2b6cb0", "#c43a31", "#4c8c2b", "#6a4fb3")
"""Colours of heads in `curves_picture`."""

SHADES = LinearSegmentedColormap.from_list("mien", ["#ffffff", "#cfe0f3", "#6fa3d8", "#1f4e86"])


def _figure(width: float, height: float, title: str, **layout: Any) -> Figure:
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white", **layout)
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK, parse_math=False)
    return figure


def _plain(ax: Any) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#9aa0a8")
    ax.tick_params(colors=FAINT, labelsize=9)
    ax.grid(axis="y", color=LINES, linewidth=0.7)
    ax.set_axisbelow(True)


def _shares(ax: Any, low: float = 0.0, high: float = 1.0) -> None:
    """A y axis from 0 to 100 %, with some room, so that no line lies on the edge."""
    ax.set_ylim(low, high + 0.02 * (high - low))
    ticks = [tick / 100 for tick in range(0, 101, 20) if low <= tick / 100 <= high]
    ax.set_yticks(ticks, [f"{100 * tick:.0f} %" for tick in ticks])


def _ink_on(colour: Any) -> str:
    """Black or white, whichever is read more easily on a colour."""
    red, green, blue = colour[:3]
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.55 else INK


# --- augmentation -----------------------------------------------------------------------------------------------------------------


def augmentation_sheet(
    faces: NDArray[np.uint8], strengths: Augmentation, out: Path, *, draws: int = 10, seed: int = 0, cell: int = 72
) -> Path:
    """What a recipe's changes do: the faces as they are, then a row for each change alone, at its strength, last all together.

    faces are uint8 (N, S, S) or (N, S, S, 3); `draws` columns show the first of them in turn, each drawn anew. `cell` is the width
    of a face in the picture. Gives back `out`. Raises `ValueError` where there is no face.
    """
    from mien.training.augment import examples  # needs torch

    if not len(faces):
        raise ValueError("wanted at least one face to show, but got none")
    shown = faces[np.arange(draws) * min(len(faces), draws) // draws]
    rows = {"as it is": shown} | examples(shown, strengths, seed=seed)
    gap, margin = 4, 170
    canvas = _Canvas(margin + draws * (cell + gap), gap + len(rows) * (cell + gap))
    for y, (name, row) in enumerate(rows.items()):
        top = gap + y * (cell + gap)
        canvas.write(12, top + cell / 2, name, weight="bold" if y in (0, len(rows) - 1) else "normal")
        for x, face in enumerate(row):
            canvas.put(margin + x * (cell + gap), top, _tile(face, cell))
    return canvas.save(out)


def row_of_pictures(pictures: Mapping[str, NDArray[np.uint8]], out: Path) -> Path:
    """Square pictures side by side as a PNG, each under its name; gives back `out`."""
    figure = _figure(1.75 * len(pictures), 2.1, "")
    for ax, (name, picture) in zip(figure.subplots(1, len(pictures), squeeze=False)[0], pictures.items(), strict=True):
        ax.imshow(picture, cmap="gray", vmin=0, vmax=255)
        ax.set_title(name, fontsize=9, color=INK)
        ax.set_axis_off()
    figure.savefig(out, format="png")
    return out


def _tile(face: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A crop as (side, side, 3)."""
    how = cv2.INTER_CUBIC if face.shape[0] < side else cv2.INTER_AREA
    tile = np.asarray(cv2.resize(face, (side, side), interpolation=how), dtype=np.uint8)
    return np.repeat(tile[:, :, None], 3, axis=2) if tile.ndim == 2 else tile


# --- a run ------------------------------------------------------------------------------------------------------------------------


def curves_picture(rows: Sequence[Mapping[str, Any]], out: Path, *, title: str = "") -> Path:
    """Loss and accuracy of each epoch, in training (dashed) and on PublicTest, from the rows of a run's metrics.csv.

    Understands the columns `epoch`, `train_loss`, `train_<head>_accuracy`, `<head>_loss` and `<head>_accuracy`; the training loss
    is the sum over the heads as the recipe weighs them. Raises `ValueError` where there is no row.
    """
    if not rows:
        raise ValueError("wanted at least one row of metrics.csv, but got none")
    heads = [name.removesuffix("_accuracy") for name in rows[0] if name.endswith("_accuracy") and not name.startswith("train_")]
    epochs = [float(row["epoch"]) for row in rows]
    figure = _figure(9.6, 4.0, title)
    for ax, what in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        _plain(ax)
        marker = "o" if len(rows) < 3 else None
        if what == "loss":
            lines = [("train_loss", "training" if len(heads) == 1 else "training, all heads", INK, "--")]
        else:
            lines = [(f"train_{head}_accuracy", f"{head}, training", SERIES[i % 4], "--") for i, head in enumerate(heads)]
        lines += [(f"{head}_{what}", f"{head}, PublicTest", SERIES[i % 4], "-") for i, head in enumerate(heads)]
        for name, label, colour, style in lines:
            if name in rows[0]:
                values = [float(row[name]) for row in rows]
                ax.plot(epochs, values, style, color=colour, linewidth=1.6, label=label, marker=marker, markersize=4)
        ax.set_title(what, loc="left", fontsize=10, color=FAINT)
        ax.set_xlabel("epoch", fontsize=9, color=FAINT)
        ax.set_xlim(min(epochs) - (0.5 if len(rows) == 1 else 0), max(epochs) + (0.5 if len(rows) == 1 else 0))
        ax.xaxis.get_major_locator().set_params(integer=True)
        if what == "accuracy":
            _shares(ax)
        else:
            ax.set_ylim(bottom=0)
        ax.legend(frameon=False, fontsize=9, labelcolor=INK)
    figure.savefig(out)
    return out


# --- answers ----------------------------------------------------------------------------------------------------------------------


def write_confusion_csv(matrix: NDArray[np.int64], labels: Sequence[str], out: Path) -> Path:
    """Counts: a line for what it is, a column for what was said."""
    with out.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["truth", *(f"said {name}" for name in labels), "n"])
        for name, row in zip(labels, matrix.tolist(), strict=True):
            table.writerow([safe(name), *row, sum(row)])
    return out


def confusion_picture(matrix: NDArray[np.int64], labels: Sequence[str], out: Path, title: str = "") -> Path:
    """(K, K) counts, rows the truth: each cell's share of its row as shade and in per cent, its count below."""
    k = len(labels)
    total = matrix.sum(axis=1, keepdims=True)
    share = np.divide(matrix, total, out=np.zeros(matrix.shape), where=total > 0)
    figure = _figure(2.2 + 0.86 * k, 1.5 + 0.66 * k, title)
    ax = figure.subplots()
    ax.imshow(share, cmap=SHADES, vmin=0, vmax=1, aspect="auto")
    for y in range(k):
        for x in range(k):
            ink = _ink_on(SHADES(share[y, x]))
            weight = "bold" if x == y else "normal"
            ax.text(x, y - 0.13, f"{100 * share[y, x]:.1f} %", ha="center", va="center", fontsize=9.5, color=ink, fontweight=weight)
            ax.text(x, y + 0.22, f"{matrix[y, x]:,}", ha="center", va="center", fontsize=8.5, color=ink)
    ax.set_xticks(range(k), labels)
    ax.set_yticks(range(k), [f"{name}\nN = {n:,}" for name, n in zip(labels, total[:, 0].tolist(), strict=True)])
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.set_xlabel("said", fontsize=9.5, color=FAINT, loc="left")
    ax.set_ylabel("is", fontsize=9.5, color=FAINT, loc="top", rotation=0)
    ax.tick_params(length=0, labelsize=9, labelcolor=INK)
    ax.set_xticks(np.arange(k + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(k + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=2)
    ax.tick_params(which="minor", length=0)
    ax.spines[:].set_visible(False)
    figure.savefig(out)
    return out


def reliability_picture(bins: NDArray[np.float64], out: Path, *, title: str = "", ece: float | None = None) -> Path:
    """Accuracy against confidence in equal bins, from `evaluate.reliability` (bins, 5), with how many pictures lie in each."""
    edges = np.linspace(0, 1, len(bins) + 1)
    width = edges[1] - edges[0]
    middle = (edges[:-1] + edges[1:]) / 2
    figure = _figure(5.2, 5.4, title)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    some = bins[:, 0] > 0
    _plain(above)
    above.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=":")
    above.text(0.13, 0.18, "as sure as right", fontsize=9, color=FAINT, rotation=38, ha="left", va="bottom")
    above.bar(middle[some], bins[some, 2], width=0.92 * width, color="#6fa3d8")
    above.vlines(bins[some, 1], bins[some, 3], bins[some, 4], color="#1f4e86", linewidth=1.2)
    above.plot(bins[some, 1], bins[some, 2], "o", color="#1f4e86", markersize=4)
    _shares(above)
    above.set_ylabel("right", fontsize=9.5, color=FAINT)
    if ece is not None:
        above.text(
            0.02, 0.96, f"ECE {100 * ece:.1f} %\nlines: 95 % intervals", transform=above.transAxes, va="top", fontsize=10, color=INK
        )
    _plain(below)
    below.bar(middle, bins[:, 0], width=0.92 * width, color="#9aa0a8")
    below.set_ylabel("pictures", fontsize=9.5, color=FAINT)
    below.set_xlim(0, 1)
    below.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1], ["0", "20", "40", "60", "80", "100 %"])
    below.set_xlabel("how sure the model was of what it said", fontsize=9.5, color=FAINT)
    figure.savefig(out)
    return out


def risk_coverage_picture(
    scores: Mapping[str, NDArray[np.floating]], right: NDArray[np.bool_], out: Path, *, title: str = ""
) -> Path:
    """How many readings are right where only those with the highest score are taken: a line for each kind of score.

    scores  name → (N,), of N ≥ 1 readings of which `right` (N,) are
    """
    figure = _figure(5.2, 4.0, title)
    ax = figure.subplots()
    _plain(ax)
    coverage = np.arange(1, len(right) + 1) / len(right)
    for i, (name, score) in enumerate(scores.items()):
        order = np.argsort(-score, kind="stable")
        share = np.cumsum(right[order]) / np.arange(1, len(right) + 1)
        ax.plot(coverage[coverage >= 0.02], share[coverage >= 0.02], color=SERIES[i], linewidth=1.6, label=name)
    low = max(0.0, np.floor(10 * float(right.mean()) - 1) / 10)
    _shares(ax, low)
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1], ["0", "20", "40", "60", "80", "100 %"])
    ax.set_xlabel("share of the readings that is taken", fontsize=9.5, color=FAINT)
    ax.set_ylabel("right of these", fontsize=9.5, color=FAINT)
    ax.legend(fontsize=9, frameon=False, loc="lower left")
    figure.savefig(out)
    return out


def answers_sheet(
    crops: NDArray[np.uint8],
    truth: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    labels: Sequence[str],
    out: Path,
    *,
    right: bool,
    title: str = "",
    count: int = 24,
    seed: int = 0,
) -> Path:
    """Test pictures with what was said of each and how sure, drawn at random from the right answers or the wrong ones.

    crops (N, S, S) or (N, S, S, 3) uint8, truth (N,) index into `labels`, probabilities (N, K). Below each face a strip with the
    probability of every label in its colour, what was said, and where that is wrong, what it is.
    """
    said = probabilities.argmax(axis=1)
    pool = np.flatnonzero((said == truth) == right)
    drawn = np.sort(np.random.default_rng(seed).permutation(pool)[:count])
    columns, word = 8, "right" if right else "wrong"
    lines = max(1, -(-len(drawn) // columns))
    tile, gap, head, foot = 112, 16, 46, 34
    high = tile + (34 if right else 52)  # a face with what stands below it
    canvas = _Canvas(gap + columns * (tile + gap), head + lines * high + foot)
    heading = f"{title}: {len(drawn)} of {len(pool):,} {word} answers" + (", drawn at random" if len(drawn) < len(pool) else "")
    canvas.write(gap, 24, heading.removeprefix(": "), size=12, weight="bold")
    for place, i in enumerate(drawn.tolist()):
        x, y = gap + place % columns * (tile + gap), head + place // columns * high
        canvas.put(x, y, _tile(crops[i], tile))
        ends = (np.cumsum(probabilities[i]) / probabilities[i].sum() * tile).round().astype(int)
        for name, start, end in zip(labels, [0, *ends[:-1]], ends, strict=True):
            canvas.fill(x + int(start), y + tile + 2, int(end - start), 6, COLOURS.get(name, SPARE_COLOUR))
        canvas.write(x, y + tile + 18, f"{labels[said[i]]} {100 * probabilities[i, said[i]]:.0f} %", weight="bold")
        if not right:
            canvas.write(x, y + tile + 35, f"is {labels[truth[i]]}", colour=FAINT)
    if not len(drawn):
        canvas.write(gap, head + 20, f"no {word} answer", size=11, colour=FAINT)
    for place, name in enumerate(labels):
        x, y = gap + place * (tile + gap), canvas.height - foot + 8
        canvas.fill(x, y, 12, 12, COLOURS.get(name, SPARE_COLOUR))
        canvas.write(x + 18, y + 6, name)
    return canvas.save(out)


class _Canvas:
    """A white picture on which everything has its place in pixels, from the top left: what matplotlib's axes would move about."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._pixels = np.full((height, width, 3), 255, np.uint8)
        self._texts: list[tuple[float, float, str, dict[str, Any]]] = []

    def put(self, x: int, y: int, picture: NDArray[np.uint8]) -> None:
        self._pixels[y : y + picture.shape[0], x : x + picture.shape[1]] = picture

    def fill(self, x: int, y: int, width: int, height: int, colour: str) -> None:
        self._pixels[y : y + height, x : x + width] = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]

    def write(self, x: float, y: float, text: str, *, size: float = 9.5, colour: str = INK, weight: str = "normal") -> None:
        """`text` from x on, its middle at the height y."""
        self._texts.append((x, y, text, {"fontsize": size, "color": colour, "fontweight": weight}))

    def save(self, out: Path) -> Path:
        figure = Figure(figsize=(self.width / DPI, self.height / DPI), dpi=DPI)
        FigureCanvasAgg(figure)
        figure.figimage(self._pixels, origin="upper")
        for x, y, text, style in self._texts:
            figure.text(x / self.width, 1 - y / self.height, text, va="center", parse_math=False, **style)
        figure.savefig(out)
        return out


# --- robustness -------------------------------------------------------------------------------------------------------------------


def robustness_picture(rows: Sequence[Mapping[str, Any]], out: Path, *, title: str = "") -> Path:
    """Curves of `robustness.robustness`: for each harm accuracy with its 95 % interval, share of faces found, false neutrals."""
    base = next(row for row in rows if row["harm"] == "none")
    harms = list(dict.fromkeys(row["harm"] for row in rows if row["harm"] != "none"))
    columns = 3
    lines = -(-len(harms) // columns)
    figure = _figure(10.2, 0.9 + 2.35 * lines, title)
    axes = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
    for ax in axes[len(harms) :]:
        ax.set_axis_off()
    for ax, harm in zip(axes, harms, strict=False):
        points = [base, *(row for row in rows if row["harm"] == harm)]
        x = np.arange(len(points))
        _plain(ax)
        ax.fill_between(x, [p["low"] for p in points], [p["high"] for p in points], color="#2b6cb0", alpha=0.18, linewidth=0)
        ax.plot(
            x,
            [p["accuracy"] for p in points],
            color="#2b6cb0",
            linewidth=1.8,
            marker="o",
            markersize=3.5,
            label="right, whole pipeline",
        )
        ax.plot(x, [p["placed_accuracy"] for p in points], color="#4c8c2b", linewidth=1.3, label="right, given the face's place")
        ax.plot(x, [p["found"] for p in points], color=FAINT, linewidth=1.3, linestyle="--", label="face found")
        ax.plot(
            x,
            [np.nan if p["false_neutral"] is None else p["false_neutral"] for p in points],
            color="#c43a31",
            linewidth=1.3,
            linestyle=":",
            label="false neutrals",
        )
        ax.set_title(points[1]["title"], loc="left", fontsize=9.5, color=INK)
        ax.set_xticks(x, ["none", *(f"{p['strength']:g}" for p in points[1:])])
        _shares(ax)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower left", ncols=len(names), frameon=False, fontsize=9.5)
    figure.savefig(out)
    return out
