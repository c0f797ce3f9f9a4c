"""`taut evaluate`: accuracy and certified accuracy of a finished run, computed anew from its weights."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from taut.cli.parse import parse


@dataclass(frozen=True, kw_only=True)
class Options:
    """Accuracy and certified accuracy of a finished run. Nothing is written."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of a finished run."""
    radii: tuple[float, ...] = ()
    """Radii in input units; those of the run when absent."""
    split: Literal["test", "train"] = "test"
    """Split to evaluate on."""
    data_root: Path | None = None
    """Folder of the data files; that of the training run when absent."""
    json: bool = False
    """Print JSON."""


def main(arguments: Sequence[str]) -> None:
    """Run `taut evaluate` with `arguments`."""
    options = parse(Options, arguments, prog="taut evaluate")
    from taut.tasks.classification import load_run
    from taut.tasks.classification.measure import certified
    from taut.tasks.classification.outcome import accuracies
    from taut.tasks.classification.table import print_result

    run = load_run(options.run, data_root=options.data_root)
    config = run.config.evaluation
    if options.radii:
        config = replace(config, radii=options.radii)
    split = run.dataset.test if options.split == "test" else run.dataset.train
    certificate = certified(run.model, split, norm=config.norm, quiet=options.json)
    figures = {"samples": len(split), **accuracies(config, certificate, None)}
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        which = "held-out" if options.split == "test" else "training"
        print_result(figures, title=f"{run.dataset.name}: {len(split)} {which} samples")
