"""One row per layer of a network: its constant between a proven bound and a lower one, and the same for the network."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from taut.certify.breakdown import Norm, checked_norm
from taut.certify.estimates.estimate import Estimate
from taut.certify.estimates.layers import Attained
from taut.certify.network.audit_table import table
from taut.certify.network.from_below import look_from_below
from taut.certify.network.network import analyse
from taut.certify.rules.module_rules import Leaf, is_plain_linear


@dataclass(frozen=True, kw_only=True)
class AuditRow:
    """One use of one layer."""

    name: str
    """Path of the module."""
    kind: str
    """Type of the module."""
    bound: float
    """Its Lipschitz constant in the audit's norm: proven, never too small."""
    lower: float | None
    """A number that the constant is not below; None where none was found, or looked for."""
    lower_method: str | None
    """ "checked vector" (proven, for a linear layer or a convolution), or "pair of points" (see `estimate`)."""
    sigma_min: float | None
    """Smallest singular value, computed in float64, not proven; None for a module without a matrix."""
    sigma_max: float | None
    """Largest singular value, computed in float64, not proven: it can lie below the true one, `bound` cannot."""
    method: str
    """How the bound was proved."""
    seconds: float
    """Time that the proof of the bound took; for a layer that is used again, next to none."""


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The rows of a network and its bracket [lower, bound]; `str` gives a table."""

    norm: Norm
    """The norm of the bounds."""
    bound: float
    """Proven Lipschitz bound of the whole network."""
    estimate: Estimate | None
    """What a search found below it, with the pair of points; None where it was not made."""
    searched: str
    """Where the search began, or why there was none."""
    rows: tuple[AuditRow, ...]
    """The layers in the order of their execution; a layer that is used twice has two rows."""
    seconds: float
    """Time of all proofs."""
    method: str = "product"
    """How the network's bound is put together: "product", or the smaller of that and "eclipse" or "lipsdp"."""

    @property
    def lower(self) -> float | None:
        """The lower end of the bracket."""
        return None if self.estimate is None else self.estimate.value

    def __str__(self) -> str:
        return table(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and text, for JSON."""
        return {
            "norm": self.norm,
            "lower": self.lower,
            "bound": self.bound,
            "method": self.method,
            "seconds": self.seconds,
            "estimate": None if self.estimate is None else self.estimate.to_dict(),
            "searched": self.searched,
            "layers": [asdict(row) for row in self.rows],
        }


def audit(
    model: nn.Module,
    *,
    input_shape: Sequence[int] | None = None,
    norm: str = "l2",
    method: str = "product",
    inputs: Float[Tensor, "batch *shape"] | None = None,
    search_seconds: float = 5.0,
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> Audit:
    r"""Bracket of the Lipschitz constant of each layer and of the network in `norm` ("l2" or "linf").

    The upper ends are proven, and those of `lipschitz_bound`, whose `method` can be named for the network. The lower
    ends are attained: for linear layers and convolutions by a vector that is checked with every rounding error, which
    is a proof; for other layers and for the network by a pair of points as in `estimate`, searched from `inputs`, or
    from random normal ones of `input_shape`. Where the shape of a sample is not known (and the model does not begin
    with a linear layer), the network has no lower end. `search_seconds` is shared by the layers and the network; 0
    turns the search off, and makes the result, times apart, the same each time. `progress` is called with what is being
    done and the share that is done.

    Takes what `lipschitz_bound` takes, and raises what it raises; ValueError for inputs that do not fit.

    >>> import torch
    >>> found = audit(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU()))
    >>> [(row.name, row.kind, row.method) for row in found.rows]
    [('0', 'Linear', 'Cholesky witness'), ('1', 'ReLU', 'by construction')]
    >>> 0.0 < found.lower <= found.bound
    True
    """
    if not search_seconds >= 0.0:
        raise ValueError(f"search_seconds must be >= 0, got {search_seconds}")
    checked = checked_norm(norm)
    tell = progress or (lambda what, share: None)
    if inputs is not None and input_shape is None:
        input_shape = tuple(inputs.shape[1:])
    tell("proving the bound of each layer", 0.0)
    start = time.perf_counter()
    analysis = analyse(model, norm=checked, input_shape=input_shape, method=method)
    seconds = time.perf_counter() - start
    values: dict[int, tuple[float, float] | None] = {}
    for leaf in analysis.leaves:
        if id(leaf.module) not in values:
            values[id(leaf.module)] = _singular_values(leaf.module)
    below = look_from_below(
        model,
        analysis.leaves,
        norm=checked,
        shape=input_shape,
        inputs=inputs,
        seconds=search_seconds,
        seed=seed,
        tell=tell,
    )
    rows = (
        _row(leaf, values[id(leaf.module)], found) for leaf, found in zip(analysis.leaves, below.layers, strict=True)
    )
    return Audit(
        norm=checked,
        bound=analysis.tree.bound,
        estimate=below.estimate,
        searched=below.searched,
        rows=tuple(rows),
        seconds=seconds,
        method=method,
    )


def _row(leaf: Leaf, values: tuple[float, float] | None, found: Attained | None) -> AuditRow:
    smallest, largest = values if values is not None else (None, None)
    return AuditRow(
        name=leaf.name,
        kind=leaf.kind,
        bound=leaf.proof.bound,
        lower=None if found is None else found.value,
        lower_method=None if found is None else found.method,
        sigma_min=smallest,
        sigma_max=largest,
        method=leaf.proof.method,
        seconds=leaf.seconds,
    )


@torch.no_grad()
def _singular_values(module: nn.Module) -> tuple[float, float] | None:
    """Smallest and largest, as float64 computes them."""
    if not is_plain_linear(module):
        return None
    weight: Any = module.weight
    values = torch.linalg.svdvals(weight.cpu().to(torch.float64))
    return float(values[-1]), float(values[0])
