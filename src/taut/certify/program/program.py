"""A program: operations in the order of their execution, and how their constants are put together along paths."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from taut.certify.breakdown import Breakdown, Norm, added, apart, chain, joined
from taut.certify.program.joins import SUMS, Concat
from taut.certify.program.operation import Operation, Shape
from taut.certify.program.shapes import Take

Path = tuple[tuple[int, Breakdown], ...]
"""The steps from the input to a node; a fork and its later junction are one step."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """One operation, with what it is applied to."""

    operation: Operation
    inputs: tuple[int, ...]
    """Places of earlier nodes; 0 is the input, the first node is 1."""
    name: str
    """Path of the module, or name of the function, in the model."""
    kind: str
    """Type of the module, or name of the function."""
    shape: Shape
    """Of its result, for one sample."""

    @property
    def joins(self) -> bool:
        """Whether it has several inputs, and no constant of its own."""
        return len(self.inputs) > 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Program:
    """A network as plain operations; the last node is the output. Without nodes it is the identity."""

    input_shape: Shape
    nodes: tuple[Node, ...]
    _last_use: dict[int, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        last = {place: index for index, node in enumerate(self.nodes, 1) for place in node.inputs}
        object.__setattr__(self, "_last_use", last)

    def shape(self, place: int) -> Shape:
        """Shape at a place, for one sample."""
        return self.nodes[place - 1].shape if place else self.input_shape

    def to(self, device: torch.device | str) -> "Program":
        """The same program with its numbers on another device."""
        moved = tuple(replace(node, operation=node.operation.to(device)) for node in self.nodes)
        return Program(input_shape=self.input_shape, nodes=moved)

    def run(self, x: Any, step: Callable[[int, Node, list[Any]], Any]) -> Any:
        """Walk along the nodes: `step` makes a node's result from those of its inputs, which are kept no longer than
        they are needed."""
        results: dict[int, Any] = {0: x}
        for place, node in enumerate(self.nodes, 1):
            results[place] = step(place, node, [results[source] for source in node.inputs])
            for source in set(node.inputs):
                if self._last_use[source] == place:
                    del results[source]
        return results[len(self.nodes)]

    def __call__(self, x: Tensor) -> Tensor:
        """The output in float64 for a batch."""
        return self.run(x, lambda place, node, values: node.operation(*values))

    def paths(self, bounds: Sequence[float | None], norm: Norm, methods: Sequence[str] = ()) -> list[Path]:
        """Path of every place, the input's first; `bounds` has one constant per node, None for those that join."""
        paths: list[Path] = [()]
        for place, node in enumerate(self.nodes, 1):
            bound = bounds[place - 1]
            if node.joins:
                paths.append(self._fork(place, node, [paths[source] for source in node.inputs], norm))
                continue
            assert bound is not None
            rule = f"{node.kind}, {methods[place - 1]}" if methods else node.kind
            leaf = Breakdown(name=node.name, kind="layer", rule=rule, bound=bound)
            paths.append((*paths[node.inputs[0]], (place, leaf)))
        return paths

    def _fork(self, place: int, node: Node, paths: list[Path], norm: Norm) -> Path:
        """What the branches share stays in front, once; the rest of each is one part of the combination."""
        shared = 0
        while all(len(path) > shared and path[shared][0] == paths[0][shared][0] for path in paths):
            shared += 1
        rest = [path[shared:] for path in paths]
        parts = tuple(chain(tuple(part for _, part in path)) for path in rest)
        if isinstance(node.operation, SUMS):
            combined = added(node.kind, parts)
        elif isinstance(node.operation, Concat) and self._separate([path[0][0] if path else 0 for path in rest]):
            combined = apart(node.kind, parts)
        else:
            combined = joined(node.kind, parts, norm=norm)
        return (*paths[0][:shared], (place, combined))

    def _separate(self, places: list[int]) -> bool:
        """Whether the branches begin with pieces of one tensor that have no entry in common."""
        if 0 in places:
            return False
        firsts = [self.nodes[place - 1] for place in places]
        takes = [node.operation for node in firsts if isinstance(node.operation, Take)]
        if len(takes) < len(firsts):
            return False
        if len({node.inputs for node in firsts}) > 1 or len({take.axis for take in takes}) > 1:
            return False
        indices = [index for take in takes for index in take.index]
        return len(indices) == len(set(indices))


def constant_along(path: Path) -> float:
    """The product along a path, rounded up."""
    return chain(tuple(part for _, part in path)).bound
