"""The page of several runs side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from taut.errors import UsageError, UserError
from taut.files import write_bytes
from taut.reports.classification.certified_plot import draw_curve, finish, radius_limit
from taut.reports.classification.evaluation import Evaluation
from taut.reports.classification.result import Result
from taut.reports.classification.run import Run, read_run
from taut.reports.folder.provenance import reproduce_command
from taut.reports.folder.run_folder import RunFolder, read_folder
from taut.reports.page.numbers import standard_error
from taut.reports.page.render import render
from taut.reports.pictures.style import Palette, Picture, new_figure, picture


@dataclass(frozen=True, kw_only=True)
class Row:
    """One run on the page."""

    label: str
    """Name of the folder, with as many of its parents as tell the runs apart."""
    run: Run
    result: Result
    best_accuracy: bool
    best_radii: set[float]
    """Radii at which no run of the same data and norm has more certified."""
    command: str


def write_comparison(run_dirs: Sequence[Path], out: Path) -> Path:
    """Write one page that compares finished runs to the file `out`, with its plots beside it; return `out`.

    Raises:
        UserError: if a folder is no finished run or holds a damaged file; UsageError for fewer than two runs.
    """
    if len(run_dirs) < 2:
        raise UsageError(f"a comparison needs at least two runs, got {len(run_dirs)}")
    rows = rows_of([_read(Path(run_dir)) for run_dir in run_dirs])
    proven = [row for row in rows if row.run.evaluation and row.result.certified]
    pictures = [_curves(norm, rows) for norm in sorted({row.result.norm for row in proven})]
    page = render("classification/comparison.html", _context(rows, pictures))
    for drawn in pictures:
        write_bytes(out.with_name(f"{out.stem}-{drawn.name}.png"), drawn.light)
    write_bytes(out, page)
    return out


def _read(path: Path) -> Run:
    folder = read_folder(path)
    if folder.task != "classification":
        raise UserError(
            f"{path} cannot be compared: its task is {folder.task!r}, and only runs of the task 'classification' can be"
        )
    return read_run(folder)


def rows_of(runs: list[Run]) -> list[Row]:
    """The runs with their labels and with what is best among runs of the same data and norm."""
    results = [_finished(run) for run in runs]
    rows = []
    for run, label, result in zip(runs, labels([run.folder.path for run in runs]), results, strict=True):
        rivals = [other for other in results if (other.dataset, other.norm) == (result.dataset, result.norm)]
        best = {
            eps
            for eps, fraction in result.certified.items()
            if _stands_out(fraction, [other.certified.get(eps, 0.0) for other in rivals])
        }
        rows.append(
            Row(
                label=label,
                run=run,
                result=result,
                best_accuracy=_stands_out(result.accuracy, [other.accuracy for other in rivals]),
                best_radii=best,
                command=reproduce_command(run.folder, result.provenance),
            )
        )
    return rows


def _stands_out(value: float, all_of_them: list[float]) -> bool:
    """Whether it is the largest, and not all are equal."""
    return value == max(all_of_them) and (len(all_of_them) == 1 or value > min(all_of_them))


def _finished(run: Run) -> Result:
    if run.result is None:
        raise UserError(f"{run.folder.path} cannot be compared: it has no result.json, its run is not finished")
    return run.result


def labels(paths: list[Path]) -> list[str]:
    """Folder names, with as many parents as it takes to tell them apart.

    >>> labels([Path("/a/one/run"), Path("/a/two/run")])
    ['one/run', 'two/run']
    """
    parts = [path.resolve().parts for path in paths]
    depth = 1
    while len({part[-depth:] for part in parts}) < len(set(parts)):
        depth += 1
    return ["/".join(part[-depth:]) for part in parts]


def _curves(norm: str, rows: list[Row]) -> Picture:
    name, alt = f"certified-accuracy-{norm}", "Certified and attacked accuracy of each run against the radius"
    return picture(name, alt, lambda palette: draw_curves(norm, rows, palette))


def draw_curves(norm: str, rows: list[Row], palette: Palette) -> Figure:
    """The curves of the runs that certify in `norm`: radii in two norms have no axis in common."""
    drawn = [
        (row, row.run.evaluation)
        for row in rows
        if row.run.evaluation and row.result.certified and row.result.norm == norm
    ]
    listed = [eps for row, _ in drawn for eps in (*row.result.certified, *row.result.attacked)]
    figure = new_figure(9.6, 4.8)
    axes = figure.add_subplot()
    for color, (row, evaluation) in zip(cycle(palette.series), drawn, strict=False):
        draw_curve(axes, evaluation, color=color, label=row.label)
        for attacked, marker, stroke in ((row.result.attacked, "o", (0, (5, 2))), (row.result.fgsm, "^", (0, (1, 2)))):
            if attacked:
                _draw_attacked(axes, row.result.attack.accuracy, attacked, color=color, marker=marker, stroke=stroke)
    finish(axes, norm, radius_limit([evaluation for _, evaluation in drawn], listed))
    _draw_legend(axes, drawn)
    return figure


def _draw_attacked(
    axes: Axes, accuracy: float, attacked: dict[float, float], *, color: str, marker: str, stroke: Any
) -> None:
    """Accuracy after attacks, from the clean accuracy of the samples that were attacked; lines lead the eye alone."""
    points = [(0.0, accuracy), *sorted(attacked.items())]
    axes.plot(
        [eps for eps, _ in points],
        [fraction for _, fraction in points],
        color=color,
        linestyle=stroke,
        linewidth=1.1,
        marker=marker,
        markersize=5.0,
    )


def _draw_legend(axes: Axes, drawn: list[tuple[Row, Evaluation]]) -> None:
    """Colours are runs, strokes are what was done."""
    handles, names = axes.get_legend_handles_labels()
    kinds: list[tuple[str, Any, str]] = [("certified (proven)", "solid", "")]
    if any(row.result.attacked for row, _ in drawn):
        kinds.append(("after attack (PGD)", (0, (5, 2)), "o"))
    if any(row.result.fgsm for row, _ in drawn):
        kinds.append(("after one step (FGSM)", (0, (1, 2)), "^"))
    if len(kinds) > 1:
        for name, stroke, marker in kinds:
            handles.append(Line2D([], [], color="0.5", linestyle=stroke, linewidth=1.1, marker=marker, markersize=5.0))
            names.append(name)
    axes.legend(handles, names, loc="best")


def _context(rows: list[Row], pictures: list[Picture]) -> dict[str, Any]:
    results = [row.result for row in rows]
    return {
        "rows": rows,
        "pictures": pictures,
        "datasets": sorted({result.dataset for result in results}),
        "radii": sorted({eps for result in results for eps in result.certified if eps > 0}),
        "attacks": sorted({eps for result in results for eps in result.attacked if eps > 0}),
        "without_radii": [row.label for row in rows if row.run.evaluation is None],
        "differing": _differing([row.run for row in rows]),
        # Two standard errors of a difference of two independent fractions, at the worst of the accuracies.
        "noise": 2 * 2**0.5 * max(standard_error(result.accuracy, result.samples) for result in results),
    }


def _differing(runs: list[Run]) -> dict[str, list[Any]]:
    """The settings that are not the same in all runs, with the value in each."""
    flat = [_settings(run.folder) for run in runs]
    names = list(dict.fromkeys(name for pairs in flat for name in pairs))
    columns = {name: [pairs.get(name, "") for pairs in flat] for name in names}
    return {name: values for name, values in columns.items() if any(value != values[0] for value in values)}


def _settings(folder: RunFolder) -> dict[str, Any]:
    return {"recipe": folder.recipe, "seed": folder.config.get("seed"), **folder.settings}
