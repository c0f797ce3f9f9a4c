"""What each recipe promises, at its own settings and default seed. Minutes long: `make test-slow`."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
needs_mnist = pytest.mark.skipif("TAUT_DATA_ROOT" not in os.environ, reason="TAUT_DATA_ROOT is not set: no MNIST files")


def run(recipe: str, out: Path) -> tuple[dict, float]:
    """result.json of a run through the command line, and the seconds that it took in all."""
    start = time.monotonic()
    subprocess.run([sys.executable, "-m", "taut.cli", "train", recipe, "--out", str(out)], check=True)
    return json.loads((out / "result.json").read_text()), time.monotonic() - start


def check(result: dict, *, accuracy: float, certified: dict[str, float]) -> None:
    assert result["accuracy"] >= accuracy
    for radius, share in certified.items():
        assert result["certified"][radius] >= share, f"certified at {radius}"


@pytest.mark.timeout(300)
def test_digits(tmp_path: Path) -> None:
    result, seconds = run("digits", tmp_path / "run")
    check(result, accuracy=0.98, certified={"0.25": 0.93, "0.5": 0.72})
    assert all(result["attacked"][r] >= result["certified"][r] for r in result["attacked"])
    assert seconds < 90


@needs_mnist
@pytest.mark.timeout(900)
def test_mnist(tmp_path: Path) -> None:
    result, seconds = run("mnist", tmp_path / "run")
    check(result, accuracy=0.987, certified={"0.3": 0.97})
    assert seconds < 600


@needs_mnist
@pytest.mark.timeout(900)
def test_mnist_wide_margin(tmp_path: Path) -> None:
    result, seconds = run("mnist-wide-margin", tmp_path / "run")
    check(result, accuracy=0.975, certified={"1.58": 0.65})
    assert seconds < 600


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("recipe", "share"), [("absolute-value", 0.999), ("three-cones", 0.98), ("high-dim-cone", 0.995)]
)
def test_known_distances(tmp_path: Path, recipe: str, share: float) -> None:
    result, _ = run(recipe, tmp_path / "run")
    assert result["truth"] == 1.0
    assert share <= result["estimate"] <= 1.0 + 5 * result["standard_error"]
    assert result["beside"]["estimate"] < 0.6  # ReLU loses gradient norm
    assert result["seconds"]["train"] < 120


@pytest.mark.timeout(1200)
def test_fit_1d(tmp_path: Path) -> None:
    result, _ = run("fit-1d", tmp_path / "run")
    medians = {cell["activation"]: cell["median"] for cell in result["cells"] if cell["linear"] == "bjorck"}
    assert medians["linear-spline"] < 2e-4
    assert medians["group-sort"] < 5e-4
    assert medians["relu"] > 10 * medians["linear-spline"]  # what loses gradient norm cannot follow slopes of +-1


@pytest.mark.timeout(900)
def test_invertible_2d(tmp_path: Path) -> None:
    result, _ = run("invertible-2d", tmp_path / "run")
    assert result["log_likelihood"]["gap"] < 0.05
    assert result["inversion"]["max_error"] <= result["inversion"]["error_bound"] <= result["inversion"]["tolerance"]


@pytest.mark.skipif("TAUT_DATA_ROOT" not in os.environ, reason="TAUT_DATA_ROOT is not set: no BSD pictures")
@pytest.mark.timeout(5400)
def test_denoise(tmp_path: Path) -> None:
    result, _ = run("denoise", tmp_path / "run")
    assert result["averaged"] == 0.5
    assert result["lipschitz_bound"] <= 1.0
    for of_set in result["sets"].values():
        psnr = {method: figures["psnr"] for method, figures in of_set.items() if isinstance(figures, dict)}
        assert psnr["tv"] + 0.1 < psnr["denoiser"] < psnr["unconstrained"]


@needs_mnist
@pytest.mark.timeout(2400)
def test_mnist_linf_dist(tmp_path: Path) -> None:
    result, seconds = run("mnist-linf-dist", tmp_path / "run")
    check(result, accuracy=0.95, certified={"0.1": 0.90})
    for radius, attacked in result["attacked"].items():
        assert result["attack"]["certified"][radius] <= min(attacked, result["fgsm"][radius])
    assert result["lipschitz_bound"] < 1 + 1e-6
    assert seconds < 1800
