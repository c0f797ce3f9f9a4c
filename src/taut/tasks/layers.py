"""The layers of a finished network, for result.json."""

from typing import Any

import torch
from torch import Tensor, nn

from taut import certify

_SPECTRUM_POINTS = 512


def layer_rows(model: nn.Module, norm: str, shape: tuple[int, ...] | None) -> list[dict[str, Any]]:
    """One row per layer of the audit, with the singular values of its weight (at most 512 of them, evenly chosen).

    Without a shape, the bounds hold for inputs of every size.
    """
    modules = dict(model.named_modules())
    rows = []
    found = certify.audit(model, norm=norm, input_shape=shape, search_seconds=0.0)
    for row in found.to_dict()["layers"]:
        for varying in ("lower", "lower_method", "seconds"):  # a run that is repeated has the same result
            del row[varying]
        weight = getattr(modules.get(row["name"]), "weight", None)
        # the slopes of a PReLU are a weight too, but no matrix
        values = _spectrum(weight) if isinstance(weight, Tensor) and weight.ndim > 1 else []
        rows.append({**row, "singular_values": values})
    return rows


@torch.no_grad()
def _spectrum(weight: Tensor) -> list[float]:
    values = torch.linalg.svdvals(weight.detach().cpu().double().flatten(1))
    if len(values) > _SPECTRUM_POINTS:
        values = values[torch.linspace(0, len(values) - 1, _SPECTRUM_POINTS).round().long()]
    return values.tolist()
