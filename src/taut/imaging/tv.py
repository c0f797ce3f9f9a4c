r"""The proximal operator of total variation: the classical denoiser that learned ones are compared with."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from taut.imaging.denoiser import as_batch


class TVDenoiser(nn.Module):
    r"""prox of weight TV: argmin_u |u - x|^2 / 2 + weight TV(u), firmly nonexpansive in l2 by theorem: theta = 1/2.

    TV is isotropic, of forward differences, each channel by itself. The constants are those of the exact minimiser;
    scikit-image computes it by Chambolle's iteration, which stops when its objective changes by less than `tolerance`,
    relative, or after `iterations`. So the map that runs is within a distance of an averaged one that tolerance and
    iterations decide, and fixed-point residuals fall to that distance and not below.

    Shapes: (batch, channels, height, width) or (channels, height, width). Units: weight in those of the images. The
    sigma of deepinv's calling form is not used. No gradient flows.

    Raises ValueError when weight, channels, iterations or tolerance are not positive; when called, for an image of
    another number of channels (one channel takes any); ImportError without scikit-image.

    Source: Chambolle (2004), "An algorithm for total variation minimization and applications"; Moreau (1965).

    >>> step = torch.tensor([[[0.0, 0.0, 1.0, 1.0]] * 4])
    >>> TVDenoiser(weight=0.1)(step)[0, 0].round(decimals=2)  # both sides move by weight / 2
    tensor([0.0500, 0.0500, 0.9500, 0.9500])
    """

    lipschitz_bound: float = 1.0
    network_bound: float = 1.0
    reflected_bound: float = 1.0
    residual_bound: float = 1.0
    averaged: float | None = 0.5
    nonexpansive: bool = True
    sigma: float | None = None

    def __init__(
        self, *, weight: float, channels: int = 1, iterations: int = 200, tolerance: float = 1e-5, name: str = "tv"
    ) -> None:
        super().__init__()
        if not 0.0 < weight < math.inf:
            raise ValueError(f"weight must be positive and finite, got {weight}")
        if channels < 1 or iterations < 1 or not tolerance > 0.0:
            raise ValueError(
                f"channels, iterations and tolerance must be positive, got {channels}, {iterations} and {tolerance}"
            )
        self.weight, self.channels, self.name = float(weight), channels, name
        self.iterations, self.tolerance = iterations, tolerance

    @torch.no_grad()
    def forward(
        self, x: Float[Tensor, "... height width"], sigma: float | Tensor | None = None
    ) -> Float[Tensor, "... height width"]:
        """The minimiser for each channel of each image."""
        del sigma
        from skimage.restoration import denoise_tv_chambolle

        images = as_batch(x)
        if self.channels not in (1, images.shape[1]):
            raise ValueError(f"{self.name} takes images of {self.channels} channels, got {images.shape[1]}")
        planes = images.detach().cpu().double().flatten(0, 1).numpy()
        done = [
            torch.from_numpy(
                denoise_tv_chambolle(plane, weight=self.weight, eps=self.tolerance, max_num_iter=self.iterations)
            )
            for plane in planes
        ]
        return torch.stack(done).to(x.device, x.dtype).reshape(x.shape)

    def extra_repr(self) -> str:
        return f"weight={self.weight:g}, channels={self.channels}"


def tv_denoiser(*, weight: float, channels: int = 1) -> TVDenoiser:
    """The proximal operator of weight TV, with the attributes of a `Denoiser`: theta = 1/2, by theorem."""
    return TVDenoiser(weight=weight, channels=channels)
