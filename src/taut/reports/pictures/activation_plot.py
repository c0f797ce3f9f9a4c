"""The shapes of a network's activations: a row of small panels for each, some of its channels, then its slopes."""

from collections.abc import Callable
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from taut.reports.folder.activations import FILE, Curves, Folds, read_activations
from taut.reports.folder.run_folder import RunFolder
from taut.reports.pictures.curve_panels import draw_curve, draw_last, spread_channels
from taut.reports.pictures.fold_panels import draw_angles, draw_fold, spread_pairs
from taut.reports.pictures.style import Palette, Picture, new_figure, picture

MOST_ROWS = 8
PANELS = 5

Panel = Callable[..., None]
"""Takes the axes, and the palette as `palette`."""


def activations_picture(folder: RunFolder) -> Picture | None:
    """A row for each activation of the run, at most so many and evenly chosen; None where the run has learned none.

    Of many channels those are drawn that stand evenly in their order, from the straightest to the most bent, or by
    angle.

    Raises:
        UserError: activations.safetensors is damaged.
    """
    found = folder.when_there(FILE, read_activations)
    if not found:
        return None
    shown = [found[i] for i in _evenly(len(found), MOST_ROWS)]

    def draw(palette: Palette) -> Figure:
        figure = new_figure(9.6, 0.25 + 1.85 * len(shown))
        figure.set_layout_engine("constrained", h_pad=0.1)
        grid = figure.subplots(len(shown), PANELS + 1, squeeze=False)
        for row, activation in zip(grid, shown, strict=True):
            *panels, last = _panels(activation)
            for axes, panel in zip(row, panels, strict=False):
                panel(axes, palette=palette)
            last(row[-1], palette=palette)
            for axes in row[len(panels) : -1]:
                axes.set_visible(False)
            title = f"{activation.name}  {activation.kind}, {_count(activation)}"
            row[0].set_title(title, fontsize=9)
        return figure

    kinds = ", ".join(dict.fromkeys(activation.kind for activation in shown))
    return picture("activations", f"Shapes of the activations of the network: {kinds}", draw)


def _panels(activation: Curves | Folds) -> list[Panel]:
    if isinstance(activation, Folds):
        folds: list[Panel] = [partial(draw_fold, folds=activation, pair=i) for i in spread_pairs(activation, PANELS)]
        return [*folds, partial(draw_angles, folds=activation)]
    shown = spread_channels(activation, PANELS)
    curves: list[Panel] = [partial(draw_curve, curves=activation, channel=i) for i in shown]
    return [*curves, partial(draw_last, curves=activation)]


def _count(activation: Curves | Folds) -> str:
    if isinstance(activation, Folds):
        return f"{activation.angles.shape[1]} pairs"
    return f"{len(activation.knots)} channels" if len(activation.knots) > 1 else "every channel"


def _evenly(count: int, most: int) -> list[int]:
    """Up to `most` of the numbers below `count`, the first and the last among them.

    >>> _evenly(3, 8), _evenly(9, 3)
    ([0, 1, 2], [0, 4, 8])
    """
    return sorted({int(i) for i in np.linspace(0, count - 1, min(count, most)).round()})
