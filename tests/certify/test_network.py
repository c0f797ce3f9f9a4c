"""The product rule on graphs: above sampled slopes, exact where the answer is known, refusing what it cannot prove."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import prune

from taut import nn as tnn
from taut.certify import breakdown, lipschitz_bound

NORMS = ("l2", "linf")
ROUNDING = 1e-8


def diagonal(*values: float) -> nn.Linear:
    """A layer whose constant is known: the largest absolute value, in both norms."""
    layer = nn.Linear(len(values), len(values))
    with torch.no_grad():
        layer.weight.copy_(torch.diag(torch.tensor(values)))
    return layer


def size(x: Tensor, norm: str) -> Tensor:
    flat = x.reshape(len(x), -1)
    return flat.norm(dim=1) if norm == "l2" else flat.abs().amax(dim=1)


def largest_slope(model: nn.Module, norm: str, shape: tuple[int, ...]) -> float:
    """Secants and tangents (near pairs, along the worst directions of the Jacobian), in float64: a lower bound."""
    generator = torch.Generator().manual_seed(0)
    model = model.double()
    x = torch.randn(40, *shape, generator=generator, dtype=torch.float64) * 3
    best = 0.0
    with torch.no_grad():
        for step in (1e-3, 1.0, 100.0):
            y = x + step * torch.randn(x.shape, generator=generator, dtype=torch.float64)
            fx, fy = (torch.cat([model(row[None]) for row in rows]) for rows in (x, y))
            best = max(best, float((size(fx - fy, norm) / size(x - y, norm)).amax()))
    for row in x[:10]:
        jacobian: Any = torch.autograd.functional.jacobian(lambda z: model(z[None]).flatten(), row)
        jacobian = jacobian.reshape(len(jacobian), -1)
        best = max(best, float(torch.linalg.matrix_norm(jacobian, ord=2 if norm == "l2" else math.inf)))
    return best


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(width, width), nn.Linear(width, width)
        self.shift = nn.Parameter(torch.ones(width))
        self.register_buffer("gain", torch.linspace(-2, 1, width))

    def forward(self, x: Tensor) -> Tensor:
        return x - 0.5 * self.outer(F.relu(self.inner(x) * self.gain + self.shift)) / 3


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.LeakyReLU(-1.5))
        self.left, self.right = nn.Linear(5, 4), nn.Sequential(nn.Linear(5, 4), nn.Tanh())
        self.head = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        z = self.stem(x)
        left, right = self.left(z), self.right(z)
        joined = torch.cat([left, -right, torch.maximum(left, right)], dim=-1)
        return self.head(joined.view(joined.size(0), -1))[:, 1:]


class Norms(nn.Module):
    """Uses one layer twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(torch.sigmoid(self.layer(x))) + 2.0


MODELS: list[tuple[Any, tuple[int, ...]]] = [
    (lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), (4,)),
    (lambda: nn.Linear(3, 5), (3,)),
    (lambda: Residual(4), (4,)),
    (lambda: nn.Sequential(Residual(4), Residual(4), nn.GELU()), (4,)),
    (Branches, (2, 3)),
    (Norms, (4,)),
    (lambda: nn.Sequential(nn.Linear(4, 8), tnn.MaxMin(), tnn.GroupSort(4), nn.Linear(8, 6), tnn.MaxOut(2)), (4,)),
    (lambda: tnn.Sequential(tnn.BjorckLinear(4, 8), tnn.FullSort(), tnn.UnitNormLinear(8, 3), lipschitz=2.5), (4,)),
    (lambda: tnn.fold(tnn.Sequential(tnn.AOLLinear(4, 8), tnn.MaxMin(), tnn.Abs(), lipschitz=0.3)), (4,)),
    (lambda: tnn.Sequential(tnn.LInfLinear(4, 8), tnn.GroupSort(2), tnn.LInfLinear(8, 3)), (4,)),
]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("index", range(len(MODELS)))
@pytest.mark.parametrize("seed", [0, 1])
def test_bound_is_above_every_sampled_slope(index: int, norm: str, seed: int) -> None:
    torch.manual_seed(seed)
    build, shape = MODELS[index]
    model = build().double()
    bound = lipschitz_bound(model, norm=norm, input_shape=shape)
    slope = largest_slope(model, norm, shape)
    assert slope <= bound * (1 + 1e-12)
    assert bound < 30 * slope  # the product rule loses, but not everything


@pytest.mark.parametrize("norm", NORMS)
def test_constants_multiply_along_a_chain(norm: str) -> None:
    net = nn.Sequential(diagonal(2, -3), nn.ReLU(), nn.Sequential(diagonal(5, 1), nn.Sigmoid()))
    assert 3.75 <= lipschitz_bound(net, norm=norm) <= 3.75 * (1 + ROUNDING)


class Combine(nn.Module):
    def __init__(self, how: Any) -> None:
        super().__init__()
        self.a, self.b, self.how = diagonal(3, 1), diagonal(-4, 1), how

    def forward(self, x: Tensor) -> Tensor:
        return self.how(self.a(x), self.b(x))


@pytest.mark.parametrize(
    ("how", "l2", "linf"),
    [
        (lambda a, b: a + b, 7, 7),
        (lambda a, b: torch.sub(a, b), 7, 7),
        (lambda a, b: torch.cat((a, b), 1), 5, 4),
        (lambda a, b: torch.stack([a, b], dim=2), 5, 4),
        (lambda a, b: torch.minimum(a, b), 5, 4),
        (lambda a, b: a * -2, 6, 6),
        (lambda a, b: 7 - a / 2 + 1, 1.5, 1.5),
        (lambda a, b: a + a, 6, 6),
        (lambda a, b: torch.sigmoid(a), 0.75, 0.75),
        (lambda a, b: b.abs().unsqueeze(1).permute(0, 2, 1).contiguous().flatten(1), 4, 4),
        (lambda a, b: F.dropout(a, 0.5, False), 3, 3),
    ],
)
def test_rules_of_functions(how: Any, l2: float, linf: float) -> None:
    for norm, exact in (("l2", l2), ("linf", linf)):
        assert exact * (1 - 1e-15) <= lipschitz_bound(Combine(how), norm=norm) <= exact * (1 + ROUNDING)


def test_a_shared_module_counts_twice() -> None:
    layer = diagonal(3, 1)
    assert 9 <= lipschitz_bound(nn.Sequential(layer, nn.ReLU(), layer)) <= 9 * (1 + ROUNDING)


def test_a_common_stem_counts_once() -> None:
    """x -> stem -> (z, f(z)) -> sum: stem times (1 + f), not both branches from the input, and linear in the depth."""

    class Step(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.f = diagonal(0.5, 0.25)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.f(x)

    tree = breakdown(nn.Sequential(*[Step() for _ in range(30)]))
    assert 1.5**30 <= tree.bound <= 1.5**30 * (1 + 40 * ROUNDING)
    assert len(str(tree).splitlines()) < 30 * 4


def test_the_weight_counts_as_it_is_now() -> None:
    layer = tnn.BjorckLinear(4, 4)
    net = nn.Sequential(layer, nn.Linear(4, 4, bias=False))
    with torch.no_grad():
        net[1].weight.copy_(2 * torch.eye(4))
        first = lipschitz_bound(net)
        layer.parametrizations.weight.original.mul_(10)
        assert lipschitz_bound(net) == pytest.approx(first, rel=1e-6)
        net[1].weight.mul_(2)
    assert lipschitz_bound(net) == pytest.approx(2 * first, rel=1e-6)
    assert lipschitz_bound(tnn.fold(net)) == lipschitz_bound(net)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_weights_count_as_stored(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2)).to(dtype)
    assert lipschitz_bound(net) == lipschitz_bound(net.double())


def test_infinite_and_nan_weights_are_refused_by_name() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    with torch.no_grad():
        net[1].weight[0, 0] = math.nan
    with pytest.raises(ValueError, match="'1'.*finite"):
        lipschitz_bound(net)


class Softmax(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(x, 1)


class Square(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x


class Expand(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.expand(5, -1)


class Gather(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, [0, 0, 0, 0]]


class Fork(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Noise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn(x.size())


class Doubled(nn.Linear):
    """A subclass that computes something else than W x + b."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class Shaped(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x.shape[1]


@pytest.mark.parametrize(
    ("module", "named"),
    [
        (nn.BatchNorm1d(2), "BatchNorm1d"),
        (nn.LazyConv2d(1, 3), "LazyConv2d"),
        (nn.LSTM(2, 2), "LSTM"),
        (nn.MultiheadAttention(2, 1), "MultiheadAttention"),
        (nn.Dropout(0.1), "Dropout"),
        (Softmax(), "softmax"),
        (Square(), "mul"),
        (Expand(), "expand"),
        (Gather(), "getitem"),
        (Fork(), "cannot trace"),
        (Noise(), "randn"),
        (Shaped(), "mul"),
        (nn.LeakyReLU(2.0, inplace=True), "in place"),
    ],
)
@pytest.mark.parametrize("norm", NORMS)
def test_what_has_no_rule_is_refused_by_name(module: nn.Module, named: str, norm: str) -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(module))
    with pytest.raises(TypeError, match=named) as refused:
        lipschitz_bound(net, norm=norm)
    if named != "cannot trace":
        assert "'1.0'" in str(refused.value)


def test_a_linear_layer_that_computes_something_else_is_not_taken_for_one() -> None:
    layer = Doubled(2, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(2))
    try:
        assert lipschitz_bound(layer) >= 2
    except TypeError:
        return


def test_hooks_are_refused() -> None:
    layer = nn.Linear(2, 2)
    prune.random_unstructured(layer, "weight", amount=1)
    with pytest.raises(TypeError, match=r"'0' \(Linear\) has forward hooks"):
        lipschitz_bound(nn.Sequential(layer))


def test_dropout_is_the_identity_in_evaluation_mode() -> None:
    net = nn.Sequential(diagonal(2, 1), nn.Dropout(0.1)).eval()
    assert 2 <= lipschitz_bound(net) <= 2 * (1 + ROUNDING)


class OwnRule(nn.Module):
    def __init__(self, constant: float) -> None:
        super().__init__()
        self.constant = constant

    def lipschitz_constant(self, norm: str) -> float:
        return self.constant if norm == "l2" else 2 * self.constant

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.fft(x).real


def test_a_module_may_bring_its_own_rule() -> None:
    assert lipschitz_bound(nn.Sequential(OwnRule(3.0), nn.ReLU())) == 3.0
    assert lipschitz_bound(OwnRule(3.0), norm="linf") == 6.0


@pytest.mark.parametrize("constant", [math.nan, -1.0])
def test_a_rule_that_cannot_be_is_refused(constant: float) -> None:
    with pytest.raises(ValueError, match=r"'0' \(OwnRule\)"):
        lipschitz_bound(nn.Sequential(OwnRule(constant)))


class Broadcast(nn.Module):
    def __init__(self, narrow: int) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Linear(4, 4), nn.Linear(4, narrow)

    def forward(self, x: Tensor) -> Tensor:
        return self.wide(x) + self.narrow(x)


class AddParameter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(3, 1, 2))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.shift


def test_broadcasting_is_refused() -> None:
    assert lipschitz_bound(Broadcast(4)) > 0
    with pytest.raises(ValueError, match="broadcasts"):
        lipschitz_bound(Broadcast(1))
    with pytest.raises(ValueError, match="input_shape"):
        lipschitz_bound(AddParameter())
    with pytest.raises(ValueError, match="broadcasts"):
        lipschitz_bound(AddParameter(), input_shape=(2,))


@pytest.mark.parametrize("norm", ["l1", "L2", "", "2"])
def test_other_norms_are_refused(norm: str) -> None:
    with pytest.raises(ValueError, match="'l2' or 'linf'"):
        lipschitz_bound(nn.ReLU(), norm=norm)


def test_the_tree_shows_every_constant_rounded_up() -> None:
    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.side = nn.Sequential(diagonal(1 / 3, 0)), diagonal(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([self.body(x), self.side(x)], 1) * 4

    lines = str(breakdown(Small())).splitlines()
    assert [line.lstrip("├└─│ ").split("  ")[1] for line in lines] == [
        "product",
        "cat: root of sum of squares",
        "'body.0': Linear, Frobenius norm",
        "'side': Linear, near-orthogonal",
        "'mul': mul by 4",
    ]
    third = float(lines[2].lstrip("├└─│ ").split()[0])
    assert float(torch.tensor(1 / 3)) <= third <= 0.33333335


class Doubling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        self.scale.mul_(2)
        return x * self.scale


class Times(nn.Module):
    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def test_a_forward_that_changes_what_the_model_holds_is_refused() -> None:
    with pytest.raises(TypeError, match="changes 'scale'"):
        lipschitz_bound(Doubling())


def test_whole_factors_are_rounded_up() -> None:
    assert lipschitz_bound(Times(2**53 + 1)) == 2.0**53 + 2
    with pytest.raises(TypeError, match="finite constant factors"):
        lipschitz_bound(Times(10**400))


class Called(nn.Linear):
    def __call__(self, x: Tensor) -> Tensor:
        return 10 * super().__call__(x)


class Implemented(nn.Linear):
    def _call_impl(self, *args: Any, **kwargs: Any) -> Any:
        return 10 * super()._call_impl(*args, **kwargs)


@pytest.mark.parametrize("cls", [Called, Implemented])
def test_a_class_that_is_called_in_its_own_way_is_refused(cls: type[nn.Linear]) -> None:
    with pytest.raises(TypeError, match=cls.__name__):
        lipschitz_bound(nn.Sequential(cls(2, 2)))
