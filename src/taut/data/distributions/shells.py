"""Spheres of one radius about given centres."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from taut.data.distributions.distribution import Distribution, check_count
from taut.data.distributions.numbers import Numbers, listed, positive, shown, sized, tensor_of


@final
@dataclass(frozen=True, eq=False, repr=False, init=False)
class Shells(Distribution):
    """The uniform law on spheres {x : |x - c| = radius} (l2), each centre c as likely as the others.

    In one dimension a sphere is the two points c - radius and c + radius.

    Args:
        centres: One centre a row; the length of a row is the dimension of the space of the spheres.
        radius: Above 0.
        empty_dimensions: How many zeros are appended to every sample.
        image: (channels, height, width): the vector, zeros included, laid out as a picture.

    Raises:
        ValueError: Centres that are not rows of numbers, a radius that is not above 0, a picture of another size.

    Example:
        >>> shells = Shells([[-2, 0], [0, 0], [2, 0]], radius=1)
        >>> shells.description
        '3 spheres of radius 1 in 2 dimensions about (-2, 0), (0, 0), (2, 0)'
        >>> Shells([[0.0, 0.0]], radius=1, empty_dimensions=7, image=(1, 3, 3)).sample(4, torch.Generator()).shape
        torch.Size([4, 1, 3, 3])
    """

    centres: Float64[Tensor, "centres dimension"]
    """One centre a row."""
    radius: float
    """Radius of each sphere."""
    empty_dimensions: int
    """Zeros behind the coordinates of each sample."""
    image: tuple[int, int, int] | None
    """Shape of a sample as a picture."""

    def __init__(
        self,
        centres: Numbers,
        *,
        radius: Numbers,
        empty_dimensions: Any = 0,
        image: Any = None,
    ) -> None:
        rows = tensor_of(centres, "centres")
        if rows.ndim != 2:
            raise ValueError(f"centres must be a list of vectors, such as [[0.0, 0.0]], got {shown(centres)}")
        if not _whole(empty_dimensions) or empty_dimensions < 0:
            raise ValueError(f"empty_dimensions must be a whole number of at least 0, got {empty_dimensions!r}")
        object.__setattr__(self, "centres", rows)
        object.__setattr__(self, "radius", positive(radius, "radius"))
        object.__setattr__(self, "empty_dimensions", empty_dimensions)
        object.__setattr__(self, "image", _picture(image, rows.shape[1] + empty_dimensions))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.image or (self.centres.shape[1] + self.empty_dimensions,)

    @property
    def description(self) -> str:
        count, dimension = self.centres.shape
        places = ", ".join(listed(centre) for centre in self.centres[:4]) + (", ..." if count > 4 else "")
        text = f"{count} spheres" if count > 1 else "the sphere"
        text = f"{text} of radius {self.radius:g} {sized((dimension,))} about {places}"
        if self.empty_dimensions:
            text += f", and {self.empty_dimensions} empty dimensions"
        return text if self.image is None else f"{text}, as pictures {sized(self.image)}"

    def sample(self, count: int, generator: torch.Generator) -> Float32[Tensor, "count *shape"]:
        check_count(count)
        chosen = torch.randint(len(self.centres), (count,), generator=generator)
        normal = torch.randn(count, self.centres.shape[1], dtype=torch.float64, generator=generator)
        points = self.centres[chosen] + self.radius * normal / normal.norm(dim=1, keepdim=True)
        return torch.nn.functional.pad(points, (0, self.empty_dimensions)).reshape(count, *self.shape).float()


def _picture(image: Any, entries: int) -> tuple[int, int, int] | None:
    if image is None:
        return None
    sizes = tuple(image) if isinstance(image, Sequence) else ()
    if len(sizes) != 3 or not all(_whole(size) and size > 0 for size in sizes):
        raise ValueError(f"image must be (channels, height, width), got {shown(image)}")
    if math.prod(sizes) != entries:
        raise ValueError(f"image must hold the {entries} entries of a sample, got {shown(image)}")
    channels, height, width = sizes
    return channels, height, width


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
