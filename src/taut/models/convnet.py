"""The convolutional network on which 1-Lipschitz layers have been compared: one skeleton for layers of every kind."""

from torch import nn

from taut import nn as tnn
from taut.models._choices import classifier_convolutions, classifier_linear
from taut.models._parts import chain, named
from taut.models._pictures import activated, check_pictures, check_positive, padded_to
from taut.models.critics import critic_activations

_STAGES = 5
CONVNETS = {"convnet-xs": 16, "convnet-s": 32, "convnet-m": 64, "convnet-l": 128}
"""Channels of the first convolution by the name of the network: 1.3, 5.2, 21 and 84 million parameters in layers that
have one for each entry of a kernel."""


def convnet(
    shape: tuple[int, ...],
    classes: int,
    *,
    channels: int = 16,
    blocks: int = 5,
    convolution: str = "aoc",
    activation: str = "max-min",
    group_size: int = 2,
    head: str = "bjorck",
    lipschitz: float = 1.0,
) -> nn.Sequential:
    r"""K head(max(stage_5(...stage_1(act(conv(pad(x))))))): K-Lipschitz in the norm of the layers chosen.

    `pad` appends zero channels, the first convolution is 1 x 1. A stage is `blocks` convolutions of 3 x 3 (1 x 1 in the
    fifth), each before an activation, then half of the channels are dropped and each block of 2 x 2 pixels becomes four
    channels: half the side, twice the channels. Then the maximum over what is left of the picture. Sides that 32 does
    not divide get zeros around them. Convolutions that are blocks with a ReLU inside take no other activation.

    In the published network a square orthogonal layer comes last, of which the first outputs are the logits; "bjorck"
    is those rows alone.

    Shapes: (batch, *shape) -> (batch, classes).

    Args:
        shape: Of one picture, (channels, height, width).
        classes: Number of logits, at most 32 times `channels` for an orthogonal head.
        channels: Of the first convolution, even; 16, 32, 64 and 128 are published as XS, S, M and L.
        blocks: Convolutions of a stage.
        convolution: A key of `classifier_convolutions()`.
        activation: A key of `taut.nn.activations()`, or "relu", that keeps the number of channels.
        group_size: Of the activations that have one.
        head: Last linear layer, a key of `classifier_linears()`.
        lipschitz: K.

    Raises:
        ValueError: A size, a name or a combination that is not allowed.

    Source: Prach, Brau, Buttazzo and Lampert (2024).

    Example:
        >>> import torch
        >>> convnet((3, 32, 32), 10, channels=4, blocks=1)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """
    check_pictures("convnet", shape, classes)
    check_positive(channels=channels, blocks=blocks)
    if channels % 2 or channels < shape[0]:
        raise ValueError(f"channels must be even and at least those of the picture ({shape[0]}), got {channels}")
    conv = named("convolution", convolution, classifier_convolutions())
    act = named("activation", activation, critic_activations())
    layers, _ = padded_to(shape[1:], 2**_STAGES)
    made, width = activated(conv(channels, channels, 1, padding="same"), channels, act, group_size)
    layers += [tnn.ChannelPad(shape[0], channels), *made]
    for stage in range(_STAGES):
        if width != channels * 2**stage:
            raise ValueError(f"convnet takes activations that keep the number of channels, got {activation!r}")
        kernel = 1 if stage == _STAGES - 1 else 3
        for _ in range(blocks):
            layers += activated(conv(width, width, kernel, padding="same"), width, act, group_size)[0]
        layers += [tnn.ChannelPool(width, width // 2, mode="truncate"), tnn.InvertibleDownsampling(2)]
        width *= 2
    last = classifier_linear("head", head, 0)
    return chain(*layers, tnn.GlobalMaxPool(), last(width, classes), lipschitz=lipschitz)
