"""The exponent of distances follows from the step: a run that stops goes on the same, and ends at infinity."""

import itertools
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from taut import nn as tnn
from taut.errors import UsageError, UserError
from taut.training.checkpoint import load_checkpoint
from taut.training.engine import EngineConfig
from taut.training.interrupt import Interrupted, interruptible
from taut.training.optimizers import OptimizerConfig
from taut.training.relaxation import RelaxationConfig, check_relaxation, exponent
from taut.training.run_folder import RunFolder
from taut.training.supervised import Job, fit

RELAXATION = RelaxationConfig(p_start=4.0, p_end=40.0, p_hold=0.2, p_exact=0.2)
STEPS = 15  # 3 epochs of 5 batches of 4
SEEN: list[float] = []
WATCHED: list[float] = []


def exponents(model: nn.Module) -> list[float]:
    return [module.p for module in model.modules() if isinstance(module, tnn.LInfDistLinear)]


def objective(model: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
    inputs, targets = batch
    SEEN.append(exponents(model)[0])
    assert len(set(exponents(model))) == 1
    return {"loss": (model(inputs) - targets).square().mean()}


def watch(model: nn.Module) -> dict[str, float]:
    WATCHED.extend(exponents(model))
    return {}


def job(**changes) -> Job:
    torch.manual_seed(0)
    layers = [tnn.LInfDistLinear(9, 6, relaxation="soft"), tnn.BatchCentering(6), tnn.LInfDistLinear(6, 1)]
    generator = torch.Generator().manual_seed(1)
    made = Job(
        model=nn.Sequential(nn.Flatten(), *layers),
        tensors=(torch.rand(21, 9, generator=generator), torch.rand(21, 1, generator=generator)),
        data="the data",
        objective=objective,
        optimizer=OptimizerConfig(epochs=3, lr=0.05, ema=0.5),
        relaxation=RELAXATION,
        batch_size=4,
        seed=5,
        validate=watch,
    )
    return replace(made, **changes)


def run(made: Job, path: Path, *, resume: bool = False) -> nn.Module:
    path.mkdir(exist_ok=True)
    folder = RunFolder(path)
    engine = EngineConfig(accelerator="cpu", log_every=3, checkpoint_seconds=1e9)
    checkpoint = load_checkpoint(folder.checkpoints) if resume else None
    SEEN.clear()
    WATCHED.clear()
    with interruptible() as interruption:
        fabric = Fabric(accelerator="cpu", devices=1)
        return fit(
            made, fabric=fabric, engine=engine, folder=folder, interruption=interruption, resume=checkpoint
        ).model


def expected(step: int) -> float:
    """Geometric between the ends of the hold and of growth: 3 steps at 4, 9 from 4 to 40, 3 at infinity."""
    if step >= 12:
        return math.inf
    return 4.0 * 10.0 ** (max(0, step - 3) / 9)


def test_the_exponent_is_a_function_of_the_step_and_training_sees_it(tmp_path: Path) -> None:
    model = run(job(), tmp_path / "run")
    assert pytest.approx([expected(step) for step in range(STEPS)], rel=1e-6) == SEEN
    assert exponents(model) == [math.inf] * 2
    assert len(WATCHED) == 6
    assert set(WATCHED) == {math.inf}  # what is looked at is never relaxed, and training goes on as it was
    assert [exponent(step, STEPS, RelaxationConfig()) for step in (0, 14)] == [math.inf] * 2


@pytest.mark.parametrize("stop", [2, 7, 13])
def test_an_interrupted_run_ends_as_if_it_had_not_been(tmp_path: Path, stop: int) -> None:
    whole = run(job(), tmp_path / "whole").state_dict()

    def interrupted(model: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        if len(SEEN) == stop:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGTERM)
        return objective(model, batch)

    with pytest.raises(Interrupted):
        run(job(objective=interrupted), tmp_path / "parts")
    parts = run(job(), tmp_path / "parts", resume=True).state_dict()
    assert pytest.approx([expected(step) for step in range(stop + 1, STEPS)], rel=1e-6) == SEEN
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_without_a_share_for_infinity_what_is_evaluated_is_still_there(tmp_path: Path) -> None:
    model = run(job(relaxation=replace(RELAXATION, p_exact=0.0)), tmp_path / "run")
    assert max(SEEN) < math.inf
    assert exponents(model) == [math.inf] * 2


def test_what_cannot_be_meant_is_refused() -> None:
    for wrong in ({"p_start": 1.0}, {"p_start": 50.0, "p_end": 40.0}, {"p_start": 8.0, "p_end": math.inf}):
        with pytest.raises(UserError, match="2 <= start <= end < infinity"):
            RelaxationConfig(**wrong)
    for hold, share in itertools.product((-0.1, 0.6), (0.5, -0.2)):
        with pytest.raises(UserError, match="at most 1 together"):
            RelaxationConfig(p_hold=hold, p_exact=share)
    with pytest.raises(UsageError, match="p-start is for networks of distances"):
        check_relaxation(nn.Linear(2, 2), RELAXATION)
    check_relaxation(nn.Linear(2, 2), RelaxationConfig())
