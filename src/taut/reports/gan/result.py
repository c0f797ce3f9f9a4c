"""`result.json` of a GAN run: how near the generator's pictures come to real ones, and what is proven of the critic."""

from dataclasses import dataclass
from pathlib import Path

from taut.files import read_json
from taut.reports.folder.fields import Fields
from taut.reports.folder.provenance import Provenance, read_provenance


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Distance and overlap of two sets of pictures, in the features of a classifier."""

    frechet: float
    precision: float
    recall: float


@dataclass(frozen=True, kw_only=True)
class Bracket:
    """The Wasserstein-1 distance in pixels, l2: from below by a critic of its own, from above by exact transport."""

    estimate: float
    lower: float
    upper: float | None
    transport: float | None
    lipschitz_bound: float
    """Proven, of the critic that measured it."""
    reference_transport: float | None
    """Exact transport between training pictures and held-out ones."""


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Generated pictures against held-out ones, with training pictures against held-out ones as the reference."""

    samples: int
    features: str
    """What the features are."""
    feature_accuracy: float | None
    """Of the classifier that they come from."""
    scores: Scores
    reference: Scores | None
    wasserstein1: Bracket | None


@dataclass(frozen=True, kw_only=True)
class Result:
    """The numbers of a finished run."""

    dataset: str
    gan_type: str
    shape: tuple[int, ...]
    critic: str
    lipschitz_bound: float | None
    """Of the critic that trained the generator; None where nothing is proven."""
    quality: Quality | None
    parameters: dict[str, int]
    """By network."""
    provenance: Provenance


def read_result(path: Path) -> Result:
    """Read and check `result.json`; a `UserError` names the field that is missing or wrong."""
    fields = Fields(read_json(path), path)
    parameters = fields.inner("parameters")
    return Result(
        dataset=fields.text("dataset"),
        gan_type=fields.text("gan_type"),
        shape=tuple(int(side) for side in fields.numbers("shape", length=3)),
        critic=fields.text("critic"),
        lipschitz_bound=fields.optional_number("lipschitz_bound"),
        quality=_read_quality(fields.inner("quality")),
        parameters={name: parameters.count(name) for name in parameters.values},
        provenance=read_provenance(fields),
    )


def _read_quality(fields: Fields) -> Quality | None:
    if not fields.values:
        return None
    reference = fields.inner("reference")
    return Quality(
        samples=fields.count("samples"),
        features=fields.text("features"),
        feature_accuracy=fields.optional_number("feature_accuracy"),
        scores=_read_scores(fields),
        reference=_read_scores(reference) if reference.values else None,
        wasserstein1=_read_bracket(fields.inner("wasserstein1")),
    )


def _read_scores(fields: Fields) -> Scores:
    return Scores(
        frechet=fields.number("frechet"), precision=fields.number("precision"), recall=fields.number("recall")
    )


def _read_bracket(fields: Fields) -> Bracket | None:
    if not fields.values:
        return None
    return Bracket(
        estimate=fields.number("estimate"),
        lower=fields.number("lower"),
        upper=fields.optional_number("upper"),
        transport=fields.optional_number("transport"),
        lipschitz_bound=fields.number("lipschitz_bound"),
        reference_transport=fields.optional_number("reference_transport"),
    )
