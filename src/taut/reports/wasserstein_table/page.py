"""What the page of the table shows."""

from typing import Any

from taut.reports.folder.run_folder import RunFolder
from taut.reports.page.page import Page
from taut.reports.wasserstein_table.dots_plot import dots_picture
from taut.reports.wasserstein_table.order import published_order, ratios
from taut.reports.wasserstein_table.result import LINEAR, PUBLISHED, Result, read_result


def wasserstein_table_page(folder: RunFolder) -> Page:
    """Read the table and draw it; a `UserError` names what is damaged."""
    result = folder.when_there("result.json", read_result)
    return Page(
        folder=folder,
        template="wasserstein_table/report.html",
        provenance=result.provenance if result else None,
        pictures={"dots": dots_picture(result) if result else None},
        context=_context(result) if result else {"result": None},
    )


def _context(result: Result) -> dict[str, Any]:
    largest = max(result.cells, key=lambda cell: cell.mean)
    return {
        "result": result,
        "linear": LINEAR,
        "published": PUBLISHED,
        "order": published_order(result),
        "ratios": ratios(result),
        "largest": largest,
        "largest_fraction": sum(largest.fractions) / len(largest.fractions),
    }
