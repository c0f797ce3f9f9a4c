r"""Constants of activations with parameters, proven from the numbers that are stored; the graph decides what it is.

- torch.nn.PReLU: the largest of 1 and |slope|.
- The graph of a linear spline: it is continuous whatever the numbers are, so the largest |rise * inverse distance|.
- The graph of a fold z - 2 max(0, <v, z>) v: continuous as well, so the larger of 1 and |1 - 2 |v|^2| in l2 (the
  reflection's eigenvalues are 1 and 1 - 2 |v|^2); in linf the largest row sum of |I - 2 v v^T|, and 1.
- The graphs of the N-activation and of order 2 of the Householder activation: 1 for any finite numbers, since slopes
  are -1 and 1, and thresholds that cross leave x shifted; or since sine and cosine are those of the stored angles.
  sqrt(2) in linf for the latter.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from taut.certify.breakdown import Norm
from taut.certify.norms.gram import exact_float64
from taut.certify.norms.spectral import Proof
from taut.certify.rounding import inflate, sqrt_up
from taut.nn.activation.householder import plain_fold, plain_order2
from taut.nn.activation.linear_spline import plain_spline
from taut.nn.activation.n_activation import plain_n_activation
from taut.nn.conversion._plain import same_nodes, stored_tensors

BY_CONSTRUCTION = "by construction"
STORED_SLOPES = "largest stored slope"


def learned_activation(module: nn.Module) -> tuple[str, dict[str, Tensor]] | None:
    """ "prelu", "spline", "n", "fold" or "order 2", and the stored tensors by name; None for anything else."""
    if type(module) is nn.PReLU:
        weight: Any = module._parameters["weight"]
        return "prelu", {"weight": weight}
    if not isinstance(module, fx.GraphModule):
        return None
    for kind, (names, fits, plain) in _GRAPHS.items():
        stored = stored_tensors(module, names)
        if stored is not None and fits(**stored) and same_nodes(module, plain(**stored)):
            return kind, stored
    return None


@torch.no_grad()
def activation_proof(module: nn.Module, norm: Norm) -> Proof | None:
    """The constant of an activation with parameters, never too small; None where the module is none.

    Raises ValueError for NaN or infinite parameters.
    """
    found = learned_activation(module)
    if found is None:
        return None
    kind, stored = found
    return constant_of(kind, {name: exact_float64(value) for name, value in stored.items()}, norm)


def constant_of(kind: str, exact: dict[str, Tensor], norm: Norm) -> Proof:
    """The constant of one kind of activation, from its numbers in float64."""
    return _PROOFS[kind](exact, norm)


def _prelu(exact: dict[str, Tensor], norm: Norm) -> Proof:
    del norm
    return Proof(bound=max(1.0, float(exact["weight"].abs().amax())), method=STORED_SLOPES)


def _spline(exact: dict[str, Tensor], norm: Norm) -> Proof:
    del norm
    slopes = inflate(exact["rises"].abs() * exact["inverse_step"].abs()[:, None])
    return Proof(bound=float(slopes.amax()), method=STORED_SLOPES)


def _fold(exact: dict[str, Tensor], norm: Norm) -> Proof:
    v, w = exact["normal"].abs()
    if norm == "l2":  # 2 |v|^2 - 1, and 1 where that is smaller; the subtraction is exact or rounds by less
        bound = inflate(2.0 * inflate(v * v + w * w)).amax() - 1.0
    else:
        squares = torch.stack([v * v, w * w])
        # fl(1 - 2 v^2) is off by roundings of 1 and of v^2, not of itself
        rows = (1.0 - 2.0 * squares).abs() + 2.0**-50 * (1.0 + squares) + 2.0 * v * w
        bound = inflate(rows).amax()
    return Proof(bound=max(1.0, float(inflate(bound))), method="stored normals")


def _n(exact: dict[str, Tensor], norm: Norm) -> Proof:
    del exact, norm
    return Proof(bound=1.0, method=BY_CONSTRUCTION)


def _order2(exact: dict[str, Tensor], norm: Norm) -> Proof:
    del exact
    return Proof(bound=1.0 if norm == "l2" else sqrt_up(2.0), method=BY_CONSTRUCTION)


_PROOFS: dict[str, Callable[[dict[str, Tensor], Norm], Proof]] = {
    "prelu": _prelu,
    "spline": _spline,
    "fold": _fold,
    "n": _n,
    "order 2": _order2,
}

_Graph = tuple[tuple[str, ...], Callable[..., bool], Callable[..., fx.GraphModule]]
_GRAPHS: dict[str, _Graph] = {
    "spline": (
        ("start", "rises", "inverse_step"),
        lambda start, rises, inverse_step: (
            rises.dim() == 2 and rises.shape[1] > 0 and start.shape == inverse_step.shape == rises.shape[:1]
        ),
        plain_spline,
    ),
    "fold": (("normal",), lambda normal: normal.dim() == 2 and len(normal) == 2, plain_fold),
    "n": (("low", "high"), lambda low, high: low.dim() == 1 and low.shape == high.shape, plain_n_activation),
    "order 2": (("angles",), lambda angles: angles.dim() == 2 and len(angles) == 3, plain_order2),
}
