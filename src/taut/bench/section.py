"""One table of a benchmark: contenders that do the same work, timed against one of them."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from taut.bench.config import BenchConfig
from taut.bench.table import Along
from taut.bench.timing import Call, Contenders
from taut.optim import project_


@dataclass(frozen=True, kw_only=True)
class Section:
    """Contenders, and what they do. They are made when the section is timed, so that one is in memory at a time."""

    title: str
    base: str
    """The contender whose time is 1."""
    contenders: Callable[[], Contenders]
    """What makes each contender."""
    along: Along | None = None
    wall: bool = False
    """Whether time is the wall clock's whatever is chosen, as other processes do the work."""
    memory: bool = False
    """Whether the memory of a call is measured too."""


def chosen(contenders: Contenders, base: str, config: BenchConfig) -> dict[str, Callable[[], Call]]:
    """Those that `config.only` asks for, with the base; all of them without it."""
    words = [word.lower() for word in config.only]
    return {
        name: make
        for name, make in contenders.items()
        if name == base or not words or any(word in name.lower() for word in words)
    }


def training_step(
    model: nn.Module, inputs: Tensor, objective: Callable[[Tensor], Tensor], *, precision: str = "float32"
) -> Call:
    """Forward, backward, Adam and, where a layer asks for it, its projection."""
    model.to(inputs.device)
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam(parameters, lr=1e-4) if parameters else None

    def step() -> float:
        with autocast(inputs.device, precision):
            loss = objective(model(inputs))
        inputs.grad = None
        if optimizer is None:
            loss.backward()
        else:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            project_(model)
        return loss.item()

    return step


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """Products in bfloat16 where that is asked for."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext()
