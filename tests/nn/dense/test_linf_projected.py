from typing import Any

import torch

import taut
from taut.nn import LInfProjectedLinear
from taut.optim import AggMo, ProjectionHook
from taut.testing import LinearContract

EPS = torch.finfo(torch.float64).eps


class TestLInfProjectedLinear(LinearContract):
    norm = "linf"
    orthogonal = False
    every_weight = False

    def make(self, in_features: int, out_features: int, **options: Any) -> LInfProjectedLinear:
        return LInfProjectedLinear(in_features, out_features, **options)


def test_updates_end_in_the_ball_at_its_nearest_point() -> None:
    torch.manual_seed(0)
    layer = LInfProjectedLinear(30, 7, dtype=torch.float64)
    optimizer = AggMo(layer.parameters(), lr=1.0)
    unprojected: list[torch.Tensor] = []
    optimizer.register_step_post_hook(lambda *_: unprojected.append(layer.weight.detach().clone()))
    ProjectionHook(optimizer, layer)
    for _ in range(3):
        optimizer.zero_grad()
        layer(torch.randn(8, 30, dtype=torch.float64)).square().sum().backward()
        optimizer.step()
        rows = layer.weight.detach()
        assert float(rows.abs().sum(1).max()) <= 1.0
        assert taut.lipschitz_bound(layer, norm="linf") <= 1 + 128 * EPS
        # the nearest point of a convex set is the one that nothing in the set lies beyond
        outward = unprojected[-1] - rows
        reach = (outward * rows).sum(1)
        assert bool((outward.abs().amax(1) <= reach + 100 * EPS * (1 + reach.abs())).all())
    assert float((unprojected[-1] - layer.weight.detach()).abs().max()) > 1e-3
