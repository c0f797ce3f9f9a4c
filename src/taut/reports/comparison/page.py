"""What the pages of comparisons show: that of a folder that `taut compare` made, and that of any runs of one task."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taut.files import write_bytes
from taut.reports.comparison.curves_plot import curves_picture
from taut.reports.comparison.result import FILE, Comparison, parse_comparison, read_comparison
from taut.reports.folder.metrics import Metrics, read_metrics
from taut.reports.folder.run_folder import RunFolder, read_folder
from taut.reports.page.page import Page
from taut.reports.page.render import render
from taut.reports.pictures.style import Picture


def comparison_page(folder: RunFolder) -> Page:
    """Read the comparison and the logs of its runs, and draw it; a `UserError` names what is damaged."""
    result = folder.when_there(FILE, read_comparison)
    folders = {row.name: folder.path / row.folder for row in result.rows} if result else {}
    return Page(
        folder=folder,
        template="comparison/report.html",
        provenance=result.provenance if result else None,
        pictures={"learning": _learning(folders)},
        context={"comparison": result, "links": True},
    )


def write_task_comparison(content: Mapping[str, Any], folders: Mapping[str, Path], out: Path) -> Path:
    """Write one page that compares finished runs of one task to the file `out`, with its plot beside it; return `out`.

    `content` is that of comparison.json; `folders` are those of its runs, by name.

    Raises:
        UserError: for a damaged log, or a page that cannot be written.
    """
    comparison = parse_comparison(content)
    learning = _learning(folders)
    context = {"comparison": comparison, "links": False, "pictures": {"learning": learning}}
    page = render("comparison/several.html", context | {"differing": _differing(comparison, folders)})
    if learning:
        write_bytes(out.with_name(f"{out.stem}-{learning.name}.png"), learning.light)
    write_bytes(out, page)
    return out


def _learning(folders: Mapping[str, Path]) -> Picture | None:
    logs: dict[str, Metrics] = {}
    for name, path in folders.items():
        if (path / "metrics.jsonl").is_file():
            logs[name] = read_metrics(path / "metrics.jsonl", required=())
    return curves_picture(logs) if logs else None


def _differing(comparison: Comparison, folders: Mapping[str, Path]) -> dict[str, list[Any]]:
    """The settings that are not the same in all runs, with the value in each, in the order of the rows."""
    flat = [read_folder(folders[row.name]) for row in comparison.rows]
    pairs = [{"recipe": each.recipe, "seed": each.config.get("seed"), **each.settings} for each in flat]
    names = list(dict.fromkeys(name for each in pairs for name in each))
    columns = {name: [each.get(name, "") for each in pairs] for name in names}
    return {name: values for name, values in columns.items() if any(value != values[0] for value in values)}
