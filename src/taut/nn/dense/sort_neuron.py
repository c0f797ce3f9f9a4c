r"""Layer of SortNet neurons: 1-Lipschitz in the l-infinity norm with no constraint on its weight."""

import math
import operator
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, fx, nn

from taut.functional import sort_neuron
from taut.functional.sort_neuron import checked_drop, ranks_that_count
from taut.nn.dense import _distance
from taut.nn.dense._distance import DistanceInit


class SortLinear(nn.Module):
    r"""x -> sum_i (1 - q) q^(i-1) |x - w_j|_(i) + b_j, sorted downwards: 1-Lipschitz in the l-infinity norm (linf).

    For any weight; not in l2. All inputs count, the largest differences most; q = 0 is `LInfDistLinear`. The sum is the
    mean of the maximum when each input is dropped with probability q, and that is how it is trained cheaply:

    - p = infinity (the start, and what is evaluated, folded and certified): the sum itself, with exact gradients.
    - finite p, set by `relax_(p)` or by `taut.optim.LpSchedule`: the l_p norm over the inputs that are kept. This is
      **random**, drawn anew for each sample from torch's default generator (`torch.manual_seed`), in training and
      evaluation mode alike. Every draw is in_features^(1/p)-Lipschitz (linf). To evaluate during training, take
      `taut.optim.relax_(copy.deepcopy(model), math.inf)`.

    Which of the two is the buffer `exponent` (0 for infinity), saved and restored with the weights. In l2 the layer is
    sqrt(out_features)-Lipschitz. Ranks whose weights sum to less than rounding are left out. Memory, half precision,
    folding and centring as in `LInfDistLinear`.

    Shapes: (*, in_features) -> (*, out_features).
    Args: `q` in [0, 1); `p`, `init` as in `LInfDistLinear`; bias, device, dtype as in torch.nn.Linear.
    Errors: ValueError for sizes below 1, q outside [0, 1), p below 2, an unknown init; when folded at finite p.
    Source: Zhang, Jiang, He and Wang (2022).

    >>> import torch, taut
    >>> layer = SortLinear(8, 4, q=0.3)
    >>> taut.lipschitz_bound(layer, norm="linf"), layer(torch.zeros(2, 8)).shape
    (1.0, torch.Size([2, 4]))
    """

    in_features: int
    out_features: int
    init: DistanceInit
    weight: nn.Parameter
    bias: nn.Parameter | None
    exponent: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        q: float = 0.3,
        p: float = math.inf,
        init: DistanceInit = "normal",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.q = checked_drop(q)
        _distance.set_up(self, in_features, out_features, bias=bias, p=p, init=init, device=device, dtype=dtype)

    reset_parameters = _distance.start
    relax_ = _distance.relax

    @property
    def p(self) -> float:
        """The exponent now; change it with `relax_`."""
        return _distance.exponent_of(self)

    def extra_repr(self) -> str:
        return f"{_distance.description(self)}, q={self.q:g}"

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        value = sort_neuron(x, self.weight, q=self.q, p=self.exponent)
        return value if self.bias is None else value + self.bias

    def lipschitz_constant(self, norm: str) -> float:
        """in^(1/p) in linf, sqrt(out) in l2, rounded up: weights that sum to 1 at most, whatever is dropped."""
        if norm == "l2":
            return _distance.outputs_factor(self.out_features)
        return _distance.exponent_factor(self.p, self.in_features)

    def fold(self) -> fx.GraphModule:
        """The same function in torch alone."""
        count = ranks_that_count(self.q, self.in_features, torch.finfo(torch.float64).eps)
        return _distance.plain(self, partial(_sorted_sum, q=self.q, count=count))


def _sorted_sum(sizes: Any, *, q: float, count: int) -> Any:
    """(1 - q) times the sum, written so that q itself is in the graph."""
    if q == 0.0:
        return sizes.amax(-1)
    largest = sizes.topk(count, -1)[0]
    total = (largest * largest.new_tensor([q**i for i in range(count)])).sum(-1)
    return total - q * total


def plain_sort_neuron(module: fx.GraphModule) -> nn.Module | None:
    """The `SortLinear` that a graph was folded from, or None."""
    # q itself multiplies the sum; its powers, of which there may be a thousand, only weigh the ranks
    factors = [n for node in module.graph.nodes if node.target is operator.mul for n in node.args]
    for q in sorted({n for n in factors if isinstance(n, float) and 0 < n < 1}):
        layer = _distance.matched(module, partial(SortLinear, q=float(q)))
        if layer is not None:
            return layer
    return None
