"""Bounds proven in floating point, in multiples of what torch takes for a number that is not proven."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from taut import certify, models
from taut import nn as tnn
from taut.bench.config import BenchConfig
from taut.bench.section import Section
from taut.bench.timing import Call, Contenders

DENSE_BASE = "torch: svdvals in float64"
CONV_BASE = "torch: norms of the symbol on a 32 x 32 grid"
NETWORK_BASE = "the network itself, a batch of 100"


def sections(config: BenchConfig, device: torch.device) -> Iterator[Section]:
    """Weights, kernels and whole networks. Proofs are made on the CPU, whatever the device."""
    for width in config.widths:
        yield Section(
            title=f"Norm of a {width} x {width} float32 weight",
            base=DENSE_BASE,
            contenders=partial(_dense, width),
        )
    for channels in config.channels:
        yield Section(
            title=f"Norm of a 3 x 3 convolution of {channels} channels, zero padding",
            base=CONV_BASE,
            contenders=partial(_conv, channels),
        )
    yield Section(
        title="Lipschitz constant (l2) of a network, pictures of 32 x 32",
        base=NETWORK_BASE,
        contenders=_networks,
    )


def _dense(width: int) -> Contenders:
    weight = torch.randn(width, width) / width**0.5

    def orthogonal() -> Call:
        factor = torch.linalg.qr(weight).Q
        return lambda: certify.spectral_norm_bound(factor)

    return {
        DENSE_BASE: lambda: lambda: float(torch.linalg.svdvals(weight.double())[0]),
        "taut: spectral_norm_bound": lambda: lambda: certify.spectral_norm_bound(weight),
        "taut: spectral_norm_bound, orthogonal weight": orthogonal,
        "taut: gram_norm (for training)": lambda: lambda: _gram_norm(weight),
    }


def _gram_norm(weight: Tensor) -> float:
    from taut.functional import gram_norm

    return float(gram_norm(weight))


def _conv(channels: int) -> Contenders:
    kernel = torch.randn(channels, channels, 3, 3) / (3 * channels**0.5)
    made = {
        CONV_BASE: lambda: lambda: _on_grid(kernel),
        "taut: conv_norm_bound": lambda: lambda: certify.conv_norm_bound(kernel, padding=1),
    }
    if channels <= 128:
        orthogonal = tnn.AOCConv2d(channels, channels, 3).weight.detach()
        made["taut: conv_norm_bound, orthogonal kernel"] = lambda: (
            lambda: certify.conv_norm_bound(orthogonal, padding=1)
        )
    return made


@torch.no_grad()
def _on_grid(kernel: Tensor) -> float:
    symbol = torch.fft.fft2(kernel, s=(32, 32)).permute(2, 3, 0, 1)
    return float(torch.linalg.matrix_norm(symbol, ord=2).max())


def _networks() -> Contenders:
    shape = (3, 32, 32)
    options = models.ClassifierOptions()
    resnet = models.classifiers()["resnet-18"](shape, 10, options).eval()
    convnet = tnn.fold(models.convnet(shape, 10, channels=16)).eval()
    mlp = tnn.fold(models.mlp(shape, 10)).eval()
    batch = torch.rand(100, *shape)

    def forward() -> Call:
        def call() -> float:
            with torch.no_grad():
                return float(resnet(batch)[0, 0])

        return call

    made: dict[str, Callable[[], Call]] = {NETWORK_BASE: forward}
    for name, model in (("resnet-18", resnet), ("convnet-xs, folded", convnet), ("mlp of 3 x 512, folded", mlp)):
        made[f"taut: lipschitz_bound of {name}"] = partial(_bound, model, shape)
    return made


def _bound(model: nn.Module, shape: tuple[int, ...]) -> Call:
    return lambda: certify.lipschitz_bound(model, input_shape=shape)
