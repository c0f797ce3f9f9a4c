"""The Fréchet distance between Gaussians fitted to two sets of features, as in FID."""

import torch
from jaxtyping import Float
from torch import Tensor


def frechet_distance(x: Float[Tensor, "n features"], y: Float[Tensor, "m others"]) -> float:
    r"""|mean x - mean y|^2 + tr(A + B - 2 (A^{1/2} B A^{1/2})^{1/2}): squared Wasserstein-2 distance (l2) of Gaussians.

    A and B are the unbiased covariances of x and y. In float64, by two symmetric eigenvalue problems, also for singular
    covariances. It grows as the samples get fewer, even for samples of one distribution: compare equal numbers.

    Raises ValueError for fewer than two samples, features of different sizes, and features that are not finite.

    Source: Dowson and Landau (1982); Heusel et al. (2017) for its use.

    >>> frechet_distance(torch.tensor([[0.0], [2.0]]), torch.tensor([[3.0], [5.0]]))
    9.0
    """
    check_features(x, y, at_least=2)
    mean_x, covariance_x = _fit(x)
    mean_y, covariance_y = _fit(y)
    values, vectors = torch.linalg.eigh(covariance_x)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.mT
    shared = torch.linalg.eigvalsh(root @ covariance_y @ root).clamp_min(0).sqrt().sum()
    distance = (mean_x - mean_y).square().sum() + covariance_x.trace() + covariance_y.trace() - 2 * shared
    return max(0.0, float(distance))


def check_features(x: Tensor, y: Tensor, *, at_least: int) -> None:
    """ValueError unless both are finite, of one size, and so many."""
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"both sets need features of one size, got {x.shape[1]} and {y.shape[1]}")
    if min(len(x), len(y)) < at_least:
        raise ValueError(f"each set needs at least {at_least} samples, got {len(x)} and {len(y)}")
    if not (x.isfinite().all() and y.isfinite().all()):
        raise ValueError("a feature is NaN or infinite")


def _fit(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and unbiased covariance."""
    x = x.double()
    centred = x - x.mean(0)
    return x.mean(0), centred.mT @ centred / (len(x) - 1)
