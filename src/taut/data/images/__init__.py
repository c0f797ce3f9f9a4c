"""Sets of whole pictures for denoisers: `load_images(name, data_root)` for every name in `image_names()`."""

import os
from collections.abc import Callable
from pathlib import Path

from taut.data.images.bsd import load_bsd
from taut.data.images.folder import load_image_sets
from taut.data.images.image_sets import ImageSet, ImageSets
from taut.data.images.photographs import load_photographs
from taut.errors import UsageError, UserError

__all__ = ["ImageSet", "ImageSets", "image_names", "load_images"]

_NAMED: dict[str, Callable[[Path | None, int], ImageSets]] = {
    "bsd": load_bsd,
    "photographs": lambda _, channels: load_photographs(channels),
    "image-sets": load_image_sets,
}


def image_names() -> tuple[str, ...]:
    """Names that `load_images` knows.

    Example:
        >>> image_names()
        ('bsd', 'photographs', 'image-sets')
    """
    return tuple(_NAMED)


def load_images(name: str, data_root: Path | None = None, *, channels: int = 1) -> ImageSets:
    """The pictures called `name`: some to train on, others held out.

    Args:
        name: One of `image_names()`.
        data_root: Where files are kept; the environment variable TAUT_DATA_ROOT when None. "photographs" ignores it.
        channels: 1 makes coloured pictures grey; 3 gives grey ones three equal channels.

    Raises:
        UsageError: Unknown name, or channels that it does not have.
        UserError: Files that are missing, damaged, tiny, or no pictures with eight bits a channel and no alpha.

    Example:
        >>> sets = load_images("photographs")
        >>> len(sets.train), sets.tests["photographs"].titles
        (9, ('camera', 'chelsea', 'coins'))
    """
    if name not in _NAMED:
        raise UsageError(f"unknown set of pictures {name!r}; known are {', '.join(_NAMED)}")
    if channels not in (1, 3):
        raise UsageError(f"channels must be 1 (grey) or 3 (colour), got {channels}")
    if data_root is None and os.environ.get("TAUT_DATA_ROOT"):
        data_root = Path(os.environ["TAUT_DATA_ROOT"])
    try:
        return _NAMED[name](data_root, channels)
    except OSError as error:  # a folder that may not be read, a disk that fails
        raise UserError(f"cannot read {error.filename or data_root}: {error.strerror or error}") from error
