"""Reads a chain of dense layers out of a model: linear layers, activations whose slopes are known, sorts, factors."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from taut import nn as tnn
from taut.certify.chains.sectors import Sector, slopes, sorted_groups
from taut.certify.norms.gram import exact_float64, exact_matrix
from taut.certify.rounding import mul_up
from taut.certify.rules.activation_rules import learned_activation
from taut.certify.rules.module_rules import has_hooks, is_plain_linear, is_scaled_sequential, kind_of
from taut.nn.composition.scale import Scale

_SLOPES: dict[type[nn.Module], tuple[float, float]] = {
    nn.ReLU: (0.0, 1.0),
    nn.ReLU6: (0.0, 1.0),
    nn.Hardtanh: (0.0, 1.0),
    nn.Softshrink: (0.0, 1.0),
    nn.Softsign: (0.0, 1.0),
    nn.LogSigmoid: (0.0, 1.0),
    nn.Tanh: (0.0, 1.0),
    nn.Sigmoid: (0.0, 0.25),
    nn.GELU: (-0.13, 1.13),  # -0.1289... to 1.1289...
    nn.SiLU: (-0.1, 1.1),  # -0.0998... to 1.0998...
    nn.Mish: (-0.12, 1.09),  # -0.1125... to 1.0884...
    tnn.Abs: (-1.0, 1.0),
}
_SMOOTH = {"gelu": -0.13, "silu": -0.1, "mish": -0.12, "softplus": 0.0, "sigmoid": 0.0}
"""Smallest slopes before the largest, which is above 1 or makes no difference, is divided out."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """x -> activation(W x + b)."""

    weight: Float[Tensor, "out in"]
    """W, exactly, in float64; a permutation in front of an activation that follows no linear layer."""
    sector: Sector | None
    """What is known of the activation; None where there is none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Chain:
    """Dense layers in the order of their execution. Groups that are sorted lie side by side: rows were permuted."""

    layers: tuple[Layer, ...]
    factor: float
    """Upper bound of the product of the absolute values of all factors: sectors take a factor on either side."""


@dataclass(kw_only=True)
class _Reader:
    width: int
    layers: list[Layer] = field(default_factory=list)
    factor: float = 1.0
    order: Tensor | None = None
    """The channels in the order in which the last layer's activation leaves them."""

    def linear(self, weight: Float[Tensor, "out in"], where: str) -> None:
        if weight.shape[1] != self.width:
            raise ValueError(f"{where} takes {weight.shape[1]} features, got {self.width}")
        self.width = weight.shape[0]
        columns = weight if self.order is None else weight[:, self.order]
        self.layers.append(Layer(weight=columns, sector=None))
        self.order = None

    def activation(self, sector: Sector, order: Tensor | None = None) -> None:
        if not self.layers or self.layers[-1].sector is not None:
            self.linear(torch.eye(self.width, dtype=torch.float64), "")
        weight = self.layers[-1].weight
        self.layers[-1] = Layer(weight=weight if order is None else weight[order], sector=sector)
        self.order = order


@torch.no_grad()
def read_chain(model: nn.Module) -> Chain:
    """The chain that a Linear, or a (nested) Sequential of Linear layers, activations, sorts and factors is.

    A sample is a vector of the first linear layer's features, or is flattened to one. Raises TypeError that names the
    first module that is no part of a chain, or says that there is no linear layer; ValueError for weights that are not
    finite and for widths that do not fit.
    """
    modules = list(_modules(model, ""))
    for name, module in modules:
        _refuse_stranger(module, name)
    first: Any = next((module for _, module in modules if _is_linear(module)), None)
    if first is None:
        raise TypeError(f"{_where(model, '')} is no dense chain: it has no linear layer")
    reader = _Reader(width=int(first.in_features))
    for name, module in modules:
        _read(reader, module, name)
    return Chain(layers=tuple(reader.layers), factor=reader.factor)


def _modules(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """The modules that are no containers, in the order of their execution; factors as `Scale`."""
    if has_hooks(module):
        raise TypeError(f"{_where(module, name)} has forward hooks or a forward of its own object: no dense chain")
    if type(module) is nn.Sequential or is_scaled_sequential(module):
        for child_name, child in module._modules.items():  # not named_children, which leaves out a second use
            path = f"{name}.{child_name}" if name else child_name
            if child is None:
                raise TypeError(f"module {path!r} is None, which cannot be called")
            yield from _modules(child, path)
        if is_scaled_sequential(module):
            yield name, Scale(float(module.lipschitz))  # type: ignore[arg-type]
    else:
        yield name, tnn.recognise(module) or module


def _refuse_stranger(module: Any, name: str) -> None:
    kind = type(module)
    if _is_linear(module) or _passes(module) or kind is Scale or _sorts(module) or _ends(module) is not None:
        return
    mode = " in training mode" if kind is nn.Dropout else ""
    raise TypeError(
        f"{_where(module, name)}{mode} is no part of a dense chain: Linear layers, activations of known slopes, "
        "MaxMin, GroupSort, FullSort, Flatten, Identity and factors in a Sequential are; use method='product'"
    )


def _read(reader: _Reader, module: Any, name: str) -> None:
    if _is_linear(module):
        reader.linear(_weight(module, name), _where(module, name))
    elif type(module) is Scale:
        reader.factor = mul_up(reader.factor, abs(module.factor))
    elif _sorts(module):
        _sort(reader, module, name)
    elif (ends := _ends(module)) is not None:
        low, high = ends
        if isinstance(low, Tensor) and low.numel() not in (1, reader.width):
            raise ValueError(f"{_where(module, name)} has {low.numel()} slopes for {reader.width} features")
        reader.activation(slopes(low, high, reader.width))


def _is_linear(module: Any) -> bool:
    """A subclass can also do more when it is called; a traced graph shows that, a chain does not."""
    plainly_called = type(module).__call__ is nn.Module.__call__
    return is_plain_linear(module) and plainly_called and not hasattr(module, "lipschitz_constant")


def _passes(module: Any) -> bool:
    """The identity on vectors."""
    flattens = type(module) is nn.Flatten and module.start_dim == 1 and module.end_dim == -1
    return flattens or type(module) is nn.Identity or (type(module) is nn.Dropout and not module.training)


def _sorts(module: Any) -> bool:
    return type(module) in (tnn.MaxMin, tnn.GroupSort, tnn.FullSort) and module.dim in (1, -1)


def _ends(module: Any) -> tuple[float | Tensor, float | Tensor] | None:
    """Smallest and largest slope, of all neurons or of each."""
    kind = type(module)
    if kind in _SLOPES:
        return _SLOPES[kind] if kind is not nn.GELU or module.approximate == "none" else None
    if kind is tnn.Smooth:
        return _SMOOTH[module.kind], 1.0
    if kind is nn.CELU and module.alpha > 0:
        return 0.0, 1.0
    if kind is nn.ELU:
        return min(0.0, module.alpha), max(1.0, module.alpha)
    if kind is nn.LeakyReLU:
        return _with_one(torch.tensor(module.negative_slope, dtype=torch.float64))
    if kind is tnn.LipschitzPReLU:
        return _with_one(exact_float64(module.slope()))
    learned = learned_activation(module)
    if learned is not None and learned[0] == "prelu":
        return _with_one(exact_float64(learned[1]["weight"]))
    return None


def _with_one(slope: Tensor) -> tuple[Tensor, Tensor]:
    return slope.clamp_max(1.0), slope.clamp_min(1.0)


def _sort(reader: _Reader, module: Any, name: str) -> None:
    """MaxMin pairs channel i with i + width / 2, the others sort neighbours."""
    width = reader.width
    group = module.group_size if type(module) is tnn.GroupSort else 2 if type(module) is tnn.MaxMin else width
    if width % group:
        raise ValueError(f"{_where(module, name)} takes a multiple of {group} features, got {width}")
    order = torch.arange(width).reshape(2, -1).T.reshape(-1) if type(module) is tnn.MaxMin else None
    reader.activation(sorted_groups(group, width), order)


def _weight(module: Any, name: str) -> Float[Tensor, "out in"]:
    weight, bias = module.weight, module.bias
    try:
        if isinstance(bias, Tensor):
            exact_float64(bias)
        return exact_matrix(weight)
    except (ValueError, TypeError) as error:
        raise type(error)(f"weights of {_where(module, name)}: {error}") from error


def _where(module: nn.Module, name: str) -> str:
    return f"module {name or '(model)'!r} ({kind_of(module)})"
