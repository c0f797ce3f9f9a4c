"""A picture of the user's own, as it comes: what is done to it before it can be computed with is said."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from taut.data.pictures import open_picture
from taut.errors import UserError

MOST_PIXELS = 2**22
"""Height times width: a denoiser of 64 channels takes about a gigabyte for each map of its features then."""

_SEVERAL = ("CMYK", "YCbCr", "LAB", "HSV")


@dataclass(frozen=True, kw_only=True)
class UserImage:
    """Grey levels or colours in [0, 1], and what is needed to write a picture of the same kind."""

    pixels: Float[Tensor, "channels height width"]
    """One channel (grey) or three (red, green, blue), float32."""
    bits: int
    """Bits of a grey level or colour worth writing back: 8 or 16."""
    alpha: Float[Tensor, "height width"] | None
    """Opacity in [0, 1]; None where every pixel is opaque."""
    notes: tuple[str, ...]
    """What was done to the picture, in words."""


def read_image(path: Path, *, crop: tuple[int, int, int, int] | None = None) -> UserImage:
    """The picture in a file that Pillow reads, upright, as float32 in [0, 1]: 8-bit levels over 255, 16-bit over 65535.

    Of several frames the first is read; transparency is kept aside, not composited; palettes become colours, or greys
    where they hold nothing else; CMYK and the like become RGB; floats are taken as they are.

    Args:
        path: The file.
        crop: Left, top, width and height of the part to take, in pixels of the upright picture; all of it when None.

    Raises:
        UserError: No such file, a folder, a damaged file, a picture of more than 2^22 pixels (or such a crop), a crop
            that leaves the picture, floats outside [0, 1].

    Example:
        >>> import tempfile; from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("LA", (5, 3), (51, 102)).save(path := Path(folder, "a.png"))
        ...     image = read_image(path)
        >>> image.pixels.shape, image.pixels.max().item(), image.alpha.max().item()
        (torch.Size([1, 3, 5]), 0.20000000298023224, 0.4000000059604645)
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder: name a picture in it")
    if not path.exists():
        raise UserError(f"there is no picture {path}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large pictures, whose size is checked below, and of odd metadata
        image = open_picture(path, str(path))
        _check_size(image.size, crop, path)
        try:
            return _decoded(image, path, crop)
        except UserError:
            raise
        except Exception as error:  # damaged files fail in Pillow's decoders in many ways
            raise UserError(f"{path} is damaged: {' '.join(str(error).split()) or type(error).__name__}") from error


def _decoded(image: Any, path: Path, crop: tuple[int, int, int, int] | None) -> UserImage:
    from PIL import ImageOps

    bits, frames = _stored_bits(image), getattr(image, "n_frames", 1)
    notes = [f"the first of its {frames} frames"] if frames > 1 else []
    image.load()
    upright = ImageOps.exif_transpose(image)
    if image.getexif().get(0x0112, 1) not in (0, 1):
        notes.append("turned upright, as its EXIF data say")
    if crop is not None:
        left, top, width, height = crop
        if left + width > upright.width or top + height > upright.height:
            raise UserError(
                f"the crop {left} {top} {width} {height} (left, top, width, height) leaves {path}, "
                f"which is {upright.width}x{upright.height}"
            )
        upright = upright.crop((left, top, left + width, top + height))
        notes.append(f"{width}x{height} pixels of it, from column {left} and row {top} on")
    if upright.mode == "F" or upright.mode.startswith("I"):
        return _one_channel(upright, path, notes)
    return _bytes(upright, path, bits, notes)


def _bytes(image: Any, path: Path, bits: int, notes: list[str]) -> UserImage:
    """Pictures that Pillow decodes to eight bits a channel."""
    if bits > 8:
        notes.append(f"its {bits} bits a channel are read as 8, as Pillow does for pictures in colour")
    if image.mode in _SEVERAL:
        notes.append(f"{image.mode} turned into RGB, without colour management")
    palette = image.mode in ("P", "PA")
    transparent = "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa")
    grey = image.mode in ("1", "L", "LA", "La")
    if image.mode == "La":
        image = image.convert("LA")
    elif image.mode == "RGBa":
        image = image.convert("RGBA")
    mode = ("LA" if transparent else "L") if grey else ("RGBA" if transparent else "RGB")
    try:
        levels = np.asarray(image.convert(mode), dtype=np.float32) / np.float32(255)
    except ValueError as error:
        raise UserError(f"{path} is of a kind that cannot be read: its mode is {image.mode}") from error
    channels = torch.from_numpy(levels.reshape(*levels.shape[:2], -1)).permute(2, 0, 1).contiguous()
    pixels, alpha = (channels[:-1], channels[-1]) if transparent else (channels, None)
    if palette and bool((pixels == pixels[:1]).all()):
        pixels = pixels[:1]
    if alpha is not None and bool((alpha == 1).all()):
        alpha = None
    if alpha is not None:
        notes.append("its transparency is kept aside and put back; colours are compared without it")
    return UserImage(pixels=pixels, bits=8, alpha=alpha, notes=tuple(notes))


def _one_channel(image: Any, path: Path, notes: list[str]) -> UserImage:
    """Grey levels of sixteen bits or of floating point."""
    levels = np.asarray(image)
    low, high = float(levels.min()), float(levels.max())
    largest = 1.0 if image.mode == "F" else 65535.0
    if not (low >= 0 and high <= largest):  # NaN too
        raise UserError(
            f"{path} has grey levels from {low:g} to {high:g}: "
            f"{'floating-point' if largest == 1 else 'integer'} levels must lie in [0, {largest:g}]"
        )
    pixels = torch.from_numpy((levels.astype(np.float64) / largest).astype(np.float32))[None]
    return UserImage(pixels=pixels, bits=16, alpha=None, notes=tuple(notes))


def _check_size(size: tuple[int, int], crop: tuple[int, int, int, int] | None, path: Path) -> None:
    if crop is not None and (min(crop[:2]) < 0 or min(crop[2:]) < 1):
        raise UserError(f"a crop is left, top, width and height in pixels, got {' '.join(map(str, crop))}")
    width, height = size if crop is None else crop[2:]
    if width * height > MOST_PIXELS:
        raise UserError(
            f"{path} has {width}x{height} pixels to restore, and at most {MOST_PIXELS} fit: "
            "choose a part of it with --crop LEFT TOP WIDTH HEIGHT, or make it smaller"
        )


def _stored_bits(image: Any) -> int:
    """Bits a channel in the file, where the format says it to Pillow; 8 elsewhere."""
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(258, (8,))))
    if image.format == "PNG" and image.tile:
        return 16 if "16B" in str(image.tile[0][3]) else 8
    return 8
