"""`result.json` and `examples.safetensors` of an attack, read back."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taut.errors import UserError
from taut.files import read_json
from taut.reports.folder.fields import Fields
from taut.reports.folder.tensors import read_tensors

_TENSORS = ("index", "input", "attacked", "label", "prediction", "broken_at", "certified_radius")


@dataclass(frozen=True, kw_only=True)
class Distances:
    """Of an attack that looks for the nearest misclassified point."""

    changed: int
    correct: int
    mean: float | None
    quartiles: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class Attack:
    """What the page of an attack shows."""

    method: str
    norm: str
    dataset: str
    command: str
    classes: tuple[str, ...]
    samples: int
    accuracy: float
    success_rate: float | None
    proof: str
    rows: tuple[tuple[float, float | None, float], ...]
    """Radius, certified and attacked accuracy of the attacked samples; None where nothing is certified."""
    distances: Distances | None
    tensors: dict[str, np.ndarray]


def read_attack(folder: Path) -> Attack:
    """Read what an attack wrote; a `UserError` names what is damaged."""
    path = folder / "result.json"
    fields = Fields(read_json(path), path)
    about = fields.inner("attack")
    certified, attacked = about.by_radius("certified"), fields.by_radius("attacked")
    found = about.inner("distances")
    quartiles = found.sequence("quartiles")
    tensors = read_tensors(folder / "examples.safetensors", required=_TENSORS)
    if len({len(tensors[name]) for name in _TENSORS[:5]}) > 1:
        raise UserError(f"{folder / 'examples.safetensors'} is damaged: its examples differ in number")
    return Attack(
        method=about.text("method"),
        norm=fields.text("norm"),
        dataset=fields.text("dataset"),
        command=" ".join(map(str, fields.sequence("command"))),
        classes=tuple(map(str, fields.sequence("classes"))),
        samples=about.count("samples"),
        accuracy=about.number("accuracy"),
        success_rate=about.optional_number("success_rate"),
        proof=about.text("proof"),
        rows=tuple((eps, certified.get(eps), share) for eps, share in attacked.items()),
        distances=Distances(
            changed=found.count("changed"),
            correct=found.count("correct"),
            mean=found.optional_number("mean"),
            quartiles=tuple(None if value is None else float(value) for value in quartiles),
        )
        if found.values
        else None,
        tensors=tensors,
    )
