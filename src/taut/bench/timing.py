"""Interleaved timing: every contender runs once in every round, in another order each time, so that drifts of the
machine, and what the one before left in its caches, hit all alike."""

import gc
import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch

from taut.bench.table import Row

Call = Callable[[], float]
"""One piece of work, ended by a number that only its end can give, such as the loss."""
Contenders = Mapping[str, Callable[[], Call]]
"""What makes each contender, by its name."""


_LONG = 30.0


def interleaved(
    contenders: Mapping[str, Call],
    *,
    rounds: int,
    warmup: int = 2,
    clock: Callable[[], float] = time.perf_counter,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, list[float | None]]:
    """Seconds of each call, by contender; None where the call's number is not finite.

    `time.process_time` as the clock leaves out the time that other processes had. `progress` is called after each call.
    A round of the `warmup` that takes longer than half a minute is the last of them.
    """
    synchronize = torch.cuda.synchronize if torch.cuda.is_available() else (lambda: None)
    seconds: dict[str, list[float | None]] = {name: [] for name in contenders}
    with _no_collection():
        k = 0
        while k < warmup + rounds:
            begun = time.monotonic()
            order = list(contenders.items())
            random.Random(k).shuffle(order)
            for name, call in order:
                synchronize()
                start = clock()
                number = call()
                synchronize()
                if k >= warmup:
                    seconds[name].append(clock() - start if math.isfinite(number) else None)
                progress()
            gc.collect()
            warm = k < warmup and time.monotonic() - begun > _LONG
            k = warmup if warm else k + 1
    return seconds


@contextmanager
def _no_collection() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def summary(
    seconds: Mapping[str, Sequence[float | None]], *, base: str, peaks: Mapping[str, int] | None = None
) -> dict[str, Row]:
    """A row for each contender, the quickest beside `base` first; a ratio is NaN where no round has both. `peaks` are
    bytes.

    >>> summary({"plain": [1.0, 2.0], "layer": [3.0, 6.0]}, base="plain")["layer"].ratio
    3.0
    """
    rows = {}
    for name, times in seconds.items():
        ratios = sorted(t / b for t, b in zip(times, seconds[base], strict=True) if t is not None and b is not None)
        low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else (ratios or [math.nan]) * 3
        rows[name] = Row(
            median_ms=1e3 * statistics.median([t for t in times if t is not None] or [math.nan]),
            ratio=middle,
            ratio_low=low,
            ratio_high=high,
            rounds_not_finite=sum(t is None for t in times),
            peak_mib=peaks[name] / 2**20 if peaks else None,
        )
    return dict(sorted(rows.items(), key=lambda item: (math.isnan(item[1].ratio), item[1].ratio)))
