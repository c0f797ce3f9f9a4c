"""The pictures side by side, and below each the same detail enlarged."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from taut.reports.pictures.style import Palette, Picture, new_figure, picture

_WIDTH = 9.6
_DETAIL = 64
"""Side of the detail in pixels of the largest picture."""
_WORTH = 2.5
"""Pictures of fewer details on their shorter side are seen well enough as a whole."""

Levels = Float[np.ndarray, "height width *colours"]


def strip_picture(pictures: dict[str, Levels], titles: dict[str, str]) -> Picture:
    """One column for each picture, in the order of `pictures`, under its title."""
    alt = "Side by side: " + ", ".join(titles[name].strip().replace("\n", ", ") for name in pictures)
    return picture("strip", alt, lambda palette: draw_strip(pictures, titles, palette))


def draw_strip(pictures: dict[str, Levels], titles: dict[str, str], palette: Palette) -> Figure:
    """The figure itself."""
    size = max((levels.shape[:2] for levels in pictures.values()), key=lambda shape: shape[0] * shape[1])
    detail = has_detail(size)
    across = _WIDTH / len(pictures)
    figure = new_figure(_WIDTH, across * (size[0] / size[1] + detail) + 0.75)
    rows = figure.subplots(1 + detail, len(pictures), squeeze=False, height_ratios=[size[0] / size[1], 1][: 1 + detail])
    top, left = detail_place(pictures["restored" if "original" not in pictures else "original"])
    for column, (name, levels) in enumerate(pictures.items()):
        _show(rows[0, column], levels)
        rows[0, column].set_title(titles[name], fontsize=9)
        if detail:
            scale = levels.shape[1] / size[1]
            part = _DETAIL * scale
            rows[0, column].add_patch(
                Rectangle(
                    (left * scale - 0.5, top * scale - 0.5), part, part,
                    edgecolor="white", facecolor="none", linewidth=1.4,
                    path_effects=[withStroke(linewidth=3.2, foreground="black")],  # seen on pictures of any colour
                )
            )  # fmt: skip
            rows_, columns_ = (slice(round(at * scale), round(at * scale + part)) for at in (top, left))
            _show(rows[1, column], levels[rows_, columns_])
    return figure


def has_detail(size: Sequence[int]) -> bool:
    """Whether pictures of the size (height, width) are so large that a detail is worth showing.

    >>> has_detail((100, 400)), has_detail((160, 160))
    (False, True)
    """
    return min(size) >= _WORTH * _DETAIL


def detail_place(levels: Levels, side: int = _DETAIL) -> tuple[int, int]:
    """Top and left of the square in which neighbouring pixels differ the most, on a grid of half its side.

    >>> flat = np.zeros((256, 256)); flat[130:140:2, 70:80] = 1
    >>> detail_place(flat)
    (96, 32)
    """
    grey = levels if levels.ndim == 2 else levels.mean(axis=2)
    down, across = np.abs(np.diff(grey, axis=0))[:, :-1], np.abs(np.diff(grey, axis=1))[:-1]
    activity = down + across
    places = [
        (float(activity[top : top + side, left : left + side].sum()), -top, -left)
        for top in range(0, max(1, grey.shape[0] - side + 1), side // 2)
        for left in range(0, max(1, grey.shape[1] - side + 1), side // 2)
    ]
    _, top, left = max(places)
    return -top, -left


def _show(axes: Axes, levels: Levels) -> None:
    axes.set_axis_off()
    axes.imshow(np.clip(levels, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="auto", interpolation_stage="rgba")
