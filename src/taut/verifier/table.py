"""The table of operations, and the Lipschitz constants that are known exactly."""

import math
from fractions import Fraction

import numpy as np

from taut.verifier import fourier, windows
from taut.verifier import operations as o
from taut.verifier.arithmetic import Array, ceiling, root_up
from taut.verifier.errors import need
from taut.verifier.operations import AXIS, CONV, PADDED, POOL, Operation
from taut.verifier.program import Node


def _slope(node: Node, norm: str) -> float:
    return max(1.0, abs(node["slope"]) if node.op == "leaky_relu" else o.largest(node.tensors["weight"]))


def _exact(function):
    """An operation without roundings."""
    return lambda node, x: (function(x), None)


OPERATIONS = {
    "input": Operation({"shape": "counts"}, "", lambda node, x: (x, None)),
    "linear": Operation({}, "weight [bias]", o.weighted, o.weighted_roundings, o.weighted_spread),
    "conv": Operation({**CONV, **PADDED}, "weight [bias]", o.weighted, o.weighted_roundings, o.weighted_spread),
    "conv_transpose": Operation(
        {**CONV, "padding": "counts", "output_padding": "counts"},
        "weight [bias]",
        o.weighted,
        o.weighted_roundings,
        o.weighted_spread,
    ),
    "fourier": Operation(
        {"kind": "text", "channels": "sizes", "size": "sizes"},
        "weight [bias]",
        fourier.fourier,
        fourier.roundings,
        fourier.spread,
    ),
    "batch_norm": Operation(
        {"eps": "number"},
        "mean variance [weight] [bias]",
        o.batch_norm,
        lambda n: 16,
        lambda n, norm: n.kept["scale"],
    ),
    "scale": Operation(
        {"factor": "number"},
        "",
        lambda n, x: (n["factor"] * x, np.abs(n["factor"] * x)),
        lambda n: 1,
        lambda n, norm: abs(float(n["factor"])),
    ),
    "multiply": Operation({}, "factor", o.multiply, lambda n: 1, lambda n, norm: o.largest(n.tensors["factor"])),
    "shift": Operation(
        {},
        "offset",
        lambda n, x: (x + o.broadcast(n, "offset", x), np.abs(x) + np.abs(n.tensors["offset"])),
        lambda n: 1,
        lambda n, norm: 1.0,
    ),
    "add": Operation({}, "", o.add, lambda n: 1, lambda n, norm: 1.0),
    "subtract": Operation({}, "", o.add, lambda n: 1, lambda n, norm: 1.0),
    "maximum": Operation({}, "", o.select),
    "minimum": Operation({}, "", o.select),
    "concat": Operation(AXIS, "", lambda n, *xs: (np.concatenate(xs, axis=o.axis_of(n, xs[0])), None)),
    "take": Operation({**AXIS, "index": "counts"}, "", o.take),
    "reshape": Operation({"shape": "counts"}, "", o.reshape),
    "permute": Operation({"axes": "counts"}, "", o.permute),
    "pad": Operation({"widths": "pairs"}, "", o.pad),
    "relu": Operation({}, "", _exact(lambda x: np.maximum(x, 0))),
    "abs": Operation({}, "", _exact(np.abs)),
    "negate": Operation({}, "", _exact(np.negative)),
    "clamp": Operation({"low": "limit", "high": "limit"}, "", o.clamp, o.clamp_roundings),
    "leaky_relu": Operation(
        {"slope": "number"}, "", lambda n, x: o.leaky(n, x, float(n["slope"])), lambda n: 1, _slope
    ),
    "max_min": Operation(AXIS, "", o.max_min),
    "group_sort": Operation({**AXIS, "size": "positive"}, "", o.sort),
    "full_sort": Operation(AXIS, "", o.sort),
    "max_out": Operation({**AXIS, "size": "positive"}, "", o.max_out),
    "prelu": Operation(
        {}, "weight", lambda n, x: o.leaky(n, x, o.per_channel(n.tensors["weight"], x)), lambda n: 1, _slope
    ),
    "n_activation": Operation({}, "low high", o.n_activation, lambda n: 1, lambda n, norm: 1.0),
    "fold": Operation({}, "normal", o.fold, lambda n: 8, o.fold_spread),
    "spline": Operation(
        {}, "start rises inverse_step", o.spline, lambda n: n.tensors["rises"].shape[1] + 16, o.spline_spread
    ),
    "smooth": Operation({"kind": "text", "[alpha]": "number"}, "", o.smooth, lambda n: 1024, lambda n, norm: 1.0),
    "max_pool": Operation(
        {**POOL, "padding": "counts", "dilation": "sizes", "ceil_mode": "boolean"}, "", windows.max_pool
    ),
    "sum_pool": Operation(
        {**POOL, "padding": "counts", "divisor": "divisor"},
        "",
        windows.sum_pool,
        lambda n: o.split_sizes(n)[1] + 1,
        o.pool_spread,
    ),
    "l2_pool": Operation(POOL, "", windows.l2_pool, lambda n: o.split_sizes(n)[1] + 4, o.pool_spread),
    "sum": Operation(
        {"axes": "counts", "divisor": "divisor"}, "", o.total, lambda n: o.split_sizes(n)[0] + 1, o.pool_spread
    ),
    "residual": Operation(
        {"kind": "text", "shortcut": "boolean", "[padding]": "pairs", "[dilation]": "sizes", "[padding_mode]": "text"},
        "inner_weight outer_weight [inner_bias] [outer_bias]",
        lambda node, x: (x, None),
    ),
    "exponential": Operation(
        {**PADDED, "terms": "positive", "channels": "counts"}, "kernel [bias]", lambda node, x: (x, None)
    ),
    "l2_norm": Operation({"axes": "counts"}, "", o.l2_norm, lambda n: o.split_sizes(n)[0] + 4, o.pool_spread),
    "max": Operation({"axes": "counts"}, "", lambda n, x: (x.max(axis=o.axes_of(n, x)), None)),
    "distance": Operation({"q": "number"}, "weight [bias]", o.distance, o.distance_roundings, o.distance_spread),
}
FORMATS = {op: (operation.settings, operation.tensors) for op, operation in OPERATIONS.items()}
SMOOTH = {"tanh": 1.0, "sigmoid": 0.25, "silu": 1.1, "gelu": 1.13}


def exact_constant(node: Node, norm: str) -> float | None:
    """The Lipschitz constant in `norm`, rounded up; None for operations whose constant needs a proof."""
    if node.op in ("linear", "conv", "conv_transpose", "residual", "exponential"):
        return None
    need(node.op != "fourier" or norm == "l2", f"{node}: its constant is known in l2 only")
    if node.op in (
        "scale",
        "multiply",
        "leaky_relu",
        "prelu",
        "batch_norm",
        "sum_pool",
        "l2_pool",
        "sum",
        "l2_norm",
        "distance",
    ):
        return OPERATIONS[node.op].spread(node, norm)
    if node.op == "take":
        most = int(np.bincount(np.array(node["index"], dtype=np.int64)).max(initial=0))
        return root_up(float(most)) if norm == "l2" and most else float(min(most, 1))
    if node.op == "max_pool":
        return root_up(float(windows.overlap(node))) if norm == "l2" else 1.0
    if node.op == "smooth":
        return (
            max(1.0, abs(1.0 if node["alpha"] is None else node["alpha"]))
            if node["kind"] == "elu"
            else SMOOTH[node["kind"]]
        )
    if node.op == "fold":
        return max(1.0, _fold_constant(node.tensors["normal"], norm))
    if node.op == "spline":
        return _largest_product(node.tensors["rises"], node.tensors["inverse_step"][:, None])
    return 1.0


def _largest_product(a: Array, b: Array) -> float:
    """The largest |a b|, entry by entry, rounded up once."""
    products = np.abs(a * b)
    a, b = np.broadcast_arrays(np.abs(a), np.abs(b))
    near = products >= products.max() * (1 - 2.0**-50)
    pairs = set(zip(a[near].tolist(), b[near].tolist(), strict=True))
    return ceiling(max(Fraction(x) * Fraction(y) for x, y in pairs))


def _fold_constant(v: Array, norm: str) -> float:
    """The norm of I - 2 v v^T, the largest over the columns v; l2: |1 - 2 |v|^2|, exactly and then rounded up."""
    worst = Fraction(0)
    for a, b in ((Fraction(float(a)), Fraction(float(b))) for a, b in v.T):
        rows = [abs(1 - 2 * a * a) + 2 * abs(a * b), abs(1 - 2 * b * b) + 2 * abs(a * b)]
        worst = max(worst, abs(1 - 2 * (a * a + b * b)) if norm == "l2" else max(rows))
    return ceiling(worst) if math.isfinite(float(worst)) else math.inf
