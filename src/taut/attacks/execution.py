r"""Every arithmetic that a certificate can name, carried out: a program in it, with its sums in several legal orders.

A certificate holds for every order of summation, so that an attack may use whichever is worst. Sums of linear layers
and convolutions are ordered by permuting what they run over, or added one by one; everything else is torch's kernel.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from taut.certify.program.affine import Linear
from taut.certify.program.blocks import Block
from taut.certify.program.convolution import Conv
from taut.certify.program.operation import Operation, Stored
from taut.certify.program.program import Program

Order = Literal["native", "reversed", "shuffled", "one by one"]
ORDERS: tuple[Order, ...] = get_args(Order)


@dataclass(frozen=True, kw_only=True)
class Format:
    """How an arithmetic is carried out."""

    points: torch.dtype
    """Of the inputs that it takes."""
    sums: torch.dtype
    """In which an operation computes."""
    operand: Callable[[Tensor], Tensor]
    """Rounding of the weights and inputs of products."""
    result: Callable[[Tensor], Tensor]
    """Rounding of every result that is kept."""


def _same(x: Tensor) -> Tensor:
    return x


def _to_float32(x: Tensor) -> Tensor:
    return x.float().double()


def _to_bfloat16(x: Tensor) -> Tensor:
    return x.bfloat16().float()


def _cut_to_tf32(x: Tensor) -> Tensor:
    """Ten bits of the significand are kept, and the others cut, as some processors do."""
    return (x.float().contiguous().view(torch.int32) & ~0x1FFF).view(torch.float32)


FORMATS = {
    "float64": Format(points=torch.float64, sums=torch.float64, operand=_same, result=_same),
    "float32-accumulate64": Format(points=torch.float32, sums=torch.float64, operand=_same, result=_to_float32),
    "float32": Format(points=torch.float32, sums=torch.float32, operand=_same, result=_same),
    "tf32": Format(points=torch.float32, sums=torch.float32, operand=_cut_to_tf32, result=_same),
    "bfloat16": Format(points=torch.bfloat16, sums=torch.float32, operand=_to_bfloat16, result=_to_bfloat16),
}
"""Every arithmetic that can be carried out; real arithmetic cannot."""


class Execution:
    """A program in one arithmetic and one order of summation: call it on a batch of inputs."""

    def __init__(self, program: Program, arithmetic: str, order: str = "native") -> None:
        self.format, self.order = format_of(arithmetic), order
        if order not in ORDERS:
            raise ValueError(f"order must be one of {', '.join(ORDERS)}, got {order!r}")
        self.nodes = self._prepared(program)

    def __call__(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *out"]:
        """The output, in the dtype in which sums are computed."""
        return self._run(self.nodes, x.to(self.format.points).to(self.format.sums))

    def _prepared(self, program: Program) -> Program:
        nodes = tuple(replace(node, operation=self._in_format(node.operation)) for node in program.nodes)
        return Program(input_shape=program.input_shape, nodes=nodes)

    def _in_format(self, operation: Operation) -> Operation:
        if isinstance(operation, Block):
            return replace(operation, parts=self._prepared(operation.parts))
        rounded = {
            name: Stored(kept=value.kept, exact=self.format.operand(value.exact.to(self.format.sums)))
            for name, value in operation.tensors().items()
        }
        return replace(operation, **rounded)

    def _run(self, program: Program, x: Tensor) -> Tensor:
        def step(place: int, node: Any, values: list[Tensor]) -> Tensor:
            if isinstance(node.operation, Block):
                return self._run(node.operation.parts, values[0])
            return self.format.result(self._operate(node.operation, values))

        return program.run(x, step)  # type: ignore[no-any-return]

    def _operate(self, operation: Operation, values: list[Tensor]) -> Tensor:
        products = isinstance(operation, Linear) or (isinstance(operation, Conv) and operation.groups == 1)
        if not products:
            return operation(*values)
        x = self.format.operand(values[0])
        if self.order == "native":
            return operation(x)
        if self.order == "one by one" and isinstance(operation, Linear):
            return _one_by_one(operation, x)
        return _permuted(operation, x, self.order)


def executions(program: Program, arithmetic: str) -> Iterator[Execution]:
    """One for every order."""
    for order in ORDERS:
        yield Execution(program, arithmetic, order)


def format_of(arithmetic: str) -> Format:
    """ValueError for an arithmetic that cannot be carried out."""
    if arithmetic not in FORMATS:
        raise ValueError(f"arithmetic must be one of {', '.join(FORMATS)}, got {arithmetic!r}")
    return FORMATS[arithmetic]


def _one_by_one(operation: Linear, x: Tensor) -> Tensor:
    """Products from the first to the last, bias last."""
    weight = operation.weight.exact
    total = x.new_zeros(*x.shape[:-1], len(weight))
    for entry in range(weight.shape[1]):
        total = total + x[..., entry, None] * weight[:, entry]
    return total if operation.bias is None else total + operation.bias.exact


def _permuted(operation: Any, x: Tensor, order: str) -> Tensor:
    """Input features or channels in another order, in the weight as well."""
    axis = -1 if isinstance(operation, Linear) else 1
    count = x.shape[axis]
    shuffled = torch.randperm(count, generator=torch.Generator().manual_seed(count))
    places = (torch.arange(count - 1, -1, -1) if order == "reversed" else shuffled).to(x.device)
    weight = operation.weight
    moved = Stored(kept=weight.kept, exact=weight.exact.index_select(1, places))
    return replace(operation, weight=moved)(x.index_select(axis, places))
