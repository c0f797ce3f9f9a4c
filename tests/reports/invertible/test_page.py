"""The page of an invertible network says what was measured, shouts where a proof fails, and stands alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from report_page import Page
from taut.errors import UserError
from taut.reports import write_report
from taut.reports.invertible.density_plot import draw_curves
from taut.reports.invertible.evaluation import read_evaluation
from taut.reports.pictures import style

Make = Callable[..., Path]


def change(run: Path, name: str, **values: Any) -> None:
    result = json.loads((run / "result.json").read_text())
    (run / "result.json").write_text(json.dumps(result | {name: {**result[name], **values}}))


def test_the_page_of_a_plane_is_drawn_in_full_and_stands_alone(
    tmp_path: Path, make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(style, "PIXELS_PER_INCH", 32)
    run = make_run(tmp_path / "run")
    assert Page(write_report(run)).asks_for_nothing
    assert {path.stem for path in (run / "plots").iterdir()} == {"density", "samples", "latents", "inverse", "learning"}


def test_a_line_is_drawn(tmp_path: Path, make_run: Make) -> None:
    evaluation = read_evaluation(make_run(tmp_path / "run", features=1) / "evaluation.safetensors")
    assert evaluation.drawn is not None
    curves, image = draw_curves(evaluation, evaluation.drawn, style.LIGHT).axes
    assert [line.get_label() for line in curves.lines] == ["learned density", "true density"]
    assert np.allclose(image.lines[0].get_ydata(), np.linspace(-3, 3, 101))


@pytest.mark.usefixtures("sketched")
def test_every_number_is_that_of_result_json(tmp_path: Path, make_run: Make) -> None:
    run = make_run(tmp_path / "run")
    result, page = json.loads((run / "result.json").read_text()), Page(write_report(run))
    inversion, likelihood = result["inversion"], result["log_likelihood"]
    expected = {*result["mmd"].values(), result["wasserstein1"]["value"], result["wasserstein1"]["reference"]}
    expected |= {inversion[name] for name in ("tolerance", "error_bound", "max_error", "mean_error")}
    expected |= {likelihood[name] for name in ("value", "standard_error", "truth")} | set(result["contractions"])
    assert set(page.values) == expected
    assert "after at most 240 steps, proven before the first of them" in page.text
    assert result["target"] in page.text
    assert "0.8000003 90 22" in page.text
    assert "do not rely" not in page.text


@pytest.mark.usefixtures("sketched")
def test_an_error_above_its_proof_is_shouted(tmp_path: Path, make_run: Make) -> None:
    run = make_run(tmp_path / "run")
    change(run, "inversion", max_error=7.2e-7)
    assert "do not rely on this inverse" in Page(write_report(run)).text


@pytest.mark.usefixtures("sketched")
def test_what_is_not_known_or_not_there_is_said(tmp_path: Path, make_run: Make) -> None:
    run = make_run(tmp_path / "run", known=False)
    text = Page(write_report(run)).text
    assert "Learned density, beside data." in text
    assert "the true density has" not in text
    (run / "evaluation.safetensors").unlink()
    assert "There is no evaluation.safetensors in this run" in Page(write_report(run)).text
    (run / "result.json").unlink()
    assert "This run has no result.json yet" in Page(write_report(run)).text
    more = Page(write_report(make_run(tmp_path / "more", features=5, likelihood=False))).text
    assert "log-likelihood of held-out samples" not in more
    assert "learned density" not in more.lower()


DAMAGES: dict[str, tuple[str, dict[str, Any], str]] = {
    "no steps": ("inversion", {"steps": [1]}, r"'inversion.steps' must be a list of 3 numbers, got \[1\]"),
    "no mmd": ("mmd", {"forward": None}, "'mmd.forward' must be a number, it is missing"),
    "likelihood a word": ("log_likelihood", {"value": "high"}, "'log_likelihood.value' must be a number, got 'high'"),
}


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_result_is_named(tmp_path: Path, make_run: Make, name: str) -> None:
    run = make_run(tmp_path / "run")
    field, values, sentence = DAMAGES[name]
    change(run, field, **values)
    with pytest.raises(UserError, match=sentence):
        write_report(run)
    assert not (run / "report.html").exists()


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"data": np.zeros((3, 2))}, "must be rows of the same numbers"),
        ({"residual_counts": np.asarray([20, 20])}, "residual_counts must divide residuals"),
        ({"residual_counts": np.asarray([30, 30])}, "speaks of 3 blocks, evaluation.safetensors of 2"),
        ({"density": np.zeros(5)}, "must have a row per point of grid_shape"),
        ({"true_density": np.full(21 * 17, np.inf)}, "what is drawn must be finite"),
        ({"latents": np.full((200, 2), np.nan)}, "numbers that are not finite"),
        ({"lines": np.zeros((3, 3))}, r"lines must be \(lines, points, 2\)"),
        ({"density": None}, "lacks density"),
    ],
)
def test_damaged_tensors_are_named(tmp_path: Path, make_run: Make, changes: dict[str, Any], sentence: str) -> None:
    run = make_run(tmp_path / "run")
    tensors: dict[str, Any] = load_file(run / "evaluation.safetensors") | changes
    save_file({key: value for key, value in tensors.items() if value is not None}, run / "evaluation.safetensors")
    with pytest.raises(UserError, match=sentence):
        write_report(run)
