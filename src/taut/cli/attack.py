"""`taut attack`: a finished run under attack, next to what is certified."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from taut.attacks import AttackLoss, AttackName, Norm
from taut.cli.parse import parse


@dataclass(frozen=True, kw_only=True)
class Options:
    """Attack the held-out samples of a finished run, and write what was found into RUN/attacks. Fails if an attack
    succeeds within a certified radius."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of a finished run."""
    attack: AttackName = "pgd"
    """Attack; auto is APGD, targeted APGD, FAB and Square, each on what the ones before it left."""
    norm: Norm | None = None
    """Norm of the attack; that of the run when absent."""
    eps: tuple[float, ...] = ()
    """Radii in input units; those of the run when absent, or usual ones of another norm."""
    radii: tuple[float, ...] = ()
    """The same as --eps."""
    samples: int = 1000
    """Attack the first so many held-out samples."""
    steps: int | None = None
    """Steps of the attack, as it counts them; its own number when absent, 100 for pgd."""
    restarts: int | None = None
    """Restarts, of attacks that have them; 4 for pgd when absent, the first from the sample itself."""
    loss: AttackLoss | None = None
    """What pgd and fgsm climb: minus the margin, the cross-entropy, or (pgd, when absent) both in turn."""
    seed: int = 0
    """Seed of all random numbers."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """Kind of device."""
    data_root: Path | None = None
    """Folder of the data files; that of the training run when absent."""
    json: bool = False
    """Print JSON."""


def main(arguments: Sequence[str]) -> None:
    """Run `taut attack` with `arguments`."""
    options = parse(Options, arguments, prog="taut attack")
    _check(options)
    from taut.tasks.classification import load_run
    from taut.tasks.classification.attack_table import print_attack
    from taut.tasks.classification.attacking import RADII, attack_split, conclude
    from taut.tasks.classification.proven import proven
    from taut.training.engine import pick_device

    device = pick_device(options.accelerator)
    run = load_run(options.run, data_root=options.data_root)
    config, split = run.config.evaluation, run.dataset.test
    norm = options.norm or config.norm
    radii = options.eps or options.radii or (config.radii if norm == config.norm else RADII[norm])
    _settings(options, norm)
    proof = proven(run.model, split, config, norm=norm, quiet=options.json)
    started = time.monotonic()
    outcome = attack_split(
        options.attack,
        run.model,
        split,
        radii,
        samples=options.samples,
        norm=norm,
        steps=options.steps,
        restarts=options.restarts,
        loss=options.loss,
        seed=options.seed,
        device=device,
        quiet=options.json,
    )
    figures, written = conclude(
        outcome,
        proof,
        run.model,
        run.dataset,
        folder=run.folder.path,
        seed=options.seed,
        seconds=time.monotonic() - started,
        command=["taut", "attack", *arguments],
    )
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        print_attack(figures, title=f"{run.dataset.name}: {len(split)} held-out samples", written=written)


def _check(options: Options) -> None:
    """What can be said without the run."""
    from taut.errors import require

    require(options.samples >= 1, f"samples must be at least 1, got {options.samples}")
    require(0 <= options.seed < 2**63, f"seed must be in [0, 2^63), got {options.seed}")
    require(not (options.eps and options.radii), "--eps and --radii are the same option: give one of them")
    radii = options.eps or options.radii
    require(all(0 < eps < float("inf") for eps in radii), f"radii must be positive numbers, got {radii}")
    require(len({f"{radius:g}" for radius in radii}) == len(radii), f"radii must differ in six digits, got {radii}")
    if options.norm:
        _settings(options, options.norm)


def _settings(options: Options, norm: str) -> None:
    """UsageError for what the attack cannot do, before anything is computed."""
    from taut.attacks import settings
    from taut.attacks.foolbox_adapter import check_foolbox
    from taut.errors import UsageError, UserError

    try:
        settings(options.attack, norm=norm, steps=options.steps, restarts=options.restarts, loss=options.loss)
    except ValueError as error:
        raise UsageError(str(error)) from error
    try:
        check_foolbox(options.attack)
    except ValueError as error:
        raise UserError(str(error)) from error
