"""`activations.safetensors`: the shapes that the activations of a network have learned."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taut.errors import UserError
from taut.reports.folder.tensors import read_tensors

FILE = "activations.safetensors"


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Functions of one number, linear between knots: a row for each channel."""

    name: str
    """Place in the network."""
    kind: str
    """Name of the class."""
    knots: np.ndarray
    values: np.ndarray
    """At the knots."""
    slopes: np.ndarray
    """Of the piece before each knot, and of the last piece."""


@dataclass(frozen=True, kw_only=True)
class Folds:
    """Functions of pairs of numbers, folded along lines or rays: a column for each pair."""

    name: str
    kind: str
    angles: np.ndarray
    """(1, pairs): of the lines; (3, pairs): of the first ray, and the widths of the first two sectors."""


def read_activations(path: Path) -> list[Curves | Folds]:
    """The activations in the order of the network; a `UserError` names what is damaged."""
    places: dict[str, dict[str, np.ndarray]] = {}
    for key, tensor in read_tensors(path, required=()).items():
        place, _, part = key.rpartition("/")
        places.setdefault(place, {})[part] = tensor.astype(np.float64)
    return [_activation(place, parts, path) for place, parts in sorted(places.items())]


def _activation(place: str, parts: dict[str, np.ndarray], path: Path) -> Curves | Folds:
    _, kind, name = place.split("/", 2) if place.count("/") >= 2 else ("", "", "")
    angles = parts.get("angles")
    if kind and angles is not None and angles.ndim == 2 and angles.shape[0] in (1, 3) and angles.size:
        return Folds(name=name, kind=kind, angles=angles)
    if kind and {"knots", "values", "slopes"} <= set(parts):
        knots, values, slopes = parts["knots"], parts["values"], parts["slopes"]
        channels, count = knots.shape if knots.ndim == 2 and knots.size else (0, 0)
        finite = all(np.isfinite(part).all() for part in (knots, values, slopes))
        if channels and finite and values.shape == knots.shape and slopes.shape == (channels, count + 1):
            return Curves(name=name, kind=kind, knots=knots, values=values, slopes=slopes)
    raise UserError(f"{path} is damaged: {place!r} is no activation that can be drawn")
