r"""Running rounding-error analysis: at the sample, and at every point of a ball around it.

Notation: x is the exact value of a node at the sample, X the computed one (in float64), x' and X' those at a perturbed
input at distance <= rho, X' in the arithmetic that is certified; L the constant of an operation, P the product of the
constants along the path to it, m its magnitude, N its spread, g_0 its roundoff in float64, h that of its sum in the
certified arithmetic, and r that of a result that is kept. As |f(X') computed - f(X') exact| <= h ||m(X')|| +
r ||f(X')||, ||m(X')|| <= ||m(X)|| + N ||X' - X|| and ||f(X')|| <= ||f(X)|| + L ||X' - X||, with t = h N + r L,

    |X - x|   <= e,         e' = L e + g_0 ||m(X)||,
    |X' - x'| <= A + B rho, A' = (L + t) A + h ||m(X)|| + r ||f(X)|| + t e,    B' = (L + t) B + t P,

as ||X' - X|| <= (A + B rho) + P rho + e. ||f(X)|| is at most that of the computed result and
g_0 ||m(X)||. Sums of branches add e, A, B and P and round once; joins take the root of the sum of squares (linf: the
largest) and do not round. A block runs the same recursion on its parts, from e = A = B = 0
and P = 1, with N in the place of the parts' constants; its results e_in, A_in, B_in give

    e' = L e + e_in,        A' = (L + B_in) A + A_in + B_in e,      B' = (L + B_in) B + B_in P.

Underflow adds `tiny` for every rounding and entry. B, P do not depend on the sample. Every quantity is >= 0 and each
update is inflated by more than its own rounding. Source: Higham (2002), chapter 3, for the constants; the ball is ours.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from taut.certify.breakdown import Breakdown, Norm, chain, checked_norm
from taut.certify.lowering.graph import lower
from taut.certify.norms.spectral import Proof
from taut.certify.program.blocks import Block
from taut.certify.program.joins import SUMS
from taut.certify.program.pools import L2Norm, L2Pool
from taut.certify.program.program import Node, Program, constant_along
from taut.certify.rounding import (
    add_up,
    gradual_underflow,
    inflate,
    mul_up,
    norm_up,
    root_sum_squares_up,
    sqrt_up,
    sum_up,
)
from taut.certify.samples.arithmetic import FLOAT64, Arithmetic


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What the analysis knows of one node before it has seen a sample."""

    constant: float
    """L; 1 for nodes of several inputs, which have none of their own."""
    spread: float
    """N."""
    roundoff: float
    """g_0."""
    ball_roundoff: float
    """h."""
    ball_slope: float
    """t."""
    lost: float
    """Underflow in float64."""
    ball_lost: float
    """Underflow in the certified arithmetic."""
    inside: "Analysis | None" = None
    """Of the parts of a block."""


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """The computed values of a node for a batch, and the error bounds that go with them."""

    values: Float[Tensor, "batch *shape"]
    """X, computed in float64."""
    error: Float[Tensor, " batch"]
    """e, at the sample itself."""
    ball_error: Float[Tensor, " batch"]
    """A: the part of the error in the ball that does not depend on its radius."""


class Analysis:
    """A program with its constants, ready for samples."""

    def __init__(self, program: Program, bounds: Sequence[float | None], norm: Norm, arithmetic: Arithmetic) -> None:
        self.program, self.arithmetic = program, arithmetic
        self.norm: Norm = norm
        paths = program.paths(bounds, norm)
        self.growths = [constant_along(path) for path in paths]
        self.costs: list[Cost] = []
        self.slopes = [0.0]
        self.reach = 0.0
        """Largest N (P + B): what a unit of radius adds to an intermediate result at most."""
        for node, bound in zip(program.nodes, bounds, strict=True):
            self._add(node, bound)

    @property
    def lipschitz_bound(self) -> float:
        """Product of all constants, rounded up."""
        return self.growths[-1]

    def breakdown(self, bounds: Sequence[float | None], methods: Sequence[str]) -> Breakdown:
        """The tree of the constants."""
        path = self.program.paths(bounds, self.norm, methods)[-1]
        return chain(tuple(part for _, part in path))

    def _add(self, node: Node, bound: float | None) -> None:
        shape = self.program.shape(node.inputs[0])
        before = [self.growths[source] for source in node.inputs]
        slopes = [self.slopes[source] for source in node.inputs]
        moved = sum_up(map(add_up, before, slopes))
        if bound is None:
            roundings = 1 if isinstance(node.operation, SUMS) else 0
            combine = sum_up if roundings else self._joined
            spread, constant, inside = 1.0, 1.0, None
            h, t = self._costs(roundings, spread, constant)
            slope = add_up(combine(slopes), mul_up(t, moved) if roundings else 0.0)
        elif isinstance(node.operation, Block):
            roundings, constant, inside = 0, bound, self._inside(node.operation)
            spread, h, t = inside.reach, 0.0, 0.0
            factor = add_up(bound, inside.slopes[-1])
            slope = add_up(mul_up(factor, slopes[0]), mul_up(inside.slopes[-1], before[0]))
        else:
            roundings, constant, inside = node.operation.roundings(shape), bound, None
            spread = node.operation.spread(self.norm, shape) if roundings else 0.0
            h, t = self._costs(roundings, spread, bound)
            slope = add_up(mul_up(bound, slopes[0]), mul_up(t, moved) if roundings else 0.0)
        squared = self._squared(node)
        if roundings or inside:
            self.reach = max(self.reach, mul_up(mul_up(spread, moved), squared))
        entries = math.prod(node.shape)
        room = mul_up(sqrt_up(float(entries)) if self.norm == "l2" else 1.0, float(roundings))
        self.slopes.append(slope)
        self.costs.append(
            Cost(
                constant=constant,
                spread=spread,
                roundoff=FLOAT64.roundoff(roundings),
                ball_roundoff=h,
                ball_slope=t,
                lost=FLOAT64.tiny * room,
                ball_lost=self.arithmetic.tiny * room,
                inside=inside,
            )
        )

    def _squared(self, node: Node) -> float:
        """What an intermediate result is multiplied by before it is compared: sums of squares overflow earlier."""
        return math.sqrt(self.arithmetic.largest) if isinstance(node.operation, L2Norm | L2Pool) else 1.0

    def _costs(self, roundings: int, spread: float, constant: float) -> tuple[float, float]:
        """h and t."""
        h = self.arithmetic.roundoff_of_sum(roundings)
        return h, add_up(mul_up(h, spread), mul_up(self.arithmetic.result, constant)) if roundings else 0.0

    def _inside(self, block: Block) -> "Analysis":
        parts = block.parts
        shapes = [parts.shape(node.inputs[0]) for node in parts.nodes]
        spreads = [
            None
            if node.joins
            else node.operation.spread(self.norm, shape)
            if node.operation.roundings(shape)
            else node.operation.proof(self.norm, shape).bound
            for node, shape in zip(parts.nodes, shapes, strict=True)
        ]
        return Analysis(parts, spreads, self.norm, self.arithmetic)

    def _joined(self, values: Sequence[float]) -> float:
        return root_sum_squares_up(values) if self.norm == "l2" else max(values)

    def states(self, x: Float[Tensor, "batch *shape"], places: Collection[int]) -> dict[int, State]:
        """States of a batch at the given places."""
        zero = torch.zeros(len(x), dtype=torch.float64, device=x.device)
        start = State(values=x, error=zero, ball_error=zero)
        kept = {0: start} if 0 in places else {}

        def step(place: int, node: Node, states: list[State]) -> State:
            state = self._step(place, node, states)
            if place in places:
                kept[place] = state
            return state

        self.program.run(start, step)
        return kept

    def output(self, x: Float[Tensor, "batch *shape"]) -> State:
        """State of the output."""
        last = len(self.program.nodes)
        return self.states(x, {last})[last]

    def _step(self, place: int, node: Node, states: list[State]) -> State:
        cost = self.costs[place - 1]
        if node.joins:
            return self._several(node, cost, states)
        state = states[0]
        if cost.inside is not None:
            return self._block(cost, cost.inside, state)
        values = node.operation(state.values)
        if cost.roundoff == 0.0:
            error, ball = inflate(cost.constant * state.error), inflate(cost.constant * state.ball_error)
            if cost.constant == 1.0:
                error, ball = state.error, state.ball_error
            return State(values=values, error=error, ball_error=ball)
        size = sample_norms(node.operation.magnitude(state.values), self.norm)
        error = inflate(cost.constant * state.error + cost.roundoff * size + cost.lost)
        own = inflate(cost.ball_roundoff * size + self._kept(values, cost, size) + cost.ball_slope * state.error)
        ball = inflate(add_up(cost.constant, cost.ball_slope) * state.ball_error + own + cost.ball_lost)
        local = inflate(size + cost.spread * (state.error + state.ball_error))
        return self._proven(values, error, ball, inflate(local * self._squared(node)))

    def _several(self, node: Node, cost: Cost, states: list[State]) -> State:
        values = node.operation(*(state.values for state in states))
        errors, balls = (torch.stack([getattr(s, name) for s in states]) for name in ("error", "ball_error"))
        if not isinstance(node.operation, SUMS):
            join = (lambda e: norm_up(e.T)) if self.norm == "l2" else (lambda e: e.amax(0))
            return State(values=values, error=join(errors), ball_error=join(balls))
        error, ball = inflate(errors.sum(0)), inflate(balls.sum(0))
        size = sample_norms(inflate(states[0].values.abs() + states[1].values.abs()), self.norm)
        local = inflate(size + error + ball)
        return self._proven(
            values,
            inflate(error + cost.roundoff * size + cost.lost),
            inflate(
                ball
                + inflate(cost.ball_roundoff * size + self._kept(values, cost, size))
                + inflate(cost.ball_slope * inflate(error + ball))
                + cost.ball_lost
            ),
            local,
        )

    def _kept(self, values: Tensor, cost: Cost, size: Tensor) -> Tensor:
        """r ||f(X)||, from the computed result."""
        if self.arithmetic.result == 0.0:
            return torch.zeros_like(size)
        return inflate(self.arithmetic.result * inflate(sample_norms(values, self.norm) + cost.roundoff * size))

    def _block(self, cost: Cost, inside: "Analysis", state: State) -> State:
        parts = inside.output(state.values)
        slope = inside.slopes[-1]
        error = inflate(cost.constant * state.error + parts.error)
        ball = inflate(add_up(cost.constant, slope) * state.ball_error + parts.ball_error + slope * state.error)
        local = inflate(cost.spread * (state.error + state.ball_error))
        return self._proven(parts.values, error, ball, local)

    def _proven(self, values: Tensor, error: Tensor, ball: Tensor, local: Tensor) -> State:
        """Infinite errors where an intermediate result is NaN or might overflow."""
        proven = local <= self.arithmetic.largest
        return State(
            values=values,
            error=torch.where(proven, error, math.inf),
            ball_error=torch.where(proven, ball, math.inf),
        )


def prove(program: Program, norm: Norm) -> tuple[Proof | None, ...]:
    """Constant of every node, None for those of several inputs; one operation that is used twice is proven once."""
    known: dict[tuple[int, tuple[int, ...]], Proof] = {}
    proofs: list[Proof | None] = []
    for node in program.nodes:
        if node.joins:
            proofs.append(None)
            continue
        shape = program.shape(node.inputs[0])
        key = id(node.operation), shape
        if key not in known:
            try:
                known[key] = node.operation.proof(norm, shape)
            except (TypeError, ValueError) as error:
                raise type(error)(f"module {node.name!r} ({node.kind}): {error}") from error
        proofs.append(known[key])
    return tuple(proofs)


def sample_norms(values: Float[Tensor, "batch *shape"], norm: Norm) -> Float[Tensor, " batch"]:
    """Norm of each sample, rounded up."""
    flat = values.reshape(len(values), -1)
    return norm_up(flat) if norm == "l2" else flat.abs().amax(dim=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """A float64 evaluation and how far it can be from the exact one."""

    logits: Float[Tensor, "batch *out"]
    """The output as float64 computes it."""
    error_bound: Float[Tensor, " batch"]
    """Bound of |computed - exact| per sample, in the norm asked for; infinity where nothing is proven."""


@gradual_underflow()
@torch.no_grad()
def evaluate(model: nn.Module, inputs: Float[Tensor, "batch *shape"], *, norm: str = "l2") -> Evaluation:
    r"""Float64 output of a network, with a proven bound of its distance in `norm` from real arithmetic.

    The exact network has the weights as they are stored, parametrizations applied once. The bound holds for any order
    of summation; it is some 1e-10 for a 1-Lipschitz network of width 1024, about a thousand times the actual error.

    Raises TypeError that names a module or function which cannot be certified (see `robustness`), ValueError for
    another norm.

    >>> import torch
    >>> evaluation = evaluate(torch.nn.Linear(4, 2), torch.ones(3, 4))
    >>> bool((evaluation.error_bound < 1e-13).all())
    True
    """
    checked = checked_norm(norm)
    program = lower(model, tuple(inputs.shape[1:]))
    bounds = [None if proof is None else proof.bound for proof in prove(program, checked)]
    analysis = Analysis(program, bounds, checked, FLOAT64)
    state = analysis.output(inputs.detach().cpu().to(torch.float64))
    return Evaluation(logits=state.values, error_bound=state.error)
