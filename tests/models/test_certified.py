"""Published networks of certified classifiers: sizes, constants, every convolution, every side of a picture."""

import math

import pytest
import torch
from torch import nn

import taut
from taut import models
from taut import nn as tnn
from taut.models import ClassifierOptions
from taut.models._pictures import padded_to

SMALL = {
    "sll-small": {"channels": 6, "blocks": 2, "width": 8, "depth": 1},
    "lipconvnet-10": {"channels": 4},
    "convnet-xs": {"channels": 4, "blocks": 1, "head": "bjorck"},
    "liresnet": {"channels": 4, "blocks": 2, "width": 16, "depth": 1, "convolution": "liresnet", "linear": "cholesky"},
    "lipnext": {"channels": 16, "blocks": 2, "linear": "manifold"},
}
each = pytest.mark.parametrize("name", SMALL)


def build(name: str, shape: tuple[int, ...] = (3, 32, 32), classes: int = 10, **options) -> nn.Module:
    torch.manual_seed(0)
    return models.classifiers()[name](shape, classes, ClassifierOptions(**{**SMALL[name], **options}))


def parameters(name: str, **options) -> int:
    with torch.device("meta"):
        net = models.classifiers()[name]((3, 32, 32), 10, ClassifierOptions(**options))
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("name", "channels", "blocks", "depth", "millions"),
    [
        ("sll-small", 45, 20, 7, 41),
        ("sll-medium", 60, 30, 10, 78),
        ("sll-large", 90, 50, 10, 118),
        ("sll-xlarge", 120, 70, 15, 236),
    ],
)
def test_sll_has_the_published_sizes(name: str, channels: int, blocks: int, depth: int, millions: int) -> None:
    features = channels * 8 * 8
    convolutions = blocks * (5 * channels * 9 + 2 * 5)  # kernels; biases and log q of the inner channels
    dense = depth * (2048 * features + 2 * 2048)
    assert parameters(name) == convolutions + dense + 10 * features + 10
    assert parameters(name) // 10**6 == millions


def test_the_compared_networks_double_in_width() -> None:
    """25 convolutions of the width w 2^i, 3 x 3 in the first four of five stages, a first one, a head of 32 w."""
    for name, width in (("convnet-xs", 16), ("convnet-s", 32)):
        widths = [width * 2**stage for stage in range(5)]
        kernels = width**2 + sum(5 * w * w * (1 if w == widths[-1] else 9) for w in widths)
        biases = width + 5 * sum(widths)
        assert parameters(name, convolution="aol", head="linear") == kernels + biases + 10 * 32 * width + 10


def test_lipconvnet_has_as_many_convolutions_as_its_name_says() -> None:
    for number in (5, 15, 40):
        with torch.device("meta"):
            net = models.classifiers()[f"lipconvnet-{number}"](
                (3, 32, 32), 10, ClassifierOptions(convolution="conv", head="linear", activation="relu")
            )
        found = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
        assert len(found) == number
        assert [m.out_channels for m in found if m.in_channels * 2 == m.out_channels * 4 or m is found[-1]][-1] == 1024
        assert found[-1].kernel_size == (1, 1)


@each
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 64, 64), (3, 224, 224), (3, 45, 70)])
def test_every_side_of_a_picture_and_the_constant_of_what_comes_before_the_head(name: str, shape: tuple) -> None:
    net = build(name, shape, 7)
    x = torch.rand(2, *shape)
    assert net(x).shape == (2, 7)  # in training mode, so that running means move
    net.eval()
    assert torch.allclose(tnn.fold(net)(x), net(x), atol=1e-5)
    body = net[:-1]
    assert taut.lipschitz_bound(body, input_shape=shape) < 1 + 1e-4
    y = (x + 0.1 * torch.randn_like(x)).double()
    moved = (body.double()(y) - body(x.double())).flatten(1).norm(dim=1)
    assert bool((moved <= (y - x).flatten(1).norm(dim=1) * (1 + 1e-6)).all())


@each
def test_every_network_can_be_certified_sample_by_sample_and_keeps_its_factor(name: str) -> None:
    net = build(name, (3, 32, 32), head="unit-norm", lipschitz=3.0)
    x = torch.rand(3, 3, 32, 32)
    net(x)
    plain = tnn.fold(net.eval())
    labels = plain(x).argmax(1)
    certificate = taut.certify.robustness(plain, x, labels)
    rows = [m for m in plain.modules() if isinstance(m, nn.Linear)][-1].weight.detach()
    gaps = plain(x).topk(2).values
    between = torch.cdist(rows, rows).amax()
    assert float(rows.norm(dim=1).amax()) == pytest.approx(3.0, rel=1e-4)
    least = ((gaps[:, 0] - gaps[:, 1]) / between).double() * (1 - 1e-3)
    assert bool((torch.as_tensor(certificate.radius) >= least - 1e-5).all())


@pytest.mark.parametrize("name", ["lipconvnet-10", "convnet-xs", "liresnet"])
def test_they_take_every_convolution(name: str) -> None:
    from taut.models import classifier_convolutions

    x = torch.rand(2, 3, 32, 32)
    for convolution in classifier_convolutions():
        options = {"channels": 4, "blocks": 1} if name != "lipconvnet-10" else {}
        net = build(name, convolution=convolution, **options)
        assert net(x).shape == (2, 10), convolution
        brings = convolution in ("sll", "cpl", "sandwich")
        stem = name == "liresnet"
        assert any(isinstance(m, tnn.MaxMin) for m in net.modules()) == (not brings or stem), convolution


def test_depth_nought_is_meant_and_not_taken_for_absent() -> None:
    dense = [m for m in build("sll-small", depth=0).modules() if isinstance(m, tnn.SLLLinear)]
    assert dense == []
    assert len([m for m in build("sll-small", depth=2).modules() if isinstance(m, tnn.SLLLinear)]) == 2


@pytest.mark.parametrize(
    ("name", "shape", "options", "reason"),
    [
        ("sll-small", (3, 32, 32), {"convolution": "soc"}, "has no convolution to choose, got 'soc'"),
        ("sll-small", (64,), {}, "takes pictures"),
        ("sll-small", (9, 8, 8), {}, "channels must be at least those of the picture, 9, got 6"),
        ("liresnet", (3, 16, 16), {"depth": -1}, "depth must not be negative, got -1"),
        ("lipnext", (3, 32, 32), {"depth": 2}, "has no depth to choose, got 2: it has blocks, channels, head"),
        ("lipconvnet-10", (3, 32, 32), {"activation": "group-sort", "group_size": 3}, "3"),
        ("convnet-xs", (3, 32, 32), {"channels": 5}, "channels must be even .*, got 5"),
        ("convnet-xs", (3, 32, 32), {"activation": "max-out"}, "keep the number of channels, got 'max-out'"),
        ("liresnet", (3, 32, 32), {"activation": "concat-relu"}, "keep the number of channels, got 'concat-relu'"),
        ("liresnet", (3, 3, 32), {}, "sides from 4 on"),
        ("liresnet", (3, 32, 32), {"convolution": "rko-3d"}, "convolution must be one of"),
    ],
)
def test_what_cannot_be_built_is_said(name: str, shape: tuple, options: dict, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        build(name, shape, **options)
    with pytest.raises(ValueError, match="classes must be at least 2, got 1"):
        build(name, (3, 32, 32), 1)


def test_a_padded_picture_is_centred() -> None:
    (around,), sides = padded_to((5, 6), 4)
    assert sides == (8, 8)
    assert around.padding == (1, 1, 1, 2)
    assert padded_to((8, 4), 4) == ([], (8, 4))
    assert math.prod(around(torch.ones(1, 1, 5, 6)).shape) == 64
