r"""Networks from pictures to pictures of one size: 1-Lipschitz chains of convolutions, and the same unconstrained."""

import math
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from taut import nn as tnn
from taut.models._parts import made_activation, named
from taut.models.critics import critic_activations, critic_convolutions

_KERNEL = 3
_OTHERS = 0.1


def conv_denoiser(
    channels: int = 1,
    *,
    width: int = 64,
    depth: int = 8,
    convolution: str = "aoc",
    activation: str = "max-min",
    group_size: int = 2,
    knots: int = 51,
    spline_range: float = 0.1,
    padding_mode: str = "circular",
    downsampling: int = 1,
    threshold: float = 0.0,
) -> tnn.Sequential:
    r"""up(conv(act(conv(...act(conv(down(x))))))): 1-Lipschitz in l2, for pictures of every size.

    `depth` convolutions of 3 x 3, an activation after each but the last. With zero padding an orthogonal convolution
    is one of a larger picture, restricted; so 1-Lipschitz as well. `down` makes the pixels of each block of s x s
    channels, s = `downsampling`, and `up` undoes it: both only move entries, the convolutions cost s^2 times less, and
    they see s times as far.

    With a `threshold` t the net does not start at random but near the best that is known without training: the second
    half of the convolutions starts as the adjoints of the first (as near as the convolution can: AOC to a tenth,
    between many channels to a half), the activation in the middle as x -> 2 soft_t(x) - x, whose slopes are 1 and -1,
    all others as the identity. So (y + N(y)) / 2 is about the soft thresholding of filter responses, a frame shrinkage.

    Shapes: (batch, channels, h, w) -> the same; s divides both sides, which are at least 3 s with circular padding.

    Args:
        channels: 1 for grey, 3 for colour.
        width: Output channels of every convolution but the last, at least `channels`.
        depth: Number of convolutions, at least 2.
        convolution: A key of `taut.models.critic_convolutions()`; all map channels to channels, none strides.
        activation: A key of `taut.models.critic_activations()`.
        group_size: Of the activations that have one.
        knots: Of linear splines.
        spline_range: Half the range of the knots of linear splines, which start as absolute values.
        padding_mode: "circular" or "zeros"; some convolutions know one of them only.
        downsampling: s.
        threshold: t, in units of the pictures, for activations "n-activation" and "linear-spline", an even depth and
            convolutions that can be given a weight; 0 starts at random.

    Raises:
        ValueError: A size, a name or a combination that is not allowed.

    Source: Ducotterd, Goujon, Bohra, Perdios, Neumayer and Unser (2024), section 4.3: 8 convolutions, 64 channels;
    Zhang, Zuo and Zhang (2018), FFDNet, for the change of resolution;
    Donoho (1995) for soft thresholding.

    Example:
        >>> import taut, torch
        >>> n = conv_denoiser(width=4, depth=3)
        >>> n(torch.zeros(5, 1, 7, 9)).shape, taut.lipschitz_bound(n) < 1 + 1e-4
        (torch.Size([5, 1, 7, 9]), True)
    """
    _check_sizes(channels, width, depth, downsampling)
    _check_padding(padding_mode)
    conv = named("convolution", convolution, critic_convolutions())
    act_cls = named("activation", activation, critic_activations())
    padding = "same" if padding_mode == "circular" else _KERNEL // 2
    layers: list[nn.Module] = []
    features = inside = channels * downsampling**2
    for _ in range(depth - 1):
        layers.append(conv(features, width, _KERNEL, padding=padding, padding_mode=padding_mode))
        if act_cls is tnn.LinearSpline:
            act, features = tnn.LinearSpline(width, knots=knots, width=spline_range, init="absolute"), width
        else:
            act, features = made_activation(act_cls, width, group_size)
        layers.append(act)
    layers.append(conv(features, inside, _KERNEL, padding=padding, padding_mode=padding_mode))
    if threshold:
        _start_as_shrinkage(layers, threshold)
    return tnn.Sequential(*_at_resolution(layers, downsampling))


def starts_as_shrinkage(*, depth: int, convolution: str, activation: str) -> bool:
    """Whether a `conv_denoiser` of these can be given a threshold to start from.

    Example:
        >>> [starts_as_shrinkage(depth=4, convolution="aoc", activation=act) for act in ("n-activation", "max-min")]
        [True, False]
    """
    conv = named("convolution", convolution, critic_convolutions())
    given = parametrize.is_parametrized(conv(2, 2, _KERNEL), "weight")
    return given and depth % 2 == 0 and activation in ("n-activation", "linear-spline")


def plain_denoiser(
    channels: int = 1, *, width: int = 64, depth: int = 8, padding_mode: str = "circular", downsampling: int = 1
) -> nn.Sequential:
    r"""conv(relu(conv(...relu(conv(x))))): the same chain with nothing constrained; no Lipschitz guarantee.

    To compare with: its constant is whatever training makes of it. A chain, so that what it has become can be proven
    for pictures of every size. Its first channels start as the identity (on pictures that are not negative), which is
    to a chain what a skip connection is to a residual net: noise is all that remains to be learned.

    Shapes: (batch, channels, h, w) -> the same; `downsampling` divides both sides.

    Args:
        channels: 1 for grey, 3 for colour.
        width: Output channels of every convolution but the last, at least `channels`.
        depth: Number of convolutions, at least 2.
        padding_mode: "circular" or "zeros".
        downsampling: As for `conv_denoiser`.

    Raises:
        ValueError: A size or a padding that is not allowed.

    Source: Zhang, Zuo, Chen, Meng and Zhang (2017), DnCNN, without its batch normalisation.

    Example:
        >>> import torch
        >>> plain_denoiser(width=4, depth=3)(torch.zeros(5, 1, 7, 9)).shape
        torch.Size([5, 1, 7, 9])
    """
    _check_sizes(channels, width, depth, downsampling)
    _check_padding(padding_mode)
    padding: Any = {"padding": _KERNEL // 2, "padding_mode": padding_mode}
    layers: list[nn.Module] = []
    inside = channels * downsampling**2
    for features, wider in pairwise([inside, *[width] * (depth - 1), inside]):
        layers += [nn.Conv2d(features, wider, _KERNEL, **padding), nn.ReLU()]
    _start_as_identity(layers[:-1:2], inside)
    return nn.Sequential(*_at_resolution(layers[:-1], downsampling))


def _at_resolution(layers: list[nn.Module], downsampling: int) -> list[nn.Module]:
    """The chain between a change of resolution and its inverse; as it is where there is none."""
    if downsampling == 1:
        return layers
    return [tnn.InvertibleDownsampling(downsampling), *layers, tnn.InvertibleUpsampling(downsampling)]


@torch.no_grad()
def _start_as_shrinkage(layers: list[nn.Module], threshold: float) -> None:
    """W_1^T ... W_n^T r(W_n ... W_1 x) with r(x) = 2 soft(x) - x, up to what the convolutions can represent."""
    convolutions, activations = layers[::2], layers[1::2]
    if not 0 < threshold < math.inf:
        raise ValueError(f"threshold must be a finite number that is not negative, got {threshold}")
    if len(convolutions) % 2:
        raise ValueError(f"to start as shrinkage, the depth must be even, got {len(convolutions)} with a threshold")
    if not all(parametrize.is_parametrized(conv, "weight") for conv in convolutions):
        raise ValueError(f"{type(convolutions[0]).__name__} cannot be given a weight: its threshold must be 0")
    for conv in convolutions:
        conv.get_parameter("bias").zero_()
    half = len(convolutions) // 2
    for conv, adjoint in zip(convolutions[:half], convolutions[: half - 1 : -1], strict=True):
        kernel: Any = conv.weight
        adjoint.weight = kernel.transpose(0, 1).flip(-2, -1).contiguous()
    for place, act in enumerate(activations):
        _start_as_reflection(act, threshold if place == half - 1 else 0.0)


def _start_as_reflection(act: nn.Module, threshold: float) -> None:
    """x -> 2 soft(x) - x; the identity at 0."""
    if isinstance(act, tnn.NActivation):
        act.thresholds.copy_(torch.tensor([[-threshold], [threshold]]).expand_as(act.thresholds))
    elif isinstance(act, tnn.LinearSpline):
        knots = torch.linspace(-act.width, act.width, act.knots).to(act.coefficients)
        act.coefficients.copy_((knots - 2 * knots.clamp(-threshold, threshold)).expand_as(act.coefficients))
    else:
        raise ValueError(f"a threshold is for n-activation and linear-spline, not for {type(act).__name__}")


@torch.no_grad()
def _start_as_identity(convolutions: list[nn.Module], channels: int) -> None:
    """The first channels are passed on as they are; in the end the others add a little to them."""
    for module in convolutions:
        weight, bias = module.get_parameter("weight"), module.get_parameter("bias")
        weight[:channels] *= _OTHERS if module is convolutions[-1] else 0.0
        weight[range(channels), range(channels), _KERNEL // 2, _KERNEL // 2] = 1.0
        bias[:channels] = 0.0


def _check_sizes(channels: int, width: int, depth: int, downsampling: int) -> None:
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 (grey) or 3 (colour), got {channels}")
    if downsampling < 1:
        raise ValueError(f"downsampling must be at least 1, got {downsampling}")
    if width < channels * downsampling**2 or depth < 2:
        raise ValueError(
            f"width must be at least channels downsampling^2 = {channels * downsampling**2}, and depth at least 2, "
            f"got width {width} and depth {depth}"
        )


def _check_padding(padding_mode: str) -> None:
    if padding_mode not in ("circular", "zeros"):
        raise ValueError(f"padding_mode must be 'circular' or 'zeros', got {padding_mode!r}")
