"""LipNeXt: orthogonal maps of the channels and shifts of the picture, without convolutions."""

from torch import nn

from taut import nn as tnn
from taut.models._choices import classifier_linear
from taut.models._parts import chain
from taut.models._pictures import check_pictures, check_positive, padded_to


def lipnext(
    shape: tuple[int, ...],
    classes: int,
    *,
    channels: int = 1024,
    blocks: int = 32,
    patch: int = 0,
    linear: str = "manifold",
    head: str = "unit-norm",
    lipschitz: float = 1.0,
) -> nn.Sequential:
    r"""K head(pool(block^blocks(patches(x)))): every logit K-Lipschitz in l2.

    `patches` makes one place of each square of `patch` pixels by an orthogonal convolution without overlap, each
    `block` is a `LipNeXtBlock`, `pool` is the Euclidean norm of each channel over all places. Zeros are put around
    pictures that the patch does not divide.

    Shapes: (batch, *shape) -> (batch, classes).

    Args:
        shape: Of one picture, (channels, height, width).
        classes: Number of logits.
        channels: Of every block.
        blocks: Their number.
        patch: Side of a patch in pixels; 0 takes 4 for pictures up to 64 x 64, and 16 above.
        linear: The maps of the channels, square orthogonal layers: "manifold" steps on the orthogonal matrices
            themselves (taut.optim), "bjorck" and others parametrise them.
        head: Last linear layer, a key of `classifier_linears()`.
        lipschitz: K.

    Raises:
        ValueError: A size or a name that is not allowed.

    Source: Hu, Hu and Fredrikson (2026).

    Example:
        >>> import torch
        >>> lipnext((3, 32, 32), 10, channels=16, blocks=2)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """
    check_pictures("lipnext", shape, classes)
    check_positive(channels=channels, blocks=blocks)
    if patch < 0:
        raise ValueError(f"patch must not be negative, got {patch}")
    side = patch or (4 if max(shape[1:]) <= 64 else 16)
    around, _ = padded_to(shape[1:], side)
    maps = classifier_linear("linear", linear, 0)
    return chain(
        *around,
        tnn.RKOConv2d(shape[0], channels, side, stride=side, padding=0),
        *(tnn.LipNeXtBlock(channels, linear=maps) for _ in range(blocks)),
        tnn.GlobalL2NormPool(),
        classifier_linear("head", head, 0)(channels, classes),
        lipschitz=lipschitz,
    )
