r"""Search for rounding errors that break a certified radius, in the manner of the published floating-point attacks.

A margin computed in floating point divided by a Lipschitz constant computed in floating point is no certificate: near
the border of the ball the rounding of the forward pass decides. The search goes to where the margin is smallest, in the
direction in which it falls fastest, at the whole radius; there it tries neighbouring points of the grid of floating
point numbers, each in several orders of summation. Every point that counts is in the ball by exact rational distance.

Sources: Jia and Rinard (2021), Exploiting verified neural networks via floating point numerical error; Jin,
Ohrimenko and Rubinstein (2022), Getting a-round guarantees.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from taut.attacks.execution import Execution, executions, format_of
from taut.attacks.gradients import margins
from taut.attacks.inside import is_inside
from taut.certify.lowering.graph import lower
from taut.certify.program.program import Program

_SHRINKS = (0.0, *(2.0**-power for power in (50, 44, 36, 28, 24, 22, 20, 17, 14, 10, 6, 3, 1)))
_SHARES = (0.02, 0.1, 0.5, 1.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class RoundingAttack:
    """What the search found."""

    attempts: int
    """Evaluations of a point of a ball, each order of summation counted."""
    broken: Bool[Tensor, " samples"]
    """Whether some point of the sample's ball is not strictly of its class."""
    example: Float[Tensor, "samples *shape"]
    """That point, in float64, exactly in the ball; the sample itself where there is none."""

    @property
    def breaks(self) -> int:
        """How many samples were broken."""
        return int(self.broken.sum())


def rounding_attack(
    model: nn.Module | Program,
    inputs: Float[Tensor, "samples *shape"],
    labels: Int64[Tensor, " samples"],
    radii: Float[Tensor, " radii"],
    *,
    norm: str = "l2",
    arithmetic: str = "float64",
    rivals: int = 2,
    steps: int = 3,
    seed: int = 0,
) -> RoundingAttack:
    r"""Look for x' with ||x' - x|| <= r, exactly, whose computed logits do not put the label strictly first.

    A sound certificate in `arithmetic` survives every such search; one that ignores rounding does not. Samples with
    radius 0 claim nothing and are left out. All (samples, ...) are those that were certified, radii in input units.

    Args:
        model: A classifier that returns logits and can be certified, or the program it lowers to.
        inputs: Float32 or float64; they must be numbers of the arithmetic's format to be searched around.
        labels: Classes that are claimed.
        radii: Claimed radii.
        norm: Norm of the balls, "l2" or "linf".
        arithmetic: In which the logits are computed: "float64", "float32-accumulate64", "float32", "tf32", "bfloat16".
        rivals: How many other classes are tried per sample, the nearest first.
        steps: Times that the direction is corrected by the gradient at the point it leads to.
        seed: Of the random choices of neighbours.

    Raises:
        ValueError: An unknown norm or arithmetic, sizes that do not fit, NaN or negative radii, options below 1.
        TypeError: A model that cannot be certified.

    Example:
        >>> model = nn.Linear(2, 2, bias=False)
        >>> with torch.no_grad():
        ...     _ = model.weight.copy_(torch.eye(2))
        >>> x, y = torch.tensor([[1.5, 1.0]]), torch.tensor([0])
        >>> [rounding_attack(model, x, y, torch.tensor([r])).breaks for r in (0.35, 0.36)]  # 0.5 / sqrt(2) = 0.3535
        [0, 1]
    """
    _check(inputs, labels, radii, norm, arithmetic, rivals, steps)
    program = model if isinstance(model, Program) else lower(model, tuple(inputs.shape[1:]))
    search = _Search(program, norm, arithmetic, rivals, steps, torch.Generator().manual_seed(seed))
    broken = torch.zeros(len(inputs), dtype=torch.bool)
    example = inputs.detach().double().clone()
    attempts = 0
    for index in torch.nonzero(radii > 0).flatten().tolist():
        tried, found = search.around(inputs[index].detach(), int(labels[index]), float(radii[index]))
        attempts += tried
        if found is not None:
            broken[index], example[index] = True, found.double()
    return RoundingAttack(attempts=attempts, broken=broken, example=example)


class _Search:
    """One program, searched sample by sample."""

    def __init__(
        self, program: Program, norm: str, arithmetic: str, rivals: int, steps: int, generator: torch.Generator
    ) -> None:
        self.norm, self.rivals, self.steps, self.generator = norm, rivals, steps, generator
        self.guide = Execution(program, "float64")
        self.judges = tuple(executions(program, arithmetic))
        self.points = format_of(arithmetic).points

    def around(self, centre: Tensor, label: int, radius: float) -> tuple[int, Tensor | None]:
        """Number of attempts, and a point that breaks the claim, if any was found."""
        attempts = 0
        for direction in self._directions(centre.double(), label, radius):
            points = self._grid(centre, direction, radius)
            points = points[is_inside(points, centre, radius, self.norm)]
            if not len(points):
                continue
            own = torch.full((len(points),), label)
            for judge in self.judges:
                attempts += len(points)
                with torch.no_grad():
                    wrong = ~(margins(judge(points), own) > 0)
                if bool(wrong.any()):
                    return attempts, points[wrong][0]
        return attempts, None

    def _directions(self, centre: Tensor, label: int, radius: float) -> Iterator[Tensor]:
        """Of length one in the norm, along which a rival gains fastest: at the sample, then where that leads to."""
        logits = self.guide(centre[None])[0]
        rivals = [other for other in logits.argsort(descending=True).tolist() if other != label]
        for rival in rivals[: self.rivals]:
            point, previous = centre, None
            for _ in range(self.steps):
                direction = self._steepest(point, label, rival)
                if direction is None or (previous is not None and torch.equal(direction, previous)):
                    break
                yield direction
                previous, point = direction, centre + radius * direction

    def _steepest(self, point: Tensor, label: int, rival: int) -> Tensor | None:
        with torch.enable_grad():
            moving = point[None].clone().requires_grad_(True)
            logits = self.guide(moving)[0]
            (gradient,) = torch.autograd.grad(logits[rival] - logits[label], moving, allow_unused=True)
        if gradient is None:
            return None
        largest = float(gradient.abs().amax())
        if not 0.0 < largest < math.inf:
            return None
        gradient = gradient[0] / largest
        return gradient.sign() if self.norm == "linf" else gradient / gradient.norm()

    def _grid(self, centre: Tensor, direction: Tensor, radius: float) -> Tensor:
        """Points at and just below the radius, rounded to the format, and neighbours of some or all of their entries:
        onward, where the rival gains, and either way."""
        lengths = torch.tensor([radius * (1.0 - shrink) for shrink in _SHRINKS], dtype=torch.float64)
        ends = centre.double() + lengths.view(-1, *[1] * centre.ndim) * direction
        rounded = ends.to(self.points)
        found = [rounded]
        for share in _SHARES:
            chosen = torch.rand(rounded.shape, generator=self.generator) < share
            either = torch.rand(rounded.shape, generator=self.generator) < 0.5
            onward = (direction > 0).expand_as(either)
            found.extend(torch.where(chosen, _neighbour(rounded, upwards), rounded) for upwards in (onward, either))
        points = torch.cat(found)
        return points if self.norm == "l2" else _pulled_in(points, centre, radius)


def _pulled_in(points: Tensor, centre: Tensor, radius: float) -> Tensor:
    """Entries that rounding put outside an interval, one or two numbers back; `is_inside` decides afterwards."""
    for _ in range(2):
        away = points.double() - centre.double()
        points = torch.where(away.abs() > radius, _neighbour(points, away < 0), points)
    return points


def _neighbour(points: Tensor, upwards: Tensor) -> Tensor:
    target = torch.where(upwards, math.inf, -math.inf).to(points.dtype)
    if points.dtype == torch.bfloat16:  # which has no nextafter: the high half of a float32
        step = torch.where((points > 0) == upwards, 1, -1).to(torch.int16)
        return (points.contiguous().view(torch.int16) + step).view(torch.bfloat16)
    return torch.nextafter(points, target)


def _check(inputs: Tensor, labels: Tensor, radii: Tensor, norm: str, arithmetic: str, rivals: int, steps: int) -> None:
    if norm not in ("l2", "linf"):
        raise ValueError(f"norm must be 'l2' or 'linf', got {norm!r}")
    format_of(arithmetic)
    if rivals < 1 or steps < 1:
        raise ValueError(f"rivals and steps must be at least 1, got {rivals} and {steps}")
    if not len(inputs) == len(labels) == len(radii):
        raise ValueError(f"inputs, labels and radii must be equally many, got {len(inputs), len(labels), len(radii)}")
    if bool((~(radii >= 0)).any()):
        raise ValueError(f"radii must be at least 0, got {float(radii[~(radii >= 0)][0])}")
