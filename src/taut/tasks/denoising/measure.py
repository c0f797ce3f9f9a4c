"""Denoisers on whole held-out pictures: PSNR and SSIM of each, on the same noise, beside total variation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from taut.data.images import ImageSet
from taut.imaging import tv_denoiser
from taut.imaging.metrics import psnr, ssim
from taut.training.seeding import stream

Restore = Callable[[Tensor], Tensor]

SHOWN = 3
"""Pictures of each set that are kept with all that was made of them."""

_TUNING_PICTURES = 12
_TUNING_SIDE = 180
_TUNING_ROUNDS = 9
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One method on one set."""

    psnr: Tensor
    """Of each picture, in dB, float64."""
    ssim: Tensor
    """Of each picture, float64."""
    shown: tuple[Tensor, ...]
    """The first pictures that it made."""

    def means(self) -> dict[str, float]:
        """Over the pictures of the set, as the field reports them."""
        return {"psnr": float(self.psnr.mean()), "ssim": float(self.ssim.mean())}


def noisy_picture(pictures: ImageSet, index: int, sigma: float) -> Tensor:
    """A picture of a set with noise of level `sigma` / 255 that is the same for every method, run and seed; not
    clipped."""
    clean = pictures.picture(index)
    noise = torch.randn(clean.shape, generator=stream("noise", pictures.name, index))
    return clean + sigma / 255 * noise


@torch.no_grad()
def measure(restore: Restore, pictures: ImageSet, *, sigma: float, count: int) -> Measured:
    """`restore` on the first `count` pictures of a set."""
    signal, likeness, shown = [], [], []
    for index in range(count):
        made = restore(noisy_picture(pictures, index, sigma)[None])
        clean = pictures.picture(index)[None]
        signal.append(psnr(made.double(), clean.double()))
        likeness.append(ssim(made.double(), clean.double()))
        if index < SHOWN:
            shown.append(made[0])
    return Measured(psnr=torch.cat(signal), ssim=torch.cat(likeness), shown=tuple(shown))


def tune_tv(pictures: ImageSet, *, sigma: float) -> float:
    """The weight of total variation with the best mean PSNR on some training pictures, by golden section.

    It is searched for between 0.05 and 2 times the noise level, to 2 % of it; large pictures are cut to 180 x 180.
    """
    clean, noisy = [], []
    for index in range(0, len(pictures), max(1, len(pictures) // _TUNING_PICTURES)):
        clean.append(pictures.picture(index)[:, :_TUNING_SIDE, :_TUNING_SIDE])
        noisy.append(noisy_picture(pictures, index, sigma)[:, :_TUNING_SIDE, :_TUNING_SIDE])

    def value(factor: float) -> float:
        restore = tv_denoiser(weight=factor * sigma / 255)
        found = [float(psnr(restore(y[None]), x[None])) for x, y in zip(clean, noisy, strict=True)]
        return sum(found) / len(found)

    low, high = 0.05, 2.0
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = value(left), value(right)
    for _ in range(_TUNING_ROUNDS):
        if at_left > at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = value(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = value(right)
    return (low + high) / 2 * sigma / 255


def looked_at(denoisers: Mapping[str, nn.Module], pictures: ImageSet, *, sigma: float, count: int) -> dict[str, Any]:
    """Figures for the log while training."""
    figures: dict[str, Any] = {}
    for name, denoiser in denoisers.items():
        found = measure(denoiser, pictures, sigma=sigma, count=count).means()
        prefix = "" if name == "denoiser" else f"{name}_"
        figures |= {f"{prefix}{key}": value for key, value in found.items()}
    return figures
