"""The most memory that one call holds at a time, as torch's own allocators count it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from taut.bench.timing import Call

_SECOND = "taut: second call"


def peak_bytes(call: Call, device: torch.device) -> int:
    """Bytes above what is held between calls, each of which leaves as much as the one before; what leaves torch's
    allocators, such as workspaces of BLAS, is not seen.

    >>> peak_bytes(lambda: float(torch.ones(1000, 1000).sum()), torch.device("cpu")) >= 4_000_000
    True
    """
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return torch.cuda.max_memory_allocated() - before
    # the profiler sees only what came and went while it looked: what a first call leaves is what a second one frees
    with _silent(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        call()
        with record_function(_SECOND):
            call()
    assert seen.profiler is not None
    assert seen.profiler.kineto_results is not None
    events: list[Any] = seen.profiler.kineto_results.events()
    begun = next(event.start_ns() for event in events if event.name() == _SECOND)
    held = before = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes() if event.name() == "[memory]" else 0
        if event.start_ns() < begun:
            before = peak = held
        peak = max(peak, held)
    return peak - before


@contextmanager
def _silent() -> Iterator[None]:
    """Nothing on the process's stderr: the profiler writes there that it starts, and which memory it saw only freed."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
