"""Certificates against the rounding search: none of taut's is broken, and naive ones of the same samples are."""

import pytest
import torch
from torch import nn

from taut.attacks import rounding_attack
from taut.attacks.execution import FORMATS
from taut.certify import robustness, verify
from tiny_margins import BODIES, naive_radius, undecided

FIRST = torch.tensor([0])
LOWEST = {"float64": -15.0, "float32-accumulate64": -7.5, "float32": -7.0, "tf32": -3.5, "bfloat16": -2.5}


def tally(name: str, arithmetic: str, norm: str, count: int, decades: float = 5.0) -> dict[str, int]:
    """Attempts and breaks over samples with margins from far below the rounding error to above it."""
    found = dict.fromkeys(("certified", "naive attempts", "naive broken", "attempts", "broken"), 0)
    for seed in range(count):
        margin = 10.0 ** (LOWEST[arithmetic] + decades * seed / count)
        points = FORMATS[arithmetic].points
        model, x = undecided(name, margin, seed, torch.float32 if points == torch.bfloat16 else points)
        x = x.to(points).to(x.dtype)
        naive = torch.tensor([naive_radius(model, x, norm)], dtype=torch.float64)
        certificate = robustness(model, x, FIRST, norm=norm, arithmetic=arithmetic)
        found["certified"] += int(certificate.radius[0] > 0)
        for prefix, radius in (("naive ", naive), ("", certificate.radius)):
            search = rounding_attack(model, x, FIRST, radius, norm=norm, arithmetic=arithmetic, rivals=1)
            found[prefix + "attempts"] += search.attempts
            found[prefix + "broken"] += search.breaks
    return found


FEW_OR_MANY = pytest.mark.parametrize("often", [1, pytest.param(4, marks=pytest.mark.slow)])


@FEW_OR_MANY
@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("arithmetic", list(LOWEST))
def test_linear_classifiers(arithmetic: str, norm: str, often: int) -> None:
    found = tally("linear", arithmetic, norm, 8 * often)
    print(arithmetic, norm, found)
    assert found["broken"] == 0
    assert found["naive broken"] > 0
    assert found["certified"] > 0 or arithmetic == "bfloat16"  # whose bound for 64 products is above any margin here
    assert found["attempts"] > 0 or not found["certified"]


@FEW_OR_MANY
@pytest.mark.parametrize("name", [name for name in BODIES if name != "linear"])
def test_networks(name: str, often: int) -> None:
    """Deep, convolutional, residual, badly scaled, trained against the rounding, in float64."""
    found = {norm: tally(name, "float64", norm, 3 * often, decades=9.0) for norm in ("l2", "linf")}
    print(name, found)
    assert found["l2"]["broken"] == found["linf"]["broken"] == 0
    assert found["l2"]["naive broken"] > 0
    assert found["l2"]["certified"] > 0 or name == "spread"  # where norms of layers are far above their product's


def test_networks_in_single_precision() -> None:
    found = tally("deep dense", "float32-accumulate64", "l2", 6)
    assert found["broken"] == 0
    assert found["naive broken"] > 0
    assert found["certified"] > 0


@pytest.mark.parametrize("arithmetic", ["real", *LOWEST])
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_ties_are_never_certified(arithmetic: str, norm: str) -> None:
    torch.manual_seed(0)
    duplicated = nn.Linear(6, 4)
    with torch.no_grad():
        duplicated.weight[2], duplicated.bias[2] = duplicated.weight[0], duplicated.bias[0]
    opposite = nn.Linear(6, 2, bias=False)  # exactly equal logits at zero
    for model, x in ((duplicated, torch.randn(20, 6)), (opposite, torch.zeros(2, 6))):
        labels = model(x).argmax(1)
        tied = (model(x) == model(x).amax(1, keepdim=True)).sum(1) > 1
        certificate = robustness(model, x, labels, norm=norm, arithmetic=arithmetic)
        assert tied.any()
        assert not certificate.radius[tied].any()
        assert robustness(model, x, labels, norm=norm, arithmetic="real").radius[~tied].gt(0).all()


def test_a_certificate_in_one_arithmetic_is_none_in_a_coarser_one() -> None:
    """The search is strong enough to tell one from another: what holds in float64 is broken in float32."""
    broken = 0
    for seed in range(8):
        model, x = undecided("linear", 3e-7, seed)
        radius = robustness(model, x, FIRST).radius
        assert rounding_attack(model, x, FIRST, radius).breaks == 0
        broken += rounding_attack(model, x, FIRST, radius, arithmetic="float32").breaks
        verify(robustness(model, x, FIRST), model, x, FIRST)
    assert broken > 0
