"""Jacobian, orthogonality, certificate and TRADES terms against explicit matrices and sums."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taut import models
from taut import nn as tnn
from taut.losses import (
    certificate_regularisation,
    jacobian_norm_estimate,
    jacobian_penalty,
    kernel_orthogonality,
    matrix_orthogonality,
    orthogonality_penalty,
    prediction_divergence,
    trades_loss,
)

EPS = torch.finfo(torch.float64).eps


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(math.prod(shape)), dtype=torch.float64)


def network(outputs: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, outputs)).double()


def jacobians(model: nn.Module, inputs: Tensor) -> Tensor:
    """Entry by entry."""
    rows = []
    for x in inputs:
        full = torch.autograd.functional.jacobian(lambda p: model(p[None])[0], x)
        rows.append(full.reshape(full.shape[0], -1))
    return torch.stack(rows)


@pytest.mark.parametrize("outputs", [1, 2, 10])
def test_the_estimate_converges_to_the_jacobians_norm_from_below(outputs: int) -> None:
    model, inputs = network(outputs), drawn(5, 2, 3)
    exact = torch.linalg.matrix_norm(jacobians(model, inputs), ord=2)
    for steps in (1, 3):
        assert (jacobian_norm_estimate(model, inputs, steps=steps) <= exact * (1 + 20 * EPS)).all()
    found = jacobian_norm_estimate(model, inputs, steps=100)
    assert torch.allclose(found, exact, rtol=1e-6)  # (sigma_2 / sigma_1)^200 is what is missing
    assert torch.equal(found, jacobian_norm_estimate(model, inputs, steps=100))  # the start is fixed
    assert jacobian_penalty(model, inputs, steps=100).item() == pytest.approx(exact.mean().item(), rel=1e-6)


def test_the_derivative_of_the_jacobian_penalty_is_that_of_the_norm() -> None:
    model, inputs = network(3), drawn(4, 2, 3)
    parameter = model[1].weight
    direction = drawn(*parameter.shape)
    along = (torch.autograd.grad(jacobian_penalty(model, inputs, steps=200), parameter)[0] * direction).sum()

    def exact(step: float) -> float:
        with torch.no_grad():
            parameter.add_(step * direction)
        value = torch.linalg.matrix_norm(jacobians(model, inputs), ord=2).mean()
        with torch.no_grad():
            parameter.sub_(step * direction)
        return float(value.detach())

    assert float(along) == pytest.approx((exact(1e-6) - exact(-1e-6)) / 2e-6, rel=1e-6)


def test_networks_whose_samples_mix_have_no_jacobian_of_a_sample() -> None:
    with pytest.raises(ValueError, match=r"layer 0 \(BatchNorm1d\) mixes samples"):
        jacobian_penalty(nn.Sequential(nn.BatchNorm1d(2)), torch.rand(3, 2))
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        jacobian_penalty(network(2), drawn(4, 2, 3), steps=0)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4)])
def test_a_matrix_is_compared_with_the_identity_on_its_smaller_side(shape: tuple[int, int]) -> None:
    weight = drawn(*shape)
    expected = (torch.linalg.svdvals(weight).square() - 1).square().sum()
    assert matrix_orthogonality(weight).item() == pytest.approx(expected.item(), rel=100 * EPS)
    polar = torch.linalg.svd(weight, full_matrices=False)
    assert matrix_orthogonality(polar[0] @ polar[2]).item() < (20 * EPS) ** 2 * 25


def operator(kernel: Tensor, side: int, *, stride: int, dilation: int, groups: int) -> Tensor:
    """The matrix of a circular convolution, one input entry at a time."""
    dims, channels = kernel.dim() - 2, kernel.shape[1] * groups
    basis = torch.eye(channels * side**dims, dtype=kernel.dtype).reshape(-1, channels, *[side] * dims)
    reach = [dilation * (k - 1) for k in kernel.shape[2:]]
    padded = F.pad(basis, [p for r in reversed(reach) for p in (0, r)], mode="circular")
    convolve = (F.conv1d, F.conv2d)[dims - 1]
    return convolve(padded, kernel, stride=stride, dilation=dilation, groups=groups).flatten(1).T


@pytest.mark.parametrize(
    ("shape", "side", "stride", "dilation", "groups"),
    [
        ((3, 4, 3, 3), 6, 1, 1, 1),
        ((5, 2, 3, 2), 6, 1, 1, 1),
        ((6, 2, 3, 3), 12, 2, 1, 1),
        ((10, 2, 4, 4), 12, 2, 1, 1),
        ((4, 2, 3), 15, 1, 2, 2),
        ((4, 3, 3), 24, 2, 2, 1),
    ],
)
def test_a_kernels_penalty_is_that_of_its_operator(shape, side, stride: int, dilation: int, groups: int) -> None:
    kernel = drawn(*shape)
    dims = kernel.dim() - 2
    matrix = operator(kernel, side, stride=stride, dilation=dilation, groups=groups)
    matrix = matrix[:, matrix.any(0)]  # entries that a dilation skips are no part of the operator
    expected = (torch.linalg.svdvals(matrix).square() - 1).square().sum() / (side // stride) ** dims
    found = kernel_orthogonality(kernel, stride=(stride,) * dims, dilation=(dilation,) * dims, groups=groups)
    assert found.item() == pytest.approx(expected.item(), rel=1e4 * EPS)


def test_an_orthogonal_convolution_has_no_penalty_and_orthonormal_rows_are_not_enough() -> None:
    torch.manual_seed(0)
    layer = tnn.convolutions()["aoc"](3, 3, 3, padding_mode="circular").double()
    assert kernel_orthogonality(layer.weight).item() < 1e-20
    rows = torch.linalg.qr(drawn(27, 3))[0].T.reshape(3, 3, 3, 3)
    assert kernel_orthogonality(rows).item() > 0.1


def test_every_linear_layer_and_convolution_of_a_network_takes_part() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, groups=2), nn.ConvTranspose1d(3, 2, 2), nn.Flatten(), nn.Linear(7, 5), nn.ReLU()
    ).double()
    expected = sum(
        float(term.detach())
        for term in (
            kernel_orthogonality(net[0].weight, stride=(2, 2), groups=2),
            kernel_orthogonality(net[1].weight),
            matrix_orthogonality(net[3].weight),
        )
    )
    penalty = orthogonality_penalty(net)
    assert penalty.item() == pytest.approx(expected, rel=10 * EPS)
    penalty.backward()
    assert all(layer.weight.grad is not None and layer.weight.grad.any() for layer in (net[0], net[1], net[3]))
    assert orthogonality_penalty(nn.ReLU()).item() == 0
    with pytest.raises(ValueError, match="one to three spatial axes"):
        kernel_orthogonality(torch.zeros(2, 2, 3), stride=(1, 1))


@pytest.mark.parametrize(("norm", "power"), [("l2", 2), ("linf", 1)])
def test_the_reward_is_the_mean_radius(norm: str, power: int) -> None:
    logits, head, labels = drawn(6, 4), drawn(4, 5), torch.tensor([0, 1, 2, 3, 0, 1])
    total = 0.0
    for z, y in zip(logits, labels.tolist(), strict=True):
        others = [j for j in range(4) if j != y]
        radius = min(
            float((z[y] - z[j]) / (3.0 * torch.linalg.vector_norm(head[y] - head[j], ord=power))) for j in others
        )
        total += max(radius, 0.0)
    assert total > 0
    found = certificate_regularisation(logits, labels, head, lipschitz=3.0, norm=norm)
    assert found.item() == pytest.approx(-total / 6, rel=100 * EPS)


def test_without_a_head_the_whole_map_is_lipschitz() -> None:
    logits = torch.tensor([[5.0, 1.0, 2.0]])
    assert certificate_regularisation(logits, torch.tensor([0])).item() == pytest.approx(-3 / math.sqrt(2))
    assert certificate_regularisation(logits, torch.tensor([0]), norm="linf").item() == pytest.approx(-1.5)
    assert certificate_regularisation(logits, torch.tensor([1])).item() == 0  # classified wrongly


def test_the_reward_is_what_is_proven_of_an_orthogonal_network() -> None:
    from taut import certify

    torch.manual_seed(0)
    net = models.mlp((6,), 3, width=6, depth=1, lipschitz=2.0)
    inputs = torch.rand(20, 6)
    labels = net(inputs).argmax(1)
    head = [module for module in net.modules() if isinstance(module, nn.Linear)][-1].weight
    found = certificate_regularisation(net(inputs), labels, head, lipschitz=2.0).item()
    proven = certify.robustness(tnn.fold(net), inputs, labels).radius.mean().item()
    assert -found == pytest.approx(proven, rel=1e-3)
    assert torch.autograd.grad(certificate_regularisation(net(inputs), labels, head), head)[0].isfinite().all()


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"norm": "l1"}, "norm must be one of l2, linf"), ({"lipschitz": 0.0}, "lipschitz must be a positive finite")],
)
def test_a_certificate_needs_a_norm_and_a_constant(options: dict, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        certificate_regularisation(drawn(2, 3), torch.tensor([0, 1]), **options)
    with pytest.raises(ValueError, match="a row for each of 3 classes, got 2"):
        certificate_regularisation(drawn(2, 3), torch.tensor([0, 1]), drawn(2, 4))


def test_trades_is_cross_entropy_and_the_divergence_of_the_predictions() -> None:
    clean, moved, labels = drawn(4, 3), drawn(3, 4).T.clone(), torch.tensor([0, 1, 2, 0])
    p, q = clean.exp() / clean.exp().sum(1, keepdim=True), moved.exp() / moved.exp().sum(1, keepdim=True)
    kl = (p * (p / q).log()).sum(1)
    assert torch.allclose(prediction_divergence(clean, moved), kl, rtol=100 * EPS)
    expected = (-p[range(4), labels].log() + 6 * kl).mean().item()
    assert trades_loss(clean, moved, labels).item() == pytest.approx(expected, rel=100 * EPS)
    logits = [clean.requires_grad_(), moved.requires_grad_()]
    assert torch.autograd.gradcheck(lambda a, b: trades_loss(a, b, labels, beta=2.0), logits)
    with pytest.raises(ValueError, match="beta must be a finite number >= 0, got -1"):
        trades_loss(clean, moved, labels, beta=-1.0)
