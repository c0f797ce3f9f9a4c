"""Histogram of the margins: how far each held-out sample lies from a change of its class."""

import numpy as np
from matplotlib.figure import Figure

from taut.reports.classification.evaluation import Evaluation
from taut.reports.pictures.style import Palette, Picture, new_figure, picture

BINS = 48


def margin_picture(evaluation: Evaluation) -> Picture:
    """Correct and wrong samples in the same bins, one on top of the other."""
    finite = np.isfinite(evaluation.margin)
    correct = evaluation.margin[finite & evaluation.correct]
    wrong = evaluation.margin[finite & ~evaluation.correct]

    def draw(palette: Palette) -> Figure:
        figure = new_figure(9.6, 3.0)
        axes = figure.add_subplot()
        axes.hist(
            [correct, wrong],
            bins=_edges(evaluation.margin[finite]).tolist(),
            stacked=True,
            color=[palette.certified, palette.wrong],
            label=[f"correct ({len(correct)})", f"wrong ({len(wrong)})"],
            edgecolor=palette.paper,
            linewidth=0.6,
        )
        axes.axvline(0.0, color=palette.ink, linewidth=1.0)
        axes.grid(visible=False, axis="x")
        axes.set_xlabel("margin: logit of the true class minus the largest other logit")
        axes.set_ylabel("samples")
        axes.legend(loc="upper right")
        return figure

    return picture("margins", "Histogram of the margins of correct and wrong samples", draw)


def _edges(margin: np.ndarray) -> np.ndarray:
    """Bin edges with one of them exactly at 0, so that no bar mixes the two sides."""
    if len(margin) == 0 or np.ptp(margin) == 0:
        centre = float(margin[0]) if len(margin) else 0.0
        return np.asarray(sorted({0.0, centre - 0.5, centre + 0.5}))
    low, high = min(float(margin.min()), 0.0), max(float(margin.max()), 0.0)
    width = (high - low) / BINS
    return width * np.arange(np.floor(low / width), np.ceil(high / width) + 1)
