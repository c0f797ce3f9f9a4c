"""The course of a GAN's training: what its critic tells apart, and what its generator pays."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from taut.reports.folder.metrics import Metrics
from taut.reports.pictures.axes import steady_limits
from taut.reports.pictures.style import Palette, Picture, new_figure, picture


def learning_picture(metrics: Metrics) -> Picture:
    """The critic's estimate, the generator's loss, and the penalty where the run logged one."""
    alt = "The critic's estimate and the generator's loss against the epoch"
    return picture("learning", alt, lambda palette: draw_learning(metrics, palette))


def draw_learning(metrics: Metrics, palette: Palette) -> Figure:
    """The figure itself."""
    penalty = bool(metrics.series("train", "penalty")[1])
    figure = new_figure(9.6, 3.1)
    estimate, loss, *rest = figure.subplots(1, 3 if penalty else 2)
    _draw_line(estimate, metrics, "train", "estimate", color=palette.train, label="training batches")
    _draw_line(estimate, metrics, "valid", "estimate", color=palette.certified, label="held-out pictures")
    estimate.set_title("Critic: real less generated")
    estimate.legend(loc="best")
    _draw_line(loss, metrics, "train", "generator_loss", color=palette.series[1], label="generator")
    loss.set_title("Generator's loss")
    for axes in rest:
        _draw_line(axes, metrics, "train", "penalty", color=palette.series[3], label="penalty")
        axes.set_title("Gradient penalty")
    for axes in (estimate, loss, *rest):
        axes.set_xlabel("epochs")
        axes.set_xlim(left=0)
    return figure


def _draw_line(axes: Axes, metrics: Metrics, kind: str, name: str, *, color: str, label: str) -> None:
    epochs, values = metrics.series(kind, name)
    held_out = kind == "valid"
    marker, width = ("o", 1.8) if held_out else ("", 1.1)
    axes.plot(epochs, values, color=color, label=label, marker=marker, markersize=3, linewidth=width)
    if not held_out:
        axes.set_ylim(*steady_limits(values, metrics.series("valid", name)[1]))
