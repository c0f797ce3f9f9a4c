r"""Parallel-beam tomography: line integrals, as an exact sparse matrix of lengths."""

import math
import warnings

import torch
from jaxtyping import Float
from torch import Tensor

from taut.imaging.operators.norms import positive_norm_bound
from taut.imaging.operators.operator import LinearOperator, Shape, rounded

_MOST = 2**28
"""Crossings of rays and grid lines that are held at most: some 4 GiB."""


class Tomography(LinearOperator):
    r"""A x = lengths of rays in pixels, times the pixels: the adjoint is the transpose, the norm proven to about 1e-3.

    Rays are straight lines, one for each angle and each detector, the detectors one pixel apart and centred; the entry
    for a ray and a pixel is the length of their intersection, in pixels (Siddon, 1985). Norms are of the order of
    sqrt(angles * side). All channels have the same matrix.

    Args:
        shape: (channels, height, width) of the images.
        angles: In degrees, or how many, equally spaced in [0, 180).
        detectors: How many; the diagonal of the image, rounded up, unless given.

    Measurements have the shape (channels, angles, detectors).

    Raises ValueError for no angle or detector, angles that are not finite, or images too large for a matrix.

    >>> scan = Tomography((1, 3, 3), angles=2, detectors=3)
    >>> scan(torch.arange(9.0).reshape(1, 3, 3))  # sums of columns, and of rows from below
    tensor([[[ 9., 12., 15.],
             [21., 12.,  3.]]])
    """

    def __init__(
        self, shape: Shape, angles: int | Float[Tensor, " angles"] = 60, *, detectors: int | None = None
    ) -> None:
        degrees = torch.arange(angles) * (180.0 / angles) if isinstance(angles, int) and angles > 0 else angles
        if not isinstance(degrees, Tensor) or degrees.ndim != 1 or len(degrees) == 0:
            raise ValueError(f"angles must be a positive number of them or a vector of degrees, got {angles}")
        count = math.ceil(math.hypot(*shape[1:])) if detectors is None else detectors
        if count < 1:
            raise ValueError(f"detectors must be at least 1, got {detectors}")
        super().__init__(shape, (shape[0], len(degrees), count))
        if len(degrees) * count * (shape[1] + shape[2]) > _MOST:
            raise ValueError(
                f"{len(degrees)} angles and {count} detectors on {shape[1]} x {shape[2]} pixels are too many for a "
                f"sparse matrix: take fewer angles or a smaller image"
            )
        self.angles = rounded(degrees)
        lengths = _lengths(shape[1:], self.angles, count)
        self._matrix, self._transpose = _by_rows(lengths), _by_rows(lengths.t().coalesce())

    @property
    def description(self) -> str:
        return f"tomography with {self.output_shape[1]} angles and {self.output_shape[2]} detectors"

    def _norm(self) -> float:
        matrix, transpose = self._matrix, self._transpose
        start = torch.ones(matrix.shape[1], 1, dtype=torch.float64)
        return positive_norm_bound(lambda q: transpose @ (matrix @ q), start, terms=sum(matrix.shape))

    def _apply(self, x: Tensor) -> Tensor:
        return self._product(self._matrix, x).reshape(len(x), *self.output_shape)

    def _transposed(self, y: Tensor) -> Tensor:
        return self._product(self._transpose, y).reshape(len(y), *self.input_shape)

    def _product(self, matrix: Tensor, x: Tensor) -> Tensor:
        planes = x.flatten(2).flatten(0, 1)
        return (self._like(matrix, x) @ planes.T).T


def _lengths(size: tuple[int, int], degrees: Tensor, detectors: int) -> Tensor:
    """The sparse matrix, coalesced, its entries rounded to float32."""
    height, width = size
    rays, pixels, lengths = [], [], []
    for number, angle in enumerate(degrees.deg2rad().tolist()):
        ray, pixel, length = _one_angle(height, width, angle, detectors)
        rays.append(ray + number * detectors)
        pixels.append(pixel)
        lengths.append(length)
    indices = torch.stack((torch.cat(rays), torch.cat(pixels)))
    values = torch.cat(lengths)
    shape = (len(degrees) * detectors, height * width)
    summed = torch.sparse_coo_tensor(indices, values, shape, check_invariants=False).coalesce()
    return torch.sparse_coo_tensor(
        summed.indices(), rounded(summed.values()), shape, is_coalesced=True, check_invariants=False
    )


def _by_rows(matrix: Tensor) -> Tensor:
    """Compressed rows, whose product is some ten times as fast; torch says once in a process that they are new."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
        return matrix.to_sparse_csr()


def _one_angle(height: int, width: int, angle: float, detectors: int) -> tuple[Tensor, Tensor, Tensor]:
    """Rays, pixels and lengths: between two neighbouring crossings of a ray with the grid lies one pixel."""
    across, along = (math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))
    offsets = torch.arange(detectors, dtype=torch.float64) - (detectors - 1) / 2
    crossings = []
    for axis, side in enumerate((width, height)):
        if abs(along[axis]) > 1e-12:
            lines = torch.arange(side + 1, dtype=torch.float64) - side / 2
            crossings.append((lines - offsets[:, None] * across[axis]) / along[axis])
    places = torch.cat(crossings, 1).sort(1).values
    lengths = places.diff(dim=1)
    middles = (places[:, 1:] + places[:, :-1]) / 2
    # a ray along a grid line belongs to one side of it, whatever rounding says
    columns = torch.floor(offsets[:, None] * across[0] + middles * along[0] + width / 2 + 1e-9).long()
    rows = torch.floor(height / 2 - offsets[:, None] * across[1] - middles * along[1] - 1e-9).long()
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height) & (lengths > 1e-9)
    rays = torch.arange(detectors)[:, None].expand_as(rows)
    return rays[inside], (rows * width + columns)[inside], lengths[inside]
