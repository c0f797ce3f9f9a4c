"""What is drawn of an invertible network on a line or a plane: densities, the map, and lines of the latent space."""

import torch
from torch import Tensor

from taut.models import InvertibleNetwork
from taut.tasks.invertible.problem import Problem

_LINE = 801
_SIDE = 161
_MARGIN = 0.15
_CHUNK = 2000
_CIRCLES = (0.5, 1.0, 1.5, 2.0, 2.5)
_RAYS = 12
_ON_LINE = 961
_TOLERANCE = 1e-4


def drawn_tensors(network: InvertibleNetwork, problem: Problem, rates: tuple[float, ...]) -> dict[str, Tensor]:
    """In one dimension the densities and the map on a line; in two the densities on a plane, and circles and rays of
    the latent space, taken back to the samples. Nothing in more."""
    if problem.features > 2:
        return {}
    points, sides = _grid(problem)
    tensors = {
        "grid": points,
        "grid_shape": torch.tensor(sides, dtype=torch.int64),
        "density": torch.cat([network.log_prob(part) for part in points.split(_CHUNK)]).exp(),
    }
    truth = problem.target.log_density(points.reshape(-1, *problem.target.shape))
    if truth is not None:
        tensors["true_density"] = truth.exp()
    if problem.features == 1:
        return tensors | {"map": network(points)[:, 0]}
    lines = _latent_lines()
    flat = network.inversion(lines.reshape(-1, 2), tolerance=_TOLERANCE, contractions=rates).x
    return tensors | {"lines": flat.reshape(lines.shape)}


def _grid(problem: Problem) -> tuple[Tensor, tuple[int, ...]]:
    seen = problem.held_out.double().flatten(1)
    axes = []
    for column in seen.T:
        low, high = float(column.min()), float(column.max())
        more = _MARGIN * max(high - low, 1e-6)
        axes.append(torch.linspace(low - more, high + more, _LINE if len(seen.T) == 1 else _SIDE, dtype=torch.float64))
    mesh = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, len(axes))
    return mesh, tuple(len(axis) for axis in axes)


def _latent_lines() -> Tensor:
    """(lines, points, 2): circles, then rays from 0 to the largest of them."""
    share = torch.linspace(0, 1, _ON_LINE, dtype=torch.float64)
    turn = 2 * torch.pi * share
    circles = [radius * torch.stack([turn.cos(), turn.sin()], dim=1) for radius in _CIRCLES]
    angles = 2 * torch.pi * torch.arange(_RAYS, dtype=torch.float64) / _RAYS
    rays = [_CIRCLES[-1] * share[:, None] * torch.stack([angle.cos(), angle.sin()]) for angle in angles]
    return torch.stack([*circles, *rays])
