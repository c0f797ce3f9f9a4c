r"""Layer of l-infinity distances: 1-Lipschitz in the l-infinity norm with no constraint on its weight."""

import math
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, fx, nn

from taut.functional import lp_distance, soft_linf_distance
from taut.functional.linf_distance import DistanceKernel, checked_kernel
from taut.nn.dense import _distance
from taut.nn.dense._distance import DistanceInit

DistanceRelaxation = Literal["lp", "soft"]


class LInfDistLinear(nn.Module):
    r"""x -> max_i |x_i - w_ji| + b_j: 1-Lipschitz in the l-infinity norm (linf) for any weight; not in l2.

    Each output depends on one input at a time, so that training starts from the l_p norm with a small p, which sees all
    of them, and lets p grow: `relax_(p)`, or `taut.optim.LpSchedule` for a whole network. With finite p the layer is
    in_features^(1/p)-Lipschitz (linf), and the bound says so. In l2 it is sqrt(out_features)-Lipschitz for any p.

    relaxation "soft" takes the smooth maximum log(sum_i exp(p |x_i - w_ji|) + ...) / p instead of the l_p norm
    (`taut.functional.soft_linf_distance`): 1-Lipschitz (linf) at every p, and products of matrices, which cost a
    twentieth of the visits to every difference. Both are the same layer at p = infinity; there p is in units of 1 / x.

    The exponent is the buffer `exponent` (0 for infinity), saved and restored with the weights.

    Differences are never all in memory, but in blocks. Half precision is computed in float32. `taut.fold` gives a graph
    of torch functions that compares some 32768 entries at a time for each sample, at p = infinity only. Outputs lie
    around the largest distance, not around 0: subtract their mean between layers (`BatchCentering`).

    Shapes: (*, in_features) -> (*, out_features).
    Args: `p` from 2 to infinity; `relaxation` "lp" or "soft"; `init` "normal", or "identity" (-10 on the diagonal, for
    deep networks); `kernel` "blocks", or "triton" on CUDA devices (see `taut.functional.lp_distance`); bias, device,
    dtype as in torch.nn.Linear.
    Errors: ValueError for sizes below 1, p below 2, an unknown init or relaxation, a kernel unknown or not installed;
    when folded at finite p.
    Source: Zhang, Cai, Lu, He and Wang (2021).

    >>> import torch, taut
    >>> layer = LInfDistLinear(8, 4)
    >>> taut.lipschitz_bound(layer, norm="linf"), layer(torch.zeros(2, 8)).shape
    (1.0, torch.Size([2, 4]))
    """

    in_features: int
    out_features: int
    init: DistanceInit
    weight: nn.Parameter
    bias: nn.Parameter | None
    exponent: Tensor
    kernel: DistanceKernel
    relaxation: DistanceRelaxation

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        p: float = math.inf,
        init: DistanceInit = "normal",
        relaxation: DistanceRelaxation = "lp",
        kernel: DistanceKernel = "blocks",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if relaxation not in get_args(DistanceRelaxation):
            raise ValueError(f"relaxation must be 'lp' or 'soft', got {relaxation!r}")
        self.kernel, self.relaxation = checked_kernel(kernel), relaxation
        _distance.set_up(self, in_features, out_features, bias=bias, p=p, init=init, device=device, dtype=dtype)

    reset_parameters = _distance.start
    relax_ = _distance.relax

    @property
    def p(self) -> float:
        """The exponent now; change it with `relax_`."""
        return _distance.exponent_of(self)

    def extra_repr(self) -> str:
        text = _distance.description(self)
        text = text if self.relaxation == "lp" else f"{text}, relaxation={self.relaxation!r}"
        return text if self.kernel == "blocks" else f"{text}, kernel={self.kernel!r}"

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        relaxed = soft_linf_distance if self.relaxation == "soft" else lp_distance
        distance = relaxed(x, self.weight, p=self.exponent, kernel=self.kernel)
        return distance if self.bias is None else distance + self.bias

    def lipschitz_constant(self, norm: str) -> float:
        """in^(1/p) in linf (1 if soft), sqrt(out) in l2, rounded up: the weight has no part in it."""
        if norm == "l2":
            return _distance.outputs_factor(self.out_features)
        return 1.0 if self.relaxation == "soft" else _distance.exponent_factor(self.p, self.in_features)

    def fold(self) -> fx.GraphModule:
        """The same function in torch alone."""
        return _distance.plain(self, _largest)


def _largest(sizes: Any) -> Any:
    return sizes.amax(-1)


def plain_linf_distance(module: fx.GraphModule) -> nn.Module | None:
    """The `LInfDistLinear` that a graph was folded from, or None."""
    return _distance.matched(module, LInfDistLinear)
