"""Time what is asked for, table by table, and keep the result after each."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import torch

from taut.bench import activations, bounds, convolutions, dense, projections, scaling, training
from taut.bench.config import BenchConfig
from taut.bench.memory import peak_bytes
from taut.bench.patience import Patience
from taut.bench.peers import use_checkouts
from taut.bench.record import machine, write_record
from taut.bench.section import Section, chosen
from taut.bench.table import Table
from taut.bench.timing import interleaved, summary
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
    "scale": scaling.sections,
}
_WARMUP = 2
_CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def carry_out(
    kinds: Sequence[str],
    config: BenchConfig,
    *,
    command: Sequence[str],
    show: Callable[[Table], None],
) -> list[Path]:
    """Time the `kinds`, call `show` with each table, and write all of them into a folder.

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
    tables: list[Table] = []
    patience = Patience(config.patience)
    written: list[Path] = []
    try:
        with interruptible():
            for kind in kinds:
                for section in KINDS[kind](config, device):
                    tables.append(timed(section, config, device, patience))
                    out.mkdir(parents=True, exist_ok=True)
                    written = write_record(out, tables, command=command, machine=machine(device))
                    show(tables[-1])
    finally:
        torch.set_num_threads(threads)
    return written


def timed(section: Section, config: BenchConfig, device: torch.device, patience: Patience) -> Table:
    """One table; its contenders are gone when it is done."""
    torch.manual_seed(0)
    wanted = chosen(section.contenders(), section.base, config)
    left_out = [name for name in wanted if name != section.base and not patience.allows(section.along, name)]
    calls = {name: make() for name, make in wanted.items() if name not in left_out}
    rounds = _WARMUP + config.rounds
    with progress(section.title, rounds * len(calls)) as reporter:
        done = 0

        def advance() -> None:
            nonlocal done
            done += 1
            reporter.advance(done)

        seconds = interleaved(
            calls,
            rounds=config.rounds,
            warmup=_WARMUP,
            clock=_CLOCKS["wall" if section.wall else config.clock],
            progress=advance,
        )
    peaks = {name: peak_bytes(call, device) for name, call in calls.items()} if section.memory else None
    rows = summary(seconds, base=section.base, peaks=peaks)
    patience.remember(section.along, rows)
    return Table(title=section.title, base=section.base, rows=rows, along=section.along, left_out=left_out)
