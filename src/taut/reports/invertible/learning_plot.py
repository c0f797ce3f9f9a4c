"""The course of the training: what was minimised, and the discrepancies on held-out samples."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from taut.reports.folder.metrics import Metrics
from taut.reports.invertible.result import Result
from taut.reports.pictures.axes import steady_limits
from taut.reports.pictures.style import Palette, Picture, new_figure, picture


def learning_picture(metrics: Metrics, result: Result | None) -> Picture:
    """Loss on the left, squared MMDs on the right."""
    alt = "The loss on batches and on held-out samples, and both squared MMDs on held-out samples, against the epoch"
    return picture("learning", alt, lambda palette: draw_learning(metrics, result, palette))


def draw_learning(metrics: Metrics, result: Result | None, palette: Palette) -> Figure:
    """The figure itself."""
    figure = new_figure(9.6, 3.4)
    left, right = figure.subplots(1, 2)
    batch, held_out = metrics.series("train", "loss"), metrics.series("valid", "loss")
    left.plot(*batch, color=palette.train, linewidth=1.1, label="training batches")
    left.plot(*held_out, color=palette.certified, marker="o", markersize=3, label="held-out samples")
    lines = []
    likelihood = result.likelihood if result and result.loss == "likelihood" else None
    if likelihood and likelihood.truth is not None:
        lines.append(-likelihood.truth)
        left.axhline(-likelihood.truth, color=palette.ink, linewidth=1.1, linestyle=(0, (4, 3)), label="true density")
    left.set_ylim(*steady_limits(batch[1], [*held_out[1], *lines]))
    left.set_ylabel("loss")
    for name, color, marker in (("forward", palette.series[0], "o"), ("inverse", palette.series[1], "s")):
        epochs, values = metrics.series("valid", name)
        right.plot(epochs, values, color=color, marker=marker, markersize=3, label=f"{name} MMD²")
    right.axhline(0.0, color=palette.ink, linewidth=0.9)
    right.set_ylabel("squared MMD, held out")
    for axes in (left, right):
        _finish(axes)
    return figure


def _finish(axes: Axes) -> None:
    axes.set_xlim(left=0)
    axes.set_xlabel("epochs")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.2, handlelength=1.6)
