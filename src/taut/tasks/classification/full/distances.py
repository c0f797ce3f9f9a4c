"""Distances to the decision boundary: certified, estimated to first and second order, attained by an attack."""

from typing import Any

import torch
from torch import Tensor

from taut import attacks, certify
from taut.attacks import AttackResult
from taut.errors import UsageError
from taut.tasks.classification.full.measured import Subject, sample_losses, spread, threshold

_BATCH = 50


def attack(subject: Subject) -> AttackResult:
    """The nearest misclassified point that the attack finds for each of some samples, judged in float64."""
    options, some = subject.options, subject.some
    with subject.telling(f"attacking ({options.attack})", 100) as tell:
        try:
            outcome = attacks.run_attack(
                options.attack,
                subject.model,
                some.inputs,
                some.labels,
                norm=subject.norm,
                steps=options.attack_steps,
                seed=options.seed,
                device=subject.device,
                progress=lambda done, total: tell(100 * done // max(total, 1)),
            )
        except ValueError as error:
            raise UsageError(f"cannot attack this network with {options.attack}: {error}") from error
    return outcome.result


def distances(subject: Subject, attacked: AttackResult) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The estimates beside what is certified and what an attack attained, and how often they are refuted by it."""
    loss, gradient, curvature = _derivatives(subject)
    steepest, most_curved = float(gradient.max()), max(0.0, float(curvature.max()))
    if subject.norm == "linf":  # v'Hv <= C |v|_2^2 <= C n |v|_inf^2
        most_curved *= subject.some.inputs[0].numel()
    gap = threshold(subject.loss) - loss
    found = {
        "first_order_estimate": certify.first_order_distance_estimate(gap, steepest),
        "second_order_estimate": certify.second_order_distance_estimate(gap, gradient, most_curved),
        "attacked_distance": attacked.broken_at,
    }
    correct = attacked.broken_at > 0
    shown = {name: spread(values[correct]) for name, values in found.items()}
    if subject.radius is not None:
        shown["certified_radius"] = spread(subject.radius[: len(correct)][correct])
    figures = {
        "samples": len(correct),
        "correct": int(correct.sum()),
        "attack": {"name": subject.options.attack, "steps": subject.options.attack_steps},
        "steepest_loss": steepest,
        "curvature_estimate": most_curved,
        "least_loss_of_an_error": threshold(subject.loss),
        **shown,
        "above_attacked": {name: int((found[name] > attacked.broken_at)[correct].sum()) for name in list(found)[:2]},
        "attack_succeeded": int((correct & attacked.broken_at.isfinite()).sum()),
    }
    return figures, {**found, "loss": loss, "loss_gradient": gradient, "curvature": curvature}


def _derivatives(subject: Subject) -> tuple[Tensor, Tensor, Tensor]:
    """Of each of some samples: the loss, the dual norm of its gradient, the largest eigenvalue of its Hessian."""
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    done = 0
    with subject.telling("curvature of the loss", len(subject.some)) as tell:
        for points, labels in zip(subject.some.inputs.split(_BATCH), subject.some.labels.split(_BATCH), strict=True):
            points, labels = points.to(subject.device, torch.float64), labels.to(subject.device)

            def function(x: Tensor, labels: Tensor = labels) -> Tensor:
                return sample_losses(subject.loss, subject.twin(x), labels)

            with torch.enable_grad():
                moving = points.clone().requires_grad_(True)
                values = function(moving)
                (gradient,) = torch.autograd.grad(values.sum(), moving)
            dual = gradient.flatten(1).norm(dim=1, p=2.0 if subject.norm == "l2" else 1.0)
            options = subject.options
            curvature = certify.curvature_estimate(function, points, steps=options.lanczos_steps, seed=options.seed)
            parts.append((values.detach().cpu(), dual.cpu(), curvature.cpu()))
            tell(done := done + len(points))
    loss, gradient, curvature = (torch.cat(column) for column in zip(*parts, strict=True))
    return loss, gradient, curvature
