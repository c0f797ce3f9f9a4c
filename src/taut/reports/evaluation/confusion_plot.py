"""The confusion matrix: the errors, by label and answer."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from taut.reports.evaluation.read import Evaluation
from taut.reports.pictures.style import Palette, Picture, new_figure, picture

MOST_NUMBERS = 20
"""Classes up to which the cells carry their numbers."""


def confusion_picture(evaluation: Evaluation, classes: Sequence[str]) -> Picture:
    """Rows are labels, columns answers; the colour is of the errors alone, which the diagonal would outshine."""
    counts = evaluation.tensors["confusion"]
    errors = np.where(np.eye(len(counts), dtype=bool), 0, counts)

    def draw(palette: Palette) -> Figure:
        size = min(9.0, max(4.2, 0.48 * len(counts)))
        figure = new_figure(size + 0.6, size)
        axes = figure.add_subplot()
        axes.grid(visible=False)
        colors = LinearSegmentedColormap.from_list("errors", [palette.paper, palette.wrong])
        limit = max(1, int(errors.max()))
        axes.imshow(errors, cmap=colors, vmin=0, vmax=1.6 * limit)
        if len(counts) <= MOST_NUMBERS:
            for row, column in np.argwhere(counts > 0):
                color = palette.muted if row == column else palette.ink
                number = str(int(counts[row, column]))
                axes.text(column, row, number, fontsize=8, color=color, ha="center", va="center")
            places = range(len(counts))
            axes.set_xticks(places, classes, rotation=0 if max(map(len, classes)) < 3 else 60)
            axes.set_yticks(places, classes)
        axes.set_xlabel("answer")
        axes.set_ylabel("label")
        return figure

    return picture("confusion", "Confusion matrix", draw)
