"""A training step of one 3 x 3 convolution and its activation, by each method."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import nn

from taut import nn as tnn
from taut.bench.config import BenchConfig
from taut.bench.peers import convolution_peers
from taut.bench.section import Section, training_step
from taut.bench.timing import Call, Contenders

BASE = "torch: Conv2d + ReLU"
BLOCKS = ("sll", "cpl", "sandwich")
"""With an activation inside."""


def sections(config: BenchConfig, device: torch.device) -> Iterator[Section]:
    """A table for each size."""
    for channels, side, batch in zip(config.channels, config.sides, config.images, strict=True):
        yield Section(
            title=f"Training step of a 3 x 3 convolution, {channels} channels, {side} x {side}, batch {batch}, "
            f"{config.precision}",
            base=BASE,
            contenders=partial(contenders, (batch, channels, side, side), config, device),
        )


def contenders(shape: tuple[int, ...], config: BenchConfig, device: torch.device) -> Contenders:
    """Training steps of one convolution on pictures of `shape`, batch first."""
    channels = shape[1]
    plain = partial(nn.Conv2d, channels, channels, 3, padding=1)
    layers: dict[str, Callable[[], nn.Module]] = {
        BASE: lambda: nn.Sequential(plain(), nn.ReLU()),
        "torch: Conv2d, circular, + ReLU": lambda: nn.Sequential(plain(padding_mode="circular"), nn.ReLU()),
        "torch: Conv2d + MaxMin": lambda: nn.Sequential(plain(), tnn.MaxMin()),
    }
    for name, cls in tnn.convolutions().items():
        if cls.__name__.endswith("Conv2d") and name != "linf":
            layers[f"taut: {name}"] = partial(_layer, cls, channels, bare=name in BLOCKS)
    layers["taut: soc, 5 terms"] = lambda: nn.Sequential(tnn.SOCConv2d(channels, channels, 3, terms=5), tnn.MaxMin())
    layers |= {name: partial(make, channels) for name, make in convolution_peers().items()}
    return {name: partial(_step, make, shape, config, device) for name, make in layers.items()}


def _layer(cls: type[nn.Module], channels: int, *, bare: bool) -> nn.Module:
    layer = cls(channels, channels, 3)
    return layer if bare else nn.Sequential(layer, tnn.MaxMin())


def _step(make: Callable[[], nn.Module], shape: tuple[int, ...], config: BenchConfig, device: torch.device) -> Call:
    inputs = torch.randn(shape, device=device, requires_grad=True)
    weight = torch.randn(shape, device=device)
    return training_step(make(), inputs, lambda z: (z * weight).mean(), precision=config.precision)
