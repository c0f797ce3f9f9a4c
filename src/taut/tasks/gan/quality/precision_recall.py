"""How many samples of each set lie within the other: what a generator gets wrong, and what it leaves out."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from taut.tasks.gan.quality.frechet import check_features

_CHUNK = 2**22
"""Distances that are held at a time."""


def precision_recall(
    real: Float[Tensor, "n features"], fake: Float[Tensor, "m others"], *, neighbours: int = 3
) -> tuple[float, float]:
    r"""Shares of `fake` in the manifold of `real`, and of `real` in that of `fake` (l2).

    The manifold of a set is the union of the closed balls around its samples that reach to their k-th nearest neighbour
    in the set, themselves left out. Low precision: samples that do not look real. Low recall: kinds of real samples
    that are missing. Both depend on the number of samples: compare equal numbers.

    Args:
        real: Features of real samples.
        fake: Features of generated samples.
        neighbours: k.

    Raises ValueError for no more than k samples, features of different sizes, and features that are not finite.

    Source: Kynkäänniemi et al. (2019), with k = 3.

    >>> x = torch.arange(8.0)[:, None]
    >>> precision_recall(x, x[:4])
    (1.0, 0.875)
    """
    if neighbours < 1:
        raise ValueError(f"neighbours must be at least 1, got {neighbours}")
    check_features(real, fake, at_least=neighbours + 1)
    around_real, around_fake = _radii(real, neighbours), _radii(fake, neighbours)
    return _share_within(fake, real, around_real), _share_within(real, fake, around_fake)


def _radii(x: Tensor, neighbours: int) -> Tensor:
    """Distance of each sample to its k-th nearest other one: the sample itself is the nearest, at 0."""
    found = [_distances(part, x).topk(neighbours + 1, largest=False).values[:, -1] for part in _parts(x, len(x))]
    return torch.cat(found)


def _share_within(x: Tensor, centres: Tensor, radii: Tensor) -> float:
    inside: list[Bool[Tensor, " part"]] = [
        (_distances(part, centres) <= radii).any(1) for part in _parts(x, len(centres))
    ]
    return float(torch.cat(inside).double().mean())


def _parts(x: Tensor, across: int) -> tuple[Tensor, ...]:
    return x.split(max(1, _CHUNK // across))


def _distances(x: Tensor, y: Tensor) -> Tensor:
    # by differences: by matrix products the distance of equal samples would be rounding noise, not 0
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
