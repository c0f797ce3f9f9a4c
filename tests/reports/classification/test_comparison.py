"""Several runs on one page: every number of every run, curves per norm, and what differs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from taut.errors import UsageError, UserError
from taut.reports import write_comparison
from taut.reports.classification.comparison import draw_curves, labels, rows_of
from taut.reports.classification.run import read_run
from taut.reports.folder.run_folder import read_folder
from taut.reports.pictures.style import LIGHT

Make = Callable[..., Path]


def test_every_run_has_its_numbers_and_the_settings_that_differ(tmp_path: Path, make_run: Make) -> None:
    runs = [make_run(tmp_path / name, seed=seed) for seed, name in enumerate(["first", "second", "third"])]
    out = tmp_path / "page" / "comparison.html"
    assert write_comparison(runs, out) == out
    text = out.read_text(encoding="utf-8")
    for run in runs:
        result = json.loads((run / "result.json").read_text())
        for fraction in (result["accuracy"], *result["certified"].values(), *result["attacked"].values()):
            assert f'<data value="{fraction}">' in text
    assert "optimizer.lr" in text
    assert "model.widths" not in text
    assert "http" not in text
    assert (out.parent / "comparison-certified-accuracy-l2.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("sketched")
def test_the_best_of_the_same_data_stands_out(tmp_path: Path, make_run: Make) -> None:
    runs = [make_run(tmp_path / str(seed), seed=seed) for seed in range(2)]
    accuracies = [json.loads((run / "result.json").read_text())["accuracy"] for run in runs]
    assert accuracies[0] != accuracies[1]
    text = write_comparison(runs, tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert f'best"><data value="{max(accuracies)}">' in text
    assert f'best"><data value="{min(accuracies)}">' not in text


@pytest.mark.usefixtures("sketched")
def test_runs_in_different_norms_do_not_share_a_plot(tmp_path: Path, make_run: Make) -> None:
    runs = [make_run(tmp_path / name, norm=norm) for name, norm in (("a", "l2"), ("b", "linf"), ("c", "l2"))]
    rows = rows_of([read_run(read_folder(run)) for run in runs])
    for norm, names in (("l2", ["a", "c"]), ("linf", ["b"])):
        (axes,) = draw_curves(norm, rows, LIGHT).axes
        certified = [line.get_label() for line in axes.lines if not str(line.get_label()).startswith("_")]
        assert certified == names  # lines without a label are of attacks
    write_comparison(runs, tmp_path / "comparison.html")
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [
        "comparison-certified-accuracy-l2.png",
        "comparison-certified-accuracy-linf.png",
    ]


@pytest.mark.usefixtures("sketched")
def test_a_run_without_radii_is_said(tmp_path: Path, make_run: Make) -> None:
    runs = [make_run(tmp_path / "whole"), make_run(tmp_path / "part", seed=1)]
    (runs[1] / "evaluation.safetensors").unlink()
    text = write_comparison(runs, tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "part has no evaluation.safetensors, so it has no curve" in text


def test_what_cannot_be_compared_is_refused(tmp_path: Path, make_run: Make) -> None:
    runs = [make_run(tmp_path / "whole"), make_run(tmp_path / "part", seed=1)]
    with pytest.raises(UsageError, match="at least two runs, got 1"):
        write_comparison(runs[:1], tmp_path / "comparison.html")
    (runs[1] / "result.json").unlink()
    with pytest.raises(UserError, match=r"part cannot be compared: it has no result\.json"):
        write_comparison(runs, tmp_path / "comparison.html")
    assert not (tmp_path / "comparison.html").exists()


def test_the_same_run_twice_does_not_hang(tmp_path: Path) -> None:
    assert labels([tmp_path / "run", tmp_path / "run"]) == ["run", "run"]


def test_a_run_of_another_task_is_refused(tmp_path: Path, make_run: Make) -> None:
    runs = [make_run(tmp_path / "one"), make_run(tmp_path / "other", seed=1)]
    config = json.loads((runs[1] / "config.json").read_text())
    (runs[1] / "config.json").write_text(json.dumps(config | {"task": "gan"}))
    with pytest.raises(UserError, match="other cannot be compared: its task is 'gan', and only runs of the task"):
        write_comparison(runs, tmp_path / "comparison.html")
