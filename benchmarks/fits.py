"""One update of 25 networks as a batch against one update of one ordinary network: `python benchmarks/fits.py`.

One thread, batches of 100 points, processor time, so that other programs disturb it less.
"""

import time
from collections.abc import Callable

import torch

from taut.bench.timing import interleaved, summary
from taut.tasks.fit_1d.kinds import LINEARS, seeded_network
from taut.tasks.fit_1d.learner import even_points
from taut.tasks.fit_1d.stack import Stack
from taut.training.optimizers import OptimizerConfig, build_optimizer

MODELS, POINTS, ROUNDS = 25, 100, 40
ACTIVATIONS = ("relu", "max-min", "group-sort", "householder-activation", "linear-spline")
SIZES = {"width": 10, "depth": 3, "group_size": 5}


def update(activation: str, linear: str, models: int) -> Callable[[], float]:
    """One step of training of so many networks; one alone is not stacked."""
    networks = [seeded_network(0, k, activation, linear, **SIZES) for k in range(models)]
    model = Stack(networks) if models > 1 else networks[0]
    optimizer = build_optimizer(model, OptimizerConfig())
    points = even_points(POINTS).float()[:, None]
    x = points.expand(models, -1, 1) if models > 1 else points

    def step() -> float:
        loss = model(x).square().mean(-2).sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    return step


def main() -> None:
    """Print a table as Markdown."""
    torch.set_num_threads(1)
    print(f"| activation | linear | 1 network | {MODELS} networks | ratio (quartiles) |\n|---|---|---:|---:|---:|")
    for linear in LINEARS:
        for activation in ACTIVATIONS:
            contenders = {"one": update(activation, linear, 1), "many": update(activation, linear, MODELS)}
            rows = summary(interleaved(contenders, rounds=ROUNDS, clock=time.process_time), base="one")
            one, many = rows["one"], rows["many"]
            ratio = f"{many.ratio:.1f} ({many.ratio_low:.1f} to {many.ratio_high:.1f})"
            times = f"{one.median_ms:.1f} ms | {many.median_ms:.1f} ms"
            print(f"| {activation} | {linear} | {times} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
