"""Whatever a caller has switched on, and however tensors lie in memory, the certificate is the same."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from taut import nn as tnn
from taut.certify import Certificate, robustness, verify


class Mixed(nn.Module):
    """A weight that is computed by a product, which autocast would round to half precision."""

    def __init__(self) -> None:
        super().__init__()
        self.basis = nn.Parameter(torch.randn(8, 8))

    def forward(self, weight: Tensor) -> Tensor:
        return weight @ self.basis


def network() -> nn.Module:
    torch.manual_seed(0)
    last = nn.Linear(8, 3)
    parametrize.register_parametrization(last, "weight", Mixed())
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        tnn.CayleyLinear(24, 8),
        nn.Linear(8, 3),
    ).eval()


def samples() -> tuple[Tensor, Tensor]:
    x = torch.randn(6, 2, 6, 5, generator=torch.Generator().manual_seed(1))
    return x, network()(x).argmax(1)


@contextmanager
def switched(switch: Callable[[bool], object]) -> Iterator[None]:
    switch(True)
    try:
        yield
    finally:
        switch(False)


def default_dtype(wide: bool) -> None:
    torch.set_default_dtype(torch.float64 if wide else torch.float32)


def threads(more: bool) -> None:
    torch.set_num_threads(2 if more else 1)


CONTEXTS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "inference": torch.inference_mode,
    "no grad": torch.no_grad,
    "grad": torch.enable_grad,
    "flushed": lambda: switched(torch.set_flush_denormal),
    "float64": lambda: switched(default_dtype),
    "deterministic": lambda: switched(torch.use_deterministic_algorithms),
    "threads": lambda: switched(threads),
    "anomaly": torch.autograd.detect_anomaly,
}


def assert_same(one: Certificate, other: Certificate, *, ulps: int = 0) -> None:
    assert one.model_hash == other.model_hash
    assert one.data_hash == other.data_hash
    assert one.layers == other.layers
    # in units of the largest: what rounding changes is relative to the logits, not to a margin that they cancel to
    assert ((one.radius - other.radius).abs() <= ulps * 2.0**-52 * one.radius.amax()).all()


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("name", CONTEXTS)
def test_a_context_changes_nothing(name: str) -> None:
    model, (x, y) = network(), samples()
    plain = robustness(model, x, y)
    assert plain.radius.gt(0).all()
    with CONTEXTS[name]():
        within = robustness(model, x, y)
        verify(plain, model, x, y)
    assert_same(plain, within)


def test_a_model_and_samples_made_in_inference_mode() -> None:
    plain = robustness(network(), *samples())
    with torch.inference_mode():
        model, (x, y) = network(), samples()
    assert_same(plain, robustness(model, x, y))


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "cut": lambda x: x.repeat(1, 1, 1, 2)[..., :5],
    "transposed": lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    "strided": lambda x: torch.stack((x, -x), -1)[..., 0],
    "requires grad": lambda x: x.clone().requires_grad_(),
    "expanded": lambda x: x[:1].expand(6, -1, -1, -1),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_in_memory_changes_nothing(layout: str) -> None:
    x, y = samples()
    other = LAYOUTS[layout](x)
    if layout == "expanded":
        x, y = x[:1].repeat(6, 1, 1, 1), y[:1].repeat(6)
    model = network().to(memory_format=torch.channels_last) if layout == "channels last" else network()
    plain = robustness(network(), x, y)
    assert_same(plain, robustness(model, other, y), ulps=16)
    verify(plain, model, other, y)


@pytest.mark.parametrize("batch_size", [1, 4, 6, 10**9])
def test_batches_of_any_size(batch_size: int) -> None:
    model, (x, y) = network(), samples()
    whole = robustness(model, x, y)
    assert_same(whole, robustness(model, x, y, batch_size=batch_size), ulps=16)


def test_one_sample_and_none() -> None:
    model, (x, y) = network(), samples()
    one = robustness(model, x[:1], y[:1])
    assert float(one.radius) == pytest.approx(float(robustness(model, x, y).radius[0]), rel=1e-14)
    verify(one, model, x[:1], y[:1])
    with pytest.raises(ValueError, match="the same length >= 1, got"):
        robustness(model, x[:0], y[:0])


@pytest.mark.parametrize("shape", [(1, 1, 9), (1, 9, 1), (2, 5, 7), (3, 1, 1)])
def test_odd_images(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(shape[0], 4, 3, padding=1), tnn.MaxMin(), tnn.GlobalL2NormPool())
    model = nn.Sequential(body, nn.Flatten(), nn.Linear(4, 3))
    x = torch.randn(3, *shape)
    y = model(x).argmax(1)
    certificate = robustness(model, x, y)
    verify(certificate, model, x, y)
    assert certificate.radius.gt(0).all()


def test_samples_that_are_no_numbers_have_no_certificate() -> None:
    model, (x, y) = network(), samples()
    for at, value in enumerate((torch.nan, torch.inf, -torch.inf)):
        x[at, 0, 0, 0] = value
    x[3] = 3e38
    certificate = robustness(model, x, y)
    assert certificate.prediction[:3].tolist() == [-1, -1, -1]
    assert certificate.radius[:3].tolist() == [0.0, 0.0, 0.0]
    assert certificate.margin[:3].isnan().all()
    assert certificate.radius[4:].gt(0).all()
    verify(certificate, model, x, y)


def test_numbers_below_the_normal_ones_count() -> None:
    layer = nn.Linear(3, 2, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[5e-324, 1e-310, 1.0], [0.0, 0.0, -1.0]], dtype=torch.float64))
    x = torch.tensor([[1e-320, 5e-324, 1.0], [1e300, 1e300, 1.0], [1e-320, 1e-310, 0.0]], dtype=torch.float64)
    y = torch.zeros(3, dtype=torch.int64)
    plain = robustness(layer, x, y)
    assert plain.radius.tolist() == pytest.approx([1.0, 1.0, 0.0], rel=1e-6)
    with switched(torch.set_flush_denormal):
        assert_same(plain, robustness(layer, x, y))
        verify(plain, layer, x, y)


@pytest.mark.parametrize("scale", [1e150, 1e30, 1e-30, 1e-150])
def test_enormous_and_tiny_constants(scale: float) -> None:
    """The radius does not depend on the scale of the logits, or is 0 where that underflows or overflows."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), tnn.MaxMin(), nn.Linear(8, 3)).double()
    x = torch.randn(6, 5)
    y = model(x.double()).argmax(1)
    plain = robustness(model, x, y).radius
    with torch.no_grad():
        model[2].weight.mul_(scale)
        model[2].bias.mul_(scale)
    certificate = robustness(model, x, y)
    verify(certificate, model, x, y)
    kept = certificate.radius > 0
    assert torch.allclose(certificate.radius[kept], plain[kept], rtol=1e-6)
    assert kept.all() or scale == 1e-150
    assert scale * 0.1 < certificate.lipschitz_bound < scale * 100
