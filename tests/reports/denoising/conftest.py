"""A denoising run of made-up numbers and pictures, in the format that the task writes: nothing was trained."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

LEVELS = {"noisy": 24.6, "tv": 29.9, "denoiser": 30.4, "unconstrained": 31.2}


def synthetic_run(path: Path, *, beside: bool = True, averaging: float = 0.5, bound: float = 1.0) -> Path:
    """Write a complete run on two sets, of pictures of odd sizes."""
    generator = np.random.default_rng(0)
    path.mkdir(parents=True)
    methods = [name for name in LEVELS if beside or name != "unconstrained"]
    tensors: dict[str, np.ndarray] = {}
    sets = {}
    for name, images in (("bsd68", 7), ("set12", 3)):
        scores = {method: LEVELS[method] + generator.standard_normal(images) for method in methods}
        for method in methods:
            tensors[f"{name}/{method}/psnr"] = scores[method]
            tensors[f"{name}/{method}/ssim"] = generator.random(images)
        for index in range(2):
            for method in ("clean", *methods):
                tensors[f"{name}/{method}/{index}"] = generator.integers(0, 256, (1, 150, 131), dtype=np.uint8)
        means = {
            m: {"psnr": float(scores[m].mean()), "ssim": float(tensors[f"{name}/{m}/ssim"].mean())} for m in methods
        }
        means["tv"]["weight"] = 0.0371
        sets[name] = {"images": images, "titles": [f"{i}" for i in range(images)], "unconstrained": None, **means}
    save_file(tensors, path / "evaluation.safetensors")
    command = ["taut", "train", "denoise"]
    layer = {
        "name": "0",
        "kind": "Conv2d",
        "bound": 1.0000012,
        "sigma_min": None,
        "sigma_max": None,
        "method": "made up",
    }
    result = {
        "task": "denoising",
        "recipe": "synthetic",
        "dataset": "bsd",
        "train_images": 400,
        "sigma": 15.0,
        "channels": 1,
        "averaging": averaging,
        "convolution": "aoc",
        "activation": "group-sort",
        "network_bound": bound,
        "lipschitz_bound": bound,
        "averaged": averaging if averaging < 1 else None,
        "unconstrained_bound": 3.71 if beside else None,
        "sets": sets,
        "layers": [{**layer, "singular_values": []}],
        "parameters": 12_345,
        "seconds": {"train": 1800.0},
        "command": command,
        "seed": 0,
        "commit": None,
        "versions": {"taut": "0.1.0"},
        "machine": "an imagined machine",
    }
    manifest = {
        "taut": "0.1.0",
        "recipe": "synthetic",
        "task": "denoising",
        "command": command,
        "seed": 0,
        "config": {},
    }
    (path / "result.json").write_text(json.dumps(result))
    (path / "config.json").write_text(json.dumps(manifest))
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in _log(generator)))
    return path


@pytest.fixture(name="make_run", scope="session")
def _make_run() -> Callable[..., Path]:
    return synthetic_run


def _log(generator: np.random.Generator) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []
    for step in range(50, 2001, 50):
        common = {"step": step, "epoch": (step - 1) // 200 + 1}
        level = 30.0 - 6 * float(np.exp(-step / 300))
        error = 10 ** (-level / 10) * float(np.exp(0.05 * generator.standard_normal()))
        lines.append({**common, "kind": "train", "loss": error, "unconstrained_loss": 0.8 * error})
        if step % 200 == 0:
            lines.append({**common, "kind": "valid", "psnr": level, "unconstrained_psnr": level + 0.8})
    return lines
