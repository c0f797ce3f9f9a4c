"""`evaluation.safetensors` of a Wasserstein run: the critic on held-out samples, its gradients, and its potential."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from taut.errors import UserError
from taut.reports.folder.tensors import read_tensors


@dataclass(frozen=True, kw_only=True)
class Potential:
    """The critic, divided by its constant, on a line or on a plane, and the true potential where it is known.

    Potentials are determined up to a constant: all are shifted to mean 0 over the grid.
    """

    points: Float[np.ndarray, "*grid dimension"]
    critic: Float[np.ndarray, "*grid"]
    truth: Float[np.ndarray, "*grid"] | None
    beside: Float[np.ndarray, "*grid"] | None = None
    """A second critic, where another was trained to compare with."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was measured on held-out samples. Values and gradients are those of the critic divided by its constant."""

    p_values: Float[np.ndarray, " p_samples"]
    q_values: Float[np.ndarray, " q_samples"]
    gradient_norm: Float[np.ndarray, " points"]
    p_samples: Float[np.ndarray, "p_shown *shape"]
    """Some of the samples."""
    q_samples: Float[np.ndarray, "q_shown *shape"]
    potential: Potential | None
    beside_gradient_norm: Float[np.ndarray, " beside_points"] | None = None
    """Of the second critic, where there is one."""


def read_evaluation(path: Path) -> Evaluation:
    """Read and check the file; a `UserError` says what is wrong with it."""
    names = ("p_values", "q_values", "gradient_norm", "p_samples", "q_samples")
    tensors = read_tensors(path, required=names)
    rows = p_values, q_values, gradient_norm, p_samples, q_samples = [
        tensors[name].astype(np.float64) for name in names
    ]
    beside = [tensors[name].astype(np.float64) for name in ("beside_gradient_norm",) if name in tensors]
    if any(row.ndim != 1 or len(row) == 0 for row in (*rows[:3], *beside)):
        raise UserError(
            f"{path} is damaged: p_values, q_values, gradient_norm and beside_gradient_norm must be rows of numbers"
        )
    if p_samples.ndim < 2 or p_samples.shape[1:] != q_samples.shape[1:]:
        raise UserError(f"{path} is damaged: p_samples and q_samples must be samples of one shape")
    if not all(np.isfinite(row).all() for row in (*rows, *beside)):
        raise UserError(f"{path} is damaged: it holds numbers that are not finite")
    return Evaluation(
        p_values=p_values,
        q_values=q_values,
        gradient_norm=gradient_norm,
        p_samples=p_samples,
        q_samples=q_samples,
        potential=_potential(tensors, path) if "grid" in tensors else None,
        beside_gradient_norm=beside[0] if beside else None,
    )


def _potential(tensors: dict[str, np.ndarray], path: Path) -> Potential:
    compared = ("beside_grid_values",) if "beside_gradient_norm" in tensors else ()
    missing = [name for name in ("grid_values", "grid_shape", *compared) if name not in tensors]
    if missing:
        raise UserError(f"{path} is damaged: it has a grid, but lacks {', '.join(missing)}")
    shape = tuple(int(side) for side in np.atleast_1d(tensors["grid_shape"]))
    points = tensors["grid"].astype(np.float64)
    names = [name for name in ("grid_values", "true_values", *compared) if name in tensors]
    rows = {name: tensors[name].astype(np.float64) for name in names}
    fits = points.ndim == 2 and points.shape[1] >= len(shape) and len(points) == np.prod(shape) > 0
    if len(shape) not in (1, 2) or not fits or any(row.shape != points.shape[:1] for row in rows.values()):
        raise UserError(f"{path} is damaged: grid and {', '.join(names)} must have a row per point of grid_shape")
    if not all(np.isfinite(values).all() for values in (points, *rows.values())):
        raise UserError(f"{path} is damaged: the potential must be finite")
    centred = {name: (row - row.mean()).reshape(shape) for name, row in rows.items()}
    return Potential(
        points=points.reshape(*shape, -1),
        critic=centred["grid_values"],
        truth=centred.get("true_values"),
        beside=centred.get("beside_grid_values"),
    )
