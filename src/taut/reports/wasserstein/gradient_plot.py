"""Histogram of the length of the critic's gradient: a critic that attains the distance has length 1."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from taut.reports.pictures.style import Palette, Picture, new_figure, picture
from taut.reports.wasserstein.beside import UNNAMED
from taut.reports.wasserstein.evaluation import Evaluation

BINS = 50
ROUNDING = 1e-5
"""Lengths this close to 1 are 1, and belong to the last bar below the line."""


def gradient_picture(evaluation: Evaluation, *, beside: str = UNNAMED) -> Picture:
    """The plot of one run; `beside` names the activation of the second critic, where there is one."""
    lengths, others = evaluation.gradient_norm, evaluation.beside_gradient_norm
    alt = "Histogram of the length of the critic's gradient, with a line at 1"
    if others is not None:
        alt += f", and the outline of that with {beside}"
    return picture("gradient_norm", alt, lambda palette: draw_gradient(lengths, palette, others=others, beside=beside))


def draw_gradient(
    lengths: Float[np.ndarray, " points"],
    palette: Palette,
    *,
    others: Float[np.ndarray, " other_points"] | None = None,
    beside: str = UNNAMED,
) -> Figure:
    """The figure itself; no bar mixes the two sides of 1. `others` are the lengths of a second critic."""
    figure = new_figure(9.6, 2.8)
    axes = figure.add_subplot()
    shown = _left_of_one(lengths)
    compared = None if others is None else _left_of_one(others)
    longest = max(float(rows.max()) for rows in (shown, compared) if rows is not None)
    edges = (np.arange(max(BINS, int(np.ceil(longest * BINS))) + 1) / BINS).tolist()
    bars = {"color": palette.certified, "edgecolor": palette.paper, "linewidth": 0.6, "label": "critic"}
    axes.hist(shown, bins=edges, weights=_shares(shown), **bars)
    if compared is not None:
        outline = {"histtype": "step", "color": palette.series[3], "linewidth": 1.8, "label": f"with {beside}"}
        axes.hist(compared, bins=edges, weights=_shares(compared), **outline)
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.2, handlelength=1.6)
    axes.axvline(1.0, color=palette.ink, linewidth=1.2)
    axes.grid(visible=False, axis="x")
    axes.set_xlim(0, 1.03 * edges[-1])
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0, symbol=" %"))
    axes.set_xlabel("l2 length of the gradient of the critic, divided by its proven constant")
    axes.set_ylabel("points")
    return figure


def _left_of_one(lengths: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
    return np.where(np.abs(lengths - 1.0) < ROUNDING, 1.0 - 0.5 / BINS, lengths)


def _shares(rows: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
    return np.full(len(rows), 1 / len(rows))
