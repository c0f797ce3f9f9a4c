"""Inputs of a network from a file, one a row."""

from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from taut.errors import UserError

SUFFIXES = (".npy", ".npz", ".safetensors")
_NAMES = ("inputs", "x", "x_test", "images", "data")
_MOST = 1024


def read_inputs(path: Path) -> Tensor:
    """Floating-point inputs, at most 1024, evenly chosen. UserError for files that hold something else."""
    if path.suffix not in SUFFIXES:
        raise UserError(f"inputs are read from files that end in {', '.join(SUFFIXES)}, got {path}")
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    inputs = _tensor(_read(path), path)
    if inputs.ndim < 2 or not inputs.numel():
        raise UserError(f"{path} must hold inputs in rows, got shape {tuple(inputs.shape)}")
    if not inputs.is_floating_point():
        raise UserError(f"{path} holds {inputs.dtype}: give floating-point inputs, scaled as the network takes them")
    if len(inputs) > _MOST:
        inputs = inputs[torch.linspace(0, len(inputs) - 1, _MOST).round().long()]
    return inputs


def _read(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load(path.read_bytes())
        loaded = np.load(path, allow_pickle=False)
        return loaded if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # a damaged file makes the readers raise anything
        raise UserError(f"{path} is damaged, or holds something else than arrays of numbers") from error


def _tensor(found: Any, path: Path) -> Tensor:
    if isinstance(found, dict):
        name = next((name for name in _NAMES if name in found), None)
        if name is None and len(found) != 1:
            keys = ", ".join(repr(key) for key in found) or "nothing"
            raise UserError(f"{path} must hold one array, or one named {', '.join(_NAMES)}; it has {keys}")
        found = found[name if name is not None else next(iter(found))]
    try:
        return torch.as_tensor(found)
    except TypeError as error:
        raise UserError(f"{path} holds {found.dtype}, not numbers") from error
