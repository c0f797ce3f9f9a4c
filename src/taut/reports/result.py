"""`result.json`: what was measured and proved once the training was over."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taut.files import read_json
from taut.reports.fields import Fields


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One row of the proof: a layer, its bound, and how the bound was found."""

    name: str
    kind: str
    bound: float
    """Proven bound of the layer's norm."""
    sigma_min: float | None
    sigma_max: float | None
    method: str
    singular_values: list[float]
    """In decreasing order; empty where the layer has none, or where they were not computed."""


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
    lipschitz_bound: float
    certified: dict[float, float]
    """Fraction of the samples whose certified radius is larger than the key."""
    attacked: dict[float, float]
    """Fraction of the attacked samples that are still correct after an attack of that size."""
    attack: "Attack"
    layers: list[Layer]
    parameters: int | None
    seconds: dict[str, float]
    command: list[str]
    seed: int | None
    commit: str | None
    versions: dict[str, str]
    machine: str | None


def read_result(path: Path) -> Result:
    """Read and check `result.json`; a `UserError` names the field that is missing or wrong."""
    fields = Fields(read_json(path), path)
    seed, parameters = fields.optional_number("seed"), fields.optional_number("parameters")
    seconds = Fields(fields.mapping("seconds"), path)
    return Result(
        recipe=fields.text("recipe"),
        dataset=fields.text("dataset"),
        samples=int(fields.number("samples")),
        norm=_norm(fields),
        accuracy=fields.number("accuracy"),
        lipschitz_bound=fields.number("lipschitz_bound"),
        certified=fields.by_radius("certified"),
        attacked=fields.by_radius("attacked"),
        attack=_read_attack(fields),
        layers=[_read_layer(layer, path) for layer in fields.sequence("layers")],
        parameters=None if parameters is None else int(parameters),
        seconds={step: seconds.number(step) for step in seconds.values},
        command=[str(word) for word in fields.sequence("command")],
        seed=None if seed is None else int(seed),
        commit=fields.values.get("commit"),
        versions={name: str(version) for name, version in fields.mapping("versions").items()},
        machine=fields.values.get("machine"),
    )


def _read_attack(fields: Fields) -> Attack:
    """What the run does not say about the attack is that of the whole held-out split."""
    attack = Fields(fields.mapping("attack"), fields.path)
    samples, accuracy = attack.optional_number("samples"), attack.optional_number("accuracy")
    own = ("samples", "accuracy", "certified")
    return Attack(
        samples=int(fields.number("samples") if samples is None else samples),
        accuracy=fields.number("accuracy") if accuracy is None else accuracy,
        certified=attack.by_radius("certified") or fields.by_radius("certified"),
        settings={name: value for name, value in attack.values.items() if name not in own},
    )


def _norm(fields: Fields) -> str:
    norm = fields.text("norm")
    if norm not in ("l2", "linf"):
        raise fields.wrong("norm", '"l2" or "linf"', norm)
    return norm


def _read_layer(values: Any, path: Path) -> Layer:
    if not isinstance(values, dict):
        raise Fields({}, path).wrong("layers", "a list of objects", values)
    fields = Fields(values, path)
    return Layer(
        name=fields.text("name"),
        kind=fields.text("kind"),
        bound=fields.number("bound"),
        sigma_min=fields.optional_number("sigma_min"),
        sigma_max=fields.optional_number("sigma_max"),
        method=fields.text("method"),
        singular_values=sorted((float(value) for value in fields.sequence("singular_values")), reverse=True),
    )
