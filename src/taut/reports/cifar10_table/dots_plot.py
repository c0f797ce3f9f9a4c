"""Every layer as dots: clean accuracy, certified accuracy at each radius, and the published pair where there is one."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from taut.reports.cifar10_table.result import SIZES, Result
from taut.reports.page.numbers import levels
from taut.reports.pictures.style import Palette, Picture, new_figure, picture

_MARKERS = {"xs": "s", "l": "D"}


def dots_picture(result: Result) -> Picture:
    """The plot of one table."""
    alt = "Clean and certified accuracy of each layer, beside the published pair"
    return picture("layers", alt, lambda palette: draw_dots(result, palette))


def draw_dots(result: Result, palette: Palette) -> Figure:
    """A row for each layer, the one with the largest certified accuracy on top."""
    rows = sorted(result.rows, key=lambda row: row.certified[0])
    figure = new_figure(9.6, 1.3 + 0.36 * len(rows))
    axes = figure.subplots()
    heights = range(len(rows))
    axes.plot([row.accuracy for row in rows], heights, "o", color=palette.ink, label="clean")
    for place, radius in enumerate(result.radii):
        axes.plot(
            [row.certified[place] for row in rows],
            heights,
            "o",
            color=palette.certified,
            alpha=1 - 0.75 * place / len(result.radii),
            label=f"certified at {levels(radius)}",
        )
    _draw_published(axes, result, {row.name: height for height, row in enumerate(rows)}, palette)
    axes.set_yticks(heights, [row.name for row in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0, symbol=" %"))
    figure.legend(loc="outside lower center", ncols=4)
    return figure


def _draw_published(axes: Axes, result: Result, heights: dict[str, int], palette: Palette) -> None:
    """The published pairs, hollow: clean in ink, certified at 36/255 in its colour."""
    for size in result.sizes:
        known = [row for row in result.rows if size in row.published]
        places = [heights[row.name] for row in known]
        hollow = {"markerfacecolor": "none", "markersize": 6, "linestyle": "none", "marker": _MARKERS[size]}
        clean, proven = ([getattr(row.published[size], name) for row in known] for name in ("accuracy", "certified"))
        axes.plot(clean, places, markeredgecolor=palette.ink, label=f"published, 24 h, {SIZES[size]}", **hollow)
        axes.plot(proven, places, markeredgecolor=palette.certified, **hollow)
