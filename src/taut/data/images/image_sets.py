"""Whole pictures of different sizes, to train denoisers on and to test them: unsigned bytes, as they were read."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from taut.data.image_file import MOST_PIXELS
from taut.errors import UserError

SMALLEST = 11
"""Pixels on the shorter side of a picture: the window of the structural similarity must fit into it."""


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """Pictures with their names, all of the same number of channels, each of a size of its own."""

    name: str
    """What tables call the set."""
    titles: tuple[str, ...]
    """Names of the pictures, in their order."""
    pixels: tuple[UInt8[Tensor, "_channels _height _width"], ...]
    """The pictures, 0 to 255."""

    def __len__(self) -> int:
        return len(self.pixels)

    def picture(self, index: int) -> Float32[Tensor, "channels height width"]:
        """One picture in [0, 1]."""
        return self.pixels[index].to(torch.float32).div_(255)


@dataclass(frozen=True, kw_only=True)
class ImageSets:
    """Pictures to train on, and sets of pictures that are held out."""

    name: str
    """Name under which `taut.data.images.load_images` knows them."""
    channels: int
    """1 for grey, 3 for colour."""
    train: ImageSet
    """What a denoiser is fitted to."""
    tests: Mapping[str, ImageSet]
    """Held out, by name: never seen in training."""

    def fingerprint(self) -> str:
        """SHA-256, in hex, of the training pictures: equal exactly when they are equal.

        Example:
            >>> pictures = ImageSet(name="a", titles=("x",), pixels=(torch.zeros(1, 12, 12, dtype=torch.uint8),))
            >>> sets = ImageSets(name="a", channels=1, train=pictures, tests={"a": pictures})
            >>> len(sets.fingerprint())
            64
        """
        digest = hashlib.sha256()
        for pixels in self.train.pixels:
            digest.update(repr(tuple(pixels.shape)).encode())
            digest.update(pixels.contiguous().numpy().data)
        return digest.hexdigest()


def check_sizes(
    name: str, titles: Sequence[str], pixels: Sequence[UInt8[Tensor, "_channels _height _width"]]
) -> ImageSet:
    """The set called `name`. UserError where there is no picture, or one that is too small or too large."""
    if not pixels:
        raise UserError(f"the pictures of {name} are missing: there is none")
    for title, picture in zip(titles, pixels, strict=True):
        height, width = picture.shape[1:]
        if min(height, width) < SMALLEST:
            raise UserError(f"{title} is {width}x{height}; pictures must have at least {SMALLEST} pixels on each side")
        if height * width > MOST_PIXELS:
            raise UserError(f"{title} is {width}x{height}; pictures must have at most {MOST_PIXELS} pixels: cut it")
    return ImageSet(name=name, titles=tuple(titles), pixels=tuple(pixels))
