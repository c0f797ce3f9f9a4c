"""Where and how a run computes: device, precision and processes, all behind lightning-fabric."""

import logging
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from lightning_fabric import Fabric

from taut.errors import UsageError, UserError

ResultT = TypeVar("ResultT")

_NO_GPU = "accelerator gpu was asked for, but torch sees no GPU here; use cpu or auto"


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """Device, precision and processes; and how often a run reports and saves itself."""

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """Kind of device; auto takes a GPU where there is one."""
    devices: int = 1
    """Processes on this machine, one per device."""
    num_nodes: int = 1
    """Machines."""
    strategy: Literal["auto", "ddp"] = "auto"
    """How several processes share the work; auto is ddp as soon as there are two."""
    precision: Literal["32-true", "bf16-mixed", "64-true"] = "32-true"
    """Arithmetic of training; evaluation and certificates are always in float64."""
    threads: int = 0
    """CPU threads of each process; 0 leaves the choice to torch. The last bits of a run depend on it."""
    log_every: int = 20
    """Steps between two lines of metrics.jsonl; the device is waited for only then."""
    checkpoint_seconds: float = 30.0
    """Seconds between two checkpoints, taken when a line is logged; 0 saves with every line."""

    def __post_init__(self) -> None:
        for name in ("devices", "num_nodes", "log_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name.replace('_', '-')} must be at least 1, got {getattr(self, name)}")
        if self.threads < 0:
            raise UsageError(f"threads must not be negative, got {self.threads}")
        if self.checkpoint_seconds < 0:
            raise UsageError(f"checkpoint-seconds must not be negative, got {self.checkpoint_seconds:g}")


def launch(config: EngineConfig) -> Fabric:
    """Start the processes that `config` asks for (or join those that torchrun or Slurm started) and return this
    one's Fabric.

    Raises:
        UsageError: The machine does not have what is asked for.
    """
    _check_machine(config)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning_fabric")
    try:
        fabric = Fabric(
            accelerator=config.accelerator,
            devices=config.devices,
            num_nodes=config.num_nodes,
            strategy=config.strategy,
            precision=config.precision,
        )
        fabric.launch()
    except (ValueError, RuntimeError) as error:
        raise UsageError(f"cannot start training: {' '.join(str(error).split())}") from error
    if config.threads:
        torch.set_num_threads(config.threads)
    return fabric


def pick_device(accelerator: Literal["auto", "cpu", "gpu"]) -> torch.device:
    """The one device of a command that is not training. Raises UsageError when there is no such device."""
    gpu = torch.cuda.is_available()
    if accelerator == "gpu" and not gpu:
        raise UsageError(_NO_GPU)
    return torch.device("cuda" if gpu and accelerator != "cpu" else "cpu")


def _check_machine(config: EngineConfig) -> None:
    gpus = torch.cuda.device_count()
    if config.accelerator == "gpu" and gpus == 0:
        raise UsageError(_NO_GPU)
    if gpus and config.accelerator != "cpu" and config.devices > gpus:
        raise UsageError(f"devices is {config.devices}, but torch sees {gpus} GPU(s) here")
    started = os.environ.get("WORLD_SIZE") if "TORCHELASTIC_RUN_ID" in os.environ else None
    asked = config.devices * config.num_nodes
    if started is not None and int(started) != asked:
        raise UsageError(
            f"torchrun started {started} processes, "
            f"but devices {config.devices} x num-nodes {config.num_nodes} is {asked}"
        )


def together(fabric: Fabric, action: Callable[[], ResultT]) -> ResultT:
    """Run `action` on every rank. When it raises UserError on any, rank 0 raises that error and the other ranks exit
    quietly."""
    result: ResultT | None = None
    error: UserError | None = None
    try:
        result = action()
    except UserError as raised:
        error = raised
    for raised in _gather(fabric, error):
        if raised is not None:
            leave(fabric, raised)
    return result  # pyright: ignore[reportReturnType]


def on_first(fabric: Fabric, action: Callable[[], ResultT]) -> ResultT:
    """Run `action` on rank 0 alone and return its result on every rank; errors as in `together`."""
    result = together(fabric, lambda: action() if fabric.global_rank == 0 else None)
    return fabric.broadcast(result)  # pyright: ignore[reportReturnType]


def finish(fabric: Fabric) -> None:
    """End the cooperation of the processes after training; what follows is done by the first alone."""
    if fabric.world_size > 1:
        fabric.barrier()
        torch.distributed.destroy_process_group()


def leave(fabric: Fabric, error: BaseException) -> None:
    """End this process because of an `error` that all ranks know of: one rank tells the user, the others say
    nothing."""
    if fabric.global_rank == 0:
        raise error
    raise SystemExit(0)


def _gather(fabric: Fabric, item: UserError | None) -> list[UserError | None]:
    if fabric.world_size == 1:
        return [item]
    items: list[UserError | None] = [None] * fabric.world_size
    torch.distributed.all_gather_object(items, item)
    return items
