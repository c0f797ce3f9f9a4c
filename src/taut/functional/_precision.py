"""Constraints are always computed in float32 or better, whatever autocast or matmul shortcuts the caller has switched
on."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """No autocast, and no TF32 or bfloat16 shortcuts inside matrix products on `device`."""
    if not torch.amp.is_autocast_available(device.type):  # the meta device
        yield
        return
    with torch.autocast(device.type, enabled=False):
        if torch.compiler.is_compiling():
            yield
            return
        previous = torch.get_float32_matmul_precision()
        if previous == "highest":
            yield
            return
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(previous)


def at_least_float32(x: Tensor) -> Tensor:
    """Half-precision tensors become float32; wider ones stay."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
