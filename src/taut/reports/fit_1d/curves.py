"""`evaluation.safetensors` of one-dimensional fits: the target, and the curve of each cell's median network."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from taut.errors import UserError
from taut.reports.folder.tensors import read_tensors

_PREFIX = "median/"


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Functions on the same points of the interval."""

    grid: Float[np.ndarray, " points"]
    target: Float[np.ndarray, " points"]
    median: dict[str, Float[np.ndarray, " points"]]
    """Of the network with the median error, by the name of the cell."""


def read_curves(path: Path) -> Curves:
    """Read and check the curves; a `UserError` names what is damaged."""
    tensors = read_tensors(path, required=("grid", "target"))
    median = {name.removeprefix(_PREFIX): values for name, values in tensors.items() if name.startswith(_PREFIX)}
    for name, values in {"target": tensors["target"], **median}.items():
        if values.ndim != 1 or values.shape != tensors["grid"].shape or not np.isfinite(values).all():
            raise UserError(f"{path} is damaged: {name} is not one finite number for each point of the grid")
    return Curves(grid=tensors["grid"], target=tensors["target"], median=median)
