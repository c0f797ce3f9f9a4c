"""Restored pictures as files of the kind that they came from."""

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor


def as_picture(
    pixels: Float[Tensor, "channels height width"],
    *,
    bits: int = 8,
    alpha: Float[Tensor, "height width"] | None = None,
) -> Image.Image:
    """Grey levels or colours, clipped to [0, 1] and rounded to the nearest of 2^bits shades, with opacity in `alpha`.

    Sixteen bits are kept for grey pictures without transparency; PNG files of others have eight.

    Raises ValueError for another number of channels than 1 or 3, NaN, and other bits than 8 or 16.

    Example:
        >>> as_picture(torch.tensor([[[0.5, 2.0]]]), bits=16).getpixel((1, 0))
        65535
    """
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3):
        raise ValueError(f"a picture has 1 or 3 channels, got the shape {tuple(pixels.shape)}")
    if bits not in (8, 16):
        raise ValueError(f"bits must be 8 or 16, got {bits}")
    if bool(torch.isnan(pixels).any()):
        raise ValueError("a picture cannot have NaN in it")
    channels = pixels.detach().cpu().double()
    if bits == 16 and len(channels) == 1 and alpha is None:
        return Image.fromarray((channels[0].clamp(0, 1) * 65535).round().to(torch.uint16).numpy())
    if alpha is not None:
        channels = torch.cat([channels, alpha.detach().cpu().double()[None]])
    shades = (channels.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(shades[:, :, 0] if len(channels) == 1 else shades)
