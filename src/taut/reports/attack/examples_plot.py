"""Samples before and after an attack, and what was added to them."""

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from taut.reports.attack.result import Attack
from taut.reports.pictures.images import draw_image
from taut.reports.pictures.style import Palette, Picture, new_figure, picture

MOST = 8


def examples_picture(attack: Attack) -> Picture:
    """Three rows: the sample with its class, the change, the sample with the change and the class that it has now."""
    alt = "Samples, what the attack added to them, and what the network then reads"
    return picture("examples", alt, lambda palette: draw_examples(attack, palette))


def spread(distance: Float[np.ndarray, " n"], most: int = MOST) -> Int[np.ndarray, " m"]:
    """Places of at most so many samples, evenly from the nearest to the farthest.

    >>> spread(np.array([3.0, 1.0, 2.0]), 2).tolist()
    [1, 0]
    """
    order = np.argsort(distance, kind="stable")
    return order[np.linspace(0, len(order) - 1, min(most, len(order))).round().astype(int)]


def draw_examples(attack: Attack, palette: Palette) -> Figure:
    """The figure itself."""
    tensors = attack.tensors
    distance = tensors["broken_at"][tensors["index"]]
    chosen = spread(distance)
    figure = new_figure(9.6, 4.5)
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.02, wspace=0.0, hspace=0.02)  # type: ignore[union-attr]
    grid = figure.subplots(3, MOST, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for column, place in zip(grid.T, chosen, strict=False):
        before, after = tensors["input"][place], tensors["attacked"][place]
        change = after - before
        largest = float(np.abs(change).max()) or 1.0
        draw_image(column[0], before)
        draw_image(column[1], 0.5 + change / (2 * largest))
        draw_image(column[2], after)
        label, prediction = (attack.classes[int(tensors[name][place])] for name in ("label", "prediction"))
        _write(column[0], label, palette.ink)
        _write(column[1], f"at most {largest:.3g}", palette.muted)
        _write(column[2], f"{prediction}", palette.wrong)
        _write(column[2], f"distance {distance[place]:.3g}", palette.muted, down=0.19)
    for axes, words in zip(grid[:, 0], ("sample", "change", "attacked"), strict=True):
        beside = {"transform": axes.transAxes, "horizontalalignment": "right", "verticalalignment": "center"}
        axes.text(-0.1, 0.5, words, fontsize=9.5, fontweight="bold", color=palette.ink, rotation=90, **beside)
    return figure


def _write(axes: Axes, words: str, color: str, *, down: float = 0.04) -> None:
    below = {"transform": axes.transAxes, "horizontalalignment": "center", "verticalalignment": "top"}
    axes.text(0.5, -down, words, fontsize=8.5, color=color, **below)
