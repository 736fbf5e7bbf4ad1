"""Random changes of a batch of faces, made on the device that trains, all from one generator so that a run can be repeated."""

import dataclasses

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from mien.training.recipe import Augmentation

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in grey (Rec. 601, as OpenCV has it)."""


class Augment:
    """Applies the strengths of a recipe's `Augmentation`.

    rotation_deg  turn by up to this many degrees either way (P2)
    shift         move by up to this share of the side, each axis by itself (P4)
    zoom          enlarge or shrink by up to this share (P4)
    shear         slant by up to this share
    stretch       one axis, either of them, longer or shorter by up to this share (P3)
    flip          share of faces mirrored (P3, P4)
    brightness    add up to this share of full scale
    contrast      multiply by 1 ± up to this, around the face's mean
    gamma         raise to a power of e^± up to this
    noise         standard deviation of added noise, as a share of full scale, drawn per face from 0 to this (P2)
    blur          share of faces blurred with a 3×3 kernel
    monochrome    share of colour faces turned grey (P2); a grey face stays as it is
    erase         share of faces in which a rectangle of 2 to 20 % of the area is replaced by noise (Zhong et al. 2020)

    What is drawn for one change does not depend on the strengths of the others: with the same generator a face is turned by the
    same angle whether or not it is mirrored as well.
    """

    def __init__(self, strengths: Augmentation) -> None:
        self.strengths = strengths

    def __call__(self, batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """A changed copy of `batch`, (N, C, S, S) float32 from 0 to 1, C = 1 (grey) or 3 (RGB), on the generator's device."""
        s = self.strengths
        n, channels, _, side = batch.shape
        device = batch.device
        # All single numbers at once and always as many, so that each change finds its own ones, whatever else is on.
        drawn = iter(torch.rand(19, n, generator=generator, device=device).unbind())

        def around(strength: float) -> torch.Tensor:
            return (next(drawn) * 2 - 1) * strength

        def chosen(share: float) -> torch.Tensor:
            return (next(drawn) < share)[:, None, None, None]

        def each(values: torch.Tensor) -> torch.Tensor:
            return values[:, None, None, None]

        angle, shear = around(torch.pi * s.rotation_deg / 180), around(s.shear)
        zoom, longer = ((1 + around(strength)).clamp(min=0.05) for strength in (s.zoom, s.stretch))
        across, down, upright = around(2 * s.shift), around(2 * s.shift), next(drawn) < 0.5
        mirrored = torch.where(next(drawn) < s.flip, -1.0, 1.0)
        if s.rotation_deg or s.zoom or s.shear or s.shift or s.stretch or s.flip:
            # Maps a place in the result to its place in the source (both -1 to 1): one interpolation for all six changes.
            wider, taller = torch.where(upright, 1.0, longer), torch.where(upright, longer, 1.0)
            turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).reshape(n, 2, 2)
            slant = torch.stack([mirrored, shear, torch.zeros_like(shear), torch.ones_like(shear)], dim=1).reshape(n, 2, 2)
            size = torch.stack([1 / (zoom * wider), 1 / (zoom * taller)], dim=1)
            matrix = turn @ (slant * size[:, None, :])
            moved = torch.stack([across, down], dim=1)[:, :, None]
            grid = F.affine_grid(torch.cat([matrix, moved], dim=2), list(batch.shape), align_corners=False)
            batch = F.grid_sample(batch, grid, mode="bilinear", padding_mode="border", align_corners=False)

        blurred, greyed = chosen(s.blur), chosen(s.monochrome)
        if s.blur:
            soft = F.avg_pool2d(F.pad(batch, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
            batch = torch.where(blurred, soft, batch)
        if s.monochrome and channels == 3:
            grey = (batch * torch.tensor(LUMA, device=device)[:, None, None]).sum(dim=1, keepdim=True)
            batch = torch.where(greyed, grey, batch)
        contrast, brightness, power = each(around(s.contrast)), each(around(s.brightness)), each(around(s.gamma).exp())
        if s.contrast or s.brightness:
            # One mean for all channels: a face keeps its colours.
            batch = batch + contrast * (batch - batch.mean(dim=(1, 2, 3), keepdim=True)) + brightness
        batch = batch.clamp(0, 1)
        if s.gamma:
            batch = (batch + 1e-6) ** power

        strength, holed = each(next(drawn) * s.noise), chosen(s.erase)
        area, ratio = 0.02 + 0.18 * next(drawn), around(1.2).exp()
        top, left = next(drawn), next(drawn)
        if s.noise or s.erase:
            grain = torch.randn(batch.shape, generator=generator, device=device)
            if s.monochrome and channels == 3:
                grain = torch.where(greyed, grain[:, :1], grain)  # noise leaves a face grey that is made so
            if s.noise:
                batch = batch + grain * strength
            if s.erase:
                high, wide = (area * ratio).sqrt().clamp(max=0.9), (area / ratio).sqrt().clamp(max=0.9)
                top, left = top * (1 - high), left * (1 - wide)
                at = (torch.arange(side, device=device) + 0.5) / side
                rows = (at >= top[:, None]) & (at < (top + high)[:, None])
                columns = (at >= left[:, None]) & (at < (left + wide)[:, None])
                hole = rows[:, None, :, None] & columns[:, None, None, :] & holed
                # The same grain, made even from 0 to 1: what lies in a hole shows nothing of it otherwise.
                batch = torch.where(hole, torch.special.ndtr(grain), batch)
        return batch.clamp(0, 1)


def examples(faces: NDArray[np.uint8], strengths: Augmentation, *, seed: int = 0) -> dict[str, NDArray[np.uint8]]:
    """What a recipe's changes make of `faces`, (N, S, S) grey or (N, S, S, 3) RGB: each one alone under its name, then "all".

    Only what is switched on, with its strength in the name, as "rotation_deg 15"; arrays like `faces`. A change that a share of
    the faces has is shown on every one of them, as "flip, 0.5 of faces", for its strength is how often, not how much. Raises
    `ValueError` for an array of another kind.
    """
    if faces.dtype != np.uint8 or faces.ndim not in (3, 4) or (faces.ndim == 4 and faces.shape[3] != 3):
        raise ValueError(f"faces must be uint8 (N, S, S) or (N, S, S, 3), but got {faces.dtype} {faces.shape}")
    planes = faces[:, None] if faces.ndim == 3 else np.ascontiguousarray(faces.transpose(0, 3, 1, 2))
    batch = torch.from_numpy(planes.astype(np.float32) / 255)
    off = Augmentation(**{field.name: 0.0 for field in dataclasses.fields(Augmentation)})
    on = {name: value for name, value in dataclasses.asdict(strengths).items() if value}
    rows = {}
    for name, value in on.items():
        title, shown = (f"{name}, {value:g} of faces", 1.0) if name in SHARES else (f"{name} {value:g}", value)
        rows[title] = dataclasses.replace(off, **{name: shown})
    found = {}
    for name, alone in (rows | {"all": strengths}).items():
        changed = Augment(alone)(batch, torch.Generator().manual_seed(seed)).mul(255).round().to(torch.uint8).numpy()
        found[name] = changed[:, 0] if faces.ndim == 3 else np.ascontiguousarray(changed.transpose(0, 2, 3, 1))
    return found


SHARES = ("flip", "blur", "monochrome", "erase")
"""Changes that a share of the faces has, whole or not at all."""
