"""`result.json` of one-dimensional fits: the errors of all networks of each activation and kind of linear layer."""

from dataclasses import dataclass
from pathlib import Path

from taut.files import read_json
from taut.reports.folder.fields import Fields
from taut.reports.folder.provenance import Provenance, read_provenance

LINEAR = {"bjorck": "orthonormal", "spectral-norm": "spectral"}
"""The kinds of linear layers and how they are written."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One activation with one kind of linear layer."""

    activation: str
    linear: str
    errors: list[float]
    """Mean squared error of each network."""
    median: float
    mean: float
    quartiles: list[float]
    bounds: list[float]
    """Proven Lipschitz constant of each network."""
    slopes: list[float]
    """Smallest and largest slope of the network with the median error."""

    @property
    def name(self) -> str:
        """What it is called in the files of the run."""
        return f"{self.activation}/{self.linear}"


@dataclass(frozen=True, kw_only=True)
class Result:
    """All cells, in the order of their training."""

    function: str
    points: int
    models: int
    steps: int
    """Updates of each network."""
    variance: float
    """Of the function: the error of the best constant."""
    cells: list[Cell]
    provenance: Provenance

    @property
    def activations(self) -> list[str]:
        """The one with the smallest median error of its cells first."""
        smallest: dict[str, float] = {}
        for cell in self.cells:
            smallest[cell.activation] = min(cell.median, smallest.get(cell.activation, cell.median))
        return sorted(smallest, key=lambda name: smallest[name])

    @property
    def linears(self) -> list[str]:
        """In the order of the cells."""
        return list(dict.fromkeys(cell.linear for cell in self.cells))

    @property
    def best(self) -> Cell:
        """The cell with the smallest median error."""
        return min(self.cells, key=lambda cell: cell.median)

    @property
    def largest_bound(self) -> float:
        """Of all networks of all cells."""
        return max(max(cell.bounds) for cell in self.cells)

    def cell(self, activation: str, linear: str) -> Cell | None:
        """The one cell of the two, or None where it was not trained."""
        return next((cell for cell in self.cells if (cell.activation, cell.linear) == (activation, linear)), None)


def read_result(path: Path) -> Result:
    """Read and check `result.json`; a `UserError` names the field that is missing or wrong."""
    fields = Fields(read_json(path), path)
    models = fields.count("models")
    cells = [_read_cell(row, models) for row in fields.rows("cells")]
    if not cells:
        raise fields.wrong("cells", "a list of one cell or more", fields.values.get("cells"))
    return Result(
        function=fields.text("function"),
        points=fields.count("points"),
        models=models,
        steps=fields.count("steps"),
        variance=fields.number("variance"),
        cells=cells,
        provenance=read_provenance(fields),
    )


def _read_cell(fields: Fields, models: int) -> Cell:
    linear = fields.text("linear")
    if linear not in LINEAR:
        raise fields.wrong("linear", " or ".join(f'"{name}"' for name in LINEAR), linear)
    errors = fields.numbers("errors", length=models)
    if not errors or min(errors) < 0:
        raise fields.wrong("errors", "a list of one number or more, none negative", errors)
    return Cell(
        activation=fields.text("activation"),
        linear=linear,
        errors=errors,
        median=fields.number("median"),
        mean=fields.number("mean"),
        quartiles=fields.numbers("quartiles", length=2),
        bounds=fields.numbers("lipschitz_bounds", length=models),
        slopes=fields.numbers("slopes", length=2),
    )
