"""Any attack by its name on any classifier: one way to call them, one way to judge them."""

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, SupportsFloat, cast

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from taut.attacks.accuracy import AttackResult, searchable
from taut.attacks.batch import Batch
from taut.attacks.checks import check_logits, check_options
from taut.attacks.methods import METHODS, Settings, settings, stages
from taut.nn import fold


@dataclass(frozen=True, kw_only=True)
class AttackOutcome:
    """What an attack reached, judged by the float64 model."""

    settings: Settings
    """The attack, with every option that it ran with."""
    radii: tuple[float, ...]
    """At which it ran; those asked for, where it looks for the nearest point."""
    result: AttackResult
    """`broken_at` is the distance, in float64, of the nearest misclassified point that was found."""

    @property
    def minimal(self) -> bool:
        """Whether distances were made small, rather than a radius used up."""
        return METHODS[self.settings.name].minimal

    def distances(self) -> Float[Tensor, " correct"]:
        """Of the correctly classified samples; infinity where nothing was found. Upper bounds of the true distances."""
        return self.result.broken_at[self.result.broken_at > 0]

    def success_rate(self) -> float:
        """Fraction of the correctly classified samples that the attack changed, within the largest radius if it is one
        within radii; NaN where none is correct."""
        reached = self.distances() if self.minimal else self.distances() - max(self.radii)
        return float((torch.isfinite(reached) if self.minimal else reached <= 0).double().mean())


def run_attack(
    name: str,
    model: nn.Module,
    inputs: Float[Tensor, "samples *shape"],
    labels: Shaped[Tensor, " samples"],
    *,
    eps: SupportsFloat | Iterable[SupportsFloat] | None = None,
    norm: str = "l2",
    steps: int | None = None,
    restarts: int | None = None,
    loss: str | None = None,
    seed: int = 0,
    batch_size: int = 500,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    guide: nn.Module | None = None,
) -> AttackOutcome:
    r"""The nearest misclassified point that the attack finds for each sample, with its distance in `norm`: an upper
    bound of the distance to the boundary, judged by the float64 model.

    The search runs on the folded form, in the model's own precision, or in float32 where that is lower: no step of a
    usual size survives its rounding. A point counts only if the float64 model
    misclassifies it; its distance is computed in float64; it lies in the box [0, 1]. What breaks a sample at one
    radius counts at every larger one. Points of attacks for the nearest one are drawn back to the boundary by
    bisection.

    Args:
        name: fgsm, pgd, apgd, apgd-dlr, square, auto (within radii); deepfool, cw, boundary, hopskipjump, ddn, fmn, fab
            (nearest point).
        model: A classifier that returns logits, folded or not; it is left alone.
        inputs: In [0, 1].
        labels: True classes, whole numbers.
        eps: Radius or radii in input units; needed by the attacks within radii.
        norm: "l2" or "linf".
        steps: As each attack counts them; its own number when None.
        restarts: Of the attacks that have them.
        loss: Of fgsm and pgd.
        seed: Of all random numbers.
        batch_size: Samples attacked at a time.
        device: Where to compute.
        progress: Called with the work done and all of it.
        guide: Searched instead of `model`, where its own gradients show too little; `model`, which must
            be folded then, judges all the same.

    Raises:
        ValueError: Options that the attack lacks, inputs outside the box, outputs that are no logits, labels outside
            the classes, a model without a gradient or with one that is not finite, or a package that is not
            installed.

    Example:
        >>> model = nn.Linear(2, 2, bias=False)
        >>> with torch.no_grad():
        ...     _ = model.weight.copy_(torch.eye(2))
        >>> outcome = run_attack("fab", model, torch.tensor([[0.6, 0.5]]), torch.tensor([0]))
        >>> round(float(outcome.result.broken_at), 6)  # 0.1 / sqrt(2)
        0.070711
    """
    chosen = settings(name, norm=norm, steps=steps, restarts=restarts, loss=loss)
    radii = _radii(name, eps)
    check_options(inputs)
    labels = _checked_labels(labels)
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    plain = fold(model) if guide is None else copy.deepcopy(model)
    plain = plain.to(device).eval().requires_grad_(False)
    judge = copy.deepcopy(plain).double()
    searched = plain if guide is None else copy.deepcopy(guide).to(device).eval().requires_grad_(False)
    dtype = searchable(searched)
    if len(inputs):
        check_logits(searched, inputs[:64].to(device, dtype))
        _check_labels(searched, inputs[:1].to(device, dtype), labels, len(inputs))
    generator = torch.Generator().manual_seed(seed)
    example, broken_at = inputs.double().clone(), torch.full((len(inputs),), math.inf, dtype=torch.float64)
    plan = [(stage, at) for stage in stages(chosen) for at in (radii if not METHODS[stage.name].minimal else (None,))]
    for start in range(0, len(inputs), batch_size):
        rows = slice(start, min(start + batch_size, len(inputs)))
        work = Batch(searched, judge, inputs[rows].to(device), labels[rows].to(device), dtype, norm, seed)
        for place, (stage, at) in enumerate(plan, 1):
            work.attack(stage, at, radii, generator)
            if progress is not None:
                done = start * len(plan) + place * (rows.stop - start)
                progress(done, len(inputs) * len(plan))
        broken_at[rows], example[rows] = work.broken_at.cpu(), work.example.cpu()
    return AttackOutcome(settings=chosen, radii=radii, result=AttackResult(broken_at, example))


def _radii(name: str, eps: SupportsFloat | Iterable[SupportsFloat] | None) -> tuple[float, ...]:
    several = hasattr(eps, "__iter__") and getattr(eps, "ndim", 1) > 0  # a tensor of no dimension is one number
    given: tuple[Any, ...] = () if eps is None else tuple(cast("Any", eps)) if several else (eps,)
    radii = tuple(sorted(float(radius) for radius in given))
    if any(isinstance(radius, bool) for radius in given) or not all(0 < radius < math.inf for radius in radii):
        raise ValueError(f"eps must be positive numbers, got {eps}")
    if not radii and not METHODS[name].minimal:
        raise ValueError(f"{name} attacks within a radius: give eps")
    return radii


def _checked_labels(labels: Tensor) -> Tensor:
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise ValueError(f"labels must be whole numbers, got {labels.dtype}")
    return labels.long()


def _check_labels(model: nn.Module, one: Tensor, labels: Tensor, samples: int) -> None:
    classes = model(one).shape[1]
    if labels.shape != (samples,):
        raise ValueError(
            f"there must be a label for each of {samples} samples, got labels of shape {tuple(labels.shape)}"
        )
    if len(labels) and not (int(labels.min()) >= 0 and int(labels.max()) < classes):
        raise ValueError(f"labels must lie in 0 .. {classes - 1}, got {int(labels.min())} .. {int(labels.max())}")
