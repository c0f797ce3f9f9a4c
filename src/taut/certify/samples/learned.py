r"""Activations with parameters as steps of a float64 evaluation: what they compute, and how far rounding can take it.

The computed entry lies within g m of the exact one, u being the unit roundoff and g = gamma_k:

- PReLU, one product: k = 1, m = max(1, |s|) |x|.
- N-activation, one difference, clamping and doubling being exact: k = 1, m = |x| + 2 max(|a|, |b|).
- A fold z - 2 max(0, p) v, p = <v, z>: p is off by gamma_2 s with s = <|v|, |z|>, the maximum adds nothing, then
  follow a product and a difference: k = 8 is ample, m = |z_i| + 2 |v_i| s.
- A spline of P pieces: with U = |x w| + P/2, R the largest |rise| and T = |start| + sum |rises| of the channel, the
  position is off by gamma_2 U, which moves the continuous function by R gamma_2 U whichever piece is then taken; the
  value at its lower end is off by gamma_{P+1} T, and the three roundings that follow cost gamma_3 (T + 3 R U) and
  little more: k = P + 16, m = T + R U.

m grows with x by no more than N |x' - x| in either norm: N is the largest max(1, |s|), 1, 1 + 2 (|v_1| + |v_2|)^2 and
R |w|.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from taut import nn as tnn
from taut.certify.breakdown import Norm
from taut.certify.norms.gram import exact_float64
from taut.certify.norms.spectral import Proof
from taut.certify.rounding import gamma, inflate
from taut.certify.rules.activation_rules import constant_of, learned_activation
from taut.functional.householder_activation import householder_fold_formula
from taut.functional.linear_spline import linear_spline_formula
from taut.functional.n_activation import n_activation_formula

_CLASSES = (tnn.HouseholderActivation, tnn.LinearSpline, tnn.LipschitzPReLU, tnn.NActivation)


@dataclass(frozen=True, kw_only=True, eq=False)
class Learned:
    """An activation with parameters for each channel, which are in dimension 1."""

    name: str
    kind: str
    formula: str
    """Which one: a key of `_ROUNDINGS`."""
    stored: dict[str, Tensor]
    """Its numbers, in the dtype of the model: what is hashed."""
    exact: dict[str, Tensor]
    """The same numbers in float64 on the CPU."""

    def __call__(self, x: Float[Tensor, "batch channels *rest"]) -> Float[Tensor, "batch channels *rest"]:
        if x.ndim < 2 or x.shape[1] != self.channels:
            shapes = f"(batch, {self.channels}, ...), got shape {tuple(x.shape)}"
            raise ValueError(f"module {self.name!r} ({self.kind}) takes {shapes}")
        return _FORMULAS[self.formula](x, **self.exact)

    @property
    def channels(self) -> int:
        first = next(iter(self.exact.values()))
        return first.numel() if self.formula == "fold" else len(first)

    def proof(self, norm: Norm) -> Proof:
        """Its Lipschitz constant."""
        return constant_of(self.formula, self.exact, norm)

    def magnitude(self, x: Float[Tensor, "batch channels *rest"]) -> Float[Tensor, "batch channels *rest"]:
        """m, rounded up: what the relative rounding error is relative to."""
        return inflate(_ROUNDINGS[self.formula](x.abs().movedim(1, -1), **self.exact)[0].movedim(-1, 1))

    @property
    def roundoff(self) -> float:
        """g."""
        pieces = self.exact["rises"].shape[1] if self.formula == "spline" else 0
        return gamma({"prelu": 1, "n": 1, "fold": 8, "spline": pieces + 16}[self.formula])

    @property
    def absolute(self) -> float:
        """N."""
        nothing = torch.zeros(1, self.channels, dtype=torch.float64, device="cpu")
        return float(inflate(_ROUNDINGS[self.formula](nothing, **self.exact)[1]))


def learned_step(module: nn.Module, name: str) -> Learned | None:
    """The step of such an activation, folded or not; None for other modules. ValueError for NaN or infinity."""
    kind = type(module).__name__
    found = learned_activation(module.fold() if type(module) in _CLASSES else module)  # type: ignore[operator]
    if found is None or found[0] not in _ROUNDINGS:
        return None
    formula, stored = found
    kept = {key: value.detach() for key, value in stored.items()}
    try:
        exact = {key: exact_float64(value) for key, value in kept.items()}
    except ValueError as error:
        raise ValueError(f"parameters of module {name!r}: {error}") from error
    return Learned(name=name, kind=kind, formula=formula, stored=kept, exact=exact)


def _prelu(x: Tensor, weight: Tensor) -> Tensor:
    last = x.movedim(1, -1)
    return torch.where(last > 0, last, weight * last).movedim(-1, 1)


def _spline(x: Tensor, **exact: Tensor) -> Tensor:
    return linear_spline_formula(x, **exact, pieces=exact["rises"].shape[1])


_FORMULAS: dict[str, Callable[..., Tensor]] = {
    "prelu": _prelu,
    "n": n_activation_formula,
    "fold": householder_fold_formula,
    "spline": _spline,
}


def _of_prelu(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    steepest = weight.abs().clamp(min=1.0)
    return steepest * x, steepest.amax()


def _of_n(x: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    return x + 2.0 * torch.maximum(low.abs(), high.abs()), torch.ones((), dtype=torch.float64)


def _of_fold(x: Tensor, normal: Tensor) -> tuple[Tensor, Tensor]:
    sizes, (a, b) = normal.abs(), x.chunk(2, -1)
    twice = 2.0 * (a * sizes[0] + b * sizes[1])
    return torch.cat((a + twice * sizes[0], b + twice * sizes[1]), -1), 1.0 + 2.0 * sizes.sum(0).square().amax()


def _of_spline(x: Tensor, start: Tensor, rises: Tensor, inverse_step: Tensor) -> tuple[Tensor, Tensor]:
    rise, total = rises.abs().amax(1), start.abs() + rises.abs().sum(1)
    pieces, inverse_step = rises.shape[1], inverse_step.abs()
    room = 1.0 + 2.0 * gamma(pieces + 2)  # for the sum of the rises
    return total * room + rise * (x * inverse_step + pieces / 2), (rise * inverse_step).amax()


_ROUNDINGS: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {
    "prelu": _of_prelu,
    "n": _of_n,
    "fold": _of_fold,
    "spline": _of_spline,
}
"""m at |x|, channels last, and N."""
