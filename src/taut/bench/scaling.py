"""The same work at growing sizes: how the cost of each method goes with width, depth, batch, classes, pictures and
processes."""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from taut import certify, models
from taut.bench import convolutions, dense, processes
from taut.bench.config import Axis, BenchConfig
from taut.bench.section import Section
from taut.bench.table import Along
from taut.bench.timing import Contenders

STUDIED = (
    *(
        f"taut: {name}"
        for name in ("parseval", "aol", "manifold", "cholesky", "cayley", "bjorck", "spectral-norm", "sll")
    ),
    *(f"taut: {name}" for name in ("aoc", "rko", "soc, 5 terms")),
    "torch orthogonal: cayley",
    "torch: Conv2d + MaxMin",
    "deel-torchlip: SpectralLinear",
    "deel-torchlip: SpectralConv2d + GroupSort2",
    "orthogonium: OrthoLinear",
    "orthogonium: AdaptiveOrthoConv2d + MaxMin",
)
"""Of all that `taut bench dense` and `taut bench conv` time; with --only, what it names."""

_CERTIFIED = 256
_LOGITS = "torch: logits in float64"


@dataclass(frozen=True, kw_only=True)
class Study:
    """One kind of work at every size."""

    work: str
    """What is done, in words for a title and a plot."""
    steps: tuple[int, ...]
    growth: int
    base: str
    contenders: Callable[[int, BenchConfig, torch.device], Contenders]
    memory: bool = True
    """Whether the work is done in this process, where its memory and its CPU time are seen."""


def sections(config: BenchConfig, device: torch.device) -> Iterator[Section]:
    """A table for each study of the axes asked for, and each size."""
    for axis in config.axes:
        for study in STUDIES[axis]:
            for size in config.steps or study.steps:
                yield Section(
                    title=f"{study.work}, {axis} {size}",
                    base=study.base,
                    contenders=partial(study.contenders, size, config, device),
                    along=Along(study=study.work, axis=axis, size=size, growth=study.growth),
                    memory=study.memory,
                    wall=not study.memory,
                )


def _dense(
    sizes: Callable[[int], tuple[int, ...]],
    batch: Callable[[int], int],
    step: int,
    config: BenchConfig,
    device: torch.device,
) -> Contenders:
    return _studied(dense.contenders(sizes(step), batch(step), config, device), dense.BASE, config)


def _conv(shape: Callable[[int], tuple[int, ...]], step: int, config: BenchConfig, device: torch.device) -> Contenders:
    return _studied(convolutions.contenders(shape(step), config, device), convolutions.BASE, config)


def _studied(made: Contenders, base: str, config: BenchConfig) -> Contenders:
    return made if config.only else {name: make for name, make in made.items() if name == base or name in STUDIED}


def _certificates(classes: int, config: BenchConfig, device: torch.device) -> Contenders:
    """Proof and radii, in float64 on the CPU."""
    del config, device
    model = models.mlp((1, 28, 28), classes, linear="parseval").eval()
    inputs, labels = torch.rand(_CERTIFIED, 1, 28, 28), torch.randint(classes, (_CERTIFIED,))
    return {
        _LOGITS: lambda: partial(_logits, copy.deepcopy(model).double(), inputs.double()),
        "taut: robustness": lambda: lambda: float(certify.robustness(model, inputs, labels).radius.sum()),
    }


@torch.no_grad()
def _logits(model: torch.nn.Module, inputs: Tensor) -> float:
    return float(model(inputs).sum())


STUDIES: Mapping[Axis, tuple[Study, ...]] = {
    "width": (
        Study(
            work="Training step of 784-W-W-10, batch 256",
            steps=(256, 512, 1024, 2048, 4096, 8192),
            growth=3,
            base=dense.BASE,
            contenders=partial(_dense, lambda width: (784, width, width, 10), lambda _: 256),
        ),
    ),
    "depth": (
        Study(
            work="Training step of 784, D times 512, 10, batch 256",
            steps=(1, 2, 4, 8, 16, 32),
            growth=1,
            base=dense.BASE,
            contenders=partial(_dense, lambda depth: (784, *[512] * depth, 10), lambda _: 256),
        ),
    ),
    "batch": (
        Study(
            work="Training step of 784-1024-1024-10, batch B",
            steps=(32, 128, 512, 2048, 8192),
            growth=1,
            base=dense.BASE,
            contenders=partial(_dense, lambda _: (784, 1024, 1024, 10), lambda batch: batch),
        ),
    ),
    "classes": (
        Study(
            work="Training step of 784-512-512-C, batch 256",
            steps=(10, 100, 1000, 4000),
            growth=2,
            base=dense.BASE,
            contenders=partial(_dense, lambda classes: (784, 512, 512, classes), lambda _: 256),
        ),
        Study(
            work=f"Certificate of {_CERTIFIED} pictures by a network of 784-512-512-512-C",
            steps=(10, 100, 1000, 10_000),
            growth=2,
            base=_LOGITS,
            contenders=_certificates,
        ),
    ),
    "channels": (
        Study(
            work="Training step of a 3 x 3 convolution of C channels, 8 x 8, batch 64",
            steps=(16, 32, 64, 128, 256, 512),
            growth=3,
            base=convolutions.BASE,
            contenders=partial(_conv, lambda channels: (64, channels, 8, 8)),
        ),
    ),
    "side": (
        Study(
            work="Training step of a 3 x 3 convolution of 32 channels, S x S, batch 8",
            steps=(8, 16, 32, 64, 128, 224),
            growth=2,
            base=convolutions.BASE,
            contenders=partial(_conv, lambda side: (8, 32, side, side)),
        ),
    ),
    "processes": tuple(
        Study(
            work=f"{processes.UPDATES} updates of {words} shared by P processes, batch {processes.BATCHES[network]}",
            steps=(1, 2),
            growth=0,
            base=processes.BASE,
            contenders=partial(processes.contenders, network),
            memory=False,
        )
        for network, words in (("mlp", "an mlp of 3 x 512"), ("convnet", "a convnet of 8 channels"))
    ),
}
"""By axis."""
