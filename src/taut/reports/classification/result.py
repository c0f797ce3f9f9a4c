"""`result.json`: what was measured and proved once the training was over."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taut.files import read_json
from taut.reports.folder.fields import Fields
from taut.reports.folder.layers import Layer, read_layers
from taut.reports.folder.provenance import Provenance, read_provenance


@dataclass(frozen=True, kw_only=True)
class Attack:
    """How the attack was made. It may have met only the first of the samples: then it has numbers of its own."""

    samples: int
    accuracy: float
    """Clean accuracy on the attacked samples."""
    certified: dict[float, float]
    """Certified accuracy on the attacked samples."""
    settings: dict[str, Any]
    """All else that the run says about it."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """The numbers of a finished classification run. Fractions lie in [0, 1]; radii are in input units."""

    recipe: str
    dataset: str
    samples: int
    norm: str
    accuracy: float
    lipschitz_bound: float | None
    """None where the network has no certificate."""
    certified: dict[float, float]
    """Fraction of the samples whose certified radius is larger than the key."""
    attacked: dict[float, float]
    """Fraction of the attacked samples that are still correct after an attack of that size."""
    fgsm: dict[float, float]
    """The same after one gradient step of the whole radius; empty where that was not tried."""
    attack: "Attack"
    layers: list[Layer]
    parameters: int | None
    provenance: Provenance


def read_result(path: Path) -> Result:
    """Read and check `result.json`; a `UserError` names the field that is missing or wrong."""
    fields = Fields(read_json(path), path)
    return Result(
        recipe=fields.text("recipe"),
        dataset=fields.text("dataset"),
        samples=fields.count("samples"),
        norm=_norm(fields),
        accuracy=fields.number("accuracy"),
        lipschitz_bound=fields.optional_number("lipschitz_bound")
        if not fields.mapping("certified")
        else fields.number("lipschitz_bound"),
        certified=fields.by_radius("certified"),
        attacked=fields.by_radius("attacked"),
        fgsm=fields.by_radius("fgsm"),
        attack=_read_attack(fields),
        layers=read_layers(fields),
        parameters=fields.optional_count("parameters"),
        provenance=read_provenance(fields),
    )


def _read_attack(fields: Fields) -> Attack:
    """What the run does not say about the attack is that of the whole held-out split."""
    attack = fields.inner("attack")
    samples, accuracy = attack.optional_count("samples"), attack.optional_number("accuracy")
    own = ("samples", "accuracy", "certified")
    return Attack(
        samples=fields.count("samples") if samples is None else samples,
        accuracy=fields.number("accuracy") if accuracy is None else accuracy,
        certified=attack.by_radius("certified") or fields.by_radius("certified"),
        settings={name: value for name, value in attack.values.items() if name not in own},
    )


def _norm(fields: Fields) -> str:
    norm = fields.text("norm")
    if norm not in ("l2", "linf"):
        raise fields.wrong("norm", '"l2" or "linf"', norm)
    return norm
