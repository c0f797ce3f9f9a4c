"""Certified radii: exact where the answer is known, not to be broken by rounding, nothing for ties."""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

from taut import nn as tnn
from taut.certify import robustness
from taut.certify.samples.robustness import assess
from taut.nn.composition.scale import Scale

SLACK = 1e-7
"""More than a certificate gives away, relative."""


def classifier(rows: Tensor, bias: Tensor | None = None) -> nn.Linear:
    layer = nn.Linear(rows.shape[1], rows.shape[0], dtype=rows.dtype)
    with torch.no_grad():
        layer.weight.copy_(rows)
        layer.bias.copy_(torch.zeros(len(rows)) if bias is None else bias)
    return layer


def exact_radius(layer: nn.Linear, x: Tensor, label: int, norm: str) -> float:
    """Distance to the nearest decision border of a linear classifier, in rational arithmetic up to the root."""
    rows = [[Fraction(v) for v in row] for row in layer.weight.double().tolist()]
    bias = [Fraction(v) for v in layer.bias.double().tolist()]
    point = [Fraction(v) for v in x.double().tolist()]
    logits = [sum((w * v for w, v in zip(row, point, strict=True)), b) for row, b in zip(rows, bias, strict=True)]
    best = math.inf
    for other, row in enumerate(rows):
        if other != label:
            gap = [a - b for a, b in zip(rows[label], row, strict=True)]
            norm_of_gap = math.sqrt(sum(g * g for g in gap)) if norm == "l2" else float(sum(map(abs, gap)))
            best = min(best, float(logits[label] - logits[other]) / norm_of_gap)
    return max(best, 0.0)


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("classes", [2, 5])
def test_radius_of_a_linear_classifier_is_the_distance_to_its_border(norm: str, classes: int) -> None:
    torch.manual_seed(0)
    layer = classifier(torch.randn(classes, 7), torch.randn(classes))
    inputs, labels = torch.randn(40, 7), torch.randint(classes, (40,))
    certificate = robustness(layer, inputs, labels, norm=norm)
    positive = 0
    for x, label, radius in zip(inputs, labels.tolist(), certificate.radius.tolist(), strict=True):
        exact = exact_radius(layer, x, label, norm)
        positive += exact > 0
        assert radius <= exact
        assert radius >= exact * (1 - SLACK)
    assert 5 < positive < 40
    assert certificate.accuracy == positive / 40


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_the_head_rule_multiplies_the_body_and_the_factors(norm: str) -> None:
    """diag bodies, whose constants are 2 and 3, a factor -1/4 and a head with known row differences."""
    body = nn.Sequential(classifier(torch.diag(torch.tensor([2.0, 1.0]))), tnn.Abs())
    head = classifier(torch.tensor([[3.0, 0.0], [0.0, 4.0], [0.0, 0.0]]))
    model = nn.Sequential(body, classifier(torch.diag(torch.tensor([3.0, 3.0]))), head, Scale(-0.25))
    inputs = torch.tensor([[1.0, -5.0]])
    # |diag(2, 1) x| = (2, 5); times 3: (6, 15); logits (18, 60, 0) times -1/4: (-4.5, -15, 0); class 2
    certificate = robustness(model, inputs, torch.tensor([2]), norm=norm)
    gaps = (4.5 / (0.25 * 6 * 3), 15 / (0.25 * 6 * 4))
    assert float(certificate.margin[0]) == 4.5
    assert float(certificate.radius[0]) == pytest.approx(min(gaps), rel=SLACK)
    assert float(certificate.radius[0]) < min(gaps)
    product = 2 * 3 * 4 * 0.25
    assert product <= certificate.lipschitz_bound <= product * (1 + SLACK)


@pytest.mark.parametrize(("norm", "ratio"), [("l2", math.sqrt(2.0)), ("linf", 2.0)])
def test_without_a_linear_head_the_joint_rule_holds(norm: str, ratio: float) -> None:
    model = nn.Sequential(classifier(3 * torch.eye(4)), tnn.MaxMin())
    inputs = torch.tensor([[5.0, 1.0, 0.0, -1.0]])
    certificate = robustness(model, inputs, torch.tensor([0]), norm=norm)
    exact = 12.0 / (3 * ratio)
    assert exact * (1 - SLACK) <= float(certificate.radius[0]) < exact


# --- rounding ---------------------------------------------------------------------------------------------------------


def small_margin_classifiers(dtype: torch.dtype, exponents: Tensor) -> Iterator[tuple[nn.Linear, Tensor]]:
    """Linear classifiers of two classes whose margin at the point is far below the size of the logits."""
    generator = torch.Generator().manual_seed(3)
    for exponent in exponents:
        rows = torch.randn(2, 64, generator=generator, dtype=torch.float64).to(dtype)
        x = torch.randn(64, generator=generator, dtype=torch.float64).to(dtype)
        logits = rows.double() @ x.double()
        bias = torch.stack([-logits[0], -logits[1] - 10.0**exponent]).to(dtype)
        layer = classifier(rows, bias)
        if float(layer(x)[0] - layer(x)[1]) > 0:
            yield layer, x


def exact_distance_squared(x: Tensor, y: Tensor) -> Fraction:
    pairs = zip(x.double().tolist(), y.double().tolist(), strict=True)
    return sum(((Fraction(a) - Fraction(b)) ** 2 for a, b in pairs), Fraction(0))


def evaluations(layer: nn.Linear, x: Tensor) -> Iterator[bool]:
    """Whether class 0 wins strictly, for several legitimate orders of summation in the dtype of the layer."""
    for order in (slice(None), torch.arange(len(x) - 1, -1, -1), x.argsort(), (layer.weight[0] * x).abs().argsort()):
        weight, point = layer.weight[:, order], x[order]
        yield bool(torch.nn.functional.linear(point, weight, layer.bias).diff() < 0)
        products = (weight * point).cumsum(1)[:, -1] + layer.bias
        yield bool(products.diff() < 0)


def broken(layer: nn.Linear, x: Tensor, radius: float, generator: torch.Generator) -> bool:
    """Search for a point of the ball, by exact distance, that is not class 0: the worst direction, up to rounding."""
    direction = (layer.weight[1] - layer.weight[0]).double()
    direction /= direction.norm()
    for attempt in range(12):
        length = radius * (1 - (0.0 if attempt == 0 else 2.0 ** -(20 + 3 * attempt)))
        point = (x.double() + direction * length).to(x.dtype)
        if attempt % 2:  # some other point of the grid near by
            up = torch.where(torch.rand(len(x), generator=generator) < 0.5, math.inf, -math.inf).to(x.dtype)
            near = torch.nextafter(point, up)
            point = torch.where(torch.rand(len(x), generator=generator) < 0.3, near, point)
        if exact_distance_squared(point, x) <= Fraction(radius) ** 2 and not all(evaluations(layer, point)):
            return True
    return False


@torch.no_grad()
@pytest.mark.parametrize(("dtype", "least"), [(torch.float32, -7.0), (torch.float64, -16.0)])
def test_rounding_breaks_naive_certificates_and_never_ours(dtype: torch.dtype, least: float) -> None:
    generator = torch.Generator().manual_seed(4)
    naive_broken = tried = certified = 0
    for layer, x in small_margin_classifiers(dtype, torch.linspace(least, least + 5, 60)):
        logits = layer(x)
        naive = float((logits[0] - logits[1]) / (layer.weight[0] - layer.weight[1]).norm())
        tried += 1
        naive_broken += broken(layer, x, naive, generator)
        found = assess(layer, x[None], torch.tensor([0]), norm="l2")
        ours, double = float(found.proven[0]), layer.double()  # what is proven, before the slack of a certificate
        certified += ours > 0
        assert not (ours > 0 and broken(double, x.double(), ours, generator))
    assert tried > 30
    assert naive_broken > tried / 10
    assert certified > tried / 10


@torch.no_grad()
def test_rounding_never_breaks_a_deep_network() -> None:
    """Margins of the size of the rounding errors, and the worst direction, which is the gradient."""
    generator = torch.Generator().manual_seed(5)
    torch.manual_seed(5)
    body = nn.Sequential(nn.Linear(32, 32), tnn.Abs(), nn.Linear(32, 32), tnn.MaxMin()).double()
    certified = 0
    for trial in range(40):
        x = torch.randn(1, 32, generator=generator, dtype=torch.float64)
        rows = torch.randn(2, 32, generator=generator, dtype=torch.float64)
        logits = body(x) @ rows.T
        bias = -logits[0] - torch.tensor([0.0, 10 ** -(10 + 3 * trial / 40)], dtype=torch.float64)
        model = nn.Sequential(body, classifier(rows, bias))
        radius = float(assess(model, x, torch.tensor([0]), norm="l2").proven[0])
        certified += radius > 0
        with torch.enable_grad():
            point = x.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(model(point)[0].diff().sum(), point)
        for scale in (1.0, 1 - 1e-15, 0.999, 0.5):
            moved = x + gradient / gradient.norm() * radius * scale
            if radius > 0 and exact_distance_squared(moved[0], x[0]) <= Fraction(radius) ** 2:
                assert float(model(moved)[0].diff()) < 0
    assert certified > 10


# --- nothing for ties, mistakes and rubbish ---------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_ties_mistakes_and_non_finite_samples_have_radius_zero(norm: str) -> None:
    layer = classifier(torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    nan, inf = math.nan, math.inf
    inputs = torch.tensor([[2.0, 0.0], [0.0, 2.0], [nan, 0.0], [inf, 1.0], [0.0, -inf], [0.0, 0.0], [0.0, 1.0]])
    labels = torch.tensor([0, 0, 2, 0, 0, 2, 2])
    certificate = robustness(layer, inputs, labels, norm=norm)
    assert certificate.radius.tolist()[:6] == [0.0] * 6
    assert certificate.radius[6] > 0
    assert certificate.prediction.tolist()[1:5] == [2, -1, -1, -1]
    assert certificate.margin[:2].tolist() == [0.0, -2.0]
    assert certificate.margin[2:5].isnan().all()
    assert certificate.certified_accuracy(0.0) == pytest.approx(1 / 7)


def test_infinite_inputs_are_not_certified_even_where_the_network_forgets_them() -> None:
    model = nn.Sequential(nn.ReLU(), classifier(torch.tensor([[0.0, 1.0], [0.0, -1.0]])))
    certificate = robustness(model, torch.tensor([[-math.inf, 1.0]]), torch.tensor([0]))
    assert float(certificate.radius[0]) == 0.0
    assert int(certificate.prediction[0]) == -1


def test_a_margin_below_the_rounding_error_is_not_certified() -> None:
    rows = torch.tensor([[1.0, 1e17], [1.0, 1e17]], dtype=torch.float64)
    layer = classifier(rows, torch.tensor([16.0, 0.0], dtype=torch.float64))
    x = torch.tensor([[1.0, 1.0]], dtype=torch.float64)
    certificate = robustness(layer, x, torch.tensor([0]))
    assert float(certificate.margin[0]) > 0
    assert float(certificate.radius[0]) == 0.0


def test_overflow_is_not_certified() -> None:
    rows = torch.tensor([[1e200, 0.0], [-1e200, 0.0]], dtype=torch.float64)
    model = nn.Sequential(classifier(rows), classifier(rows))
    x = torch.tensor([[1e-100, 0.0]], dtype=torch.float64)
    assert float(robustness(model, x, torch.tensor([0])).radius[0]) == 0.0


@pytest.mark.parametrize("margin", [1.0, 1e260])
def test_a_constant_classifier_has_a_huge_radius_that_ends_before_overflow(margin: float) -> None:
    layer = classifier(torch.zeros(2, 3, dtype=torch.float64), torch.tensor([margin, 0.0], dtype=torch.float64))
    radius = float(robustness(layer, torch.ones(1, 3), torch.tensor([0])).radius[0])
    assert 1e30 < radius <= 2.0**900


# --- taut networks ----------------------------------------------------------------------------------------------------


def orthogonal_network() -> nn.Module:
    torch.manual_seed(6)
    return tnn.Sequential(
        nn.Flatten(),
        tnn.BjorckLinear(12, 16),
        tnn.MaxMin(),
        tnn.Sequential(tnn.BjorckLinear(16, 16), tnn.GroupSort(4)),
        tnn.UnitNormLinear(16, 3),
    )


@pytest.mark.parametrize("fold", [tnn.fold, lambda model: model])
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_no_attack_inside_the_radius_succeeds(fold: Callable[[nn.Module], nn.Module], norm: str) -> None:
    model = fold(orthogonal_network())
    inputs = torch.randn(30, 3, 4)
    labels = model(inputs).argmax(dim=1)
    certificate = robustness(model, inputs, labels, norm=norm)
    assert bool((certificate.radius > 0).all())
    plain = tnn.fold(model).double()
    points, radius = inputs.double(), certificate.radius[:, None, None] * (1 - 1e-12)
    moved = points.clone()
    for _ in range(20):
        moved.requires_grad_()
        logits = plain(moved)
        others = logits.scatter(1, labels[:, None], -math.inf).amax(dim=1)
        loss = (others - logits.gather(1, labels[:, None])[:, 0]).sum()
        (gradient,) = torch.autograd.grad(loss, moved)
        if norm == "l2":
            step = moved.detach() + radius * gradient / gradient.flatten(1).norm(dim=1)[:, None, None]
            offset = step - points
            offset *= (radius / offset.flatten(1).norm(dim=1)[:, None, None]).clamp(max=1)
        else:
            offset = (moved.detach() + radius * gradient.sign() - points).clamp(-radius, radius)
        moved = points + offset
        assert torch.equal(plain(moved).argmax(dim=1), labels)
    if norm == "l2":  # an orthogonal network is tight: five times the radius is enough for most
        direction = torch.autograd.grad(loss_of(plain, moved.requires_grad_(), labels), moved)[0]
        direction /= direction.flatten(1).norm(dim=1)[:, None, None]
        assert (plain(points + 5 * radius * direction).argmax(dim=1) != labels).double().mean() > 0.5


def loss_of(model: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    logits = model(x)
    others = logits.scatter(1, labels[:, None], -math.inf).amax(dim=1)
    return (others - logits.gather(1, labels[:, None])[:, 0]).sum()


def test_folded_and_unfolded_give_the_same_certificate() -> None:
    model = orthogonal_network()
    inputs, labels = torch.randn(9, 12), torch.randint(3, (9,))
    one, two = (robustness(m, inputs, labels) for m in (model, tnn.fold(model)))
    assert torch.equal(one.radius, two.radius)
    assert one.model_hash == two.model_hash
    assert one.lipschitz_bound == two.lipschitz_bound


def test_batches_and_progress() -> None:
    model = orthogonal_network()
    inputs, labels = torch.randn(10, 12), torch.randint(3, (10,))
    calls: list[tuple[int, int]] = []
    small = robustness(model, inputs, labels, batch_size=4, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(4, 10), (8, 10), (10, 10)]
    large = robustness(model, inputs, labels)
    assert torch.allclose(small.radius, large.radius, rtol=1e-10, atol=1e-10)
    assert torch.equal(small.prediction, large.prediction)


def test_float32_weights_and_inputs_are_read_exactly() -> None:
    model = orthogonal_network()
    inputs, labels = torch.randn(5, 12), torch.randint(3, (5,))
    folded = tnn.fold(model)
    one = robustness(folded, inputs, labels)
    two = robustness(folded.double(), inputs.double(), labels)
    assert torch.equal(one.radius, two.radius)


# --- refusals ---------------------------------------------------------------------------------------------------------


class Custom(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x


def test_a_function_without_an_operation_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"'mul' in module '1'"):
        robustness(nn.Sequential(nn.Linear(2, 2), Custom()), torch.ones(1, 2), torch.tensor([0]))


ONE = torch.tensor([0])


@pytest.mark.parametrize(
    ("inputs", "labels", "error", "named"),
    [
        (torch.ones(1, 2, dtype=torch.float16), ONE, TypeError, "float32 or float64"),
        (torch.ones(2, 2), ONE, ValueError, "same length"),
        (torch.ones(0, 2), ONE[:0], ValueError, "same length"),
        (torch.ones(1, 2), torch.tensor([2]), ValueError, "0..1, got 2"),
        (torch.ones(1, 2), torch.tensor([-1]), ValueError, "0..1, got -1"),
        (torch.ones(1, 3), ONE, ValueError, "2 features"),
    ],
)
def test_bad_samples_are_refused(inputs: Tensor, labels: Tensor, error: type[Exception], named: str) -> None:
    from jaxtyping import TypeCheckError

    with pytest.raises((error, TypeCheckError)) as refused:
        robustness(nn.Linear(2, 2), inputs, labels)
    if isinstance(refused.value, error):
        assert named in str(refused.value)


def test_one_class_and_other_norms_are_refused() -> None:
    with pytest.raises(ValueError, match="classes >= 2"):
        robustness(nn.Linear(2, 1), torch.ones(1, 2), ONE)
    with pytest.raises(ValueError, match="'l2' or 'linf'"):
        robustness(nn.Linear(2, 2), torch.ones(1, 2), ONE, norm="l1")
    with pytest.raises(ValueError, match="batch_size"):
        robustness(nn.Linear(2, 2), torch.ones(1, 2), ONE, batch_size=0)
