"""The picture of the activations: which channels it shows, what it counts, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from taut.errors import UserError
from taut.reports.folder.activations import Curves, Folds
from taut.reports.folder.run_folder import RunFolder
from taut.reports.pictures.activation_plot import activations_picture
from taut.reports.pictures.curve_panels import spread_channels, taut_share
from taut.reports.pictures.fold_panels import spread_pairs


def folder(path: Path, tensors: dict[str, np.ndarray]) -> RunFolder:
    safetensors.numpy.save_file(tensors, path / "activations.safetensors")
    return RunFolder(path=path, config={}, settings={})


def curves(slopes: np.ndarray, knots: np.ndarray) -> Curves:
    values = np.cumsum(np.pad(slopes[:, 1:-1] * np.diff(knots), ((0, 0), (1, 0))), axis=1)
    return Curves(name="1", kind="LinearSpline", knots=knots, values=values, slopes=slopes)


def test_of_many_channels_the_straightest_and_the_most_bent_are_shown() -> None:
    knots = np.tile(np.linspace(-1, 1, 3), (512, 1))
    # channel i turns by an amount of its own, in no order
    turns = np.random.default_rng(0).permutation(np.linspace(0, 1, 512))
    slopes = np.stack([np.ones(512), np.ones(512), 1 - turns, 1 - turns], 1)
    shown = spread_channels(curves(slopes, knots), 5)
    assert turns[shown].tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=2 / 511)
    assert spread_channels(curves(slopes[:2], knots[:2]), 5) == [0, 1] or turns[0] > turns[1]


def test_the_share_of_taut_slopes_is_by_length() -> None:
    slopes = np.array([[1.0, 1.0, 0.5, 0.5], [0.2, -1.0, -1.0, 0.2]])
    knots = np.array([[0.0, 3.0, 4.0], [0.0, 1.0, 1.5]])
    assert taut_share(curves(slopes, knots)) == pytest.approx((3 / 4 + 1) / 2)
    prelu = np.array([[-1.0, 1.0], [0.5, 1.0], [0.9995, 1.0], [0.0, 1.0]])
    assert taut_share(curves(prelu, np.zeros((4, 1)))) == pytest.approx(2 / 4)


def test_pairs_are_shown_through_the_turn() -> None:
    angles = np.random.default_rng(0).permutation(np.linspace(0, 6.2, 63))[None] - 2 * np.pi
    shown = spread_pairs(Folds(name="1", kind="HouseholderActivation", angles=angles), 3)
    assert (angles[0, shown] + 2 * np.pi).tolist() == pytest.approx([0, 3.1, 6.2])


def test_every_kind_is_drawn_and_none_is_no_picture(tmp_path: Path) -> None:
    spline = curves(np.array([[1.0, 1.0, -0.5, -0.5]]), np.array([[-1.0, 0.0, 1.0]]))
    row = {"knots": spline.knots, "values": spline.values, "slopes": spline.slopes}
    tensors = {f"000/LinearSpline/1/{part}": value for part, value in row.items()}
    tensors["001/HouseholderActivation/3/angles"] = np.array([[0.3, 2.0]])
    drawn = activations_picture(folder(tmp_path, tensors))
    assert drawn is not None
    assert drawn.light.startswith(b"\x89PNG")
    assert drawn.light != drawn.dark
    assert "LinearSpline, HouseholderActivation" in drawn.alt
    assert activations_picture(RunFolder(path=tmp_path / "none", config={}, settings={})) is None


@pytest.mark.parametrize(
    "tensors",
    [
        {"knots": np.zeros((1, 2))},
        {"000/LinearSpline/1/knots": np.zeros((1, 2)), "000/LinearSpline/1/values": np.zeros((1, 2))},
        {"000/HouseholderActivation/1/angles": np.zeros((2, 3))},
        {"000/PReLU/1/slopes": np.array([[np.nan, 1.0]])}
        | {f"000/PReLU/1/{part}": np.zeros((1, 1)) for part in ("knots", "values")},
    ],
)
def test_damage_is_named(tensors: dict[str, np.ndarray], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="activations.safetensors is damaged"):
        activations_picture(folder(tmp_path, tensors))
