r"""Critics: K-Lipschitz functions (l2) with one number for each sample, over which Wasserstein distances are a maximum.

By Kantorovich and Rubinstein, K W1(p, q) is the largest E_p f - E_q f over all K-Lipschitz f.
"""

import math

from torch import nn

from taut import nn as tnn
from taut.models._parts import check_shape, dense_layers, made_activation, named

_OTHER_NORMS = ("linf", "linf-dist", "sort", "unit-norm")
"""Bounded in linf, or for each output by itself."""


def critic_linears() -> dict[str, type[nn.Module]]:
    """The layers of a critic on vectors: those of `taut.nn.linears()` that are 1-Lipschitz in l2.

    >>> "bjorck" in critic_linears(), "linf" in critic_linears()
    (True, False)
    """
    return {name: cls for name, cls in tnn.linears().items() if name not in _OTHER_NORMS}


def critic_convolutions() -> dict[str, type[nn.Module]]:
    """The convolutions of a critic: those of `taut.nn.convolutions()` on pictures that are 1-Lipschitz in l2.

    >>> "aoc" in critic_convolutions(), "rko-3d" in critic_convolutions()
    (True, False)
    """
    others = ("1d", "3d", "transpose", *_OTHER_NORMS)
    known = tnn.convolutions().items()
    return {name: cls for name, cls in known if not name.endswith(others)}


def critic_activations() -> dict[str, type[nn.Module]]:
    """The activations of a critic: `taut.nn.activations()`, and "relu" to compare with.

    >>> critic_activations()["relu"].__name__
    'ReLU'
    """
    return {**tnn.activations(), "relu": nn.ReLU}


def dense_critic(
    shape: tuple[int, ...],
    *,
    width: int = 512,
    depth: int = 3,
    linear: str = "bjorck",
    activation: str = "max-min",
    group_size: int = 2,
    lipschitz: float = 1.0,
) -> tnn.Sequential:
    r"""K linear(act(linear(...act(linear(flatten(x)))...))) with one output: K-Lipschitz in l2.

    With orthogonal layers and a sorting activation the gradient's norm is K everywhere as long as no layer has more
    outputs than inputs; where one has, training can reach K. With "spectral-norm" each layer's largest singular value
    is 1, the others at most that, and gradients shrink.

    Shapes: (batch, *shape) -> (batch, 1).

    Args:
        shape: Of one sample, such as (2,) or (1, 28, 28).
        width: Output features of each hidden linear layer.
        depth: Number of hidden layers, each a linear layer and an activation.
        linear: All linear layers, the last one too: a key of `critic_linears()`.
        activation: A key of `critic_activations()`.
        group_size: Of the activations that have one.
        lipschitz: K.

    Raises:
        ValueError: A size, a name or a combination that is not allowed.

    Source: Anil, Lucas and Grosse (2019), section 5.

    Example:
        >>> import taut, torch
        >>> f = dense_critic((2,), width=16, depth=2, lipschitz=3.0)
        >>> f(torch.zeros(5, 2)).shape, 3 <= taut.lipschitz_bound(f) < 3 * (1 + 1e-5)
        (torch.Size([5, 1]), True)
    """
    check_shape(shape)
    cls = named("linear", linear, critic_linears())
    layers, features = dense_layers(
        math.prod(shape),
        width=width,
        depth=depth,
        linear=cls,
        activation=named("activation", activation, critic_activations()),
        group_size=group_size,
    )
    return tnn.Sequential(nn.Flatten(), *layers, cls(features, 1), lipschitz=lipschitz)


def conv_critic(
    shape: tuple[int, ...],
    *,
    width: int = 32,
    levels: int = 2,
    convolution: str = "aoc",
    downsampling: str = "pixels",
    padding_mode: str = "circular",
    dense_width: int = 256,
    dense_depth: int = 1,
    linear: str = "bjorck",
    activation: str = "max-min",
    group_size: int = 2,
    lipschitz: float = 1.0,
) -> tnn.Sequential:
    r"""K dense(flatten(act(conv(down(...act(conv(down(x)))...))))) with one output: K-Lipschitz in l2.

    Level i of `levels` halves the picture and has width 2^i channels. `downsampling` "pixels" makes each 2 x 2 block
    four channels, before a 3 x 3 convolution; "stride" is a 4 x 4 convolution of stride 2.

    With circular padding an orthogonal convolution ("aoc", "bcop") keeps the gradient's norm wherever it does not have
    more outputs than inputs: width <= 4 c, and dense layers that narrow. Wider ones can learn to.

    Shapes: (batch, c, h, w) -> (batch, 1).

    Args:
        shape: (c, h, w) of one sample; 2^levels divides h and w.
        width: Channels of the first level.
        levels: Number of halvings.
        convolution: A key of `critic_convolutions()`.
        downsampling: As above.
        padding_mode: "circular" or "zeros"; some convolutions know one of them only.
        dense_width: Features of each hidden dense layer.
        dense_depth: Number of hidden dense layers.
        linear: All dense layers, the last one too: a key of `critic_linears()`.
        activation: A key of `critic_activations()`.
        group_size: Of the activations that have one.
        lipschitz: K.

    Raises:
        ValueError: A size, a name or a combination that is not allowed.

    Source: Li et al. (2019), section 5.2.

    Example:
        >>> import torch
        >>> f = conv_critic((1, 8, 8), width=4, dense_width=16)
        >>> f(torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5, 1])
    """
    check_shape(shape)
    if len(shape) != 3 or levels < 1 or shape[1] % 2**levels or shape[2] % 2**levels:
        raise ValueError(
            "the shape must be (channels, height, width) with sides that 2^levels divides, and levels at least 1, "
            f"got {shape} and levels {levels}"
        )
    if width < 1:
        raise ValueError(f"width must be at least 1, got {width}")
    if downsampling not in ("pixels", "stride"):
        raise ValueError(f"downsampling must be 'pixels' or 'stride', got {downsampling!r}")
    if padding_mode not in ("circular", "zeros"):
        raise ValueError(f"padding_mode must be 'circular' or 'zeros', got {padding_mode!r}")
    conv = named("convolution", convolution, critic_convolutions())
    dense, act_cls = named("linear", linear, critic_linears()), named("activation", activation, critic_activations())
    layers: list[nn.Module] = []
    channels = shape[0]
    for level in range(levels):
        wider = width * 2**level
        act, narrowed = made_activation(act_cls, wider, group_size)
        layers += [*_halving(conv, channels, wider, downsampling, padding_mode), act]
        channels = narrowed
    hidden, features = dense_layers(
        channels * (shape[1] >> levels) * (shape[2] >> levels),
        width=dense_width,
        depth=dense_depth,
        linear=dense,
        activation=act_cls,
        group_size=group_size,
    )
    return tnn.Sequential(*layers, nn.Flatten(), *hidden, dense(features, 1), lipschitz=lipschitz)


def _halving(conv: type[nn.Module], channels: int, wider: int, downsampling: str, padding_mode: str) -> list[nn.Module]:
    if downsampling == "stride":
        return [conv(channels, wider, 4, stride=2, padding_mode=padding_mode)]
    return [tnn.InvertibleDownsampling(2), conv(4 * channels, wider, 3, padding_mode=padding_mode)]
