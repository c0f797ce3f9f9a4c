"""Class by class: what is confused with what, accuracy with and without proof, and where the margin's gradient is."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from taut.attacks import AttackResult, margins
from taut.tasks.classification.full.measured import Subject

_BATCH = 100


def confusion(subject: Subject, classes: int) -> Tensor:
    """How many samples of each label (row) are given each class (column); outputs that are not finite are left out."""
    label = torch.as_tensor(subject.certificate.label)
    prediction = torch.as_tensor(subject.certificate.prediction)
    known = prediction >= 0
    pairs = label[known] * classes + prediction[known]
    return torch.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def per_class(
    subject: Subject, names: Sequence[str], radii: Sequence[float], attacked: AttackResult
) -> list[dict[str, Any]]:
    """Clean, certified and attacked accuracy of each class; None where it has no samples."""
    label, radius = torch.as_tensor(subject.certificate.label), subject.radius
    rows = []
    for number, name in enumerate(names):
        own, met = label == number, subject.some.labels == number
        row: dict[str, Any] = {"name": name, "samples": int(own.sum()), "accuracy": _share(subject.correct[own])}
        row["certified"] = {} if radius is None else {f"{eps:g}": _share(radius[own] > eps) for eps in radii}
        row["attacked_samples"] = int(met.sum())
        near = None if radius is None else radius[: len(met)][met]
        row["certified_attacked"] = {} if near is None else {f"{eps:g}": _share(near > eps) for eps in radii}
        row["attacked"] = {f"{eps:g}": _share(attacked.broken_at[met] > eps) for eps in radii}
        rows.append(row)
    return rows


def _share(truths: Tensor) -> float | None:
    return float(truths.double().mean()) if len(truths) else None


def gradients(subject: Subject, classes: int) -> dict[str, Tensor]:
    """The gradient of the margin with respect to the picture: the mean of each class, and of one sample of each.

    Only for pictures; `class_gradient` is zero for a class of which no sample was looked at.
    """
    inputs, labels = subject.some.inputs, subject.some.labels
    if inputs.ndim != 4:
        return {}
    total = torch.zeros(classes, *inputs.shape[1:], dtype=torch.float64)
    own: dict[int, tuple[int, Tensor]] = {}
    with subject.telling("gradients of the margin", len(labels)) as tell:
        for start in range(0, len(labels), _BATCH):
            part = labels[start : start + _BATCH]
            gradient = _margin_gradient(subject, inputs[start : start + _BATCH], part)
            total.index_add_(0, part, gradient)
            for place, label in enumerate(part.tolist()):
                own.setdefault(label, (start + place, gradient[place]))
            tell(start + len(part))
    counts = torch.bincount(labels, minlength=classes).clamp_min(1)
    order = sorted(own)
    index = torch.tensor([own[label][0] for label in order])
    return {
        "class_gradient": total / counts[:, None, None, None],
        "class_gradient_samples": torch.bincount(labels, minlength=classes),
        "sample_gradient": torch.stack([own[label][1] for label in order]),
        "sample_gradient_index": index,
        "sample_gradient_label": labels[index],
        "sample_gradient_input": inputs[index],
    }


def _margin_gradient(subject: Subject, inputs: Tensor, labels: Tensor) -> Tensor:
    with torch.enable_grad():
        points = inputs.to(subject.device, torch.float64).requires_grad_(True)
        margin = margins(subject.twin(points), labels.to(subject.device))
        (gradient,) = torch.autograd.grad(margin.sum(), points)
    return gradient.cpu()
