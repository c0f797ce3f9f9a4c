"""The table of an audit, aligned, with every number rounded the way that keeps it true."""

from collections.abc import Sequence
from decimal import ROUND_FLOOR, Context
from typing import TYPE_CHECKING

from taut.certify.breakdown import digits_up

if TYPE_CHECKING:
    from taut.certify.network.audit import Audit

_DIGITS = 9
_COLUMNS = "<<>>><>"


def table(audit: "Audit") -> str:
    """Head, one line a layer, the network, and what the lower ends are worth."""
    head = ("layer", "kind", f"at least ({audit.norm})", f"at most ({audit.norm})", "sigma min", "proof", "seconds")
    body = [
        (
            row.name,
            row.kind,
            digits_down(row.lower),
            digits_up(row.bound),
            "" if row.sigma_min is None else f"{row.sigma_min:.6g}",
            row.method,
            f"{row.seconds:.2f}",
        )
        for row in audit.rows
    ]
    network = (
        "(network)",
        "",
        digits_down(audit.lower),
        digits_up(audit.bound),
        "",
        "product rule" if audit.method == "product" else f"product rule or {audit.method}",
        f"{audit.seconds:.2f}",
    )
    widths = [max(len(line[column]) for line in (head, *body, network)) for column in range(len(head))]
    rule = _aligned(["-" * width for width in widths], widths)
    lines = [_aligned(head, widths), rule, *(_aligned(line, widths) for line in body), rule, _aligned(network, widths)]
    return "\n".join([*lines, "", _remark(audit)])


def digits_down(value: float | None) -> str:
    """Decimal text, rounded down as a lower bound is; nothing for None.

    >>> digits_down(1.999999999999)
    '1.99999999'
    """
    if value is None:
        return ""
    return format(Context(prec=_DIGITS, rounding=ROUND_FLOOR).create_decimal(value), "g")


def _remark(audit: "Audit") -> str:
    lines = ["At most: proven. At least: attained. Sigma min: computed, not proven."]
    found = audit.estimate
    if found is None:
        return f"{lines[0]} {audit.searched[:1].upper()}{audit.searched[1:]}."
    lines.append(
        f"The network attains its lower end at a pair of points ({found.search} search {audit.searched}, "
        f"{found.evaluations} evaluations, {found.seconds:.1f} s)."
    )
    if found.value > 0.0:
        lines.append(f"Its bound is {audit.bound / found.value:.4g} times that.")
    return "\n".join(lines)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (f"{cell:{side}{width}}" for cell, side, width in zip(cells, _COLUMNS, widths, strict=True))
    return "  ".join(padded).rstrip()
