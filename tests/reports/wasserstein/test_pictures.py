"""What the pictures of a Wasserstein run show is what the run measured."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import PathCollection

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


def test_a_grid_keeps_its_orientation(read: Callable[..., Run]) -> None:
    _, potential = _potential(read(shape=(2,)))
    assert potential.critic.shape == (41, 31)
    # The true potential falls along the second coordinate from the axis on, whatever the first one is.
    assert potential.truth is not None
    assert (np.diff(potential.truth[:, 15:], axis=1) < 0).all()
    np.testing.assert_allclose(np.diff(potential.points[..., 0], axis=1), 0)


@pytest.mark.parametrize(
    ("lengths", "bars"),
    [([1.0, 1.0 + 1e-7, 0.995], {49: 1.0}), ([0.005, 0.995], {0: 0.5, 49: 0.5}), ([1.03, 0.995], {49: 0.5, 51: 0.5})],
)
def test_bars_stay_on_their_side_of_one(lengths: list[float], bars: dict[int, float]) -> None:
    (axes,) = draw_gradient(np.asarray(lengths), LIGHT).axes
    heights = [bar.get_height() for bar in axes.patches]
    assert {place: height for place, height in enumerate(heights) if height} == pytest.approx(bars)
    assert axes.patches[49].get_x() + axes.patches[49].get_width() == pytest.approx(1.0)


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
