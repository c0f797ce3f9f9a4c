"""The median network of every cell as a curve on the target, a small panel for each activation."""

import math

import numpy as np
from matplotlib.figure import Figure

from taut.reports.fit_1d.curves import Curves
from taut.reports.fit_1d.result import LINEAR, Result
from taut.reports.pictures.style import Palette, Picture, new_figure, picture

COLUMNS = 4


def curves_picture(result: Result, curves: Curves) -> Picture:
    """All panels on the same axes."""
    alt = "For each activation the target and the networks with the median error, orthonormal and spectral"
    return picture("curves", alt, lambda palette: draw_curves(result, curves, palette))


def draw_curves(result: Result, curves: Curves, palette: Palette) -> Figure:
    """The figure itself, the activation with the smallest error first."""
    columns = min(COLUMNS, len(result.activations))
    rows = math.ceil(len(result.activations) / columns)
    figure = new_figure(9.6, 0.5 + 1.75 * rows)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    colors = dict(zip(LINEAR, (palette.certified, palette.attacked), strict=True))
    height = 1.25 * max(float(np.abs(curves.target).max()), 1e-9)
    for axes, activation in zip(grid.flat, result.activations, strict=False):
        axes.plot(curves.grid, curves.target, color=palette.train, linewidth=3.2, alpha=0.75, label="target")
        for linear in reversed(result.linears):  # the first kind on top
            values = curves.median.get(f"{activation}/{linear}")
            if values is not None:
                axes.plot(curves.grid, values, color=colors[linear], linewidth=1.15, label=LINEAR[linear])
        axes.set_title(activation, fontsize=9, pad=4)
        axes.set_xlim(-1, 1)
        axes.set_xticks((-1, 0, 1))
        axes.set_ylim(-height, height)
    unused = list(grid.flat)[len(result.activations) :]
    for axes in unused:
        axes.set_visible(False)
    for column in range(columns):  # the last panel of a column has no other below that would show the numbers
        lowest = [axes for axes in grid[:, column] if axes.get_visible()][-1]
        lowest.tick_params(labelbottom=True)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=3, handlelength=1.6)
    return figure
