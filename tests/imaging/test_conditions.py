"""Every theorem against dense matrices: linear denoisers that are as bad as their constants allow."""

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from taut.imaging import (
    admm_condition,
    default_step,
    douglas_rachford_condition,
    forward_backward_condition,
    primal_dual_condition,
)
from taut.imaging.condition import Condition, enforce
from taut.imaging.operators import Blur, Identity, Inpainting, LinearOperator, Tomography, random_pixels

ROUNDING = 1e-9
SHAPE = (1, 3, 4)
SIZE = 12
SHARP = torch.tensor([[0.0, 0.125, 0.0], [0.125, 1.0, -0.25], [0.0, 0.125, 0.0]])
OPERATORS = {
    "identity": Identity(SHAPE),
    "convex": Blur(SHAPE, SHARP),
    "mask": Inpainting(SHAPE, random_pixels(3, 4, share=0.5)),
    "tomography": Tomography(SHAPE, 3),
}
each_operator = pytest.mark.parametrize("operator", [OPERATORS["convex"], OPERATORS["mask"], OPERATORS["tomography"]])
STEPS = (0.5, 1.9, 2.0, 10.0)


@dataclass(frozen=True, kw_only=True)
class Linear:
    """The denoiser with this matrix, and the constants that are claimed of it."""

    matrix: Tensor
    lipschitz_bound: float
    averaged: float | None
    reflected_bound: float
    residual_bound: float
    name: str = "linear"

    def __call__(self, x: Tensor, sigma: float | Tensor | None = None) -> Tensor:
        return (x.reshape(-1, SIZE) @ self.matrix.T).reshape(x.shape)


def rotation(generator: torch.Generator) -> Tensor:
    return torch.linalg.qr(torch.randn(SIZE, SIZE, generator=generator, dtype=torch.float64))[0]


def worst() -> list[Linear]:
    """(1 - a) I + a N for N = +-L I and L times rotations; and I + eps R, of which nothing else is known."""
    generator = torch.Generator().manual_seed(0)
    one = torch.eye(SIZE, dtype=torch.float64)
    bases = (-one, one, rotation(generator))
    found = [
        Linear(
            matrix=(1 - a) * one + a * bound * base,
            lipschitz_bound=1 - a + a * bound,
            averaged=a if bound <= 1.0 and a < 1.0 else None,
            reflected_bound=abs(1 - 2 * a) + 2 * a * bound,
            residual_bound=a * (1 + bound),
        )
        for base in bases
        for a in (0.25, 0.5, 0.75, 1.0)
        for bound in (1.0, 1.2)
    ]
    return found + [
        Linear(
            matrix=one + eps * base,
            lipschitz_bound=1 + eps,
            averaged=None,
            reflected_bound=1 + 2 * eps,
            residual_bound=eps,
        )
        for base in bases
        for eps in (0.05, 0.2)
    ]


DENOISERS = worst()


def dense(operator: LinearOperator) -> Tensor:
    return operator(torch.eye(SIZE, dtype=torch.float64).reshape(SIZE, *SHAPE)).reshape(SIZE, -1).T


def norm(matrix: Tensor) -> float:
    return float(torch.linalg.matrix_norm(matrix, 2))


def agrees(condition: Condition, matrix: Tensor, *, of_norm: float) -> None:
    """What is claimed of the linear map T: T is nonexpansive where residuals fall, and its powers converge."""
    if condition.monotone:
        assert of_norm <= 1 + ROUNDING
    if condition.factor is not None:
        assert of_norm <= condition.factor * (1 + ROUNDING)
    if condition.converges:
        eigenvalues = torch.linalg.eigvals(matrix)
        others = eigenvalues[(eigenvalues - 1).abs() > 1e-6]  # 1 itself belongs to fixed points
        assert not len(others) or float(others.abs().amax()) < 1.0


@each_operator
@pytest.mark.parametrize("share", STEPS)
def test_every_claim_holds_for_the_worst_linear_denoisers(operator: LinearOperator, share: float) -> None:
    step = share * default_step(operator)
    normal = dense(operator).T @ dense(operator)
    one = torch.eye(SIZE, dtype=torch.float64)
    P = torch.linalg.inv(one + step * normal)
    for denoiser in DENOISERS:
        D = denoiser.matrix
        forward = D @ (one - step * normal)
        agrees(forward_backward_condition(denoiser, operator, step=step), forward, of_norm=norm(forward))
        rachford = one + D @ (2 * P - one) - P
        agrees(douglas_rachford_condition(denoiser, operator, step=step), rachford, of_norm=norm(rachford))
        directions = one + P @ (2 * D - one) - D
        agrees(admm_condition(denoiser, operator, step=step), directions, of_norm=norm(directions))


@each_operator
@pytest.mark.parametrize("form", ["dual", "box"])
@pytest.mark.parametrize("share", STEPS)
def test_every_claim_about_primal_dual_holds(operator: LinearOperator, form: str, share: float) -> None:
    A = dense(operator)
    step = default_step(operator)
    K, G = (A, 0 * A.T @ A) if form == "dual" else (torch.eye(SIZE).double(), A.T @ A)
    rows = len(K)
    square = operator.norm_bound**2 if form == "dual" else 1.0
    dual_step = share / 2 * (1 / step - (0.0 if form == "dual" else operator.norm_bound**2 / 2)) / square
    metric = torch.cat(
        (
            torch.cat((torch.eye(SIZE).double() / step, -K.T), 1),
            torch.cat((-K, torch.eye(rows).double() / dual_step), 1),
        )
    )
    # the box is far away (its proximal operator, of the dual, is 0) or a plane: both are linear
    dual = 1 / (1 + dual_step) if form == "dual" else 0.0
    for denoiser in DENOISERS:
        condition = primal_dual_condition(denoiser, operator, step=step, dual_step=dual_step, form=form)
        D = denoiser.matrix
        upper = torch.cat((D @ (torch.eye(SIZE).double() - step * G), -step * D @ K.T), 1)
        ahead = 2 * upper - torch.eye(SIZE, SIZE + rows).double()
        last = torch.cat((torch.zeros(rows, SIZE), torch.eye(rows)), 1).double()
        T = torch.cat((upper, dual * (last + dual_step * K @ ahead)))
        if condition.monotone:
            root = torch.linalg.cholesky(metric).T
            agrees(condition, T, of_norm=norm(root @ T @ torch.linalg.inv(root)))
        agrees(condition, T, of_norm=math.inf if not condition.monotone else 0.0)


def test_theorems_are_claimed_where_they_should_be() -> None:
    """A test of claims that hold would pass for none."""
    firm = next(d for d in DENOISERS if d.averaged == 0.5 and d.reflected_bound == 1.0)
    loose = next(d for d in DENOISERS if d.averaged == 0.75 and d.lipschitz_bound == 1.0)
    nearly = next(d for d in DENOISERS if d.residual_bound == 0.05)
    mask, convex = OPERATORS["mask"], OPERATORS["convex"]
    assert forward_backward_condition(firm, mask, step=1.99).converges
    assert forward_backward_condition(loose, mask, step=1.99).converges
    assert not forward_backward_condition(loose, mask, step=2.0).converges
    assert forward_backward_condition(loose, mask, step=2.0).monotone
    assert not forward_backward_condition(loose, mask, step=2.01).monotone
    for condition in (douglas_rachford_condition, admm_condition):
        assert condition(firm, mask, step=50.0).converges
        assert not condition(loose, mask, step=0.1).converges
        assert condition(nearly, convex, step=1.0).converges
        assert not condition(nearly, mask, step=1.0).converges
    by_ryu = [d for d in DENOISERS if d.averaged is None and d.residual_bound == 0.2]
    found = [admm_condition(d, convex, step=20.0) for d in by_ryu]
    assert all(c.converges and not c.monotone and c.factor is None for c in found)
    assert primal_dual_condition(firm, mask, step=1.0, dual_step=0.99).converges
    assert not primal_dual_condition(firm, mask, step=1.0, dual_step=1.0).converges
    assert primal_dual_condition(firm, mask, step=1.0, dual_step=0.49, form="box").converges
    assert not primal_dual_condition(firm, mask, step=1.0, dual_step=0.51, form="box").converges
    assert not primal_dual_condition(loose, mask, step=0.1, dual_step=0.1).converges


def test_the_factor_of_forward_backward_is_attained() -> None:
    scaled = next(d for d in DENOISERS if d.lipschitz_bound == 1.2 and d.residual_bound > 2)  # 1.2 I
    condition = forward_backward_condition(scaled, OPERATORS["identity"], step=0.75)
    assert condition.factor is not None
    assert math.isclose(condition.factor, 1.2 * 0.25, rel_tol=1e-12)
    assert condition.converges


def test_a_factor_next_to_one_is_no_contraction() -> None:
    """Rounding would be amplified ten million times."""
    nearly = Linear(
        matrix=torch.eye(SIZE), lipschitz_bound=1 - 1e-7, averaged=None, reflected_bound=3.0, residual_bound=2.0
    )
    condition = forward_backward_condition(nearly, OPERATORS["mask"], step=1.0)
    assert not condition.converges
    assert condition.monotone
    assert "nonexpansive alone" in str(condition.reason)


def test_infinite_constants_are_refused_in_one_sentence() -> None:
    unknown = Linear(
        matrix=torch.eye(SIZE),
        lipschitz_bound=math.inf,
        averaged=None,
        reflected_bound=math.inf,
        residual_bound=math.inf,
        name="plain",
    )
    for condition in (forward_backward_condition, douglas_rachford_condition, admm_condition):
        with pytest.raises(ValueError, match=r"the denoiser must be .* plain .*inf") as caught:
            enforce(condition(unknown, OPERATORS["mask"], step=1.0), "refuse")
        assert "\n" not in str(caught.value)


def test_an_operator_that_maps_all_to_zero_has_no_step() -> None:
    class Nothing(Identity):
        def _norm(self) -> float:
            return 0.0

    with pytest.raises(ValueError, match="to zero"):
        default_step(Nothing(SHAPE))
