"""The error of every network as a point, a row for each activation."""

import numpy as np
from matplotlib.figure import Figure

from taut.reports.fit_1d.result import LINEAR, Result
from taut.reports.pictures.style import Palette, Picture, new_figure, picture

_SMALLEST = 1e-16
"""What an error of 0 is drawn as: the axis has logarithms."""


def errors_picture(result: Result) -> Picture:
    """One row for each activation, on a logarithmic axis."""
    alt = "Mean squared error of every network by activation and linear layer, on a logarithmic axis"
    return picture("errors", alt, lambda palette: draw_errors(result, palette))


def draw_errors(result: Result, palette: Palette) -> Figure:
    """The figure itself, the activation with the smallest error on top; points of a cell are spread a little."""
    names = result.activations[::-1]
    figure = new_figure(9.6, 1.0 + 0.36 * len(names))
    axes = figure.add_subplot()
    colors = dict(zip(LINEAR, (palette.certified, palette.attacked), strict=True))
    marks = dict(zip(LINEAR, ("o", "D"), strict=True))
    offsets = dict(zip(LINEAR, (0.17, -0.17), strict=True))
    for linear in result.linears:
        for row, activation in enumerate(names):
            cell = result.cell(activation, linear)
            if cell is None:
                continue
            errors = np.maximum(cell.errors, _SMALLEST)
            places = row + offsets[linear] + np.linspace(-0.08, 0.08, len(errors))
            color, label = colors[linear], LINEAR[linear] if row == 0 else None
            axes.plot(errors, places, marks[linear], color=color, markersize=3, alpha=0.45, markeredgewidth=0)
            median = max(cell.median, _SMALLEST)
            axes.plot(median, row + offsets[linear], "|", color=color, markersize=13, markeredgewidth=2.4, label=label)
    axes.axvline(result.variance, color=palette.ink, linewidth=1.1, linestyle=(0, (4, 3)), label="constant 0")
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("mean squared error")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.2, handlelength=1.6)
    return figure
