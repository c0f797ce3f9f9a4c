"""One row per layer of a network: its proven constant, next to its computed singular values."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from taut.certify.breakdown import Norm, checked_norm, digits_up
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
    sigma_min: float | None
    """Smallest singular value, computed in float64, not proven; None for a module without a weight."""
    sigma_max: float | None
    """Largest singular value, computed in float64, not proven: it can lie below the true one, `bound` cannot."""
    method: str
    """How the bound was proved."""


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The rows of a network and its bound; `str` gives a table."""

    norm: Norm
    """The norm of the bounds."""
    bound: float
    """Proven Lipschitz bound of the whole network."""
    rows: tuple[AuditRow, ...]
    """The layers in the order of their execution; a layer that is used twice has two rows."""

    def __str__(self) -> str:
        head = ("layer", "kind", f"bound ({self.norm})", "sigma min (computed)", "sigma max (computed)", "proof")
        body = [
            (row.name, row.kind, digits_up(row.bound), _computed(row.sigma_min), _computed(row.sigma_max), row.method)
            for row in self.rows
        ]
        body.append(("(network)", "", digits_up(self.bound), "", "", "product rule"))
        widths = [max(len(line[column]) for line in (head, *body)) for column in range(len(head))]
        lines = [_aligned(head, widths), _aligned(["-" * width for width in widths], widths)]
        return "\n".join(lines + [_aligned(line, widths) for line in body])

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and text, for JSON."""
        return {"norm": self.norm, "bound": self.bound, "layers": [asdict(row) for row in self.rows]}


def audit(model: nn.Module, *, input_shape: Sequence[int] | None = None, norm: str = "l2") -> Audit:
    r"""Proven constant of each layer in `norm` ("l2" or "linf"), of the network, and computed singular values.

    Takes what `lipschitz_bound` takes, and raises what it raises.

    >>> import torch
    >>> found = audit(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU()))
    >>> [(row.name, row.kind, row.method) for row in found.rows]
    [('0', 'Linear', 'Cholesky witness'), ('1', 'ReLU', 'by construction')]
    >>> print(str(found).splitlines()[0].split("  ")[0])
    layer
    """
    analysis = analyse(model, norm=checked_norm(norm), input_shape=input_shape)
    values: dict[int, tuple[float, float] | None] = {}
    for leaf in analysis.leaves:
        if id(leaf.module) not in values:
            values[id(leaf.module)] = _singular_values(leaf.module)
    rows = tuple(_row(leaf, values[id(leaf.module)]) for leaf in analysis.leaves)
    return Audit(norm=checked_norm(norm), bound=analysis.tree.bound, rows=rows)


def _row(leaf: Leaf, values: tuple[float, float] | None) -> AuditRow:
    smallest, largest = values if values is not None else (None, None)
    return AuditRow(
        name=leaf.name,
        kind=leaf.kind,
        bound=leaf.proof.bound,
        sigma_min=smallest,
        sigma_max=largest,
        method=leaf.proof.method,
    )


@torch.no_grad()
def _singular_values(module: nn.Module) -> tuple[float, float] | None:
    """Smallest and largest, as float64 computes them."""
    if not is_plain_linear(module):
        return None
    weight: Any = module.weight
    values = torch.linalg.svdvals(weight.cpu().to(torch.float64))
    return float(values[-1]), float(values[0])


def _computed(value: float | None) -> str:
    return "" if value is None else f"{value:.9g}"


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
