"""Intervals of outputs over a ball: attacked by brute force, tight on linear maps, rounding included."""

import math
from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

import taut
from taut import nn as tnn
from taut.certify import output_interval

TIGHT = 1e-7
"""Relative room of an interval of a linear map; 1.5e-8 of it is the slack of stated constants."""


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(torch.relu(self.first(x)))


def regressor() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), tnn.MaxMin(), nn.Linear(8, 3))


def scaled() -> nn.Module:
    return tnn.Sequential(tnn.BjorckLinear(4, 8), nn.Tanh(), tnn.BjorckLinear(8, 1), lipschitz=2.5)


def no_head() -> nn.Module:
    return nn.Sequential(Residual(), nn.ReLU())


class Signal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv1d(2, 3, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.unsqueeze(1))


MODELS = [regressor, scaled, no_head, Signal]


def with_plain_weights(model: nn.Module) -> nn.Module:
    """The weights as they are now; in float64 a parametrization would give others."""
    for module in model.modules():
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")
    return model


def inside(x: Tensor, eps: Tensor, norm: str) -> Tensor:
    """Moved towards x until the ball has it, in float64."""
    move = x[1] - x[0]
    sizes = move.norm(dim=1) if norm == "l2" else move.abs().amax(1)
    moved = x[0] + move * (eps / sizes.clamp(min=1e-300)).clamp(max=1.0)[:, None] * (1 - 1e-15)
    kept = moved - x[0]
    sizes = kept.norm(dim=1) if norm == "l2" else kept.abs().amax(1)
    return torch.where((sizes * (1 + 1e-15) <= eps)[:, None], moved, x[0])


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("build", MODELS)
def test_no_attack_leaves_the_interval(build: Callable[[], nn.Module], norm: str) -> None:
    torch.manual_seed(0)
    model = build().eval()
    x = torch.randn(8, 4).double()
    eps = torch.logspace(-6, 1, 8, dtype=torch.float64)
    found = output_interval(model, x, eps=eps, norm=norm)
    wide = with_plain_weights(model).double()
    outputs = wide(x).flatten(1).shape[1]
    assert torch.equal(found.prediction, wide(x).detach())
    reached = torch.zeros(8)
    for output in range(outputs):
        for sign in (1.0, -1.0):
            moved = inside((x, x + torch.randn_like(x) * eps[:, None] / 9), eps, norm)
            for _ in range(12):
                moved = moved.detach().requires_grad_()
                values = wide(moved)
                (gradient,) = torch.autograd.grad((sign * values.flatten(1)[:, output]).sum(), moved)
                step = gradient.sign() if norm == "linf" else gradient / gradient.norm(dim=1, keepdim=True)
                moved = inside((x, moved.detach() + step.nan_to_num() * eps[:, None] / 3), eps, norm)
                values = wide(moved)
                assert bool(((found.lower <= values) & (values <= found.upper)).all())
                part = (values.detach() - found.prediction).abs() / (found.upper - found.prediction)
                reached = torch.maximum(reached, part.flatten(1).amax(1).float())
    assert float(reached.median()) > 0.03  # products of norms are loose, but of the size of what happens


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_linear_maps_have_tight_intervals_output_by_output(norm: str) -> None:
    torch.manual_seed(1)
    model = nn.Linear(5, 3).double()
    with torch.no_grad():
        model.weight.mul_(torch.tensor([[1.0], [0.1], [100.0]]))
    x = torch.randn(6, 5, dtype=torch.float64)
    eps = torch.logspace(-1, 3, 6, dtype=torch.float64)
    found = output_interval(model, x, eps=eps, norm=norm)
    rows = model.weight.detach()
    for k in range(6):
        for j in range(3):
            size = rows[j].norm() if norm == "l2" else rows[j].abs().sum()
            for end, sign in ((found.lower, -1.0), (found.upper, 1.0)):
                step = rows[j] / size if norm == "l2" else rows[j].sign()
                corner = Fraction(float(model.bias[j].detach()))
                for w, v, s in zip(rows[j].tolist(), x[k].tolist(), step.tolist(), strict=True):
                    corner += Fraction(w) * (Fraction(v) + Fraction(sign * s * (1 - 1e-15)) * Fraction(float(eps[k])))
                beyond = sign * float(Fraction(float(end[k, j])) - corner)
                assert 0 <= beyond <= TIGHT * float(size * eps[k])


def cancelling() -> nn.Linear:
    """Terms of 1e8 that cancel to some 1e-7."""
    model = nn.Linear(5, 1).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1e8, -1e8, 3e5, -3e5, 1.0]]))
        model.bias.fill_(1e-9)
    return model


def test_at_radius_zero_the_interval_is_the_rounding() -> None:
    model = cancelling()
    x = torch.full((1, 5), 1 / 3, dtype=torch.float64) + torch.arange(5, dtype=torch.float64) * 1e-12
    found = output_interval(model, x, eps=0.0)
    products = [Fraction(w) * Fraction(v) for w, v in zip(model.weight[0].tolist(), x[0].tolist(), strict=True)]
    exact = sum(products, Fraction(float(model.bias.detach())))
    low, high = (Fraction(float(end)) for end in (found.lower, found.upper))
    assert low < exact < high
    assert float(high - low) < 1e-6  # gamma_6 times 2e8 / 3, a few times
    for order in ((0, 1, 2, 3, 4), (4, 2, 0, 3, 1), (0, 2, 1, 3, 4)):
        total = float(model.bias.detach())
        for k in order:
            total += float(model.weight[0, k].detach()) * float(x[0, k])
        assert low <= Fraction(total) <= high


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_each_output_has_a_row_of_its_own_and_others_the_constant(norm: str) -> None:
    torch.manual_seed(2)
    model = regressor()
    x = torch.zeros(1, 4)
    found = output_interval(model, x, eps=1.0, norm=norm)
    body = taut.lipschitz_bound(model[:4], norm=norm)
    order = 2 if norm == "l2" else 1
    widths = body * model[4].weight.detach().double().norm(order, dim=1)
    torch.testing.assert_close((found.upper - found.lower)[0] / 2, widths, rtol=TIGHT, atol=0)
    assert found.lipschitz_bound >= taut.lipschitz_bound(model, norm=norm)
    whole = output_interval(nn.Sequential(model, nn.ReLU()), x, eps=1.0, norm=norm)
    width = torch.full((1, 3), taut.lipschitz_bound(model, norm=norm), dtype=torch.float64)
    torch.testing.assert_close((whole.upper - whole.lower) / 2, width, rtol=TIGHT, atol=0)


def test_coarser_arithmetic_has_wider_intervals() -> None:
    torch.manual_seed(3)
    model, x = regressor(), torch.randn(3, 4)
    widths = {}
    for name in ("real", "float64", "float32-accumulate64", "float32", "tf32", "bfloat16"):
        found = output_interval(model, x, eps=0.01, arithmetic=name)
        assert found.arithmetic.name == name
        widths[name] = float((found.upper - found.lower).sum())
    assert list(widths.values()) == sorted(widths.values())
    assert widths["bfloat16"] > widths["tf32"] * 1.05
    computed = model(x).double()  # as float32 executes it
    found = output_interval(model, x, eps=0.0, arithmetic="float32")
    assert bool(((found.lower <= computed) & (computed <= found.upper)).all())
    assert float((found.upper - found.lower).max()) < 1e-4


def test_nothing_is_proven_without_bound() -> None:
    model = nn.Linear(2, 2)
    x = torch.tensor([[1.0, 2.0], [math.nan, 0.0], [math.inf, 1.0], [1.0, 1.0], [1.0, 1.0]])
    eps = torch.tensor([1.0, 1.0, 1.0, math.inf, 1e300], dtype=torch.float64)
    found = output_interval(model, x, eps=eps)
    proven = [True, False, False, False, False]
    eps[4] = 1e30
    assert torch.isfinite(found.lower[[0]]).all()
    assert torch.equal(found.lower[1:4], torch.full((3, 2), -math.inf, dtype=torch.float64))
    assert torch.equal(found.upper[1:4], torch.full((3, 2), math.inf, dtype=torch.float64))
    narrow = output_interval(model, x, eps=eps, arithmetic="float32")
    for k, finite in enumerate([*proven[:4], True]):
        assert bool(torch.isfinite(narrow.upper[k]).all()) == finite
    eps[4] = 2.0**101  # beyond what float32 holds, with some room
    assert torch.equal(output_interval(model, x, eps=eps, arithmetic="float32").upper[4], torch.full((2,), math.inf))


def test_batches_devices_and_progress() -> None:
    torch.manual_seed(4)
    model, x, done = regressor(), torch.randn(7, 4), []
    eps = torch.rand(7)
    whole = output_interval(model, x, eps=eps)
    parts = output_interval(
        model, x, eps=eps, batch_size=3, device="cpu", progress=lambda now, total: done.append((now, total))
    )
    assert done == [(3, 7), (6, 7), (7, 7)]
    for name in ("lower", "upper", "prediction"):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name), rtol=1e-12, atol=1e-14)
    assert torch.equal(whole.eps, eps.double())
    assert torch.equal(output_interval(model, x, eps=1).eps, torch.ones(7, dtype=torch.float64))


def test_images_keep_their_shape() -> None:
    found = output_interval(nn.Conv2d(1, 2, 3), torch.randn(2, 1, 5, 4), eps=0.1)
    assert found.lower.shape == found.upper.shape == found.prediction.shape == (2, 2, 3, 2)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"eps": -0.5}, ValueError, "eps must be >= 0, got -0.5"),
        ({"eps": math.nan}, ValueError, "eps must be >= 0, got nan"),
        ({"eps": torch.tensor([1.0, -2.0])}, ValueError, "eps must be >= 0, got -2.0"),
        ({"norm": "l1"}, ValueError, "l1"),
        ({"arithmetic": "float16"}, ValueError, "arithmetic must be one of .* got 'float16'"),
        ({"batch_size": 0}, ValueError, "batch_size must be >= 1, got 0"),
        ({"inputs": torch.ones(2, 4, dtype=torch.float16)}, TypeError, "inputs must be float32 or float64"),
        ({"inputs": torch.ones(0, 4), "eps": 1.0}, ValueError, r"got shape \(0, 4\)"),
        ({"inputs": torch.ones(2, 3)}, ValueError, "'0' .Linear.*4 features"),
        ({"model": nn.Sequential(nn.Linear(4, 2), nn.Softmax(1))}, TypeError, "'1' .Softmax"),
    ],
)
def test_misuse_is_one_sentence(changes: dict, error: type[Exception], message: str) -> None:
    given = {"model": regressor(), "inputs": torch.ones(2, 4), "eps": 0.1, **changes}
    with pytest.raises(error, match=message) as caught:
        output_interval(given.pop("model"), given.pop("inputs"), **given)
    assert "\n" not in str(caught.value)


def test_eps_of_another_length_is_refused() -> None:
    with pytest.raises(Exception, match=r"eps|samples"):
        output_interval(regressor(), torch.ones(2, 4), eps=torch.ones(3))
