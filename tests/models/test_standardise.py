"""What comes before the first layer of a network: numbers, bounds, and the same function folded."""

import pytest
import torch

from taut import fold, lipschitz_bound
from taut.models import Standardise


@pytest.mark.parametrize(("spatial", "shape"), [(0, (3,)), (2, (3, 5, 4))])
def test_the_samples_get_mean_zero_and_deviation_one_however_they_are_cut(spatial: int, shape: tuple[int, ...]) -> None:
    offset = torch.tensor([1e4, -3.0, 0.5]).reshape(-1, *(1,) * spatial)
    samples = torch.randn(200, *shape, dtype=torch.float64) * 0.1 + offset
    samples[:, 2] = 0.3 + 1e-13 * samples[:, 2]  # what rounding leaves of a coordinate that does not vary
    layer = Standardise(3, spatial=spatial).double()
    layer.set_from_(samples.split(70))
    made = layer(samples).movedim(1, -1).reshape(-1, 3)
    assert torch.allclose(made.mean(0), torch.zeros(3, dtype=torch.float64), atol=1e-9)
    expected = torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
    assert torch.allclose(made.std(0, correction=0), expected, atol=1e-7)
    assert layer.scale[2] == 1.0
    assert torch.allclose(layer.inverse(layer(samples)), samples)
    plain = fold(layer)
    assert torch.allclose(plain(samples), layer(samples), atol=1e-9)
    for norm in ("l2", "linf"):
        bound = lipschitz_bound(plain, norm=norm, input_shape=shape)
        assert float(layer.scale.max()) <= bound <= float(layer.scale.max()) * 1.001


def test_without_scales_it_is_a_translation() -> None:
    samples = 7 + 0.1 * torch.randn(50, 2, 3, 3)
    layer = Standardise(2, spatial=2, scaled=False)
    layer.set_from_([samples])
    assert torch.equal(layer.scale, torch.ones(2))
    assert layer(samples).mean().abs() < 1e-5
    assert 1.0 <= lipschitz_bound(layer, input_shape=(2, 3, 3)) < 1.0001


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="features must be at least 1, got 0"):
        Standardise(0)
    with pytest.raises(ValueError, match="spatial must be 0 or 2, got 1"):
        Standardise(3, spatial=1)
    with pytest.raises(ValueError, match="no samples"):
        Standardise(3).set_from_([])


@pytest.mark.parametrize(("spatial", "shape"), [(0, (1,)), (0, (4,)), (0, (3, 1)), (2, (1, 8, 8)), (2, (3, 8))])
def test_other_channels_are_refused_and_not_broadcast(spatial: int, shape: tuple[int, ...]) -> None:
    layer, sample = Standardise(3, spatial=spatial), torch.rand(2, *shape)
    for call in (layer, layer.inverse, lambda x: layer.set_from_([x])):
        with pytest.raises(ValueError, match="the input must be"):
            call(sample)
    with pytest.raises((ValueError, TypeError)):
        lipschitz_bound(torch.nn.Sequential(layer), input_shape=shape)


@pytest.mark.parametrize("samples", [[[1e-42], [0.0]], [[float("nan")], [0.0]]])
def test_samples_without_a_finite_scale_are_refused_and_nothing_changes(samples: list) -> None:
    layer = Standardise(1)
    with pytest.raises(ValueError, match="must be finite, and not too close"):
        layer.set_from_([torch.tensor(samples)])
    assert (float(layer.scale), float(layer.shift)) == (1.0, 0.0)
