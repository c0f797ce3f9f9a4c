"""The axis of the learning curves counts finished epochs, however often the held-out split was looked at."""

import json
from pathlib import Path

import pytest

from taut.reports.folder.metrics import read_metrics


def _write(path: Path, lines: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps({"loss": 1.0, **line}) + "\n" for line in lines))
    return path


@pytest.mark.parametrize("validate_every", [1, 3])
def test_points_stand_at_the_epochs_they_were_taken_at(tmp_path: Path, validate_every: int) -> None:
    lines: list[dict[str, object]] = [{"kind": "train", "step": 5, "epoch": 1}]
    lines += [
        {"kind": "valid", "step": 10 * epoch, "epoch": epoch} for epoch in range(validate_every, 7, validate_every)
    ]
    metrics = read_metrics(_write(tmp_path / "metrics.jsonl", lines))
    assert metrics.epochs(metrics.train) == [0.5]
    assert metrics.epochs(metrics.valid) == [float(epoch) for epoch in range(validate_every, 7, validate_every)]


def test_before_the_first_epoch_ends_the_logged_epoch_stands(tmp_path: Path) -> None:
    metrics = read_metrics(_write(tmp_path / "metrics.jsonl", [{"kind": "train", "step": 5, "epoch": 1}]))
    assert metrics.epochs(metrics.train) == [1.0]


def test_lines_of_another_kind_are_passed_over(tmp_path: Path) -> None:
    metrics = read_metrics(_write(tmp_path / "metrics.jsonl", [{"kind": "profile", "step": 5}]))
    assert not metrics.train
    assert not metrics.valid
