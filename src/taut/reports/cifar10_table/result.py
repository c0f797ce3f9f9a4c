"""`result.json` of the table of layers: what was run with each, what it reached, and what was published."""

from dataclasses import dataclass
from pathlib import Path

from taut.files import read_json
from taut.reports.folder.fields import Fields
from taut.reports.folder.provenance import Provenance, read_provenance

SIZES = {"xs": "XS", "l": "L"}
"""Of the published networks, and how they are written."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """What one layer reached after 24 hours."""

    accuracy: float
    certified: float
    """At 36/255, l2."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One layer."""

    name: str
    folder: str
    """Relative to the table's."""
    updates: int
    epochs: float
    """Pictures that were seen, as a multiple of the training split."""
    seconds: float
    parameters: int
    accuracy: float
    certified: list[float]
    """At each radius."""
    attacked: list[float]
    """At each radius; empty where nothing was attacked."""
    lipschitz_bound: float
    published: dict[str, Published]
    """By size of the network."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """The whole table."""

    budget: str
    dataset: str
    architecture: str
    minutes: float
    radii: list[float]
    norm: str
    samples: int
    attacked_samples: int
    rows: list[Row]
    provenance: Provenance

    @property
    def sizes(self) -> list[str]:
        """Of the networks that anything is published for, of these layers."""
        return [size for size in SIZES if any(size in row.published for row in self.rows)]

    @property
    def best(self) -> Row:
        """The row with the largest certified accuracy at the smallest radius."""
        return max(self.rows, key=lambda row: row.certified[0])


def read_result(path: Path) -> Result:
    """Read and check `result.json`; a `UserError` names the field that is missing or wrong."""
    fields = Fields(read_json(path), path)
    radii = fields.numbers("radii")
    if not radii:
        raise fields.wrong("radii", "a list of one number or more", fields.values.get("radii"))
    rows = [_parse_row(row, radii) for row in fields.rows("rows")]
    if not rows:
        raise fields.wrong("rows", "a list of one row or more", fields.values.get("rows"))
    return Result(
        budget=fields.text("budget"),
        dataset=fields.text("dataset"),
        architecture=fields.text("architecture"),
        minutes=fields.number("minutes"),
        radii=radii,
        norm=fields.text("norm"),
        samples=fields.count("samples"),
        attacked_samples=fields.count("attacked_samples"),
        rows=rows,
        provenance=read_provenance(fields),
    )


def _parse_row(fields: Fields, radii: list[float]) -> Row:
    published = fields.inner("published")
    return Row(
        name=fields.text("convolution"),
        folder=fields.text("folder"),
        updates=fields.count("updates"),
        epochs=fields.number("epochs"),
        seconds=fields.number("seconds"),
        parameters=fields.count("parameters"),
        accuracy=fields.number("accuracy"),
        certified=_at(fields, "certified", radii),
        attacked=_at(fields, "attacked", radii) if fields.mapping("attacked") else [],
        lipschitz_bound=fields.number("lipschitz_bound"),
        published={
            size: Published(accuracy=each.number("accuracy"), certified=each.number("certified"))
            for size in SIZES
            if (each := published.inner(size)).values
        },
    )


def _at(fields: Fields, name: str, radii: list[float]) -> list[float]:
    """The fraction at each radius, under the name that result.json gives the radius."""
    found = fields.inner(name)
    return [found.number(f"{radius:g}") for radius in radii]
