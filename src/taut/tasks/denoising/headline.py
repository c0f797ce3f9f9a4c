"""The numbers by which denoisers are compared."""

from collections.abc import Mapping
from typing import Any

from taut.tasks.headline import Headline


def headline(figures: Mapping[str, Any]) -> list[Headline]:
    """Quality on each held-out set, what it is above total variation, and the constant that was proven."""
    numbers = []
    for name, found in figures["sets"].items():
        psnr, ssim = found["denoiser"]["psnr"], found["denoiser"]["ssim"]
        numbers += [
            Headline(name=f"{name} PSNR", value=psnr, better="higher"),
            Headline(name=f"{name} above TV", value=psnr - found["tv"]["psnr"], better="higher"),
            Headline(name=f"{name} SSIM", value=ssim, better="higher"),
        ]
    return [*numbers, Headline(name="proven constant", value=figures["lipschitz_bound"], better=None)]
