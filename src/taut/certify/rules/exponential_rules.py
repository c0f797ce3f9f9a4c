r"""Proven constants of truncated exponentials of skew convolutions, from the stored kernel.

With K = -flip(K^T), checked on the stored numbers, odd sizes and padding that keeps the image's size, by zeros or
around a torus, the convolution is a skew matrix A on images of every size. It has eigenvalues i t with |t| <= a, a a
proven bound of its norm, and it is normal: ||sum_k A^k / k!|| = max |sum_k (i t)^k / k!|, a polynomial that is bounded
exactly.
"""

import math
from fractions import Fraction
from typing import Any

import torch
from torch import fx, nn

from taut.certify.norms.convolution import prove_conv_norm
from taut.certify.norms.gram import exact_float64
from taut.certify.norms.spectral import Proof
from taut.certify.norms.stencil import geometry
from taut.certify.rounding import sqrt_up
from taut.functional.skew_exponential import exponential_excess
from taut.nn.conversion.plain_exponential import recognise_exponential

SKEW = "exponential of a skew kernel"


def is_exponential(module: nn.Module) -> bool:
    """A layer of taut.nn, or the graph that one folds to, with a skew kernel. A subclass may compute something else."""
    if isinstance(module, fx.GraphModule):
        found = recognise_exponential(module)
        return found is not None and _is_skew(found.skew)
    cls = type(module)
    return cls.__module__.startswith("taut.nn.") and bool(getattr(cls, "folds_to_exponential", False))


@torch.no_grad()
def exponential_proof(module: nn.Module, image_size: tuple[int, ...] | None = None) -> Proof:
    """The l2 constant of a module that `is_exponential`, as it is now. Its channels are padded by zeros or cut."""
    found = recognise_exponential(module if isinstance(module, fx.GraphModule) else module.fold())  # type: ignore[operator]
    assert found is not None
    if not _is_skew(found.skew):
        exact_float64(found.skew.weight)  # says so where it is not finite
        raise ValueError("the kernel is not skew")
    norm = prove_conv_norm(found.skew.weight, geometry(found.skew), image_size=image_size).bound
    excess = exponential_excess(found.terms, Fraction(norm)) if math.isfinite(norm) else math.inf
    return Proof(bound=sqrt_up(_up(1 + excess)), method=SKEW)


def _up(value: Fraction | float) -> float:
    """The smallest float64 that is not below."""
    try:
        nearest = float(value)
    except OverflowError:
        return math.inf
    return nearest if nearest >= value else math.nextafter(nearest, math.inf)


def _is_skew(conv: nn.Conv2d) -> bool:
    """Whether the matrix of the convolution is skew on images of every size."""
    plain: Any = conv
    centred = plain.padding == tuple((k - 1) // 2 for k in plain.kernel_size) and all(k % 2 for k in plain.kernel_size)
    alone = plain.stride == (1, 1) and plain.dilation == (1, 1) and plain.groups == 1
    if not centred or not alone or plain.padding_mode not in ("zeros", "circular"):
        return False
    try:
        kernel = exact_float64(plain.weight)
    except (TypeError, ValueError):
        return False
    return bool((kernel == -kernel.transpose(0, 1).flip(2, 3)).all())
