"""The density that was learned, beside the true one: curves on a line, maps of a plane."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from taut.reports.invertible.evaluation import Drawn, Evaluation
from taut.reports.pictures.style import Palette, Picture, new_figure, picture

BINS = 50
SHOWN = 1000
_BRIGHTEST = 99.7


def density_picture(evaluation: Evaluation, drawn: Drawn) -> Picture:
    """Curves or maps, by the dimension."""
    known = "" if drawn.truth is None else ", and the true one"
    if drawn.density.ndim == 1:
        alt = f"The density that was learned as a curve{known}, with bars for samples of the network"
        return picture("density", alt, lambda palette: draw_curves(evaluation, drawn, palette))
    alt = f"The density that was learned as a map of the plane{known}"
    return picture("density", alt, lambda palette: draw_maps(evaluation, drawn, palette))


def samples_picture(evaluation: Evaluation) -> Picture:
    """Data beside samples of the network, in the plane."""
    alt = "Held-out data beside samples of the network"
    return picture("samples", alt, lambda palette: draw_samples(evaluation, palette))


def draw_curves(evaluation: Evaluation, drawn: Drawn, palette: Palette) -> Figure:
    """Densities and a histogram of samples above, the map to the latent space below."""
    figure = new_figure(9.6, 5.4)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    places = drawn.points[:, 0]
    span = (float(places[0]), float(places[-1]))
    bars = {"bins": BINS, "range": span, "density": True, "alpha": 0.28, "color": palette.certified}
    top.hist(evaluation.samples[:, 0], label="samples of the network", **bars)
    top.plot(places, drawn.density, color=palette.certified, linewidth=2.2, label="learned density")
    if drawn.truth is not None:
        style = {"color": palette.ink, "linewidth": 1.3, "linestyle": (0, (4, 3))}
        top.plot(places, drawn.truth, label="true density", **style)
    top.set_ylabel("density")
    top.set_ylim(bottom=0)
    top.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.2, handlelength=1.6)
    if drawn.image is not None:
        bottom.plot(places, drawn.image, color=palette.certified, linewidth=2.0)
    bottom.set_ylabel("latent z = f(x)")
    bottom.set_xlabel("sample x")
    bottom.set_xlim(*span)
    return figure


def draw_maps(evaluation: Evaluation, drawn: Drawn, palette: Palette) -> Figure:
    """One panel for each density, in the same colours; where none is known, the data stand beside the learned one."""
    figure = new_figure(9.6, 0.8 + 4.0 * tallness(drawn.points))
    panels = figure.subplots(1, 2, sharey=True)
    learned, beside = panels
    # neither a spike of the learned density nor one of the true density alone decides the colours
    reference = drawn.density if drawn.truth is None else drawn.truth
    brightest = float(np.percentile(reference, _BRIGHTEST)) or float(drawn.density.max()) or 1.0
    shades = {"norm": PowerNorm(0.7, 0.0, brightest), "cmap": _ramp(palette)}
    mesh = learned.pcolormesh(drawn.points[..., 0], drawn.points[..., 1], drawn.density, shading="gouraud", **shades)
    learned.set_title("Learned density")
    if drawn.truth is not None:
        beside.pcolormesh(drawn.points[..., 0], drawn.points[..., 1], drawn.truth, shading="gouraud", **shades)
        beside.set_title("True density")
    else:
        scatter(beside, evaluation.data, palette.ink)
        beside.set_title("Held-out data (density not known)")
    for axes in panels:
        frame(axes, drawn.points)
    bar = figure.colorbar(mesh, ax=list(panels), pad=0.02, aspect=30, ticks=MaxNLocator(5), label="density")
    bar.outline.set_visible(False)  # type: ignore[operator]
    return figure


def draw_samples(evaluation: Evaluation, palette: Palette) -> Figure:
    """Two panels with the same axes."""
    # far outliers of the samples do not decide what is shown
    both = np.concatenate([evaluation.data, np.quantile(evaluation.samples, [0.002, 0.998], axis=0)])
    figure = new_figure(9.6, 0.8 + 4.4 * tallness(both))
    panels = figure.subplots(1, 2, sharey=True)
    rows = {"Held-out data": (evaluation.data, palette.ink), "Samples": (evaluation.samples, palette.certified)}
    for axes, (title, (points, color)) in zip(panels, rows.items(), strict=True):
        scatter(axes, points, color)
        axes.set_title(title)
        frame(axes, both, margin=0.05)
    return figure


def scatter(axes: Axes, points: Float[np.ndarray, "n 2"], color: str) -> None:
    """Small dots."""
    axes.plot(points[:SHOWN, 0], points[:SHOWN, 1], "o", color=color, markersize=2.6, alpha=0.6, markeredgewidth=0)


def frame(axes: Axes, points: Float[np.ndarray, "*grid 2"], *, margin: float = 0.0) -> None:
    """Equal scales, and all the points."""
    flat = points.reshape(-1, 2)
    low, high = flat.min(axis=0), flat.max(axis=0)
    more = margin * (high - low)
    axes.set_xlim(low[0] - more[0], high[0] + more[0])
    axes.set_ylim(low[1] - more[1], high[1] + more[1])
    axes.set_aspect("equal")
    axes.grid(visible=False)


def tallness(points: Float[np.ndarray, "*grid 2"]) -> float:
    """Height of the region over its width, within what a page can show."""
    flat = points.reshape(-1, 2)
    width, height = flat.max(axis=0) - flat.min(axis=0)
    return float(np.clip(height / max(width, 1e-12), 0.4, 1.5))


def _ramp(palette: Palette) -> LinearSegmentedColormap:
    return LinearSegmentedColormap.from_list("density", [palette.paper, palette.certified, palette.ink])
