"""Every operation: its float64 result on a batch with its magnitude, its number of roundings k and its spread N."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from taut.verifier import windows
from taut.verifier.arithmetic import Array, ceiling, frobenius, gamma, root_up, row_norms
from taut.verifier.errors import need
from taut.verifier.program import Node

Result = tuple[Array, Array | None]


class Operation(NamedTuple):
    """How an operation is written, evaluated (result and magnitude, None where exact) and bounded."""

    settings: dict[str, str]
    tensors: str
    run: Callable[..., Result]
    roundings: Callable[[Node], int] = lambda node: 0
    spread: Callable[[Node, str], float] = lambda node, norm: 0.0


def per_channel(vector: Array, x: Array) -> Array:
    """`vector` along the channel axis of a batch."""
    need(vector.ndim == 1 and vector.shape[0] in (1, x.shape[1]), "a vector per channel has another length")
    return vector.reshape(-1, *[1] * (x.ndim - 2))


def check_weight(node: Node, axes: int) -> None:
    """Refuse a weight whose shape does not fit the sample."""
    weight, source = node.tensors["weight"], node.source
    need(weight.ndim == axes + 2 and weight.size > 0, f"{node}: the weight has shape {weight.shape}")
    if node.op == "linear":
        out, groups, fits = weight.shape[0], 1, len(source) > 0 and source[-1] == weight.shape[1]
    else:
        groups = node["groups"]
        lengths = {len(node[k]) for k in ("stride", "padding", "dilation", "output_padding") if k in node.settings}
        need(lengths == {axes} and len(source) == axes + 1, f"{node}: settings and image have unequal numbers of axes")
        direct = node.op == "conv"
        out, split = (weight.shape[0], weight.shape[0]) if direct else (weight.shape[1] * groups, weight.shape[0])
        fits = split % groups == 0 and source[0] == (weight.shape[1] * groups if direct else weight.shape[0])
    need(fits, f"{node}: the weight of shape {weight.shape} does not fit samples of shape {source}")
    bias = node.tensors.get("bias")
    need(bias is None or bias.shape == (out,), f"{node}: the bias does not have {out} entries")


def apply_weight(node: Node, x: Array, weight: Array, bias: Array | None) -> Array:
    """The linear map of `linear`, `conv` or `conv_transpose` with other numbers in its place, plus the bias."""
    if node.op == "linear":
        result = x @ weight.T
        return result if bias is None else result + bias
    result = (windows.convolution if node.op == "conv" else windows.transposed)(node, x, weight)
    return result if bias is None else result + per_channel(bias, result)


def weighted(node: Node, x: Array) -> Result:
    weight, bias = node.tensors["weight"], node.tensors.get("bias")
    check_weight(node, weight.ndim - 2)
    size = None if bias is None else np.abs(bias)
    return apply_weight(node, x, weight, bias), apply_weight(node, np.abs(x), np.abs(weight), size)


def weighted_roundings(node: Node) -> int:
    weight = node.tensors["weight"]
    split = node["groups"] if node.op == "conv_transpose" else 1
    return weight[0].size + 1 if node.op != "conv_transpose" else weight[:, 0].size // split + 1


def weighted_spread(node: Node, norm: str) -> float:
    weight = node.tensors["weight"]
    if norm == "l2":
        taps = weight[0, 0].size * (windows.repeats(node) if node.op == "conv" else 1)
        return root_up(float(taps)) * frobenius(weight) * (1 + 2.0**-50)
    if node.op == "conv_transpose":  # (in, out / groups, *taps): one row per group and output
        weight = np.concatenate(np.split(weight, node["groups"]), axis=1).swapaxes(0, 1)
    return float(row_norms(weight.reshape(weight.shape[0], -1), norm).max())


def batch_norm(node: Node, x: Array) -> Result:
    mean, variance, weight, bias = (node.tensors.get(k) for k in ("mean", "variance", "weight", "bias"))
    assert mean is not None
    assert variance is not None
    need(all(t is None or t.shape == (x.shape[1],) for t in node.tensors.values()), f"{node}: not one entry a channel")
    good = (variance >= 0).all() and node["eps"] >= 0 and (variance + node["eps"] > 0).all()
    need(good, f"{node}: variance and eps must not be negative, and not both 0")
    scale, shift = np.ones_like(mean) if weight is None else weight, np.zeros_like(mean) if bias is None else bias
    factor = scale / np.sqrt(variance + node["eps"])
    need(((np.abs(factor) > 2.0**-900) | (scale == 0)).all(), f"{node}: a scale is too small for float64")
    node.kept["scale"] = float(np.abs(factor).max()) * (1 + 2.0**-49)
    result = (x - per_channel(mean, x)) * per_channel(factor, x) + per_channel(shift, x)
    size = (np.abs(x) + per_channel(np.abs(mean), x)) * per_channel(np.abs(factor), x)
    return result, size + per_channel(np.abs(shift), x)


def broadcast(node: Node, key: str, x: Array) -> Array:
    tensor = node.tensors[key]
    need(np.broadcast_shapes(tensor.shape, x.shape[1:]) == x.shape[1:], f"{node}: {key!r} does not broadcast")
    return tensor


def multiply(node: Node, x: Array) -> Result:
    result = x * broadcast(node, "factor", x)
    return result, np.abs(result)


def leaky(node: Node, x: Array, slope: Any) -> Result:
    return np.where(x > 0, x, slope * x), np.maximum(1.0, np.abs(slope)) * np.abs(x)


def shortcut(node: Node, x: Array, y: Array) -> tuple[Array, Array]:
    need(x.shape == y.shape, f"{node}: its inputs have the shapes {x.shape[1:]} and {y.shape[1:]}")
    return x, y


def add(node: Node, x: Array, y: Array) -> Result:
    x, y = shortcut(node, x, y)
    return (x + y if node.op == "add" else x - y), np.abs(x) + np.abs(y)


def select(node: Node, x: Array, y: Array) -> Result:
    return (np.maximum if node.op == "maximum" else np.minimum)(*shortcut(node, x, y)), None


def axis_of(node: Node, x: Array) -> int:
    need(node["axis"] < x.ndim - 1, f"{node}: a sample has no axis {node['axis']}")
    return node["axis"] + 1


def take(node: Node, x: Array) -> Result:
    axis = axis_of(node, x)
    need(max(node["index"], default=-1) < x.shape[axis], f"{node}: an index is beyond the axis")
    return np.take(x, np.array(node["index"], dtype=np.int64), axis=axis), None


def permute(node: Node, x: Array) -> Result:
    return np.transpose(x, (0, *(a + 1 for a in node["axes"]))), None


def reshape(node: Node, x: Array) -> Result:
    need(math.prod(node["shape"]) == math.prod(x.shape[1:]), f"{node}: {x.shape[1:]} is not of shape {node['shape']}")
    return x.reshape(len(x), *node["shape"]), None


def pad(node: Node, x: Array) -> Result:
    need(len(node["widths"]) == x.ndim - 1, f"{node}: a sample has {x.ndim - 1} axes")
    return windows.pad_images(x, node["widths"], "zeros"), None


def clamp_roundings(node: Node) -> int:
    """None where every arithmetic holds the bounds."""
    ends = [end for end in (float(node["low"]), float(node["high"])) if math.isfinite(end)]
    return int(any(end != int(end) or abs(end) > 256 for end in ends))


def clamp(node: Node, x: Array) -> Result:
    low, high = float(node["low"]), float(node["high"])
    return np.minimum(np.maximum(x, low), high), np.full_like(x, max(abs(b) for b in (low, high, 0) if abs(b) < np.inf))


def groups_of(node: Node, x: Array, size: int) -> Array:
    axis = axis_of(node, x)
    need(size > 0 and x.shape[axis] % size == 0, f"{node}: {x.shape[axis]} entries are no groups of {size}")
    return x.reshape(*x.shape[:axis], x.shape[axis] // size, size, *x.shape[axis + 1 :])


def sort(node: Node, x: Array) -> Result:
    axis = axis_of(node, x)
    size = x.shape[axis] if node.op == "full_sort" else node["size"]
    return np.sort(groups_of(node, x, size), axis=axis + 1).reshape(x.shape), None


def max_out(node: Node, x: Array) -> Result:
    return groups_of(node, x, node["size"]).max(axis=axis_of(node, x) + 1), None


def max_min(node: Node, x: Array) -> Result:
    axis = axis_of(node, x)
    need(x.shape[axis] % 2 == 0, f"{node}: {x.shape[axis]} channels are no pairs")
    first, second = np.split(x, 2, axis=axis)
    return np.concatenate([np.maximum(first, second), np.minimum(first, second)], axis=axis), None


def n_activation(node: Node, x: Array) -> Result:
    low, high = (per_channel(node.tensors[k], x) for k in ("low", "high"))
    size = 2 * np.maximum(np.abs(low), np.abs(high))
    return x - 2 * np.minimum(np.maximum(x, low), high), np.abs(x) + size


def fold(node: Node, x: Array) -> Result:
    normal = node.tensors["normal"]
    need(x.ndim > 1 and normal.shape == (2, x.shape[1] / 2), f"{node}: the normals do not fit {x.shape[1:]}")
    pairs = x.reshape(len(x), 2, *[x.shape[1] // 2, *x.shape[2:]])
    v = normal.reshape(2, -1, *[1] * (x.ndim - 2))
    result = pairs - 2 * np.maximum(0, (v * pairs).sum(axis=1, keepdims=True)) * v
    size = np.abs(pairs) + 2 * (np.abs(v) * np.abs(pairs)).sum(axis=1, keepdims=True) * np.abs(v)
    return result.reshape(x.shape), size.reshape(x.shape)


def spline(node: Node, x: Array) -> Result:
    start, rises, inverse = (node.tensors[k] for k in ("start", "rises", "inverse_step"))
    need(
        rises.ndim == 2 and rises.size and start.shape == inverse.shape == rises[:, 0].shape, f"{node}: unequal shapes"
    )
    need(x.ndim > 1 and x.shape[1] == len(start), f"{node}: {len(start)} splines for samples of shape {x.shape[1:]}")
    pieces = rises.shape[1]
    scaled = x * per_channel(inverse, x)
    position = scaled + pieces / 2
    piece = np.nan_to_num(np.clip(np.floor(position), 0, pieces - 1)).astype(np.int64)
    channel = np.arange(len(start)).reshape(-1, *[1] * (x.ndim - 2))
    before = np.cumsum(np.concatenate([start[:, None], rises], axis=1), axis=1)
    total = (np.abs(start) + np.abs(rises).sum(axis=1)) * (1 + 2 * gamma(pieces + 2))
    size = per_channel(total, x) + per_channel(np.abs(rises).max(axis=1), x) * (np.abs(scaled) + pieces / 2)
    return before[channel, piece] + rises[channel, piece] * (position - piece), size


def smooth(node: Node, x: Array) -> Result:
    kind, alpha = node["kind"], 1.0 if node["alpha"] is None else float(node["alpha"])
    need(kind in ("tanh", "sigmoid", "elu", "silu", "gelu"), f"{node}: the kind is {kind!r:.60}")
    size = np.abs(x) + (abs(alpha) if kind == "elu" else 1.0)
    if kind == "tanh":
        return np.tanh(x), size
    if kind == "elu":
        return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))), size
    if kind == "gelu":
        erf = np.array([math.erf(v) for v in (x / math.sqrt(2)).ravel().tolist()]).reshape(x.shape)
        return x * (0.5 * (1 + erf)), size
    gate = 0.5 * (1 + np.tanh(0.5 * x))
    return (gate if kind == "sigmoid" else x * gate), size


def axes_of(node: Node, x: Array) -> tuple[int, ...]:
    axes = tuple(a + 1 for a in node["axes"])
    need(len(set(axes)) == len(axes) and max(axes, default=0) < x.ndim, f"{node}: the axes are {node['axes']}")
    return axes


def l2_norm(node: Node, x: Array) -> Result:
    result = np.sqrt(np.square(x).sum(axis=axes_of(node, x)))
    return result, result


def total(node: Node, x: Array) -> Result:
    axes = axes_of(node, x)
    return x.sum(axis=axes) / node["divisor"], np.abs(x).sum(axis=axes) / node["divisor"]


def distance(node: Node, x: Array) -> Result:
    weight, bias, q = node.tensors["weight"], node.tensors.get("bias"), node["q"]
    need(0 <= q < 1, f"{node}: q is {q}")
    need(
        weight.ndim == 2 and weight.size and x.shape[1:][-1:] == weight.shape[1:],
        f"{node}: {weight.shape} does not fit",
    )
    need(bias is None or bias.shape == (len(weight),), f"{node}: the bias does not have {len(weight)} entries")
    farthest = np.stack([np.abs(x - row).max(axis=-1) for row in weight], axis=-1)
    result = farthest
    if q:
        shares = (1 - q) * q ** np.arange(weight.shape[1])[::-1]
        result = np.stack([np.sort(np.abs(x - row), axis=-1) @ shares for row in weight], axis=-1)
    return (result, farthest) if bias is None else (result + bias, farthest + np.abs(bias))


def distance_roundings(node: Node) -> int:
    return 4 * node.tensors["weight"].shape[1] + 64 + math.ceil(16 / (1 - node["q"])) if node["q"] else 2


def largest(value: Any) -> float:
    """The largest absolute value."""
    return float(np.abs(value).max())


def split_sizes(node: Node) -> tuple[int, int]:
    """How many entries a reduction over `axes` reads; taps of a window."""
    count = math.prod(node.source[a] for a in node.settings.get("axes") or [])
    return count, math.prod(node.settings.get("kernel") or [])


def fold_spread(node: Node, norm: str) -> float:
    return (1 + 2 * largest(np.square(np.abs(node.tensors["normal"]).sum(axis=0)))) * (1 + 2.0**-48)


def spline_spread(node: Node, norm: str) -> float:
    return largest(np.abs(node.tensors["rises"]).max(axis=1) * node.tensors["inverse_step"]) * (1 + 2.0**-50)


def pool_spread(node: Node, norm: str) -> float:
    """The Lipschitz constant of `sum_pool`, `l2_pool`, `sum` and `l2_norm`, rounded up."""
    count, taps = split_sizes(node)
    if node.op == "l2_norm":
        return root_up(float(count)) if norm == "linf" else 1.0
    if node.op == "l2_pool":
        return root_up(float(windows.overlap(node) if norm == "l2" else taps))
    top = count if node.op == "sum" else taps * (windows.overlap(node) if norm == "l2" else taps)
    top = top * top if node.op == "sum" and norm == "linf" else top
    return ceiling(Fraction(root_up(float(top))) / Fraction(node["divisor"]))


def distance_spread(node: Node, norm: str) -> float:
    return 1.0 if norm == "linf" else root_up(float(math.prod(node.shape)))


CONV = {"stride": "sizes", "dilation": "sizes", "groups": "positive"}
PADDED = {"padding": "pairs", "padding_mode": "text"}
POOL = {"kernel": "sizes", "stride": "sizes"}
AXIS = {"axis": "integer"}
