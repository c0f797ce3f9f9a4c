"""The units of the network on the held-out samples: dead ones, and ones that are linear on all of the data."""

from typing import Any

import torch
from torch import Tensor

from taut import models
from taut.tasks.classification.full.measured import Subject

SHARES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
"""Shares of the data in the table; the curve has all."""
_SAMPLES = 2000
"""At most so many samples, whose units are in memory at once."""


def units(subject: Subject) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
    """A row for each use of an activation layer, and the shares of each of its units."""
    dtype = next((parameter.dtype for parameter in subject.model.parameters()), torch.float32)
    inputs = subject.split.inputs[:_SAMPLES].to(subject.device, dtype)
    with subject.telling("units", len(inputs)) as tell:
        layers = models.unit_activity(subject.model, inputs, progress=tell)
    rows, tensors = [], {}
    for number, layer in enumerate(layers):
        rows.append(
            {
                "name": layer.name,
                "kind": layer.kind,
                "samples": len(inputs),
                "units": len(layer.active),
                "dead": int((layer.active == 0).sum()),
                "linear": int((layer.switching == 0).sum()),
                "active_on": {f"{share:g}": _at_least(layer.active, share) for share in SHARES},
                "switching_on": {f"{share:g}": _at_least(layer.switching, share) for share in SHARES},
            }
        )
        tensors |= {f"units/{number:03d}/active": layer.active, f"units/{number:03d}/switching": layer.switching}
    return rows, tensors


def _at_least(shares: Tensor, share: float) -> float:
    """The share of units that are so on at least this share of the data."""
    return float((shares.double() >= share - 1e-6).double().mean())
