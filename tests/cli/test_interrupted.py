"""Runs that are stopped, killed or damaged; and runs of two processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch


def weights(run: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(run / "model.safetensors")


def same(first: Path, second: Path) -> bool:
    mine, theirs = weights(first), weights(second)
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def steps(run: Path) -> list[tuple[str, int]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(line["kind"], line["step"]) for line in lines]


DIE_WHILE_SAVING = """
import os, signal
from taut.training import checkpoint
saves, write = [], checkpoint.write_bytes
def dying(path, content):
    saves.append(path)
    if len(saves) == 8:  # the second file of the third checkpoint
        path.write_bytes(content[:len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, content)
checkpoint.write_bytes = dying
"""


def test_a_killed_run_goes_on_to_the_same_weights(taut, tiny, finished, no_report, program, tmp_path: Path) -> None:
    out = tmp_path / "run"
    child = program(["train", "digits", *tiny, "--checkpoint-seconds", "0", "--out", out], prelude=DIE_WHILE_SAVING)
    child.communicate(timeout=120)
    assert child.returncode == -signal.SIGKILL
    assert len(list((out / "checkpoints").iterdir())) == 2
    assert not (out / "result.json").exists()
    before = len(steps(out))
    assert before > 0
    shown = taut("train", "--resume", out)
    assert (shown.code, shown.err) == (0, "")
    assert same(out, finished)
    assert steps(out) == steps(finished)
    result, expected = (json.loads((run / "result.json").read_text()) for run in (out, finished))
    assert [result[key] for key in ("accuracy", "certified", "attacked")] == [
        expected[key] for key in ("accuracy", "certified", "attacked")
    ]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_how_to_go_on_and_does(
    taut, tiny, finished, no_report, tmp_path: Path, monkeypatch, number: signal.Signals, code: int
) -> None:
    from taut.training import supervised

    calls = []

    def interrupting(model: torch.nn.Module) -> None:
        calls.append(model)
        if len(calls) == 7:
            signal.raise_signal(number)

    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(supervised, "project_", interrupting)
        shown = taut("train", "digits", *tiny, "--out", out)
    assert shown.code == code
    assert shown.err == f"taut: interrupted; continue with: taut train --resume {out}\n"
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["000000007"]
    shown = taut("evaluate", out)
    assert (shown.code, "has no final weights yet" in shown.err) == (1, True)
    assert taut("train", "--resume", out).code == 0
    assert same(out, finished)
    assert steps(out) == steps(finished)


def test_a_run_stopped_in_its_evaluation_is_not_trained_again(
    taut, tiny, finished, no_report, tmp_path: Path, monkeypatch
):
    from taut.tasks.classification import measure

    def interrupted(*arguments, **options):
        signal.raise_signal(signal.SIGINT)

    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(measure, "attacked", interrupted)
        shown = taut("train", "digits", *tiny, "--out", out)
    assert shown.code == 130
    assert "--resume" in shown.err
    lines = (out / "metrics.jsonl").read_text()
    assert taut("train", "--resume", out).code == 0
    assert (out / "metrics.jsonl").read_text() == lines
    assert same(out, finished)


def test_resuming_a_finished_run_shows_its_table(taut, finished: Path) -> None:
    shown = taut("train", "--resume", finished)
    assert shown.code == 0
    assert "finished before" in shown.out


def test_resuming_does_not_change_what_is_trained(taut, finished: Path) -> None:
    shown = taut("train", "--resume", finished, "--lr", "1")
    assert shown.code == 2
    assert "--resume continues a run as it was begun" in shown.err


def test_a_damaged_checkpoint_is_refused(taut, finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    (run / "result.json").unlink()
    (path,) = (run / "checkpoints").glob("*/model.safetensors")
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    shown = taut("train", "--resume", run)
    assert shown.code == 1
    assert "is damaged (model.safetensors does not match its checksum)" in shown.err
    assert shown.err.count("\n") == 1


def test_damaged_weights_of_a_finished_run_are_refused(taut, finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    path = run / "folded.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    shown = taut("evaluate", run)
    assert shown.code == 1
    assert "folded.safetensors is damaged" in shown.err


def test_diverging_training_is_one_sentence(taut, tiny, tmp_path: Path) -> None:
    options = [*tiny, "--optimizer", "sgd", "--lr", "1e38", "--linear", "unit-norm", "--warmup", "0"]
    shown = taut("train", "digits", *options, "--out", tmp_path / "run")
    assert shown.code == 1
    assert "training diverged" in shown.err
    assert shown.err.count("\n") == 1
    assert not (tmp_path / "run" / "result.json").exists()


RANKS_APART = """
import safetensors.torch, torch
from taut.training import loop
run = loop._Loop.run
def watched(self, reporter, interruption):
    run(self, reporter, interruption)
    mine = {name: tensor.clone() for name, tensor in self.learner.model.state_dict().items()}
    safetensors.torch.save_file(mine, str(self.folder.path) + f".rank{self.fabric.global_rank}")
loop._Loop.run = watched
"""


CENTRED = ["--architecture", "liresnet", "--channels", "4", "--blocks", "1", "--width", "8", "--depth", "1"]
"""Of a network with running means, on top of those of a tiny run."""
PROCESSES = ["--devices", "2", "--strategy", "ddp"]


def together(script: Path, prelude: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """`taut ARGUMENTS` in processes of its own, each of which runs `prelude` first."""
    script.write_text(f"import sys\nfrom taut.cli import main\n{prelude}\nsys.exit(main())\n")
    return subprocess.run(
        [sys.executable, str(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
        start_new_session=True,
    )


def test_two_processes_train_as_one(taut, tiny, no_report, tmp_path: Path) -> None:
    """Same parameters and running means on both ranks, and those of a single process within rounding."""
    out, alone = tmp_path / "two", tmp_path / "one"
    options = [*tiny, *CENTRED, "--linear", "cayley", "--augment-shift", "1", "--attack-samples", "0", "--epochs", "1"]
    shown = together(tmp_path / "two.py", RANKS_APART, "train", "digits", *options, *PROCESSES, "--out", out)
    assert shown.returncode == 0, shown.stderr
    ranks = [safetensors.torch.load_file(f"{out}.rank{rank}") for rank in (0, 1)]
    assert all(torch.equal(ranks[0][name], ranks[1][name]) for name in ranks[0])
    assert any(name.endswith("running_mean") for name in ranks[0])
    assert shown.stdout.count("held-out samples") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["two", "two.py", "two.rank0", "two.rank1"]
    assert taut("train", "digits", *options, "--out", alone).code == 0
    single = weights(alone)
    for name, tensor in single.items():
        # Adam divides by the root of the second moment, so that rounding of tiny gradients shows at full size.
        assert torch.allclose(ranks[0][name], tensor, atol=1e-4), name


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_two_processes_that_are_killed_go_on_to_the_same_weights(tiny, precision: str, tmp_path: Path) -> None:
    """Parts of batches, averages, lookahead and augmentation too."""
    options = [*tiny, *CENTRED, *PROCESSES, "--precision", precision, "--accumulate", "2", "--ema", "0.9"]
    options += ["--lookahead", "3", "--augment-shift", "1", "--augment-flip", "--attack-samples", "0"]
    whole, killed, script = tmp_path / "whole", tmp_path / "killed", tmp_path / "two.py"
    shown = together(script, RANKS_APART, "train", "digits", *options, "--out", whole)
    assert shown.returncode == 0, shown.stderr
    ranks = [safetensors.torch.load_file(f"{whole}.rank{rank}") for rank in (0, 1)]
    assert all(torch.equal(ranks[0][name], ranks[1][name]) for name in ranks[0])
    dying = DIE_WHILE_SAVING.replace("os.kill(os.getpid(), ", "os.killpg(0, ")
    shown = together(script, dying, "train", "digits", *options, "--checkpoint-seconds", "0", "--out", killed)
    assert shown.returncode == -signal.SIGKILL
    assert not (killed / "result.json").exists()
    assert len(steps(killed)) > 0
    shown = together(script, "", "train", "--resume", killed)
    assert shown.returncode == 0, shown.stderr
    assert same(killed, whole)
    assert steps(killed) == steps(whole)
