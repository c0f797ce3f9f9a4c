"""What a trained critic shows: values and gradients on held-out samples, and its graph where it can be drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from taut import certify
from taut import nn as tnn
from taut.data.distributions import true_potential
from taut.errors import UserError
from taut.tasks.wasserstein.problem import Problem, pooled_mean
from taut.training.seeding import stream
from taut.transport.dual import critic_values

_CHUNK = 2000
_GRADIENTS = 4000
_LINE = 801
_SIDE = 121
_MARGIN = 0.15


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A folded critic, divided by its proven constant wherever values are taken."""

    plain: nn.Module
    lipschitz_bound: float
    p_values: Tensor
    q_values: Tensor
    gradient_norm: Tensor
    """l2 norms of the gradient at points between held-out samples of p and of q."""

    def gradient_figures(self) -> dict[str, float]:
        """Mean, extremes, and the share of norms above 0.9: 1 is what a critic that reaches the distance has."""
        norms = self.gradient_norm
        return {
            "mean": float(norms.mean()),
            "minimum": float(norms.min()),
            "maximum": float(norms.max()),
            "share_above_0.9": float((norms > 0.9).double().mean()),
        }


def measured(critic: nn.Module, problem: Problem, *, seed: int) -> Measured:
    """Fold `critic`, prove its constant, and evaluate it in float64 on the held-out samples of `problem`."""
    plain = tnn.fold(critic).cpu().eval().double()
    bound = proven_constant(plain, problem.shape)
    p, q = (side.double() for side in problem.held_out)
    return Measured(
        plain=plain,
        lipschitz_bound=bound,
        p_values=_values(plain, p) / bound,
        q_values=_values(plain, q) / bound,
        gradient_norm=_gradient_norms(plain, _between(p, q, seed)) / bound,
    )


def proven_constant(plain: nn.Module, shape: tuple[int, ...]) -> float:
    """Proven bound of the critic's Lipschitz constant in l2. UserError where none can be proven."""
    try:
        return certify.lipschitz_bound(plain, norm="l2", input_shape=shape)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"no Lipschitz constant can be proven of this critic: {' '.join(str(error).split())}"
        ) from error


def _between(p: Tensor, q: Tensor, seed: int) -> Tensor:
    """Random points between pairs of held-out samples; not the samples, which may all sit on a kink of the critic."""
    pairs = torch.arange(_GRADIENTS) % min(len(p), len(q))
    share = torch.rand(_GRADIENTS, generator=stream(seed, "between"), dtype=torch.float64)
    return torch.lerp(q[pairs], p[pairs], share.view(-1, *[1] * (p.ndim - 1)))


@torch.no_grad()
def _values(plain: nn.Module, x: Tensor) -> Tensor:
    return torch.cat([critic_values(plain, part) for part in x.split(_CHUNK)])


def _gradient_norms(plain: nn.Module, x: Tensor) -> Tensor:
    norms = []
    for part in x.split(_CHUNK):
        points = part.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(critic_values(plain, points).sum(), points)
        norms.append(gradient.flatten(1).norm(dim=1))
    return torch.cat(norms)


def graph(found: Measured, problem: Problem) -> dict[str, Tensor]:
    """The critic on a line (one dimension) or on a plane through the first two coordinates, beside the true potential.

    In more than two dimensions the other coordinates are those of the mean of all samples. Empty for pictures.
    """
    if len(problem.shape) != 1:
        return {}
    points, sides = _grid(problem)
    tensors = {
        "grid": points,
        "grid_shape": torch.tensor(sides, dtype=torch.int64),
        "grid_values": _centred(_values(found.plain, points) / found.lipschitz_bound),
    }
    truth: Callable[[Tensor], Tensor] | None = true_potential(problem.p, problem.q)
    if truth is not None:
        tensors["true_values"] = _centred(truth(points).double())
    return tensors


def _grid(problem: Problem) -> tuple[Tensor, tuple[int, ...]]:
    both = torch.cat(problem.held_out).double()
    (dimension,) = problem.shape
    axes = []
    for coordinate in range(min(dimension, 2)):
        low, high = float(both[:, coordinate].min()), float(both[:, coordinate].max())
        more = _MARGIN * max(high - low, 1e-6)
        axes.append(torch.linspace(low - more, high + more, _LINE if dimension == 1 else _SIDE, dtype=torch.float64))
    mesh = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, len(axes))
    points = pooled_mean(problem).repeat(len(mesh), 1)
    points[:, : len(axes)] = mesh
    return points, tuple(len(axis) for axis in axes)


def _centred(values: Tensor) -> Tensor:
    return values - values.mean()


def figures_of(found: Measured) -> dict[str, Any]:
    """What is said of a critic that was trained beside the one that counts."""
    return {
        "lipschitz_bound": found.lipschitz_bound,
        "estimate": float(found.p_values.mean() - found.q_values.mean()),
        "gradient_norm": found.gradient_figures(),
    }
