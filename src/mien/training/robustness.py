"""What is left of a model's answers where pictures are bad, and what it says of pictures that show no face. No torch.

Each harm is done to the whole picture, and then the whole pipeline looks at it: detector, crop, network. A picture in which nobody
is found any more counts as wrong. So the figures are those of `mien analyze` on such pictures, not of a network on bad crops.
"""

import csv
import importlib.util
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.crop import TEMPLATE, TEMPLATE_BOX, alignment, crop_face
from mien.detect import Detector, YuNet
from mien.emotion import EmotionModel, Expressions, read_crops
from mien.errors import DataError
from mien.flags import flags
from mien.labels import FERPLUS_COLUMNS
from mien.models import Bundle
from mien.training.data import SIDE, SPLITS, largest
from mien.training.evaluate import (
    ALL_SPLITS,
    PROTOCOLS,
    enlarged,
    false_neutral,
    head_for,
    largest_face,
    listed,
    occurring,
    truth_for,
    wilson,
)
from mien.types import Faces, relied_on

__all__ = ["HARMS", "Harm", "Place", "measure_robustness", "not_faces", "robustness", "write_robustness"]

LIMIT = 600
"""Pictures that are drawn unless told otherwise: an interval of about ±3 points, and some minutes on one core."""

FRAME = 240
"""Side in pixels of the frame that small faces stand in."""

FULL_WELL, READ_NOISE = 4000.0, 3.0
"""Electrons of a white pixel in good light and the deviation of reading one out: a small camera at a high setting."""

SURE = 0.8
"""An answer above this is called a sure one."""

Rgb = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where the face is in the unharmed picture: box (4,) xyxy and landmarks (5, 2) in pixels."""

    box: NDArray[np.float32]
    landmarks: NDArray[np.float32]

    @property
    def width(self) -> float:
        return float(self.box[2] - self.box[0])

    @property
    def height(self) -> float:
        return float(self.box[3] - self.box[1])

    def moved(self, matrix: NDArray[np.float64]) -> "Place":
        """Where it is after the picture was warped by a similarity (2, 3); the box keeps its sides upright."""
        turn, shift = matrix[:, :2], matrix[:, 2]
        centre = turn @ ((self.box[:2] + self.box[2:]) / 2) + shift
        half = np.array([self.width, self.height]) / 2 * np.sqrt(abs(np.linalg.det(turn)))
        box = np.concatenate([centre - half, centre + half]).astype(np.float32)
        return Place(box, np.asarray(self.landmarks @ turn.T + shift, dtype=np.float32))


@dataclass(frozen=True, slots=True)
class Harm:
    """One way to spoil a picture.

    title      what it is, with the unit of the strengths
    strengths  from mild to severe
    apply      (rgb, strength, where the face is, generator) → the harmed picture, and where the face is then; the generator is the
               same for all strengths of one picture
    """

    title: str
    strengths: tuple[float, ...]
    apply: Callable[[Rgb, float, Place, np.random.Generator], tuple[Rgb, Place]]


def _blur(rgb: Rgb, strength: float, place: Place, rng: np.random.Generator) -> tuple[Rgb, Place]:
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), strength / 100 * place.width), dtype=np.uint8), place


def _noise(rgb: Rgb, strength: float, place: Place, rng: np.random.Generator) -> tuple[Rgb, Place]:
    grain = rng.standard_normal(rgb.shape, dtype=np.float32)
    return np.clip(rgb + strength * grain, 0, 255).round().astype(np.uint8), place


def _jpeg(rgb: Rgb, strength: float, place: Place, rng: np.random.Generator) -> tuple[Rgb, Place]:
    _, file = cv2.imencode(".jpg", rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(strength)])
    read: Any = cv2.imdecode(file, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(read[:, :, ::-1], dtype=np.uint8), place


def _dark(rgb: Rgb, strength: float, place: Place, rng: np.random.Generator) -> tuple[Rgb, Place]:
    """Less light: fewer electrons, whose number varies by its root, read out with noise, and shown as dark as they are."""
    electrons = FULL_WELL / strength * (rgb.astype(np.float32) / 255) ** np.float32(2.2)
    electrons += np.sqrt(electrons + READ_NOISE**2, dtype=np.float32) * rng.standard_normal(rgb.shape, dtype=np.float32)
    return (255 * (np.clip(electrons, 0, FULL_WELL) / FULL_WELL) ** (1 / 2.2)).round().astype(np.uint8), place


def _ground(rgb: Rgb) -> NDArray[np.float64]:
    """The mean colour of the picture's edge."""
    edge = np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]])
    return np.asarray(edge.mean(axis=0), dtype=np.float64)


def _small(rgb: Rgb, strength: float, place: Place, rng: np.random.Generator) -> tuple[Rgb, Place]:
    """The picture so small that the face is that wide, in the middle of a plain frame."""
    scale = strength / place.width
    height, width = (max(1, round(side * scale)) for side in rgb.shape[:2])
    small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    side = max(FRAME, height, width)
    frame = np.empty((side, side, 3), np.uint8)
    frame[:] = _ground(rgb).round()
    top, left = (side - height) // 2, (side - width) // 2
    frame[top : top + height, left : left + width] = small
    across, down = width / rgb.shape[1], height / rgb.shape[0]
    return frame, place.moved(np.array([[across, 0, left], [0, down, top]]))


def _turned(rgb: Rgb, strength: float, place: Place, rng: np.random.Generator) -> tuple[Rgb, Place]:
    """Turned in the plane, either way, in a frame that holds all of it."""
    height, width = rgb.shape[:2]
    side = int(np.ceil(np.hypot(height, width)))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), strength * rng.choice([-1, 1]), 1.0)
    matrix[:, 2] += [(side - width) / 2, (side - height) / 2]
    ground = tuple(_ground(rgb).tolist())
    turned = cv2.warpAffine(rgb, matrix, (side, side), flags=cv2.INTER_LINEAR, borderValue=ground)
    # OpenCV counts from the middle of a pixel, places from its corner.
    matrix[:, 2] += 0.5 - matrix[:, :2] @ [0.5, 0.5]
    return np.asarray(turned, dtype=np.uint8), place.moved(matrix)


def _masked(rgb: Rgb, strength: float, place: Place, rng: np.random.Generator) -> tuple[Rgb, Place]:
    """A pale mask from the chin up, across the face, as level as the eyes are."""
    down = _down(place)
    chin = (place.box[:2] + place.box[2:]) / 2 + down * place.height / 2
    return _bar(rgb, chin - down * place.height * strength / 200, place, place.height * strength / 100, 205), place


def _eyes(rgb: Rgb, strength: float, place: Place, rng: np.random.Generator) -> tuple[Rgb, Place]:
    """A dark bar over both eyes."""
    return _bar(rgb, place.landmarks[:2].mean(axis=0), place, place.height * strength / 100, 25), place


def _down(place: Place) -> NDArray[np.float32]:
    """The direction from the eyes to the chin, at right angles to the line between the eyes."""
    across = place.landmarks[1] - place.landmarks[0]
    across = across / max(float(np.hypot(*across)), 1e-6)
    return np.array([-across[1], across[0]], dtype=np.float32)


def _bar(rgb: Rgb, middle: NDArray[np.floating], place: Place, height: float, grey: int) -> Rgb:
    down = _down(place)
    across = np.array([down[1], -down[0]], dtype=np.float32) * place.width / 2
    half = down * height / 2
    corners = np.array([middle - across - half, middle + across - half, middle + across + half, middle - across + half])
    out = rgb.copy()
    cv2.fillConvexPoly(out, corners.round().astype(np.int32), (grey, grey, grey))
    return out


def _patch(rgb: Rgb, strength: float, place: Place, rng: np.random.Generator) -> tuple[Rgb, Place]:
    """A grey square somewhere within the face's box."""
    side = min(np.sqrt(place.width * place.height * strength / 100), place.width, place.height)
    x, y = place.box[:2] + rng.random(2) * [place.width - side, place.height - side]
    out = rgb.copy()
    out[max(0, round(y)) : round(y + side), max(0, round(x)) : round(x + side)] = 128
    return out, place


HARMS: dict[str, Harm] = {
    "blur": Harm("blur, σ in % of the face's width", (1, 2, 4, 6, 8), _blur),
    "noise": Harm("noise, σ in grey levels of 255", (5, 10, 15, 20, 30), _noise),
    "jpeg": Harm("JPEG, quality", (30, 15, 8, 5, 3), _jpeg),
    "dark": Harm("low light, divided by", (4, 8, 16, 32, 64), _dark),
    "size": Harm("size, face's width in pixels", (64, 48, 32, 24, 20, 16, 12), _small),
    "rotation": Harm("turned in the plane, degrees", (15, 30, 45, 60, 90), _turned),
    "mask": Harm("lower face covered, % of its height", (15, 25, 35, 45, 55), _masked),
    "eyes": Harm("bar over the eyes, % of the height", (8, 12, 16, 24, 32), _eyes),
    "patch": Harm("square anywhere, % of the face", (5, 10, 20, 30, 40), _patch),
}
"""Harm by name. What covers a face, or makes it small, is measured by the face that the detector finds in the unharmed picture."""


def robustness(
    model: EmotionModel,
    pictures: Sequence[Rgb],
    truth: NDArray[np.int64],
    *,
    harms: Sequence[str] = tuple(HARMS),
    detector: Detector | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """How often the pipeline is right on harmed pictures: a row for the unharmed ones ("none"), then one per harm and strength.

    pictures   (H, W, 3) RGB uint8 each, one face each; truth (N,) index into the model's labels
    detector   by default YuNet as `mien analyze` has it

    A row has harm, title, strength, n; of the whole pipeline accuracy with its 95 % interval low and high (Wilson; nobody found is
    wrong), found (share of pictures with a face), accuracy_of_found, not_neutral and false_neutral (of the found ones that are not
    neutral, the share called neutral), confidence (mean over the found), reliability (mean over the found), relied_on (share of the
    found with a reliability of `MIN_RELIABILITY` or more and no flag against it) and accuracy_relied_on (of these). What there is
    nothing to count for is None, and reliability where the model does not say.
    placed_accuracy is that of the network alone, on crops taken where the face is known to be from the unharmed picture: what lies
    between it and accuracy is the detector's. Raises `ValueError` for a harm that does not exist, or a picture without truth.
    """
    if unknown := [name for name in harms if name not in HARMS]:
        raise ValueError(f"no harm {', '.join(unknown)}; known: {', '.join(HARMS)}")
    if len(pictures) != len(truth) or not len(truth) or truth.min() < 0:
        raise ValueError(f"wanted a label for each of {len(pictures)} pictures and at least one, but got {len(truth)} labels")
    detector = detector or YuNet()
    places = [_place(detector, rgb) for rgb in pictures]
    todo = [("none", 0.0), *((name, strength) for name in harms for strength in HARMS[name].strengths)]
    rows = []
    for done, (name, strength) in enumerate(todo):
        found, placed = [], []
        for i, (rgb, place) in enumerate(zip(pictures, places, strict=True)):
            rng = np.random.default_rng([seed, i])
            harmed, there = HARMS[name].apply(rgb, strength, place, rng) if name != "none" else (rgb, place)
            found.append(largest_face(model.crop, detector, harmed))
            matrix = alignment(there.box, there.landmarks, rotate=model.crop.rotate)
            placed.append(crop_face(harmed, matrix, model.crop))
            if progress is not None:
                progress(done * len(pictures) + i + 1, len(todo) * len(pictures))
        title = HARMS[name].title if name != "none" else "as they are"
        row = dict.fromkeys(COLUMNS) | {"harm": name, "title": title, "strength": strength} | _row(model, found, truth)
        rows.append(row | {"placed_accuracy": float((model(np.stack(placed)).argmax(axis=1) == truth).mean())})
    return rows


def _place(detector: Detector, rgb: Rgb) -> Place:
    """The largest face; where none is found, the place that FER2013's frame gives it."""
    faces = detector(rgb)
    height, width = rgb.shape[:2]
    corner, size = np.zeros(2, np.float32), np.array([width, height], np.float32)
    box = np.array(TEMPLATE_BOX, np.float32) * np.tile(size, 2)
    if len(faces):
        i = largest(faces)
        box, corner, size = faces.boxes[i], faces.boxes[i, :2], faces.boxes[i, 2:] - faces.boxes[i, :2]
        if np.isfinite(faces.landmarks[i]).all():
            return Place(box, faces.landmarks[i])
    return Place(box, corner + np.array(TEMPLATE, np.float32) * size)


def _row(model: EmotionModel, seen: Sequence[tuple[Faces, Rgb] | None], truth: NDArray[np.int64]) -> dict[str, Any]:
    there = np.array([face is not None for face in seen])
    row: dict[str, Any] = {"n": len(seen), "found": float(there.mean())}
    right = 0
    answers: dict[str, Any] = {}
    if there.any():
        found = [face for face in seen if face is not None]
        probabilities, reliability = read_crops(model, np.concatenate([crop for _, crop in found]))
        marks = np.concatenate([flags(faces, crop) for faces, crop in found])
        taken = relied_on(reliability, marks)
        said = probabilities.argmax(axis=1)
        hit = said == truth[there]
        right = int(hit.sum())
        wrongly, others = false_neutral(truth[there], said, model.labels)
        answers = {
            "accuracy_of_found": right / int(there.sum()),
            "not_neutral": others,
            "false_neutral": wrongly / others if others else None,
            "confidence": float(probabilities.max(axis=1).mean()),
            "reliability": None if np.isnan(reliability).any() else float(reliability.mean()),
            "relied_on": float(taken.mean()),
            "accuracy_relied_on": float(hit[taken].mean()) if taken.any() else None,
        }
    low, high = wilson(right, len(seen))
    return row | {"accuracy": right / len(seen), "low": low, "high": high} | answers


# --- pictures without a face ------------------------------------------------------------------------------------------------------

TEXTURES = ("brick.png", "grass.png", "gravel.png")
THINGS = (
    *("chelsea.png", "chessboard_GRAY.png", "clock_motion.png", "coffee.png", "coins.png", "hubble_deep_field.jpg", "ihc.png"),
    *("moon.png", "motorcycle_left.png", "retina.jpg", "rocket.jpg", "text.png"),
)
"""Pictures that scikit-image carries, of no person; the first is a cat."""

CUTS = 10
"""Squares that are cut out of each of them."""


def not_faces(
    model: EmotionModel, others: Sequence[Rgb] = (), *, detector: Detector | None = None, seed: int = 0
) -> list[dict[str, Any]]:
    """What becomes of pictures that show no face: a row for each kind.

    others  pictures of the data that nobody called a face, (H, W, 3) RGB

    A row has kind, n, let_through (share in which the detector finds a face all the same), and what the network says when it is
    given the picture as if it were a face: confidence (mean), sure (share above `SURE`), said (share of each label), reliability
    (mean, None of a model that does not say) and relied_on (share that neither it nor a flag of the crop holds back). Textures and
    things are squares cut at random out of scikit-image's pictures; without scikit-image they are left out.
    """
    detector = detector or YuNet()
    rng = np.random.default_rng(seed)
    side = 4 * SIDE
    kinds: dict[str, list[Rgb]] = {
        "flat grey": [np.full((side, side, 3), grey, np.uint8) for grey in range(0, 256, 17)],
        "noise": [rng.integers(0, 256, (side, side, 3), dtype=np.uint8) for _ in range(60)],
        "smooth noise": [_clouds(rng, side) for _ in range(60)],
        "textures": _cuts(TEXTURES, rng),
        "things": _cuts(THINGS, rng),
        "no rater saw a face": list(others),
    }
    rows = []
    for kind, pictures in kinds.items():
        if not pictures:
            continue
        let_through = sum(len(detector(rgb)) > 0 for rgb in pictures) / len(pictures)
        crops = np.stack([_forced(model, rgb) for rgb in pictures])
        probabilities, reliability = read_crops(model, crops)
        taken = relied_on(reliability, flags(_whole(pictures), crops))
        confidence = probabilities.max(axis=1)
        said = np.bincount(probabilities.argmax(axis=1), minlength=len(model.labels)) / len(pictures)
        rows.append(
            {
                "kind": kind,
                "n": len(pictures),
                "let_through": let_through,
                "confidence": float(confidence.mean()),
                "sure": float((confidence > SURE).mean()),
                "said": {name: float(share) for name, share in zip(model.labels, said, strict=True)},
                "reliability": None if np.isnan(reliability).any() else float(reliability.mean()),
                "relied_on": float(taken.mean()),
            }
        )
    return rows


def _clouds(rng: np.random.Generator, side: int) -> Rgb:
    """Noise without detail: light and dark patches about as large as the parts of a face."""
    small = rng.integers(0, 256, (6, 6), dtype=np.uint8)
    grey = np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _cuts(names: Sequence[str], rng: np.random.Generator) -> list[Rgb]:
    """Squares of half to the whole of the shorter side, out of the pictures that are installed."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        return []
    folder = Path(spec.submodule_search_locations[0]) / "data"
    found = []
    for name in names:
        read = cv2.imread(str(folder / name), cv2.IMREAD_COLOR)
        if read is None:
            continue  # another release of scikit-image; n says how many there were
        rgb = np.asarray(read[:, :, ::-1], dtype=np.uint8)
        height, width = rgb.shape[:2]
        for _ in range(CUTS):
            side = int(min(height, width) * rng.uniform(0.5, 1.0))
            top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
            how = cv2.INTER_AREA if side > 4 * SIDE else cv2.INTER_CUBIC
            cut = cv2.resize(rgb[top : top + side, left : left + side], (4 * SIDE, 4 * SIDE), interpolation=how)
            found.append(np.asarray(cut, dtype=np.uint8))
    return found


def _whole(pictures: Sequence[Rgb]) -> Faces:
    """Each picture as the box of a face without landmarks."""
    n = len(pictures)
    boxes = np.array([[0, 0, rgb.shape[1], rgb.shape[0]] for rgb in pictures], np.float32)
    return Faces(boxes, np.ones(n, np.float32), np.full((n, 5, 2), np.nan, np.float32))


def _forced(model: EmotionModel, rgb: Rgb) -> Rgb:
    """The whole picture as a crop."""
    height, width = rgb.shape[:2]
    box = np.array(TEMPLATE_BOX, np.float32) * np.array([width, height, width, height], np.float32)
    return crop_face(rgb, alignment(box, np.full((5, 2), np.nan, np.float32)), model.crop)


# --- from a folder to files -------------------------------------------------------------------------------------------------------


def measure_robustness(
    bundle: Bundle,
    data: Path,
    protocol: str,
    *,
    split: str = "PublicTest",
    layout: str = "auto",
    head: str | None = None,
    prior: str | None = None,
    limit: int = LIMIT,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """`robustness` and `not_faces` of a bundle, on `limit` pictures drawn from one split of `data`, as plain JSON values.

    Raises `DataError` where no picture counts, and `ValueError` for PrivateTest: it is touched once for each model, for the score.
    """
    if split in ("PrivateTest", ALL_SPLITS):
        raise ValueError(
            f"robustness is not measured on {split}, which is kept for the final score; wanted {' or '.join(SPLITS[:2])}"
        )
    started = time.perf_counter()
    listing = listed(data, layout)
    head = head or head_for(bundle, protocol, occurring(listing))
    model = Expressions(bundle, head=head, prior=prior)
    truth = truth_for(listing, protocol, PROTOCOLS.get(protocol, model.labels))
    here = listing.column("split") == split
    pool = np.flatnonzero(here & (truth >= 0))
    if not len(pool):
        raise DataError(f"{data}: no picture of the split {split} counts under the protocol {protocol}")
    drawn = np.sort(np.random.default_rng(seed).permutation(pool)[:limit])
    pictures = [enlarged(listing.rows[i].read()) for i in drawn.tolist()]
    votes = listing.votes
    nobody = here & (votes[:, FERPLUS_COLUMNS.index("NF")] == votes.sum(axis=1)) & votes.any(axis=1)
    others = [enlarged(listing.rows[i].read()) for i in np.flatnonzero(nobody).tolist()]
    found: dict[str, Any] = {
        "model": bundle.spec.name,
        "sha256": bundle.spec.sha256,
        "protocol": protocol,
        "split": split,
        "head": head,
        "n": len(drawn),
        "of": len(pool),
        "seed": seed,
        "harms": robustness(model, pictures, truth[drawn], seed=seed, progress=progress),
        "not_faces": not_faces(model, others, seed=seed),
    }
    return found | {"seconds": round(time.perf_counter() - started, 1)}


COLUMNS = (
    *("harm", "title", "strength", "n", "accuracy", "low", "high", "found", "accuracy_of_found"),
    *("not_neutral", "false_neutral", "confidence", "placed_accuracy", "reliability", "relied_on", "accuracy_relied_on"),
)


def write_robustness(found: dict[str, Any], out: Path) -> None:
    """What `measure_robustness` found, into the folder `out`: robustness.json, .csv and .png, and not_faces.csv."""
    from mien.training.pictures import robustness_picture

    (out / "robustness.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    with (out / "robustness.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for row in found["harms"]:
            table.writerow([_cell(row[name]) for name in COLUMNS])
    with (out / "not_faces.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        labels = list(found["not_faces"][0]["said"])
        said = [f"said {name}" for name in labels]
        table.writerow(["kind", "n", "let_through", "confidence", "sure", *said, "reliability", "relied_on"])
        for row in found["not_faces"]:
            cells = [row[name] for name in ("kind", "n", "let_through", "confidence", "sure")]
            table.writerow([_cell(value) for value in [*cells, *row["said"].values(), row["reliability"], row["relied_on"]]])
    what = f"{found['model']}, whole pipeline, {found['n']:,} pictures of {found['split']}, {found['protocol']}"
    robustness_picture(found["harms"], out / "robustness.png", title=what)


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return (
        f"{value:.4f}"
        if isinstance(value, float) and not value.is_integer()
        else f"{value:g}"
        if isinstance(value, float)
        else value
    )
