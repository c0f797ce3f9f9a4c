"""Constraints are always computed in float32 or better, whatever autocast or matmul shortcuts the caller has switched
on."""

import math
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


def power_of_two_above(x: Tensor) -> float:
    """The power of two just above the largest magnitude, as far as the dtype has it; 1 for zeros, and what is infinite
    or NaN as it is."""
    largest = float(x.abs().amax())
    if largest == 0.0 or not math.isfinite(largest):
        return largest if largest else 1.0
    return 2.0 ** min(max(math.frexp(largest)[1], -125), 1023 if x.dtype == torch.float64 else 127)
