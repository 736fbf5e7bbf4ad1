"""Random changes of a batch of grey faces, made on the device that trains, all from one generator so that a run can be repeated."""

import torch
import torch.nn.functional as F

from mien.training.recipe import Augmentation


class Augment:
    """Applies the strengths of a recipe's `Augmentation`.

    rotation_deg  turn by up to this many degrees either way
    shift         move by up to this share of the side
    zoom          enlarge or shrink by up to this share
    shear         slant by up to this share (P3's stretch)
    flip          share of faces mirrored
    brightness    add up to this share of full scale
    contrast      multiply by 1 ± up to this
    gamma         raise to a power of e^± up to this
    noise         standard deviation of added noise, as a share of full scale, drawn per face from 0 to this
    blur          share of faces blurred with a 3×3 kernel
    erase         share of faces in which a rectangle of 2 to 20 % of the area is replaced by noise (Zhong et al. 2020)
    """

    def __init__(self, strengths: Augmentation) -> None:
        self.strengths = strengths

    def __call__(self, batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """A changed copy of `batch`, (N, 1, S, S) float32 from 0 to 1."""
        s = self.strengths
        n, side = len(batch), batch.shape[-1]
        device = batch.device

        def around(strength: float, *shape: int) -> torch.Tensor:
            return (torch.rand(n, *shape, generator=generator, device=device) * 2 - 1) * strength

        def chosen(share: float) -> torch.Tensor:
            return torch.rand(n, generator=generator, device=device) < share

        angle = around(torch.pi * s.rotation_deg / 180)
        scale = 1 + around(s.zoom)
        mirror = torch.where(chosen(s.flip), -1.0, 1.0)
        # Maps a place in the result to its place in the source (both -1 to 1): one interpolation for all four changes.
        turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).reshape(n, 2, 2)
        slant = torch.eye(2, device=device).repeat(n, 1, 1)
        slant[:, 0, 1] = around(s.shear)
        slant[:, 0, 0] = mirror
        matrix = turn @ slant * scale[:, None, None]
        shift = around(2 * s.shift, 2)[:, :, None]
        grid = F.affine_grid(torch.cat([matrix, shift], dim=2), list(batch.shape), align_corners=False)
        batch = F.grid_sample(batch, grid, mode="bilinear", padding_mode="border", align_corners=False)

        if s.blur:
            soft = F.avg_pool2d(F.pad(batch, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
            batch = torch.where(chosen(s.blur)[:, None, None, None], soft, batch)
        each = (n, 1, 1, 1)
        mean = batch.mean(dim=(2, 3), keepdim=True)
        batch = (batch - mean) * (1 + around(s.contrast).reshape(each)) + mean + around(s.brightness).reshape(each)
        batch = batch.clamp(0, 1)
        if s.gamma:
            batch = (batch + 1e-6) ** around(s.gamma).reshape(each).exp()
        if s.noise:
            strength = torch.rand(each, generator=generator, device=device) * s.noise
            batch = batch + torch.randn(batch.shape, generator=generator, device=device) * strength
        if s.erase:
            area = 0.02 + 0.18 * torch.rand(n, generator=generator, device=device)
            ratio = around(1.2).exp()
            high, wide = (area * ratio).sqrt().clamp(max=0.9), (area / ratio).sqrt().clamp(max=0.9)
            top = torch.rand(n, generator=generator, device=device) * (1 - high)
            left = torch.rand(n, generator=generator, device=device) * (1 - wide)
            at = (torch.arange(side, device=device) + 0.5) / side
            rows = (at >= top[:, None]) & (at < (top + high)[:, None])
            columns = (at >= left[:, None]) & (at < (left + wide)[:, None])
            hole = rows[:, None, :, None] & columns[:, None, None, :] & chosen(s.erase).reshape(each)
            batch = torch.where(hole, torch.rand(batch.shape, generator=generator, device=device), batch)
        return batch.clamp(0, 1)
