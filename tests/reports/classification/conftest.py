"""A run folder made of random numbers, in the format that tasks write: nothing in it was trained or measured."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

SAMPLES = 400
RADII = (0.25, 0.5, 1.0)


def synthetic_run(path: Path, *, seed: int = 0, norm: str = "l2") -> Path:
    """Write a complete classification run of made-up numbers."""
    generator = np.random.default_rng(seed)
    path.mkdir(parents=True)
    label = generator.integers(0, 10, SAMPLES)
    wrong = generator.random(SAMPLES) < 0.06
    prediction = np.where(wrong, (label + 1 + generator.integers(0, 9, SAMPLES)) % 10, label)
    distance = np.where(wrong, -generator.gamma(2.0, 0.2, SAMPLES), generator.gamma(3.0, 0.45, SAMPLES))
    radius = np.maximum(distance, 0.0) / 1.4
    survived = {eps: ~wrong & (distance > 1.15 * eps) for eps in RADII}
    ranked = [index for index in np.argsort(radius) if radius[index] > 0]
    least, most = np.asarray(ranked[:8]), np.asarray(ranked[::-1][:8])
    save_file(
        {
            "radius": radius,
            "margin": distance,
            "label": label.astype(np.int64),
            "prediction": prediction.astype(np.int64),
            "most_certified": _blobs(generator, len(most)),
            "most_certified_index": most.astype(np.int64),
            "least_certified": _blobs(generator, len(least)),
            "least_certified_index": least.astype(np.int64),
            **{f"attacked_{eps:g}": kept for eps, kept in survived.items()},
        },
        path / "evaluation.safetensors",
    )
    command = ["taut", "train", "synthetic", "--seed", str(seed), "--out", "runs/a name with spaces"]
    _write(
        path / "result.json",
        {
            "task": "classification",
            "recipe": "synthetic",
            "dataset": "made-up",
            "samples": SAMPLES,
            "accuracy": float(np.mean(~wrong)),
            "certified": {f"{eps:g}": float(np.mean(radius > eps)) for eps in RADII},
            "attacked": {f"{eps:g}": float(np.mean(kept)) for eps, kept in survived.items()},
            "attack": {"method": "pgd", "steps": 50, "restarts": 2},
            "norm": norm,
            "lipschitz_bound": 1.0000002384185933,
            "layers": [_layer(generator, index) for index in range(4)],
            "seconds": {"train": 48.31, "evaluate": 0.42, "attack": 9.7, "certify": 1.25},
            "parameters": 1_234_567,
            "command": command,
            "seed": seed,
            "commit": "0123456789abcdef0123456789abcdef01234567",
            "versions": {"taut": "0.1.0", "torch": "2.0", "numpy": "2.0", "python": "3.11"},
            "machine": "an imagined machine",
        },
    )
    config = {"model": {"widths": [64, 64], "linear": "bjorck"}, "optimizer": {"lr": 0.001 * (seed + 1)}, "epochs": 20}
    _write(
        path / "config.json",
        {
            "taut": "0.1.0",
            "recipe": "synthetic",
            "task": "classification",
            "command": command,
            "seed": seed,
            "config": config,
        },
    )
    _write(
        path / "certificate.json",
        {"norm": norm, "arithmetic": "float64 as executed", "model_hash": "sha256:feedface"},
    )
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in _log(generator)))
    return path


@pytest.fixture(name="make_run", scope="session")
def _make_run() -> Callable[..., Path]:
    return synthetic_run


@pytest.fixture(name="run_dir")
def _run_dir(tmp_path: Path) -> Path:
    return synthetic_run(tmp_path / "run")


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2))


def _layer(generator: np.random.Generator, index: int) -> dict[str, object]:
    # Layer 2 is slack on purpose, so that the picture has something to show.
    spread = 0.4 if index == 2 else 3e-7
    values = np.sort(1 - spread * generator.random(10 if index == 3 else 64) ** 2)[::-1]
    return {
        "name": str(2 * index),
        "kind": "BjorckLinear",
        "bound": 1.0000000596046448,
        "sigma_min": float(values[-1]),
        "sigma_max": float(values[0]),
        "method": "Gram residual",
        "singular_values": values.tolist(),
    }


def _log(generator: np.random.Generator, epochs: int = 20, steps: int = 24) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []
    for epoch in range(epochs):
        places = range(epoch * steps + 4, (epoch + 1) * steps + 1, 4)
        lines.extend(_line("train", step, epoch + 1, generator, 0.06) for step in places)
        line = _line("valid", (epoch + 1) * steps, epoch + 1, generator, 0.01)
        level = float(line["accuracy"])  # type: ignore[arg-type]
        lines.append(line | {"certified_estimate": {f"{eps:g}": level * float(np.exp(-eps)) for eps in RADII}})
    return lines


def _line(kind: str, step: int, epoch: int, generator: np.random.Generator, noise: float) -> dict[str, object]:
    progress = 1 - np.exp(-step / 90)
    loss = float((2.2 - 1.95 * progress) * (1 + noise * generator.standard_normal()))
    accuracy = float(np.clip(0.1 + 0.84 * progress + noise * generator.standard_normal(), 0, 1))
    return {"kind": kind, "step": step, "epoch": epoch, "loss": loss, "accuracy": accuracy, "lr": 1e-3, "seconds": step}


def _blobs(generator: np.random.Generator, count: int) -> np.ndarray:
    across = np.linspace(-1, 1, 12)
    centres = generator.uniform(-0.5, 0.5, (count, 2))
    x, y = np.meshgrid(across, across)
    pictures = [np.exp(-4 * ((x - cx) ** 2 + (y - cy) ** 2)) for cx, cy in centres]
    return np.stack(pictures)[:, None].astype(np.float32)
