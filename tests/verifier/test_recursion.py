"""Paths by hand; errors against exact and against float32 evaluation."""

import math
from fractions import Fraction

import numpy as np
import pytest

from taut.verifier.arithmetic import FLOAT64, Arithmetic
from taut.verifier.program import Node
from taut.verifier.recursion import analyse, follow_paths, infer_shapes, path_product

SINGLE = Arithmetic("float32", 0.0, 2.0**-24, 2.0**-24, 2.0**-62, 2.0**100)


def program(*entries, norm="l2"):
    nodes = [Node(0, "input", "", [], {}, {})]
    for index, (op, inputs, *rest) in enumerate(entries, start=1):
        settings, tensors = (*rest, {}, {})[:2]
        nodes.append(Node(index, op, "", inputs, settings, tensors))
    for node in nodes:
        node.kept["norm"] = norm
    return nodes


def constant(nodes, bounds):
    return path_product(follow_paths(nodes, [None, *bounds])[-1])


def test_a_chain_is_a_product_rounded_up():
    nodes = program(("relu", [0]), ("relu", [1]), ("relu", [2]))
    exact = Fraction(1.1) * Fraction(1.3) * Fraction(1.7)
    found = constant(nodes, [1.1, 1.3, 1.7])
    assert exact <= Fraction(found) <= exact * (1 + Fraction(2, 2**52))


def test_branches_leave_what_they_share_outside():
    """3 (4 + 5), once by way of the shared node and not 3 * 4 + 3 * 5 in another order of rounding."""
    nodes = program(("relu", [0]), ("relu", [1]), ("relu", [1]), ("add", [2, 3]))
    assert follow_paths(nodes, [None, 3.0, 4.0, 5.0, None])[-1] == [(1, 3.0), (4, 9.0)]
    assert constant(nodes, [3.0, 4.0, 5.0, None]) == 27.0


def test_a_shortcut_and_the_input_twice():
    nodes = program(("relu", [0]), ("subtract", [0, 1]), ("add", [2, 2]))
    assert constant(nodes, [0.5, None, None]) == 3.0


@pytest.mark.parametrize(("norm", "expected"), [("l2", 5.0), ("linf", 4.0)])
@pytest.mark.parametrize("op", ["maximum", "minimum", "concat"])
def test_joins(norm, expected, op):
    settings = {"axis": 0} if op == "concat" else {}
    nodes = program(("relu", [0]), ("relu", [0]), (op, [1, 2], settings), norm=norm)
    assert constant(nodes, [3.0, 4.0, None]) == expected


@pytest.mark.parametrize(
    ("first", "second", "axis", "expected"),
    [([0, 1], [2], 0, 4.0), ([0, 1], [1], 0, 5.0), ([0, 0], [2], 0, 5.0), ([0, 1], [2], 1, 5.0)],
)
def test_disjoint_pieces_count_once(first, second, axis, expected):
    nodes = program(
        ("take", [0], {"axis": 0, "index": first}),
        ("relu", [1]),
        ("take", [0], {"axis": axis, "index": second}),
        ("relu", [3]),
        ("concat", [2, 4], {"axis": 0}),
    )
    assert constant(nodes, [1.0, 3.0, 1.0, 4.0, None]) == expected


def test_pieces_of_different_nodes_are_not_disjoint():
    nodes = program(
        ("relu", [0]),
        ("take", [0], {"axis": 0, "index": [0]}),
        ("take", [1], {"axis": 0, "index": [1]}),
        ("concat", [2, 3], {"axis": 0}),
    )
    assert constant(nodes, [3.0, 1.0, 4.0, None]) == pytest.approx(math.sqrt(1 + 144), rel=1e-15, abs=0)


def network(rng, norm):
    """Two dense layers, a sorting, a branch with a tanh, added and joined; with proven constants."""
    weights = [rng.standard_normal(s).astype(np.float32).astype(np.float64) for s in ((6, 4), (6, 6), (3, 12))]
    biases = [rng.standard_normal(len(w)).astype(np.float32).astype(np.float64) for w in weights]
    linear = [{"weight": w, "bias": b} for w, b in zip(weights, biases, strict=True)]
    nodes = program(
        ("linear", [0], {}, linear[0]),
        ("max_min", [1], {"axis": 0}),
        ("linear", [2], {}, linear[1]),
        ("leaky_relu", [3], {"slope": 0.25}),
        ("add", [2, 4]),
        ("concat", [1, 5], {"axis": 0}),
        ("linear", [6], {}, linear[2]),
        norm=norm,
    )
    infer_shapes(nodes, (4,))
    of = (lambda w: np.linalg.norm(w, 2)) if norm == "l2" else (lambda w: np.abs(w).sum(axis=1).max())
    norms = [float(of(w)) * (1 + 1e-12) for w in weights]
    bounds = [None, norms[0], 1.0, norms[1], 1.0, None, None, norms[2]]
    return nodes, bounds, [path_product(p) for p in follow_paths(nodes, bounds)], weights, biases


def run(x, weights, biases, kind):
    """The same network, in the numbers of `kind`: float32, or exact ones as objects."""
    w, b = (
        [np.asarray(a).astype(kind) if kind is not object else exact(a) for a in part] for part in (weights, biases)
    )
    first = w[0] @ x + b[0]
    sorted_ = np.concatenate([np.maximum(first[:3], first[3:]), np.minimum(first[:3], first[3:])])
    second = w[1] @ sorted_ + b[1]
    quarter = Fraction(1, 4) if kind is object else np.float32(0.25)
    leaky = np.where(second > 0, second, quarter * second)
    return w[2] @ np.concatenate([first, sorted_ + leaky]) + b[2]


def exact(values):
    return np.vectorize(Fraction, otypes=[object])(values)


def size(difference, norm):
    values = [abs(float(v)) for v in difference]
    return max(values) if norm == "linf" else math.sqrt(sum(v * v for v in values))


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_errors_at_the_sample_and_in_the_ball(norm):
    """|X - exact| <= e, and |float32 at x' - exact at x'| <= A + B r for x' within r; both within a factor of 300."""
    rng = np.random.default_rng(0)
    nodes, bounds, products, weights, biases = network(rng, norm)
    batch = (10 * rng.standard_normal((20, 4))).astype(np.float32).astype(np.float64)
    states, extent = analyse(nodes, bounds, products, batch, SINGLE, norm, {7})
    end, worst, worst32 = states[7], 0.0, 0.0
    assert (extent.height < 1e4).all()
    for i, x in enumerate(batch):
        truth = run(exact(x), weights, biases, object)
        error = size(exact(end.value[i]) - truth, norm)
        assert error <= end.e[i]
        worst = max(worst, error / end.e[i])
        for radius in (0.0, 1.0, 1e3):
            step = rng.standard_normal(4)
            moved = (x + radius * step / size(step, norm) * 0.999).astype(np.float32)
            single = run(moved, weights, biases, np.float32)
            error = size(exact(single) - run(exact(moved), weights, biases, object), norm)
            assert error <= end.a[i] + end.b * radius
            worst32 = max(worst32, error / (end.a[i] + end.b * radius))
    assert worst > 1 / 300
    assert worst32 > 1 / 300


def test_the_recursion_of_one_layer_by_hand():
    """W = (3, 4), b = 1, x = (1, 2): m = 12, k = 3, N = 5 (Frobenius), entries 1, L = 5."""
    tensors = {"weight": np.array([[3.0, 4.0]]), "bias": np.array([1.0])}
    nodes = program(("linear", [0], {}, tensors), ("scale", [1], {"factor": 2.0}))
    infer_shapes(nodes, (2,))
    states, extent = analyse(nodes, [None, 5.0, 2.0], [1.0, 5.0, 10.0], np.array([[1.0, 2.0]]), SINGLE, "l2", {1, 2})
    u, v = 2.0**-53, 2.0**-24
    g0 = 3 * u / (1 - 3 * u)
    g = (1 + 3 * v / (1 - 3 * v)) * (1 + v) - 1
    assert states[1].e[0] == pytest.approx(12 * g0, rel=1e-9, abs=0)
    assert states[1].a[0] == pytest.approx(12 * g + 3 * 2.0**-62, rel=1e-9, abs=0)
    assert states[1].b == pytest.approx(5 * g, rel=1e-9, abs=0)
    g1 = (1 + v / (1 - v)) * (1 + v) - 1
    a, b, e = states[1].a[0], states[1].b, states[1].e[0]
    assert states[2].a[0] == pytest.approx((2 + 2 * g1) * a + g1 * (26 - 2 + 2 * e) + 2.0**-62, rel=1e-7, abs=0)
    assert states[2].b == pytest.approx((2 + 2 * g1) * b + 2 * g1 * 5, rel=1e-7, abs=0)
    assert states[2].e[0] == pytest.approx(2 * e + 24 * u, rel=1e-9, abs=0)
    assert extent.height[0] == pytest.approx(24, rel=1e-5, abs=0)
    assert extent.slope == pytest.approx(10, rel=1e-5, abs=0)


def test_two_inputs_by_hand():
    nodes = program(("scale", [0], {"factor": 2.0}), ("add", [0, 1]), ("concat", [0, 1], {"axis": 0}))
    infer_shapes(nodes, (1,))
    states, _ = analyse(
        nodes, [None, 2.0, None, None], [1.0, 2.0, 3.0, 3.0], np.array([[1.0]]), FLOAT64, "l2", {1, 2, 3}
    )
    u = 2.0**-53
    assert states[1].e[0] == pytest.approx(2 * u, rel=1e-6, abs=0)
    assert states[2].e[0] == pytest.approx(2 * u + 3 * u, rel=1e-6, abs=0)
    assert states[2].a[0] == pytest.approx(2 * u + 3 * u, rel=1e-6, abs=0)
    assert states[2].b == pytest.approx(2 * u + 3 * u, rel=1e-6, abs=0)  # inputs move by 1 and 2
    assert states[3].e[0] == pytest.approx(2 * u, rel=1e-6, abs=0)


def test_numbers_beyond_float64_make_the_extent_infinite():
    nodes = program(
        ("scale", [0], {"factor": 1e200}), ("scale", [1], {"factor": 1e200}), ("clamp", [2], {"low": 0, "high": 1})
    )
    infer_shapes(nodes, (1,))
    with np.errstate(all="ignore"):
        _, extent = analyse(
            nodes, [None, 1e200, 1e200, 1.0], [1.0, 1e200, math.inf, math.inf], np.array([[1.0]]), FLOAT64, "l2", {3}
        )
    assert extent.height[0] == math.inf
