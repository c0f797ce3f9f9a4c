"""The search for a lower bound: below the exact constant, and near it where that is known."""

import copy
import itertools
import time
from collections.abc import Callable

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from taut import nn as tnn
from taut.certify import estimate, lipschitz_bound

NORMS = pytest.mark.parametrize("norm", ["l2", "linf"])
NEARLY = 0.99


def exact_norm(weight: Tensor, norm: str) -> mpmath.mpf:
    """In 40 digits."""
    with mpmath.workdps(40):
        matrix = mpmath.matrix(weight.tolist())
        if norm == "l2":
            return max(mpmath.svd_r(matrix, compute_uv=False))
        return max(mpmath.fsum(abs(x) for x in row) for row in matrix.tolist())


def matrix(layer: nn.Module, *shape: int) -> Tensor:
    """Of a linear map, column by column."""
    units = torch.eye(torch.Size(shape).numel(), dtype=torch.float64).reshape(-1, *shape)
    twin = copy.deepcopy(layer).double()
    zero = twin(torch.zeros_like(units[:1]))
    return (twin(units) - zero).detach().flatten(1).T


class Formula(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@NORMS
@given(rows=st.integers(1, 6), columns=st.integers(1, 6), seed=st.integers(0, 10**6), exponent=st.integers(-25, 25))
@settings(max_examples=15, deadline=None)
def test_of_a_matrix_it_is_its_norm_and_never_above(
    norm: str, rows: int, columns: int, seed: int, exponent: int
) -> None:
    torch.manual_seed(seed)
    layer = nn.Linear(columns, rows).double()
    layer.weight.data *= 2.0**exponent
    inputs = torch.randn(4, columns) * 10.0 ** float(torch.randint(-3, 4, ()))
    found = estimate(layer, inputs, norm=norm, evaluations=2000)
    exact = exact_norm(layer.weight.detach(), norm)
    assert NEARLY * exact <= found.value <= exact


@NORMS
def test_of_convolutions_it_is_the_norm_of_the_operator(norm: str) -> None:
    torch.manual_seed(0)
    for layer in (
        nn.Conv2d(3, 4, 3, padding=1),
        nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2, padding_mode="circular"),
        nn.ConvTranspose2d(3, 2, 4, stride=2, padding=1),
    ):
        shape = (layer.in_channels, 8, 8)
        exact = float(torch.linalg.matrix_norm(matrix(layer, *shape), 2 if norm == "l2" else torch.inf))
        found = estimate(layer, torch.randn(5, *shape), norm=norm, evaluations=6000)
        assert NEARLY * exact <= found.value <= exact * (1 + 1e-13)


@NORMS
def test_rounding_makes_no_slope(norm: str) -> None:
    """Functions whose float64 values jump by far more than the true slope allows: cancellation inside, a large bias."""
    inputs = torch.randn(8, 5)
    for offset in (1e6, 1e12, 1e16):
        found = estimate(Formula(lambda x, offset=offset: (x + offset) - offset), inputs, norm=norm, evaluations=3000)
        assert found.value <= 1.0
        in_place = Formula(lambda x, offset=offset: x.clone().add_(offset).sub_(offset))
        assert estimate(in_place, inputs, norm=norm, evaluations=3000).value <= 1.0
        biased = nn.Linear(5, 5, bias=True).double()
        nn.init.eye_(biased.weight)
        nn.init.constant_(biased.bias, offset)
        assert estimate(biased, inputs, norm=norm, evaluations=3000).value <= 1.0
    assert estimate(Formula(lambda x: (x + 1e6) - 1e6), inputs, norm=norm, evaluations=3000).value >= NEARLY


def test_points_far_from_the_origin_make_no_slope() -> None:
    layer = nn.Linear(3, 3, bias=False).double()
    nn.init.orthogonal_(layer.weight)
    exact = exact_norm(layer.weight.detach(), "l2")
    for size in (1e-100, 1e-6, 1e6, 1e100):
        inputs = torch.randn(6, 3, dtype=torch.float64) + 1.0
        assert estimate(layer, size * inputs, evaluations=1000).value <= exact
    nearly_equal = 1e8 + 1e-8 * torch.randn(6, 3, dtype=torch.float64)
    assert NEARLY * exact <= estimate(layer, nearly_equal, evaluations=1000).value <= exact


@NORMS
def test_a_wrong_derivative_makes_no_slope(norm: str) -> None:
    """At 0 the derivative that torch computes is 1; the function is 0 everywhere."""
    zero = Formula(lambda x: (-x).relu() + x - x.relu())
    inputs = torch.zeros(4, 3, requires_grad=True)
    assert torch.autograd.grad(zero(inputs).sum(), inputs)[0].max() == 1.0
    assert estimate(zero, inputs, norm=norm, evaluations=2000).value == 0.0


@NORMS
def test_of_networks_it_lies_between_samples_and_all_patterns(norm: str) -> None:
    """A ReLU network's constant is at most the largest product over all patterns of units, and at least that over the
    patterns that one in 500 samples has."""
    torch.manual_seed(1)
    order = 2 if norm == "l2" else torch.inf
    for _ in range(3):
        first, second = nn.Linear(4, 9).double(), nn.Linear(9, 3).double()
        patterns = torch.tensor(list(itertools.product([0.0, 1.0], repeat=9)), dtype=torch.float64)
        products = torch.einsum("ok,pk,ki->poi", second.weight.detach(), patterns, first.weight.detach())
        norms = torch.linalg.matrix_norm(products, order)
        samples = torch.randn(5000, 4, dtype=torch.float64)
        seen, count = ((first(samples) > 0) * 2 ** torch.arange(8, -1, -1)).sum(1).unique(return_counts=True)
        seen = seen[count >= 10]
        found = estimate(nn.Sequential(first, nn.ReLU(), second), samples[:32], norm=norm)
        assert float(norms[seen].max()) * NEARLY <= found.value <= float(norms.max()) * (1 + 1e-13)


@NORMS
def test_it_is_below_the_proven_bound_of_the_weights_as_they_are_stored(norm: str) -> None:
    """A float32 orthogonal weight has a norm beside 1, and the search sees that one, not the one in float64."""
    for seed in range(5):
        torch.manual_seed(seed)
        net = tnn.Sequential(tnn.BjorckLinear(6, 8), tnn.MaxMin(), tnn.CayleyLinear(8, 8), lipschitz=3.0)
        found = estimate(net, torch.randn(8, 6), norm=norm, evaluations=3000)
        assert found.value <= lipschitz_bound(net, norm=norm)
        assert norm == "linf" or found.value >= 3.0 * (1 - 1e-6)


class Doubled(nn.Module):
    """In float64 another weight than in float32, much as an iteration that goes on to the last digit."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight * (2.0 if weight.dtype == torch.float64 else 1.0)


def test_constrained_weights_are_those_of_their_own_precision() -> None:
    layer = nn.Linear(4, 4, bias=False)
    nn.utils.parametrize.register_parametrization(layer, "weight", Doubled())
    exact = exact_norm(layer.weight.detach().double(), "l2")
    assert NEARLY * exact <= estimate(layer, torch.randn(4, 4), evaluations=1000).value <= exact
    assert nn.utils.parametrize.is_parametrized(layer)


def test_in_linf_every_output_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steepest of 200 rows differs from the others by one small entry, which no random direction points at."""
    from taut.certify.estimates.search import Search

    monkeypatch.setattr(Search, "perturb", lambda self: None)
    weight = torch.randn(200, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64).sign()
    weight[137, 5] *= 1.01
    layer = nn.Linear(40, 200, bias=False).double()
    layer.weight.data.copy_(weight)
    found = estimate(layer, torch.randn(4, 40), norm="linf", evaluations=4000)
    assert found.value == pytest.approx(40.01, rel=1e-9)


def test_half_precision_weights_are_read_exactly() -> None:
    layer = nn.Linear(7, 5, bias=False).to(torch.bfloat16)
    exact = exact_norm(layer.weight.detach().double(), "l2")
    assert NEARLY * exact <= estimate(layer, torch.randn(4, 7), evaluations=1000).value <= exact


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(2, 4, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.up = nn.ConvTranspose2d(4, 2, 2, stride=2)
        self.last = nn.Conv2d(4, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.relu(self.norm(self.down(x)))
        return self.last(torch.cat([x, self.up(inner)], dim=1)) + x.mean(1, keepdim=True)


@NORMS
def test_any_module_and_the_pair_that_attains(norm: str) -> None:
    torch.manual_seed(0)
    net = UNet().eval()
    found = estimate(net, torch.randn(6, 2, 8, 8), norm=norm, evaluations=3000)
    order = 2 if norm == "l2" else torch.inf
    assert found.first.shape == found.second.shape == (2, 8, 8)
    with torch.no_grad():
        outputs = copy.deepcopy(net).double()(torch.stack([found.first, found.second]))
    rise = torch.linalg.vector_norm((outputs[0] - outputs[1]).flatten(), order)
    ratio = float(rise / torch.linalg.vector_norm((found.first - found.second).flatten(), order))
    assert ratio * (1 - 1e-6) <= found.value <= ratio
    assert found.value <= lipschitz_bound(net, norm=norm, input_shape=(2, 8, 8))
    assert found.search in ("pairs", "jacobian", "attack")
    assert set(found.to_dict()) == {"value", "norm", "search", "evaluations", "seconds"}


def test_smooth_networks_and_steep_places_that_the_data_do_not_show() -> None:
    """Of tanh(5 x) the steepest point is 0; no sample is near it."""
    inputs = torch.linspace(0.5, 1.5, 20).reshape(-1, 1)
    assert 5.0 * NEARLY <= estimate(Formula(lambda x: torch.tanh(5.0 * x)), inputs).value <= 5.0


def test_each_search_finds_what_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from taut.certify.estimates.search import Search

    narrow = Formula(lambda x: (100.0 * x).clamp(0.0, 1.0) + x)  # steep on a hundredth of the line
    inputs = torch.linspace(-1.0, 1.0, 10).reshape(-1, 1) - 0.05
    nothing = lambda self, **options: None  # noqa: E731
    for kept in ("points", "data_pairs", "attacks"):
        with monkeypatch.context() as patch:
            for other in {"points", "data_pairs", "attacks", "perturb"} - {kept}:
                patch.setattr(Search, other, nothing)
            found = estimate(narrow, inputs)
        if kept == "points":
            assert found.value == pytest.approx(1.0, rel=1e-6)
        else:
            assert found.value == pytest.approx(101.0, rel=1e-6)
            assert found.search == {"data_pairs": "pairs", "attacks": "attack"}[kept]


def test_the_same_seed_gives_the_same_and_the_model_is_left_alone() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(tnn.BjorckLinear(5, 8), nn.BatchNorm1d(8).eval(), nn.ReLU(inplace=True), nn.Linear(8, 3))
    state = copy.deepcopy(net.state_dict())
    inputs = torch.randn(10, 5)
    before = inputs.clone()
    chance = torch.get_rng_state()
    found = [estimate(net, inputs, seed=seed, evaluations=1500) for seed in (0, 0, 1)]
    assert found[0].value == found[1].value
    assert torch.equal(found[0].first, found[1].first)
    assert not torch.equal(found[0].first, found[2].first)
    assert found[0].evaluations == found[1].evaluations
    assert torch.equal(inputs, before)
    assert torch.equal(torch.get_rng_state(), chance)
    assert net.training
    assert not net[1].training
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert all(p.requires_grad and p.grad is None and p.dtype == torch.float32 for p in net.parameters())


def test_budgets_are_kept() -> None:
    net = nn.Sequential(nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 10))
    inputs = torch.randn(200, 30)
    for evaluations in (1, 100, 2000):
        found = estimate(net, inputs, evaluations=evaluations)
        assert found.evaluations <= evaluations + 500
        assert found.value > 0.0
    start = time.monotonic()
    found = estimate(net, inputs, evaluations=10**9, seconds=0.5)
    assert 0.4 < found.seconds <= time.monotonic() - start < 5.0


def test_progress_is_told_and_can_end_the_search() -> None:
    net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 4))
    told = []
    whole = estimate(net, torch.randn(20, 6), evaluations=3000, progress=lambda share, best: told.append((share, best)))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] > 0.95
    assert told[-1][1] == pytest.approx(whole.value, rel=1e-3)
    stopped = estimate(net, torch.randn(20, 6), evaluations=3000, progress=lambda share, best: share > 0.2)
    assert stopped.evaluations < 1500
    assert stopped.value > 0.0

    def interrupted(share: float, best: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        estimate(net, torch.randn(20, 6), progress=interrupted)


class OnlyFloat32(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.float().sin().double()


class Mixing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0, keepdim=True)


class TwoOutputs(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


def test_constants_in_float32_are_no_obstacle() -> None:
    shift = Formula(lambda x: x + torch.arange(3, dtype=torch.float32))
    assert NEARLY <= estimate(shift, torch.randn(4, 3), evaluations=1000).value <= 1.0


@pytest.mark.parametrize(
    ("model", "error", "sentence"),
    [
        (nn.BatchNorm1d(3), TypeError, "training mode"),
        (nn.Dropout(0.5), ValueError, r"another function at each call .*\.eval\(\)"),
        (OnlyFloat32(), TypeError, "computes in torch.float32 whatever its weights are"),
        (Mixing(), TypeError, "samples of a batch change each other's output"),
        (TwoOutputs(), TypeError, "must return one floating-point tensor"),
        (Formula(lambda x: x.argmax(1)), TypeError, "must return one floating-point tensor"),
        (Formula(lambda x: x.sum()), TypeError, "with a row for each sample"),
        (nn.Linear(4, 4), ValueError, r"does not take a sample of shape \(3,\)"),
    ],
)
def test_what_is_no_function_of_a_sample_is_refused(model: nn.Module, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        estimate(model, torch.randn(4, 3))


def test_what_cannot_be_copied_is_refused() -> None:
    with pytest.warns(FutureWarning):
        layer = nn.utils.weight_norm(nn.Linear(3, 3))
    layer(torch.randn(1, 3))
    with pytest.raises(TypeError, match="needs a copy of Linear"):
        estimate(layer, torch.randn(4, 3))


@pytest.mark.parametrize(
    ("inputs", "options", "sentence"),
    [
        (torch.randn(3), {}, r"got inputs of shape \(3,\)"),
        (torch.randn(0, 3), {}, r"got inputs of shape \(0, 3\)"),
        (torch.ones(2, 3, dtype=torch.int64), {}, "got torch.int64"),
        (torch.full((2, 3), torch.nan), {}, "NaN or infinity"),
        (torch.full((2, 3), torch.inf), {}, "NaN or infinity"),
        (torch.randn(2, 3), {"norm": "l1"}, "norm must be 'l2' or 'linf', got 'l1'"),
        (torch.randn(2, 3), {"evaluations": 0}, "evaluations must be >= 1, got 0"),
        (torch.randn(2, 3), {"seconds": 0.0}, "seconds must be > 0, got 0.0"),
        (torch.randn(2, 3), {"batch_size": 0}, "batch_size must be >= 1, got 0"),
    ],
)
def test_wrong_arguments_are_named(inputs: Tensor, options: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        estimate(nn.Linear(3, 3), inputs, **options)


@NORMS
def test_networks_that_are_constant_or_no_number_give_zero(norm: str) -> None:
    for function in (lambda x: torch.ones(len(x), 2, dtype=x.dtype), lambda x: x * torch.nan, lambda x: x[:, :0]):
        assert estimate(Formula(function), torch.randn(4, 3), norm=norm, evaluations=500).value == 0.0
