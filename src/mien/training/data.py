"""Labelled faces as aligned crops in memory, from FER2013's tables with or without FER+'s votes."""

import csv
import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.crop import TEMPLATE_BOX, CropSpec, alignment, crop_face
from mien.detect import YuNet
from mien.errors import DataError
from mien.labels import FER2013, FERPLUS, FERPLUS_COLUMNS, LABEL_SETS

SPLITS = ("Training", "PublicTest", "PrivateTest")
SIDE = 48

LANDMARK_SIDE = 192
"""Pictures are enlarged to this many pixels before landmarks are looked for: YuNet finds 98.5 % of FER2013's faces there."""

LANDMARK_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class FaceSet:
    """N labelled faces.

    crops     (N, S, S) uint8 grey or (N, S, S, 3) RGB, framed by `mien.crop` (or as they are, see `aligned`)
    labels    (N,) int64, index into `names`, -1 where there is none
    names     emotions as `labels.canonical` spells them
    votes     (N, 10) int64, the raters' votes in the order of `labels.FERPLUS_COLUMNS`, all 0 where there are none
    split     (N,) str, one of `SPLITS`
    aligned   (N,) bool, whether landmarks were found
    person    (N,) str, who is shown, "" where that is not known
    source    (N,) str, the picture's file, or its table and row
    """

    crops: NDArray[np.uint8]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    votes: NDArray[np.int64]
    split: NDArray[np.str_]
    aligned: NDArray[np.bool_]
    person: NDArray[np.str_]
    source: NDArray[np.str_]

    def __post_init__(self) -> None:
        n = len(self.crops)
        if self.crops.dtype != np.uint8 or self.crops.ndim not in (3, 4) or (self.crops.ndim == 4 and self.crops.shape[3] != 3):
            raise ValueError(f"crops must be uint8 (N, S, S) or (N, S, S, 3), but got {self.crops.dtype} {self.crops.shape}")
        if self.votes.shape != (n, len(FERPLUS_COLUMNS)):
            raise ValueError(f"votes must have shape ({n}, {len(FERPLUS_COLUMNS)}), but got {self.votes.shape}")
        for name in ("labels", "split", "aligned", "person", "source"):
            if getattr(self, name).shape != (n,):
                raise ValueError(f"{name} must have shape ({n},), but got {getattr(self, name).shape}")
        if unknown := [name for name in self.names if name not in FERPLUS]:
            raise ValueError(f"names must be among {', '.join(FERPLUS)}, but got {', '.join(unknown)}")
        if n and not -1 <= self.labels.min() <= self.labels.max() < len(self.names):
            raise ValueError(
                f"labels must lie between -1 and {len(self.names) - 1}, but got {self.labels.min()} to {self.labels.max()}"
            )

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, keep: Any) -> "FaceSet":
        return FaceSet(
            self.crops[keep],
            self.labels[keep],
            self.names,
            self.votes[keep],
            self.split[keep],
            self.aligned[keep],
            self.person[keep],
            self.source[keep],
        )

    def of(self, split: str) -> "FaceSet":
        """Those of one split. Raises `ValueError` for a split that does not exist."""
        if split not in SPLITS:
            raise ValueError(f"no split {split!r}; known: {', '.join(SPLITS)}")
        return self[self.split == split]

    @property
    def fer2013(self) -> NDArray[np.int64]:
        """(N,) index into `labels.FER2013`, -1 where there is none."""
        return self.truth("fer2013")

    def truth(self, label_set: str) -> NDArray[np.int64]:
        """What each face counts as in an evaluation: (N,) int64, index into `LABEL_SETS[label_set]`, -1 where it has none of them.

        Labels are matched by name. For "ferplus" a face with votes counts as `strict_labels` has it, whatever its own label.
        Raises `ValueError` for a label set that does not exist.
        """
        wanted = _label_set(label_set)
        place = np.array([*(wanted.index(name) if name in wanted else -1 for name in self.names), -1], dtype=np.int64)
        named = place[self.labels]  # label -1 takes the last, which is -1
        if label_set != "ferplus":
            return named
        return np.where(self.votes.any(axis=1), strict_labels(self.votes), named)

    def targets(self, label_set: str) -> NDArray[np.float32]:
        """What a network is to learn of each face: (N, K) float32, rows sum to 1, or to 0 where there is nothing to learn.

        One-hot rows of the labels by name. For "ferplus" a face with votes has its `vote_targets`, and a row of zeros where
        most raters saw no face. Raises `ValueError` for a label set that does not exist.
        """
        wanted = _label_set(label_set)
        if label_set != "ferplus":
            return _one_hot(self.truth(label_set), len(wanted))
        soft, usable = vote_targets(self.votes)
        voted = np.asarray(self.votes.any(axis=1))
        # `truth` asks for a majority; a face without votes has one by its label.
        named = _one_hot(np.where(voted, -1, self.truth(label_set)), len(wanted))
        return np.where(voted[:, None], soft * usable[:, None], named).astype(np.float32)


def _label_set(name: str) -> tuple[str, ...]:
    if name not in LABEL_SETS:
        raise ValueError(f"no label set {name!r}; known: {', '.join(LABEL_SETS)}")
    return LABEL_SETS[name]


def _one_hot(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """(N, K) float32, a row of zeros for -1."""
    return np.asarray(labels[:, None] == np.arange(classes), dtype=np.float32)


def read_fer2013(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.str_]]:
    """Pictures (N, 48, 48), labels (N,) and splits (N,) of Kaggle's `fer2013.csv` or `icml_face_data.csv`.

    The second holds the same columns in another order, with blanks before their names. Raises `DataError` that names the row.
    """
    pictures, labels, splits = [], [], []
    with _open(path) as file:
        rows = _rows(file, path)
        header = [name.strip() for name in next(rows, [])]
        if sorted(header) != ["Usage", "emotion", "pixels"]:
            raise DataError(f"{path}: wanted the columns emotion, pixels, Usage, but got {', '.join(header) or 'an empty file'}")
        at_label, at_pixels, at_split = (header.index(name) for name in ("emotion", "pixels", "Usage"))
        for number, row in enumerate(rows, start=2):
            try:
                label, split = int(row[at_label]), row[at_split].strip()
                pixels = np.array(row[at_pixels].split(), dtype=np.uint8)
            except (ValueError, IndexError, OverflowError) as error:
                raise DataError(f"{path}, row {number}: cannot be read: {error}") from error
            if pixels.size != SIDE * SIDE:
                raise DataError(f"{path}, row {number}: wanted {SIDE * SIDE} pixels, but got {pixels.size}")
            if not 0 <= label < len(FER2013):
                raise DataError(f"{path}, row {number}: wanted an emotion from 0 to {len(FER2013) - 1}, but got {label}")
            if split not in SPLITS:
                raise DataError(f"{path}, row {number}: wanted a Usage among {', '.join(SPLITS)}, but got {split!r}")
            pictures.append(pixels.reshape(SIDE, SIDE))
            labels.append(label)
            splits.append(split)
    if not pictures:
        raise DataError(f"{path}: there is no row below the header")
    return np.stack(pictures), np.array(labels, dtype=np.int64), np.array(splits)


def read_ferplus(path: Path) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """Votes (N, 10) and splits (N,) of microsoft/FERPlus's `fer2013new.csv`. Raises `DataError` that names the row."""
    votes, splits = [], []
    wanted = ["Usage", "Image name", *FERPLUS_COLUMNS]
    with _open(path) as file:
        rows = _rows(file, path)
        header = [name.strip() for name in next(rows, [])]
        if header != wanted:
            raise DataError(f"{path}: wanted the columns {', '.join(wanted)}, but got {', '.join(header) or 'an empty file'}")
        for number, row in enumerate(rows, start=2):
            try:
                counts = [int(cell) for cell in row[2:]]
            except ValueError as error:
                raise DataError(f"{path}, row {number}: cannot be read: {error}") from error
            if len(counts) != len(FERPLUS_COLUMNS) or min(counts) < 0:
                raise DataError(f"{path}, row {number}: wanted {len(FERPLUS_COLUMNS)} counts of votes, but got {row[2:]}")
            votes.append(counts)
            splits.append(row[0].strip())
    return np.array(votes, dtype=np.int64).reshape(-1, len(FERPLUS_COLUMNS)), np.array(splits)


def _rows(file: Iterable[str], path: Path) -> Iterator[list[str]]:
    rows = csv.reader(file)
    try:
        yield from rows
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}, row {rows.line_num + 1}: is no text in UTF-8 with commas: {error}") from error


def _open(path: Path) -> Any:
    try:
        return path.open(newline="", encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


TABLES = {"fer2013": "fer2013.csv", "icml": "icml_face_data.csv"}
"""Layout → the table that it is known by."""

LAYOUTS = ("auto", *TABLES)


def load_faces(
    folder: Path,
    crop: CropSpec,
    *,
    align: bool = True,
    splits: tuple[str, ...] = SPLITS,
    layout: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> FaceSet:
    """The labelled faces in a folder, each framed by `crop`.

    `layout` says how they lie there: `fer2013` (`fer2013.csv`), `icml` (`icml_face_data.csv`), or `auto`, which finds it out.
    FER+'s `fer2013new.csv` is read where it lies beside: both files have a row per picture in the same order, as published.

    The result is kept in the cache folder (`$MIEN_CACHE` or the platform's), under a name made of the files' size and time and
    of the crop, since finding the landmarks takes a minute. Raises `DataError`; `ValueError` for a layout that does not exist.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"no layout {layout!r}; known: {', '.join(LAYOUTS)}")
    tables = [folder / name for known, name in TABLES.items() if layout in ("auto", known)]
    pictures_csv = next((path for path in tables if path.is_file()), None)
    if pictures_csv is None:
        raise DataError(
            f"{folder}: wanted fer2013.csv and fer2013new.csv (or the first alone, or icml_face_data.csv), "
            f"but there is no {' nor '.join(path.name for path in tables)}"
        )
    votes_csv = folder / "fer2013new.csv"
    read = [path for path in (pictures_csv, votes_csv) if path.is_file()]
    stamps = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in read]
    key = hashlib.sha256(repr((stamps, crop, align, LANDMARK_SIDE, LANDMARK_THRESHOLD, 3)).encode()).hexdigest()[:16]
    cached = cache_folder() / f"faces-{key}.npz"
    if cached.is_file():
        with np.load(cached) as kept:
            found = {name: kept[name] for name in FaceSet.__dataclass_fields__}
        faces = FaceSet(**found | {"names": tuple(found["names"].tolist())})
    else:
        pictures, labels, split = read_fer2013(pictures_csv)
        votes = np.zeros((len(pictures), len(FERPLUS_COLUMNS)), dtype=np.int64)
        if votes_csv in read:
            votes, votes_split = read_ferplus(votes_csv)
            if len(votes) != len(pictures) or not np.array_equal(split, votes_split):
                raise DataError(
                    f"{folder}: {pictures_csv.name} has {len(pictures)} rows and {votes_csv.name} {len(votes)}, or their Usage "
                    "columns differ; both must list the same pictures in the same order"
                )
        crops, aligned = align_pictures(pictures, crop, align=align, progress=progress)
        rows = np.array([f"{pictures_csv.name}, row {i}" for i in range(2, len(pictures) + 2)])
        faces = FaceSet(crops, labels, FER2013, votes, split, aligned, np.full(len(pictures), ""), rows)
        cached.parent.mkdir(parents=True, exist_ok=True)
        partial = cached.with_suffix(f".{os.getpid()}.partial.npz")
        arrays: dict[str, Any] = {name: np.asarray(getattr(faces, name)) for name in FaceSet.__dataclass_fields__}
        np.savez(partial, **arrays)
        partial.replace(cached)
    return faces[np.isin(faces.split, splits)]


def cache_folder() -> Path:
    """Where prepared data is kept: `$MIEN_CACHE`, or the platform's cache folder for users."""
    import platformdirs

    return Path(os.environ.get("MIEN_CACHE") or platformdirs.user_cache_dir("mien", appauthor=False))


def align_pictures(
    pictures: NDArray[np.uint8], crop: CropSpec, *, align: bool = True, progress: Callable[[int, int], None] | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Face pictures (N, H, W) grey as crops (N, S, S) or (N, S, S, 3), and where landmarks were found (N,) bool.

    Landmarks are looked for in the enlarged picture; of several faces the one nearest the middle counts. Where none is found,
    or `align` is off, the picture is used whole.
    """
    # These pictures are the measure of detail: bringing them down to it once more would only blur them.
    crop = dataclasses.replace(crop, detail=0)
    detector = YuNet(threshold=LANDMARK_THRESHOLD, max_side=LANDMARK_SIDE, min_face=LANDMARK_SIDE / 4)
    shape = (crop.size, crop.size) if crop.colour == "gray" else (crop.size, crop.size, 3)
    crops = np.empty((len(pictures), *shape), dtype=np.uint8)
    aligned = np.zeros(len(pictures), dtype=bool)
    height, width = pictures.shape[1:]
    # Laid onto itself, this box makes `alignment` leave the picture as it is.
    frame = np.array(TEMPLATE_BOX, dtype=np.float32) * [width, height, width, height]
    nothing = np.full((5, 2), np.nan, dtype=np.float32)
    for i, picture in enumerate(pictures):
        box, landmarks = frame, nothing
        if align:
            large = cv2.resize(picture, (LANDMARK_SIDE, LANDMARK_SIDE), interpolation=cv2.INTER_CUBIC)
            faces = detector(np.repeat(large[:, :, None], 3, axis=2))
            if len(faces):
                centres = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
                best = int(np.linalg.norm(centres - LANDMARK_SIDE / 2, axis=1).argmin())
                landmarks = faces.landmarks[best] * np.float32(width / LANDMARK_SIDE)
                aligned[i] = True
        crops[i] = crop_face(picture, alignment(box, landmarks, rotate=crop.rotate), crop)
        if progress is not None and (i % 256 == 0 or i + 1 == len(pictures)):
            progress(i + 1, len(pictures))
    return crops, aligned


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
