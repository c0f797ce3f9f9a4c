"""`taut train` of invertible networks: what a run leaves, resuming, reading back, mistakes."""

import json
import signal
from pathlib import Path

import pytest
import safetensors.torch
import torch

TINY = ["--blocks", "2", "--width", "8", "--depth", "1", "--epochs", "2", "--steps-per-epoch", "6"]
TINY += ["--batch-size", "32", "--samples", "100", "--transport-samples", "50", "--log-every", "3"]
TINY += ["--accelerator", "cpu", "--lr", "0.01"]


@pytest.fixture(autouse=True)
def _coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the report, and on a coarse grid, which take most of the time of a tiny run."""
    from taut.tasks.invertible import drawn, run

    monkeypatch.setattr(drawn, "_SIDE", 41)
    monkeypatch.setattr(run, "report", lambda folder: folder.path / "report.html")


def result(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())


def test_a_run_leaves_a_density_and_a_proven_inverse(taut, tmp_path: Path) -> None:
    from taut.tasks.invertible import load_distribution, load_flow, load_network

    out = tmp_path / "run"
    shown = taut("train", "invertible-2d", *TINY, "--target", "ring(4, std=0.3)", "--out", out)
    assert shown.code == 0
    assert "proven Lipschitz constants" in shown.out
    found, tensors = result(out), safetensors.torch.load_file(out / "evaluation.safetensors")
    inversion = found["inversion"]
    assert inversion["max_error"] <= inversion["error_bound"] <= inversion["tolerance"] == 1e-6
    assert all(made <= proven for made, proven in zip(inversion["steps"], inversion["proven_steps"], strict=True))
    assert found["log_likelihood"]["gap"] > 0
    cell = (tensors["grid"][-1] - tensors["grid"][0]).prod() / 40**2
    assert float(tensors["true_density"].sum() * cell) == pytest.approx(1.0, abs=0.03)
    flow = load_flow(out)
    with torch.no_grad():
        assert torch.equal(flow(tensors["data"]), tensors["latents"])
        density = flow.log_prob(tensors["grid"][:50]).exp()
    assert torch.allclose(density, tensors["density"][:50], rtol=1e-12)
    plain, shape = load_network(out)
    assert shape == (2,)
    assert torch.allclose(plain(tensors["data"]), tensors["latents"], atol=1e-12)
    law = load_distribution(out)
    assert law.sample(5, torch.Generator().manual_seed(0)).shape == (5, 2)
    assert torch.allclose(law.log_density(tensors["grid"][:50]).exp(), density)
    assert json.loads(taut("audit", out, "--json", "--no-search").out)["bound"] == found["lipschitz_bound"]


def test_a_tolerance_that_rounding_hides_becomes_larger(capsys) -> None:
    from taut.models import InvertibleNetwork
    from taut.tasks.invertible.measure import _inverted, proven_rates

    torch.manual_seed(0)
    network = InvertibleNetwork(2, blocks=3, width=8).double().eval()
    z = torch.randn(20, 2, dtype=torch.float64)
    used, (found,) = _inverted(network, (z,), proven_rates(network), tolerance=1e-15)
    assert used > 1e-15
    assert found.error_bound <= used
    assert "now to ten times that" in capsys.readouterr().err


@pytest.mark.parametrize("loss", ["mmd-forward", "mmd-inverse"])
def test_every_loss_falls(taut, tmp_path: Path, loss: str) -> None:
    out = tmp_path / "run"
    options = [
        "--target",
        "gaussian([4.0], std=3)",
        "--loss",
        loss,
        "--epochs",
        "6",
        "--samples",
        "400",
        "--blocks",
        "1",
    ]
    assert taut("train", "invertible-1d", *TINY, *options, "--out", out).code == 0
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    valid = [line for line in lines if line["kind"] == "valid"]
    assert valid[-1]["loss"] < valid[0]["loss"]
    assert {"nll", "forward", "inverse"} & lines[0].keys() == {loss.removeprefix("mmd-")}


def test_a_determinant_that_is_estimated_trains_in_more_dimensions(taut, tmp_path: Path) -> None:
    out = tmp_path / "run"
    target = ["--target", "gaussian([0.0] * 10, std=2)", "--loss", "likelihood", "--terms", "3", "--blocks", "1"]
    assert taut("train", "invertible-2d", *TINY, *target, "--out", out).code == 0
    found = result(out)
    tensors = safetensors.torch.load_file(out / "evaluation.safetensors")
    assert "density" not in tensors
    assert found["features"] == 10
    likelihood = found["log_likelihood"]
    assert likelihood["gap"] == pytest.approx(likelihood["truth"] - likelihood["value"])


def test_an_interrupted_run_ends_as_if_it_had_not_been(taut, tmp_path: Path, monkeypatch) -> None:
    from taut.tasks.invertible import learner

    calls = []

    def interrupting(*_) -> None:
        calls.append(1)
        if len(calls) == 5:
            signal.raise_signal(signal.SIGINT)

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    options = [*TINY, "--loss", "mmd-both", "--ema", "0.9", "--blocks", "1"]
    assert taut("train", "invertible-1d", *options, "--out", whole).code == 0
    with monkeypatch.context() as patch:
        patch.setattr(learner, "project_", interrupting)
        assert taut("train", "invertible-1d", *options, "--out", parts).code == 130
    assert taut("train", "--resume", parts).code == 0
    assert (whole / "folded.safetensors").read_bytes() == (parts / "folded.safetensors").read_bytes()
    first, second = result(whole), result(parts)
    for varying in ("seconds", "command"):
        first.pop(varying), second.pop(varying)
    assert first == second
    assert "finished before" in taut("train", "--resume", parts).out


def test_mistakes_are_one_sentence_and_leave_nothing(taut, tmp_path: Path) -> None:
    mistakes = {
        ("--target", "moon()"): "unknown distribution 'moon'",
        ("--target", "moons(noise=-1)"): "noise must be one number above 0, got -1",
        ("--target", "digits", "--batch-size", "5000"): "batch-size 5000 is larger than the 1347 samples",
        ("--lipschitz", "1.0"): "lipschitz must be between 0 and 1, got 1",
        ("--lipschitz", "0"): "lipschitz must be between 0 and 1, got 0",
        ("--blocks", "0"): "blocks must be at least 1, got 0",
        ("--linear", "linf"): "invalid choice",
        ("--loss", "mmd"): "invalid choice",
        ("--bandwidths", "0"): "bandwidths must be positive numbers",
        ("--tolerance", "0"): "tolerance must be positive",
        ("--tolerance", "1e-30", "--blocks", "1"): "the inverse of such a network cannot be computed: after",
        ("--batch-size", "1"): "batch-size must be at least 2, got 1",
    }
    for options, reason in mistakes.items():
        shown = taut("train", "invertible-2d", *options, "--out", tmp_path / "run")
        assert shown.code in (1, 2), options
        assert reason in shown.err.lower() or reason in shown.err, shown.err
        assert shown.err.count("\n") == 1, shown.err
        assert not (tmp_path / "run").exists()
