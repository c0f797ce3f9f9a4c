"""The layers of a network, as result.json lists them: the rows of the proof of its constant."""

from dataclasses import dataclass

from taut.reports.folder.fields import Fields


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


def read_layers(fields: Fields) -> list[Layer]:
    """The list `layers`; empty where it is absent."""
    return [_read_layer(row) for row in fields.rows("layers")]


def _read_layer(fields: Fields) -> Layer:
    return Layer(
        name=fields.text("name"),
        kind=fields.text("kind"),
        bound=fields.number("bound"),
        sigma_min=fields.optional_number("sigma_min"),
        sigma_max=fields.optional_number("sigma_max"),
        method=fields.text("method"),
        singular_values=sorted(fields.numbers("singular_values"), reverse=True),
    )
