"""What the pictures of a Wasserstein run show is what the run measured."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.contour import ContourSet
from matplotlib.patches import Polygon, Rectangle

from taut.reports.folder.run_folder import read_folder
from taut.reports.pictures.style import LIGHT
from taut.reports.wasserstein.bracket_plot import draw_bracket
from taut.reports.wasserstein.evaluation import Evaluation, Potential
from taut.reports.wasserstein.gradient_plot import draw_gradient
from taut.reports.wasserstein.learning_plot import draw_learning
from taut.reports.wasserstein.potential_plot import draw_contours, draw_curve, draw_surfaces
from taut.reports.wasserstein.run import Run, read_run

Make = Callable[..., Path]


@pytest.fixture(name="read")
def _read(tmp_path: Path, make_run: Make) -> Callable[..., Run]:
    return lambda **options: read_run(read_folder(make_run(tmp_path / "run", **options)))


def _potential(run: Run) -> tuple[Evaluation, Potential]:
    assert run.evaluation is not None
    assert run.evaluation.potential is not None
    return run.evaluation, run.evaluation.potential


@pytest.mark.parametrize("upper", [False, True])
def test_the_band_reaches_from_the_lower_end_to_the_upper_one(read: Callable[..., Run], upper: bool) -> None:
    result = read(upper=upper).result
    assert result is not None
    (axes,) = draw_bracket(result, LIGHT).axes
    (band,) = axes.patches
    left, right = band.get_extents().transformed(axes.transData.inverted()).intervalx
    assert left == pytest.approx(result.lower)
    assert right == pytest.approx(axes.get_xlim()[1] if result.upper is None else result.upper)
    shown = [value for line in axes.lines for value in np.ravel(line.get_xdata())]
    for value in (result.estimate, *result.interval, result.lower, result.truth, result.train_estimate):
        assert value in shown
    low, high = axes.get_xlim()
    assert low < min(shown) <= max(shown) < high


def test_the_curves_differ_from_the_files_by_a_constant_alone(read: Callable[..., Run]) -> None:
    evaluation, potential = _potential(read(slope=0.5))
    top, bottom = draw_curve(evaluation, potential, LIGHT).axes
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in top.lines}
    places = np.linspace(-3, 3, 201)
    ripple = 0.01 * np.sin(9 * places)
    for label, values in (("true potential", -np.abs(places)), ("critic / K", -0.5 * np.abs(places) + ripple)):
        np.testing.assert_allclose(lines[label], values - values.mean(), atol=1e-6)
    assert {float(value) for line in bottom.lines for value in np.ravel(line.get_xdata())} == {-1.0, 0.0, 1.0}


@pytest.mark.parametrize(("shape", "samples"), [((2,), 2), ((5,), 0)])
@pytest.mark.parametrize("known", [False, True])
def test_contours_stand_beside_the_truth_with_the_samples_that_lie_there(
    read: Callable[..., Run], shape: tuple[int, ...], samples: int, known: bool
) -> None:
    evaluation, potential = _potential(read(shape=shape, known=known))
    axes = [axes for axes in draw_contours(evaluation, potential, LIGHT).axes if axes.get_title()]
    titles = ["Critic / K", "True potential"] if known else ["Critic / K"]
    assert [panel.get_title() for panel in axes] == titles
    assert all(len(panel.lines) == samples for panel in axes)
    assert not any(isinstance(found, PathCollection) for panel in axes for found in panel.collections)
    assert len(draw_surfaces(potential, LIGHT).axes) == len(titles)


def test_a_second_critic_is_drawn_on_the_same_axes(read: Callable[..., Run]) -> None:
    evaluation, potential = _potential(read(beside="relu"))
    places = np.linspace(-3, 3, 201)
    lines = {line.get_label(): line for line in draw_curve(evaluation, potential, LIGHT, beside="ReLU").axes[0].lines}
    expected = -0.5 * np.abs(places)
    drawn = np.asarray(lines["with ReLU / K"].get_ydata())
    np.testing.assert_allclose(drawn, expected - expected.mean(), atol=1e-6)


def test_a_second_critic_has_a_panel_with_the_levels_of_the_others(read: Callable[..., Run]) -> None:
    evaluation, potential = _potential(read(shape=(2,), beside="relu"))
    axes = [panel for panel in draw_contours(evaluation, potential, LIGHT, beside="ReLU").axes if panel.get_title()]
    assert [panel.get_title() for panel in axes] == ["Critic / K", "True potential", "With ReLU / K"]
    levels = [[list(found.levels) for found in panel.collections if isinstance(found, ContourSet)] for panel in axes]
    assert levels[0]
    assert levels[0] == levels[1] == levels[2]
    assert potential.truth is not None
    assert potential.beside is not None
    np.testing.assert_allclose(potential.beside, 0.5 * potential.truth, atol=1e-6)
    surfaces = draw_surfaces(potential, LIGHT, beside="ReLU").axes
    assert [panel.get_title() for panel in surfaces] == ["Critic / K", "True potential", "With ReLU / K"]


@pytest.mark.parametrize(("height", "rows"), [(1.0, 1), (0.3, 3)])
def test_three_panels_of_a_wide_plane_are_stacked(read: Callable[..., Run], height: float, rows: int) -> None:
    evaluation, potential = _potential(read(shape=(2,), beside="relu"))
    flat = replace(potential, points=potential.points * np.asarray([1.0, height]))
    axes = [panel for panel in draw_contours(evaluation, flat, LIGHT).axes if panel.get_title()]
    grid = axes[0].get_gridspec()
    assert grid is not None
    assert grid.nrows == rows


def test_a_grid_keeps_its_orientation(read: Callable[..., Run]) -> None:
    _, potential = _potential(read(shape=(2,)))
    assert potential.critic.shape == (21, 15)
    # The true potential falls along the second coordinate from the axis on, whatever the first one is.
    assert potential.truth is not None
    assert (np.diff(potential.truth[:, 7:], axis=1) < 0).all()
    np.testing.assert_allclose(np.diff(potential.points[..., 0], axis=1), 0)


@pytest.mark.parametrize(
    ("lengths", "bars"),
    [([1.0, 1.0 + 1e-7, 0.995], {49: 1.0}), ([0.005, 0.995], {0: 0.5, 49: 0.5}), ([1.03, 0.995], {49: 0.5, 51: 0.5})],
)
def test_bars_stay_on_their_side_of_one(lengths: list[float], bars: dict[int, float]) -> None:
    (axes,) = draw_gradient(np.asarray(lengths), LIGHT).axes
    drawn = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    heights = [bar.get_height() for bar in drawn]
    assert {place: height for place, height in enumerate(heights) if height} == pytest.approx(bars)
    assert drawn[49].get_x() + drawn[49].get_width() == pytest.approx(1.0)


def test_a_second_histogram_has_the_same_bars() -> None:
    lengths, others = np.asarray([0.97, 0.99]), np.asarray([0.25, 0.25, 0.25, 1.03])
    (axes,) = draw_gradient(lengths, LIGHT, others=others, beside="ReLU").axes
    (outline,) = [patch for patch in axes.patches if isinstance(patch, Polygon)]
    corners = outline.get_xy()
    assert np.ptp(corners[corners[:, 1] == 0.75, 0]) == pytest.approx(0.02)
    assert corners[:, 0].max() == pytest.approx(1.04)  # the axis reaches as far as the longer of the two
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["critic", "with ReLU"]
    assert draw_gradient(lengths, LIGHT).axes[0].get_legend() is None


def test_a_second_critic_has_a_learning_curve(read: Callable[..., Run]) -> None:
    run = read(beside="relu")
    assert run.metrics is not None
    for result, label in ((run.result, "held-out, with ReLU"), (None, "held-out, with another activation")):
        (axes,) = draw_learning(run.metrics, result, LIGHT).axes
        lines = {line.get_label(): np.ravel(line.get_ydata()) for line in axes.lines}
        np.testing.assert_allclose(lines[label], lines["held-out samples"] - 0.5)
        assert axes.get_ylim()[0] < lines[label].min()


def test_the_learning_curves_are_those_of_the_log(read: Callable[..., Run]) -> None:
    run = read()
    assert run.metrics is not None
    (axes,) = draw_learning(run.metrics, run.result, LIGHT).axes
    lines = {line.get_label(): line for line in axes.lines}
    assert set(lines) == {"training batches", "held-out samples", "truth", "exact transport of the samples"}
    assert len(np.ravel(lines["training batches"].get_ydata())) == 400
    assert np.ravel(lines["held-out samples"].get_xdata()).tolist() == list(range(1, 21))
    (alone,) = draw_learning(run.metrics, None, LIGHT).axes
    assert len(alone.lines) == 2
