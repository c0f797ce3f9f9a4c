"""Schedules by fractions, clipping and what it logs, projection by update and by epoch, in the loop and outside."""

import itertools
import json
import math
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from taut import nn as tnn
from taut.errors import UsageError
from taut.training.engine import EngineConfig
from taut.training.interrupt import interruptible
from taut.training.metrics import Meter
from taut.training.optimizers import OptimizerConfig, learning_rate
from taut.training.run_folder import RunFolder
from taut.training.serialise import from_plain, to_plain
from taut.training.supervised import Job, fit
from taut.training.updates import UpdateConfig, clipped


def rates(**options) -> list[float]:
    config = OptimizerConfig(lr=2.0, warmup=0.0, **options)
    return [learning_rate(step, 1000, config) for step in range(1000)]


def test_exponential_falls_by_the_same_factor_each_step_and_by_decay_in_all() -> None:
    found = rates(schedule="exponential", schedule_factor=0.01)
    factors = [after / before for before, after in itertools.pairwise(found)]
    assert max(factors) - min(factors) < 1e-12
    assert found[0] == 2.0
    assert found[-1] * factors[0] == pytest.approx(0.02, rel=1e-9)


def test_piecewise_is_constant_between_its_fractions() -> None:
    found = rates(schedule="piecewise", pieces=((0.25, 0.5), (0.5, 3.0), (0.9, 0.0)))
    assert [found[step] for step in (0, 249, 250, 499, 500, 899, 900, 999)] == [2, 2, 1, 1, 6, 6, 0, 0]
    assert len(set(found)) == 4
    config = OptimizerConfig(schedule="piecewise", pieces=((0.25, 0.5), (0.5, 0.1)))
    assert from_plain(OptimizerConfig, to_plain(config), source="it") == config


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: OptimizerConfig(pieces=()), "pieces need fractions"),
        (lambda: OptimizerConfig(pieces=((0.5, 0.1), (0.5, 0.2))), "that rise"),
        (lambda: OptimizerConfig(pieces=((1.0, 0.1),)), "pieces need fractions of the run in"),
        (lambda: OptimizerConfig(pieces=((0.5, -0.1),)), "factors that are not negative"),
        (lambda: UpdateConfig(clip=-1.0), "clip must be a number that is not negative, got -1"),
        (lambda: UpdateConfig(clip_value=math.nan), "clip-value must be"),
        (lambda: UpdateConfig(clip=1.0, clip_value=1.0), "give one of clip and clip-value"),
    ],
)
def test_what_cannot_be_meant_is_refused(make, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        make()


@pytest.mark.parametrize("precision", ["32-true", "64-true"])
def test_clipping_scales_or_cuts_and_returns_the_norm_before(precision) -> None:
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
    raw = nn.Linear(2, 1)
    network, optimizer = fabric.setup(raw, torch.optim.SGD(raw.parameters(), lr=1.0))

    def gradients(config: UpdateConfig) -> tuple[list[float], dict]:
        raw.weight.grad = torch.tensor([[3.0, 0.0]], dtype=raw.weight.dtype)
        raw.bias.grad = torch.tensor([-4.0], dtype=raw.weight.dtype)
        found = clipped(fabric, network, optimizer, config)
        return [*raw.weight.grad.flatten().tolist(), *raw.bias.grad.tolist()], found

    values, metrics = gradients(UpdateConfig(clip=2.5))
    assert values == pytest.approx([1.5, 0.0, -2.0], rel=1e-5)
    assert float(metrics["gradient_norm"]) == 5.0
    values, metrics = gradients(UpdateConfig(clip=100.0))
    assert values == [3.0, 0.0, -4.0], "shorter gradients are not made longer"
    values, metrics = gradients(UpdateConfig(clip_value=3.5))
    assert values == [3.0, 0.0, -3.5]
    assert float(metrics["gradient_norm"]) == 5.0
    assert gradients(UpdateConfig()) == ([3.0, 0.0, -4.0], {})
    Meter(1, "cpu").add(metrics)  # it is logged as any other


class Watched(nn.Linear):
    """Notes when it is projected, and by how much it had left its set."""

    def __init__(self) -> None:
        super().__init__(2, 2)
        self.calls: list[bool] = []

    @torch.no_grad()
    def project_(self, *, exact: bool = False) -> None:
        self.calls.append(exact)
        self.weight.clamp_(-0.1, 0.1)


def trained(tmp_path: Path, **options) -> Watched:
    torch.manual_seed(0)
    model = Watched()
    job = Job(
        model=model,
        tensors=(torch.rand(12, 2), torch.zeros(12, dtype=torch.int64)),
        data="these",
        objective=lambda network, batch: {"loss": nn.functional.cross_entropy(network(batch[0]), batch[1])},
        optimizer=OptimizerConfig(epochs=3, lr=0.5, optimizer="sgd", schedule="constant"),
        updates=UpdateConfig(**options),
        batch_size=4,
        seed=0,
    )
    fabric = Fabric(accelerator="cpu", devices=1)
    folder = RunFolder(tmp_path)
    with interruptible() as interruption:
        fit(job, fabric=fabric, engine=EngineConfig(), folder=folder, interruption=interruption)
    return model


def state_after(tmp_path: Path, name: str, *, batch: int = 6, **options) -> list[torch.Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(tnn.BjorckLinear(2, 4), tnn.MaxMin(), nn.Linear(4, 2)).double()
    generator = torch.Generator().manual_seed(0)
    job = Job(
        model=model,
        tensors=(torch.rand(21, 2, dtype=torch.float64, generator=generator), torch.arange(21) % 2),
        data="these",
        objective=lambda network, pair: {"loss": nn.functional.cross_entropy(network(pair[0]), pair[1])},
        optimizer=OptimizerConfig(epochs=2, lr=0.05),
        updates=UpdateConfig(**options),
        batch_size=batch,
        seed=0,
    )
    (tmp_path / name).mkdir()
    fabric = Fabric(accelerator="cpu", devices=1, precision="64-true")
    with interruptible() as interruption:
        folder = RunFolder(tmp_path / name)
        fit(job, fabric=fabric, engine=EngineConfig(log_every=1), folder=folder, interruption=interruption)
    return [p.detach().clone() for p in model.parameters()]


@pytest.mark.parametrize(("batch", "parts"), [(6, 2), (6, 3), (7, 3), (6, 100)])
def test_parts_of_a_batch_make_the_update_of_the_whole(tmp_path: Path, batch: int, parts: int) -> None:
    whole = state_after(tmp_path, "whole", batch=batch)
    found = state_after(tmp_path, "parts", batch=batch, accumulate=parts)
    room = 1e4 * torch.finfo(torch.float64).eps
    assert all(torch.allclose(a, b, rtol=0, atol=room) for a, b in zip(whole, found, strict=True))
    logs = [
        [json.loads(line)["loss"] for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("whole", "parts")
    ]
    assert logs[0] == pytest.approx(logs[1], rel=4 * torch.finfo(torch.float32).eps)  # kept in float32


def test_projection_by_update_and_by_epoch(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    often = trained(tmp_path / "a")
    rarely = trained(tmp_path / "b", project_every="epoch", clip=0.01)
    assert often.calls == [False] * 9 + [True]
    assert rarely.calls == [False] * 3 + [True]
    assert float(rarely.weight.detach().abs().max()) == pytest.approx(0.1, rel=1e-6)
    assert "gradient_norm" in (tmp_path / "b" / "metrics.jsonl").read_text()
    assert "gradient_norm" not in (tmp_path / "a" / "metrics.jsonl").read_text()
