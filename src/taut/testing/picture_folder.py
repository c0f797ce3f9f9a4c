"""Generated pictures in the shape of ImageNet: train/CLASS/*.jpeg and val/CLASS/*.jpeg of many sizes.

Each class has its own colour and its own stripes, which a network can learn in minutes; position, phase and noise vary.
For tests, documents and measurements of speed.
"""

import colorsys
import math
from pathlib import Path

import numpy as np


def write_picture_folder(
    folder: Path, *, classes: int = 4, train: int = 12, val: int = 4, sizes: tuple[int, int] = (40, 90), seed: int = 0
) -> None:
    """Write `train` and `val` pictures of each class as JPEG files, each side between `sizes`; all follows from `seed`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_picture_folder(Path(folder), classes=2, train=3, val=1)
        ...     len(list(Path(folder).rglob("*.jpeg")))
        8
    """
    from PIL import Image

    for split, count in (("train", train), ("val", val)):
        for label in range(classes):
            place = folder / split / f"class_{label:04d}"
            place.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                drawn = np.random.default_rng([seed, split == "val", label, number])
                levels = _levels(label, classes, sizes, drawn)
                Image.fromarray(levels).save(place / f"{number:06d}.jpeg", quality=90)


def _levels(label: int, classes: int, sizes: tuple[int, int], drawn: np.random.Generator) -> np.ndarray:
    """Bytes (height, width, 3) of a picture of class `label`."""
    height, width = drawn.integers(sizes[0], sizes[1] + 1, 2)
    rows, columns = np.mgrid[:height, :width] / min(height, width)
    angle = math.pi * (label + drawn.uniform(-0.15, 0.15)) / classes
    along = rows * math.sin(angle) + columns * math.cos(angle)
    stripes = np.sin(2 * math.pi * (drawn.uniform(5, 7) * along + drawn.uniform()))[..., None]
    colour = np.array(colorsys.hsv_to_rgb(label / classes, 0.5, 1.0))
    light = drawn.uniform(0.4, 0.8) + 0.25 * stripes * colour + drawn.normal(0, 0.15, (height, width, 3))
    return (255 * np.clip(light * (0.5 + 0.5 * colour), 0, 1)).astype(np.uint8)
