"""LeNet: two convolutions with pooling, then dense layers; standard or Lipschitz."""

import math

from torch import nn

from taut import nn as tnn
from taut.models._choices import classifier_convolutions, classifier_linear
from taut.models._parts import chain, check_shape, dense_layers, drops, made_activation, named
from taut.models.critics import critic_activations

_KERNEL = 5
_SMALLEST = 16
"""Sides from which on two unpadded convolutions and two halvings leave something."""


def lenet(
    shape: tuple[int, ...],
    classes: int,
    *,
    channels: int = 10,
    width: int = 50,
    depth: int = 1,
    convolution: str = "aoc",
    linear: str = "bjorck",
    activation: str = "max-min",
    group_size: int = 2,
    head: str = "bjorck",
    lipschitz: float = 1.0,
    dropout: float = 0.0,
    bjorck_steps: int = 0,
) -> nn.Sequential:
    r"""K head(dense(...flatten(act(max2(conv(act(max2(conv(x)))))))): K-Lipschitz in the norm of the layers chosen.

    Convolutions are 5 x 5 with `channels` and twice as many outputs, unpadded (with zeros around pictures whose smaller
    side is under 16), each before a maximum over 2 x 2 pixels, which does not stretch, and an activation. With "conv"
    and "linear" it is the unconstrained net to compare with. On MNIST the defaults are the published sizes: 784 - 10 x
    12 x 12 - 20 x 4 x 4 - 50 - 10.

    Shapes: (batch, *shape) -> (batch, classes).

    Args:
        shape: Of one picture, (channels, height, width), each side at least 4.
        classes: Number of logits.
        channels: Outputs of the first convolution.
        width: Output features of each hidden dense layer.
        depth: Number of hidden dense layers.
        convolution: A key of `classifier_convolutions()`.
        linear: Hidden dense layers, a key of `classifier_linears()`.
        activation: A key of `taut.nn.activations()`, or "relu" to compare with.
        group_size: Of the activations that have one.
        head: Last linear layer, a key of `classifier_linears()`.
        lipschitz: K.
        dropout: Share that training sets to 0: whole channels after the second convolution, features after dense ones.
        bjorck_steps: As in `taut.models.mlp`.

    Raises:
        ValueError: A size, a name or a combination that is not allowed.

    Source: LeCun et al. (1998); the sizes of Anil, Lucas and Grosse (2019).

    Example:
        >>> import torch, taut
        >>> net = lenet((1, 28, 28), 10)
        >>> net(torch.zeros(3, 1, 28, 28)).shape, taut.lipschitz_bound(net, input_shape=(1, 28, 28)) < 1 + 1e-4
        (torch.Size([3, 10]), True)
    """
    check_shape(shape)
    if len(shape) != 3 or min(shape[1:]) < 4:
        raise ValueError(f"lenet takes pictures (channels, height, width) of sides from 4 on, got shape {shape}")
    if classes < 2:
        raise ValueError(f"classes must be at least 2, got {classes}")
    if channels < 1:
        raise ValueError(f"channels must be at least 1, got {channels}")
    conv = named("convolution", convolution, classifier_convolutions())
    act = named("activation", activation, critic_activations())
    padded = min(shape[1:]) < _SMALLEST
    layers: list[nn.Module] = []
    inputs, sides = shape[0], shape[1:]
    for outputs, dropped in ((channels, 0.0), (2 * channels, dropout)):
        activated, narrowed = made_activation(act, outputs, group_size)
        convolved = conv(inputs, outputs, _KERNEL, padding=_KERNEL // 2 if padded else 0)
        layers += [convolved, *drops(dropped, nn.Dropout2d), tnn.MaxPool2d(2), activated]
        inputs = narrowed
        sides = tuple((side if padded else side - _KERNEL + 1) // 2 for side in sides)
    hidden, features = dense_layers(
        inputs * math.prod(sides),
        width=width,
        depth=depth,
        linear=classifier_linear("linear", linear, bjorck_steps),
        activation=act,
        group_size=group_size,
        dropout=dropout,
    )
    last = classifier_linear("head", head, bjorck_steps)
    return chain(*layers, nn.Flatten(), *hidden, last(features, classes), lipschitz=lipschitz)
