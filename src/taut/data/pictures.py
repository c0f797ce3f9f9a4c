"""Encoded pictures, decoded with Pillow to unsigned bytes."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from taut.errors import UserError

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})

_GREY = ("1", "L")
_COLOUR = ("RGB", "P", "CMYK", "YCbCr")


def decode(content: bytes | Path, source: str, *, channels: int, square: int | None = None) -> UInt8[Tensor, "c h w"]:
    """The picture in an encoded file as bytes of shape (channels, height, width).

    Args:
        content: The bytes of a PNG, JPEG or another file that Pillow reads, or the path of one.
        source: What errors call it.
        channels: 1 for grey, 3 for colour. A grey picture may stand among coloured ones, not the reverse.
        square: Side of the square in the centre to which the picture is cropped and resized; its own size when None.

    Raises:
        UserError: Pillow is missing, the picture is damaged, or it is neither grey nor RGB with eight bits a channel.
    """
    found = picture_channels(image := open_picture(content, source), source)
    if found > channels:
        raise UserError(f"{source} is in colour, but the data set's first picture is grey")
    try:
        if square is not None:
            image = _square(image, square)
        array = np.array(image.convert("L" if channels == 1 else "RGB"))
    except Exception as error:  # damaged files fail in Pillow's decoders in many ways
        raise UserError(f"{source} is damaged: {' '.join(str(error).split()) or type(error).__name__}") from error
    pixels = torch.from_numpy(array)
    return pixels.unsqueeze(0) if channels == 1 else pixels.permute(2, 0, 1)


def picture_shape(path: Path) -> tuple[int, int, int]:
    """Channels, height and width of a picture file, from its header. Raises UserError as `decode` does."""
    image = open_picture(path, str(path))
    return (picture_channels(image, str(path)), image.height, image.width)


def picture_files(folder: Path) -> list[Path]:
    """Every picture below `folder`, at any depth, in the order of the names; what is hidden is left out.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("b.png", "a.jpg", ".c.png", "notes.txt"):
        ...     (folder / name).touch()
        >>> [path.name for path in picture_files(folder)]
        ['a.jpg', 'b.png']
    """
    inside = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return sorted(p for p in inside if not any(part.startswith(".") for part in p.relative_to(folder).parts))


def open_picture(content: bytes | Path, source: str) -> Any:
    """The picture in an encoded file as Pillow opens it: its header is read, its pixels are not yet.

    Raises UserError where Pillow is missing, the file cannot be read, is no picture, or is too large to be decoded.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise UserError(f'{source} is read with Pillow, which is missing: pip install "taut[app,data]"') from error
    try:
        return Image.open(io.BytesIO(content.read_bytes() if isinstance(content, Path) else content))
    except Exception as error:  # damaged files fail in Pillow's readers in many ways
        if isinstance(error, OSError) and error.strerror:
            raise UserError(f"cannot read {source}: {error.strerror}") from error
        if isinstance(error, Image.DecompressionBombError):
            raise UserError(f"{source} is too large: {str(error).split(',')[0]}") from error
        raise UserError(f"{source} is not a picture, or is damaged") from error


def picture_channels(image: Any, source: str) -> int:
    """1 for a grey picture that Pillow has opened, 3 for one in colour; UserError for another kind."""
    if image.mode not in _GREY + _COLOUR:
        raise UserError(f"{source} must be grey or RGB with eight bits a channel, but its mode is {image.mode}")
    return 1 if image.mode in _GREY else 3


def _square(image: Any, side: int) -> Any:
    from PIL import Image, ImageOps

    image.draft("RGB", (2 * side, 2 * side))  # JPEG decodes large pictures at a fraction of their size
    colour = image.convert("RGB")
    return ImageOps.fit(colour, (side, side), method=Image.Resampling.BICUBIC)
