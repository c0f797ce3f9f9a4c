"""Bounds of chains lie above exact Lipschitz constants, and in the order in which they are tight."""

import functools
import itertools
from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import taut
from taut import nn as tnn

ROUNDING = 1e-8
"""What the proofs may add, relative: 1e-9 for the last eigenvalue, the rest for roundings of ill-conditioned chains."""


SVD = 1e-13
"""Hundreds of roundings of a singular value and of products of small matrices."""
SEEDS = (0, 1)


def network(widths: list[int], activation: Callable[[], nn.Module], seed: int = 0) -> nn.Sequential:
    generator = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        linear = nn.Linear(inputs, outputs).double()
        with torch.no_grad():
            linear.weight.copy_(torch.randn(outputs, inputs, generator=generator, dtype=torch.float64))
        layers += [linear, activation()]
    return nn.Sequential(*layers[:-1]).eval()


@functools.cache
def of_case(name: str, seed: int) -> tuple[nn.Sequential, dict[str, float], float]:
    """A network, its bounds by each method, and the largest norm over all patterns."""
    activation, patterns = CASES[name]
    net = network([3, 4, 4, 2], activation, seed)
    bounds = {method: taut.lipschitz_bound(net, method=method) for method in ("product", "eclipse", "lipsdp")}
    return net, bounds, over_all_patterns(net, patterns)


def weights(net: nn.Module) -> list[Tensor]:
    return [module.weight.detach().double() for module in net.modules() if isinstance(module, nn.Linear)]


def diagonals(ends: tuple[float, float]) -> Callable[[int], Iterator[Tensor]]:
    """All Jacobians of an entrywise activation at its extreme slopes."""
    return lambda n: (torch.diag(torch.tensor(s, dtype=torch.float64)) for s in itertools.product(ends, repeat=n))


def permutations(group: int, *, halves: bool = False) -> Callable[[int], Iterator[Tensor]]:
    """All Jacobians of a sort of contiguous groups, or of channel i with i + n / 2."""

    def matrices(n: int) -> Iterator[Tensor]:
        eye = torch.eye(n, dtype=torch.float64)
        count = n // group
        members = [[i, i + n // 2] for i in range(n // 2)] if halves else torch.arange(n).reshape(count, group).tolist()
        for orders in itertools.product(itertools.permutations(range(group)), repeat=count):
            rows = list(range(n))
            for member, order in zip(members, orders, strict=True):
                for place, source in zip(member, order, strict=True):
                    rows[place] = member[source]
            yield eye[rows]

    return matrices


def over_all_patterns(net: nn.Module, patterns: Callable[[int], Iterator[Tensor]]) -> float:
    """Largest norm of W_L J W_(L-1) ... W_1 over all Jacobians J: at least the exact constant of the network, as not
    every pattern need occur, and no bound that knows only slopes can be below it."""
    first, *rest = weights(net)
    products = [first]
    for weight in rest:
        products = [weight @ pattern @ product for product in products for pattern in patterns(len(product))]
    return max(float(torch.linalg.matrix_norm(product, 2)) for product in products)


CASES = {
    "ReLU": (nn.ReLU, diagonals((0.0, 1.0))),
    "Tanh": (nn.Tanh, diagonals((0.0, 1.0))),
    "Sigmoid": (nn.Sigmoid, diagonals((0.0, 0.25))),
    "ELU": (lambda: nn.ELU(1.5), diagonals((0.0, 1.5))),
    "LeakyReLU": (lambda: nn.LeakyReLU(0.2), diagonals((0.2, 1.0))),
    "LeakyReLU down": (lambda: nn.LeakyReLU(-0.7), diagonals((-0.7, 1.0))),
    "LeakyReLU steep": (lambda: nn.LeakyReLU(3.0), diagonals((1.0, 3.0))),
    "LeakyReLU straight": (lambda: nn.LeakyReLU(1.0), diagonals((1.0,))),
    "PReLU": (lambda: nn.PReLU(init=0.4).double(), diagonals((0.4, 1.0))),
    "Abs": (tnn.Abs, diagonals((-1.0, 1.0))),
    "GELU": (nn.GELU, diagonals((-0.1289, 1.1289))),
    "MaxMin": (tnn.MaxMin, permutations(2, halves=True)),
    "GroupSort": (lambda: tnn.GroupSort(2), permutations(2)),
}
each_case = pytest.mark.parametrize("name", CASES)


@each_case
def test_no_bound_is_below_any_pattern_and_each_is_tighter_than_the_last(name: str) -> None:
    for seed in SEEDS:
        _, bounds, lowest = of_case(name, seed)
        assert lowest * (1 - SVD) <= bounds["lipsdp"]
        assert bounds["lipsdp"] <= bounds["eclipse"] * (1 + ROUNDING)
        assert bounds["eclipse"] <= bounds["product"]


@each_case
def test_the_gain_over_the_product_is_there(name: str) -> None:
    found = [of_case(name, seed) for seed in SEEDS]
    assert max(bounds["product"] / bounds["lipsdp"] for _, bounds, _ in found) > 1.1
    assert min(bounds["lipsdp"] / lowest for _, bounds, lowest in found) < 1.25


def test_groups_of_three_and_full_sort_lie_above_all_permutations() -> None:
    three = network([3, 6, 2], lambda: tnn.GroupSort(3), 5)
    full = network([3, 4, 4, 2], tnn.FullSort, 5)
    for net, patterns in ((three, permutations(3)), (full, permutations(4))):
        lowest = over_all_patterns(net, patterns) * (1 - SVD)
        for method in ("eclipse", "lipsdp"):
            assert lowest <= taut.lipschitz_bound(net, method=method) <= taut.lipschitz_bound(net)


def test_slopes_of_one_layer_can_differ_from_neuron_to_neuron() -> None:
    slopes = [0.0, 1.0, -1.0, 0.3]
    net = network([3, 4, 4, 2], lambda: nn.PReLU(4).double())
    for module in net.modules():
        if isinstance(module, nn.PReLU):
            module.weight.data = torch.tensor(slopes, dtype=torch.float64)

    def patterns(n: int) -> Iterator[Tensor]:
        for chosen in itertools.product(*((slope, 1.0) for slope in slopes)):
            yield torch.diag(torch.tensor(chosen, dtype=torch.float64))

    product, eclipse, lipsdp = (taut.lipschitz_bound(net, method=m) for m in ("product", "eclipse", "lipsdp"))
    assert over_all_patterns(net, patterns) * (1 - SVD) <= lipsdp < eclipse < product


def test_orthonormal_layers_with_sorts_stay_at_one() -> None:
    torch.manual_seed(0)
    net = tnn.Sequential(
        tnn.BjorckLinear(6, 8), tnn.MaxMin(), tnn.BjorckLinear(8, 8), tnn.GroupSort(4), tnn.BjorckLinear(8, 3)
    )
    for method in ("eclipse", "lipsdp"):
        bound = taut.lipschitz_bound(net, method=method)
        assert 1.0 - 1e-6 < bound <= taut.lipschitz_bound(net)


@settings(max_examples=8, deadline=None)
@given(
    widths=st.lists(st.integers(1, 6), min_size=2, max_size=5),
    seed=st.integers(0, 10**6),
    activation=st.sampled_from(["ReLU", "Abs", "LeakyReLU down", "GELU"]),
)
def test_no_pair_of_points_is_stretched_by_more(widths: list[int], seed: int, activation: str) -> None:
    net = network(widths, CASES[activation][0], seed)
    lipsdp, eclipse = taut.lipschitz_bound(net, method="lipsdp"), taut.lipschitz_bound(net, method="eclipse")
    assert lipsdp <= eclipse * (1 + ROUNDING) <= taut.lipschitz_bound(net) * (1 + ROUNDING)
    points = torch.randn(200, widths[0], dtype=torch.float64)
    jacobians = torch.func.vmap(torch.func.jacrev(net))(points).detach()
    assert float(torch.linalg.matrix_norm(jacobians, 2).max()) <= lipsdp * (1 + SVD)


def test_factors_multiply_the_bound_and_signs_do_not_matter() -> None:
    net = network([3, 4, 2], nn.ReLU)
    scaled = nn.Sequential(net[0], tnn.Scale(-3.0), net[1], nn.Sequential(net[2], tnn.Scale(0.25)))
    for method in ("eclipse", "lipsdp"):
        assert taut.lipschitz_bound(scaled, method=method) == pytest.approx(
            0.75 * taut.lipschitz_bound(net, method=method), rel=1e-12
        )
    assert taut.lipschitz_bound(nn.Sequential(*net, tnn.Scale(0.0)), method="lipsdp") == 0.0
