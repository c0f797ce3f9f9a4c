"""`result.json` of a Wasserstein run: the distance from below, from above, and where it is known exactly."""

import math
from dataclasses import dataclass
from pathlib import Path

from taut.files import read_json
from taut.reports.folder.fields import Fields
from taut.reports.folder.layers import Layer, read_layers
from taut.reports.folder.provenance import Provenance, read_provenance
from taut.reports.wasserstein.beside import Beside, activation_name, read_beside
from taut.reports.wasserstein.gradient_norm import GradientNorm, read_gradient_norm


@dataclass(frozen=True, kw_only=True)
class Result:
    """The numbers of a finished run. Distances are in the units of the samples, l2."""

    p: str
    q: str
    p_description: str
    q_description: str
    shape: tuple[int, ...]
    """Of one sample."""
    samples: int
    """Held out of each distribution."""
    lipschitz_bound: float
    estimate: float
    standard_error: float
    confidence: float
    interval: tuple[float, float]
    lower: float
    upper: float | None
    transport: float | None
    transport_samples: int | None
    truth: float | None
    train_estimate: float
    gradient_norm: GradientNorm | None
    activation: str | None
    """Name of the critic's activation, as a person writes it."""
    beside: Beside | None
    layers: list[Layer]
    parameters: int | None
    provenance: Provenance

    @property
    def dimension(self) -> int:
        """Entries of one sample."""
        return math.prod(self.shape)

    @property
    def of_pictures(self) -> bool:
        """Whether one sample is a grey or coloured picture."""
        return len(self.shape) == 3 and self.shape[0] in (1, 3)


def fraction(estimate: float, distance: float | None) -> float | None:
    """An estimate as a fraction of a distance; None where that is unknown or nothing."""
    return estimate / distance if distance else None


def read_result(path: Path) -> Result:
    """Read and check `result.json`; a `UserError` names the field that is missing or wrong."""
    fields = Fields(read_json(path), path)
    activation = fields.optional_text("activation")
    low, high = fields.numbers("interval", length=2)
    return Result(
        p=fields.text("p"),
        q=fields.text("q"),
        p_description=fields.text("p_description"),
        q_description=fields.text("q_description"),
        shape=tuple(int(side) for side in fields.numbers("shape")),
        samples=fields.count("samples"),
        lipschitz_bound=fields.number("lipschitz_bound"),
        estimate=fields.number("estimate"),
        standard_error=fields.number("standard_error"),
        confidence=fields.number("confidence"),
        interval=(low, high),
        lower=fields.number("lower"),
        upper=fields.optional_number("upper"),
        transport=fields.optional_number("transport"),
        transport_samples=fields.optional_count("transport_samples"),
        truth=fields.optional_number("truth"),
        train_estimate=fields.number("train_estimate"),
        gradient_norm=read_gradient_norm(fields),
        activation=None if activation is None else activation_name(activation),
        beside=read_beside(fields),
        layers=read_layers(fields),
        parameters=fields.optional_count("parameters"),
        provenance=read_provenance(fields),
    )
