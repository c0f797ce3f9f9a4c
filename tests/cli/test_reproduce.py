"""`taut reproduce`: a small table of digits, stopped and finished."""

import json
import signal
from pathlib import Path

import pytest

TINY = ["--dataset", "digits", "--width", "36", "--depth", "1", "--steps", "6", "--batch-size", "32", "--seeds", "1"]
TINY += ["--samples", "100", "--generator-width", "2", "--generator-epochs", "1", "--generated", "1000", "--jobs", "1"]
TINY += ["--rows", "ReLU", "MaxMin"]


@pytest.fixture
def only_the_table(monkeypatch: pytest.MonkeyPatch, no_report: None) -> None:
    """Draw no report of the table either."""
    from taut.tasks import wasserstein_table

    monkeypatch.setattr(wasserstein_table.run, "report", lambda folder: folder.path / "report.html")


def test_a_table_that_was_stopped_is_the_same_in_the_end(taut, only_the_table, tmp_path: Path, monkeypatch) -> None:
    from taut.tasks.wasserstein import learner

    calls = []

    def interrupting(*_) -> None:
        calls.append(1)
        if len(calls) == 15:
            signal.raise_signal(signal.SIGINT)

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    shown = taut("reproduce", "wasserstein-table", "--budget", "small", *TINY, "--out", whole)
    assert shown.code == 0, shown.err
    assert (whole / "table.md").read_text() in shown.out
    with monkeypatch.context() as patch:
        patch.setattr(learner, "project_", interrupting)
        shown = taut("reproduce", "wasserstein-table", "--budget", "small", *TINY, "--out", parts)
    assert shown.code == 130
    assert shown.err == f"taut: interrupted; continue with: taut reproduce --resume {parts}\n"
    assert taut("reproduce", "--resume", parts).code == 0
    first, second = (json.loads((path / "result.json").read_text()) for path in (whole, parts))
    assert [row["values"] for row in first["cells"]] == [row["values"] for row in second["cells"]]
    assert first["transport"] == second["transport"]
    assert [(row["activation"], row["linear"]) for row in first["cells"]] == [
        ("ReLU", "spectral-norm"), ("MaxMin", "spectral-norm"), ("ReLU", "bjorck"), ("MaxMin", "bjorck")
    ]  # fmt: skip
    for row in first["cells"]:
        assert len(row["values"]) == 1
        assert row["fractions"] == pytest.approx([value / first["transport"]["value"] for value in row["values"]])
        assert max(row["values"]) < first["transport"]["value"]  # the same samples: this is weak duality
        assert max(row["lipschitz_bounds"]) < 1 + 1e-5


def test_mistakes_are_one_sentence(taut, tmp_path: Path) -> None:
    mistakes = {
        ("wasserstein-tabel",): "did you mean wasserstein-table",
        ("wasserstein-table", "--budget", "huge"): "--budget must be one of small, full",
        ("wasserstein-table", "--width", "700"): "multiple of 36",
        ("wasserstein-table", "--dataset", "digits", "--generator", "nowhere"): "nowhere",
        ("wasserstein-table", "--rows", "GELU"): "GELU",
        ("wasserstein-table", "--dataset", "digits", "--rows"): "rows must name at least one of ReLU",
        ("--seeds", "2"): "give a TABLE",
    }
    for options, reason in mistakes.items():
        out = ["--out", tmp_path / "run"] if not options[0].startswith("-") else []
        shown = taut("reproduce", *options, *out)
        assert shown.code in (1, 2), options
        assert reason in shown.err, shown.err
        assert shown.err.count("\n") == 1, shown.err
    assert not (tmp_path / "run").exists()
