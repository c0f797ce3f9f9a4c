"""Each held-out picture as a point: what the denoiser gains over total variation, and loses to the other net."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from taut.reports.denoising.evaluation import Evaluation
from taut.reports.denoising.result import METHODS
from taut.reports.pictures.style import Palette, Picture, new_figure, picture


def scatter_picture(evaluation: Evaluation) -> Picture | None:
    """A panel for each method that the denoiser is compared with; None where there is none."""
    others = [
        other
        for other in ("tv", "unconstrained")
        if any(other in methods and "denoiser" in methods for methods in evaluation.psnr.values())
    ]
    if not others:
        return None

    def draw(palette: Palette) -> Figure:
        figure = new_figure(4.8 * len(others), 3.9)
        for axes, other in zip(figure.subplots(1, len(others), squeeze=False).flat, others, strict=True):
            _draw_panel(axes, evaluation, other, palette)
        return figure

    return picture("per_picture", "PSNR of the denoiser against that of other methods, picture by picture", draw)


def _draw_panel(axes: Axes, evaluation: Evaluation, other: str, palette: Palette) -> None:
    drawn = {name: methods for name, methods in evaluation.psnr.items() if other in methods and "denoiser" in methods}
    for (name, methods), color, marker in zip(drawn.items(), palette.series[::2], "os^D", strict=False):
        gains = methods["denoiser"] - methods[other]
        label = f"{name}: better on {int((gains > 0).sum())} of {len(gains)}"
        axes.scatter(methods[other], gains, s=16, marker=marker, color=color, alpha=0.75, linewidths=0, label=label)
    axes.axhline(0.0, color=palette.muted, linewidth=0.9)
    axes.set_xlabel(f"PSNR of {METHODS[other]} [dB]")
    axes.set_ylabel("denoiser's gain [dB]")
    axes.set_title(f"Against {METHODS[other]}", pad=22)
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.2, fontsize=8.5)  # no point below
