"""Normal laws."""

import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from taut.data.distributions.distribution import Distribution, check_count
from taut.data.distributions.numbers import Numbers, listed, shown, sized, tensor_of

_ASYMMETRY = 1e-6  # of float32 products


@final
@dataclass(frozen=True, eq=False, repr=False, init=False)
class Gaussian(Distribution):
    """The normal law with a given mean, and a standard deviation or a covariance matrix.

    Args:
        mean: Of the shape of a sample; a single number is a law in one dimension.
        std: Standard deviation, one for all entries or one for each, above 0; 1 when neither is given.
        covariance: Symmetric and positive definite, over the entries of a sample in a row, in place of `std`.

    Raises:
        ValueError: Numbers that are not finite, of another shape, not positive, or both of std and covariance.

    Example:
        >>> Gaussian([0, 0], std=[1, 2]).description
        'the normal law in 2 dimensions of mean (0, 0) and standard deviation (1, 2)'
        >>> Gaussian([0, 0], covariance=[[2, 1], [1, 2]]).sample(3, torch.Generator()).shape
        torch.Size([3, 2])
    """

    mean: Float64[Tensor, "*shape"]
    """Mean, of the shape of a sample."""
    factor: Float64[Tensor, "..."]
    """Standard deviations of all entries in a row; or the lower Cholesky factor of a covariance with correlations."""

    def __init__(self, mean: Numbers, *, std: Numbers | None = None, covariance: Numbers | None = None) -> None:
        centre = torch.atleast_1d(tensor_of(mean, "mean"))
        if std is not None and covariance is not None:
            raise ValueError(f"give std or covariance, not both; got {shown(std)} and {shown(covariance)}")
        factor = _factor(covariance, centre.numel()) if covariance is not None else _deviations(std, centre)
        object.__setattr__(self, "mean", centre)
        object.__setattr__(self, "factor", factor)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.mean.shape)

    @property
    def description(self) -> str:
        text = f"the normal law {sized(self.shape)} of mean {listed(self.mean)}"
        if self.factor.ndim == 2:
            return f"{text} and a full covariance"
        same = bool((self.factor == self.factor[0]).all())
        return f"{text} and standard deviation {listed(self.factor[:1] if same else self.factor)}"

    def sample(self, count: int, generator: torch.Generator) -> Float32[Tensor, "count *shape"]:
        check_count(count)
        normal = torch.randn(count, self.mean.numel(), dtype=torch.float64, generator=generator)
        normal = normal * self.factor if self.factor.ndim == 1 else normal @ self.factor.T
        return (self.mean + normal.reshape(count, *self.shape)).float()

    def log_density(self, x: Tensor) -> Float64[Tensor, " count"] | None:
        """-|A^-1 (x - m)|^2 / 2 - log det A - d/2 log 2 pi, A the factor."""
        offset = (x.double() - self.mean).flatten(1)
        if self.factor.ndim == 1:
            white, log_det = offset / self.factor, self.factor.log().sum()
        else:
            white = torch.linalg.solve_triangular(self.factor, offset.T, upper=False).T
            log_det = self.factor.diagonal().log().sum()
        return -white.square().sum(dim=1) / 2 - log_det - offset.shape[1] * math.log(2 * math.pi) / 2


def _deviations(std: Numbers | None, mean: Tensor) -> Tensor:
    given = tensor_of(1.0 if std is None else std, "std")
    if given.ndim and given.shape != mean.shape:
        raise ValueError(f"std must be one number or of the mean's shape {tuple(mean.shape)}, got {shown(std)}")
    if float(given.min()) <= 0.0:
        raise ValueError(f"std must be above 0, got {shown(std)}")
    return given.expand(mean.shape).reshape(-1).clone()


def _factor(covariance: Numbers, entries: int) -> Tensor:
    matrix = tensor_of(covariance, "covariance")
    if tuple(matrix.shape) != (entries, entries):
        raise ValueError(f"covariance must be a matrix of {entries} x {entries} numbers, got {shown(covariance)}")
    if float((matrix - matrix.T).abs().max()) > _ASYMMETRY * float(matrix.abs().max()):
        raise ValueError(f"covariance must be symmetric, got {shown(covariance)}")
    matrix = (matrix + matrix.T) / 2.0
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if int(failed):
        raise ValueError(f"covariance must be positive definite, got {shown(covariance)}")
    diagonal = factor.diagonal()
    return diagonal.clone() if torch.equal(matrix, torch.diag(matrix.diagonal())) else factor
