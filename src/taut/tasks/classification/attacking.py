"""A finished run under any attack: what is proven beside what was found, and everything that was found, written."""

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from taut.attacks import METHODS, AttackOutcome, run_attack
from taut.data import Dataset, Split
from taut.files import write_json, write_tensors
from taut.reports.attack import write_attack_page
from taut.tasks.classification.measure import attackable, check_radii, guide, quickest
from taut.tasks.classification.proven import Proven
from taut.training.progress import progress

RADII = {"l2": (0.1, 0.25, 0.5, 0.75, 1.0), "linf": (0.01, 0.03, 0.1, 0.2, 0.3)}
"""Of attacks in another norm than the run's, whose radii are no help."""


def attack_split(
    name: str,
    model: nn.Module,
    split: Split,
    radii: Sequence[float],
    *,
    samples: int,
    norm: str,
    steps: int | None = None,
    restarts: int | None = None,
    loss: str | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    quiet: bool = False,
) -> AttackOutcome:
    """Attack the first `samples` of `split`, with a bar. Raises UserError where the attack cannot be run."""
    with progress(f"attacking ({name})", 100, show=not quiet) as reporter, attackable():
        return run_attack(
            name,
            quickest(model),
            split.inputs[:samples],
            split.labels[:samples],
            eps=radii,
            norm=norm,
            steps=steps,
            restarts=restarts,
            loss=loss,
            seed=seed,
            # smaller batches where a bar has nothing else to show
            batch_size=100 if METHODS[name].minimal else 500,
            device=device,
            progress=lambda done, total: reporter.advance(100 * done // total),
            guide=guide(model),
        )


def conclude(
    outcome: AttackOutcome,
    proof: Proven,
    model: nn.Module,
    dataset: Dataset,
    *,
    folder: Path,
    seed: int,
    seconds: float,
    command: Sequence[str],
) -> tuple[dict[str, Any], list[Path]]:
    """Check that proof and attack agree, write both into `folder`/attacks/NAME-NORM, and return the figures and the
    files.

    Raises UserError where a sample was changed within its certified radius; it is saved in `folder`.
    """
    split = dataset.test
    check_radii(proof.radius, outcome.result, split, folder)
    figures = attack_figures(outcome, proof, split, seed=seed, seconds=seconds)
    out = folder / "attacks" / f"{outcome.settings.name}-{outcome.settings.norm}"
    about = {
        "dataset": dataset.name,
        "classes": [str(name) for name in dataset.problem.classes],
        "command": list(command),
    }
    write_tensors(out / "examples.safetensors", example_tensors(outcome, proof, model, split))
    write_json(out / "result.json", {**about, **figures})
    return figures, [out / "result.json", out / "examples.safetensors", *write_attack_page(out)]


def attack_figures(outcome: AttackOutcome, proof: Proven, split: Split, *, seed: int, seconds: float) -> dict[str, Any]:
    """Accuracy, certified and attacked accuracy by radius, success rate and distances, as plain JSON."""
    result, chosen = outcome.result, outcome.settings
    count = len(result.broken_at)
    keys = {f"{eps:g}": eps for eps in outcome.radii}
    success = outcome.success_rate()
    return {
        "samples": len(split),
        "accuracy": proof.clean_accuracy,
        "norm": chosen.norm,
        "lipschitz_bound": proof.lipschitz_bound,
        "certified": {key: proof.certified_accuracy(eps) for key, eps in keys.items()} if proof.certified else {},
        "attacked": {key: result.accuracy(eps) for key, eps in keys.items()},
        "attack": {
            "method": chosen.name,
            "samples": count,
            "steps": chosen.steps,
            "restarts": chosen.restarts,
            "loss": chosen.loss,
            "seed": seed,
            "seconds": round(seconds, 3),
            "accuracy": result.accuracy(0.0),
            "certified": {key: proof.certified_accuracy(eps, count) for key, eps in keys.items()}
            if proof.certified
            else {},
            "proof": proof.how,
            "success_rate": None if math.isnan(success) else success,
            "distances": distances(outcome) if outcome.minimal else None,
        },
    }


def distances(outcome: AttackOutcome) -> dict[str, Any]:
    """Mean and quartiles of the distances that were reached, over the correctly classified samples.

    The mean is of those that were changed; quartiles count the others as infinitely far, null where that is the value.
    """
    reached = outcome.distances()
    found = reached[torch.isfinite(reached)]
    ordered = reached.sort().values
    quartiles: list[float | None] = []
    for share in (0.25, 0.5, 0.75):
        value = float(ordered[math.ceil(share * len(ordered)) - 1]) if len(ordered) else math.inf
        quartiles.append(value if math.isfinite(value) else None)
    return {
        "correct": len(reached),
        "changed": len(found),
        "mean": float(found.mean()) if len(found) else None,
        "smallest": float(found.min()) if len(found) else None,
        "quartiles": quartiles,
    }


@torch.no_grad()
def example_tensors(outcome: AttackOutcome, proof: Proven, model: nn.Module, split: Split) -> dict[str, Tensor]:
    """Every changed sample, before and after; and for each attacked sample its distance and its certified radius."""
    result = outcome.result
    count = len(result.broken_at)
    changed = torch.nonzero((result.broken_at > 0) & torch.isfinite(result.broken_at)).squeeze(1)
    attacked = result.example[changed]
    judge = copy.deepcopy(model).cpu().double().eval()
    predictions = [judge(part).argmax(dim=1) for part in attacked.split(500)] if len(changed) else []
    return {
        "index": changed,
        "input": split.inputs[changed],
        "attacked": attacked,
        "label": split.labels[changed],
        "prediction": torch.cat(predictions) if predictions else torch.zeros(0, dtype=torch.int64),
        "broken_at": result.broken_at,
        "certified_radius": proof.radius[:count],
    }
