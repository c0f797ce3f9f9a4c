"""A whole training run, with its batches, log and checkpoints, beside a bare loop written by hand on the same model."""

import copy
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional as F

from taut import models
from taut.bench.config import BenchConfig
from taut.bench.section import Section
from taut.bench.timing import Contenders
from taut.optim import project_
from taut.training.engine import EngineConfig, launch
from taut.training.interrupt import interruptible
from taut.training.optimizers import OptimizerConfig
from taut.training.run_folder import RunFolder
from taut.training.supervised import Job, fit

BASE = "bare loop"


def sections(config: BenchConfig, device: torch.device) -> Iterator[Section]:
    """A table for each model: small ones, where what surrounds the arithmetic shows most."""
    torch.manual_seed(0)
    sizes: list[tuple[str, nn.Module, tuple[int, ...], int, int]] = [
        ("mlp of 3 x 512 on 28 x 28, batch 256", models.mlp((1, 28, 28), 10), (1, 28, 28), 256, 100),
        ("mlp of 2 x 128 on 8 x 8, batch 64", models.mlp((1, 8, 8), 10, width=128, depth=2), (1, 8, 8), 64, 1000),
        ("plain mlp of 2 x 128 on 8 x 8, batch 64", _plain(), (1, 8, 8), 64, 1000),
    ]
    for words, model, shape, batch, updates in sizes:
        yield Section(
            title=f"{updates} updates of a classifier, {words}",
            base=BASE,
            contenders=partial(_contenders, model, shape, batch, updates, config, device),
        )


def _plain() -> nn.Module:
    return models.mlp((1, 8, 8), 10, width=128, depth=2, linear="linear", activation="relu", head="linear")


def _contenders(
    model: nn.Module, shape: tuple[int, ...], batch: int, updates: int, config: BenchConfig, device: torch.device
) -> Contenders:
    inputs = torch.rand(batch * updates // 2, *shape)
    labels = torch.randint(10, (len(inputs),))
    return {
        BASE: lambda: partial(bare, model, inputs, labels, batch, device),
        "taut: fit": lambda: partial(whole, model, inputs, labels, batch, config),
    }


def bare(model: nn.Module, inputs: Tensor, labels: Tensor, batch: int, device: torch.device) -> float:
    """Two epochs as they are written by hand, with the loss and the accuracy that one wants to see of each."""
    model = copy.deepcopy(model).to(device).train()
    inputs, labels = inputs.to(device), labels.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    shown = 0.0
    for _ in range(2):
        losses, right = torch.zeros((), device=device), torch.zeros((), device=device)
        for index in torch.randperm(len(inputs)).to(device).split(batch):
            logits = model(inputs[index])
            loss = F.cross_entropy(logits, labels[index])
            losses += loss.detach()
            right += (logits.argmax(1) == labels[index]).float().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            project_(model)
        shown = float(losses) + float(right)
    return shown


def whole(model: nn.Module, inputs: Tensor, labels: Tensor, batch: int, config: BenchConfig) -> float:
    """The same by the trainer, with what it writes."""
    engine = EngineConfig(accelerator=config.accelerator, threads=config.threads)
    with tempfile.TemporaryDirectory() as folder:
        return fitted(model, inputs, labels, batch, launch(engine), engine, Path(folder))


def fitted(
    model: nn.Module, inputs: Tensor, labels: Tensor, batch: int, fabric: Fabric, engine: EngineConfig, folder: Path
) -> float:
    """A number of a copy of `model` after two epochs, this process having had its share of each batch."""
    job = Job(
        model=copy.deepcopy(model),
        tensors=(inputs, labels),
        data="bench",
        objective=_objective,
        optimizer=OptimizerConfig(epochs=2, lr=1e-3),
        batch_size=batch,
        seed=0,
    )
    with interruptible() as interruption:
        done = fit(job, fabric=fabric, engine=engine, folder=RunFolder(folder), interruption=interruption)
    return float(next(done.model.parameters()).detach().sum())


def _objective(model: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
    inputs, labels = batch
    logits = model(inputs)
    return {"loss": F.cross_entropy(logits, labels), "accuracy": (logits.argmax(1) == labels).float().mean()}
