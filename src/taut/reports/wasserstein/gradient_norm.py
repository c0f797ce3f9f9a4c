"""What `result.json` says of the length of a critic's gradient."""

from dataclasses import dataclass

from taut.reports.folder.fields import Fields


@dataclass(frozen=True, kw_only=True)
class GradientNorm:
    """Lengths of the gradient of f / K at the points where it was measured: none can be larger than 1."""

    mean: float
    minimum: float
    maximum: float
    share_above: float
    """Fraction of the points at which it is above 0.9."""


def read_gradient_norm(fields: Fields) -> GradientNorm | None:
    """The field "gradient_norm"; None where it is absent."""
    inner = fields.inner("gradient_norm")
    if not inner.values:
        return None
    return GradientNorm(
        mean=inner.number("mean"),
        minimum=inner.number("minimum"),
        maximum=inner.number("maximum"),
        share_above=inner.number("share_above_0.9"),
    )
