"""Activations with parameters in a float64 evaluation, against rational arithmetic: at a sample, in balls, in boxes."""

import copy
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import taut
from taut import nn as tnn
from taut.certify import evaluate, lower
from taut.certify.program.encoding import model_hash
from taut.certify.samples.arithmetic import FLOAT64
from taut.certify.samples.assess import prepare
from taut.certify.samples.interval import interval_bound

Row = list[Fraction]


def rational(values: Tensor) -> Any:
    nested = values.double().tolist()
    return [[Fraction(v) for v in row] for row in nested] if values.dim() == 2 else [Fraction(v) for v in nested]


def exact_prelu(plain: Any, x: Row) -> Row:
    return [v if v > 0 else s * v for v, s in zip(x, rational(plain.weight), strict=True)]


def exact_n(plain: Any, x: Row) -> Row:
    thresholds = zip(x, rational(plain.low), rational(plain.high), strict=True)
    return [v - 2 * a if v < a else v - 2 * b if v > b else -v for v, a, b in thresholds]


def exact_fold(plain: Any, x: Row) -> Row:
    half, (v, w) = len(x) // 2, rational(plain.normal)
    p = [2 * max(Fraction(0), x[i] * v[i] + x[half + i] * w[i]) for i in range(half)]
    return [x[i] - p[i] * v[i] for i in range(half)] + [x[half + i] - p[i] * w[i] for i in range(half)]


def exact_spline(plain: Any, x: Row) -> Row:
    found = []
    columns = zip(x, rational(plain.start), rational(plain.rises), rational(plain.inverse_step), strict=True)
    for v, value, rises, w in columns:
        position = v * w + Fraction(len(rises), 2)
        piece = min(max(position.__floor__(), 0), len(rises) - 1)
        found.append(value + sum(rises[:piece], Fraction(0)) + (position - piece) * rises[piece])
    return found


CASES: dict[str, tuple[Callable[[], nn.Module], Callable[[Any, Row], Row]]] = {
    "prelu": (lambda: tnn.LipschitzPReLU(6, init="leaky"), exact_prelu),
    "n": (lambda: tnn.NActivation(6), exact_n),
    "fold": (lambda: tnn.HouseholderActivation(6), exact_fold),
    "spline": (lambda: tnn.LinearSpline(6, knots=8, width=0.7), exact_spline),
}


def made(kind: str) -> nn.Module:
    torch.manual_seed(0)
    module = CASES[kind][0]()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module


def size(computed: Tensor, exact: Row, norm: str) -> Fraction:
    differences = [abs(Fraction(a) - b) for a, b in zip(computed.tolist(), exact, strict=True)]
    return sum((d**2 for d in differences), Fraction(0)) if norm == "l2" else max(differences)


def within(computed: Tensor, exact: Row, bound: float, norm: str) -> bool:
    return size(computed, exact, norm) <= (Fraction(bound) ** 2 if norm == "l2" else Fraction(bound))


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_computed_output_is_within_the_bound_of_the_exact_one(kind: str, norm: str) -> None:
    module, exactly = made(kind), CASES[kind][1]
    plain = taut.fold(module)
    inputs = torch.randn(60, 6, dtype=torch.float64) * torch.logspace(-6, 6, 60, dtype=torch.float64)[:, None]
    found = evaluate(module, inputs, norm=norm)
    wrong = 0
    for row, logits, bound in zip(rational(inputs), found.logits, found.error_bound.tolist(), strict=True):
        exact = exactly(plain, row)
        assert within(logits, exact, bound, norm)
        wrong += size(logits, exact, norm) > 0
        assert bound <= 1e-12 * (10 + float(max(map(abs, row))))
    assert wrong > 10


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_errors_in_the_ball_are_within_their_affine_bound(kind: str, norm: str) -> None:
    """After a layer whose terms cancel, so that the error at the activation's input is large."""
    module, exactly = made(kind), CASES[kind][1]
    first = nn.Linear(6, 6).double()
    with torch.no_grad():
        first.weight.mul_(torch.tensor([1e5, -1e5, 1.0, 1e-3, 1e3, 1.0]))
    plain = taut.fold(module)
    x = (0.1 * torch.randn(1, 6, generator=torch.Generator().manual_seed(0))).double()
    with torch.no_grad():
        analysis = prepare(lower(nn.Sequential(first, module), (6,)), norm, FLOAT64).analysis
        state = analysis.output(x)
    for exponent in range(-5, 5):
        move = torch.randn(1, 6, dtype=torch.float64) * 10.0**exponent
        moved = x + move
        rho = float(torch.linalg.vector_norm(moved - x, ord=2 if norm == "l2" else torch.inf)) * (1 + 1e-12)
        rows, bias = rational(first.weight), rational(first.bias)
        hidden = [
            sum((a * b for a, b in zip(r, rational(moved)[0], strict=True)), c) for r, c in zip(rows, bias, strict=True)
        ]
        computed = evaluate(nn.Sequential(first, module), moved, norm=norm).logits[0]
        allowed = float(state.ball_error) + analysis.slopes[-1] * rho
        assert within(computed, exactly(plain, hidden), allowed * (1 + 1e-12), norm)


@pytest.mark.parametrize("kind", CASES)
def test_boxes_hold_all_outputs_and_are_no_wider_than_the_constant_says(kind: str) -> None:
    module = made(kind)
    centre, reach = torch.randn(4, 6, dtype=torch.float64), 0.3 * torch.rand(4, 6, dtype=torch.float64)
    low, high = interval_bound(module, centre - reach, centre + reach)
    draws = centre + reach * (2 * torch.rand(500, 4, 6, dtype=torch.float64) - 1)
    outputs = evaluate(module, draws.flatten(0, 1)).logits.view(500, 4, 6)
    assert bool((low <= outputs).all())
    assert bool((outputs <= high).all())
    assert float((high - low).max()) <= 2 * 1.5 * float(reach.max())


@pytest.mark.parametrize("kind", CASES)
def test_folded_and_not_they_have_one_hash_that_follows_their_numbers(kind: str) -> None:
    module = made(kind)
    before = model_hash(lower(module, (6,)))
    assert model_hash(lower(taut.fold(module), (6,))) == before
    other = copy.deepcopy(module)
    with torch.no_grad():
        list(other.parameters())[-1].view(-1)[-1].add_(0.05)
    assert model_hash(lower(other, (6,))) != before


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_classifier_with_one_is_certified_and_verified(kind: str, norm: str) -> None:
    net = tnn.Sequential(tnn.BjorckLinear(4, 6), made(kind), tnn.UnitNormLinear(6, 3))
    inputs = torch.randn(20, 4)
    labels = net(inputs).argmax(1)
    certificate = taut.certify.robustness(net, inputs, labels, norm=norm)
    assert bool((certificate.radius > 0).all())
    taut.certify.verify(certificate, taut.fold(net), inputs, labels)


def test_what_rounding_cannot_be_bounded_for_is_refused() -> None:
    with pytest.raises(TypeError, match="HouseholderActivation"):
        evaluate(nn.Sequential(tnn.HouseholderActivation(6, order=2)), torch.ones(1, 6))
    with pytest.raises(ValueError, match="5 channels, and its input has 6"):
        evaluate(nn.Sequential(tnn.NActivation(5)), torch.ones(1, 6))
