"""`taut train` of GANs: pictures, quality, resuming; their generators as distributions."""

import json
import signal
from pathlib import Path

import pytest
from PIL import Image

TINY = ["--generator-width", "2", "--discriminator-width", "2", "--width", "8", "--depth", "1", "--epochs", "1"]
TINY += ["--batch-size", "64", "--n-critic", "2", "--grid", "9", "--log-every", "4", "--accelerator", "cpu"]
TINY += ["--sample-every", "1"]
UNMEASURED = ["--samples", "0"]


def result(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())


@pytest.mark.parametrize("kind", ["wgan", "wgan-gp", "lwgan"])
def test_each_kind_trains_and_leaves_pictures(taut, no_report, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "run"
    shown = taut("train", "gan-digits", *TINY, *UNMEASURED, "--gan-type", kind, "--out", out)
    assert shown.code == 0, shown.err
    assert Image.open(out / "samples.png").size == Image.open(out / "real.png").size
    with Image.open(out / "samples.gif") as animation:
        assert animation.n_frames >= 1
    assert Image.open(out / "interpolation.png").size[0] > Image.open(out / "samples.png").size[0]
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    training = [line for line in lines if line["kind"] == "train"]
    assert all({"estimate", "generator_loss"} <= set(line) for line in training)
    assert all(("penalty" in line) == (kind == "wgan-gp") for line in training)
    bound = result(out)["lipschitz_bound"]
    assert (bound <= 1 + 1e-5) if kind == "lwgan" else bound > 0
    assert result(out)["quality"] is None


def test_weights_of_a_clipped_critic_are_clipped(taut, no_report, tmp_path: Path) -> None:
    import safetensors.torch

    out, clipped = tmp_path / "run", ["--gan-type", "wgan", "--clip", "0.02"]
    assert taut("train", "gan-digits", *TINY, *UNMEASURED, *clipped, "--out", out).code == 0
    weights = safetensors.torch.load_file(out / "critic.safetensors")
    clipped = [tensor for name, tensor in weights.items() if name.endswith(("weight", "bias"))]
    assert max(float(tensor.abs().max()) for tensor in clipped) <= 0.02


def test_an_interrupted_run_ends_as_if_it_had_not_been(taut, no_report, tmp_path: Path, monkeypatch) -> None:
    from taut.tasks.gan import learner

    calls = []

    def interrupting(*_) -> None:
        calls.append(1)
        if len(calls) == 5:
            signal.raise_signal(signal.SIGTERM)

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    options = [*TINY, *UNMEASURED, "--gan-type", "lwgan"]
    assert taut("train", "gan-digits", *options, "--out", whole).code == 0
    with monkeypatch.context() as patch:
        patch.setattr(learner, "project_", interrupting)
        assert taut("train", "gan-digits", *options, "--out", parts).code == 143
    assert taut("train", "--resume", parts).code == 0
    for name in ("generator.safetensors", "critic.safetensors", "samples.png", "samples.gif"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes(), name


def test_quality_is_measured_and_a_generator_is_a_distribution(taut, no_report, tmp_path: Path, monkeypatch) -> None:
    from taut.tasks.gan import measure

    monkeypatch.setattr(measure, "_CLASSIFIER_STEPS", 60)
    monkeypatch.setattr(measure, "_BRACKET_STEPS", 20)
    out, distance = tmp_path / "gan", tmp_path / "distance"
    options = ["--samples", "150", "--transport-samples", "100"]
    shown = taut("train", "gan-digits", *TINY, *options, "--out", out)
    assert shown.code == 0, shown.err
    quality = result(out)["quality"]
    assert quality["reference"]["frechet"] < quality["frechet"]
    assert quality["wasserstein1"]["lower"] <= quality["wasserstein1"]["upper"]
    tiny = ["--width", "8", "--depth", "1", "--epochs", "1", "--steps-per-epoch", "5", "--batch-size", "16"]
    tiny += ["--samples", "100", "--transport-samples", "50"]
    shown = taut("train", "wasserstein", *tiny, "--p", "digits", "--q", out, "--out", distance)
    assert shown.code == 0, shown.err
    assert "generator gan" in result(distance)["q_description"]
    assert taut("train", "wasserstein", "--q", distance, "--out", tmp_path / "x").code == 2


def test_mistakes_are_one_sentence_and_leave_nothing(taut, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("TAUT_DATA_ROOT", raising=False)
    mistakes = {
        ("gan",): "mnist is read from files",
        ("gan-digits", "--batch-size", "1000"): "batch-size 5000 is larger than the training split",
        ("gan-digits", "--n-critic", "0"): "n-critic must be at least 1",
        ("gan-digits", "--gan-type", "wgan-gp", "--normalisation", "batch"): "give none or layer",
        ("gan-digits", "--activation", "group-sort", "--group-size", "7"): "cannot build the critic",
        ("gan-digits", "--gan-type", "dcgan"): "invalid choice",
    }
    for options, reason in mistakes.items():
        shown = taut("train", *options, "--out", tmp_path / "run")
        assert shown.code in (1, 2), options
        assert reason in shown.err, shown.err
        assert shown.err.count("\n") == 1, shown.err
        assert not (tmp_path / "run").exists()
