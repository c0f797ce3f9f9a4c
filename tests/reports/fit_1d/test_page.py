"""The page of one-dimensional fits, from a run of made-up numbers: nothing was trained."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from report_page import Page
from taut.errors import UserError
from taut.reports import write_report
from taut.reports.fit_1d.abilities import ABILITIES
from taut.reports.fit_1d.curves import read_curves
from taut.reports.fit_1d.curves_plot import draw_curves
from taut.reports.fit_1d.errors_plot import draw_errors
from taut.reports.fit_1d.learning_plot import draw_learning
from taut.reports.fit_1d.result import read_result
from taut.reports.folder.metrics import read_metrics
from taut.reports.pictures.style import LIGHT

CELLS = [(activation, linear) for activation in ("relu", "abs", "sine") for linear in ("bjorck", "spectral-norm")]


@pytest.fixture(name="run_dir")
def _run_dir(tmp_path: Path) -> Path:
    """`sine` is an activation that the report knows nothing of."""
    generator = np.random.default_rng(0)
    cells = []
    for number, (activation, linear) in enumerate(CELLS):
        errors = (generator.random(5) * 10.0**-number).tolist()
        low, median, high = np.quantile(errors, [0.25, 0.5, 0.75]).tolist()
        cells.append(
            {
                "activation": activation,
                "linear": linear,
                "errors": errors,
                "median": median,
                "mean": float(np.mean(errors)),
                "quartiles": [low, high],
                "lipschitz_bounds": (1 + generator.random(5) * 1e-6).tolist(),
                "slopes": [-0.5 - number / 100, 0.75],
            }
        )
    result = {"function": "f1", "points": 1000, "models": 5, "steps": 600, "variance": 0.125, "cells": cells, "seed": 0}
    (tmp_path / "result.json").write_text(json.dumps(result))
    (tmp_path / "config.json").write_text(json.dumps({"recipe": "fit-1d", "task": "fit-1d", "seed": 0, "config": {}}))
    lines = []
    for number, (activation, linear) in enumerate(CELLS):
        for epoch in (2, 4):
            line = {"step": 40 * number + 10 * epoch, "epoch": 4 * number + epoch, "kind": "valid", "loss": 1.0}
            lines.append(json.dumps({**line, "cell": f"{activation}/{linear}", "median": 10.0 ** -(number + epoch)}))
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    grid = np.linspace(-1, 1, 50)
    curves = {f"median/{activation}/{linear}": k * grid for k, (activation, linear) in enumerate(CELLS)}
    save_file({"grid": grid, "target": np.abs(grid), **curves}, tmp_path / "evaluation.safetensors")
    return tmp_path


def test_every_number_is_on_the_page_and_it_stands_alone(run_dir: Path) -> None:
    page = Page(write_report(run_dir))
    result = json.loads((run_dir / "result.json").read_text())
    for cell in result["cells"]:
        assert {cell["median"], cell["mean"], *cell["quartiles"]} <= set(page.values)
        assert f"{cell['slopes'][0]:.2f}" in page.text
    assert max(max(cell["lipschitz_bounds"]) for cell in result["cells"]) in page.values
    assert result["variance"] in page.values
    for activation in ("relu", "abs"):
        assert ABILITIES[activation][0] in page.text
    assert page.asks_for_nothing
    assert len(page.resources) == 2 * 3


def test_pictures_show_the_run(run_dir: Path) -> None:
    result, curves = read_result(run_dir / "result.json"), read_curves(run_dir / "evaluation.safetensors")
    assert result.activations == ["sine", "abs", "relu"]
    panels = draw_curves(result, curves, LIGHT).axes
    assert [axes.get_title() for axes in panels] == result.activations
    drawn = {line.get_label(): line.get_ydata() for line in panels[1].lines}
    assert np.array_equal(drawn["target"], curves.target)
    assert np.array_equal(drawn["spectral"], 3 * curves.grid)
    (axes,) = draw_errors(result, LIGHT).axes
    points = [np.sort(line.get_xdata()).tolist() for line in axes.lines if len(line.get_xdata()) == 5]
    assert sorted(points) == sorted(sorted(cell.errors) for cell in result.cells)
    left, right = draw_learning(read_metrics(run_dir / "metrics.jsonl"), LIGHT).axes
    courses = {line.get_label(): (*line.get_xdata(), *line.get_ydata()) for line in right.lines}
    assert courses["abs"] == pytest.approx((2, 4, 1e-5, 1e-7))
    assert len(left.lines) == 3


def test_every_activation_has_its_ability() -> None:
    from taut.tasks.fit_1d.kinds import activation_names

    assert set(ABILITIES) == set(activation_names())


@pytest.mark.usefixtures("sketched")
def test_an_unfinished_run_has_a_page(run_dir: Path) -> None:
    for name in ("result.json", "evaluation.safetensors"):
        (run_dir / name).unlink()
    assert "not finished" in Page(write_report(run_dir)).text


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("errors", [1.0], r"'cells\[0\]\.errors' must be a list of 5 numbers"),
        ("errors", [-1.0] * 5, r"'cells\[0\]\.errors' must be a list of one number or more, none negative"),
        ("linear", "cayley", 'must be "bjorck" or "spectral-norm", got \'cayley\''),
    ],
)
def test_damage_is_named(run_dir: Path, field: str, value: object, sentence: str) -> None:
    result = json.loads((run_dir / "result.json").read_text())
    result["cells"][0][field] = value
    (run_dir / "result.json").write_text(json.dumps(result))
    with pytest.raises(UserError, match=sentence):
        write_report(run_dir)


@pytest.mark.usefixtures("sketched")
def test_curves_that_do_not_fit_are_named(run_dir: Path) -> None:
    grid = np.linspace(-1, 1, 50)
    save_file({"grid": grid, "target": grid[:-1]}, run_dir / "evaluation.safetensors")
    with pytest.raises(UserError, match="target is not one finite number for each point"):
        write_report(run_dir)
