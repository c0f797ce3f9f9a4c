"""APGD, FAB's projection and Square on their own: what each promises beyond the closed forms of test_run."""

import itertools
import math
from fractions import Fraction

import pytest
import torch
from scipy.optimize import linprog, minimize
from torch import nn

from taut.attacks import apgd, distance, fgsm, margins, pgd, square
from taut.attacks.apgd import checkpoints
from taut.attacks.gradients import steepest, targeted_dlr
from taut.attacks.hyperplane import nearest_on_hyperplane
from taut.attacks.square_l2 import bump, two_bumps

NORMS = ("l2", "linf")


def trained_net() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """A small ReLU net that was fitted to clusters of three classes, and its samples."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.rand(6, 8, generator=generator)
    place = torch.randint(0, 6, (300,), generator=generator)
    x = (centres[place] + 0.12 * torch.randn(300, 8, generator=generator)).clamp(0, 1)
    y = place % 3
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model.requires_grad_(False), x, y


@pytest.mark.parametrize(("norm", "eps"), [("l2", 0.25), ("linf", 0.1)])
def test_apgd_is_at_least_as_strong_as_pgd_with_the_same_budget(norm, eps) -> None:
    model, x, y = trained_net()
    standing = {}
    for name, attack in (("pgd", pgd), ("apgd", apgd)):
        found = attack(model, x, y, eps=eps, norm=norm, steps=25, restarts=1, loss="cross-entropy")
        standing[name] = int((margins(model(found), y) > 0).sum())
    assert 0 < standing["apgd"] <= standing["pgd"] < len(x)


@pytest.mark.parametrize("norm", NORMS)
def test_where_cross_entropy_has_no_gradient_dlr_still_breaks_the_network(norm) -> None:
    """Logits times 1e4: the gradient of cross-entropy is exactly 0 in float32 at every sample."""
    model, x, y = trained_net()
    masked = nn.Sequential(model, nn.Linear(3, 3, bias=False)).requires_grad_(False)
    nn.init.eye_(masked[1].weight).mul_(1e4)
    correct = margins(masked(x), y) > 1e3
    x, y = x[correct], y[correct]
    eps = 0.5 if norm == "l2" else 0.2
    plain = fgsm(masked, x, y, eps=eps, norm=norm)
    assert torch.equal(plain, x)
    for loss, most in (("dlr", 0.1), ("cross-entropy", 1.0)):
        found = apgd(masked, x, y, eps=eps, norm=norm, steps=20, loss=loss)
        left = float((margins(masked(found), y) > 0).float().mean())
        assert left <= most
        assert loss == "dlr" or left > 0.2


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", [(12,), (2, 3, 4)])
def test_searches_never_leave_the_ball_or_the_box_as_stored(norm, shape) -> None:
    torch.manual_seed(3)
    entries = 12 if len(shape) == 1 else 24
    model = nn.Sequential(nn.Flatten(), nn.Linear(entries, 5)).requires_grad_(False)
    x, y = torch.rand(20, *shape).round(decimals=1), torch.randint(0, 5, (20,))
    eps = 0.137
    for found in (
        fgsm(model, x, y, eps=eps, norm=norm),
        apgd(model, x, y, eps=eps, norm=norm, steps=8, restarts=2),
        apgd(model, x, y, eps=eps, norm=norm, steps=8, loss="dlr", targets=2),
        square(model, x, y, eps=eps, norm=norm, steps=60),
    ):
        assert found.shape == x.shape
        assert 0.5 * eps < float(distance(found, x, norm).max()) <= eps
        assert 0 <= float(found.min()) <= float(found.max()) <= 1


def test_step_sizes_are_judged_at_the_published_checkpoints() -> None:
    shares = ["0.22", "0.41", "0.57", "0.70", "0.80", "0.87", "0.93", "0.99"]  # gaps .22, .19, .16, .13, .10, .07, .06
    assert checkpoints(30) == [math.ceil(Fraction(share) * 30) for share in shares]
    assert checkpoints(100) == [int(Fraction(share) * 100) for share in shares]


def test_dlr_ignores_shift_and_scale_and_is_one_where_the_target_has_won_by_the_spread() -> None:
    logits = torch.tensor([[5.0, 2.0, 1.0, -1.0, 0.5]], dtype=torch.float64)
    label, target = torch.tensor([0]), torch.tensor([1])
    value = targeted_dlr(logits, label, target)
    assert float(value) == pytest.approx((2.0 - 5.0) / (5.0 - (1.0 + 0.5) / 2), rel=1e-12)
    assert float(targeted_dlr(1e4 * logits + 7, label, target)) == pytest.approx(float(value), rel=1e-9)


def test_tiny_gradients_still_have_a_direction_of_unit_length() -> None:
    gradient = torch.tensor([[3e-30, -4e-30], [0.0, 0.0]])
    assert torch.allclose(steepest(gradient, "l2"), torch.tensor([[0.6, -0.8], [0.0, 0.0]]))


@pytest.mark.parametrize("norm", NORMS)
def test_the_nearest_point_of_a_hyperplane_in_the_box_is_that_of_a_solver(norm) -> None:
    generator = torch.Generator().manual_seed(4)
    for _ in range(6):
        x, w = (torch.rand(5, generator=generator, dtype=torch.float64) for _ in range(2))
        w = w - 0.5
        inner = torch.rand(5, generator=generator, dtype=torch.float64).round()  # at a corner: the box matters
        b = -(w @ (0.8 * inner + 0.2 * x))
        found = nearest_on_hyperplane(x[None], w[None], b[None], norm=norm)[0]
        assert abs(float(w @ found + b)) < 1e-12
        assert 0 <= float(found.min()) <= float(found.max()) <= 1
        if norm == "l2":
            best = minimize(
                lambda z, x=x: float(((z - x.numpy()) ** 2).sum()), inner.numpy(), bounds=[(0, 1)] * 5,
                constraints={"type": "eq", "fun": lambda z, w=w, b=b: float(w.numpy() @ z + b)}, tol=1e-14,
            ).fun ** 0.5  # fmt: skip
            assert float((found - x).norm()) == pytest.approx(best, rel=1e-5)
        else:
            rows = [[*[s * (i == k) for i in range(5)], -1.0] for k, s in itertools.product(range(5), (1.0, -1.0))]
            limits = [s * float(x[k]) for k, s in itertools.product(range(5), (1.0, -1.0))]
            best = linprog(
                [0] * 5 + [1], A_ub=rows, b_ub=limits, A_eq=[[*w.tolist(), 0.0]], b_eq=[-float(b)],
                bounds=[(0, 1)] * 5 + [(0, None)],
            ).fun  # fmt: skip
            assert float((found - x).abs().max()) == pytest.approx(best, rel=1e-8)


def test_a_hyperplane_that_misses_the_box_gives_the_corner_towards_it() -> None:
    x, w = torch.full((1, 3), 0.5), torch.tensor([[1.0, -1.0, 0.0]])
    assert nearest_on_hyperplane(x, w, torch.tensor([-9.0]), norm="l2").tolist() == [[1.0, 0.0, 0.5]]


def test_bumps_of_square_are_those_of_the_paper() -> None:
    """eta_rs = sum over k = 0 .. M of 1 / (n + 1 - k)^2, M = n - max(|r - n - 1|, |s - n - 1|), r and s from 1."""
    for side in (1, 2, 5):
        n = side // 2
        for r, s in itertools.product(range(1, side + 1), repeat=2):
            last = n - max(abs(r - n - 1), abs(s - n - 1))
            expected = sum(1 / (n + 1 - k) ** 2 for k in range(last + 1))
            assert float(bump(side, side)[r - 1, s - 1]) == pytest.approx(expected, rel=1e-6)
    pattern = two_bumps(6, 4, torch.Generator().manual_seed(0))
    assert float(pattern.norm()) == pytest.approx(1.0, rel=1e-6)
    assert float(pattern.min()) < 0 < float(pattern.max())
