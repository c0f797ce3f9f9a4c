"""Residual blocks with batch normalisation: two convolutions, a bottleneck (grouped or not), normalisation first."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from taut.models._parts import drops


@dataclass(frozen=True, kw_only=True)
class BlockMaker:
    """A kind of residual block."""

    make: Callable[[int, int, int, int, float], nn.Module]
    """From input channels, channels within, output channels, stride and dropout to a block."""
    groups: int = 1
    """Of the convolution in the middle."""
    widen: int = 1
    """Channels of the convolution in the middle, over the channels within."""


class PostBlock(nn.Module):
    """relu(body(x) + shortcut(x)) (He, Zhang, Ren and Sun, 2016a)."""

    def __init__(self, body: nn.Sequential, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut, self.relu = body, shortcut, nn.ReLU()

    def forward(self, x: Any) -> Any:  # a tensor, or what stands for one in a graph
        return self.relu(self.body(x) + self.shortcut(x))


class PreBlock(nn.Module):
    """body(u) + shortcut(u) with u = relu(normalised x); without a change of size the shortcut is x itself (He, Zhang,
    Ren and Sun, 2016b)."""

    def __init__(self, first: nn.Sequential, body: nn.Sequential, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.first, self.body, self.shortcut = first, body, shortcut

    def forward(self, x: Any) -> Any:  # a tensor, or what stands for one in a graph
        active = self.first(x)
        return self.body(active) + (x if self.shortcut is None else self.shortcut(active))


def convolution(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without a bias, padded with zeros by half its kernel."""
    return nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)


def basic(*, padded: bool = False) -> BlockMaker:
    """Two convolutions of 3 x 3. Where the size changes, the shortcut is a convolution of 1 x 1, or with `padded` takes
    every other pixel and adds channels of zeros, which has no parameters."""

    def make(inputs: int, within: int, outputs: int, stride: int, dropout: float) -> nn.Module:
        body = nn.Sequential(
            convolution(inputs, within, 3, stride=stride),
            nn.BatchNorm2d(within),
            nn.ReLU(),
            convolution(within, outputs, 3),
            nn.BatchNorm2d(outputs),
        )
        if padded and (stride > 1 or inputs != outputs):
            return PostBlock(body, _subsampled(inputs, outputs, stride))
        return PostBlock(body, _projected(inputs, outputs, stride))

    return BlockMaker(make=make)


def bottleneck(*, groups: int = 1, widen: int = 1) -> BlockMaker:
    """1 x 1, 3 x 3 (in `groups`, on `widen` times the channels, and with the stride) and 1 x 1."""

    def make(inputs: int, within: int, outputs: int, stride: int, dropout: float) -> nn.Module:
        middle = within * widen
        body = nn.Sequential(
            convolution(inputs, middle, 1),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            convolution(middle, middle, 3, stride=stride, groups=groups),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            convolution(middle, outputs, 1),
            nn.BatchNorm2d(outputs),
        )
        return PostBlock(body, _projected(inputs, outputs, stride))

    return BlockMaker(make=make, groups=groups, widen=widen)


def pre_activated() -> BlockMaker:
    """Two convolutions of 3 x 3, each behind its normalisation and ReLU, dropout between them (Zagoruyko and Komodakis,
    2016)."""

    def make(inputs: int, within: int, outputs: int, stride: int, dropout: float) -> nn.Module:
        first = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU())
        between = [nn.BatchNorm2d(within), nn.ReLU(), *drops(dropout)]
        body = nn.Sequential(convolution(inputs, within, 3, stride=stride), *between, convolution(within, outputs, 3))
        same = stride == 1 and inputs == outputs
        return PreBlock(first, body, None if same else convolution(inputs, outputs, 1, stride=stride))

    return BlockMaker(make=make)


def _projected(inputs: int, outputs: int, stride: int) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(convolution(inputs, outputs, 1, stride=stride), nn.BatchNorm2d(outputs))


def _subsampled(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Every `stride`-th pixel, and channels of zeros on both sides of those that are there."""
    before = (outputs - inputs) // 2
    pixels = nn.MaxPool2d(1, stride=stride)  # of single pixels: takes them
    return nn.Sequential(pixels, nn.ZeroPad3d((0, 0, 0, 0, before, outputs - inputs - before)))
