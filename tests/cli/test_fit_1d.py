"""`taut train fit-1d`: what a run leaves, a network taken out of it, resuming, mistakes."""

import json
import signal
from pathlib import Path

import pytest
import torch

TINY = ["--activations", "max-min", "linear-spline", "--models", "3", "--points", "40", "--batch-size", "10"]
TINY += ["--epochs", "3", "--log-every", "3", "--accelerator", "cpu"]


@pytest.fixture(name="unreported")
def _unreported(monkeypatch: pytest.MonkeyPatch) -> None:
    from taut.tasks.fit_1d import run

    monkeypatch.setattr(run, "report", lambda folder: folder.path / "report.html")


@pytest.mark.usefixtures("unreported")
def test_an_interrupted_run_ends_as_if_it_had_not_been(taut, tmp_path: Path, monkeypatch) -> None:
    from taut.errors import UsageError
    from taut.tasks.fit_1d import learner, load_network
    from taut.tasks.fit_1d.functions import target
    from taut.tasks.fit_1d.learner import even_points

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    shown = taut("train", "fit-1d", *TINY, "--ema", "0.5", "--out", whole)
    assert shown.code == 0
    assert "proven Lipschitz constant (l2) of all 12 networks: at most 1" in shown.out
    result = json.loads((whole / "result.json").read_text())
    assert {(cell["activation"], cell["linear"]) for cell in result["cells"]} == {
        (activation, linear) for activation in ("max-min", "linear-spline") for linear in ("bjorck", "spectral-norm")
    }
    assert all(max(cell["lipschitz_bounds"]) <= 1 + 2e-9 for cell in result["cells"])

    x = even_points(10_000)
    for cell in result["cells"]:
        for model, error in (("median", cell["median"]), ("best", min(cell["errors"])), (2, cell["errors"][2])):
            made, shape = load_network(whole, activation=cell["activation"], linear=cell["linear"], model=model)
            found = (made(x.unsqueeze(1)).squeeze(1) - target("f1")(x)).square().mean()
            assert float(found.detach()) == pytest.approx(error, rel=1e-9)
            assert shape == (1,)
            assert all(type(module).__module__.startswith("torch.") for module in made.children())
    with pytest.raises(UsageError, match="has no networks relu/any; it has max-min/bjorck"):
        load_network(whole, activation="relu")
    with pytest.raises(UsageError, match=r"model must be in \[0, 3\), got 3"):
        load_network(whole, model=3)
    audited = json.loads(taut("audit", whole, "--json", "--no-search").out)
    best = min(result["cells"], key=lambda cell: cell["median"])
    assert audited["bound"] == pytest.approx(best["lipschitz_bounds"][best["median_model"]], rel=1e-12)

    calls = []
    follow = learner.follow

    def interrupting(*arguments: object, **options: object) -> None:
        follow(*arguments, **options)
        calls.append(1)
        if len(calls) == 29:  # in the third of four cells
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(learner, "follow", interrupting)
        assert taut("train", "fit-1d", *TINY, "--ema", "0.5", "--out", parts).code == 130
    assert taut("train", "--resume", parts).code == 0
    assert (whole / "model.safetensors").read_bytes() == (parts / "model.safetensors").read_bytes()
    again = json.loads((parts / "result.json").read_text())
    for varying in ("seconds", "command"):
        result.pop(varying), again.pop(varying)
    assert result == again
    assert "finished before" in taut("train", "--resume", parts).out


def test_mistakes_are_one_sentence_and_leave_nothing(taut, tmp_path: Path) -> None:
    mistakes = {
        ("--function", "f9"): "invalid choice",
        ("--models", "0"): "models must be at least 1, got 0",
        ("--width", "9"): "does not fit networks of width 9",
        ("--activations", "tanh"): "invalid choice",
        ("--group-size", "3"): "group-sort does not fit networks of width 10",
        ("--batch-size", "1001"): "batch-size must be between 1 and the 1000 points",
    }
    for options, reason in mistakes.items():
        shown = taut("train", "fit-1d", *options, "--out", tmp_path / "run")
        assert shown.code == 2, options
        assert reason in shown.err, shown.err
        assert shown.err.count("\n") == 1, shown.err
        assert not (tmp_path / "run").exists()


def test_weights_that_do_not_fit_are_one_sentence(tmp_path: Path) -> None:
    from taut.errors import UserError
    from taut.files import write_tensors
    from taut.tasks.fit_1d import Config, NetworksConfig, load_network
    from taut.training.run_folder import create_run
    from taut.training.serialise import to_plain

    config = Config(networks=NetworksConfig(activations=("relu",), linears=("bjorck",)))
    folder = create_run("fit-1d", task="fit-1d", out=tmp_path, command=[], seed=0, config=to_plain(config))
    with pytest.raises(UserError, match="is not finished; finish it with"):
        load_network(folder.path)
    cell = {"activation": "relu", "linear": "bjorck", "median": 0.1, "median_model": 0}
    folder.result.write_text(json.dumps({"cells": [cell]}))
    write_tensors(folder.model, {"relu/bjorck.0.bias": torch.zeros(25, 3)})
    with pytest.raises(UserError, match="does not fit the networks of"):
        load_network(folder.path)
    folder.result.write_text(json.dumps({"cells": [{}]}))
    with pytest.raises(UserError, match=r"result\.json is damaged"):
        load_network(folder.path)
