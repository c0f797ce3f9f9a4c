"""Learning curves of several runs over each other."""

from itertools import cycle

from matplotlib.figure import Figure

from taut.reports.folder.metrics import Metrics
from taut.reports.pictures.style import Palette, Picture, new_figure, picture

MOST_PANELS = 3
_LEFT_OUT = ("step", "epoch", "seconds", "lr", "examples_per_second", "beside")
_STROKES = ("solid", (0, (5, 2)), (0, (1.5, 1.5)))


def curves_picture(runs: dict[str, Metrics]) -> Picture | None:
    """What was logged of the held-out split, or of the training where of that there is no more than one point.

    A panel for each quantity; None where no two runs logged the same.
    """
    watched = any(len(metrics.valid) > 1 for metrics in runs.values())
    kind = "valid" if watched or not any(metrics.train for metrics in runs.values()) else "train"
    names = _names(runs, kind)
    if not names:
        return None

    def draw(palette: Palette) -> Figure:
        figure = new_figure(9.6, 3.6)
        panels = figure.subplots(1, len(names), squeeze=False)[0]
        strokes = [(color, stroke) for stroke in _STROKES for color in palette.series]
        for axes, name in zip(panels, names, strict=True):
            for (label, metrics), (color, stroke) in zip(runs.items(), cycle(strokes), strict=False):
                epochs, values = metrics.series(kind, name)
                marker = "o" if len(epochs) == 1 else ""
                axes.plot(epochs, values, color=color, linestyle=stroke, marker=marker, label=label, linewidth=1.5)
            axes.set_title(name.replace("_", " "))
            axes.set_xlabel("epochs")
            axes.set_xlim(left=0)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)))
        return figure

    return picture("learning", f"{', '.join(names)} of every run against the epoch", draw)


def _names(runs: dict[str, Metrics], kind: str) -> list[str]:
    """Numbers that two runs or more have logged, in the order of the log."""
    counts: dict[str, int] = {}
    for metrics in runs.values():
        points = metrics.valid if kind == "valid" else metrics.train
        logged = points[-1].fields.values if points else {}
        for name, value in logged.items():
            if isinstance(value, int | float) and not isinstance(value, bool) and name not in _LEFT_OUT:
                counts[name] = counts.get(name, 0) + 1
    return [name for name, count in counts.items() if count >= min(2, len(runs))][:MOST_PANELS]
