"""Arrays of numbers from .npy, .npz and .safetensors files; nothing is unpickled."""

from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from taut.errors import UserError

ARRAY_SUFFIXES = (".npy", ".npz", ".safetensors")
"""Endings of the files that `read_array` reads."""

_NAMES = ("inputs", "x", "x_test", "images", "data")


def read_array(path: Path, *, key: str | None = None) -> Tensor:
    """The array in a file, as it is stored; of several, the one called `key`.

    Without a key, a file of several must have one called inputs, x, x_test, images or data.

    Raises:
        UserError: No such file, another ending, a damaged file, objects or text in place of numbers, no such array.
    """
    if path.suffix not in ARRAY_SUFFIXES:
        raise UserError(f"arrays are read from files that end in {', '.join(ARRAY_SUFFIXES)}, got {path}")
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    return _tensor(_chosen(_read(path), path, key), path)


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


def _chosen(found: Any, path: Path, key: str | None) -> Any:
    if not isinstance(found, dict):
        if key is not None:
            raise UserError(f"{path} holds one array without a name, so it has no {key!r}")
        return found
    names = ", ".join(repr(name) for name in found) or "nothing"
    if key is not None:
        if key not in found:
            raise UserError(f"{path} has no array {key!r}; it has {names}")
        return found[key]
    name = next((name for name in _NAMES if name in found), None)
    if name is None and len(found) != 1:
        raise UserError(f"{path} must hold one array, or one named {', '.join(_NAMES)}; it has {names}")
    return found[name if name is not None else next(iter(found))]


def _tensor(found: Any, path: Path) -> Tensor:
    try:
        return torch.as_tensor(found)
    except TypeError as error:
        raise UserError(f"{path} holds {found.dtype}, not numbers") from error
