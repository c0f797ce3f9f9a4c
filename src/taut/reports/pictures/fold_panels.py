"""Panels of functions of pairs of numbers that fold the plane along lines, and of the angles of all pairs."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Wedge

from taut.reports.folder.activations import Folds
from taut.reports.pictures.style import Palette

_TURN = 2 * math.pi


def spread_pairs(folds: Folds, count: int) -> list[int]:
    """Pairs evenly through the order of their first angle, within a turn."""
    order = np.argsort(np.remainder(folds.angles[0], _TURN), kind="stable")
    places = np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int))
    return [int(order[place]) for place in places]


def sectors(folds: Folds, pair: int) -> list[tuple[float, float, bool]]:
    """The sectors around the origin, as (from, to, turned over), in radians; from 0 to a turn after the first ray."""
    angles = folds.angles[:, pair]
    start = float(angles[0])
    if len(angles) == 1:
        # the side on which the normal (sin, -cos) lies is reflected: the half turn before the line
        return [(start, start + math.pi, False), (start + math.pi, start + _TURN, True)]
    first, second = (_reflected(float(angle)) for angle in angles[1:])
    ends = [0.0, first, first + second, math.pi + second, _TURN]
    return [(start + ends[i], start + ends[i + 1], i in (1, 3)) for i in range(4)]


def draw_fold(axes: Axes, *, folds: Folds, pair: int, palette: Palette) -> None:
    """The plane of one pair: what is turned over is shaded, and the lines of the folds are drawn."""
    for begin, end, turned in sectors(folds, pair):
        color = palette.attacked if turned else palette.certified
        axes.add_patch(Wedge((0, 0), 1, math.degrees(begin), math.degrees(end), color=color, alpha=0.22, linewidth=0))
        axes.plot([0, math.cos(begin)], [0, math.sin(begin)], color=palette.ink, linewidth=1.4)
    if len(folds.angles) == 1:
        _arrow(axes, float(folds.angles[0, pair]), palette)
    angle = math.degrees(math.remainder(float(folds.angles[0, pair]), _TURN))
    axes.text(-1.02, -1.15, f"{pair}: {angle:.0f}°", fontsize=7.5, color=palette.muted)
    axes.set_xlim(-1.2, 1.2)
    axes.set_ylim(-1.2, 1.2)
    axes.set_box_aspect(1)
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def draw_angles(axes: Axes, *, folds: Folds, palette: Palette) -> None:
    """Histogram of the first angles of all pairs, in degrees."""
    degrees = np.degrees(np.remainder(folds.angles[0] + math.pi, _TURN) - math.pi)
    axes.hist(degrees, bins=list(np.linspace(-180, 180, 37)), color=palette.certified)
    axes.set_xlim(-180, 180)
    axes.set_xticks([-180, 0, 180], ["-180°", "0°", "180°"])
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_box_aspect(1)
    axes.set_title("angles of all pairs", fontsize=8, fontweight="normal", color=palette.muted)
    axes.tick_params(labelsize=7, pad=1.5)


def _arrow(axes: Axes, angle: float, palette: Palette) -> None:
    """From a point of the side that is reflected to where it goes."""
    normal = np.array([math.sin(angle), -math.cos(angle)])
    arrow = {"arrowstyle": "-|>", "color": palette.ink, "linewidth": 1.1, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", xy=tuple(-0.6 * normal), xytext=tuple(0.6 * normal), arrowprops=arrow)


def _reflected(width: float) -> float:
    """The width of a sector, reflected into [0, pi] as the activation does."""
    return abs(math.remainder(width, _TURN))
