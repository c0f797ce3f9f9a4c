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


def _word_in_log(run: Path) -> None:
    line = {"step": 400, "epoch": 20, "kind": "valid", "loss": 0.0, "estimate": 0.0, "beside": "low"}
    with (run / "metrics.jsonl").open("a") as log:
        log.write(json.dumps(line) + "\n")


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


SUMMARY = {"mean": 0.5, "minimum": 0.5, "maximum": 0.5, "share_above_0.9": 0.0}
BESIDE = {"activation": "relu", "lipschitz_bound": 1.0, "estimate": 0.5, "gradient_norm": SUMMARY}
DAMAGES_BESIDE: dict[str, tuple[Callable[[Path], None], str]] = {
    "no object": (_field(beside="relu"), "'beside' must be an object, got 'relu'"),
    "empty": (_field(beside={}), "'beside.activation' must be a string, it is missing"),
    "activation a number": (_field(beside=BESIDE | {"activation": 3}), "'beside.activation' must be a string, got 3"),
    "no estimate": (_field(beside=BESIDE | {"estimate": None}), "'beside.estimate' must be a number, it is missing"),
    "no bound": (
        _field(beside=BESIDE | {"lipschitz_bound": "1"}),
        "'beside.lipschitz_bound' must be a number, got '1'",
    ),
    "half a summary": (
        _field(beside=BESIDE | {"gradient_norm": {"mean": 1}}),
        "'beside.gradient_norm.minimum' must be a number, it is missing",
    ),
    "own activation a number": (_field(activation=1), "'activation' must be a string, got 1"),
    "no second gradients": (
        _tensor(beside_gradient_norm=None, beside_grid_values=None),
        r"only one of result\.json and evaluation\.safetensors speaks of a critic beside the first",
    ),
    "no second result": (_field(beside=None), r"only one of result\.json and evaluation\.safetensors speaks"),
    "gradients in a square": (_tensor(beside_gradient_norm=np.zeros((2, 2))), "must be rows of numbers"),
    "infinite gradients": (_tensor(beside_gradient_norm=np.full(3, np.inf)), "it holds numbers that are not finite"),
    "grid without its values": (_tensor(beside_grid_values=None), "it has a grid, but lacks beside_grid_values"),
    "short values": (_tensor(beside_grid_values=np.zeros(3)), "beside_grid_values must have a row per point"),
    "infinite values": (_tensor(beside_grid_values=np.full(201, np.nan)), "the potential must be finite"),
    "a word in the log": (_word_in_log, "'beside' must be a number, got 'low'"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named_in_one_sentence(run_dir: Path, name: str) -> None:
    damage, sentence = DAMAGES[name]
    damage(run_dir)
    _is_refused(run_dir, sentence)


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize("name", DAMAGES_BESIDE)
def test_damage_to_a_second_critic_is_named_too(tmp_path: Path, make_run: Callable[..., Path], name: str) -> None:
    run = make_run(tmp_path / "run", beside="relu")
    damage, sentence = DAMAGES_BESIDE[name]
    damage(run)
    _is_refused(run, sentence)


def _is_refused(run: Path, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        write_report(run)
    assert str(run) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (run / "report.html").exists()
