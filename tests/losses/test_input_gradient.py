"""Penalties of input gradients against closed forms and difference quotients."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taut import models
from taut.losses import finite_difference_penalty, input_gradient, lipschitz_penalty, single_step, steepest_direction

EPS = torch.finfo(torch.float64).eps
STEP = 1e-6
DIFFERENCE = 1e-6
"""Far above the errors of a central difference quotient, STEP^2 of a third derivative and EPS / STEP."""


def lossy(model: nn.Module, labels: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: F.cross_entropy(model(x), labels, reduction="none")


def smooth_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4)).double()


def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(5, 6, generator=generator, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 0])


def quotient(value: Callable[[], Tensor], parameters: list[Tensor], directions: list[Tensor]) -> float:
    """Derivative of `value` along `directions`, by a central difference."""
    ends = []
    for step in (STEP, -2 * STEP):
        for p, d in zip(parameters, directions, strict=True):
            p.data += step * d
        ends.append(float(value().detach()))
    for p, d in zip(parameters, directions, strict=True):
        p.data += STEP * d
    return (ends[0] - ends[1]) / (2 * STEP)


def check_derivative(value: Callable[[], Tensor], model: nn.Module) -> None:
    parameters = list(model.parameters())
    directions = [torch.randn_like(p) for p in parameters]
    gradients = torch.autograd.grad(value(), parameters, allow_unused=True)
    along = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True) if g is not None)
    assert along != 0
    assert along == pytest.approx(quotient(value, parameters, directions), rel=DIFFERENCE, abs=DIFFERENCE)


def test_the_gradient_is_that_of_each_sample_alone() -> None:
    model, (inputs, labels) = smooth_network(), data()
    for i in range(5):
        point = inputs[i].clone().requires_grad_()
        F.cross_entropy(model(point), labels[i]).backward()
        found = input_gradient(lossy(model, labels), inputs)[i]
        assert torch.allclose(found, point.grad, rtol=0, atol=100 * EPS)


def test_the_penalty_is_the_largest_norm_of_the_batch() -> None:
    """l(x) = a x^2 / 2 in each entry has gradient a x."""
    scale = torch.tensor([1.0, 2.0, -3.0], dtype=torch.float64, requires_grad=True)
    x = torch.tensor([[1.0, 1.0, 0.0], [0.0, 2.0, 1.0]], dtype=torch.float64)
    penalty = lipschitz_penalty(lambda p: (p.square() @ scale) / 2, x)
    assert penalty.item() == pytest.approx(5.0, rel=4 * EPS)  # the second sample: sqrt(4^2 + 3^2)
    penalty.backward()
    assert torch.allclose(scale.grad, torch.tensor([0.0, 4 * 2 / 5, -3 / 5], dtype=torch.float64), atol=10 * EPS)


@pytest.mark.parametrize("make", [smooth_network, lambda: models.mlp((6,), 4, width=6, depth=1).double()])
def test_double_back_propagation_is_exact(make) -> None:
    torch.manual_seed(0)
    model, (inputs, labels) = make(), data()
    check_derivative(lambda: lipschitz_penalty(lossy(model, labels), inputs), model)


@pytest.mark.parametrize(("norm", "power", "dual"), [("l1", 1, math.inf), ("l2", 2, 2), ("linf", math.inf, 1)])
def test_the_steepest_direction_attains_the_norm_with_length_1_in_the_dual_one(norm: str, power, dual) -> None:
    gradient = torch.randn(7, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gradient[3] = 0
    direction = steepest_direction(gradient, norm=norm)
    sizes = torch.linalg.vector_norm(gradient.flatten(1), ord=power, dim=1)
    assert torch.allclose((gradient * direction).flatten(1).sum(1), sizes, rtol=10 * EPS)
    lengths = torch.linalg.vector_norm(direction.flatten(1), ord=dual, dim=1)
    assert torch.allclose(lengths, (sizes > 0).double(), rtol=10 * EPS)
    assert direction.isfinite().all()


def test_a_tiny_gradient_has_a_direction() -> None:
    assert steepest_direction(torch.tensor([[3e-30, 4e-30]])).tolist() == [pytest.approx([0.6, 0.8])]


@pytest.mark.parametrize(("norm", "size"), [("l1", 7.0), ("l2", 5.0), ("linf", 4.0)])
@pytest.mark.parametrize("difference", ["forward", "central"])
def test_the_difference_penalty_of_a_linear_loss_is_half_the_squared_norm(norm: str, size: float, difference) -> None:
    slope = torch.tensor([3.0, -4.0, 0.0], dtype=torch.float64)
    x = torch.rand(6, 3, dtype=torch.float64)
    found = finite_difference_penalty(lambda p: p @ slope, x, norm=norm, h=0.01, difference=difference)
    assert found.item() == pytest.approx(size**2 / 2, rel=1e4 * EPS)  # 1/h digits are lost, twice


def test_the_central_difference_is_exact_for_quadratic_losses_and_the_forward_one_is_not() -> None:
    """l(x) = |x|^2 / 2: the forward quotient is |x| + h/2, the central one |x|."""
    x, h = torch.tensor([[3.0, 4.0]], dtype=torch.float64), 0.5
    half_square = lambda p: p.square().sum(1) / 2  # noqa: E731
    assert finite_difference_penalty(half_square, x, h=h).item() == pytest.approx((5 + h / 2) ** 2 / 2, rel=100 * EPS)
    central = finite_difference_penalty(half_square, x, h=h, difference="central")
    assert central.item() == pytest.approx(5**2 / 2, rel=100 * EPS)


@pytest.mark.parametrize("difference", ["forward", "central"])
def test_the_direction_is_held_fixed_in_its_derivative(difference: str) -> None:
    """Against the derivative of the same quotient with the directions taken beforehand."""
    model, (inputs, labels) = smooth_network(), data()
    h = 0.1
    v = input_gradient(lossy(model, labels), inputs)
    v = v / v.norm(dim=1, keepdim=True)
    ends = [lossy(model, labels)(inputs + step * h * v) for step in (1, 0 if difference == "forward" else -1)]
    expected = ((ends[0] - ends[1]) / (h if difference == "forward" else 2 * h)).square().mean() / 2
    found = finite_difference_penalty(lossy(model, labels), inputs, h=h, difference=difference)
    assert found.item() == pytest.approx(expected.item(), rel=1e4 * EPS)
    parameters = list(model.parameters())
    for one, other in zip(
        torch.autograd.grad(found, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        assert torch.allclose(one, other, rtol=0, atol=1e4 * EPS)


def test_dropout_draws_the_same_at_both_ends() -> None:
    """Otherwise the difference of two draws is divided by h."""
    torch.manual_seed(0)
    weight = torch.full((50,), 1.0, dtype=torch.float64)
    found = finite_difference_penalty(
        lambda p: F.dropout(p, 0.5) @ weight, torch.ones(4, 50, dtype=torch.float64), h=1e-3
    )
    assert found.item() < 2 * 50 / 2 * 2  # every slope is 2 sqrt(number kept) <= 2 sqrt(50)


@pytest.mark.parametrize(("norm", "dual"), [("l1", math.inf), ("l2", 2), ("linf", 1)])
def test_a_step_moves_by_eps_in_the_dual_norm_and_raises_the_loss(norm: str, dual: float) -> None:
    model, (inputs, labels) = smooth_network(), data()
    inputs = 0.25 + inputs / 2
    moved = single_step(inputs, lossy(model, labels), eps=0.1, norm=norm)
    lengths = torch.linalg.vector_norm(moved - inputs, ord=dual, dim=1)
    assert torch.allclose(lengths, torch.full((5,), 0.1, dtype=torch.float64), rtol=10 * EPS)
    assert (lossy(model, labels)(moved) > lossy(model, labels)(inputs)).all()
    assert not moved.requires_grad


def test_a_step_stays_in_the_box() -> None:
    x = torch.tensor([[0.98, 0.5]])
    assert torch.allclose(single_step(x, lambda p: p.sum(1), eps=0.1, norm="l1"), torch.tensor([[1.0, 0.6]]))
    free = single_step(x, lambda p: p.sum(1), eps=0.1, norm="l1", bounds=None)
    assert torch.allclose(free, torch.tensor([[1.08, 0.6]]))


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda x, f: finite_difference_penalty(f, x, h=0.0), "h must be a positive finite number, got 0.0"),
        (lambda x, f: finite_difference_penalty(f, x, norm="l3"), "norm must be one of l1, l2, linf, got 'l3'"),
        (lambda x, f: finite_difference_penalty(f, x, difference="back"), "difference must be one of forward, central"),
        (lambda x, f: single_step(x, f, eps=-0.1), "eps must be a finite number >= 0, got -0.1"),
        (lambda x, f: single_step(x, f, eps=0.1, bounds=(1.0, 0.0)), "bounds must be"),
        (lambda x, f: lipschitz_penalty(lambda p: p, x), r"one number for each sample.*\(3, 2\) for 3 samples"),
        (lambda x, f: lipschitz_penalty(f, x[:0]), "there must be one sample or more"),
    ],
)
def test_what_cannot_be_meant_is_refused(call, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        call(torch.rand(3, 2), lambda p: p.sum(1))
