"""Rounding outward: every bound here is at least (or, where it says so, at most) the exact number it stands for."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

UNIT = 2.0**-53
Array = np.ndarray


def gamma(terms: int, unit: float = UNIT) -> float:
    """At least terms unit / (1 - terms unit), the error of `terms` roundings (Higham 2002); infinite where unusable."""
    product = terms * unit
    return math.inf if product >= 0.5 else product / (1 - product) * (1 + 2.0**-50)


def up(value):
    """At least what at most 16 roundings of non-negative numbers can have lost, underflow included."""
    return value * (1 + 2.0**-48) + 2.0**-1000


def down(value):
    """At most the exact value, likewise."""
    return value * (1 - 2.0**-48) - 2.0**-1000


def ceiling(value: Fraction) -> float:
    """The least float64 that is not below `value`."""
    try:
        near = float(value)
    except OverflowError:
        return math.inf
    return math.nextafter(near, math.inf) if Fraction(near) < value else near


def add_up(a: float, b: float) -> float:
    """a + b rounded up."""
    return ceiling(Fraction(a) + Fraction(b)) if math.isfinite(a + b) else math.inf


def multiply_up(a: float, b: float) -> float:
    """a b rounded up."""
    return ceiling(Fraction(a) * Fraction(b)) if math.isfinite(a * b) else math.inf


def root_up(a: float | Fraction) -> float:
    """The root of a >= 0 rounded up."""
    if isinstance(a, float) and not math.isfinite(a):
        return math.inf
    near = math.sqrt(a)
    while Fraction(near) ** 2 >= a > 0:  # the first guess may lie on either side, by an ulp
        near = math.nextafter(near, 0.0)
    return math.nextafter(near, math.inf) if a > 0 else 0.0


def norm(batch: Array, kind: str) -> Array:
    """At least the norm of each sample: `l2` or `linf`; NaN where an entry is none."""
    flat = np.abs(batch).reshape(len(batch), math.prod(batch.shape[1:]))
    largest = flat.max(axis=1, initial=0.0)
    if kind == "linf":
        return largest
    with np.errstate(all="ignore"):
        ratios = flat / np.where(largest > 0, largest, 1.0)[:, None]
        return up(largest * np.sqrt(np.square(ratios).sum(axis=1)) * (1 + gamma(flat.shape[1] + 8)))


def frobenius(matrix: Array) -> float:
    """At least the root of the sum of squares."""
    return float(norm(matrix.reshape(1, -1), "l2")[0])


def row_norms(matrix: Array, kind: str) -> Array:
    """At least the norm of each row that is dual to `kind`: l2, or l1 for `linf`."""
    if kind == "l2":
        return norm(matrix, "l2")
    return up(np.abs(matrix).sum(axis=1) * (1 + gamma(matrix.shape[1] + 8)))


@dataclass(frozen=True)
class Arithmetic:
    """A model of roundings: what each operand, each partial sum and each kept result may lose, relatively."""

    name: str
    operand: float
    accumulate: float
    result: float
    tiny: float
    largest: float

    def cost(self, roundings: int, results: int = 1) -> float:
        """At least g of `roundings` roundings in `results` operations, one after the other."""
        if roundings == 0:
            return 0.0
        total = gamma(roundings, self.accumulate)
        for part in [self.operand] * (2 * results) + [self.result] * results:
            total = float(up(total + part + total * part)) if part else total
        return total

    def cost_of_sum(self, roundings: int) -> float:
        """At least h: what its operands and its sum cost, before and in the result that is kept."""
        if roundings == 0:
            return 0.0
        total = gamma(roundings, self.accumulate)
        for part in [self.operand] * 2:
            total = float(up(total + part + total * part)) if part else total
        return float(up(total * (1 + self.result))) if self.result else total


# Its `tiny` covers the underflow of squares, too.
FLOAT64 = Arithmetic("float64", operand=0.0, accumulate=UNIT, result=0.0, tiny=2.0**-500, largest=2.0**900)
