"""The windows of the Square attack in l2: peaked bumps, and mass moved from one window to another."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

_GRID = 5
"""Bumps of the first change, down and across."""


def bump(height: int, width: int) -> Float[Tensor, "height width"]:
    """A peak in the middle: 1 + 1/4 + 1/9 + ..., from which each ring outward lacks the next largest term.

    >>> bump(3, 3)[:, 1].tolist()
    [0.25, 1.25, 0.25]
    """
    away = torch.maximum(_from_middle(height)[:, None], _from_middle(width)[None, :])
    terms = torch.tensor([1.0 / k**2 for k in range(max(height, width) // 2 + 1, 0, -1)])
    return terms.cumsum(0)[max(height, width) // 2 - away]


def two_bumps(side: int, across: int, generator: torch.Generator) -> Float[Tensor, "height width"]:
    """Two bumps of opposite sign side by side, or one above the other, of unit length together."""
    if min(side, across) == 1 and max(side, across) == 1:
        return torch.ones(1, 1)
    upright = bool(torch.randint(0, 2, (1,), generator=generator)) if side > 1 and across > 1 else across == 1
    if upright:
        pattern = torch.cat([bump(side // 2, across), -bump(side - side // 2, across)])
    else:
        pattern = torch.cat([bump(side, across // 2), -bump(side, across - across // 2)], dim=1)
    return pattern / pattern.norm()


def tiles(pictures: Tensor, eps: float, generator: torch.Generator) -> Tensor:
    """The first change: a grid of bumps with random signs, of length eps."""
    count, channels, height, width = pictures.shape
    change = torch.zeros(pictures.shape, dtype=torch.float64)
    down, across = max(1, height // _GRID), max(1, width // _GRID)
    for top in range(0, height, down):
        for left in range(0, width, across):
            cell = change[:, :, top : top + down, left : left + across]
            sign = 2 * torch.randint(0, 2, (count, channels, 1, 1), generator=generator) - 1
            cell += two_bumps(cell.shape[2], cell.shape[3], generator) * sign
    return (eps * change / change.flatten(1).norm(dim=1).view(-1, 1, 1, 1)).to(pictures)


def with_window(change: Tensor, side: int, eps: float, generator: torch.Generator) -> Tensor:
    """The change with one window emptied and its length, with what was left of eps, put into another (Algorithm 3)."""
    count, channels, height, width = change.shape
    down, across = min(side, height), min(side, width)
    into, out_of = (_window(height, width, down, across, generator) for _ in range(2))
    used = change.square().flatten(1).sum(dim=1)
    spare = (eps**2 - used).clamp_min(0.0).view(-1, 1, 1, 1) / channels
    both = torch.zeros(height, width, device=change.device).bool()
    both[into] = both[out_of] = True
    length = ((change.square() * both).sum(dim=(2, 3), keepdim=True) + spare).sqrt()
    old = change[:, :, *into]
    old = old / old.norm(dim=(2, 3), keepdim=True).clamp_min(torch.finfo(change.dtype).tiny ** 0.5)
    sign = (2 * torch.randint(0, 2, (count, channels, 1, 1), generator=generator) - 1).to(change)
    new = sign * two_bumps(down, across, generator).to(change) + old
    size = new.norm(dim=(2, 3), keepdim=True)
    changed = change.clone()
    changed[:, :, *out_of] = 0.0
    # Where bump and old change cancel, any direction of unit length does.
    even = torch.full_like(new, 1 / math.sqrt(down * across))
    changed[:, :, *into] = length * torch.where(size > 0, new / size.clamp_min(1e-30), even)
    return changed


def _from_middle(length: int) -> Tensor:
    return (torch.arange(length) - length // 2).abs()


def _window(height: int, width: int, down: int, across: int, generator: torch.Generator) -> tuple[slice, slice]:
    top = int(torch.randint(0, height - down + 1, (1,), generator=generator))
    left = int(torch.randint(0, width - across + 1, (1,), generator=generator))
    return slice(top, top + down), slice(left, left + across)
