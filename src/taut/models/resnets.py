"""Residual networks as published, in torch's own modules: with batch normalisation, and without any constraint."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import nn

from taut.models._parts import check_shape, drops
from taut.models.residual_blocks import BlockMaker, basic, bottleneck, convolution, pre_activated

Stem = Literal["imagenet", "cifar"]


@dataclass(frozen=True, kw_only=True)
class ResNetPlan:
    """What distinguishes one residual network from another."""

    stem: Stem
    """"imagenet": 7 x 7 with stride 2 and a maximum over 3 x 3 with stride 2; "cifar": 3 x 3 alone."""
    block: BlockMaker
    """Blocks, all of one kind."""
    depths: tuple[int, ...]
    """Blocks of each stage; every stage but the first halves the sides and doubles the channels."""
    channels: int
    """Channels of the first stage, before the expansion of its blocks."""
    stem_channels: int = 0
    """Channels of the first convolution; 0 for those of the first stage."""
    expansion: int = 1
    """Channels that leave a block, over the channels within."""
    final_norm: bool = False
    """Whether a normalisation and a ReLU stand before the average, as behind blocks that begin with theirs."""


PLANS: dict[str, ResNetPlan] = {
    "resnet-18": ResNetPlan(stem="imagenet", block=basic(), depths=(2, 2, 2, 2), channels=64),
    "resnet-34": ResNetPlan(stem="imagenet", block=basic(), depths=(3, 4, 6, 3), channels=64),
    "resnet-50": ResNetPlan(stem="imagenet", block=bottleneck(), depths=(3, 4, 6, 3), channels=64, expansion=4),
    "resnet-101": ResNetPlan(stem="imagenet", block=bottleneck(), depths=(3, 4, 23, 3), channels=64, expansion=4),
    "resnet-152": ResNetPlan(stem="imagenet", block=bottleneck(), depths=(3, 8, 36, 3), channels=64, expansion=4),
    "resnext-50": ResNetPlan(
        stem="imagenet", block=bottleneck(groups=32, widen=2), depths=(3, 4, 6, 3), channels=64, expansion=4
    ),
    "resnext-101": ResNetPlan(
        stem="imagenet", block=bottleneck(groups=32, widen=2), depths=(3, 4, 23, 3), channels=64, expansion=4
    ),
    "cifar-resnet-18": ResNetPlan(stem="cifar", block=basic(), depths=(2, 2, 2, 2), channels=64),
    "cifar-resnet-20": ResNetPlan(stem="cifar", block=basic(padded=True), depths=(3, 3, 3), channels=16),
    "cifar-resnet-32": ResNetPlan(stem="cifar", block=basic(padded=True), depths=(5, 5, 5), channels=16),
    "cifar-resnet-44": ResNetPlan(stem="cifar", block=basic(padded=True), depths=(7, 7, 7), channels=16),
    "cifar-resnet-56": ResNetPlan(stem="cifar", block=basic(padded=True), depths=(9, 9, 9), channels=16),
    "cifar-resnext-29": ResNetPlan(
        stem="cifar", block=bottleneck(groups=8, widen=8), depths=(3, 3, 3), channels=64, expansion=4
    ),
    "wide-resnet-28": ResNetPlan(
        stem="cifar", block=pre_activated(), depths=(4, 4, 4), channels=160, stem_channels=16, final_norm=True
    ),
    "wide-resnet-32": ResNetPlan(
        stem="cifar", block=pre_activated(), depths=(5, 5, 5), channels=160, stem_channels=16, final_norm=True
    ),
}
"""The residual networks by name. "wide-resnet-28" is WRN-28-10; "wide-resnet-32" has 32 layers as He et al. count
them, without the shortcuts, and is ten times as wide as well. "resnext-*" are 32x4d, "cifar-resnext-29" is 8x64d."""


class ResNet(nn.Module):
    r"""Stem, stages of residual blocks, average over all pixels, linear head: no constraint, and no small bound.

    `taut.lipschitz_bound` takes it in evaluation mode, where normalisation is an affine map with fixed numbers, but the
    product over so many layers is astronomical: what it proves of a sample is nothing of use.

    Shapes: (batch, channels, height, width) -> (batch, classes), for pictures of any size that the strides leave
    something of.
    """

    def __init__(self, plan: ResNetPlan, inputs: int, classes: int, *, dropout: float = 0.0) -> None:
        """For pictures of so many channels. `dropout` is the share of features that training drops before the head, or
        of those within the blocks, where they begin with their normalisation."""
        super().__init__()
        stem = plan.stem_channels or plan.channels
        self.stem = _stem(plan.stem, inputs, stem, normalised=not plan.final_norm)
        self.stages = nn.Sequential()
        channels = stem
        for number, depth in enumerate(plan.depths):
            within, strides = plan.channels * 2**number, [1 + (number > 0)] + [1] * (depth - 1)
            self.stages.append(_stage(plan, channels, within, strides, dropout))
            channels = within * plan.expansion
        self.norm = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU()) if plan.final_norm else nn.Identity()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Sequential(*drops(0.0 if plan.final_norm else dropout), nn.Linear(channels, classes))
        _initialise(self)

    def forward(self, x: Any) -> Any:  # a tensor, or what stands for one in a graph
        x = self.pool(self.norm(self.stages(self.stem(x))))
        return self.head(torch.flatten(x, 1))


def resnet(name: str, shape: tuple[int, ...], classes: int, *, channels: int = 0, dropout: float = 0.0) -> ResNet:
    r"""The residual network called `name` for pictures of `shape`, as published: ReLU and batch normalisation,
    unconstrained.

    Shapes: (batch, *shape) -> (batch, classes). Other sizes than that of `shape` are taken too.

    Args:
        name: A key of `PLANS`.
        shape: (channels, height, width).
        classes: Number of logits.
        channels: Of the first stage; 0 for the published number. All other widths follow it.
        dropout: Share that training sets to 0.

    Raises:
        ValueError: An unknown name, a shape that is no picture's, or a number that is not allowed.

    Sources: He, Zhang, Ren and Sun (2016); Xie, Girshick, Dollár, Tu and He (2017); Zagoruyko and Komodakis (2016).

    Example:
        >>> sum(p.numel() for p in resnet("cifar-resnet-20", (3, 32, 32), 10).parameters())
        269722
    """
    check_shape(shape)
    if name not in PLANS:
        raise ValueError(f"name must be one of {', '.join(PLANS)}, got {name!r}")
    if len(shape) != 3:
        raise ValueError(f"{name} takes pictures (channels, height, width), got shape {shape}")
    if classes < 2:
        raise ValueError(f"classes must be at least 2, got {classes}")
    plan = PLANS[name]
    if channels:
        plan = _narrowed(plan, channels)
    return ResNet(plan, shape[0], classes, dropout=dropout)


def _narrowed(plan: ResNetPlan, channels: int) -> ResNetPlan:
    if channels < 1 or (plan.block.groups > 1 and channels * plan.block.widen % plan.block.groups):
        raise ValueError(
            f"channels must be at least 1, and {plan.block.widen} times as many a multiple of the "
            f"{plan.block.groups} groups, got {channels}"
        )
    stem = min(plan.stem_channels, channels)
    return replace(plan, channels=channels, stem_channels=stem)


def _stem(kind: Stem, inputs: int, outputs: int, *, normalised: bool) -> nn.Sequential:
    if kind == "imagenet":
        layers = [convolution(inputs, outputs, 7, stride=2), nn.BatchNorm2d(outputs), nn.ReLU()]
        return nn.Sequential(*layers, nn.MaxPool2d(3, stride=2, padding=1))
    after = [nn.BatchNorm2d(outputs), nn.ReLU()] if normalised else []
    return nn.Sequential(convolution(inputs, outputs, 3), *after)


def _stage(plan: ResNetPlan, inputs: int, within: int, strides: Sequence[int], dropout: float) -> nn.Sequential:
    outputs = within * plan.expansion
    dropped = dropout if plan.final_norm else 0.0
    first, *rest = strides
    blocks = [plan.block.make(inputs, within, outputs, first, dropped)]
    return nn.Sequential(*blocks, *(plan.block.make(outputs, within, outputs, stride, dropped) for stride in rest))


def _initialise(model: nn.Module) -> None:
    """Normal weights whose variance is two over what leaves a filter (He, Zhang, Ren and Sun, 2015)."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
