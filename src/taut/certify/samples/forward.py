r"""Running rounding-error analysis of a float64 evaluation: at the sample, and at every point of a ball around it.

Notation: x_l is the exact activation at the sample, X_l the computed one, x'_l and X'_l those at a perturbed input at
distance <= rho; L_l the step's Lipschitz constant, P_l = L_1 ... L_l, W_l its matrix, N_l the norm of |W_l|, and
g = gamma_{n+1} for a row of n products plus a bias (one u for a factor, zero for an exact step). With the rounding of
one step at most g | |W_l| |X_l| + |b_l| | (any order of summation), and t_l the norm of that vector (for a layer of
distances g is from `distances`, t_l the norm of its largest distances plus |b|, and N_l its Lipschitz constant),

    |X_{l+1} - x_{l+1}| <= e_{l+1} = L_l e_l + g t_l,
    |x'_l - x_l| <= P_l rho,
    |X'_l - X_l| <= e'_l + P_l rho + e_l,
    |X'_{l+1} - x'_{l+1}| <= e'_{l+1} = L_l e'_l + g (t_l + N_l |X'_l - X_l|).

So e'_l <= A_l + B_l rho, with A_0 = B_0 = 0 and

    A_{l+1} = (L_l + g N_l) A_l + g (t_l + N_l e_l),      B_{l+1} = (L_l + g N_l) B_l + g N_l P_l.

B and P do not depend on the sample. Every quantity is >= 0 and each update is inflated by more than its own rounding;
underflow is covered by 2^-960 per step. Source: Higham (2002), chapter 3, for the constants; the ball is ours.
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from taut.certify.breakdown import Norm, checked_norm
from taut.certify.norms.spectral import ROW_SUMS, Proof, linf_norm_bound, prove_spectral_norm
from taut.certify.rounding import add_up, gamma, gradual_underflow, inflate, mul_up, norm_up, sqrt_up
from taut.certify.samples.distances import Distance
from taut.certify.samples.learned import Learned
from taut.certify.samples.steps import Affine, Exact, Factor, Step, steps_of

LARGEST = 2.0**900
"""Intermediate sums above it are taken for overflow: their samples are not certified."""


@dataclass(frozen=True, kw_only=True)
class StepBound:
    """What the analysis needs to know of one step, in one norm."""

    proof: Proof
    """L, and how it was proved."""
    absolute: float
    """N, bound of the norm of |W|."""
    roundoff: float
    """g."""


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """The computed activations of a batch and the error bounds that go with them."""

    values: Float[Tensor, "batch *shape"]
    """X, computed in float64."""
    error: Float[Tensor, " batch"]
    """e, at the sample itself."""
    ball_error: Float[Tensor, " batch"]
    """A: the part of the error in the ball that does not depend on its radius."""
    ball_slope: float
    """B: the error in the ball per unit of radius."""
    growth: float
    """P: Lipschitz constant from the input to here."""
    reach: float
    """Largest N_l (P_l + B_l) so far: what a unit of radius adds to an intermediate sum at most."""


def step_bound(step: Step, norm: Norm) -> StepBound:
    """Constants of a step, proven."""
    if isinstance(step, Exact):
        return StepBound(proof=Proof(bound=1.0, method="by construction"), absolute=1.0, roundoff=0.0)
    if isinstance(step, Factor):
        factor = abs(step.factor)
        return StepBound(proof=Proof(bound=factor, method="factor"), absolute=factor, roundoff=gamma(1))
    if isinstance(step, Distance):
        constant = 1.0 if norm == "linf" else sqrt_up(float(len(step.weight)))
        proof = Proof(bound=constant, method="by construction")
        return StepBound(proof=proof, absolute=constant, roundoff=step.roundoff)
    if isinstance(step, Learned):
        return StepBound(proof=step.proof(norm), absolute=step.absolute, roundoff=step.roundoff)
    roundoff = gamma(step.weight.shape[1] + 1)
    if norm == "l2":  # for |W| the Frobenius norm is near enough, as it only multiplies roundings
        absolute = float(norm_up(step.weight.reshape(-1)))
        return StepBound(proof=prove_spectral_norm(step.weight), absolute=absolute, roundoff=roundoff)
    bound = linf_norm_bound(step.weight)
    return StepBound(proof=Proof(bound=bound, method=ROW_SUMS), absolute=bound, roundoff=roundoff)


def start(inputs: Float[Tensor, "batch *shape"]) -> State:
    """The input, exact in float64."""
    zero = torch.zeros(len(inputs), dtype=torch.float64, device="cpu")
    values = inputs.detach().cpu().to(torch.float64)
    return State(values=values, error=zero, ball_error=zero, ball_slope=0.0, growth=1.0, reach=0.0)


def advance(state: State, step: Step, bound: StepBound, norm: Norm) -> State:
    """One step of the recursion in the module's docstring."""
    values = step(state.values)
    if isinstance(step, Exact):
        return replace(state, values=values)
    L, N, g = bound.proof.bound, bound.absolute, bound.roundoff
    magnitude = sample_norms(row_sums(step, state.values), norm)
    ball_factor = add_up(L, mul_up(g, N))
    local = inflate(magnitude + N * (state.error + state.ball_error))
    proven = local <= LARGEST  # neither NaN nor near overflow
    error = inflate(L * state.error + g * magnitude)
    ball_error = inflate(ball_factor * state.ball_error + g * inflate(magnitude + N * state.error))
    return State(
        values=values,
        error=torch.where(proven, error, math.inf),
        ball_error=torch.where(proven, ball_error, math.inf),
        ball_slope=add_up(mul_up(ball_factor, state.ball_slope), mul_up(mul_up(g, N), state.growth)),
        growth=mul_up(L, state.growth),
        reach=max(state.reach, mul_up(N, add_up(state.growth, state.ball_slope))),
    )


def row_sums(
    step: Affine | Distance | Factor | Learned, values: Float[Tensor, "batch *shape"]
) -> Float[Tensor, "batch *result"]:
    """|W| |X| + |b| of an affine step, |c| |X| of a factor, largest distance + |b| of a distance, rounded up."""
    if isinstance(step, Distance | Learned):
        return step.magnitude(values)
    if isinstance(step, Factor):
        return inflate(values.abs() * abs(step.factor))
    bias = None if step.bias is None else step.bias.abs()
    sums = nn.functional.linear(values.abs(), step.weight.abs(), bias)
    return inflate(sums * (1.0 + 2.0 * gamma(step.weight.shape[1] + 2)))


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
    r"""Float64 output of a sequential network, with a proven bound of its distance in `norm` from real arithmetic.

    The exact network has the weights as they are stored, parametrizations applied once. The bound holds for any order
    of summation; it is some 1e-10 for a 1-Lipschitz network of width 1024, about a thousand times the actual error.

    Raises TypeError that names a module which is no step of a sequential network (see `steps_of`), ValueError for
    another norm.

    >>> import torch
    >>> evaluation = evaluate(torch.nn.Linear(4, 2), torch.ones(3, 4))
    >>> bool((evaluation.error_bound < 1e-13).all())
    True
    """
    checked = checked_norm(norm)
    state = start(inputs)
    for step in steps_of(model):
        state = advance(state, step, step_bound(step, checked), checked)
    return Evaluation(logits=state.values, error_bound=state.error)
