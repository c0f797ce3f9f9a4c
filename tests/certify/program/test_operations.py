"""Every operation: result, roundings, magnitude, spread, constant, against exact arithmetic and explicit matrices."""

import math
from collections.abc import Callable
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from program_cases import CASES, JOINED, Case, Exact, exactly, wide
from taut.certify.breakdown import Norm
from taut.certify.program.joins import SUMS
from taut.certify.program.operation import Operation

NORMS = ["l2", "linf"]
ROOM = 1e-9
"""Relative room of float64 computations in the tests, and of what is rounded up in the code."""
BELOW = 2.0**-700
"""What underflow is worth, in comparisons."""


def nasty(shape: tuple[int, ...]) -> Tensor:
    """Samples of all scales, with ties, zeros and terms that cancel."""
    torch.manual_seed(len(shape))
    x = torch.randn(6, *shape, dtype=torch.float64)
    x[1] *= 10.0 ** torch.randint(-9, 9, shape)
    x[2] = x[2].sign() * 1e8 + x[1] * 1e-9
    x[3] = x[3].round()
    x[4] *= 1e-30
    x[5] *= 1e25
    return x


def gamma(k: int) -> mpmath.mpf:
    return mpmath.mpf(k) / (2**53 - k)


def spread_over(case: Case, norm: str) -> float:
    return case.l2 if norm == "l2" else case.linf


def size(values: Tensor, norm: str) -> float:
    return float(values.flatten().norm() if norm == "l2" else values.abs().max())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_computed_results_are_within_their_roundings_of_the_exact_ones(case: Case) -> None:
    x = nasty(case.shape)
    computed = case.operation(x)
    k = case.operation.roundings(case.shape)
    assert k == case.k
    sizes = case.operation.magnitude(x) if k else torch.zeros_like(computed)
    for row, values, room in zip(x, computed, sizes, strict=True):
        exact = np.asarray(case.exact(exactly(row)), dtype=object)
        assert exact.shape == tuple(values.shape)
        away = abs(wide(exactly(values)) - wide(exact))
        assert np.all(away <= gamma(k) * wide(exactly(room)) + BELOW * bool(k))


@pytest.mark.parametrize("case", [case for case in CASES if case.k], ids=str)
def test_magnitudes_are_those_of_the_table_rounded_up(case: Case) -> None:
    assert case.m is not None
    x = nasty(case.shape)
    for row, sizes in zip(x, case.operation.magnitude(x), strict=True):
        exact, found = wide(case.m(exactly(row))), wide(exactly(sizes))
        assert np.all(exact <= found)
        assert np.all(found <= exact * (1 + ROOM) + BELOW)


def jacobian(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Rows are outputs."""
    found = torch.autograd.functional.jacobian(lambda v: function(v[None])[0].flatten(), x)
    assert isinstance(found, Tensor)
    return found.reshape(-1, x.numel())


def matrix_norm(matrix: Tensor, norm: str) -> float:
    return float(torch.linalg.matrix_norm(matrix, 2) if norm == "l2" else matrix.abs().sum(1).max())


def points(shape: tuple[int, ...]) -> Tensor:
    torch.manual_seed(1)
    x = torch.randn(2, *shape, dtype=torch.float64)
    return torch.cat([x, x[:1].abs() * 3, -x[1:].abs(), torch.full((1, *shape), 0.7, dtype=torch.float64)])


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_constants_are_above_every_jacobian(case: Case, norm: Norm) -> None:
    """Where entries meet by a maximum, derivatives at ties are those of one side."""
    bound = case.operation.proof(norm, case.shape).bound
    largest = max(matrix_norm(jacobian(case.operation, x), norm) for x in points(case.shape))
    assert largest <= bound * (1 + 1e-12)
    if case.sharp:
        assert bound <= largest * (1 + 2e-3)
    if not case.k:
        assert bound == pytest.approx(spread_over(case, norm), rel=ROOM)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("case", [case for case in CASES if case.k], ids=str)
def test_magnitudes_grow_no_faster_than_the_spread(case: Case, norm: Norm) -> None:
    operation = case.operation
    spread = operation.spread(norm, case.shape)
    stated = spread_over(case, norm)
    if not math.isnan(stated):
        assert stated * (1 - 1e-15) <= spread <= stated * (1 + ROOM)
    x = points(case.shape)
    for row in x:
        slopes = jacobian(operation.magnitude, row)
        assert matrix_norm(slopes, norm) <= spread * (1 + ROOM)
        # the steepest step that the slopes at this point know of
        steepest = torch.linalg.svd(slopes).Vh[0] if norm == "l2" else slopes[slopes.abs().sum(1).argmax()].sign()
        for step in (steepest, -steepest, row.flatten() * 3):
            moved = row + step.reshape(row.shape) * 2
            rise = size(operation.magnitude(moved[None]), norm) - size(operation.magnitude(row[None]), norm)
            assert rise <= spread * size(moved - row, norm) * (1 + ROOM) + ROOM * size(
                operation.magnitude(row[None]), norm
            )


@pytest.mark.parametrize(("operation", "shapes", "exact"), JOINED, ids=[case[0].op for case in JOINED])
def test_joins(operation: Operation, shapes: tuple[tuple[int, ...], ...], exact: Callable[..., Exact]) -> None:
    torch.manual_seed(0)
    inputs = [nasty(shape) * 10.0**at for at, shape in enumerate(shapes)]
    for row, values in enumerate(operation(*inputs)):
        each: list[Exact] = [exactly(x[row]) for x in inputs]
        wanted = exact(*each)
        assert wanted.shape == tuple(values.shape)
        away = abs(exactly(values) - wanted)
        room = Fraction(1, 2**53 - 1) * sum(map(abs, each)) if isinstance(operation, SUMS) else 0 * away
        assert bool((away <= room).all())


def test_the_oracles_are_torchs_own_functions() -> None:
    """Exact arithmetic is checked once against torch's modules, where there are any."""
    by_name = {str(case): case for case in CASES}
    for name, case in by_name.items():
        operation, x = case.operation, torch.randn(3, *case.shape, dtype=torch.float64)
        settings = operation.settings()
        weight, bias = (getattr(operation, key, None) for key in ("weight", "bias"))
        if operation.op == "max_pool":
            pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[len(settings["kernel"]) - 1]
            wanted = pool(x, *(settings[key] for key in ("kernel", "stride", "padding", "dilation", "ceil_mode")))
        elif operation.op == "sum_pool" and len(settings["kernel"]) < 3:
            pool = (F.avg_pool1d, F.avg_pool2d)[len(settings["kernel"]) - 1]
            taps = math.prod(settings["kernel"])
            wanted = pool(x, *(settings[key] for key in ("kernel", "stride", "padding"))) * taps / settings["divisor"]
        elif operation.op == "conv_transpose":
            conv = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[len(case.shape) - 2]
            offset = None if bias is None else bias.exact
            wanted = conv(x, weight.exact, offset, **settings)
        elif operation.op == "smooth" and settings["kind"] != "elu":
            wanted = getattr(F, settings["kind"])(x)
        else:
            continue
        exact = np.stack([case.exact(exactly(row)) for row in x]).astype(float)
        torch.testing.assert_close(torch.tensor(exact), wanted, rtol=1e-12, atol=1e-12, msg=name)
