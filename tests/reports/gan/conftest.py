"""A GAN run of noise and made-up numbers, in the format that the task writes: no generator was trained."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

STEPS = range(0, 1000, 100)


def synthetic_run(path: Path, *, gan_type: str = "lwgan", channels: int = 1, cells: int = 5) -> Path:
    """Write a complete run; only the critic of an "lwgan" has a proven constant, only a "wgan-gp" logs a penalty."""
    generator = np.random.default_rng(0)
    (path / "samples").mkdir(parents=True)
    for name in ("samples", "real", "interpolation"):
        _grid(generator, channels, cells, 1.0).save(path / f"{name}.png")
    grids = [_grid(generator, channels, cells, step / STEPS[-1]) for step in STEPS]
    for step, grid in zip(STEPS, grids, strict=True):
        grid.save(path / "samples" / f"{step:06d}.png")
    grids[0].save(path / "samples.gif", save_all=True, append_images=grids[1:], duration=100, loop=0)
    command = ["taut", "train", "synthetic", "--gan-type", gan_type]
    _write(
        path / "result.json",
        {
            "task": "gan",
            "recipe": "synthetic",
            "dataset": "made-up",
            "gan_type": gan_type,
            "shape": [channels, 12, 12],
            "critic": "dense, 512-512, MaxMin, Björck",
            "lipschitz_bound": 1.0000002384185933 if gan_type == "lwgan" else None,
            "quality": {
                "samples": 2000,
                "features": "The 128 features before the last layer of a classifier of the same data",
                "feature_accuracy": 0.9712,
                "frechet": 12.3456,
                "precision": 0.7125,
                "recall": 0.4315,
                "reference": {"frechet": 0.8123, "precision": 0.9115, "recall": 0.9045},
                "wasserstein1": {
                    "estimate": 2.0512,
                    "lower": 2.0107,
                    "upper": 5.2309,
                    "interval": [2.0019, 2.1005],
                    "transport": 5.1934,
                    "lipschitz_bound": 1.0000004768371582,
                    "reference_transport": 4.7071,
                },
            },
            "parameters": {"generator": 1_234_567, "critic": 765_432},
            "seconds": {"train": 871.3, "evaluate": 33.0},
            "command": command,
            "seed": 0,
            "commit": None,
            "versions": {"taut": "0.1.0", "torch": "2.0"},
            "machine": "an imagined machine",
        },
    )
    config = {"gan_type": gan_type, "epochs": 10}
    _write(
        path / "config.json",
        {"taut": "0.1.0", "recipe": "synthetic", "task": "gan", "command": command, "seed": 0, "config": config},
    )
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in _log(generator, gan_type)))
    return path


@pytest.fixture(name="make_run", scope="session")
def _make_run() -> Callable[..., Path]:
    return synthetic_run


@pytest.fixture(name="run_dir")
def _run_dir(tmp_path: Path) -> Path:
    return synthetic_run(tmp_path / "run")


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2))


def _grid(generator: np.random.Generator, channels: int, cells: int, clear: float) -> Image.Image:
    across = np.linspace(-1, 1, 12)
    x, y = np.meshgrid(across, across)
    rows = []
    for _ in range(cells):
        centres = generator.uniform(-0.5, 0.5, (cells, channels, 2, 1, 1))
        blobs = np.exp(-4 * ((x - centres[:, :, 0]) ** 2 + (y - centres[:, :, 1]) ** 2))
        rows.append(np.concatenate(list(clear * blobs + (1 - clear) * generator.random(blobs.shape)), axis=-1))
    pixels = (255 * np.concatenate(rows, axis=-2)).astype(np.uint8)
    return Image.fromarray(pixels[0] if channels == 1 else np.moveaxis(pixels, 0, -1))


def _log(generator: np.random.Generator, gan_type: str) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []
    for step in range(1, 301):
        level = float(2 + 6 * np.exp(-step / 60) + 0.3 * generator.standard_normal())
        common = {"step": step, "epoch": (step - 1) // 30 + 1, "seconds": step}
        line = {**common, "kind": "train", "loss": -level, "estimate": level, "generator_loss": 0.5 * level - 3}
        lines.append(line | ({"penalty": 0.1 + 1 / step} if gan_type == "wgan-gp" else {}))
        if step % 30 == 0:
            lines.append({**common, "kind": "valid", "estimate": level - 0.2})
    return lines
