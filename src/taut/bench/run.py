"""Time what is asked for, table by table, and keep the result after each."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import torch

from taut.bench import activations, bounds, convolutions, dense, projections, training
from taut.bench.config import BenchConfig
from taut.bench.peers import use_checkouts
from taut.bench.record import machine, write_record
from taut.bench.section import Section, chosen
from taut.bench.timing import Row, interleaved, summary
from taut.errors import UsageError
from taut.training.engine import pick_device
from taut.training.interrupt import interruptible
from taut.training.progress import progress

KINDS: Mapping[str, Callable[[BenchConfig, torch.device], Iterator[Section]]] = {
    "dense": dense.sections,
    "conv": convolutions.sections,
    "activation": activations.sections,
    "projection": projections.sections,
    "bound": bounds.sections,
    "train": training.sections,
}
_WARMUP = 2
_CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def carry_out(
    kinds: Sequence[str],
    config: BenchConfig,
    *,
    command: Sequence[str],
    show: Callable[[str, str, Mapping[str, Row]], None],
) -> list[Path]:
    """Time the `kinds`, call `show` with title, base and rows of each table, and write all of them into a folder.

    The files are written after each table, so that what was measured before an interruption is not lost.

    Raises:
        UsageError: A device that is not there, a folder that is taken, or options that cannot be meant together.
        Interrupted: SIGINT or SIGTERM.
    """
    device = pick_device(config.accelerator)
    if config.clock == "cpu" and device.type != "cpu":
        raise UsageError("clock cpu does not see what a GPU does: use wall")
    out = config.out or Path("runs") / f"bench-{time.strftime('%Y%m%d-%H%M%S')}"
    if out.exists() and any(out.iterdir() if out.is_dir() else [out]):
        raise UsageError(f"{out} is not empty: give another --out")
    use_checkouts(config.checkouts)
    threads = torch.get_num_threads()
    torch.set_num_threads(config.threads)
    tables: dict[str, tuple[str, Mapping[str, Row]]] = {}
    written: list[Path] = []
    try:
        with interruptible():
            for kind in kinds:
                for section in KINDS[kind](config, device):
                    rows = timed(section, config)
                    tables[section.title] = (section.base, rows)
                    out.mkdir(parents=True, exist_ok=True)
                    written = write_record(out, tables, command=command, machine=machine(device))
                    show(section.title, section.base, rows)
    finally:
        torch.set_num_threads(threads)
    return written


def timed(section: Section, config: BenchConfig) -> dict[str, Row]:
    """Rows of one table."""
    torch.manual_seed(0)
    calls = {name: make() for name, make in chosen(section.contenders(), section.base, config).items()}
    rounds = _WARMUP + config.rounds
    with progress(section.title, rounds * len(calls)) as reporter:
        done = 0

        def advance() -> None:
            nonlocal done
            done += 1
            reporter.advance(done)

        seconds = interleaved(
            calls, rounds=config.rounds, warmup=_WARMUP, clock=_CLOCKS[config.clock], progress=advance
        )
    return summary(seconds, base=section.base)
