"""FER+'s votes: read, as soft targets, as the labels that count in an evaluation."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.labels import FERPLUS, FERPLUS_COLUMNS


def read_ferplus(path: Path, problems: list[str] | None = None) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """Votes (N, 10) and splits (N,) of microsoft/FERPlus's `fer2013new.csv`.

    Raises `DataError` that names the first wrong row and counts all. With a list of `problems` they are added to it instead, and
    a wrong row has votes of -1, so that the rows stay those of the file.
    """
    wrong: list[str] = [] if problems is None else problems
    votes, splits = [], []
    wanted = ["Usage", "Image name", *FERPLUS_COLUMNS]
    with open_table(path) as file:
        rows = table_rows(file, path)
        header = [name.strip() for name in next(rows, [])]
        if header != wanted:
            raise DataError(f"{path}: wanted the columns {', '.join(wanted)}, but got {', '.join(header) or 'an empty file'}")
        for number, row in enumerate(rows, start=2):
            counts = [-1] * len(FERPLUS_COLUMNS)
            try:
                counts = vote_counts(row[2:])
            except ValueError as error:
                wrong.append(f"{path}, row {number}: {error}")
            votes.append(counts)
            splits.append(row[0].strip() if row else "")
    if problems is None:
        refuse(wrong)
    return np.array(votes, dtype=np.int64).reshape(-1, len(FERPLUS_COLUMNS)), np.array(splits, dtype=np.str_)


def vote_counts(cells: list[str]) -> list[int]:
    """Ten counts out of the cells of a row. Raises `ValueError` that says what is wrong with them."""
    try:
        counts = [int(cell) for cell in cells]
    except ValueError as error:
        raise ValueError(f"cannot be read: {error}") from error
    if len(counts) != len(FERPLUS_COLUMNS) or min(counts) < 0:
        raise ValueError(f"wanted {len(FERPLUS_COLUMNS)} counts of votes, but got {cells}")
    return counts


def refuse(problems: list[str]) -> None:
    """Raises `DataError` with the first problem and the count of all, if there is any."""
    if len(problems) == 1:
        raise DataError(problems[0])
    if problems:
        raise DataError(f"{problems[0]}; that is the first of {len(problems):,} problems")


def open_table(path: Path) -> Any:
    try:
        return path.open(newline="", encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def table_rows(file: Iterable[str], path: Path) -> Iterator[list[str]]:
    """The rows of an open csv. Raises `DataError` that names the row for what is no text."""
    rows = csv.reader(file)
    try:
        yield from rows
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}, row {rows.line_num + 1}: is no text in UTF-8 with commas: {error}") from error


def vote_targets(votes: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """FER+ votes (N, 10) as soft targets (N, 8), rows sum to 1, and which rows have any (N,) bool.

    Single votes are dropped as slips of the hand, as Barsoum et al. 2016 do, unless nothing else is left.
    """
    emotions = votes[:, : len(FERPLUS)].astype(np.float32)
    agreed = np.where(emotions > 1, emotions, 0)
    emotions = np.where(agreed.sum(axis=1, keepdims=True) > 0, agreed, emotions)
    total = emotions.sum(axis=1, keepdims=True)
    usable = (total[:, 0] > 0) & (votes[:, len(FERPLUS) + 1] <= total[:, 0])
    return np.where(total > 0, emotions / np.maximum(total, 1), 0).astype(np.float32), usable


def strict_labels(votes: NDArray[np.int64]) -> NDArray[np.int64]:
    """FER+ strict protocol: (N,) index into `labels.FERPLUS`, or -1 for a picture that does not count.

    Single votes are dropped; a picture counts where the most-voted of all ten columns holds more than half of what is left and
    is one of the eight emotions (Microsoft's `majority` mode): 3,199 of PublicTest and 3,153 of PrivateTest.
    """
    agreed = np.where(votes > 1, votes, 0)
    total = agreed.sum(axis=1)
    top = agreed.argmax(axis=1)
    counts = (agreed.max(axis=1) * 2 > total) & (top < len(FERPLUS))
    return np.where(counts, top, -1)
