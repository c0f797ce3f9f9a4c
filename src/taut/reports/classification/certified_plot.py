"""Certified accuracy against the radius: the exact curve below, the attack above, the truth between."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from taut.reports.classification.evaluation import Evaluation, certified_curve
from taut.reports.classification.result import Result
from taut.reports.page.numbers import NORM_NAMES
from taut.reports.pictures.style import Palette, Picture, new_figure, percent_axis, picture

_FAR = 1e3
"""Far beyond the right end of every axis, where radii without a limit still count."""


def attacked_ceiling(accuracy: float, attacked: dict[float, float]) -> tuple[list[float], list[float]]:
    """Corners of the upper limit that the attacks prove: what breaks at one size is broken at every larger one.

    The second list holds from each corner to the next, so the limit is a staircase that only goes down.

    >>> attacked_ceiling(0.9, {0.5: 0.7, 1.0: 0.75})
    ([0.0, 0.5, 1.0], [0.9, 0.7, 0.7])
    """
    sizes = [0.0, *sorted(attacked)]
    fractions = [accuracy, *(attacked[eps] for eps in sizes[1:])]
    return sizes, np.minimum.accumulate(fractions).tolist()


def certified_picture(result: Result, evaluation: Evaluation) -> Picture:
    """The plot of one run."""
    alt = "Certified accuracy against the radius, with the attacked accuracy"
    return picture("certified_accuracy", alt, lambda palette: draw_certified(result, evaluation, palette))


def draw_certified(result: Result, evaluation: Evaluation, palette: Palette) -> Figure:
    """The figure itself."""
    figure = new_figure(9.6, 4.6)
    axes = figure.add_subplot()
    draw_curve(axes, evaluation, color=palette.certified, label="certified (proven)")
    _draw_bracket(axes, result, evaluation, palette)
    axes.axhline(result.accuracy, color=palette.ink, linewidth=1.0, linestyle=(0, (4, 3)), label="clean accuracy")
    finish(axes, result.norm, radius_limit([evaluation], [*result.certified, *result.attacked]))
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=5, borderaxespad=0.2, handlelength=1.6)
    return figure


def draw_curve(axes: Axes, evaluation: Evaluation, *, color: str, label: str) -> None:
    """Draw the exact certified-accuracy curve of one run."""
    eps, fraction = certified_curve(evaluation.radius)
    axes.step([*eps, _FAR * eps[-1] + _FAR], [*fraction, fraction[-1]], where="post", color=color, label=label)


def finish(axes: Axes, norm: str, limit: float) -> None:
    """Label both axes and bound them."""
    axes.set_xlim(0, limit)
    percent_axis(axes, top=1.005)
    axes.set_xlabel(f"size of the change, {NORM_NAMES[norm]} norm, in input units")
    axes.set_ylabel("held-out samples classified correctly")


def radius_limit(evaluations: list[Evaluation], listed: list[float]) -> float:
    """Right end of the axis: all of the curve but the last half percent of the samples, and every listed radius."""
    tails = [_tail(evaluation.radius) for evaluation in evaluations]
    return 1.06 * max([*tails, *listed, 1e-6])


def _tail(radius: np.ndarray) -> float:
    finite = radius[np.isfinite(radius)]
    return float(np.quantile(finite, 0.995)) if len(finite) else 0.0


def _draw_bracket(axes: Axes, result: Result, evaluation: Evaluation, palette: Palette) -> None:
    """Shade between proof and attack, as far as there was an attack, and mark the attacks."""
    if not result.attacked:
        return
    sizes, ceiling = attacked_ceiling(result.attack.accuracy, result.attacked)
    # The attack may have met only the first samples: the band is theirs on both sides.
    eps, fraction = certified_curve(evaluation.radius[: result.attack.samples])
    grid = np.unique(np.concatenate([eps[eps <= sizes[-1]], sizes]))
    low = fraction[np.searchsorted(eps, grid, side="right") - 1]
    high = np.asarray(ceiling)[np.searchsorted(sizes, grid, side="right") - 1]
    if result.attack.samples < len(evaluation.radius):
        axes.step(grid, low, where="post", color=palette.certified, linewidth=0.8, label="certified, of those attacked")
    axes.fill_between(
        grid,
        low,
        np.maximum(low, high),
        step="post",
        color=palette.attacked,
        alpha=0.16,
        linewidth=0,
        label="undecided",
    )
    marks = sorted(result.attacked.items())
    axes.plot(
        [eps for eps, _ in marks],
        [fraction for _, fraction in marks],
        linestyle="none",
        marker="o",
        markersize=6.5,
        markerfacecolor=palette.attacked,
        markeredgecolor=palette.paper,
        markeredgewidth=1.2,
        label="after attack (measured)",
        zorder=5,
    )
