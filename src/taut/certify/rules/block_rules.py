r"""Proven constants of blocks f(x) = P x - G relu(F x + b): tighter than the sum of the constants of the branches.

Let x be the difference of two inputs, v = F x, and u the change of the activations: u_i (v_i - u_i) >= 0, as slopes lie
in [0, 1]. P keeps the first k coordinates; accordingly x = (x_1, x_2), G = (G_1; G_2), F = (F_1, F_2). For any diagonal
D > 0, adding 2 u^T D (v - u) >= 0 to the square of the change of f,

    |change of f|^2 <= |x_1|^2 - 2 x_1^T (G_1 - F_1^T D) u + 2 u^T D F_2 x_2 - u^T (2 D - G^T G) u
                   <= |x|^2 + 2 rho |x| |w| - (2 - a^2) |w|^2,        w = D^(1/2) u,

where rho = ||(G_1 - F_1^T D) D^(-1/2)|| and a = ||(G; F_2^T D) D^(-1/2)||. So the square of the constant is at most
1 + rho^2 / (2 - a^2) where a^2 < 2, and at most 1 + 2 rho phi + max(0, a^2 - 2) phi^2 always, with phi = ||D^(1/2) F||,
since |w| <= phi |x|. Without a shortcut k = 0, and rho = 0. D is only proposed; the norms are proven. (T = 2 D^-1 is
the diagonal of Araujo et al. (2023); k = 0 is the sandwich layer of Wang and Manchester (2023).)
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from taut.certify.norms.convolution import prove_conv_norm
from taut.certify.norms.gram import exact_float64
from taut.certify.norms.spectral import Proof, prove_spectral_norm
from taut.certify.norms.stencil import geometry
from taut.certify.rounding import (
    UNDERFLOW,
    UNIT_ROUNDOFF,
    add_up,
    div_up,
    gradual_underflow,
    mul_up,
    norm_up,
    sqrt_up,
    sum_up,
)
from taut.nn.conversion.plain_blocks import recognise_block

RESIDUAL, SANDWICH, BRANCHES = "slopes in a residual", "slopes between two layers", "product of the layers"
_SETTLED = 1e-4
"""Excess over 1 up to which the product of the layers' constants is not tried beside."""

_NOTHING = 1e-9
"""Excess over 1 below which no dearer norm is proven."""

_LOST = UNDERFLOW**0.25
"""More than all entries of a weight can lose to underflow, in any norm."""

Rows = Tensor
"""One row for each inner channel: (inner, channels) of a matrix, (inner, channels, *taps) of a kernel."""
Measure = Callable[[Tensor], float]
"""Proven norm of the operator that has these rows."""


def is_block(module: nn.Module) -> bool:
    """A block of taut.nn, or the graph that one folds to. A subclass of one may compute something else."""
    if isinstance(module, fx.GraphModule):
        block = recognise_block(module)
        return block is not None and (isinstance(block.inner, nn.Linear) or _adjoint(block.inner, block.outer))
    cls = type(module)
    return cls.__module__.startswith("taut.nn.") and bool(getattr(cls, "folds_to_block", False))


@torch.no_grad()
@gradual_underflow()
def block_proof(module: nn.Module, image_size: tuple[int, ...] | None = None) -> Proof:
    """The l2 constant of a module that `is_block`, as it is now."""
    block = recognise_block(module if isinstance(module, fx.GraphModule) else module.fold())  # type: ignore[operator]
    assert block is not None
    inner: Any = block.inner
    outer: Any = block.outer
    forward, backward = exact_float64(inner.weight), exact_float64(outer.weight).transpose(0, 1)
    if isinstance(inner, nn.Linear):
        return _proof(forward, backward, block.shortcut, lambda rows: prove_spectral_norm(rows).bound)
    shape = geometry(inner)
    backward = backward.flip(2, 3)  # the outer convolution is the adjoint of the one with this kernel

    def measure(rows: Rows) -> float:
        """Of the adjoint, which has the same norm: a Schur test is tight on its input's channels, the scaled ones."""
        return prove_conv_norm(rows.transpose(0, 1).flip(2, 3), shape, image_size=image_size).bound

    return _proof(forward, backward, block.shortcut, measure)


def _adjoint(inner: Any, outer: Any) -> bool:
    """Whether flipping its kernel makes the outer convolution the adjoint of one with the inner geometry."""
    shape, size = geometry(inner), tuple(inner.kernel_size)
    reach = tuple(d * (k - 1) for d, k in zip(shape.dilation, size, strict=True))
    centred = all(left == right and left + right == r for (left, right), r in zip(shape.padding, reach, strict=True))
    plain = set(shape.stride) == {1} and shape.groups == 1 and shape.padding_mode in ("zeros", "circular")
    return shape == geometry(outer) and size == tuple(outer.kernel_size) and centred and plain


def _proof(f: Rows, g: Rows, shortcut: bool, measure: Measure) -> Proof:
    """`f` holds the rows of F, `g` those of G^T. Inner channels that read or write nothing are left out."""
    live = f.flatten(1).any(1) & g.flatten(1).any(1)
    kept = min(f.shape[1], g.shape[1]) if shortcut else 0
    start = 1.0 if shortcut else 0.0
    if not bool(live.any()):
        return Proof(bound=start, method=BRANCHES)
    f, g = f[live], g[live]
    square = min(_square(f, g, kept, roots, measure) for roots in _proposals(f, g, kept))
    best = Proof(bound=sqrt_up(square), method=RESIDUAL if shortcut else SANDWICH)
    if best.bound <= 1.0 + _SETTLED and (shortcut or f.ndim > 2):  # norms of kernels are dear
        return best
    product = add_up(start, mul_up(measure(f), measure(g)))
    return best if best.bound <= product else Proof(bound=product, method=BRANCHES)


def _proposals(f: Rows, g: Rows, kept: int) -> list[Tensor]:
    """Candidates for D^(1/2): any positive numbers prove something."""
    size_f, size_g = (torch.linalg.vector_norm(rows.flatten(1), dim=1) for rows in (f, g))
    balanced = (size_g / size_f).sqrt()
    if kept == 0:
        return [torch.ones_like(balanced), balanced]
    left, right = f[:, :kept].flatten(1), g[:, :kept].flatten(1)
    fitted = (left * right).sum(1) / left.square().sum(1)  # least squares of G_1 = F_1^T D
    usable = torch.isfinite(fitted) & (fitted > 0)
    return [torch.where(usable, fitted.sqrt(), balanced)]


def _square(f: Rows, g: Rows, kept: int, roots: Tensor, measure: Measure) -> float:
    """The square of the constant for D = diag(roots)^2, roots being exact; infinity where numbers leave the range."""
    column = roots.reshape(-1, *[1] * (f.ndim - 1))
    written, read = g / column, f * column
    stacked = torch.cat((written, read[:, kept:]), 1)
    if not bool(torch.isfinite(stacked).all() & torch.isfinite(read).all()):
        return torch.inf
    a = _norm(stacked, stacked, 1, measure)
    excess = add_up(mul_up(a, a), -2.0)
    if kept == 0 and excess <= 0.0:
        return 1.0
    difference = written[:, :kept] - read[:, :kept]
    both = torch.cat((written[:, :kept], read[:, :kept]), 1)
    for norm in (_frobenius, measure):  # the cheap one is enough where only rounding is left of the difference
        rho = _norm(difference, both, 4, norm) if kept else 0.0
        inside = add_up(1.0, div_up(mul_up(rho, rho), -excess)) if excess < 0.0 else torch.inf
        if inside <= 1.0 + _NOTHING:
            return inside
    phi = _norm(read, read, 1, measure) if kept else a  # without a shortcut they are rows of what a is the norm of
    always = sum_up((1.0, mul_up(2.0, mul_up(rho, phi)), mul_up(max(0.0, excess), mul_up(phi, phi))))
    return min(always, inside)


def _norm(rows: Rows, sizes: Rows, roundings: int, measure: Measure) -> float:
    """Norm of what `rows` would be without rounding: each entry is off by `roundings` u times one of `sizes`."""
    return sum_up((measure(rows), mul_up(roundings * 2.0 * UNIT_ROUNDOFF, _frobenius(sizes)), _LOST))


def _frobenius(rows: Rows) -> float:
    """Bound of the operator's norm. A kernel's is at most the sum over its taps of their Frobenius norms, so at most
    sqrt(taps) times its own."""
    return mul_up(float(norm_up(rows.reshape(-1))), sqrt_up(float(rows[0, 0].numel())))
