"""Time and excess of the proven norm bounds of 3 x 3 convolutions, and of whole networks.

TAUT_DATA_ROOT=... python benchmarks/bounds.py [--widest 512] [--out benchmarks/records]

Seconds are those that one processor worked, the least of three rounds. The excess is that over a singular value of the
symbol at some frequency, found from below by a search of its own: the bound is above the norm by no more.
"""

import argparse
import importlib
import json
import math
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from taut import data
from taut import nn as tnn
from taut.bench.peers import versions
from taut.bench.record import machine
from taut.certify import lipschitz_bound
from taut.certify.norms.convolution import prove_conv_norm
from taut.certify.norms.stencil import Geometry

Result = TypeVar("Result")
PLAIN = Geometry(stride=(1, 1), padding=((1, 1),) * 2, dilation=(1, 1))


def attained(weight: Tensor, *, grid: int = 10, levels: int = 5) -> float:
    """A singular value of the symbol: the largest on half a grid, and climbed from there by halved steps."""
    taps = weight.double().permute(2, 3, 0, 1).flatten(0, 1).to(torch.complex128)
    places = torch.tensor(list(product(range(weight.shape[2]), range(weight.shape[3]))), dtype=torch.float64)

    def norm(theta: tuple[float, float]) -> float:
        phases = torch.polar(torch.ones(len(places), dtype=torch.float64), places @ torch.tensor(theta).double())
        symbol = torch.tensordot(phases, taps, dims=1)
        return math.sqrt(float(torch.linalg.eigvalsh(symbol.mH @ symbol)[-1]))

    angles = [2 * math.pi * k / grid for k in range(grid)]
    found = sorted(((norm((a, b)), (a, b)) for a, b in product(angles[: grid // 2 + 1], angles)), reverse=True)
    best = 0.0
    for start in found[: 6 if len(weight) <= 128 else 1]:
        value, theta = start
        for level in range(levels):
            step = math.pi / grid / 2**level
            around = [(theta[0] + step * a, theta[1] + step * b) for a, b in ((1, 0), (-1, 0), (0, 1), (0, -1))]
            value, theta = max((value, theta), *((norm(near), near) for near in around))
        best = max(best, value)
    return best


def trained() -> dict[str, Tensor]:
    """Kernels of a small convolutional network after two passes over 6000 images of MNIST."""
    torch.manual_seed(0)
    split = data.load("mnist").train
    widths = (1, 32, 64, 128)
    convs = [nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths)]
    head = nn.Linear(128 * 9, 10)
    model = nn.Sequential(*(m for conv in convs for m in (conv, nn.ReLU(), nn.MaxPool2d(2))), nn.Flatten(), head)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(2):
        for chosen in torch.arange(6000).split(100):
            optimizer.zero_grad()
            F.cross_entropy(model(split.inputs[chosen]), split.labels[chosen]).backward()
            optimizer.step()
    return {f"trained {conv.in_channels} to {conv.out_channels}": conv.weight.detach() for conv in convs[1:]}


def kernels(widest: int) -> dict[str, Tensor]:
    """Random at every width, trained, orthogonal."""
    torch.manual_seed(0)
    widths = [width for width in (16, 32, 64, 128, 256, 512) if width <= widest]
    found = {f"random {width}": torch.randn(width, width, 3, 3) / (3 * width**0.5) for width in widths}
    if os.environ.get("TAUT_DATA_ROOT"):
        found |= trained()
    for width in widths:
        if width <= 128:
            found[f"orthogonal {width}"] = tnn.BCOPConv2d(width, width, 3).weight.detach()
    return found


def networks(widest: int) -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """As the tests write them, at the widths that people use."""
    sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("tests", "tests/certify")]
    resnet, usual = importlib.import_module("plain_resnet"), importlib.import_module("test_architectures")
    width = max(4, min(64, widest // 8))
    return {
        f"resnet-18, {width} to {8 * width} channels": (resnet.ResNet(width=width, depths=(2, 2, 2, 2)), (3, 32, 32)),
        f"u-net, {width // 2} to {2 * width} channels": (usual.UNet(width=width // 2), (1, 64, 64)),
        "lenet": (usual.lenet(nn.ReLU, nn.MaxPool2d), (1, 28, 28)),
    }


def timed(call: Callable[[], Result], *, rounds: int = 3) -> tuple[float, Result]:
    """Least seconds of some rounds, and what came out."""
    found = []
    for _ in range(rounds):
        start = time.process_time()
        result = call()
        found.append((time.process_time() - start, result))
    return min(found, key=lambda pair: pair[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widest", type=int, default=512, help="most channels")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder for the record")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    command = " ".join(["python", *sys.argv])
    record: dict[str, object] = {"command": command, "machine": machine(torch.device("cpu")), "versions": versions()}
    text = [f"Proven norm bounds of 3 x 3 convolutions and of networks, float32 weights. `{command}`", ""]
    text.append(", ".join(f"{k} {v}" for k, v in {**machine(torch.device("cpu")), **versions()}.items()))
    text += ["", "| kernel | seconds | bound | excess at most | method |", "|---|---:|---:|---:|---|"]
    prove_conv_norm(torch.randn(4, 4, 3, 3), PLAIN)
    for name, weight in kernels(options.widest).items():
        seconds, proof = timed(partial(prove_conv_norm, weight, PLAIN))
        excess = proof.bound / attained(weight) - 1
        record[name] = {"seconds": seconds, "bound": proof.bound, "excess": excess, "method": proof.method}
        text.append(f"| {name} | {seconds:.2f} | {proof.bound:.5g} | {excess:.1e} | {proof.method} |")
        print(text[-1], flush=True)
    text += ["", "| network | seconds | bound |", "|---|---:|---:|"]
    for name, (model, shape) in networks(options.widest).items():
        seconds, bound = timed(partial(lipschitz_bound, model.eval(), input_shape=shape))
        record[name] = {"seconds": seconds, "bound": bound}
        text.append(f"| {name} | {seconds:.1f} | {bound:.4g} |")
        print(text[-1], flush=True)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        name = f"bounds-{time.strftime('%Y-%m-%d')}"
        (options.out / f"{name}.md").write_text("\n".join(text) + "\n")
        (options.out / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
