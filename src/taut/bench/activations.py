"""Forward and backward of each activation, on a dense batch and on pictures."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from taut import nn as tnn
from taut.bench.config import BenchConfig
from taut.bench.peers import PublishedSpline, SortedGroups, activation_peers
from taut.bench.section import Section, autocast
from taut.bench.timing import Call, Contenders

BASE = "torch: relu"
KNOTS = 51
PASSES = 5
"""Timed together, as one is short."""


def sections(config: BenchConfig, device: torch.device) -> Iterator[Section]:
    """A table for dense batches and one for pictures."""
    for words, shape in (("dense, 512 x 1024", (512, 1024)), ("pictures, 64 x 64 x 32 x 32", (64, 64, 32, 32))):
        yield Section(
            title=f"{PASSES} forward and backward passes of an activation, {words}, {config.precision}",
            base=BASE,
            contenders=partial(_contenders, shape, config, device),
        )


def _contenders(shape: tuple[int, ...], config: BenchConfig, device: torch.device) -> Contenders:
    channels = shape[1]
    made: dict[str, Callable[[], nn.Module]] = {
        BASE: nn.ReLU,
        "taut: MaxMin": tnn.MaxMin,
        "taut: Abs": tnn.Abs,
        "taut: ConcatReLU": tnn.ConcatReLU,
        "taut: SmoothMaxMin": tnn.SmoothMaxMin,
        "taut: Smooth (silu)": partial(tnn.Smooth, "silu"),
        "taut: NActivation": partial(tnn.NActivation, channels),
        "taut: LipschitzPReLU": partial(tnn.LipschitzPReLU, channels),
        "torch: PReLU": partial(nn.PReLU, channels),
        "taut: HouseholderActivation, order 1": partial(tnn.HouseholderActivation, channels),
        "taut: HouseholderActivation, order 2": partial(tnn.HouseholderActivation, channels, order=2),
        f"taut: LinearSpline ({KNOTS})": partial(tnn.LinearSpline, channels, knots=KNOTS),
        f"LinearSpline ({KNOTS}), published formula": partial(PublishedSpline, channels, knots=KNOTS),
    }
    for size in (2, 4, 8, 16):
        made[f"taut: GroupSort({size})"] = partial(tnn.GroupSort, size)
        made[f"torch.sort in groups of {size}"] = partial(SortedGroups, size)
    made |= activation_peers(channels, pictures=len(shape) == 4)
    return {name: partial(_passes, make, shape, config, device) for name, make in made.items()}


def _passes(make: Callable[[], nn.Module], shape: tuple[int, ...], config: BenchConfig, device: torch.device) -> Call:
    module = make().to(device)
    dtype = torch.bfloat16 if config.precision == "bfloat16" else torch.float32
    x = torch.randn(shape, device=device, dtype=dtype, requires_grad=True)
    wanted: list[Tensor] = [x, *module.parameters()]
    with torch.no_grad(), autocast(device, config.precision):
        cotangent = torch.randn_like(module(x))

    def call() -> float:
        for _ in range(PASSES):
            with autocast(device, config.precision):
                y = module(x)
            torch.autograd.grad(y, wanted, cotangent)
        return 0.0

    return call
