"""Two processes, every layer that trains: equal parameters on both ranks and the single-process result."""

from collections.abc import Callable
from functools import partial

import pytest
from torch import nn

from contracts import every_layer, example
from taut import nn as tnn
from taut.testing import assert_ranks_agree


def make(name: str) -> nn.Module:
    return example(name)[0].train()


def residuals() -> nn.Module:
    """Blocks in a chain, whose branches are chains."""
    return nn.Sequential(tnn.ConvexResidual(branch()), tnn.ScaledResidual(branch()))


def branch() -> nn.Module:
    return tnn.Sequential(tnn.BjorckLinear(4, 8), tnn.MaxMin(), tnn.BjorckLinear(8, 4))


@pytest.mark.timeout(240)
def test_every_layer_under_distributed_data_parallel() -> None:
    examples = {name: example(name) for name in every_layer()}
    trained = {name: shape for name, (module, shape) in examples.items() if any(True for _ in module.parameters())}
    inputs = {name: (8, *shape[1:]) for name, shape in trained.items()}
    makers: dict[str, Callable[[], nn.Module]] = {name: partial(make, name) for name in trained}
    assert_ranks_agree({**makers, "residuals": residuals}, {**inputs, "residuals": (8, 4)})
