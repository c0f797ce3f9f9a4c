"""Functions and methods that a traced network calls, as plain operations."""

import math
import operator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from taut.certify.lowering.modules import module_operations, sample_axis
from taut.certify.lowering.rearrange import is_rearrangement, rearranged
from taut.certify.program import entries, joins, pools
from taut.certify.program.affine import BatchNorm, Linear, Multiply, Scale, Shift
from taut.certify.program.build import Builder
from taut.certify.program.operation import Operation, Shape, Stored, stored
from taut.certify.program.shapes import Pad, Reshape
from taut.certify.rules.function_modules import as_module
from taut.certify.rules.function_rules import JOINS, PRODUCTS, QUOTIENTS, describe

_ENTRIES: dict[Any, Operation] = {
    **dict.fromkeys((F.relu, torch.relu, "relu"), entries.ReLU()),
    **dict.fromkeys((torch.abs, "abs", operator.abs), entries.Abs()),
    **dict.fromkeys((operator.neg, torch.neg, "neg"), entries.Negate()),
    **dict.fromkeys((torch.tanh, F.tanh, "tanh"), entries.Smooth(kind="tanh")),
    **dict.fromkeys((torch.sigmoid, F.sigmoid, "sigmoid"), entries.Smooth(kind="sigmoid")),
    F.relu6: entries.Clamp(low=0.0, high=6.0),
}
_PLUS = {operator.add, torch.add, "add", operator.iadd}
_MINUS = {operator.sub, torch.sub, "sub", operator.isub}
_BINARY = {
    **dict.fromkeys(_PLUS, joins.Add()),
    **dict.fromkeys(_MINUS, joins.Subtract()),
    **dict.fromkeys((torch.maximum, "maximum"), joins.Maximum()),
    **dict.fromkeys((torch.minimum, "minimum"), joins.Minimum()),
}
_MEANS, _SUMS = {torch.mean, "mean"}, {torch.sum, "sum"}
_MAXIMA, _MINIMA = {torch.amax, "amax"}, {torch.amin, "amin"}
_CLAMPS = {torch.clamp: ("min", "max"), "clamp": ("min", "max"), F.hardtanh: ("min_val", "max_val")}


def function_places(
    node: fx.Node, builder: Builder, places: dict[fx.Node, int], values: dict[fx.Node, Any], *, name: str
) -> "int | tuple[_Place, ...] | None":
    """Place of the result, or places of pieces; None where there is no operation for the call.

    Raises TypeError and ValueError, not yet naming the call, for arguments that cannot be certified.
    """
    return _Call(node, builder, places, values, name).places()


class _Call:
    def __init__(
        self, node: fx.Node, builder: Builder, places: dict[fx.Node, int], values: dict[fx.Node, Any], name: str
    ) -> None:
        self.node, self.builder, self.known, self.name = node, builder, places, name
        self.target: Any = node.target
        self.kind = describe(node)
        self.constants = values
        args: Any = fx.map_arg(node.args, self._value)
        kwargs: Any = fx.map_arg(node.kwargs, self._value)
        self.args: tuple[Any, ...] = tuple(args)
        self.kwargs: dict[str, Any] = dict(kwargs)

    def _value(self, node: fx.Node) -> Any:
        return _Place(self.known[node]) if node in self.known else self.constants[node]

    def _add(self, operation: Operation, *places: int) -> int:
        return self.builder.add(operation, *places, name=self.name, kind=self.kind)

    def places(self) -> "int | tuple[_Place, ...] | None":
        first = self.args[0] if self.args else None
        if self.target is operator.getitem and isinstance(first, tuple):
            return self._piece(first)
        if self.target in JOINS:
            return self._join()
        others = (*self.args[1:], *self.kwargs.values())
        if not isinstance(first, _Place) or any(isinstance(value, _Place) for value in others):
            return self._binary()
        if is_rearrangement(self.node):
            found = rearranged(
                self.node, self.builder, first.place, self.args[1:], self.kwargs, name=self.name, kind=self.kind
            )
            return tuple(_Place(place) for place in found) if isinstance(found, tuple) else found  # type: ignore[return-value]
        return self._unary(first.place)

    def _piece(self, pieces: tuple[Any, ...]) -> int:
        piece = pieces[self.args[1]]
        if not isinstance(piece, _Place):
            raise TypeError("it takes several pieces at once: take them one by one")
        return piece.place

    def _unary(self, place: int) -> int | None:
        shape = self.builder.shapes[place]
        if self.target in _ENTRIES:
            return self._add(_ENTRIES[self.target], place)
        if self.target in _CLAMPS:
            return self._add(self._clamp(), place)
        if self.target in _MEANS | _SUMS | _MAXIMA | _MINIMA:
            return self._reduced(place, shape)
        if self.target is torch.linalg.vector_norm:
            return self._norm(place, shape)
        if self.target is F.pad and self._option("mode", 2, "constant") == "constant":
            return self._pad(place, shape)
        if self.target is F.linear or self.target in (operator.matmul, torch.matmul, "matmul"):
            return self._linear(place)
        if self.target is F.batch_norm:
            return self._batch_norm(place)
        module = as_module(self.node) or self._resized()
        if module is not None:
            operations = module_operations(module, shape)
            for operation in operations or ():
                place = self._add(operation, place)
            return None if operations is None else place
        return self._binary()

    def _option(self, name: str, position: int, default: Any = None) -> Any:
        return self.args[position] if len(self.args) > position else self.kwargs.get(name, default)

    def _resized(self) -> nn.Module | None:
        """`F.interpolate` to a size that was calculated."""
        names = ("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor")
        named = {**dict(zip(names, self.args[1:], strict=False)), **self.kwargs}
        known = self.target is F.interpolate and not named.pop("antialias", False)
        return nn.Upsample(**named) if known else None

    def _clamp(self) -> Operation:
        low, high = (self._option(name, 1 + at) for at, name in enumerate(_CLAMPS[self.target]))
        if self.target is F.hardtanh:
            low, high = -1.0 if low is None else low, 1.0 if high is None else high
        if isinstance(low, Tensor) or isinstance(high, Tensor):
            raise TypeError("only numbers can be its bounds")
        if any(end is not None and math.isnan(end) for end in (low, high)):
            raise ValueError(f"its bounds must be numbers, got {low} and {high}")
        return entries.Clamp(
            low=-math.inf if low is None else float(low), high=math.inf if high is None else float(high)
        )

    def _axes(self, shape: Shape, name: str = "dim", position: int = 1) -> tuple[int, ...]:
        unknown = self.kwargs.keys() - {"dim", "axis", "keepdim", "ord"}
        if unknown:
            raise TypeError(f"{', '.join(sorted(unknown))} has no certificate")
        dims = self._option(name, position, self.kwargs.get("axis"))
        listed = (dims,) if isinstance(dims, int) else tuple(dims or ())
        if not listed:  # all axes
            raise TypeError("it reduces the batch as well: name the axes")
        return tuple(sorted(sample_axis(dim, shape) for dim in listed))

    def _kept(self, place: int, shape: Shape, axes: tuple[int, ...], position: int) -> int:
        """Reduced axes of size one, where they are asked for."""
        if not self._option("keepdim", position, False):
            return place
        return self._add(Reshape(shape=tuple(1 if axis in axes else n for axis, n in enumerate(shape))), place)

    def _reduced(self, place: int, shape: Shape) -> int:
        axes = self._axes(shape)
        if self.target in _MAXIMA:
            found = self._add(pools.Max(axes=axes), place)
        elif self.target in _MINIMA:
            largest = self._add(pools.Max(axes=axes), self._add(entries.Negate(), place))
            found = self._add(entries.Negate(), largest)
        else:
            divisor = float(pools.count_of(axes, shape)) if self.target in _MEANS else 1.0
            found = self._add(pools.Sum(axes=axes, divisor=divisor), place)
        return self._kept(found, shape, axes, 2)

    def _norm(self, place: int, shape: Shape) -> int:
        if self._option("ord", 1, 2) != 2:
            raise TypeError(f"only Euclidean norms can be certified, got ord={self._option('ord', 1)!r}")
        axes = self._axes(shape, position=2)
        return self._kept(self._add(pools.L2Norm(axes=axes), place), shape, axes, 3)

    def _pad(self, place: int, shape: Shape) -> int:
        sides, value = self._option("pad", 1), self._option("value", 3)
        if value not in (None, 0, 0.0):
            raise TypeError(f"only zeros can be padded, got value={value!r}")
        if len(sides) > 2 * len(shape) or min(sides) < 0:
            raise TypeError(f"it pads the batch, or cuts: pad={sides!r}")
        pairs = [(0, 0)] * (len(shape) - len(sides) // 2)
        pairs += [(sides[at], sides[at + 1]) for at in range(len(sides) - 2, -1, -2)]
        return self._add(Pad(widths=tuple(pairs)), place)

    def _linear(self, place: int) -> int | None:
        weight, bias = self.args[1] if len(self.args) > 1 else self.kwargs.get("weight"), self._option("bias", 2)
        if not isinstance(weight, Tensor) or weight.ndim != 2:
            return None
        matrix = weight if self.target is F.linear else weight.T
        return self._add(Linear(weight=stored(matrix), bias=None if bias is None else stored(bias)), place)

    def _batch_norm(self, place: int) -> int:
        names = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
        named = {**dict(zip(names, self.args, strict=False)), **self.kwargs}
        tensors = {name: named.get(name) for name in names[1:5]}
        known = isinstance(tensors["running_mean"], Tensor) and isinstance(tensors["running_var"], Tensor)
        if named.get("training", False) is not False or not known:
            raise TypeError("it divides by the statistics of the batch")
        mean, variance, weight, bias = (None if value is None else stored(value) for value in tensors.values())
        assert mean is not None
        assert variance is not None
        eps = float(named.get("eps", 1e-5))
        return self._add(BatchNorm(mean=mean, variance=variance, weight=weight, bias=bias, eps=eps), place)

    def _join(self) -> int | None:
        tensors: Any = self.args[0] if self.args else self.kwargs["tensors"]
        dim = self._option("dim", 1, 0)
        if not isinstance(tensors, tuple | list) or not all(isinstance(value, _Place) for value in tensors):
            raise TypeError("it must join tensors made of the input")
        every = [value.place for value in tensors]
        places = [place for place in every if math.prod(self.builder.shapes[place])] or every[:1]  # torch skips empties
        shape = self.builder.shapes[places[0]]
        if self.target is torch.stack:
            axis = sample_axis(dim, (*shape, 1))
            places = [self._add(Reshape(shape=(*shape[:axis], 1, *shape[axis:])), place) for place in places]
        else:
            axis = sample_axis(dim, shape)
        return self._add(joins.Concat(axis=axis), *places) if len(places) > 1 else places[0]

    def _binary(self) -> int | None:
        if len(self.args) != 2 or any(name != "inplace" for name in self.kwargs):
            return None
        left, right = self.args
        if isinstance(left, _Place) and isinstance(right, _Place):
            operation = _BINARY.get(self.target)
            return None if operation is None else self._add(operation, left.place, right.place)
        moving, other = (left, right) if isinstance(left, _Place) else (right, left)
        if not isinstance(moving, _Place) or not isinstance(other, int | float | Tensor):
            return None
        return self._with_constant(moving.place, other, first=isinstance(left, _Place))

    def _with_constant(self, place: int, other: Any, *, first: bool) -> int | None:
        shape = self.builder.shapes[place]
        if self.target in _PLUS or self.target in _MINUS:
            if self.target in _MINUS and not first:
                place = self._add(entries.Negate(), place)
            sign = -1.0 if self.target in _MINUS and first else 1.0
            return self._add(Shift(offset=_constant(sign * _tensor(other), shape)), place)
        if self.target in PRODUCTS:
            return self._times(place, other, shape)
        if self.target in QUOTIENTS and first:
            return self._divided(place, other, shape)
        return None

    def _times(self, place: int, other: Any, shape: Shape) -> int:
        if isinstance(other, int | float):
            return self._add(Scale(factor=_finite(other)), place)
        return self._add(Multiply(factor=_constant(other, shape)), place)

    def _divided(self, place: int, other: Any, shape: Shape) -> int:
        """A product with the reciprocal where that is exact: a power of two; else the operation that divides."""
        if isinstance(other, int | float) and other:
            other = _finite(other)
            _finite(1.0 / other)
            if abs(math.frexp(other)[0]) == 0.5:
                return self._add(Scale(factor=1.0 / other), place)
            if other < 0:
                place, other = self._add(entries.Negate(), place), -other
            axes: tuple[int, ...] = (len(shape),)
            column = self._add(Reshape(shape=(*shape, 1)), place)
            return self._add(pools.Sum(axes=axes, divisor=other), column)
        raise TypeError(f"it divides by {other!r}: only numbers other than 0 can be certified")


class _Place:
    """An argument that is made of the input."""

    def __init__(self, place: int) -> None:
        self.place = place


def _tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else torch.tensor(_finite(value), dtype=torch.float64)


def _finite(value: Any) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"constants must be finite numbers of float64, got {number}")
    return number


def _constant(value: Tensor, shape: Shape) -> Stored:
    """A tensor that meets a batch of samples: broadcast to it, and the same for every sample."""
    if not value.is_floating_point():
        value = value.to(torch.float64)
    if value.ndim > len(shape) + 1 or (value.ndim == len(shape) + 1 and len(value) != 1):
        raise TypeError(f"a constant of shape {tuple(value.shape)} is another one for each sample of a batch")
    flat = value.reshape(value.shape[1:]) if value.ndim == len(shape) + 1 else value
    if torch.broadcast_shapes(tuple(flat.shape), shape) != shape:
        raise ValueError(f"a constant of shape {tuple(value.shape)} repeats inputs of shape {shape}")
    return stored(flat)
