"""The proof of each step against 60 digits of arithmetic, for any multipliers, and for weights of any scale."""

import math
from collections.abc import Iterator

import mpmath
import pytest
import torch
from torch import Tensor, nn

import taut
from taut import nn as tnn
from taut.certify.chains.bound import chain_bound
from taut.certify.chains.ellipsoids import (
    _constraint,
    largest_eigenvalue_bound,
    through_sector,
    through_weight,
)
from taut.certify.chains.reading import read_chain
from taut.certify.chains.sectors import Groups, Sector, Slopes, slopes, sorted_groups


@pytest.fixture(autouse=True)
def sixty_digits() -> Iterator[None]:
    with mpmath.workdps(60):
        yield


def exact(values: Tensor) -> mpmath.matrix:
    return mpmath.matrix([[mpmath.mpf(value) for value in row] for row in values.tolist()])


def smallest_eigenvalue(matrix: mpmath.matrix) -> mpmath.mpf:
    return min(mpmath.eigsy((matrix + matrix.T) / 2, eigvals_only=True))


def operators(sector: Sector, n: int) -> tuple[mpmath.matrix, mpmath.matrix, mpmath.matrix]:
    """M, R and Pi, written out by hand."""
    if isinstance(sector, Slopes):
        return mpmath.diag(sector.m.tolist()), mpmath.diag(sector.r.tolist()), mpmath.eye(n)
    mean = mpmath.zeros(n)
    for i in range(n):
        for j in range(n):
            mean[i, j] = mpmath.mpf(1) / sector.group if i // sector.group == j // sector.group else 0
    return mean, mpmath.eye(n) - mean, mpmath.eye(n) - mean


def smallest_ellipsoid(sector: Sector, v: Tensor, before: Tensor) -> mpmath.matrix:
    """Pi V Pi + M (Y^-1 - R V^-1 R)^-1 M: the other form of what the proof's matrix says."""
    n = len(before)
    M, R, Pi = operators(sector, n)
    entries = [mpmath.mpf(value) for value in sector.spread(v).tolist()]
    inverse = exact(before) ** -1 - R * mpmath.diag([1 / value for value in entries]) * R
    assert smallest_eigenvalue(inverse) > 0
    return Pi * mpmath.diag(entries) * Pi + M * inverse**-1 * M


def sectors(n: int) -> list[Sector]:
    uneven = torch.linspace(-0.8, 0.9, n)
    return [
        slopes(0.0, 1.0, n),
        slopes(-1.0, 1.0, n),
        slopes(0.1, 0.7, n),
        slopes(uneven, torch.full((n,), 1.0), n),
        slopes(1.0, 1.0, n),
        sorted_groups(2, n),
        sorted_groups(3, n),
        sorted_groups(n, n),
    ]


@pytest.mark.parametrize("share", [0.9, 0.999999])
def test_an_ellipsoid_behind_an_activation_is_never_too_small_and_hardly_too_large(share: float) -> None:
    generator = torch.Generator().manual_seed(0)
    for sector in sectors(6):
        root = torch.randn(6, 6, generator=generator, dtype=torch.float64)
        before = through_weight(root, None)
        tight = sector.radius(sector.radius(before).T)
        v = torch.full((sector.multipliers(),), float(torch.linalg.eigvalsh(tight)[-1]) / share, dtype=torch.float64)
        after = through_sector(sector, v, before)
        assert after is not None
        least = smallest_ellipsoid(sector, v, before)
        assert smallest_eigenvalue(exact(after) - least) >= 0
        slack = max(abs(value) for value in mpmath.eigsy(exact(after) - least, eigvals_only=True))
        assert slack <= 1e-7 * float(torch.linalg.matrix_norm(after, 2)) / (1.0 - share)


def test_multipliers_that_are_too_small_are_raised_or_refused_but_never_believed() -> None:
    before = through_weight(torch.eye(6, dtype=torch.float64), None)
    for sector in sectors(6)[:3]:
        needed = float(sector.r.max()) ** 2 if isinstance(sector, Slopes) else 1.0
        assert through_sector(sector, torch.full((6,), 0.5 * needed, dtype=torch.float64), before) is None
        barely = through_sector(sector, torch.full((6,), needed * (1.0 - 1e-9), dtype=torch.float64), before)
        assert barely is not None
        assert float(barely.diagonal().min()) >= needed * (1.0 - 1e-12)


def test_the_matrix_that_is_proven_is_the_one_of_the_theorem_for_any_proposal() -> None:
    """Also for a Z that is far too small: the proof must not depend on an honest proposal."""
    generator = torch.Generator().manual_seed(6)
    for sector in sectors(6):
        roots = torch.randn(2, 6, 6, generator=generator, dtype=torch.float64)
        before, after = (through_weight(root, None) for root in roots)
        v = sector.spread(torch.rand(sector.multipliers(), generator=generator, dtype=torch.float64))
        found = _constraint(sector, v, before, after)
        M, R, Pi = operators(sector, 6)
        Y, V = exact(before), mpmath.diag([mpmath.mpf(value) for value in v.tolist()])
        blocks = (V - R * Y * R, R * Y * M, M * Y * R, exact(after) - Pi * V * Pi - M * Y * M)
        square = mpmath.mpf(0)
        for index, block in enumerate(blocks):
            row, column = divmod(index, 2)
            part = exact(found.values[6 * row : 6 * row + 6, 6 * column : 6 * column + 6])
            square += sum(value**2 for value in part - block)
        assert mpmath.sqrt(square) <= found.error <= 1e-11
        assert bool((found.values == found.values.T).all())


def test_an_ellipsoid_behind_a_weight_is_never_too_small() -> None:
    generator = torch.Generator().manual_seed(1)
    for rows, columns in ((1, 5), (5, 1), (4, 4), (6, 3)):
        weight = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
        root = torch.randn(columns, columns, generator=generator, dtype=torch.float64)
        inner = through_weight(root, None)
        for ellipsoid in (None, inner):
            least = exact(weight) * (mpmath.eye(columns) if ellipsoid is None else exact(ellipsoid)) * exact(weight).T
            found = through_weight(weight, ellipsoid)
            excess = mpmath.eigsy(exact(found) - least, eigvals_only=True)
            top = max(mpmath.eigsy(exact(found), eigvals_only=True))
            assert 0 <= min(excess) <= max(excess) <= 1e-12 * top
            assert top <= largest_eigenvalue_bound(found) <= top * (1 + 2e-9)


def test_slopes_lie_within_m_minus_r_and_m_plus_r_exactly() -> None:
    generator = torch.Generator().manual_seed(2)
    ends = torch.randn(200, 2, generator=generator, dtype=torch.float64).sort(dim=1).values
    ends[0], ends[1], ends[2] = torch.tensor([0.0, 1.0]), torch.tensor([0.3, 0.3]), torch.tensor([0.01, 1.0])
    sector = slopes(ends[:, 0], ends[:, 1], 200)
    for m, r, (low, high) in zip(sector.m.tolist(), sector.r.tolist(), ends.tolist(), strict=True):
        assert mpmath.mpf(m) - mpmath.mpf(r) <= low
        assert mpmath.mpf(m) + mpmath.mpf(r) >= high
        assert r <= (high - low) / 2 * (1 + 1e-14) + 2e-8 * abs(m)
    assert (float(sector.m[0]), float(sector.r[0])) == (0.5, 0.5)


def test_groups_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="groups of 3 do not divide 8"):
        sorted_groups(3, 8)
    assert isinstance(sorted_groups(4, 8), Groups)


def relu_net(*weights: Tensor) -> nn.Sequential:
    layers: list[nn.Module] = []
    for weight in weights:
        linear = nn.Linear(weight.shape[1], weight.shape[0]).double()
        linear.weight.data = weight.double()
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def nasty() -> dict[str, nn.Sequential]:
    generator = torch.Generator().manual_seed(3)
    a, b, c = (torch.randn(4, 4, generator=generator, dtype=torch.float64) for _ in range(3))
    graded = torch.diag(torch.tensor([1.0, 1e-5, 1e-20, 1e-150], dtype=torch.float64))
    low = a[:, :1] @ a[:1]
    return {
        "plain": relu_net(a, b, c),
        "huge": relu_net(a * 1e150, b * 1e150, c * 1e-150),
        "tiny": relu_net(a * 1e-150, b * 1e-150, c * 1e150),
        "subnormal": relu_net(a * 1e-310, b, c * 1e200),
        "rank one": relu_net(low, b, c),
        "rank one everywhere": relu_net(low, low.T, low),
        "dead neurons": relu_net(a * torch.tensor([[1.0], [0.0], [1.0], [0.0]]), b, c),
        "dead inputs": relu_net(a, b * torch.tensor([1.0, 0.0, 0.0, 1.0]), c),
        "graded": relu_net(graded @ a, b @ graded, c),
        "one unit": relu_net(a[:1], b[:, :1], c[:1]),
        "one number": relu_net(a[:1, :1], b[:1, :1], c[:1, :1]),
        "opposed": relu_net(a, torch.ones(4, 4), torch.tensor([[1.0, -1.0, 1.0, -1.0]])),
        "ones": relu_net(torch.ones(4, 4), torch.ones(4, 4), torch.ones(4, 4)),
    }


NASTY = nasty()


@pytest.mark.parametrize("name", NASTY)
def test_nasty_weights_have_bounds_above_every_pattern_in_exact_arithmetic(name: str) -> None:
    net = NASTY[name]
    weights = [exact(layer.weight) for layer in net if isinstance(layer, nn.Linear)]
    products = [weights[0]]
    for weight in weights[1:]:
        products = [
            weight * mpmath.diag([(pattern >> row) & 1 for row in range(product.rows)]) * product
            for product in products
            for pattern in range(2**product.rows)
        ]
    exponent = max(abs(value) for product in products for value in product)
    lowest = max(_norm_from_below(product / exponent) for product in products) * exponent
    product = taut.lipschitz_bound(net)
    for method in ("eclipse", "lipsdp"):
        bound = taut.lipschitz_bound(net, method=method)
        assert lowest <= mpmath.mpf(bound), method
        assert bound <= product
        assert chain_bound(read_chain(net), method) <= product * (1 + 1e-8)  # the proof succeeds by itself


def _norm_from_below(matrix: mpmath.matrix) -> mpmath.mpf:
    """|A x| / |x| for the power method's x: no eigenvalue routine."""
    values = torch.tensor([[float(v) for v in row] for row in matrix.tolist()], dtype=torch.float64)
    x = exact(torch.linalg.svd(values)[2][:1].T)
    return mpmath.norm(matrix * x) / mpmath.norm(x)


def test_zero_weights_give_zero() -> None:
    net = relu_net(torch.randn(3, 2), torch.zeros(2, 3), torch.randn(2, 2))
    assert taut.lipschitz_bound(net, method="eclipse") == taut.lipschitz_bound(net, method="lipsdp") == 0.0


def test_overflow_is_infinite() -> None:
    net = relu_net(*[torch.full((2, 2), 1e200, dtype=torch.float64)] * 2)
    assert math.isinf(taut.lipschitz_bound(net, method="lipsdp"))


def test_the_published_recursion_for_relu_is_reproduced() -> None:
    """X_0 = I, Lambda = 2 / lambda_max(W X^-1 W^T), X = Lambda - Lambda W X^-1 W^T Lambda / 4 (Xu and Sivaranjani)."""
    generator = torch.Generator().manual_seed(4)
    weights = [torch.randn(5, 5, generator=generator, dtype=torch.float64) for _ in range(4)]
    inverse = torch.eye(5, dtype=torch.float64)
    for weight in weights[:-1]:
        form = weight @ inverse @ weight.T
        scale = 2.0 / torch.linalg.eigvalsh(form)[-1]
        inverse = torch.linalg.inv(scale * torch.eye(5, dtype=torch.float64) - scale**2 / 4.0 * form)
    expected = float(torch.linalg.eigvalsh(weights[-1] @ inverse @ weights[-1].T)[-1]) ** 0.5
    assert taut.lipschitz_bound(relu_net(*weights), method="eclipse") == pytest.approx(expected, rel=1e-8)


def test_sorts_that_follow_each_other_are_permuted_back() -> None:
    """MaxMin pairs i with i + n / 2, GroupSort neighbours: a slip in the order would pair other channels."""
    generator = torch.Generator().manual_seed(5)
    first = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    last = torch.randn(2, 4, generator=generator, dtype=torch.float64)
    net = relu_net(first, last)
    pairs = torch.eye(4, dtype=torch.float64)[[0, 2, 1, 3]]
    plain = nn.Sequential(net[0], tnn.MaxMin(), tnn.Abs(), net[2])
    other = relu_net(pairs @ first, last @ pairs)
    sorted_pairs = nn.Sequential(other[0], tnn.GroupSort(2), tnn.Abs(), other[2])
    found = [taut.lipschitz_bound(one, method="eclipse") for one in (plain, sorted_pairs)]
    assert found[0] == pytest.approx(found[1], rel=1e-8)
    wrong = nn.Sequential(net[0], tnn.GroupSort(2), net[2])
    right = nn.Sequential(net[0], tnn.MaxMin(), net[2])
    assert taut.lipschitz_bound(wrong, method="lipsdp") != pytest.approx(
        taut.lipschitz_bound(right, method="lipsdp"), rel=1e-4
    )
