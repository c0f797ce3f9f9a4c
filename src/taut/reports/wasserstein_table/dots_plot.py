"""Every cell as a dot with its spread, in the published order, and exact transport as a line beside them."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from taut.reports.page.numbers import distance
from taut.reports.pictures.style import Palette, Picture, new_figure, picture
from taut.reports.wasserstein_table.order import in_order, ratios
from taut.reports.wasserstein_table.result import PUBLISHED, Result


def dots_picture(result: Result) -> Picture:
    """The plot of one table."""
    alt = "Mean and spread of each cell in the published order, and ratios beside the published ones"
    return picture("table", alt, lambda palette: draw_dots(result, palette))


def draw_dots(result: Result, palette: Palette) -> Figure:
    """Two panels on the same rows: distances on the left, ratios on the right."""
    known, others = in_order(result)
    rows = [*others, *known]
    figure = new_figure(9.6, 0.9 + 0.3 * len(rows))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    _draw_distances(left, result, palette)
    _draw_ratios(right, result, palette)
    left.set_yticks(range(len(rows)), [cell.name for cell in rows])
    left.set_ylim(-0.7, len(rows) - 0.3)
    for axes in (left, right):
        axes.grid(visible=False, axis="y")
        if others and known:
            axes.axhline(len(others) - 0.5, color=palette.muted, linewidth=0.6, linestyle=(0, (2, 3)))
    return figure


def _draw_distances(axes: Axes, result: Result, palette: Palette) -> None:
    known, others = in_order(result)
    for height, cell in enumerate([*others, *known]):
        color = palette.certified if cell.linear == "bjorck" else palette.attacked
        axes.errorbar(cell.mean, height, xerr=cell.spread, fmt="o", color=color, markersize=6, capsize=3, linewidth=1.6)
        axes.plot(cell.values, [height] * len(cell.values), "|", color=color, markersize=7, alpha=0.6)
    axes.axvline(result.transport.value, color=palette.ink, linewidth=1.1, linestyle=(0, (4, 3)))
    axes.set_xlim(left=min(0.0, *(cell.mean - cell.spread for cell in result.cells)))
    axes.set_xlabel("distance found, in the units of the pictures")
    axes.set_title(f"Found (line: exact transport {distance(result.transport.value)})")


def _draw_ratios(axes: Axes, result: Result, palette: Palette) -> None:
    known, others = in_order(result)
    found = ratios(result)
    heights = range(len(others), len(others) + len(known))
    if found:
        hollow = {"markerfacecolor": palette.paper, "markeredgecolor": palette.ink, "markeredgewidth": 1.3}
        axes.plot([found[cell.name][1] for cell in known], heights, "s", markersize=6, label="published", **hollow)
        axes.plot([found[cell.name][0] for cell in known], heights, "o", color=palette.series[2], label="found")
        axes.legend(loc="lower right" if not others else "lower left")
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0, symbol=" %"))
    axes.set_xlim(left=min(0.0, *(ratio for pair in found.values() for ratio in pair)) if found else 0.0)
    axes.set_xlabel("of the cell published as the largest")
    axes.set_title(f"Beside the published ratio ({PUBLISHED[result.column]})")
