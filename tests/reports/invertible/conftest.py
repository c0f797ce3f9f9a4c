"""A run of an invertible network made of formulas, in the format that the task writes: nothing was trained."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

RATES = [0.8000001, 0.8000002, 0.8000003]
SAMPLES = 200


def synthetic_run(path: Path, *, features: int = 2, known: bool = True, likelihood: bool = True) -> Path:
    """Write a complete run whose network divides by 2: a normal law of deviation 2 was learned, and is the target."""
    generator = np.random.default_rng(0)
    path.mkdir(parents=True)
    latents = generator.standard_normal((SAMPLES, features))
    residuals = [0.7 ** np.arange(20) * (1 + index) for index in range(len(RATES))]
    tensors = {
        "data": 2 * latents,
        "samples": 2 * generator.standard_normal((SAMPLES, features)),
        "latents": latents,
        "residuals": np.concatenate(residuals),
        "residual_counts": np.asarray([len(row) for row in residuals]),
    }
    if features <= 2:
        sides = (101,) if features == 1 else (21, 17)
        axes = [np.linspace(-6.0, 6.0, side) for side in sides]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, features)
        density = np.exp(-np.sum((grid / 2) ** 2, axis=1) / 2) / (2 * math.sqrt(2 * math.pi)) ** features
        tensors |= {"grid": grid, "grid_shape": np.asarray(sides), "density": density}
        tensors |= {"true_density": density} if known else {}
        if features == 1:
            tensors["map"] = grid[:, 0] / 2
        else:
            turn = np.linspace(0, 2 * np.pi, 30)
            tensors["lines"] = np.stack([2 * r * np.stack([np.cos(turn), np.sin(turn)], axis=1) for r in range(1, 8)])
    save_file(tensors, path / "evaluation.safetensors")
    truth = -1.5 if known else None
    measured = {"value": -1.6, "standard_error": 0.01, "truth": truth}
    measured |= {"gap": 0.1 if known else None, "gap_standard_error": 0.005 if known else None}
    command = ["taut", "train", "synthetic", "--seed", "3"]
    result = {
        "task": "invertible",
        "recipe": "synthetic",
        "target": "gaussian([0, 0], std=2)",
        "description": "the normal law of standard deviation 2",
        "features": features,
        "samples": SAMPLES,
        "loss": "likelihood",
        "lipschitz": 0.8,
        "contractions": RATES,
        "lipschitz_bound": 2.9160012,
        "inverse_lipschitz_bound": 250.0012,
        "inversion": {
            "tolerance": 1e-6,
            "samples": SAMPLES,
            "proven_steps": [70, 80, 90],
            "steps": [20, 21, 22],
            "error_bound": 7.1e-7,
            "max_error": 2.3e-8,
            "mean_error": 1.1e-8,
        },
        "mmd": {"forward": 0.031, "forward_reference": 0.026, "inverse": 0.034, "inverse_reference": 0.027},
        "log_likelihood": measured if likelihood else None,
        "wasserstein1": {"samples": 100, "value": 0.071, "reference": 0.066},
        "layers": [],
        "parameters": 1234,
        "seconds": {"train": 31.4, "evaluate": 1.2},
        "command": command,
        "seed": 3,
        "versions": {"taut": "0.1.0"},
    }
    (path / "result.json").write_text(json.dumps(result))
    config = {"taut": "0.1.0", "recipe": "synthetic", "task": "invertible", "command": command, "seed": 3, "config": {}}
    (path / "config.json").write_text(json.dumps(config))
    lines = []
    for step in range(1, 41):
        common = {"step": step, "epoch": (step - 1) // 10 + 1, "seconds": step / 10}
        value = 1.6 + math.exp(-step / 10)
        lines.append({**common, "kind": "train", "loss": value, "nll": value, "lr": 1e-3})
        if step % 10 == 0:
            lines.append({**common, "kind": "valid", "loss": value, "forward": 0.1 / step, "inverse": 0.2 / step})
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(name="make_run", scope="session")
def _make_run() -> Callable[..., Path]:
    return synthetic_run
