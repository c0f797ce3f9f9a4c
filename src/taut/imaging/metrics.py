"""How near a restored picture comes to the clean one: peak signal-to-noise ratio and structural similarity."""

import torch
from jaxtyping import Float
from torch import Tensor

_LEAST_ERROR = 1e-10
_WINDOW = 11


def psnr(
    restored: Float[Tensor, "batch channels height width"], clean: Float[Tensor, "batch channels height width"]
) -> Float[Tensor, " batch"]:
    r"""-10 log10 of the mean squared error of each picture, in dB: data range 1, restored pictures clipped to [0, 1].

    At most 100 dB, which is also what a picture without any error has. Over colours the error is averaged before the
    logarithm; over pictures the field averages these numbers.

    Raises ValueError for shapes that differ; ImportError without torchmetrics.

    >>> psnr(torch.full((1, 1, 8, 8), 0.6), torch.full((1, 1, 8, 8), 0.5)).round(decimals=2)
    tensor([20.])
    """
    _same_shape(restored, clean)
    from torchmetrics.functional.image import peak_signal_noise_ratio

    found = peak_signal_noise_ratio(restored.clamp(0, 1), clean, data_range=1.0, reduction="none", dim=(1, 2, 3))
    return found.clamp(max=-10 * torch.log10(torch.tensor(_LEAST_ERROR)).item())


def ssim(
    restored: Float[Tensor, "batch channels height width"], clean: Float[Tensor, "batch channels height width"]
) -> Float[Tensor, " batch"]:
    r"""Structural similarity of each picture, at most 1: Gaussian window of 11 and 1.5 pixels, constants .01 and .03.

    Data range 1, restored pictures clipped to [0, 1]; the mean over the places where the window fits into the picture,
    and over colours.

    Raises ValueError for shapes that differ, or smaller than the window; ImportError without torchmetrics.

    Source: Wang, Bovik, Sheikh and Simoncelli (2004).

    >>> torch.manual_seed(0); x = torch.rand(1, 1, 16, 16)  # doctest: +ELLIPSIS
    <...
    >>> ssim(x, x).round(decimals=5)
    tensor([1.])
    """
    _same_shape(restored, clean)
    if min(clean.shape[2:]) < _WINDOW:
        raise ValueError(f"pictures must have at least {_WINDOW} pixels on each side, got {tuple(clean.shape)}")
    from torchmetrics.functional.image import structural_similarity_index_measure

    found = structural_similarity_index_measure(
        restored.clamp(0, 1),
        clean,
        data_range=1.0,
        kernel_size=_WINDOW,
        sigma=1.5,
        reduction="none",
        return_full_image=True,
    )
    inside = slice(_WINDOW // 2, -(_WINDOW // 2))
    # torchmetrics averages over places where the window looks beyond the border too, at a mirrored picture
    return found[1][:, :, inside, inside].mean(dim=(1, 2, 3))


def _same_shape(restored: Tensor, clean: Tensor) -> None:
    if restored.shape != clean.shape:
        raise ValueError(f"pictures must have one shape, got {tuple(restored.shape)} and {tuple(clean.shape)}")
