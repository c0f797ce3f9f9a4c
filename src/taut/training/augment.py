"""Augmentation of pictures by translation, one displacement per picture, on whatever device they are."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def shift_images(
    images: Float[Tensor, "batch channels height width"], shift: Int64[Tensor, "batch 2"]
) -> Float[Tensor, "batch channels height width"]:
    """Picture i moved down by shift[i, 0] and right by shift[i, 1] pixels; what enters at the border is 0.

    Example:
        >>> shift_images(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), torch.tensor([[1, 0]]))
        tensor([[[[0., 0.],
                  [1., 2.]]]])
    """
    batch, channels, height, width = images.shape
    rows = torch.arange(height, device=images.device) - shift[:, :1]
    columns = torch.arange(width, device=images.device) - shift[:, 1:]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    place = rows.clamp(0, height - 1)[:, :, None] * width + columns.clamp(0, width - 1)[:, None, :]
    place = place.view(batch, 1, height * width).expand(-1, channels, -1)
    moved = images.flatten(2).gather(2, place).view_as(images)
    return moved * inside.unsqueeze(1)
