"""The fixed-point iteration of the inverse: how fast it converges, beside the rate that is proven."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from taut.reports.invertible.evaluation import Evaluation
from taut.reports.invertible.result import Result
from taut.reports.pictures.style import Palette, Picture, new_figure, picture


def inverse_picture(evaluation: Evaluation, result: Result) -> Picture:
    """One line for each block, and the slowest that the proof allows."""
    alt = "Largest step of the fixed-point iteration against its number, for each block, below the proven rate"
    return picture("inverse", alt, lambda palette: draw_inverse(evaluation, result, palette))


def draw_inverse(evaluation: Evaluation, result: Result, palette: Palette) -> Figure:
    """Steps relative to the first one, on a logarithmic axis."""
    figure = new_figure(9.6, 3.8)
    axes = figure.add_subplot()
    longest = max(map(len, evaluation.residuals))
    for index, residuals in enumerate(evaluation.residuals):
        first = residuals[0] or 1.0
        label = "each block" if index == 0 else None
        shown = np.where(residuals > 0, residuals, np.nan) / first
        axes.semilogy(range(len(shown)), shown, color=palette.certified, linewidth=1.2, alpha=0.75, label=label)
    steps = np.arange(longest)
    rate = max(result.contractions)
    style = {"color": palette.attacked, "linewidth": 1.6, "linestyle": (0, (5, 3))}
    axes.semilogy(steps, rate**steps, label=f"proven: {rate:.4g} to the power k", **style)
    axes.set_xlim(0, max(longest - 1, 1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("step k")
    axes.set_ylabel("largest step, of the first")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.2, handlelength=2.4)
    return figure
