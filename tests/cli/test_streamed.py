"""Runs on pictures that stay in their files: phases of resolution, reading back, attacks, finetuning, resuming."""

import json
import signal
from pathlib import Path

import pytest
import safetensors.torch
import torch

CLASSES = 3
NETWORK = ["--architecture", "cifar-resnet-20", "--channels", "2"]
SMALL = [
    *NETWORK, "--batch-size", "6", "--log-every", "2", "--workers", "0", "--accelerator", "cpu",
    "--attack-samples", "4", "--attack-steps", "2", "--attack-restarts", "1", "--radii", "0.1",
]  # fmt: skip


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight training pictures and two held-out ones of each of three classes."""
    from taut.testing.picture_folder import write_picture_folder

    root = tmp_path_factory.mktemp("pictures")
    write_picture_folder(root, classes=CLASSES, train=8, val=2, sizes=(20, 30))
    return root


def train(taut, pictures: Path, out: Path, *more: str):
    options = ["--data-root", pictures, *SMALL, "--epochs", "2", "--phases", "0:12:6,0.5:16:3", "--out", out, *more]
    return taut("train", "cifar10-resnet", *options)


@pytest.fixture
def run(taut, pictures: Path, no_report, tmp_path: Path) -> Path:
    shown = train(taut, pictures, tmp_path / "run")
    assert (shown.code, shown.err) == (0, "")
    return tmp_path / "run"


def lines(run: Path, kind: str) -> list[dict]:
    return [
        line for text in (run / "metrics.jsonl").read_text().splitlines() if (line := json.loads(text))["kind"] == kind
    ]


def weights(run: Path, name: str = "model") -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(run / f"{name}.safetensors")


def test_a_streamed_run_is_read_back_attacked_and_trained_on(taut, run: Path, pictures: Path, tmp_path: Path) -> None:
    figures = json.loads((run / "result.json").read_text())
    assert figures["held_out"]["samples"] == 2 * CLASSES
    assert (figures["samples"], figures["lipschitz_bound"]) == (4, None)
    assert json.loads((run / "classes.json").read_text())["classes"] == [f"class_{i:04d}" for i in range(CLASSES)]
    trained = lines(run, "train")
    assert trained[-1]["step"] == 24 // 6 + 24 // 3
    assert trained[-1]["finite_difference"] > 0

    shown = taut("evaluate", run, "--json")
    assert (shown.code, json.loads(shown.out)["accuracy"]) == (0, figures["accuracy"])
    assert taut("attack", run, "--attack", "fgsm", "--eps", "0.05", "--accelerator", "cpu").code == 0
    assert (run / "attacks" / "fgsm-l2" / "result.json").is_file()

    fine = tmp_path / "fine"
    shown = taut("finetune", run, "--epochs", "1", "--lr", "1e-9", "--phases", "0:20", "--out", fine)
    assert (shown.code, shown.err) == (0, "")
    start = json.loads((fine / "result.json").read_text())["start"]
    assert (start["run"], start["accuracy"]) == (str(run), figures["accuracy"])
    before, after = weights(run), weights(fine)
    moved = max(float((after[name] - before[name]).abs().max()) for name in before if name.endswith("weight"))
    assert moved < 1e-6, "trained on from the weights of the run, on larger pictures"


def test_finetuning_refuses_other_classes_and_lost_ones(taut, run: Path, tmp_path: Path) -> None:
    from taut.testing.picture_folder import write_picture_folder

    write_picture_folder(tmp_path / "other", classes=CLASSES + 1, train=3, val=1)
    out = tmp_path / "none"
    shown = taut("finetune", run, "--data-root", tmp_path / "other", "--out", out)
    assert (shown.code, out.exists()) == (2, False)
    assert "was trained on other classes" in shown.err
    (run / "classes.json").unlink()
    shown = taut("finetune", run, "--out", out)
    assert (shown.code, out.exists()) == (1, False)
    assert "classes.json" in shown.err
    assert "Traceback" not in shown.err


def test_an_interrupted_run_ends_with_the_same_weights(
    taut, run: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from taut.training import supervised

    calls = []

    def stopping(model: torch.nn.Module) -> None:
        calls.append(model)
        if len(calls) == 6:  # in the second phase
            signal.raise_signal(signal.SIGINT)

    cut = tmp_path / "cut"
    with monkeypatch.context() as patch:
        patch.setattr(supervised, "project_", stopping)
        assert train(taut, pictures, cut).code == 130
    assert not (cut / "result.json").exists()
    assert taut("train", "--resume", cut).code == 0
    whole, again = weights(run), weights(cut)
    assert all(torch.equal(again[name], tensor) for name, tensor in whole.items())
