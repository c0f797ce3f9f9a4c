"""Singular values of each layer: a taut layer keeps them all at 1."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from taut.reports.folder.layers import Layer
from taut.reports.page.numbers import lower, upper
from taut.reports.pictures.style import Palette, Picture, new_figure, picture

COLUMNS = 4
MOST_LAYERS = 24


def layers_with_spectrum(layers: list[Layer]) -> list[Layer]:
    """The layers that the picture can show: those with singular values, the first so many of them."""
    return [layer for layer in layers if layer.singular_values][:MOST_LAYERS]


def spectrum_picture(layers: list[Layer]) -> Picture:
    """One small panel per layer, all with the same vertical axis."""
    shown = layers_with_spectrum(layers)

    def draw(palette: Palette) -> Figure:
        columns = min(COLUMNS, len(shown))
        rows = math.ceil(len(shown) / columns)
        figure = new_figure(9.6, 0.35 + 2.1 * rows)
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        top = 1.12 * max(1.0, *(layer.bound for layer in shown))
        for axes, layer in zip(grid.flat, shown, strict=False):
            _draw_layer(axes, layer, palette)
            axes.set_ylim(0, top)
        for axes in list(grid.flat)[len(shown) :]:
            axes.set_visible(False)
        for axes in grid[:, 0]:
            axes.set_ylabel("singular value")
        for axes in grid[:, 1:].flat:
            axes.spines["left"].set_visible(False)
        return figure

    return picture("singular_values", "Singular values of each layer in decreasing order", draw)


def _draw_layer(axes: Axes, layer: Layer, palette: Palette) -> None:
    values = layer.singular_values
    ranks = range(1, len(values) + 1)
    axes.axhline(1.0, color=palette.muted, linewidth=0.9)
    axes.axhline(layer.bound, color=palette.attacked, linewidth=1.2, linestyle=(0, (3, 2)))
    axes.plot(ranks, values, color=palette.certified, marker="o" if len(values) <= 16 else "", markersize=3.5)
    axes.fill_between(ranks, values, color=palette.certified, alpha=0.10, linewidth=0)
    axes.set_title(f"{layer.name}  {layer.kind}", fontsize=9)
    axes.set_xlabel("rank")
    if len(values) == 1:
        axes.set_xlim(0, 2)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes.text(
        0.96,
        0.08,
        f"bound {upper(layer.bound)}\nsmallest {lower(values[-1])}",
        transform=axes.transAxes,
        horizontalalignment="right",
        fontsize=8,
        color=palette.muted,
        linespacing=1.5,
    )
