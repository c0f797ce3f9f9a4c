"""Augmentation of pictures, drawn for each picture from the seed alone and computed on whatever device they are."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from taut.errors import require
from taut.training.seeding import stream


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How training pictures are changed at random."""

    shift: int = 0
    """Displacement by up to so many pixels in each direction; what enters at the border is 0."""
    flip: bool = False
    """Left and right exchanged, every second time."""
    jitter: float = 0.0
    """Brightness, contrast and saturation each times a factor in [1 - jitter, 1 + jitter]."""

    def __post_init__(self) -> None:
        require(self.shift >= 0, f"the shift of pictures must not be negative, got {self.shift}")
        require(0 <= self.jitter < 1, f"the jitter of pictures must be in [0, 1), got {self.jitter:g}")

    @property
    def active(self) -> bool:
        """Whether anything is changed."""
        return bool(self.shift or self.flip or self.jitter)

    def draw(self, *sizes: int, seed: int, epoch: int) -> "Views":
        """What happens to each of `sizes` pictures in an epoch."""
        shift = flip = jitter = None
        if self.shift:
            generator = stream(seed, "shift", epoch)
            shift = torch.randint(-self.shift, self.shift + 1, (*sizes, 2), generator=generator)
        if self.flip:
            flip = torch.rand(sizes, generator=stream(seed, "flip", epoch)) < 0.5
        if self.jitter:
            drawn = torch.rand(*sizes, 3, generator=stream(seed, "jitter", epoch))
            jitter = 1 + self.jitter * (2 * drawn - 1)
        return Views(shift, flip, jitter)


@dataclass(frozen=True)
class Views:
    """What happens to pictures, in tensors that are drawn up front, so that a step only indexes."""

    shift: Int64[Tensor, "*sizes 2"] | None
    flip: Bool[Tensor, "*sizes"] | None
    jitter: Float[Tensor, "*sizes 3"] | None

    def of(self, *index: int | slice) -> "Views":
        """Some of them."""
        return Views(*(None if part is None else part[index] for part in self._parts))

    def to(self, device: torch.device | str) -> "Views":
        """The same on another device."""
        return Views(*(None if part is None else part.contiguous().to(device) for part in self._parts))

    def apply(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """The pictures as they are seen: moved, then flipped, then with other colours."""
        if self.shift is not None:
            images = shift_images(images, self.shift)
        if self.flip is not None:
            images = torch.where(self.flip[:, None, None, None], images.flip(3), images)
        return images if self.jitter is None else jitter_images(images, self.jitter)

    @property
    def _parts(self) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        return self.shift, self.flip, self.jitter


def jitter_images(
    images: Float[Tensor, "batch channels height width"], factors: Float[Tensor, "batch 3"]
) -> Float[Tensor, "batch channels height width"]:
    """Picture i with its brightness, its contrast and its saturation times the three numbers factors[i], within [0, 1].

    Brightness multiplies the picture; contrast spreads it about the mean of its grey picture; saturation spreads the
    channels of each pixel about its grey level (ITU-R 601 weights for three channels, the mean for others).

    Example:
        >>> grey = torch.full((1, 3, 1, 1), 0.4)
        >>> jitter_images(grey, torch.tensor([[1.5, 2.0, 2.0]])).flatten()
        tensor([0.6000, 0.6000, 0.6000])
    """
    brightness, contrast, saturation = factors[:, :, None, None, None].to(images).unbind(1)
    images = (images * brightness).clamp(0, 1)
    mean = _grey(images).mean((2, 3), keepdim=True)
    images = mean.lerp(images, contrast).clamp(0, 1)
    return _grey(images).lerp(images, saturation).clamp(0, 1)


def _grey(images: Tensor) -> Tensor:
    channels = images.shape[1]
    levels = (0.299, 0.587, 0.114) if channels == 3 else (1 / channels,) * channels
    weights = images.new_tensor(levels)[:, None, None]
    return (images * (weights / math.fsum(levels))).sum(1, keepdim=True)


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
