"""Accuracy against the radius: what is proven below, what the attack left above."""

import numpy as np
from matplotlib.figure import Figure

from taut.reports.attack.result import Attack
from taut.reports.page.numbers import NORM_NAMES
from taut.reports.pictures.style import Palette, Picture, new_figure, percent_axis, picture


def curve_picture(attack: Attack) -> Picture:
    """The plot of one attack."""
    alt = "Certified accuracy and accuracy under attack, against the radius"
    return picture("accuracy", alt, lambda palette: draw_curves(attack, palette))


def draw_curves(attack: Attack, palette: Palette) -> Figure:
    """The figure itself: exact curves of the attacked samples, with the radii that were asked for."""
    broken, radius = attack.tensors["broken_at"], attack.tensors["certified_radius"]
    limit = _limit(attack)
    grid = np.unique(np.concatenate([[0.0, limit], *(values[values <= limit] for values in (broken, radius))]))
    left = np.array([(broken > eps).mean() for eps in grid])
    figure = new_figure(9.6, 4.0)
    axes = figure.add_subplot()
    axes.step(grid, left, where="post", color=palette.attacked, label=f"under attack ({attack.method})")
    if any(certified is not None for _, certified, _ in attack.rows) or radius.any():
        proven = np.array([(radius > eps).mean() for eps in grid])
        axes.step(grid, proven, where="post", color=palette.certified, label="certified (proven)")
        axes.fill_between(
            grid, proven, left, step="post", color=palette.attacked, alpha=0.16, linewidth=0, label="undecided"
        )
    if attack.rows:
        axes.plot(
            [eps for eps, _, _ in attack.rows],
            [share for _, _, share in attack.rows],
            linestyle="none",
            marker="o",
            markersize=6.0,
            markerfacecolor=palette.attacked,
            markeredgecolor=palette.paper,
            zorder=5,
        )
    axes.set_xlim(0, limit)
    percent_axis(axes, top=1.005)
    axes.set_xlabel(f"size of the change, {NORM_NAMES[attack.norm]} norm, in input units")
    axes.set_ylabel("attacked samples classified correctly")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.2, handlelength=1.6)
    return figure


def _limit(attack: Attack) -> float:
    """Right end: the largest radius that was asked for, or all distances but the last hundredth."""
    broken = attack.tensors["broken_at"]
    finite = broken[np.isfinite(broken)]
    tail = float(np.quantile(finite, 0.99)) if len(finite) and not attack.rows else 0.0
    return 1.06 * max([tail, *(eps for eps, _, _ in attack.rows), 1e-6])
