"""The dual objective, and the loop that trains a critic on it."""

import pytest
import torch
from torch import Tensor, nn

import taut
from taut import nn as tnn
from taut.transport import dual_objective, dual_value, train_critic


class Counted(nn.Module):
    def __init__(self, shape: tuple[int, ...] = (-1, 1)) -> None:
        super().__init__()
        self.shape, self.calls = shape, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return (3.0 * x.flatten(1).sum(dim=1)).reshape(self.shape)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_the_dual_value_is_a_difference_of_means_in_one_pass(shape: tuple[int, ...]) -> None:
    critic = Counted(shape)
    x, y = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[0.0, 1.0]])
    assert dual_value(critic, x, y) == 3.0 * (5.0 - 1.0)
    assert critic.calls == 1
    assert dual_objective(critic, x, y) == -12.0


@pytest.mark.parametrize(
    ("x", "shape"), [(torch.ones(4, 2), (-1, 2)), (torch.ones(4, 2), (1, -1)), (torch.ones(0, 2), (-1,))]
)
def test_one_value_for_each_sample_is_asked_for(x: Tensor, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="the critic must return one value for each of|there are no samples"):
        dual_value(Counted(shape), x, x)


def samples() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(64, 2, generator=generator), torch.randn(48, 2, generator=generator) + torch.tensor([3.0, 4.0])


def critic(seed: int = 0, linear: type[nn.Module] = tnn.BjorckLinear) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(linear(2, 8), tnn.MaxMin(), linear(8, 1))


@pytest.mark.parametrize("optimizer", ["aggmo", "adam"])
def test_training_finds_the_distance_between_far_samples(optimizer: str) -> None:
    x, y = samples()
    net = critic()
    seen: list[tuple[int, int, float]] = []
    train_critic(
        net,
        x,
        y,
        steps=60,
        batch_size=32,
        lr=0.1,
        optimizer=optimizer,
        generator=torch.Generator().manual_seed(0),
        progress=lambda *args: seen.append(args),
    )
    assert not net.training
    assert [(done, total) for done, total, _ in seen] == [(step, 60) for step in range(1, 61)]
    distance = float((x.mean(0) - y.mean(0)).norm())  # of translated samples; here W1 is within a few per cent of it
    assert seen[0][2] < 0.9 * distance
    assert dual_value(net, x, y).item() == pytest.approx(distance, rel=0.05)


def test_a_seed_gives_one_critic_and_leaves_the_global_generator_alone() -> None:
    found = []
    for seed in (0, 0, 1):
        net = critic()
        before = torch.random.get_rng_state()
        train_critic(net, *samples(), steps=5, batch_size=8, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(before, torch.random.get_rng_state())
        found.append(net[0].weight)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.mark.parametrize("linear", [tnn.ParsevalLinear, tnn.ManifoldLinear])
def test_layers_that_are_constrained_from_outside_keep_their_constant(linear: type[nn.Module]) -> None:
    net = critic(linear=linear)
    norms: list[float] = []

    def measure(*progress: float) -> None:
        norms.append(float(torch.linalg.matrix_norm(net[0].weight.detach(), 2)))

    train_critic(net, *samples(), steps=30, lr=0.5, generator=torch.Generator().manual_seed(0), progress=measure)
    assert max(norms) <= 1.5  # a step of the projection is not all of it
    assert taut.lipschitz_bound(net) <= 1 + 1e-4


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"steps": 0}, "steps must be positive, got 0"),
        ({"batch_size": 0}, "batch_size must be positive"),
        ({"lr": float("nan")}, "lr must be positive"),
        ({"optimizer": "lion"}, "optimizer must be 'adam' or 'aggmo', got 'lion'"),
        ({"critic": nn.Flatten(0)}, "Flatten has no parameters to train"),
    ],
)
def test_what_cannot_be_trained_is_refused(options: dict, reason: str) -> None:
    x, y = samples()
    usual = {"critic": critic(), "x": x, "y": y, "steps": 2, "generator": torch.Generator()}
    with pytest.raises(ValueError, match=reason):
        train_critic(**{**usual, **options})
