"""Classification of pictures that are streamed: what training, evaluation and reading back need in the place of tensors
in memory."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from taut import nn as tnn
from taut.data import Dataset, Problem, Split, as_inputs
from taut.data.streaming import STREAM, Decoded, PictureSource, StreamedPictures, centre_batches, open_stream
from taut.errors import UsageError
from taut.files import read_json, write_json
from taut.tasks.classification.config import Config
from taut.tasks.classification.parts import Loss
from taut.training.batches import Batches
from taut.training.phases import PhasePlan, parse_phases
from taut.training.progress import progress
from taut.training.run_folder import RunFolder
from taut.training.streaming import StreamedBatches

_CLASSES = "classes.json"
_HEAD = 1000


def is_streamed(config: Config) -> bool:
    """Whether the pictures of a run stay in their files."""
    return config.data.dataset == STREAM


@dataclass(frozen=True)
class Streamed:
    """Both splits of a run, and the phases of its training."""

    pictures: StreamedPictures
    plan: PhasePlan
    head: Dataset
    """A few pictures of each split in memory, evenly spread over it: what is attacked, and certified."""

    @property
    def problem(self) -> Problem:
        """Shape of a held-out picture, and classes."""
        return self.head.problem


def open_streamed(config: Config, *, world_size: int, data_root: Path | None = None) -> Streamed:
    """The pictures of a run. Raises UsageError for phases and options that do not fit them, UserError for pictures that
    are missing or damaged."""
    chosen = config.data
    if chosen.augmentation.active or chosen.per_class or chosen.index_file:
        raise UsageError("augment-..., per-class and index-file are not for image-stream: see --augmentation")
    pictures = open_stream(data_root or chosen.data_root)
    plan = PhasePlan(
        parse_phases(config.stream.phases, chosen.batch_size),
        samples=len(pictures.train),
        epochs=config.optimizer.epochs,
        world_size=world_size,
    )
    problem = Problem(shape=_shape(config), classes=pictures.classes)
    count = config.evaluation.attack_samples or _HEAD
    head = Dataset(
        train=_in_memory(pictures.train, config, count),
        test=_in_memory(pictures.held_out, config, count),
        name=f"{STREAM}, {min(count, len(pictures.held_out))} of {len(pictures.held_out)} held-out pictures",
        problem=problem,
    )
    return Streamed(pictures, plan, head)


def check_sizes(config: Config, model: nn.Module) -> None:
    """Raise UsageError where the network does not take the pictures of one of the phases."""
    tried = copy.deepcopy(model).to("meta").eval()
    for phase in parse_phases(config.stream.phases, 1):
        shape = (2, config.stream.channels, phase.size, phase.size)
        try:
            tried(torch.empty(shape, device="meta"))
        except (RuntimeError, ValueError) as error:
            raise UsageError(
                f"the network takes pictures of {config.stream.size}x{config.stream.size}, but not those of the phase "
                f"with {phase.size}x{phase.size}: {' '.join(str(error).split())}"
            ) from error


def decoded(source: PictureSource, config: Config) -> Decoded:
    """A split as it is decoded."""
    return Decoded(source, channels=config.stream.channels, augmentation=config.stream.augmentation)


def batches(streamed: Streamed, config: Config) -> Callable[[Fabric], Batches]:
    """What training reads, on each process."""
    return lambda fabric: StreamedBatches(
        decoded(streamed.pictures.train, config),
        streamed.plan,
        seed=config.seed,
        workers=config.stream.workers,
        channels_last=config.stream.channels_last,
        fabric=fabric,
    )


def validation(
    streamed: Streamed, config: Config, loss: Loss, device: torch.device
) -> Callable[[nn.Module], dict[str, Any]]:
    """Loss, top-1 and top-5 accuracy on part of the held-out split, for the log."""

    def figures(model: nn.Module) -> dict[str, Any]:
        found = held_out(tnn.fold(model), streamed, config, loss, device, count=config.stream.validation_pictures)
        return {name: found[name] for name in ("loss", "accuracy", "top5")}

    return figures


@torch.no_grad()
def held_out(
    model: nn.Module,
    streamed: Streamed,
    config: Config,
    loss: Loss,
    device: torch.device,
    *,
    count: int = 0,
    quiet: bool = True,
) -> dict[str, Any]:
    """Loss, top-1 and top-5 accuracy in float32 of `count` held-out pictures, evenly spread over them, or of all."""
    source, stream = streamed.pictures.held_out, config.stream
    rows = spread_rows(len(source), count or len(source))
    layout = torch.channels_last if stream.channels_last else torch.contiguous_format
    plain = model.to(device, torch.float32).to(memory_format=layout).eval()  # pyright: ignore[reportCallIssue]
    lost, right, among = 0.0, 0, 0
    with progress("evaluating", len(rows), show=not quiet) as reporter:
        done = 0
        for pixels, labels, _ in centre_batches(
            decoded(source, config), rows, size=stream.size, batch_size=stream.evaluation_batch, workers=stream.workers
        ):
            inputs = as_inputs(pixels.to(device)).contiguous(memory_format=layout)
            logits, target = plain(inputs).float(), labels.to(device)
            lost += float(loss(logits, target)) * len(labels)
            best = logits.topk(min(5, logits.shape[1]), dim=1).indices == target[:, None]
            right, among = right + int(best[:, 0].sum()), among + int(best.any(dim=1).sum())
            done += len(labels)
            reporter.advance(done)
    total = len(rows)
    return {"samples": total, "loss": lost / total, "accuracy": right / total, "top5": among / total}


def spread_rows(length: int, count: int) -> Tensor:
    """At most `count` of `length` places, evenly spread: files lie class by class.

    >>> spread_rows(10, 4)
    tensor([0, 2, 5, 7])
    """
    count = min(count, length)
    return torch.arange(count) * length // count


def write_classes(folder: RunFolder, problem: Problem) -> None:
    """Write down which label means which class, in classes.json of the run folder."""
    write_json(folder.path / _CLASSES, {"classes": list(problem.classes)})


def saved_problem(config: Config, folder: RunFolder) -> Problem:
    """Shape and classes of a run, from its folder."""
    classes = read_json(folder.path / _CLASSES)["classes"]
    return Problem(shape=_shape(config), classes=tuple(classes))


def _shape(config: Config) -> tuple[int, int, int]:
    return (config.stream.channels, config.stream.size, config.stream.size)


def _in_memory(source: PictureSource, config: Config, count: int) -> Split:
    rows, size = spread_rows(len(source), count), config.stream.size
    batches = centre_batches(decoded(source, config), rows, size=size, batch_size=500, workers=0)
    parts = [(pixels, labels) for pixels, labels, _ in batches]
    pixels = torch.cat([pixels for pixels, _ in parts])
    return Split(inputs=pixels, labels=torch.cat([labels for _, labels in parts]))
