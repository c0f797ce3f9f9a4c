"""log det against slogdet of a matrix that is known, exactly and by estimates within their standard errors."""

import math

import pytest
import torch
from torch import nn

from taut import nn as tnn
from taut.functional import log_abs_det, log_det_estimate, log_det_truncation_bound, roulette_weights

EPS = torch.finfo(torch.float64).eps
CONTRACTION = 0.7


def matrix(dimension: int = 3) -> torch.Tensor:
    torch.manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(dimension, dimension, dtype=torch.float64))
    return CONTRACTION * left @ torch.diag(torch.linspace(1, 0.3, dimension).double()) @ right


def truth(h: torch.Tensor) -> float:
    return float(torch.linalg.slogdet(torch.eye(len(h), dtype=h.dtype) + h).logabsdet)


@pytest.mark.parametrize("dimension", [1, 2, 4])
def test_it_is_that_of_the_jacobian(dimension: int) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(dimension, 8), nn.Tanh(), nn.Linear(8, dimension)).double()
    x = torch.randn(5, dimension, dtype=torch.float64)
    y, found = log_abs_det(net, x)
    jacobian = torch.func.vmap(torch.func.jacfwd(net))(x)
    assert torch.equal(y, net(x))
    assert torch.allclose(found, torch.linalg.slogdet(jacobian).logabsdet, rtol=1e3 * EPS, atol=1e3 * EPS)
    x.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: log_abs_det(net, x)[1], (x,))
    with torch.no_grad():
        assert not log_abs_det(net, x)[1].requires_grad
    with pytest.raises(ValueError, match="keeps the shape"):
        log_abs_det(nn.Linear(dimension, dimension + 1).double(), x)


def test_the_truncated_series_is_within_its_bound() -> None:
    """With every sign vector as a probe the trace is exact, so that only the truncation is left."""
    h = matrix()
    for terms in (1, 2, 5, 12):
        series = sum((-1) ** (k + 1) / k * float(torch.linalg.matrix_power(h, k).trace()) for k in range(1, terms + 1))
        bound = log_det_truncation_bound(CONTRACTION, dimension=3, terms=terms)
        assert abs(series - truth(h)) <= bound
        generator = torch.Generator().manual_seed(terms)
        x = torch.zeros(20_000, 3, dtype=torch.float64)
        _, found = log_det_estimate(lambda x: x @ h.T, x, terms=terms, generator=generator)
        assert abs(float(found.mean()) - series) <= 4.5 * float(found.std()) / math.sqrt(len(found)) + 1e3 * EPS
    worst = -CONTRACTION  # -c I attains the bound's order: the rest is d times the sum of c^k / k
    rest = -sum(CONTRACTION**k / k for k in range(1, 13)) - math.log1p(worst)
    assert 0.5 * log_det_truncation_bound(CONTRACTION, dimension=1, terms=12) < rest
    assert rest <= log_det_truncation_bound(CONTRACTION, dimension=1, terms=12)


def test_roulette_has_no_bias_and_neither_has_its_gradient() -> None:
    h = matrix()
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    generator = torch.Generator().manual_seed(5)
    values, slopes = [], []
    for _ in range(600):
        weights = roulette_weights(CONTRACTION, exact_terms=2, generator=generator)
        x = torch.zeros(20, 3, dtype=torch.float64)
        _, found = log_det_estimate(
            lambda x: scale * (x @ h.T), x, terms=len(weights), weights=weights, generator=generator
        )
        values.append(float(found.detach().mean()))
        slopes.append(float(torch.autograd.grad(found.mean(), scale)[0]))
    slope = float((torch.linalg.inv(torch.eye(3, dtype=h.dtype) + h) @ h).trace())
    for drawn, expected in ((torch.tensor(values), truth(h)), (torch.tensor(slopes), slope)):
        error = float(drawn.std()) / math.sqrt(len(drawn))
        assert abs(float(drawn.mean()) - expected) <= 4.5 * error
        assert error < 0.05
    short = float(torch.diagonal(h - h @ h / 2).sum())
    assert abs(short - truth(h)) > 0.05  # two terms alone would be seen


def test_weights_are_one_over_the_chance_of_the_term() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = [len(roulette_weights(0.5, exact_terms=3, generator=generator)) - 3 for _ in range(4000)]
    for k in range(1, 5):
        share = sum(length >= k for length in drawn) / len(drawn)
        assert abs(share - 0.5**k) <= 4.5 * math.sqrt(0.25 / len(drawn))
    assert roulette_weights(0.5, exact_terms=1, generator=torch.Generator().manual_seed(1))[0] == 1.0


def test_a_residual_block() -> None:
    torch.manual_seed(2)
    branch = tnn.Sequential(tnn.BjorckLinear(2, 8), tnn.MaxMin(), tnn.BjorckLinear(8, 2))
    block = tnn.InvertibleResidual(branch, lipschitz=0.6).double()
    x = torch.randn(4000, 2, dtype=torch.float64)
    y, exact = log_abs_det(block, x)
    generator = torch.Generator().manual_seed(0)
    again, found = log_det_estimate(block.residual, x, terms=40, probes=2, generator=generator)
    assert torch.allclose(y, again, atol=10 * EPS)
    off = (found - exact).detach()
    assert abs(float(off.mean())) <= 4.5 * float(off.std()) / math.sqrt(len(off)) + 1e-9
    assert bool((exact.detach().abs() <= -2 * math.log(0.4) + 1e-9).all())


@pytest.mark.parametrize(
    "call",
    [
        lambda: log_det_estimate(lambda x: x, torch.ones(1, 1), terms=0),
        lambda: log_det_estimate(lambda x: x, torch.ones(1, 1), terms=2, weights=[1.0]),
        lambda: log_det_truncation_bound(1.0, dimension=1, terms=1),
        lambda: log_det_truncation_bound(0.5, dimension=0, terms=1),
        lambda: roulette_weights(0.0),
        lambda: roulette_weights(0.5, exact_terms=0),
    ],
)
def test_what_is_refused(call) -> None:
    with pytest.raises(ValueError, match="must be"):
        call()
