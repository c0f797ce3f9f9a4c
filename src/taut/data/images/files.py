"""Folders of picture files as sets of pictures."""

from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from taut.data.images.image_sets import ImageSet, check_sizes
from taut.data.pictures import decode, picture_files, picture_shape
from taut.errors import UserError

_LUMA = (0.299, 0.587, 0.114)


def read_pictures(folder: Path, *, name: str, channels: int) -> ImageSet:
    """Every picture below `folder` in the order of the names, with `channels` channels.

    Raises:
        UserError: There is none, or one is damaged, tiny, has an alpha channel or more than eight bits; it is named.
    """
    files = picture_files(folder) if folder.is_dir() else []
    if not files:
        raise UserError(f"{folder} has no pictures")
    pixels = [read_picture(path, channels=channels) for path in files]
    found = check_sizes(name, [str(path) for path in files], pixels)
    titles = tuple(path.relative_to(folder).with_suffix("").as_posix() for path in files)
    return ImageSet(name=name, titles=titles, pixels=found.pixels)


def read_picture(path: Path, *, channels: int) -> UInt8[Tensor, "channels height width"]:
    """One picture file, made grey or coloured. UserError where it is no picture with eight bits a channel."""
    found, _, _ = picture_shape(path)
    return with_channels(decode(path, str(path), channels=found), channels)


def with_channels(picture: UInt8[Tensor, "colours height width"], channels: int) -> UInt8[Tensor, "c height width"]:
    """A picture of one or three channels made grey (luma of ITU-R BT.601, rounded) or coloured (three equal ones).

    >>> with_channels(torch.full((3, 1, 2), 7, dtype=torch.uint8), 1)
    tensor([[[7, 7]]], dtype=torch.uint8)
    """
    if channels == len(picture):
        return picture
    if channels == 3:
        return picture.expand(3, -1, -1).contiguous()
    grey = torch.tensordot(torch.tensor(_LUMA, dtype=torch.float64), picture.double(), dims=1)
    return grey.round().to(torch.uint8).unsqueeze(0)
