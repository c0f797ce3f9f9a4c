"""A full evaluation from the run to its files: measured in one go, and written only when everything is there."""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from taut.data import Split
from taut.errors import UserError
from taut.files import write_json, write_tensors
from taut.tasks.classification.full.classes import confusion, gradients, per_class
from taut.tasks.classification.full.constants import constants, losses_and_errors
from taut.tasks.classification.full.distances import attack, distances
from taut.tasks.classification.full.measured import Subject
from taut.tasks.classification.full.neighbours import neighbours
from taut.tasks.classification.full.options import FullOptions
from taut.tasks.classification.full.units import units
from taut.tasks.classification.measure import assessed, check_consistent
from taut.tasks.classification.outcome import accuracies
from taut.tasks.classification.parts import build_loss, head_constants
from taut.tasks.classification.saved import SavedRun
from taut.tasks.provenance import provenance
from taut.training.interrupt import Interrupted, interruptible
from taut.training.run_folder import read_manifest

FOLDER = "evaluation"
"""Below the run's folder."""
_T = TypeVar("_T")


def full_evaluation(
    run: SavedRun,
    options: FullOptions,
    *,
    radii: Sequence[float] = (),
    command: Sequence[str] = (),
    device: torch.device | str = "cpu",
    quiet: bool = False,
) -> tuple[dict[str, Any], list[Path]]:
    """Measure, write RUN/evaluation/ and return what is in its result.json, and the files.

    `radii` replace those of the run. A network without a certificate gets everything else.

    Raises:
        UserError: It cannot be certified though the run says so, an attack refuted a certificate, files cannot be
            written.
        Interrupted: SIGINT or SIGTERM; its hint says what was written until then.
    """
    config = replace(run.config.evaluation, radii=tuple(radii)) if radii else run.config.evaluation
    folder = run.folder.path / FOLDER
    hint = f"interrupted; nothing was written to {folder}"
    try:
        with interruptible():
            figures, tensors = _measure(run, options, sorted(config.radii), command, torch.device(device), quiet)
            hint = f"interrupted while the page was drawn; the numbers are in {folder}"
            written = [folder / "result.json", folder / "evaluation.safetensors"]
            write_tensors(written[1], tensors)
            write_json(written[0], figures)
            from taut.reports import write_evaluation

            return figures, [*written, write_evaluation(run.folder.path)]
    except Interrupted as stop:
        stop.hint = hint
        raise


def _measure(
    run: SavedRun,
    options: FullOptions,
    radii: Sequence[float],
    command: Sequence[str],
    device: torch.device,
    quiet: bool,
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    clock = _Clock()
    config = replace(run.config.evaluation, radii=tuple(radii))
    split = _first(run.dataset.test, options.samples)
    certificate = clock.time("certify", lambda: assessed(run.model, split, config, quiet=quiet))
    model = copy.deepcopy(run.model).to(device).eval()
    subject = Subject(
        model=model,
        twin=copy.deepcopy(model).double().requires_grad_(False),
        split=split,
        some=_first(split, options.gradient_samples),
        certificate=certificate,
        loss=build_loss(
            run.config.loss, constants=head_constants(model, run.config.model, norm=config.norm, folded=True)
        ),
        norm=config.norm,
        device=device,
        options=options,
        quiet=quiet,
    )
    names, train = run.dataset.problem.classes, run.dataset.train
    attacked = clock.time("attack", lambda: attack(subject))
    check_consistent(certificate, attacked, subject.some, run.folder.path)
    try:
        lipschitz, of_jacobians = clock.time("constants", lambda: constants(subject))
    except (TypeError, ValueError) as error:
        raise UserError(f"cannot differentiate this network: {' '.join(str(error).split())}") from error
    distance, of_distances = clock.time("distances", lambda: distances(subject, attacked))
    nearest, of_neighbours = clock.time("neighbours", lambda: neighbours(subject, train))
    activity, of_units = clock.time("units", lambda: units(subject))
    of_gradients = clock.time("gradients", lambda: gradients(subject, len(names)))
    figures = {
        "task": "classification-evaluation",
        "recipe": read_manifest(run.folder.config).recipe,
        "dataset": run.dataset.name,
        "samples": len(split),
        "of": len(run.dataset.test),
        "gradient_samples": len(subject.some),
        "classes": list(names),
        **accuracies(config, certificate, attacked),
        "lipschitz": lipschitz,
        "loss_name": run.config.loss.loss,
        **clock.time("losses", lambda: losses_and_errors(subject, train)),
        "distance": distance,
        "nearest": nearest,
        "units": activity,
        "per_class": per_class(subject, names, radii, attacked),
        **provenance(command=command, seed=options.seed, seconds=clock.seconds),
    }
    of_attack = {name: figures["attack"][name] for name in ("samples", "accuracy", "certified")}
    figures["attack"] = {"method": options.attack, "steps": options.attack_steps, **of_attack}
    tensors = {
        "label": torch.as_tensor(certificate.label, dtype=torch.int64),
        "prediction": torch.as_tensor(certificate.prediction, dtype=torch.int64),
        "margin": torch.as_tensor(certificate.margin, dtype=torch.float64),
        "confusion": confusion(subject, len(names)),
        **of_jacobians,
        **of_distances,
        **of_neighbours,
        **of_units,
        **of_gradients,
    }
    if subject.radius is not None:
        tensors["radius"] = subject.radius
    return figures, tensors


class _Clock:
    """Seconds of each part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, name: str, work: Callable[[], _T]) -> _T:
        started = time.monotonic()
        result = work()
        self.seconds[name] = time.monotonic() - started
        return result


def _first(split: Split, count: int) -> Split:
    """The first `count` samples; all for 0."""
    if count == 0 or count >= len(split):
        return split
    return Split(inputs=split.inputs[:count], labels=split.labels[:count])
