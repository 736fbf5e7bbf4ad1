"""The film of the sample study, drawn on the spot: a balloon, a hat, rain, a bang and a happy end. Nobody is in it."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.media import VideoWriter

WIDTH, HEIGHT, FPS = 640, 360, 12.0
DURATION_S = 72.0
JOKE_S, RAIN_S, BANG_S, END_S = (16.0, 23.0), (34.0, 46.0), (54.0, 56.5), (58.0, 66.0)

_SHARP = 2  # drawn twice as large, and then made smaller: smooth edges
_SHIFT = 4  # bits of a pixel that places are told in
_DAY, _EVENING, _GREY, _NIGHT, _MORNING = (
    ((124, 190, 232), (232, 244, 248)),
    ((92, 84, 150), (244, 178, 132)),
    ((88, 98, 112), (148, 156, 164)),
    ((16, 22, 52), (52, 58, 98)),
    ((120, 170, 226), (255, 226, 190)),
)
_SKIES = (
    *((0.0, _DAY), (24.0, _DAY), (29.0, _EVENING), (32.0, _EVENING), (35.0, _GREY), (46.0, _GREY), (49.0, _NIGHT), (56.0, _NIGHT)),
    *((60.0, _MORNING), (DURATION_S, _MORNING)),
)
_RED, _HAT, _BAND, _BIRD = (214, 62, 56), (38, 36, 44), (190, 150, 60), (246, 200, 70)
_CONFETTI = ((230, 80, 70), (246, 190, 60), (90, 170, 110), (80, 140, 210), (170, 110, 190))

_Picture = NDArray[np.uint8]
_Colour = tuple[int, int, int]


def film(path: Path) -> Path:
    """Writes the film to `path`, an .mp4 of 72 s at 640 × 360 without sound; gives back `path`. Raises `MediaError`."""
    with VideoWriter(path, WIDTH, HEIGHT, fps_hint=FPS) as writer:
        for number, rgb in enumerate(frames()):
            writer.write(rgb, number / FPS)
    return path


def frames() -> Iterator[_Picture]:
    """(HEIGHT, WIDTH, 3) uint8 RGB, FPS of them a second."""
    titles = {
        "The little balloon": _title("The little balloon", 92),
        "a film for mien": _title("a drawn film without people", 34),
        "BANG!": _title("BANG!", 190),
        "The end": _title("The end", 92),
    }
    drops = np.random.default_rng(3).random((140, 3))
    stars = np.random.default_rng(4).random((70, 3))
    bits = np.random.default_rng(5).random((120, 5))
    for number in range(round(DURATION_S * FPS)):
        t = number / FPS
        picture = _sky(t)
        _sun(picture, t)
        if 44 < t < 61:
            _stars(picture, stars, min(_ramp(t, 47, 50), 1 - _ramp(t, 57, 61)))
        _clouds(picture, t)
        _hills(picture, t)
        if t < BANG_S[0]:
            _hero(picture, t)
        if 33 < t < 48:
            _rain(picture, drops, t, min(_ramp(t, 33, 36), 1 - _ramp(t, 44, 47)))
        if BANG_S[0] <= t < 60:
            _burst(picture, bits, t - BANG_S[0])
        if t >= 57:
            _balloons(picture, t)
        small = np.asarray(cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)
        if t < 5:
            _write(small, titles["The little balloon"], 0.26, _ramp(t, 0.4, 1.4) * (1 - _ramp(t, 3.8, 4.8)))
            _write(small, titles["a film for mien"], 0.4, _ramp(t, 1.2, 2.0) * (1 - _ramp(t, 3.8, 4.8)))
        if BANG_S[0] <= t < BANG_S[1]:
            _write(small, titles["BANG!"], 0.42, 1 - _ramp(t, BANG_S[1] - 0.6, BANG_S[1]), (176, 34, 40))
        if t >= END_S[1]:
            _write(small, titles["The end"], 0.45, _ramp(t, END_S[1], END_S[1] + 1))
        light = _ramp(t, 0, 0.7) * (1 - _ramp(t, DURATION_S - 1, DURATION_S - 0.1))
        yield small if light >= 1 else (small * light).astype(np.uint8)


# --- what is in it; places are shares of the picture's height, x from its left, y from its top


def _hero(picture: _Picture, t: float) -> None:
    """The balloon, and the hat that falls on it, until the bang."""
    x = 0.62 + 0.2 * np.sin(t * 0.35) * (1 - 0.6 * _ramp(t, 15, 17)) + 0.18 * _ramp(t, 3, 14)
    y = 0.75 - 0.33 * _ramp(t, 2, 12) + 0.02 * np.sin(t * 1.7) - 0.06 * _ramp(t, 24, 30) + 0.34 * _ramp(t, 34, 45)
    size = 0.115 * (1 - 0.38 * _ramp(t, 35, 46)) * (1 + 0.9 * _ramp(t, 52.5, 54) ** 2)
    hit = np.exp(-4 * max(0.0, t - 17.2)) * np.sin(14 * max(0.0, t - 17.2)) if t > 17.2 else 0.0
    _balloon(picture, x, y, size, _RED, squeezed=0.22 * hit)
    if t > 16 and t < 50:
        gone = _ramp(t, 33.5, 36)
        fall = y - size * (1.02 - 0.22 * hit) - 0.8 * (1 - _ramp(t, 16, 17.2)) ** 2
        tilt = 0.35 * np.sin(5.5 * (t - 17.2)) * np.exp(-0.5 * (t - 17.2)) if t > 17.2 else 0.0
        hat_x, hat_y = x + gone * 0.38, fall + gone * (0.86 - fall)
        if 18.6 < t < 24.5:
            _bird(picture, hat_x, hat_y - 0.12 - 0.09 * np.sin(np.pi * _ramp(t, 18.6, 20.4) / 2) - 0.55 * _ramp(t, 22.3, 24.5), t)
        _hat(picture, hat_x, hat_y, size if t < 35 else 0.1, tilt + 2.6 * gone)


def _balloon(picture: _Picture, x: float, y: float, size: float, colour: _Colour, squeezed: float = 0.0) -> None:
    string = [(x + 0.012 * np.sin(i * 0.9), y + size * 1.2 + i * 0.022) for i in range(9)]
    _line(picture, string, (110, 100, 96), 0.004)
    _ellipse(picture, x, y, size * (1 + squeezed), size * 1.16 * (1 - squeezed), colour)
    _polygon(picture, [(x - 0.016, y + size * 1.24), (x + 0.016, y + size * 1.24), (x, y + size * 1.1)], colour)
    glow = tuple(min(255, round(c + (255 - c) * 0.45)) for c in colour)
    _ellipse(picture, x - size * 0.36, y - size * 0.45, size * 0.2, size * 0.3, glow, angle=25)


def _hat(picture: _Picture, x: float, y: float, size: float, tilt: float) -> None:
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])

    def placed(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(x + a, y + b) for a, b in (turn @ (np.array(points) * size).T).T]

    _polygon(picture, placed([(-0.62, 0.02), (-0.7, -1.15), (0.7, -1.15), (0.62, 0.02)]), _HAT)
    _polygon(picture, placed([(-0.63, -0.1), (-0.65, -0.36), (0.65, -0.36), (0.63, -0.1)]), _BAND)
    _polygon(picture, placed([(-1.15, 0.1), (-1.15, 0.0), (1.15, 0.0), (1.15, 0.1)]), _HAT)


def _bird(picture: _Picture, x: float, y: float, t: float) -> None:
    wing = 0.05 * np.sin(t * (22 if t > 22.2 else 9))
    _ellipse(picture, x, y, 0.05, 0.042, _BIRD)
    _polygon(picture, [(x - 0.01, y), (x - 0.09, y - 0.02 - wing), (x - 0.03, y + 0.025)], (222, 168, 50))
    _polygon(picture, [(x + 0.044, y - 0.018), (x + 0.085, y - 0.004), (x + 0.044, y + 0.008)], (226, 120, 50))
    _ellipse(picture, x + 0.022, y - 0.014, 0.007, 0.007, (40, 36, 40))


def _balloons(picture: _Picture, t: float) -> None:
    """The happy end: out of one come many."""
    for i in range(11):
        start = 57.2 + 0.55 * i
        if t > start:
            x = 0.14 + 1.5 * ((i * 0.37) % 1.0) + 0.03 * np.sin(1.1 * t + i)
            y = 1.2 - 0.155 * (t - start) ** 0.9
            _balloon(picture, x, y, 0.07 + 0.018 * (i % 3), _CONFETTI[i % len(_CONFETTI)])


def _burst(picture: _Picture, bits: NDArray[np.float64], age_s: float) -> None:
    flash = np.exp(-3.5 * age_s)
    if flash > 0.02:
        picture[:] = (picture + (255 - picture.astype(np.float32)) * flash * 0.9).astype(np.uint8)
    if age_s < 2.4:
        grown = 0.2 + 0.5 * min(1.0, age_s * 5)
        ray = [
            (0.89 + grown * (1 if i % 2 else 0.62) * np.cos(a), 0.42 + grown * 0.62 * (1 if i % 2 else 0.62) * np.sin(a))
            for i, a in enumerate(np.linspace(0, 2 * np.pi, 33)[:-1])
        ]
        _polygon(picture, ray, (250, 206, 72))
    for a, b, c, d, e in bits:
        angle, speed = 2 * np.pi * a, 0.25 + 0.9 * b
        x = 0.89 + np.cos(angle) * speed * (1 - np.exp(-1.6 * age_s))
        y = 0.42 + np.sin(angle) * speed * 0.7 * (1 - np.exp(-1.6 * age_s)) + 0.11 * age_s**2
        _ellipse(picture, x, y, 0.012, 0.005 + 0.006 * abs(np.sin(6 * age_s + 7 * c)), _CONFETTI[int(d * 5)], angle=360 * e)


def _rain(picture: _Picture, drops: NDArray[np.float64], t: float, strength: float) -> None:
    for a, b, c in drops[: int(len(drops) * strength)]:
        y = (b + t * (0.9 + 0.5 * c)) % 1.15 - 0.1
        x = a * 1.95 - 0.06 * y
        _line(picture, [(x, y), (x - 0.012, y + 0.05 + 0.03 * c)], (196, 210, 226), 0.003)


def _stars(picture: _Picture, stars: NDArray[np.float64], light: float) -> None:
    for a, b, c in stars:
        x, y = int(a * picture.shape[1]), int(b * 0.6 * picture.shape[0])
        under = picture[y, x].astype(np.float32)
        colour = under + (np.array([250, 246, 220]) - under) * light * (0.4 + 0.6 * c)
        cv2.circle(picture, (x, y), 2 if c < 0.8 else 3, tuple(int(v) for v in colour), -1, cv2.LINE_AA)


def _clouds(picture: _Picture, t: float) -> None:
    grey, night = _ramp(t, 31, 35) * (1 - _ramp(t, 57, 60)), _ramp(t, 46, 49) * (1 - _ramp(t, 56, 60))
    dark = np.array([112, 118, 128]) * (1 - night) + np.array([62, 70, 108]) * night
    colour = 250 * (1 - grey) + dark * grey
    shade = tuple(int(np.clip(v, 0, 255)) for v in colour)
    for i, (y, size, speed) in enumerate(((0.16, 0.075, 0.012), (0.3, 0.055, 0.02), (0.11, 0.06, 0.016), (0.24, 0.07, 0.009))):
        x = (0.2 + 0.55 * i + speed * t * 1.6) % 2.3 - 0.25
        for dx, dy, r in ((-1.1, 0.2, 0.7), (0, -0.2, 1.0), (1.1, 0.15, 0.75), (0.2, 0.35, 0.9)):
            _ellipse(picture, x + dx * size, y + dy * size, size * r * 1.15, size * r * 0.72, shade)


def _sun(picture: _Picture, t: float) -> None:
    up = 1 - _ramp(t, 23, 32) + _ramp(t, 57, 65)
    if up > 0:
        _ellipse(picture, 0.3, 0.95 - 0.72 * up, 0.085, 0.085, (255, 226, 120))


def _hills(picture: _Picture, t: float) -> None:
    dark = 0.75 * _ramp(t, 29, 35) * (1 - _ramp(t, 56, 61))
    across = np.linspace(-0.05, 1.85, 60)
    for level, wave, (r, g, b) in ((0.78, 2.6, (126, 178, 112)), (0.86, 3.7, (92, 150, 88))):
        colour = tuple(int(c * (1 - dark * 0.62)) for c in (r, g, b))
        top = [(float(x), float(level + 0.045 * np.sin(wave * x + 3 * level))) for x in across]
        _polygon(picture, [*top, (1.85, 1.05), (-0.05, 1.05)], (colour[0], colour[1], colour[2]))


def _sky(t: float) -> _Picture:
    times = [at for at, _ in _SKIES]
    upper, lower = (
        np.array([np.interp(t, times, [sky[end][channel] for _, sky in _SKIES]) for channel in range(3)]) for end in (0, 1)
    )
    down = np.linspace(0, 1, HEIGHT * _SHARP)[:, None]
    column = (upper + (lower - upper) * down).astype(np.uint8)
    wide = cv2.resize(column[:, None], (WIDTH * _SHARP, HEIGHT * _SHARP), interpolation=cv2.INTER_NEAREST)
    return np.asarray(wide, np.uint8)


# --- drawing


def _ramp(t: float, start: float, end: float) -> float:
    """From 0 at `start` to 1 at `end`, without a jolt."""
    share = min(1.0, max(0.0, (t - start) / (end - start)))
    return share * share * (3 - 2 * share)


def _at(points: list[tuple[float, float]]) -> NDArray[np.int32]:
    return np.asarray(np.round(np.array(points) * HEIGHT * _SHARP * 2**_SHIFT), np.int32)


def _polygon(picture: _Picture, points: list[tuple[float, float]], colour: _Colour) -> None:
    cv2.fillPoly(picture, [_at(points)], colour, cv2.LINE_AA, _SHIFT)


def _line(picture: _Picture, points: list[tuple[float, float]], colour: _Colour, width: float) -> None:
    cv2.polylines(picture, [_at(points)], False, colour, max(1, round(width * HEIGHT * _SHARP)), cv2.LINE_AA, _SHIFT)


def _ellipse(picture: _Picture, x: float, y: float, a: float, b: float, colour: tuple[int, ...], angle: float = 0.0) -> None:
    (place,) = _at([(x, y)])
    (axes,) = _at([(max(a, 1e-3), max(b, 1e-3))])
    cv2.ellipse(picture, tuple(place.tolist()), tuple(axes.tolist()), angle, 0, 360, colour, -1, cv2.LINE_AA, _SHIFT)


def _title(text: str, size: int) -> NDArray[np.float32]:
    """(h, w) how much each pixel belongs to the words, in DejaVu, which comes with Matplotlib."""
    found = importlib.util.find_spec("matplotlib")
    fonts = Path(next(iter(found.submodule_search_locations or ()))) / "mpl-data" / "fonts" / "ttf" if found else Path()
    font = ImageFont.truetype(str(fonts / "DejaVuSerif-BoldItalic.ttf"), size)
    left, top, right, bottom = font.getbbox(text)
    image = Image.new("L", (round(right - left) + 8, round(bottom - top) + 8))
    ImageDraw.Draw(image).text((4 - left, 4 - top), text, fill=255, font=font)
    mask = np.asarray(image, np.float32) / 255
    return np.asarray(cv2.resize(mask, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32)


def _write(picture: _Picture, mask: NDArray[np.float32], height: float, strength: float, colour: _Colour = (255, 255, 255)) -> None:
    """Words in the middle, at a share of the picture's height, with a soft shadow."""
    h, w = mask.shape
    top, left = round(HEIGHT * height - h / 2), (WIDTH - w) // 2
    shadow = cv2.GaussianBlur(cv2.copyMakeBorder(mask, 8, 8, 8, 8, cv2.BORDER_CONSTANT), (0, 0), 3)
    for place, weight, tint in ((-8, shadow * 0.7, (20, 20, 30)), (0, mask, colour)):
        part = picture[top + place : top + place + weight.shape[0], left + place : left + place + weight.shape[1]]
        part[:] = (part + (np.array(tint, np.float32) - part) * weight[..., None] * strength).astype(np.uint8)
