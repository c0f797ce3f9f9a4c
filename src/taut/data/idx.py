"""Reader of the idx format, in which MNIST and its relatives are published: plain or gzip."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from taut.errors import UserError

_UNSIGNED_BYTE = 0x08


def read_idx(path: Path) -> UInt8[Tensor, "*shape"]:
    """Read an idx file of unsigned bytes as a uint8 tensor of the shape that its header states.

    Args:
        path: The file; a name that ends in .gz is decompressed.

    Raises:
        UserError: The file is not idx, is not made of unsigned bytes, or does not have the length its header announces.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "labels"
        >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
        >>> read_idx(path)
        tensor([7, 2, 1], dtype=torch.uint8)
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    if len(content) < 4 or content[:2] != b"\x00\x00" or content[2] != _UNSIGNED_BYTE:
        raise UserError(
            f"{path} is not an idx file of unsigned bytes (it begins with {content[:4].hex(' ') or 'nothing'})"
        )
    dimensions = content[3]
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise UserError(f"{path} is truncated: its header of {start} bytes is cut at {len(content)}")
    shape = tuple(int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(dimensions))
    if len(content) - start != math.prod(shape):
        raise UserError(
            f"{path} is damaged: its header announces {math.prod(shape)} bytes of data, it holds {len(content) - start}"
        )
    return torch.from_numpy(np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape).copy())
