"""Safetensors files of a run, read and checked."""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from taut.errors import UserError


def read_tensors(path: Path, *, required: tuple[str, ...]) -> dict[str, np.ndarray]:
    """All tensors of a file; a `UserError` names what of the `required` ones it lacks."""
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} is damaged: {error}") from error
    missing = [name for name in required if name not in tensors]
    if missing:
        raise UserError(f"{path} is damaged: it lacks {', '.join(missing)}")
    return tensors
