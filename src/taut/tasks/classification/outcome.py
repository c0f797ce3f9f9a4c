"""What a finished run leaves behind: result.json and the tensors behind it."""

import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor, nn

import taut
from taut import certify
from taut.attacks import AttackResult
from taut.data import Dataset, Split
from taut.tasks.classification.config import Config, EvaluationConfig

_PICTURES = 10
_SPECTRUM_POINTS = 512


def result(
    config: Config,
    *,
    recipe: str,
    command: Sequence[str],
    dataset: Dataset,
    model: nn.Module,
    certificate: certify.Certificate,
    attack: AttackResult | None,
    seconds: dict[str, float],
) -> dict[str, Any]:
    """The content of result.json. `model` is the folded network."""
    return {
        "task": config.task,
        "recipe": recipe,
        "dataset": dataset.name,
        "samples": len(dataset.test),
        **accuracies(config.evaluation, certificate, attack),
        "layers": layer_rows(model, config.evaluation.norm, dataset.problem.shape),
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "command": list(command),
        "seed": config.seed,
        "commit": commit(),
        "versions": {
            "taut": taut.__version__,
            "torch": torch.__version__,
            "numpy": numpy.__version__,
            "python": platform.python_version(),
        },
        "machine": machine(),
    }


def accuracies(
    config: EvaluationConfig, certificate: certify.Certificate, attack: AttackResult | None
) -> dict[str, Any]:
    """Clean, certified and attacked accuracy and the Lipschitz bound; the part of result.json that depends on radii."""
    figures: dict[str, Any] = {
        "accuracy": certificate.accuracy,
        "norm": config.norm,
        "lipschitz_bound": certificate.lipschitz_bound,
        "certified": {f"{eps:g}": certificate.certified_accuracy(eps) for eps in sorted(config.radii)},
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
            "certified": {f"{eps:g}": float((radius > eps).double().mean()) for eps in sorted(config.radii)},
        }
    return figures


def layer_rows(model: nn.Module, norm: str, shape: tuple[int, ...]) -> list[dict[str, Any]]:
    """One row per layer of the audit, with the singular values of its weight (at most 512 of them, evenly chosen)."""
    modules = dict(model.named_modules())
    rows = []
    found = certify.audit(model, norm=norm, input_shape=shape, search_seconds=0.0)
    for row in found.to_dict()["layers"]:
        for varying in ("lower", "lower_method", "seconds"):  # a run that is repeated has the same result
            del row[varying]
        weight = getattr(modules.get(row["name"]), "weight", None)
        rows.append({**row, "singular_values": _spectrum(weight) if isinstance(weight, Tensor) else []})
    return rows


@torch.no_grad()
def _spectrum(weight: Tensor) -> list[float]:
    values = torch.linalg.svdvals(weight.detach().cpu().double().flatten(1))
    if len(values) > _SPECTRUM_POINTS:
        values = values[torch.linspace(0, len(values) - 1, _SPECTRUM_POINTS).round().long()]
    return values.tolist()


def evaluation_tensors(split: Split, certificate: certify.Certificate) -> dict[str, Tensor]:
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
    config: EvaluationConfig, certificate: certify.Certificate, attack: AttackResult
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


def machine() -> str:
    """What the numbers were computed on, without the name of the computer."""
    parts = [platform.system(), platform.machine(), f"{torch.get_num_threads()} CPU threads"]
    if torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    return ", ".join(parts)


def commit() -> str | None:
    """Commit of the git checkout that taut runs from, with "-dirty" where files differ from it; None elsewhere."""
    source = Path(taut.__file__).parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(source), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None
