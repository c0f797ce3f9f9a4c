"""What happened from iteration to iteration: the fixed-point residual, and the distance to the truth."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from taut.reports.pictures.style import Palette, Picture, new_figure, picture
from taut.reports.restoration.run import Course

_MANY = 60
"""Iterations beyond which the steps are too close to be marked one by one."""


def residual_picture(denoiser: Course, beside: Course | None, names: tuple[str, str]) -> Picture:
    """Residuals of both denoisers on a logarithmic axis; rises beyond rounding are marked."""
    alt = "Fixed-point residual against the iteration, on a logarithmic axis"
    return picture("residual", alt, lambda palette: draw_residuals(denoiser, beside, names, palette))


def draw_residuals(denoiser: Course, beside: Course | None, names: tuple[str, str], palette: Palette) -> Figure:
    """The figure itself."""
    figure = new_figure(9.6, 3.4)
    axes = figure.add_subplot()
    lines = [(denoiser, names[0], palette.certified)] + ([(beside, names[1], palette.series[3])] if beside else [])
    for course, name, colour in lines:
        values = np.where(course.residual > 0, course.residual, np.nan)  # an exact fixed point has no logarithm
        marker = "o" if len(values) <= _MANY else None
        axes.plot(np.arange(1, len(values) + 1), values, color=colour, marker=marker, markersize=3, label=name)
    axes.set_yscale("log")
    axes.set_xlim(left=0)
    axes.set_xlabel("iteration")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("fixed-point residual")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.2, handlelength=1.6)
    return figure


def psnr_picture(
    denoiser: Course, beside: Course | None, names: tuple[str, str], start: float | None
) -> Picture | None:
    """PSNR of the iterates of both denoisers; None where no truth is known."""
    if denoiser.psnr is None:
        return None
    rows = {names[0]: denoiser.psnr} | ({names[1]: beside.psnr} if beside and beside.psnr is not None else {})
    alt = "Peak signal-to-noise ratio of the iterates against the iteration"
    return picture("psnr", alt, lambda palette: draw_psnr(rows, start, palette))


def draw_psnr(rows: dict[str, Float[np.ndarray, " steps"]], start: float | None, palette: Palette) -> Figure:
    """The figure itself."""
    figure = new_figure(9.6, 3.0)
    axes = figure.add_subplot()
    for (name, values), colour in zip(rows.items(), (palette.certified, palette.series[3]), strict=False):
        axes.plot(np.arange(1, len(values) + 1), values, color=colour, label=name)
    if start is not None:
        axes.axhline(start, color=palette.ink, linewidth=1.1, linestyle=(0, (4, 3)), label="start")
    lowest = min(float(np.max(values)) for values in rows.values()) - 25.0  # what diverges would flatten the rest
    axes.set_ylim(bottom=max(lowest, min(float(np.min(values)) for values in rows.values()) - 1.0))
    axes.set_xlim(left=0)
    axes.set_xlabel("iteration")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("PSNR in dB")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.2, handlelength=1.6)
    return figure
