"""Invertible networks: their density against its integral, and errors of their inverse against what is proven."""

import math

import pytest
import torch
from torch import nn

import taut
from taut import nn as tnn
from taut.models import InvertibleNetwork, proven_contractions

EPS = torch.finfo(torch.float64).eps


def network(features: int = 2, **options) -> InvertibleNetwork:
    torch.manual_seed(0)
    made = InvertibleNetwork(features, **{"blocks": 3, "width": 8, "depth": 1, "lipschitz": 0.7, **options}).double()
    made.first.set_from_([3 * torch.randn(500, features, dtype=torch.float64) + 1])
    return made


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_every_error_is_below_its_bound_and_that_below_the_tolerance() -> None:
    net, x = network(), 3 * normal(200, 2)
    rates = proven_contractions(net)
    assert all(0.7 <= rate <= 0.7001 for rate in rates)
    for tolerance in (1e-2, 1e-8):
        for early in (True, False):
            found = net.inversion(net(x), tolerance=tolerance, contractions=rates, early=early)
            errors = (found.x - x).norm(dim=1)
            assert float(errors.max()) <= found.error_bound <= tolerance
            assert all(block.steps <= block.proven_steps for block in found.blocks)
            assert early or all(block.steps == block.proven_steps for block in found.blocks)
    with pytest.raises(ValueError, match="one for each of the 3 blocks, got 2"):
        net.inversion(x, contractions=rates[:2])


@torch.no_grad()
def test_errors_of_a_chain_add_up_as_the_bound_says() -> None:
    """g(x) = -x in every block: each inverse stretches by 1 / (1 - L), and every error goes the same way."""
    net = network(features=1, blocks=3)
    for block in net.residuals():
        block.branch = tnn.Scale(-1.0)
    z = torch.ones(1, 1, dtype=torch.float64)
    exact = net.first.inverse(z / 0.3**3)
    found = net.inversion(z, tolerance=1e-3, early=False)
    error = float((found.x - exact).norm())
    assert error <= found.error_bound * (1 + 1e-6)  # rounding
    assert found.error_bound <= 1e-3
    assert error > 0.9 * found.error_bound


@torch.no_grad()
def test_the_density_has_mass_one_and_is_that_of_the_samples() -> None:
    net = network(features=1)
    x = torch.linspace(-40, 40, 40_001, dtype=torch.float64)[:, None]
    density = net.log_prob(x).exp()
    assert float(density.sum() * (x[1] - x[0])) == pytest.approx(1.0, abs=1e-4)
    samples = net.inverse(normal(20_000, 1))
    below = float((density * (x[:, 0] < 1.0)).sum() * (x[1] - x[0]))
    assert abs(float((samples < 1.0).double().mean()) - below) <= 4.5 * 0.5 / math.sqrt(20_000)


def test_the_log_density_is_that_of_the_jacobian_of_the_whole() -> None:
    net, x = network(), normal(7, 2)
    jacobian = torch.stack([torch.autograd.functional.jacobian(lambda row: net(row[None])[0], row) for row in x])
    latent = torch.distributions.Normal(0.0, 1.0).log_prob(net(x)).sum(dim=1)
    expected = latent + torch.linalg.slogdet(jacobian).logabsdet
    assert torch.allclose(net.log_prob(x), expected, rtol=0, atol=1e3 * EPS)


def test_the_inverse_has_the_gradient_of_the_inverse_matrix() -> None:
    net, z = network(), normal(4, 2).requires_grad_()
    x = net.inverse(z, tolerance=1e-12)
    (slope,) = torch.autograd.grad(x[:, 0].sum(), z, retain_graph=True)
    for row in range(len(z)):
        jacobian = torch.autograd.functional.jacobian(lambda one: net(one[None])[0], x[row].detach())
        assert torch.allclose(slope[row], torch.linalg.inv(jacobian)[0], atol=1e-8)
    # of the parameters: f(inverse(z)) = z whatever they are
    again = net(net.inverse(z, tolerance=1e-12))
    weights = [p for p in net.parameters() if p.requires_grad]
    found = torch.autograd.grad(again.square().sum(), weights, allow_unused=True)
    assert all(float(g.abs().max()) < 1e-7 for g in found if g is not None)
    assert any(float(g.abs().max()) > 1e-3 for g in torch.autograd.grad(x.square().sum(), weights))


@torch.no_grad()
def test_the_folded_chain_is_the_same_function_and_its_constants_hold() -> None:
    net, x = network(), normal(100, 2)
    plain = tnn.fold(net)
    assert type(plain) is nn.Sequential
    assert torch.allclose(plain(x), net(x), atol=100 * EPS)
    bound = taut.lipschitz_bound(plain)
    scale = net.first.scale
    assert float(scale.max()) * 1.7**3 <= bound <= float(scale.max()) * 1.7001**3
    assert 1 / float(scale.min()) <= net.inverse_gain() <= (1 + 1e-12) / float(scale.min())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"lipschitz": 1.0}, "lipschitz must be between 0 and 1, got 1.0"),
        ({"blocks": 0}, "features and blocks must be at least 1, got 2 and 0"),
        ({"depth": 0}, "depth must be at least 1"),
        ({"linear": "linf"}, "linear must be one of"),
        ({"activation": "maxmin"}, "activation must be one of"),
    ],
)
def test_what_is_refused(options: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        network(**options)
