"""Pictures of samples: the closest pairs of different labels, and gradients of the margin."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from taut.reports.evaluation.read import Evaluation
from taut.reports.pictures.images import draw_image
from taut.reports.pictures.style import Palette, Picture, new_figure, picture

MOST_CLASSES = 20
"""Classes that are shown."""


def pairs_picture(evaluation: Evaluation, classes: Sequence[str]) -> Picture | None:
    """Held-out samples above, the nearest training samples of another label below; None where they are no pictures."""
    tensors = evaluation.tensors
    if "closest" not in tensors or not len(tensors["closest"]):
        return None
    rows = (("closest", "closest_label"), ("closest_other", "closest_other_label"))

    def draw(palette: Palette) -> Figure:
        columns = len(tensors["closest"])
        figure = new_figure(9.6, 2.6)
        grid = figure.subplots(2, max(columns, 6), squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for line, (images, labels) in zip(grid, rows, strict=True):
            for axes, image, label in zip(line, tensors[images], tensors[labels], strict=False):
                draw_image(axes, image)
                _below(axes, classes[int(label)], palette.ink, -0.04)
        for axes, value in zip(grid[1], tensors["closest_distance"], strict=False):
            _below(axes, f"{value:.3g} apart", palette.muted, -0.24)
        return figure

    return picture("closest", "The closest pairs of pictures with different labels", draw)


def gradients_picture(evaluation: Evaluation, classes: Sequence[str]) -> Picture | None:
    """By class: one sample, its gradient, and the mean gradient; None where the samples are no pictures."""
    tensors = evaluation.tensors
    if "class_gradient" not in tensors:
        return None
    labels = tensors["sample_gradient_label"][:MOST_CLASSES]

    def draw(palette: Palette) -> Figure:
        columns = len(labels)
        figure = new_figure(9.6, 3.0 if columns <= 10 else 1.9)
        grid = figure.subplots(3, max(columns, 6), squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for column, label in enumerate(labels):
            draw_image(grid[0, column], tensors["sample_gradient_input"][column])
            _draw_gradient(grid[1, column], tensors["sample_gradient"][column], palette)
            _draw_gradient(grid[2, column], tensors["class_gradient"][label], palette)
            _below(grid[2, column], classes[int(label)], palette.ink, -0.04)
        for line, name in zip(grid, ("sample", "its gradient", "class mean"), strict=True):
            beside = {"transform": line[0].transAxes, "horizontalalignment": "right", "verticalalignment": "center"}
            line[0].text(-0.12, 0.5, name, fontsize=9, fontweight="bold", color=palette.ink, **beside)
        return figure

    return picture("gradients", "Gradients of the margin with respect to the picture", draw)


def _draw_gradient(axes: Axes, gradient: np.ndarray, palette: Palette) -> None:
    """The sum over the channels: 0 is the paper, each picture scaled by its own largest value."""
    values = gradient.sum(axis=0)
    limit = float(np.abs(values).max()) or 1.0
    colors = LinearSegmentedColormap.from_list("signed", [palette.attacked, palette.paper, palette.certified])
    axes.imshow(values, cmap=colors, vmin=-limit, vmax=limit, interpolation="nearest")


def _below(axes: Axes, words: str, color: str, height: float) -> None:
    below = {"transform": axes.transAxes, "horizontalalignment": "center", "verticalalignment": "top"}
    axes.text(0.5, height, words, fontsize=8.5, color=color, **below)
