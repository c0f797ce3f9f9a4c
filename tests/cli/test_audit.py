"""`taut audit` on checkpoints as people have them: what it accepts, and the one sentence for what it does not."""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

NETS = """
import argparse
import torch

class Net(torch.nn.Module):
    def __init__(self, width: int = 4, *, scale: float = 1.0) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(1, width, 3, padding=1)
        self.bn = torch.nn.BatchNorm2d(width)
        self.fc = torch.nn.Linear(width * 16, 3)
        self.scale = scale

    def forward(self, x):
        return self.fc(torch.relu(self.bn(self.conv(x))).flatten(1)) * self.scale

class Holder:
    inner = torch.nn.Linear(2, 2)

def fails():
    raise RuntimeError("no\\nway")

def text():
    return "text"

number = 3
ready = torch.nn.Linear(2, 2)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a Python file of networks, to work in."""
    (tmp_path / "nets_for_audit.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def trained(width: int = 4) -> nn.Module:
    """The network of the file, with other weights than a new one has."""
    scope: dict = {}
    exec(NETS, scope)
    torch.manual_seed(7)
    model = scope["Net"](width)
    for _ in range(3):
        model(3.0 * torch.randn(16, 1, 4, 4))
    return model.eval()


def expected(model: nn.Module, norm: str = "l2") -> float:
    from taut.certify import lipschitz_bound

    return lipschitz_bound(model, input_shape=(1, 4, 4), norm=norm)


QUICK = ["--input-shape", "1", "4", "4", "--json", "--search-seconds", "0.05"]
CLASS = "nets_for_audit.py:Net"


def prefixed(state: dict, prefix: str) -> dict:
    return {prefix + name: tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    ("suffix", "wrap", "said"),
    [
        (".pt", lambda state: state, []),
        (".pth", lambda state: {"state_dict": state, "epoch": 3}, ["'state_dict'"]),
        (".ckpt", lambda state: {"state_dict": prefixed(state, "model."), "x": [1]}, ["'state_dict'", "'model.'"]),
        (".bin", lambda state: {"model": prefixed(state, "module.")}, ["'model'", "'module.'"]),
        (".pt", lambda state: prefixed(state, "module._orig_mod."), ["'module.'", "'_orig_mod.'"]),
        (".pt", lambda state: {k: v for k, v in state.items() if "num_batches" not in k}, []),
    ],
)
def test_state_dicts_are_read_as_they_are_usually_saved(taut, here: Path, suffix: str, wrap: Callable, said) -> None:
    model = trained()
    torch.save(wrap(model.state_dict()), "net" + suffix)
    shown = taut("audit", "net" + suffix, "--model-class", CLASS, *QUICK)
    assert shown.code == 0, shown.err
    found = json.loads(shown.out)
    assert found["bound"] == expected(model)
    assert 0.0 < found["lower"] < found["bound"]
    assert shown.err.count("\n") == len(said)
    assert all(what in shown.err for what in said)


def test_all_ways_to_name_a_network_agree(taut, here: Path) -> None:
    model = trained()
    safetensors.torch.save_file(model.state_dict(), "net.safetensors")
    ways = [
        ["net.safetensors", "--model-class", CLASS],
        ["net.safetensors", "--model-class", "nets_for_audit:Net"],
        [CLASS, "--weights", "net.safetensors"],
        ["nets_for_audit:Net", "--weights", here / "net.safetensors"],
        [here / "nets_for_audit.py:Net", "--weights", "net.safetensors"],
    ]
    for way in ways:
        shown = taut("audit", *way, *QUICK, "--no-search")
        assert (shown.code, shown.err) == (0, "")
        assert json.loads(shown.out)["bound"] == expected(model)
    assert taut("audit", "nets_for_audit:ready", "--no-search").code == 0
    assert taut("audit", "nets_for_audit:Holder.inner", "--no-search").code == 0


def test_arguments_reach_the_class(taut, here: Path) -> None:
    model = trained(width=6)
    torch.save(model.state_dict(), "net.pt")
    bounds = []
    for arguments in ('{"width": 6}', '{"width": 6, "scale": 2.0}'):
        shown = taut("audit", "net.pt", "--model-class", CLASS, "--arguments", arguments, *QUICK, "--no-search")
        bounds.append(json.loads(shown.out)["bound"])
    assert bounds[0] == expected(model)
    assert bounds[1] == pytest.approx(2.0 * bounds[0], rel=1e-12)


def test_double_weights_are_not_rounded(taut, here: Path) -> None:
    model = trained().double()
    with torch.no_grad():
        model.fc.weight.fill_(1.0 + 2.0**-40)
    torch.save(model.state_dict(), "net.pt")
    found = json.loads(taut("audit", "net.pt", "--model-class", CLASS, *QUICK, "--norm", "linf").out)
    assert found["bound"] == expected(model, "linf")
    assert found["layers"][-1]["lower"] == pytest.approx(64.0 * (1.0 + 2.0**-40), rel=1e-14)


def test_the_table_of_a_plain_model(taut, here: Path) -> None:
    shown = taut("audit", CLASS, "--input-shape", "1", "4", "4", "--search-seconds", "0.05")
    lines = shown.out.splitlines()
    assert lines[0].split() == ["layer", "kind", "at", "least", "(l2)", "at", "most", "(l2)", "sigma", "min", "proof",
                                "seconds"]  # fmt: skip
    assert [line.split()[0] for line in lines[2:5]] == ["conv", "bn", "fc"]
    assert lines[6].startswith("(network)")
    assert shown.err == ""


def test_a_run_is_audited_from_data_too(taut, finished: Path, here: Path) -> None:
    np.save("x.npy", np.random.default_rng(0).random((20, 1, 8, 8), dtype=np.float32))
    found = json.loads(taut("audit", finished, "--data", "x.npy", "--json", "--search-seconds", "0.05").out)
    assert found["searched"] == "from 20 given inputs"
    assert 0.0 < found["lower"] <= found["bound"]
    assert all(row["lower"] <= row["bound"] for row in found["layers"])


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
def test_inputs_are_read_from_files_and_give_the_shape(taut, here: Path, suffix: str) -> None:
    inputs = np.random.default_rng(0).standard_normal((1500, 1, 4, 4)).astype(np.float32)
    if suffix == ".npy":
        np.save("x.npy", inputs)
    elif suffix == ".npz":
        np.savez("x.npz", labels=np.zeros(1500), x=inputs)
    else:
        safetensors.torch.save_file({"anything": torch.from_numpy(inputs)}, "x.safetensors")
    shown = taut("audit", CLASS, "--data", "x" + suffix, "--json", "--search-seconds", "0.05")
    assert shown.code == 0, shown.err
    assert json.loads(shown.out)["searched"] == "from 1024 given inputs"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with good files and all kinds of bad ones; not to be changed."""
    folder = tmp_path_factory.mktemp("files")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("nets_for_audit.py").write_text(NETS)
        _write_files()
    return folder


def _write_files() -> None:
    model = trained()
    state = model.state_dict()
    torch.save(state, "good.pt")
    torch.save(nn.Sequential(nn.Linear(2, 2)), "whole.pt")
    with warnings.catch_warnings(action="ignore"):  # deprecated, but people have such files
        torch.jit.script(nn.Linear(2, 2)).save("script.pt")
    torch.save({"optimizer": {"lr": 1.0}, "epoch": 2}, "empty.pt")
    torch.save([1, 2], "list.pt")
    torch.save({**state, "fc.weight": torch.zeros(3, 5), "more": torch.zeros(1)}, "other.pt")
    torch.save({name: tensor for name, tensor in state.items() if "conv" not in name}, "less.pt")
    Path("broken.pt").write_bytes(b"hello world")
    Path("broken.safetensors").write_bytes(b"hello world")
    Path("cut.pt").write_bytes(Path("good.pt").read_bytes()[:-300])
    Path("program.pt2").write_bytes(b"")
    Path("notes.txt").write_text("text")
    Path("wrong.py").write_text("def f(:\n")
    np.save("bytes.npy", np.zeros((3, 1, 4, 4), dtype=np.uint8))
    np.save("flat.npy", np.zeros(3))
    np.save("five.npy", np.zeros((3, 5)))
    np.save("objects.npy", np.array([{}, {}]), allow_pickle=True)
    np.savez("two.npz", a=np.zeros((2, 2)), b=np.zeros((2, 2)))
    Path("broken.npz").write_bytes(b"hello world")


GOOD = ["good.pt", "--model-class", CLASS, "--input-shape", "1", "4", "4"]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["whole.pt", "--model-class", CLASS], 1, "holds a pickled torch.nn.modules.container.Sequential, and loading"),
        (["whole.pt", "--model-class", CLASS], 1, "save the tensors alone, by torch.save(model.state_dict()"),
        (["script.pt", "--model-class", CLASS], 1, "script.pt is a TorchScript program"),
        (["program.pt2"], 1, "program.pt2 is an exported program"),
        ([CLASS, "--weights", "program.pt2"], 1, "program.pt2 is an exported program"),
        (["empty.pt", "--model-class", CLASS], 1, "no state dict under state_dict, model_state_dict, model, net"),
        (["empty.pt", "--model-class", CLASS], 1, "it has 'optimizer', 'epoch'"),
        (["list.pt", "--model-class", CLASS], 1, "list.pt holds a list, not a state dict"),
        (["other.pt", "--model-class", CLASS], 1, "'more' is unknown to it; 'fc.weight' has shape (3, 5), not (3, 64)"),
        (["less.pt", "--model-class", CLASS], 1, "2 tensors are missing, such as 'conv.weight'"),
        (["broken.pt", "--model-class", CLASS], 1, "broken.pt is damaged, or no file of weights"),
        (["cut.pt", "--model-class", CLASS], 1, "cut.pt is damaged, or no file of weights"),
        (["broken.safetensors", "--model-class", CLASS], 1, "broken.safetensors is damaged, or no file of weights"),
        (["absent.pt", "--model-class", CLASS], 1, "there is no file absent.pt"),
        ([CLASS, "--weights", "absent.pt"], 1, "there is no file absent.pt"),
        (["notes.txt", "--model-class", CLASS], 1, "end in .safetensors, .pt, .pth, .ckpt, .bin, got notes.txt"),
        (["notes.txt"], 2, "notes.txt is neither a run folder nor MODULE:NAME nor a file of weights"),
        (["good.pt"], 2, "good.pt holds weights alone: name their network by --model-class MODULE:NAME"),
        (["good.pt", "--model-class", "Net"], 2, "'Net' is not MODULE:NAME"),
        (["good.pt", "--model-class", CLASS, "--weights", "good.pt"], 2, "weights are given twice"),
        ([CLASS, "--model-class", CLASS], 2, "--model-class goes with a file of weights"),
        (["nets_for_audit.py"], 2, "name what it defines, as nets_for_audit.py:NAME"),
        (["absent.py:Net"], 2, "cannot import absent.py:Net: there is no file absent.py"),
        (["wrong.py:f"], 2, "cannot import wrong.py:f: "),
        (["nets_for_audit:Nets"], 2, "cannot import nets_for_audit:Nets: nets_for_audit has no 'Nets' (did you mean"),
        (["nets_for_audit.py:Nets"], 2, "nets_for_audit.py has no 'Nets' (did you mean 'Net'?)"),
        (["nets_for_audit.py:Holder.outer"], 2, "nets_for_audit.py:Holder.outer: Holder has no 'outer'"),
        (["nets_for_audit:number"], 2, "nets_for_audit:number gives a int, not a torch module"),
        (["nets_for_audit:text"], 2, "nets_for_audit:text gives a str, not a torch module"),
        (["nets_for_audit:fails"], 1, "nets_for_audit:fails fails with the arguments {}: no way"),
        ([CLASS, "--arguments", "{width: 3}"], 2, "--arguments must be JSON, got '{width: 3}'"),
        ([CLASS, "--arguments", "[3]"], 2, "--arguments must be a JSON object"),
        ([CLASS, "--arguments", '{"depth": 3}'], 2, "cannot be called with the arguments"),
        (["nets_for_audit:ready", "--arguments", '{"width": 3}'], 2, "is a torch module already"),
        ([".", "--arguments", '{"width": 3}'], 2, "--arguments goes with MODULE:NAME"),
        ([".", "--model-class", CLASS], 2, "--model-class goes with MODULE:NAME"),
        ([CLASS, "--input-shape", "1", "4", "0"], 2, "--input-shape must be of positive numbers, got 1 4 0"),
        ([CLASS, "--search-seconds", "0"], 2, "--search-seconds must be above 0, got 0.0; --no-search turns it off"),
        ([CLASS, "--input-shape", "2", "4", "4"], 1, "no bound for nets_for_audit.py:Net: "),
        ([*GOOD, "--data", "bytes.npy"], 1, "bytes.npy holds torch.uint8: give floating-point inputs"),
        ([*GOOD, "--data", "flat.npy"], 1, "flat.npy must hold inputs in rows, got shape (3,)"),
        ([*GOOD, "--data", "five.npy"], 1, "an input in five.npy has shape (5,), not (1, 4, 4)"),
        ([*GOOD, "--data", "objects.npy"], 1, "objects.npy is damaged, or holds something else"),
        ([*GOOD, "--data", "two.npz"], 1, "two.npz must hold one array, or one named inputs, x, x_test, images, data"),
        ([*GOOD, "--data", "broken.npz"], 1, "broken.npz is damaged"),
        ([*GOOD, "--data", "absent.npy"], 1, "there is no file absent.npy"),
        ([*GOOD, "--data", "notes.txt"], 1, "inputs are read from files that end in .npy, .npz, .safetensors"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    taut, files: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, sentence: str
) -> None:
    monkeypatch.chdir(files)
    monkeypatch.setattr(sys, "path", list(sys.path))
    shown = taut("audit", *arguments)
    assert sentence in shown.err
    assert shown.code == code
    assert shown.err.startswith("taut: ")
    assert shown.err.count("\n") == 1
    assert shown.out == ""


def test_a_pickled_model_runs_no_code(taut, here: Path) -> None:
    import pickle

    class Bomb:
        def __reduce__(self) -> tuple:
            return os.mkdir, ("exploded",)

    Path("bomb.pt").write_bytes(pickle.dumps({"weight": Bomb()}))
    torch.save({"weight": Bomb()}, "bomb2.pt")
    for name in ("bomb.pt", "bomb2.pt"):
        assert taut("audit", name, "--model-class", CLASS).code == 1
    assert not (here / "exploded").exists()


def test_progress_is_shown_on_a_terminal_and_the_table_stays_clean(here: Path) -> None:
    """In a pseudo-terminal for standard error alone."""
    import pty

    master, slave = pty.openpty()
    command = [sys.executable, "-m", "taut.cli", "audit", CLASS, "--input-shape", "1", "4", "4"]
    done = subprocess.run(
        [*command, "--json"],
        stdout=subprocess.PIPE,
        stderr=slave,
        timeout=120,
        check=True,
        env={**os.environ, "TERM": "xterm", "OMP_NUM_THREADS": "1"},
    )
    os.close(slave)
    said = os.read(master, 100_000).decode()
    os.close(master)
    assert "lower bound of the network" in said
    assert json.loads(done.stdout)["bound"] > 0.0
