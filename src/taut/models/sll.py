"""The network of SDP-based Lipschitz layers: residual convolutions at one resolution, a pool, residual dense layers."""

import math
from dataclasses import dataclass

from torch import nn

from taut import nn as tnn
from taut.models._choices import classifier_linear
from taut.models._parts import chain
from taut.models._pictures import check_pictures, check_positive, padded_to

_POOL = 4
_PLACES = 16
"""Places a side that are left after the pool, at most: pictures up to 64 x 64 are pooled by 4, as published."""


@dataclass(frozen=True, kw_only=True)
class SLLSize:
    """What differs between the published sizes."""

    channels: int
    """Of every convolution; the pictures' own are padded with zeros."""
    blocks: int
    """Number of convolutional layers."""
    depth: int
    """Number of dense layers."""


SLL_SIZES = {
    "sll-small": SLLSize(channels=45, blocks=20, depth=7),
    "sll-medium": SLLSize(channels=60, blocks=30, depth=10),
    "sll-large": SLLSize(channels=90, blocks=50, depth=10),
    "sll-xlarge": SLLSize(channels=120, blocks=70, depth=15),
}
"""41, 78, 118 and 236 million parameters for pictures of 32 x 32 in ten classes."""


def sll_network(
    shape: tuple[int, ...],
    classes: int,
    *,
    channels: int = 45,
    blocks: int = 20,
    inner_channels: int = 5,
    depth: int = 7,
    width: int = 2048,
    head: str = "unit-norm",
    lipschitz: float = 1.0,
) -> nn.Sequential:
    r"""K head(dense^depth(flatten(pool(conv^blocks(pad(x)))))): every logit K-Lipschitz in l2, for any parameters.

    `pad` appends zero channels, each `conv` is an `SLLConv2d` of 3 x 3, `pool` sums windows of 4 x 4 and divides by 4
    (larger windows for pictures above 64 x 64, so that 16 x 16 places are left), each `dense` is an `SLLLinear`. Where
    the window does not divide a side, zeros are put around the picture. The layers bring their own ReLU.

    Shapes: (batch, *shape) -> (batch, classes).

    Args:
        shape: Of one picture, (channels, height, width).
        classes: Number of logits.
        channels: Of the convolutions, at least those of the picture.
        blocks: Number of convolutions.
        inner_channels: Channels inside a convolutional block; 5 is published.
        depth: Number of dense layers.
        width: Features inside a dense block; 2048 is published.
        head: Last linear layer, a key of `classifier_linears()`.
        lipschitz: K.

    Raises:
        ValueError: A size or a name that is not allowed.

    Source: Araujo et al. (2023).

    Example:
        >>> import torch, taut
        >>> net = sll_network((3, 32, 32), 10, channels=6, blocks=2, depth=1, width=8)
        >>> net(torch.zeros(2, 3, 32, 32)).shape, taut.lipschitz_bound(net[:-1], input_shape=(3, 32, 32)) < 1 + 1e-4
        (torch.Size([2, 10]), True)
    """
    check_pictures("an SLL network", shape, classes)
    check_positive(blocks=blocks, inner_channels=inner_channels, width=width)
    if channels < shape[0]:
        raise ValueError(f"channels must be at least those of the picture, {shape[0]}, got {channels}")
    if depth < 0:
        raise ValueError(f"depth must not be negative, got {depth}")
    window = max(_POOL, math.ceil(max(shape[1:]) / _PLACES))
    around, sides = padded_to(shape[1:], window)
    features = channels * (sides[0] // window) * (sides[1] // window)
    return chain(
        *around,
        tnn.ChannelPad(shape[0], channels),
        *(tnn.SLLConv2d(channels, channels, 3, inner_channels=inner_channels) for _ in range(blocks)),
        tnn.ScaledAvgPool2d(window),
        nn.Flatten(),
        *(tnn.SLLLinear(features, features, inner_features=width) for _ in range(depth)),
        classifier_linear("head", head, 0)(features, classes),
        lipschitz=lipschitz,
    )
