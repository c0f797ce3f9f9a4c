"""How every picture looks: two palettes, one for paper and one for a dark screen, and figures without global state."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import get_font_names
from matplotlib.ticker import PercentFormatter

PIXELS_PER_INCH = 192
"""Twice the usual, so that the pictures stay sharp on dense screens and on paper."""

PREFERRED_FONTS = ("Inter", "Helvetica Neue", "Helvetica", "Arial", "Liberation Sans", "DejaVu Sans")
"""The first one that the machine has is used; matplotlib brings the last one itself."""


@dataclass(frozen=True, kw_only=True)
class Palette:
    """Colours by meaning; they tell apart for colour-blind readers too, and a page uses each for one thing only."""

    paper: str
    ink: str
    muted: str
    grid: str
    certified: str
    attacked: str
    wrong: str
    train: str
    series: tuple[str, ...]
    """For curves that stand side by side without an order (Okabe and Ito, 2008, adapted to the paper)."""


LIGHT = Palette(
    paper="#ffffff",
    ink="#1c2430",
    muted="#667085",
    grid="#e4e7ec",
    certified="#0b63b5",
    attacked="#c8600a",
    wrong="#b3261e",
    train="#98a2b3",
    series=("#0b63b5", "#c8600a", "#00856a", "#a0468b", "#56708f", "#8a6d00", "#b3261e", "#1c2430"),
)
DARK = Palette(
    paper="#161b22",
    ink="#e6eaf0",
    muted="#98a3b3",
    grid="#2b333e",
    certified="#62aef5",
    attacked="#f0a04b",
    wrong="#ff8a80",
    train="#77839a",
    series=("#62aef5", "#f0a04b", "#3ecfa8", "#e08cc8", "#a7b6c9", "#e3c74a", "#ff8a80", "#e6eaf0"),
)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One plot as PNG files: for light pages and paper, and for dark screens."""

    name: str
    light: bytes
    dark: bytes
    width: int
    """Width at which it is meant to be seen, in CSS pixels."""
    alt: str
    """What it shows, for who cannot see it."""


def picture(name: str, alt: str, draw: Callable[[Palette], Figure]) -> Picture:
    """Draw the same figure in both palettes."""
    images, width = [], 0
    for palette in (LIGHT, DARK):
        with _styled(palette):
            figure = draw(palette)
            images.append(_png(figure))
            width = round(figure.get_figwidth() * 96)
    return Picture(name=name, light=images[0], dark=images[1], width=width, alt=alt)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches that no global registry holds."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def percent_axis(axes: Axes, *, bottom: float = 0.0, top: float = 1.0) -> None:
    """Show fractions as percent on the vertical axis."""
    axes.set_ylim(bottom, top)
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0, symbol=" %"))


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    # No Software or Date entry: the same run gives the same bytes.
    figure.savefig(stream, format="png", dpi=PIXELS_PER_INCH, metadata={"Software": None})
    return stream.getvalue()


@contextmanager
def _styled(palette: Palette) -> Iterator[None]:
    """The house style, from matplotlib's own defaults and not from what a user's matplotlibrc says; undone after."""
    available = set(get_font_names())
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(
            {
                "font.family": next(font for font in PREFERRED_FONTS if font in available),
                "font.size": 9.5,
                "text.color": palette.ink,
                "figure.facecolor": palette.paper,
                "axes.facecolor": palette.paper,
                "savefig.facecolor": palette.paper,
                "axes.edgecolor": palette.muted,
                "axes.labelcolor": palette.muted,
                "axes.labelsize": 9.5,
                "axes.titlesize": 10,
                "axes.titleweight": "bold",
                "axes.titlelocation": "left",
                "axes.titlepad": 9,
                "axes.titlecolor": palette.ink,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.linewidth": 0.8,
                "axes.grid": True,
                "axes.axisbelow": True,
                "grid.color": palette.grid,
                "grid.linewidth": 0.8,
                "xtick.color": palette.muted,
                "ytick.color": palette.muted,
                "xtick.labelsize": 9,
                "ytick.labelsize": 9,
                "xtick.major.size": 3,
                "ytick.major.size": 0,
                "lines.linewidth": 1.8,
                "lines.solid_capstyle": "round",
                "legend.frameon": False,
                "legend.fontsize": 9,
                "hatch.linewidth": 0.6,
            }
        )
        yield
