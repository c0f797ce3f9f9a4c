"""Files that are either whole or absent: written under a temporary name, flushed to disk, then renamed into place."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` by `content` atomically: whoever reads it, whenever, finds the old bytes or the new, never a
    part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` as indented JSON, atomically. Raises ValueError for NaN and infinities, which JSON does not
    have."""
    write_bytes(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def tensor_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """The safetensors encoding of `tensors`, copied to the CPU and made contiguous, which the format requires."""
    return safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write `tensors` as a safetensors file, atomically."""
    write_bytes(path, tensor_bytes(tensors))
