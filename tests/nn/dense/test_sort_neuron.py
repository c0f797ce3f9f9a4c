import math
from typing import Any

import pytest
import torch
from torch import nn

import taut
from taut.nn import LInfDistLinear, SortLinear
from taut.testing import MapContract, checks


class TestSortLinear(MapContract):
    norms = ("linf",)
    cases = (
        ({"in_features": 6, "out_features": 4}, (3, 6)),
        ({"in_features": 5, "out_features": 12, "bias": False}, (3, 5)),
        ({"in_features": 1, "out_features": 7}, (2, 1)),
        ({"in_features": 7, "out_features": 1}, (3, 7)),
        ({"in_features": 6, "out_features": 8, "init": "identity", "q": 0.0}, (3, 6)),
        ({"in_features": 5, "out_features": 3}, (3, 2, 5)),
    )
    bad_arguments = (
        {"in_features": 0},
        {"out_features": -3},
        {"in_features": 2.5},
        {"out_features": True},
        {"p": 1.5},
        {"q": 1.0},
        {"q": -0.1},
        {"q": float("nan")},
        {"p": float("nan")},
        {"init": "zero"},
    )
    bad_inputs = (({"in_features": 6, "out_features": 4}, (3, 5)),)

    def make(self, **options: Any) -> SortLinear:
        return SortLinear(**options)


def test_without_drops_it_is_the_layer_of_distances() -> None:
    torch.manual_seed(0)
    layer, plain, x = SortLinear(6, 4, q=0.0), LInfDistLinear(6, 4), torch.randn(3, 6)
    plain.load_state_dict(layer.state_dict())
    for p in (8.0, math.inf):
        layer.relax_(p)
        plain.relax_(p)
        assert torch.equal(layer(x), plain(x))


def test_relaxed_it_is_random_in_both_modes_and_every_draw_keeps_the_bound() -> None:
    torch.manual_seed(0)
    layer = SortLinear(30, 5, q=0.5, p=8.0, dtype=torch.float64)
    x = torch.randn(40, 30, dtype=torch.float64)
    y = x + torch.randn(40, 30, dtype=torch.float64)
    bound = taut.lipschitz_bound(layer, norm="linf")
    assert bound == LInfDistLinear(30, 5, p=8.0).lipschitz_constant("linf")
    for mode in (True, False):
        layer.train(mode)
        assert not torch.equal(layer(x), layer(x))
        for seed in range(20):
            values = []
            for inputs in (x, y):
                torch.manual_seed(seed)
                values.append(layer(inputs))
            change = (values[0] - values[1]).abs().amax(1)
            assert bool((change <= bound * (x - y).abs().amax(1)).all())


def test_a_relaxed_layer_is_not_folded() -> None:
    with pytest.raises(ValueError, match="p=8"):
        taut.fold(nn.Sequential(SortLinear(6, 4, p=8.0)))


def test_folded_in_parts_and_with_many_ranks() -> None:
    torch.manual_seed(0)
    for q in (0.3, 0.9):  # 0.9: some hundred ranks, each of which recognising tries as q
        layer, x = SortLinear(1200, 60, q=q, dtype=torch.float64), torch.randn(2, 3, 1200, dtype=torch.float64)
        plain = taut.fold(layer)
        checks.assert_close(plain(x), layer(x), "folded")
        found = taut.nn.recognise(plain)
        assert isinstance(found, SortLinear)
        assert found.q == q
