"""The training loss of every layer against the time that its updates had taken."""

from itertools import cycle

from matplotlib.figure import Figure

from taut.reports.folder.metrics import Metrics
from taut.reports.pictures.style import Palette, Picture, new_figure, picture


def time_picture(runs: dict[str, Metrics]) -> Picture | None:
    """One curve for each run; None where none has logged anything."""
    known = {name: metrics for name, metrics in runs.items() if metrics.train}
    if not known:
        return None
    return picture("time", "Training loss of each layer against seconds", lambda palette: draw_times(known, palette))


def draw_times(runs: dict[str, Metrics], palette: Palette) -> Figure:
    """All over each other."""
    figure = new_figure(9.6, 3.8)
    axes = figure.subplots()
    strokes = [(color, stroke) for stroke in ("solid", (0, (5, 2))) for color in palette.series]
    for (name, metrics), (color, stroke) in zip(runs.items(), cycle(strokes), strict=False):
        seconds, losses = ([point.value(field) for point in metrics.train] for field in ("seconds", "loss"))
        marker = "o" if len(seconds) == 1 else ""
        axes.plot(seconds, losses, color=color, linestyle=stroke, marker=marker, label=name, linewidth=1.5)
    axes.set_xlabel("seconds of updates")
    axes.set_title("loss on training batches")
    axes.set_xlim(left=0)
    figure.legend(loc="outside lower center", ncols=6)
    return figure
