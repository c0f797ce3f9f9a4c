"""Panels of functions of one number that are linear between knots, and of all their slopes."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from taut.reports.folder.activations import Curves
from taut.reports.page.numbers import percent
from taut.reports.pictures.style import Palette

TAUT = 1e-3
"""A slope counts as 1 or -1 within this."""
_SMALLEST_HALF = 1e-3


def spread_channels(curves: Curves, count: int) -> list[int]:
    """Channels from the straightest to the most bent, evenly through that order.

    How bent: the sum of all changes of slope; among equals, the distance between the outer knots.
    """
    bends, reach = np.round(bent(curves), 9), curves.knots[:, -1] - curves.knots[:, 0]
    order = np.lexsort((reach, bends))
    places = np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int))
    return [int(order[place]) for place in places]


def bent(curves: Curves) -> np.ndarray:
    """Sum of the changes of slope of each channel; pieces between equal knots do not count."""
    slopes = curves.slopes.copy()
    for piece in range(1, slopes.shape[1] - 1):
        empty = curves.knots[:, piece] <= curves.knots[:, piece - 1]
        slopes[empty, piece] = slopes[empty, piece - 1]
    return np.abs(np.diff(slopes, axis=1)).sum(axis=1)


def draw_curve(axes: Axes, *, curves: Curves, channel: int, palette: Palette) -> None:
    """One channel, a little beyond its knots; the region between them is shaded, pieces by whether they are taut."""
    knots, values, slopes = curves.knots[channel], curves.values[channel], curves.slopes[channel]
    middle = (knots[0] + knots[-1]) / 2
    # a single knot, as that of a PReLU, has no region of its own
    half = max((knots[-1] - knots[0]) / 2, 1.0 if len(knots) == 1 else _SMALLEST_HALF)
    left, right = middle - 1.45 * half, middle + 1.45 * half
    x = np.concatenate(([left], knots, [right]))
    y = np.concatenate(
        ([values[0] + slopes[0] * (left - knots[0])], values, [values[-1] + slopes[-1] * (right - knots[-1])])
    )
    taut = np.abs(slopes) >= 1 - TAUT
    segments = np.stack((np.stack((x[:-1], y[:-1]), 1), np.stack((x[1:], y[1:]), 1)), 1)
    colors = [palette.certified if keeps else palette.attacked for keeps in taut]
    if len(knots) > 1:
        axes.axvspan(knots[0], knots[-1], color=palette.grid, alpha=0.55, linewidth=0)
    axes.axhline(0, color=palette.muted, linewidth=0.6)
    axes.axvline(0, color=palette.muted, linewidth=0.6)
    axes.add_collection(LineCollection(list(segments), colors=colors, linewidths=1.7, capstyle="round"))
    centre = (float(y.min()) + float(y.max())) / 2
    axes.set_xlim(left, right)
    axes.set_ylim(centre - 1.45 * half, centre + 1.45 * half)  # as wide as high: a slope of 1 has 45 degrees
    axes.set_box_aspect(1)
    axes.grid(False)
    axes.tick_params(labelsize=7, pad=1.5)
    axes.locator_params(nbins=3)
    if len(curves.knots) > 1:
        place = {"transform": axes.transAxes, "horizontalalignment": "right"}
        axes.text(0.97, 0.04, f"{channel}", fontsize=7.5, color=palette.muted, **place)


def draw_last(axes: Axes, *, curves: Curves, palette: Palette) -> None:
    """Slopes of all channels, or where all have the same and differ in their knots alone, these."""
    if len(curves.knots) > 1 and np.ptp(curves.slopes, axis=0).max() == 0:
        axes.hist(curves.knots.ravel(), bins=25, color=palette.certified)
        title, label = "knots of all channels", "knot"
    else:
        _slope_histogram(axes, curves, palette)
        title, label = f"{percent(taut_share(curves))} at ±1", "slope"
    axes.set_title(title, fontsize=8, fontweight="normal", color=palette.muted)
    axes.set_xlabel(label, fontsize=8, labelpad=1)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_box_aspect(1)
    axes.tick_params(labelsize=7, pad=1.5)


def _slope_histogram(axes: Axes, curves: Curves, palette: Palette) -> None:
    slopes, weights = learned_slopes(curves)
    taut = np.abs(slopes) >= 1 - TAUT
    axes.hist(
        [slopes[taut], slopes[~taut]],
        bins=list(np.linspace(-1.05, 1.05, 22)),
        weights=[weights[taut], weights[~taut]],
        color=[palette.certified, palette.attacked],
        stacked=True,
    )
    axes.set_xlim(-1.15, 1.15)
    axes.set_xticks([-1, 0, 1])


def taut_share(curves: Curves) -> float:
    """Share of what was learned whose slope is 1 or -1, by length between the knots."""
    slopes, weights = learned_slopes(curves)
    return float(weights[np.abs(slopes) >= 1 - TAUT].sum() / weights.sum())


def learned_slopes(curves: Curves) -> tuple[np.ndarray, np.ndarray]:
    """Slopes between the knots with their lengths, or those before the only knot; all of them where no length is."""
    if curves.knots.shape[1] == 1:
        below = curves.slopes[:, 0]
        return below, np.ones_like(below)
    slopes, lengths = curves.slopes[:, 1:-1].ravel(), np.diff(curves.knots, axis=1)
    # each channel counts alike, whatever the scale of its knots
    total = lengths.sum(axis=1, keepdims=True)
    shares = np.divide(lengths, total, out=np.zeros_like(lengths), where=total > 0).ravel()
    return (slopes, shares) if shares.sum() > 0 else (slopes, np.ones_like(shares))
