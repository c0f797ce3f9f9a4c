"""Blocks whose constant is that of a theorem, smaller than their parts give: a program of its own inside a node."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, fx, nn

from taut.certify.breakdown import Norm
from taut.certify.norms.spectral import ROW_SUMS, Proof
from taut.certify.program.affine import Shift
from taut.certify.program.build import Builder
from taut.certify.program.convolution import Conv
from taut.certify.program.entries import ReLU
from taut.certify.program.joins import Add, Subtract
from taut.certify.program.operation import Operation, Shape, Stored, stored
from taut.certify.program.plain import plain_affine
from taut.certify.program.program import Program
from taut.certify.rounding import add_up, div_up, inflate, mul_up
from taut.certify.rules.block_rules import block_proof, is_block
from taut.certify.rules.exponential_rules import exponential_proof, is_exponential
from taut.nn.conversion.plain_blocks import recognise_block
from taut.nn.conversion.plain_exponential import recognise_exponential


@dataclass(frozen=True, kw_only=True, eq=False)
class Divide(Operation):
    """x -> x / c: only inside a block."""

    op: ClassVar[str] = "divide"
    divisor: float

    def __call__(self, x: Tensor) -> Tensor:
        return x / self.divisor

    def proof(self, norm: Norm, shape: Shape) -> Proof:
        return Proof(bound=div_up(1.0, self.divisor), method="factor")

    def roundings(self, shape: Shape) -> int:
        return 1

    def magnitude(self, x: Tensor) -> Tensor:
        return inflate(x.abs() / self.divisor)


@dataclass(frozen=True, kw_only=True, eq=False)
class Block(Operation):
    """An operation that is evaluated as a program, and bounded as a whole."""

    parts: Program
    source: nn.Module
    """What the theorem is applied to."""

    def __call__(self, x: Tensor) -> Tensor:
        return self.parts(x)

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Named here, as the parts are not."""

    @abstractmethod
    def tensors(self) -> dict[str, Stored]:
        """Those of the parts."""

    def to(self, device: torch.device | str) -> "Block":
        return replace(self, parts=self.parts.to(device))


@dataclass(frozen=True, kw_only=True, eq=False)
class Residual(Block):
    """x -> P x - (G relu(F x + b) + c), or G relu(F x + b) + c: a residual or a sandwich layer."""

    op: ClassVar[str] = "residual"
    measured: ClassVar[bool] = True
    shortcut: bool

    @property
    def _sides(self) -> tuple[Operation, Operation]:
        return self.parts.nodes[0].operation, self.parts.nodes[2].operation

    def proof(self, norm: Norm, shape: Shape) -> Proof:
        inner, outer = self._sides
        if norm == "l2":
            return block_proof(self.source, image_size=shape[1:] if isinstance(inner, Conv) else None)
        product = mul_up(inner.proof(norm, shape).bound, outer.proof(norm, self.parts.shape(1)).bound)
        return Proof(bound=add_up(float(self.shortcut), product), method=ROW_SUMS)

    def settings(self) -> dict[str, Any]:
        inner = self._sides[0]
        if not isinstance(inner, Conv):
            return {"shortcut": self.shortcut, "kind": "linear"}
        named = {name: getattr(inner, name) for name in ("padding", "dilation", "padding_mode")}
        return {"shortcut": self.shortcut, "kind": "conv", **named}

    def tensors(self) -> dict[str, Stored]:
        both = zip(("inner", "outer"), self._sides, strict=True)
        return {f"{side}_{name}": value for side, found in both for name, value in found.tensors().items()}


@dataclass(frozen=True, kw_only=True, eq=False)
class Exponential(Block):
    """x -> the first terms of exp(A) x, A a skew convolution; channels are appended before and cut after."""

    op: ClassVar[str] = "exponential"
    measured: ClassVar[bool] = True
    skew: Conv
    bias: Stored | None
    terms: int
    channels: tuple[int, int]

    def proof(self, norm: Norm, shape: Shape) -> Proof:
        if norm == "l2":
            return exponential_proof(self.source, image_size=shape[1:])
        one = self.skew.proof(norm, shape).bound
        power = total = 1.0
        for k in range(1, self.terms):
            power = div_up(mul_up(power, one), float(k))
            total = add_up(total, power)
        return Proof(bound=total, method=ROW_SUMS)

    def settings(self) -> dict[str, Any]:
        named = {"padding": self.skew.padding, "padding_mode": self.skew.padding_mode}
        return {"terms": self.terms, "channels": self.channels, **named}

    def tensors(self) -> dict[str, Stored]:
        kernel = {"kernel": self.skew.weight}
        return kernel if self.bias is None else {**kernel, "bias": self.bias}


def block_operation(module: nn.Module, shape: Shape) -> Block | None:
    """The block that a layer of taut.nn, or the graph that one folds to, computes; None for other modules."""
    if is_block(module):
        return _residual(module if isinstance(module, fx.GraphModule) else module.fold(), shape)  # type: ignore[operator]
    if is_exponential(module):
        return _exponential(module if isinstance(module, fx.GraphModule) else module.fold(), shape)  # type: ignore[operator]
    return None


def _residual(module: nn.Module, shape: Shape) -> Residual:
    block = recognise_block(module)
    assert block is not None
    inner, outer = plain_affine(block.inner), plain_affine(block.outer)
    assert inner is not None
    assert outer is not None
    inside = Builder(shape)
    branch = inside.add(outer, inside.add(ReLU(), inside.add(inner, 0)))
    if block.shortcut:
        axis = len(shape) - 1 if isinstance(block.inner, nn.Linear) else 0
        inside.add(Subtract(), inside.resized(0, axis, inside.shapes[branch][axis]), branch)
    return Residual(parts=inside.program(), source=module, shortcut=block.shortcut)


def _exponential(module: nn.Module, shape: Shape) -> Exponential:
    found = recognise_exponential(module)
    assert found is not None
    skew = plain_affine(found.skew)
    assert isinstance(skew, Conv)
    kept: Any = module._parameters.get("bias")
    bias = None if kept is None else stored(kept.reshape(-1))
    inside = Builder(shape)
    total = power = inside.resized(0, 0, found.skew.in_channels)
    for k in range(1, found.terms):
        power = inside.add(skew, power)
        power = inside.add(Divide(divisor=float(k)), power) if k > 1 else power
        total = inside.add(Add(), total, power)
    total = inside.resized(total, 0, found.out_channels)
    if bias is not None:
        inside.add(Shift(offset=Stored(kept=bias.kept, exact=bias.exact.reshape(-1, 1, 1))), total)
    channels = shape[0], found.out_channels
    return Exponential(
        parts=inside.program(), source=module, skew=skew, bias=bias, terms=found.terms, channels=channels
    )
