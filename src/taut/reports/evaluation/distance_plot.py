"""Certified and estimated distances against the distance at which an attack succeeded: what lies above is refuted."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from taut.reports.evaluation.read import Evaluation
from taut.reports.page.numbers import NORM_NAMES
from taut.reports.pictures.style import Palette, Picture, new_figure, picture


def distance_picture(evaluation: Evaluation) -> Picture | None:
    """A panel for the certified radius and one for each estimate; None where no attack succeeded."""
    tensors = evaluation.tensors
    attacked = tensors["attacked_distance"]
    met = (attacked > 0) & np.isfinite(attacked)
    if not met.any():
        return None
    panels = {
        "first-order estimate": tensors["first_order_estimate"][met],
        "second-order estimate": tensors["second_order_estimate"][met],
    }
    if evaluation.radius is not None:
        panels = {"certified radius": evaluation.radius[: len(met)][met], **panels}
    reached = attacked[met]

    def draw(palette: Palette) -> Figure:
        figure = new_figure(9.6, 3.7)
        limit = 1.05 * float(reached.max())
        for axes, (name, values) in zip(
            figure.subplots(1, len(panels), squeeze=False).flat, panels.items(), strict=True
        ):
            color = palette.certified if name == "certified radius" else palette.muted
            _panel(axes, reached, values, limit, color, palette)
            axes.set_title(name)
            axes.set_xlabel(f"attack succeeded at ({NORM_NAMES[evaluation.norm]})")
        return figure

    return picture("distances", "Certified and estimated distances against those of an attack", draw)


def _panel(axes: Axes, reached: np.ndarray, values: np.ndarray, limit: float, color: str, palette: Palette) -> None:
    top = 1.35 * limit
    above = values > reached
    shown = np.minimum(values, top)
    axes.fill_between([0, limit], [0, limit], top, color=palette.wrong, alpha=0.07, linewidth=0)
    axes.plot([0, limit], [0, limit], color=palette.ink, linewidth=1.0)
    for chosen, paint in ((~above, color), (above, palette.wrong)):
        axes.scatter(reached[chosen], shown[chosen], s=9, color=paint, alpha=0.7, linewidth=0, clip_on=False)
    axes.text(
        0.04, 0.94, f"{int(above.sum())} of {len(above)} refuted", transform=axes.transAxes, color=palette.wrong,
        fontsize=9, verticalalignment="top",
    )  # fmt: skip
    axes.set_xlim(0, limit)
    axes.set_ylim(0, top)
