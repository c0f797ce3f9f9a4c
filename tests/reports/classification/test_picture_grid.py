"""Every sample that the run chose is shown, in grey or in colour as it is, with its label and radius."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from taut.reports.classification.evaluation import Evaluation, Pictures
from taut.reports.classification.picture_grid import draw_grid
from taut.reports.pictures.style import LIGHT


def _figure(images: np.ndarray, *, wrong: bool = False) -> Figure:
    count = len(images)
    label = np.arange(count) % 10
    evaluation = Evaluation(
        radius=np.linspace(0.125, 2.5, count),
        margin=np.ones(count),
        label=label,
        prediction=(label + 1) % 10 if wrong else label,
        survived={},
        most_certified=None,
        least_certified=None,
    )
    return draw_grid(evaluation, Pictures(images=images, index=np.arange(count)), LIGHT)


def _words(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


@pytest.mark.parametrize("count", [1, 10, 11, 23])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_picture_is_shown_with_its_own_channels(count: int, channels: int) -> None:
    images = np.random.default_rng(0).random((count, channels, 4, 4)).astype(np.float32)
    shown = [axes.images[0].get_array() for axes in _figure(images).axes if axes.images]
    assert len(shown) == count
    for image, array in zip(images, shown, strict=True):
        assert array is not None
        expected = image[0] if channels == 1 else np.moveaxis(image, 0, -1)
        np.testing.assert_array_equal(array, expected)


def test_label_and_radius_stand_below() -> None:
    words = _words(_figure(np.zeros((3, 1, 4, 4), dtype=np.float32)))
    assert words == ["0", "radius 0.125", "1", "radius 1.31", "2", "radius 2.5"]


def test_a_wrong_prediction_is_said() -> None:
    assert "1, read as 2" in _words(_figure(np.zeros((2, 1, 4, 4), dtype=np.float32), wrong=True))
