"""Two processes, every layer: equal parameters on both ranks and the single-process result."""

from functools import partial

import pytest

from taut import nn as tnn
from taut.testing import assert_ranks_agree


@pytest.mark.timeout(120)
def test_every_layer_under_distributed_data_parallel() -> None:
    assert_ranks_agree({name: partial(cls, 6, 4) for name, cls in tnn.linears().items()}, (8, 6))
