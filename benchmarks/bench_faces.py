"""Which faces are found: by the size of frame and face, by light and grain, and in pictures without any; and what they are read as.

python benchmarks/bench_faces.py [--part sizes|light|nobody|pixels] [--data DIR] [--quick]

Portraits come from packages, and from the clips beside the repository on machines that have them. They are pasted into a picture
of cups and spoons, harder than any room, and before a plain wall.
"""

import argparse
import itertools
import tempfile
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

import measure
from mien.analyze import Analyzer
from mien.demo import PORTRAITS, installed_file
from mien.detect import YuNet
from mien.media import open_media, read_picture
from mien.training.layouts import read_fer2013
from mien.types import Timeline

Picture = NDArray[np.uint8]
CLIPS = measure.CLIP.parent
SIZES = ((640, 360), (1280, 720), (1920, 1080), (3840, 2160))
LIGHTS, GRAINS = (1.0, 0.5, 0.3, 0.2, 0.1), (0.0, 3.0, 6.0, 9.0, 12.0)


def main() -> None:
    parser = argparse.ArgumentParser(description="Shares of faces that are found.")
    parser.add_argument("--part", choices=("sizes", "light", "nobody", "pixels"), help="default: all")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="for pixels: a folder with fer2013.csv, of which PublicTest is taken"
    )
    parser.add_argument("--quick", action="store_true", help="fewer pictures of each")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    for part in (sizes, light, nobody):
        if options.part in (None, part.__name__):
            part(options.quick)
    if options.part in (None, "pixels"):
        pixels(options.quick, options.data)


def portraits() -> list[tuple[Picture, float]]:
    """Squares around faces, with the share of the side that the face is wide."""
    pictures = [read_picture(path).rgb for given in PORTRAITS if (path := installed_file(*given)) is not None]
    if (CLIPS / "multi_face.jpg").is_file():
        pictures.append(read_picture(CLIPS / "multi_face.jpg").rgb)
    for name, every in (("sad_to_happy.mp4", 2.0), ("single_face.mp4", 0.6), ("noface_face.mov", 2.0)):
        pictures += clip(name, every)
    found = []
    for rgb in pictures:
        for x1, y1, x2, y2 in YuNet(threshold=0.8, min_face=60, max_side=640)(rgb).boxes:
            half = round(1.1 * float(x2 - x1))
            left, top = round((x1 + x2) / 2) - half, round((y1 + y2) / 2) - half
            wide = cv2.copyMakeBorder(rgb, half, half, half, half, cv2.BORDER_REPLICATE)
            found.append((wide[top + half : top + 3 * half, left + half : left + 3 * half], float(x2 - x1) / (2 * half)))
    return found


def clip(name: str, every: float) -> list[Picture]:
    """Some frames of a clip; none where it is not there."""
    if not (CLIPS / name).is_file():
        return []
    with open_media(CLIPS / name) as media:
        return [frame.rgb for frame in media.frames(every)]


def textures() -> list[Picture]:
    """Pictures from scikit-image that show nobody: bricks, grass, gravel, a cup, text, stars, coins, a cat."""
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    names = ("brick.png", "grass.png", "gravel.png", "coffee.png", "text.png", "hubble_deep_field.jpg", "coins.png", "chelsea.png")
    return [read_picture(folder / name).rgb for name in names if (folder / name).is_file()]


def room(
    size: tuple[int, int], faces: Iterable[tuple[Picture, float]], px: float, ground: Picture, seed: int
) -> tuple[Picture, NDArray]:
    """A picture of faces `px` wide in rows, and the boxes' middles (N, 2)."""
    rng, (width, height) = np.random.default_rng(seed), size
    tiles = (-(-height // ground.shape[0]), -(-width // ground.shape[1]), 1)
    picture = np.ascontiguousarray(np.tile(ground, tiles)[:height, :width])
    cells = list(itertools.product(range(3), range(5)))
    middles = []
    for (row, column), (portrait, share) in zip(cells, faces, strict=False):
        side = round(px / share)
        part = cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
        edge = np.zeros((side, side), np.float32)
        edge[4:-4, 4:-4] = 1
        edge = cv2.GaussianBlur(edge, (7, 7), 2)[..., None]
        x = column * width // 5 + int(rng.integers(0, max(1, width // 5 - side)))
        y = row * height // 3 + int(rng.integers(0, max(1, height // 3 - side)))
        at = picture[y : y + side, x : x + side]
        at[:] = (part * edge + at * (1 - edge)).round()
        middles.append((x + side / 2, y + side / 2))
    return picture, np.array(middles)


def counted(boxes: NDArray[np.float32], middles: NDArray) -> tuple[int, int]:
    """How many of the faces are found, and how many boxes are of no face or of one that another box has."""
    inside = ((boxes[:, None, :2] < middles) & (middles < boxes[:, None, 2:])).all(axis=2)
    found = int(inside.any(axis=0).sum())
    return found, len(boxes) - found


def dim(rgb: Picture, light: float, grain: float, seed: int = 0) -> Picture:
    """As a camera gives it in that share of the light, with grain of so many grey levels in each colour."""
    lit = rgb * np.float32(light)
    if grain:
        lit += np.float32(grain) * np.random.default_rng(seed).standard_normal(rgb.shape, np.float32)
    return np.asarray(np.clip(lit.round(), 0, 255), np.uint8)


def sizes(quick: bool) -> None:
    detector, faces = YuNet(), portraits()
    grounds = {"plain": np.full((64, 64, 3), 150, np.uint8), "cups": cv2.resize(textures()[3], (900, 600))}
    rows = []
    for (name, ground), px in itertools.product(grounds.items(), (30, 40, 48) if not quick else (40,)):
        cells = []
        for size in SIZES[1:]:
            hits, false, count = 0, 0, 0
            for start in range(0, len(faces) - 14, 15):
                picture, middles = room(size, faces[start : start + 15], px, ground, start)
                found = counted(detector(picture).boxes, middles)
                hits, false, count = hits + found[0], false + found[1], count + len(middles)
            cells += [f"{hits} of {count}", str(false)]
        rows.append([f"{name}, {px} px", *cells])
    head = ["faces", *(text for w, h in SIZES[1:] for text in (f"{w}×{h}", "false"))]
    measure.table("Faces found by the size of the frame", head, rows, f"Detector: {detector.facts}")


def light(quick: bool) -> None:
    detector, faces = YuNet(), portraits()[:15]
    ground = cv2.GaussianBlur(cv2.resize(textures()[3], (640, 360)), (0, 0), 3)
    pictures = [
        room((640, 360), faces, 40, ground, 1),
        room((1280, 720), faces, 48, ground, 2),
        room((1280, 720), faces, 90, ground, 3),
    ]
    pictures.append(room((1920, 1080), faces, 60, ground, 4))
    for name in ("classroom.gif", "three_people_walking.gif", "sad_to_happy.mp4"):
        for rgb in clip(name, 1.3)[:3]:
            boxes = detector(rgb).boxes
            pictures.append((rgb, (boxes[:, :2] + boxes[:, 2:]) / 2))
    rows = []
    cells = itertools.product(LIGHTS, GRAINS) if not quick else [(1.0, 0.0), (1.0, 9.0), (0.3, 0.0), (0.3, 9.0), (0.1, 6.0)]
    for lit, grain in cells:
        hits, false, count = 0, 0, 0
        each = []
        for i, (rgb, middles) in enumerate(pictures):
            found = counted(detector(dim(rgb, lit, grain, i)).boxes, middles)
            hits, false, count = hits + found[0], false + found[1], count + len(middles)
            each.append(f"{found[0]}/{len(middles)}")
        rows.append([f"{lit:.0%}, {grain:g}", f"{hits / count:.0%}", str(false), " ".join(each[:4])])
    measure.table("Faces found by light and grain", ["light, grain", "found", "false", "rooms"], rows, f"Of {count} faces.")


def nobody(quick: bool) -> None:
    detector, rng = YuNet(), np.random.default_rng(5)
    pictures = {"textures": textures()}
    pictures["textures at 4K"] = [np.tile(t, (5, 8, 1))[:2160, :3840] for t in textures()[: 2 if quick else 8]]
    pictures["no_face.mp4"] = clip("no_face.mp4", 0.2 if not quick else 1.0)
    pictures["noise"] = [rng.integers(0, 256, (720, 1280, 3)).astype(np.uint8), np.full((720, 1280, 3), 40, np.uint8)]
    pictures["grain in the dark"] = [
        dim(np.full((720, 1280, 3), level, np.uint8), 1, g, 3) for level in (0, 10, 30) for g in (3, 9, 20)
    ]
    pictures["dim textures"] = [dim(t, 0.3, 9.0) for t in textures()]
    rows = [[name, str(len(shown)), str(sum(len(detector(rgb)) for rgb in shown))] for name, shown in pictures.items() if shown]
    measure.table("Faces found where there is nobody", ["", "pictures", "faces"], rows)


def labelled(data: Path, count: int) -> list[tuple[Picture, float]]:
    """FER2013's PublicTest pictures as `portraits` has them, enlarged."""
    faces, _, split = read_fer2013(data / "fer2013.csv")
    chosen = faces[split == "PublicTest"][:count]
    return [(np.repeat(cv2.resize(f, (96, 96), interpolation=cv2.INTER_CUBIC)[..., None], 3, axis=2), 0.8) for f in chosen]


def squeezed(path: Path, pictures: Sequence[Picture], aspect: Fraction) -> Path:
    """The pictures as a film of such pixels, as wide as it is then stored."""
    height, width = pictures[0].shape[:2]
    stored = round(width / aspect / 2) * 2
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=5, options={"crf": "16", "preset": "veryfast"})
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = stored, height, "yuv420p"
        context.sample_aspect_ratio = stream.sample_aspect_ratio = aspect
        for rgb in pictures:
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(width=stored, height=height, interpolation="BICUBIC")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def same(square: Timeline, other: Timeline, across: float) -> tuple[int, int]:
    """Of how many faces of `square` the leading expression is the same in `other`, and how many are found there; by place.

    across  what x of `other` is to be multiplied by
    """
    alike = found = 0
    for frame in range(len(square)):
        own, its = square.frame_rows == frame, other.frame_rows == frame
        boxes = other.boxes[its] * np.array([across, 1, across, 1])
        for box, scores in zip(square.boxes[own], square.emotions[own], strict=True):
            away = np.abs((boxes[:, :2] + boxes[:, 2:] - box[:2] - box[2:]) / 2).max(axis=1) if len(boxes) else np.array([np.inf])
            if away.min() < 0.3 * (box[2] - box[0]):
                found += 1
                alike += int(other.emotions[its][away.argmin()].argmax() == scores.argmax())
    return alike, found


def pixels(quick: bool, data: Path | None) -> None:
    analyzer, ground = Analyzer(smoothing_s=0), np.full((64, 64, 3), 150, np.uint8)
    faces = labelled(data, 150 if quick else 600) if data else portraits()
    rooms = [room((960, 540), faces[start : start + 15], 76.8, ground, start)[0] for start in range(0, len(faces) - 14, 15)]
    films = {"pasted into a room": rooms} | {
        name: clip(name, 0.5) for name in ("sad_to_happy.mp4", "single_face.mp4", "classroom.gif")
    }
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for name, pictures in films.items():
            if not pictures:
                continue
            even = [rgb[: rgb.shape[0] // 2 * 2, : rgb.shape[1] // 2 * 2] for rgb in pictures]
            square = analyzer.video(squeezed(Path(scratch, "square.mp4"), even, Fraction(1)), rotate=0)
            with open_media(Path(scratch, "square.mp4")) as media:
                again = squeezed(Path(scratch, "again.mp4"), [frame.rgb for frame in media.frames()], Fraction(1))
            alike, n = same(square, analyzer.video(again, rotate=0), 1.0)
            rows.append([name, "1:1, encoded again", str(len(square.boxes)), f"{alike / max(1, n):.1%} of {n:,}", ""])
            for aspect in (Fraction(4, 3), Fraction(64, 45), Fraction(8, 9)):
                path = squeezed(Path(scratch, "oblong.mp4"), even, aspect)
                shown = same(square, analyzer.video(path, rotate=0), 1.0)
                with open_media(path) as media:  # as if its pixels were square, as they were read before
                    stored = round(media.info.width / aspect)
                    flat = [cv2.resize(f.rgb, (stored, f.rgb.shape[0]), interpolation=cv2.INTER_AREA) for f in media.frames()]
                lying = [rgb[:, : stored // 2 * 2] for rgb in flat]
                as_stored = same(
                    square, analyzer.video(squeezed(Path(scratch, "flat.mp4"), lying, Fraction(1)), rotate=0), float(aspect)
                )
                cells = [f"{alike / max(1, n):.1%} of {n:,}" for alike, n in (shown, as_stored)]
                rows.append([name, f"{aspect.numerator}:{aspect.denominator}", str(len(square.boxes)), *cells])
    head = ["faces", "pixels", "in square ones", "same expression", "if taken as square"]
    measure.table("The same leading expression in oblong pixels", head, rows, "Beside the film of square pixels, by place.")


if __name__ == "__main__":
    main()
