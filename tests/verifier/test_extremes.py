"""Numbers at the ends of the floating range, and settings without a proof: what a forger used, and must not again."""

import math

import numpy as np
import pytest

from taut.verifier.arithmetic import FLOAT64
from taut.verifier.claims import Claim, find_head, prove
from taut.verifier.constants import proves
from taut.verifier.errors import VerificationError
from taut.verifier.program import Node
from taut.verifier.recursion import analyse, infer_shapes


def made(op, settings, tensors, shape, before=()):
    """The last of some nodes."""
    nodes = [Node(0, "input", "", [], {}, {})]
    for index, entry in enumerate((*before, (op, settings, tensors)), start=1):
        nodes.append(Node(index, entry[0], "", [index - 1], entry[1], entry[2]))
    infer_shapes(nodes, shape)
    return nodes


@pytest.mark.parametrize("divisor", [1e160, 1e170, 1e300])
def test_a_large_divisor_leaves_a_constant_above_the_true_one(divisor):
    node = made("sum", {"axes": [0], "divisor": divisor}, {}, (4,))[-1]
    assert not proves(node, 2.0 / divisor * (1 - 1e-9), "l2")
    assert not proves(node, 5e-324, "l2")
    assert proves(node, math.nextafter(2.0 / divisor, 1.0), "l2")


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_an_exponential_that_copies_pixels_is_not_proven(mode):
    settings = {"terms": 3, "channels": [1, 1], "padding": [[1, 1], [1, 1]], "padding_mode": mode}
    kernel = np.zeros((1, 1, 3, 3))
    kernel[0, 0, 0, 1] = 1.0
    node = made("exponential", settings, {"kernel": kernel}, (1, 6, 6))[-1]
    assert not proves(node, 2.6, "l2")


def test_of_many_products_that_are_nearly_the_largest_the_largest_counts():
    rises = np.full((1001, 1), 1.0 - 2.0**-53)
    rises[-1] = 1.0
    tensors = {"start": np.zeros(1001), "rises": rises, "inverse_step": np.ones(1001)}
    node = made("spline", {}, tensors, (1001,))[-1]
    assert not proves(node, 1.0 - 2.0**-53, "l2")
    assert proves(node, 1.0, "l2")


@pytest.mark.parametrize(
    ("variance", "eps", "weight"), [(1.0, -1.0 + 1e-9, 1.0), (-1.0, 2.0, 1.0), (1e300, 0.0, 1e-300)]
)
def test_statistics_that_cancel_or_vanish_are_refused(variance, eps, weight):
    tensors = {"mean": np.zeros(1), "variance": np.array([variance]), "weight": np.array([weight])}
    with pytest.raises(VerificationError, match="batch_norm"):
        made("batch_norm", {"eps": eps}, tensors, (1,))


def limit(nodes, bounds, norm, products, x=1.0):
    head = find_head(nodes)
    keep = {len(nodes) - 1, *(i for node in head[:1] for i in (node.index, *node.inputs))}
    states, _ = analyse(nodes, bounds, products, np.array([[x]]), FLOAT64, norm, keep)
    return prove(Claim("class", 1, 0.0, norm), head, states, len(nodes) - 1, np.array([0]), FLOAT64).highest[0]


def test_factors_after_the_head_whose_product_underflows_on_the_way():
    factors = [2.0**90, 2.0**-540, 2.0**-540]
    scales = [("scale", {"factor": factor}, {}) for factor in factors]
    weight, bias = 2.0**800 * np.array([[1.0], [-1.0]]), 2.0**800 * np.array([2.0, 0.0])
    before = [("linear", {}, {"weight": weight, "bias": bias}), *scales[:-1]]
    nodes = made(*scales[-1], (1,), before=before)
    bounds = [None, 2.0**800, *factors]
    assert not limit(nodes, bounds, "linf", [1.0, 1.5, 1.5, 1.5, 1.5]) > 2.0  # (1 - x) at x = -1: a tie


def test_a_difference_of_rows_that_overflows_proves_nothing():
    weight, bias = np.array([[1.7e308], [-1.7e308], [0.0]]), np.zeros(3)
    nodes = made("linear", {}, {"weight": weight, "bias": bias}, (1,))
    assert not limit(nodes, [None, 1.7e308], "linf", [1.0, 1.7e308], x=1e-10) > 0.0
