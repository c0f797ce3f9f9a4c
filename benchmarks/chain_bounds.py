"""Lipschitz bounds of dense chains: product, ECLipsE, LipSDP, and a lower bound by search, with their times.

python benchmarks/chain_bounds.py [--steps 150] [--seconds 3] [--threads 1] [--sdp] [--out benchmarks/records]

All upper bounds are those of `taut.lipschitz_bound`, proven; times include the proof. The lower bound is the largest
norm of a Jacobian that a perturb-and-keep search finds. With --sdp, networks of up to 64 neurons a layer are compared
with the optimum of LipSDP's semidefinite program, found by an interior-point method to 1e-6 (without a proof).
"""

import argparse
import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import taut
from taut.bench.record import machine

METHODS = ("product", "eclipse", "lipsdp")
Row = dict[str, Any]


def network(widths: list[int], *, activation: type[nn.Module] = nn.ReLU, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), activation()]
    for layer in layers[::2]:
        nn.init.kaiming_normal_(layer.weight)  # type: ignore[arg-type]
    return nn.Sequential(*layers[:-1])


def trained(net: nn.Sequential, *, steps: int) -> nn.Sequential:
    """Ten Gaussian clusters told apart by Adam."""
    generator = torch.Generator().manual_seed(1)
    inputs = net[0].in_features
    centres = torch.randn(10, inputs, generator=generator)  # type: ignore[arg-type]
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(steps):
        labels = torch.randint(10, (128,), generator=generator)
        x = centres[labels] + 1.5 * torch.randn(128, inputs, generator=generator)  # type: ignore[arg-type]
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), labels).backward()
        optimizer.step()
    return net


def linears(net: nn.Sequential) -> list[nn.Linear]:
    return [layer for layer in net if isinstance(layer, nn.Linear)]


def searched(net: nn.Sequential, *, seconds: float) -> float:
    """The largest norm of a Jacobian found by keeping every perturbation of the best point that raises it."""
    generator = torch.Generator().manual_seed(2)
    weights = [layer.weight.detach().double() for layer in linears(net)]
    biases = [layer.bias.detach().double() for layer in linears(net)]

    def gain(x: Tensor) -> float:
        product = torch.eye(len(x), dtype=torch.float64)
        for position, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            if position:
                x, product = x.clamp_min(0.0), product * (x > 0)[:, None]
            x, product = weight @ x + bias, weight @ product
        return float(torch.linalg.matrix_norm(product @ product.T, 2)) ** 0.5

    end = time.perf_counter() + seconds
    size = weights[0].shape[1]
    point = torch.randn(size, generator=generator, dtype=torch.float64)
    best, step = gain(point), 1.0
    while time.perf_counter() < end:
        moved = point + step * torch.randn(size, generator=generator, dtype=torch.float64)
        found = gain(moved)
        if found > best:
            point, best, step = moved, found, min(4.0, 1.5 * step)
        else:
            step = max(1e-3, 0.97 * step)
    return best


def solved(net: nn.Sequential, *, gap: float = 1e-6) -> tuple[float, float]:
    """The LipSDP-neuron bound by a barrier method with Newton steps on the block matrix of Fazlyab et al.; seconds.

    Smallest rho with F = rho E + sum of l_i (u_i v_i^T + v_i u_i^T) - C positive, u_i the unit vector of a neuron and
    v_i = (u_i - its weights) / 2, E the identity on the input, C = W_L^T W_L: within `gap`, relative, of the optimum.
    """
    start = time.perf_counter()
    weights = [layer.weight.detach().double().numpy() for layer in linears(net)]
    offsets = np.cumsum([0, *(weight.shape[1] for weight in weights)])
    inputs, total = int(offsets[1]), int(offsets[-1])
    U = np.eye(total)[:, inputs:]
    V = 0.5 * U
    for layer, weight in enumerate(weights[:-1]):
        V[offsets[layer] : offsets[layer + 1], offsets[layer + 1] - inputs : offsets[layer + 2] - inputs] = (
            -0.5 * weight.T
        )
    C = np.zeros((total, total))
    C[offsets[-2] :, offsets[-2] :] = weights[-1].T @ weights[-1]
    E = np.diag([1.0] * inputs + [0.0] * (total - inputs))

    def form(x: np.ndarray) -> np.ndarray:
        half = (U * x[1:]) @ V.T
        return x[0] * E + half + half.T - C

    def barrier(x: np.ndarray, t: float) -> float:
        try:
            return t * float(x[0]) - 2.0 * float(np.log(np.diag(np.linalg.cholesky(form(x)))).sum())
        except np.linalg.LinAlgError:
            return np.inf

    norms = [float(np.linalg.norm(weight, 2)) ** 2 for weight in weights]
    rho = 4.0 * float(np.prod(norms))
    inner = rho / np.cumprod([1.2 * norm for norm in norms[:-1]])
    x = np.concatenate([[rho], *([value] * len(w) for value, w in zip(1.5 * inner, weights, strict=False))])
    t = total / rho
    while True:
        for _ in range(50):
            G = np.linalg.inv(form(x))
            GU, GV = G @ U, G @ V
            uu, vv, uv = U.T @ GU, V.T @ GV, U.T @ GV
            slope = np.concatenate([[t - np.trace(G[:inputs, :inputs])], -2.0 * np.diag(uv)])
            cross = 2.0 * (GU[:inputs] * GV[:inputs]).sum(axis=0)
            square = 2.0 * (uu * vv + uv * uv.T)
            hessian = np.block(
                [[np.array([[(G[:inputs, :inputs] ** 2).sum()]]), cross[None]], [cross[:, None], square]]
            )
            move = -np.linalg.solve(hessian, slope)
            decrease = -float(slope @ move)
            size, here = 1.0, barrier(x, t)
            while barrier(x + size * move, t) > here - 0.1 * size * decrease and size > 1e-10:
                size *= 0.5
            x = x + size * move
            if decrease < 1e-6 or size <= 1e-10:
                break
        if total / t < gap * x[0]:
            return float(x[0]) ** 0.5, time.perf_counter() - start
        t *= 8.0


def measured(name: str, net: nn.Sequential, *, seconds: float, sdp: bool) -> Row:
    row: Row = {"network": name}
    for method in METHODS:
        start = time.perf_counter()
        row[method] = taut.lipschitz_bound(net, method=method)
        row[f"{method}_seconds"] = time.perf_counter() - start
    row["lower"] = searched(net, seconds=seconds)
    if sdp:
        row["optimum"], row["optimum_seconds"] = solved(net)
    return row


def table(rows: list[Row]) -> str:
    head = ["network", "lower bound", "LipSDP", "s", "ECLipsE", "s", "product", "s", "LipSDP optimum (not proven)", "s"]
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for row in rows:
        cells = [row["network"], f"{row['lower']:.6g}"]
        for method in ("lipsdp", "eclipse", "product"):
            cells += [f"{row[method]:.6g}", f"{row[f'{method}_seconds']:.2f}"]
        cells += [f"{row['optimum']:.6g}", f"{row['optimum_seconds']:.1f}"] if "optimum" in row else ["", ""]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=150, help="training steps")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each search for a lower bound")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--sdp", action="store_true", help="solve the semidefinite programs of the smaller networks too"
    )
    parser.add_argument("--out", type=Path, help="folder for the record")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    command = " ".join(["python", *sys.argv])
    small, nine, wide = [4, 8, 8, 2], [64, *[64] * 8, 10], [784, *[256] * 8, 10]
    about = {**machine(torch.device("cpu")), "taut": taut.__version__}
    cases = [
        ("4-8-8-2, random", network(small), True),
        ("10-10-10-3, random", network([10, 10, 10, 3]), True),
        ("64-64x8-10 (nine layers), random", network(nine), True),
        ("64-64x8-10 (nine layers), trained", trained(network(nine), steps=options.steps), True),
        ("784-256x8-10 (nine layers), random", network(wide), False),
        ("784-256x8-10 (nine layers), trained", trained(network(wide), steps=options.steps), False),
    ]
    rows = [
        measured(name, net, seconds=options.seconds, sdp=small_enough and options.sdp)
        for name, net, small_enough in cases
    ]
    text = [f"Lipschitz bounds (l2) of ReLU networks, proven in floating point. `{command}`", ""]
    text += [", ".join(f"{key} {value}" for key, value in about.items()), "", table(rows)]
    print("\n".join(text))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        name = f"chain_bounds-{time.strftime('%Y-%m-%d')}"
        (options.out / f"{name}.md").write_text("\n".join(text) + "\n")
        record = {"command": command, "versions": about, "rows": rows}
        (options.out / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
