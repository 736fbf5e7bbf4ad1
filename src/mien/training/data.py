"""Labelled faces as aligned crops in memory, from any layout that `mien.training.layouts` reads."""

import dataclasses
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.crop import TEMPLATE_BOX, CropSpec, alignment, crop_face
from mien.detect import YuNet
from mien.errors import DataError
from mien.labels import FERPLUS_COLUMNS, LABEL_SETS, OWN, own_word
from mien.training.layouts import SEED, SHARES, SIDE, SPLITS, Face, find_layout, fingerprint, read_fer2013, read_layout
from mien.training.votes import read_ferplus, refuse, strict_labels, vote_targets
from mien.types import Faces
from mien.whole_file import whole_file

__all__ = [
    "SIDE",
    "SPLITS",
    "FaceSet",
    "align_pictures",
    "cache_folder",
    "largest",
    "load_faces",
    "read_fer2013",
    "read_ferplus",
    "strict_labels",
    "vote_targets",
]

LANDMARK_SIDE = 192
"""Pictures are brought to this many pixels before landmarks are looked for: YuNet finds 98.5 % of FER2013's faces there."""

SECOND_SIDE = 640
"""Where nothing is found in a larger picture, it is looked at once more at this size: its face may be a small part of it."""

LANDMARK_THRESHOLD = 0.5

CACHE_FORMAT = 4


@dataclass(frozen=True, slots=True, eq=False)
class FaceSet:
    """N labelled faces.

    crops     (N, S, S) uint8 grey or (N, S, S, 3) RGB, framed by `mien.crop` (or as they are, see `aligned`)
    labels    (N,) int64, index into `names`, -1 where there is none
    names     emotions as `labels.canonical` spells them, or words of the data's own
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
        if wrong := [name for name in self.names if own_word(name) != name]:
            raise ValueError(f"names must be as labels.own_word spells them, but got {', '.join(wrong)}")
        if unknown := sorted(set(self.split.tolist()) - set(SPLITS)):
            raise ValueError(f"split must be among {', '.join(SPLITS)}, but got {', '.join(unknown)}")
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

    def label_set(self, name: str) -> tuple[str, ...]:
        """The words of a label set; `names` for "own". Raises `ValueError` for one that does not exist."""
        if name == OWN:
            return self.names
        if name not in LABEL_SETS:
            raise ValueError(f"no label set {name!r}; known: {', '.join((*LABEL_SETS, OWN))}")
        return LABEL_SETS[name]

    def truth(self, label_set: str) -> NDArray[np.int64]:
        """What each face counts as in an evaluation: (N,) int64, index into `label_set`, -1 where it has none of them.

        Labels are matched by name. For "ferplus" a face with votes counts as `strict_labels` has it, whatever its own label.
        Raises `ValueError` for a label set that does not exist.
        """
        wanted = self.label_set(label_set)
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
        wanted = self.label_set(label_set)
        if label_set != "ferplus":
            return _one_hot(self.truth(label_set), len(wanted))
        soft, usable = vote_targets(self.votes)
        voted = np.asarray(self.votes.any(axis=1))
        # `truth` asks for a majority; a face without votes has one by its label.
        named = _one_hot(np.where(voted, -1, self.truth(label_set)), len(wanted))
        return np.where(voted[:, None], soft * usable[:, None], named).astype(np.float32)


def _one_hot(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """(N, K) float32, a row of zeros for -1."""
    return np.asarray(labels[:, None] == np.arange(classes), dtype=np.float32)


def largest(faces: Faces) -> int:
    """Which of the faces found in a picture has the largest box: the one that its label speaks of. There must be at least one."""
    return int((faces.boxes[:, 2:] - faces.boxes[:, :2]).prod(axis=1).argmax())


def load_faces(
    folder: Path,
    crop: CropSpec,
    *,
    align: bool = True,
    splits: tuple[str, ...] = SPLITS,
    layout: str = "auto",
    shares: tuple[float, float, float] = SHARES,
    seed: int = SEED,
    progress: Callable[[int, int], None] | None = None,
) -> FaceSet:
    """The labelled faces in a folder, each framed by `crop`.

    `layout` says how they lie there, one of `layouts.LAYOUTS`; `auto` finds it out. `shares` and `seed` divide data that comes
    undivided, see `layouts.read_layout`. Pictures are opened one at a time and only their crops are kept; those no larger than
    `crop.detail` are not blurred down to it, for they are what it stands for.

    The result is kept in the cache folder (`$MIEN_CACHE` or the platform's), under a name made of the files' names, sizes and
    times and of all that is asked here, since finding the landmarks takes a minute. Raises `DataError`; `ValueError` for a layout
    that does not exist.
    """
    name = find_layout(folder) if layout == "auto" else layout
    asked = (name, fingerprint(folder, name), shares, seed, crop, align)
    constants = (LANDMARK_SIDE, SECOND_SIDE, LANDMARK_THRESHOLD, CACHE_FORMAT)
    key = hashlib.sha256(repr((asked, constants)).encode()).hexdigest()[:16]
    cached = cache_folder() / f"faces-{key}.npz"
    if cached.is_file():
        with np.load(cached) as kept:
            found = {field.name: kept[field.name] for field in dataclasses.fields(FaceSet)}
        faces = FaceSet(**found | {"names": tuple(found["names"].tolist())})
    else:
        faces = _framed(folder, name, crop, align, shares, seed, progress)
        cached.parent.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {field.name: np.asarray(getattr(faces, field.name)) for field in dataclasses.fields(FaceSet)}
        with whole_file(cached) as part, part.open("wb") as file:
            np.savez(file, **arrays)
    return faces[np.isin(faces.split, splits)]


def _framed(
    folder: Path,
    layout: str,
    crop: CropSpec,
    align: bool,
    shares: tuple[float, float, float],
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> FaceSet:
    listing = read_layout(folder, layout, shares=shares, seed=seed)
    framer = _Framer(crop, align=align)
    crops = framer.empty(len(listing))
    aligned = np.zeros(len(listing), dtype=bool)
    problems: list[str] = []
    for i, row in enumerate(listing.rows):
        try:
            picture = row.read()
        except DataError as error:
            problems.append(f"{folder}: {error}; mien data prepare --skip-bad makes a folder without what cannot be read")
            continue
        if not problems:  # after the first the rest is only counted
            crops[i], aligned[i] = framer(picture, row.face)
        if progress is not None and (i % 256 == 0 or i + 1 == len(listing)):
            progress(i + 1, len(listing))
    refuse(problems)
    columns = (listing.column(name) for name in ("split", "person", "source"))
    split, person, source = columns
    return FaceSet(crops, listing.labels, listing.names, listing.votes, split, aligned, person, source)


def cache_folder() -> Path:
    """Where prepared data is kept: `$MIEN_CACHE`, or the platform's cache folder for users."""
    import platformdirs

    return Path(os.environ.get("MIEN_CACHE") or platformdirs.user_cache_dir("mien", appauthor=False))


class _Framer:
    """One picture → its crop, and whether landmarks framed it."""

    def __init__(self, crop: CropSpec, *, align: bool) -> None:
        self.crop, self.align = crop, align
        # A picture that is no larger than the detail is the measure of it: bringing it down once more would only blur it.
        self.as_it_is = dataclasses.replace(crop, detail=0)
        self.detector = YuNet(threshold=LANDMARK_THRESHOLD, max_side=LANDMARK_SIDE, min_face=LANDMARK_SIDE / 4)
        self.second = YuNet(threshold=LANDMARK_THRESHOLD, max_side=SECOND_SIDE, min_face=SECOND_SIDE / 20)

    def empty(self, count: int) -> NDArray[np.uint8]:
        shape = (self.crop.size, self.crop.size) if self.crop.colour == "gray" else (self.crop.size, self.crop.size, 3)
        return np.empty((count, *shape), dtype=np.uint8)

    def __call__(self, picture: NDArray[np.uint8], face: Face | None = None) -> tuple[NDArray[np.uint8], bool]:
        height, width = picture.shape[:2]
        # Laid onto itself, this box makes `alignment` leave the picture as it is.
        box = np.array(TEMPLATE_BOX, dtype=np.float32) * np.array([width, height, width, height], dtype=np.float32)
        landmarks = np.full((5, 2), np.nan, dtype=np.float32)
        if face is not None:
            box, landmarks = face.box, face.landmarks if self.align else landmarks
        elif self.align:
            found = self._landmarks(picture)
            landmarks = landmarks if found is None else found
        spec = self.as_it_is if max(height, width) <= self.crop.detail else self.crop
        return crop_face(picture, alignment(box, landmarks, rotate=spec.rotate), spec), bool(np.isfinite(landmarks).all())

    def _landmarks(self, picture: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """(5, 2) of the face nearest the middle, in pixels of the picture."""
        longest = max(picture.shape[:2])
        found = self._look(picture, self.detector, LANDMARK_SIDE / longest)
        if found is None and longest > LANDMARK_SIDE:
            found = self._look(picture, self.second, min(1.0, SECOND_SIDE / longest))
        return found

    @staticmethod
    def _look(picture: NDArray[np.uint8], detector: YuNet, scale: float) -> NDArray[np.float32] | None:
        height, width = picture.shape[:2]
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
        large = picture if size == (width, height) else cv2.resize(picture, size, interpolation=how)
        faces = detector(np.repeat(large[:, :, None], 3, axis=2) if large.ndim == 2 else large)
        if not len(faces):
            return None
        centres = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
        best = int(np.linalg.norm(centres - np.array(size) / 2, axis=1).argmin())
        return np.asarray(faces.landmarks[best] * np.array([width / size[0], height / size[1]], dtype=np.float32), dtype=np.float32)


def align_pictures(
    pictures: NDArray[np.uint8], crop: CropSpec, *, align: bool = True, progress: Callable[[int, int], None] | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Face pictures (N, H, W) grey or (N, H, W, 3) RGB as crops, and where landmarks were found (N,) bool.

    The crops are (N, S, S) or (N, S, S, 3), by `crop.colour`. Landmarks are looked for in the picture brought to `LANDMARK_SIDE`;
    of several faces the one nearest the middle counts. Where none is found, or `align` is off, the picture is used whole.
    """
    framer = _Framer(crop, align=align)
    crops, aligned = framer.empty(len(pictures)), np.zeros(len(pictures), dtype=bool)
    for i, picture in enumerate(pictures):
        crops[i], aligned[i] = framer(picture)
        if progress is not None and (i % 256 == 0 or i + 1 == len(pictures)):
            progress(i + 1, len(pictures))
    return crops, aligned
