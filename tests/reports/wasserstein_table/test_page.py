"""The table on the page and as text: every number of the run, the published ones beside, and the order between them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from report_page import Page
from taut.errors import UserError
from taut.reports import markdown_table, write_report
from taut.reports.folder.fields import Fields
from taut.reports.pictures.style import LIGHT
from taut.reports.wasserstein_table.dots_plot import draw_dots
from taut.reports.wasserstein_table.order import in_order, published_order, ratios
from taut.reports.wasserstein_table.result import Result, parse_result

Table = Callable[..., dict[str, Any]]


def _parsed(table: dict[str, Any]) -> Result:
    return parse_result(Fields(table, Path("result.json")))


@pytest.mark.usefixtures("sketched")
def test_every_number_of_the_table_is_on_the_page(run_dir: Path) -> None:
    page = Page(write_report(run_dir))
    result = json.loads((run_dir / "result.json").read_text())
    for cell in result["cells"]:
        shown = [cell["mean"], cell["spread"], *cell["values"], max(cell["lipschitz_bounds"])]
        shown += [value for value in cell["published"].values() if value is not None]
        assert set(shown) <= set(page.values)
        assert any(value == pytest.approx(np.mean(cell["fractions"])) for value in page.values)
    assert {result["transport"]["value"], result["transport"]["standard_error"]} <= set(page.values)
    assert "taut reproduce wasserstein-table --budget small" in page.text
    assert "time to critics 13 min 21 s" in page.text


def test_the_page_is_drawn_in_full_and_stands_alone(run_dir: Path) -> None:
    page = Page(write_report(run_dir))
    assert page.resources
    assert page.asks_for_nothing


@pytest.mark.usefixtures("sketched")
def test_a_table_that_is_not_finished_has_a_page(run_dir: Path) -> None:
    (run_dir / "result.json").unlink()
    assert "not finished" in Page(write_report(run_dir)).text


def test_pairs_are_counted_in_the_order_of_the_data_set(make_table: Table) -> None:
    # MNIST has one tie among its 8 numbers, CIFAR-10 none.
    assert published_order(_parsed(make_table(noise=0.0))).pairs == 27
    assert published_order(_parsed(make_table(noise=0.0))).turned == []
    order = published_order(_parsed(make_table(noise=0.0, dataset="cifar10")))
    # ReLU with Björck and MaxMin with spectral norm change places between the data sets; the tie is a tie here.
    names = {(small.name, large.name) for small, large in order.turned}
    assert order.pairs == 28
    assert names == {
        ("ReLU · Björck", "MaxMin · spectral norm"),
        ("GroupSort(4) · Björck", "GroupSort(9) · Björck"),
    }
    assert order.agreeing == 26


def test_ratios_are_relative_to_the_largest_published(make_table: Table) -> None:
    result = _parsed(make_table(noise=0.0))
    assert len(ratios(result)) == 8
    for found, published in ratios(result).values():
        assert found == pytest.approx(published)
    assert ratios(result)["ReLU · spectral norm"][1] == pytest.approx(0.95 / 2.31)


def test_dots_stand_in_the_published_order(make_table: Table) -> None:
    result = _parsed(make_table())
    known, others = in_order(result)
    left, right = draw_dots(result, LIGHT).axes
    labels = [label.get_text() for label in left.get_yticklabels()]
    assert labels == [cell.name for cell in (*others, *known)]
    published = [cell.published["mnist"] for cell in known]
    assert published == sorted(published)
    centres = {container.lines[0].get_ydata()[0]: container.lines[0].get_xdata()[0] for container in left.containers}
    assert centres == {height: cell.mean for height, cell in enumerate((*others, *known))}
    squares = next(line for line in right.lines if line.get_label() == "published")
    assert np.ravel(squares.get_xdata()).tolist() == pytest.approx([value / published[-1] for value in published])
    assert any(np.ravel(line.get_xdata()).tolist() == [4.2, 4.2] for line in left.lines)


def test_a_table_without_published_cells_is_drawn(make_table: Table) -> None:
    table = make_table()
    table["cells"] = [cell for cell in table["cells"] if cell["activation"] == "spline"]
    result = _parsed(table)
    assert published_order(result).pairs == 0
    assert len(draw_dots(result, LIGHT).axes) == 2


def test_the_text_has_a_row_for_each_activation(make_table: Table) -> None:
    table = make_table()
    lines = markdown_table(table).splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    assert [row[0] for row in rows[2:]] == list(dict.fromkeys(cell["activation"] for cell in table["cells"]))
    assert {line.count("|") for line in lines if line.startswith("|")} == {10}
    relu, bjorck = table["cells"][0], table["cells"][1]
    assert rows[2][1] == f"{relu['mean']:.4f} ± {relu['spread']:.5f}"
    assert rows[2][2:5] == [f"{100 * np.mean(relu['fractions']):.1f} %", "0.95", "1.12"]
    assert rows[2][5].startswith(f"{bjorck['mean']:.4f} ±")
    assert "Exact transport between 1000 samples of each: 4.2000 (standard error 0.0212)." in lines
    assert any("over 3 seeds" in line for line in lines)


@pytest.mark.parametrize(
    ("cell", "fields", "sentence"),
    [
        (None, {"cells": []}, "'cells' must be a list of one cell or more"),
        (None, {"transport": {}}, "'transport.value' must be a number, it is missing"),
        (0, {"linear": "cayley"}, r"'cells\[0\]\.linear' must be \"spectral-norm\" or \"bjorck\", got 'cayley'"),
        (1, {"values": []}, r"'cells\[1\]\.values' must be a list of one number or more"),
        (2, {"fractions": [0.5]}, r"'cells\[2\]\.fractions' must be a list of 3 numbers, got \[0\.5\]"),
    ],
)
def test_damage_is_named_in_one_sentence(
    run_dir: Path, cell: int | None, fields: dict[str, object], sentence: str
) -> None:
    table = json.loads((run_dir / "result.json").read_text())
    (table if cell is None else table["cells"][cell]).update(fields)
    (run_dir / "result.json").write_text(json.dumps(table))
    with pytest.raises(UserError, match=sentence) as caught:
        write_report(run_dir)
    assert str(run_dir) in str(caught.value)
    with pytest.raises(UserError, match=sentence):
        markdown_table(table)
