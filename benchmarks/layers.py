"""Cost of every layer: one training step of the layer alone, against the plain torch layer of the same sizes.

python benchmarks/layers.py [--rounds 9] [--only rko aoc] [--out benchmarks/records]
"""

import argparse
import inspect
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from taut import nn as tnn
from taut.bench.peers import versions
from taut.bench.record import machine
from taut.bench.section import training_step
from taut.bench.table import Row
from taut.bench.timing import interleaved, summary

DENSE = (512, 512)
CHANNELS = 32
IMAGES = {1: (16, CHANNELS, 256), 2: (16, CHANNELS, 16, 16), 3: (4, CHANNELS, 8, 8, 8)}
SETTINGS = (
    "linear layers 512 to 512 at batch 256 against nn.Linear; convolutions 32 to 32 channels, 3 taps an axis, on "
    "images of 256, 16 x 16 or 8 x 8 x 8 against the plain convolution with the same padding; activations on "
    "256 x 1024 against ReLU"
)


def dense(cls: type[nn.Module]) -> tuple[nn.Module, nn.Module, Tensor]:
    return cls(*DENSE), nn.Linear(*DENSE), torch.randn(256, DENSE[0])


def convolution(cls: type[nn.Module]) -> tuple[nn.Module, nn.Module, Tensor]:
    """The layer, and torch's own with the same padding."""
    shape = cls.__name__.partition("Conv")[2]
    dims = next(int(c) for c in shape if c.isdigit())
    plain_class = getattr(nn, f"Conv{shape}")
    layer = cls(CHANNELS, CHANNELS, 3)
    options = {} if "Transpose" in shape else {"padding_mode": getattr(layer, "padding_mode", "zeros")}
    return layer, plain_class(CHANNELS, CHANNELS, 3, padding=1, **options), torch.randn(IMAGES[dims])


def activation(cls: type[nn.Module]) -> tuple[nn.Module, nn.Module, Tensor]:
    parameters = inspect.signature(cls).parameters
    needed = {"group_size": 4, "channels": 1024, "num_parameters": 1024, "features": 1024}
    options = {n: needed[n] for n, p in parameters.items() if p.default is inspect.Parameter.empty and n in needed}
    return cls(**options), nn.ReLU(), torch.randn(256, 1024)


def step(module: nn.Module, inputs: Tensor) -> Callable[[], float]:
    """Forward and backward; for layers with parameters Adam and the projection as well."""
    inputs = inputs.clone().requires_grad_()
    weight = torch.randn_like(module(inputs).detach())
    return training_step(module, inputs, lambda outputs: (outputs * weight).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", nargs="*", help="short names")
    parser.add_argument("--out", type=Path, help="folder for the record")
    options = parser.parse_args()
    torch.set_num_threads(1)
    kinds = ((tnn.linears(), dense), (tnn.convolutions(), convolution), (tnn.activations(), activation))
    ratios: dict[str, Row] = {}
    for catalog, make in kinds:
        for name, cls in catalog.items():
            if options.only and name not in options.only:
                continue
            torch.manual_seed(0)
            layer, plain, inputs = make(cls)
            contenders = {"plain": step(plain, inputs), "layer": step(layer, inputs)}
            row = summary(interleaved(contenders, rounds=options.rounds), base="plain")["layer"]
            ratios[cls.__name__] = row
            print(
                f"{cls.__name__:24} {row.ratio:7.2f}  ({row.ratio_low:.2f} to {row.ratio_high:.2f})",
                flush=True,
            )
    record = {
        "command": " ".join(["python", *sys.argv]),
        "settings": SETTINGS,
        "machine": machine(torch.device("cpu")),
        "versions": versions(),
        "ratios": {name: asdict(row) for name, row in ratios.items()},
    }
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        path = options.out / f"layers-{time.strftime('%Y-%m-%d')}.json"
        path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
