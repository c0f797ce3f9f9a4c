"""Decisions about norms, against singular values of the explicit operator's matrix."""

import itertools
import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from taut.verifier.arithmetic import ceiling, gamma, norm, root_up
from taut.verifier.constants import row_sum, spectral_at_most
from taut.verifier.kernels import decide, phases, upper
from taut.verifier.norms import below
from taut.verifier.program import Node

# What a decision may leave unproven, relatively: rounding of s^2 I - W^T W for a matrix of this size.
TIGHT = 2.0**-30


def true_norm(matrix):
    """The largest singular value, in 40 digits for small matrices."""
    with mpmath.workdps(40):
        return float(max(mpmath.svd_r(mpmath.matrix(matrix.tolist()), compute_uv=False)))


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (7, 4), (12, 12)])
@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200, 2.0**-1060])
@pytest.mark.parametrize("kind", ["random", "rank one", "equal"])
def test_a_dense_norm_is_decided_to_nine_digits_at_any_scale(shape, scale, kind):
    rng = np.random.default_rng(sum(shape))
    matrix = rng.standard_normal(shape)
    if kind == "rank one":
        matrix = np.outer(matrix[:, 0], matrix[0])
    if kind == "equal":
        u, _, v = np.linalg.svd(matrix, full_matrices=False)
        matrix = u @ v
    largest = true_norm(matrix)
    matrix = matrix * scale
    slack = TIGHT if scale > 1e-300 else 1e-3  # entries near the end of the range have few digits
    assert decide(matrix, largest * scale * (1 + slack))
    assert not decide(matrix, largest * scale * (1 - slack))


def test_nothing_below_the_norm_is_accepted():
    """A decision at the float just below the true norm, 200 times; LAPACK's own value is too small on some of them."""
    too_small = 0
    for seed in range(200):
        matrix = np.random.default_rng(seed).standard_normal((4, 4))
        exact = true_norm(matrix)
        assert not decide(matrix, math.nextafter(exact, 0))
        with mpmath.workdps(40):
            top = max(mpmath.svd_r(mpmath.matrix(matrix.tolist()), compute_uv=False))
            too_small += float(np.linalg.svd(matrix, compute_uv=False)[0]) < top
    assert too_small > 20


def test_complex_matrices_and_perturbations():
    rng = np.random.default_rng(0)
    batch = rng.standard_normal((5, 6, 4)) + 1j * rng.standard_normal((5, 6, 4))
    largest = np.linalg.norm(batch, 2, axis=(1, 2))
    assert below(batch, largest * (1 + TIGHT)).all()
    assert not below(batch, largest * (1 - TIGHT)).any()
    assert below(batch, largest + 0.1001, error=0.1).all()
    assert not below(batch, largest + 0.0999, error=0.1).any()


def test_zero_and_unusable_limits():
    assert decide(np.zeros((3, 2)), 0.0)
    assert not decide(np.eye(2), 0.0)
    assert not decide(np.eye(2), math.nan)
    assert not decide(np.array([[math.nan]]), 1.0)


def node(op, weight, source, **options):
    axes = weight.ndim - 2
    options = {"stride": [1] * axes, "dilation": [1] * axes, "groups": 1} | options
    if op == "conv":
        options = {"padding": [[0, 0]] * axes, "padding_mode": "zeros"} | options
        result = Node(1, op, "", [0], options, {"weight": weight})
    else:
        options = {"padding": [0] * axes, "output_padding": [0] * axes} | options
        result = Node(1, op, "", [0], options, {"weight": weight})
    result.source = source
    result.shape = torch_operator(result)(torch.zeros(1, *source, dtype=torch.float64)).shape[1:]
    return result


def torch_operator(node):
    """The same map by torch's functions."""
    weight = torch.from_numpy(node.tensors["weight"])
    axes, s = weight.ndim - 2, node.settings
    if node.op == "conv_transpose":
        call = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[axes - 1]
        return lambda x: call(
            x, weight, None, s["stride"], s["padding"], s["output_padding"], s["groups"], s["dilation"]
        )
    call = (F.conv1d, F.conv2d, F.conv3d)[axes - 1]
    mode = {"zeros": "constant"}.get(s["padding_mode"], s["padding_mode"])
    pads = list(itertools.chain(*reversed(s["padding"])))
    return lambda x: call(F.pad(x, pads, mode=mode), weight, None, s["stride"], 0, s["dilation"], s["groups"])


def operator_matrix(node):
    identity = torch.eye(math.prod(node.source), dtype=torch.float64).reshape(-1, *node.source)
    return torch_operator(node)(identity).flatten(1).T.numpy()


@given(
    seed=st.integers(0, 10**6),
    taps=st.integers(1, 4),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 3),
    groups=st.sampled_from([1, 2]),
    mode=st.sampled_from(["zeros", "circular", "reflect", "replicate"]),
    pads=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    size=st.integers(4, 12),
)
@settings(max_examples=120, deadline=None)
def test_no_convolution_is_proven_below_its_largest_singular_value(
    seed, taps, stride, dilation, groups, mode, pads, size
):
    if size + sum(pads) <= dilation * (taps - 1) or max(pads) >= size:
        return
    weight = np.random.default_rng(seed).standard_normal((2 * groups, 2, taps))
    one = node(
        "conv", weight, (2 * groups, size), stride=[stride], dilation=[dilation], groups=groups, padding=[list(pads)],
        padding_mode=mode,
    )  # fmt: skip
    matrix = operator_matrix(one)
    largest = np.linalg.norm(matrix, 2)
    assert not spectral_at_most(one, largest * (1 - 1e-12))
    bound = math.sqrt(4 * taps) * 3 * np.linalg.norm(weight)  # far above: every decision ends in time
    assert spectral_at_most(one, bound)
    assert row_sum(one) >= np.abs(matrix).sum(axis=1).max()


@pytest.mark.parametrize(
    ("weight", "source", "options"),
    [
        ((3, 2, 3, 3), (2, 24, 24), {"padding": [[1, 1], [1, 1]]}),
        ((3, 8, 2, 2), (8, 12, 12), {"stride": [2, 2]}),
        ((2, 2, 3), (2, 60), {"dilation": [2], "stride": [3]}),
        ((2, 1, 2, 2, 2), (1, 7, 7, 7), {}),
        ((4, 2, 3), (4, 50), {"groups": 2, "padding": [[1, 1]]}),
    ],
)
def test_the_infinite_image_is_decided_close_to_a_large_one(weight, source, options):
    """Within two in a hundred of the norm on an image of this size, which is a little below that of all sizes."""
    one = node("conv", np.random.default_rng(5).standard_normal(weight), source, **options)
    largest = np.linalg.norm(operator_matrix(one), 2)
    loose = 1.12 if len(weight) == 5 else 1.02
    assert spectral_at_most(one, largest * loose)
    assert not spectral_at_most(one, largest * (1 - 1e-12))


@pytest.mark.parametrize(
    ("taps", "stride", "size", "dilation"), [(3, 1, 6, 1), (3, 2, 8, 1), (2, 1, 5, 2), (4, 2, 6, 1), (3, 1, 9, 3)]
)
def test_a_circular_convolution_is_decided_at_its_own_frequencies(taps, stride, size, dilation):
    weight = np.random.default_rng(taps).standard_normal((3, 2, taps, taps))
    total = dilation * (taps - 1)
    pads = [[total // 2, total - total // 2]] * 2
    one = node(
        "conv", weight, (2, size, size), stride=[stride] * 2, dilation=[dilation] * 2, padding=pads,
        padding_mode="circular",
    )  # fmt: skip
    largest = np.linalg.norm(operator_matrix(one), 2)
    assert spectral_at_most(one, largest * (1 + 1e-8))
    assert not spectral_at_most(one, largest * (1 - 1e-12))


@pytest.mark.parametrize(("stride", "output_padding", "dilation", "groups"), [(1, 0, 1, 1), (2, 1, 1, 2), (3, 0, 2, 1)])
def test_transposed_convolutions(stride, output_padding, dilation, groups):
    weight = np.random.default_rng(stride).standard_normal((4, 2, 3))
    one = node(
        "conv_transpose", weight, (4, 40), stride=[stride], output_padding=[output_padding], dilation=[dilation],
        groups=groups, padding=[1],
    )  # fmt: skip
    matrix = operator_matrix(one)
    largest = np.linalg.norm(matrix, 2)
    assert spectral_at_most(one, largest * 1.01)
    assert not spectral_at_most(one, largest * (1 - 1e-12))
    rows = np.abs(matrix).sum(axis=1).max()
    assert rows <= row_sum(one) <= rows * (1 + 1e-12)


def test_orthogonal_kernels_are_decided_to_rounding():
    """A circular shift of channels, in float32: flat spectrum, where branch and bound cannot prune."""
    rng = np.random.default_rng(1)
    q = np.linalg.qr(rng.standard_normal((16, 16)))[0].astype(np.float32).astype(np.float64)
    kernel = np.zeros((16, 16, 3, 3))
    kernel[:8, :, 0, 1], kernel[8:, :, 2, 2] = q[:8], q[8:]
    assert decide(kernel, 1 + 3e-6)
    assert not decide(kernel, 1 - 1e-6)


def test_positive_kernels_are_decided_by_their_row_sums():
    kernel = np.ones((1, 1, 15, 15))
    assert decide(kernel, 225 * (1 + 1e-6))
    assert not decide(kernel, 225 * (1 - 1e-12))


def test_a_known_symbol():
    """|1 + exp(i theta) / 2|, at most 3/2, and |1 - exp(2 i theta)|, at most 2, between the frequencies of a grid."""
    assert decide(np.array([[[1.0, 0.5]]]), 1.5 * (1 + 1e-6))
    assert not decide(np.array([[[1.0, 0.5]]]), 1.5 * (1 - 1e-9))
    kernel = np.array([[[1.0, 0.0, -1.0]]])
    assert decide(kernel, 2 * (1 + 1e-6))
    assert not decide(kernel, 2 * (1 - 1e-9))
    assert decide(kernel, math.sqrt(3) * (1 + 1e-9), grid=[(3, 1)])
    assert not decide(kernel, math.sqrt(3) * (1 - 1e-9), grid=[(3, 1)])


def test_an_unknown_part_of_the_kernel_is_added():
    kernel = np.array([[[1.0, 0.5]]])
    assert decide(kernel, 1.5 + 0.1 * math.sqrt(2) + 1e-4, error=0.1)
    assert not decide(kernel, 1.5 + 0.1 * math.sqrt(2) - 1e-4, error=0.1)


@given(seed=st.integers(0, 10**6), taps=st.integers(1, 3), axes=st.integers(1, 2))
@settings(max_examples=30, deadline=None)
def test_upper_is_above_all_frequencies_and_close(seed, taps, axes):
    rng = np.random.default_rng(seed)
    kernel = rng.standard_normal((3, 2, *[taps] * axes))
    bound = upper(kernel)
    angles = 2 * np.pi * rng.random((6000, axes))
    taps_at = np.array(list(np.ndindex(*kernel.shape[2:])))
    symbols = np.tensordot(np.exp(-1j * angles @ taps_at.T), kernel.reshape(3, 2, -1), axes=(1, 2))
    attained = np.linalg.norm(symbols, 2, axis=(1, 2)).max()
    assert attained <= bound <= attained * 1.06


def test_phases_hold_every_tap_once():
    weight = np.arange(1.0, 11).reshape(1, 2, 5)
    (kernel,) = phases(weight, (2,), (1,), 1)
    assert kernel.shape == (1, 4, 3)
    assert sorted(kernel.ravel().tolist()) == [0.0, 0.0, *range(1, 11)]


def test_rounding_is_outward():
    from fractions import Fraction

    third = ceiling(Fraction(1, 3))
    assert Fraction(third) >= Fraction(1, 3) > Fraction(math.nextafter(third, 0))
    assert Fraction(root_up(2.0)) ** 2 >= 2 > Fraction(math.nextafter(root_up(2.0), 0)) ** 2
    assert root_up(9.0) == 3.0
    assert root_up(0.0) == 0.0
    assert gamma(2**51) == pytest.approx(1 / 3, rel=1e-12)
    assert gamma(2**52) == math.inf
    assert norm(np.array([[3e200, 4e200], [3e-320, 4e-320]]), "l2") == pytest.approx([5e200, 5e-320], rel=1e-2)
    assert (norm(np.array([[1.0, 1.0]]), "l2") >= math.sqrt(2)).all()


@pytest.mark.parametrize(
    "lie", [lambda m: np.eye(len(m)), lambda m: 1.001 * np.eye(len(m)), lambda m: np.full_like(m, np.nan)]
)
def test_a_cholesky_routine_that_lies_proves_nothing(monkeypatch, lie):
    """Whatever is returned as a factor, its product is compared with the matrix."""
    matrix = np.random.default_rng(0).standard_normal((5, 5))
    monkeypatch.setattr(np.linalg, "cholesky", lie)
    assert not decide(matrix, 0.9 * np.linalg.norm(matrix, 2))
