"""`taut train denoise`: what it measures and proves, resuming, replaying, its sizes, and what it refuses."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

TINY = ["--width", "12", "--depth", "2", "--epochs", "2", "--steps-per-epoch", "6", "--batch-size", "4"]
TINY += ["--patch-size", "12", "--log-every", "3", "--accelerator", "cpu", "--dataset", "image-sets"]
TINY += ["--group-size", "2"]


@pytest.fixture(name="pictures", scope="module")
def _pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, generator = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for name, sizes in (("train", [(20, 31), (12, 12), (17, 13)]), ("test", [(13, 19), (24, 11)])):
        (root / name).mkdir()
        for index, (height, width) in enumerate(sizes):
            coarse = generator.integers(40, 216, (-(-height // 4), -(-width // 4), 3), dtype=np.uint8)
            pixels = coarse.repeat(4, axis=0).repeat(4, axis=1)[:height, :width]
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return root


@pytest.fixture(autouse=True)
def _no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    from taut.tasks import denoising

    monkeypatch.setattr(denoising.run, "report", lambda folder: folder.path / "report.html")


def result(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())


@pytest.mark.parametrize("averaging", [0.5, 1.0])
def test_what_is_read_back_is_what_was_measured_and_proven(taut, pictures, tmp_path: Path, averaging: float) -> None:
    from taut.data.images import load_images
    from taut.imaging.metrics import psnr
    from taut.tasks.denoising import load_denoiser
    from taut.tasks.headline import headlines
    from taut.training.seeding import stream

    out = tmp_path / "run"
    options = ["--averaging", averaging, "--sigma", "25", "--data-root", pictures, "--channels", "3"]
    shown = taut("train", "denoise", *TINY, *options, "--out", out)
    assert shown.code == 0, shown.err
    figures, held_out = result(out), load_images("image-sets", pictures, channels=3).tests["test"]
    assert (figures["sigma"], figures["channels"], figures["sets"]["test"]["images"]) == (25.0, 3, 2)
    assert figures["averaged"] == (0.5 if averaging < 1 else None)
    assert figures["network_bound"] <= 1
    assert figures["lipschitz_bound"] <= 1
    for name, unconstrained in (("denoiser", False), ("unconstrained", True)):
        denoiser = load_denoiser(out, unconstrained=unconstrained)
        values = []
        for index in range(2):
            clean = held_out.picture(index)
            noise = torch.randn(clean.shape, generator=stream("noise", "test", index))
            values.append(psnr(denoiser(clean + 25 / 255 * noise)[None], clean[None]).item())
        assert figures["sets"]["test"][name]["psnr"] == pytest.approx(np.mean(values), abs=1e-4)
        assert f"{np.mean(values):.2f}" in shown.out
        bound = figures["unconstrained_bound" if unconstrained else "lipschitz_bound"]
        assert denoiser.lipschitz_bound == bound
        assert denoiser.sigma == 25 / 255
    names = {number["name"]: number["value"] for number in headlines("denoising", figures)}
    found = figures["sets"]["test"]
    assert names["test PSNR"] == found["denoiser"]["psnr"]
    assert names["test above TV"] == found["denoiser"]["psnr"] - found["tv"]["psnr"]
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert {"psnr", "unconstrained_psnr"} <= set(lines[-1])


def test_an_interrupted_run_ends_as_if_it_had_not_been_and_replays(taut, pictures, tmp_path: Path, monkeypatch) -> None:
    from taut.errors import UserError
    from taut.tasks.denoising import learner, load_denoiser

    calls = []

    def interrupting(*_: object) -> None:
        calls.append(1)
        if len(calls) == 7:
            signal.raise_signal(signal.SIGTERM)

    whole, parts, again = tmp_path / "whole", tmp_path / "parts", tmp_path / "again"
    options = ["denoise", *TINY, "--beside", "none", "--ema", "0.9", "--activation", "linear-spline"]
    options += ["--data-root", str(pictures)]
    assert taut("train", *options, "--out", whole).code == 0
    with monkeypatch.context() as patch:
        patch.setattr(learner, "project_", interrupting)
        assert taut("train", *options, "--out", parts).code == 143
    assert taut("train", "--resume", parts).code == 0
    assert taut("train", whole / "config.json", "--out", again).code == 0
    for name in ("model.safetensors", "folded.safetensors", "evaluation.safetensors", "activations.safetensors"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes() == (again / name).read_bytes(), name
    assert result(whole)["sets"]["test"]["unconstrained"] is None
    with pytest.raises(UserError, match="was trained with --beside none"):
        load_denoiser(whole, unconstrained=True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["denoise"], "bsd is read from files: give --data-root DIR or set TAUT_DATA_ROOT"),
        (["denoise", "--budget", "huge"], "--budget must be one of small, full, got 'huge'"),
        (["digits", "--budget", "full"], "the recipe digits has one size: --budget is for denoise"),
        (["denoise", *TINY, "--patch-size", "14"], r"patch-size 14 is larger than the training picture 1 (12x12)"),
        (["denoise", "--patch-size", "13"], "patch-size must be a multiple of downsampling, 2, got 13"),
        (["denoise", "--sigma", "0"], "sigma must be in (0, 255], in units of 1/255, got 0"),
        (["denoise", "--averaging", "1.5"], "averaging must be in (0, 1], got 1.5"),
        (["denoise", *TINY, "--activation", "group-sort", "--group-size", "5"], "cannot build the denoiser: "),
    ],
)
def test_what_cannot_be_is_one_sentence(taut, pictures, tmp_path, monkeypatch, arguments, sentence: str) -> None:
    monkeypatch.delenv("TAUT_DATA_ROOT", raising=False)
    root = ["--data-root", pictures] if "--dataset" in arguments else []
    shown = taut("train", *arguments, *root, "--out", tmp_path / "run")
    assert shown.code in (1, 2)
    assert sentence in shown.err
    assert len(shown.err.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_the_published_sizes_are_one_option_away() -> None:
    from taut.recipes import recipe

    full, small = recipe("denoise", "full"), recipe("denoise")
    assert (full.model.depth, full.model.width, full.model.knots, full.model.spline_range) == (8, 64, 51, 0.1)
    assert (full.model.activation, full.data.batch_size) == ("linear-spline", 128)
    assert recipe("denoise", "small") == small != full


def test_sizes_are_told_by_the_help(taut) -> None:
    shown = taut("train", "--help")
    assert "--budget" in shown.out
    assert "of a recipe that has several:\n                   denoise, " in shown.out
    assert taut("train", "denoise", "--budget", "full", "--help").out.count("linear-spline") >= 1
