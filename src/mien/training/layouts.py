"""Where labelled faces lie: the field's data sets as they are published, found by what stands in the folder.

    fer2013          fer2013.csv (Kaggle), FER+'s fer2013new.csv beside it
    icml             icml_face_data.csv (Kaggle), the same pictures with the columns in another order
    ferplus-folders  FER2013Train/ FER2013Valid/ FER2013Test/, each with label.csv (microsoft/FERPlus)
    folders          train/<class>/ test/<class>/ and perhaps validation/<class>/, or <class>/ alone; of any words
    ckplus48         <class>/S010_004_00000017.png
    jaffe            KA.AN1.39.tiff
    rafdb            list_patition_label.txt and aligned/train_00001_aligned.jpg
    prepared         what `mien data prepare` writes: faces.csv, data.json, pictures/

A reader lists pictures and opens none of them: `Row.read` does that, one at a time. Whatever is wrong with a row is collected;
the error names the first and counts all, and nothing is left out without a word.
"""

import csv
import functools
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, MediaError
from mien.labels import EKMAN, FER2013, FERPLUS, FERPLUS_COLUMNS, canonical, own_word
from mien.training.votes import open_table, read_ferplus, refuse, strict_labels, table_rows, vote_counts

SPLITS = ("Training", "PublicTest", "PrivateTest")
"""FER2013's names for what a network learns from, what is chosen on, and what is measured on."""

SHARES = (0.8, 0.1, 0.1)
"""How a data set that comes undivided is divided among `SPLITS`; where only the second is missing, its share is taken of train."""

SEED = 0

SIDE = 48

PICTURE_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".pgm", ".ppm"))

DRAWS = 200
"""Divisions by person that are tried; the one whose classes come nearest to the shares is taken."""

_LITTER = frozenset(("thumbs.db", "desktop.ini"))  # and hidden files: what desktops leave behind


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """Where the face lies in its picture: box (4,) float32 xyxy, landmarks (5, 2) float32, NaN where there are none."""

    box: NDArray[np.float32]
    landmarks: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One labelled picture that is not read yet.

    read    gives the picture, (H, W) grey or (H, W, 3) RGB uint8; raises `DataError` that names the file
    label   its emotion as `labels.canonical` spells it, or a word of the data's own; "" where there is none
    split   one of `SPLITS`
    person  who is shown, "" where that is not known
    source  the file within its folder, or the table and row
    votes   ten counts in the order of `labels.FERPLUS_COLUMNS`; empty where nobody voted
    face    where the face is, if the layout says so
    video   the film it was taken from, "" for a picture; `time_s` says when
    """

    read: Callable[[], NDArray[np.uint8]]
    label: str
    split: str
    person: str
    source: str
    votes: tuple[int, ...] = ()
    face: Face | None = None
    video: str = ""
    time_s: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """The pictures of one folder.

    layout  one of `LAYOUTS`
    names   the emotions that occur, in the order of a label set; words of the data's own come behind them
    rows    the pictures in the order of the table, or of their names
    notes   what was decided for this data: how it was divided, what was left out
    """

    layout: str
    names: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) index into `names`, -1 where there is none."""
        place = {name: i for i, name in enumerate(self.names)}
        return np.array([place.get(row.label, -1) for row in self.rows], dtype=np.int64)

    @property
    def votes(self) -> NDArray[np.int64]:
        """(N, 10), rows of 0 where nobody voted."""
        nobody = (0,) * len(FERPLUS_COLUMNS)
        return np.array([row.votes or nobody for row in self.rows], dtype=np.int64).reshape(-1, len(FERPLUS_COLUMNS))

    def column(self, name: str) -> NDArray[np.str_]:
        """(N,) str: "split", "person" or "source"."""
        return np.array([getattr(row, name) for row in self.rows], dtype=np.str_)


@dataclass(slots=True)
class _Reading:
    """What the readers share: the folder, how to divide, what went wrong and what must be said."""

    folder: Path
    shares: tuple[float, float, float]
    seed: int
    problems: list[str]
    notes: list[str]
    own: set[str] = field(default_factory=set)
    """Words of the data's own."""

    def shown(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def problem(self, where: str, what: str) -> None:
        self.problems.append(f"{self.folder / where}: {what}")

    def emotion(self, word: str, where: str, own: dict[str, str] | None = None) -> str | None:
        """The canonical name of a word, or None and a problem."""
        known = own or {}
        if own is not None and word not in own:
            self.problem(where, f"wanted a label among {', '.join(own)}, but got {word!r}")
            return None
        try:
            return canonical(known.get(word, word))
        except ValueError:
            self.problem(where, f"wanted a label among {', '.join(FERPLUS)} (or angry, happy, sad …), but got {word!r}")
            return None

    def word(self, word: str, where: str) -> str | None:
        """A class as the data calls it, or None and a problem."""
        try:
            label = own_word(word)
        except ValueError as error:
            self.problem(where, str(error))
            return None
        if label not in FERPLUS:
            self.own.add(label)
        return label


def read_layout(
    folder: Path,
    layout: str = "auto",
    *,
    shares: tuple[float, float, float] = SHARES,
    seed: int = SEED,
    problems: list[str] | None = None,
) -> Listing:
    """The pictures in a folder, listed and not yet read.

    shares, seed  how data that comes undivided is divided: by person where the file names tell who is shown, else drawn per class
    problems      a list to put what is wrong with single rows into; they are then left out. Without one any problem is an error

    Raises `DataError` that names file and row or folder and counts the problems, and where a person stands in two splits;
    `ValueError` for a layout that does not exist or shares that are none.
    """
    check_shares(shares)
    name = find_layout(folder) if layout == "auto" else layout
    if name not in READERS:
        raise ValueError(f"no layout {layout!r}; known: {', '.join(LAYOUTS)}")
    if not folder.is_dir():
        raise DataError(f"{folder}: is no folder; wanted one with labelled pictures")
    reading = _Reading(folder, shares, seed, [], [])
    rows = READERS[name](reading)
    if problems is None or not rows:
        refuse(reading.problems)
    if problems is not None:
        problems += reading.problems
    if not rows:
        raise DataError(f"{folder}: holds no labelled picture in the layout {name}")
    check_persons(rows, folder)
    if reading.own:
        reading.notes.append(f"classes in words of their own, which mien does not know: {', '.join(sorted(reading.own))}")
    return Listing(name, in_order({row.label for row in rows} - {""}), tuple(rows), tuple(reading.notes))


def find_layout(folder: Path) -> str:
    """Which layout a folder has. Raises `DataError` where it has none that is known."""
    if not folder.is_dir():
        raise DataError(f"{folder}: is no folder; wanted one with labelled pictures")
    signs: dict[str, Callable[[Path], object]] = {
        "prepared": lambda place: (place / "data.json").is_file() and (place / "faces.csv").is_file(),
        "fer2013": lambda place: (place / "fer2013.csv").is_file(),
        "icml": lambda place: (place / "icml_face_data.csv").is_file(),
        "ferplus-folders": lambda place: any((place / name / "label.csv").is_file() for name in _FERPLUS_FOLDERS),
        "rafdb": _rafdb_list,
        "jaffe": lambda place: any(_JAFFE.fullmatch(path.name) for path in place.iterdir()),
        "ckplus48": _looks_like_ckplus,
        "folders": lambda place: _split_folders(place) or _look_like_classes(place),
    }
    for name, holds in signs.items():
        if holds(folder):
            return name
    raise DataError(
        f"{folder}: wanted fer2013.csv and fer2013new.csv, or icml_face_data.csv, FER2013Train/label.csv, class folders such as "
        "train/happy, happy or amused, list_patition_label.txt, JAFFE's pictures, or faces.csv and data.json, "
        "but found none of them"
    )


def fingerprint(folder: Path, layout: str) -> str:
    """Changes whenever a file that the layout reads is another one: names, sizes and times, not contents."""
    tables = {"fer2013": ("fer2013.csv", "fer2013new.csv"), "icml": ("icml_face_data.csv", "fer2013new.csv")}
    seen = hashlib.sha256()
    if layout in tables:
        paths: Iterable[Path] = [folder / name for name in tables[layout]]
    else:
        paths = sorted(Path(place) / name for place, _, names in os.walk(folder) for name in names)
    for path in paths:
        if path.is_file():
            stat = path.stat()
            seen.update(f"{path.relative_to(folder).as_posix()}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return seen.hexdigest()


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Canonical names in the order of the first label set that has them all (Ekman's, FER2013's, FER+'s); own words behind them."""
    given = set(names)
    own = given - set(FERPLUS)
    known = next(labels for labels in (EKMAN, FER2013, FERPLUS) if given - own <= set(labels))
    return (*(name for name in known if name in given), *sorted(own))


# --- dividing --------------------------------------------------------------------------------------------------------------------


def check_shares(shares: Sequence[float]) -> None:
    """Raises `ValueError` unless these are three shares that sum to 1."""
    if len(shares) != len(SPLITS) or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"wanted three shares of 0 or more that sum to 1, but got {', '.join(f'{share:g}' for share in shares)}")


def split_stratified(labels: Sequence[str], shares: Sequence[float], seed: int) -> list[str]:
    """A split for each picture, drawn within each class so that every split has its share of it; the same seed, the same draw."""
    check_shares(shares)
    given, which = np.array(labels, dtype=np.str_), np.zeros(len(labels), dtype=np.int64)
    for number, name in enumerate(sorted(set(labels))):
        rows = np.random.default_rng([seed, number]).permutation(np.flatnonzero(given == name))
        which[rows] = np.repeat(np.arange(len(SPLITS)), _counts(len(rows), shares, least=0))
    return [SPLITS[i] for i in which]


def split_by_person(persons: Sequence[str], labels: Sequence[str], shares: Sequence[float], seed: int) -> list[str]:
    """A split for each picture, so that whoever is shown stands in one of them only. The shares are shares of the persons.

    Of `DRAWS` draws that follow from the seed, the one whose classes come nearest to the shares. Raises `DataError` where there are
    fewer persons than splits.
    """
    check_shares(shares)
    known, who = np.unique(np.array(persons, dtype=np.str_), return_inverse=True)
    wanted = [name for name, share in zip(SPLITS, shares, strict=True) if share > 0]
    if len(known) < len(wanted):
        raise DataError(
            f"wanted at least {len(wanted)} persons for {', '.join(wanted)}, but got {', '.join(known) or 'none'}; "
            "give other shares, as 1 0 0"
        )
    counts = _counts(len(known), shares, least=1)
    names, what = np.unique(np.array(labels, dtype=np.str_), return_inverse=True)
    table = np.zeros((len(known), len(names)))
    np.add.at(table, (who, what), 1)
    goal = np.outer(shares, table.sum(axis=0))
    rng = np.random.default_rng([seed, len(SPLITS)])
    best, least = np.zeros(len(known), dtype=np.int64), np.inf
    for _ in range(DRAWS):
        drawn = rng.permutation(np.repeat(np.arange(len(SPLITS)), counts))
        got = np.stack([table[drawn == i].sum(axis=0) for i in range(len(SPLITS))])
        # Per class, so that a rare one weighs as much as a common one.
        away = float((np.abs(got - goal) / np.maximum(table.sum(axis=0), 1)).sum())
        if away < least - 1e-9:
            best, least = drawn, away
    return [SPLITS[best[i]] for i in who]


def _counts(total: int, shares: Sequence[float], *, least: int) -> NDArray[np.int64]:
    """`total` divided by largest remainder; a share above 0 gets at least `least`."""
    exact = np.array(shares) * total
    counts = np.floor(exact + 1e-9).astype(np.int64)
    for i in np.argsort(-(exact - counts), kind="stable")[: total - int(counts.sum())]:
        counts[i] += 1
    for i in np.flatnonzero((np.array(shares) > 0) & (counts < least)):
        counts[int(counts.argmax())] -= 1
        counts[i] += 1
    return counts


def check_persons(rows: Iterable[Row], folder: Path) -> None:
    """Raises `DataError` where a person stands in two splits: what is measured then is partly who, not what, a face shows."""
    places: dict[str, Row] = {}
    twice: dict[str, tuple[Row, Row]] = {}
    for row in rows:
        if row.person and (first := places.setdefault(row.person, row)).split != row.split:
            twice.setdefault(row.person, (first, row))
    for person, (one, other) in twice.items():
        raise DataError(
            f"{folder}: person {person} stands in {one.split} ({one.source}) and in {other.split} ({other.source}), and so do "
            f"{len(twice) - 1} others; wanted each person in one split only"
        )


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def said_shares(shares: Sequence[float]) -> str:
    return ", ".join(f"{name} {_percent(share)}" for name, share in zip(SPLITS, shares, strict=True))


def _divide_by_person(reading: _Reading, persons: Sequence[str], labels: Sequence[str]) -> list[str]:
    if not persons:
        return []
    found = split_by_person(persons, labels, reading.shares, reading.seed)
    reading.notes.append(
        f"divided by person: {said_shares(reading.shares)} of {len(set(persons))} persons, seed {reading.seed}; "
        "nobody is in two splits"
    )
    return found


# --- tables ----------------------------------------------------------------------------------------------------------------------


def read_fer2013(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.str_]]:
    """Pictures (N, 48, 48), labels (N,) and splits (N,) of Kaggle's `fer2013.csv` or `icml_face_data.csv`.

    The second holds the same columns in another order, with blanks before their names. Raises `DataError` that names the first
    wrong row and counts all.
    """
    problems: list[str] = []
    pictures, labels, splits, _, _ = _fer2013(path, problems)
    refuse(problems)
    return pictures, labels, splits


def _fer2013(
    path: Path, problems: list[str]
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.str_], list[int], list[str]]:
    """Pictures, labels and splits of the good rows, their numbers, and the Usage of all rows."""
    pictures, labels, splits, numbers, usages = [], [], [], [], []
    with open_table(path) as file:
        rows = table_rows(file, path)
        header = [name.strip() for name in next(rows, [])]
        if sorted(header) != ["Usage", "emotion", "pixels"]:
            raise DataError(f"{path}: wanted the columns emotion, pixels, Usage, but got {', '.join(header) or 'an empty file'}")
        at_label, at_pixels, at_split = (header.index(name) for name in ("emotion", "pixels", "Usage"))
        for number, row in enumerate(rows, start=2):
            usages.append(row[at_split].strip() if at_split < len(row) else "")
            try:
                label, split = int(row[at_label]), row[at_split].strip()
                pixels = np.array(row[at_pixels].split(), dtype=np.uint8)
            except (ValueError, IndexError, OverflowError) as error:
                problems.append(f"{path}, row {number}: cannot be read: {error}")
                continue
            if pixels.size != SIDE * SIDE:
                problems.append(f"{path}, row {number}: wanted {SIDE * SIDE} pixels, but got {pixels.size}")
            elif not 0 <= label < len(FER2013):
                problems.append(f"{path}, row {number}: wanted an emotion from 0 to {len(FER2013) - 1}, but got {label}")
            elif split not in SPLITS:
                problems.append(f"{path}, row {number}: wanted a Usage among {', '.join(SPLITS)}, but got {split!r}")
            else:
                pictures.append(pixels.reshape(SIDE, SIDE))
                labels.append(label)
                splits.append(split)
                numbers.append(number)
    if not usages:
        raise DataError(f"{path}: there is no row below the header")
    stacked = np.stack(pictures) if pictures else np.zeros((0, SIDE, SIDE), np.uint8)
    return stacked, np.array(labels, dtype=np.int64), np.array(splits, dtype=np.str_), numbers, usages


def _read_table(reading: _Reading, name: str) -> list[Row]:
    path, votes_csv = reading.folder / name, reading.folder / "fer2013new.csv"
    wrong: list[str] = []
    pictures, labels, splits, numbers, usages = _fer2013(path, wrong)
    votes: list[tuple[int, ...]] = [()] * len(usages)
    if votes_csv.is_file():
        counts, votes_split = read_ferplus(votes_csv, wrong)
        if len(counts) != len(usages) or votes_split.tolist() != usages:
            raise DataError(
                f"{reading.folder}: {name} has {len(usages)} rows and {votes_csv.name} {len(counts)}, or their Usage columns "
                "differ; both must list the same pictures in the same order"
            )
        votes = [tuple(row) for row in counts.tolist()]
    else:
        reading.notes.append("no fer2013new.csv beside it: FER+'s labels are FER2013's, by name")
    reading.problems += wrong
    rows = [
        Row(functools.partial(_as_it_is, picture), FER2013[label], split, "", f"{name}, row {number}", votes[number - 2])
        for picture, label, split, number in zip(pictures, labels.tolist(), splits.tolist(), numbers, strict=True)
        if -1 not in votes[number - 2]
    ]
    _miss(reading, name, FER2013, rows)
    return rows


def _as_it_is(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return picture


def _miss(reading: _Reading, where: str, names: Sequence[str], rows: Sequence[Row]) -> None:
    """A class of a data set that has a fixed number of them and not one picture of this."""
    counts = Counter(row.label for row in rows)
    for name in names:
        if rows and not counts[name]:
            reading.problem(where, f"the class {name} is empty: wanted at least one among {len(rows):,} pictures")


_FERPLUS_FOLDERS = {"FER2013Train": "Training", "FER2013Valid": "PublicTest", "FER2013Test": "PrivateTest"}
_BOX = re.compile(r"\(\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\)")


def _read_ferplus_folders(reading: _Reading) -> list[Row]:
    """label.csv has no header: the picture's name, the face's box, ten votes. The label is that of the strict protocol."""
    rows = []
    for name, split in _FERPLUS_FOLDERS.items():
        table = reading.folder / name / "label.csv"
        if not table.is_file():
            reading.notes.append(f"there is no {name}/label.csv: {split} is empty")
            continue
        with open_table(table) as file:
            for number, row in enumerate(table_rows(file, table), start=1):
                where = f"{name}/label.csv, row {number}"
                try:
                    if len(row) != 2 + len(FERPLUS_COLUMNS) or not (box := _BOX.fullmatch(row[1].strip())):
                        raise ValueError(
                            f'wanted a name, a box "(0, 0, 48, 48)" and ten votes, but got {", ".join(row) or "nothing"}'
                        )
                    votes = tuple(vote_counts(row[2:]))
                except ValueError as error:
                    reading.problem(where, str(error))
                    continue
                path = table.parent / row[0]
                if not path.is_file():
                    reading.problem(where, f"there is no picture {row[0]} beside it")
                    continue
                strict = int(strict_labels(np.array([votes]))[0])
                x1, y1, x2, y2 = (int(side) for side in box.groups())
                read = functools.partial(_read_part, path, reading.shown(path), (x1, y1, x2, y2))
                label = FERPLUS[strict] if strict >= 0 else ""
                rows.append(Row(read, label, split, "", reading.shown(path), votes))
    _miss(reading, "FER2013Train", FERPLUS, rows)
    return rows


def _read_picture(path: Path, shown: str) -> NDArray[np.uint8]:
    """(H, W, 3) RGB uint8. Raises `DataError`."""
    from mien.media import read_picture

    try:
        return read_picture(path).rgb
    except MediaError as error:
        raise DataError(f"{shown}: {str(error).removeprefix(f'{path.name}: ')}") from error


def _read_part(path: Path, shown: str, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    rgb = _read_picture(path, shown)
    x1, y1, x2, y2 = box
    height, width = rgb.shape[:2]
    if not (x1 < x2 <= width and y1 < y2 <= height):
        raise DataError(f"{shown}: its box ({x1}, {y1}, {x2}, {y2}) does not lie in its {width} × {height} pixels")
    return rgb[y1:y2, x1:x2]


# --- class folders ---------------------------------------------------------------------------------------------------------------

_SPLIT_WORDS = {
    "train": "Training",
    "training": "Training",
    "val": "PublicTest",
    "valid": "PublicTest",
    "validation": "PublicTest",
    "dev": "PublicTest",
    "publictest": "PublicTest",
    "test": "PrivateTest",
    "testing": "PrivateTest",
    "privatetest": "PrivateTest",
}


def _folders_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _split_folders(folder: Path) -> dict[Path, str]:
    return {path: _SPLIT_WORDS[path.name.lower()] for path in _folders_in(folder) if path.name.lower() in _SPLIT_WORDS}


def _is_emotion(word: str) -> bool:
    try:
        canonical(word)
    except ValueError:
        return False
    return True


def _look_like_classes(folder: Path) -> bool:
    """By the name of one of them; or there are two or more, with pictures in each."""
    inside = _folders_in(folder)
    hold = (any(path.suffix.lower() in PICTURE_SUFFIXES for path in place.iterdir()) for place in inside)
    return any(_is_emotion(path.name) for path in inside) or (len(inside) > 1 and all(hold))


def _classes(reading: _Reading, folder: Path, *, own: bool = False) -> list[tuple[Path, str]]:
    """Pictures and labels of the class folders in a folder, in the order of their names; `own` words too, or known ones only."""
    found: list[tuple[Path, str]] = []
    inside = _folders_in(folder)
    for place in inside:
        label = (reading.word if own else reading.emotion)(place.name, reading.shown(place))
        if label is None:
            continue
        pictures = _pictures_in(reading, place)
        if not pictures:
            reading.problem(reading.shown(place), "the class is empty: wanted pictures in it; remove the folder if there are none")
        found += [(path, label) for path in pictures]
    if not inside:
        reading.problem(reading.shown(folder), "wanted a folder for each class in it, as happy or sad, but there is none")
    for path in sorted(folder.iterdir()):
        if path.is_file() and not _is_litter(path):
            reading.problem(reading.shown(path), "lies beside the class folders; wanted it in one of them")
    return found


def _is_litter(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in _LITTER or path.name.lower().startswith("readme")


def _pictures_in(reading: _Reading, folder: Path) -> list[Path]:
    found = []
    for path in sorted(folder.iterdir()):
        if _is_litter(path):
            reading.notes.append(f"{reading.shown(path)} is no picture and left out")
        elif path.is_dir():
            reading.problem(reading.shown(path), "is a folder; wanted pictures only")
        elif path.suffix.lower() not in PICTURE_SUFFIXES:
            reading.problem(reading.shown(path), f"is no picture; wanted {', '.join(sorted(PICTURE_SUFFIXES))}")
        else:
            found.append(path)
    return found


def _picture_rows(
    reading: _Reading, found: Sequence[tuple[Path, str]], splits: Sequence[str], persons: Sequence[str] | None = None
) -> list[Row]:
    return [
        Row(functools.partial(_read_picture, path, reading.shown(path)), label, split, person, reading.shown(path))
        for (path, label), split, person in zip(found, splits, persons or [""] * len(found), strict=True)
    ]


def _read_folders(reading: _Reading) -> list[Row]:
    places = _split_folders(reading.folder)
    if not places:
        found = _classes(reading, reading.folder, own=True)
        reading.notes.append(f"divided per class: {said_shares(reading.shares)} of {len(found):,} pictures, seed {reading.seed}")
        return _picture_rows(reading, found, split_stratified([label for _, label in found], reading.shares, reading.seed))
    if other := [path.name for path in _folders_in(reading.folder) if path not in places]:
        reading.problem(
            other[0], f"stands beside {', '.join(path.name for path in places)}; wanted a name such as train, validation, test"
        )
    rows: list[Row] = []
    by_split: dict[str, list[tuple[Path, str]]] = {}
    for place, split in places.items():
        by_split.setdefault(split, []).extend(_classes(reading, place, own=True))
    train, test = by_split.get("Training", []), by_split.get("PrivateTest", [])
    if train and "PublicTest" not in by_split:
        says = [path.name.split("_")[0] for path, _ in test]
        if test and set(says) == {"PublicTest", "PrivateTest"}:
            reading.notes.append("test is divided into PublicTest and PrivateTest as its files' names say")
            rows += _picture_rows(reading, train, ["Training"] * len(train)) + _picture_rows(reading, test, says)
            return rows
        rows += _picture_rows(reading, train, _carve(reading, [label for _, label in train], "there is no validation folder"))
        del by_split["Training"]
    for split in SPLITS:
        if split not in by_split and not any(row.split == split for row in rows):
            reading.notes.append(f"there is no folder for {split}: it is empty")
        rows += _picture_rows(reading, by_split.get(split, []), [split] * len(by_split.get(split, [])))
    classes = {split: {label for _, label in found} for split, found in by_split.items()} | (
        {"Training": {label for _, label in train}} if train else {}
    )
    for split, names in classes.items():
        for name in in_order(set().union(*classes.values()) - names):
            reading.notes.append(f"{split} has no picture of {name}")
    return rows


def _carve(reading: _Reading, labels: Sequence[str], why: str) -> list[str]:
    """PublicTest out of the training pictures."""
    share = reading.shares[1]
    if share <= 0:
        reading.notes.append(f"PublicTest is empty, for {why} and its share is 0")
        return [SPLITS[0]] * len(labels)
    reading.notes.append(f"PublicTest is {_percent(share)} of train, drawn per class with seed {reading.seed}, for {why}")
    return split_stratified(labels, (1 - share, share, 0.0), reading.seed)


_CKPLUS = re.compile(r"(S\d+)_\d+_\d+\.\w+")


def _looks_like_ckplus(folder: Path) -> bool:
    first = [next((f for f in sorted(p.iterdir()) if not _is_litter(f)), None) for p in _folders_in(folder) if _is_emotion(p.name)]
    return bool(first) and all(path is not None and _CKPLUS.fullmatch(path.name) for path in first)


def _read_ckplus48(reading: _Reading) -> list[Row]:
    found = []
    persons = []
    for path, label in _classes(reading, reading.folder):
        if told := _CKPLUS.fullmatch(path.name):
            found.append((path, label))
            persons.append(told[1])
        else:
            reading.problem(reading.shown(path), "wanted a name such as S010_004_00000017.png, which says who is shown")
    return _picture_rows(reading, found, _divide_by_person(reading, persons, [label for _, label in found]), persons)


_JAFFE = re.compile(r"([A-Z]{2})\.([A-Z]{2})\d+\.\d+\.(?:tiff?|png|jpe?g|bmp)", re.IGNORECASE)
_JAFFE_LABELS = {
    "AN": "anger",
    "DI": "disgust",
    "FE": "fear",
    "HA": "happiness",
    "NE": "neutral",
    "SA": "sadness",
    "SU": "surprise",
}


def _read_jaffe(reading: _Reading) -> list[Row]:
    found, persons = [], []
    for path in _pictures_in(reading, reading.folder):
        told = _JAFFE.fullmatch(path.name)
        if told is None:
            reading.problem(reading.shown(path), "wanted a name such as KA.AN1.39.tiff: person, expression and number")
        elif (label := reading.emotion(told[2].upper(), reading.shown(path), _JAFFE_LABELS)) is not None:
            found.append((path, label))
            persons.append(told[1].upper())
    rows = _picture_rows(reading, found, _divide_by_person(reading, persons, [label for _, label in found]), persons)
    _miss(reading, "", FER2013, rows)
    return rows


_RAFDB_LABELS = {
    "1": "surprise",
    "2": "fear",
    "3": "disgust",
    "4": "happiness",
    "5": "sadness",
    "6": "anger",
    "7": "neutral",
}


def _rafdb_list(folder: Path) -> Path | None:
    places = (folder / place / "list_patition_label.txt" for place in ("", "EmoLabel", "basic/EmoLabel"))
    return next((path for path in places if path.is_file()), None)


def _read_rafdb(reading: _Reading) -> list[Row]:
    """Its aligned pictures; the original ones where those are not there."""
    listed = _rafdb_list(reading.folder)
    if listed is None:
        raise DataError(f"{reading.folder}: wanted list_patition_label.txt here or in EmoLabel, but there is none")
    root = listed.parent.parent if listed.parent.name == "EmoLabel" else listed.parent
    places = [root / name for name in ("aligned", "Image/aligned", "original", "Image/original")]
    place = next((path for path in places if path.is_dir()), None)
    if place is None:
        raise DataError(f"{root}: wanted the pictures in aligned or Image/aligned, but there is no such folder")
    aligned = "_aligned" if place.name == "aligned" else ""
    found, splits = [], []
    try:
        lines = listed.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{listed}: cannot be read: {error}") from error
    for number, line in enumerate(lines, start=1):
        where = f"{reading.shown(listed)}, row {number}"
        cells = line.split()
        if len(cells) != 2 or not cells[0].startswith(("train_", "test_")):
            reading.problem(where, f"wanted a name and a label, as train_00001.jpg 5, but got {line!r}")
        elif (label := reading.emotion(cells[1], where, _RAFDB_LABELS)) is not None:
            path = place / f"{Path(cells[0]).stem}{aligned}{Path(cells[0]).suffix}"
            if not path.is_file():
                reading.problem(where, f"there is no picture {reading.shown(path)}")
                continue
            found.append((path, label))
            splits.append("Training" if cells[0].startswith("train_") else "PrivateTest")
    train = [i for i, split in enumerate(splits) if split == "Training"]
    for i, split in zip(train, _carve(reading, [found[i][1] for i in train], "RAF-DB has no validation list"), strict=True):
        splits[i] = split
    rows = _picture_rows(reading, found, splits)
    _miss(reading, reading.shown(listed), FER2013, rows)
    return rows


# --- what mien data prepare writes -----------------------------------------------------------------------------------------------

PREPARED_FORMAT = 1
COLUMNS = ("file", "label", "split", "person", "video", "time_s")
FACE_COLUMNS = (
    *("x1", "y1", "x2", "y2"),
    *(f"{point}_{axis}" for point in ("eye1", "eye2", "nose", "mouth1", "mouth2") for axis in "xy"),
)
"""The face's box and landmarks in pixels of its picture, as the detector found them in the whole frame; empty for pictures."""


def write_prepared(path: Path, rows: Iterable[tuple[str, Row]]) -> None:
    """faces.csv: the file of each picture within the folder, and its row. The votes' columns are there where anybody voted."""
    listed = list(rows)
    voted = any(row.votes for _, row in listed)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow([*COLUMNS, *FACE_COLUMNS, *(FERPLUS_COLUMNS if voted else ())])
        for name, row in listed:
            time_s = f"{row.time_s:.3f}" if row.video else ""
            cells: list[Any] = [""] * len(FACE_COLUMNS)
            if row.face is not None:
                numbers = [*row.face.box.tolist(), *row.face.landmarks.ravel().tolist()]
                cells = ["" if np.isnan(number) else f"{number:.2f}" for number in numbers]
            votes = (row.votes or (0,) * len(FERPLUS_COLUMNS)) if voted else ()
            table.writerow([name, row.label, row.split, row.person, row.video, time_s, *cells, *votes])


def _read_prepared(reading: _Reading) -> list[Row]:
    facts_path, table = reading.folder / "data.json", reading.folder / "faces.csv"
    try:
        facts = json.loads(facts_path.read_text(encoding="utf-8"))
        names, form = [str(name) for name in facts["names"]], facts["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{facts_path}: wanted what mien data prepare writes, but it cannot be read: {error}") from error
    if form != PREPARED_FORMAT:
        raise DataError(f"{facts_path}: wanted format {PREPARED_FORMAT}, but got {form}; prepare it again")
    rows = []
    with open_table(table) as file:
        cells = table_rows(file, table)
        header = next(cells, [])
        if header not in ([*COLUMNS, *FACE_COLUMNS], [*COLUMNS, *FACE_COLUMNS, *FERPLUS_COLUMNS]):
            raise DataError(f"{table}: wanted the columns {', '.join((*COLUMNS, *FACE_COLUMNS))}, but got {', '.join(header)}")
        for number, row in enumerate(cells, start=2):
            where = f"faces.csv, row {number}"
            try:
                rows.append(_prepared_row(reading, dict(zip(header, row, strict=True)), names))
            except ValueError as error:
                reading.problem(where, str(error))
    reading.notes += [str(note) for note in facts.get("notes", ())]
    _miss(reading, "faces.csv", names, rows)
    return rows


def _prepared_row(reading: _Reading, cells: dict[str, str], names: Sequence[str]) -> Row:
    path = reading.folder / cells["file"]
    if not path.is_file():
        raise ValueError(f"there is no picture {cells['file']}")
    if cells["label"] and cells["label"] not in names:
        raise ValueError(f"wanted a label among {', '.join(names)}, but got {cells['label']!r}")
    if cells["split"] not in SPLITS:
        raise ValueError(f"wanted a split among {', '.join(SPLITS)}, but got {cells['split']!r}")
    face = None
    if cells["x1"]:
        numbers = np.array([float(cells[name] or "nan") for name in FACE_COLUMNS], dtype=np.float32)
        if not np.isfinite(numbers[:4]).all():
            raise ValueError(f"wanted a box of four numbers, but got {', '.join(cells[name] for name in FACE_COLUMNS[:4])}")
        face = Face(numbers[:4], numbers[4:].reshape(5, 2))
    votes = vote_counts([cells[name] for name in FERPLUS_COLUMNS]) if FERPLUS_COLUMNS[0] in cells else []
    return Row(
        functools.partial(_read_picture, path, cells["file"]),
        cells["label"],
        cells["split"],
        cells["person"],
        cells["file"],
        tuple(votes) if any(votes) else (),
        face,
        cells["video"],
        float(cells["time_s"] or 0),
    )


READERS: dict[str, Callable[[_Reading], list[Row]]] = {
    "fer2013": functools.partial(_read_table, name="fer2013.csv"),
    "icml": functools.partial(_read_table, name="icml_face_data.csv"),
    "ferplus-folders": _read_ferplus_folders,
    "folders": _read_folders,
    "ckplus48": _read_ckplus48,
    "jaffe": _read_jaffe,
    "rafdb": _read_rafdb,
    "prepared": _read_prepared,
}
LAYOUTS = ("auto", *READERS)
"""What `read_layout` knows by name."""
