"""The operator that the options of a restoration describe."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from taut.data.arrays import ARRAY_SUFFIXES, read_array
from taut.data.image_file import read_image
from taut.errors import UsageError, UserError
from taut.imaging.operators import (
    Blur,
    FourierMask,
    Identity,
    Inpainting,
    LinearOperator,
    SuperResolution,
    Tomography,
    cartesian_mask,
    gaussian_kernel,
    motion_kernel,
    random_pixels,
    uniform_kernel,
)
from taut.tasks.restoration.config import Config, OperatorConfig
from taut.training.seeding import stream_seed

_WIDTHS = {"gaussian": 1.6, "uniform": 5.0, "motion": 9.0}
"""Widths of the kernels that have a name, in pixels, where none is asked for."""


def build_operator(config: Config, shape: tuple[int, int, int]) -> LinearOperator:
    """The operator on pictures of the shape (channels, height, width).

    Raises:
        UsageError: Options that do not fit each other or the picture.
        UserError: A file of a mask or a kernel that cannot be read.
    """
    chosen, (_, height, width) = config.operator, shape
    seed = stream_seed(config.seed, chosen.operator)
    try:
        if chosen.operator == "inpaint":
            return Inpainting(shape, _mask(config, height, width, seed))
        if chosen.operator == "blur":
            return Blur(shape, blur_kernel(chosen), name=_name(chosen))
        if chosen.operator == "super-resolution":
            return SuperResolution(shape, mean_kernel(chosen.factor), factor=chosen.factor)
        if chosen.operator == "mri":
            return FourierMask(shape, cartesian_mask(height, width, acceleration=chosen.acceleration, seed=seed))
        if chosen.operator == "tomography":
            return Tomography(shape, chosen.angles)
        return Identity(shape)
    except ValueError as error:
        raise UsageError(f"--operator {chosen.operator}: {' '.join(str(error).split())}") from error


def mean_kernel(factor: int) -> Float[Tensor, "rows columns"]:
    """Taps by which every factor-th pixel, the first included, is the mean of a block of factor x factor pixels.

    >>> mean_kernel(2)[0]
    tensor([0.2500, 0.2500, 0.0000])
    """
    kernel = torch.zeros(2 * factor - 1, 2 * factor - 1)
    kernel[:factor, :factor] = 1.0 / factor**2
    return kernel


def blur_kernel(config: OperatorConfig) -> Float[Tensor, "rows columns"]:
    """The taps of the blur that `config` names; those of a file are divided by their sum.

    Raises:
        UsageError: An unknown name.
        UserError: A file that cannot be read, or does not hold a kernel.
    """
    width = _WIDTHS.get(config.kernel, 0.0) if config.kernel_width is None else config.kernel_width
    if config.kernel == "gaussian":
        return gaussian_kernel(width)
    if config.kernel == "uniform":
        if width != int(width):
            raise UsageError(f"--kernel uniform needs a whole number of pixels as --kernel-width, got {width:g}")
        return uniform_kernel(int(width))
    if config.kernel == "motion":
        return motion_kernel(width, angle=config.kernel_angle)
    path = Path(config.kernel)
    if config.kernel_width is not None and path.exists():
        raise UsageError(f"--kernel-width is for gaussian, uniform and motion: {path} has its own")
    if not path.exists():
        raise UsageError(f"--kernel must be gaussian, uniform, motion or a file, got {config.kernel!r}")
    taps = read_array(path).double() if path.suffix in ARRAY_SUFFIXES else read_image(path).pixels.double()
    taps = taps.squeeze(0) if taps.ndim == 3 and len(taps) == 1 else taps
    if taps.ndim != 2 or not taps.numel():
        raise UserError(f"{path} must hold a kernel of one channel, rows x columns, got the shape {tuple(taps.shape)}")
    total = float(taps.sum())
    if not bool(torch.isfinite(taps).all()) or not total > 0:
        raise UserError(f"the taps of the kernel in {path} must be finite with a positive sum, got {total:g}")
    return (taps / total).float()


def _name(config: OperatorConfig) -> str:
    known = config.kernel in _WIDTHS
    return f"{config.kernel} blur" if known else f"blur by {Path(config.kernel).name}"


def _mask(config: Config, height: int, width: int, seed: int) -> Float[Tensor, "height width"]:
    path = config.operator.mask
    if path is None:
        return random_pixels(height, width, share=config.operator.keep, seed=seed)
    pixels = read_image(path, crop=config.crop).pixels
    if tuple(pixels.shape[1:]) != (height, width):
        raise UserError(
            f"the mask {path} must be of the size of the picture, {width}x{height}, "
            f"got {pixels.shape[2]}x{pixels.shape[1]}"
        )
    return (pixels.mean(dim=0) > 0.5).float()
