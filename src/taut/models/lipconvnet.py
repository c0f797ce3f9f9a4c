"""LipConvNet: five stages of Lipschitz convolutions of any kind, each of which ends by halving the picture."""

from torch import nn

from taut import nn as tnn
from taut.models._choices import classifier_convolutions, classifier_linear
from taut.models._parts import chain, named
from taut.models._pictures import activated, check_pictures, check_positive, padded_to
from taut.models.critics import critic_activations

_STAGES = 5
LIPCONVNETS = {f"lipconvnet-{_STAGES * blocks}": blocks for blocks in range(1, 9)}
"""Convolutions of a stage, by the name of the network: its number counts all of them."""


def lipconvnet(
    shape: tuple[int, ...],
    classes: int,
    *,
    channels: int = 32,
    blocks: int = 1,
    convolution: str = "soc",
    activation: str = "max-min",
    group_size: int = 2,
    head: str = "unit-norm",
    lipschitz: float = 1.0,
) -> nn.Sequential:
    r"""K head(flatten(stage_5(...stage_1(x)))): every logit K-Lipschitz in the norm of the layers chosen.

    Stage i is `blocks` convolutions with channels 2^(i-1), 3 x 3, each before an activation. The last of them halves
    the picture: each block of 2 x 2 pixels becomes four channels, and it has twice as many outputs (1 x 1 in stage 5,
    where pictures of 32 x 32 have become 1 x 1). Sides that 32 does not divide get zeros around them. Convolutions that
    are blocks with a ReLU inside (sll, cpl, sandwich) take no other activation.

    Shapes: (batch, *shape) -> (batch, classes).

    Args:
        shape: Of one picture, (channels, height, width).
        classes: Number of logits.
        channels: Outputs of the first convolution.
        blocks: Convolutions of a stage; the published LipConvNet-5, -10, ... -40 have 1, 2, ... 8.
        convolution: A key of `classifier_convolutions()`.
        activation: A key of `taut.nn.activations()`, or "relu" to compare with.
        group_size: Of the activations that have one.
        head: Last linear layer, a key of `classifier_linears()`.
        lipschitz: K.

    Raises:
        ValueError: A size, a name or a combination that is not allowed.

    Source: Singla and Feizi (2021); the head with unit rows: Singla, Singla and Feizi (2022).

    Example:
        >>> import torch
        >>> net = lipconvnet((1, 28, 28), 10, channels=4, convolution="aoc")
        >>> net(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    check_pictures("lipconvnet", shape, classes)
    check_positive(channels=channels, blocks=blocks)
    conv = named("convolution", convolution, classifier_convolutions())
    act = named("activation", activation, critic_activations())
    layers, sides = padded_to(shape[1:], 2**_STAGES)
    inputs = shape[0]
    for stage in range(_STAGES):
        planes = channels * 2**stage
        for _ in range(blocks - 1):
            made, inputs = activated(conv(inputs, planes, 3, padding="same"), planes, act, group_size)
            layers += made
        kernel = 1 if stage == _STAGES - 1 else 3
        halving = conv(4 * inputs, 2 * planes, kernel, padding="same")
        made, inputs = activated(halving, 2 * planes, act, group_size)
        layers += [tnn.InvertibleDownsampling(2), *made]
    features = inputs * (sides[0] >> _STAGES) * (sides[1] >> _STAGES)
    last = classifier_linear("head", head, 0)
    return chain(*layers, nn.Flatten(), last(features, classes), lipschitz=lipschitz)
