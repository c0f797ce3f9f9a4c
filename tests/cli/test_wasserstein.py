"""`taut train` of Wasserstein runs: the bracket, resuming, replaying, mistakes."""

import json
import signal
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

TINY = ["--width", "8", "--depth", "1", "--epochs", "2", "--steps-per-epoch", "10", "--batch-size", "16"]
TINY += ["--samples", "200", "--transport-samples", "100", "--log-every", "4", "--accelerator", "cpu"]


def result(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())


def test_a_run_leaves_a_bracket_and_a_critic(taut, no_report, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shown = taut("train", "absolute-value", *TINY, "--out", out)
    assert shown.code == 0
    assert "proven Lipschitz constant of the critic" in shown.out
    found = result(out)
    assert found["truth"] == 1.0
    assert found["lower"] < found["estimate"] <= 1.0 + 1e-6
    assert found["upper"] >= found["transport"]
    assert found["beside"]["activation"] == "relu"
    tensors = safetensors.torch.load_file(out / "evaluation.safetensors")
    assert float(tensors["p_values"].mean() - tensors["q_values"].mean()) == pytest.approx(found["estimate"], abs=1e-12)
    assert tensors["grid"].shape == (len(tensors["grid_values"]), 1)
    assert {line["kind"] for line in map(json.loads, (out / "metrics.jsonl").read_text().splitlines())} == {
        "train",
        "valid",
    }


def test_the_critic_that_is_read_back_has_the_values_that_were_measured(taut, no_report, tmp_path: Path) -> None:
    from taut.tasks.wasserstein import load_network

    out = tmp_path / "run"
    options = ["--p", "gaussian([100, 3], std=20)", "--q", "gaussian([150, 3], std=20)"]
    assert taut("train", "wasserstein", *TINY, *options, "--out", out).code == 0
    critic, shape = load_network(out)
    tensors, found = safetensors.torch.load_file(out / "evaluation.safetensors"), result(out)
    assert shape == (2,)
    values = critic(tensors["p_samples"]).squeeze(1) / found["lipschitz_bound"]
    assert torch.allclose(values, tensors["p_values"][: len(values)], rtol=1e-12)
    assert found["truth"] == 50.0
    assert 10 < found["estimate"] < 60
    audited = json.loads(taut("audit", out, "--json", "--no-search").out)
    assert audited["bound"] == pytest.approx(found["lipschitz_bound"], rel=1e-12)


def test_an_interrupted_run_ends_as_if_it_had_not_been(taut, no_report, tmp_path: Path, monkeypatch) -> None:
    from taut.tasks.wasserstein import learner

    calls = []

    def interrupting(*_) -> None:
        calls.append(1)
        if len(calls) == 7:
            signal.raise_signal(signal.SIGINT)

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    options = [*TINY, "--ema", "0.9"]
    assert taut("train", "absolute-value", *options, "--out", whole).code == 0
    with monkeypatch.context() as patch:
        patch.setattr(learner, "project_", interrupting)
        assert taut("train", "absolute-value", *options, "--out", parts).code == 130
    assert taut("train", "--resume", parts).code == 0
    assert (whole / "folded.safetensors").read_bytes() == (parts / "folded.safetensors").read_bytes()
    first, second = result(whole), result(parts)
    for varying in ("seconds", "command"):
        first.pop(varying), second.pop(varying)
    assert first == second
    assert "finished before" in taut("train", "--resume", parts).out
    for damaged in ('{"task": "wasserstein"', '{"task": "wasserstein"}'):
        (parts / "result.json").write_text(damaged)
        shown = taut("train", "--resume", parts)
        assert shown.code == 1
        assert f"{parts / 'result.json'} is damaged" in shown.err


def test_held_out_samples_are_those_of_every_seed_and_of_no_training(taut, no_report, tmp_path: Path) -> None:
    from dataclasses import replace

    from taut.recipes import recipe
    from taut.tasks.wasserstein.problem import read_problem

    config = recipe("wasserstein")
    config = replace(config, distributions=replace(config.distributions, p="digits", q="digits"))
    one, two = (read_problem(replace(config, seed=seed)) for seed in (0, 1))
    assert torch.equal(one.held_out[0], two.held_out[0])
    rows = {tuple(row) for row in one.held_out[0].flatten(1).tolist()}
    assert len(rows) > 400
    assert rows.isdisjoint(map(tuple, one.training[0].samples.flatten(1).tolist()))
    halves = replace(config.distributions, p="digits(split='train')", q="digits(split='test')", batch_size=64)
    parts = read_problem(replace(config, distributions=halves))
    held_out = {tuple(row) for side in parts.held_out for row in side.flatten(1).tolist()}
    assert all(held_out.isdisjoint(map(tuple, side.samples.flatten(1).tolist())) for side in parts.training)


@pytest.mark.parametrize(
    ("p", "q"), [("digits", "digits(split='test')"), ("mixture([digits, digits(split='train')])", "digits")]
)
def test_a_data_set_is_not_divided_in_two_ways(p: str, q: str) -> None:
    from dataclasses import replace

    from taut.errors import UsageError
    from taut.recipes import recipe
    from taut.tasks.wasserstein.problem import read_problem

    config = recipe("wasserstein")
    with pytest.raises(
        UsageError, match=r"^digits and digits\(split='.*'\) .* train on samples that are held out; write"
    ):
        read_problem(replace(config, distributions=replace(config.distributions, p=p, q=q, batch_size=8)))


def test_laws_that_float32_cannot_tell_apart_are_refused() -> None:
    from dataclasses import replace

    from taut.errors import UsageError
    from taut.recipes import recipe
    from taut.tasks.wasserstein.problem import read_problem

    config, place = recipe("wasserstein"), "points([[{}.0]])"
    for p, q in ((1, 2), (1001, 1002)):
        laws = replace(config.distributions, p=place.format(p), q=place.format(q))
        assert torch.equal(
            read_problem(replace(config, distributions=laws)).held_out[0][:1], torch.tensor([[float(p)]])
        )
    # 32 apart, but 64 in float32
    laws = replace(config.distributions, p=place.format(10**9 + 1), q=place.format(10**9 + 33))
    with pytest.raises(
        UsageError, match=r"64 wide and 1e\+09 from 0, where float32 numbers are 1\.2e\+02 apart: subtract"
    ):
        read_problem(replace(config, distributions=laws))


@pytest.mark.parametrize(
    "command",
    [
        ["train", "wasserstein", "--p", "gaussian([0, 0])", "--q", "gaussian([1, 0])"],
        ["train", "gan-digits"],
        ["reproduce", "wasserstein-table", "--dataset", "digits"],
    ],
)
def test_a_missing_transport_library_is_said_before_anything_is_trained(
    taut, tmp_path: Path, monkeypatch, command: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ot", None)
    shown = taut(*command, "--out", tmp_path / "run")
    assert shown.code == 1
    assert "pip install 'taut[transport]'" in shown.err
    assert shown.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_missing_package_of_the_command_line_is_one_sentence(taut, tmp_path: Path, monkeypatch) -> None:
    from taut.tasks import wasserstein

    def missing(*_, **__) -> None:
        raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")

    monkeypatch.setattr(wasserstein, "train", missing)
    shown = taut("train", "wasserstein", "--out", tmp_path / "run")
    assert shown.code == 1
    assert shown.err == 'taut: taut train needs the package matplotlib: pip install "taut[app]"\n'


def test_mistakes_are_one_sentence_and_leave_nothing(taut, tmp_path: Path) -> None:
    (tmp_path / "leaving.py").write_text("def draw(count, generator):\n    raise SystemExit(0)\n")
    mistakes = {
        ("--p", f"{tmp_path / 'leaving.py'}:draw"): "draw fails when asked for 2 samples: SystemExit",
        ("--q", "points([[0.0, 1.0]])"): "same shape",
        ("--p", "sphere([0])"): "unknown distribution 'sphere'",
        ("--p", str(tmp_path / "none.npy")): "none.npy",
        ("--p", "digits", "--q", "digits", "--batch-size", "5000"): "batch-size 5000 is larger than the 1347 samples",
        ("--linear", "linf"): "invalid choice",
        ("--critic", "conv"): "cannot build the critic",
        ("--confidence", "0.3"): "confidence must be in",
    }
    for options, reason in mistakes.items():
        shown = taut("train", "wasserstein", *options, "--out", tmp_path / "run")
        assert shown.code in (1, 2), options
        assert reason in shown.err.lower() or reason in shown.err, shown.err
        assert shown.err.count("\n") == 1, shown.err
        assert not (tmp_path / "run").exists()
