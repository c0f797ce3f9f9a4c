"""The share of units that are active, and that switch, on at least a share of the data."""

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from taut.reports.evaluation.read import Evaluation
from taut.reports.pictures.style import Palette, Picture, new_figure, percent_axis, picture

_TITLES = {"active": "active: passed on at all", "switching": "switching: not in the usual piece"}


def units_picture(evaluation: Evaluation) -> Picture | None:
    """Two panels with a curve for each activation layer; None where the network has none that can be seen."""
    rows = evaluation.figures["units"]
    layers = [
        {what: evaluation.tensors.get(f"units/{number:03d}/{what}") for what in _TITLES} for number in range(len(rows))
    ]
    if not layers or any(shares is None for layer in layers for shares in layer.values()):
        return None

    shades = colormaps["viridis"]

    def draw(palette: Palette) -> Figure:
        named = len(layers) <= len(palette.series)
        figure = new_figure(9.6, 3.4)
        panels = figure.subplots(1, 2)
        for axes, (what, title) in zip(panels, _TITLES.items(), strict=True):
            for number, (layer, row) in enumerate(zip(layers, rows, strict=True)):
                share, units = at_least(np.asarray(layer[what]))
                color = palette.series[number] if named else shades(number / (len(layers) - 1))
                axes.step(share, units, where="pre", color=color, label=f"{row['name'] or 'whole'} {row['kind']}")
            axes.set_title(title)
            axes.set_xlim(0, 1)
            percent_axis(axes, top=1.02)
            axes.set_xlabel("on at least this share of the data")
            axes.set_ylabel("share of the units")
        if named:
            panels[-1].legend(loc="upper right", fontsize=8)
        else:
            panels[-1].text(0.98, 0.98, "dark: first layers, light: last", ha="right", va="top", fontsize=8)
        return figure

    return picture("units", "Share of units that are active, and switching, on a share of the data", draw)


def at_least(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the exact curve: which part of the units has a share of at least x, for every x in [0, 1].

    >>> share, units = at_least(np.array([0.0, 0.5, 0.5, 1.0]))
    >>> share.tolist(), units.tolist()
    ([0.0, 0.5, 1.0], [1.0, 0.75, 0.25])
    """
    ordered = np.sort(shares)
    corners = np.unique(np.concatenate([ordered, [0.0, 1.0]]))
    return corners, (len(ordered) - np.searchsorted(ordered, corners, side="left")) / max(len(ordered), 1)
