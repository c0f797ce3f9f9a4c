"""A table of made-up numbers near the published ones, in the format that the task writes: no critic was trained."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

PUBLISHED = {
    ("ReLU", "spectral-norm"): (0.95, 1.12),
    ("MaxMin", "spectral-norm"): (1.36, 1.62),
    ("GroupSort(4)", "spectral-norm"): (1.64, 1.63),
    ("ReLU", "bjorck"): (1.40, 1.39),
    ("MaxOut", "bjorck"): (1.95, 1.76),
    ("MaxMin", "bjorck"): (2.16, 2.08),
    ("GroupSort(4)", "bjorck"): (2.31, 2.17),
    ("GroupSort(9)", "bjorck"): (2.31, 2.23),
}
ACTIVATIONS = ("ReLU", "MaxOut", "MaxMin", "GroupSort(4)", "GroupSort(9)", "spline", "Householder", "PReLU")
TRANSPORT = 4.2


def table(*, dataset: str = "mnist", noise: float = 0.02) -> dict[str, object]:
    """The content of result.json."""
    generator = np.random.default_rng(1)
    return {
        "task": "wasserstein-table",
        "budget": "small",
        "dataset": dataset,
        "generator": {"gan_type": "wgan-gp", "steps": 2000, "seconds": 311.5},
        "transport": {"value": TRANSPORT, "samples": 1000, "standard_error": 0.0212},
        "cells": [
            _cell(generator, *key, noise) for key in ((a, b) for a in ACTIVATIONS for b in ("spectral-norm", "bjorck"))
        ],
        "command": ["taut", "reproduce", "wasserstein-table", "--budget", "small"],
        "seed": 0,
        "seconds": {"generator": 311.5, "critics": 801.2},
        "versions": {"taut": "0.1.0"},
        "machine": "an imagined machine",
    }


def _cell(generator: np.random.Generator, activation: str, linear: str, noise: float) -> dict[str, object]:
    mnist, cifar10 = PUBLISHED.get((activation, linear), (None, None))
    values = (1.5 * (mnist or 1.8) * (1 + noise * generator.standard_normal(3))).tolist()
    return {
        "activation": activation,
        "linear": linear,
        "values": values,
        "fractions": [value / TRANSPORT for value in values],
        "mean": float(np.mean(values)),
        "spread": float(np.std(values, ddof=1)),
        "lipschitz_bounds": [1.0000001, 1.0000002, 1.0000003],
        "seconds": 50.1,
        "published": {"mnist": mnist, "cifar10": cifar10},
    }


def synthetic_run(path: Path, *, dataset: str = "mnist") -> Path:
    """Write a complete run."""
    path.mkdir(parents=True)
    (path / "result.json").write_text(json.dumps(table(dataset=dataset)))
    config = {"recipe": "wasserstein-table", "task": "wasserstein-table", "seed": 0, "config": {"budget": "small"}}
    (path / "config.json").write_text(json.dumps(config))
    return path


@pytest.fixture(name="make_table", scope="session")
def _make_table() -> Callable[..., dict[str, object]]:
    return table


@pytest.fixture(name="run_dir")
def _run_dir(tmp_path: Path) -> Path:
    return synthetic_run(tmp_path / "run")
