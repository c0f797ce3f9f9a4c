"""A restoration of made-up pictures and numbers, in the format that the task writes: no denoiser was used."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

STEPS = 80


def synthetic_run(path: Path, *, channels: int = 1, beside: bool = True, measured: bool = False) -> Path:
    """Write a complete run: the first denoiser's residual falls, that of the second rises now and then."""
    path.mkdir(parents=True)
    generator = np.random.default_rng(0)
    x, y = np.meshgrid(np.linspace(-1, 1, 240), np.linspace(-1, 1, 180))
    whole = np.stack([0.5 + 0.5 * np.sin(20 * x * (k + 1) * np.exp(y)) for k in range(channels)], axis=-1)
    noise = {"original": 0.0, "measurement": 0.3, "restored": 0.05, "beside": 0.15}
    for name, level in noise.items():
        if (name != "beside" or beside) and (name != "original" or not measured):
            _picture(whole + level * generator.standard_normal(whole.shape)).save(path / f"{name}.png")
    falling = 3.0 * 0.9 ** np.arange(STEPS)
    rising = np.maximum(falling * (1 + 0.5 * generator.random(STEPS)), 1e-3)
    rows = {"denoiser": falling} | ({"beside": rising} if beside else {})
    if not measured:
        rows |= {f"{name}_psnr": 30 - 8 * np.exp(-np.arange(STEPS) / 10) for name in rows}
    save_file({name: row.astype(np.float64) for name, row in rows.items()}, path / "evaluation.safetensors")
    rises = int((rising[1:] > rising[:-1]).sum())
    first = _method("aoc", falling, rises=0, measured=measured)
    second = _method("plain", rising, rises=rises, measured=measured) if beside else None
    command = ["taut", "restore", "a.png"]
    result = {
        "task": "restoration",
        "recipe": "restore",
        "image": {"name": "a.png", "shape": [channels, 180, 240], "bits": 8, "notes": ["the first of its 3 frames"]},
        "measured": measured,
        "operator": {
            "name": "blur",
            "description": "a Gaussian blur of standard deviation 1.6",
            "norm_bound": 1.0000001,
            "sigma_noise": None if measured else 2.0,
        },
        "algorithm": {
            "name": "forward-backward",
            "description": "forward-backward splitting",
            "step_size": 1.25,
        },
        "start": None if measured else {"psnr": 22.125, "ssim": 0.5125},
        "denoiser": first,
        "beside": second,
        "seconds": {"restore": 12.5},
        "command": command,
        "seed": 0,
        "commit": None,
        "versions": {"taut": "0.1.0"},
        "machine": "an imagined machine",
    }
    manifest = {"taut": "0.1.0", "recipe": "restore", "task": "restoration", "command": command, "seed": 0}
    _write(path / "result.json", result)
    _write(path / "config.json", manifest | {"config": {"image": "a.png", "seed": 0}})
    return path


@pytest.fixture(name="make_run", scope="session")
def _make_run() -> Callable[..., Path]:
    return synthetic_run


def _method(name: str, residual: np.ndarray, *, rises: int, measured: bool) -> dict[str, Any]:
    proven = rises == 0
    return {
        "name": name,
        "strength": "for noise of 5/255",
        "lipschitz_bound": 0.99951172 if proven else 12.625,
        "averaged": 0.5 if proven else None,
        "inexact": False,
        "check": {
            "holds": proven,
            "monotone": proven,
            "theorem": "Krasnoselskii-Mann",
            "verdict": "It converges." if proven else "The denoiser is not proven to be averaged.",
        },
        "residual": {
            "steps": STEPS,
            "first": float(residual[0]),
            "last": float(residual[-1]),
            "increases": rises,
            "largest_increase": 1.0 if proven else float((residual[1:] / residual[:-1]).max()),
            "rounding": 1.5e-5,
            "diverged": False,
        },
        "quality": None if measured else {"psnr": 29.875 if proven else 27.25, "ssim": 0.8125 if proven else 0.75},
    }


def _picture(levels: np.ndarray) -> Image.Image:
    shades = (255 * np.clip(levels, 0, 1)).round().astype(np.uint8)
    return Image.fromarray(shades if shades.shape[2] == 3 else shades[:, :, 0])


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2))
