"""Losses of Wasserstein GANs against closed forms and difference quotients."""

import math

import pytest
import torch
from torch import Tensor, nn

from taut import models
from taut import nn as tnn
from taut.losses import clip_weights_, critic_loss, generator_loss, gradient_penalty

STEP = 1e-6
DIFFERENCE = 1e-5
"""Far above the errors of a central difference quotient, STEP^2 of a third derivative and eps / STEP."""


def test_the_critics_loss_is_the_difference_of_the_means() -> None:
    real, fake = torch.randn(7, 1, dtype=torch.float64), torch.randn(4, 1, dtype=torch.float64)
    expected = sum(fake[:, 0].tolist()) / 4 - sum(real[:, 0].tolist()) / 7
    assert float(critic_loss(real, fake)) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(("real", "fake"), [(0, 3), (3, 0)])
def test_a_side_without_samples_is_refused(real: int, fake: int) -> None:
    with pytest.raises(ValueError, match="both sides need samples"):
        critic_loss(torch.zeros(real), torch.zeros(fake))


def test_the_generators_loss_is_minus_the_mean() -> None:
    assert float(generator_loss(torch.tensor([[1.0], [4.0]]))) == -2.5
    with pytest.raises(ValueError, match="at least one sample"):
        generator_loss(torch.zeros(0))


@pytest.mark.parametrize(("target", "one_sided"), [(1.0, False), (7.5, False), (0.5, True), (60.0, True)])
def test_the_penalty_of_a_quadratic_is_that_of_the_points_between(target: float, one_sided: bool) -> None:
    """f(x) = ||x||^2 has gradient 2x; the points are drawn again from the same generator."""
    real, fake = torch.randn(5, 2, 3, dtype=torch.float64), 3 * torch.randn(5, 2, 3, dtype=torch.float64)
    actual = gradient_penalty(
        lambda x: x.square().sum((1, 2)),
        real,
        fake,
        generator=torch.Generator().manual_seed(3),
        target=target,
        one_sided=one_sided,
    )
    shares = torch.rand(5, generator=torch.Generator().manual_seed(3), dtype=torch.float64).tolist()
    total = 0.0
    for share, x, y in zip(shares, real.flatten(1).tolist(), fake.flatten(1).tolist(), strict=True):
        norm = math.sqrt(sum((2 * ((1 - share) * a + share * b)) ** 2 for a, b in zip(x, y, strict=True)))
        total += (max(norm - target, 0.0) if one_sided else norm - target) ** 2
    assert float(actual.detach()) == pytest.approx(total / 5, rel=1e-12)


def test_the_points_lie_between_each_real_sample_and_its_fake_one() -> None:
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.sum(1)

    real, fake = torch.arange(400.0)[:, None].expand(-1, 2), torch.arange(400.0)[:, None].expand(-1, 2) + 0.5
    gradient_penalty(critic, real, fake, generator=torch.Generator().manual_seed(0))
    share = (seen[0] - real) / 0.5
    assert share.min() >= 0
    assert share.max() <= 1
    assert torch.allclose(share[:, 0], share[:, 1], atol=1e-3)  # one share for all entries of a sample
    # uniform: the mean of 400 shares within four standard errors of 1/2
    assert abs(float(share[:, 0].mean()) - 0.5) < 4 * math.sqrt(1 / 12 / 400)


PLAIN = {
    "none": lambda: models.infogan_discriminator((1, 4, 4), width=2),
    "layer": lambda: models.infogan_discriminator((1, 4, 4), width=2, normalisation="layer"),
    "aoc": lambda: models.conv_critic((1, 4, 4), width=4, levels=1, dense_width=6),
    "sll": lambda: models.conv_critic((1, 4, 4), width=4, levels=1, dense_width=6, convolution="sll"),
}
DENSE = {
    "group-sort": lambda: models.dense_critic((1, 4, 4), width=8, depth=2, activation="group-sort", group_size=4),
    **{
        name: lambda name=name: models.dense_critic((1, 4, 4), width=8, depth=2, linear=name)
        for name in ("bjorck", "spectral-norm", "cayley", "aol")
    },
    **{
        name: lambda name=name: models.dense_critic((1, 4, 4), width=8, depth=2, activation=name)
        for name in ("relu", "linear-spline", "lipschitz-prelu", "householder-activation", "full-sort", "max-out")
    },
}


@pytest.mark.parametrize("make", [*PLAIN.values(), *DENSE.values()], ids=[*PLAIN, *DENSE])
def test_its_derivative_for_the_critics_parameters_is_the_difference_quotient(make) -> None:
    torch.manual_seed(0)
    critic = make().double()
    parameters = list(critic.parameters())
    for p in parameters:  # away from the corners that some constraints have where training starts
        p.data += 0.3 * torch.randn_like(p)
    real, fake = torch.rand(4, 1, 4, 4, dtype=torch.float64), torch.rand(4, 1, 4, 4, dtype=torch.float64)
    directions = [torch.randn_like(p) for p in parameters]

    def moved(step: float) -> float:
        for p, direction in zip(parameters, directions, strict=True):
            p.data += step * direction
        value = gradient_penalty(critic, real, fake, generator=torch.Generator().manual_seed(1), target=0.3)
        for p, direction in zip(parameters, directions, strict=True):
            p.data -= step * direction
        return float(value.detach())

    penalty = gradient_penalty(critic, real, fake, generator=torch.Generator().manual_seed(1), target=0.3)
    gradients = torch.autograd.grad(penalty, parameters, allow_unused=True)
    along = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True) if g is not None)
    assert along == pytest.approx((moved(STEP) - moved(-STEP)) / (2 * STEP), rel=DIFFERENCE, abs=DIFFERENCE)


def test_layers_without_a_second_derivative_say_so() -> None:
    critic = nn.Sequential(tnn.LInfDistLinear(3, 4, p=8.0), tnn.LInfDistLinear(4, 1, p=8.0))
    penalty = gradient_penalty(critic, torch.rand(4, 3), torch.rand(4, 3))
    with pytest.raises(RuntimeError, match="lp_distance_backward.*no autograd formula"):
        penalty.backward()


def test_the_samples_and_the_grad_mode_are_left_alone() -> None:
    real, fake = torch.zeros(3, 2, requires_grad=True), torch.ones(3, 2, requires_grad=True)
    weight = torch.tensor([3.0, 4.0], requires_grad=True)
    with torch.no_grad():
        gradient_penalty(lambda x: x @ weight, real, fake)
    gradient_penalty(lambda x: x.square() @ weight, real, fake).backward()  # the penalty depends on the points
    weight.grad = None
    gradient_penalty(lambda x: x @ weight, real, fake).backward()
    assert real.grad is None
    assert fake.grad is None
    assert torch.allclose(weight.grad, 2 * (5 - 1) * torch.tensor([0.6, 0.8]))


@pytest.mark.parametrize(
    ("critic", "shapes", "target", "reason"),
    [
        (nn.Flatten(), ((3, 1), (2, 1)), 1.0, "as many samples of one shape"),
        (nn.Flatten(), ((0, 1), (0, 1)), 1.0, "as many samples of one shape"),
        (nn.Flatten(), ((3, 1), (3, 1)), -1.0, "target must be a finite number >= 0, got -1.0"),
        (nn.Flatten(), ((3, 2), (3, 2)), 1.0, "one number for each of 3 samples"),
        (nn.Sequential(nn.BatchNorm1d(1)), ((3, 1), (3, 1)), 1.0, r"layer 0 \(BatchNorm1d\) mixes samples"),
    ],
)
def test_what_has_no_penalty_is_refused(critic: nn.Module, shapes: tuple, target: float, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        gradient_penalty(critic, *(torch.rand(*s) for s in shapes), target=target)


def test_batch_norm_of_an_evaluated_network_does_not_mix() -> None:
    penalty = gradient_penalty(nn.Sequential(nn.BatchNorm1d(1, eps=0.0)).eval(), torch.zeros(3, 1), torch.ones(3, 1))
    assert float(penalty.detach()) == 0.0


def test_clipping_moves_parameters_and_nothing_else() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    network[1].running_mean.fill_(5.0)
    before = network[0].weight.detach().clone()
    clip_weights_(network, 0.1)
    assert torch.equal(network[0].weight, before.clamp(-0.1, 0.1))
    assert float(network[1].weight.detach().max()) == pytest.approx(0.1)
    assert float(network[1].running_mean[0]) == 5.0


@pytest.mark.parametrize("limit", [0.0, -1.0, math.inf, math.nan])
def test_a_limit_that_clips_nothing_or_all_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="limit must be a positive finite number"):
        clip_weights_(nn.Linear(1, 1), limit)
