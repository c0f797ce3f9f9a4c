"""What the page of the table of layers shows."""

from pathlib import Path

from taut.reports.cifar10_table.dots_plot import dots_picture
from taut.reports.cifar10_table.result import SIZES, Result, read_result
from taut.reports.cifar10_table.time_plot import time_picture
from taut.reports.folder.metrics import Metrics, read_metrics
from taut.reports.folder.run_folder import RunFolder
from taut.reports.page.page import Page


def cifar10_table_page(folder: RunFolder) -> Page:
    """Read the table and the logs of its cells, and draw them; a `UserError` names what is damaged."""
    result = folder.when_there("result.json", read_result)
    return Page(
        folder=folder,
        template="cifar10_table/report.html",
        provenance=result.provenance if result else None,
        pictures={
            "dots": dots_picture(result) if result else None,
            "time": time_picture(_logs(folder.path, result)) if result else None,
        },
        context={"result": result, "sizes": SIZES},
    )


def _logs(path: Path, result: Result) -> dict[str, Metrics]:
    logs = {row.name: path / row.folder / "metrics.jsonl" for row in result.rows}
    return {name: read_metrics(log) for name, log in logs.items() if log.is_file()}
