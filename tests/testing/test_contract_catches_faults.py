"""Each fault measured in existing code, put into a layer: the contract must fail, by the claim that it is about."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from taut import functional
from taut import nn as tnn
from taut.nn._parametrized import reduce_parametrized
from taut.testing import ActivationContract, LinearContract


class Faulty(nn.Linear):
    """A linear layer whose constrained weight is computed, wrongly, by `constrained`."""

    def __init__(self, in_features: int, out_features: int, **options: Any) -> None:
        for size in (in_features, out_features):
            if type(size) is not int or size < 1:
                raise ValueError(f"size must be a positive integer, got {size}")
        super().__init__(in_features, out_features, **options)
        nn.init.orthogonal_(self.weight)
        parametrize.register_parametrization(self, "weight", self.parametrization())

    def parametrization(self) -> nn.Module:
        return Function(type(self).constrained)

    @staticmethod
    def constrained(weight: Tensor) -> Tensor:
        return functional.polar_factor(weight)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return reduce_parametrized(self, protocol)


class Function(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, weight: Tensor) -> Tensor:
        return self.function(weight)

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight


class Healthy(Faulty):
    pass


class CachedInEval(Faulty):
    class Cache(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            if self.training or getattr(self, "kept", None) is None:
                self.kept = functional.polar_factor(weight)
            return self.kept.detach() if not self.training else self.kept

        def right_inverse(self, weight: Tensor) -> Tensor:
            return weight

    def parametrization(self) -> nn.Module:
        return self.Cache()


class SeesAutocast(Faulty):
    @staticmethod
    def constrained(weight: Tensor) -> Tensor:
        factor = functional.polar_factor(weight)
        return 1.5 * factor - 0.5 * (factor @ (factor.mT @ factor)).to(factor.dtype)


class PassThroughGradient(Faulty):
    @staticmethod
    def constrained(weight: Tensor) -> Tensor:
        return functional.polar_factor(weight).detach() + weight - weight.detach()


class NoGradient(Faulty):
    @staticmethod
    def constrained(weight: Tensor) -> Tensor:
        return functional.polar_factor(weight).detach() + 0 * weight


class PowerIterationEstimate(Faulty):
    @staticmethod
    def constrained(weight: Tensor) -> Tensor:
        start = torch.ones(weight.shape[1], dtype=weight.dtype)
        vector = weight.mT @ (weight @ start)
        return weight / (weight @ (vector / (vector.norm() + 1e-30))).norm().clamp_min(1e-30)


class RandomRestarts(Faulty):
    @staticmethod
    def constrained(weight: Tensor) -> Tensor:
        start = torch.randn(weight.shape[1], dtype=weight.dtype)
        return functional.polar_factor(weight) * (1 - 1e-12 * start.abs().max())


class DriftingBuffer(Faulty):
    class Drift(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("u", torch.ones(()))

        def forward(self, weight: Tensor) -> Tensor:
            with torch.no_grad():
                self.u.mul_(0.99)
            return functional.polar_factor(weight)

        def right_inverse(self, weight: Tensor) -> Tensor:
            return weight

    def parametrization(self) -> nn.Module:
        return self.Drift()


class TruncatedExponential(Faulty):
    @staticmethod
    def constrained(weight: Tensor) -> Tensor:
        size = max(weight.shape)
        square = torch.zeros(size, size, dtype=weight.dtype)
        square[: weight.shape[0], : weight.shape[1]] = weight
        skew = square - square.mT
        term = total = torch.eye(size, dtype=weight.dtype)
        for i in range(1, 5):
            term = term @ skew / i
            total = total + term
        return total[: weight.shape[0], : weight.shape[1]]


class ScaledBySize(Faulty):
    @staticmethod
    def constrained(weight: Tensor) -> Tensor:
        factor = weight / math.sqrt(weight.numel())
        for _ in range(5):
            factor = functional.bjorck_step(factor)
        return factor


class CholeskyThatRaises(Faulty):
    @staticmethod
    def constrained(weight: Tensor) -> Tensor:
        wide = weight if weight.shape[0] <= weight.shape[1] else weight.mT
        factor = torch.linalg.solve_triangular(torch.linalg.cholesky(wide @ wide.mT), wide, upper=False)
        return factor if weight.shape[0] <= weight.shape[1] else factor.mT


class RawWeightInTheFold(Faulty):
    def fold(self) -> nn.Module:
        plain = nn.Linear(self.in_features, self.out_features, dtype=self.weight.dtype)
        plain.load_state_dict({"weight": 1.1 * self.weight.detach(), "bias": self.bias.detach()})
        return plain


class SlightlyTooLong(Faulty):
    @staticmethod
    def constrained(weight: Tensor) -> Tensor:
        return functional.polar_factor(weight) * (1 + 2e-6)


class AcceptsAnything(nn.Linear):
    def __init__(self, in_features: int, out_features: int, **options: Any) -> None:
        super().__init__(max(1, int(in_features)), max(1, int(out_features)), **options)


class InflatesRowsInsideTheBall(Faulty):
    @staticmethod
    def constrained(weight: Tensor) -> Tensor:
        magnitude, _ = weight.abs().sort(1, descending=True)
        count = torch.arange(1, weight.shape[1] + 1, dtype=weight.dtype)
        thresholds = (magnitude.cumsum(1) - 1) / count
        active = (thresholds < magnitude).sum(1, keepdim=True).clamp_min(1)
        return weight.sign() * (weight.abs() - thresholds.gather(1, active - 1)).clamp_min(0)


def failures(contract: LinearContract | ActivationContract, method: str, cases: list[dict[str, Any]]) -> int:
    """How many of the cases the contract rejects."""
    rejected = 0
    for case in cases:
        try:
            getattr(contract, method)(**case)
        except (AssertionError, RuntimeError):  # gradcheck and LAPACK raise RuntimeErrors
            rejected += 1
    return rejected


def contract_of(cls: type, *, orthogonal: bool) -> LinearContract:
    class Contract(LinearContract):
        def make(self, in_features: int, out_features: int, **options: Any) -> nn.Module:
            return cls(in_features, out_features, **options)

    Contract.orthogonal = orthogonal
    return Contract()


SIZES = [{"size": s} for s in ((8, 8), (12, 5), (5, 12))]
TYPED = [case | {"dtype": torch.float32} for case in SIZES]
START, ANY = "test_constraint_holds_at_the_start_and_after_training", "test_constraint_holds_from_any_weight"

FAULTS = [
    (CachedInEval, "test_edits_in_eval_mode_take_effect", SIZES),
    (CachedInEval, "test_output_follows_the_parameters", SIZES),
    (SeesAutocast, "test_constraint_ignores_autocast", SIZES),
    (PassThroughGradient, "test_gradients_are_exact", SIZES),
    (NoGradient, "test_every_parameter_gets_a_gradient", SIZES),
    (PowerIterationEstimate, START, TYPED),
    (RandomRestarts, "test_output_follows_the_parameters", SIZES),
    (DriftingBuffer, "test_output_follows_the_parameters", SIZES),
    (TruncatedExponential, START, TYPED),
    (ScaledBySize, START, TYPED),
    (CholeskyThatRaises, ANY, TYPED),
    (RawWeightInTheFold, "test_folds_to_plain_torch", TYPED),
    (SlightlyTooLong, START, TYPED),
    (AcceptsAnything, "test_bad_arguments_are_refused", [{}]),
]


@pytest.mark.parametrize(("cls", "method", "cases"), FAULTS, ids=lambda v: getattr(v, "__name__", None))
def test_the_contract_rejects(cls: type, method: str, cases: list[dict[str, Any]]) -> None:
    assert failures(contract_of(cls, orthogonal=True), method, cases) == len(cases)


@pytest.mark.parametrize(("method", "cases"), sorted({(m, str(c)): (m, c) for _, m, c in FAULTS}.values(), key=str))
def test_and_accepts_the_same_layer_without_a_fault(method: str, cases: list[dict[str, Any]]) -> None:
    assert failures(contract_of(Healthy, orthogonal=True), method, cases) == 0


def test_a_projection_without_its_clamp_would_inflate_rows() -> None:
    inside = 0.01 * torch.ones(2, 3)
    assert torch.equal(functional.project_rows_l1(inside), inside)
    assert not torch.equal(InflatesRowsInsideTheBall.constrained(inside), inside)


class TwiceTooSteep(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * tnn.MaxMin()(x)

    def lipschitz_constant(self, norm: str) -> float:
        del norm
        return 1.0


class WrongGradient(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = functional.max_min(x)
        return y.detach() + x - x.detach()


class SwapsWithoutSorting(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(x.chunk(2, 1)[::-1], 1)


@pytest.mark.parametrize(
    ("cls", "method"),
    [
        (TwiceTooSteep, "test_pairs_are_not_stretched"),
        (TwiceTooSteep, "test_computes_its_formula"),
        (WrongGradient, "test_gradients_are_exact"),
        (SwapsWithoutSorting, "test_computes_its_formula"),
    ],
)
def test_the_activation_contract_rejects(cls: type[nn.Module], method: str) -> None:
    class Contract(ActivationContract):
        def make(self, **options: Any) -> nn.Module:
            return cls(**options)

        def oracle(self, vector: list[float]) -> list[float]:
            half = len(vector) // 2
            pairs = list(zip(vector[:half], vector[half:], strict=True))
            return [max(p) for p in pairs] + [min(p) for p in pairs]

    cases = [{"shape": (3, 8)}, {"shape": (2, 8, 3)}]
    assert failures(Contract(), method, cases) == len(cases)
