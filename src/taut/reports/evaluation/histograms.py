"""Histograms of one number a sample: certified radii, distances to the nearest sample of another label."""

import numpy as np
from matplotlib.figure import Figure

from taut.reports.evaluation.read import Evaluation
from taut.reports.page.numbers import NORM_NAMES
from taut.reports.pictures.style import Palette, Picture, new_figure, picture

BINS = 48


def radius_picture(evaluation: Evaluation) -> Picture | None:
    """The certified radii, and half the distances to the nearest other label in the same norm; None without radii."""
    radius, nearest = evaluation.radius, evaluation.tensors.get(f"nearest_{evaluation.norm}")
    if radius is None or not np.isfinite(radius).any():
        return None
    radius = radius[np.isfinite(radius)]
    half = np.zeros(0) if nearest is None else nearest[np.isfinite(nearest)] / 2
    top = max(float(radius.max()), float(half.max()) if len(half) else 0.0) or 1.0
    bins = np.linspace(0.0, top, BINS + 1).tolist()

    def draw(palette: Palette) -> Figure:
        figure = new_figure(9.6, 3.0)
        axes = figure.add_subplot()
        style = {"bins": bins, "edgecolor": palette.paper, "linewidth": 0.6}
        named = f"certified radius ({int((radius > 0).sum())} above 0)"
        axes.hist(radius[radius > 0], color=palette.certified, label=named, **style)
        if len(half):
            axes.hist(
                half, bins=bins, histtype="step", color=palette.ink, linewidth=1.2,
                label="half the distance to the nearest training sample of another label",
            )  # fmt: skip
        axes.grid(visible=False, axis="x")
        axes.set_xlabel(f"{NORM_NAMES[evaluation.norm]} norm, in input units")
        axes.set_ylabel("samples")
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.2)
        return figure

    return picture("radii", "Histogram of certified radii, beside half the distances to other labels", draw)
