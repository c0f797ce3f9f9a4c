"""Inputs of a network from a file, one a row."""

from pathlib import Path

import torch
from torch import Tensor

from taut.data.arrays import ARRAY_SUFFIXES, read_array
from taut.errors import UserError

_MOST = 1024


def read_inputs(path: Path) -> Tensor:
    """Floating-point inputs, at most 1024, evenly chosen. UserError for files that hold something else."""
    if path.suffix not in ARRAY_SUFFIXES:
        raise UserError(f"inputs are read from files that end in {', '.join(ARRAY_SUFFIXES)}, got {path}")
    inputs = read_array(path)
    if inputs.ndim < 2 or not inputs.numel():
        raise UserError(f"{path} must hold inputs in rows, got shape {tuple(inputs.shape)}")
    if not inputs.is_floating_point():
        raise UserError(f"{path} holds {inputs.dtype}: give floating-point inputs, scaled as the network takes them")
    if len(inputs) > _MOST:
        inputs = inputs[torch.linspace(0, len(inputs) - 1, _MOST).round().long()]
    return inputs
