"""Curvature and Jacobians at samples, and the distances that follow from them, against dense linear algebra."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from taut.certify import (
    curvature_estimate,
    first_order_distance_estimate,
    jacobian_norm_estimate,
    second_order_distance_estimate,
)

ROUNDING = 1e4 * torch.finfo(torch.float64).eps


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 4)).double()


def quadratic(matrix: torch.Tensor):
    return lambda x: 0.5 * torch.einsum("bi,ij,bj->b", x, matrix, x)


def symmetric(size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return values + values.T


def test_curvature_of_a_quadratic_is_its_largest_eigenvalue() -> None:
    matrix, x = symmetric(7), torch.randn(3, 7, dtype=torch.float64)
    largest = float(torch.linalg.eigvalsh(matrix)[-1])
    assert torch.allclose(
        curvature_estimate(quadratic(matrix), x, steps=7), torch.tensor(largest, dtype=torch.float64), rtol=1e-10
    )
    few = [float(curvature_estimate(quadratic(matrix), x, steps=steps)[0]) for steps in (1, 2, 3, 4)]
    assert few == sorted(few), "the Krylov spaces are nested"
    assert few[0] < few[3] <= largest * (1 + ROUNDING)


@pytest.mark.parametrize("values", [[-1.0] * 5, [-3.0, -2.0, -2.0, -3.0, -3.0], [2.0, 2.0, -9.0, -9.0, 2.0]])
def test_curvature_where_the_krylov_space_ends_early(values: list[float]) -> None:
    """What is left of the small matrix must not look like the eigenvalue 0, which would be above negative ones."""
    x = torch.zeros(2, 5, dtype=torch.float64)
    found = curvature_estimate(quadratic(torch.diag(torch.tensor(values).double())), x, steps=5)
    assert torch.allclose(found, torch.full((2,), max(values)).double(), rtol=1e-10)


def test_curvature_belongs_to_each_sample_and_is_repeatable() -> None:
    x = torch.tensor([[1.0, 0.5], [2.0, -3.0], [0.0, 0.0]], dtype=torch.float64)
    found = curvature_estimate(lambda x: 0.25 * (x**4).sum(dim=1), x, steps=2)
    assert torch.allclose(found, torch.tensor([3.0, 27.0, 0.0]).double(), rtol=1e-10, atol=1e-12)
    assert torch.equal(found, curvature_estimate(lambda x: 0.25 * (x**4).sum(dim=1), x, steps=2))


def test_curvature_of_a_loss_behind_pieces_is_that_of_the_loss() -> None:
    """Oracle: the whole Hessian by another route of autograd; the network without a loss has none."""
    net, x, labels = network(), torch.randn(4, 2, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 3])
    found = curvature_estimate(lambda x: cross_entropy(net(x), labels, reduction="none"), x, steps=6)
    for i in range(len(x)):

        def one(flat: torch.Tensor, i: int = i) -> torch.Tensor:
            return cross_entropy(net(flat[None]), labels[i : i + 1])

        hessian = torch.autograd.functional.hessian(one, x[i].flatten())
        assert float(found[i]) == pytest.approx(float(torch.linalg.eigvalsh(hessian)[-1]), rel=1e-8)
    assert torch.equal(curvature_estimate(lambda x: net(x)[:, 0], x), torch.zeros(4).double())
    assert torch.equal(curvature_estimate(lambda x: torch.zeros(4).double(), x), torch.zeros(4).double())


def test_curvature_refuses_what_it_cannot_mean() -> None:
    x = torch.zeros(2, 3)
    with pytest.raises(ValueError, match="steps must be >= 1, got 0"):
        curvature_estimate(lambda x: x.sum(dim=1), x, steps=0)
    with pytest.raises(TypeError, match=r"one number a sample, shape \(2,\), got \(2, 3\)"):
        curvature_estimate(lambda x: x, x)
    with pytest.raises(ValueError, match="finite"):
        curvature_estimate(lambda x: x.sum(dim=1), torch.full((1, 2), torch.nan))


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_jacobian_norms_of_a_linear_network_and_of_pieces(norm: str) -> None:
    linear = nn.Linear(5, 3).double()
    weight = linear.weight.detach()
    known = torch.linalg.svdvals(weight)[0] if norm == "l2" else weight.abs().sum(dim=1).max()
    found = jacobian_norm_estimate(linear, torch.randn(4, 5), norm=norm)
    assert torch.allclose(found, known.expand(4), rtol=1e-12)

    net, x = network(), torch.randn(5, 2, 3, dtype=torch.float64)
    told: list[int] = []
    found = jacobian_norm_estimate(net, x, norm=norm, batch_size=2, progress=told.append)
    assert told == [2, 4, 5]
    for i in range(5):
        jacobian = torch.autograd.functional.jacobian(lambda y: net(y[None])[0], x[i]).flatten(1).detach()
        known = torch.linalg.svdvals(jacobian)[0] if norm == "l2" else jacobian.abs().sum(dim=1).max()
        assert float(found[i]) == pytest.approx(float(known), rel=1e-10)


def test_jacobian_of_a_constant_is_zero_and_other_norms_are_refused() -> None:
    class Constant(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(x), 2, dtype=x.dtype)

    assert jacobian_norm_estimate(Constant(), torch.zeros(3, 2)).tolist() == [0.0] * 3
    with pytest.raises(ValueError, match="l1"):
        jacobian_norm_estimate(nn.Linear(2, 2), torch.zeros(1, 2), norm="l1")


def test_first_order_is_exact_for_a_linear_loss() -> None:
    gap = torch.tensor([3.0, 0.0, -1.0])
    assert first_order_distance_estimate(gap, 2.0).tolist() == [1.5, 0.0, 0.0]
    assert first_order_distance_estimate(gap, 0.0)[0] == torch.inf
    with pytest.raises(ValueError, match="slope must be a finite number >= 0, got -1"):
        first_order_distance_estimate(gap, -1.0)


def test_second_order_is_where_the_parabola_meets_the_gap() -> None:
    gap, slope = torch.rand(50, dtype=torch.float64) + 0.1, torch.rand(50, dtype=torch.float64)
    for curvature in (1e-12, 0.5, 40.0):
        r = second_order_distance_estimate(gap, slope, curvature)
        assert torch.allclose(slope * r + curvature * r**2 / 2, gap, rtol=ROUNDING)
    assert torch.allclose(second_order_distance_estimate(gap, slope, 0.0), gap / slope, rtol=ROUNDING)
    corner = second_order_distance_estimate(torch.tensor([1.0, -1.0]), torch.zeros(2), 0.0)
    assert corner.tolist() == [torch.inf, 0.0]
    with pytest.raises(ValueError, match="curvature must be a finite number >= 0, got -1"):
        second_order_distance_estimate(gap, slope, -1.0)
