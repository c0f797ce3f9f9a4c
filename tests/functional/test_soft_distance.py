"""The smooth maximum against a float64 formula that holds the whole array, on each of its three ways."""

import math

import pytest
import torch
from torch import Tensor

from taut.functional import linf_distance, soft_linf_distance

EPS = {torch.float32: torch.finfo(torch.float32).eps, torch.float64: torch.finfo(torch.float64).eps}
ROUNDINGS = 64  # sums of up to 600 terms, an exponential, a logarithm
# p times the spread of the rows: 60 and 600 divide float32, float64 and blocks
WAYS = [(2.0, 1.0), (8.0, 1.0), (50.0, 1.0), (50.0, 4.0), (300.0, 0.5), (2000.0, 1.0), (1000.0, 8.0)]


def rows(count: int, size: int, scale: float, dtype: torch.dtype, seed: int) -> Tensor:
    return scale * torch.rand(count, size, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def oracle(x: Tensor, weight: Tensor, p: float) -> Tensor:
    difference = p * (x.double().unsqueeze(-2) - weight.double())
    return torch.logsumexp(torch.stack([difference, -difference], -1).flatten(-2), -1) / p


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("p", "scale"), WAYS)
def test_formula_and_gradient(p: float, scale: float, dtype: torch.dtype) -> None:
    x = rows(9, 300, scale, dtype, 0).requires_grad_()
    weight = (rows(7, 300, scale, dtype, 1) - 0.2).requires_grad_()
    actual, expected = soft_linf_distance(x, weight, p=p), oracle(x, weight, p)
    assert actual.dtype == dtype
    assert bool(((actual - expected).abs() <= ROUNDINGS * EPS[dtype] * expected).all())
    grad = rows(9, 7, 1.0, dtype, 2)
    found = torch.autograd.grad(actual, (x, weight), grad)
    exact = torch.autograd.grad(expected, (x, weight), grad.double())
    room = 4 * ROUNDINGS * EPS[dtype] * max(1.0, p * scale)  # exp(p d) multiplies the rounding of d
    for a, e in zip(found, exact, strict=True):
        assert float((a - e).abs().max()) <= room * float(e.abs().max())


@pytest.mark.parametrize("p", [2.0, 30.0, 400.0])
def test_every_output_is_1_lipschitz_in_linf_and_reaches_it(p: float) -> None:
    x = rows(20, 40, 1.0, torch.float64, 3).requires_grad_()
    weight = rows(5, 40, 1.0, torch.float64, 4)
    for j in range(5):
        (gradient,) = torch.autograd.grad(soft_linf_distance(x, weight, p=p)[:, j].sum(), x)
        assert float(gradient.abs().sum(1).max()) <= 1 + ROUNDINGS * EPS[torch.float64] * p
    far = weight[:1] + 50 / p
    step = 1e-3 / p
    moved = soft_linf_distance(far + step, weight, p=p)[0, 0] - soft_linf_distance(far, weight, p=p)[0, 0]
    assert float(moved) == pytest.approx(step, rel=1e-6)


def test_it_lies_between_the_distance_and_a_logarithm_above() -> None:
    x, weight = rows(6, 30, 1.0, torch.float64, 5), rows(4, 30, 1.0, torch.float64, 6)
    exact = linf_distance(x, weight)
    for p in (2.0, 40.0, 3000.0):
        above = soft_linf_distance(x, weight, p=p) - exact
        assert bool((above >= -ROUNDINGS * EPS[torch.float64]).all())
        assert bool((above <= math.log(60) / p).all())
    assert torch.equal(soft_linf_distance(x, weight, p=math.inf), exact)
    assert torch.equal(soft_linf_distance(x, weight, p=torch.tensor(0.0)), exact)


def test_gradient_at_infinity_is_that_of_the_distance() -> None:
    x = rows(6, 30, 1.0, torch.float64, 7).requires_grad_()
    weight = rows(4, 30, 1.0, torch.float64, 8).requires_grad_()
    soft, exact = (f(x, weight).sum() for f in (lambda a, b: soft_linf_distance(a, b, p=math.inf), linf_distance))
    for a, e in zip(torch.autograd.grad(soft, (x, weight)), torch.autograd.grad(exact, (x, weight)), strict=True):
        assert torch.equal(a, e)


def test_shapes_precisions_and_what_is_not_finite() -> None:
    x, weight = rows(4, 10, 1.0, torch.float32, 9), rows(3, 10, 1.0, torch.float32, 10)
    assert soft_linf_distance(x.view(2, 2, 10), weight, p=5.0).shape == (2, 2, 3)
    assert soft_linf_distance(x[:0], weight, p=5.0).shape == (0, 3)
    half = soft_linf_distance(x.bfloat16(), weight.bfloat16(), p=5.0)
    assert torch.equal(half, soft_linf_distance(x.bfloat16().float(), weight.bfloat16().float(), p=5.0).bfloat16())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(soft_linf_distance(x, weight, p=5.0), soft_linf_distance(x, weight, p=5.0).float())
    x[1, 2] = math.nan
    values = soft_linf_distance(x, weight, p=5.0)
    assert bool(values[1].isnan().all())
    assert bool(values[[0, 2, 3]].isfinite().all())
    with pytest.raises(ValueError, match=r"1\.5"):
        soft_linf_distance(x, weight, p=1.5)


def test_products_hold_no_array_of_differences() -> None:
    x, weight = rows(128, 512, 1.0, torch.float32, 11), rows(64, 512, 1.0, torch.float32, 12).requires_grad_()
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        soft_linf_distance(x, weight, p=20.0).sum().backward()
    names = [event.name for event in profile.function_events]
    assert names.count("aten::mm") >= 6
    assert max(event.cpu_memory_usage for event in profile.function_events) < 128 * 64 * 512
