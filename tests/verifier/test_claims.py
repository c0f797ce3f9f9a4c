"""Margins, errors and slopes against the formulas of the specification, worked out by hand in low precision."""

import math

import numpy as np
import pytest

from taut.verifier.arithmetic import FLOAT64, Arithmetic
from taut.verifier.blocks import expand
from taut.verifier.claims import Claim, find_head, prove
from taut.verifier.program import Node
from taut.verifier.recursion import analyse, infer_shapes

# Large enough to see every term; `tiny` likewise.
ROUGH = Arithmetic("rough", operand=2.0**-9, accumulate=2.0**-12, result=2.0**-10, tiny=2.0**-12, largest=2.0**100)
NEAR = 1e-9


def cost(k, operations=1):
    gamma = k * 2.0**-12 / (1 - k * 2.0**-12)
    return (1 + 2.0**-9) ** (2 * operations) * (1 + gamma) * (1 + 2.0**-10) ** operations - 1


def nodes_of(*entries, shape):
    nodes = [Node(0, "input", "", [], {}, {})]
    for index, (op, settings, tensors) in enumerate(entries, start=1):
        nodes.append(Node(index, op, "", [index - 1], settings, tensors))
    infer_shapes(nodes, shape)
    return nodes


def limits(nodes, bounds, x, labels, kind="class", norm="l2", k=1, threshold=0.0):
    products = [float(math.prod(bounds[1 : i + 1])) for i in range(len(nodes))]
    head = find_head(nodes)
    keep = {len(nodes) - 1, *(i for node in head[:1] for i in (node.index, *node.inputs))}
    states, _ = analyse(nodes, bounds, products, np.array(x), ROUGH, norm, keep)
    return prove(Claim(kind, k, threshold, norm), head, states, len(nodes) - 1, np.array(labels), ROUGH), states


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("factors", [[], [-0.5], [4.0, 0.5]])
def test_at_a_linear_head(norm, factors):
    """Two classes, the second with the other row; every term of err_j and slope_j."""
    weight, x = np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([1.0, 2.0])
    sign = math.copysign(1, math.prod(factors))
    scales = [("scale", {"factor": f}, {}) for f in factors]
    nodes = nodes_of(
        ("scale", {"factor": 2.0}, {}), ("linear", {}, {"weight": weight, "bias": np.ones(2)}), *scales, shape=(2,)
    )
    proof, states = limits(nodes, [None, 2.0, 9.0, *map(abs, factors)], [x], [0 if sign > 0 else 1], norm=norm)
    moved, reach = states[1].e[0] + states[1].a[0], 2.0 + states[1].b
    d, rows = (math.hypot(2, 4), 5.0) if norm == "l2" else (6.0, 7.0)
    c, s = abs(math.prod(factors)), len(factors)
    g, g0 = cost(3 + s, 1 + s), (3 + s) * 2.0**-53
    v = 3 * 2 + 4 * 4 + 1
    grown = math.prod(max(1, abs(f)) for f in factors)
    error = c * (d * moved + 2 * g0 * v + 2 * g * (v + rows * moved)) + 2 * 2.0**-12 * (3 + s) * grown
    slope = c * (d * reach + 2 * g * rows * reach)
    margin = c * ((6 + 16) - 2)
    assert proof.margin[0] == pytest.approx(margin, rel=NEAR, abs=0)
    assert proof.highest[0] == pytest.approx((margin - error) / slope, rel=NEAR, abs=0)
    assert proof.highest[0] < (margin - error) / slope
    assert proof.lowest[0] == pytest.approx((margin - 5 * error) / slope * (1 - 2.0**-24), rel=NEAR, abs=0)
    assert proof.tolerance[0] >= error


@pytest.mark.parametrize(("norm", "factor"), [("l2", math.sqrt(2)), ("linf", 2.0)])
def test_without_a_linear_head(norm, factor):
    nodes = nodes_of(("scale", {"factor": 2.0}, {}), ("relu", {}, {}), shape=(3,))
    proof, states = limits(nodes, [None, 2.0, 1.0], [[3.0, 1.0, 2.0]], [0], norm=norm)
    error, slope = factor * (states[2].e[0] + states[2].a[0]), factor * (2.0 + states[2].b)
    assert error > 0.01
    assert proof.margin[0] == 2.0
    assert proof.highest[0] == pytest.approx((2 - error) / slope, rel=NEAR, abs=0)


@pytest.mark.parametrize("label", [0, 1])
def test_of_a_sign(label):
    weight = np.array([[3.0, 4.0]])
    nodes = nodes_of(("scale", {"factor": 2.0}, {}), ("linear", {}, {"weight": weight}), shape=(2,))
    proof, states = limits(nodes, [None, 2.0, 5.0], [[1.0, 2.0]], [label], kind="sign", threshold=10.0)
    moved, reach, g = states[1].e[0] + states[1].a[0], 2.0 + states[1].b, cost(3)
    error = 5 * moved + g * (22 + 5 * moved) + 2 * 2.0**-12 * 3 + cost(1) * 10
    slope = 5 * reach + g * 5 * reach
    margin = 12.0 if label else -12.0
    assert proof.margin[0] == pytest.approx(margin, rel=NEAR, abs=0)
    assert proof.highest[0] == pytest.approx((margin - error) / slope, rel=1e-7, abs=0)


def test_the_head_is_a_linear_map_of_a_vector():
    linear = ("linear", {}, {"weight": np.eye(2)})
    assert len(find_head(nodes_of(linear, ("scale", {"factor": 2.0}, {}), shape=(2,)))) == 2
    assert find_head(nodes_of(linear, ("relu", {}, {}), shape=(2,))) == []
    assert find_head(nodes_of(linear, shape=(1, 2))) == []


def test_the_recursion_through_a_block_by_hand():
    """Inside with N for the constants of F and G: F = (2), G = (0.5), then x - G relu(F x); outside the stated L."""
    options = {"kind": "linear", "shortcut": True, "padding": None, "dilation": None, "padding_mode": None}
    tensors = {"inner_weight": np.array([[2.0]]), "outer_weight": np.array([[0.5]])}
    nodes = nodes_of(("scale", {"factor": 1.0}, {}), ("residual", options, tensors), shape=(1,))
    states, extent = analyse(nodes, [None, 1.0, 1.25], [1.0, 1.0, 1.25], np.array([[3.0]]), ROUGH, "l2", {1, 2})
    assert [part.op for part in expand(nodes[2]).nodes] == ["input", "linear", "relu", "linear", "pad", "subtract"]
    r, tiny, u = ROUGH.result, 2.0**-12, 2.0**-53
    h1, h2 = ((1 + ROUGH.operand) ** 2 * (1 + k * 2.0**-12 / (1 - k * 2.0**-12)) - 1 for k in (1, 2))
    h1, h2 = h1 * (1 + r), h2 * (1 + r)
    a1, b1 = (h2 + r) * 6 + 2 * tiny, (h2 + r) * 2  # of F at x = 3: m = 6, result 6, N = L = 2
    a2 = (0.5 + (h2 + r) * 0.5) * a1 + (h2 + r) * 3 + 2 * tiny  # of G: m = 3, result 3, N = L = 0.5
    b2 = (0.5 + (h2 + r) * 0.5) * b1 + (h2 + r) * 0.5 * 2
    a3 = a2 + h1 * 6 + (h1 + r) * a2 + tiny  # of the difference: m = 3 + 3, result 0, L = N = 1
    b3 = b2 + (h1 + r) * (b2 + 1 + 1)
    e, a, b = states[1].e[0], states[1].a[0], states[1].b
    assert e > 0
    assert states[2].a[0] == pytest.approx((1.25 + b3) * a + a3 + b3 * e, rel=NEAR, abs=0)
    assert states[2].b == pytest.approx((1.25 + b3) * b + b3, rel=NEAR, abs=0)
    inner = 2 * u * 6 * 0.5 + 2 * u * 3 + u * 6
    assert states[2].e[0] == pytest.approx(1.25 * e + inner, rel=NEAR, abs=0)
    assert FLOAT64.cost(2) == pytest.approx(2 * u, rel=NEAR, abs=0)
    assert extent.slope == pytest.approx((2 + b2) * (1 + b), rel=2e-2, abs=0)
