"""Strips of pictures: clean, noisy and as each method gives it back, at a size at which differences can be seen."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from taut.reports.denoising.evaluation import Strip
from taut.reports.denoising.result import METHODS
from taut.reports.pictures.images import draw_image
from taut.reports.pictures.style import Palette, Picture, new_figure, picture

MOST = 3
SIDE = 128
"""Pixels of the square that is shown of each picture."""


def strips_picture(strips: list[Strip]) -> Picture:
    """A row for each picture, at most so many, the sets in turn; PSNR of the whole picture under each square."""
    shown = spread(strips)

    def draw(palette: Palette) -> Figure:
        columns = 1 + max(len(strip.made) for strip in shown)
        width = 9.6
        figure = new_figure(width, (width / columns + 0.32) * len(shown) + 0.25)
        figure.get_layout_engine().set(w_pad=0.03, h_pad=0.02, wspace=0.0, hspace=0.0)  # type: ignore[union-attr]
        grid = figure.subplots(len(shown), columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for row, strip in zip(grid, shown, strict=True):
            _draw_row(list(row), strip, palette, titled=row is grid[0] or strip is shown[0])
        return figure

    return picture("strips", "Pictures: clean, noisy, and as each method restores them", draw)


def spread(strips: list[Strip], count: int = MOST) -> list[Strip]:
    """At most so many strips, the first of every set, then the second of every set, and so on."""
    return sorted(strips, key=lambda strip: strip.index)[:count]


def _draw_row(row: list[Axes], strip: Strip, palette: Palette, *, titled: bool) -> None:
    top, left = busiest(strip.clean)
    window = np.s_[:, top : top + SIDE, left : left + SIDE]
    best = max(
        (method for method in strip.psnr if method != "noisy"), key=lambda method: strip.psnr[method], default=""
    )
    images = {"clean": strip.clean, **strip.made}
    for axes, (method, image) in zip(row, images.items(), strict=False):
        draw_image(axes, image[window])
        if titled:
            axes.set_title(METHODS.get(method, method), fontsize=9.5)
        words = f"{strip.test_set}, picture {strip.index + 1}" if method == "clean" else f"{strip.psnr[method]:.2f} dB"
        axes.text(
            0.0,
            -0.03,
            words,
            transform=axes.transAxes,
            verticalalignment="top",
            fontsize=8.5,
            color=palette.ink if method == best else palette.muted,
            fontweight="bold" if method == best else "normal",
        )


def busiest(clean: np.ndarray, side: int = SIDE) -> tuple[int, int]:
    """Corner of the square with the most variation between neighbours, on a coarse grid of places.

    >>> image = np.zeros((1, 300, 300)); image[0, 200:210, 200:210] = 1.0
    >>> busiest(image)[0] > 64
    True
    """
    height, width = clean.shape[1:]
    steps = np.abs(np.diff(clean, axis=1))[:, :, :-1] + np.abs(np.diff(clean, axis=2))[:, :-1]
    places = [
        (top, left)
        for top in range(0, max(1, height - side + 1), 32)
        for left in range(0, max(1, width - side + 1), 32)
    ]
    return max(places, key=lambda place: steps[:, place[0] : place[0] + side, place[1] : place[1] + side].sum())
