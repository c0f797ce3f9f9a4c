"""The curve of certified accuracy is exact, only goes down, and stays below every attack."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taut.reports.classification.certified_plot import attacked_ceiling
from taut.reports.classification.evaluation import (
    broken_certificates,
    certified_curve,
    certified_fraction,
    read_evaluation,
)

RADII = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.3, 1.0, 2.5, np.inf]) | st.floats(0, 5), min_size=1, max_size=40)


def _on_curve(radius: np.ndarray, eps: float) -> float:
    """Read the curve as it is drawn: each corner's value holds to its right, up to the next corner."""
    corners, fractions = certified_curve(radius)
    return float(fractions[corners <= eps][-1])


@given(RADII, st.sampled_from([0.0, 0.1, 0.25, 0.3, 1.0, 2.5]) | st.floats(0, 6))
def test_the_curve_is_the_counted_fraction_at_every_radius(radii: list[float], eps: float) -> None:
    radius = np.asarray(radii, dtype=np.float64)
    counted = sum(value > eps for value in radii) / len(radii)
    assert _on_curve(radius, eps) == pytest.approx(counted, abs=1e-15)
    assert certified_fraction(radius, eps) == pytest.approx(counted, abs=1e-15)


@given(RADII)
def test_the_curve_only_goes_down(radii: list[float]) -> None:
    corners, fractions = certified_curve(np.asarray(radii, dtype=np.float64))
    assert (np.diff(corners) > 0).all()
    assert (np.diff(fractions) <= 0).all()
    assert 0 <= fractions.min() <= fractions.max() <= 1


def test_the_curve_passes_through_the_listed_numbers(run_dir: Path) -> None:
    result = json.loads((run_dir / "result.json").read_text())
    evaluation = read_evaluation(run_dir / "evaluation.safetensors")
    assert result["certified"]
    for eps, fraction in result["certified"].items():
        assert _on_curve(evaluation.radius, float(eps)) == fraction


def test_attacked_points_stand_above_the_curve(run_dir: Path) -> None:
    result = json.loads((run_dir / "result.json").read_text())
    evaluation = read_evaluation(run_dir / "evaluation.safetensors")
    assert result["attacked"]
    assert set(broken_certificates(evaluation).values()) == {0}
    for eps, fraction in result["attacked"].items():
        assert fraction >= _on_curve(evaluation.radius, float(eps))


@given(st.dictionaries(st.floats(0.01, 5), st.floats(0, 1), max_size=8), st.floats(0, 1))
def test_the_attacked_ceiling_only_goes_down_and_touches_every_attack(
    attacked: dict[float, float], clean: float
) -> None:
    sizes, ceiling = attacked_ceiling(clean, attacked)
    assert sizes == [0.0, *sorted(attacked)]
    assert all(right <= left for left, right in itertools.pairwise(ceiling))
    assert all(level <= attacked.get(size, clean) for size, level in zip(sizes, ceiling, strict=True))
    assert set(ceiling) <= {clean, *attacked.values()}
