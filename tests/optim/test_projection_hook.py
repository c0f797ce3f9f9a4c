"""The hook against projected gradient descent written out by hand; what becomes of momentum; what is refused."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

import taut
from taut import nn as tnn
from taut.optim import AggMo, ProjectionHook, project_

RADIUS = 1.0


class Ball(nn.Module):
    """x -> <w, x> with w kept in the unit ball of l2."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.6, -0.5, 0.2], dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight

    @torch.no_grad()
    def project_(self, *, exact: bool = False) -> None:
        self.weight.copy_(projected(self.weight))


def projected(point: torch.Tensor) -> torch.Tensor:
    return point / max(1.0, float(point.norm()) / RADIUS)


def gradient(point: torch.Tensor, step: int) -> torch.Tensor:
    """Of ||w - far||^2 / 2, far moving with the step: the constraint is active."""
    return point - torch.tensor([3.0, 1.0 + 0.1 * step, -2.0], dtype=torch.float64)


def hooked(make, steps: int, **options) -> tuple[torch.Tensor, ProjectionHook]:
    layer = Ball()
    optimizer = make(layer.parameters())
    hook = ProjectionHook(optimizer, layer, **options)
    for step in range(steps):
        layer.weight.grad = gradient(layer.weight.detach(), step)
        optimizer.step()
    return layer.weight.detach(), hook


def test_sgd_with_momentum_is_the_projected_gradient_with_the_same_buffer() -> None:
    point, buffer = Ball().weight.detach().clone(), torch.zeros(3, dtype=torch.float64)
    for step in range(9):
        buffer = 0.9 * buffer + gradient(point, step)
        point = projected(point - 0.1 * buffer)
    found, _ = hooked(partial(torch.optim.SGD, lr=0.1, momentum=0.9), 9)
    assert torch.allclose(found, point, rtol=0, atol=1e-14)


def test_displacement_is_the_heavy_ball_of_projected_points() -> None:
    point = Ball().weight.detach().clone()
    before = point.clone()
    for step in range(9):
        moved = projected(point - 0.1 * gradient(point, step) + 0.9 * (point - before))
        point, before = moved, point
    found, _ = hooked(partial(torch.optim.SGD, lr=0.1, momentum=0.9), 9, momentum="displacement")
    assert torch.allclose(found, point, rtol=0, atol=1e-13)
    kept, _ = hooked(partial(torch.optim.SGD, lr=0.1, momentum=0.9), 9)
    assert float((kept - found).norm()) > 1e-3, "the two are different methods here"


def test_reset_forgets_after_every_projection_that_moved() -> None:
    point = Ball().weight.detach().clone()
    for step in range(6):  # momentum that never lives: the first step already leaves the ball
        point = projected(point - 0.5 * gradient(point, step))
    found, hook = hooked(partial(torch.optim.SGD, lr=0.5, momentum=0.9), 6, momentum="reset")
    assert torch.allclose(found, point, rtol=0, atol=1e-14)
    assert len(hook.optimizer.state) == 0


@pytest.mark.parametrize(
    "make",
    [
        partial(torch.optim.Adam, lr=0.3),
        partial(torch.optim.AdamW, lr=0.3),
        partial(torch.optim.RMSprop, lr=0.3),
        partial(AggMo, lr=0.3),
    ],
    ids=["adam", "adamw", "rmsprop", "aggmo"],
)
def test_any_optimizer_ends_its_steps_inside_and_equals_a_projection_by_hand(make) -> None:
    layer = Ball()
    optimizer = make(layer.parameters())
    for step in range(7):
        layer.weight.grad = gradient(layer.weight.detach(), step)
        optimizer.step()
        layer.project_()
    found, _ = hooked(make, 7)
    assert torch.equal(found, layer.weight.detach())
    assert float(found.norm()) <= RADIUS + 1e-15


def test_every_few_steps_and_exactly_on_from_a_saved_count() -> None:
    make = partial(torch.optim.SGD, lr=0.1)
    layer = Ball()
    outside = []
    optimizer = make(layer.parameters())
    hook = ProjectionHook(optimizer, layer, every=3)
    for step in range(6):
        layer.weight.grad = gradient(layer.weight.detach(), step)
        optimizer.step()
        outside.append(float(layer.weight.detach().norm()) > RADIUS + 1e-12)
        if step == 3:
            saved = copy.deepcopy((layer.state_dict(), hook.state_dict()))
    assert [outside[2], outside[5]] == [False, False]
    assert outside[1]
    assert outside[4]
    other = Ball()
    other.load_state_dict(saved[0])
    second = make(other.parameters())
    ProjectionHook(second, other, every=3).load_state_dict(saved[1])
    for step in (4, 5):
        other.weight.grad = gradient(other.weight.detach(), step)
        second.step()
    assert torch.equal(other.weight, layer.weight)


def test_the_hook_works_with_the_library_s_layer_and_ends_when_removed() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(tnn.ParsevalLinear(6, 4), nn.ReLU(), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5, momentum=0.9)
    hook = ProjectionHook(optimizer, net)
    free = net[2].weight.detach().clone()
    for _ in range(4):
        optimizer.zero_grad()
        net(torch.ones(2, 6)).square().sum().backward()
        optimizer.step()
        assert float(torch.linalg.svdvals(net[0].weight.detach().double())[0]) <= 1 + 1e-6
    assert not torch.equal(free, net[2].weight), "layers that do not project are the optimizer's alone"
    hook.project(exact=True)
    assert taut.lipschitz_bound(net[0]) < 1 + 1e-6
    hook.remove()
    with torch.no_grad():
        net[0].weight.mul_(3.0)
    optimizer.zero_grad()
    net(torch.ones(2, 6)).sum().backward()
    optimizer.step()
    assert float(torch.linalg.svdvals(net[0].weight.detach())[0]) > 2.0


def test_an_average_of_projected_points_of_a_convex_set_is_inside() -> None:
    layer = Ball()
    average = copy.deepcopy(layer).requires_grad_(False)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    ProjectionHook(optimizer, layer)
    for step in range(20):
        layer.weight.grad = gradient(layer.weight.detach(), step)
        optimizer.step()
        average.weight.lerp_(layer.weight.detach(), 0.3)
        assert float(average.weight.norm()) <= RADIUS + 1e-12
    project_(average, exact=True)
    assert float(average.weight.norm()) <= RADIUS + 1e-15


@pytest.mark.parametrize(
    ("make", "options", "reason"),
    [
        (partial(torch.optim.SGD, lr=0.1), {"every": 0}, "every must be a positive number of steps, got 0"),
        (partial(torch.optim.SGD, lr=0.1), {"every": True}, "every must be"),
        (partial(torch.optim.Adam, lr=0.1), {"momentum": "displacement"}, "for torch.optim.SGD without dampening"),
        (
            partial(torch.optim.SGD, lr=0.1, momentum=0.9, dampening=0.1),
            {"momentum": "displacement"},
            "without dampening",
        ),
        (partial(torch.optim.LBFGS, lr=0.1), {}, "LBFGS keeps points"),
        (partial(torch.optim.ASGD, lr=0.1), {}, "ASGD keeps points"),
    ],
)
def test_what_does_not_fit_is_refused(make, options: dict, reason: str) -> None:
    layer = Ball()
    with pytest.raises(ValueError, match=reason):
        ProjectionHook(make(layer.parameters()), layer, **options)


def test_an_unknown_momentum_is_refused() -> None:
    layer = Ball()
    with pytest.raises((ValueError, TypeError), match="drop"):  # by its type first, where types are checked
        ProjectionHook(torch.optim.SGD(layer.parameters(), lr=0.1), layer, momentum="drop")  # pyright: ignore


def test_a_model_without_such_layers_and_an_optimizer_of_others_are_refused() -> None:
    free, layer = nn.Linear(2, 2), Ball()
    with pytest.raises(ValueError, match="Linear has no layer that projects"):
        ProjectionHook(torch.optim.SGD(free.parameters(), lr=0.1), free)
    with pytest.raises(ValueError, match="has no weight of a layer of Ball that projects"):
        ProjectionHook(torch.optim.SGD(free.parameters(), lr=0.1), layer)
