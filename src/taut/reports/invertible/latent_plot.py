"""The latent space: where the data go, and what its circles and rays look like among the samples."""

import numpy as np
from matplotlib.figure import Figure

from taut.reports.invertible.density_plot import frame, scatter, tallness
from taut.reports.invertible.evaluation import Drawn, Evaluation
from taut.reports.pictures.style import Palette, Picture, new_figure, picture

RADII = (0.5, 1.0, 1.5, 2.0, 2.5)


def latent_picture(evaluation: Evaluation, drawn: Drawn) -> Picture:
    """Latents of the data with circles about 0, and the same circles with rays taken back to the samples."""
    alt = "Latents of held-out data with circles about 0, and these circles and rays taken back among the data"
    return picture("latents", alt, lambda palette: draw_latents(evaluation, drawn, palette))


def draw_latents(evaluation: Evaluation, drawn: Drawn, palette: Palette) -> Figure:
    """Two panels."""
    wide = 1 / tallness(drawn.points)
    figure = new_figure(9.6, 0.8 + 8.6 / (1 + wide))
    left, right = figure.subplots(1, 2, width_ratios=(1, wide))
    scatter(left, evaluation.latents, palette.certified)
    turn = np.linspace(0, 2 * np.pi, 200)
    for radius in RADII:
        left.plot(radius * np.cos(turn), radius * np.sin(turn), color=palette.muted, linewidth=0.8)
    reach = max(3.2, float(np.abs(evaluation.latents).max()))
    frame(left, np.asarray([[-reach, -reach], [reach, reach]]))
    left.set_title("Latents of held-out data")
    scatter(right, evaluation.data, palette.train)
    if drawn.lines is not None:
        for index, line in enumerate(drawn.lines):
            circle = index < len(RADII)
            color = palette.certified if circle else palette.attacked
            right.plot(line[:, 0], line[:, 1], color=color, linewidth=1.1 if circle else 0.8)
    frame(right, drawn.points)
    right.set_title("Latent circles and rays, taken back")
    return figure
