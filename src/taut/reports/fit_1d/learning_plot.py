"""The course of the training: the median error of each cell against its own epochs."""

from collections import defaultdict

from matplotlib.figure import Figure

from taut.reports.fit_1d.result import LINEAR
from taut.reports.folder.metrics import Metrics
from taut.reports.pictures.style import Palette, Picture, new_figure, picture

_DASHES = ("solid", (0, (4, 1.5)), (0, (1, 1)))


def learning_picture(metrics: Metrics) -> Picture:
    """One panel for each kind of linear layer, one line for each activation."""
    alt = "Median error of the networks of each activation against the epoch, a panel for each kind of linear layer"
    return picture("learning", alt, lambda palette: draw_learning(metrics, palette))


def draw_learning(metrics: Metrics, palette: Palette) -> Figure:
    """The figure itself."""
    courses = _courses(metrics)
    linears = list(dict.fromkeys(linear for _, linear in courses))
    activations = list(dict.fromkeys(activation for activation, _ in courses))
    figure = new_figure(9.6, 3.6 + 0.16 * len(activations) / 4)
    for axes, linear in zip(figure.subplots(1, len(linears), sharey=True, squeeze=False).flat, linears, strict=True):
        for number, activation in enumerate(activations):
            epochs, errors = courses.get((activation, linear), ([], []))
            dashes, color = divmod(number, len(palette.series))
            style = {"color": palette.series[color], "linestyle": _DASHES[dashes % len(_DASHES)]}
            axes.plot(epochs, errors, linewidth=1.4, label=activation, **style)
        axes.set_title(LINEAR.get(linear, linear))
        axes.set_yscale("log")
        axes.set_xlabel("epochs")
    first = figure.axes[0]
    first.set_ylabel("median of the mean squared errors")
    handles, labels = first.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, handlelength=2.0)
    return figure


def _courses(metrics: Metrics) -> dict[tuple[str, str], tuple[list[float], list[float]]]:
    """Epochs of the cell and medians, by activation and linear layer. Cells are trained one after the other."""
    courses: dict[tuple[str, str], tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    started = ended = 0.0
    last = None
    for point in metrics.valid:
        activation, _, linear = point.fields.text("cell").partition("/")
        if (activation, linear) != last:
            started, last = ended, (activation, linear)
        ended = point.epoch
        epochs, medians = courses[activation, linear]
        epochs.append(point.epoch - started)
        medians.append(max(point.fields.number("median"), 1e-16))
    return dict(courses)
