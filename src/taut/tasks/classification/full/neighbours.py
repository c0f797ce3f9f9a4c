"""The nearest training sample of another label, for each held-out sample, and what it says about certificates."""

from typing import Any

import torch
from torch import Tensor

from taut.data import Nearest, Split, nearest_other_label
from taut.tasks.classification.full.measured import Subject, spread

_PAIRS = 10


def neighbours(subject: Subject, train: Split) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Statistics by norm, and the tensors of the distances and of the closest pairs.

    l2 is of all samples; linf, which is dear, of some, and only where the run is about it.
    """
    figures, tensors = {}, {}
    for norm in ("l2", *(["linf"] if subject.norm == "linf" else [])):
        split = subject.split if norm == "l2" else subject.some
        with subject.telling(f"nearest training sample of another label ({norm})", len(split)) as tell:
            found = nearest_other_label(
                split.inputs, split.labels, train.inputs, train.labels, norm=norm, progress=tell
            )
        figures[norm] = {
            "samples": len(split),
            "rechecked": found.rechecked,
            **spread(found.distance[found.index >= 0]),
            **(_against_radii(subject, found) if norm == subject.norm else {}),
        }
        tensors |= {f"nearest_{norm}": found.distance, f"nearest_{norm}_index": found.index}
        if norm == subject.norm:
            tensors |= _closest(split, train, found)
    return figures, tensors


def _against_radii(subject: Subject, found: Nearest) -> dict[str, Any]:
    """How many certified radii pass half the distance (no classifier can do so at both ends), and all of it (then the
    training sample is misclassified)."""
    if subject.radius is None:
        return {}
    radius = subject.radius[: len(found.distance)]
    return {
        "radius_above_half": int((radius > found.distance / 2).sum()),
        "radius_above_all": int((radius > found.distance).sum()),
    }


def _closest(split: Split, train: Split, found: Nearest) -> dict[str, Tensor]:
    order = torch.argsort(found.distance, stable=True)
    order = order[found.index[order] >= 0][:_PAIRS]
    other = found.index[order]
    tensors = {
        "closest_index": order,
        "closest_other_index": other,
        "closest_label": split.labels[order],
        "closest_other_label": train.labels[other],
        "closest_distance": found.distance[order],
    }
    if split.inputs.ndim == 4:
        tensors |= {"closest": split.inputs[order], "closest_other": train.inputs[other]}
    return tensors
