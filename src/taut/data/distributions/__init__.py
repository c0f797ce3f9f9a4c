"""Probability laws to draw samples from, and what is known exactly about the Wasserstein-1 distance of two of them."""

from taut.data.distributions.checkerboard import Checkerboard
from taut.data.distributions.cube import UniformCube
from taut.data.distributions.curves import NoisyCurves, circles, moons, spirals
from taut.data.distributions.distribution import Distribution
from taut.data.distributions.empirical import Empirical, from_file, named
from taut.data.distributions.exact import Potential, exact_wasserstein1, true_potential
from taut.data.distributions.function import Function, imported
from taut.data.distributions.gaussian import Gaussian
from taut.data.distributions.mixture import Mixture
from taut.data.distributions.pinwheel import Pinwheel, ring
from taut.data.distributions.points import Points
from taut.data.distributions.shells import Shells
from taut.data.distributions.syntax import parse

__all__ = [
    "Checkerboard",
    "Distribution",
    "Empirical",
    "Function",
    "Gaussian",
    "Mixture",
    "NoisyCurves",
    "Pinwheel",
    "Points",
    "Potential",
    "Shells",
    "UniformCube",
    "circles",
    "exact_wasserstein1",
    "from_file",
    "imported",
    "moons",
    "named",
    "parse",
    "ring",
    "spirals",
    "true_potential",
]
