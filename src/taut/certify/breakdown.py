"""The proof tree of a network's Lipschitz bound: what was multiplied, added and joined, printed with the numbers."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Context
from typing import Literal

from taut.certify.rounding import product_up, root_sum_squares_up, sum_up

Norm = Literal["l2", "linf"]
"""The norms in which every constant of this package is proven."""

Kind = Literal["layer", "product", "sum", "join", "least"]


@dataclass(frozen=True, kw_only=True)
class Breakdown:
    """One node of the proof: a layer's constant, or how those of its children are put together. `str` prints the tree.

    >>> layers = tuple(Breakdown(name=str(i), kind="layer", rule="given", bound=2.0) for i in range(2))
    >>> print(chain(layers))
    4  product
    ├─ 2  '0': given
    └─ 2  '1': given
    """

    name: str
    """Path of the module, or name of the operation."""
    kind: Kind
    """"layer" (a leaf), "product" along a chain, "sum" at an addition, "join" at a concatenation or maximum,
    "least" of several proofs of one constant."""
    rule: str
    """For a leaf: its type and how its constant was proved; for others: what is done with the children."""
    bound: float
    """The proven constant of this part of the network, never too small."""
    children: tuple["Breakdown", ...] = ()

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> list[str]:
        label = f"{self.name!r}: {self.rule}" if self.kind == "layer" else self.rule
        lines = [f"{digits_up(self.bound)}  {label}"]
        for position, child in enumerate(self.children):
            last = position == len(self.children) - 1
            first, *rest = child._lines()
            lines.append(("└─ " if last else "├─ ") + first)
            lines += [("   " if last else "│  ") + line for line in rest]
        return lines


def chain(parts: tuple[Breakdown, ...]) -> Breakdown:
    """Composition: the product of the constants, rounded up; of nothing, the identity with constant 1."""
    if len(parts) == 1:
        return parts[0]
    bound = product_up(part.bound for part in parts)
    return Breakdown(name="", kind="product", rule="product" if parts else "identity", bound=bound, children=parts)


def added(name: str, parts: tuple[Breakdown, ...]) -> Breakdown:
    """Addition of branches: the sum of the constants, rounded up."""
    return Breakdown(name=name, kind="sum", rule="sum", bound=sum_up(part.bound for part in parts), children=parts)


def joined(name: str, parts: tuple[Breakdown, ...], *, norm: Norm) -> Breakdown:
    """Branches side by side: the root of the sum of squares (l2) or the maximum (linf) of the constants, rounded up."""
    bounds = [part.bound for part in parts]
    bound = root_sum_squares_up(bounds) if norm == "l2" else max(bounds)
    rule = f"{name}: root of sum of squares" if norm == "l2" else f"{name}: maximum"
    return Breakdown(name=name, kind="join", rule=rule, bound=bound, children=parts)


def apart(name: str, parts: tuple[Breakdown, ...]) -> Breakdown:
    """Branches side by side that start from pieces without a common entry: the largest constant, in both norms."""
    bound = max(part.bound for part in parts)
    return Breakdown(name=name, kind="join", rule=f"{name} of separate pieces: maximum", bound=bound, children=parts)


def least(rule: str, proofs: tuple[Breakdown, ...]) -> Breakdown:
    """Several proofs of the constant of one and the same map: the smallest."""
    return Breakdown(name="", kind="least", rule=rule, bound=min(proof.bound for proof in proofs), children=proofs)


def checked_norm(norm: str) -> Norm:
    """The norm, or a ValueError that names it."""
    if norm == "l2" or norm == "linf":
        return norm
    raise ValueError(f"norm must be 'l2' or 'linf', got {norm!r}")


def digits_up(value: float, *, digits: int = 9) -> str:
    """Decimal text of a bound, rounded up as the bound is, so that what is printed is proven too.

    >>> digits_up(1.00000000001)
    '1.00000001'
    """
    return format(Context(prec=digits, rounding=ROUND_CEILING).create_decimal(value), "g")
