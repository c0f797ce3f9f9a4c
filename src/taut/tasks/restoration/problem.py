"""The picture, what is measured of it, and where the iteration starts."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from taut.data.image_file import MOST_PIXELS, UserImage, read_image
from taut.errors import UserError
from taut.imaging.operators import (
    Blur,
    FourierMask,
    Identity,
    Inpainting,
    LinearOperator,
    SuperResolution,
    gaussian_kernel,
)
from taut.tasks.restoration.config import Config, OperatorConfig
from taut.tasks.restoration.operators import build_operator
from taut.training.seeding import stream

_REACHED = 0.05
"""Share of a Gaussian on known pixels from which on their mean is worth something."""
LEAST_SIDE = 16
"""Pixels: structural similarity has a window of eleven, and what is smaller is no picture."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """y = A x + noise. Pictures are float32 of shape (channels, height, width)."""

    image: UserImage
    """As it was read, with what was done to it."""
    truth: Tensor | None
    """None where the picture is itself the measurement."""
    operator: LinearOperator
    measurement: Tensor
    sigma_noise: float | None
    """Standard deviation of the noise that was added, in the units of the measurement."""
    start: Tensor
    """Where the iteration begins."""
    shown: Tensor
    """The measurement as a picture; its back-projection where it is none."""


def read_problem(config: Config, *, usual_noise: float) -> Problem:
    """Read the picture and measure it, or take it as the measurement.

    Args:
        config: What was asked for.
        usual_noise: Noise where the config names none, in units of 1/255.

    Raises:
        UsageError: An operator that does not fit the picture, a picture below 16 pixels.
        UserError: A picture, a mask or a kernel that cannot be read.
    """
    image = read_image(config.image, crop=config.crop)
    if min(image.pixels.shape[1:]) < LEAST_SIDE:
        raise UserError(
            f"{config.image} must have at least {LEAST_SIDE} pixels on each side, "
            f"got {image.pixels.shape[2]}x{image.pixels.shape[1]}"
        )
    if config.measured:
        return _as_measured(config, image)
    image = _divisible(image, config.operator)
    operator = build_operator(config, (image.pixels.shape[0], image.pixels.shape[1], image.pixels.shape[2]))
    noise = config.operator.sigma_noise
    measurement = operator(image.pixels)
    sigma = (usual_noise if noise is None else noise) / 255
    if config.operator.operator == "tomography":
        sigma *= float(measurement.abs().max())
    drawn = torch.randn(measurement.shape, generator=stream(config.seed, "noise"))
    if isinstance(operator, Inpainting | FourierMask):
        drawn = drawn * operator.mask.float()  # what is not measured has no noise either
    return _problem(image, operator, measurement + sigma * drawn, truth=image.pixels, sigma_noise=sigma)


def _as_measured(config: Config, image: UserImage) -> Problem:
    channels, height, width = image.pixels.shape
    factor = config.operator.factor if config.operator.operator == "super-resolution" else 1
    if (pixels := factor**2 * height * width) > MOST_PIXELS:
        raise UserError(
            f"{config.image} enlarged by {factor} has {pixels} pixels, and at most {MOST_PIXELS} fit: choose a part "
            "of it with --crop LEFT TOP WIDTH HEIGHT"
        )
    operator = build_operator(config, (channels, factor * height, factor * width))
    measurement = image.pixels
    if isinstance(operator, Inpainting):
        measurement = operator(measurement)  # whatever stands in the file where pixels are lost
    return _problem(image, operator, measurement, truth=None, sigma_noise=None)


def _divisible(image: UserImage, config: OperatorConfig) -> UserImage:
    """Without the last rows and columns that make no whole pixel of super-resolution's measurement."""
    if config.operator != "super-resolution":
        return image
    _, height, width = image.pixels.shape
    rows, columns = height % config.factor, width % config.factor
    if not rows and not columns:
        return image
    kept = (slice(0, height - rows), slice(0, width - columns))
    return replace(
        image,
        pixels=image.pixels[:, kept[0], kept[1]].contiguous(),
        alpha=None if image.alpha is None else image.alpha[kept].contiguous(),
        notes=(*image.notes, f"without the last {rows} rows and {columns} columns, to be divisible by {config.factor}"),
    )


def _problem(
    image: UserImage,
    operator: LinearOperator,
    measurement: Tensor,
    *,
    truth: Tensor | None,
    sigma_noise: float | None,
) -> Problem:
    if isinstance(operator, Inpainting):
        start, shown = filled(measurement, operator.mask.float()), measurement
    elif isinstance(operator, Identity | Blur):
        start, shown = measurement, measurement
    else:
        start = back_projection(operator, measurement)
        shown = measurement if isinstance(operator, SuperResolution) else start
    return Problem(
        image=image,
        truth=truth,
        operator=operator,
        measurement=measurement,
        sigma_noise=sigma_noise,
        start=start,
        shown=shown,
    )


def filled(
    measurement: Float[Tensor, "channels height width"], mask: Float[Tensor, "channels height width"]
) -> Float[Tensor, "channels height width"]:
    """Lost pixels as Gaussian means of the known ones around them, the narrowest Gaussian that reaches any; the mean
    of all known pixels where none does.

    >>> filled(torch.tensor([[[0.0, 0.5, 0.5]]]), torch.tensor([[[0.0, 1.0, 1.0]]]))
    tensor([[[0.5000, 0.5000, 0.5000]]])
    """
    shape = (mask.shape[0], mask.shape[1], mask.shape[2])
    picture = mask * measurement + (1 - mask) * (measurement.sum() / mask.sum())
    for std in (16.0, 4.0, 1.0):
        blur = Blur(shape, gaussian_kernel(std))
        reached = blur(mask)
        means = blur(mask * measurement) / reached.clamp(min=_REACHED)
        picture = torch.where((mask == 0) & (reached > _REACHED), means, picture)
    return picture


def back_projection(operator: LinearOperator, measurement: Tensor) -> Tensor:
    """A^T y times the number that brings A A^T y nearest to y in l2."""
    picture = operator.adjoint(measurement)
    again = operator(picture).double()
    square = float((again * again).sum())
    return picture * (float((again * measurement.double()).sum()) / square) if square else picture
