import copy
import io
import math
from typing import Any

import pytest
import torch
from torch import nn

import taut
from taut import certify
from taut.nn import LInfDistLinear
from taut.testing import MapContract, checks

ROUNDING = 2.0**-40


class TestLInfDistLinear(MapContract):
    norms = ("linf",)
    cases = (
        ({"in_features": 6, "out_features": 4}, (3, 6)),
        ({"in_features": 5, "out_features": 12, "bias": False}, (3, 5)),
        ({"in_features": 1, "out_features": 7}, (2, 1)),
        ({"in_features": 7, "out_features": 1}, (3, 7)),
        ({"in_features": 6, "out_features": 8, "init": "identity"}, (3, 6)),
        ({"in_features": 5, "out_features": 3}, (3, 2, 5)),
    )
    bad_arguments = (
        {"in_features": 0},
        {"out_features": -3},
        {"in_features": 2.5},
        {"out_features": True},
        {"p": 1.5},
        {"p": float("nan")},
        {"init": "zero"},
        {"relaxation": "hard"},
    )
    bad_inputs = (({"in_features": 6, "out_features": 4}, (3, 5)),)

    def make(self, **options: Any) -> LInfDistLinear:
        return LInfDistLinear(**options)


@pytest.mark.parametrize("p", [2.0, 8.0, 100.0])
def test_relaxed_constants_are_bounds_and_are_reached(p: float) -> None:
    torch.manual_seed(0)
    layer = LInfDistLinear(30, 5, p=p, dtype=torch.float64)
    bound = taut.lipschitz_bound(layer, norm="linf")
    assert bound <= 30 ** (1 / p) * (1 + ROUNDING)
    x = layer.weight.detach()[:1] + 1.0  # as far in every entry: the whole norm grows
    moved = float((layer(x + 1e-3) - layer(x))[0, 0].detach()) / 1e-3
    assert bound * (1 - 1e-9) < moved <= bound
    other = torch.randn(200, 30, dtype=torch.float64)
    for step in (1e-3, 1.0):
        near = other + step * torch.randn(200, 30, dtype=torch.float64)
        change, distance = (layer(near) - layer(other)).abs(), (near - other).abs().amax(1)
        assert bool((change.amax(1) <= bound * distance * (1 + ROUNDING)).all())
        assert bool((change.norm(dim=1) <= taut.lipschitz_bound(layer) * (near - other).norm(dim=1)).all())


def test_a_soft_layer_is_1_lipschitz_at_every_exponent_and_folds_at_infinity() -> None:
    torch.manual_seed(0)
    layer = LInfDistLinear(30, 5, p=8.0, relaxation="soft", dtype=torch.float64)
    assert taut.lipschitz_bound(layer, norm="linf") == 1.0
    assert "relaxation='soft'" in repr(layer)
    x = torch.randn(200, 30, dtype=torch.float64)
    near = x + 0.1 * torch.randn(200, 30, dtype=torch.float64).sign()
    assert float((layer(near) - layer(x)).abs().max().detach()) <= 0.1 * (1 + ROUNDING)
    hard = LInfDistLinear(30, 5, dtype=torch.float64)
    hard.load_state_dict(layer.state_dict())
    hard.relax_(math.inf)
    above = (layer(x) - hard(x)).detach()
    assert float(above.min()) >= -ROUNDING
    assert float(above.mean()) > 0.01
    layer.relax_(math.inf)
    assert torch.equal(layer(x), hard(x))
    assert torch.equal(taut.fold(layer)(x), hard(x))


def test_l2_constant_is_reached_where_all_rows_watch_one_input() -> None:
    layer = LInfDistLinear(4, 9)
    with torch.no_grad():
        layer.weight.zero_()[:, 0] = -10.0
    bound = taut.lipschitz_bound(layer)
    assert 3.0 <= bound < 3.0 * (1 + ROUNDING)
    x = torch.zeros(1, 4)
    step = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    assert float((layer(x + step) - layer(x)).norm().detach()) == 3.0


def test_starts_as_the_identity() -> None:
    torch.manual_seed(0)
    x = torch.rand(50, 6, dtype=torch.float64) * 4 - 2
    for out_features in (4, 6, 9):
        layer = LInfDistLinear(6, out_features, init="identity", dtype=torch.float64)
        kept = min(6, out_features)
        checks.assert_close(layer(x)[:, :kept], x[:, :kept], "outputs")


def test_the_exponent_travels_with_the_weights() -> None:
    torch.manual_seed(0)
    x, layer, other = torch.randn(3, 6), LInfDistLinear(6, 4, p=37.5), LInfDistLinear(6, 4)
    buffer = io.BytesIO()
    torch.save(layer.state_dict(), buffer)
    buffer.seek(0)
    other.eval().load_state_dict(torch.load(buffer, weights_only=True))
    assert other.p == 37.5
    assert torch.equal(other(x), layer(x))
    for moved in (copy.deepcopy(layer), copy.deepcopy(layer).double()):
        assert moved.p == 37.5
    assert "p=37.5" in repr(layer)
    assert all(bool(value.isfinite().all()) for value in LInfDistLinear(6, 4).state_dict().values())


def test_a_relaxed_layer_is_not_folded() -> None:
    with pytest.raises(ValueError, match="p=8"):
        taut.fold(nn.Sequential(LInfDistLinear(6, 4, p=8.0)))


def test_a_folded_layer_compares_some_outputs_at_a_time() -> None:
    torch.manual_seed(0)
    layer, x = LInfDistLinear(2000, 100), torch.randn(2, 3, 2000)
    plain = taut.fold(layer)
    assert torch.equal(plain(x), layer(x))
    with torch.autograd.profiler.profile(profile_memory=True) as profile, torch.no_grad():
        plain(x)
    assert max(event.cpu_memory_usage for event in profile.function_events) < 4 * 6 * 100 * 2000 / 4
    assert taut.lipschitz_bound(plain, norm="linf") == 1.0


def test_what_only_looks_like_a_folded_layer_is_not_taken_for_one() -> None:
    plain = taut.fold(LInfDistLinear(6, 4))
    for node in plain.graph.nodes:
        if node.target == "amax":
            node.target = "sum"
    plain.recompile()
    with pytest.raises(TypeError, match="no Lipschitz rule|grows with the number"):
        certify.lipschitz_bound(plain, norm="linf")


@pytest.mark.compile
def test_a_schedule_does_not_recompile() -> None:
    torch.compiler.reset()
    torch.manual_seed(0)
    layer, x = LInfDistLinear(6, 4), torch.randn(5, 6)
    with torch._dynamo.config.patch(error_on_recompile=True):
        compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
        for p in (8.0, 20.0, 300.0, math.inf):
            layer.relax_(p)
            gradient = torch.autograd.grad(compiled(x).sum(), layer.weight)[0]
            assert torch.equal(gradient, torch.autograd.grad(layer(x).sum(), layer.weight)[0])
