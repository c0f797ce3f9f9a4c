"""Models of arithmetic: their numbers, and networks that are executed in them at points of the ball."""

import math
from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

import taut
from taut import nn as tnn
from taut.certify import lower, robustness
from taut.certify.program.program import Program
from taut.certify.samples.arithmetic import ARITHMETICS, arithmetic_of
from taut.certify.samples.assess import prepare

NARROW = ["float32-accumulate64", "float32", "tf32", "bfloat16"]


@pytest.mark.parametrize("name", ARITHMETICS)
@pytest.mark.parametrize("k", [1, 2, 100, 10**5])
def test_roundoff_is_the_formula_rounded_up(name: str, k: int) -> None:
    model = arithmetic_of(name)
    found, u = Fraction(model.roundoff(k)), Fraction(model.accumulate)
    exact = (1 + Fraction(model.operand)) ** 2 / (1 - k * u) * (1 + Fraction(model.result)) - 1
    assert exact <= found <= exact * (1 + Fraction(1, 2**50))
    assert model.roundoff(0) == 0.0


def test_sums_that_are_too_long_have_no_bound() -> None:
    assert arithmetic_of("float32").roundoff(2**23) == math.inf
    assert arithmetic_of("float32").roundoff(2**23 - 1) < math.inf
    assert arithmetic_of("tf32").roundoff(2**22) == math.inf
    assert arithmetic_of("real").roundoff(2**60) == 0.0


def test_unknown_arithmetic_is_refused() -> None:
    with pytest.raises(ValueError, match="arithmetic must be one of real, float64, .*, got 'half'"):
        arithmetic_of("half")


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.norm = nn.Linear(6, 8), nn.Linear(8, 6), nn.BatchNorm1d(6)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x + self.second(torch.relu(self.first(x)))) * 0.3


def chain() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), tnn.MaxMin(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 6))


def folds() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 6), tnn.HouseholderActivation(6), tnn.NActivation(6, init="random"))


def image() -> nn.Module:
    layers = (nn.Conv1d(1, 4, 3, padding=1, padding_mode="circular"), nn.Tanh(), nn.AvgPool1d(2))
    return nn.Sequential(nn.Unflatten(1, (1, 6)), *layers, nn.Flatten())


MODELS = [chain, Residual, folds, image]


def cut(values: Tensor, bits: int) -> Tensor:
    """Mantissas cut to so many bits, from float32."""
    whole = values.float().view(torch.int32)
    return (whole >> (23 - bits) << (23 - bits)).view(torch.float32)


def executed(model: nn.Module, program: Program, x: Tensor, name: str) -> Tensor:
    """As a machine would do it, in float64 at last."""
    if name == "float32":
        return model.float()(x.float()).double()
    if name == "bfloat16":
        return taut.fold(model).bfloat16()(x.bfloat16()).double()
    if name == "float32-accumulate64":  # inputs and all results in float32
        return program.run(x.float().double(), lambda place, node, values: node.operation(*values).float().double())
    hooks = []
    for module in (copied := taut.fold(model).float()).modules():
        if isinstance(module, nn.Linear | nn.Conv1d):
            module.weight.data = cut(module.weight.data, 10)
            hooks.append(module.register_forward_pre_hook(lambda module, args: (cut(args[0], 10),)))
    return copied(x.float()).double()


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("build", MODELS)
@pytest.mark.parametrize("name", NARROW)
@torch.no_grad()
def test_what_is_executed_in_the_ball_is_within_the_bound(name: str, build: Callable[[], nn.Module], norm: str) -> None:
    torch.manual_seed(0)
    model = build().eval()
    program = lower(model, (6,))
    analysis = prepare(program, norm, arithmetic_of(name)).analysis  # type: ignore[arg-type]
    x = torch.randn(1, 6).double()
    state = analysis.output(x)
    step = torch.randn(40, 6).double() * torch.logspace(-4, 3, 40, dtype=torch.float64)[:, None]
    moved = (x + step).float()
    moved = (moved.bfloat16() if name == "bfloat16" else moved).double()  # an input that the arithmetic has
    gap = (executed(model, program, moved, name) - program(moved)).flatten(1)
    away = moved - x
    sizes = (gap.norm(dim=1), away.norm(dim=1)) if norm == "l2" else (gap.abs().amax(1), away.abs().amax(1))
    allowed = float(state.ball_error) + analysis.slopes[-1] * sizes[1]
    assert bool((sizes[0] <= allowed * (1 + 1e-6)).all())  # float64's own errors are a 1e-9th of these
    assert float((sizes[0] / allowed).max()) > 1e-4  # tanh is given 1024 roundings


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("build", MODELS)
def test_real_arithmetic_has_no_error_in_the_ball(build: Callable[[], nn.Module], norm: str) -> None:
    torch.manual_seed(0)
    model = build().eval()
    analysis = prepare(lower(model, (6,)), norm, arithmetic_of("real")).analysis  # type: ignore[arg-type]
    state = analysis.output(torch.randn(2, 6).double())
    assert float(state.ball_error.max()) < 2.0**-400  # nothing but room for underflow of its own computation
    assert max(analysis.slopes) == 0.0
    assert bool((state.error > 0).all())  # the float64 evaluation of the margin still rounds


def test_narrow_arithmetic_refuses_float64_weights_by_name() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double())
    for name in NARROW:
        with pytest.raises(TypeError, match=rf"module '1' \(Linear\) has float64 weights, which {name} would round"):
            prepare(lower(model, (2,)), "l2", arithmetic_of(name))
    prepare(lower(model, (2,)), "l2", arithmetic_of("real"))
    shifted = lower(_Shifted(), (2,))  # constants of single entries are no weights of a product
    prepare(shifted, "l2", arithmetic_of("float32"))


class _Shifted(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x - 0.1) / 0.3


def test_sorted_distances_are_analysed_in_float64_alone() -> None:
    model = nn.Sequential(tnn.SortLinear(3, 2))
    with pytest.raises(TypeError, match=r"module '0' \(SortLinear\) can be certified in float64 only, not float32"):
        prepare(lower(model, (3,)), "linf", arithmetic_of("float32"))
    prepare(lower(nn.Sequential(tnn.LInfDistLinear(3, 2)), (3,)), "linf", arithmetic_of("float32"))


def test_what_might_overflow_has_radius_zero() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(2) * 2.0**60)
        model[2].weight.copy_(torch.eye(2) * 2.0**-60)
    x, label = torch.tensor([[2.0**30, 1.0], [2.0**45, 1.0]]), torch.tensor([0, 0])
    assert bool((robustness(model, x, label).radius > 2.0**28).all())
    narrow = robustness(model, x, label, arithmetic="float32").radius
    assert float(narrow[0]) > 2.0**28
    assert float(narrow[1]) == 0.0  # 2^105 in between
