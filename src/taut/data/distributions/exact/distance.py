"""What is known exactly about two distributions."""

from collections.abc import Callable

from taut.data.distributions.distribution import Distribution
from taut.data.distributions.exact.cones import separated
from taut.data.distributions.exact.dilations import dilated
from taut.data.distributions.exact.law import Law, law_of
from taut.data.distributions.exact.potentials import Potential, Solution
from taut.data.distributions.exact.reductions import concentric, one_dimensional

_RULES: tuple[Callable[[Law, Law], Solution | None], ...] = (dilated, separated, one_dimensional, concentric)


def exact_wasserstein1(p: Distribution, q: Distribution) -> float | None:
    """W1(p, q) (l2, over all entries of a sample) where it is known, to about 1e-9 of the laws' width; None where not.

    Known are: laws of which one is a dilation and shift of the other, among them a law and a point, and Gaussians whose
    covariances are proportional; centres and spheres about them that are at least two radii apart; mixtures of
    isotropic Gaussians, spheres and points about one centre; and all mixtures of points, spheres, Gaussians and
    intervals in one dimension. Nothing is known of samples and of functions. What is below 1e-12 of the coordinates
    counts as nothing, as float32 samples do not show it.

    Raises:
        ValueError: Distributions of different shapes.

    Example:
        >>> from taut.data.distributions import Gaussian, Points, Shells
        >>> exact_wasserstein1(Points([[-2, 0], [0, 0], [2, 0]]), Shells([[-2, 0], [0, 0], [2, 0]], radius=1))
        1.0
        >>> exact_wasserstein1(Gaussian([0, 0], std=[1, 2]), Gaussian([0, 0], std=[2, 1])) is None
        True
    """
    found = _solved(p, q)
    return None if found is None else found.distance


def true_potential(p: Distribution, q: Distribution) -> Potential | None:
    """A 1-Lipschitz function f (l2) with E_p f - E_q f = W1(p, q), where `exact_wasserstein1` knows that; else None.

    Raises:
        ValueError: Distributions of different shapes.

    Example:
        >>> import torch
        >>> from taut.data.distributions import Points
        >>> f = true_potential(Points([[0.0]]), Points([[-1.0], [1.0]]))
        >>> f(torch.tensor([[-1.0], [0.0], [3.0]]))
        tensor([-1.,  0., -3.])
    """
    found = _solved(p, q)
    return None if found is None else found.potential


def _solved(p: Distribution, q: Distribution) -> Solution | None:
    if p.shape != q.shape:
        raise ValueError(f"p and q must have samples of one shape, got {p.shape} and {q.shape}")
    left, right = law_of(p), law_of(q)
    if left is None or right is None:
        return None
    for rule in _RULES:
        found = rule(left, right)
        if found is not None:
            return found
    return None
