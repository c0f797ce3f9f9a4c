"""Grids of held-out pictures with their label, prediction and certified radius."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from taut.reports.classification.evaluation import Evaluation, Pictures
from taut.reports.pictures.images import draw_image
from taut.reports.pictures.style import Palette, Picture, new_figure, picture

COLUMNS = 10


def grid_picture(name: str, evaluation: Evaluation, pictures: Pictures) -> Picture:
    """So many pictures in rows, in the order in which the run wrote them."""
    alt = name.replace("_", " ") + " pictures of the held-out split"
    return picture(name, alt, lambda palette: draw_grid(evaluation, pictures, palette))


def draw_grid(evaluation: Evaluation, pictures: Pictures, palette: Palette) -> Figure:
    """The figure itself."""
    rows = math.ceil(len(pictures.index) / COLUMNS)
    figure = new_figure(9.6, 1.5 * rows)
    grid = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
    for axes in grid:
        axes.set_axis_off()
    for axes, image, index in zip(grid, pictures.images, pictures.index, strict=False):
        draw_image(axes, image)
        _write_below(axes, evaluation, int(index), palette)
    return figure


def _write_below(axes: Axes, evaluation: Evaluation, index: int, palette: Palette) -> None:
    label, prediction = int(evaluation.label[index]), int(evaluation.prediction[index])
    right = label == prediction
    words = f"{label}" if right else f"{label}, read as {prediction}"
    color = palette.ink if right else palette.wrong
    below = {"transform": axes.transAxes, "horizontalalignment": "center", "verticalalignment": "top"}
    axes.text(0.5, -0.05, words, fontsize=9, fontweight="bold", color=color, **below)
    axes.text(0.5, -0.24, f"radius {evaluation.radius[index]:.3g}", fontsize=8.5, color=palette.muted, **below)
