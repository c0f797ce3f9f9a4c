"""Cost of distances in place of products: one layer, forward and backward, against torch's own ways to compute them.

python benchmarks/linf.py [--batch 64] [--sizes 784 256] [--rounds 7]
"""

import argparse
import math
import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn

from taut import nn as tnn
from taut.bench.record import machine, markdown
from taut.bench.timing import interleaved, summary

BASE = "torch: Linear"


class Broadcast(nn.Module):
    """The formula with the whole array of differences in memory."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features))

    def forward(self, x: Tensor) -> Tensor:
        return (x.unsqueeze(-2) - self.weight).abs().amax(-1)


class Cdist(Broadcast):
    """torch.cdist."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cdist(x, self.weight, p=math.inf)


def contenders(inputs: int, outputs: int) -> dict[str, nn.Module]:
    return {
        BASE: nn.Linear(inputs, outputs),
        "torch: broadcast": Broadcast(inputs, outputs),
        "torch: cdist": Cdist(inputs, outputs),
        "taut: linf-dist": tnn.LInfDistLinear(inputs, outputs),
        "taut: linf-dist, p = 8": tnn.LInfDistLinear(inputs, outputs, p=8.0),
        "taut: linf-dist, p = 1000": tnn.LInfDistLinear(inputs, outputs, p=1000.0),
        "taut: sort, q = 0.3": tnn.SortLinear(inputs, outputs, q=0.3),
        "taut: sort, q = 0.3, p = 8": tnn.SortLinear(inputs, outputs, q=0.3, p=8.0),
    }


def step(layer: nn.Module, inputs: Tensor) -> Callable[[], float]:
    """Forward and backward, to the input and the parameters."""

    def call() -> float:
        loss = layer(inputs).mean()
        loss.backward()
        return loss.item()

    return call


def peak(layer: nn.Module, inputs: Tensor) -> float:
    """Largest single array that forward and backward make, in megabytes."""
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        step(layer, inputs)()
    return max(event.cpu_memory_usage for event in profile.function_events) / 2**20  # type: ignore[union-attr]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--sizes", type=int, nargs=2, default=[784, 256], metavar=("IN", "OUT"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    inputs = torch.randn(options.batch, options.sizes[0], requires_grad=True)
    layers = contenders(*options.sizes)
    rows = summary(
        interleaved({name: step(layer, inputs) for name, layer in layers.items()}, rounds=options.rounds), base=BASE
    )
    shape = f"batch {options.batch}, {options.sizes[0]} to {options.sizes[1]}"
    print(f"Forward and backward of one layer, {shape}, float32. `{' '.join(['python', *sys.argv])}`\n")
    print(", ".join(f"{k} {v}" for k, v in machine(torch.device("cpu")).items()) + "\n")
    print("\n".join(markdown(rows, base=BASE)))
    print("\nLargest single array: " + ", ".join(f"{n} {peak(m, inputs):.1f} MB" for n, m in layers.items()))


if __name__ == "__main__":
    main()
