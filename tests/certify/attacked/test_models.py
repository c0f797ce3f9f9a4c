"""Unusual models: certified as what they compute, or refused."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from taut import fold
from taut import nn as tnn
from taut.attacks import rounding_attack
from taut.certify import CertificateError, evaluate, lower, robustness, verify


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), tnn.MaxMin(), nn.Linear(8, 3))


def inputs() -> Tensor:
    return torch.randn(8, 5, generator=torch.Generator().manual_seed(1))


def trained_a_little(model: nn.Module) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


@pytest.mark.parametrize("average", [None, get_ema_multi_avg_fn(0.9)])
def test_an_averaged_model_is_certified_with_its_averaged_weights(average: Callable[..., None] | None) -> None:
    model = network()
    averaged = AveragedModel(model, multi_avg_fn=average)
    for _ in range(3):
        trained_a_little(model)
        averaged.update_parameters(model)
    x = inputs()
    with torch.no_grad():
        y = averaged(x).argmax(1)
    certificate = robustness(averaged, x, y)
    other = robustness(model, x, y)
    assert torch.equal(certificate.radius, robustness(copy.deepcopy(averaged.module), x, y).radius)
    assert certificate.model_hash != other.model_hash
    verify(certificate, averaged, x, y)
    with pytest.raises(CertificateError, match="the model is not that"):
        verify(certificate, model, x, y)
    averaged.update_parameters(model)
    with pytest.raises(CertificateError, match="the model is not that"):
        verify(certificate, averaged, x, y)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_weights_are_read_exactly(dtype: torch.dtype) -> None:
    half = network().to(dtype)
    x = inputs()
    y = copy.deepcopy(half).double()(x.double()).argmax(1)
    certificate, wide = robustness(half, x, y), robustness(copy.deepcopy(half).double(), x, y)
    assert torch.equal(certificate.radius, wide.radius)
    assert certificate.radius.gt(0).all()
    verify(certificate, half, x, y)
    assert rounding_attack(half, x, y, certificate.radius).breaks == 0


@pytest.mark.parametrize("factor", [0.3, 3.0, 1e30, 1e150, 1e-150])
def test_the_factor_of_a_sequential_is_exact(factor: float) -> None:
    """Folding multiplies it into float32 weights, and so computes something slightly different."""
    torch.manual_seed(0)
    model = tnn.Sequential(tnn.BjorckLinear(5, 8), tnn.MaxMin(), tnn.UnitNormLinear(8, 3), lipschitz=factor)
    x = inputs()
    y = lower(model, (5,))(x.double()).argmax(1)
    certificate = robustness(model, x, y)
    verify(certificate, model, x, y)
    assert factor <= certificate.lipschitz_bound < 3 * factor
    assert certificate.radius.gt(0).all() or factor == 1e-150


@pytest.mark.parametrize("arithmetic", ["float64", "float32-accumulate64"])
def test_attacks_cross_the_radii_of_convolutions_in_the_fourier_domain_and_not_before(arithmetic: str) -> None:
    """Of the layers, by fast transforms, and of the program; without activations radii are as large as they can be."""
    torch.manual_seed(0)
    model = nn.Sequential(tnn.BROConv2d(2, 2, 3), tnn.CayleyConv2d(2, 2, 3), nn.Flatten(), tnn.UnitNormLinear(50, 3))
    x = torch.rand(6, 2, 5, 5)
    with torch.no_grad():
        y = model(x).argmax(1)
    certificate = robustness(model, x, y, arithmetic=arithmetic)
    verify(certificate, model, x, y)
    assert certificate.radius.gt(0).all()
    assert rounding_attack(model, x, y, certificate.radius, arithmetic=arithmetic).breaks == 0
    assert rounding_attack(model, x, y, certificate.radius * 1.001, arithmetic=arithmetic).breaks == 6
    run, start = fold(model).double(), x.double().requires_grad_()
    crossed = {factor: torch.zeros(6, dtype=torch.bool) for factor in (1 - 2.0**-50, 1.001)}
    for j in range(3):
        logits = run(start)
        (slope,) = torch.autograd.grad((logits[:, j] - logits.gather(1, y[:, None])[:, 0]).sum(), start)
        across = slope / slope.flatten(1).norm(dim=1).clamp(min=1e-9).view(-1, 1, 1, 1)
        for factor, found in crossed.items():
            found |= run(start + across * (certificate.radius * factor).view(-1, 1, 1, 1)).argmax(1) != y
    assert [int(found.sum()) for found in crossed.values()] == [0, 6]


class Called(nn.Module):
    """Some function of modules and the input."""

    def __init__(self, function: Callable[["Called", Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.linear, self.relu_, self.drop = nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Dropout()
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def _overwritten(net: Called, x: Tensor) -> Tensor:
    y = net.relu_(x)
    return y + x


def _of_a_hidden(net: Called, x: Tensor) -> Tensor:
    hidden = net.linear(x)
    y = net.relu_(hidden)
    return hidden + y


def _through_a_view(net: Called, x: Tensor) -> Tensor:
    hidden = net.linear(x)
    view = hidden[:, :2]
    return torch.cat((view, net.relu_(hidden)), 1)


def _added_in_place(net: Called, x: Tensor) -> Tensor:
    hidden = net.linear(x)
    other = hidden
    other += 1
    return hidden * 2 + other


@pytest.mark.parametrize("function", [_overwritten, _of_a_hidden, _through_a_view, _added_in_place])
def test_what_is_changed_in_place_and_read_again_is_refused(function: Callable[[Called, Tensor], Tensor]) -> None:
    with pytest.raises(TypeError, match="changes in place what is read later"):
        lower(Called(function).eval(), (4,))


@pytest.mark.parametrize(
    "function",
    [
        lambda net, x: net.linear(x) if x.sum() > 0 else x,
        lambda net, x: net.linear(x) * float(x.max()),
        lambda net, x: torch.where(x > 0, net.linear(x), x),
        lambda net, x: net.linear(x) * x,
        lambda net, x: net.linear(x) + net.linear(x).flip(0),
        lambda net, x: net.linear(x) - net.linear(x).mean(0, keepdim=True),
        lambda net, x: net.linear(x) + net.linear(x[:1]),
        lambda net, x: net.linear(x).view(-1, 2),
        lambda net, x: net.linear(x) * x.shape[0],
        lambda net, x: F.batch_norm(x, None, None, training=True),
        lambda net, x: F.dropout(net.linear(x)),
        lambda net, x: net.linear(x).half().float(),
        lambda net, x: net.linear(x).round(),
    ],
)
def test_what_depends_on_data_on_other_samples_or_on_chance_is_refused(
    function: Callable[[Called, Tensor], Tensor],
) -> None:
    model, x = Called(function).eval(), torch.randn(3, 4)
    with pytest.raises(TypeError):
        robustness(model, x, torch.zeros(3, dtype=torch.int64))


@pytest.mark.parametrize("layer", ["drop", "norm"])
def test_training_mode_is_refused(layer: str) -> None:
    model = Called(lambda net, x: getattr(net, layer)(net.linear(x)))
    lower(model.eval(), (4,))
    with pytest.raises(TypeError, match="training mode"):
        lower(model.train(), (4,))


def _put_on_the_layer(model: nn.Module) -> None:
    model[0].forward = lambda x: 100 * x  # type: ignore[index]


def _put_on_the_model(model: nn.Module) -> None:
    model.forward = lambda x: 100 * x  # type: ignore[method-assign]


def _hooked(model: nn.Module) -> None:
    model[1].register_forward_hook(lambda module, x, y: 2 * y)  # type: ignore[index]


def _hooked_before(model: nn.Module) -> None:
    model[0].register_forward_pre_hook(lambda module, x: (2 * x[0],))  # type: ignore[index]


@pytest.mark.parametrize("change", [_put_on_the_layer, _put_on_the_model, _hooked, _hooked_before])
@pytest.mark.parametrize("folded", [False, True])
def test_what_a_class_does_not_show_is_refused(change: Callable[[nn.Module], None], folded: bool) -> None:
    model = nn.Sequential(tnn.BjorckLinear(5, 8), tnn.MaxMin(), nn.Linear(8, 3))
    model = fold(model) if folded else model
    change(model)
    with pytest.raises(TypeError, match="hooks"):
        lower(model, (5,))


class Larger(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return 50 * super().forward(x)


def test_a_subclass_is_what_its_forward_computes() -> None:
    model = nn.Sequential(Larger(5, 3)).double()
    x = inputs().double()
    evaluation = evaluate(model, x)
    assert ((evaluation.logits - model(x)).norm(dim=1) <= 2 * evaluation.error_bound).all()


def test_a_layer_that_is_used_twice() -> None:
    torch.manual_seed(0)
    shared = nn.Linear(5, 5)
    model = nn.Sequential(shared, nn.ReLU(), shared, nn.ReLU(), nn.Linear(5, 3))
    x = inputs()
    y = model(x).argmax(1)
    certificate = robustness(model, x, y)
    verify(certificate, model, x, y)
    assert rounding_attack(model, x, y, certificate.radius).breaks == 0
    with torch.no_grad():
        shared.weight[0, 0] += 1e-6
    with pytest.raises(CertificateError, match="the model is not that"):
        verify(certificate, model, x, y)
