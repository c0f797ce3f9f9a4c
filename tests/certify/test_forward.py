"""The rounding error of a float64 evaluation, against rational arithmetic: at the sample and all over a ball."""

import copy
import math
from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from taut import nn as tnn
from taut.certify import evaluate, lower
from taut.certify.samples.arithmetic import FLOAT64
from taut.certify.samples.assess import prepare

Vector = list[Fraction]


def exact_forward(model: nn.Module, x: Vector) -> Vector:
    """The network in rational arithmetic; knows each module by what it means, not by its code."""
    if isinstance(model, nn.Sequential):
        for child in model.children():
            x = exact_forward(child, x)
        return [Fraction(float(getattr(model, "lipschitz", 1.0))) * value for value in x]
    if isinstance(model, nn.Linear):
        rows = [[Fraction(value) for value in row] for row in model.weight.double().tolist()]
        bias = [Fraction(0)] * len(rows) if model.bias is None else [Fraction(v) for v in model.bias.double().tolist()]
        return [sum((w * v for w, v in zip(row, x, strict=True)), b) for row, b in zip(rows, bias, strict=True)]
    if isinstance(model, tnn.MaxMin):
        half = len(x) // 2
        pairs = list(zip(x[:half], x[half:], strict=True))
        return [max(pair) for pair in pairs] + [min(pair) for pair in pairs]
    if isinstance(model, tnn.GroupSort):
        size = model.group_size
        return [value for start in range(0, len(x), size) for value in sorted(x[start : start + size])]
    if isinstance(model, tnn.MaxOut):
        return [max(x[start : start + model.group_size]) for start in range(0, len(x), model.group_size)]
    functions: dict[type, Callable[[Vector], Vector]] = {
        nn.ReLU: lambda values: [max(value, Fraction(0)) for value in values],
        tnn.Abs: lambda values: [abs(value) for value in values],
        tnn.FullSort: sorted,
        nn.Flatten: list,
        nn.Identity: list,
    }
    return functions[type(model)](x)


def distance(computed: Tensor, exact: Vector, norm: str) -> Fraction:
    """Exact distance; squared for l2."""
    differences = [Fraction(a) - b for a, b in zip(computed.tolist(), exact, strict=True)]
    return sum((d**2 for d in differences), Fraction(0)) if norm == "l2" else max(map(abs, differences))


def bounded(computed: Tensor, exact: Vector, bound: float, norm: str) -> bool:
    return distance(computed, exact, norm) <= (Fraction(bound) ** 2 if norm == "l2" else Fraction(bound))


def materialised(model: nn.Module) -> nn.Module:
    """The same modules, with plain weights in the place of parametrized ones, in float64."""
    copied = copy.deepcopy(model)
    for module in copied.modules():
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")
    return copied.double()


def plain_layers() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Identity(), nn.Linear(8, 8), tnn.Abs(), nn.Linear(8, 3))


def every_step() -> nn.Module:
    inner = tnn.Sequential(tnn.BjorckLinear(6, 8), tnn.MaxMin(), tnn.BjorckLinear(8, 8, bias=False), lipschitz=1 / 3)
    return tnn.Sequential(
        nn.Flatten(), inner, tnn.GroupSort(4), tnn.FullSort(), tnn.MaxOut(2), tnn.Abs(), lipschitz=0.7
    )


def cancelling() -> nn.Module:
    """Large terms that cancel: the error is large beside the result."""
    model = nn.Sequential(nn.Linear(6, 2), nn.Linear(2, 2))
    with torch.no_grad():
        row = torch.tensor([1e8, -1e8, 3e5, -3e5, 1.0, 1e-7])
        model[0].weight.copy_(torch.stack([row, row.flip(0) * 0.3]))
    return model


def single() -> nn.Module:
    return nn.Linear(6, 4, bias=False)


NETWORKS = [plain_layers, every_step, cancelling, single]


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("build", NETWORKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_computed_output_is_within_the_bound_of_the_exact_one(
    build: Callable[[], nn.Module], norm: str, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    model = build().to(dtype)
    inputs = torch.randn(30, 6, dtype=torch.float64) * torch.logspace(-9, 9, 30, dtype=torch.float64)[:, None]
    with torch.no_grad():
        found = evaluate(model, inputs, norm=norm)
        plain = materialised(model)
        assert torch.equal(found.logits, plain(inputs))  # what is certified is what runs
    wrong = 0
    for row, logits, bound in zip(inputs.tolist(), found.logits, found.error_bound.tolist(), strict=True):
        exact = exact_forward(plain, [Fraction(value) for value in row])
        assert bounded(logits, exact, bound, norm)
        wrong += distance(logits, exact, norm) > 0
    assert wrong > 10  # rounding did happen, so that the bound was needed


def test_the_bound_is_near_the_unit_roundoff() -> None:
    torch.manual_seed(0)
    model = tnn.Sequential(tnn.BjorckLinear(64, 64), tnn.MaxMin(), tnn.BjorckLinear(64, 64), tnn.MaxMin())
    inputs = torch.randn(10, 64)
    relative = evaluate(model, inputs).error_bound / inputs.double().norm(dim=1)
    assert float(relative.max()) < 64 * 64 * 2.0**-53 * 2


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_any_order_of_summation_is_covered(norm: str) -> None:
    torch.manual_seed(1)
    model = nn.Linear(200, 1).double()
    inputs = torch.randn(5, 200, dtype=torch.float64)
    found = evaluate(model, inputs, norm=norm)
    weight, bias = model.weight[0].tolist(), model.bias.item()
    for row, bound in zip(inputs.tolist(), found.error_bound.tolist(), strict=True):
        exact = exact_forward(model, [Fraction(value) for value in row])
        products = [w * x for w, x in zip(weight, row, strict=True)]
        for order in (products, products[::-1], sorted(products), sorted(products, key=abs)):
            total = bias
            for product in order:
                total += product
            assert bounded(torch.tensor([total], dtype=torch.float64), exact, bound, norm)


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("build", [plain_layers, cancelling, single])
@pytest.mark.parametrize("centre", [0.0, 1.0])
def test_the_error_in_the_ball_is_within_its_affine_bound(
    build: Callable[[], nn.Module], norm: str, centre: float
) -> None:
    """Around 0 the error at the centre is next to nothing; all of it comes with the radius."""
    torch.manual_seed(2)
    model = build()
    x = (torch.randn(1, 6) * centre).double()
    with torch.no_grad():
        analysis = prepare(lower(model, (6,)), norm, FLOAT64).analysis
        state = analysis.output(x)
    wrong = 0
    for exponent in range(-6, 7):
        move = torch.randn(1, 6, dtype=torch.float64) * 10.0**exponent
        moved = x + move
        difference = [Fraction(a) - Fraction(b) for a, b in zip(moved[0].tolist(), x[0].tolist(), strict=True)]
        rho = math.sqrt(sum(d**2 for d in difference)) if norm == "l2" else float(max(map(abs, difference)))
        exact = exact_forward(model, [Fraction(value) for value in moved[0].tolist()])
        computed = evaluate(model, moved, norm=norm).logits[0]
        allowed = float(state.ball_error) + analysis.slopes[-1] * rho
        assert bounded(computed, exact, allowed * (1 + 1e-12), norm)
        wrong += distance(computed, exact, norm) > 0
    assert wrong > 5


def test_overflow_and_nan_give_no_finite_bound() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)).double()
    with torch.no_grad():
        model[0].weight.fill_(-1e300)
    inputs = torch.tensor([[1e20, 1.0], [math.nan, 0.0], [math.inf, 1.0], [-math.inf, 1.0]], dtype=torch.float64)
    assert evaluate(model, inputs).error_bound.tolist() == [math.inf] * 4


@pytest.mark.parametrize(
    ("module", "named"),
    [
        (nn.Softplus(), "'1.0' .Softplus"),
        (nn.Softmax(1), "'1.0' .Softmax"),
        (nn.Dropout(), "'1.0' .Dropout"),
        (nn.Flatten(0), "'1.0' .Flatten"),
        (tnn.MaxMin(dim=0), "'1.0' .MaxMin"),
        (tnn.FullSort(dim=-2), "'1.0' .FullSort"),
    ],
)
def test_what_is_no_step_is_refused_by_name(module: nn.Module, named: str) -> None:
    with pytest.raises(TypeError, match=named):
        evaluate(nn.Sequential(nn.Linear(2, 2), nn.Sequential(module)), torch.ones(1, 2))


class Subclassed(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * x


def test_a_sequential_that_computes_something_else_is_refused() -> None:
    with pytest.raises(TypeError, match="'mul'"):
        evaluate(Subclassed(nn.Linear(2, 2)), torch.ones(1, 2))


def test_features_that_do_not_fit_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'0' .Linear.*3 features"):
        evaluate(nn.Sequential(nn.Linear(3, 2)), torch.ones(1, 2))


def test_inputs_are_not_changed_by_an_activation_in_place() -> None:
    inputs = -torch.ones(2, 3, dtype=torch.float64)
    evaluate(nn.Sequential(nn.ReLU(inplace=True)), inputs)
    assert torch.equal(inputs, -torch.ones(2, 3, dtype=torch.float64))
