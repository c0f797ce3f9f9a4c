r"""Lower bounds of the norm of a linear layer or a convolution that are proven: |W v| / |v| of one vector v.

Singular vectors and power iterations propose v; what counts is the ratio in float64 less gamma_k |W| |v|, the rounding
of sums of k products in any order (Higham 2002, section 3.1). The layer's weight is in float64 and exact.
"""

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from taut.certify.breakdown import Norm
from taut.certify.norms.stencil import TRANSPOSED, geometry
from taut.certify.rounding import add_up, div_down, gamma, gradual_underflow, mul_up, norm_up

_LARGEST_IMAGE = 16
"""Sides at which a zero-padded convolution is looked at: on smaller images its norm is smaller, but near."""
_KRYLOV = 12
_UNDERFLOW = 2.0**-1030
"""More than what 2^40 products can lose to underflow."""


@gradual_underflow()
@torch.no_grad()
def linear_attained(weight: Float[Tensor, "out in"], norm: Norm) -> float:
    r"""Proven lower bound of the norm of the matrix, some 1e-12 below it; 0.0 where nothing is certain."""
    largest = float(weight.abs().amax())
    if not 0.0 < largest < math.inf:
        return 0.0
    if norm == "linf":
        vector = weight[weight.abs().sum(dim=1).argmax()].sign()
    else:
        vector = _top_right_vector(weight / largest)
    return checked_ratio(
        lambda v: nn.functional.linear(v, weight),
        lambda v: nn.functional.linear(v, weight.abs()),
        vector.unsqueeze(0),
        terms=weight.shape[1],
        norm=norm,
    )


def _top_right_vector(weight: Float[Tensor, "out in"]) -> Float[Tensor, " in"]:
    """Eigenvector of the smaller Gram matrix, as LAPACK computes it."""
    tall = weight.shape[0] >= weight.shape[1]
    _, vectors = torch.linalg.eigh(weight.T @ weight if tall else weight @ weight.T)
    return vectors[:, -1] if tall else weight.T @ vectors[:, -1]


def checked_ratio(
    apply: Callable[[Tensor], Tensor],
    magnitude: Callable[[Tensor], Tensor],
    vector: Float[Tensor, "one *shape"],
    *,
    terms: int,
    norm: Norm,
) -> float:
    """|A v| / |v| rounded down, for A whose entries sum `terms` products; `magnitude` applies the absolute weights."""
    size = float(vector.abs().amax())
    if not 0.0 < size < math.inf:
        return 0.0
    vector = vector / size
    rounding = magnitude(vector.abs()).flatten(1) * (gamma(terms + 2) * (1.0 + 4.0 * gamma(terms + 2))) + _UNDERFLOW
    image = apply(vector).flatten(1)
    if norm == "linf":
        attained = float((image.abs() - rounding).amax())  # exact to one rounding, which is taken off here
        return div_down(attained, 1.0 + 2.0**-50) if attained > 0.0 else 0.0
    scale = float(image.abs().amax())
    if not 2.0**-960 < scale < math.inf:
        return 0.0
    length = float(torch.linalg.vector_norm(image / scale)) * scale
    slack = add_up(
        float(norm_up(rounding / scale)) * scale * (1.0 + 2.0**-50), mul_up(length, 4.0 * gamma(image.numel() + 8))
    )
    attained = -add_up(slack, -length)
    return div_down(attained, float(norm_up(vector.flatten(1)))) if attained > 0.0 else 0.0


@gradual_underflow()
@torch.no_grad()
def conv_attained(
    module: nn.Module,
    norm: Norm,
    *,
    image: tuple[int, ...] | None,
    generator: torch.Generator,
    out_of_time: Callable[[], bool],
) -> float:
    """Proven lower bound of the norm of a convolution on images of this size; of some size where that is not known.

    A zero-padded convolution of a smaller image is a part of the one of a larger image, so that sides above 16 are cut.
    """
    layer, absolute = _without_bias(module), _without_bias(module)
    absolute.weight.abs_()
    channels = int(layer.in_channels)
    size = (channels, *_image(module, image))
    terms = channels * math.prod(int(k) for k in layer.kernel_size)
    start = torch.randn(1, *size, generator=generator, dtype=torch.float64).to(layer.weight.device)
    vector = _signs(layer, start) if norm == "linf" else _krylov(layer, start, out_of_time)
    return checked_ratio(layer, absolute, vector, terms=terms, norm=norm)


def _without_bias(module: nn.Module) -> Any:
    layer: Any = copy.deepcopy(module)
    layer.bias = None
    return layer


def _image(module: nn.Module, image: tuple[int, ...] | None) -> tuple[int, ...]:
    layer: Any = module
    shape = geometry(module)
    spans = [d * (k - 1) + 1 for k, d in zip(layer.kernel_size, shape.dilation, strict=True)]
    enough = [
        stride * -(-max(_LARGEST_IMAGE, 2 * span) // stride) for span, stride in zip(spans, shape.stride, strict=True)
    ]
    if image is None:
        return tuple(enough)
    if shape.padding_mode != "zeros" and not isinstance(module, TRANSPOSED):
        return image
    return tuple(min(side, most) for side, most in zip(image, enough, strict=True))


def _pulled(layer: nn.Module, x: Tensor, weight: Callable[[Tensor], Tensor]) -> Tensor:
    """A^T weight(A x)."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        out = layer(x)
    return torch.autograd.grad(out, x, weight(out.detach()))[0]


def _signs(layer: Any, start: Tensor) -> Tensor:
    """Signs of all that one output reads: the output whose weights have the largest sum, which is the norm in linf."""
    magnitude = copy.deepcopy(layer)
    magnitude.weight.abs_()
    reach = magnitude(torch.ones_like(start))
    for axis in range(
        2, reach.ndim
    ):  # of equal ones the middle: at a border that repeats pixels, weights meet and cancel
        side = reach.shape[axis]
        away = (torch.arange(side) - (side - 1) / 2).abs().to(reach) / side
        reach = reach * (1.0 - 1e-9 * away.reshape(-1, *[1] * (reach.ndim - axis - 1)))
    one = torch.zeros_like(reach).flatten()
    one[reach.flatten().argmax()] = 1.0
    return _pulled(layer, start, lambda out: one.view_as(out)).sign()


def _krylov(layer: nn.Module, start: Tensor, out_of_time: Callable[[], bool]) -> Tensor:
    """Top right singular vector in the Krylov space of a random vector, by Lanczos with full orthogonalisation."""
    basis: list[Tensor] = []
    images: list[Tensor] = []
    new = start
    for step in range(_KRYLOV):
        length = torch.linalg.vector_norm(new)
        if not float(length) > 0.0 or not bool(length.isfinite()):
            break
        basis.append(new / length)
        images.append(_pulled(layer, basis[-1], lambda out: out))
        new = images[-1]
        for _ in range(2):
            for old in basis:
                new = new - (old * new).sum() * old
        if step and out_of_time():
            break
    if not basis:
        return start
    small = torch.stack([torch.stack([(v * w).sum() for w in images]) for v in basis])
    if not bool(small.isfinite().all()):
        return start
    weights = torch.linalg.eigh((small + small.T) / 2)[1][:, -1]
    return sum((weight * v for weight, v in zip(weights, basis, strict=True)), torch.zeros_like(start))
