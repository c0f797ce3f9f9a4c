"""Programs in the making."""

from dataclasses import replace

import torch

from taut.certify.program.affine import Scale
from taut.certify.program.operation import Operation, Shape
from taut.certify.program.program import Node, Program
from taut.certify.program.shapes import Pad, Reshape, Take


class Builder:
    """Adds operations one by one, and keeps the shapes."""

    def __init__(self, shape: Shape, *, batch: int = 2) -> None:
        self.batch = batch
        """How many samples a forward is told that there are; not 1, which would hide that samples are mixed."""
        self.shapes: list[Shape] = [shape]
        self.nodes: list[Node] = []

    def add(self, operation: Operation, *inputs: int, name: str = "", kind: str = "") -> int:
        """Place of the result. ValueError for inputs of shapes that the operation does not take."""
        shape = self._result(operation, [self.shapes[place] for place in inputs])
        if _does_nothing(operation) and shape == self.shapes[inputs[0]]:
            return inputs[0]
        self.shapes.append(shape)
        self.nodes.append(Node(operation=operation, inputs=inputs, name=name, kind=kind or operation.op, shape=shape))
        return len(self.nodes)

    def _result(self, operation: Operation, shapes: list[Shape]) -> Shape:
        if len(shapes) > 1 and operation.op != "concat" and len(set(shapes)) > 1:
            raise ValueError(f"operands of shapes {', '.join(map(str, shapes))} would be broadcast")
        device = next((value.exact.device for value in operation.tensors().values()), torch.device("cpu"))
        zeros = [torch.zeros(1, *shape, dtype=torch.float64, device=device) for shape in shapes]
        try:
            return tuple(operation(*zeros).shape[1:])
        except (RuntimeError, IndexError) as error:
            what = ", ".join(map(str, shapes))
            raise ValueError(f"it does not take inputs of shape {what}: {str(error).splitlines()[0]}") from error

    def resized(self, place: int, axis: int, size: int, *, name: str = "", kind: str = "") -> int:
        """Zeros appended or entries cut along an axis, where needed."""
        shape = self.shapes[place]
        if size > shape[axis]:
            widths = tuple((0, size - shape[axis] if other == axis else 0) for other in range(len(shape)))
            return self.add(Pad(widths=widths), place, name=name, kind=kind)
        if size < shape[axis]:
            return self.add(Take(axis=axis, index=tuple(range(size))), place, name=name, kind=kind)
        return place

    def program(self, output: int | None = None) -> Program:
        """What was built for the output at a place, the last one by default, without what that does not need."""
        last = len(self.nodes) if output is None else output
        needed = {last}
        for place in range(last, 0, -1):
            if place in needed:
                needed.update(self.nodes[place - 1].inputs)
        kept = sorted(needed - {0})
        moved = {place: at for at, place in enumerate((0, *kept))}
        nodes = (self.nodes[place - 1] for place in kept)
        renumbered = (replace(node, inputs=tuple(moved[place] for place in node.inputs)) for node in nodes)
        return Program(input_shape=self.shapes[0], nodes=tuple(renumbered))


def _does_nothing(operation: Operation) -> bool:
    """Where it leaves the shape as it is."""
    return isinstance(operation, Reshape) or (isinstance(operation, Scale) and operation.factor == 1.0)
