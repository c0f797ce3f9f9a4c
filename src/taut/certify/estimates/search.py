"""The three searches for a pair of points with a large ratio, and how they share the budget.

"pairs": the steepest pairs of the data, halved until they are near. "jacobian": the norm of the Jacobian at the data.
"attack": displaced pairs at several lengths, whose points and direction follow the gradient. The best of all then go on
by perturb and keep: of a network that is linear in pieces the Jacobian is constant in each, so that its gradient is
zero; what can be followed is the gradient at a larger length, and chance.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from taut.certify.breakdown import Norm
from taut.certify.estimates.lengths import ascent, drawn, lengths, per_sample
from taut.certify.estimates.pairs import Pairs, Slopes, pairs, together

SEARCHES = ("pairs", "jacobian", "attack")
_PAIRS, _JACOBIAN, _ATTACK = range(3)

NEAR = 1e-5
"""Half the length of a near pair, in sizes of the data: small against the pieces, large against rounding."""
_PAIR_ENTRIES = 2**24
_MOST_COMPARED = 512
_SAME = 1e-8
_STEPS = (-2.5, 0.5)
"""Decimal exponents of the steps, in sizes of the data."""
_TURNS = ("noise", "new", "gradient", "noise")


class Search:
    """The best pairs so far, at most `capacity`."""

    def __init__(
        self,
        slopes: Slopes,
        inputs: Float[Tensor, "batch *shape"],
        *,
        capacity: int,
        generator: torch.Generator,
    ) -> None:
        self.slopes = slopes
        self.budget = slopes.budget
        self.norm: Norm = slopes.norm
        self.inputs = inputs
        self.capacity = capacity
        self.generator = generator
        size = float(lengths(inputs, self.norm).median())
        self.size = size if size > 0.0 else 1.0
        self.near = NEAR * self.size
        self._outputs: int | None = None
        self.best = pairs(inputs[:0], inputs[:0], _JACOBIAN)

    def run(self) -> Pairs:
        """All searches; the pairs found, the steepest first."""
        self.points(until=0.25)
        if not self.outputs():
            return self.best
        self.data_pairs()
        self.rows(until=0.45)
        self.attacks(until=0.6)
        self.perturb()
        return self.best

    def outputs(self) -> int:
        """How many numbers the network returns for a sample."""
        if self._outputs is None:
            self._outputs = self.slopes.values(self.inputs[:1]).shape[1]
        return self._outputs

    def keep(self, found: Pairs) -> None:
        """Take new pairs among the best; of those with one ratio, which lie in one piece of the network, the first."""
        everything = together(self.best, found)
        everything = everything[torch.argsort(everything.ratio, descending=True, stable=True)]
        new = everything.ratio[1:] < everything.ratio[:-1] * (1.0 - _SAME)
        everything = everything[torch.cat([new.new_ones(1), new])]
        self.best = everything[slice(self.capacity)]
        self.budget.tell(float(self.best.ratio[0]) if len(self.best) else 0.0)

    def draw(self, count: int) -> Tensor:
        """Some of the data, without repetition while there are enough."""
        order = torch.randperm(len(self.inputs), generator=self.generator)
        order = order.repeat(-(-count // len(order)))[:count]
        return self.inputs[order.to(self.inputs.device)]

    def points(self, *, until: float) -> None:
        """The power method at the data, from random directions."""
        for chunk in self.draw(max(len(self.inputs), self.capacity)).split(self.capacity):
            start = pairs(chunk, self.near * drawn(chunk, self.norm, self.generator), _JACOBIAN)
            self.keep(self.slopes.climb(start, steps=6))
            if not self.budget.left(until):
                return

    def data_pairs(self) -> None:
        """The pairs of the data with the largest ratios, halved, then climbing."""
        count = min(len(self.inputs), _MOST_COMPARED, max(1, _PAIR_ENTRIES // max(1, self.inputs[0].numel())))
        count = min(count, int(0.1 * (1.0 - self.budget.share()) * self.budget.evaluations))
        if count < 2 or not self.budget.left(0.5):
            return
        points = self.draw(count)
        order = 2.0 if self.norm == "l2" else torch.inf
        rise, gap = (
            torch.cdist(x, x, p=order, compute_mode="donot_use_mm_for_euclid_dist")
            for x in (self.slopes.values(points), points.flatten(1))
        )
        ratio = torch.where(gap > 0.0, rise / gap, 0.0).triu(1).nan_to_num(0.0, posinf=0.0)
        chosen = ratio.flatten().topk(min(self.capacity, count * (count - 1) // 2)).indices
        first, second = points[chosen // count], points[chosen % count]
        far = pairs((first + second) / 2, (first - second) / 2, _PAIRS)
        measured, _, _ = self.slopes.measure(far)
        self.keep(measured)
        self.keep(self.slopes.climb(self.slopes.halved(measured, length=self.near), steps=3))

    def rows(self, *, until: float) -> None:
        """In linf the best direction belongs to one output: try each at the best point, and the power method after."""
        if self.norm != "linf" or not len(self.best):
            return
        for rows in torch.arange(self.outputs(), device=self.inputs.device).split(self.capacity):
            if not self.budget.left(until):
                return
            start = self.best[torch.zeros_like(rows)]
            self.keep(self.slopes.climb(self.along_rows(start, rows), steps=2))

    def along_rows(self, start: Pairs, rows: Tensor) -> Pairs:
        """The pairs turned to where these outputs grow most."""
        start = pairs(start.middle, self.near * drawn(start.middle, self.norm, self.generator), _JACOBIAN)
        _, first, second = self.slopes.measure(start, rows=rows)
        return self.slopes.turned(start, first + second)

    def attacks(self, *, until: float) -> None:
        """Displaced pairs of several lengths, from the data, that climb and are halved."""
        scales = torch.tensor([0.3, 0.1, 0.03, 0.01], dtype=torch.float64)
        while self.budget.left(until):
            middle = self.draw(self.capacity)
            length = per_sample(self.size * scales.repeat(self.capacity)[: self.capacity], middle).to(middle)
            start = pairs(middle, length * drawn(middle, self.norm, self.generator), _ATTACK)
            far = self.slopes.climb(start, steps=8, move=0.3)
            self.keep(far)
            self.keep(self.slopes.climb(self.slopes.halved(far, length=self.near), steps=3))

    def perturb(self) -> None:
        """Move the best pairs, by chance and along the gradient of a longer pair; draw new ones; keep the steepest."""
        turn = 0
        while self.budget.left() and len(self.best):
            self.keep(self.slopes.climb(self._moved(turn), steps=3))
            turn += 1

    def _moved(self, turn: int) -> Pairs:
        best = self.best[torch.arange(self.capacity) % len(self.best)]
        exponent = torch.empty(self.capacity, dtype=torch.float64).uniform_(*_STEPS, generator=self.generator)
        length = per_sample(self.size * 10.0 ** exponent.to(best.middle.device), best.middle)
        noise = drawn(best.middle, self.norm, self.generator)
        near = self.near * ascent(best.half, self.norm)
        kind = turn % len(_TURNS)
        if _TURNS[kind] == "gradient":
            longer = pairs(best.middle, length * ascent(best.half, self.norm), _JACOBIAN)
            _, first, second = self.slopes.measure(longer)
            moved = best.middle + length * ascent(first - second, self.norm)
        elif _TURNS[kind] == "new":
            moved = self.draw(self.capacity) + length * noise
            near = self.near * drawn(moved, self.norm, self.generator)
        else:
            moved = best.middle + length * noise
        start = Pairs(middle=moved, half=near, ratio=torch.zeros_like(best.ratio), origin=best.origin)
        if self.norm == "linf" and kind % 2:
            rows = torch.randint(self.outputs(), (len(moved),), generator=self.generator).to(moved.device)
            return self.along_rows(start, rows)
        return start
