"""`taut compare`: one run for each activation, none twice, all on one page; and pages of runs of other tasks."""

import json
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch

ONE = ["--width", "8", "--depth", "1", "--epochs", "1", "--attack-samples", "0", "--accelerator", "cpu"]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, no_report: None) -> None:
    """Pages of the runs are not drawn; that of the comparison is, without its plots."""
    from taut.reports.comparison import page
    from taut.tasks.comparison import run

    draw = run.report
    monkeypatch.setattr(
        run, "report", lambda folder: draw(folder) if (folder.path / run.RESULT).is_file() else folder.path
    )
    monkeypatch.setattr(page, "curves_picture", lambda runs: None)


@pytest.mark.usefixtures("quick")
def test_a_comparison_is_made_of_ordinary_runs_and_goes_on_where_it_stopped(taut, tmp_path: Path) -> None:
    out = tmp_path / "all"
    shown = taut("compare", "digits", "--activations", "relu", "linear-spline", *ONE, "--out", out)
    assert shown.code == 0, shown.err
    result = json.loads((out / "comparison.json").read_text())
    assert [row["name"] for row in result["runs"]] == ["relu", "linear-spline"]
    for row in result["runs"]:
        figures = json.loads((out / row["folder"] / "result.json").read_text())
        numbers = {number["name"]: number["value"] for number in row["headline"]}
        assert numbers["accuracy"] == figures["accuracy"]
        assert numbers["certified at 0.5"] == figures["certified"]["0.5"]
        assert f"{100 * figures['accuracy']:.2f}\u202f%" in shown.out
        assert f'<data value="{figures["accuracy"]}">' in (out / "report.html").read_text()
        config = json.loads((out / row["folder"] / "config.json").read_text())["config"]
        assert config["model"]["activation"] == row["name"]
    assert "| relu |" in (out / "comparison.md").read_text()

    assert taut("train", "digits", *ONE, "--activation", "relu", "--out", tmp_path / "alone").code == 0
    alone, within = (
        safetensors.torch.load_file(path / "model.safetensors") for path in (tmp_path / "alone", out / "runs" / "relu")
    )
    assert all(torch.equal(alone[name], within[name]) for name in alone)

    # stopped before the second run: the first is not repeated, the second is
    (out / "comparison.json").unlink()
    shutil.rmtree(out / "runs" / "linear-spline")
    before = (out / "runs" / "relu" / "result.json").stat().st_mtime_ns
    assert taut("compare", "--resume", out).code == 0
    assert (out / "runs" / "relu" / "result.json").stat().st_mtime_ns == before
    again = json.loads((out / "comparison.json").read_text())
    assert [row["headline"] for row in again["runs"]] == [row["headline"] for row in result["runs"]]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["digits", "--activations", "relu", "group-srot"], "unknown activation 'group-srot' of digits; did you mean"),
        (["digits", "--activations", "relu", "relu"], "activations must differ, got relu relu"),
        (["digits", "--activations", "relu"], "a comparison needs at least two activations, got relu"),
        (["digits", "--activation", "relu"], "a comparison sets --activation itself"),
        (["digits", "--width", "9"], "with the activation group-sort: cannot build the network"),
        (["digits", "--jobs", "0"], "jobs must be at least 1, got 0"),
        (["digits", "--devices", "2"], "a comparison trains each run in one process; --jobs 2"),
        (["gan-digits", "--gan-type", "wgan"], "the discriminator of wgan has no activation to choose"),
        (["fit-1d"], "fit-1d cannot be compared by activation: its configuration has no activation of its own"),
    ],
)
def test_what_cannot_be_compared_is_refused_and_nothing_written(
    taut, tmp_path: Path, monkeypatch, words, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)  # where a rehearsal that trained would leave runs
    shown = taut("compare", *words, "--out", tmp_path / "out")
    assert shown.code == 2
    assert shown.err.startswith(f"taut: {reason}")
    assert shown.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def _run(path: Path, task: str, **figures: object) -> Path:
    path.mkdir()
    config = {"seed": 0, "critic": {"width": path.name}}
    manifest = {"taut": "0", "recipe": task, "task": task, "command": [], "seed": 0, "config": config}
    (path / "config.json").write_text(json.dumps(manifest))
    (path / "result.json").write_text(json.dumps({"task": task, "seconds": {"train": 61.0}, **figures}))
    lines = [{"step": n, "epoch": n, "kind": "valid", "loss": 1.0 / n, "estimate": -1.0 / n} for n in (1, 2)]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_runs_of_other_tasks_are_compared_by_their_headlines(taut, tmp_path: Path) -> None:
    common = {"lower": 0.8, "truth": 1.0, "gradient_norm": {"mean": 0.97}, "lipschitz_bound": 1.0}
    first = _run(tmp_path / "a", "wasserstein", estimate=0.913, **common)
    second = _run(tmp_path / "b", "wasserstein", estimate=0.957, **common)
    out = tmp_path / "page" / "comparison.html"
    assert taut("report", first, second, "--out", out).code == 0
    page = out.read_text()
    assert 'class="n best"><data value="0.957">' in page
    assert 'class="n"><data value="0.913">' in page
    assert 'class="n best"><data value="0.8">' not in page  # the same in both
    assert "critic.width" in page
    assert (out.parent / "comparison-learning.png").read_bytes().startswith(b"\x89PNG")

    other = _run(tmp_path / "c", "gan", quality=None, lipschitz_bound=None)
    shown = taut("report", first, other, "--out", out)
    assert (shown.code, "these are of gan and wasserstein" in shown.err) == (1, True)
    (second / "result.json").unlink()
    shown = taut("report", first, second, "--out", out)
    assert (shown.code, "its run is not finished" in shown.err) == (1, True)
