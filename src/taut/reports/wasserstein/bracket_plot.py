"""The bracket of the distance: the critic from below, exact transport from above, the truth between."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from taut.reports.page.numbers import distance
from taut.reports.pictures.style import Palette, Picture, new_figure, picture
from taut.reports.wasserstein.result import Result


def bracket_picture(result: Result) -> Picture:
    """The plot of one run."""
    alt = "The critic's estimate with its interval, exact transport and the true distance on one axis"
    return picture("bracket", alt, lambda palette: draw_bracket(result, palette))


def draw_bracket(result: Result, palette: Palette) -> Figure:
    """The figure itself: one row for each measurement, the truth as a line through all of them."""
    rows = [("critic, held out", result.estimate), ("critic, training", result.train_estimate)]
    if result.transport is not None:
        rows.insert(0, ("exact transport", result.transport))
    places = {name: float(len(rows) - 1 - index) for index, (name, _) in enumerate(rows)}
    figure = new_figure(9.6, 0.9 + 0.5 * len(rows))
    axes = figure.add_subplot()
    low, high = _limits(result)
    axes.set_xlim(low, high)
    axes.axvspan(result.lower, high if result.upper is None else result.upper, color=palette.certified, alpha=0.08)
    _draw_critic(axes, result, places["critic, held out"], palette)
    axes.plot(result.train_estimate, places["critic, training"], "o", color=palette.train, markersize=6)
    if result.transport is not None:
        axes.plot(result.transport, places["exact transport"], "D", color=palette.attacked, markersize=6)
    if result.upper is not None:
        _end(axes, result.upper, places.get("exact transport", 0.0), -1, palette.attacked)
    if result.truth is not None:
        axes.axvline(result.truth, color=palette.ink, linewidth=1.1, linestyle=(0, (4, 3)))
        top = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "horizontalalignment": "center"}
        axes.annotate(f"truth {distance(result.truth)}", (result.truth, 1.0), (0, 4), color=palette.ink, **top)
    axes.set_yticks(list(places.values()), [f"{name}  {distance(value)}" for name, value in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("Wasserstein-1 distance, in the units of the samples")
    return figure


def _draw_critic(axes: Axes, result: Result, height: float, palette: Palette) -> None:
    """A dot, its two-sided interval as a bar, and the one-sided lower end as an opening bracket."""
    axes.plot(result.interval, [height, height], color=palette.certified, linewidth=4, alpha=0.45)
    axes.plot(result.estimate, height, "o", color=palette.certified, markersize=7)
    _end(axes, result.lower, height, 1, palette.certified)


def _end(axes: Axes, place: float, height: float, side: int, color: str) -> None:
    """A square bracket that opens to the right (1) or to the left (-1)."""
    low, high = axes.get_xlim()
    tick = place + side * 0.006 * (high - low)
    down, up = height - 0.24, height + 0.24
    axes.plot([tick, place, place, tick], [down, down, up, up], color=color, linewidth=2, solid_capstyle="butt")


def _limits(result: Result) -> tuple[float, float]:
    known = (result.estimate, *result.interval, result.lower, result.upper, result.transport, result.truth)
    shown = [value for value in (*known, result.train_estimate) if value is not None]
    margin = 0.08 * (max(shown) - min(shown)) or 0.05
    return min(shown) - margin, max(shown) + margin
