"""Residual blocks and exponentials: values, and constants between what is attained and what the theorem gives."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from taut.verifier.arithmetic import FLOAT64
from taut.verifier.blocks import expand, truncated_exponential_at_most
from taut.verifier.constants import proves
from taut.verifier.program import Node
from taut.verifier.recursion import analyse, infer_shapes
from taut.verifier.table import OPERATIONS


def make(op, source, options, tensors):
    kinds = OPERATIONS[op].settings
    node = Node(1, op, "", [0], {k.strip("[]"): options.get(k.strip("[]")) for k in kinds}, tensors)
    node.kept["norm"] = "l2"
    infer_shapes([Node(0, "input", "", [], {}, {}), node], source)
    return node


def evaluate(node, x):
    nodes = [Node(0, "input", "", [], {}, {}), node]
    states, _ = analyse(nodes, [None, 1.0], [1.0, 1.0], x, FLOAT64, "l2", {1})
    return states[1].value


def dense(inner, outer, shortcut, biases=()):
    tensors = {"inner_weight": inner, "outer_weight": outer} | dict(
        zip(("inner_bias", "outer_bias"), biases, strict=False)
    )
    return make("residual", (inner.shape[1],), {"kind": "linear", "shortcut": shortcut}, tensors)


def largest_slope(inner, outer, shortcut):
    """The largest norm of P - G diag(s) F over all s in {0, 1}^h: attained, if the rows of F are independent."""
    keep = np.eye(outer.shape[0], inner.shape[1]) if shortcut else 0.0
    sign = -1 if shortcut else 1
    slopes = (keep + sign * (outer * s) @ inner for s in itertools.product((0, 1), repeat=len(inner)))
    return max(np.linalg.norm(s, 2) for s in slopes)


@pytest.mark.parametrize("shape", [(4, 4, 4), (3, 5, 6), (6, 4, 3)])
@pytest.mark.parametrize("shortcut", [True, False])
def test_dense_values(shape, shortcut):
    rng = np.random.default_rng(0)
    before, hidden, after = shape
    f, g, b, c = (rng.standard_normal(s) for s in ((hidden, before), (after, hidden), hidden, after))
    x = rng.standard_normal((7, before))
    branch = np.maximum(x @ f.T + b, 0) @ g.T + c
    kept = np.zeros((7, after))
    kept[:, : min(before, after)] = x[:, : min(before, after)]
    expected = kept - branch if shortcut else branch
    np.testing.assert_allclose(evaluate(dense(f, g, shortcut, (b, c)), x), expected, rtol=1e-13, atol=1e-13)


@given(
    seed=st.integers(0, 10**6),
    before=st.integers(1, 5),
    hidden=st.integers(1, 6),
    after=st.integers(1, 5),
    shortcut=st.booleans(),
    noise=st.sampled_from([0.0, 1e-7, 0.1, 1.0]),
)
@settings(max_examples=150, deadline=None)
def test_no_residual_is_proven_below_an_attained_slope(seed, before, hidden, after, shortcut, noise):
    """Near and far from G = F^T D, where the theorem is tight; the product of the parts is always proven."""
    rng = np.random.default_rng(seed)
    f = rng.standard_normal((hidden, before))
    g = np.zeros((after, hidden))
    kept = min(before, after)
    g[:kept] = f.T[:kept] * 2 / np.abs(f @ f.T).sum(axis=1)
    g += noise * rng.standard_normal(g.shape)
    node = dense(f, g, shortcut)
    attained = largest_slope(f, g, shortcut)
    assert not proves(node, attained * (1 - 1e-10), "l2")
    assert proves(node, (np.linalg.norm(f, 2) * np.linalg.norm(g, 2) + shortcut) * (1 + 1e-6), "l2")
    rows = np.abs(np.eye(after, before) * shortcut).sum() > 0, np.abs(f).sum(1).max() * np.abs(g).sum(1).max()
    assert proves(node, (rows[1] + shortcut) * (1 + 1e-9), "linf")
    assert not proves(node, (rows[1] + shortcut) * (1 - 1e-9), "linf")


def almost_orthogonal(rng, hidden, before):
    """An SLL layer: G = 2 F^T T^-1, T_i = sum_j |F F^T|_ij q_j / q_i."""
    f, q = rng.standard_normal((hidden, before)), np.exp(rng.standard_normal(hidden))
    t = (np.abs(f @ f.T) * q / q[:, None]).sum(axis=1)
    return f, 2 * f.T / t


@pytest.mark.parametrize("rounded", [False, True])
def test_an_almost_orthogonal_layer_has_constant_one(rounded):
    rng = np.random.default_rng(3)
    for hidden, before, after in ((6, 5, 5), (8, 5, 3), (5, 5, 7)):
        f, g = almost_orthogonal(rng, hidden, before)
        g = np.concatenate([g, np.zeros((max(0, after - before), hidden))])[:after]
        if rounded:
            f, g = (a.astype(np.float32).astype(np.float64) for a in (f, g))
        assert proves(dense(f, g, True), 1 + (1e-5 if rounded else 1e-12), "l2")


def test_a_reflection_is_proven_in_float32():
    """F orthogonal, G = 2 F^T: x - 2 F^T relu(F x) is an isometry with a^2 = 2; noise decides the side."""
    f = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0].astype(np.float32).astype(np.float64)
    assert proves(dense(f, 2 * f.T, True), 1 + 3e-6, "l2")
    assert not proves(dense(f, 2.001 * f.T, True), 1 + 3e-6, "l2")
    assert proves(dense(f, 2.1 * f.T, True), 1.1 * (1 + 3e-6), "l2")


def sandwich(rng, before, hidden, after):
    """sqrt(2) A^T Psi relu(sqrt(2) Psi^-1 B x) with A A^T + B B^T = I."""
    q = np.linalg.qr(rng.standard_normal((after + before, hidden)))[0].T if after + before >= hidden else None
    psi = np.exp(rng.standard_normal(hidden))
    a, b = q[:, :after], q[:, after:]
    return math.sqrt(2) * b / psi[:, None], math.sqrt(2) * a.T * psi


@pytest.mark.parametrize("sizes", [(6, 7, 5), (4, 8, 8), (9, 4, 4)])
def test_a_sandwich_layer_has_constant_one_times_its_factor(sizes):
    f, g = sandwich(np.random.default_rng(1), *sizes)
    assert proves(dense(f, g, False), 1 + 1e-6, "l2")
    assert proves(dense(f, 3 * g, False), 3 * (1 + 1e-6), "l2") == (largest_slope(f, 3 * g, False) <= 3)
    assert np.linalg.norm(f, 2) * np.linalg.norm(g, 2) > 1.01  # the product of the parts would not do


def conv_block(rng, channels, hidden, after, padding, mode, dilation=1):
    options = {
        "kind": "conv",
        "shortcut": True,
        "padding": [padding] * 2,
        "dilation": [dilation] * 2,
        "padding_mode": mode,
    }
    f = 0.3 * rng.standard_normal((hidden, channels, 3, 3))
    g = 0.3 * np.flip(f.swapaxes(0, 1), axis=(2, 3))
    g = np.concatenate([g, 0.1 * rng.standard_normal((max(0, after - channels), hidden, 3, 3))])[:after]
    return make("residual", (channels, 6, 6), options, {"inner_weight": f, "outer_weight": np.ascontiguousarray(g)})


def torch_block(node, x):
    mode = {"zeros": "constant"}.get(node["padding_mode"], node["padding_mode"])
    f, g = (torch.from_numpy(node.tensors[k]) for k in ("inner_weight", "outer_weight"))
    pads = [*node["padding"][1], *node["padding"][0]]

    def conv(x, w):
        return F.conv2d(F.pad(x, pads, mode=mode), w, dilation=node["dilation"])

    branch = conv(torch.relu(conv(x, f)), g)
    kept = min(x.shape[1], g.shape[0])
    return F.pad(x[:, :kept], (0, 0, 0, 0, 0, g.shape[0] - kept)) - branch


@pytest.mark.parametrize("after", [2, 3, 4])
@pytest.mark.parametrize(
    ("padding", "mode", "dilation"), [([1, 1], "zeros", 1), ([1, 1], "circular", 1), ([1, 1], "reflect", 1),
                                      ([2, 2], "circular", 2), ([2, 2], "zeros", 2), ([2, 0], "circular", 1)]
)  # fmt: skip
def test_convolutional_blocks(after, padding, mode, dilation):
    node = conv_block(np.random.default_rng(after), 3, 4, after, padding, mode, dilation)
    x = torch.randn(5, 3, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(evaluate(node, x.numpy()), torch_block(node, x).numpy(), rtol=1e-12, atol=1e-12)
    jacobians = [torch.func.jacrev(lambda z: torch_block(node, z[None]))(one) for one in 10 * x]
    attained = max(float(torch.linalg.matrix_norm(j.reshape(-1, 108), 2)) for j in jacobians)
    assert not proves(node, attained * (1 - 1e-10), "l2")
    assert proves(node, 1e3, "l2")


def test_the_theorem_for_convolutions_is_better_than_the_product():
    node = conv_block(np.random.default_rng(0), 3, 4, 3, [1, 1], "zeros")
    node.tensors["outer_weight"] = node.tensors["outer_weight"] * 0.2
    del node.kept["parts"]
    expand(node)
    infer_shapes([Node(0, "input", "", [], {}, {}), node], (3, 6, 6))
    assert proves(node, 1 + 1e-9, "l2")


def skew(rng, n, taps):
    kernel = rng.standard_normal((n, n, taps, taps))
    return 0.2 * (kernel - np.flip(kernel.swapaxes(0, 1), axis=(2, 3)))


@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize(("channels", "terms"), [([3, 4], 5), ([4, 2], 3), ([4, 4], 6)])
def test_an_exponential_is_decided_by_its_matrix(mode, channels, terms):
    kernel, bias = skew(np.random.default_rng(terms), 4, 3), np.arange(1.0, channels[1] + 1)
    source = (channels[0], 5, 5)
    options = {"terms": terms, "channels": channels, "padding": [[1, 1]] * 2, "padding_mode": mode}
    node = make("exponential", source, options, {"kernel": kernel, "bias": bias})
    identity = torch.eye(100, dtype=torch.float64).reshape(100, 4, 5, 5)
    pads = F.pad(identity, (1, 1, 1, 1), mode="constant" if mode == "zeros" else mode)
    matrix = F.conv2d(pads, torch.from_numpy(kernel)).reshape(100, 100).T.numpy()
    power = total = np.eye(100)
    for i in range(1, terms):
        power = power @ matrix / i
        total = total + power
    x = np.random.default_rng(0).standard_normal((3, *source))
    full = np.concatenate([x, np.zeros((3, 4 - channels[0], 5, 5))], axis=1).reshape(3, -1)
    expected = (full @ total.T).reshape(3, 4, 5, 5)[:, : channels[1]] + bias[:, None, None]
    np.testing.assert_allclose(evaluate(node, x), expected, rtol=1e-11, atol=1e-11)
    largest = np.linalg.norm(
        total.reshape(4, 25, 4, 25)[: channels[1], :, : channels[0]].reshape(25 * channels[1], -1), 2
    )
    assert not proves(node, largest * (1 - 1e-10), "l2")
    norm = np.linalg.norm(matrix, 2)
    rough = sum(norm**i / math.factorial(i) for i in range(terms))
    assert proves(node, rough * 1.5, "l2")
    rows = np.abs(matrix).sum(axis=1).max()
    assert proves(node, sum(rows**i / math.factorial(i) for i in range(terms)) * (1 + 1e-9), "linf")


def test_without_skewness_only_the_sum_of_norms_is_proven():
    kernel = np.zeros((1, 1, 1, 1)) + 1.0
    options = {"terms": 3, "channels": [1, 1], "padding": [[0, 0]] * 2, "padding_mode": "zeros"}
    node = make("exponential", (1, 2, 2), options, {"kernel": kernel})
    assert proves(node, 2.5 * (1 + 1e-6), "l2")
    assert not proves(node, 2.5 * (1 - 1e-9), "l2")


@given(terms=st.integers(1, 14), norm=st.floats(0.01, 4.0))
@settings(max_examples=100, deadline=None)
def test_the_modulus_of_the_truncated_exponential(terms, norm):
    t = np.linspace(0, norm, 20001)
    sums = sum((1j * t) ** k / math.factorial(k) for k in range(terms))
    largest = float(np.abs(sums).max())
    assert truncated_exponential_at_most(terms, norm, largest * (1 + 1e-6))
    assert not truncated_exponential_at_most(terms, norm, largest * (1 - 1e-9))


def test_terms_at_which_the_exponential_of_norm_one_does_not_stretch():
    """4, 5, 8, 9 terms have constant 1 exactly (Taylor: the next coefficient is negative); 6 have 1 + 1 / 360."""
    assert all(truncated_exponential_at_most(terms, 1.0, 1.0) for terms in (4, 5, 8, 9))
    assert not truncated_exponential_at_most(6, 1.0, 1.0)
    assert truncated_exponential_at_most(6, 1.0, math.sqrt(1 + 1 / 360))
