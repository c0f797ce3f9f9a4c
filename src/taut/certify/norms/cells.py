r"""Cells that cover the torus of frequencies, one of each pair of mirror images, to be split again and again.

Distances are weighted: w = sum over axes of n_i |theta_i - c_i|, n_i the degree of the symbol along axis i. Two axes
together are covered by diamonds |x| + |y| <= r, which tile the plane and split into four, with half as many centres as
squares of the same w would need; an axis alone by intervals.
"""

import math
from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Int
from torch import Tensor

from taut.certify.norms.torus import first_of_pair


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Centres 2 pi j / grid; along each axis the cells reach 2 pi / grid to either side."""

    j: Int[Tensor, "cells axes"]
    grid: tuple[int, ...]
    fineness: int
    """The grid has twice as many points along an axis, times the degree."""
    blocks: tuple[tuple[int, ...], ...]
    """The axes along which the symbol varies, in pairs and, where it is left over, alone."""

    def width(self, degrees: tuple[int, ...]) -> float:
        """Largest w in a cell, up to a few roundings."""
        return sum(
            (max(2.0 * math.pi * degrees[axis] / self.grid[axis] for axis in block) for block in self.blocks), 0.0
        )

    def split(self, which: Int[Tensor, "some axes"]) -> "Cells":
        """These cells, each in two halves along every coordinate of a block."""
        still = torch.zeros(len(self.grid), dtype=torch.int64)
        choices = product(*(_steps(block, len(self.grid)) for block in self.blocks))
        steps = torch.stack([torch.stack((still, *choice)).sum(0) for choice in choices])
        inner = {axis for block in self.blocks for axis in block}
        factors = torch.tensor([2 if axis in inner else 1 for axis in range(len(self.grid))])
        grid = tuple(size * int(factor) for size, factor in zip(self.grid, factors, strict=True))
        j = ((which * factors).unsqueeze(1) + steps).flatten(0, 1)
        return Cells(j=j % torch.tensor(grid), grid=grid, fineness=2 * self.fineness, blocks=self.blocks)


def _steps(block: tuple[int, ...], axes: int) -> list[Int[Tensor, " axes"]]:
    """From the centre of a cell to those of its parts: along each axis of the block, either way."""
    units = torch.eye(axes, dtype=torch.int64)
    return [sign * units[axis] for axis in block for sign in (1, -1)]


def first_cells(degrees: tuple[int, ...], *, fineness: int = 2) -> Cells:
    """Cells that cover the torus, pi / fineness wide for each block of axes; they are fineness^axes in number, to a
    factor."""
    active = [axis for axis, n in enumerate(degrees) if n > 0]
    blocks = tuple(tuple(active[start : start + 2]) for start in range(0, len(active), 2))
    grid = tuple(2 * fineness * n if n else 1 for n in degrees)
    j = torch.cartesian_prod(*(torch.arange(n) for n in grid)).reshape(-1, len(grid))
    for block in blocks:  # every other point, so that diamonds and intervals touch
        j = j[j[:, list(block)].sum(1) % 2 == 0]
    return Cells(j=j[first_of_pair(j, grid)], grid=grid, fineness=fineness, blocks=blocks)
