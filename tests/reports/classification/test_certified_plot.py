"""The band of the certified plot has the proof as its lower edge and the attacks as its upper one, at every size."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from safetensors.numpy import load_file

from taut.reports.classification.certified_plot import draw_certified
from taut.reports.classification.run import Run, read_run
from taut.reports.folder.run_folder import read_folder
from taut.reports.pictures.style import LIGHT

ATTACKED = 150


def _attack_a_part(run_dir: Path) -> None:
    """Make the attack one on the first samples only, with the numbers that these have."""
    tensors = load_file(run_dir / "evaluation.safetensors")
    result = json.loads((run_dir / "result.json").read_text())
    label, prediction, radius = (tensors[name][:ATTACKED] for name in ("label", "prediction", "radius"))
    result["attack"] |= {
        "samples": ATTACKED,
        "accuracy": float(np.mean(label == prediction)),
        "certified": {eps: float(np.mean(radius > float(eps))) for eps in result["certified"]},
    }
    result["attacked"] = {eps: float(np.mean(tensors[f"attacked_{eps}"][:ATTACKED])) for eps in result["attacked"]}
    (run_dir / "result.json").write_text(json.dumps(result))


def _plot(run_dir: Path) -> tuple[Run, Axes]:
    run = read_run(read_folder(run_dir))
    assert run.result is not None
    assert run.evaluation is not None
    (axes,) = draw_certified(run.result, run.evaluation, LIGHT).axes
    return run, axes


def _band_at(axes: Axes, eps: float) -> tuple[float, float]:
    """Lower and upper edge of the shaded polygon over a point that is none of its corners."""
    (band,) = axes.collections
    corners = np.asarray(band.get_paths()[0].vertices)
    heights = [left[1] for left, right in itertools.pairwise(corners) if (left[0] - eps) * (right[0] - eps) < 0]
    return min(heights), max(heights)


@pytest.mark.parametrize("partly", [False, True])
def test_the_band_lies_between_proof_and_attack(run_dir: Path, partly: bool) -> None:
    if partly:
        _attack_a_part(run_dir)
    run, axes = _plot(run_dir)
    assert run.result is not None
    assert run.evaluation is not None
    radius = run.evaluation.radius[: ATTACKED if partly else None]
    sizes = sorted(run.result.attacked)
    for eps in np.linspace(0.01, sizes[-1] - 0.01, 37) + 1e-7:
        succeeded = [run.result.attacked[size] for size in sizes if size <= eps]
        low, high = _band_at(axes, eps)
        assert low == pytest.approx(float(np.mean(radius > eps)))
        assert high == pytest.approx(min([run.result.attack.accuracy, *succeeded]))


def test_the_attacked_part_has_a_line_of_its_own(run_dir: Path) -> None:
    assert "certified, of those attacked" not in [line.get_label() for line in _plot(run_dir)[1].lines]
    _attack_a_part(run_dir)
    assert "certified, of those attacked" in [line.get_label() for line in _plot(run_dir)[1].lines]


def test_the_main_curve_is_drawn_through_the_listed_numbers(run_dir: Path) -> None:
    run, axes = _plot(run_dir)
    assert run.result is not None
    curve = axes.lines[0]
    assert curve.get_drawstyle() == "steps-post"
    corners, fractions = (np.asarray(values) for values in curve.get_data())
    for eps, fraction in run.result.certified.items():
        assert fractions[corners <= eps][-1] == fraction
