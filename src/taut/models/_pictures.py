"""What the networks for pictures share: the sides that they can halve, and layers that bring their own activation."""

import math

from torch import nn

from taut.models._parts import check_shape, made_activation


def check_pictures(name: str, shape: tuple[int, ...], classes: int, *, smallest: int = 1) -> None:
    """ValueError unless `shape` is (channels, height, width), each side at least `smallest`, and there are classes."""
    check_shape(shape)
    if len(shape) != 3 or min(shape[1:]) < smallest:
        raise ValueError(
            f"{name} takes pictures (channels, height, width) of sides from {smallest} on, got shape {shape}"
        )
    if classes < 2:
        raise ValueError(f"classes must be at least 2, got {classes}")


def check_positive(**sizes: int) -> None:
    """ValueError unless each of `sizes` is at least 1."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}")


def padded_to(sides: tuple[int, ...], multiple: int) -> tuple[list[nn.Module], tuple[int, int]]:
    """Zeros around pictures, as evenly as possible, where `multiple` does not divide a side, and the sides that result.

    Appending zeros keeps every distance.
    """
    height, width = (math.ceil(side / multiple) * multiple for side in sides)
    above, left = (height - sides[0]) // 2, (width - sides[1]) // 2
    around = (left, width - sides[1] - left, above, height - sides[0] - above)
    return [nn.ZeroPad2d(around)] if any(around) else [], (height, width)


def brings_activation(layer: type[nn.Module]) -> bool:
    """Whether a layer is a block with a nonlinearity inside, which needs none behind it."""
    return bool(getattr(layer, "folds_to_block", False))


def activated(
    layer: nn.Module, channels: int, activation: type[nn.Module], group_size: int
) -> tuple[list[nn.Module], int]:
    """A layer with `channels` outputs, the activation behind it where it brings none, and the channels that result."""
    if brings_activation(type(layer)):
        return [layer], channels
    act, narrowed = made_activation(activation, channels, group_size)
    return [layer, act], narrowed
