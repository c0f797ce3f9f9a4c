"""Certificates of networks of distances: against rational arithmetic, and against attacks inside the radius."""

import math
from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

import taut
from taut import nn as tnn
from taut.certify import CertificateError, evaluate, lower, robustness, verify
from taut.certify.samples.arithmetic import FLOAT64
from taut.certify.samples.assess import prepare

Vector = list[Fraction]


def exact_layer(layer: nn.Module, x: Vector) -> Vector:
    q = Fraction(getattr(layer, "q", 0.0))
    weights, bias = layer.weight.double().tolist(), [0.0] * layer.out_features
    if layer.bias is not None:
        bias = layer.bias.double().tolist()
    result = []
    for row, b in zip(weights, bias, strict=True):
        sizes = sorted((abs(v - Fraction(w)) for v, w in zip(x, row, strict=True)), reverse=True)
        result.append(sum(((1 - q) * q**i * size for i, size in enumerate(sizes)), Fraction(b)))
    return result


def exact_forward(model: nn.Sequential, x: Tensor) -> Vector:
    vector = [Fraction(value) for value in x.tolist()]
    for layer in model:
        vector = exact_layer(layer, vector)
    return vector


def distances() -> nn.Sequential:
    return nn.Sequential(tnn.LInfDistLinear(6, 8), tnn.LInfDistLinear(8, 5, bias=False), tnn.LInfDistLinear(5, 3))


def sorted_distances() -> nn.Sequential:
    return nn.Sequential(tnn.SortLinear(6, 70, q=0.3), tnn.SortLinear(70, 5, q=0.5), tnn.SortLinear(5, 3, q=0.99))


def sorted_classifier() -> nn.Sequential:
    return nn.Sequential(tnn.SortLinear(6, 20, q=0.3), tnn.SortLinear(20, 3, q=0.2))


NETWORKS = [distances, sorted_distances]


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("build", NETWORKS)
@pytest.mark.parametrize("fold", [tnn.fold, lambda model: model])
def test_computed_output_is_within_the_bound_of_the_exact_one(
    build: Callable[[], nn.Sequential], norm: str, fold: Callable[[nn.Module], nn.Module]
) -> None:
    torch.manual_seed(0)
    model = build()
    inputs = torch.randn(15, 6, dtype=torch.float64) * torch.logspace(-9, 9, 15, dtype=torch.float64)[:, None]
    found = evaluate(fold(model), inputs, norm=norm)
    runs = [found.logits, model.double()(inputs).detach(), tnn.fold(model).double()(inputs).detach()]
    wrong = 0
    for k, (row, bound) in enumerate(zip(inputs, found.error_bound.tolist(), strict=True)):
        exact = exact_forward(model, row)
        for run in runs:
            errors = [Fraction(a) - b for a, b in zip(run[k].tolist(), exact, strict=True)]
            size = math.sqrt(sum(e**2 for e in errors)) if norm == "l2" else float(max(map(abs, errors)))
            assert size <= bound
            wrong += size > 0
        assert bound <= 1e-11 * max(1.0, float(row.abs().max()))  # also where ranks are many and few are left out
    assert wrong > 20


@pytest.mark.parametrize("build", NETWORKS)
def test_the_error_in_the_ball_is_within_its_affine_bound(build: Callable[[], nn.Sequential]) -> None:
    torch.manual_seed(2)
    model = build()
    x = torch.randn(1, 6).double()
    analysis = prepare(lower(model, (6,)), "linf", FLOAT64).analysis
    state = analysis.output(x)
    assert analysis.lipschitz_bound == 1.0
    for exponent in range(-6, 7):
        moved = x + torch.randn(1, 6, dtype=torch.float64) * 10.0**exponent
        computed = evaluate(model, moved, norm="linf").logits[0]
        errors = [abs(Fraction(a) - b) for a, b in zip(computed.tolist(), exact_forward(model, moved[0]), strict=True)]
        assert max(errors) <= float(state.ball_error) + analysis.slopes[-1] * float((moved - x).abs().max()) * (
            1 + 1e-12
        )


def trained(build: Callable[[], nn.Sequential]) -> tuple[nn.Sequential, Tensor, Tensor]:
    """Three classes that lie apart."""
    torch.manual_seed(0)
    model = build()
    labels = torch.arange(60) % 3
    inputs = torch.randn(60, 6) * 0.3 + torch.randn(3, 6)[labels]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(60):
        optimizer.zero_grad()
        taut.losses.margin_loss(model(inputs), labels, margin=1.0).backward()
        optimizer.step()
    return model, inputs, labels


@pytest.mark.parametrize("build", [distances, sorted_classifier])
@pytest.mark.parametrize("fold", [tnn.fold, lambda model: model])
def test_radius_is_half_the_margin_and_no_attack_inside_it_succeeds(
    build: Callable[[], nn.Sequential], fold: Callable[[nn.Module], nn.Module]
) -> None:
    model, inputs, labels = trained(build)
    certificate = robustness(fold(model), inputs, labels, norm="linf")
    margin = certificate.margin.clamp(min=0.0)
    assert bool((certificate.radius <= margin / 2).all())
    assert bool((certificate.radius >= margin / 2 * (1 - 1e-7) - 1e-9).all())
    assert certificate.certified_accuracy(0.05) > 0.5
    sure = certificate.radius > 0
    wide = model.double()
    x, y, radius = inputs.double()[sure], labels[sure], certificate.radius[sure][:, None]
    moved = x.clone()
    for _ in range(30):
        moved.requires_grad_()
        logits = wide(moved)
        assert bool((logits.argmax(1) == y).all())
        (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(logits, y), moved)
        moved = (moved.detach() + radius * gradient.sign() / 4 + radius * torch.randn_like(x) / 20).clamp(
            x - radius, x + radius
        )
        moved = torch.where((moved - x).abs() <= radius, moved, x)


def test_a_radius_is_reached() -> None:
    """One input, the labels at two points: the border lies half way, at half of the margin."""
    layer = tnn.LInfDistLinear(1, 2, bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[-1.0], [1.0]]))
    certificate = robustness(nn.Sequential(layer), torch.tensor([[0.25]]), torch.tensor([0]), norm="linf")
    assert 0.25 * (1 - 1e-7) < float(certificate.radius) < 0.25


def test_certificates_know_the_weights_and_the_drop() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(tnn.SortLinear(4, 3, q=0.25))
    inputs, labels = torch.randn(5, 4), torch.zeros(5, dtype=torch.int64)
    certificate = robustness(model, inputs, labels, norm="linf")
    verify(certificate, model, inputs, labels)
    verify(certificate, tnn.fold(model), inputs, labels)
    other = nn.Sequential(tnn.SortLinear(4, 3, q=0.26))
    other.load_state_dict(model.state_dict())
    moved = nn.Sequential(tnn.SortLinear(4, 3, q=0.25))
    moved.load_state_dict({name: value + 1e-6 * (value != 0) for name, value in model.state_dict().items()})
    for wrong in (other, moved):
        with pytest.raises(CertificateError, match="not that of the certificate"):
            verify(certificate, wrong, inputs, labels)


def test_relaxed_layers_and_sizes_are_refused_by_name() -> None:
    with pytest.raises(TypeError, match="'1' .SortLinear.: it is relaxed to p=8"):
        evaluate(nn.Sequential(tnn.LInfDistLinear(2, 2), tnn.SortLinear(2, 2, p=8.0)), torch.ones(1, 2))
    with pytest.raises(ValueError, match="'0' .* 3 features"):
        evaluate(nn.Sequential(tnn.LInfDistLinear(3, 2)), torch.ones(1, 1))
    layer = tnn.LInfDistLinear(2, 2)
    with torch.no_grad():
        layer.weight[0, 0] = math.nan
    with pytest.raises(ValueError, match="'0'"):
        evaluate(nn.Sequential(layer), torch.ones(1, 2))
