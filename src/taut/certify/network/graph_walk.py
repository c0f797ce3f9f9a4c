"""A walk along the nodes of a traced network, which finds for each the proof of its Lipschitz constant."""

import math
import operator
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor, fx

from taut.certify.breakdown import Breakdown, Norm, added, apart, chain, joined
from taut.certify.network.tracing import display_name
from taut.certify.norms.gram import exact_float64
from taut.certify.norms.spectral import Proof
from taut.certify.rounding import div_up, float_up
from taut.certify.rules.function_constants import LERPS, ends_and_factors, function_proof
from taut.certify.rules.function_rules import (
    ADDITIONS,
    ARITHMETIC,
    EXTREMES,
    IN_PLACE,
    JOINS,
    PRODUCTS,
    QUOTIENTS,
    SIZES,
    cuts_apart,
    describe,
)
from taut.certify.rules.in_place import stale_reader
from taut.certify.rules.module_rules import Leaf, leaf
from taut.certify.rules.refusals import why_function, why_module

Path = tuple[tuple[fx.Node, Breakdown], ...]
"""The steps from the input to a node of the graph; a fork and its later junction are one step."""
Origin = tuple[tuple[fx.Node, int], ...]
"""The pieces of split tensors, from the outermost split in, that a node is made of and of nothing else."""


class Walk:
    """Paths of all nodes of one graph; a node that does not depend on the input has the path None."""

    def __init__(
        self, traced: fx.GraphModule, norm: Norm, shapes: dict[fx.Node, tuple[int, ...]] | None = None
    ) -> None:
        self.traced = traced
        self.shapes = shapes or {}
        self.norm: Norm = norm
        self.paths: dict[fx.Node, Path | None] = {}
        self.values: dict[fx.Node, Any] = {}
        self.origins: dict[fx.Node, Origin] = {}
        self.leaves: list[Leaf] = []
        self.same_shape: list[tuple[fx.Node, tuple[fx.Node, ...]]] = []
        self.result: Path = ()
        self._known: dict[tuple[int, tuple[int, ...] | None], Leaf] = {}

    def run(self) -> None:
        handlers: dict[str, Callable[[fx.Node], Path | None]] = {
            "placeholder": lambda node: (),
            "get_attr": self._attribute,
            "call_module": self._module,
            "call_function": self._function,
            "call_method": self._function,
            "output": self._output,
        }
        for node in self.traced.graph.nodes:
            self.paths[node] = handlers[node.op](node)
            self.origins[node] = self._origin(node)

    def _attribute(self, node: fx.Node) -> None:
        """A parameter, a buffer, or what the model computed from them alone."""
        value: Any = self.traced
        for name in str(node.target).split("."):
            value = getattr(value, name)
        self.values[node] = value

    def _origin(self, node: fx.Node) -> Origin:
        sources = [self.origins[source] for source in node.all_input_nodes if self._moving(source)]
        shared: Origin = ()
        for pieces in zip(*sources, strict=False):
            if len(set(pieces)) > 1:
                break
            shared += pieces[:1]
        split = node.args[0] if node.target is operator.getitem else None
        if isinstance(split, fx.Node) and cuts_apart(split):
            index = node.args[1]
            return (*shared, (split, index)) if isinstance(index, int) and index >= 0 else shared
        return shared

    def _output(self, node: fx.Node) -> None:
        value = node.args[0]
        if not isinstance(value, fx.Node) or not self._moving(value):
            raise TypeError("the model must return one tensor, made of its input, to have a Lipschitz constant")
        self.result = self._path(value)

    def _path(self, node: fx.Node) -> Path:
        path = self.paths[node]
        assert path is not None
        return path

    def _moving(self, value: Any) -> bool:
        return isinstance(value, fx.Node) and self.paths[value] is not None

    def _step(self, before: Path, node: fx.Node, rule: str, bound: float) -> Path:
        name = node.name if node.op != "call_module" else display_name(str(node.target))
        return (*before, (node, Breakdown(name=name, kind="layer", rule=rule, bound=bound)))

    def _module(self, node: fx.Node) -> Path:
        source: Any = node.args[0] if len(node.args) == 1 and not node.kwargs else None
        reason = why_module(self.traced.get_submodule(str(node.target)))
        if reason is not None:
            kind = type(self.traced.get_submodule(str(node.target))).__name__
            raise TypeError(f"module {display_name(str(node.target))!r} ({kind}) has no Lipschitz rule: {reason}")
        if not self._moving(source):
            raise TypeError(f"module {display_name(str(node.target))!r} must be called on one tensor made of the input")
        before = self._path(source)
        module = self.traced.get_submodule(str(node.target))
        key = id(module), self.shapes.get(source)
        before_proof = time.perf_counter()
        if key not in self._known:
            self._known[key] = leaf(module, display_name(str(node.target)), self.norm, key[1])
        found = self._known[key]
        self.leaves.append(replace(found, seconds=time.perf_counter() - before_proof))
        return self._step(before, node, f"{found.kind}, {found.proof.method}", found.proof.bound)

    def _function(self, node: fx.Node) -> Path | None:
        target: Any = node.target
        if target in JOINS:
            self._refuse_known(node)
            return self._join(node, node.args[0] if node.args else node.kwargs["tensors"])
        moving = [source for source in node.all_input_nodes if self._moving(source)]
        if (target in SIZES and node.op == "call_method") or (target is getattr and node.args[1] in ("shape", "ndim")):
            return None
        if not moving and node.op == "call_function" and target in ARITHMETIC:
            return None
        self._refuse_known(node)
        if len(moving) == 1:
            found = self._proof(node, moving[0])
            if found is not None:
                before = self._path(moving[0])
                return before if found.bound == 1.0 else self._step(before, node, found.method, found.bound)
        if target in LERPS:
            return self._between(node)
        if moving and len(node.args) == 2 and not node.kwargs:
            combined = self._binary(node, target)
            if combined is not None:
                return combined
        raise TypeError(f"{self.where(node)} has no Lipschitz rule")

    def _refuse_known(self, node: fx.Node) -> None:
        """What is known to be unbounded, and what would be read after a change that the graph does not show."""
        reason = why_function(node.target, sum(self._moving(value) for value in node.args))
        if reason is not None:
            raise TypeError(f"{self.where(node)} has no Lipschitz rule: {reason}")
        reader = stale_reader(node, self._moving) if node.target in IN_PLACE else None
        if node.kwargs.get("out") is not None:
            raise TypeError(f"{self.where(node)} has no Lipschitz rule: it writes into another tensor, by out=")
        if reader is not None:
            raise TypeError(
                f"{self.where(node)} has no Lipschitz rule: it changes in place what {describe(reader)!r} reads later"
            )

    def _proof(self, node: fx.Node, source: fx.Node) -> Proof | None:
        try:
            shape, result = self.shapes.get(source), self.shapes.get(node)
            return function_proof(node, source, self.norm, self.values, shape, result=result)
        except (ValueError, TypeError) as error:
            raise type(error)(f"{self.where(node)}: {error}") from error

    def _binary(self, node: fx.Node, target: Any) -> Path | None:
        left, right = node.args
        operands = tuple(value for value in (left, right) if isinstance(value, fx.Node))
        moving = tuple(value for value in operands if self._moving(value))
        if len(operands) == 2 and not any(self._single(value) for value in operands):
            self.same_shape.append((node, moving))
        if target in ADDITIONS or target in EXTREMES:
            if len(moving) == 1:
                return self._path(moving[0])
            return self._fork(node, moving, added if target in ADDITIONS else self._joined)
        if target in PRODUCTS:
            other = right if moving[0] is left else left
            return self._scaled(node, moving[0], self._magnitude(node, other), other)
        if target in QUOTIENTS and moving == (left,) and isinstance(right, int | float) and right:
            return self._scaled(node, moving[0], div_up(1.0, -float_up(-abs(right))), right)
        return None

    def _between(self, node: fx.Node) -> Path:
        """(1 - w) a + w b with a constant w."""
        found = ends_and_factors(node, self.values)
        ends = [(end, factor) for end, factor in found or () if self._moving(end)]
        if not ends:
            raise TypeError(f"{self.where(node)} has no Lipschitz rule: only a constant weight has one")
        branches = tuple(end for end, _ in ends)
        self.same_shape.append((node, branches))
        weights = tuple(Breakdown(name=node.name, kind="layer", rule="weight", bound=factor) for _, factor in ends)

        def combine(name: str, parts: tuple[Breakdown, ...]) -> Breakdown:
            return added(name, tuple(chain(pair) for pair in zip(parts, weights, strict=True)))

        return self._fork(node, branches, combine)

    def _single(self, value: fx.Node) -> bool:
        """A constant of one entry, which repeats nothing but itself."""
        constant = self.values.get(value)
        return isinstance(constant, Tensor) and constant.numel() == 1

    def _scaled(self, node: fx.Node, source: fx.Node, factor: float, other: Any) -> Path:
        if factor == 1.0:
            return self._path(source)
        text = f"{describe(node)} by {other}"
        return self._step(self._path(source), node, text, factor)

    def _magnitude(self, node: fx.Node, other: Any) -> float:
        """Largest absolute value of a factor: a number, or a parameter or buffer of the model."""
        if isinstance(other, int | float) and math.isfinite(factor := float_up(abs(other))):
            return factor
        value = self.values.get(other) if isinstance(other, fx.Node) else None
        if isinstance(value, Tensor) and value.is_floating_point():
            return float(exact_float64(value).abs().amax())
        raise TypeError(f"{self.where(node)} has no Lipschitz rule: only finite constant factors have one")

    def _join(self, node: fx.Node, tensors: Any) -> Path:
        if isinstance(tensors, fx.Node):
            if self._moving(tensors) and cuts_apart(tensors):
                return self._path(tensors)  # every entry once
            raise TypeError(f"{self.where(node)} has no Lipschitz rule: give it its tensors one by one, in a tuple")
        moving = tuple(value for value in tensors if self._moving(value))
        if not moving:
            raise TypeError(f"{self.where(node)} must join tensors made of the input")
        return self._fork(node, moving, apart if self._separate(moving) else self._joined)

    def _separate(self, branches: tuple[fx.Node, ...]) -> bool:
        """Whether each branch is made of another piece of one split tensor."""
        origins = [self.origins[branch] for branch in branches]
        for pieces in zip(*origins, strict=False):
            if len(set(pieces)) > 1:
                return len({split for split, _ in pieces}) == 1 and len(set(pieces)) == len(pieces)
        return False

    def _joined(self, name: str, parts: tuple[Breakdown, ...]) -> Breakdown:
        return joined(name, parts, norm=self.norm)

    def _fork(
        self, node: fx.Node, branches: tuple[fx.Node, ...], combine: Callable[[str, tuple[Breakdown, ...]], Breakdown]
    ) -> Path:
        """What the branches share stays in front, once; the rest of each is one part of the combination."""
        paths = [self._path(branch) for branch in branches]
        shared = 0
        while all(len(path) > shared and path[shared][0] is paths[0][shared][0] for path in paths):
            shared += 1
        parts = tuple(chain(tuple(part for _, part in path[shared:])) for path in paths)
        return (*paths[0][:shared], (node, combine(describe(node), parts)))

    def where(self, node: fx.Node) -> str:
        stack = node.meta.get("nn_module_stack") or {}
        paths = [path for path, _ in stack.values()] if stack else []
        inside = display_name(str(paths[-1])) if paths else "(model)"
        return f"the call of {describe(node)!r} in module {inside!r}"
