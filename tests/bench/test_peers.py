"""Published formulas that stand in for other libraries compute what they are compared with."""

import sys
from pathlib import Path

import pytest
import torch

from taut import nn as tnn
from taut.bench import peers
from taut.functional import project_rows_l1

EPS = torch.finfo(torch.float32).eps


def test_the_sorted_projection_is_the_projection() -> None:
    weight = torch.randn(20, 30) * torch.logspace(-3, 1, 20)[:, None]
    assert torch.allclose(peers.sorted_l1_projection(weight), project_rows_l1(weight), atol=40 * EPS)


def test_twenty_five_steps_reach_an_orthogonal_matrix() -> None:
    found = peers.bjorck_twenty_five(torch.linalg.qr(torch.randn(6, 6)).Q)
    assert torch.allclose(found.T @ found, torch.eye(6), atol=100 * EPS)


def test_activations_are_the_same_functions() -> None:
    x = torch.randn(7, 8)
    assert torch.equal(peers.SortedGroups(4)(x), tnn.GroupSort(4)(x))
    torch.manual_seed(0)
    ours, published = tnn.LinearSpline(8, knots=11), peers.PublishedSpline(8, knots=11)
    published.load_state_dict(ours.state_dict())
    for points in (x, torch.randn(2, 8, 3, 3)):
        assert torch.allclose(published(points), ours(points), atol=20 * EPS)


def test_a_checkout_comes_before_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "deel" / "torchlip"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "from torch.nn import Linear as SpectralLinear, Linear as FrobeniusLinear\n"
        "from torch.nn import Conv2d as SpectralConv2d, Conv2d as FrobeniusConv2d, ReLU as GroupSort2\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "modules", {name: module for name, module in sys.modules.items() if "deel" not in name})
    assert not any("torchlip" in name for name in peers.dense_peers())
    peers.use_checkouts([tmp_path])
    assert isinstance(peers.dense_peers()["deel-torchlip: SpectralLinear"](3, 2), torch.nn.Linear)
    assert "deel-torchlip: SpectralConv2d + GroupSort2" in peers.convolution_peers()
