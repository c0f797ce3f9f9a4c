"""Pictures as files that any viewer shows: grids of samples, PNG, and animated GIF. Written whole or not at all."""

import io
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from taut.errors import UserError
from taut.files import write_bytes

_GAP = 2
_SHADE = 0.6
"""Of gaps and empty cells: neither the black of digits' background nor the white of paper."""
_SIDE = 56
"""About so many pixels has the longer side of a cell, unless a picture is larger."""
_MODES = {1: "L", 3: "RGB"}


def grid(images: Float[Tensor, "n c h w"], *, columns: int | None = None, scale: int | None = None) -> Image.Image:
    """Pictures in [0, 1], row by row, with thin gaps; every pixel becomes a square of scale x scale.

    Entries are rounded to the nearest of 256 shades.

    Args:
        images: One channel (grey) or three (red, green, blue).
        columns: Pictures in a row; a square grid, or one that is wider than high, when None.
        scale: Size of a pixel; so that small pictures can be seen when None.

    Raises:
        ValueError: No pictures, another number of channels, entries outside [0, 1] or NaN, sizes below 1.

    Example:
        >>> grid(torch.rand(6, 1, 28, 28), columns=3).size
        (176, 118)
    """
    if not images.numel() or images.shape[1] not in _MODES:
        raise ValueError(f"a grid needs pictures of 1 or 3 channels, got the shape {tuple(images.shape)}")
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 1):  # the extremes show NaN too
        raise ValueError(f"pictures must lie in [0, 1], but their values span [{low:g}, {high:g}]")
    count, channels, height, width = images.shape
    columns = math.ceil(math.sqrt(count)) if columns is None else columns
    scale = max(1, round(_SIDE / max(height, width))) if scale is None else scale
    if columns < 1 or scale < 1:
        raise ValueError(f"columns and scale must be at least 1, got {columns} and {scale}")
    large = images.detach().cpu().repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    rows = math.ceil(count / columns)
    down, across = height * scale + _GAP, width * scale + _GAP
    canvas = torch.full((channels, rows * down + _GAP, columns * across + _GAP), _SHADE)
    for index, image in enumerate(large):
        top, left = _GAP + index // columns * down, _GAP + index % columns * across
        canvas[:, top : top + height * scale, left : left + width * scale] = image
    shades = (canvas * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(shades if channels == 3 else shades[:, :, 0])


def write_png(path: Path, image: Image.Image) -> None:
    """Write a picture as PNG, atomically; the same picture gives the same bytes. Raises UserError as `write_bytes`."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    write_bytes(path, buffer.getvalue())


def write_gif(
    path: Path,
    frames: Sequence[Image.Image | Path],
    *,
    seconds_per_frame: float = 0.25,
    last_seconds: float = 2.0,
) -> None:
    """Write an animation that repeats for ever, atomically; the last frame stays for `last_seconds`.

    Frames are pictures, or files of pictures, which are read one by one. Grey frames keep their shades; colour frames
    are reduced to 256 colours each. Times are rounded to hundredths of a second; equal neighbours become one frame.

    Raises ValueError for no frames, frames of several sizes, or times below 0.02 s, which viewers do not show; and
    UserError for a file that cannot be read, or written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_gif(Path(folder, "a.gif"), [grid(torch.zeros(1, 1, 8, 8)), grid(torch.ones(1, 1, 8, 8))])
        ...     Image.open(Path(folder, "a.gif")).n_frames
        2
    """
    if not frames:
        raise ValueError("an animation needs at least one frame, got none")
    if not (seconds_per_frame >= 0.02 and last_seconds >= 0.02):
        raise ValueError(f"a frame must stay for at least 0.02 s, got {seconds_per_frame} and {last_seconds}")
    pictures = [_read(frame) if isinstance(frame, Path) else frame for frame in frames]
    if len(sizes := {picture.size for picture in pictures}) > 1:
        raise ValueError(f"the frames of an animation must be of one size, got {sorted(sizes)}")
    times = [round(1000 * seconds_per_frame)] * (len(pictures) - 1) + [round(1000 * last_seconds)]
    buffer = io.BytesIO()
    pictures[0].save(buffer, format="GIF", save_all=True, append_images=pictures[1:], duration=times, loop=0)
    write_bytes(path, buffer.getvalue())


def _read(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            return image.copy()
    except UnidentifiedImageError as error:
        raise UserError(f"{path} is damaged: it is not a picture") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
