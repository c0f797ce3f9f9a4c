"""The two operations that have parts: residual blocks and exponentials, as little programs."""

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction

from taut.verifier.errors import need
from taut.verifier.program import Node


@dataclass(frozen=True)
class Parts:
    """A block's own program; its linear maps (of an exponential both are A); the torus of its images, if it is one."""

    nodes: list[Node]
    inner: Node
    outer: Node
    grid: list[tuple[int, int]] | None


def expand(node: Node) -> Parts:
    """The parts of a block whose `source` is known, made once."""
    if "parts" not in node.kept:
        node.kept["parts"] = _residual(node) if node.op == "residual" else _exponential(node)
    return node.kept["parts"]


def _residual(node: Node) -> Parts:
    """s(x) - (G relu(F x + b) + c), or G relu(F x + b) + c."""
    inner, outer = node.tensors["inner_weight"], node.tensors["outer_weight"]
    need(node["kind"] in ("linear", "conv"), f"{node}: the kind is {node['kind']!r:.60}")
    conv = node["kind"] == "conv"
    need(all((node[k] is not None) == conv for k in ("padding", "dilation", "padding_mode")), f"{node}: wrong settings")
    need(inner.ndim == outer.ndim >= 2 and outer.shape[1] == inner.shape[0], f"{node}: F and G do not fit")
    need(not conv or inner.shape[2:] == outer.shape[2:], f"{node}: F and G have unequal taps")
    settings = {}
    if conv:
        settings = {k: node[k] for k in ("padding", "dilation", "padding_mode")}
        settings |= {"stride": [1] * (inner.ndim - 2), "groups": 1}
    nodes = [_node(node, 0, "input", [])]
    for key, at in (("inner", 1), ("outer", 3)):
        tensors = {"weight": node.tensors[f"{key}_weight"], "bias": node.tensors.get(f"{key}_bias")}
        tensors = {k: t for k, t in tensors.items() if t is not None}
        nodes.append(_node(node, at, node["kind"], [at - 1], settings, tensors))
        nodes += [_node(node, 2, "relu", [1])] if at == 1 else []
    if node["shortcut"]:
        axis = 0 if conv else len(node.source) - 1
        before, after = inner.shape[1], outer.shape[0]
        if after < before:
            nodes.append(_node(node, 4, "take", [0], {"axis": axis, "index": list(range(after))}))
        else:
            widths = [[0, after - before if a == axis else 0] for a in range(len(node.source))]
            nodes.append(_node(node, 4, "pad", [0], {"widths": widths}))
        nodes.append(_node(node, 5, "subtract", [4, 3]))
    return Parts(nodes, nodes[1], nodes[3], _torus(node) if conv else None)


def _exponential(node: Node) -> Parts:
    """x + A x + A (A x) / 2 + ..., between zero channels that are appended and channels that are cut."""
    kernel, axes = node.tensors["kernel"], len(node.source) - 1
    need(kernel.ndim == axes + 2 > 2 and kernel.shape[0] == kernel.shape[1], f"{node}: the kernel is {kernel.shape}")
    need(node["terms"] <= 100, f"{node}: {node['terms']} terms")
    need(len(node["channels"]) == 2 and node["channels"][1] <= len(kernel), f"{node}: channels {node['channels']}")
    need(node["channels"][0] == node.source[0], f"{node}: {node.source[0]} channels, not {node['channels'][0]}")
    need(node.source[0] <= len(kernel), f"{node}: {node.source[0]} channels for a kernel of {len(kernel)}")
    settings = {"stride": [1] * axes, "dilation": [1] * axes, "groups": 1}
    settings |= {k: node[k] for k in ("padding", "padding_mode")}
    nodes = [_node(node, 0, "input", [])]
    widths = [[0, len(kernel) - node.source[0]], *[[0, 0]] * axes]
    nodes.append(_node(node, 1, "pad", [0], {"widths": widths}))
    power = result = 1
    for i in range(1, node["terms"]):
        nodes.append(_node(node, len(nodes), "conv", [power], settings, {"weight": kernel}))
        power = len(nodes)
        nodes.append(_node(node, power, "sum", [power - 1], {"axes": [], "divisor": i}))
        nodes.append(_node(node, power + 1, "add", [result, power]))
        result = power + 1
    index = {"axis": 0, "index": list(range(node["channels"][1]))}
    nodes.append(_node(node, len(nodes), "take", [len(nodes) - 1], index))
    if "bias" in node.tensors:
        bias = node.tensors["bias"]
        need(bias.shape == (node["channels"][1],), f"{node}: the bias has shape {bias.shape}")
        nodes.append(_node(node, len(nodes), "shift", [len(nodes) - 1], {}, {"offset": bias.reshape(-1, *[1] * axes)}))
    inner = _node(node, 2, "conv", [1], settings, {"weight": kernel})
    inner.source = inner.shape = (len(kernel), *node.source[1:])
    return Parts(nodes, inner, inner, _torus(node))


def _node(
    node: Node, index: int, op: str, inputs: list[int], settings: dict | None = None, tensors: dict | None = None
) -> Node:
    return Node(index, op, f"{node.name} part {index}", inputs, settings or {}, tensors or {})


def _torus(node: Node) -> list[tuple[int, int]] | None:
    sizes = node.source[1:]
    dilation = node.settings.get("dilation") or [1] * len(sizes)
    return list(zip(sizes, dilation, strict=True)) if node["padding_mode"] == "circular" else None


def truncated_exponential_at_most(terms: int, norm: float, stated: float) -> bool:
    """Whether |sum over k < terms of (i t)^k / k!| <= stated for all |t| <= norm, proven in rational numbers.

    The square is a polynomial in z = t^2. On an interval it is at most its largest Bernstein coefficient there;
    intervals are halved until that is small enough.
    """
    square = [Fraction(0)] * terms
    for i in range(terms):
        for j in range(i % 2, terms, 2):  # i + j even; the sign is that of i^i (-i)^j
            sign = (-1) ** (abs(i - j) // 2)
            square[(i + j) // 2] += Fraction(sign, math.factorial(i) * math.factorial(j))
    top, degree = Fraction(math.nextafter(norm, math.inf)) ** 2, terms - 1
    top = Fraction(-((-top * 2**60) // 1), 2**60)
    scaled = [c * top**k for k, c in enumerate(square)]
    pieces = [
        [
            sum((scaled[k] * Fraction(math.comb(j, k), math.comb(degree, k)) for k in range(j + 1)), Fraction(0))
            for j in range(degree + 1)
        ]
    ]
    limit = Fraction(stated) ** 2
    for _ in range(2000):
        if not pieces:
            return True
        values = pieces.pop()
        if max(values) > limit:
            if max(values[0], values[-1]) > limit:  # values at the ends are attained
                return False
            left, right = [values[0]], [values[-1]]
            while len(values) > 1:  # de Casteljau
                values = [(a + b) / 2 for a, b in itertools.pairwise(values)]
                left.append(values[0])
                right.append(values[-1])
            pieces += [left, right[::-1]]
    return False
