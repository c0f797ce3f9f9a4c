"""A sequential network as the list of steps that a float64 evaluation executes: affine maps, distances, exact steps,
factors."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from taut import nn as tnn
from taut.certify.network.tracing import nothing_random, refuse_meta
from taut.certify.norms.gram import exact_float64
from taut.certify.rules.module_rules import has_hooks, is_plain_linear, is_scaled_sequential, kind_of
from taut.certify.samples.distances import Distance, distance_step
from taut.certify.samples.learned import Learned, learned_step
from taut.nn.composition.scale import Scale


@dataclass(frozen=True, kw_only=True, eq=False)
class Affine:
    """x -> W x + b, with the weight materialised once."""

    name: str
    kind: str
    stored: tuple[Tensor, ...]
    """Weight and, where there is one, bias, in the dtype of the model: what is hashed."""
    weight: Float[Tensor, "out in"]
    """The same weight, exactly, in float64 on the CPU."""
    bias: Float[Tensor, " out"] | None
    """The same bias in float64."""

    def __call__(self, x: Float[Tensor, "*batch features"]) -> Float[Tensor, "*batch out"]:
        if x.shape[-1] != self.weight.shape[1]:
            shapes = f"{self.weight.shape[1]} features, got shape {tuple(x.shape)}"
            raise ValueError(f"module {self.name!r} ({self.kind}) takes {shapes}")
        return F.linear(x, self.weight, self.bias)


@dataclass(frozen=True, kw_only=True, eq=False)
class Exact:
    """A step that selects, sorts, rearranges or negates entries: no rounding, and 1-Lipschitz (l2, linf)."""

    name: str
    kind: str
    description: str
    """The module's settings, as its repr gives them: what is hashed."""
    function: Callable[[Tensor], Tensor]
    axis: int | None
    """The axis along which it works, to be checked against the batch's; None for entry-by-entry steps."""

    def __call__(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*result"]:
        if self.axis is not None and (self.axis == 0 or self.axis <= -x.ndim):
            raise TypeError(f"module {self.name!r} ({self.description}) mixes the samples of a batch: no certificate")
        return self.function(x)


@dataclass(frozen=True, kw_only=True)
class Factor:
    """x -> c x, one rounding per entry."""

    name: str
    factor: float
    kind: str = "factor"

    def __call__(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return x * self.factor


Step = Affine | Distance | Exact | Factor | Learned


@torch.no_grad()
def steps_of(model: nn.Module) -> tuple[Step, ...]:
    """The steps of a Linear, or of (nested) Sequentials of Linear, distances, sorts, ReLU, Abs, activations with
    parameters (but order 2 of the Householder activation), Flatten, Identity and factors.

    Raises TypeError that names the first module that is none of these; ValueError for NaN or infinite weights.
    """
    refuse_meta(model)
    with nothing_random():
        return tuple(_steps(model, ""))


def _steps(module: nn.Module, name: str) -> Iterator[Step]:
    if has_hooks(module):
        raise TypeError(f"{_where(module, name)} has forward hooks, whose effect cannot be certified: remove them")
    if type(module) is nn.Sequential or is_scaled_sequential(module):
        for child_name, child in module._modules.items():  # not named_children, which leaves out a second use
            path = f"{name}.{child_name}" if name else child_name
            if child is None:
                raise TypeError(f"module {path!r} is None, which cannot be called")
            yield from _steps(child, path)
        factor = float(getattr(module, "lipschitz", 1.0))
        if factor != 1.0:
            yield Factor(name=name or "(model)", factor=factor)
    elif is_plain_linear(module):
        yield _affine(module, name or "(model)")
    elif (distance := distance_step(module, name or "(model)")) is not None:
        yield distance
    elif (learned := learned_step(module, name or "(model)")) is not None:
        yield learned
    else:
        yield from _weightless(module, name)


def _affine(module: nn.Module, name: str) -> Affine:
    stored = tuple(value.detach() for value in (module.weight, module.bias) if isinstance(value, Tensor))
    try:
        exact = [exact_float64(value) for value in stored]
    except ValueError as error:
        raise ValueError(f"weights of module {name!r}: {error}") from error
    bias = exact[1] if len(exact) > 1 else None
    return Affine(name=name, kind=kind_of(module), stored=stored, weight=exact[0], bias=bias)


def _weightless(module: nn.Module, name: str) -> Iterator[Step]:
    plain = tnn.recognise(module) or module
    if type(plain) is nn.Identity or (isinstance(plain, nn.Dropout) and not plain.training):
        return
    if type(plain) is Scale:
        yield Factor(name=name, factor=float(plain.factor))
        return
    if type(plain) is nn.ReLU:
        function, axis = torch.relu, None  # out of place, whatever the module says
    elif type(plain) is tnn.Abs:
        function, axis = torch.abs, None
    elif type(plain) is nn.Flatten:
        function, axis = plain, plain.start_dim
    elif type(plain) in (tnn.MaxMin, tnn.GroupSort, tnn.FullSort, tnn.MaxOut):
        function, axis = plain, int(plain.dim)  # type: ignore[arg-type]
    else:
        raise TypeError(
            f"{_where(module, name)} cannot be certified sample by sample: use Sequential chains of Linear, "
            "LInfDistLinear, SortLinear, MaxMin, GroupSort, FullSort, MaxOut, Abs, ReLU, LinearSpline, NActivation, "
            "PReLU, HouseholderActivation of order 1, Flatten and Identity (lipschitz_bound takes any traceable module)"
        )
    yield Exact(
        name=name or "(model)", kind=type(plain).__name__, description=repr(plain), function=function, axis=axis
    )


def _where(module: nn.Module, name: str) -> str:
    return f"module {name or '(model)'!r} ({kind_of(module)})"
