"""Films labelled by their file names, or pictures in any layout → one folder of pictures with a table, divided by person.

    OUT/faces.csv       a row per picture: file, label, split, person, video, time_s, the face's box and landmarks, votes if any
    OUT/data.json       where it came from, names, counts, settings, notes
    OUT/pictures/…      PNG
    OUT/problems.csv    what could not be read, if anything
    OUT/without_face.csv  frames in which nobody was found, if any (films)
    OUT/videos/…json    what each film gave; a second run goes on from there (films)

Of a film the largest face of each frame that is looked at is kept: not the crop that a network sees, but the square around it that
is twice as wide, with the landmarks that the detector found in the whole frame. `load_faces` therefore frames it as `mien analyze`
frames that frame, for any `CropSpec`, and a recipe without alignment gets the box instead.
"""

import csv
import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import mien
from mien.crop import alignment
from mien.detect import Detector, YuNet
from mien.errors import DataError, MediaError
from mien.labels import canonical
from mien.training.data import largest
from mien.training.layouts import LAYOUTS as PICTURE_LAYOUTS
from mien.training.layouts import (
    PREPARED_FORMAT,
    SEED,
    SHARES,
    SPLITS,
    Face,
    Row,
    check_shares,
    find_layout,
    in_order,
    read_layout,
    said_shares,
    split_by_person,
    write_prepared,
)
from mien.training.one_film import across_splits, small
from mien.training.votes import refuse
from mien.types import Faces
from mien.whole_file import new_folder, whole_file

VIDEO_SUFFIXES = frozenset((".avi", ".mp4", ".flv", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".m4v", ".wmv"))

EVERY_S = 0.5

REGION = 2.0
"""The square that is kept, in sides of the crop: room for a crop that is turned, or framed by the box instead of the landmarks."""

MAX_SIDE = 448
"""A larger square is brought down to this many pixels, so that its crop has 224."""


# --- films named by rule ---------------------------------------------------------------------------------------------------------

_ENTERFACE = re.compile(r"s_?(\d+)_([a-z]{2})(?:_?\d+)?", re.IGNORECASE)
_ENTERFACE_LABELS = {"an": "anger", "di": "disgust", "fe": "fear", "ha": "happiness", "sa": "sadness", "su": "surprise"}

_RAVDESS = re.compile(r"(\d\d)-\d\d-(\d\d)-\d\d-\d\d-\d\d-(\d\d)")
_RAVDESS_LABELS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}
_RAVDESS_SOUND_ONLY = "03"

_CREMA_D = re.compile(r"(\d{4})_[A-Z]{3}_([A-Z]{3})_[A-Z]{1,2}")
_CREMA_D_LABELS = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happiness", "NEU": "neutral", "SAD": "sadness"}


@dataclass(frozen=True, slots=True)
class NameRule:
    """How a data set of films names its files.

    pattern  of the name without its suffix; `label` and `person` are the numbers of its groups
    labels   the set's own word for an emotion → one that `labels.canonical` knows
    example  a name, for messages
    """

    pattern: re.Pattern[str]
    label: int
    person: int
    labels: dict[str, str]
    example: str

    def read(self, stem: str) -> tuple[str, str]:
        """Canonical label and person. Raises `ValueError` that says what was wanted."""
        told = self.pattern.fullmatch(stem.strip())
        if told is None:
            raise ValueError(f"wanted a name such as {self.example}")
        word = told[self.label].lower() if self.pattern.flags & re.IGNORECASE else told[self.label]
        if word not in self.labels:
            raise ValueError(f"wanted an emotion among {', '.join(self.labels)} in its name, but got {word!r}")
        return canonical(self.labels[word]), told[self.person]


VIDEO_LAYOUTS: dict[str, NameRule] = {
    "enterface": NameRule(_ENTERFACE, 2, 1, _ENTERFACE_LABELS, "s1_an_1.avi"),
    "ravdess": NameRule(_RAVDESS, 2, 3, _RAVDESS_LABELS, "02-01-05-01-02-01-12.mp4"),
    "crema-d": NameRule(_CREMA_D, 2, 1, _CREMA_D_LABELS, "1001_DFA_ANG_XX.flv"),
}
"""eNTERFACE'05 (Martin et al. 2006), RAVDESS (Livingstone and Russo 2018), CREMA-D (Cao et al. 2014)."""

LAYOUTS = (*PICTURE_LAYOUTS, *VIDEO_LAYOUTS)
"""What `prepare` knows by name."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One film, its label, and who is in it."""

    path: Path
    source: str
    label: str
    person: str


def _films(source: Path) -> list[Path]:
    """All films below a folder, in the order of their names, hidden ones left out."""
    found = sorted(path for path in source.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file())
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(source).parts)]


def _found_layout(source: Path) -> str:
    """Films first: they may lie in folders that are named as classes of pictures are."""
    if not source.is_dir():
        raise DataError(f"{source}: is no folder; wanted one with films or labelled pictures")
    if any(rule.pattern.fullmatch(path.stem.strip()) for path in _films(source) for rule in VIDEO_LAYOUTS.values()):
        return find_clips(source)[0]
    try:
        return find_layout(source)
    except DataError as error:
        examples = ", ".join(rule.example for rule in VIDEO_LAYOUTS.values())
        raise DataError(f"{error}, nor films named as {examples}") from error


def find_clips(source: Path, layout: str = "auto") -> tuple[str, list[Clip], list[tuple[str, str]], list[str]]:
    """Layout, the films in a folder by name, problems (file and what is wrong with its name) and notes.

    `auto` takes the rule that most names follow. Raises `DataError` where there is no film, or none that follows a rule.
    """
    if not source.is_dir():
        raise DataError(f"{source}: is no folder; wanted one with films named by their data set's rule")
    films = _films(source)
    if layout == "auto":
        fits = {name: sum(1 for path in films if rule.pattern.fullmatch(path.stem.strip())) for name, rule in VIDEO_LAYOUTS.items()}
        layout = max(fits, key=lambda name: fits[name])
        if not fits[layout]:
            examples = ", ".join(rule.example for rule in VIDEO_LAYOUTS.values())
            raise DataError(f"{source}: wanted films named as {examples}, but there is none")
    elif not films:
        raise DataError(f"{source}: wanted films named as {VIDEO_LAYOUTS[layout].example}, but there is no film")
    rule, clips, problems, notes, silent = VIDEO_LAYOUTS[layout], [], [], [], 0
    takes: dict[str, Clip] = {}
    for path in films:
        shown = path.relative_to(source).as_posix()
        if layout == "ravdess" and path.stem.startswith(f"{_RAVDESS_SOUND_ONLY}-"):
            silent += 1
            continue
        try:
            label, person = rule.read(path.stem)
        except ValueError as error:
            problems.append((shown, str(error)))
            continue
        clip = Clip(path, shown, label, person)
        clips.append(clip)
        takes.setdefault(path.stem.partition("-")[2] if layout == "ravdess" else shown, clip)
    if silent:
        notes.append(f"files with sound only, left out: {silent:,}")
    if len(takes) < len(clips):  # 01 is the film with sound, 02 the same take without; sorted, the first comes first
        notes.append(f"films that show the same take a second time, left out: {len(clips) - len(takes):,}")
        clips = list(takes.values())
    if not clips:
        refuse([f"{source / where}: {what}" for where, what in problems])
        raise DataError(f"{source}: holds no film with a picture that follows the rule {layout}")
    return layout, clips, problems, notes


# --- the whole -------------------------------------------------------------------------------------------------------------------


def prepare(
    source: Path,
    out: Path,
    *,
    layout: str = "auto",
    every_s: float = EVERY_S,
    frames: int | None = None,
    shares: tuple[float, float, float] = SHARES,
    seed: int = SEED,
    skip_bad: bool = False,
    detector: Detector | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Makes the folder `out` of the films or pictures in `source`; gives back what stands in its data.json.

    layout    one of `LAYOUTS`; "auto" finds it out
    every_s   seconds between the frames of a film that are looked at (0 takes each)
    frames    so many of each film instead, evenly from its inside
    shares, seed  how it is divided, see `layouts.read_layout`; films always by person
    skip_bad  pictures: leave out what cannot be read, and list it in problems.csv, instead of failing. Films that cannot be read
              are always left out and listed: one broken file of 500 is no reason to lose the others

    Films are done one by one, each whole or not at all, and a second run with the same settings goes on where the first stopped.
    Raises `DataError`; `ValueError` for wrong arguments.
    """
    check_shares(shares)
    if layout not in LAYOUTS:
        raise ValueError(f"no layout {layout!r}; known: {', '.join(LAYOUTS)}")
    if not every_s >= 0 or (frames is not None and frames < 1):
        raise ValueError(f"wanted 0 or more seconds between frames and at least one frame, but got {every_s} and {frames}")
    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: is a file; give a folder")
    if layout == "auto":
        layout = _found_layout(source)
    if layout in VIDEO_LAYOUTS:
        looking = _Looking(detector or YuNet(), every_s, frames)
        return _prepare_films(source, out, layout, looking, shares, seed, progress)
    return _prepare_pictures(source, out, layout, shares, seed, skip_bad, progress)


def _facts(layout: str, rows: Sequence[Row], notes: Sequence[str], settings: dict[str, Any]) -> dict[str, Any]:
    names = in_order({row.label for row in rows} - {""})
    counts = {split: Counter(row.label for row in rows if row.split == split) for split in SPLITS}
    lacking = [
        f"{split} has no picture of {name}" for split in SPLITS for name in names if counts[split] and not counts[split][name]
    ]
    persons = {split: sorted({row.person for row in rows if row.split == split and row.person}) for split in SPLITS}
    return {
        "format": PREPARED_FORMAT,
        "mien": mien.__version__,
        "layout": layout,
        "names": list(names),
        "pictures": len(rows),
        "counts": {split: {name: counts[split][name] for name in names} for split in SPLITS},
        "persons": persons,
        "settings": settings,
        "notes": list(dict.fromkeys([*notes, *lacking])),
    }


def write_folder(
    folder: Path, layout: str, listed: Sequence[tuple[str, Row]], notes: Sequence[str], settings: dict[str, Any]
) -> dict[str, Any]:
    """Pictures with the names of their files within `folder`, as such a folder; gives back what stands in its data.json."""
    folder.mkdir(parents=True)
    for name, row in listed:
        _write_png(folder / name, row.read())
    facts = _facts(layout, [row for _, row in listed], notes, settings) | {"problems": 0}
    _write_tables(folder, facts, listed, [])
    return facts


def _write_tables(out: Path, facts: dict[str, Any], listed: Sequence[tuple[str, Row]], problems: Sequence[tuple[str, str]]) -> None:
    """data.json comes last: a folder without it is none that `load_faces` takes."""
    _write_list(out / "problems.csv", ("file", "problem"), problems)
    with whole_file(out / "faces.csv") as part:
        write_prepared(part, listed)
    with whole_file(out / "data.json") as part:
        part.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_list(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A csv, or none where it would be empty."""
    path.unlink(missing_ok=True)
    if rows:
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])


def _write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    """Grey where all channels are the same: a third of the size, and the same picture."""
    grey = picture.ndim == 2 or bool((picture[..., :1] == picture).all())
    flat = picture if picture.ndim == 2 else picture[..., 0] if grey else picture[..., ::-1]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", np.ascontiguousarray(flat))[1].tobytes())


# --- pictures --------------------------------------------------------------------------------------------------------------------


def _prepare_pictures(
    source: Path,
    out: Path,
    layout: str,
    shares: tuple[float, float, float],
    seed: int,
    skip_bad: bool,
    progress: Callable[[int, int], None] | None,
) -> dict[str, Any]:
    if out.exists() and any(out.iterdir()):
        raise DataError(f"{out}: is there already; remove it or give another folder")
    skipped: list[str] = []
    listing = read_layout(source, layout, shares=shares, seed=seed, problems=skipped if skip_bad else None)
    unreadable: list[str] = []
    listed: list[tuple[str, Row]] = []
    looks: list[NDArray[np.float32]] = []
    with new_folder(out) as folder:
        for i, (row, name) in enumerate(zip(listing.rows, _picture_names(listing.rows), strict=True)):
            try:
                picture = row.read()
                _write_png(folder / name, picture)
                listed.append((name, row))
                looks.append(small(picture))
            except DataError as error:
                unreadable.append(f"{source / str(error)}")
            if progress is not None and (i % 64 == 0 or i + 1 == len(listing)):
                progress(i + 1, len(listing))
        if not skip_bad:
            refuse(unreadable)
        problems = [_divided(text, source) for text in (*skipped, *unreadable)]
        rows = [row for _, row in listed]
        if not rows:
            refuse([*skipped, *unreadable])
        sources, splits = [row.source for row in rows], [row.split for row in rows]
        notes = [
            *listing.notes,
            *across_splits(sources, splits, listing.names, np.stack(looks)),
            *([f"could not be read and left out: {len(problems):,}, see problems.csv"] if problems else []),
        ]
        settings = {"shares": list(shares), "seed": seed, "skip_bad": skip_bad}
        facts = _facts(listing.layout, rows, notes, settings) | {"problems": len(problems)}
        _write_tables(folder, facts, listed, problems)
    return facts


def _divided(text: str, source: Path) -> tuple[str, str]:
    """ "data/fear/a.png: is no picture" → the file within its folder, and what is wrong."""
    where, _, what = text.removeprefix(f"{source}").lstrip("/\\").partition(": ")
    return where, what


def _picture_names(rows: Sequence[Row]) -> Iterator[str]:
    """pictures/train/happy/a.png for train/happy/a.jpg, pictures/fer2013_row_2.png for a row of a table; all different."""
    taken: set[str] = set()
    for row in rows:
        source = row.source.removeprefix("pictures/")
        table = re.fullmatch(r"(.+)\.csv, row (\d+)", source)
        stem = f"{table[1]}_row_{table[2]}" if table else str(PurePosixPath(source).with_suffix(""))
        name = stem
        for number in range(2, len(rows) + 2):
            if name not in taken:
                break
            name = f"{stem}-{number}"
        taken.add(name)
        yield f"pictures/{name}.png"


# --- films -----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Looking:
    """How films are looked at; what it says of itself is compared before a film counts as done."""

    detector: Detector
    every_s: float
    frames: int | None

    @property
    def settings(self) -> dict[str, Any]:
        how = {"every_s": self.every_s} if self.frames is None else {"frames": self.frames}
        return {**how, "detector": self.detector.facts, "region": REGION, "max_side_px": MAX_SIDE}


def _prepare_films(
    source: Path,
    out: Path,
    layout: str,
    looking: _Looking,
    shares: tuple[float, float, float],
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> dict[str, Any]:
    _, clips, problems, notes = find_clips(source, layout)
    marker = out / ".made-of-films"  # whatever else lies in this folder may be replaced or removed
    if out.exists() and any(out.iterdir()) and not marker.is_file():
        raise DataError(f"{out}: is there already and was not made of films; remove it or give another folder")
    # Told before hours are spent: too few persons for the shares.
    split = split_by_person([clip.person for clip in clips], [clip.label for clip in clips], shares, seed)
    (out / "videos").mkdir(parents=True, exist_ok=True)
    marker.touch()
    (out / "data.json").unlink(missing_ok=True)  # until all is done again
    for left in out.glob(".film-*"):  # by a run that was killed
        shutil.rmtree(left)
    names = [path.removeprefix("pictures/").removesuffix(".png") for path in _picture_names([_stand_in(clip) for clip in clips])]
    found = []
    for i, (clip, name) in enumerate(zip(clips, names, strict=True)):
        found.append(_one_film(clip, name, out, looking))
        if progress is not None:
            progress(i + 1, len(clips))
    _forget_others(out, names)
    listed: list[tuple[str, Row]] = []
    without: list[tuple[str, str]] = []
    for clip, where, part in zip(clips, split, found, strict=True):
        if part["error"]:
            problems.append((clip.source, part["error"]))
        without += [(clip.source, f"{time_s:.3f}") for time_s in part["without_face_s"]]
        for face in part["faces"]:
            listed.append((face["file"], _film_row(clip, where, face)))
        if not part["error"] and not part["faces"]:
            problems.append((clip.source, f"nobody was found in any of its {part['looks']} frames"))
    rows = [row for _, row in listed]
    if not rows:
        refuse([f"{source / where}: {what}" for where, what in problems])
    for name in in_order({clip.label for clip in clips}):
        if not any(row.label == name for row in rows):
            problems.append(("", f"the class {name} is empty: no film of it gave a face"))
    notes.append(f"divided by person: {said_shares(shares)} of {len({clip.person for clip in clips})} persons, seed {seed}")
    if problems:
        notes.append(f"problems: {len(problems):,}, see problems.csv")
    if without:
        notes.append(f"frames without a face: {len(without):,}, see without_face.csv")
    notes += [
        f"{name} is empty" for name, share in zip(SPLITS, shares, strict=True) if share and name not in {r.split for r in rows}
    ]
    facts = _facts(layout, rows, notes, {"shares": list(shares), "seed": seed, **looking.settings})
    facts["problems"] = len(problems)
    facts["videos"] = {
        "found": len(clips),
        "with_faces": sum(1 for part in found if part["faces"]),
        "failed": sum(1 for part in found if part["error"]),
        "looks": sum(part["looks"] for part in found),
        "without_face": len(without),
    }
    _write_list(out / "without_face.csv", ("video", "time_s"), without)
    _write_tables(out, facts, listed, problems)
    return facts


def _stand_in(clip: Clip) -> Row:
    """Named flat: a film beside a folder of the same name would else have its pictures in that folder."""
    return Row(_never, clip.label, SPLITS[0], clip.person, clip.source.replace("/", "__"))


def _never() -> NDArray[np.uint8]:
    raise DataError("a film is no picture")


def _film_row(clip: Clip, split: str, face: dict[str, Any]) -> Row:
    where = Face(np.array(face["box"], dtype=np.float32), np.array(face["landmarks"], dtype=np.float32).reshape(5, 2))
    return Row(_never, clip.label, split, clip.person, face["file"], (), where, clip.source, float(face["time_s"]))


def _one_film(clip: Clip, name: str, out: Path, looking: _Looking) -> dict[str, Any]:
    """What one film gave, from its file under videos/ if that was made of the same film in the same way."""
    record, pictures = out / "videos" / f"{name}.json", out / "pictures" / name
    stat = clip.path.stat()
    made_of = {"video": clip.source, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "settings": looking.settings}
    if record.is_file():
        try:
            known = json.loads(record.read_text(encoding="utf-8"))
            if (
                known["made_of"] == made_of
                and not known["error"]
                and all((out / face["file"]).is_file() for face in known["faces"])
            ):
                return dict(known)
        except (ValueError, KeyError, TypeError):  # damaged: made again
            pass
    record.unlink(missing_ok=True)
    pictures.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".film-") as scratch:
        folder = Path(scratch) / "pictures"
        folder.mkdir()
        part: dict[str, Any] = {"made_of": made_of, "error": None, "looks": 0, "faces": [], "without_face_s": []}
        try:
            for time_s, rgb in _looks(clip.path, looking):
                part["looks"] += 1
                faces = looking.detector(rgb)
                if not len(faces):
                    part["without_face_s"].append(round(time_s, 3))
                    continue
                region, face = cut_out(rgb, faces)
                file = f"{time_s:09.3f}.png"
                _write_png(folder / file, region)
                landmarks = [None if np.isnan(x) else round(float(x), 2) for x in face.landmarks.ravel()]
                box = [round(float(x), 2) for x in face.box]
                where = (PurePosixPath("pictures") / name / file).as_posix()
                part["faces"].append({"file": where, "time_s": round(time_s, 3), "box": box, "landmarks": landmarks})
        except (MediaError, DataError) as error:  # what came before the damage is good
            part["error"] = str(error).removeprefix(f"{clip.path.name}: ")
        if pictures.is_dir():
            shutil.rmtree(pictures)
        if part["faces"]:
            shutil.move(folder, pictures)
    with whole_file(record) as whole:
        whole.write_text(json.dumps(part) + "\n", encoding="utf-8")
    return part


def _looks(path: Path, looking: _Looking) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    from mien.media import open_media

    with open_media(path, kind="video") as media:
        if looking.frames is None:
            for frame in media.frames(every=looking.every_s):
                yield frame.time_s, frame.rgb
            return
        length = media.info.duration_s
        if not length:
            raise DataError("does not say how long it is; give seconds between frames instead of a number of frames")
        # So many points inside the film: an expression that is acted begins and ends with a neutral face.
        step = length / (looking.frames + 1)
        seen = 0
        for frame in media.frames(every=step):
            if frame.time_s < step / 2:
                continue
            yield frame.time_s, frame.rgb
            seen += 1
            if seen == looking.frames:
                return


def cut_out(rgb: NDArray[np.uint8], faces: Faces) -> tuple[NDArray[np.uint8], Face]:
    """The square around the largest face, (h, w, 3), cut off at the picture's edges, and where the face lies in it."""
    best = largest(faces)
    box, landmarks = faces.boxes[best], faces.landmarks[best]
    matrix = alignment(box, landmarks)
    side = 1 / float(np.hypot(matrix[0, 0], matrix[1, 0]))
    middle = np.linalg.solve(matrix[:, :2], np.array([0.5, 0.5]) - matrix[:, 2])
    height, width = rgb.shape[:2]
    left, top = np.clip(np.floor(middle - REGION * side / 2), 0, [width - 1, height - 1]).astype(int)
    right, bottom = np.clip(np.ceil(middle + REGION * side / 2), [left + 1, top + 1], [width, height]).astype(int)
    region = rgb[top:bottom, left:right]
    shift = np.array([left, top], dtype=np.float32)
    box, landmarks = box - np.tile(shift, 2), landmarks - shift
    scale = MAX_SIDE / max(region.shape[:2])
    if scale < 1:
        size = (max(1, round(region.shape[1] * scale)), max(1, round(region.shape[0] * scale)))
        stretch = np.array([size[0] / region.shape[1], size[1] / region.shape[0]], dtype=np.float32)
        region = np.asarray(cv2.resize(region, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        box, landmarks = box * np.tile(stretch, 2), landmarks * stretch
    return region, Face(box.astype(np.float32), landmarks.astype(np.float32))


def _forget_others(out: Path, names: Sequence[str]) -> None:
    """Removes what films that are no longer there left behind under videos/ and pictures/."""
    for record in sorted((out / "videos").glob("*.json")):
        if record.stem not in names:
            record.unlink()
            shutil.rmtree(out / "pictures" / record.stem, ignore_errors=True)
