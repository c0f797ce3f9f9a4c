"""Streamed training: batches follow from seed and step, on any number of processes, and a run goes on bit for bit."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional as F

from taut.data.streaming import Decoded, PictureSource
from taut.errors import UserError
from taut.training import supervised
from taut.training.checkpoint import load_checkpoint
from taut.training.engine import EngineConfig
from taut.training.interrupt import Interrupted, interruptible
from taut.training.optimizers import OptimizerConfig
from taut.training.phases import PhasePlan, parse_phases
from taut.training.run_folder import RunFolder
from taut.training.streaming import StreamedBatches
from taut.training.supervised import Job, fit

COUNT = 11


class Numbered(PictureSource):
    """Views are the size, the index and the seed of what was asked for; picture `bad` is damaged."""

    def __init__(self, bad: int = -1) -> None:
        self.labels, self.bad, self.fingerprint = torch.arange(COUNT) % 3, bad, "numbered"

    def encoded(self, index: int) -> tuple[bytes, str]:
        raise NotImplementedError


class Views(Decoded):
    def view(self, index: int, size: int, seed: int) -> Tensor:
        if index == self.source.bad:
            raise UserError(f"picture {index} is damaged")
        pixels = torch.full((3, size, size), index, dtype=torch.uint8)
        pixels[1], pixels[2] = seed % 251, (seed >> 20) % 251
        return pixels


PLAN = PhasePlan(parse_phases("0:4:4,0.5:6:2", 4), samples=COUNT, epochs=4, world_size=1)  # 2 + 2 + 5 + 5 steps


class Process(Fabric):
    """One of several processes, as far as the batches see it."""

    global_rank = world_size = device = None  # type: ignore[assignment]

    def __init__(self, rank: int, world: int) -> None:
        self.global_rank, self.world_size, self.device = rank, world, torch.device("cpu")  # type: ignore[misc]


def batches(*, rank: int = 0, world: int = 1, workers: int = 0, bad: int = -1, last: bool = False) -> StreamedBatches:
    views = Views(Numbered(bad), channels=3)
    return StreamedBatches(views, PLAN, seed=5, workers=workers, channels_last=last, fabric=Process(rank, world))


def taken(source: StreamedBatches, first: int = 0) -> list[tuple[Tensor, Tensor]]:
    found = [source.batch(step) for step in range(first, PLAN.steps)]
    return [(inputs, labels) for inputs, labels in found]


def same(one: list[tuple[Tensor, Tensor]], other: list[tuple[Tensor, Tensor]]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in pairs)


def test_sizes_and_batches_follow_the_phases_and_every_picture_comes_once() -> None:
    found = taken(batches())
    assert [tuple(inputs.shape) for inputs, _ in found] == [(4, 3, 4, 4)] * 4 + [(2, 3, 6, 6)] * 10
    rows = [(inputs[:, 0, 0, 0] * 255).round().long() for inputs, _ in found]
    for start, end in ((0, 2), (2, 4), (4, 9), (9, 14)):
        assert len(torch.cat(rows[start:end]).unique()) == sum(map(len, rows[start:end]))
    assert all(torch.equal(labels, row % 3) for row, (_, labels) in zip(rows, found, strict=True))
    first, second = torch.cat(rows[:2]).tolist(), torch.cat(rows[2:4]).tolist()
    assert first != second
    seeds = {tuple(view[1:, 0, 0].tolist()) for inputs, _ in found for view in inputs}
    assert len(seeds) == sum(len(row) for row in rows)  # a fresh view each time


@pytest.mark.parametrize("first", [1, 3, 4, 8])
def test_a_run_goes_on_in_the_middle_of_an_epoch(first: int) -> None:
    assert same(taken(batches(), first), taken(batches())[first:])


def test_processes_share_each_batch_and_workers_change_nothing() -> None:
    whole, left, right = taken(batches(workers=1)), taken(batches(rank=0, world=2)), taken(batches(rank=1, world=2))
    joined = [(torch.cat((a, c)), torch.cat((b, d))) for (a, b), (c, d) in zip(left, right, strict=True)]
    assert same(joined, whole)
    assert same(taken(batches(last=True)), whole)
    assert all(inputs.is_contiguous(memory_format=torch.channels_last) for inputs, _ in taken(batches(last=True)))


def test_a_damaged_picture_stops_one_process_at_once_and_several_when_they_meet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UserError, match="picture 7 is damaged"):
        taken(batches(bad=7))
    monkeypatch.setattr("taut.training.streaming.together", lambda fabric, action: action())
    source = batches(bad=7, rank=0, world=2), batches(bad=7, rank=1, world=2)
    for each in source:
        taken(each)
    with pytest.raises(UserError, match="picture 7 is damaged"):
        [each.check() for each in source]


# Runs ---------------------------------------------------------------------------------------------------------------


def objective(model: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
    inputs, labels = batch
    return {"loss": F.cross_entropy(model(inputs), labels)}


def job(**changes) -> Job:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(4, 3)
    )

    def stream(fabric: Fabric) -> StreamedBatches:
        return StreamedBatches(
            Views(Numbered(), channels=3), PLAN, seed=5, workers=1, channels_last=False, fabric=fabric
        )

    made = Job(
        model=model,
        data="numbered",
        objective=objective,
        optimizer=OptimizerConfig(epochs=4, lr=0.1, optimizer="nesterov", schedule="linear", warmup=0.0),
        batch_size=4,
        seed=5,
        stream=stream,
    )
    return replace(made, **changes)


def run(path: Path, *, resume: bool = False, **changes) -> tuple[dict[str, Tensor], list[str]]:
    path.mkdir(exist_ok=True)
    folder = RunFolder(path)
    checkpoint = load_checkpoint(folder.checkpoints) if resume else None
    engine = EngineConfig(accelerator="cpu", log_every=3, checkpoint_seconds=1e9)
    with interruptible() as stop:
        fabric = Fabric(accelerator="cpu", devices=1)
        fitted = fit(job(**changes), fabric=fabric, engine=engine, folder=folder, interruption=stop, resume=checkpoint)
    return dict(fitted.model.state_dict()), (path / "metrics.jsonl").read_text().splitlines()


@pytest.mark.parametrize("stop", [3, 7])
def test_an_interrupted_run_ends_as_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    whole, lines = run(tmp_path / "whole")
    calls: list[int] = []

    def project(model: nn.Module, **options: bool) -> None:
        calls.append(1)
        if len(calls) == stop:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(supervised, "project_", project)
    with pytest.raises(Interrupted):
        run(tmp_path / "parts")
    monkeypatch.undo()
    torch.manual_seed(99)
    parts, again = run(tmp_path / "parts", resume=True)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert len(lines) == len(again)


def test_epochs_and_rates_follow_the_phases(tmp_path: Path) -> None:
    seen: list[int] = []
    _, lines = run(tmp_path, validate=lambda model: seen.append(1) or {"accuracy": 0.0})
    read = [json.loads(line) for line in lines]
    assert [line["step"] for line in read if line["kind"] == "valid"] == [2, 4, 9, 14]
    rates = {line["step"]: line["lr"] for line in read if line["kind"] == "train"}
    # the last update of epoch 2 is at 3/8 of the epochs; that of epoch 4 at 19/20, with batches of half the size
    total = PLAN.steps
    assert rates[4] == pytest.approx(0.1 * (1 - (3 * total // 8) / total))
    assert rates[14] == pytest.approx(0.5 * 0.1 * (1 - (19 * total // 20) / total))
