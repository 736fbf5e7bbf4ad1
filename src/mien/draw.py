"""FrameResult onto rgb: boxes, track ids, the leading expression and a bar per emotion."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.labels import colours_of
from mien.types import FrameResult, flag_names

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_CAP = 21.0  # height in pixels of a capital of this font at scale 1
_PANEL = (22, 24, 28)


class _Rect(NamedTuple):
    """Whole pixels, x2 and y2 exclusive."""

    x1: int
    y1: int
    x2: int
    y2: int

    def meets(self, other: "_Rect") -> bool:
        return self.x1 < other.x2 and other.x1 < self.x2 and self.y1 < other.y2 and other.y1 < self.y2

    def within(self, width: int, height: int) -> bool:
        return self.x1 >= 0 and self.y1 >= 0 and self.x2 <= width and self.y2 <= height


def annotate(result: FrameResult, *, bars: bool = True) -> NDArray[np.uint8]:
    """A new (H, W, 3) uint8 RGB picture: `result.frame.rgb` with what was read in it.

    A face whose reading cannot be relied on gets a grey box and the label "track unclear" (or what makes it so, "track too dark").
    Each other face gets a box in the colour of its leading expression (`mien.labels.colours_of`), a label "track expression
    percent", and, with `bars` and where there is room beside the box, one bar per emotion. Expression, percentage and bars are
    those of `result.smoothed`, so that a film does not flicker. Lines and text grow with the picture and with the face; labels stay
    inside the picture and keep clear of one another where a place is free. The frame itself is left as it is.
    """
    rgb: NDArray[np.uint8] = result.frame.rgb.copy()
    height, width = rgb.shape[:2]
    if height < 8 or width < 8:
        return rgb  # nothing could be read in there
    boxes = np.nan_to_num(result.faces.boxes, nan=0.0, posinf=1e6, neginf=-1e6)
    limits = np.array([width - 1, height - 1, width - 1, height - 1], np.float32)
    corners = np.clip(np.rint(boxes), 0, limits).astype(int).tolist()
    faces = [_Rect(*corner) for corner in corners]
    taken: list[_Rect] = []
    # Large faces first: theirs are the labels with the most room, and the small ones find theirs around them.
    good = result.relied_on.tolist()
    order = sorted(range(len(faces)), key=lambda i: faces[i].y1 - faces[i].y2)
    for i in order:
        colour = _words(result, i, good[i])[2]
        thick = max(1, round(min(height, width, 3 * (faces[i].y2 - faces[i].y1)) / 240))
        box = faces[i]
        cv2.rectangle(rgb, (box.x1, box.y1), (box.x2, box.y2), colour, thick, cv2.LINE_AA)
    for i in order:
        _label(rgb, faces[i], int(result.tracks[i]), *_words(result, i, good[i]), taken)
    if bars:
        for i in (i for i in order if good[i]):
            _bars(rgb, faces[i], faces, result.labels, result.smoothed[i], taken)
    return rgb


def _colour(labels: tuple[str, ...], label: int) -> tuple[int, int, int]:
    code = colours_of(labels)[label]
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)


def _ink(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """White or near-black, whichever reads better on `colour` (relative luminance of ITU-R BT.709)."""
    red, green, blue = colour
    return (16, 18, 22) if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 145 else (255, 255, 255)


def _text_height(face_height: int, picture: tuple[int, ...]) -> float:
    """Height of a capital in pixels: a ninth of the face's, but never too small to read nor larger than the picture bears."""
    short = min(picture[:2])
    return float(np.clip(face_height / 9, max(7.0, short * 0.016), max(8.0, short * 0.032)))


_WHY = {"small": "too small", "blurred": "blurred", "dark": "too dark", "flat": "too flat", "covered": "covered"}
_UNCLEAR = (138, 143, 152)


def _words(result: FrameResult, i: int, good: bool) -> tuple[str, str, tuple[int, int, int]]:
    """Of a face the expression, how sure it is, and its colour; or why it cannot be read."""
    if not good:
        return next((_WHY[name] for name in flag_names(int(result.flags[i])) if name in _WHY), "unclear"), "", _UNCLEAR
    lead = int(result.smoothed[i].argmax())
    name = result.labels[lead].encode("ascii", "replace").decode()
    return name, f" {result.smoothed[i, lead]:.0%}", _colour(result.labels, lead)


def _label(
    rgb: NDArray[np.uint8],
    box: _Rect,
    track: int,
    name: str,
    share: str,
    colour: tuple[int, int, int],
    taken: list[_Rect],
) -> None:
    height, width = rgb.shape[:2]
    cap = _text_height(box.y2 - box.y1, rgb.shape)
    # The shortest text that fits: the whole, then without the track, then the number alone.
    for text in (f"{track} {name}{share}", f"{name}{share}", f"{track}", ""):
        scale = cap / _CAP
        thick = max(1, round(cap / 10))
        (text_width, _), _ = cv2.getTextSize(text, _FONT, scale, thick)
        pad = max(2, round(cap * 0.45))
        w, h = text_width + 2 * pad, round(cap) + 2 * pad
        if w <= width and h <= height:
            break
    if not text:
        return
    x = min(max(box.x1, 0), width - w)
    right = min(max(box.x2 - w, 0), width - w)
    places = [
        _Rect(left, top, left + w, top + h)
        for top in (box.y1 - h, box.y2, box.y1, box.y2 - h, box.y1 - 2 * h, box.y2 + h)
        for left in (x, right)
    ]
    free = (place for place in places if place.within(width, height) and not any(place.meets(other) for other in taken))
    fallback = min(max(box.y1 - h, 0), height - h)
    place = next(free, _Rect(x, fallback, x + w, fallback + h))
    taken.append(place)
    cv2.rectangle(rgb, (place.x1, place.y1), (place.x2 - 1, place.y2 - 1), colour, cv2.FILLED)
    cv2.putText(rgb, text, (place.x1 + pad, place.y2 - pad - 1), _FONT, scale, _ink(colour), thick, cv2.LINE_AA)


def _bars(
    rgb: NDArray[np.uint8],
    box: _Rect,
    faces: list[_Rect],
    labels: tuple[str, ...],
    scores: NDArray[np.float32],
    taken: list[_Rect],
) -> None:
    """One bar per emotion in a dark panel at the right or left of the box: with names, else without, else none."""
    face_height = box.y2 - box.y1
    if face_height < 20:
        return
    height, width = rgb.shape[:2]
    cap = _text_height(face_height, rgb.shape) * 0.8
    scale, thick = cap / _CAP, max(1, round(cap / 12))
    names = [name.encode("ascii", "replace").decode() for name in labels]
    blocked = [*taken, *(face for face in faces if face is not box)]
    place = None
    for named in (True, False):
        if named and (cap < 6 or face_height < len(labels) * cap * 1.2):
            continue  # too small to read
        row = round(cap * 1.75) if named else max(3, round(face_height / len(labels) * 0.8))
        pad = max(2, row // 3)
        text_width = max(cv2.getTextSize(name, _FONT, scale, thick)[0][0] for name in names) + pad if named else 0
        bar_width = max(10, round(cap * 5.5 if named else min(row * 4, face_height * 0.6)))
        w, h = text_width + bar_width + 2 * pad, row * len(labels) + 2 * pad
        top = min(max(box.y1, 0), height - h)
        places = (_Rect(x, top, x + w, top + h) for x in (box.x2 + max(2, pad), box.x1 - max(2, pad) - w))
        place = next((p for p in places if p.within(width, height) and not any(p.meets(other) for other in blocked)), None)
        if place is not None:
            break
    if place is None:
        return
    taken.append(place)
    panel = rgb[place.y1 : place.y2, place.x1 : place.x2]
    cv2.addWeighted(panel, 0.3, np.full_like(panel, _PANEL), 0.7, 0, dst=panel)
    x = place.x1 + pad + text_width
    for k, name in enumerate(names):
        y = place.y1 + pad + k * row
        thickness = max(2, round(row * 0.55))
        y1 = y + (row - thickness) // 2
        length = round(float(scores[k]) * (bar_width - 1))
        cv2.rectangle(rgb, (x, y1), (x + bar_width - 1, y1 + thickness - 1), (58, 62, 70), cv2.FILLED)
        if length:
            cv2.rectangle(rgb, (x, y1), (x + length, y1 + thickness - 1), _bright(_colour(labels, k)), cv2.FILLED)
        if named:
            baseline = y + (row + round(cap)) // 2
            cv2.putText(rgb, name, (place.x1 + pad, baseline), _FONT, scale, (236, 238, 242), thick, cv2.LINE_AA)


def _bright(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """`colour` a third of the way to white, so that it stands out on the dark panel."""
    red, green, blue = (round(value + (255 - value) * 0.3) for value in colour)
    return red, green, blue
