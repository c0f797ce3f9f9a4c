"""PGD against classifiers whose robustness is known exactly, and its manners against any."""

import copy
from itertools import pairwise

import pytest
import torch
from torch import nn

from taut.attacks import attack_accuracy, distance, margins, pgd


def linear_classifier(classes: int = 4) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(12, classes, bias=False)


def exact_radius(model: nn.Linear, x: torch.Tensor, norm: str) -> torch.Tensor:
    """Distance from x to the decision boundary of a linear classifier of two classes, without box constraints."""
    row = (model.weight[0] - model.weight[1]).detach().double()
    return (x.double() @ row).abs() / (row.norm() if norm == "l2" else row.abs().sum())


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("loss", ["margin", "cross-entropy", "both"])
def test_on_a_linear_classifier_it_finds_what_there_is_and_nothing_else(norm: str, loss: str) -> None:
    model = linear_classifier(classes=2)
    x = 0.4 + 0.2 * torch.rand(60, 12, generator=torch.Generator().manual_seed(1))
    y = model(x).argmax(dim=1)
    radius = exact_radius(model, x, norm)
    eps = float(radius.median())
    worst = pgd(model, x, y, eps=eps, norm=norm, steps=20, restarts=2, loss=loss)
    broken = margins(copy.deepcopy(model).double()(worst.double()), y) <= 0
    assert not bool(broken[radius > eps].any())
    assert bool(broken[radius < 0.999 * eps].all())


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("step_size", [None, 50.0])
def test_every_result_is_in_the_ball_and_in_the_box(norm: str, step_size: float | None) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 30), nn.ReLU(), nn.Linear(30, 4))
    x = torch.rand(40, 1, 3, 4).round(decimals=1)
    y = torch.randint(0, 4, (40,))
    worst = pgd(model, x, y, eps=0.37, norm=norm, steps=5, restarts=3, step_size=step_size)
    assert float(distance(worst, x, norm).max()) <= 0.37
    assert 0 <= float(worst.min()) <= float(worst.max()) <= 1


def test_it_keeps_the_worst_point_it_met() -> None:
    """With a step far too long, later points are bad; the result is never better for the model than the input."""
    model = nn.Sequential(nn.Linear(6, 40), nn.Tanh(), nn.Linear(40, 3))
    x, y = torch.rand(50, 6), torch.randint(0, 3, (50,))
    lowest = margins(model(x), y)
    for steps in (1, 2, 5, 9):
        worst = pgd(model, x, y, eps=0.5, steps=steps, restarts=1, step_size=30.0)
        assert (margins(model(worst), y) <= lowest + 1e-6).all()
    assert (margins(model(worst), y) < lowest).any()


def test_the_same_generator_gives_the_same_points() -> None:
    """With a step that moves nothing, the result is the worst of the random starting points."""
    model, x, y = linear_classifier(), torch.rand(5, 12), torch.tensor([0, 1, 2, 3, 0])

    def attack(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return pgd(model, x, y, eps=0.3, restarts=20, steps=1, step_size=1e-9, generator=generator)

    assert torch.equal(attack(7), attack(7))
    assert not torch.equal(attack(7), attack(8))


def test_parameters_and_gradients_are_left_alone() -> None:
    model = linear_classifier()
    with torch.no_grad():
        pgd(model, torch.rand(2, 12), torch.tensor([0, 1]), eps=0.1)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"eps": 0.0}, "eps must be a positive number"),
        ({"eps": float("nan")}, "eps must be a positive number"),
        ({"norm": "l1"}, "norm must be 'l2' or 'linf'"),
        ({"steps": 0}, "steps and restarts must be at least 1"),
        ({"restarts": 0}, "steps and restarts must be at least 1"),
        ({"step_size": -1.0}, "step_size must be a positive number"),
        ({"bounds": (0.5, 1.0)}, "inputs must lie in"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(options: dict, reason: str) -> None:
    arguments = {"eps": 0.1} | options
    with pytest.raises(ValueError, match=reason):
        pgd(linear_classifier(), torch.full((1, 12), 0.25), torch.tensor([0]), **arguments)


def test_attacked_accuracy_is_nested_and_starts_from_clean_accuracy() -> None:
    model = linear_classifier()
    x = torch.rand(50, 12, generator=torch.Generator().manual_seed(2))
    y = model(x).argmax(dim=1)
    y[:5] = (y[:5] + 1) % 4
    result = attack_accuracy(model, x, y, [0.1, 0.01, 0.05], steps=5, batch_size=7)
    assert result.accuracy(0.0) == 0.9
    assert result.broken_at[:5].tolist() == [0.0] * 5
    correct = [result.correct(eps) for eps in (0.0, 0.01, 0.05, 0.1)]
    for smaller, larger in pairwise(correct):
        assert not bool((larger & ~smaller).any())
    assert correct[0].sum() > correct[-1].sum() > 0


def test_a_success_counts_only_if_the_float64_network_agrees() -> None:
    """A float32 network that rounds a tiny positive margin to a tie is not broken by rounding alone."""

    class Rounds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Parameter(torch.ones(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            total = self.one + x.sum(dim=1, keepdim=True) * 0 + 1e-12
            return torch.cat([total, self.one.expand_as(total)], dim=1)

    x, y = torch.rand(4, 3), torch.zeros(4, dtype=torch.int64)
    assert not bool((margins(Rounds()(x), y) > 0).any())
    assert attack_accuracy(Rounds(), x, y, [0.1], steps=2).accuracy(0.1) == 1.0


def test_the_examples_that_are_returned_are_misclassified_and_in_the_ball() -> None:
    model = linear_classifier()
    x = torch.rand(50, 12, generator=torch.Generator().manual_seed(2))
    y = model(x).argmax(dim=1)
    result = attack_accuracy(model, x, y, [0.05, 0.1], steps=5)
    broken = torch.isfinite(result.broken_at)
    assert 0 < int(broken.sum()) < 50
    assert (margins(model.double()(result.example), y) <= 0).equal(broken)
    assert (distance(result.example, x, "l2")[broken] <= result.broken_at[broken]).all()
