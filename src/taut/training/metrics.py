"""Metrics: kept on the device step by step, read now and then, appended to metrics.jsonl as one JSON object a line."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from taut.errors import UserError


class Meter:
    """Scalars of the last few steps in one device tensor, so that recording a step does not wait for the device."""

    def __init__(self, capacity: int, device: torch.device | str) -> None:
        self.names: list[str] = []
        self.count = 0
        self._capacity = capacity
        self._device = device
        self._values = torch.empty(0)

    def add(self, metrics: Mapping[str, Tensor]) -> None:
        """Record one step; every step has the same names."""
        if not self.names:
            self.names = list(metrics)
            self._values = torch.zeros(self._capacity, len(self.names), device=self._device)
        torch.stack([metrics[name].detach().float() for name in self.names], out=self._values[self.count])
        self.count += 1

    def values(self) -> Tensor:
        """The recorded steps, one row each, still on the device."""
        return self._values[: self.count]

    def restore(self, values: Tensor, names: list[str]) -> None:
        """Put back what `values` and `names` were."""
        self.names, self.count = names, len(values)
        self._values = torch.zeros(self._capacity, len(names), device=self._device)
        self._values[: self.count] = values.to(self._device)

    def reset(self) -> None:
        """Forget the recorded steps."""
        self.count = 0


class MetricsLog:
    """metrics.jsonl, opened so that it ends where a checkpoint says it ended: a resumed run has no line twice."""

    def __init__(self, path: Path, *, keep_bytes: int) -> None:
        length = path.stat().st_size if path.exists() else 0
        if length < keep_bytes:
            raise UserError(
                f"{path} has {length} bytes, the checkpoint was written when it had {keep_bytes}: cannot resume"
            )
        self._file = path.open("ab")
        self._file.truncate(keep_bytes)

    def write(self, line: Mapping[str, Any]) -> None:
        """Append one line and hand it to the operating system."""
        self._file.write((json.dumps(line, allow_nan=False) + "\n").encode())
        self._file.flush()

    def sync(self) -> int:
        """Flush to disk and return the length, for a checkpoint."""
        os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Close the file."""
        self._file.close()
