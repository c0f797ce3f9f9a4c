"""Images of samples: grey for one channel, colour for three."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from taut.reports.pictures.style import Palette, Picture, new_figure, picture

COLUMNS = 12


def draw_image(axes: Axes, image: Float[np.ndarray, "channels height width"]) -> None:
    """Grey for one channel, colour for three; the first channel of anything else."""
    shown = np.moveaxis(image, 0, -1) if image.shape[0] == 3 else image[0]
    axes.imshow(np.clip(shown, 0.0, 1.0), cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")


def rows_picture(name: str, alt: str, rows: dict[str, Float[np.ndarray, "_ channels height width"]]) -> Picture:
    """One row of samples for each name: the first of them."""

    def draw(palette: Palette) -> Figure:
        figure = new_figure(9.6, 0.9 * len(rows))
        grid = figure.subplots(len(rows), COLUMNS, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for line, (label, images) in zip(grid, rows.items(), strict=True):
            for axes, image in zip(line, images, strict=False):
                draw_image(axes, image)
            beside = {"transform": line[0].transAxes, "horizontalalignment": "right", "verticalalignment": "center"}
            line[0].text(-0.12, 0.5, label, fontsize=11, fontweight="bold", color=palette.ink, **beside)
        return figure

    return picture(name, alt, draw)
