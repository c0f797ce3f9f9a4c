"""A full training step of a classifier of three dense layers, by each method."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from taut import nn as tnn
from taut.bench.config import BenchConfig
from taut.bench.peers import dense_peers
from taut.bench.section import Section, training_step
from taut.bench.timing import Call, Contenders

BASE = "torch: Linear + ReLU"
OTHER = ("linf", "linf-dist", "sort", "unit-norm")
"""Not what is compared here: another norm, or no layer for a body."""
SLOW = ("torch orthogonal: householder", "torch orthogonal: matrix_exp", "taut: exp", "taut: householder")


def sections(config: BenchConfig, device: torch.device) -> Iterator[Section]:
    """A table for each width and batch."""
    for width in config.widths:
        for batch in config.batches:
            yield Section(
                title=f"Training step of 784-{width}-{width}-10, batch {batch}, {config.precision}",
                base=BASE,
                contenders=partial(contenders, (784, width, width, 10), batch, config, device),
            )


def contenders(sizes: tuple[int, ...], batch: int, config: BenchConfig, device: torch.device) -> Contenders:
    """Training steps of dense layers from each of `sizes` to the next, with activations between them."""
    layers: dict[str, Callable[[int, int], nn.Module]] = {
        f"taut: {name}": cls for name, cls in tnn.linears().items() if name not in OTHER
    }
    layers |= dense_peers()
    made = {BASE: partial(_step, nn.Linear, nn.ReLU(), sizes, batch, config, device)}
    for name, make in layers.items():
        if config.slow or name not in SLOW:
            made[name] = partial(_step, make, tnn.MaxMin(), sizes, batch, config, device)
    return made


def _step(
    make: Callable[[int, int], nn.Module],
    activation: nn.Module,
    sizes: tuple[int, ...],
    batch: int,
    config: BenchConfig,
    device: torch.device,
) -> Call:
    layers = [layer for pair in pairwise(sizes) for layer in (make(*pair), activation)]
    model = nn.Sequential(*layers[:-1])
    inputs, labels = torch.randn(batch, sizes[0], device=device), torch.randint(sizes[-1], (batch,), device=device)
    return training_step(model, inputs, lambda logits: F.cross_entropy(logits, labels), precision=config.precision)
