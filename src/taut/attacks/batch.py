"""Some samples under attack: one stage after the other, on those that still stand."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from taut.attacks.apgd import apgd
from taut.attacks.ball import distance
from taut.attacks.fab import fab
from taut.attacks.fgsm import fgsm
from taut.attacks.foolbox_adapter import foolbox_search
from taut.attacks.methods import Settings
from taut.attacks.nearest import is_broken, settle
from taut.attacks.pgd import pgd
from taut.attacks.square import square


class Batch:
    """Samples under attack, with the nearest misclassified point that is known of each."""

    def __init__(
        self,
        model: nn.Module,
        judge: nn.Module,
        inputs: Tensor,
        labels: Tensor,
        dtype: torch.dtype,
        norm: str,
        seed: int,
    ) -> None:
        self.model, self.judge, self.labels, self.norm, self.seed = model, judge, labels, norm, seed
        self.points, self.exact = inputs.to(dtype), inputs.double()
        self.example = self.exact.clone()
        wrong = is_broken(judge, self.exact, labels)
        self.broken_at = torch.where(wrong, 0.0, math.inf).double()

    def attack(self, stage: Settings, at: float | None, radii: Sequence[float], generator: torch.Generator) -> None:
        """Run one attack on the samples that still stand: at its radius, or at the smallest of all."""
        limit = at if at is not None else min(radii, default=0.0)
        left = torch.nonzero(self.broken_at > limit).squeeze(1)
        if not len(left):
            return
        inputs, labels = self.points[left], self.labels[left]
        if at is not None:
            found = within(stage, self.model, inputs, labels, at, generator).double()
            broken = is_broken(self.judge, found, labels)
        else:
            found = self._nearest(stage, inputs, labels, generator)
            found, broken = settle(self.judge, self.exact[left], labels, found)
        size = distance(found, self.exact[left], self.norm)
        closer = broken & (size < self.broken_at[left])
        self.broken_at[left[closer]] = size[closer]
        self.example[left[closer]] = found[closer]

    def _nearest(self, stage: Settings, inputs: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        steps = stage.steps or 1
        if stage.name == "fab":
            restarts = stage.restarts or 1
            return fab(self.model, inputs, labels, norm=self.norm, steps=steps, restarts=restarts, generator=generator)
        return foolbox_search(
            stage.name, self.model, inputs, labels, norm=self.norm, steps=steps, seed=self.seed, pool=self.points
        )


def within(
    stage: Settings,
    model: nn.Module,
    inputs: Float[Tensor, "batch *shape"],
    labels: Int64[Tensor, " batch"],
    eps: float,
    generator: torch.Generator,
) -> Float[Tensor, "batch *shape"]:
    """The worst point within `eps` that one of the attacks within a radius finds."""
    steps, restarts, norm = stage.steps or 1, stage.restarts or 1, stage.norm
    if stage.name == "fgsm":
        loss = "margin" if stage.loss == "margin" else "cross-entropy"
        return fgsm(model, inputs, labels, eps=eps, norm=norm, loss=loss)
    if stage.name == "pgd":
        loss = stage.loss or "both"
        return pgd(
            model, inputs, labels, eps=eps, norm=norm, steps=steps, restarts=restarts, loss=loss, generator=generator
        )
    if stage.name == "square":
        return square(model, inputs, labels, eps=eps, norm=norm, steps=steps, generator=generator)
    loss = "dlr" if stage.name == "apgd-dlr" else "cross-entropy"
    return apgd(
        model, inputs, labels, eps=eps, norm=norm, steps=steps, restarts=restarts, loss=loss, generator=generator
    )
