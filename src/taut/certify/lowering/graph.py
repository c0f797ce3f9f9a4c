"""A model's torch.fx graph as a program, node by node, for samples of one shape."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx, nn

from taut.certify.lowering.alike import refuse_changing_weights, same_program
from taut.certify.lowering.functions import function_places
from taut.certify.lowering.modules import is_lowered, module_operations
from taut.certify.lowering.sizes import Sizes, is_size
from taut.certify.network.tracing import display_name, nothing_random, trace_to
from taut.certify.program.build import Builder
from taut.certify.program.operation import Operation, Shape
from taut.certify.program.program import Program
from taut.certify.rounding import gradual_underflow
from taut.certify.rules.function_rules import IN_PLACE, describe
from taut.certify.rules.in_place import stale_reader
from taut.certify.rules.module_rules import has_hooks, is_scaled_sequential, kind_of, refuse_training_mode

_HOW = "lipschitz_bound takes any traceable module; certificates need operations whose rounding is known"


@gradual_underflow()
@torch.no_grad()
def lower(model: nn.Module, input_shape: Sequence[int]) -> Program:
    r"""The model as a program of plain operations, with its weights as they are now, for samples of `input_shape`.

    Raises TypeError that names the first module or function without an operation of its own, and where a module has
    hooks, the forward cannot be traced, or samples are not treated alike and apart; ValueError for NaN or infinite
    weights, weights that are other ones whenever they are read, and shapes that do not fit.

    >>> program = lower(nn.Sequential(nn.Linear(4, 2), nn.ReLU()), (4,))
    >>> [node.operation.op for node in program.nodes]
    ['linear', 'relu']
    """
    refuse_training_mode(model, "l2")
    for name, module in model.named_modules():
        if has_hooks(module):
            raise TypeError(
                f"module {name or '(model)'!r} ({kind_of(module)}) has forward hooks, whose effect cannot be "
                "certified: remove them"
            )
    refuse_changing_weights(model)
    seen = _Seen()
    with nothing_random():
        program, other = (_for_batch(model, tuple(input_shape), batch, seen) for batch in (2, 3))
    if not same_program(program, other):
        raise TypeError("what the model computes depends on how many samples a batch has: no certificate")
    return program


def _for_batch(model: nn.Module, shape: Shape, batch: int, seen: "_Seen") -> Program:
    """What the model computes when a batch has so many samples."""
    builder = Builder(shape, batch=batch)
    return builder.program(_Lowering(model, builder, 0, "", seen).place)


def _is_leaf(module: nn.Module) -> bool:
    return is_lowered(module) or _folds(module)


def _folds(module: nn.Module) -> bool:
    """A layer of taut.nn that is not known as a whole, but becomes a graph of torch functions when folded."""
    ours = type(module).__module__.startswith("taut.nn.")
    return ours and not is_scaled_sequential(module) and callable(getattr(module, "fold", None))


class _Seen:
    """What was found out of modules already, so that each weight is read once; it keeps them alive, and their ids."""

    def __init__(self) -> None:
        self.graphs: dict[int, tuple[nn.Module, fx.GraphModule]] = {}
        self.operations: dict[tuple[int, Shape], tuple[nn.Module, list[Operation] | None]] = {}
        self.folded: dict[int, tuple[nn.Module, nn.Module]] = {}

    def graph(self, model: nn.Module) -> fx.GraphModule:
        if id(model) not in self.graphs:
            self.graphs[id(model)] = model, trace_to(model, _is_leaf)
        return self.graphs[id(model)][1]

    def operations_of(self, module: nn.Module, shape: Shape) -> list[Operation] | None:
        key = id(module), shape
        if key not in self.operations:
            self.operations[key] = module, module_operations(module, shape)
        return self.operations[key][1]

    def fold(self, module: Any) -> nn.Module:
        if id(module) not in self.folded:
            self.folded[id(module)] = module, module.fold()
        return self.folded[id(module)][1]


class _Lowering:
    """Places of all nodes of one graph, which starts at a place of the program."""

    def __init__(self, model: nn.Module, builder: Builder, start: int, prefix: str, seen: _Seen) -> None:
        self.builder, self.prefix, self.seen = builder, prefix, seen
        self.traced = seen.graph(model)
        self.values: dict[fx.Node, Any] = {}
        """For each node: a place of the program, several (pieces), or what does not depend on the input."""
        self.places: dict[fx.Node, int] = {}
        for node in self.traced.graph.nodes:
            self._visit(node, start)

    def _visit(self, node: fx.Node, start: int) -> None:
        if node.op == "placeholder":
            self.places[node] = start
        elif node.op == "get_attr":
            value: Any = self.traced
            for name in str(node.target).split("."):
                value = getattr(value, name)
            self.values[node] = value
        elif node.op == "call_module":
            self.places[node] = self._module(node)
        elif node.op == "output":
            self.place = self._output(node)
        else:
            self._function(node)

    def _output(self, node: fx.Node) -> int:
        value = node.args[0]
        if not isinstance(value, fx.Node) or value not in self.places:
            raise TypeError("the model must return one tensor, made of its input, to be certified")
        return self.places[value]

    def _module(self, node: fx.Node) -> int:
        source: Any = node.args[0] if len(node.args) == 1 and not node.kwargs else None
        module = self.traced.get_submodule(str(node.target))
        name, kind = self._name(display_name(str(node.target))), kind_of(module)
        if source not in self.places:
            raise TypeError(f"module {name!r} must be called on one tensor made of the input")
        place = self.places[source]
        if getattr(module, "inplace", False):
            self._refuse_in_place(node, f"module {name!r} ({kind})")
        try:
            return self._chain(module, place, name, kind)
        except (TypeError, ValueError) as error:
            if str(error).startswith("module "):
                raise
            raise type(error)(f"module {name!r} ({kind}): {error}") from error

    def _chain(self, module: nn.Module, place: int, name: str, kind: str) -> int:
        operations = self.seen.operations_of(module, self.builder.shapes[place]) if is_lowered(module) else None
        if operations is not None:
            for operation in operations:
                place = self.builder.add(operation, place, name=name, kind=kind)
            return place
        if not _folds(module):
            raise TypeError(f"it cannot be certified sample by sample ({_HOW})")
        folded = self.seen.fold(module)
        if type(folded) is type(module):
            raise TypeError(f"it cannot be certified sample by sample ({_HOW})")
        return _Lowering(folded, self.builder, place, name, self.seen).place

    def _function(self, node: fx.Node) -> None:
        if is_size(node, self.places, self.values):
            self.values[node] = Sizes(self.builder, self.places, self.values).of(node)
            return
        where = self._where(node)
        if node.kwargs.get("out") is not None or node.kwargs.get("inplace") is True:
            self._refuse_in_place(node, where)
        if node.target in IN_PLACE:
            self._refuse_in_place(node, where)
        try:
            found = function_places(node, self.builder, self.places, self.values, name=where)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{where}: {error}") from error
        if found is None:
            raise TypeError(f"{where} cannot be certified sample by sample ({_HOW})")
        if isinstance(found, int):
            self.places[node] = found
        else:
            self.values[node] = found

    def _refuse_in_place(self, node: fx.Node, where: str) -> None:
        """What a later node reads after a change in place is not what the graph shows."""
        reader = stale_reader(node, lambda other: other in self.places)
        if reader is not None or node.kwargs.get("out") is not None:
            raise TypeError(f"{where} changes in place what is read later: no certificate")

    def _name(self, inside: str) -> str:
        if not self.prefix:
            return inside
        return self.prefix if inside == "(model)" else f"{self.prefix}.{inside}"

    def _where(self, node: fx.Node) -> str:
        stack = node.meta.get("nn_module_stack") or {}
        paths = [path for path, _ in stack.values()] if stack else []
        inside = self._name(display_name(str(paths[-1])) if paths else "(model)")
        return f"the call of {describe(node)!r} in module {inside!r}"
