"""The course of training: PSNR on training patches and on a few held-out pictures, of both nets."""

import math

from matplotlib.figure import Figure

from taut.reports.folder.metrics import Metrics
from taut.reports.pictures.axes import steady_limits
from taut.reports.pictures.style import Palette, Picture, new_figure, picture


def learning_picture(metrics: Metrics) -> Picture:
    """Held-out PSNR as a line with points, that of the batches behind it."""
    return picture("learning", "PSNR against the epoch", lambda palette: draw_learning(metrics, palette))


def draw_learning(metrics: Metrics, palette: Palette) -> Figure:
    """The figure itself."""
    figure = new_figure(9.6, 3.4)
    axes = figure.add_subplot()
    noisy: list[float] = []
    steady: list[float] = []
    lines = (("", palette.certified, "o", "denoiser"), ("unconstrained_", palette.series[3], "s", "unconstrained net"))
    for prefix, color, marker, name in lines:
        epochs, losses = metrics.series("train", f"{prefix}loss")
        held_out = metrics.series("valid", f"{prefix}psnr")
        values = [-10 * math.log10(max(loss, 1e-10)) for loss in losses]
        if values:
            axes.plot(epochs, values, color=color, alpha=0.3, linewidth=0.9, label=f"{name}, training patches")
        if held_out[1]:
            axes.plot(*held_out, color=color, marker=marker, markersize=3, label=f"{name}, held-out pictures")
        noisy += values[len(values) // 20 :]
        steady += held_out[1]
    axes.set_xlim(left=0)
    axes.set_ylim(*steady_limits(noisy, steady))
    axes.set_xlabel("epochs")
    axes.set_ylabel("PSNR [dB]")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, borderaxespad=0.2, handlelength=1.6)
    return figure
