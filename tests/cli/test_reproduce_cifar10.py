"""`taut reproduce cifar10-table`: two layers on digits, by a clock of our own, stopped and finished."""

import itertools
import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

NETWORK = ["--dataset", "digits", "--architecture", "convnet-xs", "--channels", "2", "--blocks", "1"]
TINY = [
    *NETWORK, "--convolutions", "aol", "sll", "--minutes", "0.1", "--timed-updates", "3", "--batch-size", "64",
    "--attack-samples", "10", "--attack-steps", "2", "--accelerator", "cpu", "--activation", "relu",
]  # fmt: skip
WARM, TIMED = 2, 3
SECONDS = {"aol": [100.0, 50.0, 1.0, 30.0, 1.0], "sll": [100.0, 50.0, 2.0, 2.0, 0.5]}
"""Of each update while measuring: two to warm up, then those whose median is 1 and 2."""


def ticking() -> Iterator[float]:
    """Readings before and after each update."""
    now = 0.0
    for seconds in itertools.chain(*SECONDS.values()):
        yield now
        now += seconds
        yield now


@pytest.fixture
def table(taut, no_report: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`taut reproduce ...`, with the clock above, few held-out samples, and without pages."""
    from taut import data
    from taut.tasks import cifar10_table
    from taut.tasks.classification import speed

    digits = data.load("digits", None)
    few = replace(digits, test=data.take(digits.test, torch.arange(20)))
    monkeypatch.setattr(data, "load", lambda name, root: few)
    monkeypatch.setattr(cifar10_table.run, "report", lambda folder: folder.path / "report.html")

    def run(*arguments: object) -> Any:
        readings = ticking()
        monkeypatch.setattr(speed, "clock", lambda: next(readings))
        return taut("reproduce", *arguments)

    return run


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def test_a_table_that_was_stopped_is_the_same_in_the_end(table, tmp_path: Path, monkeypatch) -> None:
    from taut.training import supervised

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    shown = table("cifar10-table", "--budget", "small", *TINY, "--out", whole)
    assert shown.code == 0, shown.err
    project, calls = supervised.project_, []

    def interrupting(*arguments: Any, **options: Any) -> None:
        project(*arguments, **options)
        calls.append(1)
        if len(calls) == 2 * (WARM + TIMED) + 6 + 1 + 2:  # measured both, trained and finished aol, 2 of 3 of sll
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(supervised, "project_", interrupting)
        stopped = table("cifar10-table", "--budget", "small", *TINY, "--out", parts)
    assert stopped.code == 130
    assert stopped.err == f"taut: interrupted; continue with: taut reproduce --resume {parts}\n"
    assert not (parts / "result.json").exists()
    kept = (parts / "cells" / "aol" / "result.json").stat().st_mtime_ns
    measured = (parts / "plan.json").read_bytes()
    again = table("--resume", parts)
    assert again.code == 0, again.err
    assert (parts / "cells" / "aol" / "result.json").stat().st_mtime_ns == kept
    assert (parts / "plan.json").read_bytes() == measured
    first, second = _json(whole / "result.json"), _json(parts / "result.json")
    for mine, other in zip(first["rows"], second["rows"], strict=True):
        assert {**mine, "seconds": 0} == {**other, "seconds": 0}
    _check(first, whole, shown.out)
    _damaged(table, parts)


def _check(result: dict[str, Any], folder: Path, printed: str) -> None:
    aol, sll = result["rows"]
    assert [row["convolution"] for row in (aol, sll)] == ["aol", "sll"]
    assert [row["update_seconds"] for row in (aol, sll)] == [1.0, 2.0]
    assert [row["updates"] for row in (aol, sll)] == [6, 3]  # six seconds
    assert aol["epochs"] == pytest.approx(6 * 64 / 1347)
    assert result["radii"] == [36 / 255, 72 / 255, 108 / 255, 1.0]
    keys = [f"{radius:g}" for radius in result["radii"]]
    for row in (aol, sll):
        cell = _json(folder / row["folder"] / "result.json")
        config = _json(folder / row["folder"] / "config.json")["config"]
        assert config["model"]["convolution"] == row["convolution"]
        assert config["optimizer"]["epochs"] == 1
        assert list(row["certified"]) == list(row["attacked"]) == keys
        assert {name: row[name] for name in ("accuracy", "certified", "attacked", "lipschitz_bound")} == {
            name: cell[name] for name in ("accuracy", "certified", "attacked", "lipschitz_bound")
        }
        assert row["lipschitz_bound"] < 1 + 1e-5
        assert 0 < row["seconds"] <= cell["seconds"]["train"]
        assert row["published"] == {}  # of CIFAR-10 alone
        line = next(line for line in printed.splitlines() if line.split()[:1] == [row["convolution"]])
        shown = [100 * row["accuracy"], *(100 * row[kind][key] for kind in ("certified", "attacked") for key in keys)]
        words = [float(word.replace(",", "")) for word in line.split()[1:]]
        assert words.pop(2) == pytest.approx(row["seconds"], abs=0.501)
        found = [row["updates"], row["epochs"], row["parameters"], *shown, row["lipschitz_bound"]]
        assert words == pytest.approx(found, abs=0.00501)


def _damaged(table: Callable[..., Any], folder: Path) -> None:
    """Files that are damaged are named in one sentence, and a table that is finished is shown again."""
    assert "attacked (of the first 10 samples)" in table("--resume", folder).out
    broken = {
        folder / "result.json": '{"task": "cifar10-table"}',
        folder / "cells" / "sll" / "result.json": '{"samples": 450}',
        folder / "plan.json": '{"rows": [{"convolution": "aol"}]}',
    }
    for path, content in broken.items():
        whole = path.read_text()
        if path != folder / "result.json":
            (folder / "result.json").unlink(missing_ok=True)
        path.write_text(content)
        shown = table("--resume", folder)
        assert shown.code in (1, 2)
        assert str(path) in shown.err
        assert shown.err.count("\n") == 1, shown.err
        path.write_text(whole)


def test_mistakes_are_one_sentence(taut, tmp_path: Path) -> None:
    mistakes = {
        ("--epochs", "3"): "got 3: they follow from --minutes",
        ("--per-class", "30"): "follows from --minutes",
        ("--convolution", "sll"): "see --convolutions",
        ("--validate-every", "5"): "when the time is over",
        ("--minutes", "0"): "minutes must be a positive number, got 0",
        ("--convolutions",): "convolutions must name at least one of aoc",
        ("--convolutions", "aol", "aol"): "convolutions must differ, got aol aol",
        ("--convolutions", "conv"): "conv",
        ("--no-certify",): "needs certificates",
        ("--dataset", "image-stream"): "held in memory",
        (*NETWORK, "--batch-size", "5000"): "batch-size 5000 is larger",
        (
            *NETWORK[:4],
            "--channels",
            "3",
            "--convolutions",
            "aol",
        ): "with the convolution aol: cannot build the network",
        ("--devices", "2"): "devices and num-nodes must be 1",
    }
    for options, reason in mistakes.items():
        shown = taut("reproduce", "cifar10-table", *options, "--out", tmp_path / "run")
        assert shown.code in (1, 2), options
        assert reason in shown.err, shown.err
        assert shown.err.count("\n") == 1, shown.err
    assert not (tmp_path / "run").exists()


def test_as_many_passes_as_the_time_allows() -> None:
    from taut.tasks.cifar10_table.plan import fitted
    from taut.training.sampling import steps_per_epoch

    counts = dict.fromkeys(range(10), 5000)
    for updates in (1, 17, 194, 195, 196, 389, 390, 391, 19_500, 100_001):
        epochs, per_class = fitted(updates, counts=counts, batch_size=256)
        done = epochs * steps_per_epoch(10 * per_class or 50_000, 256)
        assert updates - epochs < done <= updates
        assert epochs == -(-updates // 195)
    # of uneven classes as many of each as the smallest has; all where that is no batch
    assert fitted(2, counts={0: 90, 1: 20}, batch_size=30) == (1, 20)
    assert fitted(2, counts={0: 90, 1: 2}, batch_size=30) == (1, 0)


def test_published_numbers_stand_beside_those_of_cifar10_alone() -> None:
    from taut.recipes import TABLES
    from taut.tasks.cifar10_table.published import PUBLISHED, published

    assert published("cifar10", "soc") == {
        "xs": {"accuracy": 0.741, "certified": 0.613}, "l": {"accuracy": 0.769, "certified": 0.663}
    }  # fmt: skip
    assert published("digits", "soc") == published("cifar10", "bro") == {}
    small, full = (TABLES["cifar10-table"][budget]() for budget in ("small", "full"))
    assert set(PUBLISHED) <= set(full.layers.convolutions)
    assert (small.layers.minutes, full.layers.minutes) == (2, 24 * 60)
    assert (small.model.architecture, full.model.architecture) == ("convnet-xs", "convnet-l")
