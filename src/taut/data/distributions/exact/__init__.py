"""Wasserstein-1 distances (l2) and Kantorovich potentials that are known exactly; None for all others."""

from taut.data.distributions.exact.distance import exact_wasserstein1, true_potential
from taut.data.distributions.exact.potentials import Potential

__all__ = ["Potential", "exact_wasserstein1", "true_potential"]
