"""PSNR and SSIM against their formulas and another library."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from taut.imaging.metrics import psnr, ssim

EPS = torch.finfo(torch.float32).eps  # torchmetrics keeps the data range in float32


def pictures(channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(3, channels, 20, 33, generator=generator, dtype=torch.float64)
    levels = torch.tensor([0.02, 0.1, 0.5], dtype=torch.float64).view(3, 1, 1, 1)
    return clean, clean + levels * torch.randn(clean.shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("channels", [1, 3])
def test_psnr_is_that_of_each_picture_clipped(channels: int) -> None:
    clean, noisy = pictures(channels)
    for found, x, y in zip(psnr(noisy, clean), clean.numpy(), noisy.numpy(), strict=True):
        expected = -10 * np.log10(np.mean((np.clip(y, 0, 1) - x) ** 2))
        assert abs(float(found) - expected) < 4 * EPS * expected
    assert psnr(clean, clean).tolist() == [100.0] * 3


@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_is_that_of_another_library(channels: int) -> None:
    clean, noisy = pictures(channels)
    gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    for found, x, y in zip(ssim(noisy, clean), clean.numpy(), np.clip(noisy.numpy(), 0, 1), strict=True):
        expected = structural_similarity(x, y, data_range=1.0, channel_axis=0, **gaussian)
        assert abs(float(found) - expected) < 16 * EPS


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 11 pixels"):
        ssim(torch.zeros(1, 1, 12, 10), torch.zeros(1, 1, 12, 10))
