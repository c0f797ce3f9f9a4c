"""What can be chosen of a benchmark; the field docstrings are the help of the command line."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from taut.errors import require

Axis = Literal["width", "depth", "batch", "classes", "channels", "side", "processes"]
STEPS: dict[Axis, tuple[int, int, int]] = {
    "width": (2, 2**15, 2),
    "depth": (1, 1000, 1),
    "batch": (1, 2**20, 1),
    "classes": (2, 2**17, 1),
    "channels": (2, 4096, 2),
    "side": (3, 1024, 1),
    "processes": (1, 64, 1),
}
"""Of each axis the least and the largest size, and what sizes are multiples of: activations work on pairs."""


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """Time layers, activations, projections, bounds or training, beside plain torch and other libraries."""

    rounds: int = 7
    """Rounds that count; two more come before them. The quartiles of a row are over rounds."""
    clock: Literal["wall", "cpu"] = "wall"
    """cpu counts the time of this process alone, on a machine that others use as well; not for a GPU."""
    threads: int = 1
    """CPU threads of torch."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """Kind of device."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 is autocast: products in bfloat16, constrained weights in float32."""
    widths: tuple[int, ...] = (1024,)
    """Features of the dense networks, and sides of the matrices of projections and bounds."""
    batches: tuple[int, ...] = (128, 512)
    """Samples a step of the dense networks."""
    channels: tuple[int, ...] = (64, 256)
    """Of the convolutions, each with the side and the batch at its place in --sides and --images."""
    sides: tuple[int, ...] = (32, 8)
    """Of the pictures of the convolutions."""
    images: tuple[int, ...] = (64, 64)
    """Pictures a step of the convolutions."""
    axes: tuple[Axis, ...] = get_args(Axis)
    """What grows from table to table of `taut bench scale`."""
    steps: tuple[int, ...] = ()
    """Its sizes along the one axis that --axes names, instead of those that suit each axis."""
    patience: float = 60.0
    """Seconds: contenders of `taut bench scale` that would take longer at one size, going by the size before, are left
    out of it."""
    only: tuple[str, ...] = ()
    """Time contenders alone whose name contains one of these words; the base is always there."""
    slow: bool = False
    """Time the methods as well that take minutes on a CPU."""
    checkouts: tuple[Path, ...] = ()
    """Folders from which other libraries are imported, before those that are installed."""
    out: Path | None = None
    """Folder for bench.md and bench.json; runs/bench- and the time when absent."""

    def __post_init__(self) -> None:
        for name in ("rounds", "threads"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("widths", "batches", "channels", "sides", "images"):
            given = getattr(self, name)
            require(bool(given) and min(given, default=0) >= 1, f"{name} must be positive numbers, got {given}")
        require(bool(self.axes), "axes must name one axis or more")
        require(not self.steps or len(self.axes) == 1, "steps are along one axis: name it with --axes")
        low, high, multiple = STEPS[self.axes[0]]
        fit = all(low <= step <= high and step % multiple == 0 for step in self.steps)
        even = "even " if multiple == 2 else ""
        require(fit, f"steps of {self.axes[0]} must be {even}numbers from {low} to {high}, got {self.steps}")
        require(self.patience > 0, f"patience must be positive, got {self.patience:g}")
        same = len(self.channels) == len(self.sides) == len(self.images)
        require(same, "channels, sides and images must be as many, one for each size of convolution")
        require(max(self.widths) <= 2**15 and math.prod(self.widths) > 0, f"widths must be at most {2**15}")
        for path in self.checkouts:
            require(path.is_dir(), f"checkouts must be folders, got {path}")
