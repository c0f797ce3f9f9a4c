"""The potential that the critic learned, beside the true one: a curve, contours, and a surface."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from taut.reports.pictures.style import Palette, Picture, new_figure, picture
from taut.reports.wasserstein.beside import UNNAMED
from taut.reports.wasserstein.evaluation import Evaluation, Potential

SHOWN = 250
"""Points of each sample that are drawn on a plane."""
LEVELS = 16


def curve_picture(evaluation: Evaluation, potential: Potential, *, beside: str = UNNAMED) -> Picture:
    """For samples of one number; `beside` names the activation of the second critic, where there is one."""
    alt = "The critic and the true potential as curves, with the places of the samples below"
    alt += _and_beside(potential, beside)
    return picture("potential", alt, lambda palette: draw_curve(evaluation, potential, palette, beside=beside))


def contour_picture(evaluation: Evaluation, potential: Potential, *, beside: str = UNNAMED) -> Picture:
    """For samples on a plane, and for a plane through larger spaces, where the samples do not lie."""
    alt = "Contours of the critic, and of the true potential where it is known" + _and_beside(potential, beside)
    return picture("potential", alt, lambda palette: draw_contours(evaluation, potential, palette, beside=beside))


def surface_picture(potential: Potential, *, beside: str = UNNAMED) -> Picture:
    """The same as a landscape."""
    alt = "The critic as a surface, and the true potential where it is known" + _and_beside(potential, beside)
    return picture("potential_surface", alt, lambda palette: draw_surfaces(potential, palette, beside=beside))


def draw_curve(evaluation: Evaluation, potential: Potential, palette: Palette, *, beside: str = UNNAMED) -> Figure:
    """Two panels on one horizontal axis: the potentials, and below them where the samples lie."""
    figure = new_figure(9.6, 4.4)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(5, 1))
    order = np.argsort(potential.points[:, 0])
    places = potential.points[order, 0]
    top.plot(places, potential.critic[order], color=palette.certified, linewidth=2.2, label="critic / K")
    if potential.beside is not None:
        top.plot(places, potential.beside[order], color=palette.series[3], linewidth=1.8, label=f"with {beside} / K")
    if potential.truth is not None:
        style = {"color": palette.ink, "linewidth": 1.2, "linestyle": (0, (4, 3))}
        top.plot(places, potential.truth[order], label="true potential", **style)
    top.set_ylabel("potential, mean 0")
    top.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.2, handlelength=1.6)
    samples = (("Q", evaluation.q_samples, palette.attacked), ("P", evaluation.p_samples, palette.certified))
    for height, (_, values, color) in enumerate(samples):
        bottom.plot(values.ravel(), np.full(values.size, height), "|", color=color, markersize=11, alpha=0.5)
    bottom.set_yticks(range(len(samples)), [name for name, _, _ in samples])
    bottom.set_ylim(-0.6, 1.6)
    bottom.grid(visible=False)
    bottom.spines["left"].set_visible(False)
    bottom.set_xlim(places[0], places[-1])
    bottom.set_xlabel("sample")
    return figure


def draw_contours(evaluation: Evaluation, potential: Potential, palette: Palette, *, beside: str = UNNAMED) -> Figure:
    """One panel for each potential, on the same levels; the samples only where they lie in the plane."""
    panels = list(_panels(potential, beside))
    across, up = potential.points[..., 0], potential.points[..., 1]
    stacked = len(panels) > 2 and float(np.ptp(across)) > 1.5 * float(np.ptp(up))
    figure = new_figure(*_size(len(panels), stacked=stacked))
    cells = (len(panels), 1) if stacked else (1, len(panels))
    grid = list(figure.subplots(*cells, squeeze=False).flat)
    levels = _levels(potential)
    filled: list[QuadContourSet] = []
    for axes, (title, values) in zip(grid, panels, strict=True):
        filled.append(axes.contourf(across, up, values, levels=levels, cmap=_ramp(palette)))
        axes.contour(across, up, values, levels=levels, colors=palette.muted, linewidths=0.4, linestyles="solid")
        if potential.points.shape[-1] == 2:
            _draw_samples(axes, evaluation, palette)
        axes.set_title(title)
        axes.set_aspect("equal")
        axes.grid(visible=False)
        axes.set_xlim(across.min(), across.max())
        axes.set_ylim(up.min(), up.max())
    for axes in grid[-1:] if stacked else grid:
        axes.set_xlabel("first coordinate")
    for axes in grid if stacked else grid[:1]:
        axes.set_ylabel("second coordinate")
    if potential.points.shape[-1] == 2:
        place: dict[str, Any] = {"loc": "upper right", "frameon": True}
        if len(panels) > 2:  # small panels, of which a legend inside would hide too much
            place = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "ncols": 2, "handletextpad": 0.1}
        grid[-1].legend(**place, facecolor=palette.paper, edgecolor=palette.grid)
    figure.colorbar(filled[0], ax=grid, shrink=0.8, aspect=30, ticks=MaxNLocator(6), label="potential, mean 0")
    return figure


def draw_surfaces(potential: Potential, palette: Palette, *, beside: str = UNNAMED) -> Figure:
    """One landscape for each potential, with the same heights."""
    panels = list(_panels(potential, beside))
    figure = new_figure(9.6 if len(panels) > 1 else 5.6, 4.2 if len(panels) < 3 else 3.4)
    levels = _levels(potential)
    colors = {"cmap": _ramp(palette), "vmin": levels[0], "vmax": levels[-1]}
    mesh = {"rcount": 60, "ccount": 60, "linewidth": 0.15, "edgecolor": palette.muted, "antialiased": True}
    for index, (title, values) in enumerate(panels):
        axes: Any = figure.add_subplot(1, len(panels), index + 1, projection="3d")
        axes.plot_surface(potential.points[..., 0], potential.points[..., 1], values, **colors, **mesh)
        axes.set_zlim(levels[0], levels[-1])
        axes.set_title(title, loc="center")
        for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
            axis.set_major_locator(MaxNLocator(4))
            axis.set_pane_color(palette.paper)
            axis.line.set_color(palette.muted)
        axes.tick_params(labelsize=8, pad=0)
        axes.tick_params(axis="z", pad=4)
        axes.view_init(elev=32, azim=-58)
        axes.set_box_aspect(None, zoom=1.02)
    return figure


def _size(panels: int, *, stacked: bool) -> tuple[float, float]:
    """Inches; three panels of a wide plane stand one above the other, or they would be too small to read."""
    if stacked:
        return 7.2, 2.2 * panels
    return (5.6 if panels == 1 else 9.6), (4.7 if panels < 3 else 3.4)


def _panels(potential: Potential, beside: str = UNNAMED) -> Iterator[tuple[str, Float[np.ndarray, "rows columns"]]]:
    yield "Critic / K", potential.critic
    if potential.truth is not None:
        yield "True potential", potential.truth
    if potential.beside is not None:
        yield f"With {beside} / K", potential.beside


def _and_beside(potential: Potential, beside: str) -> str:
    return "" if potential.beside is None else f", and a second critic with {beside}"


def _levels(potential: Potential) -> list[float]:
    values = np.concatenate([rows.ravel() for _, rows in _panels(potential)])
    low, high = float(values.min()), float(values.max())
    return np.linspace(low, high if high > low else low + 1.0, LEVELS).tolist()


def _ramp(palette: Palette) -> LinearSegmentedColormap:
    """Low where the mass of Q lies, high where that of P lies, each in its colour."""
    return LinearSegmentedColormap.from_list("potential", [palette.attacked, palette.paper, palette.certified])


def _draw_samples(axes: Axes, evaluation: Evaluation, palette: Palette) -> None:
    samples = (("P", evaluation.p_samples, palette.certified), ("Q", evaluation.q_samples, palette.attacked))
    for name, values, color in samples:
        places = values[:SHOWN]
        edge = {"markeredgecolor": palette.paper, "markeredgewidth": 0.5}
        axes.plot(places[:, 0], places[:, 1], "o", color=color, markersize=4, label=name, **edge)
