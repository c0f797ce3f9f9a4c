r"""Convolutions on a torus whose symbols are orthogonal matrices, made from a free kernel: BRO and Cayley.

What is certified is the layer with the exact symbols Q of `norms.fourier`, of norm at most 1: the constant is 1. It
is evaluated by sums that are written out, with correctly rounded cosines and sines: along the width and the height, a
product with the computed symbols at each frequency, and back. With n x m pixels, h = floor(m / 2) + 1, q the smaller
number of channels and s(a) the root of a rounded up, these sums round, in any order and relative to ||x||, by less
than gamma_k,

    k = s(h) (4 m + 12) + s(n) (8 n + 4) + 4 s(q) in + 8.

For: along an axis of n, each of the n results is off by sqrt(2) gamma_{2 n + 1} sum |x|, all of them by sqrt(2) n
gamma_{2 n + 1} ||x||, where the transform has norm sqrt(n); ||Q||_F <= sqrt(q); and errors in half a spectrum, which
need not be that of a real image, come back with sqrt(2). That the symbols are off by d in the Frobenius norm adds
less than 1.5 d. So the result is within gamma_k ||m|| of the exact one, with ||m||^2 >= N^2 ||x||^2 + ||b||^2 and N =
1 + 1.5 d / gamma_k. In l2 only, and not entry by entry: m is spread evenly over the entries.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from taut.certify.breakdown import Norm
from taut.certify.norms.fourier import Kind, Symbols, fourier_symbols, half, waves
from taut.certify.norms.spectral import Proof
from taut.certify.program.operation import Operation, Shape, Stored, check_axes, stored
from taut.certify.rounding import add_up, div_up, gamma, inflate, mul_up, norm_up, sqrt_down
from taut.certify.rules.fourier_rules import THEOREM, fourier_layer

LARGEST_SIDE = 4096
"""Beyond, the sums that are written out take too long."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Fourier(Operation):
    """x -> Q x + b on a torus."""

    op: ClassVar[str] = "fourier"
    weight: Stored
    bias: Stored | None = None
    kind: Kind
    channels: tuple[int, int]
    size: tuple[int, int]
    symbols: Symbols
    """Of the weight, on the device of the evaluation."""

    def __call__(self, x: Tensor) -> Tensor:
        check_axes(x, 2)
        if tuple(x.shape[1:]) != (self.channels[0], *self.size):
            wanted = (self.channels[0], *self.size)
            raise ValueError(f"it takes samples of shape {wanted}, got {tuple(x.shape[1:])}")
        y = _back(self.symbols.values @ _forth(x), self.size)
        return y if self.bias is None else y + self.bias.exact.reshape(-1, 1, 1)

    def proof(self, norm: Norm, shape: Shape) -> Proof:
        if norm != "l2":
            raise TypeError("its constant is known in l2 only")
        return Proof(bound=1.0, method=THEOREM)

    def roundings(self, shape: Shape) -> int:
        height, width = self.size
        along = _root(half(width)) * (4 * width + 12) + _root(height) * (8 * height + 4)
        return along + 4 * _root(min(self.channels)) * self.channels[0] + 8

    def magnitude(self, x: Tensor) -> Tensor:
        entries = self.channels[1] * math.prod(self.size)
        each = norm_up(x.flatten(1)) * (self.spread("l2", ()) / sqrt_down(float(entries)))
        even = each.reshape(-1, 1, 1, 1).expand(-1, self.channels[1], *self.size)
        return inflate(even if self.bias is None else even + self.bias.exact.abs().reshape(-1, 1, 1))

    def spread(self, norm: Norm, shape: Shape) -> float:
        """In l2."""
        return add_up(1.0, div_up(mul_up(1.5, self.symbols.error), gamma(self.roundings(shape))))

    def settings(self) -> dict[str, Any]:
        return {"kind": self.kind, "channels": self.channels, "size": self.size}

    def to(self, device: torch.device | str) -> "Fourier":
        moved: dict[str, Any] = {name: value.to(device) for name, value in self.tensors().items()}
        return replace(self, symbols=self.symbols.to(device), **moved)


def fourier_operation(module: nn.Module, shape: Shape) -> Fourier | None:
    """The operation of such a layer of taut.nn, or of the graph that one folds to; None for other modules.

    ValueError for a kernel that is not finite, samples that do not fit, and symbols of which nothing can be proven.
    """
    layer = fourier_layer(module)
    if layer is None:
        return None
    if len(shape) != 3 or shape[0] != layer.channels[0]:
        raise ValueError(f"it takes images of {layer.channels[0]} channels, got samples of shape {shape}")
    size = shape[1], shape[2]
    if not 1 <= min(size) <= max(size) <= LARGEST_SIDE:
        raise ValueError(f"it takes images of 1 to {LARGEST_SIDE} pixels a side, got samples of shape {shape}")
    weight = stored(layer.weight)
    return Fourier(
        weight=weight,
        bias=None if layer.bias is None else stored(layer.bias.reshape(-1)),
        kind=layer.kind,
        channels=layer.channels,
        size=size,
        symbols=fourier_symbols(weight.exact, kind=layer.kind, channels=layer.channels, size=size),
    )


def _root(value: int) -> int:
    """The root, rounded up to a whole number."""
    return math.isqrt(value - 1) + 1


def _forth(x: Tensor) -> Tensor:
    """(samples, channels, height, width) to (frequencies, channels, samples)."""
    height, width = x.shape[2:]
    cosines, sines = (part.to(x.device) for part in waves(width, width, half(width)))
    along = torch.complex(x @ cosines, -(x @ sines))
    down = torch.complex(*waves(height, height, height)).conj().to(x.device)
    return (down @ along).permute(2, 3, 1, 0).flatten(0, 1)


def _back(spectrum: Tensor, size: tuple[int, int]) -> Tensor:
    """The inverse: frequencies of the half count twice, but for those that are their own mirrors."""
    height, width = size
    up = torch.complex(*waves(height, height, height)).to(spectrum.device)
    along = up @ spectrum.unflatten(0, (height, half(width))).permute(3, 2, 0, 1)
    twice = torch.full((half(width), 1), 2.0, dtype=torch.float64)
    twice[0] = 1.0
    if width % 2 == 0:
        twice[-1] = 1.0
    cosines, sines = ((part * twice).to(spectrum.device) for part in waves(width, half(width), width))
    return (along.real @ cosines - along.imag @ sines) / (height * width)
