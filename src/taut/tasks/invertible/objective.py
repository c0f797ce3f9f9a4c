"""The losses of an invertible network, as one module: what several processes share the work of."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from taut.errors import UserError
from taut.functional import log_det_estimate, roulette_weights
from taut.losses import mmd
from taut.models import InvertibleNetwork
from taut.models.invertible import normal_log_density
from taut.tasks.invertible.config import LossConfig

MOST_EXACT = 8
"""Dimensions up to which "auto" takes the exact determinant."""


class Objective(nn.Module):
    """(samples, latents) -> the scalars of `config.loss`, "loss" being their sum."""

    def __init__(self, network: InvertibleNetwork, config: LossConfig) -> None:
        super().__init__()
        self.network, self.config = network, config

    def forward(self, x: Tensor, latents: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        chosen, found = self.config.loss, {}
        if chosen == "likelihood":
            found["nll"] = -self._log_prob(x, generator).mean()
        if chosen in ("mmd-forward", "mmd-both"):
            found["forward"] = self.mmd(self.network(x), latents)
        if chosen in ("mmd-inverse", "mmd-both"):
            found["inverse"] = self.mmd(self.network.first(self._inverse(latents)), self.network.first(x))
        return {"loss": torch.stack(list(found.values())).sum(), **found}

    def mmd(self, x: Tensor, y: Tensor, *, unbiased: bool = True) -> Tensor:
        """MMD^2 with the kernel of the configuration."""
        options: dict[str, Any] = {"kernel": self.config.kernel, "bandwidths": self.config.bandwidths}
        return mmd(x, y, unbiased=unbiased, **options)

    def _inverse(self, latents: Tensor) -> Tensor:
        try:
            return self.network.inverse(latents, block_tolerance=self.config.block_tolerance)
        except (RuntimeError, ValueError) as error:
            raise UserError(
                f"the inverse cannot be computed in training: {error} (try a larger --block-tolerance, a smaller "
                "--lipschitz or --lr, or --precision 64-true)"
            ) from error

    def _log_prob(self, x: Tensor, generator: torch.Generator) -> Tensor:
        chosen = self.config.log_det
        if chosen == "exact" or (chosen == "auto" and x.shape[1] <= MOST_EXACT):
            return self.network.log_prob(x)
        with parametrize.cached():
            z, total = self.network.first(x), self.network.first.scale.log().sum()
            for block in self.network.residuals():
                weights = [1.0] * self.config.terms
                if chosen != "series":
                    weights = roulette_weights(block.lipschitz, exact_terms=self.config.terms, generator=generator)
                z, found = log_det_estimate(block.residual, z, terms=len(weights), weights=weights, generator=generator)
                total = total + found
        return normal_log_density(z) + total
