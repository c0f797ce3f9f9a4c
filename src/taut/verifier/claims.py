"""What a certificate claims of a sample: its margin and its radius, between proven limits."""

from dataclasses import dataclass

import numpy as np

from taut.verifier.arithmetic import FLOAT64, UNIT, Arithmetic, Array, down, multiply_up, norm, row_norms, up
from taut.verifier.program import Node
from taut.verifier.recursion import State


@dataclass(frozen=True)
class Claim:
    """`class`, `top_k` with its k, or `sign` with its threshold; in the norm `l2` or `linf`."""

    kind: str
    k: int
    threshold: float
    norm: str


@dataclass
class Proof:
    """Per sample: the margin and its error, the least and the largest radius that are accepted, what is predicted."""

    margin: Array
    tolerance: Array
    lowest: Array
    highest: Array
    output: Array


def find_head(nodes: list[Node]) -> list[Node]:
    """The last `linear` node with a vector as input and the `scale` nodes after it; none where it ends otherwise."""
    end, scales = nodes[-1], []
    while end.op == "scale":
        scales.append(end)
        end = nodes[end.inputs[0]]
    return [end, *scales] if end.op == "linear" and len(end.source) == 1 else []


def prove(
    claim: Claim, head: list[Node], states: dict[int, State], last: int, labels: Array, arithmetic: Arithmetic
) -> Proof:
    """The limits of the radius of every sample of a batch, from the states at the head's input and at the output."""
    output = states[last].value.reshape(len(labels), -1)
    if claim.kind == "sign":
        margins = (output - claim.threshold) * np.where(labels == 1, 1.0, -1.0)[:, None]
    else:
        margins = np.take_along_axis(output, labels[:, None], axis=1) - output
    if head:
        errors, slopes = _at_head(claim, head, states, labels, arithmetic)
    else:
        state = states[last]
        factor = 1.0 if claim.kind == "sign" else np.sqrt(2.0) if claim.norm == "l2" else 2.0
        errors = np.broadcast_to(up(factor * (state.e + state.a))[:, None], margins.shape)
        slopes = np.full(margins.shape, up(factor * (state.p + state.b)))
    if claim.kind == "sign":
        g = FLOAT64.cost(1) + arithmetic.cost(1)
        errors = up(errors + g * abs(claim.threshold))
    with np.errstate(all="ignore"):
        highest = down(margins - 2 * UNIT * np.abs(margins) - errors) / slopes
        highest = np.where(highest > 0, highest * (1 - 2.0**-48), highest)
        highest = np.where(np.isfinite(errors) & np.isfinite(slopes) & ~np.isnan(highest), highest, -np.inf)
        lowest = (margins - 5 * errors) / slopes * (1 - 2.0**-24)
        lowest = np.where(np.isfinite(highest), lowest, -np.inf)
    if claim.kind != "sign":
        rows = np.arange(len(labels))
        for table in (margins, highest, lowest):
            table[rows, labels] = np.inf  # the label is no competitor of itself
        place = claim.k - 1
        margins, highest, lowest = (np.sort(t, axis=1)[:, place] for t in (margins, highest, lowest))
    else:
        margins, highest, lowest = margins[:, 0], highest[:, 0], lowest[:, 0]
    return Proof(margins, errors.max(axis=1) + 4 * UNIT * np.abs(output).max(axis=1), lowest, highest, output)


def _at_head(
    claim: Claim, head: list[Node], states: dict[int, State], labels: Array, arithmetic: Arithmetic
) -> tuple[Array, Array]:
    """err_j and slope_j of every class j against the label, pair by pair of the last weight's rows."""
    linear, *scales = head
    weight, state = linear.tensors["weight"], states[linear.inputs[0]]
    magnitude = states[linear.index].magnitude
    assert magnitude is not None
    factors = [abs(float(s["factor"])) for s in scales]
    c = largest = 1.0
    for factor in factors:
        c, largest = multiply_up(c, factor), multiply_up(largest, max(factor, 1.0))
    k = weight.shape[1] + 1 + len(scales)
    g0, g = FLOAT64.cost(k), arithmetic.cost(k, results=1 + len(scales))
    rows = float(row_norms(weight, claim.norm).max())
    twice = 1.0 if claim.kind == "sign" else 2.0
    if claim.kind == "sign":
        differences = np.full((len(labels), 1), rows)
    else:
        found = {y: row_norms(weight[y] - weight, claim.norm) for y in np.unique(labels).tolist()}
        differences = up(np.stack([found[y] for y in labels.tolist()]))
    v = up(norm(magnitude, "linf") * (1 + k * 4 * UNIT))
    moved = state.e + state.a
    common = twice * g0 * v + twice * g * (v + rows * moved)
    errors = c * (differences * moved[:, None] + common[:, None]) + 2 * (arithmetic.tiny + FLOAT64.tiny) * k * largest
    slopes = c * (differences * (state.p + state.b) + twice * g * rows * (state.p + state.b))
    return up(errors), up(slopes)
