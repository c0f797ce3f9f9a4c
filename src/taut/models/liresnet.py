"""LiResNet and BRONet: a strided stem, a chain of convolutions at one resolution, a patchwise neck, dense layers."""

import math
from collections.abc import Callable

from torch import nn

from taut import nn as tnn
from taut.models._choices import classifier_convolutions, classifier_linear
from taut.models._parts import chain, dense_layers, made_activation, named
from taut.models._pictures import activated, check_pictures, check_positive, padded_to
from taut.models.critics import critic_activations

_LIRESNET = "liresnet"
_NECK = 4
"""Side of the patches that the neck makes one place of."""
_PATCHES = 16
"""Places a side behind the stem, for pictures above 64 x 64: 14 x 14 patches of 224 x 224, as published."""


def liresnet(
    shape: tuple[int, ...],
    classes: int,
    *,
    channels: int = 256,
    blocks: int = 12,
    convolution: str = _LIRESNET,
    linear: str = "cholesky",
    width: int = 2048,
    depth: int = 8,
    activation: str = "max-min",
    group_size: int = 2,
    head: str = "unit-norm",
    lipschitz: float = 1.0,
    dropout: float = 0.0,
) -> nn.Sequential:
    r"""K head(dense^depth(neck(body^blocks(stem(x))))): every logit K-Lipschitz in the norm of the layers chosen.

    The stem is an orthogonal convolution of 5 x 5 and stride 2 (for sides above 64 one that makes 16 x 16 patches of
    the picture). A body layer is a convolution of 3 x 3 without bias, centred by the running mean of its outputs. The
    neck makes one place of each patch of 4 x 4 by an orthogonal convolution, and `width` features of all of them by a
    dense layer; `depth` more follow. An activation is behind each. Where 8 (or a patch of the stem) does not divide a
    side, zeros are put around the picture.

    With `convolution` "liresnet" and `linear` "cholesky" it is LiResNet, each body layer (I + c K) / b with c =
    1/sqrt(blocks) at the start, b a proven bound; with "bro" and "bro" BRONet.

    Shapes: (batch, *shape) -> (batch, classes).

    Args:
        shape: Of one picture, (channels, height, width), each side at least 4.
        classes: Number of logits.
        channels: Of the body.
        blocks: Number of body layers.
        convolution: "liresnet", or a key of `classifier_convolutions()`.
        linear: Dense layers, a key of `classifier_linears()`.
        width: Features of each dense layer.
        depth: Number of dense layers behind the neck's.
        activation: A key of `taut.nn.activations()`, or "relu", that keeps the number of channels.
        group_size: Of the activations that have one.
        head: Last linear layer, a key of `classifier_linears()`.
        lipschitz: K.
        dropout: Share of the dense layers' features that training sets to 0.

    Raises:
        ValueError: A size, a name or a combination that is not allowed.

    Source: Hu, Zou, Wang, Leino and Fredrikson (2023); Lai et al. (2025).

    Example:
        >>> import torch
        >>> net = liresnet((3, 32, 32), 10, channels=8, blocks=2, width=16, depth=1)
        >>> net(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """
    check_pictures(_LIRESNET, shape, classes, smallest=4)
    check_positive(channels=channels, blocks=blocks, width=width)
    act = named("activation", activation, critic_activations())
    if made_activation(act, channels, group_size)[1] != channels:
        raise ValueError(f"liresnet takes activations that keep the number of channels, got {activation!r}")
    body = _body(convolution, channels, blocks)
    stem, sides = _stem(shape, channels)
    layers = [*stem, made_activation(act, channels, group_size)[0]]
    for _ in range(blocks):
        made, _ = activated(body(), channels, act, group_size)
        layers += [made[0], tnn.BatchCentering(channels), *made[1:]]
    around, sides = padded_to(sides, _NECK)
    if depth < 0:
        raise ValueError(f"depth must not be negative, got {depth}")
    hidden, features = dense_layers(
        channels * math.prod(side // _NECK for side in sides),
        width=width,
        depth=1 + depth,
        linear=classifier_linear("linear", linear, 0),
        activation=act,
        group_size=group_size,
        dropout=dropout,
    )
    patches = tnn.RKOConv2d(channels, channels, _NECK, stride=_NECK, padding=0, bias=False)
    last = classifier_linear("head", head, 0)
    return chain(*layers, *around, patches, nn.Flatten(), *hidden, last(features, classes), lipschitz=lipschitz)


def _body(convolution: str, channels: int, blocks: int) -> Callable[[], nn.Module]:
    if convolution == _LIRESNET:
        return lambda: tnn.LiResNetConv2d(channels, scale=blocks**-0.5, bias=False)
    conv = named("convolution", convolution, classifier_convolutions())
    return lambda: conv(channels, channels, 3, padding="same", bias=False)


def _stem(shape: tuple[int, ...], channels: int) -> tuple[list[nn.Module], tuple[int, int]]:
    """Layers from the picture to `channels` at a lower resolution, and the sides of that."""
    if max(shape[1:]) <= 64:
        around, sides = padded_to(shape[1:], 2 * _NECK)
        return [*around, tnn.AOCConv2d(shape[0], channels, 5, stride=2, padding=2)], (sides[0] // 2, sides[1] // 2)
    patch = math.ceil(max(shape[1:]) / _PATCHES)
    around, sides = padded_to(shape[1:], patch)
    convolved = tnn.RKOConv2d(shape[0], channels, patch, stride=patch, padding=0)
    return [*around, convolved], (sides[0] // patch, sides[1] // patch)
