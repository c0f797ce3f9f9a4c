r"""Proven bounds of the operator norm of a convolution, l2 and l-infinity, from its stored weight.

The bound is the least of several proofs: see `stencil` for stride, dilation and groups, `padding` for the border,
`taps`, `torus` and `branch` for the norm of the kernel that remains.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from taut.certify.norms.branch import supremum_bound
from taut.certify.norms.gram import ScaledMatrix, scale
from taut.certify.norms.padding import Plan, plans
from taut.certify.norms.peak import find_peak
from taut.certify.norms.spectral import ROW_SUMS, ZERO, Proof, prove_spectral_norm
from taut.certify.norms.stencil import Geometry, grouped_kernel, paddings, per_axis, polyphase, reduced_strides
from taut.certify.norms.stencil import geometry as geometry
from taut.certify.norms.taps import gram_taps, near_orthogonal_bound, schur_bound
from taut.certify.norms.torus import half_torus, largest_on_grid, reshaped_bound, reshaped_estimate, spectrum
from taut.certify.rounding import add_up, gradual_underflow, ldexp_up, mul_up, norm_up, sqrt_up

NEAR, RESHAPED, SCHUR = "near-orthogonal taps", "reshaped kernel", "Schur test"
TORUS, EXACT = "branch and bound over frequencies", "every frequency of the image"

_NEAR_ENOUGH = 1e-5
"""Relative excess of the squared norm at which a proof that needs no search is the answer."""

_TIGHTNESS = 1e-3
"""Relative excess of the norm over a value that is attained at which the search over frequencies ends."""

_HOPELESS, _FEW = 1.6, 64
"""A proof whose estimate exceeds the peak by so much is tried after the search, if at all; channels for an estimate."""

_WORK, _LEAST, _MOST = 2e10, 44.0, 4e11
"""What the search over frequencies may cost, in the units of `Spectrum.cost`: some half a second, but always enough for
44 frequencies, unless that costs more than the last number: then only the reshaped kernel is bounded."""


def conv_norm_bound(
    weight: Float[Tensor, "out in *taps"],
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | str | tuple[int, ...] = 0,
    padding_mode: str = "zeros",
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    transposed: bool = False,
    image_size: tuple[int, ...] | None = None,
) -> float:
    r"""Upper bound of the l2 -> l2 norm of a convolution with this weight in one to three dimensions: never below it.

    The arguments are those of torch's convolutions; a transposed one has a weight (in, out / groups, ...). Without
    `image_size` the bound holds for every image that the convolution takes. With zero padding the size plays no role:
    the bound is that of the infinite convolution, at most 1e-3 above its norm, relative, up to some 100 channels with
    3x3 taps, and more loosely beyond, where the search over frequencies is cut short; 1e-5 above 1 where a float32
    kernel is orthogonal.

    Raises ValueError for NaN, infinity, sizes that do not fit, an image that the convolution does not take; TypeError
    for dtypes other than float16, bfloat16, float32, float64.

    Source: the symbol of a convolution, Sedghi et al. (2019); proofs in `taps`, `torus`, `branch`.

    >>> import torch
    >>> 3.0 <= conv_norm_bound(torch.ones(1, 1, 3), padding=1) < 3.01  # a constant is tripled
    True
    """
    axes = weight.ndim - 2
    if not 1 <= axes <= 3:
        raise ValueError(f"a weight with 3 to 5 axes is needed, got shape {tuple(weight.shape)}")
    size, spread = tuple(weight.shape[2:]), per_axis("dilation", dilation, axes)
    shape = Geometry(
        stride=per_axis("stride", stride, axes),
        padding=paddings(padding, size, spread),
        padding_mode=padding_mode,
        dilation=spread,
        groups=groups,
        transposed=transposed,
    )
    return prove_conv_norm(weight, shape, image_size=image_size).bound


@torch.no_grad()
@gradual_underflow()
def prove_conv_norm(
    weight: Float[Tensor, "out in *taps"], geometry: Geometry, *, image_size: tuple[int, ...] | None = None
) -> Proof:
    """`conv_norm_bound` together with the name of the argument that gave it."""
    kernel = grouped_kernel(weight, geometry)
    ways = plans(geometry, tuple(kernel.shape[3:]), image_size)
    if not bool(kernel.any()):
        return Proof(bound=0.0, method=ZERO)
    scaled = scale(kernel.flatten(1).contiguous())
    kernel = scaled.values.view(kernel.shape)
    proofs = [_along(plan, polyphase(kernel, plan.strides), scaled, geometry.transposed) for plan in ways]
    best = min(proofs, key=lambda proof: proof.bound)
    return replace(best, bound=ldexp_up(add_up(best.bound, scaled.error), scaled.exponent))


def _along(plan: Plan, kernel: Tensor, scaled: ScaledMatrix, transposed: bool) -> Proof:
    proof = _infinite_norm(kernel, scaled, transposed, plan.grid)
    return Proof(bound=mul_up(proof.bound, sqrt_up(float(plan.factor))), method=proof.method + plan.note)


def _infinite_norm(
    kernel: Float[Tensor, "groups o i *taps"], scaled: ScaledMatrix, transposed: bool, grid: tuple[int, ...] | None
) -> Proof:
    """Norm of the stride-1 kernel, the largest of the groups; at the frequencies of `grid` only, where there is one."""
    groups, outputs, inputs = kernel.shape[:3]
    if kernel[0, 0, 0].numel() == 1 and groups == 1:
        return prove_spectral_norm(kernel.reshape(outputs, inputs))
    if _least_price(kernel) > _MOST:
        return _proof(reshaped_bound(kernel, scaled), RESHAPED)
    columns = inputs < outputs or (inputs == outputs and not transposed)
    taps = gram_taps(kernel if columns else kernel.transpose(1, 2), scaled)
    centre, radius = near_orthogonal_bound(taps)
    proofs = [_proof(add_up(centre, radius), NEAR)]
    if radius <= _NEAR_ENOUGH * centre:
        return proofs[0]
    proofs.append(_proof(schur_bound(taps), SCHUR))
    symbol = spectrum(taps)
    peak = find_peak(symbol)
    untried = _other_proofs(kernel, scaled, columns, transposed)
    for estimate, prove in untried:
        if estimate <= _HOPELESS * peak.value:
            proofs.append(prove())
    best = min(proofs, key=lambda proof: proof.bound)
    if grid is not None and symbol.cost * len(half_torus(grid)) <= _WORK:
        found = _proof(largest_on_grid(symbol, grid), EXACT)
    elif best.bound**2 <= peak.value * (1.0 + _NEAR_ENOUGH):
        return best
    else:
        work = max(_WORK, _LEAST * symbol.cost)
        bottom = max(0.0, -add_up(radius, -centre))
        top = supremum_bound(symbol, peak, bottom=bottom, known=best.bound**2, tightness=2.0 * _TIGHTNESS, work=work)
        found = _proof(top, TORUS)
    best = min(best, found, key=lambda proof: proof.bound)
    for estimate, prove in untried:
        if _HOPELESS * peak.value < estimate <= best.bound**2:
            best = min(best, prove(), key=lambda proof: proof.bound)
    return best


def _other_proofs(
    kernel: Float[Tensor, "groups o i *taps"], scaled: ScaledMatrix, columns: bool, transposed: bool
) -> list[tuple[float, Callable[[], Proof]]]:
    """Proofs that are dear for what they rarely give, each after an estimate of the squared norm that it proves."""
    found = [(reshaped_estimate(kernel), lambda: _proof(reshaped_bound(kernel, scaled), RESHAPED))]
    if columns == transposed:  # a scaled kernel has its scale on the side of the layer's input
        side = kernel.transpose(1, 2) if columns else kernel
        few = side[:, :, :: max(1, side.shape[2] // _FEW)]
        estimate = (
            schur_bound(gram_taps(few, scaled)) * side.shape[2] / few.shape[2] if few.shape != side.shape else 0.0
        )
        found.append((estimate, lambda: _proof(schur_bound(gram_taps(side, scaled)), SCHUR)))
    return found


def _proof(square: float, method: str) -> Proof:
    """From the bound of the squared norm."""
    return Proof(bound=sqrt_up(square), method=method)


def _least_price(kernel: Float[Tensor, "groups o i *taps"]) -> float:
    """What the taps of the Gram operator and a few frequencies cost at least."""
    groups, outputs, inputs = kernel.shape[:3]
    pairs = math.prod(n * n for n in kernel.shape[3:])
    smaller = min(outputs, inputs)
    return groups * (float(pairs * outputs * inputs * smaller) + 3.0 * _LEAST * smaller**3)


@gradual_underflow()
def linf_conv_bound(weight: Float[Tensor, "out in *taps"], geometry: Geometry) -> Proof:
    r"""Upper bound of the l-infinity -> l-infinity norm: the largest sum of |weight| over all that one output reads.

    No padding mode changes it. An output of a transposed convolution reads one phase of the stride.
    """
    kernel = grouped_kernel(weight, geometry)
    if not bool(kernel.any()):
        return Proof(bound=0.0, method=ZERO)
    scaled = scale(kernel.flatten(1).contiguous())
    kernel = scaled.values.view(kernel.shape)
    if geometry.transposed:
        kernel = polyphase(kernel, reduced_strides(geometry)).transpose(1, 2)
    largest = float(norm_up(kernel.flatten(2), order=1).amax())
    return Proof(bound=ldexp_up(add_up(largest, scaled.error), scaled.exponent), method=ROW_SUMS)
