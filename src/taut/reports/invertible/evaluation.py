"""`evaluation.safetensors` of an invertible network: samples, densities on a grid, and residuals of the inverse."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from taut.errors import UserError
from taut.reports.folder.tensors import read_tensors


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """On a line or a plane: the density that was learned, the true one where it is known, and more."""

    points: Float[np.ndarray, "*grid dimension"]
    density: Float[np.ndarray, "*grid"]
    truth: Float[np.ndarray, "*grid"] | None
    image: Float[np.ndarray, "*grid"] | None
    """On a line: the value of the network."""
    lines: Float[np.ndarray, "lines points 2"] | None
    """On a plane: circles and rays of the latent space, taken back."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was measured on held-out samples."""

    data: Float[np.ndarray, "n features"]
    samples: Float[np.ndarray, "n features"]
    latents: Float[np.ndarray, "n features"]
    """Those of `data`."""
    residuals: list[Float[np.ndarray, " steps"]]
    """Of each block: the largest step of the fixed-point iteration, from the first on."""
    drawn: Drawn | None


def read_evaluation(path: Path) -> Evaluation:
    """Read and check the file; a `UserError` says what is wrong with it."""
    names = ("data", "samples", "latents", "residuals", "residual_counts")
    tensors = read_tensors(path, required=names)
    data, samples, latents, residuals = (tensors[name].astype(np.float64) for name in names[:4])
    counts = [int(count) for count in np.atleast_1d(tensors["residual_counts"])]
    if data.ndim != 2 or data.shape != samples.shape or data.shape != latents.shape or not len(data):
        raise UserError(f"{path} is damaged: data, samples and latents must be rows of the same numbers")
    if residuals.ndim != 1 or min(counts, default=0) < 1 or sum(counts) != len(residuals):
        raise UserError(f"{path} is damaged: residual_counts must divide residuals into the blocks")
    if not all(np.isfinite(rows).all() for rows in (data, samples, latents, residuals)):
        raise UserError(f"{path} is damaged: it holds numbers that are not finite")
    return Evaluation(
        data=data,
        samples=samples,
        latents=latents,
        residuals=np.split(residuals, np.cumsum(counts)[:-1]),
        drawn=_drawn(tensors, path) if "grid" in tensors else None,
    )


def _drawn(tensors: dict[str, np.ndarray], path: Path) -> Drawn:
    missing = [name for name in ("grid_shape", "density") if name not in tensors]
    if missing:
        raise UserError(f"{path} is damaged: it has a grid, but lacks {', '.join(missing)}")
    shape = tuple(int(side) for side in np.atleast_1d(tensors["grid_shape"]))
    points = tensors["grid"].astype(np.float64)
    rows = {name: tensors[name].astype(np.float64) for name in ("density", "true_density", "map") if name in tensors}
    fits = points.ndim == 2 and points.shape[1] == len(shape) and len(points) == np.prod(shape) > 0
    if len(shape) not in (1, 2) or not fits or any(row.shape != points.shape[:1] for row in rows.values()):
        raise UserError(f"{path} is damaged: grid and {', '.join(rows)} must have a row per point of grid_shape")
    lines = tensors["lines"].astype(np.float64) if "lines" in tensors else None
    if lines is not None and (lines.ndim != 3 or lines.shape[2] != 2):
        raise UserError(f"{path} is damaged: lines must be (lines, points, 2)")
    if not all(np.isfinite(values).all() for values in (points, *rows.values(), *([] if lines is None else [lines]))):
        raise UserError(f"{path} is damaged: what is drawn must be finite")
    shaped = {name: row.reshape(shape) for name, row in rows.items()}
    return Drawn(
        points=points.reshape(*shape, -1),
        density=shaped["density"],
        truth=shaped.get("true_density"),
        image=shaped.get("map"),
        lines=lines,
    )
