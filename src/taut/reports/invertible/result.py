"""`result.json` of an invertible network: likelihood, discrepancies, and what is proven of the inverse."""

from dataclasses import dataclass
from pathlib import Path

from taut.files import read_json
from taut.reports.folder.fields import Fields
from taut.reports.folder.layers import Layer, read_layers
from taut.reports.folder.provenance import Provenance, read_provenance


@dataclass(frozen=True, kw_only=True)
class Likelihood:
    """Means over the held-out samples, in nats."""

    value: float
    standard_error: float
    truth: float | None
    gap: float | None
    gap_standard_error: float | None


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A discrepancy of what was learned, and the same of two true samples."""

    value: float
    reference: float


@dataclass(frozen=True, kw_only=True)
class Inversion:
    """What was promised of the inverse of held-out samples, and what came out."""

    tolerance: float
    samples: int
    proven_steps: tuple[int, ...]
    steps: tuple[int, ...]
    error_bound: float
    max_error: float
    mean_error: float

    @property
    def holds(self) -> bool:
        """Whether no error exceeds what was proven of it."""
        return self.max_error <= self.error_bound <= self.tolerance


@dataclass(frozen=True, kw_only=True)
class Result:
    """The numbers of a finished run."""

    target: str
    description: str
    features: int
    samples: int
    loss: str
    lipschitz: float
    contractions: tuple[float, ...]
    lipschitz_bound: float
    inverse_lipschitz_bound: float
    inversion: Inversion
    forward: Compared
    inverse: Compared
    likelihood: Likelihood | None
    transport: Compared | None
    transport_samples: int | None
    layers: list[Layer]
    parameters: int | None
    provenance: Provenance


def read_result(path: Path) -> Result:
    """Read and check `result.json`; a `UserError` names the field that is missing or wrong."""
    fields = Fields(read_json(path), path)
    mmd, transport = fields.inner("mmd"), fields.inner("wasserstein1")
    contractions = tuple(fields.numbers("contractions"))
    if not contractions or not all(0 < rate < 1 for rate in contractions):
        raise fields.wrong("contractions", "one or more numbers between 0 and 1", fields.values.get("contractions"))
    return Result(
        target=fields.text("target"),
        description=fields.text("description"),
        features=fields.count("features"),
        samples=fields.count("samples"),
        loss=fields.text("loss"),
        lipschitz=fields.number("lipschitz"),
        contractions=contractions,
        lipschitz_bound=fields.number("lipschitz_bound"),
        inverse_lipschitz_bound=fields.number("inverse_lipschitz_bound"),
        inversion=_inversion(fields.inner("inversion"), len(contractions)),
        forward=Compared(value=mmd.number("forward"), reference=mmd.number("forward_reference")),
        inverse=Compared(value=mmd.number("inverse"), reference=mmd.number("inverse_reference")),
        likelihood=_likelihood(fields.inner("log_likelihood")),
        transport=Compared(value=transport.number("value"), reference=transport.number("reference"))
        if transport.values
        else None,
        transport_samples=transport.optional_count("samples"),
        layers=read_layers(fields),
        parameters=fields.optional_count("parameters"),
        provenance=read_provenance(fields),
    )


def _inversion(fields: Fields, blocks: int) -> Inversion:
    return Inversion(
        tolerance=fields.number("tolerance"),
        samples=fields.count("samples"),
        proven_steps=tuple(int(value) for value in fields.numbers("proven_steps", length=blocks)),
        steps=tuple(int(value) for value in fields.numbers("steps", length=blocks)),
        error_bound=fields.number("error_bound"),
        max_error=fields.number("max_error"),
        mean_error=fields.number("mean_error"),
    )


def _likelihood(fields: Fields) -> Likelihood | None:
    if not fields.values:
        return None
    return Likelihood(
        value=fields.number("value"),
        standard_error=fields.number("standard_error"),
        truth=fields.optional_number("truth"),
        gap=fields.optional_number("gap"),
        gap_standard_error=fields.optional_number("gap_standard_error"),
    )
