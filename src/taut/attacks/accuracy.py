"""Accuracy under attack over a whole split, decided in float64, the arithmetic in which certificates hold."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from taut.attacks.gradients import margins
from taut.attacks.pgd import pgd


@dataclass(frozen=True)
class AttackResult:
    """For each sample, the smallest radius at which it was changed into a misclassified one."""

    broken_at: Float[Tensor, " samples"]
    """That radius; 0 where the input itself is misclassified or tied, infinity where no attack succeeded."""
    example: Float[Tensor, "samples *shape"]
    """The misclassified point, in float64; the input itself where there is none."""

    def correct(self, eps: float) -> Bool[Tensor, " samples"]:
        """Whether each sample is still classified correctly after all attacks of radius up to `eps`."""
        return self.broken_at > eps

    def accuracy(self, eps: float) -> float:
        """Fraction of samples of which `correct(eps)` holds."""
        return float(self.correct(eps).double().mean())


def attack_accuracy(
    model: nn.Module,
    inputs: Float[Tensor, "samples *shape"],
    labels: Int64[Tensor, " samples"],
    radii: Sequence[float],
    *,
    norm: str = "l2",
    steps: int = 20,
    restarts: int = 2,
    loss: str = "both",
    seed: int = 0,
    batch_size: int = 500,
    device: torch.device | str = "cpu",
    advance: Callable[[int], None] = lambda _: None,
    guide: nn.Module | None = None,
) -> AttackResult:
    """Attack every sample at each of `radii`, smallest first; what is broken stays broken, since the balls are nested.

    The search runs in the model's own precision, or in float32 where that is lower; a success counts only when the
    float64 model misclassifies the point as well.

    Args:
        model: A folded classifier that returns logits.
        inputs: In [0, 1].
        labels: True classes.
        radii: Radii in input units.
        norm: str of the balls.
        steps: Gradient steps per restart.
        restarts: Restarts per sample and radius.
        loss: See `pgd`.
        seed: Of the random starting points.
        batch_size: Samples attacked at a time.
        device: Where to compute.
        advance: Called with the number of (sample, radius) pairs done so far.
        guide: Searched instead of `model`, where its own gradients show too little; `model` judges all the same.
    """
    judge = copy.deepcopy(model).to(device).eval().requires_grad_(False)
    searched = judge if guide is None else copy.deepcopy(guide).to(device).eval().requires_grad_(False)
    judge = copy.deepcopy(judge).double()
    dtype = searchable(searched)
    generator = torch.Generator().manual_seed(seed)
    example = inputs.double().clone()
    broken_at = torch.full((len(inputs),), math.inf, dtype=torch.float64)
    done = 0
    for start in range(0, len(inputs), batch_size):
        rows = slice(start, start + batch_size)
        broken_at[rows][~_correct(judge, example[rows].to(device), labels[rows].to(device)).cpu()] = 0
        for eps in sorted(radii):
            left = start + torch.nonzero(torch.isinf(broken_at[rows])).squeeze(1)
            if len(left):
                point, target = inputs[left].to(device, dtype), labels[left].to(device)
                found = pgd(
                    searched,
                    point,
                    target,
                    eps=eps,
                    norm=norm,
                    steps=steps,
                    restarts=restarts,
                    loss=loss,
                    generator=generator,
                ).double()
                broken = ~_correct(judge, found, target).cpu()
                broken_at[left[broken]] = eps
                example[left[broken]] = found.cpu()[broken]
            done += len(inputs[rows])
            advance(done)
    return AttackResult(broken_at, example)


def searchable(model: nn.Module) -> torch.dtype:
    """The precision in which `model`, brought to it in place, is searched: its own, float32 at least.

    In bfloat16 and float16 a point cannot be moved by a radius of usual size and stay in the ball.
    """
    dtype = next((parameter.dtype for parameter in model.parameters()), torch.float32)
    if torch.finfo(dtype).bits >= 32:
        return dtype
    model.float()
    return torch.float32


@torch.no_grad()
def _correct(model: nn.Module, points: Tensor, labels: Tensor) -> Tensor:
    return margins(model(points), labels) > 0
