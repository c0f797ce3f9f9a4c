"""Folding gives torch alone, and leaves the original as it was."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import taut
from taut import nn as tnn


def network() -> nn.Module:
    torch.manual_seed(0)
    return tnn.Sequential(
        nn.Flatten(),
        tnn.BjorckLinear(16, 32),
        tnn.MaxMin(),
        tnn.CayleyLinear(32, 32),
        tnn.GroupSort(4),
        tnn.CholeskyLinear(32, 24),
        tnn.MaxOut(2),
        tnn.UnitNormLinear(12, 10),
    )


def test_the_original_still_works_after_its_copy_was_folded() -> None:
    net, x = network(), torch.randn(3, 4, 4)
    before = net(x)
    taut.fold(net)
    assert torch.equal(net(x), before)
    assert hasattr(net[1], "parametrizations")
    assert torch.equal(copy.deepcopy(net)(x), before)


def test_fold_before_any_forward_pass() -> None:
    net, x = network(), torch.randn(3, 4, 4)
    assert torch.allclose(taut.fold(net)(x), net(x), atol=1e-6)


def test_a_pickled_fold_runs_where_taut_is_not_installed(tmp_path: Path) -> None:
    net, x = network(), torch.randn(3, 4, 4)
    plain = taut.fold(net)
    torch.save({"model": plain, "x": x, "y": plain(x)}, tmp_path / "plain.pt")
    script = (
        "import sys; sys.modules['taut'] = None\n"
        "import torch\n"
        f"saved = torch.load({str(tmp_path / 'plain.pt')!r}, weights_only=False)\n"
        "assert torch.equal(saved['model'](saved['x']), saved['y'])\n"
        "assert not any(name.startswith('taut.') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_a_pickled_fold_is_still_certified() -> None:
    plain = taut.fold(network())
    again = pickle.loads(pickle.dumps(plain))
    assert taut.lipschitz_bound(again) == taut.lipschitz_bound(plain)


def test_weights_travel_by_safetensors(tmp_path: Path) -> None:
    net, x = network(), torch.randn(3, 4, 4)
    plain = taut.fold(net)
    save_file(plain.state_dict(), tmp_path / "plain.safetensors")
    other = taut.fold(network())
    for parameter in other.parameters():
        nn.init.zeros_(parameter)
    other.load_state_dict(load_file(tmp_path / "plain.safetensors"))
    assert torch.equal(other(x), plain(x))


def test_a_users_own_module_keeps_its_class() -> None:
    class Twin(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = tnn.BjorckLinear(3, 3), tnn.BjorckLinear(3, 3)
            self.again = self.left

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.left(x) + self.right(self.again(x))

    net, x = Twin(), torch.randn(2, 3)
    plain = taut.fold(net)
    assert type(plain) is Twin
    assert plain.left is plain.again
    assert type(plain.left) is nn.Linear
    assert torch.allclose(plain(x), net(x), atol=1e-6)


def test_torchs_own_parametrizations_fold_too() -> None:
    layer = nn.utils.parametrizations.orthogonal(nn.Linear(4, 3))
    plain = taut.fold(layer)
    assert type(plain) is nn.Linear
    assert plain.weight.is_contiguous()
    assert torch.equal(plain.weight, layer.weight)


def test_frozen_weights_stay_frozen() -> None:
    net = tnn.Sequential(tnn.BjorckLinear(3, 3))
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in taut.fold(net).parameters())


@pytest.mark.parametrize("swap", ["maximum", "split"])
def test_a_tampered_activation_is_not_recognised(swap: str) -> None:
    graph = tnn.MaxMin().fold()
    if swap == "maximum":
        node = next(n for n in graph.graph.nodes if n.target is torch.minimum)
        node.target = torch.add
    else:
        node = next(n for n in graph.graph.nodes if n.op == "call_method")
        node.args = (node.args[0], 1, node.args[2])
    graph.recompile()
    assert tnn.recognise(graph) is None
    layer = nn.Linear(4, 4)
    nn.init.eye_(layer.weight)
    if swap == "maximum":  # the rules of its functions bound what it is now: (max(a, b), a + b), with slope 1.618
        assert taut.lipschitz_bound(nn.Sequential(layer, graph), input_shape=(4,)) > 1.618
    else:
        with pytest.raises(ValueError, match="does not take"):
            taut.lipschitz_bound(nn.Sequential(layer, graph))


def test_a_fold_of_a_fold_keeps_the_names_of_its_parts() -> None:
    once = taut.fold(tnn.Sequential(tnn.BjorckLinear(4, 4), tnn.MaxMin()))
    names = [type(module).__name__ for module in taut.fold(once).modules()]
    assert names == [type(module).__name__ for module in once.modules()] == ["Sequential", "Linear", "MaxMin"]
