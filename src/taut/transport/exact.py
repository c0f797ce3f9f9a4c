r"""Exact Wasserstein-1 distance between two samples, with the potentials that prove it."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

LARGEST = 10**8
"""Most pairs of points that are taken: 0.8 GB for the distances, some GB and up to an hour in the solver."""

_ITERATIONS = 10**9


@dataclass(frozen=True, kw_only=True, eq=False)
class ExactTransport:
    """The least mean distance over which one sample can be moved onto the other, and its proof."""

    value: float
    """The distance, in the units of the samples."""
    standard_error: float
    """Of `value`, as the samples are drawn anew: sqrt(Var f(x) / n + Var f(y) / m). Asymptotic, and for the noise
    alone: not for the part by which finite samples lie further apart than their distributions."""
    x_potentials: Float[Tensor, " n"]
    """f at each x, f being 1-Lipschitz (l2) on all points, with mean f(x) - mean f(y) = `value`; up to a constant."""
    y_potentials: Float[Tensor, " m"]
    """f at each y."""


def exact_transport(
    x: Shaped[Tensor, "n ..."],
    y: Shaped[Tensor, "m ..."],
    *,
    x_weights: Shaped[Tensor, " n"] | None = None,
    y_weights: Shaped[Tensor, " m"] | None = None,
) -> ExactTransport:
    r"""W1 between the empirical distributions of x and y, the cost being the l2 distance: exact up to float64 rounding.

    Samples of one entry are sorted; others need POT, memory for n times m distances, and time that grows a little
    faster than that (2000 and 2000: seconds). Sizes may differ. A sample is one vector, whatever its shape. Rounding is
    that of the largest distance, also where that is between points that are not moved.

    Args: `x_weights`, `y_weights`, masses of the points, divided by their sum; equal if not given.
    Errors: ValueError for no samples, shapes that differ, numbers or weights that are not finite, negative weights, and
    for more than 10^8 pairs; ImportError without POT in more than one dimension; RuntimeError when the solver gives up.
    Sources: Kantorovich (1942); Sommerfeld and Munk (2018) for the standard error; POT: Flamary et al. (2021).

    >>> import torch
    >>> exact_transport(torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0], [0.0], [6.0]])).value
    2.5
    """
    x, y = _flat("x", x), _flat("y", y)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"x and y must be samples of one shape, got {x.shape[1]} and {y.shape[1]} entries")
    a, b = _masses("x", x_weights, len(x)), _masses("y", y_weights, len(y))
    centre, unit = _frame(torch.cat([x, y]))
    x, y = (x / unit - centre), (y / unit - centre)
    f, g = _sorted_potentials(x[:, 0], y[:, 0], a, b) if x.shape[1] == 1 else _solved_potentials(x, y, a, b)
    return ExactTransport(
        value=unit * max(0.0, float((a * f).sum() - (b * g).sum())),
        standard_error=unit * math.sqrt(_variance_of_mean(f, a) + _variance_of_mean(g, b)),
        x_potentials=unit * f,
        y_potentials=unit * g,
    )


def _sorted_potentials(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """W1 is the integral of |F - G|; the potential falls where F, the share of x below, is the larger one."""
    points, order = torch.cat([x, y]).sort(stable=True)
    excess = torch.cat([a, -b])[order].cumsum(0)[:-1]
    level = excess.abs() <= 4 * len(points) * torch.finfo(torch.float64).eps  # equal but for the rounding of the sum
    slope = torch.where(level, 0.0, -excess.sign())
    potential = torch.empty_like(points)
    potential[order] = torch.cat([points.new_zeros(1), (slope * points.diff()).cumsum(0)])
    return potential[: len(x)], potential[len(x) :]


def _solved_potentials(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    if len(x) * len(y) > LARGEST:
        raise ValueError(
            f"exact transport of {len(x)} onto {len(y)} samples needs {len(x) * len(y):.2g} distances, and at most "
            f"{LARGEST:.2g} are taken: give fewer samples, such as {math.isqrt(LARGEST)} of each"
        )
    try:
        import ot
    except ImportError as error:
        raise ImportError(
            "exact transport in more than one dimension needs POT: pip install 'taut[transport]'"
        ) from error
    # not by the products of x and y, which lose half of the digits between points that are close
    cost = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").numpy()
    solved: Any = ot.emd2(a.numpy(), b.numpy(), cost, numItermax=_ITERATIONS, log=True)
    log = solved[1]
    if log["warning"] is not None:
        raise RuntimeError(f"the solver of exact transport found no optimum: {log['warning']}")
    f, g = torch.as_tensor(log["u"], dtype=torch.float64), -torch.as_tensor(log["v"], dtype=torch.float64)
    return _extended(f, g, a > 0.0, b > 0.0, torch.from_numpy(cost))


def _extended(f: Tensor, g: Tensor, a: Tensor, b: Tensor, cost: Tensor) -> tuple[Tensor, Tensor]:
    """1-Lipschitz at the other points too: the solver binds potentials at those with a mass, `a` and `b`, alone."""
    if not a.all():
        f = torch.where(a, f, (g + cost).masked_fill(~b, math.inf).amin(dim=1))
    if not b.all():
        g = torch.where(b, g, (f[:, None] - cost).amax(dim=0))
    return f, g


def _flat(name: str, samples: Tensor) -> Tensor:
    if not samples.ndim or not samples.numel():
        raise ValueError(f"{name} has no samples: its shape is {tuple(samples.shape)}")
    if samples.is_complex():
        raise ValueError(f"{name} must be real, got {samples.dtype}")
    flat = samples.detach().to("cpu", torch.float64).reshape(len(samples), -1)
    if not torch.isfinite(flat).all():
        raise ValueError(f"{name} must be finite, but sample {_first_infinite(flat)} is not")
    return flat


def _first_infinite(flat: Tensor) -> int:
    return int((~torch.isfinite(flat).all(dim=1)).nonzero()[0])


def _masses(name: str, weights: Tensor | None, count: int) -> Tensor:
    if weights is None:
        return torch.full((count,), 1.0 / count, dtype=torch.float64)
    masses = weights.detach().to("cpu", torch.float64)
    if not (torch.isfinite(masses).all() and (masses >= 0).all() and masses.sum() > 0):
        raise ValueError(f"the weights of {name} must be finite and not negative, with a positive sum")
    return masses / masses.sum()


def _frame(points: Tensor) -> tuple[Tensor, float]:
    """A centre and a unit, a power of two, in which no square overflows and no offset hides the distances."""
    largest = float(points.abs().amax())
    unit = 2.0 ** min(math.frexp(largest)[1], 1023) if largest else 1.0
    return (points / unit).mean(dim=0), unit


def _variance_of_mean(potential: Tensor, masses: Tensor) -> float:
    """Of the mean weighted by the masses, 0 for a constant; 1/(n-1) of the variance where the masses are equal."""
    spread = (masses * (potential - (masses * potential).sum())).square().sum()
    share = float(masses.square().sum())
    return float(spread) / (1.0 - share) if share < 1.0 else 0.0
