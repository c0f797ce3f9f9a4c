"""The course of the training: loss, accuracy, and the quick estimate of certified accuracy, per epoch."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from taut.reports.folder.metrics import Metrics, Point
from taut.reports.page.numbers import NORM_NAMES, levels
from taut.reports.pictures.style import Palette, Picture, new_figure, percent_axis, picture


def learning_picture(metrics: Metrics, norm: str | None) -> Picture:
    """Three panels that share the axis of epochs; the third only when the run logged the estimate."""
    radii = sorted({radius for point in metrics.valid for radius in _estimates(point)})

    def draw(palette: Palette) -> Figure:
        panels = 3 if radii else 2
        figure = new_figure(9.6, 3.1)
        loss, accuracy, *rest = figure.subplots(1, panels)
        _draw_loss(loss, metrics, palette)
        _draw_accuracy(accuracy, metrics, palette)
        for axes in rest:
            _draw_estimate(axes, metrics, radii, norm, palette)
        for axes in (loss, accuracy, *rest):
            axes.set_xlabel("epochs")
            axes.set_xlim(left=0)
        return figure

    return picture("learning", "Loss, accuracy and estimated certified accuracy against the epoch", draw)


def _draw_loss(axes: Axes, metrics: Metrics, palette: Palette) -> None:
    _draw_pair(
        axes,
        metrics,
        palette,
        [point.value("loss") for point in metrics.train],
        [point.value("loss") for point in metrics.valid],
    )
    shown = [point.value("loss") for point in (*metrics.train, *metrics.valid)]
    if shown and min(shown) > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
    axes.set_title("Loss")


def _draw_accuracy(axes: Axes, metrics: Metrics, palette: Palette) -> None:
    _draw_pair(axes, metrics, palette, _accuracies(metrics.train), _accuracies(metrics.valid))
    percent_axis(axes, bottom=_floor([*_accuracies(metrics.train), *_accuracies(metrics.valid)]), top=1.005)
    axes.set_title("Accuracy")
    axes.legend(loc="best")


def _draw_pair(axes: Axes, metrics: Metrics, palette: Palette, train: list[float], valid: list[float]) -> None:
    axes.plot(metrics.epochs(metrics.train), train, color=palette.train, linewidth=1.1, label="training batches")
    axes.plot(
        metrics.epochs(metrics.valid), valid, color=palette.certified, marker="o", markersize=3, label="held-out split"
    )


def _draw_estimate(axes: Axes, metrics: Metrics, radii: list[float], norm: str | None, palette: Palette) -> None:
    epochs = metrics.epochs(metrics.valid)
    lasts = []
    for color, radius in zip(_ramp(palette, len(radii)), radii, strict=True):
        values = [_estimates(point).get(radius, np.nan) for point in metrics.valid]
        axes.plot(epochs, values, color=color, marker="o", markersize=3, label=levels(radius))
        lasts.append(values[-1])
    percent_axis(axes, top=1.005)
    axes.set_title("Certified, estimate" if norm is None else f"Certified at {NORM_NAMES[norm]} radius, estimate")
    for radius, height in zip(radii, spread_out(lasts, gap=0.075), strict=True):
        words = {"textcoords": "offset points", "verticalalignment": "center", "annotation_clip": False}
        axes.annotate(levels(radius), (epochs[-1], height), (7, 0), fontsize=8.5, color=palette.ink, **words)


def spread_out(heights: list[float], *, gap: float) -> list[float]:
    """Places for labels, from the top down, as near to their heights as `gap` between two of them allows.

    >>> [round(place, 2) for place in spread_out([0.9, 0.88, 0.5], gap=0.1)]
    [0.9, 0.8, 0.5]
    """
    places: dict[int, float] = {}
    free = float("inf")
    for index in sorted(range(len(heights)), key=lambda i: -heights[i] if np.isfinite(heights[i]) else 0.0):
        height = heights[index] if np.isfinite(heights[index]) else 0.0
        places[index] = min(height, free)
        free = places[index] - gap
    return [places[index] for index in range(len(heights))]


def _ramp(palette: Palette, count: int) -> list[str]:
    """The colour of what is certified, paler for each larger radius."""
    ends = LinearSegmentedColormap.from_list("certified", [palette.certified, palette.paper])
    return [to_hex(color) for color in ends(np.linspace(0.0, 0.6, count))]


def _estimates(point: Point) -> dict[float, float]:
    """By radius: accuracy under the training loop's own quick estimate, which proves nothing."""
    return point.fields.by_radius("certified_estimate")


def _accuracies(points: list[Point]) -> list[float]:
    return [point.value("accuracy") for point in points]


def _floor(fractions: list[float]) -> float:
    """Bottom of an accuracy axis: a multiple of 10 % below most points, so that a good run is not a line at the top."""
    known = np.asarray([fraction for fraction in fractions if np.isfinite(fraction)])
    if len(known) == 0:
        return 0.0
    return max(0.0, np.floor(10 * float(np.quantile(known, 0.03))) / 10 - 0.1)
