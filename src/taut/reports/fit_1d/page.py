"""What the page of one-dimensional fits shows."""

from typing import Any

from taut.reports.fit_1d.abilities import ability
from taut.reports.fit_1d.curves import read_curves
from taut.reports.fit_1d.curves_plot import curves_picture
from taut.reports.fit_1d.errors_plot import errors_picture
from taut.reports.fit_1d.learning_plot import learning_picture
from taut.reports.fit_1d.result import LINEAR, Result, read_result
from taut.reports.folder.metrics import read_metrics
from taut.reports.folder.run_folder import RunFolder
from taut.reports.page.page import Page
from taut.reports.pictures.activation_plot import activations_picture
from taut.reports.pictures.style import Picture


def fit_1d_page(folder: RunFolder) -> Page:
    """Read the fits and draw them; a `UserError` names what is damaged."""
    result = folder.when_there("result.json", read_result)
    return Page(
        folder=folder,
        template="fit_1d/report.html",
        provenance=result.provenance if result else None,
        pictures=_pictures(folder, result),
        context=_context(result) if result else {"result": None},
    )


def _pictures(folder: RunFolder, result: Result | None) -> dict[str, Picture | None]:
    curves = folder.when_there("evaluation.safetensors", read_curves)
    metrics = folder.when_there("metrics.jsonl", read_metrics)
    return {
        "curves": curves_picture(result, curves) if result and curves else None,
        "errors": errors_picture(result) if result else None,
        "learning": learning_picture(metrics) if metrics and metrics.valid else None,
        "activations": activations_picture(folder),
    }


def _context(result: Result) -> dict[str, Any]:
    return {
        "result": result,
        "linear": LINEAR,
        "best": result.best,
        "worst": max(result.cells, key=lambda cell: cell.median),
        "relu": min((cell.median for cell in result.cells if cell.activation == "relu"), default=None),
        "ability": ability,
        "networks": sum(len(cell.errors) for cell in result.cells),
    }
