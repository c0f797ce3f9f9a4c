"""Histogram of the length of the critic's gradient: a critic that attains the distance has length 1."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from taut.reports.pictures.style import Palette, Picture, new_figure, picture

BINS = 50
ROUNDING = 1e-5
"""Lengths this close to 1 are 1, and belong to the last bar below the line."""


def gradient_picture(lengths: Float[np.ndarray, " points"]) -> Picture:
    """The plot of one run."""
    alt = "Histogram of the length of the critic's gradient, with a line at 1"
    return picture("gradient_norm", alt, lambda palette: draw_gradient(lengths, palette))


def draw_gradient(lengths: Float[np.ndarray, " points"], palette: Palette) -> Figure:
    """The figure itself; no bar mixes the two sides of 1."""
    figure = new_figure(9.6, 2.8)
    axes = figure.add_subplot()
    width = 1.0 / BINS
    shown = np.where(np.abs(lengths - 1.0) < ROUNDING, 1.0 - width / 2, lengths)
    edges = width * np.arange(max(BINS, int(np.ceil(float(shown.max()) / width))) + 1)
    share = np.full(len(shown), 1 / len(shown))
    axes.hist(
        shown, bins=edges.tolist(), weights=share, color=palette.certified, edgecolor=palette.paper, linewidth=0.6
    )
    axes.axvline(1.0, color=palette.ink, linewidth=1.2)
    axes.grid(visible=False, axis="x")
    axes.set_xlim(0, 1.03 * float(edges[-1]))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0, symbol=" %"))
    axes.set_xlabel("l2 length of the gradient of the critic, divided by its proven constant")
    axes.set_ylabel("points")
    return figure
