r"""Outward rounding: float64 numbers that are proven to lie above (or below) the exact result, in the absolute value.

Python scalars are rounded in the wanted direction exactly, by comparing with rational arithmetic; an exact result
stays as it is, so that a product of ones is one. Tensors are inflated by a factor that covers any order of summation,
with or without fused multiply-add (Higham 2002, sections 3.1 and 4.2).
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction

import torch
from jaxtyping import Float
from torch import Tensor

UNIT_ROUNDOFF = 2.0**-53
"""Largest relative error u of one float64 operation, rounded to nearest."""

UNDERFLOW = 2.0**-960
"""More than 2^60 operations can lose to underflow, even where a processor flushes subnormal numbers (2^-1022 each)."""

_INFLATION = 1.0 + 2.0**-48


def gamma(terms: int) -> float:
    r"""Upper bound of gamma_k = k u / (1 - k u), the relative error of k chained float64 roundings.

    A dot product of length k, summed in any order, fused or not, is off by at most gamma_k |x|^T |y|.

    Raises ValueError for negative k, and for k beyond 2^40 where no real computation goes.

    >>> gamma(1) >= 2.0**-53
    True
    """
    if not 0 <= terms <= 2**40:
        raise ValueError(f"gamma needs 0 <= terms <= 2^40, got {terms}")
    ku = terms * UNIT_ROUNDOFF  # exact: terms has fewer than 53 bits
    return div_up(ku, 1.0 - ku)  # exact as well: 1 - k u is a multiple of u below 1


def _directed(value: float, exact: Callable[[], Fraction], *, up: bool) -> float:
    """The computed `value`, moved by one float when it lies on the wrong side of the exact result."""
    if not math.isfinite(value):
        # An overflowing positive result is at least the largest float, which is its rounding down.
        return value if up or math.isnan(value) else math.nextafter(value, 0.0)
    error = exact() - Fraction(value)
    if up:
        return math.nextafter(value, math.inf) if error > 0 else value
    return math.nextafter(value, -math.inf) if error < 0 else value


def _has_infinity(*values: float) -> bool:
    return any(math.isinf(value) or math.isnan(value) for value in values)


def add_up(a: float, b: float) -> float:
    """The smallest float64 that is not below a + b."""
    return a + b if _has_infinity(a, b) else _directed(a + b, lambda: Fraction(a) + Fraction(b), up=True)


def mul_up(a: float, b: float) -> float:
    """The smallest float64 that is not below a * b; 0 times infinity is infinity, as suits an upper bound."""
    if _has_infinity(a, b):
        return math.nan if math.isnan(a) or math.isnan(b) else math.inf
    return _directed(a * b, lambda: Fraction(a) * Fraction(b), up=True)


def div_up(a: float, b: float) -> float:
    """The smallest float64 that is not below a / b, for finite a >= 0 and b > 0."""
    return _directed(a / b, lambda: Fraction(a) / Fraction(b), up=True)


def div_down(a: float, b: float) -> float:
    """The largest float64 that is not above a / b, for finite a >= 0 and b > 0."""
    return _directed(a / b, lambda: Fraction(a) / Fraction(b), up=False)


def sqrt_up(a: float) -> float:
    """The smallest float64 whose square is not below a >= 0."""
    root = math.sqrt(a)
    return root if math.isinf(root) or Fraction(root) ** 2 >= Fraction(a) else math.nextafter(root, math.inf)


def sqrt_down(a: float) -> float:
    """The largest float64 whose square is not above a >= 0."""
    root = math.sqrt(a)
    return root if Fraction(root) ** 2 <= Fraction(a) else math.nextafter(root, 0.0)


def sum_up(values: Iterable[float]) -> float:
    """A float64 that is not below the sum of the values.

    >>> sum_up([0.5, 0.25])
    0.75
    """
    total = 0.0
    for value in values:
        total = add_up(total, value)
    return total


def product_up(values: Iterable[float]) -> float:
    """A float64 that is not below the product of the values, all >= 0.

    >>> product_up([1.0, 1.0, 2.0])
    2.0
    """
    total = 1.0
    for value in values:
        total = mul_up(total, value)
    return total


def root_sum_squares_up(values: Iterable[float]) -> float:
    """A float64 that is not below sqrt(sum of squares); where squares would leave the range the largest value is
    factored out."""
    listed = list(values)
    top = max(listed, default=0.0)
    if top == 0.0 or math.isinf(top):
        return top
    if 2.0**-400 < top < 2.0**400:
        return sqrt_up(sum_up(mul_up(value, value) for value in listed))
    return mul_up(top, sqrt_up(sum_up(mul_up(r, r) for r in (div_up(value, top) for value in listed))))


def float_up(a: int | float) -> float:
    """The smallest float64 that is not below a finite number, which may be an integer of any size.

    >>> float_up(2**53 + 1) == 2.0**53 + 2
    True
    """
    try:
        return _directed(float(a), lambda: Fraction(a), up=True)
    except OverflowError:
        return math.inf if a > 0 else -math.nextafter(math.inf, 0.0)


def ldexp_up(a: float, exponent: int) -> float:
    """The smallest float64 that is not below a * 2^exponent, a >= 0: infinity on overflow."""
    return _ldexp(a, exponent, up=True)


def ldexp_down(a: float, exponent: int) -> float:
    """The largest float64 that is not above a * 2^exponent, a >= 0."""
    return _ldexp(a, exponent, up=False)


def _ldexp(a: float, exponent: int, *, up: bool) -> float:
    if math.isinf(a):
        return a
    try:
        scaled = math.ldexp(a, exponent)
    except OverflowError:
        scaled = math.inf
    return _directed(scaled, lambda: Fraction(a) * Fraction(2) ** exponent, up=up)


def inflate(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Tensor of values >= 0 got by at most 16 chained roundings of sums, products and roots >= 0: above the exact ones.

    16 roundings cost at most gamma_16 < 2^-48.9; underflow is covered by an absolute 2^-960.
    """
    return values * _INFLATION + UNDERFLOW


def norm_up(values: Float[Tensor, "*batch n"], *, order: int = 2) -> Float[Tensor, "*batch"]:
    r"""Norm of each row of an exact float64 tensor, rounded up: order 1 (sum), 2 (Euclidean); `n` may be 0.

    Above the exact norm by a relative 2 gamma_n at most (2e-13 for n = 1000), plus underflow's 2^-480.
    """
    size = values.shape[-1]
    factor = 1.0 + 2.0 * gamma(size + 2)
    if order == 1:
        return inflate(values.abs().sum(dim=-1) * factor)
    return inflate((values.square().sum(dim=-1) * factor + UNDERFLOW).sqrt())


@contextmanager
def gradual_underflow() -> Iterator[None]:
    """Within it subnormal numbers count, whatever `torch.set_flush_denormal` says; usable as a decorator."""
    smallest = torch.full((), 2.0**-1074, dtype=torch.float64, device="cpu")
    flushed = float(smallest * 2.0**1000) == 0.0
    if flushed:
        torch.set_flush_denormal(False)
    try:
        yield
    finally:
        if flushed:
            torch.set_flush_denormal(True)
