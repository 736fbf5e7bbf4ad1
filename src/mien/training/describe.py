"""What a folder of labelled pictures holds: counts, votes, brightness, sizes, persons, exact duplicates, samples.

The papers print these: class histograms and counts (P0, P3, P4), `describe` of the votes (P1's Table 2), mean and deviation per
channel (P2's program). Every picture is opened once and none is kept but the samples.
"""

import csv
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.cells import safe
from mien.errors import DataError
from mien.labels import FERPLUS, FERPLUS_COLUMNS
from mien.training.layouts import SEED, SHARES, SPLITS, Listing, read_layout
from mien.training.one_film import across_splits, small
from mien.training.votes import refuse, strict_labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SAMPLES = 10
"""Pictures of each class on the sheet."""

SAMPLE_SIDE = 96

SAMPLE_PIXELS = 15
"""Of the first picture of each class: as many as P1's Table 1 shows."""

STATISTICS = ("count", "mean", "std", "min", "25%", "50%", "75%", "max")

_SHADES = {"Training": "#2b6cb0", "PublicTest": "#e6a700", "PrivateTest": "#c43a31"}


def describe(
    folder: Path,
    out: Path | None = None,
    *,
    layout: str = "auto",
    shares: tuple[float, float, float] = SHARES,
    seed: int = SEED,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """All of the above as plain JSON values; see `text` for how it reads.

    layout    pictures by layout: fer2013, folders …; "auto" finds it out. `shares` and `seed` as in `layouts.read_layout`
    problems  of the result: how many rows or pictures could not be read, the first of them; the others are described all the same

    With `out`, that folder gets description.json, counts.csv, histogram.png, votes.csv, votes.png, sizes.csv, samples.png,
    duplicates.csv and problems.csv, those that have something in them; older ones are replaced. Raises `DataError` where nothing
    can be read.
    """
    problems: list[str] = []
    listing = read_layout(folder, layout, shares=shares, seed=seed, problems=problems)
    chosen = _chosen(listing)
    samples: dict[int, NDArray[np.uint8]] = {}
    light = {split: _Light() for split in SPLITS}
    sizes: Counter[tuple[int, int]] = Counter()
    alike: dict[bytes, list[int]] = defaultdict(list)
    coloured = read = 0
    looks: dict[int, NDArray[np.float32]] = {}
    sample: list[dict[str, Any]] = []
    for i, row in enumerate(listing.rows):
        try:
            picture = row.read()
        except DataError as error:
            problems.append(str(folder / str(error)))
            continue
        read += 1
        looks[i] = small(picture)
        if row.label and row.label not in [line["emotion"] for line in sample]:
            first = (picture if picture.ndim == 2 else picture[..., 0]).ravel()[:SAMPLE_PIXELS].tolist()
            sample.append({"emotion": row.label, "pixels": first, "usage": row.split})
        sizes[picture.shape[1], picture.shape[0]] += 1
        if picture.ndim == 3 and (picture[..., :1] == picture).all():
            picture = picture[..., 0]  # grey is grey, however many channels hold it
        coloured += picture.ndim == 3
        light[row.split].add(picture)
        content = hashlib.blake2b(np.ascontiguousarray(picture).tobytes(), digest_size=16)
        content.update(repr(picture.shape).encode())
        alike[content.digest()].append(i)
        if i in chosen:
            samples[i] = _tile(picture)
        if progress is not None and (i % 256 == 0 or i + 1 == len(listing)):
            progress(i + 1, len(listing))
    if not read:
        refuse(problems)
    sources, splits = [listing.rows[i].source for i in looks], [listing.rows[i].split for i in looks]
    torn = across_splits(sources, splits, listing.names, np.stack([*looks.values()]))
    groups = [rows for rows in alike.values() if len(rows) > 1]
    found = {
        "folder": folder.name,
        "layout": listing.layout,
        "pictures": len(listing),
        "names": list(listing.names),
        "notes": list(dict.fromkeys([*listing.notes, *torn])),
        "problems": {"count": len(problems), "first": problems[0] if problems else None},
        "counts": _counts(listing),
        "votes": _votes(listing),
        "most_voted": _most_voted(listing),
        "sample": sample,
        "ferplus_strict": _strict(listing),
        "light": {"all": sum(light.values(), _Light()).figures(), **{split: part.figures() for split, part in light.items()}},
        "coloured": coloured,
        "sizes": [{"width": w, "height": h, "pictures": n} for (w, h), n in sorted(sizes.items(), key=lambda x: (-x[1], x[0]))],
        "persons": _persons(listing),
        "duplicates": _duplicates(listing, groups),
    }
    if out is not None:
        _write(out, found, listing, groups, samples, problems, folder)
    return found


def column_statistics(values: NDArray[np.integer | np.floating]) -> dict[str, float]:
    """The eight figures of pandas' `describe` for (N,) values: deviation with N - 1, percentiles by linear interpolation."""
    quarter, half, three = np.percentile(values, [25, 50, 75])
    std = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    figures = (len(values), values.mean(), std, values.min(), quarter, half, three, values.max())
    return {name: float(figure) for name, figure in zip(STATISTICS, figures, strict=True)}


class _Light:
    """Sums for mean and deviation per channel, in whole numbers: exact for any number of pictures."""

    def __init__(self) -> None:
        self.pixels, self.sum, self.squares = 0, np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64)

    def add(self, picture: NDArray[np.uint8]) -> None:
        flat = picture.reshape(picture.shape[0] * picture.shape[1], -1)
        self.pixels += len(flat)
        self.sum += flat.sum(axis=0, dtype=np.int64)
        self.squares += np.square(flat, dtype=np.uint32).sum(axis=0, dtype=np.int64)

    def __add__(self, other: "_Light") -> "_Light":
        both = _Light()
        both.pixels = self.pixels + other.pixels
        both.sum, both.squares = self.sum + other.sum, self.squares + other.squares
        return both

    def figures(self) -> dict[str, Any] | None:
        """Red, green, blue, of 255 and of 1; None without a picture."""
        if not self.pixels:
            return None
        mean = self.sum / self.pixels
        std = np.sqrt(np.maximum(self.squares / self.pixels - mean**2, 0))
        return {
            "mean_255": mean.tolist(),
            "std_255": std.tolist(),
            "mean_1": (mean / 255).tolist(),
            "std_1": (std / 255).tolist(),
            "pixels": self.pixels,
        }


def _counts(listing: Listing) -> dict[str, dict[str, int]]:
    """Split → emotion → pictures; "" counts those without a label, where there are any."""
    names = [*listing.names, *([""] if any(not row.label for row in listing.rows) else [])]
    counted = {split: Counter(row.label for row in listing.rows if row.split == split) for split in SPLITS}
    return {split: {name: counted[split][name] for name in names} for split in SPLITS}


def _votes(listing: Listing) -> dict[str, dict[str, float]] | None:
    votes = listing.votes[listing.votes.any(axis=1)]
    if not len(votes):
        return None
    return {name: column_statistics(votes[:, i]) for i, name in enumerate(FERPLUS_COLUMNS)}


def _most_voted(listing: Listing) -> dict[str, int] | None:
    """How many pictures have the most votes in each of the ten columns, the first of equals: P1's Figure 3."""
    votes = listing.votes[listing.votes.any(axis=1)]
    if not len(votes):
        return None
    counts = np.bincount(votes.argmax(axis=1), minlength=len(FERPLUS_COLUMNS))
    return dict(zip(FERPLUS_COLUMNS, counts.tolist(), strict=True))


def _strict(listing: Listing) -> dict[str, dict[str, int]] | None:
    """What counts under FER+'s strict protocol."""
    if not listing.votes.any():
        return None
    labels, splits = strict_labels(listing.votes), listing.column("split")
    return {split: {name: int(((labels == i) & (splits == split)).sum()) for i, name in enumerate(FERPLUS)} for split in SPLITS}


def _persons(listing: Listing) -> dict[str, Any]:
    known = {split: {row.person for row in listing.rows if row.split == split and row.person} for split in SPLITS}
    return {
        "known": len(set().union(*known.values())),
        "pictures_of_unknown": sum(1 for row in listing.rows if not row.person),
        **{split: len(persons) for split, persons in known.items()},
    }


def _duplicates(listing: Listing, groups: Sequence[Sequence[int]]) -> dict[str, Any]:
    rows = listing.rows
    splits = [{rows[i].split for i in group} for group in groups]
    trained = [i for group, where in zip(groups, splits, strict=True) if "Training" in where for i in group]
    return {
        "groups": len(groups),
        "pictures": sum(len(group) for group in groups),
        "surplus": sum(len(group) - 1 for group in groups),
        "groups_across_splits": sum(1 for where in splits if len(where) > 1),
        "groups_with_different_labels": sum(1 for group in groups if len({rows[i].label for i in group}) > 1),
        "also_in_training": {split: sum(1 for i in trained if rows[i].split == split) for split in SPLITS[1:]},
    }


def _chosen(listing: Listing) -> set[int]:
    """Rows for the sheet: drawn from each class's training pictures, or from all where it has none there."""
    found: set[int] = set()
    labels, training = listing.labels, listing.column("split") == SPLITS[0]
    for number in range(len(listing.names)):
        rows = np.flatnonzero((labels == number) & training)
        rows = rows if len(rows) else np.flatnonzero(labels == number)
        found.update(np.random.default_rng([0, number]).permutation(rows)[:SAMPLES].tolist())
    return found


def _tile(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(SAMPLE_SIDE, SAMPLE_SIDE, 3), the whole picture on white."""
    rgb = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    scale = SAMPLE_SIDE / max(rgb.shape[:2])
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    tile = np.full((SAMPLE_SIDE, SAMPLE_SIDE, 3), 255, np.uint8)
    top, left = (SAMPLE_SIDE - size[1]) // 2, (SAMPLE_SIDE - size[0]) // 2
    tile[top : top + size[1], left : left + size[0]] = cv2.resize(rgb, size, interpolation=how)
    return tile


# --- files -----------------------------------------------------------------------------------------------------------------------


def _write(
    out: Path,
    found: dict[str, Any],
    listing: Listing,
    groups: Sequence[Sequence[int]],
    samples: dict[int, NDArray[np.uint8]],
    problems: Sequence[str],
    folder: Path,
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    names = list(found["counts"][SPLITS[0]])
    tables: dict[str, list[Sequence[Any]]] = {
        "counts.csv": [["emotion", *SPLITS], *([name, *(found["counts"][split][name] for split in SPLITS)] for name in names)],
        "sizes.csv": [["width", "height", "pictures"], *(list(size.values()) for size in found["sizes"])],
        "duplicates.csv": [
            ["group", "picture", "split", "label", "person"],
            *(
                [number, row.source, row.split, row.label, row.person]
                for number, group in enumerate(groups, start=1)
                for row in (listing.rows[i] for i in group)
            ),
        ],
        "votes.csv": [
            ["", *FERPLUS_COLUMNS],
            *(
                [name, *(f"{found['votes'][column][name]:.6f}" for column in FERPLUS_COLUMNS)]
                for name in STATISTICS
                if found["votes"]
            ),
        ],
        "problems.csv": [["file", "problem"], *(text.removeprefix(f"{folder}/").split(": ", 1) for text in problems)],
    }
    for name, rows in tables.items():
        (out / name).unlink(missing_ok=True)
        if len(rows) > 1:
            with (out / name).open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([safe(cell) for cell in row] for row in rows)
    (out / "description.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    _histogram(found).savefig(out / "histogram.png", dpi=120)
    (out / "votes.png").unlink(missing_ok=True)
    if found["most_voted"]:
        _vote_histogram(found["most_voted"]).savefig(out / "votes.png", dpi=120)
    if samples:
        _sheet(listing, samples).savefig(out / "samples.png", dpi=120)


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    FigureCanvasAgg(figure)
    return figure


def _histogram(found: dict[str, Any]) -> "Figure":
    """Pictures per class, a bar for each split that has any."""
    counts = found["counts"]
    names = [name for name in counts[SPLITS[0]] if name]
    splits = [split for split in SPLITS if any(counts[split].values())]
    figure = _figure(max(6.0, 1.3 * len(names) + 1), 4.2)
    axes = figure.subplots()
    width = 0.84 / len(splits)
    for k, split in enumerate(splits):
        places = np.arange(len(names)) + (k - (len(splits) - 1) / 2) * width
        values = [counts[split][name] for name in names]
        bars = axes.bar(places, values, 0.94 * width, color=_SHADES[split], label=f"{split} ({sum(counts[split].values()):,})")
        axes.bar_label(bars, labels=[f"{value:,}" for value in values], fontsize=7, padding=2)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("pictures")
    axes.set_title(f"{found['folder']}: {found['pictures']:,} pictures, layout {found['layout']}", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.12)
    axes.legend(frameon=False, fontsize=8)
    return figure


def _vote_histogram(most_voted: dict[str, int]) -> "Figure":
    """Pictures by the column with the most votes, all ten of them."""
    figure = _figure(9.0, 4.0)
    axes = figure.subplots()
    bars = axes.bar(list(most_voted), list(most_voted.values()), 0.8, color=_SHADES[SPLITS[0]])
    axes.bar_label(bars, labels=[f"{value:,}" for value in most_voted.values()], fontsize=7, padding=2)
    axes.set_ylabel("pictures with the most votes")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _sheet(listing: Listing, samples: dict[int, NDArray[np.uint8]]) -> "Figure":
    """A row of pictures for each class."""
    gap = 4
    labels = listing.labels
    names = [i for i in range(len(listing.names)) if any(labels[row] == i for row in samples)]
    step = SAMPLE_SIDE + gap
    sheet = np.full((step * len(names) - gap, step * SAMPLES - gap, 3), 255, np.uint8)
    for line, number in enumerate(names):
        for place, row in enumerate(sorted(row for row in samples if labels[row] == number)):
            sheet[line * step : line * step + SAMPLE_SIDE, place * step : place * step + SAMPLE_SIDE] = samples[row]
    figure = _figure(sheet.shape[1] / 120 + 1.2, sheet.shape[0] / 120 + 0.2)
    axes = figure.subplots()
    axes.imshow(sheet)
    axes.set_yticks([line * step + SAMPLE_SIDE / 2 for line in range(len(names))], [listing.names[i] for i in names])
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


# --- text ------------------------------------------------------------------------------------------------------------------------


def text(found: dict[str, Any]) -> str:
    """What `mien data describe` prints."""
    lines = [f"{found['folder']}: {found['pictures']:,} pictures in the layout {found['layout']}", ""]
    lines += _count_lines("", found["counts"])
    if found["ferplus_strict"]:
        lines += ["", *_count_lines("FER+ strict", found["ferplus_strict"])]
    if found["votes"]:
        lines += ["", "votes" + " " * 2 + "".join(f"{name:>13}" for name in found["votes"])]
        lines += [f"{name:<7}" + "".join(f"{column[name]:>13.6f}" for column in found["votes"].values()) for name in STATISTICS]
        lines += [f"{'most':<7}" + "".join(f"{count:>13,}" for count in found["most_voted"].values())]
    if found["sample"]:
        lines += ["", f"{'emotion':<13}{'pixels':<64}usage"]
        lines += [f"{row['emotion']:<13}{' '.join(map(str, row['pixels'])) + ' …':<64}{row['usage']}" for row in found["sample"]]
    lines += ["", f"{'light':<13}{'mean of 255':>24}{'deviation':>24}{'mean of 1':>24}{'deviation':>24}"]
    for name, figures in found["light"].items():
        if figures:
            cells = [
                " ".join(f"{value:.{digits}f}" for value in figures[key])
                for key, digits in (("mean_255", 2), ("std_255", 2), ("mean_1", 4), ("std_1", 4))
            ]
            lines.append(f"{name:<13}" + "".join(f"{cell:>24}" for cell in cells))
    grey = found["pictures"] - found["problems"]["count"] - found["coloured"]
    lines += [
        "",
        f"red, green, blue; {found['coloured']:,} pictures have colour" + (f", {max(0, grey):,} are grey" if grey > 0 else ""),
    ]
    sizes = ", ".join(f"{size['width']}×{size['height']} ({size['pictures']:,})" for size in found["sizes"][:6])
    lines.append(f"sizes: {sizes}" + (f" and {len(found['sizes']) - 6} others" if len(found["sizes"]) > 6 else ""))
    persons = found["persons"]
    if persons["known"]:
        lines.append(f"persons: {persons['known']}, " + ", ".join(f"{split} {persons[split]}" for split in SPLITS))
    else:
        lines.append("persons: not known")
    same = found["duplicates"]
    if same["groups"]:
        lines.append(
            f"exact duplicates: {same['pictures']:,} pictures in {same['groups']:,} groups ({same['surplus']:,} too many); "
            f"{same['groups_across_splits']:,} groups across splits, {same['groups_with_different_labels']:,} with different labels"
        )
        lines.append(
            "  " + ", ".join(f"{count:,} of {split} stand in Training too" for split, count in same["also_in_training"].items())
        )
    else:
        lines.append("exact duplicates: none")
    lines += [f"note: {note}" for note in found["notes"]]
    if found["problems"]["count"]:
        lines.append(f"problems: {found['problems']['count']:,}; the first: {found['problems']['first']}")
    return "\n".join(lines)


def _count_lines(title: str, counts: dict[str, dict[str, int]]) -> list[str]:
    names = list(counts[SPLITS[0]])
    total = max(1, sum(sum(part.values()) for part in counts.values()))
    lines = [f"{title:<13}" + "".join(f"{split:>13}" for split in SPLITS) + f"{'all':>13}{'share':>9}"]
    for name in names:
        row = [counts[split][name] for split in SPLITS]
        lines.append(
            f"{name or 'no label':<13}" + "".join(f"{n:>13,}" for n in (*row, sum(row))) + f"{100 * sum(row) / total:>7.1f} %"
        )
    sums = [sum(counts[split].values()) for split in SPLITS]
    return [*lines, f"{'all':<13}" + "".join(f"{n:>13,}" for n in (*sums, sum(sums)))]
