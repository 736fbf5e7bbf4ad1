"""What cameras, light, codecs and hands do to a face: random damage of a batch, made on the device that trains.

`mien.training.augment` varies good pictures; this spoils some of them. Lengths and places are shares of the crop's side, in which
the landmarks stand as `mien.crop.TEMPLATE` has them. All that is drawn comes from one generator, so that a run can be repeated.
"""

import dataclasses
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F

from mien.training.recipe import Damages

NAMED_BEFOREHAND = ("ghost", "interlace", "stripes", "dropout")
"""Kinds of damage that enter neither training nor calibration, named before any run: two exposures over each other, two fields of
a tape apart in time, the shadow of a blind, pixels that a sensor or a tape lost. They measure what was learnt of damage at all."""

FULL_WELL, READ_NOISE = 4000.0, 3.0
"""Electrons of a white pixel in good light and the deviation of reading one out, as in `mien.training.robustness`."""

JPEG_LUMINANCE = (
    *(16, 11, 10, 16, 24, 40, 51, 61),
    *(12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77),
    *(24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101),
    *(72, 92, 95, 98, 112, 100, 103, 99),
)
"""The quantisation of quality 50 (ITU-T T.81, table K.1)."""


class Draw:
    """Random numbers for `n` faces, (n, 1, 1, 1) each, from one generator."""

    def __init__(self, n: int, generator: torch.Generator, device: torch.device) -> None:
        self.n, self.generator, self.device = n, generator, device

    def __call__(self, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        """Evenly from `low` to `high`."""
        drawn = torch.rand(self.n, 1, 1, 1, generator=self.generator, device=self.device)
        return low + (high - low) * drawn

    def steps(self, low: float, high: float) -> torch.Tensor:
        """From `low` to `high`, each ratio as often."""
        return self(math.log(low), math.log(high)).exp()

    def grain(self, faces: torch.Tensor) -> torch.Tensor:
        """Normal noise in the shape of the faces."""
        return torch.randn(faces.shape, generator=self.generator, device=self.device)


class Damage:
    """Spoils the shares of a recipe's `Damages`: a face is damaged in one way, or not at all."""

    def __init__(self, shares: Damages) -> None:
        self.shares = {name: share for name, share in dataclasses.asdict(shares).items() if share}

    def __call__(self, batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """A copy of `batch`, (N, C, S, S) float32 from 0 to 1, with damage, on the generator's device."""
        if not self.shares:
            return batch
        found, begin = batch.clone(), 0.0
        chosen = torch.rand(len(batch), generator=generator, device=batch.device)
        for name, share in self.shares.items():
            rows = ((chosen >= begin) & (chosen < begin + share)).nonzero()[:, 0]
            begin += share
            if len(rows):
                found[rows] = damaged(batch[rows], name, generator)
        return found


def damaged(faces: torch.Tensor, kind: str, generator: torch.Generator) -> torch.Tensor:
    """All of `faces`, (N, C, S, S) float32 from 0 to 1, spoilt in one of `KINDS`, each to a degree that is drawn."""
    return KINDS[kind](faces, Draw(len(faces), generator, faces.device)).clamp(0, 1)


def _at(faces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Places of the pixels' centres, across (1, 1, 1, S) and down (1, 1, S, 1)."""
    at = (torch.arange(faces.shape[-1], device=faces.device) + 0.5) / faces.shape[-1]
    return at[None, None, None, :], at[None, None, :, None]


def _filtered(faces: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    """Each face with a kernel of its own, (N, 1, h, w), h and w odd; the edge is repeated."""
    n, channels, height, width = faces.shape
    h, w = kernels.shape[2:]
    kernels = kernels / kernels.sum(dim=(2, 3), keepdim=True)
    padded = F.pad(faces, (w // 2, w // 2, h // 2, h // 2), mode="replicate").flatten(0, 1)[None]
    return F.conv2d(padded, kernels.repeat_interleave(channels, dim=0), groups=n * channels).reshape(n, channels, height, width)


def soft(faces: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Out of focus: blurred by a Gaussian of `sigma`, (N, 1, 1, 1), in shares of the side."""
    pixels = sigma * faces.shape[-1]
    half = min(math.ceil(3 * float(pixels.max())), faces.shape[-1] - 1)
    off = torch.arange(-half, half + 1, device=faces.device, dtype=faces.dtype)
    line = torch.exp(-0.5 * (off / pixels.clamp(min=1e-3)) ** 2)
    return _filtered(_filtered(faces, line), line.transpose(2, 3))


def smeared(faces: torch.Tensor, length: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """Moved while the shutter was open: `length` in shares of the side, along `angle` in radians, (N, 1, 1, 1) each."""
    half = length * faces.shape[-1] / 2
    reach = math.ceil(float(half.max()))
    off = torch.arange(-reach, reach + 1, device=faces.device, dtype=faces.dtype)
    x, y = off[None, None, None, :], off[None, None, :, None]
    along, beside = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
    return _filtered(faces, (1 - beside.abs()).clamp(min=0) * (half + 0.5 - along.abs()).clamp(0, 1))


def _defocus(faces: torch.Tensor, draw: Draw) -> torch.Tensor:
    return soft(faces, draw.steps(0.008, 0.075))


def _motion(faces: torch.Tensor, draw: Draw) -> torch.Tensor:
    return smeared(faces, draw.steps(0.05, 0.28), draw(0, math.pi))


SMALL = (10, 12, 14, 16, 20, 24, 32, 40)
"""Sides in pixels to which a face is brought down."""


def _small(faces: torch.Tensor, draw: Draw) -> torch.Tensor:
    found, which = faces.clone(), (draw() * len(SMALL)).long().flatten()
    for number, side in enumerate(SMALL):
        rows = (which == number).nonzero()[:, 0]
        if len(rows) and side < faces.shape[-1]:
            little = F.interpolate(faces[rows], (side, side), mode="area")
            found[rows] = F.interpolate(little, faces.shape[-2:], mode="bicubic", align_corners=False)
    return found


def _dark(faces: torch.Tensor, draw: Draw) -> torch.Tensor:
    """Little light with the grain of few electrons; a camera may turn it up again, to any part."""
    divisor = draw.steps(2, 48)
    electrons = FULL_WELL / divisor * faces.clamp(min=0) ** 2.2
    electrons = electrons + (electrons + READ_NOISE**2).sqrt() * draw.grain(faces)
    gain = divisor ** draw() * (draw() < 0.5) + (draw() < 0.5)
    return ((electrons * gain.clamp(min=1) / FULL_WELL).clamp(min=0)) ** (1 / 2.2)


def _noise(faces: torch.Tensor, draw: Draw) -> torch.Tensor:
    """Grain of single pixels, or, in half of the faces, of spots, as codecs leave it."""
    grain, spots = draw.grain(faces), F.avg_pool2d(F.pad(draw.grain(faces), (1, 1, 1, 1), mode="reflect"), 3, stride=1) * 3
    return faces + draw.steps(0.02, 0.14) * torch.where(draw() < 0.5, grain, spots)


def _exposure(faces: torch.Tensor, draw: Draw) -> torch.Tensor:
    """Over: what is light is lost; or under: dark without grain."""
    over, under = faces * draw(1.3, 2.8) + draw(0, 0.15), faces ** draw(1.0, 1.6) * draw(0.15, 0.6)
    return torch.where(draw() < 0.6, over, under)


def _side_light(faces: torch.Tensor, draw: Draw) -> torch.Tensor:
    """A lamp from one side: a ramp from light to shade across the face, steep or gentle."""
    x, y = _at(faces)
    angle = draw(0, 2 * math.pi)
    along = (x - 0.5) * angle.cos() + (y - 0.5) * angle.sin()
    ramp = torch.sigmoid((along + draw(-0.15, 0.15)) * draw.steps(5, 40))
    least = draw(0.05, 0.45)
    return faces * (least + (draw(1.0, 1.6) - least) * ramp)


def _haze(faces: torch.Tensor, draw: Draw) -> torch.Tensor:
    share = draw(0.25, 0.75)
    return faces * (1 - share) + share * draw(0.55, 0.95)


def compressed(faces: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
    """As JPEG leaves each plane at `quality` from 1 to 100, (N, 1, 1, 1): 8×8 cosine blocks in steps of the standard's table."""
    side = faces.shape[-1]
    more = -side % 8
    padded = F.pad(faces, (0, more, 0, more), mode="replicate") * 255 - 128
    blocks = padded.unfold(2, 8, 8).unfold(3, 8, 8)
    number = torch.arange(8, device=faces.device, dtype=faces.dtype)
    cosines = torch.cos((2 * number[None] + 1) * number[:, None] * math.pi / 16) / 2
    cosines[0] /= math.sqrt(2)
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality) / 100
    table = torch.tensor(JPEG_LUMINANCE, device=faces.device, dtype=faces.dtype).reshape(8, 8)
    steps = (table * scale[..., None, None]).round().clamp(1, 255)
    blocks = cosines.T @ ((cosines @ blocks @ cosines.T / steps).round() * steps) @ cosines
    rows, columns = blocks.shape[2:4]
    joined = blocks.permute(0, 1, 2, 4, 3, 5).reshape(*faces.shape[:2], rows * 8, columns * 8)
    return (joined[..., :side, :side] + 128) / 255


def _compression(faces: torch.Tensor, draw: Draw) -> torch.Tensor:
    """A picture's blocks, or, in half of the faces, smoothed over as a film's are."""
    found = compressed(faces, draw.steps(3, 40))
    return torch.where(draw() < 0.5, found, soft(found, draw(0.008, 0.02)))


def _cover(faces: torch.Tensor, draw: Draw) -> torch.Tensor:
    """A mask from the chin up, something over the eyes, a hand from a side, or a patch: plain, or a part of another face."""
    x, y = _at(faces)
    kind = draw()
    tilt, edge = draw(-0.2, 0.2), draw(0.5, 0.72)
    mask = (y + tilt * (x - 0.5) > edge) & ((x - 0.5).abs() < draw(0.32, 0.55))
    eyes = (y - draw(0.35, 0.42) + tilt * (x - 0.5)).abs() < draw(0.05, 0.13)
    # A hand: a thick line from outside the face to a place in it.
    tip_x, tip_y, angle, thick = draw(0.25, 0.75), draw(0.35, 0.9), draw(0, math.pi), draw(0.07, 0.18)
    along = (x - tip_x) * angle.cos() + (y - tip_y) * angle.sin()
    beside = (y - tip_y) * angle.cos() - (x - tip_x) * angle.sin()
    hand = (beside.abs() < thick) & (along > -thick)
    left, top, wide, high = draw(-0.1, 0.8), draw(-0.1, 0.8), draw(0.15, 0.5), draw(0.15, 0.5)
    patch = (x > left) & (x < left + wide) & (y > top) & (y < top + high)
    where = torch.where(kind < 0.4, mask, torch.where(kind < 0.55, eyes, torch.where(kind < 0.8, hand, patch)))
    plain = draw() + draw(-0.5, 0.5) * (x - 0.5) + draw(-0.5, 0.5) * (y - 0.5) + draw(0, 0.08) * draw.grain(faces)
    other = faces.roll(1, dims=0).flip(2) * draw(0.6, 1.2)
    return torch.where(where, torch.where(draw() < 0.7, plain, other), faces)


def _turn(faces: torch.Tensor, draw: Draw) -> torch.Tensor:
    """Turned in the plane further than landmarks that are a little off would leave it."""
    angle = (draw(12, 40) * torch.where(draw() < 0.5, -1.0, 1.0) * math.pi / 180).flatten()
    none = torch.zeros_like(angle)
    matrix = torch.stack([angle.cos(), -angle.sin(), none, angle.sin(), angle.cos(), none], dim=1).reshape(-1, 2, 3)
    grid = F.affine_grid(matrix, list(faces.shape), align_corners=False)
    return F.grid_sample(faces, grid, mode="bilinear", padding_mode="border", align_corners=False)


# --- named beforehand: measured, never learnt


def _ghost(faces: torch.Tensor, draw: Draw) -> torch.Tensor:
    """The face once more, moved, over itself, as films have it whose frame rate was converted."""
    side = faces.shape[-1]
    moved = torch.stack([faces[i].roll((int(a), int(b)), dims=(1, 2)) for i, (a, b) in enumerate(_pixels(draw, side))])
    share = draw(0.3, 0.5)
    return faces * (1 - share) + share * moved


def _pixels(draw: Draw, side: int) -> list[tuple[float, float]]:
    angle, far = draw(0, 2 * math.pi), draw(0.06, 0.18) * side
    down, across = (far * angle.sin()).round(), (far * angle.cos()).round()
    return [(float(a), float(b)) for a, b in zip(down.flatten(), across.flatten(), strict=True)]


def _interlace(faces: torch.Tensor, draw: Draw) -> torch.Tensor:
    """Each second pair of lines shows a moment in which the face was further to one side."""
    side = faces.shape[-1]
    far = (draw(0.05, 0.16) * side * torch.where(draw() < 0.5, -1.0, 1.0)).round().flatten()
    moved = torch.stack([face.roll(int(by), dims=2) for face, by in zip(faces, far, strict=True)])
    lines = (torch.arange(side, device=faces.device) // max(1, side // 48)) % 2 == 1
    return torch.where(lines[None, None, :, None], moved, faces)


def _stripes(faces: torch.Tensor, draw: Draw) -> torch.Tensor:
    """Light and shadow of a blind."""
    x, y = _at(faces)
    angle = draw(0, math.pi)
    phase = ((x * angle.cos() + y * angle.sin()) * draw(3, 9) + draw()) % 1
    return faces * torch.where(phase < draw(0.35, 0.65), draw(0.1, 0.4), draw(0.9, 1.3))


def _dropout(faces: torch.Tensor, draw: Draw) -> torch.Tensor:
    """Pixels that are black or white."""
    grain = torch.special.ndtr(draw.grain(faces))
    share = draw(0.03, 0.25)
    return torch.where(grain < share / 2, 0.0, torch.where(grain > 1 - share / 2, 1.0, faces))


KINDS: dict[str, Callable[[torch.Tensor, Draw], torch.Tensor]] = {
    "defocus": _defocus,
    "motion": _motion,
    "small": _small,
    "dark": _dark,
    "noise": _noise,
    "exposure": _exposure,
    "side_light": _side_light,
    "haze": _haze,
    "compression": _compression,
    "cover": _cover,
    "turn": _turn,
    "ghost": _ghost,
    "interlace": _interlace,
    "stripes": _stripes,
    "dropout": _dropout,
}
"""Damage by name: those of a recipe's `Damages`, and those of `NAMED_BEFOREHAND`."""
