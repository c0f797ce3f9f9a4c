"""What is written of an activation is the activation: its numbers give the same outputs, at every point."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from taut import nn as tnn
from taut.reports.folder.activations import Curves, Folds, read_activations
from taut.reports.pictures.fold_panels import sectors
from taut.tasks.activations import write_activations
from taut.training.run_folder import RunFolder


def written(module: nn.Module, path: Path) -> Curves | Folds:
    assert (
        write_activations(RunFolder(path), nn.Sequential(nn.Linear(4, 4), module)) == path / "activations.safetensors"
    )
    (found,) = read_activations(path / "activations.safetensors")
    assert (found.name, found.kind) == ("1", type(module).__name__)
    return found


def evaluated(curves: Curves, channel: int, x: np.ndarray) -> np.ndarray:
    """Linear interpolation between the knots, and straight lines beyond."""
    knots, values, slopes = curves.knots[channel], curves.values[channel], curves.slopes[channel]
    inside = np.interp(x, knots, values)
    below, above = np.minimum(x - knots[0], 0), np.maximum(x - knots[-1], 0)
    return inside + slopes[0] * below + slopes[-1] * above


def scattered(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.4 * torch.randn_like(parameter)
    return module


@pytest.mark.parametrize(
    "make",
    [
        lambda: tnn.LinearSpline(4, knots=7, width=0.8),
        lambda: tnn.LinearSpline(4, knots=6, init="absolute"),
        lambda: tnn.LipschitzPReLU(4),
        lambda: nn.PReLU(4),
        lambda: tnn.NActivation(4, init="random"),
    ],
)
def test_curves_are_the_functions_of_the_channels(make, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = scattered(make())
    curves = written(module, tmp_path)
    assert isinstance(curves, Curves)
    x = torch.linspace(-3, 3, 400)
    outputs = module(x[:, None].expand(-1, 4)).detach().double().numpy()
    for channel in range(4):
        # a handful of float32 roundings of numbers up to 3
        assert np.abs(evaluated(curves, channel, x.double().numpy()) - outputs[:, channel]).max() < 3e-6
        # and the slopes are those of the function, piece by piece
        pieces = np.diff(curves.values[channel])
        lengths = np.diff(curves.knots[channel])
        assert np.abs(pieces - curves.slopes[channel, 1:-1] * lengths).max(initial=0.0) < 1e-6


@pytest.mark.parametrize("order", [1, 2])
def test_sectors_are_turned_over_where_the_jacobian_is_a_reflection(order: int, tmp_path: Path) -> None:
    torch.manual_seed(1)
    module = scattered(tnn.HouseholderActivation(4, order=order))
    folds = written(module, tmp_path)
    assert isinstance(folds, Folds)
    directions = torch.linspace(0.01, 6.2, 200)
    for pair in range(2):
        found = sectors(folds, pair)
        assert sum(end - begin for begin, end, _ in found) == pytest.approx(2 * np.pi)
        for angle in directions.tolist():
            point = torch.zeros(4)
            point[pair], point[pair + 2] = np.cos(angle), np.sin(angle)
            near = min(abs(np.remainder(angle - begin + np.pi, 2 * np.pi) - np.pi) for begin, _, _ in found)
            if near < 1e-3:
                continue
            jacobian = torch.autograd.functional.jacobian(lambda x: module(x[None])[0], point)
            reflects = torch.linalg.det(jacobian[[pair, pair + 2]][:, [pair, pair + 2]]) < 0
            turned = [over for begin, end, over in found if np.remainder(angle - begin, 2 * np.pi) < end - begin]
            assert turned == [bool(reflects)]


def test_nothing_is_written_where_nothing_was_learned(tmp_path: Path) -> None:
    plain = nn.Sequential(nn.Linear(4, 4), tnn.MaxMin(), tnn.Smooth("gelu"))
    assert write_activations(RunFolder(tmp_path), plain) is None
    assert list(tmp_path.iterdir()) == []
