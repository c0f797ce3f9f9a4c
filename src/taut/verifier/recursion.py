"""The running analysis of errors, at a sample and in the ball around it, and the constants along paths."""

import math
from dataclasses import dataclass

import numpy as np

from taut.verifier.arithmetic import FLOAT64, Arithmetic, Array, add_up, gamma, multiply_up, norm, root_up, up
from taut.verifier.blocks import expand
from taut.verifier.errors import need
from taut.verifier.program import LARGEST_SAMPLE, SEVERAL, Node
from taut.verifier.table import OPERATIONS

Path = list[tuple[int, float]]


def infer_shapes(nodes: list[Node], shape: tuple[int, ...]) -> None:
    """Give every node the shape of its sample, by running the program on a batch of no samples."""
    empty: list[Array] = []
    for node in nodes:
        sources = [empty[i] for i in node.inputs]
        node.source = sources[0].shape[1:] if sources else shape
        if node.op in ("residual", "exponential"):
            parts = expand(node).nodes
            infer_shapes(parts, node.source)
            node.shape = parts[-1].shape
        else:
            node.shape = OPERATIONS[node.op].run(node, *sources)[0].shape[1:] if sources else shape
        need(0 < math.prod(node.shape) <= LARGEST_SAMPLE, f"{node}: a sample would have the shape {node.shape}")
        empty.append(np.zeros((0, *node.shape)))


def follow_paths(nodes: list[Node], bounds: list[float | None]) -> list[Path]:
    """The path of every node, from the stated constants of the nodes of one input."""
    paths: list[Path] = [[]]
    for node in nodes[1:]:
        sources = [paths[i] for i in node.inputs]
        if node.op not in SEVERAL:
            constant = bounds[node.index]
            assert constant is not None
            paths.append([*sources[0], (node.index, constant)])
            continue
        common = 0
        while all(len(p) > common for p in sources) and len({p[common] for p in sources}) == 1:
            common += 1
        rest = [path_product(p[common:]) for p in sources]
        starts = [nodes[p[common][0]] if len(p) > common else nodes[0] for p in sources]
        paths.append([*sources[0][:common], (node.index, _combine(node, rest, starts))])
    return paths


def path_product(path: Path) -> float:
    """The product of the constants of a path, in its order, each multiplication rounded up."""
    product = 1.0
    for _, constant in path:
        product = multiply_up(product, constant)
    return product


def _combine(node: Node, rest: list[float], starts: list[Node]) -> float:
    """The constant of a node of several inputs from the products of what is left of their paths."""
    if node.op in ("add", "subtract"):
        return _sum_up(rest)
    if node.kept["norm"] == "linf" or (node.op == "concat" and len(rest) > 1 and _disjoint(starts)):
        return max(rest)
    return root_up(_sum_up([multiply_up(r, r) for r in rest]))


def _sum_up(values: list[float]) -> float:
    total = 0.0
    for value in values:
        total = add_up(total, value)
    return total


def _disjoint(starts: list[Node]) -> bool:
    """Whether the paths start with pieces of one node, along one axis, that have no index in common."""
    if any(s.op != "take" for s in starts) or len({(s.inputs[0], s["axis"]) for s in starts}) != 1:
        return False
    indices = [i for s in starts for i in s["index"]]
    return len(set(indices)) == len(indices)


@dataclass
class State:
    """What is known at a node: values X; per sample, |X - exact| <= e, and |computed at x' - exact at x'| <= A + B r
    where |x' - x| <= r; P is the product of the constants so far."""

    value: Array
    e: Array
    a: Array
    b: float
    p: float
    magnitude: Array | None = None


@dataclass
class Extent:
    """How large any intermediate result can be: `height` per sample, and `slope` for each unit of radius."""

    height: Array
    slope: float = 0.0

    def include(self, height: Array, slope: float) -> None:
        self.height = np.fmax(self.height, np.where(np.isnan(height), np.inf, height))
        self.slope = max(self.slope, slope)


def analyse(
    nodes: list[Node],
    bounds: list[float | None],
    products: list[float],
    batch: Array,
    arithmetic: Arithmetic,
    kind: str,
    keep: set[int],
) -> tuple[dict[int, State], Extent]:
    """The states of the nodes in `keep` for a batch of samples, and the extent of all intermediate results."""
    zero = np.zeros(len(batch))
    states, extent = {0: State(batch, zero, zero, 0.0, 1.0)}, Extent(zero)
    last = {i: node.index for node in nodes for i in node.inputs}
    for node in nodes[1:]:
        inputs = [states[i] for i in node.inputs]
        constant = bounds[node.index]
        if node.op in ("residual", "exponential"):
            assert constant is not None
            state = _block(node, constant, inputs[0], arithmetic, kind, extent)
        else:
            state = _operation(node, constant, inputs, arithmetic, kind, extent)
        state.p = products[node.index]
        states[node.index] = state
        for i in [i for i in states if last.get(i, -1) <= node.index and i not in keep and i != node.index]:
            del states[i]
    return states, extent


def _operation(
    node: Node, constant: float | None, inputs: list[State], arithmetic: Arithmetic, kind: str, extent: Extent
) -> State:
    """One step of the recursion; the sums are of non-negative numbers and rounded up at the end."""
    operation = OPERATIONS[node.op]
    value, magnitude = operation.run(node, *[state.value for state in inputs])
    e, a, b, p = _join(node, inputs, kind)
    factor = 1.0 if constant is None else constant
    if magnitude is None:
        return State(value, up(factor * e), up(factor * a), up(factor * b), p)
    k = operation.roundings(node)
    if "spread" not in node.kept:
        node.kept["spread"] = up(operation.spread(node, kind))
    spread = node.kept["spread"]
    g0, h = FLOAT64.cost(k), arithmetic.cost_of_sum(k)
    t = h * spread + arithmetic.result * factor
    size = up(norm(magnitude, kind) * (1 + 3 * gamma(k + 8)))
    lost = k * math.sqrt(math.prod(node.shape) if kind == "l2" else 1)  # roundings that may underflow
    height = size + spread * (e + a)
    squared = math.sqrt(arithmetic.largest) if node.op in ("l2_norm", "l2_pool") else 1.0
    extent.include(up(height * squared), float(up(spread * (p + b) * squared)))
    kept = arithmetic.result * (norm(value, kind) * (1 + 3 * gamma(value[0].size + 8)) + g0 * size)
    moved = factor * a + t * (a + e) + h * size + kept + arithmetic.tiny * lost
    return State(
        value,
        up(factor * e + g0 * size + FLOAT64.tiny * lost),
        up(moved),
        float(up(factor * b + t * (b + p))),
        p,
        magnitude,
    )


def _join(node: Node, inputs: list[State], kind: str) -> tuple[Array, Array, float, float]:
    """e, A, B and P of all inputs together: sums, or the norm of their norms."""
    if len(inputs) == 1:
        state = inputs[0]
        return state.e, state.a, state.b, state.p
    rows = [np.stack([s.e for s in inputs]), np.stack([s.a for s in inputs])]
    columns = [np.array([s.b for s in inputs]), np.array([s.p for s in inputs])]
    if node.op in ("add", "subtract"):
        join = np.sum
    elif kind == "linf":
        join = np.max
    else:
        join = lambda parts, axis: np.sqrt(np.square(parts).sum(axis=axis))  # noqa: E731
    e, a = (up(join(part, axis=0)) for part in rows)
    b, p = (float(up(join(part, axis=0))) for part in columns)
    return e, a, b, p


def _block(node: Node, constant: float, state: State, arithmetic: Arithmetic, kind: str, extent: Extent) -> State:
    """A block: the recursion inside, from the sample's values, for a step as long as the block's input moves."""
    parts = expand(node).nodes
    if "bounds" not in node.kept:
        bounds: list[float | None] = [None]
        for part in parts[1:]:  # N in the place of a proven constant: it is one
            spread = up(OPERATIONS[part.op].spread(part, kind)) if part.op in ("linear", "conv", "sum") else 1.0
            bounds.append(None if part.op in SEVERAL else spread)
        for part in parts:
            part.kept["norm"] = kind
        node.kept["bounds"] = bounds
        node.kept["products"] = [path_product(path) for path in follow_paths(parts, bounds)]
    inside, size = analyse(
        parts, node.kept["bounds"], node.kept["products"], state.value, arithmetic, kind, {len(parts) - 1}
    )
    end = inside[len(parts) - 1]
    step = float(up(state.p + state.b))
    extent.include(up(size.height + size.slope * (state.e + state.a)), float(up(size.slope * step)))
    a = (constant + end.b) * state.a + end.a + end.b * state.e
    b = (constant + end.b) * state.b + end.b * state.p
    return State(end.value, up(constant * state.e + end.e), up(a), float(up(b)), state.p)
