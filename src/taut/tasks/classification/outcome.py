"""What a finished run leaves behind: result.json and the tensors behind it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from taut import certify
from taut.attacks import AttackResult
from taut.data import Dataset, Split
from taut.tasks.classification.config import Config, EvaluationConfig
from taut.tasks.classification.measure import Uncertified
from taut.tasks.layers import layer_rows
from taut.tasks.provenance import provenance

_PICTURES = 10


def result(
    config: Config,
    *,
    recipe: str,
    command: Sequence[str],
    dataset: Dataset,
    model: nn.Module,
    certificate: certify.Certificate | Uncertified,
    attack: AttackResult | None,
    seconds: dict[str, float],
    fgsm: AttackResult | None = None,
) -> dict[str, Any]:
    """The content of result.json. `model` is the folded network."""
    return {
        "task": config.task,
        "recipe": recipe,
        "dataset": dataset.name,
        "samples": len(dataset.test),
        **accuracies(config.evaluation, certificate, attack, fgsm=fgsm),
        "layers": layer_rows(model, config.evaluation.norm, dataset.problem.shape) if config.evaluation.certify else [],
        **provenance(command=command, seed=config.seed, seconds=seconds),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }


def accuracies(
    config: EvaluationConfig,
    certificate: certify.Certificate | Uncertified,
    attack: AttackResult | None,
    *,
    fgsm: AttackResult | None = None,
) -> dict[str, Any]:
    """Clean, certified and attacked accuracy and the Lipschitz bound; the part of result.json that depends on radii.

    Of a network without a certificate nothing is certified, and the bound is None.
    """
    proven = certificate if isinstance(certificate, certify.Certificate) else None
    figures: dict[str, Any] = {
        "accuracy": certificate.accuracy,
        "norm": config.norm,
        "lipschitz_bound": certificate.lipschitz_bound,
        "certified": {f"{eps:g}": proven.certified_accuracy(eps) for eps in sorted(config.radii)} if proven else {},
        "attacked": {},
        "attack": {},
    }
    if attack is not None:
        count = len(attack.broken_at)
        radius = torch.as_tensor(certificate.radius)[:count]
        figures["attacked"] = {f"{eps:g}": attack.accuracy(eps) for eps in sorted(config.radii)}
        figures["attack"] = {
            "method": "pgd",
            "samples": count,
            "steps": config.attack_steps,
            "restarts": config.attack_restarts,
            "loss": config.attack_loss,
            "accuracy": attack.accuracy(0.0),
            "certified": {f"{eps:g}": float((radius > eps).double().mean()) for eps in sorted(config.radii)}
            if proven
            else {},
        }
    if fgsm is not None:
        figures["fgsm"] = {f"{eps:g}": fgsm.accuracy(eps) for eps in sorted(config.radii)}
    return figures


def evaluation_tensors(split: Split, certificate: certify.Certificate | Uncertified) -> dict[str, Tensor]:
    """The per-sample tensors of evaluation.safetensors but for the attacks, and the pictures with the extreme radii."""
    radius = torch.as_tensor(certificate.radius, dtype=torch.float64)
    label = torch.as_tensor(certificate.label, dtype=torch.int64)
    prediction = torch.as_tensor(certificate.prediction, dtype=torch.int64)
    tensors = {
        "radius": radius,
        "margin": torch.as_tensor(certificate.margin, dtype=torch.float64),
        "label": label,
        "prediction": prediction,
    }
    if split.inputs.ndim == 4:
        order = torch.argsort(radius, descending=True, stable=True)
        order = order[radius[order] > 0]
        for name, chosen in (("most_certified", order[:_PICTURES]), ("least_certified", order.flip(0)[:_PICTURES])):
            tensors[name], tensors[f"{name}_index"] = split.inputs[chosen], chosen
    return tensors


def attack_tensors(
    config: EvaluationConfig, certificate: certify.Certificate | Uncertified, attack: AttackResult
) -> dict[str, Tensor]:
    """`attacked_<eps>`, for every sample: still correct after the attacks of size up to eps.

    A sample that was not attacked counts as it is.
    """
    correct = torch.as_tensor(certificate.label) == torch.as_tensor(certificate.prediction)
    tensors = {}
    for eps in config.radii:
        survived = correct.clone()
        survived[: len(attack.broken_at)] = attack.correct(eps)
        tensors[f"attacked_{eps:g}"] = survived
    return tensors
