"""Files of records of fixed length, one label or picture after the other: CIFAR's and STL-10's binary versions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from taut.errors import UserError


def read_records(files: Sequence[Path], length: int) -> UInt8[Tensor, "records length"]:
    """The records of `length` bytes of all `files`, one per row.

    Raises:
        UserError: A file cannot be read, is empty, or is not a whole number of records long.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "labels.bin"
        >>> _ = path.write_bytes(bytes([7, 1, 2, 8, 3, 4]))
        >>> read_records([path], 3)
        tensor([[7, 1, 2],
                [8, 3, 4]], dtype=torch.uint8)
    """
    parts: list[Tensor] = []
    for path in files:
        try:
            content = np.fromfile(path, dtype=np.uint8)
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from error
        if len(content) == 0 or len(content) % length:
            raise UserError(
                f"{path} is damaged: it must be a whole number of records of {length} bytes long, but it has "
                f"{len(content)} bytes"
            )
        parts.append(torch.from_numpy(content.reshape(-1, length)))
    return torch.cat(parts)
