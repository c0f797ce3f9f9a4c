"""The course of the training: the critic's estimate on batches and on held-out samples."""

from matplotlib.figure import Figure

from taut.reports.folder.metrics import Metrics
from taut.reports.pictures.axes import steady_limits
from taut.reports.pictures.style import Palette, Picture, new_figure, picture
from taut.reports.wasserstein.beside import UNNAMED
from taut.reports.wasserstein.result import Result


def learning_picture(metrics: Metrics, result: Result | None) -> Picture:
    """One panel, with lines for the truth and for exact transport where the run knows them."""
    alt = "The critic's estimate on batches and on held-out samples against the epoch"
    return picture("learning", alt, lambda palette: draw_learning(metrics, result, palette))


def draw_learning(metrics: Metrics, result: Result | None, palette: Palette) -> Figure:
    """The figure itself."""
    figure = new_figure(9.6, 3.4)
    axes = figure.add_subplot()
    batch, held_out = metrics.series("train", "estimate"), metrics.series("valid", "estimate")
    beside = metrics.series("valid", "beside")
    axes.plot(*batch, color=palette.train, linewidth=1.1, label="training batches")
    axes.plot(*held_out, color=palette.certified, marker="o", markersize=3, label="held-out samples")
    if beside[1]:
        name = result.beside.name if result and result.beside else UNNAMED
        axes.plot(*beside, color=palette.series[3], marker="s", markersize=3, label=f"held-out, with {name}")
    lines = []
    if result and result.truth is not None:
        lines.append(result.truth)
        axes.axhline(result.truth, color=palette.ink, linewidth=1.1, linestyle=(0, (4, 3)), label="truth")
    if result and result.transport is not None:
        lines.append(result.transport)
        axes.axhline(result.transport, color=palette.attacked, linewidth=1.2, label="exact transport of the samples")
    axes.set_xlim(left=0)
    axes.set_ylim(*steady_limits(batch[1], [*held_out[1], *beside[1], *lines]))
    axes.set_xlabel("epochs")
    axes.set_ylabel("distance")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=5, borderaxespad=0.2, handlelength=1.6)
    return figure
