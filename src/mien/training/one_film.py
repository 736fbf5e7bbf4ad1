"""Pictures that are frames of one film, found by their names and by how they look: in two splits they make a score a lie.

Frames of one film show one person in one light. A network that has learnt from some of them knows the others, and what is measured
on those says nothing about a face that it has never seen (experiments/p2-splits.toml shows by how much).
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

_SIDE = 16

_ALIKE = 0.95
"""Pearson's r of two small pictures from which on they are frames of one film, if their names follow each other: in films at five
frames a second nearly all have it, of FER2013's faces, which are of as many people, not one pair of neighbours in 20,000."""

_FEWEST = 3
"""So many pictures of one name and running numbers are a film's."""

_EVEN = 0.6
"""So many of the steps between the numbers of a film's frames are the same step."""

_FILM = re.compile("clip|frame|vid|film|scene|shot|take|movie|cam|mvi|gopr")
"""What people and cameras call films and their frames; then the numbers need not be even."""

_NUMBERED = re.compile(r"(.*?)[\s_.()\[\]-]*(\d+)[\s)\]]*")

_ANYTHING = (
    *("", "im", "img", "image", "images", "photo", "foto", "picture", "pic", "p", "face", "faces", "dsc", "dscn", "dscf", "pxl"),
    *("sample", "example", "training", "train", "publictest", "privatetest", "test", "valid", "validation", "val", "aligned"),
)
"""What people and cameras call pictures that have nothing to do with each other."""


def small(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A picture (H, W) or (H, W, 3) as what it is compared by: (256,) float32 of mean 0 and length 1, zeros where it is plain."""
    grey = picture if picture.ndim == 2 else picture[..., 1]
    cells = cv2.resize(np.ascontiguousarray(grey), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    cells -= cells.mean()
    length = float(np.linalg.norm(cells))
    return np.asarray(cells / length if length > 0 else cells, np.float32)


def across_splits(
    sources: Sequence[str], splits: Sequence[str], labels: Iterable[str], looks: NDArray[np.float32] | None = None
) -> list[str]:
    """What must be said of films whose frames stand in two splits or more; a line at most for names and one for looks.

    sources  (N,) files of the pictures       splits  (N,) where each stands
    labels   words of the classes: a picture that is named after its class is not therefore a film's
    looks    (N, 256) what `small` makes of each, where they were opened
    """
    anything = {*_ANYTHING, *(word.replace(" ", "") for word in labels)}
    films: dict[str, list[tuple[int, int]]] = defaultdict(list)
    numbered: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row, source in enumerate(sources):
        path = PurePosixPath(source)
        told = _NUMBERED.fullmatch(path.stem)
        if told is None or ", row " in source:  # a row of a table has no name
            continue
        name = told[1].lower()
        numbered[f"{path.parent}/{name}"].append((int(told[2]), row))
        if re.sub(r"[\W_]", "", name) not in anything:
            films[name].append((int(told[2]), row))
    named = {name: [row for _, row in sorted(rows)] for name, rows in films.items() if _is_film(name, [n for n, _ in rows])}
    said = _said("named as frames of one film", named, sources, splits)
    if looks is not None:
        runs = {sources[run[0]]: run for row in numbered.values() for run in _runs(sorted(row), looks)}
        said += _said("that follow each other and look alike", runs, sources, splits)
    return said


def _is_film(name: str, numbers: Sequence[int]) -> bool:
    """Whether pictures of one name with these numbers are a film's frames."""
    if len(numbers) < _FEWEST:
        return False
    steps = np.diff(np.unique(numbers))
    even = len(steps) > 1 and np.unique(steps, return_counts=True)[1].max() >= _EVEN * len(steps)
    return bool(even or _FILM.search(name))


def _runs(numbered: Sequence[tuple[int, int]], looks: NDArray[np.float32]) -> list[list[int]]:
    """Pictures in the order of their numbers, each of which looks like the one before it."""
    runs: list[list[int]] = []
    for number, (_, row) in enumerate(numbered):
        if number and float(looks[row] @ looks[numbered[number - 1][1]]) >= _ALIKE:
            runs[-1].append(row)
        else:
            runs.append([row])
    return [run for run in runs if len(run) > 1]


def _said(what: str, groups: dict[str, list[int]], sources: Sequence[str], splits: Sequence[str]) -> list[str]:
    torn = [rows for rows in groups.values() if len({splits[row] for row in rows}) > 1]
    if not torn:
        return []
    first = max(torn, key=len)
    one = first[0]
    other = next(row for row in first if splits[row] != splits[one])
    return [
        f"pictures {what} stand in two splits: {sources[one]} in {splits[one]} and {sources[other]} in {splits[other]}, "
        f"{sum(map(len, torn)):,} pictures of {len(torn):,} in all; a score on them is too good. Give folders train, validation "
        "and test with whole films in each"
    ]
