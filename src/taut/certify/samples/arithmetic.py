r"""Models of arithmetic: how far one operation of a network can be from its exact result.

Each weight and each input of a product is off by a relative `operand`, each rounding of a sum by `accumulate`, each
result that is kept by `result`, and every operation by `tiny` times its number of terms absolutely, for underflow. So
an operation with k > 0 roundings costs, relative to its magnitude,

    g(k) = (1 + operand)^2 (1 + gamma_k(accumulate)) (1 + result) - 1,      gamma_k(v) = k v / (1 - k v),

in any order of summation, fused or not (Higham, 2002, chapter 3). Told apart, that is h(k) = ((1 + operand)^2
(1 + gamma_k(accumulate)) - 1) (1 + result) relative to the magnitude, and `result` relative to the result.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, get_args

import torch

from taut.certify.program.affine import Multiply, Shift
from taut.certify.program.distances import Distance
from taut.certify.program.fourier import Fourier
from taut.certify.program.program import Program
from taut.certify.rounding import UNIT_ROUNDOFF

ArithmeticName = Literal["real", "float64", "float32-accumulate64", "float32", "tf32", "bfloat16"]

LARGEST = 2.0**900
"""Intermediate sums above it are taken for overflow: their samples are not certified."""


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """One model of arithmetic, and what it stands for."""

    name: ArithmeticName
    statement: str
    """The function that is certified, in words."""
    operand: float
    accumulate: float
    result: float
    tiny: float
    largest: float

    def roundoff(self, roundings: int, *, kept: int = 1) -> float:
        """g, rounded up, of an operation whose result is kept, or of so many in a row, each with a number of its own
        after the first; infinity where the sum is too long for any bound."""
        if roundings == 0:
            return 0.0
        product = roundings * Fraction(self.accumulate)
        if product >= Fraction(1, 2):
            return math.inf
        numbers = (1 + Fraction(self.operand)) ** (2 * kept) * (1 + Fraction(self.result)) ** kept
        exact = numbers * (1 + product / (1 - product)) - 1
        return _up(exact)

    def roundoff_of_sum(self, roundings: int) -> float:
        """h, rounded up: what is relative to the magnitude of the terms, without the rounding of the result itself."""
        if roundings == 0:
            return 0.0
        product = roundings * Fraction(self.accumulate)
        if product >= Fraction(1, 2):
            return math.inf
        before = (1 + Fraction(self.operand)) ** 2 * (1 + product / (1 - product)) - 1
        return _up(before * (1 + Fraction(self.result)))


def _up(exact: Fraction) -> float:
    nearest = float(exact)
    return nearest if nearest >= exact else math.nextafter(nearest, math.inf)


_NARROW: dict[str, Any] = {"tiny": 2.0**-62, "largest": 2.0**100}
ARITHMETICS: dict[str, Arithmetic] = {
    found.name: found
    for found in (
        Arithmetic(
            name="real",
            statement="real arithmetic: stored weights read exactly, nothing rounded",
            operand=0.0,
            accumulate=0.0,
            result=0.0,
            tiny=0.0,
            largest=LARGEST,
        ),
        Arithmetic(
            name="float64",
            statement="float64 as executed: stored weights read exactly, dot products summed in any order",
            operand=0.0,
            accumulate=UNIT_ROUNDOFF,
            result=0.0,
            tiny=2.0**-500,
            largest=LARGEST,
        ),
        Arithmetic(
            name="float32-accumulate64",
            statement="float32 weights and activations; each operation and its constants in float64, rounded once",
            operand=0.0,
            accumulate=UNIT_ROUNDOFF,
            result=2.0**-24,
            **_NARROW,
        ),
        Arithmetic(
            name="float32",
            statement="float32 as executed: no TF32, no half precision, no Winograd; dot products summed in any order",
            operand=0.0,
            accumulate=2.0**-24,
            result=2.0**-24,
            **_NARROW,
        ),
        Arithmetic(
            name="tf32",
            statement="TF32 as executed: products of 10-bit mantissas, cut or rounded, summed in float32 in any order",
            operand=2.0**-10,
            accumulate=2.0**-23,
            result=2.0**-24,
            **_NARROW,
        ),
        Arithmetic(
            name="bfloat16",
            statement="bfloat16 as executed: bfloat16 weights and activations, summed in float32 in any order",
            operand=2.0**-7,  # twice what one weight is off by, as batch norm and folds use a number twice
            accumulate=2.0**-23,
            result=2.0**-8,
            **_NARROW,
        ),
    )
}
FLOAT64 = ARITHMETICS["float64"]


def arithmetic_of(name: str) -> Arithmetic:
    """The model of that name. ValueError for another."""
    if name not in ARITHMETICS:
        raise ValueError(f"arithmetic must be one of {', '.join(get_args(ArithmeticName))}, got {name!r}")
    return ARITHMETICS[name]


def refuse_unfit(arithmetic: Arithmetic, program: Program) -> None:
    """TypeError for weights that the arithmetic cannot hold, and for layers that were analysed in float64 alone."""
    if arithmetic.name in ("real", "float64"):
        return
    for node in program.nodes:
        operation = node.operation
        solved = isinstance(operation, Fourier) and arithmetic.name != "float32-accumulate64"
        if solved or (isinstance(operation, Distance) and operation.q):
            where = f"module {node.name!r} ({node.kind})"
            raise TypeError(f"{where} can be certified in float64 only, not {arithmetic.name}")
        for key, value in operation.settings().items():
            far = isinstance(value, float) and value != 0.0 and not 2.0**-60 <= abs(value) <= 2.0**60
            if far and math.isfinite(value):
                raise TypeError(
                    f"module {node.name!r} ({node.kind}) has {key}={value!r}, which {arithmetic.name} cannot be "
                    "certified for: it takes numbers between 2^-60 and 2^60"
                )
        if isinstance(operation, Multiply | Shift):
            continue  # one constant for each entry: its rounding is within that of the result
        for value in operation.tensors().values():
            if value.kept.dtype == torch.float64:
                raise TypeError(
                    f"module {node.name!r} ({node.kind}) has float64 weights, which {arithmetic.name} would round: "
                    "convert the model to float32 first"
                )
