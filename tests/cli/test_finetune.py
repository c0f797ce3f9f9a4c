"""Runs that start from runs: made orthonormal, trained on, replayed, resumed; small data and runs without a proof."""

import json
import shutil
import signal
from pathlib import Path

import pytest
import safetensors.torch
import torch

FEW = ["--linear", "bjorck", "--bjorck-steps", "1", "--head", "linear", "--per-class", "20", "--batch-size", "50"]
_TINY = ["--width", "16", "--depth", "1", "--log-every", "4", "--lr", "0.02", "--accelerator", "cpu"]
SHORT = ["--epochs", "1", "--attack-samples", "0"]


def result(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())


def weights(run: Path, name: str = "folded") -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(run / f"{name}.safetensors")


@pytest.fixture(scope="session")
def few_steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of one Björck step, with an unconstrained head, on twenty digits of each class."""
    from taut.cli import main
    from taut.tasks.classification import run

    path = tmp_path_factory.mktemp("few") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "report", lambda folder: folder.path / "report.html")
        assert main(["train", "digits", *_TINY, *FEW, *SHORT, "--out", str(path)]) == 0
    return path


def test_finetuning_makes_every_layer_orthogonal_and_keeps_what_it_came_from(
    taut, few_steps: Path, no_report, tmp_path: Path
) -> None:
    before = weights(few_steps)
    assert float(torch.linalg.svdvals(before["1.weight"].double())[-1]) < 0.999
    out = tmp_path / "fine"
    shown = taut("finetune", few_steps, "--orthonormal", *SHORT, "--lr", "1e-9", "--out", out)
    assert (shown.code, shown.err) == (0, "")
    after = weights(out)
    for name in ("1.weight", "3.weight"):
        free = weights(few_steps, "model").get(f"{name[0]}.parametrizations.weight.original", before[name])
        u, _, vh = torch.linalg.svd(free.double(), full_matrices=False)
        assert torch.allclose(after[name].double(), u @ vh, atol=1e-5), "the polar factor of the free weight"
    assert torch.allclose(after["1.bias"], before["1.bias"], atol=1e-6)
    start, old = result(out)["start"], result(few_steps)
    assert [start[key] for key in ("accuracy", "certified", "lipschitz_bound")] == [
        old[key] for key in ("accuracy", "certified", "lipschitz_bound")
    ]
    smallest = min(row["sigma_min"] for row in result(out)["layers"] if row["sigma_min"] is not None)
    assert start["sigma_min"] < 0.999 < smallest < 1.001
    assert f"started from {few_steps}\n" in shown.out
    config = json.loads((out / "config.json").read_text())["config"]
    assert (config["model"]["bjorck_steps"], config["model"]["head"]) == (0, "bjorck")
    assert config["start"]["start_from"] == str(few_steps)

    again = tmp_path / "again"
    assert taut("train", out / "config.json", "--out", again).code == 0
    assert all(torch.equal(after[name], tensor) for name, tensor in weights(again).items())


def test_any_run_trains_on_and_an_interrupted_one_needs_no_start(
    taut, few_steps: Path, no_report, tmp_path: Path, monkeypatch
) -> None:
    from taut.training import supervised

    source, whole, cut = tmp_path / "source", tmp_path / "whole", tmp_path / "cut"
    shutil.copytree(few_steps, source)
    options = ["--epochs", "2", "--attack-samples", "0", "--lr", "0.01", "--loss", "cross-entropy"]
    assert taut("finetune", source, *options, "--out", whole).code == 0
    calls = []

    def stopping(model: torch.nn.Module) -> None:
        calls.append(model)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(supervised, "project_", stopping)
        assert taut("finetune", source, *options, "--out", cut).code == 130
    shutil.rmtree(source)
    assert taut("train", "--resume", cut).code == 0
    assert all(torch.equal(weights(cut)[name], tensor) for name, tensor in weights(whole).items())
    assert "start" not in result(cut)


def test_what_cannot_be_a_start_is_refused_before_anything_is_written(taut, few_steps: Path, tmp_path: Path) -> None:
    out, changed = tmp_path / "none", tmp_path / "changed"

    def refusal(*arguments: object) -> str:
        shown = taut(*arguments, "--out", out)
        assert shown.code == 2, shown
        assert not out.exists()
        return shown.err

    assert "other layers or sizes" in refusal("finetune", few_steps, "--width", "8")
    assert "is not a run folder" in refusal("finetune", tmp_path)
    assert "give the RUN before the options" in refusal("finetune", "--orthonormal", few_steps)
    shutil.copytree(few_steps, changed)
    tensors = weights(changed, "model")
    safetensors.torch.save_file({name: tensor + 1 for name, tensor in tensors.items()}, changed / "model.safetensors")
    config = json.loads((few_steps / "config.json").read_text())
    from taut.tasks.classification.start import weights_hash
    from taut.training.run_folder import RunFolder

    config["config"]["start"] = {"start_from": str(changed), "start_sha256": weights_hash(RunFolder(few_steps))}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert "they have changed" in refusal("train", tmp_path / "config.json")


def test_a_part_of_the_data_is_kept_with_the_run_and_can_be_given_again(
    taut, tiny, few_steps: Path, no_report, tmp_path: Path
) -> None:
    kept = json.loads((few_steps / "train_index.json").read_text())
    assert torch.tensor(kept["labels"]).bincount().tolist() == [20] * 10
    out = tmp_path / "given"
    options = [*tiny, "--linear", "bjorck", "--bjorck-steps", "1", "--head", "linear", "--batch-size", "50", *SHORT]
    assert taut("train", "digits", *options, "--index-file", few_steps / "train_index.json", "--out", out).code == 0
    assert all(torch.equal(weights(out)[name], tensor) for name, tensor in weights(few_steps).items())
    shown = taut("evaluate", few_steps, "--split", "train", "--json")
    assert json.loads(shown.out)["samples"] == 200


def test_a_run_without_a_proof_says_so_everywhere(taut, tiny, tmp_path: Path) -> None:
    out = tmp_path / "plain"
    plain = ["--linear", "linear", "--head", "linear", "--activation", "relu", "--dropout", "0.5"]
    shown = taut("train", "digits", *tiny, *plain, "--no-certify", "--epochs", "1", "--out", out)
    assert (shown.code, shown.err) == (0, "")
    assert "not certified" in shown.out
    assert "proven" not in shown.out
    figures = result(out)
    assert (figures["certified"], figures["lipschitz_bound"], figures["layers"]) == ({}, None, [])
    assert set(figures["attacked"]) == {"0.1", "0.25", "0.5", "0.75", "1"}
    assert not (out / "certificate.json").exists()
    assert "certified_estimate" not in (out / "metrics.jsonl").read_text()
    page = (out / "report.html").read_text()
    assert "not certified" in page
    assert "Proven" not in page.split("<body")[1].split("footer")[0]
    assert not safetensors.torch.load_file(out / "evaluation.safetensors")["radius"].any()
