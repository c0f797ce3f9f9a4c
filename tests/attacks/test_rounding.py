"""The rounding search: it finds what there is, counts only points exactly in the ball, and refuses nonsense."""

from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from taut import certify
from taut.attacks import rounding_attack
from taut.attacks.execution import FORMATS, ORDERS, Execution
from taut.attacks.inside import is_inside
from tiny_margins import naive_radius, undecided

FIRST = torch.tensor([0])


def two_classes(width: int = 8) -> tuple[nn.Linear, Tensor]:
    torch.manual_seed(0)
    model = nn.Linear(width, 2, dtype=torch.float64)
    x = torch.randn(1, width, dtype=torch.float64)
    with torch.no_grad():
        model.bias.copy_(torch.tensor([1.0, -1.0]))
    return model, x if bool(model(x).diff() < 0) else -x


@pytest.mark.parametrize(("norm", "order"), [("l2", 2), ("linf", 1)])
def test_it_breaks_a_radius_just_above_the_true_one_and_none_just_below(norm: str, order: int) -> None:
    model, x = two_classes()
    with torch.no_grad():
        true = float(-model(x).diff() / (model.weight[0] - model.weight[1]).norm(p=order))
    above, below = (torch.tensor([true * factor], dtype=torch.float64) for factor in (1 + 1e-9, 1 - 1e-9))
    found = rounding_attack(model, x, FIRST, above, norm=norm)
    assert found.breaks == 1
    assert is_inside(found.example, x[0], float(above), norm).all()
    assert not bool(model(found.example).diff() < 0)
    kept = rounding_attack(model, x, FIRST, below, norm=norm)
    assert kept.breaks == 0
    assert kept.attempts > 100
    assert torch.equal(kept.example, x)


def test_a_tie_is_a_break_at_any_radius_and_radius_zero_claims_nothing() -> None:
    model = nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.ones(2, 3))
    radii = torch.tensor([1e-30, 0.0])
    found = rounding_attack(model, torch.ones(2, 3), torch.zeros(2, dtype=torch.int64), radii)
    assert found.broken.tolist() == [False, False]  # no direction leads anywhere, but
    model.weight.data[1, 0] = 1 + 2.0**-23
    found = rounding_attack(model, torch.ones(2, 3), torch.zeros(2, dtype=torch.int64), radii)
    assert found.broken.tolist() == [True, False]


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_membership_is_exact(norm: str) -> None:
    generator = torch.Generator().manual_seed(1)
    seen = set()
    for scale in (1.0, 1e-200, 1e200):
        centre = torch.randn(5, generator=generator, dtype=torch.float64)
        step = torch.randn(5, generator=generator, dtype=torch.float64)
        step = scale * step / (step.norm() if norm == "l2" else step.abs().amax())
        points = torch.stack(
            [(0.0 if scale != 1.0 else 1.0) * centre + step * (1 + k * 2.0**-53) for k in range(-8, 9)]
        )
        origin = centre if scale == 1.0 else torch.zeros(5, dtype=torch.float64)
        found = is_inside(points, origin, scale, norm)
        for point, inside in zip(points.tolist(), found.tolist(), strict=True):
            gaps = [Fraction(a) - Fraction(b) for a, b in zip(point, origin.tolist(), strict=True)]
            exact = (
                sum(g * g for g in gaps) <= Fraction(scale) ** 2
                if norm == "l2"
                else max(map(abs, gaps)) <= Fraction(scale)
            )
            assert inside == exact
            seen.add(inside)
    assert seen == {True, False}
    assert not is_inside(torch.tensor([[torch.nan], [torch.inf]]), torch.zeros(1), 1e300, norm).any()


@pytest.mark.parametrize(
    ("arithmetic", "unit"),
    [
        ("float64", 2.0**-53),
        ("float32-accumulate64", 2.0**-24),
        ("float32", 2.0**-24),
        ("tf32", 2.0**-10),
        ("bfloat16", 2.0**-8),
    ],
)
def test_every_arithmetic_rounds_as_much_as_it_should(arithmetic: str, unit: float) -> None:
    """Between a hundredth and ten units, and otherwise in another order where sums are in that precision."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(45, 6), nn.Tanh(), nn.Linear(6, 4))
    x = torch.randn(40, 3, 5, 5).to(FORMATS[arithmetic].points)
    program = certify.lower(model, (3, 5, 5))
    exact = program(x.double())
    errors = []
    for order in ORDERS:
        logits = Execution(program, arithmetic, order)(x)
        assert logits.dtype == FORMATS[arithmetic].sums
        errors.append(float((logits.double() - exact).abs().amax()))
        if arithmetic != "float64":
            assert unit / 100 < errors[-1] < 10 * unit
    if arithmetic in ("float64", "float32"):
        assert len(set(errors)) > 1
    assert max(errors) < 10 * unit


def test_it_breaks_naive_radii_of_every_kind() -> None:
    for arithmetic, lowest in (("float64", -15), ("float32-accumulate64", -7), ("float32", -7)):
        breaks = attempts = 0
        for seed in range(10):
            model, x = undecided("linear", 10.0 ** (lowest + seed / 4), seed, FORMATS[arithmetic].points)
            radius = torch.tensor([naive_radius(model, x, "l2")], dtype=torch.float64)
            found = rounding_attack(model, x, FIRST, radius, arithmetic=arithmetic)
            breaks, attempts = breaks + found.breaks, attempts + found.attempts
            if found.breaks:
                assert is_inside(found.example, x[0], float(radius), "l2").all()
        assert breaks >= 2, (arithmetic, breaks, attempts)


def test_the_same_seed_gives_the_same_search() -> None:
    model, x = undecided("linear", 1e-6, 0)
    radius = torch.tensor([naive_radius(model, x, "l2")])
    one, two = (rounding_attack(model, x, FIRST, radius, arithmetic="float32", seed=3) for _ in range(2))
    assert one.attempts == two.attempts
    assert torch.equal(one.example, two.example)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"norm": "l1"}, "norm must be"),
        ({"arithmetic": "real"}, "arithmetic must be one of float64"),
        ({"rivals": 0}, "at least 1"),
        ({"steps": 0}, "at least 1"),
        ({"radii": torch.tensor([0.1, 0.1])}, "equally many"),
        ({"radii": torch.tensor([torch.nan])}, "radii must be at least 0"),
        ({"radii": torch.tensor([-1.0])}, "radii must be at least 0"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(options: dict[str, Any], reason: str) -> None:
    model, x = two_classes()
    arguments = {"radii": torch.tensor([0.1])} | options
    with pytest.raises(ValueError, match=reason):
        rounding_attack(model, x, FIRST, **arguments)


def test_an_order_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="order must be one of native"):
        Execution(certify.lower(nn.Linear(2, 2), (2,)), "float32", "sideways")
