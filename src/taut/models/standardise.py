"""The first layer of a network that brings its inputs to mean 0, and where that is wanted to deviation 1."""

import math
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Standardise(nn.Module):
    r"""(x - centre) / unit for each coordinate or channel, set once from samples; invertible. Nothing of it is trained.

    It is max(1 / unit)-Lipschitz (l2 and linf), which every bound and certificate of a network that it is part of
    counts; with `scaled=False` it is a translation, with the constant 1.

    Shapes: (batch, features) with `spatial` 0, (batch, features, height, width) with 2 -> the same.
    Args: features, coordinates or channels. spatial, 0 or 2, dimensions that share a channel's numbers. scaled, whether
    deviations are divided by.
    Errors: ValueError for features below 1, another number of spatial dimensions, inputs of another shape, and samples
    of which there are none, are not finite, or vary so little that 1 / unit is infinite.

    Example:
        >>> layer = Standardise(2)
        >>> layer.set_from_([torch.tensor([[1.0, 0.0], [3.0, 8.0]])])
        >>> layer(torch.tensor([[2.0, 4.0]])).tolist(), layer.inverse(torch.zeros(1, 2)).tolist()
        ([[0.0, 0.0]], [[2.0, 4.0]])
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, features: int, *, spatial: int = 0, scaled: bool = True) -> None:
        super().__init__()
        if features < 1:
            raise ValueError(f"features must be at least 1, got {features}")
        if spatial not in (0, 2):
            raise ValueError(f"spatial must be 0 or 2, got {spatial}")
        self.spatial, self.scaled = spatial, scaled
        self.register_buffer("scale", torch.ones(features))
        self.register_buffer("shift", torch.zeros(features))

    @torch.no_grad()
    def set_from_(self, parts: Iterable[Float[Tensor, "_ features ..."]]) -> None:
        """Mean and standard deviation of all samples in `parts`, gone through once; a coordinate that does not vary
        keeps its scale."""
        count, origin = 0, torch.zeros(())
        total = squares = torch.zeros(len(self.scale), dtype=torch.float64)
        for part in parts:
            self._check(part)
            rows = part.double().movedim(1, -1).reshape(-1, len(self.scale))
            if not count:  # sums of differences to a value in their midst keep the digits that squares would lose
                origin = rows.mean(dim=0)
                total, squares = total.to(origin), squares.to(origin)
            rows = rows - origin
            count, total, squares = count + len(rows), total + rows.sum(dim=0), squares + rows.square().sum(dim=0)
        if not count:
            raise ValueError("there are no samples to take means of")
        off = total / count
        unit = (squares / count - off.square()).clamp_min(0).sqrt()
        # what is left of a coordinate that does not vary is rounding
        varies = unit > 1e-9 * (origin.abs() + off.abs())
        unit = torch.where(varies, unit, 1.0) if self.scaled else torch.ones_like(unit)
        scale, shift = (1.0 / unit).to(self.scale), (-(origin + off) / unit).to(self.shift)
        if not bool(torch.isfinite(scale).all() and torch.isfinite(shift).all()):
            raise ValueError(f"samples must be finite, and not too close to each other: deviations are {unit.tolist()}")
        self.scale.copy_(scale)
        self.shift.copy_(shift)

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        return x * self._along(self.scale) + self._along(self.shift)

    def inverse(self, z: Tensor) -> Tensor:
        """The input of which `z` is the output, up to rounding."""
        self._check(z)
        return (z - self._along(self.shift)) / self._along(self.scale)

    def extra_repr(self) -> str:
        return f"{len(self.scale)}, spatial={self.spatial}, scaled={self.scaled}"

    def lipschitz_constant(self, norm: str) -> float:
        """The largest scale, in l2 and in linf; NaN for a scale or a shift that is not finite."""
        finite = bool(torch.isfinite(self.scale).all() and torch.isfinite(self.shift).all())
        return float(self.scale.abs().max()) if finite else math.nan

    def fold(self) -> nn.Linear | nn.Conv2d:
        """The same function as a layer of torch: a diagonal weight, or a 1 x 1 convolution of each channel."""
        size = len(self.scale)
        plain = nn.Conv2d(size, size, 1, groups=size) if self.spatial else nn.Linear(size, size)
        plain = plain.to(self.scale)
        assert plain.bias is not None
        with torch.no_grad():
            weight = self.scale if self.spatial else torch.diag(self.scale)
            plain.weight.copy_(weight.reshape(plain.weight.shape))
            plain.bias.copy_(self.shift)
        return plain

    def _check(self, x: Tensor) -> None:
        if x.ndim != 2 + self.spatial or x.shape[1] != len(self.scale):  # one channel would be broadcast, unscaled
            places = ", height, width" if self.spatial else ""
            raise ValueError(f"the input must be (batch, {len(self.scale)}{places}), got shape {tuple(x.shape)}")

    def _along(self, values: Tensor) -> Tensor:
        return values.reshape(-1, *(1,) * self.spatial)
