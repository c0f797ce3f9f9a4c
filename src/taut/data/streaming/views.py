"""What a picture becomes before a network sees it: a random view for training, the centre for evaluation.

Pure functions of a Pillow picture and a seed, so that a picture that is asked for again is the same.
"""

import math
import random
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

Augmentation = Literal["none", "flip", "shift", "crop", "crop-colour"]
"""Of training pictures. "flip": mirrored or not; "shift": moved by up to an eighth of the side, with black where
nothing is left, and flipped, as for CIFAR; "crop": a random part of 8 to 100 per cent of the area, of an aspect ratio
between 3/4 and 4/3, and flipped, as for ImageNet; "crop-colour": that, and brightness, contrast and saturation
changed by up to 40 per cent."""

_AREA = (0.08, 1.0)
_ASPECT = (3 / 4, 4 / 3)
_COLOUR = 0.4
_TRIES = 10


def centre_view(image: Any, size: int, *, share: float = 0.875) -> Any:
    """The square in the centre that is `share` of the shorter side, as size x size pixels.

    The same as resizing the shorter side to size / share and cutting the centre, but in one step.
    """
    side = min(image.size) * share
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return _resized(image, size, (left, top, left + side, top + side))


def training_view(image: Any, size: int, seed: int, augmentation: Augmentation) -> Any:
    """A view of size x size pixels: a function of picture, size and seed alone."""
    if augmentation == "none":
        return centre_view(image, size, share=1.0)
    drawn = random.Random(seed)
    if augmentation in ("crop", "crop-colour"):
        left, top, right, bottom = map(float, random_box(image.width, image.height, drawn))
        image = _resized(image, size, (left, top, right, bottom))
    else:
        image = centre_view(image, size, share=1.0)
        if augmentation == "shift":
            image = _shifted(image, max(1, size // 8), drawn)
    if drawn.random() < 0.5:
        image = _flipped(image)
    return _coloured(image, drawn) if augmentation == "crop-colour" else image


def random_box(width: int, height: int, drawn: random.Random) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a part of 8 to 100 per cent of the area, of an aspect ratio between 3/4 and 4/3,
    each as likely as its inverse (Szegedy et al., 2015); the largest such part of the centre where ten tries fail.

    Example:
        >>> left, top, right, bottom = random_box(40, 30, random.Random(0))
        >>> 0 <= left < right <= 40 and 0 <= top < bottom <= 30
        True
    """
    for _ in range(_TRIES):
        area = width * height * drawn.uniform(*_AREA)
        aspect = math.exp(drawn.uniform(*map(math.log, _ASPECT)))
        across, down = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < across <= width and 0 < down <= height:
            left, top = drawn.randint(0, width - across), drawn.randint(0, height - down)
            return left, top, left + across, top + down
    across = max(1, min(width, round(height * _ASPECT[1])))
    down = max(1, min(height, round(width / _ASPECT[0])))
    left, top = (width - across) // 2, (height - down) // 2
    return left, top, left + across, top + down


def to_bytes(image: Any) -> UInt8[Tensor, "channels height width"]:
    """A grey or RGB picture as bytes, channels first."""
    array = np.array(image)
    pixels = torch.from_numpy(array)
    return pixels.unsqueeze(0) if array.ndim == 2 else pixels.permute(2, 0, 1).contiguous()


def _resized(image: Any, size: int, box: tuple[float, float, float, float]) -> Any:
    from PIL import Image

    if image.size == (size, size) and box == (0, 0, size, size):
        return image
    return image.resize((size, size), Image.Resampling.BILINEAR, box=box)


def _flipped(image: Any) -> Any:
    from PIL import Image

    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def _shifted(image: Any, most: int, drawn: random.Random) -> Any:
    """Moved by up to `most` pixels in each direction; what enters is black."""
    right, down = drawn.randint(-most, most), drawn.randint(-most, most)
    return image.crop((right, down, right + image.width, down + image.height))


def _coloured(image: Any, drawn: random.Random) -> Any:
    """Brightness, contrast and saturation, in random order."""
    from PIL import ImageEnhance

    changes = [ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color]
    drawn.shuffle(changes)
    for change in changes:
        image = change(image).enhance(drawn.uniform(1 - _COLOUR, 1 + _COLOUR))
    return image
