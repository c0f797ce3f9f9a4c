"""The generator and discriminator of infoGAN, for pictures of any size that 4 divides: plain torch modules."""

import math

from torch import nn

_SLOPE = 0.2
_STD = 0.02


def infogan_generator(shape: tuple[int, ...], *, latent: int = 62, width: int = 64) -> nn.Sequential:
    r"""Pictures in [0, 1] from latents: two dense layers and two transposed convolutions; no Lipschitz guarantee.

    latent -> 16 width -> (2 width, h/4, w/4) -> (width, h/2, w/2) -> (c, h, w), batch norm and ReLU between them and a
    sigmoid at the end. Weights are drawn from Normal(0, 0.02), biases are 0.

    Shapes: (batch, latent) -> (batch, c, h, w). In training mode batch norm needs at least two latents.

    Args:
        shape: (c, h, w); 4 divides h and w.
        latent: Entries of one latent, to be drawn from a standard normal distribution.
        width: Channels of the widest picture within; 64 as published, less for small machines.

    Raises:
        ValueError: A size that is not positive, or that 4 does not divide.

    Source: Chen et al. (2016), infoGAN, appendix C.1 (with 4 x 4 transposed convolutions).

    Example:
        >>> import torch
        >>> infogan_generator((1, 28, 28), width=8)(torch.randn(5, 62)).shape
        torch.Size([5, 1, 28, 28])
    """
    channels, height, breadth = _checked(shape, width)
    if latent < 1:
        raise ValueError(f"latent must be at least 1, got {latent}")
    small = (2 * width, height // 4, breadth // 4)
    return _initialised(
        nn.Sequential(
            nn.Linear(latent, 16 * width),
            nn.BatchNorm1d(16 * width),
            nn.ReLU(),
            nn.Linear(16 * width, math.prod(small)),
            nn.BatchNorm1d(math.prod(small)),
            nn.ReLU(),
            nn.Unflatten(1, small),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )
    )


def infogan_discriminator(shape: tuple[int, ...], *, width: int = 64, normalisation: str = "none") -> nn.Sequential:
    r"""One unbounded number for each picture: two convolutions and two dense layers; no Lipschitz guarantee.

    (c, h, w) -> (width, h/2, w/2) -> (2 width, h/4, w/4) -> 16 width -> 1, leaky ReLU of slope 0.2 between them.
    Weights are drawn from Normal(0, 0.02), biases are 0.

    Shapes: (batch, c, h, w) -> (batch, 1).

    Args:
        shape: (c, h, w); 4 divides h and w.
        width: Channels after the first convolution; 64 as published, less for small machines.
        normalisation: After the second convolution and the first dense layer. "batch" as published; "none" or "layer"
            (over one sample) with a gradient penalty, which needs the value of a sample to depend on it alone.

    Raises:
        ValueError: A size that is not positive, or that 4 does not divide; an unknown normalisation.

    Source: Chen et al. (2016), infoGAN, appendix C.1.

    Example:
        >>> import torch
        >>> infogan_discriminator((1, 28, 28), width=8)(torch.rand(5, 1, 28, 28)).shape
        torch.Size([5, 1])
    """
    channels, height, breadth = _checked(shape, width)
    if normalisation not in ("none", "batch", "layer"):
        raise ValueError(f"normalisation must be 'none', 'batch' or 'layer', got {normalisation!r}")
    plane, dense = (2 * width, height // 4, breadth // 4), 16 * width
    normal: dict[str, list[nn.Module]] = {
        "none": [nn.Identity(), nn.Identity()],
        "batch": [nn.BatchNorm2d(2 * width), nn.BatchNorm1d(dense)],
        "layer": [nn.GroupNorm(1, 2 * width), nn.LayerNorm(dense)],
    }
    after_convolution, after_dense = normal[normalisation]
    return _initialised(
        nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=1),
            nn.LeakyReLU(_SLOPE),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            after_convolution,
            nn.LeakyReLU(_SLOPE),
            nn.Flatten(),
            nn.Linear(math.prod(plane), dense),
            after_dense,
            nn.LeakyReLU(_SLOPE),
            nn.Linear(dense, 1),
        )
    )


def _checked(shape: tuple[int, ...], width: int) -> tuple[int, int, int]:
    if len(shape) != 3 or min(shape) < 1 or shape[1] % 4 or shape[2] % 4:
        raise ValueError(
            f"the shape of a picture must be (channels, height, width) with sides that 4 divides, got {shape}"
        )
    if width < 1:
        raise ValueError(f"width must be at least 1, got {width}")
    return shape[0], shape[1], shape[2]


def _initialised(network: nn.Sequential) -> nn.Sequential:
    for module in network:
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, std=_STD)
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    return network
