"""Projected points are in the ball and in the box as stored: no tolerance."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taut.attacks import distance, project
from taut.attacks.ball import random_point

NORMS = ["l2", "linf"]


def exact_distance(x: torch.Tensor, y: torch.Tensor, norm: str) -> torch.Tensor:
    difference = (x.double() - y.double()).flatten(1)
    return torch.linalg.vector_norm(difference, ord=2 if norm == "l2" else float("inf"), dim=1)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    entries=st.integers(1, 40),
    eps=st.floats(1e-8, 10.0),
    reach=st.floats(0, 100.0),
    norm=st.sampled_from(NORMS),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    corners=st.booleans(),
)
def test_the_result_is_in_the_ball_and_in_the_box(
    seed: int, entries: int, eps: float, reach: float, norm: str, dtype: torch.dtype, corners: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    centre = torch.rand(20, entries, generator=generator, dtype=dtype)
    if corners:
        centre = centre.round()
    point = centre + reach * torch.randn(20, entries, generator=generator, dtype=dtype)
    result = project(point, centre, eps=eps, norm=norm)
    assert float(exact_distance(result, centre, norm).max()) <= eps
    assert 0 <= float(result.min()) <= float(result.max()) <= 1


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_ball_is_used_up_to_rounding(norm: str, dtype: torch.dtype) -> None:
    centre = torch.full((5, 784), 0.5, dtype=dtype)
    point = centre + torch.randn(5, 784, generator=torch.Generator().manual_seed(0), dtype=dtype)
    reached = exact_distance(project(point, centre, eps=0.3, norm=norm), centre, norm)
    assert float(reached.min()) > 0.3 * (1 - 2000 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("norm", NORMS)
def test_points_already_inside_stay(norm: str) -> None:
    centre = torch.full((1, 4), 0.5)
    point = centre + 0.25
    assert torch.equal(project(point, centre, eps=2.0, norm=norm), point)


@pytest.mark.parametrize("norm", NORMS)
def test_random_points_are_inside_and_repeatable(norm: str) -> None:
    centre = torch.rand(10, 3, 4)
    drawn = [
        random_point(centre, eps=0.2, norm=norm, bounds=(0.0, 1.0), generator=torch.Generator().manual_seed(3))
        for _ in range(2)
    ]
    assert torch.equal(*drawn)
    assert not torch.equal(drawn[0], centre)
    assert float(distance(drawn[0], centre, norm).max()) <= 0.2
