"""Training stops and goes on without a trace in the weights, logs what happened, and stops at infinities."""

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from taut.errors import UserError
from taut.training import supervised as module
from taut.training.augment import Augmentation
from taut.training.checkpoint import load_checkpoint
from taut.training.engine import EngineConfig
from taut.training.interrupt import Interrupted, interruptible
from taut.training.loop import _summary
from taut.training.optimizers import OptimizerConfig
from taut.training.run_folder import RunFolder
from taut.training.supervised import Job, fit

STEPS = 15  # 3 epochs of 5 batches of 4
ENGINE = EngineConfig(accelerator="cpu", log_every=3, checkpoint_seconds=1e9)


def objective(model: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
    inputs, targets = batch
    return {"loss": (model(inputs) - targets).square().mean(), "first": inputs.flatten()[0]}


def make_job(**changes) -> Job:
    """A network with dropout, so that torch's global random numbers matter; one sample more than fills the batches."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(9, 6), nn.Dropout(0.5), nn.Linear(6, 1))
    generator = torch.Generator().manual_seed(1)
    tensors = (torch.rand(21, 1, 3, 3, generator=generator), torch.rand(21, 1, generator=generator))
    job = Job(
        model=model,
        tensors=tensors,
        data="the data",
        objective=objective,
        optimizer=OptimizerConfig(epochs=3, lr=0.05),
        batch_size=4,
        seed=5,
    )
    return replace(job, **changes)


def run(job: Job, path: Path, *, engine: EngineConfig = ENGINE, resume: bool = False) -> dict[str, Tensor]:
    path.mkdir(exist_ok=True)
    folder = RunFolder(path)
    fabric = Fabric(accelerator="cpu", devices=1)
    checkpoint = load_checkpoint(folder.checkpoints) if resume else None
    with interruptible() as interruption:
        fitted = fit(job, fabric=fabric, engine=engine, folder=folder, interruption=interruption, resume=checkpoint)
    return {name: tensor.clone() for name, tensor in fitted.model.state_dict().items()}


def at_step(monkeypatch: pytest.MonkeyPatch, number: int, action: Callable[[], None]) -> None:
    """Call `action` in the middle of update `number`, counted from 1."""
    calls = []

    def project(model: nn.Module) -> None:
        calls.append(model)
        if len(calls) == number:
            action()

    monkeypatch.setattr(module, "project_", project)


def lines(path: Path) -> list[dict]:
    timing = ("seconds", "examples_per_second")
    read = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in timing} for line in read]


SETTINGS = {
    "plain": {},
    "average and shift": {
        "optimizer": OptimizerConfig(epochs=3, lr=0.05, ema=0.9),
        "augmentation": Augmentation(shift=1, flip=True),
    },
    "equal average and lookahead": {"optimizer": OptimizerConfig(epochs=3, lr=0.05, swa=0.5, lookahead=3)},
    "nesterov": {"optimizer": OptimizerConfig(optimizer="nesterov", epochs=3, lr=0.05, schedule="one-cycle")},
}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("stop", [1, 4, 10, 15])
def test_a_signal_ends_the_step_and_the_run_goes_on_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, number: signal.Signals, stop: int
) -> None:
    whole = run(make_job(**SETTINGS[setting]), tmp_path / "whole")
    at_step(monkeypatch, stop, lambda: signal.raise_signal(number))
    with pytest.raises(Interrupted) as stopped:
        run(make_job(**SETTINGS[setting]), tmp_path / "parts")
    assert stopped.value.exit_code == 128 + number
    saved = load_checkpoint(tmp_path / "parts" / "checkpoints")
    assert saved is not None
    assert saved.counters.step == stop
    monkeypatch.undo()
    torch.manual_seed(999)
    parts = run(make_job(**SETTINGS[setting]), tmp_path / "parts", resume=True)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert lines(tmp_path / "parts") == lines(tmp_path / "whole")


def test_what_is_evaluated_is_the_average(tmp_path: Path) -> None:
    seen: list[torch.Tensor] = []

    def validate(model: nn.Module) -> dict[str, float]:
        seen.append(next(model.parameters()).detach().clone())
        return {"accuracy": 0.0}

    averaged = run(make_job(**SETTINGS["average and shift"], validate=validate), tmp_path / "run")
    last = load_checkpoint(tmp_path / "run" / "checkpoints")
    assert last is not None
    name = next(iter(averaged))
    assert not torch.equal(averaged[name], last.model[name])
    assert torch.equal(averaged[name], last.trainer[f"average.model.{name}"])
    assert torch.equal(seen[-1], averaged[name])


def test_two_signals_stop_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    at_step(monkeypatch, 2, twice)
    with pytest.raises(Interrupted):
        run(make_job(), tmp_path / "run")
    assert load_checkpoint(tmp_path / "run" / "checkpoints") is None


def test_handlers_are_put_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    run(make_job(), tmp_path / "run")
    assert signal.getsignal(signal.SIGINT) is before


def test_what_is_logged_is_what_happened(tmp_path: Path) -> None:
    seen: list[float] = []

    def watched(model: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        metrics = objective(model, batch)
        seen.append(float(metrics["loss"].detach()))
        return metrics

    job = make_job(objective=watched, validate=lambda _: {"accuracy": 0.5}, validate_every=2)
    run(job, tmp_path / "run")
    logged = lines(tmp_path / "run")
    training = [line for line in logged if line["kind"] == "train"]
    assert [line["step"] for line in training] == [3, 5, 8, 10, 13, 15]
    assert [line["epoch"] for line in training] == [1, 1, 2, 2, 3, 3]
    start = 0
    for line in training:
        assert line["loss"] == pytest.approx(sum(seen[start : line["step"]]) / (line["step"] - start), rel=1e-6)
        start = line["step"]
    assert [line["epoch"] for line in logged if line["kind"] == "valid"] == [2, 3]


@pytest.mark.parametrize("step", [1, 2, 7])
def test_a_loss_that_is_not_finite_is_reported_with_its_step(tmp_path: Path, step: int) -> None:
    count = []

    def poisoned(model: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        count.append(1)
        metrics = objective(model, batch)
        return metrics | {"loss": metrics["loss"] * (float("nan") if len(count) == step else 1.0)}

    engine = replace(ENGINE, checkpoint_seconds=0.0)
    with pytest.raises(UserError, match=f"training diverged: loss is nan at step {step} of 15") as refusal:
        run(make_job(objective=poisoned), tmp_path / "run", engine=engine)
    assert "\n" not in str(refusal.value)
    assert ("checkpoint is kept" in str(refusal.value)) == (step > 3)
    kept = load_checkpoint(tmp_path / "run" / "checkpoints")
    assert (kept is None) == (step <= 3)
    if kept is not None:
        assert kept.counters.step < step
        assert all(bool(torch.isfinite(tensor).all()) for tensor in kept.model.values())


def test_a_held_out_loss_that_is_not_finite_ends_the_run_too(tmp_path: Path) -> None:
    found = iter([0.5, float("inf")])
    job = make_job(validate=lambda model: {"loss": next(found)})
    with pytest.raises(UserError, match=r"training diverged: held-out loss is inf at step 10 of 15 \(.*smaller --lr\)"):
        run(job, tmp_path / "run")
    assert [line["step"] for line in lines(tmp_path / "run") if line["kind"] == "valid"] == [5]


def test_a_figure_that_is_not_a_number_is_left_out_of_the_line() -> None:
    assert _summary({"loss": None, "accuracy": 0.5}) == "accuracy 0.5"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_in_a_destructor_is_not_lost() -> None:
    class Thing:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted) as stop:
        interrupted_by(Thing)
    assert stop.value.exit_code == 128 + signal.SIGTERM


def interrupted_by(thing: type) -> None:
    with interruptible():
        made = thing()
        del made


def test_a_run_does_not_go_on_with_other_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_step(monkeypatch, 4, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(Interrupted):
        run(make_job(), tmp_path / "run")
    monkeypatch.undo()
    with pytest.raises(UserError, match="not those that .* was started with"):
        run(make_job(data="other data"), tmp_path / "run", resume=True)


def test_layers_that_are_constrained_by_projection_are_projected(tmp_path: Path) -> None:
    from taut import nn as tnn

    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), tnn.ParsevalLinear(9, 6), nn.Linear(6, 1))
    run(make_job(model=model), tmp_path / "run")
    values = torch.linalg.svdvals(model[1].weight.detach())
    assert 0.9 < float(values.min()) <= float(values.max()) < 1.05


def test_what_is_returned_is_projected_exactly(tmp_path: Path) -> None:
    from taut import nn as tnn

    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), tnn.ParsevalLinear(9, 6), nn.Linear(6, 1))
    optimizer = OptimizerConfig(epochs=3, lr=0.3, ema=0.5)
    weight = run(make_job(model=model, optimizer=optimizer), tmp_path / "run")["1.weight"]
    assert float((torch.linalg.svdvals(weight) - 1).abs().max()) < 1e-6
