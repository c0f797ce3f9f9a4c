"""`taut export`: from a run to a folder that somebody else can open, check and read; nothing by halves, no pickle."""

import contextlib
import io
import json
import os
import pickle
import re
import shutil
import signal
import zipfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

FILES = [
    "README.md", "certificate.json", "model.json", "model.safetensors", "network.safetensors", "result.json",
    "samples.npz", "training.json",
]  # fmt: skip
UNCERTIFIED = ["README.md", "model.json", "model.safetensors", "result.json", "training.json"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def table(card: str, first: str) -> dict[str, list[str]]:
    """The rows of the card's table whose heading begins with `first`, by their first cell."""
    block = card[card.index(f"| {first}") :].split("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block]
    return {row[0]: row[1:] for row in rows}


@pytest.fixture
def exported(taut, finished: Path, tmp_path: Path) -> Path:
    shown = taut("export", finished, "--out", tmp_path / "away" / "net")
    assert (shown.code, shown.err) == (0, "")
    assert names(tmp_path) == ["away"]
    return tmp_path / "away" / "net"


def test_the_network_is_the_one_of_the_run_and_its_certificate_holds(taut, exported: Path, finished: Path) -> None:
    import taut as library
    from taut.tasks.classification import load_run

    assert names(exported) == FILES
    shown = taut("verify", exported / "certificate.json")
    assert (shown.code, "holds: 450 samples" in shown.out) == (0, True), shown.err
    net, run = library.load(exported), load_run(finished)
    inputs, labels = run.dataset.test.inputs, run.dataset.test.labels
    assert torch.equal(net(inputs), run.model(inputs))
    figures = read(finished / "result.json")
    assert (net.norm, net.lipschitz_bound) == (figures["norm"], figures["lipschitz_bound"])
    assert net.classes == tuple("0123456789")
    right = [int(name) == label for name, label in zip(net.predict(inputs), labels.tolist(), strict=True)]
    assert sum(right) / len(right) == figures["accuracy"]
    some = net.certify(inputs[:20], labels[:20])
    assert torch.equal(some.radius, net.certificate.radius[:20])
    assert (exported / "model.safetensors").read_bytes() == (finished / "folded.safetensors").read_bytes()


def test_the_card_has_the_figures_and_its_example_runs(exported: Path, finished: Path, monkeypatch) -> None:
    card, figures = (exported / "README.md").read_text(), read(finished / "result.json")
    rows = table(card, "l2 radius")
    assert rows.pop("l2 radius")[0] == "certified (450 samples)"
    rows.pop("---")
    assert rows.pop("0 (accuracy)")[0] == f"{100 * figures['accuracy']:.2f} %"
    assert list(rows) == list(figures["certified"])
    for eps, cells in rows.items():
        shares = (figures["certified"][eps], figures["attack"]["certified"][eps], figures["attacked"][eps])
        assert cells == [f"{100 * share:.2f} %" for share in shares]
    stated = float(table(card, "proven Lipschitz")["proven Lipschitz constant"][0].split()[0])
    assert figures["lipschitz_bound"] <= stated <= figures["lipschitz_bound"] * (1 + 1e-7)
    data = table(card, "split")
    assert (data["training"][0], data["held out"][0]) == ("1,347", "450")
    recorded = read(next(finished.glob("checkpoints/*/trainer.json")))["data"]
    assert data["training"][1] == f"`{recorded}`"
    for words in ("taut train digits --width 16", "float64 as executed", "## What is not", "inside [0, 1] or not"):
        assert words in card
    assert sorted(re.findall(r"^\| `([\w.]+)` \|", card, flags=re.MULTILINE)) == names(exported)
    monkeypatch.chdir(exported)
    (code,) = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(compile(code, "card", "exec"), {})
    assert "torch.float64" in shown.getvalue(), "the radii come last"


def test_nothing_is_pickled_and_no_place_is_told(
    taut, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import taut as library

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("pickle")

    for module, name in [(pickle, "dumps"), (pickle, "dump"), (pickle, "loads"), (pickle, "load"), (torch, "save"),
                         (torch, "load")]:  # fmt: skip
        monkeypatch.setattr(module, name, refuse)
    out = tmp_path / "net"
    assert taut("export", finished, "--out", out).code == 0
    library.load(out)
    monkeypatch.undo()
    for path in out.iterdir():
        content = path.read_bytes()
        assert str(tmp_path.parent).encode() not in content
        assert str(finished.parent).encode() not in content
        with pytest.raises(Exception):  # noqa: B017
            pickle.Unpickler(io.BytesIO(content)).load()
        if zipfile.is_zipfile(path):
            assert sorted(zipfile.ZipFile(path).namelist()) == ["inputs.npy", "labels.npy"]


def test_its_configuration_trains_again(exported: Path, finished: Path) -> None:
    from taut.tasks.classification import Config
    from taut.training.run_folder import read_manifest
    from taut.training.serialise import from_plain

    again, run = read_manifest(exported / "training.json"), read_manifest(finished / "config.json")
    assert (again.recipe, again.seed, again.task) == (run.recipe, run.seed, run.task)
    assert from_plain(Config, again.config, source="") == from_plain(Config, run.config, source="")
    assert again.command[-2:] == ("--out", "finished")


def test_every_setting_of_the_model_is_exported() -> None:
    from taut.models import ClassifierOptions
    from taut.tasks.classification import ModelConfig

    known = {field.name for field in fields(ClassifierOptions)} | {"architecture", "tanh"}
    assert {field.name for field in fields(ModelConfig)} == known


def test_a_run_without_a_certificate_says_so(taut, tiny: list[str], no_report, tmp_path: Path) -> None:
    import taut as library
    from taut.tasks.classification import load_network

    options = ["--tanh", "--no-certify", "--per-class", "5", "--batch-size", "50", "--attack-samples", "9"]
    run, out = tmp_path / "run", tmp_path / "net"
    options = [word for word in tiny if word not in ("--attack-samples", "30")] + options
    assert taut("train", "digits", *options, "--out", run).code == 0
    out.mkdir()
    shown = taut("export", run, "--out", out)
    assert (shown.code, names(out)) == (0, UNCERTIFIED), shown.err
    net, (model, shape) = library.load(out), load_network(run)
    assert (net.certificate, net.lipschitz_bound, net.input_shape) == (None, None, shape)
    x = torch.rand(4, *shape)
    assert torch.equal(net(x), model(x))
    card = (out / "README.md").read_text()
    assert card.startswith("# A classifier of digits, not certified")
    for words in ("this network is not certified", "Nothing: this network is **not certified**", "a tanh behind the"):
        assert words in card
    for words in ("net.certify(inputs).radius", "taut verify certificate", "certified ("):
        assert words not in card
    assert table(card, "l2 radius")["l2 radius"] == ["under attack (first 9 samples)"]
    assert table(card, "split")["training"][0] == "50 of 1,347"


def test_a_run_on_streamed_pictures_exports_without_them(taut, no_report, tmp_path: Path) -> None:
    import taut as library
    from taut.testing.picture_folder import write_picture_folder

    data, run, out = tmp_path / "pictures", tmp_path / "run", tmp_path / "net"
    write_picture_folder(data, classes=3, train=4, val=2, sizes=(10, 12))
    options = ["--dataset", "image-stream", "--data-root", data, "--phases", "0:8", "--workers", "0", "--epochs", "1"]
    options += ["--batch-size", "6", "--attack-samples", "4", "--attack-steps", "1", "--radii", "0.1"]
    options += ["--width", "4", "--depth", "1", "--accelerator", "cpu", "--out", run]
    shown = taut("train", "digits", *options)
    assert shown.code == 0, shown.err
    shown = taut("export", run, "--out", tmp_path / "at-hand")
    assert (shown.code, shown.err) == (0, "")
    data_rows = table((tmp_path / "at-hand" / "README.md").read_text(), "split")
    assert (data_rows["training"][0], data_rows["held out"][0]) == ("12", "6")
    assert data_rows["held out"][2].startswith("accuracy and certificates on 4 of them")
    shutil.rmtree(data)
    shown = taut("export", run, "--out", out)
    assert (shown.code, shown.err) == (0, "")
    net, card = library.load(out), (out / "README.md").read_text()
    assert (net.classes, net.input_shape) == (tuple(f"class_{i:04d}" for i in range(3)), (3, 8, 8))
    assert taut("verify", out / "certificate.json").code == 0
    assert "Of all 6 held-out pictures" in card
    assert table(card, "split")["training"][0] == "not known"
    assert "were not at hand" in card


def without(*gone: str) -> Callable[[Path], None]:
    def remove(run: Path) -> None:
        for name in gone:
            (run / name).unlink()

    return remove


def other_data(run: Path) -> None:
    path = next(run.glob("checkpoints/*/trainer.json"))
    path.write_text(json.dumps({**read(path), "data": "0" * 64}))


def other_weights(run: Path) -> None:
    figures = read(run / "result.json")
    figures.pop("folded_sha256")  # as of runs from before it was kept
    (run / "result.json").write_text(json.dumps(figures))
    weights = safetensors.torch.load_file(run / "folded.safetensors")
    first = next(iter(weights))
    safetensors.torch.save_file({**weights, first: weights[first] * 1.001}, run / "folded.safetensors")


def other_result(run: Path) -> None:
    figures = read(run / "result.json")
    (run / "result.json").write_text(json.dumps({**figures, "certified": {**figures["certified"], "0.1": 0.999}}))


def other_samples(run: Path) -> None:
    import numpy as np

    with np.load(run / "samples.npz") as found:
        np.savez(run / "samples.npz", inputs=found["inputs"], labels=found["labels"][::-1])


def certified_otherwise(**how: Any) -> Callable[[Path], None]:
    def certify(run: Path) -> None:
        from taut.certify import robustness
        from taut.tasks.classification import load_run

        found = load_run(run)
        test = found.dataset.test
        robustness(found.model, test.inputs, test.labels, **how).save(run / "certificate.json")

    return certify


REFUSED: dict[str, tuple[Callable[[Path], None], int, str]] = {
    "no run": (without("config.json"), 2, "is not a run folder: it has no config.json"),
    "no weights": (without("folded.safetensors"), 1, "has no final weights yet; finish it with: taut train --resume"),
    "unfinished": (without("result.json"), 1, "is not finished; finish it with: taut train --resume"),
    "no certificate": (without("certificate.json"), 1, "has no certificate.json: write it again with taut certify"),
    "no samples": (without("samples.npz"), 1, "has no samples.npz: write it with taut certify .*, or say --no-samples"),
    "other norm": (certified_otherwise(norm="linf"), 1, "certificate.json is not the one of .*: write that again with"),
    "other arithmetic": (certified_otherwise(arithmetic="real"), 1, "certificate.json is not the one of .*result.json"),
    "other result": (other_result, 1, "certificate.json is not the one of .*result.json"),
    "other weights": (other_weights, 1, "certificate.json is not about .*folded.safetensors"),
    "other samples": (other_samples, 1, "samples.npz is not what .*certificate.json is about"),
    "other data": (other_data, 1, "the training data of digits that are found now are not those"),
}


@pytest.mark.parametrize("change", REFUSED)
def test_a_run_that_is_not_whole_is_refused(change: str, taut, finished: Path, tmp_path: Path) -> None:
    damage, code, words = REFUSED[change]
    run = shutil.copytree(finished, tmp_path / "run", ignore=shutil.ignore_patterns("plots", "report.html"))
    damage(run)
    shown = taut("export", run, "--out", tmp_path / "new" / "net")
    assert shown.code == code
    assert re.search(words, shown.err), shown.err
    assert shown.err.count("\n") == 1
    assert names(tmp_path) == ["run"]


def test_samples_may_stay_at_home(taut, finished: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    samples = tmp_path / "samples.npz"
    (run / "samples.npz").rename(samples)
    out = tmp_path / "net"
    assert taut("export", run, "--out", out, "--no-samples").code == 0
    assert names(out) == [name for name in FILES if name != "samples.npz"]
    assert "taut verify certificate.json --data samples.npz" in (out / "README.md").read_text()
    assert taut("verify", out / "certificate.json", "--data", samples).code == 0


def test_a_folder_that_is_taken_is_refused(taut, finished: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    for out, words in ((tmp_path / "mine", "is not empty"), (tmp_path / "mine" / "thesis.txt", "is a file")):
        shown = taut("export", finished, "--out", out)
        assert (shown.code, words in shown.err) == (2, True)
    assert names(tmp_path / "mine") == ["thesis.txt"]
    assert taut("export", finished).code == 2


@pytest.mark.parametrize(
    ("there", "stop"), [(False, signal.SIGTERM), (True, signal.SIGINT), (False, None), (True, None)]
)
def test_nothing_is_left_behind(
    there: bool, stop: signal.Signals | None, taut, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped while the last file of seven is moved, or, of a new folder, before it gets its name."""
    out = tmp_path / "new" / "net"
    if there:
        out.mkdir(parents=True)
    rename = Path.rename

    def stopped(path: Path, target: Path) -> Path:
        if Path(target).name in ("model.json", "net"):
            if stop is None:
                raise OSError(28, "No space left on device")
            os.kill(os.getpid(), stop)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", stopped)
    shown = taut("export", finished, "--out", out)
    assert shown.code == {signal.SIGTERM: 143, signal.SIGINT: 130, None: 1}[stop]
    assert shown.err.count("\n") == 1
    assert list(tmp_path.rglob("*")) == ([tmp_path / "new", out] if there else [])
