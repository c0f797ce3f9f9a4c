"""The infoGAN networks have the published sizes, start as published, and fit pictures of other sizes."""

import math

import pytest
import torch
from torch import nn

from taut import models

# Weights and biases of the published sizes for 28 x 28 grey pictures, counted by hand.
GENERATOR = (62 * 1024 + 1024) + (1024 * 6272 + 6272) + (128 * 64 * 16 + 64) + (64 * 16 + 1) + 2 * (1024 + 6272 + 64)
DISCRIMINATOR = (16 * 64 + 64) + (64 * 128 * 16 + 128) + (6272 * 1024 + 1024) + (1024 + 1)


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_published_sizes() -> None:
    assert parameters(models.infogan_generator((1, 28, 28))) == GENERATOR
    assert parameters(models.infogan_discriminator((1, 28, 28))) == DISCRIMINATOR
    assert parameters(models.infogan_discriminator((1, 28, 28), normalisation="batch")) == DISCRIMINATOR + 2 * 1152


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64), (2, 8, 12)])
def test_pictures_of_every_size_that_4_divides(shape: tuple[int, ...]) -> None:
    pictures = models.infogan_generator(shape, latent=5, width=4)(torch.randn(3, 5))
    assert pictures.shape == (3, *shape)
    assert float(pictures.detach().min()) >= 0
    assert float(pictures.detach().max()) <= 1
    for normalisation in ("none", "batch", "layer"):
        assert models.infogan_discriminator(shape, width=4, normalisation=normalisation)(pictures).shape == (3, 1)


@pytest.mark.parametrize("make", [models.infogan_generator, models.infogan_discriminator])
def test_weights_start_normal_with_deviation_one_fiftieth(make) -> None:
    torch.manual_seed(0)
    for module in make((1, 28, 28), width=16):
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            weight = module.weight.detach().double()
            # five standard errors of the mean and of the deviation of so many normal numbers
            assert abs(float(weight.mean())) < 5 * 0.02 / math.sqrt(weight.numel())
            assert abs(float(weight.std()) - 0.02) < 5 * 0.02 / math.sqrt(2 * weight.numel())
            assert not module.bias.detach().any()


@pytest.mark.parametrize("normalisation", ["none", "layer"])
def test_without_batch_norm_a_value_depends_on_its_own_picture_alone(normalisation: str) -> None:
    torch.manual_seed(0)
    network = models.infogan_discriminator((1, 8, 8), width=4, normalisation=normalisation).double()
    pictures = torch.rand(6, 1, 8, 8, dtype=torch.float64)
    assert torch.allclose(network(pictures)[:2], network(pictures[:2]), rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "shape", "options", "reason"),
    [
        (models.infogan_generator, (1, 30, 28), {}, r"sides that 4 divides, got \(1, 30, 28\)"),
        (models.infogan_generator, (28, 28), {}, r"must be \(channels, height, width\)"),
        (models.infogan_generator, (1, 8, 8), {"latent": 0}, "latent must be at least 1, got 0"),
        (models.infogan_generator, (1, 8, 8), {"width": 0}, "width must be at least 1, got 0"),
        (models.infogan_discriminator, (1, 8, 6), {}, r"sides that 4 divides, got \(1, 8, 6\)"),
        (models.infogan_discriminator, (1, 8, 8), {"width": -1}, "width must be at least 1, got -1"),
        (
            models.infogan_discriminator,
            (1, 8, 8),
            {"normalisation": "group"},
            "'none', 'batch' or 'layer', got 'group'",
        ),
    ],
)
def test_what_cannot_be_built_is_refused_with_the_value(make, shape: tuple, options: dict, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        make(shape, **options)
