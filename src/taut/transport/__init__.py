"""Wasserstein-1 distances between samples: from below by a critic with a proven constant, from above by transport."""

from taut.transport.dual import dual_objective, dual_value
from taut.transport.exact import ExactTransport, exact_transport
from taut.transport.interval import MeanDifference, mean_difference, transport_upper
from taut.transport.result import Wasserstein1
from taut.transport.training import train_critic
from taut.transport.wasserstein1 import wasserstein1

__all__ = [
    "ExactTransport",
    "MeanDifference",
    "Wasserstein1",
    "dual_objective",
    "dual_value",
    "exact_transport",
    "mean_difference",
    "train_critic",
    "transport_upper",
    "wasserstein1",
]
