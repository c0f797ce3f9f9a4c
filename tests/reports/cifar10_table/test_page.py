"""The page of the table of layers: every number of the run, the published ones beside, and what is damaged."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from report_page import Page
from taut.errors import UserError
from taut.reports import write_report
from taut.reports.cifar10_table.dots_plot import draw_dots
from taut.reports.cifar10_table.result import read_result
from taut.reports.cifar10_table.time_plot import draw_times
from taut.reports.folder.metrics import read_metrics
from taut.reports.pictures.style import LIGHT

RADII = [36 / 255, 72 / 255, 108 / 255, 1.0]
PUBLISHED = {"soc": {"xs": {"accuracy": 0.741, "certified": 0.613}, "l": {"accuracy": 0.769, "certified": 0.663}}}


def _row(name: str, place: int) -> dict[str, Any]:
    """Made-up numbers, no two alike."""
    share = 0.4 + 0.011 * place
    return {
        "convolution": name,
        "folder": f"cells/{name}",
        "updates": 300 + place,
        "epochs": 1.5 + place,
        "seconds": 119.5 + place,
        "update_seconds": 0.4,
        "parameters": 17_000 + place,
        "accuracy": share,
        "certified": {f"{radius:g}": share - 0.1 * radius for radius in RADII},
        "attacked": {f"{radius:g}": share - 0.05 * radius for radius in RADII},
        "lipschitz_bound": 1.0000001 + place,
        "published": PUBLISHED.get(name, {}),
    }


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A complete table of three layers; one has a log."""
    result = {
        "task": "cifar10-table",
        "budget": "small",
        "dataset": "cifar10",
        "architecture": "convnet-xs",
        "minutes": 2.0,
        "radii": RADII,
        "norm": "l2",
        "samples": 10_000,
        "attacked_samples": 200,
        "rows": [_row(name, place) for place, name in enumerate(("soc", "aoc", "rko"))],
        "command": ["taut", "reproduce", "cifar10-table"],
        "seed": 0,
        "seconds": {"train": 360.0},
    }
    config = {"recipe": "cifar10-table", "task": "cifar10-table", "seed": 0, "config": {"budget": "small"}}
    (tmp_path / "cells" / "soc").mkdir(parents=True)
    lines = [{"step": 10 * n, "epoch": 1, "kind": "train", "seconds": 4.0 * n, "loss": 2.0 / n} for n in (1, 2, 3)]
    (tmp_path / "cells" / "soc" / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (tmp_path / "result.json").write_text(json.dumps(result))
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


@pytest.mark.usefixtures("sketched")
def test_every_number_of_the_table_is_on_the_page(run_dir: Path) -> None:
    page = Page(write_report(run_dir))
    for row in json.loads((run_dir / "result.json").read_text())["rows"]:
        assert {row["accuracy"], row["lipschitz_bound"], *row["certified"].values()} <= set(page.values)
        assert set(row["attacked"].values()) <= set(page.values)
        for known in row["published"].values():
            assert set(known.values()) <= set(page.values)
        assert f"{row['updates']} {row['epochs']:.2f}" in page.text
        assert f"{row['folder']}/report.html" in page.source
    assert page.text.count("36/255 72/255 108/255 1") == 2
    assert "24 hours of one GPU" in page.text
    assert "first 200 of them" in page.text
    assert "rko, 42.20 % clean" in page.text.replace("\u202f", " ")


def test_dots_stand_in_the_order_of_what_is_certified(run_dir: Path) -> None:
    result = read_result(run_dir / "result.json")
    (axes,) = draw_dots(result, LIGHT).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["soc", "aoc", "rko"]
    lines = {str(line.get_label()): np.ravel(line.get_xdata()).tolist() for line in axes.lines}
    assert lines["clean"] == [row.accuracy for row in result.rows]
    assert lines["certified at 72/255"] == [row.certified[1] for row in result.rows]
    assert lines["published, 24 h, L"] == [0.769]
    logs = {"soc": read_metrics(run_dir / "cells" / "soc" / "metrics.jsonl")}
    (times,) = draw_times(logs, LIGHT).axes
    assert np.ravel(times.lines[0].get_xdata()).tolist() == [4.0, 8.0, 12.0]
    assert np.ravel(times.lines[0].get_ydata()).tolist() == [2.0, 1.0, 2.0 / 3]


@pytest.mark.usefixtures("sketched")
def test_a_table_that_is_not_finished_has_a_page(run_dir: Path) -> None:
    (run_dir / "result.json").unlink()
    assert "not finished" in Page(write_report(run_dir)).text


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"rows": []}, "'rows' must be a list of one row or more"),
        ({"radii": []}, "'radii' must be a list of one number or more"),
        ({"radii": [0.5]}, r"'rows\[0\]\.certified\.0\.5' must be a number, it is missing"),
    ],
)
def test_damage_is_named_in_one_sentence(run_dir: Path, fields: dict[str, object], sentence: str) -> None:
    path = run_dir / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    with pytest.raises(UserError, match=sentence) as caught:
        write_report(run_dir)
    assert str(path) in str(caught.value)
