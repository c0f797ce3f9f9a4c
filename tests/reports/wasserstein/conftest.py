"""A Wasserstein run made of formulas and random numbers, in the format that the task writes: no critic was trained."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

SAMPLES = 300
CENTRES = {1: [[0.0]], 2: [[-2.0, 0.0], [0.0, 0.0], [2.0, 0.0]], 5: [[0.0] * 5]}
"""P lies on the centres and Q on the spheres of radius 1 around them, so W1 is 1."""


BESIDE_SLOPE = 0.5


def synthetic_run(
    path: Path,
    *,
    shape: tuple[int, ...] = (1,),
    slope: float = 0.97,
    known: bool = True,
    upper: bool = True,
    beside: str | None = None,
) -> Path:
    """Write a complete run whose critic is `slope` times the true potential, with a ripple.

    `known`: whether the run knows the truth; `upper`: whether POT was there; `beside`: the activation of a second
    critic, half as steep as the true potential.
    """
    generator = np.random.default_rng(0)
    path.mkdir(parents=True)
    dimension = int(np.prod(shape))
    centres = np.asarray(CENTRES.get(dimension, [[0.5] * dimension]))

    def true(points: np.ndarray) -> np.ndarray:
        return -np.min(np.linalg.norm(points[:, None] - centres, axis=-1), axis=1)

    def critic(points: np.ndarray) -> np.ndarray:
        return 3.7 + slope * true(points) + 0.01 * np.sin(9 * points[:, 0])

    direction = generator.standard_normal((SAMPLES, dimension))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    p = centres[generator.integers(len(centres), size=SAMPLES)]
    q = centres[generator.integers(len(centres), size=SAMPLES)] + direction
    values = critic(p).astype(np.float32), critic(q).astype(np.float32)
    tensors = {
        "p_values": values[0],
        "q_values": values[1],
        "gradient_norm": np.clip(slope + 0.03 * generator.standard_normal(2 * SAMPLES), 0, 1).astype(np.float32),
        "p_samples": p.reshape(-1, *shape).astype(np.float32),
        "q_samples": q.reshape(-1, *shape).astype(np.float32),
    }
    sides = (201,) if dimension == 1 else (21, 15)
    axes = [np.linspace(-3.0, 3.0, side) for side in sides]
    grid = np.zeros((int(np.prod(sides)), dimension))
    grid[:, : len(sides)] = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(sides))
    tensors |= {"grid": grid.astype(np.float32), "grid_values": critic(grid).astype(np.float32)}
    tensors["grid_shape"] = np.asarray(sides, dtype=np.int64)
    if known:
        tensors["true_values"] = true(grid).astype(np.float32)
    if beside is not None:
        tensors["beside_gradient_norm"] = BESIDE_SLOPE * tensors["gradient_norm"]
        tensors["beside_grid_values"] = (5.1 + BESIDE_SLOPE * true(grid)).astype(np.float32)
    save_file(tensors, path / "evaluation.safetensors")
    estimate = float(values[0].astype(np.float64).mean() - values[1].astype(np.float64).mean())
    command = ["taut", "train", "synthetic", "--seed", "3"]
    _write(
        path / "result.json",
        {
            "task": "wasserstein",
            "recipe": "synthetic",
            "p": f"points({CENTRES.get(dimension, '...')})",
            "q": "shells(..., radius=1)",
            "p_description": "equally likely points",
            "q_description": "the spheres of radius 1 around them",
            "shape": list(shape),
            "norm": "l2",
            "samples": SAMPLES,
            "lipschitz_bound": 1.0000002384185933,
            "estimate": estimate,
            "standard_error": 0.00212,
            "confidence": 0.95,
            "interval": [estimate - 0.00416, estimate + 0.00416],
            "lower": estimate - 0.00349,
            "upper": 1.0371 if upper else None,
            "transport": 1.0312 if upper else None,
            "transport_samples": SAMPLES,
            "truth": 1.0 if known else None,
            "train_estimate": estimate + 0.0013,
            "gradient_norm": _summary(tensors["gradient_norm"]),
            "activation": "max-min",
            "beside": None if beside is None else _beside(beside, tensors["beside_gradient_norm"]),
            "layers": [_layer(generator, index) for index in range(3)],
            "parameters": 17_025,
            "seconds": {"train": 31.4, "evaluate": 1.2},
            "command": command,
            "seed": 3,
            "commit": "0123456789abcdef0123456789abcdef01234567",
            "versions": {"taut": "0.1.0", "torch": "2.0"},
            "machine": "an imagined machine",
        },
    )
    config = {"p": "points", "model": {"widths": [128, 128]}, "epochs": 20}
    _write(
        path / "config.json",
        {
            "taut": "0.1.0",
            "recipe": "synthetic",
            "task": "wasserstein",
            "command": command,
            "seed": 3,
            "config": config,
        },
    )
    log = _log(generator, estimate, compared=beside is not None)
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    return path


@pytest.fixture(name="make_run", scope="session")
def _make_run() -> Callable[..., Path]:
    return synthetic_run


@pytest.fixture(name="run_dir")
def _run_dir(tmp_path: Path) -> Path:
    return synthetic_run(tmp_path / "run")


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2))


def _summary(lengths: np.ndarray) -> dict[str, float]:
    ends = {"mean": float(lengths.mean()), "minimum": float(lengths.min()), "maximum": float(lengths.max())}
    return {**ends, "share_above_0.9": float(np.mean(lengths > 0.9))}


def _beside(activation: str, lengths: np.ndarray) -> dict[str, object]:
    measured = {"estimate": 0.4871, "gradient_norm": _summary(lengths)}
    return {"activation": activation, "lipschitz_bound": 1.00000035, **measured}


def _layer(generator: np.random.Generator, index: int) -> dict[str, object]:
    values = np.sort(1 - 3e-7 * generator.random(32))[::-1]
    spectrum = {"sigma_min": float(values[-1]), "sigma_max": float(values[0]), "singular_values": values.tolist()}
    return {"name": str(2 * index), "kind": "BjorckLinear", "bound": 1.00000006, "method": "Gram residual", **spectrum}


def _log(generator: np.random.Generator, estimate: float, *, compared: bool) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []
    for step in range(1, 401):
        reached = float(estimate * (1 - np.exp(-step / 50)))
        epoch = (step - 1) // 20 + 1
        noisy = reached + 0.03 * float(generator.standard_normal())
        common = {"step": step, "epoch": epoch, "seconds": step / 10}
        if compared:
            common["beside"] = reached - 0.5
        lines.append({**common, "kind": "train", "loss": -noisy, "estimate": noisy, "lr": 1e-3})
        if step % 20 == 0:
            lines.append({**common, "kind": "valid", "loss": -reached, "estimate": reached})
    return lines
