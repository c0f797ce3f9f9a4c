r"""Blur kernels: non-negative taps that sum to one, as floating point numbers do."""

import math

import torch
from torch import Tensor


def uniform_kernel(size: int) -> Tensor:
    """size x size taps of 1 / size^2.

    >>> uniform_kernel(3)[0]
    tensor([0.1111, 0.1111, 0.1111])
    """
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    return torch.full((size, size), 1.0 / size**2)


def gaussian_kernel(std: float, *, size: int | None = None) -> Tensor:
    """Samples of a Gaussian of standard deviation `std` pixels; size is 2 ceil(3 std) + 1 unless given.

    >>> gaussian_kernel(1.0).shape
    torch.Size([7, 7])
    """
    if not 0.0 < std < math.inf:
        raise ValueError(f"std must be positive and finite, got {std}")
    taps = 2 * math.ceil(3 * std) + 1 if size is None else size
    if taps < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    places = torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2
    line = torch.exp(-(places**2) / (2 * std**2))
    return (line / line.sum()).outer(line / line.sum()).float()


def motion_kernel(length: float, *, angle: float = 0.0) -> Tensor:
    """A straight movement over `length` pixels at `angle` degrees from the horizontal, counted upwards.

    >>> motion_kernel(3.0)
    tensor([[0.3333, 0.3333, 0.3333]])
    """
    if not 1.0 <= length < math.inf:
        raise ValueError(f"length must be at least 1 pixel and finite, got {length}")
    count = 16 * math.ceil(length)
    along = (torch.arange(count, dtype=torch.float64) + 0.5) / count * length - length / 2
    x, y = along * math.cos(math.radians(angle)), -along * math.sin(math.radians(angle))
    columns, rows = torch.floor(x + 0.5 + 1e-9).long(), torch.floor(y + 0.5 + 1e-9).long()
    reach = (int(rows.abs().max()), int(columns.abs().max()))
    kernel = torch.zeros(2 * reach[0] + 1, 2 * reach[1] + 1, dtype=torch.float64)
    kernel.index_put_(
        (rows + reach[0], columns + reach[1]), torch.full((count,), 1.0 / count).double(), accumulate=True
    )
    return kernel.float()
