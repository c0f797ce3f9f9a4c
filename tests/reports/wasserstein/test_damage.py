"""Whatever is wrong with the files of a Wasserstein run, a person gets one sentence that names the file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from taut.errors import UserError
from taut.reports import write_report


def _field(**fields: Any) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        values = json.loads((run / "result.json").read_text()) | fields
        (run / "result.json").write_text(json.dumps({key: value for key, value in values.items() if value is not ...}))

    return damage


def _tensor(**changes: np.ndarray | None) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        tensors: dict[str, Any] = load_file(run / "evaluation.safetensors") | changes
        save_file({key: value for key, value in tensors.items() if value is not None}, run / "evaluation.safetensors")

    return damage


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no estimate": (_field(estimate=...), r"result\.json is damaged: 'estimate' must be a number, it is missing"),
    "estimate not a number": (_field(estimate=float("nan")), "'estimate' must be a number, got nan"),
    "interval of one": (_field(interval=[0.5]), r"'interval' must be a list of 2 numbers, got \[0\.5\]"),
    "samples a half": (_field(samples=2.5), "'samples' must be a whole number that is not negative, got 2.5"),
    "half a summary": (_field(gradient_norm={"mean": 1}), "'gradient_norm.minimum' must be a number, it is missing"),
    "odd layer": (_field(layers=[{"name": 7}]), r"'layers\[0\]\.name' must be a string, got 7"),
    "other samples": (_field(samples=7), "speaks of 7 samples of each, evaluation.safetensors holds 300 and 300"),
    "other shape": (_field(shape=[2]), r"speaks of samples of shape \(2,\)"),
    "other estimate": (_field(estimate=0.5), "says that the estimate is 0.5, the values in evaluation.safetensors say"),
    "no values": (_tensor(p_values=None), r"evaluation\.safetensors is damaged: it lacks p_values"),
    "values in a square": (_tensor(q_values=np.zeros((2, 2))), "must be rows of numbers"),
    "no gradients": (_tensor(gradient_norm=np.zeros(0)), "must be rows of numbers"),
    "infinite": (_tensor(gradient_norm=np.full(3, np.inf)), "it holds numbers that are not finite"),
    "samples of two shapes": (_tensor(q_samples=np.zeros((3, 2))), "must be samples of one shape"),
    "grid without values": (_tensor(grid_values=None), "it has a grid, but lacks grid_values"),
    "grid of another size": (_tensor(grid_shape=np.asarray([200])), "must have a row per point of grid_shape"),
    "grid of three sides": (_tensor(grid_shape=np.asarray([201, 1, 1])), "must have a row per point of grid_shape"),
    "short truth": (_tensor(true_values=np.zeros(3)), "must have a row per point of grid_shape"),
    "infinite potential": (_tensor(true_values=np.full(201, np.nan)), "the potential must be finite"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named_in_one_sentence(run_dir: Path, name: str) -> None:
    damage, sentence = DAMAGES[name]
    damage(run_dir)
    with pytest.raises(UserError, match=sentence) as caught:
        write_report(run_dir)
    assert str(run_dir) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (run_dir / "report.html").exists()
