"""`taut evaluate RUN --full`, from the command to the page."""

import json
import shutil
from pathlib import Path

import pytest

from report_page import Page

SMALL = ["--samples", "40", "--gradient-samples", "12", "--attack-steps", "3"]


def test_a_finished_run_is_evaluated_in_full(taut, finished: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    shown = taut("evaluate", run, "--full", *SMALL)
    assert shown.code == 0, shown.err
    folder = run / "evaluation"
    assert sorted(path.name for path in folder.iterdir()) == [
        "evaluation.safetensors", "plots", "report.html", "result.json",
    ]  # fmt: skip
    for words in ("proven bound", "first-order estimate", "there it is refuted", "under attack", "MaxMin"):
        assert words in shown.out
    figures = json.loads((folder / "result.json").read_text())
    assert figures["samples"] == 40
    assert figures["lipschitz"]["jacobian_norm_estimate"] <= figures["lipschitz"]["lipschitz_bound"]
    assert figures["command"][:2] == ["taut", "evaluate"]
    page = Page(folder / "report.html")
    assert page.asks_for_nothing
    assert figures["test"]["error"] in page.values
    assert len(list((folder / "plots").glob("*.png"))) == page.source.count("<figure>") == 7


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--split", "train"], "--full measures the held-out split"),
        (["--attack", "pgd"], "got 'pgd'"),
        (["--gradient-samples", "0"], "gradient-samples must be at least 1, got 0"),
        (["--radii", "-1"], "radii must be positive numbers"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(taut, finished: Path, options: list[str], reason: str) -> None:
    shown = taut("evaluate", finished, "--full", *options)
    assert shown.code == 2
    assert reason in shown.err
    assert shown.err.count("\n") == 1
    assert not (finished / "evaluation").exists()


def test_an_interrupted_evaluation_writes_nothing(taut, finished: Path, tmp_path: Path, monkeypatch) -> None:
    import os
    import signal

    from taut.tasks.classification.full import evaluate

    run = shutil.copytree(finished, tmp_path / "run")
    monkeypatch.setattr(evaluate, "neighbours", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    shown = taut("evaluate", run, "--full", *SMALL)
    assert shown.code == 143
    assert "nothing was written" in shown.err
    assert not (run / "evaluation").exists()
