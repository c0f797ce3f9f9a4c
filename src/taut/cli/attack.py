"""`taut attack`: a finished run under attack, next to what is certified."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from taut.attacks import AttackLoss
from taut.cli.parse import parse


@dataclass(frozen=True, kw_only=True)
class Options:
    """Attack the held-out samples of a finished run. Fails if an attack succeeds within a certified radius."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of a finished run."""
    radii: tuple[float, ...] = ()
    """Radii in input units; those of the run when absent."""
    samples: int = 1000
    """Attack the first so many held-out samples."""
    steps: int = 100
    """Gradient steps of each attack."""
    restarts: int = 4
    """Restarts, the first from the sample itself."""
    loss: AttackLoss = "both"
    """What the attack climbs: minus the margin, the cross-entropy, or both in turn."""
    seed: int = 0
    """Seed of the random starting points."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """Kind of device."""
    data_root: Path | None = None
    """Folder of the data files; that of the training run when absent."""
    json: bool = False
    """Print JSON."""


def main(arguments: Sequence[str]) -> None:
    """Run `taut attack` with `arguments`."""
    options = parse(Options, arguments, prog="taut attack")
    from taut.errors import UsageError
    from taut.tasks.classification import load_run
    from taut.tasks.classification.measure import attacked, certified, check_consistent
    from taut.tasks.classification.outcome import accuracies
    from taut.tasks.classification.table import print_result
    from taut.training.engine import pick_device

    if options.samples < 1:
        raise UsageError(f"samples must be at least 1, got {options.samples}")
    device = pick_device(options.accelerator)
    run = load_run(options.run, data_root=options.data_root)
    config = replace(
        run.config.evaluation,
        attack_samples=options.samples,
        attack_steps=options.steps,
        attack_restarts=options.restarts,
        attack_loss=options.loss,
        **({"radii": options.radii} if options.radii else {}),
    )
    split = run.dataset.test
    certificate = certified(run.model, split, norm=config.norm, quiet=options.json)
    attack = attacked(run.model, split, config, seed=options.seed, device=device, quiet=options.json)
    check_consistent(certificate, attack, split, run.folder.path)
    figures = {"samples": len(split), **accuracies(config, certificate, attack)}
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        print_result(figures, title=f"{run.dataset.name}: {len(split)} held-out samples")
