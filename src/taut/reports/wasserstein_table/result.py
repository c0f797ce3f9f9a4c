"""`result.json` of the table: a distance for each activation and linear layer, and exact transport beside."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taut.files import read_json
from taut.reports.folder.fields import Fields
from taut.reports.folder.provenance import Provenance, read_provenance

LINEAR = {"spectral-norm": "spectral norm", "bjorck": "Björck"}
"""The linear layers of the table and how they are written."""
PUBLISHED = {"mnist": "MNIST", "cifar10": "CIFAR-10"}
"""The data sets that numbers are published for."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One activation with one linear layer, over the seeds."""

    activation: str
    linear: str
    values: list[float]
    """The estimate of each seed."""
    fractions: list[float]
    """Of the exact transport value, by seed."""
    mean: float
    spread: float
    """Standard deviation over the seeds."""
    lipschitz_bounds: list[float]
    """Proven, by seed."""
    seconds: float | None
    published: dict[str, float]
    """By data set; without those that nobody published."""

    @property
    def name(self) -> str:
        """What it is, for a line of a picture."""
        return f"{self.activation} · {LINEAR[self.linear]}"


@dataclass(frozen=True, kw_only=True)
class Transport:
    """Exact transport between the samples that the cells were measured on."""

    value: float
    samples: int
    standard_error: float | None


@dataclass(frozen=True, kw_only=True)
class Result:
    """The whole table. Distances are in the units of the pictures, l2."""

    budget: str
    dataset: str
    generator: dict[str, Any]
    """How it was trained, as the run says it."""
    transport: Transport
    cells: list[Cell]
    provenance: Provenance

    @property
    def column(self) -> str:
        """The data set whose published numbers these are compared with: the same where there are any, else MNIST."""
        return "cifar10" if "cifar" in self.dataset.lower() else "mnist"

    @property
    def activations(self) -> list[str]:
        """In the order of the cells."""
        return list(dict.fromkeys(cell.activation for cell in self.cells))

    def cell(self, activation: str, linear: str) -> Cell | None:
        """The one cell of the two, or None where it was not measured."""
        return next((cell for cell in self.cells if (cell.activation, cell.linear) == (activation, linear)), None)


def read_result(path: Path) -> Result:
    """Read and check `result.json`; a `UserError` names the field that is missing or wrong."""
    return parse_result(Fields(read_json(path), path))


def parse_result(fields: Fields) -> Result:
    """The content of `result.json`, checked."""
    transport = fields.inner("transport")
    cells = [_parse_cell(row) for row in fields.rows("cells")]
    if not cells:
        raise fields.wrong("cells", "a list of one cell or more", fields.values.get("cells"))
    return Result(
        budget=fields.text("budget"),
        dataset=fields.text("dataset"),
        generator=fields.mapping("generator"),
        transport=Transport(
            value=transport.number("value"),
            samples=transport.count("samples"),
            standard_error=transport.optional_number("standard_error"),
        ),
        cells=cells,
        provenance=read_provenance(fields),
    )


def _parse_cell(fields: Fields) -> Cell:
    linear, values = fields.text("linear"), fields.numbers("values")
    if linear not in LINEAR:
        raise fields.wrong("linear", " or ".join(f'"{name}"' for name in LINEAR), linear)
    if not values:
        raise fields.wrong("values", "a list of one number or more", fields.values.get("values"))
    published = fields.inner("published")
    known = {name: published.optional_number(name) for name in PUBLISHED}
    return Cell(
        activation=fields.text("activation"),
        linear=linear,
        values=values,
        fractions=fields.numbers("fractions", length=len(values)),
        mean=fields.number("mean"),
        spread=fields.number("spread"),
        lipschitz_bounds=fields.numbers("lipschitz_bounds", length=len(values)),
        seconds=fields.optional_number("seconds"),
        published={name: value for name, value in known.items() if value is not None},
    )
