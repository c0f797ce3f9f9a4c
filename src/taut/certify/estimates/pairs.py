r"""Pairs of points as middle +- half, the ratio |f(a) - f(b)| / |a - b| of each, and ways to a larger one.

For a fixed middle and length, the direction follows the gradient of the ratio's numerator: half <- the direction that
has the largest product with J(a)^T u + J(b)^T u, where u is the functional of dual length 1 that attains
|f(a) - f(b)|. At a small length this is the power method for the norm of the Jacobian J, in any norm (Boyd 1974, "The
power method for l^p norms"), and never decreases. No forward-mode derivative is needed, and no derivative is trusted:
only the ratio counts, at which kinks tell no lies.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from taut.certify.breakdown import Norm
from taut.certify.estimates.budget import Budget
from taut.certify.estimates.lengths import ascent, functional, lengths, per_sample


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """a = middle + half, b = middle - half, and what is known of their ratio (0 before it is measured)."""

    middle: Float[Tensor, "batch *shape"]
    half: Float[Tensor, "batch *shape"]
    ratio: Float[Tensor, " batch"]
    origin: Int[Tensor, " batch"]
    """Number of the search that the pair comes from."""

    def __len__(self) -> int:
        return len(self.middle)

    def __getitem__(self, index: Tensor | slice) -> "Pairs":
        return Pairs(
            middle=self.middle[index], half=self.half[index], ratio=self.ratio[index], origin=self.origin[index]
        )

    def ends(self) -> Float[Tensor, "both *shape"]:
        """All first points, then all second points."""
        return torch.cat([self.middle + self.half, self.middle - self.half])


def pairs(middle: Float[Tensor, "batch *shape"], half: Float[Tensor, "batch *shape"], origin: int) -> Pairs:
    """Pairs that are not measured yet."""
    ratio = torch.zeros(len(middle), dtype=torch.float64, device=middle.device)
    return Pairs(middle=middle, half=half, ratio=ratio, origin=torch.full_like(ratio, origin, dtype=torch.int64))


def together(*parts: Pairs) -> Pairs:
    """One after the other."""
    return Pairs(
        middle=torch.cat([part.middle for part in parts]),
        half=torch.cat([part.half for part in parts]),
        ratio=torch.cat([part.ratio for part in parts]),
        origin=torch.cat([part.origin for part in parts]),
    )


def larger(old: Pairs, new: Pairs) -> Pairs:
    """The one with the larger ratio, place by place."""
    better = new.ratio > old.ratio
    wide = per_sample(better, old.middle)
    return Pairs(
        middle=torch.where(wide, new.middle, old.middle),
        half=torch.where(wide, new.half, old.half),
        ratio=torch.where(better, new.ratio, old.ratio),
        origin=torch.where(better, new.origin, old.origin),
    )


class Slopes:
    """A network whose pairs are measured, a few samples at a time, within a budget."""

    def __init__(self, twin: nn.Module, norm: Norm, *, batch_size: int, budget: Budget) -> None:
        self.twin = twin
        self.norm: Norm = norm
        self.batch_size = batch_size
        self.budget = budget

    @torch.no_grad()
    def values(self, points: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch out"]:
        """Outputs, flat."""
        self.budget.spend(len(points))
        return torch.cat([self.twin(part.clone()).flatten(1) for part in points.split(self.batch_size)])

    def measure(
        self, found: Pairs, *, rows: Int[Tensor, " batch"] | None = None
    ) -> tuple[Pairs, Float[Tensor, "batch *shape"], Float[Tensor, "batch *shape"]]:
        """The pairs with their ratios, and J(a)^T u and J(b)^T u; with `rows`, u reads this one output."""
        ratios, firsts, seconds = [], [], []
        size = max(1, self.batch_size // 2)
        for start in range(0, len(found), size):
            part = found[start : start + size]
            ratio, gradient = self._measure(part, None if rows is None else rows[start : start + size])
            ratios.append(ratio)
            firsts.append(gradient[: len(part)])
            seconds.append(-gradient[len(part) :])
        measured = Pairs(middle=found.middle, half=found.half, ratio=torch.cat(ratios), origin=found.origin)
        return measured, torch.cat(firsts), torch.cat(seconds)

    def _measure(self, part: Pairs, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        ends = part.ends().requires_grad_()
        self.budget.spend(len(ends))
        with torch.enable_grad():
            out = self.twin(ends.clone()).flatten(1)  # a clone: the first layer may work in place
            difference = out[: len(part)] - out[len(part) :]
        rise = difference.detach()
        weight = functional(rise, self.norm) if rows is None else nn.functional.one_hot(rows, rise.shape[1]).to(rise)
        gradient = torch.zeros_like(ends)
        if difference.requires_grad:
            (found,) = torch.autograd.grad(difference, ends, weight, allow_unused=True)
            gradient = gradient if found is None else found
        near = ends.detach()
        ratio = lengths(rise, self.norm) / lengths(near[: len(part)] - near[len(part) :], self.norm)
        return torch.where(ratio.isfinite(), ratio, 0.0), torch.where(gradient.isfinite(), gradient, 0.0)

    def climb(self, found: Pairs, *, steps: int, move: float = 0.0) -> Pairs:
        """Follow the direction's gradient; with `move`, the middle's as well, in steps of so many lengths."""
        best = found
        for step in range(steps):
            found, first, second = self.measure(found)
            best = found if step == 0 else larger(best, found)
            found = self.turned(found, first + second)
            if move:
                length = per_sample(lengths(found.half, self.norm), found.half)
                middle = found.middle + move * length * ascent(first - second, self.norm)
                found = Pairs(middle=middle, half=found.half, ratio=found.ratio, origin=found.origin)
        return best

    def turned(self, found: Pairs, gradient: Float[Tensor, "batch *shape"]) -> Pairs:
        """The same pairs in the direction of the gradient, where there is one."""
        direction = ascent(gradient, self.norm)
        length = per_sample(lengths(found.half, self.norm), found.half)
        there = per_sample(direction.flatten(1).any(dim=1), found.half)
        half = torch.where(there, length * direction, found.half)
        return Pairs(middle=found.middle, half=half, ratio=found.ratio, origin=found.origin)

    def halved(self, found: Pairs, *, length: float) -> Pairs:
        """Halve the pairs until none is longer than 2 `length`. One half has a ratio at least that of the whole."""
        while len(found) and float(lengths(found.half, self.norm).amax()) > length:
            ends = self.values(torch.cat([found.ends(), found.middle]))
            first, second, middle = ends.chunk(3)
            upper = lengths(first - middle, self.norm) > lengths(middle - second, self.norm)
            sign = per_sample(torch.where(upper, 0.5, -0.5), found.half).to(found.half)
            found = Pairs(
                middle=found.middle + sign * found.half, half=found.half / 2, ratio=found.ratio, origin=found.origin
            )
        return found
