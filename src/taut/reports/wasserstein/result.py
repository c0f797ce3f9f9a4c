"""`result.json` of a Wasserstein run: the distance from below, from above, and where it is known exactly."""

import math
from dataclasses import dataclass
from pathlib import Path

from taut.files import read_json
from taut.reports.folder.fields import Fields
from taut.reports.folder.layers import Layer, read_layers
from taut.reports.folder.provenance import Provenance, read_provenance


@dataclass(frozen=True, kw_only=True)
class GradientNorm:
    """Lengths of the gradient of f / K at the points where it was measured: none can be larger than 1."""

    mean: float
    minimum: float
    maximum: float
    share_above: float
    """Fraction of the points at which it is above 0.9."""


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

    def fraction_of(self, distance: float | None) -> float | None:
        """The estimate as a fraction of a distance; None where that is unknown or nothing."""
        return self.estimate / distance if distance else None


def read_result(path: Path) -> Result:
    """Read and check `result.json`; a `UserError` names the field that is missing or wrong."""
    fields = Fields(read_json(path), path)
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
        gradient_norm=_read_gradient_norm(fields),
        layers=read_layers(fields),
        parameters=fields.optional_count("parameters"),
        provenance=read_provenance(fields),
    )


def _read_gradient_norm(fields: Fields) -> GradientNorm | None:
    inner = fields.inner("gradient_norm")
    if not inner.values:
        return None
    return GradientNorm(
        mean=inner.number("mean"),
        minimum=inner.number("minimum"),
        maximum=inner.number("maximum"),
        share_above=inner.number("share_above_0.9"),
    )
