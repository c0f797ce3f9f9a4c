"""`taut evaluate`: accuracy and certified accuracy of a finished run, computed anew from its weights."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from taut.attacks import AttackName
from taut.cli.parse import parse


@dataclass(frozen=True, kw_only=True)
class Options:
    """Accuracy and certified accuracy of a finished run. Nothing is written, unless --full is given."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of a finished run."""
    radii: tuple[float, ...] = ()
    """Radii in input units; those of the run when absent."""
    split: Literal["test", "train"] = "test"
    """Split to evaluate on."""
    full: bool = False
    """Measure everything else too, on the held-out split, and write it with a page to RUN/evaluation/: Lipschitz
    constant from below and above, distances, nearest training samples of other labels, dead units, classes."""
    samples: int = 0
    """With --full: the first so many held-out samples; 0 for all."""
    gradient_samples: int = 500
    """With --full: the first so many of these for what needs many gradients (Jacobians, curvature, the attack)."""
    attack: AttackName = "fab"
    """With --full: an attack that looks for the nearest misclassified point."""
    attack_steps: int = 30
    """With --full: its steps."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """With --full: kind of device."""
    data_root: Path | None = None
    """Folder of the data files; that of the training run when absent."""
    json: bool = False
    """Print JSON."""


def main(arguments: Sequence[str]) -> None:
    """Run `taut evaluate` with `arguments`."""
    options = parse(Options, arguments, prog="taut evaluate")
    if options.full:
        _full(options, arguments)
        return
    _refuse_full_options(options)
    from taut.tasks.classification import load_run
    from taut.tasks.classification.measure import assessed
    from taut.tasks.classification.outcome import accuracies
    from taut.tasks.classification.table import print_result

    run = load_run(options.run, data_root=options.data_root)
    config = run.config.evaluation
    if options.radii:
        config = replace(config, radii=options.radii)
    split = run.dataset.test if options.split == "test" else run.dataset.train
    certificate = assessed(run.model, split, config, quiet=options.json)
    figures = {"samples": len(split), **accuracies(config, certificate, None)}
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        which = "held-out" if options.split == "test" else "training"
        print_result(figures, title=f"{run.dataset.name}: {len(split)} {which} samples")


def _refuse_full_options(options: Options) -> None:
    from taut.errors import UsageError

    for name in ("samples", "gradient_samples", "attack", "attack_steps", "accelerator"):
        if getattr(options, name) != getattr(Options(run=options.run), name):
            raise UsageError(f"--{name.replace('_', '-')} is an option of --full: give that too")


def _full(options: Options, arguments: Sequence[str]) -> None:
    from taut.errors import UsageError
    from taut.tasks.classification import load_run
    from taut.tasks.classification.full import FullOptions, full_evaluation
    from taut.tasks.classification.full.table import print_full
    from taut.training.engine import pick_device

    if options.split != "test":
        raise UsageError("--full measures the held-out split and shows the training error beside it: leave out --split")
    chosen = FullOptions(
        samples=options.samples,
        gradient_samples=options.gradient_samples,
        attack=options.attack,
        attack_steps=options.attack_steps,
    )
    device = pick_device(options.accelerator)
    run = load_run(options.run, data_root=options.data_root)
    figures, written = full_evaluation(
        run,
        chosen,
        radii=options.radii,
        command=["taut", "evaluate", *arguments],
        device=device,
        quiet=options.json,
    )
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        print_full(figures, written=written)
