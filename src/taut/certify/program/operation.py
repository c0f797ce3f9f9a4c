r"""What every operation of a program has: its value, its Lipschitz constant, and what rounding can do to it.

An operation of one input with k roundings, magnitude m and spread N promises, in any order of summation and fused or
not: the computed result is within gamma_k m(x) of the exact one, entry by entry, and ||m(x')|| <= ||m(x)|| +
N ||x' - x||. With k = 0 it is exact. Shapes are those of one sample; values are batches.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from taut.certify.breakdown import Norm
from taut.certify.norms.gram import exact_float64
from taut.certify.norms.spectral import Proof

Shape = tuple[int, ...]

BY_CONSTRUCTION = "by construction"
ONE = Proof(bound=1.0, method=BY_CONSTRUCTION)


@dataclass(frozen=True, kw_only=True, eq=False)
class Stored:
    """A tensor of the model: as it is stored, and the same numbers in float64."""

    kept: Tensor
    """On the CPU, in the dtype of the model: what is hashed and written."""
    exact: Float[Tensor, "*shape"]
    """In float64, on the device of the evaluation."""

    def to(self, device: torch.device | str) -> "Stored":
        return Stored(kept=self.kept, exact=self.exact.to(device))


def stored(tensor: Tensor) -> Stored:
    """A copy that later changes of the model do not reach.

    ValueError for NaN or infinity, TypeError for dtypes that are no floats.
    """
    kept = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    return Stored(kept=kept, exact=exact_float64(kept))


@dataclass(frozen=True, kw_only=True, eq=False)
class Operation:
    """Abstract: one node of a program. Fields that are `Stored` are its tensors, all others its settings."""

    op: ClassVar[str]
    measured: ClassVar[bool] = False
    """Whether its constant is computed from a weight, and stated with a slack; else it is known exactly."""

    __call__: ClassVar[Callable[..., Tensor]]
    """The result in float64, from the batches of its inputs."""

    def proof(self, norm: Norm, shape: Shape) -> Proof:
        """Its Lipschitz constant; `shape` is that of its input. Only operations of one input have one."""
        del norm, shape
        return ONE

    def roundings(self, shape: Shape) -> int:
        """k."""
        del shape
        return 0

    def magnitude(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *result"]:
        """m, rounded up; asked only where k > 0."""
        raise NotImplementedError(self.op)

    def spread(self, norm: Norm, shape: Shape) -> float:
        """N, rounded up; asked only where k > 0. By default the constant."""
        return self.proof(norm, shape).bound

    def settings(self) -> dict[str, Any]:
        """What the network file says of it besides its tensors."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in named.items() if value is not None and not isinstance(value, Stored)}

    def tensors(self) -> dict[str, Stored]:
        """Its tensors by name."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in named.items() if isinstance(value, Stored)}

    def to(self, device: torch.device | str) -> "Operation":
        """The same operation with its numbers on another device."""
        return replace(self, **{name: value.to(device) for name, value in self.tensors().items()})


def check_features(x: Tensor, weight: Stored) -> None:
    """ValueError where the last axis of a batch is not what the weight's rows are for."""
    if x.ndim < 2 or x.shape[-1] != weight.exact.shape[1]:
        raise ValueError(f"it takes {weight.exact.shape[1]} features, got samples of shape {tuple(x.shape[1:])}")


def check_axes(x: Tensor, axes: int) -> None:
    """ValueError where samples are not channels with so many axes: torch takes a batch of others for one image."""
    if x.ndim != axes + 2:
        raise ValueError(f"it takes samples of {axes + 1} axes, channels first, got shape {tuple(x.shape[1:])}")


def axis_of(axis: int) -> int:
    """The axis of a batch that is `axis` of each sample."""
    return axis + 1


def per_channel(values: Float[Tensor, " channels"], rank: int) -> Float[Tensor, "..."]:
    """One number per channel, ready to meet a batch of samples with `rank` axes."""
    return values.reshape(-1, *[1] * (rank - 1))
