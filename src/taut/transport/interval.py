r"""How far sampling can have moved the two ends of a bracket of W1: intervals of Welch and Student."""

import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

_NORMAL_FROM = 1e4
"""Degrees of freedom from which Student's quantile is the normal one and its first correction, to 1e-6."""


@dataclass(frozen=True, kw_only=True)
class MeanDifference:
    """(mean f(x) - mean f(y)) / K, and where its expectation lies."""

    estimate: float
    standard_error: float
    interval: tuple[float, float]
    """Two-sided, at the confidence asked for."""
    lower: float
    """One-sided: the expectation is larger, at that confidence."""


def mean_difference(
    p_values: Float[Tensor, " n"], q_values: Float[Tensor, " m"], *, bound: float, confidence: float = 0.95
) -> MeanDifference:
    r"""Welch's interval of E f(x) - E f(y), divided by the bound K: for a K-Lipschitz f, a lower bound of W1 (l2).

    E f(x) - E f(y) <= K W1 holds for any K-Lipschitz f (Kantorovich and Rubinstein), so what is too large about
    `lower` is sampling error alone, provided that f was chosen without looking at these samples. The intervals are
    exact for normal values of equal variance, asymptotic for others. Computed in float64.

    Args: `p_values`, `q_values`: f at independent samples, two or more of each. `bound`: K, proven.
    Errors: ValueError for fewer samples, values that are not finite, a bound that is not positive and finite, and a
    confidence outside (0.5, 1).
    Source: Welch (1947).

    >>> import torch
    >>> found = mean_difference(torch.tensor([3.0, 5.0, 4.0]), torch.tensor([1.0, 1.0]), bound=2.0)
    >>> found.estimate, round(found.lower, 3)  # Student's 2.92 with 2 degrees of freedom, and 1 / sqrt(3) over 2
    (1.5, 0.657)
    """
    check_confidence(confidence)
    if not 0.0 < bound < math.inf:
        raise ValueError(f"the bound must be a positive finite number, got {bound!r}")
    p, q = _read("p_values", p_values), _read("q_values", q_values)
    largest = float(max(p.abs().amax(), q.abs().amax()))
    unit = math.ldexp(1.0, min(math.frexp(largest)[1], 1023))  # so that squares neither overflow nor vanish
    p, q = p / unit, q / unit
    unit /= bound
    estimate = unit * float(p.mean() - q.mean())
    variances = float(p.var()) / len(p), float(q.var()) / len(q)
    variance = sum(variances)
    if variance == 0.0:
        return MeanDifference(estimate=estimate, standard_error=0.0, interval=(estimate, estimate), lower=estimate)
    error = unit * math.sqrt(variance)
    shares = variances[0] / variance, variances[1] / variance
    degrees = 1.0 / (shares[0] ** 2 / (len(p) - 1) + shares[1] ** 2 / (len(q) - 1))
    half = error * student_quantile((1.0 + confidence) / 2.0, degrees)
    return MeanDifference(
        estimate=estimate,
        standard_error=error,
        interval=(estimate - half, estimate + half),
        lower=estimate - error * student_quantile(confidence, degrees),
    )


def _read(name: str, values: Tensor) -> Tensor:
    if len(values) < 2:
        raise ValueError(f"{name} must be at least 2 numbers, got {len(values)}")
    exact = values.detach().to("cpu", torch.float64)
    if not torch.isfinite(exact).all():
        raise ValueError(f"{name} must be finite")
    return exact


def transport_upper(value: float, standard_error: float, *, samples: int, confidence: float = 0.95) -> float:
    r"""value + t standard_error: an upper end of W1 between two distributions, from exact transport of their samples.

    The expectation of the transport value of samples is at least W1 of their distributions (it is a maximum over
    functions, and the expectation of a maximum is at least the maximum of the expectations). So this is an upper end
    up to sampling error, for which the asymptotic standard error allows, and t, Student's quantile of the confidence
    for the size of the smaller sample. It does not approach W1 fast: in d dimensions the transport value is too large
    by the order of n^(-1/d).

    Args: `samples`: the number of samples, of the smaller side.
    Errors: ValueError for a confidence outside (0.5, 1), or fewer than 2 samples.

    >>> round(transport_upper(1.0, 0.1, samples=10**6), 4)
    1.1645
    """
    check_confidence(confidence)
    if samples < 2:
        raise ValueError(f"an upper end needs at least 2 samples, got {samples}")
    return value + student_quantile(confidence, samples - 1.0) * standard_error


def student_quantile(probability: float, degrees: float) -> float:
    r"""t with P(T <= t) = `probability` for Student's T with `degrees` of freedom, to 1e-6 of it up to 0.9999.

    With t = sqrt(degrees) tan(a) the density becomes proportional to cos(a)^(degrees - 1), whose integral from 0 is
    concave: Newton's method from 0 never overshoots.

    Args: probability in [0.5, 1); degrees at least 1, not necessarily whole. Errors: ValueError outside.

    >>> round(student_quantile(0.975, 10.0), 4)
    2.2281
    """
    if not 0.5 <= probability < 1.0:
        raise ValueError(f"probability must be in [0.5, 1), got {probability!r}")
    if not degrees >= 1.0:
        raise ValueError(f"degrees must be at least 1, got {degrees!r}")
    if degrees >= _NORMAL_FROM:
        z = NormalDist().inv_cdf(probability)
        return z + (z**3 + z) / (4.0 * degrees)
    scale = math.exp(math.lgamma((degrees + 1.0) / 2.0) - math.lgamma(degrees / 2.0)) / math.sqrt(math.pi)
    angle, move = 0.0, 1.0
    while move > 1e-14 * angle and move > 0.0:
        missing = probability - 0.5 - scale * _integral_of_cosines(angle, degrees - 1.0)
        move = missing / (scale * math.cos(angle) ** (degrees - 1.0))
        angle += move
    return math.sqrt(degrees) * math.tan(angle)


def _integral_of_cosines(angle: float, power: float) -> float:
    """Of cos^power from 0 to the angle, by 64 nodes of Gauss on each of 8 pieces."""
    nodes, weights = _gauss()
    starts = angle / 8.0 * np.arange(8)
    points = starts[:, None] + angle / 8.0 * (nodes + 1.0) / 2.0
    return float((np.cos(points) ** power @ weights).sum() * angle / 16.0)


@cache
def _gauss() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(64)


def check_confidence(confidence: float) -> None:
    """ValueError unless 0.5 < confidence < 1."""
    if not 0.5 < confidence < 1.0:
        raise ValueError(f"confidence must be between 0.5 and 1, such as 0.95, got {confidence!r}")
