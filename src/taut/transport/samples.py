r"""Samples that people hand in: checked, split by a seed, and brought to the scale on which a critic is trained."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from taut.nn import BatchCentering, Scale

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_TYPICAL = 2.0
"""Distance of a sample from the centre, in units: a critic that starts with biases below 1 has its kinks within."""
_ROWS = 4096
"""Samples that are turned into float64 at a time."""


def read_samples(name: str, samples: Any) -> Tensor:
    """An array or tensor (n, *shape) as a tensor of its own dtype; (n,) becomes (n, 1).

    Errors, each naming the samples: TypeError for what is no array of floating-point numbers; ValueError for no
    samples, empty ones, and the first sample that is not finite.
    """
    if not isinstance(samples, (Tensor, np.ndarray)):
        raise TypeError(f"{name} must be a tensor or a numpy array, got {type(samples).__name__}")
    if isinstance(samples, np.ndarray) and samples.dtype.kind not in "fiucb":
        raise TypeError(f"{name} must be floating-point numbers, got {samples.dtype}")
    if isinstance(samples, np.ndarray) and samples.dtype.kind == "f" and samples.dtype.itemsize > 8:
        samples = samples.astype(np.float64)
    if isinstance(samples, np.ndarray):
        samples = torch.from_numpy(np.ascontiguousarray(samples.astype(samples.dtype.newbyteorder("="), copy=True)))
    tensor = samples.detach()
    if tensor.dtype not in _FLOATS:
        raise TypeError(f"{name} must be floating-point numbers, got {tensor.dtype}")
    if tensor.ndim == 0 or tensor.numel() == 0:
        raise ValueError(f"{name} has no samples: its shape is {tuple(tensor.shape)}")
    tensor = tensor[:, None] if tensor.ndim == 1 else tensor
    finite = torch.isfinite(tensor).flatten(1).all(dim=1)
    if not finite.all():
        raise ValueError(f"{name} must be finite, but {name}[{int((~finite).nonzero()[0])}] is not")
    return tensor


def split(name: str, samples: Tensor, held_out: float, seed: int, *, train: bool) -> tuple[Tensor, Tensor]:
    """Disjoint parts to train on and to hold out; without training all is held out.

    Samples of equal number are split alike, so that x against itself is trained on x against itself.
    """
    share = held_out if train else 1.0
    held = math.floor(share * len(samples))
    if held < 2 or (train and held == len(samples)):
        needed = next(n for n in range(2, 10**9) if math.floor(share * n) >= 2 and n - math.floor(share * n) >= train)
        parts = f"2 to hold out (held_out={held_out:g}) and the others to train on" if train else "2 to measure on"
        raise ValueError(f"{name} has {len(samples)} samples, but at least {needed} are needed: {parts}")
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(seed)).to(samples.device)
    return samples[order[held:]], samples[order[:held]]


@dataclass(frozen=True, kw_only=True)
class SampleScale:
    """x -> (x - centre) / unit, under which the samples have norms of about 2."""

    centre: Tensor
    unit: float
    """A power of two: multiplying by it and by its inverse rounds nothing."""

    def apply(self, samples: Tensor) -> Tensor:
        """In float32; subtracted in float64, so that a large offset costs no digits."""
        return torch.cat([((rows.double() - self.centre) / self.unit).float() for rows in samples.split(_ROWS)])


def find_scale(x: Tensor, y: Tensor, dtype: torch.dtype) -> SampleScale:
    """The scale of two samples together. The centre is a number of `dtype`, that of the critic to be made."""
    largest = max(float(x.abs().amax()), float(y.abs().amax()))
    first = _power_of_two(largest, dtype)
    centre = ((x / first).mean(dim=0, dtype=torch.float64) + (y / first).mean(dim=0, dtype=torch.float64)) / 2.0 * first
    centre = centre.to(dtype).double()
    rows = torch.cat([x[:_ROWS], y[:_ROWS]]).double()
    distances = ((rows - centre) / first).flatten(1).norm(dim=1)
    # a quantile, which far outliers do not move; above the median, as one of the two may be a single point
    typical = float(distances.quantile(0.75)) or float(distances.mean())
    return SampleScale(centre=centre, unit=_power_of_two(typical * first / _TYPICAL, dtype))


def on_samples(g: nn.Module, scale: SampleScale, shape: tuple[int, ...], dtype: torch.dtype) -> nn.Module:
    """x -> s g((x - c) / s), as a chain that takes samples of `shape` as they were given: as Lipschitz as g is."""
    centre = BatchCentering(scale.centre.numel(), bias=False).to(scale.centre.device, dtype)
    centre.running_mean.copy_(scale.centre.flatten())
    before = [nn.Flatten(), centre, Scale(1.0 / scale.unit), nn.Unflatten(1, shape)]
    return nn.Sequential(*before, g.to(dtype=dtype), Scale(scale.unit)).eval()


def _power_of_two(size: float, dtype: torch.dtype) -> float:
    """The nearest one, not so small or large that it or its inverse is no number of full precision."""
    most = 1000 if dtype == torch.float64 else 120
    return 2.0 ** min(max(round(math.log2(size)), -most), most) if size > 0.0 else 1.0
